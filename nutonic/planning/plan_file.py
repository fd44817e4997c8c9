"""Plans on disk: one file of JSON lines, an index at its end, and a last line that proves head and index.

First come a header, the recipe, scenes and rejects, one object a line; then the batches, one a line; then the index (bytes
and hash of each batch line, ordinals of its places); then the end, with the SHA-256 of all but the batch lines: the plan's
digest, which by the index covers each batch too. A plan is one file, so it is there whole or not at all, and can be cut up
with any tool. Opening it reads its tail and its head; counting places needs the index alone; batches are read once, in
order, about a megabyte at a time, each checked against its hash.

Parquet with a row group for each batch would be no lighter to open: the footer of 31,250 row groups of 32 places, which
every reader reads whole before the first of them, takes 27 MB, against 9 MB of index here.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import orjson

from nutonic.core.model import SPLITS, Asset, Batch, Json, PlannedPlace, Poi, Reject, Scene
from nutonic.core.showing import ShortRepr
from nutonic.errors import Corrupt, NotNutonic, StoreError
from nutonic.io.objects import Store, sha256
from nutonic.lazily import lazily
from nutonic.planning.layout import META, PLAN, default_id, variant_id
from nutonic.planning.pins import pins_of
from nutonic.planning.planned import PlannedPlaces

#: Batches are read in pieces of about this many bytes.
_PIECE = 2**20

#: Bytes that are read from the end at first: enough for an index of some two thousand places; more takes a second read.
_TAIL = 32 * 2**10

#: What stands before the ordinals in the index.
_ORDINALS = b'"ordinals":['

#: The last line alone is no longer than this.
_END = 128

#: Hexadecimal digits of a batch line's hash that the index holds.
_DIGITS = 16


class Writable(Protocol):
    """What a plan must offer to be written."""

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """Places that will not be built."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """Local input files beside those of scenes."""
        ...

    def header(self) -> Json:
        """Counts and digests."""
        ...

    def scenes(self) -> list[Scene]:
        """Every scene that any batch uses, once."""
        ...

    def batches(self) -> Iterator[Batch]:
        """The batches in order."""
        ...


@dataclass(frozen=True, slots=True)
class PlanLines:
    """A plan as the lines of its file, made whenever they are asked for: of a million places they are 60 MB."""

    plan: Writable
    recipe: str
    """The text of the recipe it was made from."""
    items: bytes | None = None
    """The catalogue's items behind it, as GeoParquet, which are kept beside it; see :func:`items_path`."""
    remote: Json | None = None
    """The pins of remote inputs that planning was told of; see :func:`nutonic.planning.remote.planned_pins`."""

    def __iter__(self) -> Iterator[bytes]:
        return _lines(self.plan, self.recipe, self.items, self.remote)

    def are_in(self, store: Store) -> bool:
        """Whether a tree's plan is just these lines."""
        if not store.is_file(PLAN):
            return False
        with store.open(PLAN) as file:
            return all(file.read(len(line)) == line for line in self) and not file.read(1)


def items_path(items: bytes) -> str:
    """Path of a plan's items, named by their hash, since two drivers may find different ones."""
    return f"{META}/items-{sha256(items)[:12]}.parquet"


def _lines(plan: Writable, recipe: str, items: bytes | None, remote: Json | None) -> Iterator[bytes]:
    proof, head, index = hashlib.sha256(), 0, _IndexWriter()
    beside: Json = {"items": None if items is None else {"path": items_path(items), "sha256": sha256(items)}}
    scenes = plan.scenes()
    beside["inputs"] = pins_of(scenes, plan.files)
    if remote:
        beside["remote"] = remote
    for kind, value in _head(plan, scenes, {**plan.header(), **beside}, recipe):
        line = _line(kind, value)
        proof.update(line)
        head += len(line)
        yield line
    numbers = _Numbers(scenes)
    for batch in plan.batches():
        line = _line("batch", _batch_json(batch, numbers))
        index.add(batch, line)
        yield line
    last = index.line(head)
    proof.update(last)
    yield last
    yield _end(proof.hexdigest(), len(last))


def _head(plan: Writable, scenes: list[Scene], header: Json, recipe: str) -> Iterator[tuple[str, Json]]:
    yield "plan", header
    yield "recipe", {"text": recipe}
    yield from (("scene", _as_json(replace(scene, item=None))) for scene in scenes)
    yield from (("reject", _as_json(reject)) for reject in plan.rejects)


def _line(kind: str, value: Json) -> bytes:
    return orjson.dumps({"kind": kind, **value}, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)


def _end(digest: str, index: int) -> bytes:
    """The last line; `index` is the length of the one before it."""
    return _line("end", {"index": index, "sha256": digest})


class _IndexWriter:
    """The index of batches, as they are written."""

    def __init__(self) -> None:
        self._bytes, self._places, self._ordinals = array("q"), array("q"), array("q")
        self._digests: list[str] = []

    def add(self, batch: Batch, line: bytes) -> None:
        self._bytes.append(len(line))
        self._digests.append(sha256(line)[:_DIGITS])
        self._places.append(len(batch.places))
        self._ordinals.extend(place.poi.ordinal for place in batch.places)

    def line(self, head: int) -> bytes:
        """The index; `head` is the number of bytes before the first batch."""
        columns = {"bytes": self._bytes, "places": self._places, "ordinals": self._ordinals}
        arrays = {name: np.array(column, np.int64) for name, column in columns.items()}
        return _line("index", {"head": head, **arrays, "sha256": self._digests})


def _as_json(value: Any) -> Json:
    return dict(orjson.loads(orjson.dumps(value)))


class _Numbers:
    """Positions of scenes in the plan; looked up once for each tuple of scenes, since many places share one."""

    def __init__(self, scenes: list[Scene]) -> None:
        self._number = {scene: i for i, scene in enumerate(scenes)}
        self._entries: dict[int, tuple[tuple[Scene, ...], list[int]]] = {}

    def of(self, scenes: tuple[Scene, ...]) -> list[int]:
        entry = self._entries.get(id(scenes))
        if entry is None:  # the entry holds the tuple, so that no other object can get its id
            entry = self._entries[id(scenes)] = (scenes, [self._number[scene] for scene in scenes])
        return entry[1]


def _batch_json(batch: Batch, numbers: _Numbers) -> Json:
    """Places as columns, those of nothing but defaults left out: about 60 bytes a place."""
    pois = [place.poi for place in batch.places]
    columns: Json = {
        "index": batch.index,
        "ordinal": [poi.ordinal for poi in pois],
        "lon": [poi.lon for poi in pois],
        "lat": [poi.lat for poi in pois],
        "split": [SPLITS.index(place.split) for place in batch.places],
        "imagery": [numbers.of(place.imagery) for place in batch.places],
        "labels": [numbers.of(place.labels) for place in batch.places],
    }
    if any(poi.variant for poi in pois):
        columns["variant"] = [poi.variant for poi in pois]
    if any(poi.base_id != default_id(poi.ordinal) for poi in pois):
        columns["base_id"] = [poi.base_id for poi in pois]
    if any(poi.place for poi in pois):
        columns["place"] = [dict(poi.place) for poi in pois]
    return columns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanIndex:
    """Where the batches of a plan lie, and whose places they hold; some nine bytes a place."""

    offsets: np.ndarray
    """First byte of each batch's line in the file, then the end of the last; int64."""
    digests: tuple[str, ...]
    """First 16 hexadecimal digits of each line's SHA-256."""
    starts: np.ndarray
    """First place of each batch, and the number of places at the end; int64."""
    ordinals: np.ndarray
    """Of each place, in the order of the batches; int64."""

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.digests)

    @classmethod
    def of(cls, value: Json, ordinals: np.ndarray) -> PlanIndex:
        """The index, from what its line says beside the ordinals."""
        return cls(
            offsets=value["head"] + _sums(value["bytes"]),
            digests=tuple(value["sha256"]),
            starts=_sums(value["places"]),
            ordinals=ordinals,
        )


def _sums(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


@dataclass(frozen=True, kw_only=True, repr=False)
class PlanFile(ShortRepr):
    """A plan read from a store: head and index in memory, batches as they are asked for."""

    store: Store
    digest: str
    """SHA-256 (hex) of head and index, which the last line holds; commits name their plan by it."""
    header: Json
    recipe: str
    """The recipe's text, YAML."""
    scenes: tuple[Scene, ...]
    rejects: tuple[Reject, ...]
    index: PlanIndex

    def _facts(self) -> Json:
        counts = {name: self.header.get(name) for name in ("places", "batches", "scenes", "tiles")}
        return {"name": self.header.get("name"), **counts, "rejects": len(self.rejects)}

    @property
    def beside(self) -> dict[str, str]:
        """Path and SHA-256 of the files that belong to the plan."""
        told = (self.header.get("items"), self.header.get("osm"))
        return {each["path"]: each["sha256"] for each in told if each}

    @lazily
    def planned(self) -> PlannedPlaces:
        """The places by id; their first use reads all batches."""
        return PlannedPlaces(self.batches)

    def batches(self, only: Iterable[int] | None = None) -> Iterator[Batch]:
        """The batches in order, one at a time: all, or those whose numbers are in `only`, ascending.

        Raises
        ------
        Corrupt
            If a batch is not what was written.
        StoreError
            If another plan has taken this one's place.
        """
        scenes_by_key: dict[tuple[int, ...], tuple[Scene, ...]] = {}
        for line in self._batch_lines(range(len(self.index)) if only is None else only):
            with _as_written():
                batch = self._batch(_loads(line), scenes_by_key)
            yield batch

    def _batch_lines(self, numbers: Iterable[int]) -> Iterator[bytes]:
        offsets = self.index.offsets.tolist()
        for first, stop in _pieces(numbers, offsets):
            start = offsets[first]
            piece = self._read(start, offsets[stop] - start)
            for number in range(first, stop):
                line = piece[offsets[number] - start : offsets[number + 1] - start]
                if sha256(line)[:_DIGITS] != self.index.digests[number]:
                    raise self._changed()
                yield line

    def _read(self, start: int, length: int) -> bytes:
        try:
            return self.store.get_range(PLAN, start, length)
        except StoreError:  # as where a shorter plan lies there by now
            if digest_of(self.store) == self.digest:
                raise
            raise self._changed() from None

    def _changed(self) -> StoreError:
        if digest_of(self.store) == self.digest:
            return _corrupt()
        return StoreError(f"the plan in {self.store.root} was replaced while it was built: run the same command again")

    def _batch(self, value: Json, scenes_by_key: dict[tuple[int, ...], tuple[Scene, ...]]) -> Batch:
        def scenes(numbers: list[int]) -> tuple[Scene, ...]:
            key = tuple(numbers)
            return scenes_by_key.setdefault(key, tuple(self.scenes[i] for i in key))

        places = tuple(
            PlannedPlace(
                poi=poi,
                split=SPLITS[value["split"][i]],
                imagery=scenes(value["imagery"][i]),
                labels=scenes(value["labels"][i]),
            )
            for i, poi in enumerate(_pois(value))
        )
        return Batch(index=value["index"], places=places)


def _pois(value: Json) -> Iterator[Poi]:
    count = len(value["ordinal"])
    bases = value.get("base_id") or [default_id(ordinal) for ordinal in value["ordinal"]]
    variants, keep_values = value.get("variant") or [0] * count, value.get("place") or [{}] * count
    columns = zip(bases, value["ordinal"], variants, value["lon"], value["lat"], keep_values, strict=True)
    for base, ordinal, variant, lon, lat, place in columns:
        if not (isinstance(base, str) and type(ordinal) is int and {type(lon), type(lat)} <= {int, float}):
            raise _corrupt()
        yield Poi(
            id=variant_id(base, variant),
            base_id=base,
            ordinal=ordinal,
            variant=variant,
            lon=lon,
            lat=lat,
            place=tuple(place.items()),
        )


def _pieces(numbers: Iterable[int], offsets: list[int]) -> Iterator[tuple[int, int]]:
    """First and end of runs of batches that are read together."""
    first = stop = -1
    for number in numbers:
        if number != stop or offsets[number + 1] - offsets[first] > _PIECE:
            if stop > first:
                yield first, stop
            first = number
        stop = number + 1
    if stop > first:
        yield first, stop


def read_plan(store: Store) -> PlanFile:
    """Open the plan of a tree: its tail and its head are read.

    Raises
    ------
    NotNutonic
        If there is none.
    Corrupt
        If head or index is damaged; batches are checked when they are read.
    """
    digest, index = _tail(store)
    begin = index.find(_ORDINALS) + len(_ORDINALS)
    end = index.find(b"]", begin)
    try:
        value = _loads(index[:begin] + index[end:])  # of a million places as many objects are saved
        head = store.get_range(PLAN, 0, value["head"])
    except (KeyError, TypeError, OverflowError, StoreError):
        raise _corrupt() from None
    if sha256(head + index) != digest:
        raise _corrupt()
    with _as_written():
        return _opened(store, digest, head, PlanIndex.of(value, _integers(index[begin:end])))


def _integers(text: bytes) -> np.ndarray:
    """Integers of JSON as an array; ValueError for anything else."""
    if text.translate(None, b"0123456789,-") or re.search(rb"[0-9]{19}", text):
        raise ValueError("no integers of 64 bits")
    numbers = np.fromstring(text, np.int64, sep=",")
    if len(numbers) != (text.count(b",") + 1 if text else 0):
        raise ValueError("no integers")
    return numbers


def _tail(store: Store) -> tuple[str, bytes]:
    """The digest that the last line holds, and the line before it, which is the index."""
    try:
        tail = store.tail(PLAN, _TAIL)
    except FileNotFoundError:
        raise NotNutonic(f"{store.root} holds no {PLAN}: it was not made by nutonic") from None
    digest, length = _ended(tail)
    length_with_end = len(_end(digest, length)) + length
    if length_with_end > len(tail):
        tail = store.tail(PLAN, length_with_end)
    if len(tail) < length_with_end:
        raise _corrupt()
    return digest, tail[-length_with_end:][:length]


def _ended(tail: bytes) -> tuple[str, int]:
    """What the last line says: the digest, and the length of the index."""
    line = tail[tail.rfind(b"\n", 0, -1) + 1 :]
    value = _loads(line)
    digest, length = value.get("sha256"), value.get("index")
    if not isinstance(digest, str) or not isinstance(length, int) or length < 1 or _end(digest, length) != line:
        raise _corrupt()
    return digest, length


def _opened(store: Store, digest: str, head: bytes, index: PlanIndex) -> PlanFile:
    values: dict[str, list[Json]] = {"plan": [], "recipe": [], "scene": [], "reject": []}
    for value in map(_loads, head.splitlines()):
        values[value.pop("kind")].append(value)
    return PlanFile(
        store=store,
        digest=digest,
        header=values["plan"][0],
        recipe=values["recipe"][0]["text"],
        scenes=tuple(map(_scene, values["scene"])),
        rejects=tuple(Reject(**value) for value in values["reject"]),
        index=index,
    )


def digest_of(store: Store) -> str | None:
    """The digest of the plan that is there now, by its last line alone; None if there is none or it is cut off."""
    try:
        return _ended(store.tail(PLAN, _END))[0]
    except (FileNotFoundError, Corrupt):
        return None


def _scene(value: Json) -> Scene:
    assets = tuple(
        Asset(**{**asset, "transform": tuple(asset["transform"]), "shape": tuple(asset["shape"])})
        for asset in value.pop("assets")
    )
    return Scene(**value, assets=assets)


@contextmanager
def _as_written() -> Iterator[None]:
    """Raise :class:`Corrupt` where lines whose digests fit hold what no plan does: somebody has written them anew."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError):
        raise _corrupt() from None


def _corrupt() -> Corrupt:
    return Corrupt(f"{PLAN} is not what was written: build again with --replan")


def _loads(line: bytes) -> Json:
    try:
        return dict(orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise _corrupt() from None
