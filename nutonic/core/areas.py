"""Areas as grids: bounds, outlines and places on the lattice of one UTM zone. And which areas are one, where some touch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import shape

from nutonic.core.globe import drawn_on, east_of, outline_of
from nutonic.core.grid import epsg, exact_origin, grid_around, same_crs, transformer, utm_epsg
from nutonic.errors import GridError, InputError


class GeoInterface(Protocol):
    """What shapely, geopandas and odc-geo geometries offer: GeoJSON of themselves."""

    @property
    def __geo_interface__(self) -> Mapping[str, Any]:
        """GeoJSON, in degrees unless ``crs`` says otherwise."""
        ...


#: What :func:`area_grid` takes: a GeoBox; (lon, lat) or (west, south, east, north) in degrees; GeoJSON, as a dict or the
#: path of a file; anything with ``__geo_interface__``, in degrees or in the CRS that it has.
Area = GeoBox | Sequence[float] | Mapping[str, Any] | str | Path | GeoInterface

#: Widest area, in degrees: further from its central meridian a UTM zone distorts a tile by more than a few pixels.
WIDEST = 12.0

#: Bytes of a file with an outline: that of a country with every bay has a few million.
_LARGEST = 64 * 2**20


def area_grid(
    area: Area,
    *,
    crs: str | None = None,
    resolution: float = 10.0,
    extent_m: float = 5120.0,
    origin: tuple[float, float] = (0.0, 0.0),
) -> GeoBox:
    """The grid of an area: north-up, its corners on the lattice, the whole area inside.

    Parameters
    ----------
    area
        A GeoBox, which is taken as it is; west, south, east, north in degrees (west greater than east across 180°);
        GeoJSON, as a dict or the path of a file; anything with ``__geo_interface__``, in degrees or, as a GeoDataFrame, in
        the CRS that it says it has; or longitude and latitude of a place.
    crs
        ``"EPSG:…"`` of a projected CRS; by default the UTM zone that Sentinel-2 uses at the middle of the area.
    resolution
        Side of a pixel in metres.
    extent_m
        Side of the square around a place in metres.
    origin
        A corner of the lattice, in metres, such as the corner of a file whose pixels the grid is to have. By default the
        grid's corners are multiples of the resolution.

    Raises
    ------
    GridError
        If the area is empty, too wide for one zone, or beyond 80° S or 84° N.
    InputError
        If it is none of the above.
    """
    if isinstance(area, GeoBox):  # one that was read back from a file spells its CRS out
        return GeoBox(area.shape, area.affine, f"EPSG:{epsg(area)}")
    numbers = _numbers(area)
    if len(numbers) == 2:
        return grid_around(*numbers, extent_m=extent_m, crs=crs, resolution=resolution, origin=origin)
    outline = outline_of_area(area)
    west, south, east, north = outline.bounds
    if outline.is_empty or west == east or south == north:
        raise GridError(f"the area has no extent: west {west:g}, south {south:g}, east {east:g}, north {north:g}")
    if east - west > WIDEST:
        turned = len(numbers) == 4 and numbers[0] > numbers[2]
        todo = (
            f"are west ({numbers[0]:g}) and east ({numbers[2]:g}) swapped?" if turned else "cut it and open the parts"
        )
        raise GridError(f"the area is {east - west:.1f}° wide, one UTM zone serves {WIDEST:g}°: {todo}")
    lon, lat = east_of((west + east) / 2), (south + north) / 2
    return _hull(outline, crs or f"EPSG:{utm_epsg(lon, lat)}", resolution, origin)


def outline_of_area(area: Area) -> shapely.Geometry:
    """The outline of bounds or GeoJSON, in degrees; one that crosses 180° goes on beyond it. Raises as :func:`area_grid`."""
    numbers = _numbers(area)
    return _box(*numbers) if len(numbers) == 4 else _outline(area)


def _numbers(area: Area) -> list[float]:
    """The two or four numbers of an area that is given as numbers; an empty list for any other form."""
    if isinstance(area, str | Path | Mapping) or hasattr(area, "__geo_interface__"):
        return []
    try:
        numbers = [float(value) for value in cast(Sequence[float], area)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (2, 4) or not all(map(math.isfinite, numbers)):
        raise InputError(
            f"{str(area)[:80]!r} is no area: give a GeoBox, (lon, lat), (west, south, east, north) or GeoJSON"
        )
    return numbers


def _box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        swapped = "; are south and north swapped?" if -90 <= north < south <= 90 else ""
        raise GridError(
            f"({west:g}, {south:g}, {east:g}, {north:g}) is not west, south, east, north in degrees{swapped}"
        )
    return outline_of((west, south, east, north))


def _outline(area: Any) -> shapely.Geometry:
    """The union of a GeoJSON object's shapes, in degrees; one that crosses 180° goes on beyond it."""
    try:
        content = _content(area)
        parts = [shape(part) for part in _geometries(content)]
        crs = _crs_name(getattr(area, "crs", None) or content.get("crs"))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, shapely.errors.ShapelyError) as error:
        raise InputError(f"the area is no GeoJSON ({type(error).__name__}: {error})") from None
    union = _in_degrees(
        shapely.union_all(parts), crs, f"the area {area}" if isinstance(area, str | Path) else "the area"
    )
    xs = shapely.get_coordinates(union)[:, 0]
    if xs.size and xs.max() - xs.min() > 180.0:  # it jumps
        union = drawn_on(union)
    return union


def _crs_name(crs: Any) -> str | None:
    """The CRS that geometries of geopandas and odc-geo have, or that GeoJSON names as GDAL writes it; else None."""
    named = crs["properties"]["name"] if isinstance(crs, Mapping) else crs
    return None if named is None else str(named)


#: Points along the longest side of an area in a CRS of its own: between them its edges are taken for straight in degrees.
_POINTS = 64


def _in_degrees(union: shapely.Geometry, crs: str | None, name: str) -> shapely.Geometry:
    """An outline in longitude and latitude, WGS 84, of its own CRS; GridError where no CRS is told and it has no degrees.

    `name`: what it is called when it is refused.
    """
    if union.is_empty:
        return union
    west, south, east, north = union.bounds
    if crs is not None and not same_crs(crs, "EPSG:4326"):
        there = transformer(crs, "EPSG:4326")
        fine = shapely.segmentize(union, max(east - west, north - south, 1e-9) / _POINTS)
        drawn = shapely.transform(fine, lambda points: np.stack(there.transform(*points.T), -1))
        if not np.isfinite(shapely.get_coordinates(drawn)).all():
            raise GridError(f"{name} cannot be drawn in degrees of its CRS, {crs:.60}: reproject it to EPSG:4326")
        return drawn
    if not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
        if -90 <= west <= east <= 90 and -180 <= south <= north <= 180:
            raise GridError(f"{name} has latitudes of {south:g} to {north:g}: longitude comes first")
        raise GridError(
            f"{name} goes from ({west:g}, {south:g}) to ({east:g}, {north:g}), which are no degrees: reproject it to "
            "EPSG:4326, or give it with its CRS, as a GeoDataFrame has one"
        )
    return union


def _content(area: Any) -> Any:
    if not isinstance(area, str | Path):
        return getattr(area, "__geo_interface__", area)
    path = Path(area)
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise InputError(f"cannot read the area {area}: it is no regular file")
        if path.stat().st_size > _LARGEST:
            raise InputError(f"cannot read the area {area}: it is larger than {_LARGEST:,} bytes; simplify its outline")
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        why = (error.strerror or "unreadable").lower()
        numbers = re.fullmatch(r"[-+0-9.eE\s]+(,[-+0-9.eE\s]+){3}", str(area)) is not None
        todo = "; numbers are given as numbers: (west, south, east, north)" if numbers else ""
        raise InputError(f"cannot read the area {area}: {why}{todo}") from None


def _geometries(content: Mapping[str, Any]) -> list[Any]:
    if content["type"] == "FeatureCollection":
        return [feature["geometry"] for feature in content["features"]]
    return [content["geometry"] if content["type"] == "Feature" else content]


def _hull(outline: shapely.Geometry, crs: str, resolution: float, origin: tuple[float, float]) -> GeoBox:
    to_grid = transformer("EPSG:4326", crs)
    drawn = shapely.get_coordinates(shapely.segmentize(outline, 0.05))
    points = np.stack(to_grid.transform(*drawn.T), -1)
    if not np.isfinite(points).all():
        raise GridError(f"the area cannot be drawn in {crs}: choose the zone it lies in")
    x0, y0 = exact_origin(origin)
    left, bottom = np.floor((points.min(axis=0) - (x0, y0)) / resolution).astype(int).tolist()
    right, top = np.ceil((points.max(axis=0) - (x0, y0)) / resolution).astype(int).tolist()
    transform = Affine(resolution, 0.0, x0 + left * resolution, 0.0, -resolution, y0 + top * resolution)
    return GeoBox((top - bottom, right - left), transform, crs)


# Areas that are one


def connected(pairs: np.ndarray, count: int) -> np.ndarray:
    """Which of some things are one, where of each pair both are, directly or through others.

    Parameters
    ----------
    pairs
        (n, 2), integers from 0 to below `count`, in any order; the same pair may come again, and a thing with itself.
    count
        How many things there are.

    Returns
    -------
    numpy.ndarray
        (count,) int64: the number of each thing's whole, from 0, by the first thing of each.
    """
    # Each whole becomes a tree, whose root is its first thing: of all pairs of two roots at once the later one is hung
    # below the earliest that it touches, and then all things right below their roots. SciPy's is as fast, but importing
    # it takes longer than making a small plan.
    root = np.arange(count, dtype=np.int64)
    a, b = pairs[:, 0], pairs[:, 1]
    while True:
        at_a, at_b = root[a], root[b]
        apart = at_a != at_b
        if not apart.any():
            return np.asarray(np.unique(root, return_inverse=True)[1].ravel(), np.int64)
        a, b, at_a, at_b = a[apart], b[apart], at_a[apart], at_b[apart]
        np.minimum.at(root, np.maximum(at_a, at_b), np.minimum(at_a, at_b))
        while ((above := root[root]) != root).any():
            root = above
