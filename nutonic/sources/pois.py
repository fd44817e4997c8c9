"""Places files: rows in, places and rejects out."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nutonic.errors import PoiError
from nutonic.model import Reject
from nutonic.places import Places, default_id, problem_with_coordinates, problem_with_id

_LON, _LAT = ("lon", "longitude"), ("lat", "latitude")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoiFile:
    """The places of a file, and what was wrong with the rest of it."""

    places: Places
    rejects: list[Reject]
    sha256: str
    """Of the file's bytes, hex."""
    rows: int
    """Data rows seen, bad ones included."""


def read_pois(path: str, limit: int | None = None) -> PoiFile:
    """Read a CSV of places: columns ``lon`` or ``longitude``, ``lat`` or ``latitude``, and optionally ``id``.

    A bad row is a reject with its line and what is wrong, never an exception; it keeps its ordinal.

    Raises
    ------
    PoiError
        If the file cannot be read or has no columns of coordinates.
    """
    content = _content(path)
    rows = _csv_rows(content, path)
    collected = _Collector()
    try:
        for ordinal, row in enumerate(rows):
            if limit is not None and ordinal >= limit:
                break
            collected.add(ordinal, row)
    except csv.Error as error:
        raise PoiError(f"{path} is no CSV after data row {collected.rows}: {error}: is a quote left open?") from None
    return PoiFile(
        places=collected.places(),
        rejects=collected.rejects,
        sha256=hashlib.sha256(content).hexdigest(),
        rows=collected.rows,
    )


def file_sha256(path: str) -> str:
    """SHA-256 (hex) of a places file's bytes."""
    return hashlib.sha256(_content(path)).hexdigest()


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PoiError(
            f"cannot read the places file {path}: {(error.strerror or 'unreadable').lower()}; see pois.path"
        ) from None


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    id: str
    lon: str
    lat: str


def _csv_rows(content: bytes, path: str) -> Iterator[_Row]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PoiError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8 CSV") from None
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader, [])]
    lon, lat = _column(names, _LON, path), _column(names, _LAT, path)
    own_id = names.index("id") if "id" in names else None
    return _rows(reader, lon, lat, own_id)


def _rows(reader: Iterator[list[str]], lon: int, lat: int, own_id: int | None) -> Iterator[_Row]:
    start = reader.line_num + 1  # type: ignore[attr-defined]
    for cells in reader:
        line, start = start, reader.line_num + 1  # type: ignore[attr-defined]
        if cells:
            cell = {i: value.strip() for i, value in enumerate(cells)}
            name = "" if own_id is None else cell.get(own_id, "")
            yield _Row(line, name, cell.get(lon, ""), cell.get(lat, ""))


def _column(names: list[str], wanted: tuple[str, ...], path: str) -> int:
    for name in wanted:
        if name in names:
            return names.index(name)
    found = ", ".join(names[:8]) or "nothing"
    raise PoiError(f"{path} has no column {' or '.join(wanted)}; its first line names {found}")


class _Collector:
    """Columns of the good rows, rejects of the others."""

    def __init__(self) -> None:
        self.rows = 0
        self.rejects: list[Reject] = []
        self._ordinal: list[int] = []
        self._lon: list[float] = []
        self._lat: list[float] = []
        self._ids: list[str] = []
        self._seen: dict[str, int] = {}
        self._own_ids = False

    def add(self, ordinal: int, row: _Row) -> None:
        self.rows += 1
        name = row.id or default_id(ordinal)
        bad = self._problem(row, name)
        if bad is not None:
            shown = default_id(ordinal) if bad[0] in ("bad id", "duplicate id") else name
            self.rejects.append(Reject(poi_id=shown, reason=bad[0], detail=bad[1], line=row.line))
            return
        self._seen[name.casefold()] = row.line
        self._own_ids |= bool(row.id)
        self._ordinal.append(ordinal)
        self._lon.append(float(row.lon))
        self._lat.append(float(row.lat))
        self._ids.append(name)

    def _problem(self, row: _Row, name: str) -> tuple[str, str] | None:
        bad_id = problem_with_id(name)
        if bad_id is not None:
            return "bad id", bad_id
        if name.casefold() in self._seen:
            return "duplicate id", f"id {name!r} is on line {self._seen[name.casefold()]} already"
        try:
            if "_" in row.lon + row.lat:  # Python's float reads 1_7 as 17
                raise ValueError
            lon, lat = float(row.lon), float(row.lat)
        except ValueError:
            return "bad coordinates", f"lon {row.lon[:40]!r}, lat {row.lat[:40]!r} are not two numbers"
        wrong = problem_with_coordinates(lon, lat)
        reason = "outside UTM" if wrong and "UTM" in wrong else "bad coordinates"
        return (reason, wrong) if wrong else None

    def places(self) -> Places:
        return Places(
            ordinal=np.array(self._ordinal, np.int64),
            variant=np.zeros(len(self._ordinal), np.int16),
            lon=np.array(self._lon, np.float64),
            lat=np.array(self._lat, np.float64),
            ids=tuple(self._ids) if self._own_ids else None,
        )
