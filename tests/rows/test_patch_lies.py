"""The gate of patches against lies of sixteen kinds, and against what honest models say of the same pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from support.honest_captions import ABOUT, FIRST, REVISED, REVISIONS
from support.lies_of_patches import BEGINNINGS, LATER, LIES
from support.scenes import FIELD, POND, RIVER, TASKS, area, line, revision

from nutonic.chips.scene.description import SceneDescription, Task
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.gate import REASONS, problem_of
from nutonic.rows.annotation.statements.plain_words import PLAIN

NOUNS = parse(builtin("tags")["text"]).called | {"soccer pitch", "railway", "farmland"}
PROMPT = "\n".join(builtin("prompts").values())
BEFORE = {"pond": POND, "street": POND, "farmland": RIVER, "river": RIVER, "railway": RIVER, "pitch": FIELD}
#: Honest captions that are let through, at least.
MOST = 0.95


def judged(key: str, text: str, *, revised: bool = True):
    scene, first = ABOUT[key] if key in ABOUT else (BEFORE[key], TASKS[key])
    task = (REVISED.get(key) or revision(first)) if revised else first
    return problem_of(text, task, scene, Captions(), nouns=NOUNS, prompt=PROMPT)


def test_there_are_enough_of_both():
    assert len(LIES) >= 15
    assert min(map(len, LIES.values())) >= 10
    assert sum(map(len, LIES.values())) >= 240
    assert len({text for _, text in (*REVISIONS, *FIRST)}) >= 155
    assert {key: problem for key, text in BEGINNINGS.items() if (problem := judged(key, text)) is not None} == {}


@pytest.mark.parametrize("kind", LIES)
def test_no_lie_is_let_through_and_each_is_told_why(kind: str):
    found = {lie: judged(key, f"{BEGINNINGS[key]} {lie}") for key, lie in LIES[kind]}
    assert [lie for lie, problem in found.items() if problem is None] == []
    assert {reason for reason, _ in found.values()} <= set(REASONS)
    assert all(detail for _, detail in found.values())


def test_of_lies_that_were_told_after_the_gate_was_made_those_pass_that_are_listed():
    """A compass has eight directions; what lies beside a thing may run into it."""
    passed = {lie for key, lie in LATER if judged(key, f"{BEGINNINGS[key]} {lie}") is None}
    assert passed == {
        "The street leads into the pond.",
        "The river flows from north to south.",
        "The fairways run from east to west.",
    }


def test_honest_captions_pass_but_for_a_few():
    every = [*((each, True) for each in REVISIONS), *((each, False) for each in FIRST)]
    wrong = {
        text: problem for (key, text), revised in every if (problem := judged(key, text, revised=revised)) is not None
    }
    assert len(wrong) <= (1 - MOST) * len(every), wrong


def test_a_path_that_is_a_closed_loop_may_be_called_closed():
    loop = line("way/1", "footpath", ("north", "north"), "north", length=170.0, course="closed")
    scene = SceneDescription(patch_id="p", side_m=268.8, elements=(loop,))
    text = "A footpath of about 170 m lies in the north of the picture. Its course is closed."
    assert problem_of(text, Task(number=3, element="way/1"), scene, Captions(), nouns=NOUNS) is None
    straight = SceneDescription(patch_id="p", side_m=268.8, elements=(replace(loop, course="straight"),))
    text = text.replace("Its course", "It")
    assert problem_of(text, Task(number=3, element="way/1"), straight, Captions(), nouns=NOUNS) == ("word", "closed")


def test_several_areas_of_lawn_are_no_areas_of_another_kind():
    houses = area("way/1", "residential area", "centre", share=0.5)
    lawns = [area(f"way/{k}", "lawn", cell, share=0.1) for k, cell in ((2, "north"), (3, "south"))]
    scene = SceneDescription(patch_id="p", side_m=268.8, elements=(houses, *lawns))
    text = "A residential area lies in the centre of the picture. Several areas of lawn can be seen as well."
    task = Task(number=3, element="way/1")
    assert problem_of(text, task, scene, Captions(), nouns=NOUNS) is None
    assert problem_of(text.replace("areas of lawn", "residential areas"), task, scene, Captions(), nouns=NOUNS) == (
        "size",
        "Several residential areas",
    )


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        ("The view holds no water at all.", ("denied", "no water at all")),
        ("The pond is vast.", ("size", "vast")),
        ("The buildings are sizable.", ("size", "sizable")),
        ("It is a sunny day.", ("word", "sunny")),
        ("The street crosses the forest.", ("place", "crosses")),
        ("Some forests surround it.", ("size", "Some forests")),
        ("The roofs are red.", ("word", "red")),
    ],
)
def test_a_reason_tells_what_was_found(lie: str, problem: tuple[str, str]):
    text = f"{BEGINNINGS['pond']} {lie}".replace("The pond is vast", "The buildings are vast")
    assert judged("pond", text) == problem


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("The street shows as a pale grey line.", None),
        ("The buildings have dark shadows.", None),
        ("It is light-toned throughout.", None),
        ("It is a sunny day.", ("word", "sunny")),
        ("The water is deep and blue.", ("word", "deep")),
        ("A white truck stands by.", ("thing", "truck")),
        ("The view holds no water at all.", ("denied", "no water at all")),
    ],
)
def test_who_sees_the_picture_may_tell_colours_and_light_and_nothing_else_more(words: str, problem):
    task, text = revision(TASKS["pond"]), f"{BEGINNINGS['pond']} {words}"
    asked = partial(problem_of, text, task, POND, Captions(), nouns=NOUNS, prompt=PROMPT)
    assert asked(seen=True) == problem
    assert asked() is not None


def test_words_that_tell_what_no_picture_shows_are_not_among_those_that_may_be_said():
    """Of each kind a few; none is refused by a list, since none of them is on the one that may be said."""
    strange = """spring summer autumn winter snow rain sunny cloudy foggy wind-blown morning evening noon night dusk dawn
    people children visitors residents workers car cars truck boat train bicycle traffic private public owned operator speed
    toll electrified century old new modern historic abandoned busy popular famous red blue yellow brown black
    white deep cold warm fish birds noise smell safe healthy wealthy price year month monday january""".split()  # noqa: SIM905
    assert [word for word in strange if word in PLAIN] == []
    assert Counter(word.islower() for word in PLAIN)[False] == 0
