"""Checks of an output folder before a build: that it is nutonic's, is of this recipe and has a plan."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from itertools import chain
from pathlib import Path

from nutonic._version import __version__
from nutonic.core.model import Scene
from nutonic.errors import Corrupt, InputError, RecipeChanged
from nutonic.io.atomic import refuse_unwritable
from nutonic.io.objects import Store
from nutonic.planning.cost import default_workers, refuse_too_large
from nutonic.planning.layout import CARD, COMMITS, MARKER, PLAN, RECIPE
from nutonic.planning.ownership import Ownership, mark, named_by_commits, owned_by, refuse_foreign
from nutonic.planning.pins import changed, pins_json
from nutonic.planning.places.read import file_sha256
from nutonic.planning.plan import Plan, plan_of
from nutonic.planning.plan_file import PlanFile, items_path, plan_bytes, read_plan
from nutonic.planning.planned import PlannedPlaces
from nutonic.planning.remote import label_pins
from nutonic.planning.spec import BuildSpec
from nutonic.sources.stac.geoparquet import geoparquet_bytes


def prepare(
    spec: BuildSpec, out: str | Path, *, workers: int | None = None, replan: bool = False
) -> tuple[Store, PlanFile]:
    """The tree's store, and its plan: the existing one, or a new one.

    If two drivers plan at once, one of them creates the plan and the other uses it.
    """
    out = Path(out)
    refuse_foreign(out)
    refuse_inputs_inside(spec.inputs, out)
    store = Store(out)
    there = (out / PLAN).is_file()
    plan = _opened(store, replan=replan) if there else None
    if plan is not None:
        _refuse_changed(plan, spec)
    if plan is None or replan:
        refuse_unwritable(out)
        new_plan = plan_of(spec)
        refuse_too_large(new_plan.cost, out, default_workers() if workers is None else workers)
        refuse_inputs_inside(spec.inputs, out, new_plan.scenes())
        owned = Ownership(store, spec.layout, spec.output, PlannedPlaces(new_plan.batches))
        owned.refuse_obstacles()
        old = owned if plan is None else _owned_before(store, spec, plan) or owned
        _put_plan(store, old if there else None, new_plan, spec)
        plan = read_plan(store)
        if not there:
            _refuse_changed(plan, spec)
    refuse_inputs_inside(spec.inputs, out, plan.scenes)
    _refuse_changed_inputs(plan)
    owned_by(store, spec.layout, spec.output, plan).refuse_obstacles()
    mark(store)  # again, since another driver that was refused may have removed the marker
    if not store.has(RECIPE) or store.get(RECIPE) != plan.recipe.encode():
        store.put(RECIPE, plan.recipe.encode())
    return store, plan


def _opened(store: Store, *, replan: bool) -> PlanFile | None:
    """The existing plan; None if it is corrupt and `replan` is set, so that a new one replaces it."""
    try:
        return read_plan(store)
    except Corrupt:
        if not replan:
            raise
        return None


def _owned_before(store: Store, spec: BuildSpec, plan: PlanFile) -> Ownership | None:
    """The files that an older plan makes nutonic's; None if one of its batches is corrupt."""
    owned = owned_by(store, spec.layout, spec.output, plan)
    try:
        owned.planned.by_id  # noqa: B018  reads the batches, once
    except Corrupt:
        return None
    return owned


def _put_plan(store: Store, old: Ownership | None, plan: Plan, spec: BuildSpec) -> None:
    """Write a plan; files built from another plan, those that `old` owns, are removed first."""
    items = geoparquet_bytes(plan.items()) if plan.items() else None
    remote = pins_json(label_pins(plan.scenes(), spec.sources))
    after = plan_bytes(plan, spec.text, items, remote)
    mark(store)
    before = store.get(PLAN) if old is not None else None
    if old is not None and before != after:
        old.refuse_obstacles()
        _empty(store, old)
    if items is not None:
        store.put(items_path(items), items)
    if before is None:
        store.create(PLAN, after)
    elif before != after:
        store.put(PLAN, after)


def empty(store: Store, spec: BuildSpec, plan: PlanFile) -> None:
    """Remove what was built from a plan that stays, since a remote file of its scenes is another one now."""
    owned = owned_by(store, spec.layout, spec.output, plan)
    owned.refuse_obstacles()
    _empty(store, owned, keep=(RECIPE, *plan.beside))


def _empty(store: Store, old: Ownership, keep: Collection[str] = ()) -> None:
    """Remove what was built from another plan, commits first, so that a kill in between leaves only unnamed files.

    The plan stays until the new one replaces it, so that the folder is a tree at every moment. The card stays too, since
    a person may have edited it.
    """
    if store.root is None or not store.root.exists():
        return
    old = old.with_committed(named_by_commits(store))
    for path, _ in sorted(store.sizes(), key=lambda entry: not entry[0].startswith(f"{COMMITS}/")):
        if path not in (PLAN, MARKER, CARD, *keep):
            old.remove(path)


def refuse_inputs_inside(inputs: Iterable[str], out: Path, scenes: Iterable[Scene] = ()) -> None:
    """Raise :class:`InputError` if an input file lies in the output folder, or its path leads through it.

    Folders are compared by identity, not by name, so that links, other letter case and ``..`` make no difference.
    """
    of_scenes = (asset.href for scene in scenes for asset in scene.assets)
    if not out.exists():
        return
    inside: dict[str, bool] = {}
    for path in dict.fromkeys(chain(inputs, of_scenes)):
        if "://" not in path and any(_is_inside(spelt, out, inside) for spelt in map(Path, _spellings(path))):
            raise InputError(f"{path} lies in {out}, where the output goes: build into another folder")


def _spellings(path: str) -> set[str]:
    """A path as an absolute one, and with its links resolved."""
    return {os.path.normpath(Path(path).absolute()), os.path.realpath(path)}


def _is_inside(path: Path, out: Path, inside: dict[str, bool]) -> bool:
    """Whether a path is the folder or below it; `inside` caches the answers by path, since many files share folders."""
    answer = inside.get(str(path))
    if answer is None:
        same = path.exists() and path.samefile(out)
        answer = inside[str(path)] = same or (path != path.parent and _is_inside(path.parent, out, inside))
    return answer


def _refuse_changed_inputs(plan: PlanFile) -> None:
    """Raise :class:`RecipeChanged` if a local file is not what it was when the plan was made.

    What was built from it and what would be built now would not go together. A file that is missing is told when it is
    read: it may come back.
    """
    others = changed(plan.header.get("inputs", {}))
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise RecipeChanged(
            f"{others[0]}{more} changed since {plan.store.root} was planned: put back what was there, or take what is there "
            "now with --replan, which builds anew"
        )


def _refuse_changed(plan: PlanFile, spec: BuildSpec) -> None:
    if plan.header["recipe_digest"] != spec.digest:
        raise RecipeChanged(
            f"{plan.store.root} was built from another recipe ({plan.header['recipe_digest'][:12]}, this one is "
            f"{spec.digest[:12]}): build into another folder, or restore the recipe"
        )
    if plan.header["nutonic_version"] != __version__:
        raise RecipeChanged(
            f"{plan.store.root} was begun with nutonic {plan.header['nutonic_version']}, this is {__version__}: "
            "finish it with that version, or build into another folder"
        )
    now = file_sha256(spec.pois.path)
    if plan.header["places_sha256"] != now:
        raise RecipeChanged(
            f"{spec.pois.path} is not the places file {plan.store.root} was built from ({now[:12]}, it was "
            f"{plan.header['places_sha256'][:12]}): build into another folder, or restore the file"
        )
