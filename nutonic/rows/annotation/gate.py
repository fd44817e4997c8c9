"""The gate: what of a model's answers is let through. Pure, and of one opinion on one text.

An answer is first judged as talk (:mod:`.talk`): whether it is English prose of the right length, about nothing but a
picture. Then what it says is held, sentence by sentence, against the description: names, numbers, places and
things. Of each clause those elements are meant whose nouns are in it; where none is, those of its sentence, or
the one that is described.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from nutonic.chips.scene.description import Described, SceneDescription, Task
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation.bearings import bearing_problem, edge_problem, shape_problem, without_free
from nutonic.rows.annotation.numbers import known_of, number_problem
from nutonic.rows.annotation.prompts import is_name
from nutonic.rows.annotation.talk import Problem, length_problem, names_problem, sentences, talk_problem
from nutonic.rows.annotation.templates import EVERY
from nutonic.rows.annotation.things import KINDS, evidence_of, mentioned, thing_problem, whole_noun

#: Why answers are not let through, as they are counted.
REASONS = (
    "no text", "refusal", "orders", "not English", "markup", "meta talk", "echo", "strange marks", "repetition",
    "coordinates", "name", "too short", "too long", "number", "place", "shape", "thing",
    "cut off", "no JSON",
)  # fmt: skip

#: A text of more letters is not looked at.
_LONGEST = 20_000

#: Words that may have a capital within a sentence, and are no names.
_CAPITALS = frozenset(
    """north south east west northern southern eastern western northeast northwest southeast southwest central upper lower
    earth english american european victorian gothic""".split()  # noqa: SIM905
)

_MEASURES = frozenset("metre metres kilometre kilometres hectare hectares square percent quarter half".split())  # noqa: SIM905


def problem_of(
    text: str,
    task: Task,
    description: SceneDescription,
    captions: Captions,
    *,
    nouns: Collection[str] = (),
    hidden: Collection[str] = (),
    before: str | None = None,
    prompt: str = "",
) -> Problem | None:
    """Why an answer is not let through: the reason, one of `REASONS`, and what was found; None if it is.

    Parameters
    ----------
    text
        The answer, without blanks around it.
    task
        What was asked for.
    description
        What is known of the patch.
    captions
        How long captions are, and whether they may say names.
    nouns
        All that the policy of tags can call a thing.
    hidden
        Names of elements, which may be said only where names may.
    before
        Of a revision: the caption that it was made of.
    prompt
        The words of the prompt that are no facts.
    """
    main = description.of(task.element)
    if len(text) > _LONGEST:
        return "too long", f"{len(text):,} letters"
    talk = talk_problem(text, before, prompt)
    if talk is not None:
        return talk
    names = _names(description.elements) if captions.names else []
    problem = names_problem(text, _known(frozenset(nouns), description), names, () if captions.names else hidden)
    least, most = _lengths(task, captions)
    problem = problem or length_problem(text, least, most)
    if problem is not None:
        return problem
    for name in sorted(names, key=lambda name: (-len(name), name)):
        text = text.replace(name, "it")
    return _facts_problem(text, main, description, nouns)


def _lengths(task: Task, captions: Captions) -> tuple[int, int]:
    words = captions.words
    return words.revision if task.number == 3 else words.area if task.number == 1 else words.line


def _facts_problem(text: str, main: Described, whole: SceneDescription, nouns: Collection[str]) -> Problem | None:
    """What a text says that the description does not."""
    thing = thing_problem(text, evidence_of(whole.elements), nouns)
    if thing is not None:
        return "thing", thing
    for index, each in enumerate(sentences(text)):
        sentence, wrong = without_free(each, main)
        if wrong is not None:
            return "place", wrong
        spoken_of = _meant(sentence, main, whole, first=index == 0) or [main]
        for clause in _CLAUSE.split(sentence):
            meant = _meant(clause, main, whole, first=index == 0) or spoken_of
            problem = _clause_problem(clause, meant, [*spoken_of, main], whole)
            if problem is not None:
                return problem
    return None


#: Where a clause ends: what is said after it may be of another thing.
_CLAUSE = re.compile(r"[,;:]\s+")

#: What stands for the thing that is described.
_PRONOUN = re.compile(r"\b(?:it|its|itself|this|these|they|their|them)\b", re.IGNORECASE)


#: What tells that there is more than one of a kind.
_OTHERS = re.compile(r"\b(?:another|others?|further|more|second)\b", re.IGNORECASE)


def _meant(text: str, main: Described, whole: SceneDescription, *, first: bool) -> list[Described]:
    """The elements that a text speaks of; the one that is described also by a pronoun, and first.

    In a `first` sentence a thing in the singular is the one that is described, whatever else is called so.
    """
    found = mentioned(text, whole.elements)
    others = [each for each in found if each.element != main.element]
    spoken_of = len(others) < len(found)
    if first and spoken_of and not _OTHERS.search(text) and len(whole_noun(main.noun).findall(text)) == 1:
        rest = mentioned(whole_noun(main.noun).sub(" ", text), whole.elements)
        others = [each for each in rest if each.element != main.element]
    return [main, *others] if spoken_of or _PRONOUN.search(text) else others


def _clause_problem(
    clause: str, meant: list[Described], around: list[Described], whole: SceneDescription
) -> Problem | None:
    checks = (
        ("number", number_problem(clause, known_of(meant, whole, around[-1]))),
        ("place", bearing_problem(clause, meant, around, around[-1])),
        ("shape", shape_problem(clause, meant) or edge_problem(clause, meant)),
    )
    return next(((reason, detail) for reason, detail in checks if detail is not None), None)


def _names(elements: Iterable[Described]) -> list[str]:
    """Names that elements are shown with."""
    return [value.strip() for each in elements for key, value in each.tags if is_name(key) and value.strip()]


def _known(nouns: frozenset[str], description: SceneDescription) -> frozenset[str]:
    """Words that are no names, in small letters."""
    shown = {
        part for each in description.elements for part in (each.noun, *(v for k, v in each.tags if not is_name(k)))
    }
    return _of_kinds() | _CAPITALS | _words_of(nouns) | _words_of(frozenset(shown))


@lru_cache(maxsize=256)
def _words_of(parts: frozenset[str]) -> frozenset[str]:
    return frozenset(word for part in parts for word in re.findall(r"[a-z]+", part.lower()))


@lru_cache(maxsize=1)
def _of_kinds() -> frozenset[str]:
    """The plain words of the kinds of things, and those that pictures are described with: a shop may be called Scene."""
    parts = [*(kind.words.pattern for kind in KINDS), *(wording for each in EVERY for wording in each)]
    return _MEASURES | {word for part in parts for word in re.findall(r"[a-z]{3,}", part.lower())}
