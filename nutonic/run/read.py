"""Pixels of places: from one lazy cube of their common scene, in this process' threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import dask.base
import dask.threaded
import numpy as np
from odc.geo.geobox import GeoBox

from nutonic.core.grid import window_in
from nutonic.core.model import PlannedPlace, Scene
from nutonic.cube.open import open_scene
from nutonic.errors import NutonicError
from nutonic.io.session import SessionThreads
from nutonic.planning.cost import READERS
from nutonic.recipe.outputs import Grid
from nutonic.sources.grids import place_grid, scene_grid
from nutonic.sources.registry import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """A place's native pixels."""

    geobox: GeoBox
    bands: Mapping[str, np.ndarray]
    """By name, (height, width) in the band's dtype, its nodata value where nothing was observed."""

    def stacked(self, names: Iterable[str]) -> np.ndarray:
        """(names, height, width) of bands with one dtype."""
        return np.stack([self.bands[name] for name in names])


def read_together(places: Sequence[PlannedPlace], sources: Sources, grid: Grid) -> dict[str, Pixels]:
    """Pixels of all places from their common best scene, by place id; each block is read once. Empty if any read fails.

    The caller then reads place by place, which shows the place that fails.
    """
    try:
        return dict(zip([p.poi.id for p in places], read(places, places[0].imagery[0], sources, grid), strict=True))
    except (NutonicError, OSError, RuntimeError, ValueError):
        return {}


def read(places: Sequence[PlannedPlace], scene: Scene, sources: Sources, grid: Grid) -> list[Pixels]:
    """Pixels of places from one scene: one lazy cube, chunked as its files are blocked, sliced per place."""
    squares = [place_grid(place.poi.lon, place.poi.lat, scene, grid) for place in places]
    chunk = sources.imagery.chunk_hint(scene)
    whole = scene_grid(scene, squares, chunk or 1)
    # Without blocks, as with labels, arrays stay lazily indexed until they are sliced, and only these pixels are read.
    cube = open_scene(whole, sources, scenes=((scene,), places[0].labels), chunks=(chunk, None))
    lazy = [cube.isel(window_in(whole, square)).chunk() for square in squares]
    arrays = [{str(name): variable.data for name, variable in part.data_vars.items()} for part in lazy]
    # The scheduler is given as a function, since dask imports distributed to resolve the name "threads".
    with SessionThreads(READERS) as threads:
        loaded = dask.base.compute(arrays, scheduler=dask.threaded.get, pool=threads)[0]
    return [Pixels(geobox=square, bands=bands) for square, bands in zip(squares, loaded, strict=True)]
