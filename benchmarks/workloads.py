"""What is measured: the work no program can avoid (the floor), and a whole build, over the same places."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine

from nutonic.chips.chip import ChipRules, TilePixels, cut_chip
from nutonic.chips.png import encode
from nutonic.chips.regions import land_cover
from nutonic.core.grid import offset_in
from nutonic.core.model import Asset, Chip, PlannedPlace, Scene
from nutonic.core.nearest import source_pixels
from nutonic.core.tiling import tiles
from nutonic.io import raster as rasters
from nutonic.io.objects import Store, sha256
from nutonic.planning.kinds import plan
from nutonic.recipe.recipe import Recipe
from nutonic.run.run import build
from nutonic.sources.grids import place_grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of a workload."""

    tiles: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def cpu_ms_per_tile(self) -> float:
        """CPU milliseconds per tile, all threads."""
        return 1000 * self.cpu_seconds / self.tiles


def measure(work: Callable[[], int]) -> Measured:
    """Run a workload that returns its number of tiles; CPU time of this process, so run it with ``workers=0``."""
    wall, cpu = time.perf_counter(), time.process_time()
    tiles = work()
    return Measured(tiles=tiles, cpu_seconds=time.process_time() - cpu, wall_seconds=time.perf_counter() - wall)


def whole_build(recipe: Recipe, out: Path) -> int:
    """Plan, build and finish in this process."""
    return build(recipe, out, workers=0).tiles


def floor(recipe: Recipe, out: Path) -> int:
    """The same pixels with the same kernels in a bare loop: read, label, stretch, resize, regions, PNG, hash, write."""
    store, count = Store(out), 0
    for batch in plan(recipe).batches():
        for place in batch.places:
            count += _floor_of_place(place, recipe, store)
    return count


def _floor_of_place(place: PlannedPlace, recipe: Recipe, store: Store) -> int:
    scene, table = place.imagery[0], recipe.labels.table
    rules = ChipRules(table=table, tiles=recipe.tiles, stretch=recipe.stretch, quality=recipe.quality)
    rgb, label = _native(place, scene, recipe)
    count = 0
    for tile in tiles((recipe.side, recipe.side), recipe.tiles.size, recipe.tiles.stride):
        window = (slice(tile.row, tile.row + tile.size), slice(tile.col, tile.col + tile.size))
        chip = cut_chip(TilePixels(rgb=rgb[:, *window], label=label[window]), rules)
        if isinstance(chip, Chip):
            land_cover(chip.mask, table, recipe.rows, recipe.tiles)
            png = encode(chip.rgb)
            store.put(f"{place.poi.id}_{tile.index}.png", png)
            store.put(f"{place.poi.id}_{tile.index}.json", sha256(png + chip.rgb.tobytes()).encode())
            count += 1
    return count


def _native(place: PlannedPlace, scene: Scene, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    grid = place_grid(place.poi.lon, place.poi.lat, scene, recipe.grid)
    bands = [_read(asset, *offset_in(Affine(*asset.transform), grid), recipe.side) for asset in scene.pictured]
    label = place.labels[0].assets[0]
    rows, cols = source_pixels(grid, label.crs, Affine(*label.transform))
    inside = (rows >= 0) & (rows < label.shape[0]) & (cols >= 0) & (cols < label.shape[1])
    rows, cols = rows.clip(0, label.shape[0] - 1), cols.clip(0, label.shape[1] - 1)
    top, left = int(rows.min()), int(cols.min())
    window = (slice(top, int(rows.max()) + 1), slice(left, int(cols.max()) + 1))
    pixels = rasters.read(label.href, window)[rows - top, cols - left]
    return np.stack(bands), np.where(inside, pixels, recipe.labels.table.unknown).astype(np.uint8)


def _read(asset: Asset, row: int, col: int, side: int) -> np.ndarray:
    inside = (slice(max(row, 0), min(row + side, asset.shape[0])), slice(max(col, 0), min(col + side, asset.shape[1])))
    out = np.zeros((side, side), np.uint16)
    at = tuple(slice(part.start - first, part.stop - first) for part, first in zip(inside, (row, col), strict=True))
    out[at] = rasters.read(asset.href, inside)
    return out
