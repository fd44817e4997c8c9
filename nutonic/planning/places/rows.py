"""Rows of a places file in any format, and the places and rejects that they become."""

from __future__ import annotations

import difflib
import math
import re
import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import numpy as np

from nutonic.core.model import Reject, Scalar
from nutonic.errors import PoiError
from nutonic.planning.layout import default_id
from nutonic.planning.places.columns import Places, problem_with_coordinates, problem_with_id
from nutonic.recipe.inputs import Pois

_DEFAULT_ID = re.compile(r"poi_([0-9]{6,18})")
_LONGEST_KEPT = 2000
_SHAPES = 1000

Role = Literal["lon", "lat", "id", "keep"]
#: Column names of each role, in lower case, for recipes that name none.
_KNOWN: dict[Role, tuple[str, ...]] = {
    "lon": ("lon", "longitude"),
    "lat": ("lat", "latitude"),
    "id": ("id",),
    "keep": (),
}


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


@dataclass(frozen=True, slots=True)
class Column:
    """A column to look for in a file."""

    role: Role
    named: str | None = None
    """Its name in the recipe; None for any of the usual names of its role."""

    def index(self, names: Sequence[str]) -> int | None:
        """Its position among these names, or None."""
        if self.named is not None:
            return next((i for i, name in enumerate(names) if self.named in (name, name.strip())), None)
        plain = [name.strip().lower() for name in names]
        return next((plain.index(alias) for alias in _KNOWN[self.role] if alias in plain), None)

    @property
    def required(self) -> bool:
        """Whether a file without it cannot be used."""
        return self.named is not None or self.role != "id"

    def missing(self, path: str, names: Sequence[str], names_are: str) -> PoiError:
        """The error for a file without this column; its message lists the columns that there are."""
        columns = ", ".join(name.strip() for name in names[:8]) or "nothing"
        expected = " or ".join(_KNOWN[self.role])
        if self.named is not None:
            close = difflib.get_close_matches(
                self.named.lower(), plain := [name.strip().lower() for name in names], n=1, cutoff=0.5
            )
            columns += f": did you mean {names[plain.index(close[0])].strip()}?" if close else ""
            key = "pois.keep" if self.role == "keep" else f"pois.columns.{self.role}"
            expected = f"{self.named} ({key})"
        return PoiError(f"{path} has no column {expected}; {names_are} {columns}")


def columns_of(pois: Pois, roles: Sequence[Role] = ("lon", "lat", "id")) -> tuple[Column, ...]:
    """The columns that a recipe asks for, in the order of `roles`, then those it keeps."""
    named = [Column(role, getattr(pois.columns, role)) for role in roles if role != "keep"]
    return (*named, *(Column("keep", name) for name in kept_columns(pois)))


def kept_columns(pois: Pois) -> tuple[str, ...]:
    """The columns that travel with the places, each once."""
    return tuple(dict.fromkeys(pois.keep))


def find_columns(columns: Sequence[Column], path: str, names: Sequence[str], names_are: str) -> list[int | None]:
    """The position of each column among `names`; None for an id that is missing, :class:`PoiError` for others."""
    positions = [column.index(names) for column in columns]
    for column, at in zip(columns, positions, strict=True):
        if at is None and column.required:
            raise column.missing(path, names, names_are)
    return positions


class Shapes:
    """Finds the columns among the keys of JSON objects; looked up once for each distinct tuple of keys."""

    def __init__(self, columns: Sequence[Column], path: str) -> None:
        self._columns, self._path = columns, path
        self._keys: dict[tuple[str, ...], list[str | None]] = {}
        self._names: dict[str, None] = {}
        self._present: set[Column] = set()

    def values(self, obj: dict[str, Any]) -> list[Any]:
        """The value of each column; None where the object has none."""
        names = tuple(obj)
        keys = self._keys.get(names)
        if keys is None:
            keys = self._learn(names)
        return [None if key is None else obj[key] for key in keys]

    def _learn(self, names: tuple[str, ...]) -> list[str | None]:
        if len(self._keys) >= _SHAPES:
            self._keys.clear()
        positions = [column.index(names) for column in self._columns]
        self._present.update(column for column, at in zip(self._columns, positions, strict=True) if at is not None)
        if len(self._names) < _SHAPES:
            self._names.update(dict.fromkeys(names))
        keys = self._keys[names] = [None if at is None else names[at] for at in positions]
        return keys

    def refuse_missing(self) -> None:
        """Raise :class:`PoiError` if there were objects and none of them had a column."""
        if self._keys:
            for column in self._columns:
                if column.required and column not in self._present:
                    raise column.missing(self._path, list(self._names), "its objects have")


class Collector:
    """Collects good rows as columns and bad rows as rejects; about 32 bytes a place without ids of the user's."""

    def __init__(self, path: str, keep: tuple[str, ...] = (), line_is: str = "line") -> None:
        self.rows = 0
        self.rejects: list[Reject] = []
        self._path, self._keep, self._line_is = path, keep, line_is
        self._ordinal, self._line = array("q"), array("q")
        self._lon, self._lat = array("d"), array("d")
        self._own: list[str | None] | None = None
        """Ids from the file, None for rows without one; None as a whole until a row has an id."""
        self._line_of: dict[str, int] = {}
        """Line of each own id, in lower case."""
        self._keep_values: list[tuple[Scalar, ...]] = []

    def add(self, row: Row) -> None:
        """Take one data row; its ordinal is the number of rows before it."""
        ordinal, self.rows = self.rows, self.rows + 1
        point: tuple[float, float] | None = None
        name = "" if row.id is None else _own_id(row.id)
        bad = self._problem_with_id(name, row, ordinal) if name or self._own else None
        if bad is None:
            bad = row.wrong
        if bad is None:
            point, bad = _point(row)
        if point is None or bad is not None:
            self._reject(row, ordinal, name, *(bad or ("bad row", "")))
            return
        if self._keep:
            self._keep_values.append(self._scalars_of(row))
        self._ordinal.append(ordinal)
        self._line.append(row.line)
        self._lon.append(point[0])
        self._lat.append(point[1])
        self._add_id(name, row.line)

    def _add_id(self, name: str, line: int) -> None:
        if name:
            folded = name.casefold()
            self._line_of[name if folded == name else folded] = line
            if self._own is None:
                self._own = [None] * (len(self._lon) - 1)
        if self._own is not None:
            self._own.append(name or None)

    def _reject(self, row: Row, ordinal: int, name: str, reason: str, detail: str) -> None:
        poi_id = name if name and reason not in ("bad id", "duplicate id") else default_id(ordinal)
        self.rejects.append(Reject(poi_id=poi_id, reason=reason, detail=detail, line=row.line))

    def _problem_with_id(self, name: str, row: Row, ordinal: int) -> tuple[str, str] | None:
        if name:
            if isinstance(row.id, bool) or not isinstance(row.id, str | int | float):
                return "bad id", f"id {repr(row.id)[:80]} is neither text nor a number"
            bad = problem_with_id(name)
            if bad is not None:
                return "bad id", bad
        line = self._line_with(name or default_id(ordinal))
        poi_id = name or default_id(ordinal)
        return None if line is None else ("duplicate id", f"id {poi_id!r} is on {self._line_is} {line} already")

    def _line_with(self, name: str) -> int | None:
        """Line of the place with this id, or None; default ids of places without one are searched too."""
        folded = name.casefold()
        default = _DEFAULT_ID.fullmatch(folded)
        if folded in self._line_of or not default or default_id(int(default[1])) != folded:
            return self._line_of.get(folded)
        at = bisect_left(self._ordinal, int(default[1]))
        same = at < len(self._ordinal) and self._ordinal[at] == int(default[1])
        return self._line[at] if same and not (self._own and self._own[at]) else None

    def _scalars_of(self, row: Row) -> tuple[Scalar, ...]:
        values = []
        for column, value in zip(self._keep, row.keep_values, strict=True):
            try:
                values.append(scalar(value))
            except ValueError as error:
                raise PoiError(
                    f"{self._path}, {self._line_is} {row.line}: {column} {error}: take it out of pois.keep"
                ) from None
        return tuple(values)

    def places(self) -> Places:
        """The good rows."""
        own, ordinal = self._own, self._ordinal
        return Places(
            ordinal=np.array(ordinal, np.int64),
            variant=np.zeros(len(ordinal), np.int16),
            lon=np.array(self._lon, np.float64),
            lat=np.array(self._lat, np.float64),
            ids=None if own is None else tuple(name or default_id(at) for name, at in zip(own, ordinal, strict=True)),
            keep=self._keep,
            keep_values=tuple(self._keep_values),
        )


def _own_id(value: object) -> str:
    """The text of an id; empty if there is none, which tables write as NaN."""
    if isinstance(value, str):
        return value.strip()
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else repr(value)[:100]


def _point(row: Row) -> tuple[tuple[float, float] | None, tuple[str, str] | None]:
    """Longitude and latitude in degrees, and None; or None, and reason and detail of the reject."""
    try:
        lon, lat = _number(row.lon), _number(row.lat)
    except (ValueError, TypeError, OverflowError):
        return None, ("bad coordinates", f"lon {_quoted(row.lon)}, lat {_quoted(row.lat)} are not two numbers")
    problem = problem_with_coordinates(lon, lat)
    return ((lon, lat), None) if problem is None else (None, problem)


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    # Python's float takes 1_7 for 17, True for 1 and bytes for text.
    if isinstance(value, bool | bytes) or (isinstance(value, str) and "_" in value):
        raise ValueError
    return float(value)


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
