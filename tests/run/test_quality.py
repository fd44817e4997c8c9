"""Quality from pixels: each tile is judged by its scene's own classification, and a place moves on where all are poor."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from pyproj import Transformer
from support import oracle
from support.oracle import Rules
from support.remote import served
from support.skies import CLEAR, CLOUDY, change, classify, clear, overcast, patch
from support.trees import commits, tree
from support.worlds import written

import nutonic as nt
from nutonic.io.objects import Store
from nutonic.planning.plan_file import read_plan
from nutonic.testing import BANDS, SyntheticPlanet

PLANET = SyntheticPlanet(3, shape=(320, 420))
WEST, FULL = PLANET.scene("west"), PLANET.scene("full")
#: A place in `west`, its best scene, and in `full`, the next: four tiles of 64 pixels.
LON, LAT = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform(
    PLANET.origin[0] + 1203.0, PLANET.origin[1] - 1396.0
)
X, Y = oracle.square(LON, LAT, WEST.grid.crs, 1400)
TILES = oracle.tile_positions(140, 140, 64, 66)
PIXELS = 64**2


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two scenes that both cover the one place, unclassified."""
    folder = tmp_path_factory.mktemp("sky")
    written(PLANET, folder, only=("west", "full"))
    (folder / "pois.csv").write_text(f"lon,lat\n{LON!r},{LAT!r}\n", encoding="utf-8")
    return folder


@pytest.fixture
def folder(world, tmp_path):
    """A copy of it to write skies into."""
    return shutil.copytree(world, tmp_path / "world")


def recipe(folder: Path, **parts) -> nt.Recipe:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(PLANET.recipe(**parts), sort_keys=False), encoding="utf-8")
    return nt.load_recipe(path)


def sidecars(out: Path) -> dict[str, dict]:
    found = (json.loads(path.read_bytes()) for path in sorted((out / "metadata").rglob("*.json")))
    return {sidecar["tile_id"][-5:]: sidecar for sidecar in found}


def place_of(out: Path) -> dict:
    (place,) = (place for commit in commits(out) for place in commit["places"])
    return place


def rejects(out: Path) -> dict[str | None, tuple[str, str]]:
    """Reason and detail, by tile."""
    return {
        each["tile_id"] and each["tile_id"][-5:]: (each["reason"], each["detail"]) for each in place_of(out)["rejects"]
    }


def pictures(out: Path) -> dict[str, bytes]:
    return {path.stem[-5:]: path.read_bytes() for path in (out / "images").rglob("*.png")}


def told(shares: dict[str, float]) -> dict[str, float]:
    return {kind: float(shares.get(kind, 0)) for kind in ("cloud", "shadow", "snow", "nodata")}


def over(index: int, rows: slice, cols: slice, value: int = CLOUDY):
    """A class over rows and columns of a tile, in pixels of 20 m that lie under it."""
    _, row, col = TILES[index]
    x, y = X[col : col + 64][cols], Y[row : row + 64][rows]
    return patch(x[0] - 10, y[-1] - 10, x[-1] + 10, y[0] + 10, value)


def test_a_cloud_over_one_tile_rejects_that_tile_and_keeps_the_others(folder, tmp_path):
    """The cloud is an uneven rectangle in the third tile: no turn and no mirror of the picture has it there."""
    sky = over(2, slice(10, 40), slice(30, 56))
    truth = classify(folder, WEST, sky).at(X, Y, WEST.grid.crs)
    found = {i: oracle.quality(truth[r : r + 64, c : c + 64]) for i, r, c in TILES}
    assert [i for i in found if found[i]["cloud"]] == [2]
    wanted = recipe(folder)
    summary = nt.build(wanted, tmp_path / "tree", workers=0)
    assert (summary.tiles, summary.rejects) == (3, {"too cloudy": 1})
    cloud = found[2]["cloud"]
    text = f"{float(cloud):.1%} of the tile is cloud, 10.0% allowed"
    assert rejects(tmp_path / "tree") == {"t0002": ("too cloudy", text)}
    told_of = sidecars(tmp_path / "tree")
    assert sorted(told_of) == ["t0000", "t0001", "t0003"]
    for sidecar in told_of.values():
        assert sidecar["quality"] == told({})
        assert sidecar["imagery"]["place_quality"] == told({"cloud": cloud * PIXELS / 140**2})
        assert (sidecar["imagery"]["item_id"], sidecar["imagery"]["substituted"]) == ("west", None)
        assert sidecar["imagery"]["assets"]["scl"] == "west/scl.tif"
        assert sidecar["imagery"]["offset_applied"] == dict.fromkeys(BANDS, 0)
        assert "repeated" not in sidecar["imagery"]
    assert nt.verify(tmp_path / "tree", deep=True, rebuild=1).problems == ()
    # Pictures are those of a build that looks at no classification.
    blind = recipe(folder, quality={"classes": None})
    nt.build(blind, tmp_path / "blind", workers=0)
    assert len(pictures(tmp_path / "blind")) == 4
    assert pictures(tmp_path / "tree").items() < pictures(tmp_path / "blind").items()
    assert all(sidecar["quality"] is None for sidecar in sidecars(tmp_path / "blind").values())
    assert "scl" not in (tmp_path / "blind" / "_nutonic" / "plan.jsonl").read_text().split('"kind":"scene"', 1)[1]


@pytest.fixture(scope="module")
def cloudy_world(world, tmp_path_factory):
    """The best scene claims that it has no cloud, and is cloudy over the square; the next is clear."""
    folder = shutil.copytree(world, tmp_path_factory.mktemp("cloudy") / "world")
    classify(folder, WEST, patch(X[0] - 200, Y[-1] - 200, X[-1] + 200, Y[0] + 200), pixel=10.0)
    classify(folder, FULL, clear, pixel=10.0)
    change(folder, "west", lambda item: item["properties"].update({"eo:cloud_cover": 0.0}))
    recipe(folder)
    return folder


@pytest.fixture(scope="module")
def passed_over(cloudy_world, tmp_path_factory):
    out = tmp_path_factory.mktemp("passed") / "tree"
    assert nt.build(nt.load_recipe(cloudy_world / "recipe.yaml"), out, workers=0).complete
    return out


def test_a_scene_that_claims_no_cloud_and_is_cloudy_is_passed_over_for_the_next(passed_over, cloudy_world, tmp_path):
    why = "west: 100.0% of the tile is cloud, 10.0% allowed"
    told_of = sidecars(passed_over)
    assert len(told_of) == 4
    for sidecar in told_of.values():
        imagery = sidecar["imagery"]
        assert (imagery["item_id"], imagery["cloud_cover"], imagery["substituted"]) == ("full", 11.5, why)
        assert imagery["assets"] == {name: f"full/{name}.tif" for name in (*BANDS, "scl")}
        assert sidecar["quality"] == imagery["place_quality"] == told({})
    assert place_of(passed_over)["item_id"] == "full"
    assert rejects(passed_over) == {}
    assert nt.verify(passed_over, deep=True, rebuild=1).problems == ()
    # They are the pictures of that scene.
    shutil.copytree(cloudy_world, tmp_path / "world")
    change(tmp_path / "world", "west", lambda item: item["properties"].update({"eo:cloud_cover": 90.0}))
    nt.build(nt.load_recipe(tmp_path / "world" / "recipe.yaml"), tmp_path / "tree", workers=0)
    assert pictures(tmp_path / "tree") == pictures(passed_over)


def test_a_place_that_is_cloudy_in_every_scene_is_rejected_with_every_reason(folder, tmp_path):
    classify(folder, WEST, overcast)
    classify(folder, FULL, lambda x, y: np.full(x.shape, 3, np.uint8))
    summary = nt.build(recipe(folder), tmp_path / "tree", workers=0)
    assert (summary.built, summary.rejects, summary.complete) == (0, {"too cloudy": 1}, True)
    (text,) = (detail for _, detail in rejects(tmp_path / "tree").values())
    assert text == (
        "west: 100.0% of the tile is cloud, 10.0% allowed; full: 100.0% of the tile is shadow of clouds, 20.0% allowed"
    )


_PORT = re.compile(rb"http://127\.0\.0\.1:\d+/")


@pytest.mark.long
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.cluster)])
def test_over_http_the_tree_is_the_same_and_each_block_is_asked_for_once(cloudy_world, passed_over, tmp_path, workers):
    with served(cloudy_world) as (server, remote):
        summary = nt.build(remote, tmp_path / "tree", workers=workers)
        requests = server.requests()
    assert {name: _PORT.sub(b"", data) for name, data in tree(tmp_path / "tree").items()} == tree(passed_over)
    asked = Counter((request.path, request.span) for request in requests)
    assert set(asked.values()) == {1}
    heads = sorted(request.path for request in requests if request.span[0] == 0)
    assert heads == sorted(f"/{scene}/{name}.tif" for scene in ("west", "full") for name in (*BANDS, "scl"))
    blocks = Counter(request.path for request in requests if request.span[0] != 0)
    # A square of 140 pixels touches at most 4 × 4 blocks of 64; the first ones came with the header.
    assert all(1 <= blocks[f"/{scene}/scl.tif"] <= 16 for scene in ("west", "full"))
    assert summary.requests == len(requests)


def test_a_plan_counts_the_classification(cloudy_world, tmp_path):
    """One header and one block more than without, on a planet whose blocks are smaller than the plan takes them for."""
    with served(cloudy_world) as (server, remote):
        judged = nt.plan(remote)
        blind = nt.plan(remote.model_copy(update={"quality": remote.quality.model_copy(update={"classes": None})}))
        assert server.requests() == []
    assert judged.cost.requests == blind.cost.requests + 2
    assert judged.cost.bytes_read > blind.cost.bytes_read
    assert judged.cost.peak_bytes >= blind.cost.peak_bytes + 140**2
    assert judged.header()["judging"] == "cloud is judged tile by tile, by scl"
    assert blind.header()["judging"] == "cloud is judged by the item's figure alone: quality.classes is null"


WHERE = {
    "20 m": {},
    "20 m, off the lattice": {"shift": (7.0, -3.0)},
    "10 m": {"pixel": 10.0},
    "10 m, between the pixels": {"pixel": 10.0, "shift": (4.0, 6.0)},
    "60 m": {"pixel": 60.0, "shift": (20.0, 0.0)},
    "finer than the pictures": {"pixel": 5.0},
    "in the next zone": {"crs": "EPSG:32634"},
}


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("name", WHERE)
def test_classes_are_the_pixels_that_hold_each_centre_wherever_they_lie(folder, tmp_path, name):
    """The sky is noise of all twelve classes, so no turn, no shift and no other sampling counts the same."""

    def noise(x, y):
        u, v = np.floor(x / 31).astype(np.int64), np.floor(y / 23).astype(np.int64)
        return ((u * 7919 + v * 104729 + u * v) % 97 % 12).astype(np.uint8)

    truth = classify(folder, WEST, noise, **WHERE[name]).at(X, Y, WEST.grid.crs)
    wide = {"max_cloud": 1, "max_shadow": 1, "max_snow": 1, "max_nodata": 1}
    nt.build(recipe(folder, quality=wide), tmp_path / "tree", workers=0)
    found = sidecars(tmp_path / "tree")
    for index, row, col in TILES:
        right = oracle.quality(truth[row : row + 64, col : col + 64])
        assert found[f"t{index:04d}"]["quality"] == told(right)
        assert found[f"t{index:04d}"]["imagery"]["place_quality"] == told(oracle.quality(truth))
    assert len({json.dumps(sidecar["quality"]) for sidecar in found.values()}) == 4
    assert nt.verify(tmp_path / "tree", deep=True).problems == ()
    # The same rules, with limits: what is rejected, and for what first.
    strict = {"max_cloud": 0.25, "max_shadow": 0.08, "max_snow": 0.09, "max_nodata": 0.17}
    nt.build(recipe(folder, quality=strict), tmp_path / "strict", workers=0)
    rules = Rules.of(PLANET.recipe(quality=strict))
    poor = {f"t{i:04d}": oracle.poor(oracle.quality(truth[r : r + 64, c : c + 64]), rules) for i, r, c in TILES}
    words = {
        "cloud": "too cloudy",
        "shadow": "in shadow",
        "snow": "under snow",
        "nodata": "too much nodata",
        None: None,
    }
    if all(poor.values()):
        assert place_of(tmp_path / "strict")["item_id"] == "full"
    else:
        reasons = {name: reason for name, (reason, _) in rejects(tmp_path / "strict").items()}
        assert reasons == {name: words[kind] for name, kind in poor.items() if kind}


@pytest.mark.long
def test_a_classification_that_is_gone_is_the_next_scene(cloudy_world, passed_over, tmp_path):
    """It is told where it was passed over, and never built unjudged; one that is no file here may be back."""
    folder = shutil.copytree(cloudy_world, tmp_path / "world")
    (folder / "west" / "scl.tif").unlink()
    local, out = nt.build(nt.load_recipe(folder / "recipe.yaml"), tmp_path / "local", workers=0), tmp_path / "tree"
    assert {(f.reason, f.error) for f in local.failures} == {("file missing", "scl: west/scl.tif does not exist")}
    with served(folder) as (_, remote):
        assert nt.build(remote, out, workers=0).complete
        assert {sidecar["imagery"]["item_id"] for sidecar in sidecars(out).values()} == {"full"}
        (why,) = {sidecar["imagery"]["substituted"] for sidecar in sidecars(out).values()}
        assert re.fullmatch(r"west: scl: http://127\.0\.0\.1:\d+/west/scl\.tif .*404.*", why)
        assert pictures(out) == pictures(passed_over)
        (folder / "full" / "scl.tif").unlink()
        nt.build(remote, tmp_path / "none", workers=0)
    ((name, (reason, text)),) = rejects(tmp_path / "none").items()
    assert (name, reason) == (None, "asset gone")
    assert re.fullmatch(r"west: scl: http://.*404.*; full: scl: http://.*404.*", text)


def test_a_classification_that_is_broken_for_now_leaves_the_place_open(cloudy_world, passed_over, tmp_path):
    folder, out = shutil.copytree(cloudy_world, tmp_path / "world"), tmp_path / "tree"
    path = folder / "west" / "scl.tif"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 4])
    failure = nt.build(nt.load_recipe(folder / "recipe.yaml"), out, workers=0).failures[0]
    assert (failure.asset, failure.reason) == ("west/scl", "read failed")
    path.write_bytes(content)
    assert nt.build(nt.load_recipe(folder / "recipe.yaml"), out, workers=0).complete
    assert tree(out) == tree(passed_over)


def test_a_classification_that_is_none_is_the_next_scene(cloudy_world, tmp_path):
    """Not where its item says, or with values that no byte holds: the labels are not to blame."""
    folder = shutil.copytree(cloudy_world, tmp_path / "world")
    change(folder, "west", lambda item: item["assets"]["scl"].update({"proj:shape": [5, 5]}))
    nt.build(nt.load_recipe(folder / "recipe.yaml"), tmp_path / "tree", workers=0)
    (why,) = {sidecar["imagery"]["substituted"] for sidecar in sidecars(tmp_path / "tree").values()}
    assert why.startswith("west: west/scl.tif is not what its item says")
    assert place_of(tmp_path / "tree")["item_id"] == "full"


def test_an_item_without_a_classification_is_told_and_built_by_its_figure(folder, tmp_path):
    wanted = recipe(folder)
    assert nt.plan(wanted).header()["judging"] == "cloud is judged by the item's figure alone: no scene has scl"
    classify(folder, FULL, overcast)
    judging = (
        "cloud is judged tile by tile, by scl; of 1 of 2 scenes that lacks it by the item's figure alone, such as west"
    )
    assert nt.plan(wanted).header()["judging"] == judging
    nt.build(wanted, tmp_path / "tree", workers=0)
    assert read_plan(Store(tmp_path / "tree")).header["judging"] == judging
    found = sidecars(tmp_path / "tree")
    assert len(found) == 4
    for sidecar in found.values():
        assert sidecar["quality"] is sidecar["imagery"]["place_quality"] is None
        assert sidecar["imagery"]["item_id"] == "west"
    assert nt.verify(tmp_path / "tree", deep=True).problems == ()


def test_it_is_found_by_the_names_of_other_catalogues(folder, tmp_path):
    """Items that were saved from the Planetary Computer or the Copernicus Data Space to a file."""
    for scene, name in ((WEST, "SCL"), (FULL, "SCL_20m")):
        classify(folder, scene, overcast, name=name)
    nt.build(recipe(folder), tmp_path / "tree", workers=0)
    assert rejects(tmp_path / "tree").keys() == {None}
    (text,) = (detail for _, detail in rejects(tmp_path / "tree").values())
    assert "west" in text
    assert "full" in text


def test_classes_of_ones_own(folder, tmp_path):
    """As made of Landsat's QA band: 0 is clear ground, 255 means nodata in the file, and snow is not to be had."""

    def classes(x, y):
        row, col = (Y[0] - y) // 10, (x - X[0]) // 10
        kinds = [(row < 64) & (col < 64), (row < 64) & (col > 66), (row > 66) & (col < 64)]
        half = col.astype(int) % 8 < 3
        return np.select([kinds[0] & half, kinds[1] & half, kinds[2] & half], [7, 9, 255], 0).astype(np.uint8)

    truth = classify(folder, WEST, classes, pixel=10.0, name="qa", nodata=255).at(X, Y, WEST.grid.crs, 255)
    meaning = {"asset": "qa", "cloud": [7, 8], "snow": [9], "nodata": [255]}
    nt.build(recipe(folder, quality={"classes": meaning, "max_snow": 0.1}), tmp_path / "tree", workers=0)
    found = rejects(tmp_path / "tree")
    assert {name: reason for name, (reason, _) in found.items()} == {"t0000": "too cloudy", "t0001": "under snow"}
    right = oracle.quality(truth[66:130, :64], {"cloud": [7, 8], "shadow": [], "snow": [9], "nodata": [255]})
    assert 0.3 < right["nodata"] < 0.4  # allowed, as the planet's recipe takes tiles of which a third is valid
    assert sidecars(tmp_path / "tree")["t0002"]["quality"] == told(right)
    assert sidecars(tmp_path / "tree")["t0003"]["quality"] == told({})
    assert nt.verify(tmp_path / "tree", deep=True).problems == ()


def test_black_corners_are_told_and_no_more_than_a_twentieth_of_a_tile(folder, tmp_path):
    """What scenes lack is nodata by default; labels need a third of a tile as before."""
    for name in BANDS:
        blacken(folder / "west" / f"{name}.tif", 2, slice(0, 3), slice(0, 64))
        blacken(folder / "west" / f"{name}.tif", 1, slice(0, 4), slice(0, 64))
    nt.build(recipe(folder, tiles={"min_valid_fraction": 0.95}), tmp_path / "tree", workers=0)
    assert rejects(tmp_path / "tree") == {
        "t0001": ("too little imagery", "93.8% of its pixels were observed, 95.0% needed")
    }
    assert sidecars(tmp_path / "tree")["t0002"]["valid_fraction"] == 61 / 64
    assert nt.Recipe.model_fields["tiles"].default.min_valid_fraction == 0.95
    assert nt.Recipe.model_fields["tiles"].default.min_label_fraction == 0.35
    labelled = nt.build(recipe(folder, tiles={"min_label_fraction": 1.0}), tmp_path / "labelled", workers=0)
    blind = nt.build(recipe(folder, tiles={"min_label_fraction": 0.0}), tmp_path / "any", workers=0)
    assert (labelled.rejects.get("too few labels", 0), blind.rejects) == (4 - labelled.tiles, {})
    told = {detail for reason, detail in rejects(tmp_path / "labelled").values() if reason == "too few labels"}
    assert told
    assert all(re.fullmatch(r"\d+\.\d% of its pixels have a class, 100\.0% needed", detail) for detail in told)


def blacken(path: Path, index: int, rows: slice, cols: slice) -> None:
    import rasterio

    _, row, col = TILES[index]
    with rasterio.open(path, "r+") as raster:
        top, left = raster.index(X[col], Y[row])
        pixels = raster.read(1)
        pixels[top + rows.start : top + rows.stop, left + cols.start : left + cols.stop] = 0
        raster.write(pixels, 1)


def test_a_cube_is_judged_where_it_has_the_classes(folder):
    """The tiles of a cube that brings them are a build's; of one that does not they are not judged."""
    from nutonic.sources.factory import sources_of
    from nutonic.sources.grids import place_grid

    truth = classify(folder, WEST, over(1, slice(0, 30), slice(0, 64), 11)).at(X, Y, WEST.grid.crs)
    snow = oracle.quality(truth[:64, 66:130])["snow"]
    wanted = recipe(folder, quality={"max_snow": 0.2})
    place = next(nt.plan(wanted).batches()).places[0]
    grid = place_grid(LON, LAT, place.imagery[0], wanted.grid)
    cube = nt.open_scene(grid, sources_of(wanted), scenes=(place.imagery[:1], place.labels), chunks=50)
    assert (cube["scl"].dtype, cube["scl"].attrs["kind"], cube["scl"].chunks) == ("uint8", "class", ((50, 50, 40),) * 2)
    cut = dict(nt.cut_chips(cube, wanted))
    by_index = {tile.index: chip for tile, chip in cut.items()}
    assert (by_index[1].reason, by_index[1].detail) == (
        "under snow",
        f"{float(snow):.1%} of the tile is snow or ice, 20.0% allowed",
    )
    assert [by_index[i].quality.snow for i in (0, 2, 3)] == [0, 0, 0]
    plain = {tile.index: chip for tile, chip in nt.cut_chips(cube.drop_vars("scl"), wanted)}
    assert plain[1].quality is None
    assert all(np.array_equal(plain[i].rgb, by_index[i].rgb) for i in (0, 2, 3))
    with pytest.raises(nt.errors.InputError, match="scl is uint16, chips are cut from uint8"):
        nt.cut_chips(cube.assign(scl=cube["scl"].astype("uint16")), wanted)


def test_a_limit_is_the_number_that_is_written(folder):
    """Of 2,500 pixels 250 are a tenth, and no more; of 4,900 the nearest double of 0.07 would let 343 through or not."""
    from nutonic.chips.quality import quality_of, too_poor
    from nutonic.recipe.outputs import Quality, Tiles

    for size, limit, allowed in ((50, 0.1, 250), (70, 0.07, 343), (100, 0.29, 2900), (64, 0.1, 409)):
        for more in (0, 1):
            classes = np.full(size**2, CLEAR, np.uint8)
            classes[: allowed + more] = 10
            meaning = Quality().classification
            found = too_poor(
                quality_of(classes.reshape(size, size), meaning), Quality(max_cloud=limit), Tiles(size=size)
            )
            assert (found is None) is (more == 0)


@pytest.fixture(scope="module")
def judged(world, tmp_path_factory):
    """A tree of two places under a sky with a little of everything; of the second each tile has some cloud."""
    folder = shutil.copytree(world, tmp_path_factory.mktemp("judged") / "world")
    (folder / "pois.csv").write_text(f"lon,lat\n{LON + 1e-3!r},{LAT!r}\n{LON!r},{LAT!r}\n", encoding="utf-8")
    classify(folder, WEST, lambda x, y: ((x // 20 * 7 + y // 20 * 11) % 41).astype(np.uint8) % 12)
    wide = {"max_cloud": 0.5, "max_shadow": 0.5, "max_nodata": 0.5}
    out = folder.parent / "tree"
    nt.build(recipe(folder, quality=wide), out, workers=0)
    return out


def quality_lie(**shares: float):
    return lambda sidecar: sidecar["quality"].update(shares)


LIES = {
    "missing": lambda sidecar: sidecar.update(quality=None),
    "missing altogether": lambda s: (s.update(quality=None), s["imagery"].update(place_quality=None)),
    "half a pixel": quality_lie(cloud=0.5 / PIXELS),
    "above one": quality_lie(cloud=1.5),
    "more than the recipe allows": quality_lie(cloud=2049 / PIXELS, shadow=0.0, snow=0.0, nodata=0.0),
    "more than there are pixels": quality_lie(cloud=0.5, shadow=0.5, snow=0.5),
    "a kind more": quality_lie(fog=0.0),
    "more than the place has": lambda s: s["imagery"]["place_quality"].update(snow=0.0),
    "another place's": lambda s: s["imagery"]["place_quality"].update(
        cloud=s["imagery"]["place_quality"]["cloud"] + 1 / 140**2
    ),
}


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_quality_is_found(judged, tmp_path, name):
    from support.forging import Forger

    forger = Forger(Path(shutil.copytree(judged, tmp_path / "tree")))
    forger.sidecar(LIES[name])
    problems = nt.verify(forger.out, deep=True).problems
    assert any("quality" in problem for problem in problems), problems


def test_a_lie_that_could_be_is_found_by_the_sources(judged, tmp_path):
    from support.forging import TILE, Forger

    assert nt.verify(judged, deep=True, rebuild=2).problems == ()
    forger = Forger(Path(shutil.copytree(judged, tmp_path / "tree")))
    forger.sidecar(lambda s: s["quality"].update(cloud=s["quality"]["cloud"] + 1 / PIXELS))
    assert nt.verify(forger.out, deep=True).problems == ()
    (problem,) = nt.verify(forger.out, rebuild=2).problems
    assert f"{TILE}.json is not what its sources give" in problem
