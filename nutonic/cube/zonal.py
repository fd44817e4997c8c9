"""Counts of a cube's pixels per tile and per zone, with one task per tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import dask.array as da
import numpy as np
import xarray as xr

from nutonic.core.encoding import digital_numbers, stored
from nutonic.cube import kernels
from nutonic.cube.tasks import nodata_of, refuse_without
from nutonic.errors import InputError


def fractions(cube: xr.Dataset, classes: Sequence[int], *, band: str = "label") -> xr.DataArray:
    """The share of each class among the valid pixels of each tile.

    Parameters
    ----------
    cube
        Has a class variable (y, x) of uint8.
    classes
        Class ids, 0 to 255, such as ``table.labels``.
    band
        Name of the class variable.

    Returns
    -------
    xarray.DataArray
        Dims ``(tile_y, tile_x, class)``, float64, NaN where a tile has no valid pixel.
    """
    cube = digital_numbers(cube)
    refuse_without(cube, band)
    work = partial(kernels.class_shares, classes=tuple(classes), nodata=nodata_of(cube[band]))
    shares = _per_tile(cube[band], work, len(classes))
    return xr.DataArray(shares, dims=("tile_y", "tile_x", "class"), coords={"class": list(classes)}, name="fraction")


def valid_fraction(cube: xr.Dataset, *, band: str) -> xr.DataArray:
    """The share of each tile's pixels that are valid in a band.

    Parameters
    ----------
    cube
        Has the variable `band`, (y, x) or (time, y, x).
    band
        Name of the variable. Of floats, such as an index of vegetation, all are valid but NaN.

    Returns
    -------
    xarray.DataArray
        Dims ``(tile_y, tile_x)``, or ``(time, tile_y, tile_x)`` for a band over time; float64, 0 to 1.
    """
    variable = stored(cube[band])
    if "time" in variable.dims:
        variable = variable.chunk({"time": 1})  # one share per step, however the cube is chunked
    nodata = np.nan if variable.dtype.kind == "f" else nodata_of(variable)
    shares = _per_tile(variable, partial(_share_valid, nodata=nodata), 1)[..., 0]
    dims = ("time", "tile_y", "tile_x") if "time" in variable.dims else ("tile_y", "tile_x")
    coords = {"time": variable["time"]} if "time" in variable.dims else {}
    return xr.DataArray(shares, dims=dims, coords=coords, name="valid_fraction")


def _share_valid(block: np.ndarray, *, nodata: float) -> np.ndarray:
    return np.array([np.mean(~np.isnan(block) if np.isnan(nodata) else block != nodata)])


def zonal_counts(
    label: xr.DataArray, zones: xr.DataArray, *, classes: Sequence[int], zone_ids: Sequence[int]
) -> xr.DataArray:
    """How many pixels of each class lie in each zone.

    Parameters
    ----------
    label
        Class ids (y, x), uint8.
    zones
        Zone ids (y, x), integers, on the same grid; rasterised parcels, for instance.
    classes, zone_ids
        The ids to count, in the order of the result. Other pixels are not counted.

    Returns
    -------
    xarray.DataArray
        Dims ``(zone, class)``, int64.

    Raises
    ------
    InputError
        If zones and labels lie on different grids.
    """
    if zones.shape != label.shape or not all(np.array_equal(zones[dim], label[dim]) for dim in ("y", "x")):
        raise InputError(f"zones lie on another grid than {label.name}: warp them to it first")
    label, zones = stored(label), stored(zones)
    chunked = da.asarray(zones.data).rechunk(da.asarray(label.data).chunks)
    work = partial(_zonal, classes=np.array(classes), zone_ids=np.array(zone_ids))
    counts = da.map_blocks(
        work,
        da.asarray(label.data),
        chunked,
        dtype=np.int64,
        new_axis=(2, 3),
        chunks=_ones(label, len(zone_ids), len(classes)),
    )
    coords = {"zone": list(zone_ids), "class": list(classes)}
    return xr.DataArray(counts.sum(axis=(0, 1)), dims=("zone", "class"), coords=coords, name="pixels")


def _zonal(label: np.ndarray, zones: np.ndarray, *, classes: np.ndarray, zone_ids: np.ndarray) -> np.ndarray:
    """The counts of one tile, (1, 1, zones, classes) int64."""
    order = np.argsort(zone_ids, kind="stable")
    at = order[np.searchsorted(zone_ids[order], zones).clip(max=len(order) - 1)]
    is_zone = zone_ids[at] == zones
    pairs = np.bincount(at[is_zone] * 256 + label[is_zone], minlength=256 * len(zone_ids))
    return pairs.reshape(len(zone_ids), 256)[:, classes][None, None]


def _per_tile(variable: xr.DataArray, work: Callable[[np.ndarray], np.ndarray], size: int) -> da.Array:
    """The results of `work` on each tile: (…, tiles down, tiles across, size)."""
    array = da.asarray(variable.data)
    of_tile = partial(_as_tile, work=work)
    tiles: da.Array = da.map_blocks(of_tile, array, dtype=float, new_axis=array.ndim, chunks=_ones(variable, size))
    return tiles


def _as_tile(block: np.ndarray, *, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return work(block).reshape(*(1,) * block.ndim, -1)


def _ones(variable: xr.DataArray, *sizes: int) -> tuple[tuple[int, ...], ...]:
    return (*((1,) * n for n in da.asarray(variable.data).numblocks), *((size,) for size in sizes))
