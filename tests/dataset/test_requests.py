"""How often a tree's plan, commits and folders are read and listed: on an object store each is a request."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import NamedTuple

import numpy as np
from support.counting import counted

from nutonic.dataset.verify import verify
from nutonic.io.objects import Store
from nutonic.planning.plan_file import read_plan
from nutonic.run.run import build

PLAN = "_nutonic/plan.jsonl"


class Asked(NamedTuple):
    """What a build or a check asks of the tree's store, of what it stands on."""

    tails: int
    """Of the plan: one as it is opened, and one before each commit, which sees whether another took its place."""
    ranges: int
    """Of the plan: its head, and pieces of its batches."""
    bytes: int
    """In these ranges."""
    commit_lists: int
    all_lists: int
    """Listings of the whole tree."""
    commits: int
    """Commits that are read, each as often as is said."""
    summaries: int


def asked(counts: Counter[str], *, times: int = 1) -> Asked:
    """Afterwards counted from nothing again; each commit is read so many `times`."""
    commits = [count for what, count in counts.items() if what.startswith("read _nutonic/commits/")]
    assert set(commits) <= {times}
    found = Asked(
        tails=counts[f"tail {PLAN}"],
        ranges=counts[f"read {PLAN}"],
        bytes=counts[f"bytes {PLAN}"],
        commit_lists=counts["list _nutonic/commits"],
        all_lists=counts["list all"],
        commits=len(commits),
        summaries=counts["read _nutonic/summary.json"],
    )
    counts.clear()
    return found


def test_builds_read_the_plan_and_each_commit_once(built, tmp_path, monkeypatch):
    index = read_plan(Store(built.out)).index
    head, lengths = int(index.offsets[0]), np.diff(index.offsets)
    out, counts = tmp_path / "tree", counted(monkeypatch)
    build(built.recipe, out, workers=0)
    assert asked(counts) == (1 + 5, 2, head + lengths.sum(), 2, 1, 5, 1)
    build(built.recipe, out, workers=0)
    assert asked(counts) == (1, 1, head, 1, 1, 0, 1)


def test_builds_with_a_limit_read_only_the_batches_they_build(built, tmp_path, monkeypatch):
    index = read_plan(Store(built.out)).index
    head, lengths = int(index.offsets[0]), np.diff(index.offsets)
    out, counts = tmp_path / "tree", counted(monkeypatch)
    build(built.recipe, out, workers=0, limit=4)
    (whole,) = (int(path.stem) for path in (out / "_nutonic" / "commits").iterdir())
    assert index.ordinals[index.starts[whole] : index.starts[whole + 1]].tolist() == [0, 1, 2, 3]
    assert asked(counts) == (1 + 1, 2, head + lengths[whole], 2, 1, 1, 1)
    build(built.recipe, out, workers=0)
    assert asked(counts) == (1 + 4, 1 + 2, head + lengths.sum() - lengths[whole], 2, 1, 5, 1)


def test_checks_read_the_plan_and_each_commit_once(built, monkeypatch):
    index = read_plan(Store(built.out)).index
    counts = counted(monkeypatch)
    assert verify(built.out).whole
    assert asked(counts) == (1, 2, index.offsets[-1], 1, 1, 5, 1)
    # Deep, any file is looked at for secrets, so there is one listing more, and the plan and the summary are read as such.
    assert verify(built.out, deep=True).whole
    # Commits of a large tree are not kept, but read again: for the walk, with its pictures, for the card, for secrets.
    assert asked(counts, times=4) == (1, 3, index.offsets[-1], 1, 2, 5, 2)


def test_whose_files_are_is_read_from_the_plan_once_and_only_where_it_matters(built, tmp_path, monkeypatch):
    """What two killed writers left is found before anything is done, again when it is removed, and is the plan's to tell."""
    out = shutil.copytree(built.out, tmp_path / "tree")
    index = read_plan(Store(out)).index
    for name in (
        "images/s00000/poi_000000_t0000.png#1",
        "metadata/s00000/poi_000001_t0001.json#2",
        "data/train.jsonl#1",
    ):
        (out / name).write_bytes(b"half a fi")
    (out / "images" / "s00000" / "mine.png").symlink_to(out / "README.md")
    counts = counted(monkeypatch)
    build(built.recipe, out, workers=0)
    assert asked(counts)[:3] == (1, 2, index.offsets[-1])
    assert [path.name for path in out.rglob("*#*")] == []
