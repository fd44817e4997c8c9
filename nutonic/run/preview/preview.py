"""The door of previews: a few chips of a recipe, before a build; or of a tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nutonic.core.model import Json
from nutonic.core.showing import ShortRepr
from nutonic.dataset.report.cells import notebook_html
from nutonic.dataset.report.page import render
from nutonic.dataset.report.report import refuse_no_tree, refuse_other, report_of, write_over
from nutonic.dataset.report.values import Limits, Report
from nutonic.errors import InputError
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.yaml import AnyRecipe, recipe_of
from nutonic.run.preview.patches import preview_of_patches
from nutonic.run.preview.places import preview_of_places

#: Most chips of a preview: for more there is a build.
MOST = 60


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Preview(ShortRepr):
    """A few chips with their boxes and rows; shown in a notebook, and saved as a page."""

    report: Report
    """All that the page tells."""

    @property
    def chips(self) -> int:
        """How many chips there are; fewer than were asked for where fewer can be made."""
        return len(self.report.gallery.cards)

    def _facts(self) -> Json:
        return {"name": self.report.name, self.report.kind: self.chips, "state": self.report.state}

    def save(self, path: str | AnyPath) -> AnyPath:
        """Write it as one HTML page, which needs nothing else; over an earlier one, and over no other file.

        Raises
        ------
        NotNutonic
            If another file is there.
        InputError
            If no file can be there.
        """
        path = any_path_of(path)
        refuse_other(path)
        write_over(path, render(self.report))
        return path

    def _repr_html_(self) -> str:
        return notebook_html(self.report.gallery.cards, self.report.pictures, self.report.state)


def preview(source: AnyRecipe | str | AnyPath, n: int = 6) -> Preview:
    """A few chips before a build, made as the build makes them; nothing is written.

    Places are drawn at random, always the same of one recipe, and scenes are searched for these alone. What a build would
    pay for is left out: stills, and captions of models, in whose place templates write.

    Parameters
    ----------
    source
        A recipe, its file, or the folder or address of a tree, finished or not, whose own chips are shown then.
    n
        How many chips, from 1 to 60.

    Returns
    -------
    Preview
        Fewer chips where fewer can be made of four times as many places; its page says why.

    Raises
    ------
    InputError
        If `n` is no such number, or the recipe's inputs cannot be used.
    NotNutonic
        If a folder is no tree.
    NoScene, PlanError, Refused
        As :func:`nutonic.plan`.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST:
        raise InputError(f"n is {n!r}: a preview has from 1 to {MOST} chips")
    path = any_path_of(source) if isinstance(source, str | Path | Address) else None
    if isinstance(path, Address) or (path is not None and path.is_dir()):
        refuse_no_tree(path)
        told = report_of(path, Limits(cards=n, rows=0, sidecars=0, places=0))
        return Preview(report=replace(told, sections=(), sample=None))
    assert not isinstance(source, Address), "it is a tree's"
    recipe = recipe_of(source)
    if isinstance(recipe, PatchRecipe):
        return Preview(report=preview_of_patches(recipe, n))
    return Preview(report=preview_of_places(recipe, n))
