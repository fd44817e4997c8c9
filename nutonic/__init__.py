"""nutonic turns places on Earth into image–text datasets for fine-tuning vision-language models.

The public names are imported when they are first used, so ``import nutonic`` is fast and opens nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "around": "nutonic.grid",
    "check_aligned": "nutonic.grid",
    "tiles": "nutonic.grid",
    "ClassTable": "nutonic.classes",
    "Recipe": "nutonic.recipe",
    "load_recipe": "nutonic.recipe_file",
    "StacSource": "nutonic.sources.stac",
    "RasterSource": "nutonic.sources.raster",
    "EarthEngineLabels": "nutonic.sources.earthengine",
    "open_cube": "nutonic.cube",
    "plan": "nutonic.planning",
    "build": "nutonic.run",
    "verify": "nutonic.verification",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from nutonic.classes import ClassTable
    from nutonic.cube import open_cube
    from nutonic.grid import around, check_aligned, tiles
    from nutonic.planning import plan
    from nutonic.recipe import Recipe
    from nutonic.recipe_file import load_recipe
    from nutonic.run import build
    from nutonic.sources.earthengine import EarthEngineLabels
    from nutonic.sources.raster import RasterSource
    from nutonic.sources.stac import StacSource
    from nutonic.verification import verify


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nutonic' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
