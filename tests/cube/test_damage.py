"""Cubes of files that are damaged or missing: they end the cube, or, if that is asked for, leave out what is theirs."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from distributed import Client
from support.cli import nutonic
from support.clusters import cluster, until
from support.cubes import GRID, SERIES, truth
from support.worlds import written

import nutonic as nt
from nutonic.errors import Damaged, DamageSkipped, FileMissing, InputError, ReadFailed, Refused
from nutonic.io.http import Policy
from nutonic.io.session import Session, using
from nutonic.testing import COLLECTION, Fault, FileServer, remote_catalogue

CHUNK = 256


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return written(SERIES, tmp_path_factory.mktemp("series"), imagery={"max_cloud_cover": 90}).parent


@pytest.fixture
def folder(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "series"))


def damage(path: Path) -> None:
    """Make the first block of a file one that nothing decodes."""
    with rasterio.open(path) as raster:
        start, size = (int(raster.get_tag_item(f"BLOCK_{what}_0_0", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)


def source_of(folder: Path | str, **settings) -> nt.StacSource:
    url = folder if isinstance(folder, str) else str(folder / "items.json")
    return nt.StacSource(url=url, collection=COLLECTION, masks=("scl",), **settings)


def computed(source, **options) -> tuple[xr.Dataset, list[str]]:
    """A cube, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DamageSkipped)
        cube = nt.open_cube(GRID, source, chunks=CHUNK, **options).compute(scheduler="threads")
    return cube, sorted({str(each.message) for each in caught if issubclass(each.category, DamageSkipped)})


#: The step of the scene "new", which is alone in its step and in the grid's own zone, and where its file's first block lies.
def step_of(cube: xr.Dataset, scene: str) -> int:
    table = cube.nutonic.scenes.set_index("id")
    return int(np.flatnonzero(cube["time"].values == np.datetime64(table.loc[scene, "step"]))[0])


@pytest.mark.parametrize("how", ["a block", "a header", "missing"])
def test_what_is_damaged_is_left_out_and_told_and_nothing_else(folder, how):
    path = folder / "new" / "red.tif"
    if how == "a block":
        damage(path)
    elif how == "a header":
        path.write_bytes(b"no raster" * 100)
    else:
        path.unlink()
    kind = FileMissing if how == "missing" else Damaged
    with pytest.raises(kind, match=r"^item new: red: "):
        nt.open_cube(GRID, source_of(folder), chunks=CHUNK)["red"].compute(scheduler="threads")
    cube, told = computed(source_of(folder), on_damage="skip")
    assert cube.attrs["nutonic_on_damage"] == "skip"
    assert "what is missing or damaged of its files is nodata" in repr(cube.nutonic)
    at, x, y = step_of(cube, "new"), cube.x.values, cube.y.values
    right = truth("red", x, y)
    for name in ("green", "blue", "scl"):
        np.testing.assert_array_equal(cube[name], truth(name, x, y))
    np.testing.assert_array_equal(np.delete(cube["red"].values, at, 0), np.delete(right, at, 0))
    found = cube["red"].values[at]
    lost = (found == 0) & (right[at] != 0)
    assert lost.any()
    np.testing.assert_array_equal(found[~lost], right[at][~lost])
    if how == "a block":
        assert not lost.all()
        tiles = lost[: 3 * CHUNK, : 4 * CHUNK].reshape(3, CHUNK, 4, CHUNK).any((1, 3))
        assert 0 < tiles.sum() < tiles.size
    else:
        assert not found.any()
    assert told
    assert all(text.startswith("item new: red: ") and text.endswith(": left out as nodata") for text in told)


def test_another_scene_of_the_step_fills_what_it_can(folder):
    damage(folder / "a-west" / "red.tif")
    damage(folder / "b-east" / "red.tif")
    cube, told = computed(source_of(folder, record=True), on_damage="skip")
    x, y = cube.x.values, cube.y.values
    ids = np.array(["", *cube.nutonic.scenes.dropna(subset="number").sort_values("number")["id"]])
    whose = ids[cube["scene"].values]
    right = truth("red", x, y)
    np.testing.assert_array_equal(cube["red"].values == 0, whose == "")
    lost = (cube["red"].values == 0) & (right != 0)
    alone = np.isin(whose, ["a-west", "b-east"]).any((1, 2))
    assert lost[alone].any()
    assert {text.split(":")[0] for text in told} <= {"item a-west", "item b-east"}


def test_nothing_is_skipped_that_is_not_asked_for(folder):
    cube, told = computed(source_of(folder), on_damage="skip")
    assert not told
    plain, _ = computed(source_of(folder))
    xr.testing.assert_identical(cube.drop_attrs(), plain.drop_attrs())
    assert "nutonic_on_damage" not in plain.attrs
    lazy = [nt.open_cube(GRID, source_of(folder), chunks=CHUNK, on_damage=on) for on in ("raise", "skip")]
    assert lazy[0]["red"].data.name != lazy[1]["red"].data.name
    assert nt.reduce.estimate(lazy[0], "median") == nt.reduce.estimate(lazy[1], "median")
    with pytest.raises(InputError, match="on_damage is 'ignore': give 'raise' or 'skip'"):
        nt.open_cube(GRID, source_of(folder), on_damage="ignore")


@pytest.mark.long
@pytest.mark.parametrize(("kind", "skipped"), [("404", True), ("503", False), ("drop", False), ("403", False)])
def test_a_server_that_fails_is_no_damage(folder, kind, skipped):
    """What is not there is left out; what may be there the next time ends the cube."""
    with FileServer(folder) as server, Session(Policy(pause_s=0.001, attempts=2)) as session, using(session):
        host = server.url.removeprefix("http://")
        source = source_of(str(remote_catalogue(folder, server.url)), allow_hosts=(host,))
        lazy = nt.open_cube(GRID, source, chunks=CHUNK, on_damage="skip")["red"]
        server.script([Fault(kind, "*/new/red.tif", times=None)])
        if not skipped:
            with pytest.raises((ReadFailed, Refused), match=r"^item new: red: "):
                lazy.compute(scheduler="synchronous")
            return
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DamageSkipped)
            found = lazy.compute(scheduler="synchronous")
    (told,) = {str(each.message) for each in caught if each.category is DamageSkipped}
    assert told.startswith("item new: red: ")
    assert told.endswith(": left out as nodata")
    right = truth("red", found.x.values, found.y.values)
    lost = (found.values != right).any((1, 2))
    assert lost.sum() == 1
    assert not found.values[lost].any()


@pytest.mark.long
def test_a_command_tells_what_it_left_out(folder, tmp_path):
    damage(folder / "new" / "red.tif")
    recipe, out = folder / "recipe.yaml", tmp_path / "cube.zarr"
    text = recipe.read_text()
    recipe.write_text(f"{text}\ncube: {{area: [17.93, 46.66, 17.99, 46.70], chunk: 128}}\n")
    done = nutonic("cube", recipe, "--out", out)
    assert done.code == 1
    assert "item new: red: cannot read rows" in done.err
    assert not out.exists()
    recipe.write_text(f"{text}\ncube: {{area: [17.93, 46.66, 17.99, 46.70], chunk: 128, on_damage: skip}}\n")
    assert "overwrite it" in nutonic("cube", recipe, "--out", out).err  # what was begun says that it is another cube
    done = nutonic("cube", recipe, "--out", out, "--json", "--overwrite")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["damaged"]
    assert all(text.startswith("item new: red: cannot read rows") for text in said["damaged"])
    assert f"{len(said['damaged'])} part" in done.err
    assert "of missing or damaged files left out as nodata" in done.err
    assert "Traceback" not in done.err
    assert "DamageSkipped" not in done.err
    saved = nt.open_zarr(out)
    assert saved.attrs["nutonic_on_damage"] == "skip"


@pytest.mark.cluster
@pytest.mark.long
def test_workers_warn_whoever_waits_for_them(folder, tmp_path):
    damage(folder / "new" / "red.tif")
    want, told = computed(source_of(folder), on_damage="skip")
    with cluster(tmp_path / "dask") as found, Client(found.address), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DamageSkipped)
        cube = nt.open_cube(GRID, source_of(folder), chunks=CHUNK, on_damage="skip").compute()
        until(lambda: {str(each.message) for each in caught if each.category is DamageSkipped} >= set(told), "warnings")
    xr.testing.assert_identical(cube, want)
