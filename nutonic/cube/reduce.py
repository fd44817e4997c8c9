"""Cubes over time to one picture, tile by tile: ``nt.reduce``.

A reduction is one task per tile and band (per sixteen steps, where it can be folded) on top of what reads the tile; tiles
stay as they are, nothing is rechunked, and nothing is computed before it is asked for. What a task will hold is known
before it runs: :func:`estimate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import dask.array as da
import numpy as np
import xarray as xr

from nutonic.core.encoding import digital_numbers
from nutonic.cube import kernels
from nutonic.cube.tasks import (
    FOLD,
    attributes,
    fold_tiles,
    nodata_of,
    reduce_tiles,
    reduced_cube,
    refuse_without,
    selected_variables,
    tasks_of_a_tile,
    time_chunks,
    variables,
    with_scenes,
)
from nutonic.cube.zonal import fractions, valid_fraction, zonal_counts
from nutonic.errors import InputError, PlanTooLarge

__all__ = [
    "CLEAR", "Estimate", "clearest", "count", "estimate", "fractions", "mask", "mean", "median", "mode", "quantile",
    "valid_fraction", "zonal_counts",
]  # fmt: skip

#: Sentinel-2 scene classes that show the ground: dark areas, vegetation, bare, water, unclassified, snow. Left out are
#: nodata (0), defective (1), cloud shadow (3), clouds (8, 9) and cirrus (10): Sentinel-2 Products Specification 14.9.
CLEAR = (2, 4, 5, 6, 7, 11)

#: What one task may hold unless told otherwise.
TASK_LIMIT_BYTES = 2 * 2**30

Method = Literal["median", "quantile", "mode", "mean", "count", "clearest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a reduction takes, before it runs."""

    tiles: int
    tasks_per_tile: int
    """Of the reduction and of what is below it."""
    bytes_per_task: int
    """That the largest task holds: its input, its result and what it needs meanwhile."""

    def worker_bytes(self, threads: int = 1) -> int:
        """What a worker holds at its peak: a task in each thread, and one more tile that is read ahead.

        Beside that a process has its libraries, some 200 MB, and 128 MB of blocks that GDAL may keep.
        """
        return self.bytes_per_task * (threads + 1)

    def __str__(self) -> str:
        """In a line."""
        return (
            f"{self.tiles} tiles, {self.tasks_per_tile} tasks each, at most {self.bytes_per_task / 1e6:.0f} MB in a task "
            f"and {self.worker_bytes() / 1e6:.0f} MB in a worker of one thread"
        )


def estimate(cube: xr.Dataset, method: Method, *, by: str | None = "scl") -> Estimate:
    """What a reduction of a cube takes, before it runs; its tasks are counted in the graph of one tile."""
    cube = digital_numbers(cube)
    reductions: dict[str, Callable[[], xr.Dataset]] = {
        "median": lambda: median(cube, limit_bytes=_NO_LIMIT),
        "quantile": lambda: quantile(cube, 0.5, limit_bytes=_NO_LIMIT),
        "mode": lambda: mode(cube, limit_bytes=_NO_LIMIT),
        "mean": lambda: mean(cube),
        "count": lambda: count(cube),
        "clearest": lambda: clearest(cube, by=by),
    }
    return Estimate(
        tiles=_tiles(cube, method),
        tasks_per_tile=tasks_of_a_tile(cube, reductions[method]()),
        bytes_per_task=_task_bytes(cube, method),
    )


_NO_LIMIT = 2**62


def _task_bytes(cube: xr.Dataset, method: Method) -> int:
    names = variables(cube, _kind(method))
    steps, pixels = cube.sizes["time"], _side(cube[names[0]], "y") * _side(cube[names[0]], "x")
    at_once, size = min(steps, FOLD), cube[names[0]].dtype.itemsize
    if method == "clearest":
        n_outputs = len(with_scenes(cube, names))
        per_pixel = at_once * (2 * n_outputs + 1) + 2 * 2 * (n_outputs + 2) + 8
    elif method in ("mean", "count"):
        per_pixel = at_once * size + 2 * 2 * 4 + 8
    else:
        per_pixel = (steps + 1) * size
    return pixels * per_pixel + 12 * kernels.STRIP


def _tiles(cube: xr.Dataset, method: Method) -> int:
    sizes = cube[variables(cube, _kind(method))[0]].variable.chunksizes  # a coordinate's are no matter of its tiles
    return len(sizes.get("y", (1,))) * len(sizes.get("x", (1,)))


def _kind(method: Method) -> str:
    """Of the variables that a reduction takes by default."""
    return "class" if method == "mode" else "reflectance"


def _side(variable: xr.DataArray, dim: str) -> int:
    """Of its largest tile; those of other variables and coordinates are no matter of this one's."""
    return int(max(variable.variable.chunksizes.get(dim, (variable.sizes[dim],))))


# Reductions over time


def mask(cube: xr.Dataset, *, by: str = "scl", keep: Sequence[int] = CLEAR) -> xr.Dataset:
    """Imagery becomes nodata wherever a classification is not among the classes to keep.

    Parameters
    ----------
    cube
        With a class variable `by` over time; of Sentinel-2 open ``StacSource(..., masks=("scl",))``.
    by
        Its name. Where it has no class, nothing is kept.
    keep
        Classes, 0 to 255; by default those of Sentinel-2 that show the ground.

    Returns
    -------
    xarray.Dataset
        The cube, its imagery masked, in the same dtypes and chunks; other variables are as they were.
    """
    cube = digital_numbers(cube)
    refuse_without(cube, by)
    table = np.zeros(256, bool)
    table[list(keep)] = True
    masked = {}
    for name in variables(cube, "reflectance"):
        band = cube[name]
        mask_block = partial(_masked, table=table, nodata=nodata_of(band))
        data = xr.apply_ufunc(mask_block, band, cube[by], dask="parallelized", output_dtypes=[band.dtype])
        masked[name] = data.transpose(*band.dims).assign_attrs(band.attrs)
    return cube.assign(masked)


def _masked(pixels: np.ndarray, classes: np.ndarray, *, table: np.ndarray, nodata: int) -> np.ndarray:
    return np.where(table[classes], pixels, pixels.dtype.type(nodata))


def median(cube: xr.Dataset, *, bands: Sequence[str] | None = None, limit_bytes: int = TASK_LIMIT_BYTES) -> xr.Dataset:
    """The median of each pixel's valid values: of an even number the mean of the two middle ones, rounded half to even.

    Parameters
    ----------
    cube
        With dims ``(time, y, x)``; variables without time are passed on.
    bands
        Imagery to reduce; all by default.
    limit_bytes
        What one task may hold.

    Returns
    -------
    xarray.Dataset
        Dims ``(y, x)``, the cube's dtype (uint16) and tiles; nodata where no value is valid. A task holds one tile and
        band at all steps, twice over for a moment.

    Raises
    ------
    PlanTooLarge
        If a task would hold more than `limit_bytes`; the message says which chunk would fit.
    """
    return _reduce_at_once(cube, "median", kernels.median, bands, limit_bytes)


def quantile(
    cube: xr.Dataset, q: float, *, bands: Sequence[str] | None = None, limit_bytes: int = TASK_LIMIT_BYTES
) -> xr.Dataset:
    """The max(1, ⌈q·n⌉)-th smallest of each pixel's n valid values, as numpy's ``inverted_cdf``; see :func:`median`."""
    if not 0.0 <= q <= 1.0:
        raise InputError(f"q is {q}: give a share from 0 to 1")
    return _reduce_at_once(cube, "quantile", partial(kernels.quantile, q=q), bands, limit_bytes)


def mode(cube: xr.Dataset, *, bands: Sequence[str] | None = None, limit_bytes: int = TASK_LIMIT_BYTES) -> xr.Dataset:
    """The class that each pixel has most often, the smallest of several; nodata where it never has one.

    `bands` are class variables, all of those over time by default. Dtype and tiles stay; see :func:`median`.
    """
    return _reduce_at_once(cube, "mode", kernels.mode, bands, limit_bytes)


def mean(cube: xr.Dataset, *, bands: Sequence[str] | None = None) -> xr.Dataset:
    """The mean of each pixel's valid values, float32, NaN where none is valid; the sum is exact.

    Folded over sixteen steps at a time, so memory does not grow with the time axis.
    """
    cube = digital_numbers(cube)
    names = selected_variables(cube, bands, "reflectance")
    means = {
        name: da.map_blocks(kernels.mean, _sum_and_count(cube[name]), drop_axis=0, dtype=np.float32) for name in names
    }
    return reduced_cube(cube, means, {name: attributes(cube[name], "mean", np.nan) for name in names})


def count(cube: xr.Dataset, *, bands: Sequence[str] | None = None) -> xr.Dataset:
    """How many values of each pixel are valid, uint16; folded as :func:`mean` is."""
    cube = digital_numbers(cube)
    names = selected_variables(cube, bands, "reflectance")
    counts = {name: _sum_and_count(cube[name])[1].astype(np.uint16) for name in names}
    attrs = {name: {"grid_mapping": "spatial_ref", "cell_methods": "time: count", "kind": "index"} for name in names}
    return reduced_cube(cube, counts, attrs)


def clearest(cube: xr.Dataset, *, by: str | None = "scl", keep: Sequence[int] = CLEAR) -> xr.Dataset:
    """Each pixel, in all bands, from the clear step with the least cloud, then the newest.

    A pixel is clear in a step where all bands are valid and its class is among `keep`. Cloud is the step's
    ``cloud_cover``; steps that do not say come last.

    Parameters
    ----------
    cube
        With dims ``(time, y, x)``.
    by
        Its classification; None where valid is clear enough.
    keep
        Classes that are clear.

    Returns
    -------
    xarray.Dataset
        Dims ``(y, x)``, dtypes and tiles as they were, nodata where no step is clear; and ``step`` (int16): the position
        along time that the pixel is from, -1 where none. Of a cube with a ``scene`` that is taken from the same step.
        Folded over sixteen steps at a time, so memory does not grow with the time axis.
    """
    cube = digital_numbers(cube)
    names = variables(cube, "reflectance")
    if by is not None:
        refuse_without(cube, by)
    outputs = with_scenes(cube, names)
    inputs = [*outputs, *([by] if by is not None else [])]
    kernel = kernels.Clearest(
        bands=tuple(nodata_of(cube[name]) for name in names),
        extra=len(outputs) - len(names),
        keep=None if by is None else tuple(keep),
    )
    packed = fold_tiles(
        [cube[name] for name in inputs], partial(_clearest, kernel=kernel), len(outputs) + 2, _merit(cube)
    )
    pictures = {name: packed[k].astype(cube[name].dtype) for k, name in enumerate(outputs)}
    attrs = {name: attributes(cube[name], "point", nodata_of(cube[name])) for name in outputs}
    pictures["step"] = packed[len(outputs) + 1].astype(np.int16) - np.int16(1)
    attrs["step"] = {"_FillValue": -1, "grid_mapping": "spatial_ref", "kind": "index", "times": _times(cube)}
    return reduced_cube(cube, pictures, attrs)


def _times(cube: xr.Dataset) -> str:
    return " ".join(np.datetime_as_string(cube["time"].values, unit="s").tolist())


def _merit(cube: xr.Dataset) -> np.ndarray:
    """(steps, 2) uint16: each step's merit, 1 the best, and its number from 1."""
    steps = cube.sizes["time"]
    cloud = cube["cloud_cover"].values if "cloud_cover" in cube.coords else np.full(steps, np.nan)
    order = sorted(range(steps), key=lambda t: (np.isnan(cloud[t]), np.nan_to_num(cloud[t]), -t))
    merit = np.empty(steps, np.uint16)
    merit[order] = np.arange(1, steps + 1)
    return np.stack([merit, np.arange(1, steps + 1)], 1).astype(np.uint16)


def _clearest(
    *variables: kernels.Blocks, state: np.ndarray | None, merit: np.ndarray, kernel: kernels.Clearest
) -> np.ndarray:
    return kernel(merit, variables, state)


def _reduce_at_once(
    cube: xr.Dataset, method: Method, kernel: Callable[..., np.ndarray], bands: Sequence[str] | None, limit_bytes: int
) -> xr.Dataset:
    """A reduction whose task has one tile of one variable at all steps."""
    cube = digital_numbers(cube)
    names = selected_variables(cube, bands, _kind(method))
    _refuse_large(cube, method, limit_bytes)
    reduced = {}
    for name in names:
        reduced[name] = reduce_tiles(time_chunks(cube[name]), partial(kernel, nodata=nodata_of(cube[name])))
    return reduced_cube(cube, reduced, {name: attributes(cube[name], method, nodata_of(cube[name])) for name in names})


def _sum_and_count(band: xr.DataArray) -> da.Array:
    """(2, y, x) uint32: the sum of the valid values, and their number."""
    return fold_tiles([band], partial(_add, nodata=nodata_of(band)), 2, None)


def _add(blocks: kernels.Blocks, *, state: np.ndarray | None, nodata: int, **_: None) -> np.ndarray:
    return kernels.accumulate(blocks, state, nodata=nodata)


def _refuse_large(cube: xr.Dataset, method: Method, limit_bytes: int) -> None:
    required = _task_bytes(cube, method)
    if required > limit_bytes:
        band = cube[variables(cube, _kind(method))[0]]
        side = max(_side(band, "y"), _side(band, "x"))
        fits = int(side * (limit_bytes / required) ** 0.5) // 64 * 64
        advice = f"open the cube with chunks={fits}" if fits else "take fewer steps"
        raise PlanTooLarge(
            f"{method} of {cube.sizes['time']} steps holds {required / 1e9:.1f} GB in a task, "
            f"{limit_bytes / 1e9:.1f} GB are allowed: {advice}, or give a larger limit_bytes"
        )
