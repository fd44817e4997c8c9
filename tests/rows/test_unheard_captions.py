"""The gate of patches against captions and lies that were written without knowing what it lets through."""

from __future__ import annotations

import pytest
from support.scenes import revision
from support.unheard_captions import (
    HONEST_HELD_OUT,
    HONEST_LATER,
    HONEST_TO_LEARN,
    LIES_HELD_OUT,
    LIES_LATER,
    LIES_TO_LEARN,
)
from support.unheard_scenes import BEFORE, UNHEARD

from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.gate import REASONS, Problem, problem_of

NOUNS = parse(builtin("tags")["text"]).called | {"soccer pitch", "railway", "farmland"}
PROMPT = "\n".join(builtin("prompts").values())


def judged(key: str, text: str) -> Problem | None:
    scene, first = UNHEARD[key]
    return problem_of(text, revision(first), scene, Captions(), nouns=NOUNS, prompt=PROMPT)


def test_there_are_enough_of_both_and_of_scenes():
    assert len(HONEST_TO_LEARN) + len(HONEST_HELD_OUT) >= 120
    assert len(LIES_TO_LEARN) + len(LIES_HELD_OUT) >= 120
    assert len({UNHEARD[key][0].patch_id for key, _ in (*HONEST_TO_LEARN, *HONEST_HELD_OUT)}) >= 15
    assert {key: problem for key, text in BEFORE.items() if (problem := judged(key, text)) is not None} == {}


@pytest.mark.parametrize(
    ("captions", "most"),
    [
        pytest.param(HONEST_TO_LEARN, 2, id="learnt from"),
        pytest.param(HONEST_HELD_OUT, 2, id="held out, and learnt from later"),
        pytest.param(HONEST_LATER, 12, id="later"),
    ],
)
def test_honest_captions_are_let_through_but_for_so_many(captions, most):
    wrong = {text: problem for key, text in captions if (problem := judged(key, text)) is not None}
    assert len(wrong) <= most, wrong
    assert {reason for reason, _ in wrong.values()} <= set(REASONS)


@pytest.mark.parametrize(
    ("lies", "most"),
    [
        pytest.param(LIES_TO_LEARN, 0, id="learnt from"),
        pytest.param(LIES_HELD_OUT, 2, id="held out, and learnt from later"),
        pytest.param(LIES_LATER, 12, id="later"),
    ],
)
def test_lies_are_kept_out_but_for_so_many_and_each_is_told_why(lies, most):
    found = {lie: judged(key, f"{BEFORE[key]} {lie}") for key, lie in lies}
    passed = [lie for lie, problem in found.items() if problem is None]
    assert len(passed) <= most, passed
    assert all(problem[0] in REASONS and problem[1] for problem in found.values() if problem is not None)
