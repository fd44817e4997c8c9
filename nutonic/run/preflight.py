"""The driver's part of setting workers up: settings, checks, shares of the requests, and cleaning up afterwards."""

from __future__ import annotations

import os
import pkgutil
import threading
import time
import uuid
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from nutonic._version import __version__
from nutonic.core.model import Scene
from nutonic.dataset.packs.layout import is_pack
from nutonic.errors import InputError
from nutonic.io.buckets.address import Address, AnyPath
from nutonic.io.limits import IN_FLIGHT, begun
from nutonic.io.objects import Store
from nutonic.planning.layout import COMMITS, META, PLAN, RECIPE
from nutonic.planning.ownership import mark, unmark
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.annotation import Annotator
from nutonic.run.callbacks import Callback
from nutonic.run.clusters.everyone import Everyone
from nutonic.run.clusters.leftover import plugin_name, remove_leftovers
from nutonic.run.clusters.patience import Patience
from nutonic.run.silence import Watch, hear_once_more
from nutonic.sources.factory import AnySources
from nutonic.sources.source import Account

if TYPE_CHECKING:
    from distributed import Client

    from nutonic.run.worker import WorkerChecks

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")

#: Variables of the driver's environment that workers elsewhere get, beside those that sources need.
PASSED_ON = ("NUTONIC_HTTP_TIMEOUT", *_PROXIES, *(name.lower() for name in _PROXIES))

#: Most local inputs that each worker checks.
_MOST_INPUTS = 100

#: Seconds for which the share of a worker that left is held back, while its last requests end.
_FINISHING_S = 5.0

#: Bytes at a plan's end by which workers prove that they see it.
_LAST = 100

_ALIKE = "install the same requirements.lock on all"


@dataclass(slots=True)
class WorkerPool:
    """Workers that are set up for a build."""

    client: Client
    name: str
    """Name of this build's plugin at the scheduler."""
    sources: AnySources | tuple[()]
    """The sources that they read from."""
    checks: WorkerChecks = field(repr=False)
    plugin_options: dict[str, Any] = field(repr=False)
    max_requests: int | None = None
    """In flight in all workers together; None for eight in each."""
    most_each: int | None = IN_FLIGHT
    """Requests in flight in each thread of a worker, at most; None for any number."""
    shares: dict[str, int] = field(default_factory=dict)
    """Requests that each worker may have in flight, by address; workers that are not listed have none."""
    shareless: set[str] = field(default_factory=set)
    """Workers that handed jobs back because they have no share."""
    departures: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Workers that have just left: the time of a monotonic clock, in seconds, and their share."""
    watch: Watch | None = None
    """Who answers; None where nobody looks."""
    patience: Patience = field(default_factory=Patience)
    """How long is waited for whom."""
    known_threads: Mapping[str, int] | None = None
    """What the scheduler told first of its workers, by address, which counts until the watch has heard of it."""
    pauses: SimpleQueue[Mapping[str, float]] = field(default_factory=SimpleQueue, repr=False)
    """What workers were told by endpoints that want to be left alone: seconds, by annotator."""
    _sharing: Any = field(default_factory=threading.Lock, repr=False)

    def submitted(self, work: Callable[[Any], Any]) -> Callable[[bytes], Any]:
        """The function to submit to a worker for a job, which it is given packed."""
        from nutonic.run.worker import do, packed

        return partial(do, work=packed(work), name=self.name)

    @property
    def everyone(self) -> Everyone:
        """All workers, to be asked."""
        return Everyone(self.client, self.watch, self.patience.silent_s)

    def set_up(self) -> None:
        """Set all workers up, also those that join later; raises :class:`InputError` if one fails its checks.

        One that does not answer is set up once it goes on.
        """
        from nutonic.run.worker import BuildPlugin, is_set_up

        with suppress(OSError):  # a worker that left meanwhile
            plugin = BuildPlugin(
                self.name, checks=self.checks, shared=self.max_requests is not None, **self.plugin_options
            )
            self.everyone.tell(partial(self.client.register_plugin, plugin, name=self.name), is_set_up, self.name)
        _refuse_unfit(self.everyone, self.name)
        self.shares = {}
        self.share_requests()

    def share_requests(self) -> None:
        """Divide the requests among the present workers; called repeatedly, since workers come and go.

        Shares are lowered first. Others are raised only once no worker has more requests in flight than its lowered share;
        until then, the next call checks again. So the limit is never exceeded, provided that the requests of a worker that
        leaves end within five seconds.
        """
        if self.max_requests is None or not self._sharing.acquire(blocking=False):
            return
        try:
            while self.shareless:  # such a worker may be new at the address of one that had a share
                self.shares = self.shares | {self.shareless.pop(): 0}
            present = self.client.nthreads()
            budget = self.max_requests - self._held_back(present)
            target = shares_of(budget, present, self.shares, self.most_each)
            if target == self.shares:
                return
            least = {worker: min(share, self.shares.get(worker, 0)) for worker, share in target.items()}
            in_flight = self._tell(least)
            # One that does not answer, and never had a share, has none in flight.
            if all(in_flight.get(w, share + (w in self.shares)) <= share for w, share in least.items()):
                self._tell(target)
        finally:
            self._sharing.release()

    def _held_back(self, present: Container[str]) -> int:
        """Sum of the shares of workers that have just left, and may still have requests in flight."""
        now = time.monotonic()
        self.departures |= {worker: (now, share) for worker, share in self.shares.items() if worker not in present}
        self.shares = {worker: share for worker, share in self.shares.items() if worker in present}
        self.departures = {
            worker: (at, share) for worker, (at, share) in self.departures.items() if now - at < _FINISHING_S
        }
        return sum(share for _, share in self.departures.values())

    def _tell(self, shares: Mapping[str, int]) -> dict[str, int]:
        """Send workers their shares; gives the requests in flight of each worker that answered."""
        from nutonic.run.worker import limit

        answers = self.everyone.ask(limit, self.name, dict(shares), among=list(shares))
        in_flight = {worker: count for worker, count in answers.items() if isinstance(count, int)}
        self.shares = self.shares | {worker: shares[worker] for worker in in_flight}
        return in_flight

    def threads(self) -> Mapping[str, int]:
        """Jobs that each worker can do at the same time, by address; ConnectionError if the scheduler is lost."""
        if self.client.status == "running":
            if self.watch is not None and self.watch.asked:
                return {address: worker.threads for address, worker in self.watch.workers.items()}
            if (
                self.watch is not None and self.known_threads is not None
            ):  # a scheduler that is stopped would not answer
                return self.known_threads
            workers = self.client.scheduler_info(n_workers=-1).get("workers")
            if workers is not None:
                self.known_threads = {address: worker["nthreads"] for address, worker in workers.items()}
                return self.known_threads
        raise ConnectionError("the scheduler is lost")

    def waits_in_vain(self, keys: Collection[str]) -> bool:
        """Whether jobs, by the keys of their tasks, are all with workers that do not answer."""
        return self.watch is not None and self.watch.is_all_that_is_left(keys, time.monotonic())

    def tell_changes(self, callback: Callback) -> None:
        """Tell of workers that came or were lost since this was called last."""
        change = self.watch.change() if self.watch is not None else None
        if change is not None:
            callback.on_workers(change)

    def tell_last_changes(self, callback: Callback) -> None:
        """Tell of them once more when all is done: who was lost in the last second has not been missed yet."""
        if self.watch is not None and self.watch.asked:
            hear_once_more(self.client, self.watch)
            self.tell_changes(callback)

    @property
    def is_own(self) -> bool:
        """Whether the workers were started for this build, and are its to start anew."""
        return self.checks.output is None

    def ready(self) -> Mapping[str, int]:
        """Of :meth:`threads` those of workers that answer and have a share of the requests; all if none is such."""
        threads = self.threads()
        chosen = set(threads) & {worker for worker, share in self.shares.items() if share} or set(threads)
        if self.watch is not None and self.watch.asked:
            chosen &= set(self.watch.steady(time.monotonic()))
        return {worker: count for worker, count in threads.items() if worker in chosen} or threads

    def must_see(self, scenes: Sequence[Scene]) -> None:
        """Check that all workers, also those that join later, see the input files."""
        self.checks = replace(self.checks, inputs=local_inputs(self.sources, scenes))
        if self.checks.output is not None and not (store := Store(self.checks.output)).is_file(self.checks.token):
            store.put(self.checks.token, self.checks.content)  # a new plan empties the folder
        self.set_up()

    def pass_on_pauses(self, patience_s: float) -> None:
        """Let all workers leave alone the endpoints that told one of them so; waits so many seconds for news."""
        from nutonic.run.worker import refrain

        with suppress(Empty):
            self.everyone.ask(refrain, self.name, dict(self.pauses.get(timeout=patience_s)))

    def cancel(self) -> None:
        """Start no more jobs, those that wait at a worker included; these return None."""
        from nutonic.run.worker import cancel

        self.client.run(cancel, self.name, on_error="ignore")


def refuse_unseen(pool: WorkerPool | None, store: Store, plan: PlanFile, *, new: bool) -> None:
    """Raise :class:`InputError` if workers do not see a plan's input files; a new plan is then removed again."""
    try:
        if pool is not None:
            pool.must_see(plan.scenes)
    except InputError:
        for path in (PLAN, RECIPE, *plan.beside) if new and not any(store.sizes(COMMITS)) else ():
            store.delete(path)
        raise


@contextmanager
def worker_pool(
    client: Client,
    sources: AnySources | tuple[()],
    root: AnyPath | None,
    max_requests: int | None = None,
    accounts: Sequence[Account] | None = None,
    annotators: Sequence[Annotator] = (),
    *,
    reading: bool = False,
    watch: Watch | None = None,
    patience: Patience | None = None,
) -> Iterator[WorkerPool]:
    """All workers, set up; with an output folder, `root`, they are elsewhere and are checked.

    That is that they may write, or when `reading` that they see the tree that is there. With a `watch`, one that does not
    answer in the time of `patience` is not waited for.

    Each needs its own credentials for `accounts`, by default those of the sources. With annotators, shares of requests are
    units of what they take: see :mod:`nutonic.sources.annotators.asking`.

    Raises
    ------
    InputError
        If a worker fails its checks. Nothing has been built then, and nothing is left behind.
    """
    from nutonic.run.worker import WorkerChecks

    asked = tuple(sources.accounts if accounts is None and sources else accounts or ())
    environment = _passed_on(sources, asked) if root is not None else {}
    plugin_options = {"environment": environment, "ignore_sigint": root is None, "annotators": tuple(annotators)}
    patience = patience or Patience()
    if root is not None:
        everyone = Everyone(client, watch, patience.silent_s)
        _refuse_strangers(everyone)
        everyone.tell(partial(remove_leftovers, client))
    with (
        nullcontext(WorkerChecks())
        if root is None
        else nullcontext(_seeing(root))
        if reading
        else _token(root, sources, asked) as checks
    ):
        ready = WorkerPool(client, plugin_name(client), sources, checks, plugin_options, max_requests)
        ready.watch, ready.patience = watch, patience
        ready.most_each = None if annotators else IN_FLIGHT
        if annotators:
            client.subscribe_topic(ready.name, lambda event: ready.pauses.put(event[1]))
        try:
            ready.set_up()
            yield ready
        finally:
            if annotators:
                client.unsubscribe_topic(ready.name)
            _dismiss(ready)


def _passed_on(sources: AnySources | tuple[()], accounts: Iterable[Account]) -> dict[str, str]:
    """Variables of this process' environment for workers elsewhere, which need their own credentials for services."""
    names = (*PASSED_ON, *(name for source in sources for name in source.needs().variables))
    environment = {name: os.environ[name] for name in names if name in os.environ}
    for account in accounts:
        environment |= account.environment()
    return environment


def shares_of(
    max_requests: int, threads: Mapping[str, int], before: Mapping[str, int], most_each: int | None = IN_FLIGHT
) -> dict[str, int]:
    """Requests that each worker may have in flight, by address, so that their sum is at most `max_requests`.

    Shares differ by one at most, unless the cap a thread, eight by default, lowers them. If there are fewer requests than
    workers, some workers have none; those that had a share before come first.

    Parameters
    ----------
    max_requests
        Most requests in flight.
    threads
        Number of threads of each worker, by address.
    before
        Share of each worker until now, by address.
    most_each
        The cap a thread; None for none.
    """
    order = sorted(threads, key=lambda worker: (before.get(worker, 0) == 0, worker))
    each, remainder = divmod(max_requests, max(1, len(order)))
    shares = {worker: each + (i < remainder) for i, worker in enumerate(order)}
    return shares if most_each is None else {w: min(most_each * threads[w], share) for w, share in shares.items()}


def _dismiss(worker_pool: WorkerPool) -> None:
    client = worker_pool.client
    if client.status != "running":  # there is nobody to tell
        return

    # Workers that do not answer are not waited for; they may be gone, too.
    with suppress(Exception):
        begun(partial(client.unregister_worker_plugin, worker_pool.name)).result(_FINISHING_S)


def _refuse_strangers(everyone: Everyone) -> None:
    """Raise :class:`InputError` if the scheduler or a worker has no nutonic, or another version of it."""
    client = everyone.client
    ask: Any = pkgutil.resolve_name, "nutonic:__version__"
    try:
        answers = {f"the scheduler {_address(client)}": client.run_on_scheduler(*ask)}
    except ImportError as error:
        answers = {f"the scheduler {_address(client)}": error}
    answers |= {f"worker {worker}": answer for worker, answer in everyone.ask(*ask).items()}
    for who, answer in sorted(answers.items()):
        if isinstance(answer, str) and answer != __version__:
            raise InputError(f"{who} has nutonic {answer} where the driver has {__version__}: {_ALIKE}")
        if isinstance(answer, ImportError):
            raise InputError(f"{who} has no nutonic: {_ALIKE}")


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler else ""


def _refuse_unfit(everyone: Everyone, name: str) -> None:
    from nutonic.run.worker import objection

    for worker, answer in sorted(everyone.ask(objection, name).items()):
        if isinstance(answer, str):
            raise InputError(answer)
        if isinstance(answer, Exception) and not isinstance(answer, OSError):  # that is one that left
            raise InputError(f"worker {worker} cannot be asked ({type(answer).__name__}): {_ALIKE}")


def _seeing(root: AnyPath) -> WorkerChecks:
    """The checks of workers that read a tree: its plan is theirs too, by the last line, which proves it."""
    from nutonic.run.worker import WorkerChecks, versions

    return WorkerChecks(versions=versions(), output=root, token=PLAN, content=Store(root).tail(PLAN, _LAST), reads=True)


@contextmanager
def _token(root: AnyPath, sources: AnySources | tuple[()], accounts: tuple[Account, ...]) -> Iterator[WorkerChecks]:
    """The checks of workers, with a token file in the output folder that stays there for workers that join later."""
    from nutonic.run.worker import PACKAGES, WorkerChecks, versions

    extras = [name for source in sources for name in source.needs().packages]
    path, content = f"{META}/token-{uuid.uuid4().hex}", os.urandom(32)
    store, marked = Store(root), False
    folders = [] if isinstance(root, Address) else [root / META, root, *root.parents]
    new_folders = [folder for folder in folders if not folder.exists()]
    try:
        marked = not is_pack(root) and mark(store)
        store.put(path, content)
        yield WorkerChecks(
            versions=versions([*PACKAGES, *extras]), output=root, token=path, content=content, accounts=accounts
        )
    finally:
        for file in [file for file, _ in store.sizes(META) if file.startswith(path)]:
            store.delete(file)
        if marked:
            unmark(store)
        for folder in new_folders:  # removed only if empty
            with suppress(OSError):
                folder.rmdir()


def local_inputs(sources: AnySources | tuple[()], scenes: Sequence[Scene]) -> Mapping[str, int]:
    """Sizes in bytes of existing local input files, by path: one of each scene, labels first."""
    sizes: dict[str, int] = {}
    for path in (path for source in reversed(sources) for path in source.needs(scenes).files):
        if len(sizes) < _MOST_INPUTS:
            with suppress(OSError):  # the build will tell
                sizes[path] = Path(path).stat().st_size
    return sizes
