"""The driver's part of setting workers up: who passes what on, proves what, and takes all of it back."""

from __future__ import annotations

import os
import pkgutil
import threading
import time
import uuid
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutonic._version import __version__
from nutonic.core.model import Scene
from nutonic.errors import InputError
from nutonic.io.limits import IN_FLIGHT
from nutonic.io.objects import Store
from nutonic.planning.layout import META
from nutonic.planning.ownership import mark, unmark
from nutonic.run.jobs import Job
from nutonic.run.results import BatchDone
from nutonic.sources.registry import Sources

if TYPE_CHECKING:
    from distributed import Client

    from nutonic.run.worker import NoShare, WorkerChecks

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")

#: What workers started elsewhere are given of the driver's environment, where it is set, beside what sources need.
PASSED_ON = ("NUTONIC_HTTP_TIMEOUT", *_PROXIES, *(name.lower() for name in _PROXIES))

#: Of local inputs so many are looked for by each worker.
_MOST_INPUTS = 100

#: Seconds for which the share of a worker that left is nobody's: it asks for nothing more, and ends what it asked for.
_FINISHING_S = 5.0

_ALIKE = "install the same requirements.lock on all"


@dataclass(slots=True)
class WorkerPool:
    """Workers that are ready."""

    client: Client
    name: str
    """Of this build, at the scheduler."""
    sources: Sources
    """What they are to read from."""
    checks: WorkerChecks = field(repr=False)
    how: dict[str, Any] = field(repr=False)
    max_requests: int | None = None
    """In flight in all workers together; None for eight in each."""
    shares: dict[str, int] = field(default_factory=dict)
    """How many of them each worker was told that it may have, by address; those that are not here have none."""
    without: set[str] = field(default_factory=set)
    """Workers that handed jobs back since they have no share."""
    left: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Workers that have just left: when that was seen, in seconds of a clock, and what they had."""
    _sharing: Any = field(default_factory=threading.Lock, repr=False)

    def submitted(self, work: Callable[[Job], BatchDone]) -> Callable[[Job], BatchDone | NoShare | None]:
        """What to submit so that a worker does a job."""
        from nutonic.run.worker import do

        return partial(do, work=work, name=self.name)

    def set_up(self) -> None:
        """Set all workers up, those that join later too; :class:`InputError` if one is not fit."""
        from nutonic.run.worker import BuildPlugin

        with suppress(OSError):  # a worker that left meanwhile
            plugin = BuildPlugin(self.name, checks=self.checks, shared=self.max_requests is not None, **self.how)
            self.client.register_plugin(plugin, name=self.name)
        _refuse_unfit(self.client, self.name)
        self.shares = {}
        self.share_requests()

    def share_requests(self) -> None:
        """Divide the requests among the workers that there are, as often as it takes: workers come and go.

        First all are told to have no more than before, and some fewer; once none has more in flight than that, which is
        looked at again with the next call, the others get more. So there are never more in flight than there may be, as far
        as a worker that leaves ends within five seconds what it asked for.
        """
        if self.max_requests is None or not self._sharing.acquire(blocking=False):
            return
        try:
            while self.without:  # it may be a new worker at the address of one that had some
                self.shares = self.shares | {self.without.pop(): 0}
            present = self.client.nthreads()
            budget = self.max_requests - self._held_back(present)
            wanted = shares_of(budget, present, self.shares)
            if wanted == self.shares:
                return
            least = {worker: min(share, self.shares.get(worker, 0)) for worker, share in wanted.items()}
            in_flight = self._tell(least)
            if all(in_flight.get(worker, share + 1) <= share for worker, share in least.items()):
                self._tell(wanted)
        finally:
            self._sharing.release()

    def _held_back(self, present: Container[str]) -> int:
        """The shares of workers that have just left, and may have requests in flight still."""
        now = time.monotonic()
        self.left |= {worker: (now, share) for worker, share in self.shares.items() if worker not in present}
        self.shares = {worker: share for worker, share in self.shares.items() if worker in present}
        self.left = {worker: (at, share) for worker, (at, share) in self.left.items() if now - at < _FINISHING_S}
        return sum(share for _, share in self.left.values())

    def _tell(self, shares: Mapping[str, int]) -> dict[str, int]:
        """Tell workers their shares; how many requests each has in flight, of those that heard it."""
        from nutonic.run.worker import limit

        in_flight = self.client.run(limit, self.name, dict(shares), workers=list(shares), on_error="ignore")
        self.shares = self.shares | {worker: shares[worker] for worker in in_flight}
        return dict(in_flight)

    def placed(self) -> dict[str, Any]:
        """How to submit jobs so that they go to workers that have a share of the requests, if not all have."""
        shares = self.shares
        having = [worker for worker, share in shares.items() if share]
        some = bool(having) and len(having) < len(shares)
        return {"workers": having, "allow_other_workers": True} if some else {}

    def must_see(self, scenes: Sequence[Scene]) -> None:
        """Check that all workers, those that join later too, see what is read."""
        self.checks = replace(self.checks, inputs=local_inputs(self.sources, scenes))
        if self.checks.token is not None and not self.checks.token.exists():  # a new plan empties the folder
            self.checks.token.write_bytes(self.checks.content)
        self.set_up()

    def cancel(self) -> None:
        """Have no more jobs begun, those that wait at a worker included; they come back as None."""
        from nutonic.run.worker import cancel

        self.client.run(cancel, self.name, on_error="ignore")


@contextmanager
def worker_pool(
    client: Client, sources: Sources, root: Path | None, max_requests: int | None = None
) -> Iterator[WorkerPool]:
    """All workers, set up; if a folder for the output is given, they are elsewhere, and checked.

    Raises
    ------
    InputError
        If a worker is not fit. Nothing has been built, and nothing is left behind.
    """
    from nutonic.run.worker import WorkerChecks

    environment = _passed_on(sources) if root is not None else {}
    how = {"environment": environment, "ignore_sigint": root is None}
    if root is not None:
        _refuse_strangers(client)
    with nullcontext(WorkerChecks()) if root is None else _token(root, sources) as checks:
        ready = WorkerPool(client, f"nutonic-{uuid.uuid4().hex}", sources, checks, how, max_requests)
        try:
            ready.set_up()
            yield ready
        finally:
            _dismiss(ready)


def _passed_on(sources: Sources) -> dict[str, str]:
    """What workers elsewhere get of this process' environment. Of credentials for a service they need their own."""
    names = (*PASSED_ON, *(name for source in sources for name in source.needs().variables))
    environment = {name: os.environ[name] for name in names if name in os.environ}
    for session in sources.sessions:
        environment |= session.environment()
    return environment


def shares_of(max_requests: int, threads: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """How many requests each worker may have in flight, so that all together have no more than `max_requests`.

    Equal shares, but for one; eight a thread are enough. With fewer requests than workers so many workers have one,
    those first who had some before.

    Parameters
    ----------
    max_requests
        In flight at most.
    threads
        Of each worker, by address.
    before
        What each has had.
    """
    order = sorted(threads, key=lambda worker: (before.get(worker, 0) == 0, worker))
    each, left = divmod(max_requests, max(1, len(order)))
    return {worker: min(IN_FLIGHT * threads[worker], each + (i < left)) for i, worker in enumerate(order)}


def threads(client: Client) -> int:
    """How many jobs the workers can do at the same time; ConnectionError if the scheduler is lost."""
    if client.status == "running":
        workers = client.scheduler_info(n_workers=-1).get("workers")
        if workers is not None:
            return sum(worker["nthreads"] for worker in workers.values())
    raise ConnectionError("the scheduler is lost")


def _dismiss(worker_pool: WorkerPool) -> None:
    client = worker_pool.client
    if client.status != "running":  # there is nobody to tell
        return
    with suppress(Exception):  # who is gone needs no more
        client.unregister_worker_plugin(worker_pool.name)


def _refuse_strangers(client: Client) -> None:
    """Who has no nutonic, or another one, would not even understand what it is asked."""
    ask: Any = pkgutil.resolve_name, "nutonic:__version__"
    try:
        answers = {f"the scheduler {_address(client)}": client.run_on_scheduler(*ask)}
    except ImportError as error:
        answers = {f"the scheduler {_address(client)}": error}
    answers |= {f"worker {worker}": said for worker, said in client.run(*ask, on_error="return").items()}
    for who, said in sorted(answers.items()):
        if isinstance(said, str) and said != __version__:
            raise InputError(f"{who} has nutonic {said} where the driver has {__version__}: {_ALIKE}")
        if isinstance(said, ImportError):
            raise InputError(f"{who} has no nutonic: {_ALIKE}")


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler else ""


def _refuse_unfit(client: Client, name: str) -> None:
    from nutonic.run.worker import objection

    for worker, said in sorted(client.run(objection, name, on_error="return").items()):
        if isinstance(said, str):
            raise InputError(said)
        if isinstance(said, Exception) and not isinstance(said, OSError):  # that is one that left
            raise InputError(f"worker {worker} cannot be asked ({type(said).__name__}): {_ALIKE}")


@contextmanager
def _token(root: Path, sources: Sources) -> Iterator[WorkerChecks]:
    """A file in the output folder, and what else every worker must have; it stays for those that join later."""
    from nutonic.run.worker import PACKAGES, WorkerChecks, versions

    extras = [name for source in sources for name in source.needs().packages]
    path, content = f"{META}/token-{uuid.uuid4().hex}", os.urandom(32)
    made = [folder for folder in (root / META, root, *root.parents) if not folder.exists()]
    store, marked = Store(root), False
    try:
        marked = mark(store)
        store.put(path, content)
        yield WorkerChecks(
            versions=versions([*PACKAGES, *extras]), token=root / path, content=content, sessions=sources.sessions
        )
    finally:
        for left in root.glob(f"{path}*"):
            left.unlink(missing_ok=True)
        if marked:
            unmark(store)
        for folder in made:  # those that nothing was put into
            with suppress(OSError):
                folder.rmdir()


def local_inputs(sources: Sources, scenes: Sequence[Scene]) -> Mapping[str, int]:
    """Files that are read, where they are local and there, with their sizes: one of each scene, labels first."""
    sizes: dict[str, int] = {}
    for path in (path for source in (sources.labels, sources.imagery) for path in source.needs(scenes).files):
        if len(sizes) < _MOST_INPUTS:
            with suppress(OSError):  # the build will tell
                sizes[path] = Path(path).stat().st_size
    return sizes
