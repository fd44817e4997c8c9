"""Servers in processes of their own, and how long they may take."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Seconds that any of these servers may take to start, and to end.
PATIENCE_S = 60

#: What `prctl` calls a signal that comes when who started a process ends:
#: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path, stop: int = signal.SIGTERM, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended, and waited for, with the block; on Linux also where the tests are killed within it."""
    how = {"preexec_fn": _end_with_the_tests} | how if sys.platform == "linux" else how
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **how)
    try:
        yield process
    finally:
        for order in (stop, signal.SIGKILL):
            process.send_signal(order)
            try:
                process.wait(PATIENCE_S)
                break
            except subprocess.TimeoutExpired:
                continue


def _end_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def await_(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server is there; fail with what it wrote if it ends or takes too long."""
    end = time.monotonic() + PATIENCE_S
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{process.args} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
