"""What is written of a recipe's keys, for people and for editors, is what the code takes."""

from __future__ import annotations

import json
from functools import cache

import jsonschema
import pytest
import yaml
from support.cli import nutonic
from support.paths import ROOT

from nutonic.recipe.fields import Part
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.recipe import Recipe
from nutonic.recipe.reference.page import page
from nutonic.recipe.reference.schema import schema

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def keys(part: type[Part]) -> set[str]:
    """Keys of a part and of those in it."""
    found = set(part.model_fields)
    for field in part.model_fields.values():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Part):
            found |= keys(inner)
    return found


@cache
def validator() -> jsonschema.Draft202012Validator:
    """Made once: writing the schema takes longer than all that is held against it."""
    return jsonschema.Draft202012Validator(json.loads(json.dumps(schema())))


def problems(values: object) -> list[str]:
    return [error.message for error in validator().iter_errors(values)]


def test_the_page_is_what_the_code_says():
    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == page()


@pytest.mark.long
@pytest.mark.parametrize("kind", [Recipe, PatchRecipe])
def test_every_key_is_on_the_page(kind):
    told = page()
    assert len(keys(kind)) > 30
    assert {key for key in keys(kind) if f"| `{key}` |" not in told} == set()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_fit_the_schema(path):
    values = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
    assert problems(values) == []
    assert problems({**values, "nmae": "x"}) != []


@pytest.mark.parametrize(
    ("part", "wrong"),
    [("grid", {"resolution_m": -1}), ("rows", {"captions": ["long"]}), ("tiles", {"size": "large"}), ("labels", {})],
)
def test_a_wrong_value_does_not_fit(part, wrong):
    values = yaml.safe_load((ROOT / "recipes" / "nutonic.yaml").read_text(encoding="utf-8"))
    assert problems(json.loads(json.dumps({**values, part: wrong}, default=str))) != []


def test_a_key_is_described_in_the_words_of_the_code():
    rows = schema()["$defs"]["Tiles"]["properties"]["min_label_fraction"]
    assert rows["description"] == "Of its pixels, those that have a class."
    assert "title" not in rows


@pytest.mark.long
def test_the_command_writes_it():
    assert json.loads(nutonic("schema").out) == json.loads(json.dumps(schema()))
    assert nutonic("schema", "--page").out == page()
