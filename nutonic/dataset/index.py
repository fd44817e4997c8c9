"""What all commits say together, in few bytes a place: where the rows lie, and the sums that the card tells."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from nutonic.core.model import SPLITS, Json
from nutonic.dataset.commits import CommittedPlace
from nutonic.dataset.duplicates import Likenesses
from nutonic.planning.layout import STILLS, CommitName
from nutonic.planning.ownership import files_of

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

#: Folders of pictures that rows show.
_SHOWN = ("images/", f"{STILLS}/")


@dataclass(frozen=True, slots=True)
class Spans:
    """Where the rows of places lie, in the order of the dataset; 53 bytes a place."""

    table: np.ndarray
    """One record a place: ordinal, variant, split, part, start and length of its member, size and number of its rows, size
    of its pictures."""
    parts: tuple[str, ...]
    """Paths of the files that the records' parts mean."""

    @classmethod
    def of(cls, entries: Iterable[CommittedPlace]) -> Spans:
        """The spans of committed places."""
        number: dict[str, int] = {}
        table = np.fromiter((_record(entry, number) for entry in entries), _PLACE)
        table.sort(order=["ordinal", "variant"])
        return cls(table, tuple(number))

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[tuple[str, int, int, int]]:
        """Part, start and length of each place's member, and the size of its rows."""
        for record in self.table:
            yield self.parts[record["part"]], int(record["start"]), int(record["length"]), int(record["size"])

    def of_split(self, split: int) -> Spans:
        """Places of a split that have rows."""
        return Spans(self.table[(self.table["split"] == split) & (self.table["rows"] > 0)], self.parts)

    def grouped(self, most: int | None) -> list[Spans]:
        """Groups of places with at most `most` rows each, unless one place alone has more; none of no places."""
        if not len(self):
            return []
        starts, rows_in_group = [0], 0
        for i, rows in enumerate(self.table["rows"].tolist() if most is not None else ()):
            if most is not None and rows_in_group and rows_in_group + rows > most:
                starts.append(i)
                rows_in_group = 0
            rows_in_group += rows
        ends = [*starts[1:], len(self)]
        return [Spans(self.table[first:end], self.parts) for first, end in zip(starts, ends, strict=True)]

    @property
    def size(self) -> int:
        """Size of all rows, in bytes."""
        return int(self.table["size"].sum())


def _record(entry: CommittedPlace, number: dict[str, int]) -> tuple[int, ...]:
    part = number.setdefault(entry.name.part, len(number))
    rows = entry["rows"]
    pictures = sum(size for path, (size, _) in entry["files"].items() if path.startswith(_SHOWN))
    where = part, rows["start"], rows["length"], rows["size"]
    return *entry.order, SPLITS.index(entry["split"]), *where, entry.rows, pictures


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
    rejects: Counter[str] = field(default_factory=Counter)
    """By reason."""
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
        self.rejects.update(reject["reason"] for reject in entry["rejects"])
        if entry["tiles"]:
            self.places[entry["split"]] += 1
            self.scenes.add(entry["item_id"])
        for told in entry.content.get("captions", ()):
            self.polished[told["annotations"][0]["annotator"] if told["annotations"] else ""] += 1
        # A commit names the still of a place behind its other files.
        self.stills += next(reversed(entry["files"]), "").startswith(f"{STILLS}/")


class NamedFiles:
    """Which files commits name; 8 bytes each, since there are millions. If two paths should agree, one too many is kept."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._sorted: np.ndarray | None = None

    def noting(self, commits: Iterable[tuple[CommitName, Json]]) -> Iterator[tuple[CommitName, Json]]:
        """The same commits, the files of each noted as it passes, and its own."""
        for name, content in commits:
            self._hashes.extend(map(_short, (name.path, *files_of(content))))
            self._sorted = None
            yield name, content

    def __contains__(self, path: object) -> bool:
        if self._sorted is None:
            self._sorted = np.unique(np.array(self._hashes, np.uint64))
        value = np.uint64(_short(str(path)))
        at = int(np.searchsorted(self._sorted, value))
        return at < len(self._sorted) and self._sorted[at] == value


def _short(path: str) -> int:
    """A path as 64 bits."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(path), digest_size=8).digest())
