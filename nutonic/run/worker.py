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
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker
from distributed.protocol import pickle

from nutonic.errors import NutonicError, StoreError
from nutonic.heap import settled
from nutonic.io import signing
from nutonic.io.buckets.address import Address, AnyPath
from nutonic.io.limits import IN_FLIGHT
from nutonic.io.objects import Store
from nutonic.io.session import current, using
from nutonic.recipe.annotation import Annotator
from nutonic.run.clusters.groups import do_each
from nutonic.run.jobs import AnyJob
from nutonic.sources.source import Account

#: Packages that affect the bytes of a dataset, or the messages between driver and workers.
PACKAGES = (
    "numpy", "scipy", "xarray", "dask", "distributed", "rasterio", "pyproj", "shapely", "odc-geo", "stackstac",
    "pillow", "deflate", "orjson", "pydantic", "connected-components-3d",
)  # fmt: skip

#: Libraries below them, which packages do not always bundle.
_LIBRARIES = {"GDAL": "rasterio:__gdal_version__", "PROJ": "pyproj:proj_version_str", "GEOS": "shapely:geos_version"}

#: Seconds that a job waits for its worker to get a share of the requests, before it goes to another worker.
_SHARE_S = 0.5


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python, nutonic, packages and libraries in this process, by name."""
    by_name = {"Python": ".".join(platform.python_version_tuple()[:2]), "nutonic": _version_text("nutonic:__version__")}
    for name in packages:
        try:
            by_name[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            by_name[name] = "missing"
    return by_name | {name: _version_text(where) for name, where in _LIBRARIES.items()}


def _version_text(where: str) -> str:
    value = pkgutil.resolve_name(where)
    return ".".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerChecks:
    """The checks of every process that works for a build."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions in the driver, by name."""
    output: AnyPath | None = None
    """Where the output goes; None where it need not be looked at."""
    token: str = ""
    """Path of a file of it."""
    content: bytes = b""
    """The content of that file."""
    reads: bool = False
    """Whether it only reads the output: then the file is the tree's own, and the content the end of it."""
    inputs: Mapping[str, int] = field(default_factory=dict)
    """Sizes in bytes of local input files, by path."""
    accounts: tuple[Account, ...] = ()
    """Accounts of the services that are used; each process needs its own credentials."""

    def objection(self, worker: str) -> str | None:
        """Why this process cannot work for the build, in a line; None if it can."""
        problem = self._versions() or self._output(worker) or self._inputs() or self._credentials()
        return problem and f"worker {worker} {problem}"

    def _versions(self) -> str | None:
        if not self.versions:
            return None
        here = versions([name for name in self.versions if name not in ("Python", "nutonic", *_LIBRARIES)])
        wrong = [name for name, version in self.versions.items() if here[name] != version]
        if not wrong:
            return None
        differences = ", ".join(f"{name} {here[name]} where the driver has {self.versions[name]}" for name in wrong[:3])
        return f"has {differences}: install the same requirements.lock on all"

    def _output(self, worker: str) -> str | None:
        if self.output is None:
            return None
        if self.reads:
            return self._tree_there(Store(self.output))
        own_name = f"{self.token}-{re.sub('[^A-Za-z0-9]+', '-', worker)}"
        if isinstance(self.output, Address):
            return self._output_there(Store(self.output), own_name)
        folder, token, own = self.output, self.output / self.token, self.output / own_name
        try:
            if token.read_bytes() != self.content:
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

    def _tree_there(self, store: Store) -> str | None:
        try:
            seen = store.tail(self.token, len(self.content))
        except (NutonicError, FileNotFoundError) as error:
            why = "it is not there" if isinstance(error, FileNotFoundError) else str(error)
            return f"does not see the dataset {store.root} ({why}): put it where all see it, under the same name"
        return None if seen == self.content else f"sees another {store.root} than the driver: use one that all share"

    def _output_there(self, store: Store, own: str) -> str | None:
        """The same of an output in an object store, for which each process has its own credentials."""
        try:
            if store.get(self.token) != self.content:
                return f"sees another {store.root} than the driver: give it the same endpoint and account"
            store.put(own, self.content)
            store.delete(own)
        except FileNotFoundError:
            return f"does not see the output {store.root}: give it the same endpoint and account"
        except NutonicError as error:
            return str(error)
        return None

    def _inputs(self) -> str | None:
        for path, size in self.inputs.items():
            try:
                with Path(path).open("rb") as file:
                    local_size = file.seek(0, os.SEEK_END)
            except OSError as error:
                return f"does not see {path} ({_why(error)}): put it where all see it, under the same path"
            if local_size != size:
                return f"sees another {path} ({local_size} bytes, the driver's has {size}): put one where all see it"
        return None

    def _credentials(self) -> str | None:
        for account in self.accounts:
            try:
                account.check()
            except NutonicError as error:
                return f"cannot ask {account.service}: {error}"
        return None


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


@dataclass(frozen=True, slots=True)
class NoShare:
    """The result of a job at a worker without a share of the requests; the job goes to another worker."""

    worker: str
    """Its address."""


class BuildPlugin(WorkerPlugin):
    """Sets a worker up for one build, and undoes the set-up when the build is over.

    A build reads in a session of its own, whose limit is this worker's share of the build's requests; whoever else uses
    the process is not limited by it. Where requests are shared, a worker has none until the driver gives it some: so
    one that joins later asks for nothing before the others have been told to ask for less.
    """

    def __init__(
        self,
        name: str,
        *,
        checks: WorkerChecks,
        environment: Mapping[str, str],
        shared: bool = False,
        ignore_sigint: bool = False,
        annotators: Sequence[Annotator] = (),
    ) -> None:
        """`shared`: whether requests are limited in all workers together; else each may make as many as it would.

        `annotators`: those whose endpoints are asked, so that a share is of what they take.

        `ignore_sigint`: leave Ctrl-C, which a terminal sends to all its processes, to the driver.
        """
        self.name, self._checks, self._environment = name, checks, dict(environment)
        self._shared, self._ignore_sigint, self._annotators = shared, ignore_sigint, tuple(annotators)
        self._before: dict[str, str | None] = {}
        self.objection: str | None = None
        self.cancelled = False

    def __repr__(self) -> str:
        return f"BuildPlugin({self.name!r})"  # without the environment, which may hold secrets

    def setup(self, worker: Worker) -> None:
        """Set the environment, check the worker and open a limited session."""
        self._before = {name: os.environ.get(name) for name in self._environment}
        _set(self._environment)
        self.objection = self._checks.objection(worker.address)
        if self._ignore_sigint and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._worker, self._given, self._here = worker.address, threading.Event(), threading.local()
        self._session = current().limited(0 if self._shared else IN_FLIGHT)
        if self._annotators:
            from nutonic.sources.annotators.asking import Asking

            self._session.resource(Asking).listen(lambda name, seconds: worker.log_event(self.name, {name: seconds}))

    def teardown(self, worker: Worker) -> None:
        """Leave the process as it was."""
        _set(self._before)
        self._session.close()

    def limit(self, requests: int) -> int:
        """Limit the requests in flight from now on; gives the number in flight now."""
        limiter = self._session.client.limiter
        limiter.resize(requests)
        inside = limiter.inside
        if self._annotators:
            from nutonic.sources.annotators.asking import Asking

            inside = max(inside, self._session.resource(Asking).share(self._annotators, requests))
        (self._given.set if requests else self._given.clear)()
        return inside

    def refrain(self, pauses: Mapping[str, float]) -> None:
        """Ask endpoints for nothing in so many seconds, by annotator."""
        from nutonic.sources.annotators.asking import Asking

        self._session.resource(Asking).refrain(pauses)

    def cancel(self) -> None:
        """Begin no other job; one that asks endpoints asks no more."""
        self.cancelled = True
        if self._annotators:
            from nutonic.sources.annotators.asking import Asking

            self._session.resource(Asking).stop()

    def do(self, job: bytes, work: bytes) -> Any:
        """Do a job; NoShare if this worker may make no requests, None if the build was cancelled."""
        if self.objection is not None:
            raise StoreError(self.objection)
        if self._shared and not self.cancelled and not self._given.wait(_SHARE_S):
            return NoShare(self._worker)
        if self.cancelled:
            return None
        with using(self._session), settled():
            return do_each(pickle.loads(job), self._unpacked(work), lambda: self.cancelled)

    def _unpacked(self, work: bytes) -> Callable[[Any], Any]:
        """What is done with jobs, which is the same for task after task: unpacked once in each thread."""
        if getattr(self._here, "packed", None) != work:
            self._here.packed, self._here.work = work, pickle.loads(work)
        unpacked: Callable[[Any], Any] = self._here.work
        return unpacked


def _set(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    signing.reread_environment()


def packed(value: AnyJob | Callable[[Any], Any]) -> bytes:
    """A job, or what is done with jobs, as bytes: the scheduler would unpack anything else, and pack it again."""
    return bytes(pickle.dumps(value))


def do(job: bytes, *, work: bytes, name: str) -> Any:
    """Do a job in a worker that was set up for it, both packed; None if the build was to end before the job began."""
    worker = get_worker()
    plugin = worker.plugins.get(name)
    if not isinstance(plugin, BuildPlugin):
        raise StoreError(
            f"worker {worker.address} was not set up for this build: restart it, then run the same command"
        )
    return plugin.do(job, work)


def is_set_up(name: str, dask_worker: Worker) -> bool:
    """Whether a worker was set up for a build."""
    return isinstance(dask_worker.plugins.get(name), BuildPlugin)


def objection(name: str, dask_worker: Worker) -> str | None:
    """Why a worker cannot work for a build, in a line; None if it can."""
    plugin = dask_worker.plugins.get(name)
    return (
        plugin.objection
        if isinstance(plugin, BuildPlugin)
        else f"worker {dask_worker.address} could not be set up: see its log"
    )


def limit(name: str, shares: Mapping[str, int], dask_worker: Worker) -> int:
    """Give a worker its share of a build's requests; returns the number that it has in flight now."""
    plugin = dask_worker.plugins.get(name)
    return plugin.limit(shares[dask_worker.address]) if isinstance(plugin, BuildPlugin) else 0


def cancel(name: str, dask_worker: Worker) -> None:
    """Let a worker start no more jobs of a build."""
    plugin = dask_worker.plugins.get(name)
    if isinstance(plugin, BuildPlugin):
        plugin.cancel()


def refrain(name: str, pauses: Mapping[str, float], dask_worker: Worker) -> None:
    """Let a worker ask endpoints for nothing in so many seconds, by annotator."""
    plugin = dask_worker.plugins.get(name)
    if isinstance(plugin, BuildPlugin):
        plugin.refrain(pauses)
