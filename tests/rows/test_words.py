"""Masks to words and boxes: regions against a flood fill, and captions whose numbers are the fractions'."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import orjson
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from odc.geo.geobox import GeoBox
from support import oracle

from nutonic.chips.regions import LandCover, land_cover, min_region_pixels
from nutonic.core.classes import ClassTable
from nutonic.core.model import Asset, Chip, PlannedPlace, Poi, Scene, Tile
from nutonic.recipe.outputs import Rows, Tiles
from nutonic.recipe.yaml import parse_recipe
from nutonic.rows.captions import caption, class_caption, percent, position
from nutonic.rows.context import ChipContext, PlaceResult, chip_context
from nutonic.rows.rows import rows_of
from nutonic.rows.sidecar import sidecar_of

NAMES = {1: "tree cover", 2: "water", 3: "built-up", 5: "bare", 6: "grass", 7: "crops"}
TABLE = ClassTable(name="test", labels=NAMES, unknown=0, colors={})
PLAIN = Tiles(size=64, output_size=64)


def cover(mask, *, min_region_px=1, most=24, tiles=PLAIN) -> LandCover:
    rows = Rows(min_region_px=min_region_px, max_regions_per_class=most)
    return land_cover(np.asarray(mask, np.uint8), TABLE, rows, tiles)


def picture(text: str) -> np.ndarray:
    """A mask drawn with digits; a dot is unlabelled."""
    return np.array([[int(c.replace(".", "0")) for c in line] for line in text.split()], np.uint8)


def shares(counts: dict[int, int], shape=(20, 20)) -> np.ndarray:
    """A mask with so many pixels of each class, row by row, the rest unlabelled."""
    mask = np.zeros(shape, np.uint8)
    values = np.concatenate([np.full(count, class_id) for class_id, count in counts.items()])
    mask.ravel()[: len(values)] = values
    return mask


# Regions


@given(
    mask=arrays(
        np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=14), elements=st.sampled_from([0, 1, 2, 5])
    ),
    native=st.integers(1, 12),
    most=st.integers(1, 4),
    output=st.integers(16, 64),
)
def test_regions_and_counts_equal_a_flood_fills(mask, native, most, output):
    rules = oracle.Rules(size=32, output_size=output, min_region_px=native, max_regions_per_class=most)
    found = cover(mask, min_region_px=native, most=most, tiles=Tiles(size=32, output_size=output))
    expected = oracle.regions(mask, 0, rules)
    assert [(r.class_id, r.bbox, r.area_px) for r in found.regions] == [
        (r.class_id, r.bbox, r.area_px) for r in expected
    ]
    assert all(r.label == NAMES[r.class_id] for r in found.regions)
    assert dict(found.counts) == oracle.class_counts(mask, 0)
    assert found.valid == np.count_nonzero(mask)
    assert list(found.counts) == sorted(found.counts)


def test_pixels_that_touch_at_a_corner_are_one_region():
    found = cover(picture("1..2 .1.2 ..1. 2..1")).regions
    assert [(r.class_id, r.bbox, r.area_px) for r in found] == [
        (1, (0, 0, 4, 4), 4),
        (2, (3, 0, 4, 2), 2),
        (2, (0, 3, 1, 4), 1),
    ]
    corner = cover(picture("12 21")).regions  # both diagonals connect, each through the other
    assert [(r.class_id, r.bbox, r.area_px) for r in corner] == [(1, (0, 0, 2, 2), 2), (2, (0, 0, 2, 2), 2)]


def test_regions_of_one_size_are_ordered_by_their_first_pixel():
    # Three pixels each. The bottom one starts left of all, the first pixel of the L in row 0 is not its box's corner.
    found = cover(picture("..1.22 .11..2 ...... 5.5... .5....")).regions
    assert [(r.class_id, r.bbox) for r in found] == [(1, (1, 0, 3, 2)), (2, (4, 0, 6, 2)), (5, (0, 3, 3, 5))]
    # The same box, the same size: the first pixel decides, although the class id is larger and the column too.
    crossed = cover(picture("5.1 151 515")).regions
    assert [(r.class_id, r.area_px) for r in crossed] == [(5, 4), (1, 4)]


def test_only_the_largest_regions_of_each_class_are_kept():
    found = cover(picture("11.2.1 ...... 2.1.22 ......"), most=1).regions
    assert [(r.class_id, r.bbox) for r in found] == [(1, (0, 0, 2, 1)), (2, (4, 2, 6, 3))]


@pytest.mark.parametrize(
    ("native", "size", "output", "expected"),
    [
        (50, 512, 224, 10),
        (50, 224, 224, 50),
        (12, 64, 40, 5),
        (1, 8192, 16, 1),
        (16, 64, 16, 1),
        (17, 64, 16, 2),
        (3, 16, 32, 12),
    ],
)
def test_the_least_region_is_native_and_rounded_up_on_the_mask(native, size, output, expected):
    assert min_region_pixels(native, Tiles(size=size, output_size=output)) == expected


def test_the_least_region_is_measured_on_the_mask():
    mask = picture("1111.22 1.....2 ....... 2222222")
    tiles = Tiles(size=32, output_size=16)  # a quarter: 20 native pixels are 5 here
    assert [(r.class_id, r.area_px) for r in cover(mask, min_region_px=20, tiles=tiles).regions] == [(2, 7), (1, 5)]
    assert [(r.class_id, r.area_px) for r in cover(mask, min_region_px=21, tiles=tiles).regions] == [(2, 7)]


# Numbers in words


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (0, 10, "0%"), (1, 1, "100%"), (1, 3, "33%"), (2, 3, "67%"), (1, 200, "1%"), (1, 201, "under 1%"),
        (1, 10**9, "under 1%"), (5, 1000, "1%"), (25, 1000, "3%"), (145, 1000, "15%"), (144, 1000, "14%"),
        (499, 1000, "just under 50%"), (500, 1000, "50%"),
        (994, 1000, "99%"), (995, 1000, "over 99%"), (10**9 - 1, 10**9, "over 99%"),
    ],
)  # fmt: skip
def test_a_share_is_rounded_halves_up_and_never_to_nothing_or_all(part, whole, expected):
    assert percent(part, whole) == expected


@given(part=st.integers(0, 10**6), more=st.integers(0, 10**6))
def test_percent_is_within_half_of_the_share(part, more):
    whole = part + max(more, 1)
    text = percent(part, whole)
    share = Fraction(100 * part, whole)
    if text == "under 1%":
        assert 0 < share < Fraction(1, 2)
    elif text == "over 99%":
        assert Fraction(199, 2) <= share < 100
    else:
        number = int(text.removeprefix("just under ")[:-1])
        assert abs(share - number) <= Fraction(1, 2)
        assert number == oracle.percent(part, whole)
        assert text.startswith("just under") is (number == 50 and share < 50)


@pytest.mark.parametrize(("first", "dominates"), [(200, True), (201, True), (199, False)])
def test_dominated_by_is_said_from_exactly_half_on(first, dominates):
    text = caption(cover(shares({1: first, 2: 150, 3: 250 - first})), 640)
    assert ("dominated by tree cover (50%)" in text) is dominates
    assert ("of mixed land cover. Most of all it shows tree cover (just under 50%)" in text) is not dominates


def test_half_is_of_the_labelled_pixels():
    text = caption(cover(shares({1: 50, 2: 50})), 640)  # an eighth of the picture each
    assert "dominated by tree cover (50%)" in text
    assert text.endswith("Shares are of the labelled part, 25% of the image.")
    assert "labelled" not in caption(cover(shares({1: 200, 2: 200})), 640)


def test_a_single_class_is_all_there_is():
    assert caption(cover(shares({2: 400})), 5120) == "A satellite image of 5.1 by 5.1 km, entirely water."
    part = caption(cover(shares({2: 100})), 640)
    assert part == "A satellite image of 640 by 640 m, entirely water as far as it is labelled, 25% of the image."


def test_a_caption_tells_every_class_once_largest_first():
    counts = {3: 10, 1: 160, 6: 1, 2: 120, 7: 20, 5: 89}
    text = caption(cover(shares(counts)), 640)
    assert re.findall("|".join(NAMES.values()), text) == ["tree cover", "water", "bare", "crops", "built-up", "grass"]
    assert text.endswith("Smaller parts: crops (5%), built-up (3%), grass (under 1%).")
    assert "Further classes: water (30%), " in text


@given(st.lists(st.integers(0, 300), min_size=6, max_size=6).filter(any))
def test_a_class_has_one_share_wherever_it_is_told(numbers):
    counts = {c: n for c, n in zip(NAMES, numbers, strict=True) if n}
    seen = cover(shares(counts, (45, 41)), min_region_px=10)
    text, largest = caption(seen, 640), oracle.by_share(counts)[0]
    assert ("dominated by" in text) is (len(counts) > 1 and oracle.dominant(counts) is not None)
    for class_id, count in counts.items():
        share = percent(count, sum(counts.values()))
        whole = "the image" if sum(counts.values()) == 45 * 41 else "the labelled part of the image"
        start = f"{share[0].upper()}{share[1:]} of {whole} is {NAMES[class_id]}, "
        assert class_caption(seen, class_id).startswith(start)
        assert seen.fraction(class_id) == count / sum(counts.values())
        if len(counts) > 1:
            assert f"{NAMES[class_id]} ({share})" in text
        else:
            assert f"entirely {NAMES[largest]}" in text


# Where

CELLS = (
    "in the upper left corner", "at the top", "in the upper right corner", "on the left", "in the centre",
    "on the right", "in the lower left corner", "at the bottom", "in the lower right corner",
)  # fmt: skip


@pytest.mark.parametrize("shape", [(18, 18), (40, 40), (17, 23)])
@pytest.mark.parametrize("k", range(9))
def test_a_class_in_a_ninth_is_told_by_its_name(k, shape):
    mask, (height, width) = np.full(shape, 2, np.uint8), shape
    y, x = (k // 3 * 2 + 1) * height // 6, (k % 3 * 2 + 1) * width // 6
    mask[y, x] = 1
    assert position(cover(mask), 1) == CELLS[k]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # Pixels in the 6 × 6 parts of the image, a digit for each.
        ("900000 000000 000000 000000 000000 000001", "in the upper left corner"),  # nine tenths exactly
        ("800000 000000 000000 000000 000000 000001", "mostly in the upper left corner"),
        ("111111 000000 000000 000000 000000 000000", "along the top"),
        ("111111 111111 111111 000000 000000 000000", "in the upper half"),
        ("000000 000000 000000 111111 111111 111111", "in the lower half"),
        ("111000 111000 111000 111000 111000 111000", "in the left half"),
        ("000111 000111 000111 000111 000111 000111", "in the right half"),
        ("000000 001000 010000 000000 000000 000000", "in the upper left quarter"),  # one patch over a corner of ninths
        ("000000 000000 111111 111111 000000 000000", "in a band across the middle"),
        ("001100 001100 001100 001100 001100 001100", "in a band down the middle"),
        ("000000 010010 000000 000000 010010 000000", "around the centre"),
        ("100000 100000 100000 100000 100000 100001", "mostly along the left side"),
        ("900000 000000 000000 000000 000000 000009", "in several parts of the image"),  # half each
        ("111111 111111 111111 111111 111111 111111", "spread across the image"),
    ],
)
def test_the_smallest_part_that_holds_a_class_is_named(cells, expected):
    numbers = [[int(c) for c in line] for line in cells.split()]
    mask = np.full((60, 72), 2, np.uint8)
    for i, j in np.ndindex(6, 6):
        mask[10 * i : 10 * i + numbers[i][j], 12 * j] = 1
    assert position(cover(mask), 1) == expected


def test_no_word_survives_a_flip_or_a_turn():
    mask = np.full((30, 30), 2, np.uint8)
    mask[1:6, 21:29] = 1
    said = [position(cover(m), 1) for m in (mask, mask[::-1], mask[:, ::-1], mask[::-1, ::-1])]
    assert said == [f"in the {name} corner" for name in ("upper right", "lower right", "upper left", "lower left")]


# One class in words


def test_a_class_is_told_with_its_patches():
    mask = np.full((20, 20), 2, np.uint8)
    mask[0:4, 0:5], mask[10:12, 10:15], mask[19, 19] = 1, 1, 1
    head = "8% of the image is tree cover, in several parts of the image"
    assert class_caption(cover(mask, min_region_px=2), 1) == f"{head}, in 2 patches; the largest holds 65% of it."
    assert class_caption(cover(mask, min_region_px=11), 1) == f"{head}; one patch holds 65% of it."
    assert class_caption(cover(mask, min_region_px=21), 1) == f"{head}, in scattered pixels too small to outline."
    mask[10:12, 10:15], mask[19, 19] = 2, 2
    assert class_caption(cover(mask), 1) == "5% of the image is tree cover, in the upper left corner, in one piece."


def test_patches_are_counted_beyond_those_that_are_outlined():
    mask = np.full((40, 40), 2, np.uint8)
    for k in range(9):
        mask[4 * k : 4 * k + 2, 4 * k : 4 * k + 2] = 1
    seen = cover(mask, min_region_px=4, most=3)
    assert len(seen.regions_of(1)) == 3
    assert "in 9 patches; " in class_caption(seen, 1)


# Rows


def sample_of(mask: np.ndarray, min_region_px: int = 1) -> ChipContext:
    asset = Asset(
        name="red",
        href="/x/red.tif",
        written="red.tif",
        crs="EPSG:32633",
        transform=(10, 0, 0, 0, -10, 0),
        shape=(64, 64),
        nodata=0,
    )
    assets = tuple(replace(asset, name=name) for name in ("red", "green", "blue"))
    scene = Scene(
        id="s", collection="c", source="stac", datetime="2024-05-01T00:00:00Z", cloud_cover=1.0, assets=assets
    )
    poi = Poi(id="poi_000012", base_id="poi_000012", ordinal=12, variant=0, lon=15.0, lat=46.0)
    place = PlannedPlace(poi=poi, split="train", imagery=(scene,), labels=())
    grid = GeoBox((64, 64), Affine(10, 0, 500_000, 0, -10, 5_100_000), "EPSG:32633")
    chip = Chip(
        rgb=np.zeros((*mask.shape, 3), np.uint8), mask=mask, limits=((1, 2), (3, 4), (5, 6)), valid_fraction=1.0
    )
    taken = PlaceResult(place=place, scene=scene, substituted=None, bands=("red", "green", "blue"), geobox=grid)
    return chip_context(
        taken,
        Tile(index=3, row=0, col=0, size=64),
        ("poi_000012_t0003", "images/s00000/poi_000012_t0003.png"),
        chip,
        cover(mask, min_region_px=min_region_px),
        640.0,
    )


def recipe(**rows):
    dataset = {"name": "test", "classes": NAMES, "unknown": 0}
    return parse_recipe(
        {
            "name": "x",
            "pois": {"path": "p.csv"},
            "imagery": {"url": "i.json", "collection": "c", "datetime": "2024-05-01"},
            "labels": {"source": "raster", "path": "l.tif", "dataset": dataset},
            "grid": {"extent_m": 640},
            "tiles": {"size": 64, "output_size": 64},
            "rows": rows,
        }
    )


def tasks(mask, min_region_px=1, **rows) -> list[str]:
    return [
        row["id"].removeprefix("poi_000012_t0003__")
        for row in rows_of(sample_of(mask, min_region_px), recipe(**rows).rows)
    ]


#: 40, 30, 20, 6 and 4 per cent.
FIVE = shares({5: 160, 2: 120, 1: 80, 3: 24, 7: 16})


def test_rows_come_by_task_and_then_class_by_class_largest_first():
    classes = [f"class_{kind}_{c}" for c in (5, 2, 1, 3) for kind in ("caption", "grounding")]
    assert tasks(FIVE) == ["caption", "grounding", *classes]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"min_class_fraction": 0.06}, [5, 2, 1, 3]),  # exactly at the threshold
        ({"min_class_fraction": 0.0601}, [5, 2, 1]),
        ({"min_class_fraction": 0.04}, [5, 2, 1, 3, 7]),
        ({"min_class_fraction": 0, "max_classes": 2}, [5, 2]),
        ({"min_class_fraction": 1}, []),
    ],
)
def test_limits_hold_for_the_rows_per_class_alone(limits, expected):
    assert tasks(FIVE, grounding=False, caption=False, per_class_grounding=False, **limits) == [
        f"class_caption_{c}" for c in expected
    ]
    grounding = next(row for row in rows_of(sample_of(FIVE), recipe(**limits).rows) if row["task"] == "grounding")
    boxes = orjson.loads(grounding["messages"][1]["content"][0]["text"])
    assert [box["label"] for box in boxes] == ["bare", "water", "tree cover", "built-up", "crops"]
    assert (
        "crops (4%)" in next(iter(rows_of(sample_of(FIVE), recipe(**limits).rows)))["messages"][1]["content"][0]["text"]
    )


def test_no_region_no_grounding_row():
    assert tasks(FIVE, 121) == [
        "caption",
        "grounding",
        "class_caption_5",
        "class_grounding_5",
        "class_caption_2",
        "class_caption_1",
        "class_caption_3",
    ]
    assert tasks(FIVE, 161, per_class=False) == ["caption"]


def test_each_kind_of_row_can_be_left_out():
    assert tasks(FIVE, caption=False)[0] == "grounding"
    assert tasks(FIVE, grounding=False)[:2] == ["caption", "class_caption_5"]
    assert {name.rsplit("_", 1)[0] for name in tasks(FIVE, per_class=False)} == {
        "caption",
        "grounding",
        "class_grounding",
    }
    assert tasks(FIVE, caption=False, grounding=False, per_class=False, per_class_grounding=False) == []


def test_rows_and_sidecar_tell_the_same():
    sample, made = sample_of(FIVE), recipe()
    rows, sidecar = list(rows_of(sample, made.rows)), sidecar_of(sample, made.digest(), None)
    assert sidecar["class_fractions"] == {"1": 0.2, "2": 0.3, "3": 0.06, "5": 0.4, "7": 0.04}
    assert sidecar["caption"] == rows[0]["messages"][1]["content"][0]["text"]
    assert [r["area_px"] for r in sidecar["regions"]] == [160, 120, 80, 24, 16]
    assert all(row["messages"][0]["content"][0]["image"] == "images/s00000/poi_000012_t0003.png" for row in rows)
    assert all(set(row) == {"id", "task", "poi_id", "tile_id", "messages"} for row in rows)


def test_boxes_are_half_open_shares_of_width_and_height():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:5, 7:20] = 2
    (row,) = rows_of(sample_of(mask), recipe(caption=False, per_class=False, per_class_grounding=False).rows)
    assert row["messages"][1]["content"][0]["text"] == '[{"label":"water","bbox":[0.35,0.1,1.0,0.25]}]'
    (whole,) = rows_of(
        sample_of(np.full((20, 20), 1)), recipe(caption=False, per_class=False, per_class_grounding=False).rows
    )
    assert whole["messages"][1]["content"][0]["text"] == '[{"label":"tree cover","bbox":[0.0,0.0,1.0,1.0]}]'
