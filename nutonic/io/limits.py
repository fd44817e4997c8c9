"""How many requests a process has in flight at most."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Answers in a row after which one more request is tried at the same time.
_PATIENCE = 32


class AdaptiveLimiter:
    """Lets fewer in after each refusal, and slowly more again; at first `most`. Who was refused waits for a turn anew."""

    def __init__(self, most: int) -> None:
        self._most, self._width, self._inside, self._answers = most, most, 0, 0
        self._changed = threading.Condition()

    @property
    def width(self) -> int:
        """How many may be inside."""
        return self._width

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until there is room; what ends without an error is an answer."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self._width)
            self._inside += 1
        try:
            yield
            self._answered()
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def met(self, kind: str) -> None:
        """Hear of a fault after its turn. If it is that there are too many, those who are inside now are enough."""
        if kind == "429":
            with self._changed:
                self._answers = 0
                self._width = max(1, min(self._width - 1, self._inside))

    def _answered(self) -> None:
        with self._changed:
            self._answers += 1
            if self._answers == _PATIENCE:
                self._answers = 0
                self._width = min(self._most, self._width + 1)


#: Requests in flight per process, of all threads together, unless told otherwise.
IN_FLIGHT = 8


class Limiter:
    """Lets so many in at once, and no more; its width may change while some are inside."""

    def __init__(self, width: int) -> None:
        self.begin(width)

    def begin(self, width: int) -> None:
        """Start anew, with nobody inside."""
        self._changed = threading.Condition()
        self._width, self._lent, self._inside = width, 0, 0

    @property
    def width(self) -> int:
        """How many it lets in by itself."""
        return self._width

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self._width + self._lent)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def resize(self, width: int) -> None:
        """Let so many in from now on; those inside may stay."""
        with self._changed:
            self._width = width
            self._changed.notify_all()

    @contextmanager
    def resized(self, width: int) -> Iterator[None]:
        """Another width for a while."""
        before = self._width
        self.resize(width)
        try:
            yield
        finally:
            self.resize(before)

    @contextmanager
    def lent(self, count: int) -> Iterator[None]:
        """Let in `count` more for a while; when it ends, no more are inside than may be."""
        with self._changed:
            self._lent += count
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._lent -= count
                self._changed.wait_for(lambda: self._inside <= self._width + self._lent)


#: Where all requests for files and catalogues go through.
limiter = Limiter(IN_FLIGHT)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: limiter.begin(IN_FLIGHT))
