"""Blocks of a tiled TIFF, unpacked by libdeflate and kept for all that reads next to them.

GDAL reads headers and says where blocks lie; it unpacks what is not known here: other codecs, predictors and layouts, sparse
and damaged blocks. So both give the same pixels, and what is wrong with a file is told by GDAL. Here a block is unpacked
once for all places and threads, where each of GDAL's datasets has blocks of its own; and its differences are undone in the
rows that are asked for alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import deflate
import numpy as np

from nutonic.io.cache import SingleFlightCache

#: Unpacked blocks that are kept, in bytes: of a strip of eight blocks of 1024 one row, in three bands of Sentinel-2, with
#: those that places reach besides, and two rows of labels.
KEPT_BYTES = 96 * 2**20

#: Rows whose differences are undone at a time.
_ROWS = 64

#: Gives the bytes of a file from one position up to another.
Fetch = Callable[[int, int], bytes]

Window = tuple[slice, slice]
_Place = tuple[int, int, int]


class Undecodable(Exception):
    """A block that GDAL must look at."""


class Block:
    """The pixels of a block. Where neighbours' differences are stored, they are undone in the rows that are asked for."""

    def __init__(self, pixels: np.ndarray, *, differs: bool) -> None:
        self._pixels, self._lock = pixels, threading.Lock()
        self._stored = np.full(-(-len(pixels) // _ROWS), differs)

    @property
    def side(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._pixels.shape[0], self._pixels.shape[1]

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return int(self._pixels.nbytes)

    def rows(self, first: int, end: int) -> np.ndarray:
        """Some rows, (rows, width)."""
        with self._lock:
            groups = slice(first // _ROWS, -(-end // _ROWS))
            for k in (groups.start + np.flatnonzero(self._stored[groups])).tolist():
                _add_up(self._pixels[k * _ROWS : (k + 1) * _ROWS])
                self._stored[k] = False
        return self._pixels[first:end]


def _add_up(differences: np.ndarray) -> None:
    """Make pixels of the differences of neighbours, in place: TIFF 6.0, section 14; wraps as it does there."""
    bits = differences.view(f"u{differences.itemsize}")
    fastest_adder()(bits)


def added_by_numpy(bits: np.ndarray) -> None:
    """Make unsigned pixels of the differences along rows, in place."""
    np.add.accumulate(bits, axis=1, dtype=bits.dtype, out=bits)


@cache
def fastest_adder() -> Callable[[np.ndarray], None]:
    """What does the same in a fourth of the time, of the extra ``speed``; without it, NumPy."""
    try:
        from imagecodecs import delta_decode
    except ImportError:
        return added_by_numpy

    def added_by_imagecodecs(bits: np.ndarray) -> None:
        delta_decode(bits, axis=1, out=bits)

    return added_by_imagecodecs


#: Blocks by file and version, band, row and column.
Kept = SingleFlightCache[tuple[Hashable, _Place], Block]


def new_cache() -> Kept:
    """A cache for blocks; the least recently used make room, and before them those that :func:`pass_by` told of."""
    return SingleFlightCache(KEPT_BYTES, lambda block: block.nbytes)


def pass_by(kept: Kept, pixel_of: Callable[[Hashable], tuple[int, int] | None]) -> None:
    """Have blocks make room before others that lie before the one with a pixel: above it, or left of it.

    `pixel_of` gives that pixel's row and column in a file; None for a file whose blocks stay. All files are told of at once,
    since all blocks are looked at for it.
    """

    def is_behind(key: tuple[Hashable, _Place], block: Block) -> bool:
        file, (_, row, col) = key
        pixel = pixel_of(file)
        return pixel is not None and (row, col) < (pixel[0] // block.side[0], pixel[1] // block.side[1])

    kept.first_out(is_behind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Where the blocks of a raster lie, and how they are stored."""

    raster: Any
    """An open dataset of rasterio, which is asked for the places of blocks."""
    side: tuple[int, int]
    """Height and width of a block."""
    dtype: np.dtype[Any]
    differs: bool
    """Whether each row is stored as the differences of neighbours."""
    within: Callable[[], AbstractContextManager[object]]
    """Gives the block within which the dataset is asked."""

    @classmethod
    def of(cls, raster: Any, start: bytes, within: Callable[[], AbstractContextManager[object]]) -> Blocks | None:
        """Of an open dataset, whose file begins with `start`; None if it is GDAL's to read."""
        tags = raster.tags(ns="IMAGE_STRUCTURE") if start[:2] == b"II" and raster.driver == "GTiff" else {}
        plain = tags.get("COMPRESSION") == "DEFLATE" and tags.get("INTERLEAVE") == "BAND" and "NBITS" not in tags
        predictor = tags.get("PREDICTOR", "1")
        alike = len({*raster.dtypes}) == 1 and raster.dtypes[0] in (
            "uint8",
            "int8",
            "uint16",
            "int16",
            "uint32",
            "int32",
        )
        if not (plain and alike and predictor in ("1", "2") and raster.profile.get("tiled")):
            return None
        if any("NBITS" in raster.tags(band, ns="IMAGE_STRUCTURE") for band in raster.indexes):
            return None
        dtype, differs = np.dtype(raster.dtypes[0]), predictor == "2"
        return cls(raster=raster, side=raster.block_shapes[0], dtype=dtype, differs=differs, within=within)

    def read(self, band: int, window: Window, fetch: Fetch, kept: Kept, file: Hashable) -> np.ndarray:
        """The pixels of a window inside the raster, (rows, columns).

        Parameters
        ----------
        fetch
            Gives bytes of the file; what it raises is raised.
        kept, file
            Where blocks are kept, and what tells this file, in this version, from others there.

        Raises
        ------
        Undecodable
            If GDAL must read it.
        """
        out = np.empty(tuple(part.stop - part.start for part in window), self.dtype)
        for (row, col), down, across in self._touched(window):
            place = (band, row, col)
            block = kept.get((file, place), partial(self._unpacked, place, fetch))
            at = tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip((down, across), window, strict=True))
            top, left = row * self.side[0], col * self.side[1]
            rows = block.rows(down.start - top, down.stop - top)
            out[at] = rows[:, across.start - left : across.stop - left]
        return out

    def _touched(self, window: Window) -> Iterator[tuple[tuple[int, int], slice, slice]]:
        """The blocks of a window, and which of its rows and columns each holds."""
        rows, cols = (list(_cut(part, side)) for part, side in zip(window, self.side, strict=True))
        return (((row, col), down, across) for row, down in rows for col, across in cols)

    def _unpacked(self, place: _Place, fetch: Fetch) -> Block:
        band, row, col = place
        with self.within():
            offset, size = (
                self.raster.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band) for what in ("OFFSET", "SIZE")
            )
        if offset is None or size is None:  # a sparse one: nodata throughout
            raise Undecodable
        packed = fetch(int(offset), int(offset) + int(size))
        length = self.side[0] * self.side[1] * self.dtype.itemsize
        try:
            content = deflate.zlib_decompress(packed, length)
        except deflate.DeflateError:
            raise Undecodable from None
        if len(content) != length:
            raise Undecodable
        return Block(np.frombuffer(content, self.dtype).reshape(self.side), differs=self.differs)


@dataclass(frozen=True, slots=True)
class PlainBlocks:
    """The blocks of an open dataset, with the file that they lie in."""

    blocks: Blocks
    fetch: Fetch
    kept: Kept
    file: Hashable

    def read(self, band: int, window: tuple[slice, slice]) -> np.ndarray:
        """A window's pixels of a band; :class:`Undecodable` where they are GDAL's to read."""
        return self.blocks.read(band, window, self.fetch, self.kept, self.file)


def _cut(part: slice, side: int) -> Iterator[tuple[int, slice]]:
    """A span of an axis, cut between blocks."""
    for k in range(part.start // side, -(-part.stop // side)):
        yield k, slice(max(part.start, k * side), min(part.stop, (k + 1) * side))
