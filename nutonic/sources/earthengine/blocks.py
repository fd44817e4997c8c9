"""Images of Earth Engine in their own pixels: windows of several bands, a request for each window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from typing import Any

import numpy as np

from nutonic.core.model import Asset, Band
from nutonic.errors import BadPixels, Gone, GridError, ReadFailed
from nutonic.io.cache import SingleFlightCache
from nutonic.io.session import current
from nutonic.sources.backend import Window, Windowed, nearest_pixels
from nutonic.sources.earthengine.items import image_and_band
from nutonic.sources.earthengine.session import Session, signed_in
from nutonic.sources.earthengine.windows import KEPT_BYTES, parts, window_shape, within

#: Bytes of a pixel and band as they count towards what a request may come to: two, and one of the mask.
BAND_BYTES = 3


@dataclass(frozen=True, slots=True)
class BandGroup:
    """Bands of one image that have the same pixels, and are asked for in one request."""

    assets: tuple[Asset, ...]
    band: Band
    """What each of them becomes: its kind, dtype and nodata value."""
    shown: tuple[str, ...]
    """Bands of the image that are all 0 where it shows nothing, masked or not, as beside a strip that was flown."""
    session: Session


def together(
    pairs: Sequence[tuple[Band, Asset]], pictures: Sequence[Asset], session: Session
) -> dict[Band, tuple[BandGroup, int]]:
    """Bands that can be asked for in one request, and where in it each band is.

    `pictures` are all the scene's assets of reflectance, which tell where it shows anything.
    """

    def alike(pair: tuple[Band, Asset]) -> tuple[Any, ...]:
        band, asset = pair
        return image_and_band(asset)[0], asset.crs, asset.transform, asset.shape, band.kind, band.dtype, band.nodata

    found: dict[Band, tuple[BandGroup, int]] = {}
    for _, group in groupby(sorted(pairs, key=alike), alike):
        some = list(group)
        (band, first), *_ = some
        place = (first.crs, first.transform, first.shape)
        beside = [asset for asset in pictures if (asset.crs, asset.transform, asset.shape) == place]
        shown = tuple(image_and_band(asset)[1] for asset in beside) if band.kind == "reflectance" else ()
        whole = BandGroup(tuple(asset for _, asset in some), band, shown, session)
        found.update((band, (whole, k)) for k, (band, _) in enumerate(some))
    return found


def read(what: BandGroup, window: Window) -> np.ndarray:
    """The pixels of a window of an image's own grid: (bands, rows, columns), nodata where masked and beyond its edge.

    One request, or as many as its size takes; none where the window lies beyond the image, or was just read. A pixel is
    valid unless it is masked or 0 in all bands, and a valid one of reflectance never below 1: 0 is nodata.

    Raises
    ------
    Gone
        If there is no such image any more.
    ReadFailed, Refused
        If Earth Engine does not give it.
    GridError, BadPixels
        If it gives reflectance, or classes, that are not in the dtype's range.
    """
    shape = what.assets[0].shape
    rows, cols = (slice(max(part.start, 0), min(part.stop, n)) for part, n in zip(window, shape, strict=True))
    out = np.full((len(what.assets), *window_shape(window)), what.band.nodata, what.band.dtype)
    if rows.start < rows.stop and cols.start < cols.stop:
        key = (what, rows.start, rows.stop, cols.start, cols.stop)
        found = current().resource(_Blocks).get(key, lambda: _fetched(what, (rows, cols)))
        out[:, within(rows, window[0]), within(cols, window[1])] = found
    return out


class _Blocks(SingleFlightCache[tuple[BandGroup, int, int, int, int], np.ndarray]):
    """The pixels that a session keeps."""

    def __init__(self) -> None:
        super().__init__(KEPT_BYTES, lambda pixels: int(pixels.nbytes))


def _fetched(what: BandGroup, window: Window) -> np.ndarray:
    out = np.empty((len(what.assets), *window_shape(window)), what.band.dtype)
    for rows, cols in parts(window, BAND_BYTES * len(what.assets)):
        out[:, within(rows, window[0]), within(cols, window[1])] = _asked(what, (rows, cols))
    out.flags.writeable = False
    return out


def _asked(what: BandGroup, window: Window) -> np.ndarray:
    """One request."""
    names = [image_and_band(asset)[1] for asset in what.assets]
    try:
        with signed_in(what.session):
            import ee

            asked = {"expression": _expression(what, names), "fileFormat": "NUMPY_NDARRAY", "grid": _grid(what, window)}
            sent = ee.data.computePixels(asked)
    except ReadFailed as error:
        if error.reason == "no such asset":
            raise Gone(str(error), reason=error.reason) from None
        raise
    pixels = np.stack([sent[name] for name in names])
    if pixels.shape[1:] != window_shape(window):
        raise ReadFailed(f"Earth Engine sent {pixels.shape[1:]} pixels, not {window_shape(window)}")
    limits = np.iinfo(what.band.dtype)
    if pixels.dtype.kind not in "ui" or (pixels.size and (pixels.min() < limits.min or pixels.max() > limits.max)):
        wrong = GridError if what.band.kind == "reflectance" else BadPixels
        raise wrong(f"{what.assets[0].written} holds {pixels.dtype} numbers that are no {what.band.dtype}")
    return pixels.astype(what.band.dtype)


def _expression(what: BandGroup, names: list[str]) -> Any:
    import ee

    whole = ee.Image(image_and_band(what.assets[0])[0])
    image = whole.select(names)
    if what.shown:
        seen = reduce(lambda one, two: one.max(two), (whole.select([name]).neq(0) for name in what.shown))
        image = image.max(1).updateMask(seen)  # what is valid and 0 in one band stays valid
    return image.unmask(what.band.nodata, False)


def _grid(what: BandGroup, window: Window) -> dict[str, Any]:
    a, b, c, d, e, f = what.assets[0].transform
    (top, left), (height, width) = (part.start for part in window), window_shape(window)
    return {
        "crsCode": what.assets[0].crs,
        "dimensions": {"width": width, "height": height},
        "affineTransform": {
            "scaleX": a,
            "shearX": b,
            "translateX": c + left * a + top * b,
            "shearY": d,
            "scaleY": e,
            "translateY": f + left * d + top * e,
        },
    }


@dataclass(frozen=True, kw_only=True)
class NativeBlock(Windowed):
    """A band on a grid whose pixels are the image's."""

    what: BandGroup
    index: int
    """Of the band, among those that are asked for together."""
    offset: tuple[int, int]
    """Row and column of the grid's first pixel in the image."""

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""
        rows, cols = (slice(p.start + by, p.stop + by) for p, by in zip(window, self.offset, strict=True))
        return np.asarray(read(self.what, (rows, cols))[self.index])


@dataclass(frozen=True, kw_only=True)
class NearestBlock(Windowed):
    """A band seen through any grid: of each pixel the image's that holds its centre, whatever window asks."""

    what: BandGroup
    index: int

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""

        def pick(where: Window, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
            return np.asarray(read(self.what, where)[self.index][rows, cols])

        return nearest_pixels(self.grid[window], self.what.assets[self.index], self.band, pick)
