"""What a build will take: requests, bytes, memory and time, before it starts."""

from __future__ import annotations

import math
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from nutonic.core.model import Json, Scene
from nutonic.core.units import counted, size
from nutonic.errors import PlanTooLarge
from nutonic.io.buckets.address import Address, AnyPath
from nutonic.planning.spec import BuildSpec
from nutonic.sources.annotators.cost import estimate as estimate_captions
from nutonic.sources.cost import SourceCost, Workload

#: Most places in a batch; fewer where their pixels would not fit, or where there are few places in all.
MOST_PLACES = 32

#: Most bytes of native pixels in a batch.
_BATCH_BYTES = 512 * 2**20

#: Memory of a worker besides what it works on: 240 MB with Python, GDAL, numpy, xarray and dask imported, and the blocks
#: that it keeps.
WORKER_BYTES = 356 * 2**20

#: Bytes of a chip, typical of Sentinel-2: for each pixel of it that is one of its tile; how much more for each time that
#: pixels are repeated, by pixel of the tile; how much more for each time that pixels are averaged; and at most.
_PER_PIXEL, _REPEATED, _AVERAGED, _MOST_PER_PIXEL = 1.4, 0.42, 0.85, 2.7

#: Bytes of a sidecar, and how much more for each pixel of a tile's side, as it shows more ground. Of rows, by their kind;
#: how many times as many at a side of no pixel, and more for each; and of how they are kept until they are put together.
_SIDECAR, _SIDECAR_PER_SIDE = 1_500, 11
_PER_CAPTION, _GROUNDING, _BY_CLASS, _QUESTION = 600, 700, 1_250, 600
_ROWS_AT_LEAST, _ROWS_PER_SIDE, _PARTS = 0.75, 1 / 300, 0.25

#: Bytes of a commit, by place and by chip; and of a tree's card, recipe and summary.
_PER_PLACE, _PER_COMMITTED, _TREE = 400, 280, 20_000

#: A drawing is larger than its chip, which is never smoothed and has no letters.
_PER_DRAWN = 1.25

#: Pictures of other ground differ from what is typical by as much, either way; of some few tiles are left.
_TYPICAL, _SURELY = 1.5, 3

#: CPU seconds of one core of a machine whose pace is 1 (see `pace`): for each pixel of a square, of a tile and of its chip;
#: for a chip, for each kind of row that it has, and for a drawing, of which there are so many.
_PER_SQUARE_PIXEL, _PER_TILE_PIXEL, _PER_CHIP_PIXEL = 42e-9, 6.5e-9, 50e-9
_PER_CHIP, _PER_KIND, _PER_DRAWING, _DRAWINGS = 2.8e-3, 0.7e-3, 2.5e-3, 10

#: Seconds until the first place is begun: Python, imports and a plan; and in worker processes, which import for themselves.
START_S, START_WORKERS_S = 2.0, 3.5

#: Milliseconds of a core whose pace is 1, for 50,000 turns of a loop of Python, and to unpack 512 KiB; each is
#: measured so often.
_LOOP_MS, _UNPACK_MS, _TIMES = 2.7, 3.65, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Estimates; all but `peak_bytes` are rough, and are shown as such."""

    requests: int
    """HTTP requests, as the sources estimate. Remote files: each header and block once per batch; local files: none. A
    service that computes: one per place, more for a large one. A still: one per place."""
    bytes_read: int
    bytes_written: int
    peak_bytes: int
    """Memory of one worker at its largest batch, at most."""
    cpu_seconds: float
    """Of one core whose pace is 1 (see :func:`pace`), whichever machine plans, once it is running (see `START_S`)."""


def bytes_per_place(side: int) -> int:
    """Memory that a place's native pixels take: three uint16 bands, as much again that is made of them, and labels."""
    return side**2 * (2 * 3 * 2 + 1)


def batch_size(side: int, places: int) -> int:
    """Places per batch: up to 32, but enough batches for a few workers to share, and few enough places to fit."""
    fits = max(1, _BATCH_BYTES // bytes_per_place(side))
    shared = max(4, -(-places // 16))
    return int(min(MOST_PLACES, fits, shared))


def estimate(spec: BuildSpec, scene: Scene, corners: np.ndarray, starts: np.ndarray) -> Cost:
    """The cost of a plan.

    Parameters
    ----------
    spec
        What is to be built.
    scene
        Any one of the scenes: all are taken to be local or remote as it is.
    corners
        (places, 2) int32: row and column of each square's first pixel in its scene.
    starts
        First place of each batch, and the number of places at the end.
    """
    work = Workload(scene=scene, corners=corners, batches=np.diff(starts), side=spec.side, readers=READERS)
    reading = [source.cost(work) for source in spec.sources]
    stills = _of_stills(spec, work.places)
    resident = sum(needs.resident_bytes for needs in {source.needs() for source in spec.sources})
    pictures = len(spec.layout.tiles) * work.places * (1 + len(spec.layout.views))
    classes = spec.side**2 * sum(asset.classified for asset in scene.assets)
    drawings = min(_DRAWINGS, spec.rows.most_overlays)
    return Cost(
        requests=sum(cost.requests for cost in (*reading, stills)),
        bytes_read=sum(cost.bytes_read for cost in (*reading, stills)),
        bytes_written=_TREE
        + work.places * _PER_PLACE
        + int(pictures * _bytes_of_a_chip(spec, drawings, repeats(scene, spec.grid.resolution_m)))
        + stills.bytes_read,
        peak_bytes=WORKER_BYTES
        + min(_HELD, work.largest) * (bytes_per_place(spec.side) + classes)
        + resident
        + sum(cost.held_bytes for cost in (*reading, stills)),
        cpu_seconds=sum(cost.cpu_seconds for cost in reading)
        + work.places * spec.side**2 * _PER_SQUARE_PIXEL
        + pictures * _seconds_of_a_chip(spec, drawings),
    )


def repeats(scene: Scene, resolution_m: float) -> int:
    """How many pixels of a grid, along each axis, are one of a scene's own: 1 where there are as many or fewer."""
    return max(1, round(scene.lead.transform[0] / resolution_m))


def chip_bytes(size: float, output_size: int) -> float:
    """Bytes of a chip of ``output_size`` pixels a side, of a tile that is `size` of the scene's own wide.

    PNG takes as good as nothing for a pixel that is as its neighbour is: what there is to say is of the tile's pixels. Where
    some are averaged, no pixel is as another.
    """
    times = output_size / size
    if times >= 1:
        return size**2 * (_PER_PIXEL + _REPEATED * (times - 1))
    return output_size**2 * min(_MOST_PER_PIXEL, _PER_PIXEL + _AVERAGED * (1 / times - 1))


def _bytes_of_a_chip(spec: BuildSpec, drawings: int, times: int) -> float:
    """What is written of a chip: itself, its drawings, its sidecar, and its rows."""
    rows, side = spec.rows, spec.tiles.size
    questions = rows.absence + rows.vqa + rows.choice + rows.referring
    said = (
        len(rows.captions) * _PER_CAPTION
        + rows.grounding * _GROUNDING
        + (rows.per_class + rows.per_class_grounding) * _BY_CLASS
        + questions * _QUESTION
    ) * (_ROWS_AT_LEAST + _ROWS_PER_SIDE * side)
    return (
        chip_bytes(side / times, spec.tiles.output_size) * (1 + _PER_DRAWN * drawings)
        + _SIDECAR
        + _SIDECAR_PER_SIDE * side
        + said * (1 + _PARTS)
        + _PER_COMMITTED
    )


def _seconds_of_a_chip(spec: BuildSpec, drawings: int) -> float:
    """CPU of what is made of a tile that was read."""
    rows, tiles = spec.rows, spec.tiles
    options = (
        rows.grounding,
        rows.per_class,
        rows.per_class_grounding,
        rows.absence,
        rows.vqa,
        rows.choice,
        rows.referring,
    )
    return (
        tiles.size**2 * _PER_TILE_PIXEL
        + tiles.output_size**2 * _PER_CHIP_PIXEL
        + _PER_CHIP
        + (len(rows.captions) + sum(options)) * _PER_KIND
        + drawings * _PER_DRAWING
    )


def _of_stills(spec: BuildSpec, places: int) -> SourceCost:
    """What stills take: a request a place; besides themselves, the chips of the places that wait for theirs are held."""
    if spec.stills is None:
        return SourceCost()
    cost = spec.stills.cost(places)
    chips = len(spec.layout.tiles) * spec.tiles.output_size**2 * 4
    return replace(cost, held_bytes=STILLS_AHEAD * (cost.held_bytes + chips))


def refuse_too_large(cost: Cost, workers: int) -> None:
    """Raise :class:`PlanTooLarge` if the workers do not fit into memory."""
    import psutil  # by whoever makes a new plan alone

    memory = psutil.virtual_memory().available
    if cost.peak_bytes * max(1, workers) > memory:
        raise PlanTooLarge(
            f"{counted(max(1, workers), 'worker')}, each of {size(cost.peak_bytes)}, would need more than the "
            f"{size(memory)} of memory that is free: use fewer --workers, or a smaller grid.extent_m"
        )


def refuse_no_room(bytes_written: int, out: AnyPath) -> None:
    """Raise :class:`PlanTooLarge` if not even a third of what a dataset is estimated to take fits onto the disk of `out`.

    So much less it takes where ground is plain, or most tiles are left out. An object store has room for any.
    """
    where, free = _free_at(out)
    if bytes_written > _SURELY * free:
        raise PlanTooLarge(f"{_no_room(bytes_written, where, free)}, and it would not fit: {_ELSEWHERE}")


def doubt_of_room(bytes_written: int, out: AnyPath) -> Iterator[str]:
    """A line if what a dataset is estimated to take may not fit onto the disk of `out`."""
    where, free = _free_at(out)
    if bytes_written * _TYPICAL > free:
        yield f"{_no_room(bytes_written, where, free)}, and it may not fit: {_ELSEWHERE}"


_ELSEWHERE = "build elsewhere with --out, or fewer places with pois.limit"


def _no_room(bytes_written: int, where: str, free: float) -> str:
    return f"the dataset takes about {size(bytes_written)}, {where or 'the disk'} has {size(int(free))} free"


def _free_at(out: AnyPath) -> tuple[str, float]:
    """The name of the folder that an output is in, and bytes that are free there."""
    if isinstance(out, Address):
        return str(out), math.inf
    folder = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    return folder.name, shutil.disk_usage(folder).free


@lru_cache(maxsize=1)
def pace() -> float:
    """How long this machine takes for what is estimated to take a second of a core: 0.5 of one that is twice as fast.

    Measured once in a process, in some 30 ms: a build is half Python, half what unpacks and works on pixels. Machines differ
    by three times, and so does one of a cloud from hour to hour. No plan holds it: it would be another one each time.
    """
    packed = zlib.compress(
        np.random.default_rng(0).integers(0, 40, 2**19, np.uint8).tobytes(), 1
    )  # to about three quarters

    def loop() -> None:
        total = 0
        for k in range(50_000):
            total += k & 7

    found = (_least_ms(loop) / _LOOP_MS + _least_ms(lambda: zlib.decompress(packed)) / _UNPACK_MS) / 2
    return min(5.0, max(0.2, found))


def _least_ms(work: Callable[[], object]) -> float:
    """Milliseconds of a core that some work takes at least."""
    taken = []
    for _ in range(_TIMES):
        began = time.thread_time()
        work()
        taken.append(time.thread_time() - began)
    return 1000 * min(taken)


def default_workers() -> int:
    """One worker process per core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


#: Places of a process that wait for their stills while the next are cut.
STILLS_AHEAD = 4

#: Places whose pixels are read together; a process holds those that it works on, and those that it reads meanwhile.
NEIGHBOURS = 4

#: Of what is read from a server so many times as many are read meanwhile: whoever cuts them does not wait.
FAR_GROUPS = 2

#: The most places whose pixels a process holds.
_HELD = NEIGHBOURS * (1 + FAR_GROUPS)

#: Reads in flight per process; more than the cores, since reading is mostly waiting.
READERS = 8


def chips_estimate(spec: BuildSpec, tiles: int) -> Json:
    """Chips of so many tiles, views too; captions, tokens and money that polishing takes, if nothing is answered yet."""
    asked, chips = spec.rows.polish, tiles * (1 + len(spec.layout.views))
    if asked is None:
        return {"chips": chips}
    captions = chips * len(spec.rows.captions)
    whole = estimate_captions({3: captions}, asked.annotators, asked.captions)
    return {"chips": chips, "captions": {"captions": captions, **whole.as_json()}}
