"""Some patches of a recipe, built in a temporary folder: the same pictures as a build's, with captions of templates."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nutonic.core.model import Json, Reject
from nutonic.core.units import counted
from nutonic.dataset.commits import committed, entries_of, read_commits
from nutonic.dataset.report import tree
from nutonic.dataset.report.drawing import Pictures
from nutonic.dataset.report.patches import patch_card
from nutonic.dataset.report.values import Gallery, Limits, Report, number
from nutonic.dataset.shards.records import PatchRecord, records_of
from nutonic.inert import inert
from nutonic.io.limits import IN_FLIGHT
from nutonic.io.objects import Store
from nutonic.io.session import limited
from nutonic.planning.patches.map import features
from nutonic.planning.patches.plan import patches_planned, with_map
from nutonic.planning.patches.spec import PatchSpec, resolve_patches
from nutonic.planning.plan import Plan
from nutonic.recipe.annotation import TEMPLATES, Annotator
from nutonic.recipe.patches import PatchRecipe
from nutonic.run.patches.batch import run_patch_batch
from nutonic.run.patches.captioning import captions_of
from nutonic.run.preview.places import dots, failed, judged_by
from nutonic.run.results import Failure
from nutonic.sources.annotators.answers import Answers

#: So many times as many patches as are shown are tried: pictures of patches without a thing on the map come often.
_TRIED = 3


def preview_of_patches(recipe: PatchRecipe, n: int) -> Report:
    """A few patches of a recipe, whose captions are of templates; raises as :func:`nutonic.preview`."""
    whole = resolve_patches(recipe)
    spec = replace(whole, captions=whole.captions.model_copy(update={"annotators": (TEMPLATES,)}))
    with tempfile.TemporaryDirectory(prefix="nutonic-preview-") as folder:
        store = Store(Path(folder))
        with limited(min(IN_FLIGHT, spec.sources.most_requests(None) or IN_FLIGHT)):
            for service in spec.sources.accounts:
                service.sign_in()
            plan = with_map(patches_planned(spec, draw=_TRIED * n), spec, store)
            failures = _built(plan, spec, store)
        return _report_of(plan, spec, store, n, failures, models=spec.captions.annotators != whole.captions.annotators)


def _built(plan: Plan, spec: PatchSpec, store: Store) -> list[Failure]:
    kept = features(spec, store, plan.more.get("osm"))
    failures: list[Failure] = []
    for batch in plan.batches():
        failures += run_patch_batch(batch, spec, store, kept, plan_digest="").failures
    return failures


def _report_of(plan: Plan, spec: PatchSpec, store: Store, n: int, failures: list[Failure], *, models: bool) -> Report:
    left_out, pictures = tree.LeftOut(), Pictures(Limits().picture_bytes)
    for reject in (*plan.rejects, *_rejects(store)):
        left_out.add(reject)
    told: list[Json] = []
    answers = Answers(store, _nobody)
    for record in _records(store):
        captions = captions_of(record, spec, answers)
        if captions.annotations and len(told) < n:
            pictures.take(record.image.patch_id, partial(_picture, record))
            told.append(patch_card(record, captions))
    tried = [place for batch in plan.batches() for place in batch.places]
    instead = " Captions are of templates here; a build asks the recipe's models." if models else ""
    why = ": see what was left out, below." if left_out.counts or failures else "."
    shown = f"{counted(len(told), 'patch', 'patches')} of {_drawn(len(tried), plan.drawn_from)}"
    few = "" if len(told) == n else f" {n} were asked for{why}"
    return Report(
        name=inert(spec.name),
        kind="patches",
        state=f"A preview: {shown}. Nothing is built yet.{few}{instead}",
        complete=len(told) == n or (bool(told) and not (failures or left_out.counts)),
        figures=(("patches tried", number(len(tried))), ("images", number(len(plan.scenes())))),
        places=dots(tried),
        sections=(*failed(failures), left_out.section(of_patches=True), judged_by(plan)),
        gallery=Gallery(
            cards=tuple(told),
            of=len(told),
            filters=(("split", "split"), ("labels", "tag"), ("tasks", "task")),
            noun=("patch", "patches"),
        ),
        sample=None,
        pictures=pictures.urls,
        recipe=spec.text,
        digest=spec.digest,
    )


def _drawn(tried: int, there: int) -> str:
    """How many patches were tried, and of how many they were drawn."""
    if tried == there:
        return f"{tried:,}, all that there are"
    return f"{tried:,} that {'was' if tried == 1 else 'were'} drawn at random from {there:,}"


def _picture(record: PatchRecord) -> bytes:
    return record.picture


def _records(store: Store) -> Iterator[PatchRecord]:
    for name, content in read_commits(store, committed(store)):
        yield from records_of(store, entries_of(name, content))


def _rejects(store: Store) -> Iterator[Reject]:
    for name, content in read_commits(store, committed(store)):
        for entry in entries_of(name, content):
            yield from (Reject(poi_id=entry["poi_id"], **reject) for reject in entry["rejects"])


def _nobody(annotator: Annotator, request: Json) -> Any:
    raise AssertionError(f"a preview asks no model: {annotator.name}, {len(request)} keys")
