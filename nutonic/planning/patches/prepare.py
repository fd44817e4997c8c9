"""Readying an output folder for patches."""

from __future__ import annotations

from nutonic.io.buckets.address import AnyPath
from nutonic.io.objects import Store
from nutonic.planning.patches.layout import PatchOwnership
from nutonic.planning.patches.plan import patches_planned, with_map
from nutonic.planning.patches.spec import PatchSpec
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.prepare import Preparation, empty, prepared
from nutonic.planning.remote import planned_pins
from nutonic.sources.factory import credentials_of
from nutonic.sources.osm.source import extract_pins


def prepare_patches(
    spec: PatchSpec, out: str | AnyPath, *, workers: int | None = None, replan: bool = False, to_build: bool = True
) -> tuple[Store, PlanFile]:
    """As :func:`nutonic.planning.prepare.prepare`, of a recipe of patches."""
    preparation = Preparation(
        digest=spec.digest,
        text=spec.text,
        inputs=spec.inputs,
        places=spec.places,
        identity=spec.identity,
        accounts=credentials_of(spec.sources),
        plan=lambda: patches_planned(spec),
        beside=lambda plan, store: with_map(plan, spec, store),
        owned=lambda store, planned: PatchOwnership(store, planned, shards=spec.shards),
        remote=lambda plan: {**planned_pins(plan.scenes(), spec.sources), **extract_pins(spec.osm)},
    )
    return prepared(preparation, out, workers=workers, replan=replan, to_build=to_build)


def empty_patches(store: Store, spec: PatchSpec, plan: PlanFile) -> None:
    """Remove what was built from a plan that stays, since a remote file of its images is another one now."""
    empty(store, PatchOwnership(store, plan.planned, shards=spec.shards), plan)
