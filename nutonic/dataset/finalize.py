"""From commits to the finished tree: rows sorted into ``data/``, the card, and the removal of unnamed files."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from nutonic.core.model import SPLITS, Json
from nutonic.dataset import card
from nutonic.dataset.commits import Committed, entries_of, read_commits, unpacked
from nutonic.dataset.index import NamedFiles, PartDigests, Spans, Totals
from nutonic.io.objects import Store, is_temporary, sha256
from nutonic.planning.layout import CARD, MARKER, PLAN, RECIPE, REPORT, SUMMARY
from nutonic.planning.ownership import owned_by
from nutonic.planning.plan_file import PlanFile
from nutonic.recipe.outputs import Output

if TYPE_CHECKING:
    from nutonic.planning.spec import BuildSpec

#: Rows are read and written in pieces of about this many bytes; what lies so near to each other is read together.
_PIECE, _NEAR = 2**20, 2**15

#: Places, and bytes of their packed rows, that are held at once: parts are of neighbours, rows in the order of places.
_HELD, _HELD_BYTES = 2**15, 2**23

#: A place's part, start and length of its member, and the size of its rows.
_Span = tuple[str, int, int, int]


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
) -> Finalized:
    """Write ``data/`` and the card from the commits; each commit is read once.

    Files of ``data/`` that are there and were made of the same, by what `made_before` tells of the last time, or hold the
    same bytes, stay as they are. Then temporaries are removed; in a complete tree, so are all of nutonic's files that no
    commit names. A card that a person changed stays as it is.
    """
    named = NamedFiles()
    owned = owned_by(store, spec.layout, spec.output, plan)
    spans, text, digests, chips = _summed(store, spec, plan, done, named)
    expected = data_files(spans, spec.output)
    made_of = {path: rows.made_of(digests) for path, rows in expected.items()}
    there = dict(store.sizes("data"))
    for path, rows in expected.items():
        as_before = made_before.get(path) == made_of[path]
        if there.get(path) != rows.size or not (as_before or _holds(store, path, rows)):
            _put_rows(store, path, rows)
    for path in there:
        if path not in expected:
            owned.remove(path)
    card.put(store, text)
    for path in unnamed(named.others(path for path, _ in store.sizes()), plan, set(expected), ()):
        # In an incomplete tree, files may be another driver's that has not committed them yet.
        if is_temporary(path) or (complete and not owned.is_kept(path)):
            owned.remove(path)
    data = {path: rows.size for path, rows in expected.items()}
    said = said_for_card(spec)
    return Finalized(card_sha256=sha256(text), data=data, chips=chips, card=said, made_of=made_of)


def _summed(
    store: Store, spec: BuildSpec, plan: PlanFile, done: Committed, named: NamedFiles
) -> tuple[Spans, bytes, bytes, int]:
    """Where rows lie, the card, the SHA-256 of each part that the former names, and the number of chips.

    What the card alone is made of is gone by then: at a million places it is much.
    """
    totals, parts = Totals(spec.tiles.output_size**2), PartDigests()
    commits = parts.noting(named.noting(read_commits(store, done)))
    spans = Spans.of(totals.counting(entry for name, content in commits for entry in entries_of(name, content)))
    return spans, card.text(spec, plan, totals).encode(), parts.of(spans), totals.tiles


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
        store.put(path, _in_pieces(rows_of(store, spans)))
    except FileNotFoundError:
        if attempts == 1:
            raise
        _put_rows(store, path, spans, attempts - 1)


def _holds(store: Store, path: str, spans: Spans) -> bool:
    """Whether a file of ``data/``, which has their size, holds just these rows: they may have come into other parts."""
    if not store.is_file(path):
        return False
    with store.open(path) as file:
        return all(file.read(len(rows)) == rows for rows in _in_pieces(rows_of(store, spans)))


def _in_pieces(rows: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: each that is written waits for another thread."""
    piece = bytearray()
    for each in rows:
        piece += each
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


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


def rows_of(store: Store, spans: Iterable[_Span]) -> Iterator[bytes]:
    """The rows of places, one place at a time, in the order of the spans.

    Of some thousand places at a time, those that lie near each other in a part are read together.

    Raises
    ------
    Corrupt
        If a part is not what was written.
    """
    for some in _held(spans):
        members: list[bytes] = [b""] * len(some)
        for run in _near(some):
            part, start = some[run[0]][:2]
            piece = store.get_range(part, start, max(some[i][1] + some[i][2] for i in run) - start)
            for i in run:
                at = some[i][1] - start
                members[i] = piece[at : at + some[i][2]]
        for i, (part, _, _, size) in enumerate(some):
            yield unpacked(members[i], part, size)
            members[i] = b""


def _held(spans: Iterable[_Span]) -> Iterator[list[_Span]]:
    """Spans in their order, so many at a time as are held at once."""
    some, held = list[_Span](), 0
    for span in spans:
        if some and (len(some) == _HELD or held + span[2] > _HELD_BYTES):
            yield some
            some, held = [], 0
        some.append(span)
        held += span[2]
    if some:
        yield some


def _near(spans: list[_Span]) -> Iterator[list[int]]:
    """Positions of spans that are read together, ascending by where they lie in a part; at most about `_PIECE` bytes."""
    run, part, first, stop = list[int](), "", 0, 0
    for i in sorted(range(len(spans)), key=lambda i: spans[i][:2]):
        name, start, length, _ = spans[i]
        if run and (name != part or start > stop + _NEAR or start + length - first > _PIECE):
            yield run
            run = []
        if not run:
            part, first, stop = name, start, start
        run.append(i)
        stop = max(stop, start + length)
    if run:
        yield run


def unnamed(paths: Iterable[str], plan: PlanFile, data: set[str], named: Container[str]) -> list[str]:
    """Files that no commit names, such as those of killed runs; the tree's fixed files are left out."""
    fixed = data | {CARD, MARKER, PLAN, RECIPE, SUMMARY, REPORT, *plan.beside}
    return [path for path in paths if path not in fixed and path not in named]
