"""What is left to caption, as jobs of some neighbouring commits, so that a worker's turns are taken all the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from nutonic.planning.layout import CommitName

#: Patches of a job for each request that a worker may have in flight: while the last ones end, turns are empty.
_PATCHES_A_TURN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionJob:
    """The patches of some commits, to be captioned."""

    commits: tuple[CommitName, ...]
    """Neighbours; all that are waiting of each batch."""
    patches: int
    """How many there are in them."""
    allowance: float | None = None
    """What may be spent on them; None for any."""

    @property
    def name(self) -> str:
        """What it is called in logs, and in the keys of tasks."""
        return f"captions-{self.commits[0].text}"

    @property
    def index(self) -> int:
        """The number of its first batch."""
        return self.commits[0].batch

    @property
    def ids(self) -> list[str]:
        """What is told if it is lost: the commits."""
        return [f"captions of batch {name.text}" for name in self.commits]

    def split(self) -> list[CaptionJob]:
        """A job for each commit. What was answered is kept, so that each goes on where it was."""
        part = None if self.allowance is None else self.allowance / len(self.commits)
        return [replace(self, commits=(name,), allowance=part) for name in self.commits]


def caption_jobs(commits: Iterable[tuple[CommitName, int]], turns: int, workers: int) -> list[CaptionJob]:
    """Jobs for waiting commits.

    Parameters
    ----------
    commits
        Each with how many patches it has, in order.
    turns
        Requests that a worker may have in flight; 0 where nobody is asked.
    workers
        How many there are: each is to have some jobs.
    """
    batches = [list(found) for _, found in groupby(commits, lambda each: each[0].batch)]
    fair = sum(count for batch in batches for _, count in batch) // (2 * max(1, workers))
    most, jobs, current = min(_PATCHES_A_TURN * turns, fair), list[CaptionJob](), list[tuple[CommitName, int]]()
    for batch in batches:
        current += batch
        if sum(count for _, count in current) >= most:
            jobs.append(_job(current))
            current = []
    return [*jobs, _job(current)] if current else jobs


def _job(commits: Sequence[tuple[CommitName, int]]) -> CaptionJob:
    return CaptionJob(commits=tuple(name for name, _ in commits), patches=sum(count for _, count in commits))
