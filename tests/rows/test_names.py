"""Classes of any name: what can be read back works, what cannot is refused when a recipe is read, by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from support.cli import nutonic
from support.spoken import world

from nutonic import load_recipe
from nutonic.core.classes import ClassTable
from nutonic.recipe.texts import builtin
from nutonic.rows.checker import problem_of
from nutonic.rows.wording import wording_of
from nutonic.sources.backend import _flags

#: Names that are words of sentences or of answers, or that hold what templates hold.
ODD = {
    "braces of a slot": ("{share}", "{where}", "{c}", "{}", "{0}", "%s", "{{ c }}"),
    "words of sentences": ("and", "no", "all", "the", "most", "only", "it"),
    "answers": ("yes", "no", "left", "upper right", "centre", "above it", "20 %"),
    "values": ("12%", "[0.1, 0.2, 0.3, 0.4]", "water (12%)", "a) b", "b; c) d", "satellite image", "0.5 ha"),
    "letters that are others when they are large": ("ßand", "ſand", "ﬁeld", "ǆungla", "straße", "σας", "ŉ"),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", ODD)
def test_classes_of_odd_names_are_told_apart(kind):
    names = (*ODD[kind], "water", "trees")
    table = ClassTable(name="own", labels=dict(enumerate(names)), unknown=255, colors={})
    read = set()
    for k in range(25):
        made = replace(world(k), table=table)
        context = made.context()
        for row in made.lines():
            assert problem_of(row, context.truth, context.wording) is None, row
            read.add(row["task"])
    assert {"caption", "class_caption", "vqa", "choice", "referring", "absence"} <= read


def test_an_answer_is_held_against_what_is_asked_whatever_a_class_is_called():
    """Of classes called yes and no, the one that has the most is told; the other is not let through."""
    table = ClassTable(name="own", labels={1: "yes", 2: "no", 3: "left"}, unknown=255, colors={})
    made = replace(world(0), table=table)
    made.mask[:] = 1
    made.mask[made.mask.shape[0] // 3 :] = 2  # either has most of a quarter
    context = made.context()
    (row,) = (row for row in made.lines() if row["id"].endswith("vqa_dominant"))
    answer = row["messages"][1]["content"][-1]
    assert answer["text"] in ("Yes", "No")
    answer["text"] = "No" if answer["text"] == "Yes" else "Yes"
    assert problem_of(row, context.truth, context.wording) is not None


#: Classes, and what is said of them.
UNCLEAR = {
    "a name that ends in and": ({1: "trees", 7: "trees and", 9: "water"}, "class 7, 'trees and',"),
    "a name of joints": ({1: "and", 7: "and and"}, "class 7, 'and and',"),
    "a comma behind": ({1: "trees", 7: "Trees,", 9: "water"}, "class 7, 'trees,',"),
    "a list and the same with strokes": (
        {1: "grass", 3: "grass and forest", 7: "grass/forest"},
        "class 3, 'grass and forest', and class 7, 'grass/forest', are both called 'grass/forest'",
    ),
}


@pytest.fixture
def own(recipe_path, tmp_path):
    """Writes a recipe with classes of one's own; gives its path."""

    def write(classes: dict[int, str]):
        content = yaml.safe_load(recipe_path.read_text(encoding="utf-8"))
        for part, key in (("imagery", "url"), ("labels", "path"), ("pois", "path")):
            content[part][key] = str(recipe_path.parent / content[part][key])
        content["labels"]["dataset"] = {"name": "own", "classes": classes, "unknown": 0}
        path = tmp_path / "own.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("kind", UNCLEAR)
def test_names_that_cannot_be_told_apart_are_refused_by_name(own, kind):
    classes, told = UNCLEAR[kind]
    said = nutonic("plan", own(classes))
    assert said.code == 2
    assert told in said.err
    assert "otherwise" in said.err
    assert "Traceback" not in said.err
    assert "wording" not in said.err
    assert len(said.err.strip().splitlines()) <= 2


@pytest.mark.parametrize(
    "classes",
    [
        {1: "trees and", 9: "water"},
        {1: "forest", 2: "water", 3: "forest and water", 4: "grass and forest", 5: "grass"},
        {1: "cropland, rainfed", 2: "cropland, irrigated", 3: "cropland"},
        {1: "{share}", 2: "and", 3: "yes"},
    ],
)
def test_names_that_can_be_told_apart_are_not_refused(own, classes):
    assert nutonic("plan", own(classes)).code == 0


def test_what_becomes_of_names_is_what_the_page_says(own):
    """As docs/inputs.md has it: small letters, one space, and strokes where a name holds another class."""
    table = load_recipe(
        own({1: "Forest", 2: " Water/Lake", 3: "trees", 4: "crops", 5: "Trees and  crops"})
    ).labels.table
    assert list(table.labels.values()) == ["forest", "water/lake", "trees", "crops", "trees and crops"]
    nouns = wording_of(builtin(), table).lexicon.nouns
    assert list(nouns.values()) == ["forest", "water/lake", "trees", "crops", "trees/crops"]
    flags = _flags(table.band)
    assert flags["flag_meanings"] == "forest water_lake trees crops trees_and_crops"
    assert flags["flag_names"] == '["forest", "water/lake", "trees", "crops", "trees and crops"]'


def test_names_that_lose_nothing_are_told_once(own):
    flags = _flags(load_recipe(own({1: "Forest", 2: "bare_ground", 3: "trees and crops"})).labels.table.band)
    assert flags["flag_meanings"] == "forest bare_ground trees_and_crops"
    assert "flag_names" not in flags
