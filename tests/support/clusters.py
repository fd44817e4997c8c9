"""A Dask cluster of real processes, and builds as a user starts them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from support import dying
from support.warm import Process

_HERE = Path(__file__).parent


def until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for something to come true; a file that is moved while it is looked at is looked at again."""
    end = time.monotonic() + seconds
    while True:
        with suppress(FileNotFoundError):
            if true():
                return
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.02)


def started(folder: Path, *arguments: object, module: str = "nutonic", **environment: object) -> Process:
    """A nutonic command that was started."""
    log = folder / f"nutonic-{len(list(folder.glob('nutonic-*.log')))}.log"
    return Process(log, module, *arguments, environment=os.environ | environment)


def dying_workers(folder: Path, *deaths: dict) -> dict[str, str]:
    """Environment in which workers, a LocalCluster's too, die as a script says; see :mod:`dying`."""
    script = folder / "deaths.json"
    script.write_text(json.dumps(deaths), encoding="utf-8")
    return {"NUTONIC_TEST_DEATHS": str(script), "DASK_DISTRIBUTED__WORKER__PRELOAD": str(_HERE / "dying.py")}


def deaths(folder: Path) -> dict[str, list[str]]:
    """Who died, and what each had put and not committed."""
    return dying.notes(folder / "deaths.json")


class Cluster:
    """`dask scheduler` and `dask worker`, each a process of its own."""

    def __init__(self, folder: Path, **environment: object) -> None:
        self.folder, self.environment = folder, environment
        self.processes: list[Process] = []
        self.workers: list[Process] = []

    def start_scheduler(self) -> None:
        self._file = self.folder / f"scheduler-{len(self.processes)}.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--dashboard-address", "127.0.0.1:0",
            "--scheduler-file", self._file,
        )  # fmt: skip
        until(self._told_address, "a scheduler")

    def _told_address(self) -> bool:
        """Whether the scheduler has written its file to the end."""
        try:
            self.address = json.loads(self._file.read_text(encoding="utf-8"))["address"]
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        return True

    def start_worker(self, *, nanny: bool = False) -> Process:
        """Start a worker, which nobody starts again unless it has a nanny."""
        worker = self._start(
            "worker", "--scheduler-file", self._file, "--host", "127.0.0.1", "--nthreads", 1,
            "--nanny" if nanny else "--no-nanny", "--no-dashboard", "--local-directory", self.folder,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def wait_for_workers(self) -> None:
        for worker in self.workers:
            until(lambda worker=worker: "Registered to" in worker.told(), "a worker")

    def _start(self, kind: str, *arguments: object) -> Process:
        log = self.folder / f"{kind}-{len(self.processes)}.log"
        process = Process(log, "dask", kind, *arguments, environment=os.environ | self.environment)
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in reversed(self.processes):
            family = [process, *process.children()]
            for each in family:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            process.wait()


@contextmanager
def cluster(folder: Path, workers: int = 2, *, nanny: bool = False, **environment: object) -> Iterator[Cluster]:
    """A scheduler and its workers, for as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Cluster(folder, **environment)
    try:
        found.start_scheduler()
        for _ in range(workers):
            found.start_worker(nanny=nanny)
        found.wait_for_workers()
        yield found
    finally:
        found.close()
