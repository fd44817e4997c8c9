"""What a build needs of the processes that work for it: what is checked, set and limited in each of them.

This part runs in the workers; :mod:`nutonic.run.preflight` is the driver's. A worker is set up by a plugin, which also
reaches those that join later; a task that finds its worker not set up, or not fit, does nothing but say so.
"""

from __future__ import annotations

import importlib.metadata
import os
import pkgutil
import platform
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Semaphore, Worker, WorkerPlugin, get_worker

from nutonic.errors import NutonicError, StoreError
from nutonic.io.limits import IN_FLIGHT, limiter
from nutonic.run.jobs import Job
from nutonic.run.results import BatchDone
from nutonic.sources.earthengine.session import Session

#: Packages that have a say in the bytes of a dataset, and in what passes between driver and workers.
PACKAGES = (
    "numpy", "scipy", "xarray", "dask", "distributed", "rasterio", "pyproj", "shapely", "odc-geo", "stackstac",
    "pillow", "deflate", "orjson", "pydantic",
)  # fmt: skip

#: Libraries below them, which a package does not always bring along itself.
_LIBRARIES = {"GDAL": "rasterio:__gdal_version__", "PROJ": "pyproj:proj_version_str", "GEOS": "shapely:geos_version"}


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """What is installed in this process, by name."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2]), "nutonic": _told("nutonic:__version__")}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found | {name: _told(where) for name, where in _LIBRARIES.items()}


def _told(where: str) -> str:
    value = pkgutil.resolve_name(where)
    return ".".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerChecks:
    """What must be so in every process that works for a build."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """As the driver has them."""
    token: Path | None = None
    """A file in the output folder."""
    content: bytes = b""
    """What that file holds."""
    inputs: Mapping[str, int] = field(default_factory=dict)
    """Local files to be read, and their sizes."""
    session: Session | None = None
    """Of Earth Engine, where it is asked: each process needs credentials of its own."""

    def objection(self, worker: str) -> str | None:
        """Why this process cannot work for the build, in a line; None if it can."""
        found = self._versions() or self._output(worker) or self._inputs() or self._credentials()
        return found and f"worker {worker} {found}"

    def _versions(self) -> str | None:
        if not self.versions:
            return None
        here = versions([name for name in self.versions if name not in ("Python", "nutonic", *_LIBRARIES)])
        wrong = [name for name, version in self.versions.items() if here[name] != version]
        if not wrong:
            return None
        said = ", ".join(f"{name} {here[name]} where the driver has {self.versions[name]}" for name in wrong[:3])
        return f"has {said}: install the same requirements.lock on all"

    def _output(self, worker: str) -> str | None:
        if self.token is None:
            return None
        folder = self.token.parent.parent
        own = self.token.with_name(f"{self.token.name}-{re.sub('[^A-Za-z0-9]+', '-', worker)}")
        try:
            if self.token.read_bytes() != self.content:
                return f"sees another {folder} than the driver: build into a folder that all share"
        except OSError as error:
            return f"does not see the output folder {folder} ({_why(error)}): build into a folder that all share"
        try:
            own.write_bytes(self.content)
        except OSError as error:
            return f"cannot write into {folder} ({_why(error)}): build into a folder where all may write"
        finally:
            with suppress(OSError):
                own.unlink()
        return None

    def _inputs(self) -> str | None:
        for path, size in self.inputs.items():
            try:
                with Path(path).open("rb") as file:
                    found = file.seek(0, os.SEEK_END)
            except OSError as error:
                return f"does not see {path} ({_why(error)}): put it where all see it, under the same path"
            if found != size:
                return f"sees another {path} ({found} bytes, the driver's has {size}): put one where all see it"
        return None

    def _credentials(self) -> str | None:
        try:
            if self.session is not None:
                self.session.check()
        except NutonicError as error:
            return f"cannot ask Earth Engine: {error}"
        return None


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class BuildPlugin(WorkerPlugin):
    """Sets a worker up for one build, and takes that back when the build is over."""

    def __init__(
        self,
        name: str,
        *,
        proof: WorkerChecks,
        environment: Mapping[str, str],
        requests: tuple[int, int] | None = None,
        ignore_sigint: bool = False,
    ) -> None:
        """`requests`: how many may be in flight in all workers together, and at most how many of them in one job.

        `ignore_sigint`: leave Ctrl-C, which a terminal sends to all its processes, to the driver.
        """
        self.name, self._proof, self._environment = name, proof, dict(environment)
        self._requests, self._deaf = requests, ignore_sigint
        self._before: dict[str, str | None] = {}
        self._leases: Semaphore | None = None
        self.objection: str | None = None
        self.standing_down = False

    def __repr__(self) -> str:
        return f"Aide({self.name!r})"  # what it passes on is nobody's to read

    def setup(self, worker: Worker) -> None:
        """Check, set and limit what there is to."""
        self._before = {name: os.environ.get(name) for name in self._environment}
        _set(self._environment)
        self.objection = self._proof.objection(worker.address)
        if self._deaf and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self._requests is not None:
            how: dict[str, Any] = {"scheduler_rpc": worker.scheduler, "loop": worker.loop}
            self._leases = Semaphore(max_leases=self._requests[0], name=self.name, **how)
            limiter.resize(0)

    def teardown(self, worker: Worker) -> None:
        """Leave the process as it was."""
        _set(self._before)
        if self._leases is not None:
            self._leases.refresh_callback.stop()
            limiter.resize(IN_FLIGHT)

    def do(self, job: Job, work: Callable[[Job], BatchDone]) -> BatchDone | None:
        """Do a job; nothing, if the build is to end."""
        if self.objection is not None:
            raise StoreError(self.objection)
        if self.standing_down:
            return None
        with self._allowed():
            return None if self.standing_down else work(job)

    @contextmanager
    def _allowed(self) -> Iterator[None]:
        """Requests that this process may have in flight meanwhile: one is waited for, more are taken if they are there."""
        if self._leases is None or self._requests is None:
            # A gate that is shut is so for another build that this worker works for.
            with limiter.lent(0 if limiter.width else IN_FLIGHT):
                yield
            return
        held = 0
        try:
            self._leases.acquire()
            held = 1
            while held < self._requests[1] and self._leases.acquire(timeout=0):
                held += 1
            with limiter.lent(held):
                yield
        finally:
            for _ in range(held):
                self._leases.release()


def _set(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    settings = sys.modules.get("planetary_computer.settings")
    if settings is not None:  # which reads its variables once
        settings.Settings.get.cache_clear()


def do(job: Job, *, work: Callable[[Job], BatchDone], name: str) -> BatchDone | None:
    """Do a job in a worker that was set up for it; None if the build was to end before the job began."""
    worker = get_worker()
    aide = worker.plugins.get(name)
    if not isinstance(aide, BuildPlugin):
        raise StoreError(
            f"worker {worker.address} was not set up for this build: restart it, then run the same command"
        )
    return aide.do(job, work)


def objection(name: str, dask_worker: Worker) -> str | None:
    """What a worker has against working for a build."""
    aide = dask_worker.plugins.get(name)
    return (
        aide.objection
        if isinstance(aide, BuildPlugin)
        else f"worker {dask_worker.address} could not be set up: see its log"
    )


def cancel(name: str, dask_worker: Worker) -> None:
    """Have a worker begin no more jobs of a build."""
    aide = dask_worker.plugins.get(name)
    if isinstance(aide, BuildPlugin):
        aide.standing_down = True
