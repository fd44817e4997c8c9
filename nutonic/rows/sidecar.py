"""The file of metadata beside each chip: its schema, in one place."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import numpy as np

from nutonic._version import __version__
from nutonic.core.grid import affine_of, centre, describe, lonlat_bounds, repeats, tile_grid
from nutonic.core.model import Chip, Json
from nutonic.rows.context import ChipContext


def sidecar_of(context: ChipContext, digest: str, rule: str | None) -> Json:
    """The metadata of one chip.

    Parameters
    ----------
    context
        The chip, its place and what it shows.
    digest
        The recipe's.
    rule
        How labels were chosen from images that scenes do not name one by one; None if scenes name them all.
    """
    poi, chip, tile, cover = context.place_result.place.poi, context.chip, context.tile, context.cover
    geobox = tile_grid(context.place_result.geobox, tile)
    lon, lat = centre(geobox)
    return {
        "tile_id": context.tile_id,
        "poi_id": poi.id,
        "base_poi_id": poi.base_id,
        **({"place": dict(poi.place)} if poi.place else {}),
        "split": context.place_result.place.split,
        "augmentation": chip.augmentation,
        "longitude": round(lon, 7),
        "latitude": round(lat, 7),
        "bbox_wgs84": [round(v, 7) for v in lonlat_bounds(geobox)],
        "grid": describe(context.place_result.geobox),
        "window": {"row": tile.row, "col": tile.col, "height": tile.size, "width": tile.size},
        "imagery": _imagery(context),
        "stretch": _stretch(context),
        "land_cover_label_meta": _label_meta(context, rule),
        "class_fractions": {str(c): cover.fraction(c) for c in cover.counts},
        "regions": [
            {
                "label": r.label,
                "class_id": r.class_id,
                "bbox": list(r.bbox),
                "area_px": r.area_px,
                "fill": round(r.fill, 4),
            }
            for r in cover.regions
        ],
        "caption": context.caption_text,
        "valid_fraction": chip.valid_fraction,
        "quality": chip.quality and asdict(chip.quality),
        "pixels_sha256": pixels_sha256(chip),
        "recipe_digest": digest,
        "nutonic_version": __version__,
    }


def _imagery(context: ChipContext) -> Json:
    scene = context.place_result.scene
    times = repeats(((asset.name, affine_of(asset.transform)) for asset in scene.pictured), context.place_result.geobox)
    return {
        "source": scene.source,
        "collection": scene.collection,
        "item_id": scene.id,
        "datetime": scene.datetime,
        "cloud_cover": scene.cloud_cover,
        "place_quality": context.place_result.quality and asdict(context.place_result.quality),
        "assets": {asset.name: asset.written for asset in scene.assets},
        "offset_applied": {asset.name: asset.offset or 0 for asset in scene.pictured},
        "substituted": context.place_result.substituted,
        **({"repeated": times} if times else {}),
    }


def _stretch(context: ChipContext) -> Json:
    """The digital numbers that became 0 and 255, by asset."""
    names = context.place_result.bands
    low, high = zip(*context.chip.limits, strict=True)
    return {"low": dict(zip(names, low, strict=True)), "high": dict(zip(names, high, strict=True))}


def _label_meta(context: ChipContext, rule: str | None) -> Json:
    """Counts and shapes of the labels, without their pixels.

    ``patches`` counts the regions of a class that are large enough, ``pieces`` all of them, ``cells`` the pixels in each
    cell of a 6 × 6 grid, row by row, and ``borders`` the pixel edges at which two classes touch, 0 where they keep apart.

    ``window`` is for sources that combine images around a date: how classes were chosen, around which moment, and which
    shares of the native tile were observed within how many days of it. These sources choose images pixel by pixel, so
    ``images``, the number of label images, is null for them.
    """
    cover, days = context.cover, context.place_result.label_days.get(context.tile.index)
    window = None if days is None else {"rule": rule, "centre": context.place_result.scene.datetime, "days": dict(days)}
    return {
        "dataset": cover.table.name,
        "classes": {str(class_id): count for class_id, count in cover.counts.items()},
        "patches": {str(class_id): count for class_id, count in cover.large_regions.items()},
        "pieces": {str(class_id): count for class_id, count in cover.pieces.items()},
        "cells": {str(class_id): list(cells) for class_id, cells in cover.cells.items()},
        "borders": {f"{a}-{b}": edges for (a, b), edges in cover.borders.items()},
        "shape": list(cover.shape),
        "valid_fraction": cover.valid / (cover.shape[0] * cover.shape[1]),
        "window": window,
        "images": len(context.place_result.place.labels) if rule is None else None,
    }


def pixels_sha256(chip: Chip) -> str:
    """The identity of a picture whatever its encoding: the SHA-256 of its RGB bytes, row by row."""
    return hashlib.sha256(np.ascontiguousarray(chip.rgb).data).hexdigest()
