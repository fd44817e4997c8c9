"""Driving a plan: job by job in this process, or over a Dask cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nutonic.core.model import Json
from nutonic.dataset import card
from nutonic.dataset.amend.reopen import ANY, reopen
from nutonic.dataset.commits import Committed, committed
from nutonic.dataset.finalize import Finalized, finalize, is_finalized
from nutonic.dataset.parts.each import Each, here
from nutonic.errors import InputError
from nutonic.heap import give_back, share_heap
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.io.limits import IN_FLIGHT
from nutonic.io.objects import Store, sealed
from nutonic.planning.layout import PLAN, SUMMARY
from nutonic.planning.ownership import owned_by, refuse_foreign
from nutonic.planning.pins import RemoteFiles
from nutonic.planning.plan_file import PlanFile
from nutonic.run.callbacks import (
    BatchFinished,
    BuildEnded,
    BuildStarted,
    Callback,
    CallbackGroup,
    LogCallback,
    Note,
    StageBegun,
)
from nutonic.run.clusters.cluster import Cluster, cluster_of
from nutonic.run.clusters.memory import tell_small
from nutonic.run.dask_report import refuse_impossible
from nutonic.run.jobs import (
    BuildOptions,
    Job,
    Progress,
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
from nutonic.run.remote import have_changed, known_files, refuse_changed_files, with_known
from nutonic.run.results import BatchDone, Captioned, Summary, Tally, with_attempts

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec
    from nutonic.recipe.yaml import AnyRecipe
    from nutonic.run.preflight import WorkerPool
    from nutonic.run.read import Begun

# What reads pixels is imported by the build that does: `nt.build` is there at once.

#: Commits from which on workers are started to finish a tree alone: they take three seconds to start, and one process takes
#: two for a thousand commits.
_MANY = 4000

_log = logging.getLogger(__name__)


def build(
    recipe: AnyRecipe | str | Path,
    out: str | Path | Address,
    *,
    workers: int | Cluster | None = None,
    limit: int | None = None,
    replan: bool = False,
    retry_rejects: bool | str = False,
    max_cost: float | None = None,
    answers: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Summary:
    """Build a dataset, or go on with one; gives what was done, rejected and failed, and how many places are left.

    Parameters
    ----------
    recipe
        What to build, of places or of patches; or the path of its file.
    out
        The folder of the tree, or an address such as ``s3://BUCKET/PATH``: empty, or with this recipe's tree to resume.
    workers
        Worker processes on this machine, one per core by default. 0 builds in this process, without dask. For workers
        elsewhere, fewer requests at once, a dashboard or a performance report: a :class:`nutonic.Cluster`.
    limit
        Only the first places by ordinal, their variants included; one of as many as there are, or more, is none.
    replan
        Search again; what was built from another plan is built anew.
    retry_rejects
        Try places again that earlier builds left out as a whole; or those left out, or with a tile left out, for a reason,
        such as ``"asset gone"``. What the plan left out is looked for again by `replan`.
    max_cost, answers
        Of captions by models: what they may cost, by the recipe's prices; a file of a batch API's answers to requests.
    callbacks
        What follows the build and may stop it: each a :class:`nutonic.Callback`. Once one asks to stop, what has begun is
        finished, and no other batch begun.

    Raises
    ------
    InputError
        If `limit` is no number from 1, nothing was left out for the reason to retry, ``NUTONIC_HTTP_TIMEOUT`` no number of
        seconds, an input lies in `out`, or a worker elsewhere has other versions or sees other files; nothing is done then.
    Refused
        If stills are wanted, and the environment has no token, or one that is not taken; nothing is done then.
    NotNutonic, RecipeChanged
        If the folder is somebody else's, has a link in it, or holds another recipe or places file; nothing is touched.
    StoreError
        If nothing more can be written, as on a full disk; the same call goes on once it can.
    Unreachable
        If the cluster is lost; the same call goes on with another.
    """
    from nutonic.io.connections import timeout_s

    cluster, group = cluster_of(workers), CallbackGroup([LogCallback(), *callbacks])
    timeout_s()  # what cannot be waited for would fail each place
    file = None if answers is None else Path(answers)
    options = BuildOptions(limit=limit, replan=replan, retry=retry_rejects, max_cost=max_cost, answers=file)
    summary = _built(recipe, any_path_of(out), cluster, options, group)
    group.on_end(BuildEnded(summary=summary))
    return summary


def _built(
    recipe: AnyRecipe | str | Path, out: AnyPath, cluster: Cluster, options: BuildOptions, callback: Callback
) -> Summary:
    from nutonic.recipe.patches import PatchRecipe
    from nutonic.recipe.yaml import recipe_of

    if cluster.in_process:
        share_heap()  # before there is any thread
    recipe = recipe_of(recipe)
    _log.info("building %s into %s", recipe.name, out)
    if isinstance(recipe, PatchRecipe):
        if options.retry is not False:
            raise InputError("--retry-rejects is for places: of patches, --replan takes up what is there now")
        from nutonic.planning.patches.spec import resolve_patches
        from nutonic.run.patches.build import build_patches

        of_patches = resolve_patches(recipe)
        requests = of_patches.sources.most_requests(cluster.max_requests)
        return build_patches(of_patches, out, replace(cluster, max_requests=requests), options, callback)
    from nutonic.planning.spec import resolve

    if recipe.rows.polish is None and (options.max_cost is not None or options.answers is not None):
        raise InputError("max_cost and answers are for captions by models: this recipe has none (rows.polish)")
    if options.answers is not None:
        from nutonic.run.captions.stage import refuse_unreadable

        refuse_unreadable(options.answers)
    spec = resolve(recipe)
    for line in recipe.in_vain:
        callback.on_note(Note(text=line))
    cluster = replace(cluster, max_requests=spec.sources.most_requests(cluster.max_requests))
    return _build_places(spec, out, cluster, options, callback)


def _build_places(
    spec: BuildSpec, out: AnyPath, cluster: Cluster, options: BuildOptions, callback: Callback
) -> Summary:
    from nutonic.io.session import limited
    from nutonic.planning.prepare import refuse_inputs_inside
    from nutonic.run.captions.polish import is_left, polish_captions, sign_in
    from nutonic.run.executor import results_of, workers_for

    started = time.perf_counter()
    refuse_impossible(cluster.performance_report, cluster=not cluster.in_process)
    refuse_foreign(out)
    refuse_inputs_inside(spec.inputs, out)
    with ExitStack() as stack:
        session = stack.enter_context(limited(min(IN_FLIGHT, cluster.max_requests or IN_FLIGHT)))

        if spec.stills is not None and (options.replan or not Store(out).is_file(PLAN)):
            spec.stills.sign_in()  # before anything is planned, or written

        def workers() -> WorkerPool:
            return stack.enter_context(workers_for(spec.sources, out, cluster, callback, spec.accounts))

        # Workers elsewhere are checked before anything is planned.
        pool = workers() if cluster.scheduler is not None else None
        callback.on_stage(StageBegun(text="planning"))
        store, plan = _planned(spec, out, options.replan, cluster, pool)
        give_back()
        left = _left(spec, store, plan, options)
        before, files = left.before, left.files
        tell_of_plan(callback, plan, left.done, before)
        tell_small(callback, pool, plan)
        to_do = bool(before.remaining) or is_left(spec, store, left.done)
        if to_do:
            sign_in(spec)
        if pool is None and not cluster.in_process and to_do:
            pool = workers()
        callback.on_start(BuildStarted(wanted=before.wanted, done_before=before.done))
        jobs = with_known(remaining_jobs(plan, left.scope, left.done), files)
        work = _Building(spec=spec, store=store, plan_digest=plan.digest)
        tally = stack.enter_context(Tally())
        for result in telling_of_others(results_of(pool, work, callback, jobs), jobs, callback):
            files.add(result.remote)
            tally.add(result)
            callback.on_batch(BatchFinished(result=result, to_do=before.remaining))
        root = out.absolute() if cluster.scheduler is not None else None
        captions = polish_captions(spec, root, store, plan.digest, pool, stack, options, callback)
        callback.on_stage(StageBegun(text="finishing"))
        tally.add_network(session.take_counts())
        if tally.batches or captions.asked:
            left = replace(left, done=committed(store))
        limit = None if left.scope.last is None else options.limit
        seconds = time.perf_counter() - started
        summary = replace(tally.summary(plan.header, plan.rejects), limit=limit, seconds=seconds)
        own = None if cluster.in_process else workers
        finishers = partial(_finishers, pool, own, left, callback)
        summary = _summed_up(spec, store, plan, left, summary, captions, finishers)
    if card.is_theirs(store):
        callback.on_note(Note(text=f"{out}/{card.KEPT}"))
    return summary


def _finishers(
    pool: WorkerPool | None, workers: Callable[[], WorkerPool] | None, left: _Left, callback: Callback
) -> Each:
    """Who finishes: workers, which are started for it where there is much to do; this process once a stop was asked for."""
    from nutonic.run.executor import each_of

    if callback.stop_requested():
        return here
    if pool is None and workers is not None and left.done.total > _MANY:
        pool = workers()
    return each_of(pool, callback)


def _summed_up(
    spec: BuildSpec,
    store: Store,
    plan: PlanFile,
    left: _Left,
    summary: Summary,
    captions: Captioned,
    finishers: Callable[[], Each],
) -> Summary:
    """Finish the tree, and tell what was done beside what the batches say."""
    done = left.done
    after, last = progress_of(plan, left.scope, done), last_summary(store)
    seconds = round(summary.seconds, 3)
    summary = replace(summary, wanted=after.wanted, done_before=left.before.done, still_open=after.remaining)
    summary = replace(summary, by_others=done_by_others(left.before, after, summary))
    failures = with_attempts((*summary.failures, *captions.failures), earlier_failures(last))
    summary = _told_of(spec, store, summary, captions.waiting)
    summary = replace(summary, failures=failures, seconds=seconds, places_done=progress_of(plan, Scope(), done).done)
    if _is_up_to_date(store, spec, plan, done, summary, last):
        return summary.with_last(last)
    return _finish(store, spec, plan, done, summary, last, finishers())


def _told_of(spec: BuildSpec, store: Store, summary: Summary, waiting: int) -> Summary:
    """A summary that tells of polished captions too; places whose captions are not polished yet are open."""
    from nutonic.run.captions.polish import told_of

    if spec.rows.polish is None:
        return summary
    return replace(summary, still_open=summary.still_open + waiting, captions=told_of(spec, store, waiting))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What is left to do of a plan when a build begins."""

    scope: Scope
    done: Committed
    before: Progress
    files: RemoteFiles
    """What is known of remote files that will be read again."""


def _left(spec: BuildSpec, store: Store, plan: PlanFile, options: BuildOptions) -> _Left:
    """Look at what is done, and ask the services for what is left: a refusal then ends the build, not every place."""
    from nutonic.planning.prepare import empty

    scope, done = scope_of(plan, options.limit), committed(store)
    if options.replan and have_changed(store, spec.sources, plan, done):
        empty(store, owned_by(store, spec.layout, spec.output, plan), plan)
        done = committed(store)
    if options.retry is not False:
        ownership = owned_by(store, spec.layout, spec.output, plan)
        reopen(store, ownership, done, ANY if options.retry is True else options.retry, of_plan=plan.header["rejects"])
        done = committed(store)
    before = progress_of(plan, scope, done)
    files = known_files(store, plan, done) if before.remaining else RemoteFiles(store.root)
    refuse_changed_files(spec.sources, plan, scope, done, files)
    for service in spec.accounts if before.remaining else ():
        service.sign_in()
    return _Left(scope=scope, done=done, before=before, files=files)


def _planned(
    spec: BuildSpec, out: AnyPath, replan: bool, cluster: Cluster, pool: WorkerPool | None
) -> tuple[Store, PlanFile]:
    """The tree's store and plan; a new plan is removed again if workers do not see its input files."""
    from nutonic.planning.prepare import prepare
    from nutonic.run.preflight import refuse_unseen

    new = not Store(out).is_file(PLAN)
    store, plan = prepare(spec, out, workers=cluster.workers if pool is None else 0, replan=replan)
    refuse_unseen(pool, store, plan, new=new)
    return store, plan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Building:
    """What is done with a job."""

    spec: BuildSpec
    store: Store
    plan_digest: str

    @property
    def reads_ahead(self) -> bool:
        """Whether the next job may be begun before one ends: not where stills may be refused, and nothing is to be read."""
        return self.spec.stills is None

    def begin(self, job: Job) -> Begun:
        """Begin to read what it needs."""
        from nutonic.run.batch import begin_batch

        return begin_batch(job.batch, self.spec, self.store, job.positions, job.remote)

    def __call__(self, job: Job, begun: Begun | None = None, then: Callable[[], None] | None = None) -> BatchDone:
        from nutonic.run.batch import run_batch

        only, digest, remote = job.positions, self.plan_digest, job.remote
        return run_batch(
            job.batch, self.spec, self.store, only, plan_digest=digest, remote=remote, begun=begun, then=then
        )


def _is_up_to_date(
    store: Store, spec: BuildSpec, plan: PlanFile, done: Committed, summary: Summary, last: Json
) -> bool:
    """Whether the last summary is of these commits, and the files that were made from them are there."""
    counted = ("card_sha256", "data", "chips", "places_with_chips")
    if summary.failures or last.get("commits") != done.digest() or not last.keys() >= {*counted}:
        return False
    expected = Finalized(**{name: last[name] for name in counted}, card=last.get("card", {}))
    return is_finalized(store, spec, plan, expected)


def _finish(
    store: Store, spec: BuildSpec, plan: PlanFile, done: Committed, summary: Summary, last: Json, each: Each
) -> Summary:
    """Bring ``data/`` and the card up to date; the summary then knows how many chips there are."""
    complete, before = summary.complete and summary.limit is None, last.get("made_of", {})
    finalized = finalize(store, spec, plan, done, complete=complete, made_before=before, each=each)
    store.put(SUMMARY, sealed({**summary.as_kept(), **asdict(finalized), "commits": done.digest()}))
    summary = replace(summary, chips=finalized.chips, places_with_chips=finalized.places_with_chips)
    return replace(summary, remade=not (summary.finished or summary.rows))
