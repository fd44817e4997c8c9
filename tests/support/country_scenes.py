"""Patches of the country and of small towns, planted in metres, so that everything about them is known from the geometry."""

from __future__ import annotations

from functools import cache

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.description import SceneDescription
from nutonic.chips.scene.policy import parse
from nutonic.recipe.texts import builtin
from support.plants import SIDE, disc, patch, planted, rectangle

_BEYOND = 40.0


def _along(*points: tuple[float, float]) -> shapely.LineString:
    """A line through points, smooth if there are more than three."""
    if len(points) < 4:
        return shapely.LineString(points)
    x, y = np.array(points).T
    at = np.linspace(0, len(points) - 1, 60)
    degree = min(3, len(points) - 1)
    return shapely.LineString(
        np.stack([np.polyval(np.polyfit(np.arange(len(points)), v, degree), at) for v in (x, y)], -1)
    )


def _box(west: float, south: float, east: float, north: float) -> BaseGeometry:
    return shapely.box(west, south, east, north)


def _round(x: float, y: float, radius: float, wide: float = 1.0) -> BaseGeometry:
    return shapely.affinity.scale(disc(radius, (x, y)), wide, 1.0)


_END = SIDE + _BEYOND
#: Tags and shapes of each patch, in metres from its south-west corner.
_PLANTS: dict[str, tuple[tuple[str, BaseGeometry], ...]] = {
    # two lakes, the larger in the west; a wood between the smaller and the northern edge; a track past both
    "lakes": (
        ("natural=water water=lake", _round(70, 130, 58)),
        ("natural=water water=lake", _round(205, 90, 30)),
        ("natural=wood", _box(150, 170, _END, _END)),
        ("landuse=meadow", _box(-_BEYOND, -_BEYOND, _END, 45)),
        ("highway=track surface=dirt", _along((140, -_BEYOND), (140, 120), (140, _END))),
        ("building=barn", rectangle(18, 9, 0, (165, 40))),
    ),
    # a railway from west to east parts houses in the north from farmland in the south; a road crosses it on a bridge
    "tracks": (
        ("landuse=residential", _box(-_BEYOND, 160, _END, _END)),
        ("landuse=farmland crop=wheat", _box(-_BEYOND, -_BEYOND, _END, 120)),
        ("railway=rail", _along((-_BEYOND, 140), (100, 140), (_END, 140))),
        ("highway=tertiary bridge=yes", _along((200, 100), (200, 140), (200, 180))),
        ("highway=tertiary", _along((200, -_BEYOND), (200, 50), (200, 100))),
        ("highway=tertiary", _along((200, 180), (200, 220), (200, _END))),
        *((("building=house", rectangle(12, 9, 0, (30 + 40 * k, 205)))) for k in range(4)),
        ("building=house", rectangle(12, 9, 0, (60, 245))),
        ("building=house", rectangle(12, 9, 0, (235, 230))),
    ),
    # a river from the north-west to the south-east between a meadow and a golf course, with a wood on its north bank
    "valley": (
        ("waterway=river", _along((-_BEYOND, 240), (60, 190), (120, 160), (170, 90), (230, 60), (_END, 10))),
        (
            "leisure=golf_course",
            shapely.Polygon([(-40, 190), (60, 140), (120, 100), (170, 40), (230, 10), (230, -40), (-40, -40)]),
        ),
        ("natural=wood", _box(150, 150, 240, 240)),
        ("natural=water water=pond", _round(80, 60, 16)),
        ("highway=footway", _along((20, 10), (60, 90), (110, 40), (160, 20))),
        ("building=yes", rectangle(24, 14, 0, (25, 25))),
    ),
    # a farm: two fields, the western one larger, a farmyard with barns and a house, a silo, a pond, a hedge, a driveway
    "farm": (
        ("landuse=farmland crop=maize", _box(-_BEYOND, 90, 130, _END)),
        ("landuse=farmland crop=wheat", _box(175, 150, _END, _END)),
        ("landuse=farmyard", _box(60, 10, 160, 75)),
        ("building=barn", rectangle(30, 14, 0, (85, 55))),
        ("building=barn", rectangle(26, 12, 90, (140, 50))),
        ("building=farm", rectangle(16, 11, 0, (85, 25))),
        ("man_made=silo", disc(5, (115, 30))),
        ("natural=water water=pond", _round(220, 45, 14, 1.4)),
        ("barrier=hedge", _along((175, 80), (220, 80), (262, 80))),
        ("highway=residential surface=asphalt", _along((-_BEYOND, 4), (100, 4), (_END, 4))),
        ("highway=service service=driveway surface=gravel", _along((120, 4), (120, 14), (120, 24))),
    ),
    # crossroads in a suburb: a school with a pitch in the north-west, houses in the east, a shop in the south-west
    "suburb": (
        ("highway=secondary surface=asphalt lanes=2", _along((130, -_BEYOND), (130, 100), (130, _END))),
        ("highway=residential surface=asphalt", _along((-_BEYOND, 120), (130, 120), (_END, 120))),
        ("amenity=school", _box(15, 145, 115, 255)),
        ("building=school", _box(25, 200, 75, 225).union(_box(25, 170, 45, 225))),
        ("leisure=pitch sport=soccer surface=grass", rectangle(36, 24, 90, (96, 180))),
        ("shop=mall building=retail", _box(20, 25, 75, 65)),
        ("amenity=parking surface=asphalt", _box(20, 72, 115, 108)),
        *((("building=house", rectangle(11, 9, 0, (160 + 35 * (k % 3), 150 + 40 * (k // 3))))) for k in range(6)),
        ("leisure=swimming_pool", rectangle(8, 4, 0, (178, 170))),
        ("leisure=park", _box(150, 10, 260, 100)),
        ("natural=water water=pond", _round(225, 40, 16)),
        ("leisure=playground", _box(160, 70, 180, 90)),
    ),
    # a motorway interchange's arm beside an industrial area with warehouses, tanks, a canal and a power line
    "works": (
        ("landuse=industrial", _box(90, -_BEYOND, _END, 165)),
        ("building=warehouse", rectangle(80, 40, 0, (160, 60))),
        ("building=warehouse", rectangle(50, 30, 90, (235, 90))),
        *((("man_made=storage_tank", disc(8, (120 + 22 * k, 130)))) for k in range(4)),
        ("waterway=canal", _along((60, -_BEYOND), (60, 120), (60, _END))),
        ("highway=motorway lanes=3 surface=asphalt oneway=yes", _along((-_BEYOND, 200), (120, 200), (_END, 200))),
        ("highway=motorway lanes=3 surface=asphalt oneway=yes", _along((-_BEYOND, 220), (120, 220), (_END, 220))),
        ("power=line", _along((-_BEYOND, -20), (130, 120), (_END, 300))),
        ("landuse=grass", _box(-_BEYOND, -_BEYOND, 45, 180)),
        ("amenity=parking surface=asphalt", _box(185, 130, 250, 158)),
    ),
    # a marina and a beach: the sea in the west, a beach along it, dunes behind, a pier, a car park and a winding road
    "beach": (
        (
            "natural=beach surface=sand",
            shapely.Polygon([(60, -40), (85, -40), (100, 130), (90, 310), (60, 310), (72, 130)]),
        ),
        ("natural=water", shapely.Polygon([(-40, -40), (60, -40), (72, 130), (60, 310), (-40, 310)])),
        ("man_made=pier", rectangle(60, 4, 0, (45, 180))),
        ("natural=scrub", _box(112, 120, 180, 240)),
        ("amenity=parking surface=gravel", _box(115, 30, 165, 70)),
        (
            "highway=unclassified surface=asphalt",
            _along((210, -_BEYOND), (180, 60), (240, 120), (195, 200), (230, _END)),
        ),
        ("tourism=camp_site", _box(225, 130, _END, 220)),
        ("building=yes", rectangle(14, 10, 0, (130, 85))),
    ),
}
NAMES = tuple(_PLANTS)


@cache
def country_scene(name: str) -> SceneDescription:
    """What the map says of a patch."""
    grid = patch("minnesota, as NAIP")
    elements = [
        planted(shape, grid, number, **dict(tag.split("=") for tag in tags.split()))
        for number, (tags, shape) in enumerate(_PLANTS[name], 1)
    ]
    return describe(elements, grid, parse(builtin("tags")["text"]), patch_id=name)
