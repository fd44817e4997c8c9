"""The look of a picture in 64 bits: the difference hash, by which pictures that look alike are found.

A picture is averaged to 8 rows of 9 cells. Each bit says whether a cell is brighter than the one left of it, so that
brightness, contrast and size do not matter. All of it is done in integers: every platform gives the same bits.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

#: Rows of cells, and bits in each of them.
SIDE = 8

#: Weights of red, green and blue in the brightness of a pixel, in thousandths (ITU-R BT.601).
_LUMA = np.array([299, 587, 114], np.int64)


def difference_hash(rgb: np.ndarray) -> int:
    """The difference hash of a picture, (height, width, 3) uint8 of at least 8 × 9 pixels: 0 to 2⁶⁴ - 1.

    The first cell's bit is the highest; cells go row by row. A picture of one colour, or one that gets nowhere brighter
    to the right, is 0.
    """
    height, width, _ = rgb.shape
    top, left, widths = _cells(height, width)
    # 16 bits are added faster, and hold the sum of 256 rows of bytes.
    kind = np.uint16 if height <= 256 * SIDE else np.uint32
    rows, down = rgb.reshape(height, 3 * width).astype(kind), np.empty((SIDE, 3 * width), kind)
    for k, (first, last) in enumerate(pairwise(top)):
        np.add.reduce(rows[first:last], axis=0, out=down[k])
    cells = np.add.reduceat(down.reshape(SIDE, width, 3), left, axis=1, dtype=np.uint32)
    sums = cells @ _LUMA  # few are left to be weighed
    brighter = sums[:, 1:] * widths[:-1] > sums[:, :-1] * widths[1:]  # heights are the same in a row, and do not matter
    return int.from_bytes(np.packbits(brighter).tobytes())


@lru_cache(maxsize=64)
def _cells(height: int, width: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Edges of the rows of cells of a picture, the first column of each cell, and how many columns it has."""
    left = np.arange(SIDE + 1) * width // (SIDE + 1)
    return [k * height // SIDE for k in range(SIDE + 1)], left, np.diff(left, append=width)
