"""Workers, or a scheduler, that are there and do not answer: stopped, swapped out, cut off. That is told, not waited out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from nutonic.io.limits import begun
from nutonic.run.callbacks import WorkersChanged

if TYPE_CHECKING:
    from distributed import Client

#: Seconds without an answer after which this is told; workers in order answer about every second.
TOLD_AFTER_S = 20.0

#: Seconds between questions to the scheduler, and between looks at its answers.
_ASK_S, _LOOK_S = 1.0, 0.25


@dataclass(frozen=True, slots=True)
class Present:
    """A worker, as the scheduler knows it."""

    last_seen: float
    """When it last answered, by the scheduler's clock: of use only to see whether it changes."""
    threads: int
    tasks: tuple[str, ...]
    """Keys of the tasks that were handed to it and are not done."""
    running: Mapping[str, float] = field(default_factory=dict)
    """Seconds that it has been at each of those that it has begun, as it told last."""


@dataclass(slots=True)
class Watch:
    """Who answers, from what the scheduler tells again and again; times are those of this process's monotonic clock."""

    scheduler: str
    began: float
    workers: Mapping[str, Present] = field(default_factory=dict)
    asked: bool = False
    """Whether the scheduler has answered at all."""
    _heard: float = 0.0
    _changed: dict[str, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _counted: frozenset[str] = frozenset()
    goes_to_others_s: float | None = None
    """After how many seconds others get what a silent worker has to do; None for never."""
    hung: dict[str, set[str]] = field(default_factory=dict)
    """Tasks that do not end, by the address of the worker whose threads they hold."""

    def hear(self, workers: Mapping[str, Present], now: float) -> None:
        """Take an answer of the scheduler."""
        for address, worker in workers.items():
            before = self.workers.get(address)
            if before is None or before.last_seen != worker.last_seen or address not in self._changed:
                self._changed[address] = now
        if self.asked and now - self._heard >= TOLD_AFTER_S:  # what its workers said meanwhile, nobody heard
            self._changed = dict.fromkeys(workers, now)
        self._changed = {address: at for address, at in self._changed.items() if address in workers}
        self.workers, self._heard, self.asked = dict(workers), now, True
        self.hung = {
            address: left
            for address, keys in self.hung.items()
            if address in workers and (left := keys & workers[address].running.keys())
        }

    def change(self) -> WorkersChanged | None:
        """How many workers there are and were lost since this was asked last; None while they are the same ones."""
        present = frozenset(self.workers)
        if not self.asked or present == self._counted:
            return None
        lost, joined = len(self._counted - present), len(present - self._counted)
        self._counted = present
        return WorkersChanged(there=len(present), lost=lost, joined=joined)

    def silent(self, now: float) -> list[str]:
        """Addresses of those that do not answer: the scheduler alone, or workers, sorted."""
        if now - max(self._heard, self.began) >= TOLD_AFTER_S:
            return [self.scheduler]
        return sorted(address for address, at in self._changed.items() if now - at >= TOLD_AFTER_S)

    def held(self, now: float, silent_s: float) -> dict[str, tuple[str, ...]]:
        """Tasks of the workers that have not answered for so long, or are held up by what does not end, by address.

        Nothing while the scheduler itself does not answer: what is known of workers comes from it.
        """
        if now - self._heard >= TOLD_AFTER_S:
            return {}
        return {address: self.workers[address].tasks for address in sorted(self.mute(now, silent_s) | self._held_up())}

    def mute(self, now: float, silent_s: float) -> set[str]:
        """Addresses of the workers that have not answered for so long; none while the scheduler itself does not answer."""
        if now - self._heard >= TOLD_AFTER_S:
            return set()
        return {address for address, at in self._changed.items() if now - at >= silent_s}

    def overdue(self, most_s: float) -> list[tuple[str, str]]:
        """Address and key of the tasks that a worker has been at for longer."""
        return [
            (address, key)
            for address, worker in sorted(self.workers.items())
            for key, seconds in worker.running.items()
            if seconds > most_s
        ]

    def steady(self, now: float) -> list[str]:
        """Addresses of the workers that answer, and can begin something, sorted.

        Whoever has been silent for so long that others get what it has is given nothing else, even if it is not told yet.
        """
        most = min(TOLD_AFTER_S, self.goes_to_others_s or TOLD_AFTER_S)
        return sorted(set(self.workers) - set(self.silent(now)) - self.mute(now, most) - self._held_up())

    def _held_up(self) -> set[str]:
        """Workers that have no thread left for anything else."""
        return {a for a, keys in self.hung.items() if a in self.workers and len(keys) >= self.workers[a].threads}

    def lines(self, now: float) -> list[str]:
        """What is to be told and was not told yet: who does not answer, and who does so again."""
        silent = set(self.silent(now))
        new, again = sorted(silent - self._told), sorted(self._told - silent)
        self._told = silent
        present = [address for address in again if address == self.scheduler or address in self.workers]
        return [self._line(address) for address in new] + [
            f"{self._name(address)} answers again" for address in present
        ]

    def is_all_that_is_left(self, keys: Collection[str], now: float) -> bool:
        """Whether tasks wait for nobody but those that do not answer."""
        silent = set(self.silent(now))
        if self.asked and not self.workers:  # what nobody has begun, nobody finishes
            return True
        if not silent or self.scheduler in silent:
            return bool(silent)
        answering = set(self.workers) - silent
        # What no worker holds is queued at the scheduler, and goes to whoever answers.
        return self._held(silent).issuperset(keys) if answering else True

    def _held(self, addresses: Collection[str]) -> set[str]:
        return {key for address in addresses if address in self.workers for key in self.workers[address].tasks}

    def _name(self, address: str) -> str:
        return f"the Dask scheduler at {address}" if address == self.scheduler else f"worker {address}"

    def _line(self, address: str) -> str:
        silent = f"{self._name(address)} has not answered for {TOLD_AFTER_S:.0f} s"
        if address == self.scheduler or self.goes_to_others_s is None:
            return f"{silent}: what it has to do waits for it; let it go on, or end it"
        return f"{silent}: after {self.goes_to_others_s:.0f} s others get what it has to do; let it go on, or end it"


@contextmanager
def watched(client: Client, tell: Callable[[str], None], goes_to_others_s: float | None = None) -> Iterator[Watch]:
    """Watch a cluster while the block runs; `tell` is called by another thread, with a line at a time."""
    address = str(client.scheduler.address) if client.scheduler else "its address"
    watch, over = Watch(address, time.monotonic(), goes_to_others_s=goes_to_others_s), threading.Event()

    def ask() -> None:  # which may wait for ever
        while client.status == "running":
            with suppress(Exception):  # a scheduler that is lost is found out elsewhere
                watch.hear(client.run_on_scheduler(_present), time.monotonic())
            if over.wait(_ASK_S):
                return

    def look() -> None:
        while not over.wait(_LOOK_S) and client.status == "running":
            for line in watch.lines(time.monotonic()):
                with suppress(Exception):
                    tell(line)

    for work in (ask, look):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield watch
    finally:
        over.set()


def hear_once_more(client: Client, watch: Watch) -> None:
    """Ask who is there, out of turn; one that does not answer within a second keeps nobody waiting any longer."""
    answer = begun(partial(client.run_on_scheduler, _present))
    with suppress(Exception):  # a scheduler that is lost is found out elsewhere
        watch.hear(answer.result(timeout=_ASK_S), time.monotonic())


def _present(dask_scheduler: Any) -> dict[str, Present]:
    """Asked of the scheduler, within it.

    Dask offers whoever joins what nobody has, but not what was meant for one that is gone, though others may have it.
    """
    left = [task.key for task in dask_scheduler.unrunnable if task.loose_restrictions]
    stranded = {key: "processing" for key in left if str(key).startswith("nutonic-")}
    if stranded and dask_scheduler.running:
        dask_scheduler.transitions(stranded, "nutonic-stranded")
    return {
        address: Present(
            worker.last_seen,
            worker.nthreads,
            tuple(str(task.key) for task in worker.processing),
            {str(task.key): seconds for task, seconds in worker.executing.items()},
        )
        for address, worker in dask_scheduler.workers.items()
    }
