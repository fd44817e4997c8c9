"""What is counted of a dataset, against counts that were made by hand, or by other means."""

from __future__ import annotations

import json
import statistics as python
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.patches import annotation, counted, rejection

from nutonic.dataset.shards import statistics as module
from nutonic.dataset.shards.density import DensityCounts
from nutonic.dataset.shards.statistics import CountedPatch, Lengths, Statistics, count
from nutonic.dataset.shards.words import length_of, nouns_of, words_of
from nutonic.recipe.annotation import TEMPLATES, Annotator

SMALL = Annotator(name="small", base_url="http://127.0.0.1:1/v1", model="org/small", input_price=0.5, output_price=2.0)

#: Four patches: two of train, one of test, and one of which nothing was let through.
PATCHES = (
    counted(
        0,
        [annotation("A long building in the centre."), annotation("A building.", task=3, annotator="small")],
        usage=(("small", 100, 20), ("small", 300, 10)),
        tags=(("building", "yes"), ("roof:shape", "flat")),
    ),
    counted(1, [annotation("A road, 120 m long, in the east.", task=2)], latitude=38.0, tags=(("highway", "track"),)),
    counted(2, [annotation("The building.")], split="test", longitude=-119.0),
    counted(
        3,
        [],
        split="test",
        longitude=10.0,
        tags=(("natural", "wood"),),
        rejections=(rejection("too short", 1), rejection("too long", 2), rejection("too short", 3)),
        usage=(("small", 600, 70),),
    ),
)


def test_a_small_dataset_in_numbers():
    found = json.loads(count(PATCHES, [TEMPLATES, SMALL]).dumps())
    density = found.pop("density")
    assert found == {
        "patches": {"train": 2, "test": 1},
        "captions": 4,
        "tasks": {
            "1": {"captions": 2, "share": 0.5},
            "2": {"captions": 1, "share": 0.25},
            "3": {"captions": 1, "share": 0.25},
        },
        "tasks_by_annotator": [
            {"task": 1, "annotator": "templates", "captions": 2, "share": 0.5},
            {"task": 2, "annotator": "templates", "captions": 1, "share": 0.25},
            {"task": 3, "annotator": "small", "captions": 1, "share": 0.25},
        ],
        "captions_by_split": [
            {"split": "train", "task": 1, "captions": 1},
            {"split": "train", "task": 2, "captions": 1},
            {"split": "train", "task": 3, "captions": 1},
            {"split": "test", "task": 1, "captions": 1},
        ],
        "words_per_caption": {
            "1": {"mean": 4.0, "median": 4.0, "histogram": [[2, 1], [6, 1]]},
            "2": {"mean": 8.0, "median": 8.0, "histogram": [[8, 1]]},
            "3": {"mean": 2.0, "median": 2.0, "histogram": [[2, 1]]},
        },
        "words": {
            "all": 17,
            "different": 9,
            "most_frequent": [
                *(["a", 3], ["building", 3], ["the", 3], ["in", 2], ["long", 2]),
                *(["centre", 1], ["east", 1], ["m", 1], ["road", 1]),
            ],
            "nouns": [["building", 3], ["road", 1]],
        },
        "tags": {
            "different": 3,
            "most_frequent": [["building=yes", 2], ["highway=track", 1], ["roof:shape=flat", 1]],
        },
        "rejections": {
            "too short": {
                "count": 2,
                "examples": [
                    {"patch_id": f"p{k}", "task": 1, "annotator": "small", "detail": "3 words", "text": "?"}
                    for k in (1, 3)
                ],
            },
            "too long": {
                "count": 1,
                "examples": [{"patch_id": "p2", "task": 1, "annotator": "small", "detail": "3 words", "text": "?"}],
            },
        },
        # 1,000 tokens at 0.5 a million, and 100 at 2.
        "usage": {"small": {"answers": 3, "input_tokens": 1000, "output_tokens": 100, "money": 0.0007}},
    }
    assert sum(number for *_, number in density["cells"]) == 4


def test_the_same_patches_give_the_same_bytes():
    assert count(PATCHES, [SMALL]).dumps() == count(iter(PATCHES), [SMALL]).dumps()
    assert json.loads(count([], []).dumps())["captions"] == 0


@given(st.permutations(range(4)))
def test_the_order_of_patches_changes_only_which_examples_are_told(order: list[int]):
    def without(found: Statistics) -> dict:
        whole = found.json()
        for each in whole["rejections"].values():
            del each["examples"]
        return whole

    assert without(count([PATCHES[k] for k in order], [SMALL])) == without(count(PATCHES, [SMALL]))


@given(st.lists(st.integers(0, 130), min_size=1, max_size=60))
def test_mean_and_median_are_those_of_the_standard_library(words: list[int]):
    lengths = Lengths(counts=tuple(sorted(Counter(words).items())))
    assert lengths.median == python.median(words)
    assert lengths.mean == round(python.fmean(words), 2)
    assert lengths.captions == len(words)


def test_at_most_three_examples_of_a_reason_and_no_long_ones():
    many = counted(0, [], rejections=tuple(rejection("letters", k, text="x" * 1000) for k in range(50)))
    ((reason, found),) = count([many], []).rejections
    assert (reason, found.count) == ("letters", 50)
    assert [(each.patch_id, len(each.text)) for each in found.examples] == [("p0", 200), ("p1", 200), ("p2", 200)]


def test_what_is_no_more_told_apart_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_TOLD_APART", 3)
    found = json.loads(count([counted(0, [annotation("one two three four two five")])], []).dumps())
    assert found["words"]["different"] == 3
    assert found["words"]["beyond"] == 2
    assert found["words"]["most_frequent"] == [["two", 2], ["one", 1], ["three", 1]]


@pytest.mark.long
def test_memory_does_not_grow_with_patches():
    def peak(patches: int) -> int:
        tracemalloc.start()
        count((at(k) for k in range(patches)), [])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    def at(k: int) -> CountedPatch:
        lon, lat = (k * 7919 % 3600) / 10 - 180, (k * 104729 % 1700) / 10 - 85
        return counted(k, [annotation()], longitude=lon, latitude=lat, rejections=(rejection("letters", k),))

    peak(10)
    assert peak(12_000) < 1.5 * peak(6_000) + 100_000


# Where captions are


PLACES = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


@settings(max_examples=50)
@given(st.lists(PLACES, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_every_caption_is_in_the_cell_of_its_place_whatever_the_order(places: list, random):
    counts, other = DensityCounts(), DensityCounts()
    for lon, lat in places:
        counts.add(lon, lat, 1)
    random.shuffle(places)
    for lon, lat in places:
        other.add(lon, lat, 1)
    density = counts.whole()
    assert density == other.whole()
    assert sum(number for *_, number in density.cells) == len(places)
    cells = {(column, row): number for column, row, number in density.cells}
    for (column, row), number in cells.items():
        west, south = density.corner(column, row)
        within = [
            -1e-9 <= lat - south <= density.side + 1e-9 and (lon - west + 1e-9) % 360 <= density.side + 2e-9
            for lon, lat in places
        ]
        assert sum(within) >= number
    assert max(column for column, _ in cells) < 64
    assert max(row for _, row in cells) - min(row for _, row in cells) < 64


@pytest.mark.parametrize("places", [3, 20_000])
def test_a_lattice_adapts_to_its_extent(places: int):
    counts = DensityCounts()
    for k in range(places):
        counts.add(-120 + k % 141 / 140, 37 + k % 139 / 138 / 2, 1)
    density = counts.whole()
    # A degree of longitude on at most 64 cells: 180 / 2^13 = 0.022 is fine enough, and twice as fine is too much. Three
    # places within a hundredth of a degree have the finest there is.
    assert density.level == (13 if places > 3 else 15)
    assert sum(number for *_, number in density.cells) == places


def test_an_extent_across_the_antimeridian_is_one():
    counts = DensityCounts()
    for lon in (179.9, -179.9, 180.0, -180.0):
        counts.add(lon, -17.0, 1)
    density = counts.whole()
    columns = {column: number for column, _, number in density.cells}
    assert columns[0] == 1
    assert sorted(columns.values()) == [1, 1, 2]
    assert max(columns) < 64
    assert all(-180 <= lon < 180 for lon, *_ in density.json()["cells"])


# Words


def test_words_lengths_and_nouns():
    text = "Two tree-lined streets cross the farmer’s field; a Café (3 m) lies north of the church and the old parking lots."
    assert words_of(text)[:4] == ["two", "tree-lined", "streets", "cross"]
    assert "farmer's" in words_of(text)
    assert "café" in words_of(text)
    assert length_of(text) == 21
    assert list(nouns_of(text)) == ["streets", "field", "café", "church", "lots"]
