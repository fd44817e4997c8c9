"""Jobs on a Dask cluster: the only module that knows distributed.

A window of jobs is in flight; each brings back counts. A job whose worker dies is done again by another one; a job that
dask gives up, since every worker that had it died, is looked into place by place, alone on the cluster.
"""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nutonic.cost import default_workers
from nutonic.errors import StoreError, Unreachable, redact
from nutonic.jobs import Job
from nutonic.model import BatchDone, Failure

if TYPE_CHECKING:
    from distributed import Client

#: Jobs in flight per worker: enough to keep it busy, few enough for driver and scheduler to stay flat.
_IN_FLIGHT = 3

#: Seconds without any worker after which a build gives up; a cluster that scales or restarts takes less.
NO_WORKER_S = 120.0

#: Does a job; what is submitted.
Work = Callable[[Job], BatchDone]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where to find workers."""

    workers: int | None = None
    """How many to start on this machine; None for one per core."""
    scheduler: str | None = None
    """Address of a running scheduler to use instead."""


@contextmanager
def connected(cluster: Cluster) -> Iterator[Client]:
    """A client of the cluster; workers that were started here are stopped again.

    Raises
    ------
    Unreachable
        If no scheduler answers.
    """
    from distributed import Client, LocalCluster

    if cluster.scheduler is not None:
        try:
            client = Client(cluster.scheduler, timeout="30s")
        except (OSError, ValueError) as error:
            raise Unreachable(f"no Dask scheduler answers at {cluster.scheduler}: {type(error).__name__}") from None
        with client:
            yield client
        return
    count = default_workers() if cluster.workers is None else cluster.workers
    with _interrupts_ignored():
        local = LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL")
    with local, Client(local) as client:
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


def done_by(client: Client, work: Work, jobs: Iterable[Job]) -> Iterator[BatchDone]:
    """Results as they come.

    Raises
    ------
    StoreError
        If a worker cannot write.
    Unreachable
        If the scheduler is lost, or there has been no worker for two minutes.
    """
    suspects: list[Job] = []
    for job, result in _results(client, work, jobs):
        if _killed(result):
            suspects += job.alone()
        else:
            yield _counts(job, result)
    for suspect in suspects:  # one at a time: a worker's death is blamed on all that it had
        for job, result in _results(client, work, [suspect]):
            yield _counts(job, result)


def _results(client: Client, work: Work, jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
    """Jobs with what became of them, in the order of that; a window of them at a time."""
    from distributed import as_completed

    run = uuid.uuid4().hex  # several builds may share a scheduler, and a suspect is submitted again
    arriving = as_completed(with_results=True, raise_errors=False)
    waiting: dict[str, Job] = {}
    queue = iter(jobs)

    def send() -> None:
        window = _IN_FLIGHT * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        while len(waiting) < window and (job := next(queue, None)) is not None:
            key = f"nutonic-{job.name}-{run}"
            waiting[key] = job
            arriving.add(client.submit(work, job, key=key, pure=False))

    with _watched(client) as lost:
        send()
        for group in arriving.batches():
            for future, result in group:
                if lost.is_set() or _is_cancelled(result):
                    raise _gone(client)
                yield waiting.pop(future.key), result
                future.release()
            send()


@contextmanager
def _watched(client: Client) -> Iterator[threading.Event]:
    """An event that is set once there has been no worker, or no scheduler, for too long; what is in flight is cancelled."""
    lost, over = threading.Event(), threading.Event()

    def watch() -> None:
        alone_s = 0.0
        while not over.wait(1.0):
            alone_s = alone_s + 1.0 if not _has_workers(client) else 0.0
            if alone_s >= NO_WORKER_S:
                lost.set()
                client.cancel(list(client.futures.values()), force=True)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join(5)


def _has_workers(client: Client) -> bool:
    return client.status == "running" and bool(client.scheduler_info(n_workers=1)["workers"])


def _gone(client: Client) -> Unreachable:
    address = client.scheduler.address if client.scheduler else "its address"
    if client.status == "running":
        return Unreachable(f"no worker at {address} for {NO_WORKER_S:.0f} s: start some and run the same command again")
    return Unreachable(f"the Dask scheduler at {address} is gone: start it and run the same command again")


def _error(result: Any) -> BaseException | None:
    found = result[1] if isinstance(result, tuple) else result
    return found if isinstance(found, BaseException) else None


def _killed(result: Any) -> bool:
    from distributed.scheduler import KilledWorker

    return isinstance(_error(result), KilledWorker)


def _is_cancelled(result: Any) -> bool:
    from asyncio import CancelledError

    return isinstance(_error(result), CancelledError)


def _counts(job: Job, result: Any) -> BatchDone:
    """A job's counts; if the job itself was lost, all its places stay open. A store that fails stops the run."""
    if isinstance(result, BatchDone):
        return result
    error = _error(result)
    if isinstance(error, StoreError):
        raise error
    text = "it killed every worker that tried it" if _killed(result) else redact(f"{type(error).__name__}: {error}")
    failures = tuple(Failure(poi_id=place.poi.id, asset=None, error=text) for place in job.places)
    return BatchDone(index=job.batch.index, failures=failures)
