"""Values that are worked out when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazily(Generic[T]):
    """A property that is worked out once for each object and kept in it, as by :func:`functools.cached_property`.

    That of Python 3.11 has one lock for all objects of a class (python/cpython#87634): threads that each judge a text of
    their own wait for each other then, and for the interpreter in turn. Here two threads that ask the same object at once
    may both work it out; so it is for pure values alone.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__
        self._name = work_out.__name__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazily[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object, owner: type) -> lazily[T] | T:
        if instance is None:
            return self
        value = self._work_out(instance)
        instance.__dict__[self._name] = value  # found before this from now on
        return value
