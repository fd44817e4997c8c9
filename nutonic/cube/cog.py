"""Cloud-optimised GeoTIFFs (COGs), written strip by strip in bounded memory."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import rasterio
import rasterio.shutil
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from nutonic.core.encoding import digital_numbers, own_geobox, uneven, uneven_axis
from nutonic.errors import InputError, NotNutonic
from nutonic.io.atomic import disk_errors, new_file, refuse_no_text, refuse_unusable, refuse_within
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.io.buckets.within import refuse_within_store
from nutonic.io.files import make_folders
from nutonic.io.gdal import gdal_disk_errors
from nutonic.io.objects import Store


def save_cogs(cube: xr.Dataset, folder: str | AnyPath) -> list[AnyPath]:
    """Write each variable as a cloud-optimised GeoTIFF; for a cube over time, one for each variable and step.

    One row of tiles is computed at a time, by the scheduler that is in use. Overviews average the valid pixels; those of
    classes take the nearest pixel.

    Parameters
    ----------
    cube
        What :func:`nutonic.open_cube` or a reduction gave.
    folder
        Where to write ``red.tif``, or ``red_20240502T095031.tif`` and so on (of two within a second
        ``red_20240502T095031.250.tif``, of two at one moment the second ``…-2.tif``): a folder, or an address in an object
        store, where each file is sent once it is whole on this machine. Files of these names are replaced if their
        TIFFTAG_SOFTWARE says that this function wrote them.

    Returns
    -------
    list of pathlib.Path or Address
        The files, in the order of variables and steps.

    Raises
    ------
    InputError
        If no variable lies on a grid of pixels of one size, or `folder` can be no name of a folder.
    NotNutonic
        If one of these files exists and is not nutonic's, or is a link, or the folder is a dataset, or lies in one or in
        a Zarr store. Nothing is written then.
    StoreError
        If a file cannot be written.
    """
    cube, geobox, root = digital_numbers(cube), _geobox_of(cube), any_path_of(folder)
    if isinstance(root, Path):
        refuse_unusable(root)
        refuse_no_text(root)
    refuse_foreign_cogs(cube, root)
    paths: list[AnyPath] = []
    for stem, picture in _all_pictures(cube):
        paths.append(root / f"{stem}.tif")
        with _made_at(root, f"{stem}.tif") as path:
            _write_picture(path, picture, geobox)
    return paths


@contextmanager
def _made_at(root: AnyPath, name: str) -> Iterator[Path]:
    """Where to write a file: in the folder, or for a while on this machine's disk, from where it is sent."""
    if isinstance(root, Path):
        with disk_errors(root):
            make_folders(root)
        yield root / name
        return
    with tempfile.TemporaryDirectory(prefix="nutonic-") as folder:
        yield Path(folder) / name
        _send(Path(folder) / name, Store(root), name)


def _send(file: Path, store: Store, name: str) -> None:
    """Put a file into a store, over one that nutonic wrote; a small one by one request that itself replaces nothing."""
    small = file.read_bytes() if file.stat().st_size <= _AT_ONCE else None
    if small is not None and store.create(name, small):
        return
    if store.has(name) and not _is_own_object(store, name):
        raise _foreign(f"{store.root}/{name}")
    store.put_file(name, file)


def refuse_foreign_cogs(cube: xr.Dataset, root: AnyPath) -> None:
    """Raise :class:`NotNutonic` if :func:`save_cogs` would write into what is not its own, or no folder."""
    names = [f"{stem}.tif" for stem, _ in _all_pictures(cube)]
    if isinstance(root, Address):
        store = Store(root)
        there = {path for path, _ in store.sizes()}.intersection(names)
        refuse_within_store(root / "picture.tif")
        foreign = next((name for name in sorted(there) if not _is_own_object(store, name)), None)
    else:
        if os.path.lexists(root) and not root.is_dir():
            raise NotNutonic(f"{root} is no folder: name one for the GeoTIFFs")
        refuse_within(root / "picture.tif")  # nor may the folder be a dataset itself
        foreign = next((name for name in names if os.path.lexists(root / name) and not is_own_cog(root / name)), None)
    if foreign is not None:
        raise _foreign(str(root / foreign))


def _foreign(path: str) -> NotNutonic:
    return NotNutonic(f"{path} was not written by nutonic: move it away, or choose another folder")


def _all_pictures(cube: xr.Dataset) -> Iterator[tuple[str, xr.DataArray]]:
    """The pictures of a cube, each by a name of its own."""
    named: Counter[str] = Counter()
    for name, variable in cube.data_vars.items():
        if set(variable.dims) - {"time"} == {"y", "x"}:
            for stem, picture in _pictures(str(name), variable):
                named[stem] += 1
                yield (stem if named[stem] == 1 else f"{stem}-{named[stem]}"), picture


def _geobox_of(cube: xr.Dataset) -> GeoBox:
    if (name := uneven_axis(cube)) is not None:
        raise InputError(uneven(name))
    geobox = own_geobox(cube) if {"y", "x"} <= set(cube.dims) else None
    if geobox is None or geobox.crs is None:
        raise InputError(f"the cube lies nowhere: its dims are {tuple(map(str, cube.dims))}, y, x and a CRS are needed")
    return GeoBox(geobox.shape, geobox.affine, f"EPSG:{geobox.crs.epsg}" if geobox.crs.epsg else geobox.crs)


def _pictures(name: str, variable: xr.DataArray) -> Iterator[tuple[str, xr.DataArray]]:
    if "time" not in variable.dims:
        yield name, variable.transpose("y", "x")
        return
    for t, time in enumerate(_texts(variable["time"].values)):
        yield f"{name}_{time.replace('-', '').replace(':', '')}", variable.isel(time=t).transpose("y", "x")


def _texts(times: np.ndarray) -> list[str]:
    """Times by the second, and those within one by as many digits more as tell them apart, if any do."""
    texts: list[str] = np.datetime_as_string(times, unit="s").tolist()
    for unit in ("ms", "us", "ns"):
        count, finer = Counter(texts), np.datetime_as_string(times, unit=unit).tolist()
        within = {text for text, moments in _by_second(texts, times).items() if count[text] > 1 and len(moments) > 1}
        texts = [fine if text in within else text for text, fine in zip(texts, finer, strict=True)]
    return texts


def _by_second(texts: Iterable[str], times: np.ndarray) -> dict[str, set[np.datetime64]]:
    moments: dict[str, set[np.datetime64]] = {}
    for text, time in zip(texts, times, strict=True):
        moments.setdefault(text, set()).add(time)
    return moments


def _write_picture(path: Path, picture: xr.DataArray, geobox: GeoBox) -> None:
    heights = (picture.chunks or ((BLOCK,) * -(-geobox.shape.y // BLOCK),))[0]
    rows = [0, *np.cumsum(heights).tolist()]
    strips = ((top, picture.isel(y=slice(top, bottom)).values) for top, bottom in pairwise(rows))
    nodata = picture.attrs.get("_FillValue", picture.encoding.get("_FillValue"))
    classes = picture.attrs.get("kind", "class" if picture.dtype == np.uint8 else "reflectance") != "reflectance"
    colors = colors_of(picture) if picture.dtype == np.uint8 else {}
    names = {"description": "long_name", "units": "units"}
    told = {key: str(picture.attrs[name]) for key, name in names.items() if name in picture.attrs}
    write_cog(path, strips, geobox, dtype=str(picture.dtype), nodata=nodata, classes=classes, colors=colors, told=told)


def colors_of(variable: xr.DataArray) -> dict[int, str]:
    """The colours of a variable of classes, ``"#rrggbb"`` by value; none where its attributes tell none."""
    values = np.atleast_1d(variable.attrs.get("flag_values", ())).tolist()
    colors = str(variable.attrs.get("flag_colors", "")).split()
    return dict(zip(values, colors, strict=True)) if len(values) == len(colors) else {}


#: Side of a file's blocks, in pixels: the default of GDAL's COG driver.
BLOCK = 512

#: The TIFFTAG_SOFTWARE of the files that nutonic writes, by which it knows them again.
_SOFTWARE = "nutonic"

#: Bytes of files that are sent by one request.
_AT_ONCE = 2**23


def is_own_cog(path: Path) -> bool:
    """Whether a path is a file that :func:`write_cog` wrote, and not a link to one."""
    if path.is_symlink() or not path.is_file():
        return False
    return _is_ours(path)


def _is_own_object(store: Store, name: str) -> bool:
    """The same of an object; its head is read, whatever its size."""
    with store.open(name) as file:
        return _is_ours(file)


def _is_ours(file: Path | BinaryIO) -> bool:
    try:
        with rasterio.open(file, driver="GTiff") as raster:
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
    told: Mapping[str, str] | None = None,
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
    told
        ``description`` of the band and its ``units``, where there are any.

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
            _describe(raster, told or {})
            if colors:
                raster.write_colormap(1, {value: _rgb(color) for value, color in colors.items()})
            for row, pixels in strips:
                raster.write(pixels, 1, window=Window(0, row, width, len(pixels)))
        with gdal_disk_errors(new, path):
            rasterio.shutil.copy(
                plain, new, driver="COG", blocksize=BLOCK, bigtiff="if_safer", **predictor, **overviews
            )


def _describe(raster: DatasetWriter, told: Mapping[str, str]) -> None:
    if "description" in told:
        raster.set_band_description(1, told["description"])
    if "units" in told:
        raster.set_band_unit(1, told["units"])


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
