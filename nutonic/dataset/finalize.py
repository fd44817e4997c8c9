"""From commits to the finished tree: rows sorted into ``data/``, the card, and nothing left lying about."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nutonic.core.model import SPLITS
from nutonic.dataset import card
from nutonic.dataset.commits import Committed, entries_of, read_commits, unpacked
from nutonic.dataset.index import NamedFiles, Spans, Totals
from nutonic.io.objects import Store, is_temporary, sha256
from nutonic.planning.layout import CARD, MARKER, PLAN, RECIPE, SUMMARY
from nutonic.planning.ownership import owned_by
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.outputs import Output

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec

#: Rows are read in pieces of about this many bytes, packed.
_PIECE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """What was written, as the summary keeps it."""

    card_sha256: str
    """Of the card as nutonic writes it, whatever a person made of it."""
    data: dict[str, int]
    """Path and size of every file of ``data/``."""


def finalize(store: Store, spec: BuildSpec, plan: PlanFile, done: Committed, *, complete: bool) -> Finalized:
    """Write ``data/`` and the card from what is committed, reading each commit once.

    Then temporaries are removed, and of a complete tree all of nutonic's that no commit names. A card that a person changed
    stays as it is.
    """
    totals, named, owned = Totals(), NamedFiles(), owned_by(store, spec.layout, spec.output, plan)
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
        # Of an incomplete tree payload may belong to another driver that has yet to commit it.
        if complete or is_temporary(path):
            owned.remove(path)
    return Finalized(card_sha256=sha256(text), data={path: rows.size for path, rows in expected.items()})


def is_finalized(store: Store, spec: BuildSpec, plan: PlanFile, last: Finalized) -> bool:
    """Whether the files that :func:`finalize` made are there, in their size, and nothing that a killed writer left."""
    owned, data = owned_by(store, spec.layout, spec.output, plan), dict[str, int]()
    for path, size in store.sizes():
        if is_temporary(path) and owned.has(path):
            return False
        if path.startswith("data/") and (path in last.data or owned.has(path)):
            data[path] = size
    if data != last.data or not store.has(CARD):
        return False
    return card.is_theirs(store) or card.digest_of(store) == last.card_sha256


def _put_rows(store: Store, path: str, spans: Spans, attempts: int = 5) -> None:
    """Write a file of ``data/``; again, if another driver that finishes at the same moment sweeps its temporary away."""
    try:
        store.put(path, rows_of(store, spans))
    except FileNotFoundError:
        if attempts == 1:
            raise
        _put_rows(store, path, spans, attempts - 1)


def data_files(done: Spans, output: Output) -> dict[str, Spans]:
    """Which places' rows each file of ``data/`` holds, in order; places are never cut in two."""
    files: dict[str, Spans] = {}
    for number, split in enumerate(SPLITS):
        groups = done.of_split(number).grouped(output.rows_per_file)
        for i, group in enumerate(groups):
            many = "" if output.rows_per_file is None else f"-{i:05d}-of-{len(groups):05d}"
            files[f"data/{split}{many}.jsonl"] = group
    return files


def rows_of(store: Store, spans: Iterable[tuple[str, int, int]]) -> Iterator[bytes]:
    """The rows of places, one place at a time; neighbours in a part are read together.

    Raises
    ------
    Corrupt
        If a part is not what was written.
    """
    for part, start, lengths in _joined(spans):
        piece, at = store.get_range(part, start, sum(lengths)), 0
        for length in lengths:
            yield unpacked(piece[at : at + length], part)
            at += length


def _joined(spans: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, int, list[int]]]:
    """Part, start and lengths of members that follow each other."""
    held, start, stop, lengths = "", 0, 0, list[int]()
    for part, first, length in spans:
        if part != held or first != stop or stop + length - start > _PIECE:
            if lengths:
                yield held, start, lengths
            held, start, lengths = part, first, []
        stop = first + length
        lengths.append(length)
    if lengths:
        yield held, start, lengths


def unnamed(paths: Iterable[str], plan: PlanFile, data: set[str], named: Container[str]) -> list[str]:
    """Files that no commit names: payload of killed runs, temporaries. The tree's own fixed files are not among them."""
    fixed = data | {CARD, MARKER, PLAN, RECIPE, SUMMARY, "report.html", *plan.beside}
    return [path for path in paths if path not in fixed and path not in named]
