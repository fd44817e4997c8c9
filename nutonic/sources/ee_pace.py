"""How many requests Earth Engine takes at the same time, found out by asking.

The quota is a project's, whoever else uses it, so no number that is set is always right: where one is too high, requests
that were refused would only be made again into the same crowd.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Answers in a row after which one more request is tried at the same time.
_PATIENCE = 32


class Pace:
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
