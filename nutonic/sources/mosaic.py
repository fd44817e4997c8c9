"""Lazy pictures of scenes, put together into one array of a cube, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
import shapely
import xarray as xr
from affine import Affine
from dask._task_spec import Alias, GraphNode, Task, convert_legacy_graph
from dask.base import optimize, tokenize
from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from odc.geo.geobox import GeoBox

from nutonic.core.grid import crs_name, offset_in, transformer
from nutonic.core.model import Asset, Band, Scene
from nutonic.errors import OffLattice
from nutonic.io.access import Access
from nutonic.sources.backend import NearestMosaic, dataset

#: What makes a lazy array of an asset on a grid, in chunks of this side.
Opener = Callable[[Asset, GeoBox, int], da.Array]


@dataclass(frozen=True, slots=True)
class SceneChunks:
    """One scene's part of a cube: the chunks that it touches, and no others."""

    name: str
    """Of its array: what is in it."""
    chunks: Mapping[tuple[int, int], GraphNode]
    """By row and column in the cube's chunks, what makes the pixels of each, and depends on nothing."""
    number: int = 0
    """Of its scene, from 1."""


def _whole(array: da.Array, row: int, col: int) -> dict[tuple[int, int], GraphNode]:
    """What makes each chunk of an array, all it takes included, by its place in the cube.

    As long as the chunks of a scene hang on tasks they share, dask's threads read all of one scene before the next, and
    a reduction over scenes ends up holding nearly all that there is to read. What is shared here is small: the readers
    that an engine made, which open nothing.
    """
    (optimised,) = optimize(array)
    graph = convert_legacy_graph(dict(optimised.__dask_graph__()))

    def alone(key: Any) -> GraphNode:
        node: GraphNode = graph[key]
        while isinstance(node, Alias):
            node = graph[node.target]
        return node.substitute({below: alone(below) for below in node.dependencies})

    return {(row + key[1], col + key[2]): alone(key) for key in flatten(optimised.__dask_keys__())}


def fits(asset: Asset, grid: GeoBox) -> bool:
    """Whether an asset's pixels are a grid's: to be read, not resampled."""
    try:
        offset_in(Affine(*asset.transform), grid)
    except OffLattice:
        return False
    return crs_name(grid) == asset.crs


def piece(asset: Asset, grid: GeoBox, chunk: int, lazy: Opener, number: int) -> SceneChunks | None:
    """An asset's part of a cube of `grid`, in chunks of this side; None if it has none."""
    native = fits(asset, grid)
    rows, cols = _native_window(asset, grid) if native else _warped_window(asset, grid)
    if rows.start >= rows.stop or cols.start >= cols.stop:
        return None
    i, j = rows.start // chunk, cols.start // chunk
    bottom, right = -(-rows.stop // chunk) * chunk, -(-cols.stop // chunk) * chunk
    part = grid[i * chunk : min(bottom, grid.shape.y), j * chunk : min(right, grid.shape.x)]
    array = lazy(asset, part, chunk)
    return SceneChunks(array.name, _whole(array, i, j), number)


def nearest(asset: Asset, grid: GeoBox, chunk: int, band: Band, access: Access) -> da.Array:
    """An asset on a grid by window-independent nearest neighbour, lazily."""
    lazy = NearestMosaic(grid=grid, assets=(asset,), band=band, access=access).lazy()
    array: da.Array = xr.Variable(("y", "x"), lazy).chunk(chunk).data
    return array


def _native_window(asset: Asset, grid: GeoBox) -> tuple[slice, slice]:
    row, col = offset_in(Affine(*asset.transform), grid)
    return _within(-row, asset.shape[0] - row, grid.shape.y), _within(-col, asset.shape[1] - col, grid.shape.x)


def _warped_window(asset: Asset, grid: GeoBox) -> tuple[slice, slice]:
    """The pixels of a grid that an asset may reach: its outline drawn in the grid's CRS, and a pixel more."""
    (height, width), transform = asset.shape, Affine(*asset.transform)
    ring = shapely.segmentize(shapely.box(0, 0, width, height), max(height, width) / 64)
    to_grid = transformer(asset.crs, str(grid.crs))
    drawn = shapely.get_coordinates(ring) * (transform.a, transform.e) + (transform.c, transform.f)
    points = np.stack(to_grid.transform(*drawn.T), -1)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return slice(0, 0), slice(0, 0)
    cols, rows = ((points - (grid.affine.c, grid.affine.f)) / (grid.affine.a, grid.affine.e)).T
    return (
        _within(int(np.floor(rows.min())) - 1, int(np.ceil(rows.max())) + 1, grid.shape.y),
        _within(int(np.floor(cols.min())) - 1, int(np.ceil(cols.max())) + 1, grid.shape.x),
    )


def _within(start: int, stop: int, limit: int) -> slice:
    return slice(max(start, 0), min(stop, limit))


def assembled(
    name: str, steps: Sequence[Sequence[SceneChunks]], shape: tuple[int, int], chunk: int, how: Any
) -> da.Array:
    """One array (time, height, width), a chunk of which is made of the pieces that reach it.

    Parameters
    ----------
    name
        Of the band, for the names of tasks.
    steps
        The pieces of each step, in mosaic order.
    shape
        Height and width.
    chunk
        Side of a chunk; along time chunks have one step.
    how
        :class:`MosaicFirst` or :class:`MosaicSource`: what makes a chunk of its shape, scenes' numbers and their pixels.
    """
    sizes = da.core.normalize_chunks((chunk, chunk), shape)
    parts = [[(piece.name, sorted(piece.chunks), piece.number) for piece in step] for step in steps]
    token = f"{name}-{tokenize(name, shape, chunk, how, parts)}"
    layer = {}
    for t, step in enumerate(steps):
        for (i, height), (j, width) in product(enumerate(sizes[0]), enumerate(sizes[1])):
            here = [piece for piece in step if (i, j) in piece.chunks]
            pixels = [piece.chunks[i, j] for piece in here]
            key = (token, t, i, j)
            layer[key] = Task(key, how, (height, width), [piece.number for piece in here], *pixels)
    graph = HighLevelGraph({token: MaterializedLayer(layer)}, {token: set()})
    return da.Array(graph, token, ((1,) * len(steps), *sizes), dtype=how.dtype)


#: Which scene a pixel is from: its number, from 1; 0 for none.
RECORD = Band(name="scene", kind="index", dtype="uint16", nodata=0)


def over_time(
    bands: Sequence[Band],
    grid: GeoBox,
    time: np.ndarray,
    steps: Sequence[Sequence[Scene]],
    chunk: int,
    lazy: Callable[[Band, Scene], Opener],
    *,
    record: bool,
) -> xr.Dataset:
    """Scenes as a lazy dataset (time, y, x), a variable for each band: a pixel comes from the first scene that has one.

    Parameters
    ----------
    bands
        Variables, and names of assets.
    grid, time, steps, chunk
        As of :meth:`.TimedSource.cube`.
    lazy
        What opens a scene's asset of a band.
    record
        Whether a variable ``scene`` tells which scene the first band's pixel is from.
    """
    numbers = {scene: k for k, scene in enumerate(dict.fromkeys(scene for step in steps for scene in step), 1)}

    def pieces(band: Band, scenes: Sequence[Scene]) -> list[SceneChunks]:
        found = (piece(scene.asset(band.name), grid, chunk, lazy(band, scene), numbers[scene]) for scene in scenes)
        return [one for one in found if one is not None]

    of_bands = {band: [pieces(band, scenes) for scenes in steps] for band in bands}
    arrays = {
        band: assembled(band.name, found, grid.shape.yx, chunk, MosaicFirst(band)) for band, found in of_bands.items()
    }
    if record:
        arrays[RECORD] = assembled(RECORD.name, of_bands[bands[0]], grid.shape.yx, chunk, MosaicSource(bands[0]))
    return dataset(grid, arrays, time, rendered=bool(numbers) and all(scene.rendered for scene in numbers))


@dataclass(frozen=True, slots=True)
class MosaicFirst:
    """A pixel comes from the first piece that has one."""

    band: Band

    @property
    def dtype(self) -> np.dtype:
        """The band's."""
        return np.dtype(self.band.dtype)

    def __call__(self, shape: tuple[int, int], _: Sequence[int], *pieces: np.ndarray) -> np.ndarray:
        """A chunk (1, height, width)."""
        if not pieces:
            return np.full((1, *shape), self.band.nodata, self.dtype)
        out = pieces[0]
        for pixels in pieces[1:]:
            out = np.where(out == self.band.nodata, pixels, out)
        return out[None]


@dataclass(frozen=True, slots=True)
class MosaicSource:
    """The number of the scene that a pixel comes from; 0 for none."""

    band: Band

    @property
    def dtype(self) -> np.dtype:
        """Of numbers."""
        return np.dtype("uint16")

    def __call__(self, shape: tuple[int, int], numbers: Sequence[int], *pieces: np.ndarray) -> np.ndarray:
        """A chunk (1, height, width)."""
        out = np.zeros(shape, self.dtype)
        for number, pixels in zip(numbers, pieces, strict=True):
            out[(out == 0) & (pixels != self.band.nodata)] = number
        return out[None]
