"""Synthetic worlds on disk, each generated once a session and copied from there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nutonic.testing import SyntheticPlanet

_WRITTEN: dict[str, Path] = {}


@cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="nutonic-worlds-")


def written(
    world: SyntheticPlanet,
    folder: Path,
    only: Iterable[str] | None = None,
    **parts: Mapping[str, Any],
) -> Path:
    """What ``world.write(folder, only, **parts)`` writes, at the price of a copy; the recipe's path."""
    only = None if only is None else sorted(only)
    key = repr((world, only))  # a world holds a dict, so it is no key itself
    if key not in _WRITTEN:
        path = Path(_home().name, str(len(_WRITTEN)))
        world.write(path, only)
        _WRITTEN[key] = path
    shutil.copytree(_WRITTEN[key], folder, dirs_exist_ok=True)
    recipe = Path(folder) / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(world.recipe(**parts), sort_keys=False), encoding="utf-8")
    return recipe
