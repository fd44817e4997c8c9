"""What every places file comes down to: rows as they were read, and from them places and rejects."""

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
#: Names that are taken for a role where the recipe gives none, in lower case.
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
    kept: Sequence[object] = ()
    wrong: tuple[str, str] | None = None
    """Reason and detail where the row is none to begin with."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is looked for."""

    role: Role
    named: str | None = None
    """Its name in the recipe; without one, any name that is known for its role."""

    def index(self, names: Sequence[str]) -> int | None:
        """Where it stands among these names, or None."""
        if self.named is not None:
            return next((i for i, name in enumerate(names) if self.named in (name, name.strip())), None)
        plain = [name.strip().lower() for name in names]
        return next((plain.index(known) for known in _KNOWN[self.role] if known in plain), None)

    @property
    def required(self) -> bool:
        """Whether a file without it cannot be used."""
        return self.named is not None or self.role != "id"

    def missing(self, path: str, names: Sequence[str], names_are: str) -> PoiError:
        """The error that says which columns there are instead."""
        shown = ", ".join(name.strip() for name in names[:8]) or "nothing"
        wanted = " or ".join(_KNOWN[self.role])
        if self.named is not None:
            close = difflib.get_close_matches(
                self.named.lower(), plain := [name.strip().lower() for name in names], n=1, cutoff=0.5
            )
            shown += f": did you mean {names[plain.index(close[0])].strip()}?" if close else ""
            key = "pois.keep" if self.role == "keep" else f"pois.columns.{self.role}"
            wanted = f"{self.named} ({key})"
        return PoiError(f"{path} has no column {wanted}; {names_are} {shown}")


def columns_of(wanted: Pois, roles: Sequence[Role] = ("lon", "lat", "id")) -> tuple[Column, ...]:
    """The columns that a recipe asks for, in the order of `roles`, then those it keeps."""
    named = [Column(role, getattr(wanted.columns, role)) for role in roles if role != "keep"]
    return (*named, *(Column("keep", name) for name in kept_columns(wanted)))


def kept_columns(wanted: Pois) -> tuple[str, ...]:
    """The columns that travel with the places, each once."""
    return tuple(dict.fromkeys(wanted.keep))


def find_columns(columns: Sequence[Column], path: str, names: Sequence[str], names_are: str) -> list[int | None]:
    """Where each column stands; only an id may be missing."""
    found = [column.index(names) for column in columns]
    for column, at in zip(columns, found, strict=True):
        if at is None and column.required:
            raise column.missing(path, names, names_are)
    return found


class Shapes:
    """The columns among the keys of objects that need not all have the same: worked out once for each set of keys."""

    def __init__(self, columns: Sequence[Column], path: str) -> None:
        self._columns, self._path = columns, path
        self._keys: dict[tuple[str, ...], list[str | None]] = {}
        self._seen: dict[str, None] = {}
        self._found: set[Column] = set()

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
        found = [column.index(names) for column in self._columns]
        self._found.update(column for column, at in zip(self._columns, found, strict=True) if at is not None)
        if len(self._seen) < _SHAPES:
            self._seen.update(dict.fromkeys(names))
        keys = self._keys[names] = [None if at is None else names[at] for at in found]
        return keys

    def refuse_missing(self) -> None:
        """Raise :class:`PoiError` if there were objects and none of them had a column."""
        if self._keys:
            for column in self._columns:
                if column.required and column not in self._found:
                    raise column.missing(self._path, list(self._seen), "its objects have")


class Collector:
    """Columns of the good rows, rejects of the others; about 32 bytes a place where none has an id of its own."""

    def __init__(self, path: str, keep: tuple[str, ...] = (), line_is: str = "line") -> None:
        self.rows = 0
        self.rejects: list[Reject] = []
        self._path, self._keep, self._line_is = path, keep, line_is
        self._ordinal, self._line = array("q"), array("q")
        self._lon, self._lat = array("d"), array("d")
        self._own: list[str | None] | None = None
        """Own ids, once there is one."""
        self._line_of: dict[str, int] = {}
        """Line of each own id, in lower case."""
        self._kept: list[tuple[Scalar, ...]] = []

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
            self._kept.append(self._kept_of(row))
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
        shown = name if name and reason not in ("bad id", "duplicate id") else default_id(ordinal)
        self.rejects.append(Reject(poi_id=shown, reason=reason, detail=detail, line=row.line))

    def _problem_with_id(self, name: str, row: Row, ordinal: int) -> tuple[str, str] | None:
        if name:
            if isinstance(row.id, bool) or not isinstance(row.id, str | int | float):
                return "bad id", f"id {repr(row.id)[:80]} is neither text nor a number"
            bad = problem_with_id(name)
            if bad is not None:
                return "bad id", bad
        line = self._line_with(name or default_id(ordinal))
        shown = name or default_id(ordinal)
        return None if line is None else ("duplicate id", f"id {shown!r} is on {self._line_is} {line} already")

    def _line_with(self, name: str) -> int | None:
        """Where a place with this id was, or None; places without one of their own have ids too."""
        folded = name.casefold()
        default = _DEFAULT_ID.fullmatch(folded)
        if folded in self._line_of or not default or default_id(int(default[1])) != folded:
            return self._line_of.get(folded)
        at = bisect_left(self._ordinal, int(default[1]))
        same = at < len(self._ordinal) and self._ordinal[at] == int(default[1])
        return self._line[at] if same and not (self._own and self._own[at]) else None

    def _kept_of(self, row: Row) -> tuple[Scalar, ...]:
        values = []
        for column, value in zip(self._keep, row.kept, strict=True):
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
            kept=tuple(self._kept),
        )


def _own_id(value: object) -> str:
    """The text of an id, empty where there is none: a float that is NaN is how tables say so."""
    if isinstance(value, str):
        return value.strip()
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else repr(value)[:100]


def _point(row: Row) -> tuple[tuple[float, float] | None, tuple[str, str] | None]:
    """Longitude and latitude, or what is wrong with them."""
    try:
        lon, lat = _number(row.lon), _number(row.lat)
    except (ValueError, TypeError, OverflowError):
        return None, ("bad coordinates", f"lon {_shown(row.lon)}, lat {_shown(row.lat)} are not two numbers")
    problem = problem_with_coordinates(lon, lat)
    return ((lon, lat), None) if problem is None else (None, problem)


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    # Python's float takes 1_7 for 17, True for 1 and bytes for text.
    if isinstance(value, bool | bytes) or (isinstance(value, str) and "_" in value):
        raise ValueError
    return float(value)


def _shown(value: object) -> str:
    return repr(value.strip()[:40]) if isinstance(value, str) else "''" if value is None else repr(value)[:40]


def scalar(value: object) -> Scalar:
    """A value as JSON has it; a ValueError says what it is instead. What is not finite is null, as JSON has no other."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > _LONGEST_KEPT:
            raise ValueError(f"has {len(value)} characters, at most {_LONGEST_KEPT} can be kept")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("holds half a character (a lone surrogate)")
        return sys.intern(value)  # a country's code is there once, not once a place
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ValueError("is an integer of more than 64 bits")
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    names: dict[type, str] = {dict: "an object", list: "a list", bytes: "bytes"}
    kind = names.get(type(value), type(value).__name__)
    raise ValueError(f"is {kind}; only text, numbers, true, false and null can be kept")
