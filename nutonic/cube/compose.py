"""From a recipe to a lazy cube of its area over time, which ``nutonic cube`` saves."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.core.areas import Area, area_grid
from nutonic.core.catalogs import CLASSIFICATIONS, Classification, known_classification
from nutonic.core.grid import crs_name
from nutonic.core.times import Interval
from nutonic.cube import reduce
from nutonic.cube.open import open_cube
from nutonic.cube.reduce import Estimate
from nutonic.cube.search import CubePlan, search
from nutonic.errors import RecipeError
from nutonic.inert import inert
from nutonic.recipe.outputs import Cube, Grid, SceneClasses
from nutonic.recipe.recipe import Recipe
from nutonic.sources.factory import sources_of
from nutonic.sources.grids import common_lattice
from nutonic.sources.neighbourhoods import searched_once
from nutonic.sources.source import TimedSource


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
        If neither `area` nor the recipe names an area, or nothing says what the values of ``cube.mask`` mean.
    """
    settings, area = recipe.cube, area if area is not None else recipe.cube.area
    if area is None:
        raise RecipeError(
            "cube.area is missing: give west, south, east, north in degrees, or a GeoJSON file, or --area"
        )
    masking = _masking(settings.mask, recipe.quality.classification)
    imagery, labels = sources_of(recipe)
    imagery = _masked_by(imagery, masking)
    sources = [imagery, labels]
    with searched_once() if recipe.grid.lattice == "source" else nullcontext():
        geobox = _grid(area, recipe.grid, imagery, recipe.imagery.time)
        plan = search(geobox, sources, time=recipe.imagery.time, warp=settings.warp)
    cube = open_cube(plan, sources, chunks=settings.chunk, on_damage=settings.on_damage)
    by = None if masking is None else masking.asset
    if masking is not None and settings.reduce != "clearest":  # clearest looks at the classes itself
        cube = reduce.mask(cube, by=masking.asset, keep=masking.keep)
    estimate = reduce.estimate(cube, settings.reduce, by=by) if settings.reduce else None
    return ComposedCube(cube=_reduced(cube, settings, masking), plan=plan, estimate=estimate)


def _grid(area: Area, settings: Grid, imagery: TimedSource, time: Interval | None) -> GeoBox:
    """The grid of an area, on the lattice that the recipe asks for; on the scenes' own, and in their CRS, for ``source``."""
    geobox = area_grid(area, resolution=settings.resolution_m)
    if settings.lattice != "source" or isinstance(area, GeoBox):
        return geobox
    scenes = [scene for step in imagery.timeline(geobox, time).steps for scene in step.scenes]
    if not scenes:  # the search says why
        return geobox
    pixel = common_lattice(scenes, settings.resolution_m, crs_name(geobox))
    side, corner = pixel.affine.a, (pixel.affine.c, pixel.affine.f)
    return area_grid(area, crs=crs_name(pixel), resolution=side, origin=corner)


def _reduced(cube: xr.Dataset, settings: Cube, masking: _Masking | None) -> xr.Dataset:
    if settings.reduce is None:
        return cube
    if settings.reduce == "clearest":
        by, keep = (None, None) if masking is None else (masking.asset, masking.keep)
        return reduce.clearest(cube, by=by, keep=keep)
    return reduce.median(cube) if settings.reduce == "median" else reduce.mean(cube)


@dataclass(frozen=True, slots=True)
class _Masking:
    """What a cube is masked by."""

    asset: str
    keep: tuple[int, ...]
    """Its values that show the ground."""
    nodata: int
    """What it has where there is none."""


def _masking(mask: str | SceneClasses | None, judged_by: Classification | None) -> _Masking | None:
    """What a recipe's cube is masked by; RecipeError where nothing says what its values mean, which are never guessed."""
    if mask is None:
        return None
    if isinstance(mask, SceneClasses):
        meaning: Classification | None = Classification(**mask.model_dump())
    elif judged_by is not None and judged_by.asset == mask:
        meaning = judged_by
    else:
        meaning = known_classification(mask)
    if meaning is None:
        name = f"{inert(str(mask)):.60}"
        raise RecipeError(
            f"cube.mask is {name or 'empty'}, and nothing says what its values mean: write them, cube.mask: "
            f"{{asset: {name}, cloud: [values], shadow: [values], nodata: [values]}}, or the same in "
            "quality.classes; known is scl"
        )
    if meaning in CLASSIFICATIONS.values():
        return _Masking(str(mask), reduce.CLEAR, meaning.nodata[0])
    return _Masking(meaning.asset, meaning.ground, meaning.nodata[0])


def _masked_by(imagery: TimedSource, masking: _Masking | None) -> TimedSource:
    if masking is None:
        return imagery.with_masks(())
    return imagery.with_masks((masking.asset,), (masking.nodata,) if masking.nodata else ())
