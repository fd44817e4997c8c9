"""One search of a catalogue per neighbourhood, not per place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nutonic.core.globe import Box, boxes_of
from nutonic.core.times import Interval
from nutonic.errors import InputError
from nutonic.io.access import Access
from nutonic.sources.item import Item, Sieve
from nutonic.sources.neighbourhoods import Neighbourhood, searched
from nutonic.sources.stac.api import Query, search_api
from nutonic.sources.stac.files import read_items
from nutonic.sources.stac.given import Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for in a catalogue, wherever the places are."""

    url: str
    """Of a STAC API, or the path of a local catalogue."""
    collection: str
    time: Interval | None
    """Both ends included; None for all time."""
    max_cloud_cover: float | None
    """Percent; None where it does not matter."""
    access: Access
    given: Given | None = None
    """Items that are looked through instead of a catalogue."""


def neighbourhoods(search: Search, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> Iterator[Neighbourhood]:
    """Every place in just one neighbourhood, with every item that may touch its square, and some that do not.

    The catalogue may ignore what it was asked: time, cloud and footprint are still to be checked.
    """
    if (items := _at_hand(search)) is not None:
        yield Neighbourhood(np.arange(len(lon)), items)
        return
    sieve = Sieve(search.url)
    yield from searched(lambda boxes: _items(search, boxes, sieve), lon, lat, extent_m)
    sieve.close()


def items_around(search: Search, bounds: Box) -> list[Item]:
    """The items near an area of west, south, east, north; west is greater than east where that lies across 180°."""
    items = _at_hand(search)
    if items is None:
        sieve = Sieve(search.url)
        items = _items(search, boxes_of(bounds), sieve)
        sieve.close()
    return items


def _at_hand(search: Search) -> list[Item] | None:
    """All items that were given, or that a local catalogue has; None where an API is to be asked."""
    if search.given is not None:
        return search.given.items()
    if not search.url:
        raise InputError("no catalogue is given: give its address or its path as url=, or items=")
    return None if "://" in search.url else read_items(search.url)


def _items(search: Search, boxes: list[Box], sieve: Sieve) -> list[Item]:
    """The items of one or two boxes, each once."""
    items: dict[str, Item] = {}
    for box in boxes:
        query = Query(collection=search.collection, box=box, time=search.time, max_cloud_cover=search.max_cloud_cover)
        items.update((item.id, item) for item in search_api(search.url, query, search.access, sieve))
    return list(items.values())
