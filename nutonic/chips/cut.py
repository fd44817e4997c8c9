"""The one cutter of chips, for the places of a build and for cubes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nutonic.chips.chip import (
    IDENTITY_LIMITS,
    Bands,
    ChipRules,
    Limits,
    TilePixels,
    TileReject,
    cut_chip,
    limits_from_counts,
    refuse_unlisted_classes,
    valid_pixels,
)
from nutonic.core.model import Chip, Tile
from nutonic.recipe.outputs import Stretch

#: A tile with its chip, or with the reason why there is none.
CutTile = tuple[Tile, Chip | TileReject]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Whole rows of a picture with its labels, and the tiles that lie in them."""

    rgb: Bands
    """Three (height, width) uint16, 0 for nodata."""
    label: np.ndarray
    """(height, width) uint8 class ids."""
    tiles: Sequence[Tile]
    """Their rows and columns are those of the whole picture."""
    classes: np.ndarray | None = None
    """(height, width) uint8 of the scene's own classification; None where it has none."""
    row: int = 0
    """The row of the whole picture that is the strip's first."""

    def window(self, tile: Tile) -> TilePixels:
        """The pixels of a tile."""
        first = tile.row - self.row
        rows, cols = slice(first, first + tile.size), slice(tile.col, tile.col + tile.size)
        classes = None if self.classes is None else self.classes[rows, cols]
        return TilePixels(rgb=[band[rows, cols] for band in self.rgb], label=self.label[rows, cols], classes=classes)


def cut(strips: Iterable[Strip], rules: ChipRules, limits: Limits | None) -> Iterator[CutTile]:
    """Cut a picture into chips, a strip at a time: each tile as a chip, or why it cannot be one.

    Parameters
    ----------
    strips
        The picture, from top to bottom.
    rules
        How chips are made.
    limits
        Stretch limits of the whole picture; see :func:`picture_limits`. With None each tile has its own.

    Raises
    ------
    BadPixels
        If the labels of a strip hold a value that the class table does not list, in a tile or outside of all tiles.
    """
    for strip in strips:
        refuse_unlisted_classes(strip.label, rules.table)
        for tile in strip.tiles:
            yield tile, cut_chip(strip.window(tile), rules, limits)


def picture_limits(strips: Iterable[Bands], stretch: Stretch, *, rendered: bool) -> Limits | None:
    """The stretch limits of a whole picture, from counts of the values in its strips.

    Parameters
    ----------
    strips
        The picture's rows from top to bottom, each three (rows, width) uint16 with 0 for nodata. They are read only if
        the limits depend on them.
    stretch
        Percentiles and scope.
    rendered
        Whether the picture is stretched already.

    Returns
    -------
    Limits or None
        `IDENTITY_LIMITS` of a rendered picture; None if each tile has its own limits, or if no pixel is valid.
    """
    if rendered:
        return IDENTITY_LIMITS
    if stretch.scope == "tile":
        return None
    counts = np.zeros((3, 65536), np.int64)
    for rgb in strips:
        valid = valid_pixels(rgb)
        counts += [np.bincount(band[valid], minlength=65536) for band in rgb]
    return limits_from_counts(counts, stretch) if counts.any() else None
