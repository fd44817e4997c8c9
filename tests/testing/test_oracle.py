"""The oracle against examples worked out by hand (hashes by sha256sum)."""

from __future__ import annotations

import ast
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support import oracle
from support.oracle import Rules


def test_it_imports_nothing_from_nutonic():
    tree = ast.parse(Path(oracle.__file__).read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    standard = {"__future__", "collections", "dataclasses", "fractions", "hashlib", "json", "math"}
    assert {name.split(".")[0] for name in names} <= standard | {"numpy", "PIL", "pyproj"}


# Places, tiles, shards and splits


def test_a_square_is_snapped_to_the_nearest_lattice_corner():
    # 15° E is the middle of zone 33, easting 500000; on the equator northing is 0. 40 m: 499980 to 500020, 20 to -20.
    x, y = oracle.square(15.0, 0.0, "EPSG:32633", 40)
    assert x.tolist() == [499985, 499995, 500005, 500015]
    assert y.tolist() == [15, 5, -5, -15]
    # 4 m further east the nearest corner is the same one, 6 m further it is the next: a degree is 111274 m there.
    assert oracle.square(15 + 4 / 111274, 0.0, "EPSG:32633", 40)[0][0] == 499985
    assert oracle.square(15 + 6 / 111274, 0.0, "EPSG:32633", 40)[0][0] == 499995


def test_tiles_are_numbered_row_by_row_and_only_full_ones_count():
    # 5 rows of pixels hold two rows of tiles at 0 and 2 (4 + 2 is beyond 5), 7 columns hold three at 0, 2 and 4.
    assert oracle.tile_positions(5, 7, size=2, stride=2) == [
        (0, 0, 0), (1, 0, 2), (2, 0, 4), (3, 2, 0), (4, 2, 2), (5, 2, 4),
    ]  # fmt: skip
    assert oracle.tile_positions(4, 4, size=3, stride=1) == [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1)]
    assert oracle.tile_positions(4, 4, size=5, stride=1) == []


def test_ids():
    assert oracle.tile_id(oracle.place_id(12), 3) == "poi_000012_t0003"
    assert oracle.tile_id(oracle.place_id(12, 1), 3, "flip") == "poi_000012_g001_t0003_flip"


def test_shards():
    # One tile per place and 8000 files: place 7999 is the last of the first folder.
    assert oracle.shard(7999, positions=1, files_per_dir=8000) == "s00000"
    assert oracle.shard(8000, positions=1, files_per_dir=8000) == "s00001"
    # 100 // (4 tiles × 2 views × 3 overlay rows) = 4 places; place 5, variant 2 of 2 is number 17; 17 // 4 = 4.
    many = {"positions": 4, "files_per_dir": 100, "variants": 2, "views": 2, "overlays": 3}
    assert oracle.shard(5, variant=2, **many) == "s00004"
    with pytest.raises(ValueError, match="not even one"):
        oracle.shard(0, positions=9, files_per_dir=8)


def test_splits():
    # printf poi_000012 | sha256sum → 4e63cdcb…: 0x4e63 / 0x10000 = 20067 / 65536 = 0.306; poi_000000 → 1c0e…: 0.110;
    # 0_0 → 8719…: 34585 / 65536 = 0.528; a → ca97…: 51863 / 65536 = 0.791.
    assert [oracle.split_of(key, 0.5, 0.25, 0.25) for key in ("poi_000012", "poi_000000", "0_0", "a")] == [
        "train", "train", "validation", "test",
    ]  # fmt: skip
    assert oracle.split_of("poi_000012", 0.3, 0.0, 0.7) == "test"
    assert oracle.split_of("poi_000012", 0.0, 1.0, 0.0) == "validation"
    assert oracle.split_of("a", 0.8, 0.1, 0.1) == "train"


# Labels


def test_labels_are_those_of_the_pixel_that_contains_the_point():
    array = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    # Pixels of 10 from (100, 50): columns end at 110, 120, 130, rows at 40 and 30.
    xs, ys = [99.0, 100.0, 109.9, 110.0, 129.0, 130.0], [50.1, 50.0, 40.1, 40.0, 31.0, 30.0]
    found = oracle.exact_labels(xs, ys, "EPSG:32633", "EPSG:32633", (10, 0, 100, 0, -10, 50), array, nodata=0)
    assert found.tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 2, 3, 0],
        [0, 1, 1, 2, 3, 0],
        [0, 4, 4, 5, 6, 0],
        [0, 4, 4, 5, 6, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_labels_from_another_crs():
    # On the equator, in the middle of zone 33, 0.001 degrees are 111.3 m of easting and 110.5 m of northing. The raster
    # has columns of 0.001 degrees from 222 m west to 222 m east of 15° E, and one row on either side of the equator.
    array = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)
    transform = (0.001, 0, 14.998, 0, -0.001, 0.001)
    xs = [499850, 499950, 500050, 500150, 500250]
    found = oracle.exact_labels(xs, [60, -60, -120], "EPSG:32633", "EPSG:4326", transform, array, nodata=9)
    assert found.tolist() == [[1, 2, 3, 4, 9], [5, 6, 7, 8, 9], [9, 9, 9, 9, 9]]


# Imagery


def test_percentiles():
    values = [50, 10, 40, 20, 30]
    # ⌈2·5/100⌉ = 1st, ⌈40·5/100⌉ = 2nd, ⌈41·5/100⌉ = 3rd, ⌈98·5/100⌉ = 5th; 0 is the 1st as well, 100 the last.
    assert [oracle.percentile(values, p) for p in (2, 40, 41, 98, 0, 100)] == [10, 20, 30, 50, 10, 50]
    # 0.1 % of 1000 is the 1st, not the 2nd: 0.1 is a tenth, though its double is a little more.
    assert oracle.percentile(range(1000), 0.1) == 0
    assert oracle.percentile(range(1000), 0.7) == 6


def test_only_pixels_valid_in_all_bands_count():
    rgb = np.array([[[5, 9, 7]], [[1, 0, 3]], [[4, 4, 6]]], np.uint16)
    assert oracle.observed(rgb).tolist() == [[True, False, True]]
    # Red's 9 is not among 5 and 7.
    assert oracle.stretch_limits(rgb, 2, 98) == ((5, 7), (1, 3), (4, 6))


def test_the_stretch_rounds_halves_up():
    rgb = np.array([[[100, 101, 110, 105, 300, 50, 7]]] * 3, np.uint16)
    rgb[1, 0, 6] = 0
    # Between 100 and 110: (1 · 255 + 5) // 10 = 26, (5 · 255 + 5) // 10 = 128 (127.5 goes up); beyond it is 0 and 255.
    band = oracle.stretched(rgb, [(100, 110)] * 3)
    assert band[0, :, 0].tolist() == [0, 26, 255, 128, 255, 0, 0]
    assert band[0, 6].tolist() == [0, 0, 0]
    # Each band has limits of its own: (20 · 255 + 50) // 100 = 51 and (20 · 255 + 20) // 40 = 128.
    one = np.array([[[30]], [[30]], [[30]]], np.uint16)
    assert oracle.stretched(one, [(10, 110), (10, 50), (30, 31)])[0, 0].tolist() == [51, 128, 0]


def test_downsampling_is_by_area():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :2, 0] = [[10, 20], [30, 40]]
    picture[2:, :2, 1] = 200
    picture[0, 3, 2] = 100
    small = oracle.downsampled(picture, 2)
    assert small.tolist() == [[[25, 0, 0], [0, 0, 25]], [[0, 200, 0], [0, 0, 0]]]
    assert np.array_equal(oracle.downsampled(picture, 4), picture)


def test_pixel_hash():
    # head -c 12 /dev/zero | sha256sum; printf '\001\002\003\004\005\006' | sha256sum
    nothing = "15ec7bf0b50732b49f8228e07d24365338f9e3ab994b00af08e5a3bffe55fd8b"
    assert oracle.pixels_sha256(np.zeros((2, 2, 3), np.uint8)) == nothing
    six = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    assert oracle.pixels_sha256(six) == "7192385c3c0605de55bb9476ce1d90748190ecb32a8eed7f5207b30cf6a1fe89"
    assert oracle.pixels_sha256(six[:, ::-1]) != oracle.pixels_sha256(six)


# Masks


def test_the_mask_is_sampled_at_pixel_centres():
    # 5 to 3: (i + ½) · 5 / 3 = 0.83, 2.5, 4.17 → 0, 2, 4. 4 to 2: 1, 3. 2 to 3: 0.33, 1, 1.67 → 0, 1, 1.
    five = np.arange(25, dtype=np.uint8).reshape(5, 5)
    assert oracle.sampled_mask(five, 3).tolist() == [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    assert oracle.sampled_mask(np.arange(16, dtype=np.uint8).reshape(4, 4), 2).tolist() == [[5, 7], [13, 15]]
    assert oracle.sampled_mask(np.array([[1, 2], [3, 4]], np.uint8), 3).tolist() == [[1, 2, 2], [3, 4, 4], [3, 4, 4]]


MASK = np.array(
    [
        [7, 7, 0, 3, 3],
        [7, 0, 3, 0, 3],
        [0, 7, 0, 0, 0],
        [3, 0, 0, 5, 5],
        [3, 0, 0, 5, 5],
        [0, 0, 0, 0, 7],
    ],
    np.uint8,
)


def test_counts_and_fractions_leave_unknown_out():
    counts = oracle.class_counts(MASK, unknown=0)
    assert counts == {3: 6, 5: 4, 7: 5}
    assert oracle.class_fractions(counts) == {3: 6 / 15, 5: 4 / 15, 7: 5 / 15}
    # With 255 as unknown, 0 is a class as any other: 30 pixels in all.
    assert oracle.class_counts(MASK, unknown=255)[0] == 15


NO_SMALLEST = Rules(size=10, output_size=10, min_region_px=1)


def as_tuples(regions):
    return [(region.class_id, region.bbox, region.area_px) for region in regions]


def test_regions_are_connected_by_corners_and_ordered():
    # 7 in the corner: (0,0), (0,1), (1,0), and (2,1) by its corner with (1,0). 3 at the top: (0,3), (0,4), (1,4), and
    # (1,2) by its corner with (0,3). Three areas of 4 are ordered by first pixel: (0,0), (0,3), (3,3).
    assert as_tuples(oracle.regions(MASK, 0, NO_SMALLEST)) == [
        (7, (0, 0, 2, 3), 4),
        (3, (2, 0, 5, 2), 4),
        (5, (3, 3, 5, 5), 4),
        (3, (0, 3, 1, 5), 2),
        (7, (4, 5, 5, 6), 1),
    ]


def test_small_regions_and_those_beyond_the_number_are_left_out():
    two = Rules(size=10, output_size=10, min_region_px=2)
    assert as_tuples(oracle.regions(MASK, 0, two))[-1] == (3, (0, 3, 1, 5), 2)
    assert len(oracle.regions(MASK, 0, two)) == 4
    one_each = Rules(size=10, output_size=10, min_region_px=1, max_regions_per_class=1)
    assert [region.class_id for region in oracle.regions(MASK, 0, one_each)] == [7, 3, 5]


def test_of_equal_regions_beyond_the_number_the_first_stays():
    mask = np.array([[1, 0, 1, 0, 1]], np.uint8)
    two = Rules(size=10, output_size=10, min_region_px=1, max_regions_per_class=2)
    assert [region.bbox for region in oracle.regions(mask, 0, two)] == [(0, 0, 1, 1), (2, 0, 3, 1)]


def test_the_smallest_region_on_the_mask():
    # 50 · (224 / 512)² = 9.57; 12 · (40 / 64)² = 4.6875; 50 · (256 / 512)² = 12.5; 4 · (1 / 2)² = 1 exactly.
    assert oracle.smallest_region(Rules()) == 10
    assert oracle.smallest_region(Rules(size=64, output_size=40, min_region_px=12)) == 5
    assert oracle.smallest_region(Rules(size=512, output_size=256)) == 13
    assert oracle.smallest_region(Rules(size=512, output_size=256, min_region_px=4)) == 1


# Rows


def test_boxes_are_shares_with_four_decimals():
    assert oracle.normalised((0, 0, 224, 224), 224, 224) == [0.0, 0.0, 1.0, 1.0]
    # 54 / 224 = 0.24107, 116 / 224 = 0.51786
    assert oracle.normalised((0, 54, 116, 224), 224, 224) == [0.0, 0.2411, 0.5179, 1.0]
    assert oracle.normalised((1, 1, 2, 3), 3, 4) == [0.3333, 0.25, 0.6667, 0.75]


def test_classes_with_rows_of_their_own():
    counts = {1: 5, 2: 40, 3: 4, 4: 46, 6: 5}
    # Of 100: 3 has 4 % and is too small, 5 % is enough; equal shares go by id.
    assert oracle.row_classes(counts, Rules()) == [4, 2, 1, 6]
    assert oracle.row_classes(counts, Rules(max_classes=3)) == [4, 2, 1]
    # 7 of 100 is 0.07 exactly, though 0.07 · 100 is 7.000000000000001 in doubles.
    assert oracle.row_classes({1: 7, 2: 93}, Rules(min_class_fraction=0.07)) == [2, 1]


def test_percent_rounds_halves_up():
    # 1 of 8 is 12.5, 1 of 3 is 33.3, 2 of 3 is 66.7, 1 of 200 is 0.5, 1 of 201 is less.
    pairs = [(1, 8), (1, 3), (2, 3), (1, 200), (1, 201), (7, 7)]
    assert [oracle.percent(*pair) for pair in pairs] == [13, 33, 67, 1, 0, 100]


def test_half_is_enough_to_dominate():
    assert oracle.dominant({1: 5, 2: 5}) == 1
    assert oracle.dominant({1: 4, 2: 5, 3: 1}) == 2
    assert oracle.dominant({1: 49, 2: 30, 3: 20}) is None


# Tiles

LEAST = {"min_valid_fraction": 0.25, "min_label_fraction": 0.25}
TINY = Rules(size=4, stride=4, output_size=2, low=0, high=100, min_region_px=4, min_box_px=1, **LEAST)


def tiny():
    """Values 1 to 16 in red, twice and thrice that in green and blue; the left half is class 1, the right half 2."""
    band = np.arange(1, 17, dtype=np.uint16).reshape(4, 4)
    labels = np.array([[1, 1, 2, 2]] * 4, np.uint8)
    return np.stack([band, 2 * band, 3 * band]), labels


def test_a_whole_tile():
    answer = oracle.tile_answer(*tiny(), 0, TINY)
    assert answer.rejected is None
    assert answer.limits == ((1, 16), (2, 32), (3, 48))
    # Red: (v - 1) · 17 exactly, since 255 = 15 · 17. Mean of 0, 1, 4, 5 is 2.5 steps: 42.5; the four means are 42.5,
    # 76.5, 178.5 and 212.5, and Pillow rounds halves up.
    assert answer.rgb[:, :, 0].tolist() == [[43, 77], [179, 213]]
    assert answer.mask.tolist() == [[1, 2], [1, 2]]
    assert answer.counts == {1: 2, 2: 2}
    # 4 native pixels are 1 on the mask.
    assert as_tuples(answer.regions) == [(1, (0, 0, 1, 2), 2), (2, (1, 0, 2, 2), 2)]
    classes = {1: "trees", 2: "water"}
    assert oracle.grounding_text(answer, classes, TINY) == (
        '[{"label":"trees","bbox":[0.0,0.0,0.5,1.0]},{"label":"water","bbox":[0.5,0.0,1.0,1.0]}]'
    )
    water = '[{"label":"water","bbox":[0.5,0.0,1.0,1.0]}]'
    assert oracle.grounding_text(answer, classes, TINY, 2) == water
    assert oracle.grounding_text(answer, classes, replace(TINY, max_boxes=1), 2) == water
    assert oracle.grounding_text(answer, classes, replace(TINY, min_box_px=2)) == "[]"


def test_what_is_rejected_and_why():
    rgb, labels = tiny()
    rgb[2, :, :3] = 0  # 4 of 16 remain, in one band even: a quarter is enough
    assert oracle.tile_answer(rgb, labels, 0, TINY).imagery_fraction == Fraction(1, 4)
    assert oracle.tile_answer(rgb, labels, 0, TINY).rejected is None
    rgb[1, 0, 3] = 0  # 3 of 16
    assert oracle.tile_answer(rgb, labels, 0, TINY).rejected == "imagery valid fraction"
    rgb, labels = tiny()
    labels[:3] = 0  # 4 of 16; the mask's second row is the fourth of the tile
    assert oracle.tile_answer(rgb, labels, 0, TINY).mask.tolist() == [[0, 0], [1, 2]]
    labels[3, 0] = 0
    assert oracle.tile_answer(rgb, labels, 0, TINY).rejected == "label valid fraction"
    rgb, labels = tiny()
    rgb[1] = 9
    assert oracle.tile_answer(rgb, labels, 0, TINY).rejected == "flat imagery"


def test_limits_of_the_place():
    rgb, labels = tiny()
    wide = np.concatenate([rgb, rgb + 16], axis=2), np.concatenate([labels, labels], axis=1)
    by_tile = oracle.place_answers(*wide, 0, TINY)
    assert [(answer.index, answer.row, answer.col) for answer in by_tile] == [(0, 0, 0), (1, 0, 4)]
    assert [answer.limits[0] for answer in by_tile] == [(1, 16), (17, 32)]
    by_place = oracle.place_answers(*wide, 0, Rules(**{**TINY.__dict__, "scope": "poi"}))
    assert [answer.limits[0] for answer in by_place] == [(1, 32), (1, 32)]


def test_views():
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 1, 1], [1, 1, 1, 1]], np.uint8)
    answer = oracle.tile_answer(tiny()[0], labels, 0, TINY)
    red = {None: answer} | {name: oracle.view(answer, name) for name in ("flip", "r90", "r180", "r270")}
    assert {name: view.rgb[:, :, 0].tolist() for name, view in red.items()} == {
        None: [[43, 77], [179, 213]],
        "flip": [[77, 43], [213, 179]],
        "r90": [[77, 213], [43, 179]],  # counter-clockwise: what was at the right is at the top
        "r180": [[213, 179], [77, 43]],
        "r270": [[179, 43], [213, 77]],
    }
    # The pixel of class 2, at the top right, goes to the top left, top left, bottom left and bottom right.
    boxes = {name: [r.bbox for r in view.regions if r.class_id == 2] for name, view in red.items()}
    assert boxes == {
        None: [(1, 0, 2, 1)],
        "flip": [(0, 0, 1, 1)],
        "r90": [(0, 0, 1, 1)],
        "r180": [(0, 1, 1, 2)],
        "r270": [(1, 1, 2, 2)],
    }
    assert all(view.counts == {1: 3, 2: 1} for view in red.values())
    assert [view.augmentation for view in red.values()] == [None, "flip", "r90", "r180", "r270"]


def test_rules_of_a_recipe():
    recipe = {"name": "x", "tiles": {"size": 64}, "stretch": {"low": 1}, "rows": {"caption": True, "max_classes": 3}}
    assert Rules.of(recipe) == Rules(size=64, low=1, max_classes=3)
