"""Places as text, read line by line: CSV, and JSON Lines."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from nutonic.errors import PoiError
from nutonic.planning.places.rows import Row, Shapes, columns_of, find_columns
from nutonic.recipe.inputs import Pois

#: Most bytes of a line, and of an unpacked file: a few kilobytes of gzip can unpack to any amount.
MAX_LINE, MAX_UNPACKED = 16 << 20, 4 << 30


def csv_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The data rows of a CSV with a header; commas, semicolons or tabs between cells."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        lines = bounded_lines(text, path)
        first = next(lines, "")
        delimiter = max(",;\t", key=first.count)
        yield from _cells(csv.reader(itertools.chain([first], lines), delimiter=delimiter), path, pois)
    except UnicodeDecodeError:
        raise PoiError(f"{path} is not UTF-8 text (byte {first_bad_byte(file)}): save it as UTF-8 CSV") from None
    finally:
        text.close()


def _cells(reader: Any, path: str, pois: Pois) -> Iterator[Row]:
    rows = 0
    try:
        header: list[str] = next(reader, [])
        lon, lat, own_id, *keep = find_columns(columns_of(pois), path, header, "its first line names")
        width = max(lon or 0, lat or 0, own_id or 0, *(at or 0 for at in keep)) + 1
        start = reader.line_num + 1
        for cells in reader:
            line, start = start, reader.line_num + 1
            if cells:
                if len(cells) < width:
                    cells += [""] * (width - len(cells))
                keep_values = [cells[at or 0].strip() or None for at in keep] if keep else ()
                yield Row(
                    line, None if own_id is None else cells[own_id], cells[lon or 0], cells[lat or 0], keep_values
                )
                rows += 1
    except csv.Error as error:
        raise PoiError(f"{path} is no CSV after data row {rows}: {error}: is a quote left open?") from None


def jsonl_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The data rows of a file with one JSON object a line; a line with anything else is a bad row."""
    shapes, rows = Shapes(columns_of(pois), path), 0
    for number, line in enumerate(bounded_lines(file, path), 1):
        text = line.removeprefix(codecs.BOM_UTF8).strip() if number == 1 else line.strip()
        if text:
            row, rows = _object_row(number, text, shapes), rows + 1
            if rows == pois.limit:  # the caller stops here, so check before the last row
                shapes.refuse_missing()
            yield row
    shapes.refuse_missing()


def _object_row(number: int, text: bytes, shapes: Shapes) -> Row:
    value = _parsed(text)
    if not isinstance(value, dict):
        return Row(number, wrong=("bad row", f"{text[:40].decode('utf-8', 'replace')!r} is no JSON object"))
    lon, lat, own_id, *keep_values = shapes.values(value)
    return Row(number, own_id, lon, lat, keep_values)


def _parsed(text: bytes) -> Any:
    """A line's value, or None; NaN and Infinity, which are no JSON, are read as Python writes them."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None


def bounded_lines(file: Any, path: str) -> Iterator[Any]:
    """The lines of a text or a binary file; :class:`PoiError` where one, or all together, are out of bounds."""
    number, total = 0, 0
    while line := file.readline(MAX_LINE):
        number, total = number + 1, total + len(line)
        if len(line) == MAX_LINE:
            raise PoiError(f"{path}, line {number} is longer than {MAX_LINE >> 20} MiB: is it a places file?")
        if total > MAX_UNPACKED:
            raise PoiError(f"{path} holds more than {MAX_UNPACKED >> 30} GiB of text: cut it, or convert it to Parquet")
        yield line


def first_bad_byte(file: BinaryIO) -> int:
    """Where a file stops being UTF-8."""
    file.seek(0)
    decoder, at = codecs.getincrementaldecoder("utf-8")(), 0
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
