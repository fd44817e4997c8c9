"""Reflectance: one asset as a lazy stackstac array on a grid, in the file's own pixels."""

from __future__ import annotations

from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.errors import OffLattice
from nutonic.grid import crs_name, epsg, offset_in
from nutonic.model import Asset
from nutonic.sources import rasters
from nutonic.sources.access import LOCAL, Access
from nutonic.sources.lazy import checked_header
from nutonic.sources.values import harmonised


def stacked(scene_id: str, asset: Asset, grid: GeoBox, chunks: int, access: Access = LOCAL) -> da.Array:
    """One asset as a lazy stackstac array on a grid, told everything, so that it has nothing to guess or to snap."""
    import stackstac  # a second to import, and only needed here

    offset = offset_of(asset, grid)
    item = {
        "id": scene_id,
        "properties": {"datetime": "2000-01-01T00:00:00Z", "proj:epsg": epsg(grid)},
        "assets": {asset.name: {"href": asset.href, "proj:transform": asset.transform, "proj:shape": asset.shape}},
    }
    stack = stackstac.stack(
        [item],
        assets=[asset.name],
        epsg=epsg(grid),
        bounds=tuple(grid.boundingbox),
        resolution=(grid.affine.a, -grid.affine.e),
        snap_bounds=False,
        xy_coords=False,
        properties=False,
        band_coords=False,
        chunksize=chunks,
        dtype=np.dtype("uint16"),
        fill_value=np.uint16(0),
        rescale=False,
        errors_as_nodata=(),
        reader=partial(ReflectanceReader, asset=asset, offset=offset, access=access),
    )
    outside = not stack.sizes["time"]  # stackstac drops an item that does not touch the grid
    array: da.Array = da.zeros(tuple(grid.shape), chunks=chunks, dtype=np.uint16) if outside else stack.data[0, 0]
    if array.shape != tuple(grid.shape):
        raise OffLattice(f"{asset.written} came out as {array.shape} pixels on a grid of {tuple(grid.shape)}")
    return array


def offset_of(asset: Asset, grid: GeoBox) -> tuple[int, int]:
    """Row and column of a grid's first pixel in an asset's file.

    Raises
    ------
    OffLattice
        If the grid is in another CRS, or its pixels are not the file's.
    """
    if crs_name(grid) != asset.crs:
        raise OffLattice(
            f"{asset.written} is in {asset.crs:.60}, the grid in {grid.crs}: use a grid in the scene's own zone"
        )
    return offset_in(Affine(*asset.transform), grid)


def read_window(asset: Asset, offset: tuple[int, int], rows: slice, cols: slice, access: Access = LOCAL) -> np.ndarray:
    """Pixels of a window of a grid, (rows, columns) uint16, harmonised; nodata beyond the file's edge.

    What every engine reads with: the file's own pixels, once its header is found to be what the catalogue says.

    Parameters
    ----------
    asset
        The file.
    offset
        Row and column of the grid's first pixel in the file, of :func:`offset_of`.
    rows, cols
        The window, in pixels of the grid.
    access
        What may be read.

    Raises
    ------
    OffLattice
        If the file's header is not what the catalogue says.
    ReadFailed, Gone
        If it cannot be read.
    """
    found = checked_header(asset, access)
    down, across = _inside(rows, offset[0], asset.shape[0]), _inside(cols, offset[1], asset.shape[1])
    out = np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.uint16)
    if down.stop > down.start and across.stop > across.start:
        at = (_shifted(down, -offset[0] - rows.start), _shifted(across, -offset[1] - cols.start))
        pixels = rasters.read_of(asset, (down, across), access)
        out[at] = harmonised(pixels, asset.offset, (asset.nodata, found.nodata))
    return out


class ReflectanceReader:
    """What stackstac reads an asset with: the file's own pixels, its header checked against the catalogue.

    stackstac's own reader would quietly warp a file that is not on the grid its item claims.
    """

    def __init__(
        self, *, url: str, asset: Asset, offset: tuple[int, int], access: Access = LOCAL, **ignored: Any
    ) -> None:
        self._asset, self._offset, self._access = asset, offset, access

    def read(self, window: Any, **ignored: Any) -> np.ndarray:
        """Pixels of a window of the grid, (rows, columns) uint16, harmonised; nodata beyond the file's edge."""
        rows, cols = window.toslices()
        return read_window(self._asset, self._offset, rows, cols, self._access)

    def close(self) -> None:
        """Nothing to close: handles belong to the process."""

    def __getstate__(self) -> tuple[Asset, tuple[int, int], Access]:
        return self._asset, self._offset, self._access

    def __setstate__(self, state: tuple[Asset, tuple[int, int], Access]) -> None:
        self._asset, self._offset, self._access = state


def _inside(part: slice, offset: int, limit: int) -> slice:
    """Part of a grid's axis as pixels of the file, cut to those it has."""
    return slice(max(part.start + offset, 0), min(part.stop + offset, limit))


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
