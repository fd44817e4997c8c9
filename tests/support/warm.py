"""Programs started warm: one server a session has imported everything, and forks a process for each program.

Starting Python and importing dask, GDAL and xarray takes longer than what most programs of the tests do. A fork of the
server becomes ``python -m MODULE ARGUMENTS…``: its own session, environment, working directory and output, and the
interpreter's own end. The server itself never uses obstore, Dask or GDAL: their threads would not survive the fork.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from support.paths import ROOT

#: What builds, cubes, schedulers and workers import on their way; what is not installed is left out.
_MODULES = (
    "PIL.ImageFile", "bokeh.plotting", "dask.__main__", "dask.array", "dask.threaded", "distributed",
    "distributed.cli.dask_scheduler", "distributed.cli.dask_worker", "ee", "fsspec", "googleapiclient.discovery",
    "nutonic.chips.chip", "nutonic.cli.console", "nutonic.cli.cube", "nutonic.cli.main", "nutonic.cube.open",
    "nutonic.cube.save", "nutonic.dataset.finalize", "nutonic.dataset.verify", "nutonic.planning.plan",
    "nutonic.recipe.yaml", "nutonic.run.batch", "nutonic.run.executor", "nutonic.run.run", "nutonic.testing",
    "odc.stac", "pyproj", "rasterio", "rioxarray", "scipy.ndimage", "stackstac", "xarray", "xee", "zarr",
)  # fmt: skip


class Server:
    """The server, as seen from the tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.warm"],
            cwd=ROOT / "tests",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **question: object) -> Any:
        """Have a program started, which gives its process id, or ask what became of one that may have ended."""
        with self._lock:
            print(json.dumps(question, default=str), file=self._process.stdin, flush=True)
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the server; what it started and still runs is nobody's child then."""
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@cache
def server() -> Server:
    """The session's server, started when it is first asked for."""
    return Server()


class Process:
    """``python -m module arguments…`` as a process of its own; what it prints goes to a file, or its errors to another.

    Has what the tests need of :class:`subprocess.Popen`.
    """

    def __init__(
        self,
        log: Path,
        module: str,
        *arguments: object,
        errors: Path | None = None,
        environment: Mapping | None = None,
        folder: Path | None = None,
    ) -> None:
        self.log, self.began, self.returncode, self.peak_bytes = log, time.time(), None, 0
        environment = {name: str(value) for name, value in (os.environ if environment is None else environment).items()}
        log.write_bytes(b"")  # there to be read at once
        self.pid = server().ask(
            module=module,
            arguments=[str(argument) for argument in arguments],
            folder=folder or Path.cwd(),
            outputs=[log, errors or log],
            environment=environment,
        )

    def poll(self) -> int | None:
        """The exit code, once there is one."""
        if self.returncode is None and (end := server().ask(ended=self.pid)):
            self.returncode, self.peak_bytes = end
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.log), timeout)
            time.sleep(0.004)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def told(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[psutil.Process]:
        """All processes that it started, and those that they did."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def ended(self, seconds: float = 120) -> int:
        """Wait for its end; its exit code."""
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:.0f} s: {self.told()[-3000:]}") from None


def run(module: str, *arguments: object, environment: Mapping | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its exit code and what it printed."""
    with tempfile.TemporaryDirectory(prefix="nutonic-tests-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = Process(out, module, *arguments, errors=err, environment=environment)
        try:
            code = process.ended()
        except BaseException:
            process.kill()
            raise
        told = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
    return subprocess.CompletedProcess([module, *map(str, arguments)], code, *told)


# In the server


def _serve() -> dict | None:
    """Answer until nobody asks any more; in a fork, what it is to become."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for name in _MODULES:
        _warm(name)
    gc.freeze()  # for good: a fork that collects what it shares with the server copies all of it, which takes a second
    while line := sys.stdin.readline():
        question = json.loads(line)
        if "ended" in question:
            pid, status, usage = os.wait4(question["ended"], os.WNOHANG)
            answer = [os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024] if pid else None
        elif (answer := os.fork()) == 0:
            answers.close()
            return question
        print(json.dumps(answer), file=answers, flush=True)
    return None


def _warm(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError:
        if name.startswith("nutonic"):
            raise


def _become(module: str, arguments: list[str], folder: str, outputs: list[str], environment: dict[str, str]) -> None:
    """In a fork: be that program."""
    os.setsid()
    os.chdir(folder)
    sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115
    os.dup2(sys.stdin.fileno(), 0)
    _redirect(*outputs)
    configured = any(name.startswith("DASK_") for name, _ in environment.items() ^ os.environ.items())
    os.environ.clear()
    os.environ.update(environment)
    if configured:
        importlib.import_module("dask").config.refresh()
    sys.path[:0] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv[1:] = arguments
    random.seed()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _redirect(out: str, err: str) -> None:
    first = os.open(out, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    second = first if err == out else os.open(err, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.dup2(first, 1)
    os.dup2(second, 2)
    for number in {first, second}:
        os.close(number)


if __name__ == "__main__" and (program := _serve()) is not None:
    _become(**program)
