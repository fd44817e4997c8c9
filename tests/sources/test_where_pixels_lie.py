"""Rasters in any projection, cut anywhere: each pixel of a grid is the one that pyproj and rasterio say."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

import nutonic as nt
from nutonic.core.classes import ClassTable
from nutonic.core.nearest import source_pixels
from nutonic.io import gdal
from nutonic.sources import backend

TABLE = ClassTable(name="mine", labels={k: f"class {k}" for k in range(1, 255)}, unknown=0, colors={})

#: What rasters are in. GeoTIFFs cannot say the last three.
PROJECTIONS = {
    "geographic": "EPSG:4326",
    "grads from Paris": "EPSG:4807",
    "a sphere": "+proj=longlat +R=6371000",
    "sinusoidal": "+proj=sinu +R=6371007.181",
    "Mollweide": "ESRI:54009",
    "Goode": "+proj=goode",
    "Goode, interrupted": "+proj=igh",
    "Goode of land": "ESRI:54052",
    "EASE-Grid 2": "EPSG:6933",
    "EASE-Grid 2 north": "EPSG:6931",
    "EASE-Grid 2 south": "EPSG:6932",
    "Robinson": "ESRI:54030",
    "polar stereographic north": "EPSG:3413",
    "polar stereographic south": "EPSG:3031",
    "UPS north": "EPSG:32661",
    "LAEA Europe": "EPSG:3035",
    "LAEA on the pole": "+proj=laea +lat_0=90 +lon_0=-150",
    "Albers": "EPSG:5070",
    "Krovak": "EPSG:5514",
    "Krovak, south and west": "EPSG:5513",
    "BNG": "EPSG:27700",
    "Lambert": "EPSG:2154",
    "Web Mercator": "EPSG:3857",
    "Mercator of the Pacific": "EPSG:3832",
    "Mercator": "EPSG:3395",
    "UTM 60": "EPSG:32660",
    "UTM 1 south": "EPSG:32701",
    "Gauss-Krüger": "EPSG:31467",
    "Equal Earth": "EPSG:8857",
    "Switzerland": "EPSG:2056",
    "New Zealand": "EPSG:2193",
    "Gall": "ESRI:54016",
    "Eckert IV": "ESRI:54012",
    "Behrmann": "ESRI:54017",
    "geostationary": "+proj=geos +h=35785831 +lon_0=140.7",
    "Mollweide, interrupted": "+proj=imoll",
    "Goode of oceans": "+proj=igh_o",
    "HEALPix": "+proj=healpix",
}
IN_MEMORY = {"Mollweide, interrupted", "Goode of oceans", "HEALPix"}


@cache
def to(source: str, target: str) -> Transformer:
    """pyproj's transformer: longitude, or east, comes first."""
    return Transformer.from_crs(source, target, always_xy=True)


#: A turn of the globe, where a projection comes round again.
TURNS = {
    **{code: 4 * to("EPSG:4326", code).transform(90.0, 0.0)[0] for code in ("EPSG:6933", "ESRI:54016", "ESRI:54017")},
    "EPSG:4326": 360.0,
    "+proj=longlat +R=6371000": 360.0,
    "EPSG:4807": 400.0,
    **{f"EPSG:{code}": 2 * math.pi * 6378137.0 for code in (3857, 3832, 3395)},
}

#: Meridians at which maps are cut.
CUTS = (180.0, -180.0, -160.0, -110.0, -100.0, -60.0, -40.0, -20.0, -10.0, 20.0, 60.0, 80.0, 90.0, 140.0)


@cache
def wkt(name: str) -> str:
    text = PROJECTIONS[name]
    return text if ":" in text else CRS(text).to_wkt()


def truth(geobox: GeoBox, crs: str, transform: Affine, pixels: np.ndarray, turn: float | None = None) -> np.ndarray:
    """The pixel that holds each centre, by pyproj; 0 beyond the raster."""
    a = geobox.affine
    x, y = a.c + a.a * (np.arange(geobox.shape.x) + 0.5), a.f + a.e * (np.arange(geobox.shape.y) + 0.5)
    u, v = to(str(geobox.crs), crs).transform(*np.meshgrid(x, y))
    out = np.zeros(u.shape, pixels.dtype)
    for turns in (2, 1, -2, -1, 0) if turn else (0,):  # PROJ's own last, since it counts
        with np.errstate(invalid="ignore"):
            cols = np.floor((u + turns * (turn or 0.0) - transform.c) / transform.a)
            rows = np.floor((v - transform.f) / transform.e)
        inside = (rows >= 0) & (rows < pixels.shape[0]) & (cols >= 0) & (cols < pixels.shape[1])
        out[inside] = pixels[rows[inside].astype(int), cols[inside].astype(int)]
    return out


def write(path: Path, pixels: np.ndarray, crs: str, transform: Affine, block: int = 128) -> Path:
    height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype=pixels.dtype, height=height, width=width, crs=crs,
        transform=transform, tiled=True, blockxsize=block, blockysize=block, compress="deflate",
    ) as out:  # fmt: skip
        out.write(pixels, 1)
    return path


def labels(path: Path, geobox: GeoBox) -> np.ndarray:
    """What a raster source shows on a grid."""
    source = nt.RasterSource(str(path), TABLE)
    return source.open(geobox, [source.describe()], chunks=None)["label"].values


@st.composite
def squares(draw: st.DrawFn) -> GeoBox:
    """Squares near 180°, interruptions, the equator, the ends of UTM, and poles; and anywhere."""
    near = st.floats(-0.04, 0.04)
    side, size = draw(st.integers(1, 90)), draw(st.sampled_from([10.0, 10.0, 0.6, 60.0, 1000.0]))
    if draw(st.integers(0, 4)) == 0:
        crs, pole = draw(
            st.sampled_from([("EPSG:3413", 90), ("EPSG:5041", 90), ("EPSG:3031", -90), ("EPSG:6932", -90)])
        )
        x, y = to("EPSG:4326", crs).transform(0.0, pole)
        x, y = x + draw(st.floats(-600, 600)), y + draw(st.floats(-600, 600))
    else:
        lon = draw(st.one_of(st.tuples(st.sampled_from(CUTS), near).map(sum), st.floats(-180, 180)))
        lat = draw(st.one_of(near, near.map(lambda d: 40.7366 + d), st.floats(-80, 84), st.floats(83.9, 84)))
        lon = (lon + 180.0) % 360.0 - 180.0
        crs = f"EPSG:{nt.grid_around(lon, lat).crs.epsg}"
        x, y = to("EPSG:4326", crs).transform(lon, lat)
    left, top = size * round(x / size - side / 2), size * round(y / size + side / 2)
    return GeoBox((side, side), Affine(size, 0, left, 0, -size, top), crs)


@st.composite
def rasters(draw: st.DrawFn, geobox: GeoBox, name: str) -> tuple[Affine, tuple[int, int]]:
    """Transform and shape of a raster around a square, or of the world on some turn of it."""
    crs, turn = wkt(name), TURNS.get(PROJECTIONS[name])
    middle = geobox.affine @ (geobox.shape.x / 2, geobox.shape.y / 2)
    u, v = to(str(geobox.crs), crs).transform(*middle)
    u, v = (value if math.isfinite(value) else 0.0 for value in (u, v))
    metre = 1 / 111_000 if CRS(crs).is_geographic else 1.0
    pixel, side = draw(st.sampled_from([0.5, 3.3, 10, 30, 250])) * metre, 256
    west = u - (draw(st.integers(-20, 276)) + draw(st.floats(0.05, 0.95))) * pixel  # no tie: turns are added in floats
    if turn and draw(st.booleans()):
        width = draw(st.sampled_from([360, 720, 1001]))
        pixel, west = turn / width, draw(st.sampled_from([0.0, -0.5, 0.1, -1.2, -0.51, 1.0])) * turn
        return Affine(pixel, 0, west, 0, -pixel, v + 3.3 * pixel), (7, width + draw(st.sampled_from([0, 5, -5])))
    if turn:
        west += draw(st.sampled_from([0, 1, -1])) * turn
    return Affine(pixel, 0, west, 0, -pixel, v + draw(st.integers(-20, 276)) * pixel), (side, side)


@pytest.mark.long
def test_every_pixel_is_pyprojs_whatever_the_projection(tmp_path, sample):
    @seed(sample.seed)
    @settings(
        max_examples=sample.times(80, every=4000), database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(squares(), st.sampled_from(sorted(PROJECTIONS)), st.data())
    def holds(geobox: GeoBox, name: str, data: st.DataObject) -> None:
        transform, shape = data.draw(rasters(geobox, name))
        pixels = np.random.default_rng(shape[1]).integers(1, 255, shape, dtype=np.uint8)
        want = truth(geobox, wkt(name), transform, pixels, TURNS.get(PROJECTIONS[name]))
        rows, cols = source_pixels(geobox, wkt(name), transform, shape)
        inside = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
        found = np.where(inside, pixels[rows * inside, cols * inside], 0)
        assert (int((found != want).sum()), name) == (0, name)
        if name not in IN_MEMORY and data.draw(st.integers(0, 5)) == 0:
            path = write(tmp_path / "labels.tif", pixels, wkt(name), transform)
            assert (int((labels(path, geobox) != want).sum()), name) == (0, name)

    holds()


# Cubes


def item(name: str, crs: str, transform: Affine, shape: tuple[int, int], ring: list[list[float]]) -> dict[str, Any]:
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "c", "links": [],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "datetime": f"2024-06-0{len(name)}T10:00:00Z", "eo:cloud_cover": 1.0, "proj:code": crs,
            "proj:transform": list(transform)[:6], "proj:shape": list(shape),
        },
        "assets": {"red": {"href": f"{name}.tif", "type": "image/tiff; application=geotiff"}},
    }  # fmt: skip


WORLD = [[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0], [-180.0, -90.0]]
ACROSS = [[179.0, -18.0], [-179.0, -18.0], [-179.0, -15.0], [179.0, -15.0], [179.0, -18.0]]
HEMISPHERE = [[0.0, -90.0], [180.0, -90.0], [180.0, 90.0], [0.0, 90.0], [0.0, -90.0]]
CAP = [[-135.0, 60.0], [-45.0, 60.0], [45.0, 60.0], [135.0, 60.0], [-135.0, 60.0]]
TAVEUNI = nt.grid_around(179.995, -16.8, extent_m=2560)
POLE = GeoBox((200, 200), Affine(10, 0, -900, 0, -10, 1100), "EPSG:3413")
M = 2 * math.pi * 6378137.0


@pytest.mark.long
@pytest.mark.parametrize(
    ("geobox", "crs", "transform", "shape", "ring", "turn"),
    [
        (TAVEUNI, "EPSG:3857", Affine(M / 4000, 0, -M / 2, 0, -M / 4000, M / 2), (4000, 4000), WORLD, M),
        (TAVEUNI, "EPSG:3857", Affine(20, 0, M / 2 - 3000, 0, -20, -1_894_000), (300, 400), ACROSS, M),
        (TAVEUNI, "EPSG:4326", Affine(0.0002, 0, 179.9, 0, -0.0002, -16.7), (1000, 1000), ACROSS, 360.0),
        (TAVEUNI, "EPSG:4326", Affine(0.0002, 0, -180.1, 0, -0.0002, -16.7), (1000, 1000), ACROSS, 360.0),
        (TAVEUNI, "EPSG:4326", Affine(0.1, 0, 0, 0, -0.1, 90), (1800, 3600), HEMISPHERE, 360.0),
        (TAVEUNI, "EPSG:32701", Affine(30, 0, 175_000, 0, -30, 8_145_000), (300, 300), ACROSS, None),
        (POLE, "EPSG:4326", Affine(0.1, 0, -180, 0, -0.1, 90), (100, 3600), CAP, 360.0),
        (POLE, "EPSG:3995", Affine(100, 0, -5000, 0, -100, 5000), (100, 100), CAP, None),
    ],
    ids=["world map", "map that goes on", "179.9 to 180.1", "-180.1 to -179.9", "0 to 360", "next zone", "pole", "polar"],
)  # fmt: skip
def test_cubes_are_pyprojs_too(tmp_path, geobox, crs, transform, shape, ring, turn):
    rng = np.random.default_rng(7)
    pixels = rng.integers(1, 255, shape, dtype=np.uint8)
    write(tmp_path / "lc.tif", pixels, crs, transform)
    write(tmp_path / "a.tif", pixels.astype(np.uint16) + 1000, crs, transform)
    write(tmp_path / "bb.tif", pixels.astype(np.uint16) + 5000, crs, transform)
    items = [item(name, crs, transform, shape, ring) for name in ("a", "bb")]
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    imagery = nt.StacSource(url=str(tmp_path / "items.json"), collection="c", assets=("red",))
    cube = nt.open_cube(geobox, [imagery, nt.RasterSource(str(tmp_path / "lc.tif"), TABLE)], chunks=64).compute()
    want = truth(geobox, crs, transform, pixels, turn)
    assert np.array_equal(cube["label"].values, want)
    assert cube.sizes["time"] == 2
    for step, more in zip(cube["red"].values, (1000, 5000), strict=True):
        assert np.array_equal(step, np.where(want, want.astype(np.uint16) + more, 0))
    if ring is not HEMISPHERE:  # whose half is no part of the square
        assert want.all()


@pytest.mark.long
@pytest.mark.parametrize("lon", [179.995, -179.995])
@pytest.mark.parametrize("ring", [WORLD, HEMISPHERE, ACROSS], ids=["world", "hemisphere", "across"])
def test_labels_of_items_with_huge_footprints_are_found_and_read(tmp_path, lon, ring):
    transform, shape = Affine(0.0005, 0, 179.8, 0, -0.0005, -16.6), (800, 800)
    pixels = np.random.default_rng(3).integers(1, 255, shape, dtype=np.uint8)
    write(tmp_path / "a.tif", pixels, "EPSG:4326", transform)
    one = item("a", "EPSG:4326", transform, shape, ring)
    (tmp_path / "items.json").write_text(json.dumps(one))
    source = nt.StacLabels(url=str(tmp_path / "items.json"), collection="c", asset="red", classes=TABLE)
    geobox = nt.grid_around(lon, -16.8, extent_m=2560)
    want = truth(geobox, "EPSG:4326", transform, pixels, 360.0)
    assert want.all()
    (scenes,) = source.search(np.array([lon]), np.array([-16.8]), 2560)
    assert np.array_equal(source.open(geobox, scenes)["label"].values, want)
    assert np.array_equal(nt.open_cube(geobox, [source])["label"].values, want)


# How much is read


@pytest.fixture
def read_windows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Height and width of each window that GDAL is asked for."""
    windows: list[tuple[int, int]] = []
    inner = gdal.OpenRaster.read

    def read(self: gdal.OpenRaster, band: int, window: tuple[slice, slice]) -> np.ndarray:
        windows.append(tuple(part.stop - part.start for part in window))
        return inner(self, band, window)

    monkeypatch.setattr(gdal.OpenRaster, "read", read)
    return windows


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_across_180_the_columns_between_are_not_read(tmp_path, read_windows, crs):
    turn = TURNS[crs]
    pixel = turn / 100_000
    top = to("EPSG:4326", crs).transform(0, -16.5)[1]
    transform, shape = Affine(pixel, 0, -turn / 2, 0, -pixel, top), (160, 100_000)
    pixels = np.broadcast_to((np.arange(100_000) % 251 + 1).astype(np.uint8), shape)
    write(tmp_path / "lc.tif", pixels, crs, transform)
    geobox = nt.grid_around(179.99, -16.8, extent_m=5120)
    assert np.array_equal(labels(tmp_path / "lc.tif", geobox), truth(geobox, crs, transform, pixels, turn))
    assert len(read_windows) == 2
    assert sum(height * width for height, width in read_windows) < 500


def test_a_raster_of_tiny_pixels_is_read_piece_by_piece_and_no_block_twice(tmp_path, read_windows, monkeypatch):
    monkeypatch.setattr(backend, "MOST_PIXELS", 2**18)
    geobox = nt.grid_around(15.0, 52.0, extent_m=640)
    a = geobox.affine
    transform, side = Affine(0.25, 0, a.c - 3.1, 0, -0.25, a.f + 2.2), 2600
    pixels = np.random.default_rng(5).integers(1, 255, (side, side), dtype=np.uint8)
    write(tmp_path / "lc.tif", pixels, str(geobox.crs), transform)
    assert np.array_equal(labels(tmp_path / "lc.tif", geobox), truth(geobox, str(geobox.crs), transform, pixels))
    areas = [height * width for height, width in read_windows]
    assert max(areas) <= 2**18
    assert sum(areas) <= side**2


def test_around_a_pole_no_more_is_held_than_a_window(tmp_path, read_windows, monkeypatch):
    monkeypatch.setattr(backend, "MOST_PIXELS", 2**19)
    transform, shape = Affine(0.01, 0, -180, 0, -0.01, 90), (128, 36_000)
    pixels = np.random.default_rng(5).integers(1, 255, shape, dtype=np.uint8)
    write(tmp_path / "lc.tif", pixels, "EPSG:4326", transform)
    geobox = GeoBox((256, 256), Affine(300, 0, -38_000, 0, -300, 38_100), "EPSG:3413")
    assert np.array_equal(labels(tmp_path / "lc.tif", geobox), truth(geobox, "EPSG:4326", transform, pixels, 360.0))
    assert len(read_windows) > 1
    assert max(height * width for height, width in read_windows) <= 2**19
