"""Grids: squares snapped to the lattice, zones as Sentinel-2 has them, tiles by position, and errors that tell how far."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import assume, example, given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import Transformer

from nutonic.core.grid import (
    centre,
    check_aligned,
    coordinates,
    grid_around,
    lonlat_bounds,
    offset_in,
    on_lattice,
    tile_grid,
    utm_epsg,
)
from nutonic.core.model import Tile
from nutonic.core.tiling import tiles
from nutonic.errors import GridError, NotAligned, OffLattice

LON, LAT = st.floats(-180, 180), st.floats(-80, 84)


def in_crs(lon: float, lat: float, crs: str) -> tuple[float, float]:
    return Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)


def block(height: int = 512, width: int = 512, left: float = 600_000, top: float = 5_700_000, crs: str = "EPSG:32631"):
    return GeoBox((height, width), Affine(10, 0, left, 0, -10, top), crs)


# Squares around places


@given(LON, LAT)
@example(5.3, 60.4)  # Bergen: 32V
@example(15.6, 78.2)  # Longyearbyen
@example(180.0, 0.0)
@example(-180.0, -80.0)
@example(179.9999999, 84.0)
def test_a_square_is_whole_pixels_on_the_lattice_with_the_place_at_its_centre(lon, lat):
    grid = grid_around(lon, lat)
    assert grid.shape == (512, 512)  # snapping outwards would make it 513
    left, top = grid.affine.c, grid.affine.f
    assert (left % 10, top % 10) == (0, 0)
    assert tuple(grid.affine)[:6] == (10, 0, left, 0, -10, top)
    x, y = in_crs(lon, lat, str(grid.crs))
    assert abs(left + 2560 - x) <= 5 + 1e-6
    assert abs(top - 2560 - y) <= 5 + 1e-6
    # Well inside its zone: 32V and the Arctic zones reach furthest from their middle, 6° of it.
    assert 100_000 < x < 900_000
    assert on_lattice(grid.affine, 10.0)


@given(LON, LAT, st.integers(1, 700), st.sampled_from([10.0, 20.0, 60.0, 100.0]), st.floats(0, 99), st.floats(0, 99))
def test_any_extent_resolution_and_origin(lon, lat, side, resolution, east, north):
    grid = grid_around(lon, lat, extent_m=side * resolution, resolution=resolution, origin=(east, north))
    assert grid.shape == (side, side)
    for corner, origin in ((grid.affine.c, east), (grid.affine.f, north)):
        steps = (corner - origin) / resolution
        assert abs(steps - round(steps)) < 1e-6
    x, y = in_crs(lon, lat, str(grid.crs))
    half = side * resolution / 2
    assert max(abs(grid.affine.c + half - x), abs(grid.affine.f - half - y)) <= resolution / 2 + 1e-6


@pytest.mark.parametrize(
    ("lon", "lat", "epsg"),
    [
        # 32V: Norway's coast belongs to zone 32, from 56° to 64° N and from 3° E.
        (5.3, 60.4, 32632), (3.0, 56.0, 32632), (2.999, 60.0, 32631), (5.3, 55.999, 32631), (5.3, 64.0, 32631),
        # 31X, 33X, 35X and 37X: 32, 34 and 36 do not exist from 72° N on.
        (8.999, 78.0, 32631), (9.0, 78.0, 32633), (20.999, 78.0, 32633), (21.0, 78.0, 32635), (32.999, 72.0, 32635),
        (33.0, 83.9, 32637), (41.999, 72.0, 32637), (42.0, 72.0, 32638), (9.0, 71.999, 32632), (-0.001, 78.0, 32630),
        # The antimeridian, the equator and the ends of UTM.
        (180.0, 10.0, 32601), (-180.0, 10.0, 32601), (179.999, 10.0, 32660), (-177.0, -0.001, 32701), (0.0, 0.0, 32631),
        (6.6, 84.0, 32631), (6.6, -80.0, 32732),
    ],
)  # fmt: skip
def test_zones_are_those_of_sentinel_2(lon, lat, epsg):
    assert utm_epsg(lon, lat) == epsg
    assert grid_around(lon, lat).crs.epsg == epsg


@given(LON, st.one_of(st.floats(84, 90, exclude_min=True), st.floats(-90, -80, exclude_max=True)))
@example(15.0, 84.0001)
@example(15.0, -80.0001)
def test_the_poles_are_refused(lon, lat):
    with pytest.raises(GridError, match="no UTM zone"):
        grid_around(lon, lat)


@pytest.mark.parametrize(("lon", "lat"), [(float("nan"), 10), (10, float("nan")), (180.1, 10), (-200, 10)])
def test_what_is_nowhere_is_refused(lon, lat):
    with pytest.raises(GridError, match=f"longitude {lon}, latitude {lat}"):
        grid_around(lon, lat)


@pytest.mark.parametrize(("extent_m", "resolution"), [(5125, 10), (4, 10), (5120, 100), (0, 10)])
def test_half_a_pixel_is_refused(extent_m, resolution):
    with pytest.raises(GridError, match=f"{extent_m} m is not a whole number of {resolution} m pixels"):
        grid_around(5, 50, extent_m=extent_m, resolution=resolution)


def test_a_scene_of_the_next_zone_can_be_asked_for():
    grid = grid_around(6.001, 50, crs="EPSG:32631")
    assert grid.crs.epsg == 32631
    assert centre(grid) == pytest.approx((6.001, 50), abs=1e-4)


# Tiles


def test_tiles_are_numbered_row_by_row_and_always_full():
    found = tiles((500, 700), size=200, stride=150)
    assert [tile.index for tile in found] == list(range(12))
    assert [(tile.row, tile.col) for tile in found] == [(r, c) for r in (0, 150, 300) for c in (0, 150, 300, 450)]
    assert {tile.size for tile in found} == {200}


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 60), st.integers(1, 60))
def test_no_full_tile_is_left_out(height, width, size, stride):
    found = tiles((height, width), size, stride)
    positions = [
        (r, c) for r in range(0, height, stride) for c in range(0, width, stride) if max(r - height, c - width) <= -size
    ]
    assert [(tile.row, tile.col) for tile in found] == positions
    assert [tile.index for tile in found] == list(range(len(found)))


def test_the_grid_of_a_tile():
    grid = tile_grid(block(300, 400), Tile(index=3, row=128, col=64, size=100))
    assert grid == GeoBox((100, 100), Affine(10, 0, 600_640, 0, -10, 5_698_720), "EPSG:32631")


@given(LON, LAT, st.sampled_from([10.0, 20.0, 60.0, 100.0]), st.floats(0, 1e7), st.floats(0, 1e7), st.data())
def test_a_tile_has_the_coordinates_of_the_whole_bit_for_bit(lon, lat, resolution, east, north, data):
    # Any origin: terramesh's is 717729.8352053782, and sums with such a number round.
    grid = grid_around(lon, lat, extent_m=512 * resolution, resolution=resolution, origin=(east, north))
    row, col = data.draw(st.integers(0, 511)), data.draw(st.integers(0, 511))
    size = data.draw(st.integers(1, 512 - max(row, col)))
    x, y = coordinates(grid)
    tile_x, tile_y = coordinates(tile_grid(grid, Tile(index=0, row=row, col=col, size=size)))
    assert tile_x.tobytes() == x[col : col + size].tobytes()
    assert tile_y.tobytes() == y[row : row + size].tobytes()
    assert offset_in(grid.affine, tile_grid(grid, Tile(index=0, row=row, col=col, size=size))) == (row, col)


def test_coordinates_are_those_of_the_whole_where_numbers_are_small():
    # From ten metres above the equator southwards the numbers grow a thousandfold, and sums with thirds round differently.
    grid = grid_around(3.0, -0.0231, crs="EPSG:32631", origin=(1 / 3, 1 / 3))
    assert 0 < grid.affine.f < 20
    _, y = coordinates(grid)
    for row in range(1, 512):
        assert coordinates(grid[row:])[1].tobytes() == y[row:].tobytes()


def test_coordinates_are_pixel_centres():
    x, y = coordinates(block(3, 4))
    assert x.tolist() == [600_005, 600_015, 600_025, 600_035]
    assert y.tolist() == [5_699_995, 5_699_985, 5_699_975]


# The lattice


@pytest.mark.parametrize(("row", "col"), [(0, 0), (7, -3), (-40, 1_000), (10_979, 5)])
def test_the_offset_in_a_lattice(row, col):
    lattice = Affine(10, 0, 600_000, 0, -10, 5_700_000)
    assert offset_in(lattice, block(64, 64, 600_000 + 10 * col, 5_700_000 - 10 * row)) == (row, col)


@pytest.mark.parametrize(
    ("east", "north", "told"),
    [
        (3.7, 2.9, "3.700 m east-west and 2.900 m north-south"),
        (-7.0, 0.0, "3.000 m east-west and 0.000 m north-south"),  # the nearer lattice point counts
        (0.0, 0.01, "0.000 m east-west and 0.010 m north-south"),
        (100.0, 14.0, "0.000 m east-west and 4.000 m north-south"),
    ],
)
def test_off_the_lattice_tells_by_how_much(east, north, told):
    with pytest.raises(OffLattice, match=told):
        offset_in(Affine(10, 0, 600_000 + east, 0, -10, 5_700_000 + north), block())


@pytest.mark.parametrize(("size", "told"), [(20, "20 × 20 m"), (10.0001, "10.0001 × 10.0001 m")])
def test_pixels_of_another_size_are_told(size, told):
    with pytest.raises(OffLattice, match=f"pixels are {told}, the grid's 10 × 10 m"):
        offset_in(Affine(size, 0, 600_000, 0, -size, 5_700_000), block())


def test_a_rotated_raster_is_told_as_such():
    # Its pixels are as large as the grid's: sizes alone would say "10 × 10 m, the grid's 10 × 10 m".
    with pytest.raises(OffLattice, match="rotated"):
        offset_in(Affine(10, 0.5, 600_000, 0.5, -10, 5_700_000), block())


def test_a_micrometre_is_still_on_the_lattice():
    assert offset_in(Affine(10, 0, 600_000 + 1e-6, 0, -10, 5_700_000 - 1e-6), block()) == (0, 0)


@pytest.mark.parametrize(
    ("transform", "answer"),
    [
        (Affine(10, 0, 600_000, 0, -10, 5_700_000), True),
        (Affine(10, 0, 600_005, 0, -10, 5_700_000), False),
        (Affine(10, 0, 600_000, 0, -10, 5_700_001), False),
        (Affine(20, 0, 600_000, 0, -20, 5_700_000), False),
        (Affine(10, 0, 600_000, 0, 10, 5_700_000), False),  # south-up
        (Affine(10, 0.1, 600_000, 0, -10, 5_700_000), False),
    ],
)
def test_on_the_ten_metre_lattice(transform, answer):
    assert on_lattice(transform, 10.0) is answer


# Alignment


def on(geobox: GeoBox) -> xr.DataArray:
    return xr.DataArray(np.zeros(geobox.shape), dims=("y", "x"), coords=xr_coords(geobox, dims=("y", "x")))


def test_aligned_arrays_pass():
    check_aligned(on(block()), block())
    check_aligned(on(block()).to_dataset(name="red"), block())


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (on(block(512, 511)), "x has 511 pixels, the grid 512"),
        (on(block(513, 512)), "y has 513 pixels, the grid 512"),
        (on(block(left=600_010)), "x is off by up to 10 m"),
        (on(block(top=5_699_997.5)), "y is off by up to 2.5 m"),
        (on(block())[::-1], "y is off by up to 5110 m"),
        (on(block(crs="EPSG:32632")), "the array is in EPSG:32632, the grid in EPSG:32631"),
    ],
)
def test_misaligned_arrays_are_told_what_is_off_and_by_how_much(array, told):
    with pytest.raises(NotAligned, match=told):
        check_aligned(array, block())


def test_one_bit_of_one_coordinate_is_not_aligned():
    array, (x, _) = on(block()), coordinates(block())
    x[300] = np.nextafter(x[300], np.inf)
    with pytest.raises(NotAligned, match=r"x is off by up to 1\.16\d+e-10 m"):
        check_aligned(array.assign_coords(x=x), block())


# Longitudes and latitudes


@given(LON, LAT, st.integers(1, 1024))
@example(180.0, 16.6, 512)
@example(-179.999, -17.0, 512)
@example(179.99, 71.0, 1024)
def test_bounds_in_degrees_hold_the_whole_edge(lon, lat, side):
    assume(abs(lat) > 1e-3)
    grid = grid_around(lon, lat, extent_m=10 * side)
    west, south, east, north = lonlat_bounds(grid)
    assert -180 <= west <= 180
    assert -180 <= east <= 180
    width = (east - west) % 360  # across the antimeridian west is greater than east
    assert width < 3
    steps = np.linspace(0, side, 101)
    edge = np.array([(s, e) for s in steps for e in (0, side)] + [(e, s) for s in steps for e in (0, side)])
    x, y = grid.affine.c + 10 * edge[:, 0], grid.affine.f - 10 * edge[:, 1]
    lons, lats = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True).transform(x, y)
    into = (lons - west + 1e-5) % 360 - 1e-5
    assert into.min() == pytest.approx(0, abs=1e-5)
    assert into.max() == pytest.approx(width, abs=1e-5)
    assert (south, north) == pytest.approx((lats.min(), lats.max()), abs=1e-5)


@pytest.mark.parametrize("lon", [179.999, -179.999])
def test_west_is_greater_than_east_across_the_antimeridian(lon):
    west, south, east, north = lonlat_bounds(grid_around(lon, -16.5))
    assert 179.9 < west < 180
    assert -180 < east < -179.9
    assert south < -16.5 < north


@given(LON, LAT)
def test_the_centre_is_the_place(lon, lat):
    found_lon, found_lat = centre(grid_around(lon, lat))
    off = np.array([(found_lon - lon + 180) % 360 - 180, found_lat - lat]) * 111_320
    assert abs(off[0]) * np.cos(np.radians(lat)) < 8
    assert abs(off[1]) < 8
