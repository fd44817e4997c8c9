"""One search of a catalogue per neighbourhood, not per place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nutonic.core.globe import Box, boxes_around
from nutonic.core.times import Interval
from nutonic.errors import InputError
from nutonic.io.access import Access
from nutonic.sources.item import Item, Sieve
from nutonic.sources.missing import Miss, in_words, passed_over
from nutonic.sources.neighbourhoods import Neighbourhood, around, searched
from nutonic.sources.stac.files import is_api, read_items
from nutonic.sources.stac.given import Given

# Only who asks a server needs pystac-client.

#: The side of the square around a cube's centre for which a server is asked what it has at all.
METRES_NEAR = 10_000.0


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

    @property
    def is_local(self) -> bool:
        """Whether all items are at hand: they were given, or are a catalogue of files."""
        return self.given is not None or not is_api(self.url)


def neighbourhoods(search: Search, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> Iterator[Neighbourhood]:
    """Every place in just one neighbourhood, with every item that may touch its square, and some that do not.

    The catalogue may ignore what it was asked: time, cloud and footprint are still to be checked.
    """
    if (items := items_at_hand(search)) is not None:
        yield Neighbourhood(np.arange(len(lon)), items, is_whole=True)
        return
    sieve = Sieve(search.url)
    yield from searched(lambda boxes: _items(search, boxes, sieve), lon, lat, extent_m)
    sieve.close()


def items_around(search: Search, bounds: Box) -> list[Item]:
    """The items near an area of west, south, east, north; west is greater than east where that lies across 180°."""
    items = items_at_hand(search)
    if items is None:

        def find(boxes: list[Box]) -> tuple[list[Item], Sieve]:
            sieve = Sieve(search.url)
            return _items(search, boxes, sieve), sieve

        items, sieve = around(search, bounds, find)
        sieve.close()
    return items


def items_at_hand(search: Search) -> list[Item] | None:
    """All items that were given, or that a local catalogue has; None where an API is to be asked."""
    if search.given is not None:
        return search.given.items()
    if not search.url:
        raise InputError("no catalogue is given: give its address or its path as url=, or items=")
    return read_items(search.url, search.access.identity) if search.is_local else None


def _items(search: Search, boxes: list[Box], sieve: Sieve) -> list[Item]:
    """The items of one or two boxes, each once."""
    from nutonic.sources.stac.api import Query, search_api

    items: dict[tuple[str, str, str], Item] = {}
    for box in boxes:
        query = Query(collection=search.collection, box=box, time=search.time, max_cloud_cover=search.max_cloud_cover)
        items.update((item.key, item) for item in search_api(search.url, query, search.access, sieve))
    return list(items.values())


def unlimited(
    search: Search, lon: np.ndarray, lat: np.ndarray, extent_m: float, miss: Callable[[Item], Miss | None]
) -> str:
    """What a server has at the first place if it is asked without a time and a limit of clouds, in words.

    A server leaves items out itself, so that nothing else tells what was wrong. It takes one or two requests; of a local
    catalogue nothing is told, since all that it has is known.
    """
    if search.is_local or not len(lon):
        return ""
    items = _glimpse(search, lon[:1], lat[:1], extent_m)
    if items:
        misses = [passed_over(item, miss) or Miss("place") for item in items]
        return in_words(misses, "that the server has near the first place at any time and with any clouds")
    if abs(lon[0]) <= 90.0 and _glimpse(search, lat[:1], lon[:1], extent_m):
        return (
            f"are longitude and latitude swapped? The server has items of {search.collection} at longitude {lat[0]:.4f}, "
            f"latitude {lon[0]:.4f}, and none at longitude {lon[0]:.4f}, latitude {lat[0]:.4f}"
        )
    return f"the server has no item of {search.collection} near the first place at any time"


def _glimpse(search: Search, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> list[Item]:
    """The first items of a server around one place, whatever their time and clouds."""
    from nutonic.sources.stac.api import Query, glimpse

    box = boxes_around(lon, lat, extent_m)[0]
    query = Query(collection=search.collection, box=box, time=None, max_cloud_cover=None)
    return glimpse(search.url, query, search.access)
