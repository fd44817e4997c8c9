"""How much of a tree's questions can be answered without the pictures: of its rows alone, at most some thousand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import orjson

from nutonic.core.classes import ClassTable
from nutonic.core.units import counted_of
from nutonic.dataset.index import Spans
from nutonic.dataset.parts.rows import rows_of
from nutonic.io.objects import Store
from nutonic.recipe.outputs import Rows
from nutonic.recipe.texts import texts_of
from nutonic.rows.blind import Asked, Guessable, asked_of, guessable
from nutonic.rows.wording import Wording, wording_of

#: Rows that are read, of whole places.
_MOST_ROWS = 24_000

#: Places that are looked at together.
_AT_ONCE = 2**16

#: Of fewer rows of a kind nothing follows.
_FEW = 30

#: From how far between chance and certainty on a kind is told of: 85 % of yes or no.
_FAR = 0.7

#: What is wrong with a line that is no row of ours.
_ODD = (KeyError, IndexError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """What somebody gets right who sees questions alone."""

    kinds: tuple[Guessable, ...]
    places: int
    """So many were looked at."""
    of: int
    """Of so many that have rows."""

    @property
    def told(self) -> str:
        """How the figures came about, in a sentence or two."""
        drawn = f" {counted_of(self.places, self.of, 'place')} were drawn for it." if self.places < self.of else ""
        return (
            "Somebody who sees the question alone answers what was most often right to such questions of other places: of "
            f"each half of the places as the other half teaches.{drawn} Of fewer than {_FEW} rows nothing follows."
        )

    @property
    def warnings(self) -> list[str]:
        """A sentence for each kind whose answers questions nearly give away."""
        return [
            f"{each.kind}: {each.share:.0%} are right without the picture, by chance {each.chance:.0%}. A model learns "
            "these answers from the questions. Add places where they are other ones, or leave these rows out of training "
            f"and tests: their ids end in __{each.kind}."
            for each in self.kinds
            if each.rows >= _FEW and each.share - each.chance > _FAR * (1 - each.chance)
        ]


def guesses(store: Store, spans: Spans, rows: Rows, table: ClassTable) -> Guesses:
    """Read the rows of some places, drawn by the places' ordinals alone, and see what can be guessed.

    Parameters
    ----------
    store, spans
        The tree, and where the rows of its places lie.
    rows, table
        By whose words and classes rows are read back; what cannot be read by them is not counted.

    Raises
    ------
    Corrupt, StoreError
        If a part cannot be read, or is not what was written.
    """
    some, of = _drawn(spans)
    wording = wording_of(texts_of(rows.wording), table)
    halves: tuple[list[Asked], list[Asked]] = ([], [])
    ordinals = some.column("ordinal")
    half = _mixed(ordinals, np.zeros_like(ordinals)) & np.uint64(
        1
    )  # copies of a place, moved a little, are in the same
    for which, lines in zip(half.tolist(), rows_of(store, some), strict=True):
        halves[which].extend(_asked(lines, wording))
    return Guesses(kinds=tuple(guessable(halves)), places=len(some), of=of)


def _asked(lines: bytes, wording: Wording) -> Iterator[Asked]:
    for line in lines.splitlines():
        try:
            asked = asked_of(orjson.loads(line), wording)
        except _ODD:
            continue
        if asked is not None:
            yield asked


def _drawn(spans: Spans) -> tuple[Spans, int]:
    """Places with rows, as many as have rows enough together, in the order of the dataset; and how many there are."""
    keys, at, every, of = np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64), 0
    for first in range(0, len(spans), _AT_ONCE):
        some = spans.between(first, first + _AT_ONCE)
        rows = some.column("rows")
        asked = np.flatnonzero(rows > 0)
        of += len(asked)
        drawn = _mixed(some.column("ordinal")[asked], some.column("variant")[asked] + 1)
        keys = np.concatenate([keys, drawn])
        at, every = np.concatenate([at, first + asked]), np.concatenate([every, rows[asked]])
        best = np.lexsort((at, keys))[:_MOST_ROWS]  # each place has a row
        keys, at, every = keys[best], at[best], every[best]
    count = max(1, int(np.searchsorted(np.cumsum(every), _MOST_ROWS, side="right")))
    chosen = np.sort(at[:count])
    chosen = (chosen if spans.at is None else spans.at[chosen]).astype(np.uint32)
    return Spans(spans.every, spans.parts, chosen), of


def _mixed(ordinals: np.ndarray, salts: np.ndarray) -> np.ndarray:
    """(n,) uint64: numbers that look random, of the ordinals and salts alone (splitmix64)."""
    with np.errstate(over="ignore"):
        z = (ordinals.astype(np.uint64) + (salts.astype(np.uint64) << np.uint64(40)) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))
