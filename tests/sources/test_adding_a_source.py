"""A source is one file and a line in the registry: shown by one that invents its pixels, from a recipe to chips."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from PIL import Image
from pyproj import Transformer
from support import toys
from support.worlds import written

import nutonic as nt
from nutonic.core.model import Scene
from nutonic.errors import ReadFailed, RecipeError
from nutonic.io.objects import Store
from nutonic.planning.plan_file import read_plan
from nutonic.planning.prepare import prepare
from nutonic.planning.spec import BuildSpec, resolve
from nutonic.recipe.source_kinds import SOURCES
from nutonic.recipe.yaml import parse_recipe
from nutonic.run.batch import run_batch
from nutonic.run.preflight import local_inputs
from nutonic.testing import SyntheticPlanet


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Two places within the toy's scene and one beyond it, under the planet's land cover."""
    monkeypatch.setitem(SOURCES, ("imagery", "toy"), "support.toys:InventedSource")
    planet = SyntheticPlanet()
    written(planet, tmp_path, only=())  # its pixels are those of the toy
    right, centre = planet.scene("full").grid, (toys.TRANSFORM.c + 1900, toys.TRANSFORM.f - 1500)
    assert right.crs == toys.CRS
    back = Transformer.from_crs(toys.CRS, "EPSG:4326", always_xy=True)
    points = [back.transform(centre[0] + by, centre[1]) for by in (-800, 700, 5000)]
    (tmp_path / "pois.csv").write_text("lon,lat\n" + "".join(f"{lon!r},{lat!r}\n" for lon, lat in points))
    whole = planet.recipe(imagery={"source": "toy", "collection": "toys"})
    whole["pois"]["path"], whole["labels"]["path"] = str(tmp_path / "pois.csv"), str(tmp_path / "land_cover.tif")
    return parse_recipe(whole)


def built(spec: BuildSpec, out) -> dict[str, bytes]:
    """Chips by name, as one batch after the other makes them."""
    store, plan = prepare(spec, out, workers=0)
    done = [run_batch(batch, spec, store) for batch in plan.batches()]
    assert sum(each.tiles for each in done) > 2
    assert [failure for each in done for failure in each.failures] == []
    return {path.name: path.read_bytes() for path in sorted((out / "images").rglob("*.png"))}


def test_from_a_recipe_to_chips(recipe, tmp_path):
    spec = resolve(recipe)
    assert isinstance(spec.sources.imagery, toys.InventedSource)
    chips = built(spec, tmp_path / "out")
    plan = read_plan(Store(tmp_path / "out"))
    assert [reject.reason for reject in plan.rejects] == ["no scene"]
    assert plan.header["cost"]["requests"] == 0
    for batch in plan.batches():
        for place in batch.places:
            scene = nt.open_scene((place.poi.lon, place.poi.lat), spec.sources, grid_settings=spec.grid)
            for tile, chip in nt.cut_chips(scene, recipe):
                name = f"{place.poi.id}_t{tile.index:04d}.png"
                if name in chips:
                    assert np.array_equal(chip.rgb, np.asarray(Image.open(io.BytesIO(chips.pop(name)))))
    assert chips == {}


def test_on_worker_processes_it_is_the_same_tree(recipe, tmp_path):
    chips = built(resolve(recipe), tmp_path / "one")
    assert nt.build(recipe, tmp_path / "two", workers=0).complete
    assert chips == {path.name: path.read_bytes() for path in sorted((tmp_path / "two" / "images").rglob("*.png"))}
    assert nt.verify(tmp_path / "two", deep=True).problems == ()


def test_bands_go_by_their_names(recipe, tmp_path):
    """Classes beside the bands, and before them, change no chip."""
    spec = resolve(recipe)
    classed = spec.sources.imagery.with_masks(("scl",))
    assert [band.name for band in classed.bands] == ["scl", "red", "green", "blue"]
    chips = built(spec, tmp_path / "plain")
    assert built(replace(spec, sources=spec.sources._replace(imagery=classed)), tmp_path / "classed") == chips


def test_a_cube_over_time_of_it():
    grid = GeoBox((50, 60), toys.TRANSFORM, toys.CRS)
    cube = nt.open_cube(grid, [toys.InventedSource()], chunks=32)
    assert dict(cube.sizes) == {"time": 1, "y": 50, "x": 60}
    x, y = cube.x.values, cube.y.values
    for k, name in enumerate(("red", "green", "blue")):
        assert np.array_equal(cube[name].values[0], toys.invented(k, x, y))


def test_a_kind_that_is_not_registered_is_refused(recipe):
    with pytest.raises(RecipeError, match=r"imagery.source: is 'lego', not one of earthengine, stac, toy"):
        parse_recipe({**recipe.model_dump(mode="json"), "imagery": {"source": "lego"}})
    with pytest.raises(RecipeError, match=r"labels.source: is 'toy', not one of earthengine, raster, stac"):
        parse_recipe({**recipe.model_dump(mode="json"), "labels": {"source": "toy", "path": "a.tif"}})


def test_what_is_made_of_a_recipe_travels_lightly(recipe):
    spec = resolve(recipe)
    data = pickle.dumps(spec)
    assert pickle.loads(data) == spec
    assert len(data) < 8000


def test_workers_must_see_the_files_of_each_source(recipe):
    spec, plan = resolve(recipe), nt.plan(recipe)
    path = recipe.labels.path
    assert dict(local_inputs(spec.sources, plan.scenes())) == {path: Path(path).stat().st_size}
    others = Scene(**{**{name: getattr(plan.scenes()[0], name) for name in Scene.__slots__}, "collection": "of nobody"})
    assert local_inputs(spec.sources, [others]) == {}


def test_a_failure_names_the_band_that_its_error_is_about(recipe, tmp_path):
    """By the error's field: a text may begin as it likes."""
    spec = resolve(recipe)
    store, plan = prepare(spec, tmp_path / "out", workers=0)
    for band, blamed in (("green", "one/green"), ("label", "one"), (None, "one")):
        broken = replace(spec.sources.imagery, error=ReadFailed("red: nothing comes to mind", band=band))
        done = [
            run_batch(batch, replace(spec, sources=spec.sources._replace(imagery=broken)), store)
            for batch in plan.batches()
        ]
        assert {failure.asset for each in done for failure in each.failures} == {blamed}
