"""Nearest labels: for every pixel of every window the source pixel that pyproj says, whatever the window."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from nutonic.core.nearest import ERROR_BOUND, interpolated, source_pixels

#: A world like ESA WorldCover's: pixels of 1/12000 degree.
WORLD = Affine(1 / 12000, 0, -180, 0, -1 / 12000, 90)

#: Zone, longitude, latitude and pixels a side.
AREAS = {
    "Belgium, a large one": (32631, 4.5, 51.4, 2048),
    "Svalbard": (32632, -2.2, 78.0, 600),
    "Chile": (32718, -72.5, -38.8, 600),
    "the equator": (32632, 6.6, 0.0, 600),
    "the equator, from the south": (32732, 6.6, 0.0, 600),
    "the end of UTM": (32631, 3.0, 83.9, 600),
    "the end of UTM, at the edge of the wide zone 33X": (32633, 9.0, 83.9, 600),
    "the end of UTM in the south": (32719, -72.0, -79.9, 600),
    "a zone's width from its meridian": (32631, 8.9, 60.0, 600),
}

#: Within reach of 180°, where longitudes jump: squares on either side of it and across it.
ANTIMERIDIAN = {
    "zone 60, beside it": (32660, 179.9, -16.5, 400),
    "zone 60, a knot away": (32660, 179.977, -16.5, 400),
    "zone 60, across": (32660, 180.0, -16.5, 400),
    "zone 60 of the south, across": (32760, 180.0, -16.5, 400),
    "zone 1 of the south, across": (32701, -180.0, -45.0, 400),
    "zone 1, across": (32601, -180.0, -16.5, 400),
    "zone 1, across, in the Arctic": (32601, -179.99, 71.2, 400),
    "zone 60, across, far north": (32660, 179.99, 80.0, 400),
}


def square(epsg: int, lon: float, lat: float, side: int) -> GeoBox:
    x, y = Transformer.from_crs("EPSG:4326", epsg, always_xy=True).transform(lon, lat)
    left, top = 10 * round(x / 10 - side / 2), 10 * round(y / 10 + side / 2)
    return GeoBox((side, side), Affine(10, 0, left, 0, -10, top), f"EPSG:{epsg}")


def exact(geobox: GeoBox, crs: str) -> tuple[np.ndarray, np.ndarray]:
    """Source coordinates of every pixel's centre, by pyproj."""
    x = geobox.affine.c + 10 * (np.arange(geobox.shape.x) + 0.5)
    y = geobox.affine.f - 10 * (np.arange(geobox.shape.y) + 0.5)
    return Transformer.from_crs(str(geobox.crs), crs, always_xy=True).transform(*np.meshgrid(x, y))


def pixels_at(u: np.ndarray, v: np.ndarray, transform: Affine) -> tuple[np.ndarray, np.ndarray]:
    """Row and column that hold the points."""
    return np.floor((v - transform.f) / transform.e), np.floor((u - transform.c) / transform.a)


def error(geobox: GeoBox, crs: str = "EPSG:4326", pixel: float = 1 / 12000) -> float:
    """The interpolation's largest error in source pixels."""
    x = geobox.affine.c + 10 * (np.arange(geobox.shape.x) + 0.5)
    y = geobox.affine.f - 10 * (np.arange(geobox.shape.y) + 0.5)
    found = interpolated(x, y, Transformer.from_crs(str(geobox.crs), crs, always_xy=True))
    return max(float(np.abs(a - b).max()) for a, b in zip(found, exact(geobox, crs), strict=True)) / pixel


def assert_exact(geobox: GeoBox, crs: str, transform: Affine) -> None:
    rows, cols = source_pixels(geobox, crs, transform)
    want_rows, want_cols = pixels_at(*exact(geobox, crs), transform)
    assert rows.dtype == cols.dtype == np.int64
    assert (int((rows != want_rows).sum()), int((cols != want_cols).sum())) == (0, 0)


@pytest.mark.parametrize("area", AREAS.values(), ids=AREAS)
def test_every_pixel_is_pyprojs(area):
    assert_exact(square(*area), "EPSG:4326", WORLD)


@pytest.mark.parametrize("area", ANTIMERIDIAN.values(), ids=ANTIMERIDIAN)
def test_every_pixel_is_pyprojs_near_the_antimeridian(area):
    assert_exact(square(*area), "EPSG:4326", WORLD)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32632", Affine(10, 0, 3.7, 0, -10, 9_000_002.9)),  # the next zone, another lattice
        ("EPSG:32632", Affine(1, 0, 0, 0, -1, 9_000_000)),  # small pixels: the error counts ten times
        ("EPSG:3035", Affine(10, 0, 0, 0, -10, 6_000_000)),  # equal-area Europe
        ("EPSG:3857", Affine(10, 0, 0, 0, -10, 20_000_000)),
        ("EPSG:4326", Affine(0.25, 0, -180, 0, -0.25, 90)),  # coarse: hardly an edge in sight
    ],
)
def test_labels_in_other_projections(crs, transform):
    assert_exact(square(32631, 5.9, 51.4, 600), crs, transform)


@pytest.mark.parametrize(("east", "north", "size"), [(0.0, 0.0, 10), (3.7, 2.9, 10), (-8.1, 9.99, 10), (1.3, 0.0, 30)])
def test_labels_in_the_same_crs_on_another_lattice(east, north, size):
    grid = square(32631, 5.9, 51.4, 300)
    transform = Affine(size, 0, 600_000 + east, 0, -size, 5_800_000 + north)
    rows, cols = source_pixels(grid, "EPSG:32631", transform)
    x = grid.affine.c + 10 * (np.arange(300) + 0.5)
    y = grid.affine.f - 10 * (np.arange(300) + 0.5)
    assert np.array_equal(cols, np.tile(np.floor((x - transform.c) / size), (300, 1)))
    assert np.array_equal(rows, np.tile(np.floor((transform.f - y) / size), (300, 1)).T)


def test_a_centre_on_an_edge_belongs_to_the_pixel_right_or_below():
    # Pixels of 5 m: every centre of the 10 m grid lies on a corner of four.
    grid = GeoBox((3, 4), Affine(10, 0, 600_000, 0, -10, 5_700_000), "EPSG:32631")
    rows, cols = source_pixels(grid, "EPSG:32631", Affine(5, 0, 600_000, 0, -5, 5_700_000))
    assert rows.tolist() == [[1] * 4, [3] * 4, [5] * 4]
    assert cols.tolist() == [[1, 3, 5, 7]] * 3


# Windows


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("area", [(32631, 4.5, 51.4, 700), (32633, 9.5, 83.5, 700)], ids=["Belgium", "far north"])
def test_a_window_has_the_pixels_and_the_coordinates_of_the_whole(area, data):
    grid = square(*area)
    row, col = data.draw(st.integers(0, 690)), data.draw(st.integers(0, 690))
    height, width = data.draw(st.integers(1, 700 - row)), data.draw(st.integers(1, 700 - col))
    window = (slice(row, row + height), slice(col, col + width))
    for whole, part in zip(_whole(grid), source_pixels(grid[window], "EPSG:4326", WORLD), strict=True):
        assert np.array_equal(whole[window], part)
    # Before any edge is settled too, or exactness would hide that the coordinates depend on the window.
    transformer = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    x = grid.affine.c + 10 * (np.arange(700) + 0.5)
    y = grid.affine.f - 10 * (np.arange(700) + 0.5)
    found = interpolated(x[window[1]], y[window[0]], transformer)
    for whole, part in zip(interpolated(x, y, transformer), found, strict=True):
        assert whole[window].tobytes() == part.tobytes()


_KEPT: dict[str, tuple[np.ndarray, np.ndarray]] = {}


def _whole(geobox: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """The whole's pixels, found once."""
    return _KEPT.setdefault(str(geobox), source_pixels(geobox, "EPSG:4326", WORLD))


# The error, and what it is for


@pytest.mark.parametrize("lat", [-76, -60, -38, -10, 0, 25, 51, 66, 76])
def test_the_interpolation_is_as_good_as_claimed_at_mid_latitudes(lat):
    for from_meridian in (-3.2, -1, 0, 2, 3.2):
        assert error(square(32631, 3 + from_meridian, lat, 200)) < 1e-5


@pytest.mark.parametrize("lat", [80, 82, 83.5, 84])
def test_the_interpolation_is_within_its_bound_up_to_the_end_of_utm(lat):
    # 31X to 37X reach 6° from their meridian, and a scene some way over their edges.
    for from_meridian in (-7, -6, -3, 0, 3, 6, 7):
        assert error(square(32633, 15 + from_meridian, lat, 200)) < ERROR_BOUND


def test_the_interpolation_is_within_its_bound_in_other_projections():
    for crs in ("EPSG:32632", "EPSG:3035", "EPSG:3857"):
        assert error(square(32631, 5.9, 51.4, 300), crs, pixel=1.0) < ERROR_BOUND


@pytest.mark.parametrize("axis", [0, 1], ids=["columns", "rows"])
@pytest.mark.parametrize("area", [(32632, -2.2, 78.0, 64), (32633, 9.0, 83.9, 64)], ids=["Svalbard", "end of UTM"])
def test_a_centre_nearer_to_an_edge_than_the_error_is_looked_up(area, axis):
    # An edge is planted between where a centre is and where the interpolation puts it: only a look-up finds the side.
    grid = square(*area)
    x = grid.affine.c + 10 * (np.arange(64) + 0.5)
    y = grid.affine.f - 10 * (np.arange(64) + 0.5)
    found = interpolated(x, y, Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True))
    right = exact(grid, "EPSG:4326")
    worst = np.unravel_index(np.abs(found[axis] - right[axis]).argmax(), (64, 64))
    edge = (found[axis][worst] + right[axis][worst]) / 2
    pixel = 1 / 12000
    west, north = (edge - 1000 * pixel, 90.0) if axis == 0 else (-180.0, edge + 1000 * pixel)
    transform = Affine(pixel, 0, west, 0, -pixel, north)
    guess, answer = pixels_at(*found, transform), pixels_at(*right, transform)
    assert guess[1 - axis][worst] != answer[1 - axis][worst]  # it is planted
    assert_exact(grid, "EPSG:4326", transform)
