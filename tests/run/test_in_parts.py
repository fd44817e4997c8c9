"""Finishing and proving a tree in parts: whoever does them, and whoever dies meanwhile, bytes and messages are the same."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.clusters import cluster, deaths, dying_workers
from support.paths import ROOT
from support.trees import same_as, tree

import nutonic as nt
from nutonic.dataset.commits import committed
from nutonic.dataset.finalize import data_files
from nutonic.dataset.parts import rows, sums
from nutonic.dataset.parts.each import here
from nutonic.dataset.proof import audit
from nutonic.io.objects import Store, sealed, unsealed
from nutonic.recipe.outputs import Output

#: Bytes of a part of a file of `data/` here: each file has several, and most places lie in two.
SPAN = 700


@pytest.fixture
def small_parts(monkeypatch):
    """Parts so small that a tiny tree has many; they are cut by whoever drives."""
    monkeypatch.setattr(sums, "_COMMITS", 1)
    monkeypatch.setattr(rows, "_SPAN", SPAN)
    monkeypatch.setattr(audit, "_BATCHES", 1)
    monkeypatch.setattr(audit, "_STRETCH", SPAN)


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster"), PYTHONPATH=ROOT / "tests") as found:
        yield found


def unfinished(clean, out: Path) -> Path:
    """A tree whose batches are committed, and which nobody has finished."""
    shutil.copytree(clean.out, out)
    shutil.rmtree(out / "data")
    for name in ("README.md", "_nutonic/summary.json"):
        (out / name).unlink()
    return out


def temporaries(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if "#" in path.name]


@pytest.mark.long
@pytest.mark.parametrize("spans", [1, 2, 3, 699, 700, 701, 10**9])
def test_a_file_in_parts_of_any_size_is_the_rows_of_its_places(clean, monkeypatch, spans):
    """Against the files that one process wrote as a whole: each byte in one part, places over the edges too."""
    monkeypatch.setattr(rows, "_SPAN", spans)
    store = Store(clean.out)
    added = sums.added_up(store, names_of(store), 1, here)
    files = data_files(added.spans, Output())
    assert files
    for path, some in files.items():
        content = (clean.out / path).read_bytes()
        parts = [] if spans < 3 and len(content) > 4000 else list(rows.spans_of_bytes(store, path, some))
        for part in parts:
            assert b"".join(part.pieces()) == content[part.first : part.first + part.size]
            assert part.size <= spans
            assert part.skipped < part.spans.column("size")[0]
        assert sum(part.size for part in parts) == (len(content) if parts else 0)


def names_of(store: Store):
    done = committed(store)
    return filter(done.takes_effect, done.all_names())


@pytest.mark.long
def test_a_tree_that_is_finished_in_parts_has_the_same_bytes(clean, tmp_path, small_parts, dask):
    for count in (0, nt.Cluster(scheduler=dask.address)):
        out = unfinished(clean, tmp_path / str(id(count)))
        assert nt.build(clean.recipe, out, workers=count).complete
        same_as(out, clean)
        assert temporaries(out) == []
        assert told(out) == told(clean.out)
        # What is there and was made of the same is compared, in parts, and stays.
        before = {file: file.stat().st_ino for file in (out / "data").iterdir()}
        summary = unsealed((out / "_nutonic/summary.json").read_bytes(), "")
        (out / "_nutonic/summary.json").write_bytes(sealed({**summary, "made_of": {}, "commits": "others"}))
        assert nt.build(clean.recipe, out, workers=count).complete
        assert {file: file.stat().st_ino for file in (out / "data").iterdir()} == before


def told(out: Path) -> dict:
    summary = json.loads((out / "_nutonic/summary.json").read_bytes())
    return {name: summary[name] for name in ("data", "chips", "card_sha256", "made_of", "commits")}


def forged(out: Path) -> None:
    """Damage of each kind that verification finds, in several batches."""
    pictures, sidecars = sorted(out.rglob("images/*/*.png")), sorted(out.rglob("metadata/*/*.json"))
    pictures[0].unlink()
    pictures[-1].write_bytes(pictures[1].read_bytes())
    sidecars[2].write_bytes(sidecars[2].read_bytes().replace(b'"split"', b'"spilt"'))
    (out / "images" / "mine.png").write_bytes(b"mine")
    (out / "images" / "nothing").mkdir()
    train = out / "data" / "train.jsonl"
    content = bytearray(train.read_bytes())
    content[-5] ^= 1
    train.write_bytes(content)
    (out / "data" / "notes.txt").write_text(
        "see https://example.org/a.tif?sig=0123456789abcdef0123456789abcdef%3D\n" * 40
    )
    first, *_, last = sorted((out / "_nutonic" / "commits").iterdir())
    value = unsealed(first.read_bytes(), "")
    value["places"][0]["split"] = "test" if value["places"][0]["split"] != "test" else "train"
    first.write_bytes(sealed(value))
    value = unsealed(last.read_bytes(), "")
    last.write_bytes(sealed({**value, "plan": "0" * 64}))


@pytest.mark.long
@pytest.mark.parametrize("deep", [False, True])
def test_each_message_is_the_same_and_in_the_same_order(clean, tmp_path, small_parts, monkeypatch, dask, deep):
    out = tmp_path / "tree"
    shutil.copytree(clean.out, out)
    cluster = nt.Cluster(scheduler=dask.address)
    assert nt.verify(out, deep=deep, workers=cluster) == nt.verify(out, deep=deep)
    forged(out)
    here = nt.verify(out, deep=deep)
    assert len(here.problems) >= (10 if deep else 6)
    assert nt.verify(out, deep=deep, workers=cluster) == here
    monkeypatch.undo()  # parts of the usual size
    assert nt.verify(out, deep=deep) == here
    assert not list(out.rglob("token-*"))


def test_a_worker_that_sees_another_tree_is_refused(clean, tmp_path, dask):
    out, away = tmp_path / "tree", tmp_path / "away"
    shutil.copytree(clean.out, out)
    with pytest.raises(nt.errors.NotNutonic):
        nt.verify(away, workers=nt.Cluster(scheduler=dask.address))
    with pytest.raises(nt.errors.InputError, match="give a number from 0"):
        nt.verify(out, workers=-1)


@pytest.mark.long
@pytest.mark.cluster
@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_a_worker_that_dies_had_to_finish_another_does(clean, tmp_path, small_parts, moment):
    out = unfinished(clean, tmp_path / "tree")
    with cluster(
        tmp_path / "cluster", **dying_workers(tmp_path, {"path": "data/", "moment": moment, "times": 1})
    ) as dask:
        assert nt.build(clean.recipe, out, workers=nt.Cluster(scheduler=dask.address)).complete
        assert len(deaths(tmp_path)) == 1
    same_as(out, clean)
    assert temporaries(out) == []


@pytest.mark.long
@pytest.mark.cluster
def test_what_every_worker_dies_of_the_driver_does(clean, tmp_path, small_parts, monkeypatch):
    out = unfinished(clean, tmp_path / "tree")
    # Two parts: each costs two workers, and one that is started again takes seconds where a machine is busy.
    monkeypatch.setattr(rows, "_SPAN", (clean.out / "data/train.jsonl").stat().st_size * 2 // 3)
    environment = dying_workers(tmp_path, {"path": "data/train", "moment": "before", "times": None})
    environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"
    with cluster(tmp_path / "cluster", nanny=True, **environment) as dask:
        assert nt.build(clean.recipe, out, workers=nt.Cluster(scheduler=dask.address)).complete
        assert len(deaths(tmp_path)) >= 2
    same_as(out, clean)


_KILLED = f"""
import itertools, os, signal, sys
import nutonic as nt
from nutonic.dataset.parts import rows
from nutonic.io.objects import Store
rows._SPAN = {SPAN}
count, at, put_at, take = itertools.count(), int(sys.argv[3]), Store.put_at, Store.take
def dying(method):
    def call(store, *arguments):
        if next(count) == at:
            if method is put_at:
                path, staged, first, pieces = arguments
                put_at(store, path, staged, first, [b"".join(pieces)[:300]])
            os.kill(os.getpid(), signal.SIGKILL)
        return method(store, *arguments)
    return call
Store.put_at, Store.take = dying(put_at), dying(take)
nt.build(sys.argv[1], sys.argv[2], workers=0)
"""


@pytest.mark.long
@pytest.mark.parametrize("at", [0, 1, 7, None])
def test_a_driver_that_is_killed_while_it_finishes_leaves_what_the_next_one_sweeps(clean, tmp_path, small_parts, at):
    """After so many parts, in the middle of one; None for before the first file takes its place."""
    out = unfinished(clean, tmp_path / "tree")
    sizes = [
        size for size in (len(data) for name, data in clean.files.items() if name.startswith("data/")) if size > SPAN
    ]
    last = sum(-(-size // SPAN) for size in sizes)
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, clean.recipe, out, str(last if at is None else at)], check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert len(temporaries(out)) == len(sizes)
    assert not [file for file in (out / "data").iterdir() if "#" not in file.name and file.stat().st_size > SPAN]
    assert nt.build(clean.recipe, out, workers=0).complete
    same_as(out, clean)
    assert temporaries(out) == []


def test_what_another_driver_sweeps_away_is_written_again(clean, tmp_path, small_parts, monkeypatch):
    out, put_at, swept = unfinished(clean, tmp_path / "tree"), Store.put_at, []

    def sweeping(store, path, staged, first, pieces):
        if len(swept) < 2:
            swept.append(staged)
            Path(staged).unlink()
        put_at(store, path, staged, first, pieces)

    monkeypatch.setattr(Store, "put_at", sweeping)
    assert nt.build(clean.recipe, out, workers=0).complete
    assert len(swept) == 2
    same_as(out, clean)
    assert tree(out).keys() == tree(clean.out).keys()
