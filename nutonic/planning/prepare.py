"""Checks of an output folder before a build: that it is nutonic's, is of this recipe and has a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from nutonic._version import __version__
from nutonic.core.model import RemotePin, Scene
from nutonic.errors import Corrupt, InputError, NutonicError, RecipeChanged
from nutonic.heap import give_back
from nutonic.io.access import Identity, identity_of
from nutonic.io.atomic import refuse_unwritable
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.io.buckets.inputs import Credentials
from nutonic.io.files import real_path
from nutonic.io.objects import Store
from nutonic.planning.cost import default_workers, refuse_no_room, refuse_too_large
from nutonic.planning.layout import CARD, COMMITS, MARKER, META, PLAN, RECIPE
from nutonic.planning.ownership import Ownership, PlacesOwnership, mark, named_by_commits, refuse_foreign, unmark
from nutonic.planning.pins import changed, pins_json
from nutonic.planning.places.read import file_sha256
from nutonic.planning.plan_file import PlanFile, PlanLines, items_path, read_plan
from nutonic.planning.planned import PlannedPlaces
from nutonic.planning.remote import planned_pins
from nutonic.planning.spec import BuildSpec
from nutonic.recipe.differences import differences_in_words
from nutonic.sources.factory import credentials_of
from nutonic.sources.stac.geoparquet import geoparquet_bytes

if TYPE_CHECKING:
    from nutonic.planning.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What preparing a folder needs of a resolved recipe, of either kind."""

    digest: str
    """Of the recipe."""
    text: str
    """The recipe as YAML."""
    inputs: tuple[str, ...]
    """Paths and addresses that it names to be read."""
    places: str | None
    """Path of the places file; None where the recipe has none."""
    identity: Identity
    """Who asks for it, where it is at an address."""
    accounts: tuple[Credentials, ...]
    """What stores want of who reads inputs, that planning may ask or a build will."""
    plan: Callable[[], Plan]
    """Makes a new plan."""
    beside: Callable[[Plan, Store], Plan] | None = None
    """Writes what lies beside a new plan into the tree; gives the plan that tells of it."""
    owned: Callable[[Store, PlannedPlaces], Ownership]
    """Which files of the tree a plan makes nutonic's."""
    remote: Callable[[Plan], Mapping[str, RemotePin]] = lambda _: {}
    """What remote files are that the plan itself pins, by key."""


def prepare(
    spec: BuildSpec, out: str | AnyPath, *, workers: int | None = None, replan: bool = False, to_build: bool = True
) -> tuple[Store, PlanFile]:
    """The tree's store, and its plan: the existing one, or a new one.

    If two drivers plan at once, one of them creates the plan and the other uses it. Unless it is `to_build`, it need not
    have room for more than the plan.
    """

    def planned() -> Plan:
        from nutonic.planning.plan import plan_of  # which who goes on with a plan does without

        return plan_of(spec)

    preparation = Preparation(
        digest=spec.digest,
        text=spec.text,
        inputs=spec.inputs,
        places=spec.pois.path,
        identity=identity_of(spec.pois),
        accounts=credentials_of(spec.sources),
        plan=planned,
        remote=lambda plan: planned_pins(plan.scenes(), spec.sources),
        owned=lambda store, planned: PlacesOwnership(store, planned, layout=spec.layout, output=spec.output),
    )
    return prepared(preparation, out, workers=workers, replan=replan, to_build=to_build)


def prepared(
    preparation: Preparation,
    out: str | AnyPath,
    *,
    workers: int | None = None,
    replan: bool = False,
    to_build: bool = True,
) -> tuple[Store, PlanFile]:
    """What :func:`prepare` gives, of a recipe of either kind."""
    out = any_path_of(out)
    refuse_foreign(out)
    refuse_inputs_inside(preparation.inputs, out)
    store = Store(out)
    there = store.is_file(PLAN)
    plan = _opened(store, replan=replan) if there else None
    if plan is not None:
        _refuse_changed(plan, preparation, replan=replan)
        if to_build and not replan and store.disk is not None and not any((store.disk / COMMITS).glob("*")):
            refuse_no_room(plan.header["cost"]["bytes_written"], out)  # which was planned without
    if plan is None or replan:
        with _proved_writable(store):
            for account in preparation.accounts:
                account.check()
            new_plan = preparation.plan()
        give_back()
        refuse_too_large(new_plan.cost, default_workers() if workers is None else workers)
        if to_build:
            refuse_no_room(new_plan.cost.bytes_written, out)
        refuse_inputs_inside(preparation.inputs, out, new_plan.scenes())
        owned = preparation.owned(store, PlannedPlaces(new_plan.batches))
        owned.refuse_obstacles()
        old = owned if plan is None else _owned_before(store, preparation, plan) or owned
        if preparation.beside is not None:
            new_plan = _with_beside(preparation.beside, new_plan, store)
        _put_plan(store, old if there else None, new_plan, preparation)
        del new_plan, owned, old
        give_back()
        plan = read_plan(store)
        if not there:
            _refuse_changed(plan, preparation)
    refuse_inputs_inside(preparation.inputs, out, plan.scenes)
    _refuse_changed_inputs(plan)
    preparation.owned(store, plan.planned).refuse_obstacles()
    mark(store)  # again, since another driver that was refused may have removed the marker
    if not store.has(RECIPE) or store.get(RECIPE) != plan.recipe.encode():
        store.put(RECIPE, plan.recipe.encode())
    return store, plan


@contextmanager
def _proved_writable(store: Store) -> Iterator[None]:
    """Raise :class:`StoreError` where nothing can be written, before planning. In a store the marker is the proof.

    A place that was none is none again where planning fails.
    """
    if store.disk is not None:
        refuse_unwritable(store.disk)
    is_new = store.address is not None and mark(store)
    try:
        yield
    except NutonicError:
        if is_new:
            unmark(store)
        raise


def _with_beside(beside: Callable[[Plan, Store], Plan], plan: Plan, store: Store) -> Plan:
    """The plan, with what lies beside it in the tree; what was not there is gone again where that cannot be made."""
    folders = () if store.disk is None else (store.disk / META, store.disk, *store.disk.parents)
    new = [folder for folder in folders if not folder.exists()]
    is_new = mark(store)
    try:
        return beside(plan, store)
    except NutonicError:
        if is_new:
            unmark(store)
            with suppress(OSError):  # what somebody put there meanwhile stays, and its folder
                for folder in new:
                    folder.rmdir()
        raise


def _opened(store: Store, *, replan: bool) -> PlanFile | None:
    """The existing plan; None if it is corrupt and `replan` is set, so that a new one replaces it."""
    try:
        return read_plan(store)
    except Corrupt:
        if not replan:
            raise
        return None


def _owned_before(store: Store, preparation: Preparation, plan: PlanFile) -> Ownership | None:
    """The files that an older plan makes nutonic's; None if one of its batches is corrupt."""
    owned = preparation.owned(store, plan.planned)
    try:
        owned.planned.by_id  # noqa: B018  reads the batches, once
    except Corrupt:
        return None
    return owned


def _put_plan(store: Store, old: Ownership | None, plan: Plan, preparation: Preparation) -> None:
    """Write a plan; files built from another plan, those that `old` owns, are removed first."""
    items = geoparquet_bytes(plan.items()) if plan.items() else None
    remote = pins_json(preparation.remote(plan))
    lines = PlanLines(plan, preparation.text, items, remote)
    mark(store)
    is_there = old is not None and lines.are_in(store)
    if old is not None and not is_there:
        old.refuse_obstacles()
        _empty(store, old, keep=frozenset(each["path"] for each in (plan.more.get("osm"),) if each))
    if items is not None:
        store.put(items_path(items), items)
    if old is None:
        store.create(PLAN, lines)
    elif not is_there:
        store.put(PLAN, lines)


def empty(store: Store, owned: Ownership, plan: PlanFile) -> None:
    """Remove what was built from a plan that stays, since a remote file of its scenes is another one now."""
    owned.refuse_obstacles()
    _empty(store, owned, keep=(RECIPE, *plan.beside))


def _empty(store: Store, old: Ownership, keep: Collection[str] = ()) -> None:
    """Remove what was built from another plan, commits first, so that a kill in between leaves only unnamed files.

    The plan stays until the new one replaces it, so that the folder is a tree at every moment. The card stays too, since
    a person may have edited it, and what was made for the new plan.
    """
    if store.root is None or (store.disk is not None and not store.disk.exists()):
        return
    old = old.with_committed(named_by_commits(store))
    for path, _ in sorted(store.sizes(), key=lambda entry: not entry[0].startswith(f"{COMMITS}/")):
        if path not in (PLAN, MARKER, CARD, *keep):
            old.remove(path)


def refuse_inputs_inside(inputs: Iterable[str], out: AnyPath, scenes: Iterable[Scene] = ()) -> None:
    """Raise :class:`InputError` if an input file lies in the output folder, or its path leads through it.

    Folders are compared by identity, not by name, so that links, other letter case and ``..`` make no difference.
    """
    of_scenes = (asset.href for scene in scenes for asset in scene.assets)
    if isinstance(out, Address):
        within = next((path for path in chain(inputs, of_scenes) if path.startswith(f"{out}/")), None)
        if within is not None:
            raise InputError(f"{within} lies in {out}, where the output goes: build to another address")
        return
    if not out.exists():
        return
    inside: dict[str, bool] = {}
    for path in dict.fromkeys(chain(inputs, of_scenes)):
        if "://" not in path and any(_is_inside(spelt, out, inside) for spelt in map(Path, _spellings(path))):
            raise InputError(f"{path} lies in {out}, where the output goes: build into another folder")


def _spellings(path: str) -> set[str]:
    """A path as an absolute one, and with its links resolved."""
    return {os.path.normpath(Path(path).absolute()), str(real_path(path))}


def _is_inside(path: Path, out: Path, inside: dict[str, bool]) -> bool:
    """Whether a path is the folder or below it; `inside` caches the answers by path, since many files share folders."""
    unknown, answer = list[str](), False
    for above in (path, *path.parents):  # not by way of itself: a path may have thousands of folders
        if (known := inside.get(str(above))) is not None:
            answer = known
            break
        unknown.append(str(above))
        if os.path.exists(above) and above.samefile(out):  # noqa: PTH110  no name is too long for it
            answer = True
            break
    inside.update(dict.fromkeys(unknown, answer))
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


def _refuse_changed(plan: PlanFile, preparation: Preparation, *, replan: bool = False) -> None:
    """Raise :class:`RecipeChanged` if a plan is of another recipe or version; or of other places, unless it is replaced."""
    if plan.header["recipe_digest"] != preparation.digest:
        other = differences_in_words(plan.recipe, preparation.text)
        raise RecipeChanged(
            f"{plan.store.root} was built from another recipe: {other}; build into another folder, or restore the recipe"
        )
    if plan.header["nutonic_version"] != __version__:
        raise RecipeChanged(
            f"{plan.store.root} was begun with nutonic {plan.header['nutonic_version']}, this is {__version__}: "
            "finish it with that version, or build into another folder"
        )
    now = "" if preparation.places is None else file_sha256(preparation.places, preparation.identity)
    if plan.header["places_sha256"] != now and not replan:
        raise RecipeChanged(
            f"{preparation.places} is not the places file {plan.store.root} was built from ({now[:12]}, it was "
            f"{plan.header['places_sha256'][:12]}): put back what was there, build into another folder, or take "
            "what is there now with --replan, which builds anew"
        )
