"""Ctrl-C during a build: pressed once it lets what has begun be finished; pressed again it ends the build at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any, Self

import psutil

from nutonic.cli import logs
from nutonic.run.callbacks import BuildStarted, Callback

#: Seconds for an orderly end after the second Ctrl-C; commits hold whatever comes of it.
_ORDERLY_S = 2.0

_CODE = 130

_FINISHING = "finishing what is in flight (Ctrl-C again stops at once)"


class Interrupts(Callback):
    """While it lasts, SIGINT and SIGTERM do not end the process, but the build that it follows.

    An exception raised by a signal may be lost, where Python runs a destructor or a library's callback, or wait for a
    library; so the second one has a deadline.
    """

    def __init__(self) -> None:
        self._signals = 0
        self._in_flight = False
        self._ending = threading.Event()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            numbers = (signal.SIGINT, signal.SIGTERM)
            self._handlers = {number: signal.signal(number, self._handle) for number in numbers}
            threading.Thread(target=self._kill_after_deadline, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def on_start(self, event: BuildStarted, /) -> None:
        """Batches begin; until then, there is nothing in flight that could be finished."""
        self._in_flight = event.to_do > 0

    def stop_requested(self) -> bool:
        """Whether there was a signal."""
        return self._signals > 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals == 1 and self._in_flight:
            _report(_FINISHING)
        elif not self._ending.is_set():
            self._ending.set()
            raise KeyboardInterrupt

    def _kill_after_deadline(self) -> None:
        """End the process, and those that it started, if it has not ended by itself."""
        self._ending.wait()
        time.sleep(_ORDERLY_S)
        with suppress(psutil.Error):
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h")  # the cursor, which a bar hides
        os._exit(_CODE)


def _report(text: str) -> None:
    """Write a line from a signal's handler: past Python's files, which the handler may have interrupted."""
    start = "\n" if sys.stderr.isatty() else ""
    line = logs.line("stopping", message=text) if logs.is_json() else f"{start}nutonic: {text}\n".encode()
    with suppress(OSError):
        os.write(2, line)
