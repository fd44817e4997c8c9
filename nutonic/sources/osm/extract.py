"""Reading OpenStreetMap's own data, with osmium: what is drawn of it, one thing after the other.

An extract is read from its beginning to its end once, after a look at its relations alone. Of all its nodes the places
are kept meanwhile, 16 bytes each: in memory, or in a file, where an extract is too large for that. Beside them osmium
holds ways that are rings of multipolygons until each is whole, and those of broken ones to the end.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import mmap
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import shapely

from nutonic.errors import InputError, MissingExtra
from nutonic.io.atomic import full_disk
from nutonic.io.files import open_regular, real_path
from nutonic.sources.osm.tags import Tags, is_area, is_bare, is_drawn, own_tags

if TYPE_CHECKING:
    import osmium

T = TypeVar("T")

#: Bytes of an extract above which places of nodes are kept in a file: an extract has a node for every 8 bytes or so, and
#: in memory a place takes 16, twice while its table grows.
_LARGE = 50 * 10**6

#: Things after which a store in a file is made to leave memory: of an extract nearly every element but its untagged nodes
#: is one, and of these there are some twenty for each.
_SPARED = 20_000

#: How many blocks osmium unpacks ahead, of some megabytes each, and what it is told: by itself it takes 20.
_BLOCKS_AHEAD = ("OSMIUM_MAX_OSMDATA_QUEUE_SIZE", "3")

#: What osmium raises for what it cannot read: its own errors, and those of bytes that are no text or of numbers too large.
UNREADABLE = (RuntimeError, ValueError, OverflowError, IndexError)

#: So many bytes of a file that is no extract are looked at, to say what it is.
_LOOKED_AT = 1000

#: Other forms of the map by what their files begin with, what they are called, and what osmium calls them.
_OF_THE_MAP = (
    (rb"(?s)(<\?xml.*)?<osm", "OpenStreetMap's XML", "osm"),
    (rb"\x1f\x8b", "compressed by gzip", "osm.gz"),
    (rb"BZh", "compressed by bzip2", "osm.bz2"),
    (rb"\xff\xe0.{1,3}o5m", "in the form o5m", "o5m"),
    (rb"[nwr]\d+ [vdctiuTxyNM]", "osmium's text (OPL)", "opl"),
)

#: Files that are no map of this kind, by what they begin with.
_OTHER = (
    (rb"(?is)(<\?xml.*)?(<!doctype html|<html)", "a page of the web"),
    (rb"[{\[]", "JSON"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"SQLite format 3", "an SQLite file, such as a GeoPackage"),
    (rb"version https://git-lfs", "a pointer of Git LFS, whose file was not pulled"),
)

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
        raise InputError(f"the extract {path} cannot be read: {reason.lower()}; see osm.path") from None
    file: osmium.io.File = library().io.File(str(path), "pbf")
    return file


def date_of(path: Path) -> str | None:
    """The day, ISO 8601, until which an extract has the changes of the map; None if it does not tell.

    Raises
    ------
    InputError
        If it is no extract; one of all versions of everything is none either.
    """
    module, file = library(), file_of(path)
    try:
        with module.io.Reader(file, module.osm.NOTHING) as reader:
            header = reader.header()
    except UNREADABLE as error:
        raise _no_extract(path, error) from None
    if header.has_multiple_object_versions:
        raise InputError(f"{path} has every version of everything, as history files do: name an extract of one day")
    told = str(header.get("osmosis_replication_timestamp"))
    return told[:10] if _is_day(told[:10]) else None


def extent_of(path: Path) -> tuple[float, float, float, float] | None:
    """West, south, east and north of what an extract covers, in degrees, as its header tells; None if it does not."""
    module = library()
    with module.io.Reader(file_of(path), module.osm.NOTHING) as reader:
        box = reader.header().box()
    if not box.valid():
        return None
    low, high = box.bottom_left, box.top_right
    return low.lon, low.lat, high.lon, high.lat


def read_extract(path: Path, rules: Rules, folder: Path) -> Iterator[Found]:
    """All that is drawn in an extract, in no order that matters.

    Parameters
    ----------
    path
        Of the extract.
    rules
        What counts.
    folder
        Where the places of nodes may lie meanwhile: of a large extract about twice its size.

    Raises
    ------
    InputError
        Where the file turns out to be damaged, cut short, or no extract.
    StoreError
        If there is no room in `folder`.
    """
    file = file_of(path)
    with osmium_errors(path, folder):
        yield from read(file, rules, NodeStore(path, folder))


@contextmanager
def osmium_errors(path: Path, folder: Path) -> Iterator[None]:
    """What osmium cannot read of `path`, or write to `folder`, as an error of ours; meanwhile it reads little ahead."""
    try:
        with _little_ahead():
            yield
    except UNREADABLE as error:
        full = full_disk(str(error), f"the places of {path.name}'s nodes", folder)
        if full is not None:
            raise full from None
        raise _no_extract(path, error) from None


@contextmanager
def _little_ahead() -> Iterator[None]:
    """Have osmium unpack few blocks ahead: of a large extract they take more memory than anything else.

    It asks the environment whenever it opens a file. What a user says there counts, and after that it is as it was.
    """
    name, few = _BLOCKS_AHEAD
    if name in os.environ:
        yield
        return
    os.environ[name] = few
    try:
        yield
    finally:
        os.environ.pop(name, None)


def read_buffer(opl: bytes, rules: Rules) -> Iterator[Found]:
    """All that is drawn in osmium's text form, as of an extract; one of `UNREADABLE` where that is wrong."""
    return read(library().io.FileBuffer(opl, "opl"), rules)


class NodeStore:
    """Where osmium keeps the places of an extract's nodes, 16 bytes each: in memory, or of a large one in a file.

    The file is one of `folder`, or the system's where osmium cannot be told that: its name of a store ends at a comma.
    """

    def __init__(self, path: Path | None = None, folder: Path | None = None) -> None:
        self.file: Path | None = None
        self.name = "flex_mem"
        if path is not None and folder is not None and path.stat().st_size >= _LARGE:
            self.name = "sparse_file_array"
            if "," not in str(folder):
                self.file = real_path(folder) / f"nodes-{path.name}"
                self.name = f"sparse_file_array,{self.file}"

    def sparing(self, things: Iterable[T]) -> Iterator[T]:
        """Things that are read with this store, so that of its file no more than a few pages stay in this process."""
        for number, thing in enumerate(things):
            if self.file is not None and number % _SPARED == 0:
                _let_go(self.file)
            yield thing


def _let_go(file: Path) -> None:
    """Have the pages of a mapped file leave this process; the file has them. Nothing happens where Linux is not."""
    try:
        maps = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in maps:
        span, kind, *rest = line.split(maxsplit=5)
        if kind.endswith("s") and rest[-1] == str(file):  # shared: what was written to it is in the file
            first, last = (int(part, 16) for part in span.split("-"))
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)


def read(
    source: osmium.io.File | osmium.io.FileBuffer, rules: Rules, nodes: NodeStore | None = None
) -> Iterator[Found]:
    """All that is drawn of a source; one of `UNREADABLE` where it cannot be read.

    `nodes` is where the places of nodes are kept; None for in memory.
    """
    module, nodes = library(), nodes or NodeStore()
    drawn = module.filter.TagFilter(("type", "multipolygon"))  # boundaries are not put together
    processor = module.FileProcessor(source).with_locations(nodes.name).with_areas(drawn)
    factory = module.geom.WKBFactory()
    for entity in nodes.sparing(processor.with_filter(module.filter.EmptyTagFilter())):
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
            wkb=drawn(factory.create_point, entity),
        )
    if entity.is_way():
        return _way(entity, tags, rules, factory)
    return _relation(entity, tags)


def _way(way: Any, tags: Tags, rules: Rules, factory: osmium.geom.WKBFactory) -> Found:
    """A line, or the outline of an area that comes later."""
    begins = len(way.nodes) > 0 and way.nodes[0].location.valid()  # osmium passes over unknown nodes at the beginning
    wkb = drawn(factory.create_linestring, way) if begins else None
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
    wkb = drawn(factory.create_multipolygon, area)
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


def drawn(create: Callable[[Any], str], entity: Any) -> str | None:
    """A shape; None where nodes are not in the data, or are too few."""
    try:
        return create(entity)
    except (RuntimeError, library().InvalidLocationError):
        return None


def _no_extract(path: Path, error: Exception) -> InputError:
    """What is told of a file that osmium could not read as an extract: that it is another kind of file, where it is."""
    begins = _begins(path)
    of_map = next((each for each in _OF_THE_MAP if re.match(each[0], begins)), None)
    if of_map is not None:
        _, kind, name = of_map
        made = f"`osmium cat -F {name} {shlex.quote(path.name)} -o map.osm.pbf`, of osmium-tool, makes one of it"
        return InputError(f"{path} is {kind}, and no other form of the map is read than PBF: {made}; see osm.path")
    other = next((kind for form, kind in _OTHER if re.match(form, begins)), None)
    if other is not None:
        return InputError(f"{path} is {other}, no extract of OpenStreetMap (*.osm.pbf): see osm.path")
    reason = str(error).partition("\n")[0]
    return InputError(f"{path} is no whole extract of OpenStreetMap (*.osm.pbf), fetch it again: {reason[:200]}")


def _begins(path: Path) -> bytes:
    """The first bytes of a file, without marks and spaces before them; none of one that cannot be read any more."""
    try:
        with open_regular(path) as file:
            return file.read(_LOOKED_AT).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return b""


def _is_day(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def library() -> Any:
    """osmium; MissingExtra where it is not installed."""
    try:
        import osmium
        import osmium.filter
        import osmium.geom
    except ImportError:
        raise MissingExtra("maps of OpenStreetMap are read with osmium: pip install 'nutonic[osm]'") from None
    return osmium
