"""Cubes as Zarr: where a chunk lies, what its metadata says, and how a task writes it."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from nutonic.core.model import Json
from nutonic.errors import InputError, StoreError

#: Pixels along a side that are read at a time at most; tiles that are larger are shards of several such chunks.
INNER = 512

#: GeoZarr conventions that a cube follows, as they register themselves: zarr-conventions/geo-proj and /spatial, v1.
_CONVENTIONS = [
    {
        "uuid": uuid,
        "name": f"{name}:",
        "description": description,
        "schema_url": f"https://raw.githubusercontent.com/zarr-conventions/{where}/refs/tags/v1/schema.json",
        "spec_url": f"https://github.com/zarr-conventions/{where}/blob/v1/README.md",
    }
    for uuid, name, where, description in (
        ("f17cb550-5864-4468-aeb7-f3180cfb622f", "proj", "geo-proj", "Coordinate reference system information"),
        ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "spatial", "spatial", "Spatial coordinate information"),
    )
]

Chunk = tuple[str, tuple[int, ...]]


def prepared(cube: xr.Dataset) -> xr.Dataset:
    """A cube with what its file says of it: conventions, nodata, and time as whole microseconds (CF)."""
    lazy = {name: coordinate.compute() for name, coordinate in cube.coords.items() if coordinate.chunks is not None}
    out = cube.assign_coords(lazy).copy()
    for name, variable in out.variables.items():
        variable.encoding = {}
        nodata = variable.attrs.pop("_FillValue", None)
        if nodata is not None:
            variable.encoding["_FillValue"] = variable.dtype.type(nodata)
        elif name in out.coords:
            variable.encoding["_FillValue"] = None
        if np.issubdtype(variable.dtype, np.datetime64):
            variable.encoding |= {
                "units": "microseconds since 1970-01-01",
                "dtype": "int64",
                "calendar": "proleptic_gregorian",
            }
    return out.assign_attrs(_georeference(out))


def _georeference(cube: xr.Dataset) -> Json:
    """Where the pixels lie, in the GeoZarr conventions; nothing for what lies nowhere."""
    grid = getattr(cube.odc, "geobox", None) if {"y", "x"} <= set(cube.dims) else None
    if grid is None:
        return {"Conventions": "CF-1.11"}
    code = {"proj:code": f"EPSG:{grid.crs.epsg}"} if grid.crs.epsg else {"proj:wkt2": grid.crs.to_wkt()}
    return {
        "Conventions": "CF-1.11",
        "zarr_conventions": _CONVENTIONS,
        **code,
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": list(grid.affine)[:6],
        "spatial:shape": list(grid.shape.yx),
        "spatial:bbox": list(grid.boundingbox.bbox),
    }


def write_frame(cube: xr.Dataset, folder: Path) -> None:
    """All of a cube but the tiles of its lazy variables: metadata, coordinates, what is loaded."""
    encoding = {str(name): _layout(variable) for name, variable in lazy_variables(cube).items()}
    with _told(folder), warnings.catch_warnings():
        # Consolidated metadata is no part of the Zarr 3 specification yet; xarray opens faster with it, and warns without.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        cube.to_zarr(folder, mode="w", zarr_format=3, consolidated=True, compute=False, encoding=encoding)


def lazy_variables(cube: xr.Dataset) -> dict[str, xr.DataArray]:
    """The variables that are written tile by tile."""
    return {str(name): variable for name, variable in cube.data_vars.items() if variable.chunks is not None}


def _layout(variable: xr.DataArray) -> dict[str, Any]:
    """A tile is written by one task: it is a chunk, or a shard of chunks where it is large."""
    tile = tuple(sizes[0] for sizes in variable.chunks or ())
    for dim, sizes in zip(variable.dims, variable.chunks or (), strict=True):
        if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
            raise InputError(
                f"{variable.name} has chunks of {sorted(set(sizes))} along {dim}, Zarr needs equal ones: open the cube on "
                "the part you want instead of slicing it, or chunk it anew"
            )
    inner = tuple(_divisor(size) for size in tile)
    nodata = variable.encoding.get("_FillValue")  # what is given to xarray replaces what the variable has
    filled = {} if nodata is None else {"_FillValue": nodata, "fill_value": nodata}
    return {"chunks": inner, "shards": tile if inner != tile else None, **filled}


def _divisor(size: int) -> int:
    """The largest side of chunks that divides a tile evenly and is sensible to read; the tile's where there is none."""
    return next((part for part in range(min(size, INNER), INNER // 4, -1) if size % part == 0), size)


def chunks_of(cube: xr.Dataset) -> Iterator[Chunk]:
    """Every tile that is to be written, tile by tile with all its variables and steps together."""
    every = (
        (index[-2:], name, index)
        for name, variable in lazy_variables(cube).items()
        for index in product(*(range(len(sizes)) for sizes in variable.chunks or ()))
    )
    yield from ((name, index) for _, name, index in sorted(every, key=lambda entry: entry[0]))


def chunk_path(chunk: Chunk) -> str:
    """Path of a tile's file below the cube's folder (Zarr 3, default chunk key encoding)."""
    name, index = chunk
    return "/".join([name, "c", *map(str, index)])


def write_chunk(pixels: np.ndarray, folder: str, name: str, start: tuple[int, ...]) -> np.ndarray:
    """Write one tile, whole or not at all; (1,) int64, its bytes before they were compressed."""
    import zarr

    with _told(Path(folder)):
        array = zarr.open_array(f"{folder}/{name}", mode="r+", zarr_format=3, config={"write_empty_chunks": True})
        array[tuple(slice(at, at + size) for at, size in zip(start, pixels.shape, strict=True))] = pixels
    return np.array([pixels.nbytes])


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """A store that cannot be written to, in a line."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full: free some space" if full else f"{(error.strerror or str(error)).lower()}: see to it"
        raise StoreError(f"cannot write {folder}: {why} and run the same command again") from None
