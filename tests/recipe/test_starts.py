"""Recipes to start from: each is read, made into sources, and says what is true of the library that it ships with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from support.cli import nutonic

from nutonic import load_recipe
from nutonic.cli.demo.data import PLACES, RECIPE
from nutonic.core.catalogs import PRODUCTS
from nutonic.planning.patches.spec import resolve_patches
from nutonic.planning.places.read import read_pois
from nutonic.planning.spec import resolve
from nutonic.recipe.inputs import Pois
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.starts import NAMES, places, recipe_text, start


@pytest.fixture(params=NAMES)
def written(request, tmp_path, monkeypatch) -> tuple[str, Path]:
    """The name of a recipe, and its file as init writes it."""
    monkeypatch.chdir(tmp_path)
    said = nutonic("init", request.param)
    assert (said.code, said.err) == (0, "")
    assert "nutonic plan recipe.yaml" in said.out
    return request.param, tmp_path / "recipe.yaml"


def test_each_is_read_and_its_sources_are_made(written, monkeypatch):
    name, path = written
    monkeypatch.setenv("EE_PROJECT", "some-project")
    recipe = load_recipe(path)
    spec = resolve_patches(recipe) if isinstance(recipe, PatchRecipe) else resolve(recipe)
    assert len(spec.digest) == 64
    assert path.read_text(encoding="utf-8").startswith("# ")
    if start(name).needs_places:
        assert Path(recipe.pois.path) == path.with_name("places.csv")
        assert len(read_pois(recipe.pois).places) == (recipe.pois.limit or 12)
    assert path.with_name("places.csv").exists() is start(name).needs_places


def test_places_of_ones_own_are_not_touched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("places.csv").write_text("lon,lat\n1,2\n")
    assert nutonic("init", "quick-test").code == 0
    assert Path("places.csv").read_text() == "lon,lat\n1,2\n"


def test_what_no_account_is_needed_for_names_no_service_that_needs_one():
    for name in ("quick-test", "planetary-computer", "cluster"):
        recipe = yaml.safe_load(recipe_text(name))
        assert (recipe["labels"]["source"], recipe["labels"]["dataset"]) == ("stac", "esa-worldcover")
        assert recipe["imagery"]["url"] == PRODUCTS["esa-worldcover"].url


def test_places_to_try_are_on_land_and_far_from_each_other(tmp_path):
    """So that each is a group of its own: no square overlaps another."""
    (tmp_path / "places.csv").write_text(places())
    found = read_pois(Pois(path=str(tmp_path / "places.csv"))).places
    assert len(found) == 12
    assert len(set(zip(found.lon.round().tolist(), found.lat.round().tolist(), strict=True))) == 12


def test_the_demos_recipe_is_the_demos():
    """But for where its inputs lie, and for what its card tells of accuracy, which is known once they are made."""
    ours = yaml.safe_load(recipe_text("demo"))
    labels = ours["labels"]["dataset"]
    flow = {key: "\n".join(f"      {k}: {v!r}" for k, v in labels[key].items()) for key in ("classes", "colors")}
    theirs = yaml.safe_load(RECIPE.substitute(**flow, accuracy="x"))
    del theirs["card"]["text"]
    for part, key in (("pois", "path"), ("imagery", "url"), ("labels", "path")):
        theirs[part][key] = f"demo/cache/{theirs[part][key]}"
    assert ours == theirs
    from nutonic.cli.demo.landuse import CLASSES

    assert {use.id: (use.label, use.color) for use in CLASSES} == {
        k: (v, labels["colors"][k]) for k, v in labels["classes"].items()
    }
    assert len(PLACES) == 12


def test_what_init_offers_is_listed_and_a_slip_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed = nutonic("init", "--help").out
    assert [
        name for name in (*NAMES, "wording", "prompts", "tags") if not re.search(rf"^ +{name} ", listed, re.M)
    ] == []
    said = nutonic("init", "planetry-computer")
    assert (said.code, list(tmp_path.iterdir())) == (2, [])
    assert "did you mean planetary-computer?" in said.err
