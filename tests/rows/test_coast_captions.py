"""Captions of coasts name the sea, of which a map has the edge alone; and where a long thing lies is said shortly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import area, line

from nutonic.chips.scene.description import SceneDescription, Sea, Task
from nutonic.chips.scene.frame import CELLS
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
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
SEA = Sea(
    element="sea/1", version=0, kind="area", tags=(("natural", "sea"),), noun="sea", where="north",
    cells=("north-west", "north", "north-east"), share=0.31, area_m2=22_400.0, cut=True, near=("way/1",),
    coast=(("way/1", 1),),
)  # fmt: skip
BY_THE_SEA = replace(SCENE, elements=(SEA, PARK, LAWN, replace(COAST, near=("sea/1",))))


@pytest.mark.parametrize(
    ("task", "least"),
    [
        (Task(number=2, element="way/1"), 0.95),
        (Task(number=1, element="way/2"), 1.0),
        (Task(number=1, element="way/3"), 1.0),
    ],
    ids=["coast", "park", "lawn"],
)
def test_the_sea_is_named_where_there_is_a_coastline(task: Task, least: float):
    told = [template_caption(SCENE, task, None, Captions(), seed) for seed in range(40)]
    assert sum(" sea" in text for text in told) >= least * len(told)
    assert [problem for text in told if (problem := problem_of(text, task, SCENE, Captions())) is not None] == []


def test_a_sea_that_is_told_of_is_told_once():
    for task in (Task(number=1, element="sea/1"), Task(number=1, element="way/2"), Task(number=2, element="way/1")):
        told = [template_caption(BY_THE_SEA, task, None, Captions(), seed) for seed in range(40)]
        assert all("sea beyond" not in text for text in told)
        assert sum(" sea" in text for text in told) == len(told)
        assert [
            problem for text in told if (problem := problem_of(text, task, BY_THE_SEA, Captions())) is not None
        ] == []


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("The sea covers about 31 percent of the picture, in the north.", None),
        ("An expanse of sea takes up nearly a third of the picture along its northern edge.", None),
        ("The ocean lies in the north, with a park in the south.", None),
        ("A coastline separates the sea in the north from a park in the south.", None),
        ("The sea is the largest area of the picture.", None),
        ("Open water fills the north of the picture and goes on beyond its edge.", None),
        ("The sea lies in the south of the picture.", ("place", "south")),
        ("The sea covers about 60 percent of the picture.", ("number", "60")),
        ("A lake lies in the north of the picture.", ("thing", "lake")),
        ("A pond lies in the north of the picture.", ("thing", "pond")),
        ("A river runs into the sea in the north.", ("thing", "river")),
        ("There is no sea in the picture.", ("denied", "no sea in the picture")),
        ("A narrow sea lies in the north.", ("size", "narrow")),
        ("The sea is the smallest thing in view.", ("size", "smallest")),
        ("The park takes up the smallest part of the picture.", ("size", "smallest")),
        ("The tiniest feature is the sea.", ("size", "tiniest")),
        ("The lawn is the smallest area of the picture.", None),
        ("The sea is not fully visible, nor is the park.", None),
        ("The lawn is not fully visible.", ("shape", "fully visible")),
        ("The sea is not visible.", ("denied", "not visible")),
    ],
)
def test_what_is_said_of_the_sea_is_held_against_it(told: str, found: tuple[str, str] | None):
    words = Captions(words={"area": (1, 120)})
    nouns = {noun for noun in parse(builtin("tags")["text"]).nouns.values() if noun}
    assert problem_of(told, Task(number=1, element="sea/1"), BY_THE_SEA, words, nouns=nouns) == found


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
