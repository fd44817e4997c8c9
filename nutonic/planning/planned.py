"""The places of a plan by id: which place a file belongs to, and whether a place is committed as it was planned.

And what is told of ground that they share.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nutonic.core.model import SPLITS, Batch, Split
from nutonic.lazily import lazily


class PlaceKey(NamedTuple):
    """What identifies a place of a plan, and where its files go."""

    ordinal: int
    variant: int
    split: Split


def short(name: str) -> int:
    """A name as 64 bits: of millions, no two agree but by a chance of one in millions."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest())


class PlaceTable(Mapping[str, PlaceKey]):
    """Every place by its id, in the order of the plan; some 25 bytes each, since there may be millions.

    Of ids only hashes are kept: whoever asks for the ids themselves has the plan read again.
    """

    def __init__(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """`batches` returns the plan's batches, in order; they are read once now."""
        self._batches = batches
        hashes, ordinals, variants = array("Q"), array("q"), array("i")
        splits, counts = array("b"), dict[int, int]()
        for batch in batches():
            counts[batch.index] = len(batch.places)
            for place in batch.places:
                hashes.append(short(place.poi.id))
                ordinals.append(place.poi.ordinal)
                variants.append(place.poi.variant)
                splits.append(SPLITS.index(place.split))
        self.counts = counts
        self.ordinals, self.variants = np.frombuffer(ordinals, np.int64), np.frombuffer(variants, np.int32)
        self._splits = np.frombuffer(splits, np.int8)
        unsorted = np.frombuffer(hashes, np.uint64)
        self._order = np.argsort(unsorted, kind="stable").astype(np.uint32)
        self._hashes = unsorted[self._order]
        self._different = len(self._hashes) - int(np.count_nonzero(self._hashes[1:] == self._hashes[:-1]))

    def __getitem__(self, name: str) -> PlaceKey:
        value = np.uint64(short(name))
        at = int(np.searchsorted(self._hashes, value, side="right")) - 1  # of two, the one that comes last
        if at < 0 or self._hashes[at] != value:
            raise KeyError(name)
        place = self._order[at]
        return PlaceKey(int(self.ordinals[place]), int(self.variants[place]), SPLITS[self._splits[place]])

    def unlike(self, hashes: np.ndarray, ordinals: np.ndarray, variants: np.ndarray, splits: np.ndarray) -> np.ndarray:
        """Positions among some places of those that the plan does not have, or has otherwise.

        Parameters
        ----------
        hashes
            (n,) uint64: of their ids, by :func:`short`.
        ordinals, variants, splits
            (n,): what they are said to be; splits as positions among SPLITS.
        """
        if not len(self._hashes):
            return np.arange(len(hashes))
        at = np.searchsorted(self._hashes, hashes, side="right") - 1  # of two, the one that comes last
        place = self._order[at]
        same = (at >= 0) & (self._hashes[at] == hashes) & (self._splits[place] == splits)
        return np.flatnonzero(~(same & (self.ordinals[place] == ordinals) & (self.variants[place] == variants)))

    def __len__(self) -> int:
        """How many different ids there are."""
        return self._different

    def __iter__(self) -> Iterator[str]:
        return (place.poi.id for batch in self._batches() for place in batch.places)


class PlannedPlaces:
    """The places of a plan; its batches are read once, when they are first asked for."""

    def __init__(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """`batches` returns the plan's batches, in order."""
        self._all = batches

    @lazily
    def by_id(self) -> PlaceTable:
        """Every place, in the order of the plan."""
        return PlaceTable(self._all)

    @property
    def counts(self) -> dict[int, int]:
        """How many places each batch has, by its number."""
        return self.by_id.counts


def shared_ground_line(shared: Any, by: str, what: str) -> str | None:
    """That so many places or patches share ground across splits, as plans and proofs tell it; None if none do."""
    if not (isinstance(shared, int) and shared):
        return None
    return (
        f"{shared:,} {what} share ground, directly or through others, with {what} of another split: splits by {by} do not "
        "keep ground apart"
    )
