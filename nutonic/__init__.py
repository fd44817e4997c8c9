"""nutonic turns places on Earth into image–text datasets for fine-tuning vision-language models.

The public names are imported when they are first used, so ``import nutonic`` is fast and opens nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "around": "nutonic.grid",
    "check_aligned": "nutonic.grid",
    "grid_of": "nutonic.grid",
    "tiles": "nutonic.grid",
    "ClassTable": "nutonic.classes",
    "Recipe": "nutonic.recipe",
    "load_recipe": "nutonic.recipe_file",
    "StacSource": "nutonic.sources.stac",
    "RasterSource": "nutonic.sources.raster",
    "area_grid": "nutonic.areas",
    "search": "nutonic.cubes",
    "open_cube": "nutonic.cubes",
    "open_scene": "nutonic.cube",
    "save_cube": "nutonic.saving",
    "save_cogs": "nutonic.saving",
    "chips": "nutonic.cutting",
    "EarthEngineImagery": "nutonic.sources.ee_imagery",
    "EarthEngineLabels": "nutonic.sources.earthengine",
    "plan": "nutonic.planning",
    "build": "nutonic.run",
    "verify": "nutonic.verification",
}

__all__ = ["__version__", "reduce", *_HOME]

if TYPE_CHECKING:
    from nutonic import reduce
    from nutonic.areas import area_grid
    from nutonic.classes import ClassTable
    from nutonic.cube import open_scene
    from nutonic.cubes import open_cube, search
    from nutonic.cutting import chips
    from nutonic.grid import around, check_aligned, grid_of, tiles
    from nutonic.planning import plan
    from nutonic.recipe import Recipe
    from nutonic.recipe_file import load_recipe
    from nutonic.run import build
    from nutonic.saving import save_cogs, save_cube
    from nutonic.sources.earthengine import EarthEngineLabels
    from nutonic.sources.ee_imagery import EarthEngineImagery
    from nutonic.sources.raster import RasterSource
    from nutonic.sources.stac import StacSource
    from nutonic.verification import verify


def __getattr__(name: str) -> Any:
    if name == "reduce":
        return import_module("nutonic.reduce")
    if name not in _HOME:
        raise AttributeError(f"module 'nutonic' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
