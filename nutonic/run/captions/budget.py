"""What captions may cost: the driver deals money out with jobs, and no job spends more than it was given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from nutonic.core.model import Json
from nutonic.errors import NutonicError
from nutonic.recipe.annotation import Annotator
from nutonic.run.captions.jobs import CaptionJob
from nutonic.run.results import BatchDone, CaptionsDone
from nutonic.sources.annotators.cost import most_price, price
from nutonic.sources.annotators.endpoint import Answer

#: A job gets so many times what it is expected to cost.
_SPARE = 2.0

#: Money that differs by less is the same: sums of floats are not exact.
_LEAST = 1e-9


class Spent(NutonicError):
    """A request that was not made, since there is no money for it."""


class Purse:
    """What one job may spend; safe in threads. Answers that are kept already cost nothing."""

    def __init__(self, allowance: float | None) -> None:
        """`allowance` in the unit of the recipe's prices; None for any."""
        self._allowance = allowance
        self._changed = threading.Condition()
        self._held, self._holders = 0.0, 0
        self.spent = 0.0
        self.is_short = False
        """Whether there was no money for a request."""

    def paying(self, ask: Callable[[Annotator, Json], Answer]) -> Callable[[Annotator, Json], Answer]:
        """The same, but it raises :class:`Spent` where the money that is left might not do.

        The most that a request can cost is put aside while it is answered: so no more is spent than there is.
        """

        def paid(annotator: Annotator, request: Json) -> Answer:
            most = most_price(annotator, request)
            self._take(most)
            cost = 0.0
            try:
                answer = ask(annotator, request)
                cost = price(annotator, answer.prompt_tokens, answer.completion_tokens)
                return answer
            finally:
                with self._changed:
                    self._held, self._holders, self.spent = self._held - most, self._holders - 1, self.spent + cost
                    self._changed.notify_all()

        return paid

    def _take(self, most: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._fits(most) or not self._holders)
            if not self._fits(most):
                self.is_short = True
                raise Spent("no money is left")
            self._held, self._holders = self._held + most, self._holders + 1

    def _fits(self, most: float) -> bool:
        return self._allowance is None or self.spent + self._held + most <= self._allowance + _LEAST


@dataclass(slots=True, kw_only=True)
class Budget:
    """The driver's: what was spent, and what jobs in flight may spend. The sum is never more than there is."""

    most: float | None
    """What captions may cost, in all builds of the tree together; None for any."""
    spent: float = 0.0
    """By earlier builds, and by the jobs that came back."""
    expected: float = 0.0
    """What the captions of a patch are expected to cost."""
    is_out: bool = False
    """Whether there is no money for what is left."""
    _given: dict[int, tuple[CaptionJob, bool]] = field(default_factory=dict)
    """Jobs in flight by index, and whether each got all that there was."""
    _short: list[CaptionJob] = field(default_factory=list)
    _spare: float = _SPARE

    def jobs(self, jobs: Iterable[CaptionJob]) -> Iterator[CaptionJob | None]:
        """Jobs with what each may spend; None while others have the money. Ends where there is none."""
        for job in jobs:
            while (allowance := self._allowance(job)) is None:
                yield None
            if self.most is not None and allowance <= _LEAST:
                self.is_out = True
                return
            yield replace(job, allowance=None if self.most is None else allowance)

    def settle(self, result: BatchDone) -> None:
        """Take back what a job has not spent."""
        job, had_all = self._given.pop(result.index, (None, False))
        if not isinstance(result, CaptionsDone):
            return
        self.spent += result.money
        if job is not None and result.is_short:
            self.is_out |= had_all
            self._short.append(job)

    def again(self) -> list[CaptionJob]:
        """Jobs that came back with too little, though there is money: they get twice as much."""
        short, self._short, self._spare = self._short, [], 2 * self._spare
        return [] if self.is_out else short

    def _allowance(self, job: CaptionJob) -> float | None:
        """What a job may spend; None where others must come back first."""
        if self.most is None:
            return 0.0
        free = self.most - self.spent - sum(given.allowance or 0.0 for given, _ in self._given.values())
        wanted = self._spare * self.expected * job.patches
        if free < wanted and self._given:
            return None
        allowance = max(0.0, min(free, wanted))
        self._given[job.index] = replace(job, allowance=allowance), free <= wanted
        return allowance
