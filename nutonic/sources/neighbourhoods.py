"""Places near each other, so that a catalogue is asked once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from nutonic.core.globe import Box, boxes_around, boxes_of
from nutonic.io.session import SessionThreads
from nutonic.sources.item import Item

#: Searches in flight.
_SEARCHES = 8


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Places near each other, and the catalogue's items near them."""

    members: np.ndarray
    """Positions of the places, int64."""
    items: list[Item]
    is_whole: bool = False
    """Whether the items are all that the catalogue has, wherever they lie."""


T = TypeVar("T")

#: What was found around areas: whatever else was asked, the area that was searched, and what is there.
_FOUND: ContextVar[list[tuple[Any, Box, Any]] | None] = ContextVar("found", default=None)

#: By how much wider than asked an area is searched in which others are to be looked for again: a share of its sides, and
#: degrees. A grid in the CRS of the next zone reaches so much farther.
_WIDER, _DEGREES = 0.1, 0.001


@contextmanager
def searched_once() -> Iterator[None]:
    """Have areas that lie in one another be searched together while the block runs, by :func:`around`."""
    token = _FOUND.set([])
    try:
        yield
    finally:
        _FOUND.reset(token)


def around(what: Any, bounds: Box, find: Callable[[list[Box]], T]) -> T:
    """What is found in an area, or in one that holds it, of which it was found before.

    Parameters
    ----------
    what
        All else that is asked.
    bounds
        West, south, east, north; west is greater than east where that lies across 180°.
    find
        Asks a catalogue.
    """
    found = _FOUND.get()
    if found is None:
        return find(boxes_of(bounds))
    for asked, area, answer in found:
        if asked == what and _holds(area, bounds):
            return answer  # type: ignore[no-any-return]
    wider = _wider(bounds)
    answer = find(boxes_of(wider))
    found.append((what, wider, answer))
    return answer


def _holds(area: Box, bounds: Box) -> bool:
    if area == bounds:
        return True
    across = area[0] > area[2] or bounds[0] > bounds[2]
    return (
        not across and area[0] <= bounds[0] and area[1] <= bounds[1] and area[2] >= bounds[2] and area[3] >= bounds[3]
    )


def _wider(bounds: Box) -> Box:
    """An area with a margin; as it is where that would reach across 180° or a pole."""
    west, south, east, north = bounds
    margin = _WIDER * max(east - west, north - south) + _DEGREES
    wider = (west - margin, south - margin, east + margin, north + margin)
    inside = -180.0 <= wider[0] < wider[2] <= 180.0 and wider[1] >= -90.0 and wider[3] <= 90.0 and west <= east
    return wider if inside else bounds


def searched(
    find: Callable[[list[Box]], list[Item]], lon: np.ndarray, lat: np.ndarray, extent_m: float
) -> Iterator[Neighbourhood]:
    """The neighbourhoods of places, each with what is found in its one or two boxes; several at a time.

    No thread outlives a step: what collects an abandoned generator may be the start of another thread, and to wait for
    one there is to wait for ever.
    """
    groups = _cells(lon, lat)
    for start in range(0, len(groups), _SEARCHES):
        batch = groups[start : start + _SEARCHES]
        with SessionThreads(_SEARCHES) as threads:
            results = list(threads.map(find, [boxes_around(lon[members], lat[members], extent_m) for members in batch]))
        yield from (Neighbourhood(members, items) for members, items in zip(batch, results, strict=True))


def _cells(lon: np.ndarray, lat: np.ndarray) -> list[np.ndarray]:
    """Positions of the places of each cell of one by one degree, south to north and west to east."""
    cells = (np.floor(lat).astype(np.int64) + 90) * 361 + np.floor(lon).astype(np.int64) + 180
    order = np.argsort(cells, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(cells[order])) + 1) if len(order) else []
