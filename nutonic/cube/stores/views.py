"""What zarr reads of a place in an object store: with this process's credentials, and each error in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from zarr.storage import ObjectStore

from nutonic.errors import StoreError
from nutonic.io.buckets.address import Address
from nutonic.io.buckets.bucket import asked_async, failure, opened

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class ObjectsBelow(ObjectStore[Any]):
    """The objects below an address, to be read.

    It travels to other processes as its address, and opens there by their own credentials.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(opened(address), read_only=True)
        self.address = address

    def with_read_only(self, read_only: bool = False) -> Self:
        """Itself, which can be read only."""
        if not read_only:
            raise ValueError("a saved cube is opened to be read")
        return self

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """All or some bytes of an object; None where there is none. What may pass is asked again."""
        read = super().get

        def failed(error: Exception) -> StoreError:
            return failure(f"cannot read {key} in {self.address}", error, self.address)

        return await asked_async(lambda: read(key, prototype, byte_range), failed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectsBelow) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __str__(self) -> str:
        return str(self.address)

    def __reduce__(self) -> tuple[type[ObjectsBelow], tuple[Address]]:
        return ObjectsBelow, (self.address,)

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "nutonic.ObjectsBelow", str(self.address)
