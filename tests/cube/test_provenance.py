"""What a cube knows of itself: in a process that only opens it, and of one scene as over time; on systems without POSIX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from support.cubes import GRID, SERIES, made

import nutonic as nt
from nutonic.core.model import Scene
from nutonic.errors import InputError, StoreError
from nutonic.io.files import exclusive
from nutonic.recipe.outputs import Grid
from nutonic.testing import COLLECTION


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> nt.StacSource:
    folder = SERIES.write(tmp_path_factory.mktemp("series")).parent
    return nt.StacSource(url=str(folder / "items.json"), collection=COLLECTION)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return nt.save_cube(made(3, 20, 24, 16), tmp_path_factory.mktemp("saved") / "cube.zarr")


def fresh(code: str, *args: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# In a fresh process


OPENING = {
    "nutonic last": "import xarray as xr, nutonic; cube = xr.open_zarr(path)",
    "nutonic first": "import nutonic, xarray as xr; cube = xr.open_zarr(path)",
    "by its engine": "import xarray as xr; cube = xr.open_dataset(path, engine='nutonic')",
    "by nutonic": "import nutonic as nt; cube = nt.open_zarr(path)",
}


@pytest.mark.long
@pytest.mark.parametrize(
    "opening",
    [name if name == "nutonic first" else pytest.param(name, marks=pytest.mark.exhaustive) for name in OPENING],
)
def test_a_fresh_process_finds_the_accessor(path, opening):
    shown = "print(tuple(cube.nutonic.geobox.shape), len(cube.nutonic.scenes))"
    code = f"import sys; path = sys.argv[1]; {OPENING[opening]}; {shown}"
    assert fresh(code, path) == "(20, 24) 0"


def test_importing_nutonic_imports_no_xarray():
    assert fresh("import sys, nutonic; print('xarray' in sys.modules)") == "False"


@pytest.mark.long
def test_the_accessor_comes_without_the_rest_of_the_library():
    code = "import sys, nutonic.cube.accessor; print(*sorted(m for m in sys.modules if m.startswith('nutonic.')))"
    assert fresh(code) == "nutonic._version nutonic.cube nutonic.cube.accessor nutonic.cube.registration"


@pytest.mark.filterwarnings("ignore:The specified chunks separate the stored chunks")  # as was asked for
@pytest.mark.parametrize("chunks", ["auto", None, {"time": 1, "y": 16}])
def test_open_zarr_gives_back_what_was_saved(path, chunks):
    saved, cube = made(3, 20, 24, 16), nt.open_zarr(path, chunks=chunks)
    for name, variable in saved.data_vars.items():
        assert cube[name].dtype == variable.dtype
        assert cube[name].attrs == variable.attrs
        np.testing.assert_array_equal(cube[name], variable)
    assert (cube["red"].chunks is None) == (chunks is None)
    assert xr.open_dataset(path, engine="nutonic")["red"].dtype == np.uint16


def test_open_zarr_says_what_is_no_cube(tmp_path):
    with pytest.raises(InputError, match=r"nothing.zarr is no saved cube: there is no zarr.json in it"):
        nt.open_zarr(tmp_path / "nothing.zarr")


# One scene


@pytest.mark.sampled(one_in=2, among="provenance")
def test_a_scene_knows_what_a_step_of_a_cube_knows(source):
    first = source.timeline(GRID).steps[0]
    scenes: list[tuple[Scene, ...]] = [(first.scenes[0], *source.timeline(GRID).steps[1].scenes)]
    scene = nt.open_scene(GRID, [source], scenes=scenes)
    plan = nt.search(GRID, [source])
    step = nt.open_cube(plan, [source], chunks=512).isel(time=0)
    assert set(scene.coords) == set(step.coords)
    assert scene["time"].dtype == step["time"].dtype
    assert scene["time"] == np.datetime64(str(first.scenes[0].datetime).removesuffix("Z"), "ns")
    assert float(scene["cloud_cover"]) == first.scenes[0].cloud_cover
    assert scene["cloud_cover"].attrs == step["cloud_cover"].attrs
    assert set(scene.attrs) == set(step.attrs)
    (row,) = scene.nutonic.scenes.to_dict("records")
    same = step.nutonic.scenes.to_dict("records")[0]
    assert row == same
    assert row["id"] == first.scenes[0].id
    assert scene.nutonic.left_out.values.tolist() == [[other.id, f"ranks after {row['id']}"] for other in scenes[0][1:]]
    assert set(scene["red"].dims) == {"y", "x"}


@pytest.mark.long
def test_a_scene_that_was_found_and_saved_still_knows_itself(source, tmp_path):
    lon, lat = GRID.extent.centroid.to_crs("EPSG:4326").coords[0]
    scene = nt.open_scene((lon, lat), [source], grid_settings=None)
    ranked = source.search(np.array([lon]), np.array([lat]), Grid().extent_m)[0]
    assert scene.nutonic.scenes["id"].tolist() == [ranked[0].id]
    assert scene.nutonic.left_out["id"].tolist() == [other.id for other in ranked[1:]]
    again = nt.open_zarr(nt.save_cube(scene, tmp_path / "scene.zarr"))
    assert again.nutonic.scenes.to_dict("records") == scene.nutonic.scenes.to_dict("records")
    np.testing.assert_array_equal(again["red"], scene["red"])


# Elsewhere than on POSIX

_ABSENT = """
import os, sys
sys.path[:0] = [sys.argv[2]]
import support.absent
del os.getuid
import nutonic as nt
for name in dir(nt):
    getattr(nt, name)
from support.cubes import made
print(nt.save_cube(made(2, 20, 20, 16), sys.argv[1]).name)
"""


@pytest.mark.long
def test_a_cube_is_saved_without_posix(tmp_path):
    assert fresh(_ABSENT, tmp_path / "cube.zarr", Path(__file__).parents[1]) == "cube.zarr"
    assert [file.name for file in tmp_path.iterdir()] == ["cube.zarr"]


def test_a_lock_keeps_others_out_and_leaves_nothing(tmp_path):
    lock = tmp_path / ".a.nutonic-lock"
    with exclusive(lock):
        with pytest.raises(BlockingIOError), exclusive(lock):
            pass
        with pytest.raises(StoreError, match="another process writes"):
            nt.save_cube(made(1, 8, 8, 8), tmp_path / "a")
    with exclusive(lock):
        pass
    assert not lock.exists()


# Shown


@pytest.mark.long
def test_what_a_notebook_shows_is_short_and_tells_no_secret(source, tmp_path):
    secret = nt.StacSource(url="https://me:pass@example.org/stac?token=abc", collection="<b>c</b>")
    verdict = nt.Verdict(problems=("a" * 500,) * 99, done=1, planned=2, limit=None, tiles=3, rows=4, files=5, deep=True)
    raster = nt.RasterSource(str(tmp_path / "labels.tif"))
    values = [nt.search(GRID, [source]), nt.Summary(places=3), verdict, source, secret, raster, raster.table]
    for value in values:
        assert len(repr(value)) < 400
        assert repr(value).startswith(f"{type(value).__name__}(")
        assert 40 < len(value._repr_html_()) < 2000
        for shown in (repr(value), value._repr_html_()):
            assert str(tmp_path) not in shown
            assert "pass" not in shown
            assert "abc" not in shown
    assert "&lt;b&gt;c&lt;/b&gt;" in secret._repr_html_()
    assert "<b>" not in secret._repr_html_()
    assert "EPSG:32633" in repr(values[0])
