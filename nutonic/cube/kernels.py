"""Reductions over time of one tile: a list of blocks in, one array out. Numpy alone, in integers where that is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np

#: Bytes of a strip of rows with all its steps: what is sorted at a time stays in a core's cache.
STRIP = 1 << 19

#: Steps up to which a sorting network is faster than a sort of each pixel's series.
NETWORK = 64

#: A tile's steps, each (1, height, width).
Blocks = Sequence[np.ndarray]


@lru_cache(maxsize=64)
def comparators(n: int) -> tuple[tuple[int, int], ...]:
    """Pairs to compare and exchange, in order, to sort `n` values: Batcher's merge exchange (Knuth, TAOCP 3, 5.2.2 M)."""
    pairs = []
    top = 1 << max(0, (n - 1).bit_length() - 1)
    p = top if n > 1 else 0
    while p:
        q, r, d = top, 0, p
        while d:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return tuple(pairs)


def sort_series(series: np.ndarray) -> np.ndarray:
    """A series (steps, pixels) of unsigned integers sorted along its steps, in place."""
    if len(series) > NETWORK:
        series.sort(axis=0)
        return series
    spare = np.empty_like(series[0])
    for low, high in comparators(len(series)):
        np.minimum(series[low], series[high], out=spare)
        np.maximum(series[low], series[high], out=series[high])
        series[low] = spare
    return series


def _strips(blocks: Blocks) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of a tile, and their series (steps, rows × width): a copy."""
    _, height, width = blocks[0].shape
    rows = max(1, STRIP // (len(blocks) * width * blocks[0].itemsize))
    for top in range(0, height, rows):
        part = slice(top, min(top + rows, height))
        yield part, np.concatenate([block[:, part] for block in blocks]).reshape(len(blocks), -1)


def select_ranks(
    blocks: Blocks, *, nodata: int, ranks: np.ndarray, combine: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """The values of two ranks among the valid ones of each pixel, made into one.

    Parameters
    ----------
    blocks
        Of unsigned integers.
    nodata
        The value that is not valid.
    ranks
        (2, steps + 1) uint8 or uint16: for each number of valid values the two ranks, from 0.
    combine
        What makes one value of the two, in the blocks' dtype.

    Returns
    -------
    numpy.ndarray
        (height, width) in the blocks' dtype; nodata where no value is valid.
    """
    out = np.full(blocks[0].shape[1:], nodata, blocks[0].dtype)
    for rows, series in _strips(blocks):
        valid = len(series) - (series == nodata).sum(axis=0, dtype=ranks.dtype)
        shift = _nodata_last(series, nodata)
        sort_series(series)
        values = combine(*(_at(series, each.take(valid)) + series.dtype.type(shift) for each in ranks))
        values[valid == 0] = nodata
        out[rows] = values.reshape(out[rows].shape)
    return out


def _nodata_last(series: np.ndarray, nodata: int) -> int:
    """Have nodata sort behind all that is valid, in place; what to add to values after it, modulo their range."""
    last = int(np.iinfo(series.dtype).max)
    if nodata == 0:  # 0 - 1 is the largest value, and the order of all others stays
        series -= series.dtype.type(1)
        return 1
    if nodata != last:
        series[series == nodata] = last  # a valid one of this value is no other
    return 0


def _at(series: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """The value of each pixel's rank."""
    return np.asarray(series.ravel().take(rank * np.intp(series.shape[1]) + np.arange(series.shape[1])))


def median(blocks: Blocks, *, nodata: int) -> np.ndarray:
    """The median of the valid values; the mean of the two middle ones rounded half to even."""
    count = np.arange(len(blocks) + 1)
    ranks = _ranks([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(blocks) - 1)])
    return select_ranks(blocks, nodata=nodata, ranks=ranks, combine=_middle)


def _middle(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    total = low.astype(np.uint32) + high
    return np.asarray((total + ((total >> 1) & 1)) >> 1, low.dtype)


def quantile(blocks: Blocks, *, nodata: int, q: float) -> np.ndarray:
    """The max(1, ⌈q·n⌉)-th smallest of the n valid values."""
    share = Fraction(str(q))
    ranks = [max(1, ceil(share * n)) - 1 for n in range(len(blocks) + 1)]
    return select_ranks(blocks, nodata=nodata, ranks=_ranks([ranks, ranks]), combine=lambda low, _: low)


def _ranks(ranks: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
    """Ranks in as few bits as hold them: they are looked up for every pixel."""
    return np.array(ranks, np.uint8 if len(ranks[0]) <= 256 else np.uint16)


def mode(blocks: Blocks, *, nodata: int) -> np.ndarray:
    """The most frequent valid value, the smallest of several; nodata where there is none."""
    out = np.full(blocks[0].shape[1:], nodata, blocks[0].dtype)
    for rows, series in _strips(blocks):
        best = np.full(series.shape[1], nodata, series.dtype)
        most = np.zeros(series.shape[1], np.uint16)
        for value in np.unique(series):
            if value != nodata:
                count = (series == value).sum(axis=0, dtype=np.uint16)
                best[count > most] = value
                np.maximum(most, count, out=most)
        out[rows] = best.reshape(out[rows].shape)
    return out


# What is folded: a tile's state and the blocks of some more steps in, the state out


def accumulate(blocks: Blocks, state: np.ndarray | None, *, nodata: int) -> np.ndarray:
    """(2, height, width) uint32: the sum of the valid values so far, and how many they were."""
    out = np.zeros((2, *blocks[0].shape[1:]), np.uint32) if state is None else state.copy()
    for block in blocks:
        valid = block[0] != nodata
        out[0] += np.where(valid, block[0], 0)
        out[1] += valid
    return out


def mean(state: np.ndarray) -> np.ndarray:
    """(height, width) float32 of what :func:`accumulate` gives: NaN where nothing was valid."""
    total, count = state
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearest:
    """Each pixel from the best step in which it is clear."""

    bands: tuple[int, ...]
    """The nodata value of each band: a pixel is clear only where all are valid."""
    extra: int
    """How many variables are taken along, whatever they hold."""
    keep: tuple[int, ...] | None
    """Classes that are clear; None where no classification is given."""

    def __call__(self, merit: np.ndarray, variables: Sequence[Blocks], state: np.ndarray | None) -> np.ndarray:
        """(variables + 2, height, width) uint16: the pixels, then the merit they were taken by, and the step from 1.

        Parameters
        ----------
        merit
            (steps, 2) uint16: of each step in `variables` its merit, 1 the best, and its number from 1.
        variables
            The blocks of each band, then of what is taken along, then of the classification.
        state
            What earlier steps gave.
        """
        copied = len(self.bands) + self.extra
        if state is None:
            state = np.zeros((copied + 2, *variables[0][0].shape[1:]), np.uint16)
            state[copied] = np.iinfo(np.uint16).max
            for k, nodata in enumerate(self.bands):
                state[k] = nodata
        out = state.copy()
        for t, (rank, number) in enumerate(merit.tolist()):
            better = self._clear([blocks[t][0] for blocks in variables]) & (rank < out[copied])
            for k in range(copied):
                np.copyto(out[k], variables[k][t][0], where=better)
            out[copied][better], out[copied + 1][better] = rank, number
        return out

    def _clear(self, step: Sequence[np.ndarray]) -> np.ndarray:
        clear = np.logical_and.reduce([band != nodata for band, nodata in zip(step, self.bands, strict=False)])
        if self.keep is not None:
            table = np.zeros(256, bool)
            table[list(self.keep)] = True
            clear &= table[step[-1]]
        return np.asarray(clear)


def class_shares(block: np.ndarray, *, classes: tuple[int, ...], nodata: int) -> np.ndarray:
    """(classes,) float64: the share of each class among the valid pixels of a tile of uint8; NaN where none is valid."""
    counts = np.bincount(block.ravel(), minlength=256)
    valid = block.size - counts[nodata]
    return counts[list(classes)] / valid if valid else np.full(len(classes), np.nan)
