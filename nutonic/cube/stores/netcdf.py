"""Cubes as netCDF 4 (``cube.nc``), for programs that take no Zarr: written tile by tile, and there once they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import compute

from nutonic.core.callbacks import TileCallback, TilesSaved
from nutonic.cube.zarr import INNER, Chunk, chunks_of, lazy_variables, prepare_cube
from nutonic.errors import CubeChanged, InputError, MissingExtra, NotNutonic
from nutonic.io.atomic import disk_errors, new_file, refuse_unusable, refuse_within
from nutonic.io.buckets.address import Address, AnyPath

if TYPE_CHECKING:
    from xarray.backends import H5NetCDFStore

#: How names of netCDF files end.
_NETCDF = (".nc", ".nc4")

#: How names end that mean another kind of file than Zarr, and what to do.
_OTHERS = {
    **dict.fromkeys((".tif", ".tiff", ".gtiff", ".cog"), "for GeoTIFFs name a folder by --cogs, or in nt.save_cogs"),
    **dict.fromkeys((".h5", ".hdf", ".hdf5", ".he5", ".cdf", ".netcdf"), "for netCDF name it {stem}.nc"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".7z"), "Zarr is a folder, to be packed afterwards"),
    **dict.fromkeys(
        (".vrt", ".jp2", ".grib", ".grib2", ".grb", ".png", ".jpg", ".jpeg", ".json", ".geojson", ".yaml", ".yml",
         ".parquet", ".csv", ".txt", ".npy", ".npz", ".pkl"),
        "for netCDF name it {stem}.nc",
    ),
}  # fmt: skip

#: The global attribute by which nutonic knows its files again.
_MARK = {"nutonic_cube": "netCDF"}

#: Bytes of tiles that are computed at a time.
_AT_ONCE = 2**27


def is_netcdf(path: AnyPath) -> bool:
    """Whether a cube's name is that of a netCDF file."""
    return PurePath(str(path)).suffix.lower() in _NETCDF


def refuse_other_format(path: AnyPath) -> None:
    """Raise :class:`InputError` where a cube's name is that of a file of another kind, or of one that goes elsewhere.

    A name that ends in nothing known is that of a Zarr folder.
    """
    name = PurePath(str(path))
    if isinstance(path, Address) and is_netcdf(path):
        raise InputError(
            f"{path} is a netCDF file's name, and these are written on a disk alone: name it {name.stem}.zarr"
        )
    if (other := _OTHERS.get(name.suffix.lower())) is not None:
        raise InputError(
            f"{path} is no name of a cube, which is a Zarr folder: name it {name.stem}.zarr; {other.format(stem=name.stem)}"
        )
    if is_netcdf(path) and (find_spec("h5netcdf") is None or find_spec("h5py") is None):
        raise MissingExtra(
            f"netCDF, which the name {name.name} asks for, needs h5netcdf: pip install 'nutonic[netcdf]', or save Zarr"
        )


def is_own_netcdf(path: Path) -> bool:
    """Whether a path is a netCDF file that :func:`save_netcdf` wrote, and not a link to one."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with xr.open_dataset(path, engine="h5netcdf", chunks=None) as file:
            return _MARK.items() <= file.attrs.items()
    except (OSError, ValueError):
        return False


def refuse_foreign_netcdf(path: Path) -> None:
    """Raise :class:`NotNutonic` if something other than a netCDF file of nutonic's lies at a path, or around it."""
    refuse_within(path)
    if os.path.lexists(path) and not is_own_netcdf(path):
        raise NotNutonic(f"{path} exists and is no netCDF cube of nutonic's: choose another path")


def save_netcdf(cube: xr.Dataset, path: Path, callbacks: Sequence[TileCallback], *, overwrite: bool) -> None:
    """Write a cube as a netCDF file: its tiles computed by the scheduler that is in use, and written by this process.

    Raises what :func:`nutonic.save_cube` does. A killed call begins anew.
    """
    refuse_unusable(path)
    final = path.resolve() if path.is_symlink() else path.absolute()
    refuse_foreign_netcdf(final)
    prepared = _prepared(cube)
    if final.exists() and not overwrite:
        _refuse_other(prepared, final)
        return
    with disk_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        with new_file(final, prefix=f".{final.name}-") as new:
            store = _store(new, "w")
            try:
                prepared.dump_to_store(store)  # all but the tiles of lazy variables, which nobody computes for it
                _write_tiles(prepared, store, callbacks)
            finally:
                store.close()  # type: ignore[no-untyped-call]


def _store(path: Path, mode: str) -> H5NetCDFStore:
    from xarray.backends import H5NetCDFStore

    store: H5NetCDFStore = H5NetCDFStore.open(str(path), mode)
    return store


def _prepared(cube: xr.Dataset) -> xr.Dataset:
    """A cube as netCDF has it: plain attributes, of conventions CF alone, and chunks of at most 512 pixels a side."""
    prepared = prepare_cube(cube)
    for variable in prepared.data_vars.values():
        tile = [sizes[0] for sizes in variable.chunks] if variable.chunks else list(variable.shape)
        if variable.ndim:
            sides = tuple(max(1, min(side, INNER)) for side in tile)
            variable.encoding |= {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": sides}
    return prepared.assign_attrs({"Conventions": "CF-1.11", **_MARK})


def _write_tiles(cube: xr.Dataset, store: H5NetCDFStore, callbacks: Sequence[TileCallback]) -> None:
    chunks, saved = list(chunks_of(cube)), 0
    arrays: dict[str, Any] = {name: variable.data for name, variable in lazy_variables(cube).items()}
    starts = {name: [np.cumsum([0, *sizes]).tolist() for sizes in array.chunks] for name, array in arrays.items()}
    for group in ([], *_groups(chunks, arrays)):
        tiles = compute(*(arrays[name].blocks[index] for name, index in group))
        for (name, index), pixels in zip(group, tiles, strict=True):
            at = [begin[i] for begin, i in zip(starts[name], index, strict=True)]
            window = tuple(slice(first, first + side) for first, side in zip(at, pixels.shape, strict=True))
            store.ds.variables[name][window] = pixels
        saved += len(group)
        for callback in callbacks:
            callback.on_tiles(TilesSaved(done=saved, total=len(chunks)))


def _groups(chunks: Sequence[Chunk], arrays: dict[str, da.Array]) -> Iterator[list[Chunk]]:
    """Tiles that are computed together, so that all of them are in memory at a time."""
    group: list[Chunk] = []
    held = 0
    for name, index in chunks:
        array = arrays[name]
        size = array.dtype.itemsize
        for sizes, i in zip(array.chunks, index, strict=True):
            size *= sizes[i]
        if group and held + size > _AT_ONCE:
            yield group
            group, held = [], 0
        group.append((name, index))
        held += size
    if group:
        yield group


def _refuse_other(cube: xr.Dataset, path: Path) -> None:
    """Raise :class:`CubeChanged` if a saved cube differs in a variable's shape or type, a coordinate or an attribute."""
    with xr.open_dataset(path, engine="h5netcdf", chunks=None, mask_and_scale=False) as saved:
        differs = next(_differences(cube, saved), None)
    if differs is not None:
        raise CubeChanged(
            f"{path} is another cube, it differs in {differs}, as one of another area, grid, time or recipe does: choose "
            "another path, or overwrite it (overwrite=True, --overwrite)"
        )


def _differences(cube: xr.Dataset, saved: xr.Dataset) -> Iterator[str]:
    if set(cube.variables) != set(saved.variables):
        yield "its variables"
        return
    for name in map(str, cube.variables):
        one, other = cube[name].variable, saved[name].variable
        alike = (one.dims, one.shape, one.dtype) == (other.dims, other.shape, other.dtype)
        nan = one.dtype.kind == "f"
        if not alike or (name in cube.coords and not np.array_equal(one.values, other.values, equal_nan=nan)):
            yield name
    if {key: _plain(value) for key, value in cube.attrs.items()} != {k: _plain(v) for k, v in saved.attrs.items()}:
        yield "its attributes"


def _plain(value: Any) -> Any:
    """An attribute to compare with one that was read: a list of one is that one."""
    if isinstance(value, str):
        return "".join(value)
    values = np.atleast_1d(value).tolist()
    return values[0] if len(values) == 1 else values
