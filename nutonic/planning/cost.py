"""What a build will take: requests, bytes, memory and time, before it starts."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from nutonic.core.model import Scene
from nutonic.core.units import size
from nutonic.errors import PlanTooLarge
from nutonic.recipe.recipe import Recipe
from nutonic.sources.earthengine.blocks import BAND_BYTES
from nutonic.sources.earthengine.windows import KEPT_BYTES, MOST_BYTES, PIXEL_BYTES, requests_for

#: Most places in a batch; fewer where their pixels would not fit, or where there are few places in all.
MOST_PLACES = 32

#: Pixels of a batch's places, at most.
_BATCH_BYTES = 512 * 2**20

#: A worker before it reads anything: 210 MB resident with Python, GDAL, numpy, xarray and dask imported; with room.
_WORKER_BYTES = 300 * 2**20

#: Block side that most Sentinel-2 COGs have; assumed, since a plan opens no file.
BLOCK = 1024

#: Python packages of Earth Engine's clients (25 MB were measured), and copies of pixels on their way through them.
_CLIENT_BYTES, _COPIES = 40 * 2**20, 4

#: Bytes of a compressed block per pixel, of a chip per pixel, of a sidecar and of a tile's rows: typical of Sentinel-2.
_READ_PER_PIXEL, _CHIP_PER_PIXEL, _SIDECAR, _ROWS = 1.4, 1.5, 6_000, 9_000

#: CPU seconds per tile on one core: a rough figure, for orientation.
_SECONDS_PER_TILE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Estimates; all but `peak_bytes` are rough, and say so where they are shown."""

    requests: int
    """HTTP requests: each header once per batch and asset, each block once per batch; 0 for files on disk. Of Earth
    Engine one for a place's labels and one for its imagery, or more where they are too large for one."""
    bytes_read: int
    bytes_written: int
    peak_bytes: int
    """Memory of one worker at its largest batch, at most."""
    cpu_seconds: float


def bytes_per_place(recipe: Recipe) -> int:
    """Memory that a place's native pixels take: three uint16 bands as they are read and once more stacked, and labels."""
    return recipe.side**2 * (2 * 3 * 2 + 1)


def batch_size(recipe: Recipe, places: int) -> int:
    """Places per batch: up to 32, but enough batches for a few workers to share, and few enough places to fit."""
    fits = max(1, _BATCH_BYTES // bytes_per_place(recipe))
    shared = max(4, -(-places // 16))
    return int(min(MOST_PLACES, fits, shared))


def estimate(recipe: Recipe, scene: Scene, corners: np.ndarray, starts: np.ndarray, positions: int) -> Cost:
    """The cost of a plan.

    Parameters
    ----------
    recipe
        The recipe.
    scene
        One of the scenes: whether it lies on a disk or not, the others do too.
    corners
        (places, 2) int32: row and column of each square's first pixel in its scene.
    starts
        First place of each batch, and the number of places at the end.
    positions
        Tiles per place.
    """
    tiles, sizes = positions * len(corners), np.diff(starts)
    largest = int(sizes.max(initial=0))
    requests, bytes_read, holding = _of_files(recipe, scene, corners, sizes)
    asked = [_of_earth_engine(recipe, pixel, len(corners), largest) for pixel in _pixels_asked(recipe)]
    views = 1 + len(recipe.rows.augment)
    chip = int(recipe.tiles.output_size**2 * _CHIP_PER_PIXEL)
    return Cost(
        requests=requests + sum(each[0] for each in asked),
        bytes_read=bytes_read + sum(each[1] for each in asked),
        bytes_written=tiles * views * (chip + _SIDECAR + _ROWS),
        peak_bytes=_WORKER_BYTES
        + largest * bytes_per_place(recipe)
        + holding
        + (_CLIENT_BYTES if asked else 0)
        + sum(each[2] for each in asked),
        cpu_seconds=tiles * views * _SECONDS_PER_TILE,
    )


def _of_files(recipe: Recipe, scene: Scene, corners: np.ndarray, sizes: np.ndarray) -> tuple[int, int, int]:
    """Requests, bytes read and bytes held at once for imagery that lies in files; nothing where Earth Engine has it."""
    if recipe.imagery.source == "earthengine":
        return 0, 0, 0
    bands = len(recipe.imagery.assets)
    batch_of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    blocks = _touched_blocks(corners, batch_of, recipe.side) * bands
    remote = any("://" in asset.href for asset in scene.assets)
    requests = blocks + len(sizes) * bands if remote else 0
    return requests, int(blocks * BLOCK**2 * _READ_PER_PIXEL), READERS * BLOCK**2 * 2 * 2


def _pixels_asked(recipe: Recipe) -> list[int]:
    """Bytes of a pixel of each part that Earth Engine is asked for."""
    imagery = BAND_BYTES * len(recipe.imagery.assets)
    parts = ((recipe.imagery.source, imagery), (recipe.labels.source, PIXEL_BYTES))
    return [pixel for source, pixel in parts if source == "earthengine"]


def _of_earth_engine(recipe: Recipe, pixel: int, places: int, batch: int) -> tuple[int, int, int]:
    """Requests, bytes read, and bytes held at once: windows that are kept, and those that arrive at the same time."""
    whole = recipe.side**2 * pixel
    arriving = min(READERS, batch) * min(whole, MOST_BYTES)
    held = KEPT_BYTES + batch * recipe.side**2 + _COPIES * arriving
    return places * requests_for(recipe.side, pixel), places * whole, held


def _touched_blocks(corners: np.ndarray, batch_of: np.ndarray, side: int) -> int:
    """Blocks that the squares touch, each counted once per batch."""
    first, last = corners // BLOCK, (corners + side - 1) // BLOCK
    touched = np.empty(0, np.int64)
    reach = int((last - first).max(initial=0)) + 1
    for i, j in np.ndindex(reach, reach):
        rows, cols = (first + np.array([i, j], np.int32)).T
        there = (rows <= last[:, 0]) & (cols <= last[:, 1])
        codes = (batch_of[there].astype(np.int64) << 32) + ((rows[there].astype(np.int64) + _HALF) << 16) + cols[there]
        touched = np.union1d(touched, codes + _HALF)
    return len(touched)


#: Rows and columns of blocks are counted from here, so that they are above zero: a square may hang over a scene's edge.
_HALF = 1 << 15


def refuse_too_large(cost: Cost, out: Path, workers: int) -> None:
    """Raise :class:`PlanTooLarge` if the workers do not fit into memory, or the tree onto the disk of `out`."""
    memory = psutil.virtual_memory().available
    if cost.peak_bytes * max(1, workers) > memory:
        raise PlanTooLarge(
            f"{max(1, workers)} workers of {size(cost.peak_bytes)} each need more than the {size(memory)} of memory "
            "that is free: use fewer --workers, or a smaller grid.extent_m"
        )
    folder = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    free = shutil.disk_usage(folder).free
    if cost.bytes_written > free:
        raise PlanTooLarge(
            f"the dataset takes about {size(cost.bytes_written)}, {folder.name or 'the disk'} has {size(free)} free: "
            "build elsewhere with --out, or fewer places with pois.limit"
        )


def default_workers() -> int:
    """One worker process per core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


#: Reads in flight per process; more than the cores, since reading is mostly waiting.
READERS = 8
