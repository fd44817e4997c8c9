"""A band that no file has, of which no item tells, is found by the plan: a build would leave all places out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import rasterio
import yaml
from support.aerial import Flown, bands, recipe
from support.aerial import catalogue as flown_over
from support.cli import nutonic
from support.trees import small_planet

import nutonic as nt
from nutonic.errors import InputError
from nutonic.planning.patches.plan import patches_planned
from nutonic.planning.patches.spec import resolve_patches
from nutonic.testing import FileServer, remote_catalogue

#: Places of the small planet that have a scene.
PLACES = 9

SCENES = ("full", "east-raw", "west")


def world(folder: Path, band: int, bands_of: Mapping[str, int] = MappingProxyType({})) -> Path:
    """A small planet whose files have three bands, or as many as are said of a scene, and a recipe that takes one."""
    path = small_planet(folder)
    for scene in SCENES:
        for file in (folder / scene).glob("*.tif"):
            with rasterio.open(file) as raster:
                pixels, profile = raster.read(1), raster.profile
            count = bands_of.get(scene, 3)
            with rasterio.open(file, "w", **{**profile, "count": count}) as raster:
                raster.write(np.stack([pixels] * count))
    values = yaml.safe_load(path.read_text())
    values["imagery"]["assets"] = [{"asset": "red", "band": band, "name": name} for name in ("red", "green", "blue")]
    path.write_text(yaml.safe_dump(values))
    return path


@contextmanager
def at(folder: Path, where: str) -> Iterator[nt.Recipe]:
    """The recipe, of files on this disk or behind a server."""
    if where == "disk":
        yield nt.load_recipe(folder / "recipe.yaml")
        return
    with FileServer(folder) as server:
        yield nt.load_recipe(remote_catalogue(folder, server.url).with_name("recipe-http.yaml"))


def untold(folder: Path) -> None:
    """Take from the items what they say of the grid, so that planning asks the file for it."""
    for path in folder.glob("items*.json"):
        content = json.loads(path.read_text())
        for item in content["features"]:
            for said in (item["properties"], *item["assets"].values()):
                for key in [key for key in said if key in ("proj:shape", "proj:transform")]:
                    del said[key]
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("where", ["disk", "server"])
@pytest.mark.parametrize("grid", ["told", "untold"])
def test_a_band_that_no_file_has_is_refused_by_the_plan(tmp_path, where, grid):
    folder = world(tmp_path, 4).parent
    if grid == "untold":
        untold(folder)
    with at(folder, where) as wanted, pytest.raises(InputError) as refused:
        nt.plan(wanted)
    told = r"\S*red.tif of item .* has 3 bands, and band 4 is asked for: see imagery.assets"
    assert re.fullmatch(told, str(refused.value))
    assert str(tmp_path) not in str(refused.value)
    if where == "disk":
        ended = nutonic("plan", folder / "recipe.yaml", "--out", tmp_path / "out")
        assert ended.code == 2
        assert "has 3 bands, and band 4 is asked for" in " ".join(ended.err.split())


@pytest.mark.long
@pytest.mark.parametrize("where", ["disk", "server"])
def test_a_band_that_files_have_is_planned_as_before(tmp_path, where):
    with at(world(tmp_path, 3).parent, where) as wanted:
        assert len(nt.plan(wanted).places) == PLACES


@pytest.mark.long
@pytest.mark.parametrize("odd", SCENES)
def test_one_scene_that_is_not_as_the_others_is_a_matter_of_its_places(tmp_path, odd):
    assert len(nt.plan(nt.load_recipe(world(tmp_path, 3, {odd: 1}))).places) == PLACES


@pytest.mark.long
def test_scenes_of_other_numbers_of_bands_that_all_lack_it_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"has [12] bands?, and band 3 is asked for"):
        nt.plan(nt.load_recipe(world(tmp_path, 3, {"full": 1, "east-raw": 2, "west": 1})))


@pytest.mark.long
def test_files_that_cannot_be_read_are_told_when_they_are(tmp_path):
    path = world(tmp_path, 4)
    for file in tmp_path.glob("*/red.tif"):
        file.write_bytes(b"no picture")
    assert len(nt.plan(nt.load_recipe(path)).places) == PLACES


def test_patches_are_planned_of_bands_that_files_have(tmp_path):
    image = Flown(id="a", corner=(500_000.0, 4_980_000.0), shape=(320, 320))
    flown_over(tmp_path, [image])
    items = json.loads((tmp_path / "items.json").read_text())
    del items["features"][0]["assets"]["image"]["eo:bands"]
    (tmp_path / "items.json").write_text(json.dumps(items))
    image.write(tmp_path)
    for last, refused in ((4, False), (5, True)):
        wanted = [*bands()[:2], {"asset": "image", "band": last, "name": "blue"}]
        path = recipe(tmp_path, imagery={"assets": wanted})
        if not refused:
            assert len(patches_planned(resolve_patches(nt.load_recipe(path))).places) == 25
            continue
        with pytest.raises(InputError, match=r"a\.tif of item a has 4 bands, and band 5 is asked for"):
            patches_planned(resolve_patches(nt.load_recipe(path)))
