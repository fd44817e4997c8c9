"""A recipe's area over time, as a lazy cube: what ``nutonic cube`` saves."""

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
from nutonic.sources.registry import sources_of


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A cube, what it is made of, and what it takes."""

    cube: xr.Dataset
    plan: CubePlan
    estimate: Estimate | None
    """Of its reduction, if it is reduced."""


def compose(recipe: Recipe, area: Area | None = None) -> Composed:
    """Open a recipe's imagery and labels over an area and time, masked and reduced as its `cube` says.

    Parameters
    ----------
    recipe
        Of which ``imagery``, ``labels`` and ``cube`` count.
    area
        By default the recipe's ``cube.area``.

    Raises
    ------
    RecipeError
        If neither names an area.
    """
    wanted, area = recipe.cube, area if area is not None else recipe.cube.area
    if area is None:
        raise RecipeError(
            "cube.area is missing: give west, south, east, north in degrees, or a GeoJSON file, or --area"
        )
    masks = (wanted.mask,) if wanted.mask else ()
    imagery, labels = sources_of(recipe)
    sources = [imagery.with_masks(masks), labels]
    grid = area_grid(area, resolution=recipe.grid.resolution_m)
    plan = search(grid, sources, time=recipe.imagery.time, warp=wanted.warp)
    cube = open_cube(plan, sources, chunks=wanted.chunk)
    if wanted.mask and wanted.reduce != "clearest":  # which looks at the classes itself
        cube = reduce.mask(cube, by=wanted.mask)
    estimate = reduce.estimate(cube, wanted.reduce, by=wanted.mask) if wanted.reduce else None
    return Composed(cube=_reduced(cube, wanted), plan=plan, estimate=estimate)


def _reduced(cube: xr.Dataset, wanted: Cube) -> xr.Dataset:
    if wanted.reduce is None:
        return cube
    if wanted.reduce == "clearest":
        return reduce.clearest(cube, by=wanted.mask)
    return reduce.median(cube) if wanted.reduce == "median" else reduce.mean(cube)
