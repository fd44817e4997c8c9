"""What to ask of a mask: questions with one right answer each, chosen by the name of the tile.

Whether a question has an answer that nobody could doubt is for :mod:`nutonic.rows.claims` to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, permutations
from typing import Any

from nutonic.rows.claims import CLAIMS, RIGHT, is_there, most_common
from nutonic.rows.slots import LETTERS
from nutonic.rows.truth import Truth
from nutonic.rows.wording import Said

#: A question and its answer, with what the row's id ends in.
Exchange = tuple[str, Said, Said]


def order(key: str, items: Iterable[Any]) -> list[Any]:
    """Items in an order that only the key decides."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{key} {item}".encode()).digest())


def _answer(truth: Truth, asked: Said, name: str | None) -> Said | None:
    """The right answer to a question, as the claim of that name, or as yes or no; None if it has none that is clear."""
    if CLAIMS[asked.claim].whole and not truth.whole:
        return None
    right = RIGHT[asked.claim](truth, asked.values)
    task = asked.claim.partition(".")[0]
    if right is None:
        return None
    if isinstance(right, bool):
        return Said(claim=f"{task}.{'yes' if right else 'no'}", values={})
    assert name is not None, f"{asked.claim} is answered by a claim"
    (slot,) = CLAIMS[name].slots
    return Said(claim=name, values={slot: right})


def _first_clear(
    truth: Truth, suffix: str, claim: str, candidates: Iterable[dict[str, Any]], answer: str | None = None
) -> Iterator[Exchange]:
    """The first of several questions of a kind that has an answer, if one has: the claim `answer`, or else yes or no."""
    for values in candidates:
        asked = Said(claim=claim, values=values)
        right = _answer(truth, asked, answer)
        if right is not None:
            yield suffix, asked, right
            return


def _there_or_not(truth: Truth, key: str) -> list[int]:
    """Classes to ask for: as often one that is there first as one that is not."""
    every = order(key, truth.cover.table.labels)
    there = [c for c in every if is_there(truth, {"c": c})]
    absent = [c for c in every if is_there(truth, {"c": c}) is False]
    first, then = (there, absent) if order(key, (0, 1))[0] else (absent, there)
    return [*first, *then]


def absence(truth: Truth, key: str) -> Iterator[Exchange]:
    """Whether a class is there."""
    yield from _first_clear(truth, "absence", "absence.ask", ({"c": c} for c in _there_or_not(truth, f"{key} absence")))


def vqa(truth: Truth, key: str) -> Iterator[Exchange]:
    """At most one question of each kind."""
    here = truth.cover.by_size()
    one = [{"c": c} for c in order(f"{key} one", here)]
    two = [{"c": c, "d": d} for c, d in order(f"{key} two", permutations(here, 2))]
    pairs = [{"c": c, "d": d} for c, d in order(f"{key} pairs", combinations(here, 2))]
    present = ({"c": c} for c in _there_or_not(truth, f"{key} presence"))
    yield from _first_clear(truth, "vqa_presence", "vqa.ask_presence", present)
    yield from _first_clear(truth, "vqa_dominant", "vqa.ask_dominant", [{}], "vqa.class")
    yield from _first_clear(truth, "vqa_larger", "vqa.ask_larger", two, "vqa.class")
    yield from _first_clear(truth, "vqa_share", "vqa.ask_share", one, "vqa.share")
    yield from _first_clear(truth, "vqa_quadrant", "vqa.ask_quadrant", one, "vqa.quadrant")
    yield from _first_clear(truth, "vqa_direction", "vqa.ask_direction", two, "vqa.direction")
    yield from _first_clear(truth, "vqa_touch", "vqa.ask_touch", pairs)


def choice(truth: Truth, key: str) -> Iterator[Exchange]:
    """Which of five classes holds most: the right one, the next that is there, and three others of the table."""
    right = most_common(truth, {}) if truth.whole else None
    near: Sequence[int] = [c for c in truth.cover.by_size() if c != right][:1]
    if right is None or not near:
        return
    others = order(f"{key} choice", [c for c in truth.cover.table.labels if c not in (right, *near)])
    options = order(f"{key} letters", [right, *near, *others[: len(LETTERS) - 2]])
    if len(options) == len(LETTERS):
        yield from _first_clear(truth, "choice", "choice.ask", [{"options": tuple(options)}], "choice.letter")


def referring(truth: Truth, key: str) -> Iterator[Exchange]:
    """A phrase and the one box that it means; a box, and the class in it."""
    one = [{"c": c} for c in order(f"{key} referring", truth.cover.by_size())]
    yield from _first_clear(truth, "referring_only", "referring.ask_only", one, "referring.box")
    yield from _first_clear(truth, "referring_largest", "referring.ask_largest", one, "referring.box")
    boxes = [{"box": truth.box(region)} for region in order(f"{key} box", truth.boxable())]
    yield from _first_clear(truth, "referring_class", "referring.ask_class", boxes, "referring.class")
