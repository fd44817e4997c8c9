"""Cubes as netCDF, and as xarray's own writers take them: whatever wrote a file, what is read back is the cube."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import strategies as st
from support.callbacks import OnTiles
from support.cli import nutonic
from support.cubes import made, zarr_files
from support.sampling import examples
from support.worlds import written

import nutonic as nt
from nutonic.cube.search import Records
from nutonic.errors import CubeChanged, InputError, MissingExtra, NotNutonic
from nutonic.testing import COLLECTION, SyntheticSeries

pytestmark = pytest.mark.filterwarnings("ignore:The specified chunks separate the stored chunks")

#: As a cube of sources has it: shown in a word, and whole in a file.
SCENES = Records('[{"number":1,"id":"a"}]')


def equal(found: xr.Dataset, cube: xr.Dataset) -> None:
    """Whether a cube is another: variables, dtypes, nodata, coordinates and where it lies."""
    assert set(found.data_vars) == set(cube.data_vars)
    for name in (*cube.data_vars, "time", "cloud_cover", "y", "x"):
        assert found[name].dtype == cube[name].dtype, name
        np.testing.assert_array_equal(found[name], cube[name], err_msg=str(name))
    for name in cube.data_vars:
        np.testing.assert_equal(found[name].attrs["_FillValue"], cube[name].attrs["_FillValue"], err_msg=str(name))
        assert found[name].attrs["kind"] == cube[name].attrs["kind"]
    assert found.nutonic.geobox == cube.nutonic.geobox
    assert found["red"].rio.transform() == cube["red"].rio.transform()
    assert found["red"].rio.crs == cube["red"].rio.crs


# nutonic's own


@examples(2, 12, st.integers(1, 4), st.integers(2, 70), st.integers(2, 90), st.sampled_from([16, 33, None]))
def test_what_is_read_back_is_what_was_saved(tmp_path_factory, steps, height, width, chunk):
    pytest.importorskip("h5netcdf")
    cube = made(steps, height, width, chunk).assign_attrs(nutonic_scenes=SCENES)
    path = nt.save_cube(cube, tmp_path_factory.mktemp("cube") / "a.nc")
    assert path.is_file()
    assert path.read_bytes().startswith(b"\x89HDF")
    for found in (
        nt.open_zarr(path),
        xr.open_dataset(path, engine="nutonic"),
        xr.open_dataset(path, mask_and_scale=False),
    ):
        equal(found, cube)
        assert "".join(found.attrs["nutonic_scenes"]) == "".join(SCENES)


def test_what_is_read_back_is_reduced_as_what_was_saved(tmp_path):
    pytest.importorskip("h5netcdf")
    cube = made(3, 20, 30, 16)
    path = nt.save_cube(cube, tmp_path / "a.nc")
    decoded = xr.open_dataset(path, decode_coords="all")
    assert decoded.odc.geobox == cube.odc.geobox
    assert decoded.chunks == {}
    for opened in (nt.open_zarr(path), xr.open_dataset(path), decoded):
        for name, want in nt.reduce.median(cube).data_vars.items():
            np.testing.assert_array_equal(nt.reduce.median(opened)[name], want)


def test_the_same_cube_has_the_same_bytes_and_is_left_alone(tmp_path):
    pytest.importorskip("h5netcdf")
    cube, told = made(3, 40, 30, 16), []
    for name in ("a.nc", "b.nc"):
        nt.save_cube(cube, tmp_path / name, callbacks=[OnTiles(lambda done, total: told.append((done, total)))])
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    assert told == [(0, 78), (78, 78)] * 2
    before = (tmp_path / "a.nc").stat().st_mtime_ns
    nt.save_cube(cube, tmp_path / "a.nc")
    assert (tmp_path / "a.nc").stat().st_mtime_ns == before
    for other in (cube.assign_attrs(told="other"), cube.isel(y=slice(1, None)), cube.drop_vars("scl")):
        with pytest.raises(CubeChanged, match=r"is another cube, it differs in .*overwrite=True"):
            nt.save_cube(other, tmp_path / "a.nc")
    nt.save_cube(cube.drop_vars("scl"), tmp_path / "a.nc", overwrite=True)
    assert "scl" not in nt.open_zarr(tmp_path / "a.nc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc", "b.nc"]


def test_what_is_not_nutonics_is_not_replaced(tmp_path):
    pytest.importorskip("h5netcdf")
    cube = made(1, 9, 8, 8)
    cube.to_netcdf(tmp_path / "xarrays.nc", engine="h5netcdf")
    (tmp_path / "mine.nc").write_text("notes")
    for name in ("xarrays.nc", "mine.nc"):
        before = (tmp_path / name).read_bytes()
        for overwrite in (False, True):
            with pytest.raises(NotNutonic, match="is no netCDF cube of nutonic's: choose another path"):
                nt.save_cube(cube, tmp_path / name, overwrite=overwrite)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(InputError, match=r"mine\.nc is no saved cube, which is a Zarr folder or a netCDF file"):
        nt.open_zarr(tmp_path / "mine.nc")


def test_a_cube_goes_from_one_format_to_the_other(tmp_path):
    pytest.importorskip("h5netcdf")
    cube = made(2, 40, 33, 20)
    zarr = nt.save_cube(cube, tmp_path / "a.zarr")
    netcdf = nt.save_cube(nt.open_zarr(zarr), tmp_path / "b.nc")
    again = nt.save_cube(nt.open_zarr(netcdf), tmp_path / "c.zarr")
    assert zarr_files(again) == zarr_files(zarr)


# Names of others


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cube.tif", "name it cube.zarr; for GeoTIFFs name a folder by --cogs, or in nt.save_cogs"),
        ("cube.TIFF", "name it cube.zarr; for GeoTIFFs"),
        ("cube.zip", "name it cube.zarr; Zarr is a folder, to be packed afterwards"),
        ("cube.h5", "name it cube.zarr; for netCDF name it cube.nc"),
        ("s3://bucket/cube.tif", "name it cube.zarr; for GeoTIFFs"),
        ("s3://bucket/cube.nc", "these are written on a disk alone: name it cube.zarr"),
    ],
)
def test_a_name_of_another_format_is_refused(name, told, tmp_path):
    where = name if "://" in name else tmp_path / name
    with pytest.raises(InputError) as refused:
        nt.save_cube(made(1, 9, 8, 8), where)
    assert told in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_without_its_library_netcdf_is_refused_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr("nutonic.cube.stores.netcdf.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"needs h5netcdf: .*install .*'nutonic\[netcdf\]', or save Zarr"):
        nt.save_cube(made(1, 9, 8, 8), tmp_path / "cube.nc")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = written(SyntheticSeries(), tmp_path_factory.mktemp("series"), imagery={"max_cloud_cover": 90})
    path.write_text(path.read_text() + "\ncube: {area: [17.93, 46.66, 17.95, 46.67], mask: scl, reduce: median}\n")
    return path


@pytest.mark.long
def test_the_command_writes_what_the_name_says_or_nothing(recipe, tmp_path):
    pytest.importorskip("h5netcdf")
    for name in ("cube.tif", "cube.zip"):
        done = nutonic("cube", recipe, "--out", tmp_path / name)
        assert done.code == 2
        assert "is no name of a cube, which is a Zarr folder: name it cube.zarr" in done.err
    assert not list(tmp_path.iterdir())
    done = nutonic("cube", recipe, "--out", tmp_path / "cube.nc", "--cogs", tmp_path / "cogs")
    assert done.code == 0, done.err
    assert f'open it with  xarray.open_dataset("{tmp_path}/cube.nc")' in done.out
    assert nutonic("cube", recipe, "--out", tmp_path / "cube").out.count(f"wrote {tmp_path}/cube, a Zarr folder") == 1
    found, zarr = nt.open_zarr(tmp_path / "cube.nc"), nt.open_zarr(tmp_path / "cube")
    for name in zarr.data_vars:
        np.testing.assert_array_equal(found[name], zarr[name])
    assert found.nutonic.scenes.equals(zarr.nutonic.scenes)
    with rasterio.open(tmp_path / "cogs" / "red.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), found["red"])
    assert "is there already, nothing to do" in nutonic("cube", recipe, "--out", tmp_path / "cube.nc").out


# xarray's own writers


WRITERS: dict[str, tuple[Callable[[xr.Dataset, Path], object], Callable[[Path], xr.Dataset]]] = {
    "to_zarr": (lambda cube, path: cube.to_zarr(path), xr.open_zarr),
    "to_netcdf": (lambda cube, path: cube.to_netcdf(path, engine="h5netcdf"), xr.open_dataset),
}

MADE: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "as it is": lambda cube: cube,
    "masked by where": lambda cube: cube[["red"]].where(cube["red"] > 9_000),
    "an index, with zeros": lambda cube: _index(cube),
    "coarsened": lambda cube: cube[["red"]].where(cube["red"] > 0).coarsen(x=2, y=2, boundary="trim").mean(),
    "strided": lambda cube: cube.isel(x=slice(1, None, 3), y=slice(None, None, 2)),
    "mean": nt.reduce.mean,
    "clearest": nt.reduce.clearest,
    "reopened": lambda cube: cube,
}


def _index(cube: xr.Dataset) -> xr.Dataset:
    red, nir = cube["red"].astype("float32"), cube["nir"].astype("float32")
    both = (cube["red"] > 0) & (cube["nir"] > 0)
    index = ((nir - red) / (nir + red).where(both)).assign_attrs(cube["red"].attrs)
    return index.to_dataset(name="ndvi").assign_attrs(cube.attrs)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("how", MADE)
def test_xarrays_writers_write_what_is_encoded(writer, how, tmp_path):
    """Nodata where a pixel has none, nowhere else; and the place that coordinates tell, in pixels of their size."""
    pytest.importorskip("h5netcdf")
    cube = made(3, 40, 36, None).assign_attrs(nutonic_scenes=SCENES)
    cube["nir"][:, ::3] = cube["red"][:, ::3]
    cube = MADE[how](cube)
    if how == "reopened":
        cube = xr.open_zarr(nt.save_cube(cube.chunk({"y": 16, "x": 16}), tmp_path / "a.zarr"))
    write, opened = WRITERS[writer]
    write(cube.nutonic.encoded(), tmp_path / "own")
    found = opened(tmp_path / "own")
    for name, variable in cube.data_vars.items():
        values = variable.values.astype(float)
        if variable.dtype.kind in "iu":
            values = np.where(values == variable.attrs.get("_FillValue", np.nan), np.nan, values)
        np.testing.assert_allclose(found[name].values, values, err_msg=str(name))
    x, y = cube["x"].values, cube["y"].values
    right = rasterio.Affine.from_gdal(*map(float, found["spatial_ref"].attrs["GeoTransform"].split()))
    assert right == rasterio.Affine(x[1] - x[0], 0, x[0] - (x[1] - x[0]) / 2, 0, y[1] - y[0], y[0] - (y[1] - y[0]) / 2)
    assert "".join(found.attrs["nutonic_scenes"]) == "".join(cube.attrs["nutonic_scenes"])


def test_netcdf_3_has_no_unsigned_numbers_and_is_taken_all_the_same(tmp_path):
    cube = made(2, 20, 16, None)[["red", "scene", "scl"]]
    cube["red"] //= 4
    cube["red"].attrs |= {"_FillValue": 0, "kind": "reflectance", "grid_mapping": "spatial_ref"}
    cube["red"] = cube["red"].astype("uint16")
    signed = cube.astype({"red": "int16", "scene": "int16", "scl": "int8"})
    signed.to_netcdf(
        tmp_path / "three.nc", engine="scipy", encoding={"time": {"units": "hours since 2024-01-01", "dtype": "i4"}}
    )
    assert (tmp_path / "three.nc").read_bytes().startswith(b"CDF")
    for found in (nt.open_zarr(tmp_path / "three.nc"), xr.open_dataset(tmp_path / "three.nc"),
                  xr.open_dataset(tmp_path / "three.nc", mask_and_scale=False)):  # fmt: skip
        assert nt.reduce.median(found)["red"].dtype == np.uint16
        np.testing.assert_array_equal(nt.reduce.median(found)["red"], nt.reduce.median(cube)["red"])
        np.testing.assert_array_equal(nt.reduce.mask(found)["red"], nt.reduce.mask(cube)["red"])
        assert found.nutonic.geobox == cube.nutonic.geobox


@pytest.mark.long
def test_a_cube_of_sources_is_netcdf_too(recipe, tmp_path):
    pytest.importorskip("h5netcdf")
    source = nt.StacSource(url=str(recipe.parent / "items.json"), collection=COLLECTION, masks=("scl",))
    cube = nt.open_cube((17.93, 46.66, 17.95, 46.67), source)
    saved = nt.save_cube(cube, tmp_path / "own.nc")
    cube.nutonic.encoded().to_netcdf(tmp_path / "xarrays.nc", engine="h5netcdf")
    for path in (saved, tmp_path / "xarrays.nc"):
        found = nt.open_zarr(path)
        equal(found, cube)
        assert found.nutonic.scenes.equals(cube.nutonic.scenes)


# Pixels of several sizes


def test_pixels_of_several_sizes_are_told_or_left_without_a_place(tmp_path):
    for name, cube in (
        ("x", made(1, 40, 36, None).isel(x=[0, 1, 2, 5, 9])),
        ("y", made(1, 40, 36, None).isel(y=[3, 4, 8])),
    ):
        assert cube.nutonic.geobox is None
        for refused in (lambda each=cube: nt.save_cogs(each, tmp_path / "cogs"),):
            with pytest.raises(
                InputError, match=f"{name} has pixels of several sizes, which no picture has: take a slice"
            ):
                refused()
        assert not (tmp_path / "cogs").exists()
        lazy = cube.chunk({"x": -1, "y": -1})
        again = nt.open_zarr(nt.save_cube(lazy, tmp_path / f"{name}.zarr"))
        assert not [key for key in again.attrs if key.startswith("spatial:")]
        assert "GeoTransform" not in again["spatial_ref"].attrs
        whole = nt.open_zarr(nt.save_cube(made(1, 40, 36, 64), tmp_path / f"whole-{name}.zarr"))
        part = whole.isel({name: [0, 1, 5]}).chunk({name: -1})
        assert not [
            key
            for key in nt.open_zarr(nt.save_cube(part, tmp_path / f"part-{name}.zarr")).attrs
            if key.startswith("spatial:")
        ]
