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

#: Seconds for an orderly end after the second Ctrl-C; commits hold whatever comes of it.
_ORDERLY_S = 2.0

_CODE = 130

_FINISHING = "finishing what is in flight (Ctrl-C again stops at once)"


class Interrupts:
    """While it lasts, SIGINT and SIGTERM are heard, not obeyed.

    An exception raised by a signal may be lost, where Python runs a destructor or a library's callback, or wait for a
    library; so the second one has a deadline.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._begun = False
        self._ending = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
            threading.Thread(target=self._end, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self) -> bool:
        """Whether the build is to stop. Work begins when this is first asked; until then there is nothing to finish."""
        self._begun = True
        return self._asked > 0

    @property
    def heard(self) -> bool:
        """Whether there was a signal."""
        return self._asked > 0

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._asked += 1
        if self._asked == 1 and self._begun:
            _tell(_FINISHING)
        elif not self._ending.is_set():
            self._ending.set()
            raise KeyboardInterrupt

    def _end(self) -> None:
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


def _tell(text: str) -> None:
    """Say something from a signal's handler: past Python's files, which the handler may have interrupted."""
    start = "\n" if sys.stderr.isatty() else ""
    said = logs.line("stopping", message=text) if logs.is_json() else f"{start}nutonic: {text}\n".encode()
    with suppress(OSError):
        os.write(2, said)
