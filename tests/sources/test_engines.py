"""The engines: one contract, the same pixels bit for bit, the same errors, each block read once."""

from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import cloudpickle
import dask
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from support.paths import ROOT
from support.sampling import examples
from support.worlds import written

from nutonic import load_recipe
from nutonic.core.grid import centre
from nutonic.core.model import Asset, Scene
from nutonic.errors import Damaged, FileMissing, GridError, InputError, MissingExtra, NutonicError, OffLattice
from nutonic.io import raster as rasters
from nutonic.io.access import LOCAL, Access
from nutonic.recipe.inputs import Imagery
from nutonic.run.run import build
from nutonic.sources.engines import arrays as engines
from nutonic.sources.engines import engine as names
from nutonic.sources.factory import sources_of
from nutonic.sources.stac.imagery import StacSource
from nutonic.testing import BANDS, COLLECTION, SyntheticPlanet

needs_odc = pytest.mark.skipif(importlib.util.find_spec("odc.stac") is None, reason="odc-stac is not installed")
ENGINES = ["stackstac", pytest.param("odc-stac", marks=needs_odc)]


@dataclass(frozen=True)
class World:
    """A planet on disk, all its scenes, and its sources."""

    planet: SyntheticPlanet
    folder: Path

    def native(self, scene: str) -> GeoBox:
        grid = self.planet.scene(scene).grid
        return GeoBox(grid.shape, grid.transform, grid.crs)

    def source(self, engine: str, change: Callable[[dict], None] = lambda item: None, scene: str = "") -> StacSource:
        found = json.loads((self.folder / "items.json").read_text())["features"]
        kept = [item for item in found if scene in ("", item["id"])]
        for item in kept:
            change(item)
        path = self.folder / "some.json"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": kept}))
        return StacSource(url=str(path), collection=COLLECTION, engine=engine, max_cloud_cover=100)

    def scene(self, scene: str, change: Callable[[dict], None] = lambda item: None) -> Scene:
        lon, lat = (np.array([value]) for value in centre(self.native(scene)))
        ((found,),) = self.source("stackstac", change, scene).search(lon, lat, 640, None)
        return found

    def truth(self, scene: str, geobox: GeoBox) -> np.ndarray:
        a = geobox.affine
        x, y = a.c + 10 * (np.arange(geobox.shape.x) + 0.5), a.f - 10 * (np.arange(geobox.shape.y) + 0.5)
        return self.planet.rgb(x, y, scene)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    planet = SyntheticPlanet(7, shape=(260, 300), block=64)
    return World(planet, written(planet, tmp_path_factory.mktemp("world")).parent)


@pytest.fixture
def fresh(tmp_path):
    """A world whose files may be moved and spoilt."""
    planet = SyntheticPlanet(8, shape=(200, 240), block=64)
    return World(planet, written(planet, tmp_path, only=["full"]).parent)


def pixels(ds) -> np.ndarray:
    return np.stack([ds[band].values for band in BANDS])


def both(world: World, geobox: GeoBox, scene: Scene, chunks: int) -> list[Any]:
    return [world.source(engine).open(geobox, [scene], chunks=chunks) for engine in ("stackstac", "odc-stac")]


#: Without an offset, with one to add, and with one that was added before.
SCENES = ["full", "east-raw", "east-applied"]


# The same pixels


@pytest.mark.sampled(one_in=2)
@needs_odc
@pytest.mark.parametrize("name", SCENES)
@examples(5, 15, data=st.data())
def test_the_engines_are_equal_bit_for_bit(world, name, data):
    # Over the scene's edge on all sides, chunks of any size, a scene's own blocks among them.
    area, scene = world.native(name).pad(70), world.scene(name)
    row, col = (data.draw(st.integers(0, n - 1), label) for n, label in zip(area.shape, ("row", "col"), strict=True))
    height = data.draw(st.integers(1, min(140, area.shape.y - row)), "height")
    width = data.draw(st.integers(1, min(140, area.shape.x - col)), "width")
    chunks = data.draw(st.sampled_from([64, 1024]) | st.integers(23, 200), "chunks")
    grid = area[row : row + height, col : col + width]
    one, other = both(world, grid, scene, chunks)
    assert [other[band].chunks for band in BANDS] == [one[band].chunks for band in BANDS]
    assert {other[band].dtype for band in BANDS} == {np.dtype("uint16")}
    one, other = dask.compute(one, other)
    assert other.identical(one)  # values, coordinates and attributes
    assert pixels(other).tobytes() == pixels(one).tobytes() == world.truth(name, grid).tobytes()


def test_the_three_kinds_of_offset(world):
    told = {name: {asset.offset for asset in world.scene(name).assets} for name in SCENES}
    assert told == {"full": {0}, "east-raw": {-1000}, "east-applied": {0}}


@needs_odc
@examples(12, 40, data=st.data())
def test_the_central_law(world, data):
    # open(grid).isel(window) ≡ open(grid[window])
    area, scene, source = world.native("east-raw").pad(40), world.scene("east-raw"), world.source("odc-stac")
    row, col = (data.draw(st.integers(0, n - 1), label) for n, label in zip(area.shape, ("row", "col"), strict=True))
    height = data.draw(st.integers(1, min(120, area.shape.y - row)), "height")
    width = data.draw(st.integers(1, min(120, area.shape.x - col)), "width")
    chunks = st.sampled_from([None, 17, 64, 100, 1024])
    window = (slice(row, row + height), slice(col, col + width))
    whole = source.open(area, [scene], chunks=data.draw(chunks, "chunks of the whole"))
    part = source.open(area[window], [scene], chunks=data.draw(chunks, "chunks of the part"))
    cut = whole.isel(y=window[0], x=window[1])
    assert [cut[axis].values.tobytes() for axis in "xy"] == [part[axis].values.tobytes() for axis in "xy"]
    assert pixels(cut).tobytes() == pixels(part).tobytes()
    assert np.array_equal(pixels(part), world.truth("east-raw", area[window]))


@needs_odc
@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_a_scene_that_does_not_touch_the_grid_is_all_nodata(world, scheduler):
    native, scene = world.native("full"), world.scene("full")
    for away in (native.translate_pix(0, 5000), native.translate_pix(native.shape.x, 0)):  # far, and edge to edge
        one, other = (ds.compute(scheduler=scheduler) for ds in both(world, away, scene, 100))
        assert other.identical(one)
        assert not pixels(other).any()


@needs_odc
def test_pixels_on_a_lattice_of_their_own(tmp_path):
    # Corners between the ten-metre lattice's, pixels of 9.37 m: nothing but the file's own grid may matter.
    lies = Affine(9.37, 0, 600_003.7, 0, -9.37, 5_000_007.1)
    values = np.random.default_rng(1).integers(1, 9000, (333, 517), np.uint16)
    values[100:120] = 0
    with rasterio.open(tmp_path / "red.tif", "w", driver="GTiff", height=333, width=517, count=1, dtype="uint16",
                       crs="EPSG:32633", transform=lies) as raster:  # fmt: skip
        raster.write(values, 1)
    asset = Asset(name="a.2", href=str(tmp_path / "red.tif"), written="red.tif", crs="EPSG:32633", transform=lies[:6],
                  shape=(333, 517), nodata=None)  # fmt: skip
    native = GeoBox((333, 517), lies, "EPSG:32633")
    for grid in (native, native.pad(30)[7:301, 11:400], native[331:, 510:].pad(3)):
        for chunks in (50, 64, 333, 5000):
            one, other = (engines.opener(name)("s", asset, grid, chunks, LOCAL) for name in ("stackstac", "odc-stac"))
            assert other.chunks == one.chunks
            assert np.array_equal(other.compute(), one.compute())
    assert np.array_equal(engines.odc_array("s", asset, native, 100).compute(), values)


# The graph


@needs_odc
def test_the_graph_is_odc_stacs_own_and_deterministic(world):
    grid, scene = world.native("full"), world.scene("full")
    one, again = (world.source("odc-stac").open(grid, [scene], chunks=64).red.data for _ in range(2))
    assert one.name == again.name
    found = {getattr(getattr(task, "func", None), "__module__", "") for task in one.__dask_graph__().values()}
    assert "odc.loader._builder" in found


@pytest.mark.parametrize("engine", ENGINES)
def test_arrays_that_differ_are_never_taken_for_each_other(world, engine):
    # One address, read with and without its offset and on two grids, in one graph.
    grid, scene = world.native("east-raw"), world.scene("east-raw")
    twin = replace(scene, assets=tuple(replace(asset, offset=0) for asset in scene.assets))
    source = world.source(engine)
    opened = [source.open(g, [s], chunks=64) for s in (scene, twin) for g in (grid, grid.translate_pix(3, 5))]
    together, alone = dask.compute(*opened), [ds.compute() for ds in opened]
    assert len({pixels(ds).tobytes() for ds in together}) == 4
    for a, b in zip(together, alone, strict=True):
        assert a.identical(b)


@needs_odc
@pytest.mark.parametrize("mode", ["mem", "concurrency"])
def test_both_shapes_of_odc_stacs_graph(world, monkeypatch, mode):
    monkeypatch.setenv("ODC_STAC_DASK_MODE", mode)
    grid, scene = world.native("east-raw").pad(30), world.scene("east-raw")
    one, other = both(world, grid, scene, 77)
    assert other.identical(one)


@pytest.fixture
def reads(monkeypatch):
    """How often the pixels of each window of each asset are read from now on."""
    told: Counter[tuple[str, int, int]] = Counter()
    genuine, lock = rasters.read_of, threading.Lock()

    def read_of(asset, window, *args, **kwargs):
        with lock:
            told[asset.name, window[0].start, window[1].start] += 1
        return genuine(asset, window, *args, **kwargs)

    monkeypatch.setattr(rasters, "read_of", read_of)
    return told


@pytest.mark.parametrize("engine", ENGINES)
def test_each_touched_block_is_read_once_for_all_places_and_none_before(world, reads, engine):
    native, scene = world.native("full"), world.scene("full")
    cube = world.source(engine).open(native, [scene], chunks=64)
    places = [np.s_[5:75, 10:80], np.s_[50:120, 60:130], np.s_[76:126, 5:59], np.s_[5:75, 100:170]]
    parts = [cube.isel(y=rows, x=cols).chunk() for rows, cols in places]
    assert not reads
    computed = dask.compute(*parts, scheduler="threads", num_workers=4)
    for part, window in zip(computed, places, strict=True):
        assert np.array_equal(pixels(part), world.truth("full", native[window]))
    corners = {(i // 64 * 64, j // 64 * 64) for rows, cols in places for i in (rows.start, rows.stop - 1)
               for j in (cols.start, cols.stop - 1)}  # fmt: skip
    assert reads == {(band, *at): 1 for band in BANDS for at in corners}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_may_be_read_reaches_every_read(world, monkeypatch, engine):
    access, found = Access(hosts=("tiles.example.org",)), []

    def call(genuine, *args):
        found.append(args[-1])
        return genuine(*args)

    for name in ("header_of", "read_of"):
        monkeypatch.setattr(rasters, name, partial(call, getattr(rasters, name)))
    native, asset = world.native("full"), world.scene("full").assets[0]
    engines.opener(engine)("full", asset, native[:128, :128], 64, access).compute()
    assert found == [access] * 8


@pytest.mark.parametrize("engine", ENGINES)
def test_only_chunks_within_the_scene_are_read(world, reads, engine):
    native, scene = world.native("full"), world.scene("full")
    world.source(engine).open(native.pad(128), [scene], chunks=64).red.compute()
    rows, cols = (range(0, n, 64) for n in native.shape)
    assert reads == {("red", row, col): 1 for row in rows for col in cols}


@pytest.mark.parametrize("engine", ENGINES)
def test_opening_needs_no_file(fresh, engine):
    native, scene = fresh.native("full"), fresh.scene("full")
    for path in (fresh.folder / "full").iterdir():
        path.rename(path.with_suffix(".away"))
    ds = fresh.source(engine).open(native, [scene], chunks=64)
    for path in (fresh.folder / "full").iterdir():
        path.rename(path.with_suffix(".tif"))
    assert np.array_equal(pixels(ds), fresh.truth("full", native))


@pytest.mark.sampled(one_in=2, among="a cube elsewhere")
@needs_odc
def test_cubes_pickle_and_are_computed_in_another_process(world, tmp_path):
    grid, scene = world.native("east-raw").pad(20), world.scene("east-raw")
    ds = world.source("odc-stac").open(grid, [scene], chunks=100)
    assert pickle.loads(pickle.dumps(ds)).identical(ds)
    (tmp_path / "cube").write_bytes(cloudpickle.dumps(ds))
    script = "import sys, cloudpickle, numpy as np; ds = cloudpickle.load(open(sys.argv[1], 'rb'))\n"
    script += "np.save(sys.argv[2], np.stack([ds[b].values for b in ('red', 'green', 'blue')]))"
    there = [str(tmp_path / "cube"), str(tmp_path / "pixels.npy")]
    subprocess.run([sys.executable, "-c", script, *there], check=True, timeout=120)
    assert np.array_equal(np.load(there[1]), world.truth("east-raw", grid))


@pytest.mark.long
@needs_odc
@pytest.mark.cluster
def test_workers_of_a_cluster_compute_it(world):
    distributed = pytest.importorskip("distributed")
    grid, scene = world.native("east-raw").pad(20), world.scene("east-raw")
    how = {"n_workers": 1, "threads_per_worker": 2, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**how) as cluster, distributed.Client(cluster):
        found = world.source("odc-stac").open(grid, [scene], chunks=64).compute()
        assert np.array_equal(pixels(found), world.truth("east-raw", grid))
        gone = replace(scene, assets=tuple(replace(a, href=f"{a.href}.gone") for a in scene.assets))
        with pytest.raises(FileMissing, match=r"red: .*red\.tif"):
            world.source("odc-stac").open(grid, [gone], chunks=64).red.compute()


# The same errors


def told(world: World, geobox: GeoBox, scene: Scene) -> list[tuple[type, str]]:
    """Type and message of what each engine raises, opening or reading."""
    found = []
    for engine in ("stackstac", "odc-stac"):
        with pytest.raises(NutonicError) as caught:
            world.source(engine).open(geobox, [scene], chunks=64).red.compute(scheduler="synchronous")
        found.append((type(caught.value), str(caught.value)))
    return found


@needs_odc
def test_files_that_cannot_be_read(fresh):
    grid, scene = fresh.native("full"), fresh.scene("full")
    path = fresh.folder / "full/red.tif"
    whole = path.read_bytes()
    for content, error in ((None, FileMissing), (b"no raster", Damaged), (whole[: len(whole) // 2], Damaged)):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        one, other = told(fresh, grid, scene)
        assert other == one
        assert (other[0], "red.tif" in other[1]) == (error, True)
    path.write_bytes(whole)
    assert np.array_equal(pixels(fresh.source("odc-stac").open(grid, [scene])), fresh.truth("full", grid))


@needs_odc
@pytest.mark.parametrize(
    "lie",
    [{"proj:shape": [9999, 9999]}, {"proj:transform": [10, 0, 722_300, 0, -10, 5_176_780]}, {"proj:epsg": 32632}],
    ids=lambda lie: next(iter(lie)),
)
def test_an_item_that_lies_about_its_files(world, lie):
    scene = world.scene("full", lambda item: [asset.update(lie) for asset in item["assets"].values()])
    first = scene.assets[0]
    one, other = told(world, GeoBox((20, 20), Affine(*first.transform), first.crs), scene)
    assert other == one
    assert other[0] is OffLattice
    assert "red.tif is not what its item says" in other[1]


@needs_odc
def test_grids_that_do_not_fit_are_refused_when_opened(world):
    scene, a = world.scene("full"), world.native("full").affine
    for grid, error in [
        (GeoBox((9, 9), a, "EPSG:32634"), OffLattice),
        (GeoBox((9, 9), Affine(10, 0, a.c + 3, 0, -10, a.f - 2), "EPSG:32633"), OffLattice),
        (GeoBox((9, 9), Affine(20, 0, a.c, 0, -20, a.f), "EPSG:32633"), OffLattice),
    ]:
        one, other = told(world, grid, scene)
        assert other == one
        assert other[0] is error
        with pytest.raises(error):
            world.source("odc-stac").open(grid, [scene])
    nameless = "+proj=tmerc +lon_0=14.3 +k=0.9 +ellps=GRS80 +units=m +no_defs"
    grid = GeoBox((9, 9), a, nameless)
    lost = replace(scene, assets=tuple(replace(asset, crs=str(grid.crs)) for asset in scene.assets))
    one, other = told(world, grid, lost)
    assert other == one
    assert other[0] is GridError


# Choosing one


def test_a_recipe_and_a_source_name_the_same_engines():
    assert get_args(Imagery.model_fields["engine"].annotation) == get_args(names.Engine)
    assert Imagery.model_fields["engine"].default == "stackstac"
    with pytest.raises(InputError, match="no engine 'gdal': use stackstac or odc-stac"):
        StacSource(url="items.json", collection="c", engine="gdal")


@pytest.mark.parametrize(("found", "why"), [(None, "not installed"), ((0, 6, 2), "too old: its odc-loader is 0.6.2")])
def test_without_odc_stac_it_says_what_to_install(monkeypatch, recipe_path, tmp_path, found, why):
    # Before anything is planned. An old one would be worse than none: its pixels are all 0, and nothing says so.
    monkeypatch.setattr(names, "_odc_loader", lambda: found)
    message = rf"odc-stac is {why}: pip install 'nutonic\[odc\]'"
    with pytest.raises(MissingExtra, match=message):
        StacSource(url="items.json", collection="c", engine="odc-stac")
    with pytest.raises(MissingExtra, match=message):
        build(with_engine(load_recipe(recipe_path), "odc-stac"), tmp_path / "tree", workers=0)
    assert not list(tmp_path.rglob("*.png"))
    assert StacSource(url="items.json", collection="c").engine == "stackstac"


def with_engine(recipe, engine: str):
    return recipe.model_copy(update={"imagery": recipe.imagery.model_copy(update={"engine": engine})})


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        name: path.read_bytes() for path in files if not (name := str(path.relative_to(folder))).startswith("_nutonic")
    }


@needs_odc
def test_a_build_with_either_engine_gives_the_same_bytes(built, tmp_path, monkeypatch):
    recipe = with_engine(built.recipe, "odc-stac")
    assert sources_of(recipe).imagery.engine == "odc-stac"

    def never(*args):
        raise AssertionError("stackstac was asked")

    monkeypatch.setattr(engines, "stackstac_array", never)
    build(recipe, tmp_path / "tree", workers=0)
    assert tree(tmp_path / "tree") == tree(built.out)
    assert len(tree(built.out)) > 20


# Real rasters

DATA = ROOT.parent / "shared" / "data"
REAL = [path for folder in ("s2_29rkh", "s2_mol") for path in sorted((DATA / folder).glob("B0*.tif"))]


@needs_odc
@pytest.mark.skipif(not REAL, reason=f"real rasters are read from ../shared/data: no {DATA}")
@pytest.mark.parametrize("path", REAL, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_real_scenes(path):
    with rasterio.open(path) as raster:
        native = GeoBox(raster.shape, raster.transform, str(raster.crs))
        right, nodata = raster.read(1), raster.nodata
    asset = Asset(name="red", href=str(path), written=path.name, crs=str(native.crs), transform=native.affine[:6],
                  shape=tuple(native.shape), nodata=nodata)  # fmt: skip
    for grid in (native, native.pad(100)[50:900, 30:1000]):
        one, other = (
            engines.opener(name)("s", asset, grid, 256, LOCAL).compute() for name in ("stackstac", "odc-stac")
        )
        assert np.array_equal(one, other)
        assert other.any()
    whole = engines.odc_array("s", asset, native, 1024).compute()
    assert np.array_equal(whole, np.where(right == nodata, 0, right))
