"""Descriptions of patches against elements that are planted at known places, in known sizes."""

import numpy as np
import pyproj
import pytest
import shapely
import shapely.affinity
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from shapely.geometry import MultiLineString, MultiPolygon, Point, Polygon, box
from support.plants import PLACES, SIDE, disc, patch, planted, stroke

from nutonic.chips.scene.describe import NEAR_M, describe
from nutonic.chips.scene.frame import CELLS, Frame
from nutonic.chips.scene.policy import parse
from nutonic.errors import GridError

POLICY = parse("""
visible:
  natural=water: body of water
  landuse=forest: forest
  building: building
  highway: road
  natural=tree: tree
  surface: null
invisible: [name]
dropped: [boundary, indoor]
""")
GEOD = pyproj.Geod(ellps="WGS84")
THIRD = SIDE / 3
#: Middles of the nine parts, in the order of `CELLS`.
MIDDLES = [((k + 0.5) * THIRD, SIDE - (j + 0.5) * THIRD) for j in range(3) for k in range(3)]


def told(*shapes, grid=None, **tags):
    """Descriptions of shapes in the order in which they are given, water or roads unless told otherwise."""
    grid = grid or patch()
    elements = []
    for number, shape in enumerate(shapes, 1):
        dimension = shapely.get_dimensions(shape)
        default = ({"natural": "tree"}, {"highway": "path"}, {"natural": "water"})[dimension]
        elements.append(planted(shape, grid, number, **(tags or default)))
    found = {each.element: each for each in describe(elements, grid, POLICY, patch_id="p").elements}
    return [found.get(f"way/{number}") for number in range(1, len(shapes) + 1)]


def one(shape, **more):
    return told(shape, **more)[0]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pixel", [0.3, 1.0])
def test_metres_and_square_metres_are_those_on_the_ground(place, pixel):
    grid = patch(place, pixel=pixel)
    side = 448 * pixel
    shape = shapely.affinity.scale(
        Polygon([(20, 30), (170, 12), (110, 77), (101, 140)]), side / 190, side / 190, origin=(0, 0)
    )
    line = stroke((side * 0.1, side * 0.2), (side * 0.5, side * 0.3), (side * 0.9, side * 0.85))
    area, road = told(shape, line, grid=grid)
    lon, lat = planted(shape, grid).geometry.exterior.coords.xy
    on_ground = abs(GEOD.polygon_area_perimeter(lon, lat)[0])
    assert area.area_m2 == pytest.approx(on_ground, rel=0.01)
    assert area.share == pytest.approx(shape.area / side**2, abs=1e-4)
    lon, lat = planted(line, grid).geometry.coords.xy
    assert road.length_m == pytest.approx(GEOD.line_length(lon, lat), rel=0.01)
    assert not area.cut
    assert not road.cut


@pytest.mark.parametrize("place", PLACES)
def test_west_is_left_and_north_is_up_everywhere_on_earth(place):
    grid = patch(place)
    found = told(*(disc(20, at) for at in MIDDLES), grid=grid)
    assert [each.where for each in found] == list(CELLS)
    assert [each.cells for each in found] == [(cell,) for cell in CELLS]
    # the map says so too: the north-western thing lies north and west of the middle
    lon, lat = zip(*(planted(Point(at), grid).geometry.coords[0] for at in MIDDLES), strict=True)
    middle = planted(Point(SIDE / 2, SIDE / 2), grid).geometry
    for cell, x, y in zip(CELLS, lon, lat, strict=True):
        azimuth, _, metres = GEOD.inv(middle.x, middle.y, x, y)
        point = {"north": 0, "north-east": 45, "east": 90, "south-east": 135, "south": 180, "south-west": 225, "west": 270,
                 "north-west": 315}  # fmt: skip
        assert metres < 1 if cell == "centre" else abs((azimuth - point[cell] + 180) % 360 - 180) < 7


@pytest.mark.parametrize(
    ("degrees", "way", "ends"),
    [
        (0, "north to south", ("north", "south")),
        (24, "north-north-east to south-south-west", ("north-east", "south-west")),
        (47, "north-east to south-west", ("north-east", "south-west")),
        (67, "east-north-east to west-south-west", ("north-east", "south-west")), (91, "east to west", ("west", "east")),
        (114, "west-north-west to east-south-east", ("north-west", "south-east")),
        (133, "north-west to south-east", ("north-west", "south-east")),
        (157, "north-north-west to south-south-east", ("north-west", "south-east")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["minnesota, as NAIP", "patagonia", "fiji, west of 180°"])
def test_a_road_runs_as_it_was_laid(place, degrees, way, ends):
    # half as wide to one side as to the other, so that no turn or flip leaves it as it was
    x, y = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    found = one(stroke((134 - 120 * x, 134 - 120 * y), (134, 134), (134 + 124 * x, 134 + 124 * y)), grid=patch(place))
    assert (found.orientation, found.ends, found.course) == (way, ends, "straight")
    assert found.length_m == pytest.approx(244, rel=0.005)
    assert found.sinuosity < 1.0001


@pytest.mark.parametrize("index", range(9))
def test_a_ring_lies_where_its_ground_is(index):
    ring = disc(40, MIDDLES[index]).difference(disc(34, MIDDLES[index]))
    assert one(ring).where == CELLS[index]


def test_a_wide_ring_does_not_lie_in_its_hole():
    found = one(box(20, 20, 249, 249).difference(box(95, 95, 174, 174)))
    assert "centre" in found.cells, "its inner border is there"
    assert found.where != "centre"


def c_of(opening: str):
    """A frame of three sides, open to the side that is told."""
    whole = box(20, 20, SIDE - 20, SIDE - 20).difference(box(60, 60, SIDE - 60, SIDE - 60))
    gap = {"west": box(0, 60, 60, SIDE - 60), "east": box(SIDE - 60, 60, SIDE, SIDE - 60),
           "north": box(60, SIDE - 60, SIDE - 60, SIDE), "south": box(60, 0, SIDE - 60, 60)}  # fmt: skip
    return whole.difference(gap[opening])


@pytest.mark.parametrize("opening", ["west", "east", "north", "south"])
def test_a_c_lies_on_its_own_ground_and_reaches_all_but_its_opening(opening):
    found = one(c_of(opening))
    assert set(CELLS) - set(found.cells) == {"centre", opening}
    cell = Frame(patch()).cells[CELLS.index(found.where)]
    box = patch().boundingbox
    assert shapely.affinity.translate(c_of(opening), box.left, box.bottom).intersection(cell).area > 100


HOLED = MultiPolygon([box(10, 150, 130, 260).difference(box(30, 170, 110, 240)), box(200, 20, 250, 70)])


def test_pieces_with_holes_are_measured_without_them():
    found = one(HOLED)
    assert found.area_m2 == pytest.approx(120 * 110 - 80 * 70 + 50 * 50, rel=0.002)
    assert found.where in ("north-west", "north", "west"), "where its largest piece is, and not in the hole"
    assert "south-east" in found.cells
    assert found.shape is None


@settings(max_examples=60)
@given(st.floats(5, SIDE - 5), st.floats(5, SIDE - 5), st.floats(8, 120), st.floats(0.3, 0.97), st.floats(0, 360))
def test_where_is_a_part_that_the_shape_reaches(x, y, radius, hollow, degrees):
    """Rings, cut open, anywhere, also over the edge."""
    ring = disc(radius, (x, y)).difference(disc(radius * hollow, (x, y)))
    shape = ring.difference(
        shapely.affinity.rotate(box(x, y - radius / 3, x + radius, y + radius / 3), degrees, (x, y))
    )
    found, grid = one(shape), patch()
    inside = shapely.affinity.translate(shape.intersection(box(0, 0, SIDE, SIDE)), *grid.boundingbox[:2])
    if inside.area < 0.5:
        return
    parts = {cell: inside.intersection(part).area for cell, part in zip(CELLS, Frame(grid).cells, strict=True)}
    assert parts[found.where] > 0.04 * inside.area
    assert found.where in found.cells
    assert {cell for cell, area in parts.items() if area > 0.06 * inside.area} <= set(found.cells)
    assert all(parts[cell] > 0.04 * inside.area or parts[cell] > 0.09 * THIRD**2 for cell in found.cells)
    assert all(parts[cell] < 0.11 * THIRD**2 for cell in set(CELLS) - set(found.cells))


def test_what_takes_an_eighth_of_a_part_is_said_to_be_there():
    # three quarters of the patch, and an eighth of the north-eastern part: a fiftieth of itself
    shape = box(0, 0, SIDE, SIDE).difference(box(2 * THIRD, 2 * THIRD + 11, SIDE, SIDE)).difference(box(10, 10, 80, 80))
    assert one(shape).cells == CELLS
    road = stroke((10, 5), (260, 5), (260, 175), (10, 175), (10, 5), (250, 100), (255, SIDE - THIRD + 21))
    assert "north-east" in one(road).cells


def test_what_goes_on_is_cut_and_what_ends_at_the_edge_is_not():
    inside = box(100, 100, SIDE, 200)
    beyond = box(100, 100, SIDE + 2, 200)
    crumb = box(100, 100, SIDE + 0.003, 200)  # a third of a square metre beyond the edge: less than a pixel
    assert [one(each).cut for each in (inside, beyond, crumb)] == [False, True, False]
    ends, on = stroke((10, 10), (10, SIDE)), stroke((10, 10), (10, SIDE + 3))
    assert [each.cut for each in told(ends, on)] == [False, True]
    found = one(box(-400, 100, 900, 500))
    assert found.cut
    assert found.share == pytest.approx((SIDE - 100) / SIDE, abs=5e-4)
    assert found.area_m2 == pytest.approx(SIDE * (SIDE - 100), rel=1e-3)
    assert one(box(SIDE + 1, 0, 400, 100)) is None


@pytest.mark.parametrize("place", ["berlin", "fiji, west of 180°", "fiji, east of 180°"])
def test_what_has_a_piece_far_away_is_not_seen_in_full(place):
    inside, far = box(100, 100, 150, 180), box(SIDE + 500, 100, SIDE + 560, 150)
    lines = MultiLineString([[(9, 9), (90, 9)], [(-900, 9), (-800, 9)]])
    found = [one(each, grid=patch(place)) for each in (inside, MultiPolygon([inside, far]), lines)]
    assert [each.cut for each in found] == [False, True, True]
    assert found[1].area_m2 == pytest.approx(4000, rel=0.002)


def test_a_line_that_leaves_and_comes_back_has_no_ends():
    there = one(stroke((50, 100), (50, 400), (200, 400), (200, 100)))
    assert there.ends is None
    assert there.cut
    assert there.length_m == pytest.approx(2 * (SIDE - 100), rel=0.002)


def test_pieces_that_meet_are_one_line():
    found = one(MultiLineString([[(20, 60), (120, 90)], [(240, 126), (120, 90)]]))
    assert (found.ends, found.course) == (("east", "south-west"), "straight")
    assert found.orientation == "east-north-east to west-south-west"


def test_shares_add_up_to_the_patch():
    left, right = box(-10, -10, 100, 400), box(100, -10, 400, 400)
    assert one(left).share + one(right).share == pytest.approx(1.0, abs=2e-4)
    (whole,) = filter(None, told(left, right))
    assert whole.share == pytest.approx(1.0, abs=2e-4)


def near_of(first, second):
    """What is beside either; the second is no water, of which two that adjoin are one."""
    kinds = {"natural": "tree"}, {"highway": "path"}, {"landuse": "forest"}
    other = planted(second, patch(), 2, **kinds[shapely.get_dimensions(second)])
    water = planted(first, patch(), 1, **({"natural": "water"} if shapely.get_dimensions(first) == 2 else kinds[1]))
    found = {each.element: each.near for each in describe([water, other], patch(), POLICY, patch_id="p").elements}
    return [found["way/1"], found["way/2"]]


def test_what_is_beside_what_goes_by_metres():
    pond, wood = box(20, 20, 80, 80), box(80 + NEAR_M - 0.2, 20, 140, 80)
    assert near_of(pond, wood) == [("way/2",), ("way/1",)]
    assert near_of(pond, shapely.affinity.translate(wood, 0.5, 0)) == [(), ()]
    assert near_of(pond, box(80, 20, 140, 80)) == [("way/2",), ("way/1",)], "what touches is beside"
    assert near_of(pond, box(40, 40, 60, 60)) == [(), ()], "an island lies in it, not beside it"
    assert near_of(pond, Point(50, 50)) == [(), ()]
    assert near_of(pond, Point(50, 90)) == [("way/2",), ("way/1",)]
    assert near_of(pond, stroke((10, 50), (90, 50))) == [(), ()], "a road over it"
    assert near_of(pond, stroke((10, 85), (90, 85))) == [("way/2",), ("way/1",)]
    assert near_of(stroke((10, 10), (90, 90)), stroke((10, 90), (90, 10))) == [("way/2",), ("way/1",)], "a crossing"


ISLAND = box(60, 60, 140, 140)
LAKE = box(20, 20, 220, 220).difference(ISLAND)


@pytest.mark.parametrize(
    ("inner", "is_beside"),
    [
        (ISLAND, False),  # which fills the hole, ...
        (ISLAND.buffer(-5), False),  # ... or most of it, ...
        (box(60, 60, 140, 140).union(box(60, 60, 142, 62)), False),  # ... and reaches over its shore
        (box(60, 60, 75, 75), True),  # a meadow on the island's shore
        (box(70, 62, 78, 70), True),
        (box(220, 20, 260, 220), True),  # the shore of the lake
        (Point(62, 100), True),
    ],
)
def test_what_another_area_has_all_around_it_lies_in_it_and_not_beside_it(inner, is_beside):
    assert near_of(LAKE, inner) == ([("way/2",), ("way/1",)] if is_beside else [(), ()])


def test_an_island_that_the_edge_cuts_lies_in_its_lake_too():
    island = box(200, 100, SIDE + 10, 160)
    lake = box(120, 20, SIDE + 20, 250).difference(island)
    assert near_of(lake, island) == [(), ()]


def test_the_nearest_is_told_first():
    road = stroke((10, 100), (250, 100))
    trees = [Point(30 + 40 * k, 101 + 3 * ((k * 3) % 5)) for k in range(5)]
    assert told(road, *trees)[0].near == ("way/2", "way/4", "way/6", "way/3", "way/5")


def test_elements_are_told_from_the_largest_on():
    shapes = [
        box(10, 10, 30, 30),
        stroke((5, 5), (105, 5)),
        box(100, 100, 200, 200),
        Point(50, 50),
        stroke((0, 9), (250, 9)),
    ]
    grid = patch()
    elements = [planted(shape, grid, n, **({"natural": "tree"} if n == 4 else {"building": "yes", "highway": "x"}))
                for n, shape in enumerate(shapes, 1)]  # fmt: skip
    whole = describe(elements, grid, POLICY, patch_id="p")
    assert [each.element for each in whole.elements] == ["way/3", "way/1", "way/5", "way/2", "way/4"]
    assert describe(elements[::-1], grid, POLICY, patch_id="p") == whole


def test_what_no_pixel_shows_and_what_is_dropped_is_not_there():
    assert one(box(10, 10, 10.5, 10.5)) is None
    assert one(stroke((10, 10), (10.4, 10))) is None
    assert one(box(10, 10, 60, 60), natural="water", boundary="protected_area") is None
    assert one(box(10, 10, 60, 60), natural="water", indoor="no") is not None, "what says no is not indoors"
    assert one(box(10, 10, 60, 60), name="Lake") is None


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize(
    ("shape", "is_seen"),
    [
        (box(-200, 100, 1.2, 150), False),  # two pixels of a lake
        (box(-200, 100, 1.7, 268), False),
        (box(-200, 100, 2.0, 150), True),
        (Polygon([(-50, 50), (50, -50), (-50, -50)]), False),  # the very corner, ...
        (Polygon([(-50, 53), (53, -50), (-50, -50)]), False),  # ... of which the edge leaves a triangle of 3 m, ...
        (Polygon([(-50, 60), (60, -50), (-50, -50)]), True),  # ... and of 10 m
        (box(0.3, 100, 1.5, 104), True),  # small, and whole
        (box(-30, 100, 40, 100.7), True),  # as narrow as it is anywhere
        (stroke((-20, 100), (1.7, 100)), False),
        (stroke((-20, 100), (1.9, 100)), True),
        (stroke((0.1, 100), (1.5, 100)), True),
        (stroke((0.5, -10), (0.5, 280)), True),
        (box(-200, 100, 0, 150), False),
    ],
)  # fmt: skip
def test_what_the_edge_leaves_a_sliver_of_is_not_there(shape, is_seen, turns):
    turned = shapely.affinity.rotate(shape, 90 * turns, origin=(SIDE / 2, SIDE / 2))
    assert (one(turned) is not None) is is_seen


def test_a_grid_that_is_no_map_is_refused():
    def refused(geobox: GeoBox) -> str:
        with pytest.raises(GridError) as caught:
            describe([], geobox, POLICY, patch_id="p")
        return str(caught.value)

    west, north = patch().affine.c, patch().affine.f
    assert "a patch is square" in refused(GeoBox((448, 440), patch().affine, "EPSG:32633"))
    assert "not in metres" in refused(GeoBox((448, 448), Affine(1e-5, 0, 13.0, 0, -1e-5, 52.0), "EPSG:4326"))
    assert "metres are 39% off" in refused(
        GeoBox((448, 448), Affine(0.6, 0, 1_491_000, 0, -0.6, 6_890_000), "EPSG:3857")
    )
    assert "north" in refused(GeoBox((448, 448), Affine(0.6, 0.1, west, 0.1, -0.6, north), "EPSG:32633"))
    assert "its north" in refused(
        GeoBox((448, 448), Affine(0.6, 0, 500_000 + 600_000, 0, -0.6, 8_700_000), "EPSG:32633")
    )
