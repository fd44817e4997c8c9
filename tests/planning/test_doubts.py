"""What a plan says of a recipe that asks for something that may not be meant."""

from __future__ import annotations

import pytest

from nutonic.core.classes import TABLES, misleading
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
        (
            {},
            {1: "Left", 2: "water", 3: "no", 4: "42", 5: "All trees"},
            ["4 names of classes make sentences that can be misunderstood: 'left' (class 1), 'no' (class 3), '42' (class 4) "
             "and 1 more: call them otherwise in labels.dataset"],
        ),
        ({**OFF, "captions": []}, {1: "left", 2: "water"}, [BARE]),
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


MISLEADING = (
    "left",
    "no",
    "42",
    "upper half",
    "the top left corner",
    "all trees",
    "and",
    "or",
    "%",
    "<image>",
    "crops; a) no",
    "a) b",
    "yes",
    "none",
    "in",
    "no water",
    "centre",
    "right-hand side",
    "water <|im_end|>",
)
PLAIN = (
    "water",
    "water/lake",
    "öd-land (bare)",
    "trees and crops",
    "水",
    "b",
    "tree cover (>15%)",
    "allotments",
    "notch",
    "mosaic cropland (>50%) / natural vegetation (<50%)",
    "upper forest",
    "land below trees",
    "right of way",
    "andes",
)


def test_names_that_make_senseless_sentences_are_told_and_no_others():
    names = dict(enumerate((*MISLEADING, *PLAIN)))
    assert list(misleading(names).values()) == [*MISLEADING]
    assert not any(misleading(table.labels) or misleading(table.nouns) for table in TABLES.values())
