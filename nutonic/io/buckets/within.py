"""What an address lies in: a dataset or a Zarr store, which would not be what it is any more with something else in it."""

from __future__ import annotations

from typing import Final

from nutonic.errors import NotNutonic, StoreError
from nutonic.io.atomic import MARKER, MARKER_BYTES, REPORT
from nutonic.io.buckets.address import Address
from nutonic.io.objects import Store

#: Something is a cube of nutonic's if, and only if, it holds this file with just these bytes.
CUBE_MARKER: Final = "nutonic.json"
CUBE_MARKER_BYTES: Final = b'{"nutonic":"cube","format":1}\n'


def refuse_within_store(address: Address) -> None:
    """Raise :class:`NotNutonic` if what is at an address would lie in a dataset or a Zarr store.

    Of a dataset only its report has a place in it. What this process may not look at is taken for neither.
    """
    parts = address.path.split("/") if address.path else []
    for depth in range(len(parts)):
        above = Address(address.scheme, address.bucket, "/".join(parts[:depth]))
        store = Store(above)
        if _has(store, MARKER, MARKER_BYTES) and address != above / REPORT:
            raise NotNutonic(f"{address} lies in the dataset {above}: name an address outside of it")
        if _has(store, "zarr.json") or _has(store, CUBE_MARKER, CUBE_MARKER_BYTES):
            raise NotNutonic(f"{address} lies in {above}, which is a Zarr store: name an address outside of it")


def _has(store: Store, path: str, content: bytes | None = None) -> bool:
    """Whether a file is there, with a content if one is given; False where this process may not look."""
    try:
        return store.has(path) and content in (None, store.get(path))
    except StoreError:
        return False
