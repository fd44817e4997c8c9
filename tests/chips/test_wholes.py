"""What a map has in several pieces and a picture shows as one, against the same thing drawn in one piece."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pyproj
import pytest
import shapely
import shapely.affinity
from shapely.geometry import LineString, Polygon, box
from support.plants import PLACES, SIDE, disc, patch, planted, rectangle, stroke

from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.description import Described, SceneDescription, Task
from nutonic.chips.scene.policy import parse
from nutonic.recipe.annotation import Captions, Lengths
from nutonic.recipe.texts import builtin
from nutonic.rows.annotation.captions import template_caption
from nutonic.rows.annotation.gate import problem_of

POLICY = parse(builtin("tags")["text"])
GEOD = pyproj.Geod(ellps="WGS84")
STREET, FOREST = {"highway": "residential"}, {"landuse": "forest"}
#: Beside them, so that there are neighbours, and something to cross.
OTHERS = (
    (box(150, 150, 230, 210), {"landuse": "meadow"}),
    (stroke((10, 30), (200, 260)), {"highway": "path"}),
    (stroke((-20, 200), (290, 190)), STREET),
    (shapely.Point(90, 90), {"natural": "tree"}),
)


def scene_of(*plants, place: str = "berlin", numbers=None) -> SceneDescription:
    """A scene of shapes with their tags, numbered from 1 or as is said."""
    grid = patch(place)
    numbers = numbers or range(1, len(plants) + 1)
    elements = [
        replace(planted(shape, grid, number, **tags), version=number % 9 + 1)
        for number, (shape, tags) in zip(numbers, plants, strict=True)
    ]
    return describe(elements, grid, POLICY, patch_id="wholes")


def road(draw: random.Random) -> LineString:
    """A road with bends of less than a right angle, that may begin and end outside of the patch."""
    heading, at = draw.uniform(0, 2 * np.pi), np.array([draw.uniform(20, 250), draw.uniform(20, 250)])
    turn = draw.choice((0.0, 0.02, 0.15, 1.4))
    places = [at]
    for _ in range(draw.randint(7, 12)):
        heading += draw.uniform(-turn, turn)
        places.append(places[-1] + draw.uniform(8, 40) * np.array([np.cos(heading), np.sin(heading)]))
    return LineString(places)


def split(line: LineString, draw: random.Random, most: int = 6) -> list[LineString]:
    """A line in two to six pieces, cut at its points within the patch, in any direction and order."""
    places = shapely.get_coordinates(line)
    within = [k for k in range(1, len(places) - 1) if (places[k] > 0).all() and (places[k] < SIDE).all()]
    cuts = sorted(draw.sample(within, min(len(within), draw.randint(1, most - 1))))
    ends = [0, *cuts, len(places) - 1]
    pieces = [LineString(places[a : b + 1][:: draw.choice((1, -1))]) for a, b in itertools.pairwise(ends)]
    return draw.sample(pieces, len(pieces))


def numbered(count: int, draw: random.Random) -> list[int]:
    return draw.sample(range(1, 400), count)


def apart_from_trace(scene: SceneDescription, numbers: set[int]) -> list[Described]:
    """Things as they are told, whatever the keys of one of them; neighbours of a distance in any order."""
    same = {f"way/{number}" for number in numbers}
    found = []
    for each in scene.elements:
        near = tuple(sorted("it" if key in same else key for key in each.near))
        key, version = ("it", 0) if each.element in same else (each.element, each.version)
        found.append(replace(each, element=key, version=version, near=near, parts=()))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_a_road_in_pieces_is_told_as_the_whole_road(seed):
    draw = random.Random(seed)
    place, whole = draw.choice(list(PLACES)), road(draw)
    pieces = split(whole, draw)
    numbers = numbered(len(pieces), draw)
    rest = [900 + k for k in range(len(OTHERS))]
    tags = {"highway": draw.choice(("primary", "track", "footway")), "surface": "asphalt"}
    one = scene_of((whole, tags), *OTHERS, place=place, numbers=[500, *rest])
    many = scene_of(*((piece, tags) for piece in pieces), *OTHERS, place=place, numbers=[*numbers, *rest])
    assert apart_from_trace(many, {*numbers}) == apart_from_trace(one, {500})
    found = next(each for each in many.elements if each.element == f"way/{min(numbers)}")
    told = tuple((f"way/{number}", number % 9 + 1) for number in sorted(numbers))
    assert found.parts == (told if len(numbers) > 1 else ())
    assert found.traced == told
    assert SceneDescription.from_json(many.json()) == many
    if whole.within(box(0, 0, SIDE, SIDE)):
        lon, lat = planted(whole, patch(place)).geometry.coords.xy
        assert found.length_m == pytest.approx(GEOD.line_length(lon, lat), rel=0.01)


@pytest.mark.parametrize("seed", range(20))
def test_a_ring_in_pieces_is_a_closed_ring(seed):
    draw = random.Random(seed)
    ring = shapely.simplify(disc(draw.uniform(20, 90), (134, 134)), 0.5).exterior
    pieces = split(LineString(ring.coords), draw)
    (one,) = scene_of((ring, STREET)).elements
    (many,) = scene_of(*((piece, STREET) for piece in pieces)).elements
    assert (many.course, many.ends, many.goes_on, many.cut) == ("closed", None, False, False)
    assert (many.cells, many.length_m) == (one.cells, pytest.approx(one.length_m, abs=0.11))
    assert len(many.parts) == (len(pieces) if len(pieces) > 1 else 0)


@pytest.mark.parametrize("seed", range(40))
def test_ground_in_pieces_is_told_as_the_whole(seed):
    draw = random.Random(seed)
    at, size = (draw.uniform(60, 210), draw.uniform(60, 210)), draw.uniform(40, 120)
    angles = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    radius = size * (1 + sum(draw.uniform(0, 0.25) * np.sin(k * angles + draw.uniform(0, 6)) for k in (2, 3)))
    whole = draw.choice((
        Polygon(np.stack([at[0] + radius * np.cos(angles), at[1] + radius * np.sin(angles)], -1)),
        rectangle(size, size * draw.uniform(0.3, 1), draw.uniform(0, 90), at),
        disc(size, at).difference(disc(size / 2, at)),
    ))  # fmt: skip
    turn, through = draw.uniform(0, 360), (at[0] + draw.uniform(-5, 5), at[1] + draw.uniform(-5, 5))
    half = shapely.affinity.rotate(box(through[0], -900, 900, 900), turn, origin=through)
    pieces = [whole.intersection(half), whole.difference(half)]
    place = draw.choice(list(PLACES))
    rest = [900 + k for k in range(len(OTHERS))]
    one = scene_of((whole, FOREST), *OTHERS, place=place, numbers=[500, *rest])
    many = scene_of(*((piece, FOREST) for piece in pieces), *OTHERS, place=place, numbers=[7, 3, *rest])
    (told,), (truth,) = ([e for e in scene.elements if e.noun == "forest"] for scene in (many, one))
    assert told.element == "way/3"
    assert told.parts == (("way/3", 4), ("way/7", 8))
    assert told.share == pytest.approx(truth.share, abs=2e-5)
    assert told.area_m2 == pytest.approx(truth.area_m2, abs=1)
    words = ("noun", "tags", "cells", "shape", "orientation", "cut", "goes_on")
    assert [getattr(told, word) for word in words] == [getattr(truth, word) for word in words]
    assert told.where in truth.cells if whole.interiors else told.where == truth.where  # a ring has no middle
    assert {*told.near} == {*truth.near}


def parts_of(*plants) -> list[list[int]]:
    """The numbers of the ways of each thing, in order."""
    found = (sorted(int(key.removeprefix("way/")) for key, _ in each.traced) for each in scene_of(*plants).elements)
    return sorted(found)


@pytest.mark.parametrize(
    ("lines", "things"),
    [
        # at a junction those go on that lead straight ahead
        ([[(20, 140), (134, 140)], [(134, 140), (250, 140)], [(134, 140), (134, 20)]], [[1, 2], [3]]),
        ([[(134, 140), (134, 20)], [(134, 140), (20, 140)], [(250, 150), (134, 140)]], [[1], [2, 3]]),
        ([[(20, 140), (134, 140)], [(134, 140), (250, 140)], [(134, 20), (134, 140)], [(134, 140), (134, 250)]],
         [[1, 2], [3, 4]]),
        # a fork, of which nobody sees which way is the road; three alike; what turns off
        ([[(20, 140), (134, 140)], [(134, 140), (250, 120)], [(134, 140), (250, 160)]], [[1], [2], [3]]),
        ([[(134, 140), (134, 250)], [(134, 140), (40, 80)], [(134, 140), (228, 80)]], [[1], [2], [3]]),
        # a bend where nothing else is, and one where a third way passes
        ([[(20, 140), (134, 140)], [(134, 140), (134, 20)]], [[1, 2]]),
        ([[(20, 140), (134, 140)], [(134, 140), (134, 20)], [(30, 250), (134, 140), (240, 30)]], [[1], [2], [3]]),
        ([[(20, 140), (134, 140)], [(134, 140), (250, 140)], [(134, 20), (134, 140), (134, 250)]], [[1, 2], [3]]),
        # two carriageways that part, side by side, and that are cut
        ([[(20, 140), (120, 146), (250, 146)], [(20, 140), (120, 134), (250, 134)]], [[1], [2]]),
        ([[(20, 146), (134, 146)], [(134, 146), (250, 146)], [(20, 134), (134, 134)], [(134, 134), (250, 134)]],
         [[1, 2], [3, 4]]),
        # crossings without a point in common
        ([[(20, 20), (134.4, 134.4)], [(134.4, 134.4), (250, 250)], [(20, 250), (250, 20)]], [[1, 2], [3]]),
        # a ring with a way that leads to it; a ring beside the end of another line
        ([[(20, 140), (100, 140)], [(100, 140), (140, 180), (180, 140), (140, 100), (100, 140)]], [[1], [2]]),
        ([[(20, 140), (100, 140)], [(100, 140), (140, 180), (180, 140)], [(180, 140), (140, 100), (100, 140)]],
         [[1], [2, 3]]),
        # the same two places joined by two ways
        ([[(60, 140), (134, 190), (200, 140)], [(60, 140), (134, 90), (200, 140)]], [[1, 2]]),
        # ways that go on as each other outside of the patch alone
        ([[(100, 140), (100, 290)], [(100, 290), (130, 290), (130, 140)]], [[1], [2]]),
    ],
)  # fmt: skip
def test_which_lines_are_one(lines, things):
    assert parts_of(*((LineString(line), STREET) for line in lines)) == things


def test_a_road_across_another_is_one_and_streams_that_become_a_river_are_two():
    ahead = [(stroke((20, 140), (134, 140)), STREET), (stroke((134, 140), (250, 145)), STREET)]
    across = stroke((134, 20), (134, 140), (134, 250)), {"highway": "primary"}
    assert parts_of(*ahead, across) == [[1, 2], [3]]
    streams = [(stroke(start, (134, 140)), {"waterway": "stream"}) for start in ((60, 20), (200, 20))]
    assert parts_of(*streams, (stroke((134, 140), (134, 260)), {"waterway": "river"})) == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("tags", "others"),
    [
        ({"natural": "tree_row"}, {"highway": "path"}),
        ({"highway": "residential"}, {"highway": "primary"}),
        ({"waterway": "river"}, {"waterway": "stream"}),
        ({"railway": "platform"}, {"railway": "platform"}),
        ({"aeroway": "parking_position"}, {"aeroway": "parking_position"}),
        ({"man_made": "crane"}, {"man_made": "crane"}),
    ],
)
def test_what_is_called_otherwise_or_does_not_run_on_stays_apart(tags, others):
    assert parts_of((stroke((20, 140), (134, 140)), tags), (stroke((134, 140), (250, 140)), others)) == [[1], [2]]


def test_a_whole_has_the_tags_that_all_of_it_has():
    ways = [
        {"surface": "asphalt", "lanes": "2", "name": "Elm Street"},
        {"surface": "asphalt", "lanes": "2", "name": "Elm Street", "bridge": "yes", "layer": "1"},
        {"surface": "asphalt", "lanes": "3", "name": "Oak Street", "maxspeed": "50"},
    ]
    ends = [20, 100, 160, 250]
    lines = [stroke((a, 140), (b, 140)) for a, b in itertools.pairwise(ends)]
    scene = scene_of(*((line, STREET | tags) for line, tags in zip(lines, ways, strict=True)))
    (street,) = scene.elements
    assert (street.element, street.version, street.length_m) == ("way/1", 2, pytest.approx(230, abs=1))
    assert street.tags == (("highway", "residential"), ("surface", "asphalt"))
    assert street.partly == (("bridge", "yes"), ("lanes", "2"), ("lanes", "3"))
    assert (street.ends, street.course, street.cut, street.goes_on) == (("west", "east"), "straight", False, False)
    # what a part of it has is there, and may be told
    task, captions = Task(number=2, element="way/1"), Captions(words=Lengths(line=(5, 200)))
    for bridge, problem in (("A bridge lies on its way.", None), ("A tower stands beside it.", "tower")):
        text = f"A straight residential street runs from the west of the picture to the east. {bridge}"
        found = problem_of(text, task, scene, captions)
        assert (None if found is None else found[1].lower()) == problem


HALVES = box(20, 100, 120, 200), box(120, 100, 220, 200)


@pytest.mark.parametrize(
    ("tags", "are_one"),
    [
        ({"landuse": "forest"}, True),
        ({"natural": "water"}, True),
        ({"landuse": "residential"}, True),
        ({"highway": "pedestrian"}, True),
        ({"building": "house"}, False),
        ({"building": "yes", "landuse": "forest"}, False),
        ({"landuse": "farmland"}, False),
        ({"leisure": "pitch"}, False),
        ({"leisure": "swimming_pool"}, False),
        ({"amenity": "parking"}, False),
        ({"landuse": "allotments"}, False),
    ],
)
def test_ground_that_adjoins_is_one_and_what_is_built_or_sown_is_not(tags, are_one):
    halves = [(shape, tags | ({"area": "yes"} if "highway" in tags else {})) for shape in HALVES]
    assert parts_of(*halves) == ([[1, 2]] if are_one else [[1], [2]])


def test_row_houses_stay_houses():
    row = [(box(x, 100, x + 8, 112), {"building": "house"}) for x in range(20, 120, 8)]
    assert parts_of(*row) == [[k] for k in range(1, 14)]


@pytest.mark.parametrize(
    ("second", "are_one"),
    [
        (box(120, 100, 220, 200), True),
        (box(120.4, 100, 220, 200), True),  # two thirds of a pixel away
        (box(121, 100, 220, 200), False),
        (box(90, 150, 220, 200), True),  # which lies over it
        (box(40, 120, 80, 160), True),  # in it
        (box(120, 200, 220, 260), False),  # a corner
        (box(120, 199, 220, 260), False),  # not two pixels
        (box(120, 195, 220, 260), True),
        (box(150, 100, 220, 200), False),
    ],
)
def test_areas_are_one_that_share_more_than_a_few_pixels_of_their_border(second, are_one):
    first = HALVES[0]
    assert parts_of((first, FOREST), (second, FOREST)) == ([[1, 2]] if are_one else [[1], [2]])
    if are_one:
        (forest,) = scene_of((first, FOREST), (second, FOREST)).elements
        assert forest.area_m2 == pytest.approx(shapely.union(first, second).area, rel=0.01)


def test_areas_that_adjoin_outside_of_the_patch_alone_are_two():
    west, east = box(-60, 100, 40, 150), box(90, 100, 160, 150)
    below = box(-60, -60, 300, -20)
    legs = [shapely.union(west, box(-60, -60, 0, 150)), shapely.union(box(120, -60, 160, 150), east)]
    assert parts_of(*((leg, FOREST) for leg in legs), (below, FOREST)) == [[1], [2]]


def test_the_order_of_elements_does_not_matter():
    draw = random.Random(5)
    plants = [(piece, STREET) for _ in range(6) for piece in split(road(draw), draw)]
    plants += [(shape, FOREST) for shape in (*HALVES, box(20, 60, 90, 100))]
    grid = patch()
    elements = [planted(shape, grid, k, **tags) for k, (shape, tags) in enumerate(plants, 1)]
    scenes = [describe(draw.sample(elements, len(elements)), grid, POLICY, patch_id="p") for _ in range(8)]
    assert all(scene == scenes[0] for scene in scenes)


def test_a_name_is_not_cut_where_it_is_looked_for():
    plants = [(box(20, 20, 120, 120), {"landuse": "grass"}), (shapely.Point(60, 125), {"man_made": "water_tower"}),
              (disc(20, (220, 220)), {"natural": "water", "water": "pond"})]  # fmt: skip
    scene, captions = scene_of(*plants), Captions(words=Lengths(area=(5, 200)))
    for beside, problem in (("water tower", None), ("pond", ("place", "Next to"))):
        text = f"A lawn lies in the south-west of the picture. Next to it is a {beside}. Also visible is a pond."
        assert problem_of(text, Task(number=1, element="way/1"), scene, captions) == problem


def test_an_island_lies_in_its_lake_for_the_gate_and_for_templates():
    island = disc(30, (120, 140))
    lake = disc(100, (134, 134)).difference(island)
    scene = scene_of((lake, {"natural": "water", "water": "lake"}), (island, {"place": "islet"}))
    assert [(each.noun, each.near) for each in scene.elements] == [("lake", ()), ("islet", ())]
    task, captions = Task(number=1, element="way/1"), Captions(words=Lengths(area=(5, 200)))
    for said in ("An islet lies in the lake.", "An islet is surrounded by the lake.", "Within it lies an islet."):
        assert problem_of(f"A lake lies in every part of the picture. {said}", task, scene, captions) is None
    told = [template_caption(scene, task, None, captions, seed) for seed in range(30)]
    assert any("islet" in text for text in told)
    assert not [
        text for text in told for words in ("ext to it", "eside it", "Right by it", "Close by") if words in text
    ]
