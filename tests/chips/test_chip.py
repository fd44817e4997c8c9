"""What is made of a tile's pixels, held against Pillow and against exact numbers."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from PIL import Image

from nutonic.chips.chip import apply_stretch, downsample, stretch_tile, valid_pixels
from nutonic.chips.cut import Strip
from nutonic.chips.regions import land_cover
from nutonic.core.classes import ClassTable
from nutonic.core.model import Tile
from nutonic.recipe.outputs import Rows, Stretch, Tiles

PIXELS = np.random.default_rng(5).integers(0, 256, (1030, 1030, 3), np.uint8)


@pytest.mark.parametrize(
    "sides", [*((n, n + 1) for n in range(2, 50)), (256, 257), (448, 449), (512, 513), (1024, 1025)]
)
def test_a_smaller_picture_is_pillows_box(sides):
    """Of every size down to half, where rows and columns are picked, and of some where Pillow does it."""
    for n in range(*sides):
        picture = PIXELS[:n, -n:]
        for size in range(max(1, n // 2 - 1), n + 1, 1 if n < 50 else 7):
            right = Image.fromarray(picture).resize((size, size), Image.Resampling.BOX)
            assert np.array_equal(downsample(picture, size), np.asarray(right)), (n, size)


@pytest.mark.long
def test_pixels_are_picked_wherever_their_centres_lie():
    """Of a row of up to 700 pixels: the first and the last of each, and the means of two."""
    for n in range(50, 700, 13):
        row = np.broadcast_to(PIXELS[0, :n, :1], (n, n, 3)).transpose(1, 0, 2)
        for size in range(n // 2 + 1, n, 5):
            right = Image.fromarray(np.ascontiguousarray(row[:, :1])).resize((1, size), Image.Resampling.BOX)
            assert np.array_equal(downsample(row, size)[:, :1], np.asarray(right)), (n, size)


@pytest.mark.parametrize(
    "limits", [(0, 65535), (1, 65535), (300, 2800), (1, 2), (0, 255), (65534, 65535), (7, 7), (9, 3), (0, 0)]
)
def test_every_number_is_stretched_exactly(limits):
    """All that 16 bits hold; as many pixels as a table has entries, and fewer."""
    numbers, (low, high) = np.arange(65536, dtype=np.uint16), limits
    exact = [
        min(255, max(0, (510 * (v - low) + high - low) // (2 * (high - low)))) if low < high else 255 * (v >= low)
        for v in numbers.tolist()
    ]
    for shape, step in (((256, 256), 1), ((16, 16), 256)):
        band = np.ascontiguousarray(numbers[step - 1 :: step].reshape(shape))
        picture = apply_stretch([band] * 3, np.ones(shape, bool), (limits,) * 3)
        for k in range(3):
            assert picture[..., k].ravel().tolist() == exact[step - 1 :: step]


def test_invalid_pixels_neither_count_nor_show():
    rgb = np.arange(1, 301, dtype=np.uint16).reshape(3, 10, 10)
    rgb[1, 0, :3] = 0
    valid = valid_pixels(rgb)
    picture, limits = stretch_tile(rgb, valid, Stretch(low=0, high=100), None)
    assert np.flatnonzero(~valid).tolist() == [0, 1, 2]
    assert limits == ((4, 100), (104, 200), (204, 300))
    assert not picture[~valid].any()
    assert picture[9, 9].tolist() == [255] * 3


@pytest.mark.parametrize("stretch", [Stretch(), Stretch(low=0, high=100), Stretch(low=33.3, high=66.7)])
@pytest.mark.parametrize("side", [1, 2, 16, 45, 46, 64])
def test_limits_are_percentiles_of_tiles_of_every_size(side, stretch):
    """Of few pixels, which are put in order, and of many, which are counted; some are not valid, and many are alike."""
    rgb = np.random.default_rng(side).integers(1, 60000, (3, side, side), dtype=np.uint16) // [[[1]], [[7]], [[9999]]]
    rgb = np.maximum(rgb, 1).astype(np.uint16)
    if side > 1:
        rgb[2, ::3, 0] = 0
    valid = valid_pixels(rgb)
    _, limits = stretch_tile(rgb, valid, stretch, None)
    ranks = [max(1, ceil(Fraction(str(p)) * int(valid.sum()) / 100)) for p in (stretch.low, stretch.high)]
    assert limits == tuple(tuple(sorted(band[valid].tolist())[rank - 1] for rank in ranks) for band in rgb)


def test_a_tile_is_a_view_of_what_was_read():
    """Bands are neither stacked nor copied before they are counted."""
    bands = [np.ones((40, 40), np.uint16) for _ in range(3)]
    strip = Strip(rgb=bands, label=np.ones((40, 40), np.uint8), tiles=())
    window = strip.window(Tile(index=0, row=8, col=4, size=16))
    assert all(np.shares_memory(part, band) for part, band in zip(window.rgb, bands, strict=True))


@pytest.mark.parametrize("most", [254, 255])
def test_regions_of_the_largest_class_ids(most):
    """One more than the largest is a number of 8 bits, or is not."""
    mask = np.zeros((16, 16), np.uint8)
    mask[:5], mask[13:, 13:] = most, 1
    table = ClassTable(name="t", labels={0: "none", 1: "one", most: "most"}, unknown=2, colors={})
    found = land_cover(mask, table, Rows(min_region_px=1), Tiles(size=16, stride=16, output_size=16))
    assert found.pieces == {0: 1, 1: 1, most: 1}
    assert {r.class_id: (r.area_px, r.bbox) for r in found.regions} == {
        0: (167, (0, 5, 16, 16)),
        1: (9, (13, 13, 16, 16)),
        most: (80, (0, 0, 16, 5)),
    }
