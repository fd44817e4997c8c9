"""Real rasters: a Sentinel-2 scene with cumulus, one off the lattice, WorldCover, and an item that lies about its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image
from pyproj import Transformer
from support.real_data import DATA, RGB, file_pixels, item_29rkh, item_of

from nutonic.core.grid import grid_around
from nutonic.cube.open import open_scene
from nutonic.errors import OffLattice
from nutonic.recipe.outputs import Grid
from nutonic.recipe.yaml import parse_recipe
from nutonic.run.run import build
from nutonic.sources.raster import RasterSource
from nutonic.sources.stac.imagery import StacSource

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"real rasters are read from ../shared/data: no {DATA}")


def source_of(item: dict[str, Any], folder: Path, **settings: Any) -> StacSource:
    (folder / "item.json").write_text(json.dumps(item))
    return StacSource(url=str(folder / "item.json"), collection=item["collection"], **settings)


def lonlat(crs: str, x: float, y: float) -> tuple[float, float]:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)


def exact_labels(path: Path, geobox: GeoBox) -> np.ndarray:
    """The label of the pixel that holds each centre, by pyproj on every one; from a whole file in EPSG:4326."""
    a = geobox.affine
    x, y = a.c + a.a * (np.arange(geobox.shape.x) + 0.5), a.f + a.e * (np.arange(geobox.shape.y) + 0.5)
    lon, lat = Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    with rasterio.open(path) as raster:
        t = raster.transform
        rows, cols = (np.floor(v).astype(int) for v in ((lat - t.f) / t.e, (lon - t.c) / t.a))
        window = ((rows.min(), rows.max() + 1), (cols.min(), cols.max() + 1))
        return raster.read(1, window=window)[rows - rows.min(), cols - cols.min()]


# Mol: a scene with cumulus


@pytest.fixture(scope="module")
def mol(tmp_path_factory):
    """A catalogue of the scene, and labels in degrees beside it: oblique stripes of four classes."""
    folder = tmp_path_factory.mktemp("mol")
    item = item_of("mol", {band: DATA / "s2_mol" / f"{name}.tif" for band, name in RGB.items()}, "2019-04-11T10:50:00Z")
    source = source_of(item, folder)
    row, col = np.ogrid[:1500, :1200]
    labels = np.array([10, 30, 40, 50], np.uint8)[((row + 2 * col) // 90) % 4]
    profile = {"driver": "GTiff", "height": 1500, "width": 1200, "count": 1, "dtype": "uint8", "nodata": 0}
    where = {"crs": "EPSG:4326", "transform": Affine(1 / 12000, 0, 5.215, 0, -1 / 12000, 51.32)}
    with rasterio.open(folder / "labels.tif", "w", **profile, **where) as raster:
        raster.write(labels, 1)
    return folder, source


def test_mol_is_read_pixel_for_pixel(mol):
    folder, source = mol
    cube = open_scene(lonlat("EPSG:32631", 657_920, 5_682_000), [source, RasterSource(str(folder / "labels.tif"))],
                     grid_settings=Grid(extent_m=5000))  # fmt: skip
    grid = cube.odc.geobox
    assert (cube.odc.crs.epsg, grid.affine.c % 10, grid.affine.f % 10, tuple(grid.shape)) == (32631, 0, 0, (500, 500))
    for band, name in RGB.items():
        raw = file_pixels(DATA / "s2_mol" / f"{name}.tif", grid)
        assert np.array_equal(cube[band].values, np.where(raw == 65535, 0, raw))
    assert np.array_equal(cube.label.values, exact_labels(folder / "labels.tif", grid))
    # Cumulus is there: white, and brighter than anything on the ground.
    assert ((cube.red > 3000) & (cube.green > 3000) & (cube.blue > 3000)).values.sum() > 1000


def test_nodata_of_mol_becomes_0(tmp_path):
    # The scene itself is whole: 65535 is planted into a copy.
    files = {}
    for band, name in RGB.items():
        files[band] = tmp_path / f"{name}.tif"
        with rasterio.open(DATA / "s2_mol" / f"{name}.tif") as raster:
            profile, pixels = raster.profile, raster.read(1)
        pixels[300:340, 200:260] = 65535
        with rasterio.open(files[band], "w", **profile) as raster:
            raster.write(pixels, 1)
    source = source_of(item_of("mol", files, "2019-04-11T10:50:00Z"), tmp_path)
    cube = open_scene(lonlat("EPSG:32631", 657_920, 5_682_000), [source], grid_settings=Grid(extent_m=5000))
    raw = file_pixels(files["red"], cube.odc.geobox)
    assert (raw == 65535).sum() >= 2400
    assert np.array_equal(cube.red.values, np.where(raw == 65535, 0, raw))


def test_chips_of_mol_look_like_mol(mol, tmp_path):
    from scipy.stats import spearmanr  # takes a second and a half, which no collection needs

    folder, source = mol
    spots = [(657_000, 5_685_000), (658_500, 5_683_000), (657_300, 5_680_500), (658_800, 5_678_500)]
    lines = [",".join(map(repr, lonlat("EPSG:32631", *spot))) for spot in spots]
    (tmp_path / "pois.csv").write_text("\n".join(["lon,lat", *lines]))
    recipe = parse_recipe(
        {
            "name": "mol",
            "pois": {"path": str(tmp_path / "pois.csv")},
            "grid": {"extent_m": 2240},
            "imagery": {"url": source.url, "collection": "real", "datetime": "2019-04-11"},
            "labels": {"source": "raster", "path": str(folder / "labels.tif"), "dataset": "esa-worldcover"},
            "tiles": {"size": 112, "stride": 112, "output_size": 56},
        }
    )
    summary = build(recipe, tmp_path / "out", workers=0)
    assert (summary.complete, summary.tiles, dict(summary.rejects)) == (True, 16, {})
    chips = sorted((tmp_path / "out/images").rglob("*.png"))
    assert len(chips) == 16
    clouds = 0
    for path in chips:
        sidecar = json.loads(next((tmp_path / "out/metadata").rglob(f"{path.stem}.json")).read_text())
        rgb = np.asarray(Image.open(path)).astype(float)
        assert rgb.shape == (56, 56, 3)
        assert rgb.mean() > 30  # none is black
        assert (rgb.std((0, 1)) > 10).all()  # or one grey
        a = Affine(*sidecar["grid"]["transform"])
        window = sidecar["window"]
        tile = GeoBox(tuple(sidecar["grid"]["shape"]), a, sidecar["grid"]["crs"])
        tile = tile[window["row"] : window["row"] + 112, window["col"] : window["col"] + 112]
        native = np.stack([file_pixels(DATA / "s2_mol" / f"{RGB[band]}.tif", tile) for band in RGB], -1)
        native = native.astype(float).clip(0, 12000).reshape(56, 2, 56, 2, 3).mean((1, 3))
        for k in range(3):  # light and dark are the ground's: not flipped, not shifted, no bands exchanged
            assert spearmanr(rgb[..., k].ravel(), native[..., k].ravel()).statistic > 0.97
        cumulus = (native > 3500).all(-1)
        clouds += int(cumulus.sum())
        if cumulus.sum() > 30:
            assert rgb[cumulus].mean() > 200
    assert clouds > 200


# terramesh: off the ten-metre lattice


@pytest.fixture
def chile(tmp_path):
    """Bands 4, 3 and 2 as files of their own, as an item says them."""
    with rasterio.open(DATA / "terramesh_433d/S2L2A.tif") as raster:
        profile = {**raster.profile, "count": 1, "interleave": "band"}
        bands = {name: raster.read(number) for name, number in (("red", 4), ("green", 3), ("blue", 2))}
    files = {name: tmp_path / f"{name}.tif" for name in bands}
    for name, path in files.items():
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(bands[name], 1)
    return bands, source_of(item_of("chile", files, "2020-04-08T14:40:00Z"), tmp_path)


CHILE = (717729.8352053782 + 1120, 5700093.330553154 - 1120)


def test_off_the_lattice_is_refused_with_the_distance(chile):
    with pytest.raises(
        OffLattice, match=r"717729\.8352, 5700093\.331\), off the 10 m lattice: set grid.lattice to source"
    ):
        open_scene(lonlat("EPSG:32718", *CHILE), [chile[1]], grid_settings=Grid(extent_m=1280))
    # On a grid of the caller's own it says how far: never resampled.
    grid = grid_around(*lonlat("EPSG:32718", *CHILE), extent_m=1280)
    with pytest.raises(OffLattice, match=r"lies 0\.165 m east-west and 3\.331 m north-south off the 10 m lattice"):
        open_scene(grid, [chile[1]])


def test_on_its_own_lattice_it_is_read_pixel_for_pixel(chile, tmp_path):
    bands, source = chile
    labels = RasterSource(str(DATA / "terramesh_433d/LULC.tif"), "dynamic-world")
    cube = open_scene(
        lonlat("EPSG:32718", *CHILE), [source, labels], grid_settings=Grid(extent_m=2240, lattice="source")
    )
    for name, pixels in bands.items():
        assert np.array_equal(cube[name].values, pixels.astype(np.uint16))
        assert (pixels > 0).all()
    with rasterio.open(DATA / "terramesh_433d/LULC.tif") as raster:
        assert np.array_equal(cube.label.values, raster.read(1))
        assert cube.x.values[0] == pytest.approx(raster.xy(0, 0)[0], abs=1e-6)
    alone = labels.open(cube.odc.geobox, [labels.describe()])
    for axis in ("x", "y"):
        assert cube[axis].values.tobytes() == alone[axis].values.tobytes()


def test_the_picture_is_the_independent_rendering(chile):
    # TerraMesh renders the same bands to 8 bit: same order of bands, same way up.
    bands, _ = chile
    with rasterio.open(DATA / "terramesh_433d/S2RGB.tif") as raster:
        rendered = raster.read().astype(float)
    for k, name in enumerate(("red", "green", "blue")):
        assert np.corrcoef(rendered[k].ravel(), bands[name].clip(0, 3000).ravel())[0, 1] > 0.8


# WorldCover over São Tomé


SAO_TOME = DATA / "worldcover/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif"


def test_worldcover_is_pyprojs_on_every_pixel():
    source = RasterSource(str(SAO_TOME))
    grid = grid_around(6.6, 0.2, extent_m=10_240)
    assert grid.crs.epsg == 32632
    label = source.open(grid, [source.describe()], chunks=256).label.values
    assert np.array_equal(label, exact_labels(SAO_TOME, grid))
    share = {class_id: float((label == class_id).mean()) for class_id in np.unique(label).tolist()}
    assert set(share) <= {0, *source.table.labels}
    assert share[10] > 0.5  # the island is forest
    assert len(share) >= 5


def test_where_worldcover_ends_is_nothing():
    # The tile ends at the equator, which runs through this square; the island's south is in its north.
    source = RasterSource(str(SAO_TOME))
    grid = grid_around(6.53, 0.004, extent_m=10_240)
    label = source.open(grid, [source.describe()], chunks=256).label.values
    equator = round(grid.affine.f / 10)
    assert 500 < equator < 600
    assert np.array_equal(label[:equator], exact_labels(SAO_TOME, grid[:equator]))
    assert label[:equator].any()
    assert not label[equator:].any()


def test_worldcover_on_a_window_is_worldcover_on_the_whole():
    source = RasterSource(str(SAO_TOME))
    grid, window = grid_around(6.6, 0.2, extent_m=10_240), np.s_[333:589, 17:273]
    scene = source.describe()
    whole = source.open(grid, [scene], chunks=None).label[window].values
    assert np.array_equal(whole, source.open(grid[window], [scene]).label.values)
    assert len(np.unique(whole)) > 1


# 29RKH: an item that lies about its files


PLACE = (-11.4, 24.8)


def test_an_item_that_lies_gives_an_error_and_no_pixels(tmp_path):
    item = item_29rkh(tmp_path)
    source = source_of(item, tmp_path)
    cube = open_scene(PLACE, [source], grid_settings=Grid(extent_m=2560))  # the item says 10 m, so it opens
    told = r"B04\.tif is not what its item says: it has 1098 × 1098 pixels of 100 m .*says 10980 × 10980 pixels of 10 m"
    with pytest.raises(OffLattice, match=told):
        cube.red.compute()


def test_an_item_put_right_gives_the_files_pixels(tmp_path):
    item = item_29rkh(tmp_path, **{"proj:transform": [100, 0, 199980, 0, -100, 2800020], "proj:shape": [1098, 1098]})
    source = source_of(item, tmp_path)
    cube = open_scene(PLACE, [source], grid_settings=Grid(extent_m=25_600, resolution_m=100, lattice="source"))
    for band, name in RGB.items():
        assert [asset.offset for asset in source.search(*np.array([PLACE]).T, 25_600)[0][0].assets] == [0] * 3
        assert np.array_equal(cube[band].values, file_pixels(DATA / "s2_29rkh" / f"{name}.tif", cube.odc.geobox))
        assert cube[band].values.std() > 100


def test_without_its_metadata_the_files_themselves_are_asked(tmp_path):
    item = item_29rkh(tmp_path)
    for band in RGB:
        del item["assets"][band]["proj:transform"], item["assets"][band]["proj:shape"]
    with pytest.raises(OffLattice, match="pixels of 100 m"):
        open_scene(PLACE, [source_of(item, tmp_path)], grid_settings=Grid(extent_m=2560))


# Metadata alone


def test_a_stac_1_1_item_with_the_crs_in_its_assets_is_searched_without_opening_it(tmp_path):
    shutil.copy(DATA / "stac/s2_cdse_stac_1.1_proj_code.json", tmp_path / "item.json")
    item = json.loads((tmp_path / "item.json").read_text())
    item = item["features"][0] if "features" in item else item
    bands = ("B04_10m", "B03_10m", "B02_10m")
    for asset in item["assets"].values():  # their true addresses would be asked for a header
        asset["href"] = f"/nowhere/{asset['href'].rsplit('/', 1)[-1]}"
    source = source_of(item, tmp_path, assets=bands)
    ring = np.array(item["geometry"]["coordinates"][0])
    ((scene,),) = source.search(*ring[:, :2].mean(0, keepdims=True).T, 2560)
    grids = [(asset.crs, asset.shape, asset.transform[0]) for asset in scene.assets]
    assert grids == [("EPSG:32633", (10980, 10980), 10)] * 3
    assert [asset.offset for asset in scene.assets] == [-1000] * 3
