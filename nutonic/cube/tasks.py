"""How a reduction over time becomes tasks: one per tile, on the tile's steps; which variables it takes and leaves."""

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

#: Steps that are folded at a time: memory does not grow with more of them.
FOLD = 16


def _independent(array: da.Array) -> dict[Any, Any] | None:
    """The tasks that make an array's chunks where each depends on nothing, as in a cube that was just opened; or None."""
    layer = array.dask.layers[array.name]
    if array.dask.dependencies[array.name] or not layer.is_materialized():
        return None
    tasks = dict(layer)
    independent = all(istask(task) and not get_dependencies(tasks, key) for key, task in tasks.items())
    return tasks if independent else None


def reduce_tiles(array: da.Array, kernel: Callable[..., np.ndarray]) -> da.Array:
    """(y, x): one tile of an array (time, y, x) at all steps, made into one, in one task.

    Where the tile's steps depend on nothing the task reads them itself: on a cluster nothing then passes between
    workers, and the scheduler has a task instead of one for each step and one more.
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
    """What one task of a reduction does: read a tile at all steps, and make one of them."""

    kernel: Callable[..., np.ndarray]
    steps: Subgraph

    def __call__(self) -> np.ndarray:
        """The tile, (height, width)."""
        return self.kernel(list(self.steps()))


def tasks_of_a_tile(cube: xr.Dataset, reduced: xr.Dataset) -> int:
    """How many tasks the first tile of a lazy picture of a cube takes, all variables that were reduced together."""
    unreduced = cube.drop_dims("time").data_vars
    arrays = [variable.data for name, variable in reduced.data_vars.items() if name not in unreduced]
    arrays = [array for array in arrays if isinstance(array, da.Array)]
    graph = HighLevelGraph.merge(*(array.dask for array in arrays))
    nodes = dict(optimize(graph, [(array.name, 0, 0) for array in arrays])).values()
    return sum(_runs(node) for node in nodes)


def _runs(node: Any) -> bool:
    """Whether a node of an optimised graph calls a function: it may be data, or a second name of a task that was fused."""
    return callable(getattr(node, "func", None)) or (isinstance(node, tuple) and istask(node))


def fold_tiles(
    inputs: Sequence[xr.DataArray], kernel: Callable[..., np.ndarray], layers: int, along: np.ndarray | None
) -> da.Array:
    """(layers, y, x): a tile's state, given sixteen steps of all variables at a time, and of what lies along time.

    One task per tile and sixteen steps; written out, since slices of the arrays along time would be tasks too.
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
    """Arrays (time, y, x) in the same tiles, as they are where they are so already."""
    pairs = [part for array in arrays for part in (array, "tyx")]
    return list(da.core.unify_chunks(*pairs)[1])


def _step(
    blocks: Sequence[Sequence[np.ndarray]],
    state: np.ndarray | None,
    *,
    kernel: Callable[..., np.ndarray],
    along: np.ndarray | None,
) -> np.ndarray:
    """One task of a fold; the first has no state to go on from."""
    return kernel(*blocks, state=state, along=along)


def time_chunks(variable: xr.DataArray) -> da.Array:
    """The variable's array (time, y, x), one step a chunk."""
    array: Any = variable.transpose("time", "y", "x").data
    if not isinstance(array, da.Array):
        return cast(da.Array, da.from_array(array, chunks=(1, *array.shape[1:])))
    return array if set(array.chunks[0]) == {1} else array.rechunk({0: 1})


def reduced_cube(
    cube: xr.Dataset, pictures: Mapping[str, da.Array], attrs: Mapping[str, Mapping[str, Any]]
) -> xr.Dataset:
    """A cube's pictures, and its variables that have no time; loaded, if the cube was."""
    unreduced = cube.drop_dims("time").drop_vars("time", errors="ignore")
    reduced = unreduced.assign({name: (("y", "x"), array, dict(attrs[name])) for name, array in pictures.items()})
    order = [name for name in (*cube.data_vars, *pictures) if name in reduced.data_vars]
    ordered = reduced[list(dict.fromkeys(order))].assign_attrs(cube.attrs)
    is_lazy = any(variable.chunks for variable in cube.variables.values())  # chunks of several sizes are no mistake
    return ordered if is_lazy else ordered.compute(scheduler="synchronous")


def variables(cube: xr.Dataset, kind: str) -> list[str]:
    """Variables over time of a kind; told by their dtype where they do not say it."""
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
    """The variables of these names, or all of a kind; refuses what has no time."""
    names = variables(cube, kind) if bands is None else list(bands)
    missing = [name for name in names if name not in cube.data_vars or "time" not in cube[name].dims]
    if missing:
        raise InputError(f"the cube has no {', '.join(missing)} over time, only {', '.join(map(str, cube.data_vars))}")
    return names


def with_scenes(cube: xr.Dataset, names: Sequence[str]) -> list[str]:
    """The variables, and the record of scenes where the cube has one."""
    return [*names, *(["scene"] if "scene" in cube.data_vars else [])]


def refuse_without(cube: xr.Dataset, by: str) -> None:
    """Refuse a cube without this variable of classes."""
    if by not in cube.data_vars or cube[by].dtype != np.uint8:
        raise InputError(
            f"the cube has no classification {by!r}: open the imagery with masks=({by!r},), or name another variable"
        )


def nodata_of(variable: xr.DataArray) -> int:
    """The value of a variable that means nodata, as it says itself."""
    nodata = variable.attrs.get("_FillValue", variable.encoding.get("_FillValue"))
    if nodata is None or not np.issubdtype(variable.dtype, np.unsignedinteger):
        raise InputError(
            f"{variable.name} is {variable.dtype} with nodata {nodata}: reductions take unsigned integers that say their "
            "nodata; open files with mask_and_scale=False"
        )
    return int(nodata)


def attributes(variable: xr.DataArray, method: str, nodata: float) -> dict[str, Any]:
    """What a reduced variable says of itself (CF cell methods)."""
    return {**variable.attrs, "_FillValue": nodata, "cell_methods": f"time: {method}"}
