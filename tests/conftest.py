"""What several tests share: a planet on disk, and the tree built from it without dask. Nobody writes into either."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from nutonic import load_recipe
from nutonic.io.http import Policy
from nutonic.io.session import Session, using
from nutonic.recipe.recipe import Recipe
from nutonic.run.run import Summary, build
from nutonic.testing import SyntheticPlanet


class Built(NamedTuple):
    """A finished tree and what it was made from."""

    planet: SyntheticPlanet
    recipe_path: Path
    recipe: Recipe
    out: Path
    summary: Summary


@pytest.fixture
def session():
    """A session that knows of no other test's servers, whose ports may come again, and that does not pause for long."""
    with Session(Policy(pause_s=0.001)) as fresh, using(fresh):
        yield fresh


@pytest.fixture(scope="session")
def planets(tmp_path_factory):
    """Writes a recipe for a planet and returns its path; the planet's files are written once a session."""
    folders: dict[str, Path] = {}

    def write(planet: SyntheticPlanet, **parts) -> Path:
        if repr(planet) not in folders:  # it holds a dict, so it cannot be a key itself
            folders[repr(planet)] = planet.write(tmp_path_factory.mktemp("planet")).parent
        folder = folders[repr(planet)]
        path = folder / f"recipe-{len(list(folder.glob('*.yaml')))}.yaml"
        path.write_text(yaml.safe_dump(planet.recipe(**parts), sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def planet():
    return SyntheticPlanet()


@pytest.fixture(scope="session")
def recipe_path(planet, planets):
    return planets(planet)


@pytest.fixture(scope="session")
def built(planet, recipe_path, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "tree"
    recipe = load_recipe(recipe_path)
    return Built(planet, recipe_path, recipe, out, build(recipe, out, workers=0))
