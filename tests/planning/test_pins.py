"""Local inputs that are other files than when they were planned: told, and taken only with a new plan."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.trees import small_planet, tree

from nutonic import load_recipe
from nutonic.errors import RecipeChanged
from nutonic.planning.pins import changed, pin_of
from nutonic.run.run import build


@pytest.fixture
def recipe(tmp_path) -> Path:
    return small_planet(tmp_path / "planet")


def mirrored(path: Path) -> None:
    """The same raster with its rows turned round: equal header, equal histogram, other pixels."""
    with rasterio.open(path) as raster:
        pixels, profile = raster.read(), raster.profile
    path.unlink()  # worlds are copied as links
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.ascontiguousarray(pixels[:, ::-1]))


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("which", ["land_cover.tif", "west/green.tif"])
def test_a_file_that_is_replaced_between_two_runs_is_told_and_taken_with_a_new_plan(recipe, tmp_path, which):
    out, file = tmp_path / "out", recipe.parent / which
    build(load_recipe(recipe), out, workers=0, limit=3)
    before = tree(out)
    mirrored(file)
    with pytest.raises(RecipeChanged, match=f"{file}.* changed since .* was planned.*--replan") as told:
        build(load_recipe(recipe), out, workers=0)
    assert len(str(told.value).splitlines()) == 1
    assert tree(out) == before
    assert build(load_recipe(recipe), out, workers=0, replan=True).complete
    assert build(load_recipe(recipe), tmp_path / "anew", workers=0).complete
    assert tree(out) == tree(tmp_path / "anew")


def test_a_file_that_is_copied_and_touched_is_the_same(recipe, tmp_path):
    out, file = tmp_path / "out", recipe.parent / "land_cover.tif"
    build(load_recipe(recipe), out, workers=0, limit=3)
    shutil.copy(file, tmp_path / "copy.tif")
    file.unlink()
    (tmp_path / "copy.tif").rename(file)
    os.utime(file, (0, 0))
    assert build(load_recipe(recipe), out, workers=0).complete


def test_a_byte_anywhere_in_a_small_file_is_seen_and_what_is_missing_is_not(tmp_path):
    path = tmp_path / "x.tif"
    content = bytes(range(256)) * 200
    path.write_bytes(content)
    pins = {str(path): pin_of(str(path)), str(tmp_path / "gone.tif"): (3, "abc")}
    assert changed(pins) == []
    for at in (0, 1000, 30_000, len(content) - 1):
        path.write_bytes(content[:at] + b"?" + content[at + 1 :])
        assert changed(pins) == [str(path)]
    path.write_bytes(content[:-1])
    assert changed(pins) == [str(path)]
    path.write_bytes(content + b"a copy that was cut off is finished")
    assert changed(pins) == []


def test_a_pipe_has_no_pin(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        pin_of(str(tmp_path / "pipe"))
