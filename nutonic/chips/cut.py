"""Pictures and their labels to chips: the one cutter, for places of a build and for cubes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nutonic.chips.chip import AS_IT_IS, Limits, TileReject, cut_chip, limits_of, refuse_strange, valid_pixels
from nutonic.core.classes import ClassTable
from nutonic.core.model import Chip, Tile
from nutonic.recipe.outputs import Stretch, Tiles

#: A tile with its chip, or with why there is none.
Cut = tuple[Tile, Chip | TileReject]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipRules:
    """How chips are made of native pixels."""

    table: ClassTable
    """What the labels' values mean."""
    tiles: Tiles
    stretch: Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Whole rows of a picture with its labels, and the tiles that lie in them."""

    rgb: np.ndarray
    """(3, height, width) uint16, 0 for nodata."""
    label: np.ndarray
    """(height, width) uint8 class ids."""
    tiles: Sequence[Tile]
    """By their rows and columns in the whole picture."""
    row: int = 0
    """The first row of the picture that is here."""

    def window(self, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of a tile, and their labels."""
        first = tile.row - self.row
        rows, cols = slice(first, first + tile.size), slice(tile.col, tile.col + tile.size)
        return self.rgb[:, rows, cols], self.label[rows, cols]


def cut(strips: Iterable[Strip], rules: ChipRules, limits: Limits | None) -> Iterator[Cut]:
    """Each tile as a chip, or why it cannot be one; a strip at a time.

    Parameters
    ----------
    limits
        Of the stretch, of the whole picture; see :func:`picture_limits`. None takes each tile's own.

    Raises
    ------
    BadPixels
        If the labels of a strip hold a value that the class table does not list, in a tile or not.
    """
    for strip in strips:
        refuse_strange(strip.label, rules.table)
        for tile in strip.tiles:
            yield tile, cut_chip(*strip.window(tile), rules.table.unknown, rules.tiles, rules.stretch, limits)


def picture_limits(strips: Iterable[np.ndarray], stretch: Stretch, *, rendered: bool) -> Limits | None:
    """The stretch of a whole picture, by counting the values of its strips (3, rows, width) uint16.

    `AS_IT_IS` of a rendered one. None where each tile has its own, and where nothing was observed; strips are looked at
    only if it takes that.
    """
    if rendered:
        return AS_IT_IS
    if stretch.scope == "tile":
        return None
    counts = np.zeros((3, 65536), np.int64)
    for rgb in strips:
        valid = valid_pixels(rgb)
        counts += [np.bincount(band[valid], minlength=65536) for band in rgb]
    return limits_of(counts, stretch) if counts.any() else None
