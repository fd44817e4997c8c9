"""Cloud-optimised GeoTIFFs (COGs), written strip by strip in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
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
from nutonic.io.atomic import disk_errors, new_file, refuse_unusable, refuse_within
from nutonic.io.buckets.address import path_of
from nutonic.io.gdal import gdal_disk_errors


def save_cogs(cube: xr.Dataset, folder: str | Path) -> list[Path]:
    """Write each variable as a cloud-optimised GeoTIFF; for a cube over time, one for each variable and step.

    One row of tiles is computed at a time, by the scheduler that is in use. Overviews average the valid pixels; those of
    classes take the nearest pixel.

    Parameters
    ----------
    cube
        What :func:`nutonic.open_cube` or a reduction gave.
    folder
        Where to write ``red.tif``, or ``red_20240502T095031.tif`` and so on. Files of these names are replaced if their
        TIFFTAG_SOFTWARE says that this function wrote them.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of variables and steps.

    Raises
    ------
    InputError
        If no variable lies on a grid, or `folder` can be no name of a folder.
    NotNutonic
        If one of these files exists and is not nutonic's, or is a link, or the folder is a dataset, or lies in one or in
        a Zarr store. Nothing is written then.
    StoreError
        If a file cannot be written.
    """
    cube, geobox, folder = digital_numbers(cube), _geobox_of(cube), path_of(folder)
    refuse_unusable(folder)
    refuse_foreign_cogs(cube, folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for stem, picture in _all_pictures(cube):
        paths.append(folder / f"{stem}.tif")
        _write_picture(paths[-1], picture, geobox)
    return paths


def refuse_foreign_cogs(cube: xr.Dataset, folder: Path) -> None:
    """Raise :class:`NotNutonic` if :func:`save_cogs` would write into what is not its own, or no folder."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotNutonic(f"{folder} is no folder: name one for the GeoTIFFs")
    refuse_within(folder / "picture.tif")  # nor may the folder be a dataset itself
    for stem, _ in _all_pictures(cube):
        path = folder / f"{stem}.tif"
        if os.path.lexists(path) and not is_own_cog(path):
            raise NotNutonic(f"{path} was not written by nutonic: move it away, or choose another folder")


def _all_pictures(cube: xr.Dataset) -> Iterator[tuple[str, xr.DataArray]]:
    for name, variable in cube.data_vars.items():
        if set(variable.dims) - {"time"} == {"y", "x"}:
            yield from _pictures(str(name), variable)


def _geobox_of(cube: xr.Dataset) -> GeoBox:
    geobox = cube.odc.geobox if {"y", "x"} <= set(cube.dims) else None
    if geobox is None or geobox.crs is None:
        raise InputError(f"the cube lies nowhere: its dims are {tuple(map(str, cube.dims))}, y, x and a CRS are needed")
    return GeoBox(geobox.shape, geobox.affine, f"EPSG:{geobox.crs.epsg}" if geobox.crs.epsg else geobox.crs)


def _pictures(name: str, variable: xr.DataArray) -> Iterator[tuple[str, xr.DataArray]]:
    if "time" not in variable.dims:
        yield name, variable.transpose("y", "x")
        return
    for t, time in enumerate(np.datetime_as_string(variable["time"].values, unit="s").tolist()):
        yield f"{name}_{time.replace('-', '').replace(':', '')}", variable.isel(time=t).transpose("y", "x")


def _write_picture(path: Path, picture: xr.DataArray, geobox: GeoBox) -> None:
    heights = (picture.chunks or ((BLOCK,) * -(-geobox.shape.y // BLOCK),))[0]
    rows = [0, *np.cumsum(heights).tolist()]
    strips = ((top, picture.isel(y=slice(top, bottom)).values) for top, bottom in pairwise(rows))
    nodata = picture.attrs.get("_FillValue", picture.encoding.get("_FillValue"))
    classes = picture.attrs.get("kind", "class" if picture.dtype == np.uint8 else "reflectance") != "reflectance"
    colors = colors_of(picture) if picture.dtype == np.uint8 else {}
    write_cog(path, strips, geobox, dtype=str(picture.dtype), nodata=nodata, classes=classes, colors=colors)


def colors_of(variable: xr.DataArray) -> dict[int, str]:
    """The colours of a variable of classes, ``"#rrggbb"`` by value; none where its attributes tell none."""
    values = np.atleast_1d(variable.attrs.get("flag_values", ())).tolist()
    colors = str(variable.attrs.get("flag_colors", "")).split()
    return dict(zip(values, colors, strict=True)) if len(values) == len(colors) else {}


#: Side of a file's blocks, in pixels: the default of GDAL's COG driver.
BLOCK = 512

#: The TIFFTAG_SOFTWARE of the files that nutonic writes, by which it knows them again.
_SOFTWARE = "nutonic"


def is_own_cog(path: Path) -> bool:
    """Whether a path is a file that :func:`write_cog` wrote, and not a link to one."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with rasterio.open(path, driver="GTiff") as raster:
            return bool(raster.tags().get("TIFFTAG_SOFTWARE") == _SOFTWARE)
    except (RasterioError, OSError):
        return False


def write_cog(
    path: Path,
    strips: Iterable[tuple[int, np.ndarray]],
    geobox: GeoBox,
    *,
    dtype: str,
    nodata: float | None,
    classes: bool,
    colors: Mapping[int, str] | None = None,
) -> None:
    """Write one band, wholly or not at all.

    Parameters
    ----------
    path
        The file; an existing one is replaced.
    strips
        The first row and the pixels (rows, width) of each strip; together they make the whole picture.
    geobox
        Where the pixels lie.
    dtype, nodata
        The file's; None for a file without nodata.
    classes
        Whether values are classes. Overviews then take the nearest pixel, otherwise the average of the valid pixels.
    colors
        A colour table, ``"#rrggbb"`` by value; of uint8 alone. Other values are black.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    height, width = geobox.shape
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": dtype, "count": 1, "height": height, "width": width}
    georeference = {"crs": str(geobox.crs), "transform": geobox.affine, "nodata": nodata}
    layout = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "bigtiff": "if_safer"}
    predictor = {"compress": "deflate", "predictor": "floating_point" if dtype.startswith("float") else "standard"}
    overviews = {"overview_resampling": "nearest" if classes else "average"}
    with disk_errors(path), new_file(path, prefix=f".{path.stem}-") as new:
        plain = new.with_name(f"{new.name}.strips")
        fast = {"compress": "deflate", "zlevel": 1}
        with (
            gdal_disk_errors(plain, path),
            rasterio.open(plain, "w", **profile, **georeference, **layout, **fast) as raster,
        ):
            raster.update_tags(TIFFTAG_SOFTWARE=_SOFTWARE)
            if colors:
                raster.write_colormap(1, {value: _rgb(color) for value, color in colors.items()})
            for row, pixels in strips:
                raster.write(pixels, 1, window=Window(0, row, width, len(pixels)))
        with gdal_disk_errors(new, path):
            rasterio.shutil.copy(
                plain, new, driver="COG", blocksize=BLOCK, bigtiff="if_safer", **predictor, **overviews
            )


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
