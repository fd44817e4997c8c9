"""Pixels of Earth Engine through xee: opened once for all grids of a lattice, then a request for each window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.errors import GridError, ReadFailed
from nutonic.io.cache import SingleFlightCache
from nutonic.io.session import current
from nutonic.sources.backend import Window
from nutonic.sources.cost import SourceCost, Workload
from nutonic.sources.earthengine.account import Account, signed_in
from nutonic.sources.earthengine.expressions import MASKED, LabelImage

if TYPE_CHECKING:
    from affine import Affine

#: What a request may come to (developers.google.com/earth-engine/apidocs/ee-data-computepixels), and the bytes of a
#: pixel as they are counted: two of the packed class, and one of the mask.
MOST_BYTES, MOST_SIDE, PIXEL_BYTES = 48 * 2**20, 32768, 3

#: A lattice reaches so many pixels from its origin each way: at 10 m sixteen times around the Earth.
_REACH = 2**26

#: Images kept open per session, and bytes of pixels: those of a window serve all its variables.
_KEPT_OPEN, KEPT_BYTES = 256, 64 * 2**20

#: Copies of pixels on their way through Earth Engine's clients.
_COPIES = 4


@dataclass(frozen=True, slots=True)
class Lattice:
    """All pixels of one size in a CRS, whatever grid they are seen through."""

    crs: str
    """``"EPSG:…"``, which is all that Earth Engine takes."""
    pixel: tuple[float, float]
    """Width and (negative) height of a pixel."""
    phase: tuple[float, float]
    """Where between the multiples of a pixel its corners lie, in pixels, 0 to 1."""

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """From (column, row) corners to the CRS; the origin is far up and left."""
        (a, e), (x, y) = self.pixel, self.phase
        return (a, 0.0, (x - _REACH) * a, 0.0, e, (y - _REACH) * e)


def placed(geobox: GeoBox) -> tuple[Lattice, int, int]:
    """A grid's lattice, and the row and column of its first pixel there.

    Raises
    ------
    GridError
        If the CRS has no EPSG code, or the grid is not north up.
    """
    transform: Affine = geobox.affine
    code = geobox.crs.epsg if geobox.crs else None
    if code is None:
        raise GridError(f"Earth Engine needs a grid in a CRS with an EPSG code, not {str(geobox.crs)[:60]}")
    if transform.b or transform.d:
        raise GridError("Earth Engine needs a grid with north up: this one is rotated or sheared")
    (x, col), (y, row) = _split(transform.c / transform.a), _split(transform.f / transform.e)
    lattice = Lattice(f"EPSG:{code}", (float(transform.a), float(transform.e)), (x, y))
    return lattice, row + _REACH, col + _REACH


def _split(position: float) -> tuple[float, int]:
    """A position in pixels as phase and whole pixels; a millionth of a pixel is none."""
    phase = round(position % 1.0, 6) % 1.0
    return phase, round(position - phase)


def packed(image: LabelImage, account: Account, geobox: GeoBox) -> np.ndarray:
    """The pixels of an image on a grid, as they come packed: (rows, columns) uint16, :data:`MASKED` where there is none.

    One request, or as many as the size of the grid takes; none if the same window was just read.
    """
    lattice, row, col = placed(geobox)
    window = (slice(row, row + geobox.shape.y), slice(col, col + geobox.shape.x))
    key = (image, account.resolved(), lattice, row, col, *window_shape(window))
    return current().resource(_Windows).get(key, lambda: _read_parts(image, account.resolved(), lattice, window))


def parts(window: Window, pixel_bytes: int = PIXEL_BYTES) -> Iterator[Window]:
    """A window in parts that a request may have: as many whole rows as fit."""
    cols = min(window_shape(window)[1], MOST_SIDE)
    rows = min(MOST_BYTES // (cols * pixel_bytes), MOST_SIDE)
    for top in range(window[0].start, window[0].stop, rows):
        for left in range(window[1].start, window[1].stop, cols):
            yield slice(top, min(top + rows, window[0].stop)), slice(left, min(left + cols, window[1].stop))


def requests_for(side: int, pixel_bytes: int = PIXEL_BYTES) -> int:
    """Requests for a square of so many pixels a side."""
    return sum(1 for _ in parts((slice(0, side), slice(0, side)), pixel_bytes))


def cost_of(work: Workload, pixel_bytes: int) -> SourceCost:
    """A request for each square, or more where it is too large for one; windows are kept, others arrive meanwhile."""
    square = work.side**2 * pixel_bytes
    transfer_bytes = min(work.readers, work.largest) * min(square, MOST_BYTES)
    return SourceCost(
        requests=work.places * requests_for(work.side, pixel_bytes),
        bytes_read=work.places * square,
        held_bytes=KEPT_BYTES + work.largest * work.side**2 + _COPIES * transfer_bytes,
    )


def window_shape(window: Window) -> tuple[int, int]:
    """Rows and columns of a window."""
    rows, cols = window
    return rows.stop - rows.start, cols.stop - cols.start


def within(part: slice, whole: slice) -> slice:
    """A part of a span, counted from where the span begins."""
    return slice(part.start - whole.start, part.stop - whole.start)


_Key = tuple[LabelImage, Account, Lattice, int, int, int, int]


class _Images(SingleFlightCache[tuple[LabelImage, Account, Lattice], xr.Variable]):
    """The images that a session has open."""

    def __init__(self) -> None:
        super().__init__(_KEPT_OPEN, lambda _: 1)


class _Windows(SingleFlightCache[_Key, np.ndarray]):
    """The pixels that a session keeps."""

    def __init__(self) -> None:
        super().__init__(KEPT_BYTES, lambda pixels: int(pixels.nbytes))


def _read_parts(image: LabelImage, account: Account, lattice: Lattice, window: Window) -> np.ndarray:
    out = np.empty(window_shape(window), np.uint16)
    with signed_in(account):
        variable = current().resource(_Images).get((image, account, lattice), lambda: _opened(image, lattice))
        for rows, cols in parts(window):
            # xee's pixels are float32, NaN where masked, and of a strided slice they would be the wrong ones.
            pixels = np.asarray(variable[0, rows, cols].values)
            if pixels.shape != window_shape((rows, cols)):
                raise ReadFailed(f"Earth Engine sent {pixels.shape} pixels, not {window_shape((rows, cols))}")
            target = out[within(rows, window[0]), within(cols, window[1])]
            target[...] = np.where(np.isnan(pixels), np.float32(MASKED), pixels)
    out.flags.writeable = False
    return out


def _opened(image: LabelImage, lattice: Lattice) -> xr.Variable:
    """The image on its whole lattice, (1, rows, columns): xee's store, without the coordinates it would make of that."""
    import ee
    from xee import EarthEngineStore

    store: Any = EarthEngineStore.open(
        ee.ImageCollection([image.expression()]),
        crs=lattice.crs,
        crs_transform=lattice.transform,
        shape_2d=(2 * _REACH, 2 * _REACH),  # columns and rows
        chunk_store=-1,  # what is asked for is one request
        mask_value=MASKED,
        getitem_kwargs={"max_retries": 0},  # all attempts are the transport's
    )
    variable: xr.Variable = store.open_store_variable("label")
    return variable
