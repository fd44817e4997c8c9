"""Addresses in object stores, such as ``s3://bucket/path``; and where something lies: there, or in a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from nutonic.errors import InputError

#: What stores are called, by the scheme of their addresses.
SCHEMES: Final = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage", "memory": "memory"}

#: Where the credentials of each kind come from, for a person who lacks them.
CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role; for profiles (AWS_PROFILE) install boto3",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, or the machine's account",
    "az": "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or a service principal, or the machine's identity",
}

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,221}")
#: One letter is a drive of Windows; a path that was made of an address has one slash, and a third begins no bucket.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}")

#: How addresses begin whose slashes were forgotten: a folder may be called so too, and hardly ever is.
_MISSPELT = re.compile(r"(s3a?|gs|gcs|az|abfss?|memory|https?|ftp|hf|file):/?(?!/)", re.IGNORECASE)

#: Schemes of stores that others see too.
SHARED: Final = tuple(f"{scheme}://" for scheme in SCHEMES if scheme != "memory")


@dataclass(frozen=True, slots=True)
class Address:
    """An address in an object store, below which objects have relative paths as files have below a folder."""

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


#: Where a tree lies, or a file: on a disk, or in an object store.
AnyPath = Path | Address


def any_path_of(where: str | Path | Address) -> AnyPath:
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
        refuse_misspelt(text)
        return Path(where)
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme not in SCHEMES:
        offered = ", ".join(f"{each}://" for each in SCHEMES if each != "memory")
        raise InputError(
            f"no dataset or cube can lie at a {scheme}:// address: name a folder, or one that begins with {offered}"
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
            f"an address that begins with {found[1].lower()}:// is no path on this disk: only datasets, cubes and "
            "packs may lie in an object store; name a file or a folder"
        )
    refuse_misspelt(str(where))
    return Path(str(where))


def refuse_misspelt(text: str) -> None:
    """Raise :class:`InputError` of an address without its two slashes, which would be taken for a folder.

    >>> refuse_misspelt("s3:bucket/path")
    Traceback (most recent call last):
        ...
    nutonic.errors.InputError: s3:bucket/path is no address: write s3://bucket/path, or ./s3:… for a file of that name
    """
    found = _MISSPELT.match(text)
    if found is not None:
        right = f"{found[1].lower()}://{text[found.end() :][:200]}"
        raise InputError(f"{text[:200]} is no address: write {right}, or ./{found[1]}:… for a file of that name")


def is_object(url: str) -> bool:
    """Whether an address is that of an object in a store, ``s3://…``, and not one over HTTP."""
    return url.lower().startswith(SHARED)


def joined(base: str, href: str) -> str:
    """Where an href leads from an address, which may be one in an object store.

    >>> joined("s3://bucket/a/items.json", "../b/red.tif")
    's3://bucket/b/red.tif'
    """
    if not is_object(base) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        return urljoin(base, href)
    scheme, _, rest = base.partition("://")  # urllib joins the schemes that it knows
    return f"{scheme}:{urljoin(f'https://{rest}', href).removeprefix('https:')}"
