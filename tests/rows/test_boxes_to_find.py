"""A box is asked for, or shown, where it is not the whole picture: of that nothing would be learnt."""

from __future__ import annotations

import numpy as np
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


def test_no_row_of_any_world_has_the_picture_as_its_only_box():
    for k in range(12):
        for row in world(k).lines():
            if row["task"] in ("class_grounding", "grounding", "referring"):
                assert reader.falsehoods(row, world(k).picture()) == [], (k, row)
