"""Benchmarks run tiny, so that they are there when they are needed, and measure the same tiles."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from support.paths import ROOT
from support.worlds import written

from benchmarks import cubes
from benchmarks.workloads import floor, measure, whole_build
from nutonic.recipe.yaml import load_recipe
from nutonic.testing import SyntheticPlanet


def test_the_floor_and_the_build_do_the_same_tiles(tmp_path: Path) -> None:
    recipe = load_recipe(written(SyntheticPlanet(), tmp_path / "planet"))
    bare = measure(lambda: floor(recipe, tmp_path / "floor"))
    built = measure(lambda: whole_build(recipe, tmp_path / "build"))
    pictures = [len(list((tmp_path / name).rglob("*.png"))) for name in ("floor", "build")]
    # The build leaves a poor scene for the next; the floor always takes the first, so it may lack those tiles.
    assert 0 < pictures[0] == bare.tiles <= pictures[1] == built.tiles


def scale(*arguments: str) -> dict:
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=200).stdout)


@pytest.mark.sampled(one_in=2, among="a million places")
@pytest.mark.exhaustive
def test_a_place_more_takes_planning_two_hundred_bytes():
    few, many = 3_000, 13_000
    taken = [
        count * scale("--traced", "--places", str(count))["planning_peak_bytes_per_place"] for count in (few, many)
    ]
    assert (taken[1] - taken[0]) / (many - few) < 200


@pytest.mark.sampled(one_in=2, among="a million places")
def test_places_that_cost_nothing_are_all_built():
    told = scale("--places", "200", "--workers", "0")
    assert told["built"] == told["places"] == 200


@pytest.mark.exhaustive
def test_all_ways_to_a_median_give_the_same_picture(tmp_path: Path) -> None:
    items = cubes.world(tmp_path / "tile", 300, 5)
    for name in ("nutonic", "nutonic, two processes", "stackstac", "odc-stac"):
        cubes.run(name, items, tmp_path / f"{name}.zarr")
    ours = xr.open_zarr(tmp_path / "nutonic.zarr", mask_and_scale=False)
    assert (ours["red"] > 0).mean() > 0.9
    for name in ("nutonic, two processes", "stackstac", "odc-stac"):
        found = xr.open_zarr(tmp_path / f"{name}.zarr", mask_and_scale=False, consolidated=False)
        for band in cubes.BANDS:
            np.testing.assert_array_equal(np.nan_to_num(np.rint(found[band].values)), ours[band].values, err_msg=name)
