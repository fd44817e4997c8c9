"""Ctrl-C during a build: the first one lets the batches in flight finish, the second one ends the build at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any, Self

from nutonic.cli import logs
from nutonic.cli.ending import GOES_ON, INTERRUPTED
from nutonic.run.callbacks import BuildStarted, Callback

#: Seconds for an orderly end after the second Ctrl-C. Commits stay whole even if the process is killed then.
_ORDERLY_S = 2.0

_FINISHING = "finishing what is in flight (Ctrl-C again stops at once)"


class Interrupts(Callback):
    """While it is active, SIGINT and SIGTERM end the build that it observes, not the process.

    The exception of a signal may be lost in a destructor or in a library's callback, or may have to wait for a library. So
    after the second signal there is a deadline.
    """

    def __init__(self) -> None:
        self._signals = 0
        self._in_flight = False
        self._ending = threading.Event()
        self._over = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            numbers = (signal.SIGINT, signal.SIGTERM)
            self._handlers = {number: signal.signal(number, self._handle) for number in numbers}
            threading.Thread(target=self._kill_after_deadline, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def on_start(self, event: BuildStarted, /) -> None:
        """Note that batches begin. Before that, nothing is in flight, and the first signal ends the build."""
        self._in_flight = event.to_do > 0

    def stop_requested(self) -> bool:
        """Whether there was a signal."""
        return self._signals > 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals == 1 and self._in_flight:
            _report("stopping", _FINISHING)
        elif not self._ending.is_set():
            self._ending.set()
            raise KeyboardInterrupt

    def _kill_after_deadline(self) -> None:
        """End the process, and those that it started, if it has not ended by itself."""
        self._ending.wait()
        import psutil  # takes its time, which only who is interrupted twice need spend

        time.sleep(_ORDERLY_S)
        with suppress(psutil.Error):
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h")  # the cursor, which a bar hides
        if not self._over:  # else it is told by whoever goes on
            _report("interrupted", f"interrupted: {GOES_ON}")
        os._exit(INTERRUPTED)


def _report(event: str, text: str) -> None:
    """Write a line from a signal's handler, without Python's files, which the signal may have interrupted."""
    start = "\n" if sys.stderr.isatty() else ""
    line = logs.line(event, message=text) if logs.is_json() else f"{start}nutonic: {text}\n".encode()
    with suppress(OSError):
        os.write(2, line)
