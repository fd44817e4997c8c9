"""Reading OpenStreetMap's own data, with osmium: what is drawn of it, one thing after the other.

An extract is read from its beginning to its end once, after a look at its relations alone. Of all its nodes the places
are kept meanwhile, 16 bytes each: in memory, or in a file, where an extract is too large for that. Beside them osmium
holds ways that are rings of multipolygons until each is whole, and those of broken ones to the end.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import shapely

from nutonic.errors import InputError, MissingExtra
from nutonic.io.atomic import full_disk
from nutonic.io.files import open_regular
from nutonic.sources.osm.tags import Tags, is_area, is_bare, is_drawn, own_tags

if TYPE_CHECKING:
    import osmium

#: Bytes of an extract above which places of nodes are kept in a file: an extract has a node for every 8 bytes or so, and
#: in memory a place takes 16, twice while its table grows.
_LARGE = 500 * 10**6

#: What osmium raises for what it cannot read: its own errors, and those of bytes that are no text or of numbers too large.
UNREADABLE = (RuntimeError, ValueError, OverflowError, IndexError)

#: A closed way of fewer nodes, the first counted again as the last, encloses nothing.
_RING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A thing as it is found. Of an area that is put together later there is first an outline, then the area."""

    type: Literal["node", "way", "relation"]
    id: int
    version: int
    kind: Literal["point", "line", "area"]
    tags: Tags
    wkb: str | None
    """Hexadecimal WKB; None where it cannot be drawn (yet)."""
    is_outline: bool = False
    """Whether this only announces an area: the shape of a way is its ring, a relation has none."""
    is_cut: bool = False
    """Whether nodes of a line are not in the data, as at the border of an extract, so that it is drawn without them."""
    outer: tuple[int, ...] = ()
    """Of a relation's announcement: the ways that may be its outer rings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What of a map counts, and how it is understood."""

    drops: Callable[[Tags], bool]
    """Whether an element with these tags is none."""
    areas_by: Callable[[Tags], bool] = is_area
    """Whether a closed way with these tags is an area."""

    def count(self, tags: Tags) -> bool:
        """Whether an element with these tags, of which there is one at least, is one."""
        return not is_bare(tags) and not self.drops(tags)


def file_of(path: Path) -> osmium.io.File:
    """An extract to be read.

    Raises
    ------
    InputError
        If it is not there, is no regular file, or nobody may read it.
    MissingExtra
        If osmium is not installed.
    """
    try:
        open_regular(path).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"the extract {path} cannot be read: {reason.lower()}") from None
    file: osmium.io.File = _osmium().io.File(str(path), "pbf")
    return file


def date_of(path: Path) -> str | None:
    """The day, ISO 8601, until which an extract has the changes of the map; None if it does not tell.

    Raises
    ------
    InputError
        If it is no extract; one of all versions of everything is none either.
    """
    module, file = _osmium(), file_of(path)
    try:
        with module.io.Reader(file, module.osm.NOTHING) as reader:
            header = reader.header()
    except UNREADABLE as error:
        raise _no_extract(path, error) from None
    if header.has_multiple_object_versions:
        raise InputError(f"{path} has every version of everything, as history files do: name an extract of one day")
    told = str(header.get("osmosis_replication_timestamp"))
    return told[:10] if _is_day(told[:10]) else None


def read_extract(path: Path, rules: Rules, folder: Path) -> Iterator[Found]:
    """All that is drawn in an extract, in no order that matters.

    Parameters
    ----------
    path
        Of the extract.
    rules
        What counts.
    folder
        Where the places of nodes may lie meanwhile: of an extract of more than 500 MB about twice its size, 10 GB for a
        country of 5 GB.

    Raises
    ------
    InputError
        Where the file turns out to be damaged, cut short, or no extract.
    StoreError
        If there is no room in `folder`.
    """
    file = file_of(path)
    try:
        yield from read(file, rules, _node_store(path, folder))
    except UNREADABLE as error:
        full = full_disk(str(error), f"the places of {path.name}'s nodes", folder)
        if full is not None:
            raise full from None
        raise _no_extract(path, error) from None


def read_buffer(opl: bytes, rules: Rules) -> Iterator[Found]:
    """All that is drawn in osmium's text form, as of an extract; one of `UNREADABLE` where that is wrong."""
    return read(_osmium().io.FileBuffer(opl, "opl"), rules)


def read(source: osmium.io.File | osmium.io.FileBuffer, rules: Rules, nodes: str = "flex_mem") -> Iterator[Found]:
    """All that is drawn of a source; one of `UNREADABLE` where it cannot be read.

    `nodes` is how osmium keeps the places of nodes.
    """
    module = _osmium()
    drawn = module.filter.TagFilter(("type", "multipolygon"))  # boundaries are not put together
    processor = module.FileProcessor(source).with_locations(nodes).with_areas(drawn)
    factory = module.geom.WKBFactory()
    for entity in processor.with_filter(module.filter.EmptyTagFilter()):
        found = _found(entity, rules, factory)
        if found is not None:
            yield found


def _found(entity: Any, rules: Rules, factory: osmium.geom.WKBFactory) -> Found | None:
    tags = dict(entity.tags)
    if not rules.count(own_tags(tags)):
        return None
    if entity.is_area():
        return _area(entity, tags, rules, factory)
    if entity.is_node():
        return Found(
            type="node",
            id=entity.id,
            version=entity.version,
            kind="point",
            tags=tags,
            wkb=_drawn(factory.create_point, entity),
        )
    if entity.is_way():
        return _way(entity, tags, rules, factory)
    return _relation(entity, tags)


def _way(way: Any, tags: Tags, rules: Rules, factory: osmium.geom.WKBFactory) -> Found:
    """A line, or the outline of an area that comes later."""
    begins = len(way.nodes) > 0 and way.nodes[0].location.valid()  # osmium passes over unknown nodes at the beginning
    wkb = _drawn(factory.create_linestring, way) if begins else None
    meant = len(way.nodes) >= _RING and rules.areas_by(tags)
    ring = wkb is not None and meant and way.ends_have_same_location()
    known = _known_parts(way) if wkb is None and not (meant and way.is_closed()) else None
    return Found(
        type="way",
        id=way.id,
        version=way.version,
        kind="area" if ring else "line",
        tags=tags,
        wkb=wkb or known,
        is_outline=ring,
        is_cut=known is not None,
    )


def _known_parts(way: Any) -> str | None:
    """The parts of a way whose nodes are in the data; None if there are none."""
    parts: list[list[tuple[float, float]]] = [[]]
    for node in way.nodes:
        if not node.location.valid():
            parts.append([])
        elif parts[-1][-1:] != [place := (node.location.lon, node.location.lat)]:
            parts[-1].append(place)
    lines = [part for part in parts if len(part) > 1]
    return (
        str(shapely.to_wkb(shapely.multilinestrings(list(map(shapely.linestrings, lines))), hex=True))
        if lines
        else None
    )


def _relation(relation: Any, tags: Tags) -> Found | None:
    """The announcement of an area; routes, junctions and the like are not drawn."""
    if not is_drawn(tags):
        return None
    ways = (member for member in relation.members if member.type == "w" and member.role in ("", "outer"))
    return Found(
        type="relation",
        id=relation.id,
        version=relation.version,
        kind="area",
        tags=own_tags(tags),
        wkb=None,
        is_outline=True,
        outer=tuple(sorted({member.ref for member in ways})),
    )


def _area(area: Any, tags: Tags, rules: Rules, factory: osmium.geom.WKBFactory) -> Found | None:
    """An area that osmium put together of a closed way or of a relation's ways; None if it is not meant as one."""
    of_way = area.from_way()
    if not (
        rules.areas_by(tags) if of_way else is_drawn({**tags, "type": "multipolygon"})
    ):  # osmium takes the type away
        return None
    wkb = _drawn(factory.create_multipolygon, area)
    if wkb is None:  # it was announced, and will be missed
        return None
    return Found(
        type="way" if of_way else "relation",
        id=area.orig_id(),
        version=area.version,
        kind="area",
        tags=tags,
        wkb=wkb,
    )


def _drawn(create: Callable[[Any], str], entity: Any) -> str | None:
    """A shape; None where nodes are not in the data, or are too few."""
    try:
        return create(entity)
    except (RuntimeError, _osmium().InvalidLocationError):
        return None


def _node_store(path: Path, folder: Path) -> str:
    if path.stat().st_size < _LARGE:
        return "flex_mem"
    # osmium's name of a store ends at a comma: then it takes a temporary file of the system's
    return "sparse_file_array" if "," in str(folder) else f"sparse_file_array,{folder / 'nodes'}"


def _no_extract(path: Path, error: Exception) -> InputError:
    reason = str(error).partition("\n")[0]
    return InputError(f"{path} is no whole extract of OpenStreetMap (*.osm.pbf), fetch it again: {reason[:200]}")


def _is_day(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _osmium() -> Any:
    try:
        import osmium
        import osmium.filter
        import osmium.geom
    except ImportError:
        raise MissingExtra("maps of OpenStreetMap are read with osmium: pip install 'nutonic[osm]'") from None
    return osmium
