"""Polishing the captions of committed places: a stage of its own, whose commits take the place of the first ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import orjson

from nutonic.core.model import Json
from nutonic.dataset.amend.polish import TASK, counts_of, in_their_words, kept, polish
from nutonic.dataset.commits import (
    Committed,
    CommittedPlace,
    Origin,
    commit,
    committed,
    entries_of,
    pins_told,
    place_done,
    read_commit,
    read_commits,
    unpacked,
)
from nutonic.io.buckets.address import Place
from nutonic.io.objects import Store
from nutonic.planning.layout import CommitName
from nutonic.planning.spec import BuildSpec
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation.values import PatchCaptions
from nutonic.run.callbacks import Callback
from nutonic.run.captions.stage import Captioned, caption_all, captioners, take_answers
from nutonic.run.jobs import Extent
from nutonic.run.preflight import WorkerPool
from nutonic.sources.annotators.answers import Answers
from nutonic.sources.annotators.asking import asked
from nutonic.sources.annotators.cost import estimate
from nutonic.sources.annotators.endpoint import Endpoint

#: So many captions that fractions of tokens do not matter.
_MANY = 10_000


def unpolished(store: Store, done: Committed) -> Iterator[tuple[CommitName, int]]:
    """The commits with captions as templates wrote them, in order, and how many places each has that have some."""
    for name in filter(done.counts, done.all_names()):
        if not name.polished:
            places = sum(TASK in place["rows"]["tasks"] for place in read_commit(store, name)["places"])
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
    for annotator in asked(spec.rows.polish.annotators) if spec.rows.polish is not None else ():
        Endpoint(annotator=annotator).sign_in()


def polish_captions(
    spec: BuildSpec,
    out: Place | None,
    store: Store,
    plan: str,
    pool: WorkerPool | None,
    stack: ExitStack,
    extent: Extent,
    callback: Callback,
) -> Captioned:
    """Polish the captions of what is committed, if the recipe asks for it.

    Parameters
    ----------
    spec
        The resolved recipe.
    out
        The output folder where workers are elsewhere, else None.
    store, plan
        The tree, and the digest of its plan.
    pool
        Workers; None to do all here.
    stack
        Ends the shares of workers.
    extent
        How far to go.
    callback
        What follows the build.
    """
    if spec.rows.polish is None:
        return Captioned()
    captions, left = spec.rows.polish.captions, partial(_left, store)
    if extent.answers is not None:
        take_answers(captions, store, extent.answers, callback)
    if pool is not None and any(left()):
        pool = captioners(stack, pool, spec.sources, out, captions.annotators)
    one = estimate({3: _MANY}, captions.annotators, captions).money / _MANY
    expected = one * len(spec.rows.captions) * len(spec.layout.tiles) * (1 + len(spec.layout.views))
    return caption_all(Polisher(spec, store, plan), left, pool, callback, max_cost=extent.max_cost, expected=expected)


def told_of(spec: BuildSpec, store: Store, waiting: int) -> Json:
    """What the summary tells of polished captions."""
    told = (
        each
        for _, content in read_commits(store, committed(store))
        for place in content["places"]
        for each in place.get("captions", ())
    )
    return {**counts_of(told, spec), "waiting": waiting}


@dataclass(frozen=True, slots=True)
class Polisher:
    """Polishes captions; a :class:`nutonic.run.captions.captioning.Captioner`."""

    spec: BuildSpec
    store: Store
    plan: str
    """Digest of the plan."""

    @property
    def captions(self) -> Captions:
        """What is asked for, of whom."""
        assert self.spec.rows.polish is not None, "there is nothing to polish"
        return self.spec.rows.polish.captions

    def one(self, entry: CommittedPlace, answers: Answers) -> tuple[PatchCaptions, ...]:
        """What models make of the captions of a place."""
        paths = (path for path in entry["files"] if path.startswith("metadata/"))
        sidecars = {value["tile_id"]: value for value in (orjson.loads(self.store.get(path)) for path in paths)}
        return polish(self._rows(entry), sidecars, self.spec, answers)

    def put(self, name: CommitName, made: Sequence[tuple[CommittedPlace, tuple[PatchCaptions, ...]]]) -> int:
        """Commit the places of a commit again, with their captions as they are now."""
        polished, content = {entry["index"]: found for entry, found in made}, read_commit(self.store, name)
        places = []
        for entry in entries_of(name, content):
            found, rows = polished.get(entry["index"], ()), self._rows(entry)
            done = place_done(entry.content, in_their_words(rows, found))
            places.append(replace(done, captions=kept(found), remote=pins_told(content)))
        origin = Origin(recipe_digest=self.spec.digest, plan=self.plan)
        return commit(self.store, name.batch, places, origin, whole=name.place is None, polished=True)

    def _rows(self, entry: CommittedPlace) -> bytes:
        told = entry["rows"]
        if not told["length"]:
            return b""
        member = self.store.get_range(entry.name.part, told["start"], told["length"])
        return unpacked(member, entry.name.part, told["size"])
