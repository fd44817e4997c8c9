"""Lazy variables on a grid: rasters in any CRS, by window-independent nearest neighbour."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from xarray.backends import BackendArray
from xarray.core import indexing

from nutonic.core.grid import check_aligned, coordinates
from nutonic.core.model import Asset, Band
from nutonic.core.nearest import source_pixels
from nutonic.errors import BadPixels, Gone, GridError, ReadFailed
from nutonic.io import raster as rasters
from nutonic.io.access import LOCAL, Access
from nutonic.sources.pixels import checked_header, decoded


def dataset(
    geobox: GeoBox,
    arrays: Mapping[Band, da.Array | indexing.LazilyIndexedArray],
    time: np.ndarray | None = None,
    *,
    rendered: bool = False,
) -> xr.Dataset:
    """Arrays (height, width) on a grid as a dataset with the grid's coordinates, CRS and nodata values.

    With the times of their first axis, (steps,) datetime64, arrays are (steps, height, width). Imagery that is rendered
    already says so, as an attribute.
    """
    dims = ("y", "x") if time is None else ("time", "y", "x")
    variables = {band.name: xr.Variable(dims, array, _attributes(band, rendered)) for band, array in arrays.items()}
    coords = {} if time is None else {"time": ("time", time, {"standard_name": "time", "axis": "T"})}
    ds = xr.Dataset(variables, coords={**coords, **_pixel_centres(geobox)})
    check_aligned(ds, geobox)
    return ds


def _attributes(band: Band, rendered: bool) -> dict[str, Any]:
    rendering = {"rendered": 1} if rendered and band.kind == "reflectance" else {}
    return {"_FillValue": band.nodata, "grid_mapping": "spatial_ref", "kind": band.kind, **rendering}


def _pixel_centres(geobox: GeoBox) -> dict[Hashable, xr.DataArray]:
    """Coordinates as odc-geo writes them, of our own pixel centres.

    Its own are rounded otherwise where a pixel's size is no binary fraction, as NAIP's 0.6 m.
    """
    coords = dict(xr_coords(geobox, dims=("y", "x")))
    for name, values in zip(("x", "y"), coordinates(geobox), strict=True):
        coords[name] = xr.DataArray(values, dims=(name,), attrs=coords[name].attrs)
    return coords


Window = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class Windowed(BackendArray):
    """An array on a grid that reads only the window it is asked for: whatever the index, a contiguous one."""

    geobox: GeoBox
    band: Band

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grid."""
        return self.geobox.shape.y, self.geobox.shape.x

    @property
    def dtype(self) -> np.dtype:
        """The band's dtype."""
        return np.dtype(self.band.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return np.asarray(
            indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._outer)
        )

    def _outer(self, key: tuple[int | slice | np.ndarray, ...]) -> np.ndarray:
        """Read the window that holds all that is asked for, then take it from there."""
        window, within = zip(*(_split(k, n) for k, n in zip(key, self.shape, strict=True)), strict=True)
        rows, cols = within
        return np.asarray(self.read(window)[:, cols][rows])

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""
        raise NotImplementedError

    def lazy(self) -> indexing.LazilyIndexedArray:
        """This array, waiting to be sliced, chunked or loaded."""
        return indexing.LazilyIndexedArray(self)


@dataclass(frozen=True, kw_only=True)
class NearestMosaic(Windowed):
    """Rasters seen through a grid: a pixel comes from the first, in the given order, that has data there."""

    assets: tuple[Asset, ...]
    access: Access = LOCAL

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""
        part = self.geobox[window]
        out = np.full(part.shape, self.band.nodata, self.dtype)
        for asset in self.assets:
            empty = out == self.band.nodata
            if not empty.any():
                break
            np.copyto(out, self._from(asset, part), where=empty)
        return out

    def _from(self, asset: Asset, geobox: GeoBox) -> np.ndarray:
        """One raster's part. That it is gone is no property of a scene: it may be back the next time."""
        try:
            return self._nearest(asset, geobox)
        except Gone as error:
            raise ReadFailed(str(error), band=error.band) from None
        except GridError as error:
            raise BadPixels(str(error), band=error.band) from None

    def _nearest(self, asset: Asset, geobox: GeoBox) -> np.ndarray:
        """One raster on a grid; outside the raster, and where it has no data, the band's nodata value."""

        def pick(window: Window, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
            header = checked_header(asset, self.access)
            pixels = rasters.read_of(asset, window, self.access)[rows, cols]
            return decoded(pixels, asset, self.band, header.nodata)

        return nearest_pixels(geobox, asset, self.band, pick)


def nearest_pixels(
    geobox: GeoBox, asset: Asset, band: Band, pick: Callable[[Window, np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """A raster on a grid: the pixel that holds each centre, (height, width); the band's nodata value beyond its edge.

    `pick` gives some pixels, in the band's dtype, of a window that lies inside the raster; their rows and columns count
    from its corner.
    """
    rows, cols = source_pixels(geobox, asset.crs, Affine(*asset.transform))
    height, width = asset.shape
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    out = np.full(rows.shape, band.nodata, band.dtype)
    if inside.any():
        top, left = int(rows[inside].min()), int(cols[inside].min())
        window = (slice(top, int(rows[inside].max()) + 1), slice(left, int(cols[inside].max()) + 1))
        out[inside] = pick(window, rows[inside] - top, cols[inside] - left)
    return out


def _split(key: int | slice | np.ndarray, length: int) -> tuple[slice, int | slice | np.ndarray]:
    """An index along an axis as the contiguous span that holds it, and the index within that span."""
    positions = np.atleast_1d(np.arange(length)[key])
    start = int(positions.min(initial=length))
    within: int | slice | np.ndarray = positions - start
    if isinstance(key, int | np.integer):
        within = int(positions[0]) - start
    if isinstance(key, slice) and key.step in (None, 1):
        within = slice(None)
    return slice(start, int(positions.max(initial=start - 1)) + 1), within
