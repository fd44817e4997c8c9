"""Where the places lie, and what is asked of them: the recipes that the benchmarks run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pyproj import Transformer

from benchmarks.scenes import BANDS, CRS, World

#: Sides of a place's square and of its tiles, in pixels.
SQUARE, TILE = 512, 256

Points = Callable[[World, int], np.ndarray]


def sparse(world: World, count: int) -> np.ndarray:
    """Squares with blocks of their own, as many in each scene; first pixels (row, column), counted over all scenes.

    Each begins anywhere in the first of four blocks, so it touches one to four of them: 2.25 on average.
    """
    pitch = max(2 * world.block, SQUARE + world.block)
    each = world.side // pitch
    cells = [
        (world.side * r + pitch * i, world.side * c + pitch * k)
        for i in range(each) for k in range(each) for r in range(world.across) for c in range(world.across)
    ]  # fmt: skip
    within = np.random.default_rng(3).integers(0, world.block, (len(cells), 2))
    return _some(np.array(cells) + within, count)


def dense(world: World, count: int) -> np.ndarray:
    """Squares side by side, which together touch each block for many places."""
    return _tessellated(world, count, SQUARE)


def overlapping(world: World, count: int) -> np.ndarray:
    """Squares of which neighbours share half."""
    return _tessellated(world, count, SQUARE // 2)


def _tessellated(world: World, count: int, pitch: int) -> np.ndarray:
    columns = min((world.side - SQUARE - 100) // pitch + 1, int(np.ceil(np.sqrt(count))))
    at = np.arange(count)
    return _some(100 + pitch * np.stack([at // columns, at % columns], 1), count, world.side - SQUARE)


def _some(points: np.ndarray, count: int, most: int | None = None) -> np.ndarray:
    if len(points) < count or (most is not None and points[:count].max() > most):
        raise ValueError(f"the world is too small for {count} places of this pattern")
    return points[:count]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What is built."""

    name: str
    points: Points
    parts: Mapping[str, Any] = field(default_factory=dict)
    """Parts of the recipe that differ."""
    block: int = 1024
    files: str = ""
    """Which files are read, if not the world's own: "fragmented" labels, "masks" of 20 m, "JPEG 2000"."""
    ways: tuple[str, ...] = ("floor", "nutonic")
    """Who builds it."""


PATTERNS: Mapping[str, Pattern] = {
    each.name: each
    for each in (
        Pattern(name="dense", points=dense),
        Pattern(name="sparse", points=sparse),
        Pattern(name="sparse, blocks of 512", points=sparse, block=512),
        Pattern(name="squares that overlap", points=overlapping),
        Pattern(
            name="strides of 128 (512 each)",
            points=dense,
            parts={"grid": {"extent_m": 10_240}, "tiles": {"size": 512, "stride": 128, "output_size": 224}},
        ),
        Pattern(name="fragmented labels", points=dense, files="fragmented"),
        Pattern(name="masks of 20 m", points=dense, files="masks", ways=("nutonic",)),
        Pattern(name="JPEG 2000", points=dense, files="JPEG 2000", ways=("rasterio", "nutonic")),
        Pattern(name="overlays", points=dense, parts={"rows": {"overlays": True}}, ways=("nutonic",)),
        Pattern(
            name="all rows",
            points=dense,
            ways=("nutonic",),
            parts={
                "rows": {
                    "captions": ["brief", "full", "zonal"], "absence": True, "vqa": True, "choice": True, "referring": True,
                }
            },
        ),
    )
}  # fmt: skip


def lonlat(world: World, pixels: np.ndarray, side: int = SQUARE) -> np.ndarray:
    """Longitude and latitude of the centres of squares, whose first pixels are given."""
    x, y = world.origin(0, 0)
    to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    middle = pixels + side / 2
    return np.stack(to_degrees.transform(x + 10 * middle[:, 1], y - 10 * middle[:, 0]), -1)


def recipe_of(pattern: Pattern, world: World, files: Path, folder: Path, count: int, *, url: str | None = None) -> Path:
    """Write the recipe of so many places, and their file; returns its path.

    Parameters
    ----------
    files
        The world's folder.
    folder
        Where the recipe goes.
    url
        Where the world's files are read from, if not from the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    side = int(pattern.parts.get("grid", {}).get("extent_m", 10 * SQUARE)) // 10
    points = lonlat(world, pattern.points(world, count), side)
    (folder / "pois.csv").write_text("lon,lat\n" + "".join(f"{lon:.8f},{lat:.8f}\n" for lon, lat in points))
    catalogue, labels = files / "items.json", str(files / "land_cover.tif")
    if url is not None:
        catalogue, labels = _remote(files, folder, url), f"{url}/land_cover.tif"
    hosts = {} if url is None else {"allow_hosts": [url.removeprefix("http://")]}
    recipe: dict[str, Any] = {
        "name": "benchmark",
        "pois": {"path": "pois.csv"},
        "grid": {"extent_m": 10 * SQUARE},
        "imagery": {
            "url": str(catalogue), "collection": "realistic", "datetime": "2024-05-01/2024-06-30", "assets": list(BANDS),
            **hosts,
        },
        "labels": {"source": "raster", "path": labels, "dataset": "esa-worldcover", **hosts},
        "tiles": {"size": TILE, "stride": TILE, "output_size": 224},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**recipe, **pattern.parts}))
    return path


def _remote(files: Path, folder: Path, url: str) -> Path:
    """The catalogue with addresses in place of paths."""
    path = folder / "items.json"
    text = (files / "items.json").read_text()
    path.write_text(text.replace('"href": "', f'"href": "{url}/'))
    return path
