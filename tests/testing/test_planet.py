"""The synthetic planet: its files hold exactly its truth, and nothing about it is symmetric."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from support import oracle
from support.planets import covered
from support.worlds import written

from nutonic import load_recipe
from nutonic.testing import BANDS, SyntheticPlanet

#: What each scene's files hold too much.
ADDED = {"cloudy": 1000, "full": 0, "east-applied": 0, "west": 0, "east-raw": 1000, "neighbour": 0}
LABELS_IN = ("degrees", "zone", "shifted")


@pytest.fixture(scope="module")
def planet():
    return SyntheticPlanet(7, neighbour=True)


@pytest.fixture(scope="module")
def folder(planet, tmp_path_factory):
    return written(planet, tmp_path_factory.mktemp("planet")).parent


def windows(planet, side=140):
    """x, y, scene id and EPSG code of the square of every place that has a scene."""
    for lon, lat, scene_id in planet.places:
        if scene_id is not None:
            crs = planet.scene(scene_id).grid.crs
            yield *oracle.square(lon, lat, crs, 10 * side), scene_id, crs


# Files


@pytest.mark.long
def test_files_of_scenes_hold_the_truth(planet, folder):
    assert [scene.id for scene in planet.scenes] == list(ADDED)
    for scene in planet.scenes:
        x, y = scene.grid.centres()
        for band in BANDS:
            with rasterio.open(folder / scene.id / f"{band}.tif") as raster:
                found = raster.read(1)
                assert raster.crs.to_string() == scene.grid.crs
                assert raster.transform == scene.grid.transform
                assert (raster.nodata, raster.dtypes, raster.block_shapes) == (0, ("uint16",), [(256, 256)])
                assert raster.compression.value == "DEFLATE"
            right = planet.reflectance(band, x[None, :], y[:, None], scene.id)
            assert np.array_equal(found == 0, right == 0)
            harmonised = np.where(found == 0, 0, np.maximum(found.astype(int) - ADDED[scene.id], 1))
            assert np.array_equal(harmonised, right)
            assert np.array_equal(found, planet.stored(band, x[None, :], y[:, None], scene.id))


def test_file_coordinates_are_pixel_centres_on_the_lattice(planet, folder):
    for scene in planet.scenes:
        with rasterio.open(folder / scene.id / "red.tif") as raster:
            x, y = scene.grid.centres()
            assert raster.xy(3, 8) == (x[8], y[3])
            assert (x.size, y.size) == (raster.width, raster.height)
        assert x[0] % 10 == y[0] % 10 == 5


def test_the_darkest_pixels_are_stored_below_the_offset(planet, folder):
    with rasterio.open(folder / "east-raw" / "red.tif") as raster:
        found = raster.read(1)
    x, y = planet.scene("east-raw").grid.centres()
    dark = planet.reflectance("red", x[None, :], y[:, None], "east-raw") == 1
    assert dark.sum() > 1000
    assert found[dark].min() < 700
    assert found[dark].max() == 1001


def test_twins_show_the_same(planet):
    x, y = planet.scene("east-raw").grid.centres()
    raw, applied = (planet.rgb(x[100:300], y[200:400], name) for name in ("east-raw", "east-applied"))
    assert np.array_equal(raw, applied)
    other = planet.rgb(x[100:300], y[200:400], "full")
    assert (raw != other).mean() > 0.9


@pytest.mark.parametrize("labels_in", LABELS_IN)
def test_the_label_file_holds_the_truth(labels_in, tmp_path):
    planet = SyntheticPlanet(5, labels_in=labels_in, unknown=255, block=128)
    planet.write(tmp_path, only=[])
    u, v = planet.label_grid.centres()
    with rasterio.open(tmp_path / "land_cover.tif") as raster:
        array = raster.read(1)
        assert (raster.crs.to_string(), raster.transform) == (planet.label_grid.crs, planet.label_grid.transform)
        assert (raster.nodata, raster.dtypes, raster.block_shapes) == (255, ("uint8",), [(128, 128)])
        transform, crs = tuple(raster.transform)[:6], raster.crs.to_string()
    assert np.array_equal(array, planet.land_cover(u[None, :], v[:, None]))
    assert set(np.unique(array)) == {*planet.classes, 255}
    for x, y, _, epsg in windows(planet, side=64):
        expected = oracle.exact_labels(x, y, epsg, crs, transform, array, nodata=255)
        assert np.array_equal(planet.labels_at(x, y, epsg), expected)


def test_where_the_label_lattices_lie():
    a = {name: SyntheticPlanet(labels_in=name).label_grid.transform for name in LABELS_IN}
    assert a["degrees"].a == 1 / 12000
    assert a["degrees"].c * 12000 == pytest.approx(round(a["degrees"].c * 12000), abs=1e-6)
    assert (a["zone"].c % 10, a["zone"].f % 10) == (0, 0)
    assert (a["shifted"].c - a["zone"].c, a["shifted"].f - a["zone"].f) == pytest.approx((3.7, 2.9))


def test_written_twice_it_is_the_same_and_by_another_seed_it_is_not(tmp_path):
    def hashes(root: Path) -> dict[str, str]:
        files = (path for path in sorted(root.rglob("*")) if path.is_file())
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    small = {"shape": (300, 380), "neighbour": True}
    for name, seed in (("first", 7), ("again", 7), ("other", 8)):
        SyntheticPlanet(seed, **small).write(tmp_path / name)
    first, again, other = (hashes(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert first.keys() == other.keys()
    assert {name for name in first if first[name] == other[name]} == {"items.json", "recipe.yaml"}


def test_the_recipe_loads(folder, tmp_path):
    recipe = load_recipe(folder / "recipe.yaml")
    assert Path(recipe.pois.path) == folder / "pois.csv"
    assert recipe.labels.table.labels[6] == "water"
    dynamic_world = SyntheticPlanet(classes={0: "water", 1: "trees", 6: "built"}, unknown=255)
    changed = load_recipe(dynamic_world.write(tmp_path, only=["full"], tiles={"size": 32}, output={"files_per_dir": 9}))
    assert (changed.tiles.size, changed.tiles.output_size, changed.output.files_per_dir) == (32, 40, 9)
    assert (changed.labels.table.unknown, changed.labels.table.labels[0]) == (255, "water")
    assert [item["id"] for item in json.loads((tmp_path / "items.json").read_text())["features"]] == ["full"]


# Scenes and places


def right_scene(items, lon, lat, extent_m):
    """Product.md's rule: whole before in part, then least cloud, newest, id; in part, the largest share."""
    best = []
    for item in items:
        epsg, properties = item["properties"]["proj:epsg"], item["properties"]
        to_zone = Transformer.from_crs(4326, epsg, always_xy=True)
        ring = [to_zone.transform(*corner) for corner in item["geometry"]["coordinates"][0]]
        share = covered(*oracle.square(lon, lat, f"EPSG:{epsg}", extent_m), ring)
        newest = [-ord(letter) for letter in properties["datetime"]]
        if share >= 0.35 and properties["eo:cloud_cover"] <= 20:
            whole = share == 1
            best.append((not whole, 0 if whole else -share, properties["eo:cloud_cover"], newest, item["id"]))
    return min(best)[-1] if best else None


@pytest.mark.long
@pytest.mark.parametrize("neighbour", [False, True])
def test_each_place_has_the_scene_it_says(neighbour, tmp_path):
    written(SyntheticPlanet(neighbour=neighbour), tmp_path)
    items = json.loads((tmp_path / "items.json").read_text(encoding="utf-8"))["features"]  # no seed changes it
    for seed in range(5):
        for lon, lat, scene_id in SyntheticPlanet(seed, neighbour=neighbour).places:
            # None of the squares lies so near to an edge that the margin of a comparison could matter.
            assert [right_scene(items, lon, lat, extent_m) for extent_m in (1360, 1400, 1440)] == [scene_id] * 3


def test_items_say_where_their_files_lie(planet, folder):
    items = {item["id"]: item for item in json.loads((folder / "items.json").read_text())["features"]}
    for scene in planet.scenes:
        properties, assets = items[scene.id]["properties"], items[scene.id]["assets"]
        assert list(assets) == list(BANDS)
        for asset in assets.values():
            with rasterio.open(folder / asset["href"]) as raster:
                assert asset["proj:transform"] == list(raster.transform)[:6]
                assert tuple(asset["proj:shape"]) == raster.shape
                assert properties["proj:epsg"] == raster.crs.to_epsg()
            assert asset["raster:bands"][0]["nodata"] == 0
    flag = "earthsearch:boa_offset_applied"
    said = {name: item["properties"] for name, item in items.items()}
    assert {name: (what.get(flag), what["s2:processing_baseline"]) for name, what in said.items()} == {
        "cloudy": (None, "04.00"), "full": (None, "03.01"), "east-applied": (True, "05.10"),
        "west": (True, "05.10"), "east-raw": (False, "05.10"), "neighbour": (True, "05.10"),
    }  # fmt: skip
    assert len({what["eo:cloud_cover"] for what in said.values()}) == 5
    assert len({what["datetime"] for what in said.values()}) == 6


def test_one_footprint_leaves_its_wedge_out_and_one_does_not(planet):
    share = {}
    for name in ("full", "west", "east-raw"):
        scene = planet.scene(name)
        x, y = scene.grid.centres()
        data = planet.reflectance("red", x[None, :], y[:, None], name) != 0
        share[name] = data.mean(), covered(x, y, scene.footprint())
    assert share["full"] == pytest.approx((1 - 133 / 1200 / 2,) * 2, abs=1e-3)
    assert share["west"] == (pytest.approx(1 - 200 / 910 / 2, abs=1e-3), 1)
    assert share["east-raw"] == (1, 1)


def test_places_lie_on_both_sides_of_a_zone_border(planet):
    assert {int((lon + 180) // 6) + 1 for lon, _, _ in planet.places} == {33, 34}
    assert {planet.scene(name).grid.crs for _, _, name in planet.places if name} == {"EPSG:32633", "EPSG:32634"}


def test_other_zones_have_scenes_and_labels_too():
    planet = SyntheticPlanet(1, zone_epsg=32760, origin=(310_000, 6_200_000), shape=(300, 400), neighbour=True)
    assert planet.scene("neighbour").grid.crs == "EPSG:32701"
    for name in ("full", "neighbour"):
        x, y = planet.scene(name).grid.centres()
        assert (planet.rgb(x, y, name) > 0).mean() > 0.9
        assert (planet.labels_at(x, y, planet.scene(name).grid.crs) != 0).mean() > 0.5


def test_every_kind_of_tile_occurs(planet):
    """Kept, rejected for each reason, with imagery in part, with labels in part."""
    rules = oracle.Rules.of(planet.recipe())
    reasons, kept = set(), []
    for x, y, name, crs in windows(planet):
        answers = oracle.place_answers(planet.rgb(x, y, name), planet.labels_at(x, y, crs), 0, rules)
        reasons |= {answer.rejected for answer in answers}
        kept += [answer for answer in answers if answer.rejected is None]
    assert reasons == {None, oracle.BAD_IMAGERY, oracle.BAD_LABELS, oracle.FLAT}
    assert len(kept) > 30
    assert any(answer.imagery_fraction < 1 for answer in kept)
    assert any(answer.label_fraction < 1 for answer in kept)
    assert all(len(answer.counts) >= 3 and len(answer.regions) >= 3 for answer in kept)


# Windows and symmetry


def test_a_window_is_part_of_the_whole(planet):
    x, y = planet.scene("full").grid.centres()
    whole, part = planet.rgb(x, y, "full"), planet.rgb(x[311:402], y[87:150], "full")
    assert np.array_equal(whole[:, 87:150, 311:402], part)
    assert planet.reflectance("green", x[311], y[87], "full") == part[1, 0, 0]
    labels = planet.labels_at(x[300:420], y[80:160], "EPSG:32633")
    assert np.array_equal(labels[7:70, 11:102], planet.labels_at(x[311:402], y[87:150], "EPSG:32633"))


TURNS = {
    "flip left-right": np.fliplr,
    "flip up-down": np.flipud,
    "transpose": np.transpose,
    "anti-transpose": lambda a: np.rot90(a, 2).T,
    "r90": lambda a: np.rot90(a, 1),
    "r180": lambda a: np.rot90(a, 2),
    "r270": lambda a: np.rot90(a, 3),
}
SHIFTS = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]
NATIVE = oracle.Rules(size=64, output_size=64, min_region_px=12)


def boxes(labels):
    return [(region.class_id, region.bbox, region.area_px) for region in oracle.regions(labels, 0, NATIVE)]


def labelled_windows(planet):
    for x, y, name, crs in windows(planet, side=64):
        if (planet.labels_at(x, y, crs) != 0).mean() > 0.7 and (planet.rgb(x, y, name) != 0).all():
            yield x, y, name, crs


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("labels_in", LABELS_IN)
def test_every_turn_changes_pixels_and_boxes(labels_in):
    planet = SyntheticPlanet(7, labels_in=labels_in)
    for x, y, name, crs in labelled_windows(planet):
        labels, rgb = planet.labels_at(x, y, crs), planet.rgb(x, y, name)
        for turn in TURNS.values():
            assert (turn(labels) != labels).mean() > 0.1
            assert boxes(turn(labels)) != boxes(labels)
            turned = np.stack([turn(band) for band in rgb])
            assert (turned != rgb).any(axis=0).mean() > 0.9


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("labels_in", LABELS_IN)
def test_every_shift_by_a_pixel_changes_pixels_and_boxes(labels_in):
    planet = SyntheticPlanet(7, labels_in=labels_in)
    for x, y, name, crs in labelled_windows(planet):
        labels, rgb = planet.labels_at(x, y, crs), planet.rgb(x, y, name)
        for dx, dy in SHIFTS:
            moved = planet.labels_at(x + 10 * dx, y + 10 * dy, crs)
            assert (moved != labels).mean() > 0.02
            assert boxes(moved) != boxes(labels)
            assert (planet.rgb(x + 10 * dx, y + 10 * dy, name) != rgb).any(axis=0).mean() > 0.9


def test_bands_and_scenes_differ(planet):
    x, y, name, _ = next(windows(planet))
    red, green, blue = planet.rgb(x, y, name)
    assert min((red != green).mean(), (green != blue).mean(), (red != blue).mean()) > 0.9


# What is planted


@pytest.mark.long
def test_patches_that_touch_at_a_corner_are_one_region():
    """14 × 9 and 7 × 7 pixels, corner to corner: one region of 175 pixels in a box of 21 × 16, beside a lone pixel."""
    planet = SyntheticPlanet(7, labels_in="zone")
    u, v = planet.label_grid.centres()
    array = planet.land_cover(u[None, :], v[:, None])
    kind, ground, *_ = planet.classes
    motif = np.full((26, 31), ground)
    motif[3:12, 2:16] = motif[12:19, 16:23] = motif[22, 4] = kind
    found = [
        (row, col)
        for row in range(array.shape[0] - 26)
        for col in np.flatnonzero(array[row + 3, 2:-29] == kind)
        if np.array_equal(array[row : row + 26, col : col + 31], motif)
    ]
    assert len(found) > 10
    assert {((row - found[0][0]) % 71, (col - found[0][1]) % 83) for row, col in found} == {(0, 0)}
    patches = [region for region in oracle.patches(motif, unknown=0) if region.class_id == kind]
    assert [(region.bbox, region.area_px) for region in patches] == [((2, 3, 23, 19), 175), ((4, 22, 5, 23), 1)]


def test_rivers_are_one_pixel_wide_and_connected_by_corners():
    planet = SyntheticPlanet(7, labels_in="zone")
    u, v = planet.label_grid.centres()
    array = planet.land_cover(u[None, :], v[:, None])
    water = list(planet.classes)[-1]
    straight = [k for k in range(-300, 600) if (np.diagonal(array, k)[300:600] == water).all()]
    assert len(straight) >= 4
    assert set(np.diff(straight)) == {211}
    beside = np.diagonal(array, straight[1] + 1)[300:600]
    assert (beside == water).mean() < 0.5
