"""Which columns of a places file hold what: by the names in the recipe, or by the names that people give them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nutonic.errors import PoiError
from nutonic.planning.places.coordinates import Axis, degrees
from nutonic.recipe.inputs import Pois

Role = Literal["lon", "lat", "point", "id", "keep"]

#: Names of coordinates, in lower case: first those that are taken before any geometry, then other words for them, then
#: what may be a projection's as well.
_LON = (
    {"lon", "longitude"},
    {"lng", "long", "longitud", "longitudine", "längengrad", "laengengrad", "decimallongitude", "londd", "longdd"},
    {"x"},
)
_LAT = (
    {"lat", "latitude"},
    {"latitud", "latitudine", "breitengrad", "decimallatitude", "latdd"},
    {"y"},
)
_TIERS: dict[Axis, tuple[set[str], ...]] = {"lon": _LON, "lat": _LAT}
#: Of these names those that are told, in pairs.
_KNOWN = (("lon", "lat"), ("longitude", "latitude"), ("x", "y"))
#: Words around the name of a coordinate that do not change what it is.
_BESIDE = {
    "gps",
    "geo",
    "decimal",
    "deg",
    "degree",
    "degrees",
    "dd",
    "wgs",
    "wgs84",
    "84",
    "epsg",
    "4326",
    "point",
    "location",
    "coord",
    "coords",
    "coordinate",
    "coordinates",
    "centroid",
    "center",
    "centre",
}
#: Names of points, without what stands between their words.
_POINTS = {
    "coord", "coordinate", "coordinates", "coords", "geojson", "geolocation", "geom", "geometry", "geometrywkt",
    "geomwkb", "geomwkt", "geopoint", "geopoint2d", "gpscoordinates", "gpscoords", "gpslocation",
    "latitudelongitude", "latlng", "latlon", "latlong", "lnglat", "longitudelatitude", "longlat", "lonlat",
    "thegeom", "wkb", "wkbgeom", "wkbgeometry", "wkt", "wktgeom", "wktgeometry",
}  # fmt: skip
#: Names that something else may have, where there are x and y.
_PERHAPS_POINTS = {"location", "position", "gps", "geo", "point"}
_UNIT = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")
_HEMISPHERE = {"ref", "dir", "direction", "hemi", "hemisphere"}
_NEGATIVE = {"s", "south", "w", "west"}
_MINUTES = {"min", "mins", "minute", "minutes"}
#: Of coordinates that are no degrees, or degrees of which a positive number lies in the west or in the south.
_OTHER_UNITS = {
    "m", "km", "metre", "metres", "meter", "meters", "ft", "feet", "utm", "mercator", "rad", "radian", "radians", "e7",
    *_MINUTES, "sec", "second", "seconds", "w", "west", "s", "south",
}  # fmt: skip
#: With these beside them, the west and the south are negative.
_SIGNED = {"e", "east", "n", "north", "negative", "neg"}
_SIGNS = str.maketrans("º˚°", "   ")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
#: Degrees, about a metre, by which two columns of one coordinate may differ: one is rounded, or float32.
_ROUNDING = 1e-5


class Other(NamedTuple):
    """Another column of a coordinate: the same by another name, its hemisphere, or its minutes."""

    axis: Axis
    taken: int
    """Position of the column that is read."""
    at: int
    is_minutes: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Positions of a file's columns; either both coordinates or a point, or none of them."""

    id: int | None
    lon: int | None
    lat: int | None
    point: int | None
    keep: tuple[int | None, ...]
    first: Axis = "lat"
    """Which coordinate comes first in a point that is plain text, by its column's name."""
    others: tuple[Other, ...] = ()
    """Columns of the same coordinates that are not read, and must not contradict those that are."""

    @property
    def is_located(self) -> bool:
        """Whether there are coordinates."""
        return self.point is not None or (self.lon is not None and self.lat is not None)


class Columns:
    """The columns that a recipe asks for, to be found among the names of a file."""

    def __init__(self, pois: Pois, path: str, *, geometry: bool = False) -> None:
        """`geometry`: points come from the format itself, and only the usual two names go before it, if at all."""
        self._named, self.keep, self._path = pois.columns, kept_columns(pois), path
        self._tiers = 1 if geometry else 3

    def find(self, names: Sequence[str]) -> Found:
        """Where the columns are.

        Raises
        ------
        PoiError
            If several may be meant.
        """
        own_id = None if self._named.id is False else _exact(names, self._named.id or "id", loose=not self._named.id)
        keep = tuple(_exact(names, name) for name in self.keep)
        lon, lat, point = self._place(names)
        first: Axis = "lon" if point is not None and _lon_first(names[point]) else "lat"
        others = (*_others("lon", lon, names), *_others("lat", lat, names)) if lon and lat else ()
        return Found(own_id, lon[0] if lon else None, lat[0] if lat else None, point, keep, first, others)

    def _place(self, names: Sequence[str]) -> tuple[list[int], list[int], int | None]:
        """The columns of longitudes, of latitudes, and the one of points; of several the first is to be taken."""
        named = self._named
        if named.point:
            return [], [], _exact(names, named.point)
        lon, lat = self._axis("lon", names, 2), self._axis("lat", names, 2)
        if named.lon or named.lat or (lon and lat) or self._tiers == 1:
            more = named.lon or named.lat
            return (
                self._axis("lon", names, 3) if more and not lon else lon,
                self._axis("lat", names, 3) if more and not lat else lat,
                None,
            )
        point = self._point(names, _POINTS)
        if point is None:
            lon, lat = self._axis("lon", names, 3), self._axis("lat", names, 3)
            point = None if lon and lat else self._point(names, _PERHAPS_POINTS)
        return (lon, lat, None) if point is None else ([], [], point)

    def _point(self, names: Sequence[str], known: set[str]) -> int | None:
        """The column of points that has one of some names."""
        at = [i for i, name in enumerate(names) if "".join(_words(name)) in known and not _has_other_unit(name)]
        if len(at) > 1:
            raise _several(self._path, "point", at, names)
        return at[0] if at else None

    def _axis(self, axis: Axis, names: Sequence[str], tiers: int) -> list[int]:
        """The columns of a coordinate, by the recipe's name or of the first tier of known ones; short names first."""
        if name := getattr(self._named, axis):
            at = _exact(names, name)
            return [] if at is None else [at]
        for tier, known in enumerate(_TIERS[axis][: min(tiers, self._tiers)]):
            of, known = (_plain, known) if tier == 0 else (noun, known | _TIERS[axis][0])
            if found := [i for i, name in enumerate(names) if of(name) in known]:
                return sorted(found, key=lambda i: len(_plain(names[i])))
        return []

    def missing(self, found: Sequence[Found], names: Sequence[str], names_are: str) -> PoiError | None:
        """The error for a file without a column that it must have, in none of its parts; None where all are there."""
        for role in ("lon", "lat", "id", "point"):
            name = getattr(self._named, role)
            if name and not any(getattr(part, role) is not None for part in found):
                return self._missing(f"{name} (pois.columns.{role})", name, names, names_are)
        for number, name in enumerate(self.keep):
            if not any(part.keep[number] is not None for part in found):
                return self._missing(f"{name} (pois.keep)", name, names, names_are)
        if self._tiers == 1 or any(part.is_located for part in found):
            return None
        axis: Axis = "lat" if any(part.lon is not None for part in found) else "lon"
        return self._missing(" or ".join(sorted(_TIERS[axis][0])), None, names, names_are, axis)

    def _missing(
        self, expected: str, name: str | None, names: Sequence[str], names_are: str, axis: Axis | None = None
    ) -> PoiError:
        columns = ", ".join(name.strip()[:80] for name in names[:8]) or "nothing"
        if name is not None:
            plain = [_plain(name) for name in names]
            if close := difflib.get_close_matches(name.lower(), plain, n=1, cutoff=0.5):
                columns += f": did you mean {names[plain.index(close[0])].strip()}?"
        elif axis and (near := _near(axis, names)):
            columns += f": write pois.columns.{axis}: {near}"
        elif names and all(_is_number(name) for name in names):
            columns += ": the first line must name the columns"
        elif axis and not any(word in _OTHER_UNITS for name in names for word in _WORD.findall(name.lower())):
            known = ", ".join(f"{each} and {other}" for each, other in _KNOWN)
            columns += (
                f": say which in pois.columns, {{lon: …, lat: …}}, or {{point: …}}; known are {known} and the like"
            )
        return PoiError(f"{self._path} has no column {expected}; {names_are} {columns}")


def _several(path: str, role: Role, at: Sequence[int], names: Sequence[str]) -> PoiError:
    many = ", ".join(names[i].strip()[:40] for i in at[:8])
    what = {"lon": "longitudes", "lat": "latitudes"}.get(role, "points")
    return PoiError(
        f"{path} has several columns of {what} ({many}): say which, as in pois.columns.{role}: {names[at[0]].strip()[:40]}"
    )


def refuse_contradiction(path: str, found: Found, names: Sequence[str], values: Sequence[object], where: str) -> None:
    """Raise :class:`PoiError` if a row has two numbers for one coordinate, or one without the sign of its hemisphere."""
    for axis, taken, other, is_minutes in found.others:
        one, two = _degrees_or_nan(values[taken], axis), _degrees_or_nan(values[other], axis)
        if is_minutes:
            if two > 0 and one.is_integer():
                raise PoiError(
                    f"{path} has minutes in a column of their own ({names[other].strip()[:40]}: in {where} {two:g} beside "
                    f"{one:g}): write degrees with decimals, or as one text such as 52°30'N"
                )
            continue
        if one > 0 and str(values[other]).strip().lower() in _NEGATIVE:
            raise PoiError(
                f"{path} has the hemisphere in a column of its own ({names[other].strip()[:40]}: in {where} "
                f"{str(values[other]).strip()} of {one:g}): write degrees that are negative in the south and in the west"
            )
        if abs(one - two) > _ROUNDING:
            error = _several(path, axis, (taken, other), names)
            raise PoiError(f"{error}; in {where} they are {one:g} and {two:g}")


def _others(axis: Axis, at: Sequence[int], names: Sequence[str]) -> Iterator[Other]:
    """Other columns of a coordinate than the first of `at`: ``longitude``, ``E/W``, ``GPSLongitudeRef``, ``lon_min``."""
    letters = {"ew", "we"} if axis == "lon" else {"ns", "sn"}
    known = set.union(*_TIERS[axis][:2])
    words = [set(_words(name)) for name in names]
    has_most = any(of & known and of & {"max", "maximum"} for of in words)  # so that min is no minute
    yield from (Other(axis, at[0], i) for i in at[1:])
    for i, (name, of) in enumerate(zip(names, words, strict=True)):
        if "".join(_words(name)) in letters or (of & known and of & (_HEMISPHERE | letters)):
            yield Other(axis, at[0], i)
        elif of & known and of & _MINUTES and not has_most:
            yield Other(axis, at[0], i, is_minutes=True)


def _degrees_or_nan(value: object, axis: Axis) -> float:
    try:
        return degrees(value, axis)
    except (ValueError, TypeError, OverflowError):
        return math.nan


def kept_columns(pois: Pois) -> tuple[str, ...]:
    """The columns that travel with the places, each once."""
    return tuple(dict.fromkeys(pois.keep))


def noun(name: str) -> str | None:
    """A column's name without units and what else is put beside it: ``gps_lon``, ``Longitude (deg)``, ``POINT_X``.

    None where more than one word is left, or where the unit is not degrees to the east or to the north.
    """
    if _has_other_unit(name):
        return None
    words = _words(name)
    left = [word for word in words if word not in _BESIDE]
    return left[0] if len(left) == 1 else None


def _has_other_unit(name: str, *more: str) -> bool:
    """Whether a name says in brackets, or in `more` texts, that it is not of degrees to the east or to the north."""
    units = (set(_words(text.translate(_SIGNS))) for text in (*_UNIT.findall(name), *more))
    return any(words & _OTHER_UNITS and not words & _SIGNED for words in units)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_HUMP.sub(" ", _UNIT.sub(" ", name)))]


def _plain(name: str) -> str:
    return name.strip().lower()


def _exact(names: Iterable[str], wanted: str, *, loose: bool = False) -> int | None:
    """The position of a name that is given; `loose` ignores case."""
    if loose:
        return next((i for i, name in enumerate(names) if _plain(name) == wanted), None)
    return next((i for i, name in enumerate(names) if wanted in (name, name.strip())), None)


def _lon_first(name: str) -> bool:
    words = "".join(_words(name))
    return words.startswith(("lonlat", "lnglat", "longlat", "longitudelatitude"))


def _near(axis: Axis, names: Sequence[str]) -> str | None:
    """A column that may hold a coordinate though its name says more, or nearly says so; None if it is not one alone."""
    known = set.union(*_TIERS[axis][:2])
    names = [name for name in names if not _has_other_unit(name, name)]
    near = [name.strip() for name in names if known & set(_words(name))]
    whole = "longitude" if axis == "lon" else "latitude"
    endings = ("lon", "lng", "long", "xcoord") if axis == "lon" else ("lat", "ycoord")
    near = near or [name.strip() for name in names if _plain(name).endswith(endings)]
    near = near or [name.strip() for name in names if difflib.get_close_matches(_plain(name), [whole], cutoff=0.7)]
    return near[0] if near else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
