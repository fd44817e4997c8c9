"""A file behind a URL, read in the ranges that GDAL asks for; each range is fetched once by all threads together."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from nutonic.core.model import HEAD_BYTES, RemotePin
from nutonic.errors import GridError, NutonicError, ReadFailed
from nutonic.io.access import Access
from nutonic.io.cache import SingleFlightCache
from nutonic.io.files import PositionedFile
from nutonic.io.http import Answer, Client, Request

#: Bytes fetched with the first request: the whole header of nearly every COG.
_HEAD = HEAD_BYTES

#: Headers and ranges that a cache keeps, in bytes.
_KEPT_HEADS, KEPT_RANGES = 16 * 2**20, 64 * 2**20

#: The longest range that is fetched: far more than any sensible block.
_MOST = 128 * 2**20

#: Digits of the digests in a pin.
_DIGITS = 16

#: The largest file, in bytes: 64 TiB.
_MOST_SIZE = 2**46

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JP2 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server says by which one version of a file is told from another."""

    size: int
    etag: str | None
    modified: str | None

    def same(self, other: Validators) -> bool:
        """Whether two answers can be of one version, by what both of them tell.

        Servers behind one name may each have an ETag of their own for one file; its time and size are the same then. Or
        each has its own time for it, and the ETag is made of the content. What only one of them tells proves nothing.
        """
        if self.size != other.size:
            return False
        if self.modified and other.modified and self.modified == other.modified:
            return True
        if self.etag and other.etag:
            times = bool(self.modified and other.modified)
            weak = self.etag.startswith("W/") or other.etag.startswith("W/")
            return self.etag.removeprefix("W/") == other.etag.removeprefix("W/") and not (times and weak)
        return not (self.etag or other.etag or self.modified or other.modified)


def pin_from(told: Validators, content: bytes) -> RemotePin:
    """The pin of a file whose first bytes are `content`."""
    etag, modified = told.etag, told.modified
    weak = "W/" if etag is not None and etag.startswith("W/") else ""
    return RemotePin(
        size=told.size,
        head=_digest(content),
        etag=None if etag is None else weak + _digest(etag.removeprefix("W/").encode()),
        modified=None if modified is None else _digest(modified.encode()),
    )


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:_DIGITS]


@dataclass(slots=True, kw_only=True, eq=False)
class _Head:
    validators: Validators
    content: bytes
    pin: RemotePin
    stale: bool = False
    """Whether the file was found to be another since."""

    @property
    def size(self) -> int:
        return self.validators.size

    @property
    def version(self) -> tuple[object, ...]:
        """What is the same for all heads of one version of a file, as far as anybody can tell."""
        return self.size, self.validators.modified or self.validators.etag, self.content

    @property
    def driver(self) -> str:
        return "GTiff" if self.content.startswith(_TIFF) else "JP2OpenJPEG"

    @property
    def page(self) -> int:
        """Small reads are rounded out to pages: JPEG 2000 is read in a great many of them, a TIFF in hardly any."""
        return 16 * 2**10 if self.driver == "GTiff" else 256 * 2**10


_Span = tuple[int, int]
_Key = tuple[str, _Span, tuple[object, ...]]
_HEADER: _Span = (0, _HEAD)


class Changed(ReadFailed):
    """The file is another one now; what was read of it goes with nothing that will be."""


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
        self._ranges: SingleFlightCache[_Key, bytes] = SingleFlightCache(KEPT_RANGES, len)

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
        """A file's bytes from one position up to another, of the version that the head is of.

        Raises
        ------
        Changed
            If there is another version now.
        """
        return self._ranges.get((url, span, head.version), partial(self._read_range, url, span, head, access))

    def drop(self, url: str, head: _Head, used: Mapping[_Span, bytes]) -> bool:
        """Forget ranges that cannot be decoded, or the head if no range was used; False if another thread has done so."""
        version = head.version
        dropped = [span for span, content in used.items() if self._ranges.drop((url, span, version), content)]
        for span in dropped:
            self._suspects.add((url, span), used[span])
        if dropped or not self._heads.drop(url, head):
            return bool(dropped)
        self._suspects.add((url, _HEADER), head.content)
        return True

    def _read_head(self, url: str, access: Access) -> _Head:
        request = Request(url=url, headers={"Range": f"bytes=0-{_HEAD - 1}"}, most_bytes=_HEAD, wrong=_no_raster)
        answer = self._client.fetch(request, access)
        self._suspects.compare((url, _HEADER), answer.body)
        told = validators_of(answer)
        return _Head(validators=told, content=answer.body, pin=pin_from(told, answer.body))

    def _read_range(self, url: str, span: _Span, head: _Head, access: Access) -> bytes:
        first, end = span
        if end - first > _MOST:
            raise GridError(f"{url} has a block of {end - first} bytes: no sensible raster has")
        request = Request(
            url=url,
            headers={"Range": f"bytes={first}-{end - 1}"},
            most_bytes=end - first,
            wrong=partial(_no_range, span=span, head=head),
            out_of_range=True,
        )
        answer = self._client.fetch(request, access)
        if not validators_of(answer).same(head.validators):
            head.stale = True
            self._heads.drop(url, head)
            self._client.count_fault("changed")
            raise Changed(f"{url} changed while it was read")
        self._suspects.compare((url, span), answer.body)
        return answer.body


@dataclass(slots=True)
class _ReadLog:
    """What reads through any of a file's views came to, since they were last looked at."""

    error: NutonicError | None = None
    used: dict[_Span, bytes] = field(default_factory=dict)


class RemoteFile(PositionedFile):
    """A file for GDAL. GDAL only learns that a read failed; why is kept in `error`, for who called GDAL."""

    def __init__(self, url: str, access: Access, cache: RangeCache, same: RemoteFile | None = None) -> None:
        self.url, self._access, self._cache = url, access, cache
        self._head: _Head = same._head if same else cache.head(url, access)
        self._log: _ReadLog = same._log if same else _ReadLog()

    def again(self) -> RemoteFile:
        """The same file, in the same version, with a position of its own: some drivers open theirs once per thread."""
        return RemoteFile(self.url, self._access, self._cache, self)

    @property
    def error(self) -> NutonicError | None:
        """What went wrong first since `begin`."""
        return self._log.error

    @property
    def stale(self) -> bool:
        """Whether the file behind the URL is known to be another by now."""
        return self._head.stale

    @property
    def driver(self) -> str:
        """GDAL's name of the format that the first bytes tell."""
        return self._head.driver

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._head.size

    @property
    def pin(self) -> RemotePin:
        """What the file was when it was opened."""
        return self._head.pin

    @property
    def version(self) -> tuple[object, ...]:
        """What is the same for all that read one version of the file."""
        return self._head.version

    def part(self, start: int, end: int) -> bytes:
        """Bytes of the file, for who asks for them without GDAL.

        Raises
        ------
        Changed, ReadFailed, Gone, Refused
            If they cannot be had.
        """
        return self._bytes(start, end)

    def begin(self) -> None:
        """Forget the error and the ranges of the read before."""
        self._log.error = None
        self._log.used.clear()

    def damaged(self) -> bool:
        """Drop what was read since `begin`, since it cannot be decoded; False if another thread has done so already.

        Of a file that has changed nothing is dropped: nobody will ask for it.
        """
        return not self.stale and self._cache.drop(self.url, self._head, self._log.used)

    def _span(self, start: int, end: int) -> bytes:
        """Bytes of the file; none where it fails, which sets `error`."""
        try:
            return self._bytes(start, end)
        except NutonicError as error:
            self._log.error = self._log.error or error
            return b""

    def _bytes(self, first: int, end: int) -> bytes:
        if end <= len(self._head.content):
            return self._head.content[first:end]
        if end - first >= self._head.page:
            return self._range((first, end))
        start = first // self._head.page * self._head.page
        pages = range(start, end, self._head.page)
        content = b"".join(self._range((at, min(at + self._head.page, self.size))) for at in pages)
        return content[first - start : end - start]

    def _range(self, span: _Span) -> bytes:
        content = self._cache.range(self.url, span, self._head, self._access)
        self._log.used[span] = content
        return content


def _no_raster(answer: Answer) -> str | None:
    """What is wrong with an answer that should be the first bytes of a raster."""
    if not answer.body.startswith(_TIFF + _JP2):
        return "not a raster"
    return wrong_range(answer, _HEADER)


def _no_range(answer: Answer, *, span: _Span, head: _Head) -> str | None:
    """What is wrong with an answer that should be a range; of a file that has another size now none need be there."""
    if answer.status == 416:
        return "416" if size_of(answer) in (None, head.size) else None
    return wrong_range(answer, span)


def wrong_range(answer: Answer, span: _Span) -> str | None:
    """What is wrong with a part of a file, by what the server tells of it: it may be any other part."""
    told = _content_range(answer)
    if told is None:
        return "range not told"
    first, last, size = told
    if first != span[0] or last >= span[1]:
        return "another range"
    if not first <= last < size <= _MOST_SIZE:
        return "range impossible"
    return None if last == min(span[1], size) - 1 and len(answer.body) == last - first + 1 else "cut short"


def _content_range(answer: Answer) -> tuple[int, int, int] | None:
    """First and last byte of a part, and the bytes of the whole; None if that is not told, or in two ways."""
    values = {value.strip().lower() for value in answer.headers.get("content-range", "").split(",")}
    match = (
        re.fullmatch(r"bytes\s+(\d{1,20})-(\d{1,20})/(\d{1,20})", values.pop(), re.ASCII) if len(values) == 1 else None
    )
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def size_of(answer: Answer) -> int | None:
    """Bytes of the whole file, as an answer tells them."""
    match = re.fullmatch(
        r"bytes\s+[\d-]*\*?/(\d{1,20})", answer.headers.get("content-range", ""), re.ASCII | re.IGNORECASE
    )
    return int(match[1]) if match else None


def validators_of(answer: Answer) -> Validators:
    """What a server says of the file that an answer is a part of."""
    etag, modified = answer.headers.get("etag"), answer.headers.get("last-modified")
    return Validators(size=size_of(answer) or 0, etag=etag, modified=modified)
