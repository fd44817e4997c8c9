"""Policies of tags: what a picture shows of a map, read from a person's text."""

import contextlib
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutonic.chips.scene import policy
from nutonic.errors import RecipeError
from nutonic.recipe.texts import builtin

TEXT = """
visible:
  natural=water: body of water
  building=church: church
  building: building
  building=roof: null
  amenity=parking: parking lot
  surface: null
  amenity=school: school
implied: [landuse, "sport=tennis"]
invisible: [name, "name:*", operator, maxspeed, building=underground]
dropped: [boundary, "type=route"]
"""
POLICY = policy.parse(TEXT)


@pytest.mark.parametrize(
    ("tags", "noun"),
    [
        ({"building": "yes"}, "building"),
        ({"building": "church"}, "church"),
        ({"building": "church;school"}, "church"),
        ({"building": "no"}, None),
        ({"building": "roof"}, None),
        ({"building": "roof", "amenity": "parking"}, "parking lot"),
        ({"building": "underground"}, None),
        ({"amenity": "parking", "building": "yes"}, "building"),
        ({"amenity": "parking", "building": "church"}, "church"),
        ({"amenity": "school", "surface": "grass"}, "school"),
        ({"amenity": "school", "building": "yes"}, "building"),
        ({"natural": "water", "building": "yes"}, "body of water"),
        ({"surface": "asphalt"}, None),
        ({"landuse": "farmland"}, None),
        ({"name": "Elm"}, None),
        ({}, None),
    ],
)
def test_a_thing_is_called_by_what_the_text_has_first(tags, noun):
    assert POLICY.noun(tags) == noun


def test_only_what_a_picture_shows_or_implies_is_shown():
    tags = {"surface": "asphalt", "name": "Elm", "name:de": "Ulme", "maxspeed": "30", "landuse": "forest",
            "sport": "tennis", "amenity": "cafe", "operator": "B", "foo": "bar", "building": "no"}  # fmt: skip
    seen = (("landuse", "forest"), ("sport", "tennis"), ("surface", "asphalt"))
    assert POLICY.visible_tags(tags) == seen
    assert POLICY.visible_tags(tags, names=True) == tuple(sorted([*seen, ("name", "Elm"), ("operator", "B")]))
    assert POLICY.visible_tags({"sport": "golf"}) == ()


@pytest.mark.parametrize("along", ["highway=primary", "railway=rail", "waterway=river", "natural=coastline"])
def test_what_a_boundary_runs_along_is_not_dropped(along):
    key, _, value = along.partition("=")
    border = {"boundary": "administrative", "admin_level": "4"}
    own = policy.parse(builtin("tags")["text"])
    assert own.drops(border)
    assert not own.drops({**border, key: value})
    assert own.drops({**border, key: value, "location": "underground"})
    assert own.drops({**border, "highway": "no"})


def test_boundaries_are_dropped():
    assert POLICY.drops({"boundary": "administrative", "building": "yes"})
    assert POLICY.drops({"type": "route"})
    assert not POLICY.drops({"type": "multipolygon"})


def test_a_policy_travels():
    assert pickle.loads(pickle.dumps(POLICY)) == POLICY


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("visible: [", "osm.tags: is not YAML"),
        ("- a", "osm.tags: is no policy: write the parts visible, areas, lines, implied, invisible, dropped"),
        ("implied: [a]", "visible names no tag"),
        ("visible: {}", "visible names no tag"),
        ("visible:\n  a: b\nseen: []", "line 3: 'seen' is none of visible"),
        ("visible:\n  a: b\n  a: c", "line 3: visible: 'a' is there twice"),
        ("visible:\n  a: b\n  c: [x]", "line 3: visible: c has 'a list or a mapping', no noun"),
        ("visible:\n  a: lake 7", "line 2: visible: a has 'lake 7', no noun"),
        ("visible:\n  a b: c", "line 2: visible: 'a b' is no tag"),
        ("visible:\n  a:*: c", "line 2: visible: 'a:*' is a pattern"),
        ("visible:\n  a: b\nimplied: a", "line 3: implied is no list"),
        ("visible:\n  a: b\ndropped:\n  - {a: b}", "line 4: dropped: 'a list or a mapping' is no tag"),
        ("visible:\n  a: b\nvisible:\n  c: d", "line 3: 'visible' is there twice"),
    ],
)
def test_a_text_that_is_no_policy_is_refused_with_its_line(text, problem):
    with pytest.raises(RecipeError) as caught:
        policy.parse(text)
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.long
@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_refused(text):
    with contextlib.suppress(RecipeError):
        assert policy.parse(text).nouns


@given(st.dictionaries(st.sampled_from(["building", "natural", "name", "name:x", "surface", "q"]), st.text(max_size=5)))
def test_nothing_invisible_is_shown(tags):
    assert not {"name", "name:x", "q"} & {key for key, _ in POLICY.visible_tags(tags)}


# Areas and lines


def test_an_area_is_not_called_as_a_line_nor_a_line_as_an_area():
    found = policy.parse(builtin("tags")["text"])
    assert found.noun({"highway": "pedestrian", "area": "yes"}, "area") == "pedestrian area"
    assert found.noun({"highway": "pedestrian"}, "line") == "pedestrian street"
    assert found.noun({"highway": "footway", "area": "yes"}, "area") == "walking area"
    assert found.noun({"highway": "service", "area": "yes"}, "area") == "service yard"
    assert found.noun({"highway": "primary", "area": "yes"}, "area") == "road surface"
    assert found.noun({"railway": "platform"}, "area") == found.noun({"railway": "platform"}, "line")
    assert found.noun({"building": "yes"}, "line") is None
    assert found.noun({"building": "yes", "highway": "footway"}, "line") == "footpath", "what else it is"


def test_every_noun_of_a_line_has_one_for_areas():
    """No area is a street, a path, a track or a line; what is the same from above, as a river or a hedge, keeps its noun."""
    found = policy.parse(builtin("tags")["text"])
    lines = re.compile(
        r"(?:street|road|path|footpath|sidewalk|motorway|ramp|busway|track|spur|siding|crossover|line|lift)$"
    )
    kept = {"boat ramp", "running track", "race track", "kart track", "bicycle motocross track", "motocross track",
            "runaway truck ramp", "pipeline", "coastline", "forest cutline"}  # fmt: skip
    for rule in found.nouns:
        key, _, value = rule.partition("=")
        noun = found.noun({key: value or "yes"}, "area")
        assert noun is None or noun in kept or not lines.search(noun), rule


def test_an_open_line_is_none_of_what_only_areas_are():
    found = policy.parse(builtin("tags")["text"])
    of_areas = re.compile(
        r"(?:building|house|area|lot|park|lake|pond|forest|lawn|meadow|field|pitch|court|church|ground|site)$"
    )
    for rule in found.nouns:
        key, _, value = rule.partition("=")
        noun = found.noun({key: value or "yes"}, "line")
        assert noun is None or not of_areas.search(noun), rule


def test_a_policy_of_ones_own_may_say_so_too():
    found = policy.parse(
        "visible: {highway: street, building: house}\nareas: {highway: square}\nlines: {building: null}\n"
    )
    assert [found.noun({"highway": "x"}, kind) for kind in ("", "line", "area")] == ["street", "street", "square"]
    assert [found.noun({"building": "x"}, kind) for kind in ("", "line", "area")] == ["house", None, "house"]
    assert found.called == {"street", "house", "square"}
    with pytest.raises(RecipeError, match="areas: 'highway' is there twice"):
        policy.parse("visible: {highway: street}\nareas: {highway: square, highway: place}\n")
