"""Places near each other, so that a catalogue is asked once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nutonic.core.globe import Box, boxes_around
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
