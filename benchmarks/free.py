"""Pixels that cost nothing: what workers read instead of files, so that everything but reading can be measured.

Imported by workers as a preload; see :mod:`benchmarks.scale`.
"""

from __future__ import annotations

import numpy as np

from nutonic.core.model import PlannedPlace
from nutonic.recipe.outputs import Grid
from nutonic.run import batch
from nutonic.run.read import Together
from nutonic.sources.factory import Sources
from nutonic.sources.grids import place_grid


def read_together(places: list[PlannedPlace], sources: Sources, grid: Grid, _: object = None) -> Together:
    """Noise for each place, its own and always the same."""
    return Together(places, lambda some: [_pixels(place, sources, grid) for place in some])


def _pixels(place: PlannedPlace, sources: Sources, grid: Grid) -> batch.Pixels:
    square = place_grid(place.poi.lon, place.poi.lat, place.imagery[0], grid)
    noise = np.random.default_rng(place.poi.ordinal).integers(1, 4000, (4, *square.shape), dtype=np.uint16)
    bands = {band.name: pixels for band, pixels in zip(sources.imagery.bands, noise[:3], strict=True)}
    # Four fields: each pixel of another class than its neighbours would make more regions than a real chip has.
    height, width = (-(-side // 2) for side in square.shape)
    fields = (1 + noise[3, :2, :2] % 6).astype(np.uint8).repeat(height, axis=0).repeat(width, axis=1)
    return batch.Pixels(geobox=square, bands={**bands, "label": fields[: square.shape[0], : square.shape[1]]})


batch.read_together = read_together
