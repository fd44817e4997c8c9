"""Driving a plan: job by job in this process, or over a Dask cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nutonic.core.model import Json
from nutonic.dataset import card
from nutonic.dataset.commits import committed
from nutonic.dataset.finalize import finalize, is_finalized
from nutonic.errors import Corrupt, InputError
from nutonic.io.http import take_counts
from nutonic.io.limits import IN_FLIGHT, limiter
from nutonic.io.objects import Store, sealed, unsealed
from nutonic.planning.layout import COMMITS, PLAN, RECIPE, SUMMARY
from nutonic.planning.ownership import refuse_foreign
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.prepare import prepare, refuse_inputs_inside
from nutonic.recipe.recipe import Recipe
from nutonic.run.batch import run_batch
from nutonic.run.cluster import Cluster
from nutonic.run.dask_report import refuse_impossible
from nutonic.run.executor import done_by, workers_for
from nutonic.run.jobs import Job, left_to_do, progress_of, scope_of
from nutonic.run.preflight import WorkerPool
from nutonic.run.read import most_requests, session_of
from nutonic.run.results import BatchDone, Failure, Summary, Tally, once_more
from nutonic.sources.earthengine.session import signed_in

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
    max_requests: int | None = None,
    dashboard: bool = False,
    performance_report: str | Path | None = None,
    watch: Watch | None = None,
    stop: Callable[[], bool] | None = None,
    tell: Callable[[str], None] | None = None,
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
    max_requests
        HTTP requests in flight at most, in all workers together; by default eight in each, forty where Earth Engine is.
    dashboard
        Whether workers on this machine get Dask's dashboard.
    performance_report
        File for Dask's performance report, an HTML page.
    watch
        Called with each batch's counts as it finishes, and with how many places there are to do.
    stop
        Asked again and again, on a cluster by another thread too: once it says yes, what has begun is finished, and no
        other batch begun.
    tell
        Called with lines for a person, such as where the dashboard is, or that a card which was changed is kept.

    Raises
    ------
    InputError
        If an input lies in `out`, or a worker elsewhere has other versions or sees other files; nothing is done then.
    NotNutonic, RecipeChanged
        If the folder is somebody else's, has a link in it, or holds another recipe or places file; nothing is touched.
    StoreError
        If nothing more can be written, as on a full disk; the same call goes on once it can.
    Unreachable
        If the cluster is lost; the same call goes on with another.
    """
    most = most_requests(recipe, max_requests)
    how: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "max_requests": most}
    cluster = Cluster(**how, dashboard=dashboard, report=performance_report, tell=tell or _ignore)
    return _build(recipe, Path(out), cluster, _Extent(limit=limit, replan=replan), watch or _ignore, stop or _never)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    limit: int | None
    replan: bool


def _build(
    recipe: Recipe, out: Path, cluster: Cluster, extent: _Extent, watch: Watch, stop: Callable[[], bool]
) -> Summary:
    started = time.perf_counter()
    refuse_impossible(cluster.report, cluster=not cluster.is_none)
    refuse_foreign(out)
    refuse_inputs_inside(recipe, out)
    with ExitStack() as stack:
        stack.enter_context(limiter.resized(min(IN_FLIGHT, cluster.max_requests or IN_FLIGHT)))
        # Workers elsewhere are asked first whether they can do it.
        worker_pool = stack.enter_context(workers_for(recipe, out, cluster)) if cluster.scheduler is not None else None
        store, plan = _planned(recipe, out, extent.replan, cluster, worker_pool)
        scope, done = scope_of(plan, extent.limit), committed(store)
        before = progress_of(plan, scope, done)
        session = session_of(recipe) if before.left else None
        if session is not None:  # who is not let in is told so once, and not at every place
            with signed_in(session):
                pass
        total = Tally(lambda result: watch(result, before.left))
        if worker_pool is None and not cluster.is_none and before.left:
            worker_pool = stack.enter_context(workers_for(recipe, out, cluster))
        work = partial(_do, recipe=recipe, store=store, plan=plan.digest)
        run = partial(map, work) if worker_pool is None else partial(done_by, worker_pool, work, stop)
        for result in run(_until(stop, left_to_do(plan, scope, done))):
            total.add(result)
    total.met(take_counts())
    after = progress_of(plan, scope, committed(store))
    seconds = round(time.perf_counter() - started, 3)
    summary = replace(total.summary(plan.header), wanted=after.wanted, done_before=before.done, still_open=after.left)
    failures = once_more(summary.failures, _failed_before(store))
    summary = replace(summary, failures=failures, seconds=seconds, limit=extent.limit)
    _finish(store, recipe, plan, summary)
    if card.is_theirs(store):
        cluster.tell(f"{out}/{card.KEPT}")
    return summary


def _ignore(*_: object) -> None:
    pass


def _never() -> bool:
    return False


def _until(stop: Callable[[], bool], jobs: Iterable[Job]) -> Iterator[Job]:
    for job in jobs:
        if stop():
            return
        yield job


def _planned(
    recipe: Recipe, out: Path, replan: bool, cluster: Cluster, worker_pool: WorkerPool | None
) -> tuple[Store, PlanFile]:
    """The tree's plan; made now and refused by workers that do not see what it reads, it is not kept."""
    new = not (out / PLAN).is_file()
    store, plan = prepare(recipe, out, workers=cluster.workers if worker_pool is None else 0, replan=replan)
    try:
        if worker_pool is not None:
            worker_pool.must_see(plan.scenes)
    except InputError:
        for path in (PLAN, RECIPE, *plan.beside) if new and not any(store.sizes(COMMITS)) else ():
            store.delete(path)
        raise
    return store, plan


def _do(job: Job, recipe: Recipe, store: Store, plan: str) -> BatchDone:
    return run_batch(job.batch, recipe, store, job.only, plan=plan)


def _finish(store: Store, recipe: Recipe, plan: PlanFile, summary: Summary) -> None:
    """Bring ``data/`` and the card up to date; a tree whose summary speaks of these very commits is not touched."""
    commits = committed(store).digest()
    told = _told(store)
    if (
        not summary.failures
        and told.get("commits") == commits
        and is_finalized(store, recipe, plan, told["card_sha256"])
    ):
        return
    written = finalize(store, recipe, plan, complete=summary.complete and summary.limit is None)
    store.put(SUMMARY, sealed({**asdict(summary), "card_sha256": written, "commits": commits}))


def _failed_before(store: Store) -> dict[str, Failure]:
    """Places that earlier builds failed at, as the last summary tells."""
    return {told["poi_id"]: Failure(**told) for told in _told(store).get("failures", [])}


def _told(store: Store) -> Json:
    """What the last summary says; nothing if there is no whole one."""
    try:
        return unsealed(store.get(SUMMARY), SUMMARY)
    except (FileNotFoundError, Corrupt):
        return {}
