"""What every form of a pack is: how a shard becomes files, and what is written once all shards are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from nutonic.core.model import SPLITS, Json, Split
from nutonic.dataset.packs.shards import Sample, Shard
from nutonic.dataset.packs.tree import TreeFacts
from nutonic.errors import Corrupt

#: Takes the content of a file of the pack by its path.
Put = Callable[[str, bytes | Iterable[bytes]], object]

#: Keys of a row that forms know; one with others is refused rather than packed without them.
KNOWN = frozenset({"id", "task", "poi_id", "tile_id", "messages", "options", "answer_id", "patch_id", "annotator"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a shard that is there whole."""

    shard: str
    split: Split
    rows: int
    files: Mapping[str, tuple[int, str]]
    """Size in bytes and SHA-256 of each, by path."""
    form_facts: Json
    """What its form tells of it."""

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(size for size, _ in self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """All shards of a pack, written."""

    records: tuple[Record, ...]
    read: Callable[[str], Iterator[bytes]]
    """A file of the pack, in pieces."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """Those that have rows."""
        return tuple(split for split in SPLITS if any(record.split == split for record in self.records))

    def of_split(self, split: Split) -> list[Record]:
        """Those of a split, in order."""
        return [record for record in self.records if record.split == split]

    def rows(self, split: Split) -> int:
        """Number of rows of a split."""
        return sum(record.rows for record in self.of_split(split))

    def chips(self, split: Split) -> int:
        """Number of chips of a split that its rows are about, where the form has told it."""
        return sum(record.form_facts["chips"] for record in self.of_split(split))

    def joined(self, name: str, split: Split) -> Iterator[bytes]:
        """Files of this ending of the shards of a split, one after the other."""
        for record in self.of_split(split):
            for path in record.files:
                if path.endswith(name):
                    yield from self.read(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How a form is loaded, for its card."""

    configs: tuple[Json, ...]
    """The Hub's ``configs``: without any, ``load_dataset`` takes whatever files it knows the ending of."""
    layout: str
    """What lies where, as lines of Markdown."""
    code: str
    """How to load it, as Markdown."""
    of_chips: bool = False
    """Whether an entry that is loaded is a chip; otherwise it is a row."""
    viewer: bool = False
    """Whether the Hub's viewer shows it whole: pictures and text."""


def config_of(shards: Shards, path: str, **parameters: object) -> tuple[Json, ...]:
    """One of the Hub's configurations: of each split the files at `path`, which says ``{split}``."""
    files = [{"split": split, "path": path.format(split=split)} for split in shards.splits]
    return ({"config_name": "default", "data_files": files, **parameters},)


class Form(Protocol):
    """A form of a pack: a frozen value that travels to workers."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    def options(self) -> Json:
        """What of it was chosen, as it is sealed with the pack."""
        ...

    def needs(self) -> tuple[str, ...]:
        """Distributions that write its shards, besides what every worker has: of these all must have the same version."""
        ...

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """Write the files of a shard; what it tells is kept in its record. `samples` come once, a place after the other."""
        ...

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """Write what is made of all shards together."""
        ...

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """How it is loaded."""
        ...


def refuse_unknown(row: Json) -> None:
    """Raise :class:`Corrupt` for a row with keys or parts that no form would carry."""
    odd = sorted(set(row) - KNOWN)
    parts = {part["type"] for message in row["messages"] for part in message["content"]} - {"image", "text"}
    if odd or parts:
        what = f"the key {odd[0]!r:.60}" if odd else f"a part of type {min(parts)!r:.60}"
        raise Corrupt(f"{row.get('id')!r:.80} has {what}, which packs do not know: it was built by another nutonic")
