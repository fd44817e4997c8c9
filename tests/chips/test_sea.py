"""The sea of patches: an area by its coastlines, land on their left, told where they tell it and nowhere else."""

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from support.maps import helsinki
from support.plants import PLACES, SIDE, patch, planted, rectangle, stroke

from nutonic.chips.scene.describe import describe
from nutonic.chips.scene.description import SceneDescription, Sea
from nutonic.chips.scene.policy import parse
from nutonic.chips.scene.sea import is_coast
from nutonic.cli.demo.rsteller.data import GRID
from nutonic.cli.demo.rsteller.picture import rendered
from nutonic.core.grid import lonlat_bounds
from nutonic.recipe.texts import builtin
from nutonic.sources.osm.index import build_index
from nutonic.sources.osm.shapes import shapes_of
from nutonic.sources.osm.source import Extract

POLICY = parse(builtin("tags")["text"])
FAR = SIDE + 60


def scene(*coast, grid=None, policy=POLICY, more=()):
    """A patch with coastlines: shapes in metres from its south-west corner, or shapes with tags."""
    grid = grid or patch()
    coasts = [shapely.segmentize(shape, 10) for shape in coast]  # a line of a map is straight in degrees, not in metres
    elements = [planted(shape, grid, number, natural="coastline") for number, shape in enumerate(coasts, 1)]
    elements += [planted(shape, grid, number, **tags) for number, (shape, tags) in enumerate(more, 101)]
    return describe(elements, grid, policy, patch_id="p")


def sea(*coast, **others):
    return next((each for each in scene(*coast, **others).elements if isinstance(each, Sea)), None)


def around(shape):
    """A coastline around land: anticlockwise, the land on its left."""
    return shapely.orient_polygons(shape).exterior


UP = stroke((90, -50), (90, FAR))
#: A bend that is alike neither upside down nor the other way round: land in the north-west, an eighth and a bit.
CORNER = stroke((120, FAR), (120, 180), (-50, 180))
ISLAND = around(shapely.Polygon([(30, 20), (130, 40), (60, 110)]))
ISLAND_M2 = shapely.Polygon(ISLAND).area
WHOLE = SIDE**2


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("coast", "area", "cells"),
    [
        ([UP], (SIDE - 90) * SIDE, "north north-east centre east south south-east"),
        ([UP.reverse()], 90 * SIDE, "north-west west south-west"),
        ([stroke((-50, 90), (FAR, 90))], 90 * SIDE, "south-west south south-east"),
        ([stroke((FAR, 90), (-50, 90))], (SIDE - 90) * SIDE, "north-west north north-east west centre east"),
        ([CORNER], 120 * (SIDE - 180), "north-west north"),
        ([CORNER.reverse()], WHOLE - 120 * (SIDE - 180), "north north-east west centre east south-west south south-east"),
        ([ISLAND], WHOLE - ISLAND_M2, "north-west north north-east west centre east south-west south south-east"),
        ([ISLAND.reverse()], ISLAND_M2, "west south-west south"),
        ([UP, stroke((180, FAR), (180, -50))], 90 * SIDE, "north centre south"),
        ([UP, around(rectangle(40, 30, 0, (200, 200)))], (SIDE - 90) * SIDE - 1200, None),
        ([stroke((90, -50), (90, 77)), stroke((90, 77), (90, FAR))], (SIDE - 90) * SIDE, None),
        ([UP, UP], (SIDE - 90) * SIDE, None),
    ],
    ids=[
        *("north", "south", "east", "west", "a bay in the north-west", "a cape in the north-west", "an island"),
        *("a bay within", "a strait", "an island before the coast", "two ways", "a way twice"),
    ],
)  # fmt: skip
def test_the_sea_is_what_lies_to_the_right_of_coastlines(coast, area, cells, place):
    found = sea(*coast, grid=patch(place))
    assert found.area_m2 == pytest.approx(area, abs=1)
    assert found.share == pytest.approx(area / WHOLE, abs=2e-5)
    assert (found.kind, found.noun) == ("area", "sea")
    assert found.tags == (("natural", "sea"),)
    if cells is not None:
        assert " ".join(found.cells) == cells


@pytest.mark.parametrize(
    "coast",
    [
        [],
        [stroke((FAR, 0), (FAR, SIDE))],
        [stroke((90, -50), (90, 200))],
        [stroke((90, 100), (90, 200))],
        [stroke((90, -50), (90, 77)), stroke((90, FAR), (90, 77))],
        [stroke((90, -50), (90, 77)), stroke((90, 79), (90, FAR))],
        [UP, stroke((180, -50), (180, FAR))],
        [UP, UP.reverse()],
        [UP, stroke((-50, 90), (FAR, 90))],
        [UP, stroke((-50, 90), (90, 90))],
        [UP, around(rectangle(40, 30, 0, (40, 200)))],
        [ISLAND, around(shapely.Polygon(ISLAND).buffer(-8, join_style="mitre"))],
        [shapely.MultiLineString([[(90, -50), (90, 77)], [(90, 79), (90, FAR)]])],
    ],
    ids=[
        *("no coast", "beside the patch", "ends within", "begins and ends within", "head on", "a gap"),
        *("land and sea between two", "there and back", "crossing", "one ends at another", "an island in the land"),
        *("an island in an island", "nodes are missing"),
    ],
)  # fmt: skip
def test_where_coastlines_do_not_tell_nothing_is_sea(coast):
    assert sea(*coast) is None


@given(
    st.lists(st.floats(20, 250), min_size=2, max_size=9),
    st.booleans(),
    st.sampled_from(range(4)),
    st.sampled_from(sorted(PLACES)),
)
@settings(deadline=None)
def test_sea_and_land_are_the_patch(depths, forth, turned, place):
    """A coast from one side to the other, told in either direction: what is sea of one is land of the other."""
    xs = np.linspace(-30, SIDE + 30, len(depths))
    coast = shapely.LineString(np.stack([xs, depths], -1))
    coast = shapely.affinity.rotate(coast, 90 * turned, origin=(SIDE / 2, SIDE / 2))
    coast = coast if forth else coast.reverse()
    grid = patch(place)
    one, other = (sea(line, grid=grid) for line in (coast, coast.reverse()))
    pieces = shapely.ops.split(shapely.box(0, 0, SIDE, SIDE), coast).geoms
    right = coast.parallel_offset(0.01, "right")
    water = sum(piece.area for piece in pieces if piece.intersection(right).length > 1)
    assert one.area_m2 == pytest.approx(water, abs=3)
    assert one.area_m2 + other.area_m2 == pytest.approx(WHOLE, abs=0.2)


@pytest.mark.parametrize("place", [place for place in PLACES if place.startswith("fiji")])
@pytest.mark.parametrize("forth", [True, False])
def test_a_coast_across_the_180th_meridian_that_a_map_cuts_there_is_one_coast(place, forth):
    grid = patch(place)
    coast = shapely.segmentize(stroke((-50, 30), (150, 120), (FAR, 100)), 10)
    coast = coast if forth else coast.reverse()
    element = planted(coast, grid, natural="coastline")
    (cut,) = shapes_of([element.geometry.wkb_hex], np.array([False]))
    assert cut.geom_type == "MultiLineString", "it crosses the meridian"
    (one, *_), (other, *_) = (
        describe([replace(element, geometry=shape)], grid, POLICY, patch_id="p").elements
        for shape in (element.geometry, cut)
    )
    assert isinstance(one, Sea)
    assert other == one


@pytest.mark.long
def test_the_sea_of_real_patches_is_what_a_picture_of_them_shows_as_water(tmp_path):
    """Helsinki's shore, of which ways are cut off at the extract's border: drawn by other code, pixel by pixel."""
    index = tmp_path / "osm.sqlite"
    build_index(helsinki(), index, within=None, drops=POLICY.drops)
    grids = [
        GRID[row : row + 448, column : column + 448] for row in (0, 320, 640) for column in (0, 280, 560, 840, 1120)
    ]
    maps = Extract(index=index).over([lonlat_bounds(grid) for grid in grids])
    shares, shown = [], []
    for elements, grid in zip(maps, grids, strict=True):
        found = describe(elements, grid, POLICY, patch_id="p").elements
        shares.append(next((each.share for each in found if isinstance(each, Sea)), 0.0))
        coasts = [each for each in elements if is_coast(each)]
        picture = rendered(coasts, grid).astype(int)
        shown.append(float((picture[..., 2] > picture[..., 0] + 10).mean()))
    told = [(share, water) for share, water in zip(shares, shown, strict=True) if share]
    assert len(told) >= 4
    assert [share for share, _ in told] == pytest.approx([water for _, water in told], abs=0.002)


def test_inner_waters_are_not_the_sea():
    lake = (rectangle(40, 40, 0, (45, 134)), {"natural": "water"})
    found = {each.noun: each for each in scene(UP, more=[lake]).elements}
    assert found["body of water"].area_m2 == pytest.approx(1600, abs=1)
    assert found["sea"].area_m2 == pytest.approx((SIDE - 90) * SIDE, abs=1)
    assert sea(more=[lake]) is None


def test_the_sea_ranks_among_areas_and_lies_beside_its_coast():
    wood = (shapely.box(-50, -50, 70, 100), {"landuse": "forest"})
    pier = (rectangle(60, 4, 0, (110, 200)), {"man_made": "pier"})
    beach = (shapely.box(75, 110, 90, 180), {"natural": "beach"})
    path = (stroke((80, -50), (80, FAR)), {"highway": "path"})
    found = scene(UP, more=[wood, pier, beach, path]).elements
    assert [each.element for each in found] == ["sea/1", "way/101", "way/103", "way/102", "way/1", "way/104"]
    near = {each.element: set(each.near) for each in found}
    assert {"way/1", "way/103", "way/104"} <= near["sea/1"], "beside it: its coast, the beach, the path"
    assert "way/102" not in near["sea/1"], "a pier lies in it"
    assert "sea/1" in near["way/1"]


def test_a_sea_within_the_patch_is_not_cut():
    assert sea(ISLAND.reverse()).cut is False
    assert sea(ISLAND).cut
    assert sea(UP).cut


def test_the_coast_that_tells_is_kept_with_its_versions():
    found = sea(ISLAND, around(rectangle(40, 30, 0, (200, 200))), stroke((FAR, 0), (FAR, SIDE)))
    assert found.coast == (("way/1", 1), ("way/2", 1))
    assert (found.element, found.version) == ("sea/1", 0)
    whole = scene(ISLAND, more=[(rectangle(30, 20), {"building": "yes"})])
    assert SceneDescription.from_json(json.loads(json.dumps(whole.json()))) == whole


@pytest.mark.parametrize(
    ("tags", "water"),
    [
        ({"natural": "coastline", "place": "islet"}, WHOLE - ISLAND_M2),
        ({"natural": "coastline", "place": "island", "boundary": "administrative"}, WHOLE - ISLAND_M2),
        ({"natural": "coastline", "leisure": "marina"}, None),
        ({"place": "islet"}, None),
    ],
)
def test_a_coastline_that_is_an_area_is_an_islands_or_tells_nothing(tags, water):
    """A map that makes an area of a way keeps no direction of it; an island is called so."""
    for ring in (ISLAND, ISLAND.reverse()):
        found = sea(more=[(shapely.Polygon(ring), tags)])
        assert (found and found.area_m2) == (water and pytest.approx(water, abs=1))
    assert sea(UP, more=[(shapely.Polygon(ISLAND), {"natural": "coastline", "leisure": "marina"})]) is None


def test_an_island_is_no_coastline_that_covers_ground():
    found = scene(more=[(shapely.Polygon(ISLAND), {"natural": "coastline", "place": "islet"})]).elements
    assert [(each.noun, each.kind) for each in found] == [("sea", "area"), ("islet", "area")]


def test_a_coast_that_is_a_border_too_is_a_coast():
    border = {"natural": "coastline", "boundary": "administrative", "admin_level": "4"}
    assert [each.noun for each in scene(more=[(UP, border)]).elements] == ["sea", "coastline"]


def test_a_policy_that_has_no_word_for_the_sea_tells_of_none():
    silent = parse(builtin("tags")["text"].replace("natural=sea: sea", "natural=sea: null"))
    assert [each.noun for each in scene(UP, policy=silent).elements] == ["coastline"]


@pytest.mark.parametrize(("width", "is_seen"), [(1.2, False), (2.4, True)])
def test_a_sea_of_two_pixels_at_the_edge_is_none(width, is_seen):
    coast = stroke((SIDE - width, -50), (SIDE - width, FAR))
    assert (sea(coast) is not None) is is_seen
