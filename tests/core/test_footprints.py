"""Footprints of any size and however they are written: whole, found from both sides of 180°, and measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.core.footprints import Snapping, footprint_of, ground_of, near, shares
from nutonic.core.globe import turn_of, turned
from nutonic.core.grid import grid_around, lonlat_bounds, utm_epsg
from nutonic.sources.item import Item
from nutonic.sources.passes import touches


def polygon(*ring: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def disc(lon: float, lat: float, radius: float, points: int = 48) -> dict[str, Any]:
    """A circle in degrees whose longitudes jump at 180°, as a service writes it."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    lons = (lon + radius * np.cos(angles) + 180) % 360 - 180
    return polygon(*zip(lons.tolist(), (lat + 0.5 * radius * np.sin(angles)).tolist(), strict=True))


#: As written, its area in square degrees, and places that it covers and that it does not.
FOOTPRINTS = {
    "the world": (polygon((-180, -90), (180, -90), (180, 90), (-180, 90)), 64800, [(0, 0), (180, 70), (-179.99, -5)], []),
    "the world, rounded": (polygon((-179.999, -89), (179.999, -89), (179.999, 89), (-179.999, 89)), 64080, [(9, 9)], []),
    "the world, with corners between": (
        polygon((-180, -60), (-90, -60), (0, -60), (90, -60), (180, -60), (180, 80), (-180, 80)),
        50400, [(0, 0), (-120, 70), (120, 70), (179.99, 1)], [(0, -70)],
    ),
    "0 to 360": (polygon((0, -90), (360, -90), (360, 90), (0, 90)), 64800, [(-100, 3), (100, 3), (-179.99, 3)], []),
    "the east": (polygon((0, -90), (180, -90), (180, 90), (0, 90)), 32400, [(90, 80), (1, -60)], [(-90, 80), (-1, 0)]),
    "the north": (polygon((-180, 0), (180, 0), (180, 90), (-180, 90)), 32400, [(-90, 80), (180, 1)], [(0, -1)]),
    "across 180°": (polygon((170, -9), (-170, -9), (-170, 9), (170, 9)), 360, [(180, 0), (175, 5), (-175, 5)], [(0, 0)]),
    "across 180° in two": (
        {"type": "MultiPolygon", "coordinates": [
            polygon((170, -9), (180, -9), (180, 9), (170, 9))["coordinates"],
            polygon((-180, -9), (-170, -9), (-170, 9), (-180, 9))["coordinates"],
        ]},
        360, [(180, 0), (175, 5), (-175, 5)], [(0, 0)],
    ),
    "up to 180°, which it writes both ways": (
        polygon((-179.9, 5), (180, 5), (180, 3), (-180, 3), (-179.9, 3)), 0.2, [(-179.95, 4)], [(0, 4), (179.9, 4)],
    ),
    "a disc over Japan": (disc(140, 0, 70), 7675, [(140, 0), (-160, 2), (179.99, 3)], [(0, 0), (-100, 0)]),
    "a disc over 180° and Greenwich": (disc(150, 0, 170), 45266, [(-50, 1), (-170, 10), (0, 1)], [(-30, 80)]),
    "around the pole": (polygon((-135, 60), (-45, 60), (45, 60), (135, 60)), 10800, [(180, 83), (0, 61)], [(0, 59)]),
    "around the other pole": (polygon((135, -70), (45, -70), (-45, -70), (-135, -70)), 7200, [(180, -75)], [(0, -69)]),
    "around the pole, cut at 180°": (
        polygon((-180, 70), (-90, 65), (0, 70), (90, 65), (180, 70), (180, 90), (-180, 90)), 8100, [(-90, 66)], [(0, 69)],
    ),
}  # fmt: skip


def item(geometry: dict[str, Any]) -> Item:
    return Item(content={"id": "a"}, footprint=footprint_of(geometry), base="")


@pytest.mark.parametrize(("geometry", "area", "on", "off"), FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_a_footprint_is_whole_and_found(geometry, area, on, off):
    footprint = footprint_of(geometry)
    assert footprint.is_valid
    assert footprint.area == pytest.approx(area, rel=0.01)
    everywhere = shapely.union_all(list(turned(footprint)))
    for covered, places in ((True, on), (False, off)):
        for lon, lat in places:
            assert everywhere.intersects(shapely.Point(lon, lat)) == covered, (lon, lat)
    lon, lat = np.array(on, float).T
    assert near(footprint, lon, lat, 5120).tolist() == list(range(len(on)))


@pytest.mark.parametrize("crs", ["zone", "EPSG:3857", "EPSG:6933", "EPSG:3413", "EPSG:3031"])
@pytest.mark.parametrize(("geometry", "area", "on", "off"), FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_it_covers_the_squares_that_lie_in_it(geometry, area, on, off, crs):
    footprint = footprint_of(geometry)
    cut = {180.0, 179.99, 0.0} if footprint.bounds[0] in (0.0, -179.999) else set()  # there squares are covered in part
    for expected, places in ((1.0, on), (0.0, off)):
        for lon, lat in places:
            at = np.array([lon], float), np.array([lat], float)
            if abs(lat) < 84 and not (expected and abs(lon) in cut) and near(footprint, *at, 2560).size:
                scene = f"EPSG:{utm_epsg(lon, lat)}" if crs == "zone" else crs
                found = shares(footprint, Snapping(scene), *at, 2560)
                assert found == pytest.approx([expected], abs=1e-6), (lon, lat)


def test_a_square_that_a_hemisphere_cuts_is_half_covered():
    east = footprint_of(FOOTPRINTS["the east"][0])
    for crs in ("EPSG:3857", "EPSG:6933", "EPSG:32660", "EPSG:32601"):
        assert shares(east, Snapping(crs), np.array([180.0]), np.array([0.0]), 5120) == pytest.approx([0.5], abs=2e-3)


@pytest.mark.parametrize(("geometry", "area", "on", "off"), FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_it_touches_the_grids_that_lie_in_it(geometry, area, on, off):
    for expected, places in ((True, on), (False, off)):
        for lon, lat in places:
            if abs(lat) <= 80:
                assert touches(item(geometry), grid_around(lon, lat)) == expected, (lon, lat)


#: Grids, and what lies in them or not.
GRIDS = {
    "on the pole": (GeoBox((512, 512), Affine(10, 0, -2560, 0, -10, 2560), "EPSG:3413"), (77.0, 89.99), (77.0, 89.9)),
    "beside the pole": (
        GeoBox((99, 99), Affine(10, 0, 500, 0, -10, -500), "EPSG:3031"),
        (135.0, -89.99),
        (-45.0, -89.99),
    ),
    "a continent": (
        GeoBox((300, 500), Affine(1e4, 0, -2.4e6, 0, -1e4, 3.2e6), "EPSG:5070"),
        (-69.0, 45.0),
        (-160.0, 60.0),
    ),
    "the world": (GeoBox((100, 200), Affine(2e5, 0, -2e7, 0, -2e5, 1e7), "EPSG:3857"), (-179.0, -60.0), (0.0, 80.0)),
    "the map's end": (GeoBox((99, 99), Affine(1e3, 0, 2e7, 0, -1e3, 1e5), "EPSG:3857"), (-179.9, 0.5), (179.0, 0.5)),
}


@pytest.mark.parametrize(("geobox", "on", "off"), GRIDS.values(), ids=GRIDS)
def test_any_grid_has_its_ground(geobox, on, off):
    for expected, (lon, lat) in ((True, on), (False, off)):
        spot = item(polygon(*shapely.box(lon - 0.01, lat - 0.005, lon + 0.01, lat + 0.005).exterior.coords[:-1]))
        assert touches(spot, geobox) == expected
    west, south, east, north = lonlat_bounds(geobox)
    assert south <= on[1] <= north
    assert west <= on[0] <= east or (west > east and (on[0] >= west or on[0] <= east))
    assert ground_of(geobox).is_valid


def test_a_grid_over_the_edge_of_its_map_may_lie_anywhere():
    geobox = GeoBox((200, 200), Affine(1e5, 0, -1e7, 0, -1e5, 1e7), "EPSG:3035")
    assert touches(item(polygon((0, 50), (1, 50), (1, 51), (0, 51))), geobox)
    assert lonlat_bounds(geobox) == (-180.0, -90.0, 180.0, 90.0)


def test_turns_of_the_globe():
    equator = 2 * np.pi * 6378137.0
    for crs, length in (("EPSG:4326", 360.0), ("EPSG:4807", 400.0), ("EPSG:3857", equator), ("EPSG:3832", equator)):
        turn = turn_of(crs)
        assert (turn.length, turn.west) == pytest.approx((length, -length / 2), abs=1e-5)
    for crs in ("EPSG:32631", "EPSG:3413", "EPSG:3035", "EPSG:5514", "ESRI:54009", "ESRI:54030", "EPSG:27700"):
        assert turn_of(crs) is None
