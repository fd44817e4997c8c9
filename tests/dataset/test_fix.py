"""verify --fix takes out what is damaged, whatever it is, and the next build makes just that again."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from support.seals import names_in, reseal, sealed
from support.trees import tree

from nutonic import load_recipe
from nutonic.cli.main import main
from nutonic.dataset.verify import verify
from nutonic.errors import NotNutonic, StoreError
from nutonic.io.objects import Store
from nutonic.run.run import build
from nutonic.testing import SyntheticPlanet

COMMITS, PARTS, SUMMARY = "_nutonic/commits", "_nutonic/parts", "_nutonic/summary.json"


@pytest.fixture(scope="module")
def built(few):
    """What is odd about a file is as odd in a tree of few."""
    return few


@pytest.fixture
def copy(built, tmp_path):
    return shutil.copytree(built.out, tmp_path / "copy")


def state(out: Path) -> dict[str, tuple[int, int]]:
    """Every file as it lies there: which one it is, and when it was written."""
    return {name: ((out / name).lstat().st_ino, (out / name).lstat().st_mtime_ns) for name in names_in(out)}


def places_of(out: Path) -> dict[str, set[str]]:
    """The places of each commit."""
    commits = (json.loads(path.read_bytes()) for path in (out / COMMITS).glob("*.json"))
    return {commit["commit"]: {place["poi_id"] for place in commit["places"]} for commit in commits}


def done(out: Path) -> set[str]:
    return set().union(*places_of(out).values())


def told(out: Path) -> list[dict]:
    """What commits say of every place, wherever it is committed."""
    commits = [json.loads(path.read_bytes()) for path in (out / COMMITS).glob("*.json")]
    places = [place for commit in commits for place in commit["places"]]
    for place in places:
        del place["rows"]["start"]
    return sorted(places, key=lambda place: place["ordinal"])


def payload(out: Path) -> dict[str, list]:
    commits = [json.loads(path.read_bytes()) for path in (out / COMMITS).glob("*.json")]
    return {name: entry for commit in commits for place in commit["places"] for name, entry in place["files"].items()}


def lost_with(out: Path, name: str) -> set[str]:
    """The places that are lost with a file: one with a picture or a sidecar, those of a batch with its commit or rows."""
    if name.startswith(("images/", "metadata/")):
        return {Path(name).stem.rsplit("_t", 1)[0]}
    return places_of(out)[Path(name).name.partition(".")[0]] if name.startswith((COMMITS, PARTS)) else set()


def made_whole(built, out: Path, places: int, *, deep: bool = True) -> None:
    """The next build makes just so many places, and the tree is the one that was never damaged."""
    summary = build(built.recipe, out, workers=0)
    assert (summary.finished, summary.complete) == (places, True)
    assert tree(out) == tree(built.out)
    assert verify(out, deep=deep).problems == ()
    assert told(out) == told(built.out)
    assert payload(out) == payload(built.out)


# Any file, any damage


def replace(path: Path, content: bytes) -> None:
    """Not written in place, since copies of a tree may share their files."""
    path.unlink()
    path.write_bytes(content)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[random.Random(path.name).randrange(len(content))] ^= 1 << len(content) % 8
    replace(path, content)


def truncate(path: Path) -> None:
    replace(path, path.read_bytes()[: path.stat().st_size // 2])


def double(path: Path) -> None:
    """Under a name of its own; commits under one that a commit may have."""
    name = f"0999{path.name[4:]}" if path.parent.name == "commits" else f"x{path.name}"
    shutil.copy(path, path.with_name(name))


DAMAGE = {"flipped": flip, "truncated": truncate, "deleted": Path.unlink, "doubled": double}


class Case(NamedTuple):
    name: str
    how: str


def cases(out: Path) -> list[Case]:
    """Damage to every file; of those of which there are many each has one kind, in turn."""
    names = [name for name in names_in(out) if name not in ("_nutonic/plan.jsonl", "_nutonic/tree.json")]
    many = [name for name in names if name.startswith(("images/", "metadata/", COMMITS, PARTS))]
    few = [Case(name, how) for name in names if name not in many for how in DAMAGE]
    return few + [Case(name, list(DAMAGE)[i % len(DAMAGE)]) for i, name in enumerate(many)]


def outcome(built, out: Path, case: Case) -> str | None:
    """What is wrong with finding, fixing and building again."""
    lost = set() if case.how == "doubled" else lost_with(built.out, case.name)
    DAMAGE[case.how](out / case.name)
    fixed = verify(out, deep=True, fix=True)
    # A file of another name than nutonic gives is the user's, and so is a card that may have been edited.
    theirs = case.how == "doubled" and not case.name.startswith(COMMITS)
    theirs |= case.how in ("flipped", "truncated") and case.name == "README.md"
    at_once = case.how == "doubled" and not theirs
    nothing = theirs or (case.how == "deleted" and not lost)
    if fixed.whole != at_once or bool(fixed.removed) == nothing:
        return f"called whole: {fixed.whole}, removed {fixed.removed}, found {fixed.problems}"
    if (fixed.open, done(out)) != (len(lost), done(built.out) - lost):
        return f"{fixed.open} places are gone: {done(built.out) - done(out)}"
    before = state(out)
    again = verify(out, fix=True)
    if (again.removed, again.problems, state(out)) != ((), fixed.problems, before):
        return f"fixed again, it is not the same: {again}"
    if theirs:
        mine = Path(case.name)
        (out / (mine.with_name(f"x{mine.name}") if case.how == "doubled" else mine)).unlink()
    made_whole(built, out, len(lost), deep=False)
    return None


@pytest.mark.long
@pytest.mark.parametrize("quarter", range(4))
def test_any_damage_is_fixed_by_making_just_that_again(built, tmp_path, quarter, sample):
    out, wrong = tmp_path / "tree", {}
    every = cases(built.out)[quarter::4]
    assert len(every) > 15
    todo = sample(every, kind=lambda case: case.name.split("/")[0], one_in=16)
    for case in todo:
        shutil.copytree(built.out, out, copy_function=os.link)
        wrong[case] = outcome(built, out, case)
        shutil.rmtree(out)
    assert len(wrong) == len(todo)
    assert {case: what for case, what in wrong.items() if what} == {}


@pytest.mark.sampled(one_in=2, among="damage of several kinds")
def test_damage_in_many_places_at_once(built, copy):
    """Two places of one batch, a whole batch, a commit, rows, card and rows of a split, and a stranger's file."""
    pictures = sorted((copy / "images").rglob("*.png"))
    lost = {Path(path).stem.rsplit("_t", 1)[0] for path in pictures[:5]}
    for path in pictures[:5]:
        flip(path)
    truncate(copy / PARTS / "000001.jsonl.gz")
    flip(copy / COMMITS / "000000.json")
    flip(copy / "README.md")
    (copy / "data" / "train.jsonl").unlink()
    (copy / "mine.txt").write_text("mine")
    lost |= places_of(built.out)["000001"] | places_of(built.out)["000000"]
    verdict = verify(copy, deep=True, fix=True)
    assert verdict.open == len(lost)
    assert any("mine.txt" in problem and "nothing to remove" in problem for problem in verdict.problems)
    assert (copy / "mine.txt").read_text() == "mine"
    (copy / "mine.txt").unlink()
    (copy / "README.md").unlink()  # which a person may have changed
    made_whole(built, copy, len(lost))


@pytest.mark.sampled(one_in=2, among="damage of several kinds")
def test_places_committed_alone_are_taken_out_alone(built, tmp_path):
    """Of a tree built up to a limit, and damaged, fixed and completed several times over."""
    out, chance = tmp_path / "tree", random.Random(1)
    build(built.recipe, out, workers=0, limit=4)
    for limit in (4, 6, None, None):
        whole = done(out)
        name = chance.choice([name for name in names_in(out) if name.startswith("images/")])
        flip(out / name)
        fixed = verify(out, deep=True, fix=True)
        assert (fixed.open, whole - done(out)) == (1, lost_with(out, name))
        assert build(built.recipe, out, workers=0, limit=limit).complete
        assert verify(out, deep=True).problems == ()
    made_whole(built, out, 0)


@pytest.mark.sampled(one_in=2, among="damage of several kinds")
def test_rejected_places_stay_and_rows_in_several_files_are_regrouped(planets, tmp_path):
    whole = {"min_valid_fraction": 0.99, "min_label_fraction": 0.99}
    recipe = load_recipe(planets(SyntheticPlanet(), output={"rows_per_file": 40}, tiles=whole))
    clean, out = tmp_path / "clean", tmp_path / "tree"
    assert build(recipe, clean, workers=0).complete
    rejected = {place["poi_id"] for place in told(clean) if not place["tiles"]}
    assert rejected
    batch = next(name for name, places in places_of(clean).items() if places & rejected and places - rejected)
    shutil.copytree(clean, out)
    flip(out / PARTS / f"{batch}.jsonl.gz")
    lost = places_of(clean)[batch] - rejected
    assert verify(out, deep=True, fix=True).open == len(lost)
    assert done(clean) - done(out) == lost
    assert build(recipe, out, workers=0).finished == len(lost)
    assert tree(out) == tree(clean)
    assert told(out) == told(clean)


# What content gives away, under hashes that fit


@pytest.mark.sampled(one_in=2, among="damage of several kinds")
def test_what_fits_its_hashes_and_is_wrong_all_the_same(built, copy):
    sidecar = sorted((copy / "metadata").rglob("*.json"))[5]
    content = json.loads(sidecar.read_bytes())
    sidecar.write_bytes(json.dumps({**content, "caption": "A picture."}).encode() + b"\n")
    picture = sorted((copy / "images").rglob("*.png"))[10]
    picture.write_bytes(sorted(picture.parent.iterdir())[20].read_bytes())
    reseal(copy)
    lost = {content["poi_id"], picture.stem.rsplit("_t", 1)[0]}
    assert verify(copy, fix=True).removed == ()
    assert verify(copy, deep=True, fix=True).open == len(lost) == 2
    assert done(built.out) - done(copy) == lost
    made_whole(built, copy, 2)


def test_rows_that_nobody_looked_at_get_no_new_hash(built, copy):
    """A picture is gone, which a quick look sees; a byte of the batch's rows is wrong, which it does not."""
    next((copy / "images").rglob("poi_000000_*.png")).unlink()
    flip(copy / PARTS / "000002.jsonl.gz")
    fixed = verify(copy, fix=True)
    assert done(built.out) - done(copy) == places_of(built.out)["000002"]
    assert any("poi_000001" in line and "000002.jsonl.gz" in line for line in fixed.removed)
    made_whole(built, copy, 4)


def test_rows_that_cannot_be_unpacked_stop_a_build_that_needs_them_with_what_to_do(built, copy, capsys):
    (copy / "data" / "train.jsonl").unlink()
    truncate(copy / PARTS / "000002.jsonl.gz")
    code, _, said = run(capsys, "build", built.recipe_path, "--out", copy, "--workers", 0)
    told = "000002.jsonl.gz is not what was written: it is too short; run nutonic verify with --fix"
    assert (code, told in said) == (2, True), said
    assert verify(copy, deep=True, fix=True).open == len(places_of(built.out)["000002"])
    made_whole(built, copy, 4)


def test_a_part_is_plain_gzip_and_each_place_a_member(built):
    rows = b""
    for path in sorted((built.out / COMMITS).iterdir()):
        commit = json.loads(path.read_bytes())
        part = (built.out / PARTS / f"{path.stem}.jsonl.gz").read_bytes()
        members = [part[told["start"] :][: told["length"]] for told in (place["rows"] for place in commit["places"])]
        assert b"".join(members) == part
        assert [len(gzip.decompress(m)) for m in members if m] == [
            place["rows"]["size"] for place in commit["places"] if place["rows"]["length"]
        ]
        assert all(member[4:10] == bytes(4) + member[8:10] for member in members if member)  # no time
        rows += gzip.decompress(part)
    data = b"".join(path.read_bytes() for path in (built.out / "data").iterdir())
    assert sorted(rows.splitlines()) == sorted(data.splitlines())
    assert sum(path.stat().st_size for path in (built.out / PARTS).iterdir()) < len(data) / 8


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize(
    "what", ["another recipe's", "places twice", "a summary", "no rows", "a place in another split"]
)
def test_commits_that_do_not_belong(built, copy, what):
    path = copy / COMMITS / "000002.json"
    commit = json.loads(path.read_bytes())
    lost = 0
    if what == "another recipe's":
        path.write_bytes(sealed({**commit, "recipe_digest": "0" * 64}))
        lost = 4
    elif what == "places twice":
        part, again = f"{PARTS}/000002.jsonl.gz", f"{PARTS}/000007.jsonl.gz"
        shutil.copy(copy / part, copy / again)
        twice = {**commit, "commit": "000007", "part": {again: commit["part"][part]}}
        (copy / COMMITS / "000007.json").write_bytes(sealed(twice))
    elif what == "no rows":
        (copy / COMMITS / "000007.json").write_bytes(sealed({**commit, "commit": "000007"}))
    elif what == "a summary":
        shutil.copy(copy / SUMMARY, copy / COMMITS / "000007.json")
    else:
        commit["places"][1]["split"] = "test" if commit["places"][1]["split"] != "test" else "train"
        path.write_bytes(sealed(commit))
        lost = 1
    assert verify(copy, deep=True).problems
    assert verify(copy, deep=True, fix=True).open == lost
    made_whole(built, copy, lost)


# What is left alone


@pytest.mark.parametrize("deep", [False, True])
def test_nothing_of_a_whole_tree_is_touched(copy, deep):
    before = state(copy)
    verdict = verify(copy, deep=deep, fix=True)
    assert (verdict.whole, verdict.removed, verdict.open) == (True, (), 0)
    assert state(copy) == before


def test_files_of_the_user_stay(copy):
    names = (
        "notes.txt", ".git/HEAD", "README.md.bak", "report.html/inside", "images/extra.png", "data/notes.jsonl",
        "metadata/s00000/mine.json", "_nutonic/parts/mine.jsonl", "_nutonic/notes", "images/s00000/cat.png#1",
    )  # fmt: skip
    for name in names:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("mine")
    left = copy / "images" / "s00000" / "poi_000000_t0000.png#1"
    left.write_text("half a fi")
    verdict = verify(copy, deep=True, fix=True)
    assert [(copy / name).read_text() for name in names] == ["mine"] * len(names)
    assert len(verdict.problems) == len(names)
    assert all("move it out of the folder" in problem for problem in verdict.problems)
    assert (len(verdict.removed), left.exists()) == (1, False)


def test_what_links_lead_to_stays(copy, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (copy / "images" / "link.png").symlink_to(tmp_path / "mine.txt")
    (problem,) = verify(copy, fix=True).problems
    assert "images/link.png belongs to no commit" in problem
    assert (copy / "images" / "link.png").is_symlink()
    (copy / "images" / "link.png").unlink()
    (copy / "images").rename(tmp_path / "elsewhere")
    (copy / "images").symlink_to(tmp_path / "elsewhere")
    before, there = state(copy), names_in(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link to a folder"):
        verify(copy, fix=True)
    assert (state(copy), names_in(tmp_path / "elsewhere")) == (before, there)


def test_a_commit_that_names_files_elsewhere_removes_none(copy, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    path = copy / COMMITS / "000001.json"
    commit = json.loads(path.read_bytes())
    commit["places"][0]["files"]["images/../../mine.txt"] = [5, "0" * 64]
    path.write_bytes(sealed(commit))
    verify(copy, deep=True, fix=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_plan_is_not_fixed_by_removing_anything(built, copy):
    plan = copy / "_nutonic" / "plan.jsonl"
    flip(plan)
    flip(next((copy / "images").rglob("*.png")))
    before = state(copy)
    verdict = verify(copy, deep=True, fix=True)
    assert (verdict.whole, verdict.removed, state(copy)) == (False, (), before)
    assert "--replan" in verdict.problems[0]
    assert "nothing to remove would fix it" in verdict.problems[0]
    assert build(built.recipe, copy, workers=0, replan=True).complete
    assert tree(copy) == tree(built.out)


def test_a_plan_of_another_recipe_costs_nothing_that_is_built(copy, planets, tmp_path):
    other = load_recipe(planets(SyntheticPlanet(), rows={"min_region_px": 13}))
    build(other, tmp_path / "other", workers=0, limit=1)
    shutil.copy(tmp_path / "other" / "_nutonic" / "plan.jsonl", copy / "_nutonic")
    before = state(copy)
    verdict = verify(copy, deep=True, fix=True)
    assert (verdict.whole, verdict.removed, state(copy)) == (False, (), before)


def test_a_tree_without_a_plan_is_refused(copy):
    (copy / "_nutonic" / "plan.jsonl").unlink()
    before = state(copy)
    with pytest.raises(NotNutonic):
        verify(copy, fix=True)
    assert state(copy) == before


# Killed while fixing


class KilledHere(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.long
def test_killed_at_any_moment_it_is_fixed_by_fixing_again_or_building(built, tmp_path, monkeypatch, sample):
    """A picture of a batch of four is gone, and a place of it was once committed alone."""
    start, out = shutil.copytree(built.out, tmp_path / "start"), tmp_path / "tree"
    next((start / "images").rglob("poi_000001_*.png")).unlink()
    commit = json.loads((start / COMMITS / "000002.json").read_bytes())
    old = {**commit, "commit": "000002-002", "places": commit["places"][2:3]}
    old["part"] = {f"{PARTS}/000002-002.jsonl.gz": [5, "0" * 64]}
    (start / COMMITS / "000002-002.json").write_bytes(sealed(old))
    left = 0

    def counted(method):
        def call(*args):
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledHere
            return method(*args)

        return call

    for name in ("put", "create", "delete"):
        monkeypatch.setattr(Store, name, counted(getattr(Store, name)))
    step = sample.times(8, every=1)
    for moment in range(sample.random().randrange(step), 100, step):
        for build_first in (False, True):
            shutil.copytree(start, out, copy_function=os.link)
            left, killed = moment, False
            try:
                verify(out, fix=True)
            except KilledHere:
                killed = True
            left = 10**6
            if build_first:
                # As long as the batch's commit is there the build has nothing to do; the damage can still be fixed.
                assert build(built.recipe, out, workers=0).complete
            verify(out, fix=True)
            assert build(built.recipe, out, workers=0).finished <= 1
            assert tree(out) == tree(built.out)
            assert (verify(out).problems, told(out)) == ((), told(built.out))
            shutil.rmtree(out)
        if not killed:
            break
    assert moment > 15


# The command


def run(capsys, *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    said = capsys.readouterr()
    return ended.value.code, said.out, " ".join((said.out + said.err).split())


@pytest.mark.long
def test_the_command_says_what_it_removed_and_what_is_to_be_done(built, copy, capsys):
    picture = next((copy / "images").rglob("poi_000001_*.png"))
    flip(picture)
    assert run(capsys, "verify", copy, "--deep")[0] == 1
    code, _, said = run(capsys, "verify", copy, "--deep", "--fix")
    assert code == 1
    assert f"removed place poi_000001: {picture.relative_to(copy)} is not what was written" in said
    assert "1 place is to be built again" in said
    code, out, _ = run(capsys, "verify", copy, "--fix", "--json")
    assert (code, json.loads(out)["open"], json.loads(out)["removed"]) == (1, 1, [])
    assert run(capsys, "build", built.recipe_path, "--out", copy, "--workers", 0)[0] == 0
    assert run(capsys, "verify", copy, "--deep", "--fix")[0] == 0


def test_what_is_whole_once_it_is_removed_ends_with_zero(copy, capsys):
    (copy / "images" / "s00000" / "poi_000000_t0000.png#1").write_bytes(b"no commit names it")
    code, _, said = run(capsys, "verify", copy, "--fix")
    assert (code, "removed images/s00000/poi_000000_t0000.png#1 belongs to no commit" in said, "is whole" in said) == (
        0,
        True,
        True,
    )


def test_fixing_what_is_no_tree_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _, said = run(capsys, "verify", tmp_path, "--fix")
    assert (code, "not a nutonic tree" in said, names_in(tmp_path)) == (2, True, ["thesis.txt"])
