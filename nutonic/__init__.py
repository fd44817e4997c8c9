"""nutonic turns places on Earth into image–text datasets for fine-tuning vision-language models.

Public names are imported when they are first used, so ``import nutonic`` is fast and opens nothing.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nutonic._version import __version__
from nutonic.cube.registration import register_accessor

if TYPE_CHECKING:
    from nutonic import errors
    from nutonic.chips.from_cube import cut_chips
    from nutonic.cli.progress import progress
    from nutonic.core.areas import Area, area_grid
    from nutonic.core.callbacks import TilesSaved
    from nutonic.core.classes import ClassTable
    from nutonic.core.grid import check_aligned, grid_around, tile_grid
    from nutonic.core.tiling import tiles
    from nutonic.cube import reduce
    from nutonic.cube.accessor import open_zarr
    from nutonic.cube.cog import save_cogs
    from nutonic.cube.open import open_cube, open_scene
    from nutonic.cube.reduce import mask
    from nutonic.cube.save import save_cube
    from nutonic.cube.search import CubePlan, search
    from nutonic.dataset.catalogue.overlap import Overlap, overlap
    from nutonic.dataset.reading import Dataset, open_dataset
    from nutonic.dataset.report.report import report
    from nutonic.dataset.show import show
    from nutonic.dataset.verify import Verdict
    from nutonic.planning.plan import Plan
    from nutonic.planning.recipe_kinds import plan
    from nutonic.recipe.outputs import Grid
    from nutonic.recipe.patches import PatchRecipe
    from nutonic.recipe.recipe import Recipe
    from nutonic.recipe.yaml import load_recipe
    from nutonic.run.callbacks import (
        BatchFinished,
        BuildEnded,
        BuildStarted,
        Callback,
        Note,
        StageBegun,
        WorkersChanged,
    )
    from nutonic.run.clusters.cluster import Cluster
    from nutonic.run.packs.pack import Packed, pack
    from nutonic.run.packs.push import Pushed, push
    from nutonic.run.preview.preview import preview
    from nutonic.run.results import Summary
    from nutonic.run.run import build
    from nutonic.run.verify import verify
    from nutonic.sources.earthengine.imagery import EarthEngineImagery
    from nutonic.sources.earthengine.labels import EarthEngineLabels
    from nutonic.sources.raster import RasterSource
    from nutonic.sources.stac.imagery import StacSource
    from nutonic.sources.stac.labels import StacLabels

_HOME = {
    "grid_around": "nutonic.core.grid",
    "check_aligned": "nutonic.core.grid",
    "tile_grid": "nutonic.core.grid",
    "tiles": "nutonic.core.tiling",
    "ClassTable": "nutonic.core.classes",
    "Recipe": "nutonic.recipe.recipe",
    "PatchRecipe": "nutonic.recipe.patches",
    "load_recipe": "nutonic.recipe.yaml",
    "Grid": "nutonic.recipe.outputs",
    "StacSource": "nutonic.sources.stac.imagery",
    "RasterSource": "nutonic.sources.raster",
    "area_grid": "nutonic.core.areas",
    "search": "nutonic.cube.search",
    "open_cube": "nutonic.cube.open",
    "open_scene": "nutonic.cube.open",
    "open_zarr": "nutonic.cube.accessor",
    "save_cube": "nutonic.cube.save",
    "save_cogs": "nutonic.cube.cog",
    "cut_chips": "nutonic.chips.from_cube",
    "EarthEngineImagery": "nutonic.sources.earthengine.imagery",
    "EarthEngineLabels": "nutonic.sources.earthengine.labels",
    "StacLabels": "nutonic.sources.stac.labels",
    "Area": "nutonic.core.areas",
    "CubePlan": "nutonic.cube.search",
    "Plan": "nutonic.planning.plan",
    "Summary": "nutonic.run.results",
    "Verdict": "nutonic.dataset.verify",
    "mask": "nutonic.cube.reduce",
    "plan": "nutonic.planning.recipe_kinds",
    "build": "nutonic.run.run",
    "Cluster": "nutonic.run.clusters.cluster",
    "Callback": "nutonic.run.callbacks",
    "BuildStarted": "nutonic.run.callbacks",
    "BatchFinished": "nutonic.run.callbacks",
    "BuildEnded": "nutonic.run.callbacks",
    "Note": "nutonic.run.callbacks",
    "StageBegun": "nutonic.run.callbacks",
    "WorkersChanged": "nutonic.run.callbacks",
    "progress": "nutonic.cli.progress",
    "TilesSaved": "nutonic.core.callbacks",
    "verify": "nutonic.run.verify",
    "pack": "nutonic.run.packs.pack",
    "Packed": "nutonic.run.packs.pack",
    "push": "nutonic.run.packs.push",
    "Pushed": "nutonic.run.packs.push",
    "open_dataset": "nutonic.dataset.reading",
    "Dataset": "nutonic.dataset.reading",
    "overlap": "nutonic.dataset.catalogue.overlap",
    "Overlap": "nutonic.dataset.catalogue.overlap",
    "report": "nutonic.dataset.report.report",
    "show": "nutonic.dataset.show",
    "preview": "nutonic.run.preview.preview",
}

# The library logs only for those who configure logging.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = ["__version__", "errors", "reduce", *_HOME]


def __getattr__(name: str) -> Any:
    if name in ("reduce", "errors"):
        return import_module({"reduce": "nutonic.cube.reduce", "errors": "nutonic.errors"}[name])
    if name not in _HOME:
        raise AttributeError(f"module 'nutonic' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


register_accessor()
