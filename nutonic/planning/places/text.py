"""The text of places files: its encoding, its lines, and the bounds of both."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from nutonic.errors import PoiError

#: Most bytes of a line, and of an unpacked file.
MAX_LINE, MAX_UNPACKED = 16 << 20, 4 << 30
#: Most times its packed size that a file may have, once it is larger than a size that does no harm: tables of places
#: have a ratio of ten, and a few kilobytes of gzip can unpack to any amount.
MAX_RATIO, HARMLESS = 200, 32 << 20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Unpacked(io.RawIOBase):
    """What a gzip file unpacks to, within bounds."""

    def __init__(self, file: BinaryIO, packed: int, path: str) -> None:
        self._file, self._packed, self._path = gzip.GzipFile(fileobj=file), packed, path

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, from its start."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Unpack up to there."""
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        """Unpack the next bytes; :class:`PoiError` beyond the bounds."""
        count = self._file.readinto(buffer)
        total = self._file.tell()
        if total > max(HARMLESS, MAX_RATIO * self._packed):
            raise PoiError(
                f"{self._path} unpacks to more than {MAX_RATIO} times its size: is it a places file? "
                "If it is, unpack it, and name what comes out"
            )
        return count


def encoding_of(head: bytes) -> str:
    """How a file's text is encoded, by its first bytes: by their mark, or by every second byte of a letter being zero."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    sample = head[: len(head) // 2 * 2]
    if b"\0" in sample and sample.isascii():
        even, odd = sample[::2].count(0), sample[1::2].count(0)
        if max(even, odd) * 2 > len(sample) // 2 and not min(even, odd):
            return "utf-16-le" if odd else "utf-16-be"
    return "utf-8"


def bounded_lines(file: Any, path: str) -> Iterator[Any]:
    """The lines of a text or a binary file; :class:`PoiError` where one, or all together, are out of bounds."""
    number, total, readline = 0, 0, file.readline
    while line := readline(MAX_LINE):
        number, total = number + 1, total + len(line)
        if len(line) == MAX_LINE:
            raise PoiError(f"{path}, line {number} is longer than {MAX_LINE >> 20} MiB: is it a places file?")
        if total > MAX_UNPACKED:
            raise PoiError(f"{path} holds more than {MAX_UNPACKED >> 30} GiB of text: cut it, or convert it to Parquet")
        yield line


def first_bad_byte(file: BinaryIO, encoding: str = "utf-8") -> int:
    """Where a file stops being text of an encoding."""
    file.seek(0)
    decoder, at = codecs.getincrementaldecoder(encoding)(), 0
    while True:
        chunk = file.read(1 << 20)
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            return at - pending + error.start
        at += len(chunk)
        if not chunk:
            return at
