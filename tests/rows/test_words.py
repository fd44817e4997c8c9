"""Masks to claims and rows: regions against a flood fill, shares, places, and which rows there are."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from support import oracle, reader
from support.spoken import ALL, Spoken, world

from nutonic.chips.regions import LandCover, land_cover, min_region_pixels
from nutonic.core.classes import ClassTable
from nutonic.recipe.outputs import Rows, Tiles
from nutonic.rows.captions import caption, class_caption
from nutonic.rows.positions import SHARE_WORDS, in_words, percent, position
from nutonic.rows.sidecar import sidecar_of
from nutonic.rows.truth import Truth

NAMES = {1: "tree cover", 2: "water", 3: "built-up", 5: "bare", 6: "grass", 7: "crops"}
TABLE = ClassTable(name="test", labels=NAMES, unknown=0, colors={})
PLAIN = Tiles(size=64, output_size=64)
BARE = {"captions": (), "grounding": False, "per_class": False, "per_class_grounding": False}


def cover(mask, *, min_region_px=1, most=24, tiles=PLAIN) -> LandCover:
    rows = Rows(min_region_px=min_region_px, max_regions_per_class=most)
    return land_cover(np.asarray(mask, np.uint8), TABLE, rows, tiles)


def picture(text: str) -> np.ndarray:
    """A mask drawn with digits; a dot is unlabelled, and so is what lies right of it or below to make it 6 pixels."""
    drawn = np.array([[int(c.replace(".", "0")) for c in line] for line in text.split()], np.uint8)
    return np.pad(drawn, [(0, max(0, 6 - side)) for side in drawn.shape])


def shares(counts: dict[int, int], shape=(20, 20)) -> np.ndarray:
    """A mask with so many pixels of each class, row by row, the rest unlabelled."""
    mask = np.zeros(shape, np.uint8)
    values = np.concatenate([np.full(count, class_id) for class_id, count in counts.items()])
    mask.ravel()[: len(values)] = values
    return mask


# Regions


@given(
    mask=arrays(
        np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=6, max_side=14), elements=st.sampled_from([0, 1, 2, 5])
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


def test_shares_in_words_have_fixed_bins():
    words = {n: in_words(n, 3000) for n in range(1, 3001)}
    for (low, _), (high, name) in zip([(0, ""), *SHARE_WORDS], SHARE_WORDS, strict=False):
        assert words[max(int(30 * low), 1)] == words[int(30 * high) - 1] == name
    assert words[3000] == "all"


# Captions


def truth_of(mask, **rows) -> Truth:
    rows = {"min_region_px": 1, **rows}
    mask = np.asarray(mask, np.uint8)
    return Truth(cover=land_cover(mask, TABLE, Rows(**rows), PLAIN), rows=Rows(**rows), min_area=1, side_m=640.0)


@pytest.mark.parametrize(("first", "kind"), [(200, "dominated"), (201, "dominated"), (199, "mixed")])
def test_dominated_by_is_said_from_exactly_half_on(first, kind):
    said = caption(truth_of(shares({1: first, 2: 150, 3: 250 - first})))
    assert (said[0].claim, said[0].values["c"]) == (f"caption.{kind}", 1)
    assert said[0].values["share"] == ("just under 50%" if first < 200 else "50%")


@pytest.mark.parametrize(
    ("first", "claim", "share"),
    [(200, "dominated", "50 to 59%"), (199, "sees", None), (165, "sees", None), (164, "mixed", "41 to just under 50%")],
)
def test_half_is_of_all_pixels_whatever_those_without_a_class_are(first, claim, share):
    said = caption(
        truth_of(shares({1: first, 2: 365 - first - 120, 3: 120} if first > 164 else {1: 164, 2: 101, 3: 100}))
    )
    assert (said[0].claim, said[0].values.get("share")) == (f"caption.{claim}", share)


@pytest.mark.parametrize(("labelled", "whole"), [(360, True), (359, False)])
def test_of_less_than_nine_tenths_no_share_and_no_rank_is_told(labelled, whole):
    mask = shares({1: labelled - 100, 2: 100})
    said = {length: caption(truth_of(mask), length) for length in ("full", "brief", "zonal")}
    assert [s.claim for s in said["full"]] == (
        ["caption.dominated", "caption.further"] if whole else ["caption.sees", "caption.sees_too"]
    )
    assert said["brief"][0].claim == ("caption.brief_most" if whole else "caption.brief_seen")
    assert bool(said["zonal"]) is whole
    assert "share" not in {name for s in said["full"] for name in s.values} or whole
    assert class_caption(truth_of(mask), 2)[0].claim == f"class_caption.ask_{'share' if whole else 'where'}"
    wanted = {**BARE, "grounding": True, **dict.fromkeys(("absence", "vqa", "choice"), True)}
    found = tasks(mask, min_box_fill=0.01, min_box_px=1, **wanted)
    assert found[0] == "grounding"
    assert (len(found) > 1) is whole


def test_entirely_is_said_only_of_a_mask_that_is_all_labelled():
    for length, claim in (("full", "entire"), ("brief", "brief_entire")):
        assert caption(truth_of(shares({2: 400})), length)[0].claim == f"caption.{claim}"
        assert caption(truth_of(shares({2: 399})), length)[0].claim != f"caption.{claim}"


def test_a_caption_tells_classes_largest_first_and_none_below_a_hundredth():
    said = caption(truth_of(shares({3: 10, 1: 160, 6: 1, 2: 120, 7: 20, 5: 89})))
    assert [s.claim for s in said] == ["caption.mixed", "caption.further", "caption.minor"]
    assert said[0].values["c"] == 1
    assert [each["c"] for each in said[1].values["classes"]] == [2, 5]
    assert [(each["c"], each["share"]) for each in said[2].values["classes"]] == [(7, "5%"), (3, "3%")]


@given(st.lists(st.integers(0, 300), min_size=6, max_size=6).filter(any))
def test_a_class_has_one_share_wherever_it_is_told(numbers):
    counts = {c: n for c, n in zip(NAMES, numbers, strict=True) if n}
    truth, total = truth_of(shares(counts, (45, 41)), whole_image=0), sum(counts.values())
    said = caption(truth)
    size = 45 * 41
    assert (said[0].claim == "caption.dominated") is (2 * max(counts.values()) >= size and total < size)
    if said[0].claim == "caption.sees":  # pixels without a class decide whether one has half
        assert max(counts.values()) < size / 2 <= max(counts.values()) + size - total
        return
    told = [(v["c"], v["share"]) for s in said for v in s.values.get("classes", [s.values])]
    large = [c for c in oracle.by_share(counts) if 100 * counts[c] >= total]
    assert [c for c, _ in told] == large
    for class_id, share in told:
        least, most = percent(counts[class_id], size), percent(counts[class_id] + size - total, size)
        assert share == (most if least == most else f"{least[:-1] if least[0].isdigit() else least} to {most}")
        assert class_caption(truth, class_id)[1][0].values["share"] == share
        assert truth.cover.fraction(class_id) == counts[class_id] / total


# Where

CELLS = (
    "upper left corner", "top", "upper right corner", "left", "centre", "right", "lower left corner", "bottom",
    "lower right corner",
)  # fmt: skip


@pytest.mark.parametrize("shape", [(18, 18), (40, 40), (17, 23)])
@pytest.mark.parametrize("k", range(9))
def test_a_class_in_a_ninth_is_told_by_its_name(k, shape):
    mask, (height, width) = np.full(shape, 2, np.uint8), shape
    y, x = (k // 3 * 2 + 1) * height // 6, (k % 3 * 2 + 1) * width // 6
    mask[y, x] = 1
    assert position(cover(mask), 1).place == CELLS[k]


@pytest.mark.parametrize(
    ("cells", "place", "mostly"),
    [
        # Pixels in the 6 × 6 parts of the image, a digit for each.
        ("900000 000000 000000 000000 000000 000001", "upper left corner", False),  # nine tenths exactly
        ("800000 000000 000000 000000 000000 000001", "upper left corner", True),
        ("111111 000000 000000 000000 000000 000000", "top edge", False),
        ("111111 111111 111111 000000 000000 000000", "upper half", False),
        ("000000 000000 000000 111111 111111 111111", "lower half", False),
        ("111000 111000 111000 111000 111000 111000", "left half", False),
        ("000111 000111 000111 000111 000111 000111", "right half", False),
        ("000000 001000 010000 000000 000000 000000", "upper left quarter", False),  # over a corner of ninths
        ("000000 000000 111111 111111 000000 000000", "band across", False),
        ("001100 001100 001100 001100 001100 001100", "band down", False),
        ("000000 010010 000000 000000 010010 000000", "inner part", False),
        ("100000 100000 100000 100000 100000 100001", "left side", True),
        ("900000 000000 000000 000000 000000 000009", "several", False),  # half each
        ("111111 111111 111111 111111 111111 111111", "spread", False),
    ],
)
def test_the_smallest_part_that_holds_a_class_is_named(cells, place, mostly):
    numbers = [[int(c) for c in line] for line in cells.split()]
    mask = np.full((60, 72), 2, np.uint8)
    for i, j in np.ndindex(6, 6):
        mask[10 * i : 10 * i + numbers[i][j], 12 * j] = 1
    found = position(cover(mask), 1)
    assert (found.place, found.mostly) == (place, mostly)


# Patches


def test_a_class_is_told_with_its_patches():
    mask = np.full((20, 20), 2, np.uint8)
    mask[0:4, 0:5], mask[10:12, 10:15], mask[19, 19] = 1, 1, 1

    def told(least: int):
        rows = {"min_region_px": least}
        context = Spoken(mask, TABLE, rows).context()
        return class_caption(context.truth, 1)[1][1]

    assert (told(2).claim, told(2).values["count"], told(2).values["share"]) == ("class_caption.patches", 2, "65%")
    assert (told(2).values["number"], told(2).values["unit"]) == ("200", "m²")
    assert (told(11).claim, told(11).values["share"]) == ("class_caption.one_patch", "65%")
    assert (told(11).values["number"], told(11).values["unit"]) == ("0.11", "ha")
    assert told(21).claim == "class_caption.scattered"
    mask[10:12, 10:15], mask[19, 19] = 2, 2
    assert told(2).claim == "class_caption.one_piece"


def test_patches_are_counted_beyond_those_that_are_listed():
    mask = np.full((40, 40), 2, np.uint8)
    for k in range(9):
        mask[4 * k : 4 * k + 2, 4 * k : 4 * k + 2] = 1
    truth = Spoken(mask, TABLE, {"min_region_px": 4, "max_regions_per_class": 3}).context().truth
    assert len(truth.cover.regions_of(1)) == 3
    assert class_caption(truth, 1)[1][1].values["count"] == 9


def test_a_region_is_only_the_largest_if_none_that_is_not_listed_could_be_as_large():
    mask = np.full((40, 40), 2, np.uint8)
    mask[2:8, 2:8], mask[20:26, 20:26] = 1, 1  # two of 36 pixels, of which one is listed
    rows = {**ALL, "max_regions_per_class": 1, "min_region_px": 20}
    assert Spoken(mask, TABLE, rows).context().truth.lone(1) is None
    mask[25] = 2  # now 36 and 30
    assert Spoken(mask, TABLE, rows).context().truth.lone(1) is None
    mask[22:26, 20:26] = 2  # 36 and 12, too small to be listed
    assert Spoken(mask, TABLE, rows).context().truth.lone(1).area_px == 36
    assert Spoken(mask, TABLE, {**rows, "min_region_px": 30}).context().truth.lone(1) is None  # for all that is known


def test_all_regions_are_promised_only_if_none_too_small_to_be_listed_is_worth_a_box():
    mask = np.full((40, 40), 2, np.uint8)
    mask[2:10, 2:10], mask[20:26, 20:26] = 1, 1
    for least, claim in ((36, "ask"), (37, "ask_some")):
        truth = Spoken(mask, TABLE, {"min_region_px": least, "min_box_px": 6}).context().truth
        assert truth.vouches(1) is (claim == "ask")
    assert Spoken(mask, TABLE, {"min_region_px": 37, "max_boxes": 1}).context().truth.vouches(1)  # the largest is known


# Rows


def tasks(mask, min_region_px=1, **rows) -> list[str]:
    made = Spoken(np.asarray(mask, np.uint8), TABLE, {"min_region_px": min_region_px, **rows})
    return [row["id"].removeprefix("poi_000012_t0003__") for row in made.lines()]


#: 40, 30, 20, 6 and 4 per cent.
FIVE = shares({5: 160, 2: 120, 1: 80, 3: 24, 7: 16})
#: The same classes in the same order; of either half of the picture another one has most.
HALVES = shares({5: 160, 2: 152, 1: 44, 3: 28, 7: 16})
ANY = {"min_box_px": 1, "min_box_fill": 0.1}


def test_rows_come_by_task_and_then_class_by_class_largest_first():
    classes = [f"class_{kind}_{c}" for c in (5, 2, 1, 3) for kind in ("caption", "grounding")]
    assert tasks(FIVE, **ANY) == ["caption", "grounding", *classes]
    every = tasks(HALVES, **ANY, **ALL)
    assert every[:4] == ["caption", "caption_brief", "caption_zonal", "grounding"]
    assert [name for name in every[12:] if not name.startswith(("vqa_", "referring_"))] == ["absence", "choice"]


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
def test_limits_of_classes_hold_for_the_rows_per_class_alone(limits, expected):
    assert tasks(FIVE, **{**BARE, "per_class": True}, **limits) == [f"class_caption_{c}" for c in expected]
    (row,) = Spoken(FIVE, TABLE, {**BARE, "grounding": True, "min_region_px": 1, **ANY, **limits}).lines()
    boxes = orjson.loads(row["messages"][1]["content"][0]["text"])
    assert [box["label"] for box in boxes] == ["bare", "water", "tree cover", "built-up", "crops"]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [(0, 0, 8, 8), (20, 0, 26, 6)]),
        ({"max_boxes": 1}, [(0, 0, 8, 8)]),
        ({"min_box_px": 7}, [(0, 0, 8, 8)]),
        ({"min_box_px": 5}, [(0, 0, 8, 8), (20, 0, 26, 6), (0, 20, 5, 26)]),
        ({"min_box_px": 5, "min_box_fill": 0.1}, [(0, 0, 8, 8), (20, 0, 26, 6), (0, 20, 5, 26), (20, 20, 38, 38)]),
        ({"min_box_px": 19}, []),
    ],
)
def test_boxes_are_of_regions_that_are_large_and_compact(limits, expected):
    mask = np.full((40, 40), 2, np.uint8)
    mask[0:8, 0:8], mask[0:6, 20:26], mask[20:26, 0:5] = 1, 1, 1
    for k in range(18):
        mask[20 + k, 20 + k : 22 + k if k < 17 else 38] = 1  # a thin line askew: 35 pixels in 18 × 18
    rows = {**BARE, "per_class_grounding": True, "min_region_px": 1, "min_class_fraction": 0, **limits}
    found = [row for row in Spoken(mask, TABLE, rows).lines() if row["id"].endswith("_1")]
    assert bool(found) is bool(expected)
    boxes = orjson.loads(found[0]["messages"][1]["content"][0]["text"]) if found else []
    assert [tuple(round(40 * edge) for edge in box["bbox"]) for box in boxes] == sorted(
        expected, key=lambda box: -int((mask[box[1] : box[3], box[0] : box[2]] == 1).sum())
    )


def test_no_region_no_grounding_row():
    found = tasks(FIVE, 121, **ANY)
    assert [name for name in found if "grounding" in name] == ["grounding", "class_grounding_5"]
    assert tasks(FIVE, 161, per_class=False) == ["caption"]


def test_each_kind_of_row_can_be_left_out():
    assert tasks(FIVE, **ANY, captions=())[0] == "grounding"
    assert tasks(FIVE, **ANY, grounding=False)[:2] == ["caption", "class_caption_5"]
    assert tasks(FIVE, captions=("zonal",), per_class=False)[0] == "caption_zonal"
    assert tasks(FIVE, **BARE) == []
    for task in ("absence", "vqa", "choice", "referring"):
        assert {name.partition("_")[0] for name in tasks(HALVES, **BARE, **ANY, **{task: True})} == {task}


def test_rows_and_sidecar_tell_the_same():
    made = Spoken(FIVE, TABLE, {"min_region_px": 1, "choice": True})
    rows, sidecar = made.lines(), sidecar_of(made.context(), "digest", None)
    assert sidecar["class_fractions"] == {"1": 0.2, "2": 0.3, "3": 0.06, "5": 0.4, "7": 0.04}
    assert sidecar["caption"] == rows[0]["messages"][1]["content"][0]["text"]
    assert [r["area_px"] for r in sidecar["regions"]] == [160, 120, 80, 24, 16]
    assert [r["fill"] for r in sidecar["regions"]] == [1, 1, 1, 0.6, 1]
    assert all(row["messages"][0]["content"][0]["image"] == "images/s00000/poi_000012_t0003.png" for row in rows)
    keys = {"id", "task", "poi_id", "tile_id", "messages"}
    assert all(set(row) == {*keys, "options", "answer_id"} for row in rows)  # every row has every key
    assert all((row["options"], row["answer_id"]) == ([], None) for row in rows if row["task"] != "choice")
    assert all(set(row) == keys for row in Spoken(FIVE, TABLE).lines())


def test_boxes_are_half_open_shares_of_width_and_height():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:5, 7:20] = 2
    rows = {**BARE, "grounding": True, "min_region_px": 1, **ANY}
    for drawn, text in (
        (mask, '[{"label":"water","bbox":[0.35,0.1,1.0,0.25]}]'),
        (
            np.pad(np.full((20, 19), 1, np.uint8), ((0, 0), (0, 1))),
            '[{"label":"tree cover","bbox":[0.0,0.0,0.95,1.0]}]',
        ),
    ):
        (row,) = Spoken(drawn, TABLE, rows).lines()
        assert row["messages"][1]["content"][0]["text"] == text


def halves(upper: int, lower: int, edge: int = 30) -> np.ndarray:
    """A picture of 60 by 60 pixels of two classes, one above the other."""
    return np.repeat((upper, lower), (edge, 60 - edge))[:, None].repeat(60, axis=1).astype(np.uint8)


@pytest.mark.parametrize(
    ("mask", "classes"),
    [
        (halves(1, 2, 24), {"tree cover"}),  # of water each quarter has some
        (halves(1, 2, 36), {"water"}),
        (halves(1, 2, 29), set()),  # trees end where the quarter does, nearly
        (halves(1, 1), set()),
    ],
)
def test_presence_is_asked_of_quarters_of_which_both_answers_are_right(mask, classes):
    wanted = {**BARE, "absence": True, "vqa": True, "min_region_px": 1}
    made = [Spoken(mask, TABLE, wanted, name=f"poi_{k:06}") for k in range(48)]
    found = [row for each in made for row in each.lines() if row["id"].endswith(("absence", "vqa_presence"))]
    assert all(reader.falsehoods(row, made[0].picture()) == [] for row in found)
    asked = "".join(row["messages"][0]["content"][-1]["text"].lower() for row in found)
    denied = sum(row["messages"][1]["content"][0]["text"] == "No" for row in found)
    assert len(found) == 96 * len(classes)
    assert {name for name in NAMES.values() if name in asked} == classes
    assert 28 <= denied <= 68 or not classes
    assert all(re.search(rf"{part} (left|right)", asked) for part in ("upper", "lower")) or not classes


@pytest.mark.parametrize(
    ("suffix", "prompt", "answer"),
    [
        ("absence", "Is there any water in the upper left quarter of this satellite image?", "Yes"),
        ("absence", "Is there any tree cover in the lower left of this satellite image?", "Yes"),
        ("vqa_larger", "Which covers more of the lower left quarter of this satellite image, tree cover or water? "
                       "Answer in a word or two.", "Tree cover"),
        ("choice", "What covers the most of the upper left quarter of this satellite image? A) tree cover; B) water; "
                   "C) bare; D) grass; E) crops. Answer with the letter.", "A"),
    ],
)  # fmt: skip
def test_what_could_not_be_otherwise_is_no_question(suffix, prompt, answer):
    """The same row is one of a picture of two classes, and none where either class is all that there is, or everywhere."""
    wanted = {**BARE, "absence": True, "vqa": True, "choice": True, "min_region_px": 1}
    two = Spoken(halves(1, 2, 24) if "lower left of" not in prompt else halves(2, 1, 36), TABLE, wanted)
    row = next(row for row in Spoken(HALVES, TABLE, wanted).lines() if row["id"].endswith(suffix))
    row["messages"][0]["content"][-1]["text"], row["messages"][1]["content"][-1]["text"] = prompt, answer
    if suffix == "choice":
        row |= {"options": ["tree cover", "water", "bare", "grass", "crops"], "answer_id": 0}
    for mask in (halves(1, 1), halves(2, 2), np.tile(halves(1, 2)[::30], (30, 1))):
        made = Spoken(mask, TABLE, wanted)
        assert made.problem(row) is not None
        assert reader.falsehoods(row, made.picture()) != []
    assert (two.problem(row) is None) is (reader.falsehoods(row, two.picture()) == [])


# Views

#: What words become that say where, when a picture is mirrored, or turned counter-clockwise.
MIRRORED = {"left": "right", "right": "left"}
TURNED = {
    "upper left": "lower left", "upper right": "upper left", "lower right": "upper right", "lower left": "lower right",
    "top": "left", "left": "bottom", "bottom": "right", "right": "top", "top edge": "left side",
    "left side": "bottom edge", "bottom edge": "right side", "right side": "top edge", "band across": "band down",
    "band down": "band across", "upper half": "left half", "left half": "lower half", "lower half": "right half",
    "right half": "upper half",
}  # fmt: skip


def mirrored(place: str) -> str:
    return " ".join(MIRRORED.get(word, word) for word in place.split())


def turned_once(place: str) -> str:
    if place in TURNED:
        return TURNED[place]
    corner = " ".join(place.split()[:2])
    return f"{TURNED[corner]} {place.split()[2]}" if corner in TURNED and place.count(" ") == 2 else place


def where_of(made: Spoken, view: str | None) -> tuple[list, set]:
    """What the full caption says without its words, and the zones of the zonal one with what is said of each."""
    truth = made.context(view).truth
    full = [(s.claim, v["c"], v["where"].place, v["where"].mostly, v.get("share"))
            for s in caption(truth) for v in s.values.get("classes", [s.values]) if "where" in v]  # fmt: skip
    zones = {
        (s.claim, s.values["zone"], str(s.values.get("classes", s.values.get("c")))) for s in caption(truth, "zonal")
    }
    return full, zones


@pytest.mark.parametrize(
    ("view", "turn"),
    [
        ("flip", mirrored),
        ("r90", turned_once),
        ("r180", lambda place: turned_once(turned_once(place))),
        ("r270", lambda place: turned_once(turned_once(turned_once(place)))),
    ],
)
def test_a_view_says_what_the_original_says_turned(view, turn):
    said = 0
    for k in range(40):
        made = world(k)
        (full, zones), (seen, seen_zones) = where_of(made, None), where_of(made, view)
        assert seen == [(claim, c, turn(place), mostly, share) for claim, c, place, mostly, share in full]
        assert seen_zones == {(claim, turn(zone), classes) for claim, zone, classes in zones}
        said += len(full)
    assert said > 60
