"""The heap of this process: how threads share it, how it is given back to the system, and how often garbage is sought."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: What `mallopt` of glibc calls the most heaps: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_ARENA_MAX = -8


#: So many more objects than are freed must be made before Python looks for garbage among them, and so many such looks before
#: one at what was there then. Python's own 700 are reached by a third of one patch' description, which has no circles.
_SELDOM = 50_000, 20, 20


def share_heap() -> None:
    """Have threads that are started from now on share one heap, unless somebody has set how many there are.

    By default each has its own, with room in it that no other may use: those that read took 50 MB more.
    """
    if os.name == "posix" and "MALLOC_ARENA_MAX" not in os.environ:
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give memory that is free back to the system: what planning took lies between what stays."""
    if os.name == "posix":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)


class _Collector:
    """Python's collector of garbage, while jobs are done: in threads, and one within another."""

    def __init__(self) -> None:
        self._lock, self._jobs = threading.Lock(), 0
        self._before: tuple[int, int, int] | None = None
        self._froze = False

    def begin(self) -> None:
        with self._lock:
            self._jobs += 1
            if self._jobs > 1:
                return
            found = gc.get_threshold()
            self._before = found if 0 < found[0] < _SELDOM[0] else None
            if self._before is not None:
                gc.set_threshold(*_SELDOM)
            self._froze = gc.get_freeze_count() == 0
            if self._froze:
                gc.freeze()

    def end(self) -> None:
        with self._lock:
            self._jobs -= 1
            if self._jobs:
                return
            if self._before is not None and gc.get_threshold() == _SELDOM:
                gc.set_threshold(*self._before)
            if self._froze:
                gc.unfreeze()


_collector = _Collector()


@contextmanager
def settled() -> Iterator[None]:
    """Have Python look for garbage seldom within the block, and among what is made in it alone.

    What is there by then is modules and their classes for the most part: to look through all of it takes tens of
    milliseconds each time, and finds nothing. What jobs make are thousands of small values without circles. Who has chosen
    another way for this process, by more than Python's own threshold or by freezing, keeps it; all is as it was after it.
    """
    _collector.begin()
    try:
        yield
    finally:
        _collector.end()
