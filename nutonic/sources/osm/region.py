"""What of an extract a region needs, cut out into a file of its own, so that osmium puts together no more than that.

The extract is read three times, in the order of its elements: relations, for what their ways are; nodes and ways, for where
they lie; ways once more, for the nodes of those that are needed. Until then no more than this is kept of an element, in a
database in a folder. So memory grows with what the region touches; the folder holds all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from nutonic.sources.osm.extract import Found, NodeStore, Rules, drawn, file_of, library, osmium_errors, read
from nutonic.sources.osm.opl import node_line, relation_line, way_line
from nutonic.sources.osm.tags import is_drawn, own_tags

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

#: Things that are looked at together.
_BATCH = 10_000

#: Degrees: what is wider crosses the 180th meridian, and may lie on either side.
_HALF = 180.0

_ORDER = {"n": 0, "w": 1, "r": 2}

_NOWHERE = (np.inf, np.inf, -np.inf, -np.inf)

_TABLES = """
CREATE TABLE relation (id INTEGER PRIMARY KEY, line TEXT, west REAL, south REAL, east REAL, north REAL);
CREATE TABLE member (way INTEGER, relation INTEGER, PRIMARY KEY (way, relation)) WITHOUT ROWID;
CREATE TABLE node (id INTEGER PRIMARY KEY, line TEXT);
CREATE TABLE way (id INTEGER PRIMARY KEY, line TEXT);
"""
_GROW = """
UPDATE relation SET west = min(west, ?), south = min(south, ?), east = max(east, ?), north = max(north, ?)
    WHERE id IN (SELECT relation FROM member WHERE way = ?)
"""
_NEXT = "SELECT id, west, south, east, north FROM relation WHERE id > ? ORDER BY id LIMIT ?"

#: Of ids, either way.
_MOST = 2**63 - 1

#: The order of elements in a file: as osmium has it, which begins with negative ids.
_IN_ORDER = "SELECT line FROM {table} ORDER BY id <> 0, id > 0, abs(id)"


def read_region(path: Path, rules: Rules, folder: Path, within: BaseGeometry) -> Iterator[Found]:
    """All that is drawn in an extract and may touch `within`, in no order that matters; some beside it comes too.

    Of what cannot be drawn only that comes of which a part lies there, or which has no place at all.

    Parameters
    ----------
    path
        Of the extract.
    rules
        What counts.
    folder
        For what is kept meanwhile: about twice the extract's size.
    within
        Polygons in longitude and latitude.

    Raises
    ------
    InputError
        Where the file turns out to be damaged, cut short, not in order, or no extract.
    StoreError
        If there is no room in `folder`.
    """
    part = folder / "region.opl"
    with osmium_errors(path, folder):
        with closing(sqlite3.connect(folder / "region", isolation_level=None)) as scratch:
            for line in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
                scratch.execute(f"PRAGMA {line}")
            scratch.executescript(_TABLES)
            _Cut(path=path, rules=rules, scratch=scratch, nodes=NodeStore(path, folder), within=within).write(part)
        yield from read(library().io.File(str(part), "opl"), rules, NodeStore(part, folder))


class _Cut:
    """What is looked for in an extract, and where that is kept."""

    def __init__(
        self, *, path: Path, rules: Rules, scratch: sqlite3.Connection, nodes: NodeStore, within: BaseGeometry
    ) -> None:
        module = library()
        self.osmium, self.path, self.rules, self.scratch, self.nodes = module, path, rules, scratch, nodes
        shapely.prepare(within)
        self.within, self.bounds = within, within.bounds
        self.near: set[int] = set()
        self.locations = module.NodeLocationsForWays(module.index.create_map(nodes.name))
        self.locations.ignore_errors()

    def write(self, part: Path) -> None:
        """Put the part that is needed into a file, in osmium's text form."""
        self._look_at_relations()
        self._look_at_places()
        held = self._relations_near()
        self._take_ways(held)
        with part.open("w", encoding="ascii") as file:
            for table in ("node", "way", "relation"):
                file.writelines(f"{line}\n" for (line,) in self.scratch.execute(_IN_ORDER.format(table=table)))

    def _elements(self, kinds: Any, *handlers: Any) -> Iterator[Any]:
        """Elements in their order; RuntimeError where they are in none, as of osmium."""
        last = (-1, False, False, 0)
        with self.osmium.io.Reader(file_of(self.path), kinds) as reader:
            for each in self.nodes.sparing(self.osmium.OsmFileIterator(reader, *handlers)):
                number = each.id
                at = (_ORDER[each.type_str()], number != 0, number > 0, abs(number))
                if at <= last:
                    raise RuntimeError(f"{each.type_str()}{number} is there twice, or not in order")
                last = at
                yield each

    def _look_at_relations(self) -> None:
        """Keep relations that are drawn, and which ways are theirs."""
        filtered = self.osmium.filter.TagFilter(("type", "multipolygon"))
        self.scratch.execute("BEGIN")
        for relation in self._elements(self.osmium.osm.RELATION, filtered):  # of one there may be thousands of members
            found = self._relation(relation)
            if found is not None:
                number, line, ways = found
                self.scratch.execute("INSERT INTO relation VALUES (?, ?, ?, ?, ?, ?)", (number, line, *_NOWHERE))
                self.scratch.executemany("INSERT OR IGNORE INTO member VALUES (?, ?)", ((way, number) for way in ways))
        self.scratch.execute("COMMIT")

    def _relation(self, relation: Any) -> tuple[int, str, list[int]] | None:
        tags = dict(relation.tags)
        if not is_drawn(tags) or not self.rules.count(own_tags(tags)):
            return None
        members = [(member.type, member.ref, member.role) for member in relation.members]
        line = relation_line(relation.id, relation.version, tags, members)
        return relation.id, line, [ref for letter, ref, _ in members if letter == "w"]

    def _look_at_places(self) -> None:
        """Keep the nodes that are needed, which ways are near, and how far the ways of each relation reach."""
        tagged = self.osmium.filter.EmptyTagFilter()
        tagged.enable_for(self.osmium.osm.NODE)
        factory = self.osmium.geom.WKBFactory()
        kinds = self.osmium.osm.NODE | self.osmium.osm.WAY
        found = self._elements(kinds, self.locations, tagged)
        for batch in _batches(found, lambda each: self._node(each) if each.is_node() else _placed(each, factory)):
            nodes = [each for each in batch if len(each) == 4]
            ways = [each for each in batch if len(each) == 3]
            self.scratch.execute("BEGIN")
            if nodes:
                points = np.array([at for *_, at in nodes])
                near = near_to(np.hstack([points, points]), self.within)
                lines = ((each[0], node_line(*each)) for each, is_near in zip(nodes, near, strict=True) if is_near)
                self.scratch.executemany("INSERT INTO node VALUES (?, ?)", lines)
            if ways:
                numbers, bounds = [number for number, *_ in ways], _bounds(ways)
                near = near_to(bounds, self.within)
                self.near.update(number for number, is_near in zip(numbers, near, strict=True) if is_near)
                known = ~np.isnan(bounds[:, 0])
                rows = ((*row, number) for row, number, ok in zip(bounds.tolist(), numbers, known, strict=True) if ok)
                self.scratch.executemany(_GROW, rows)
            self.scratch.execute("COMMIT")

    def _node(self, node: Any) -> tuple[int, int, dict[str, str], tuple[float, float]] | None:
        at, (left, low, right, high) = node.location, self.bounds
        if not at.valid() or not (left <= at.lon <= right and low <= at.lat <= high):
            return None
        tags = dict(node.tags)
        return (node.id, node.version, tags, (at.lon, at.lat)) if self.rules.count(own_tags(tags)) else None

    def _relations_near(self) -> set[int]:
        """Leave out relations that lie elsewhere; the ways of all others."""
        self.scratch.execute("BEGIN")
        last = -_MOST
        while batch := self.scratch.execute(_NEXT, (last, _BATCH)).fetchall():
            last = batch[-1][0]
            bounds = np.array([row[1:] for row in batch])
            bounds[bounds[:, 0] > bounds[:, 2]] = np.nan  # none of its ways has a place
            near = near_to(_around(bounds), self.within)
            far = ((row[0],) for row, is_near in zip(batch, near, strict=True) if not is_near)
            self.scratch.executemany("DELETE FROM relation WHERE id = ?", far)
        self.scratch.execute("COMMIT")
        theirs = self.scratch.execute("SELECT way FROM member CROSS JOIN relation ON id = relation")
        return {way for (way,) in theirs}

    def _take_ways(self, held: set[int]) -> None:
        """Keep ways that are near and have tags, and those of relations, with their nodes."""
        self.scratch.execute("BEGIN")
        for way in self._elements(self.osmium.osm.WAY, self.locations):
            tags = dict(way.tags) if way.id in self.near else {}
            if not tags and way.id not in held:
                continue
            nodes = [(node.ref, node.location) for node in way.nodes]
            line = way_line(way.id, way.version, tags, (ref for ref, _ in nodes))
            self.scratch.execute("INSERT INTO way VALUES (?, ?)", (way.id, line))
            lines = ((ref, node_line(ref, 1, {}, (at.lon, at.lat))) for ref, at in nodes if at.valid())
            self.scratch.executemany("INSERT OR IGNORE INTO node VALUES (?, ?)", lines)
        self.scratch.execute("COMMIT")


def _placed(way: Any, factory: Any) -> tuple[int, str | None, list[tuple[float, float]]]:
    """A way with its line as hexadecimal WKB; where none can be drawn, with the places that are known."""
    if (wkb := drawn(factory.create_linestring, way)) is not None:
        return way.id, wkb, []
    return way.id, None, [(node.lon, node.lat) for node in way.nodes if node.location.valid()]


def _bounds(ways: Sequence[tuple[int, str | None, list[tuple[float, float]]]]) -> np.ndarray:
    """(ways, 4) float64: west, south, east, north of each; NaN of what has no place."""
    bounds = shapely.bounds(shapely.from_wkb(np.array([wkb for _, wkb, _ in ways], dtype=object)))
    for at, (_, _, places) in enumerate(ways):
        if places:
            bounds[at] = *np.min(places, axis=0), *np.max(places, axis=0)
    return _around(bounds)


def _around(bounds: np.ndarray) -> np.ndarray:
    """Boxes of which those that may cross the 180th meridian go all around."""
    wide = bounds[:, 2] - bounds[:, 0] > _HALF
    bounds[wide, 0], bounds[wide, 2] = -_HALF, _HALF
    return bounds


def near_to(bounds: np.ndarray, within: BaseGeometry) -> np.ndarray:
    """Which boxes touch `within`; what has no place may.

    Parameters
    ----------
    bounds
        (boxes, 4) float64: west, south, east, north in degrees; NaN for none.
    within
        Polygons, prepared.

    Returns
    -------
    numpy.ndarray
        (boxes,) bool.
    """
    west, south, east, north = bounds.T
    left, low, right, high = within.bounds
    near = ~((west > right) | (east < left) | (south > high) | (north < low))  # of NaN too
    asked = near & ~np.isnan(west)
    near[asked] = shapely.intersects(within, shapely.box(west[asked], south[asked], east[asked], north[asked]))
    return np.asarray(near)


def _batches(things: Iterator[Any], of: Any) -> Iterator[list[Any]]:
    """What is made of things, but for None, many at a time."""
    made = (each for each in map(of, things) if each is not None)
    while batch := list(islice(made, _BATCH)):
        yield batch
