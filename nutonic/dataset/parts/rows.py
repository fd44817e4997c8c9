"""The rows of places as the files of ``data/``: written, and compared, in parts of bounded size by whoever does them.

A part of a file is a span of its bytes. Where it begins and ends depends on nothing but the file, so that whoever writes
parts of one never touches the same page of a disk that several machines share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from nutonic.dataset.commits import unpacked
from nutonic.dataset.index import Spans
from nutonic.dataset.parts.each import Each
from nutonic.errors import Corrupt, StoreError
from nutonic.io.atomic import discard
from nutonic.io.objects import Store

#: Bytes of a part of a file.
_SPAN = 2**25

#: Rows are read and written in pieces of about this many bytes; what lies so near to each other is read together.
_PIECE, _NEAR = 2**20, 2**15

#: Places, and bytes of their packed rows, that are held at once: parts are of neighbours, rows in the order of places.
_HELD, _HELD_BYTES = 2**15, 2**23

#: How often a file is written anew where another driver, finishing at the same time, removes its temporary.
_ATTEMPTS = 5

#: A place's part, start and length of its member, and the size of its rows.
_Span = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class SomeRows:
    """A span of the bytes of a file of ``data/``."""

    store: Store
    path: str
    first: int
    """The first of its bytes in the file."""
    size: int
    spans: Spans
    """The places whose rows reach into it."""
    skipped: int
    """Bytes of the first place's rows that lie before it."""
    staged: str | None = None
    """The file on a disk to write it into; None where it is a file of its own."""

    def pieces(self) -> Iterator[bytes]:
        """Its bytes."""
        left, skip = self.size, self.skipped
        for piece in _in_pieces(rows_of(self.store, self.spans)):
            some = memoryview(piece)[skip : skip + left]
            skip, left = max(0, skip - len(piece)), left - len(some)
            if some:
                yield bytes(some)


def spans_of_bytes(store: Store, path: str, spans: Spans, staged: str | None = None) -> Iterator[SomeRows]:
    """A file of ``data/`` in parts."""
    ends = np.cumsum(spans.column("size"))
    for first in range(0, spans.size, _SPAN):
        size = min(_SPAN, spans.size - first)
        place = int(np.searchsorted(ends, first, side="right"))
        end = int(np.searchsorted(ends, first + size, side="left")) + 1
        some = spans.between(place, end).compact()
        yield SomeRows(store, path, first, size, some, first - (int(ends[place - 1]) if place else 0), staged)


def write(store: Store, files: Mapping[str, Spans], each: Each) -> None:
    """Write files of ``data/``, each of which is seen once it is whole.

    On a disk one of several parts is written under another name, part by part. Into an object store each is sent by one.
    """
    for _ in range(_ATTEMPTS):
        files = _unwritten(store, files, each)
        if not files:
            return
    raise FileNotFoundError(f"{next(iter(files))} was removed while it was written, {_ATTEMPTS} times")


def _unwritten(store: Store, files: Mapping[str, Spans], each: Each) -> dict[str, Spans]:
    """Write files; those whose temporary somebody removed meanwhile."""
    staged = {path: store.stage(path) for path, spans in files.items() if _is_large(store, spans)}
    try:
        parts = (part for path, spans in files.items() for part in _to_write(store, path, spans, staged.get(path)))
        gone = {path for path, is_there in each(_written, parts) if not is_there}
        gone |= {path for path, temporary in staged.items() if path not in gone and not store.take(temporary, path)}
    finally:
        for temporary in staged.values():
            discard(temporary)
    return {path: spans for path, spans in files.items() if path in gone}


def _is_large(store: Store, spans: Spans) -> bool:
    return store.disk is not None and spans.size > _SPAN


def _to_write(store: Store, path: str, spans: Spans, staged: str | None) -> Iterator[SomeRows]:
    if staged is None:
        return iter([SomeRows(store, path, 0, spans.size, spans.compact(), 0)])
    return spans_of_bytes(store, path, spans, staged)


def _written(some: SomeRows) -> tuple[str, bool]:
    """Write a part of a file; its path, and whether what it was to be written into is there."""
    try:
        if some.staged is None:
            some.store.put(some.path, some.pieces())
        else:
            some.store.put_at(some.path, some.staged, some.first, some.pieces())
    except FileNotFoundError:
        return some.path, False
    return some.path, True


def different(store: Store, files: Mapping[str, Spans], each: Each, *, unread: bool = False) -> set[str]:
    """Which files of ``data/``, of the right sizes, do not hold just these rows.

    Parameters
    ----------
    store, files
        The tree, and what each file should hold.
    each
        Who compares them.
    unread
        Whether rows that cannot be read are passed over: that is told of where they lie.
    """
    parts = (part for path, spans in files.items() for part in spans_of_bytes(store, path, spans))
    return {path for path, same in each(partial(_compared, unread=unread), parts) if not same}


def _compared(some: SomeRows, unread: bool) -> tuple[str, bool]:
    """The path of a part, and whether the file holds it there."""
    at = some.first
    try:
        for piece in some.pieces():
            if some.store.get_range(some.path, at, len(piece)) != piece:
                return some.path, False
            at += len(piece)
    except (Corrupt, StoreError):
        if not unread:
            raise
    return some.path, True


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
