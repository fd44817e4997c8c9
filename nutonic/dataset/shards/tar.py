"""Samples as the bytes of a tar archive that depend on nothing but the samples: POSIX.1-1988 "ustar", one owner, no time.

WebDataset's loaders put files with one name before the first dot together, in the order of the archive: so a key has no
dot, and its picture stands directly before its JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nutonic.errors import InputError

#: A tar archive is made of blocks of so many bytes, and ends where a record of twenty blocks does, as GNU tar and Python's
#: tarfile have it; two empty blocks say that nothing follows.
_BLOCK, _RECORD = 512, 10240

#: The fields of a header: 100 bytes for a name, and eleven octal digits for a size (POSIX.1-1988, section 10.1.1).
_NAME, _SIZE = 100, 8**11

#: What loaders, file systems and archives read alike; no dot, at which a loader cuts names, and no folder.
_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A patch as shards hold it: two files, ``{key}.jpg`` and ``{key}.json``."""

    key: str
    """Letters, digits, ``_`` and ``-``; at most 95 of them."""
    picture: bytes
    """A JPEG file."""
    content: bytes
    """A JSON document."""


def pieces(samples: Iterable[Sample]) -> Iterator[bytes]:
    """The bytes of an archive, a piece for each sample and one for its end: no more than a sample is held.

    Raises
    ------
    InputError
        For a key that is none, or is the last sample's too; for a picture that is no JPEG or a content that is no JSON
        object; for a file that is larger than a header can tell.
    """
    before, length = None, 0
    for sample in samples:
        if sample.key == before:
            raise InputError(f"the sample {sample.key!r} follows itself: a loader would take the two for one")
        piece = _piece(sample)
        before, length = sample.key, length + len(piece)
        yield piece
    yield ending(length)


def ending(length: int) -> bytes:
    """What ends an archive whose members have so many bytes."""
    return bytes(2 * _BLOCK + -(length + 2 * _BLOCK) % _RECORD)


def member(name: str, data: bytes) -> bytes:
    """A file in an archive: its header, its bytes, and what fills up its last block."""
    return b"".join((header(name, len(data)), data, bytes(-len(data) % _BLOCK)))


def _piece(sample: Sample) -> bytes:
    if not _KEY.fullmatch(sample.key):
        raise InputError(
            f"{sample.key!r:.120} is no key of a sample: it may have letters, digits, '_' and '-', no dot and no folder"
        )
    if not sample.picture.startswith(b"\xff\xd8\xff"):
        raise InputError(f"the picture of {sample.key!r:.120} is no JPEG")
    if not sample.content.startswith(b"{"):
        raise InputError(f"the content of {sample.key!r:.120} is no JSON object")
    files = (("jpg", sample.picture), ("json", sample.content))
    return b"".join(member(f"{sample.key}.{suffix}", data) for suffix, data in files)


def header(name: str, size: int) -> bytes:
    """The 512 bytes before a regular file: mode 0644, user and group 0 without names, modified at the start of 1970.

    Parameters
    ----------
    name
        ASCII, at most 100 characters.
    size
        Of the file in bytes, less than 8 GiB.

    Raises
    ------
    InputError
        For a name or a size that does not fit.
    """
    if len(name) > _NAME or not name.isascii():
        raise InputError(
            f"{name!r:.120} is no name for a file of a shard: it may have at most {_NAME} ASCII characters"
        )
    if not 0 <= size < _SIZE:
        raise InputError(f"{name} has {size:,} bytes; a file of a shard has less than {_SIZE:,}")
    start = name.encode().ljust(_NAME, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"%011o\0" % 0
    end = b"0" + bytes(100) + b"ustar\x0000" + bytes(32 + 32 + 8 + 8 + 155 + 12)
    checksum = sum(start) + 8 * ord(" ") + sum(end)  # as if its own field were spaces
    return start + b"%06o\0 " % checksum + end
