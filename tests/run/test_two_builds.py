"""Two builds into one folder at once: one tree, each place counted once, and each build told that there is another."""

from __future__ import annotations

import json
import random
import shutil
import threading
from dataclasses import replace

import pytest
from support.cli import nutonic
from support.trees import same_as

import nutonic as nt
from nutonic.cli import console
from nutonic.cli.metrics import MetricsFile
from nutonic.dataset.commits import Committed
from nutonic.io.objects import Store
from nutonic.planning.layout import named
from nutonic.planning.plan_file import read_plan
from nutonic.run.callbacks import BatchFinished, Callback, Note
from nutonic.run.clusters.lanes import Lanes
from nutonic.run.jobs import Others, Scope, remaining_jobs


class AnotherBuilds(Callback):
    """Has another build do all that is left, once so many batches are done."""

    def __init__(self, recipe, out, after: int) -> None:
        self.recipe, self.out, self.after = recipe, out, after
        self.notes: list[str] = []
        self.theirs: list[int] = []
        self.summaries: list[nt.Summary] = []

    def on_note(self, event: Note, /) -> None:
        self.notes.append(event.text)

    def on_batch(self, event: BatchFinished, /) -> None:
        self.theirs.append(event.result.theirs)
        if len(self.theirs) == self.after:
            work = threading.Thread(target=self.build)
            work.start()
            work.join(120)

    def build(self) -> None:
        self.summaries.append(nt.build(self.recipe, self.out, workers=0))


@pytest.mark.parametrize("after", [1, 2])
def test_each_place_is_counted_by_who_committed_it(clean, tmp_path, capsys, after):
    out, metrics = tmp_path / "out", tmp_path / "nutonic.prom"
    recipe = nt.load_recipe(clean.recipe)
    watching = AnotherBuilds(recipe, out, after)
    summary = nt.build(recipe, out, workers=0, callbacks=[watching, MetricsFile(metrics)])
    (other,) = watching.summaries
    assert other.by_others == 0
    assert 0 < sum(watching.theirs) <= other.finished
    assert after > 1 or sum(watching.theirs) < other.finished, "what was begun is done twice, what was not is left out"
    assert other.finished > 0
    assert (summary.by_others, summary.still_open) == (other.finished, 0)
    assert summary.finished + other.finished == summary.wanted
    made = json.loads((clean.out / "_nutonic" / "summary.json").read_bytes())
    for count in ("built", "tiles", "rows", "tiles_done", "tiles_left_out"):
        assert getattr(summary, count) + getattr(other, count) == made[count], count
    assert len([note for note in watching.notes if "another build is at work in this folder" in note]) == 1
    same_as(out, clean)
    assert f"nutonic_places_done_total {summary.finished}\n" in metrics.read_text()
    console.show_summary(summary, out)
    assert f"{other.finished} places were done by another build meanwhile" in capsys.readouterr().out


def test_a_build_alone_tells_of_no_other(clean, tmp_path):
    said = nutonic("build", clean.recipe, "--out", tmp_path / "out", "--workers", "0", "--json")
    assert json.loads(said.out)["by_others"] == 0
    assert "another build" not in said.told


@pytest.mark.parametrize("seed", range(8))
def test_what_others_have_done_is_left_out_and_all_else_handed_out_once_from_either_end(few, tmp_path, seed):
    """To one process and to the lanes of several, whenever it turns."""
    chance = random.Random(seed)
    out = shutil.copytree(few.out, tmp_path / "out")
    plan = read_plan(Store(out))
    left = set(chance.sample(range(len(plan.index)), chance.randint(0, len(plan.index))))
    for batch in left:
        (out / named(batch).path).unlink()
    for hand_out in (_by_itself, _to_lanes):
        jobs = remaining_jobs(plan, Scope(), Committed(whole=frozenset(), single=frozenset()))
        assert jobs.count == len(plan.index)
        jobs.others.met = True
        given = []
        for job in hand_out(jobs, chance):
            given.append(job.index)
            jobs.others.backwards = chance.random() < 0.5
        assert sorted(given) == sorted(left)


def _by_itself(jobs, _):
    yield from jobs


def _to_lanes(jobs, chance):
    lanes, workers = Lanes(jobs, lambda: False), ["a", "b"]
    while (job := lanes.take(chance.choice(workers), workers)) is not None:
        yield job


def test_nothing_is_asked_of_a_store_while_no_other_build_is_met(few):
    class Asked(Store):
        def has(self, path):
            raise AssertionError(path)

    jobs = remaining_jobs(read_plan(Store(few.out)), Scope(), Committed(whole=frozenset(), single=frozenset()))
    jobs = replace(jobs, others=Others(Asked(few.out)))
    assert len(list(jobs)) == jobs.count
