"""A box is asked for, or shown, where it is not the whole picture: of that nothing would be learnt."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from support import reader
from support.spoken import ALL, CROPS, TREES, WATER, Spoken, world

BOXED = ("grounding", "class_grounding", "referring_only", "referring_largest", "referring_class")


def spoken(mask: np.ndarray) -> Spoken:
    return Spoken(
        mask, rows={**ALL, "min_region_px": 1, "min_box_px": 1, "min_box_fill": 0.1, "min_class_fraction": 0.0}
    )


def boxed(made: Spoken) -> list[str]:
    """The ends of the ids of rows with boxes."""
    ends = [row["id"].partition("__")[2] for row in made.lines()]
    return sorted(end for end in ends if end.startswith(BOXED))


def crops_around(side: int, of: int, found: int = TREES) -> np.ndarray:
    """A square of so many pixels a side in a corner, crops around it."""
    mask = np.full((of, of), CROPS, np.uint8)
    mask[:side, :side] = found
    return mask


def test_of_one_class_no_box_is_asked_for():
    assert boxed(spoken(np.full((20, 20), CROPS, np.uint8))) == []


def test_what_surrounds_another_thing_is_not_asked_for_alone():
    ends = boxed(spoken(crops_around(6, 20)))
    assert ends == [
        f"class_grounding_{TREES}", "grounding", "referring_class", "referring_largest", "referring_only",
    ]  # fmt: skip
    for row in spoken(crops_around(6, 20)).lines():
        if row["id"].partition("__")[2].startswith("referring"):
            assert "[0, 0, 0.3, 0.3]" in "".join(message["content"][-1]["text"] for message in row["messages"])


@pytest.mark.parametrize(("edge", "is_asked"), [(19, True), (20, False)])
def test_the_picture_is_a_box_of_more_than_95_hundredths_of_it(edge, is_asked):
    mask = np.full((20, 20), WATER, np.uint8)
    mask[:, :edge] = CROPS
    assert (f"class_grounding_{CROPS}" in boxed(spoken(mask))) is is_asked


def test_a_row_that_asks_for_the_picture_is_false():
    made, other = spoken(crops_around(6, 20)), spoken(crops_around(20, 20))
    for row in made.lines():
        task, answer = row["task"], row["messages"][1]["content"][-1]
        if task == "class_grounding":
            answer["text"] = '[{"label":"trees","bbox":[0.0,0.0,1.0,1.0]}]'
        elif row["id"].endswith(("referring_only", "referring_largest")):
            answer["text"] = "[0, 0, 1, 1]"
        else:
            continue
        assert other.problem(row) is not None
        assert reader.falsehoods(row, other.picture()) != []


@pytest.mark.parametrize("share", [0.5, 0.8, 0.94])
def test_no_box_of_several_is_the_picture_either(share):
    """Crops all around, trees in the middle: the box of the crops is the picture, and no answer has it."""
    mask = np.full((40, 40), CROPS, np.uint8)
    side = int(40 * (1 - share) ** 0.5)
    mask[10 : 10 + side, 10 : 10 + side] = TREES
    made = spoken(mask)
    ends = boxed(made)
    assert f"class_grounding_{CROPS}" not in ends
    assert "grounding" in ends
    for row in made.lines():
        assert made.problem(row) is None
        assert reader.falsehoods(row, made.picture()) == []
        if row["task"] == "grounding":
            answer = row["messages"][1]["content"][-1]
            assert [each["label"] for each in orjson.loads(answer["text"])] == ["trees"]
            assert "95 % of the image" in row["messages"][0]["content"][-1]["text"]
            answer["text"] = answer["text"].replace("[", '[{"label":"crops","bbox":[0.0,0.0,1.0,1.0]},', 1)
            assert made.problem(row) is not None
            assert reader.falsehoods(row, made.picture()) != []


def test_of_a_class_whose_largest_region_surrounds_the_others_these_are_asked_for():
    mask = np.full((40, 40), CROPS, np.uint8)
    mask[5:35, 5:35], mask[12:24, 12:20] = TREES, CROPS
    made = spoken(mask)
    (row,) = (row for row in made.lines() if row["id"].endswith(f"class_grounding_{CROPS}"))
    assert orjson.loads(row["messages"][1]["content"][-1]["text"]) == [{"label": "crops", "bbox": [0.3, 0.3, 0.5, 0.6]}]
    assert reader.falsehoods(row, made.picture()) == []


def test_no_row_of_any_world_has_the_picture_for_a_box():
    for k in range(12):
        for row in world(k).lines():
            if row["task"] in ("class_grounding", "grounding", "referring"):
                assert reader.falsehoods(row, world(k).picture()) == [], (k, row)
