"""Which columns of a places file hold what: by the names in the recipe, or by the names that people give them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from nutonic.errors import PoiError
from nutonic.planning.places.coordinates import Axis
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
_POINTS = {
    "geometry",
    "geom",
    "the_geom",
    "geom_wkt",
    "wkt",
    "wkt_geom",
    "wkt_geometry",
    "geometry_wkt",
    "geojson",
    "point",
    "coordinates",
    "coordinate",
    "coords",
    "coord",
    "latlon",
    "lat_lon",
    "latlng",
    "lat_lng",
    "lat_long",
    "latlong",
    "latitude_longitude",
    "lonlat",
    "lon_lat",
    "lnglat",
    "lng_lat",
    "long_lat",
    "longitude_latitude",
    "geo_point",
    "geopoint",
    "geo_point_2d",
    "location",
    "geolocation",
    "gps",
    "gps_coordinates",
    "gps_location",
    "gps_coords",
    "wkb",
    "wkb_geometry",
    "wkb_geom",
    "geom_wkb",
}
_UNIT = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")
_METRES = {"m", "km", "metre", "metres", "meter", "meters", "ft", "feet", "utm"}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")


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
        return Found(own_id, lon, lat, point, keep, "lon" if point is not None and _lon_first(names[point]) else "lat")

    def _place(self, names: Sequence[str]) -> tuple[int | None, int | None, int | None]:
        named = self._named
        if named.point:
            return None, None, _exact(names, named.point)
        lon, lat = self._axis("lon", names, 2), self._axis("lat", names, 2)
        if named.lon or named.lat or (lon is not None and lat is not None) or self._tiers == 1:
            more = named.lon or named.lat
            return (
                self._axis("lon", names, 3) if more and lon is None else lon,
                self._axis("lat", names, 3) if more and lat is None else lat,
                None,
            )
        points = [i for i, name in enumerate(names) if "_".join(_words(name)) in _POINTS]
        if points:
            return None, None, self._one("point", points, names)
        return self._axis("lon", names, 3), self._axis("lat", names, 3), None

    def _axis(self, axis: Axis, names: Sequence[str], tiers: int) -> int | None:
        """The column of a coordinate, by the recipe's name or the first of some tiers of known ones."""
        if name := getattr(self._named, axis):
            return _exact(names, name)
        for tier, known in enumerate(_TIERS[axis][: min(tiers, self._tiers)]):
            of = _plain if tier == 0 else noun
            if at := [
                i for i, name in enumerate(names) if of(name) in (known if tier == 0 else known | _TIERS[axis][0])
            ]:
                return self._one(axis, at, names)
        return None

    def _one(self, role: Role, at: list[int], names: Sequence[str]) -> int:
        if len(at) > 1:
            many = ", ".join(names[i].strip()[:40] for i in at[:8])
            what = {"lon": "longitudes", "lat": "latitudes"}.get(role, "points")
            raise PoiError(
                f"{self._path} has several columns of {what} ({many}): say which, as in "
                f"pois.columns.{role}: {names[at[0]].strip()[:40]}"
            )
        return at[0]

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
        return PoiError(f"{self._path} has no column {expected}; {names_are} {columns}")


def kept_columns(pois: Pois) -> tuple[str, ...]:
    """The columns that travel with the places, each once."""
    return tuple(dict.fromkeys(pois.keep))


def noun(name: str) -> str | None:
    """A column's name without units and what else is put beside it: ``gps_lon``, ``Longitude (deg)``, ``POINT_X``.

    None where more than one word is left, or where the unit is one of lengths.
    """
    if any(unit.strip().lower() in _METRES for unit in _UNIT.findall(name)):
        return None
    words = _words(name)
    left = [word for word in words if word not in _BESIDE]
    return left[0] if len(left) == 1 else None


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
    near = [name.strip() for name in names if known & set(_words(name))]
    whole = "longitude" if axis == "lon" else "latitude"
    near = near or [name.strip() for name in names if difflib.get_close_matches(_plain(name), [whole], cutoff=0.7)]
    return near[0] if near else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
