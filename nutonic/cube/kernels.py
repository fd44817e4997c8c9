"""Reductions over time of one tile: a list of blocks in, one array out. Numpy alone, and integers where they are exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np

#: Bytes of a strip of rows with all its steps. A strip is sorted at once, and stays in a core's cache.
STRIP = 1 << 19

#: The largest number of steps for which a sorting network is faster than sorting each pixel's series.
NETWORK = 64

#: A tile's steps, each (1, height, width).
Blocks = Sequence[np.ndarray]


@lru_cache(maxsize=64)
def comparators(n: int) -> tuple[tuple[int, int], ...]:
    """The pairs to compare and exchange, in order, that sort `n` values.

    Batcher's merge exchange: Knuth, TAOCP 3, algorithm 5.2.2 M.
    """
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
    """Sort a series (steps, pixels) of unsigned integers along its steps, in place, and return it."""
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
    """Rows of a tile, and a copy of their series (steps, rows × width)."""
    _, height, width = blocks[0].shape
    rows = max(1, STRIP // (len(blocks) * width * blocks[0].itemsize))
    for top in range(0, height, rows):
        part = slice(top, min(top + rows, height))
        yield part, np.concatenate([block[:, part] for block in blocks]).reshape(len(blocks), -1)


def select_ranks(
    blocks: Blocks, *, nodata: int, ranks: np.ndarray, combine: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Take two values of each pixel by their ranks among its valid values, and combine them.

    Parameters
    ----------
    blocks
        A tile's steps, unsigned integers.
    nodata
        The value that is not valid.
    ranks
        (2, steps + 1) uint8 or uint16: the two ranks, counted from 0, for each number of valid values.
    combine
        Makes one value of two, in the blocks' dtype.

    Returns
    -------
    numpy.ndarray
        (height, width) in the blocks' dtype; nodata where no value is valid.
    """
    result = np.full(blocks[0].shape[1:], nodata, blocks[0].dtype)
    for rows, series in _strips(blocks):
        valid = len(series) - (series == nodata).sum(axis=0, dtype=ranks.dtype)
        shift = _nodata_last(series, nodata)
        sort_series(series)
        values = combine(*(_at(series, rank.take(valid)) + series.dtype.type(shift) for rank in ranks))
        values[valid == 0] = nodata
        result[rows] = values.reshape(result[rows].shape)
    return result


def _nodata_last(series: np.ndarray, nodata: int) -> int:
    """Change a series in place so that nodata sorts last; the number to add to its values afterwards, modulo their range."""
    last = int(np.iinfo(series.dtype).max)
    if nodata == 0:  # 0 - 1 wraps to the largest value, and the order of all others stays
        series -= series.dtype.type(1)
        return 1
    if nodata != last:
        series[series == nodata] = last  # a valid value may equal it, and is no different then
    return 0


def _at(series: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """The value at each pixel's rank."""
    return np.asarray(series.ravel().take(rank * np.intp(series.shape[1]) + np.arange(series.shape[1])))


def median(blocks: Blocks, *, nodata: int) -> np.ndarray:
    """The median of the valid values; for an even number, the mean of the two middle ones, rounded half to even."""
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
    """Ranks in the smallest dtype that holds them, because they are looked up for every pixel."""
    return np.array(ranks, np.uint8 if len(ranks[0]) <= 256 else np.uint16)


def mode(blocks: Blocks, *, nodata: int) -> np.ndarray:
    """The most frequent valid value; of several the smallest; nodata where no value is valid."""
    result = np.full(blocks[0].shape[1:], nodata, blocks[0].dtype)
    for rows, series in _strips(blocks):
        best = np.full(series.shape[1], nodata, series.dtype)
        highest = np.zeros(series.shape[1], np.uint16)
        for value in np.unique(series):
            if value != nodata:
                count = (series == value).sum(axis=0, dtype=np.uint16)
                best[count > highest] = value
                np.maximum(highest, count, out=highest)
        result[rows] = best.reshape(result[rows].shape)
    return result


# Folds: from a tile's state and the blocks of a few more steps to its next state


def accumulate(blocks: Blocks, state: np.ndarray | None, *, nodata: int) -> np.ndarray:
    """(2, height, width) uint32: the sum of the valid values so far, and their number."""
    sums = np.zeros((2, *blocks[0].shape[1:]), np.uint32) if state is None else state.copy()
    for block in blocks:
        valid = block[0] != nodata
        sums[0] += np.where(valid, block[0], 0)
        sums[1] += valid
    return sums


def mean(state: np.ndarray) -> np.ndarray:
    """The mean (height, width) float32 of a state of :func:`accumulate`; NaN where no value was valid."""
    total, count = state
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearest:
    """Each pixel from the best step in which it is clear."""

    bands: tuple[int, ...]
    """The nodata value of each band. A pixel is clear only where all bands are valid."""
    extra: int
    """How many further variables are copied with the bands, whatever they hold."""
    keep: tuple[int, ...] | None
    """Classes that are clear; None where no classification is given."""

    def __call__(self, merit: np.ndarray, variables: Sequence[Blocks], state: np.ndarray | None) -> np.ndarray:
        """Update a tile's state with a few more steps.

        Parameters
        ----------
        merit
            (steps, 2) uint16: the merit of each step in `variables`, 1 for the best, and its number, counted from 1.
        variables
            The blocks of each band, then of each further variable, then of the classification.
        state
            What earlier steps gave; None for the first steps.

        Returns
        -------
        numpy.ndarray
            (variables + 2, height, width) uint16: each pixel's values, then the merit of the step that they are from, and
            the number of that step, 0 for none.
        """
        n_variables = len(self.bands) + self.extra
        if state is None:
            state = np.zeros((n_variables + 2, *variables[0][0].shape[1:]), np.uint16)
            state[n_variables] = np.iinfo(np.uint16).max
            for k, nodata in enumerate(self.bands):
                state[k] = nodata
        result = state.copy()
        for t, (rank, number) in enumerate(merit.tolist()):
            better = self._clear([blocks[t][0] for blocks in variables]) & (rank < result[n_variables])
            for k in range(n_variables):
                np.copyto(result[k], variables[k][t][0], where=better)
            result[n_variables][better], result[n_variables + 1][better] = rank, number
        return result

    def _clear(self, step: Sequence[np.ndarray]) -> np.ndarray:
        clear = np.logical_and.reduce([band != nodata for band, nodata in zip(step, self.bands, strict=False)])
        if self.keep is not None:
            table = np.zeros(256, bool)
            table[list(self.keep)] = True
            clear &= table[step[-1]]
        return np.asarray(clear)


def class_shares(block: np.ndarray, *, classes: tuple[int, ...], nodata: int) -> np.ndarray:
    """The share of each class among a tile's valid pixels: (classes,) float64, NaN if no pixel is valid."""
    counts = np.bincount(block.ravel(), minlength=256)
    valid = block.size - counts[nodata]
    return counts[list(classes)] / valid if valid else np.full(len(classes), np.nan)
