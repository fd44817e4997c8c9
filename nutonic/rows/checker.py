"""Reads rows back: every class, number, place, direction and box of a row's text, held against the mask's counts.

It knows rows by their text alone. A sentence that it cannot read is as wrong as one that is not true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from nutonic.core.model import Json
from nutonic.rows.claims import ANSWERS, CLAIMS, RIGHT
from nutonic.rows.positions import ZONES
from nutonic.rows.slots import LETTERS
from nutonic.rows.truth import Truth
from nutonic.rows.wording import Said, Wording
from nutonic.secrets import redact

#: Tasks whose answer is a list of boxes.
BOXES = ("grounding", "class_grounding")


#: How the ids of rows are that speak of one class.
_OF_CLASS = re.compile(r".*__class_(?:caption|grounding)_(\d+)")

#: What the answer to a question may consist of, by how their names begin, where a task has questions of several kinds.
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "caption.ask_full": ("entire", "dominated", "mixed", "further", "minor", "sees"),
    "caption.ask_brief": ("brief_",),
    "caption.ask_zonal": ("zone_one", "zone_ranked", "zone_shared"),
    "caption.ask_zonal_seen": ("zone_",),
    "class_caption.ask_share": ("share", "entire", "one_", "patches", "scattered"),
    "class_caption.ask_where": ("seen",),
}


@cache
def _claims(task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a task's prompts and answers may claim."""
    ours = [name for name in CLAIMS if name.startswith(f"{task}.")]
    if task == "cross_view":
        ours += [name for name in CLAIMS if name.startswith("caption.") and ".ask" not in name]
    asked = [name for name in ours if name.partition(".")[2].startswith("ask")]
    return (*asked, *(name for name in CLAIMS if name.startswith("prompt."))), tuple(n for n in ours if n not in asked)


def problem_of(row: Json, truth: Truth, wording: Wording) -> str | None:
    """What is wrong with a row, in words; None if all that it says is true.

    Parameters
    ----------
    row
        As it is written.
    truth
        Of the mask of its chip, in the chip's view.
    wording
        The recipe's.
    """
    task, (user, assistant) = row["task"], row["messages"]
    prompt, answer = user["content"][-1]["text"], assistant["content"][-1]["text"]
    asks, tells = _claims(task)
    asked = wording.read(prompt, asks) if asks else None
    if not asked:
        return f"its prompt cannot be read: {redact(prompt)!r:.120}"
    question, *told = asked
    problem = _untrue(asked, truth, {}) or _out_of_place(row, question, told)
    if problem is not None:
        return problem
    if task in BOXES:
        return _boxes_problem(answer, question, truth)
    said = wording.read(answer, ANSWERS.get(question.claim, tells))
    if not said:
        return f"its answer cannot be read: {redact(answer)!r:.120}"
    if question.claim in RIGHT and len(said) != 1:
        return "it answers more than is asked"
    asked_for = {**question.values, "asked": question.claim}
    return _astray(question, said) or _untrue(said, truth, asked_for) or _choice_problem(row, question, said, wording)


def read_back(row: Json, wording: Wording) -> tuple[Said, list[Said]] | None:
    """What a row asks, and the sentences of its answer, by their words alone; None of a list of boxes, or if unreadable."""
    task, (user, assistant) = row["task"], row["messages"]
    asks, tells = _claims(task)
    asked = wording.read(user["content"][-1]["text"], asks) if asks and task not in BOXES else None
    answers = ANSWERS.get(asked[0].claim, tells) if asked else ()
    said = wording.read(assistant["content"][-1]["text"], answers)
    return (asked[0], said) if asked and said else None


def _untrue(sentences: Sequence[Said], truth: Truth, asked: Mapping[str, Any]) -> str | None:
    """The first sentence that does not hold, if one does not."""
    for said in sentences:
        claim = CLAIMS[said.claim]
        if claim.whole and not truth.whole:
            return f"it speaks of the whole image, of which too little is labelled: {said.claim}"
        if any(said.values.get(name, pictured) != pictured for name, pictured in truth.always.items()):
            return f"it says of what kind or size the picture is, and it is not: {said.claim}"
        if not claim.holds(truth, {**asked, **said.values}):
            return f"it is not true: {said.claim} of {_shown(said.values)}"
    return None


def _astray(question: Said, said: Sequence[Said]) -> str | None:
    """Whether an answer is to another question, about another class, or says something twice or out of order."""
    names = [each.claim.partition(".")[2] for each in said]
    if not all(name.startswith(_ANSWERS.get(question.claim, "")) for name in names):
        return "it answers another question than is asked"
    if any(
        each.values.get("c", question.values["c"]) != question.values["c"] for each in said if "c" in question.values
    ):
        return "it speaks of another class than is asked for"
    zones = [each.values["zone"] for each in said if "zone" in each.values]
    if question.claim.startswith("caption.ask_zonal") and set(zones) != set(ZONES):
        return "it leaves out a part that is asked for"
    order = [(ZONES.index(v["zone"]) if "zone" in (v := each.values) else _order()[each.claim]) for each in said]
    told = [c for each in said for c in _named(each)]
    twice = len(set(told) - {None}) < len(told) - told.count(None) and "zone" not in said[0].values
    return "it says something twice, or out of order" if order != sorted(set(order)) or twice else None


def _named(said: Said) -> Iterator[Any]:
    """The classes that a sentence tells of; one that its question has named it may repeat."""
    yield None if "c" in CLAIMS[said.claim].of else said.values.get("c")
    yield from (one["c"] for one in said.values.get("classes", ()))


@cache
def _order() -> Mapping[str, int]:
    """The place of each claim among all."""
    return {name: k for k, name in enumerate(CLAIMS)}


def _shown(values: Mapping[str, Any]) -> str:
    return f"{dict(values)}"[:120]


def _out_of_place(row: Json, question: Said, told: Sequence[Said]) -> str | None:
    """Whether a row asks for another class than its id names, or a prompt says something twice or not first."""
    if any(not said.claim.startswith("prompt.") for said in told) or question.claim.startswith("prompt."):
        return "its prompt asks twice, or not at all"
    named = _OF_CLASS.fullmatch(row["id"])
    if named is not None and question.values.get("c") != int(named[1]):
        return "it asks for another class than its id names"
    return None


def _boxes_problem(answer: str, question: Said, truth: Truth) -> str | None:
    class_id = question.values.get("c")
    right = bool(truth.boxable(class_id)) and answer == truth.boxes_text(class_id)
    return None if right else "its boxes are not the regions that are asked for"


def _choice_problem(row: Json, question: Said, said: Sequence[Said], wording: Wording) -> str | None:
    """Whether the keys of a choice say what its text says; others have them empty."""
    if "options" not in row:
        return None
    classes = question.values.get("options", ())
    options = [str(wording.lexicon.noun(c)) for c in classes]
    letter = said[0].values.get("letter") if classes else None
    right = None if letter is None else LETTERS.index(letter)
    return None if (row["options"], row["answer_id"]) == (options, right) else "its options are not those of its prompt"
