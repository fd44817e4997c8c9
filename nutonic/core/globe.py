"""The globe is round: coordinates that jump at the antimeridian, and degrees that shrink towards the poles.

Outlines that cross 180° are drawn on beyond it, so that they are whole: longitudes from -180 to 540 are then compared
modulo 360. Boxes that cross it have a west greater than their east (RFC 7946, 5.2), or are cut in two for those who
cannot read that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import TypeVar

import numpy as np
import shapely
from pyproj import CRS, Transformer

#: Longitudes, one or many.
Degrees = TypeVar("Degrees", float, np.ndarray)

#: West, south, east, north in degrees.
Box = tuple[float, float, float, float]

#: Metres that a degree of latitude has at least, in round numbers: at the equator there are 110,574.
METRES_PER_DEGREE = 110_000.0

#: Degrees by which an outline is moved to meet another that may be drawn on the next turn of the globe.
TURNS = (-360.0, 0.0, 360.0)

#: The globe.
WHOLE: Box = (-180.0, -90.0, 180.0, 90.0)

#: Where degrees of longitude are taken to shrink no more: what reaches over it may be anywhere around the pole.
_POLAR = 89.0

#: A box that would be so many times as high as wide if it jumped at 180° spans the whole globe instead.
_SLIVER = 100.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the globe in a CRS whose first coordinate is a longitude, or grows as one does."""

    length: float
    """In units of the CRS: 360 in degrees, 400 in grads, the equator's length in Mercator."""
    west: float
    """Where PROJ begins to count: -180 in degrees."""

    def unwrapped(self, u: np.ndarray) -> np.ndarray:
        """Coordinates on one turn with the first of them that is a number: those nearby do not jump."""
        finite = u[np.isfinite(u)]
        return self.beside(u, finite[0]) if finite.size else u

    def beside(self, u: np.ndarray, others: np.ndarray | float) -> np.ndarray:
        """Coordinates on the turn of the globe on which they are nearest to others."""
        return np.asarray(u - self.length * np.rint((u - others) / self.length))

    def wrapped(self, u: np.ndarray) -> np.ndarray:
        """Coordinates less than a turn beyond PROJ's own, as PROJ counts them."""
        return np.asarray(u - self.length * (u >= self.west + self.length) + self.length * (u < self.west))

    def at_or_after(self, u: np.ndarray, west: float) -> np.ndarray:
        """Coordinates on the turn of the globe that begins at a meridian."""
        return np.asarray(u + self.length * np.ceil((west - u) / self.length))


@lru_cache(maxsize=512)
def turn_of(crs: str) -> Turn | None:
    """The turn of a geographic CRS, or of one on a cylinder such as Mercator's; None of others, which do not repeat."""
    known = CRS.from_user_input(crs)
    if known.is_geographic:
        length = round(2 * pi / known.axis_info[0].unit_conversion_factor, 9)
        return Turn(length, -length / 2)
    return _cylinder(known) if known.is_projected else None


def _cylinder(crs: CRS) -> Turn | None:
    """The turn of a projection whose x grows with longitude alone, by the same amount in every degree."""
    whole = turn_of(crs.geodetic_crs.to_wkt()) if crs.geodetic_crs is not None else None
    if whole is None:
        return None
    to_map = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    lon, lat = np.meshgrid(np.linspace(-0.5, 0.5, 361) * whole.length, np.array([-0.2, 0.0, 0.2]) * whole.length)
    x = np.asarray(to_map.transform(lon, lat)[0])
    if not np.isfinite(x).all():
        return None
    steps = np.diff(x, axis=1)
    step = float(np.median(steps))
    odd = ~(np.abs(steps - step) <= 1e-6 * step)  # where it jumps, half a turn from its meridian, and nowhere else
    if not step > 0 or odd.sum(axis=1).max() > 1 or np.ptp(x[:, odd.sum(axis=0).argmin()]) > 1e-6 * step:
        return None
    spans = float(np.ptp(x[1]))
    length = spans * 360.0 / round(spans / step)
    return Turn(length, _begins(to_map, lon[1]))


def _begins(to_map: Transformer, lon: np.ndarray) -> float:
    """The least x of a cylinder: right of the one jump between these longitudes, to a trillionth of a degree."""
    for _ in range(5):
        x = np.asarray(to_map.transform(lon, np.zeros_like(lon))[0])
        jump = int(np.diff(x).argmin())
        if x[jump + 1] > x[jump]:
            return float(x.min())
        lon = np.linspace(lon[jump], lon[jump + 1], 400)
    return float(x[jump + 1])


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
    wide = degrees / np.cos(np.radians(np.minimum(np.abs(lat) + degrees, _POLAR)))
    wide = np.where(over_a_pole(lat, degrees), np.maximum(wide, 180.0), wide)
    return degrees, wide[()]


def over_a_pole(lat: float | np.ndarray, degrees: float | np.ndarray) -> np.ndarray:
    """Whether what reaches so far from a latitude may lie at any longitude."""
    return np.asarray(np.abs(lat) + degrees > _POLAR)


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


def whole_ring(points: np.ndarray) -> np.ndarray:
    """A closed ring, (n, 2) in degrees, drawn on beyond 180° where it jumps; one that is around a pole goes over it.

    A step of more than 180° jumps. One of 360° may be the whole of a parallel as well, as in the box of the world; it is
    where the ring makes no sense otherwise. A drawn ring begins between -180 and 180.
    """
    step = np.abs(np.diff(points[:, 0]))
    if not (step > 180.0).any():
        return points
    jumping, meant = _drawn_on(points, step > 180.0), _drawn_on(points, (step > 180.0) & (step < 360.0))
    if _closed(jumping):
        return next((ring for ring in (jumping, meant) if _closed(ring) and not _is_sliver(ring)), points)
    if _closed(meant) and shapely.is_valid(shapely.Polygon(meant)) and shapely.Polygon(meant).area > 0:
        return meant
    pole = 90.0 if points[:, 1].mean() > 0 else -90.0
    return np.vstack([jumping, (jumping[-1, 0], pole), (jumping[0, 0], pole), jumping[0]])


def _drawn_on(points: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """Points of a ring, each a turn further for each jump eastward before it."""
    lon, lat = points.T
    turns = np.concatenate([[0.0], np.cumsum(np.where(jumps, -np.sign(np.diff(lon)), 0.0))])
    turns -= np.floor(((lon + 360.0 * turns).min() + 180.0) / 360.0)
    return np.column_stack([lon + 360.0 * turns, lat])


def _closed(ring: np.ndarray) -> bool:
    return bool(ring[0, 0] == ring[-1, 0])


def _is_sliver(ring: np.ndarray) -> bool:
    """Whether a ring is nothing, or a box so much higher than wide that it does not cross 180°, but spans the globe."""
    width, height = np.ptp(ring, axis=0)
    return bool(width == 0.0 or (len(ring) == 5 and width * _SLIVER < height))


def turned(geometry: shapely.Geometry | np.ndarray, turns: tuple[float, ...] = TURNS) -> Iterator[shapely.Geometry]:
    """A shape, or many, on this turn of the globe and on its neighbours."""
    for turn in turns:
        yield shapely.transform(geometry, lambda p, by=turn: p + (by, 0.0))


def on_the_globe(geometry: shapely.Geometry) -> list[shapely.Geometry]:
    """What of a shape lies on each turn of the globe, all of it between -180 and 180 degrees; some may be empty."""
    return [shapely.intersection(part, shapely.box(*WHOLE)) for part in turned(geometry)]
