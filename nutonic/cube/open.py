"""Lazy datasets on one grid: one scene of each source, or an area over time.

Builds and notebooks open the same datasets; to open one tile, give its smaller grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import orjson
import rioxarray  # noqa: F401
import xarray as xr
from odc.geo.geobox import GeoBox

import nutonic.cube.accessor  # noqa: F401  registers cube.nutonic
from nutonic.core.areas import Area
from nutonic.core.grid import centre, check_aligned
from nutonic.core.model import Scene, Step, Timeline
from nutonic.core.times import Interval, Time, as_interval
from nutonic.cube.search import LEFT_OUT, ON_DAMAGE, SCENES, CubePlan, Records, as_sources, instant, scene_rows, search
from nutonic.errors import InputError, NoScene
from nutonic.io.session import current
from nutonic.recipe.outputs import Grid
from nutonic.sources.grids import place_grid
from nutonic.sources.item import Unusable, with_unusable
from nutonic.sources.missing import why_not
from nutonic.sources.mosaic import naming_item, without_damage
from nutonic.sources.source import Source, TimedSource, with_dates


def open_scene(
    area: GeoBox | tuple[float, float],
    sources: Sequence[Source] | Source,
    *,
    time: Time = None,
    grid_settings: Grid | None = None,
    scenes: Sequence[Sequence[Scene]] | None = None,
    chunks: int | Sequence[int | None] | None = 512,
) -> xr.Dataset:
    """Open the best scene of several sources as one lazy dataset on one grid.

    Parameters
    ----------
    area
        A GeoBox; or longitude and latitude of a place, around which a square is drawn on the lattice of the first
        source's best scene.
    sources
        For instance a :class:`StacSource` and a :class:`RasterSource`.
    time
        As of :func:`nutonic.core.times.as_interval`: ``"2024-06"``, ``"2024-04-01/.."``, two dates, …; all time by default.
    grid_settings
        Extent, resolution and lattice of the square around a place, such as ``recipe.grid``. A GeoBox needs none.
    scenes
        The result of an earlier search, one sequence per source; by default each source is searched now.
    chunks
        Side of the cube's square chunks, in pixels; or one side per source. None leaves all, or a source, without chunks but
        lazy, to be sliced first and chunked afterwards.

    Returns
    -------
    xarray.Dataset
        Dims ``(y, x)`` and one variable per band of each source. All share the same coordinates of pixel centres, and the
        accessors ``.rio`` and ``.odc`` work. No pixel is read yet. As in a step of :func:`open_cube`, ``time`` and
        ``cloud_cover`` (percent) are the scene's, ``cube.nutonic.scenes`` is a table of all scenes that are read, and
        ``cube.nutonic.left_out`` a table of the scenes that rank lower.

    Raises
    ------
    NoScene
        If a source has no scene for this place and time.
    NotAligned, OffLattice
        If a source cannot be opened on the grid without resampling what must not be resampled.
    """
    period, sources = as_interval(time), as_sources(sources)
    if not isinstance(area, GeoBox):
        lon, lat = _point_of(area)
        settings = grid_settings or Grid()
        scenes = scenes or _search(lon, lat, settings.extent_m, sources, period)
        area = place_grid(lon, lat, scenes[0][0], settings)
    elif scenes is None:
        lon, lat = centre(area)
        scenes = _search(lon, lat, max(area.extent.boundingbox.span_x, area.extent.boundingbox.span_y), sources, period)
    scenes = with_dates(sources, scenes, period)
    per_source = [chunks] * len(sources) if chunks is None or isinstance(chunks, int) else chunks
    parts = _opened(area, sources, scenes, per_source)
    cube, plan = _merged(parts, area), CubePlan(geobox=area, timelines=_one_step_timelines(sources, scenes))
    return _with_provenance(cube, plan).squeeze("time") if plan.time.size else _with_provenance(cube, plan)


def _opened(
    area: GeoBox, sources: Sequence[Source], scenes: Sequence[Sequence[Scene]], chunks: Sequence[int | None]
) -> list[xr.Dataset]:
    """Each source's scenes on a grid; of a source with times with the name of the item that is read first."""
    parts = [
        source.open(area, candidates, chunks=size)
        for source, candidates, size in zip(sources, scenes, chunks, strict=True)
    ]
    return [
        naming_item(part, found[0].id) if isinstance(source, TimedSource) else part
        for part, source, found in zip(parts, sources, scenes, strict=True)
    ]


def _point_of(place: Any) -> tuple[float, float]:
    """Longitude and latitude of a place: two numbers, or what has them as ``x`` and ``y``, such as a point of shapely."""
    point = (place.x, place.y) if hasattr(place, "x") and hasattr(place, "y") else place
    try:
        lon, lat = map(float, point)
    except (TypeError, ValueError):
        raise TypeError(
            f"{place!r:.60} is no place: give (longitude, latitude) in degrees, or a GeoBox; larger areas are for open_cube"
        ) from None
    return lon, lat


def _merged(parts: Sequence[xr.Dataset], geobox: GeoBox) -> xr.Dataset:
    """The datasets of all sources in one, each of them on exactly this grid."""
    for part in parts:
        check_aligned(part, geobox)
    return xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts")


def _one_step_timelines(sources: Sequence[Source], scenes: Sequence[Sequence[Scene]]) -> tuple[Timeline, ...]:
    """The scenes that are read of each source, all at one time.

    Of a source with a time axis it is the best scene; of a source without one it is all scenes.
    """
    timed = [isinstance(source, TimedSource) for source in sources]
    time = next((candidates[0].datetime for candidates, is_timed in zip(scenes, timed, strict=True) if is_timed), None)
    timelines = []
    for candidates, is_timed in zip(scenes, timed, strict=True):
        selected = tuple(candidates[:1] if is_timed else candidates)
        left_out = tuple((scene.id, f"ranks after {selected[0].id}") for scene in candidates[len(selected) :])
        timelines.append(Timeline(steps=(Step(time=time if is_timed else None, scenes=selected),), left_out=left_out))
    return tuple(timelines)


def _search(
    lon: float, lat: float, extent_m: float, sources: Sequence[Source], time: Interval | None
) -> list[tuple[Scene, ...]]:
    unusable = current().resource(Unusable)
    unusable.take()  # what is left of other searches
    found = [source.search(np.array([lon]), np.array([lat]), extent_m, time) for source in sources]
    for source, scenes in zip(sources, found, strict=True):
        if not scenes[0]:
            position = f"longitude {lon}, latitude {lat}"
            message = f"{source} has no scene at {position} in {time or 'any time'}{why_not(scenes, 0)}"
            raise NoScene(with_unusable(message, unusable.take()))
    return [scenes[0] for scenes in found]


def open_cube(
    area: Area | CubePlan,
    sources: Sequence[Source] | Source,
    *,
    time: Time = None,
    chunks: int = 1024,
    warp: bool = True,
    on_damage: Literal["raise", "skip"] = "raise",
) -> xr.Dataset:
    """Open several sources over an area and time as one lazy cube.

    Parameters
    ----------
    area
        As in :func:`nutonic.area_grid`: a GeoBox, bounds, GeoJSON or a place; or a plan of :func:`search`.
    sources
        For instance a :class:`StacSource` for imagery and a :class:`RasterSource` for land cover.
    time
        As of :func:`nutonic.core.times.as_interval`: ``"2024-06"``, ``"2024-04-01/.."``, two dates, …; all time by default.
    chunks
        Side of the square chunks, in pixels. These are the tiles that are computed one by one. If it is a multiple of the
        side of the files' blocks (1024 in Earth Search, 512 in the Planetary Computer), each block is read just once. A tile
        of a step is a task and costs about a millisecond however small it is, so small tiles of a long series take long.
    warp
        Whether scenes of other zones are read by nearest neighbour; otherwise they are left out. As in :func:`search`.
    on_damage
        What becomes of a tile whose file is missing or damaged. ``"raise"``: its computation ends, with an error that names
        the item. ``"skip"``: the item is left out of the tile, which another of the same step may fill and which else is
        nodata; each is told in a :class:`nutonic.errors.DamageSkipped`, and the cube's attribute ``nutonic_on_damage`` says
        so. A server that does not answer, and land cover without a time axis, end it all the same.

    Returns
    -------
    xarray.Dataset
        Imagery with dims ``(time, y, x)`` and land cover with dims ``(y, x)``, one variable per band. Coordinates are the
        grid's pixel centres and times in UTC; ``cloud_cover`` (percent) is a coordinate along time. ``.rio`` and ``.odc``
        work, and ``cube.nutonic.scenes`` is a table of the cube's scenes. No pixel is read yet.

    Raises
    ------
    NoScene
        If a source has no scene there.
    InputError
        If two sources have a band of the same name, if no source is given, if `chunks` is below 1, or `on_damage` unknown.
    """
    sources = as_sources(sources)
    _refuse_clash(sources)
    if not isinstance(chunks, int | np.integer) or chunks < 1:
        raise InputError(f"chunks is {chunks!r:.40}: give the side of tiles in pixels, such as 1024")
    if on_damage not in ("raise", "skip"):
        raise InputError(f"on_damage is {on_damage!r:.40}: give 'raise' or 'skip'")
    plan = area if isinstance(area, CubePlan) else search(area, sources, time=time, warp=warp)
    times = plan.time
    parts = [_open_part(*pair, plan.geobox, times, chunks) for pair in zip(sources, plan.timelines, strict=True)]
    cube = _with_provenance(_merged(parts, plan.geobox), plan)
    return _without_damage(cube) if on_damage == "skip" else cube


def _without_damage(cube: xr.Dataset) -> xr.Dataset:
    """A cube whose variables over time leave out what is damaged, and which says so."""
    timed = {name: variable for name, variable in cube.data_vars.items() if "time" in variable.dims}
    skipping = {name: variable.copy(data=without_damage(variable.data)) for name, variable in timed.items()}
    return cube.assign(skipping).assign_attrs({ON_DAMAGE: "skip"})


def _with_provenance(cube: xr.Dataset, plan: CubePlan) -> xr.Dataset:
    """A cube with its times and cloud covers as coordinates, and its scenes in its attributes."""
    times = plan.time
    if times.size:
        cube = cube if "time" in cube.dims else cube.assign_coords(time=times)
        cube = cube.assign_coords(cloud_cover=("time", _cloud_cover(plan, times), {"units": "percent"}))
    rows = [row for timeline in plan.timelines for row in scene_rows(timeline, plan.geobox)]
    left_out = [list(pair) for timeline in plan.timelines for pair in timeline.left_out]
    return cube.assign_attrs({SCENES: _json(rows), LEFT_OUT: _json(left_out)})


def _open_part(source: Source, timeline: Timeline, geobox: GeoBox, times: np.ndarray, chunks: int) -> xr.Dataset:
    """One source's variables: over all times, or without a time axis."""
    if timeline.steps[0].time is None:
        return source.open(geobox, timeline.steps[0].scenes, chunks=chunks)
    assert isinstance(source, TimedSource)
    by_time: dict[np.datetime64, tuple[Scene, ...]] = {}
    for step in timeline.steps:
        time = instant(step.time)
        by_time[time] = (*by_time.get(time, ()), *step.scenes)
    return source.cube(geobox, times, [by_time.get(time, ()) for time in times], chunks=chunks)


def _refuse_clash(sources: Sequence[Source]) -> None:
    names = Counter(band.name for source in sources for band in source.bands)
    twice = [name for name, count in names.items() if count > 1]
    if twice or not names:
        problem = f"two sources have a band {twice[0]!r}: open them apart" if twice else "no source is given"
        raise InputError(problem)


def _cloud_cover(plan: CubePlan, times: np.ndarray) -> np.ndarray:
    """The mean cloud cover of each step's scenes: (steps,) float64, percent, NaN where no scene reports any."""
    percents: dict[np.datetime64, list[float]] = {time: [] for time in times}
    for timeline in plan.timelines:
        for step in timeline.steps:
            reported = [scene.cloud_cover for scene in step.scenes if scene.cloud_cover is not None]
            if step.time is not None:
                percents[instant(step.time)] += reported
    return np.array([np.mean(values) if values else np.nan for values in percents.values()])


def _json(value: Any) -> Records:
    return Records(orjson.dumps(value).decode())
