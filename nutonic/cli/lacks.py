"""What a system may lack: file handles, memory, threads. It is told in a line, and no work of a build is lost by it."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from nutonic.core.units import size
from nutonic.errors import InputError, PlanError, StoreError
from nutonic.io.files import require_handles

#: File handles that a command takes at least: without them, libraries end the process where they find none.
_HANDLES = 16

#: Address space that a command takes at least, in bytes, before it has read anything: libraries, and stacks of threads.
#: With less, threads wait for ever to begin, and libraries crash.
_MEMORY = {"build": 2**31, "cube": 2**31, "demo": 2**31, "plan": 2**30, "verify": 2**30}

_AGAIN = "and run the same command again"

#: By what an error of the system says, whoever passes it on: what is lacking, and what to do.
_LACKS = (
    (
        re.compile(r"Too many open files|\bos error (23|24)\b|\[Errno (23|24)\]"),
        f"no file handle is left: raise that limit (ulimit -n), or use fewer workers (--workers), {_AGAIN}",
    ),
    (
        re.compile(r"can't start new thread|OS can't spawn|Resource temporarily unavailable|\[Errno 11\]"),
        f"no thread or process can be started: raise that limit (ulimit -u), or use fewer workers (--workers), {_AGAIN}",
    ),
    (
        re.compile(
            r"Cannot allocate memory|\bos error 12\b|\[Errno 12\]|bad_alloc|Unable to allocate|failed to map segment|"
            r"[Oo]ut of memory"
        ),
        f"no memory is left: make room (ulimit -v), or use fewer workers (--workers), {_AGAIN}",
    ),
)

_NUMBERS = {errno.EMFILE: 0, errno.ENFILE: 0, errno.ENOMEM: 2}


def lack_of(error: BaseException) -> str | None:
    """What the system lacked, in a line, if that is what an error is about or comes from; else None."""
    return next((line for each in _chain(error) if (line := _line_of(each)) is not None), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it comes from, those that are not shown too."""
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            left += [each.__context__, each.__cause__]
            left += each.exceptions if isinstance(each, BaseExceptionGroup) else ()


def _line_of(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return _LACKS[2][1]
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return _LACKS[_NUMBERS[error.errno]][1]
    if isinstance(error, InputError | PlanError):  # which quote what a user wrote
        return None
    text = str(error)
    return next((line for pattern, line in _LACKS if pattern.search(text)), None)


def refuse_lacks(command: str) -> None:
    """Raise :class:`StoreError` where a command cannot do anything at all.

    And InputError where files would be nobody's, the environment says how long to wait in no number, or the current folder
    is gone.
    """
    _refuse_nowhere()
    require_handles(_HANDLES)
    _refuse_little_memory(_MEMORY.get(command, 0))
    _refuse_mask()
    if command in _MEMORY:
        from nutonic.io.connections import timeout_s
        from nutonic.io.objects import start_runtime

        timeout_s()
        start_runtime()


def _refuse_little_memory(least: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < least:
        raise StoreError(
            f"no more than {size(limit)} of memory may be used, where this takes {size(least)}: raise that limit "
            f"(ulimit -v) {_AGAIN}"
        )


def _refuse_nowhere() -> None:
    """Paths are relative to the current folder, and processes are started in it."""
    try:
        Path.cwd()
    except OSError:
        raise InputError("the current folder is not there any more: go to one that is (cd), and run it again") from None


def _refuse_mask() -> None:
    """Whoever may read and write all files may work with any mask."""
    mask = os.umask(0o077)
    os.umask(mask)
    if not mask & stat.S_IRWXU:
        return
    with tempfile.TemporaryDirectory(prefix="nutonic-") as folder:
        Path(folder).chmod(0o777 & ~mask)
        usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        Path(folder).chmod(0o700)
    if not usable:
        raise InputError(f"umask {mask:04o} takes from files the rights of their owner: set another, such as umask 022")


def open_standard_streams() -> None:
    """Open what is closed of the standard streams, lest a file of a dataset gets its number, and messages go into it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            if number == 1:
                sys.stdout = None
    if sys.stdout is None:  # as Python has it where it was closed: results would vanish without a word
        sys.stdout = _unwritable()


def _unwritable() -> TextIO:
    """A stream that fails at the first thing that is written: a file that is open for reading alone."""
    return os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8", errors="backslashreplace")


def silence(number: int) -> None:
    """Send what a stream still gets to nowhere: whoever read it has gone, or has no room."""
    stream = sys.stdout if number == 1 else sys.stderr
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        for each in {number, _number_of(stream, number)}:
            os.dup2(null, each)
        if null != number:
            os.close(null)
        stream.flush()


def _number_of(stream: TextIO, number: int) -> int:
    """The handle that a stream writes to; `number` of one that is no file."""
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return number


#: Why results did not reach the standard output, until that is told.
_lost: list[str] = []


def lose_results(error: OSError) -> None:
    """Write no more results; that they are lost is told once the work is done, for which nobody needs to read them."""
    silence(1)
    if not isinstance(error, BrokenPipeError):  # whoever read them has gone, and needs no telling
        _lost.append(unwritable(error))


def lost_results() -> str | None:
    """What to tell of results that were lost, now or since the last call, in a line; None if none were."""
    try:
        sys.stdout.flush()  # what is written at the exit only, where nobody would look
    except BrokenPipeError:
        silence(1)
    except OSError as error:
        lose_results(error)
    except ValueError:  # it was closed by who called
        pass
    line = _lost[0] if _lost else None
    _lost.clear()
    return line


def unwritable(error: OSError) -> str:
    """What to tell of an error of the standard output."""
    why = "it is closed" if error.errno == errno.EBADF else (error.strerror or "unwritable").lower()
    return f"cannot write to the standard output: {why}"
