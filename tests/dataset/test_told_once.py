"""Damage is told once, as what it is: a file that is there is not missing, and what stands on another is not blamed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from support.country import country, recipe_in

import nutonic as nt
from nutonic.errors import Corrupt, InputError

SIDECAR, PICTURE = "metadata/s00000/poi_000000_t0000.json", "images/s00000/poi_000000_t0000.png"
PART, COMMIT, SUMMARY = "_nutonic/parts/000000.jsonl.gz", "_nutonic/commits/000000.json", "_nutonic/summary.json"


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """A tree of six patches in two commits."""
    out = tmp_path_factory.mktemp("patches") / "tree"
    assert nt.build(nt.load_recipe(recipe_in(country(2, 3), {}, name="once.yaml")), out, workers=0).complete
    return out


def flip(path: Path) -> str:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # copies of a tree may share their files
    path.write_bytes(content)
    return "is not what was written: its SHA-256 differs"


def halve(path: Path) -> str:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])
    return f"has {len(content) // 2} bytes, its commit says {len(content)}"


def remove(path: Path) -> str:
    path.unlink()
    return "is missing"


@pytest.mark.parametrize("damage", [flip, halve, remove])
@pytest.mark.parametrize("name", [SIDECAR, PICTURE, PART])
def test_a_damaged_file_of_places_is_told_once_and_is_the_reason_of_fix(few, tmp_path, name, damage):
    out = tmp_path / "tree"
    shutil.copytree(few.out, out, copy_function=os.link)
    told = f"{name} {damage(out / name)}"
    (problem,) = nt.verify(out, deep=True).problems
    assert problem.startswith(told)
    removed = nt.verify(out, deep=True, fix=True).removed
    reasons = [line for line in removed if line.startswith("place ")]
    assert reasons
    assert all(line.split(": ", 1)[1].startswith(told) for line in reasons)


def test_a_row_of_no_tile_says_so(few):
    from nutonic.dataset.proof.row_audit import Row, compared

    row = Row.of((few.out / "data" / "train.jsonl").read_bytes().splitlines(keepends=True)[0])
    (finding,) = compared([row], {}, {}, None, {"poi_000099_t0000"})
    assert finding.text == f"row {row.id}: it is of a tile of which its commit names no file"
    assert list(compared([row], {}, {}, None, {row.tile_id})) == []


ONCE = {
    COMMIT: (flip, ["_nutonic/commits/000000.json is not what was written: it has no seal"]),
    "_nutonic/captions/000000.json": (
        flip,
        ["_nutonic/captions/000000.json is not what was written"],
    ),
    PART: (remove, ["_nutonic/parts/000000.jsonl.gz is missing"]),
    "_nutonic/recipe.yaml": (remove, ["_nutonic/recipe.yaml is missing: build again"]),
    "statistics.json": (remove, ["statistics.json is missing: build again"]),
}


@pytest.mark.long
@pytest.mark.parametrize("name", ONCE)
def test_a_damaged_file_of_patches_is_told_once(patches, tmp_path, name):
    out = Path(shutil.copytree(patches, tmp_path / "tree"))
    damage, right = ONCE[name]
    damage(out / name)
    told = [
        re.sub(r"(captions/.*): (?:it has no seal|its seal does not fit)$", r"\1", problem)
        for problem in nt.verify(out, deep=True).problems
    ]
    assert told == right  # which of these it is depends on the byte that was met


@pytest.mark.parametrize("damage", [flip, remove])
def test_patches_are_not_blamed_for_a_map_that_is_gone_or_damaged(patches, tmp_path, damage):
    out = Path(shutil.copytree(patches, tmp_path / "tree"))
    (index,) = (out / "_nutonic").glob("*.sqlite")
    damage(index)
    problem = "is missing: it belongs to the plan" if damage is remove else "is not what the plan was made with"
    right = f"_nutonic/{index.name} {problem}; plan anew with --replan"
    verdict = nt.verify(out, deep=True)
    assert verdict.problems == (right,)
    assert "the map beside the plan is not the one that it was made with" in verdict.notes[0]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert nt.verify(out, deep=True, fix=True).removed == ()
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.long
def test_fix_does_not_call_missing_what_it_has_removed(patches, tmp_path):
    out = Path(shutil.copytree(patches, tmp_path / "tree"))
    flip(out / "statistics.json")
    removed = nt.verify(out, deep=True, fix=True).removed
    assert removed == (
        "statistics.json is not what follows from commits and captions",
        "_nutonic/summary.json tells of files that were removed",
    )


def test_packing_and_sending_tell_a_damaged_summary_from_a_build_that_goes_on(few, packs, tmp_path):
    out = Path(shutil.copytree(few.out, tmp_path / "tree"))
    flip(out / SUMMARY)
    for call in (lambda: nt.pack(out, tmp_path / "pack"), lambda: nt.push(out, "someone/some", dry_run=True)):
        with pytest.raises(InputError, match=r"_nutonic/summary\.json is damaged: run nutonic build again, then pu?"):
            call()
    (out / SUMMARY).unlink()
    with pytest.raises(InputError, match="the build has not ended: run nutonic build again, then pack it"):
        nt.pack(out, tmp_path / "pack")
    pack = Path(shutil.copytree(packs(few.out, "parquet"), tmp_path / "whole"))
    (path,) = (pack / "data").glob("train-*.parquet")
    halve(path)
    with pytest.raises(Corrupt, match=r"train-00000-of-00001\.parquet is not what was written: nothing was sent"):
        nt.push(pack, "someone/some", dry_run=True)
    path.unlink()
    with pytest.raises(Corrupt, match=r"train-00000-of-00001\.parquet is missing: nothing was sent"):
        nt.push(pack, "someone/some", dry_run=True)


def test_a_report_does_not_count_no_place_as_not_done(few, tmp_path):
    out = Path(shutil.copytree(few.out, tmp_path / "tree"))
    flip(out / SUMMARY)
    page = Path(nt.report(out)).read_text(encoding="utf-8")
    assert "All places are done, but not what is made of all of them." in page
    assert "0 of 7 places are not done" not in page
