"""The rows that a model is trained on: which there are of a chip, and their schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import orjson

from nutonic.core.model import Json, Region
from nutonic.rows import questions
from nutonic.rows.captions import caption, class_caption, zonal_question
from nutonic.rows.claims import CLAIMS
from nutonic.rows.context import ChipContext
from nutonic.rows.slots import LETTERS
from nutonic.rows.truth import Truth
from nutonic.rows.wording import Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A row before it is put into words."""

    suffix: str
    """What its id ends in, after the tile's."""
    task: str
    question: Said
    answer: tuple[Said, ...] = ()
    boxes: tuple[Region, ...] = ()
    """Of an answer that is a list of boxes; it has no sentences then."""
    shows: tuple[Literal["chip", "still"], ...] = ("chip",)
    """The pictures that are shown, in their order."""

    @property
    def options(self) -> tuple[int, ...]:
        """The classes to choose from, if it is a choice."""
        return tuple(self.question.values.get("options", ()))


def rows_of(context: ChipContext) -> Iterator[Json]:
    """The rows of one chip, in the order in which they are written."""
    for draft in drafts(context):
        yield _row(context, draft)


def drafts(context: ChipContext) -> Iterator[Draft]:
    """What is asked and answered of one chip: captions, grounding, class by class, questions."""
    truth, rows = context.truth, context.truth.rows
    for length in rows.captions:
        suffix = "caption" if length == "full" else f"caption_{length}"
        said = context.caption if length == "full" else caption(truth, length)
        claim = zonal_question(said) if length == "zonal" else f"caption.ask_{length}"
        if said:
            yield Draft(suffix=suffix, task="caption", question=_ask(claim), answer=said)
    if rows.grounding and (boxes := truth.boxable()):
        yield Draft(suffix="grounding", task="grounding", question=_limited(truth, "grounding"), boxes=boxes)
    for class_id in common_classes(truth):
        yield from _class_drafts(truth, class_id)
    for wanted, exchanges in (
        (rows.absence, questions.absence),
        (rows.vqa, questions.vqa),
        (rows.choice, questions.choice),
        (rows.referring, questions.referring),
    ):
        for suffix, asked, answer in exchanges(truth, context.tile_id) if wanted else ():
            yield Draft(suffix=suffix, task=asked.claim.partition(".")[0], question=asked, answer=(answer,))
    if context.still is not None:
        yield from _still_drafts(context)


def _still_drafts(context: ChipContext) -> Iterator[Draft]:
    """What is asked of a place's overhead still: alone, and before the chip."""
    truth = context.truth
    if context.is_in_middle_of_still and truth.whole:
        (said,) = caption(truth, "brief")
        task, kind = "overview", said.claim.removeprefix("caption.brief_")
        if f"overview.{kind}" in CLAIMS:
            answer = Said(claim=f"overview.{kind}", values=said.values)
            question = _ask("overview.ask", side=truth.size)
            yield Draft(suffix=task, task=task, question=question, answer=(answer,), shows=("still",))
    if truth.rows.cross_view:
        task = "cross_view"
        yield Draft(
            suffix=task, task=task, question=_ask(f"{task}.ask"), answer=context.caption, shows=("still", "chip")
        )


def overlays_of(context: ChipContext) -> Iterator[tuple[str, tuple[Region, ...]]]:
    """The id of each row that speaks of regions, and the regions to draw for it."""
    truth = context.truth
    for draft in drafts(context):
        regions = draft.boxes
        if draft.task == "caption":
            regions = truth.boxable()
        elif draft.task == "class_caption":
            regions = truth.boxable(draft.question.values["c"])
        elif draft.task == "referring":
            box = draft.question.values.get("box") or draft.answer[0].values["box"]
            regions = tuple(region for region in truth.boxable() if truth.box(region) == tuple(box))[:1]
        if regions:
            yield f"{context.tile_id}__{draft.suffix}", regions


def _ask(claim: str, **values: object) -> Said:
    return Said(claim=claim, values=values)


def _limited(truth: Truth, task: str, class_id: int | None = None) -> Said:
    """A question for boxes, with the limits within which its answer is complete."""
    kind = "ask" if truth.whole and truth.vouches(class_id) else "ask_some"
    return Said(
        claim=f"{task}.{kind}", values=truth.box_limits if class_id is None else {"c": class_id, **truth.box_limits}
    )


def _class_drafts(truth: Truth, class_id: int) -> Iterator[Draft]:
    if truth.rows.per_class:
        asked, said = class_caption(truth, class_id)
        yield Draft(suffix=f"class_caption_{class_id}", task="class_caption", question=asked, answer=said)
    if truth.rows.per_class_grounding and (boxes := truth.boxable(class_id)):
        task = "class_grounding"
        yield Draft(suffix=f"{task}_{class_id}", task=task, question=_limited(truth, task, class_id), boxes=boxes)


def common_classes(truth: Truth) -> list[int]:
    """The classes that get rows of their own, the most common first."""
    cover, rows = truth.cover, truth.rows
    return [c for c in cover.by_size() if cover.fraction(c) >= rows.min_class_fraction][: rows.max_classes]


def _row(context: ChipContext, draft: Draft) -> Json:
    """A draft in words. Every row has every key; those of choices only where the recipe wants choices."""
    truth = context.truth
    values = truth.prompt_values.items() if draft.shows == ("chip",) else ()
    asked = [draft.question, *(Said(claim=c, values=v) for c, v in values)]
    paths = {"chip": context.image, "still": context.still}
    images = [{"type": "image", "image": paths[each]} for each in draft.shows]
    if draft.boxes:
        answer = truth.boxes_text(draft.question.values.get("c"))
    elif draft.suffix == "caption":
        answer = context.caption_text  # its sidecar says it, too
    else:
        answer = context.text(draft.answer, f"{draft.suffix} answer")
    prompt = context.text(asked, f"{draft.suffix} prompt")
    return {
        "id": f"{context.tile_id}__{draft.suffix}",
        "task": draft.task,
        "poi_id": context.place_result.place.poi.id,
        "tile_id": context.tile_id,
        "messages": [
            {"role": "user", "content": [*images, {"type": "text", "text": prompt}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
        **(_choice(context, draft) if truth.rows.choice else {}),
    }


def _choice(context: ChipContext, draft: Draft) -> Json:
    options = [str(context.wording.lexicon.noun(c)) for c in draft.options]
    right = draft.answer[0].values["letter"] if options else None
    return {"options": options, "answer_id": None if right is None else LETTERS.index(right)}


def dumps(value: Json) -> bytes:
    """One line of JSON, with keys in the order of the value."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
