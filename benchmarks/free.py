"""Pixels that cost nothing: what workers read instead of files, so that everything but reading can be measured.

Imported by workers as a preload; see :mod:`benchmarks.scale`.
"""

from __future__ import annotations

import numpy as np

from nutonic.core.model import PlannedPlace
from nutonic.recipe.recipe import Recipe
from nutonic.run import batch
from nutonic.sources.grids import place_grid


def read_together(places: list[PlannedPlace], recipe: Recipe) -> dict[str, batch.Pixels]:
    """Noise for each place, its own and always the same."""
    return {place.poi.id: _pixels(place, recipe) for place in places}


def _pixels(place: PlannedPlace, recipe: Recipe) -> batch.Pixels:
    noise = np.random.default_rng(place.poi.ordinal).integers(1, 4000, (4, recipe.side, recipe.side), dtype=np.uint16)
    grid = place_grid(place.poi.lon, place.poi.lat, place.imagery[0], recipe.grid)
    return batch.Pixels(grid=grid, rgb=noise[:3], label=(1 + noise[3] % 6).astype(np.uint8))


batch.read_together = read_together
