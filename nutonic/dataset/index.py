"""What all commits say together, in few bytes a place: where the rows lie, and the sums that the card tells."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np

from nutonic.core.model import SPLITS, Json
from nutonic.dataset.commits import CommittedPlace
from nutonic.dataset.duplicates import Likenesses
from nutonic.dataset.reasons import kind_of
from nutonic.planning.layout import STILLS, CommitName
from nutonic.planning.ownership import files_of
from nutonic.planning.planned import short

T = TypeVar("T")

_PLACE = np.dtype(
    [
        ("ordinal", "i8"),
        ("variant", "i4"),
        ("split", "i1"),
        ("part", "i4"),
        ("start", "i8"),
        ("length", "i8"),
        ("size", "i8"),
        ("rows", "i4"),
        ("pictures", "i8"),
    ]
)

#: The same in fewer bytes, for as long as no place has a value that does not fit: few ever have one.
_WIDE = ("start", "length", "size", "pictures")
_SHORT = np.dtype([(name, "u4" if name in _WIDE else _PLACE[name]) for name in _PLACE.names or ()])

#: Files that are looked up together.
_AT_ONCE = 4096

#: Folders of pictures that rows show.
_SHOWN = ("images/", f"{STILLS}/")


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Where the rows of some places lie, as their commits tell one after another."""

    table: np.ndarray
    """One record a place: see :attr:`Spans.every`."""
    parts: tuple[str, ...]
    """Paths of the files that the records' parts mean."""

    @classmethod
    def of(cls, entries: Iterable[CommittedPlace]) -> Records:
        """Those of committed places."""
        number: dict[str, int] = {}
        table = np.fromiter((_record(entry, number) for entry in entries), _PLACE)
        return cls(table, tuple(number))

    @classmethod
    def none(cls) -> Records:
        """Those of no place."""
        return cls(np.empty(0, _PLACE), ())

    def __len__(self) -> int:
        return len(self.table)

    def numbered(self, number: dict[str, int]) -> np.ndarray:
        """The records with the parts' numbers among all; new ones get the next."""
        table = self.table.copy()
        if len(table):
            table["part"] = np.array([number.setdefault(part, len(number)) for part in self.parts])[table["part"]]
        return table


@dataclass(frozen=True, slots=True)
class Spans:
    """Where the rows of places lie, in the order of the dataset; 37 bytes a place, and 4 for a split's share of them."""

    every: np.ndarray
    """One record a place: ordinal, variant, split, part, start and length of its member, size and number of its rows, size
    of its pictures."""
    parts: tuple[str, ...]
    """Paths of the files that the records' parts mean."""
    at: np.ndarray | None = None
    """(n,) uint32: which of the records these are; None for all."""

    @classmethod
    def of(cls, entries: Iterable[CommittedPlace]) -> Spans:
        """The spans of committed places."""
        return cls.joined(map(Records.of, _in_pieces(entries)))

    @classmethod
    def joined(cls, pieces: Iterable[Records]) -> Spans:
        """The spans of committed places that are told some at a time."""
        number: dict[str, int] = {}
        table, count = np.empty(_AT_ONCE, _SHORT), 0
        for piece in pieces:
            new, end = piece.numbered(number), count + len(piece)
            if table.dtype == _SHORT and any(new[name].max(initial=0) >= 2**32 for name in _WIDE):
                table = table.astype(_PLACE)
            if end > len(table):  # grows where it lies: joined pieces would be there twice
                table.resize(max(end, len(table) * 9 // 8 + _AT_ONCE), refcheck=False)
            table[count:end] = new
            count = end
        table.resize(count, refcheck=False)
        order = np.lexsort((table["variant"], table["ordinal"]))
        if not (order[1:] > order[:-1]).all():
            for column in _PLACE.names or ():
                table[column] = table[column][order]
        return cls(table, tuple(number))

    @property
    def table(self) -> np.ndarray:
        """The records of these places."""
        table = self.every if self.at is None else self.every[self.at]
        return table.astype(_PLACE, copy=False)

    def column(self, name: str) -> np.ndarray:
        """One value of each place."""
        values = self.every[name] if self.at is None else self.every[name][self.at]
        return values.astype(_PLACE[name], copy=False)

    def __len__(self) -> int:
        return len(self.every if self.at is None else self.at)

    def __iter__(self) -> Iterator[tuple[str, int, int, int]]:
        """Part, start and length of each place's member, and the size of its rows."""
        for first in range(0, len(self), _AT_ONCE):
            some = self.between(first, first + _AT_ONCE)
            columns = (some.column(name).tolist() for name in ("part", "start", "length", "size"))
            yield from ((self.parts[part], *where) for part, *where in zip(*columns, strict=True))

    def between(self, first: int, end: int) -> Spans:
        """The places at these positions."""
        if self.at is None:
            return Spans(self.every[first:end], self.parts)
        return Spans(self.every, self.parts, self.at[first:end])

    def of_split(self, split: int) -> Spans:
        """Places of a split that have rows."""
        at = np.flatnonzero((self.column("split") == split) & (self.column("rows") > 0))
        return Spans(self.every, self.parts, (at if self.at is None else self.at[at]).astype(np.uint32))

    def compact(self) -> Spans:
        """The same, with no record and no part beside theirs: to be sent."""
        table = self.table.copy()
        used, number = np.unique(table["part"], return_inverse=True)
        table["part"] = number
        return Spans(table, tuple(self.parts[part] for part in used.tolist()))

    def grouped(self, most: int | None) -> list[Spans]:
        """Groups of places with at most `most` rows each, unless one place alone has more; none of no places."""
        if not len(self):
            return []
        starts, rows_in_group = [0], 0
        for i, rows in enumerate(self.column("rows").tolist() if most is not None else ()):
            if most is not None and rows_in_group and rows_in_group + rows > most:
                starts.append(i)
                rows_in_group = 0
            rows_in_group += rows
        ends = [*starts[1:], len(self)]
        return [self.between(first, end) for first, end in zip(starts, ends, strict=True)]

    def without(self, places: Iterable[tuple[str, int, int]]) -> Spans:
        """The others than these places, each told by its part, ordinal and variant."""
        number = {part: i for i, part in enumerate(self.parts)}
        gone = {(number[part], ordinal, variant) for part, ordinal, variant in places if part in number}
        names = zip(*(self.column(name).tolist() for name in ("part", "ordinal", "variant")), strict=True)
        return Spans(self.table[[name not in gone for name in names]], self.parts)

    def same_as(self, other: Spans) -> bool:
        """Whether these are the same rows in the same order, of the same parts."""
        where = ("part", "start", "length", "size")
        return self.parts == other.parts and all(np.array_equal(self.column(c), other.column(c)) for c in where)

    def made_of(self, digests: bytes) -> str:
        """SHA-256 (hex) of what these rows are made of: the members of which parts, in which order.

        `digests` has 32 bytes for each part. Whatever else is committed beside them does not matter.
        """
        used, first, number = np.unique(self.column("part"), return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), "<u4")
        rank[order] = np.arange(len(order))
        proof = hashlib.sha256(b"".join(digests[32 * part : 32 * part + 32] for part in used[order].tolist()))
        proof.update(rank[number].tobytes())
        for name in ("start", "length", "size"):
            proof.update(np.ascontiguousarray(self.column(name), "<i8").tobytes())
        return proof.hexdigest()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.column("rows").sum())

    @property
    def size(self) -> int:
        """Size of all rows, in bytes."""
        return int(self.column("size").sum())


def _record(entry: CommittedPlace, number: dict[str, int]) -> tuple[int, ...]:
    part = number.setdefault(entry.name.part, len(number))
    rows = entry["rows"]
    pictures = sum(size for path, (size, _) in entry["files"].items() if path.startswith(_SHOWN))
    where = part, rows["start"], rows["length"], rows["size"]
    return *entry.order, SPLITS.index(entry["split"]), *where, entry.rows, pictures


#: Of totals, those that are counted by something.
_COUNTED = ("places", "rows", "tasks", "split_tasks", "bytes", "chips", "labelled", "classes", "rejects", "polished")


@dataclass(slots=True)
class Totals:
    """Sums over committed places."""

    chip_pixels: int
    """Of a chip's mask."""
    tiles: int = 0
    places: Counter[str] = field(default_factory=Counter)
    """Places with tiles, by split."""
    rows: Counter[str] = field(default_factory=Counter)
    """By split."""
    tasks: Counter[str] = field(default_factory=Counter)
    """Rows by task."""
    split_tasks: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows by split and task."""
    bytes: Counter[str] = field(default_factory=Counter)
    """Size of the rows by split."""
    chips: Counter[str] = field(default_factory=Counter)
    """Chips, augmented views included, by split."""
    labelled: Counter[int] = field(default_factory=Counter)
    """Original chips by the labelled share of their mask, in thousandths, rounded down."""
    likenesses: Likenesses = field(default_factory=Likenesses)
    """How the original chips look."""
    classes: Counter[str] = field(default_factory=Counter)
    """Pixels by class id."""
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By what was left out (a kind of :mod:`nutonic.dataset.reasons`), and by reason."""
    scenes: set[str] = field(default_factory=set)
    """Ids of the scenes that are shown."""
    stills: int = 0
    """Places with a still."""
    polished: Counter[str] = field(default_factory=Counter)
    """Captions by who said them in other words; ``""`` of those that stay as they were."""

    def counting(self, entries: Iterable[CommittedPlace]) -> Iterator[CommittedPlace]:
        """The same entries, each added as it passes."""
        for entry in entries:
            self._add(entry)
            yield entry

    def add(self, other: Totals) -> None:
        """Take the sums of places that come behind these."""
        self.tiles += other.tiles
        self.stills += other.stills
        for name in _COUNTED:
            getattr(self, name).update(getattr(other, name))
        self.likenesses.extend(other.likenesses)
        self.scenes |= other.scenes

    def _add(self, entry: CommittedPlace) -> None:
        tasks, chips = entry["rows"]["tasks"], entry.content.get("chips") or {}
        self.tiles += entry["tiles"]
        self.chips[entry["split"]] += entry["tiles"]
        self.split_tasks.update({(entry["split"], task): count for task, count in tasks.items()})
        self.bytes[entry["split"]] += entry["rows"]["size"]
        self.labelled.update(chip["labelled"] * 1000 // self.chip_pixels for chip in chips.values())
        self.likenesses.add(entry)
        self.rows[entry["split"]] += entry.rows
        self.tasks.update(entry["rows"]["tasks"])
        self.classes.update(entry["classes"])
        self.rejects.update((kind_of(each["reason"], each["tile_id"]), each["reason"]) for each in entry["rejects"])
        if entry["tiles"]:
            self.places[entry["split"]] += 1
            self.scenes.add(entry["item_id"])
        for told in entry.content.get("captions", ()):
            self.polished[told["annotations"][0]["annotator"] if told["annotations"] else ""] += 1
        # A commit names the still of a place behind its other files.
        self.stills += next(reversed(entry["files"]), "").startswith(f"{STILLS}/")


class PartDigests:
    """The SHA-256 of the parts that commits name, 32 bytes each."""

    def __init__(self) -> None:
        self._names, self._digests = array("Q"), bytearray()

    def note(self, content: Json) -> None:
        """Take the part of a commit."""
        for part, (_, digest) in content["part"].items():
            self._names.append(short(part))
            self._digests += bytes.fromhex(digest)

    def add(self, other: PartDigests) -> None:
        """Take those of other commits."""
        self._names.extend(other._names)
        self._digests += other._digests

    def of(self, spans: Spans) -> bytes:
        """Those of the parts of spans, in their order; zeros for a part without rows."""
        at = {name: i for i, name in enumerate(self._names)}
        numbers = (at.get(short(part)) for part in spans.parts)
        return b"".join(bytes(32) if i is None else self._digests[32 * i : 32 * i + 32] for i in numbers)


class NamedFiles:
    """Which files commits name, with their sizes; 16 bytes each, since there are millions.

    If the hashes of two paths should agree, one too many is kept.
    """

    def __init__(self) -> None:
        self._hashes, self._bytes = array("Q"), array("q")  # noted since they were sorted
        self._sorted = np.empty(0, np.uint64), np.empty(0, np.int64)

    def noting(self, commits: Iterable[tuple[CommitName, Json]]) -> Iterator[tuple[CommitName, Json]]:
        """The same commits, the files of each noted as it passes, and its own."""
        for name, content in commits:
            self.note(files_of(content))
            self.note({name.path: (0, "")})
            yield name, content

    def note(self, files: Mapping[str, tuple[int, str]]) -> None:
        """Take files with their sizes; of two that are called the same, the last counts."""
        self._hashes.extend(map(short, files))
        self._bytes.extend(size for size, _ in files.values())

    def add(self, other: NamedFiles) -> None:
        """Take those of other commits, before either was asked for any."""
        self._hashes.extend(other._hashes)
        self._bytes.extend(other._bytes)

    def __len__(self) -> int:
        return len(self._table[0])

    def __contains__(self, path: object) -> bool:
        return next(self.others([str(path)]), None) is None

    def others(self, paths: Iterable[str]) -> Iterator[str]:
        """Those of some paths that are not named; looked up some thousand at a time."""
        hashes, rest = self._table[0], iter(paths)
        while some := list(islice(rest, _AT_ONCE)):
            values = np.fromiter(map(short, some), np.uint64, len(some))
            at = np.minimum(np.searchsorted(hashes, values), max(0, len(hashes) - 1))
            named = hashes[at] == values if len(hashes) else np.zeros(len(values), bool)
            yield from (some[i] for i in np.flatnonzero(~named).tolist())

    @property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Hashes, each once and ascending, and the sizes."""
        if self._hashes:
            hashes, sizes = (
                np.concatenate([before, np.array(new, before.dtype)])
                for before, new in zip(self._sorted, (self._hashes, self._bytes), strict=True)
            )
            self._hashes, self._bytes = array("Q"), array("q")
            self._sorted = np.empty(0, np.uint64), np.empty(0, np.int64)
            order = np.argsort(hashes, kind="stable")
            hashes, sizes = hashes[order], sizes[order]
            del order
            last = np.append(hashes[1:] != hashes[:-1], np.ones(min(1, len(hashes)), bool))
            self._sorted = (hashes, sizes) if last.all() else (hashes[last], sizes[last])
        return self._sorted

    def held_against(self, files: Iterable[tuple[str, int]]) -> tuple[dict[str, int], dict[int, int | None]]:
        """Hold these names against the files that there are, with their sizes.

        Returns
        -------
        others
            Sizes of the files that are not named, by path.
        wrong
            By hash of the path, the size of each named file that has another one; None for one that is not there.
        """
        (hashes, sizes), others = self._table, dict[str, int]()
        seen, wrong = np.zeros(len(hashes), bool), dict[int, int | None]()
        for some in _in_pieces(files):
            values = np.array([short(path) for path, _ in some], np.uint64)
            at = np.minimum(np.searchsorted(hashes, values), max(0, len(hashes) - 1))
            named = hashes[at] == values if len(hashes) else np.zeros(len(values), bool)
            seen[at[named]] = True
            others.update(some[i] for i in np.flatnonzero(~named).tolist())
            for i in np.flatnonzero(named).tolist():
                if sizes[at[i]] != some[i][1]:
                    wrong[int(values[i])] = some[i][1]
        return others, wrong | dict.fromkeys(hashes[~seen].tolist())


def _in_pieces(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
