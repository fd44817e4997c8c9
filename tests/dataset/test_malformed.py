"""What is sealed and is not what it should be: findings, never tracebacks and never a wait; and --fix takes it out."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from support.forging import PLACE, Forger, bomb, saved
from support.seals import reseal, reseal_plan, sealed
from support.trees import tree

import nutonic as nt
from nutonic.chips.png import decode, encode
from nutonic.cli.main import main
from nutonic.planning.layout import COMMITS, PARTS, PLAN, SUMMARY
from nutonic.planning.ownership import may_be_committed

DEEP = b'{"a":' * 3000 + b"1" + b"}" * 3000

#: What a value may be turned into.
ODD = (None, True, "abc", -1, 1.5, 10**18, [], {}, [[]], {"a": {"b": []}}, "\x1b[2J", "x" * 10_000)


@pytest.fixture(scope="module")
def built(few):
    """What is odd about a file is as odd in a tree of few."""
    return few


@pytest.fixture
def forger(built, tmp_path):
    return Forger(Path(shutil.copytree(built.out, tmp_path / "tree")))


def judged(forger: Forger) -> tuple[str, ...]:
    """Problems, found in a few seconds and told in a line each, without what moves a cursor."""
    started = time.monotonic()
    problems = nt.verify(forger.out, deep=True).problems
    assert time.monotonic() - started < 20
    assert all(problem.isprintable() for problem in problems)
    assert all(len(problem) < 1000 for problem in problems)
    return problems


def paths(value: object, at: tuple = ()) -> list[tuple]:
    """Where values are in JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [found for key, each in inner for found in [(*at, key), *paths(each, (*at, key))]]


def changed(value: dict, path: tuple, to: object) -> dict:
    value = json.loads(json.dumps(value))
    inner = value
    for part in path[:-1]:
        inner = inner[part]
    if to is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return value


@pytest.mark.long
def test_no_value_of_a_sidecar_may_be_another(built, forger, sample):
    """Every key once, turned into another type or gone."""
    value = json.loads(forger.metadata.read_bytes())
    cases = [(path, odd) for path in paths(value) for odd in (*ODD, KeyError) if path[-1] != "place"]
    whole = []
    for path, odd in sample(cases, one_in=120):
        other = changed(value, path, odd)
        if other == value:
            continue
        forger.metadata.write_bytes(orjson.dumps(other) + b"\n")
        forger.seal()
        whole += [] if judged(forger) else [(path, odd)]
    assert whole == []


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("kind", ["plan", "scene", "reject", "batch"])
def test_no_value_of_a_plan_makes_a_traceback(built, forger, sample, kind):
    lines = [json.loads(line) for line in (forger.out / PLAN).read_bytes().splitlines()]
    value = next(line for line in lines if line["kind"] == kind)
    before = (forger.out / PLAN).read_bytes()
    cases = [(path, odd) for path in paths(value) for odd in (*ODD, KeyError) if path[-1] != "kind"]
    for path, odd in sample(cases, one_in=160):
        (forger.out / PLAN).write_bytes(before)

        def put(line: dict, path=path, odd=odd) -> None:
            if line["kind"] == kind and line == value:
                other = changed(line, path, odd)
                line.clear()
                line.update(other)

        reseal_plan(forger.out, put)
        if (forger.out / PLAN).read_bytes() != before:
            assert judged(forger), (path, odd)


def test_no_value_of_a_commit_makes_a_traceback_and_fixing_goes_on(built, forger, sample):
    path = forger.commit
    value = json.loads(path.read_bytes())
    cases = [(at, odd) for at in paths(value) for odd in (*ODD, KeyError) if at != ("seal",)]
    for at, odd in sample(cases, one_in=160):
        path.write_bytes(sealed(changed(value, at, odd)))
        assert changed(value, at, odd) == value or judged(forger), (at, odd)
    before = (forger.out / PLAN).read_bytes()
    nt.verify(forger.out, deep=True, fix=True)
    assert (forger.out / PLAN).read_bytes() == before
    assert nt.build(built.recipe, forger.out, workers=0).complete
    assert tree(forger.out) == tree(built.out)


@pytest.mark.sampled(one_in=9)
@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"NaN", b'{"a":NaN}', DEEP, b"\xff\xfe", b"9" * 23, b"{"])
@pytest.mark.parametrize("where", ["sidecar", "part", "summary", "commit"])
def test_what_is_no_json_of_its_kind_is_found_and_mended(built, forger, where, content, sample):
    if where == "sidecar":
        forger.metadata.write_bytes(content)
        forger.seal()
    elif where == "part":
        path = forger.out / PARTS / f"{forger.commit.stem}.jsonl.gz"
        path.write_bytes(gzip.compress(content))
    else:
        (forger.commit if where == "commit" else forger.out / SUMMARY).write_bytes(content)
    assert judged(forger)
    nt.verify(forger.out, deep=True, fix=True)
    assert nt.build(built.recipe, forger.out, workers=0).complete
    assert tree(forger.out) == tree(built.out)


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize(
    "name", [PLAN, "_nutonic/tree.json", "README.md", "data/train.jsonl", "images/../a.png", "/etc/x"]
)
def test_a_commit_that_names_what_no_place_has_costs_nothing_when_it_is_fixed(built, forger, name):
    assert not may_be_committed(name)
    kept = forger.out / name
    before = kept.read_bytes() if kept.is_file() else None
    forger.entry(lambda place: place["files"].update({name: [1, "0" * 64]}), seal=False)
    assert any("nutonic writes nothing of a place" in problem for problem in judged(forger))
    nt.verify(forger.out, deep=True, fix=True)
    if name.startswith("_nutonic"):
        assert kept.read_bytes() == before
    assert nt.build(built.recipe, forger.out, workers=0).complete
    assert tree(forger.out) == tree(built.out)


def test_rows_that_unpack_to_more_than_is_told_are_not_unpacked(forger):
    """A hundred megabytes in a hundred kilobytes."""
    part = forger.out / PARTS / f"{forger.commit.stem}.jsonl.gz"
    packed = gzip.compress(bytes(100_000_000))
    part.write_bytes(packed)
    forger.entry(lambda place: place["rows"].update(start=0, length=len(packed)), seal=False)
    reseal(forger.out)
    assert any("not what was written" in problem for problem in judged(forger))


def test_no_other_program_is_started_for_a_picture(forger, tmp_path, monkeypatch):
    """Pillow starts Ghostscript for an EPS; where one is, it would say so."""
    ran, program = tmp_path / "ran", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {ran}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    eps = saved("EPS")
    pillow = "import io,sys; from PIL import Image; Image.open(io.BytesIO(sys.stdin.buffer.read())).load()"
    subprocess.run([sys.executable, "-c", pillow], input=eps, check=False, capture_output=True)
    assert ran.exists(), "the trap does not work"
    ran.unlink()
    forger.picture(eps)
    assert any("it is no PNG" in problem for problem in judged(forger))
    assert not ran.exists()


def test_a_picture_is_measured_before_it_is_unpacked(forger):
    with pytest.raises(ValueError, match=r"is \(12000, 12000, 3\)"):
        decode(bomb(), 40)


def test_what_is_encoded_is_decoded(built):
    for path in sorted((built.out / "images").rglob("*.png"))[:5]:
        assert encode(decode(path.read_bytes(), 40)) == path.read_bytes()


# What lies about in a tree


def test_what_operating_systems_leave_is_told_and_harms_nothing(forger):
    for name in ("images/.DS_Store", ".DS_Store", "data/Thumbs.db", "metadata/s00000/._poi.json", "desktop.ini"):
        (forger.out / name).write_bytes(b"litter")
    verdict = nt.verify(forger.out, deep=True, fix=True)
    assert (verdict.problems, verdict.removed) == ((), ())
    assert any("and 4 more of the operating system's" in note for note in verdict.notes)
    assert (forger.out / ".DS_Store").exists()


def test_a_copy_by_links_and_a_disk_of_programs_are_whole(built, tmp_path):
    out = shutil.copytree(built.out, tmp_path / "tree", copy_function=os.link)
    assert nt.verify(out, deep=True).problems == ()
    copy = Path(shutil.copytree(built.out, tmp_path / "copy"))
    for path in copy.rglob("*"):
        path.chmod(0o777)
    assert nt.verify(copy, deep=True).problems == ()


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("where", ["images/s00000", "data", "_nutonic/commits", "_nutonic/parts", "."])
def test_odd_names_and_pipes_are_told_in_plain_words(built, forger, where):
    names = [b"\xe9t\xe9.txt", b"a\x1b[2Jb", b"line\nbreak", "\u202egpj.exe".encode(), b"x" * 255]
    folder = os.fsencode(forger.out / where)
    for name in names:
        Path(os.fsdecode(os.path.join(folder, name))).write_bytes(b"mine")  # noqa: PTH118  a path of bytes
    os.mkfifo(forger.out / where / "pipe")
    problems = judged(forger)
    assert len(problems) >= len(names) + 1
    fixed = nt.verify(forger.out, deep=True, fix=True)
    assert orjson.dumps(fixed.problems)
    assert nt.build(built.recipe, forger.out, workers=0).complete
    assert all(os.path.exists(os.path.join(folder, name)) for name in names)  # noqa: PTH110, PTH118


# Made again


def test_places_made_again_are_the_same(built, capsys):
    verdict = nt.verify(built.out, deep=True, rebuild=3)
    assert (verdict.problems, verdict.rebuilt) == ((), 3)
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(built.out), "--rebuild", "2", "--json"])
    assert (ended.value.code, json.loads(capsys.readouterr().out)["rebuilt"]) == (0, 2)
    with pytest.raises(ValueError, match="rebuild is -1"):
        nt.verify(built.out, rebuild=-1)


def test_a_source_that_is_gone_is_told_and_nothing_is_judged(built, forger, capsys):
    planet = built.recipe_path.parent
    away = planet.with_name("away")
    planet.rename(away)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["verify", str(forger.out), "--rebuild", "20"])
    finally:
        away.rename(planet)
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 1
    assert f"{PLACE}: not judged, since" in said
    assert "Traceback" not in said


def test_a_tree_of_another_version_is_whole_and_says_what_is_not_judged(forger):
    commits = len(list((forger.out / COMMITS).iterdir()))
    for path in (forger.out / "metadata").rglob("*.json"):
        path.write_bytes(orjson.dumps({**json.loads(path.read_bytes()), "nutonic_version": "0.0.9"}) + b"\n")
    forger.plan("plan", lambda line: line.update(nutonic_version="0.0.9"))
    verdict = nt.verify(forger.out, deep=True, rebuild=1)
    assert ["no place can be made again" in problem for problem in verdict.problems] == [True]
    assert any("made by nutonic 0.0.9" in note for note in verdict.notes)
    assert len(list((forger.out / COMMITS).iterdir())) == commits == 3
