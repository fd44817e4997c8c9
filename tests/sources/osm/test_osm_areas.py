"""Which closed ways are areas, by their tags: cases that mappers agree on."""

import pytest

from nutonic.sources.osm.tags import is_area, is_bare, is_drawn, own_tags

AREAS = (
    {"building": "yes"},
    {"landuse": "forest"},
    {"leisure": "pitch"},
    {"natural": "water"},
    {"natural": "wood"},
    {"amenity": "parking"},
    {"aeroway": "apron"},
    {"man_made": "pier"},
    {"highway": "services"},
    {"highway": "pedestrian", "area": "yes"},
    {"barrier": "fence", "leisure": "pitch"},
    {"barrier": "hedge", "area": "yes"},
    {"railway": "platform"},
    {"highway": "platform", "public_transport": "platform"},
    {"power": "substation", "barrier": "fence"},
    {"waterway": "riverbank"},
    {"golf": "green"},
    {"area:highway": "residential"},
)
LINES = (
    {"highway": "residential"},
    {"highway": "residential", "junction": "roundabout"},
    {"barrier": "fence"},
    {"barrier": "hedge"},
    {"barrier": "wall"},
    {"natural": "coastline"},
    {"natural": "cliff"},
    {"natural": "tree_row"},
    {"man_made": "embankment"},
    {"aeroway": "taxiway"},
    {"leisure": "track"},
    {"waterway": "river"},
    {"waterway": "canal"},
    {"railway": "rail"},
    {"power": "line"},
    {"golf": "cartpath"},
    {"building": "no"},
    {"building": "no", "highway": "footway"},
    {"building": "yes", "area": "no"},
    {"landuse": "forest", "area": "no"},
    {"name": "Somewhere"},
    {},
)


@pytest.mark.parametrize("tags", AREAS, ids=str)
def test_an_area(tags: dict[str, str]):
    assert is_area(tags)


@pytest.mark.parametrize("tags", LINES, ids=str)
def test_a_line(tags: dict[str, str]):
    assert not is_area(tags)


@pytest.mark.parametrize(
    ("tags", "is_one"),
    [
        ({"type": "multipolygon", "natural": "wood"}, True),
        ({"type": "multipolygon"}, False),
        ({"type": "multipolygon", "source": "survey", "created_by": "JOSM"}, False),
        ({"type": "boundary", "boundary": "administrative"}, False),
        ({"type": "multipolygon", "landuse": "forest", "boundary": "protected_area"}, False),
        ({"type": "multipolygon", "landuse": "forest", "admin_level": "8"}, False),
        ({"type": "route", "route": "bus"}, False),
        ({"natural": "wood"}, False),
    ],
    ids=str,
)
def test_relations_that_are_drawn(tags: dict[str, str], is_one: bool):
    assert is_drawn(tags) is is_one


def test_a_thing_that_says_nothing():
    assert is_bare({"created_by": "JOSM", "source": "Bing"})
    assert not is_bare({"source": "Bing", "natural": "tree"})
    assert own_tags({"type": "multipolygon", "natural": "wood"}) == {"natural": "wood"}
    assert own_tags({"type": "broad_leaved", "natural": "wood"}) == {"type": "broad_leaved", "natural": "wood"}
