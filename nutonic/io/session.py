"""What reading takes, in one value that is owned and closed: client, open files, and all that is kept to be used again.

What travels to workers, like lazy arrays and sources, cannot hold connections. It carries what may be read
(:class:`nutonic.io.access.Access`), and where it is computed it reads in the session of that place, of :func:`current`.
That is the one of the surrounding :func:`using` block, if there is any, else one for the whole process, which is made
when it is first needed. Blocks follow the context, not the process: a build has a session of its own, with its share of
requests, and whoever reads in the same process meanwhile, such as a notebook on a worker that builds, neither waits
for it nor is counted with it. Context variables reach the threads that :class:`SessionThreads` starts, and those of
dask's own schedulers in its later versions; other threads are in the session of the process.
"""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from nutonic.io.connections import Transport
from nutonic.io.http import Client, Policy
from nutonic.io.ranged import RangeCache

if TYPE_CHECKING:
    from nutonic.io.gdal import RasterPool

P = ParamSpec("P")
T = TypeVar("T")


class Session:
    """A client, the files that are open, and what is kept of both; closing it frees files, connections and memory.

    Parameters
    ----------
    policy
        How patient it is, and how much it asks at once.
    transport
        What carries its requests, and stays open when it is closed; connections of its own if None.
    """

    def __init__(self, policy: Policy | None = None, *, transport: Transport | None = None) -> None:
        self.client = Client(policy, transport)
        self.ranges = RangeCache(self.client)
        self._rasters: RasterPool | None = None
        self._lock, self._process = threading.Lock(), os.getpid()
        self._resources: dict[Callable[[], Any], Any] = {}
        # At the end of the process too, while there still is a Python for GDAL to call back into.
        self._finalizer = weakref.finalize(self, self.client.close)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def rasters(self) -> RasterPool:
        """The rasters that are open in it. GDAL is imported with the first: who plans or resumes may need none."""
        with self._lock:
            if self._rasters is None:
                from nutonic.io.gdal import RasterPool

                self._rasters = RasterPool(self.ranges)
                weakref.finalize(self, self._rasters.close)  # before the client's, since it was made after it
                if not self._finalizer.alive:
                    self._rasters.close()
            return self._rasters

    @property
    def is_open(self) -> bool:
        """Whether it may be used here: it is not closed, nor another process', of which this one is a fork."""
        return self._finalizer.alive and self._process == os.getpid()

    def resource(self, kind: Callable[[], T]) -> T:
        """What a module keeps for as long as a session lives, such as a cache; made by `kind` at the first call."""
        with self._lock:
            if kind not in self._resources:
                self._resources[kind] = kind()
            return cast("T", self._resources[kind])

    def take_counts(self) -> dict[str, int]:
        """``requests``, ``bytes``, ``local bytes`` and ``fault: …`` of this session since this was last called."""
        return self.client.take_counts()

    def limited(self, max_requests: int) -> Session:
        """A session of its own over the same transport and with the same policy, but for so many requests in flight."""
        return Session(replace(self.client.policy, max_requests=max_requests), transport=self.client.transport)

    def clear(self) -> None:
        """Forget what was read, and close the files that lie idle."""
        with self._lock:
            self._resources.clear()
        if self._rasters is not None:
            self._rasters.clear()
        self.ranges.clear()

    def close(self) -> None:
        """Free all; files that are being read are closed when that is done."""
        if self._rasters is not None:
            self._rasters.close()
        self._finalizer()
        self.clear()


_active: contextvars.ContextVar[Session | None] = contextvars.ContextVar("session", default=None)


class _Default:
    """The session of the process."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start anew: in a fork the lock may be a thread's that is not there."""
        self._lock = threading.Lock()
        self._session: Session | None = None

    def get(self) -> Session:
        with self._lock:
            if self._session is None or not self._session.is_open:
                self._session = Session()
            return self._session


_default = _Default()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_default.begin)


def current() -> Session:
    """The session to read in: that of the surrounding :func:`using`, else that of the process."""
    session = _active.get()
    return session if session is not None and session.is_open else _default.get()


@contextmanager
def using(session: Session) -> Iterator[Session]:
    """Read in a session for the block, in this thread and in those that carry its context; it is not closed after."""
    before = _active.get()
    _active.set(session)
    try:
        yield session
    finally:
        _active.set(before)


@contextmanager
def limited(max_requests: int) -> Iterator[Session]:
    """Read in a session of its own for the block, with so many requests in flight at most; it is closed after."""
    with current().limited(max_requests) as session, using(session):
        yield session


class SessionThreads(ThreadPoolExecutor):
    """Threads that read in the session of whoever gives them something to do."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As any executor's, in a copy of this thread's context."""
        return super().submit(partial(contextvars.copy_context().run, fn, *args, **kwargs))
