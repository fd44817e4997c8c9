"""What is told of a picture holds whatever those pixels are that have no class: numbers, halves, and what has more."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import reader
from support.spoken import ALL, CROPS, TREES, WATER, Spoken

from nutonic.dataset.amend.polish import ground_of
from nutonic.rows.annotation.ground import ground_problem
from nutonic.rows.sidecar import sidecar_of

OPEN = 255


def picture(rows: dict[int, int], *, shares: str = "percent") -> Spoken:
    """A picture of 100 by 100 pixels whose classes hold so many rows each."""
    mask = np.repeat([*rows], [*rows.values()])[:, None].repeat(100, axis=1).astype(np.uint8)
    return Spoken(mask, rows={**ALL, "shares": shares, "min_region_px": 4, "min_class_fraction": 0.0})


def told(made: Spoken) -> dict[str, str]:
    """The answers, by how the ids of their rows end; each is found true by the checker and by the reader."""
    for row in made.lines():
        assert made.problem(row) is None, row
        assert reader.falsehoods(row, made.picture()) == [], row
    return {row["id"].partition("__")[2]: row["messages"][1]["content"][-1]["text"] for row in made.lines()}


@pytest.mark.parametrize(
    ("rows", "shares", "trees"),
    [
        ({TREES: 41, CROPS: 59}, "percent", "41%"),
        ({TREES: 41, CROPS: 54, OPEN: 5}, "percent", "41 to 46%"),
        ({TREES: 55, CROPS: 39, OPEN: 6}, "percent", "55 to 61%"),
        ({TREES: 93, CROPS: 1, OPEN: 6}, "percent", "93 to 99%"),
        ({TREES: 95, OPEN: 5}, "percent", "95 to 100%"),
        ({TREES: 30, CROPS: 68, OPEN: 2}, "words", "nearly a third"),
        ({TREES: 30, CROPS: 65, OPEN: 5}, "words", "between a quarter and two fifths"),
        ({TREES: 58, CROPS: 37, OPEN: 5}, "words", "between half and two thirds"),
        ({TREES: 95, OPEN: 5}, "words", "at least nine tenths"),
    ],
)
def test_a_share_is_told_from_the_least_to_the_most_that_it_can_be(rows, shares, trees):
    made = picture(rows, shares=shares)
    assert trees in told(made)[f"class_caption_{TREES}"].lower()
    assert trees in told(made)["caption"].lower()


def test_a_share_of_what_is_labelled_alone_is_no_share_of_the_picture():
    made = picture({TREES: 41, CROPS: 54, OPEN: 5})
    (row,) = (row for row in made.lines() if row["id"].endswith(f"class_caption_{TREES}"))
    answer = row["messages"][1]["content"][-1]
    for lie in ("43%", "41%", "46%", "40 to 46%", "41 to 47%", "46 to 41%"):
        answer["text"] = re.sub("41 to 46%", lie, answer["text"])
        assert made.problem(row) is not None, lie
        assert reader.falsehoods(row, made.picture()) != [], lie
        answer["text"] = answer["text"].replace(lie, "41 to 46%")


@pytest.mark.parametrize(
    ("rows", "tens"),
    [
        ({TREES: 40, CROPS: 60}, {"40 %", "60 %"}),
        ({TREES: 38, CROPS: 58, OPEN: 4}, {"40 %", "60 %"}),
        ({TREES: 34, CROPS: 57, OPEN: 9}, set()),  # 37 and 63 % of what is labelled
        ({TREES: 41, CROPS: 54, OPEN: 5}, set()),
    ],
)
def test_tens_are_asked_for_where_nothing_else_can_be_right(rows, tens):
    answer = told(picture(rows)).get("vqa_share")
    assert {answer} <= tens if tens else answer is None


@pytest.mark.parametrize(
    ("rows", "brief", "full"),
    [
        (
            {CROPS: 52, TREES: 43, OPEN: 5},
            r"mostly|most part|chiefly|largely|main|some|prevail|prim|predom|half|domin",
            True,
        ),
        ({CROPS: 44, TREES: 30, WATER: 21, OPEN: 5}, r"mix|shared|of|patch|mosaic|divided|blend|one view|varied", True),
        (
            {CROPS: 48, TREES: 30, WATER: 17, OPEN: 5},
            r"with|seen|view|shows|among|recogni|make out|visible|contains",
            False,
        ),
    ],
)
def test_half_is_told_only_where_the_unlabelled_pixels_do_not_decide(rows, brief, full):
    texts = told(picture(rows))
    assert re.search(brief, texts["caption_brief"].lower())
    assert ("%" in texts["caption"]) is full


def test_what_has_more_is_asked_where_it_has_more_whatever_the_unlabelled_pixels_are():
    # Of the lower quarters trees have 56 %, and crops 44; then 54 and 40, or 46 of what may be either.
    assert {"vqa_dominant", "vqa_larger", "choice"} <= set(told(picture({CROPS: 72, TREES: 28})))
    assert not {"vqa_dominant", "vqa_larger", "choice"} & set(told(picture({CROPS: 70, TREES: 27, OPEN: 3})))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Crops cover 54 to 59% of this view, and trees 41 to 46 percent.", True),
        ("Crops cover 50 to 59% of this view, and trees the rest of the upper half.", False),
        ("Crops cover 54 to 70% of this view, with trees in the upper half.", False),
        ("Trees cover 38 percent of this view, with crops in the lower half.", False),
        ("Crops cover between half and three fifths of this view, with trees in the upper half.", True),
        ("Crops cover between a third and half of this view, with trees in the upper half.", False),
        ("Crops cover at least half of this view, and trees up to half of it.", True),
        ("Crops cover at least two thirds of this view, with trees in the upper half.", False),
    ],
)
def test_other_words_may_keep_a_share_that_is_told_from_the_least_to_the_most(text, right):
    made = picture({TREES: 41, CROPS: 54, OPEN: 5})

    class Spec:
        rows = made.rules.rows

    ground = ground_of(sidecar_of(made.context(), "digest", None), Spec, made.rules.wording.lexicon.nouns)
    assert (ground_problem(text, ground) is None) is right
