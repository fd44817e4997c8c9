"""Driving a plan: job by job in this process, or over a Dask cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from nutonic.batch import run_batch
from nutonic.errors import Corrupt
from nutonic.jobs import Job, left_to_do, progress_of, scope_of
from nutonic.model import BatchDone, Json
from nutonic.recipe import Recipe
from nutonic.sources.http import take_counts
from nutonic.store.commits import committed
from nutonic.store.files import Store, sealed, unsealed
from nutonic.store.finish import finish, is_finished
from nutonic.store.layout import SUMMARY
from nutonic.store.plans import PlanFile
from nutonic.summary import Summary, Tally
from nutonic.tree import prepare

#: Told of each finished batch, and how many places there are to do in all.
Watch = Callable[[BatchDone, int], None]


def build(
    recipe: Recipe,
    out: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    limit: int | None = None,
    replan: bool = False,
    watch: Watch | None = None,
    stop: Callable[[], bool] | None = None,
) -> Summary:
    """Build a dataset, or go on with one.

    Parameters
    ----------
    recipe
        What to build.
    out
        The folder of the tree. A new or empty one; or one that was built from this recipe, which is resumed.
    workers
        Worker processes on this machine, one per core by default. 0 builds in this process, without dask.
    scheduler
        Address of a running Dask scheduler to use instead.
    limit
        Only the first places by ordinal, their variants included.
    replan
        Search again; what was built from another plan is built anew.
    watch
        Called with each batch's counts as it finishes, and with how many places there are to do.
    stop
        Asked before each batch: once it says yes, what is in flight is finished and no more begun.

    Raises
    ------
    NotNutonic, RecipeChanged
        If the folder is somebody else's, or holds another recipe or another places file; nothing in it is touched.
    StoreError
        If nothing more can be written, as on a full disk; the same call goes on once it can.
    Unreachable
        If the cluster is lost; the same call goes on with another.
    """
    started = time.perf_counter()
    store, plan = prepare(recipe, out, workers=0 if scheduler else workers, replan=replan)
    scope, done = scope_of(plan, limit), committed(store)
    before = progress_of(plan, scope, done)
    total = Tally(lambda result: watch(result, before.left) if watch else None)
    with _runner(recipe, store, workers, scheduler) as run:
        for result in run(_until(stop, left_to_do(plan, scope, done))):
            total.add(result)
    total.met(take_counts())
    after = progress_of(plan, scope, committed(store))
    seconds = round(time.perf_counter() - started, 3)
    summary = replace(total.summary(plan.header), wanted=after.wanted, done_before=before.done, still_open=after.left)
    summary = replace(summary, seconds=seconds, limit=limit)
    _finish(store, recipe, plan, summary)
    return summary


def _until(stop: Callable[[], bool] | None, jobs: Iterable[Job]) -> Iterator[Job]:
    for job in jobs:
        if stop is not None and stop():
            return
        yield job


Run = Callable[[Iterable[Job]], Iterator[BatchDone]]


@contextmanager
def _runner(recipe: Recipe, store: Store, workers: int | None, scheduler: str | None) -> Iterator[Run]:
    """What turns jobs into results: a loop in this process, or a cluster."""
    work = partial(_do, recipe=recipe, store=store)
    if workers == 0 and scheduler is None:
        yield partial(map, work)
        return
    from nutonic.cluster import Cluster, connected, done_by

    with connected(Cluster(workers=workers, scheduler=scheduler)) as client:
        yield partial(done_by, client, work)


def _do(job: Job, recipe: Recipe, store: Store) -> BatchDone:
    return run_batch(job.batch, recipe, store, job.only)


def _finish(store: Store, recipe: Recipe, plan: PlanFile, summary: Summary) -> None:
    """Bring ``data/`` and the card up to date; a tree whose summary speaks of these very commits is not touched."""
    commits = committed(store).digest()
    told = _told(store)
    if not summary.failures and told.get("commits") == commits and is_finished(store, recipe, told["card_sha256"]):
        return
    card = finish(store, recipe, plan, complete=summary.complete and summary.limit is None)
    store.put(SUMMARY, sealed({**asdict(summary), "card_sha256": card, "commits": commits}))


def _told(store: Store) -> Json:
    """What the last summary says; nothing if there is no whole one."""
    try:
        return unsealed(store.get(SUMMARY), SUMMARY)
    except (FileNotFoundError, Corrupt):
        return {}
