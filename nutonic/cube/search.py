"""Searches what several sources have over an area and time, in metadata alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson
import pandas as pd
from odc.geo.geobox import GeoBox

from nutonic.core.areas import Area, area_grid
from nutonic.core.grid import epsg, is_metric, lonlat_bounds
from nutonic.core.model import Json, Scene, Step, Timeline
from nutonic.core.showing import ShortRepr
from nutonic.core.times import Interval, Time, as_interval
from nutonic.core.units import counted
from nutonic.errors import InputError, NoScene
from nutonic.io.session import current
from nutonic.sources.grids import ROUNDING, is_native, is_whole, off_lattice
from nutonic.sources.item import Unusable, with_unusable
from nutonic.sources.passes import told_apart
from nutonic.sources.source import Source

#: Attributes of a cube that list its scenes as JSON, so that saved files have them too.
SCENES, LEFT_OUT = "nutonic_scenes", "nutonic_left_out"

#: The attribute of a cube in which what is damaged is nodata: it says ``skip``.
ON_DAMAGE = "nutonic_on_damage"


class Records(str):
    """Records as JSON, for attributes: whole in a file, and a few words where a cube is shown."""

    __slots__ = ()

    def __str__(self) -> str:
        count = len(orjson.loads(self.encode()))
        return f"{count}: see cube.nutonic" if count else "none"

    __repr__ = __str__


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CubePlan(ShortRepr):
    """A cube before it is opened: its grid, and what every source has there."""

    geobox: GeoBox
    timelines: tuple[Timeline, ...]
    """One per source."""

    def on(self, geobox: GeoBox) -> CubePlan:
        """The same scenes on another grid, such as a tile's."""
        return replace(self, geobox=geobox)

    @property
    def time(self) -> np.ndarray:
        """The times of all sources that have a time axis, sorted: (steps,) datetime64[ns], UTC."""
        times = {step.time for timeline in self.timelines for step in timeline.steps if step.time is not None}
        return np.array(sorted(map(instant, times)), "datetime64[ns]")

    @property
    def scenes(self) -> pd.DataFrame:
        """One row per scene, ordered by source, time and place in the mosaic; numbered from 1 in each source."""
        return scene_table([row for timeline in self.timelines for row in scene_rows(timeline, self.geobox)])

    @property
    def left_out(self) -> pd.DataFrame:
        """Scenes that the search gave and the cube does not use: their ``id``, and ``why``."""
        rows = [{"id": name, "why": why} for timeline in self.timelines for name, why in timeline.left_out]
        return pd.DataFrame(rows, columns=["id", "why"])

    def _facts(self) -> Json:
        time, (height, width) = self.time, self.geobox.shape
        days = " to ".join(np.datetime_as_string(time[[0, -1]], unit="D").tolist()) if time.size else "none"
        scenes = sum(len(step.scenes) for timeline in self.timelines for step in timeline.steps)
        left_out = sum(len(timeline.left_out) for timeline in self.timelines)
        grid = f"{height} × {width} of {self.geobox.affine.a:g} m in EPSG:{epsg(self.geobox)}"
        return {"geobox": grid, "steps": len(time), "time": days, "scenes": scenes, "left_out": left_out}

    def __str__(self) -> str:
        """The plan in a few lines."""
        first, *others = description_lines(self.geobox, self.scenes, self.left_out)
        return "\n".join([first, *_sizes(self), *others])


def as_sources(sources: Sequence[Source] | Source) -> list[Source]:
    """Sources as a list, of one alone too; TypeError for what is none, InputError where there is none."""
    several = isinstance(sources, Iterable) and not isinstance(sources, str)
    found: list[Source] = list(sources) if several else [sources]  # type: ignore[arg-type, list-item]
    strange = next((each for each in found if not isinstance(each, Source)), None)
    if strange is not None:
        raise TypeError(
            f"{strange!r:.60} is no source: give what nutonic.StacSource, nutonic.RasterSource and so on make, "
            "such as [imagery, labels]"
        )
    if not found:
        raise InputError("no source is given: give at least one, such as [imagery, labels]")
    return found


def search(area: Area, sources: Sequence[Source] | Source, *, time: Time = None, warp: bool = True) -> CubePlan:
    """Search what several sources have over an area; reads metadata only.

    Parameters
    ----------
    area
        As in :func:`nutonic.area_grid`: a GeoBox, bounds, GeoJSON or a place. All but a GeoBox get pixels of 10 m, however
        fine the scenes are: for others give what ``nutonic.area_grid(area, resolution=3, origin=(x, y))`` makes.
    sources
        For instance a :class:`StacSource` and a :class:`RasterSource`; one alone need not be in a list.
    time
        As of :func:`nutonic.core.times.as_interval`: ``"2024-06"``, ``"2024-04-01/.."``, two dates, …; all time by default.
    warp
        Whether scenes that do not lie on the grid's pixels, such as those of another UTM zone, are read by nearest
        neighbour; otherwise they are left out and listed in `CubePlan.left_out`.

    Raises
    ------
    NoScene
        If a source has no scene there.
    """
    sources = as_sources(sources)
    geobox, period = area_grid(area), as_interval(time)
    timelines = [_with_unusable(source, geobox, period) for source in sources]
    if not warp:
        timelines = [_native_only(timeline, geobox) for timeline in timelines]
    for source, timeline in zip(sources, timelines, strict=True):
        if not timeline.steps:
            west, south, east, north = lonlat_bounds(geobox)
            position = f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"
            reasons = Counter(reason for _, reason in timeline.left_out).most_common(1)
            left_out = f"{len(timeline.left_out)} left out: {reasons[0][0]}" if reasons else ""
            raise NoScene(
                f"no scene of {getattr(source, 'collection', source)} at {position} in {period or 'any time'}"
                + "".join(f"; {why}" for why in (timeline.why or left_out,) if why)
            )
    return CubePlan(geobox=geobox, timelines=tuple(timelines))


def _with_unusable(source: Source, geobox: GeoBox, time: Interval | None) -> Timeline:
    """A source's timeline, which also tells of what its search met that is no item."""
    unusable = current().resource(Unusable)
    unusable.take()  # what is left of other searches
    timeline, odd = source.timeline(geobox, time), unusable.take()
    why = timeline.why and with_unusable(timeline.why, odd)
    return replace(timeline, left_out=(*timeline.left_out, *odd), why=why)


def _native_only(timeline: Timeline, geobox: GeoBox) -> Timeline:
    """A timeline without the scenes whose first asset does not lie on the grid.

    Scenes of a source without a time axis all stay.
    """
    steps, left_out = [], list(timeline.left_out)
    for step in timeline.steps:
        native = tuple(scene for scene in step.scenes if step.time is None or _is_read(scene, geobox))
        others = [scene for scene in step.scenes if scene not in native]
        left_out += [(scene.id, off_lattice(scene.assets[0], geobox)) for scene in others]
        if native:
            steps.append(Step(time=step.time and _earliest(native), scenes=native) if others else step)
    return Timeline(steps=told_apart(steps), left_out=tuple(left_out))


def _is_read(scene: Scene, geobox: GeoBox) -> bool:
    """Whether a scene's pixels are a grid's, or each a whole number of them where its source repeats them."""
    first = scene.assets[0]
    return is_whole(first, geobox) if scene.source == "stac" else is_native(first, geobox)


def _earliest(scenes: Sequence[Scene]) -> str:
    return min(scene.datetime or "" for scene in scenes)


def instant(text: str | None) -> np.datetime64:
    """The time of a step as numpy holds it: in UTC, without an offset."""
    return np.datetime64(str(text).removesuffix("Z"), "ns")


# A plan as rows, as a table and as text


def _sizes(plan: CubePlan) -> Iterator[str]:
    """What becomes of pixels of another size than the grid's, in a line for each size."""
    bands: dict[float, dict[str, None]] = {}
    for timeline in plan.timelines:
        for scene in (scene for step in timeline.steps for scene in step.scenes):
            for asset in scene.assets:
                if is_metric(asset.crs):
                    bands.setdefault(round(abs(asset.transform[0]), 6), {})[asset.name] = None
    grid = plan.geobox.affine.a
    for side, names in sorted(bands.items()):
        times = grid / side
        told = f"{', '.join(names)} of {side:g} m"
        if times > 1 + ROUNDING:
            yield f"{told}: of {times**2:.3g} pixels the one that holds the grid's centre is taken, none are averaged"
        elif times < 1 - ROUNDING:
            yield f"{told}: each pixel is taken for {times**-2:.3g} of the grid's"


def scene_rows(timeline: Timeline, geobox: GeoBox) -> Iterator[Json]:
    """One row for each scene of a timeline, as JSON, with the columns of :func:`scene_table`."""
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
                "crs": scene.assets[0].crs if scene.assets else None,  # scenes of a service may have no assets
                "warped": bool(scene.assets) and not _is_read(scene, geobox),
                "assets": {asset.name: asset.written for asset in scene.assets},
            }


def scene_table(rows: Sequence[Json]) -> pd.DataFrame:
    """Rows of :func:`scene_rows` as a table; ``step`` and ``datetime`` are in UTC, without an offset."""
    columns = ["number", "step", "id", "collection", "datetime", "cloud_cover", "crs", "warped", "assets"]
    table = pd.DataFrame(list(rows), columns=columns).astype({"number": "UInt16"})
    for name in ("step", "datetime"):
        table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601").dt.tz_localize(None)
    return table


def description_lines(geobox: GeoBox, scenes: pd.DataFrame, left_out: pd.DataFrame) -> Iterator[str]:
    """A cube in a few lines of text: its pixels, its steps, its warped scenes, and why scenes are left out."""
    steps = scenes["step"].dropna()
    yield f"{geobox.shape.y} × {geobox.shape.x} pixels of {geobox.affine.a:g} m in EPSG:{epsg(geobox)}"
    if len(steps):
        times = f"{counted(steps.nunique(), 'step')} from {steps.min():%Y-%m-%d} to {steps.max():%Y-%m-%d}"
        yield f"{times}, {counted(len(steps), 'scene')}"
    warped = Counter(scenes.loc[scenes["warped"], "crs"])
    for crs, count in warped.items():
        beside = ", off the grid's lattice," if crs == f"EPSG:{epsg(geobox)}" else ""
        yield f"{count} of {crs}{beside} by nearest neighbour"
    for why, count in Counter(left_out["why"]).most_common(3):
        yield f"{count} left out: {why}"
