"""Lazy datasets on one grid: one scene of each source, or an area over time.

A build and a notebook open the same; a tile of it is just a smaller grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import rioxarray  # noqa: F401
import xarray as xr
from odc.geo.geobox import GeoBox

import nutonic.cube.accessor  # noqa: F401  registers cube.nutonic
from nutonic.core.areas import Area
from nutonic.core.grid import centre, check_aligned
from nutonic.core.model import Scene, Step, Timeline
from nutonic.core.times import Interval, as_interval
from nutonic.cube.search import LEFT_OUT, SCENES, CubePlan, _instant, _rows, search
from nutonic.errors import InputError, NoScene
from nutonic.recipe.outputs import Grid
from nutonic.sources.grids import place_grid
from nutonic.sources.source import Source, TimedSource, with_dates


def open_scene(
    area: GeoBox | tuple[float, float],
    sources: Sequence[Source],
    *,
    time: Interval | str | None = None,
    grid: Grid | None = None,
    scenes: Sequence[Sequence[Scene]] | None = None,
    chunks: int | Sequence[int | None] = 512,
) -> xr.Dataset:
    """Open the best scene of several sources as one lazy dataset on one grid.

    Parameters
    ----------
    area
        A grid; or longitude and latitude of a place, around which a square is drawn on the lattice of the best scene
        that the first source has there.
    sources
        For instance a :class:`StacSource` and a :class:`RasterSource`.
    time
        ``start/end``, both included, for the search; all time by default.
    grid
        Extent, resolution and lattice of the square around a place; a :class:`nutonic.recipe.Grid`.
    scenes
        What a search settled before, one sequence per source; by default each source is searched now.
    chunks
        Side of the cube's square chunks, in pixels. Or one per source, where None leaves a source lazily indexed: to be
        sliced first and chunked after.

    Returns
    -------
    xarray.Dataset
        Dims ``(y, x)``, one variable per band of each source, coordinates of pixel centres that are bitwise equal for
        all of them, ``.rio`` and ``.odc`` accessors working; nothing read yet. It knows what it is made of as a step of
        :func:`open_cube` does: ``time`` and ``cloud_cover`` (percent) are its scene's, ``cube.nutonic.scenes`` is the
        table of all that is read, ``cube.nutonic.left_out`` of the scenes that rank after it.

    Raises
    ------
    NoScene
        If a source has nothing for this place and time.
    NotAligned, OffLattice
        If a source cannot be opened on the grid without resampling what must not be resampled.
    """
    period = as_interval(time)
    if not isinstance(area, GeoBox):
        lon, lat = area
        settings = grid or Grid()
        scenes = scenes or _search(lon, lat, settings.extent_m, sources, period)
        area = place_grid(lon, lat, scenes[0][0], settings)
    elif scenes is None:
        lon, lat = centre(area)
        scenes = _search(lon, lat, max(area.extent.boundingbox.span_x, area.extent.boundingbox.span_y), sources, period)
    scenes = with_dates(sources, scenes, period)
    per_source = [chunks] * len(sources) if isinstance(chunks, int) else chunks
    parts = [
        source.open(area, found, chunks=size) for source, found, size in zip(sources, scenes, per_source, strict=True)
    ]
    cube, plan = _merged(parts, area), CubePlan(geobox=area, timelines=_of_one_step(sources, scenes))
    return _over_time(cube, plan).squeeze("time") if plan.time.size else _over_time(cube, plan)


def _merged(parts: Sequence[xr.Dataset], geobox: GeoBox) -> xr.Dataset:
    """The parts of all sources in one, each of them on exactly this grid."""
    for part in parts:
        check_aligned(part, geobox)
    return xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts")


def _of_one_step(sources: Sequence[Source], scenes: Sequence[Sequence[Scene]]) -> tuple[Timeline, ...]:
    """What is read of each source: the best scene of one with a time axis, all of another; one time for all of them."""
    timed = [isinstance(source, TimedSource) for source in sources]
    when = next((found[0].datetime for found, is_timed in zip(scenes, timed, strict=True) if is_timed), None)
    timelines = []
    for found, is_timed in zip(scenes, timed, strict=True):
        used = tuple(found[:1] if is_timed else found)
        left_out = tuple((scene.id, f"ranks after {used[0].id}") for scene in found[len(used) :])
        timelines.append(Timeline(steps=(Step(time=when if is_timed else None, scenes=used),), left_out=left_out))
    return tuple(timelines)


def _search(
    lon: float, lat: float, extent_m: float, sources: Sequence[Source], time: Interval | None
) -> list[tuple[Scene, ...]]:
    found = [source.search(np.array([lon]), np.array([lat]), extent_m, time)[0] for source in sources]
    for source, scenes in zip(sources, found, strict=True):
        if not scenes:
            raise NoScene(f"{source} has no scene at longitude {lon}, latitude {lat} in {time or 'any time'}")
    return found


def open_cube(
    area: Area | CubePlan,
    sources: Sequence[Source],
    *,
    time: Interval | str | None = None,
    chunks: int = 1024,
    warp: bool = True,
) -> xr.Dataset:
    """Open several sources over an area and time as one lazy cube.

    Parameters
    ----------
    area
        As of :func:`nutonic.area_grid`: a grid, bounds, GeoJSON or a place; or what :func:`search` found.
    sources
        For instance a :class:`StacSource` for imagery and a :class:`RasterSource` for land cover.
    time
        ``start/end``, both included; all time by default.
    chunks
        Side of the square chunks in pixels: the tiles that are computed one by one. A multiple of the files' blocks
        (1024 in Earth Search, 512 in the Planetary Computer) reads each block just once.
    warp
        Whether scenes of other zones are read by nearest neighbour, or left out; as of :func:`search`.

    Returns
    -------
    xarray.Dataset
        Imagery with dims ``(time, y, x)`` and land cover with ``(y, x)``, one variable per band; coordinates are pixel
        centres, bitwise the grid's, time is UTC. ``cloud_cover`` (percent) lies along time; ``.rio`` and ``.odc`` work,
        and ``cube.nutonic.scenes`` is the table of what it is made of. Nothing is read yet.

    Raises
    ------
    NoScene
        If a source has nothing there.
    InputError
        If two sources have a band of the same name, or none is given.
    """
    _refuse_clash(sources)
    if chunks < 1:
        raise InputError(f"chunks is {chunks}: give the side of tiles in pixels, such as 1024")
    plan = area if isinstance(area, CubePlan) else search(area, sources, time=time, warp=warp)
    times = plan.time
    parts = [_opened(*pair, plan.geobox, times, chunks) for pair in zip(sources, plan.timelines, strict=True)]
    for part in parts:
        check_aligned(part, plan.geobox)
    return _over_time(xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts"), plan)


def _over_time(cube: xr.Dataset, plan: CubePlan) -> xr.Dataset:
    """A cube that knows what it is made of: time and clouds as coordinates, its scenes in its attributes."""
    times = plan.time
    if times.size:
        cube = cube if "time" in cube.dims else cube.assign_coords(time=times)
        cube = cube.assign_coords(cloud_cover=("time", _cloud_cover(plan, times), {"units": "percent"}))
    rows = [row for timeline in plan.timelines for row in _rows(timeline, plan.geobox)]
    left_out = [list(pair) for timeline in plan.timelines for pair in timeline.left_out]
    return cube.assign_attrs({SCENES: _json(rows), LEFT_OUT: _json(left_out)})


def _opened(source: Source, timeline: Timeline, grid: GeoBox, times: np.ndarray, chunk: int) -> xr.Dataset:
    """A source's part: over all times, or without any."""
    if timeline.steps[0].time is None:
        return source.open(grid, timeline.steps[0].scenes, chunks=chunk)
    assert isinstance(source, TimedSource)
    by_time: dict[np.datetime64, tuple[Scene, ...]] = {}
    for step in timeline.steps:
        when = _instant(step.time)
        by_time[when] = (*by_time.get(when, ()), *step.scenes)
    return source.cube(grid, times, [by_time.get(when, ()) for when in times], chunk=chunk)


def _refuse_clash(sources: Sequence[Source]) -> None:
    names = Counter(band.name for source in sources for band in source.bands)
    twice = [name for name, count in names.items() if count > 1]
    if twice or not names:
        said = f"two sources have a band {twice[0]!r}: open them apart" if twice else "no source is given"
        raise InputError(said)


def _cloud_cover(plan: CubePlan, times: np.ndarray) -> np.ndarray:
    """(steps,) float64: the mean of what a step's scenes say, NaN where none does."""
    said: dict[np.datetime64, list[float]] = {when: [] for when in times}
    for timeline in plan.timelines:
        for step in timeline.steps:
            known = [scene.cloud_cover for scene in step.scenes if scene.cloud_cover is not None]
            if step.time is not None:
                said[_instant(step.time)] += known
    return np.array([np.mean(values) if values else np.nan for values in said.values()])


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
