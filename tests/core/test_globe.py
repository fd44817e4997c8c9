"""The globe is round: what lies on either side of 180° is near, and outlines that cross it are whole."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from support.paths import ROOT

from nutonic.core.globe import (
    METRES_PER_DEGREE,
    around,
    between,
    boxes_around,
    boxes_of,
    drawn_on,
    east_of,
    outline_of,
    reach,
)
from nutonic.core.globe import turned as turns_of

LON, LAT = st.floats(-180, 180), st.floats(-80, 84)


@given(LON, LON)
def test_a_longitude_is_counted_from_a_meridian_the_short_way(lon: float, meridian: float):
    east = east_of(lon, meridian)
    assert -180.0 <= east < 180.0
    apart = math.remainder(east - (lon - meridian), 360.0)
    assert abs(apart) < 1e-9
    assert around(lon, meridian) == meridian + east
    assert east_of(np.array([lon]), meridian)[0] == east


def test_either_side_of_the_antimeridian_is_near():
    assert east_of(-179.5, 179.5) == 1.0
    assert east_of(179.5, -179.5) == -1.0
    assert around(-179.5, 179.5) == 180.5
    assert around(np.array([179.0, -179.0]), 179.0).tolist() == [179.0, 181.0]
    assert east_of(180.0) == -180.0


def test_longitudes_between_two_are_found_on_any_turn():
    lon = np.array([-180.0, -179.0, 0.0, 169.4, 169.6, 179.0, 180.0])
    for turn in (0.0, 360.0):
        found = between(lon, 170.0 + turn, 180.5 + turn, 0.5)
        assert found.tolist() == [True, True, False, False, True, True, True]


@given(LAT, st.floats(100, 50_000))
def test_a_reach_holds_its_metres(lat: float, metres: float):
    high, wide = reach(metres, lat)
    assert high == metres / METRES_PER_DEGREE
    # A degree of the ellipsoid is nowhere shorter than 110,574 m along a meridian, or 111,319 m × cos φ along a parallel.
    assert high * 110_574 >= metres
    assert wide * 111_319 * math.cos(math.radians(min(abs(lat) + high, 89.0))) >= metres
    assert reach(metres, np.array([lat, -lat]))[1].tolist() == pytest.approx([float(wide)] * 2, rel=1e-12)


@given(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), min_size=1, max_size=5), LON, LAT)
def test_boxes_around_places_hold_them_and_no_box_crosses(offsets: list, lon0: float, lat0: float):
    west = math.floor(lon0) if lon0 < 180 else 179
    lon, lat = (np.array(v) for v in zip(*[(west + a + 0.5, lat0 + b) for a, b in offsets], strict=True))
    boxes = boxes_around(lon, lat, 5120.0)
    assert len(boxes) in (1, 2)
    assert all(-180 <= w <= e <= 180 and -90 <= s <= n <= 90 for w, s, e, n in boxes)
    _, wide = reach(5120.0, float(np.abs(lat).max()))
    for x, y in zip(lon.tolist(), lat.tolist(), strict=True):
        for dx in (-wide, 0.0, wide):
            at = east_of(x + dx)
            assert any(w - 1e-9 <= turn <= e + 1e-9 and s <= y <= n for turn in (at, at + 360) for w, s, e, n in boxes)
    assert sum(e - w for w, _, e, _ in boxes) == pytest.approx(np.ptp(lon) + 2 * float(wide), abs=1e-9)


def test_a_box_wider_than_the_globe_is_the_globe():
    ((west, _, east, _),) = boxes_around(np.array([0.0]), np.array([84.0]), 4_000_000.0)
    assert (west, east) == (-180.0, 180.0)


def test_a_box_across_the_antimeridian_is_two_or_is_drawn_on():
    across = (170.0, -10.0, -175.0, 10.0)
    assert boxes_of(across) == [(170.0, -10.0, 180.0, 10.0), (-180.0, -10.0, -175.0, 10.0)]
    assert boxes_of((1.0, 2.0, 3.0, 4.0)) == [(1.0, 2.0, 3.0, 4.0)]
    assert outline_of(across).bounds == (170.0, -10.0, 185.0, 10.0)
    assert outline_of((1.0, 2.0, 3.0, 4.0)).bounds == (1.0, 2.0, 3.0, 4.0)
    jumping = shapely.Polygon([(170, -10), (-175, -10), (-175, 10), (170, 10)])
    assert drawn_on(jumping).equals(outline_of(across))


def test_a_shape_is_met_on_every_turn():
    here = shapely.box(-179.0, 0.0, -178.0, 1.0)
    assert [shape.bounds[0] for shape in turns_of(here)] == [-539.0, -179.0, 181.0]
    assert [shape.intersects(shapely.box(170.0, 0.0, 185.0, 1.0)) for shape in turns_of(here)] == [False, False, True]
    assert [[s.bounds[0] for s in many] for many in turns_of(np.array([here, here]), (0.0, 360.0))] == [
        [-179.0, -179.0],
        [181.0, 181.0],
    ]


#: Besides it, nearest.py, whose coordinates must not move by a bit; and columns.py, which draws azimuths.
KNOWS = {"core/globe.py", "core/nearest.py", "planning/places/columns.py"}


@pytest.mark.long
def test_nobody_else_counts_turns_of_the_globe():
    for path in (ROOT / "nutonic").rglob("*.py"):
        name = path.relative_to(ROOT / "nutonic").as_posix()
        numbers = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        floats = {number for number in numbers if isinstance(number, float)}
        if name not in KNOWS and not name.startswith("testing/"):
            assert not floats & {360.0, 110_000.0}, f"{name} knows how the globe is closed: see core/globe.py"
