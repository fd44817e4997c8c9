"""What is told of one chip beside it: the sidecar's schema, in one place."""

from __future__ import annotations

import hashlib

from nutonic._version import __version__
from nutonic.chips.rows import ChipContext
from nutonic.core.grid import centre, describe, lonlat_bounds, tile_grid
from nutonic.core.model import Chip, Json


def sidecar_of(sample: ChipContext, digest: str, rule: str | None) -> Json:
    """The metadata of one chip.

    Parameters
    ----------
    sample
        The chip with all that is told of it.
    digest
        Of the recipe.
    rule
        How labels were chosen from images that are not told one by one; None where they are.
    """
    poi, chip, tile, cover = sample.taken.place.poi, sample.chip, sample.tile, sample.cover
    geobox = tile_grid(sample.taken.grid, tile)
    lon, lat = centre(geobox)
    return {
        "tile_id": sample.tile_id,
        "poi_id": poi.id,
        "base_poi_id": poi.base_id,
        **({"place": dict(poi.place)} if poi.place else {}),
        "split": sample.taken.place.split,
        "augmentation": chip.augmentation,
        "longitude": round(lon, 7),
        "latitude": round(lat, 7),
        "bbox_wgs84": [round(v, 7) for v in lonlat_bounds(geobox)],
        "grid": describe(sample.taken.grid),
        "window": {"row": tile.row, "col": tile.col, "height": tile.size, "width": tile.size},
        "imagery": _imagery(sample),
        "stretch": _stretch(sample),
        "land_cover_label_meta": _label_meta(sample, rule),
        "class_fractions": {str(c): cover.fraction(c) for c in cover.counts},
        "regions": [
            {"label": r.label, "class_id": r.class_id, "bbox": list(r.bbox), "area_px": r.area_px}
            for r in cover.regions
        ],
        "caption": sample.caption,
        "valid_fraction": chip.valid_fraction,
        "pixels_sha256": pixels_sha256(chip),
        "recipe_digest": digest,
        "nutonic_version": __version__,
    }


def _imagery(sample: ChipContext) -> Json:
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


def _stretch(sample: ChipContext) -> Json:
    """The digital numbers that became black and white, by asset."""
    names = sample.taken.bands
    low, high = zip(*sample.chip.limits, strict=True)
    return {"low": dict(zip(names, low, strict=True)), "high": dict(zip(names, high, strict=True))}


def _label_meta(sample: ChipContext, rule: str | None) -> Json:
    """Counts and shapes of the labels, no pixels.

    ``window`` is for sources that combine images around a date: how classes were chosen, around which moment, and which
    shares of the native tile were seen within how many days of it.

    Those choose images pixel by pixel: how many there were is not told.
    """
    cover, days = sample.cover, sample.taken.seen.get(sample.tile.index)
    window = None if days is None else {"rule": rule, "centre": sample.taken.scene.datetime, "days": dict(days)}
    return {
        "dataset": cover.table.name,
        "classes": {str(class_id): count for class_id, count in cover.counts.items()},
        "shape": list(cover.shape),
        "valid_fraction": cover.valid / (cover.shape[0] * cover.shape[1]),
        "window": window,
        "images": len(sample.taken.place.labels) if rule is None else None,
    }


def pixels_sha256(chip: Chip) -> str:
    """Identity of a picture whatever its encoding: SHA-256 of its RGB bytes, row by row."""
    return hashlib.sha256(chip.rgb.tobytes()).hexdigest()
