"""Items over an area as overpasses: each granule once, those of one satellite's pass together, in order of time."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Callable, Iterable

import shapely
from odc.geo.geobox import GeoBox

from nutonic.core.footprints import ground_of
from nutonic.core.globe import turned
from nutonic.core.grid import centre, crs_name
from nutonic.core.model import Scene, Step, Timeline
from nutonic.core.times import utc_text
from nutonic.sources.item import Item, moment

#: In the names of Sentinel-2 products: ``_R078_``, ``_T35MNM_``, and ``_S20200219T113105_`` of a datastrip.
_ORBIT, _TILE = re.compile(r"_R(\d{3})_"), re.compile(r"(?:^|_)T?(\d{2}[C-HJ-NP-X][A-Z]{2})(?:_|$)")
_SENSED = re.compile(r"_S(\d{8}T\d{6})_")


def timeline(items: Iterable[Item], geobox: GeoBox, scene: Callable[[Item], Scene]) -> Timeline:
    """Items as the steps of a cube.

    One step is what one satellite took on one orbit in one solar day: granules of an overpass lie side by side and
    overlap with the same pixels. The solar day is that of the grid's centre, UTC and four minutes a degree east, so that
    an overpass is not cut by midnight in Greenwich. Of a granule that was processed more than once the newest baseline
    counts, then what was made last, then the id. In a step scenes in the grid's own CRS come first, then they go by id.

    Parameters
    ----------
    items
        All of which are wanted.
    grid
        Of the cube.
    scene
        What makes a scene of an item.
    """
    latest, left_out = _newest(items)
    lon = centre(geobox)[0]
    groups: dict[tuple[str, str, str], list[Item]] = defaultdict(list)
    for item in latest:
        groups[_overpass(item, lon)].append(item)
    steps = [_step(group, geobox, scene) for group in groups.values()]
    return Timeline(steps=tuple(sorted(steps, key=lambda step: (step.time, step.scenes[0].id))), left_out=left_out)


def _step(items: list[Item], geobox: GeoBox, scene: Callable[[Item], Scene]) -> Step:
    scenes = sorted(map(scene, items), key=lambda each: (each.assets[0].crs != crs_name(geobox), each.id))
    return Step(time=utc_text(min(map(moment, items))), scenes=tuple(scenes))


def _overpass(item: Item, lon: float) -> tuple[str, str, str]:
    """Solar day, satellite and relative orbit."""
    day = (moment(item) + dt.timedelta(hours=lon / 15.0)).date().isoformat()
    properties = item.properties
    orbit = properties.get("sat:relative_orbit")
    named = _ORBIT.search(f"{properties.get('s2:product_uri', '')} {item.id}")
    known = str(orbit) if orbit is not None else named.group(1).lstrip("0") if named else ""
    return day, str(properties.get("platform", "")).lower(), known


def _newest(items: Iterable[Item]) -> tuple[list[Item], tuple[tuple[str, str], ...]]:
    """The last processing of each granule, and the others as pairs of id and reason."""
    groups: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for item in items:
        groups[_granule(item)].append(item)
    latest, left_out = [], []
    for group in groups.values():
        *older, newest = sorted(group, key=_processed)
        latest.append(newest)
        left_out += [(item.id, f"processed again as {newest.id}") for item in older]
    return latest, tuple(sorted(left_out))


def _granule(item: Item) -> tuple[str, ...]:
    """What identifies a granule across processings: its tile, its satellite and its sensing time."""
    properties = item.properties
    tile = str(properties.get("grid:code") or properties.get("s2:mgrs_tile") or "").removeprefix("MGRS-")
    named = _TILE.search(item.id)
    sensed = _SENSED.search(str(properties.get("s2:datastrip_id", "")))
    when = sensed.group(1) if sensed else utc_text(moment(item).replace(microsecond=0))
    known = tile or (named.group(1) if named else "")
    return (known, str(properties.get("platform", "")).lower(), when) if known else (item.id,)


def _processed(item: Item) -> tuple[str, str, str]:
    properties = item.properties
    baseline = str(properties.get("s2:processing_baseline", properties.get("processing:version", "")))
    created = properties.get("s2:generation_time") or properties.get("created") or ""
    return baseline, str(created), item.id


def touches(item: Item, geobox: GeoBox) -> bool:
    """Whether an item's footprint shares ground with a grid."""
    ground = ground_of(geobox)
    return any(shapely.area(shapely.intersection(footprint, ground)) > 0.0 for footprint in turned(item.footprint))
