"""Coordinates as people write them: numbers, angles with degree signs and hemispheres, and points in one cell."""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Literal

import shapely

from nutonic.planning.places.crs import degrees_of

Axis = Literal["lon", "lat"]
#: Longitude and latitude as they are written, and None; or two None, and reason and detail of the reject.
Point = tuple[object, object, tuple[str, str] | None]

_DECIMAL = r"[0-9]+(?:[.,][0-9]*)?"
_ANGLE = re.compile(
    rf"""(?P<before>[NSEW])?\s*(?P<sign>[+-])?\s*(?P<degrees>{_DECIMAL})
    (?:(?P<mark>\s*(?:[°º˚:d]|deg|\s))\s*
        (?:(?P<minutes>{_DECIMAL})\s*(?:['′’‘´:m]|\s|(?=["″”NSEW])|$)\s*
            (?:(?P<seconds>{_DECIMAL})\s*(?:["″”“]|''|′′|’’)?)?)?)?
    \s*(?P<after>[NSEW])?""",
    re.IGNORECASE | re.VERBOSE,
)
#: Letters of a point as Python shows it.
_LONGEST_SHOWN = 1000
_MINUS = str.maketrans("−–", "--")
_AXIS_OF: dict[str, Axis] = {"N": "lat", "S": "lat", "E": "lon", "W": "lon"}
_NUMBER = r"[-+]?(?:[0-9.]+(?:e[-+]?[0-9]+)?|nan|inf)"
_WKT = re.compile(
    rf"(?:SRID=(?P<srid>[0-9]+);)?\s*(?:<[^<>]*>)?\s*(?P<kind>(?:MULTI)?POINT)\s*(?:ZM|Z|M)?\s*"
    rf"\(\s*\(?\s*(?P<x>{_NUMBER})\s+(?P<y>{_NUMBER})(?:\s+{_NUMBER})*\s*\)?\s*\)",
    re.IGNORECASE,
)
_GEOMETRY = re.compile(r"(?:SRID=[0-9]+;)?\s*([A-Z]+)\s*(?:Z|M|ZM)?\s*(?:\(|EMPTY)", re.IGNORECASE)
#: WKB, also as PostgreSQL writes its bytes.
_HEX = re.compile(r"(?:\\x)?(0[01][0-9A-Fa-f]{40,})")
#: A point of R's sf in a table, longitude first.
_R_POINT = re.compile(rf"c\(\s*(?P<x>{_NUMBER})\s*,\s*(?P<y>{_NUMBER})\s*\)", re.IGNORECASE)
_BETWEEN = (re.compile(r"\s*[;/|]\s*"), re.compile(r"\s*,\s+"), re.compile(r"\s*,\s*"), re.compile(r"\s+"))
_BEFORE_LETTER = re.compile(r"(?<=[^NSEW\s,;])\s*[,;]?\s*(?=[NSEW])", re.IGNORECASE)
_AFTER_LETTER = re.compile(r"(?<=[NSEW])\s*[,;]?\s*(?=[0-9])", re.IGNORECASE)


def degrees(value: Any, axis: Axis) -> float:
    """A coordinate in degrees: a number, or an angle such as ``13°24'E``, ``N52 30.5`` or ``12,5``.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If it is neither, or an angle of the other axis.
    """
    kind = type(value)
    if kind is float:
        return float(value)
    if kind is str:
        if "_" in value:  # Python's float takes 1_7 for 17
            raise ValueError(value)
        try:
            return float(value)
        except ValueError:
            return _angle(value, axis)
    if isinstance(value, bool | bytes):  # Python's float takes True for 1 and bytes for text
        raise TypeError(value)
    return float(value)


def _angle(text: str, axis: Axis) -> float:
    found = _ANGLE.fullmatch(text.strip().translate(_MINUS))
    if found is None:
        raise ValueError(text)
    letter = (found["before"] or found["after"] or "").upper()
    parts = [part.replace(",", ".") for part in found.group("degrees", "minutes", "seconds") if part]
    unmarked = len(parts) > 1 and not (letter or found["mark"].strip())  # "52 30" may be two numbers
    if unmarked or (found["before"] and found["after"]) or any("." in part for part in parts[:-1]):
        raise ValueError(text)
    if letter and (found["sign"] == "-" or _AXIS_OF[letter] != axis):
        raise ValueError(text)
    whole, minutes, seconds = (*map(float, parts), 0.0, 0.0)[:3]
    if minutes >= 60 or seconds >= 60:
        raise ValueError(text)
    size = whole + (minutes + seconds / 60) / 60 if len(parts) > 1 else whole
    return -size if found["sign"] == "-" or letter in ("S", "W") else size


def axis_of(text: str) -> Axis | None:
    """The axis that the hemisphere of an angle names, or None."""
    found = _ANGLE.fullmatch(text.strip().translate(_MINUS))
    letter = (found["before"] or found["after"] or "") if found else ""
    return _AXIS_OF.get(letter.upper())


def point_of(value: object, first: Axis = "lat") -> Point:
    """The point that one value holds: WKT (longitude first), GeoJSON, hexadecimal WKB, or text such as ``52.5, 12.5``.

    Parameters
    ----------
    value
        Of a cell, or of a key of JSON.
    first
        Which coordinate comes first in plain text without hemispheres.
    """
    if isinstance(value, dict):
        return _object_point(value)
    if isinstance(value, list):
        return _pair(value)
    if not isinstance(value, str) or not value.strip():
        return None, None, ("no point", f"there is no point in {repr(value)[:40]}")
    text = value.strip()
    if text[0] in "{[":
        return _json_point(text)
    if found := _WKT.fullmatch(text):
        return transformed(found["x"], found["y"], f"EPSG:{found['srid']}" if found["srid"] else None)
    if found := _HEX.fullmatch(text):
        return _wkb_point(found[1])
    if found := _R_POINT.fullmatch(text):
        return found["x"], found["y"], None
    if found := _GEOMETRY.match(text):
        said = "empty" if text.upper().endswith("EMPTY") else f"a {found[1][:40]}, not one point"
        return None, None, ("no point", f"the geometry is {said}")
    return _text_point(text, first)


def transformed(x: Any, y: Any, crs: object) -> Point:
    """A point of any CRS; None is longitude and latitude already."""
    if crs is None:
        return x, y, None
    try:
        to_degrees = degrees_of(crs)
        return (x, y, None) if to_degrees is None else (*to_degrees(float(x), float(y)), None)
    except (ValueError, TypeError) as error:
        return None, None, ("bad coordinates", str(error))


def geometry_point(geometry: Any, crs: object = None) -> Point:
    """The point of a GeoJSON geometry; a MultiPoint or a GeometryCollection of one point is one."""
    if not isinstance(geometry, dict):
        return None, None, ("no point", "the feature has no geometry")
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    parts = geometry.get("geometries") if kind == "GeometryCollection" else None
    if isinstance(parts, list) and len(parts) == 1:
        return geometry_point(parts[0], crs)
    if kind == "MultiPoint" and isinstance(coordinates, list) and len(coordinates) == 1:
        kind, coordinates = "Point", coordinates[0]
    if kind != "Point":
        of = f" of {len(coordinates)} points" if kind == "MultiPoint" and isinstance(coordinates, list) else ""
        return None, None, ("no point", f"the geometry is a {str(kind)[:40]}{of}, not a Point")
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return None, None, ("no point", f"the point has the coordinates {repr(coordinates)[:40]}, not two numbers")
    return transformed(coordinates[0], coordinates[1], crs)


def _object_point(value: dict[str, Any]) -> Point:
    if value.get("type") == "Feature":
        return geometry_point(value.get("geometry"))
    if "coordinates" in value or "geometries" in value:
        return geometry_point(value)
    for lon, lat in (("lon", "lat"), ("lng", "lat"), ("longitude", "latitude"), ("x", "y")):
        if lon in value and lat in value:
            return value[lon], value[lat], None
    return None, None, ("no point", f"{repr(value)[:40]} is no GeoJSON geometry")


def _json_point(text: str) -> Point:
    value = _value(text)
    if isinstance(value, dict):
        return _object_point(value)
    return _pair(value) if isinstance(value, list) else (None, None, ("no point", f"{text[:40]!r} is no GeoJSON"))


def _value(text: str) -> Any:
    """A value as JSON, or as Python shows it: ``{'type': 'Point', …}``, which pandas writes; None for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text) if len(text) <= _LONGEST_SHOWN else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _pair(value: list[Any]) -> Point:
    return None, None, ("no point", f"{repr(value)[:40]} does not say which is first: write POINT (lon lat)")


def _wkb_point(text: str) -> Point:
    shape = shapely.from_wkb(bytes.fromhex(text), on_invalid="ignore") if len(text) % 2 == 0 else None
    lon, lat, wrong = shape_point(shape)
    srid = 0 if shape is None else int(shapely.get_srid(shape))
    return (lon, lat, wrong) if wrong else transformed(lon, lat, f"EPSG:{srid}" if srid else None)


def shape_point(shape: Any) -> Point:
    """The x and y of shapely's geometry; a MultiPoint or a collection of one point is one."""
    while shape is not None and shape.geom_type in ("MultiPoint", "GeometryCollection") and len(shape.geoms) == 1:
        shape = shape.geoms[0]
    if shape is None or shape.is_empty:
        return None, None, ("no point", "the row has no geometry")
    if shape.geom_type != "Point":
        return None, None, ("no point", f"the geometry is a {shape.geom_type}, not a Point")
    return shape.x, shape.y, None


def _text_point(text: str, first: Axis) -> Point:
    pair = _split(text.removeprefix("geo:").strip().removeprefix("(").removesuffix(")").strip())
    if pair is None:
        return None, None, ("no point", f"{text[:40]!r} is neither WKT, GeoJSON nor latitude and longitude")
    one, two = pair
    said = axis_of(one) or {"lon": "lat", "lat": "lon", None: first}[axis_of(two)]
    return (one, two, None) if said == "lon" else (two, one, None)


def _split(text: str) -> tuple[str, str] | None:
    """Two coordinates out of one text, or None."""
    letters = _BEFORE_LETTER if text[:1].upper() in _AXIS_OF else _AFTER_LETTER
    for between in (*_BETWEEN, letters):
        parts = [part for part in between.split(text) if part]
        if len(parts) == 2 and all(_ANGLE.fullmatch(part.translate(_MINUS)) for part in parts):
            return parts[0], parts[1]
    return None
