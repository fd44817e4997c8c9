"""What a map has in several pieces and a picture shows as one: lines that go on as each other, areas that share a border.

A map cuts a road wherever anything about it changes: at a bridge, a surface, a limit, a name. It cuts a forest where one
mapper stopped. Lines that are called the same become one where they lead on from each other within the patch, whatever
their other tags are: of these the whole has those that all pieces have. So do areas of ground.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from nutonic.chips.scene.frame import Frame
from nutonic.chips.scene.policy import TagPolicy
from nutonic.core.areas import connected
from nutonic.core.globe import around
from nutonic.core.model import Element
from nutonic.lazily import lazily

#: Lines of a policy of tags whose lines on a map do not run on: each is a thing by itself, though two may meet at a node.
_BY_THEMSELVES = ("amenity=", "building", "leisure=", "parking=", "sport=", "tourism=", "playground=", "generator:source=",
                  "aeroway=parking_position", "aeroway=jet_bridge", "highway=platform", "railway=platform",
                  "public_transport=platform", "man_made=crane", "waterway=lock_gate", "waterway=weir")  # fmt: skip
#: Of these some do all the same.
_RUN_ON = frozenset({"leisure=track", "sport=running"})

#: Lines of a policy of tags whose areas are ground without a border that is seen: water, plants that nobody sowed in rows,
#: bare ground, paving, and uses of land that end on paper. All else stays apart where it adjoins, since a picture shows
#: each, and captions count them: buildings by their roofs, pitches by their lines, pools and basins by their rims, fields,
#: orchards, vineyards and allotments by what grows on them, parking lots, gardens, playgrounds and schools by what parts
#: them.
_GROUND = frozenset(
    """
    natural=water natural=wetland natural=bay natural=strait water=river water=stream water=canal water=lake water=oxbow
    water=lagoon water=pond water=reservoir water=ditch water=moat water=harbour water=rapids landuse=reservoir
    waterway=river waterway=riverbank waterway=stream waterway=canal waterway=drain waterway=ditch waterway=tidal_channel
    natural=wood natural=scrub natural=heath natural=grassland natural=fell natural=tundra natural=moor natural=shrubbery
    landuse=forest landuse=grass landuse=meadow landuse=village_green landuse=greenfield
    natural=beach natural=sand natural=dune natural=shoal natural=mud natural=shingle natural=scree natural=bare_rock
    natural=glacier natural=reef landuse=brownfield landuse=quarry landuse=landfill landuse=logging man_made=clearcut
    landuse=residential landuse=commercial landuse=retail landuse=industrial landuse=railway landuse=military
    landuse=education landuse=institutional landuse=port landuse=harbour landuse=highway landuse=cemetery
    landuse=recreation_ground leisure=park leisure=common leisure=golf_course golf=fairway golf=rough
    highway=pedestrian highway=residential highway=living_street highway=service highway=unclassified highway=tertiary
    highway=secondary highway=primary highway=footway highway=path highway=track highway=cycleway highway=road
    area:highway place=square aeroway=apron
    """.split()  # noqa: SIM905
)

#: Digits of degrees that a map has: places that are the same to these are one.
_DIGITS = 7
#: Which way a line leaves a place is seen over so many metres of it.
_ALONG_M = 10.0
_DEGREE_M = 111_320.0
#: Two lines that meet where nothing else does go on as each other unless they turn back by more than this, as the two
#: carriageways of a road do where they part.
_BACK = math.radians(135)
#: Where other lines meet too, they do so if they turn by no more than this, ...
_AHEAD = math.radians(60)
#: ... and by so much less than either would with any other: of a fork nobody sees which way is the road.
_CLEAR = math.radians(20)

#: Areas adjoin that share so many pixels of their borders, no further apart than one.
_BORDER = 5.0
#: Metres: corners of areas that adjoin are rounded to it, so that those which are the same are so to the last digit.
_GRID = 0.001

#: A line, and one of its ends: 0 is where it begins.
_End = tuple[int, int]
_Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Shown:
    """An element that a picture shows."""

    element: Element
    noun: str
    line: str
    """The line of the policy that calls it so."""


@dataclass(frozen=True)
class Whole:
    """A thing of a patch: an element, or several that are one."""

    noun: str
    line: str
    parts: tuple[Element, ...]
    """By type and id."""
    geometry: BaseGeometry
    """Longitudes and latitudes; of areas that were joined a collection of theirs."""

    @property
    def first(self) -> Element:
        """The element by which the whole is named."""
        return self.parts[0]

    @lazily
    def tags(self) -> tuple[tuple[str, str], ...]:
        """Those that all parts have, sorted by key."""
        others = [set(each.tags) for each in self.parts[1:]]
        return tuple(tag for tag in self.first.tags if all(tag in tags for tags in others))

    @lazily
    def partly(self) -> tuple[tuple[str, str], ...]:
        """Those that some parts have and others have not, sorted."""
        if len(self.parts) == 1:
            return ()
        return tuple(sorted({tag for each in self.parts for tag in each.tags}.difference(self.tags)))


def shown(elements: Sequence[Element], policy: TagPolicy) -> list[Shown]:
    """The elements that a picture can show, by type and id, so that nothing depends on the order in which they come."""
    found = []
    for element in sorted(elements, key=_order):
        tags = dict(element.tags)
        naming = None if policy.drops(tags) else policy.naming(tags, element.kind)
        if naming is not None:
            found.append(Shown(element, *naming))
    return found


def _order(element: Element) -> tuple[str, int]:
    return element.type, element.id


# Lines


def lines_joined(things: Sequence[Shown], frame: Frame) -> list[Whole]:
    """All things, with lines that go on as each other within the patch as one."""
    lines = [k for k, each in enumerate(things) if each.element.kind == "line"]
    partners = _partners(things, lines, frame)
    found, done = list[Whole](), set[int]()
    for k, each in enumerate(things):
        if k not in done:
            chain = _chain(k, partners)
            done.update(line for line, _ in chain)
            found.append(_whole([things[line] for line, _ in chain], chain) if len(chain) > 1 else _alone(each))
    return found


def _alone(each: Shown) -> Whole:
    return Whole(each.noun, each.line, (each.element,), each.element.geometry)


def _chain(line: int, partners: Mapping[_End, _End]) -> list[_End]:
    """The lines that are one with a line, each with the end at which it begins on the way."""
    start = line, 0
    while (before := partners.get(start)) is not None:
        start = before[0], 1 - before[1]
        if start == (line, 0):  # a ring, which begins anywhere
            break
    chain = [start]
    while (after := partners.get((chain[-1][0], 1 - chain[-1][1]))) is not None and after != start:
        chain.append(after)
    return chain


def _whole(things: Sequence[Shown], chain: Sequence[_End]) -> Whole:
    """One line of several, in the order in which they are passed through."""
    places = [
        shapely.get_coordinates(each.element.geometry)[:: 1 - 2 * end]
        for each, (_, end) in zip(things, chain, strict=True)
    ]
    geometry = shapely.linestrings(np.concatenate([places[0], *(each[1:] for each in places[1:])]))
    parts = tuple(sorted((each.element for each in things), key=_order))
    return Whole(things[0].noun, things[0].line, parts, geometry)


def _partners(things: Sequence[Shown], lines: Sequence[int], frame: Frame) -> dict[_End, _End]:
    """Which end of a line goes on as which end of another; each in both directions."""
    meetings = _meetings(things, lines, frame)
    if not meetings:
        return {}
    uses = _uses({place for _, place in meetings}, [things[k].element.geometry for k in lines])
    found = dict[_End, _End]()
    for (_, place), ends in meetings.items():
        away = [_away(things[line].element.geometry, end) for line, end in ends]
        turns = {(i, j): _turn(away[i], away[j]) for j in range(len(ends)) for i in range(j)}
        is_alone = len(ends) == uses[place] == 2
        for (i, j), turn in turns.items():
            others = (other for pair, other in turns.items() if pair != (i, j) and not {i, j}.isdisjoint(pair))
            if turn <= (_BACK if is_alone else _AHEAD) and all(other >= turn + _CLEAR for other in others):
                found[ends[i]], found[ends[j]] = ends[j], ends[i]
    return found


def _meetings(things: Sequence[Shown], lines: Sequence[int], frame: Frame) -> dict[tuple[str, _Place], list[_End]]:
    """Places within the patch at which several lines end that are called the same: what they are called, and the ends."""
    on = [k for k in lines if _runs_on(things[k])]
    shapes = np.array([things[k].element.geometry for k in on], dtype=object)
    firsts, lasts = (np.round(shapely.get_coordinates(shapely.get_point(shapes, end)), _DIGITS) for end in (0, -1))
    ends: dict[tuple[str, _Place], list[_End]] = {}
    for k, first, last in zip(on, map(tuple, firsts.tolist()), map(tuple, lasts.tolist()), strict=True):
        if first != last:
            ends.setdefault((things[k].noun, first), []).append((k, 0))
            ends.setdefault((things[k].noun, last), []).append((k, 1))
    several = [each for each, those in ends.items() if len(those) > 1]
    inside = frame.holds(np.array([place for _, place in several]).reshape(-1, 2))
    return {each: ends[each] for each, is_inside in zip(several, inside, strict=True) if is_inside}


def _runs_on(each: Shown) -> bool:
    """Whether a line may go on as another one."""
    return each.element.geometry.geom_type == "LineString" and (
        each.line in _RUN_ON or not each.line.startswith(_BY_THEMSELVES)
    )


def _uses(places: set[_Place], lines: Sequence[BaseGeometry]) -> Counter[_Place]:
    """How many points of lines lie at each of some places."""
    points = np.round(shapely.get_coordinates(np.array(lines, dtype=object)), _DIGITS)
    near = np.isin(points[:, 0], [x for x, _ in places]) & np.isin(points[:, 1], [y for _, y in places])
    return Counter(place for x, y in points[near].tolist() if (place := (x, y)) in places)


def _away(line: BaseGeometry, end: int) -> complex:
    """The way in which a line leaves one of its ends, in metres to the east and the north."""
    x, y = shapely.get_coordinates(line)[:: 1 - 2 * end].T
    east = (around(x, float(x[0])) - x[0]) * math.cos(math.radians(y[0]))
    along = shapely.linestrings(np.column_stack([east, y - y[0]]) * _DEGREE_M)
    point = shapely.line_interpolate_point(along, _ALONG_M)
    return complex(point.x, point.y)


def _turn(one: complex, other: complex) -> float:
    """By how much one turns who comes along one line and leaves by the other: 0 is straight ahead."""
    return abs(math.remainder(math.atan2(one.imag, one.real) - math.atan2(-other.imag, -other.real), math.tau))


# Areas


def may_adjoin(whole: Whole) -> bool:
    """Whether an area is ground, which is one with what is called the same and adjoins it."""
    return whole.first.kind == "area" and whole.line in _GROUND


def adjoining(shapes: Sequence[BaseGeometry], names: Sequence[str | None], pixel: float) -> Iterator[list[int]]:
    """The numbers of areas that are one, by name, those without one alone; by the first of each.

    `shapes`: what of them lies in the patch, in metres.
    """
    pairs = np.array([*_pairs(shapes, names, pixel)], np.int64).reshape(-1, 2)
    touching = pairs[_share_a_border(np.array(shapes, dtype=object)[pairs], pixel)]
    groups: dict[int, list[int]] = {}
    for k, number in enumerate(connected(touching, len(shapes)).tolist()):
        groups.setdefault(number, []).append(k)
    yield from groups.values()


def _pairs(shapes: Sequence[BaseGeometry], names: Sequence[str | None], pixel: float) -> Iterator[tuple[int, int]]:
    """Areas of one name that are no more than a pixel apart."""
    by_name: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        if name is not None:
            by_name.setdefault(name, []).append(k)
    for those in by_name.values():
        if len(those) > 1:
            some = np.array([shapes[k] for k in those], dtype=object)
            near = shapely.STRtree(some).query(some, predicate="dwithin", distance=pixel)
            yield from sorted((those[i], those[j]) for i, j in near.T.tolist() if i < j)


def _share_a_border(pairs: np.ndarray, pixel: float) -> np.ndarray:
    """Of each of (n, 2) pairs of areas, whether so much of one's border lies along the other."""
    one, other = pairs.T
    first = shapely.area(one) <= shapely.area(other)
    small, large = np.where(first, one, other), np.where(first, other, one)  # which may lie within the large one
    around = shapely.buffer(large, pixel, quad_segs=2)
    shared = shapely.length(shapely.intersection(shapely.boundary(small), around))
    return np.asarray(shared >= _BORDER * pixel)


def united(shapes: Sequence[BaseGeometry], pixel: float) -> BaseGeometry:
    """Areas that adjoin as one, without the cracks of less than a pixel that a map leaves between them."""
    whole = shapely.union_all(np.array(shapes, dtype=object), grid_size=_GRID)
    wider = shapely.buffer(whole, pixel / 2, join_style="mitre")
    return shapely.buffer(wider, -pixel / 2, join_style="mitre")


def collected(wholes: Sequence[Whole]) -> Whole:
    """Areas that adjoin as one thing."""
    parts = tuple(sorted((part for each in wholes for part in each.parts), key=_order))
    geometry = shapely.geometrycollections([each.geometry for each in wholes])
    return Whole(wholes[0].noun, wholes[0].line, parts, geometry)
