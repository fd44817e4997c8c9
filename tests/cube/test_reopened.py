"""Cubes that were saved and opened again, as any user of xarray opens them: all that takes a cube gives equal pixels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from support.cubes import made, zarr_files

import nutonic as nt

# Chunks other than the file's are what some of these cubes are about.
pytestmark = pytest.mark.filterwarnings("ignore:The specified chunks separate the stored chunks")

STEPS = 18  # more than are folded at a time

OPENED: dict[str, Callable[[Path], xr.Dataset]] = {
    "open_zarr": xr.open_zarr,
    "digital numbers": lambda path: xr.open_zarr(path, mask_and_scale=False),
    "decode all": lambda path: xr.open_zarr(path, decode_coords="all"),
    "engine": lambda path: xr.open_dataset(path, engine="zarr"),
    "engine, chunks={}": lambda path: xr.open_dataset(path, engine="zarr", chunks={}),
    "chunks=None": lambda path: xr.open_zarr(path, chunks=None),
    "other chunks": lambda path: xr.open_zarr(path, chunks={"time": 5, "y": 20, "x": 17}),
    "one band in other chunks": lambda path: _one_other(xr.open_zarr(path)),
    "loaded": lambda path: xr.open_zarr(path).load(),
}

REDUCED: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "median": nt.reduce.median,
    "quantile": lambda cube: nt.reduce.quantile(cube, 0.25),
    "mode": nt.reduce.mode,
    "mean": nt.reduce.mean,
    "count": nt.reduce.count,
    "clearest": nt.reduce.clearest,
    "mask": nt.reduce.mask,
    "median of mask": lambda cube: nt.reduce.median(nt.reduce.mask(cube)),
    "valid_fraction": lambda cube: nt.reduce.valid_fraction(cube.chunk({"y": 16, "x": 16}), band="red").to_dataset(),
    "fractions": lambda cube: nt.reduce.fractions(cube.chunk({"y": 16, "x": 16}), [0, 1, 2]).to_dataset(),
}


def _one_other(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign(nir=cube["nir"].chunk({"time": 3, "y": 11, "x": 40}))


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return made(STEPS, 40, 33, 20)


@pytest.fixture(scope="module")
def path(cube, tmp_path_factory) -> Path:
    return nt.save_cube(cube, tmp_path_factory.mktemp("reopened") / "cube.zarr")


def pairs(sample) -> list[tuple[str, str]]:
    """Ways to open and to reduce; in a sample each way is there once, or twice where there are fewer of its sort."""
    if sample.every:
        return list(product(OPENED, REDUCED))
    opened = sample.random().sample(list(OPENED), len(OPENED))
    return [(opened[i % len(opened)], how) for i, how in enumerate(REDUCED)]


@pytest.mark.long
def test_a_reopened_cube_reduces_to_the_same_pixels(cube, path, sample):
    parts = ({}, {"time": slice(1, 12, 2), "y": slice(3, 37)})
    for opened, how in pairs(sample):
        for part in parts if sample.every else sample(parts, one_in=2):
            expected = REDUCED[how](cube.isel(part)).compute(scheduler="synchronous")
            found = REDUCED[how](OPENED[opened](path).isel(part)).compute(scheduler="synchronous")
            assert set(found.data_vars) == set(expected.data_vars), (opened, how)
            for name in expected.data_vars:
                assert found[name].dtype == expected[name].dtype, (opened, how, name)
                assert found[name].attrs == expected[name].attrs, (opened, how, name)
                np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{opened}, {how}, {name}")


@pytest.mark.long
def test_a_reopened_cube_is_selected_by_label_and_estimated(cube, path, sample):
    part = {"time": slice("2024-01-05", "2024-02-20"), "x": slice(500_050, 500_250)}
    expected = nt.reduce.median(cube.sel(part))["red"].compute(scheduler="synchronous")
    for opened in sample(OPENED, one_in=3):
        again = OPENED[opened](path)
        np.testing.assert_array_equal(nt.reduce.median(again.sel(part))["red"], expected, err_msg=opened)
        told = nt.reduce.estimate(again, "clearest")
        assert told.tiles >= 1
        assert told.bytes_per_task > 0


@pytest.mark.long
@pytest.mark.parametrize(
    "opened",
    ["open_zarr", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("digital numbers", "decode all"))],
)
def test_a_reopened_cube_is_saved_to_the_same_bytes(path, tmp_path, opened):
    again = nt.save_cube(OPENED[opened](path), tmp_path / "again.zarr")
    assert zarr_files(again) == zarr_files(path)


@pytest.mark.long
def test_a_reopened_cube_gives_the_same_geotiffs(cube, path, tmp_path):
    for name, each in (("one", cube), ("two", xr.open_zarr(path))):
        nt.save_cogs(nt.reduce.median(each).assign(scene=each["scene"].isel(time=0)), tmp_path / name)
        nt.save_cogs(each[["red", "label"]].isel(time=slice(2)), tmp_path / name)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert files == sorted(file.name for file in (tmp_path / "two").iterdir())
    assert len(files) > 4
    for file in files:
        with rasterio.open(tmp_path / "one" / file) as one, rasterio.open(tmp_path / "two" / file) as two:
            assert (one.dtypes, one.nodata) == (two.dtypes, two.nodata)
            np.testing.assert_array_equal(one.read(), two.read())
