"""Chips of a cube are those that a build writes from the same pixels."""

from __future__ import annotations

import io

import dask
import numpy as np
import pytest
import xarray as xr
from PIL import Image
from support.worlds import written

import nutonic as nt
from nutonic.chips.chip import TileReject
from nutonic.errors import BadPixels, InputError
from nutonic.sources.factory import sources_of
from nutonic.sources.grids import place_grid
from nutonic.testing import SyntheticPlanet

PLANET = SyntheticPlanet()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A recipe, the tree that was built from it, and its plan."""
    folder = tmp_path_factory.mktemp("planet")
    recipe = nt.load_recipe(written(PLANET, folder))
    nt.build(recipe, folder / "out", workers=0)
    return recipe, folder / "out", nt.plan(recipe)


def scene_of(recipe, place) -> xr.Dataset:
    grid = place_grid(place.poi.lon, place.poi.lat, place.imagery[0], recipe.grid)
    sources = sources_of(recipe)
    return nt.open_scene(grid, sources, scenes=(place.imagery[:1], place.labels), chunks=50)


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("scope", ["tile", "poi"])
def test_a_cube_gives_the_chips_of_a_build(built, tmp_path, scope):
    recipe, tree, plan = built
    recipe = recipe.model_copy(update={"stretch": recipe.stretch.model_copy(update={"scope": scope})})
    if scope == "poi":
        tree = tmp_path / "poi"
        nt.build(recipe, tree, workers=0)
    written = {path.stem: path for path in (tree / "images").rglob("*.png")}
    seen = set()
    for batch in plan.batches():
        for place in batch.places:
            with dask.config.set(scheduler="synchronous"):
                for tile, chip in nt.cut_chips(scene_of(recipe, place), recipe):
                    name = f"{place.poi.id}_t{tile.index:04d}"
                    if isinstance(chip, TileReject):
                        continue
                    seen.add(name)
                    picture = np.asarray(Image.open(io.BytesIO(written[name].read_bytes())))
                    np.testing.assert_array_equal(chip.rgb, picture)
    assert seen == set(written)
    assert len(written) > 20


def test_what_is_no_cube_for_chips_is_refused_at_once(built):
    recipe, _, plan = built
    cube = scene_of(recipe, next(plan.batches()).places[0])
    over_time = cube.expand_dims(time=[0])
    for said, wrong in {
        "the cube has no label, only red, green, blue": cube.drop_vars("label"),
        "take a step": over_time,
        "red is float32, chips are cut from uint16": cube.assign(red=cube["red"].astype("float32")),
        "a tile 64: nothing to cut": cube.isel(y=slice(0, 63)),
    }.items():
        with pytest.raises(InputError, match=said):
            nt.cut_chips(wrong, recipe)
    strange = cube.assign(label=xr.full_like(cube["label"], 77))
    with pytest.raises(BadPixels, match=r"\[77\], which synthetic does not list"):
        list(nt.cut_chips(strange, recipe))
