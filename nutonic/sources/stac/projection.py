"""Where an item says that an asset's pixels lie: fields of the projection extension, as far as they can be true.

What is missing, of an odd type or impossible counts as not said, and the file is looked at instead. What is said and
possible is believed until the file is read, whose header must then agree: see :func:`nutonic.sources.pixels.checked_header`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import shapely
from pyproj import CRS
from pyproj.exceptions import ProjError

from nutonic.core.globe import outline_of, turned
from nutonic.core.grid import MOST_SIDE, crs_of, is_map
from nutonic.core.model import Json
from nutonic.errors import GridError, InputError

#: An authority and a code: ``EPSG:32633``, ``ESRI:54009``, ``IAU_2015:30100``, ``OGC:CRS84``; or as a URN, or a URL.
_CODE = re.compile(r"(?P<authority>[A-Za-z][A-Za-z0-9_]*):(?P<code>[A-Za-z0-9._-]+)")
_URN = re.compile(r"urn:ogc:def:crs:(?P<authority>[A-Za-z][A-Za-z0-9_]*):[\w.]*:(?P<code>[A-Za-z0-9._-]+)")
_URL = re.compile(r"https?://www\.opengis\.net/def/crs/(?P<authority>[A-Za-z]\w*)/[\w.]+/(?P<code>[A-Za-z0-9._-]+)")

_NUMBER = re.compile(r"\d+(?:\.0)?")

#: What a WKT begins with, and what makes PROJ open files that a text names, or take what is in it for a PROJ string.
_WKT = re.compile(r"\s*[A-Za-z]\w*\s*[\[(]")
_PROJ_STRING = re.compile(r"\b(?:proj|init)\s*=", re.IGNORECASE)
_FILES = re.compile(
    r"grids?\s*=|PARAMETERFILE|EXTENSION\s*[\[(]|BOUNDCRS|\bfile\b|\.(?:gsb|gtx|tiff?|las|los)\b", re.IGNORECASE
)

#: How GDAL puts Web Mercator into WKT: as a PROJ string after all, though one that opens nothing. Its file says it too.
_NO_GRID = re.compile(r'EXTENSION\["PROJ4","[^"]*\+nadgrids=@null[^"]*"\]')

#: Degrees beside a CRS's area of use in which it still is of use: Landsat's zones reach so far near the poles.
_BESIDE = 12.0

#: Degrees that no raster lies beyond, and the least metres that a pixel has: less, and it is degrees.
_MOST_LON, _MOST_LAT, _LEAST_METRES = 540.0, 95.0, 1e-3


@dataclass(frozen=True, slots=True)
class Projection:
    """Where an asset's pixels lie."""

    crs: str
    """``"EPSG:…"``, or WKT where there is no such code."""
    transform: tuple[float, float, float, float, float, float]
    """a, b, c, d, e, f."""
    shape: tuple[int, int]
    """Height and width."""


def declared_projection(asset: Json, properties: Json, footprint: shapely.Geometry) -> Projection | None:
    """What an item says of an asset's pixels, or None if that is not all there is to say, or cannot be.

    Raises
    ------
    InputError
        If it claims a size that no raster has, or its CRS is a PROJ string or names files.
    """
    transform, shape = (_first(asset, properties, name) for name in ("proj:transform", "proj:shape"))
    crs, sides, numbers = declared_crs(asset, properties, footprint), _shape(shape), _numbers(transform)
    if crs is None or sides is None or numbers is None or not _possible(crs, numbers, sides):
        return None
    return Projection(crs, numbers, sides)


def declared_crs(asset: Json, properties: Json, footprint: shapely.Geometry) -> str | None:
    """The CRS that an item says an asset is in; None if it says none, or one that is not known or not used there.

    Raises
    ------
    InputError
        If it is a PROJ string, or names files.
    """
    said = next(_said(asset, properties), None)
    crs = None if said is None else _normal(said)
    return crs if crs is not None and is_map(crs) and _is_used(crs, footprint.bounds) else None


def _said(*holders: Json) -> Iterator[str]:
    """What is said of a CRS: codes, WKT or PROJJSON as text; of the asset before its item."""
    for holder in holders:
        for name in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson"):
            value = holder.get(name)
            if value is None or value == "" or isinstance(value, bool):
                continue
            text = value.strip() if isinstance(value, str) else orjson.dumps(value).decode()
            yield f"EPSG:{text.removesuffix('.0')}" if _NUMBER.fullmatch(text) else text


@lru_cache(maxsize=256)
def _normal(said: str) -> str | None:
    """``EPSG:32633`` however it is spelled, WKT where there is no such code; None if PROJ does not know it.

    Codes, WKT and PROJJSON are read, and nothing else that PROJ reads: PROJ strings, and grids that a text names, make it
    open files of this machine.
    """
    coded = _CODE.fullmatch(said) or _URN.fullmatch(said) or _URL.fullmatch(said)
    if coded is None:
        _refuse_files(_NO_GRID.sub("", said))
        if not (_WKT.match(said) or said.startswith("{")) or _NO_GRID.search(said):
            return None
    try:
        crs = crs_of(f"{coded['authority'].upper()}:{coded['code']}" if coded else said)
        number = crs.to_epsg()
    except (GridError, ProjError):
        return None
    return f"EPSG:{number}" if number else crs.to_wkt()


def _refuse_files(said: str) -> None:
    """Raise InputError if PROJ would open what a text names."""
    if _PROJ_STRING.search(said) or _FILES.search(said):
        raise InputError(
            f"has the CRS {said[:80]!r}, a PROJ string or one that names files: only codes, and WKT and PROJJSON without "
            "them, are taken from an item"
        )


@lru_cache(maxsize=4096)
def _is_used(crs: str, bounds: tuple[float, float, float, float]) -> bool:
    """Whether a footprint's longitudes meet those for which a CRS is made."""
    area = crs_of(crs).area_of_use
    if area is None:
        return True
    west, _, east, _ = bounds
    near = shapely.box(west - _BESIDE, -90.0, east + _BESIDE, 90.0)
    return any(shapely.intersects(near, part) for part in turned(outline_of(area.bounds)))


# Transform and shape


def _first(asset: Json, properties: Json, name: str) -> Any:
    """What an asset says, or else its item."""
    return properties.get(name) if asset.get(name) is None else asset[name]


def _numbers(said: Any) -> tuple[float, float, float, float, float, float] | None:
    """The six numbers of a transform with north up; None if it is none, such as one in GDAL's order."""
    if not isinstance(said, list | tuple) or len(said) not in (6, 9):
        return None
    try:
        a, b, c, d, e, f = (float(value) for value in said[:6])
    except (TypeError, ValueError):
        return None
    plain = all(map(math.isfinite, (a, c, e, f))) and a > 0.0 > e and b == 0.0 == d
    return (a, b, c, d, e, f) if plain else None


def _shape(said: Any) -> tuple[int, int] | None:
    """Height and width; None if they are no two whole numbers."""
    if not isinstance(said, list | tuple) or len(said) != 2:
        return None
    try:
        height, width = (int(value) for value in said)
        exact = (height, width) == tuple(float(value) for value in said)
    except (TypeError, ValueError, OverflowError):
        return None
    if exact and not (0 < height <= MOST_SIDE and 0 < width <= MOST_SIDE):
        raise InputError(f"claims {height} × {width} pixels: no such raster is read")
    return (height, width) if exact else None


def _possible(crs: str, transform: Sequence[float], shape: tuple[int, int]) -> bool:
    """Whether numbers are of the CRS's unit: degrees on the globe, or metres."""
    a, _, c, _, e, f = transform
    known: CRS = crs_of(crs)
    if not known.is_geographic:
        return min(a, -e) >= _LEAST_METRES
    lons, lats = (c, c + a * shape[1]), (f, f + e * shape[0])
    return max(map(abs, lons)) <= _MOST_LON and max(map(abs, lats)) <= _MOST_LAT
