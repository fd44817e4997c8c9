"""The look of a picture in 64 bits: the difference hash, by which pictures that look alike are found.

A picture is averaged to 8 rows of 9 cells. Each bit says whether a cell is brighter than the one left of it, so that
brightness, contrast and size do not matter. All of it is done in integers: every platform gives the same bits.
"""

from __future__ import annotations

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
    top, left = np.arange(SIDE) * height // SIDE, np.arange(SIDE + 1) * width // (SIDE + 1)
    rows = rgb.reshape(height, 3 * width).astype(np.uint32)
    down = np.stack([rows[first:last].sum(axis=0, dtype=np.uint32) for first, last in pairwise([*top, height])])
    sums = np.add.reduceat(down.reshape(SIDE, width, 3), left, axis=1) @ _LUMA  # few are left to be weighed
    widths = np.diff(left, append=width)  # heights are the same in a row, and so do not matter
    brighter = sums[:, 1:] * widths[:-1] > sums[:, :-1] * widths[1:]
    return int.from_bytes(np.packbits(brighter).tobytes())
