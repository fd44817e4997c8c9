"""Chips in different splits that look alike: found by their difference hashes, without comparing each with each.

Two hashes at most 3 bits apart agree in one of any 4 bands of their bits. So hashes are sorted by each band in turn, and
only neighbours are compared. Where too many agree in a band, as of pictures that are half black, they are sorted
again by bands of the bits that are left.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from nutonic.core.model import SPLITS
from nutonic.core.units import counted
from nutonic.dataset.commits import CommittedPlace
from nutonic.planning.layout import default_id, variant_id

#: Hashes at most so many bits apart are of pictures that look alike.
NEAR_BITS = 3

#: A picture with at most so many bits set shows nothing to know it by: it is flat, or black.
PLAIN_BITS = 3

#: More than the variants of a place.
_VARIANTS = 2**15

#: Most hashes that are compared each with each.
_MOST = 256

#: Most pairs that are named, and most pairs of different hashes that are looked at.
_NAMED, _ENOUGH = 3, 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicates:
    """Pairs of chips in different splits that look alike."""

    pairs: dict[tuple[str, str], int]
    """Number of pairs by the two splits, in the order of splits; only where there are some."""
    examples: tuple[tuple[tuple[str, str], tuple[str, str]], ...]
    """Some of them: id and split of both chips."""
    chips: int
    """Chips that were compared."""
    plain: int
    """Chips that were not, since they are too plain."""
    more: bool
    """Whether there are more pairs than were counted."""

    def in_words(self) -> str | None:
        """A line that says how many there are, and which for example; None if there are none."""
        total = sum(self.pairs.values())
        if not total:
            return None
        counts = ", ".join(f"{one} and {other} {count:,}" for (one, other), count in self.pairs.items())
        (one, split), (other, other_split) = self.examples[0]
        where = "of chips in different splits"
        pairs = counted(total, f"pair {where} looks", f"pairs {where} look")
        least = "at least " if self.more else ""
        return f"{least}{pairs} alike ({counts}), such as {one} ({split}) and {other} ({other_split})"


class Likenesses:
    """The difference hashes of original chips; 16 bytes each, 9 for each place, and the ids that a person gave to places."""

    def __init__(self) -> None:
        self._hashes, self._tiles, self._places = array("Q"), array("I"), array("I")
        self._orders, self._splits = array("q"), array("b")
        self._ids, self._ends, self._named = bytearray(), array("Q"), array("I")

    @classmethod
    def of(cls, entries: Iterable[CommittedPlace]) -> Likenesses:
        """Those of committed places."""
        likenesses = cls()
        for entry in entries:
            likenesses.add(entry)
        return likenesses

    def add(self, entry: CommittedPlace) -> None:
        """Take the chips of a place."""
        chips = entry.content.get("chips") or {}
        if not chips:
            return
        ordinal, variant = entry.order
        self._hashes.extend(int(chip["dhash"], 16) for chip in chips.values())
        self._tiles.extend(map(int, chips))
        self._places.extend([len(self._splits)] * len(chips))
        self._orders.append(ordinal * _VARIANTS + variant)
        self._splits.append(SPLITS.index(entry["split"]))
        if entry["poi_id"] != _id_of(self._orders[-1]):
            self._ids += entry["poi_id"].encode()
            self._ends.append(len(self._ids))
            self._named.append(len(self._orders) - 1)

    def extend(self, other: Likenesses) -> None:
        """Take the chips of places that come behind these."""
        before, ids = len(self._orders), len(self._ids)
        self._places.extend(place + before for place in other._places)
        self._named.extend(place + before for place in other._named)
        self._ends.extend(end + ids for end in other._ends)
        self._ids += other._ids
        for name in ("_hashes", "_tiles", "_orders", "_splits"):
            getattr(self, name).extend(getattr(other, name))

    def near_duplicates(self) -> NearDuplicates:
        """The pairs in different splits. The order in which places were added does not matter."""
        hashes = np.array(self._hashes, np.uint64)
        splits = np.array(self._splits, np.int8)[np.array(self._places)]
        seen = np.bitwise_count(hashes) > PLAIN_BITS
        plain = len(hashes) - int(np.count_nonzero(seen))
        if plain:
            hashes, splits = hashes[seen], splits[seen]
        chips = len(hashes)
        table = _Table.of(hashes, splits)
        del hashes, splits, seen  # some 20 bytes a chip
        pairs, examples, more = table.counted()
        return NearDuplicates(
            pairs=dict(sorted(pairs.items(), key=lambda entry: tuple(map(SPLITS.index, entry[0])))),
            more=more,
            examples=tuple((self._first(*one), self._first(*other)) for one, other in examples),
            chips=chips,
            plain=plain,
        )

    def _first(self, split: int, value: int) -> tuple[str, str]:
        """Id and split of the first chip of a split with this hash, in the order of the dataset."""
        alike = np.flatnonzero(np.array(self._hashes, np.uint64) == np.uint64(value)).tolist()
        of_split = (chip for chip in alike if self._splits[self._places[chip]] == split)
        return self._name(min(of_split, key=lambda chip: (self._orders[self._places[chip]], self._tiles[chip])))

    def _name(self, chip: int) -> tuple[str, str]:
        """Id and split of a chip."""
        place = self._places[chip]
        at, name = bisect_left(self._named, place), _id_of(self._orders[place])
        if at < len(self._named) and self._named[at] == place:
            name = self._ids[self._ends[at - 1] if at else 0 : self._ends[at]].decode()
        return f"{name}_t{self._tiles[chip]:04d}", SPLITS[self._splits[place]]


def _id_of(order: int) -> str:
    """The id of a place to which nobody gave one."""
    ordinal, variant = divmod(order, _VARIANTS)
    return variant_id(default_id(ordinal), variant)


#: A split, and a hash that a chip of it has.
_Which = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Table:
    """Hashes that occur, each once."""

    values: np.ndarray
    """(n,) uint64, ascending."""
    counts: np.ndarray
    """(splits, n): how many chips of each split have it."""

    @classmethod
    def of(cls, hashes: np.ndarray, splits: np.ndarray) -> _Table:
        values = np.sort(hashes)  # np.unique would take three times the memory
        values = values[np.append(True, values[1:] != values[:-1])[: len(values)]]
        counts = np.zeros((len(SPLITS), len(values)), np.int32)
        for split in range(len(SPLITS)):
            of_split = np.sort(hashes[splits == split])
            starts = np.flatnonzero(np.append(True, of_split[1:] != of_split[:-1])[: len(of_split)])
            counts[split, np.searchsorted(values, of_split[starts])] = np.diff(starts, append=len(of_split))
        return cls(values, counts)

    def counted(self) -> tuple[Counter[tuple[str, str]], list[tuple[_Which, _Which]], bool]:
        """Number of pairs by their two splits, some of them, and whether there are more than were looked at."""
        totals, examples, looked = Counter[tuple[str, str]](), list[tuple[_Which, _Which]](), 0
        for i, j in self._alike():
            looked += len(i)
            both = combinations if i is j else permutations
            for one, other in both(range(len(SPLITS)), 2):
                number = self.counts[one, i].astype(np.int64) * self.counts[other, j]
                totals[SPLITS[min(one, other)], SPLITS[max(one, other)]] += int(number.sum())
                some = np.flatnonzero(number)[: _NAMED - len(examples)]
                found = zip(self.values[i[some]].tolist(), self.values[j[some]].tolist(), strict=True)
                examples += (((one, value), (other, its)) for value, its in found)
                del number, some  # of millions
            del i, j
            if looked > _ENOUGH + len(self.values):
                return +totals, examples, True
        return +totals, examples, False

    def _alike(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs of values: each with itself, then each two that are near."""
        if np.count_nonzero(self.counts.any(axis=1)) > 1:
            yield (np.arange(len(self.values), dtype=np.uint32),) * 2
            yield from near(self.values)


def near(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of all pairs of different hashes at most `NEAR_BITS` apart, in pieces, each pair once.

    Parameters
    ----------
    values
        (n,) uint64, none twice.
    """
    yield from _within(values, np.arange(len(values), dtype=np.uint32), range(64), ())


def _within(
    values: np.ndarray, at: np.ndarray, bits: Sequence[int], told: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same among some values that differ in nothing but `bits`; without pairs that agree in a band of `told`."""
    bands = NEAR_BITS + 1
    for number in range(bands):
        band = bits[number::bands]
        mask = sum(1 << bit for bit in band)
        keys = values[at] & np.uint64(mask)
        order = np.argsort(keys, kind="stable").astype(np.uint32)
        here, keys = at[order], keys[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
        sizes = np.diff(starts, append=len(keys))
        del order, keys  # there may be millions
        few = here if (sizes <= _MOST).all() else here[np.repeat(sizes <= _MOST, sizes)]
        yield from _neighbours(values, few, mask, told)
        rest = [bit for bit in bits if bit not in band]
        for start, size in zip(starts[sizes > _MOST].tolist(), sizes[sizes > _MOST].tolist(), strict=True):
            yield from _within(values, here[start : start + size], rest, told)
        told = (*told, mask)


def _neighbours(
    values: np.ndarray, at: np.ndarray, mask: int, told: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Near pairs of values that agree in a band; `at` is sorted by it."""
    these, step = values[at], 1
    apart, one = these[:-1] ^ these[1:], np.arange(max(0, len(at) - 1), dtype=np.uint32)
    while len(one):
        agree = (apart & np.uint64(mask)) == 0
        one, apart = one[agree], apart[agree]
        close = np.bitwise_count(apart) <= NEAR_BITS
        if close.any():
            first, apart = one[close], apart[close]
            new = np.logical_and.reduce([(apart & np.uint64(other)) != 0 for other in told] or [np.True_])
            new = np.broadcast_to(new, len(first))
            yield at[first[new]], at[first[new] + step]
        step += 1
        one = one[: np.searchsorted(one, np.uint32(max(0, len(at) - step)))]
        apart = these[one] ^ these[one + step]
