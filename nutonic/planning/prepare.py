"""An output folder before anything is built in it: is it ours, is it this recipe's, does it have a plan."""

from __future__ import annotations

from pathlib import Path

from nutonic._version import __version__
from nutonic.errors import Corrupt, NotNutonic, RecipeChanged
from nutonic.io.objects import Store
from nutonic.planning import plan as planning
from nutonic.planning.cost import default_workers, refuse_too_large
from nutonic.planning.layout import COMMITS, OWN, PLAN, RECIPE, is_own
from nutonic.planning.places.read import file_sha256
from nutonic.planning.plan_file import PlanFile, items_path, plan_bytes, read_plan
from nutonic.recipe.recipe import Recipe
from nutonic.sources.stac.geoparquet import geoparquet_bytes


def prepare(
    recipe: Recipe, out: str | Path, *, workers: int | None = None, replan: bool = False
) -> tuple[Store, PlanFile]:
    """The tree's store with a plan in it: the one that is there, or a new one.

    Of two drivers that plan at once one creates the plan, and the other goes on with it.
    """
    refuse_foreign(Path(out))
    store = Store(out)
    there = (Path(out) / PLAN).is_file()
    if there and not (replan and _is_corrupt(store)):
        _refuse_changed(read_plan(store), recipe)
    if not there or replan:
        made = planning.plan(recipe)
        refuse_too_large(made.cost, Path(out), default_workers() if workers is None else workers)
        items = geoparquet_bytes(made.items()) if made.items() else None
        _put_plan(store, store.get(PLAN) if there else None, plan_bytes(made, recipe.text(), items), items)
    plan = read_plan(store)
    if not there:
        _refuse_changed(plan, recipe)
    if not store.has(RECIPE) or store.get(RECIPE) != plan.recipe.encode():
        store.put(RECIPE, plan.recipe.encode())
    return store, plan


def _is_corrupt(store: Store) -> bool:
    try:
        read_plan(store)
    except Corrupt:
        return True
    return False


def _put_plan(store: Store, before: bytes | None, after: bytes, items: bytes | None) -> None:
    if before is not None and before != after:
        _empty(store)
    if items is not None:
        store.put(items_path(items), items)
    if before is None:
        store.create(PLAN, after)
    elif before != after:
        store.put(PLAN, after)


def _empty(store: Store) -> None:
    """Remove what was built from another plan, commits first: a kill in between leaves files that nothing names.

    The plan itself stays until the new one takes its place, so that the folder is a tree at every moment.
    """
    if store.root is not None and store.root.exists():
        for path, _ in sorted(store.sizes(), key=lambda entry: not entry[0].startswith(f"{COMMITS}/")):
            if is_own(path) and path != PLAN:
                store.delete(path)


def refuse_foreign(out: Path) -> None:
    """Raise :class:`NotNutonic` if the path is a file, or a folder with anything in it that is not a nutonic tree."""
    try:
        blocked = next((path for path in (out, *out.parents) if path.exists() and not path.is_dir()), None)
        names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    except OSError as error:
        raise NotNutonic(f"{str(out)[:200]} cannot be used: {(error.strerror or 'unreadable').lower()}") from None
    if blocked is not None:
        raise NotNutonic(f"{blocked} is a file: --out must name a folder")
    # Killed before it had a plan, a build leaves its own folders and nothing else.
    if not (out / PLAN).is_file() and names - set(OWN):
        raise NotNutonic(f"{out} holds files that are not nutonic's: name a new or an empty folder")


def _refuse_changed(plan: PlanFile, recipe: Recipe) -> None:
    if plan.header["recipe_digest"] != recipe.digest():
        raise RecipeChanged(
            f"{plan.store.root} was built from another recipe ({plan.header['recipe_digest'][:12]}, this one is "
            f"{recipe.digest()[:12]}): build into another folder, or restore the recipe"
        )
    if plan.header["nutonic_version"] != __version__:
        raise RecipeChanged(
            f"{plan.store.root} was begun with nutonic {plan.header['nutonic_version']}, this is {__version__}: "
            "finish it with that version, or build into another folder"
        )
    now = file_sha256(recipe.pois.path)
    if plan.header["places_sha256"] != now:
        raise RecipeChanged(
            f"{recipe.pois.path} is not the places file {plan.store.root} was built from ({now[:12]}, it was "
            f"{plan.header['places_sha256'][:12]}): build into another folder, or restore the file"
        )
