"""Shapes of a map made fit: areas that are valid, and whatever crosses the 180th meridian cut there."""

from __future__ import annotations

import numpy as np
import shapely

from nutonic.core.globe import TURNS, drawn_on, turned

#: Degrees. A step of more between two points goes round the other way: nothing else on a map is as long.
_HALF = 180.0

_EAST = shapely.box(0.0, -90.0, 180.0, 90.0)
(_WEST,) = turned(shapely.box(-180.0, -90.0, 0.0, 90.0), TURNS[2:])


def shapes_of(wkb: list[str | None], areas: np.ndarray) -> np.ndarray:
    """Shapes as they are kept; None where there is none, or nothing of it is left.

    Parameters
    ----------
    wkb
        Hexadecimal.
    areas
        (len(wkb),) bool: which are areas, so that nothing but polygons counts.

    Returns
    -------
    numpy.ndarray
        (len(wkb),) of shapely's geometries in longitude and latitude, or None.
    """
    shapes = shapely.from_wkb(np.array(wkb, dtype=object))
    bounds = shapely.bounds(shapes)
    for at in np.flatnonzero(bounds[:, 2] - bounds[:, 0] > _HALF):
        if _crosses(shapes[at]):
            shapes[at] = _cut(shapes[at])
    single = areas & (shapely.get_type_id(shapes) == 6) & (shapely.get_num_geometries(shapes) == 1)
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    for at in np.flatnonzero(areas & ~shapely.is_valid(shapes)):  # of None it is not valid either
        shapes[at] = shapes[at] and _polygons(shapely.make_valid(shapes[at]))
    return np.asarray(np.where(shapely.is_empty(shapes), None, shapes), dtype=object)


def _crosses(shape: shapely.Geometry) -> bool:
    """Whether a shape has a step that is shorter round the other way."""
    lines = shapely.get_parts(shapely.boundary(shape) if shape.area else shape)
    return any(np.abs(np.diff(shapely.get_coordinates(line)[:, 0])).max(initial=0) > _HALF for line in lines)


def _cut(shape: shapely.Geometry) -> shapely.Geometry:
    """A shape that crosses the 180th meridian as parts that lie on either side of it."""
    whole = drawn_on(shape)
    if shape.area:
        whole = _polygons(shapely.make_valid(whole))
    east = shapely.intersection(whole, _EAST)
    (west,) = turned(shapely.intersection(whole, _WEST), TURNS[:1])
    kind = 3 if shape.area else 1
    parts = [inner for part in [east, west] for inner in shapely.get_parts(part) if shapely.get_type_id(inner) == kind]
    return shapely.multipolygons(parts) if shape.area else shapely.multilinestrings(parts)


def _polygons(shape: shapely.Geometry) -> shapely.Geometry | None:
    """The polygons of a shape; None if it has none."""
    parts = shapely.get_parts(shape)
    parts = shapely.get_parts(parts[np.isin(shapely.get_type_id(parts), (3, 6))])
    if not len(parts):
        return None
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def boxes(bounds: tuple[float, float, float, float]) -> tuple[tuple[float, float, float, float], ...]:
    """A box as it lies on the map: one that crosses the 180th meridian, its west above its east, is two."""
    west, south, east, north = bounds
    if west <= east:
        return (bounds,)
    return ((west, south, _HALF, north), (-_HALF, south, east, north))
