"""What workers are sent by tests: they find it by the name of this module, where a test's own has none elsewhere."""

from __future__ import annotations

import time
from typing import Any

from nutonic.run.jobs import Job
from nutonic.run.results import BatchDone


def pause(job: Job, seconds: float) -> BatchDone:
    """A job that takes its time."""
    time.sleep(seconds)
    return BatchDone(index=job.batch.index)


def sizes_seen(dask_scheduler: Any) -> list[int]:
    """Bytes of a task's results, by kind of task."""
    return [round(prefix.nbytes_total) for prefix in dask_scheduler.task_prefixes.values()]
