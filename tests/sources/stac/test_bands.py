"""Bands by the name of an asset, by what they are commonly called, or of one file; and coarse ones on fine grids."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.rasters import CORNER, catalogue, item, middle, nearest, recipe, tif

import nutonic as nt
from nutonic.core.grid import grid_around
from nutonic.errors import InputError, OffLattice, RecipeError
from nutonic.recipe.outputs import Grid
from nutonic.recipe.yaml import load_recipe
from nutonic.sources.item import Item, item_of
from nutonic.sources.stac.bands import Located, located, shown_by_visual

COLOURS = ("Red", "Green", "Blue", "NIR")
EO = {"eo:bands": [{"name": name, "common_name": name.lower()} for name in COLOURS]}
STAC_1_1 = {"bands": [{"name": name, "eo:common_name": name.lower()} for name in COLOURS]}
ENGINES = ("stackstac", "odc-stac")


def noise(seed: int, *shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 250, shape).astype(dtype)


def described(assets: dict[str, Any], **properties: Any) -> Item:
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    known = {"datetime": "2024-06-15T10:00:00Z"}
    assets = {key: {"href": f"{key}.tif", **asset} for key, asset in assets.items()}
    content = {"id": "i", "geometry": square, "properties": {**known, **properties}, "assets": assets}
    return item_of(content, "/nowhere", "test")


def eo(name: str, common: str | None = None, **more: Any) -> dict[str, Any]:
    return {"eo:bands": [{"name": name, **({"common_name": common} if common else {})}], **more}


# Where a band is


@pytest.mark.parametrize(
    ("assets", "wanted", "found"),
    [
        # The Planetary Computer's and Earth Search's NAIP: one file of four bands.
        ({"image": {**EO, "roles": ["data"]}, "thumbnail": {"roles": ["thumbnail"]}}, "green", Located("image", 2)),
        ({"image": STAC_1_1}, "nir", Located("image", 4)),
        ({"image": EO}, "NIR", Located("image", 4)),
        ({"image": EO}, "swir16", None),
        # An asset of that name comes first, whatever others say.
        ({"image": EO, "red": {}}, "red", Located("red")),
        ({"red": eo("B08", "nir"), "B04": eo("B04", "red")}, "red", Located("red")),
        # What is rendered already never serves as a band.
        ({"visual": {**EO, "roles": ["visual"]}}, "red", None),
        ({"tci": {**EO, "roles": ["overview"]}, "B04": eo("B04", "red")}, "red", Located("B04")),
        ({"preview": {**EO, "type": "image/png"}, "B04": eo("B04", "red")}, "red", Located("B04")),
        ({"meta": {**EO, "type": "application/json"}}, "red", None),
        # Sentinel-2: B08 and B8A are two.
        ({"B8A": eo("B8A", "nir08"), "B08": eo("B08", "nir")}, "nir", Located("B08")),
        ({"B8A": eo("B8A", "nir08"), "B08": eo("B08", "nir")}, "nir08", Located("B8A")),
        # The band's own name goes before what it is commonly called.
        ({"a": eo("x", "red"), "b": eo("red", "x")}, "red", Located("b")),
        ({"B05_20m": eo("B05", "rededge"), "B06_20m": eo("B06", "rededge")}, "B06", Located("B06_20m")),
        # Of one band in several sizes the finest; by whichever field says so.
        ({"B04_60m": eo("B04", "red", gsd=60), "B04_10m": eo("B04", "red", gsd=10)}, "red", Located("B04_10m")),
        (
            {
                "lo": eo("B04", "red", **{"raster:bands": [{"spatial_resolution": 20}]}),
                "hi": eo("B04", "red", **{"raster:bands": [{"spatial_resolution": 10}]}),
            },
            "red",
            Located("hi"),
        ),
        (
            {
                "lo": eo("B04", "red", **{"proj:transform": [20, 0, 0, 0, -20, 0]}),
                "hi": eo("B04", "red", **{"proj:transform": [10, 0, 0, 0, -10, 0]}),
            },
            "red",
            Located("hi"),
        ),
        # Data before what is not, a GeoTIFF before JPEG 2000.
        ({"a": eo("B04", "red", roles=["x"]), "b": eo("B04", "red", roles=["data"])}, "red", Located("b")),
        (
            {
                "a-jp2": eo("red", "red", type="image/jp2"),
                "b": eo("red", "red", type="image/tiff; application=geotiff; profile=cloud-optimized"),
            },
            "red",
            Located("b"),
        ),
        # Odd members.
        ({"image": {"eo:bands": None}}, "red", None),
        ({"image": {"eo:bands": ["red", {"common_name": "green"}]}}, "green", Located("image", 2)),
        ({"image": {"bands": [{"data_type": "uint8"}]}}, "red", None),
        ({"image": {"eo:bands": [{"common_name": None, "name": None}]}}, "red", None),
    ],
)
def test_where_a_band_is(assets, wanted, found):
    assert located(described(assets), wanted, {}) == found
    assert located(described(dict(reversed(assets.items()))), wanted, {}) == found


def test_what_a_catalogue_is_known_to_call_its_assets_goes_before_what_items_say():
    item = described({"B04": {}, "other": eo("x", "red")})
    assert located(item, "red", {"red": "B04"}) == Located("B04")


def test_bands_that_differ_and_are_commonly_called_the_same_are_told():
    assets = {name: eo(name, "rededge", gsd=20) for name in ("B05", "B06", "B07")}
    with pytest.raises(
        InputError, match="rededge is what item i commonly calls B05 and B06 and B07, bands that differ"
    ):
        located(described(assets), "rededge", {})


@pytest.mark.parametrize(
    ("assets", "serves"),
    [
        (("red", "green", "blue"), True),
        (("B04", "B03", "B02"), True),
        (("R", "G", "B"), True),
        (("swir16", "nir", "red"), False),
        (("blue", "green", "red"), False),
        (("B12", "B8A", "B04_20m"), False),
        (("red", "green"), False),
        (({"asset": "image"}, "green", "blue"), False),
    ],
)
def test_the_rendered_picture_serves_only_for_red_green_and_blue(assets, serves):
    assert shown_by_visual(assets) is serves


# What is read


@pytest.fixture
def naip(tmp_path) -> tuple[Path, np.ndarray]:
    """One file of four bands, pixel by pixel."""
    pixels = noise(1, 4, 300, 300, dtype="uint8")
    return tif(tmp_path / "all.tif", pixels, interleave="pixel", photometric="MINISBLACK", alpha="NO"), pixels


@pytest.mark.parametrize("said", [EO, STAC_1_1], ids=["eo:bands", "bands"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_bands_of_one_file_by_what_they_are_called(naip, said, engine, tmp_path):
    path, pixels = naip
    where = catalogue(tmp_path, item(path, {"image": {"href": "all.tif", **said}}))
    source = nt.StacSource(url=where, collection="c", assets=("nir", "red", "green", "blue"), engine=engine)
    cube = nt.open_scene(middle(path), [source], grid_settings=Grid(extent_m=1280))
    grid = cube.odc.geobox
    for name, band in {"nir": 4, "red": 1, "green": 2, "blue": 3}.items():
        assert np.array_equal(cube[name].values, nearest(path, grid, band)), name
    assert pixels.any()


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("engine", ENGINES)
def test_bands_of_a_file_by_their_numbers_in_scenes_and_cubes(interleave, engine, tmp_path):
    path = tif(tmp_path / "all.tif", noise(2, 4, 200, 200), interleave=interleave)
    where = catalogue(tmp_path, item(path, {"image": {"href": "all.tif"}}))
    bands = [{"asset": "image", "band": 4}, {"asset": "image", "band": 2, "name": "green"}]
    source = nt.StacSource(url=where, collection="c", assets=bands, engine=engine)
    grid = grid_around(*middle(path), extent_m=1280)
    scene, cube = nt.open_scene(grid, [source], chunks=64), nt.open_cube(grid, [source], chunks=64)
    assert list(scene) == ["image_4", "green"]
    # Another zone's grid: by nearest neighbour.
    other = grid_around(*middle(path), extent_m=640, crs="EPSG:32632")
    warped = nt.open_cube(other, [source], chunks=64)
    for name, band in {"image_4": 4, "green": 2}.items():
        assert np.array_equal(scene[name].values, nearest(path, grid, band))
        assert np.array_equal(cube[name].values[0], nearest(path, grid, band))
        assert np.array_equal(warped[name].values[0], nearest(path, other, band))


def test_a_band_that_the_file_does_not_have_is_told(naip, tmp_path):
    path, _ = naip
    where = catalogue(tmp_path, item(path, {"image": {"href": "all.tif"}}))
    source = nt.StacSource(url=where, collection="c", assets=[{"asset": "image", "band": 5}])
    with pytest.raises(OffLattice, match="has 4 bands, the catalogue means band 5"):
        nt.open_scene(grid_around(*middle(path), extent_m=640), [source]).compute()


@pytest.mark.parametrize("key", ["bands", "eo:bands", "raster:bands"])
def test_a_band_beyond_those_that_an_item_tells_of_is_refused_by_its_search(naip, key, tmp_path):
    """Before anything is read; an item that tells of one band may mean each, and of two items the other one serves."""
    path, _ = naip
    short, told, one = ({key: [{"data_type": "uint8"}] * count} for count in (3, 4, 1))
    source = partial(nt.StacSource, collection="c", assets=[{"asset": "image", "band": 4}])
    grid = grid_around(*middle(path), extent_m=640)
    where = catalogue(tmp_path, item(path, {"image": {"href": "all.tif", **short}}))
    with pytest.raises(
        InputError, match=r"asset 'image' of item .* has 3 bands, and band 4 is asked for: see imagery.assets"
    ):
        nt.open_scene(grid, [source(url=where)])
    for said in (told, one):
        where = catalogue(tmp_path, item(path, {"image": {"href": "all.tif", **said}}))
        assert nt.open_scene(grid, [source(url=where)])["image_4"].shape == (64, 64)


@pytest.mark.parametrize(
    ("assets", "told"),
    [
        ([{"asset": "image", "band": 0}], r"in assets is no band: write a name, or"),
        ([{"band": 1}], r"in assets is no band"),
        ([7], r"7 in assets is no band"),
        ("red", r"write it as a list, assets=\['red'\]"),
        ([{"asset": "image", "band": 1}, "image_1"], r"names an asset twice: \['image_1', 'image_1'\]"),
        ([{"asset": "a", "name": "x"}, {"asset": "b", "name": "x"}], "calls two bands x: give one of them a name"),
    ],
)
def test_what_is_no_band_is_told(assets, told):
    with pytest.raises(InputError, match=told):
        nt.StacSource(url="items.json", collection="c", assets=assets)


def built(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A tree, and the sidecar of its first tile."""
    out = folder / "tree"
    assert nt.build(load_recipe(folder / "recipe.yaml"), out, workers=0).tiles == 4
    assert nt.verify(out, deep=True).problems == ()
    assert nt.verify(out, deep=True).whole
    return out, json.loads((out / "metadata/s00000/a_t0000.json").read_text())


@pytest.fixture
def labelled(tmp_path) -> Path:
    tif(tmp_path / "lc.tif", np.full((300, 300), 10, np.uint8), nodata=0)
    return tmp_path


def test_a_build_of_the_bands_of_one_file(naip, labelled):
    path, _ = naip
    catalogue(labelled, item(path, {"image": {"href": "all.tif", **EO}}))
    numbers = [{"asset": "image", "band": 4}, {"asset": "image", "band": 1, "name": "red"}, "green"]
    recipe(labelled, middle(path), {"path": "lc.tif"}, assets=numbers)
    _, sidecar = built(labelled)
    assert sidecar["imagery"]["assets"] == {"image_4": "all.tif", "red": "all.tif", "green": "all.tif"}
    assert list(sidecar["stretch"]["low"]) == ["image_4", "red", "green"]
    assert "repeated" not in sidecar["imagery"]
    # The picture is that of the plain arrays, stretched and averaged by the same cutter.
    grid = nt.open_scene(middle(path), [nt.StacSource(url=str(labelled / "items.json"), collection="c", assets=["red"])],
                         grid_settings=load_recipe(labelled / "recipe.yaml").grid)  # fmt: skip
    low = {name: int(np.sort(nearest(path, grid.odc.geobox[:64, :64], band).ravel())[int(np.ceil(0.02 * 64 * 64)) - 1])
           for name, band in {"image_4": 4, "red": 1, "green": 2}.items()}  # fmt: skip
    assert sidecar["stretch"]["low"] == low


def test_names_in_a_recipe_must_differ_and_count(labelled):
    place = (16.0, 52.0)
    for assets, told in (
        (["image"] * 3, r"the bands of one file are \[\{asset: image, band: 1\}, \{asset: image, band: 2\}, …\]"),
        (
            [{"asset": "image", "bnad": 1}, "a", "b"],
            r"imagery.assets.0.bnad is not a key of a recipe: did you mean band\?$",
        ),
        ([{"asset": "image", "band": 0}, "a", "b"], r"imagery.assets.0.band: .*greater than or equal to 1, not 0$"),
        ([{"band": 1}, "a", "b"], r"imagery.assets.0.asset is missing$"),
    ):
        with pytest.raises(RecipeError, match=told):
            load_recipe(recipe(labelled, place, {"path": "lc.tif"}, assets=assets))


def test_earth_engine_has_no_bands_of_files(labelled):
    path = recipe(labelled, (16.0, 52.0), {"path": "lc.tif"}, source="earthengine", assets=[{"asset": "R"}, "G", "B"])
    path.write_text(path.read_text().replace("  url: items.json\n", ""))
    with pytest.raises(RecipeError, match="has a band of a file in assets, which a source earthengine does not use"):
        load_recipe(path)


# Coarse bands on a fine grid


@pytest.fixture
def sentinel(labelled) -> Path:
    """Bands of 10, 20 and 60 m, as Sentinel-2's are; the coarse ones begin elsewhere on the ten-metre lattice."""
    tif(labelled / "red.tif", noise(3, 300, 300))
    tif(labelled / "nir.tif", noise(4, 300, 300))
    tif(labelled / "swir16.tif", noise(5, 155, 160), 20, (CORNER[0] - 30, CORNER[1] + 10))
    tif(labelled / "coastal.tif", noise(6, 52, 52), 60, (CORNER[0] - 20, CORNER[1] + 50))
    tif(labelled / "off.tif", noise(7, 150, 150), 20, (CORNER[0] + 5, CORNER[1]))
    tif(labelled / "scl.tif", noise(8, 150, 150, dtype="uint8"), 20)
    names = ("red", "nir", "swir16", "coastal", "off", "scl")
    catalogue(labelled, item(labelled / "red.tif", {name: {"href": f"{name}.tif"} for name in names}))
    return labelled


@pytest.mark.parametrize("engine", ENGINES)
def test_coarse_bands_are_repeated_on_the_grid_of_the_finest(sentinel, engine):
    source = nt.StacSource(
        url=str(sentinel / "items.json"),
        collection="c",
        assets=("swir16", "nir", "coastal"),
        engine=engine,
        masks=("scl",),
    )
    place = middle(sentinel / "red.tif")
    cube = nt.open_scene(place, [source], grid_settings=Grid(extent_m=2560), chunks=50)
    grid = cube.odc.geobox
    assert grid.affine.a == 10
    whole = nt.open_cube(grid, [source], chunks=70)
    for name, times in {"swir16": 2, "nir": None, "coastal": 6, "scl": None}.items():
        expected = nearest(sentinel / f"{name}.tif", grid)
        assert np.array_equal(cube[name].values, expected), name
        assert np.array_equal(whole[name].values[0], expected), name
        assert cube[name].attrs.get("repeated") == whole[name].attrs.get("repeated") == times
    # The cube of a tile is the tile of the cube, at odd offsets too.
    part = grid[33:97, 101:160]
    assert np.array_equal(nt.open_scene(part, [source], chunks=13).swir16.values, cube.swir16.values[33:97, 101:160])
    assert not whole.nutonic.scenes.warped.any()
    assert len(nt.search(grid, [source], warp=False).scenes) == 1


def test_a_grid_that_hangs_over_the_edge_of_coarse_bands(sentinel):
    source = nt.StacSource(url=str(sentinel / "items.json"), collection="c", assets=("swir16", "coastal"))
    grid = grid_around(*middle(sentinel / "red.tif"), extent_m=5120)
    ds = nt.open_scene(grid, [source], scenes=[source.search(*np.array([middle(sentinel / "red.tif")]).T, 640)[0]])
    for name in ("swir16", "coastal"):
        assert np.array_equal(ds[name].values, nearest(sentinel / f"{name}.tif", grid))


def test_false_colour_is_built_and_says_what_is_repeated(sentinel):
    recipe(sentinel, middle(sentinel / "red.tif"), {"path": "lc.tif"}, assets=["swir16", "nir", "red"])
    _, sidecar = built(sentinel)
    assert sidecar["imagery"]["repeated"] == {"swir16": 2}
    assert sidecar["grid"]["transform"][0] == 10


def test_a_coarse_band_off_the_lattice_is_refused(sentinel):
    source = nt.StacSource(url=str(sentinel / "items.json"), collection="c", assets=("red", "off"))
    with pytest.raises(OffLattice, match=r"5\.000 m east-west and 0.000 m north-south off the 10 m lattice"):
        nt.open_scene(middle(sentinel / "red.tif"), [source], grid_settings=Grid(extent_m=1280))


def test_a_scene_without_any_band_of_the_grid_is_refused(sentinel):
    source = nt.StacSource(url=str(sentinel / "items.json"), collection="c", assets=("swir16",))
    with pytest.raises(OffLattice, match=r"has pixels of 20 m .*off the 10 m lattice: set grid.lattice to source"):
        nt.open_scene(middle(sentinel / "red.tif"), [source], grid_settings=Grid(extent_m=1280))


@pytest.mark.parametrize("resolution", [5.0, 20.0, 9.5])
def test_a_scene_on_its_own_lattice_has_its_own_pixels_or_is_refused(sentinel, resolution):
    """Coarse bands are repeated on a scene's finest pixels; whoever asks for finer or coarser ones is told."""
    source = nt.StacSource(url=str(sentinel / "items.json"), collection="c", assets=("red", "swir16"))
    told = rf"has pixels of 10 m, .* grid.resolution_m is {resolution:g}: set it to 10, and tiles.output_size"
    with pytest.raises(OffLattice, match=told):
        nt.open_scene(
            middle(sentinel / "red.tif"),
            [source],
            grid_settings=Grid(extent_m=1140, resolution_m=resolution, lattice="source"),
        )


def test_fine_bands_are_never_thinned_out(sentinel):
    source = nt.StacSource(url=str(sentinel / "items.json"), collection="c", assets=("red",))
    grid = grid_around(*middle(sentinel / "red.tif"), extent_m=640, resolution=20)
    with pytest.raises(OffLattice, match="10 × 10 m, the grid's 20 × 20 m"):
        nt.open_scene(grid, [source])


def test_a_scene_without_a_mask_does_not_serve(sentinel):
    bare = item(sentinel / "red.tif", {"red": {"href": "red.tif"}}, name="bare", **{"eo:cloud_cover": 0.0})
    whole = item(sentinel / "red.tif", {key: {"href": f"{key}.tif"} for key in ("red", "scl")}, name="whole")
    source = nt.StacSource(url=catalogue(sentinel, bare, whole), collection="c", assets=("red",), masks=("scl",))
    (ranked,) = source.search(*np.array([middle(sentinel / "red.tif")]).T, 640)
    assert [scene.id for scene in ranked] == ["whole"]
