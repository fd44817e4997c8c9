"""A STAC item, from wherever it came."""

from __future__ import annotations

import datetime as dt
import logging
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import shapely

from nutonic.core.footprints import footprint_of
from nutonic.core.model import Json
from nutonic.core.times import Interval, parse_moment, parse_period
from nutonic.core.units import counted
from nutonic.errors import InputError
from nutonic.inert import inert
from nutonic.io.session import current
from nutonic.secrets import holds_query, redact

_log = logging.getLogger(__name__)

#: Where an item says its time; one is enough.
_TIMES = ("datetime", "start_datetime", "end_datetime")


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
    def called(self) -> str:
        """The id as messages tell it, on one line."""
        return inert(self.id)

    @property
    def properties(self) -> Json:
        """The item's properties, as they stand: not to be changed."""
        properties: Json = self.content.get("properties") or {}
        return properties

    @property
    def moment(self) -> str:
        """``datetime``; where that is null ``start_datetime``, and without one ``end_datetime``; ISO 8601."""
        told = self.properties
        return str(told.get("datetime") or told.get("start_datetime") or told["end_datetime"])

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells items apart: collections, and years of one that were merged into a file, may share ids."""
        return str(self.content.get("collection")), self.id, self.moment


def item_of(content: Any, base: str, where: str) -> Item:
    """A document as an item; raises :class:`InputError`, naming it, if it is none."""
    name = content.get("id") if isinstance(content, dict) else None
    try:
        wrong = _lack(content)
        if wrong is None:
            item = Item(content=content, footprint=footprint_of(content["geometry"]), base=base)
            wrong = "its geometry is empty" if item.footprint.is_empty else None
    except (LookupError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        wrong = f"{type(error).__name__} {error}"
    if wrong is not None:
        raise InputError(f"item {name!r} of {where} is no STAC item: {wrong}") from None
    return item


def _lack(content: Any) -> str | None:
    """What a document lacks to be an item, in words; None if it lacks nothing."""
    if not isinstance(content, dict):
        return f"it is {content!r:.60}, not an object"
    name, properties = content.get("id"), content.get("properties")
    if isinstance(name, bool) or not isinstance(name, str | int | float) or name == "":
        return "it has no id"
    if holds_query([name, content.get("collection")]):
        return "its id or its collection is an address with a query"
    if not isinstance(content.get("geometry"), dict):
        return "it has no geometry"
    if not isinstance(properties, dict) or not any(properties.get(key) for key in _TIMES):
        return "it has no datetime"
    return None if isinstance(content.get("assets"), dict) else "it has no assets"


#: An item that cannot be used: its id, and why.
UnusableItem = tuple[str, str]


def with_unusable(told: str, items: Sequence[UnusableItem]) -> str:
    """A message about items, and after a semicolon what it does not tell yet: that others cannot be used."""
    reasons = [why for _, why in items if why not in told]
    if not reasons:
        return told
    return f"{told}; {len(reasons)} item{'s' * (len(reasons) > 1)} cannot be used: {reasons[0]}"


class Unusable:
    """Items that were left out since they cannot be used; a session keeps them until they are told."""

    def __init__(self) -> None:
        self._lock, self._items = threading.Lock(), dict[UnusableItem, None]()

    def add(self, items: Iterable[UnusableItem]) -> None:
        """Keep some, each once."""
        with self._lock:
            self._items.update(dict.fromkeys(items))

    def take(self) -> tuple[UnusableItem, ...]:
        """All that were kept since this was last called, in order."""
        with self._lock:
            items, self._items = tuple(sorted(self._items)), {}
        return items


class Sieve:
    """Lets through the items among the documents of one search, in several threads.

    One odd item does not end a search: it is left out, logged, and kept in :class:`Unusable` for who plans to tell.
    """

    def __init__(self, where: str) -> None:
        self._where, self._lock, self._any_usable = where, threading.Lock(), False
        self._odd: dict[UnusableItem, InputError] = {}

    def items(self, contents: Iterable[tuple[Any, str]]) -> Iterator[Item]:
        """The items among documents, each of which comes with what its hrefs are relative to."""
        for content, base in contents:
            try:
                item = item_of(content, base, self._where)
            except InputError as error:
                name = content.get("id") if isinstance(content, dict) else content
                with self._lock:
                    self._odd.setdefault((f"{name!s:.80}", str(error)), error)
            else:
                self._any_usable = True
                yield item

    def close(self) -> None:
        """Tell what was left out, at the end of the search.

        Raises
        ------
        InputError
            If there were documents, and none of them is an item: the reason of the first.
        """
        if not self._odd:
            return
        first = next(iter(self._odd.values()))
        if not self._any_usable:
            raise first
        odd = counted(len(self._odd), "item is", "items are")
        _log.warning("of %s %s left out; the first: %s", inert(redact(self._where)), odd, first)
        current().resource(Unusable).add(self._odd)


def cloud_cover(item: Item) -> float:
    """Percent; an item that does not say counts as 100."""
    cover = stated_cloud_cover(item)
    return 100.0 if cover is None else float(cover)


def stated_cloud_cover(item: Item) -> float | None:
    """Percent, as an item writes it, or None of one that does not say, or says what is no number."""
    cover = item.properties.get("eo:cloud_cover")
    try:
        number = cover if isinstance(cover, int | float) else float(cover)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def moment(item: Item) -> dt.datetime:
    """When the scene was taken, UTC; of a composite, when it starts."""
    try:
        return parse_moment(item.moment)
    except ValueError:
        raise InputError(f"item {item.called} has the datetime {item.moment!r}, which is no ISO 8601 time") from None


def period(item: Item) -> Interval:
    """The time that an item is of, UTC: from its start to its end where it tells both, else its moment.

    A date stands for its whole day. So does a search of an API see it.

    Raises
    ------
    InputError
        If it tells no time, or only one that ends before it starts.
    """
    told = item.properties
    start, end = told.get("start_datetime"), told.get("end_datetime")
    try:
        if start and end:
            return parse_period(str(start), str(end))
    except ValueError as error:
        if not told.get("datetime"):
            raise InputError(f"item {item.called} has no time: {error}") from None
    text, when = item.moment, moment(item)
    return Interval(when, when) if len(text) > len("2024-06-15") else parse_period(text, text)


def taken_in(item: Item, time: Interval | None) -> bool:
    """Whether an item's time and a wanted one overlap, both ends included; None is all time."""
    return time is None or time.overlaps(period(item))


def year_of(item: Item) -> int:
    """The year of an item: of its ``datetime``, or else of the middle between its start and its end."""
    return moment(item).year if item.properties.get("datetime") else period(item).middle.year
