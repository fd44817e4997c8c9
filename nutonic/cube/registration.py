"""Registers ``cube.nutonic`` in every process that imports nutonic and xarray, in either order, without importing xarray.

An accessor can be registered only after xarray is imported, and xarray loads no entry points to open Zarr. So if xarray is
not imported yet, its import is followed, once, by the import of the accessor.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module, util
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def register_accessor() -> None:
    """Register ``cube.nutonic`` now, or as soon as xarray is imported."""
    if "xarray" in sys.modules:
        import_module("nutonic.cube.accessor")
    elif not any(isinstance(finder, _XarrayFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _XarrayFinder())


class _XarrayFinder(MetaPathFinder):
    """Finds xarray as other finders do, once, and gives it a loader that registers the accessor afterwards."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "xarray":
            return None
        sys.meta_path.remove(self)
        spec = util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _XarrayLoader(spec.loader)
        return spec


class _XarrayLoader(Loader):
    """Loads a module with the module's own loader, and then the accessor."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        import_module("nutonic.cube.accessor")
