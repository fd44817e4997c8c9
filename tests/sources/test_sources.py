"""The contract of all sources, proved on a planet whose pixels are known; the rules of search; and what metadata means."""

from __future__ import annotations

import json
import pickle
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from support import toys
from support.mosaics import in_parts
from support.sampling import examples
from support.worlds import written

from nutonic.core.classes import ClassTable
from nutonic.core.grid import centre
from nutonic.core.model import Scene
from nutonic.errors import BadPixels, Gone, GridError, InputError, OffLattice, ReadFailed
from nutonic.io import raster as rasters
from nutonic.io.tiff.blocks import Blocks
from nutonic.sources.earthengine.imagery import EarthEngineImagery
from nutonic.sources.earthengine.labels import EarthEngineLabels
from nutonic.sources.item import item_of
from nutonic.sources.neighbourhoods import searched
from nutonic.sources.pixels import harmonised
from nutonic.sources.raster import RasterSource
from nutonic.sources.source import Source
from nutonic.sources.stac.assets import boa_offset
from nutonic.sources.stac.imagery import StacSource
from nutonic.sources.stac.labels import StacLabels
from nutonic.testing import BANDS, COLLECTION, SyntheticPlanet
from nutonic.testing.earthengine import EarthEngineImage, EarthEngineServer, image_of_function, image_of_raster

# The contract


@dataclass(frozen=True)
class Case:
    """A source, what it opens, and what is right there."""

    source: Source
    scenes: tuple[Scene, ...]
    files: tuple[Path, ...]
    native: GeoBox
    """The scene's own grid; of labels, the grid of the scene they are laid under."""
    truth: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """(bands, y, x) at the pixel centres x and y."""
    dtype: str

    def area(self) -> GeoBox:
        """The scene and 40 pixels around it, so that windows hang over its edge."""
        return self.native.pad(40)

    def pixels(self, ds) -> np.ndarray:
        return np.stack([ds[band.name].values for band in self.source.bands])


def make(kind: str, folder: Path) -> Case:
    """A small planet in a folder, and a source on it."""
    imagery, labels_in = kind in ENGINES, kind if kind in ("zone", "shifted") else "degrees"
    planet = SyntheticPlanet(3, shape=(300, 380), block=64, labels_in=labels_in)
    written(planet, folder, only=["east-raw"] if imagery else [])
    grid = planet.scene("east-raw").grid
    native = GeoBox(grid.shape, grid.transform, grid.crs)
    lon, lat = (np.array([value]) for value in centre(native))
    table = ClassTable(name="synthetic", labels=planet.classes, unknown=0, colors={})
    if imagery:
        source: Any = StacSource(url=str(folder / "items.json"), collection=COLLECTION, engine=ENGINES[kind])
        files, dtype = [folder / "east-raw" / f"{band}.tif" for band in BANDS], "uint16"
        truth = lambda x, y: planet.rgb(x, y, "east-raw")  # noqa: E731
    else:
        source, files, dtype = RasterSource(str(folder / "land_cover.tif"), table), [folder / "land_cover.tif"], "uint8"
        truth = lambda x, y: planet.labels_at(x, y, grid.crs)[None]  # noqa: E731
    if kind == "items":
        files = in_parts(folder / "land_cover.tif")
        source = StacLabels(url=str(folder / "labels.json"), collection="lc", asset="map", classes=table)
    (scenes,) = source.search(lon, lat, 640, None)
    assert len(scenes) == (len(files) if kind == "items" else 1)
    return Case(source, scenes, tuple(files), native, truth, dtype)


ENGINES = {"stac": "stackstac", "odc": "odc-stac"}
KINDS = (*ENGINES, "degrees", "zone", "shifted", "items")

#: Errors name the file; threads race for which of them is first.
FILES = r"(red|green|blue|land_cover(_\d)?)\.tif"


def pictured(behind: Case) -> EarthEngineImage:
    """The right pixels of a scene as an image of Earth Engine's, whose nodata is masked."""
    pixels, a = behind.truth(*centres(behind.native)), behind.native.affine

    def told(k: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = pixels[k, np.floor((y - a.f) / a.e).astype(int), np.floor((x - a.c) / a.a).astype(int)]
        return found, found != 0

    bands = {name: ("uint16", partial(told, k)) for k, name in enumerate(("R", "G", "B"))}
    where = {"crs": "EPSG:32633", "transform": a, "shape": behind.native.shape.yx}
    return image_of_function("T/PICTURES/one", bands=bands, start="2024-06-01T10:00:00", **where)


@contextmanager
def pictures_of_earth_engine(folder: Path) -> Iterator[Case]:
    behind = make("stac", folder)
    lon, lat = centre(behind.native)
    with EarthEngineServer({"T/PICTURES": [pictured(behind)]}) as server:
        how = {"collection": "T/PICTURES", "assets": ("R", "G", "B"), "url": server.url, "project": "any"}
        (scenes,) = (source := EarthEngineImagery(**how)).search(np.array([lon]), np.array([lat]), 640, None)
        yield replace(behind, source=source, scenes=scenes, files=())


@contextmanager
def cover_of_earth_engine(folder: Path) -> Iterator[Case]:
    behind = make("degrees", folder)
    with EarthEngineServer({"T/COVER": [image_of_raster(behind.files[0], "T/COVER/one")]}) as server:
        how = {"collection": "T/COVER", "band": "label", "url": server.url, "project": "any"}
        source = EarthEngineLabels(classes=behind.source.table, **how)
        (scenes,) = source.search(np.array([18.0]), np.array([46.7]), 640, None)
        yield replace(behind, source=source, scenes=scenes)


def invented_case(folder: Path) -> Case:
    source, native = toys.InventedSource(), GeoBox(toys.SHAPE, toys.TRANSFORM, toys.CRS)
    return Case(
        source,
        (source.scene(),),
        (),
        native,
        lambda x, y: np.stack([toys.invented(k, x, y) for k in range(3)]),
        "uint16",
    )


#: What opens a case in a folder. A line more is all that a new source needs.
CASES: dict[str, Callable[[Path], AbstractContextManager[Case]]] = {
    **{kind: lambda folder, kind=kind: nullcontext(make(kind, folder)) for kind in KINDS},
    "earthengine": cover_of_earth_engine,
    "earthengine-imagery": pictures_of_earth_engine,
    "invented": lambda folder: nullcontext(invented_case(folder)),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    with CASES[request.param](tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


@pytest.fixture(params=KINDS)
def fresh(request, tmp_path):
    """A case of its own, whose files may be moved."""
    return make(request.param, tmp_path)


def centres(geobox: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    a = geobox.affine
    return a.c + 10 * (np.arange(geobox.shape.x) + 0.5), a.f - 10 * (np.arange(geobox.shape.y) + 0.5)


def test_variables_coordinates_and_chunks_are_as_asked(case):
    assert isinstance(case.source, Source)
    grid = case.area()
    ds = case.source.open(grid, case.scenes, chunks=100)
    x, y = centres(grid)
    assert (ds.x.dtype, ds.y.dtype) == ("float64", "float64")
    assert (ds.x.values.tobytes(), ds.y.values.tobytes()) == (x.tobytes(), y.tobytes())
    assert ds.odc.crs.epsg == 32633
    assert list(ds.data_vars) == [band.name for band in case.source.bands]
    height, width = grid.shape
    for band in case.source.bands:
        assert (ds[band.name].dims, ds[band.name].dtype, band.dtype) == (("y", "x"), case.dtype, case.dtype)
        chunks = tuple((100,) * (n // 100) + ((n % 100,) if n % 100 else ()) for n in (height, width))
        assert ds[band.name].chunks == chunks
        assert ds[band.name].attrs["_FillValue"] == band.nodata


def test_pixels_are_the_truth_within_the_scene_and_nodata_beyond(case):
    grid = case.area()
    found, right = case.pixels(case.source.open(grid, case.scenes, chunks=128)), case.truth(*centres(grid))
    assert np.array_equal(found, right)
    assert right.any(0).mean() > 0.4  # or the planet would be dark
    if case.dtype == "uint16":
        assert not found[:, :40].any()
        assert not found[:, :, -40:].any()


@examples(10, 40, data=st.data())
def test_the_central_law(case, data):
    # open(grid).isel(window) ≡ open(grid[window]): coordinates and pixels, bit for bit, over the scene's edge too.
    area = case.area()
    row, col = (data.draw(st.integers(0, n - 1), label) for n, label in zip(area.shape, ("row", "col"), strict=True))
    height = data.draw(st.integers(1, min(120, area.shape.y - row)), "height")
    width = data.draw(st.integers(1, min(120, area.shape.x - col)), "width")
    chunks = st.sampled_from([None, 17, 64, 100, 1024])
    window = (slice(row, row + height), slice(col, col + width))
    whole = case.source.open(area, case.scenes, chunks=data.draw(chunks, "chunks of the whole"))
    part = case.source.open(area[window], case.scenes, chunks=data.draw(chunks, "chunks of the part"))
    cut = whole.isel(y=window[0], x=window[1])
    for axis in ("x", "y"):
        assert cut[axis].values.tobytes() == part[axis].values.tobytes()
    assert np.array_equal(case.pixels(cut), case.pixels(part))
    assert np.array_equal(case.pixels(part), case.truth(*centres(area[window])))


def count_opened(patch: pytest.MonkeyPatch) -> list[str]:
    """Fills with the files that rasterio opens from now on."""
    opened: list[str] = []
    genuine = rasterio.DatasetReader.__init__

    def init(raster, path, *args, **kwargs):
        opened.append(str(path))
        genuine(raster, path, *args, **kwargs)

    patch.setattr(rasterio.DatasetReader, "__init__", init)
    return opened


def test_nothing_is_read_before_compute(fresh, monkeypatch):
    with monkeypatch.context() as patch:
        opened = count_opened(patch)
        for chunks in (None, 64):
            ds = fresh.source.open(fresh.native, fresh.scenes, chunks=chunks)
            ds.isel(x=slice(3, 9)).chunk(5)
        assert opened == []
        ds.compute()
        assert opened or fresh.dtype == "uint8"  # the search left its handle on the label raster open
    for path in fresh.files:
        path.rename(path.with_suffix(".away"))
    again = fresh.source.open(fresh.native, fresh.scenes, chunks=64)  # knows no more than the search told it
    for lazy in (ds, again):
        with pytest.raises(ReadFailed, match=FILES):
            lazy.compute()
    for path in fresh.files:
        path.with_suffix(".away").rename(path)
    for lazy in (ds, again):
        assert np.array_equal(fresh.pixels(lazy.compute()), fresh.truth(*centres(fresh.native)))


def test_constructors_read_nothing():
    for source in (StacSource(url="/nowhere/items.json", collection="c"), RasterSource("/nowhere/labels.tif")):
        assert source.bands
        with pytest.raises((InputError, Gone), match="/nowhere"):
            source.search(np.array([10.0]), np.array([50.0]), 640, None)


def test_sources_scenes_and_lazy_cubes_pickle(case):
    source, scenes = pickle.loads(pickle.dumps((case.source, case.scenes)))
    assert (source, scenes) == (case.source, case.scenes)
    grid = case.native[10:80, 20:90]
    for chunks in (32, None):
        ds = pickle.loads(pickle.dumps(source.open(grid, scenes, chunks=chunks)))
        assert np.array_equal(case.pixels(ds), case.truth(*centres(grid)))


def test_a_grid_that_was_read_back_is_the_grid(case):
    """``.odc.geobox`` of what was opened spells its CRS out."""
    first = case.source.open(case.native[10:80, 20:90], case.scenes, chunks=32)
    assert str(first.odc.geobox.crs) != str(case.native.crs)
    again = case.source.open(first.odc.geobox, case.scenes, chunks=32)
    assert np.array_equal(case.pixels(again), case.pixels(first))


#: Squares that overlap, and that share blocks of 64 pixels without overlapping.
PLACES = [np.s_[5:75, 10:80], np.s_[50:120, 60:130], np.s_[76:126, 5:59], np.s_[5:75, 100:170]]


@pytest.fixture
def reads(monkeypatch):
    """Windows (rows, columns) that files are asked for from now on, by file."""
    told: list[tuple[str, tuple[range, range]]] = []
    by_gdal, by_us = rasterio.DatasetReader.read, Blocks.read

    def tell(raster, window):
        told.append((raster.name, tuple(range(int(part.start), int(part.stop)) for part in window)))

    def read(raster, *args, window, **kwargs):
        tell(raster, window.toslices())
        return by_gdal(raster, *args, window=window, **kwargs)

    def unpack(blocks, band, window, *args):
        tell(blocks.raster, window)
        return by_us(blocks, band, window, *args)

    monkeypatch.setattr(rasterio.DatasetReader, "read", read)
    monkeypatch.setattr(Blocks, "read", unpack)
    return told


def blocks(reads) -> Counter[tuple[str, int, int]]:
    """How often each block of each file was read."""
    return Counter(
        (name, i, j)
        for name, (rows, cols) in reads
        for i in range(rows[0] // 64, rows[-1] // 64 + 1)
        for j in range(cols[0] // 64, cols[-1] // 64 + 1)
    )


def test_each_touched_block_is_read_once_for_all_places(case, reads):
    # As a batch does it: a cube on the scene's grid, chunked as the file is; places cut from it, computed together.
    if not case.files:
        pytest.skip("Earth Engine has no blocks")
    if case.dtype == "uint8":
        pytest.skip("labels are read pixel for pixel, place by place; GDAL's cache shares the decoded blocks")
    cube = case.source.open(case.native, case.scenes, chunks=64)
    parts = [cube.isel(y=rows, x=cols) for rows, cols in PLACES]
    computed = dask.compute(*parts, scheduler="threads", num_workers=4)
    for part, (rows, cols) in zip(computed, PLACES, strict=True):
        assert np.array_equal(case.pixels(part), case.truth(*centres(case.native[rows, cols])))
    touched = {(i // 64, j // 64) for rows, cols in PLACES for i in (rows.start, rows.stop - 1)
               for j in (cols.start, cols.stop - 1)}  # fmt: skip
    found = blocks(reads)
    assert set(found.values()) == {1}
    if case.dtype == "uint16":  # blocks of labels lie elsewhere
        assert set(found) == {(str(path), *at) for path in case.files for at in touched}


def test_a_place_cut_from_a_lazily_indexed_cube_reads_its_own_window_only(case, reads):
    if case.dtype == "uint16":
        pytest.skip("stackstac reads whole chunks; requests to Earth Engine are counted elsewhere")
    cube = case.source.open(case.native, case.scenes, chunks=None)
    lazy = [cube.isel(y=rows, x=cols).chunk() for rows, cols in PLACES]
    dask.compute(*lazy, scheduler="threads", num_workers=4)
    assert len(PLACES) <= len(reads) <= len(PLACES) * len(case.files)
    # Labels of 1/12000° are narrower than 10 m here, and turned against the grid by the meridians' convergence.
    for _, (rows, cols) in reads:
        assert max(len(rows), len(cols)) < 2 * 70


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize(
    "key",
    [np.s_[::2, ::3], np.s_[1::4, 7:60:5], np.s_[::-1, ::-2], np.s_[90:10:-3, 4], np.s_[5, ::2], np.s_[3:3, 2:7],
     np.s_[-1, -5:], np.s_[[7, 1, 5], [2, 2]], np.s_[::2, [9, 3]], np.s_[7, 9], np.s_[::2], np.s_[..., ::3]],
    ids=str,
)  # fmt: skip
def test_strided_and_reversed_slices(case, key):
    grid = case.native[10:110, 20:140]
    right = case.truth(*centres(grid))
    ds = case.source.open(grid, case.scenes, chunks=None)
    for k, band in enumerate(case.source.bands):
        rows, cols = key if isinstance(key, tuple) and key[0] is not Ellipsis else (slice(None), slice(None))
        if key == np.s_[::2]:
            rows = key
        elif isinstance(key, tuple) and key[0] is Ellipsis:
            cols = key[1]
        assert np.array_equal(ds[band.name][key].values, right[k][rows][..., cols])  # xarray indexes each axis alone


def test_a_file_cut_short_is_an_error_and_never_a_picture(fresh):
    ds = fresh.source.open(fresh.native, fresh.scenes, chunks=64)
    for path in fresh.files:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ReadFailed, match=FILES):
        ds.compute()


def test_a_file_that_was_replaced_is_read_anew(fresh):
    grid = fresh.native[:50, :50]
    before = fresh.pixels(fresh.source.open(grid, fresh.scenes))
    for path in fresh.files:
        with rasterio.open(path) as raster:
            profile, band = raster.profile, raster.read(1)
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(np.where(band > 1, band - 1, band), 1)
    assert (fresh.pixels(fresh.source.open(grid, fresh.scenes)) != before).any()


# Neighbourhoods


def test_no_thread_waits_while_a_neighbourhood_is_looked_at():
    """An abandoned generator may be collected anywhere, also where a thread is being started: it must not join any."""
    asked = []
    lon, lat = np.arange(30) + 0.5, np.full(30, 10.5)
    groups = searched(lambda boxes: asked.append(boxes) or [], lon, lat, 640)
    before = threading.active_count()
    for group in groups:
        assert threading.active_count() == before
        assert group.items == []
    assert len(asked) == 30


# Imagery: what a file's numbers mean


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    planet = SyntheticPlanet(4, shape=(260, 300), block=64)
    return planet, written(planet, tmp_path_factory.mktemp("world")).parent


def items(folder: Path) -> list[dict]:
    return json.loads((folder / "items.json").read_text())["features"]


def source_of(found: list[dict], folder: Path, name: str = "some.json", **settings_: Any) -> StacSource:
    (folder / name).write_text(json.dumps({"type": "FeatureCollection", "features": found}))
    return StacSource(url=str(folder / name), collection=COLLECTION, **settings_)


def at(geobox: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    lon, lat = centre(geobox)
    return np.array([lon]), np.array([lat])


def grid_of_scene(planet: SyntheticPlanet, scene_id: str) -> GeoBox:
    grid = planet.scene(scene_id).grid
    return GeoBox(grid.shape, grid.transform, grid.crs)


def only(world, scene_id: str, change: Callable[[dict], None] = lambda item: None) -> tuple[StacSource, Scene]:
    """A source of one scene, whose item may be changed first."""
    planet, folder = world
    (item,) = (item for item in items(folder) if item["id"] == scene_id)
    change(item)
    source = source_of([item], folder, f"{scene_id}.json")
    ((scene,),) = source.search(*at(grid_of_scene(planet, scene_id)), 640, None)
    return source, scene


def test_the_offset_is_applied_once(world):
    # One scene's files hold 1000 too much, its twin's do not; both items declare the offset in raster:bands.
    planet, _ = world
    grid = grid_of_scene(planet, "east-raw")
    found = {}
    for name in ("east-raw", "east-applied"):
        source, scene = only(world, name)
        found[name] = source.open(grid, [scene]).to_array().values
    assert [asset.offset for asset in only(world, "east-raw")[1].assets] == [-1000] * 3
    assert np.array_equal(found["east-raw"], found["east-applied"])
    assert np.array_equal(found["east-raw"], planet.rgb(*centres(grid), "east-raw"))


RAW, DONE = -1000, 0
#: earthsearch:boa_offset_applied, offset in raster:bands, baseline → what is to be added.
OFFSETS = [
    *((True, declared, baseline, DONE) for declared in (-0.1, 0, None) for baseline in ("02.14", "04.00", "05.11", None)),
    *((False, declared, "02.14", DONE) for declared in (-0.1, 0, None)),  # old products carry none, whatever is declared
    *((False, declared, baseline, RAW) for declared in (-0.1, 0, None) for baseline in ("04.00", "05.11")),
    *((None, -0.1, baseline, RAW) for baseline in ("02.14", "04.00", "05.11", None)),  # declared, and nothing against it
    *((None, 0, baseline, DONE) for baseline in ("02.14", "04.00", "05.11", None)),
    (None, None, "02.14", DONE), (None, None, "04.00", RAW), (None, None, "05.11", RAW), (None, None, None, DONE),
    (False, None, None, DONE), (False, 0, None, DONE),
]  # fmt: skip


@pytest.mark.parametrize(("applied", "declared", "baseline", "offset"), OFFSETS)
def test_the_offset_an_item_means(applied, declared, baseline, offset):
    properties: dict = {} if applied is None else {"earthsearch:boa_offset_applied": applied}
    properties |= {} if baseline is None else {"s2:processing_baseline": baseline}
    band = {"nodata": 0, **({} if declared is None else {"scale": 0.0001, "offset": declared})}
    assert boa_offset(properties, {"raster:bands": [band], "roles": ["data", "reflectance"]}) == offset
    # STAC 1.1 has the same in `bands`, and the baseline may be in processing:version.
    renamed = {key.replace("s2:processing_baseline", "processing:version"): v for key, v in properties.items()}
    named = {f"raster:{key}" if key in ("scale", "offset") else key: v for key, v in band.items()}
    assert boa_offset(renamed, {"bands": [named], "roles": ["data"]}) == offset


def test_an_offset_said_not_to_be_applied_counts_where_no_baseline_is_told():
    asset = {"raster:bands": [{"scale": 0.0001, "offset": -0.1}]}
    assert boa_offset({"earthsearch:boa_offset_applied": False}, asset) == -1000


S2 = {"constellation": "sentinel-2", "platform": "sentinel-2a", "instruments": ["msi"]}
#: Properties, the item's id and its collection → what is to be added, by whoever says it.
SAID = [
    ({"sentinel:processing_baseline": "04.00"}, RAW),
    ({"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": False}, RAW),
    ({"sentinel:processing_baseline": "05.09", "sentinel:boa_offset_applied": True}, DONE),
    ({"sentinel:boa_offset_applied": True, "s2:processing_baseline": "04.00"}, DONE),
    ({"s2:boa_offset_applied": True, "s2:processing_baseline": "05.11"}, DONE),
    ({"eopf:boa_offset_applied": "true", "eopf:processing_baseline": "05.11"}, DONE),
    ({"eopf:boa_offset_applied": "False", "eopf:processing_baseline": "05.11"}, RAW),
    ({"eopf:processing_baseline": "05.11"}, RAW),
    ({"earthsearch:processing_baseline": "04.00"}, RAW),
    ({"earthsearch:boa_offset_applied": None, "sentinel:boa_offset_applied": True, "s2:processing_baseline": "05.00"}, DONE),
    ({"earthsearch:boa_offset_applied": False, "s2:boa_offset_applied": True, "s2:processing_baseline": "05.00"}, RAW),
    *(({"s2:processing_baseline": text}, RAW)
      for text in ("N0509", "n0400", "05.09", "N05.11", "4.0", " 04.00 ", 5.11, 4.0, 4, "4", "0511", "5.1", "99.99")),
    *(({"s2:processing_baseline": text}, DONE)
      for text in ("N0301", "03.01", "N02.14", "2.14", 3.01, "00.01", "", "none", None, True, [5.11], "061",
                   "05.09.01", "nan")),
    # What every sensor may have counts where the item is Sentinel-2's.
    *(({"processing:version": "05.11", **sensor}, RAW)
      for sensor in (S2, {"constellation": "Sentinel 2"}, {"platform": "Sentinel-2B"}, {"platform": "S2A"},
                     {"instruments": ["MSI"]}, {"s2:mgrs_tile": "33UXU"})),
    *(({"processing:version": version, **sensor}, DONE)
      for version in ("2.0", "03.00", "4.1", "05.00", "5.0", "061", "N0511")
      for sensor in ({"constellation": "landsat", "platform": "landsat-8"}, {"platform": "terra", "instruments": ["modis"]},
                     {"platform": "PlanetScope"}, {"constellation": "rapideye", "instruments": ["msi"]},
                     {"constellation": "sentinel-3", "instruments": ["olci"]}, {"constellation": "sentinel-1"})),
    ({"processing:version": "03.01", **S2}, DONE),
    ({"processing:version": "05.11", **S2, "s2:processing_baseline": "02.14"}, DONE),
    ({"landsat:processing_baseline": "05.11"}, DONE), ({"processing_baseline": "05.11"}, DONE),
    ({"landsat:boa_offset_applied": True, "s2:processing_baseline": "05.11"}, RAW),
    # ESA's name of the product.
    ({"s2:product_uri": "S2B_MSIL2A_20220126T021000_N0400_R003_T52SFA_20220126T040000.SAFE"}, RAW),
    ({"sentinel:product_id": "S2B_MSIL2A_20210126T021000_N0214_R003_T52SFA_20210126T040000"}, DONE),
]  # fmt: skip


@pytest.mark.parametrize(("properties", "offset"), SAID, ids=range(len(SAID)))
def test_whoever_names_the_baseline_and_the_offset(properties, offset):
    whole = item("mosaic_2024", collection="mosaics", properties={"datetime": "2024-06-01T00:00:00Z", **properties})
    asset = {"roles": ["data", "reflectance"]}
    assert boa_offset(whole["properties"], asset, item_of(whole, "/", "here")) == offset


@pytest.mark.parametrize(
    ("name", "collection", "version", "offset"),
    [
        ("S2C_MSIL2A_20250330T100051_N0511_R122_T33UWP_20250330T145914", "mosaics", None, RAW),
        ("S2C_MSIL2A_20210330T100051_N0300_R122_T33UWP_20210330T145914", "mosaics", None, DONE),
        (
            "S2A_MSIL2A_20200731T080611_R078_T35MNM_20200818T062751",
            "mosaics",
            None,
            DONE,
        ),  # no baseline in it
        ("LC08_N0511_R122", "mosaics", None, DONE),
        ("x_S2C_MSIL2A_20250330T100051_N0511_R122_T33UWP", "mosaics", None, DONE),
        ("x", "sentinel-2-l2a", "05.11", RAW),
        ("x", "sentinel-s2-l2a-cogs", "05.11", RAW),
        ("x", "s2_l2a", "05.11", RAW),
        ("x", "landsat-c2-l2", "05.11", DONE),
        ("x", "mosaics", "05.11", DONE),
    ],
)
def test_ids_and_collections_tell_of_sentinel_2_where_nothing_else_does(name, collection, version, offset):
    said = {"datetime": "2024-06-01T00:00:00Z"} | ({} if version is None else {"processing:version": version})
    whole = item(name, collection=collection, properties=said)
    assert boa_offset(whole["properties"], {"roles": ["data"]}, item_of(whole, "/", "here")) == offset


def test_pictures_carry_no_offset():
    assert boa_offset({"s2:processing_baseline": "05.11"}, {"roles": ["visual"]}) == 0


@pytest.mark.parametrize(
    ("pixels", "offset", "nodata", "right"),
    [
        (np.array([0, 1, 900, 1000, 1001, 1002, 65535], np.uint16), -1000, (), [0, 1, 1, 1, 1, 2, 64535]),
        (np.array([0, 1, 65535], np.uint16), 0, (65535.0,), [0, 1, 0]),
        (np.array([0, 7, 9, 300], np.uint16), -5, (None, 9.0), [0, 2, 0, 295]),
        (np.array([-20, 0, 5, 32767], np.int16), 0, (), [1, 0, 5, 32767]),
        (np.array([-9999, 5], np.int16), 0, (-9999.0,), [0, 5]),
        (np.array([0, 2.4, 70000], np.float32), 0, (), [0, 2, 65535]),
        (np.array([np.nan, 7], np.float32), 0, (float("nan"),), [0, 7]),
    ],
)
def test_numbers_become_uint16_with_nodata_0(pixels, offset, nodata, right):
    found = harmonised(pixels, offset, nodata)
    assert found.dtype == np.uint16
    assert found.tolist() == right


# Search: by rule


#: In the middle of zone 33, so that degrees and metres are parallel.
LON, LAT = np.array([15.0]), np.array([45.0])


def item(name: str, box=(14.9, 44.9, 15.1, 45.1), cloud=10.0, when="2024-06-01T10:00:00Z", **changes: Any) -> dict:
    """An item of which only metadata exists."""
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    asset = {"proj:transform": [10, 0, 490_000, 0, -10, 5_000_000], "proj:shape": [4000, 4000]}
    properties = {"datetime": when, "proj:epsg": 32633} | ({} if cloud is None else {"eo:cloud_cover": cloud})
    whole = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": COLLECTION,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
        "assets": {band: {"href": f"{name}/{band}.tif", **asset} for band in BANDS},
    }
    return {**whole, **changes}


def found_ids(source: StacSource, when: str | None = None, lon=LON, lat=LAT, extent_m: float = 5120) -> list[list[str]]:
    return [[scene.id for scene in scenes] for scenes in source.search(lon, lat, extent_m, when)]


HALF, MORE = (14.9, 44.9, 15.0, 45.1), (14.9, 44.9, 15.01, 45.1)


def test_the_whole_square_comes_before_clear_sky(tmp_path):
    source = source_of([item("half", HALF, cloud=0), item("whole", cloud=90)], tmp_path)
    assert found_ids(source) == [["whole"]]  # one that covers half never stands in for it


@examples(10, 30, order=st.permutations(range(6)))
def test_least_cloud_then_newest_then_id_whatever_the_order(order, tmp_path):
    ranked = [
        item("z-clear", cloud=1, when="2024-05-01T00:00:00Z"),
        item("y-new", cloud=5, when="2024-07-01T00:00:00Z"),
        item("b", cloud=5, when="2024-06-01T00:00:00Z"),
        item("c", cloud=5, when="2024-06-01T02:00:00+02:00"),  # the same moment
        item("a-cloudy", cloud=5.1, when="2024-08-01T00:00:00Z"),
        item("a-unknown", cloud=None, when="2024-09-01T00:00:00Z"),
    ]
    source = source_of([ranked[k] for k in order], tmp_path)
    assert found_ids(source) == [["z-clear", "y-new", "b"]]  # three at most
    (tmp_path / "some.json").unlink()
    rest = source_of([ranked[k] for k in order if k >= 3], tmp_path)
    assert found_ids(rest) == [["c", "a-cloudy", "a-unknown"]]


def test_where_none_covers_it_the_largest_share_comes_first(tmp_path):
    shares = [item("half", HALF, cloud=0), item("more", MORE, cloud=80), item("sliver", (14.9, 44.9, 14.98, 45.1))]
    assert found_ids(source_of(shares, tmp_path)) == [["more", "half"]]  # the sliver has a ninth
    assert found_ids(source_of(shares, tmp_path, min_valid_fraction=0.6)) == [["more"]]
    assert found_ids(source_of(shares, tmp_path, min_valid_fraction=0.99)) == [[]]


def test_a_scene_that_only_touches_the_square_is_none(tmp_path):
    source = source_of([item("beside", (15.1, 44.9, 15.2, 45.1))], tmp_path, min_valid_fraction=0.0)
    assert found_ids(source) == [[]]


def test_cloud_cover_up_to_the_limit(tmp_path):
    sky = [item("at", cloud=20.0), item("over", cloud=20.1), item("unknown", cloud=None)]
    assert found_ids(source_of(sky, tmp_path, max_cloud_cover=20)) == [["at"]]
    assert found_ids(source_of(sky, tmp_path, max_cloud_cover=99.9)) == [["at", "over"]]
    assert found_ids(source_of(sky, tmp_path)) == [["at", "over", "unknown"]]


@pytest.mark.parametrize(
    ("when", "ids"),
    [
        ("2024-06-01/2024-06-02", ["last", "first"]),  # newest first; both days whole
        ("2024-06-01", ["first"]),
        ("2024-06-01T00:00:00Z/2024-06-02T23:59:59Z", ["last", "first"]),
        ("2024-06-01T00:00:01Z/2024-06-02T23:59:58Z", []),
        ("2024-06-02T00:00:00Z/2024-06-03T00:00:00Z", ["after", "last"]),
        (None, ["after", "last", "first"]),
    ],
)
def test_both_ends_of_the_time_are_included(when, ids, tmp_path):
    times = {"before": "2023-05-31T23:59:59Z", "first": "2024-06-01T00:00:00Z", "last": "2024-06-02T23:59:59Z",
             "after": "2024-06-03T00:00:00Z"}  # fmt: skip
    source = source_of([item(name, when=moment) for name, moment in times.items()], tmp_path)
    assert found_ids(source, when) == [ids]


def test_a_span_of_time_counts_from_its_start(tmp_path):
    span = {"datetime": None, "start_datetime": "2024-06-01T00:00:00Z", "proj:epsg": 32633}
    source = source_of([item("year", properties=span)], tmp_path)
    assert found_ids(source, "2024-06-01") == [["year"]]
    assert found_ids(source, "2024-06-02") == [[]]


def test_items_without_the_assets_or_of_another_collection_are_passed_over(tmp_path):
    bare = item("bare")
    del bare["assets"]["green"]
    others = [bare, item("other", collection="landsat"), item("right", cloud=50)]
    assert found_ids(source_of(others, tmp_path)) == [["right"]]
    assert found_ids(source_of(others, tmp_path, assets=("red", "blue"))) == [["bare", "right"]]


def test_the_ground_of_all_images_is_told_where_they_are_at_hand(tmp_path):
    items = [
        item("half", HALF, when="2019-06-01T00:00:00Z"),
        item("more", MORE, cloud=80),
        item("other", (0.0, 0.0, 1.0, 1.0)) | {"collection": "another"},
    ]
    grounds = source_of(items, tmp_path, max_cloud_cover=90).footprints()
    assert grounds is not None
    assert [ground.bounds for ground in grounds] == [HALF, MORE]  # of any time; not of another collection
    clear = source_of(items, tmp_path, max_cloud_cover=50).footprints()
    assert clear is not None
    assert [ground.bounds for ground in clear] == [HALF]
    # A server is not asked for all that it has, nor is one that says nothing of it.
    assert StacSource(url="https://stac.example/v1", collection=COLLECTION).footprints() is None
    assert toys.InventedSource().footprints() is None


def test_one_search_serves_many_places(tmp_path):
    lon, lat = np.array([15.0, 15.5, -60.0, 15.5]), np.array([45.0, 45.0, 45.0, -45.0])
    source = source_of([item("here"), item("there", (15.4, 44.9, 15.6, 45.1))], tmp_path)
    assert found_ids(source, lon=lon, lat=lat) == [["here"], ["there"], [], []]
    assert source.search(np.array([]), np.array([]), 5120, None) == []


def test_a_footprint_cut_at_the_antimeridian_covers_a_square_across_it(tmp_path):
    rings = [
        [[west, -17], [east, -17], [east, -16], [west, -16], [west, -17]] for west, east in ((179, 180), (-180, -179))
    ]
    shape = {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}
    properties = {"datetime": "2024-06-01T10:00:00Z", "eo:cloud_cover": 0, "proj:epsg": 32760}
    source = source_of([item("fiji", geometry=shape, properties=properties)], tmp_path, min_valid_fraction=0.999)
    lon, lat = np.array([179.99, -179.99, 180.0, 178.5]), np.full(4, -16.5)
    assert found_ids(source, lon=lon, lat=lat) == [["fiji"], ["fiji"], ["fiji"], []]


def test_a_footprint_beyond_the_antimeridian_reaches_over_it(tmp_path):
    # The scene begins at 180° and covers 0.3 of a square whose centre lies west of it, at 179.99°.
    properties = {"datetime": "2024-06-01T10:00:00Z", "eo:cloud_cover": 0, "proj:epsg": 32701}
    east = item("east", (-180, -17, -179, -16), properties=properties)
    lon, lat = np.array([179.99, 179.9]), np.full(2, -16.5)
    assert found_ids(source_of([east], tmp_path, min_valid_fraction=0.25), lon=lon, lat=lat) == [["east"], []]
    assert found_ids(source_of([east], tmp_path, min_valid_fraction=0.35), lon=lon, lat=lat) == [[], []]


# Search: what items say of their files


def without_proj(item: dict) -> None:
    for holder in (item["properties"], *item["assets"].values()):
        for key in [key for key in holder if key.startswith("proj:")]:
            del holder[key]


def _rename(holder: dict) -> None:
    holder["proj:code"] = f"EPSG:{holder.pop('proj:epsg')}"


def to_assets(item: dict) -> None:
    """As Copernicus writes it: the CRS with each asset, not with the item."""
    _rename(item["properties"])
    code = item["properties"].pop("proj:code")
    for asset in item["assets"].values():
        asset["proj:code"] = code


@pytest.mark.parametrize(
    "change",
    [lambda item: _rename(item["properties"]), to_assets, without_proj,
     lambda item: [asset.pop("proj:transform") for asset in item["assets"].values()],
     lambda item: [asset.pop("proj:shape") for asset in item["assets"].values()]],
    ids=["proj:code", "proj:code with the assets", "nothing", "no transform", "no shape"],
)  # fmt: skip
def test_all_ways_to_say_where_pixels_lie(world, change):
    _, told = only(world, "west")
    source, found = only(world, "west", change)
    assert found == told
    grid = grid_of_scene(world[0], "west")[5:60, 5:60]
    assert np.array_equal(source.open(grid, [found]).to_array().values, world[0].rgb(*centres(grid), "west"))


def test_items_that_say_it_are_never_opened(tmp_path):
    for change in (lambda item: None, lambda item: _rename(item["properties"]), to_assets):
        one = item("far")
        change(one)
        (scenes,) = source_of([one], tmp_path).search(LON, LAT, 5120, None)
        assert [asset.crs for asset in scenes[0].assets] == ["EPSG:32633"] * 3
        assert scenes[0].assets[0].href == str(tmp_path / "far/red.tif")


def test_an_asset_that_is_no_raster_is_not_asked_for_the_crs(world):
    # Earth Search lists thumbnails and metadata beside the bands, and in any order.
    def change(item: dict) -> None:
        without_proj(item)
        item["assets"] = {"granule_metadata": {"href": "metadata.xml"}, **item["assets"]}

    assert only(world, "west", change)[1] == only(world, "west")[1]


def test_what_an_item_says_of_nodata_holds_where_its_grid_is_read_from_the_file(world):
    def change(item: dict) -> None:
        without_proj(item)
        for asset in item["assets"].values():
            asset["raster:bands"][0]["nodata"] = 1234

    assert [asset.nodata for asset in only(world, "west", change)[1].assets] == [1234] * 3


def test_grids_that_a_scene_does_not_fit_are_refused(world):
    planet, _ = world
    source, scene = only(world, "west")
    a = planet.scene("west").grid.transform
    with pytest.raises(OffLattice, match=r"west/red.tif is in EPSG:32633, the grid in EPSG:32634"):
        source.open(GeoBox((9, 9), a, "EPSG:32634"), [scene])
    with pytest.raises(OffLattice, match=r"3\.000 m east-west and 2\.000 m north-south"):
        source.open(GeoBox((9, 9), Affine(10, 0, a.c + 3, 0, -10, a.f - 2), "EPSG:32633"), [scene])
    with pytest.raises(OffLattice, match="10 × 10 m, the grid's 20 × 20 m"):
        source.open(GeoBox((9, 9), Affine(20, 0, a.c, 0, -20, a.f), "EPSG:32633"), [scene])


@pytest.mark.parametrize(
    ("asset", "told"),
    [
        ({"proj:shape": [9999, 9999]}, r"it has \d+ × \d+ pixels of 10 m .* the catalogue says 9999 × 9999"),
        ({"proj:transform": [10, 0, 722_300, 0, -10, 5_176_780]}, r"the catalogue says .* from \(722300, 5176780\)"),
        ({"proj:epsg": 32632}, "its CRS is EPSG:32633, the catalogue says EPSG:32632"),
    ],
)
def test_an_item_that_lies_about_its_files_is_found_out(world, asset, told):
    def change(item: dict) -> None:
        for value in item["assets"].values():
            value.update(asset)

    source, scene = only(world, "full", change)
    first = scene.assets[0]
    ds = source.open(GeoBox((20, 20), Affine(*first.transform), first.crs), [scene])
    with pytest.raises(OffLattice, match=f"full/red.tif is not what its item says: .*{told}"):
        ds.red.compute()


# Catalogues


def test_every_form_of_catalogue(tmp_path):
    one, two = item("one", cloud=1), item("two", cloud=2)
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "all.json").write_text(json.dumps({"type": "FeatureCollection", "features": [one, two]}))
    (tmp_path / "lines.ndjson").write_text(f"{json.dumps(one)}\n\n{json.dumps(two)}\n")
    (tmp_path / "one.json").write_text(json.dumps(one))
    (tmp_path / "deep/er/two.json").write_text(json.dumps(two))
    child = {"type": "Collection", "id": "c", "links": [{"rel": "self", "href": "https://host/c"},
             {"rel": "root", "href": "../catalog.json"}, {"rel": "item", "href": "./er/two.json"}]}  # fmt: skip
    (tmp_path / "deep/collection.json").write_text(json.dumps(child))
    links = [{"rel": "child", "href": "deep/collection.json"}, {"rel": "item", "href": "./one.json"}]
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "x", "links": links}))

    def hrefs(name: str) -> dict[str, Path]:
        (scenes,) = StacSource(url=str(tmp_path / name), collection=COLLECTION).search(LON, LAT, 5120, None)
        return {scene.id: Path(scene.assets[0].href).resolve() for scene in scenes}

    here = tmp_path.resolve()
    beside = {"one": here / "one/red.tif", "two": here / "two/red.tif"}
    assert hrefs("all.json") == beside
    assert hrefs("lines.ndjson") == beside
    assert hrefs("one.json") == {"one": here / "one/red.tif"}
    # An href is relative to the item's own file.
    assert hrefs("catalog.json") == {"one": here / "one/red.tif", "two": here / "deep/er/two/red.tif"}


def catalogue(*links: dict) -> str:
    return json.dumps({"type": "Catalog", "id": "x", "links": list(links)})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read the catalogue .*: no such file"),
        ("{", "neither JSON nor NDJSON"),
        ("[1, 2]", "is not a STAC catalogue"),
        ('{"type": "Topology"}', "its type is 'Topology'"),
        (
            catalogue({"rel": "item", "href": "https://host.example/item.json?sig=SECRET"}),
            "https://host.example/item.json ",
        ),
        (catalogue({"rel": "child", "href": "file:///etc/catalog.json"}), "can only link to files beside it"),
        (catalogue({"rel": "item", "href": "gone.json"}), r"gone\.json: no such file"),
        (json.dumps(item("x", geometry=None)), "item 'x' .* is no STAC item"),
        (json.dumps(item("x", properties={})), "item 'x' .*datetime"),
        (json.dumps(item("x", when="last summer")), "item x has the datetime 'last summer'"),
    ],
)
def test_bad_catalogues_say_what_is_wrong(content, told, tmp_path):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=told) as caught:
        StacSource(url=str(path), collection=COLLECTION).search(LON, LAT, 5120, "2024-06-01")
    assert "SECRET" not in str(caught.value)


# Labels


def write_labels(path: Path, pixels: np.ndarray, **changes: Any) -> RasterSource:
    height, width = pixels.shape[-2:]
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": pixels.dtype, "crs": "EPSG:32633",
               "transform": Affine(10, 0, 490_000, 0, -10, 5_000_000)}  # fmt: skip
    with rasterio.open(path, "w", **{**profile, **changes}) as raster:
        raster.write(pixels if pixels.ndim == 3 else pixels[None])
    return RasterSource(str(path))


GRID = GeoBox((8, 8), Affine(10, 0, 490_000, 0, -10, 5_000_000), "EPSG:32633")


def test_a_raster_serves_the_places_that_it_may_reach(tmp_path):
    source = write_labels(tmp_path / "map.tif", np.full((4, 4), 10, np.uint8), nodata=0)
    (ground,) = source.footprints()
    west, south, east, north = ground.bounds
    # Squares of 640 m whose centre lies in it, 300 m west of it, and 400 m west of it; then one that is far away.
    metre = 1 / (111_320 * np.cos(np.radians(north)))
    lon, lat = [(west + east) / 2, west - 300 * metre, west - 400 * metre, 120.0], [north, north, north, -30.0]
    found = source.search(np.array(lon), np.array(lat), 640, None)
    assert found == [(source.describe(),)] * 2 + [()] * 2
    assert (found[0][0].id, found[0][0].assets[0].written, found[0][0].datetime) == ("map", "map.tif", None)
    where = "map.tif lies within longitude 14.87 to 14.87, latitude 45.15 to 45.15"
    assert found.why == {2: where, 3: where}
    middle = [np.array([value]) for value in ((west + east) / 2, (south + north) / 2)]
    assert source.search(*middle, 640, None).why == {}


def test_the_files_nodata_becomes_the_tables_unknown(tmp_path):
    pixels = np.arange(64, dtype=np.int16).reshape(8, 8) % 5
    source = write_labels(tmp_path / "map.tif", pixels, nodata=3)
    table = ClassTable(name="own", labels={0: "a", 1: "b", 2: "c", 4: "d"}, unknown=255, colors={})
    source = replace(source, classes=table)
    found = source.open(GRID.pad(2), [source.describe()]).label
    assert found.dtype == np.uint8
    assert np.array_equal(found.values, np.pad(np.where(pixels == 3, 255, pixels), 2, constant_values=255))


@pytest.mark.parametrize("value", [3.5, 300.0, -1.0, float("inf")])
def test_labels_that_are_no_class_id_are_an_error(value, tmp_path):
    pixels = np.full((8, 8), 10, np.float32)
    pixels[5, 6] = value
    source = write_labels(tmp_path / "map.tif", pixels)
    with pytest.raises(BadPixels, match=rf"map.tif holds .*{value}.*no uint8 value"):
        source.open(GRID, [source.describe()]).compute()


def test_rasters_that_cannot_be_labels_are_refused(tmp_path):
    flat = np.full((8, 8), 10, np.uint8)
    with pytest.raises(InputError, match="has 3 bands"):
        write_labels(tmp_path / "rgb.tif", np.stack([flat] * 3), count=3).describe()
    with pytest.raises(GridError, match="is rotated"):
        write_labels(tmp_path / "turned.tif", flat, transform=Affine(10, 2, 490_000, 2, -10, 5_000_000)).describe()
    with pytest.raises(GridError, match="has no CRS"):
        write_labels(tmp_path / "nowhere.tif", flat, crs=None).describe()
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(InputError, match=r"cannot open .*text\.tif"):
        RasterSource(str(tmp_path / "text.tif")).describe()
    with pytest.raises(InputError, match="no class table 'worldcover': use one of"):
        RasterSource("x.tif", "worldcover")


def test_a_mosaic_takes_the_first_raster_that_has_data(tmp_path):
    first, second = np.zeros((8, 8), np.uint8), np.full((8, 8), 20, np.uint8)
    first[:3], second[:, 6:] = 10, 0
    sources = [write_labels(tmp_path / f"{k}.tif", a, nodata=0) for k, a in enumerate((first, second))]
    ds = sources[0].open(GRID, [source.describe() for source in sources])
    assert np.array_equal(ds.label.values, np.where(first > 0, first, second))


def test_a_header_is_read_once(tmp_path, monkeypatch):
    source = write_labels(tmp_path / "map.tif", np.full((64, 64), 10, np.uint8))
    opened = count_opened(monkeypatch)
    scene = source.describe()
    for _ in range(3):
        source.open(GRID, [scene], chunks=2).compute(scheduler="synchronous")
        rasters.header(scene.assets[0].href)
    assert len(opened) == 1
