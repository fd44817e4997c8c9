"""A finished tree, read: rows and chips that know each other, from files that are opened when they are asked for.

Going through rows reads one line after the other. Only what needs more than that makes an index, once: where lines begin
for a length or a position, and what each row is about for a task or a chip. It takes 18 bytes a row. Nothing is written.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, overload

import numpy as np

from nutonic.core.model import SPLITS, Json
from nutonic.core.showing import ShortRepr
from nutonic.dataset.tree_files import TreeFiles
from nutonic.errors import InputError, NotNutonic
from nutonic.io.buckets.address import Address, any_path_of
from nutonic.io.files import real_path
from nutonic.lazily import lazily
from nutonic.planning.layout import MARKER
from nutonic.planning.ownership import is_marked

if TYPE_CHECKING:
    from PIL.Image import Image

    from nutonic.core.classes import ClassTable

#: Bytes of rows that are looked through at once.
_PIECE = 2**22


def open_dataset(folder: str | Path | Address) -> Dataset:
    """Open a tree that :func:`nutonic.build` made, wherever it was copied to.

    Nothing but the names of the files of ``data/`` is read yet.

    Parameters
    ----------
    folder
        The tree, or its address in an object store.

    Returns
    -------
    Dataset
        All rows. A tree whose build has not finished, or of which rows are missing, says so in a warning.

    Raises
    ------
    NotNutonic
        If the folder is no tree.
    """
    root = any_path_of(folder)
    if not is_marked(root):
        raise NotNutonic(f"{folder} is not a nutonic tree: it has no {MARKER} of nutonic's")
    tree = _Tree(real_path(root) if isinstance(root, Path) else root)
    if tree.lacking is not None:
        warnings.warn(f"{root.name}: {tree.lacking}", stacklevel=2)
    return Dataset(tree, tuple(range(len(tree.files))))


class _Seen(ShortRepr):
    """What of a tree is shown with its pictures."""

    __slots__ = ("_tree", "split")

    def __init__(self, tree: _Tree, split: str) -> None:
        self._tree, self.split = tree, split

    @property
    def table(self) -> ClassTable:
        """What class ids mean."""
        return self._tree.table

    def _repr_html_(self) -> str:
        from nutonic.dataset.report.cells import html_of

        return html_of(self._card) or super()._repr_html_()

    def _card(self, pictures: dict[str, str]) -> Json:
        raise NotImplementedError


class Row(_Seen):
    """One row: a question about one picture or more, and its answer. ``row["messages"]`` and so on are as in the file."""

    __slots__ = ("_data",)

    def __init__(self, tree: _Tree, split: str, data: Json) -> None:
        super().__init__(tree, split)
        self._data = data

    def _facts(self) -> Json:
        return {"id": self.id, "split": self.split, "prompt": self.prompt, "answer": self.answer}

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def keys(self) -> Sequence[str]:
        """The keys of the row, so that ``dict(row)`` is the row as it stands in the file."""
        return list(self._data)

    @property
    def id(self) -> str:
        """Unique in the dataset."""
        return str(self._data["id"])

    @property
    def task(self) -> str:
        """What is asked, such as ``"grounding"``."""
        return str(self._data["task"])

    @property
    def prompt(self) -> str:
        """The words of the user."""
        return self._said("user")

    @property
    def answer(self) -> str:
        """The words of the assistant."""
        return self._said("assistant")

    def _said(self, role: str) -> str:
        messages = (message for message in self._data["messages"] if message["role"] == role)
        return "\n".join(part["text"] for message in messages for part in message["content"] if part["type"] == "text")

    @property
    def images(self) -> tuple[str, ...]:
        """Paths of the pictures in the tree, in order."""
        return _images(self._data)

    @property
    def picture(self) -> Image:
        """The first picture."""
        return self._tree.picture(self.images[0])

    def file_bytes(self, image: str) -> bytes:
        """One of its pictures as it lies in the tree, PNG or JPEG."""
        return self._tree.picture_bytes(image)

    def _card(self, pictures: dict[str, str]) -> Json:
        from nutonic.dataset.report.cells import row_card

        return row_card(self, pictures)

    @property
    def chip(self) -> Chip | None:
        """The chip that the row is about; None of a row about other pictures alone."""
        path = _chip_of(self._data)
        return None if path is None else Chip(self._tree, self.split, path)


class Chip(_Seen):
    """One chip: its picture, its sidecar, and the rows about it. An augmented view is a chip of its own."""

    def __init__(self, tree: _Tree, split: str, path: str) -> None:
        super().__init__(tree, split)
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chip) and (self._tree.root, self.path) == (other._tree.root, other.path)

    def __hash__(self) -> int:
        return hash(self.path)

    def _facts(self) -> Json:
        return {"id": self.id, "split": self.split, "path": self.path}

    @property
    def id(self) -> str:
        """Its tile's id, with the name of the view."""
        return _stem(self.path)

    @property
    def picture(self) -> Image:
        """The picture, as Pillow has it."""
        return self._tree.picture(self.path)

    @property
    def rgb(self) -> np.ndarray:
        """The picture: (height, width, 3) uint8."""
        return np.asarray(self.picture)

    def file_bytes(self) -> bytes:
        """The picture as it lies in the tree, PNG."""
        return self._tree.picture_bytes(self.path)

    def _card(self, pictures: dict[str, str]) -> Json:
        from nutonic.dataset.report.cells import chip_card

        return chip_card(self, pictures)

    @lazily
    def sidecar(self) -> Json:
        """All that is known of the chip: grid, scene, stretch, counts and shares of classes, regions."""
        path = f"metadata/{self.path.removeprefix('images/').rpartition('.')[0]}.json"
        return self._tree.json(path, self._tree.read(path))

    @property
    def regions(self) -> list[Json]:
        """Patches of its classes: label, class_id, bbox in pixels (x1, y1, x2, y2, half-open) and area_px, largest first."""
        return list(self.sidecar["regions"])

    @property
    def mask(self) -> np.ndarray:
        """There is none in a tree: :class:`InputError` says where the classes are told."""
        raise InputError(
            f"a tree holds no masks, {self.id}'s neither: see regions and sidecar['class_fractions'], or cut chips from a "
            "cube with nutonic.cut_chips, which have theirs"
        )

    @property
    def rows(self) -> Dataset:
        """The rows about this chip."""
        return Dataset(self._tree, tuple(range(len(self._tree.files))), self._tree.rows_about(self.id))


class Dataset(ShortRepr, Sequence[Row]):
    """Rows of a tree, in the order of its files.

    ``dataset[3]`` is a row, ``dataset[:10]`` are the first ten, ``dataset["train"]`` those of a split, and
    ``dataset.of(task="grounding")`` those of a task; each of the latter is again a dataset.
    """

    def __init__(
        self, tree: _Tree, files: tuple[int, ...], picked: np.ndarray | None = None, split: str | None = None
    ) -> None:
        self._tree, self._files, self._picked, self._split = tree, files, picked, split

    def _facts(self) -> Json:
        counts = {split: len(self[split]) for split in self.splits}
        one = next(iter(counts), self._split)  # of a split without rows, that which was asked for
        facts: Json = {"rows": len(self), **(counts if len(counts) > 1 else {} if one is None else {"split": one})}
        return {**facts, **({} if self.complete else {"lacking": self._tree.lacking})}

    @property
    def complete(self) -> bool:
        """Whether the build has finished, and all rows are there."""
        return self._tree.lacking is None

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have rows here."""
        if self._picked is None:
            return tuple(dict.fromkeys(self._tree.files[f][1] for f in self._files))
        return tuple(
            dict.fromkeys(self._tree.files[f][1] for f in np.unique(self._tree.file_of(self._picked)).tolist())
        )

    @property
    def tasks(self) -> dict[str, int]:
        """Number of rows by task."""
        counts = np.bincount(self._tree.about.tasks[self._numbers], minlength=len(self._tree.about.names))
        return {name: int(n) for name, n in sorted(zip(self._tree.about.names, counts, strict=True)) if n}

    @property
    def chips(self) -> Chips:
        """The chips that these rows are about, in order."""
        return Chips(self._tree, self._numbers)

    def catalogue(self, cells: str = "utm") -> Any:
        """Where the chips of these rows lie: a GeoDataFrame where geopandas is installed, else a table of pyarrow.

        Parameters
        ----------
        cells
            How the cell of each chip is named: ``utm`` (2,560 m), ``major-tom`` (10 km) or ``h3`` (resolution 7).

        Returns
        -------
        geopandas.GeoDataFrame or pyarrow.Table
            A row a chip: footprint in degrees, centre, scene, date, cloud, shares of classes, split, cell and path, as in
            ``chips.parquet`` of ``nutonic pack --format geoparquet``. Each sidecar is read.
        """
        from nutonic.dataset.catalogue.cells import cell_namer
        from nutonic.dataset.catalogue.entries import entry_of, table_of

        cell, table = cell_namer(cells), self._tree.table
        counted = self.chips.counted()
        return table_of((entry_of(chip.path, chip.sidecar, rows, table, cell) for chip, rows in counted), table)

    def of(self, *, split: str | None = None, task: str | None = None) -> Dataset:
        """The rows of a split, of a task, or of both.

        Raises
        ------
        InputError
            If there is no such split or task; its text names those there are.
        """
        chosen = self if split is None else self._of_split(split)
        return chosen if task is None else chosen._of_task(task)

    def _of_split(self, split: str) -> Dataset:
        if split not in SPLITS:
            raise InputError(f"{split!r:.60} is no split: there are {', '.join(self.splits) or 'none'}")
        files = tuple(f for f in self._files if self._tree.files[f][1] == split)
        picked = self._picked
        if picked is not None:
            picked = picked[np.isin(self._tree.file_of(picked), files)]
        return Dataset(self._tree, files, picked, split)

    def _of_task(self, task: str) -> Dataset:
        names = self._tree.about.names
        if task not in names:
            raise InputError(f"{task!r:.60} is no task: there are {', '.join(sorted(names)) or 'none'}")
        numbers = self._numbers
        return Dataset(self._tree, self._files, numbers[self._tree.about.tasks[numbers] == names.index(task)])

    @lazily
    def _numbers(self) -> np.ndarray:
        """Numbers of the rows among all of the tree."""
        if self._picked is not None:
            return self._picked
        first = self._tree.first
        ranges = [np.arange(first[f], first[f + 1]) for f in self._files]
        return np.concatenate(ranges) if ranges else np.empty(0, np.int64)

    def __len__(self) -> int:
        if self._picked is not None:
            return len(self._picked)
        return sum(int(self._tree.first[f + 1] - self._tree.first[f]) for f in self._files)

    @overload
    def __getitem__(self, key: int) -> Row: ...

    @overload
    def __getitem__(self, key: slice | str) -> Dataset: ...

    def __getitem__(self, key: int | slice | str) -> Row | Dataset:
        if isinstance(key, str):
            return self._of_split(key)
        if isinstance(key, slice):
            return Dataset(self._tree, self._files, self._numbers[key])
        return self._tree.row(int(self._numbers[key]))

    def __iter__(self) -> Iterator[Row]:
        if self._picked is not None:
            yield from self._tree.rows_at(self._picked)
            return
        for f in self._files:
            yield from self._tree.rows_in(f)


class Chips(ShortRepr, Sequence[Chip]):
    """Chips, by position or by id."""

    def __init__(self, tree: _Tree, numbers: np.ndarray) -> None:
        keys = tree.about.chips[numbers]
        unique, first, counts = np.unique(keys, return_index=True, return_counts=True)
        order = np.argsort(first)[unique[np.argsort(first)] != 0]
        self._tree, self._numbers, self._counts = tree, numbers[first[order]], counts[order]

    def _facts(self) -> Json:
        return {"chips": len(self)}

    def __len__(self) -> int:
        return len(self._numbers)

    def counted(self) -> Iterator[tuple[Chip, int]]:
        """Each chip with how many of the rows are about it."""
        for number, count in zip(self._numbers.tolist(), self._counts.tolist(), strict=True):
            yield self._chip(number), count

    @overload
    def __getitem__(self, key: int | str) -> Chip: ...

    @overload
    def __getitem__(self, key: slice) -> list[Chip]: ...

    def __getitem__(self, key: int | slice | str) -> Chip | list[Chip]:
        if isinstance(key, slice):
            return [self._chip(number) for number in self._numbers[key].tolist()]
        if not isinstance(key, str):
            return self._chip(int(self._numbers[key]))
        about = self._tree.rows_about(key)
        if not len(about) or not np.isin(about, self._numbers).any():
            raise InputError(f"{key!r:.80} is the id of no chip here")
        return self._chip(int(about[0]))

    def _chip(self, number: int) -> Chip:
        chip = self._tree.row(number).chip
        assert chip is not None, "only rows with a chip are counted"
        return chip


@dataclass(frozen=True, slots=True)
class _About:
    """What each row of a tree is about."""

    names: list[str]
    """Tasks that there are."""
    tasks: np.ndarray
    """(rows,) int16: position of its task in `names`."""
    chips: np.ndarray
    """(rows,) uint64: hash of its chip's id, 0 where it has none."""


class _Tree(TreeFiles):
    """The files of a tree, and what is found out about its rows."""

    @lazily
    def _ends(self) -> list[np.ndarray]:
        """Where the lines of each file end, in bytes."""
        return [_line_ends(self.open(path)) for path, _ in self.files]

    @lazily
    def first(self) -> np.ndarray:
        """(files + 1,): the number of the first row of each file, and of all."""
        return np.cumsum([0, *map(len, self._ends)])

    def file_of(self, numbers: np.ndarray) -> np.ndarray:
        """In which file rows are."""
        return np.searchsorted(self.first, numbers, side="right") - 1

    def row(self, number: int) -> Row:
        """A row by its number."""
        return next(self.rows_at(np.array([number])))

    def rows_at(self, numbers: np.ndarray) -> Iterator[Row]:
        """Rows by their numbers; those that follow each other in a file are read with the file open."""
        in_file = self.file_of(numbers)
        for run in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(in_file)) + 1):
            if not len(run):
                continue
            f = int(in_file[run[0]])
            (path, split), ends = self.files[f], self._ends[f]
            with self.open(path) as file:
                for at in (numbers[run] - self.first[f]).tolist():
                    start = int(ends[at - 1]) if at else 0
                    file.seek(start)
                    yield Row(self, split, self.json(path, file.read(int(ends[at]) - start)))

    def rows_in(self, f: int) -> Iterator[Row]:
        """The rows of a file, line by line."""
        path, split = self.files[f]
        with self.open(path) as lines:
            for line in lines:
                yield Row(self, split, self.json(path, line))

    @lazily
    def about(self) -> _About:
        """What each row is about: all are read, once."""
        names: dict[str, int] = {}
        count = int(self.first[-1])
        tasks, chips, i = np.zeros(count, np.int16), np.zeros(count, np.uint64), 0
        for f in range(len(self.files)):
            for row in self.rows_in(f):
                tasks[i] = names.setdefault(row.task, len(names))
                path = _chip_of(row)
                chips[i] = 0 if path is None else _key(_stem(path))
                i += 1
        return _About(list(names), tasks, chips)

    @lazily
    def _by_chip(self) -> np.ndarray:
        return np.argsort(self.about.chips, kind="stable")

    def rows_about(self, chip: str) -> np.ndarray:
        """Numbers of the rows about a chip, in order."""
        order, keys = self._by_chip, self.about.chips
        start, stop = (int(np.searchsorted(keys, _key(chip), side, sorter=order)) for side in ("left", "right"))
        rows = order[start:stop]
        return rows if len(rows) and _stem(_chip_of(self.row(int(rows[0]))) or "") == chip else rows[:0]


def _images(row: Row | Json) -> tuple[str, ...]:
    parts = (part for message in row["messages"] for part in message["content"])
    return tuple(str(part["image"]) for part in parts if part["type"] == "image")


def _chip_of(row: Row | Json) -> str | None:
    """Path of the chip among a row's pictures."""
    return next((path for path in _images(row) if path.startswith("images/")), None)


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rpartition(".")[0]


def _key(chip: str) -> np.uint64:
    """An id as 64 bits, never 0."""
    return np.uint64(int.from_bytes(hashlib.blake2b(chip.encode(), digest_size=8).digest()) or 1)


def _line_ends(rows: BinaryIO) -> np.ndarray:
    """(lines,) int64: the byte behind each line; the last one may have no line end. Closes what it reads."""
    ends, at = list[np.ndarray](), 0
    with rows as file:
        while piece := file.read(_PIECE):
            ends.append(np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n")) + at + 1)
            at += len(piece)
    found = np.concatenate(ends) if ends else np.empty(0, np.int64)
    return found if not at or (len(found) and found[-1] == at) else np.append(found, at)
