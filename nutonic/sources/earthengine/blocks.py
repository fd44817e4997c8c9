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
from nutonic.sources.backend import Window, Windowed, gathered, nearest_pixels
from nutonic.sources.earthengine.account import Account, signed_in
from nutonic.sources.earthengine.items import image_and_band
from nutonic.sources.earthengine.windows import KEPT_BYTES, parts, window_shape, within

#: Height and width of the tiles that Earth Engine stores images in.
TILE = (256, 256)

#: Bytes of a pixel and band as they count towards what a request may come to: two, and one of the mask.
BAND_BYTES = 3


@dataclass(frozen=True, slots=True)
class BandGroup:
    """Bands of one image that have the same pixels, and are asked for in one request."""

    assets: tuple[Asset, ...]
    band: Band
    """What each of them becomes: its kind, dtype and nodata value."""
    zero_where_blank: tuple[str, ...]
    """Bands of the image that are all 0 where it shows nothing, masked or not, as beside a strip that was flown."""
    account: Account


def band_groups(
    pairs: Sequence[tuple[Band, Asset]], pictures: Sequence[Asset], account: Account
) -> dict[Band, tuple[BandGroup, int]]:
    """Bands that can be asked for in one request, and where in it each band is.

    `pictures` are all the scene's assets of reflectance, which tell where it shows anything.
    """

    def alike(pair: tuple[Band, Asset]) -> tuple[Any, ...]:
        band, asset = pair
        image, _ = image_and_band(asset.href)
        return image, asset.crs, asset.transform, asset.shape, band.kind, band.dtype, band.nodata

    groups: dict[Band, tuple[BandGroup, int]] = {}
    for _, alike_pairs in groupby(sorted(pairs, key=alike), alike):
        members = list(alike_pairs)
        (band, first), *_ = members
        place = (first.crs, first.transform, first.shape)
        siblings = [asset for asset in pictures if (asset.crs, asset.transform, asset.shape) == place]
        zero = tuple(image_and_band(asset.href)[1] for asset in siblings) if band.kind == "reflectance" else ()
        whole = BandGroup(tuple(asset for _, asset in members), band, zero, account)
        groups.update((band, (whole, k)) for k, (band, _) in enumerate(members))
    return groups


def read(group: BandGroup, window: Window) -> np.ndarray:
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
    shape = group.assets[0].shape
    rows, cols = (slice(max(part.start, 0), min(part.stop, n)) for part, n in zip(window, shape, strict=True))
    out = np.full((len(group.assets), *window_shape(window)), group.band.nodata, group.band.dtype)
    if rows.start < rows.stop and cols.start < cols.stop:
        key = (group, rows.start, rows.stop, cols.start, cols.stop)
        pixels = current().resource(_Blocks).get(key, lambda: _read_parts(group, (rows, cols)))
        out[:, within(rows, window[0]), within(cols, window[1])] = pixels
    return out


class _Blocks(SingleFlightCache[tuple[BandGroup, int, int, int, int], np.ndarray]):
    """The pixels that a session keeps."""

    def __init__(self) -> None:
        super().__init__(KEPT_BYTES, lambda pixels: int(pixels.nbytes))


def _read_parts(group: BandGroup, window: Window) -> np.ndarray:
    out = np.empty((len(group.assets), *window_shape(window)), group.band.dtype)
    for rows, cols in parts(window, BAND_BYTES * len(group.assets)):
        out[:, within(rows, window[0]), within(cols, window[1])] = _requested(group, (rows, cols))
    out.flags.writeable = False
    return out


def _requested(group: BandGroup, window: Window) -> np.ndarray:
    """One request."""
    names = [image_and_band(asset.href)[1] for asset in group.assets]
    try:
        with signed_in(group.account):
            import ee

            request = {
                "expression": _expression(group, names),
                "fileFormat": "NUMPY_NDARRAY",
                "grid": _grid(group, window),
            }
            answer = ee.data.computePixels(request)
    except ReadFailed as error:
        if error.reason == "no such asset":
            raise Gone(str(error), reason=error.reason) from None
        raise
    pixels = np.stack([answer[name] for name in names])
    if pixels.shape[1:] != window_shape(window):
        raise ReadFailed(f"Earth Engine sent {pixels.shape[1:]} pixels, not {window_shape(window)}")
    limits = np.iinfo(group.band.dtype)
    if pixels.dtype.kind not in "ui" or (pixels.size and (pixels.min() < limits.min or pixels.max() > limits.max)):
        wrong = GridError if group.band.kind == "reflectance" else BadPixels
        first = group.assets[0]
        raise wrong(f"{first.written} holds {pixels.dtype} numbers that are no {group.band.dtype}", band=first.name)
    return pixels.astype(group.band.dtype)


def _expression(group: BandGroup, names: list[str]) -> Any:
    import ee

    whole = ee.Image(image_and_band(group.assets[0].href)[0])
    image = whole.select(names)
    if group.zero_where_blank:
        valid = reduce(lambda one, two: one.max(two), (whole.select([name]).neq(0) for name in group.zero_where_blank))
        image = image.max(1).updateMask(valid)  # what is valid and 0 in one band stays valid
    return image.unmask(group.band.nodata, False)


def _grid(group: BandGroup, window: Window) -> dict[str, Any]:
    a, b, c, d, e, f = group.assets[0].transform
    (top, left), (height, width) = (part.start for part in window), window_shape(window)
    return {
        "crsCode": group.assets[0].crs,
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

    group: BandGroup
    index: int
    """Of the band, among those that are asked for together."""
    offset: tuple[int, int]
    """Row and column of the grid's first pixel in the image."""

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""
        rows, cols = (slice(p.start + by, p.stop + by) for p, by in zip(window, self.offset, strict=True))
        return np.asarray(read(self.group, (rows, cols))[self.index])


@dataclass(frozen=True, kw_only=True)
class NearestBlock(Windowed):
    """A band seen through any grid: of each pixel the image's that holds its centre, whatever window asks."""

    group: BandGroup
    index: int

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""

        def pick(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
            return gathered(rows, cols, TILE, lambda part: np.asarray(read(self.group, part)[self.index]))

        return nearest_pixels(self.geobox[window], self.group.assets[self.index], self.band, pick)
