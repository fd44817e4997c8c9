"""Quick jobs go out several as one task; what becomes of each is as if it had gone alone."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import pytest
from support.clusters import cluster
from support.jobs import failing_at, jobs
from support.paths import ROOT

from nutonic import load_recipe
from nutonic.run.callbacks import Callback
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.clusters.groups import Group, GroupDone, Pace, do_each, each_done, grouped
from nutonic.run.executor import run_jobs, workers_for
from nutonic.run.jobs import Job
from nutonic.run.results import Hangs
from nutonic.sources.factory import sources_of


def paced(*ends: tuple[float, int]) -> Pace:
    """Tasks that ended at these seconds, with so many jobs."""
    clock = iter([at for at, _ in ends])
    pace = Pace(lambda: next(clock))
    for _, count in ends:
        pace.end(jobs(1)[0] if count == 1 else Group(tuple(jobs(count))))
    return pace


@pytest.mark.parametrize(
    ("seconds", "count", "left", "threads", "most"),
    [
        (0.25, 1, 10_000, 1, 8),  # two seconds
        (0.25, 1, 10_000, 2, 4),  # two threads end twice as many
        (1.0, 4, 10_000, 1, 8),  # the same, four by four
        (1e-9, 1, 10_000, 1, 16),
        (0.0, 1, 10_000, 1, 16),
        (1.2, 1, 10_000, 1, 1),
        (7.0, 1, 10_000, 1, 1),
        (0.0625, 1, 100, 1, 12),  # what is left is enough for eight tasks of each thread
        (0.0625, 1, 100, 3, 4),
        (0.0625, 1, 15, 1, 1),
        (0.0625, 1, 0, 1, 1),
    ],
)
def test_a_task_takes_two_seconds_at_most_and_many_are_left_for_all(seconds, count, left, threads, most):
    pace = paced(*((k * seconds, count) for k in range(40)))
    assert pace.most(left, threads) == most


def test_before_it_is_known_how_long_jobs_take_each_goes_alone():
    assert [paced(*((0.0, 1) for _ in range(count))).most(10_000, 1) for count in (0, 7, 8)] == [1, 1, 16]


def test_how_long_they_take_is_told_by_the_last_ones():
    assert paced(*((10.0 * k, 1) for k in range(20)), *((190.0 + k / 4, 1) for k in range(40))).most(9999, 1) == 8


def test_jobs_are_taken_until_there_are_enough_or_none():
    queue = iter(jobs(9))

    def take() -> Job | None:
        return next(queue, None)

    taken = list(islice(iter(lambda: grouped(take, 4), None), 9))
    assert [len(job.jobs) if isinstance(job, Group) else 1 for job in taken] == [4, 4, 1]
    assert taken[0].name == "000000+3"
    assert taken[0].index == 0
    assert pickle.loads(pickle.dumps(taken[0])).jobs == taken[0].jobs
    assert [part.name for part in taken[1].split()] == [f"{k:06d}-00{at}" for k in (4, 5, 6, 7) for at in (0, 1)]
    assert grouped(take, 4) is None


def test_what_follows_one_that_raises_is_done_again_and_so_is_itself():
    group, again = Group(tuple(jobs(4))), list[Job]()
    result = do_each(group, lambda job: failing_at(job, 2), lambda: False)
    assert [job.index for job, _ in each_done(group, result, again.extend)] == [0, 1]
    assert [job.index for job in again] == [2, 3]
    with pytest.raises(ValueError, match="no good"):
        do_each(again[0], lambda job: failing_at(job, 2), lambda: False)


def test_those_that_are_not_begun_since_it_is_to_stop_are_left():
    group, again, begun = Group(tuple(jobs(3))), list[Job](), list[Job]()
    result = do_each(group, begun.append, lambda: len(begun) == 2)
    assert result == GroupDone((None, None, None))
    assert (begun, [done for _, done in each_done(group, result, again.extend)], again) == (
        [*group.jobs[:2]],
        [None] * 3,
        [],
    )
    assert [done for _, done in each_done(group, None, again.extend)] == [None] * 3  # none was begun
    assert again == []


@pytest.mark.parametrize("lost", [Hangs("it did not end"), (None, RuntimeError("its workers died"), None)])
def test_jobs_that_are_lost_together_are_done_again_one_by_one(lost):
    group, again = Group(tuple(jobs(3))), list[Job]()
    assert list(each_done(group, lost, again.extend)) == []
    assert again == [*group.jobs]
    assert list(each_done(again[0], lost, again.extend)) == [(again[0], lost)]


class Quick:
    """Jobs in an order, of which nobody knows how long they take."""

    count = 600

    backwards = False

    def between(self, first: int, end: int) -> Iterator[Job]:
        return (replace(job, positions=frozenset()) for job in jobs(end)[first:])  # without places that could fail


@pytest.mark.long
@pytest.mark.cluster
def test_many_quick_jobs_are_few_tasks_and_each_is_told_once(clean, tmp_path):
    sources = sources_of(load_recipe(clean.recipe))
    with (
        cluster(tmp_path / "cluster", PYTHONPATH=ROOT / "tests") as dask,
        workers_for(sources, tmp_path / "out", Cluster(scheduler=dask.address), Callback()) as pool,
    ):
        told = list(run_jobs(pool, partial(failing_at, failing=300), Callback(), Quick()))
        keys = pool.client.run_on_scheduler(lambda dask_scheduler: {str(t[0]) for t in dask_scheduler.transition_log})
        seen = pool.client.run_on_scheduler(lambda: {*sys.modules})
    assert sorted(each.index for each in told) == list(range(600))
    assert [each.index for each in told if not each.finished] == [300]
    tasks = [key.rsplit("-", 1)[0] for key in keys if key.startswith("nutonic-0")]
    assert tasks.count("nutonic-000300") == 1  # at last it went alone
    assert len(tasks) <= 150
    assert "support.jobs" not in seen  # the scheduler hands on what is done with them, and does not unpack it
