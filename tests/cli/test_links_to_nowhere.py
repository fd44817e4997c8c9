"""Paths at which nothing can be: too long, or links that lead to each other or to what is too long. A line, and no more."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import pytest
import xarray as xr
import yaml
from support.cli import nutonic
from support.worlds import written

import nutonic as nt
from nutonic.errors import NutonicError
from nutonic.io.files import obstacle_at
from nutonic.testing import SyntheticPlanet

LONG = "x" * 300


@pytest.fixture
def world(tmp_path) -> Path:
    """A planet's folder with such links in it."""
    written(SyntheticPlanet(), tmp_path)
    (tmp_path / "long").symlink_to(LONG)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    return tmp_path


PATHS = {
    "a name": (LONG, "is too long"),
    "a link": ("long", "a link leads to a name that is too long; name another path"),
    "a circle": ("a", "links lead to each other; name another path"),
    "below a circle": ("a/x", "links lead to each other; name another path"),
}
COMMANDS = {
    "plan": ("plan", "PATH"),
    "plan --out": ("plan", "recipe.yaml", "--out", "PATH"),
    "build --out": ("build", "recipe.yaml", "--out", "PATH", "--workers", "0"),
    "build --metrics": ("build", "recipe.yaml", "--out", "out", "--workers", "0", "--metrics", "PATH"),
    "build --answers": ("build", "recipe.yaml", "--out", "out", "--workers", "0", "--answers", "PATH"),
    "cube": ("cube", "recipe.yaml", "--out", "PATH", "--area", "17.9,46.6,17.91,46.61"),
    "preview": ("preview", "PATH"),
    "preview --out": ("preview", "recipe.yaml", "--out", "PATH"),
    "verify": ("verify", "PATH"),
    "report": ("report", "PATH"),
    "pack": ("pack", "out", "--format", "parquet", "--out", "PATH"),
    "demo": ("demo", "--out", "PATH", "--workers", "0"),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_command_says_so_in_a_line_and_makes_nothing(world, monkeypatch, path):
    monkeypatch.chdir(world)
    name, told = PATHS[path]
    before = sorted(world.iterdir())
    for command, args in COMMANDS.items():
        said = nutonic(*(name if arg == "PATH" else arg for arg in args))
        assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1), (command, said)
        assert told in said.err, command
    assert sorted(world.iterdir()) == before


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", ["pois.path", "labels.path", "imagery.url"])
def test_a_recipe_that_names_it_is_told_with_the_key(world, path, key):
    recipe = yaml.safe_load((world / "recipe.yaml").read_text())
    part, name = key.split(".")
    recipe[part][name] = PATHS[path][0]
    (world / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    said = nutonic("plan", world / "recipe.yaml")
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1), said
    assert f"see {key}" in said.err


def test_from_python_too(world, monkeypatch):
    monkeypatch.chdir(world)
    for name, _ in PATHS.values():
        with pytest.raises(NutonicError):
            nt.build("recipe.yaml", name, workers=0)
        with pytest.raises(NutonicError):
            nt.save_cube(xr.Dataset({"a": ("x", da.zeros(4))}), name)


@pytest.mark.parametrize(("name", "told"), [("long", "is a link to a"), ("a", "is a link to a"), (LONG, "too long")])
def test_in_the_place_of_a_file_of_a_tree_it_is_an_obstacle(world, name, told):
    assert told in obstacle_at(world, name)
