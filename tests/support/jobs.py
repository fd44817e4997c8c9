"""Jobs without places, and what stands in for building them: workers import it, as they cannot import a test."""

from __future__ import annotations

import time

from nutonic.core.model import Batch
from nutonic.io.access import Access
from nutonic.io.http import Request
from nutonic.io.session import SessionThreads, current
from nutonic.run.jobs import Job
from nutonic.run.results import BatchDone


def jobs(count: int) -> list[Job]:
    return [Job(batch=Batch(index=i, places=()), positions=frozenset({0, 1})) for i in range(count)]


def pause(job: Job, seconds: float) -> BatchDone:
    """A job that takes its time."""
    time.sleep(seconds)
    return BatchDone(index=job.batch.index)


def ask(url: str, count: int) -> None:
    """Ask for the same file by eight threads."""
    client, access = current().client, Access(hosts=(url.split("/")[2],))
    with SessionThreads(8) as threads:
        list(threads.map(lambda _: client.fetch(Request(url=url), access), range(count)))


def asking(job: Job, url: str, count: int = 16) -> BatchDone:
    """What a job does that reads; it says which worker did it."""
    from distributed import get_worker

    ask(url, count)
    return BatchDone(index=job.batch.index, rejects={get_worker().address: 1}, network=current().take_counts())


def where(job: Job) -> BatchDone:
    """A job that takes a moment; it says which worker did it."""
    from distributed import get_worker

    time.sleep(0.05)
    return BatchDone(index=job.batch.index, rejects={get_worker().address: 1})


def sizes_seen(dask_scheduler) -> list[int]:
    """Bytes of a task's results, by kind of task."""
    return [round(prefix.nbytes_total) for prefix in dask_scheduler.task_prefixes.values()]


def failing_at(job: Job, failing: int) -> BatchDone:
    """A job that takes no time; one of them cannot be done."""
    if job.batch.index == failing:
        raise ValueError("no good")
    return BatchDone(index=job.batch.index, finished=1)
