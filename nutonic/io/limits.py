"""How many requests are in flight at most."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
