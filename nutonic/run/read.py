"""Pixels of places: from one lazy cube of their common scene, in this process' threads."""

from __future__ import annotations

from collections.abc import Sequence
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
from nutonic.recipe.recipe import Recipe
from nutonic.sources.earthengine.session import Session
from nutonic.sources.earthengine.transport import MOST_REQUESTS
from nutonic.sources.grids import place_grid, scene_grid
from nutonic.sources.registry import imagery_source, labels_source


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """A place's native pixels."""

    grid: GeoBox
    rgb: np.ndarray
    """(3, height, width) uint16, 0 where nothing was observed."""
    label: np.ndarray
    """(height, width) uint8 class ids."""
    days: np.ndarray | None = None
    """(height, width) uint8: within how many days of the scene the class was seen, where the labels tell; 255 for none."""


def session_of(recipe: Recipe) -> Session | None:
    """Where a recipe asks Earth Engine, and as which project; None if it does not."""
    return None if recipe.earthengine is None else Session(*recipe.earthengine)


def most_requests(recipe: Recipe, wanted: int | None) -> int | None:
    """Requests in flight at most, all workers together: as wanted, but where Earth Engine is asked no more than it takes."""
    return wanted if session_of(recipe) is None else min(MOST_REQUESTS, wanted or MOST_REQUESTS)


def read_together(places: Sequence[PlannedPlace], recipe: Recipe) -> dict[str, Pixels]:
    """Pixels of all places from their common best scene, each block once; nothing if any of it fails.

    What failed, and whose failure it was, is found out by reading place by place.
    """
    try:
        return dict(zip([p.poi.id for p in places], read(places, places[0].imagery[0], recipe), strict=True))
    except (NutonicError, OSError, RuntimeError, ValueError):
        return {}


def read(places: Sequence[PlannedPlace], scene: Scene, recipe: Recipe) -> list[Pixels]:
    """Pixels of places from one scene: one lazy cube, chunked as its files are blocked, sliced per place."""
    grids = [place_grid(place.poi.lon, place.poi.lat, scene, recipe.grid) for place in places]
    sources = (imagery_source(recipe), labels_source(recipe))
    block = sources[0].block(scene)
    whole = scene_grid(scene, grids, block or 1)
    # What has no blocks stays lazily indexed until it is sliced: it is read pixel for pixel, as labels are.
    cube = open_scene(whole, sources, scenes=((scene,), places[0].labels), chunks=(block, None))
    lazy = [cube.isel(window_in(whole, grid)).chunk() for grid in grids]
    arrays = [[part[band.name].data for source in sources for band in source.bands] for part in lazy]
    # The function, since dask would import distributed to find out what "threads" means.
    with SessionThreads(READERS) as threads:
        loaded = dask.base.compute(arrays, scheduler=dask.threaded.get, pool=threads)[0]
    return [
        Pixels(grid=grid, rgb=np.stack(bands[:3]), label=bands[3], days=bands[4] if len(bands) > 4 else None)
        for grid, bands in zip(grids, loaded, strict=True)
    ]
