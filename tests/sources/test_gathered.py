"""Pixels of a raster that are found by their rows and columns."""

import numpy as np
import pytest

from nutonic.sources.backend import Window, gathered


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("corner", [(0, 0), (3_999_000, 17), (11, 3_999_000), (2_000_003, 2_000_001)])
def test_pixels_of_a_raster_with_more_than_32_bits_of_them(corner: tuple[int, int], dtype: type):
    """A row's number times a window's width is beyond 32 bits, a place in the window is not."""
    random, asked = np.random.default_rng(3), list[Window]()
    rows, cols = (
        first + random.integers(0, side, 70_000).astype(dtype) for first, side in zip(corner, (900, 1100), strict=True)
    )

    def read(window: Window) -> np.ndarray:
        asked.append(window)
        down, across = (np.arange(part.start, part.stop, dtype=np.int64) for part in window)
        return (down[:, None] * 7 + across * 3) % 251

    found = gathered(rows.astype(dtype), cols.astype(dtype), (1024, 1024), read)
    assert np.array_equal(found, (rows.astype(np.int64) * 7 + cols.astype(np.int64) * 3) % 251)
    assert len(asked) == 1
