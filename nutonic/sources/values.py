"""What the numbers in a file mean: observed or not, and as which value of a band."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nutonic.errors import BadPixels
from nutonic.model import Asset, Band


def imagery_bands(assets: Sequence[str], masks: Sequence[str]) -> tuple[Band, ...]:
    """What imagery becomes: digital numbers of reflectance as uint16, classes as uint8, 0 where there is none."""
    pixels = [Band(name=name, kind="reflectance", dtype="uint16", nodata=0) for name in assets]
    return (*pixels, *(Band(name=name, kind="class", dtype="uint8", nodata=0) for name in masks))


def decoded(pixels: np.ndarray, asset: Asset, band: Band, nodata: float | None) -> np.ndarray:
    """Pixels of an asset's file in a band's dtype; `nodata` is the file's own, besides what its catalogue says.

    Raises
    ------
    BadPixels
        If a pixel of a class band is no value of its dtype.
    """
    if band.kind == "reflectance":
        return harmonised(pixels, asset.offset, (asset.nodata, nodata))
    return _classes(pixels, asset, (asset.nodata, nodata), band)


def harmonised(pixels: np.ndarray, offset: int = 0, nodata: tuple[float | None, ...] = ()) -> np.ndarray:
    """Digital numbers as uint16: 0 for nodata, otherwise pixel plus offset within 1 to 65535.

    0 and the given nodata values mean nodata. Negative reflectance, which the offset and some processors give, becomes
    the darkest valid value, so that water and shadow stay valid.
    """
    observed = (pixels != 0) & ~np.isnan(pixels)
    for value in nodata:
        if value is not None and not math.isnan(value):
            observed &= pixels != value
    if pixels.dtype == np.uint16 and not offset:
        return np.where(observed, pixels, np.uint16(0))
    values = np.clip(np.rint(np.where(observed, pixels, 0)).astype(np.int64) + offset, 1, 65535)
    return np.where(observed, values, 0).astype(np.uint16)


def _classes(pixels: np.ndarray, asset: Asset, nodata: tuple[float | None, ...], band: Band) -> np.ndarray:
    """Pixels in the band's dtype; what means nodata, in the catalogue or the file, has the band's value for it."""
    limits = np.iinfo(band.dtype)
    observed = ~np.isin(pixels, [value for value in (*nodata, *band.masked) if value is not None])
    unfit = observed & ((pixels < limits.min) | (pixels > limits.max) | (pixels != np.floor(pixels)))
    if unfit.any():
        raise BadPixels(f"{asset.written} holds {pixels[unfit].flat[0]!r}, which is no {band.dtype} value")
    return np.where(observed, pixels, band.nodata).astype(band.dtype)
