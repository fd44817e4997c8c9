"""The recipe's part on stills: what it takes, what becomes of a URL template, and that no token can stand in it."""

from __future__ import annotations

import pytest

from nutonic.errors import RecipeError
from nutonic.recipe.recipe import Recipe
from nutonic.recipe.yaml import parse_recipe, parse_recipe_text
from nutonic.secrets import holds_address_with_query, holds_secret

TOKEN = "pk.eyJ1IjoiY2FuYXJ5In0.c4n4ry"
URL = "https://maps.example.org/static?center={lat},{lon}&zoom={zoom}&size={size}x{size}&key={token}"


def recipe(**mapbox: object) -> Recipe:
    return parse_recipe(
        {
            "name": "stills",
            "pois": {"path": "pois.csv"},
            "imagery": {"url": "items.json", "collection": "c", "datetime": "2024"},
            "labels": {"source": "raster", "path": "labels.tif"},
            **({"context": {"mapbox": mapbox}} if mapbox else {}),
        }
    )


def test_the_defaults_are_off_and_no_key_counts_while_they_are():
    part = recipe().context.mapbox
    assert (part.enabled, part.style, part.zoom, part.size) == (False, "mapbox/satellite-v9", 12, 1280)
    assert recipe(zoom=3, url=URL).digest() == recipe(enabled=False).digest() == recipe().digest()
    assert recipe(enabled=True).digest() != recipe().digest()


def test_a_template_is_kept_whole_and_its_text_looks_like_no_secret():
    whole = recipe(enabled=True, url=URL, token_variable="MAPS_KEY")
    part = whole.context.mapbox
    assert part.url == "https://maps.example.org/static"
    assert part.query == {"center": "{lat},{lon}", "zoom": "{zoom}", "size": "{size}x{size}", "key": "{token}"}
    text = whole.text()
    assert not holds_secret(text)
    assert not holds_address_with_query(text.encode())
    again = parse_recipe_text(text)
    assert again.context == whole.context
    assert again.digest() == whole.digest()


@pytest.mark.parametrize(
    "mapbox",
    [
        {"token": TOKEN},
        {"access_token": TOKEN},
        {"token_variable": TOKEN},
        {"url": f"https://h/{{lon}}{{lat}}?access_token={TOKEN}"},
        {"url": f"https://h/{{lon}}{{lat}}?whatever={TOKEN}"},
        {"url": f"https://h/{{lon}},{{lat}}?key={{token}}{TOKEN}"},
        {"url": f"https://{TOKEN}@h/{{lon}},{{lat}}"},
        {"url": f"https://h/{{lon}},{{lat}}#{TOKEN}"},
        {"query": {"key": TOKEN}},
        {"url": "https://h/", "query": {"at": "{lon},{lat}", "sig": TOKEN}},
    ],
)
def test_a_token_is_refused_wherever_it_stands_and_not_repeated(mapbox):
    with pytest.raises(RecipeError) as refused:
        recipe(enabled=True, **mapbox)
    assert TOKEN[:12] not in str(refused.value)
    assert "context.mapbox" in str(refused.value)


@pytest.mark.parametrize(
    ("mapbox", "words"),
    [
        ({"size": 1281}, "more than Mapbox's 1280"),
        ({"zoom": 22.5}, "zoom"),
        ({"style": "satellite-v9"}, "style"),
        ({"style": "mapbox/../x"}, "style"),
        ({"query": {"a": "b"}}, "which is for a url of your own"),
        ({"token_variable": "PATH"}, "call it …_TOKEN or …_KEY"),
        ({"token_variable": "my key"}, "is no name of an environment variable"),
        ({"url": "maps.example.org/{lon}/{lat}"}, "is no address"),
        ({"url": "file:///{lon}/{lat}"}, "is no address"),
        ({"url": "https://{lon}.example.org/{lat}"}, "a slot in its host"),
        ({"url": "https://h/{lon},{lat}/{token}"}, "only the query may hold it"),
        ({"url": "https://h/{lon}"}, r"without {lon} or {lat}"),
        ({"url": "https://h/{lon},{lat},{x}"}, "a slot that is none of"),
        ({"url": "https://h/{lon},{lat}}"}, "a slot that is none of"),
        ({"url": "https://h/{lon},{lat}?a=1&a=2"}, "twice"),
        ({"url": "https://h/{lon},{lat}?a"}, "no list of key=value"),
        ({"url": "http://maps.example.org/{lon},{lat}?k={token}"}, "plain http"),
        ({"url": 7}, "url"),
        ({"stlye": "a/b"}, "did you mean style?"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(mapbox, words):
    with pytest.raises(RecipeError) as refused:
        recipe(enabled=True, **mapbox)
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_what_needs_no_token_may_be_in_the_open_and_loopback_may_be_too():
    assert not recipe(url="http://maps.example.org/{lon}/{lat}/{zoom}.png").context.mapbox.needs_token
    assert recipe(url="http://127.0.0.1:8000/{lon}/{lat}?k={token}").context.mapbox.needs_token
    assert recipe(size=2000, url="https://h/{lon},{lat}").context.mapbox.size == 2000
