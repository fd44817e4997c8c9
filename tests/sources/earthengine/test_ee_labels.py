"""Land cover from Earth Engine: pixels, windows, counts, patience and credentials, with the real clients over HTTP."""

from __future__ import annotations

import datetime as dt
import logging
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from distributed import Client, LocalCluster
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds
from support.clusters import cluster
from support.earthengine import (
    AWAY,
    DW,
    NOBODY,
    SIDE,
    TRANSFORM,
    WC,
    WHEN,
    composite,
    counted,
    days_of_land_cover,
    dynamic_world,
    images,
    key_of,
    scene_at,
    sign_out,
    write,
)  # fmt: skip
from support.paths import ROOT
from support.sampling import examples

from nutonic.core.classes import DYNAMIC_WORLD, ESA_WORLDCOVER, ClassTable
from nutonic.core.times import as_interval
from nutonic.cube.open import open_scene
from nutonic.errors import BadPixels, GridError, InputError, MissingExtra, NoScene, ReadFailed, Refused, Unreachable
from nutonic.io.session import limited
from nutonic.sources.earthengine import windows as ee_pixels
from nutonic.sources.earthengine.account import Account, signed_in
from nutonic.sources.earthengine.credentials import address_of
from nutonic.sources.earthengine.labels import EarthEngineLabels
from nutonic.sources.raster import RasterSource
from nutonic.sources.source import with_dates
from nutonic.testing.earthengine import EarthEngineFault, EarthEngineServer, image_of_raster

pytestmark = pytest.mark.timeout(120)
GRID = GeoBox((SIDE, SIDE), TRANSFORM, "EPSG:32633")
PLACE = (np.array([15.0]), np.array([52.3]), 5120.0)
PERIOD = "2024-06-01/2024-07-31"
STACK = days_of_land_cover()
LABEL, DAYS = composite(STACK)


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path, session):
    sign_out(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    degrees = Affine(1 / 12000, 0, 14.99, 0, -1 / 12000, 52.36)
    cover = np.random.default_rng(3).choice([10, 30, 40, 80, 100, 0], (700, 900)).astype("u1")
    path = write(folder / "cover.tif", cover, nodata=0, crs="EPSG:4326", transform=degrees)
    odd = write(folder / "odd.tif", np.full((9, 9), 300, "u2"), nodata=None)
    many = write(folder / "float.tif", np.full((9, 9), 1.5, "f4"), nodata=None)
    return {
        DW: images(folder, STACK),
        WC: [
            image_of_raster(path, f"{WC}/one", bands=("Map",), properties={"Map_class_values": [10, 30, 40, 80, 100]})
        ],
        "projects/me/assets/odd": [image_of_raster(odd, "projects/me/assets/odd/one")],
        "projects/me/assets/float": [image_of_raster(many, "projects/me/assets/float/one")],
        "projects/me/assets/empty": [],
        "raster": path,
    }


@pytest.fixture
def server(served):
    with EarthEngineServer({k: v for k, v in served.items() if k != "raster"}, projects=("standin-project",)) as found:
        yield found


@pytest.fixture(scope="module")
def lasting(served):
    with EarthEngineServer({k: v for k, v in served.items() if k != "raster"}) as found:
        yield found


def worldcover(url: str, **how) -> EarthEngineLabels:
    whole = {
        "collection": WC,
        "band": "Map",
        "classes": ESA_WORLDCOVER,
        "rule": "mosaic",
        "url": url,
        "project": "standin-project",
    }
    return EarthEngineLabels(**whole | how)


def pixels(source: EarthEngineLabels, geobox: GeoBox = GRID, scenes=None) -> xr.Dataset:
    return source.open(geobox, scenes or scene_at(), chunks=None).load()


# Pixels


def test_each_pixel_is_the_mode_of_the_narrowest_window_that_has_one(server):
    found = pixels(dynamic_world(server.url))
    np.testing.assert_array_equal(found.label, LABEL)
    np.testing.assert_array_equal(found.days, DAYS)
    assert set(np.unique(DAYS)) == {7, 14, 30, 60, 120, 255}
    assert found.label.dtype == found.days.dtype == np.uint8


def test_water_is_0_and_a_cloud_is_255(server):
    found = pixels(dynamic_world(server.url)).label.values
    assert (found == 0).sum() == (LABEL == 0).sum() > 10_000
    assert (found[200:240, :30] == 255).all()
    assert DYNAMIC_WORLD.unknown == 255


def test_windows_are_as_asked(server):
    label, days = composite(STACK, (14, 60))
    found = pixels(dynamic_world(server.url, windows_days=(14, 60)))
    np.testing.assert_array_equal(found.label, label)
    np.testing.assert_array_equal(found.days, days)


def test_windows_are_around_the_scene_and_both_ends_are_in_them(server):
    edge = WHEN + dt.timedelta(days=AWAY[0] - 7)  # seven days before the first image, to the millisecond
    source = dynamic_world(server.url, windows_days=(7,))
    np.testing.assert_array_equal(pixels(source, scenes=scene_at(edge)).label, STACK[0])
    beyond = pixels(source, scenes=scene_at(edge - dt.timedelta(milliseconds=1)))
    assert (beyond.label == 255).all()
    assert (beyond.days == 255).all()


def test_the_nearest_image_has_its_own_holes(server):
    found = pixels(dynamic_world(server.url, rule="nearest"))
    nearest = AWAY.index(-2.4)
    np.testing.assert_array_equal(found.label, STACK[nearest])
    np.testing.assert_array_equal(found.days, np.where(STACK[nearest] == 255, 255, 3))


def test_beyond_the_nearest_image_the_next_one_is_taken(tmp_path):
    near, far = np.full((20, 20), 4, "u1"), np.full((40, 40), 6, "u1")
    near[3:5, 3:9] = 255
    rasters = [write(tmp_path / "near.tif", near, nodata=255), write(tmp_path / "far.tif", far, nodata=255)]
    starts = [(WHEN + dt.timedelta(days=days)).isoformat() for days in (1, 5)]
    served = [
        image_of_raster(path, f"{DW}/{path.stem}", start=when) for path, when in zip(rasters, starts, strict=True)
    ]
    with EarthEngineServer({DW: served}) as server:
        found = pixels(dynamic_world(server.url, rule="nearest"), GRID[:50, :50])
    right = np.full((50, 50), 255, "u1")
    right[:40, :40], right[:20, :20] = far, near
    np.testing.assert_array_equal(found.label, right)
    assert found.days.values[30, 30] == 5
    assert found.days.values[3, 3] == 255


@pytest.mark.long
@pytest.mark.parametrize("zone", [32633, 32632, 3035])
def test_a_map_in_degrees_is_the_raster_behind_it(server, served, zone):
    grid = GeoBox.from_bbox(
        transform_bounds(str(GRID.crs), f"EPSG:{zone}", *GRID.boundingbox), resolution=10, crs=f"EPSG:{zone}"
    )
    here = RasterSource(str(served["raster"]), "esa-worldcover")
    right = here.open(grid, here.search(*PLACE)[0], chunks=None).load()
    found = pixels(worldcover(server.url), grid, scene_at(None, WC))
    assert list(found) == ["label"]
    np.testing.assert_array_equal(found.label, right.label)
    assert len(np.unique(right.label)) == 6
    for name in "xy":
        np.testing.assert_array_equal(found[name], right[name])


@pytest.mark.long
def test_another_collection_takes_a_table_and_a_few_words(server):
    own = ClassTable(name="own", labels={0: "sea", 1: "land"}, unknown=9, colors={}, masked=(2, 3, 4, 5, 6, 7, 8))
    found = pixels(dynamic_world(server.url, classes=own, rule="mosaic"), scenes=scene_at(None)).label.values
    last = STACK[0].copy()
    for image in STACK[1:]:
        last = np.where(image == 255, last, image)
    np.testing.assert_array_equal(found, np.where(last > 1, 9, last))


def test_numbers_that_are_no_classes_are_told(server):
    source = dynamic_world(server.url, collection="projects/me/assets/odd", rule="mosaic")
    with pytest.raises(BadPixels, match="holds numbers in label that are not from 0 to 255"):
        pixels(source, GRID[:9, :9], scene_at(None))


def test_the_year_of_a_mosaic(tmp_path):
    first, last = np.full((9, 9), 10, "u1"), np.full((9, 9), 20, "u1")
    served = [
        image_of_raster(write(tmp_path / f"{year}.tif", each, nodata=0), f"{WC}/{year}", start=f"{year}-01-01")
        for year, each in ((2020, first), (2021, last))
    ]
    with EarthEngineServer({WC: served}) as server:
        for year, value in ((2020, 10), (2021, 20), (None, 20)):
            source = worldcover(server.url, band="label", year=year)
            source.search(*PLACE, PERIOD)
            assert (pixels(source, GRID[:9, :9], scene_at(None)).label == value).all()
        with pytest.raises(NoScene, match=r"no image between 2019-01-01 and 2020-01-01"):
            worldcover(server.url, band="label", year=2019).search(*PLACE, PERIOD)


# The laws

SLICES = st.builds(
    slice, *(st.none() | st.integers(-SIDE, SIDE),) * 2, st.sampled_from([None, 1, 2, 7, -1, -3])
).filter(
    lambda part: len(range(*part.indices(SIDE))) > 0  # xarray itself stumbles over empty ones that go backwards
)


@examples(8, 25, rows=SLICES, cols=SLICES)
def test_a_window_is_a_window_of_the_whole(lasting, rows, cols):
    part = dynamic_world(lasting.url).open(GRID, scene_at(), chunks=None).isel(y=rows, x=cols).load()
    np.testing.assert_array_equal(part.label, LABEL[rows, cols])
    np.testing.assert_array_equal(part.days, DAYS[rows, cols])
    np.testing.assert_array_equal(part.x, GRID.coords["x"].values[cols])


@pytest.mark.long
@examples(6, 15, data=st.data())
def test_opened_on_a_tile_or_cut_from_the_whole_is_the_same(lasting, data):
    top, left = (data.draw(st.integers(0, SIDE - 1)) for _ in range(2))
    height, width = (data.draw(st.integers(1, SIDE - first)) for first in (top, left))
    window = np.s_[top : top + height, left : left + width]
    source = dynamic_world(lasting.url)
    cut = source.open(GRID, scene_at(), chunks=64)[{"y": window[0], "x": window[1]}]
    opened = source.open(GRID[window], scene_at(), chunks=None)
    xr.testing.assert_identical(opened.drop_vars("spatial_ref").load(), cut.drop_vars("spatial_ref").compute())


def test_a_list_of_rows_and_one_pixel(server):
    found = dynamic_world(server.url).open(GRID, scene_at(), chunks=None)
    rows, cols = [7, 3, 250], [1, 1, 99, 0]
    np.testing.assert_array_equal(found.label.isel(y=rows, x=cols), LABEL[np.ix_(rows, cols)])
    assert found.label.isel(y=17, x=-1) == LABEL[17, -1]
    assert found.isel(y=slice(5, 5)).load().label.shape == (0, SIDE)


def test_coordinates_are_the_grids_and_nothing_is_asked_before_pixels_are(server):
    with counted() as told:
        found = dynamic_world(server.url).open(GRID, scene_at(), chunks=128)
    assert told == {}
    for name in "xy":
        np.testing.assert_array_equal(found[name], GRID.coords[name].values)
    assert found.odc.geobox == GRID
    assert found.label.encoding == {}
    assert found.label.attrs["_FillValue"] == 255
    assert found.chunksizes["x"] == (128, 128, 44)


@pytest.mark.long
def test_it_pickles_without_anything_of_this_process(server, tmp_path, monkeypatch):
    monkeypatch.setenv("EE_SERVICE_ACCOUNT_KEY", str(key_of(tmp_path, server.token_uri)))
    source = dynamic_world(server.url)
    opened = source.open(GRID, scene_at(), chunks=128)
    pixels(source)
    data = pickle.dumps((source, opened))
    assert b"canary" not in data
    assert b"PRIVATE" not in data
    again, lazy = pickle.loads(data)
    assert again == source
    np.testing.assert_array_equal(lazy.label, LABEL)


@pytest.mark.long
def test_many_threads_get_the_same(server):
    found = dynamic_world(server.url).open(GRID, scene_at(), chunks=64).compute(scheduler="threads", num_workers=8)
    np.testing.assert_array_equal(found.label, LABEL)


@contextmanager
def elsewhere(kind: str, folder: Path) -> Iterator[str | Client]:
    """Two processes that know nothing of this one's session."""
    if kind == "LocalCluster":
        with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as local, Client(local) as client:
            yield client
    else:
        with cluster(folder, PYTHONPATH=ROOT, **NOBODY) as dask, Client(dask.address) as client:
            yield client


@pytest.mark.sampled(one_in=2, among="Earth Engine on workers")
@pytest.mark.parametrize("kind", [pytest.param("LocalCluster", marks=pytest.mark.exhaustive), "dask worker"])
@pytest.mark.cluster
def test_other_processes_get_the_same(server, served, tmp_path, kind):
    behind = RasterSource(str(served["raster"]), "esa-worldcover")
    right = behind.open(GRID, behind.search(*PLACE)[0], chunks=None).load()
    world, labels = worldcover(server.url), dynamic_world(server.url)
    lazy = [labels.open(GRID, scene_at(), chunks=150), world.open(GRID, scene_at(None, WC), chunks=150)]
    with elsewhere(kind, tmp_path) as client:
        found, cover = client.gather(client.compute(lazy))
    np.testing.assert_array_equal(found.label, LABEL)
    np.testing.assert_array_equal(found.days, DAYS)
    np.testing.assert_array_equal(cover.label, right.label)
    assert 8 <= server.count("pixels") <= 12  # class and days of a chunk may be taken by two processes
    assert server.count("algorithms") <= 2  # once in each


def test_a_grid_needs_a_code_and_north_up(server):
    source = dynamic_world(server.url)
    with pytest.raises(GridError, match="EPSG code"):
        source.open(GeoBox((9, 9), TRANSFORM, "+proj=laea +lat_0=52 +lon_0=15"), scene_at())
    with pytest.raises(GridError, match="rotated"):
        source.open(GeoBox((9, 9), TRANSFORM @ Affine.rotation(3), "EPSG:32633"), scene_at())


# The date


def test_labels_without_a_date_take_the_pictures():
    picture, source = replace(scene_at()[0], source="stac"), dynamic_world("http://127.0.0.1:9")
    timeless = dynamic_world("http://127.0.0.1:9", rule="mosaic")
    (_, labels) = with_dates((timeless, source), ((picture,), scene_at(None)))
    assert labels == scene_at()
    (alone,) = with_dates((source,), (scene_at(None),), as_interval("2024-07-01/2024-07-03"))
    assert alone[0].datetime.startswith("2024-07-02T12:00")
    assert with_dates((source,), (scene_at(None),)) == [scene_at(None)]
    assert with_dates((source, timeless), ((picture,), scene_at(None))) == [(picture,), scene_at(None)]


def test_without_any_date_it_is_told(server):
    with pytest.raises(NoScene, match="labels of GOOGLE/DYNAMICWORLD/V1 are those around a date"):
        dynamic_world(server.url).open(GRID, scene_at(None))


def test_a_cube_of_labels_alone_is_around_the_middle_of_its_time(server):
    near = (WHEN - dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    last = (WHEN + dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = open_scene(GRID, [dynamic_world(server.url)], time=f"{near}/{last}")
    np.testing.assert_array_equal(found.label, LABEL)


# How much is asked


def test_one_open_for_a_scene_and_one_request_for_a_place_and_both_variables(server):
    source = dynamic_world(server.url)
    whole = source.open(GRID, scene_at(), chunks=None)
    places = [whole.isel(y=slice(top, top + 60), x=slice(9, 69)) for top in (0, 60, 130, 200)]
    with counted() as told:
        for place in places:
            place.load()
        source.open(GRID[20:80, 100:160], scene_at(), chunks=None).load()  # the same scene in another batch
    assert (server.count("compute"), server.count("pixels")) == (1, 5)
    assert told["requests"] == 6 + server.count("discovery") + server.count("algorithms")
    server.clear()
    source.open(GRID[:30, :30], scene_at(WHEN + dt.timedelta(days=1)), chunks=None).load()
    assert (server.count("compute"), server.count("pixels")) == (1, 1)


@pytest.mark.long
def test_one_request_for_a_chunk(server):
    dynamic_world(server.url).open(GRID, scene_at(), chunks=128).compute()
    assert (server.count("compute"), server.count("pixels")) == (1, 9)


@pytest.mark.sampled(one_in=2, among="threads ask Earth Engine")
def test_threads_that_need_the_same_open_it_once(server):
    source = dynamic_world(server.url)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: pixels(source, GRID[k : k + 20, :20]), range(16)))
    assert (server.count("compute"), server.count("pixels")) == (1, 16)
    assert server.count("algorithms") <= 1


@given(height=st.integers(1, 80_000), width=st.integers(1, 80_000))
def test_parts_are_small_enough_and_are_the_whole(height, width):
    window = (slice(5, 5 + height), slice(-7, width - 7))
    parts = list(ee_pixels.parts(window))
    shapes = [ee_pixels.window_shape(part) for part in parts]
    assert all(rows * cols * 3 <= 48 * 2**20 and max(rows, cols) <= 32768 for rows, cols in shapes)
    assert sum(rows * cols for rows, cols in shapes) == height * width
    assert len({(part[0].start, part[1].start) for part in parts}) == len(parts)
    assert (len(parts) == 1) == (height * width * 3 <= 48 * 2**20 and max(height, width) <= 32768)


def test_what_is_too_large_is_asked_for_in_parts(server, monkeypatch):
    monkeypatch.setattr(ee_pixels, "MOST_BYTES", 100 * SIDE * 3)
    np.testing.assert_array_equal(pixels(dynamic_world(server.url)).label, LABEL)
    assert [each.grid["dimensions"]["height"] for each in server.requests if each.kind == "pixels"] == [100, 100, 100]


# Faults

FAULTS = [EarthEngineFault(kind=kind, share=0.04, seed=k) for k, kind in enumerate(("429", "503", "drop", "short"))]


@pytest.mark.long
def test_faults_told_are_faults_served_and_pixels_are_right(served):
    with EarthEngineServer({DW: served[DW]}, faults=[*FAULTS, EarthEngineFault(kind="truncate", share=0.04)]) as server:
        with counted() as told:
            found = dynamic_world(server.url).open(GRID, scene_at(), chunks=32).compute(scheduler="threads")
        np.testing.assert_array_equal(found.label, LABEL)
        np.testing.assert_array_equal(found.days, DAYS)
        met = {name.removeprefix("fault: "): count for name, count in told.items() if name.startswith("fault: ")}
        given_ = server.faults_served
        assert sum(met.values()) == given_.total() > 10
        assert (met["429"], met["503"]) == (given_["429"], given_["503"])
        assert told["requests"] == len(server.requests)


@pytest.mark.sampled(one_in=2, among="threads ask Earth Engine")
def test_never_more_at_once_than_the_limit(served):
    with EarthEngineServer({DW: served[DW]}, max_concurrent=4, latency_s=0.02) as server:
        with limited(4), counted() as told:
            dynamic_world(server.url).open(GRID, scene_at(), chunks=60).compute(scheduler="threads", num_workers=16)
        assert server.peak == 4
        assert not [name for name in told if name.startswith("fault")]
        assert server.count("pixels", 429) == 0


@pytest.mark.sampled(one_in=2, among="Earth Engine refuses")
def test_a_server_that_allows_four_is_asked_by_four_after_a_few_refusals(served):
    with EarthEngineServer({DW: served[DW]}, max_concurrent=4, latency_s=0.01) as server:
        with counted() as told:
            whole = dynamic_world(server.url).open(GRID, scene_at(), chunks=30)
            found = whole.compute(scheduler="threads", num_workers=16)
        np.testing.assert_array_equal(found.label, LABEL)
        refused = server.count("pixels", 429) + server.count("compute", 429)
        assert told["fault: 429"] == refused
        # Eight at once at first, of which four are refused; then after every 32 answers one more than four is tried.
        assert 4 <= refused <= 4 + 4 * (100 // 32)
        assert server.peak <= 9


REFUSED = [
    ("429", "over quota", ReadFailed, 7), ("503", "server failed", ReadFailed, 7),
    ("drop", "connection lost", ReadFailed, 7), ("403", "no permission", Refused, 1),
    ("404", "no such asset", ReadFailed, 1), ("401", "credentials refused", Refused, 1),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("kind", "reason", "error", "tried"), REFUSED)
def test_what_does_not_pass_is_told_apart_and_what_cannot_is_not_tried_again(served, kind, reason, error, tried):
    with EarthEngineServer({DW: served[DW]}, faults=[EarthEngineFault(kind=kind, on="pixels")]) as server:
        with pytest.raises(error) as caught:
            pixels(dynamic_world(server.url))
        assert caught.value.reason == reason
        assert pickle.loads(pickle.dumps(caught.value)).reason == reason
        assert server.count("pixels") == tried


def test_what_failed_is_asked_again_the_next_time(served):
    fault = EarthEngineFault(kind="503", on="pixels", times=7)
    with EarthEngineServer({DW: served[DW]}, faults=[fault]) as server:
        with pytest.raises(ReadFailed, match="Earth Engine does not answer"):
            pixels(dynamic_world(server.url))
        np.testing.assert_array_equal(pixels(dynamic_world(server.url)).label, LABEL)


def test_too_large_and_too_hard_are_reasons_of_their_own(server, monkeypatch):
    monkeypatch.setattr(ee_pixels, "MOST_SIDE", 10**6)
    with pytest.raises(ReadFailed) as caught:
        pixels(dynamic_world(server.url), GRID.pad_wh(40_000, 1)[:1])
    assert caught.value.reason == "too large"
    assert server.count("pixels") == 1


# What is wrong is told before anything is built

WRONG = [
    ({"collection": "GOOGLE/DYNAMICWORLD/V2"}, InputError, "asset 'GOOGLE/DYNAMICWORLD/V2' not found"),
    ({"band": "lable"}, InputError, "labels.band is 'lable', which GOOGLE/DYNAMICWORLD/V1 has not: use one of label"),
    ({"collection": "projects/me/assets/empty"}, NoScene, "has no image between 2024-02-02 and 2024-11-29"),
    ({"collection": "projects/me/assets/empty", "rule": "mosaic"}, NoScene, "has no image at all"),
    ({"collection": "projects/me/assets/float", "rule": "mosaic"}, InputError, "holds float numbers in label"),
    (
        {"collection": WC, "band": "Map", "rule": "mosaic"}, InputError,
        r"has classes \[10, 30, 40, 80, 100\] in Map, which dynamic-world does not list",
    ),
    ({"project": "other"}, Refused, "permission to use project other"),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("how", "error", "said"), WRONG)
def test_a_search_finds_what_cannot_work(server, how, error, said):
    with pytest.raises(error, match=said) as caught:
        dynamic_world(server.url, **how).search(*PLACE, PERIOD)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_search_is_one_request_for_all_places(server):
    source = dynamic_world(server.url)
    found = source.search(np.arange(5.0), np.arange(5.0), 5120, PERIOD)
    assert server.count("compute") == 1
    assert list(found) == [scene_at(None)] * 5
    assert len({id(scenes) for scenes in found}) == 1  # a plan keeps one for all


def test_a_time_without_images_is_told(server):
    with pytest.raises(NoScene, match="GOOGLE/DYNAMICWORLD/V1 has no image between 2019-01-03 and 2019-09-01"):
        dynamic_world(server.url).search(*PLACE, "2019-05-03")


def test_nobody_there_is_no_mistake_of_the_recipe(served):
    fault = EarthEngineFault(kind="503", on="compute")
    with (
        EarthEngineServer({DW: served[DW]}, faults=[fault]) as server,
        pytest.raises(Unreachable, match="Earth Engine does not answer"),
    ):
        dynamic_world(server.url).search(*PLACE, PERIOD)


def test_of_known_tables_the_rest_is_known():
    known = EarthEngineLabels(url="http://127.0.0.1:9")
    assert known == dynamic_world("http://127.0.0.1:9", project=None, rule="mode")
    assert EarthEngineLabels(classes="esa-worldcover") == worldcover(None, project=None)
    assert EarthEngineLabels(classes="dynamic-world", rule="nearest").rule == "nearest"
    with pytest.raises(InputError, match="labels of io-lulc need a collection and a band"):
        EarthEngineLabels(classes="io-lulc")
    with pytest.raises(InputError, match="no class table 'worldcover'"):
        EarthEngineLabels(classes="worldcover")


@pytest.mark.parametrize("windows", [(), (0, 7), (14, 7), (7, 7), (7, 255)])
def test_windows_ascend_and_fit(windows):
    with pytest.raises(InputError, match=r"\[.*\] are no windows: write whole days from 1 to 254 that ascend"):
        dynamic_world("http://127.0.0.1:9", windows_days=windows)


# Who asks


def test_without_credentials_two_lines_say_what_to_do():
    with pytest.raises(Refused) as caught:
        dynamic_world(None).search(*PLACE, PERIOD)
    assert str(caught.value).splitlines() == [
        "no credentials for Earth Engine on this machine:",
        "set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file, or run  gcloud auth application-default "
        "login  or  earthengine authenticate",
    ]


def test_without_a_project_two_lines_say_what_to_do(server):
    with pytest.raises(Refused) as caught:
        dynamic_world(server.url, project=None).search(*PLACE, PERIOD)
    assert str(caught.value).splitlines() == [
        "Earth Engine needs a Cloud project:",
        "set labels.project or imagery.project, or EE_PROJECT or GOOGLE_CLOUD_PROJECT in the environment",
    ]


@pytest.mark.parametrize("name", ["EE_PROJECT", "GOOGLE_CLOUD_PROJECT"])
def test_the_project_may_come_from_the_environment(server, monkeypatch, name):
    monkeypatch.setenv(name, "standin-project")
    dynamic_world(server.url, project=None).search(*PLACE, PERIOD)
    monkeypatch.setenv(name, "other")
    with pytest.raises(Refused, match="project other"):
        dynamic_world(server.url, project=None).search(*PLACE, PERIOD)


@pytest.fixture
def guarded(served):
    """A server that wants a token, and gives one for any key."""
    with EarthEngineServer({DW: served[DW]}, token="canary-of-a-token") as found:
        yield found


@pytest.mark.parametrize("how", ["path", "key", "google"])
def test_a_service_accounts_key_is_exchanged_for_a_token(guarded, tmp_path, monkeypatch, caplog, how):
    caplog.set_level(logging.DEBUG)
    key = key_of(tmp_path, guarded.token_uri)
    name = "GOOGLE_APPLICATION_CREDENTIALS" if how == "google" else "EE_SERVICE_ACCOUNT_KEY"
    monkeypatch.setenv(name, key.read_text() if how == "key" else str(key))
    found = pixels(dynamic_world(guarded.url))
    np.testing.assert_array_equal(found.label, LABEL)
    assert guarded.count("token") == 1
    assert {each.status for each in guarded.requests} == {200}
    assert "canary-of-a-token" not in caplog.text
    assert "PRIVATE" not in caplog.text


def test_without_a_token_it_is_refused(guarded):
    with pytest.raises(Refused, match="Earth Engine does not take the credentials") as caught:
        dynamic_world(guarded.url).search(*PLACE, PERIOD)
    assert caught.value.reason == "credentials refused"
    assert len(str(caught.value).splitlines()) == 2


def test_a_token_that_runs_out_is_renewed_and_one_that_is_revoked_is_told(guarded, tmp_path, monkeypatch):
    monkeypatch.setenv("EE_SERVICE_ACCOUNT_KEY", str(key_of(tmp_path, guarded.token_uri)))
    source = dynamic_world(guarded.url)
    pixels(source, GRID[:20, :20])
    guarded.token = "another"  # it gives this one now
    np.testing.assert_array_equal(pixels(source, GRID[:30, :30]).label, LABEL[:30, :30])
    assert guarded.count("token") == 2
    guarded.token = "a third"
    guarded.script([EarthEngineFault(kind="401", on="token")])
    with pytest.raises(Refused, match="Earth Engine does not take the credentials") as caught:
        pixels(source, GRID[:40, :40])
    assert caught.value.reason == "credentials refused"


@pytest.mark.parametrize("content", ["{", "[]", '{"type": "service_account", "private_key": "canary-of-a-key"}'])
def test_a_key_that_is_none_is_told_without_its_content(tmp_path, monkeypatch, content):
    path = tmp_path / "key.json"
    path.write_text(content)
    for name, said in (("EE_SERVICE_ACCOUNT_KEY", content), ("GOOGLE_APPLICATION_CREDENTIALS", str(path))):
        monkeypatch.setenv(name, said)
        with pytest.raises(Refused, match=f"the credentials that {name} names cannot be used") as caught:
            Account(None, "any").check()
        assert "canary" not in str(caught.value)
        monkeypatch.delenv(name)


def test_a_key_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "nowhere/key.json")
    with pytest.raises(Refused, match="cannot be used: no such file or directory"):
        Account(None, "any").check()


def test_an_address_on_this_machine_needs_no_credentials_good_or_bad(server, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "nowhere/key.json")
    dynamic_world(server.url).search(*PLACE, PERIOD)


def test_a_key_of_googles_is_not_shown_to_this_machine(guarded, tmp_path, monkeypatch):
    monkeypatch.setenv("EE_SERVICE_ACCOUNT_KEY", str(key_of(tmp_path, "https://oauth2.googleapis.com/token")))
    with pytest.raises(Refused, match="does not take the credentials"):
        dynamic_world(guarded.url).search(*PLACE, PERIOD)


@pytest.mark.parametrize(
    "url",
    [
        *("https://earthengine.example.org", "http://earthengine.googleapis.com", "https://googleapis.com.example.org"),
        *("https://me@earthengine.googleapis.com", "https://earthengine.googleapis.com:8443", "http://10.0.0.1:8000"),
        *("https://earthengine.googleapis.com/?key=x", "file:///etc/passwd", "http://127.0.0.1:8000/api"),
    ],
)
def test_credentials_go_to_google_alone(url):
    with pytest.raises(InputError, match="is no address of Earth Engine"):
        dynamic_world(url)


def test_by_default_the_high_volume_endpoint_is_asked():
    assert address_of(None) == "https://earthengine-highvolume.googleapis.com"
    assert address_of("https://earthengine.googleapis.com/") == "https://earthengine.googleapis.com"
    assert address_of("http://127.0.0.1:8000") == "http://127.0.0.1:8000"


def test_without_the_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xee", None)
    with pytest.raises(MissingExtra, match=r"Earth Engine needs xee: pip install 'nutonic\[earthengine\]'"):
        dynamic_world("http://127.0.0.1:9")


# Sessions


@pytest.mark.sampled(one_in=2, among="threads ask Earth Engine")
def test_two_sessions_in_one_process_take_turns(served, tmp_path):
    other = np.full((SIDE, SIDE), 5, "u1")
    path = write(tmp_path / "other.tif", other, nodata=255)
    with (
        EarthEngineServer({DW: served[DW]}, projects=("standin-project",)) as one,
        EarthEngineServer({DW: [image_of_raster(path, f"{DW}/x", start=WHEN.isoformat())]}, projects=("b",)) as two,
    ):
        sources = [(dynamic_world(one.url), LABEL), (dynamic_world(two.url, project="b"), other)]

        def read(k: int) -> bool:
            source, right = sources[k % 2]
            return bool((pixels(source, GRID[k : k + 50, :50]).label.values == right[k : k + 50, :50]).all())

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(read, range(24)))
        assert {one.count("pixels"), two.count("pixels")} == {12}
        assert not [each for server in (one, two) for each in server.requests if each.status != 200]


def test_it_signs_in_once_and_asks_nobody_else(server):
    with counted():
        barrier = threading.Barrier(6)

        def enter(_: int) -> None:
            barrier.wait()
            with signed_in(dynamic_world(server.url).account):
                pass

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(enter, range(6)))
    assert (server.count("discovery"), server.count("deprecated")) == (2, 0)
    assert server.count("compute") == 0
