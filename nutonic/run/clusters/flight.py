"""What is in flight on a cluster, and what is taken away from workers that hang.

A batch is committed exactly once, whoever does it. So one that waits for a worker which does not answer is given to
another one without asking: where the first one wakes up, it writes the same bytes again, or finds its task gone.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nutonic.core.units import counted
from nutonic.errors import Unreachable
from nutonic.run.callbacks import Callback, Note
from nutonic.run.clusters.groups import Group
from nutonic.run.clusters.patience import MOST_SILENCED
from nutonic.run.jobs import AnyJob
from nutonic.run.results import Hangs

if TYPE_CHECKING:
    from distributed import Client, Future

    from nutonic.run.preflight import WorkerPool

#: Seconds between looks for workers that hang, and for one to be started anew.
_LOOK_S, _RESTART_S = 0.5, 30.0


@dataclass(slots=True)
class Flight:
    """Jobs that workers have, and those that were taken from one and wait for another."""

    pool: WorkerPool
    jobs: dict[str, AnyJob] = field(default_factory=dict)
    """By the keys of their tasks."""
    waiting: list[AnyJob] = field(default_factory=list)
    """Handed back, or taken away."""
    _futures: dict[str, Future[Any]] = field(default_factory=dict)
    _handed: dict[str, str] = field(default_factory=dict)
    """Addresses of the workers that they were meant for, by key."""
    _silenced: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Addresses of the workers that did not answer any more while they had a job, by its name."""
    _looked_s: float = 0.0

    def begin(self, job: AnyJob, future: Future[Any], worker: str) -> None:
        """A job was handed to the scheduler for a worker."""
        key = str(future.key)
        self.jobs[key], self._futures[key], self._handed[key] = job, future, worker

    def land(self, key: str) -> AnyJob | None:
        """The job whose task has ended; None if it was taken away meanwhile, and somebody else tells of it."""
        self._futures.pop(key, None)
        self._handed.pop(key, None)
        return self.jobs.pop(key, None)

    def idlest(self, threads: Mapping[str, int], most: int) -> str | None:
        """Who has the fewest jobs for each of its threads; None if all have `most` already, "" where nobody is there yet."""
        if len(self.jobs) >= most * max(1, sum(threads.values())):
            return None
        handed = Counter(self._handed.values())
        found = min(threads, key=lambda worker: (handed[worker] / max(1, threads[worker]), worker), default="")
        return found if handed[found] < most * max(1, threads.get(found, 1)) else None

    def given_up(self, callback: Callback) -> Iterator[tuple[AnyJob, Hangs]]:
        """Take jobs from workers that hang, told in a line; gives those that are not tried again.

        Raises
        ------
        Unreachable
            If no worker is left that could do anything, since each has a batch that does not end.
        """
        watch, now = self.pool.watch, time.monotonic()
        if watch is None or now - self._looked_s < _LOOK_S:
            return
        self._looked_s = now
        yield from self._overdue(callback)
        steady = watch.steady(now)
        if steady:
            yield from self._silent(callback, now)
        elif watch.hung and not self.pool.is_own and not watch.silent(now):
            raise Unreachable(
                f"each worker at {watch.scheduler} has a batch that does not end after {self.pool.patience.batch_s:.0f} s: "
                "restart them and run the same command again"
            )

    def _overdue(self, callback: Callback) -> Iterator[tuple[AnyJob, Hangs]]:
        """Jobs that have taken too long at workers that answer."""
        watch, most = self.pool.watch, self.pool.patience.batch_s
        assert watch is not None
        for address, key in watch.overdue(most):
            if key not in self.jobs:
                continue
            job, future = self.jobs[key], self._futures[key]
            watch.hung.setdefault(address, set()).add(key)
            self.land(key)
            told = f"batch {job.name} has taken {most:.0f} s at worker {address} and does not end"
            after = "its places stay open" if job.ids else "it is done by the driver"  # as a part of a tree is
            if isinstance(job, Group):
                after = "those with it are done one by one"
            callback.on_note(Note(text=f"{told}: {after}"))
            if self.pool.is_own:
                future.cancel()
                _restart(self.pool.client, address)
            yield job, Hangs(told)

    def _silent(self, callback: Callback, now: float) -> Iterator[tuple[AnyJob, Hangs]]:
        """Take jobs from workers that do not answer, or are blocked by a batch that does not end."""
        watch = self.pool.watch
        assert watch is not None
        held, after = watch.held(now, self.pool.patience.silent_s), self.pool.patience.silent_s
        for address, keys in held.items():
            taken = [(key, self.jobs[key]) for key in keys if key in self.jobs]
            for key, job in taken:
                self._futures[key].cancel()
                self.land(key)
                self._silenced[job.name].add(address)
                if len(self._silenced[job.name]) < MOST_SILENCED:
                    self.waiting.append(job)
                else:
                    yield job, Hangs(f"{MOST_SILENCED} workers stopped answering while they had it")
            if taken:
                why = (
                    "has a batch that does not end" if address in watch.hung else f"has not answered for {after:.0f} s"
                )
                count = counted(len(taken), "batch", "batches")
                callback.on_note(Note(text=f"worker {address} {why}: others get {count} of its"))


def _restart(client: Client, address: str) -> None:
    """Start a worker of one's own anew; whoever waits for it would wait for what hangs."""

    def restart() -> None:
        with suppress(Exception):  # it may be gone by itself
            client.restart_workers([address], timeout=_RESTART_S, raise_for_error=False)

    threading.Thread(target=restart, daemon=True).start()
