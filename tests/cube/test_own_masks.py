"""Classes of one's own mask a cube by what is said of their values, and nothing is taken for Sentinel-2's classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from support.cli import nutonic
from support.cubes import made, truth
from support.worlds import written

import nutonic as nt
from nutonic.cube.compose import compose
from nutonic.errors import InputError, NoScene, RecipeError
from nutonic.testing import SyntheticSeries

AREA = [17.94, 46.67, 17.97, 46.69]

#: What the asset ``udm`` has for each class of ``scl``: 0 is clear, and 4, which ``scl`` has for the ground, is cloud.
UDM = np.array([255, 255, 0, 2, 0, 0, 1, 0, 4, 4, 4, 0], np.uint8)
MEANING = {"asset": "udm", "cloud": [4], "shadow": [2], "nodata": [255]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The series with ``udm`` in place of ``scl``."""
    folder = written(SyntheticSeries(), tmp_path_factory.mktemp("series")).parent
    items = json.loads((folder / "items.json").read_text())
    for item in items["features"]:
        asset = item["assets"].pop("scl")
        with rasterio.open(folder / asset["href"]) as raster:
            profile, values = raster.profile, raster.read(1)
        with rasterio.open(folder / item["id"] / "udm.tif", "w", **{**profile, "nodata": 255}) as raster:
            raster.write(UDM[values], 1)
        item["assets"]["udm"] = {**asset, "href": f"{item['id']}/udm.tif"}
    (folder / "items.json").write_text(json.dumps(items))
    return folder


def recipe_in(folder: Path, **cube: Any) -> nt.Recipe:
    content = yaml.safe_load((folder / "recipe.yaml").read_text())
    content["quality"] = {"classes": cube.pop("classes", None)}
    content["imagery"]["max_cloud_cover"] = 90
    content["cube"] = {"area": AREA, "chunk": 128, **cube}
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(content))
    return nt.load_recipe(path)


def seen(cube: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """What is right: the red of each step over the area, and where it shows the ground: ``scl`` has 4 to 6 for that."""
    x, y = cube.x.values, cube.y.values
    red, ground = truth("red", x, y), np.isin(truth("scl", x, y), (4, 5, 6))
    over = red.reshape(len(red), -1).any(1)
    return red[over], ground[over]


@pytest.mark.parametrize("how", [{"mask": "udm", "classes": MEANING}, {"mask": MEANING}], ids=["of quality", "its own"])
def test_a_mask_keeps_what_its_values_mean_by_the_recipe(folder, how):
    cube = compose(recipe_in(folder, **how)).cube.compute()
    red, ground = seen(cube)
    want = np.where(ground, red, 0)
    assert 0.3 < np.mean(want != 0) < 0.9
    np.testing.assert_array_equal(cube["red"], want)
    assert cube["udm"].attrs["_FillValue"] == 255


@pytest.mark.parametrize("reduction", ["median", "clearest"])
def test_reductions_are_of_what_is_clear_by_the_recipe(folder, reduction):
    composed = compose(recipe_in(folder, mask="udm", classes=MEANING, reduce=reduction))
    found = composed.cube.compute()
    red, ground = seen(found)
    red = np.ma.masked_equal(np.where(ground, red, 0), 0)
    assert composed.estimate is not None
    if reduction == "median":
        np.testing.assert_array_equal(found["red"], np.rint(np.ma.median(red, axis=0).filled(0)))
    else:
        step = found["step"].values
        want = np.take_along_axis(red.filled(0), np.maximum(step, 0)[None], 0)[0]
        np.testing.assert_array_equal(found["red"], np.where(step < 0, 0, want))
        np.testing.assert_array_equal(step >= 0, (red.filled(0) > 0).any(0))


def test_values_that_nothing_explains_are_refused_before_any_work(folder, tmp_path):
    for classes in ("scl", None, {**MEANING, "asset": "other"}):
        recipe_in(folder, mask="udm", reduce="median", classes=classes)
        done = nutonic("cube", folder / "own.yaml", "--out", tmp_path / "cube.zarr")
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            "nutonic: cube.mask is udm, and nothing says what its values mean: write them, cube.mask: {asset: udm, "
            "cloud: [values], shadow: [values], nodata: [values]}, or the same in quality.classes; known is scl\n"
        )
        assert not list(tmp_path.iterdir())


def test_what_scl_is_called_elsewhere_is_known_to_be_it(folder):
    for name in ("scl", "SCL", "SCL_20m"):
        with pytest.raises(NoScene, match=f"8 are without {name} "):
            compose(recipe_in(folder, mask=name, reduce="median"))
    with pytest.raises(RecipeError, match=r"cube\.mask is Scl, and nothing says"):
        compose(recipe_in(folder, mask="Scl"))


def test_only_of_scl_the_classes_to_keep_are_known():
    cube = made(3, 20, 16, 8)
    own = cube.rename(scl="udm")
    for reduction in (nt.reduce.mask, nt.reduce.clearest):
        with pytest.raises(InputError, match=r"udm is no classification .*: say which .* by='udm', keep=\(1, 2\)"):
            reduction(own, by="udm")
        want = reduction(cube, by="scl", keep=(4, 5)).compute()
        found = reduction(own, by="udm", keep=(4, 5)).compute()
        xr.testing.assert_identical(found, want.rename(scl="udm") if "scl" in want else want)
        xr.testing.assert_identical(
            reduction(cube.rename(scl="SCL"), by="SCL")["red"].compute(), reduction(cube)["red"].compute()
        )
    assert nt.reduce.estimate(own, "clearest", by="udm") == nt.reduce.estimate(cube, "clearest")


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ((-1,), r"keep has -1: give classes of scl, 0 to 255"),
        ((4, 256), r"keep has 256: give classes of scl, 0 to 255"),
        ((True,), r"keep has True: give classes of scl, 0 to 255"),
        ((), r"keep has no class: give classes of scl, 0 to 255"),
        ((0, 4), r"keep has 0, which scl has where there is no class: .* masks=\('scl',\), masks_nodata=\(255,\)"),
    ],
)
def test_what_can_be_no_class_to_keep_is_refused(keep, said):
    for reduction in (nt.reduce.mask, nt.reduce.clearest):
        with pytest.raises(InputError, match=said):
            reduction(made(2, 9, 9, 4), keep=keep)


@pytest.mark.parametrize(
    ("nodata", "said"),
    [((1, 2), "masks_nodata has 2 values for 1 masks"), ((256,), "has 256"), ((-1,), "has -1"), ((0.5,), "has 0.5")],
)
def test_what_masks_have_where_there_is_no_class_is_a_byte_for_each(nodata, said):
    with pytest.raises(InputError, match=said):
        nt.StacSource(url="items.json", collection="c", masks=("udm",), masks_nodata=nodata)


def test_a_mask_where_0_is_clear_is_opened_with_another_nodata(folder):
    source = nt.StacSource(
        url=str(folder / "items.json"), collection="synthetic-l2a", masks=("udm",), masks_nodata=(255,)
    )
    cube = nt.open_cube(nt.area_grid(AREA), source, chunks=128)
    masked = nt.reduce.mask(cube, by="udm", keep=(0, 1)).compute()
    red, ground = seen(masked)
    np.testing.assert_array_equal(masked["red"], np.where(ground, red, 0))
