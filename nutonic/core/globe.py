"""The globe is round: longitudes that jump at the antimeridian, and degrees that shrink towards the poles.

Outlines that cross 180° are drawn on beyond it, so that they are whole: longitudes from -180 to 540 are then compared
modulo 360. Boxes that cross it have a west greater than their east (RFC 7946, 5.2), or are cut in two for those who
cannot read that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import shapely

#: Longitudes, one or many.
Degrees = TypeVar("Degrees", float, np.ndarray)

#: West, south, east, north in degrees.
Box = tuple[float, float, float, float]

#: Metres that a degree of latitude has at least, in round numbers: at the equator there are 110,574.
METRES_PER_DEGREE = 110_000.0

#: Degrees by which an outline is moved to meet another that may be drawn on the next turn of the globe.
TURNS = (-360.0, 0.0, 360.0)

#: Where degrees of longitude are taken to shrink no more.
_POLAR = 89.0


def east_of(lon: Degrees, meridian: float = 0.0) -> Degrees:
    """Degrees that longitudes lie east of a meridian, -180 to 180, west of it negative."""
    return (lon - meridian + 180.0) % 360.0 - 180.0


def around(lon: Degrees, meridian: float) -> Degrees:
    """Longitudes on the turn of the globe on which they are nearest to a meridian; they may lie beyond 180."""
    return meridian + east_of(lon, meridian)


def between(lon: np.ndarray, west: float, east: float, margin: float) -> np.ndarray:
    """Which longitudes lie between two, or so many degrees beside them, on any turn of the globe."""
    return np.asarray((lon - west + margin) % 360.0 <= east - west + 2 * margin)


def reach(metres: float, lat: Degrees) -> tuple[float, Degrees]:
    """Degrees of latitude and of longitude that hold so many metres at a latitude and up to so far from it."""
    degrees = metres / METRES_PER_DEGREE
    return degrees, degrees / np.cos(np.radians(np.minimum(np.abs(lat) + degrees, _POLAR)))


def boxes_of(bounds: Box) -> list[Box]:
    """An area as one box, or as two where it lies across 180°, its west greater than its east."""
    west, south, east, north = bounds
    return [bounds] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def boxes_around(lon: np.ndarray, lat: np.ndarray, metres: float) -> list[Box]:
    """The box, or the two across 180°, that hold everything within so many metres of places on either axis."""
    high, wide = reach(metres, float(np.abs(lat).max()))
    south, north = max(float(lat.min()) - high, -90.0), min(float(lat.max()) + high, 90.0)
    west, east = float(lon.min()) - float(wide), float(lon.max()) + float(wide)
    if east - west >= 360.0:
        return [(-180.0, south, 180.0, north)]
    if west < -180.0:
        west += 360.0
    elif east > 180.0:
        east -= 360.0
    return boxes_of((west, south, east, north))


def outline_of(bounds: Box) -> shapely.Geometry:
    """A box as an outline, drawn on beyond 180° where its west is greater than its east."""
    west, south, east, north = bounds
    return shapely.box(west, south, east + 360.0 if east < west else east, north)


def drawn_on(geometry: shapely.Geometry) -> shapely.Geometry:
    """A shape that jumps at 180°, drawn on beyond it instead: what is west of Greenwich lies a turn further east."""
    return shapely.transform(
        geometry, lambda p: np.column_stack([np.where(p[:, 0] < 0, p[:, 0] + 360.0, p[:, 0]), p[:, 1]])
    )


def turned(geometry: shapely.Geometry | np.ndarray, turns: tuple[float, ...] = TURNS) -> Iterator[shapely.Geometry]:
    """A shape, or many, on this turn of the globe and on its neighbours."""
    for turn in turns:
        yield shapely.transform(geometry, lambda p, by=turn: p + (by, 0.0))
