"""Which squares an item's footprint covers, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape

from nutonic.core.globe import between, drawn_on, reach
from nutonic.core.grid import corners, transformer


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
    parts = [_unwrapped(part) for part in shapely.get_parts(shape(geometry))]
    return shapely.make_valid(parts[0] if len(parts) == 1 else shapely.union_all(parts))


def _unwrapped(part: shapely.Geometry) -> shapely.Geometry:
    """A part whose outline does not jump; one that spans the whole globe does so on purpose."""
    jumps = (np.abs(np.diff(shapely.get_coordinates(part)[:, 0])) > 180.0).any()
    if not jumps:
        return part
    shifted = drawn_on(part)
    return shapely.make_valid(shifted) if shifted.area > 0 else part


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
    to_scene = transformer("EPSG:4326", snapping.crs)
    outline = shapely.make_valid(shapely.transform(footprint, lambda p: np.stack(to_scene.transform(*p.T), -1)))
    x, y = to_scene.transform(lon, lat)
    left, top = corners(np.asarray(x), np.asarray(y), extent_m, snapping.side, snapping.corner)
    squares = shapely.box(left, top - extent_m, left + extent_m, top)
    return np.asarray(shapely.area(shapely.intersection(squares, outline)) / extent_m**2)
