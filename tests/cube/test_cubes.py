"""Cubes over area and time: the law of sources, the steps, what is left out, and how often anything is read."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from dataclasses import replace
from itertools import product
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from dask.callbacks import Callback
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from pyproj import Transformer
from support.cubes import GRID, SERIES, seen, truth
from support.worlds import written

import nutonic as nt
from nutonic.core.areas import area_grid
from nutonic.core.classes import ClassTable
from nutonic.cube.search import CubePlan
from nutonic.errors import GridError, InputError, NoScene, ReadFailed
from nutonic.sources.source import TimedSource
from nutonic.testing import BANDS, COLLECTION, FileServer, remote_catalogue

HEIGHT, WIDTH = SERIES.shape
CLASSES = ClassTable(name="synthetic", labels=SERIES.classes, unknown=SERIES.unknown, colors={})
IMAGERY = nt.StacSource(url="", collection=COLLECTION, masks=("scl",), record=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return written(SERIES, tmp_path_factory.mktemp("series")).parent


@pytest.fixture(scope="module")
def sources(folder) -> list:
    return [replace(IMAGERY, url=str(folder / "items.json")), nt.RasterSource(str(folder / "land_cover.tif"), CLASSES)]


@pytest.fixture(scope="module")
def plan(sources) -> CubePlan:
    return nt.search(GRID, sources)


# The law


@pytest.mark.parametrize("engine", ["stackstac", pytest.param("odc-stac", marks=pytest.mark.exhaustive)])
def test_every_pixel_of_every_step_is_right(sources, engine):
    cube = nt.open_cube(GRID, [replace(sources[0], engine=engine), sources[1]], chunks=256).compute(scheduler="threads")
    assert cube["red"].dims == ("time", "y", "x")
    for name in (*BANDS, "scl"):
        np.testing.assert_array_equal(cube[name], truth(name, cube.x.values, cube.y.values), err_msg=name)
    np.testing.assert_array_equal(cube["label"], SERIES.labels_at(cube.x.values, cube.y.values, str(GRID.crs)))


@pytest.mark.long
def test_the_record_tells_whose_each_pixel_is(sources, plan):
    cube = nt.open_cube(plan, sources, chunks=256).compute(scheduler="threads")
    table = cube.nutonic.scenes.dropna(subset="number")
    ids = np.array(["", *table.sort_values("number")["id"]])
    assert len(ids) == 9
    for t, step in enumerate(SERIES.steps):
        numbers = cube["scene"].values[t]
        layers = [seen(scene_id, "red", cube.x.values, cube.y.values) for scene_id in step]
        want = np.select([layer != 0 for layer in layers], list(step), "")
        assert (ids[numbers] == want).all()


@pytest.mark.long
def test_a_tile_of_a_cube_is_the_cube_of_the_tile(sources, plan, sample):
    @seed(sample.seed)
    @settings(max_examples=sample.times(2, every=30), database=None)
    @given(st.data())
    def holds(data):
        is_the_cube_of_the_tile(sources, plan, data)

    holds()


def is_the_cube_of_the_tile(sources, plan, data):
    top = data.draw(st.integers(0, HEIGHT - 2))
    left = data.draw(st.integers(0, WIDTH - 2))
    rows = slice(top, data.draw(st.integers(top + 1, min(top + 300, HEIGHT))))
    cols = slice(left, data.draw(st.integers(left + 1, min(left + 300, WIDTH))))
    chunks = [data.draw(st.sampled_from([64, 100, 256, 1024])) for _ in range(2)]
    whole = nt.open_cube(plan, sources, chunks=chunks[0]).isel(y=rows, x=cols)
    tile = nt.open_cube(plan.on(GRID[rows, cols]), sources, chunks=chunks[1])
    with dask.config.set(scheduler="threads"):
        found, want = (cube.drop_vars("spatial_ref").compute() for cube in (tile, whole))
    xr.testing.assert_identical(found, want)
    assert whole.x.values.tobytes() == tile.x.values.tobytes()


def test_nothing_is_read_before_it_is_computed(folder, sources, plan, tmp_path):
    for path in folder.rglob("*.tif"):
        path.rename(path.with_suffix(".away"))
    try:
        lazy = nt.open_cube(plan, sources, chunks=256)
        assert lazy["red"].chunks == ((1,) * 6, (256, 256, 256, 232), (256, 256, 256, 256, 176))
        assert lazy.odc.geobox == GRID
        assert lazy.rio.crs.to_epsg() == SERIES.zone_epsg
        assert lazy["red"].rio.nodata == 0
    finally:
        for path in folder.rglob("*.away"):
            path.rename(path.with_suffix(".tif"))


def test_a_cube_and_its_plan_pickle(sources, plan):
    again = pickle.loads(pickle.dumps((sources, plan)))
    assert again[1] == plan
    assert isinstance(again[0][0], TimedSource)
    part = nt.open_cube(again[1].on(GRID[:50, :60]), again[0], chunks=64)
    xr.testing.assert_identical(
        pickle.loads(pickle.dumps(part)).compute(), nt.open_cube(plan.on(GRID[:50, :60]), sources, chunks=64).compute()
    )


# Steps


def test_steps_are_overpasses_in_order_each_granule_once(plan):
    timeline = plan.timelines[0]
    assert tuple(tuple(scene.id for scene in step.scenes) for step in timeline.steps) == (
        ("a-west", "b-east"), ("same-day",), ("next-zone",), ("new",), ("night-early", "night-late"), ("cloudy",),
    )  # fmt: skip
    assert timeline.steps[0].time == "2024-05-02T09:50:31.024000Z"
    assert timeline.left_out == (("old", "processed again as new"),)
    assert (np.diff(plan.time) > np.timedelta64(0)).all()


def test_a_cube_tells_what_it_is_made_of(sources, plan):
    cube = nt.open_cube(plan, sources)
    table = cube.nutonic.scenes
    assert table.loc[table["warped"] & table["step"].notna(), "id"].tolist() == ["next-zone"]
    assert cube["cloud_cover"].values.tolist() == [7.0, 35.0, 1.0, 22.0, 13.0, 48.0]
    assert cube.isel(time=[0, 3]).nutonic.scenes["id"].tolist() == ["a-west", "b-east", "new", "land_cover"]
    assert cube.nutonic.left_out.values.tolist() == [["old", "processed again as new"]]
    said = repr(cube.nutonic)
    larger = "scl of 20 m: each pixel is taken for 4 of the grid's"  # of which a cube that is saved tells nothing
    assert said.splitlines() == [line for line in str(plan).splitlines() if line != larger]
    assert "1000 × 1200 pixels of 10 m in EPSG:32633" in said
    assert "6 steps from 2024-05-02 to 2024-08-30, 8 scenes" in said
    assert "1 of EPSG:32634 by nearest neighbour" in said
    assert not any("/" in href and href.startswith("/") for row in table["assets"] for href in row.values())


def test_other_zones_can_be_left_out(sources, plan):
    found = nt.search(GRID, sources, warp=False)
    assert len(found.time) == 5
    assert ("next-zone", "is in EPSG:32634") in found.timelines[0].left_out
    kept = nt.open_cube(found, sources).isel(time=2).compute()
    xr.testing.assert_equal(kept["red"], nt.open_cube(plan, sources).isel(time=3).compute()["red"])


def test_the_time_asked_for_and_the_area_decide(sources):
    june = nt.search(GRID, sources, time="2024-06-01/2024-06-30")
    assert [step.scenes[0].id for step in june.timelines[0].steps] == ["same-day", "next-zone", "new"]
    west = nt.search(GRID[:300, :300], sources)  # which the south, the east and the next zone do not touch
    assert [scene.id for step in west.timelines[0].steps for scene in step.scenes] == [
        "a-west", "new", "night-late", "cloudy",
    ]  # fmt: skip
    with pytest.raises(NoScene, match=r"2019-01-01/2019-02-01"):
        nt.search(GRID, sources, time="2019-01-01/2019-02-01")


def test_scenes_without_what_is_asked_are_left_out_and_told(folder, sources):
    items = json.loads((folder / "items.json").read_text())
    for item in items["features"]:
        if item["id"] == "same-day":
            del item["assets"]["scl"]
        if item["id"] == "cloudy":
            item["assets"]["visual"] = item["assets"].pop("red")
    (folder / "some.json").write_text(json.dumps(items))
    found = nt.search(GRID, [replace(sources[0], url=str(folder / "some.json"))])
    assert dict(found.timelines[0].left_out) == {
        "old": "processed again as new",
        "same-day": "has no asset scl",
        "cloudy": "has no bands but a rendered picture",
    }


def test_scenes_without_a_band_or_with_too_much_cloud_are_told_as_those_without_a_mask(folder, sources):
    items = json.loads((folder / "items.json").read_text())
    for item in items["features"]:
        item["properties"]["eo:cloud_cover"] = 10
        if item["id"] == "same-day":
            del item["assets"]["red"], item["assets"]["blue"]
        if item["id"] == "cloudy":
            item["properties"]["eo:cloud_cover"] = 30
        if item["id"] == "next-zone":
            del item["properties"]["eo:cloud_cover"]
    path = folder / "lacking.json"
    path.write_text(json.dumps(items))
    source = replace(sources[0], url=str(path), assets=("red", "blue"), max_cloud_cover=20)
    told = {
        "old": "processed again as new",
        "same-day": "has no asset red, blue",
        "cloudy": "has more cloud than max_cloud_cover, 20 %",
        "next-zone": "does not tell its cloud, for max_cloud_cover, 20 %",
    }
    plan = nt.search(GRID, [source])
    assert dict(plan.left_out.values.tolist()) == told
    assert dict(nt.open_cube(plan, [source]).nutonic.left_out.values.tolist()) == told


@pytest.mark.parametrize("warp", [True, False])
def test_two_satellites_at_the_same_time_are_two_steps(folder, sources, warp):
    items = json.loads((folder / "items.json").read_text())
    pair = [dict(item) for item in items["features"] if item["id"] in ("new", "cloudy")]
    assert len(pair) == 2
    for item, satellite in zip(pair, ("sentinel-2a", "sentinel-2b"), strict=True):
        item["properties"] = {**item["properties"], "platform": satellite, "datetime": "2024-05-01T10:10:00Z"}
    path = folder / "pair.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": pair}))
    source = replace(sources[0], url=str(path))
    cube = nt.open_cube(GRID, [source], warp=warp)
    assert cube.time.values.tolist() == np.array(["2024-05-01T10:10:00", "2024-05-01T10:10:01"], "M8[ns]").tolist()
    assert cube.nutonic.scenes["id"].tolist() == sorted(item["id"] for item in pair)
    assert [set(step) for step in cube.nutonic.scenes.groupby("step")["id"].apply(list)] == [{"cloudy"}, {"new"}]
    alone = {}
    for item in pair:
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
        alone[item["id"]] = nt.open_cube(GRID, [replace(source, url=str(path))])["red"].values[0]
    np.testing.assert_array_equal(cube["red"].values, [alone["cloudy"], alone["new"]])


def test_sources_with_other_times_share_one_axis(sources):
    nir = nt.StacSource(url=sources[0].url, collection=COLLECTION, assets=("blue",), max_cloud_cover=10)
    red = nt.StacSource(url=sources[0].url, collection=COLLECTION, assets=("red",), max_cloud_cover=40)
    cube = nt.open_cube(GRID, [nir, red], chunks=512).compute(scheduler="threads")
    x, y = cube.x.values, cube.y.values
    assert cube.sizes["time"] == 5
    assert (cube["blue"].values[[1, 4]] == 0).all()  # more cloud than it takes
    np.testing.assert_array_equal(cube["blue"].values[[0, 2]], truth("blue", x, y)[[0, 2]])
    np.testing.assert_array_equal(cube["red"].values, truth("red", x, y)[:5])


def test_two_bands_of_one_name_are_refused(sources):
    with pytest.raises(InputError, match="two sources have a band 'red'"):
        nt.open_cube(GRID, [sources[0], sources[0]])
    with pytest.raises(InputError, match="no source is given"):
        nt.open_cube(GRID, [])
    with pytest.raises(InputError, match="chunks is 0"):
        nt.open_cube(GRID, sources, chunks=0)


# What is read, and how many tasks it takes


@pytest.mark.long
def test_each_block_is_read_once_a_worker_and_tasks_are_tens_a_tile(folder, tmp_path):
    with FileServer(folder) as server:
        url = remote_catalogue(folder, server.url)
        host = server.url.removeprefix("http://")
        source = nt.StacSource(url=str(url), collection=COLLECTION, masks=("scl",), allow_hosts=(host,))
        cube = nt.open_cube(GRID, [source], chunks=250)  # off the files' blocks of 256
        (lazy,) = dask.optimize(cube)
        assert len(lazy.__dask_graph__()) == 20 * 6 * 4  # one task for each of 20 tiles, six steps and four bands
        cube.compute(scheduler="threads", num_workers=4)
        ranges = [(r.path, r.span) for r in server.requests() if r.span]
        assert len(ranges) == len(set(ranges))
        assert {path.split("/")[1] for path, _ in ranges} == {scene.id for scene in SERIES.scenes} - {"old"}


class Alive(Callback):
    """The most blocks of a cube that were held at once."""

    most = 0

    def _posttask(self, key, result, dsk, state, worker_id):
        held = sum(isinstance(value, np.ndarray) and value.ndim == 3 for value in state["cache"].values())
        self.most = max(self.most, held)


@pytest.mark.parametrize("tiles", [2, 12])
def test_a_tile_is_reduced_before_the_next_is_read(sources, plan, tiles):
    """However many tiles there are: what is held does not grow with the area."""
    part = plan.on(GRID[:64, : 64 * tiles])
    cube = nt.open_cube(part, sources, chunks=64)
    with Alive() as alive:
        nt.reduce.median(nt.reduce.mask(cube))[["red"]].compute(scheduler="threads", num_workers=2)
    assert 6 <= alive.most <= 2 * 12 + 2 * 4  # two tiles of six steps and their classes, and what threads have in hand


@pytest.mark.long
def test_a_reduction_reads_its_tile_itself(sources, plan):
    """Of what nothing else takes part in a tile and band is one task, and no block passes between tasks."""
    cube = nt.open_cube(plan, sources, chunks=256)
    stated = nt.reduce.estimate(cube, "median")
    assert (stated.tiles, stated.tasks_per_tile) == (20, 3)
    assert nt.reduce.estimate(nt.reduce.mask(cube), "median").tasks_per_tile == 6 * (3 + 1 + 3) + 3
    with Alive() as alive:
        found = nt.reduce.median(cube)[["red"]].compute(scheduler="threads", num_workers=2)
    assert alive.most == 0
    values = truth("red", cube.x.values, cube.y.values).astype(float)
    values[values == 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = np.nan_to_num(np.rint(np.nanmedian(values, axis=0)))
    np.testing.assert_array_equal(found["red"], want)


@pytest.mark.parametrize("change", [lambda cube: pickle.loads(pickle.dumps(cube)), lambda cube: dask.optimize(cube)[0]])
def test_a_cube_that_was_sent_or_optimised_is_reduced_in_as_few_tasks(sources, plan, change):
    part = plan.on(GRID[:128, :192])
    cube = nt.open_cube(part, sources, chunks=64)
    changed = change(cube)
    assert nt.reduce.estimate(changed, "median").tasks_per_tile == 3
    assert nt.reduce.median(changed).compute().identical(nt.reduce.median(cube).compute())


@pytest.mark.long
def test_a_task_carries_what_it_reads_and_no_more(sources, plan):
    """What is sent for a tile does not grow with the area, and cubes opened twice share names."""
    size = {}
    for tiles in (2, 12):
        cube = nt.open_cube(plan.on(GRID[:64, : 64 * tiles]), sources, chunks=64)
        (picture,) = dask.optimize(nt.reduce.median(cube)[["red"]])
        tasks = dict(picture.__dask_graph__())
        assert len(tasks) == tiles
        size[tiles] = len(pickle.dumps(tasks[picture.red.data.name, 0, 0]))
    assert size[12] <= size[2] + 100
    again = nt.open_cube(plan.on(GRID[:64, : 64 * tiles]), sources, chunks=64)
    assert [again[name].data.name for name in again] == [cube[name].data.name for name in cube]
    assert nt.reduce.median(again).red.data.name == nt.reduce.median(cube).red.data.name


@pytest.fixture(scope="module")
def many(folder) -> nt.StacSource:
    """Fifty dates, on each two granules that lie elsewhere: items that differ in name and time alone."""
    items = {item["id"]: item for item in json.loads((folder / "items.json").read_text())["features"]}
    found = []
    for k, name in product(range(50), ("a-west", "b-east")):
        item = copy.deepcopy(items[name])
        item["id"] = f"{name}-{k}"
        item["properties"]["datetime"] = f"{2000 + k}-05-02T09:50:31Z"
        for asset in item["assets"].values():
            asset["href"] = str(folder / asset["href"])
        found.append(item)
    return nt.StacSource(items=found, masks=("scl",))


@pytest.mark.parametrize("steps", [2, 50])
def test_an_engine_is_asked_once_for_a_band_however_many_the_scenes(many, monkeypatch, steps):
    import stackstac

    asked, genuine = [], stackstac.stack

    def stack(items, *args, **kwargs):
        asked.append(len(items))
        return genuine(items, *args, **kwargs)

    monkeypatch.setattr(stackstac, "stack", stack)
    cube = nt.open_cube(GRID, many, chunks=512, time=f"2000/{1999 + steps}")
    assert cube.sizes["time"] == steps
    assert asked == [2 * steps] * len(BANDS)
    tiles = len(cube.chunks["y"]) * len(cube.chunks["x"])
    assert {len(cube[name].__dask_graph__()) for name in (*BANDS, "scl")} == {steps * tiles}
    last = cube["red"].isel(time=-1, y=slice(0, 64))
    want = truth("red", cube.x.values, cube.y.values)[0]
    np.testing.assert_array_equal(last, want[:64])


def test_what_a_step_of_a_cube_weighs_is_what_it_reads(many):
    """Bytes of a task do not grow with the time axis, and those of a cube by little more than an asset a scene and band."""
    sizes = {}
    for steps in (10, 50):
        cube = nt.open_cube(GRID, many, chunks=2048, time=f"2000/{1999 + steps}")
        tasks = dict(cube["red"].__dask_graph__())
        sizes[steps] = len(pickle.dumps(tasks[cube["red"].data.name, 0, 0, 0])), len(pickle.dumps(cube.drop_attrs()))
    assert abs(sizes[50][0] - sizes[10][0]) < 20
    assert (sizes[50][1] - sizes[10][1]) / (40 * 2 * 4) < 900  # an asset alone has about 400


def test_no_rechunk_in_the_graph(sources, plan):
    cube = nt.open_cube(plan, sources, chunks=256)
    layers = [name for array in cube.data_vars.values() for name in array.data.dask.layers]
    assert not [name for name in layers if "rechunk" in name or "concatenate" in name]


# Areas


def test_an_area_by_bounds_geojson_or_place():
    bounds = (17.2, 46.6, 17.4, 46.7)
    ring = [[17.2, 46.6], [17.4, 46.6], [17.4, 46.7], [17.2, 46.7], [17.2, 46.6]]
    outline = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {}, "geometry": outline}
    grid = area_grid(bounds)
    assert str(grid.crs) == "EPSG:32633"
    same = [outline, feature, {"type": "FeatureCollection", "features": [feature]}, grid]
    assert all(area_grid(area) == grid for area in same)
    to_grid = Transformer.from_crs(4326, 32633, always_xy=True)
    x, y = to_grid.transform(*np.meshgrid(np.linspace(17.2, 17.4, 50), np.linspace(46.6, 46.7, 50)))
    left, bottom, right, top = grid.boundingbox
    assert left <= x.min() < left + 10
    assert top - 10 < y.max() <= top
    assert right - 10 < x.max() <= right
    assert bottom <= y.min() < bottom + 10
    assert not any(value % 10 for value in grid.boundingbox)
    assert area_grid((17.3, 46.65)).shape == (512, 512)


def test_an_area_across_the_antimeridian_is_one_piece():
    grid = area_grid((179.9, -17.0, -179.9, -16.9))
    assert grid.shape.x < 2300
    ring = [[179.9, -17.0], [-179.9, -17.0], [-179.9, -16.9], [179.9, -16.9], [179.9, -17.0]]
    assert area_grid({"type": "Polygon", "coordinates": [ring]}) == grid


@pytest.mark.parametrize(
    ("area", "error", "said"),
    [
        ((0, 1, 20, 2), GridError, "20.0° wide, one UTM zone serves 12°"),
        ((5, 5, 5, 6), GridError, "no extent"),
        ((5, 85, 6, 86), GridError, "no UTM zone"),
        ((5, 500, 6, 86), GridError, "not west, south, east, north"),
        ((1, 2, 3), InputError, "is no area"),
        (17, InputError, "is no area"),
        ({"type": "Nonsense"}, InputError, "no GeoJSON"),
        ("/nowhere/area.geojson", InputError, "cannot read the area"),
    ],
)
def test_what_is_no_area_is_refused(area, error, said):
    with pytest.raises(error, match=said):
        area_grid(area)


def test_scenes_survive_as_json(sources, plan):
    cube = nt.open_cube(plan, sources)
    rows = json.loads(cube.attrs["nutonic_scenes"])
    assert rows[0]["id"] == "a-west"
    assert rows[0]["assets"]["scl"] == "a-west/scl.tif"


def test_a_damaged_block_is_told_with_its_item_and_what_gdal_says(folder, sources):
    items = json.loads((folder / "items.json").read_text())
    (item,) = (dict(item) for item in items["features"] if item["id"] == "new")
    path = folder / item["assets"]["red"]["href"]
    with rasterio.open(path) as raster:
        start = int(raster.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
        size = int(raster.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[start + 20 : start + size] = bytes(range(256)) * (size // 256) + bytes(
        size % 256 - 20 if size % 256 > 20 else 0
    )
    damaged = path.with_name("damaged.tif")
    damaged.write_bytes(data)
    item["assets"] = {"red": {**item["assets"]["red"], "href": str(damaged)}}
    (folder / "damaged.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    source = nt.StacSource(url=str(folder / "damaged.json"), collection=COLLECTION, assets=("red",))
    with pytest.raises(ReadFailed, match=r"^item new: red: cannot read rows .* of damaged\.tif: ") as caught:
        nt.open_cube(GRID, [source])["red"].load()
    assert "previous exception" not in str(caught.value)


@pytest.mark.parametrize(
    ("resolution", "told"),
    [
        (
            20,
            "red, green, blue of 10 m: of 4 pixels the one that holds the grid's centre is taken, none are averaged",
        ),
        (
            25,
            "red, green, blue of 10 m: of 6.25 pixels the one that holds the grid's centre is taken, none are averaged",
        ),
        (10, None),
        (5, "red, green, blue of 10 m: each pixel is taken for 4 of the grid's"),
    ],
)
def test_a_plan_tells_what_becomes_of_pixels_of_another_size(sources, resolution, told):
    lines = str(nt.search(area_grid((17.93, 46.66, 17.99, 46.70), resolution=resolution), sources[0])).splitlines()
    assert lines[0].endswith(f"pixels of {resolution} m in EPSG:32633")
    assert [line for line in lines if " of 10 m: " in line] == ([] if told is None else [told])


def test_a_scene_that_cannot_be_read_is_named(folder, tmp_path):
    items = json.loads((folder / "items.json").read_text())
    (item,) = (copy.deepcopy(item) for item in items["features"] if item["id"] == "new")
    (tmp_path / "damaged.tif").write_bytes(b"no raster" * 100)
    item["assets"] = {
        name: {**asset, "href": str(folder / asset["href"])} for name, asset in item["assets"].items() if name in BANDS
    }
    item["assets"]["red"]["href"] = str(tmp_path / "damaged.tif")
    source = nt.StacSource(items=[item], collection=COLLECTION)
    labels = nt.RasterSource(str(folder / "land_cover.tif"), CLASSES)
    scene = nt.open_scene(GRID[300:400, 300:400], [source, labels], chunks=64)
    with pytest.raises(ReadFailed, match=r"^item new: red: cannot open .*damaged\.tif"):
        scene["red"].load()
    assert scene["green"].chunks == ((64, 36), (64, 36))
    np.testing.assert_array_equal(scene["green"], seen("new", "green", scene.x.values, scene.y.values))
    np.testing.assert_array_equal(scene["label"], SERIES.labels_at(scene.x.values, scene.y.values, str(GRID.crs)))
    assert len(scene[["green"]].__dask_graph__()) == 4
    lazy = nt.open_scene(GRID[300:400, 300:400], [source, labels], chunks=None)
    assert lazy["green"].chunks is None
    np.testing.assert_array_equal(lazy["green"], scene["green"])
