"""Who asks for inputs (`unsigned`, `requester_pays`, `bearer`): the same keys in every part that has addresses."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from nutonic.errors import RecipeError
from nutonic.recipe.fields import IDENTITY, Identified
from nutonic.recipe.inputs import Imagery, Labels, Pois
from nutonic.recipe.osm import Osm
from nutonic.recipe.patches import Around
from nutonic.recipe.yaml import parse_recipe

WHO: dict[str, Any] = {"unsigned": True, "bearer": {"data.example.org": "TOKEN"}}
TABLE = {"name": "mine", "classes": {1: "water", 2: "forest"}, "unknown": 0}

PLACES: dict[str, Any] = {
    "name": "who",
    "pois": {"path": "pois.csv"},
    "imagery": {"url": "items.json", "collection": "c", "datetime": "2024"},
    "labels": {"source": "raster", "path": "cover.tif", "dataset": TABLE},
}
PATCHES: dict[str, Any] = {
    "name": "who",
    "kind": "patches",
    "imagery": {"url": "items.json", "collection": "naip", "datetime": "2022"},
    "osm": {"path": "map.osm.pbf"},
    "patches": {"around": {"path": "pois.csv"}},
}


def asked(content: dict[str, Any], *parts: str) -> dict[str, Any]:
    return {**content, **{part: {**content[part], **WHO} for part in parts}}


def test_every_part_with_addresses_has_the_same_keys():
    parts = (Imagery, Labels, Pois, Osm, Around)
    assert set(Identified.__subclasses__()) == set(parts)
    for part in parts:
        for key in IDENTITY:
            field, first = part.model_fields[key], Imagery.model_fields[key]
            assert (field.annotation, field.get_default(call_default_factory=True)) == (
                first.annotation,
                first.get_default(call_default_factory=True),
            )


@pytest.mark.parametrize(
    ("content", "text", "digest"),
    [
        (PLACES, "b8c938f845107c63", "aa44fe475804f655"),
        (asked(PLACES, "pois", "imagery", "labels"), "409165f1e6d9c16d", "aa44fe475804f655"),
        (PATCHES, "2d1a22bf2eeb114b", "928d28bc5e30e34f"),
        (
            {**asked(PATCHES, "imagery", "osm"), "patches": {"around": {"path": "pois.csv", **WHO}}},
            "34de74ca1c81e369",
            "928d28bc5e30e34f",
        ),
    ],
    ids=["places", "places that ask", "patches", "patches that ask"],
)
def test_texts_and_digests_of_recipes_stay_what_they_are(content, text, digest):
    """Trees that are there hold these texts, and are known by these digests."""
    recipe = parse_recipe(content)
    assert sha256(recipe.text().encode()).hexdigest()[:16] == text
    assert recipe.digest()[:16] == digest


@pytest.mark.parametrize("part", ["imagery", "osm", "around"])
def test_who_pays_is_known_in_every_part(part):
    both = {"unsigned": True, "requester_pays": True}
    content = (
        {**PATCHES, part: {**PATCHES[part], **both}}
        if part != "around"
        else {**PATCHES, "patches": {"around": {"path": "pois.csv", **both}}}
    )
    with pytest.raises(RecipeError, match="leave out unsigned"):
        parse_recipe(content)


@pytest.mark.parametrize(("key", "value"), [*WHO.items(), ("requester_pays", True)])
def test_overpass_has_nobody_to_ask_as(key, value):
    """A key that does nothing is refused, as it is for Earth Engine."""
    overpass = {"source": "overpass", "url": "https://overpass.example.org/api/interpreter", key: value}
    with pytest.raises(RecipeError, match=f"osm: has {key}, which a source overpass does not use"):
        parse_recipe({**PATCHES, "osm": overpass})
    del overpass[key]
    parse_recipe({**PATCHES, "osm": {**overpass, key: type(value)()}})
