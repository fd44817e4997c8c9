"""Cloud-optimised GeoTIFFs, written strip by strip in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window

from nutonic.core.encoding import digital_numbers
from nutonic.errors import InputError, NotNutonic
from nutonic.io.atomic import disk_errors, new_file
from nutonic.io.gdal import gdal_disk_errors


def save_cogs(cube: xr.Dataset, folder: str | Path) -> list[Path]:
    """Write each variable, and of a cube over time each step, as a cloud-optimised GeoTIFF.

    A row of tiles is computed at a time, by the scheduler that is in use. Overviews are averages of valid pixels, and of
    classes the nearest pixel.

    Parameters
    ----------
    cube
        Of :func:`nutonic.open_cube` or a reduction of one.
    folder
        Gets ``red.tif``, or ``red_20240502T095031.tif`` and so on; files of these names are replaced if this function
        wrote them, which their TIFFTAG_SOFTWARE says.

    Raises
    ------
    InputError
        If no variable lies on a grid.
    NotNutonic
        If one of these files is somebody else's, or a link; nothing is written then.
    StoreError
        If a file cannot be written.
    """
    cube, grid, folder = digital_numbers(cube), _grid_of(cube), Path(folder)
    refuse_foreign_cogs(cube, folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for stem, picture in _all_pictures(cube):
        written.append(folder / f"{stem}.tif")
        _write_picture(written[-1], picture, grid)
    return written


def refuse_foreign_cogs(cube: xr.Dataset, folder: Path) -> None:
    """Raise :class:`NotNutonic` if a file that :func:`save_cogs` would replace is not of its making."""
    for stem, _ in _all_pictures(cube):
        path = folder / f"{stem}.tif"
        if os.path.lexists(path) and not is_nutonics(path):
            raise NotNutonic(f"{path} was not written by nutonic: move it away, or choose another folder")


def _all_pictures(cube: xr.Dataset) -> Iterator[tuple[str, xr.DataArray]]:
    for name, variable in cube.data_vars.items():
        if set(variable.dims) - {"time"} == {"y", "x"}:
            yield from _pictures(str(name), variable)


def _grid_of(cube: xr.Dataset) -> GeoBox:
    grid = cube.odc.geobox if {"y", "x"} <= set(cube.dims) else None
    if grid is None or grid.crs is None:
        raise InputError(f"the cube lies nowhere: its dims are {tuple(map(str, cube.dims))}, y, x and a CRS are needed")
    return GeoBox(grid.shape, grid.affine, f"EPSG:{grid.crs.epsg}" if grid.crs.epsg else grid.crs)


def _pictures(name: str, variable: xr.DataArray) -> Iterator[tuple[str, xr.DataArray]]:
    if "time" not in variable.dims:
        yield name, variable.transpose("y", "x")
        return
    for t, when in enumerate(np.datetime_as_string(variable["time"].values, unit="s").tolist()):
        yield f"{name}_{when.replace('-', '').replace(':', '')}", variable.isel(time=t).transpose("y", "x")


def _write_picture(path: Path, picture: xr.DataArray, grid: GeoBox) -> None:
    heights = (picture.chunks or ((BLOCK,) * -(-grid.shape.y // BLOCK),))[0]
    rows = [0, *np.cumsum(heights).tolist()]
    strips = ((top, picture.isel(y=slice(top, bottom)).values) for top, bottom in pairwise(rows))
    nodata = picture.attrs.get("_FillValue", picture.encoding.get("_FillValue"))
    classes = picture.attrs.get("kind", "class" if picture.dtype == np.uint8 else "reflectance") != "reflectance"
    write_cog(path, strips, grid, dtype=str(picture.dtype), nodata=nodata, classes=classes)


#: Side of the blocks, in pixels: what GDAL's COG driver takes by default.
BLOCK = 512


#: What tells the files that nutonic wrote from all others: their TIFFTAG_SOFTWARE.
_SOFTWARE = "nutonic"


def is_nutonics(path: Path) -> bool:
    """Whether a file, and no link to one, was written by :func:`write_cog`."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with rasterio.open(path) as raster:
            return bool(raster.tags().get("TIFFTAG_SOFTWARE") == _SOFTWARE)
    except (RasterioError, OSError):
        return False


def write_cog(
    path: Path,
    strips: Iterable[tuple[int, np.ndarray]],
    grid: GeoBox,
    *,
    dtype: str,
    nodata: float | None,
    classes: bool,
) -> None:
    """Write one band, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    strips
        First row, and pixels (rows, width), of parts that make the whole.
    grid
        Where the pixels lie.
    dtype, nodata
        Of the file; nodata None for none.
    classes
        Whether values are classes: overviews then take the nearest pixel, otherwise the average of the valid ones.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    height, width = grid.shape
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": dtype, "count": 1, "height": height, "width": width}
    lies = {"crs": str(grid.crs), "transform": grid.affine, "nodata": nodata}
    how = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "bigtiff": "if_safer"}
    predictor = {"compress": "deflate", "predictor": "floating_point" if dtype.startswith("float") else "standard"}
    averaged = {"overview_resampling": "nearest" if classes else "average"}
    with disk_errors(path), new_file(path, prefix=f".{path.stem}-") as new:
        plain = new.with_name(f"{new.name}.strips")
        fast = {"compress": "deflate", "zlevel": 1}
        with gdal_disk_errors(plain, path), rasterio.open(plain, "w", **profile, **lies, **how, **fast) as raster:
            raster.update_tags(TIFFTAG_SOFTWARE=_SOFTWARE)
            for row, pixels in strips:
                raster.write(pixels, 1, window=Window(0, row, width, len(pixels)))
        with gdal_disk_errors(new, path):
            rasterio.shutil.copy(plain, new, driver="COG", blocksize=BLOCK, bigtiff="if_safer", **predictor, **averaged)
