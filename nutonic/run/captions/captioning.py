"""A job of captioning: what is committed is asked about, so much at a time; what was made of it is committed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from nutonic.core.model import Json
from nutonic.dataset.commits import CommittedPlace, entries_of, read_commit
from nutonic.dataset.reasons import CAPTIONS
from nutonic.errors import NutonicError, SourceError, StoreError, Unreachable
from nutonic.io.objects import Store
from nutonic.io.session import SessionThreads, current
from nutonic.planning.layout import CommitName
from nutonic.planning.plan_file import digest_of
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.run.captions.budget import Purse, Spent
from nutonic.run.captions.jobs import CaptionJob
from nutonic.run.results import CaptionsDone, Failure
from nutonic.secrets import redact
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.asking import Asking
from nutonic.sources.annotators.batches import Pending, asker
from nutonic.sources.annotators.endpoint import Stopped

#: Threads beside the one that waits for an answer at each turn, so that the next request is ready when a turn is free.
_AHEAD = 2

#: A place that is captioned by a thread, and one that was.
_Asked = tuple[CommittedPlace, Future[tuple[PatchCaptions, ...]]]
_Captioned = tuple[CommittedPlace, tuple[PatchCaptions, ...]]


class Captioner(Protocol):
    """What captions are of, and where they go. It travels to workers."""

    @property
    def captions(self) -> Captions:
        """What is asked for, of whom."""
        ...

    @property
    def store(self) -> Store:
        """The tree."""
        ...

    @property
    def plan_digest(self) -> str:
        """Its plan's digest."""
        ...

    def one(self, entry: CommittedPlace, answers: Answers) -> tuple[PatchCaptions, ...]:
        """What captioning makes of a committed place; raises as :func:`nutonic.dataset.annotate.annotate`."""
        ...

    def put(self, name: CommitName, made: Sequence[tuple[CommittedPlace, tuple[PatchCaptions, ...]]]) -> int:
        """Commit what was made of a commit, unless it is there; gives the bytes."""
        ...


def caption(job: CaptionJob, captioner: Captioner) -> CaptionsDone:
    """Caption what is in some commits; of each, captions are written once all of them are there.

    Returns
    -------
    CaptionsDone
        Counts: `finished` and `places` of patches, `rows` of captions, `rejects` of answers that were not let through, and
        `money` that was spent now. A patch that an annotator refuses is a failure; where nobody can be asked any more,
        that is `ended`, and where money is, it `is_short`. Of a commit that is not whole nothing is written: answers are
        kept, and the next build goes on with them.

    Raises
    ------
    StoreError
        If the store's plan is another one, or it cannot be written to.
    """
    annotators, asking, purse = captioner.captions.annotators, current().resource(Asking), Purse(job.allowance)
    endpoints, made, store = asking.endpoints(annotators), _Made(index=job.index), captioner.store
    answers, all_begun = Answers(store, purse.paying(asker(endpoints))), False
    with _asked(job, captioner, answers, asking.in_flight(annotators) + _AHEAD) as commits:
        for name, asked in commits.items():
            captions = made.taken(asked)
            if not all_begun and all(_has_begun(each) for found in commits.values() for _, each in found):
                all_begun = True
                _let_next_begin()
            if captions is None:
                continue
            if (digest_of(store) or "") != captioner.plan_digest:
                raise StoreError(
                    f"the plan in {store.root} was replaced while it was captioned: run the same command again"
                )
            made.add(captions, captioner.put(name, captions))
    return made.done(purse, endpoints.gone)


def _has_begun(future: Future[tuple[PatchCaptions, ...]]) -> bool:
    return future.running() or future.done()


def _let_next_begin() -> None:
    """In a worker, let the job behind this one begin, for from now on turns are empty: the last answers take their time."""
    if "distributed" in sys.modules:
        from distributed import secede

        with suppress(ValueError):  # this is no worker
            secede()


@contextmanager
def _asked(
    job: CaptionJob, captioner: Captioner, answers: Answers, threads: int
) -> Iterator[dict[CommitName, list[_Asked]]]:
    """Each commit with its places, which are captioned in their order, so many at a time."""
    store = captioner.store
    with SessionThreads(max(1, min(threads, job.patches))) as pool:
        entries = {name: entries_of(name, read_commit(store, name)) for name in job.commits}
        asked = {
            name: [(entry, pool.submit(captioner.one, entry, answers)) for entry in found if entry["tiles"]]
            for name, found in entries.items()
        }
        try:
            yield asked
        finally:
            for _, future in (each for found in asked.values() for each in found):
                future.cancel()


@dataclass(slots=True)
class _Made:
    """What becomes of a job."""

    index: int
    counts: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    requests: list[tuple[str, Json]] = field(default_factory=list)
    unreached: list[tuple[str, NutonicError]] = field(default_factory=list)

    def taken(self, asked: list[_Asked]) -> list[_Captioned] | None:
        """The captions of a commit's places; None if some are not there."""
        captions = []
        for entry, future in asked:
            try:
                captions.append((entry, future.result()))
            except Pending as error:
                self.requests += error.requests
            except (Stopped, Spent):
                pass
            except SourceError as error:
                self.unreached.append((entry["poi_id"], error))
        return captions if len(captions) == len(asked) else None

    def add(self, made: list[_Captioned], size: int) -> None:
        """Count the captions of a commit."""
        captions = [each for _, found in made for each in found]
        self.counts["finished"] += len(made)
        self.counts["places"] += sum(bool(each.annotations) for each in captions)
        self.counts["rows"] += sum(len(each.annotations) for each in captions)
        self.counts["bytes_written"] += size
        self.rejects.update(rejection.reason for each in captions for rejection in each.rejections)

    def done(self, purse: Purse, gone: NutonicError | None) -> CaptionsDone:
        """All of it. What failed since nobody can be asked any more is one failure, not one of each patch."""
        lost = () if gone is None else (type(gone), Unreachable)
        failed = [_failure(poi, error) for poi, error in self.unreached if not isinstance(error, lost)]
        return CaptionsDone(
            index=self.index,
            rejects=dict(self.rejects),
            failures=tuple(failed),
            ended=None if gone is None else _failure(CAPTIONS, gone),
            money=purse.spent,
            is_short=purse.is_short,
            requests=tuple(self.requests),
            finished=self.counts["finished"],
            places=self.counts["places"],
            rows=self.counts["rows"],
            bytes_written=self.counts["bytes_written"],
        )


def _failure(poi: str, error: NutonicError) -> Failure:
    reason = getattr(error, "reason", None) or type(error).__name__
    return Failure(poi_id=poi, asset=CAPTIONS, reason=reason, error=redact(str(error)))
