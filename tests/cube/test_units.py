"""What a cube's numbers are: told by CF's attributes as the source declares it, in every file too, and by a plot's axes."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from support.cubes import GRID, SERIES
from support.worlds import written

import nutonic as nt
from nutonic.testing import COLLECTION

REFLECTANCE, NUMBER = "red, reflectance in ten-thousandths", "red, digital number"


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return written(SERIES, tmp_path_factory.mktemp("series")).parent


@pytest.fixture
def folder(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "series"))


def changed(folder: Path, change: Any) -> nt.StacSource:
    """A source of items each of which was changed."""
    content = json.loads((folder / "items.json").read_text())
    for item in content["features"]:
        change(item)
    (folder / "items.json").write_text(json.dumps(content))
    return nt.StacSource(url=str(folder / "items.json"), collection=COLLECTION, masks=("scl",), record=True)


def undeclared(item: dict[str, Any]) -> None:
    """What NAIP's items say of numbers: nothing."""
    properties = item["properties"]
    for key in [key for key in properties if key.startswith(("s2:", "earthsearch:"))]:
        del properties[key]
    properties["platform"] = "aeroplane"
    for asset in item["assets"].values():
        asset.pop("raster:bands", None)
        asset["raster:bands"] = [{"nodata": 0}]


def declared(item: dict[str, Any]) -> None:
    undeclared(item)
    for asset in item["assets"].values():
        asset["raster:bands"] = [{"nodata": 0, "scale": 0.0001, "offset": 0}]


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda item: None, REFLECTANCE), (declared, REFLECTANCE), (undeclared, NUMBER)],
    ids=["sentinel-2", "a scale", "nothing"],
)
def test_a_band_says_what_its_numbers_are(folder, change, told):
    source = changed(folder, change)
    plan = nt.search(GRID, source)
    for cube in (nt.open_cube(plan, source), nt.open_scene(GRID[100:140, 100:140], source)):
        assert cube["red"].attrs["long_name"] == told
        assert cube["red"].attrs["units"] == "1"
        assert ("comment" in cube["red"].attrs) == (told == NUMBER)
        assert cube["green"].attrs["long_name"] == told.replace("red", "green")
        assert "units" not in cube["scl"].attrs


def test_numbers_of_which_only_some_scenes_tell_are_not_called_reflectance(folder):
    seen: list[str] = []

    def change(item: dict[str, Any]) -> None:
        (undeclared if item["id"] == "a-west" else declared)(item)
        seen.append(item["id"])

    cube = nt.open_cube(GRID, changed(folder, change))
    assert len(seen) > 2
    assert cube["red"].attrs["long_name"] == NUMBER
    assert cube["red"].attrs["comment"].startswith("of some scenes no item declares a scale")


def test_a_scale_of_the_users_is_one(folder):
    changed(folder, undeclared)
    source = nt.StacSource(url=str(folder / "items.json"), collection=COLLECTION, scale=0.0001)
    assert nt.open_cube(GRID, source)["red"].attrs["long_name"] == REFLECTANCE


@pytest.mark.long
def test_every_file_says_it_too(folder, tmp_path):
    source = changed(folder, lambda item: None)
    cube = nt.open_cube(GRID[:64, :64], source, chunks=64)
    attrs = cube["red"].attrs
    middle = nt.reduce.median(cube)
    assert {key: middle["red"].attrs[key] for key in attrs} == dict(attrs)
    count = nt.reduce.count(cube)["red"].attrs
    assert (count["long_name"], count["units"]) == ("red, number of valid steps", "1")
    files = [nt.save_cube(middle, tmp_path / "cube.zarr")]
    if pytest.importorskip("h5netcdf"):
        files.append(nt.save_cube(middle, tmp_path / "cube.nc"))
    for path in files:
        opened = (xr.open_zarr if path.suffix == ".zarr" else xr.open_dataset)(path)
        for found in (nt.open_zarr(path), opened):
            assert (found["red"].attrs["long_name"], found["red"].attrs["units"]) == (REFLECTANCE, "1")
    for path in nt.save_cogs(middle[["red"]], tmp_path / "cogs"):
        with rasterio.open(path) as raster:
            assert raster.descriptions == (REFLECTANCE,)
            assert raster.units == ("1",)


def test_what_is_computed_of_two_bands_says_nothing_false(folder):
    cube = nt.open_cube(GRID[:64, :64], changed(folder, lambda item: None)).isel(time=0)
    red, green = cube["red"].astype("float32"), cube["green"].astype("float32")
    index = (green - red) / (green + red)
    assert index.attrs.get("units", "1") == "1"
    assert "reflectance" not in index.attrs.get("long_name", "")


def test_a_remote_items_wavelength_is_told(folder):
    def change(item: dict[str, Any]) -> None:
        for name, centre in (("red", 0.665), ("green", 0.56)):
            item["assets"][name]["eo:bands"] = [{"name": name, "common_name": name, "center_wavelength": centre}]
        item["assets"]["blue"] = {**copy.deepcopy(item["assets"]["blue"]), "bands": [{"eo:center_wavelength": 0.49}]}

    changed(folder, change)
    items = json.loads((folder / "items.json").read_text())["features"]
    for item in items:
        item["links"] = [{"rel": "self", "href": f"https://stac.example.org/items/{item['id']}.json"}]
        for asset in item["assets"].values():
            asset["href"] = f"https://stac.example.org/{asset['href']}?version=2"
    source = nt.StacSource(
        items=items, collection=COLLECTION, keep_query=("version",), allow_hosts=("stac.example.org",)
    )
    cube = nt.open_cube(GRID, source)
    for name, centre in (("red", 0.665), ("green", 0.56), ("blue", 0.49)):
        told = cube[name].attrs
        assert (told["center_wavelength"], told["center_wavelength_units"]) == (centre, "um")


def test_xarrays_plot_labels_its_axes(folder):
    plt = pytest.importorskip("matplotlib.pyplot")
    cube = nt.open_cube(GRID[:32, :32], changed(folder, lambda item: None)).isel(time=0)
    drawn = cube["red"].plot()
    assert drawn.colorbar.ax.get_ylabel().replace("\n", "") == f"{REFLECTANCE} [1]"
    assert "[metre]" in drawn.axes.get_xlabel()
    plt.close(drawn.axes.figure)
    assert np.isfinite(drawn.get_array()).all()
