"""Builds with all that can be asked for: every kind of row, every view, overlays. The same tree however it is made."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from PIL import Image
from support.crashing import points
from support.seals import reseal
from support.spoken import ALL
from support.trees import Clean, clean_tree, same_as, small_planet, tree

from nutonic import load_recipe
from nutonic.dataset.verify import verify
from nutonic.run.run import build
from nutonic.testing import SyntheticPlanet

VIEWS = ("flip", "r90")
FEW = (0, 4, 8, 10, 13)
EVERYTHING = {
    "rows": {**ALL, "captions": ["full", "brief", "zonal"], "prompt": ["date", "season"], "overlays": True,
             "augment": list(VIEWS), "min_region_px": 12, "min_box_px": 3},
    "output": {"files_per_dir": 90, "rows_per_file": 200},
}  # fmt: skip
#: The most overlays of a chip: three captions, grounding, nine classes twice, three of one region.
MOST = 3 + 1 + 2 * 9 + 3


@pytest.fixture(scope="module")
def whole(forks, tmp_path_factory) -> Clean:
    folder = tmp_path_factory.mktemp("everything")
    return clean_tree(small_planet(folder / "planet", FEW, **EVERYTHING), folder / "tree", forks)


def rows_of(out: Path) -> list[dict]:
    return [json.loads(line) for path in sorted((out / "data").iterdir()) for line in path.open(encoding="utf-8")]


def told(row: dict) -> str:
    return row["messages"][1]["content"][0]["text"]


def folder_of(path: str) -> str:
    return path.split("/")[1]


# Overlays


@pytest.mark.long
def test_every_row_that_speaks_of_regions_has_an_overlay_and_no_other(whole):
    rows = rows_of(whole.out)
    boxed = {row["tile_id"] for row in rows if row["task"] == "grounding"}
    by_class = {
        row["id"].replace("class_grounding", "class_caption") for row in rows if row["task"] == "class_grounding"
    }
    wanted = {
        row["id"]
        for row in rows
        if row["task"] in ("grounding", "class_grounding", "referring")
        or (row["task"] == "caption" and row["tile_id"] in boxed)
        or row["id"] in by_class
    }
    assert {"grounding", "class_grounding", "referring", "caption", "class_caption"} <= {row["task"] for row in rows}
    shards = {row["id"]: folder_of(row["messages"][0]["content"][0]["image"]) for row in rows}
    found = {path for path in whole.files if path.startswith("overlays/")}
    assert found == {f"overlays/{shards[name]}/{name}.png" for name in wanted}
    for path in sorted(found)[:20]:
        with Image.open(io.BytesIO(whole.files[path])) as drawn:
            assert drawn.size[0] == 80
            assert drawn.size[1] > 80  # a legend is below


def test_folders_keep_their_limit_and_places_their_folders(whole, tmp_path):
    every = Counter("/".join(path.split("/")[:2]) for path in whole.files if path.count("/") == 2)
    assert max(every.values()) <= 90
    assert len({folder for folder in every if folder.startswith("overlays/")}) > 1
    # 90 // (1 tile × 3 views × 25 overlays) place has a folder, whatever is rejected.
    for path in whole.files:
        if match := re.match(r"(?:images|metadata|overlays)/s(\d+)/poi_(\d+)_", path):
            assert int(match[1]) == int(match[2]) // (90 // (3 * MOST))
    strict = whole.recipe.with_name("strict.yaml")
    values = yaml.safe_load(whole.recipe.read_text(encoding="utf-8"))
    values["tiles"]["min_valid_fraction"] = 0.99
    strict.write_text(yaml.safe_dump(values), encoding="utf-8")
    build(load_recipe(strict), tmp_path / "tree", workers=0)
    fewer = [path for path in tree(tmp_path / "tree") if path.startswith("images/")]
    assert set(fewer) < set(whole.files)


@pytest.mark.long
@pytest.mark.parametrize("damage", ["altered", "of another row", "gone", "added"])
def test_an_overlay_that_is_not_the_rows_is_found_and_made_again(whole, tmp_path, damage):
    out = shutil.copytree(whole.out, tmp_path / "tree")
    first, second = sorted((out / "overlays").rglob("*grounding.png"))[:2]
    if damage == "altered":
        with Image.open(first) as picture:
            picture.load()
            picture.putpixel((40, 40), (1, 2, 3))
        picture.save(first)
    elif damage == "of another row":
        shutil.copy(second, first)
    elif damage == "gone":
        first.unlink()
    else:
        shutil.copy(first, first.with_name(first.name.replace("grounding", "absence")))
    if damage != "added":
        assert verify(out, deep=True).problems != ()
    if damage in ("altered", "of another row"):
        reseal(out)  # even where whoever changed it changed its hash too
        problems = verify(out, deep=True).problems
        assert any("overlay" in problem for problem in problems), problems
    verify(out, deep=True, fix=True)
    build(load_recipe(whole.recipe), out, workers=0)
    if damage == "added":  # nobody says that it is ours: verify tells of it, or it was taken away
        first.with_name(first.name.replace("grounding", "absence")).unlink(missing_ok=True)
    same_as(out, whole)


# Views


def test_every_row_of_every_view_is_true_of_the_turned_mask(whole):
    rows = rows_of(whole.out)
    assert {row["tile_id"].rpartition("_")[2] for row in rows} >= set(VIEWS)
    by_box = [row for row in rows if row["task"] == "grounding"]
    original = {row["tile_id"]: json.loads(told(row)) for row in by_box if row["tile_id"].endswith("_t0000")}
    turns = {
        "flip": lambda x1, y1, x2, y2: (1 - x2, y1, 1 - x1, y2),
        "r90": lambda x1, y1, x2, y2: (y1, 1 - x2, y2, 1 - x1),
    }
    seen = 0
    for row in by_box:
        name, _, view = row["tile_id"].rpartition("_")
        if view in turns:
            boxes = json.loads(told(row))
            assert [box["label"] for box in boxes] == [box["label"] for box in original[name]]
            for box, before in zip(boxes, original[name], strict=True):
                assert box["bbox"] == pytest.approx(turns[view](*before["bbox"]), abs=1e-4)
            seen += 1
    assert seen == 2 * len(original) > 4


# The same bytes


@pytest.mark.long
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_workers_change_no_byte_of_anything(whole, tmp_path, workers):
    assert build(load_recipe(whole.recipe), tmp_path / "tree", workers=workers).complete
    assert tree(tmp_path / "tree") == whole.files


@pytest.mark.long
def test_killed_and_resumed_everything_is_the_same(whole, forks, tmp_path, sample):
    for _, out, ended in forks.each(whole.recipe, tmp_path, sample(points(whole.operations), one_in=200)):
        assert ended.killed, ended.told
        assert build(load_recipe(whole.recipe), out, workers=0).complete
        same_as(out, whole)


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_a_tree_of_more_than_20000_files_keeps_the_limit_of_its_folders(planets, tmp_path):
    parts = {**EVERYTHING, "tiles": {"size": 16, "stride": 16, "output_size": 16}, "output": {"files_per_dir": 9000}}
    path = planets(SyntheticPlanet(3), **parts)
    assert build(load_recipe(path), tmp_path / "tree", workers=2).complete
    files = [p.relative_to(tmp_path / "tree").as_posix() for p in (tmp_path / "tree").rglob("*") if p.is_file()]
    assert len(files) > 20_000
    held = Counter(path.rpartition("/")[0] for path in files)
    assert max(held.values()) <= 9000
    assert verify(tmp_path / "tree", deep=True).problems == ()
