"""The rows that a model is trained on: their schema, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import orjson

from nutonic.chips.regions import LandCover
from nutonic.core.model import Json, Region
from nutonic.recipe.outputs import Rows
from nutonic.rows import captions
from nutonic.rows.context import ChipContext

_BOXES = (
    "Provide result as a valid JSON list of objects with the keys label and bbox, where bbox is [x1, y1, x2, y2] normalized "
    "to 0-1 with the origin in the upper left corner, largest region first."
)
PROMPT_CAPTION = "Describe the land cover in this {picture}."
PROMPT_GROUNDING = "Locate all regions of land cover in this {picture}. " + _BOXES
PROMPT_CLASS_CAPTION = "What share of this {picture} is {label}, and where is it?"
PROMPT_CLASS_GROUNDING = "Locate all regions of {label} in this {picture}. " + _BOXES


def rows_of(context: ChipContext, settings: Rows) -> Iterator[Json]:
    """The rows of one chip, in the order in which they are written: caption, grounding, then class by class."""
    cover = context.cover
    if settings.caption:
        prompt = PROMPT_CAPTION.format(picture=context.picture)
        yield _row(context, "caption", "caption", prompt, context.caption)
    if settings.grounding and cover.regions:
        prompt = PROMPT_GROUNDING.format(picture=context.picture)
        yield _row(context, "grounding", "grounding", prompt, _boxes(cover.regions, cover.shape))
    for class_id in _common(cover, settings):
        yield from _class_rows(context, class_id, settings)


def _class_rows(context: ChipContext, class_id: int, settings: Rows) -> Iterator[Json]:
    cover, label = context.cover, context.cover.table.labels[class_id]
    if settings.per_class:
        prompt = PROMPT_CLASS_CAPTION.format(label=label, picture=context.picture)
        yield _row(
            context, f"class_caption_{class_id}", "class_caption", prompt, captions.class_caption(cover, class_id)
        )
    regions = cover.regions_of(class_id)
    if settings.per_class_grounding and regions:
        prompt = PROMPT_CLASS_GROUNDING.format(label=label, picture=context.picture)
        yield _row(context, f"class_grounding_{class_id}", "class_grounding", prompt, _boxes(regions, cover.shape))


def _common(cover: LandCover, settings: Rows) -> list[int]:
    """The classes that get rows of their own, the most common first."""
    classes = [c for c in cover.by_size() if cover.fraction(c) >= settings.min_class_fraction]
    return classes[: settings.max_classes]


def _row(context: ChipContext, suffix: str, task: str, prompt: str, answer: str) -> Json:
    return {
        "id": f"{context.tile_id}__{suffix}",
        "task": task,
        "poi_id": context.place_result.place.poi.id,
        "tile_id": context.tile_id,
        "messages": [
            {"role": "user", "content": [{"type": "image", "image": context.image}, {"type": "text", "text": prompt}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
    }


def boxes_json(regions: Iterable[tuple[str, Sequence[int]]], shape: tuple[int, int]) -> str:
    """The JSON text of an answer: labels, and half-open pixel boxes divided by the chip's size, with 4 decimals.

    Parameters
    ----------
    regions
        Labels and boxes ``(x1, y1, x2, y2)`` in pixels.
    shape
        Height and width of the chip, in pixels.
    """
    height, width = shape
    scale = (width, height, width, height)
    boxes = [
        {"label": label, "bbox": [round(edge / side, 4) for edge, side in zip(box, scale, strict=True)]}
        for label, box in regions
    ]
    return orjson.dumps(boxes).decode()


def _boxes(regions: Iterable[Region], shape: tuple[int, int]) -> str:
    return boxes_json(((region.label, region.bbox) for region in regions), shape)


def dumps(value: Json) -> bytes:
    """One line of JSON, with keys in the order of the value."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
