"""Areas over time as one lazy cube: what several sources have there, on one grid and one time axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import rioxarray  # noqa: F401  registers the .rio accessor that cubes promise
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.areas import Area, area_grid
from nutonic.errors import InputError, NoScene
from nutonic.grid import check_aligned, epsg, lonlat_bounds
from nutonic.model import Json, Scene, Step, Timeline
from nutonic.sources.base import Source, TimedSource
from nutonic.sources.stacking import fits

#: Where a cube tells of its scenes, as JSON, so that files keep it.
SCENES, LEFT_OUT = "nutonic_scenes", "nutonic_left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class CubePlan:
    """A cube before it is opened: its grid, and what every source has there."""

    grid: GeoBox
    timelines: tuple[Timeline, ...]
    """Of each source."""

    def on(self, grid: GeoBox) -> CubePlan:
        """The same scenes on another grid, such as a tile's."""
        return replace(self, grid=grid)

    @property
    def time(self) -> np.ndarray:
        """(steps,) datetime64[ns], UTC: the times of all sources that have any, sorted."""
        times = {step.time for timeline in self.timelines for step in timeline.steps if step.time is not None}
        return np.array(sorted(map(_instant, times)), "datetime64[ns]")

    @property
    def scenes(self) -> pd.DataFrame:
        """One row per scene, in order of source, time and mosaic; numbered from 1 in each source."""
        return _table([row for timeline in self.timelines for row in _rows(timeline, self.grid)])

    @property
    def left_out(self) -> pd.DataFrame:
        """Scenes that were found and are not used, and why."""
        rows = [{"id": name, "why": why} for timeline in self.timelines for name, why in timeline.left_out]
        return pd.DataFrame(rows, columns=["id", "why"])

    def __str__(self) -> str:
        """The plan in a few lines."""
        return "\n".join(_described(self.grid, self.scenes, self.left_out))


def search(area: Area, sources: Sequence[Source], *, time: str | None = None, warp: bool = True) -> CubePlan:
    """Find what several sources have over an area; metadata only.

    Parameters
    ----------
    area
        As of :func:`nutonic.area_grid`: a grid, bounds, GeoJSON or a place.
    sources
        For instance a :class:`StacSource` and a :class:`RasterSource`.
    time
        ``start/end``, both included; all time by default.
    warp
        Whether scenes whose pixels are not the grid's, such as those of another UTM zone, are read by nearest neighbour;
        otherwise they are left out, and `CubePlan.left_out` says so.

    Raises
    ------
    NoScene
        If a source has nothing there.
    """
    grid = area_grid(area)
    found = [source.timeline(grid, time) for source in sources]
    if not warp:
        found = [_native(timeline, grid) for timeline in found]
    for source, timeline in zip(sources, found, strict=True):
        if not timeline.steps:
            west, south, east, north = lonlat_bounds(grid)
            where = f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"
            why = Counter(why for _, why in timeline.left_out).most_common(1)
            raise NoScene(
                f"no scene of {getattr(source, 'collection', source)} at {where} in {time or 'any time'}"
                + (f"; {len(timeline.left_out)} left out: {why[0][0]}" if why else "")
            )
    return CubePlan(grid=grid, timelines=tuple(found))


def open_cube(
    area: Area | CubePlan,
    sources: Sequence[Source],
    *,
    time: str | None = None,
    chunk: int = 1024,
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
    chunk
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
    if chunk < 1:
        raise InputError(f"chunk is {chunk}: give the side of tiles in pixels, such as 1024")
    plan = area if isinstance(area, CubePlan) else search(area, sources, time=time, warp=warp)
    times = plan.time
    parts = [_opened(*pair, plan.grid, times, chunk) for pair in zip(sources, plan.timelines, strict=True)]
    for part in parts:
        check_aligned(part, plan.grid)
    cube = xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts")
    if times.size:
        cube = cube.assign_coords(cloud_cover=("time", _cloud_cover(plan, times), {"units": "percent"}))
    rows = [row for timeline in plan.timelines for row in _rows(timeline, plan.grid)]
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


def _native(timeline: Timeline, grid: GeoBox) -> Timeline:
    """A timeline without scenes whose first asset is not on the grid; those without a time axis are left as they are."""
    steps, left_out = [], list(timeline.left_out)
    for step in timeline.steps:
        kept = tuple(scene for scene in step.scenes if step.time is None or fits(scene.assets[0], grid))
        left_out += [(scene.id, f"is in {scene.assets[0].crs}") for scene in step.scenes if scene not in kept]
        if kept:
            steps.append(Step(time=step.time and _earliest(kept), scenes=kept))
    return Timeline(steps=tuple(steps), left_out=tuple(left_out))


def _earliest(scenes: Sequence[Scene]) -> str:
    return min(scene.datetime or "" for scene in scenes)


def _instant(text: str | None) -> np.datetime64:
    """A time of a step as numpy has it: UTC, without saying so."""
    return np.datetime64(str(text).removesuffix("Z"), "ns")


def _cloud_cover(plan: CubePlan, times: np.ndarray) -> np.ndarray:
    """(steps,) float64: the mean of what a step's scenes say, NaN where none does."""
    said: dict[np.datetime64, list[float]] = {when: [] for when in times}
    for timeline in plan.timelines:
        for step in timeline.steps:
            known = [scene.cloud_cover for scene in step.scenes if scene.cloud_cover is not None]
            if step.time is not None:
                said[_instant(step.time)] += known
    return np.array([np.mean(values) if values else np.nan for values in said.values()])


# The plan of a cube, told


def _rows(timeline: Timeline, grid: GeoBox) -> Iterator[Json]:
    number = 0
    for step in timeline.steps:
        for scene in step.scenes:
            number += 1
            yield {
                "number": None if step.time is None else number,
                "step": step.time,
                "id": scene.id,
                "collection": scene.collection,
                "datetime": scene.datetime,
                "cloud_cover": scene.cloud_cover,
                "crs": scene.assets[0].crs if scene.assets else None,  # what Earth Engine makes has none
                "warped": bool(scene.assets) and not fits(scene.assets[0], grid),
                "assets": {asset.name: asset.written for asset in scene.assets},
            }


def _table(rows: Sequence[Json]) -> pd.DataFrame:
    columns = ["number", "step", "id", "collection", "datetime", "cloud_cover", "crs", "warped", "assets"]
    table = pd.DataFrame(list(rows), columns=columns).astype({"number": "UInt16"})
    for name in ("step", "datetime"):
        table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601").dt.tz_localize(None)
    return table


def _described(grid: GeoBox, scenes: pd.DataFrame, left_out: pd.DataFrame) -> Iterator[str]:
    steps = scenes["step"].dropna()
    yield f"{grid.shape.y} × {grid.shape.x} pixels of {grid.affine.a:g} m in EPSG:{epsg(grid)}"
    if len(steps):
        yield f"{steps.nunique()} steps from {steps.min():%Y-%m-%d} to {steps.max():%Y-%m-%d}, {len(steps)} scenes"
    warped = Counter(scenes.loc[scenes["warped"], "crs"])
    for crs, count in warped.items():
        yield f"{count} of {crs} by nearest neighbour"
    for why, count in Counter(left_out["why"]).most_common(3):
        yield f"{count} left out, such as one that {why}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


@xr.register_dataset_accessor("nutonic")  # type: ignore[no-untyped-call]
class CubeAccessor:
    """What a cube knows of itself: ``cube.nutonic``."""

    def __init__(self, cube: xr.Dataset) -> None:
        self._cube = cube

    @property
    def grid(self) -> GeoBox:
        """Where its pixels lie."""
        grid: GeoBox = self._cube.odc.geobox
        return grid

    @property
    def scenes(self) -> pd.DataFrame:
        """One row per scene of the steps that the cube still has, and of sources without a time axis.

        Columns: ``number`` (what the variable ``scene`` holds; none without a time axis), ``step``, ``id``,
        ``collection``, ``datetime``, ``cloud_cover`` (percent), ``crs``, ``warped`` (read by nearest neighbour),
        ``assets`` (name to href without query).
        """
        table = _table(orjson.loads(self._cube.attrs.get(SCENES, "[]")))
        if "time" not in self._cube.coords:
            return table
        times = np.atleast_1d(self._cube["time"].values)
        return table[table["step"].isna() | table["step"].isin(times)].reset_index(drop=True)

    @property
    def left_out(self) -> pd.DataFrame:
        """Scenes that were found and are not used, and why."""
        return pd.DataFrame(orjson.loads(self._cube.attrs.get(LEFT_OUT, "[]")), columns=["id", "why"])

    def __repr__(self) -> str:
        return "\n".join(_described(self.grid, self.scenes, self.left_out))
