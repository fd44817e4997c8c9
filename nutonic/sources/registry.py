"""The sources that a recipe names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nutonic.core.catalogs import PRODUCTS
from nutonic.core.model import Scene
from nutonic.core.times import Interval
from nutonic.recipe.recipe import Recipe
from nutonic.sources.earthengine.imagery import EarthEngineImagery
from nutonic.sources.earthengine.labels import WINDOWS_DAYS, EarthEngineLabels
from nutonic.sources.raster import RasterSource
from nutonic.sources.stac.imagery import StacSource
from nutonic.sources.stac.labels import StacLabels


def imagery_source(recipe: Recipe) -> StacSource | EarthEngineImagery:
    """The source of a recipe's pictures."""
    if recipe.imagery.source == "earthengine":
        url, project = recipe.earthengine or (None, None)
        return EarthEngineImagery(
            collection=recipe.imagery.collection,
            assets=recipe.imagery.assets,
            max_cloud_cover=recipe.imagery.max_cloud_cover,
            min_valid_fraction=recipe.tiles.min_valid_fraction,
            resolution_m=recipe.grid.resolution_m,
            project=project,
            url=url,
        )
    return StacSource(
        url=recipe.imagery.url or "",
        collection=recipe.imagery.collection,
        assets=recipe.imagery.assets,
        max_cloud_cover=recipe.imagery.max_cloud_cover,
        min_valid_fraction=recipe.tiles.min_valid_fraction,
        engine=recipe.imagery.engine,
        sign=recipe.imagery.sign,
        allow_hosts=recipe.imagery.allow_hosts,
    )


def dated(scenes: Sequence[Sequence[Scene]], time: Interval | None = None) -> list[tuple[Scene, ...]]:
    """Scenes of several sources, where those of Earth Engine without a date get that of the picture they go with.

    That is the first scene with a date of another source, or the middle of `time` where there is none.
    """
    known = [scene.datetime for found in scenes for scene in found if scene.datetime is not None]
    if not known and time is not None:
        known = [time.middle.isoformat()]

    def settled(scene: Scene) -> Scene:
        takes = known and scene.source == "earthengine" and scene.datetime is None
        return replace(scene, datetime=known[0]) if takes else scene

    return [tuple(map(settled, found)) for found in scenes]


def labels_source(recipe: Recipe) -> RasterSource | StacLabels | EarthEngineLabels:
    """The source of a recipe's land cover."""
    labels = recipe.labels
    if labels.source == "earthengine":
        url, project = recipe.earthengine or (None, None)
        return EarthEngineLabels(
            classes=labels.table,
            collection=labels.collection or "",
            band=labels.band or "",
            rule=labels.rule,
            windows_days=labels.windows_days or WINDOWS_DAYS,
            year=labels.year,
            project=project,
            url=url,
        )
    if labels.source == "raster":
        return RasterSource(str(labels.path), labels.table)
    known = PRODUCTS.get(labels.table.name)
    return StacLabels(
        url=labels.url or (known.url if known else ""),
        collection=labels.collection or (known.collection if known else ""),
        asset=labels.asset or (known.asset if known else ""),
        classes=labels.table,
        year=labels.year,
        sign=labels.sign,
        allow_hosts=labels.allow_hosts,
    )
