"""Which scenes serve a square best: those that cover it, by what is known before a pixel is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nutonic.core.footprints import Snapping, near, shares
from nutonic.core.grid import transformer
from nutonic.core.model import Scene
from nutonic.errors import InputError, NutonicError
from nutonic.io.session import current
from nutonic.sources.item import Item, Unusable, cloud_cover, moment
from nutonic.sources.missing import OF_NO_USE, Bare, Found, Miss, in_words, passed_over, reasons
from nutonic.sources.neighbourhoods import Neighbourhood

#: How many scenes are ranked for a place.
RANKED = 3

#: A footprint is rounded, and drawn with straight edges: this much of a square may be missing and it still counts as
#: covered; half a pixel along one side of 5 km.
_COVERED = 1.0 - 1e-4

#: A rank is one number: whether the square is covered in part, by how little, and the item's place by merit.
_ITEMS, _PART, _NONE = 2**32, 2**60, 2**62

#: Squares that are compared with a footprint at a time: each takes several hundred bytes meanwhile.
_AT_ONCE = 10_000

#: How often squares are ranked anew without items that turned out to be of no use: a catalogue of such is no catalogue.
_MOST_ROUNDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What a source knows of its items."""

    miss: Callable[[Item], Miss | None]
    """Why an item may not be used at all; None if it may."""
    snapping: Callable[[Item], Snapping]
    """By which its share of a square is measured."""
    scene: Callable[[Item], Scene]
    """The scene it is."""
    least: float
    """The share of a square that a scene must cover where none covers it all, 0 to 1."""

    def lattice(self, item: Item) -> Snapping | Miss:
        """By which an item's share of a square is measured, or why it cannot be."""
        try:
            snapping = self.snapping(item)
        except OF_NO_USE as error:
            return Miss("item", str(error))
        return Miss("degrees", snapping.crs) if _in_degrees(snapping.crs) else snapping


@lru_cache(maxsize=256)
def _in_degrees(crs: str) -> bool:
    target = transformer("EPSG:4326", crs).target_crs
    return target is not None and target.is_geographic


@dataclass(frozen=True, slots=True, kw_only=True)
class _Best:
    """The scenes of a neighbourhood's squares."""

    scenes: list[tuple[Scene, ...]]
    most: np.ndarray
    """The largest share of each square that an item covers, 0 to 1."""
    odd: Mapping[int, Miss]
    """Items that are of no use, by their position."""


def ranked(groups: Iterable[Neighbourhood], lon: np.ndarray, lat: np.ndarray, extent_m: float, by: Ranking) -> Found:
    """Up to three scenes for each square: those that cover it whole, else those that cover the largest share.

    Among equals least cloud first, then newest, then by id: nothing but the place and the catalogue decides. Equal
    answers are one tuple, not many. Of squares without a scene it is told why.

    Raises
    ------
    InputError
        If there are items, and none that is of use to anybody: the reason of the first.
    """
    odd: list[tuple[str, str]] = []
    count = 0
    ranking: list[tuple[Scene, ...]] = [()] * len(lon)
    why: dict[int, str] = {}
    seen: dict[tuple[str, str, str], Miss] = {}
    for group in groups:
        members = group.members
        best = _best(group.items, lon[members], lat[members], extent_m, by)
        odd += [(group.items[k].id, str(miss.found)) for k, miss in best.odd.items()]
        count += len(group.items)
        for first in range(0, len(members), _AT_ONCE):  # of a million, no million numbers as objects
            for i, scenes in zip(members[first : first + _AT_ONCE].tolist(), best.scenes[first:], strict=False):
                ranking[i] = scenes
        bare = np.array([k for k, scenes in enumerate(best.scenes) if not scenes], np.int64)
        if bare.size:
            words, near_them = _reasons(group, bare, best, (lon[members], lat[members], extent_m), by)
            why.update(zip(members[bare].tolist(), words, strict=True))
            seen |= near_them if group.is_whole else {}
    if odd and len(odd) == count:
        raise InputError(odd[0][1])
    current().resource(Unusable).add(odd)
    of_all = seen and len(lon) > 1 and not any(ranking)
    return Found(ranking, why, in_words(list(seen.values()), "near any of the places") if of_all else "")


def _reasons(
    group: Neighbourhood, bare: np.ndarray, best: _Best, squares: tuple[np.ndarray, np.ndarray, float], by: Ranking
) -> tuple[list[str], dict[tuple[str, str, str], Miss]]:
    """Why these squares of a neighbourhood have no scene; see :func:`.missing.reasons`."""
    lon, lat, extent_m = squares[0][bare], squares[1][bare], squares[2]
    odd = {id(group.items[k]): miss for k, miss in best.odd.items()}

    def miss(item: Item, i: int) -> Miss:
        known = odd.get(id(item)) or passed_over(item, by.miss)
        lattice = known or by.lattice(item)
        if isinstance(lattice, Miss):
            return lattice
        share = float(shares(item.footprint, lattice, lon[i : i + 1], lat[i : i + 1], extent_m)[0])
        return Miss("coverage", share) if share else Miss("place")

    where = Bare(lon=lon, lat=lat, extent_m=extent_m, most=best.most[bare], items=group.items, is_whole=group.is_whole)
    return reasons(where, miss)


def _best(items: Sequence[Item], lon: np.ndarray, lat: np.ndarray, extent_m: float, by: Ranking) -> _Best:
    """The best scenes of squares; where an item turns out to be of no use, it is done again without it."""
    misses = [passed_over(item, by.miss) for item in items]
    odd = {k: miss for k, miss in enumerate(misses) if miss is not None and miss.by == "item"}
    usable = sorted((k for k, miss in enumerate(misses) if miss is None), key=lambda k: _merit(items[k]))
    problems: dict[int, NutonicError] = {}
    for _ in range(_MOST_ROUNDS):
        best, most = _ranks(items, [k for k in usable if k not in odd], (lon, lat, extent_m), by)
        unique, which = _different(best)
        scenes, problems = _scenes(items, set(unique[unique >= 0].tolist()), by)
        if not problems:
            choices = [tuple(scenes[k] for k in row[row >= 0].tolist()) for row in unique]
            return _Best(scenes=[choices[i] for i in which], most=most, odd=odd)
        odd |= {k: Miss("item", str(error)) for k, error in problems.items()}
    raise problems[min(problems)]


def _different(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of positions, or -1, each once, and which of them each is: as np.unique, with a fifth of the memory."""
    if rows.max(initial=-1) >= 2**21 - 1:
        unique, which = np.unique(rows, axis=0, return_inverse=True)
        return unique, which.ravel()
    codes = np.zeros(len(rows), np.int64)
    for column in rows.T:
        codes = (codes << 21) + column + 1
    _, first, which = np.unique(codes, return_index=True, return_inverse=True)
    return rows[first], which.ravel()


def _ranks(
    items: Sequence[Item], usable: Sequence[int], squares: tuple[np.ndarray, np.ndarray, float], by: Ranking
) -> tuple[np.ndarray, np.ndarray]:
    """Which items serve each square best, (squares, 3) positions or -1; and the most that any covers, 0 to 1."""
    lon, lat, extent_m = squares
    best, most = np.full((len(lon), RANKED), _NONE), np.zeros(len(lon))
    for k, number in enumerate(usable):
        item = items[number]
        where = near(item.footprint, lon, lat, extent_m)
        if not where.size:
            continue
        snapping = by.lattice(item)
        if isinstance(snapping, Miss):
            continue
        for batch in np.array_split(where, -(-where.size // _AT_ONCE)):
            covered = shares(item.footprint, snapping, lon[batch], lat[batch], extent_m)
            most[batch] = np.maximum(most[batch], covered)
            rank = np.where(covered >= max(by.least, 1e-12), _rank(covered) + k, _NONE)
            best[batch] = np.sort(np.column_stack([best[batch], rank]), axis=1)[:, :RANKED]
    numbers, found = np.array([*usable, -1], np.int32), np.empty(best.shape, np.int32)
    for first in range(0, len(best), _AT_ONCE):
        some = best[first : first + _AT_ONCE]
        # Scenes that cover the square in part only count where none covers it whole.
        some[(some >= _PART) & (some[:, :1] < _PART)] = _NONE
        found[first : first + _AT_ONCE] = numbers[np.where(some < _NONE, some % _ITEMS, -1)]
    return found, most


def _scenes(
    items: Sequence[Item], numbers: Iterable[int], by: Ranking
) -> tuple[dict[int, Scene], dict[int, NutonicError]]:
    """The scenes of items by position, and why others are none."""
    scenes: dict[int, Scene] = {}
    problems: dict[int, NutonicError] = {}
    for k in sorted(numbers):
        try:
            scenes[k] = by.scene(items[k])
        except OF_NO_USE as error:
            problems[k] = error
    return scenes, problems


def _merit(item: Item) -> tuple[float, float, str]:
    """What items are sorted by, whatever the place: least cloud, newest, id."""
    return cloud_cover(item), -moment(item).timestamp(), item.id


def _rank(covered: np.ndarray) -> np.ndarray:
    """The part of a rank that depends on the place; shares are compared as far as footprints are exact."""
    missing = 10_000 - np.rint(covered * 10_000).astype(np.int64)
    return np.where(covered >= _COVERED, 0, _PART + missing * _ITEMS)
