"""Captions of coasts name the sea, of which a map has the edge alone; and where a long thing lies is said shortly."""

from __future__ import annotations

import pytest
from support.scenes import area, line

from nutonic.chips.scene.description import SceneDescription, Task
from nutonic.chips.scene.frame import CELLS
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation.captions import template_caption
from nutonic.rows.annotation.gate import problem_of
from nutonic.rows.annotation.phrases import place

COAST = line(
    "way/1", "coastline", None, "centre", "north-west", "north", "north-east", "west", "east", length=420.0,
    course="slightly curved", orientation="east to west", cut=True, tags=(("natural", "coastline"),),
)  # fmt: skip
PARK = area("way/2", "park", "south", "south-west", "south-east", share=0.3, cut=True, tags=(("leisure", "park"),))
LAWN = area("way/3", "lawn", "south-west", share=0.06, shape="square", tags=(("landuse", "grass"),))
SCENE = SceneDescription(patch_id="coast", side_m=268.8, elements=(PARK, LAWN, COAST))


@pytest.mark.parametrize(
    ("task", "least"),
    [
        (Task(number=2, element="way/1"), 0.95),
        (Task(number=1, element="way/2"), 0.5),
        (Task(number=1, element="way/3"), 0.5),
    ],
    ids=["coast", "park", "lawn"],
)
def test_the_sea_is_named_where_there_is_a_coastline(task: Task, least: float):
    told = [template_caption(SCENE, task, None, Captions(), seed) for seed in range(40)]
    assert sum(" sea" in text for text in told) >= least * len(told)
    assert [problem for text in told if (problem := problem_of(text, task, SCENE, Captions())) is not None] == []


@pytest.mark.parametrize(
    ("free", "told"),
    [
        ((), "in every part"),
        (("east",), "in every part but the east"),
        (("south-west", "south", "south-east"), "in the northern two thirds"),
        (("north-west", "west", "south-west"), "in the eastern two thirds"),
        (("north", "north-east", "south-east"), "in the north-west, west, centre, east, south-west and south"),
    ],
)
def test_where_a_thing_lies_that_reaches_into_many_parts(free: tuple[str, ...], told: str):
    assert place([cell for cell in CELLS if cell not in free]) == told
