"""Driving a recipe of patches: pictures first, then captions, then shards; in this process, or over a Dask cluster."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

import orjson

from nutonic.core.model import Json
from nutonic.dataset import card
from nutonic.dataset.commits import Committed, committed
from nutonic.dataset.shards.captions import read_captions
from nutonic.dataset.shards.finish import finish_patches
from nutonic.errors import InputError
from nutonic.io.files import open_regular
from nutonic.io.limits import IN_FLIGHT
from nutonic.io.objects import Store, is_temporary, sealed, sha256
from nutonic.io.session import limited
from nutonic.planning.layout import CARD, PLAN, SUMMARY
from nutonic.planning.ownership import refuse_foreign
from nutonic.planning.patches.layout import CAPTIONS, PatchOwnership, captioned
from nutonic.planning.patches.map import features
from nutonic.planning.patches.prepare import empty_patches, prepare_patches
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.pins import RemoteFiles
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.prepare import refuse_inputs_inside
from nutonic.run.callbacks import BatchFinished, BuildStarted, Callback, CaptionsFinished, Note
from nutonic.run.cluster import Cluster
from nutonic.run.dask_report import refuse_impossible
from nutonic.run.executor import results_of, workers_for
from nutonic.run.jobs import (
    Extent,
    Job,
    earlier_failures,
    last_summary,
    missing_notes,
    progress_of,
    remaining_jobs,
    scope_of,
)
from nutonic.run.patches.batch import run_patch_batch
from nutonic.run.patches.captioning import CaptionJob, caption, caption_jobs, price_of
from nutonic.run.preflight import WorkerPool, refuse_unseen, worker_pool
from nutonic.run.remote import have_changed, known_files, refuse_changed_files, with_known
from nutonic.run.results import BatchDone, Failure, Summary, Tally, with_attempts
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.asking import asked, units_of
from nutonic.sources.annotators.batches import pending, read_results, requested, requests_path, write_requests
from nutonic.sources.annotators.endpoint import Endpoint
from nutonic.sources.source import Account


def build_patches(spec: PatchSpec, out: Path, cluster: Cluster, extent: Extent, callback: Callback) -> Summary:
    """Build a dataset of patches, or go on with one; raises as :func:`nutonic.build`."""
    started = time.perf_counter()
    refuse_impossible(cluster.performance_report, cluster=not cluster.in_process)
    refuse_foreign(out)
    refuse_inputs_inside(spec.inputs, out)
    if extent.answers is not None:
        _refuse_unreadable(extent.answers)
    build = _Build(spec=spec, out=out, cluster=cluster, callback=callback)
    with ExitStack() as stack:
        session = stack.enter_context(limited(min(IN_FLIGHT, cluster.max_requests or IN_FLIGHT)))
        pool = build.workers(stack) if cluster.scheduler is not None else None
        new = not (out / PLAN).is_file()
        store, plan = prepare_patches(spec, out, workers=cluster.workers if pool is None else 0, replan=extent.replan)
        refuse_unseen(pool, store, plan, new=new)
        scope, done = scope_of(plan, extent.limit), committed(store)
        if extent.replan and have_changed(store, spec.sources, plan, done):
            empty_patches(store, spec, plan)
            done = committed(store)
        before = progress_of(plan, scope, done)
        files = known_files(store, plan, done) if before.remaining else RemoteFiles(store.root)
        refuse_changed_files(spec.sources, plan, scope, done, files)
        to_caption = sum(1 for _ in caption_jobs(store, done))
        for service in build.accounts(pictures=bool(before.remaining), captions=bool(before.remaining or to_caption)):
            service.sign_in()  # a refusal then ends the build once, instead of failing every patch
        if pool is None and not cluster.in_process and (before.remaining or to_caption):
            pool = build.workers(stack)
        for note in missing_notes(plan, before):
            callback.on_note(note)
        callback.on_start(BuildStarted(wanted=before.wanted, done_before=before.done))
        tally = Tally()
        processes, osm = 1 if pool is None else max(1, len(pool.client.nthreads())), plan.header.get("osm")
        pictures = partial(_run_patches, spec=spec, store=store, plan=plan.digest, osm=osm, processes=processes)
        jobs = with_known(remaining_jobs(plan, scope, done), files)
        for result in results_of(pool, pictures, callback, jobs):
            files.add(result.remote)
            tally.add(result)
            callback.on_batch(BatchFinished(result=result, to_do=before.remaining))
        captions = _captions(build, stack, pool, store, plan, extent)
        tally.add_network(session.take_counts())
    done = committed(store)
    after, last = progress_of(plan, scope, done), last_summary(store)
    summary = replace(
        tally.summary(plan.header, plan.rejects),
        wanted=after.wanted,
        done_before=before.done,
        still_open=after.remaining,
    )
    waiting = sum(1 for _ in caption_jobs(store, done))
    summary = replace(
        summary,
        failures=with_attempts((*summary.failures, *captions.failures), earlier_failures(last)),
        rows=captions.rows,
        still_open=summary.still_open + waiting,
        limit=None if scope.last is None else extent.limit,
    )
    summary = _finished(build, store, plan, done, summary, last)
    if card.is_theirs(store):
        callback.on_note(Note(text=f"{out}/{card.KEPT}"))
    return replace(summary, seconds=round(time.perf_counter() - started, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """What every part of a build needs."""

    spec: PatchSpec
    out: Path
    cluster: Cluster
    callback: Callback

    def accounts(self, *, pictures: bool, captions: bool) -> tuple[Account, ...]:
        """The services that are asked for pictures, and for captions."""
        endpoints = [Endpoint(annotator=each) for each in asked(self.spec.captions.annotators)]
        return (*(self.spec.sources.accounts if pictures else ()), *(endpoints if captions else ()))

    def workers(self, stack: ExitStack) -> WorkerPool:
        """Workers for pictures."""
        return stack.enter_context(
            workers_for(
                self.spec.sources, self.out, self.cluster, self.callback, self.accounts(pictures=True, captions=True)
            )
        )

    def captioners(self, stack: ExitStack, pool: WorkerPool) -> WorkerPool:
        """The same workers, with shares of what endpoints take instead of shares of requests."""
        annotators = self.spec.captions.annotators
        root = self.out.absolute() if self.cluster.scheduler is not None else None
        accounts = self.accounts(pictures=False, captions=True)
        again = worker_pool(
            pool.client, self.spec.sources, root, units_of(annotators), accounts, annotators=asked(annotators)
        )
        captioners = stack.enter_context(again)
        captioners.watch = pool.watch
        return captioners


@dataclass(slots=True)
class _Captioned:
    """What becomes of the second stage."""

    patches: int = 0
    rows: int = 0
    money: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    requests: list[tuple[str, Json]] = field(default_factory=list)

    def add(self, result: BatchDone) -> None:
        """Add a job's counts."""
        self.patches += result.places
        self.rows += result.rows
        self.money += result.money
        self.failures += result.failures
        self.requests += result.requests


def _run_patches(job: Job, spec: PatchSpec, store: Store, plan: str, osm: Json | None, processes: int) -> BatchDone:
    kept = features(spec, store, osm, processes)
    return run_patch_batch(job.batch, spec, store, kept, job.positions, plan=plan, remote=job.remote)


def _run_captions(job: CaptionJob, spec: PatchSpec, store: Store, plan: str) -> BatchDone:
    return caption(job, spec, store, plan=plan)


def _captions(
    build: _Build, stack: ExitStack, pool: WorkerPool | None, store: Store, plan: PlanFile, extent: Extent
) -> _Captioned:
    """Caption what is committed and has no captions yet, as far as money goes."""
    spec, done = build.spec, committed(store)
    if extent.answers is not None:
        _take_answers(build, store, extent.answers)
    captioned = _Captioned(money=0.0 if extent.max_cost is None else _spent(store, done, spec))
    jobs = list(caption_jobs(store, done))
    if not jobs or build.callback.stop_requested():
        return captioned
    captioners = build.captioners(stack, pool) if pool is not None and asked(spec.captions.annotators) else pool
    work = partial(_run_captions, spec=spec, store=store, plan=plan.digest)
    affordable = _until_spent(captioned, extent.max_cost, jobs)
    for result in results_of(captioners, work, build.callback, affordable):
        captioned.add(result)
        build.callback.on_batch(CaptionsFinished(result=result, to_do=len(jobs)))
    if extent.max_cost is not None and captioned.money >= extent.max_cost:
        build.callback.on_note(Note(text=f"captions have cost {captioned.money:.2f}, as much as --max-cost allows"))
    for annotator, count in write_requests(store, captioned.requests).items():
        where = f"{build.out}/{requests_path(annotator)}"
        text = f"{count} requests wait in {where}: have them answered, then run the same command with --answers FILE"
        build.callback.on_note(Note(text=text))
    return captioned


def _until_spent(captioned: _Captioned, most: float | None, jobs: Iterable[CaptionJob]) -> Iterator[CaptionJob]:
    for job in jobs:
        if most is not None and captioned.money >= most:
            return
        yield job


def _spent(store: Store, done: Committed, spec: PatchSpec) -> float:
    """What captions that are committed have cost."""
    money = 0.0
    for name in filter(done.counts, done.all_names()):
        with suppress(FileNotFoundError):
            patches = read_captions(store, name).patches
            money += sum(price_of(usage, spec.captions.annotators) for each in patches for usage in each.usage)
    return money


def _refuse_unreadable(answers: Path) -> None:
    try:
        open_regular(str(answers)).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read the answers {answers}: {reason}") from None


def _take_answers(build: _Build, store: Store, path: Path) -> None:
    """Keep the answers of a file of results."""
    names = [each.name for each in build.spec.captions.annotators if each.mode == "batch"]
    wanted = frozenset(chain.from_iterable(requested(store, name) for name in names))
    with open_regular(str(path)) as file:
        read = read_results(file, Answers(store, pending), wanted)
    problems = ", ".join(f"{count} × {problem}" for problem, count in read.problems.items())
    told = f"{path}: {read.kept} new answers of {read.lines} lines, {read.known} known before"
    build.callback.on_note(Note(text=f"{told}; without an answer: {problems}" if problems else told))


def _finished(build: _Build, store: Store, plan: PlanFile, done: Committed, summary: Summary, last: Json) -> Summary:
    """Bring shards and all that is made of them up to date; the summary then knows what is in them."""
    state = _state(store, done)
    if not summary.failures and last.get("commits") == state and _is_there(store, build.spec, last):
        return replace(summary, chips=last["chips"], captions=last["captions"])
    owned = PatchOwnership(store, plan.planned, shards=build.spec.shards)
    complete = summary.complete and summary.limit is None
    finished = finish_patches(store, build.spec, plan, done, owned, complete=complete)
    told = {name: value for name, value in asdict(finished).items() if name != "captions"}
    captions: Json = {
        "captions": finished.captions,
        "rejected": finished.rejected,
        "uncaptioned": finished.uncaptioned,
        "usage": finished.usage,
    }
    summary = replace(summary, chips=finished.chips, captions=captions)
    store.put(SUMMARY, sealed({**told, **asdict(summary), "commits": state}))
    return summary


def _state(store: Store, done: Committed) -> str:
    """Digest of what is committed and captioned: a summary with another is out of date."""
    names = sorted(name.text for name in captioned(path for path, _ in store.sizes(CAPTIONS)))
    return sha256(orjson.dumps([done.digest(), names]))


def _is_there(store: Store, spec: PatchSpec, last: Json) -> bool:
    """Whether the files of the last summary are there with their sizes, and no temporaries of a killed writer."""
    sizes = dict(store.sizes())
    if any(sizes.get(path) != size for path, (size, _) in last["data"].items()) or any(map(is_temporary, sizes)):
        return False
    if CARD not in sizes or spec.card.model_dump(mode="json", exclude_defaults=True) != last.get("card"):
        return False
    return card.is_theirs(store) or card.digest_of(store) == last["card_sha256"]
