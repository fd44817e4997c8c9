"""Cubes of real scenes: cumulus over Mol, a tile with its scene classification, two months of real items."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from support.real_data import DATA, RGB, file_pixels, item_29rkh, item_of

import nutonic as nt
from nutonic.core.model import Asset, Scene
from nutonic.sources.item import item_of as catalogued
from nutonic.sources.passes import timeline

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"real rasters are read from ../shared/data: no {DATA}")


def grid_of_file(path: Path) -> GeoBox:
    with rasterio.open(path) as raster:
        return GeoBox(raster.shape, raster.transform, f"EPSG:{raster.crs.to_epsg()}")


def test_a_scene_with_its_classification_is_masked_by_it(tmp_path):
    folder = DATA / "s2_29rkh"
    item = item_29rkh(folder)
    red = grid_of_file(folder / "B04.tif")
    for name, file in {**RGB, "scl": "SCL"}.items():
        grid = grid_of_file(folder / f"{file}.tif")
        lies = {"proj:transform": list(grid.affine)[:6], "proj:shape": list(grid.shape.yx)}
        item["assets"][name] |= {"href": str(folder / f"{file}.tif"), **lies}
    (tmp_path / "item.json").write_text(json.dumps(item))
    source = nt.StacSource(url=str(tmp_path / "item.json"), collection=item["collection"], masks=("scl",))
    area = red[200:700, 300:900]
    cube = nt.open_cube(area, [source], chunks=256)
    assert cube.nutonic.scenes["id"].tolist() == [item["id"]]
    found = nt.reduce.clearest(cube).compute()
    with rasterio.open(folder / "SCL.tif") as raster:  # pixels of twice the size
        a = raster.transform
        rows, cols = ((found.y.values - a.f) // a.e).astype(int), ((found.x.values - a.c) // a.a).astype(int)
        scl = raster.read(1)[np.ix_(rows, cols)]
    pixels = file_pixels(folder / "B04.tif", area)
    want = np.where(np.isin(scl, nt.reduce.CLEAR), pixels, 0)
    np.testing.assert_array_equal(found["red"], want)
    assert 0 < (found["step"] < 0).mean() < 0.5  # clouds, and no more than those


def test_mol_goes_through_zarr_and_geotiff_and_back(tmp_path):
    item = item_of("mol", {band: DATA / "s2_mol" / f"{name}.tif" for band, name in RGB.items()}, "2019-04-11T10:50:00Z")
    (tmp_path / "item.json").write_text(json.dumps(item))
    source = nt.StacSource(url=str(tmp_path / "item.json"), collection="real")
    grid = grid_of_file(DATA / "s2_mol" / "B04.tif")
    path = nt.save_cube(nt.open_cube(grid, [source], chunks=512), tmp_path / "mol.zarr")
    back = xr.open_zarr(path, mask_and_scale=False)
    assert back.odc.geobox == grid
    with rasterio.open(DATA / "s2_mol" / "B04.tif") as raster:
        pixels = raster.read(1)
    pixels[pixels == raster.nodata] = 0
    np.testing.assert_array_equal(back["red"].isel(time=0), pixels)
    nt.save_cogs(back, tmp_path / "cogs")
    with rasterio.open(tmp_path / "cogs" / "red_20190411T105000.tif") as cog:
        np.testing.assert_array_equal(cog.read(1), pixels)


def test_an_area_across_two_zones_is_filled_from_both(tmp_path):
    """Mol lies at 5.2° E, in zone 31: in zone 32's grid each pixel is the nearest of zone 31's."""
    path = DATA / "s2_mol" / "B04.tif"
    item = item_of("mol", {"red": path}, "2019-04-11T10:50:00Z")
    (tmp_path / "item.json").write_text(json.dumps(item))
    source = nt.StacSource(url=str(tmp_path / "item.json"), collection="real", assets=("red",))
    grid = nt.area_grid((5.25, 51.24, 5.28, 51.27), crs="EPSG:32632")
    cube = nt.open_cube(grid, [source], chunks=100).compute()
    assert cube.nutonic.scenes["warped"].tolist() == [True]
    u, v = Transformer.from_crs(32632, 32631, always_xy=True).transform(*np.meshgrid(cube.x, cube.y))
    with rasterio.open(path) as raster:
        cols, rows = ((u - raster.transform.c) // 10).astype(int), ((raster.transform.f - v) // 10).astype(int)
        inside = (rows >= 0) & (rows < raster.height) & (cols >= 0) & (cols < raster.width)
        pixels = raster.read(1)[rows.clip(0, raster.height - 1), cols.clip(0, raster.width - 1)]
    want = np.where(inside & (pixels != 65535), pixels, 0)
    assert inside.mean() > 0.5
    np.testing.assert_array_equal(cube["red"].values[0], want)


@pytest.mark.parametrize(
    ("file", "steps", "first"),
    [("s2_two_months_35MNM.geojson", 13, "2020-06-01T08:06:11.024000Z"), ("s2_cdse_stac_1.1_proj_code.json", 1, None)],
)
def test_real_items_become_steps(file, steps, first):
    content = json.loads((DATA / "stac" / file).read_text())
    items = content if isinstance(content, list) else content.get("features", [content])
    found = [catalogued(item, str(DATA), file) for item in items]

    def scene(item):
        asset = Asset(
            name="red", href="", written="", crs="EPSG:32735", transform=(10, 0, 0, 0, -10, 0), shape=(1, 1), nodata=0
        )
        return Scene(id=item.id, collection="c", source="stac", datetime=None, cloud_cover=None, assets=(asset,))

    grid = nt.area_grid((26.9, -4.9, 27.0, -4.8))
    line = timeline(found, grid, scene)
    assert len(line.steps) == steps
    assert [step.time for step in line.steps] == sorted(step.time for step in line.steps)
    assert first in (None, line.steps[0].time)
    again = [catalogued({**item, "id": f"{item['id']}_again"}, str(DATA), file) for item in items]
    twice = timeline([*found, *again], grid, scene)
    assert [step.time for step in twice.steps] == [step.time for step in line.steps]
    assert len(twice.left_out) == len(items)
