"""How much of what rows ask can be answered without the picture: by whoever knows how often each answer was right.

The guesser sees what a question names (classes, in their order, options with their letters) and learns from other places.
It answers what was right most often to the same question; of few such, it leans on what it knows of each class, and of all
questions of the kind.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Any

from nutonic.core.model import Json
from nutonic.rows.checker import read_back
from nutonic.rows.claims import RIGHT
from nutonic.rows.slots import LETTERS
from nutonic.rows.wording import Wording

#: Answers to the same question count as much as so many of what is known of all.
_LEAN = 4.0

#: How many answers there are, by the slot that holds them, where that does not depend on the classes.
_POSSIBLE = {"zone": 4, "direction": 8, "percent": 10}

#: What questions name, by slot.
_NAMES = ("c", "d", "zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question and its right answer, without their words and without the picture."""

    kind: str
    """What the row's id ends in, such as ``vqa_presence``."""
    names: tuple[object, ...] = ()
    """What the question names: classes in their order, a quarter of the picture."""
    options: tuple[object, ...] = ()
    """What can be answered, in the order in which the question tells it; empty where it tells none."""
    answer: object
    """One of the options, if there are any. Of a box its edges, in quarters of the picture."""
    possible: int | None = None
    """How many answers there are; None if as many as are given."""


def asked_of(row: Json, wording: Wording) -> Asked | None:
    """What a row asks and answers, read back out of its words; None if it has no short answer, or cannot be read."""
    exchange = read_back(row, wording)
    if exchange is None or exchange[0].claim not in RIGHT:
        return None
    question, (said, *_) = exchange
    kind = str(row["id"]).rpartition("__")[2]
    slot: str | None
    told: Any
    slot, told = next(iter(said.values.items()), (None, said.claim))
    names = tuple(question.values[name] for name in _NAMES if name in question.values)
    if slot == "letter":
        options = tuple(question.values["options"])
        return Asked(kind=kind, names=names, options=options, answer=options[LETTERS.index(told)])
    if slot == "e" and "d" in question.values:
        return Asked(kind=kind, names=names[2:], options=names[:2], answer=told)
    if slot == "box":
        return Asked(kind=kind, names=names, answer=tuple(round(4 * edge) for edge in told))
    return Asked(kind=kind, names=names, answer=told, possible=2 if slot is None else _POSSIBLE.get(slot))


@dataclass(slots=True)
class _Learnt:
    """How often which answer was right."""

    of_all: Counter[object] = field(default_factory=Counter)
    of_names: dict[object, Counter[object]] = field(default_factory=lambda: defaultdict(Counter))
    """To questions that name the same, in the same order; of one name alone, wherever it stands."""
    offered: Counter[object] = field(default_factory=Counter)
    """How often each option, and each place among so many, could be chosen."""

    def learn(self, asked: Asked) -> None:
        self.of_all[asked.answer] += 1
        for names in _seen(asked):
            self.of_names[names][asked.answer] += 1
        for position, option in enumerate(asked.options):
            self.offered[option] += 1
            self.offered[position, len(asked.options)] += 1
            if option == asked.answer:
                self.of_names["place", len(asked.options)][position] += 1

    def guess(self, asked: Asked) -> object:
        """The answer that is most likely right; of several the first by its words, or among the options."""
        if asked.options:
            return max(asked.options, key=lambda option: self._of_option(asked, option))
        return max(sorted(self.of_all, key=str), key=lambda answer: self._of_answer(asked, answer), default=None)

    def _of_answer(self, asked: Asked, answer: object) -> float:
        share = self.of_all[answer] / self.of_all.total()
        full, *single = _seen(asked) or [()]
        each = [self._leaning(names, answer, share) for names in single] or [share]
        return self._leaning(full, answer, sum(each) / len(each))

    def _of_option(self, asked: Asked, option: object) -> float:
        many = len(asked.options)
        place = asked.options.index(option), many
        wins = (self.of_all[option] + _LEAN / many) / (self.offered[option] + _LEAN)
        there = (self.of_names["place", many][place[0]] + _LEAN / many) / (self.offered[place] + _LEAN)
        full, offered = _seen(asked)
        return there * self._leaning(full, option, self._leaning(offered, option, wins))

    def _leaning(self, names: object, answer: object, share: float) -> float:
        found = self.of_names.get(names, Counter[object]())
        return (found[answer] + _LEAN * share) / (found.total() + _LEAN)


def _seen(asked: Asked) -> list[object]:
    """What answers are kept by: all that is named, then each alone."""
    if asked.options:
        return [(frozenset(asked.options), asked.names), (frozenset(asked.options),)]
    return [asked.names, *((name,) for name in asked.names if len(asked.names) > 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guessable:
    """How often questions of a kind are answered right without the picture."""

    kind: str
    rows: int
    right: int
    """Of the rows, as many as were guessed, each by who had seen the places of the other half alone."""
    chance: float
    """Share that somebody who knows nothing gets right."""

    @property
    def share(self) -> float:
        """Of the rows, 0 to 1."""
        return self.right / self.rows


def guessable(halves: Sequence[Iterable[Asked]]) -> list[Guessable]:
    """Of each kind of question."""
    kinds: dict[str, tuple[list[Asked], list[Asked]]] = defaultdict(lambda: ([], []))
    for half, some in enumerate(halves):
        for asked in some:
            kinds[asked.kind][half].append(asked)
    return [_of_kind(kind, *both) for kind, both in sorted(kinds.items())]


def _of_kind(kind: str, *halves: list[Asked]) -> Guessable:
    right, every = 0, [asked for half in halves for asked in half]
    for taught, tested in (halves, halves[::-1]):
        learnt = _Learnt()
        for asked in taught:
            learnt.learn(asked)
        right += sum(learnt.guess(asked) == asked.answer for asked in tested)
    answers = len({asked.answer for asked in every})
    chance = fsum(1 / (len(asked.options) or asked.possible or max(2, answers)) for asked in every) / len(every)
    return Guessable(kind=kind, rows=len(every), right=right, chance=chance)
