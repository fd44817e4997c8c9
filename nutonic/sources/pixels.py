"""What the numbers in a file mean: observed or not, and as which value of a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.core.grid import crs_name, is_metric, offset_in, repeated, same_crs
from nutonic.core.model import Asset, Band
from nutonic.errors import BadPixels, OffLattice
from nutonic.io import raster as rasters
from nutonic.io.access import LOCAL, Access

#: By how much of a pixel a file may lie elsewhere than its catalogue says, anywhere in it: what rounded numbers come to.
_NEAR_ENOUGH = 0.01


def checked_header(asset: Asset, access: Access) -> rasters.Header:
    """The header of an asset's file.

    Raises
    ------
    OffLattice
        If it is not what the asset's catalogue says: another CRS, another size, or pixels that lie elsewhere.
    """
    header = rasters.header_of(asset, access)
    wrong = _difference(asset, header)
    if wrong:
        raise OffLattice(f"{asset.written} is not what its item says: {wrong}")
    return header


def as_in_file(asset: Asset, header: rasters.Header) -> Asset:
    """An asset whose pixels lie where its file has them, to the last digit; of a header that was checked."""
    if asset.crs == header.crs and asset.transform == header.transform[:6]:
        return asset
    return replace(asset, crs=header.crs, transform=header.transform[:6])


def _difference(asset: Asset, header: rasters.Header) -> str | None:
    """The first difference between a file's header and its catalogue, in words; None if they agree."""
    said = Affine(*asset.transform)
    if header.count < asset.band:
        return f"it has {header.count} bands, the catalogue means band {asset.band}"
    if not same_crs(header.crs, asset.crs):
        return f"its CRS is {_crs_in_words(header.crs)}, the catalogue says {_crs_in_words(asset.crs)}"
    apart = _pixels_apart(header.transform, said, header.shape)
    if header.shape == asset.shape and apart <= _NEAR_ENOUGH:
        return None
    unit = "m" if is_metric(header.crs) else "units"
    file, item = (
        _grid_in_words(transform, shape, unit)
        for transform, shape in ((header.transform, header.shape), (said, asset.shape))
    )
    return f"it has {file}, the catalogue says {item}" + (f": {apart:.4g} pixels apart" if apart else "")


def _pixels_apart(one: Affine, other: Affine, shape: tuple[int, int]) -> float:
    """The most that a pixel of a raster lies elsewhere by another transform, in pixels: at one of its corners."""
    if one == other:
        return 0.0
    a, b, c, d, e, f = (there - here for there, here in zip(other[:6], one[:6], strict=True))
    corners = product((0, shape[1]), (0, shape[0]))
    return max(math.hypot((a * x + b * y + c) / one.a, (d * x + e * y + f) / one.e) for x, y in corners)


def _crs_in_words(crs: str) -> str:
    """A CRS by its code, else by the start of its WKT, where its name is."""
    return " ".join(crs.split())[:60]


def _grid_in_words(transform: Affine, shape: tuple[int, int], unit: str) -> str:
    """A grid with all its digits: two may differ in the last."""
    side = f"{transform.a:.15g}" if transform.a == -transform.e else f"{transform.a:.15g} × {-transform.e:.15g}"
    return f"{shape[0]} × {shape[1]} pixels of {side} {unit} from ({transform.c:.15g}, {transform.f:.15g})"


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


def read_window(
    asset: Asset, offset: tuple[int, int] | Offset, rows: slice, cols: slice, access: Access = LOCAL
) -> np.ndarray:
    """Pixels of a window of a grid, (rows, columns) uint16, harmonised; nodata beyond the file's edge.

    What every engine reads with: the file's own pixels, once its header is found to be what the catalogue says.

    Parameters
    ----------
    asset
        The file.
    offset
        Where the grid's first pixel lies in the file, of :func:`offset_of` or :func:`placed`.
    rows, cols
        The window, in pixels of the grid.
    access
        What may be read.

    Raises
    ------
    OffLattice
        If the file's header is not what the catalogue says.
    ReadFailed, Gone
        If it cannot be read.
    """
    header = checked_header(asset, access)
    offset = Offset(*offset)
    height, width = (side * offset.times for side in asset.shape)
    down, across = _inside(rows, offset.row, height), _inside(cols, offset.col, width)
    out = np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.uint16)
    if down.stop > down.start and across.stop > across.start:
        at = (_shifted(down, -offset.row - rows.start), _shifted(across, -offset.col - cols.start))
        pixels = rasters.read_of(asset, (_coarse(down, offset.times), _coarse(across, offset.times)), access)
        pixels = harmonised(pixels, asset.offset, (asset.nodata, header.nodata))
        out[at] = pixels if offset.times == 1 else _repeated(pixels, down, across, offset.times)
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
