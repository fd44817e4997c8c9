"""A STAC item, from wherever it came."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import shapely

from nutonic.core.footprints import footprint_of
from nutonic.core.model import Json
from nutonic.core.times import Interval, parse_moment
from nutonic.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A STAC item as written, with what a search needs of it."""

    content: Json
    footprint: shapely.Geometry
    """In degrees; a polygon or several."""
    base: str
    """What its relative hrefs are relative to: the folder of its catalogue, or the item's own URL."""

    @property
    def is_remote(self) -> bool:
        """Whether it came over the network; such an item may not name local files."""
        return "://" in self.base

    @property
    def id(self) -> str:
        """The item's id."""
        return str(self.content["id"])

    @property
    def properties(self) -> Json:
        """The item's properties."""
        return dict(self.content.get("properties") or {})

    @property
    def moment(self) -> str:
        """``datetime``, or ``start_datetime`` where that is null; ISO 8601."""
        return str(self.properties.get("datetime") or self.properties["start_datetime"])


def item_of(content: Any, base: str, where: str) -> Item:
    """A document as an item; raises :class:`InputError`, naming it, if it is none."""
    name = content.get("id") if isinstance(content, dict) else None
    try:
        item = Item(content=content, footprint=footprint_of(content["geometry"]), base=base)
        if not (item.id and item.moment and not item.footprint.is_empty):
            raise ValueError("it is empty")
        dict(content["assets"])
    except (LookupError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        raise InputError(f"item {name!r} of {where} is no STAC item: {type(error).__name__} {error}") from None
    return item


def cloud_cover(item: Item) -> float:
    """Percent; an item that does not say counts as 100."""
    cover = item.properties.get("eo:cloud_cover")
    return 100.0 if cover is None else float(cover)


def moment(item: Item) -> dt.datetime:
    """When the scene was taken, UTC."""
    return _utc(item.moment, item)


def taken_in(item: Item, time: Interval | None) -> bool:
    """Whether the scene was taken in a time, both ends included; None is all time."""
    return time is None or time.contains(moment(item))


def _utc(text: str, item: Item) -> dt.datetime:
    try:
        return parse_moment(text)
    except ValueError:
        raise InputError(f"item {item.id} has the datetime {text!r}, which is no ISO 8601 time") from None


def year_of(item: Item) -> int:
    """The year of an item: of its ``datetime``, or else of the middle between its start and its end."""
    start, end = moment(item), item.properties.get("end_datetime")
    if item.properties.get("datetime") or end is None:
        return start.year
    return Interval(start, _utc(str(end), item)).middle.year
