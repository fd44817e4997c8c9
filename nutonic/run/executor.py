"""Jobs on a Dask cluster.

A window of jobs is in flight; each brings back counts. A job whose worker dies is done again by another one; a job that
dask gives up, since every worker that ran it died, is split into its places, which run one at a time.
"""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nutonic.core.units import counted
from nutonic.dataset.parts.each import Each, here
from nutonic.errors import NutonicError, StoreError, Unreachable
from nutonic.heap import settled
from nutonic.io.buckets.address import AnyPath
from nutonic.planning.cost import default_workers
from nutonic.run.callbacks import Callback, Note, StageBegun, WorkersChanged
from nutonic.run.clusters.cluster import MALLOC_BUILD, Cluster, connected, dashboard_note
from nutonic.run.clusters.flight import Flight
from nutonic.run.clusters.groups import Pace, each_done, grouped
from nutonic.run.clusters.lanes import Lanes
from nutonic.run.dask_report import reported
from nutonic.run.jobs import AnyJob, Job, Jobs
from nutonic.run.preflight import WorkerPool, worker_pool
from nutonic.run.results import BatchDone, Hangs, failures_of_lost
from nutonic.run.silence import watched
from nutonic.sources.factory import AnySources
from nutonic.sources.source import Account

if TYPE_CHECKING:
    from distributed import Client, Future

_log = logging.getLogger(__name__)

#: Jobs in flight per thread of a worker: enough to keep it busy, few enough for driver and scheduler to stay flat.
_IN_FLIGHT = 3

#: Seconds between checks for a stop request and for workers.
_LOOK_S = 0.5

#: Seconds between polls for results, which take seconds to come.
_POLL_S = 0.02

#: Parts that are worked on, or are done and wait for one before them, at most.
_HELD_PARTS = 64

#: A function that does a job.
Work = Callable[[Any], Any]


@contextmanager
def workers_for(
    sources: AnySources | tuple[()],
    out: AnyPath,
    cluster: Cluster,
    callback: Callback,
    accounts: Sequence[Account] | None = None,
    *,
    reading: bool = False,
) -> Iterator[WorkerPool]:
    """Workers that are checked and set up; `accounts` are the services that they ask, by default those of the sources.

    `reading`: whether they only read a tree that is there.

    Raises
    ------
    InputError
        If a worker cannot do the work; nothing has been done.
    Unreachable
        If no scheduler answers, or it is lost.
    """
    elsewhere, patience = cluster.scheduler is not None, cluster.waits
    root = out.absolute() if elsewhere else None
    callback.on_stage(StageBegun(text="connecting to workers" if elsewhere else f"starting {_count_of(cluster)}"))
    with (
        connected(cluster, MALLOC_BUILD) as client,
        _lost_scheduler_raised(client),
        watched(client, lambda line: callback.on_note(Note(text=line)), patience.silent_s) as watch,
        worker_pool(
            client, sources, root, cluster.max_requests, accounts, reading=reading, watch=watch, patience=patience
        ) as pool,
        reported(client, cluster.performance_report, callback),
    ):
        if (note := dashboard_note(client, cluster)) is not None:
            callback.on_note(note)
        if elsewhere and not client.nthreads():
            callback.on_workers(WorkersChanged(there=0, lost=0))
        yield pool


def _count_of(cluster: Cluster) -> str:
    count = default_workers() if cluster.workers is None else cluster.workers
    return counted(count, "worker")


def results_of(
    pool: WorkerPool | None, work: Work, callback: Callback, jobs: Iterable[AnyJob | None]
) -> Iterator[BatchDone]:
    """Results as they come, here or from workers, until all is done or a stop is requested.

    A job that is None is none for now: the next one is asked for once there is another result.
    """
    return _here(work, callback, jobs) if pool is None else run_jobs(pool, work, callback, jobs)


def _here(work: Work, callback: Callback, jobs: Iterable[AnyJob | None]) -> Iterator[BatchDone]:
    """Results of jobs that are done in this process, one after another."""
    patient: Any = work
    with settled():
        if isinstance(patient, ReadsAhead) and isinstance(jobs, Jobs) and patient.reads_ahead:
            yield from _read_ahead(patient, callback, jobs)
        else:
            yield from (work(job) for job in _until_stopped(callback, jobs) if job is not None)


@runtime_checkable
class ReadsAhead(Protocol):
    """Work that waits for what it reads; so what the next job needs may be read while one is worked on."""

    @property
    def reads_ahead(self) -> bool:
        """Whether it may."""
        ...

    def begin(self, job: Any) -> Reading:
        """Begin to read what a job needs."""
        ...

    def __call__(self, job: Any, begun: Any, then: Callable[[], None]) -> BatchDone:
        """Do a job that was begun; `then` is called whenever there is room to read more, to begin the next."""
        ...


class Reading(Protocol):
    """What is being read of a job."""

    @property
    def left(self) -> int:
        """How many parts of it nobody works on yet."""
        ...

    @property
    def most(self) -> int:
        """Of how many such parts, of all jobs together, no more is begun."""
        ...


def _read_ahead(work: ReadsAhead, callback: Callback, jobs: Jobs) -> Iterator[BatchDone]:
    """Results of jobs, one after another, each begun while those before it are worked on."""
    queue, begun = iter(jobs), deque[tuple[Job, Reading]]()
    now: Reading | None = None

    def begin() -> None:
        while not callback.stop_requested():
            every = [*([] if now is None else [now]), *(each for _, each in begun)]
            most = max((each.most for each in every), default=1)
            if sum(each.left for each in every) >= most or len(begun) >= most or (job := next(queue, None)) is None:
                return
            begun.append((job, work.begin(job)))

    begin()
    while begun and not callback.stop_requested():
        job, now = begun.popleft()
        yield work(jobs.with_known(job), now, begin)
        if not begun:  # there was nothing to read
            begin()


def _until_stopped(callback: Callback, jobs: Iterable[AnyJob | None]) -> Iterator[AnyJob | None]:
    for job in jobs:
        if callback.stop_requested():
            return
        yield job


def run_jobs(pool: WorkerPool, work: Work, callback: Callback, jobs: Iterable[AnyJob | None]) -> Iterator[BatchDone]:
    """Results as they come; once a stop is requested, those of the jobs that have begun.

    Raises
    ------
    StoreError
        If a worker cannot write, or one that joined later cannot do the work.
    Unreachable
        If the scheduler is lost, or there has been no worker for two minutes.
    """
    suspects: list[AnyJob] = []
    for job, result in _results(pool, work, callback, jobs):
        if _is_killed(result):
            _log.info("batch %s killed its workers: its places are tried one by one", job.name)
            suspects += job.split()
        elif result is not None:
            yield _batch_done(job, result)
    for suspect in suspects:  # one at a time: a worker's death is blamed on all that it had
        for job, result in _results(pool, work, callback, [] if callback.stop_requested() else [suspect]):
            if result is not None:
                yield _batch_done(job, result)


def _results(
    pool: WorkerPool, work: Work, callback: Callback, jobs: Iterable[AnyJob | None]
) -> Iterator[tuple[AnyJob, Any]]:
    """Each job with its result, in order of completion; None for a job that was not begun. A limited number is in flight."""
    from distributed import as_completed

    from nutonic.run.worker import packed

    client, task, flight = pool.client, pool.submitted(work), Flight(pool)
    # With the loop of its own: the default is that of the current client, such as a notebook's, on which news is lost.
    completed = as_completed(loop=client.loop, with_results=True, raise_errors=False)
    lanes, pace = Lanes(jobs, callback.stop_requested), Pace()

    def submit() -> None:
        threads = pool.ready()
        while (worker := flight.idlest(threads, _IN_FLIGHT)) is not None:
            most = pace.most(lanes.left, max(1, sum(threads.values())))
            job = flight.waiting.pop() if flight.waiting else grouped(partial(lanes.take, worker, threads), most)
            if job is None:
                return
            # Several builds may share a scheduler, and a job is submitted again where it was not done.
            key = f"nutonic-{job.name}-{uuid.uuid4().hex}"
            # Others may have it: if this one is gone, or has more to do than they.
            placed = {"workers": [worker], "allow_other_workers": True} if worker else {}
            future = client.submit(task, packed(job), key=key, pure=False, **placed)
            flight.begin(job, future, worker)
            completed.add(future)

    with _monitored(pool, callback) as lost:
        submit()
        while flight.jobs or flight.waiting:
            pool.tell_changes(callback)
            # Not `batches()`: of a future whose scheduler is lost while its result is fetched, dask never tells.
            group = completed.next_batch(block=False)
            for job, result in chain(_landed(flight, pace, group), flight.given_up(callback)):
                yield from each_done(job, result, flight.waiting.extend)
            if callback.stop_requested() and (not flight.jobs or pool.waits_in_vain(flight.jobs)):
                break
            if group or flight.waiting:
                submit()
            if not group and lost.wait(_POLL_S):
                raise _no_worker(pool) if client.status == "running" else _scheduler_gone(client)
        pool.tell_last_changes(callback)


@dataclass(frozen=True, slots=True)
class _PartJob:
    """A part of a work as a job."""

    index: int
    part: Any

    @property
    def name(self) -> str:
        return f"part-{self.index:06d}"

    @property
    def ids(self) -> list[str]:
        return []

    def split(self) -> list[_PartJob]:
        return [self]


@dataclass(frozen=True, slots=True)
class _PartWork:
    """What is done with such a job."""

    work: Callable[[Any], Any]

    def __call__(self, job: _PartJob) -> Any:
        return _Made(self.work(job.part))


@dataclass(frozen=True, slots=True)
class _Made:
    """What came of a part: whatever else a worker gives is none."""

    value: Any


def each_of(pool: WorkerPool | None, callback: Callback) -> Each:
    """Who does parts of a work: the workers, or this process where there are none.

    A part that a worker takes with it, or does not end, is done by another, and at last here.
    """
    if pool is None:
        return here
    quiet = _Unstopped(callback)

    def each(work: Callable[[Any], Any], parts: Iterable[Any], /) -> Iterator[Any]:
        queue, ready, taken, given = enumerate(parts), dict[int, Any](), 0, 0

        def jobs() -> Iterator[_PartJob | None]:
            nonlocal taken
            for index, part in queue:
                taken = index + 1
                yield _PartJob(index, part)
                while taken - given >= _HELD_PARTS:
                    yield None

        for job, result in _results(pool, _PartWork(work), quiet, jobs()):
            error = _error(result)
            if error is not None and not (_is_killed(result) or isinstance(error, Hangs)):
                raise error
            assert isinstance(job, _PartJob), "there are no others"
            ready[job.index] = result.value if isinstance(result, _Made) else work(job.part)
            while given in ready:
                yield ready.pop(given)
                given += 1

    return each


class _Unstopped(Callback):
    """Hears what others hear, and never asks to stop: what is begun of a tree is finished."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def on_note(self, event: Note, /) -> None:
        self._callback.on_note(event)

    def on_workers(self, event: WorkersChanged, /) -> None:
        self._callback.on_workers(event)


def _landed(flight: Flight, pace: Pace, group: Iterable[tuple[Future[Any], Any]]) -> Iterator[tuple[AnyJob, Any]]:
    """Each job that has ended, with its result; one whose worker has no share of the requests waits for another."""
    from nutonic.run.worker import NoShare

    for future, result in group:
        if (job := flight.land(str(future.key))) is None:  # it was taken from its worker
            continue
        if _is_cancelled(result):
            raise _scheduler_gone(flight.pool.client)
        future.release()
        if isinstance(result, NoShare):
            flight.pool.shareless.add(result.worker)
            flight.waiting.append(job)
        else:
            pace.end(job)
            yield job, result


@contextmanager
def _lost_scheduler_raised(client: Client) -> Iterator[None]:
    """Raise :class:`Unreachable` for what dask raises when its scheduler is gone."""
    import asyncio  # which a build without workers does without

    try:
        yield
    except NutonicError:
        raise
    except (OSError, RuntimeError, asyncio.CancelledError):
        time.sleep(_LOOK_S)  # the client may hear of it a moment later
        if client.status == "running":
            raise
        raise _scheduler_gone(client) from None


@contextmanager
def _monitored(pool: WorkerPool, callback: Callback) -> Iterator[threading.Event]:
    """An event that is set once the scheduler is lost, or there has been no worker for too long.

    Meanwhile a stop request is passed on to the workers, and requests are shared out among those present.
    """
    lost, over = threading.Event(), threading.Event()

    def find_lost() -> None:
        last_seen = time.monotonic()
        while not over.wait(_LOOK_S):
            if _has_workers(pool.client):
                last_seen = time.monotonic()
            if pool.client.status != "running" or time.monotonic() - last_seen >= pool.patience.none_s:
                lost.set()
                return

    # A worker that does not answer keeps whoever asks it, and nobody else.
    asking = (
        partial(_pass_on_stop, pool, callback, over),
        partial(_share, pool, over),
        partial(_pass_on_pauses, pool, over),
    )
    threads = [threading.Thread(target=work, daemon=True) for work in (find_lost, *asking)]
    for thread in threads:
        thread.start()
    try:
        yield lost
    finally:
        over.set()
        for thread in threads:
            thread.join(_LOOK_S)


def _pass_on_stop(pool: WorkerPool, callback: Callback, over: threading.Event) -> None:
    while not over.wait(_LOOK_S):
        if callback.stop_requested():
            with suppress(Exception):  # the driver's own thread finds out what there is to raise
                pool.cancel()
            return


def _share(pool: WorkerPool, over: threading.Event) -> None:
    while not over.wait(_LOOK_S):
        with suppress(Exception):
            pool.share_requests()


def _pass_on_pauses(pool: WorkerPool, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(Exception):
            pool.pass_on_pauses(_LOOK_S)


def _has_workers(client: Client) -> bool:
    try:
        return client.status == "running" and bool(client.scheduler_info(n_workers=1)["workers"])
    except (KeyError, OSError, RuntimeError):
        return False


def _no_worker(pool: WorkerPool) -> Unreachable:
    waited = f"no worker at {_address(pool.client)} for {pool.patience.none_s:.0f} s"
    return Unreachable(f"{waited}: start some and run the same command again")


def _scheduler_gone(client: Client) -> Unreachable:
    return Unreachable(f"the Dask scheduler at {_address(client)} is gone: start it and run the same command again")


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler else "its address"


def _error(result: Any) -> BaseException | None:
    error = result[1] if isinstance(result, tuple) else result
    return error if isinstance(error, BaseException) else None


def _is_killed(result: Any) -> bool:
    from distributed.scheduler import KilledWorker

    return isinstance(_error(result), KilledWorker)


def _is_cancelled(result: Any) -> bool:
    import asyncio

    return isinstance(_error(result), asyncio.CancelledError | concurrent.futures.CancelledError)


def _batch_done(job: AnyJob, result: Any) -> BatchDone:
    """A job's counts; if the job itself was lost, all its places stay open.

    A store that fails stops the run, and so does a library that cannot be used: no place would fare better.
    """
    if isinstance(result, BatchDone):
        return result
    error = _error(result)
    if isinstance(error, StoreError | ImportError):
        raise error
    failures = failures_of_lost(job.ids, None if _is_killed(result) else error)
    return BatchDone(index=job.index, failures=failures)
