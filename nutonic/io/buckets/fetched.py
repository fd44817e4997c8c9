"""Whole files behind addresses, as files on this machine's disk, for readers that want one: places, catalogues, extracts."""

from __future__ import annotations

import re
import tempfile
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from nutonic.core.model import HEAD_BYTES, RemotePin
from nutonic.errors import InputError, ReadFailed, Refused
from nutonic.io.access import Access, Identity, access_for
from nutonic.io.atomic import disk_errors
from nutonic.io.buckets.address import SHARED, is_object
from nutonic.io.cache import SingleFlightCache
from nutonic.io.http import Answer, Request
from nutonic.io.ranged import Validators, pin_from, size_of, validators_of, wrong_range
from nutonic.io.session import SessionThreads, current
from nutonic.secrets import holds_secret, query_keys, redact

#: Bytes that are asked for at a time, and how many times side by side.
_PIECE, _AT_ONCE = 2**23, 4


def is_fetched(where: str) -> bool:
    """Whether a path is an address from which a whole file is read: of an object in a store, or over HTTP."""
    return is_object(where) or where.lower().startswith(("https://", "http://"))


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file at an address, as it was when it was fetched."""

    path: Path
    """Of the copy on this machine's disk."""
    pin: RemotePin
    """By what it is known again."""


def copy_of(url: str, identity: Identity, most: int) -> Path:
    """The path of what :func:`fetched` gives."""
    return fetched(url, identity, most).path


def fetched(url: str, identity: Identity, most: int) -> Fetched:
    """A file on this machine's disk that has the bytes of one at an address; fetched once in a session, which removes it.

    Raises
    ------
    InputError
        If it is larger than `most` bytes.
    Refused, Gone, ReadFailed
        If it may not be read, is not there, or cannot be had.
    StoreError
        If there is no room for it.
    """
    if query_keys(url) or holds_secret(url):
        raise Refused(f"{redact(url)[:200]}: give addresses without a user, a query, a signature or a token")
    access = access_for(url, (), (), None, (), identity)
    access.check(url)
    copies = current().resource(_Copies)
    return copies.get((url, access), partial(copies.made, url, access, most))


def offered() -> str:
    """How addresses of files begin."""
    return ", ".join(("https://", *SHARED))


class _Copies(SingleFlightCache[tuple[str, Access], Fetched]):
    """The copies that a session keeps."""

    def __init__(self) -> None:
        super().__init__(2**62, lambda _: 1)
        self._folder = tempfile.TemporaryDirectory(prefix="nutonic-")

    def __del__(self) -> None:
        self._folder.cleanup()

    def made(self, url: str, access: Access, most: int) -> Fetched:
        """A copy of what is there now."""
        name = url.rpartition("/")[2] if is_object(url) else unquote(urlsplit(url).path.rpartition("/")[2])
        # Its suffix says what it is; of the rest not more than any disk takes.
        path = Path(tempfile.mkdtemp(dir=self._folder.name), re.sub(r"[^\w.-]", "_", f"_{name}"[-100:]))
        with disk_errors(path), path.open("wb") as file:
            return Fetched(path, _fetch(url, access, most, file))


def _fetch(url: str, access: Access, most: int, file: BinaryIO) -> RemotePin:
    """Write the bytes of a file at an address, of one version of it."""
    first = current().client.fetch(_part(url, (0, _PIECE)), access)
    told = validators_of(first)
    if first.status == 416:  # an empty file has no first bytes
        return pin_from(told, b"")
    if told.size > most:
        raise InputError(f"{url} has {told.size:,} bytes, more than {most:,}: divide it")
    file.write(first.body)
    rest = [(at, min(at + _PIECE, told.size)) for at in range(len(first.body), told.size, _PIECE)]
    if rest:
        lock = threading.Lock()
        with SessionThreads(min(_AT_ONCE, len(rest))) as threads:
            list(threads.map(lambda span: _write(url, access, span, told, file, lock), rest))
    return pin_from(told, first.body[:HEAD_BYTES])


def _write(
    url: str, access: Access, span: tuple[int, int], told: Validators, file: BinaryIO, lock: threading.Lock
) -> None:
    answer = current().client.fetch(_part(url, span), access)
    if not validators_of(answer).same(told):
        raise ReadFailed(f"{url} changed while it was read: run the same command again")
    with lock:
        file.seek(span[0])
        file.write(answer.body)


def _part(url: str, span: tuple[int, int]) -> Request:
    return Request(
        url=url,
        headers={"Range": f"bytes={span[0]}-{span[1] - 1}"},
        most_bytes=span[1] - span[0],
        out_of_range=span[0] == 0,
        wrong=partial(_wrong, span=span),
    )


def _wrong(answer: Answer, *, span: tuple[int, int]) -> str | None:
    if answer.status == 416:
        return None if size_of(answer) in (None, 0) else "416"
    return wrong_range(answer, span)
