"""One writer at a time: a lock that a kill lets go, on every system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file that other processes on this machine cannot hold meanwhile; it is removed after.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    OSError
        If it cannot be created.
    """
    from filelock import FileLock, Timeout

    file_lock = FileLock(lock, blocking=False)
    try:
        file_lock.acquire()
    except Timeout:
        raise BlockingIOError(f"another process holds {lock.name}") from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it as it lets go
            lock.unlink()
        file_lock.release()
