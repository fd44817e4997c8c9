"""Which scenes serve a square best: those that cover it, by what is known before a pixel is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nutonic.core.footprints import Snapping, near, shares
from nutonic.core.model import Scene
from nutonic.sources.item import Item, cloud_cover, moment
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What a source knows of its items."""

    fits: Callable[[Item], bool]
    """Whether an item may be used at all."""
    snapping: Callable[[Item], Snapping]
    """By which its share of a square is measured."""
    scene: Callable[[Item], Scene]
    """The scene it is."""
    least: float
    """The share of a square that a scene must cover where none covers it all, 0 to 1."""


def ranked(
    groups: Iterable[Neighbourhood], lon: np.ndarray, lat: np.ndarray, extent_m: float, by: Ranking
) -> list[tuple[Scene, ...]]:
    """Up to three scenes for each square: those that cover it whole, else those that cover the largest share.

    Among equals least cloud first, then newest, then by id: nothing but the place and the catalogue decides. Equal
    answers are one tuple, not many.
    """
    ranking: list[tuple[Scene, ...]] = [()] * len(lon)
    for group in groups:
        members = group.members
        best = _best(group.items, lon[members], lat[members], extent_m, by)
        for i, scenes in zip(members.tolist(), best, strict=True):
            ranking[i] = scenes
    return ranking


def _best(
    items: Sequence[Item], lon: np.ndarray, lat: np.ndarray, extent_m: float, by: Ranking
) -> list[tuple[Scene, ...]]:
    usable = sorted(filter(by.fits, items), key=_merit)
    best = np.full((len(lon), RANKED), _NONE)
    for k, item in enumerate(usable):
        where = near(item.footprint, lon, lat, extent_m)
        if not where.size:
            continue
        snapping = by.snapping(item)
        for batch in np.array_split(where, -(-where.size // _AT_ONCE)):
            covered = shares(item.footprint, snapping, lon[batch], lat[batch], extent_m)
            rank = np.where(covered >= max(by.least, 1e-12), _rank(covered) + k, _NONE)
            best[batch] = np.sort(np.column_stack([best[batch], rank]), axis=1)[:, :RANKED]
    # Scenes that cover the square in part only count where none covers it whole.
    best[(best >= _PART) & (best[:, :1] < _PART)] = _NONE
    best = np.where(best < _NONE, best % _ITEMS, -1).astype(np.int32)
    unique, which = np.unique(best, axis=0, return_inverse=True)
    scene = lru_cache(maxsize=None)(lambda k: by.scene(usable[k]))
    choices = [tuple(scene(k) for k in row[row >= 0].tolist()) for row in unique]
    return [choices[i] for i in which.ravel().tolist()]


def _merit(item: Item) -> tuple[float, float, str]:
    """What items are sorted by, whatever the place: least cloud, newest, id."""
    return cloud_cover(item), -moment(item).timestamp(), item.id


def _rank(covered: np.ndarray) -> np.ndarray:
    """The part of a rank that depends on the place; shares are compared as far as footprints are exact."""
    missing = 10_000 - np.rint(covered * 10_000).astype(np.int64)
    return np.where(covered >= _COVERED, 0, _PART + missing * _ITEMS)
