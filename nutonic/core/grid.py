"""Pixel grids: functions on :class:`odc.geo.geobox.GeoBox`, the one value that says where pixels lie.

A grid is a CRS, an affine transform and a shape. The *lattice* is the infinite grid of pixel corners a transform spans;
Sentinel-2's 10 m bands lie on the multiples of 10 m of their UTM zone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from contextlib import ExitStack
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer, proj_version_str
from pyproj.exceptions import DataDirError, ProjError

from nutonic.core.globe import WHOLE, around, east_of
from nutonic.core.model import Tile
from nutonic.core.tiling import pixels
from nutonic.errors import BrokenInstall, GridError, NotAligned, OffLattice

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

# odc-geo imports dask: it is imported by who makes a grid.

#: UTM is defined between these latitudes (NGA.SIG.0012_2.0.0_UTMUPS, section 7); beyond them lies UPS.
UTM_SOUTH, UTM_NORTH = -80.0, 84.0

#: Pixels along a side of a raster: more is a mistake, or meant to fill the memory. The Earth at 10 m is 4 million wide.
MOST_SIDE = 2**23

#: Origins are kept as whole multiples of 2⁻²⁰ m (under a micrometre), so that adding pixels to them is exact in float64
#: and a tile's coordinates equal the whole grid's bit for bit.
_ORIGIN_STEP = 2.0**-20

#: Largest distance from the lattice, in pixels, that counts as on it: a tenth of a millimetre at 10 m.
_ON_LATTICE = 1e-5

#: Degrees of longitude that a grid spans before it is looked at more closely.
_WIDE = 90.0


@lru_cache(maxsize=256)
def crs_of(text: str) -> CRS:
    """A CRS of its code or its WKT.

    Raises
    ------
    GridError
        If PROJ does not know it.
    BrokenInstall
        If PROJ knows nothing at all: it has no database, which is no fault of the CRS.
    """
    try:
        return CRS.from_user_input(text)
    except (ProjError, DataDirError):
        require_proj()
        raise GridError(f"{' '.join(text.split()):.60} is no CRS that PROJ {proj_version_str} knows") from None


@cache
def require_proj() -> None:
    """Raise :class:`BrokenInstall` if PROJ knows nothing at all: that is no fault of any CRS, nor of what has it."""
    try:
        CRS.from_epsg(4326)
    except (ProjError, DataDirError) as error:
        require_files()
        raise BrokenInstall(
            f"PROJ does not know EPSG:4326, so its database cannot be used: {_first_line(error)}; {proj_hint()}"
        ) from None


def require_files(count: int = 4) -> None:
    """Raise OSError where this process can open no more files: what a library then says of its own is not what is wrong."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(Path(os.devnull).open("rb"))


def proj_hint() -> str:
    """The variables by which PROJ does not find its database: those that are set, or those that may be."""
    where = [name for name in ("PROJ_DATA", "PROJ_LIB", "PROJ_AUX_DB") if os.environ.get(name)]
    return f"see {' and '.join(where or ['PROJ_DATA', 'PROJ_LIB'])}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200].rstrip(".")


@lru_cache(maxsize=256)
def same_crs(one: str, other: str) -> bool:
    """Whether two codes or WKTs mean one CRS of two dimensions, whatever its names, versions and order of axes."""
    return one == other or _flat(crs_of(one)).equals(_flat(crs_of(other)), ignore_axis_order=True)


def _flat(crs: CRS) -> CRS:
    """A CRS without its heights."""
    return _flat(crs.sub_crs_list[0]) if crs.is_compound else crs.to_2d() if len(crs.axis_info) == 3 else crs


@lru_cache(maxsize=256)
def is_map(crs: str) -> bool:
    """Whether coordinates are degrees, or places on a projection; not of a building site, nor from the Earth's centre."""
    flat = _flat(crs_of(crs))
    return bool((flat.is_geographic or flat.is_projected) and not flat.is_geocentric)


@lru_cache(maxsize=256)
def is_metric(crs: str) -> bool:
    """Whether coordinates are metres on a map."""
    flat = _flat(crs_of(crs))
    return flat.is_projected and all(axis.unit_conversion_factor == 1.0 for axis in flat.axis_info)


@lru_cache(maxsize=512)
def transformer(source: str, target: str) -> Transformer:
    """The (cached, thread-safe) transformer between two CRSs, in x, y order: longitude comes first.

    Raises
    ------
    GridError
        If there is no way from one to the other, as between two planets, or PROJ does not know one of them.
    BrokenInstall
        If PROJ has no database.
    """
    try:
        return Transformer.from_crs(crs_of(source), crs_of(target), always_xy=True)
    except (ProjError, DataDirError) as error:
        require_proj()
        ends = f"from {' '.join(source.split()):.60} to {' '.join(target.split()):.60}"
        raise GridError(f"PROJ cannot transform {ends}: {_first_line(error)}") from None


@lru_cache(maxsize=256)
def affine_of(transform: tuple[float, float, float, float, float, float]) -> Affine:
    """The affine of an asset's transform: many places have one, and to make it takes as long as to use it."""
    return Affine(*transform)


def numbers_of(affine: Affine) -> tuple[float, float, float, float, float, float]:
    """a, b, c, d, e, f; to unpack or to slice an affine takes it ten times as long."""
    return affine.a, affine.b, affine.c, affine.d, affine.e, affine.f


def unlike_a_map(transform: Affine) -> str | None:
    """What keeps a raster's pixels from being squares with north up, in words; None if they are."""
    a, b, _, d, e, _ = numbers_of(transform)
    if b or d:
        return f"is rotated (b = {b:g}, d = {d:g}): warp it to a north-up grid first"
    if e > 0 or a < 0:
        wrong = "south up" if e > 0 else "west to the right"
        return f"has {wrong} (its pixels are {a:g} wide and {-e:g} high): warp it to a north-up grid first"
    if abs(a + e) > _ON_LATTICE * abs(a):
        return f"has pixels of {a:.10g} × {-e:.10g}, which are not square: warp it to square ones first"
    return None


def standard_zone(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """EPSG code of the six-degree UTM zone of each place, without the exceptions around Norway."""
    zone = np.floor((np.asarray(lon) + 180.0) / 6.0).astype(np.int64) % 60 + 1
    return np.where(np.asarray(lat) >= 0, 32600, 32700) + zone


def utm_epsg(lon: float, lat: float) -> int:
    """EPSG code of the UTM zone that Sentinel-2 tiles use at a place.

    That is the military grid's zone: 32V reaches west over Bergen, and 31X to 37X skip every other zone over Svalbard
    (NGA.STND.0037_2.0.0_GRIDS, table 2).

    Raises
    ------
    GridError
        Beyond 80° S or 84° N, where UTM ends.
    """
    if not (UTM_SOUTH <= lat <= UTM_NORTH) or not (-180.0 <= lon <= 180.0):
        raise GridError(f"no UTM zone at longitude {lon}, latitude {lat}: use -180 to 180 and -80 to 84")
    zone = int(standard_zone(np.array(lon), np.array(lat))) % 100
    if 56 <= lat < 64 and 3 <= lon < 12:
        zone = 32
    elif lat >= 72 and 0 <= lon < 42:
        zone = 31 + 2 * int((lon + 3) // 12)
    return (32600 if lat >= 0 else 32700) + zone


def exact_origin(origin: tuple[float, float]) -> tuple[float, float]:
    """A corner of a lattice to which pixels can be added without rounding."""
    x, y = (round(v / _ORIGIN_STEP) * _ORIGIN_STEP for v in origin)
    return x, y


def grid_around(
    lon: float,
    lat: float,
    *,
    extent_m: float = 5120,
    crs: str | None = None,
    resolution: float = 10.0,
    origin: tuple[float, float] = (0.0, 0.0),
) -> GeoBox:
    """The square grid around a place, its corners on the lattice.

    Parameters
    ----------
    lon, lat
        Centre, in degrees (WGS 84).
    extent_m
        Side of the square in metres, a whole number of pixels.
    crs
        ``"EPSG:…"`` of a projected CRS in metres; by default the UTM zone that Sentinel-2 uses there.
    resolution
        Side of a pixel in metres.
    origin
        A corner of the lattice, in metres. The default is the lattice of Sentinel-2.

    Returns
    -------
    GeoBox
        North-up, ``extent_m / resolution`` pixels a side; its corner is the lattice point nearest to the place minus
        half the extent, so its centre is at most half a pixel away from the place on either axis.
    """
    crs = crs or f"EPSG:{utm_epsg(lon, lat)}"
    if not is_metric(crs):
        raise GridError(
            f"no square of metres can be drawn in {crs:.60}, whose unit is another: warp what is in it to UTM"
        )
    side = pixels(extent_m, resolution)
    x, y = transformer("EPSG:4326", crs).transform(lon, lat)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise GridError(f"longitude {lon}, latitude {lat} cannot be drawn in {crs}: choose the zone the place lies in")
    from odc.geo.geobox import GeoBox

    left, top = corners(np.array([x]), np.array([y]), extent_m, resolution, origin)
    return GeoBox((side, side), Affine(resolution, 0.0, float(left[0]), 0.0, -resolution, float(top[0])), crs)


def corners(
    x: np.ndarray, y: np.ndarray, extent_m: float, resolution: float, origin: tuple[float, float] = (0.0, 0.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Left and top of the snapped squares around projected points, all in metres; see :func:`grid_around`."""
    x0, y0 = exact_origin(origin)
    left = x0 + resolution * np.floor((x - extent_m / 2 - x0) / resolution + 0.5)
    top = y0 + resolution * np.floor((y + extent_m / 2 - y0) / resolution + 0.5)
    return left, top


def tile_grid(geobox: GeoBox, tile: Tile) -> GeoBox:
    """The grid of one tile: the same pixels, a smaller window."""
    from odc.geo.geobox import GeoBox

    if (tile.size, tile.size, tile.row, tile.col) == (*geobox.shape, 0, 0):
        return geobox
    # Slicing asks of everything that an index can be; a tile lies in its grid.
    a, b, c, d, e, f = numbers_of(geobox.affine)
    first = Affine(a, b, a * tile.col + b * tile.row + c, d, e, d * tile.col + e * tile.row + f)
    return GeoBox((tile.size, tile.size), first, geobox.crs)


def offset_in(lattice: Affine, geobox: GeoBox) -> tuple[int, int]:
    """Row and column of `geobox`'s first pixel, counted from the origin of a transform with the same lattice and CRS.

    Raises
    ------
    OffLattice
        If the pixels differ in size, or the corners lie between the lattice's; the message says by how much.
    """
    have, want = lattice, geobox.affine
    size_differs = max(abs(have.a - want.a), abs(have.e - want.e)) > _ON_LATTICE * abs(want.a) / max(geobox.shape)
    if (have.b or have.d or size_differs) and (problem := unlike_a_map(have)):
        raise OffLattice(f"the raster {problem}")
    if size_differs:
        raise OffLattice(f"the raster's pixels are {have.a:g} × {-have.e:g} m, the grid's {want.a:g} × {-want.e:g} m")
    col, row = (want.c - have.c) / have.a, (want.f - have.f) / have.e
    off = (col - round(col), row - round(row))
    if max(map(abs, off)) > _ON_LATTICE:
        raise OffLattice(
            f"the raster lies {abs(off[0]) * have.a:.3f} m east-west and {abs(off[1]) * have.a:.3f} m north-south off "
            f"the {want.a:g} m lattice: open it on its own with grid: {{lattice: source}}"
        )
    return round(row), round(col)


#: How far from a whole number of the grid's pixels the side of a coarser one may be, and still be read as that.
_WHOLE = 1e-6


def repeated(raster: Affine, geobox: GeoBox) -> tuple[Affine, int]:
    """A raster's lattice in pixels of a grid's size, and how often each of its own pixels is repeated along a side.

    A raster whose pixels are 2 or 3 or more times as large on both axes has finer ones in place of each; whether they lie
    on the grid is for :func:`offset_in` to say. Any other is as it is, and repeated once.
    """
    ratios = raster.a / geobox.affine.a, raster.e / geobox.affine.e
    times = round(ratios[0])
    if times < 2 or max(abs(ratio - times) for ratio in ratios) > _WHOLE or raster.b or raster.d:
        return raster, 1
    return Affine(raster.a / times, 0.0, raster.c, 0.0, raster.e / times, raster.f), times


def repeats(rasters: Iterable[tuple[str, Affine]], geobox: GeoBox) -> dict[str, int]:
    """How often the pixels of rasters are repeated along a side, by name; of those whose pixels are the grid's nothing."""
    times = {name: repeated(raster, geobox)[1] for name, raster in rasters}
    return {name: count for name, count in times.items() if count > 1}


def window_in(whole: GeoBox, geobox: GeoBox) -> dict[str, slice]:
    """The slices of `whole` that select `geobox`, for ``isel``.

    Raises
    ------
    OffLattice
        If the pixels of `geobox` are not pixels of `whole`.
    """
    row, col = offset_in(whole.affine, geobox)
    return {"y": slice(row, row + geobox.shape.y), "x": slice(col, col + geobox.shape.x)}


def on_lattice(transform: Affine, resolution: float) -> bool:
    """Whether a north-up transform has this resolution and its corners on multiples of it."""
    if (transform.a, transform.e, transform.b, transform.d) != (resolution, -resolution, 0.0, 0.0):
        return False
    parts = (transform.c / resolution, transform.f / resolution)
    return all(abs(part - round(part)) <= _ON_LATTICE for part in parts)


def coordinates(geobox: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """``x`` (width,) and ``y`` (height,) of the pixel centres, float64, in the grid's CRS."""
    a = geobox.affine
    return a.c + a.a * (np.arange(geobox.shape.x) + 0.5), a.f + a.e * (np.arange(geobox.shape.y) + 0.5)


def check_aligned(ds: xr.Dataset | xr.DataArray, geobox: GeoBox) -> None:
    """Raise :class:`NotAligned` unless `ds` has exactly the grid's shape, CRS and pixel centres, bit for bit."""
    for name, want in zip(("x", "y"), coordinates(geobox), strict=True):
        have = np.asarray(ds[name])
        if have.shape != want.shape:
            raise NotAligned(f"{name} has {have.size} pixels, the grid {want.size}")
        if not np.array_equal(have, want):
            raise NotAligned(f"{name} is off by up to {np.abs(have - want).max():g} m; the grid starts at {want[0]!r}")
    found = ds.odc.crs
    if found is None or found.epsg != epsg(geobox):
        raise NotAligned(f"the array is in {f'EPSG:{found.epsg}' if found else found}, the grid in {geobox.crs}")


def epsg(geobox: GeoBox) -> int:
    """The EPSG code of a grid's CRS; a GridError where it has none."""
    code = None if geobox.crs is None else geobox.crs.epsg
    if code is None:
        name = " ".join(str(geobox.crs).split())[:60]
        raise GridError(f"the grid's CRS ({name}) has no EPSG code: use a UTM zone")
    return int(code)


def crs_name(geobox: GeoBox) -> str:
    """``"EPSG:…"`` of a grid's CRS, also where a file spells it out in full; its WKT if it has no code."""
    return _crs_name(str(geobox.crs))  # of a CRS itself the hash is that of its WKT, which is written anew each time


@lru_cache(maxsize=256)
def _crs_name(text: str) -> str:
    from odc.geo.crs import norm_crs

    crs = None if text == "None" else norm_crs(text)
    code = None if crs is None else crs.epsg
    return f"EPSG:{code}" if code else text


def describe(geobox: GeoBox) -> dict[str, Any]:
    """The grid as JSON: ``crs``, ``transform`` (a, b, c, d, e, f) and ``shape`` (height, width)."""
    return {
        "crs": crs_name(geobox),
        "transform": [*numbers_of(geobox.affine)],
        "shape": [geobox.shape.y, geobox.shape.x],
    }


@lru_cache(maxsize=64)
def _outline(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of points along the sides of a square of pixels, (40,) each, a corner first."""
    steps = np.linspace(0.0, 1.0, 11)
    edge = np.concatenate([np.stack([steps, 0 * steps + k], -1) for k in (0, 1)])
    edge = np.concatenate([edge, np.concatenate([edge[1:10], edge[12:21]])[:, ::-1]])
    return np.ascontiguousarray(edge[:, 0] * width), np.ascontiguousarray(edge[:, 1] * height)


def lonlat_bounds(geobox: GeoBox) -> tuple[float, float, float, float]:
    """West, south, east, north of a grid in degrees; west is greater than east across the antimeridian (RFC 7946, 5.2)."""
    (across, down), (a, _, c, _, e, f) = _outline(geobox.shape.x, geobox.shape.y), numbers_of(geobox.affine)
    lon, lat = transformer(str(geobox.crs), "EPSG:4326").transform(c + a * across, f + e * down)
    west, south, east, north = float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
    if not all(map(math.isfinite, (west, south, east, north))):  # it reaches over the edge of its map
        return WHOLE
    pole = _pole_in(geobox)
    if pole:
        return WHOLE[0], min(pole, south), WHOLE[2], max(pole, north)
    first = float(lon[0])
    if east - west <= _WIDE:  # none of them jumps: the outermost are the outermost on any turn of the globe
        return east_of(around(west, first)), south, east_of(around(east, first)), north
    lon = around(lon, first)
    if np.ptp(lon) > _WIDE:
        lon = around(lon, centre(geobox)[0])
    if np.ptp(lon) > 3 * _WIDE:
        return WHOLE[0], south, WHOLE[2], north
    west, east = (east_of(float(value)) for value in (lon.min(), lon.max()))
    return west, south, east, north


def _pole_in(geobox: GeoBox) -> float:
    """The latitude of the pole that lies within a grid; 0 if none does."""
    a, _, c, _, e, f = numbers_of(geobox.affine)  # of a grid's own box everything is asked that an affine can be
    west, east = sorted((c, c + a * geobox.shape.x))
    south, north = sorted((f, f + e * geobox.shape.y))
    within = (lat for lat, x, y in poles(crs_name(geobox)) if west < x < east and south < y < north)
    return next(within, 0.0)


@lru_cache(maxsize=256)
def poles(crs: str) -> tuple[tuple[float, float, float], ...]:
    """Latitude, x and y of the poles that a CRS has a place for."""
    places = ((lat, *transformer("EPSG:4326", crs).transform(0.0, lat)) for lat in (WHOLE[1], WHOLE[3]))
    return tuple(place for place in places if all(map(math.isfinite, place)))


def centre(geobox: GeoBox) -> tuple[float, float]:
    """Longitude and latitude of a grid's centre, in degrees."""
    x, y = (
        geobox.affine.c + geobox.affine.a * geobox.shape.x / 2,
        geobox.affine.f + geobox.affine.e * geobox.shape.y / 2,
    )
    lon, lat = transformer(str(geobox.crs), "EPSG:4326").transform(x, y)
    return float(lon), float(lat)
