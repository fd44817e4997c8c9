"""What is left to do of a plan, as jobs in the plan's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from nutonic.core.model import Batch, PlannedPlace
from nutonic.dataset.commits import Committed
from nutonic.planning.plan_file import PlanFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A batch, and which of its places are to be built."""

    batch: Batch
    positions: frozenset[int]
    """Of those places in the batch, from 0."""

    @property
    def name(self) -> str:
        """As its commit is called: ``000012``, or ``000012-003`` of one place alone."""
        place = f"-{min(self.positions):03d}" if len(self.positions) == 1 else ""
        return f"{self.batch.index:06d}{place}"

    @property
    def places(self) -> list[PlannedPlace]:
        """The places that are to be done."""
        return [self.batch.places[i] for i in sorted(self.positions)]

    def split(self) -> list[Job]:
        """The same work, each place for itself."""
        return [Job(batch=self.batch, positions=frozenset({i})) for i in sorted(self.positions)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which places of a plan a build is about: all, or the first by ordinal."""

    last: int | None = field(default=None)
    """The last ordinal that belongs to it; None for all."""

    def positions(self, batch: Batch) -> list[int]:
        """Positions in a batch that belong to it."""
        return [i for i, place in enumerate(batch.places) if self.last is None or place.poi.ordinal <= self.last]


def scope_of(plan: PlanFile, limit: int | None) -> Scope:
    """The first `limit` places by ordinal, their variants included; 8 bytes a place while it is found."""
    if limit is None:
        return Scope()
    ordinals = np.fromiter((p.poi.ordinal for batch in plan.batches() for p in batch.places), np.int64)
    first = np.unique(ordinals)[:limit]
    return Scope(last=int(first[-1]) if len(first) else -1)


def remaining_jobs(plan: PlanFile, scope: Scope, done: Committed) -> Iterator[Job]:
    """Batches with what is left to do in them, one at a time."""
    for batch in plan.batches():
        remaining = frozenset(i for i in scope.positions(batch) if not done.has(batch.index, i))
        if remaining:
            yield Job(batch=batch, positions=remaining)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a build is."""

    wanted: int
    """Places it is about."""
    done: int
    """Of them, those that are committed."""

    @property
    def remaining(self) -> int:
        """Those that are not."""
        return self.wanted - self.done


def progress_of(plan: PlanFile, scope: Scope, done: Committed) -> Progress:
    """Count places, one batch at a time."""
    wanted = finished = 0
    for batch in plan.batches():
        positions = scope.positions(batch)
        wanted += len(positions)
        finished += sum(done.has(batch.index, i) for i in positions)
    return Progress(wanted=wanted, done=finished)
