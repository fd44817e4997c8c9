"""The tree that a pack is made of: only read, and only what its commits name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from nutonic.core.classes import ClassTable
from nutonic.core.model import SPLITS, Json, Split
from nutonic.dataset.commits import Committed, committed, entries_of, read_commits
from nutonic.dataset.index import Spans
from nutonic.dataset.shards.captions import read_captions
from nutonic.dataset.shards.finish import committed_patches, state_of
from nutonic.errors import Corrupt, InputError, NotNutonic
from nutonic.io.buckets.address import AnyPath
from nutonic.io.objects import Store, unsealed
from nutonic.planning.layout import CARD, MARKER, SUMMARY
from nutonic.planning.ownership import is_marked, refuse_obstacles
from nutonic.planning.plan_file import PlanFile, read_plan
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.yaml import parse_recipe_text


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFacts:
    """What is known of a tree beside its rows; it travels to workers."""

    name: str
    table: ClassTable | None
    """What the labels' values mean; None of patches, which have no labels."""
    choices: bool
    """Whether rows have ``options`` and ``answer_id``."""
    licence: str | None
    card: str
    """The tree's own card, a person's words included."""
    origin: Json
    """Digests of recipe, plan and commits, and who built it."""
    open: int
    """Places that are not built: no row of them is packed."""

    @property
    def patches(self) -> bool:
        """Whether it is a tree of patches."""
        return self.table is None

    @property
    def picture(self) -> str:
        """How pictures of chips end."""
        return "jpg" if self.patches else "png"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackTree:
    """A tree whose build has ended, with where its rows lie."""

    store: Store
    facts: TreeFacts
    spans: Spans
    rows: Mapping[Split, int]
    """Number of rows of each split that has any."""

    def of_split(self, split: Split) -> Spans:
        """Where the rows of a split lie, in the order of the dataset."""
        return self.spans.of_split(SPLITS.index(split))

    @property
    def splits(self) -> tuple[Split, ...]:
        """Those that have rows."""
        return tuple(self.rows)


def tree_to_pack(folder: AnyPath) -> PackTree:
    """Open a tree to be packed; each commit is read once, nothing is written.

    Raises
    ------
    NotNutonic
        If the folder is no tree.
    InputError
        If its build has not ended, or it has no rows.
    Corrupt
        If a file of it is not what was written.
    """
    if not is_marked(folder):
        raise NotNutonic(f"{folder} is not a nutonic tree: it has no {MARKER} of nutonic's")
    refuse_obstacles(folder)
    store = Store(folder)
    plan = read_plan(store)
    done = committed(store)
    recipe = parse_recipe_text(plan.recipe)
    of_patches = isinstance(recipe, PatchRecipe)
    summary = ended_summary(store, state_of(store, done) if of_patches else done.digest(), "pack it")
    spans = _captioned_spans(store, done) if of_patches else _spans(store, done)
    rows = {
        split: count
        for number, split in enumerate(SPLITS)
        if (count := int(spans.column("rows")[spans.column("split") == number].sum()))
    }
    if not rows:
        raise InputError(f"{folder} has no rows: there is nothing to pack")
    facts = TreeFacts(
        name=recipe.name,
        table=None if isinstance(recipe, PatchRecipe) else recipe.labels.table,
        choices=not isinstance(recipe, PatchRecipe) and recipe.rows.choice,
        licence=recipe.card.licence,
        card=_card(store),
        origin={**_origin(plan), "commits": done.digest()},
        open=int(summary.get("still_open") or 0),
    )
    return PackTree(store=store, facts=facts, spans=spans, rows=rows)


def _spans(store: Store, done: Committed) -> Spans:
    return Spans.of(entry for name, content in read_commits(store, done) for entry in entries_of(name, content))


def _captioned_spans(store: Store, done: Committed) -> Spans:
    """Where the patches with captions lie, each with as many rows as it has captions."""
    spans = committed_patches(store, done).spans
    counts: dict[int, int] = {}
    for name in filter(done.takes_effect, done.all_names()):
        with suppress(FileNotFoundError):  # captions that still wait
            for patch in read_captions(store, name).patches:
                counts[int(patch.patch_id.removeprefix("patch_"))] = len(patch.annotations)
    table = spans.table.copy()
    table["rows"] = [counts.get(ordinal, 0) for ordinal in table["ordinal"].tolist()]
    return Spans(table[table["rows"] > 0], spans.parts)


def _origin(plan: PlanFile) -> Json:
    return {
        "recipe_digest": plan.header["recipe_digest"],
        "plan": plan.digest,
        "built_with": plan.header["nutonic_version"],
    }


def ended_summary(store: Store, digest: str, then: str) -> Json:
    """What the last build says of itself, which ended with the commits of this digest.

    Raises
    ------
    InputError
        If it has not ended, or what it said is damaged; `then` is what can be done after the next one.
    """
    problem = "the build has not ended"
    try:
        summary = unsealed(store.get(SUMMARY), SUMMARY)
        if summary.get("commits") == digest:
            return summary
    except FileNotFoundError:
        pass
    except Corrupt:
        problem = f"{SUMMARY} is damaged"
    raise InputError(f"{store.root}: {problem}: run nutonic build again, then {then}")


def _card(store: Store) -> str:
    try:
        return store.get(CARD).decode("utf-8")
    except FileNotFoundError:
        raise Corrupt(f"{CARD} is missing: build again, which writes it anew") from None
    except UnicodeDecodeError:
        raise Corrupt(f"{CARD} is no text in UTF-8: move it away and build again, which writes it anew") from None
