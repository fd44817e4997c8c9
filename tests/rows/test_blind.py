"""What can be answered without the picture: of planted answers so much is told, and of what is asked next to nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from support.spoken import BUILT, CROPS, GRASS, TREES, WATER, Spoken

from nutonic.rows.blind import Asked, asked_of, guessable


def planted(kind, count, seed, **shape):
    """Questions in two halves, whose answers `shape` makes of numbers that are random."""
    random = np.random.default_rng(seed)
    asked = [Asked(kind=kind, **{key: make(random, k) for key, make in shape.items()}) for k in range(count)]
    return asked[::2], asked[1::2]


@pytest.mark.parametrize(
    ("shape", "low", "high", "chance"),
    [
        # Water is never there, crops always.
        ({"names": lambda r, k: (k % 5,), "answer": lambda r, k: "yes" if k % 5 < 2 else "no"}, 1, 1, 0.5),
        ({"names": lambda r, k: (k % 5,), "answer": lambda r, k: ("yes", "no")[r.integers(2)]}, 0.42, 0.58, 0.5),
        # One in ten is otherwise, whatever is named.
        ({"names": lambda r, k: (k % 5,), "answer": lambda r, k: ("yes", "no")[int(r.random() < 0.1)]}, 0.86, 0.94, 0.5),
    ],
)  # fmt: skip
def test_as_much_is_guessed_as_was_planted(shape, low, high, chance):
    (found,) = guessable(planted("kind", 600, 7, possible=lambda r, k: 2, **shape))
    assert (found.kind, found.rows, found.chance) == ("kind", 600, chance)
    assert low <= found.share <= high


@pytest.mark.parametrize(
    ("right", "low", "high"),
    [
        (lambda options, r: max(options), 0.98, 1),  # the same class of any five
        (lambda options, r: options[2], 0.98, 1),  # the third letter
        (lambda options, r: options[r.integers(5)], 0.12, 0.28),
    ],
)
def test_a_choice_is_guessed_by_its_letters_and_its_classes(right, low, high):
    random, asked = np.random.default_rng(5), []
    for _ in range(600):
        options = tuple(random.permutation(9)[:5].tolist())
        asked.append(Asked(kind="choice", options=options, answer=right(options, random)))
    (found,) = guessable((asked[::2], asked[1::2]))
    assert found.chance == pytest.approx(0.2)
    assert low <= found.share <= high


def test_nobody_guesses_what_was_learnt_of_the_same_place():
    """Each question is asked twice of one place and never again: within a half it is known, in the other it is not."""
    random = np.random.default_rng(3)
    halves = [[Asked(kind="k", names=(1000 * half + k,), answer=int(a), possible=4) for k, a in
               enumerate(random.integers(4, size=150)) for _ in range(2)] for half in range(2)]  # fmt: skip
    (found,) = guessable(halves)
    assert 0.15 <= found.share <= 0.35


def test_the_order_of_rows_does_not_matter():
    one, other = planted("kind", 200, 1, names=lambda r, k: (int(r.integers(3)), int(r.integers(3))),
                         answer=lambda r, k: int(r.integers(3)))  # fmt: skip
    assert guessable((one, other)) == guessable((one[::-1], other[::-1]))


# What is asked


@cache
def country(count: int) -> tuple[list[Spoken], list[Spoken]]:
    """Pictures of a country of fields: some have trees, few water; what is there lies anywhere."""
    random, made = np.random.default_rng(11), []
    wanted = {"captions": (), "grounding": False, "per_class": False, "per_class_grounding": False, "absence": True,
              "vqa": True, "choice": True, "min_region_px": 4}  # fmt: skip
    for k in range(count):
        mask = np.full((48, 48), CROPS, np.uint8)
        for c, often, largest in ((TREES, 0.8, 44), (GRASS, 0.4, 30), (BUILT, 0.2, 30), (WATER, 0.1, 30)):
            if random.random() < often:
                at, sides = random.integers(0, 48, 2), random.integers(6, largest // 2, 2)  # no quarter is preferred
                (top, left), (bottom, right) = np.maximum(at - sides, 0), at + sides
                mask[top:bottom, left:right] = c
        made.append(Spoken(mask, rows=wanted, name=f"poi_{k:06}"))
    return made[::2], made[1::2]


def test_no_class_and_no_letter_tells_the_answer(sample):
    halves = [[each for one in half for row in one.lines() if (each := asked_of(row, one.rules.wording))]
              for half in country(sample.times(400, 1200))]  # fmt: skip
    found = {each.kind: each for each in guessable(halves)}
    for kind in ("absence", "vqa_presence", "vqa_larger"):
        assert found[kind].rows > 60
        assert found[kind].share < 0.5 + 2 / found[kind].rows ** 0.5, found[kind]
    for kind in ("choice", "vqa_dominant"):  # at least two classes can be right, and crops often are
        assert found[kind].share < 0.65, found[kind]
        assert found[kind].rows > 60
