"""Hand-made patches: pictures of a few pixels, descriptions and captions, and their samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from io import BytesIO

from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image

from nutonic.chips.scene.description import Described, SceneDescription, Task
from nutonic.core.model import Split
from nutonic.dataset.shards.card import ShardFacts
from nutonic.dataset.shards.samples import Made, PatchImage, content_of
from nutonic.dataset.shards.statistics import CountedPatch, Statistics
from nutonic.dataset.shards.tar import Sample
from nutonic.recipe.annotation import Captions
from nutonic.recipe.card import Card
from nutonic.recipe.patches import Patches, Shards
from nutonic.rows.annotation.values import Annotation, PatchCaptions, Rejection

MADE = Made(osm_date="2022-06-01", recipe_digest="ab" * 32, version="1.2.3")


def jpeg(colour: int, side: int = 8) -> bytes:
    """A grey picture."""
    buffer = BytesIO()
    Image.new("RGB", (side, side), (colour, colour, colour)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def image(number: int = 0, *, split: Split = "train", collection: str = "naip", **other: object) -> PatchImage:
    """The patch so many patches east of a corner in UTM zone 10."""
    grid = GeoBox((448, 448), Affine(0.6, 0, 550_000 + 268.8 * number, 0, -0.6, 4_180_000), "EPSG:32610")
    values = {
        "patch_id": f"m_3712213_{number:05d}",
        "image_name": "m_3712213_sw_10_060_20220518",
        "scene": "ca_m_3712213_sw_10_060_20220518",
        "collection": collection,
        "datetime": "2022-05-18T16:00:00Z",
        "grid": grid,
        "split": split,
    }
    return PatchImage(**{**values, **other})


def element(key: str = "way/7", **other: object) -> Described:
    """An area in the middle."""
    values = {"version": 3, "kind": "area", "tags": (("building", "yes"),), "noun": "building", "where": "centre"}
    return Described(**{"element": key, "cells": ("centre",), **values, **other})


def annotation(text: str = "A building in the centre.", *, task: int = 1, **other: object) -> Annotation:
    """A caption of templates, or of a model where one is named."""
    about = Task(number=task, element=str(other.pop("element", "way/7")), index=int(other.pop("index", 0)))
    values = {"annotator": "templates", "request": "1" * 64, "prompt": "2" * 64, "seed": 5}
    return Annotation(task=about, text=text, **{**values, **other})


def described(patch_id: str, *elements: Described) -> SceneDescription:
    return SceneDescription(patch_id=patch_id, side_m=268.8, elements=elements or (element(),))


def captions(patch_id: str, annotations: Sequence[Annotation] = (), **other: object) -> PatchCaptions:
    return PatchCaptions(patch_id=patch_id, annotations=tuple(annotations) or (annotation(),), **other)


def content(picture: PatchImage, annotations: Sequence[Annotation] = ()) -> bytes:
    return content_of(picture, described(picture.patch_id), captions(picture.patch_id, annotations), MADE)


def samples(count: int, *, split: Split = "train", start: int = 0) -> Iterator[Sample]:
    """Patches with a caption, and each third with a model's revision of it."""
    for number in range(start, start + count):
        picture = image(number, split=split)
        said = [annotation(f"Building number {number}, in the centre.")]
        if number % 3 == 2:
            digest = hashlib.sha256(str(number).encode()).hexdigest()
            model = {"annotator": "small", "model": "org/model", "temperature": 0.7, "request": digest}
            said.append(annotation(f"A building: {number}.", task=3, **model))
        yield Sample(key=picture.patch_id, picture=jpeg(number % 250), content=content(picture, said))


def counted(number: int, annotations: Sequence[Annotation], *, split: Split = "train", **other: object) -> CountedPatch:
    """A patch as statistics count it, on the lattice of whole degrees unless it is told where."""
    values = {"longitude": -120.0, "latitude": 37.0, "tags": (("building", "yes"),), **other}
    said = {name: values.pop(name) for name in ("rejections", "usage") if name in values}
    found = PatchCaptions(patch_id=f"m_3712213_{number:05d}", annotations=tuple(annotations), **said)
    return CountedPatch(split=split, captions=found, **values)


def rejection(reason: str, number: int = 0, text: str = "?") -> Rejection:
    return Rejection(patch_id=f"p{number}", task=1, annotator="small", reason=reason, detail="3 words", text=text)


def shown(statistics: Statistics, **other: object) -> ShardFacts:
    """What a card is about, where nothing else is told."""
    values = {
        "name": "patches-of-hills",
        "card": Card(),
        "patches": Patches(),
        "captions": Captions(),
        "shards": Shards(samples=2),
        "made": MADE,
        "prompts": "cd" * 32,
        "tags": "ef" * 32,
        "collections": ("naip",),
        "days": ("2021-08-02", "2022-05-18"),
        "images": 3,
        "files": {split: (-(-count // 2), 20480) for split, count in statistics.patches},
    }
    return ShardFacts(statistics=statistics, **{**values, **other})
