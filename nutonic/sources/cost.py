"""What reading takes: the work that a plan gives a source, and of files the blocks that it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nutonic.core.model import Asset, Scene
from nutonic.io.ranged import KEPT_RANGES

#: Block side that most Sentinel-2 COGs have; assumed, since a plan opens no file.
BLOCK = 1024

#: Bytes of a compressed block per pixel: typical of Sentinel-2.
_READ_PER_PIXEL = 1.4

#: The same of classes, which compress well.
_READ_PER_CLASS = 0.1

#: Bytes that a reader of classes holds of each pixel of the grid: the classes, and where each is if they are in another CRS.
_HELD_HERE, _HELD_ELSEWHERE = 4, 64


#: CPU seconds to unpack a pixel of a deflated block, and of one of JPEG 2000; and one of classes.
_PER_PIXEL, _PER_PIXEL_JP2, _PER_PIXEL_CLASS = 11e-9, 120e-9, 4e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Squares that are to be read, batch by batch."""

    scene: Scene
    """One of the scenes: whether it lies on a disk or not, the others do too."""
    corners: np.ndarray
    """(places, 2) int32: row and column of each square's first pixel in its scene."""
    batches: np.ndarray
    """Places of each batch, in the order of `corners`."""
    side: int
    """Pixels along a side of a square."""
    readers: int
    """Reads in flight per process."""

    @property
    def places(self) -> int:
        """Squares in all."""
        return len(self.corners)

    @property
    def largest(self) -> int:
        """Squares of the largest batch."""
        return int(self.batches.max(initial=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCost:
    """What reading takes, roughly; nothing by default."""

    requests: int = 0
    """HTTP requests."""
    bytes_read: int = 0
    held_bytes: int = 0
    """Memory of a process at its largest batch, besides the pixels themselves."""
    cpu_seconds: float = 0.0
    """Of one core, to unpack what is read."""


def files_cost(work: Workload, bands: int, classes: Sequence[Asset] = ()) -> SourceCost:
    """Of files in blocks: each header once per batch and file, each block once per batch; no request on a disk.

    `classes` are assets of classes beside so many bands: with larger pixels they have fewer blocks.
    """
    blocks = _touched_blocks(work.corners, work.batches, work.side, BLOCK) * bands
    of_classes = [
        _touched_blocks(work.corners, work.batches, work.side, _reach(asset, work.scene)) for asset in classes
    ]
    remote = any("://" in asset.href for asset in work.scene.assets)
    headers = len(work.batches) * (bands + len(classes))
    held = [_HELD_HERE if asset.crs == work.scene.lead.crs else _HELD_ELSEWHERE for asset in classes]
    bytes_read = int(BLOCK**2 * (blocks * _READ_PER_PIXEL + sum(of_classes) * _READ_PER_CLASS))
    a_pixel = _PER_PIXEL_JP2 if work.scene.lead.href.lower().endswith((".jp2", ".j2k")) else _PER_PIXEL
    return SourceCost(
        requests=blocks + sum(of_classes) + headers if remote else 0,
        bytes_read=bytes_read,
        held_bytes=work.readers * BLOCK**2 * (2 * 2 + sum(held)) + (min(KEPT_RANGES, bytes_read) if remote else 0),
        cpu_seconds=BLOCK**2 * (blocks * a_pixel + sum(of_classes) * _PER_PIXEL_CLASS),
    )


def _reach(asset: Asset, scene: Scene) -> int:
    """The side of a block of an asset, in pixels of its scene's grid."""
    return max(1, round(BLOCK * abs(asset.transform[0] / scene.lead.transform[0])))


def _touched_blocks(corners: np.ndarray, batches: np.ndarray, side: int, block: int) -> int:
    """Blocks of a side that the squares touch, each counted once per batch; `batches` are their numbers of places."""
    touched, at, number = 0, 0, 0
    ends = np.cumsum(batches)
    while number < len(ends):  # some batches at a time
        after = max(number + 1, int(np.searchsorted(ends, at + _AT_ONCE, side="right")))
        some = corners[at : ends[after - 1]]
        batch_of = np.repeat(np.arange(after - number, dtype=np.int64), batches[number:after])
        touched += _touched_of(some, batch_of, side, block)
        at, number = int(ends[after - 1]), after
    return touched


def _touched_of(corners: np.ndarray, batch_of: np.ndarray, side: int, block: int) -> int:
    first, last = corners // block, (corners + side - 1) // block
    touched = np.empty(0, np.int64)
    reach = int((last - first).max(initial=0)) + 1
    for i, j in np.ndindex(reach, reach):
        rows, cols = (first + np.array([i, j], np.int32)).T
        inside = (rows <= last[:, 0]) & (cols <= last[:, 1])
        codes = (batch_of[inside] << 32) + ((rows[inside].astype(np.int64) + _HALF) << 16) + cols[inside]
        touched = np.union1d(touched, codes + _HALF)
    return len(touched)


#: Places whose blocks are counted at once.
_AT_ONCE = 2**15

#: Rows and columns of blocks are counted from here, so that they are above zero: a square may hang over a scene's edge.
_HALF = 1 << 15
