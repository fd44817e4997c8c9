"""Files of ``data/`` that were made of the same stay as they are; the others are written anew, with the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.trees import tree

import nutonic as nt
from nutonic import load_recipe
from nutonic.testing import SyntheticPlanet


def inodes(out: Path) -> dict[str, tuple[int, int]]:
    """What each file of ``data/`` is: one that is written anew is another one."""
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in (out / "data").iterdir()}


def rewritten(before: dict, out: Path) -> set[str]:
    return {name for name, which in inodes(out).items() if before.get(name) != which}


def holding(out: Path) -> dict[str, str]:
    """The file that each place's rows are in."""
    held = {}
    for file in sorted((out / "data").iterdir()):
        held |= {json.loads(line)["poi_id"]: file.name for line in file.open(encoding="utf-8")}
    return held


@pytest.fixture(scope="module")
def clean(planets, tmp_path_factory):
    recipe = load_recipe(planets(SyntheticPlanet(), output={"rows_per_file": 150}))
    out = tmp_path_factory.mktemp("partitions") / "tree"
    assert nt.build(recipe, out, workers=0).complete
    return recipe, out


@pytest.mark.long
def test_a_place_that_is_made_again_as_it_was_leaves_what_it_did_not_touch(clean, tmp_path):
    """Once a place is damaged, its file and those behind it change; made again, they are what they were, and no other is."""
    recipe, kept = clean
    out = tmp_path / "tree"
    assert nt.build(recipe, out, workers=0).complete
    assert tree(out) == tree(kept)
    where = holding(out)
    poi = next(name for name, file in where.items() if file == "train-00001-of-00003.jsonl")
    before = inodes(out)
    next((out / "images").rglob(f"{poi}_t*.png")).write_bytes(b"damaged")
    assert nt.verify(out, fix=True).open == 1
    gone = {"train-00001-of-00003.jsonl", "train-00002-of-00003.jsonl"}
    assert set(before) - set(inodes(out)) == gone
    assert nt.build(recipe, out, workers=0).finished == 1
    assert rewritten(before, out) == gone
    assert tree(out) == tree(kept)
    assert nt.verify(out, deep=True).problems == ()


def test_a_place_more_touches_the_file_of_its_split_alone(planets, tmp_path):
    recipe, out = load_recipe(planets(SyntheticPlanet())), tmp_path / "tree"
    nt.build(recipe, out, workers=0, limit=7)
    assert {file.name for file in (out / "data").iterdir()} >= {"train.jsonl", "validation.jsonl"}
    for limit in (8, 9):
        before, places = inodes(out), holding(out)
        assert nt.build(recipe, out, workers=0, limit=limit).complete
        new = holding(out).keys() - places.keys()
        assert rewritten(before, out) == {holding(out)[name] for name in new}


def test_a_file_of_another_size_or_one_that_is_gone_is_written_anew(clean, tmp_path):
    recipe, kept = clean
    out = tmp_path / "tree"
    assert nt.build(recipe, out, workers=0).complete
    before, (first, second, *_) = inodes(out), sorted((out / "data").iterdir())
    first.unlink()
    with second.open("ab") as file:
        file.write(b"{}\n")
    assert nt.build(recipe, out, workers=0).finished == 0
    assert rewritten(before, out) == {first.name, second.name}
    assert tree(out) == tree(kept)


def test_what_tells_of_another_part_is_written_anew(clean, tmp_path):
    """A file is kept by the hashes of the parts that it was made of, not by its size."""
    recipe, kept = clean
    out = tmp_path / "tree"
    assert nt.build(recipe, out, workers=0).complete
    summary = json.loads((out / "_nutonic/summary.json").read_bytes())
    assert summary["made_of"].keys() == summary["data"].keys() == {f"data/{name}" for name in inodes(out)}
    again = json.loads((kept / "_nutonic/summary.json").read_bytes())
    assert summary["made_of"] == again["made_of"]
    assert len(set(summary["made_of"].values())) == len(summary["made_of"])
