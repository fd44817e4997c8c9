"""The gate of patches against captions and lies of the country that were written before its code was read."""

from __future__ import annotations

import pytest
from support.country_scenes import NAMES, country_scene
from support.fresh_captions import (
    ABOUT,
    BEFORE,
    HONEST_SEALED,
    HONEST_TO_LEARN,
    LIES_SEALED,
    LIES_TO_LEARN,
    OF_SCENE,
)

from nutonic.chips.scene.description import Task
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.gate import REASONS, Problem, problem_of

NOUNS = parse(builtin("tags")["text"]).called
PROMPT = "\n".join(builtin("prompts").values())


def judged(about: str, text: str) -> Problem | None:
    name, number, element = ABOUT[about]
    task = Task(number=number if len(text.split()) > 50 else 3, element=element)
    return problem_of(text, task, country_scene(name), Captions(), nouns=NOUNS, prompt=PROMPT)


def test_there_are_enough_of_both_and_what_comes_before_a_lie_is_true():
    assert len(HONEST_TO_LEARN) + len(HONEST_SEALED) >= 60
    assert len(LIES_TO_LEARN) + len(LIES_SEALED) >= 80
    assert {ABOUT[about][0] for about, _ in (*HONEST_TO_LEARN, *HONEST_SEALED)} == set(NAMES)
    assert [judged(OF_SCENE[name], text) for name, text in BEFORE.items()] == [None] * len(NAMES)


@pytest.mark.parametrize(
    ("captions", "most"), [(HONEST_TO_LEARN, 4), (HONEST_SEALED, 5)], ids=["learnt from", "sealed"]
)
def test_honest_captions_are_let_through_but_for_so_many(captions, most):
    wrong = {text: problem for about, text in captions if (problem := judged(about, text)) is not None}
    assert len(wrong) <= most, wrong
    assert {reason for reason, _ in wrong.values()} <= set(REASONS)


@pytest.mark.parametrize(("lies", "most"), [(LIES_TO_LEARN, 2), (LIES_SEALED, 2)], ids=["learnt from", "sealed"])
def test_lies_are_kept_out_but_for_so_many_and_each_is_told_why(lies, most):
    found = {(name, lie): judged(OF_SCENE[name], f"{BEFORE[name]} {lie}") for name, lie in lies}
    passed = [lie for (_, lie), problem in found.items() if problem is None]
    assert len(passed) <= most, passed
    assert all(problem[0] in REASONS and problem[1] for problem in found.values() if problem is not None)
