"""How many requests are in flight at most, how long one of them may take, and what nobody has to wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

#: Requests in flight of one session, of all threads together, unless its policy says otherwise.
IN_FLIGHT = 8

#: Answers in a row after which an adaptive limit is raised by one.
_ANSWERS_TO_GROW = 32


class Limiter:
    """Lets so many in at once, and no more; the limit may change while some are inside."""

    def __init__(self, limit: int) -> None:
        self._limit, self._inside = limit, 0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may be inside."""
        return self._limit

    @property
    def inside(self) -> int:
        """How many are inside; more than the limit for a while after it was lowered."""
        return self._inside

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Wait until there is room, and take it for the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self._limit)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def resize(self, limit: int) -> None:
        """Let so many in from now on; those inside may stay."""
        with self._changed:
            self._limit = limit
            self._changed.notify_all()

    def fault(self, kind: str) -> None:
        """Hear of a fault after its turn; a fixed limit does not mind."""


class AdaptiveLimiter(Limiter):
    """Lets fewer in after each refusal, and slowly more again; at first `most`. Who was refused waits for a turn anew."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._most, self._answers = most, 0

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Wait until there is room; what ends without an error is an answer."""
        with super().acquire():
            yield
            self._answered()

    def resize(self, limit: int) -> None:
        """Let so many in at most; where fewer are let in after refusals, that stays."""
        with self._changed:
            self._limit = min(self._limit, limit) if self._limit < self._most else limit
            self._most = limit
            self._changed.notify_all()

    def fault(self, kind: str) -> None:
        """If it is that there are too many requests, those who are inside now are enough."""
        if kind == "429":
            with self._changed:
                self._answers = 0
                self._limit = max(1, min(self._limit - 1, self._inside))

    def _answered(self) -> None:
        with self._changed:
            self._answers += 1
            if self._answers == _ANSWERS_TO_GROW:
                self._answers = 0
                self._limit = min(self._most, self._limit + 1)
                self._changed.notify_all()


class Deadline:
    """Until when an attempt is over: some seconds after it began, and a second more for each `slowest` bytes that came.

    So nobody waits for ever for one who sends a byte now and then, and a long answer on a slow line has its time. What
    came fast is no credit for what comes later: more seconds than at first are never left. It runs in :meth:`running`
    blocks alone, of redirects all together: not while a turn, or a signature, is waited for.
    """

    def __init__(self, seconds: float, slowest: int) -> None:
        self._most, self._left, self._until, self._slowest = seconds, seconds, float("inf"), slowest
        self.spent_s = 0.0
        """Seconds for which it has run."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let it run for the block."""
        began = time.monotonic()
        self._until = began + self._left
        try:
            yield
        finally:
            self._left, self._until = self.left(), float("inf")
            self.spent_s += time.monotonic() - began

    def left(self) -> float:
        """Seconds that are left; not positive where none are."""
        return self._until - time.monotonic()

    def came(self, count: int) -> None:
        """Put it off for so many bytes that came over the wire."""
        self._until = min(self._until + count / self._slowest, time.monotonic() + self._most)

    def at_most(self, seconds: float) -> None:
        """Let no more than so many seconds be left from now on."""
        self._most = min(self._most, seconds)
        self.came(0)


def begun(call: Callable[[], T], name: str | None = None) -> Future[T]:
    """What a call gives, in a thread that nobody has to wait for: a process may end meanwhile."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True, name=name).start()
    return future
