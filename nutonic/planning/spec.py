"""A recipe, resolved once into one value; functions below get the parts they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nutonic.core.classes import ClassTable, lists_of_classes, misleading
from nutonic.core.units import counted
from nutonic.inert import inert
from nutonic.planning.layout import Layout, layout_of
from nutonic.recipe.card import Card
from nutonic.recipe.inputs import Imagery, Pois
from nutonic.recipe.outputs import Grid, Output, Quality, Rows, Splits, Stretch, Tiles
from nutonic.recipe.recipe import Recipe
from nutonic.recipe.texts import texts_of
from nutonic.sources.factory import Sources, sources_of
from nutonic.sources.source import Account
from nutonic.sources.stills.service import Stills, stills_of

if TYPE_CHECKING:
    from nutonic.rows.context import WordRules

# What puts chips into words is imported by who does: a plan has none.


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """What is to be built. It travels to workers, and holds no secret."""

    name: str
    digest: str
    """Of the recipe; see :meth:`nutonic.Recipe.digest`."""
    text: str
    """The recipe as YAML, every default spelled out."""
    inputs: tuple[str, ...]
    """Paths and addresses that it names to be read."""
    pois: Pois
    grid: Grid
    side: int
    """Pixels along a side of a place's square."""
    imagery: Imagery
    keep_query: tuple[str, ...] = ()
    """Keys of queries in hrefs that the recipe names as harmless."""
    table: ClassTable
    """What the labels' values mean."""
    tiles: Tiles
    quality: Quality
    stretch: Stretch
    rows: Rows
    splits: Splits
    output: Output
    card: Card
    """What a person says of the dataset."""
    sources: Sources
    """What places are read from; made once."""
    stills: Stills | None = None
    """Who is asked for a still of each place; None for nobody."""
    layout: Layout
    """Where everything lies in the tree."""

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The services that a build asks, each once."""
        return (*self.sources.accounts, *([] if self.stills is None else [self.stills]))


def doubts(spec: BuildSpec) -> tuple[str, ...]:
    """What a recipe leads to that may not be meant, in sentences for a plan."""
    rows, found = spec.rows, []
    kinds = (
        rows.captions,
        rows.grounding,
        rows.per_class,
        rows.per_class_grounding,
        rows.absence,
        rows.vqa,
        rows.choice,
    )
    if not any((*kinds, rows.referring, spec.stills)):
        found.append(
            "no row will be written, since the recipe's rows are all off: the dataset has chips and sidecars alone"
        )
    if rows.overlays and (names := _unwritten(spec.table)):
        first = ", ".join(f"{name} (class {number})" for number, name in list(names.items())[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        what = counted(len(names), "name", "names")
        found.append(f"overlays tell {what} by the class's id, for letters that their font has not: {first}{more}")
    if any((*kinds, rows.referring)) and (names := misleading(spec.table.labels)):
        first = ", ".join(f"{inert(name)!r:.40} (class {number})" for number, name in list(names.items())[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        what = counted(len(names), "name of a class makes", "names of classes make")
        found.append(
            f"{what} sentences that can be misunderstood: {first}{more}: call them otherwise in labels.dataset"
        )
    return tuple(found)


def _unwritten(table: ClassTable) -> Mapping[int, str]:
    """The classes whose names an overlay cannot write, by id."""
    from nutonic.chips.lettering import spelt

    return {number: name for number, name in table.labels.items() if spelt(name) is None}


def word_rules(spec: BuildSpec) -> WordRules:
    """What decides, beside its mask, what is said of a chip."""
    from nutonic.rows.context import WordRules
    from nutonic.rows.wording import wording_of

    return WordRules(
        rows=spec.rows,
        tiles=spec.tiles,
        resolution_m=spec.grid.resolution_m,
        wording=wording_of(texts_of(spec.rows.wording), spec.table),
        still=None if spec.stills is None else (spec.stills.zoom, spec.stills.size),
    )


def resolve(recipe: Recipe) -> BuildSpec:
    """Resolve a recipe; nothing is read.

    Raises
    ------
    MissingExtra
        If what a source needs is not installed.
    InputError
        If a source cannot be made with the recipe's settings.
    RecipeError
        If a template of the recipe's wording cannot be used, or classes could not be told apart by their names.
    PlanError
        If one place alone has more files than a folder may hold.
    """
    own, unclear = recipe.rows.wording != "builtin", lists_of_classes(recipe.labels.table.labels)
    if own or unclear:
        from nutonic.rows.names import refuse_unclear_names
        from nutonic.rows.wording import wording_of

        wording = wording_of(texts_of(recipe.rows.wording), recipe.labels.table)
        if unclear:
            refuse_unclear_names(wording.lexicon)
        if own:
            wording.refuse_unreadable()
    return BuildSpec(
        name=recipe.name,
        digest=recipe.digest(),
        text=recipe.text(),
        inputs=recipe.inputs,
        pois=recipe.pois,
        grid=recipe.grid,
        side=recipe.side,
        imagery=recipe.imagery,
        keep_query=(*recipe.imagery.keep_query, *recipe.labels.keep_query),
        table=recipe.labels.table,
        tiles=recipe.tiles,
        quality=recipe.quality,
        stretch=recipe.stretch,
        rows=recipe.rows,
        splits=recipe.splits,
        output=recipe.output,
        card=recipe.card,
        sources=sources_of(recipe),
        stills=stills_of(recipe.context.mapbox),
        layout=layout_of(recipe),
    )
