"""Functions on numbers, strings, lists, dictionaries, dates, geometries and projections."""

from __future__ import annotations

import math
import operator
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from affine import Affine

from nutonic.testing.earthengine.expressions import Function
from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import Points, Projection
from nutonic.testing.earthengine.values import Date, Feature, date, integer, projection

_DAYS = {"week": 7.0, "day": 1.0, "hour": 1 / 24, "minute": 1 / 1440, "second": 1 / 86400}
_MS_A_DAY = 86_400_000.0


def _advance(day: Date, delta: float, unit: str, _: str | None) -> Date:
    """A later date. Months and years keep the day of the month, or take the month's last day (assumed)."""
    months = {"month": 1, "year": 12}.get(unit.removesuffix("s"))
    if months is None:
        return Date(day.ms + delta * _length(unit))
    years, month = divmod(day.moment.month - 1 + months * integer(delta), 12)
    first = day.moment.replace(year=day.moment.year + years, month=month + 1, day=1)
    later = first.replace(day=min(day.moment.day, monthrange(first.year, first.month)[1]))
    return date(later.isoformat())


def _length(unit: str) -> float:
    """Milliseconds of a unit."""
    name = unit.removesuffix("s")
    if name not in _DAYS:
        raise unsupported(f"unit of time {unit!r}: {', '.join(_DAYS)} are known")
    return _DAYS[name] * _MS_A_DAY


def _difference(day: Date, start: Date, unit: str) -> float:
    return (day.ms - start.ms) / _length(unit)


def _format(day: Date, pattern: str | None, _: str | None) -> str:
    """A date as text, by a pattern of Joda-Time, of which only some parts are supported."""
    directives = {"YYYY": "%Y", "yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
    if pattern is None:
        return f"{day.moment:%Y-%m-%dT%H:%M:%S}"
    for joda, python in directives.items():
        pattern = pattern.replace(joda, python)
    return day.moment.strftime(pattern)


def _constructor(kind: str) -> Function:
    """A function that makes a geometry of coordinates, in degrees or in a given CRS."""

    def function(coordinates: Any, crs: Projection | None = None, *_: Any) -> shapely.Geometry:
        shape = _shape(kind, coordinates)
        if crs is None or crs.crs == "EPSG:4326":
            return shape
        return shapely.transform(shapely.segmentize(shape, shape.length / 64 or 1), _to_degrees(crs.crs))

    return function


def _to_degrees(crs: str) -> Callable[[np.ndarray], np.ndarray]:
    def function(xy: np.ndarray) -> np.ndarray:
        lonlat = Points(crs, xy[:, 0], xy[:, 1]).to("EPSG:4326")
        return np.stack([lonlat.x, lonlat.y], -1)

    return function


def _shape(kind: str, coordinates: Any) -> shapely.Geometry:
    if kind == "Rectangle":
        corners = np.asarray(coordinates, float).reshape(-1, 2)
        return shapely.box(*corners.min(0), *corners.max(0))
    return shapely.geometry.shape({"type": kind, "coordinates": coordinates})


def _bounds(shape: shapely.Geometry, _: Any, target: Projection | None) -> shapely.Geometry:
    if target is not None and target.crs != "EPSG:4326":
        raise unsupported(f"Geometry.bounds in {target.crs}")
    return shapely.box(*shape.bounds)


def _projection(crs: Any, transform: Sequence[float] | None, wkt: str | None) -> Projection:
    if wkt is not None:
        raise unsupported("projection with a transformWkt")
    base = projection(crs)
    return base if transform is None else Projection(base.crs, Affine(*transform))


def _get(values: Mapping[str, Any], key: str, default: Any) -> Any:
    if key not in values and default is None:
        raise Problem(f"Dictionary.get: Dictionary does not contain key: '{key}'.")
    return values.get(key, default)


def _item(values: Sequence[Any], index: int) -> Any:
    if not -len(values) <= index < len(values):
        raise Problem(f"List.get: List index must be between 0 and {len(values) - 1}, or -{len(values)} and -1. "
                      f"Found {index}.")  # fmt: skip
    return values[index]


def _sequence(start: float, end: float | None, step: float, number: int | None) -> list[float]:
    if number is not None:
        return [start + step * k for k in range(number)] if end is None else list(np.linspace(start, end, number))
    if end is None:
        raise Problem("List.sequence: one of end and count is required.")
    return [start + step * k for k in range(int((end - start) // step) + 1)]


def _map_list(values: Sequence[Any], function: Function, drop: bool) -> list[Any]:
    results = [function(value) for value in values]
    return [value for value in results if value is not None] if drop else results


def _string(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _if(condition: Any, true: Any, false: Any) -> Any:
    return true if condition else false


def _iterate(values: Sequence[Any], function: Function, state: Any) -> Any:
    for value in values:
        state = function(value, state)
    return state


_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "max": max, "min": min,
    "eq": lambda a, b: int(a == b), "neq": lambda a, b: int(a != b), "lt": lambda a, b: int(a < b),
    "lte": lambda a, b: int(a <= b), "gt": lambda a, b: int(a > b), "gte": lambda a, b: int(a >= b),
    "divide": lambda a, b: a / b if b else 0,
}  # fmt: skip

#: By Earth Engine's names.
FUNCTIONS: dict[str, Function] = {
    **{f"Number.{name}": compute for name, compute in _NUMBERS.items()},
    **{f"Number.{name}": int for name in ("int", "toInt", "long", "toLong")},
    **{f"Number.{name}": float for name in ("float", "toFloat", "double", "toDouble")},
    "Number.abs": abs,
    "Number.ceil": math.ceil,
    "Number.floor": math.floor,
    "Number.round": lambda value: math.floor(value + 0.5),
    "Number.sqrt": math.sqrt,
    "Number.format": lambda value, pattern: (pattern or "%s") % value,
    **{
        f"GeometryConstructors.{kind}": _constructor(kind)
        for kind in ("Point", "MultiPoint", "LineString", "Polygon", "MultiPolygon", "Rectangle")
    },
    "GeometryConstructors.BBox": shapely.box,
    "Geometry.bounds": _bounds,
    "Feature": lambda shape, properties, *_: Feature(shape, properties),
    "Projection": _projection,
    "Projection.crs": lambda base: base.crs,
    "Projection.transform": lambda base: str(list(base.transform)[:6]),
    "Date": lambda value, _: date(value),
    "Date.millis": lambda day: round(day.ms),
    "Date.advance": _advance,
    "Date.difference": _difference,
    "Date.format": _format,
    "DateRange.start": lambda interval: Date(interval.start),
    "DateRange.end": lambda interval: Date(interval.end),
    "Dictionary.get": _get,
    "Dictionary.keys": lambda values: sorted(values),
    "Dictionary.fromLists": lambda keys, values: dict(zip(keys, values, strict=True)),
    "Dictionary.set": lambda values, key, value: {**values, key: value},
    "List.get": _item,
    "List.slice": lambda values, start, end, step: values[slice(start, end, step)],
    "List.size": len,
    "List.length": len,
    "List.map": _map_list,
    "List.iterate": _iterate,
    "List.sequence": _sequence,
    "List.reverse": lambda values: values[::-1],
    "List.add": lambda values, value: [*values, value],
    "List.cat": lambda one, two: [*one, *two],
    "List.zip": lambda one, two: [list(pair) for pair in zip(one, two, strict=False)],
    "String": _string,
    "String.cat": lambda one, two: _string(one) + _string(two),
    "If": _if,
}
