"""The difference hash: against one made of fractions, one cell after the other."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nutonic.chips.likeness import difference_hash


def by_hand(rgb: np.ndarray) -> int:
    """Cell by cell: the mean brightness of each, and whether it is above the one left of it."""
    height, width, _ = rgb.shape

    def mean(row: int, col: int) -> Fraction:
        rows = range(row * height // 8, (row + 1) * height // 8)
        cols = range(col * width // 9, (col + 1) * width // 9)
        values = [
            299 * int(r) + 587 * int(g) + 114 * int(b) for y in rows for r, g, b in rgb[y, cols.start : cols.stop]
        ]
        return Fraction(sum(values), len(values))

    bits = [mean(row, col + 1) > mean(row, col) for row in range(8) for col in range(8)]
    return int("".join(str(int(bit)) for bit in bits), 2)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 31), (40, 40), (9, 64)])
def test_a_hash_is_that_of_its_cells(height: int, width: int):
    rgb = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    assert difference_hash(rgb) == by_hand(rgb)


def test_a_hash_says_where_a_picture_gets_brighter():
    ramp = np.repeat(np.repeat(np.arange(0, 224, dtype=np.uint8)[None, :, None], 224, axis=0), 3, axis=2)
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp[:, ::-1]) == 0
    upper = ramp.copy()
    upper[112:] = 7
    assert difference_hash(upper) == 0xFFFFFFFF00000000
    # Green alone counts more than red and blue together.
    colours = np.zeros((16, 18, 3), np.uint8)
    colours[:, ::4, 1], colours[:, 1::4, 1], colours[:, 2::4] = 100, 100, (100, 0, 100)
    colours[:, 3::4] = (100, 0, 100)
    assert difference_hash(colours) == int("01010101" * 8, 2)


def test_brightness_contrast_and_size_do_not_matter():
    rgb = np.random.default_rng(5).integers(20, 100, (72, 72, 3), np.uint8)
    assert difference_hash(rgb * 2 + 40) == difference_hash(rgb) == difference_hash(rgb.repeat(3, 0).repeat(3, 1))
    assert difference_hash(np.full((224, 224, 3), 255, np.uint8)) == 0
