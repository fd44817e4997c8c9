"""Pixels of places: from one lazy cube of their common scene, in this process' threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache

import dask.array as da
import dask.base
import dask.threaded
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.core.grid import window_in
from nutonic.core.model import PlannedPlace, RemotePin, Scene
from nutonic.cube.open import open_scene
from nutonic.errors import NutonicError, ReadFailed, RecipeChanged, SourceError
from nutonic.io.raster import seeing
from nutonic.io.session import SessionThreads, current
from nutonic.planning.cost import FAR_GROUPS, NEIGHBOURS, READERS
from nutonic.planning.pins import RemoteFiles, by_key, key_of, remote_hrefs, short_name
from nutonic.planning.remote import versions_of
from nutonic.recipe.outputs import Grid
from nutonic.sources.factory import AnySources
from nutonic.sources.grids import place_grid, scene_grid
from nutonic.sources.placing import placed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """A place's native pixels."""

    geobox: GeoBox
    bands: Mapping[str, np.ndarray]
    """By name, (height, width) in the band's dtype, its nodata value where nothing was observed."""
    remote: Mapping[str, RemotePin] = field(default_factory=dict)
    """What the remote files were that were read, by key; also those that only its neighbours needed."""

    def stacked(self, names: Iterable[str]) -> np.ndarray:
        """(names, height, width) of bands with one dtype."""
        return np.stack([self.bands[name] for name in names])


@dataclass(frozen=True, slots=True)
class Ahead:
    """How far reading goes ahead of those who work on pixels."""

    places: int
    """That are read together."""
    groups: int
    """Of so many places each, that are being read, or wait for whoever works on them."""


#: Of files that this process decodes itself, and of a server, or of what is decoded elsewhere: where an answer takes longer
#: than cutting what it brings, several are waited for at the same time.
HERE, FAR = Ahead(NEIGHBOURS, 1), Ahead(NEIGHBOURS, FAR_GROUPS)


class Together:
    """Pixels of places from their common best scene: a few neighbours at a time, the next ones while these are worked on.

    Those of a whole batch would be most of what a worker holds. A block that several of them touch is unpacked once
    anyway, since it is kept for a while. What cannot be read is nothing here: who asks for one place then sees why.
    """

    def __init__(
        self,
        places: Sequence[PlannedPlace],
        reading: Callable[[Sequence[PlannedPlace]], Sequence[Pixels]],
        ahead: Ahead = HERE,
        passed: Callable[[PlannedPlace, Pixels], None] | None = None,
    ) -> None:
        """Begin to read; `passed` is called with the last place of a group once that is taken, and with its pixels."""
        self._reading, self._found, self._passed = reading, dict[str, Pixels](), passed
        self.most = ahead.groups
        """How many groups are read ahead."""
        step = ahead.places
        self._groups = deque(places[k : k + step] for k in range(0, len(places), step))
        self._ahead = deque[tuple[Sequence[PlannedPlace], Future[dict[str, Pixels]]]]()
        self.then: Callable[[], None] | None = None
        """Called when there is room to read something else: nothing is left to be begun here."""
        self._begin()

    @property
    def left(self) -> int:
        """Groups that nobody has asked for yet."""
        return len(self._ahead) + len(self._groups)

    def pop(self, place: PlannedPlace) -> Pixels | None:
        """The pixels of a place, once; None if they could not be read. Places are asked for in their order.

        Raises
        ------
        RecipeChanged
            If a remote file is not what it was.
        """
        if self._ahead and any(place.poi.id == each.poi.id for each in self._ahead[0][0]):
            some, reading = self._ahead.popleft()
            self._found = reading.result()
            self._begin()
            if self._passed is not None and some[-1].poi.id in self._found:
                self._passed(some[-1], self._found[some[-1].poi.id])
            if self.left < self.most and self.then is not None:
                self.then()
        return self._found.pop(place.poi.id, None)

    def _begin(self) -> None:
        """Begin to read the next ones."""
        while self._groups and len(self._ahead) < self.most:
            some = self._groups.popleft()
            self._ahead.append((some, current().resource(_Ahead).submit(self._read, some)))

    def _read(self, places: Sequence[PlannedPlace]) -> dict[str, Pixels]:
        try:
            return dict(zip([place.poi.id for place in places], self._reading(places), strict=True))
        except RecipeChanged:
            raise
        except (NutonicError, OSError, RuntimeError, ValueError):
            return {}


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch whose pixels are being read."""

    first: Together
    files: RemoteFiles
    """What its remote files were."""

    @property
    def left(self) -> int:
        """Groups of places that nobody works on yet."""
        return self.first.left

    @property
    def most(self) -> int:
        """How many such groups, of all batches together, are read ahead."""
        return self.first.most


def read_together(
    places: Sequence[PlannedPlace], sources: AnySources, grid: Grid, files: RemoteFiles | None = None
) -> Together:
    """Pixels of all places from their common best scene; each block is read once.

    What fails is not there. The caller then reads place by place, which shows the place that fails.
    """
    opened = cache(lambda: _opened(places, places[0].imagery[0], sources, grid))

    def reading(some: Sequence[PlannedPlace]) -> list[Pixels]:
        return read(some, some[0].imagery[0], sources, grid, files, opened)

    is_far = bool(places) and _readers(places, places[0].imagery[0]) is _Readers
    return Together(places, reading, FAR if is_far else HERE, _pass_by)


def _pass_by(place: PlannedPlace, pixels: Pixels) -> None:
    """Leave behind what lies before the last square that was taken: places come in the order of their scene's blocks.

    Not so of labels, whose blocks lie otherwise.
    """
    placings = {asset.href: placed(asset, pixels.geobox) for asset in place.imagery[0].pictured}
    current().rasters.pass_by({href: (row // times, col // times) for href, (row, col, times) in placings.items()})


def read(
    places: Sequence[PlannedPlace],
    scene: Scene,
    sources: AnySources,
    grid: Grid,
    files: RemoteFiles | None = None,
    opened: Callable[[], OpenCube] | None = None,
) -> list[Pixels]:
    """Pixels of places from one scene: one lazy cube without chunks, sliced per place.

    Parameters
    ----------
    files
        What remote files were when they were planned, or first read; what is read is added.
    opened
        Gives a cube that holds these places and others; by default one is opened for them.

    Raises
    ------
    RecipeChanged
        If a remote file is not what it was.
    ReadFailed
        If one changed while it was read: what is there now may be read another time.
    """
    files = RemoteFiles(None) if files is None else files
    with seeing() as seen:
        try:
            cube = _opened(places, scene, sources, grid) if opened is None else opened()
            pixels = _read(places, scene, cube, grid, _readers(places, scene))
        except (NutonicError, OSError, RuntimeError, ValueError):
            # What cannot be used as it was planned may be another file: then it is no fault of its scene.
            files.refuse(by_key(seen.opened) | _versions(scene, sources, files))
            raise
    remote = by_key(seen.read) | versions_of(scene, sources.imagery)  # asked afterwards: so it was while it was read
    files.refuse(remote)
    if seen.mixed:
        raise ReadFailed(f"{short_name(key_of(min(seen.mixed)))} changed while it was read")
    files.add(remote)
    return [replace(each, remote=remote) for each in pixels]


def _versions(scene: Scene, sources: AnySources, files: RemoteFiles) -> dict[str, RemotePin]:
    """What a scene that could not be read is now, where it is known what it was, and anybody tells."""
    if any(map(files.knows, map(key_of, remote_hrefs([scene])))):
        with suppress(SourceError):
            return versions_of(scene, sources.imagery)
    return {}


@dataclass(frozen=True, slots=True)
class OpenCube:
    """The lazy cube of a scene over some places, and its grid."""

    whole: GeoBox
    cube: xr.Dataset


def _opened(places: Sequence[PlannedPlace], scene: Scene, sources: AnySources, grid: Grid) -> OpenCube:
    whole = scene_grid(scene, [_square(place, scene, grid) for place in places])
    scenes = ((scene,), places[0].labels)[: len(sources)]
    # Without chunks arrays stay lazily indexed until they are sliced, and only these pixels are read.
    return OpenCube(whole, open_scene(whole, sources, scenes=scenes, chunks=(None,) * len(sources)))


def _square(place: PlannedPlace, scene: Scene, grid: Grid) -> GeoBox:
    return place_grid(place.poi.lon, place.poi.lat, scene, grid)


def _read(
    places: Sequence[PlannedPlace], scene: Scene, opened: OpenCube, grid: Grid, readers: _Reading
) -> list[Pixels]:
    whole, cube, squares = opened.whole, opened.cube, [_square(place, scene, grid) for place in places]
    windows = [tuple(window_in(whole, square).values()) for square in squares]
    lazy = [{str(name): cube.variables[name][window] for name in cube.data_vars} for window in windows]
    return [Pixels(geobox=square, bands=bands) for square, bands in zip(squares, _loaded(lazy, readers), strict=True)]


class _Ahead(SessionThreads):
    """Threads that see to what is read ahead; as :class:`_Readers` they are kept, and each waits for some of these."""

    def __init__(self) -> None:
        super().__init__(READERS)


class _Readers(SessionThreads):
    """The threads that read, kept for as long as their session: in each new one PROJ opens its database again."""

    def __init__(self) -> None:
        super().__init__(READERS)


class _Here:
    """Who reads at once, in the thread that asks."""

    def submit(self, function: Callable[[xr.Variable], np.ndarray], part: xr.Variable) -> Future[np.ndarray]:
        """What a function gives; raises what it raises."""
        done = Future[np.ndarray]()
        done.set_result(function(part))
        return done


_Reading = Callable[[], _Readers | _Here]

#: How the names of local files end that are decoded in other processes; one that is called otherwise takes longer.
_WAITED_FOR = (".jp2", ".j2k", ".jpx")


def _readers(places: Sequence[PlannedPlace], scene: Scene) -> _Reading:
    """Who reads places of a scene: many, where they wait for a server, or for what decodes JPEG 2000 in other processes.

    Where all they would do is to decode, it is the thread that reads ahead: several wait for one lock of Python's, which
    took a tenth to a fifth of a build's CPU.
    """
    scenes = dict.fromkeys((scene, *(labels for place in places for labels in place.labels)))
    hrefs = [asset.href.lower() for each in scenes for asset in each.assets]
    if any("://" in href or href.endswith(_WAITED_FOR) for href in hrefs):
        return _Readers
    return _Here


def _loaded(lazy: Sequence[Mapping[str, xr.Variable]], readers: _Reading = _Readers) -> list[dict[str, np.ndarray]]:
    """Pixels of lazy variables: those without chunks each by itself, those of a graph together."""
    threads = current().resource(readers)
    graphs = [{name: part.data for name, part in bands.items() if dask.base.is_dask_collection(part)} for bands in lazy]
    pending = [
        {name: threads.submit(np.asarray, part) for name, part in bands.items() if name not in graph}
        for bands, graph in zip(lazy, graphs, strict=True)
    ]
    try:
        computed = _computed(graphs)
        found = [
            {name: each.result() for name, each in bands.items()} | others
            for bands, others in zip(pending, computed, strict=True)
        ]
    finally:
        _end(each for bands in pending for each in bands.values())
    return [{name: bands[name] for name in order} for bands, order in zip(found, lazy, strict=True)]


def _end(reading: Iterable[Future[np.ndarray]]) -> None:
    """Wait for what has begun; after an error, what has not would fail as well, after its retries."""
    wait([each for each in reading if not each.cancel()])


def _computed(graphs: Sequence[dict[str, da.Array]]) -> Sequence[dict[str, np.ndarray]]:
    """Pixels of arrays with chunks, all in one graph."""
    if not any(graphs):
        return [{} for _ in graphs]
    with SessionThreads(READERS) as threads:
        try:
            # The scheduler is given as a function, since dask imports distributed to resolve the name "threads".
            return list(dask.base.compute(graphs, scheduler=dask.threaded.get, pool=threads)[0])
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
