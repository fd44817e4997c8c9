"""The demo of patches: what its pictures show, and which of them are looked at."""

import json
from collections import Counter

import numpy as np
import pytest
import shapely
from PIL import Image
from support.patches import annotation, captions, described, element, image

from nutonic.cli.demo.rsteller.picture import is_shown, rendered, sea_of
from nutonic.cli.demo.rsteller.sheet import ShardPatch, varied
from nutonic.core.grid import transformer
from nutonic.core.model import Element, Split
from nutonic.dataset.shards.samples import Made, content_of

BOX, BAY = shapely.box(0, 0, 100, 100), shapely.box(40, 40, 60, 60)
CLOCKWISE = shapely.LinearRing([(40, 40), (40, 60), (60, 60), (60, 40)])
UP = shapely.LineString([(40, -10), (40, 110)])


@pytest.mark.parametrize(
    ("coast", "sea"),
    [
        ([], shapely.Polygon()),
        ([UP], shapely.box(40, 0, 100, 100)),
        ([UP.reverse()], shapely.box(0, 0, 40, 100)),
        ([UP, shapely.LineString([(70, 110), (70, -10)])], shapely.box(40, 0, 70, 100)),
        ([shapely.LineString([(40, -10), (40, 80)])], shapely.box(40, 0, 100, 100)),
        ([CLOCKWISE], BAY),
        ([CLOCKWISE.reverse()], BOX - BAY),
        ([shapely.LineString([(200, 0), (200, 100)])], shapely.Polygon()),
    ],
    ids=["none", "north", "south", "a strait", "the map ends within", "a bay", "an island", "elsewhere"],
)
def test_the_sea_lies_to_the_right_of_coastlines(coast, sea):
    assert shapely.union_all(sea_of(coast, BOX)).equals(sea)


def test_a_picture_shows_the_sea_as_water_and_what_stands_in_it():
    grid = image().grid
    (west, south, east, north), back = grid.boundingbox, transformer(str(grid.crs), "EPSG:4326")

    def placed(kind: str, shape: shapely.Geometry, **tags: str) -> Element:
        degrees = shapely.transform(shape, lambda xy: np.stack(back.transform(*xy.T), -1))
        return Element(type="way", id=1, version=1, kind=kind, tags=tuple(tags.items()), geometry=degrees)

    middle = (west + east) / 2
    coast = placed("line", shapely.LineString([(middle, south - 9), (middle, north + 9)]), natural="coastline")
    house = placed("area", shapely.box(east - 60, north - 60, east - 30, north - 30), building="yes")
    picture = rendered([coast, house], grid).astype(int)
    land, sea = picture[:, :220].mean((0, 1)), picture[200:, 230:].mean((0, 1))
    assert sea == pytest.approx([30, 56, 76], abs=2)
    assert land == pytest.approx([146, 142, 132], abs=2)
    assert picture[60:90, 360:390].mean((0, 1)) == pytest.approx([148, 120, 108], abs=4)


@pytest.mark.parametrize(
    ("tags", "shown"),
    [
        ({"building": "yes"}, True),
        ({"natural": "coastline"}, True),
        ({"building": "no", "highway": "footway"}, True),
        ({"building": "no"}, False),
        ({"amenity": "cafe", "name": "Elm"}, False),
    ],
)
def test_what_is_not_drawn_is_not_looked_up(tags, shown):
    assert is_shown(tags) is shown


def patch(number: int, key: str, split: Split = "train") -> ShardPatch:
    about, shown = image(number, split=split), annotation(element=key)
    content = content_of(
        about,
        described(about.patch_id, element(key)),
        captions(about.patch_id, [shown]),
        Made(osm_date=None, recipe_digest="ab" * 32),
    )
    return ShardPatch(picture=Image.new("RGB", (448, 448)), content=json.loads(content))


def test_patches_that_are_looked_at_are_of_everything():
    every = [patch(number, "way/1") for number in range(40)]
    every[7], every[20], every[33] = patch(7, "way/2"), patch(20, "way/3", "validation"), patch(33, "way/4", "test")
    few = varied(every, 6)
    ids = [each.content["metadata"]["patch_id"] for each in few]
    assert ids == sorted(ids)
    assert {f"m_3712213_{number:05d}" for number in (7, 20, 33)} < set(ids)
    assert Counter(each.content["provenance"]["image"]["split"] for each in few) == {
        "train": 4,
        "validation": 1,
        "test": 1,
    }
    assert varied(every[:3], 6) == every[:3]
