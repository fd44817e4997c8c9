"""What a plan says of a recipe that asks for something that may not be meant."""

from __future__ import annotations

import pytest

from nutonic.planning.spec import doubts, resolve
from nutonic.recipe.yaml import parse_recipe

OFF = {"captions": [], "grounding": False, "per_class": False, "per_class_grounding": False}
BARE = "no row will be written, since the recipe's rows are all off: the dataset has chips and sidecars alone"
NAMES = {1: "water", 2: "Öd-Land", 3: "森林"}


@pytest.mark.parametrize(
    ("rows", "labels", "said"),
    [
        ({}, NAMES, []),
        (OFF, NAMES, [BARE]),
        *(({**OFF, kind: True}, NAMES, []) for kind in ("grounding", "per_class", "absence", "vqa", "choice", "referring")),
        ({**OFF, "captions": ["brief"]}, NAMES, []),
        ({"overlays": True}, {1: "water", 2: "Öd-Land"}, []),
        (
            {"overlays": True},
            NAMES,
            ["overlays tell 1 name by the class's id, for letters that their font has not: 森林 (class 3)"],
        ),
        (
            {"overlays": True},
            {1: "水", 2: "森林", 3: "лес", 4: "غابة", 5: "b"},
            ["overlays tell 4 names by the class's id, for letters that their font has not: 水 (class 1), 森林 (class 2), "
             "лес (class 3) and 1 more"],
        ),
    ],
)  # fmt: skip
def test_a_plan_tells_of_a_recipe_what_may_not_be_meant(tmp_path, rows, labels, said):
    table = {"name": "mine", "classes": labels, "unknown": 0}
    content = {
        "name": "x",
        "pois": {"path": "p.csv"},
        "imagery": {"url": "items.json", "collection": "c", "datetime": "2024"},
        "labels": {"source": "raster", "path": "cover.tif", "dataset": table},
        "rows": rows,
    }
    assert list(doubts(resolve(parse_recipe(content)))) == said
