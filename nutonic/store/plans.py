"""Plans on disk: a header, scenes, rejects and batches, one JSON object a line, and a last line that proves the rest.

A plan is one file, so it is there whole or not at all; it can be read and cut in two. It is read whole and parsed
batch by batch: its bytes, the scenes and one batch are in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from nutonic.errors import Corrupt, NotNutonic
from nutonic.model import Asset, Batch, Json, PlannedPlace, Poi, Reject, Scene
from nutonic.store.files import Store, sha256
from nutonic.store.layout import META, PLAN


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
    return b"".join(_lines(plan, recipe, items))


def items_path(items: bytes) -> str:
    """Where a plan's items lie: under a name of their own, since two drivers may find different ones."""
    return f"{META}/items-{sha256(items)[:12]}.parquet"


def _lines(plan: Writable, recipe: str, items: bytes | None) -> Iterator[bytes]:
    whole = hashlib.sha256()
    scenes = plan.scenes()
    number = {scene: i for i, scene in enumerate(scenes)}
    beside = {"items": None if items is None else {"path": items_path(items), "sha256": sha256(items)}}
    for kind, value in _parts(plan, recipe, scenes, number):
        value = {**value, **beside} if kind == "plan" else value
        line = orjson.dumps({"kind": kind, **value}, option=orjson.OPT_APPEND_NEWLINE)
        whole.update(line)
        yield line
    yield orjson.dumps({"kind": "end", "sha256": whole.hexdigest()}, option=orjson.OPT_APPEND_NEWLINE)


def _parts(plan: Writable, recipe: str, scenes: list[Scene], number: dict[Scene, int]) -> Iterator[tuple[str, Json]]:
    yield "plan", plan.header()
    yield "recipe", {"text": recipe}
    yield from (("scene", _as_json(replace(scene, item=None))) for scene in scenes)
    yield from (("reject", _as_json(reject)) for reject in plan.rejects)
    for batch in plan.batches():
        yield "batch", {"index": batch.index, "places": [_place_json(place, number) for place in batch.places]}


def _as_json(value: Any) -> Json:
    return dict(orjson.loads(orjson.dumps(value)))


def _place_json(place: PlannedPlace, number: dict[Scene, int]) -> Json:
    poi = _as_json(place.poi)
    kept = dict(poi.pop("place"))
    return {
        **poi,
        **({"place": kept} if kept else {}),
        "split": place.split,
        "imagery": [number[scene] for scene in place.imagery],
        "labels": [number[scene] for scene in place.labels],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan read from a store: header and scenes in memory, batches as they are asked for."""

    store: Store
    header: Json
    recipe: str
    """The recipe's text, YAML."""
    scenes: tuple[Scene, ...]
    rejects: tuple[Reject, ...]

    @property
    def beside(self) -> dict[str, str]:
        """Path and SHA-256 of the files that belong to the plan."""
        items = self.header.get("items")
        return {items["path"]: items["sha256"]} if items else {}

    def batches(self) -> Iterator[Batch]:
        """The batches in order; :class:`Corrupt` at the end if the file is not what was written."""
        for value in _values(self.store):
            if value["kind"] == "batch":
                places = tuple(self._place(place) for place in value["places"])
                yield Batch(index=value["index"], places=places)

    def _place(self, value: Json) -> PlannedPlace:
        split, imagery, labels = value.pop("split"), value.pop("imagery"), value.pop("labels")
        kept = tuple(value.pop("place", {}).items())
        return PlannedPlace(
            poi=Poi(**value, place=kept),
            split=split,
            imagery=tuple(self.scenes[i] for i in imagery),
            labels=tuple(self.scenes[i] for i in labels),
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
    recipe = ""
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
    return PlanFile(store=store, header=header, recipe=recipe, scenes=tuple(scenes), rejects=tuple(rejects))


def _scene(value: Json) -> Scene:
    assets = tuple(
        Asset(**{**asset, "transform": tuple(asset["transform"]), "shape": tuple(asset["shape"])})
        for asset in value.pop("assets")
    )
    return Scene(**value, assets=assets)


def _values(store: Store) -> Iterator[Json]:
    """The plan's lines as JSON, the last one checked against all before it."""
    try:
        content = store.get(PLAN)
    except FileNotFoundError:
        raise NotNutonic(f"{store.root} holds no {PLAN}: it was not made by nutonic") from None
    body, _, last = content.rstrip(b"\n").rpartition(b"\n")
    end = _loads(last)
    if (
        end != {"kind": "end", "sha256": hashlib.sha256(body + b"\n").hexdigest()}
        or content != body + b"\n" + last + b"\n"
    ):
        raise Corrupt(f"{PLAN} is not what was written: build again with --replan")
    yield from (_loads(line) for line in body.splitlines())


def _loads(line: bytes) -> Json:
    try:
        return dict(orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise Corrupt(f"{PLAN} is not what was written: build again with --replan") from None
