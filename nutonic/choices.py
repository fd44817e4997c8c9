"""Scenes of places by number: many places share few combinations of scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nutonic.model import Scene


@dataclass(frozen=True, slots=True)
class Choices:
    """A tuple of scenes for each place; 4 bytes a place, and each combination once."""

    numbers: np.ndarray
    """(places,) int32: which of `values` is a place's."""
    values: tuple[tuple[Scene, ...], ...]

    @classmethod
    def of(cls, each: Sequence[tuple[Scene, ...]]) -> Choices:
        """From one tuple a place; those that are the same object are one value, equal ones need not be."""
        number: dict[int, int] = {}
        values: list[tuple[Scene, ...]] = []
        numbers = np.empty(len(each), np.int32)
        for i, scenes in enumerate(each):
            if id(scenes) not in number:
                number[id(scenes)] = len(values)
                values.append(scenes)
            numbers[i] = number[id(scenes)]
        return cls(numbers, tuple(values))

    def __getitem__(self, i: int) -> tuple[Scene, ...]:
        return self.values[int(self.numbers[i])]

    def take(self, index: np.ndarray) -> Choices:
        """Those of the places at these positions."""
        return Choices(self.numbers[index], self.values)

    def compact(self) -> Choices:
        """Without the values that no place has any more."""
        used, numbers = np.unique(self.numbers, return_inverse=True)
        return Choices(numbers.ravel().astype(np.int32), tuple(self.values[k] for k in used.tolist()))

    def empty(self) -> np.ndarray:
        """(places,) bool: where there is no scene at all."""
        return np.asarray(np.array([not scenes for scenes in self.values], bool)[self.numbers])

    def filtered(self, keep: Callable[[Scene, int], bool]) -> Choices:
        """Only the scenes that `keep` says yes to, asked with the position of a place that they serve."""
        used, first = np.unique(self.numbers, return_index=True)
        values = list(self.values)
        for number, place in zip(used.tolist(), first.tolist(), strict=True):
            values[number] = tuple(scene for scene in values[number] if keep(scene, place))
        return Choices(self.numbers, tuple(values))
