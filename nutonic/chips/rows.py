"""What a trainer reads of one chip: the rows' schema, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from odc.geo.geobox import GeoBox

from nutonic.chips import captions
from nutonic.chips.regions import LandCover
from nutonic.core.catalogs import AERIAL
from nutonic.core.model import Chip, Json, PlannedPlace, Region, Scene, Tile
from nutonic.recipe.outputs import Rows

_BOXES = (
    "Provide result as a valid JSON list of objects with the keys label and bbox, where bbox is [x1, y1, x2, y2] normalized "
    "to 0-1 with the origin in the upper left corner, largest region first."
)
PROMPT_CAPTION = "Describe the land cover in this {picture}."
PROMPT_GROUNDING = "Locate all regions of land cover in this {picture}. " + _BOXES
PROMPT_CLASS_CAPTION = "What share of this {picture} is {label}, and where is it?"
PROMPT_CLASS_GROUNDING = "Locate all regions of {label} in this {picture}. " + _BOXES


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceResult:
    """A place as it was taken: the scene that served it, and its grid."""

    place: PlannedPlace
    scene: Scene
    substituted: str | None
    """Why this is not the best-ranked scene, or None."""
    bands: tuple[str, ...]
    """Names of the bands that became red, green and blue."""
    grid: GeoBox
    """Of the whole square, in the scene's CRS."""
    seen: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """By tile index: shares of its labelled pixels, by the days of the scene's date within which they were seen; of
    tiles whose labels are around a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipContext:
    """A finished chip with all that its rows and its sidecar tell."""

    taken: PlaceResult
    tile: Tile
    tile_id: str
    image: str
    """Path of the picture in the tree."""
    chip: Chip
    cover: LandCover
    picture: str
    """What it is, in words."""
    caption: str
    """What it shows, in words: the same wherever it is told."""


def chip_context(
    taken: PlaceResult, tile: Tile, names: tuple[str, str], chip: Chip, cover: LandCover, side_m: float
) -> ChipContext:
    """A finished chip, put into words.

    Parameters
    ----------
    taken, tile, chip, cover
        The place, the tile of it, the picture of that, and what that shows.
    names
        The id of the tile, and the path of the picture in the tree.
    side_m
        Of the tile on the ground, in metres.
    """
    picture = "aerial photograph" if taken.scene.collection in AERIAL else "satellite image"
    return ChipContext(
        taken=taken,
        tile=tile,
        tile_id=names[0],
        image=names[1],
        chip=chip,
        cover=cover,
        picture=picture,
        caption=captions.caption(cover, side_m, picture),
    )


def rows_of(sample: ChipContext, wanted: Rows) -> Iterator[Json]:
    """The rows of one chip, in the order they are written: caption, grounding, then class by class."""
    cover = sample.cover
    if wanted.caption:
        prompt = PROMPT_CAPTION.format(picture=sample.picture)
        yield _row(sample, "caption", "caption", prompt, sample.caption)
    if wanted.grounding and cover.regions:
        prompt = PROMPT_GROUNDING.format(picture=sample.picture)
        yield _row(sample, "grounding", "grounding", prompt, _boxes(cover.regions, cover.shape))
    for class_id in _common(cover, wanted):
        yield from _class_rows(sample, class_id, wanted)


def _class_rows(sample: ChipContext, class_id: int, wanted: Rows) -> Iterator[Json]:
    cover, label = sample.cover, sample.cover.table.labels[class_id]
    if wanted.per_class:
        prompt = PROMPT_CLASS_CAPTION.format(label=label, picture=sample.picture)
        yield _row(
            sample, f"class_caption_{class_id}", "class_caption", prompt, captions.class_caption(cover, class_id)
        )
    regions = cover.of(class_id)
    if wanted.per_class_grounding and regions:
        prompt = PROMPT_CLASS_GROUNDING.format(label=label, picture=sample.picture)
        yield _row(sample, f"class_grounding_{class_id}", "class_grounding", prompt, _boxes(regions, cover.shape))


def _common(cover: LandCover, wanted: Rows) -> list[int]:
    """The classes that get rows of their own, most common first."""
    enough = [c for c in cover.by_size() if cover.fraction(c) >= wanted.min_class_fraction]
    return enough[: wanted.max_classes]


def _row(sample: ChipContext, suffix: str, task: str, prompt: str, answer: str) -> Json:
    return {
        "id": f"{sample.tile_id}__{suffix}",
        "task": task,
        "poi_id": sample.taken.place.poi.id,
        "tile_id": sample.tile_id,
        "messages": [
            {"role": "user", "content": [{"type": "image", "image": sample.image}, {"type": "text", "text": prompt}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
    }


def boxes_json(regions: Iterable[tuple[str, Sequence[int]]], shape: tuple[int, int]) -> str:
    """Labels and half-open pixel boxes as the JSON text of an answer: divided by the chip's width and height, 4 decimals."""
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
    """One line of JSON, keys in the order given."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
