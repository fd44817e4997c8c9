"""From commits to the finished tree: rows sorted into ``data/``, the card, and the removal of unnamed files."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nutonic.core.model import SPLITS, Json
from nutonic.dataset import card
from nutonic.dataset.commits import Committed, entries_of, read_commits, unpacked
from nutonic.dataset.index import NamedFiles, Spans, Totals
from nutonic.io.objects import Store, is_temporary, sha256
from nutonic.planning.layout import CARD, MARKER, PLAN, RECIPE, REPORT, SUMMARY
from nutonic.planning.ownership import owned_by
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.outputs import Output

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec

#: Rows are read in pieces of about this many bytes, packed.
_PIECE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """The card and the files of ``data/`` that were written, as the summary stores them."""

    card_sha256: str
    """SHA-256 (hex) of the card as nutonic writes it, before any edit by a person."""
    data: dict[str, int]
    """Size in bytes of every file of ``data/``, by path."""
    chips: int
    """Number of chips that commits name."""
    card: Json
    """What the recipe said for the card, where it is not the default; the plan's recipe may say something else by now."""


def finalize(store: Store, spec: BuildSpec, plan: PlanFile, done: Committed, *, complete: bool) -> Finalized:
    """Write ``data/`` and the card from the commits; each commit is read once.

    Then temporaries are removed; in a complete tree, so are all of nutonic's files that no commit names. A card that a
    person changed stays as it is.
    """
    totals, named = Totals(spec.tiles.output_size**2), NamedFiles()
    owned = owned_by(store, spec.layout, spec.output, plan)
    commits = named.noting(read_commits(store, done))
    spans = Spans.of(totals.counting(entry for name, content in commits for entry in entries_of(name, content)))
    expected = data_files(spans, spec.output)
    for path, rows in expected.items():
        _put_rows(store, path, rows)
    for path, _ in list(store.sizes("data")):
        if path not in expected:
            owned.remove(path)
    text = card.text(spec, plan, totals).encode()
    card.put(store, text)
    for path in unnamed((path for path, _ in store.sizes()), plan, set(expected), named):
        # In an incomplete tree, files may be another driver's that has not committed them yet.
        if is_temporary(path) or (complete and not owned.is_kept(path)):
            owned.remove(path)
    data = {path: rows.size for path, rows in expected.items()}
    return Finalized(card_sha256=sha256(text), data=data, chips=totals.tiles, card=said_for_card(spec))


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


def _put_rows(store: Store, path: str, spans: Spans, attempts: int = 5) -> None:
    """Write a file of ``data/``; retried if another driver, finishing at the same time, removes its temporary."""
    try:
        store.put(path, rows_of(store, spans))
    except FileNotFoundError:
        if attempts == 1:
            raise
        _put_rows(store, path, spans, attempts - 1)


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


def rows_of(store: Store, spans: Iterable[tuple[str, int, int, int]]) -> Iterator[bytes]:
    """The rows of places, one place at a time; neighbours in a part are read together.

    Raises
    ------
    Corrupt
        If a part is not what was written.
    """
    for part, start, members in _joined(spans):
        piece, at = store.get_range(part, start, sum(length for length, _ in members)), 0
        for length, size in members:
            yield unpacked(piece[at : at + length], part, size)
            at += length


def _joined(spans: Iterable[tuple[str, int, int, int]]) -> Iterator[tuple[str, int, list[tuple[int, int]]]]:
    """Part and start of runs of adjacent spans of at most about `_PIECE` bytes; of each its length, and its rows' size."""
    current, start, stop, members = "", 0, 0, list[tuple[int, int]]()
    for part, first, length, size in spans:
        if part != current or first != stop or stop + length - start > _PIECE:
            if members:
                yield current, start, members
            current, start, members = part, first, []
        stop = first + length
        members.append((length, size))
    if members:
        yield current, start, members


def unnamed(paths: Iterable[str], plan: PlanFile, data: set[str], named: Container[str]) -> list[str]:
    """Files that no commit names, such as those of killed runs; the tree's fixed files are left out."""
    fixed = data | {CARD, MARKER, PLAN, RECIPE, SUMMARY, REPORT, *plan.beside}
    return [path for path in paths if path not in fixed and path not in named]
