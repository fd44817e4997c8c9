"""A map in a file that answers what lies in a box: SQLite with an R*Tree, made once and only read after.

The same extract, area and rules give the same bytes. Many processes may read it at once.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import orjson
import shapely

from nutonic.core.model import Element
from nutonic.errors import InputError, StoreError
from nutonic.io.atomic import disk_error, new_file
from nutonic.sources.osm.extract import Found, Rules, date_of, file_of, read_extract
from nutonic.sources.osm.region import near_to, read_region
from nutonic.sources.osm.shapes import boxes, shapes_of
from nutonic.sources.osm.tags import Tags, is_area

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

T = TypeVar("T")

#: What an index is called inside, so that another file is not taken for one; and which form it has.
_FORM = "nutonic-osm-1"

#: Things that are looked at together.
_BATCH = 10_000

#: Elements that are named as examples of those that cannot be drawn.
_EXAMPLES = 10

#: Keys of which a way may have others than the relation whose ring it is, and be the same ground all the same.
_NO_MATTER = frozenset({"created_by", "source"})

_SCRATCH = """
CREATE TABLE part (type TEXT, id INTEGER, version INTEGER, kind TEXT, tags BLOB, wkb BLOB, PRIMARY KEY (type, id))
    WITHOUT ROWID;
CREATE TABLE ring (way INTEGER, relation INTEGER, PRIMARY KEY (way, relation)) WITHOUT ROWID;
CREATE TABLE cut (id INTEGER PRIMARY KEY);
CREATE TABLE lost (type TEXT, id INTEGER, PRIMARY KEY (type, id)) WITHOUT ROWID;
"""
_FINAL = """
CREATE TABLE element (n INTEGER PRIMARY KEY, type TEXT, id INTEGER, version INTEGER, kind TEXT, tags BLOB, wkb BLOB);
CREATE VIRTUAL TABLE place USING rtree (n, west, east, south, north);
CREATE TABLE about (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""
#: An announcement never takes the place of what is there; an area takes that of its announcement, a later version that of an
#: earlier one.
_ANNOUNCE = "INSERT INTO part VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_PUT = """
INSERT INTO part VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
    SET version = excluded.version, kind = excluded.kind, tags = excluded.tags, wkb = excluded.wkb
    WHERE part.wkb IS NULL OR excluded.version > part.version
"""
#: An area that was put together, and lies elsewhere.
_ELSEWHERE = b""

_SELECT = """
SELECT type, id, version, kind, tags, wkb FROM place JOIN element USING (n)
    WHERE east >= ? AND west <= ? AND north >= ? AND south <= ? ORDER BY type, id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """What is in an index, and what is not."""

    date: str | None
    """The day, ISO 8601, until which the map has its changes; None if it does not tell."""
    elements: int
    points: int
    lines: int
    areas: int
    repeated: int
    """Ways that are a ring of a multipolygon and have no tag that it has not: the same ground once more, left out."""
    broken: int
    """Areas that cannot be put together: rings that are open or cross themselves, or of which a part is not in the data."""
    incomplete: int
    """Ways that cannot be drawn, since nodes of theirs are not in the data, or are too few."""
    cut: int
    """Lines of which nodes are not in the data, as at the border of an extract, drawn without them."""
    examples: tuple[str, ...]
    """The first of those that are broken or incomplete: ``relation/123``."""
    bytes: int = 0
    """Size of the file; 0 of one in memory."""


def build_index(
    pbf: Path,
    target: Path,
    within: BaseGeometry | None,
    drops: Callable[[Tags], bool],
    areas_by: Callable[[Tags], bool] = is_area,
) -> IndexInfo:
    """Make an index of an extract, and put it in place once it is whole.

    Elements go through memory ten thousand at a time, and osmium puts together only what may touch `within`: memory grows
    with that, not with the extract. Beside `target` there must be room for about three times the extract's size, and of one
    of more than 50 MB for the places of its nodes, 16 bytes each; those of a smaller one are in memory. Of all of an extract
    osmium holds the ways of multipolygons, too, until each is whole, and those of broken ones to the end.

    Parameters
    ----------
    pbf
        The extract, ``*.osm.pbf``.
    target
        Where the index goes, in a folder that is there; a file that is there is replaced.
    within
        Polygons in longitude and latitude: elements whose bounds do not touch them are left out. None for all.
    drops
        Whether an element with these tags is none.
    areas_by
        Whether a closed way with these tags is an area.

    Raises
    ------
    InputError
        If the extract is none, is damaged, cut short or no file, or holds nothing at all.
    StoreError
        If the index cannot be written.
    MissingExtra
        If osmium is not installed.
    """
    file_of(pbf)
    date, rules = date_of(pbf), Rules(drops=drops, areas_by=areas_by)
    try:
        with new_file(target, prefix=".nutonic-partial-") as new:
            with _scratch(str(new.with_name("scratch"))) as scratch:
                if within is None:
                    found = read_extract(pbf, rules, new.parent)
                else:
                    found = read_region(pbf, rules, new.parent, within)
                gather(scratch, found, within)
                with closing(sqlite3.connect(new, isolation_level=None)) as made:
                    info = settle(scratch, made, date)
            if not any((info.elements, info.broken, info.incomplete)) and within is None:
                raise InputError(f"{pbf} holds nothing that is drawn: name an extract of a place, *.osm.pbf")
            return info_with_size(info, new)
    except sqlite3.Error as error:
        raise StoreError(f"cannot write {target} ({error}): if the disk is full make room, and run it again") from None
    except OSError as error:
        raise disk_error(error, target, target.parent) from None


def info_with_size(info: IndexInfo, file: Path) -> IndexInfo:
    """The same, with the size of its file, which is put to disk."""
    with file.open("rb") as made:
        os.fsync(made.fileno())
    return IndexInfo(**{**asdict(info), "bytes": file.stat().st_size})


@contextmanager
def _scratch(path: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as scratch:
        begin(scratch)
        yield scratch


def in_memory(found: Iterable[Found], date: str | None) -> tuple[sqlite3.Connection, IndexInfo]:
    """An index in memory, for a few places; to be closed by whoever asked for it."""
    made = sqlite3.connect(":memory:", isolation_level=None)
    try:
        with _scratch(":memory:") as scratch:
            gather(scratch, found, None)
            return made, settle(scratch, made, date)
    except BaseException:
        made.close()
        raise


def begin(scratch: sqlite3.Connection) -> None:
    """Make the tables in which parts are gathered."""
    for line in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
        scratch.execute(f"PRAGMA {line}")
    scratch.executescript(_SCRATCH)


def gather(scratch: sqlite3.Connection, found: Iterable[Found], within: BaseGeometry | None) -> None:
    """Take up all that is found whose bounds touch `within`."""
    if within is not None:
        shapely.prepare(within)
    for batch in _batches(found):
        scratch.execute("BEGIN")
        _take_up(scratch, batch, within)
        scratch.execute("COMMIT")


def _take_up(scratch: sqlite3.Connection, batch: Sequence[Found], within: BaseGeometry | None) -> None:
    areas = np.array([each.kind == "area" and not each.is_outline for each in batch])
    shapes = shapes_of([each.wkb for each in batch], areas)
    near = _near(shapes, within)
    for each, shape, wkb, is_near in zip(batch, shapes, shapely.to_wkb(shapes), near, strict=True):
        row = (each.type, each.id, each.version, each.kind, orjson.dumps(dict(sorted(each.tags.items()))))
        if each.is_outline:
            if is_near:
                scratch.execute(_ANNOUNCE, (*row, None))
            scratch.executemany("INSERT OR IGNORE INTO ring VALUES (?, ?)", ((way, each.id) for way in each.outer))
        elif shape is None:
            if each.kind != "area":  # an area was announced, and is missed in the end
                scratch.execute("INSERT OR IGNORE INTO lost VALUES (?, ?)", row[:2])
        elif is_near:
            scratch.execute(_PUT, (*row, wkb))
            if each.is_cut:
                scratch.execute("INSERT OR IGNORE INTO cut VALUES (?)", (each.id,))
        elif each.type == "relation":
            scratch.execute(_PUT, (*row, _ELSEWHERE))


def _near(shapes: np.ndarray, within: BaseGeometry | None) -> np.ndarray:
    """Whose bounds touch `within`; what has no shape (yet) may."""
    return np.ones(len(shapes), dtype=bool) if within is None else near_to(shapely.bounds(shapes), within)


def settle(scratch: sqlite3.Connection, made: sqlite3.Connection, date: str | None) -> IndexInfo:
    """Make an index of what was gathered: no ground twice, what cannot be drawn counted, all in order."""
    made.execute("PRAGMA journal_mode = OFF")
    made.execute("PRAGMA synchronous = OFF")
    made.executescript(_FINAL)
    repeated = _drop_repeated(scratch)
    broken = scratch.execute("SELECT count(*) FROM part WHERE wkb IS NULL").fetchone()[0]
    lost = scratch.execute("SELECT count(*) FROM lost").fetchone()[0]
    named = "SELECT type, id FROM lost UNION ALL SELECT type, id FROM part WHERE wkb IS NULL ORDER BY type, id LIMIT ?"
    made.execute("BEGIN")
    counts = _fill(scratch, made)
    info = IndexInfo(
        date=date,
        elements=counts.total(),
        points=counts["point"],
        lines=counts["line"],
        areas=counts["area"],
        repeated=repeated,
        broken=broken,
        incomplete=lost,
        cut=scratch.execute("SELECT count(*) FROM cut").fetchone()[0],
        examples=tuple(f"{kind}/{number}" for kind, number in scratch.execute(named, (_EXAMPLES,))),
    )
    made.execute("INSERT INTO about VALUES ('form', ?)", (_FORM.encode(),))
    made.execute("INSERT INTO about VALUES ('info', ?)", (orjson.dumps(asdict(info)),))
    made.execute("COMMIT")
    return info


def _fill(scratch: sqlite3.Connection, made: sqlite3.Connection) -> Counter[str]:
    """Put all that is drawn into an index, in order; how many there are of each kind."""
    counts: Counter[str] = Counter()
    rows = scratch.execute("SELECT * FROM part WHERE wkb IS NOT NULL AND length(wkb) > 0 ORDER BY type, id")
    for batch in _batches(rows):
        first = counts.total() + 1
        bounds = shapely.bounds(shapely.from_wkb([row[5] for row in batch]))
        element = ((first + at, *row) for at, row in enumerate(batch))
        made.executemany("INSERT INTO element VALUES (?, ?, ?, ?, ?, ?, ?)", element)
        place = ((first + at, *row) for at, row in enumerate(bounds[:, [0, 2, 1, 3]].tolist()))
        made.executemany("INSERT INTO place VALUES (?, ?, ?, ?, ?)", place)
        counts.update(row[3] for row in batch)
    return counts


def _batches(things: Iterable[T]) -> Iterator[tuple[T, ...]]:
    left = iter(things)
    while batch := tuple(islice(left, _BATCH)):
        yield batch


def _drop_repeated(scratch: sqlite3.Connection) -> int:
    """Leave out ways that are the outer ring of a relation that is drawn, and say nothing that it does not say."""
    # CROSS JOIN keeps the order: ring by ring, each looked up by its keys; another order takes time by the square
    pairs = scratch.execute(
        "SELECT way.id, way.tags, relation.tags FROM ring CROSS JOIN part AS way ON way.type = 'way' AND way.id = ring.way "
        "CROSS JOIN part AS relation ON relation.type = 'relation' AND relation.id = ring.relation "
        "WHERE way.kind = 'area' AND relation.wkb IS NOT NULL"
    )
    same = {(way,) for way, tags, whole in pairs if _says_no_more(orjson.loads(tags), orjson.loads(whole))}
    scratch.executemany("DELETE FROM part WHERE type = 'way' AND id = ?", sorted(same))
    return len(same)


def _says_no_more(tags: Tags, whole: Tags) -> bool:
    return all(whole.get(key) == value for key, value in tags.items() if key not in _NO_MATTER | {"area"})


# Reading


@contextmanager
def reading(target: Path) -> Iterator[sqlite3.Connection]:
    """An index to ask, by this thread.

    Raises
    ------
    InputError
        If there is none, or the file is another or damaged; in the block too.
    """
    if not target.is_file():
        raise InputError(f"the index {target} is not there: it is made of an extract, run the build again")
    try:
        # immutable: nobody writes to it, so that no lock is needed, nor a folder that can be written to
        with closing(sqlite3.connect(f"{target.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            form = connection.execute("SELECT value FROM about WHERE key = 'form'").fetchone()
            if form is None or form[0] != _FORM.encode():
                raise InputError(f"{target} is no index of this nutonic: remove it, and run the build again")
            yield connection
    except (sqlite3.Error, orjson.JSONDecodeError, shapely.errors.GEOSException) as error:
        raise InputError(f"{target} is no index, or is damaged: remove it, and run the build again ({error})") from None


def info_of(target: Path) -> IndexInfo:
    """What an index tells of itself; InputError as by :func:`reading`."""
    with reading(target) as connection:
        value = orjson.loads(connection.execute("SELECT value FROM about WHERE key = 'info'").fetchone()[0])
    return IndexInfo(**{**value, "examples": tuple(value["examples"]), "bytes": target.stat().st_size})


def elements_in(connection: sqlite3.Connection, bounds: tuple[float, float, float, float]) -> tuple[Element, ...]:
    """All elements whose shape touches a box of west, south, east and north in degrees, by type and id."""
    found = {}
    for west, south, east, north in boxes(bounds):
        rows = connection.execute(_SELECT, (west, east, south, north)).fetchall()
        shapes = shapely.from_wkb([row[5] for row in rows])
        touching = shapely.intersects(shapes, shapely.box(west, south, east, north))
        for row, shape, touches in zip(rows, shapes, touching, strict=True):
            if touches:
                found[row[0], row[1]] = _element(row, shape)
    return tuple(found[key] for key in sorted(found))


def _element(row: Sequence[object], shape: BaseGeometry) -> Element:
    kind, number, version, understood, tags, _ = row
    return Element(
        type=kind,  # type: ignore[arg-type]
        id=number,  # type: ignore[arg-type]
        version=version,  # type: ignore[arg-type]
        kind=understood,  # type: ignore[arg-type]
        tags=tuple(orjson.loads(tags).items()),  # type: ignore[arg-type]
        geometry=shape,
    )
