"""What reading takes: the work that a plan gives a source, and of files the blocks that it touches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nutonic.core.model import Scene

#: Block side that most Sentinel-2 COGs have; assumed, since a plan opens no file.
BLOCK = 1024

#: Bytes of a compressed block per pixel: typical of Sentinel-2.
_READ_PER_PIXEL = 1.4


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


def files_cost(work: Workload, bands: int) -> SourceCost:
    """Of files in blocks: each header once per batch and band, each block once per batch; no request on a disk."""
    batch_of = np.repeat(np.arange(len(work.batches), dtype=np.int32), work.batches)
    blocks = _touched_blocks(work.corners, batch_of, work.side) * bands
    remote = any("://" in asset.href for asset in work.scene.assets)
    return SourceCost(
        requests=blocks + len(work.batches) * bands if remote else 0,
        bytes_read=int(blocks * BLOCK**2 * _READ_PER_PIXEL),
        held_bytes=work.readers * BLOCK**2 * 2 * 2,
    )


def _touched_blocks(corners: np.ndarray, batch_of: np.ndarray, side: int) -> int:
    """Blocks that the squares touch, each counted once per batch."""
    first, last = corners // BLOCK, (corners + side - 1) // BLOCK
    touched = np.empty(0, np.int64)
    reach = int((last - first).max(initial=0)) + 1
    for i, j in np.ndindex(reach, reach):
        rows, cols = (first + np.array([i, j], np.int32)).T
        inside = (rows <= last[:, 0]) & (cols <= last[:, 1])
        codes = (
            (batch_of[inside].astype(np.int64) << 32) + ((rows[inside].astype(np.int64) + _HALF) << 16) + cols[inside]
        )
        touched = np.union1d(touched, codes + _HALF)
    return len(touched)


#: Rows and columns of blocks are counted from here, so that they are above zero: a square may hang over a scene's edge.
_HALF = 1 << 15
