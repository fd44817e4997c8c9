"""Rows of patches for a pack: their captions as rows of chat, made as the tree's own are, whether or not it has those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from nutonic.core.grid import centre, describe
from nutonic.core.model import SPLITS, Json
from nutonic.dataset.catalogue.entries import footprint_of
from nutonic.dataset.commits import committed
from nutonic.dataset.packs.shards import Picture, Sample, Shard
from nutonic.dataset.shards.chat import chat_row
from nutonic.dataset.shards.finish import CommittedPatches, committed_patches
from nutonic.dataset.shards.records import PatchRecord
from nutonic.dataset.shards.samples import Made, content_of
from nutonic.io.buckets.address import AnyPath
from nutonic.io.objects import Store
from nutonic.planning.layout import part_name
from nutonic.planning.ownership import is_marked
from nutonic.planning.patches.layout import image_path
from nutonic.planning.plan_file import read_plan
from nutonic.rows.annotation.values import PatchCaptions


def patch_samples(store: Store, shard: Shard, recipe_digest: str) -> Iterator[Sample]:
    """The rows of a shard with their pictures, a patch at a time.

    Raises
    ------
    Corrupt
        If a file of the tree is missing, or not what was written.
    """
    names = [name for part in shard.spans.parts if (name := part_name(part)) is not None]
    for record, captions in CommittedPatches(store, shard.spans, names, {}).read(shard.spans):
        path = image_path(record.image.patch_id, record.ordinal)
        shown = (Picture(path, record.picture),)
        sidecar = _sidecar(record, captions, recipe_digest)
        for annotation in captions.annotations:
            row = chat_row(record.image, annotation, path)
            yield Sample(row=row, split=shard.split, pictures=shown, chip=path, sidecar=sidecar)


def _sidecar(record: PatchRecord, captions: PatchCaptions, recipe_digest: str) -> Json:
    """What is known of a patch, by the names that sidecars of chips have; and where it came from, as in its shard."""
    image, (lon, lat) = record.image, centre(record.image.grid)
    height, width = image.grid.shape
    made = Made(osm_date=record.osm_date, recipe_digest=recipe_digest)
    return {
        "poi_id": image.patch_id,
        "split": image.split,
        "longitude": round(lon, 7),
        "latitude": round(lat, 7),
        "grid": describe(image.grid),
        "window": {"row": 0, "col": 0, "height": height, "width": width},
        "imagery": {
            "collection": image.collection,
            "item_id": image.scene,
            "datetime": image.datetime,
            "cloud_cover": None,
        },
        "class_fractions": {},
        "regions": [],
        "caption": captions.annotations[0].text,
        **orjson.loads(content_of(image, record.described, captions, made)),
    }


def outlines_of_patches(root: AnyPath) -> Iterator[tuple[str, str, float, float, Any]] | None:
    """Of a tree of patches, each that has captions: id, split, longitude, latitude and footprint; None of any other tree."""
    if not is_marked(root):
        return None
    store = Store(root)
    return _outlines(store) if read_plan(store).header.get("of") == "patches" else None


def _outlines(store: Store) -> Iterator[tuple[str, str, float, float, Any]]:
    patches = committed_patches(store, committed(store))
    for split in SPLITS:
        for record, _ in patches.read(patches.of_split(split)):
            image, (lon, lat) = record.image, centre(record.image.grid)
            height, width = image.grid.shape
            window = {"row": 0, "col": 0, "height": height, "width": width}
            outline = footprint_of({"grid": describe(image.grid), "window": window})
            yield image.patch_id, image.split, lon, lat, outline
