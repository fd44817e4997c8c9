"""Commits: a place is done if, and only if, a commit file names it.

A place's files are written first, then its commit is created. If two drivers write the same commit, one of them wins;
both wrote the same bytes. A whole batch has one commit, ``000012.json``. If some of its places failed or were left for
later, each finished place has its own, ``000012-003.json``. Readers take the union of both; where a whole batch is
committed, the commits of its single places do not count.

The rows of a commit's places are in a file beside it, the part, with one gzip member for each place. They are read by
place whenever ``data/`` is sorted again: as a build goes on, a limit is raised, or places are repaired. Packed, they take
2 % of the demo's dataset, where they took 11 % unpacked; with the tiny chips of the test planet 4 % instead of 37 %.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import deflate
import orjson

from nutonic.core.model import Json, Reject, RemotePin
from nutonic.errors import Corrupt
from nutonic.io.objects import Store, sealed, sha256, unsealed
from nutonic.planning.layout import COMMITS, CommitName, commit_name, named
from nutonic.planning.ownership import files_of
from nutonic.planning.pins import pins_from, pins_json

#: The task of rows that are captions, which may be said in other words.
CAPTION = "caption"

#: Compression level of libdeflate; higher ones take longer, and rows get hardly smaller.
_LEVEL = 6


class ChipDone(NamedTuple):
    """What a commit tells of an original chip, so that nobody need open its picture for it."""

    dhash: str
    """Its difference hash, 16 hex digits: :func:`nutonic.chips.likeness.difference_hash`."""
    labelled: int
    """Pixels of its mask that have a class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceDone:
    """A finished place: its rows, the files that were written for it, and its rejects."""

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
    """Its lines of JSONL, not packed."""
    files: Mapping[str, tuple[int, str]]
    """Size in bytes and SHA-256 (hex) of each file, by path."""
    rejects: tuple[Reject, ...]
    tasks: Mapping[str, int] = field(default_factory=dict)
    """Number of rows, by task."""
    classes: Mapping[int, int] = field(default_factory=dict)
    """Number of pixels in the masks of the original views, by class id."""
    chips: Mapping[int, ChipDone] = field(default_factory=dict)
    """The original views, by the index of their tile."""
    remote: Mapping[str, RemotePin] = field(default_factory=dict)
    """What the remote files were that were read for it, by key; its commit tells them, for all of its places together."""
    captions: tuple[Json, ...] = ()
    """Where its polished captions came from: see :func:`nutonic.dataset.amend.polish.kept`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The batches and single places that are committed, by the names of the commits."""

    whole: frozenset[int]
    single: frozenset[tuple[int, int]]
    polished: frozenset[CommitName] = frozenset()
    """Commits whose captions are polished; they are among the others too, and count instead of the first ones."""

    def has(self, batch: int, place: int) -> bool:
        """Whether a place is done."""
        return batch in self.whole or (batch, place) in self.single

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.whole) + len(self.single)

    def digest(self) -> str:
        """SHA-256 (hex) of the commits' names; a summary with another digest is out of date."""
        polished = [sorted(name.text for name in self.polished)] if self.polished else []
        return sha256(repr((sorted(self.whole), sorted(self.single), *polished)).encode())

    def all_names(self) -> Iterator[CommitName]:
        """The names of all commits."""
        for batch, place in (*((batch, None) for batch in sorted(self.whole)), *sorted(self.single)):
            for polished in (False, True):
                name = named(batch, place, polished=polished)
                if not polished or name in self.polished:
                    yield name

    def takes_effect(self, name: CommitName) -> bool:
        """Whether a commit counts: that of a single place does not if its whole batch is committed.

        Nor does one whose captions are polished in another. The part of such a commit may be missing, if a slower driver
        made it; one of which there is a polished one may be gone itself.
        """
        if not name.polished and named(name.batch, name.place, polished=True) in self.polished:
            return False
        return name.place is None or name.batch not in self.whole


def committed(store: Store) -> Committed:
    """The commits of a store; only their names are read."""
    names = [name for path, _ in store.sizes(COMMITS) if (name := commit_name(path)) is not None]
    return Committed(
        whole=frozenset(name.batch for name in names if name.place is None),
        single=frozenset((name.batch, name.place) for name in names if name.place is not None),
        polished=frozenset(name for name in names if name.polished),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The digests of the recipe and of the plan that a commit was made from, which it records."""

    recipe_digest: str
    plan_digest: str


def commit(
    store: Store, batch: int, places: Iterable[PlaceDone], origin: Origin, *, whole: bool, polished: bool = False
) -> Landed:
    """Put the rows of finished places and commit them, together or each alone."""
    name_of = partial(named, batch, polished=polished)
    groups = [(name_of(), list(places))] if whole else [(name_of(place.index), [place]) for place in places]
    landed = [(_commit_one(store, name, group, origin), group) for name, group in groups]
    theirs = frozenset(place.index for size, group in landed if size is None for place in group)
    return Landed(sum(size or 0 for size, _ in landed), theirs)


class Landed(NamedTuple):
    """What became of commits."""

    bytes: int = 0
    """That were written for those that are this caller's."""
    theirs: frozenset[int] = frozenset()
    """Positions of the places that somebody else had committed by then, with the same bytes."""


def _commit_one(store: Store, name: CommitName, places: list[PlaceDone], origin: Origin) -> int | None:
    """Commit some places; the bytes that were written for them, None where somebody else had done so by then."""
    members = [packed(place.rows) for place in places]
    rows, part = b"".join(members), {}
    if rows:
        store.put(name.part, rows)
        part[name.part] = (len(rows), sha256(rows))
    starts = accumulate(map(len, members), initial=0)
    entries = [_entry(place, start, len(member)) for place, start, member in zip(places, starts, members, strict=False)]
    pins = {key: pin for place in reversed(places) for key, pin in place.remote.items()}
    remote = {"remote": pins_json(pins)} if pins else {}
    made_of = {"recipe_digest": origin.recipe_digest, "plan": origin.plan_digest}
    value = {"commit": name.text, **made_of, "part": part, **remote, "places": entries}
    content = sealed(value)
    if not store.create(name.path, content):
        return None
    return sum(size for size, _ in files_of(value).values()) + len(content)


def packed(rows: bytes) -> bytes:
    """Rows as a gzip member, which tells neither when nor where it was made; nothing where there are none."""
    return bytes(deflate.gzip_compress(rows, _LEVEL)) if rows else b""


def unpacked(member: bytes, part: str, size: int) -> bytes:
    """The rows of a member of a part; :class:`Corrupt` if they are not of `size` bytes, and then no more are unpacked."""
    stream = zlib.decompressobj(wbits=31)  # gzip
    try:
        rows = stream.decompress(member, size + 1)
    except zlib.error:
        rows = b""
    if len(rows) != size or not stream.eof or stream.unused_data:
        raise Corrupt(f"{part} is not what was written: run nutonic verify with --fix, and build again")
    return rows


def _entry(place: PlaceDone, start: int, length: int) -> Json:
    return {
        "index": place.index,
        "poi_id": place.poi_id,
        "ordinal": place.ordinal,
        "variant": place.variant,
        "split": place.split,
        "item_id": place.item_id,
        "tiles": place.tiles,
        "rows": {"start": start, "length": length, "size": len(place.rows), "tasks": dict(place.tasks)},
        "classes": {str(class_id): count for class_id, count in place.classes.items()},
        "chips": {str(tile): chip._asdict() for tile, chip in place.chips.items()},
        "rejects": [{"tile_id": r.tile_id, "reason": r.reason, "detail": r.detail} for r in place.rejects],
        "files": dict(place.files),
        **({"captions": list(place.captions)} if place.captions else {}),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedPlace:
    """One place as its commit tells it."""

    content: Json
    name: CommitName
    """Of the commit, and so of the part that holds its rows."""

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


def read_commits(store: Store, done: Committed) -> Iterator[tuple[CommitName, Json]]:
    """Name and content of every listed commit that counts, each read once.

    Raises
    ------
    Corrupt
        Where one is not what was written.
    """
    for name in filter(done.takes_effect, done.all_names()):
        yield name, read_commit(store, name)


def read_commit(store: Store, name: CommitName) -> Json:
    """The content of a commit; :class:`Corrupt` if it is not what was written, or that of another name."""
    content = unsealed(store.get(name.path), name.path)
    if content.get("commit") != name.text or not {"part", "places"} <= content.keys():
        raise Corrupt(f"{name.path} holds commit {content.get('commit')}: it was copied or renamed")
    return content


def pins_told(content: Json) -> dict[str, RemotePin]:
    """What the remote files were that a commit was made from, by key."""
    try:
        return pins_from(content.get("remote") or {})
    except (TypeError, ValueError, AttributeError):
        raise Corrupt(
            f"commit {content.get('commit')} tells of remote files what is no pin: run nutonic verify"
        ) from None


def place_done(place: Json, rows: bytes) -> PlaceDone:
    """A place as it was passed to :func:`commit`, from its entry and its rows."""
    identity = ("index", "poi_id", "ordinal", "variant", "split", "item_id", "tiles")
    return PlaceDone(
        **{name: place[name] for name in identity},
        rows=rows,
        files={path: (size, digest) for path, (size, digest) in place["files"].items()},
        rejects=tuple(Reject(poi_id=place["poi_id"], **reject) for reject in place["rejects"]),
        tasks=place["rows"]["tasks"],
        classes={int(class_id): count for class_id, count in place["classes"].items()},
        chips={int(tile): ChipDone(**chip) for tile, chip in place.get("chips", {}).items()},
        captions=tuple(place.get("captions", ())),
    )


def is_canonical(entry: CommittedPlace, rows: bytes) -> bool:
    """Whether an entry is, key by key, what :func:`commit` writes of a place with these rows."""
    told = entry.content
    written = _entry(place_done(told, rows), told["rows"]["start"], told["rows"]["length"])
    return orjson.dumps(written) == orjson.dumps(told)


def entries_of(name: CommitName, content: Json) -> list[CommittedPlace]:
    """The places of a commit."""
    return [CommittedPlace(content=place, name=name) for place in content["places"]]
