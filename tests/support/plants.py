"""Elements of a map that are planted in the metres of a patch, and so known before anything describes them.

Metres count from the patch's south-west corner, x to the east and y to the north.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyproj
import shapely
import shapely.affinity
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.core.model import Element

SIDE, PIXEL = 268.8, 0.6

#: A patch each near the middle and the border of zones, north and south, at the antimeridian, far north, and as NAIP has it.
PLACES = {
    "minnesota, as NAIP": (26915, -93.26, 44.97),
    "berlin": (32633, 13.4, 52.5),
    "border of two zones": (32631, 5.99, 48.1),
    "on the equator": (32737, 36.8, -0.001),
    "patagonia": (32719, -70.9, -53.1),
    "fiji, west of 180°": (32760, 179.9995, -16.8),
    "fiji, east of 180°": (32701, -179.9993, -16.8),
    "spitsbergen": (32633, 15.6, 78.2),
}


@cache
def _degrees(epsg: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)


def patch(place: str = "berlin", size: int = 448, pixel: float = PIXEL) -> GeoBox:
    """A patch around a place, its corner on its lattice."""
    epsg, lon, lat = PLACES[place]
    x, y = _degrees(epsg).transform(lon, lat, direction="INVERSE")
    west, north = (round(v / pixel) * pixel for v in (x - size * pixel / 2, y + size * pixel / 2))
    return GeoBox((size, size), Affine(pixel, 0.0, west, 0.0, -pixel, north), f"EPSG:{epsg}")


def in_degrees(shape: shapely.Geometry, grid: GeoBox) -> shapely.Geometry:
    """A shape of a patch's metres as longitudes and latitudes, within ±180 as maps have them."""
    box, to = grid.boundingbox, _degrees(grid.crs.epsg)
    return shapely.transform(shape, lambda xy: np.stack(to.transform(xy[:, 0] + box.left, xy[:, 1] + box.bottom), -1))


def planted(shape: shapely.Geometry, grid: GeoBox, number: int = 1, type: str = "way", **tags: str) -> Element:
    """A shape in metres of a patch as an element of the map."""
    kind = {0: "point", 1: "line", 2: "area"}[shapely.get_dimensions(shape)]
    return Element(
        type=type, id=number, version=1, kind=kind, tags=tuple(sorted(tags.items())), geometry=in_degrees(shape, grid)
    )


def rectangle(width: float, height: float, degrees: float = 0.0, at: tuple[float, float] = (134.4, 134.4)):
    """A rectangle around a place, turned counter-clockwise."""
    x, y = at
    box = shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return shapely.affinity.rotate(box, degrees)


def disc(radius: float, at: tuple[float, float] = (134.4, 134.4)):
    return shapely.Point(at).buffer(radius, quad_segs=32)


def stroke(*points: tuple[float, float]):
    return shapely.LineString(points)
