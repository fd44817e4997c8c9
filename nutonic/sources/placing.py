"""Where the pixels of a grid lie in a file: its first one, and the part of a window that the file has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from affine import Affine

from nutonic.core.grid import crs_name, offset_in, repeated
from nutonic.core.model import Asset
from nutonic.errors import OffLattice

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


class Offset(NamedTuple):
    """Where a grid's first pixel lies in a file, in pixels of the grid."""

    row: int
    col: int
    times: int = 1
    """How many of the grid's pixels each of the file's is, along a side: it is repeated."""


def offset_of(asset: Asset, geobox: GeoBox) -> tuple[int, int]:
    """Row and column of a grid's first pixel in an asset's file.

    Raises
    ------
    OffLattice
        If the grid is in another CRS, or its pixels are not the file's.
    """
    _refuse_other_crs(asset, geobox)
    return offset_in(Affine(*asset.transform), geobox)


def placed(asset: Asset, geobox: GeoBox) -> Offset:
    """Where a grid's first pixel lies in an asset's file, whose pixels may be larger: each is then repeated.

    Raises
    ------
    OffLattice
        If the grid is in another CRS, or its pixels are not the file's, nor parts of them on one lattice.
    """
    _refuse_other_crs(asset, geobox)
    lattice, times = repeated(Affine(*asset.transform), geobox)
    return Offset(*offset_in(lattice, geobox), times)


def _refuse_other_crs(asset: Asset, geobox: GeoBox) -> None:
    if crs_name(geobox) != asset.crs:
        raise OffLattice(
            f"{asset.written} is in {asset.crs:.60}, the grid in {geobox.crs}: use a grid in the scene's own zone"
        )


class Part:
    """What of a window of a grid a file has."""

    def __init__(self, asset: Asset, offset: Offset, rows: slice, cols: slice) -> None:
        height, width = (side * offset.times for side in asset.shape)
        self._offset, self._rows, self._cols = offset, rows, cols
        self._down, self._across = _inside(rows, offset.row, height), _inside(cols, offset.col, width)
        self.shape = rows.stop - rows.start, cols.stop - cols.start

    @property
    def is_beside(self) -> bool:
        """Whether it is nothing."""
        return bool(self._down.stop <= self._down.start or self._across.stop <= self._across.start)

    @property
    def window(self) -> tuple[slice, slice]:
        """The pixels of the file."""
        return _coarse(self._down, self._offset.times), _coarse(self._across, self._offset.times)

    def placed(self, pixels: np.ndarray) -> np.ndarray:
        """The file's pixels as the window's, each as often as the grid has it; 0 beyond the file's edge."""
        down, across, times = self._down, self._across, self._offset.times
        inside = pixels if times == 1 else _repeated(pixels, down, across, times)
        if inside.shape == self.shape:
            return inside
        out = np.zeros(self.shape, pixels.dtype)
        row, col = self._offset.row + self._rows.start, self._offset.col + self._cols.start
        out[_shifted(down, -row), _shifted(across, -col)] = inside
        return out


def _coarse(part: slice, times: int) -> slice:
    """The pixels that hold some of their parts."""
    return slice(part.start // times, -(-part.stop // times))


def _repeated(pixels: np.ndarray, down: slice, across: slice, times: int) -> np.ndarray:
    """Parts of pixels: each is what the pixel is that holds it."""
    rows, cols = (np.arange(part.start, part.stop) // times - part.start // times for part in (down, across))
    return np.asarray(pixels[np.ix_(rows, cols)])


def _inside(part: slice, offset: int, limit: int) -> slice:
    """Part of a grid's axis as pixels of the file, cut to those it has."""
    return slice(max(part.start + offset, 0), min(part.stop + offset, limit))


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
