"""From a recipe to a lazy cube of its area over time, which ``nutonic cube`` saves."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from nutonic.core.areas import Area, area_grid
from nutonic.cube import reduce
from nutonic.cube.open import open_cube
from nutonic.cube.reduce import Estimate
from nutonic.cube.search import CubePlan, search
from nutonic.errors import RecipeError
from nutonic.recipe.outputs import Cube
from nutonic.recipe.recipe import Recipe
from nutonic.sources.factory import sources_of


@dataclass(frozen=True, kw_only=True)
class ComposedCube:
    """A cube, the scenes that it is made of, and what computing it takes."""

    cube: xr.Dataset
    plan: CubePlan
    estimate: Estimate | None
    """What the reduction takes; None for a cube that is not reduced."""


def compose(recipe: Recipe, area: Area | None = None) -> ComposedCube:
    """Open a recipe's imagery and labels over an area and time, masked and reduced as its part ``cube`` says.

    Parameters
    ----------
    recipe
        Its ``imagery``, ``labels``, ``cube`` and ``grid.resolution_m`` matter.
    area
        By default the recipe's ``cube.area``.

    Raises
    ------
    RecipeError
        If neither `area` nor the recipe names an area.
    """
    settings, area = recipe.cube, area if area is not None else recipe.cube.area
    if area is None:
        raise RecipeError(
            "cube.area is missing: give west, south, east, north in degrees, or a GeoJSON file, or --area"
        )
    masks = (settings.mask,) if settings.mask else ()
    imagery, labels = sources_of(recipe)
    sources = [imagery.with_masks(masks), labels]
    geobox = area_grid(area, resolution=recipe.grid.resolution_m)
    plan = search(geobox, sources, time=recipe.imagery.time, warp=settings.warp)
    cube = open_cube(plan, sources, chunks=settings.chunk)
    if settings.mask and settings.reduce != "clearest":  # clearest looks at the classes itself
        cube = reduce.mask(cube, by=settings.mask)
    estimate = reduce.estimate(cube, settings.reduce, by=settings.mask) if settings.reduce else None
    return ComposedCube(cube=_reduced(cube, settings), plan=plan, estimate=estimate)


def _reduced(cube: xr.Dataset, settings: Cube) -> xr.Dataset:
    if settings.reduce is None:
        return cube
    if settings.reduce == "clearest":
        return reduce.clearest(cube, by=settings.mask)
    return reduce.median(cube) if settings.reduce == "median" else reduce.mean(cube)
