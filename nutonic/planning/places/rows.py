"""Rows of a places file in any format, and the places and rejects that they become."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import numpy as np

from nutonic.core.model import Reject, Scalar
from nutonic.core.units import counted_of
from nutonic.errors import PoiError
from nutonic.planning.layout import default_id
from nutonic.planning.places.columns import SWAPPED, Places, problem_with_coordinates
from nutonic.planning.places.coordinates import Point, degrees, point_of
from nutonic.planning.places.ids import is_safe, safe_ids, text_of_id
from nutonic.planning.places.names import Columns, Found, refuse_contradiction

_LONGEST_KEPT = 2000
_SHAPES = 1000

#: Most bad rows: each is kept with its reason, and a file with more of them is no places file.
MOST_REJECTS = 1_000_000


#: What numbers of rows count: lines of the file, or rows where the format has no lines.
Unit = Literal["line", "row"]


class Row(NamedTuple):
    """A data row as it was read; values are text, or whatever the format has types for."""

    line: int
    """Line of the file, or row where the format has no lines, from 1."""
    id: object = None
    lon: object = None
    lat: object = None
    keep_values: Sequence[object] = ()
    wrong: tuple[str, str] | None = None
    """Reason and detail of the reject, if the row could not be read."""


class Objects:
    """Turns JSON objects into rows; the columns are looked up once for each distinct tuple of keys."""

    def __init__(self, columns: Columns, path: str, unit: Unit) -> None:
        self._columns, self._path, self._unit = columns, path, unit
        self._keys: dict[tuple[str, ...], Found] = {}
        self._names: dict[str, None] = {}
        self._seen: dict[Found, None] = {}

    def row(self, number: int, obj: dict[str, Any]) -> Row:
        """The row of an object that has its coordinates among its values."""
        found, values = self._found(obj), tuple(obj.values())
        if found.others:
            refuse_contradiction(self._path, found, tuple(obj), values, f"{self._unit} {number}")
        keep = tuple(None if at is None else values[at] for at in found.keep)
        lon, lat, wrong = _located(values, found)
        return Row(number, None if found.id is None else values[found.id], lon, lat, keep, wrong)

    def with_point(self, obj: dict[str, Any], point: Point) -> tuple[object, Point, tuple[object, ...]]:
        """Id, point and kept values of an object whose point lies elsewhere."""
        found, values = self._found(obj), tuple(obj.values())
        keep = tuple(None if at is None else values[at] for at in found.keep)
        return None if found.id is None else values[found.id], point, keep

    def _found(self, obj: dict[str, Any]) -> Found:
        names = tuple(obj)
        found = self._keys.get(names)
        if found is None:
            if len(self._keys) >= _SHAPES:
                self._keys.clear()
            found = self._keys[names] = self._columns.find(names)
            self._seen[found] = None
            if len(self._names) < _SHAPES:
                self._names.update(dict.fromkeys(names))
        return found

    def refuse_missing(self) -> None:
        """Raise :class:`PoiError` if there were objects and none of them had a column."""
        if self._keys and (error := self._columns.missing(tuple(self._seen), list(self._names), "its objects have")):
            raise error


def _located(values: Sequence[object], found: Found) -> Point:
    if found.point is not None:
        return point_of(values[found.point], found.first)
    lon = None if found.lon is None else values[found.lon]
    return lon, None if found.lat is None else values[found.lat], None


class Collector:
    """Collects good rows as columns and bad rows as rejects; about 32 bytes a place without ids of the user's."""

    def __init__(self, path: str, keep: tuple[str, ...] = (), unit: Unit = "line") -> None:
        self.rows = 0
        self.rejects: list[Reject] = []
        self.swapped = array("q")
        """Lines of bad rows that would be places with longitude and latitude exchanged."""
        self._path, self._keep, self._unit = path, keep, unit
        self._ordinal = array("q")
        self._lon, self._lat = array("d"), array("d")
        self._own: list[str | None] | None = None
        """Ids from the file, None for rows without one; None as a whole until a row has an id."""
        self._line_of: dict[str, int] = {}
        """Line of each own id."""
        self._keep_values: list[tuple[Scalar, ...]] = []

    def add(self, row: Row) -> None:
        """Take one data row; its ordinal is the number of rows before it."""
        line, own_id, lon, lat, _, wrong = row
        ordinal, self.rows = self.rows, self.rows + 1
        name = "" if own_id is None else text_of_id(own_id)
        if name and name in self._line_of:
            wrong = "duplicate id", f"id {name[:80]!r} is on {self._unit} {self._line_of[name]} already"
        point, bad = (None, wrong) if wrong else _point(lon, lat)
        if point is None:
            if not wrong and _point(lat, lon)[0]:
                self.swapped.append(line)
            self._reject(row, ordinal, name, *(bad or ("bad row", "")))
            return
        if self._keep:
            self._keep_values.append(self._scalars_of(row))
        self._ordinal.append(ordinal)
        self._lon.append(point[0])
        self._lat.append(point[1])
        if name:
            self._line_of[name] = line
            if self._own is None:
                self._own = [None] * (len(self._lon) - 1)
        if self._own is not None:
            self._own.append(name or None)

    def _reject(self, row: Row, ordinal: int, name: str, reason: str, detail: str) -> None:
        own = name and reason != "duplicate id" and is_safe(name)
        self.rejects.append(
            Reject(
                poi_id=name if own else default_id(ordinal),
                reason=reason,
                detail=detail,
                line=row.line,
                unit=self._unit,
            )
        )
        if len(self.rejects) > MOST_REJECTS:
            first = self.rejects[0]
            raise PoiError(
                f"{self._path} has more than {MOST_REJECTS:,} bad rows: is it a places file? "
                f"The first, {self._unit} {first.line}: {first.detail}"
            )

    def _scalars_of(self, row: Row) -> tuple[Scalar, ...]:
        values = []
        for column, value in zip(self._keep, row.keep_values, strict=True):
            try:
                values.append(scalar(value))
            except ValueError as error:
                raise PoiError(
                    f"{self._path}, {self._unit} {row.line}: {column} {error}: take it out of pois.keep"
                ) from None
        return tuple(values)

    def warnings(self) -> tuple[str, ...]:
        """What the user should know about the rows besides the rejects."""
        if not self.swapped:
            return ()
        some = counted_of(len(self.swapped), self.rows, "row", verb=("is no place", "are no places"))
        return (
            f"{some}, but would be with longitude and latitude exchanged "
            f"(the first: {self._unit} {self.swapped[0]}): are others swapped, too?",
        )

    def places(self) -> Places:
        """The good rows; the lines of their ids are forgotten."""
        own, self._line_of = self._own, {}
        ids = None if own is None else safe_ids(own, self._ordinal)
        return Places(
            ordinal=np.array(self._ordinal, np.int64),
            variant=np.zeros(len(self._ordinal), np.int16),
            lon=np.array(self._lon, np.float64),
            lat=np.array(self._lat, np.float64),
            ids=ids,
            originals=_originals(own, ids),
            keep=self._keep,
            keep_values=tuple(self._keep_values),
        )


def _originals(own: Sequence[str | None] | None, ids: Sequence[str] | None) -> tuple[str | None, ...] | None:
    """The user's ids where they are not those of the places; None where there is none such."""
    if own is None or ids is None or all(name is None or name == made for name, made in zip(own, ids, strict=True)):
        return None
    return tuple(
        None if name is None or name == made else name.encode("utf-8", "replace").decode()[:_LONGEST_KEPT]
        for name, made in zip(own, ids, strict=True)
    )


def _point(lon: object, lat: object) -> tuple[tuple[float, float] | None, tuple[str, str] | None]:
    """Longitude and latitude in degrees, and None; or None, and reason and detail of the reject."""
    try:
        point = degrees(lon, "lon"), degrees(lat, "lat")
    except (ValueError, TypeError, OverflowError):
        return None, (
            "bad coordinates",
            f"lon {_quoted(lon)}, lat {_quoted(lat)} are not two numbers{_swapped(lon, lat)}",
        )
    problem = problem_with_coordinates(*point)
    return (point, None) if problem is None else (None, problem)


def _swapped(lon: object, lat: object) -> str:
    """A suspicion, where each would be one of the other axis: ``52°N`` as a longitude."""
    try:
        degrees(lat, "lon"), degrees(lon, "lat")
    except (ValueError, TypeError, OverflowError):
        return ""
    return SWAPPED


def _quoted(value: object) -> str:
    return repr(value.strip()[:40]) if isinstance(value, str) else "''" if value is None else repr(value)[:40]


def scalar(value: object) -> Scalar:
    """A value that JSON can hold; NaN and infinities become None. ValueError, with the reason, for anything else."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > _LONGEST_KEPT:
            raise ValueError(f"has {len(value)} characters, at most {_LONGEST_KEPT} can be kept")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("holds half a character (a lone surrogate)")
        return sys.intern(value)  # equal values, such as country codes, share one object
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ValueError("is an integer of more than 64 bits")
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    names: dict[type, str] = {dict: "an object", list: "a list", bytes: "bytes"}
    kind = names.get(type(value), type(value).__name__)
    raise ValueError(f"is {kind}; only text, numbers, true, false and null can be kept")
