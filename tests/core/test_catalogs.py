"""What cannot be used is refused in the same words through a recipe and through Python, as each one's error."""

from __future__ import annotations

import pytest

import nutonic as nt
from nutonic.core.catalogs import JUMPING
from nutonic.core.classes import TABLES, table_of
from nutonic.errors import InputError, RecipeError
from nutonic.recipe.yaml import parse_recipe

BASE = {
    "name": "a",
    "pois": {"path": "pois.csv"},
    "imagery": {"source": "earthengine", "collection": "COPERNICUS/S2_SR_HARMONIZED", "datetime": "2024-05-01"},
    "labels": {"source": "earthengine", "dataset": "dynamic-world"},
}
FAULTS = [
    *(("labels", {"windows_days": days}) for days in ([30, 7], [7, 7], [0, 7], [255], [])),
    *(("labels", {"year": 2020, "rule": rule}) for rule in ("mode", "nearest")),
    ("labels", {"dataset": "worldcover"}),
    *(("imagery", {"collection": name}) for name in JUMPING),
]


def through_python(part: str, keys: dict) -> None:
    if part == "imagery":
        nt.EarthEngineImagery(**keys)
    else:
        nt.EarthEngineLabels(**{"classes" if key == "dataset" else key: value for key, value in keys.items()})


@pytest.mark.parametrize(("part", "keys"), FAULTS)
def test_a_fault_is_told_alike_through_both_doors(part: str, keys: dict):
    with pytest.raises(InputError) as python:
        through_python(part, keys)
    with pytest.raises(RecipeError) as recipe:
        parse_recipe({**BASE, part: {**BASE[part], **keys}})
    assert type(python.value) is InputError
    assert str(recipe.value).startswith(f"recipe: {part}")
    assert str(recipe.value).endswith(str(python.value))


def test_class_tables_by_name_are_the_same_everywhere():
    for name, table in TABLES.items():
        assert table_of(name) is table_of(table) is table
        assert nt.RasterSource("a.tif", name).table is table
    with pytest.raises(InputError) as error:
        nt.RasterSource("a.tif", "worldcover")
    with pytest.raises(InputError, match="no class table 'worldcover'") as same:
        table_of("worldcover")
    assert str(error.value) == str(same.value)
