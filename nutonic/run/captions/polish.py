"""Polishing the captions of committed places: a stage of its own, whose commits take the place of the first ones.

What words and judges captions is imported where there are some to polish: most recipes polish none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from nutonic.core.model import Json
from nutonic.dataset.commits import CAPTION, Committed, committed, read_commit, read_commits
from nutonic.io.buckets.address import AnyPath
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.spec import BuildSpec
from nutonic.run.callbacks import Callback
from nutonic.run.jobs import BuildOptions
from nutonic.run.preflight import WorkerPool
from nutonic.run.results import Captioned

#: So many captions that fractions of tokens do not matter.
_MANY = 10_000


def unpolished(store: Store, done: Committed) -> Iterator[tuple[CommitName, int]]:
    """The commits with captions as templates wrote them, in order, and how many places each has that have some."""
    for name in filter(done.takes_effect, done.all_names()):
        if not name.polished:
            places = sum(CAPTION in place["rows"]["tasks"] for place in read_commit(store, name)["places"])
            if places:
                yield name, places


def _left(store: Store) -> Iterator[tuple[CommitName, int]]:
    """Those that are there now."""
    return unpolished(store, committed(store))


def is_left(spec: BuildSpec, store: Store, done: Committed) -> bool:
    """Whether there are captions to polish."""
    return spec.rows.polish is not None and any(unpolished(store, done))


def sign_in(spec: BuildSpec) -> None:
    """Raise unless all endpoints that polish let this process in, which ends a build before it begins."""
    if spec.rows.polish is None:
        return
    from nutonic.sources.annotators.asking import asked
    from nutonic.sources.annotators.endpoint import Endpoint

    for annotator in asked(spec.rows.polish.annotators):
        Endpoint(annotator=annotator).sign_in()


def polish_captions(
    spec: BuildSpec,
    out: AnyPath | None,
    store: Store,
    plan_digest: str,
    pool: WorkerPool | None,
    stack: ExitStack,
    options: BuildOptions,
    callback: Callback,
) -> Captioned:
    """Polish the captions of what is committed, if the recipe asks for it.

    Parameters
    ----------
    spec
        The resolved recipe.
    out
        The output folder where workers are elsewhere, else None.
    store, plan_digest
        The tree, and the digest of its plan.
    pool
        Workers; None to do all here.
    stack
        Ends the shares of workers.
    options
        How far to go.
    callback
        What follows the build.
    """
    if spec.rows.polish is None:
        return Captioned()
    from nutonic.run.captions.polisher import Polisher
    from nutonic.run.captions.stage import caption_all, captioners, take_answers
    from nutonic.sources.annotators.cost import estimate

    captions, left = spec.rows.polish.captions, partial(_left, store)
    if options.answers is not None:
        take_answers(captions, store, options.answers, callback)
    if pool is not None and any(left()):
        pool = captioners(stack, pool, spec.sources, out, captions.annotators)
    one = estimate({3: _MANY}, captions.annotators, captions).money / _MANY
    expected = one * len(spec.rows.captions) * len(spec.layout.tiles) * (1 + len(spec.layout.views))
    return caption_all(
        Polisher(spec, store, plan_digest), left, pool, callback, max_cost=options.max_cost, expected=expected
    )


def told_of(spec: BuildSpec, store: Store, waiting: int) -> Json:
    """What the summary tells of polished captions."""
    from nutonic.dataset.amend.polish import counts_of

    told = (
        each
        for _, content in read_commits(store, committed(store))
        for place in content["places"]
        for each in place.get("captions", ())
    )
    return {**counts_of(told, spec), "waiting": waiting}
