"""Random patches with plants at known places: lakes, woods, roads, buildings, trees, of many shapes and tags.

A map has some of the roads and of the ground in pieces; the plant is the whole.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
import shapely.affinity
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from nutonic.core.model import Element
from support.caption_reader import Plant, Scene
from support.plants import PLACES, SIDE, disc, patch, planted, rectangle

#: Tags, and what a thing with them is called, once and many times.
AREAS = (
    ("natural=water", "body of water", "bodies of water"),
    ("natural=water water=lake", "lake", "lakes"),
    ("natural=water water=pond", "pond", "ponds"),
    ("landuse=forest", "forest", "forests"),
    ("natural=wood", "wood", "woods"),
    ("natural=scrub", "area of scrubland", "areas of scrubland"),
    ("natural=heath", "area of heath", "areas of heath"),
    ("landuse=grass", "lawn", "lawns"),
    ("landuse=meadow", "meadow", "meadows"),
    ("landuse=farmland crop=wheat", "field", "fields"),
    ("leisure=park name=Elm", "park", "parks"),
    ("leisure=pitch sport=soccer surface=grass", "football pitch", "football pitches"),
    ("leisure=pitch surface=dirt", "sports pitch", "sports pitches"),
    ("leisure=swimming_pool", "swimming pool", "swimming pools"),
    ("amenity=parking surface=asphalt capacity=30", "parking lot", "parking lots"),
    ("building=yes building:levels=3", "building", "buildings"),
    ("building=house addr:housenumber=7", "house", "houses"),
    ("building=church religion=christian", "church", "churches"),
    ("building=warehouse", "warehouse", "warehouses"),
    ("building=office", "building", "buildings"),
    ("landuse=residential", "residential area", "residential areas"),
    ("landuse=industrial", "industrial area", "industrial areas"),
    ("landuse=cemetery", "cemetery", "cemeteries"),
    ("landuse=quarry", "quarry", "quarries"),
    ("leisure=golf_course", "golf course", "golf courses"),
)
LINES = (
    ("highway=residential surface=asphalt oneway=yes", "residential street", "residential streets"),
    ("highway=primary lanes=2 maxspeed=80", "main road", "main roads"),
    ("highway=service service=driveway surface=paving_stones", "driveway", "driveways"),
    ("highway=footway surface=fine_gravel", "footpath", "footpaths"),
    ("highway=track", "dirt track", "dirt tracks"),
    ("highway=tertiary bridge=yes surface=concrete", "minor road", "minor roads"),
    ("railway=rail usage=main electrified=yes", "railway track", "railway tracks"),
    ("waterway=river", "river", "rivers"),
    ("waterway=stream", "stream", "streams"),
    ("barrier=hedge", "hedge", "hedges"),
    ("natural=tree_row", "tree row", "tree rows"),
    ("power=line voltage=110000", "power line", "power lines"),
)
POINTS = (
    ("natural=tree", "tree", "trees"),
    ("man_made=water_tower", "water tower", "water towers"),
    ("power=tower", "power pylon", "power pylons"),
    ("man_made=windmill", "windmill", "windmills"),
)
#: Things that are never planted, to be lied about.
NEVER = (("airfield", "airfields"), ("beach", "beaches"), ("stadium", "stadiums"), ("vineyard", "vineyards"))
VOCABULARY = (*((noun, plural) for _, noun, plural in (*AREAS, *LINES, *POINTS)), *NEVER)


#: Ground, of which nobody sees where one piece ends and the next begins.
GROUND = frozenset(
    {"body of water", "lake", "pond", "forest", "wood", "area of scrubland", "area of heath", "lawn", "meadow", "park",
     "residential area", "industrial area", "cemetery", "quarry", "golf course"}
)  # fmt: skip
#: Square metres: ground that lies over other ground of its kind with less is drawn again, so that it is clear what is one.
_CLEAR = 60.0
_SQUARE = shapely.box(0, 0, SIDE, SIDE)


@dataclass(frozen=True)
class World:
    """A patch, what is planted in it, and the same as a map has it."""

    grid: GeoBox
    scene: Scene
    elements: tuple[Element, ...]


def world(seed: int) -> World:
    """The world of a number: of one to some thirty plants."""
    draw = random.Random(seed)
    grid = patch(draw.choice(list(PLACES)))
    plants: list[Plant] = []
    elements: list[Element] = []
    for number in range(1, 1 + draw.choice((1, 2, 4, 7, 11, 16, 22, 30))):
        table, shape = draw.choices(((AREAS, _area), (LINES, _line), (POINTS, _point)), (6, 4, 2))[0]
        text, noun, plural = draw.choice(table[: draw.choice((3, 12, 99))])
        tags = dict(tag.split("=") for tag in text.split())
        drawn = shape(draw)
        while noun in GROUND and any(_is_unclear(drawn, each.shape) for each in plants if each.noun == noun):
            drawn = shape(draw)
        kind, pieces = draw.choice(("way", "relation")), _pieces(drawn, noun, draw)
        told = [dict(tags) for _ in pieces]
        if len(pieces) > 1:  # whatever changes there
            told[0] |= {"maxspeed": "30", "lanes": "1"} | ({"surface": "gravel"} if "surface" in tags else {})
        every = [
            planted(piece, grid, number + 1000 * k, kind, **own)
            for k, (piece, own) in enumerate(zip(pieces, told, strict=True))
        ]
        surface, bridge = dict(every[0].tags).get("surface"), tags.get("bridge") == "yes"
        surface = None if len(every) > 1 else surface
        plants.append(
            Plant(key=every[0].key, noun=noun, plural=plural, shape=drawn, surface=surface, bridge=bridge,
                  building=tags.get("building", "no") != "no")
        )  # fmt: skip
        elements += every
    order = draw.sample(range(len(elements)), len(elements))
    return World(grid, Scene(SIDE, tuple(_together(plants))), tuple(elements[k] for k in order))


def _pieces(drawn: BaseGeometry, noun: str, draw: random.Random) -> list[BaseGeometry]:
    """A line or some ground as a map may have it: now and then in pieces."""
    if drawn.geom_type in ("LineString", "LinearRing") and draw.random() < 0.4:
        return _cut_line(shapely.get_coordinates(drawn), draw)
    if noun in GROUND and draw.random() < 0.25:
        turn, at = draw.uniform(0, 180), shapely.get_coordinates(drawn.representative_point())[0]
        cut = shapely.affinity.rotate(shapely.LineString([at - (2000, 0), at + (2000, 0)]), turn, origin=tuple(at))
        half = shapely.affinity.rotate(
            shapely.box(at[0] - 2000, at[1], at[0] + 2000, at[1] + 2000), turn, origin=tuple(at)
        )
        if cut.intersection(drawn).intersection(_SQUARE).length > 12:
            return [drawn.intersection(half), drawn.difference(half)]
    return [drawn]


def _cut_line(places: np.ndarray, draw: random.Random) -> list[BaseGeometry]:
    """In up to six pieces, in any direction and order: at points of the patch at which it does not turn back."""
    ways = np.diff(places, axis=0)
    turns = np.abs(np.angle(np.exp(1j * np.diff(np.arctan2(ways[:, 1], ways[:, 0])))))
    inside = ((places > 0) & (places < SIDE)).all(axis=1)[1:-1]
    fit = [int(k) + 1 for k in np.flatnonzero(inside & (turns < 2.0))]
    at = [0, *sorted(draw.sample(fit, min(len(fit), draw.randint(1, 5)))), len(places) - 1]
    pieces = [places[a : b + 1][:: draw.choice((1, -1))] for a, b in itertools.pairwise(at)]
    return [shapely.LineString(piece) for piece in draw.sample(pieces, len(pieces))]


def _is_unclear(one: BaseGeometry, other: BaseGeometry) -> bool:
    """Whether it is hard to see if two pieces of ground are one within the patch."""
    one, other = one.intersection(_SQUARE), other.intersection(_SQUARE)
    return bool(shapely.distance(one, other) < 1.5 and one.intersection(other).area < _CLEAR)


def _together(plants: Sequence[Plant]) -> list[Plant]:
    """Plants, with ground of one kind that lies over each other within the patch as one, called by the first key."""
    found: list[Plant] = []
    for plant in plants:
        mine = [
            each
            for each in found
            if plant.noun in GROUND
            and each.noun == plant.noun
            and each.shape.intersection(plant.shape).intersection(_SQUARE).area > 1.0
        ]
        found = [each for each in found if each not in mine]
        keys = sorted(
            (plant.key, *(each.key for each in mine)), key=lambda key: (key.split("/")[0], int(key.split("/")[1]))
        )
        found.append(
            replace(plant, key=keys[0], shape=shapely.union_all([plant.shape, *(each.shape for each in mine)]))
        )
    return found


def _at(draw: random.Random, margin: float = -40.0) -> tuple[float, float]:
    return draw.uniform(margin, SIDE - margin), draw.uniform(margin, SIDE - margin)


def _area(draw: random.Random) -> BaseGeometry:
    """A field, a round pond, a long lake, an L, a C, a ring, a pair, a blot, or what fills a side of the patch."""
    at, size, turn = _at(draw), draw.choice((8, 15, 30, 60, 110, 180)) * draw.uniform(0.7, 1.3), draw.uniform(0, 360)
    kind = draw.choice(("rectangle", "square", "disc", "ellipse", "l", "c", "ring", "pair", "blot", "side", "all but"))
    if kind == "rectangle":
        return rectangle(size, size / draw.uniform(1.2, 8), turn, at)
    if kind == "square":
        return rectangle(size, size * draw.uniform(0.9, 1.0), turn, at)
    if kind == "disc":
        return disc(size / 2, at)
    if kind == "ellipse":
        return shapely.affinity.rotate(shapely.affinity.scale(disc(size / 2, at), 1, 1 / draw.uniform(1.2, 5)), turn)
    if kind in ("l", "c"):
        x, y = at
        whole = shapely.box(x - size / 2, y - size / 2, x + size / 2, y + size / 2)
        corner = (x - size / 6, y - size / 6, x + size, y + size if kind == "l" else y + size / 6)
        return shapely.affinity.rotate(whole.difference(shapely.box(*corner)), turn)
    if kind == "ring":
        return disc(size / 2, at).difference(disc(size / 2 * draw.uniform(0.3, 0.9), at))
    if kind == "pair":
        other = (at[0] + draw.uniform(1.2, 2) * size, at[1])
        return shapely.union(rectangle(size, size / 2, turn, at), disc(size / 2 * draw.uniform(0.2, 1), other))
    if kind == "blot":
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        waves = [(draw.uniform(0, 0.35), draw.uniform(0, 6.3), k) for k in (2, 3, 5)]
        radius = size / 2 * (1 + sum(a * np.sin(k * angles + p) for a, p, k in waves))
        blot = shapely.Polygon(np.stack([at[0] + radius * np.cos(angles), at[1] + radius * np.sin(angles)], -1))
        return blot if blot.is_valid else disc(size / 2, at)
    tilted = shapely.affinity.rotate(shapely.box(at[0], -500, 800, 800), turn, origin=at)
    whole = shapely.box(-60, -60, SIDE + 60, SIDE + 60)
    return whole.difference(disc(size, at)) if kind == "all but" else whole.intersection(tilted)


def _line(draw: random.Random) -> BaseGeometry:
    """A straight road, a bow, an S, a zigzag, a walk, a loop, or one that leaves the patch and comes back."""
    at, size, turn = _at(draw, 10), draw.uniform(20, 320), draw.uniform(0, 360)
    kind = draw.choice(("straight", "straight", "straight", "bow", "s", "zigzag", "walk", "loop", "returns", "pieces"))
    along = np.linspace(0, 1, 60)
    if kind == "straight":
        points = np.stack([np.array([0, draw.uniform(0.2, 0.8), 1]), np.zeros(3)], -1)
    elif kind == "bow":
        points = np.stack([along, draw.uniform(0.002, 0.6) * np.sin(np.pi * along)], -1)
    elif kind == "s":
        points = np.stack([along, draw.uniform(0.01, 0.4) * np.sin(2 * np.pi * along)], -1)
    elif kind == "zigzag":
        points = np.stack([np.arange(6) / 5, np.arange(6) % 2 * draw.uniform(0.05, 0.4)], -1)
    elif kind == "walk":
        points = np.array([(k / 5, draw.uniform(-0.25, 0.25)) for k in range(6)])
    elif kind == "loop":
        return disc(size / 6, at).exterior
    elif kind == "returns":
        return shapely.LineString([(at[0], 40), (at[0], SIDE + 60), (at[0] + 70, SIDE + 60), (at[0] + 50, 60)])
    else:
        points = np.stack([np.array([0.0, 1.0]), np.zeros(2)], -1)
        one = shapely.LineString(points * size + at)
        return shapely.MultiLineString(
            [one, shapely.affinity.rotate(one, draw.uniform(0, 180), origin=(at[0] + 30, at[1] + 5))]
        )
    return shapely.affinity.rotate(shapely.LineString(points * size + np.array(at) - (size / 2, 0)), turn, origin=at)


def _point(draw: random.Random) -> BaseGeometry:
    return shapely.Point(_at(draw, 1))
