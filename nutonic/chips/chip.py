"""Native pixels to chips: percentiles, stretch, downsampling, mask; in integers, so no platform rounds differently."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from PIL import Image

from nutonic.core.classes import ClassTable
from nutonic.core.model import Chip
from nutonic.errors import BadPixels
from nutonic.recipe.outputs import Stretch, Tiles

Limits = tuple[tuple[int, int], ...]

#: Limits that change nothing, for pictures that are stretched already.
AS_IT_IS: Limits = ((0, 255),) * 3


@dataclass(frozen=True, slots=True)
class TileReject:
    """Why a tile is not a chip: a phrase to count by, and what was measured."""

    reason: str
    detail: str


def valid_pixels(rgb: np.ndarray) -> np.ndarray:
    """Where every band was observed: (height, width) bool from (3, height, width) uint16 with 0 for nodata."""
    return np.asarray((rgb != 0).all(axis=0))


def percentile(counts: np.ndarray, p: float) -> int:
    """The max(1, ⌈p·n/100⌉)-th smallest of n values, given how often each value occurs; n must be above 0."""
    rank = max(1, -(-Fraction(str(p)) * int(counts.sum()) // 100))
    return int(np.searchsorted(np.cumsum(counts), int(rank)))


def stretch_limits(rgb: np.ndarray, valid: np.ndarray, stretch: Stretch) -> Limits:
    """Low and high of each band over the valid pixels; see :func:`percentile`."""
    return limits_of([np.bincount(band[valid], minlength=1) for band in rgb], stretch)


def limits_of(counts: Iterable[np.ndarray], stretch: Stretch) -> Limits:
    """Low and high of each band, given how often each value occurs in it."""
    return tuple((percentile(count, stretch.low), percentile(count, stretch.high)) for count in counts)


def stretched(rgb: np.ndarray, valid: np.ndarray, limits: Limits) -> np.ndarray:
    """(height, width, 3) uint8: ``low`` becomes 0 and ``high`` 255, rounded half up; pixels not observed become 0."""
    picture = np.empty((*valid.shape, len(limits)), np.uint8)
    for k, (low, high) in enumerate(limits):
        picture[..., k] = _ramp(low, high)[rgb[k]]
    picture[~valid] = 0
    return picture


def _ramp(low: int, high: int) -> np.ndarray:
    """Look-up table (65536,) uint8 of the stretch."""
    value = np.clip(np.arange(65536, dtype=np.int64), low, high) - low
    return ((value * 255 + (high - low) // 2) // (high - low)).astype(np.uint8)


def downsampled(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture (height, width, 3) uint8 as (size, size, 3), averaged by area (Pillow BOX)."""
    if picture.shape[:2] == (size, size):
        return picture
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))


def mask_of(label: np.ndarray, size: int) -> np.ndarray:
    """A native label tile (n, n) sampled at floor((i + ½) · n / size), rows and columns: (size, size) uint8."""
    at = (2 * np.arange(size) + 1) * label.shape[0] // (2 * size)
    return np.ascontiguousarray(label[np.ix_(at, at)])


def cut_chip(
    rgb: np.ndarray, label: np.ndarray, unknown: int, tiles: Tiles, stretch: Stretch, place_limits: Limits | None = None
) -> Chip | TileReject:
    """One native tile as a chip, or why it cannot be one.

    Parameters
    ----------
    rgb
        (3, n, n) uint16, 0 for nodata.
    label
        (n, n) uint8 class ids.
    unknown
        The label value that is no class.
    place_limits
        Stretch limits of the whole place, where the recipe's scope is ``poi``, or `AS_IT_IS`; else the tile's own are used.
    """
    valid = valid_pixels(rgb)
    problem = _too_little(valid, "imagery", tiles) or _too_little(label != unknown, "labels", tiles)
    if problem:
        return problem
    limits = place_limits or stretch_limits(rgb, valid, stretch)
    told = stretch_limits(rgb, valid, stretch) if limits == AS_IT_IS else limits
    flat = next((k for k, (low, high) in enumerate(told) if low == high), None)
    if flat is not None:
        return TileReject("flat imagery", f"band {flat + 1} is {told[flat][0]} from the low to the high percentile")
    mask = mask_of(label, tiles.output_size)
    if (mask == unknown).all():
        return TileReject("too little labels", "no pixel of the mask has a class")
    return Chip(
        rgb=downsampled(stretched(rgb, valid, limits), tiles.output_size),
        mask=mask,
        limits=limits,
        valid_fraction=float(valid.mean()),
    )


def refuse_strange(label: np.ndarray, table: ClassTable) -> None:
    """Raise :class:`BadPixels` where labels hold what their class table does not list."""
    strange = set(np.flatnonzero(np.bincount(label.ravel())).tolist()) - set(table.labels) - {table.unknown}
    if strange:
        raise BadPixels(f"the labels hold {sorted(strange)[:5]}, which {table.name} does not list")


def _too_little(valid: np.ndarray, what: str, tiles: Tiles) -> TileReject | None:
    share = float(valid.mean())
    if share >= tiles.min_valid_fraction and share > 0:
        return None
    return TileReject(
        f"too little {what}", f"{share:.1%} of the tile's {what} is valid, {tiles.min_valid_fraction:.1%} needed"
    )


def view(chip: Chip, name: str) -> Chip:
    """A chip flipped left to right (``flip``) or turned counter-clockwise (``r90``, ``r180``, ``r270``)."""
    return replace(chip, rgb=_turned(chip.rgb, name), mask=_turned(chip.mask, name), augmentation=name)


def _turned(array: np.ndarray, name: str) -> np.ndarray:
    return np.ascontiguousarray(np.fliplr(array) if name == "flip" else np.rot90(array, k=int(name[1:]) // 90))
