"""Commits: what is done is what a commit file names, and nothing else exists.

Payload files are put first, then one commit is created; of two writers one wins, and both wrote the same bytes. A whole
batch commits as ``000012.json``; where some of its places failed or were left for later, each finished place commits alone
as ``000012-003.json``. Readers take the union by place; beside a whole batch's commit, those of its places do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nutonic.core.model import Json, Reject
from nutonic.errors import Corrupt
from nutonic.io.objects import Store, sealed, sha256, unsealed
from nutonic.planning.layout import COMMITS, PARTS

_PATH = re.compile(rf"{COMMITS}/(?P<text>(?P<batch>[0-9]{{6,}})(?:-(?P<place>[0-9]{{3}}))?)\.json")


@dataclass(frozen=True, slots=True)
class CommitName:
    """What a commit's name tells."""

    text: str
    """``000012`` or ``000012-003``."""
    batch: int
    place: int | None
    """Position within its batch; None where the whole batch is committed."""

    @property
    def whole(self) -> str:
        """The name of its whole batch's commit."""
        return self.text.partition("-")[0]


def commit_name(path: str) -> CommitName | None:
    """The name of the commit that lies at a path of a tree; None where no commit lies."""
    parts = _PATH.fullmatch(path)
    if parts is None:
        return None
    place = parts["place"]
    return CommitName(parts["text"], int(parts["batch"]), None if place is None else int(place))


def _names(store: Store) -> dict[str, CommitName]:
    """Path and name of every commit, in order."""
    paths = sorted(path for path, _ in store.sizes(COMMITS))
    return {path: name for path in paths if (name := commit_name(path)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceDone:
    """A finished place: what was written for it, and what was rejected."""

    index: int
    """Position within its batch."""
    poi_id: str
    ordinal: int
    variant: int
    split: str
    item_id: str | None
    """The scene that was used; None for a rejected place."""
    tiles: int
    rows: bytes
    """Its lines of JSONL."""
    files: Mapping[str, tuple[int, str]]
    """Path to size and SHA-256."""
    rejects: tuple[Reject, ...]
    tasks: Mapping[str, int] = field(default_factory=dict)
    """Task to number of rows."""
    classes: Mapping[int, int] = field(default_factory=dict)
    """Class id to pixels of the original views' masks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """Which places of which batches are committed; from the listing alone."""

    whole: frozenset[int]
    single: frozenset[tuple[int, int]]

    def has(self, batch: int, place: int) -> bool:
        """Whether a place is done."""
        return batch in self.whole or (batch, place) in self.single

    def digest(self) -> str:
        """SHA-256 (hex) of what is committed; a summary that holds another one is out of date."""
        return sha256(repr((sorted(self.whole), sorted(self.single))).encode())


def committed(store: Store) -> Committed:
    """What a store's commits say is done; reads names only."""
    names = _names(store).values()
    return Committed(
        whole=frozenset(name.batch for name in names if name.place is None),
        single=frozenset((name.batch, name.place) for name in names if name.place is not None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a commit was made from; stands in it."""

    recipe_digest: str
    plan: str
    """The plan's digest."""


def commit(store: Store, batch: int, places: Iterable[PlaceDone], origin: Origin, *, whole: bool) -> int:
    """Put the rows of finished places and commit them, together or each alone; returns the bytes written."""
    groups = [(f"{batch:06d}", list(places))] if whole else [(f"{batch:06d}-{p.index:03d}", [p]) for p in places]
    return sum(_commit_one(store, name, group, origin) for name, group in groups)


def _commit_one(store: Store, name: str, places: list[PlaceDone], origin: Origin) -> int:
    part, rows = f"{PARTS}/{name}.jsonl", b"".join(place.rows for place in places)
    files: dict[str, tuple[int, str]] = {path: entry for place in places for path, entry in place.files.items()}
    if rows:
        store.put(part, rows)
        files[part] = (len(rows), sha256(rows))
    entries, start = [], 0
    for place in places:
        entries.append(_entry(place, start))
        start += len(place.rows)
    content = sealed({"commit": name, **asdict(origin), "files": files, "places": entries})
    store.create(f"{COMMITS}/{name}.json", content)
    return sum(size for size, _ in files.values()) + len(content)


def _entry(place: PlaceDone, start: int) -> Json:
    return {
        "index": place.index,
        "poi_id": place.poi_id,
        "ordinal": place.ordinal,
        "variant": place.variant,
        "split": place.split,
        "item_id": place.item_id,
        "tiles": place.tiles,
        "rows": {"start": start, "length": len(place.rows), "tasks": dict(place.tasks)},
        "classes": {str(class_id): count for class_id, count in place.classes.items()},
        "rejects": [{"tile_id": r.tile_id, "reason": r.reason, "detail": r.detail} for r in place.rejects],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedPlace:
    """One place as its commit tells it."""

    content: Json
    part: str
    """The JSONL part that holds its rows."""

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    @property
    def order(self) -> tuple[int, int]:
        """What places are sorted by in the dataset: ordinal, variant."""
        return self.content["ordinal"], self.content["variant"]

    @property
    def rows(self) -> int:
        """How many rows the place has."""
        return sum(self.content["rows"]["tasks"].values())


def read_commits(store: Store) -> Iterator[tuple[str, Json]]:
    """Path and content of every commit that counts, by name; :class:`Corrupt` where one is not what was written.

    A place's own commit does not count where its whole batch is committed: a slower driver may have lost its part.
    """
    names = {path: name for path, name in _names(store).items() if store.is_file(path)}
    whole = {name.text for name in names.values() if name.place is None}
    for path, name in names.items():
        if name.place is not None and name.whole in whole:
            continue
        content = unsealed(store.get(path), path)
        if content.get("commit") != name.text or not {"files", "places"} <= content.keys():
            raise Corrupt(f"{path} holds commit {content.get('commit')}: it was copied or renamed")
        yield path, content


def entries(store: Store) -> Iterator[CommittedPlace]:
    """Every committed place, commit by commit."""
    for _, content in read_commits(store):
        part = f"{PARTS}/{content['commit']}.jsonl"
        yield from (CommittedPlace(content=place, part=part) for place in content["places"])
