"""A raster as several items of a catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import rasterio
import rasterio.transform
import shapely
import shapely.geometry
from affine import Affine


def in_parts(path: Path) -> list[Path]:
    """A raster cut into four that overlap, with the items of a catalogue beside it; the ground under none is unknown."""
    with rasterio.open(path) as whole:
        (height, width), profile, pixels = whole.shape, whole.profile, whole.read(1)
    parts, items = [], []
    for k, (top, left) in enumerate([(0, 0), (0, width // 3), (height // 3, 0), (height // 3, width // 3)]):
        part = pixels[top : top + 2 * height // 3 + 1, left : left + 2 * width // 3 + 1]
        transform = profile["transform"] @ Affine.translation(left, top)
        parts.append(path.with_name(f"land_cover_{k}.tif"))
        with rasterio.open(
            parts[-1], "w", **{**profile, "height": part.shape[0], "width": part.shape[1], "transform": transform}
        ) as out:
            out.write(part, 1)
        box = shapely.box(*rasterio.transform.array_bounds(*part.shape, transform))
        items.append(
            {"type": "Feature", "id": f"part-{k}", "collection": "lc", "geometry": shapely.geometry.mapping(box),
             "properties": {"datetime": None, "start_datetime": "2021-01-01T00:00:00Z",
                            "end_datetime": "2021-12-31T23:59:59Z",
                            "proj:epsg": 4326},
             "assets": {"map": {"href": parts[-1].name}}}
        )  # fmt: skip
    (path.parent / "labels.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return parts
