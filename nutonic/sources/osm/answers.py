"""What an Overpass server answers, taken apart: nothing of it is believed, and as little as possible is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import orjson

from nutonic.core.model import Json
from nutonic.sources.osm.opl import LETTERS

#: Ids and versions are below: osmium doubles those of areas.
_MOST_ID = 2**53

_NOT_A_MAP = "an answer that is no map"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapAnswer:
    """What a server found, without who drew it, and when."""

    elements: tuple[Json, ...]
    remark: str | None
    """What the server has to say beside: that it gave up midway, so that elements are missing."""


def parsed(body: bytes) -> MapAnswer:
    """An answer; ValueError in a few words where it is none."""
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("an answer that is no JSON") from None
    found = whole.get("elements") if isinstance(whole, dict) else None
    if not isinstance(found, list):
        raise ValueError(_NOT_A_MAP)
    remark = whole.get("remark")
    return MapAnswer(elements=tuple(_kept(each) for each in found), remark=None if remark is None else str(remark))


def _kept(element: Any) -> Json:
    """An element, of which every value is of its type."""
    if not isinstance(element, dict) or element.get("type") not in LETTERS:
        raise ValueError(_NOT_A_MAP)
    tags = element.get("tags", {})
    if not isinstance(tags, dict) or not all(map(_is_text, (*tags, *tags.values()))):
        raise ValueError(_NOT_A_MAP)
    kept = {"type": element["type"], "id": _id(element.get("id")), "version": _id(element.get("version"))}
    if element["type"] == "node":
        kept["at"] = _place(element)
    elif element["type"] == "way":
        nodes, shape = element.get("nodes"), element.get("geometry")
        if not isinstance(nodes, list) or not isinstance(shape, list) or len(nodes) != len(shape):
            raise ValueError(_NOT_A_MAP)
        kept["nodes"], kept["shape"] = list(map(_id, nodes)), list(map(_place, shape))
    else:
        members = element.get("members")
        if not isinstance(members, list):
            raise ValueError(_NOT_A_MAP)
        kept["members"] = list(map(_member, members))
    return {**kept, "tags": tags}


def _is_text(value: Any) -> bool:
    """Whether it is text that a map can hold."""
    return isinstance(value, str) and "\0" not in value


def _id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST_ID:
        raise ValueError(_NOT_A_MAP)
    return value


def _place(value: Any) -> tuple[float, float]:
    """Longitude and latitude of a point."""
    lon, lat = (value.get("lon"), value.get("lat")) if isinstance(value, dict) else (None, None)
    return _within(lon, 180), _within(lat, 90)


def _within(value: Any, most: int) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > most:
        raise ValueError(_NOT_A_MAP)
    return float(value)


def _member(value: Any) -> tuple[str, int, str]:
    if not isinstance(value, dict) or value.get("type") not in LETTERS or not _is_text(value.get("role")):
        raise ValueError(_NOT_A_MAP)
    return value["type"], _id(value.get("ref")), value["role"]
