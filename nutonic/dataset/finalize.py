"""From commits to the finished tree: rows sorted into ``data/``, the card, and nothing left lying about."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from nutonic.core.model import SPLITS
from nutonic.dataset import card
from nutonic.dataset.commits import entries, read_commits
from nutonic.dataset.index import Spans, Totals
from nutonic.io.objects import Store, is_temporary, sha256
from nutonic.planning.layout import CARD, MARKER, PLAN, RECIPE, SUMMARY
from nutonic.planning.ownership import owned_by
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.outputs import Output

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec

#: Rows are copied in pieces of about this many bytes.
_PIECE = 8 * 2**20


def finalize(store: Store, spec: BuildSpec, plan: PlanFile, *, complete: bool) -> str:
    """Write ``data/`` and the card from what is committed.

    Then temporaries are removed, and of a complete tree all of nutonic's that no commit names. Returns the SHA-256 of the
    card as nutonic writes it; one that a person changed stays as it is.
    """
    totals, owned = Totals(), owned_by(store, spec.layout, spec.output, plan)
    expected = data_files(Spans.of(totals.counting(entries(store))), spec.output)
    for path, spans in expected.items():
        _put_rows(store, path, spans)
    for path, _ in list(store.sizes("data")):
        if path not in expected:
            owned.remove(path)
    text = card.text(spec, plan, totals).encode()
    card.put(store, text)
    for path in unnamed(store, plan, set(expected)):
        # Of an incomplete tree payload may belong to another driver that has yet to commit it.
        if complete or is_temporary(path):
            owned.remove(path)
    return sha256(text)


def is_finalized(store: Store, spec: BuildSpec, plan: PlanFile, card_sha256: str) -> bool:
    """Whether the files that :func:`finalize` makes are there, in their size, and nothing that a killed writer left."""
    owned = owned_by(store, spec.layout, spec.output, plan)
    if any(is_temporary(path) and owned.has(path) for path, _ in store.sizes()):
        return False
    expected = {path: spans.size for path, spans in data_files(Spans.of(entries(store)), spec.output).items()}
    there = {path: size for path, size in store.sizes("data") if path in expected or owned.has(path)}
    return there == expected and store.has(CARD) and (card.is_theirs(store) or card.digest_of(store) == card_sha256)


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
    """The rows of places, in pieces; neighbours in a part are read together."""
    for part, start, length in _joined(spans):
        for at in range(start, start + length, _PIECE):
            yield store.get_range(part, at, min(_PIECE, start + length - at))


def _joined(spans: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    held, start, length = "", 0, 0
    for part, first, size in spans:
        if part == held and first == start + length:
            length += size
            continue
        if length:
            yield held, start, length
        held, start, length = part, first, size
    if length:
        yield held, start, length


def unnamed(store: Store, plan: PlanFile, data: set[str]) -> list[str]:
    """Files that no commit names: payload of killed runs, temporaries. The tree's own fixed files are not among them."""
    fixed = data | {CARD, MARKER, PLAN, RECIPE, SUMMARY, "report.html", *plan.beside}
    named = array("Q")
    for path, content in read_commits(store):
        named.extend(map(_short, (path, *content["files"])))
    sought = np.unique(np.frombuffer(named, np.uint64)) if named else np.empty(0, np.uint64)
    return [path for path, _ in store.sizes() if path not in fixed and not _among(_short(path), sought)]


def _short(path: str) -> int:
    """A path as 64 bits, since millions of them are compared; if two should ever agree, a file too many is kept."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest())


def _among(value: int, sought: np.ndarray) -> bool:
    at = int(np.searchsorted(sought, np.uint64(value)))
    return at < len(sought) and int(sought[at]) == value
