"""Driving a recipe of patches: pictures first, then captions, then shards; in this process, or over a Dask cluster."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from nutonic.core.model import Json
from nutonic.dataset import card
from nutonic.dataset.commits import Committed, committed
from nutonic.dataset.shards.finish import finish_patches, state_of
from nutonic.io.buckets.address import AnyPath
from nutonic.io.limits import IN_FLIGHT
from nutonic.io.objects import Store, is_temporary, sealed
from nutonic.io.session import limited
from nutonic.planning.layout import CARD, PLAN, SUMMARY
from nutonic.planning.ownership import refuse_foreign
from nutonic.planning.patches.cost import expected_captions
from nutonic.planning.patches.layout import PatchOwnership
from nutonic.planning.patches.map import features
from nutonic.planning.patches.prepare import empty_patches, prepare_patches
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.pins import RemoteFiles
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.prepare import refuse_inputs_inside
from nutonic.run.callbacks import BatchFinished, BuildStarted, Callback, Note, StageBegun
from nutonic.run.captions.stage import caption_all, captioners, refuse_unreadable, take_answers
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.dask_report import refuse_impossible
from nutonic.run.executor import results_of, workers_for
from nutonic.run.jobs import (
    BuildOptions,
    Job,
    Scope,
    done_by_others,
    earlier_failures,
    last_summary,
    progress_of,
    remaining_jobs,
    scope_of,
    tell_of_plan,
    telling_of_others,
)
from nutonic.run.patches.batch import run_patch_batch
from nutonic.run.patches.captioning import PatchCaptioner, waiting
from nutonic.run.preflight import WorkerPool, refuse_unseen
from nutonic.run.remote import have_changed, known_files, refuse_changed_files, with_known
from nutonic.run.results import BatchDone, Captioned, Summary, Tally, with_attempts
from nutonic.sources.annotators.asking import asked
from nutonic.sources.annotators.endpoint import Endpoint
from nutonic.sources.source import Account

#: So many patches that fractions of captions and tokens do not matter.
_MANY = 10_000


def build_patches(
    spec: PatchSpec, out: AnyPath, cluster: Cluster, options: BuildOptions, callback: Callback
) -> Summary:
    """Build a dataset of patches, or go on with one; raises as :func:`nutonic.build`."""
    started = time.perf_counter()
    refuse_impossible(cluster.performance_report, cluster=not cluster.in_process)
    refuse_foreign(out)
    refuse_inputs_inside(spec.inputs, out)
    refuse_unreadable(options.answers)
    build = _Build(spec=spec, out=out, cluster=cluster, callback=callback)
    with ExitStack() as stack:
        session = stack.enter_context(limited(min(IN_FLIGHT, cluster.max_requests or IN_FLIGHT)))
        pool = build.workers(stack) if cluster.scheduler is not None else None
        callback.on_stage(StageBegun(text="planning"))
        new = not Store(out).is_file(PLAN)
        store, plan = prepare_patches(spec, out, workers=cluster.workers if pool is None else 0, replan=options.replan)
        refuse_unseen(pool, store, plan, new=new)
        scope, done = scope_of(plan, options.limit), committed(store)
        if options.replan and have_changed(store, spec.sources, plan, done):
            empty_patches(store, spec, plan)
            done = committed(store)
        before = progress_of(plan, scope, done)
        files = known_files(store, plan, done) if before.remaining else RemoteFiles(store.root)
        refuse_changed_files(spec.sources, plan, scope, done, files)
        to_caption = any(waiting(store, done))
        for service in build.accounts(pictures=bool(before.remaining), captions=bool(before.remaining or to_caption)):
            service.sign_in()  # a refusal then ends the build once, instead of failing every patch
        if pool is None and not cluster.in_process and (before.remaining or to_caption):
            pool = build.workers(stack)
        tell_of_plan(callback, plan, done, before)
        callback.on_start(BuildStarted(wanted=before.wanted, done_before=before.done))
        tally = stack.enter_context(Tally())
        processes, osm = 1 if pool is None else max(1, len(pool.client.nthreads())), plan.header.get("osm")
        pictures = partial(_run_patches, spec=spec, store=store, plan_digest=plan.digest, osm=osm, processes=processes)
        jobs = with_known(remaining_jobs(plan, scope, done), files)
        for result in telling_of_others(results_of(pool, pictures, callback, jobs), jobs, callback):
            files.add(result.remote)
            tally.add(result)
            callback.on_batch(BatchFinished(result=result, to_do=before.remaining))
        captions = _captions(build, stack, pool, store, plan, options)
        tally.add_network(session.take_counts())
    done = committed(store)
    after, last = progress_of(plan, scope, done), last_summary(store)
    pictured = tally.summary(plan.header, plan.rejects)
    summary = replace(
        pictured,
        wanted=after.wanted,
        done_before=before.done,
        by_others=done_by_others(before, after, pictured),
        failures=with_attempts((*pictured.failures, *captions.failures), earlier_failures(last)),
        rows=captions.rows,
        still_open=after.remaining + captions.waiting,
        places_done=progress_of(plan, Scope(), done).done,
        limit=None if scope.last is None else options.limit,
        captions={"waiting": captions.waiting},
    )
    summary = _finished(build, store, plan, done, summary, last)
    if card.is_theirs(store):
        callback.on_note(Note(text=f"{out}/{card.KEPT}"))
    return replace(summary, seconds=round(time.perf_counter() - started, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """What every part of a build needs."""

    spec: PatchSpec
    out: AnyPath
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


def _run_patches(
    job: Job, spec: PatchSpec, store: Store, plan_digest: str, osm: Json | None, processes: int
) -> BatchDone:
    kept = features(spec, store, osm, processes)
    return run_patch_batch(job.batch, spec, store, kept, job.positions, plan_digest=plan_digest, remote=job.remote)


def _captions(
    build: _Build, stack: ExitStack, pool: WorkerPool | None, store: Store, plan: PlanFile, options: BuildOptions
) -> Captioned:
    """Caption what is committed and has no captions yet."""
    spec, done = build.spec, committed(store)
    if options.answers is not None:
        take_answers(spec.captions, store, options.answers, build.callback)
    left = partial(waiting, store, done)
    if pool is not None and asked(spec.captions.annotators) and any(left()):
        root = build.out.absolute() if build.cluster.scheduler is not None else None
        pool = captioners(stack, pool, spec.sources, root, spec.captions.annotators)
    _, whole = expected_captions(spec, _MANY)
    captioner = PatchCaptioner(spec, store, plan.digest)
    expected = whole.money / _MANY
    made = caption_all(captioner, left, pool, build.callback, max_cost=options.max_cost, expected=expected)
    build.callback.on_stage(StageBegun(text="finishing"))
    return made


def _finished(build: _Build, store: Store, plan: PlanFile, done: Committed, summary: Summary, last: Json) -> Summary:
    """Bring shards and all that is made of them up to date; the summary then knows what is in them."""
    state = state_of(store, done)
    is_of_now = last.get("commits") == state and "places_with_chips" in last
    if not summary.failures and is_of_now and _is_there(store, build.spec, last):
        return replace(summary.with_last(last), captions=last["captions"])
    owned = PatchOwnership(store, plan.planned, shards=build.spec.shards)
    complete = summary.complete and summary.limit is None
    finished = finish_patches(store, build.spec, plan, done, owned, complete=complete)
    captions = {**finished.of_captions, **summary.captions}
    summary = replace(summary, chips=finished.chips, places_with_chips=finished.chips, captions=captions)
    store.put(SUMMARY, sealed({**finished.json(), **summary.as_kept(), "commits": state}))
    return replace(summary, remade=not (summary.finished or summary.rows))


def _is_there(store: Store, spec: PatchSpec, last: Json) -> bool:
    """Whether the files of the last summary are there with their sizes, and no temporaries of a killed writer."""
    sizes = dict(store.sizes())
    if any(sizes.get(path) != size for path, (size, _) in last["data"].items()) or any(map(is_temporary, sizes)):
        return False
    pictures = sum(path.startswith("images/") for path in sizes)
    if spec.shards.chat and pictures != last["chips"]:
        return False
    if CARD not in sizes or spec.card.model_dump(mode="json", exclude_defaults=True) != last.get("card"):
        return False
    return card.is_theirs(store) or card.digest_of(store) == last["card_sha256"]
