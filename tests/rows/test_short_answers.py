"""A question with a short answer has one answer, in the same words wherever it is asked: others can be held against it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from support.spoken import ALL, Spoken, planted, world

from nutonic.core.classes import DYNAMIC_WORLD

PAGE = Path(__file__).parents[2] / "docs" / "outputs.md"
CLASSES = {DYNAMIC_WORLD.noun(c)[:1].upper() + DYNAMIC_WORLD.noun(c)[1:] for c in DYNAMIC_WORLD.labels}
YES_OR_NO = {"Yes", "No"}
QUARTERS = {"Upper left", "Upper right", "Lower left", "Lower right"}
DIRECTIONS = {
    "Above it", "Below it", *(f"To the {side} of it" for side in ("left", "right", *(q.lower() for q in QUARTERS))),
}  # fmt: skip

#: What answers there are, by how the ids of rows end.
CLOSED = {
    "absence": YES_OR_NO,
    "vqa_presence": YES_OR_NO,
    "vqa_touch": YES_OR_NO,
    "vqa_dominant": CLASSES,
    "vqa_larger": CLASSES,
    "vqa_share": {f"{tens} %" for tens in range(10, 101, 10)},
    "vqa_quadrant": QUARTERS,
    "vqa_direction": DIRECTIONS,
    "choice": {*"ABCDE"},
    "referring_class": CLASSES,
}


@pytest.fixture(scope="module")
def answers() -> dict[str, set[str]]:
    """All answers of many chips, by how the ids of their rows end."""
    found = defaultdict(set)
    many = [planted(), planted(mixed=True), *(world(k) for k in range(80))]
    for k, made in enumerate(many):
        spoken = Spoken(made.mask, rows={**ALL, "min_region_px": 4, "shares": "percent"}, name=f"poi_{k:06d}_t0000")
        for view in (None, "flip", "r90"):
            for row in spoken.lines(view):
                found[row["id"].partition("__")[2]].add(row["messages"][1]["content"][-1]["text"])
    return found


@pytest.mark.parametrize("suffix", CLOSED)
def test_a_short_answer_is_one_of_few(answers, suffix):
    assert answers[suffix]
    assert answers[suffix] <= CLOSED[suffix]


def test_each_question_that_is_no_caption_and_asks_for_no_box_is_closed(answers):
    open_ones = re.compile(r"caption|cross_view|overview|class_caption|(class_)?grounding|referring_(only|largest)")
    assert {suffix for suffix in answers if not open_ones.match(suffix)} == set(CLOSED)


@pytest.mark.parametrize("told", sorted({*YES_OR_NO, *QUARTERS, *DIRECTIONS, "40 %"}))
def test_the_page_tells_what_short_answers_there_are(told):
    assert f"`{told}`" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("suffix", "answer", "other"),
    [
        ("absence", r".*", lambda text: f"{text}, this can be seen"),
        ("vqa_quadrant", r".*", lambda text: f"{text} quarter"),
        ("vqa_direction", r"To the (left|right) of it", lambda text: text.removeprefix("To the ").capitalize()),
        ("vqa_touch", r".*", lambda text: f"{text}."),
    ],
)
def test_the_same_in_other_words_is_refused(suffix, answer, other):
    for k in range(200):
        made = Spoken(world(k).mask, rows={**ALL, "min_region_px": 4}, name=f"poi_{k:06d}_t0000")
        for row in (row for row in made.lines() if row["id"].endswith(suffix)):
            said = row["messages"][1]["content"][-1]
            if re.fullmatch(answer, said["text"]):
                assert made.problem(row) is None
                said["text"] = other(said["text"])
                assert made.problem(row) is not None
                return
    pytest.fail("there is no such row")
