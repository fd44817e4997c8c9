"""What is left to do of a plan, as jobs in the plan's order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from nutonic.core.model import Batch, Json, RemotePin
from nutonic.dataset.commits import Committed
from nutonic.errors import Corrupt, InputError
from nutonic.io.objects import Store, unsealed
from nutonic.planning.layout import SUMMARY, named
from nutonic.planning.pins import missing_files, missing_line
from nutonic.planning.plan_file import PlanFile
from nutonic.run.callbacks import Callback, Note
from nutonic.run.results import BatchDone, Failure, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How far a build goes, what it does again, and what it may spend."""

    limit: int | None
    """Only the first places by ordinal; None for all."""
    replan: bool
    """Whether to search again."""
    retry: bool | str = False
    """Places that were left out are tried again: all, those of a reason, or none."""
    max_cost: float | None = None
    """Captions are asked for until they have cost so much; None for no limit."""
    answers: Path | None = None
    """A file with answers to requests that were written; None for none."""

    def __post_init__(self) -> None:
        if self.limit is not None and (not isinstance(self.limit, int) or self.limit < 1):
            raise InputError(f"limit is {self.limit!r:.60}: give a number from 1")


class AnyJob(Protocol):
    """What is handed to a worker: so much the executor needs to know of it."""

    @property
    def name(self) -> str:
        """What it is called in logs, and in the keys of tasks."""
        ...

    @property
    def index(self) -> int:
        """The number of its batch."""
        ...

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the places that are to be done."""
        ...

    def split(self) -> Sequence[AnyJob]:
        """Jobs of one place each, for the same places."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A batch, and which of its places are to be built."""

    batch: Batch
    positions: frozenset[int]
    """Positions of these places in the batch, from 0."""
    remote: Mapping[str, RemotePin] = field(default_factory=dict)
    """What is known of the remote files that the batch may read, by key."""

    @property
    def name(self) -> str:
        """The name of its commit: ``000012``, or ``000012-003`` for one place alone."""
        place = f"-{min(self.positions):03d}" if len(self.positions) == 1 else ""
        return f"{self.batch.index:06d}{place}"

    @property
    def index(self) -> int:
        """The number of its batch."""
        return self.batch.index

    @property
    def ids(self) -> list[str]:
        """Ids of the places that are to be done."""
        return [self.batch.places[i].poi.id for i in sorted(self.positions)]

    def split(self) -> list[Job]:
        """Jobs of one place each, for the same places."""
        return [replace(self, positions=frozenset({i})) for i in sorted(self.positions)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The places of a plan that a build covers: all, or the first by ordinal."""

    last: int | None = field(default=None)
    """The last ordinal that belongs to it; None for all."""

    def holds(self, plan: PlanFile) -> np.ndarray:
        """Whether each place of a plan belongs to it, in the order of the batches (bool)."""
        ordinals = plan.index.ordinals
        return np.ones(len(ordinals), bool) if self.last is None else ordinals <= self.last


def scope_of(plan: PlanFile, limit: int | None) -> Scope:
    """The first `limit` places by ordinal, their variants included, or all if there are no more; no batch is read for it."""
    if limit is None:
        return Scope()
    ordinals = np.unique(plan.index.ordinals)
    if limit >= len(ordinals):
        return Scope()
    return Scope(last=int(ordinals[limit - 1]) if limit else -1)


@dataclass(slots=True)
class Others:
    """What a build knows of another one in its folder: nothing, and asks for nothing, until that was faster once."""

    store: Store
    met: bool = False
    backwards: bool = False
    """Whether to go on from the end. Who goes on side by side with another does what that does."""

    def meet(self) -> None:
        """Take up that another one was faster. Both may have been, of two batches; so chance decides who turns."""
        self.met, self.backwards = True, random.random() < 0.5

    def have_done(self, batch: int) -> bool:
        """Whether one of them has committed a batch."""
        return self.met and self.store.has(named(batch).path)


@dataclass(frozen=True, slots=True, eq=False)
class Jobs:
    """A job for each batch with places left to do, in the plan's order, which is that of the blocks of its files."""

    plan: PlanFile
    remaining: np.ndarray
    """Whether each place is left to do, in the order of the batches (bool)."""
    numbers: Sequence[int]
    """Of the batches."""
    with_known: Callable[[Job], Job] = lambda job: job
    """Adds to a job that is handed out what is known by then."""
    others: Others | None = None

    @property
    def backwards(self) -> bool:
        """Whether the last is to be done first from now on."""
        return self.others is not None and self.others.backwards

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.numbers)

    def __iter__(self) -> Iterator[Job]:
        first, end = 0, self.count
        reading = self.between(first, end)
        while first < end:
            if self.backwards:
                end -= 1
                job = next(self.between(end, end + 1))
            else:
                first += 1
                job = next(reading)
            if job is not None:
                yield job

    def between(self, first: int, end: int) -> Iterator[Job | None]:
        """Those from one position up to another, one at a time; None for one that others have done by now."""
        starts = self.plan.index.starts
        for batch in self.plan.batches(self.numbers[first:end]):
            if self.others is not None and self.others.have_done(batch.index):
                yield None
                continue
            positions = np.flatnonzero(self.remaining[starts[batch.index] : starts[batch.index + 1]])
            yield self.with_known(Job(batch=batch, positions=frozenset(positions.tolist())))


def remaining_jobs(plan: PlanFile, scope: Scope, done: Committed) -> Jobs:
    """What is left to do."""
    return Jobs(plan, _remaining(plan, scope, done), batches_left(plan, scope, done), others=Others(plan.store))


def batches_left(plan: PlanFile, scope: Scope, done: Committed) -> list[int]:
    """Numbers of the batches with places left to do."""
    remaining = _remaining(plan, scope, done)
    if not len(remaining):
        return []
    return [int(i) for i in np.flatnonzero(np.add.reduceat(remaining, plan.index.starts[:-1], dtype=np.int64))]


def _remaining(plan: PlanFile, scope: Scope, done: Committed) -> np.ndarray:
    """Whether each place of a plan is left to do, in the order of the batches (bool)."""
    return np.asarray(scope.holds(plan) & ~_committed_places(plan, done))


def _committed_places(plan: PlanFile, done: Committed) -> np.ndarray:
    """Whether each place of a plan is committed, in the order of the batches (bool); other commits are ignored."""
    starts = plan.index.starts.tolist()
    places = np.zeros(starts[-1], bool)
    for batch in done.whole:
        if batch < len(plan.index):
            places[starts[batch] : starts[batch + 1]] = True
    for batch, place in done.single:
        if batch < len(plan.index) and starts[batch] + place < starts[batch + 1]:
            places[starts[batch] + place] = True
    return places


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of the places within a build's limit."""

    wanted: int
    """Places within the limit."""
    done: int
    """Of them, those that are committed."""

    @property
    def remaining(self) -> int:
        """Those that are not committed."""
        return self.wanted - self.done


def progress_of(plan: PlanFile, scope: Scope, done: Committed) -> Progress:
    """Count the places within the scope, and the committed ones; no batch is read for it."""
    in_scope = scope.holds(plan)
    return Progress(wanted=int(in_scope.sum()), done=int((in_scope & _committed_places(plan, done)).sum()))


def tell_of_plan(callback: Callback, plan: PlanFile, done: Committed, before: Progress) -> None:
    """Tell what a plan warns of, until something of it is built; and of local files that are not there, until all is."""
    if not done.total:
        from nutonic.planning.cost import doubt_of_room

        of_room = doubt_of_room(plan.header["cost"]["bytes_written"], plan.store.root) if plan.store.root else ()
        for warning in (*plan.header["warnings"], *of_room):
            callback.on_note(Note(text=warning))
    missing = missing_files(plan.scenes) if before.remaining else []
    if missing:
        callback.on_note(Note(text=missing_line(missing)))


def telling_of_others(results: Iterable[BatchDone], jobs: Jobs, callback: Callback) -> Iterator[BatchDone]:
    """Results as they come; where somebody else commits the same places, the jobs take it up, and it is told once."""
    for result in results:
        if result.theirs and jobs.others is not None:
            if not jobs.others.met:
                callback.on_note(Note(text=_OTHERS))
            jobs.others.meet()
        yield result


_OTHERS = (
    "another build is at work in this folder, or a worker that was given up: what it has done is not done again, "
    "and not counted here"
)


def done_by_others(before: Progress, after: Progress, summary: Summary) -> int:
    """Places that were committed while a build went on, and not by it."""
    return max(0, after.done - before.done - summary.finished)


def last_summary(store: Store) -> Json:
    """The summary of the last build; empty if there is none, or it is damaged."""
    try:
        return unsealed(store.get(SUMMARY), SUMMARY)
    except (FileNotFoundError, Corrupt):
        return {}


def earlier_failures(last: Json) -> dict[str, Failure]:
    """Failures of earlier builds in the last summary, by place id."""
    return {failure["poi_id"]: Failure(**failure) for failure in last.get("failures", [])}
