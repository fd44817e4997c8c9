"""Damage of one kind keeps no other from being told: links in the way, a damaged plan, a commit that cannot be read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.aerial import Flown, catalogue, recipe
from support.cli import nutonic
from support.maps import write_pbf

import nutonic as nt
from nutonic.dataset.verify import verify

COMMITS, PLAN = Path("_nutonic/commits"), Path("_nutonic/plan.jsonl")


@pytest.fixture
def copy(clean, tmp_path):
    return Path(shutil.copytree(clean.out, tmp_path / "out"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def pictures(out: Path) -> list[Path]:
    return sorted((out / "images").rglob("*.png"))


def linked(out: Path, path: Path) -> str:
    """Put a link in the place of a file or a folder; its path in the tree."""
    away = out.parent / "elsewhere" / path.name
    away.parent.mkdir(exist_ok=True)
    path.rename(away)
    path.symlink_to(away)
    return path.relative_to(out).as_posix()


def about(problems: tuple[str, ...], path: str) -> list[str]:
    return [problem for problem in problems if path in problem]


BLOCKED: dict[str, Callable[[Path], Path]] = {
    "a picture": lambda out: pictures(out)[0],
    "a folder of pictures": lambda out: pictures(out)[0].parent,
    "all pictures": lambda out: out / "images",
    "rows": lambda out: out / "data/train.jsonl",
    "a commit": lambda out: sorted((out / COMMITS).glob("*.json"))[0],
    "all commits": lambda out: out / COMMITS,
    "the card": lambda out: out / "README.md",
    "the summary": lambda out: out / "_nutonic/summary.json",
}


@pytest.mark.parametrize("deep", [False, True], ids=["quick", "deep"])
@pytest.mark.parametrize("what", BLOCKED)
def test_beside_a_link_all_else_is_told(copy, what, deep):
    path = linked(copy, BLOCKED[what](copy))
    problems = verify(copy, deep=deep).problems
    assert len(problems) == 1, problems
    assert f"{copy / path} is a link to a " in problems[0]
    sidecars = sorted((copy / "metadata").rglob("*.json"))
    sidecars[0].unlink()
    flip(sidecars[-1])
    (copy / "mine.txt").write_text("mine")
    found = verify(copy, deep=deep)
    assert found.looked
    assert about(found.problems, f"{copy / path} is a link")
    assert about(found.problems, "mine.txt belongs to no commit")
    if "commit" not in what:
        assert about(found.problems, f"{sidecars[0].relative_to(copy)} is missing")
        assert bool(about(found.problems, f"{sidecars[-1].relative_to(copy)} is not what was written")) is deep
    said = nutonic("verify", copy, *(["--deep"] if deep else []))
    assert said.code == 1
    assert "mine.txt" in said.out


@pytest.mark.parametrize("damage", ["cut off", "a batch", "sealed anew"])
def test_beside_a_damaged_plan_what_commits_name_is_told(copy, damage):
    plan = copy / PLAN
    data = plan.read_bytes()
    if damage == "cut off":
        plan.write_bytes(data[:-40])
    elif damage == "a batch":
        at = data.index(b'"ordinal"')
        plan.write_bytes(data[:at] + data[at : at + 40].replace(b"0", b"1", 1) + data[at + 40 :])
    else:
        plan.write_bytes(b"{}\n" * 3)
    first, second, third = pictures(copy)[:3]
    first.unlink()
    flip(second)
    third.unlink()
    os.mkfifo(third)
    commit = sorted((copy / COMMITS).glob("*.json"))[-1]
    quick, deep = verify(copy), verify(copy, deep=True)
    for found in (quick, deep):
        assert not found.looked
        assert "--replan" in found.problems[0]
        assert about(found.problems, f"{first.relative_to(copy)} is missing")
        assert about(found.problems, str(third.relative_to(copy)))
    assert not about(quick.problems, str(second.relative_to(copy)))
    assert about(deep.problems, f"{second.relative_to(copy)} is not what was written: its SHA-256 differs")
    flip(commit)
    assert about(verify(copy).problems, f"{commit.relative_to(copy)} is not what was written")
    fixed = verify(copy, deep=True, fix=True)
    assert fixed.removed == ()


def test_a_plan_alone_that_is_damaged_is_the_only_problem(copy):
    (copy / PLAN).write_bytes((copy / PLAN).read_bytes()[:-40])
    assert len(verify(copy, deep=True).problems) == 1


def test_beside_a_commit_that_cannot_be_read_all_else_is_told(clean, copy):
    commits = sorted((copy / COMMITS).glob("*.json"))
    flip(commits[0])
    alone = verify(copy, deep=True)
    assert len(alone.problems) == 1, alone.problems
    assert any("not judged, since a commit cannot be read" in note for note in alone.notes)
    kept = json.loads(commits[-1].read_bytes())["places"]
    path = next(path for place in kept for path in place["files"])
    (copy / path).unlink()
    (copy / "mine.txt").write_text("mine")
    found = verify(copy, deep=True)
    assert about(found.problems, f"{path} is missing")
    assert about(found.problems, "mine.txt belongs to no commit")
    assert about(found.problems, commits[0].name)
    (copy / "mine.txt").unlink()
    verify(copy, deep=True, fix=True)
    nt.build(nt.load_recipe(clean.recipe), copy, workers=0)
    assert verify(copy, deep=True).whole


@pytest.mark.long
def test_beside_a_link_in_a_tree_of_patches_all_else_is_told(tmp_path):
    image = Flown(id="a", corner=(500_000.0, 4_980_000.0), shape=(128, 128))
    catalogue(tmp_path, [image])
    image.write(tmp_path)
    write_pbf(tmp_path / "map.osm.pbf", [])
    path, out = recipe(tmp_path, osm={"source": "pbf", "path": "map.osm.pbf", "url": None}), tmp_path / "out"
    nt.build(nt.load_recipe(path), out, workers=0)
    assert nt.verify(out, deep=True).whole
    link = linked(out, sorted((out / COMMITS).glob("*.json"))[0])
    assert len(nt.verify(out, deep=True).problems) == 1
    (out / "README.md").unlink()
    found = nt.verify(out, deep=True)
    assert (found.looked, found.deep) == (True, False)
    assert about(found.problems, f"{out / link} is a link")
    assert about(found.problems, "README.md is missing")
