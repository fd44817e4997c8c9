"""Jobs on a Dask cluster.

A window of jobs is in flight; each brings back counts. A job whose worker dies is done again by another one; a job that
dask gives up, since every worker that had it died, is looked into place by place, alone on the cluster.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutonic.errors import NutonicError, StoreError, Unreachable
from nutonic.recipe.recipe import Recipe
from nutonic.run.cluster import Cluster, connected, tell_dashboard
from nutonic.run.dask_report import reported
from nutonic.run.jobs import Job
from nutonic.run.preflight import WorkerPool, threads, worker_pool
from nutonic.run.results import BatchDone, lost

if TYPE_CHECKING:
    from distributed import Client

#: Jobs in flight per thread of a worker: enough to keep it busy, few enough for driver and scheduler to stay flat.
_IN_FLIGHT = 3

#: Seconds without any worker after which a build gives up; a cluster that scales or restarts takes less.
NO_WORKER_S = 120.0

#: Seconds between looks at whether the build is to stop, and whether there are workers.
_LOOK_S = 0.5

#: Seconds between looks for results, which take seconds to come.
_POLL_S = 0.02

#: Whether the build is to stop.
Stop = Callable[[], bool]

#: Does a job.
Work = Callable[[Job], BatchDone]


@contextmanager
def workers_for(recipe: Recipe, out: Path, cluster: Cluster) -> Iterator[WorkerPool]:
    """Workers that are checked and set up.

    Raises
    ------
    InputError
        If a worker cannot do the work; nothing has been done.
    Unreachable
        If no scheduler answers, or it is lost.
    """
    elsewhere = cluster.scheduler is not None
    with (
        connected(cluster) as client,
        _losses(client),
        worker_pool(client, recipe, out.absolute() if elsewhere else None, cluster.max_requests) as ready,
        reported(client, cluster.report, cluster.tell),
    ):
        tell_dashboard(client, cluster)
        yield ready


def done_by(ready: WorkerPool, work: Work, stop: Stop, jobs: Iterable[Job]) -> Iterator[BatchDone]:
    """Results as they come; once `stop` says yes, those of the jobs that have begun.

    Raises
    ------
    StoreError
        If a worker cannot write, or one that joined later cannot do the work.
    Unreachable
        If the scheduler is lost, or there has been no worker for two minutes.
    """
    suspects: list[Job] = []
    for job, result in _results(ready, work, stop, jobs):
        if _killed(result):
            suspects += job.alone()
        elif result is not None:
            yield _counts(job, result)
    for suspect in suspects:  # one at a time: a worker's death is blamed on all that it had
        for job, result in _results(ready, work, stop, [] if stop() else [suspect]):
            if result is not None:
                yield _counts(job, result)


def _results(ready: WorkerPool, work: Work, stop: Stop, jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
    """Jobs with what became of them, in the order of that, None if they were not begun; a window of them at a time."""
    from distributed import as_completed

    client, task = ready.client, ready.submitted(work)
    run = uuid.uuid4().hex  # several builds may share a scheduler, and a suspect is submitted again
    arriving = as_completed(with_results=True, raise_errors=False)
    waiting: dict[str, Job] = {}
    queue = iter(jobs)

    def send() -> None:
        window = _IN_FLIGHT * max(1, threads(client))
        while len(waiting) < window and (job := next(queue, None)) is not None:
            key = f"nutonic-{job.name}-{run}"
            waiting[key] = job
            arriving.add(client.submit(task, job, key=key, pure=False))

    with _watched(ready, stop) as lost:
        send()
        while waiting:
            # Not `batches()`: of a future whose scheduler is lost while its result is fetched, dask never tells.
            group = arriving.next_batch(block=False)
            for future, result in group:
                if _is_cancelled(result):
                    raise _scheduler_gone(client)
                yield waiting.pop(future.key), result
                future.release()
            if group:
                send()
            elif lost.wait(_POLL_S):
                raise _no_worker(client) if client.status == "running" else _scheduler_gone(client)


@contextmanager
def _losses(client: Client) -> Iterator[None]:
    """What dask raises where a scheduler that is gone is asked something."""
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
def _watched(ready: WorkerPool, stop: Stop) -> Iterator[threading.Event]:
    """An event that is set once the scheduler is lost, or there has been no worker for too long.

    Once the build is to stop, the workers are told.
    """
    lost, over = threading.Event(), threading.Event()

    def watch() -> None:
        seen, stopping = time.monotonic(), False
        while not over.wait(_LOOK_S):
            with suppress(Exception):  # the driver's own thread finds out what there is to raise
                if not stopping and stop():
                    stopping = True
                    ready.cancel()
            if _has_workers(ready.client):
                seen = time.monotonic()
            if ready.client.status != "running" or time.monotonic() - seen >= NO_WORKER_S:
                lost.set()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join(_LOOK_S)


def _has_workers(client: Client) -> bool:
    try:
        return client.status == "running" and bool(client.scheduler_info(n_workers=1)["workers"])
    except (KeyError, OSError, RuntimeError):
        return False


def _no_worker(client: Client) -> Unreachable:
    return Unreachable(
        f"no worker at {_address(client)} for {NO_WORKER_S:.0f} s: start some and run the same command again"
    )


def _scheduler_gone(client: Client) -> Unreachable:
    return Unreachable(f"the Dask scheduler at {_address(client)} is gone: start it and run the same command again")


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler else "its address"


def _error(result: Any) -> BaseException | None:
    found = result[1] if isinstance(result, tuple) else result
    return found if isinstance(found, BaseException) else None


def _killed(result: Any) -> bool:
    from distributed.scheduler import KilledWorker

    return isinstance(_error(result), KilledWorker)


def _is_cancelled(result: Any) -> bool:
    return isinstance(_error(result), asyncio.CancelledError | concurrent.futures.CancelledError)


def _counts(job: Job, result: Any) -> BatchDone:
    """A job's counts; if the job itself was lost, all its places stay open. A store that fails stops the run."""
    if isinstance(result, BatchDone):
        return result
    error = _error(result)
    if isinstance(error, StoreError):
        raise error
    failures = lost(job.places, None if _killed(result) else error)
    return BatchDone(index=job.batch.index, failures=failures)
