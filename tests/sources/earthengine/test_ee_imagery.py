"""Imagery from Earth Engine: native pixels, counts, cubes over time and whole builds, with the real client over HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import rasterio
import yaml
from affine import Affine
from distributed import Client
from odc.geo.geobox import GeoBox
from support.cli import nutonic
from support.clusters import cluster
from support.earthengine import NOBODY, sign_out
from support.paths import ROOT
from support.trees import tree

import nutonic as nt
from nutonic import load_recipe
from nutonic.core.grid import centre, lonlat_bounds
from nutonic.dataset.verify import verify
from nutonic.errors import Gone, GridError, InputError, OffLattice, RecipeChanged, Unreachable
from nutonic.io.objects import Store
from nutonic.io.session import current
from nutonic.planning.plan_file import read_plan
from nutonic.rows.sidecar import pixels_sha256
from nutonic.run.run import build
from nutonic.sources.earthengine.imagery import EarthEngineImagery
from nutonic.sources.earthengine.versions import pin_told
from nutonic.sources.factory import sources_of
from nutonic.testing.earthengine import (
    EarthEngineFault,
    EarthEngineImage,
    EarthEngineServer,
    image_of_function,
    image_of_raster,
)

pytestmark = pytest.mark.timeout(240)
NAIP, S2 = "USDA/NAIP/DOQQ", "COPERNICUS/S2_SR_HARMONIZED"

#: Of a quarter quad in zone 17 (NAD83): pixels of 0.6 m, which no float is, and rows and columns that differ.
PIXEL = 0.6
CORNER = (576_618.6, 3_361_233.0)
SHAPE = (900, 1100)
TRANSFORM = Affine(PIXEL, 0, CORNER[0], 0, -PIXEL, CORNER[1])
GRID = GeoBox(SHAPE, TRANSFORM, "EPSG:26917")


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path, session):
    sign_out(monkeypatch, tmp_path)


def flown(band: int, row: np.ndarray, col: np.ndarray, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values 0 to 255 that no flip, turn or swap of bands leaves as they are, and a corner that was not flown over; a
    second one is black in all bands, and not masked."""
    fields = (row // 37 * 53 + col // 29 * 31 + 67 * band) % 160
    values = (fields + (row * 7 + col * 3 + shift) % 90) % 256
    return np.where((row < 25) & (col > 1000), 0, values).astype(np.uint8), (row > 60) | (col > 90)


def quad(id: str, start: str, *, shift: int = 0, crs: str = "EPSG:26917", transform: Affine = TRANSFORM, **how):
    """An image of a collection whose pixels are `flown`."""

    def told(band: int):
        def at(x, y):
            col, row = np.floor((x - transform.c) / transform.a), np.floor((y - transform.f) / transform.e)
            return flown(band, row.astype(int), col.astype(int), shift)

        return at

    names = how.pop("names", ("R", "G", "B", "N"))
    bands = {name: (how.get("dtype", "uint8"), told(k)) for k, name in enumerate(names)}
    return image_of_function(
        id, bands=bands, crs=crs, transform=transform, shape=how.get("shape", SHAPE), start=start, end=how.get("end"),
        properties=how.get("properties"),
    )  # fmt: skip


def right(window=np.s_[:, :], shift: int = 0) -> np.ndarray:
    """(3, rows, columns) uint16: what is flown; darkest where it is 0, 0 where it was not."""
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    bands = [flown(k, row, col, shift) for k in range(3)]
    seen = np.any([values > 0 for values, _ in bands], axis=0)
    whole = np.stack([np.where(valid & seen, np.maximum(values, 1), 0) for values, valid in bands]).astype(np.uint16)
    assert not whole[:, :25, 1001:].any()
    return whole[(slice(None), *window)]


@pytest.fixture(scope="module")
def quads():
    return [
        quad(f"{NAIP}/m_old", "2019-10-02T00:00:00", end="2019-10-03", shift=40),
        quad(f"{NAIP}/m_new", "2021-11-07T00:00:00", end="2021-11-08"),
        quad(f"{NAIP}/m_bare", "2022-11-07T00:00:00", end="2022-11-08", names=("N",)),
    ]


@pytest.fixture
def server(quads):
    with EarthEngineServer({NAIP: quads, "T/EMPTY": []}, projects=("standin-project",)) as found:
        yield found


def naip(server: EarthEngineServer, **how) -> EarthEngineImagery:
    return EarthEngineImagery(**{"collection": NAIP, "url": server.url, "project": "standin-project", **how})


def place(geobox: GeoBox = GRID) -> tuple[np.ndarray, np.ndarray]:
    lon, lat = centre(geobox)
    return np.array([lon]), np.array([lat])


def pixels(ds) -> np.ndarray:
    return np.stack([ds[name].values for name in ("red", "green", "blue")])


# Scenes


def test_scenes_are_listed_once_a_neighbourhood_and_the_newest_whole_one_is_best(server):
    lon, lat = (np.repeat(v, 50) for v in place())
    lon = lon + np.linspace(0, 1e-4, 50)
    found = naip(server, max_cloud_cover=5).search(lon, lat, 120, "2018-01-01/2022-12-31")
    assert server.count("list") == 1
    assert len(set(found)) == 1
    first, second = found[0]
    assert (first.id, second.id) == ("m_new", "m_old")  # the third lacks the bands
    assert (first.datetime, first.cloud_cover, first.rendered) == ("2021-11-07T00:00:00Z", None, True)
    assert [asset.written for asset in first.assets] == [f"ee://{NAIP}/m_new/{band}" for band in "RGB"]
    assert (first.assets[0].crs, first.assets[0].shape) == ("EPSG:26917", SHAPE)
    assert Affine(*first.assets[0].transform) == TRANSFORM
    (only,) = naip(server).search(*place(), 120, "2019-10-02/2019-10-02")
    assert [scene.id for scene in only] == ["m_old"]  # though it ends the day after


@pytest.mark.long
def test_a_mistake_in_the_recipe_is_told_apart_from_nothing_there(server):
    far = (np.array([10.0]), np.array([50.0]))
    assert naip(server).search(*far, 120, None) == [()]
    assert naip(server, collection="T/EMPTY").search(*place(), 120, None) == [()]
    with pytest.raises(InputError, match=r"no image of USDA/NAIP/DOQQ is of use: .*; m_bare, for one, has no band"):
        naip(server, assets=("red", "green", "ultra")).search(*place(), 120, None)
    with pytest.raises(InputError, match=r"imagery\.collection is T/NOT"):
        naip(server, collection="T/NOT").search(*place(), 120, None)
    with pytest.raises(InputError, match="use COPERNICUS/S2_SR_HARMONIZED"):
        naip(server, collection="COPERNICUS/S2_SR")
    with EarthEngineServer({}) as closed:
        source = naip(closed)
    with pytest.raises(Unreachable):
        source.search(*place(), 120, None)


def test_numbers_that_are_no_reflectance_are_refused_before_anything_is_read():
    odd = quad("T/ODD/one", "2021-01-01", dtype="float32")
    with (
        EarthEngineServer({"T/ODD": [odd]}) as server,
        pytest.raises(InputError, match="holds float numbers up to 0 in R, not whole ones up to 65535"),
    ):
        naip(server, collection="T/ODD", assets=("R", "G", "B"), project="any").search(*place(), 120, None)


def test_of_images_flown_at_several_sizes_of_pixel_those_of_the_grid_are_taken():
    coarse = TRANSFORM @ Affine.scale(1 / PIXEL)
    some = [
        quad(f"{NAIP}/m_metre", "2015-06-01", transform=coarse),
        *(quad(f"{NAIP}/m_fine{k}", f"202{k}-06-01") for k in range(4)),
    ]
    with EarthEngineServer({NAIP: some}) as server:
        (one,) = naip(server, resolution_m=1.0).search(*place(), 120, None)
        (fine,) = naip(server, resolution_m=PIXEL).search(*place(), 120, None)
        (any_,) = naip(server).search(*place(), 120, None)
        with pytest.raises(InputError, match=r"m_fine0, for one, has pixels of 0\.6 m in R, not of 0\.3 m"):
            naip(server, resolution_m=0.3).search(*place(), 120, None)
    assert [scene.id for scene in one] == ["m_metre"]
    assert [scene.id for scene in fine] == [scene.id for scene in any_] == ["m_fine3", "m_fine2", "m_fine1"]


def test_a_square_is_covered_only_if_its_own_pixels_are():
    """A square that hangs 4 m over a newer image's edge is not the newer image's, where an older one holds it whole."""
    older = quad(f"{NAIP}/m_older", "2019-06-01", transform=TRANSFORM @ Affine.translation(-500, 0))
    newer = quad(f"{NAIP}/m_newer", "2021-06-01")
    edge = GeoBox(
        (1, 1), TRANSFORM @ Affine.translation(100 - 7, 450), "EPSG:26917"
    )  # its square starts 7 pixels before
    with EarthEngineServer({NAIP: [older, newer]}) as server:
        (best, *_), *_ = naip(server).search(*place(edge), 120.0, None)
    assert best.id == "m_older"


def test_an_odd_image_is_left_out_and_the_others_are_found(quads):
    whole = quad(f"{NAIP}/m_everywhere", "2021-06-01")
    odd = EarthEngineImage(whole.bands, {**whole.properties, "system:footprint": None}, whole.id)
    late = EarthEngineImage(
        whole.bands, {k: v for k, v in whole.properties.items() if "time" not in k}, f"{NAIP}/m_late"
    )
    with EarthEngineServer({NAIP: [odd, late, *quads]}) as server:
        (found,) = naip(server).search(*place(), 120, None)
        plan = nt.search(GRID, [naip(server)])
    assert [scene.id for scene in found] == ["m_new", "m_old"]
    left_out = dict(plan.left_out.values.tolist())
    assert {name.rpartition("/")[2] for name in left_out} == {"m_everywhere", "m_late", "m_bare"}
    assert all("has no" in why for why in left_out.values())


@pytest.mark.long
def test_listings_are_read_page_by_page(quads):
    many = [quad(f"{NAIP}/m_{k:04d}", "2020-06-01") for k in range(450)]
    with EarthEngineServer({NAIP: many}) as server:
        plan = nt.search(GRID, [naip(server)])
        assert server.count("list") == 3
    assert len(plan.scenes) == 450


# Pixels


def test_pixels_are_naips_own_and_a_window_of_three_bands_is_one_request(server):
    source = naip(server)
    (scenes,) = source.search(*place(), 120, None)
    window = np.s_[30:530, 40:840]
    ds = source.open(GRID[window], scenes, chunks=None)
    server.clear()
    found = ds.compute()
    np.testing.assert_array_equal(pixels(found), right(window))
    assert (right(window) == 0).any()
    assert (right(window) == 1).any()
    assert server.count("pixels") == 1
    (asked,) = [request for request in server.requests if request.kind == "pixels"]
    assert asked.bands == ("R", "G", "B")
    assert asked.bytes < 500 * 800 * 3 + 1000  # a byte a pixel and band
    server.clear()
    np.testing.assert_array_equal(pixels(source.open(GRID, scenes, chunks=450)), right())
    assert server.count("pixels") == 2 * 3


def test_the_central_law_at_six_tenths_of_a_metre(server):
    """Pixels are equal bit for bit; coordinates to within the two roundings that sums of multiples of 0.6 take."""
    source = naip(server)
    (scenes,) = source.search(*place(), 120, None)
    area = GRID.pad(30)
    whole = source.open(area, scenes, chunks=None)
    rng = np.random.default_rng(5)
    for _ in range(8):
        row, col = rng.integers(0, 700, 2)
        window = (slice(row, row + rng.integers(1, 250)), slice(col, col + rng.integers(1, 250)))
        part = source.open(area[window], scenes, chunks=64)
        cut = whole.isel(y=window[0], x=window[1])
        np.testing.assert_array_equal(pixels(cut), pixels(part))
        for axis in ("x", "y"):
            assert np.abs(cut[axis].values - part[axis].values).max() <= 2 * np.spacing(4e6)
    beyond = source.open(area[:30], scenes).compute()
    assert not pixels(beyond).any()


def test_reflectance_is_never_resampled(server):
    source = naip(server)
    (scenes,) = source.search(*place(), 120, None)
    for grid in (GRID.translate_pix(0.3, 0), nt.grid_around(*map(float, (v[0] for v in place())), extent_m=600)):
        with pytest.raises(OffLattice):
            source.open(grid, scenes)


def test_a_window_too_large_for_a_request_is_asked_for_in_parts(server, monkeypatch):
    source = naip(server)
    (scenes,) = source.search(*place(), 120, None)
    monkeypatch.setattr("nutonic.sources.earthengine.windows.MOST_BYTES", 250 * 1100 * 9)
    server.clear()
    np.testing.assert_array_equal(pixels(source.open(GRID, scenes, chunks=None)), right())
    assert server.count("pixels") == 4


def test_an_image_that_is_gone_is_told_as_gone(server):
    source = naip(server)
    (scenes,) = source.search(*place(), 120, None)
    away = [replace(asset, href=asset.href.replace("m_new", "m_away")) for asset in scenes[0].assets]
    with pytest.raises(Gone, match="m_away"):
        source.open(GRID[:9, :9], [replace(scenes[0], assets=tuple(away))]).compute()


def test_negative_reflectance_is_the_darkest_valid_value():
    def told(x, y):
        return np.where(x % 2 < 1, -40, 3000), y > GRID.affine.f - 100

    where = {"crs": "EPSG:26917", "transform": TRANSFORM, "shape": SHAPE, "start": "2021-01-01"}
    image = image_of_function("T/DARK/one", bands=dict.fromkeys("RGB", ("int16", told)), **where)
    with EarthEngineServer({"T/DARK": [image]}) as server:
        source = naip(server, collection="T/DARK", assets=("R", "G", "B"), project="any")
        (scenes,) = source.search(*place(), 120, None)
        assert not scenes[0].rendered
        found = source.open(GRID, scenes, chunks=None)["R"].values
    assert (found.dtype, set(np.unique(found))) == (np.uint16, {0, 1, 3000})


@pytest.mark.sampled(one_in=2, among="a tenth of all answers")
def test_with_a_tenth_of_all_requests_refused_pixels_are_the_same_and_all_is_told(server):
    source = naip(server)
    (scenes,) = source.search(*place(), 120, None)
    faults = [EarthEngineFault(kind=kind, share=0.15, seed=7) for kind in ("429", "503")]
    server.script(faults)
    server.clear()
    current().take_counts()
    found = source.open(GRID, scenes, chunks=150).compute(scheduler="threads", num_workers=8)
    np.testing.assert_array_equal(pixels(found), right())
    told = current().take_counts()
    assert server.faults_served.total() > 5
    assert sum(count for kind, count in told.items() if kind.startswith("fault")) == server.faults_served.total()


# Cubes


def sentinel(folder: Path) -> tuple[list[EarthEngineImage], np.ndarray, np.ndarray]:
    """Five days of a granule in zone 33, with the classification at 20 m, one of them processed twice; and its neighbour
    zone's. What is right: (days, 3, rows, columns) and (days, rows, columns)."""
    rng = np.random.default_rng(11)
    side = 240
    values = rng.integers(1, 4000, (5, 3, side, side)).astype(np.uint16)
    values[rng.random(values.shape) < 0.02] = 65535
    valid = rng.random((5, 1, side, side)) < 0.8
    values = np.where(valid, values, 0).astype(np.uint16)
    classes = rng.choice([0, 3, 4, 5, 9], (5, side // 2, side // 2)).astype(np.uint8)
    images = []
    for day in range(5):
        how = {"CLOUDY_PIXEL_PERCENTAGE": 10.0 * day, "SPACECRAFT_NAME": "Sentinel-2A", "MGRS_TILE": "33UVP",
               "SENSING_ORBIT_NUMBER": 22, "PROCESSING_BASELINE": "05.09"}  # fmt: skip
        start = f"2024-06-{1 + 5 * day:02d}T10:05:31"
        images.append(granule(f"{S2}/day{day}_T33UVP", start, values[day], classes[day], how))
    images.append(granule(f"{S2}/day2_old_T33UVP", "2024-06-11T10:05:31", values[0], classes[0],
                          {**how, "CLOUDY_PIXEL_PERCENTAGE": 20.0, "PROCESSING_BASELINE": "04.00"}))  # fmt: skip
    return images, values, classes.repeat(2, 1).repeat(2, 2)


S2_TRANSFORM = Affine(10, 0, 499_980, 0, -10, 5_800_020)


def granule(id: str, start: str, values: np.ndarray, classes: np.ndarray, properties: dict) -> EarthEngineImage:
    def told(array: np.ndarray, size: float):
        def at(x, y):
            col, row = np.floor((x - S2_TRANSFORM.c) / size), np.floor((S2_TRANSFORM.f - y) / size)
            found = array[row.astype(int), col.astype(int)]
            return found, found != 0

        return at

    where = {"crs": "EPSG:32633", "start": start, "properties": properties}
    bands = {name: ("uint16", told(values[k], 10)) for k, name in enumerate(("B4", "B3", "B2"))}
    ten = image_of_function(id, bands=bands, transform=S2_TRANSFORM, shape=values.shape[1:], **where)
    coarse = S2_TRANSFORM @ Affine.scale(2)
    twenty = image_of_function(
        id, bands={"SCL": ("uint8", told(classes, 20))}, transform=coarse, shape=classes.shape, **where
    )
    return EarthEngineImage(ten.bands + twenty.bands, ten.properties, id)


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    return sentinel(tmp_path_factory.mktemp("days"))


S2_GRID = GeoBox((240, 240), S2_TRANSFORM, "EPSG:32633")


@pytest.mark.long
def test_a_cube_of_sentinel_2_is_masked_and_reduced_as_one_of_files(days):
    images, values, classes = days
    with EarthEngineServer({S2: images}) as server:
        source = EarthEngineImagery(collection=S2, masks=("scl",), record=True, url=server.url, project="any")
        plan = nt.search(S2_GRID, [source], time="2024-06-01/2024-06-30")
        assert list(plan.scenes["id"]) == [f"day{k}_T33UVP" for k in range(5)]
        assert plan.left_out.values.tolist() == [["day2_old_T33UVP", "processed again as day2_T33UVP"]]
        assert server.count("pixels") == 0
        cube = nt.open_cube(plan, [source], chunks=120)
        server.clear()
        found = cube.compute(scheduler="threads")
        # Four bands and the record of scenes, five days and four tiles: the record is of pixels that are there.
        assert server.count("pixels") == 4 * 5 * 4
        median = nt.reduce.median(nt.reduce.mask(cube)).compute(scheduler="threads")
    for k, name in enumerate(("red", "green", "blue")):
        np.testing.assert_array_equal(found[name], values[:, k])
        clear = np.where(np.isin(classes, nt.reduce.CLEAR), values[:, k], 0).astype(float)
        clear[clear == 0] = np.nan
        with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
            want = np.nan_to_num(np.rint(np.nanmedian(clear, axis=0)))
        np.testing.assert_array_equal(median[name], want)
    np.testing.assert_array_equal(found["scl"], classes)
    np.testing.assert_array_equal(found["scene"], np.where(values[:, 0] > 0, np.arange(1, 6)[:, None, None], 0))
    assert cube.cloud_cover.values.tolist() == [0.0, 10.0, 20.0, 30.0, 40.0]


def test_where_there_is_no_class_stands_what_is_asked_for(days):
    images, _, classes = days
    assert 0 < np.mean(classes == 0) < 1
    with EarthEngineServer({S2: images}) as server:
        source = EarthEngineImagery(collection=S2, masks=("scl",), masks_nodata=(255,), url=server.url, project="any")
        cube = nt.open_cube(S2_GRID, source, time="2024-06-01/2024-06-30", chunks=120)
        found = cube["scl"].compute(scheduler="threads")
    np.testing.assert_array_equal(found, np.where(classes == 0, 255, classes))
    assert found.attrs["_FillValue"] == 255


@pytest.mark.long
@pytest.mark.cluster
def test_on_worker_processes_it_is_the_same_cube_and_no_request_is_made_twice(days, tmp_path):
    images, values, _ = days
    here = ROOT
    with (
        EarthEngineServer({S2: images}) as server,
        cluster(tmp_path, PYTHONPATH=here, **NOBODY) as dask,
        Client(dask.address) as client,
    ):
        source = EarthEngineImagery(collection=S2, url=server.url, project="any")
        cube = nt.open_cube(S2_GRID, [source], time="2024-06-01/2024-06-30", chunks=60)
        server.clear()
        found = client.compute(cube, sync=True)
        assert server.count("pixels") == 3 * 5 * 16
    np.testing.assert_array_equal(np.stack([found[n] for n in ("red", "green", "blue")], 1), values)


@pytest.mark.long
def test_a_scene_of_another_zone_is_the_nearest_pixel_whatever_window_asks(server):
    source = naip(server)
    grid = nt.area_grid(lonlat_bounds(GRID[200:500, 300:700]), resolution=1.5)
    assert grid.crs.epsg == 32617
    cube = nt.open_cube(grid, [source], time="2021-01-01/2021-12-31", chunks=16)
    whole = cube.compute()
    from nutonic.core.nearest import source_pixels

    rows, cols = source_pixels(grid, "EPSG:26917", TRANSFORM)
    np.testing.assert_array_equal(
        np.stack([whole[n].values[0] for n in ("red", "green", "blue")]), right()[:, rows, cols]
    )
    part = nt.open_cube(
        nt.search(grid, [source], time="2021-01-01/2021-12-31").on(grid[3:11, 5:20]), [source], chunks=7
    ).compute()
    np.testing.assert_array_equal(part["green"], whole["green"][:, 3:11, 5:20])


def test_a_cube_much_coarser_than_the_pictures_is_refused(server):
    with pytest.raises(GridError, match=r"has pixels of 0\.6 m, the cube of 10 m.*resolution=0\.6"):
        nt.open_cube(nt.grid_around(*(float(v[0]) for v in place()), extent_m=640), [naip(server)])


# Builds


def aerial_recipe(folder: Path, url: str, **imagery) -> Path:
    """Seven places on the quads, labels from a raster beside them."""
    labels = np.random.default_rng(2).choice([1, 2, 3], (40, 50)).astype(np.uint8)
    with rasterio.open(
        folder / "cover.tif", "w", driver="GTiff", count=1, height=40, width=50, dtype="uint8", crs="EPSG:26917",
        transform=Affine(15, 0, CORNER[0], 0, -15, CORNER[1]),
    ) as raster:  # fmt: skip
        raster.write(labels, 1)
    spots = [(0.2, 0.3), (0.5, 0.5), (0.8, 0.7), (0.45, 0.2), (0.7, 0.25), (0.3, 0.75), (0.52, 0.52)]
    where = [
        centre(GeoBox((1, 1), TRANSFORM @ Affine.translation(x * SHAPE[1], y * SHAPE[0]), "EPSG:26917"))
        for x, y in spots
    ]
    (folder / "pois.csv").write_text("lon,lat\n" + "".join(f"{lon},{lat}\n" for lon, lat in where))
    recipe = {
        "name": "aerial",
        "pois": {"path": "pois.csv"},
        "grid": {"resolution_m": 0.6, "extent_m": 153.6, "lattice": "source"},
        "imagery": {"source": "earthengine", "collection": NAIP, "datetime": "2018-01-01/2022-12-31",
                    "project": "standin-project", "url": url, **imagery},
        "labels": {"source": "raster", "path": "cover.tif", "dataset": {
            "name": "cover", "unknown": 0, "classes": {1: "water", 2: "trees", 3: "bare ground"}}},
        "tiles": {"size": 256, "stride": 256, "output_size": 256, "min_valid_fraction": 0.1},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.mark.long
@pytest.mark.cluster
def test_a_build_of_naip_has_its_very_pixels_one_request_a_place_and_on_workers_the_same_tree(server, tmp_path):
    recipe = load_recipe(aerial_recipe(tmp_path, server.url))
    out, again = tmp_path / "out", tmp_path / "again"
    server.clear()
    summary = build(recipe, out, workers=0)
    assert summary.complete
    assert server.count("pixels") == 7
    with cluster(tmp_path / "dask", PYTHONPATH=ROOT, **NOBODY) as dask:
        assert build(recipe, again, workers=nt.Cluster(scheduler=dask.address)).complete
    assert tree(out) == tree(again)
    assert verify(out, deep=True).problems == ()
    for path in (told := sidecars(out)):
        sidecar = json.loads(path.read_text())
        left, top = (sidecar["grid"]["transform"][k] for k in (2, 5))
        col, row = round((left - CORNER[0]) / PIXEL), round((CORNER[1] - top) / PIXEL)
        name = path.relative_to(out / "metadata").with_suffix(".png")
        picture = np.asarray(PIL.Image.open(out / "images" / name)).transpose(2, 0, 1)
        np.testing.assert_array_equal(picture, right(np.s_[row : row + 256, col : col + 256]))
        assert sidecar["imagery"]["source"] == "earthengine"
        assert sidecar["imagery"]["assets"]["red"] == f"ee://{NAIP}/m_new/R"
        assert "154 by 154 m" in sidecar["caption"]
    assert len(told) == summary.tiles == 7
    rows = [json.loads(line) for path in (out / "data").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(rows) == summary.rows
    assert not any("satellite" in json.dumps(row) for row in rows)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "7 aerial chips of" in card
    assert f"of `{NAIP}` (aerial cameras of NAIP),\nas their provider rendered them, not stretched again" in card
    assert yaml.safe_load(card.split("---\n")[1])["tags"][3:] == ["aerial-imagery", "naip", "nutonic"]
    assert "Earth Engine: Google Earth Engine, its terms of service" in card
    assert "public domain" in card
    assert not re.search("sentinel|satellite|percentile", card, re.IGNORECASE)


def sidecars(out: Path) -> list[Path]:
    return sorted((out / "metadata").rglob("*.json"))


def changed(path: Path, **parts: dict) -> Path:
    """The same recipe with some keys of its parts changed."""
    whole = yaml.safe_load(path.read_text())
    for part, keys in parts.items():
        whole[part] = {**whole[part], **keys}
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.mark.long
def test_labels_from_there_too_are_those_of_the_raster_on_pixels_of_six_tenths(quads, tmp_path):
    recipe = aerial_recipe(tmp_path, "http://127.0.0.1:9")
    cover = image_of_raster(tmp_path / "cover.tif", "T/COVER/one")
    with EarthEngineServer({NAIP: quads, "T/COVER": [cover]}) as server:
        assert build(load_recipe(changed(recipe, imagery={"url": server.url})), tmp_path / "raster", workers=0).complete
        labels = {"source": "earthengine", "path": None, "collection": "T/COVER", "band": "label"}
        server.clear()
        current().clear()
        assert build(load_recipe(changed(recipe, labels=labels)), tmp_path / "there", workers=0).complete
        assert server.count("pixels") == 7 + 7
    for ours, theirs in zip(sidecars(tmp_path / "there"), sidecars(tmp_path / "raster"), strict=True):
        one, two = json.loads(ours.read_text()), json.loads(theirs.read_text())
        for key in ("pixels_sha256", "class_fractions", "regions", "caption"):
            assert one[key] == two[key]


@pytest.mark.long
def test_a_scene_that_vanishes_gives_way_to_the_next_and_the_sidecar_says_so(quads, tmp_path):
    recipe = aerial_recipe(tmp_path, "http://127.0.0.1:9")
    with EarthEngineServer({NAIP: quads}) as server:
        build(load_recipe(changed(recipe, imagery={"url": server.url})), tmp_path / "out", workers=0, limit=1)
        assert server.count("pixels") == len(sidecars(tmp_path / "out")) < 7
    with EarthEngineServer({NAIP: [quads[0]]}) as server:
        summary = build(load_recipe(changed(recipe, imagery={"url": server.url})), tmp_path / "out", workers=0)
        assert summary.complete
    told = [json.loads(path.read_text())["imagery"] for path in sidecars(tmp_path / "out")]
    late = [imagery for imagery in told if imagery["item_id"] == "m_old"]
    assert 0 < len(late) < 7 == len(told)
    assert all("m_new: " in imagery["substituted"] and "not found" in imagery["substituted"] for imagery in late)
    assert verify(tmp_path / "out", deep=True).problems == ()


@pytest.mark.parametrize(
    ("imagery", "words"),
    [
        ({"project": "elsewhere"}, "set labels.project or imagery.project to a Cloud project"),
        ({"project": None}, "set labels.project or imagery.project, or EE_PROJECT"),
        ({"collection": "T/NOT"}, "imagery.collection is T/NOT"),
        ({"assets": ["red", "green", "ultra"]}, "m_bare, for one, has no band R"),
        ({"datetime": "2011-01-01/2011-12-31"}, "none of 7 places can be built (7 no scene)"),
    ],
)
def test_a_mistake_is_a_few_lines_and_nothing_is_written(server, tmp_path, imagery, words):
    recipe = changed(aerial_recipe(tmp_path, server.url), imagery=imagery)
    ended = nutonic("build", recipe, "--out", tmp_path / "out", "--workers", 0)
    assert ended.code in (2, 3)
    assert words in ended.err
    assert len(ended.err.strip().splitlines()) <= 4
    assert not (tmp_path / "out").exists()


def test_chips_of_a_cube_are_those_of_the_build(server, tmp_path):
    recipe = load_recipe(aerial_recipe(tmp_path, server.url))
    assert build(recipe, tmp_path / "out", workers=0).complete
    some = json.loads(sidecars(tmp_path / "out")[0].read_text())
    grid = GeoBox((256, 256), Affine(*some["grid"]["transform"]), "EPSG:26917")
    sources = sources_of(recipe)
    ((_, chip),) = nt.cut_chips(nt.open_scene(grid, sources, time="2020-01-01/2022-12-31"), recipe)
    assert pixels_sha256(chip) == some["pixels_sha256"]


def test_a_recipe_without_its_keys_or_with_foreign_ones_is_told(tmp_path):
    aerial = aerial_recipe(tmp_path, "http://127.0.0.1:9")
    for change, words in (
        ({"engine": "odc-stac"}, "imagery: has engine odc-stac, which a source earthengine does not use"),
        ({"collection": "COPERNICUS/S2_SR"}, "whose numbers jump by 1000 in January 2022"),
        ({"source": "stac", "url": None}, "imagery: needs url where source is stac"),
        ({"source": "stac"}, "imagery: has project, which a source stac does not use"),
    ):
        whole = yaml.safe_load(aerial.read_text())
        whole["imagery"].update(change)
        other = tmp_path / "other.yaml"
        other.write_text(yaml.safe_dump(whole))
        ended = nutonic("plan", other)
        assert ended.code == 2
        assert words in ended.err
        assert "Traceback" not in ended.err


def test_the_plan_tells_of_requests_and_nothing_secret(server, tmp_path):
    recipe = load_recipe(aerial_recipe(tmp_path, server.url))
    plan = nt.plan(recipe)
    assert plan.cost.requests == 7
    assert plan.cost.bytes_read == 7 * 256**2 * 9
    assert [scene.id for scene in plan.scenes() if scene.source == "earthengine"] == ["m_new", "m_old"]


def test_a_build_of_sentinel_2_is_judged_by_its_scene_classification(tmp_path):
    """The image that claims no cloud is all cloud; the next has some over one of the four tiles. One more request each."""
    rng = np.random.default_rng(5)
    values = [rng.integers(200, 4000, (3, 240, 240)).astype(np.uint16) for _ in range(2)]
    sky = rng.choice([2, 4, 5, 6, 7], (120, 120)).astype(np.uint8)
    sky[30:45, 62:79] = 8  # of the square's upper right tile
    images = [
        granule(f"{S2}/{name}", f"2024-06-{day:02d}T10:05:31", pixels, classes, {"CLOUDY_PIXEL_PERCENTAGE": cloud})
        for name, day, pixels, classes, cloud in (
            ("claims_T33UVP", 11, values[0], np.full((120, 120), 9, np.uint8), 0.0),
            ("next_T33UVP", 1, values[1], sky, 7.5),
        )
    ]
    recipe = aerial_recipe(tmp_path, "http://127.0.0.1:9")
    lon, lat = centre(S2_GRID)
    (tmp_path / "pois.csv").write_text(f"lon,lat\n{lon!r},{lat!r}\n")
    with rasterio.open(
        tmp_path / "cover.tif", "w", driver="GTiff", count=1, height=240, width=240, dtype="uint8", crs="EPSG:32633",
        transform=S2_TRANSFORM,
    ) as raster:  # fmt: skip
        raster.write(np.ones((240, 240), np.uint8), 1)
    with EarthEngineServer({S2: images}) as server:
        changed(
            recipe,
            imagery={"url": server.url, "collection": S2, "datetime": "2024-06"},
            grid={"resolution_m": 10, "extent_m": 1280, "lattice": "ten_metre"},
            tiles={"size": 64, "stride": 64, "output_size": 64},
        )
        planned = nt.plan(load_recipe(recipe))
        server.clear()
        summary = build(load_recipe(recipe), tmp_path / "out", workers=0)
        assert server.count("pixels") == 4  # pictures and classes of both
    assert planned.header()["judging"] == "cloud is judged tile by tile, by scl"
    assert planned.cost.requests == 2
    assert (summary.tiles, summary.rejects) == (3, {"too cloudy": 1})
    whole = sky.repeat(2, 0).repeat(2, 1)[56:184, 56:184]
    for path in sidecars(tmp_path / "out"):
        sidecar = json.loads(path.read_text())
        assert sidecar["imagery"]["item_id"] == "next_T33UVP"
        assert sidecar["imagery"]["substituted"] == "claims_T33UVP: 100.0% of the tile is cloud, 10.0% allowed"
        assert sidecar["imagery"]["assets"]["scl"] == f"ee://{S2}/next_T33UVP/SCL"
        assert sidecar["imagery"]["place_quality"]["cloud"] == (whole == 8).mean()
        assert sidecar["quality"] == dict.fromkeys(("cloud", "shadow", "snow", "nodata"), 0.0)
        assert sidecar["window"] != {"row": 0, "col": 64, "height": 64, "width": 64}
    assert verify(tmp_path / "out", deep=True).problems == ()


# Images that are replaced


@pytest.fixture
def versions(quads, tmp_path):
    """A server of images, the path of a recipe for them, and the image of all its places as it is after a change."""
    with EarthEngineServer({NAIP: quads}, projects=("standin-project",)) as server:
        yield server, aerial_recipe(tmp_path, server.url), quad(f"{NAIP}/m_new", "2021-11-07T00:00:00", shift=7)


def whole(out: Path) -> dict[str, bytes]:
    """Every file of a tree, those of nutonic's own included."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def commits(out: Path) -> list[dict]:
    return [json.loads(path.read_bytes()) for path in sorted((out / "_nutonic/commits").glob("*.json"))]


@pytest.mark.long
@pytest.mark.parametrize("planned", [True, False], ids=["after a plan", "after a build"])
def test_an_image_that_is_replaced_is_told_and_taken_with_a_new_plan(versions, tmp_path, planned):
    server, path, changed_image = versions
    recipe, out = load_recipe(path), tmp_path / "out"
    if planned:
        assert nutonic("plan", path, "--out", out).code == 0
    else:
        build(recipe, out, workers=0, limit=3)
    before = whole(out)
    server.replace(changed_image)
    said = nutonic("build", path, "--out", out, "--workers", 0)
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert "USDA/…/m_new changed since it was first read for " in line
    assert "--replan" in line
    assert whole(out) == before
    assert build(recipe, out, workers=0, replan=True).complete
    assert build(recipe, tmp_path / "anew", workers=0).complete
    assert tree(out) == tree(tmp_path / "anew")
    assert verify(out, deep=True).problems == ()
    server.replace(versions[2])
    (problem,) = nt.verify(out, rebuild=2).problems
    assert "m_new changed since" in problem


def test_what_is_known_of_an_image_costs_a_request_a_batch_and_is_in_the_plan_and_its_commits(versions, tmp_path):
    server, path, _ = versions
    server.clear()
    assert build(load_recipe(path), tmp_path / "out", workers=0).complete
    told = read_plan(Store(tmp_path / "out")).header["remote"]
    new, old = f"ee://{NAIP}/m_new", f"ee://{NAIP}/m_old"
    assert list(told) == [new, old]
    remote = [commit["remote"] for commit in commits(tmp_path / "out")]
    assert remote == [{new: told[new]}] * 2
    assert server.count("assets") == 1 + len(remote)  # before the first batch, and after each


def test_an_image_that_is_replaced_while_it_is_read_is_in_no_commit(versions, tmp_path):
    """The first pixels are of one version, the next of another one."""
    server, path, changed_image = versions

    def replacing(x, y):
        server.replace(changed_image)
        return flown(0, np.zeros(x.shape, int), np.zeros(x.shape, int))

    bands = dict.fromkeys("RGB", ("uint8", replacing))
    how = {"crs": "EPSG:26917", "transform": TRANSFORM, "shape": SHAPE, "start": "2021-11-07", "end": "2021-11-08"}
    server.replace(image_of_function(f"{NAIP}/m_new", bands=bands, **how))
    with pytest.raises(RecipeChanged, match="m_new changed since it was first read"):
        build(load_recipe(path), tmp_path / "out", workers=0)
    assert commits(tmp_path / "out") == []


def test_an_image_with_other_bands_is_another_image_and_no_fault_of_its_places(versions, tmp_path):
    server, path, _ = versions
    out = tmp_path / "out"
    assert nutonic("plan", path, "--out", out).code == 0
    server.replace(quad(f"{NAIP}/m_new", "2021-11-07T00:00:00", names=("N",)))
    with pytest.raises(RecipeChanged, match="m_new changed since it was first read"):
        build(load_recipe(path), out, workers=0)
    assert commits(out) == []


def test_a_tree_that_knows_no_image_again_goes_on_and_then_does(quads, tmp_path):
    """As one that was begun when images were not pinned."""
    quiet = [replace(image, version=None) for image in quads]
    with EarthEngineServer({NAIP: quiet}) as server:
        recipe, out = load_recipe(aerial_recipe(tmp_path, server.url)), tmp_path / "out"
        build(recipe, out, workers=0, limit=3)
        assert "remote" not in read_plan(Store(out)).header
        first = {commit["commit"] for commit in commits(out)}
        server.replace(quads[1])
        assert build(recipe, out, workers=0).complete
    assert first
    assert {commit["commit"] for commit in commits(out) if "remote" not in commit} == first
    assert len(commits(out)) > len(first)
    assert verify(out, deep=True).problems == ()


def test_zeros_at_the_end_of_a_time_make_it_no_other_time():
    first, second, third = (
        pin_told({"updateTime": f"2024-01-01T00:00:{text}Z"}) for text in ("00", "00.000000", "00.000001")
    )
    assert first == second
    assert third.differs(first)
