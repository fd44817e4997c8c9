"""``nutonic cube``: as a user runs it."""

from __future__ import annotations

import ast
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from support import warm
from support.clusters import cluster
from support.cubes import GRID, truth, zarr_files
from support.worlds import written

import nutonic as nt
from nutonic.testing import SyntheticSeries

AREA = (17.93, 46.66, 17.99, 46.70)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = written(SyntheticSeries(), tmp_path_factory.mktemp("series"), imagery={"max_cloud_cover": 90})
    content = yaml.safe_load(path.read_text())
    content["cube"] = {"area": list(AREA), "chunk": 128, "mask": "scl", "reduce": "median"}
    path.write_text(yaml.safe_dump(content))
    return path


nutonic = partial(warm.run, "nutonic")


@pytest.mark.long
def test_a_recipes_cube_is_told_and_saved(recipe, tmp_path):
    out = tmp_path / "cube.zarr"
    done = nutonic("cube", recipe, "--out", out, "--cogs", tmp_path / "cogs", "--json")
    assert done.returncode == 0, done.stderr
    assert "5 steps from 2024-05-02 to 2024-08-30, 7 scenes" in done.stderr
    assert "1 left out: processed again as new" in done.stderr
    assert "tasks each, at most" in done.stderr
    assert f'open it with  xarray.open_zarr("{out}")' in done.stderr
    said = json.loads(done.stdout)
    assert said["variables"] == {"red": ["y", "x"], "green": ["y", "x"], "blue": ["y", "x"], "label": ["y", "x"]}
    found = xr.open_zarr(out, mask_and_scale=False)
    x, y = found.x.values, found.y.values
    assert set(x) <= set(GRID.affine.c + 10 * (np.arange(GRID.shape.x) + 0.5))
    scl = truth("scl", x, y)
    red = np.ma.masked_equal(np.where(np.isin(scl, nt.reduce.CLEAR), truth("red", x, y), 0), 0)
    np.testing.assert_array_equal(found["red"], np.rint(np.ma.median(red, axis=0).filled(0)))
    with rasterio.open(tmp_path / "cogs" / "red.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), found["red"])
    again = nutonic("cube", recipe, "--out", out)
    assert again.returncode == 0
    assert "is there already, nothing to do" in again.stdout
    other = nutonic("cube", recipe, "--out", out, "--area", "17.93,46.66,17.98,46.70")
    assert other.returncode == 2
    assert (
        "is another cube, it differs in blue/zarr.json, as one of another area, grid, time or recipe does"
        in other.stderr
    )


@pytest.mark.long
def test_the_line_that_opens_a_cube_is_python(recipe, tmp_path):
    out = tmp_path / 'o"e$x.zarr'
    done = nutonic("cube", recipe, "--out", out, "--area", "17.93,46.66,17.94,46.67")
    assert done.returncode == 0, done.stderr
    call = ast.parse(done.stdout.splitlines()[-1].removeprefix("open it with  "), mode="eval").body
    assert isinstance(call, ast.Call)
    assert sorted(xr.open_zarr(ast.literal_eval(call.args[0]))) == ["blue", "green", "label", "red"]


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_workers_here_and_elsewhere_give_the_same_bytes(recipe, tmp_path):
    west, south, east, north = AREA
    area = {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }
    (tmp_path / "area.geojson").write_text(json.dumps(area))
    assert nutonic("cube", recipe, "--out", tmp_path / "threads.zarr").returncode == 0
    here = nutonic("cube", recipe, "--out", tmp_path / "here.zarr", "--workers", 2, "--area", tmp_path / "area.geojson")
    assert here.returncode == 0, here.stderr
    with cluster(tmp_path / "dask") as found:
        there = nutonic("cube", recipe, "--out", tmp_path / "there.zarr", "--scheduler", found.address)
        assert there.returncode == 0, there.stderr
    assert (
        zarr_files(tmp_path / "threads.zarr")
        == zarr_files(tmp_path / "here.zarr")
        == zarr_files(tmp_path / "there.zarr")
    )


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--area", "0,1"], 2, "no scene"),
        (["--area", "nowhere.geojson"], 2, "cannot read the area nowhere.geojson"),
        (["--area", "1,2,3"], 2, "is no area"),
        (
            ["--area", "100,10,100.1,10.1"],
            2,
            "no scene of synthetic-l2a at longitude 99.9996 to 100.1004, latitude 9.9996 to 10.1004 in 2024-05-01/",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(recipe, tmp_path, arguments, code, said):
    done = nutonic("cube", recipe, "--out", tmp_path / "cube.zarr", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_recipe_without_an_area_says_what_is_missing(recipe, tmp_path):
    content = yaml.safe_load(recipe.read_text())
    del content["cube"]["area"]
    path = recipe.with_name("none.yaml")
    path.write_text(yaml.safe_dump(content))
    done = nutonic("cube", path, "--out", tmp_path / "cube.zarr")
    assert done.returncode == 2
    assert "cube.area is missing" in done.stderr


def test_the_cube_of_a_recipe_is_no_part_of_its_dataset(recipe):
    content = yaml.safe_load(recipe.read_text())
    del content["cube"]
    path = recipe.with_name("plain.yaml")
    path.write_text(yaml.safe_dump(content))
    assert nt.load_recipe(path).digest() == nt.load_recipe(recipe).digest()
