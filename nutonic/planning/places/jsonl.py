"""Places as JSON, a value a line: JSON Lines, a GeoJSON Feature a line, and GeoJSON text sequences."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import orjson

from nutonic.errors import PoiError
from nutonic.planning.places.geojson import Features
from nutonic.planning.places.rows import Row
from nutonic.planning.places.text import MAX_LINE, bounded_lines, encoding_of, not_text, stray_byte
from nutonic.recipe.inputs import Pois

#: What begins each value of a GeoJSON text sequence (RFC 8142).
_RECORD = b"\x1e"


def jsonl_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The data rows of a file with one JSON object a line; a line with anything else is a bad row."""
    features, rows = Features(pois, path, "line"), 0
    encoding = encoding_of(file.read(1 << 16), path)
    file.seek(0)
    lines = bounded_lines(file, path) if encoding.startswith("utf-8") else _recoded(file, encoding, path)
    for number, text in _records(lines, path):
        row, rows = _row(number, text, features), rows + 1
        if rows == pois.limit:  # the caller stops here, so check before the last row
            features.refuse_missing()
        yield row
    features.refuse_missing()


def _recoded(file: BinaryIO, encoding: str, path: str) -> Iterator[bytes]:
    """Lines of UTF-16 as UTF-8."""
    text = io.TextIOWrapper(file, encoding=encoding)
    try:
        yield from (line.encode() for line in bounded_lines(text, path))
    except UnicodeError:
        text.detach()
        raise not_text(file, encoding, path) from None


def _records(lines: Iterable[bytes], path: str) -> Iterator[tuple[int, bytes]]:
    """The number of the first line and the text of each value; a sequence's values may have several lines."""
    record: list[bytes] = []
    start, in_sequence = 1, False
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(codecs.BOM_UTF8).strip() if number == 1 else line.strip()
        if text.startswith(_RECORD):
            in_sequence, text = True, text[1:].strip()
            if record:
                yield start, b"\n".join(record)
            record, start = [], number
        if in_sequence:
            record += [text] if text else []
            if sum(map(len, record)) > MAX_LINE:
                raise PoiError(f"{path}, line {start} begins a value longer than {MAX_LINE >> 20} MiB")
        elif text:
            yield number, text
    if record:
        yield start, b"\n".join(record)


def _row(number: int, text: bytes, features: Features) -> Row:
    value = _parsed(text)
    if not isinstance(value, dict):
        return Row(number, wrong=("bad row", f"{text[:40].decode('utf-8', 'replace')!r} {_why(text)}"))
    if value.get("type") == "FeatureCollection":
        return Row(number, wrong=("bad row", "a FeatureCollection in one line: name the file .geojson"))
    return features.row(number, value)


def _why(text: bytes) -> str:
    """Why a line is no object, for the reject's detail."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return (
            f"is not UTF-8 text (byte {error.start} of the line{stray_byte(text, error.start)}): save the file as UTF-8"
        )
    in_array = text.startswith(b"[{") or text.endswith((b"},", b"}]", b":["))
    return "is no JSON object" + (": is the file one array? Then name it .json" if in_array else "")


def _parsed(text: bytes) -> Any:
    """A line's value, or None; NaN and Infinity, which are no JSON, are read as Python writes them."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
