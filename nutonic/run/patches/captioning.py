"""The second stage: captions of committed patches, asked for and committed, some commits of patches at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from nutonic.chips.scene.tasks import choose
from nutonic.core.model import Json
from nutonic.dataset.commits import CommittedPlace, entries_of, read_commit
from nutonic.dataset.shards.captions import CaptionCommit, captions_bytes
from nutonic.dataset.shards.records import PatchRecord, records_of
from nutonic.errors import NutonicError, SourceError, StoreError
from nutonic.io.objects import Store
from nutonic.io.session import SessionThreads, current
from nutonic.planning.layout import CommitName
from nutonic.planning.patches.layout import captions_path
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.plan_file import digest_of
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.run.patches.annotate import annotate
from nutonic.run.patches.budget import Purse, Spent
from nutonic.run.patches.jobs import CaptionJob
from nutonic.run.results import BatchDone, Failure
from nutonic.secrets import redact
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.asking import Asking
from nutonic.sources.annotators.batches import Pending, asker
from nutonic.sources.annotators.endpoint import Stopped

#: Threads beside the one that waits for an answer at each turn, so that the next request is ready when a turn is free.
_AHEAD = 2

#: A patch that is captioned by a thread.
_Asked = tuple[CommittedPlace, Future[PatchCaptions]]


def caption(job: CaptionJob, spec: PatchSpec, store: Store, *, plan: str) -> BatchDone:
    """Caption the patches of some commits; each commit's captions are written once all of them are there.

    Returns
    -------
    BatchDone
        Counts: `finished` and `places` of patches, `rows` of captions, `rejects` of answers that were not let through, and
        `money` that was spent now. A patch that an annotator refuses is a failure; where nobody can be asked any more,
        that is `ended`, and where money is, it `is_short`. Of a commit that is not whole nothing is written: answers are
        kept, and the next build goes on with them.

    Raises
    ------
    StoreError
        If the store's plan is another one, or it cannot be written to.
    """
    annotators, asking, purse = spec.captions.annotators, current().resource(Asking), Purse(job.allowance)
    endpoints, made = asking.endpoints(annotators), _Made(index=job.index)
    answers = Answers(store, purse.paying(asker(endpoints)))
    with _asked(job, spec, store, answers, asking.in_flight(annotators) + _AHEAD) as commits:
        for name, asked in commits.items():
            captions = made.taken(asked)
            if captions is None:
                continue
            if (digest_of(store) or "") != plan:
                raise StoreError(
                    f"the plan in {store.root} was replaced while it was captioned: run the same command again"
                )
            commit = CaptionCommit(commit=name, recipe_digest=spec.digest, plan=plan, patches=tuple(captions))
            data = captions_bytes(commit)
            store.create(captions_path(name), data)
            made.add(captions, len(data))
    return made.done(purse, endpoints.gone)


@contextmanager
def _asked(
    job: CaptionJob, spec: PatchSpec, store: Store, answers: Answers, threads: int
) -> Iterator[dict[CommitName, list[_Asked]]]:
    """Each commit with its patches, which are captioned in their order, so many at a time."""

    def captioned(entry: CommittedPlace) -> PatchCaptions:
        (record,) = records_of(store, [entry])
        return captions_of(record, spec, answers)

    with SessionThreads(max(1, min(threads, job.patches))) as pool:
        entries = {name: entries_of(name, read_commit(store, name)) for name in job.commits}
        asked = {
            name: [(entry, pool.submit(captioned, entry)) for entry in found if entry["tiles"]]
            for name, found in entries.items()
        }
        try:
            yield asked
        finally:
            for _, future in (each for found in asked.values() for each in found):
                future.cancel()


def captions_of(record: PatchRecord, spec: PatchSpec, answers: Answers) -> PatchCaptions:
    """The captions of a patch, by the answers that are kept or asked for; raises as :func:`.annotate.annotate`."""
    return annotate(
        record.described,
        choose(record.described, spec.captions),
        spec.captions.annotators,
        answers,
        spec.captions,
        texts=spec.texts,
        nouns=frozenset(noun for noun in spec.policy.nouns.values() if noun is not None),
        hidden=record.hidden,
        picture=record.picture,
    )


@dataclass(slots=True)
class _Made:
    """What becomes of a job."""

    index: int
    counts: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    requests: list[tuple[str, Json]] = field(default_factory=list)
    unreached: list[tuple[str, NutonicError]] = field(default_factory=list)

    def taken(self, asked: list[_Asked]) -> list[PatchCaptions] | None:
        """The captions of a commit's patches; None if some are not there."""
        captions = []
        for entry, future in asked:
            try:
                captions.append(future.result())
            except Pending as error:
                self.requests += error.requests
            except (Stopped, Spent):
                pass
            except SourceError as error:
                self.unreached.append((entry["poi_id"], error))
        return captions if len(captions) == len(asked) else None

    def add(self, captions: list[PatchCaptions], size: int) -> None:
        """Count the captions of a commit."""
        self.counts["finished"] += len(captions)
        self.counts["places"] += sum(bool(each.annotations) for each in captions)
        self.counts["rows"] += sum(len(each.annotations) for each in captions)
        self.counts["bytes_written"] += size
        self.rejects.update(rejection.reason for each in captions for rejection in each.rejections)

    def done(self, purse: Purse, gone: NutonicError | None) -> BatchDone:
        """All of it. What failed since nobody can be asked any more is one failure, not one of each patch."""
        failed = [_failure(poi, error) for poi, error in self.unreached if gone is None or str(error) != str(gone)]
        return BatchDone(
            index=self.index,
            rejects=dict(self.rejects),
            failures=tuple(failed),
            ended=None if gone is None else _failure("captions", gone),
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
    return Failure(poi_id=poi, asset="captions", reason=reason, error=redact(str(error)))
