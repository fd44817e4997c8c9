"""One search of a catalogue per neighbourhood, not per place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nutonic.sources.access import Access
from nutonic.sources.api import Query, search_api
from nutonic.sources.catalogue import Item, read_items

#: Searches in flight.
_SEARCHES = 8

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for in a catalogue, wherever the places are."""

    url: str
    """Of a STAC API, or the path of a local catalogue."""
    collection: str
    when: str | None
    """``start/end``, both included; None for all time."""
    max_cloud_cover: float | None
    """Percent; None where it does not matter."""
    access: Access


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Places near each other, and the catalogue's items near them."""

    members: np.ndarray
    """Positions of the places, int64."""
    items: list[Item]


def neighbourhoods(search: Search, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> Iterator[Neighbourhood]:
    """Every place in just one neighbourhood, with every item that may touch its square, and some that do not.

    The catalogue may ignore what it was asked: time, cloud and footprint are still to be checked.
    """
    if "://" not in search.url:
        yield Neighbourhood(np.arange(len(lon)), read_items(search.url))
        return
    yield from searched(lambda boxes: _items(search, boxes), lon, lat, extent_m)


def searched(
    find: Callable[[list[Box]], list[Item]], lon: np.ndarray, lat: np.ndarray, extent_m: float
) -> Iterator[Neighbourhood]:
    """The neighbourhoods of places, each with what is found in its one or two boxes; several at a time.

    No thread outlives a step: what collects an abandoned generator may be the start of another thread, and to wait for
    one there is to wait for ever.
    """
    groups = _cells(lon, lat)
    for start in range(0, len(groups), _SEARCHES):
        some = groups[start : start + _SEARCHES]
        with ThreadPoolExecutor(_SEARCHES) as threads:
            found = list(threads.map(find, [_boxes(lon[members], lat[members], extent_m) for members in some]))
        yield from (Neighbourhood(members, items) for members, items in zip(some, found, strict=True))


def items_around(search: Search, bounds: Box) -> list[Item]:
    """The items near an area of west, south, east, north; west is greater than east where that lies across 180°."""
    if "://" not in search.url:
        return read_items(search.url)
    return _items(search, boxes_of(bounds))


def boxes_of(bounds: Box) -> list[Box]:
    """An area as one box, or as two where it lies across 180°."""
    west, south, east, north = bounds
    return [bounds] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def _cells(lon: np.ndarray, lat: np.ndarray) -> list[np.ndarray]:
    """Positions of the places of each cell of one by one degree, south to north and west to east."""
    cells = (np.floor(lat).astype(np.int64) + 90) * 361 + np.floor(lon).astype(np.int64) + 180
    order = np.argsort(cells, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(cells[order])) + 1) if len(order) else []


def _boxes(lon: np.ndarray, lat: np.ndarray, extent_m: float) -> list[Box]:
    """West, south, east, north around the squares of places in one cell; two where they reach across 180°."""
    reach = extent_m / 110_000.0
    south, north = max(float(lat.min()) - reach, -90.0), min(float(lat.max()) + reach, 90.0)
    wide = reach / math.cos(math.radians(min(max(abs(south), abs(north)), 89.0)))
    west, east = float(lon.min()) - wide, float(lon.max()) + wide
    if west < -180.0:
        return [(west + 360.0, south, 180.0, north), (-180.0, south, east, north)]
    if east > 180.0:
        return [(west, south, 180.0, north), (-180.0, south, east - 360.0, north)]
    return [(west, south, east, north)]


def _items(search: Search, boxes: list[Box]) -> list[Item]:
    """The items of one or two boxes, each once."""
    found: dict[str, Item] = {}
    for box in boxes:
        query = Query(collection=search.collection, box=box, when=search.when, max_cloud_cover=search.max_cloud_cover)
        found.update((item.id, item) for item in search_api(search.url, query, search.access))
    return list(found.values())
