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
MAX_RATIO, HARMLESS = 200, 4 << 20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: How files begin that are no text, and what they are.
_NO_TEXT = (
    (b"\x1f\x8b", "a gzip file: end its name in .gz"),
    (b"PK\x03\x04", "a zip file or an Excel workbook: save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save it as CSV"),
    (b"PAR1\x15", "a Parquet file: end its name in .parquet"),
    (b"SQLite format 3\0", "a GeoPackage or another database: end its name in .gpkg"),
)


class Unpacked(io.RawIOBase):
    """What a gzip file unpacks to, within bounds."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file, self._packed, self._path = gzip.GzipFile(fileobj=file), file, path

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
        if self._file.tell() > max(HARMLESS, MAX_RATIO * self._packed.tell()):  # of what has been read so far
            raise PoiError(
                f"{self._path} unpacks to more than {MAX_RATIO} times its size: is it a places file? "
                "If it is, unpack it, and name what comes out"
            )
        return count


def encoding_of(head: bytes, path: str) -> str:
    """How a file's text is encoded, by its first bytes: by their mark, or by every second byte of a letter being zero.

    Raises
    ------
    PoiError
        If they are those of a file that is no text, with what it is.
    """
    for mark, kind in _NO_TEXT:
        if head.startswith(mark):
            raise PoiError(f"{path} is {kind}")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    sample = head[: len(head) // 2 * 2]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    most, least = max(even, odd), min(even, odd)
    if most * 4 > len(sample) and least * 5 <= most:  # letters such as Ā have a zero in the other place
        return "utf-16-le" if odd == most else "utf-16-be"
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


def not_text(file: BinaryIO, encoding: str, path: str) -> PoiError:
    """The error for a file that stops being text of an encoding, with where, and what to do."""
    byte, line, value = _first_bad_byte(file, encoding)
    if not encoding.startswith("utf-8"):
        return PoiError(f"{path} is not {encoding.upper()} text (byte {byte}) in line {line}: save it as UTF-8")
    return PoiError(
        f"{path} is not UTF-8 text (byte {byte}) in line {line}{stray_byte(value, 0)}: save it as UTF-8, "
        "or convert it, for instance with iconv -f WINDOWS-1252 -t UTF-8"
    )


def stray_byte(text: bytes, at: int) -> str:
    """What a byte that is no UTF-8 would be in the encoding that programs on Windows write, for a message."""
    letter = text[at : at + 1].decode("cp1252", "ignore")
    return f", where Windows-1252 has {letter!r}" if letter.isprintable() and letter else ""


def _first_bad_byte(file: BinaryIO, encoding: str) -> tuple[int, int, bytes]:
    """Where a file stops being text of an encoding: byte, line, and the byte itself."""
    file.seek(0)
    decoder, at, line = codecs.getincrementaldecoder(encoding)(), 0, 1
    while True:
        chunk = file.read(1 << 20)
        text = decoder.getstate()[0] + chunk
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            return at + error.start, line + _ends(text[: error.start]), text[error.start : error.start + 1]
        done = text[: len(text) - len(decoder.getstate()[0])]
        at, line = at + len(done), line + _ends(done)
        if not chunk:
            return at, line, b""


def _ends(chunk: bytes) -> int:
    """How many lines end in a chunk."""
    return chunk.count(b"\n") or chunk.count(b"\r")
