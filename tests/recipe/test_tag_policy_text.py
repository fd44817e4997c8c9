"""The policy of tags that comes with nutonic: its nouns are words, and no line says two things."""

import re
from collections import Counter

import pytest
import yaml

from nutonic.chips.scene.policy import parse
from nutonic.recipe.texts import builtin

TEXT = builtin("tags")["text"]
POLICY = yaml.safe_load(TEXT)
VISIBLE = POLICY["visible"]
NOUNS = sorted({noun for noun in VISIBLE.values() if noun is not None})

#: Words in -s that are singular.
SINGULAR = {"tennis", "grass", "glass", "bus", "class", "campus", "gas", "sports", "solar", "boules", "bowls"}

#: What is known of things, and cannot be seen of them.
UNSEEN = """
usage=main oneway=yes oneway:bicycle=no content=oil product=oil substance=gas building:use=office religion=christian
denomination=lutheran office=company craft=bakery healthcare=dentist emergency=fire_hydrant amenity=bank amenity=cafe
shop=hairdresser tourism=attraction historic=yes place=locality leisure=sauna public_transport=stop_position lit=yes
smoothness=good grassland=prairie meadow=perpetual covered=yes name=Elm operator=B voltage=110000 maxspeed=30 layer=1
service=bus segregated=yes building:material=brick description=old start_date=1990 access=private""".split()  # noqa: SIM905

#: A syllable has a vowel; y is one where no other is near.
VOWEL = re.compile(r"[aeiouy]")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_is_what_a_person_says(noun: str):
    assert re.fullmatch(r"[a-z]+(?:[ -][a-z]+){0,3}", noun), "lower case, at most four words, no digit, no underscore"
    words = re.split(r"[ -]", noun)
    for word in words:
        assert VOWEL.search(word), f"{word} cannot be pronounced"
        assert not re.search(r"[^aeiouy]{6}", word), f"{word} cannot be pronounced"
    assert words[0] not in {"a", "an", "the", "some"}, "nouns have no article"
    assert not words[-1].endswith("s") or words[-1].endswith("ss") or words[-1] in SINGULAR, "one thing, not several"


def test_a_line_stands_once():
    # a YAML mapping would keep the last of two lines in silence
    for part in ("visible", "areas", "lines"):
        _, text = re.split(rf"^{part}:\n", TEXT, flags=re.MULTILINE)
        lines = re.findall(r"^  ([^\s#-][^\n]*?): ", re.split(r"^\w", text, flags=re.MULTILINE)[0], re.MULTILINE)
        assert [line for line, times in Counter(lines).items() if times > 1] == []
        assert len(lines) == len(POLICY[part])


@pytest.mark.parametrize("part", ["implied", "invisible", "dropped"])
def test_lists_hold_each_entry_once(part: str):
    assert [entry for entry, times in Counter(POLICY[part]).items() if times > 1] == []
    assert all(isinstance(entry, str) and entry for entry in POLICY[part])


def test_no_key_is_both_seen_and_not():
    any_value = {line for line in VISIBLE if "=" not in line}
    assert any_value & (set(POLICY["implied"]) | set(POLICY["invisible"]) | set(POLICY["dropped"])) == set()
    assert set(POLICY["implied"]) & set(POLICY["invisible"]) == set()
    assert set(VISIBLE) & set(POLICY["dropped"]) == set(), "what is dropped has no noun"


def test_values_that_every_map_has_are_named():
    said = {
        "highway=residential": "residential street",
        "sport=soccer": "football pitch",
        "amenity=parking": "parking lot",
        "building=detached": "detached house",
        "building": "building",
        "landuse=forest": "forest",
        "natural=water": "body of water",
        "power=line": "power line",
        "leisure=swimming_pool": "swimming pool",
        "aeroway=runway": "runway",
    }
    assert {line: VISIBLE[line] for line in said} == said


def test_what_no_picture_shows_is_said_to_be_invisible():
    wanted = {"name", "name:*", "operator", "maxspeed", "voltage", "ref", "addr:*", "source", "tiger:*", "gnis:*"}
    assert wanted <= set(POLICY["invisible"])
    assert {"boundary", "admin_level", "tunnel=yes", "location=underground"} <= set(POLICY["dropped"])


@pytest.mark.parametrize("tag", UNSEEN)
def test_what_is_known_of_a_thing_and_not_seen_of_it_is_not_shown(tag: str):
    key, _, value = tag.partition("=")
    policy = parse(TEXT)
    assert policy.visible_tags({key: value, "natural": "water"}) == (("natural", "water"),)
    assert policy.noun({key: value}) is None


@pytest.mark.parametrize("kind", ["office", "public", "government", "service", "hotel", "dormitory", "yes"])
def test_a_building_of_which_only_its_use_is_known_is_a_building(kind: str):
    assert parse(TEXT).noun({"building": kind}) == "building"


def test_what_is_thinner_than_a_pixel_is_no_thing_of_a_picture():
    assert parse(TEXT).noun({"barrier": "fence"}) is None
    assert parse(TEXT).noun({"barrier": "fence", "leisure": "pitch"}) == "sports pitch"


def test_a_part_of_a_building_is_no_second_one():
    assert parse(TEXT).noun({"building:part": "yes"}) is None


def test_the_first_line_that_fits_is_the_closest():
    # a value's own line stands above its key's, and a stadium above the sport that is played in it
    order = list(VISIBLE)
    for line in order:
        key = line.partition("=")[0]
        if key in VISIBLE and key != line:
            assert order.index(line) < order.index(key)
    assert order.index("leisure=stadium") < order.index("sport=soccer") < order.index("leisure=pitch")
    assert order.index("service=driveway") < order.index("highway=service")
    assert order.index("water=lake") < order.index("natural=water")
