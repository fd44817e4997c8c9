"""Where workers are: on this machine, started for a build, or at a scheduler that runs already."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import re
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from nutonic.errors import InputError, StoreError, Unreachable, as_installed
from nutonic.io.atomic import disk_error, full_disk
from nutonic.io.files import require_handles
from nutonic.run.callbacks import Note
from nutonic.run.clusters.address import Scheduling, found_at
from nutonic.run.clusters.patience import ANSWER_S, BATCH_S, NONE_S, Patience
from nutonic.run.dask_report import has_bokeh
from nutonic.secrets import redact

if TYPE_CHECKING:
    from distributed import Client, Security

#: Settings of the workers' memory allocator (glibc's). By Dask's own setting each large array goes back to the kernel
#: and the next is taken anew, page by page: reading and reducing a cube took workers 1.7 times as long.
MALLOC = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**28,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
    # Threads that read would each keep a heap of their own, with room in it that no other may use.
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
}

#: The same for workers that build chips: from the size of a block on, memory goes back to the kernel once it is free. Blocks
#: are few, and to unpack one takes a hundred times as long as to get its pages anew.
MALLOC_BUILD = MALLOC | {"distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**21}

#: How often scheduler, nannies and workers see how they are. By Dask's own settings each wakes 50 times a second to see
#: whether it is late, and ten times to see what it holds: with two workers that took 6 % of a core, which is theirs.
_SELDOM = {
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.memory.monitor-interval": "250ms",
}

#: What workers are not to warn of while they import: that PROJ has no database is told as an error, by whoever needs it.
_QUIET = "ignore:Valid PROJ data directory:UserWarning,ignore:pyproj unable to set:UserWarning"

#: File handles that a scheduler in this process takes at least, and those of each worker: with fewer, dask tries for long.
_HANDLES, _HANDLES_EACH = 24, 8

#: How long to wait for a scheduler, and for one that was lost to come back: what was in flight is lost with it.
_ANSWER_S = 10.0

#: How long a worker may take to start here: one whose process hangs would be waited for without end.
_STARTED_S = 120.0

#: Scheme, host and port; no user, and no query, which might be secrets.
_ADDRESS = r"(\w+://[^\s@?#;]+|[^\s/@?#;]+:\d+)"

_TLS = "tls:// needs --tls-ca, --tls-cert and --tls-key, or Dask's own configuration of TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where a build finds its workers, how many requests they may make at once, and how they are observed."""

    workers: int | None = None
    """Processes to start on this machine: None for one per core, 0 to do all the work in this one, without dask."""
    scheduler: str | Path | Scheduling | None = None
    """A running scheduler to use instead: its address; the path of its file, as ``dask scheduler --scheduler-file`` writes
    it; or a cluster object of Dask's, such as a ``SLURMCluster`` or a ``KubeCluster``, which stays as it is."""
    tls_ca: str | Path | None = None
    """For a scheduler at ``tls://``: file with the authority's certificate; by default what Dask's configuration says."""
    tls_cert: str | Path | None = None
    """File with this client's certificate."""
    tls_key: str | Path | None = None
    """File with this client's key; it may be that of the certificate."""
    max_requests: int | None = None
    """HTTP requests in flight in all workers together, in equal shares; None for eight in each, forty where Earth Engine
    is. With fewer than there are workers only so many work."""
    dashboard: bool = False
    """Whether workers on this machine get Dask's dashboard; a running scheduler's is reported anyway."""
    performance_report: str | Path | None = None
    """File for Dask's performance report, an HTML page."""
    patience: float = ANSWER_S
    """Seconds without an answer of a worker after which others get its batches."""
    deadline: float = BATCH_S
    """Seconds that a worker may take for a batch; the places of one that takes longer stay open."""
    wait: float = NONE_S
    """Seconds to wait for a worker where there is none."""

    @property
    def waits(self) -> Patience:
        """How long is waited for what.

        Raises
        ------
        InputError
            If one is no number of seconds.
        """
        return Patience(silent_s=self.patience, batch_s=self.deadline, none_s=self.wait)

    @property
    def in_process(self) -> bool:
        """Whether there are no workers, and the driver does all the work."""
        return self.workers == 0 and self.scheduler is None


def cluster_of(workers: int | Cluster | None) -> Cluster:
    """The cluster that is meant.

    Raises
    ------
    InputError
        If it is no number of workers.
    """
    if isinstance(workers, Cluster):
        return workers
    if workers is not None and (not isinstance(workers, int) or workers < 0):
        raise InputError(f"workers is {workers!r}: give a number from 0, or nutonic.Cluster(scheduler=…, …)")
    return Cluster(workers=workers)


@contextmanager
def connected(cluster: Cluster, malloc: Mapping[str, int] = MALLOC) -> Iterator[Client]:
    """A client of the cluster; workers that were started here, with these settings of `malloc`, are stopped again.

    Raises
    ------
    InputError
        If the scheduler's address is none, or a file of certificates is missing, or is none.
    Unreachable
        If no scheduler answers.
    StoreError
        If workers cannot be started here: too few file handles, no room for temporary files, or whatever Dask says.
    """
    import dask.config
    from distributed import Client, LocalCluster, Security

    from nutonic.planning.cost import default_workers

    if cluster.scheduler is not None:
        # Set by name, not as the client: adaptive clusters in this process hand their workers all of this configuration.
        name = "dask.distributed"
        with _quietly(), _client_of(cluster) as client, client.as_current(), dask.config.set(scheduler=name):
            yield client
        return
    count = default_workers() if cluster.workers is None else cluster.workers
    require_handles(_HANDLES + _HANDLES_EACH * count)
    settings: dict[str, Any] = {
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",  # the scheduler listens for HTTP anyway, and this port is free
        "scheduler_kwargs": {"dashboard": cluster.dashboard and has_bokeh()},
        "silence_logs": "CRITICAL",
        "death_timeout": _STARTED_S,
    }
    config = _configuration(cluster, malloc)
    with ExitStack() as stack:
        with _startable():
            folder = tempfile.TemporaryDirectory(prefix="nutonic-workers-", ignore_cleanup_errors=True)
        scratch = stack.enter_context(folder)
        # The scheduler too imports from its folder, which is dask-scratch-space, where others may have made it, otherwise.
        config["temporary-directory"] = scratch
        with _interrupts_held_back(), _startable(), _none_left_behind(), dask.config.set(config):
            # Whoever reaches a scheduler runs code as its owner, and loopback is everybody's on this machine.
            local = LocalCluster(n_workers=count, security=Security.temporary(), local_directory=scratch, **settings)
            stack.enter_context(local)
        with _startable():
            client = Client(local)
        with client:
            yield client


def _configuration(cluster: Cluster, malloc: Mapping[str, int]) -> dict[str, Any]:
    """Dask's configuration of a cluster that is started here, and of its workers."""
    # By default dask keeps its last thousand messages, whole jobs among them: tens of megabytes.
    config: dict[str, Any] = {"distributed.admin.low-level-log-length": 100, **_SELDOM, **malloc}
    wanted = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), _QUIET)))
    config["distributed.nanny.pre-spawn-environ.PYTHONWARNINGS"] = wanted
    if not cluster.dashboard:
        config |= {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
        if cluster.performance_report is None:
            # An hour of what each worker's stack was, a hundred times a second: hundreds of megabytes that nobody looks at.
            config |= {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "5s"}
    return config


@contextmanager
def _startable() -> Iterator[None]:
    """Tell in a line what keeps workers from being started here; whatever it is, a build goes on without them."""
    try:
        yield
    except Exception as error:  # of dask, of tornado, of a worker, or of what they are told to load
        raise StoreError(f"cannot start workers: {_why(error)}; or build without workers (--workers 0)") from error


@contextmanager
def _none_left_behind() -> Iterator[None]:
    """Kill what the block started, where it fails: a process that is stopped would be waited for as this one ends."""
    before = {*multiprocessing.active_children()}
    try:
        yield
    except BaseException:
        for process in {*multiprocessing.active_children()} - before:
            process.kill()
        raise


def _why(error: BaseException) -> str:
    """What an error comes from, and what to do where that is known."""
    while (earlier := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = earlier
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        where = Path(tempfile.tempdir or os.environ.get("TMPDIR", "/tmp"))
        told = full_disk(str(error), "temporary files", where)
        if told is None and (error.filename is not None or isinstance(error, FileNotFoundError)):
            told = disk_error(error, error.filename or "temporary files", where)
        if told is not None:
            return f"{told}; TMPDIR names the folder for temporary files"
    if isinstance(error, queue.Empty | TimeoutError):  # so a nanny tells that its worker has not told it anything
        return f"one did not come to be in {_STARTED_S:.0f} s"
    return (
        f"{type(error).__name__}: {redact(str(error)):.160}; see Dask's configuration, its variables (DASK_…) among it"
    )


def _client_of(cluster: Cluster) -> Client:
    """A client of a running scheduler."""
    from distributed import Client, Security

    assert cluster.scheduler is not None, "there is one to be found"
    files = {"tls_ca_file": cluster.tls_ca, "tls_client_cert": cluster.tls_cert, "tls_client_key": cluster.tls_key}
    given = {name: str(path) for name, path in files.items() if path is not None}
    missing = [path for path in given.values() if not Path(path).is_file()]
    if missing:
        raise InputError(f"there is no file {missing[0]}: see tls_ca, tls_cert and tls_key")
    full, security = found_at(cluster.scheduler)
    address = redact(full.rpartition("@")[2])
    if not re.fullmatch(_ADDRESS, full):
        raise InputError(f"{address!r} is no address of a Dask scheduler: write tcp://HOST:PORT or tls://HOST:PORT")
    if address.lower().startswith(("http:", "https:")):
        raise InputError(
            f"{address} is that of a web page, such as Dask's dashboard: the scheduler's is tcp://HOST:8786"
        )
    hint = "" if given or security or not address.startswith("tls:") else f"; {_TLS}"
    if given:
        security = Security(**given, require_encryption=True)
        _refuse_unusable(security, given)
    try:
        _greet(full, security or Security())
        # Not the default at once: one that never comes to be would stay it, and whoever computes later would wait for it.
        return Client(full, timeout=_ANSWER_S, security=security, set_as_default=False)
    except OSError as error:
        start = "start one (dask scheduler), or leave --scheduler out"
        raise Unreachable(f"no Dask scheduler answers at {address}: {type(error).__name__}{hint}: {start}") from None
    except (ValueError, TypeError, RuntimeError, ImportError) as error:
        why = f"{type(error).__name__}: {redact(str(error)):.100}{hint}"
        raise InputError(f"cannot use a Dask scheduler at {address}: {why}") from None


def _refuse_unusable(security: Security, files: Mapping[str, str]) -> None:
    """Raise InputError for files that are no certificates or keys, or not of each other."""
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as error:  # what OpenSSL says is an OSError
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        named = ", ".join(dict.fromkeys(files.values()))
        raise InputError(
            f"{named} cannot be used: {str(why).lower():.100}; see tls_ca, tls_cert and tls_key, which are PEM files"
        ) from None


def _greet(address: str, security: Security) -> None:
    """Raise whatever keeps a connection from being made; a client that was begun in vain would tell of it at its own end."""
    import asyncio

    from distributed.comm.core import connect

    async def greet() -> None:
        given = security.get_connection_args("client")
        (await asyncio.wait_for(connect(address, timeout=_ANSWER_S, **given), _ANSWER_S)).abort()

    with ThreadPoolExecutor(1) as thread:  # a notebook's own has a loop that runs already
        error = thread.submit(asyncio.run, greet()).exception()
    if isinstance(error, MemoryError | EOFError):  # what is no message of Dask's is taken for the size of a huge one
        raise ConnectionError("another service answers")
    if error is not None:
        raise error


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence dask's messages on versions and lost connections; nutonic reports them in a line."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("distributed", "tornado")]
    before = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in before:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="(?s).*Mismatched versions")
            yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Inside, what would interrupt this process waits until the end of the block; the second time it does not.

    Half a cluster is ended by nobody. Processes that are started inside never see Ctrl-C, which a terminal sends to all: it
    is blocked in them, as in the thread that starts them, which began here. (To ignore it is no way: threads that were there
    before take the signal, and it is lost.)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)
        handler = before[signal.Signals(number)]
        if len(held) > 1 and callable(handler):
            handler(number, frame)

    resource_tracker.ensure_running()  # who starts it first lets the signal through again, even in a thread that blocks it
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, hold)
    try:
        with _blocked(signal.SIGINT):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """Delay a signal until the end of the block, here and in threads that begin inside; Windows has no masks of signals."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def dashboard_note(client: Client, cluster: Cluster) -> Note | None:
    """A note with the dashboard's address; or that there is none, if one was asked for."""
    if cluster.scheduler is None and not cluster.dashboard:
        return None
    if client.run_on_scheduler(_has_dashboard):
        return Note(text=f"dashboard: {redact(str(client.dashboard_link))}")
    if not cluster.dashboard:
        return None
    if cluster.scheduler is not None:
        return Note(text="no dashboard: the scheduler was started without one, or without bokeh")
    return Note(text=as_installed("no dashboard: it needs bokeh: pip install 'nutonic[dashboard]'"))


def _has_dashboard(dask_scheduler: Any) -> bool:
    return bool(dask_scheduler.http_application.applications)
