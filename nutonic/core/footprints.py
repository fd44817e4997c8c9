"""Which squares an item's footprint covers, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.geometry import shape

from nutonic.core.globe import WHOLE, between, east_of, over_a_pole, reach, turn_of, turned, whole_ring
from nutonic.core.grid import corners, crs_name, transformer

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

#: A footprint that is larger than this, in degrees, is drawn in a scene's CRS square by square: far from its middle a map
#: is distorted, or ends.
_LARGE = 30.0

#: Straight parts that an edge of a square is drawn by in degrees.
_EDGE_PARTS = 64


@dataclass(frozen=True, slots=True)
class Snapping:
    """Where the pixels lie that squares are snapped to."""

    crs: str
    """A projected one, in metres."""
    side: float = 10.0
    """Metres."""
    corner: tuple[float, float] = (0.0, 0.0)
    """Of any pixel."""


def footprint_of(geometry: Any) -> shapely.Geometry:
    """A GeoJSON polygon or several, valid, in degrees; a ring that jumps across 180° is drawn on beyond it instead.

    So longitudes may be anything from -180 to 540: compare them modulo 360.
    """
    parts = [shapely.make_valid(_unwrapped(part)) for part in shapely.get_parts(shape(geometry))]
    return parts[0] if len(parts) == 1 else shapely.make_valid(shapely.union_all(parts))


def _unwrapped(part: shapely.Geometry) -> shapely.Geometry:
    """A part whose outline does not jump, and goes over the pole that it is around."""
    if part.geom_type != "Polygon" or part.is_empty:
        return part
    outlines = [shapely.get_coordinates(ring) for ring in (part.exterior, *part.interiors)]
    rings = [whole_ring(outline) for outline in outlines]
    if all(
        len(ring) == len(outline) and (ring == outline).all() for ring, outline in zip(rings, outlines, strict=True)
    ):
        return part
    shell = shapely.make_valid(shapely.Polygon(rings[0]))
    holes = [hole for ring in rings[1:] for hole in turned(shapely.Polygon(ring)) if shell.intersects(hole)]
    return shapely.difference(shell, shapely.union_all(shapely.make_valid(holes)))


@lru_cache(maxsize=64)
def ground_of(geobox: GeoBox) -> shapely.Geometry:
    """A grid's outline in degrees, drawn as footprints are; the globe where it cannot be drawn."""
    height, width = geobox.shape
    ring = shapely.segmentize(shapely.box(0, 0, width, height), max(height, width) / _EDGE_PARTS)
    points = shapely.get_coordinates(ring) * (geobox.affine.a, geobox.affine.e) + (geobox.affine.c, geobox.affine.f)
    lonlat = np.stack(transformer(crs_name(geobox), "EPSG:4326").transform(*points.T), -1)
    return shapely.make_valid(shapely.Polygon(whole_ring(lonlat)) if np.isfinite(lonlat).all() else shapely.box(*WHOLE))


def near(footprint: shapely.Geometry, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> np.ndarray:
    """Positions of the squares whose centres lie near a footprint, counting round the antimeridian."""
    high, wide = reach(extent_m, float(np.abs(lat).max(initial=0.0)))
    found = np.zeros(len(lon), bool)
    for part in shapely.get_parts(footprint):
        west, south, east, north = part.bounds
        within = between(lon, west, east, float(wide))
        found |= within & (lat >= south - high) & (lat <= north + high)
    return np.flatnonzero(found)


def shares(
    footprint: shapely.Geometry, snapping: Snapping, lon: np.ndarray, lat: np.ndarray, extent_m: float
) -> np.ndarray:
    """Share of each square, 0 to 1, that a footprint covers; squares have their corners on the pixels'."""
    x, y = (np.asarray(values) for values in transformer("EPSG:4326", snapping.crs).transform(lon, lat))
    drawn = np.isfinite(x) & np.isfinite(y)
    left, top = corners(np.where(drawn, x, 0.0), np.where(drawn, y, 0.0), extent_m, snapping.side, snapping.corner)
    squares = shapely.box(left, top - extent_m, left + extent_m, top)
    outlines = _outline(footprint, snapping.crs)
    if outlines is None:
        outlines = _outlines_near(footprint, snapping.crs, lon, lat, _reach(squares, snapping.crs, lon, lat, extent_m))
    return np.asarray(np.where(drawn, shapely.area(shapely.intersection(squares, outlines)) / extent_m**2, 0.0))


def _outline(footprint: shapely.Geometry, crs: str) -> shapely.Geometry | None:
    """A footprint in a CRS; None where it is too large, or crosses the end of the map."""
    west, south, east, north = footprint.bounds
    if max(east - west, north - south) > _LARGE:
        return None
    points = np.stack(transformer("EPSG:4326", crs).transform(*shapely.get_coordinates(footprint).T), -1)
    turn = turn_of(crs)
    if not np.isfinite(points).all() or (turn is not None and np.ptp(points[:, 0]) > turn.length / 2):
        return None
    return shapely.make_valid(shapely.transform(footprint, lambda _: points))


def _reach(
    squares: np.ndarray, crs: str, lon: np.ndarray, lat: np.ndarray, extent_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of latitude and longitude from their places that hold squares, each (n,): a map may shrink ground."""
    ring = shapely.get_coordinates(shapely.segmentize(squares, extent_m / 4)).reshape(len(squares), -1, 2)
    lons, lats = (np.asarray(v) for v in transformer(crs, "EPSG:4326").transform(ring[..., 0], ring[..., 1]))
    high, wide = reach(extent_m, lat)
    with np.errstate(invalid="ignore"):  # infinite where the map has no such place
        north, east = np.abs(lats - lat[:, None]), np.abs(east_of(lons - lon[:, None]))
    high, wide = (
        np.fmax(least, 1.1 * np.where(np.isfinite(far), far, 0.0).max(axis=1))
        for least, far in ((high, north), (wide, east))
    )
    return high, np.where(over_a_pole(lat, high), 180.0, np.minimum(wide, 180.0))


def _outlines_near(
    footprint: shapely.Geometry, crs: str, lon: np.ndarray, lat: np.ndarray, reach: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Of each square the part of a footprint that lies around it, in a CRS; nothing where that has no place for it."""
    high, wide = reach
    around = shapely.box(lon - wide, np.maximum(lat - high, -90.0), lon + wide, np.minimum(lat + high, 90.0))
    parts = shapely.intersection(shapely.union_all(list(turned(footprint))), around)
    parts = shapely.segmentize(parts, np.minimum(wide, 32.0) / 32)
    points, of = shapely.get_coordinates(parts, return_index=True)
    to_crs, turn = transformer("EPSG:4326", crs), turn_of(crs)
    drawn = np.stack(to_crs.transform(*points.T), -1)
    with np.errstate(invalid="ignore"):
        if turn is not None:
            drawn[:, 0] = turn.beside(drawn[:, 0], np.asarray(to_crs.transform(lon, lat)[0])[of])
    nowhere = np.isin(np.arange(len(parts)), of[~np.isfinite(drawn).all(axis=1)])
    outlines = shapely.set_coordinates(parts, np.nan_to_num(drawn, posinf=0.0, neginf=0.0))
    return np.asarray(shapely.make_valid(np.where(nowhere, shapely.Polygon(), outlines)))
