"""Builds of the synthetic planet: every pixel, number, box, row and reject is the oracle's, however it was run."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import threading
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Geod, Transformer
from support import oracle
from support.groups import brute_groups, standard
from support.oracle import Answer, Rules
from support.planets import covered
from support.reader import Picture, falsehoods
from support.remote import served
from support.trees import commits, tree

import nutonic.run.read
import nutonic.sources.stac.files
from nutonic import load_recipe
from nutonic.dataset.verify import verify
from nutonic.errors import InputError
from nutonic.planning.prepare import prepare
from nutonic.planning.spec import resolve
from nutonic.run.run import build
from nutonic.testing import BANDS, SyntheticPlanet

REASONS = {
    oracle.BAD_IMAGERY: "too little imagery", oracle.BAD_LABELS: "too few labels", oracle.FLAT: "flat imagery"
}  # fmt: skip
SIDECAR = {
    "tile_id", "poi_id", "base_poi_id", "split", "augmentation", "longitude", "latitude", "bbox_wgs84", "grid",
    "window", "imagery", "stretch", "land_cover_label_meta", "class_fractions", "regions", "caption", "valid_fraction",
    "quality", "pixels_sha256", "recipe_digest", "nutonic_version",
}  # fmt: skip


# What a tree should hold, from the planet and the oracle


class Place(NamedTuple):
    id: str
    base_id: str
    ordinal: int
    variant: int
    lon: float
    lat: float
    scene: str | None
    split: str
    answers: tuple[Answer, ...]
    """Of all tile positions, rejected ones too, each kept one followed by its views."""
    substituted: bool
    """Whether the best scene had nothing good."""


class Expected(NamedTuple):
    planet: SyntheticPlanet
    recipe: dict
    rules: Rules
    places: tuple[Place, ...]


@lru_cache
def from_wgs84(crs: str) -> Transformer:
    return Transformer.from_crs("EPSG:4326", crs, always_xy=True)


@lru_cache
def to_wgs84(crs: str) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def points(planet: SyntheticPlanet, jitter: dict):
    """Ordinal, variant, longitude and latitude: a variant's offset is drawn from the seed and its id alone."""
    for ordinal, (lon, lat, _) in enumerate(planet.places):
        yield ordinal, 0, lon, lat
        for variant in range(1, 1 + jitter.get("variants", 0)):
            key = hashlib.sha256(oracle.place_id(ordinal, variant).encode()).digest()
            u, v = np.random.default_rng([jitter.get("seed", 0), *key]).random(2)
            moved = Geod(ellps="WGS84").fwd(lon, lat, 360 * v, jitter.get("max_offset_m", 300) * u**0.5)
            yield ordinal, variant, *moved[:2]


def expected_of(planet: SyntheticPlanet, folder: Path, parts: dict) -> Expected:
    recipe = planet.recipe(**parts)
    rules, extent = Rules.of(recipe), recipe["grid"]["extent_m"]
    items = json.loads((folder / "items.json").read_text(encoding="utf-8"))["features"]
    every = list(points(planet, recipe["pois"].get("jitter", {})))
    found = [ranked(items, lon, lat, extent) for _, _, lon, lat in every]
    zone_of = {item["id"]: f"EPSG:{item['properties']['proj:epsg']}" for item in items}
    own = [standard(lon, lat) for _, _, lon, lat in every]
    zones = [sorted({zone_of[name] for name in some}) or [one] for some, one in zip(found, own, strict=True)]
    groups = brute_groups(*(np.array([p[k] for p in every]) for k in (2, 3)), extent, [p[0] for p in every], zones)
    places = []
    for (ordinal, variant, lon, lat), group, scenes in zip(every, groups, found, strict=True):
        key = min(oracle.place_id(p[0]) for p, g in zip(every, groups, strict=True) if g == group)
        tried = [(scene, tuple(answers_of(planet, recipe, rules, (lon, lat), scene))) for scene in scenes]
        # The best scene that has any good imagery; where none has, the best stands for them all.
        scene, answers = next((found for found in tried if not all_poor(found[1])), tried[0] if tried else (None, ()))
        base, split = oracle.place_id(ordinal), oracle.split_of(key, **recipe["splits"])
        if 2 * groups.count(group) > len(groups):
            split = max(("train", "validation", "test"), key=recipe["splits"].get)
        name = oracle.place_id(ordinal, variant)
        places.append(Place(name, base, ordinal, variant, lon, lat, scene, split, answers, [scene] != scenes[:1]))
    return Expected(planet, recipe, rules, tuple(places))


def ranked(items: list[dict], lon: float, lat: float, extent: int) -> list[str]:
    """The three best scenes: those that cover the square, by cloud, age and id; else by the share they cover."""
    found = []
    for item in items:
        properties = item["properties"]
        to_zone = from_wgs84(f"EPSG:{properties['proj:epsg']}")
        ring = [to_zone.transform(*corner) for corner in item["geometry"]["coordinates"][0]]
        share = covered(*oracle.square(lon, lat, f"EPSG:{properties['proj:epsg']}", extent), ring)
        newest = [-ord(letter) for letter in properties["datetime"]]
        if share >= 0.35 and properties["eo:cloud_cover"] <= 20:
            found.append((share < 1, -share, properties["eo:cloud_cover"], newest, item["id"]))
    best = sorted(found)[:3]
    return [entry[-1] for entry in best if entry[0] == best[0][0]]


def all_poor(answers: tuple[Answer, ...]) -> bool:
    return all(answer.rejected in (oracle.BAD_IMAGERY, oracle.FLAT) for answer in answers)


def answers_of(planet, recipe, rules, lonlat, scene):
    crs = planet.scene(scene).grid.crs
    x, y = oracle.square(*lonlat, crs, recipe["grid"]["extent_m"])
    rgb, labels = planet.rgb(x, y, scene), planet.labels_at(x, y, crs)
    for answer in oracle.place_answers(rgb, labels, planet.unknown, rules):
        yield answer
        if answer.rejected is None:
            for view in recipe["rows"].get("augment", ()):
                yield oracle.view(answer, view)


def kept(place: Place) -> list[tuple[str, Answer]]:
    """Tile id and answer of every chip of a place."""
    return [(oracle.tile_id(place.id, a.index, a.augmentation), a) for a in place.answers if a.rejected is None]


# What it does hold


def rows_of(out: Path, split: str) -> list[dict]:
    return [
        json.loads(line) for path in sorted((out / "data").glob(f"{split}*")) for line in path.open(encoding="utf-8")
    ]


def told(row: dict) -> str:
    return row["messages"][1]["content"][0]["text"]


RECIPES = {
    "labels in degrees": ({"neighbour": True}, {}),
    "labels in the zone": ({"labels_in": "zone"}, {}),
    "labels between the lattice": ({"labels_in": "shifted"}, {"rows": {"max_regions_per_class": 3, "max_classes": 3}}),
    "overlapping tiles": ({"neighbour": True}, {"tiles": {"size": 48, "stride": 31}}),
    "chips larger than tiles": ({"neighbour": True}, {"tiles": {"size": 31, "stride": 50, "output_size": 45}}),
    "stretched by place": ({"neighbour": True}, {"stretch": {"scope": "poi", "low": 0.5, "high": 99.5}}),
    "all views, many folders": (
        {"neighbour": True},
        {
            "rows": {"augment": ["r270", "flip", "r180", "r90"], "min_class_fraction": 0.2},
            "output": {"files_per_dir": 47, "rows_per_file": 50},
        },
    ),
    "jitter": (
        {"neighbour": True},
        {"pois": {"jitter": {"variants": 2, "max_offset_m": 500, "seed": 9}}, "output": {"files_per_dir": 21}},
    ),
    "fewer rows": ({"neighbour": True}, {"rows": {"captions": [], "per_class": False, "min_region_px": 300}}),
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.sampled(one_in=5)) for name in RECIPES],
    ids=lambda name: name.replace(" ", "-").replace(",", ""),
)
def case(request, planets, tmp_path_factory):
    """A built tree, and what it should hold."""
    which, parts = RECIPES[request.param]
    planet = SyntheticPlanet(3, **which)
    path, out = planets(planet, **parts), tmp_path_factory.mktemp("case") / "tree"
    assert build(load_recipe(path), out, workers=0).complete
    return out, expected_of(planet, path.parent, parts)


def folder_of(place: Place, expected: Expected) -> str:
    recipe, side = expected.recipe, expected.recipe["grid"]["extent_m"] // 10
    return oracle.shard(
        place.ordinal,
        variant=place.variant,
        variants=recipe["pois"].get("jitter", {}).get("variants", 0),
        positions=len(oracle.tile_positions(side, side, expected.rules.size, expected.rules.stride)),
        views=1 + len(recipe["rows"].get("augment", ())),
        files_per_dir=recipe.get("output", {}).get("files_per_dir", 8000),
    )


@pytest.mark.long
def test_the_files_are_those_of_the_kept_tiles(case):
    out, expected = case
    names = {f"{folder_of(p, expected)}/{name}" for p in expected.places for name, _ in kept(p)}
    assert len(names) > 30
    data = {name for name in tree(out) if name.startswith("data/")}
    assert set(tree(out)) - data == (
        {f"images/{name}.png" for name in names} | {f"metadata/{name}.json" for name in names} | {"README.md"}
    )
    limit = expected.recipe.get("output", {}).get("files_per_dir", 8000)
    assert max(Counter(name.split("/")[0] for name in names).values()) <= limit
    assert verify(out, deep=True).problems == ()


def test_chips_and_sidecars(case):
    out, expected = case
    planet, classes = expected.planet, expected.planet.classes
    for place in expected.places:
        for name, answer in kept(place):
            at = f"{folder_of(place, expected)}/{name}"
            with Image.open(out / "images" / f"{at}.png") as picture:
                assert picture.mode == "RGB"
                assert np.array_equal(np.asarray(picture), answer.rgb), name
            sidecar = json.loads((out / "metadata" / f"{at}.json").read_bytes())
            assert set(sidecar) == SIDECAR
            assert sidecar["tile_id"] == name
            assert (sidecar["poi_id"], sidecar["base_poi_id"]) == (place.id, place.base_id)
            assert (sidecar["split"], sidecar["augmentation"]) == (place.split, answer.augmentation)
            size = expected.rules.size
            assert sidecar["window"] == {"row": answer.row, "col": answer.col, "height": size, "width": size}
            assert sidecar["pixels_sha256"] == oracle.pixels_sha256(answer.rgb)
            low, high = ([sidecar["stretch"][end][band] for band in BANDS] for end in ("low", "high"))
            assert list(zip(low, high, strict=True)) == list(answer.limits)
            assert sidecar["valid_fraction"] == float(answer.imagery_fraction)
            assert sidecar["quality"] is sidecar["imagery"]["place_quality"] is None  # no scene is classified
            meta, total = sidecar["land_cover_label_meta"], answer.mask.size
            assert meta["classes"] == {str(c): count for c, count in answer.counts.items()}
            assert (meta["dataset"], meta["shape"]) == ("synthetic", list(answer.mask.shape))
            assert meta["valid_fraction"] == sum(answer.counts.values()) / total
            assert meta["cells"] == {str(c): oracle.cells(answer.mask, c) for c in answer.counts}
            pieces = {c: [r.area_px for r in answer.pieces if r.class_id == c] for c in answer.counts}
            assert meta["pieces"] == {str(c): len(areas) for c, areas in pieces.items()}
            least = oracle.smallest_region(expected.rules)
            assert meta["patches"] == {str(c): sum(a >= least for a in areas) for c, areas in pieces.items()}
            assert meta["borders"] == {}  # of no use without questions
            assert sidecar["class_fractions"] == {str(c): s for c, s in oracle.class_fractions(answer.counts).items()}
            assert sidecar["regions"] == [
                {
                    "label": classes[r.class_id],
                    "class_id": r.class_id,
                    "bbox": list(r.bbox),
                    "area_px": r.area_px,
                    "fill": round(float(oracle.fill(r)), 4),
                }
                for r in answer.regions
            ]
            imagery, scene = sidecar["imagery"], planet.scene(place.scene)
            assert (imagery["item_id"], imagery["cloud_cover"]) == (place.scene, scene.cloud_cover)
            assert imagery["datetime"].startswith(scene.day)
            assert imagery["assets"] == {band: f"{place.scene}/{band}.tif" for band in BANDS}
            assert set(imagery["offset_applied"].values()) == {-1000 if place.scene == "east-raw" else 0}
            assert (imagery["substituted"] is not None) == place.substituted


def test_sidecars_say_where_the_tile_lies(case):
    out, expected = case
    extent = expected.recipe["grid"]["extent_m"]
    for place in expected.places:
        for name, answer in kept(place):
            sidecar = json.loads((out / "metadata" / folder_of(place, expected) / f"{name}.json").read_bytes())
            crs = expected.planet.scene(place.scene).grid.crs
            x, y = oracle.square(place.lon, place.lat, crs, extent)
            transform = [10, 0, x[0] - 5, 0, -10, y[0] + 5]
            assert sidecar["grid"] == {"crs": crs, "transform": transform, "shape": [len(y), len(x)]}
            west, north = x[0] - 5 + 10 * answer.col, y[0] + 5 - 10 * answer.row
            side = 10 * expected.rules.size
            lon, lat = to_wgs84(crs).transform(west + side / 2, north - side / 2)
            assert (sidecar["longitude"], sidecar["latitude"]) == pytest.approx((lon, lat), abs=1e-6)
            corners = to_wgs84(crs).transform([west, west + side] * 2, [north, north, north - side, north - side])
            bounds = [f(c) for f in (min, max) for c in corners]
            assert sidecar["bbox_wgs84"] == pytest.approx(bounds, abs=1e-6)


def test_what_is_rejected_and_why(case):
    out, expected = case
    found = {place["poi_id"]: place for commit in commits(out) for place in commit["places"]}
    assert set(found) == {place.id for place in expected.places if place.scene}
    plan = [json.loads(line) for line in (out / "_nutonic" / "plan.jsonl").open(encoding="utf-8")]
    none = {line["poi_id"]: line["reason"] for line in plan if line["kind"] == "reject"}
    assert none == {place.id: "no scene" for place in expected.places if not place.scene}
    for place in (place for place in expected.places if place.scene):
        tiles = {
            oracle.tile_id(place.id, a.index): REASONS[a.rejected] for a in place.answers if a.rejected is not None
        }
        # A place none of whose tiles has good imagery is rejected itself.
        if all_poor(place.answers):
            tiles = {None: REASONS[place.answers[0].rejected]}
        entry = found[place.id]
        assert {reject["tile_id"]: reject["reason"] for reject in entry["rejects"]} == tiles
        assert all(re.search(r"\d", reject["detail"]) for reject in entry["rejects"])
        assert (entry["tiles"], entry["split"]) == (len(kept(place)), place.split)


def expected_rows(expected: Expected, place: Place):
    """Id suffix, task and, of boxes, the text, of each row of each chip of a place, in order."""
    rows, rules, classes = expected.recipe["rows"], expected.rules, expected.planet.classes
    for name, answer in kept(place):
        if rows.get("captions", ["full"]):
            yield name, "caption", "caption", None
        if oracle.boxed(answer, rules):
            yield name, "grounding", "grounding", oracle.grounding_text(answer, classes, rules)
        for c in oracle.row_classes(answer.counts, rules):
            if rows.get("per_class", True):
                yield name, f"class_caption_{c}", "class_caption", None
            if oracle.boxed(answer, rules, c):
                yield name, f"class_grounding_{c}", "class_grounding", oracle.grounding_text(answer, classes, rules, c)


def test_rows(case):
    out, expected = case
    seen: set[str] = set()
    for split in ("train", "validation", "test"):
        places = [place for place in expected.places if place.split == split]
        rows = rows_of(out, split)
        wanted = [(place, *row) for place in places for row in expected_rows(expected, place)]
        # In the order of ordinal, variant, tile, view and row: places come in that order already.
        assert [row["id"] for row in rows] == [f"{name}__{suffix}" for _, name, suffix, _, _ in wanted]
        for row, (place, name, _, task, text) in zip(rows, wanted, strict=True):
            assert set(row) == {"id", "task", "poi_id", "tile_id", "messages"}
            assert (row["task"], row["poi_id"], row["tile_id"]) == (task, place.id, name)
            user, assistant = row["messages"]
            assert (user["role"], assistant["role"]) == ("user", "assistant")
            assert [part["type"] for part in user["content"]] == ["image", "text"]
            assert user["content"][0]["image"] == f"images/{folder_of(place, expected)}/{name}.png"
            assert "satellite image" in user["content"][1]["text"]
            assert [part["type"] for part in assistant["content"]] == ["text"]
            assert text is None or told(row) == text
            if task.endswith("grounding"):
                assert "JSON" in user["content"][1]["text"]
                assert "0-1" in user["content"][1]["text"]
                for x1, y1, x2, y2 in (region["bbox"] for region in json.loads(told(row))):
                    assert 0 <= x1 < x2 <= 1
                    assert 0 <= y1 < y2 <= 1
        assert seen.isdisjoint(row["id"] for row in rows)
        seen |= {row["id"] for row in rows}
    assert len(seen) > 50


def test_files_of_rows_hold_whole_places_up_to_the_number(case):
    out, expected = case
    most = expected.recipe.get("output", {}).get("rows_per_file")
    if most is None:
        assert {path.name for path in (out / "data").iterdir()} <= {
            f"{s}.jsonl" for s in ("train", "validation", "test")
        }
        return
    for split in ("train", "validation", "test"):
        files = sorted((out / "data").glob(f"{split}-*"))
        assert [file.name for file in files] == [
            f"{split}-{i:05d}-of-{len(files):05d}.jsonl" for i in range(len(files))
        ]
        held = [{json.loads(line)["poi_id"] for line in file.open(encoding="utf-8")} for file in files]
        assert sum(map(len, held)) == len(set().union(*held))
        sizes = [len(file.read_bytes().splitlines()) for file in files]
        assert all(size <= most or len(places) == 1 for size, places in zip(sizes, held, strict=True))


# What rows say


def test_what_rows_say_is_true(case):
    out, expected = case
    answers = {name: answer for place in expected.places for name, answer in kept(place)}
    captions = {
        path.stem: json.loads(path.read_bytes())["caption"] for path in sorted((out / "metadata").rglob("*.json"))
    }
    rows = [row for split in ("train", "validation", "test") for row in rows_of(out, split)]
    assert all(captions[row["tile_id"]] == told(row) for row in rows if row["task"] == "caption")
    assert bool([row for row in rows if row["task"] == "class_caption"]) == expected.recipe["rows"].get(
        "per_class", True
    )
    pictures = {
        name: Picture(
            mask=answer.mask,
            labels=expected.planet.classes,
            names=expected.planet.classes,
            side_m=10.0 * expected.rules.size,
            min_area=oracle.smallest_region(expected.rules),
            rules=expected.rules,
        )
        for name, answer in answers.items()
    }
    for row in rows:
        assert falsehoods(row, pictures[row["tile_id"]]) == [], row


# The same bytes however it is run


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_byte(few, tmp_path, workers):
    assert build(few.recipe, tmp_path / "out", workers=workers).built == few.summary.built
    assert tree(tmp_path / "out") == tree(few.out)


@pytest.mark.long
def test_two_halves_make_the_same_tree(built, tmp_path):
    first = build(built.recipe, tmp_path / "tree", workers=0, limit=5)
    assert (first.wanted, first.limit, first.complete) == (5, 5, True)
    second = build(built.recipe, tmp_path / "tree", workers=0)
    assert (second.done_before, second.wanted) == (5, 13)
    assert first.tiles + second.tiles == built.summary.tiles
    assert tree(tmp_path / "tree") == tree(built.out)


def test_a_limit_builds_a_prefix(built, tmp_path):
    out, whole = tmp_path / "tree", tree(built.out)
    build(built.recipe, out, workers=0, limit=6)
    part = tree(out)
    names = [name for name in part if name.startswith(("images/", "metadata/"))]
    assert {name: part[name] for name in names} == {
        name: data for name, data in whole.items() if (match := re.search(r"poi_(\d+)_t", name)) and int(match[1]) < 6
    }
    assert len(names) > 30
    for name in ("data/train.jsonl", "data/validation.jsonl", "data/test.jsonl"):
        assert whole.get(name, b"").startswith(part.get(name, b""))


@pytest.mark.parametrize("limit", [13, 14, 10**23])
def test_a_limit_of_as_many_places_as_there_are_is_none(built, tmp_path, limit):
    summary = build(built.recipe, tmp_path / "tree", workers=0, limit=limit)
    assert (summary.wanted, summary.limit, summary.complete) == (13, None, True)
    assert tree(tmp_path / "tree") == tree(built.out)


@pytest.mark.parametrize("limit", [0, -1, 2.5, "3"])
def test_what_is_no_limit_is_refused(built, tmp_path, limit):
    with pytest.raises(InputError, match=f"limit is {limit!r}: give a number from 1"):
        build(built.recipe, tmp_path / "tree", workers=0, limit=limit)
    assert not (tmp_path / "tree").exists()


def test_variants_belong_to_their_place_within_a_limit(planets, tmp_path):
    path = planets(SyntheticPlanet(3, neighbour=True), pois={"jitter": {"variants": 2}})
    build(load_recipe(path), tmp_path / "tree", workers=0, limit=2)
    names = {name.split("/")[-1].rsplit("_t", 1)[0] for name in tree(tmp_path / "tree") if name.startswith("images/")}
    assert names == {f"poi_{i:06d}{suffix}" for i in (0, 1) for suffix in ("", "_g001", "_g002")}


def times(out: Path) -> dict[str, tuple[int, int]]:
    return {str(p.relative_to(out)): (p.stat().st_mtime_ns, p.stat().st_ino) for p in out.rglob("*") if p.is_file()}


@pytest.mark.parametrize("limit", [None, 3])
def test_a_second_build_does_nothing(built, tmp_path, limit):
    out = shutil.copytree(built.out, tmp_path / "tree")
    before = times(out)
    summary = build(built.recipe, out, workers=0, limit=limit)
    assert times(out) == before
    assert (summary.built, summary.tiles, summary.rows, summary.bytes_written) == (0, 0, 0, 0)
    assert summary.done_before == summary.wanted == (limit or 13)


def test_a_place_that_was_rejected_is_not_tried_again(built, tmp_path):
    # The third place's only usable scene holds nothing but a constant: rejected, and a second build leaves it at that.
    folder = shutil.copytree(built.recipe_path.parent, tmp_path / "planet")
    for scene in built.planet.scenes:
        for band in BANDS:
            with rasterio.open(folder / scene.id / f"{band}.tif", "r+") as raster:
                raster.write(np.full(raster.shape, 1500, np.uint16), 1)
    recipe = load_recipe(folder / "recipe.yaml")
    first = build(recipe, tmp_path / "tree", workers=0, limit=3)
    assert (first.built, first.rejects["flat imagery"], first.complete) == (0, 3, True)
    before = times(tmp_path / "tree")
    assert build(recipe, tmp_path / "tree", workers=0, limit=3).done_before == 3
    assert times(tmp_path / "tree") == before


# Killed between one file and the next: states that a kill -9 leaves, made by hand


def test_killed_after_the_last_commit_a_build_still_finishes(built, tmp_path):
    """A first run, with a limit, came to its end; a second committed all and was killed before it wrote data/."""
    out = tmp_path / "tree"
    build(built.recipe, out, workers=0, limit=5)
    old = shutil.copytree(out, tmp_path / "old")
    build(built.recipe, out, workers=0)
    for path in (out / "data").iterdir():
        path.unlink()
    for name in ("data", "README.md", "_nutonic/summary.json"):
        if (old / name).is_dir():
            shutil.copytree(old / name, out / name, dirs_exist_ok=True)
        else:
            shutil.copy(old / name, out / name)
    build(built.recipe, out, workers=0)
    assert tree(out) == tree(built.out)
    assert verify(out, deep=True).problems == ()


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("limit", [None, 13, 7])
def test_temporary_files_of_a_killed_writer_are_removed(built, tmp_path, limit):
    out = tmp_path / "tree"
    build(built.recipe, out, workers=0, limit=5)
    left = [
        out / f"{name}#1"
        for name in (
            "images/s00000/poi_000001_t0001.png", "metadata/s00000/poi_000006_t0001.json", "data/train.jsonl",
            "README.md", "_nutonic/plan.jsonl", "_nutonic/summary.json", "_nutonic/commits/000001.json",
            "_nutonic/parts/000001.jsonl.gz",
        )
    ]  # fmt: skip
    for path in left:
        path.write_bytes(b"half a fi")
    build(built.recipe, out, workers=0, limit=limit)
    assert [path.name for path in left if path.exists()] == []
    assert verify(out, deep=True).problems == ()


@pytest.mark.timeout(90)  # it waits on a pipe
def test_a_second_driver_that_plans_late_leaves_the_first_ones_work_alone(built, tmp_path, monkeypatch):
    """Two builds start on one empty folder. The second gets to read its catalogue when the first is done."""
    catalogue = Path(built.recipe.imagery.url)
    for path in catalogue.parent.iterdir():
        if path.is_dir():
            (tmp_path / path.name).symlink_to(path)
    late, out, ended = tmp_path / "items.json", tmp_path / "tree", []
    late.write_bytes(catalogue.read_bytes())
    begun, may_go_on, read = threading.Event(), threading.Event(), nutonic.sources.stac.files.read_regular

    def waiting(path, most):
        if path == late:
            begun.set()  # it has seen that there is no plan
            assert may_go_on.wait(60)
        return read(path, most)

    monkeypatch.setattr(nutonic.sources.stac.files, "read_regular", waiting)
    imagery = built.recipe.imagery.model_copy(update={"url": str(late)})
    recipe = built.recipe.model_copy(update={"imagery": imagery})
    second = threading.Thread(target=lambda: ended.append(build(recipe, out, workers=0)), daemon=True)
    second.start()
    assert begun.wait(60)
    build(built.recipe, out, workers=0)
    before = times(out)
    may_go_on.set()
    second.join(60)
    assert [summary.finished for summary in ended] == [0]
    assert times(out) == before
    assert tree(out) == tree(built.out)


# Pixels come from open_scene


def broken(change):
    true = nutonic.run.read.open_scene

    def open_scene(*args, **kwargs):
        return change(true(*args, **kwargs))

    return open_scene


CHANGES = {
    "rolled": lambda cube: cube.assign(red=cube.red.roll(x=1)),
    "negated": lambda cube: cube.assign(green=(4000 - cube.green.astype("int32")).clip(1, 65535).astype("uint16")),
    "other labels": lambda cube: cube.assign(label=cube.label * 0 + 2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_open_cube_gives_is_what_is_built(built, tmp_path, monkeypatch, name):
    monkeypatch.setattr(nutonic.run.read, "open_scene", broken(CHANGES[name]))
    build(built.recipe, tmp_path / "tree", workers=0, limit=4)
    found, right = tree(tmp_path / "tree"), tree(built.out)
    which = "metadata/" if name == "other labels" else "images/"
    files = [file for file in found if file.startswith(which)]
    assert len(files) > 10
    assert [file for file in files if found[file] == right[file]] == []


@pytest.mark.long
def test_without_open_cube_every_place_fails(built, tmp_path, monkeypatch):
    def no_cube(*args, **kwargs):
        raise OSError("the cube is broken")

    monkeypatch.setattr(nutonic.run.read, "open_scene", no_cube)
    summary = build(built.recipe, tmp_path / "tree", workers=0)
    assert len(summary.failures) == summary.wanted == 13
    assert all("the cube is broken" in failure.error for failure in summary.failures)
    assert (summary.built, summary.complete, commits_in(tmp_path / "tree")) == (0, False, 0)
    monkeypatch.undo()
    assert build(built.recipe, tmp_path / "tree", workers=0).complete
    assert tree(tmp_path / "tree") == tree(built.out)


def commits_in(out: Path) -> int:
    return len(list((out / "_nutonic").glob("commits/*")))


# Which scene


def test_of_scenes_that_cover_the_same_share_the_clearer_is_taken(planets, tmp_path):
    """Two scenes end on the same line; rounded footprints make their shares differ in the ninth digit."""
    planet = SyntheticPlanet(3, neighbour=True)
    folder = shutil.copytree(planets(planet).parent, tmp_path / "planet")
    south = planet.scene("full").footprint()[:, 1].min()
    x = planet.scene("east-raw").footprint()[:, 0].mean()
    for north in (300, 480):
        lon, lat = to_wgs84("EPSG:32633").transform(x, south + north)
        (folder / "pois.csv").write_text(f"lon,lat\n{lon},{lat}\n", encoding="utf-8")
        build(load_recipe(folder / "recipe.yaml"), tmp_path / str(north), workers=0)
        (place,) = (p for commit in commits(tmp_path / str(north)) for p in commit["places"])
        assert place["item_id"] == "east-raw"


# Files that are gone, and files that are broken


@pytest.fixture
def mine(built, tmp_path):
    """A planet of one's own to break; its recipe."""
    folder = shutil.copytree(built.recipe_path.parent, tmp_path / "planet")
    return folder, load_recipe(folder / "recipe.yaml")


def sidecars(out: Path) -> dict[str, dict]:
    found = (json.loads(path.read_bytes()) for path in sorted((out / "metadata").rglob("*.json")))
    return {sidecar["tile_id"]: sidecar for sidecar in found}


@pytest.mark.sampled(one_in=2, among="files that cannot be read")
def test_a_local_file_that_is_missing_stays_open_and_changes_no_scene(mine, built, tmp_path):
    """Its disk may be mounted the next time; whether it is there must not decide what is in a dataset."""
    folder, recipe = mine
    path, out = folder / "east-raw" / "green.tif", tmp_path / "tree"
    content = path.read_bytes()
    path.unlink()
    summary = build(recipe, out, workers=0)
    of_scene = {s["poi_id"] for s in sidecars(built.out).values() if s["imagery"]["item_id"] == "east-raw"}
    assert len(of_scene) > 2
    assert {failure.poi_id for failure in summary.failures} == of_scene
    assert {(failure.asset, failure.reason) for failure in summary.failures} == {("east-raw/green", "file missing")}
    assert summary.still_open == len(of_scene)
    assert str(folder).encode() not in b"".join(tree(out).values())
    path.write_bytes(content)
    assert build(recipe, out, workers=0).complete
    assert tree(out) == tree(built.out)


@pytest.mark.long
def test_a_file_that_a_server_no_longer_has_is_the_next_scene(mine, built, tmp_path):
    """And where no scene is left, the place is rejected, with what was wrong with each."""
    folder, _ = mine
    for lost in ("east-raw/green", "west/red", "full/red"):
        (folder / f"{lost}.tif").unlink()
    with served(folder) as (_, recipe):
        summary = build(recipe, tmp_path / "tree", workers=0)
    assert summary.complete
    found, right = sidecars(tmp_path / "tree"), sidecars(built.out)
    moved = {name for name, sidecar in right.items() if sidecar["imagery"]["item_id"] == "east-raw"}
    assert len(moved) > 8
    for name, sidecar in found.items():
        imagery = sidecar["imagery"]
        if name in moved:
            # Its twin shows the same pixels, stored with another offset.
            assert imagery["item_id"] == "east-applied"
            assert re.fullmatch(r"east-raw: green: http://127\.0\.0\.1:\d+/.*404.*", imagery["substituted"])
            assert imagery["offset_applied"] == dict.fromkeys(BANDS, 0)
        else:
            assert imagery["substituted"] is None
        assert sidecar["pixels_sha256"] == right[name]["pixels_sha256"]
    rejects = {p["poi_id"]: p["rejects"] for commit in commits(tmp_path / "tree") for p in commit["places"]}
    (reject,) = rejects["poi_000000"]
    assert (reject["tile_id"], reject["reason"]) == (None, "asset gone")
    assert "west: red:" in reject["detail"]
    assert "full: red:" in reject["detail"]


def truncate(path: Path) -> bytes:
    """Cut off the second half: the header still reads, blocks further down do not."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return content


@pytest.mark.sampled(one_in=2, among="files that cannot be read")
def test_a_truncated_file_fails_for_now_and_never_changes_the_scene(mine, built, tmp_path):
    folder, recipe = mine
    content, out = truncate(folder / "west" / "blue.tif"), tmp_path / "tree"
    summary = build(recipe, out, workers=0)
    failed = {failure.poi_id for failure in summary.failures}
    assert not summary.complete
    assert failed
    assert {(failure.asset, failure.reason) for failure in summary.failures} == {("west/blue", "read failed")}
    # Nothing of a failed place is committed or left lying about; all others are there, those of its batch too.
    done = {place["poi_id"] for commit in commits(out) for place in commit["places"]}
    assert done == {f"poi_{i:06d}" for i in range(13)} - failed
    west = {s["poi_id"] for s in sidecars(built.out).values() if s["imagery"]["item_id"] == "west"}
    assert failed < west
    half = tree(out)
    assert [name for name in half for poi_id in failed if poi_id in name] == []
    assert [
        row["poi_id"] for s in ("train", "validation", "test") for row in rows_of(out, s) if row["poi_id"] in failed
    ] == []
    assert not verify(out).whole
    (folder / "west" / "blue.tif").write_bytes(content)
    again = build(recipe, out, workers=0)
    assert again.complete
    assert (again.done_before, again.finished) == (13 - len(failed), len(failed))
    assert tree(out) == tree(built.out)
    assert verify(out, deep=True).problems == ()


@pytest.mark.sampled(one_in=2, among="files that cannot be read")
def test_a_truncated_label_file_fails_for_now(mine, built, tmp_path):
    folder, recipe = mine
    content, out = truncate(folder / "land_cover.tif"), tmp_path / "tree"
    summary = build(recipe, out, workers=0)
    assert not summary.complete
    (folder / "land_cover.tif").write_bytes(content)
    assert build(recipe, out, workers=0).complete
    assert tree(out) == tree(built.out)


def relabelled(folder: Path, change) -> None:
    with rasterio.open(folder / "land_cover.tif", "r+") as raster:
        raster.write(change(raster.read(1)), 1)


def test_a_label_that_no_class_table_lists_rejects_the_place(mine, tmp_path):
    folder, recipe = mine
    relabelled(folder, lambda labels: np.where(labels == 3, 77, labels).astype(np.uint8))
    summary = build(recipe, tmp_path / "tree", workers=0, limit=4)
    assert (summary.built, summary.complete) == (0, True)
    rejects = [r for commit in commits(tmp_path / "tree") for p in commit["places"] for r in p["rejects"]]
    assert len(rejects) == 4
    assert all("77" in reject["detail"] and "synthetic" in reject["detail"] for reject in rejects)
    assert tree(tmp_path / "tree").keys() == {
        "README.md",
        *(n for n in tree(tmp_path / "tree") if n.startswith("data/")),
    }


@pytest.mark.long
def test_a_tile_whose_mask_meets_no_label_is_rejected(planets, tmp_path):
    """Half of the native pixels are labelled, every other row; the mask samples the rows between."""
    planet = SyntheticPlanet(3, labels_in="zone")
    source = planets(planet, tiles={"size": 64, "stride": 64, "output_size": 32})
    folder = shutil.copytree(source.parent, tmp_path / "planet")
    lon, lat, scene = planet.places[0]
    _, y = oracle.square(lon, lat, planet.scene(scene).grid.crs, 1400)
    odd = int((planet.label_grid.transform.f - (y[0] - 10)) // 10) % 2  # the parity of rows 1, 3, 5 … of the square

    def striped(labels):
        labels[odd::2] = planet.unknown
        return labels

    relabelled(folder, striped)
    summary = build(load_recipe(folder / source.name), tmp_path / "tree", workers=0, limit=1)
    assert summary.complete
    (place,) = (p for commit in commits(tmp_path / "tree") for p in commit["places"])
    assert [reject["reason"] for reject in place["rejects"]] == ["too few labels"] * 4


def test_pictures_are_plain_png(built):
    """No text, no time, no palette: the chunks a picture needs and nothing else."""
    for name, data in tree(built.out).items():
        if name.endswith(".png"):
            with Image.open(io.BytesIO(data)) as picture:
                picture.load()
                assert (picture.format, picture.mode, picture.info) == ("PNG", "RGB", {})


@pytest.mark.sampled(one_in=2, among="files that cannot be read")
def test_labels_that_are_gone_stay_open_and_change_no_scene(built, tmp_path):
    out, labels = tmp_path / "tree", Path(built.recipe.labels.path)
    away = labels.with_suffix(".away")
    prepare(resolve(built.recipe), out, workers=0)
    labels.rename(away)
    try:
        summary = build(built.recipe, out, workers=0)
    finally:
        away.rename(labels)
    assert len(summary.failures) > 5
    assert all("does not exist" in failure.error and str(tmp_path) not in failure.error for failure in summary.failures)
    assert build(built.recipe, out, workers=0).complete
    assert tree(out) == tree(built.out)
