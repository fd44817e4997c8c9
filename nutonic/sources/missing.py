"""Why there is no scene: what a catalogue has near a place, and what each of its items was passed over for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import shapely

from nutonic.core.footprints import near
from nutonic.core.globe import reach
from nutonic.core.model import Scene
from nutonic.core.times import Interval
from nutonic.core.units import counted
from nutonic.errors import BadPixels, FileMissing, Gone, InputError
from nutonic.sources.item import Item, moment

#: What items are passed over for, in the order in which it is looked at and told.
Filter = Literal["collection", "time", "year", "assets", "cloud", "degrees", "item", "coverage", "place"]
_ORDER: tuple[Filter, ...] = Filter.__args__  # type: ignore[attr-defined]

#: Errors of one item, which never end a search: others may serve.
OF_NO_USE = (InputError, Gone, FileMissing, BadPixels)

#: Names that a message lists; of others it tells how many there are.
_NAMES = 6


@dataclass(frozen=True, slots=True)
class Miss:
    """Why an item does not serve."""

    by: Filter
    found: Any = None
    """What it has instead: a collection, an Interval, a year, names of assets, percent of cloud or None, a CRS, an error's
    message, the share of a square."""


class Found(list[tuple[Scene, ...]]):
    """The scenes for each square, as a search gives them; and why there are none, where that is known."""

    def __init__(
        self, scenes: Iterable[tuple[Scene, ...]], why: Mapping[int, str] | None = None, in_all: str = ""
    ) -> None:
        super().__init__(scenes)
        self.why = dict(why or {})
        """By the position of a square without a scene: what there is near it."""
        self.in_all = in_all
        """Where no square has a scene: what there is near all of them."""


def why_not(found: Sequence[tuple[Scene, ...]], i: int) -> str:
    """Why a square has no scene, after a colon; nothing of a source that does not tell."""
    why = found.why.get(i, "") if isinstance(found, Found) else ""
    return f": {why}" if why else ""


def passed_over(item: Item, miss: Callable[[Item], Miss | None]) -> Miss | None:
    """Why an item may not be used, such as that its time is none; None if it may."""
    try:
        known = miss(item)
        if known is None:
            moment(item)
        return known
    except InputError as error:
        return Miss("item", str(error))


def in_words(misses: Sequence[Miss], where: str) -> str:
    """Items near something, counted by what they were passed over for: ``of 3 items near the square, 2 are …``."""
    parts = []
    for by in _ORDER:
        some = [miss.found for miss in misses if miss.by == by]
        if some:
            parts.append(f"{counted(len(some), 'is', 'are')} {_TOLD[by](some)}")
    return f"of {counted(len(misses), 'item')} {where}, {', '.join(parts)}"


def _collections(names: Sequence[str]) -> str:
    return f"of another collection ({_listed([name for name, _ in Counter(names).most_common()])})"


def _times(periods: Sequence[Interval]) -> str:
    first, last = min(each.start for each in periods), max(each.end for each in periods)
    days = dict.fromkeys((first.date().isoformat(), last.date().isoformat()))
    return f"of another time ({' to '.join(days)})"


def _years(years: Sequence[int]) -> str:
    return f"of another year ({_listed(sorted(map(str, set(years))))})"


def _assets(pairs: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> str:
    (missing, names), _ = Counter(pairs).most_common(1)[0]
    return f"without {_listed(missing)} (there is {_listed(names) or 'no asset'})"


def _clouds(covers: Sequence[float | None]) -> str:
    told = [cover for cover in covers if cover is not None]
    silent = len(covers) - len(told)
    too_much = f"too cloudy ({min(told):g} % or more)" if told else ""
    if not silent:
        return too_much
    count = f", {silent} of which do not say it" if told else " because the cloud cover is not stated"
    return f"{too_much or 'too cloudy'}{count}: that counts as 100 %, see max_cloud_cover"


def _degrees(crs: Sequence[str]) -> str:
    return f"in a CRS in degrees ({_listed(sorted(set(crs)))}): pixels in metres are needed, warp them to UTM"


def _odd(messages: Sequence[str]) -> str:
    return f"of no use ({messages[0]})"


def _coverage(shares: Sequence[float]) -> str:
    return f"on too little of the square ({100 * max(shares):.0f} % at most: see min_valid_fraction)"


def _beside(_: Sequence[None]) -> str:
    return "beside it"


_TOLD: Mapping[Filter, Callable[[Sequence[Any]], str]] = {
    "collection": _collections,
    "time": _times,
    "year": _years,
    "assets": _assets,
    "cloud": _clouds,
    "degrees": _degrees,
    "item": _odd,
    "coverage": _coverage,
    "place": _beside,
}


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - _NAMES} more"] if len(names) > _NAMES else []
    return ", ".join([*(name[:60] for name in names[:_NAMES]), *more])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """Squares without a scene, in degrees, and the items that a search for them gave."""

    lon: np.ndarray
    lat: np.ndarray
    extent_m: float
    most: np.ndarray
    """The largest share of each that is on an item which would serve, 0 to 1."""
    items: Sequence[Item]
    is_whole: bool
    """Whether the items are all that the catalogue has."""
    what: str = "square"

    @property
    def where(self) -> str:
        """Where items are that lie near one, in words."""
        return f"near the {self.what}" if self.is_whole else f"that the server gives near the {self.what}"


def reasons(bare: Bare, miss: Callable[[Item, int], Miss]) -> tuple[list[str], dict[tuple[str, str, str], Miss]]:
    """Why each square has no scene; and the items near any of them, by key, with why they do not serve.

    Squares that have the same items near them, and as much of their ground on one, get the same words.

    Parameters
    ----------
    bare
        The squares.
    miss
        Why an item does not serve a square, by the square's position.
    """
    close = _near(bare, bare.lon, bare.lat)
    which, first = _alike(close, bare.most)
    told: list[list[Miss]] = [[] for _ in first]
    seen: dict[tuple[str, str, str], Miss] = {}
    positions = {int(i): k for k, i in enumerate(first)}
    for number, where in close:
        item = bare.items[number]
        for i in where[np.isin(where, first)].tolist():
            told[positions[i]].append(miss(item, i))
        seen.setdefault(item.key, miss(item, int(where[0])))
    swapped = np.zeros(len(bare.lon), bool) if all(told) else _looks_swapped(bare)
    words = [in_words(misses, bare.where) if misses else "" for misses in told]
    return [words[k] or _far(bare, bool(swapped[i])) for i, k in enumerate(which.tolist())], seen


def _near(bare: Bare, lon: np.ndarray, lat: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The items near any of these places, by number, and the positions of those places."""
    if not len(bare.items):
        return []
    high, _ = reach(bare.extent_m, 0.0)
    south, north = shapely.bounds(np.array([item.footprint for item in bare.items], object))[:, [1, 3]].T
    some = np.flatnonzero((south <= lat.max() + high) & (north >= lat.min() - high)).tolist()
    found = ((k, near(bare.items[k].footprint, lon, lat, bare.extent_m)) for k in some)
    return [(k, where) for k, where in found if where.size]


def _alike(close: Sequence[tuple[int, np.ndarray]], most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which squares have the same items near: the group of each, and the position of each group's first.

    Sets of items are compared by sums of hashes, which take a few bytes a square however many items there are.
    """
    sums = np.zeros((len(most), 3), np.int64)
    sums[:, 2] = np.rint(100 * most)
    for number, where in close:
        sums[where, :2] += np.array([hash((number, 1)), hash((number, 2))], np.int64)
    _, first, which = np.unique(sums, axis=0, return_index=True, return_inverse=True)
    return which.ravel(), first


def _far(bare: Bare, swapped: bool) -> str:
    """That there is no item near a square, and where there are some."""
    if not bare.is_whole:
        return f"the server gives no item near the {bare.what}"
    if not len(bare.items):
        return "the catalogue has no items"
    west, south, east, north = shapely.total_bounds(np.array([item.footprint for item in bare.items], object)).tolist()
    guess = "; are longitude and latitude swapped? The other way round it would lie there" if swapped else ""
    theirs = (
        "the catalogue's only item lies" if len(bare.items) == 1 else f"the catalogue's {len(bare.items)} items lie"
    )
    return (
        f"no item is near, {theirs} between longitude {west:.2f} and {east:.2f}, latitude {south:.2f} and {north:.2f}"
        f"{guess}"
    )


def _looks_swapped(bare: Bare) -> np.ndarray:
    """Which squares would lie near an item if their longitude and latitude were exchanged."""
    swapped = np.zeros(len(bare.lon), bool)
    may = np.flatnonzero(np.abs(bare.lon) <= 90.0)
    if may.size:
        for _, where in _near(bare, bare.lat[may], bare.lon[may]):
            swapped[may[where]] = True
    return swapped
