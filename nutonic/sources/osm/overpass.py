"""A map asked of a server of Overpass, box by box, as it is or as it was on a day.

A question is asked for several boxes at once. What it answers is kept by the question's hash, so that it is asked once,
however often a build is begun again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode, urlsplit

from nutonic.core.globe import METRES_PER_DEGREE
from nutonic.core.model import Element, Json
from nutonic.core.units import counted
from nutonic.errors import Corrupt, ReadFailed, Refused
from nutonic.inert import inert
from nutonic.io.access import Access
from nutonic.io.http import Answer, Request
from nutonic.io.limits import Limiter
from nutonic.io.objects import Store, sealed, unsealed
from nutonic.io.session import current
from nutonic.sources.osm import MAPS as FOLDER
from nutonic.sources.osm.answers import MapAnswer, parsed
from nutonic.sources.osm.extract import UNREADABLE, Rules, read_buffer
from nutonic.sources.osm.index import elements_in, in_memory
from nutonic.sources.osm.opl import opl_of
from nutonic.sources.osm.shapes import boxes
from nutonic.sources.osm.tags import ATTRIBUTION, Tags, is_area
from nutonic.sources.source import Needs

_log = logging.getLogger(__name__)

Bounds = tuple[float, float, float, float]

#: Boxes that are asked for at once.
TOGETHER = 16

#: Seconds and bytes that a server may take for an answer: the defaults of the public ones, which refuse much more.
_TIMEOUT_S, _MAXSIZE = 180, 512 * 2**20

#: Seconds of silence that a client takes for usual; a server is silent until it has found everything.
_USUAL_S = 30

#: A longer answer is refused.
_MOST_BYTES = 256 * 2**20

#: Requests at the same time: the public servers give each address two slots.
_SLOTS = 2

#: Metres around a box within which multipolygons are looked for that may hold all of it. A server knows by itself which
#: closed ways hold a place, and which multipolygons that have a name.
_AROUND_M = 2000.0

#: Of what the ground is that has no name: keys of multipolygons.
_GROUND = ("landuse", "natural", "leisure")

_MULTIPOLYGON = '["type"="multipolygon"][!"boundary"][!"admin_level"]'

_PORTS = {"http": 80, "https": 443}


class _Pace(Limiter):
    """Lets so many requests begin in a minute, evenly, and few be under way; attempts that failed count as well."""

    def __init__(self, per_minute: float, slots: int) -> None:
        super().__init__(slots)
        self._every_s, self._next, self._turns = 60.0 / per_minute, 0.0, threading.Lock()

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Wait for a turn."""
        with super().acquire():
            with self._turns:
                now = time.monotonic()
                begin = max(now, self._next)
                self._next = begin + self._every_s
            time.sleep(begin - now)
            yield


class _Paces:
    """The pace of each server, of all threads of a session together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paces: dict[tuple[str, float, int], _Pace] = {}

    def of(self, url: str, per_minute: float, slots: int) -> _Pace:
        with self._lock:
            return self._paces.setdefault((url, per_minute, slots), _Pace(per_minute, slots))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overpass:
    """A server of Overpass as a source of features, and an account of it. It holds no secret.

    Of areas that hold a box altogether a server finds closed ways, and multipolygons that have a name, and knows today's map
    alone. A multipolygon without a name is found where a border of it is within two kilometres of one of the boxes that
    are asked for together. An extract has no such limits.
    """

    url: str
    """Of its interpreter."""
    drops: Callable[[Tags], bool]
    """Whether an element with these tags is none."""
    date: str | None = None
    """The day, ISO 8601, as whose first second the map is asked for; None for the map as it is."""
    requests_per_minute: float = 30.0
    """Of this process; see :meth:`shared`."""
    slots: int = _SLOTS
    """Requests at the same time, of this process."""
    areas_by: Callable[[Tags], bool] = is_area
    """Whether a closed way with these tags is an area."""
    answers: Store | None = field(default=None, compare=False, repr=False)
    """Where answers are kept; None for nowhere."""
    asks: bool = True
    """Whether the server is asked; else there is nothing but the answers that are kept."""

    attribution = ATTRIBUTION

    # As a source of features

    def over(self, bounds: Sequence[Bounds]) -> list[tuple[Element, ...]]:
        """The elements that touch each box.

        Raises
        ------
        ReadFailed
            If the server does not answer, gives up midway, or answers what is no map.
        Refused
            If it answers more than is read.
        MissingExtra
            If osmium is not installed.
        Corrupt
            If the server is not to be asked, and an answer is not kept, or was damaged.
        """
        found: list[tuple[Element, ...]] = []
        for at in range(0, len(bounds), TOGETHER):
            found += self._over(bounds[at : at + TOGETHER])
        return found

    def _over(self, bounds: Sequence[Bounds]) -> list[tuple[Element, ...]]:
        elements = self._elements(tuple(bounds))
        rules = Rules(drops=self.drops, areas_by=self.areas_by)
        try:
            index, info = in_memory(read_buffer(opl_of(elements), rules), self.date)
        except UNREADABLE:
            raise ReadFailed(f"{self.service} answers with what cannot be a map", reason="no map") from None
        with closing(index):
            if info.broken or info.incomplete:
                _log.warning(
                    "%s from %s cannot be drawn: %s",
                    counted(info.broken + info.incomplete, "element"),
                    self.service,
                    ", ".join(info.examples),
                )
            return [elements_in(index, box) for box in bounds]

    def kept_alone(self) -> Overpass:
        """The same, of the answers that are kept, and no others."""
        return replace(self, asks=False)

    def needs(self) -> Needs:
        """What puts areas together."""
        return Needs(packages=("osmium",))

    @property
    def account(self) -> Overpass:
        """Who is asked."""
        return self

    def shared(self, workers: int) -> Overpass:
        """The same for one of several processes that ask at once: each has its part of the requests, and a slot at least."""
        each = max(1, workers)
        return replace(self, requests_per_minute=self.requests_per_minute / each, slots=max(1, self.slots // each))

    # As an account

    @property
    def service(self) -> str:
        """The server's host."""
        return urlsplit(self.url).hostname or ""

    @property
    def most_requests(self) -> int | None:
        """Those that have a slot."""
        return _SLOTS

    def environment(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def check(self) -> None:
        """Nothing is needed."""

    def sign_in(self) -> None:
        """Everybody may ask."""

    # Asking

    def _elements(self, bounds: tuple[Bounds, ...]) -> list[Json]:
        """What the server has for some boxes, as it was kept, or asked for now."""
        query = query_of(bounds, self.date)
        path = f"{FOLDER}/{hashlib.sha256(query.encode()).hexdigest()}.json"
        kept = self._kept(path)
        if kept is not None:
            return kept
        answer = parsed(self._ask(query).body) if self.asks else MapAnswer(elements=(), remark="it is not asked")
        if answer.remark is None:
            elements = list(answer.elements)
            if self.answers is not None:
                self.answers.put(path, sealed({"elements": elements}))
            return elements
        if len(bounds) == 1 and not self.asks:
            raise Corrupt(f"the map of {_told(bounds[0])} is not kept, or was changed: {path}")
        if len(bounds) == 1:
            raise ReadFailed(
                f"{self.service} gave up on the map of {_told(bounds[0])}: {inert(answer.remark)[:200]}",
                reason="gave up",
            )
        half = len(bounds) // 2  # too much at once, perhaps
        return self._elements(bounds[:half]) + self._elements(bounds[half:])

    def _kept(self, path: str) -> list[Json] | None:
        """An answer that was kept; one that was damaged since is asked for again."""
        if self.answers is None:
            return None
        try:
            return list(unsealed(self.answers.get(path), path)["elements"])
        except (FileNotFoundError, Corrupt):
            return None

    def _ask(self, query: str) -> Answer:
        parts = urlsplit(self.url)
        hosts = (f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}",)
        request = Request(
            url=self.url,
            method="POST",
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            body=urlencode({"data": query}).encode(),
            most_bytes=_MOST_BYTES,
            timeout_factor=_TIMEOUT_S / _USUAL_S + 1,
            limiter=current().resource(_Paces).of(self.url, self.requests_per_minute, self.slots),
            any_status=True,
            by_kind=True,
            follow=False,
            wrong=_wrong,
        )
        try:
            answer = current().client.fetch(request, Access(hosts=hosts))
        except Refused:
            raise Refused(f"{self.service} answers more than {_MOST_BYTES // 2**20} MB", reason="too long") from None
        except ReadFailed as error:
            why = error.reason or "no answer"
            raise ReadFailed(f"asking {self.service} for the map: {why}", reason=error.reason) from None
        if answer.status != 200:
            raise ReadFailed(
                f"{self.service} does not give the map (status {answer.status}): see osm.url",
                reason=str(answer.status),
            )
        return answer


def _wrong(answer: Answer) -> str | None:
    """What is wrong with an answer, so that it is asked for again; one that tells that it gave up is asked for less."""
    if answer.status != 200:
        return None
    try:
        parsed(answer.body)
    except ValueError as error:
        return str(error)
    return None


def query_of(bounds: Sequence[Bounds], date: str | None) -> str:
    """The question for boxes of west, south, east and north, in Overpass' own language.

    It asks for all that touches a box, for what holds it altogether, and for all the ways of multipolygons.
    """
    flat = [box for each in bounds for box in boxes(each)]
    day = "" if date is None else f'[date:"{dt.date.fromisoformat(date).isoformat()}T00:00:00Z"]'
    lines = [f"[out:json][timeout:{_TIMEOUT_S}][maxsize:{_MAXSIZE}]{day};"]
    for number, (west, south, east, north) in enumerate(flat):
        lines.append(f"is_in({_degrees((south + north) / 2)},{_degrees((west + east) / 2)})->.in{number};")
    lines.append("(")
    for number, box in enumerate(flat):
        here, around = _box(box), _box(_widened(box))
        lines += [f"node({here})(if:count_tags()>0);", f"way({here})(if:count_tags()>0);"]
        lines += [f"rel({here}){_MULTIPOLYGON};", f"way(pivot.in{number});", f"rel(pivot.in{number}){_MULTIPOLYGON};"]
        lines += [f'rel({around}){_MULTIPOLYGON}["{key}"];' for key in _GROUND]
    lines += [")->.found;", "rel.found->.whole;", "(.found;way(r.whole);)->.all;"]
    lines += ["node.all;", "out meta;", "way.all;", "out meta geom;", "rel.all;", "out meta;"]
    return "\n".join(lines)


def _widened(box: Bounds) -> Bounds:
    west, south, east, north = box
    down = _AROUND_M / METRES_PER_DEGREE
    aside = down / max(0.01, math.cos(math.radians(max(abs(south), abs(north)))))
    return max(-180.0, west - aside), max(-90.0, south - down), min(180.0, east + aside), min(90.0, north + down)


def _box(box: Bounds) -> str:
    """South, west, north, east."""
    west, south, east, north = box
    return ",".join(map(_degrees, (south, west, north, east)))


def _degrees(value: float) -> str:
    """Degrees to a centimetre, written in one way."""
    text = f"{value:.7f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _told(box: Bounds) -> str:
    return ", ".join(f"{value:.4f}" for value in box)
