"""Lazy pictures of scenes, put together into one array of a cube, chunk by chunk."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
import shapely
import xarray as xr
from affine import Affine
from dask.base import tokenize
from dask.core import get
from dask.highlevelgraph import HighLevelGraph
from dask.optimization import cull
from odc.geo.geobox import GeoBox

from nutonic.core.globe import Turn, turn_of
from nutonic.core.grid import crs_name, offset_in, repeated, transformer
from nutonic.core.model import Asset, Band, Scene
from nutonic.errors import (
    Damaged,
    DamageSkipped,
    FileMissing,
    Gone,
    GridError,
    InputError,
    NutonicError,
)
from nutonic.inert import inert
from nutonic.io.access import Access
from nutonic.sources.backend import NearestMosaic, Window, Windowed, dataset
from nutonic.sources.grids import is_whole

#: A chunk by its row and column in a cube.
ChunkIndex = tuple[int, int]

#: The chunks of a cube that an asset touches: rows and columns of them.
Span = tuple[range, range]

#: What gives the pixels of a chunk: (rows, columns), or the same behind axes of length one.
Read = Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Part:
    """One picture on a cube's grid, of a lazy array that may hold many: its chunks are the cube's."""

    array: da.Array
    """Dims (…, y, x), with chunks of length one along those before y."""
    index: tuple[int, ...] = ()
    """Which of those it is."""
    first: ChunkIndex = (0, 0)
    """Where the array's first chunk lies in the cube."""

    def key(self, at: ChunkIndex) -> tuple[Any, ...]:
        """The name of a chunk in the array's graph."""
        return (self.array.name, *self.index, at[0] - self.first[0], at[1] - self.first[1])


#: What opens a band of several scenes on a cube's grid, in chunks of this side: a picture of each. What reads windows by
#: itself is one.
Opener = Callable[[Sequence[Scene], GeoBox, int], Sequence[Part | Windowed]]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A few tasks of dask that need nothing else, run one after another where they are called: to a graph, one task."""

    tasks: Mapping[Any, Any]
    """By key."""
    keys: list[Any]
    """Of the results."""

    def __call__(self) -> tuple[Any, ...]:
        """The result of each key."""
        return tuple(get(self.tasks, self.keys))


@dataclass(frozen=True, slots=True)
class PartChunk:
    """A chunk of a lazy array, with all that it takes."""

    tasks: Mapping[Any, Any]
    """By key."""
    key: tuple[Any, ...]
    """Of the chunk."""

    def __call__(self) -> np.ndarray:
        """Its pixels."""
        (pixels,) = get(self.tasks, [self.key])
        return np.asarray(pixels)


@dataclass(frozen=True, slots=True)
class WindowChunk:
    """A window of what reads windows."""

    raster: Windowed
    window: Window

    def __call__(self) -> np.ndarray:
        """Its pixels."""
        return self.raster.read(self.window)


@dataclass(frozen=True, slots=True)
class SceneChunks:
    """One scene's part of a cube: the chunks that it touches, and no others."""

    name: str
    """What is in it, in short."""
    chunks: Mapping[ChunkIndex, Read]
    """What gives the pixels of each."""
    number: int
    """Of its scene, from 1."""
    scene: str
    """The id of its scene."""


def _band_chunks(
    band: Band, numbers: Mapping[Scene, int], geobox: GeoBox, chunk: int, opener: Opener
) -> dict[Scene, SceneChunks]:
    """The parts of scenes in a cube of `geobox`, in chunks of this side; all scenes are opened at once."""
    spans = [touched(scene.asset(band.name), geobox, chunk) for scene in numbers]
    parts = opener(list(numbers), geobox, chunk)
    graphs, found = _graphs(parts, spans), {}
    for (scene, number), part, span in zip(numbers.items(), parts, spans, strict=True):
        chunks: dict[ChunkIndex, Read] = {}
        for at in product(*span):
            if isinstance(part, Part):
                chunks[at] = PartChunk(cull(graphs[part.array.name], [part.key(at)])[0], part.key(at))
            else:
                chunks[at] = WindowChunk(part, _window_of(at, geobox, chunk))
        what = f"{part.array.name}{part.index}{part.first}" if isinstance(part, Part) else tokenize(part)
        found[scene] = SceneChunks(f"{what} {span}", chunks, number, scene.id)
    return found


def _graphs(parts: Sequence[Part | Windowed], spans: Sequence[Span]) -> dict[str, dict[Any, Any]]:
    """By array the tasks of all chunks that scenes touch, and of nothing else.

    They are then cut into one graph for each chunk, which holds all it takes. As long as the chunks of a scene hang on
    tasks they share, dask's threads read all of one scene before the next, and a reduction over scenes ends up holding
    nearly all that there is to read. What is shared here is small: the readers that an engine made, which open nothing.
    """
    arrays = {part.array.name: part.array for part in parts if isinstance(part, Part)}
    wanted: dict[str, set[Any]] = {name: set() for name in arrays}
    for part, span in zip(parts, spans, strict=True):
        if isinstance(part, Part):
            wanted[part.array.name].update(map(part.key, product(*span)))
    return {name: dict(array.dask.cull(wanted[name])) for name, array in arrays.items()}


def touched(asset: Asset, geobox: GeoBox, chunk: int) -> Span:
    """The chunks of a cube that an asset touches, by its item's word.

    Its scene's footprint touches the grid. Where the asset does not, every chunk is its part: that it holds nothing is for
    its header to say.
    """
    rows, cols = _native_window(asset, geobox) if is_whole(asset, geobox) else _warped_window(asset, geobox)
    if rows.start >= rows.stop or cols.start >= cols.stop:
        rows, cols = (slice(0, side) for side in geobox.shape.yx)
    return range(rows.start // chunk, -(-rows.stop // chunk)), range(cols.start // chunk, -(-cols.stop // chunk))


def span_grid(span: Span, geobox: GeoBox, chunk: int) -> GeoBox:
    """The part of a grid that some chunks of a cube are."""
    rows, cols = (
        slice(part.start * chunk, min(part.stop * chunk, side))
        for part, side in zip(span, geobox.shape.yx, strict=True)
    )
    return geobox[rows, cols]


def _window_of(at: ChunkIndex, geobox: GeoBox, chunk: int) -> Window:
    rows, cols = (slice(k * chunk, min((k + 1) * chunk, side)) for k, side in zip(at, geobox.shape.yx, strict=True))
    return rows, cols


def nearest_array(asset: Asset, geobox: GeoBox, chunk: int, band: Band, access: Access) -> da.Array:
    """An asset of a scene on a grid by window-independent nearest neighbour, lazily."""
    raster = NearestMosaic(geobox=geobox, assets=(asset,), band=band, access=access, of_scene=True).lazy()
    array: da.Array = xr.Variable(("y", "x"), raster).chunk(chunk).data
    return array


def _native_window(asset: Asset, geobox: GeoBox) -> tuple[slice, slice]:
    lattice, times = repeated(Affine(*asset.transform), geobox)
    row, col = offset_in(lattice, geobox)
    height, width = asset.shape[0] * times, asset.shape[1] * times
    return _within(-row, height - row, geobox.shape.y), _within(-col, width - col, geobox.shape.x)


def _warped_window(asset: Asset, geobox: GeoBox) -> tuple[slice, slice]:
    """The pixels of a grid that an asset may reach: its outline drawn in the grid's CRS, and a pixel more.

    All of them where the outline says nothing of what it holds: it does not come back as it was, or goes round the globe.
    """
    (height, width), transform = asset.shape, Affine(*asset.transform)
    ring = shapely.segmentize(shapely.box(0, 0, width, height), max(height, width) / 64)
    outline = shapely.get_coordinates(ring) * (transform.a, transform.e) + (transform.c, transform.f)
    points = np.stack(transformer(asset.crs, crs_name(geobox)).transform(*outline.T), -1)
    here, there = turn_of(crs_name(geobox)), turn_of(asset.crs)
    back = np.stack(transformer(crs_name(geobox), asset.crs).transform(*points.T), -1)
    with np.errstate(invalid="ignore"):
        if there is not None:
            back[:, 0] = there.beside(back[:, 0], outline[:, 0])
        if here is not None:
            points[:, 0] = here.beside(points[:, 0], geobox.affine.c + geobox.affine.a * geobox.shape.x / 2)
        same = np.abs(back - outline) <= (abs(transform.a), abs(transform.e))  # False where a number is missing
    if not same.all() or _goes_round(outline[:, 0], there) or _goes_round(points[:, 0], here):
        return slice(0, geobox.shape.y), slice(0, geobox.shape.x)
    cols, rows = ((points - (geobox.affine.c, geobox.affine.f)) / (geobox.affine.a, geobox.affine.e)).T
    return (
        _within(int(np.floor(rows.min())) - 1, int(np.ceil(rows.max())) + 1, geobox.shape.y),
        _within(int(np.floor(cols.min())) - 1, int(np.ceil(cols.max())) + 1, geobox.shape.x),
    )


def _goes_round(x: np.ndarray, turn: Turn | None) -> bool:
    """Whether coordinates span so much of the globe that what lies between them is not plain."""
    return turn is not None and bool(np.ptp(x) > turn.length / 2)


def _within(start: int, stop: int, limit: int) -> slice:
    return slice(max(start, 0), min(stop, limit))


@dataclass(frozen=True, slots=True)
class MosaicFirst:
    """A pixel comes from the first scene that has one."""

    band: Band

    @property
    def dtype(self) -> np.dtype:
        """The band's."""
        return np.dtype(self.band.dtype)

    def __call__(self, shape: tuple[int, int], scenes: Mapping[int, np.ndarray]) -> np.ndarray:
        """A chunk (1, height, width) of its shape and the pixels of each scene, by number, in mosaic order."""
        first, *others = scenes.values() if scenes else (np.full(shape, self.band.nodata, self.dtype),)
        for pixels in others:
            first = np.where(first == self.band.nodata, pixels, first)
        return first[None]


@dataclass(frozen=True, slots=True)
class MosaicSource:
    """The number of the scene that a pixel comes from; 0 for none."""

    band: Band

    @property
    def dtype(self) -> np.dtype:
        """Of numbers."""
        return np.dtype("uint16")

    def __call__(self, shape: tuple[int, int], scenes: Mapping[int, np.ndarray]) -> np.ndarray:
        """A chunk (1, height, width) of its shape and the pixels of each scene, by number, in mosaic order."""
        out = np.zeros(shape, self.dtype)
        for number, pixels in scenes.items():
            out[(out == 0) & (pixels != self.band.nodata)] = number
        return out[None]


Mosaic = MosaicFirst | MosaicSource


#: What is wrong with a file whoever reads it: not with a network, nor with what a user says of its numbers.
_DAMAGE = (Damaged, Gone, FileMissing, GridError)


@dataclass(frozen=True, slots=True)
class MosaicChunk:
    """What one task of a cube does: read a chunk of each scene, and make one of them."""

    mosaic: Mosaic
    shape: tuple[int, int]
    """Height and width."""
    scenes: Mapping[int, Read]
    """What reads the chunk of each scene, by its number, in mosaic order."""
    ids: Mapping[int, str]
    """What each scene is called, by its number."""
    skip: bool = False
    """Whether a scene whose file is damaged here is left out, with a warning."""

    def __call__(self) -> np.ndarray:
        """The chunk, (1, height, width)."""
        read = ((number, self._read(number)) for number in self.scenes)
        return self.mosaic(self.shape, {number: pixels for number, pixels in read if pixels is not None})

    def _read(self, number: int) -> np.ndarray | None:
        """A scene's pixels; what goes wrong with them is told with its id. None where it is left out."""
        try:
            return self.scenes[number]().reshape(self.shape)
        except NutonicError as error:
            if self.skip and isinstance(error, _DAMAGE):
                _warn(f"item {self.ids[number]}: {error}: left out as nodata")
                return None
            raise _with_item(error, self.ids[number]) from None


def _with_item(error: NutonicError, item: str) -> NutonicError:
    """An error with the item that it is about before its words."""
    told = type(error)(f"item {item}: {error}", band=error.band)
    told.__dict__ |= error.__dict__
    return told


@dataclass(frozen=True, slots=True)
class ItemChunk:
    """A chunk of one scene, whose errors name it."""

    chunk: PartChunk
    item: str
    """The id of the scene."""

    def __call__(self) -> np.ndarray:
        """Its pixels."""
        try:
            return self.chunk()
        except NutonicError as error:
            raise _with_item(error, self.item) from None


def naming_item(ds: xr.Dataset, scene: str) -> xr.Dataset:
    """A dataset of one scene whose chunks, a task each, name it where they cannot be read, as those over time do."""
    lazy = {name: variable for name, variable in ds.data_vars.items() if variable.chunks is not None}
    return ds.assign(
        {name: variable.copy(data=_naming(variable.data, inert(scene))) for name, variable in lazy.items()}
    )


def _naming(array: da.Array, item: str) -> da.Array:
    token, tasks = f"item-{tokenize(array.name, item)}", dict(array.dask)
    layer: dict[Any, Any] = {}
    for at in product(*map(range, array.numblocks)):
        key = (array.name, *at)
        layer[(token, *at)] = (ItemChunk(PartChunk(cull(tasks, [key])[0], key), item),)
    return da.Array(HighLevelGraph.from_collections(token, layer), token, array.chunks, dtype=array.dtype)


def _warn(text: str) -> None:
    """Warn of damage, on a cluster whoever waits for the chunk."""
    if "distributed" in sys.modules:
        from distributed import warn

        warn(text, DamageSkipped)
    else:
        warnings.warn(text, DamageSkipped, stacklevel=2)


def without_damage(array: da.Array) -> da.Array:
    """An array of :func:`mosaic_array` whose chunks leave out scenes whose files are missing or damaged, with a warning.

    Raises
    ------
    InputError
        If it is another array, of which nobody knows what is a scene's.
    """
    layer = dict(array.dask.layers[array.name]) if isinstance(array, da.Array) else {}
    chunks = {key: task[0] for key, task in layer.items() if isinstance(task, tuple)}
    if not chunks or len(chunks) < len(layer) or not all(isinstance(chunk, MosaicChunk) for chunk in chunks.values()):
        raise InputError("on_damage is 'skip', and this source's cubes are no mosaics of scenes: leave it at 'raise'")
    token = f"{array.name}-without-damage"
    skipping: dict[Any, Any] = {(token, *key[1:]): (replace(chunk, skip=True),) for key, chunk in chunks.items()}
    graph = HighLevelGraph.from_collections(token, skipping)
    return da.Array(graph, token, array.chunks, dtype=array.dtype)


def mosaic_array(
    name: str, steps: Sequence[Sequence[SceneChunks]], shape: tuple[int, int], chunk: int, mosaic: Mosaic
) -> da.Array:
    """One array (time, height, width); each chunk is one task, which depends on nothing.

    Parameters
    ----------
    name
        Of the band, for the names of tasks.
    steps
        The scenes of each step, in mosaic order.
    shape
        Height and width.
    chunk
        Side of a chunk; along time chunks have one step.
    mosaic
        What makes a chunk of the pixels of its scenes.
    """
    sizes = da.core.normalize_chunks((chunk, chunk), shape)
    contents = [[(scene.name, scene.number) for scene in step] for step in steps]
    token = f"{name}-{tokenize(name, shape, chunk, mosaic, contents)}"
    layer: dict[Any, Any] = {}
    for t, step in enumerate(steps):
        for (i, height), (j, width) in product(enumerate(sizes[0]), enumerate(sizes[1])):
            scenes = {scene.number: scene.chunks[i, j] for scene in step if (i, j) in scene.chunks}
            ids = {scene.number: inert(scene.scene) for scene in step if scene.number in scenes}
            layer[token, t, i, j] = (MosaicChunk(mosaic, (height, width), scenes, ids),)
    graph = HighLevelGraph.from_collections(token, layer)
    return da.Array(graph, token, ((1,) * len(steps), *sizes), dtype=mosaic.dtype)


#: Which scene a pixel is from: its number, from 1; 0 for none.
RECORD = Band(name="scene", kind="index", dtype="uint16", nodata=0)


def over_time(
    bands: Sequence[Band],
    geobox: GeoBox,
    time: np.ndarray,
    steps: Sequence[Sequence[Scene]],
    chunk: int,
    opener: Callable[[Band], Opener],
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
    opener
        What opens a band of scenes.
    record
        Whether a variable ``scene`` tells which scene the first band's pixel is from.
    """
    numbers = {scene: k for k, scene in enumerate(dict.fromkeys(scene for step in steps for scene in step), 1)}

    def steps_of(band: Band) -> list[list[SceneChunks]]:
        found = _band_chunks(band, numbers, geobox, chunk, opener(band)) if numbers else {}
        return [[found[scene] for scene in step] for step in steps]

    scenes = {band: steps_of(band) for band in bands}
    shape = geobox.shape.yx
    arrays = {band: mosaic_array(band.name, scenes[band], shape, chunk, MosaicFirst(band)) for band in bands}
    if record:
        arrays[RECORD] = mosaic_array(RECORD.name, scenes[bands[0]], shape, chunk, MosaicSource(bands[0]))
    return dataset(geobox, arrays, time, rendered=bool(numbers) and all(scene.rendered for scene in numbers))
