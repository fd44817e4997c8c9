"""Plans of recipes of either kind, of places or of patches."""

from __future__ import annotations

from pathlib import Path

from nutonic.io.buckets.address import AnyPath
from nutonic.io.objects import Store
from nutonic.planning.plan import Plan, plan_of
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.prepare import prepare
from nutonic.planning.spec import resolve
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.yaml import AnyRecipe, recipe_of

# What plans patches is imported where there are some.


def plan(recipe: AnyRecipe | str | Path) -> Plan:
    """Plan a recipe, or that of a file.

    Raises
    ------
    InputError
        If the places file, the catalogue, the labels or the map cannot be used.
    NoScene
        If no place has a scene, or there is no image where patches are to be taken.
    Refused
        If stills are wanted, and the environment has no token.
    PlanError
        If no place or patch is left, or one place has too many files for a folder.
    PlanTooLarge
        If a batch does not fit into memory; see :func:`.cost.refuse_too_large`.
    """
    recipe = recipe_of(recipe)
    if isinstance(recipe, PatchRecipe):
        from nutonic.planning.patches.plan import patches_planned
        from nutonic.planning.patches.spec import resolve_patches

        return patches_planned(resolve_patches(recipe))
    return plan_of(resolve(recipe))


def planned_into(recipe: AnyRecipe, out: AnyPath) -> tuple[Store, PlanFile]:
    """A folder's store, and the recipe's plan in it, the one that is there or a new one; raises as :func:`plan`."""
    if isinstance(recipe, PatchRecipe):
        from nutonic.planning.patches.prepare import prepare_patches
        from nutonic.planning.patches.spec import resolve_patches

        return prepare_patches(resolve_patches(recipe), out, to_build=False)
    return prepare(resolve(recipe), out, to_build=False)
