"""From native pixels to chips: percentiles, stretch, downsampling and mask.

All of it is done in integers, so that no platform rounds differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image

from nutonic.chips.quality import quality_of, too_poor
from nutonic.chips.regions import turned
from nutonic.core.classes import ClassTable
from nutonic.core.model import Chip, TileQuality
from nutonic.errors import BadPixels
from nutonic.recipe.outputs import Quality, Stretch, Tiles

Limits = tuple[tuple[int, int], ...]

#: Three bands, (height, width) each: an array of them, or one by one, as they are read.
Bands = Sequence[np.ndarray] | np.ndarray

#: The limits of a stretch that changes nothing, for pictures that are stretched already.
IDENTITY_LIMITS: Limits = ((0, 255),) * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipRules:
    """How chips are made of native pixels."""

    table: ClassTable
    """What the labels' values mean."""
    tiles: Tiles
    stretch: Stretch
    quality: Quality
    """What of a tile may be hidden, where it has a classification."""

    def quality_of(self, tile: TilePixels) -> TileQuality | None:
        """The quality of a tile; None if it has no classification, or tiles are not judged."""
        meaning = self.quality.classification
        return None if meaning is None or tile.classes is None else quality_of(tile.classes, meaning)


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePixels:
    """The native pixels of a tile."""

    rgb: Bands
    """Three (n, n) uint16, 0 for nodata."""
    label: np.ndarray
    """(n, n) uint8 class ids."""
    classes: np.ndarray | None = None
    """(n, n) uint8 of the scene's own classification; None where it has none."""


@dataclass(frozen=True, slots=True)
class TileReject:
    """Why a tile is not a chip."""

    reason: str
    """A phrase to count rejects by, such as ``"too little imagery"``."""
    detail: str
    """What was measured."""
    about: Literal["imagery", "labels"]
    """Whose pixels it is about: of imagery the next scene may have better ones."""


def valid_pixels(rgb: Bands) -> np.ndarray:
    """Where every band has a value: (height, width) bool, of three (height, width) uint16 in which 0 is nodata."""
    if all(band.min(initial=1) for band in rgb):  # as nearly always
        return np.ones(rgb[0].shape, bool)
    return np.asarray(np.logical_and.reduce([band != 0 for band in rgb]))


def percentiles(counts: np.ndarray, *wanted: float) -> tuple[int, ...]:
    """For each p the max(1, ⌈p·n/100⌉)-th smallest of n values.

    `counts` says how often each value occurs, and n is above 0.
    """
    below = np.cumsum(counts)
    return tuple(np.searchsorted(below, _ranks(int(below[-1]), wanted)).tolist())


def _ranks(n: int, wanted: Sequence[float]) -> list[int]:
    """Which of n values in order each percentile is, from 1."""
    return [max(1, -(-part * n // whole)) for part, whole in map(_exact, wanted)]


#: So many values, or fewer, are put in order sooner than they are counted: of reflectance there are thousands to count.
_FEW = 2048


def _limits(values: np.ndarray, stretch: Stretch) -> tuple[int, int]:
    """The low and the high percentile of values, not negative, of which there is one at least."""
    wanted = (stretch.low, stretch.high)
    if values.size > _FEW:
        low, high = percentiles(np.bincount(values.ravel()), *wanted)
    else:
        ordered = np.sort(values, axis=None)
        low, high = (int(ordered[rank - 1]) for rank in _ranks(values.size, wanted))
    return low, high


@lru_cache(maxsize=16)
def _exact(p: float) -> tuple[int, int]:
    """A percentile, as a recipe writes it, as a part of a whole."""
    return (Fraction(str(p)) / 100).as_integer_ratio()


def limits_from_counts(counts: Iterable[np.ndarray], stretch: Stretch) -> Limits:
    """The low and the high percentile of each band, given how often each value occurs in it."""
    return tuple((low, high) for low, high in (percentiles(count, stretch.low, stretch.high) for count in counts))


def apply_stretch(rgb: Bands, valid: np.ndarray, limits: Limits) -> np.ndarray:
    """The stretched picture, (height, width, 3) uint8.

    The low limit becomes 0 and the high limit 255, and values between them are rounded half up. Pixels that are not valid
    become 0.
    """
    planes = (_stretched(band.astype(np.intp), *pair) for band, pair in zip(rgb, limits, strict=True))
    return _picture(planes, valid)


def stretch_tile(rgb: Bands, valid: np.ndarray, stretch: Stretch, given: Limits | None) -> tuple[np.ndarray, Limits]:
    """The stretched picture, as of :func:`apply_stretch`, and the percentiles of each band's valid pixels.

    It is stretched by these, unless limits are given. Those that are not `IDENTITY_LIMITS` are told in place of percentiles.
    """
    known = None if given == IDENTITY_LIMITS else given
    whole, measured = bool(valid.all()), list(known or ())

    def plane(k: int, band: np.ndarray) -> np.ndarray:
        numbers = band.astype(np.intp)  # what counts and looks up takes nothing else: converted once for both
        if known is None:
            # 0 is nodata, so where no pixel is invalid none need be left out, nor copied.
            measured.append(_limits(numbers if whole else numbers[valid], stretch))
        return _stretched(numbers, *(given or measured)[k])

    return _picture((plane(k, band) for k, band in enumerate(rgb)), valid), tuple(measured)


def _picture(planes: Iterable[np.ndarray], valid: np.ndarray) -> np.ndarray:
    """Three stretched bands as a picture, 0 where no pixel is valid."""
    picture = np.empty((*valid.shape, 3), np.uint8)
    for k, plane in enumerate(planes):
        picture[..., k] = plane
    if not valid.all():
        picture[~valid] = 0
    return picture


def _stretched(numbers: np.ndarray, low: int, high: int) -> np.ndarray:
    """A band as it is stretched, looked up where it has more pixels than a table has entries."""
    end = max(low, high) + 1  # what is above is stretched as the last entry
    if end > numbers.size:
        return _ramp(numbers, low, high)
    return _ramp(np.arange(end), low, high).take(numbers, mode="clip")


def _ramp(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """Values as they are stretched, 0 to 255."""
    if low >= high:
        return np.where(values < low, np.uint8(0), np.uint8(255))
    return np.asarray(((np.clip(values, low, high) - low) * 255 + (high - low) // 2) // (high - low), np.uint8)


def downsample(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture (n, n, 3) uint8 as one of (size, size, 3), averaged by area (Pillow's BOX).

    Of a picture less than twice as large BOX takes most pixels as they are, and the mean of two for the others: rows and
    columns are then picked here, in a third of Pillow's time.
    """
    n = len(picture)
    if n == size:
        return picture
    if not size < n < 2 * size:
        return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))
    first, double, columns, doubled = _picked(n, size)
    rows = picture.reshape(n, 3 * n)
    means = _mean(rows.take(doubled, axis=1), rows.take(doubled + 3, axis=1))
    across = np.concatenate([rows, means], axis=1).take(columns, axis=1)
    found = across.take(first, axis=0)
    found[double] = _mean(found[double], across.take(first[double] + 1, axis=0))
    return found.reshape(size, size, 3)


def _mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of two uint8 each, halves rounded up."""
    return np.asarray((one | other) - ((one ^ other) >> 1))


@lru_cache(maxsize=8)
def _picked(n: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Which of n pixels in a row BOX makes each of `size` of, one or two: those whose centres a wide pixel holds.

    The first of each; which of them are of two; where each channel lies in a row of three channels a pixel, followed by
    the means of those that are of two; and where the first of each of these lies.
    """
    scale = n / size
    centres = (np.arange(size) + 0.5) * scale
    first, last = ((centres + half + 0.5).astype(np.intp) for half in (-0.5 * scale, 0.5 * scale))
    last -= 1
    # Pillow asks twice: which pixels are near enough, and then of each, rounded otherwise, whether it lies inside.
    first += (first - centres + 0.5) * (1 / scale) <= -0.5
    last -= (last - centres + 0.5) * (1 / scale) > 0.5
    double = np.flatnonzero(last > first)
    columns = 3 * first
    columns[double] = 3 * (n + np.arange(len(double)))
    channels = np.arange(3)
    return first, double, (columns[:, None] + channels).ravel(), (3 * first[double][:, None] + channels).ravel()


def sample_mask(label: np.ndarray, size: int) -> np.ndarray:
    """The mask (size, size) uint8 of a native label tile (n, n): its rows and columns floor((i + ½) · n / size)."""
    at = (2 * np.arange(size) + 1) * label.shape[0] // (2 * size)
    return np.ascontiguousarray(label[at].take(at, axis=1))


def cut_chip(tile: TilePixels, rules: ChipRules, place_limits: Limits | None = None) -> Chip | TileReject:
    """Make a chip of one native tile, or say why it cannot be one.

    Parameters
    ----------
    tile
        Its pixels.
    rules
        How chips are made.
    place_limits
        Stretch limits of the whole place, if the recipe's scope is ``poi``, or `IDENTITY_LIMITS`. By default the tile's
        own limits are used.
    """
    rgb, tiles, stretch, unknown = tile.rgb, rules.tiles, rules.stretch, rules.table.unknown
    valid, quality = valid_pixels(rgb), rules.quality_of(tile)
    problem = (
        _coverage_reject(valid, "imagery", tiles.min_valid_fraction)
        or _quality_reject(quality, rules)
        or _coverage_reject(tile.label != unknown, "labels", tiles.min_label_fraction)
    )
    if problem:
        return problem
    picture, measured = stretch_tile(rgb, valid, stretch, place_limits)
    flat_band = next((k for k, (low, high) in enumerate(measured) if low == high), None)
    if flat_band is not None:
        value = measured[flat_band][0]
        detail = f"band {flat_band + 1} is {value} from the low to the high percentile"
        return TileReject("flat imagery", detail, "imagery")
    mask = sample_mask(tile.label, tiles.output_size)
    if (mask == unknown).all():
        return TileReject("too few labels", "no pixel of the mask has a class", "labels")
    return Chip(
        rgb=downsample(picture, tiles.output_size),
        mask=mask,
        limits=place_limits or measured,
        valid_fraction=int(np.count_nonzero(valid)) / valid.size,
        quality=quality,
    )


def refuse_unlisted_classes(label: np.ndarray, table: ClassTable) -> None:
    """Raise :class:`BadPixels` if labels hold a value that their class table does not list."""
    listed = bytes(value for value in {*table.labels, table.unknown} if 0 <= value < 256)
    unlisted = set(label.tobytes().translate(None, listed))  # at once, however many classes there are
    if unlisted:
        raise BadPixels(
            f"the labels hold {sorted(unlisted)[:5]}, which {table.name} does not list: use a class table that does, or "
            "say by labels.remap which class each is"
        )


def _coverage_reject(valid: np.ndarray, layer: Literal["imagery", "labels"], least: float) -> TileReject | None:
    share = int(np.count_nonzero(valid)) / valid.size
    if share >= least and share > 0:
        return None
    reason, told = ("too little imagery", "were observed") if layer == "imagery" else ("too few labels", "have a class")
    return TileReject(reason, f"{share:.1%} of its pixels {told}, {least:.1%} needed", layer)


def _quality_reject(quality: TileQuality | None, rules: ChipRules) -> TileReject | None:
    poor = None if quality is None else too_poor(quality, rules.quality, rules.tiles)
    return None if poor is None else TileReject(*poor, "imagery")


def view(chip: Chip, name: str) -> Chip:
    """A chip flipped left to right (``flip``) or turned counter-clockwise (``r90``, ``r180``, ``r270``)."""
    return replace(chip, rgb=turned(chip.rgb, name), mask=turned(chip.mask, name), augmentation=name)
