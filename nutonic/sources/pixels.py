"""What the numbers in a file mean: observed or not, and as which value of a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine

from nutonic.core.grid import is_metric, same_crs
from nutonic.core.model import Asset, Band
from nutonic.core.units import counted_of
from nutonic.errors import BadPixels, InputError, OffLattice
from nutonic.io.access import LOCAL, Access
from nutonic.sources.placing import Offset, Part

if TYPE_CHECKING:
    from nutonic.io import raster as rasters

#: By how much of a pixel a file may lie elsewhere than its catalogue says, anywhere in it: what rounded numbers come to.
_NEAR_ENOUGH = 0.01
#: What reflectance is read as, under any name.
_REFLECTANCE = Band(name="reflectance", kind="reflectance", dtype="uint16", nodata=0)


def checked_header(asset: Asset, access: Access) -> rasters.Header:
    """The header of an asset's file.

    Raises
    ------
    OffLattice
        If it is not what the asset's catalogue says: another CRS, another size, or pixels that lie elsewhere.
    """
    from nutonic.io.raster import header_of

    header = header_of(asset, access)
    wrong = _difference(asset, header)
    if wrong:
        raise OffLattice(f"{asset.written} is not what its item says: {wrong}")
    return header


def refuse_several(asset: Asset, header: rasters.Header) -> None:
    """Raise :class:`BadPixels` if a file of classes has several bands."""
    if header.count - bool(header.alpha) != 1:
        raise BadPixels(f"{asset.written} has {header.count} bands; labels need one band of class ids")


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


def read_reflectance(
    asset: Asset, offset: tuple[int, int] | Offset, rows: slice, cols: slice, access: Access = LOCAL
) -> np.ndarray:
    """A window of a grid as digital numbers of reflectance, (rows, columns) uint16; nodata beyond the file's edge.

    What every engine reads with: the file's own pixels, once its header is found to be what the catalogue says. Scale and
    offset that its item, the recipe or the file declares are applied: for other arithmetic see :func:`read_as_stored`.

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
    BadPixels
        If its numbers are no reflectance, or nobody says in which unit they are.
    ReadFailed, Gone
        If it cannot be read.
    """
    header = checked_header(asset, access)
    units_of(asset, header)  # refuses them, whichever window is read
    part = Part(asset, Offset(*offset), rows, cols)
    if part.is_beside:
        return np.zeros(part.shape, np.uint16)
    pixels, observed = _stored(asset, header, part, access)
    return part.placed(decoded(pixels, asset, _REFLECTANCE, header, observed))


def read_as_stored(
    asset: Asset, offset: tuple[int, int] | Offset, rows: slice, cols: slice, access: Access = LOCAL
) -> tuple[np.ndarray, np.ndarray]:
    """A window of a grid as the file has it, whatever scale and offset anybody declares; parameters as above.

    Returns
    -------
    numbers
        (rows, columns) in the file's dtype; 0 beyond its edge.
    observed
        Where they are data: by nodata values and masks, as for reflectance. (rows, columns) bool.

    Raises
    ------
    OffLattice
        If the file's header is not what the catalogue says.
    ReadFailed, Gone
        If it cannot be read.
    """
    header = checked_header(asset, access)
    part = Part(asset, Offset(*offset), rows, cols)
    if part.is_beside:
        return np.zeros(part.shape, header.dtype), np.zeros(part.shape, bool)
    numbers, observed = _stored(asset, header, part, access)
    return part.placed(numbers), part.placed(_observed(numbers, (asset.nodata, header.nodata), observed))


def _stored(asset: Asset, header: rasters.Header, part: Part, access: Access) -> tuple[np.ndarray, np.ndarray | None]:
    """What a file has of a window, and where it has data by its mask; None if it has no mask."""
    from nutonic.io.raster import observed_of, read_of

    observed = observed_of(asset, header, part.window, access)
    return read_of(asset, part.window, access), observed


def imagery_bands(assets: Sequence[str], masks: Sequence[str], nodata: Sequence[int] = ()) -> tuple[Band, ...]:
    """What imagery becomes: digital numbers of reflectance as uint16, classes as uint8.

    Where there is none it is 0, of classes what `nodata` has for each mask.
    """
    pixels = [Band(name=name, kind="reflectance", dtype="uint16", nodata=0) for name in assets]
    bytes_of = zip(masks, nodata or (0,) * len(masks), strict=True)
    return (*pixels, *(Band(name=name, kind="class", dtype="uint8", nodata=value) for name, value in bytes_of))


def refuse_masks_nodata(masks: Sequence[str], nodata: Sequence[int]) -> None:
    """Raise :class:`InputError` unless there is a byte for each mask, or none at all."""
    odd = next((value for value in nodata if value not in range(256)), None)
    if odd is not None or len(nodata) not in (0, len(masks)):
        what = f"has {odd!r:.40}" if odd is not None else f"has {len(nodata)} values for {len(masks)} masks"
        raise InputError(f"masks_nodata {what}: give a whole number from 0 to 255 for each of masks")


@dataclass(frozen=True, slots=True)
class Units:
    """What makes a file's numbers digital numbers of reflectance (1e-4): times `factor`, plus `offset`."""

    factor: float = 1.0
    offset: float = 0

    @property
    def are_ours(self) -> bool:
        """Whether the numbers stay as they are."""
        return self.factor == 1 and not self.offset


#: Digital numbers of ours for a reflectance of 1.
PER_REFLECTANCE = 10_000

#: No surface reflects less or more, in digital numbers, whatever corrections of atmosphere and terrain make of it.
_LEAST, _MOST = -5000, 1_000_000

#: The most that is told, and how many pixels of a window may be beyond: what glints, and one in this many.
_BRIGHTEST, _STRAY, _ONE_IN = 65535, 64, 100

#: What only means nodata, such as the least float32; and by how much its text may be rounded: to six digits.
_HUGE, _AS_TEXT = 1e30, 1e-5


def units_of(asset: Asset, header: rasters.Header) -> Units:
    """What an asset's numbers mean: as its item or the recipe declares, else as its file does.

    Whole numbers that nobody declares a scale of, or a scale of 1, are digital numbers already.

    Raises
    ------
    BadPixels
        If they cannot be reflectance, or nobody says in which unit.
    """
    kind = _kind(header)
    if kind == "c":
        raise _unusable(asset, f"holds complex numbers ({header.dtype}), which are no reflectance")
    if asset.rendered:
        return _picture_units(asset, header)
    scale, offset = _declared(asset, header, whole=kind != "f")
    if scale is None and kind == "f":
        raise _unusable(
            asset,
            f"is {header.dtype}, and neither its item nor its file says in which unit: set imagery.scale "
            "(StacSource(scale=…)), 1 if it holds reflectance from 0 to 1, 0.0001 if digital numbers",
        )
    factor = 1.0 if scale is None else float(scale) * PER_REFLECTANCE
    if header.dtype == "uint8" and factor == 1 and offset <= -255:
        offset = 0  # it is that of numbers of 16 bits: of these, such as classes, it would leave nothing
    return Units(1.0 if math.isclose(factor, 1, rel_tol=1e-6) else factor, offset)


def _declared(asset: Asset, header: rasters.Header, *, whole: bool) -> tuple[float | None, float]:
    """Scale and offset of an asset; None for a scale that nobody declares."""
    k = asset.band - 1
    in_file = (header.scales[k], header.offsets[k]) if k < len(header.scales) else (1.0, 0.0)
    scales = [asset.scale, in_file[0] if in_file != (1, 0) else None]
    scale = next((each for each in scales if each is not None and not (whole and each == 1)), None)
    if asset.offset is not None:
        return scale, asset.offset
    return scale, in_file[1] if scale is None else in_digital_numbers(in_file[1])


def in_digital_numbers(offset: float) -> float:
    """An offset of reflectance as one of digital numbers; whole where it is one."""
    number = round(offset * PER_REFLECTANCE, 6)
    return int(number) if number.is_integer() else number


def refuse_scale(scale: float | None) -> None:
    """Raise :class:`InputError` if a scale is one that makes no reflectance."""
    if scale is not None and not 0 < scale < math.inf:
        raise InputError(f"scale is {scale}: give the reflectance of a number 1 in the files, such as 0.0001")


def _picture_units(asset: Asset, header: rasters.Header) -> Units:
    if header.dtype != "uint8":
        raise _unusable(
            asset,
            f"is {header.dtype}, and a rendered picture has 8 bits a band: name assets with digital numbers in "
            "imagery.assets, or write it as uint8",
        )
    return Units()


def _kind(header: rasters.Header) -> str:
    """Of a dtype, as numpy has it; rasterio knows complex ones that numpy does not."""
    return "c" if header.dtype.startswith("complex") else np.dtype(header.dtype).kind


def _unusable(asset: Asset, why: str) -> BadPixels:
    return BadPixels(f"{asset.name}: {asset.written} {why}", band=asset.name)


def decoded(
    pixels: np.ndarray, asset: Asset, band: Band, header: rasters.Header, observed: np.ndarray | None = None
) -> np.ndarray:
    """Pixels of an asset's file in a band's dtype.

    Parameters
    ----------
    pixels
        As the file has them, of any shape.
    asset, band, header
        Where they come from, and what they are to be.
    observed
        Of the same shape, bool: where there is data by the file's mask, of :func:`nutonic.io.raster.observed_of`. None
        if there is no mask.

    Raises
    ------
    BadPixels
        If they are no reflectance, or, in a class band, no value of its dtype.
    """
    nodata = (asset.nodata, header.nodata)
    if band.kind != "reflectance":
        return _classes(pixels, asset, nodata, band, observed)
    units = units_of(asset, header)
    if pixels.dtype.kind != "u" or units.factor != 1 or units.offset > 0:
        _refuse_impossible(pixels, asset, units, _observed(pixels, nodata, observed))
    return harmonised(pixels, units.offset, nodata, factor=units.factor, observed=observed)


def _refuse_impossible(pixels: np.ndarray, asset: Asset, units: Units, observed: np.ndarray) -> None:
    """Raise :class:`BadPixels` for a value that no reflectance is: one that means nodata, or is of another unit."""
    extremes = float(pixels.min(initial=0, where=observed)), float(pixels.max(initial=0, where=observed))
    impossible = [value for value in extremes if not _LEAST < value * units.factor + units.offset < _MOST]
    if impossible:
        raise _unusable(
            asset,
            f"holds {impossible[0]:.10g}, which is no reflectance: if it means nodata, set imagery.nodata "
            "(StacSource(nodata=…)); if it is of another unit, imagery.scale and imagery.offset",
        )
    if extremes[1] * units.factor + units.offset <= _BRIGHTEST:
        return
    beyond = int(np.count_nonzero(observed & (pixels > (_BRIGHTEST - units.offset) / units.factor)))
    if beyond > max(_STRAY, (seen := int(np.count_nonzero(observed))) // _ONE_IN):
        raise _unusable(
            asset,
            f"holds {counted_of(beyond, seen, 'pixel')} with a reflectance above 6.5535 by the scale "
            f"{units.factor / PER_REFLECTANCE:g}, up to {extremes[1]:.10g}, which no ground has: set the scale that they "
            "have, imagery.scale (StacSource(scale=…)), and imagery.offset",
        )


def harmonised(
    pixels: np.ndarray,
    offset: float = 0,
    nodata: tuple[float | None, ...] = (),
    *,
    factor: float = 1.0,
    observed: np.ndarray | None = None,
) -> np.ndarray:
    """Digital numbers as uint16: 0 for nodata, otherwise pixel times factor plus offset, rounded, within 1 to 65535.

    What the mask leaves out, the given nodata values, NaN and infinity mean nodata. So does 0, unless what was observed
    is told otherwise: by a mask, or in signed and floating numbers by another nodata value. Negative reflectance, which
    the offset and some processors give, becomes the darkest valid value, so that water and shadow stay valid.
    """
    is_ours = pixels.dtype in (np.uint8, np.uint16) and Units(factor, offset).are_ours
    if is_ours and observed is None and not any(nodata):  # nodata is 0, and 0 it stays
        return pixels.astype(np.uint16, copy=False)
    seen = _observed(pixels, nodata, observed)
    if is_ours:
        numbers = pixels if observed is None else np.maximum(pixels, 1)
        return np.where(seen, numbers, 0).astype(np.uint16, copy=False)
    values = np.where(seen, pixels, 0).astype(np.float64)
    values *= factor
    values += offset
    np.clip(np.rint(values, out=values), 1, 65535, out=values)
    return np.where(seen, values, 0).astype(np.uint16)


def _observed(pixels: np.ndarray, nodata: tuple[float | None, ...], observed: np.ndarray | None) -> np.ndarray:
    """Where pixels are data, by a mask and by their values: bool, of their shape."""
    values = [value for value in nodata if value is not None and _can_hold(pixels.dtype, value)]
    told = observed is not None or (pixels.dtype.kind in "if" and any(value != 0 for value in values))
    seen = np.isfinite(pixels) if pixels.dtype.kind == "f" else np.ones(pixels.shape, bool)
    for value in values if told else [0, *values]:
        seen &= ~_are(pixels, value)
    return seen if observed is None else seen & observed


def _are(pixels: np.ndarray, value: float) -> np.ndarray:
    """Which pixels are a value that their dtype can hold, as it holds it; a huge one is rounded where it is a text."""
    if pixels.dtype.kind == "f" and _HUGE <= abs(value) < math.inf:
        low, high = sorted(np.float64(value) * (1 + _AS_TEXT * sign) for sign in (-1, 1))
        return np.asarray((pixels >= low) & (pixels <= high))
    return np.asarray(pixels == value)


def _can_hold(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a pixel of a dtype can be this value; one that it cannot be says nothing of any pixel."""
    if dtype.kind == "f":
        return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max) * (1 + _AS_TEXT)
    limits = np.iinfo(dtype)
    return math.isfinite(value) and value == int(value) and limits.min <= value <= limits.max


def _classes(
    pixels: np.ndarray, asset: Asset, nodata: tuple[float | None, ...], band: Band, observed: np.ndarray | None
) -> np.ndarray:
    """Pixels in the band's dtype; what means nodata, in the catalogue or the file, has the band's value for it."""
    if pixels.dtype.kind == "c":
        raise BadPixels(f"{asset.written} holds complex numbers, which are no classes")
    none = [value for value in nodata if value is not None and _can_hold(pixels.dtype, value)]
    masked = _masked(band)
    if pixels.dtype == np.dtype(band.dtype) and not (masked or band.remap or observed is not None):
        none = [value for value in none if value != band.nodata]  # which stays what it is
        if not none:
            return pixels
    seen = ~np.isin(pixels, masked) if masked else np.ones(pixels.shape, bool)
    for value in none:
        seen &= ~_are(pixels, value)
    if pixels.dtype.kind == "f":
        seen &= ~np.isnan(pixels)
    if observed is not None:
        seen &= observed
    values = _remapped(pixels, asset, band, seen) if band.remap else _fitting(pixels, asset, band, seen)
    return np.where(seen, values, band.nodata).astype(band.dtype, copy=False)


def _masked(band: Band) -> list[int]:
    """Values that tell why there is no class, unless they are remapped."""
    remapped = {value for value, _ in band.remap}
    return [value for value in band.masked if value not in remapped]


def _fitting(pixels: np.ndarray, asset: Asset, band: Band, seen: np.ndarray) -> np.ndarray:
    """The pixels, each of which is a value of the band's dtype where one was seen."""
    if pixels.dtype == np.dtype(band.dtype):
        return pixels
    limits = np.iinfo(band.dtype)
    unfit = seen & ((pixels < limits.min) | (pixels > limits.max) | (pixels != np.floor(pixels)))
    if unfit.any():
        value = pixels[unfit].flat[0].item()
        raise BadPixels(f"{asset.written} holds {value!r}, which is no {band.dtype} value{_hint(value, band)}")
    return pixels


def _hint(value: float, band: Band) -> str:
    """What to do about a pixel of land cover that is no class, after a colon: it is a code, or else it means nodata."""
    if band.name != "label" or not math.isfinite(value):
        return ""
    if abs(value) < 2**32 and value == int(value):
        return f": say by labels.remap which class it is, such as {{{int(value)}: 1}}"
    return ": if it means nodata, write it into the file as its nodata value, as gdal_edit.py -a_nodata does"


def _remapped(pixels: np.ndarray, asset: Asset, band: Band, seen: np.ndarray) -> np.ndarray:
    """What each pixel's code becomes."""
    codes, classes = np.array(band.remap, np.int64).T
    at = np.minimum(np.searchsorted(codes, pixels), len(codes) - 1)
    unlisted = seen & (codes[at] != pixels)
    if unlisted.any():
        raise BadPixels(
            f"{asset.written} holds {pixels[unlisted].flat[0].item()!r}, which neither the class table nor labels.remap "
            "lists"
        )
    return np.asarray(classes[at])
