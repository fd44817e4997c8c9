"""Driving a plan: in a loop, or over a Dask cluster. The only module that knows distributed."""

from __future__ import annotations

import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutonic.batch import run_batch
from nutonic.cost import default_workers
from nutonic.errors import Corrupt, StoreError, Unreachable, redact
from nutonic.model import Batch, BatchDone, Failure, Json
from nutonic.recipe import Recipe
from nutonic.sources.http import take_counts
from nutonic.store.commits import Committed, committed
from nutonic.store.files import Store, sealed, unsealed
from nutonic.store.finish import finish, is_finished
from nutonic.store.layout import SUMMARY
from nutonic.store.plans import PlanFile
from nutonic.summary import Summary, Tally
from nutonic.tree import prepare

if TYPE_CHECKING:
    from distributed import Client

#: Batches in flight per worker: enough to keep it busy, few enough for driver and scheduler to stay flat.
_IN_FLIGHT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A batch and the places of it that are still to be done."""

    batch: Batch
    only: frozenset[int]


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

    Raises
    ------
    NotNutonic, RecipeChanged
        If the folder is somebody else's, or holds another recipe or another places file; nothing in it is touched.
    """
    started = time.perf_counter()
    store, plan = prepare(recipe, out, workers=0 if scheduler else workers, replan=replan)
    done = committed(store)
    wanted = _within(plan, limit)
    jobs = _jobs(plan, done, wanted)
    to_do = sum(not done.has(*place) for place in wanted)
    total = Tally(lambda result: watch(result, to_do) if watch else None)
    with _runner(recipe, store, workers, scheduler) as run:
        for result in run(jobs):
            total.add(result)
    total.met(take_counts())
    now = committed(store)
    summary = replace(
        total.summary(plan.header),
        wanted=len(wanted),
        done_before=sum(done.has(*place) for place in wanted),
        still_open=sum(not now.has(*place) for place in wanted),
        seconds=round(time.perf_counter() - started, 3),
        limit=limit,
    )
    _finish(store, recipe, plan, summary)
    return summary


def _within(plan: PlanFile, limit: int | None) -> set[tuple[int, int]]:
    """(batch, position) of every place within the limit: the first so many ordinals."""
    ordinals = {place.poi.ordinal for batch in plan.batches() for place in batch.places} if limit is not None else set()
    first = set(sorted(ordinals)[:limit])
    return {
        (batch.index, i)
        for batch in plan.batches()
        for i, place in enumerate(batch.places)
        if limit is None or place.poi.ordinal in first
    }


def _jobs(plan: PlanFile, done: Committed, wanted: set[tuple[int, int]]) -> Iterator[Job]:
    """Batches with what is left to do in them, in order."""
    for batch in plan.batches():
        left = {i for i in range(len(batch.places)) if (batch.index, i) in wanted and not done.has(batch.index, i)}
        if left:
            yield Job(batch=batch, only=frozenset(left))


Run = Callable[[Iterator[Job]], Iterator[BatchDone]]


@contextmanager
def _runner(recipe: Recipe, store: Store, workers: int | None, scheduler: str | None) -> Iterator[Run]:
    """What turns jobs into results: a loop in this process, or a cluster."""
    if workers == 0 and scheduler is None:
        yield lambda jobs: (run_batch(job.batch, recipe, store, job.only) for job in jobs)
        return
    with _client(workers, scheduler) as client:
        yield lambda jobs: _on_cluster(client, jobs, recipe, store)


@contextmanager
def _client(workers: int | None, scheduler: str | None) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="30s")
        except (OSError, ValueError) as error:
            raise Unreachable(f"no Dask scheduler answers at {scheduler}: {type(error).__name__}") from None
        with client:
            yield client
        return
    count = default_workers() if workers is None else workers
    with _interrupts_ignored():
        cluster = LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL")
    with cluster, Client(cluster) as client:
        yield client


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started in here leave Ctrl-C, which a terminal sends to all of them, to this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _on_cluster(client: Client, jobs: Iterator[Job], recipe: Recipe, store: Store) -> Iterator[BatchDone]:
    """Results as they come; only a window of batches is in flight, and only counts come back."""
    from distributed import as_completed

    run = uuid.uuid4().hex  # several builds may share a scheduler
    arriving = as_completed(with_results=True, raise_errors=False)
    waiting: dict[str, Job] = {}

    def send() -> None:
        window = _IN_FLIGHT * max(1, len(client.scheduler_info()["workers"]))
        while len(waiting) < window and (job := next(jobs, None)) is not None:
            future = client.submit(run_batch, job.batch, recipe, store, job.only, key=f"{_key(job)}-{run}", pure=False)
            waiting[_key(job)] = job
            arriving.add(future)

    send()
    for group in arriving.batches():
        for future, result in group:
            yield _result(waiting.pop(future.key.removesuffix(f"-{run}")), result)
            future.release()
        send()


def _key(job: Job) -> str:
    return f"batch-{job.batch.index:06d}"


def _result(job: Job, result: Any) -> BatchDone:
    """A batch's counts; if the batch itself was lost, all its places stay open. A store that fails stops the run."""
    if isinstance(result, BatchDone):
        return result
    error = result[1] if isinstance(result, tuple) else result
    if isinstance(error, StoreError):
        raise error
    text = redact(f"{type(error).__name__}: {error}")
    names = [job.batch.places[i].poi.id for i in sorted(job.only)]
    return BatchDone(index=job.batch.index, failures=tuple(Failure(poi_id=n, asset=None, error=text) for n in names))


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
