"""Places as tables of text: CSV and its relatives, as programs and people export them."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from nutonic.core.units import counted
from nutonic.errors import PoiError
from nutonic.planning.places.columns import problem_with_coordinates
from nutonic.planning.places.coordinates import degrees, point_of
from nutonic.planning.places.names import Columns, Found, refuse_contradiction
from nutonic.planning.places.rows import Row
from nutonic.planning.places.text import MAX_LINE, bounded_lines, encoding_of, not_text
from nutonic.recipe.inputs import Pois

_DELIMITERS = ",;\t|"
#: Delimiters of tables that programs write without quotes: there a quote may be a letter.
_UNQUOTED = "\t|"
_SEP = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
#: What a blank line may hold.
_BLANK = " \t\r\n,;|"
_END = re.compile(r"\r\n|\n|\r")
_HEAD = 1 << 16
_HEADER_LINES = 50


@dataclass(frozen=True, slots=True)
class _Table:
    """How a table is written, and what its columns hold."""

    delimiter: str
    names: Sequence[str]
    found: Found
    lines: int
    """Of the header."""
    quoted: bool = True
    """Whether a quote is a quote, and no letter."""

    def reader(self, lines: Iterable[str], *, strict: bool = False) -> Any:
        """The cells of lines, row by row."""
        return _reader(lines, self.delimiter, self.quoted, strict)


def _reader(lines: Iterable[str], delimiter: str, quoted: bool, strict: bool = False) -> Any:
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=delimiter, quoting=quoting, skipinitialspace=True, strict=strict)


class _Lines:
    """Lines, and those of the row that is being read."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self.at_end = lines, False
        self.of_row: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.of_row.append(line)
            yield line
        self.at_end = True


def csv_rows(file: BinaryIO, path: str, pois: Pois) -> Iterator[Row]:
    """The data rows of a table with a header: commas, semicolons, tabs or bars between cells.

    Lines that are blank or begin with ``#`` may come first, and Excel's ``sep=;``.

    Raises
    ------
    PoiError
        If it is no such table, or a quote is left open in it.
    """
    encoding = encoding_of(file.read(_HEAD), path)
    try:
        with _any_length():
            with _lines(file, encoding, path) as lines:
                table, start, rest = _begun(lines, path, pois)
                quoted = table.delimiter not in _UNQUOTED or not _has_quotes(file)
                if quoted:
                    yield from _rows(table, rest, start, path)
            if not quoted:
                yield from _doubtful_rows(file, encoding, path, pois)
    except UnicodeError:
        raise not_text(file, encoding, path) from None


def _doubtful_rows(file: BinaryIO, encoding: str, path: str, pois: Pois) -> Iterator[Row]:
    """The rows of a table with quotes that may be letters: they are if reading them as quotes breaks or loses a row."""
    with _lines(file, encoding, path) as lines:
        table, start, rest = _begun(lines, path, pois)
        try:
            for _ in _rows(table, rest, start, path, strict=True):
                pass
            broken = None
        except _OpenQuote as error:
            broken = error
    with _lines(file, encoding, path) as lines:
        table, start, rest = _begun(lines, path, pois, quoted=broken is None)
        rows = _rows(table, rest, start, path)
        first = next(rows, None)
        if broken and first and any(isinstance(cell, str) and '"' in cell for cell in (first.lon, first.lat)):
            raise broken  # numbers are in quotes, so quotes are quotes, and one of them is astray
        yield from itertools.chain([first] if first else (), rows)


class _OpenQuote(PoiError):
    """A quote that is never closed, or closed only after a row has been lost."""


@contextmanager
def _any_length() -> Iterator[None]:
    """Cells may be as long as lines; the limit is the csv module's, of the whole process."""
    before = csv.field_size_limit(MAX_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@contextmanager
def _lines(file: BinaryIO, encoding: str, path: str) -> Iterator[Iterator[str]]:
    """The lines of a file from its start; it stays open."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        yield bounded_lines(text, path)
    finally:
        text.detach()


def _has_quotes(file: BinaryIO) -> bool:
    """Whether there is a quote in the file at all; its position is kept."""
    at = file.tell()
    file.seek(0)
    found = any(b'"' in chunk for chunk in iter(lambda: file.read(1 << 20), b""))
    file.seek(at)
    return found


def _begun(lines: Iterator[str], path: str, pois: Pois, *, quoted: bool = True) -> tuple[_Table, int, Iterator[str]]:
    """How the table is written, the number of its first data line, and the lines from there."""
    skipped, sep, comment = 0, None, None
    first = ""
    for line in lines:
        bare = line.strip(_BLANK)
        if found := _SEP.fullmatch(line.rstrip("\r\n")):
            sep = found[1]
        elif bare.startswith("#"):
            comment = line
        elif bare:
            first = line
            break
        skipped += 1
    head = [first, *itertools.islice(lines, _HEADER_LINES)]
    columns = Columns(pois, path)
    delimiters = [sep] if sep else sorted(_DELIMITERS, key=first.count, reverse=True)
    tables = [table for each in delimiters if (table := _table(head, each, columns, quoted)).found.is_located]
    if not tables and comment is not None:
        bare = comment.lstrip(" \t#")
        named = [_table([bare], each, columns, quoted) for each in sorted(_DELIMITERS, key=bare.count, reverse=True)]
        for table in named:
            if table.found.is_located:
                return table, skipped + 1, itertools.chain(head if first else (), lines)
    table = tables[0] if tables else _table(head, delimiters[0], columns, quoted)
    where = f"its line {skipped + 1} names" if skipped else "its first line names"
    if not (first or comment or skipped):
        raise PoiError(f"{path} is empty: its first line names columns, such as id,lon,lat; see pois.path")
    if error := columns.missing([table.found], table.names, where):
        raise error
    return table, skipped + table.lines + 1, itertools.chain(head[table.lines :], lines)


def _table(head: Sequence[str], delimiter: str, columns: Columns, quoted: bool) -> _Table:
    reader = _reader(head, delimiter, quoted)
    try:
        names: list[str] = next(reader, [])
    except csv.Error:
        names = []
    return _Table(delimiter, names, columns.find(names), reader.line_num, quoted)


def _rows(table: _Table, lines: Iterable[str], start: int, path: str, *, strict: bool = False) -> Iterator[Row]:
    source = _Lines(lines)
    reader, found, of_row = table.reader(iter(source), strict=strict), table.found, source.of_row
    point, lon, lat, own_id, keep, names = (
        found.point,
        found.lon or 0,
        found.lat or 0,
        found.id,
        found.keep,
        len(table.names),
    )
    wrong = None
    try:
        for cells in reader:
            line, start = start, start + len(of_row)
            if len(of_row) > 1:
                _refuse_open_quote(table, source, cells, line, path)
            of_row.clear()
            if not cells:
                continue
            if len(cells) != names:
                wrong = _fitted(cells, table)
            if found.others:
                refuse_contradiction(path, found, table.names, cells, f"line {line}")
            place = (cells[lon], cells[lat], wrong) if point is None else point_of(cells[point], found.first)
            keep_values = [cells[at or 0].strip() or None for at in keep] if keep else ()
            yield Row(
                line, None if own_id is None else cells[own_id], place[0], place[1], keep_values, wrong or place[2]
            )
            wrong = None
    except csv.Error as error:
        raise _OpenQuote(f"{path}, line {start}: {error}: is a quote left open there?") from None


def _fitted(cells: list[str], table: _Table) -> tuple[str, str] | None:
    """Fill up a row that ends early; reason and detail of the reject for one that has more cells than there are names."""
    names = len(table.names)
    more = [cell for cell in cells[names:] if cell.strip()]
    cells += [""] * (names - len(cells))
    if not more:
        return None
    name = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}.get(table.delimiter, repr(table.delimiter))
    return "bad row", f"has {len(cells)} cells, but {names} columns are named: is a {name} in a cell without quotes?"


def _refuse_open_quote(table: _Table, source: _Lines, cells: Sequence[str], line: int, path: str) -> None:
    """Raise if a row of several lines ends with the file, or holds a line that is a row itself."""
    close = 'close it, or write "" for a quote that is a letter'
    if source.at_end:
        count = len(source.of_row) - 1
        raise _OpenQuote(
            f"{path}, line {line}: a quote is opened and never closed, {counted(count, 'line')} would be lost: {close}"
        )
    first, *middle, last = source.of_row
    whole = len(cells) == len(table.names) and _is_place(cells, table.found)
    inside = {
        part for cell in cells for part in _END.split(cell)[1:-1]
    }  # other lines may hold the row's own coordinates
    swallowed = (
        number
        for number, text in enumerate(middle, line + 1)
        if (not whole or text.rstrip("\r\n").replace('""', '"') in inside) and _is_row(table, text)
    )
    lost: int | None = next(swallowed, None)
    if lost is None and _is_row(table, first) and _is_row(table, last):
        lost = line + len(middle) + 1
    if lost is not None:
        raise _OpenQuote(f"{path}, line {line}: a quote is still open in line {lost}, which is a row itself: {close}")


def _is_row(table: _Table, text: str) -> bool:
    """Whether a line alone has a cell for every column, and coordinates; its quotes may be letters, or astray."""
    ways = ((text, True), (text, False), (text.replace('"', ""), False))
    readings: Iterator[list[str]] = (next(_reader([line], table.delimiter, quoted), []) for line, quoted in ways)
    return any(len(cells) == len(table.names) and _is_place(cells, table.found) for cells in readings)


def _is_place(cells: Sequence[str], found: Found) -> bool:
    try:
        if found.point is None:
            lon, lat = degrees(cells[found.lon or 0], "lon"), degrees(cells[found.lat or 0], "lat")
        else:
            x, y, _ = point_of(cells[found.point], found.first)
            lon, lat = degrees(x, "lon"), degrees(y, "lat")
    except (ValueError, TypeError, OverflowError):
        return False
    return problem_with_coordinates(lon, lat) is None
