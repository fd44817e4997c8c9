"""Cubes on disk: read back by plain xarray, rioxarray and odc-geo; killed and resumed to equal bytes; GeoTIFFs."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  its accessor
import xarray as xr
from hypothesis import strategies as st
from support import warm
from support.callbacks import OnTiles
from support.clusters import until
from support.cubes import made, zarr_files
from support.sampling import examples
from support.saving_driver import cube_of
from support.worlds import written

import nutonic as nt
from nutonic.errors import InputError, NotNutonic, StoreError
from nutonic.testing import SyntheticSeries

SERIES = SyntheticSeries()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return written(SERIES, tmp_path_factory.mktemp("series")).parent


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory) -> dict[str, bytes]:
    """The bytes of a cube that was saved without interruption."""
    return zarr_files(nt.save_cube(cube_of(folder), tmp_path_factory.mktemp("whole") / "cube.zarr"))


# Read back


@examples(4, 12, st.integers(1, 5), st.integers(1, 70), st.integers(1, 90), st.sampled_from([16, 33, 64]))
def test_what_is_read_back_is_what_was_saved(tmp_path_factory, steps, height, width, chunk):
    cube = made(steps, height, width, chunk)
    path = nt.save_cube(cube, tmp_path_factory.mktemp("cube") / "a.zarr")
    found = xr.open_zarr(path, mask_and_scale=False)
    for name in (*cube.data_vars, *cube.coords):
        np.testing.assert_array_equal(found[name], cube[name], err_msg=name)
        assert found[name].dtype == cube[name].dtype
    assert found["x"].values.tobytes() == cube["x"].values.tobytes()
    assert found.odc.geobox == cube.odc.geobox


def test_plain_xarray_rioxarray_and_odc_geo_find_everything(tmp_path):
    cube = made(2, 40, 30, 16)
    cube = cube.assign(mean=nt.reduce.mean(cube)["red"], step=nt.reduce.clearest(cube)["step"])
    path = nt.save_cube(cube, tmp_path / "a.zarr")
    plain = xr.open_zarr(path)
    grid = cube.odc.geobox
    assert plain.odc.geobox == grid
    assert plain["red"].rio.crs.to_epsg() == 32633
    assert plain["red"].rio.transform() == grid.affine
    assert plain["red"].dtype == np.float32  # nodata as NaN, as CF readers do
    assert np.isnan(plain["red"].values[0, 0, 0])
    assert plain["red"].rio.encoded_nodata == 0
    raw = xr.open_zarr(path, mask_and_scale=False)
    assert raw["red"].rio.nodata == 0
    assert raw["label"].rio.nodata == 255
    assert raw["step"].rio.nodata == -1
    assert np.isnan(raw["mean"].rio.nodata)
    assert raw["red"].attrs == {"_FillValue": 0, "kind": "reflectance", "grid_mapping": "spatial_ref"}
    assert raw.attrs["proj:code"] == "EPSG:32633"
    assert raw.attrs["spatial:transform"] == list(grid.affine)[:6]
    assert raw.attrs["told"] == "kept"
    np.testing.assert_array_equal(plain["time"].values, cube["time"].values)


def test_large_tiles_are_shards_of_smaller_chunks(tmp_path):
    import zarr

    path = nt.save_cube(made(1, 1100, 1030, 1024)[["red", "label"]], tmp_path / "a.zarr")
    array = zarr.open_array(path / "red", mode="r")
    assert (array.shards, array.chunks) == ((1, 1024, 1024), (1, 512, 512))
    assert len(list((path / "red" / "c").rglob("*"))) == 1 + 2 + 4  # a file a tile
    odd = zarr.open_array(nt.save_cube(made(1, 50, 40, 33)[["red"]], tmp_path / "b.zarr") / "red", mode="r")
    assert (odd.shards, odd.chunks) == (None, (1, 33, 33))


@pytest.mark.long
def test_a_cube_of_sources_keeps_its_scenes(folder, tmp_path):
    path = nt.save_cube(cube_of(folder), tmp_path / "a.zarr")
    found = xr.open_zarr(path)
    assert found.nutonic.scenes["id"].tolist() == ["a-west", "b-east", "cloudy"]  # of the two steps that it has


# Resumed


@pytest.mark.long
def test_nothing_is_seen_before_it_is_whole(folder, tmp_path):
    seen = []

    def watch(done, total):
        seen.append((done, total, (tmp_path / "a.zarr").exists(), (tmp_path / "a.zarr.nutonic-partial").exists()))

    nt.save_cube(cube_of(folder), tmp_path / "a.zarr", callbacks=[OnTiles(watch)])
    assert seen == [(0, 30, False, True), (30, 30, False, True)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


driver = partial(warm.run, "support.saving_driver")


@pytest.mark.sampled(one_in=4, among="kills")
@pytest.mark.parametrize(("at", "moment"), [(0, "before"), (7, "torn"), (16, "after"), (29, "after")])
def test_killed_at_a_write_it_goes_on_and_ends_with_equal_bytes(folder, whole, tmp_path, at, moment):
    out = tmp_path / "cube.zarr"
    killed = driver(folder, out, at, moment)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    tiles = [
        path
        for name in ("red", "green", "blue", "scl")
        for path in (tmp_path / "cube.zarr.nutonic-partial" / name).rglob("c/**/*")
    ]
    there = sum(path.is_file() and path.suffix != ".partial" for path in tiles)
    resumed = driver(folder, out, -1, "never")
    assert resumed.returncode == 0, resumed.stderr
    assert int(resumed.stdout) == 30 - there  # what was there is not computed again
    assert zarr_files(out) == whole
    assert not (tmp_path / "cube.zarr.nutonic-partial").exists()


def has_written(process: warm.Process, folder: Path, least: int) -> bool:
    """Whether there are more than `least` files, or never will be."""
    return process.poll() is not None or sum(path.is_file() for path in folder.rglob("*")) > least


@pytest.mark.sampled(one_in=4, among="kills")
def test_killed_again_and_again_it_ends_with_equal_bytes(folder, whole, tmp_path):
    out, kills = tmp_path / "cube.zarr", 0
    for at in (2, 0, 4):
        kills += driver(folder, out, at, ("before", "torn", "after")[at % 3]).returncode == -signal.SIGKILL
    assert kills == 3
    assert driver(folder, out, -1, "never").returncode == 0
    assert zarr_files(out) == whole


@pytest.mark.long
def test_killed_at_any_time_it_ends_with_equal_bytes(folder, whole, tmp_path):
    out, chance = tmp_path / "cube.zarr", random.Random(0)
    for least in (0, 40, 50):
        process = warm.Process(tmp_path / "log", "support.saving_driver", folder, out, -1, "never")
        until(partial(has_written, process, tmp_path, least), "some files")
        time.sleep(chance.random() / 50)
        process.kill()
        process.wait(30)
    (tmp_path / "log").unlink()
    nt.save_cube(cube_of(folder), out)
    assert zarr_files(out) == whole


@pytest.mark.long
def test_a_finished_cube_is_left_alone(folder, whole, tmp_path):
    path = nt.save_cube(cube_of(folder), tmp_path / "a.zarr")
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    watched = []
    nt.save_cube(cube_of(folder), path, callbacks=[OnTiles(lambda *tiles: watched.append(tiles))])
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
    assert not watched


@pytest.mark.exhaustive
def test_a_scheduler_makes_no_difference(folder, whole, tmp_path):
    for scheduler in ("synchronous", "processes"):
        with dask.config.set(scheduler=scheduler, num_workers=2):
            assert zarr_files(nt.save_cube(cube_of(folder), tmp_path / f"{scheduler}.zarr")) == whole


# Refused


@pytest.mark.long
def test_another_cube_is_not_mixed_in(folder, tmp_path):
    cube = made(2, 40, 30, 16)
    path = nt.save_cube(cube, tmp_path / "a.zarr")
    for other, said in [
        (cube.assign_attrs(told="other"), "zarr.json"),
        (cube.isel(y=slice(0, 32)), "."),
        (cube.drop_vars("scl"), "zarr.json"),
        (nt.reduce.median(cube), "."),
    ]:
        with pytest.raises(StoreError, match=rf"is another cube, it differs in .*{said}.*overwrite=True"):
            nt.save_cube(other, path)
    nt.save_cube(nt.reduce.median(cube), path, overwrite=True)
    assert "time" not in xr.open_zarr(path).coords
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]


def test_what_is_no_cube_is_never_touched(tmp_path):
    cube = made(1, 20, 20, 16)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(NotNutonic, match="exists and is no Zarr cube"):
            nt.save_cube(cube, tmp_path / name, overwrite=True)
    assert (tmp_path / "folder" / "mine.txt").read_text() == "mine"
    with pytest.raises(StoreError, match="is a file: nothing can be made below it"):
        nt.save_cube(cube, tmp_path / "file" / "a.zarr")


def test_a_geotiff_may_be_called_as_a_temporary_might_be(tmp_path):
    cube = made(1, 40, 40, 16).isel(time=0, drop=True)[["red"]].rename(red="plain")
    (path,) = nt.save_cogs(cube, tmp_path)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), cube["plain"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["plain.tif"]


def test_chunks_of_several_sizes_are_refused_with_what_to_do(tmp_path):
    sliced = made(1, 40, 40, 16).isel(x=slice(5, None))
    with pytest.raises(InputError, match=r"chunks of \[8, 11, 16\] along x.*open the cube on the part you want"):
        nt.save_cube(sliced, tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_two_at_once_do_not_write_into_each_other(folder, tmp_path):
    import fcntl

    out = tmp_path / "cube.zarr"
    assert driver(folder, out, 3, "after").returncode == -signal.SIGKILL
    half_done = sorted(path for path in (tmp_path / "cube.zarr.nutonic-partial").rglob("*") if path.is_file())
    handle = os.open(tmp_path / ".cube.zarr.nutonic-lock", os.O_RDWR)  # which the killed one left
    fcntl.flock(handle, fcntl.LOCK_EX)
    for overwrite in (False, True):
        with pytest.raises(StoreError, match="another process writes"):
            nt.save_cube(cube_of(folder), out, overwrite=overwrite)
    assert [path for path in half_done if not path.is_file()] == []
    os.close(handle)
    nt.save_cube(cube_of(folder), out)
    assert [path.name for path in tmp_path.iterdir()] == ["cube.zarr"]


# GeoTIFFs


@pytest.mark.long
def test_cogs_hold_the_pixels_and_lie_right(tmp_path):
    cube = made(2, 1300, 700, 512)[["red", "label"]]
    cube = cube.assign(mean=nt.reduce.mean(cube)["red"])
    paths = nt.save_cogs(cube, tmp_path / "cogs")
    assert [path.name for path in paths] == [
        "red_20240101T000000.tif", "red_20240106T000000.tif", "label.tif", "mean.tif",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "cogs").iterdir()) == sorted(path.name for path in paths)
    for path, want in zip(paths, [*cube["red"].values, cube["label"].values, cube["mean"].values], strict=True):
        with rasterio.open(path) as raster:
            np.testing.assert_array_equal(raster.read(1), want)
            assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert (raster.crs.to_epsg(), raster.transform) == (32633, cube.odc.geobox.affine)
            assert raster.block_shapes == [(512, 512)]
            assert raster.overviews(1) == [2, 4][: len(raster.overviews(1))] != []
    with rasterio.open(paths[1], overview_level=0) as half:
        assert half.nodata == 0
    with rasterio.open(paths[2], overview_level=0) as half:
        assert set(np.unique(half.read(1))) <= {0, 1, 2, 255}  # classes are never averaged
        assert half.nodata == 255


@examples(
    4,
    30,
    st.lists(st.sampled_from([0, 1, 10**3, 250 * 10**6, 10**9, 10**9 + 1]), min_size=1, max_size=5).map(sorted),
)
def test_every_step_has_a_geotiff_of_its_own(tmp_path_factory, nanoseconds):
    """However close acquisitions are; and by the second, where no other is within it."""
    cube, folder = made(len(nanoseconds), 3, 2, None)[["red"]], tmp_path_factory.mktemp("cogs")
    cube = cube.assign_coords(time=np.datetime64("2024-01-01", "ns") + np.array(nanoseconds, "m8[ns]"))
    paths = nt.save_cogs(cube, folder)
    assert len({*paths}) == len(nanoseconds) == len(list(folder.iterdir()))
    for path, want, moment in zip(paths, cube["red"].values, nanoseconds, strict=True):
        with rasterio.open(path) as raster:
            np.testing.assert_array_equal(raster.read(1), want)
        if sum(other // 10**9 == moment // 10**9 for other in nanoseconds) == 1:
            assert path.name == f"red_20240101T00000{moment // 10**9}.tif"
    assert nt.save_cogs(cube, folder) == paths


def test_what_lies_nowhere_is_no_geotiff(tmp_path):
    with pytest.raises(InputError, match="lies nowhere"):
        nt.save_cogs(xr.Dataset({"a": ("z", [1, 2])}), tmp_path)


# What was computed of a cube


def _index(cube: xr.Dataset) -> xr.Dataset:
    """An index of two bands, NaN where one of them was not observed, and as often exactly 0 as they are equal."""
    red, nir = cube["red"].astype("float32"), cube["nir"].astype("float32")
    both = (cube["red"] > 0) & (cube["nir"] > 0)
    return ((nir - red) / (nir + red).where(both)).assign_attrs(cube["red"].attrs).to_dataset(name="ndvi")


@pytest.fixture
def equal_here_and_there() -> xr.Dataset:
    cube = made(2, 24, 20, 16)
    nir = cube["nir"].where(np.add.outer(np.arange(24), np.arange(20)) % 3 > 0, cube["red"])
    return cube.assign(nir=nir.astype("uint16").assign_attrs(cube["nir"].attrs))


def test_what_is_exactly_0_of_an_index_stays_0(equal_here_and_there, tmp_path):
    index = _index(equal_here_and_there)
    right = index["ndvi"].values
    assert (right == 0).sum() > 50
    assert np.isnan(right).any()
    assert index["ndvi"].attrs["_FillValue"] == 0
    nt.save_cube(index, tmp_path / "index.zarr")
    for opened in (xr.open_zarr, nt.open_zarr, lambda path: xr.open_zarr(path, mask_and_scale=False)):
        np.testing.assert_array_equal(opened(tmp_path / "index.zarr")["ndvi"].values, right)
    valid = nt.reduce.valid_fraction(index.chunk({"y": -1, "x": -1}), band="ndvi").values.ravel()
    np.testing.assert_allclose(valid, (~np.isnan(right)).mean((1, 2)))
    (path,) = nt.save_cogs(index.isel(time=0), tmp_path / "cogs")
    with rasterio.open(path) as raster:
        assert np.isnan(raster.nodata)
        found = raster.read(1, masked=True)
    np.testing.assert_array_equal(found.mask, np.isnan(right[0]))
    np.testing.assert_array_equal(found.data, right[0])


@pytest.mark.parametrize("fill", [0, np.uint16(0), 0.0, -9999.0, None], ids=repr)
def test_floats_have_nan_or_the_float_that_they_name_for_nodata(fill, tmp_path):
    cube = made(1, 9, 7, 16)[["red"]].isel(time=0)
    floats = cube.astype("float32").where(cube["red"] % 2 == 1, np.nan if fill != -9999 else fill)
    floats["red"].attrs.pop("_FillValue", None)
    if fill is not None:
        floats["red"].attrs["_FillValue"] = fill
    own = isinstance(fill, float)
    nt.save_cube(floats, tmp_path / "floats.zarr")
    saved = xr.open_zarr(tmp_path / "floats.zarr")["red"]
    (path,) = nt.save_cogs(floats, tmp_path / "cogs")
    with rasterio.open(path) as raster:
        np.testing.assert_equal([saved.encoding["_FillValue"], raster.nodata], [fill if own else np.nan] * 2)


def test_truth_values_are_never_nodata(tmp_path):
    cube = made(1, 9, 7, 16)
    bright = (cube["red"] > 30_000).assign_attrs(cube["red"].attrs).to_dataset(name="bright")
    nt.save_cube(bright, tmp_path / "bright.zarr")
    found = xr.open_zarr(tmp_path / "bright.zarr")["bright"]
    assert found.dtype == bool
    np.testing.assert_array_equal(found.values, bright["bright"].values)


COARSER = {
    "coarsened": (lambda cube: cube.coarsen(x=4, y=5, boundary="trim").mean(), 40, 50, 0.0, 0.0),
    "strided": (lambda cube: cube.isel(x=slice(1, None, 3), y=slice(2, None, 2)), 30, 20, 0.0, 15.0),
    "sliced": (lambda cube: cube.isel(x=slice(3, None), y=slice(4, None)), 10, 10, 30.0, 40.0),
    "a column": (lambda cube: cube.isel(x=[3]), 10, 10, 30.0, 0.0),
    "as it was": (lambda cube: cube, 10, 10, 0.0, 0.0),
}


@pytest.mark.parametrize("how", COARSER)
def test_a_saved_cube_lies_where_its_coordinates_say(how, tmp_path):
    """The cube lies from (500000, 5200000) in pixels of 10 m; a strided pixel is as wide as the stride about its centre."""
    change, wide, high, east, south = COARSER[how]
    cube = change(made(2, 40, 36, 64)[["red"]])
    right = rasterio.Affine(wide, 0, 500_000 + east, 0, -high, 5_200_000 - south)
    nt.save_cube(cube.chunk({"y": -1, "x": -1}), tmp_path / "cube.zarr")
    for opened in (nt.open_zarr(tmp_path / "cube.zarr"), xr.open_zarr(tmp_path / "cube.zarr", decode_coords="all")):
        assert opened["red"].rio.transform() == right
        assert opened.odc.geobox.affine == right
        words = opened["spatial_ref"].attrs["GeoTransform"].split()
        assert [float(word) for word in words] == list(right.to_gdal())
        assert opened.attrs["spatial:transform"] == list(right)[:6]


@pytest.mark.parametrize("reduction", [nt.reduce.median, nt.reduce.mean, nt.reduce.count, nt.reduce.mask])
def test_what_is_made_of_a_strided_cube_lies_where_its_pixels_are(reduction):
    strided = made(2, 40, 36, 16).isel(x=slice(None, None, 2), y=slice(None, None, 2))
    assert reduction(strided)["red"].rio.transform() == rasterio.Affine(20, 0, 499_995, 0, -20, 5_200_005)


def test_a_cube_of_pixels_of_several_sizes_has_no_transform(tmp_path):
    cube = made(2, 40, 36, 64)[["red"]].isel(x=[0, 1, 2, 5, 9]).chunk({"x": -1})
    nt.save_cube(cube, tmp_path / "cube.zarr")
    assert "GeoTransform" not in nt.open_zarr(tmp_path / "cube.zarr")["spatial_ref"].attrs


def test_variables_keep_their_order(tmp_path):
    cube = made(2, 12, 10, 8)
    names = ["scl", "red", "label", "nir", "scene"]  # neither sorted nor as they were made
    path = nt.save_cube(cube[names], tmp_path / "cube.zarr")
    again = nt.open_zarr(path)
    assert list(again.data_vars) == names
    assert list(nt.open_zarr(path, chunks=None).data_vars) == names
    assert again.drop_vars("red").to_dataarray("band")["band"].values.tolist() == ["scl", "label", "nir", "scene"]
    assert "nutonic_variables" not in again.attrs
    assert list(xr.open_dataset(path, engine="nutonic", drop_variables="label").data_vars) == [
        "scl", "red", "nir", "scene",
    ]  # fmt: skip
    for which, opened in (("nutonic", again), ("xarray", xr.open_zarr(path))):
        copy = nt.save_cube(opened, tmp_path / f"{which}.zarr")
        assert list(nt.open_zarr(copy).data_vars) == names
        assert zarr_files(copy) == zarr_files(path)
    assert list(nt.open_zarr(nt.save_cube(again[["red", "nir"]], tmp_path / "part.zarr")).data_vars) == ["red", "nir"]
