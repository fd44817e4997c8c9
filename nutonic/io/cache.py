"""Values that threads of a process make once and share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlightCache(Generic[K, V]):
    """A cache in which one thread makes a value and the others wait for it; failures are not kept.

    Parameters
    ----------
    most
        Largest total weight of the values; beyond it the least recently used are dropped first.
    weight
        Gives the weight of a value.
    """

    def __init__(self, most: int, weight: Callable[[V], int]) -> None:
        self._most, self._weight, self._total = most, weight, 0
        self._lock = threading.Lock()
        self._values: OrderedDict[K, Future[V]] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, from `make` if there is none yet; an error of `make` reaches every waiting thread."""
        with self._lock:
            future = self._values.get(key)
            if future is not None:
                self._values.move_to_end(key)
            else:
                promise: Future[V] = Future()
                self._values[key] = promise
        if future is not None:
            return future.result()
        try:
            promise.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._values.get(key) is promise:
                    del self._values[key]
            promise.set_exception(error)
            raise
        self._shrink(key, promise)
        return promise.result()

    def drop(self, key: K, value: V) -> bool:
        """Remove a value; False if the key no longer has this value."""
        with self._lock:
            future = self._values.get(key)
            if future is None or not future.done() or future.result() is not value:
                return False
            del self._values[key]
            self._total -= self._weight(value)
            return True

    def first_out(self, is_done: Callable[[K, V], bool]) -> None:
        """Have values that are not expected to be asked for again make room before all others; see `is_done`."""
        with self._lock:
            made = [(key, each.result()) for key, each in self._values.items() if each.done() and not each.exception()]
            for key, value in reversed(made):
                if is_done(key, value):
                    self._values.move_to_end(key, last=False)

    def clear(self) -> None:
        """Remove all values; threads that wait for one still get it."""
        with self._lock:
            self._values.clear()
            self._total = 0

    def _shrink(self, key: K, promise: Future[V]) -> None:
        with self._lock:
            if self._values.get(key) is not promise:
                return
            self._total += self._weight(promise.result())
            while self._total > self._most and (old := self._oldest(promise)) is not None:
                self._total -= self._weight(self._values.pop(old).result())

    def _oldest(self, new: Future[V]) -> K | None:
        """The key of the least recently used value that is made; all keys need not be looked at, each of which is hashed."""
        return next((key for key, made in self._values.items() if made.done() and made is not new), None)
