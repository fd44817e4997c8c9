"""An output folder before anything is built in it: is it ours, is it this recipe's, does it have a plan."""

from __future__ import annotations

from pathlib import Path

from nutonic.cost import default_workers, refuse_too_large
from nutonic.errors import NotNutonic, RecipeChanged
from nutonic.plan import make_plan
from nutonic.recipe import Recipe
from nutonic.sources.pois import file_sha256
from nutonic.store.files import Store
from nutonic.store.layout import COMMITS, META, PLAN, RECIPE
from nutonic.store.plans import PlanFile, plan_bytes, read_plan


def prepare(
    recipe: Recipe, out: str | Path, *, workers: int | None = None, replan: bool = False
) -> tuple[Store, PlanFile]:
    """The tree's store with a plan in it: the one that is there, or a new one."""
    refuse_foreign(Path(out))
    store = Store(out)
    before = store.get(PLAN) if (Path(out) / PLAN).is_file() else None
    if before is not None:
        plan = read_plan(store)
        _refuse_changed(plan, recipe)
        if not replan:
            return store, plan
    made = make_plan(recipe)
    refuse_too_large(made.cost, Path(out), default_workers() if workers is None else workers)
    after = plan_bytes(made, recipe.text())
    if before != after:
        _empty(store)
        store.put(RECIPE, recipe.text().encode())
        store.put(PLAN, after)
    return store, read_plan(store)


def _empty(store: Store) -> None:
    """Remove what was built from another plan, commits first: a kill in between leaves files that nothing names."""
    if store.root is not None and store.root.exists():
        for path, _ in sorted(store.sizes(), key=lambda entry: not entry[0].startswith(f"{COMMITS}/")):
            store.delete(path)


def refuse_foreign(out: Path) -> None:
    """Raise :class:`NotNutonic` if the path is a file, or a folder with anything in it that is not a nutonic tree."""
    if out.exists() and not out.is_dir():
        raise NotNutonic(f"{out} is a file: --out must name a folder")
    if out.is_dir() and not (out / META).is_dir() and any(out.iterdir()):
        raise NotNutonic(f"{out} holds files that are not nutonic's: name a new or an empty folder")


def _refuse_changed(plan: PlanFile, recipe: Recipe) -> None:
    if plan.header["recipe_digest"] != recipe.digest():
        raise RecipeChanged(
            f"{plan.store.root} was built from another recipe ({plan.header['recipe_digest'][:12]}, this one is "
            f"{recipe.digest()[:12]}): build into another folder, or restore the recipe"
        )
    now = file_sha256(recipe.pois.path)
    if plan.header["places_sha256"] != now:
        raise RecipeChanged(
            f"{recipe.pois.path} is not the places file {plan.store.root} was built from ({now[:12]}, it was "
            f"{plan.header['places_sha256'][:12]}): build into another folder, or restore the file"
        )
