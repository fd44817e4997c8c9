"""From a cube over time to one picture, tile by tile: ``nt.reduce``.

A reduction adds one task per tile and band to those that read the tile, or one per sixteen steps where it can be folded.
Tiles stay as they are, nothing is rechunked, and nothing is computed before you ask for it. :func:`estimate` says what a
task will hold before it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import dask.array as da
import numpy as np
import xarray as xr

from nutonic.core.catalogs import known_classification
from nutonic.core.encoding import digital_numbers
from nutonic.core.units import counted
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


def __dir__() -> list[str]:
    return sorted(__all__)


#: Sentinel-2 scene classes that show the ground: dark areas, vegetation, bare, water, unclassified, snow. The others are
#: nodata (0), defective (1), cloud shadow (3), clouds (8, 9) and cirrus (10). (Sentinel-2 Products Specification 14.9)
#: They are taken for those of no other classification.
CLEAR = (2, 4, 5, 6, 7, 11)

#: Bytes that one task may hold by default.
TASK_LIMIT_BYTES = 2 * 2**30

Method = Literal["median", "quantile", "mode", "mean", "count", "clearest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a reduction will take."""

    tiles: int
    tasks_per_tile: int
    """Tasks of the reduction, and of all that it is computed from."""
    bytes_per_task: int
    """Bytes that the largest task holds: its input, its result and its working memory."""

    def worker_bytes(self, threads: int = 1) -> int:
        """Bytes that a worker holds at its peak: one task in each thread, and one more tile that is read ahead.

        A process needs some 200 MB more for its libraries, up to 96 MB for blocks that it has unpacked, and up to 128 MB for
        GDAL's cache of them, where GDAL reads the file.
        """
        return self.bytes_per_task * (threads + 1)

    def __str__(self) -> str:
        """In a line."""
        tasks = counted(self.tasks_per_tile, "task")
        return (
            f"{counted(self.tiles, 'tile')}, {tasks} each, at most {self.bytes_per_task / 1e6:.0f} MB in a task "
            f"and {self.worker_bytes() / 1e6:.0f} MB in a worker of one thread"
        )


def estimate(cube: xr.Dataset, method: Method, *, by: str | None = "scl") -> Estimate:
    """Estimate what a reduction of a cube takes, before it runs.

    Parameters
    ----------
    cube
        Dims ``(time, y, x)``.
    method
        Name of the reduction.
    by
        The classification that ``clearest`` looks at; see :func:`clearest`.

    Returns
    -------
    Estimate
        Its tasks are counted in the graph of the first tile.

    Raises
    ------
    InputError
        If there is no such reduction.
    """
    cube = digital_numbers(cube)
    reductions: dict[str, Callable[[], xr.Dataset]] = {
        "median": lambda: median(cube, limit_bytes=_NO_LIMIT),
        "quantile": lambda: quantile(cube, 0.5, limit_bytes=_NO_LIMIT),
        "mode": lambda: mode(cube, limit_bytes=_NO_LIMIT),
        "mean": lambda: mean(cube),
        "count": lambda: count(cube),
        "clearest": lambda: _clearest_by(cube, by, CLEAR),  # whichever are clear, it takes the same
    }
    if method not in reductions:
        raise InputError(f"method is {method!r:.40}: there are {', '.join(reductions)}")
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
    sizes = cube[variables(cube, _kind(method))[0]].variable.chunksizes  # not those of coordinates
    return len(sizes.get("y", (1,))) * len(sizes.get("x", (1,)))


def _kind(method: Method) -> str:
    """The kind of variables that a reduction takes by default."""
    return "class" if method == "mode" else "reflectance"


def _side(variable: xr.DataArray, dim: str) -> int:
    """The length of a variable's largest tile along a dimension, in pixels."""
    return int(max(variable.variable.chunksizes.get(dim, (variable.sizes[dim],))))


# Reductions over time


def mask(cube: xr.Dataset, *, by: str = "scl", keep: Sequence[int] | None = None) -> xr.Dataset:
    """Set imagery to nodata wherever a classification is not among the classes to keep.

    Parameters
    ----------
    cube
        Has a class variable `by` (time, y, x) of uint8; for Sentinel-2 open ``StacSource(..., masks=("scl",))``.
    by
        Name of the classification.
    keep
        Classes, 0 to 255; of ``scl`` by default those that show the ground, ``nt.reduce.CLEAR``. Of others they must be
        given. A pixel without a class is not kept.

    Returns
    -------
    xarray.Dataset
        The cube with its imagery masked, in the same dtypes and chunks. Other variables are unchanged.

    Raises
    ------
    InputError
        If the cube has no such classification, or no imagery over time; or if nothing says which of its classes to keep.
    """
    cube = digital_numbers(cube)
    refuse_without(cube, by)
    table = np.zeros(256, bool)
    table[list(_kept(cube[by], keep))] = True
    masked = {}
    for name in variables(cube, "reflectance"):
        band = cube[name]
        mask_block = partial(_masked, table=table, nodata=nodata_of(band))
        data = xr.apply_ufunc(mask_block, band, cube[by], dask="parallelized", output_dtypes=[band.dtype])
        masked[name] = data.transpose(*band.dims).assign_attrs(band.attrs)
    return cube.assign(masked)


def _kept(classes: xr.DataArray, keep: Sequence[int] | None) -> tuple[int, ...]:
    """The classes to keep; those of another classification than Sentinel-2's are never guessed."""
    name, nodata = str(classes.name), classes.attrs.get("_FillValue", classes.encoding.get("_FillValue"))
    if keep is None:
        if known_classification(name) is None:
            raise InputError(
                f"{name} is no classification whose classes are known: say which of them show the ground, such as "
                f"by={name!r}, keep=(1, 2)"
            )
        return CLEAR
    kept = tuple(keep)
    odd = next((value for value in kept if isinstance(value, bool) or value not in range(256)), None)
    if odd is not None or not kept:
        raise InputError(f"keep has {'no class' if odd is None else repr(odd)}: give classes of {name}, 0 to 255")
    if nodata is not None and int(nodata) in kept:
        raise InputError(
            f"keep has {int(nodata)}, which {name} has where there is no class: leave it out, or, where it is a class too, "
            f"open the imagery with masks=({name!r},), masks_nodata=(255,) or whatever else is free"
        )
    return tuple(map(int, kept))


def _masked(pixels: np.ndarray, classes: np.ndarray, *, table: np.ndarray, nodata: int) -> np.ndarray:
    return np.where(table[classes], pixels, pixels.dtype.type(nodata))


def median(
    cube: xr.Dataset, *, bands: Sequence[str] | str | None = None, limit_bytes: int = TASK_LIMIT_BYTES
) -> xr.Dataset:
    """The median of each pixel's valid values; for an even number, the mean of the two middle ones, rounded half to even.

    Parameters
    ----------
    cube
        Dims ``(time, y, x)``; variables without time are passed on.
    bands
        Imagery to reduce, or one name; all by default.
    limit_bytes
        Bytes that one task may hold.

    Returns
    -------
    xarray.Dataset
        Dims ``(y, x)``, with the cube's dtype (uint16) and tiles; nodata where no value is valid. A task holds one tile of
        one band at all steps, for a moment twice.

    Raises
    ------
    InputError
        If the cube has no time axis, or not these bands over time.
    PlanTooLarge
        If a task would hold more than `limit_bytes`; the message says which side of chunks would fit.
    """
    return _reduce_at_once(cube, "median", kernels.median, bands, limit_bytes)


def quantile(
    cube: xr.Dataset, q: float, *, bands: Sequence[str] | str | None = None, limit_bytes: int = TASK_LIMIT_BYTES
) -> xr.Dataset:
    """The max(1, ⌈q·n⌉)-th smallest of each pixel's n valid values, as in numpy's method ``inverted_cdf``.

    `q` is a share from 0 to 1. For all else see :func:`median`.
    """
    if not isinstance(q, int | float | np.number) or not 0.0 <= q <= 1.0:
        raise InputError(f"q is {q!r:.40}: give a share from 0 to 1")
    return _reduce_at_once(cube, "quantile", partial(kernels.quantile, q=q), bands, limit_bytes)


def mode(
    cube: xr.Dataset, *, bands: Sequence[str] | str | None = None, limit_bytes: int = TASK_LIMIT_BYTES
) -> xr.Dataset:
    """The class that each pixel has most often; of several the smallest; nodata where a pixel never has a class.

    `bands` are class variables over time; by default all of them. For all else see :func:`median`.
    """
    return _reduce_at_once(cube, "mode", kernels.mode, bands, limit_bytes)


def mean(cube: xr.Dataset, *, bands: Sequence[str] | str | None = None) -> xr.Dataset:
    """The mean of each pixel's valid values, float32, NaN where none is valid; the sum is exact.

    Sixteen steps are added at a time, so memory does not grow with the time axis.
    """
    cube = digital_numbers(cube)
    names = selected_variables(cube, bands, "reflectance")
    means = {
        name: da.map_blocks(kernels.mean, _sum_and_count(cube[name]), drop_axis=0, dtype=np.float32) for name in names
    }
    return reduced_cube(cube, means, {name: attributes(cube[name], "mean", np.nan) for name in names})


def count(cube: xr.Dataset, *, bands: Sequence[str] | str | None = None) -> xr.Dataset:
    """How many values of each pixel are valid, uint16; sixteen steps are counted at a time."""
    cube = digital_numbers(cube)
    names = selected_variables(cube, bands, "reflectance")
    counts = {name: _sum_and_count(cube[name])[1].astype(np.uint16) for name in names}
    told = {"units": "1", "grid_mapping": "spatial_ref", "cell_methods": "time: count", "kind": "index"}
    attrs = {name: {"long_name": f"{name}, number of valid steps", **told} for name in names}
    return reduced_cube(cube, counts, attrs)


def clearest(cube: xr.Dataset, *, by: str | None = "scl", keep: Sequence[int] | None = None) -> xr.Dataset:
    """Each pixel, in all bands, from the best step in which it is clear: the one with the least cloud, then the newest.

    A pixel is clear in a step if all bands are valid and its class is among `keep`. A step's cloud is its
    ``cloud_cover``; steps without one come last.

    Parameters
    ----------
    cube
        Dims ``(time, y, x)``.
    by
        Name of the classification; with None every valid pixel is clear.
    keep
        Classes that are clear, 0 to 255; by default as of :func:`mask`.

    Returns
    -------
    xarray.Dataset
        Dims ``(y, x)``, with the cube's dtypes and tiles, and nodata where no step is clear. ``step`` (int16) is the
        position along time that a pixel is from, -1 for none. A cube's ``scene`` is from the same step. Sixteen steps are
        compared at a time, so memory does not grow with the time axis.

    Raises
    ------
    InputError
        If the cube has no time axis, no imagery over time or no such classification, or nothing says which of its classes
        are clear.
    """
    cube = digital_numbers(cube)
    variables(cube, "reflectance")  # refuses a cube without any
    if by is None:
        return _clearest_by(cube, None, None)
    refuse_without(cube, by)
    return _clearest_by(cube, by, _kept(cube[by], keep))


def _clearest_by(cube: xr.Dataset, by: str | None, keep: tuple[int, ...] | None) -> xr.Dataset:
    names = variables(cube, "reflectance")
    outputs = with_scenes(cube, names)
    inputs = [*outputs, *([by] if by is not None else [])]
    kernel = kernels.Clearest(
        bands=tuple(nodata_of(cube[name]) for name in names),
        extra=len(outputs) - len(names),
        keep=None if by is None else keep,
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
    """(steps, 2) uint16: each step's merit, 1 for the best, and its number, counted from 1."""
    steps = cube.sizes["time"]
    cloud = cube["cloud_cover"].values if "cloud_cover" in cube.coords else np.full(steps, np.nan)
    order = sorted(range(steps), key=lambda t: (np.isnan(cloud[t]), np.nan_to_num(cloud[t]), -t))
    merit = np.empty(steps, np.uint16)
    merit[order] = np.arange(1, steps + 1)
    return np.stack([merit, np.arange(1, steps + 1)], 1).astype(np.uint16)


def _clearest(
    *variables: kernels.Blocks, state: np.ndarray | None, along: np.ndarray, kernel: kernels.Clearest
) -> np.ndarray:
    return kernel(along, variables, state)


def _reduce_at_once(
    cube: xr.Dataset,
    method: Method,
    kernel: Callable[..., np.ndarray],
    bands: Sequence[str] | str | None,
    limit_bytes: int,
) -> xr.Dataset:
    """Reduce a cube by tasks that each hold one tile of one variable at all steps."""
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
            f"{method} of {counted(cube.sizes['time'], 'step')} holds {required / 1e9:.1f} GB in a task, "
            f"{limit_bytes / 1e9:.1f} GB are allowed: {advice}, or give a larger limit_bytes"
        )
