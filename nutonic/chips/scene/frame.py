"""A patch as a frame: what of a map lies in it, in metres, and in which of its nine parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from pyproj import Geod
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from nutonic.chips.scene.description import Cell
from nutonic.core.globe import around
from nutonic.core.grid import centre, crs_name, is_metric, lonlat_bounds, transformer, unlike_a_map
from nutonic.errors import GridError
from nutonic.lazily import lazily

#: The nine parts, row by row from the north-west.
CELLS: tuple[Cell, ...] = get_args(Cell)

#: How far around a patch shapes are kept, in parts of its side, to see whether they go on.
_MARGIN = 0.1

#: Lines of a map are straight in degrees. In metres they bend, by less than a hundredth of a pixel in pieces of this part
#: of the side for patches of some kilometres.
_PIECE = 1 / 16

#: A part of the patch is reached by a shape of which so much lies in it, ...
_LEAST_PART = {2: 0.05, 1: 0.1}
#: ... or that takes so much of it: of its area, or of its side; by the dimension of the shape. So what is said to lie
#: everywhere but in a part is as good as absent from it.
_LEAST_TAKEN = {2: 0.1, 1: 0.2}

#: Metres of a CRS may be so far off metres on the ground; UTM is within 0.5 % as far as six degrees from its meridian.
_SCALE_OFF = 0.01
#: Degrees by which up may be off north: a UTM zone in which Svalbard's pictures come has 6.
_MOST_TURNED = 10.0
_GEOD = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Frame:
    """The square of a patch, north up, in the metres of its CRS."""

    geobox: GeoBox

    def __post_init__(self) -> None:
        """Raise :class:`GridError` if it is no square of metres with north up."""
        problem = unlike_a_map(self.geobox.affine)
        if problem is None and self.geobox.shape.x != self.geobox.shape.y:
            problem = f"has {self.geobox.shape.x} × {self.geobox.shape.y} pixels: a patch is square"
        if problem is None and not is_metric(crs_name(self.geobox)):
            problem = f"is in {crs_name(self.geobox):.60}, not in metres: take it to its UTM zone"
        problem = problem or self._distorted()
        if problem is not None:
            raise GridError(f"the patch {problem}")

    def _distorted(self) -> str | None:
        """What keeps up from being north and metres from being metres, in words."""
        west, south, east, north = self.bounds
        x, y = (west + east) / 2, (south + north) / 2
        lon, lat = self._to_degrees((x, x, west, east), (south, north, y, y))
        if not np.isfinite((lon, lat)).all():
            return "reaches over the edge of its map: choose the CRS of its place"
        turned, _, height = _GEOD.inv(lon[0], lat[0], lon[1], lat[1])
        _, _, width = _GEOD.inv(lon[2], lat[2], lon[3], lat[3])
        if abs(turned) > _MOST_TURNED:
            return f"has its north {turned:.0f} degrees off its top in {self.crs:.60}: take it to its UTM zone"
        off = max(abs(length / self.side - 1) for length in (height, width))
        if off > _SCALE_OFF:
            return f"is in {self.crs:.60}, whose metres are {off:.0%} off those on the ground: take it to its UTM zone"
        return None

    def _to_degrees(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        lon, lat = transformer(self.crs, "EPSG:4326").transform(x, y)
        return np.asarray(lon), np.asarray(lat)

    @property
    def crs(self) -> str:
        """``"EPSG:…"``."""
        return crs_name(self.geobox)

    @lazily
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres."""
        return cast(tuple[float, float, float, float], tuple(map(float, self.geobox.boundingbox)))

    @property
    def side(self) -> float:
        """In metres."""
        return self.bounds[2] - self.bounds[0]

    @property
    def pixel(self) -> float:
        """Side of a pixel, in metres."""
        return abs(float(self.geobox.affine.a))

    @lazily
    def cells(self) -> tuple[BaseGeometry, ...]:
        """The nine parts, as `CELLS` names them."""
        west, _, _, north = self.bounds
        third = self.side / 3
        corners = ((west + k * third, north - (j + 1) * third) for j in range(3) for k in range(3))
        return tuple(shapely.box(x, y, x + third, y + third) for x, y in corners)

    @lazily
    def _degrees(self) -> tuple[float, BaseGeometry, float]:
        """The meridian of the centre, the box in degrees that holds the patch and its margin, and the longest piece."""
        lon, _ = centre(self.geobox)
        west, south, east, north = lonlat_bounds(self.geobox)
        west, east = float(around(west, lon)), float(around(east, lon))
        dx, dy = (east - west) * _MARGIN, (north - south) * _MARGIN
        return lon, shapely.box(west - dx, south - dy, east + dx, north + dy), (north - south) * _PIECE

    def drawn(self, shape: BaseGeometry) -> BaseGeometry:
        """A shape of longitudes and latitudes in metres, as far as the patch and a margin around it."""
        _, box, piece = self._degrees
        near = _clipped(self._around(shape), box)
        if near.is_empty:
            return near
        to = transformer("EPSG:4326", self.crs)
        return shapely.transform(shapely.segmentize(near, piece), lambda xy: np.column_stack(to.transform(*xy.T)))

    def leaves(self, shape: BaseGeometry) -> bool:
        """Whether a shape of longitudes and latitudes has anything beyond the margin, also pieces that lie far away."""
        _, box, _ = self._degrees
        west, south, east, north = self._around(shape).bounds
        least_x, least_y, most_x, most_y = box.bounds
        return bool(west < least_x or south < least_y or east > most_x or north > most_y)

    def _around(self, shape: BaseGeometry) -> BaseGeometry:
        """A shape on the turn of the globe on which the patch lies."""
        lon, _, _ = self._degrees
        west, _, east, _ = shape.bounds
        if west >= lon - 180 and east <= lon + 180:
            return shape
        return shapely.transform(shape, lambda xy: np.column_stack([around(xy[:, 0], lon), xy[:, 1]]))

    def within(self, drawn: BaseGeometry) -> BaseGeometry:
        """What of a drawn shape lies in the patch: lines joined where they meet, areas without loose edges."""
        inside = _clipped(drawn, shapely.box(*self.bounds))
        return shapely.line_merge(inside) if inside.geom_type == "MultiLineString" else inside

    def holds(self, places: np.ndarray) -> np.ndarray:
        """Which places, (n, 2) of longitudes and latitudes, lie in the patch or on its edge: (n,) bool."""
        west, south, east, north = self.bounds
        lon, _, _ = self._degrees
        x, y = transformer("EPSG:4326", self.crs).transform(around(places[:, 0], lon), places[:, 1])
        return np.asarray((west <= x) & (x <= east) & (south <= y) & (y <= north))

    def cell(self, point: BaseGeometry) -> int:
        """The number of the part that holds a point; what lies on the patch's edge lies in it."""
        west, _, _, north = self.bounds
        column, row = (
            min(max(math.floor(offset * 3 / self.side), 0), 2) for offset in (point.x - west, north - point.y)
        )
        return int(3 * row + column)

    def reached(self, inside: BaseGeometry) -> tuple[int, ...]:
        """The numbers of the parts that an area or a line reaches into.

        A twentieth of an area lies there, or it takes a tenth of the part; of a line a tenth, or a fifth of the side.
        """
        dimension = shapely.get_dimensions(inside)
        measure, of = (shapely.area, self.side**2 / 9) if dimension == 2 else (shapely.length, self.side / 3)
        parts = self.parts(inside)
        least = min(_LEAST_PART[dimension] * measure(inside), _LEAST_TAKEN[dimension] * of, parts.max())
        return tuple(k for k in range(9) if parts[k] >= least)

    def parts(self, inside: BaseGeometry) -> np.ndarray:
        """How much of an area or a line lies in each part, nine square metres or metres."""
        measure = shapely.area if shapely.get_dimensions(inside) == 2 else shapely.length
        return np.asarray(measure(shapely.intersection(inside, np.array(self.cells, dtype=object))))


def _clipped(shape: BaseGeometry, box: BaseGeometry) -> BaseGeometry:
    """A shape within a box, of the dimension that it had.

    A line is cut without looking at where it crosses itself, so that it stays one line.
    """
    if shapely.get_dimensions(shape) < 2:
        return shapely.clip_by_rect(shape, *box.bounds) if shape.geom_type != "Point" else shape
    if not shape.is_valid:
        shape = shapely.make_valid(shape)
    found = shapely.intersection(shape, box)
    if found.geom_type in ("Polygon", "MultiPolygon"):
        return found
    return MultiPolygon([part for part in shapely.get_parts(found) if part.geom_type == "Polygon"])
