"""What each shard of a pack holds: which places, and their rows with pictures and sidecars, one place at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from nutonic.core.model import Json, Split
from nutonic.dataset.commits import read_commit
from nutonic.dataset.index import Spans
from nutonic.dataset.packs.tree import PackTree
from nutonic.dataset.parts.rows import rows_of
from nutonic.errors import Corrupt
from nutonic.io.objects import Store, sha256
from nutonic.planning.layout import part_name

#: Size and SHA-256 of files, by path, as commits tell them.
Named = Mapping[str, tuple[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Neighbouring places of one split."""

    number: int
    """Among all shards."""
    split: Split
    index: int
    """Among those of its split."""
    of: int
    """How many its split has."""
    spans: Spans

    @property
    def rows(self) -> int:
        """How many it holds."""
        return int(self.spans.column("rows").sum())

    @property
    def name(self) -> str:
        """``train-00003-of-00012``."""
        return f"{self.split}-{self.index:05d}-of-{self.of:05d}"


def shards_of(tree: PackTree, most_bytes: int) -> list[Shard]:
    """All shards of a tree: about `most_bytes` of rows and pictures each, a place never divided."""
    found: list[Shard] = []
    for split in tree.splits:
        groups = _by_size(tree.of_split(split), most_bytes)
        for index, group in enumerate(groups):
            found.append(Shard(number=len(found), split=split, index=index, of=len(groups), spans=group))
    return found


def _by_size(spans: Spans, most: int) -> list[Spans]:
    sizes = (spans.column("size") + spans.column("pictures")).tolist()
    starts, held = [0], 0
    for i, size in enumerate(sizes):
        if held and held + size > most:
            starts.append(i)
            held = 0
        held += size
    return [_some(spans, first, end) for first, end in zip(starts, [*starts[1:], len(sizes)], strict=True)]


def _some(spans: Spans, first: int, end: int) -> Spans:
    """Some places, with no more names of parts than they need."""
    table = spans.between(first, end).table.copy()
    used, numbers = np.unique(table["part"], return_inverse=True)
    table["part"] = numbers
    return Spans(table, tuple(spans.parts[number] for number in used.tolist()))


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that a row shows."""

    path: str
    """In the tree."""
    data: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return _size_of(self.data)

    @property
    def suffix(self) -> str:
        """``png`` or ``jpg``."""
        return self.path.rsplit(".", 1)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A row with all that it shows."""

    row: Json
    """As it stands in the tree."""
    split: Split
    pictures: tuple[Picture, ...]
    """In the order of its parts."""
    chip: str
    """Path of the chip that it is about, whether or not it shows it."""
    sidecar: Json
    """Of that chip."""


def samples_of(store: Store, shard: Shard) -> Iterator[Sample]:
    """The rows of a shard with their pictures, each file read once and held no longer than its chip.

    Raises
    ------
    Corrupt
        If a file of the tree is missing, or not what its commit says.
    """
    named = _named(store, shard.spans)
    files = _Files(store, named)
    for rows in rows_of(store, shard.spans):
        for line in rows.splitlines():
            yield _sample(orjson.loads(line), shard.split, files)


def _named(store: Store, spans: Spans) -> Named:
    """The files that commits name of just these places."""
    wanted = set(zip(spans.column("ordinal").tolist(), spans.column("variant").tolist(), strict=True))
    found: dict[str, tuple[int, str]] = {}
    for part in spans.parts:
        name = part_name(part)
        assert name is not None, "a part has the name of its commit"
        for place in read_commit(store, name)["places"]:
            if (place["ordinal"], place["variant"]) in wanted:
                found.update({path: (size, digest) for path, (size, digest) in place["files"].items()})
    return found


def _sample(row: Json, split: Split, files: _Files) -> Sample:
    pictures = tuple(files.picture(path) for path in shown_by(row))
    chip = files.chip_of(row, pictures)
    return Sample(row=row, split=split, pictures=pictures, chip=chip, sidecar=files.sidecar(chip))


def shown_by(row: Json) -> list[str]:
    """Paths of the pictures that a row shows, in order."""
    return [part["image"] for message in row["messages"] for part in message["content"] if part["type"] == "image"]


class _Files:
    """Pictures and sidecars of a tree, held while rows of one chip follow each other."""

    def __init__(self, store: Store, named: Named) -> None:
        self._store, self._named = store, named
        self._held: dict[str, Any] = {}
        self._tile = ""

    def picture(self, path: str) -> Picture:
        if path not in self._held:
            self._held[path] = Picture(path, self._read(path))
        picture: Picture = self._held[path]
        return picture

    def chip_of(self, row: Json, pictures: tuple[Picture, ...]) -> str:
        """Path of the chip of a row; what was held for another one is let go."""
        tile = str(row["tile_id"])
        if tile != self._tile:
            kept = {picture.path: picture for picture in pictures}
            self._held, self._tile = dict(kept), tile
        shown = next((picture.path for picture in pictures if picture.path.startswith("images/")), None)
        if shown is not None:
            return shown
        folder = pictures[0].path.split("/")[1]
        return f"images/{folder}/{tile}.png"

    def sidecar(self, chip: str) -> Json:
        path = f"metadata/{chip.removeprefix('images/').rpartition('.')[0]}.json"
        if path not in self._held:
            self._held[path] = orjson.loads(self._read(path))
        sidecar: Json = self._held[path]
        return sidecar

    def _read(self, path: str) -> bytes:
        """A file as its commit tells it."""
        told = self._named.get(path)
        if told is None:
            raise Corrupt(f"{path[:200]} is shown by a row, and no commit names it: run nutonic verify --deep")
        try:
            data = self._store.get(path)
        except FileNotFoundError:
            raise Corrupt(f"{path[:200]} is missing: run nutonic verify --fix, and build again") from None
        if (len(data), sha256(data)) != told:
            raise Corrupt(f"{path[:200]} is not what was written: run nutonic verify --fix, and build again")
        return data


def _size_of(data: bytes) -> tuple[int, int]:
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    import io

    from PIL import Image

    with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as picture:
        return picture.size
