"""The tasks of a reduction over time, one per tile on all of its steps, and the variables that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import dask.array as da
import numpy as np
import xarray as xr
from dask.array.optimization import optimize
from dask.base import tokenize
from dask.core import get_dependencies, istask
from dask.highlevelgraph import HighLevelGraph

from nutonic.errors import InputError
from nutonic.sources.mosaic import Subgraph

#: Steps that one task of a fold takes. Memory does not grow with the number of steps.
FOLD = 16


def _independent(array: da.Array) -> dict[Any, Any] | None:
    """The tasks of an array's chunks, if none of them depends on another, as in a cube that was just opened; else None."""
    layer = array.dask.layers[array.name]
    if array.dask.dependencies[array.name] or not layer.is_materialized():
        return None
    tasks = dict(layer)
    independent = all(istask(task) and not get_dependencies(tasks, key) for key, task in tasks.items())
    return tasks if independent else None


def reduce_tiles(array: da.Array, kernel: Callable[..., np.ndarray]) -> da.Array:
    """Reduce an array (time, y, x) to (y, x), with one task per tile that takes the tile at all steps.

    If the tile's steps depend on nothing, the task reads them itself. On a cluster nothing then passes between workers,
    and the scheduler has one task per tile instead of one for each step and one more.
    """
    tasks = _independent(array)
    if tasks is None:
        return cast(da.Array, da.blockwise(kernel, "yx", array, "tyx", concatenate=False, dtype=array.dtype))
    token = f"reduced-{tokenize(kernel, array.name)}"
    layer: dict[Any, Any] = {}
    for i, j in np.ndindex(*array.numblocks[1:]):
        keys = [(array.name, t, i, j) for t in range(array.numblocks[0])]
        layer[token, i, j] = (TileReduction(kernel, Subgraph({key: tasks[key] for key in keys}, keys)),)
    return da.Array(HighLevelGraph.from_collections(token, layer), token, array.chunks[1:], dtype=array.dtype)


@dataclass(frozen=True, slots=True)
class TileReduction:
    """One task of a reduction: reads a tile at all steps, and reduces them to one."""

    kernel: Callable[..., np.ndarray]
    steps: Subgraph

    def __call__(self) -> np.ndarray:
        """The tile, (height, width)."""
        return self.kernel(list(self.steps()))


def tasks_of_a_tile(cube: xr.Dataset, reduced: xr.Dataset) -> int:
    """How many tasks the first tile of a lazy reduction takes, for all reduced variables together."""
    unreduced = cube.drop_dims("time").data_vars
    arrays = [variable.data for name, variable in reduced.data_vars.items() if name not in unreduced]
    arrays = [array for array in arrays if isinstance(array, da.Array)]
    graph = HighLevelGraph.merge(*(array.dask for array in arrays))
    nodes = dict(optimize(graph, [(array.name, 0, 0) for array in arrays])).values()
    return sum(_runs(node) for node in nodes)


def _runs(node: Any) -> bool:
    """Whether a node of an optimised graph calls a function; other nodes are data, or second names of fused tasks."""
    return callable(getattr(node, "func", None)) or (isinstance(node, tuple) and istask(node))


def fold_tiles(
    inputs: Sequence[xr.DataArray], kernel: Callable[..., np.ndarray], layers: int, along: np.ndarray | None
) -> da.Array:
    """Fold variables over time into a state (layers, y, x), with one task per tile and sixteen steps.

    Parameters
    ----------
    inputs
        Variables (time, y, x).
    kernel
        Takes the blocks of each variable, the state so far or None, and the values of `along` for these steps; returns
        the next state (layers, height, width).
    layers
        Length of the state's first dimension.
    along
        Values along time that the kernel needs, (steps, …); None for none.

    Notes
    -----
    The graph is written out, because slices of the arrays along time would be tasks too.
    """
    arrays = _alike([time_chunks(variable) for variable in inputs])
    groups = [slice(start, start + FOLD) for start in range(0, arrays[0].shape[0], FOLD)]
    steps = range(arrays[0].shape[0])
    token = f"folded-{tokenize(kernel, along, [array.name for array in arrays])}"
    tasks: dict[Any, Any] = {}
    for g, group in enumerate(groups):
        work = partial(_step, kernel=kernel, along=None if along is None else along[group])
        for i, j in np.ndindex(*arrays[0].numblocks[1:]):
            blocks = [[(array.name, t, i, j) for t in steps[group]] for array in arrays]
            tasks[(f"{token}-{g}", 0, i, j)] = (work, blocks, (f"{token}-{g - 1}", 0, i, j) if g else None)
    last, dependencies = f"{token}-{len(groups) - 1}", cast(Any, arrays)
    dtype = np.dtype("uint32") if along is None else np.dtype("uint16")
    graph = HighLevelGraph.from_collections(last, tasks, dependencies)
    return da.Array(graph, last, ((layers,), *arrays[0].chunks[1:]), dtype=dtype)


def _alike(arrays: Sequence[da.Array]) -> list[da.Array]:
    """Arrays (time, y, x) with the same tiles; an array that has them already is not changed."""
    pairs = [part for array in arrays for part in (array, "tyx")]
    return list(da.core.unify_chunks(*pairs)[1])


def _step(
    blocks: Sequence[Sequence[np.ndarray]],
    state: np.ndarray | None,
    *,
    kernel: Callable[..., np.ndarray],
    along: np.ndarray | None,
) -> np.ndarray:
    """One task of a fold; the first one has no state."""
    return kernel(*blocks, state=state, along=along)


def time_chunks(variable: xr.DataArray) -> da.Array:
    """The variable's array (time, y, x), with one step per chunk."""
    array: Any = variable.transpose("time", "y", "x").data
    if not isinstance(array, da.Array):
        return cast(da.Array, da.from_array(array, chunks=(1, *array.shape[1:])))
    return array if set(array.chunks[0]) == {1} else array.rechunk({0: 1})


def reduced_cube(
    cube: xr.Dataset, pictures: Mapping[str, da.Array], attrs: Mapping[str, Mapping[str, Any]]
) -> xr.Dataset:
    """The reduced variables with those that have no time axis; loaded if the cube is loaded."""
    unreduced = cube.drop_dims("time").drop_vars("time", errors="ignore")
    reduced = unreduced.assign({name: (("y", "x"), array, dict(attrs[name])) for name, array in pictures.items()})
    order = [name for name in (*cube.data_vars, *pictures) if name in reduced.data_vars]
    ordered = reduced[list(dict.fromkeys(order))].assign_attrs(cube.attrs)
    is_lazy = any(variable.chunks for variable in cube.variables.values())  # chunks of several sizes are no mistake
    return ordered if is_lazy else ordered.compute(scheduler="synchronous")


def variables(cube: xr.Dataset, kind: str) -> list[str]:
    """The variables over time of a kind, ``"reflectance"`` or ``"class"``; their dtype decides if their attrs do not."""
    if "time" not in cube.dims:
        raise InputError("the cube has no time axis: there is nothing to reduce")
    names = []
    for name, variable in cube.data_vars.items():
        declared = variable.attrs.get("kind", "class" if variable.dtype == np.uint8 else "reflectance")
        if declared == kind and "time" in variable.dims:
            names.append(str(name))
    if not names:
        raise InputError(f"the cube has no {kind} over time, only {', '.join(map(str, cube.data_vars)) or 'nothing'}")
    return names


def selected_variables(cube: xr.Dataset, bands: Iterable[str] | None, kind: str) -> list[str]:
    """The variables of these names, or all of a kind; raises :class:`InputError` for a name without a time axis."""
    names = variables(cube, kind) if bands is None else [bands] if isinstance(bands, str) else list(bands)
    missing = [name for name in names if name not in cube.data_vars or "time" not in cube[name].dims]
    if missing:
        raise InputError(f"the cube has no {', '.join(missing)} over time, only {', '.join(map(str, cube.data_vars))}")
    return names


def with_scenes(cube: xr.Dataset, names: Sequence[str]) -> list[str]:
    """The names, followed by ``scene`` if the cube has that variable."""
    return [*names, *(["scene"] if "scene" in cube.data_vars else [])]


def refuse_without(cube: xr.Dataset, by: str) -> None:
    """Raise :class:`InputError` if a cube does not have this classification."""
    if by in cube.data_vars and cube[by].dtype == np.uint8:
        return
    there = ", ".join(str(name) for name, variable in cube.data_vars.items() if variable.dtype == np.uint8)
    others = f"; of classes there {'are' if ',' in there else 'is'} {there}" if there else ""
    if by in cube.data_vars:
        raise InputError(f"{by} is {cube[by].dtype} and no classification, which is uint8{others}")
    raise InputError(
        f"the cube has no classification {by!r}: open the imagery with masks=({by!r},), or name another variable{others}"
    )


def nodata_of(variable: xr.DataArray) -> int:
    """A variable's nodata value, from its attrs or its encoding; raises :class:`InputError` if it has none."""
    nodata = variable.attrs.get("_FillValue", variable.encoding.get("_FillValue"))
    if nodata is None or not np.issubdtype(variable.dtype, np.unsignedinteger):
        todo = {
            "f": "open files with mask_and_scale=False",
            "i": "netCDF without h5netcdf has none: save cubes as Zarr, by nt.save_cube",
        }.get(variable.dtype.kind, "set attrs['_FillValue']")
        raise InputError(
            f"{variable.name} is {variable.dtype} with nodata {nodata}: reductions take unsigned integers that say their "
            f"nodata; {todo}"
        )
    return int(nodata)


def attributes(variable: xr.DataArray, method: str, nodata: float) -> dict[str, Any]:
    """The attributes of a reduced variable, with CF's cell methods."""
    return {**variable.attrs, "_FillValue": nodata, "cell_methods": f"time: {method}"}
