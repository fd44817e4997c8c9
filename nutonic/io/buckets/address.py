"""Addresses in object stores, such as ``s3://bucket/path``; and where something lies: there, or in a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nutonic.errors import InputError

#: What stores are called, by the scheme of their addresses.
SCHEMES: Final = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage", "memory": "memory"}

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,221}")
#: One letter is a drive of Windows; a path that was made of an address has one slash, and a third begins no bucket.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}")


@dataclass(frozen=True, slots=True)
class Address:
    """A place in an object store, below which objects have relative paths as files have below a folder."""

    scheme: str
    """``s3``, ``gs``, ``az``; or ``memory``, which no other process sees."""
    bucket: str
    """Of Azure, the container; its account comes from the environment."""
    path: str
    """Without slashes at its ends; may be empty."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.path}" if self.path else "")

    def __truediv__(self, below: str) -> Address:
        return Address(self.scheme, self.bucket, f"{self.path}/{below}".strip("/"))

    @property
    def name(self) -> str:
        """The last part of its path; without one, the bucket."""
        return self.path.rpartition("/")[2] or self.bucket

    def absolute(self) -> Address:
        """Itself, as paths of folders have it."""
        return self


#: Where a tree lies.
Place = Path | Address


def place_of(where: str | Path | Address) -> Place:
    """The folder or the address that a user names; a path that was made of an address is that address.

    Raises
    ------
    InputError
        Of an address with another scheme, without a bucket, or with a query, a user or what no path can have.
    """
    if isinstance(where, Address):
        return where
    text = str(where)
    found = _SCHEME.match(text)
    if found is None:
        return Path(where)
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme not in SCHEMES:
        offered = ", ".join(f"{each}://" for each in SCHEMES if each != "memory")
        raise InputError(
            f"no dataset can lie at a {scheme}:// address: name a folder, or one that begins with {offered}"
        )
    bucket, _, path = rest.partition("/")
    if not _BUCKET.fullmatch(bucket) or re.search(r"[?#\x00-\x1f\x7f]", path):
        raise InputError(
            f"an address that begins with {scheme}:// is no {scheme}://BUCKET/PATH: it has no keys, no query and no "
            "fragment; credentials come from the environment"
        )
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise InputError(f"{scheme}://{bucket}/{path} has . or .. in it: write the path out")
    return Address(scheme, bucket, "/".join(parts))


def path_of(where: str | Path | Address) -> Path:
    """The path on this disk that a user names, of what can lie nowhere else.

    Raises
    ------
    InputError
        If it is an address: as a path, it would be a folder that is called by its scheme.
    """
    found = _SCHEME.match(str(where))
    if found is not None:
        raise InputError(
            f"an address that begins with {found[1].lower()}:// is no path on this disk: only a dataset that is planned, "
            "built, verified or opened may lie in an object store; name a file or a folder"
        )
    return Path(str(where))
