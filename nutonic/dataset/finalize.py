"""From commits to the finished tree: rows sorted into ``data/``, the card, and the removal of unnamed files."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from nutonic.core.model import SPLITS, Json
from nutonic.dataset import card
from nutonic.dataset.commits import Committed
from nutonic.dataset.index import Spans, Totals
from nutonic.dataset.parts.each import Each, here
from nutonic.dataset.parts.rows import different, write
from nutonic.dataset.parts.sums import AddedUp, added_up
from nutonic.io.objects import Store, is_temporary, sha256
from nutonic.planning.layout import CARD, MARKER, PLAN, RECIPE, REPORT, SUMMARY
from nutonic.planning.ownership import owned_by
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.outputs import Output

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """The card and the files of ``data/`` that were written, as the summary stores them."""

    card_sha256: str
    """SHA-256 (hex) of the card as nutonic writes it, before any edit by a person."""
    data: dict[str, int]
    """Size in bytes of every file of ``data/``, by path."""
    chips: int
    """Number of chips that commits name."""
    places_with_chips: int
    """Number of places that have one."""
    card: Json
    """What the recipe said for the card, where it is not the default; the plan's recipe may say something else by now."""
    made_of: dict[str, str] = field(default_factory=dict)
    """What each file of ``data/`` was made of, by path: see :meth:`~nutonic.dataset.index.Spans.made_of`."""


def finalize(
    store: Store,
    spec: BuildSpec,
    plan: PlanFile,
    done: Committed,
    *,
    complete: bool,
    made_before: Mapping[str, str] = MappingProxyType({}),
    each: Each = here,
) -> Finalized:
    """Write ``data/`` and the card from the commits; each commit is read once, part by part by whoever does `each`.

    Files of ``data/`` that are there and were made of the same, by what `made_before` tells of the last time, or hold the
    same bytes, stay as they are. Then temporaries are removed; in a complete tree, so are all of nutonic's files that no
    commit names. A card that a person changed stays as it is.
    """
    owned = owned_by(store, spec.layout, spec.output, plan)
    summed, text, places = _summed(store, spec, plan, done, each)
    expected = data_files(summed.spans, spec.output)
    made_of = {path: rows.made_of(summed.digests) for path, rows in expected.items()}
    there = dict(store.sizes("data"))
    as_large = {path: rows for path, rows in expected.items() if there.get(path) == rows.size}
    kept = {path for path in as_large if made_before.get(path) == made_of[path]}
    maybe = {path: rows for path, rows in as_large.items() if path not in kept and store.is_file(path)}
    kept |= maybe.keys() - different(store, maybe, each)
    write(store, {path: rows for path, rows in expected.items() if path not in kept}, each)
    for path in there:
        if path not in expected:
            owned.remove(path)
    card.put(store, text)
    for path in unnamed(summed.named.others(path for path, _ in store.sizes()), plan, set(expected), ()):
        # In an incomplete tree, files may be another driver's that has not committed them yet.
        if is_temporary(path) or (complete and not owned.is_kept(path)):
            owned.remove(path)
    data = {path: rows.size for path, rows in expected.items()}
    said = said_for_card(spec)
    chips = summed.totals.tiles
    return Finalized(
        card_sha256=sha256(text), data=data, chips=chips, places_with_chips=places, card=said, made_of=made_of
    )


def _summed(store: Store, spec: BuildSpec, plan: PlanFile, done: Committed, each: Each) -> tuple[AddedUp, bytes, int]:
    """What the commits say, the card, and the number of places with a chip.

    What the card alone is made of is gone by then: at a million places it is much.
    """
    from nutonic.dataset.parts.guesses import guesses  # words of rows, which a build that has nothing to do needs not

    names = filter(done.takes_effect, done.all_names())
    summed = added_up(store, names, spec.tiles.output_size**2, each)
    guessed = guesses(store, summed.spans, spec.rows, spec.table)
    text, totals = card.text(spec, plan, summed.totals, guessed).encode(), summed.totals
    return replace(summed, totals=Totals(0, tiles=totals.tiles)), text, totals.places.total()


def said_for_card(spec: BuildSpec) -> Json:
    """What a recipe says for the card, without defaults."""
    return spec.card.model_dump(mode="json", exclude_defaults=True)


def is_finalized(store: Store, spec: BuildSpec, plan: PlanFile, last: Finalized) -> bool:
    """Whether the files of :func:`finalize` are there with their sizes, and no temporaries of a killed writer."""
    owned, data = owned_by(store, spec.layout, spec.output, plan), dict[str, int]()
    for path, size in store.sizes():
        if is_temporary(path) and owned.has(path):
            return False
        if path.startswith("data/") and (path in last.data or owned.has(path)):
            data[path] = size
    if data != last.data or not store.has(CARD) or said_for_card(spec) != last.card:
        return False
    return card.is_theirs(store) or card.digest_of(store) == last.card_sha256


def data_files(done: Spans, output: Output) -> dict[str, Spans]:
    """The spans of places whose rows each file of ``data/`` holds, in order; a place is never divided between files.

    A split without rows has no file: an empty one would be an error to those who load it.
    """
    files: dict[str, Spans] = {}
    for number, split in enumerate(SPLITS):
        groups = done.of_split(number).grouped(output.rows_per_file)  # none of a split without rows
        for i, group in enumerate(groups):
            many = "" if output.rows_per_file is None else f"-{i:05d}-of-{len(groups):05d}"
            files[f"data/{split}{many}.jsonl"] = group
    return files


def unnamed(paths: Iterable[str], plan: PlanFile, data: set[str], named: Container[str]) -> list[str]:
    """Files that no commit names, such as those of killed runs; the tree's fixed files are left out."""
    fixed = data | {CARD, MARKER, PLAN, RECIPE, SUMMARY, REPORT, *plan.beside}
    return [path for path in paths if path not in fixed and path not in named]
