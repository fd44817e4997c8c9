"""Plans on disk: a header, scenes, rejects and batches, one JSON object a line, and a last line that proves the rest.

A plan is one file, so it is there whole or not at all; it can be read and cut in two. It is read in pieces: the scenes,
the rejects and one batch are in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from nutonic.core.model import SPLITS, Asset, Batch, Json, PlannedPlace, Poi, Reject, Scene
from nutonic.core.showing import Shown
from nutonic.errors import Corrupt, NotNutonic
from nutonic.io.objects import Store, sha256
from nutonic.planning.layout import META, PLAN, default_id, variant_id


class Writable(Protocol):
    """What a plan must offer to be written."""

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """Places that will not be built."""
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


def plan_bytes(plan: Writable, recipe: str, items: bytes | None = None) -> bytes:
    """A plan as the bytes of its file, with the text of the recipe it was made from.

    `items` are the catalogue's items behind it, as GeoParquet, which are kept beside it; see :func:`items_path`.
    """
    content = bytearray()  # joining would hold all lines, and orjson's are larger than they look
    for line in _lines(plan, recipe, items):
        content += line
    return bytes(content)


def items_path(items: bytes) -> str:
    """Where a plan's items lie: under a name of their own, since two drivers may find different ones."""
    return f"{META}/items-{sha256(items)[:12]}.parquet"


def _lines(plan: Writable, recipe: str, items: bytes | None) -> Iterator[bytes]:
    whole = hashlib.sha256()
    beside = {"items": None if items is None else {"path": items_path(items), "sha256": sha256(items)}}
    for kind, value in _parts(plan, {**plan.header(), **beside}, recipe):
        line = orjson.dumps({"kind": kind, **value}, option=orjson.OPT_APPEND_NEWLINE)
        whole.update(line)
        yield line
    yield orjson.dumps({"kind": "end", "sha256": whole.hexdigest()}, option=orjson.OPT_APPEND_NEWLINE)


def _parts(plan: Writable, header: Json, recipe: str) -> Iterator[tuple[str, Json]]:
    scenes = plan.scenes()
    numbers = _Numbers(scenes)
    yield "plan", header
    yield "recipe", {"text": recipe}
    yield from (("scene", _as_json(replace(scene, item=None))) for scene in scenes)
    yield from (("reject", _as_json(reject)) for reject in plan.rejects)
    yield from (("batch", _batch_json(batch, numbers)) for batch in plan.batches())


def _as_json(value: Any) -> Json:
    return dict(orjson.loads(orjson.dumps(value)))


class _Numbers:
    """Positions of scenes in the plan; looked up once for each tuple of them, since many places share one."""

    def __init__(self, scenes: list[Scene]) -> None:
        self._number = {scene: i for i, scene in enumerate(scenes)}
        self._known: dict[int, tuple[tuple[Scene, ...], list[int]]] = {}

    def of(self, scenes: tuple[Scene, ...]) -> list[int]:
        known = self._known.get(id(scenes))
        if known is None:  # kept with the tuple itself, so that its id stays its own
            known = self._known[id(scenes)] = (scenes, [self._number[scene] for scene in scenes])
        return known[1]


def _batch_json(batch: Batch, numbers: _Numbers) -> Json:
    """Places as columns, those that say nothing left out: about 60 bytes a place."""
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlanFile(Shown):
    """A plan read from a store: header and scenes in memory, batches as they are asked for."""

    store: Store
    digest: str
    """SHA-256 (hex) of all its lines but the last, which holds it: what commits say they belong to."""
    header: Json
    recipe: str
    """The recipe's text, YAML."""
    scenes: tuple[Scene, ...]
    rejects: tuple[Reject, ...]

    def _facts(self) -> Json:
        counts = {name: self.header.get(name) for name in ("places", "batches", "tiles")}
        return {"name": self.header.get("name"), **counts, "scenes": len(self.scenes), "rejects": len(self.rejects)}

    @property
    def beside(self) -> dict[str, str]:
        """Path and SHA-256 of the files that belong to the plan."""
        items = self.header.get("items")
        return {items["path"]: items["sha256"]} if items else {}

    def batches(self) -> Iterator[Batch]:
        """The batches in order, one at a time."""
        known: dict[tuple[int, ...], tuple[Scene, ...]] = {}
        for value in _values(self.store):
            if value["kind"] == "batch":
                yield self._batch(value, known)

    def _batch(self, value: Json, known: dict[tuple[int, ...], tuple[Scene, ...]]) -> Batch:
        def scenes(numbers: list[int]) -> tuple[Scene, ...]:
            key = tuple(numbers)
            return known.setdefault(key, tuple(self.scenes[i] for i in key))

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
    variants, kept = value.get("variant") or [0] * count, value.get("place") or [{}] * count
    columns = zip(bases, value["ordinal"], variants, value["lon"], value["lat"], kept, strict=True)
    for base, ordinal, variant, lon, lat, place in columns:
        yield Poi(
            id=variant_id(base, variant),
            base_id=base,
            ordinal=ordinal,
            variant=variant,
            lon=lon,
            lat=lat,
            place=tuple(place.items()),
        )


def read_plan(store: Store) -> PlanFile:
    """Open the plan of a tree.

    Raises
    ------
    NotNutonic
        If there is none.
    Corrupt
        If it is not what was written.
    """
    header: Json = {}
    recipe, digest = "", _checked(store)
    scenes: list[Scene] = []
    rejects: list[Reject] = []
    for value in _values(store):
        kind = value.pop("kind")
        if kind == "plan":
            header = value
        elif kind == "recipe":
            recipe = value["text"]
        elif kind == "scene":
            scenes.append(_scene(value))
        elif kind == "reject":
            rejects.append(Reject(**value))
    return PlanFile(
        store=store, digest=digest, header=header, recipe=recipe, scenes=tuple(scenes), rejects=tuple(rejects)
    )


def digest_of(store: Store) -> str | None:
    """The digest of the plan that is there now, by its last line alone; None if there is none or it is cut off."""
    try:
        *_, last = store.tail(PLAN, 200).splitlines()
        return str(_loads(last)["sha256"])
    except (FileNotFoundError, ValueError, KeyError, Corrupt):
        return None


def _scene(value: Json) -> Scene:
    assets = tuple(
        Asset(**{**asset, "transform": tuple(asset["transform"]), "shape": tuple(asset["shape"])})
        for asset in value.pop("assets")
    )
    return Scene(**value, assets=assets)


def _checked(store: Store) -> str:
    """The digest that the plan's last line holds, found to be that of all before it."""
    whole, last = hashlib.sha256(), b""
    for line in _lines_of(store):
        whole.update(last)
        last = line
    if last != orjson.dumps({"kind": "end", "sha256": whole.hexdigest()}, option=orjson.OPT_APPEND_NEWLINE):
        raise _corrupt()
    return whole.hexdigest()


def _values(store: Store) -> Iterator[Json]:
    """The plan's lines as JSON."""
    yield from map(_loads, _lines_of(store))


def _lines_of(store: Store) -> Iterator[bytes]:
    """Lines with their ends; a last one without is no line."""
    rest = b""
    try:
        for piece in store.pieces(PLAN):
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line + b"\n" for line in lines)
    except FileNotFoundError:
        raise NotNutonic(f"{store.root} holds no {PLAN}: it was not made by nutonic") from None
    if rest:
        raise _corrupt()


def _corrupt() -> Corrupt:
    return Corrupt(f"{PLAN} is not what was written: build again with --replan")


def _loads(line: bytes) -> Json:
    try:
        return dict(orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise _corrupt() from None
