"""What to ask of a mask: questions with one right answer each, chosen by the name of the tile.

Whether a question has an answer that nobody could doubt is for :mod:`nutonic.rows.claims` to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import combinations, permutations
from typing import Any

from nutonic.rows.claims import CLAIMS, RIGHT, most_of_quarter
from nutonic.rows.quarters import QUARTERS
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


def _quarters(truth: Truth, claim: str, key: str, candidates: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each candidate, in its order, the quarter to ask for: each answer that it has is the right one as often.

    So of all questions of a kind that name the same, in whatever dataset, each answer is right for as many.
    """
    for values in candidates:
        by_answer: dict[Any, list[str]] = {}
        for zone in order(f"{key} {sorted(values.items())}", QUARTERS):
            right = RIGHT[claim](truth, {**values, "zone": zone})
            if right is not None:
                by_answer.setdefault(right, []).append(zone)
        if by_answer:
            answer = order(f"{key} {sorted(values.items())} answer", sorted(by_answer, key=str))[0]
            yield {**values, "zone": by_answer[answer][0]}


def _presence(truth: Truth, claim: str, key: str) -> Iterator[dict[str, Any]]:
    """Classes and quarters to ask for."""
    return _quarters(truth, claim, key, ({"c": c} for c in order(key, truth.cover.by_size())))


def _touching(truth: Truth, key: str) -> Iterator[dict[str, Any]]:
    """Pairs of classes: as often one that touches first as one that does not."""
    pairs = [{"c": c, "d": d} for c, d in order(key, combinations(truth.cover.by_size(), 2))]
    first = bool(order(f"{key} answer", (0, 1))[0])
    yield from sorted(pairs, key=lambda values: RIGHT["vqa.ask_touch"](truth, values) is not first)


def absence(truth: Truth, key: str) -> Iterator[Exchange]:
    """Whether a class is in a quarter."""
    yield from _first_clear(truth, "absence", "absence.ask", _presence(truth, "absence.ask", f"{key} absence"))


def vqa(truth: Truth, key: str) -> Iterator[Exchange]:
    """At most one question of each kind."""
    here = truth.cover.by_size()
    one = [{"c": c} for c in order(f"{key} one", here)]
    two = [{"c": c, "d": d} for c, d in order(f"{key} two", permutations(here, 2))]
    present = _presence(truth, "vqa.ask_presence", f"{key} presence")
    larger = _quarters(truth, "vqa.ask_larger", f"{key} larger", _each_way(f"{key} pairs", here))
    most = _quarters(truth, "vqa.ask_dominant", f"{key} dominant", [{}])
    yield from _first_clear(truth, "vqa_presence", "vqa.ask_presence", present)
    yield from _first_clear(truth, "vqa_dominant", "vqa.ask_dominant", most, "vqa.class")
    yield from _first_clear(truth, "vqa_larger", "vqa.ask_larger", larger, "vqa.class")
    yield from _first_clear(truth, "vqa_share", "vqa.ask_share", one, "vqa.share")
    yield from _first_clear(truth, "vqa_quadrant", "vqa.ask_quadrant", one, "vqa.quadrant")
    yield from _first_clear(truth, "vqa_direction", "vqa.ask_direction", two, "vqa.direction")
    yield from _first_clear(truth, "vqa_touch", "vqa.ask_touch", _touching(truth, f"{key} touch"))


def _each_way(key: str, classes: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Pairs of classes, each in one of its two orders."""
    for pair in order(key, combinations(sorted(classes), 2)):
        c, d = order(f"{key} {pair}", pair)
        yield {"c": c, "d": d}


def choice(truth: Truth, key: str) -> Iterator[Exchange]:
    """Which of five classes holds most of a quarter: those that do of one, others that are there, others of the table."""
    most = {most_of_quarter(truth, zone) for zone in QUARTERS} if truth.whole else set()
    winners = order(f"{key} most", most - {None})
    if len(winners) < 2:
        return
    near = [c for c in truth.cover.by_size() if c not in winners]
    others = order(f"{key} choice", [c for c in truth.cover.table.labels if c not in (*winners, *near)])
    options = order(f"{key} letters", [*winners, *near, *others][: len(LETTERS)])
    if len(options) == len(LETTERS):
        asked = _quarters(truth, "choice.ask", f"{key} choice", [{"options": tuple(options)}])
        yield from _first_clear(truth, "choice", "choice.ask", asked, "choice.letter")


def referring(truth: Truth, key: str) -> Iterator[Exchange]:
    """A phrase and the one box that it means; a box, and the class in it."""
    one = [{"c": c} for c in order(f"{key} referring", truth.cover.by_size())]
    yield from _first_clear(truth, "referring_only", "referring.ask_only", one, "referring.box")
    yield from _first_clear(truth, "referring_largest", "referring.ask_largest", one, "referring.box")
    classes = order(f"{key} class", {region.class_id for region in truth.boxable()})
    boxes = [{"box": truth.box(region)} for c in classes for region in order(f"{key} box", truth.boxable(c))]
    yield from _first_clear(truth, "referring_class", "referring.ask_class", boxes, "referring.class")
