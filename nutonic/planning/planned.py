"""The places of a plan by id: which place a file belongs to, and whether a place is committed as it was planned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

from nutonic.core.model import Batch, Split


class PlaceKey(NamedTuple):
    """What identifies a place of a plan, and where its files go."""

    ordinal: int
    variant: int
    split: Split


class PlannedPlaces:
    """The places of a plan; its batches are read once, when they are first asked for."""

    def __init__(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """`batches` returns the plan's batches, in order."""
        self._batches = batches

    @property
    def by_id(self) -> dict[str, PlaceKey]:
        """Every place, in the order of the plan."""
        return self._read[0]

    @property
    def counts(self) -> dict[int, int]:
        """How many places each batch has, by its number."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[dict[str, PlaceKey], dict[int, int]]:
        by_id: dict[str, PlaceKey] = {}
        counts: dict[int, int] = {}
        for batch in self._batches():
            counts[batch.index] = len(batch.places)
            for place in batch.places:
                by_id[place.poi.id] = PlaceKey(place.poi.ordinal, place.poi.variant, place.split)
        return by_id, counts
