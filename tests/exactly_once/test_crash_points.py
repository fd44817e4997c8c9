"""Killed at every operation of the store, before it, half-way through it and after it: the same command goes on."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from support.clusters import until
from support.crashing import MOMENTS, Ended, Forks, Operation, Point, points
from support.trees import (
    Clean,
    called_whole,
    clean_tree,
    committed_batches,
    half_done,
    names_beside,
    same_as,
    tree,
    with_catalogue,
)

from nutonic import load_recipe
from nutonic.dataset.verify import verify
from nutonic.run.run import Summary, build


def resume(out: Path, clean: Clean, **options: object) -> Summary:
    summary = build(load_recipe(clean.recipe), out, **{"workers": 0, **options})
    assert summary.complete
    assert summary.failures == ()
    same_as(out, clean)
    return summary


def done_of(ended: Ended, point: Point) -> tuple[Operation, ...]:
    """The operations that took effect."""
    return ended.operations if point.moment in ("linked", "after") else ended.operations[:-1]


def in_its_middle(out: Path, clean: Clean, ended: Ended, point: Point) -> bool:
    """Whether a batch was killed that had begun and was not committed; what lies on the disk must say the same."""
    last, batch = ended.operations[-1], clean.batch_of(ended.operations[-1].path)
    done = [operation for operation in done_of(ended, point) if clean.batch_of(operation.path) == batch]
    if batch is None or not done or (last.verb == "create" and last in done):
        assert batch is None or batch not in half_done(out, clean.batches)
        return False
    assert half_done(out, clean.batches) == {batch: len(done)}
    assert len(done) <= len(clean.batches[batch])
    return True


def kind_of(clean: Clean, point: Point) -> tuple[str, str, bool]:
    """What sort of a death it is: of each the default run has some."""
    operation = clean.operations[point.at]
    return operation.verb, point.moment, clean.batch_of(operation.path) is None


def test_killed_at_every_moment_of_every_operation_of_a_build(forks, clean, tmp_path, sample):
    every, within = points(clean.operations), Counter()
    assert len(every) > 90
    # Among them the last, after which a tree is whole.
    chosen = sorted({*sample(every, kind=lambda point: kind_of(clean, point), one_in=40), every[-1]}, key=every.index)
    for point, out, ended in forks.each(clean.recipe, tmp_path, chosen):
        assert ended.killed, ended.told
        assert ended.operations == clean.operations[: point.at + 1]
        within[in_its_middle(out, clean, ended, point)] += 1
        # What a reader sees is never half a file.
        assert [n for n, data in tree(out).items() if "#" not in n and data != clean.files[n]] == []
        # Whole is only what was written to its end, its summary too.
        assert called_whole(out) == (point == every[-1])
        resume(out, clean)
        # As in a tree that was never killed, down to the last name.
        assert names_beside(out) == clean.beside
        shutil.rmtree(out)
    assert within.total() == len(chosen)
    # A sample has as much of the rare kinds, which are outside of batches.
    assert within[True] > len(chosen) / (2 if sample.every else 4)


def test_verify_tells_of_what_a_killed_writer_left(forks, clean, tmp_path):
    """A temporary, of any file, is a problem of the tree, not of verify."""
    for path in ("_nutonic/plan.jsonl", "README.md", next(iter(clean.batches[0]))):
        out = shutil.copytree(clean.out, tmp_path / Path(path).name)
        (out / f"{path}#1").write_bytes((out / path).read_bytes()[:9])
        for deep in (False, True):
            (problem,) = verify(out, deep=deep).problems
            assert problem.startswith(f"{path}#1 ")


@pytest.mark.long
def test_what_a_slower_driver_leaves_in_a_finished_tree_is_swept_by_the_next_build(forks, clean, tmp_path):
    # In a batch that it has begun with by then: it passes over others, once it finds that another one is faster.
    out, writes = tmp_path / "tree", [o for o in clean.operations if clean.batch_of(o.path) == 1]
    slower = forks.start(clean.recipe, out, Point(writes[-3].number, "torn"))
    until((out / "images").exists, "a batch")
    os.kill(slower.pid, signal.SIGSTOP)
    assert forks.run(clean.recipe, out).code == 0
    same_as(out, clean)
    os.kill(slower.pid, signal.SIGCONT)
    assert slower.wait().killed
    assert [path.name for path in out.rglob("*#*")] == [Path(f"{writes[-3].path}#1").name]
    resume(out, clean)


@pytest.mark.long
def test_what_was_committed_is_not_built_again(forks, clean, tmp_path, sample):
    creates = [operation for operation in clean.operations if "/commits/" in operation.path]
    assert len(creates) == len(clean.batches)
    cases = [(i, *moment) for i in range(len(creates)) for moment in (("torn", 0), ("after", 1))]
    for i, moment, more in sample(cases, kind=lambda case: case[1]):
        out = tmp_path / f"{moment}-{i}"
        assert forks.run(clean.recipe, out, Point(creates[i].number, moment)).killed
        ended = forks.run(clean.recipe, out)
        assert ended.code == 0, ended.told
        again = {clean.batch_of(operation.path) for operation in ended.operations if operation.verb == "create"}
        assert len(again - {None}) == len(creates) - i - more
        same_as(out, clean)


def left_of(out: Path, clean: Clean) -> list[Operation]:
    """What a resumed build still has to ask for, at least."""
    done = committed_batches(out)
    own = {
        name for name in ("_nutonic/tree.json", "_nutonic/plan.jsonl", "_nutonic/recipe.yaml") if (out / name).exists()
    }
    return [o for o in clean.operations if clean.batch_of(o.path) not in done and o.path not in own]


def crash_twice(forks: Forks, clean: Clean, out: Path, chance: random.Random) -> None:
    """Kill a tree's builds in the middle of a batch and then anywhere, and go on."""
    for only in (True, False):
        left = left_of(out, clean)
        inner = [
            i
            for i, o in enumerate(left)
            if i and clean.batch_of(o.path) == clean.batch_of(left[i - 1].path) is not None
        ]
        at = chance.choice(inner if only else range(len(left)))
        point = Point(at, chance.choice([m for m in MOMENTS[left[at].verb] if m in ("before", "torn") or not only]))
        ended = forks.run(clean.recipe, out, point)
        assert ended.killed, ended.told
        assert half_done(out, clean.batches) or not only
        assert not called_whole(out) or tree(out) == clean.files
    resume(out, clean)


def test_killed_while_it_goes_on_after_a_kill(forks, clean, tmp_path, sample):
    chance = sample.random()
    for i in range(sample.times(1, every=12)):
        crash_twice(forks, clean, tmp_path / str(i), chance)


@pytest.fixture(scope="module")
def littered(forks, clean, tmp_path_factory):
    """A tree with some of its places, each committed alone, and with all that killed runs can leave lying about."""
    out = tmp_path_factory.mktemp("littered") / "tree"
    assert forks.run(clean.recipe, out, limit=3).code == 0
    image = next(name for name in clean.files if name.endswith("t0000.png") and not (out / name).exists())
    for name in (image, f"{image}#1", "_nutonic/items-0123456789ab.parquet", "data/test.jsonl#1",
                 "_nutonic/parts/000002-000.jsonl.gz", "_nutonic/commits/000002.json#2"):  # fmt: skip
        (out / name).write_bytes(b"half a fi")
    return out


@pytest.mark.long
def test_killed_at_every_operation_of_a_build_that_goes_on_and_sweeps(forks, clean, littered, tmp_path, sample):
    ended = forks.run(clean.recipe, shutil.copytree(littered, tmp_path / "tree"))
    assert Counter(operation.verb for operation in ended.operations)["delete"] == 5
    same_as(tmp_path / "tree", clean)
    before = tree(littered)
    # Every moment of what a build does is in the test above; here each operation has its last, and some another.
    every = [p for p in points(ended.operations) if p.moment == "after" or (p.moment == "torn" and p.at % 3 == 0)]
    verbs = [operation.verb for operation in ended.operations]
    chosen = sample(every, kind=lambda point: (verbs[point.at], point.moment), one_in=24)
    for _, out, ended in forks.each(clean.recipe, tmp_path, chosen, start=littered):
        assert ended.killed, ended.told
        seen = {name: data for name, data in tree(out).items() if "#" not in name}
        assert [n for n, data in seen.items() if data not in (clean.files.get(n), before.get(n))] == []
        assert not called_whole(out) or tree(out) == clean.files
        resume(out, clean)
        shutil.rmtree(out)


@pytest.fixture(scope="module")
def later(forks, clean, tmp_path_factory):
    """What the same recipe gives when the catalogue has lost a scene."""
    return clean_tree(with_catalogue(clean.recipe, without="west"), tmp_path_factory.mktemp("later") / "tree", forks)


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("search", [True, False], ids=["searched-again", "not-searched-again"])
def test_killed_at_every_operation_of_a_new_plan(forks, clean, later, tmp_path, search, sample):
    """All that the old plan led to is removed first; whichever plan a kill leaves there is one that builds whole."""
    assert later.files != clean.files
    ended = forks.run(later.recipe, shutil.copytree(clean.out, tmp_path / "tree"), replan=True)
    same_as(tmp_path / "tree", later)
    deletes = [operation for operation in ended.operations if operation.verb == "delete"]
    assert len(deletes) >= len(clean.files)
    planned = next(o.number for o in ended.operations if o.verb != "delete" and o.path == "_nutonic/plan.jsonl")
    every = [Point(o.number, moment) for o in ended.operations[: planned + 3] for moment in MOMENTS[o.verb][1:]]
    # What a search would mend is the same for all files of a kind.
    every = every if search else every[::2] + every[-4:]
    chosen = sample(every, kind=lambda point: (point.at >= planned, point.moment), one_in=24)
    for _, out, ended in forks.each(later.recipe, tmp_path, chosen, start=clean.out, replan=True):
        assert ended.killed, ended.told
        assert not called_whole(out) or tree(out) == clean.files
        # Without a search of its own it goes on with the old plan while that is there, else with a new one.
        resume(out, clean if not search and is_planned(out, clean) else later, replan=search)
        shutil.rmtree(out)


def is_planned(out: Path, clean: Clean) -> bool:
    plan = out / "_nutonic" / "plan.jsonl"
    return plan.exists() and plan.read_bytes() == (clean.out / "_nutonic" / "plan.jsonl").read_bytes()
