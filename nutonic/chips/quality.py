"""How well a square was seen, by its scene's own classification: shares of cloud, shadow, snow and nodata."""

from __future__ import annotations

from dataclasses import astuple
from fractions import Fraction

import numpy as np

from nutonic.core.catalogs import Classification
from nutonic.core.model import TileQuality
from nutonic.recipe.outputs import Quality, Tiles

#: Of each share, in the order in which they are looked at: what a tile with too much of it is, and how that is told.
_POOR = {
    "cloud": ("too cloudy", "is cloud"),
    "shadow": ("in shadow", "is shadow of clouds"),
    "snow": ("under snow", "is snow or ice"),
    "nodata": ("too much nodata", "was not seen"),
}


def quality_of(classes: np.ndarray, meaning: Classification) -> TileQuality:
    """The quality of a square, from the classes of its pixels: (height, width) uint8."""
    counts = np.bincount(classes.ravel(), minlength=256)
    kinds = (meaning.cloud, meaning.shadow, meaning.snow, meaning.nodata)
    cloud, shadow, snow, nodata = (int(counts[list(values)].sum()) / classes.size for values in kinds)
    return TileQuality(cloud=cloud, shadow=shadow, snow=snow, nodata=nodata)


def limits_of(limits: Quality, tiles: Tiles) -> tuple[Fraction, ...]:
    """The most that a tile may have of cloud, shadow, snow and nodata; a number means what is written: 0.1 is a tenth."""
    given = [Fraction(str(share)) for share in (limits.max_cloud, limits.max_shadow, limits.max_snow)]
    seen = Fraction(str(tiles.min_valid_fraction))
    return (*given, 1 - seen if limits.max_nodata is None else Fraction(str(limits.max_nodata)))


def too_poor(quality: TileQuality, limits: Quality, tiles: Tiles) -> tuple[str, str] | None:
    """Why a tile of this quality cannot be a chip: a phrase to count by, and what was found; None if it can."""
    pixels = tiles.size**2
    for (reason, told), share, most in zip(_POOR.values(), astuple(quality), limits_of(limits, tiles), strict=True):
        if round(share * pixels) > most * pixels:
            return reason, f"{share:.1%} of the tile {told}, {float(most):.1%} allowed"
    return None
