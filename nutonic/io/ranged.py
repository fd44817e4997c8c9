"""A file behind a URL, read in the ranges that GDAL asks for; each range is fetched once by all threads together."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from nutonic.errors import GridError, NutonicError, ReadFailed
from nutonic.io.access import Access
from nutonic.io.cache import SingleFlightCache
from nutonic.io.http import Answer, Client, Request

#: Bytes fetched with the first request: the whole header of nearly every COG.
_HEAD = 32 * 2**10

#: Headers and ranges that a cache keeps, in bytes.
_KEPT_HEADS, _KEPT_RANGES = 16 * 2**20, 64 * 2**20

#: The longest range that is fetched: far more than any sensible block.
_MOST = 128 * 2**20

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JP2 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")


@dataclass(frozen=True, slots=True)
class _Head:
    size: int
    etag: str | None
    content: bytes

    @property
    def driver(self) -> str:
        return "GTiff" if self.content.startswith(_TIFF) else "JP2OpenJPEG"

    @property
    def page(self) -> int:
        """Small reads are rounded out to pages: JPEG 2000 is read in a great many of them, a TIFF in hardly any."""
        return 16 * 2**10 if self.driver == "GTiff" else 256 * 2**10


_Span = tuple[int, int]
_HEADER: _Span = (0, _HEAD)


class _Suspects:
    """What was dropped since something it was part of cannot be decoded: found damaged once it comes back otherwise.

    A read may take several ranges, and which of them is to blame nobody can tell until they are here again.
    """

    def __init__(self, client: Client) -> None:
        self._client, self._lock = client, threading.Lock()
        self._dropped: dict[tuple[str, _Span], tuple[int, str]] = {}

    def add(self, key: tuple[str, _Span], content: bytes) -> None:
        """Remember what was dropped, and how often in a row it was just this."""
        digest = sha256(content).hexdigest()
        with self._lock:
            times, before = self._dropped.get(key, (0, digest))
            self._dropped[key] = (times + 1 if before == digest else 1, digest)

    def compare(self, key: tuple[str, _Span], content: bytes) -> None:
        """Tell of a fault for each time that a range was damaged, now that it is another."""
        with self._lock:
            times, before = self._dropped.get(key, (0, ""))
            if not times or sha256(content).hexdigest() == before:
                return
            del self._dropped[key]
        for _ in range(times):
            self._client.count_fault("damaged")


class RangeCache:
    """Headers and ranges of remote files, each fetched once by all threads together."""

    def __init__(self, client: Client) -> None:
        self._client, self._suspects = client, _Suspects(client)
        self._heads: SingleFlightCache[str, _Head] = SingleFlightCache(_KEPT_HEADS, lambda head: len(head.content))
        self._ranges: SingleFlightCache[tuple[str, _Span], bytes] = SingleFlightCache(_KEPT_RANGES, len)

    def open(self, url: str, access: Access) -> RemoteFile:
        """A file for GDAL.

        Raises
        ------
        Refused
            If the address may not be read.
        Gone, ReadFailed
            If it cannot be.
        """
        access.check(url)
        return RemoteFile(url, access, self)

    def clear(self) -> None:
        """Forget all."""
        self._heads.clear()
        self._ranges.clear()
        self._suspects = _Suspects(self._client)

    def head(self, url: str, access: Access) -> _Head:
        """A file's first bytes, and what its server says of it."""
        return self._heads.get(url, partial(self._read_head, url, access))

    def range(self, url: str, span: _Span, head: _Head, access: Access) -> bytes:
        """A file's bytes from one position up to another."""
        return self._ranges.get((url, span), partial(self._read_range, url, span, head, access))

    def drop(self, url: str, head: _Head, used: Mapping[_Span, bytes]) -> bool:
        """Forget ranges that cannot be decoded, or the head if no range was used; False if another thread has done so."""
        dropped = [(url, span) for span, content in used.items() if self._ranges.drop((url, span), content)]
        for key in dropped:
            self._suspects.add(key, used[key[1]])
        if dropped or not self._heads.drop(url, head):
            return bool(dropped)
        self._suspects.add((url, _HEADER), head.content)
        return True

    def _read_head(self, url: str, access: Access) -> _Head:
        request = Request(url=url, headers={"Range": f"bytes=0-{_HEAD - 1}"}, most_bytes=_HEAD, wrong=_no_raster)
        answer = self._client.fetch(request, access)
        self._suspects.compare((url, _HEADER), answer.body)
        return _Head(_total(answer) or len(answer.body), answer.headers.get("etag"), answer.body)

    def _read_range(self, url: str, span: _Span, head: _Head, access: Access) -> bytes:
        first, end = span
        if end - first > _MOST:
            raise GridError(f"{url} has a block of {end - first} bytes: no sensible raster has")
        request = Request(
            url=url,
            headers={"Range": f"bytes={first}-{end - 1}"},
            most_bytes=end - first,
            wrong=partial(_no_range, length=end - first, head=head),
        )
        answer = self._client.fetch(request, access)
        if _total(answer) != head.size or answer.headers.get("etag") != head.etag:
            self._heads.drop(url, head)
            raise ReadFailed(f"{url} changed while it was read")
        self._suspects.compare((url, span), answer.body)
        return answer.body


@dataclass(slots=True)
class _ReadLog:
    """What reads through any of a file's views came to, since they were last looked at."""

    error: NutonicError | None = None
    used: dict[_Span, bytes] = field(default_factory=dict)


class RemoteFile(io.RawIOBase):
    """A file for GDAL. GDAL only learns that a read failed; why is kept in `error`, for who called GDAL."""

    def __init__(self, url: str, access: Access, cache: RangeCache, log: _ReadLog | None = None) -> None:
        self.url = url
        self._access, self._cache, self._at, self._log = access, cache, 0, log or _ReadLog()
        self._head = cache.head(url, access)

    def again(self) -> RemoteFile:
        """The same file with a position of its own: some drivers open theirs once per thread."""
        return RemoteFile(self.url, self._access, self._cache, self._log)

    @property
    def error(self) -> NutonicError | None:
        """What went wrong first since `begin`."""
        return self._log.error

    @property
    def driver(self) -> str:
        """GDAL's name of the format that the first bytes tell."""
        return self._head.driver

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._head.size

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as files do."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Bytes from here on; none where it fails, which sets `error`."""
        end = self.size if size < 0 else min(self._at + size, self.size)
        try:
            content = self._bytes((self._at, end)) if end > self._at else b""
        except NutonicError as error:
            self._log.error = self._log.error or error
            return b""
        self._at += len(content)
        return content

    def begin(self) -> None:
        """Forget the error and the ranges of the read before."""
        self._log.error = None
        self._log.used.clear()

    def damaged(self) -> bool:
        """Drop what was read since `begin`, since it cannot be decoded; False if another thread has done so already."""
        return self._cache.drop(self.url, self._head, self._log.used)

    def _bytes(self, span: _Span) -> bytes:
        first, end = span
        if end <= len(self._head.content):
            return self._head.content[first:end]
        if end - first >= self._head.page:
            return self._range(span)
        start = first // self._head.page * self._head.page
        pages = range(start, end, self._head.page)
        content = b"".join(self._range((at, min(at + self._head.page, self.size))) for at in pages)
        return content[first - start : end - start]

    def _range(self, span: _Span) -> bytes:
        content = self._cache.range(self.url, span, self._head, self._access)
        self._log.used[span] = content
        return content


def _no_raster(answer: Answer) -> str | None:
    if not answer.body.startswith(_TIFF + _JP2):
        return "not a raster"
    total = _total(answer)
    return "cut short" if total is None or len(answer.body) != min(_HEAD, total) else None


def _total(answer: Answer) -> int | None:
    match = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("content-range", ""))
    return int(match[1]) if match else None


def _no_range(answer: Answer, *, length: int, head: _Head) -> str | None:
    """Whether a range is short; of a file that has another size now it may be."""
    total = _total(answer)
    return "cut short" if total is None or (total == head.size and len(answer.body) != length) else None
