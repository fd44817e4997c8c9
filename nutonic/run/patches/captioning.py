"""The second stage: captions of committed patches, asked for and committed, a commit of patches at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from nutonic.chips.scene.tasks import choose
from nutonic.dataset.commits import Committed, entries_of, read_commit
from nutonic.dataset.shards.captions import CaptionCommit, captions_bytes
from nutonic.dataset.shards.records import PatchRecord, records_of
from nutonic.errors import NutonicError, SourceError, StoreError
from nutonic.io.objects import Store
from nutonic.io.session import SessionThreads, current
from nutonic.planning.layout import CommitName
from nutonic.planning.patches.layout import CAPTIONS, captioned, captions_path
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.plan_file import digest_of
from nutonic.recipe.annotation import Annotator
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.run.patches.annotate import annotate
from nutonic.run.results import BatchDone, Failure
from nutonic.secrets import redact
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.asking import Asking
from nutonic.sources.annotators.batches import Pending, asker
from nutonic.sources.annotators.cost import BATCH_PRICE

#: Threads beside the one that waits for an answer at each turn, so that the next request is ready when a turn is free.
_AHEAD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionJob:
    """The patches of one commit, to be captioned."""

    commit: CommitName

    @property
    def name(self) -> str:
        """What it is called in logs, and in the keys of tasks."""
        return f"captions-{self.commit.text}"

    @property
    def index(self) -> int:
        """The number of its batch."""
        return self.commit.batch

    @property
    def ids(self) -> list[str]:
        """What is told if it is lost: the commit."""
        return [f"captions of batch {self.commit.text}"]

    def split(self) -> list[CaptionJob]:
        """Itself: what was answered is kept, so that it goes on where it was."""
        return [self]


def caption_jobs(store: Store, done: Committed) -> Iterator[CaptionJob]:
    """A job for each commit whose patches have no captions yet, in order."""
    there = captioned(path for path, _ in store.sizes(CAPTIONS))
    for name in filter(done.counts, done.all_names()):
        if name not in there:
            yield CaptionJob(commit=name)


def caption(job: CaptionJob, spec: PatchSpec, store: Store, *, plan: str) -> BatchDone:
    """Caption the patches of a commit.

    Returns
    -------
    BatchDone
        Counts: `finished` and `places` of patches, `rows` of captions, `rejects` of answers that were not let through. A
        patch whose annotators do not answer, or refuse, is a failure; nothing is committed then, and answers are kept.

    Raises
    ------
    StoreError
        If the store's plan is another one, or it cannot be written to.
    """
    content = read_commit(store, job.commit)
    records = list(records_of(store, entries_of(job.commit, content)))
    captions: list[PatchCaptions] = []
    failures: list[Failure] = []
    waiting: list[Pending] = []
    for record, future in _asked(records, spec, store):
        try:
            captions.append(future.result())
        except Pending as error:
            waiting.append(error)
        except SourceError as error:
            failures.append(_failure(record, error))
    if (digest_of(store) or "") != plan:
        raise StoreError(f"the plan in {store.root} was replaced while it was captioned: run the same command again")
    if failures or waiting:
        requests = tuple(request for error in waiting for request in error.requests)
        return BatchDone(index=job.index, failures=tuple(failures), requests=requests)
    commit = CaptionCommit(commit=job.commit, recipe_digest=spec.digest, plan=plan, patches=tuple(captions))
    data = captions_bytes(commit)
    store.create(captions_path(job.commit), data)
    return replace(_counted(job, captions, spec.captions.annotators), bytes_written=len(data))


def _asked(
    records: Sequence[PatchRecord], spec: PatchSpec, store: Store
) -> Iterator[tuple[PatchRecord, Future[PatchCaptions]]]:
    """Each patch with its captions to be, as many at a time as endpoints take."""
    annotators, asking = spec.captions.annotators, current().resource(Asking)
    answers = Answers(store, asker(asking.endpoints(annotators)))
    threads = asking.in_flight(annotators) + _AHEAD

    with SessionThreads(max(1, min(threads, len(records)))) as pool:
        futures = [(record, pool.submit(captions_of, record, spec, answers)) for record in records]
        try:
            yield from futures
        finally:
            for _, future in futures:
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


def _failure(record: PatchRecord, error: NutonicError) -> Failure:
    reason = getattr(error, "reason", None) or type(error).__name__
    return Failure(poi_id=record.image.patch_id, asset="captions", reason=reason, error=redact(str(error)))


def price_of(usage: tuple[str, int, int], annotators: Sequence[Annotator]) -> float:
    """What an answer cost: annotator, tokens of the request and of the answer; by file at half the price."""
    name, asked, answered = usage
    annotator = next(each for each in annotators if each.name == name)
    price = asked * annotator.input_price + answered * annotator.output_price
    return price / 1e6 * (BATCH_PRICE if annotator.mode == "batch" else 1.0)


def _counted(job: CaptionJob, captions: Sequence[PatchCaptions], annotators: Sequence[Annotator]) -> BatchDone:
    return BatchDone(
        index=job.index,
        finished=len(captions),
        places=sum(bool(each.annotations) for each in captions),
        rows=sum(len(each.annotations) for each in captions),
        rejects=dict(Counter(rejection.reason for each in captions for rejection in each.rejections)),
        money=sum(price_of(usage, annotators) for each in captions for usage in each.usage),
    )
