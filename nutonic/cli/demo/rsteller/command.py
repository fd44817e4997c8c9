"""The demo of patches: plan, build and verify shards of captioned pictures, offline, and draw a contact sheet of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nutonic.cli import console
from nutonic.cli.demo.command import picture_bytes, refuse_foreign_demo
from nutonic.cli.demo.rsteller.data import prepare
from nutonic.cli.demo.rsteller.sheet import contact_sheet, read_shards, varied
from nutonic.cli.paths import in_shell
from nutonic.cli.progress import progress
from nutonic.cli.screen import say
from nutonic.io.objects import Store
from nutonic.planning.recipe_kinds import planned_into
from nutonic.recipe.yaml import load_recipe
from nutonic.run.run import build
from nutonic.run.verify import verify

#: The least number of patches that a sound demo yields, and how many are shown.
LEAST_PATCHES, SHOWN = 20, 24


def run_rsteller_demo(out: Path, workers: int | None = None) -> bool:
    """Build the demo's shards in ``out/dataset-rsteller``, from inputs that it makes in ``out/cache-rsteller``.

    Parameters
    ----------
    out
        Folder of the demo.
    workers
        Worker processes; 0 builds without dask, None takes one per core.

    Returns
    -------
    bool
        Whether the dataset is whole and has as many patches as it should.

    Raises
    ------
    NotNutonic
        If `out` holds something under one of these names that is not the demo's. Nothing is written then.
    """
    tree, sheet = out / "dataset-rsteller", out / "contact_sheet-rsteller.png"
    refuse_foreign_demo(out, tree, sheet)
    recipe_path = prepare(out / "cache-rsteller")
    recipe = load_recipe(recipe_path)
    _, plan = planned_into(recipe, tree)
    console.show_plan(plan.header, plan.rejects)
    with progress() as shown:
        summary = build(recipe, tree, workers=workers, callbacks=[shown])
    console.show_summary(summary, tree)
    verdict = verify(tree, deep=True)
    console.show_verdict(verdict, tree)
    every = list(read_shards(tree))
    Store(out).put(sheet.name, picture_bytes(contact_sheet(varied(every, SHOWN))))
    for name, path in (
        ("look at", sheet),
        ("shards", tree / "data"),
        ("numbers", tree / "statistics.json"),
        ("figures", tree / "figures"),
        ("card", tree / "README.md"),
        ("recipe", recipe_path),
    ):
        say([f"{name:>8}  {path}"])
    program = in_shell(os.path.relpath(Path(sys.executable).with_name("nutonic")))
    say([f"  report  {program} report {in_shell(tree)}"])
    say([f"   again  {program} build {in_shell(recipe_path)} --out {in_shell(out / 'again-rsteller')}"])
    return verdict.whole and summary.complete and len(every) >= LEAST_PATCHES
