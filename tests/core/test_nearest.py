"""Nearest labels: for every pixel of every window the source pixel that pyproj says, whatever the window."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from support.sampling import examples

from nutonic.core import nearest
from nutonic.core.nearest import source_pixels

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


def assert_exact(geobox: GeoBox, crs: str, transform: Affine) -> None:
    rows, cols = source_pixels(geobox, crs, transform)
    want_rows, want_cols = pixels_at(*exact(geobox, crs), transform)
    assert rows.dtype.kind == cols.dtype.kind == "i"
    assert (int((rows != want_rows).sum()), int((cols != want_cols).sum())) == (0, 0)


@pytest.mark.sampled(one_in=3)
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


@pytest.mark.long
def test_beside_a_pole_edges_are_where_pyproj_rounds_them():
    # Of an authalic latitude there half the digits are lost: centres a step from an edge, on a grid that ends at the pole.
    grid = GeoBox((40, 40), Affine(10, 0, 0, 0, -10, 0), "EPSG:3413")
    u, v = exact(grid, "EPSG:3035")
    for k in range(12):
        transform = Affine(0.5, 0, u[k, k] - 64, 0, -0.5, v[k, 2 * k] + 32)
        assert_exact(grid, "EPSG:3035", transform)


# Windows


@examples(15, 60, st.data())
@pytest.mark.parametrize("area", [(32631, 4.5, 51.4, 700), (32633, 9.5, 83.5, 700)], ids=["Belgium", "far north"])
def test_a_window_has_the_pixels_and_the_coordinates_of_the_whole(area, data):
    grid = square(*area)
    row, col = data.draw(st.integers(0, 690)), data.draw(st.integers(0, 690))
    height, width = data.draw(st.integers(1, 700 - row)), data.draw(st.integers(1, 700 - col))
    window = (slice(row, row + height), slice(col, col + width))
    for whole, part in zip(_whole(grid), source_pixels(grid[window], "EPSG:4326", WORLD), strict=True):
        assert np.array_equal(whole[window], part)


_KEPT: dict[str, tuple[np.ndarray, np.ndarray]] = {}


def _whole(geobox: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """The whole's pixels, found once."""
    return _KEPT.setdefault(str(geobox), source_pixels(geobox, "EPSG:4326", WORLD))


# Edges as near as numbers allow


@pytest.mark.parametrize("pixel", [1 / 12000, 1e-7], ids=["10 m", "a centimetre"])
@pytest.mark.parametrize("axis", [0, 1], ids=["columns", "rows"])
@pytest.mark.parametrize("area", [(32632, -2.2, 78.0, 64), (32633, 9.0, 83.9, 64)], ids=["Svalbard", "end of UTM"])
def test_edges_planted_beside_centres_are_seen(area, axis, pixel):
    grid = square(*area)
    right = exact(grid, "EPSG:4326")
    for k, beside in enumerate((1e-14, -1e-13, 1e-11, -1e-10, 1e-9, -1e-8)):
        edge = right[axis][7 + 9 * k, 60 - 8 * k] + beside
        west, north = (edge - 1000 * pixel, 90.0) if axis == 0 else (-180.0, edge + 1000 * pixel)
        assert_exact(grid, "EPSG:4326", Affine(pixel, 0, west, 0, -pixel, north))


# What it costs


class Counting:
    """A transformer of pyproj's that counts the points it is given."""

    def __init__(self, inner: Transformer) -> None:
        self.inner, self.points = inner, 0

    def transform(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.points += np.size(x)
        return self.inner.transform(x, y)


def points_asked(monkeypatch: pytest.MonkeyPatch, geobox: GeoBox, crs: str, transform: Affine) -> int:
    """Points that pyproj is asked for, for one square."""
    counting = Counting(Transformer.from_crs(str(geobox.crs), crs, always_xy=True))
    monkeypatch.setattr(nearest, "transformer", lambda source, target: counting)
    source_pixels(geobox, crs, transform, (2**22, 2**22))
    return counting.points


@pytest.mark.parametrize(
    ("area", "crs", "transform", "share"),
    [
        ((32631, 4.5, 51.4, 512), "EPSG:4326", WORLD, 0.002),
        ((32631, 5.9, 51.4, 512), "EPSG:32632", Affine(10, 0, 3.7, 0, -10, 9_000_002.9), 0.002),
        ((32660, 180.0, -16.5, 512), "EPSG:4326", WORLD, 0.002),  # longitudes jump, and are smooth
        ((32660, 180.0, -16.5, 512), "EPSG:3857", Affine(10, 0, -20037508.342789244, 0, -10, 2e7), 0.002),
        ((32633, 9.0, 83.9, 512), "EPSG:4326", WORLD, 0.02),
        ((32631, 4.5, 51.4, 512), "EPSG:32631", Affine(3, 0, 0, 0, -3, 9e6), 0.0),
    ],
)
def test_of_a_square_pyproj_is_asked_a_few_points(monkeypatch, area, crs, transform, share):
    assert points_asked(monkeypatch, square(*area), crs, transform) <= share * 512**2


def test_where_a_map_is_cut_only_the_pixels_around_the_cut_are_asked_for(monkeypatch):
    # Mollweide ends at 180°: of 512 columns at most four knots' worth, 256, see both sides.
    asked = points_asked(monkeypatch, square(32660, 180.0, -16.5, 512), "ESRI:54009", Affine(10, 0, -2e7, 0, -10, 9e6))
    assert 0 < asked <= 0.7 * 512**2
