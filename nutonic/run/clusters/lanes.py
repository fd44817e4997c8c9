"""Who gets which job: neighbours go to one worker, which has the blocks that they share already.

The jobs of a plan lie along the blocks of its files. Dealt out one by one, a block would be read and unpacked by as many
workers as there are. So each worker goes through a span of neighbours, from its first job to its last; one that has none
left takes a span that is nobody's, or half of what the longest of another still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import pairwise
from typing import Protocol, runtime_checkable

from nutonic.run.jobs import AnyJob


@runtime_checkable
class Spans(Protocol):
    """Jobs in an order in which neighbours have something in common."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    @property
    def backwards(self) -> bool:
        """Whether the last is to be done first from now on."""
        ...

    def between(self, first: int, end: int) -> Iterator[AnyJob | None]:
        """Those from one position up to another, one at a time; None for one that need not be done any more."""
        ...


class Lanes:
    """Jobs that are not handed out yet, each once.

    Parameters
    ----------
    jobs
        In spans, or one after another to whoever asks. There, None is none for now: whoever asks later may get one.
    stopped
        Whether no other is to be handed out.
    """

    def __init__(self, jobs: Iterable[AnyJob | None] | Spans, stopped: Callable[[], bool]) -> None:
        self._stopped, self._lanes, self._free = stopped, dict[str, _Lane](), list[_Lane]()
        self._queue = None if isinstance(jobs, Spans) else iter(jobs)
        self._jobs = jobs if isinstance(jobs, Spans) else None

    @property
    def left(self) -> int:
        """How many there are; 0 where they are no spans, since nobody knows."""
        if self._jobs is not None and not self._lanes and not self._free:
            return self._jobs.count
        return sum(lane.left for lane in (*self._lanes.values(), *self._free))

    def take(self, worker: str, present: Collection[str]) -> AnyJob | None:
        """The next job for a worker; None if there is none.

        Parameters
        ----------
        worker
            Its address.
        present
            Workers that are there: what others left to do is anybody's.
        """
        if self._stopped():
            return None
        if self._queue is not None:
            return next(self._queue, None)
        while True:
            lane = self._lanes.get(worker)
            if lane is None or not lane.left:
                lane = self._lanes[worker] = self._opened(worker, present)
            if not lane.left:
                return None
            if (job := lane.pop()) is not None:
                return job

    def _opened(self, worker: str, present: Collection[str]) -> _Lane:
        """A lane that is nobody's, or half of the longest."""
        assert self._jobs is not None, "only they have lanes"
        if not self._lanes:
            self._free = self._cut(self._jobs, max(1, len(present)))
        self._free += [self._lanes.pop(name) for name in [*self._lanes] if name != worker and name not in present]
        self._free = [lane for lane in self._free if lane.left]
        if self._free:
            return self._free.pop(0)
        longest = max(self._lanes.values(), key=lambda lane: lane.left, default=_Lane(self._jobs, 0, 0))
        return longest.second_half()

    @staticmethod
    def _cut(jobs: Spans, parts: int) -> list[_Lane]:
        """All jobs in spans of the same length."""
        ends = [jobs.count * k // parts for k in range(parts + 1)]
        return [_Lane(jobs, first, end) for first, end in pairwise(ends)]


class _Lane:
    """A span of jobs, from the first that is left up to an end; they are read from its first on, once one is taken."""

    def __init__(self, jobs: Spans, first: int, end: int) -> None:
        self._jobs, self._at, self._end = jobs, first, end
        self._reading: Iterator[AnyJob | None] | None = None

    @property
    def left(self) -> int:
        """How many there are."""
        return self._end - self._at

    def pop(self) -> AnyJob | None:
        """The first, or the last; None if it need not be done any more."""
        if self._jobs.backwards:
            self._end -= 1
            return next(self._jobs.between(self._end, self._end + 1))
        if self._reading is None:
            self._reading = self._jobs.between(self._at, self._end)
        self._at += 1
        return next(self._reading)

    def second_half(self) -> _Lane:
        """Give half of them away, and the one in the middle."""
        middle, end = self._at + self.left // 2, self._end
        self._end = middle
        return _Lane(self._jobs, middle, end)
