"""The tree that a pack is made of: only read, and only what its commits name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nutonic.core.classes import ClassTable
from nutonic.core.model import SPLITS, Json, Split
from nutonic.dataset.commits import committed, entries_of, read_commits
from nutonic.dataset.index import Spans, Totals
from nutonic.errors import Corrupt, InputError, NotNutonic
from nutonic.io.objects import Store, unsealed
from nutonic.planning.layout import CARD, MARKER, SUMMARY
from nutonic.planning.ownership import is_marked, refuse_obstacles
from nutonic.planning.plan_file import PlanFile, read_plan
from nutonic.recipe.yaml import of_places, parse_recipe_text


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFacts:
    """What is known of a tree beside its rows; it travels to workers."""

    name: str
    table: ClassTable
    """What the labels' values mean."""
    choices: bool
    """Whether rows have ``options`` and ``answer_id``."""
    side: int
    """Of a chip, in pixels."""
    licence: str | None
    card: str
    """The tree's own card, a person's words included."""
    origin: Json
    """Digests of recipe, plan and commits, and who built it."""
    open: int
    """Places that are not built: no row of them is packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackTree:
    """A tree whose build has ended, with where its rows lie."""

    store: Store
    facts: TreeFacts
    spans: Spans
    totals: Totals
    """What the commits say together."""

    def of_split(self, split: Split) -> Spans:
        """Where the rows of a split lie, in the order of the dataset."""
        return self.spans.of_split(SPLITS.index(split))

    @property
    def splits(self) -> tuple[Split, ...]:
        """Those that have rows."""
        return tuple(split for split in SPLITS if self.totals.rows[split])


def tree_to_pack(folder: Path) -> PackTree:
    """Open a tree to be packed; each commit is read once, nothing is written.

    Raises
    ------
    NotNutonic
        If the folder is no tree.
    InputError
        If its build has not ended, it has no rows, or it is a tree of patches, which is in shards already.
    Corrupt
        If a file of it is not what was written.
    """
    if not is_marked(folder):
        raise NotNutonic(f"{folder} is not a nutonic tree: it has no {MARKER} of nutonic's")
    refuse_obstacles(folder)
    store = Store(folder)
    plan = read_plan(store)
    if plan.header.get("of") == "patches":
        raise InputError(
            f"{folder} is a tree of patches, which is in WebDataset shards already, with rows in data/ where its recipe has "
            "shards.chat: there is nothing to pack"
        )
    done, summary = committed(store), _summary(store)
    if summary is None or summary.get("commits") != done.digest():
        raise InputError(f"the build of {folder} has not ended: run nutonic build again, then pack it")
    recipe = of_places(parse_recipe_text(plan.recipe))
    totals = Totals(recipe.tiles.output_size**2)
    entries = (entry for name, content in read_commits(store, done) for entry in entries_of(name, content))
    spans = Spans.of(totals.counting(entries))
    if not totals.rows.total():
        raise InputError(f"{folder} has no rows: there is nothing to pack")
    facts = TreeFacts(
        name=recipe.name,
        table=recipe.labels.table,
        choices=recipe.rows.choice,
        side=recipe.tiles.output_size,
        licence=recipe.card.licence,
        card=_card(store),
        origin={**_origin(plan), "commits": done.digest()},
        open=int(summary.get("still_open") or 0),
    )
    return PackTree(store=store, facts=facts, spans=spans, totals=totals)


def _origin(plan: PlanFile) -> Json:
    return {
        "recipe_digest": plan.header["recipe_digest"],
        "plan": plan.digest,
        "built_with": plan.header["nutonic_version"],
    }


def _summary(store: Store) -> Json | None:
    try:
        return unsealed(store.get(SUMMARY), SUMMARY)
    except (FileNotFoundError, Corrupt):
        return None


def _card(store: Store) -> str:
    try:
        return store.get(CARD).decode("utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        raise Corrupt(f"{CARD} is missing or no text: build again, which writes it anew") from None


def all_rows(totals: Totals) -> Iterator[tuple[Split, int]]:
    """Number of rows of each split that has any."""
    yield from ((split, totals.rows[split]) for split in SPLITS if totals.rows[split])
