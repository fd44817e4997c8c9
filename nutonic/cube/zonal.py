"""Counts of a cube's pixels per tile and per zone, with one task per tile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

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
        Has a class variable (y, x) or (time, y, x) of uint8.
    classes
        Class ids, 0 to 255, such as ``table.labels``.
    band
        Name of the class variable.

    Returns
    -------
    xarray.DataArray
        Dims ``(tile_y, tile_x, class)``, of classes over time behind ``time``; float64, NaN where a tile has no valid pixel.
        Coordinates ``y`` and ``x`` are the middles of tiles.

    Raises
    ------
    InputError
        If the cube has no such class variable, or `classes` has what is no class, or one twice.
    """
    cube = digital_numbers(cube)
    refuse_without(cube, band)
    ids = _ids("classes", classes, 256)
    variable = _on_tiles(cube[band])
    work = partial(kernels.class_shares, classes=tuple(ids), nodata=nodata_of(variable))
    return _of_tiles(variable, _per_tile(variable, work, len(ids)), "fraction", {"class": ids})


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
        Dims ``(tile_y, tile_x)``, or ``(time, tile_y, tile_x)`` for a band over time; float64, 0 to 1. Coordinates ``y`` and
        ``x`` are the middles of tiles.

    Raises
    ------
    InputError
        If the cube has no such band.
    """
    if band not in cube.data_vars:
        raise InputError(f"the cube has no {band!r:.40}, only {', '.join(map(str, cube.data_vars)) or 'nothing'}")
    variable = _on_tiles(stored(cube[band]))
    nodata = np.nan if variable.dtype.kind == "f" else nodata_of(variable)
    shares = _per_tile(variable, partial(_share_valid, nodata=nodata), 1)[..., 0]
    return _of_tiles(variable, shares, "valid_fraction", {})


def _ids(name: str, ids: Any, below: int | None = None) -> list[int]:
    """Ids to count, as whole numbers; InputError for what is none, and for one that is named twice."""
    listed: list[Any] = np.asarray(list(ids)).tolist() if isinstance(ids, Iterable) and not isinstance(ids, str) else []
    if not listed:
        raise InputError(f"{name} is {ids!r:.40}: give ids, such as [1, 2]")
    for one in listed:
        if isinstance(one, bool) or not isinstance(one, int) or not (below is None or 0 <= one < below):
            raise InputError(f"{name} has {one!r:.40}: give whole numbers" + (f", 0 to {below - 1}" if below else ""))
        if listed.count(one) > 1:
            raise InputError(f"{name} has {one} twice: name each once")
    return listed


def _on_tiles(variable: xr.DataArray) -> xr.DataArray:
    """A variable (y, x), or (time, y, x) in single steps, however the cube is chunked."""
    dims = set(map(str, variable.dims))
    if dims - {"time"} != {"y", "x"}:
        raise InputError(f"{variable.name} has the dims {variable.dims}: tiles are of y and x, and time before them")
    return variable.transpose("time", "y", "x").chunk({"time": 1}) if "time" in dims else variable.transpose("y", "x")


def _of_tiles(variable: xr.DataArray, values: da.Array, name: str, ids: dict[str, list[int]]) -> xr.DataArray:
    """Values of each tile, with the time and the middles of tiles, in the variable's CRS."""
    timed = ("time",) if "time" in variable.dims else ()
    coords: dict[str, Any] = {}
    for dim, sizes in zip("yx", da.asarray(variable.data).chunks[-2:], strict=True):
        if dim in variable.coords:
            centres, ends = variable[dim].values, np.cumsum(sizes)
            middles = (centres[ends - np.array(sizes)] + centres[ends - 1]) / 2
            coords[dim] = (f"tile_{dim}", middles, variable[dim].attrs)
    coords |= {kept: variable[kept] for kept in (*timed, "spatial_ref") if kept in variable.coords}
    if "spatial_ref" in coords:  # the transform there is that of pixels
        coords["spatial_ref"] = (
            coords["spatial_ref"].drop_attrs().assign_attrs(_crs_alone(variable["spatial_ref"].attrs))
        )
    return xr.DataArray(values, dims=(*timed, "tile_y", "tile_x", *ids), coords=coords | ids, name=name)


def _crs_alone(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attrs.items() if key != "GeoTransform"}


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
        If zones and labels lie on different grids, or nobody knows whether they do; or an id is none, or named twice.
    """
    _refuse_zones(label, zones)
    class_ids, zone_list = _ids("classes", classes, 256), _ids("zone_ids", zone_ids)
    label, zones = stored(label), stored(zones)
    chunked = da.asarray(zones.data).rechunk(da.asarray(label.data).chunks)
    work = partial(_zonal, classes=np.array(class_ids), zone_ids=np.array(zone_list))
    counts = da.map_blocks(
        work,
        da.asarray(label.data),
        chunked,
        dtype=np.int64,
        new_axis=(2, 3),
        chunks=_ones(label, len(zone_list), len(class_ids)),
    )
    coords = {"zone": zone_list, "class": class_ids}
    return xr.DataArray(counts.sum(axis=(0, 1)), dims=("zone", "class"), coords=coords, name="pixels")


def _refuse_zones(label: Any, zones: Any) -> None:
    """Raise :class:`InputError` where labels and zones are not two arrays (y, x) on one grid."""
    if not isinstance(label, xr.DataArray):
        raise InputError(f"label is a {type(label).__name__}: give a variable of a cube, such as cube['label']")
    if "time" in label.dims:
        raise InputError(f"{label.name} is over time: give a step of it, such as isel(time=0), or nt.reduce.mode's")
    if label.dims != ("y", "x"):
        raise InputError(f"{label.name} has the dims {label.dims}: zones are counted in (y, x)")
    if not isinstance(zones, xr.DataArray) or (zones.shape == label.shape and not {"y", "x"} <= set(zones.coords)):
        what = "an array" if isinstance(zones, xr.DataArray) else f"a {type(zones).__name__}"
        raise InputError(
            f"zones is {what} without coordinates, which say where pixels lie: if they are those of {label.name}, give "
            f"xarray.DataArray(zones, dims=('y', 'x'), coords={{'y': label.y, 'x': label.x}})"
        )
    if zones.shape != label.shape or not all(np.array_equal(zones[dim], label[dim]) for dim in ("y", "x")):
        raise InputError(f"zones lie on another grid than {label.name}: warp them to it first")


def _zonal(label: np.ndarray, zones: np.ndarray, *, classes: np.ndarray, zone_ids: np.ndarray) -> np.ndarray:
    """The counts of one tile, (1, 1, zones, classes) int64."""
    order = np.argsort(zone_ids, kind="stable")
    at = order[np.searchsorted(zone_ids[order], zones).clip(max=len(order) - 1)]
    counted = (zone_ids[at] == zones) & (label >= 0) & (label < 256)
    pairs = np.bincount(at[counted] * 256 + label[counted].astype(np.intp), minlength=256 * len(zone_ids))
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
