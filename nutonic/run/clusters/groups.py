"""Jobs that go to a worker as one task, where each is done sooner than it could be handed out.

Scheduler, driver and worker take some 20 ms of CPU together for a task, whatever it holds. Beside a batch that reads scenes
that is nothing; beside one of tiny chips it is a quarter.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nutonic.run.jobs import AnyJob

#: Seconds that a task is to take, and jobs that it has at most: so much is done again where a worker dies. A request to
#: stop is obeyed between jobs.
_TASK_S, _MOST = 2.0, 16

#: Tasks that each thread is to get of what is left at least, so that all end at the same time.
_SHARES = 8

#: Tasks by whose end it is known how long a job takes: the last so many, and no fewer than this.
_LAST, _LEAST = 32, 8


@dataclass(frozen=True, slots=True)
class Group:
    """Several jobs, one after another."""

    jobs: tuple[AnyJob, ...]

    @property
    def name(self) -> str:
        """What it is called in logs, and in the keys of tasks."""
        return f"{self.jobs[0].name}+{len(self.jobs) - 1}"

    @property
    def index(self) -> int:
        """The number of its first batch."""
        return self.jobs[0].index

    @property
    def ids(self) -> list[str]:
        """Ids of the places of all its jobs."""
        return [name for job in self.jobs for name in job.ids]

    def split(self) -> list[AnyJob]:
        """Jobs of one place each, for the same places."""
        return [part for job in self.jobs for part in job.split()]


@dataclass(frozen=True, slots=True)
class GroupDone:
    """What came of the first jobs of a group; the others were not done."""

    results: tuple[Any, ...]
    """None of one that was not begun, since it was to stop."""


def grouped(take: Callable[[], AnyJob | None], most: int) -> AnyJob | None:
    """The next job; several as one, where so many may be."""
    jobs = tuple(islice(iter(take, None), most))
    return Group(jobs) if len(jobs) > 1 else next(iter(jobs), None)


def do_each(job: AnyJob, work: Callable[[Any], Any], stopped: Callable[[], bool]) -> Any:
    """Do a job, or those of a group, up to one that raises: done by itself, it shows why."""
    if not isinstance(job, Group):
        return work(job)
    results = list[Any]()
    for each in job.jobs:
        try:
            results.append(None if stopped() else work(each))
        except Exception:  # whatever it is, it is raised again
            break
    return GroupDone(tuple(results))


def each_done(job: AnyJob, result: Any, again: Callable[[Iterable[AnyJob]], None]) -> Iterator[tuple[AnyJob, Any]]:
    """Each job of a task with its result; those of a group that were not done, or lost together, are to be done again."""
    if not isinstance(job, Group):
        yield job, result
        return
    results = (None,) * len(job.jobs) if result is None else result.results if isinstance(result, GroupDone) else ()
    again(job.jobs[len(results) :])
    yield from zip(job.jobs, results, strict=False)


class Pace:
    """How long a job takes, seen from where they are handed out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is known yet."""
        self._clock, self._ended = clock, deque[tuple[float, int]](maxlen=_LAST)

    def end(self, job: AnyJob) -> None:
        """A task has ended."""
        self._ended.append((self._clock(), len(job.jobs) if isinstance(job, Group) else 1))

    def most(self, left: int, threads: int) -> int:
        """How many jobs a task may have, of so many that are left for so many threads."""
        if len(self._ended) < _LEAST:
            return 1
        (first, _), *others = self._ended
        seconds_each = (others[-1][0] - first) * threads / sum(jobs for _, jobs in others)
        fitting = _MOST if seconds_each * _MOST <= _TASK_S else int(_TASK_S / seconds_each)
        return max(1, min(fitting, left // (_SHARES * threads)))
