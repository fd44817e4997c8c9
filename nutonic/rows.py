"""Chips to rows and sidecars: the dataset's schema, in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from odc.geo.geobox import GeoBox

from nutonic import __version__, captions
from nutonic.grid import centre, describe, grid_of, lonlat_bounds
from nutonic.model import Chip, Json, PlannedPlace, Region, Scene, Tile
from nutonic.presets import AERIAL
from nutonic.recipe import Recipe
from nutonic.regions import LandCover

_BOXES = (
    "Provide result as a valid JSON list of objects with the keys label and bbox, where bbox is [x1, y1, x2, y2] normalized "
    "to 0-1 with the origin in the upper left corner, largest region first."
)
PROMPT_CAPTION = "Describe the land cover in this {picture}."
PROMPT_GROUNDING = "Locate all regions of land cover in this {picture}. " + _BOXES
PROMPT_CLASS_CAPTION = "What share of this {picture} is {label}, and where is it?"
PROMPT_CLASS_GROUNDING = "Locate all regions of {label} in this {picture}. " + _BOXES


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A place as it was taken: the scene that served it, and its grid."""

    place: PlannedPlace
    scene: Scene
    substituted: str | None
    """Why this is not the best-ranked scene, or None."""
    grid: GeoBox
    """Of the whole square, in the scene's CRS."""
    seen: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """By tile index: shares of its labelled pixels, by the days of the scene's date within which they were seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A finished chip with all that its rows and its sidecar tell."""

    taken: Taken
    tile: Tile
    tile_id: str
    image: str
    """Path of the picture in the tree."""
    chip: Chip
    cover: LandCover

    @property
    def picture(self) -> str:
        """What it is, in words."""
        return "aerial photograph" if self.taken.scene.collection in AERIAL else "satellite image"


def rows_of(sample: Sample, recipe: Recipe) -> Iterator[Json]:
    """The rows of one chip, in the order they are written: caption, grounding, then class by class."""
    cover, wanted, side_m = sample.cover, recipe.rows, sample.tile.size * recipe.grid.resolution_m
    if wanted.caption:
        prompt = PROMPT_CAPTION.format(picture=sample.picture)
        yield _row(sample, "caption", "caption", prompt, captions.caption(cover, side_m, sample.picture))
    if wanted.grounding and cover.regions:
        prompt = PROMPT_GROUNDING.format(picture=sample.picture)
        yield _row(sample, "grounding", "grounding", prompt, _boxes(cover.regions, cover.shape))
    for class_id in _common(cover, recipe):
        yield from _class_rows(sample, class_id, recipe)


def _class_rows(sample: Sample, class_id: int, recipe: Recipe) -> Iterator[Json]:
    cover, label = sample.cover, sample.cover.table.labels[class_id]
    if recipe.rows.per_class:
        prompt = PROMPT_CLASS_CAPTION.format(label=label, picture=sample.picture)
        yield _row(
            sample, f"class_caption_{class_id}", "class_caption", prompt, captions.class_caption(cover, class_id)
        )
    regions = cover.of(class_id)
    if recipe.rows.per_class_grounding and regions:
        prompt = PROMPT_CLASS_GROUNDING.format(label=label, picture=sample.picture)
        yield _row(sample, f"class_grounding_{class_id}", "class_grounding", prompt, _boxes(regions, cover.shape))


def _common(cover: LandCover, recipe: Recipe) -> list[int]:
    """The classes that get rows of their own, most common first."""
    enough = [c for c in cover.by_size() if cover.fraction(c) >= recipe.rows.min_class_fraction]
    return enough[: recipe.rows.max_classes]


def _row(sample: Sample, suffix: str, task: str, prompt: str, answer: str) -> Json:
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


def sidecar_of(sample: Sample, recipe: Recipe, digest: str) -> Json:
    """The metadata of one chip."""
    poi, chip, tile, cover = sample.taken.place.poi, sample.chip, sample.tile, sample.cover
    tile_grid = grid_of(sample.taken.grid, tile)
    lon, lat = centre(tile_grid)
    return {
        "tile_id": sample.tile_id,
        "poi_id": poi.id,
        "base_poi_id": poi.base_id,
        **({"place": dict(poi.place)} if poi.place else {}),
        "split": sample.taken.place.split,
        "augmentation": chip.augmentation,
        "longitude": round(lon, 7),
        "latitude": round(lat, 7),
        "bbox_wgs84": [round(v, 7) for v in lonlat_bounds(tile_grid)],
        "grid": describe(sample.taken.grid),
        "window": {"row": tile.row, "col": tile.col, "height": tile.size, "width": tile.size},
        "imagery": _imagery(sample),
        "stretch": _stretch(sample),
        "land_cover_label_meta": _label_meta(sample, recipe),
        "class_fractions": {str(c): cover.fraction(c) for c in cover.counts},
        "regions": [
            {"label": r.label, "class_id": r.class_id, "bbox": list(r.bbox), "area_px": r.area_px}
            for r in cover.regions
        ],
        "caption": captions.caption(cover, tile.size * recipe.grid.resolution_m, sample.picture),
        "valid_fraction": chip.valid_fraction,
        "pixels_sha256": pixels_sha256(chip),
        "recipe_digest": digest,
        "nutonic_version": __version__,
    }


def _imagery(sample: Sample) -> Json:
    scene = sample.taken.scene
    return {
        "source": scene.source,
        "collection": scene.collection,
        "item_id": scene.id,
        "datetime": scene.datetime,
        "cloud_cover": scene.cloud_cover,
        "assets": {asset.name: asset.written for asset in scene.assets},
        "offset_applied": {asset.name: asset.offset for asset in scene.assets},
        "substituted": sample.taken.substituted,
    }


def _stretch(sample: Sample) -> Json:
    """The digital numbers that became black and white, by asset."""
    names = [asset.name for asset in sample.taken.scene.assets]
    low, high = zip(*sample.chip.limits, strict=True)
    return {"low": dict(zip(names, low, strict=True)), "high": dict(zip(names, high, strict=True))}


def _label_meta(sample: Sample, recipe: Recipe) -> Json:
    """Counts and shapes of the labels, no pixels; ``window`` is for sources that combine images over time.

    Those choose images pixel by pixel: how many there were is not told.
    """
    cover = sample.cover
    composed = recipe.labels.source == "earthengine"
    return {
        "dataset": cover.table.name,
        "classes": {str(class_id): count for class_id, count in cover.counts.items()},
        "shape": list(cover.shape),
        "valid_fraction": cover.valid / (cover.shape[0] * cover.shape[1]),
        "window": _label_window(sample, recipe) if recipe.labels.is_dated else None,
        "images": None if composed else len(sample.taken.place.labels),
    }


def _label_window(sample: Sample, recipe: Recipe) -> Json:
    """How classes were chosen, around which moment, and which shares of the native tile within how many days of it."""
    shares = sample.taken.seen[sample.tile.index]
    return {"rule": recipe.labels.the_rule, "centre": sample.taken.scene.datetime, "days": dict(shares)}


def pixels_sha256(chip: Chip) -> str:
    """Identity of a picture whatever its encoding: SHA-256 of its RGB bytes, row by row."""
    return hashlib.sha256(chip.rgb.tobytes()).hexdigest()


def dumps(value: Json) -> bytes:
    """One line of JSON, keys in the order given."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
