"""A stand-in for an Overpass server: it reads a question in a part of Overpass' own language, and answers of a planted map.

It is not made for one client. It knows settings, unions, sets, ``is_in``, and queries for nodes, ways and relations by box,
tags, recursion (``r``) and area (``pivot``), and ``out meta`` with ``geom`` or without; whatever else it is asked, it
answers with 400, as a real server does. Like a real one it knows which closed ways hold a place, and which multipolygons
that have a name. A map may have versions: with a ``date`` it answers as of that day.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal, Self
from urllib.parse import parse_qs

import shapely

from nutonic.testing.server_process import LoopbackServer

Json = dict[str, Any]
Key = tuple[str, int]
Sets = dict[str, frozenset[Key]]

_KINDS: Mapping[str, tuple[str, ...]] = {
    "node": ("node",),
    "way": ("way",),
    "rel": ("relation",),
    "relation": ("relation",),
    "nwr": ("node", "way", "relation"),
    "wr": ("way", "relation"),
}

_TOKEN = re.compile(r"""\s*(->|\((?:[^()";]|"[^"]*"|\(\))*\)|[();]|\[[^\]]*\]|\.[A-Za-z_]\w*|[A-Za-z_]+|[^\s])""")
_SETTING = re.compile(r"\[(out|timeout|maxsize|date):([^\]]+)\]")
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_BOX = re.compile(rf"\({','.join([_NUMBER] * 4)}\)")
_TAG = re.compile(r'\[(!?)"([^"]+)"(?:="([^"]*)")?\]')
_IN = re.compile(rf"\({_NUMBER},{_NUMBER}\)")
_FROM = re.compile(r"\((r|pivot)\.(\w+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that happens to a request, once."""

    kind: Literal["429", "504", "400", "302", "remark", "truncated", "page"]
    """A status, an answer with a remark that it gave up and without elements, half an answer, or a page in HTML."""
    retry_after: int | None = None
    """Seconds, in a header of an answer with a status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A version of an element of the map."""

    type: Literal["node", "way", "relation"]
    id: int
    version: int = 1
    tags: Mapping[str, str] = field(default_factory=dict)
    at: tuple[float, float] | None = None
    """Of a node: longitude and latitude."""
    nodes: tuple[int, ...] = ()
    """Of a way."""
    members: tuple[tuple[str, int, str], ...] = ()
    """Of a relation: type, id and role."""
    since: str = "2010-01-01"
    """The day from which on it is so."""
    gone: bool = False
    """Whether it is this version that removed it."""


class Unreadable(Exception):
    """A question that is not understood."""


class PlantedMap:
    """A map as of a moment, and what lies where on it."""

    def __init__(self, planted: Iterable[Planted], moment: str | None) -> None:
        latest: dict[Key, Planted] = {}
        for each in sorted(planted, key=lambda each: each.version):
            if moment is None or each.since <= moment[:10]:
                latest[each.type, each.id] = each
        self.elements = {key: each for key, each in latest.items() if not each.gone}

    def point(self, node: int) -> tuple[float, float]:
        """Where a node is."""
        at = self.elements["node", node].at
        assert at is not None, "a node has a place"
        return at

    def touches(self, key: Key, box: shapely.Geometry) -> bool:
        """Whether an element has a part in a box: a relation by its members, which are not relations."""
        each = self.elements.get(key)
        if each is None:
            return False
        if each.type == "relation":
            return any(kind != "relation" and self.touches((kind, ref), box) for kind, ref, _ in each.members)
        points = [self.point(each.id)] if each.type == "node" else [self.point(node) for node in each.nodes]
        return bool((shapely.Point(points[0]) if len(points) == 1 else shapely.LineString(points)).intersects(box))

    def holds(self, key: Key, lon: float, lat: float) -> bool:
        """Whether an element is an area for the server, and holds a place."""
        each, place = self.elements[key], shapely.Point(lon, lat)
        if each.type == "way":
            return len(each.nodes) > 3 and each.nodes[0] == each.nodes[-1] and self._ring(each.nodes).covers(place)
        if each.type != "relation" or each.tags.get("type") != "multipolygon" or "name" not in each.tags:
            return False
        lines = [
            shapely.LineString([self.point(node) for node in self.elements["way", ref].nodes])
            for kind, ref, _ in each.members
            if kind == "way" and ("way", ref) in self.elements
        ]
        return bool(shapely.build_area(shapely.multilinestrings(lines)).covers(place))

    def _ring(self, nodes: Sequence[int]) -> shapely.Geometry:
        return shapely.Polygon([self.point(node) for node in nodes])


class Interpreter:
    """Reads one question, and answers it."""

    def __init__(self, query: str, planted: Iterable[Planted]) -> None:
        settings, _, self._rest = query.partition(";")
        found = dict(_SETTING.findall(settings))
        if _SETTING.sub("", settings).strip() or found.get("out") != "json":
            raise Unreadable("line 1: settings")
        self.date = found.get("date", "").strip('"') or None
        self.map = PlantedMap(planted, self.date)
        self.sets: Sets = {}
        self._tokens = [match[1] for match in _TOKEN.finditer(self._rest)]
        self._at = 0

    def run(self) -> list[Json]:
        """The elements of the answer, in the order of the question's outputs."""
        found: list[Json] = []
        while self._at < len(self._tokens):
            if self._peek() == "out":
                found += self._out()
            else:
                self._statement()
        return found

    # Reading

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self, wanted: str | None = None) -> str:
        token = self._peek()
        if not token or (wanted is not None and token != wanted):
            raise Unreadable(f"parse error: {wanted or 'something'} expected, {token or 'the end'} found")
        self._at += 1
        return token

    def _statement(self) -> frozenset[Key]:
        if self._peek() == "(":
            found = self._union()
        elif self._peek() == "is_in":
            found = self._is_in()
        elif self._peek().startswith("."):
            found = self.sets.get(self._next()[1:], frozenset())
        else:
            found = self._query()
        name = "_"
        if self._peek() == "->":
            self._next()
            name = self._next()[1:]
        self.sets[name] = found
        self._next(";")
        return found

    def _union(self) -> frozenset[Key]:
        self._next("(")
        found: frozenset[Key] = frozenset()
        while self._peek() != ")":
            found |= self._statement()
        self._next(")")
        return found

    def _is_in(self) -> frozenset[Key]:
        self._next("is_in")
        match = _IN.fullmatch(self._next())
        if match is None:
            raise Unreadable("parse error: is_in(lat,lon) expected")
        lat, lon = map(float, match.groups())
        return frozenset(key for key in self.map.elements if self.map.holds(key, lon, lat))

    def _query(self) -> frozenset[Key]:
        kinds = _KINDS.get(word := self._next())
        if kinds is None:
            raise Unreadable(f"parse error: unknown statement {word}")
        found = frozenset(key for key in self.map.elements if key[0] in kinds)
        while self._peek() not in (";", "->", ""):
            found &= self._filter(self._next(), found)
        return found

    def _filter(self, token: str, found: frozenset[Key]) -> frozenset[Key]:
        if token.startswith("."):
            return self.sets.get(token[1:], frozenset())
        if match := _FROM.fullmatch(token):
            source = self.sets.get(match[2], frozenset())
            return source if match[1] == "pivot" else self._members(source)
        keeps = self._condition(token)
        return frozenset(key for key in found if keeps(key))

    def _condition(self, token: str) -> Callable[[Key], bool]:
        elements = self.map.elements
        if token == "(if:count_tags()>0)":
            return lambda key: bool(elements[key].tags)
        if match := _BOX.fullmatch(token):
            south, west, north, east = map(float, match.groups())
            box = shapely.box(west, south, east, north)
            return lambda key: self.map.touches(key, box)
        if match := _TAG.fullmatch(token):
            absent, name, value = match[1], match[2], match[3]
            if absent:
                return lambda key: name not in elements[key].tags
            return lambda key: name in elements[key].tags and value in (None, elements[key].tags[name])
        raise Unreadable(f"parse error: unknown filter {token}")

    def _members(self, source: frozenset[Key]) -> frozenset[Key]:
        return frozenset(
            (kind, ref) for key in source if key in self.map.elements for kind, ref, _ in self.map.elements[key].members
        )

    # Answering

    def _out(self) -> list[Json]:
        words = []
        while self._peek() != ";":
            words.append(self._next())
        self._next(";")
        if words[:2] != ["out", "meta"] or words[2:] not in ([], ["geom"]):
            raise Unreadable(f"parse error: {' '.join(words)}")
        keys = sorted(self.sets.get("_", frozenset()) & self.map.elements.keys())
        return [self._element(self.map.elements[key], geometry=bool(words[2:])) for key in keys]

    def _element(self, each: Planted, *, geometry: bool) -> Json:
        told: Json = {"type": each.type, "id": each.id, "version": each.version, "timestamp": f"{each.since}T00:00:00Z"}
        told |= {"changeset": 1, "user": "planter", "uid": 1}
        if each.at is not None:
            told |= {"lon": each.at[0], "lat": each.at[1]}
        if each.type == "way":
            told["nodes"] = list(each.nodes)
            if geometry:
                places = map(self.map.point, each.nodes)
                told["geometry"] = [{"lat": lat, "lon": lon} for lon, lat in places]
        if each.type == "relation":
            told["members"] = [{"type": kind, "ref": ref, "role": role} for kind, ref, role in each.members]
        return told | ({"tags": dict(each.tags)} if each.tags else {})


class OverpassServer:
    """Answers on loopback for the ``with`` block, in a thread of this process; `troubles` happen one after the other."""

    def __init__(self, planted: Iterable[Planted], troubles: Iterable[Trouble] = ()) -> None:
        self.planted = tuple(planted)
        self.troubles = list(troubles)
        self.queries: list[str] = []
        """Every question that was asked, in order."""
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server = LoopbackServer(type("Handler", (_Handler,), {"owner": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Of the interpreter."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/api/interpreter"

    def answer(self, query: str) -> tuple[int, str, bytes, int | None]:
        """Status, type, body, and what to say of when to come back."""
        with self._lock:
            self.queries.append(query)
            trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None and trouble.kind.isdigit():
            return int(trouble.kind), "text/html", b"<html><p>Error: runtime error</p></html>", trouble.retry_after
        try:
            told: Json = {"version": 0.6, "generator": "stand-in", "elements": Interpreter(query, self.planted).run()}
        except Unreadable as error:
            return 400, "text/html", f"<html><p>Error: {error}</p></html>".encode(), None
        kind = None if trouble is None else trouble.kind
        if kind == "remark":
            told |= {"elements": [], "remark": 'runtime error: Query timed out in "query" at line 3 after 181 seconds.'}
        body = json.dumps(told).encode()
        body = b"<html><p>Please come back later.</p></html>" if kind == "page" else body
        return 200, "application/json", body[: len(body) // 2] if kind == "truncated" else body, None


class _Handler(BaseHTTPRequestHandler):
    owner: OverpassServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a form with ``data``."""
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
        status, kind, body, after = self.owner.answer("".join(form.get("data", [])))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if after is not None:
            self.send_header("Retry-After", str(after))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the server keeps what it was asked."""


def ring(ids: Iterator[int], way: int, box: tuple[float, float, float, float], **tags: str) -> tuple[Planted, ...]:
    """A closed way around a box of west, south, east, north, and its nodes, whose ids come from `ids`."""
    west, south, east, north = box
    corners = ((west, south), (east, south), (east, north), (west, north))
    nodes = tuple(Planted(type="node", id=next(ids), at=corner) for corner in corners)
    first = nodes[0].id
    return (*nodes, Planted(type="way", id=way, tags=tags, nodes=(*(node.id for node in nodes), first)))
