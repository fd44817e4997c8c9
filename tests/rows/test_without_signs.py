"""Signs and letters only spare work: a gate that looks for every pattern in every text says the same."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.honest_captions import ABOUT, FIRST, REVISED, REVISIONS
from support.lies_of_patches import BEGINNINGS, LATER, LIES
from support.scenes import FIELD, POND, RIVER, TASKS, revision

from nutonic.chips.scene.description import SceneDescription, Task
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation import bearings, talk, things
from nutonic.rows.annotation.gate import problem_of
from nutonic.rows.annotation.statements import sizes

NOUNS = parse(builtin("tags")["text"]).called | {"soccer pitch", "railway", "farmland"}
PROMPT = "\n".join(builtin("prompts").values())
SCENES = {"pond": POND, "street": POND, "farmland": RIVER, "river": RIVER, "railway": RIVER, "pitch": FIELD}
#: What may be put into a text so that it says something else, or says it otherwise.
WORDS = """one two several larger smaller largest as long within than north southern east left centre half most whole
only second straight winding beyond off crosses beside between no without equal times 40 % percent metres its their
, . ;""".split()  # noqa: SIM905


class _Every(dict[str, int]):
    """Of any text all signs."""

    def get(self, *_: object) -> int:
        return -1


@contextmanager
def looking_for_all() -> Iterator[None]:
    """Within the block, the gate finds all signs and all letters in any text."""
    modules = [each for name, each in sys.modules.items() if name.startswith("nutonic.rows.annotation")]
    with pytest.MonkeyPatch.context() as patch:
        for signs in (talk._SIGNS, things._OF_KINDS):
            patch.setattr(signs, "_texts", _Every())
        for module in modules:
            if hasattr(module, "may_hold"):
                patch.setattr(module, "may_hold", lambda *_: True)
        bearings.as_compass.cache_clear()
        yield
    bearings.as_compass.cache_clear()


def told() -> list[tuple[SceneDescription, Task, str]]:
    """Honest captions and lies, each with what it is of."""
    found = [(*ABOUT[key], text) for key, text in FIRST if key in ABOUT]
    for key, text in [
        *REVISIONS,
        *((key, f"{BEGINNINGS[key]} {lie}") for kind in (*LIES.values(), LATER) for key, lie in kind),
    ]:
        scene, first = ABOUT[key] if key in ABOUT else (SCENES[key], TASKS[key])
        found.append((scene, REVISED.get(key) or revision(first), text))
    return found


def changed(text: str, chance: random.Random) -> str:
    """A text with a few words that are left out, put in or swapped."""
    words = text.split(" ")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(words))
        match chance.randrange(3):
            case 0 if len(words) > 1:
                del words[at]
            case 1:
                words.insert(at, chance.choice(WORDS))
            case _:
                other = chance.randrange(len(words))
                words[at], words[other] = words[other], words[at]
    return " ".join(words)


def judged(texts: list[tuple[SceneDescription, Task, str]]) -> list[tuple[str, str] | None]:
    return [problem_of(text, task, scene, Captions(), nouns=NOUNS, prompt=PROMPT) for scene, task, text in texts]


@pytest.mark.long
@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_the_gate_says_the_same_without_what_spares_it_work(rounds: int):
    chance = random.Random(rounds)
    texts = told()
    texts += [(scene, task, changed(text, chance)) for _ in range(rounds) for scene, task, text in texts]
    usual = judged(texts)
    assert len({problem[0] for problem in usual if problem}) > 6
    with looking_for_all():
        every = judged(texts)
    assert [
        (text, one, other) for (_, _, text), one, other in zip(texts, usual, every, strict=True) if one != other
    ] == []


def test_of_a_plain_sentence_no_size_is_looked_for():
    signs = talk.signs_of("A pond lies in the east of the picture, and a road runs beside it.")
    assert not [check for of_check, check in sizes._CHECKS if signs & of_check]
