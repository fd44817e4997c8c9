"""Items over an area as overpasses: each granule once, those of one satellite's pass together, in order of time.

Tiles, datastrips and orbits are taken from what items declare, whoever the vendor: the prefix of a field (``s2:``,
``eopf:``, ``sentinel:``) is not looked at. Ids of one's own are not read; those of Sentinel-2's products have a set form.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from nutonic.core.footprints import ground_of
from nutonic.core.globe import turned
from nutonic.core.grid import centre, crs_name
from nutonic.core.model import Json, Scene, Step, Timeline
from nutonic.core.times import parse_moment, utc_text
from nutonic.errors import NutonicError
from nutonic.sources.item import Item, moment, period
from nutonic.sources.missing import OF_NO_USE, Bare, Miss, passed_over, reasons

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

#: Names of Sentinel-2 products, with or without the baseline: orbit and tile (Products Specification 14.9, 3.4.1).
_PRODUCT = re.compile(
    r"S2[A-D]_MSIL(?:1C|2A)_\d{8}T\d{6}_(?:N\d{4}_)?R(?P<orbit>\d{3})_T(?P<tile>\d{2}[C-HJ-NP-X][A-Z]{2})"
    r"_\d{8}T\d{6}(?:\.SAFE)?"
)
#: Ids of Earth Search.
_EARTH_SEARCH = re.compile(r"S2[A-D]_(?P<tile>\d{1,2}[C-HJ-NP-X][A-Z]{2})_\d{8}_\d+_L(?:1C|2A)")
#: In the name of a datastrip: when its sensing began.
_SENSED = re.compile(r"_S(\d{8}T\d{6})(?:_|$)")

#: Of a granule's ground, what another must show to stand for it, where no datastrip tells halves of a tile apart.
_SAME_GROUND = 0.5


def timeline(items: Iterable[Item], geobox: GeoBox, scene: Callable[[Item], Scene]) -> Timeline:
    """Items as the steps of a cube.

    One step is what one satellite took on one orbit in one solar day: granules of an overpass lie side by side and
    overlap with the same pixels. The solar day is that of the grid's centre, UTC and four minutes a degree east, so that
    an overpass is not cut by midnight in Greenwich. Composites are of the day they start on. Of a granule that was
    processed more than once the newest baseline counts, then what was made last, then the id; halves of a tile, which
    are of two datastrips, both count. In a step scenes in the grid's own CRS come first, then they go by id.

    Parameters
    ----------
    items
        All of which are wanted.
    geobox
        Of the cube.
    scene
        What makes a scene of an item; an item of which none can be made is left out.
    """
    latest, left_out = _newest(items)
    scenes, odd = _scenes_of(latest, scene)
    lon = centre(geobox)[0]
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for i, item in enumerate(latest):
        if i in scenes:
            groups[_overpass(item, lon)].append(i)
    steps = [_step([(latest[i], scenes[i]) for i in group], geobox) for group in groups.values()]
    return Timeline(steps=told_apart(steps), left_out=tuple(sorted([*left_out, *odd])))


def told_apart(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Steps in order of time, each at a time of its own: where two have the same, the later by id is a second later."""
    apart: dict[str | None, Step] = {}
    for step in sorted(steps, key=lambda step: (step.time or "", step.scenes[0].id)):
        time = step.time
        while time is not None and time in apart:
            time = utc_text(parse_moment(time) + dt.timedelta(seconds=1))
        apart[time] = step if time == step.time else replace(step, time=time)
    return tuple(sorted(apart.values(), key=lambda step: step.time or ""))


def sifted(
    items: Iterable[Item], miss: Callable[[Item], Miss | None], geobox: GeoBox, most_cloud: float | None = None
) -> tuple[list[Item], list[tuple[str, str]]]:
    """The items over a grid that may serve; and the ids of those that are left out, with what they lack or what is wrong.

    Of another collection and another time are most that a catalogue has: of them nothing is told.
    """
    usable, odd = [], []
    for item in items:
        known = passed_over(item, miss)
        if known is None and touches(item, geobox):
            usable.append(item)
        elif known is not None and (why := _left_out(known, most_cloud)) and touches(item, geobox):
            odd.append((item.id, why))
    return usable, odd


def _left_out(known: Miss, most_cloud: float | None) -> str:
    """Why an item is left out that was looked for, in words that all have who share a reason; of others nothing."""
    if known.by == "item":
        return f"cannot be used: {known.found}"
    if known.by == "assets":
        return f"has no asset {', '.join(known.found[0])}"
    if known.by != "cloud":
        return ""
    limit = "max_cloud_cover" if most_cloud is None else f"max_cloud_cover, {most_cloud:g} %"
    return f"has more cloud than {limit}" if known.found is not None else f"does not tell its cloud, for {limit}"


def absent(
    items: Sequence[Item], geobox: GeoBox, miss: Callable[[Item], Miss | None], *, is_whole: bool = False
) -> str:
    """Why no item serves a grid, in words; `is_whole` says whether the items are all that the catalogue has."""
    lon, lat = (np.array([degrees]) for degrees in centre(geobox))
    box = geobox.boundingbox
    bare = Bare(
        lon=lon, lat=lat, extent_m=max(box.span_x, box.span_y), most=np.zeros(1), items=items, is_whole=is_whole,
        what="area",
    )  # fmt: skip
    return reasons(bare, lambda item, _: passed_over(item, miss) or Miss("place"))[0][0]


def _scenes_of(items: Sequence[Item], scene: Callable[[Item], Scene]) -> tuple[dict[int, Scene], list[tuple[str, str]]]:
    """The scene of each item by its position, and the ids of items that cannot be one, with the reason."""
    scenes: dict[int, Scene] = {}
    problems: dict[int, NutonicError] = {}
    for i, item in enumerate(items):
        try:
            scenes[i] = scene(item)
        except OF_NO_USE as error:
            problems[i] = error
    if problems and not scenes:
        raise problems[min(problems)]
    return scenes, [(items[i].id, f"cannot be used: {error}") for i, error in problems.items()]


def _step(pairs: Sequence[tuple[Item, Scene]], geobox: GeoBox) -> Step:
    scenes = sorted(
        (scene for _, scene in pairs),
        key=lambda each: (each.assets[0].crs != crs_name(geobox), each.id, each.datetime or ""),
    )
    return Step(time=utc_text(min(moment(item) for item, _ in pairs)), scenes=tuple(scenes))


def _overpass(item: Item, lon: float) -> tuple[str, str, str]:
    """Solar day, satellite and orbit."""
    day = (moment(item) + dt.timedelta(hours=lon / 15.0)).date().isoformat()
    return day, _platform(item), _orbit(item)


def _orbit(item: Item) -> str:
    """The relative orbit, or Landsat's path, which is one; or else the absolute orbit; empty where none is told."""
    told = item.properties
    for name in ("relative_orbit", "wrs_path"):
        if (orbit := _declared(told, name)) is not None:
            return _whole_number(orbit)
    if product := _product(item):
        return _whole_number(product["orbit"])
    absolute = _declared(told, "absolute_orbit")
    return "" if absolute is None else f"absolute {_whole_number(absolute)}"


def _newest(items: Iterable[Item]) -> tuple[list[Item], tuple[tuple[str, str], ...]]:
    """The last processing of each granule, and the others as pairs of id and reason."""
    groups: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for item in items:
        groups[_granule(item)].append(item)
    latest, left_out = [], []
    for group in groups.values():
        kept: list[Item] = []
        for item in sorted(group, key=_processed, reverse=True):
            newer = next((other for other in kept if _replaces(other, item)), None)
            if newer is None:
                kept.append(item)
            else:
                left_out.append((item.id, _superseded(item, newer)))
        latest += kept
    return latest, tuple(sorted(left_out))


def _superseded(item: Item, newer: Item) -> str:
    return "is listed twice" if item.key == newer.key else f"processed again as {newer.id}"


def _replaces(newer: Item, item: Item) -> bool:
    """Whether an item of the same granule shows an item's ground anew: of a tile cut in two, each half counts."""
    if _datastrip(item) or newer.key == item.key:
        return True
    shared = max(shapely.intersection(newer.footprint, part).area for part in turned(item.footprint))
    return bool(shared >= _SAME_GROUND * item.footprint.area)


def _granule(item: Item) -> tuple[str, ...]:
    """What identifies a granule across processings: its tile, its satellite and its sensing time.

    Without a tile an item is a granule of its own.
    """
    tile = _tile(item)
    return (tile, _platform(item), *(_datastrip(item) or _times(item))) if tile else item.key


def _tile(item: Item) -> str:
    """The cell of a grid that an item declares, as that grid and its code: ``MGRS-33UXU``, ``WRS2-190026``; or nothing."""
    told = item.properties
    parts = [_declared(told, name) for name in ("utm_zone", "latitude_band", "grid_square")]
    if code := told.get("grid:code"):
        return _padded(str(code).upper())
    if code := _declared(told, "mgrs_tile"):
        return _padded(f"MGRS-{str(code).upper().removeprefix('MGRS-').removeprefix('T')}")
    if None not in parts:
        return _padded("MGRS-{}{}{}".format(*parts).upper())
    path, row = _declared(told, "wrs_path"), _declared(told, "wrs_row")
    if path is not None and row is not None:
        return f"WRS{told.get('landsat:wrs_type', '2')}-{_whole_number(path):0>3}{_whole_number(row):0>3}"
    named = _product(item) or (_EARTH_SEARCH.fullmatch(item.id) if _is_sentinel_2(item) else None)
    return _padded(f"MGRS-{named['tile']}") if named else ""


def _padded(code: str) -> str:
    """``MGRS-4QFJ`` as ``MGRS-04QFJ``."""
    return re.sub(r"^MGRS-(\d\D)", r"MGRS-0\1", code)


def _product(item: Item) -> re.Match[str] | None:
    """The name of the Sentinel-2 product that an item says it is, or that its id is."""
    told = item.properties
    names = (_declared(told, "product_uri"), _declared(told, "product_id"), item.id)
    return next(filter(None, (_PRODUCT.fullmatch(str(name)) for name in names if name)), None)


def _is_sentinel_2(item: Item) -> bool:
    names = (item.properties.get("platform"), item.properties.get("constellation"), item.content.get("collection"))
    return any(re.match(r"sentinel[ -]?2", str(name), re.IGNORECASE) for name in names)


def _datastrip(item: Item) -> tuple[str, ...]:
    """When the sensing of an item's datastrip began, if it declares one."""
    sensed = _SENSED.search(str(_declared(item.properties, "datastrip_id") or ""))
    return (sensed.group(1),) if sensed else ()


def _times(item: Item) -> tuple[str, ...]:
    """To the second, when an item was taken; of a composite its start and its end."""
    if item.properties.get("datetime"):
        return (utc_text(moment(item).replace(microsecond=0)),)
    of = period(item)
    return utc_text(of.start.replace(microsecond=0)), utc_text(of.end.replace(microsecond=0))


def _platform(item: Item) -> str:
    return str(item.properties.get("platform", "")).lower()


def _processed(item: Item) -> tuple[list[int], str, str]:
    """What the processings of a granule are sorted by: baseline, time and id."""
    told = item.properties
    baseline = _declared(told, "processing_baseline") or told.get("processing:version") or ""
    made = _declared(told, "generation_time") or told.get("processing:datetime") or told.get("created") or ""
    return [int(part) for part in re.findall(r"\d+", str(baseline))], _sortable(str(made)), item.id


def _sortable(text: str) -> str:
    try:
        return utc_text(parse_moment(text), "microseconds")
    except ValueError:
        return text


def _declared(told: Json, name: str) -> Any:
    """The value of a field of this name under any vendor's prefix, the first by prefix that has one; else None."""
    keys = sorted(key for key in told if key.rpartition(":")[2] == name)
    return next((told[key] for key in keys if told[key] is not None), None)


def _whole_number(value: Any) -> str:
    """A number as digits, however it is written: 22, 22.0, "022"."""
    try:
        return str(int(float(value)))
    except (TypeError, ValueError, OverflowError):
        return str(value)


def touches(item: Item, geobox: GeoBox) -> bool:
    """Whether an item's footprint shares ground with a grid."""
    ground = ground_of(geobox)
    return any(shapely.area(shapely.intersection(footprint, ground)) > 0.0 for footprint in turned(item.footprint))
