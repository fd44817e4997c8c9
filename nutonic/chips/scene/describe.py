"""Elements of a map to a description of a patch: where each lies, how large it is, how it looks, and what is beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from nutonic.chips.scene.description import Cell, Described, SceneDescription, Sea
from nutonic.chips.scene.frame import CELLS, Frame
from nutonic.chips.scene.pieces import Piece, followed, led_on, told_twice
from nutonic.chips.scene.policy import TagPolicy
from nutonic.chips.scene.sea import SEA, coast_of, is_coast, sea_within
from nutonic.chips.scene.shapes import area_words, line_words
from nutonic.chips.scene.wholes import Whole, adjoining, collected, lines_joined, may_adjoin, shown, united
from nutonic.core.model import Element

#: What is no further apart, in metres, lies beside each other; ...
NEAR_M = 15.0
#: ... and so many neighbours are told: who counts them knows that a list of so many may go on.
MOST_NEAR = 12
#: A thing of which more than this part lies on another, or under it, lies on it, and not beside it.
_BESIDE = 0.1
#: What fills more than this part of a hole in another area lies in that area, which is all around it.
_FILLS = 0.5
#: What the edge leaves less than so many pixels of, in length or from the edge inwards, nobody sees.
_SLIVER = 3.0

_ORDER = {"area": 0, "line": 1, "point": 2}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A thing, and what of it lies in the patch."""

    whole: Whole
    shape: BaseGeometry
    beyond: float
    """How much of it lies in the margin around the patch, in metres or square metres."""
    holes: tuple[BaseGeometry, ...] = ()
    """What an area leaves free within it, as far as that lies in the patch."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """An element, described, with its shape in the patch."""

    said: Described
    shape: BaseGeometry
    holes: tuple[BaseGeometry, ...] = ()
    alike: str = ""
    """What it is called where lines and areas are called the same; empty where that is its noun."""

    @property
    def order(self) -> tuple[int, float, str, int]:
        kind, _, number = self.said.element.partition("/")
        return _ORDER[self.said.kind], -(self.said.area_m2 or self.said.length_m or 0.0), kind, int(number)

    @property
    def piece(self) -> Piece:
        return Piece(self.alike or self.said.noun, self.said.kind, self.shape)


def describe(
    elements: Sequence[Element], geobox: GeoBox, policy: TagPolicy, *, patch_id: str, names: bool = False
) -> SceneDescription:
    """What a map says of a patch.

    Parameters
    ----------
    elements
        All that may touch the patch, in longitudes and latitudes, no two of one key; in any order.
    geobox
        The patch: square, north up, in metres.
    policy
        Which tags a picture shows.
    patch_id
        The patch's name.
    names
        Whether tags that name things are kept.

    Returns
    -------
    SceneDescription
        Elements that a picture can show and that take at least a pixel of the patch; of those that its edge cuts areas reach
        three pixels inwards, and lines are as long. Areas from the largest on, lines from the longest on, points; what is
        alike in the order of keys. Lines that lead on from each other, and ground that adjoins, are one thing if they are
        called the same. A line within an area that is called the same is that
        area's, and an area at the end of such a line the line's. The sea is one of the areas, where coastlines tell where
        it is and the policy what it is called. Square metres and metres are rounded to a tenth, shares and sinuosities to
        10⁻⁶.

    Raises
    ------
    GridError
        If the grid is not a square of metres with north up.
    """
    frame = Frame(geobox)
    wholes = lines_joined(shown(elements, policy), frame)
    placed = _placed(wholes, frame)
    seen = [each for one in placed if (each := _seen(one, frame, policy, names)) is not None]
    seen += [] if (sea := _sea(elements, frame, policy)) is None else [sea]
    seen = _once(seen, _led_on(wholes, elements, policy), frame)
    seen.sort(key=lambda each: each.order)
    near = _near(seen)
    found = (replace(each.said, near=near[k]) for k, each in enumerate(seen))
    return SceneDescription(patch_id=patch_id, side_m=round(frame.side, 6), elements=tuple(found))


def _placed(wholes: Sequence[Whole], frame: Frame) -> list[_Placed]:
    """What lies in the patch, areas that adjoin there as one."""
    found = list[_Placed]()
    for whole in wholes:
        drawn = frame.drawn(whole.geometry)
        shape = frame.within(drawn)
        if not shape.is_empty:
            measure = shapely.area if shapely.get_dimensions(drawn) == 2 else shapely.length
            beyond = float(measure(drawn) - measure(shape))
            found.append(_Placed(whole, shape, beyond, _holes(drawn, frame) if measure is shapely.area else ()))
    names = [each.whole.noun if may_adjoin(each.whole) else None for each in found]
    groups = adjoining([each.shape for each in found], names, frame.pixel)
    return [_one([found[k] for k in group], frame) if len(group) > 1 else found[group[0]] for group in groups]


def _one(areas: Sequence[_Placed], frame: Frame) -> _Placed:
    shape = frame.within(united([each.shape for each in areas], frame.pixel))
    beyond = sum(each.beyond for each in areas)
    return _Placed(collected([each.whole for each in areas]), shape, beyond, _holes(shape, frame))


def _holes(area: BaseGeometry, frame: Frame) -> tuple[BaseGeometry, ...]:
    """What lies within an area and is not its own, as far as it lies in the patch."""
    rings = [ring for part in shapely.get_parts(area) for ring in part.interiors]
    return tuple(hole for ring in rings if not (hole := frame.within(shapely.polygons(ring))).is_empty)


def _led_on(wholes: Sequence[Whole], elements: Sequence[Element], policy: TagPolicy) -> frozenset[str]:
    """The lines that end where another one does that is called the same, be it one that is not shown, such as a tunnel."""
    lines = [(each.first.key, each.noun, each.geometry) for each in wholes if each.first.kind == "line"]
    for each in elements:
        tags = dict(each.tags) if each.kind == "line" else {}
        if policy.drops(tags) and (noun := policy.noun(tags, each.kind)) is not None:
            lines.append((each.key, noun, each.geometry))
    on = led_on([noun for _, noun, _ in lines], [line for _, _, line in lines])
    return frozenset(lines[k][0] for k in on)


def _once(seen: Sequence[_Seen], ends_at_another: Collection[str], frame: Frame) -> list[_Seen]:
    """Without what is a part of another thing; and of the others whether they go on as the next one."""
    pieces = [each.piece for each in seen]
    twice = told_twice(pieces, frame.pixel)
    on = followed(pieces, twice, frame.pixel)
    found = []
    for k, each in enumerate(seen):
        goes_on = not each.said.cut and (k in on or each.said.element in ends_at_another)
        if k not in twice:
            found.append(replace(each, said=replace(each.said, goes_on=True)) if goes_on else each)
    return found


def _seen(placed: _Placed, frame: Frame, policy: TagPolicy, names: bool) -> _Seen | None:
    whole, shape, kind = placed.whole, placed.shape, placed.whole.first.kind
    if not _shows(shape, kind, frame):
        return None
    cells = frame.reached(shape) if kind != "point" else (frame.cell(shape),)
    said = Described(
        element=whole.first.key,
        version=whole.first.version,
        kind=kind,
        tags=policy.visible_tags(dict(whole.tags), names=names),
        noun=whole.noun,
        where=CELLS[_where(shape, cells, frame)],
        cells=tuple(CELLS[k] for k in cells),
        parts=tuple((each.key, each.version) for each in whole.parts) if len(whole.parts) > 1 else (),
        partly=tuple(tag for tag in whole.partly if policy.visible_tags(dict([tag]))),
    )
    if kind == "area":
        said = _area(said, shape, frame, cut=frame.leaves(whole.geometry) or placed.beyond > frame.pixel**2)
    elif kind == "line":
        said = _line(said, shape, frame, cut=frame.leaves(whole.geometry) or placed.beyond > frame.pixel)
    alike = policy.nouns.get(whole.line) or whole.noun
    return None if _is_sliver(said, shape, frame) else _Seen(said, shape, placed.holes, alike)


def _sea(elements: Sequence[Element], frame: Frame, policy: TagPolicy) -> _Seen | None:
    """The sea of a patch, all of it as one area; None where there is none, or nobody knows where."""
    noun, patch = policy.noun(dict([SEA])), shapely.box(*frame.bounds)
    coasts = [each for each in elements if noun is not None and is_coast(each) and not policy.drops(dict(each.tags))]
    lines, told_by = list[BaseGeometry](), list[Element]()
    for each in coasts:
        drawn = frame.drawn(each.geometry if (line := coast_of(each)) is None else line)
        reaches = drawn.intersects(patch)
        if line is None and reaches:
            return None
        lines.append(drawn)
        told_by += [each] if reaches else []
    shape = sea_within(lines, patch) if told_by else None
    if noun is None or shape is None or not _shows(shape, "area", frame):
        return None
    cells = frame.reached(shape)
    said = Sea(
        element="sea/1",
        version=0,
        kind="area",
        tags=policy.visible_tags(dict([SEA])),
        noun=noun,
        where=CELLS[_where(shape, cells, frame)],
        cells=tuple(CELLS[k] for k in cells),
        coast=tuple((each.key, each.version) for each in sorted(told_by, key=lambda each: (each.type, each.id))),
    )
    cut = shapely.intersection(shape, patch.boundary).length > frame.pixel
    sea = _area(said, shape, frame, cut=bool(cut))
    return None if _is_sliver(sea, shape, frame) else _Seen(sea, shape, _holes(shape, frame))


def _shows(shape: BaseGeometry, kind: str, frame: Frame) -> bool:
    """Whether so much of it lies in the patch that a pixel shows it."""
    if kind == "point":
        west, south, east, north = frame.bounds
        return bool(west <= shape.x < east and south < shape.y <= north)
    return bool(shape.area >= frame.pixel**2 if kind == "area" else shape.length >= frame.pixel)


def _is_sliver(said: Described, shape: BaseGeometry, frame: Frame) -> bool:
    """Whether the edge cuts a thing down to what nobody sees, however large it is."""
    if not said.cut:
        return False
    least = _SLIVER * frame.pixel
    if said.kind == "line":
        return bool(shape.length < least)
    west, south, east, north = frame.bounds
    return not shape.intersects(shapely.box(west + least, south + least, east - least, north - least))


def _area(said: Described, shape: BaseGeometry, frame: Frame, *, cut: bool) -> Described:
    words, orientation = area_words(shape, cut=cut)
    return replace(
        said,
        share=min(round(shape.area / frame.side**2, 6), 1.0),
        area_m2=round(shape.area, 1),
        shape=words,
        orientation=orientation,
        cut=cut,
    )


def _line(said: Described, shape: BaseGeometry, frame: Frame, *, cut: bool) -> Described:
    course, sinuosity, orientation = line_words(shape, frame.pixel)
    parts = shapely.get_parts(shape)
    ends: tuple[Cell, Cell] | None = None
    if len(parts) == 1 and course != "closed":
        first, last = sorted(frame.cell(shapely.get_point(parts[0], k)) for k in (0, -1))
        ends = (CELLS[first], CELLS[last])
    return replace(
        said,
        length_m=round(shape.length, 1),
        course=course,
        sinuosity=None if sinuosity is None else round(sinuosity, 6),
        orientation=orientation,
        ends=ends,
        cut=cut,
    )


def _where(shape: BaseGeometry, cells: tuple[int, ...], frame: Frame) -> int:
    """The part of the patch that holds a point inside a shape; if it hardly reaches into that, the one with most of it."""
    if shape.geom_type == "Point":
        return cells[0]
    main = max(shapely.get_parts(shape), key=shapely.area if shapely.get_dimensions(shape) == 2 else shapely.length)
    point = (
        main.centroid
        if shapely.get_dimensions(main) == 2
        else shapely.line_interpolate_point(main, 0.5, normalized=True)
    )
    if shapely.get_dimensions(main) == 2 and not main.contains(point):
        point = shapely.point_on_surface(main)
    cell = frame.cell(point)
    return cell if cell in cells else int(frame.parts(shape).argmax())


def _near(seen: Sequence[_Seen]) -> list[tuple[str, ...]]:
    """For each element those beside it, the nearest first, ties in the order of keys."""
    found: list[list[tuple[float, str]]] = [[] for _ in seen]
    if len(seen) > 1:
        shapes = np.array([each.shape for each in seen], dtype=object)
        one, other = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=NEAR_M)
        one, other = one[one < other], other[one < other]
        far = shapely.distance(shapes[one], shapes[other])
        for i, j, apart, over in zip(
            *map(np.ndarray.tolist, (one, other, far, _overlap(shapes, one, other))), strict=True
        ):
            if _bounds_sea(seen[i].said, seen[j].said) or not (
                over or _is_in(seen[i], seen[j]) or _is_in(seen[j], seen[i])
            ):
                found[i].append((round(apart, 1), seen[j].said.element))
                found[j].append((round(apart, 1), seen[i].said.element))
    return [tuple(key for _, key in sorted(each)[:MOST_NEAR]) for each in found]


def _is_in(one: _Seen, other: _Seen) -> bool:
    """Whether an area fills most of a hole in another, as an island does in a lake: it lies in that, and not beside it."""
    return one.said.kind == "area" and any(
        shapely.area(shapely.intersection(one.shape, hole)) > max(_FILLS * hole.area, (1 - _BESIDE) * one.shape.area)
        for hole in other.holes
    )


def _bounds_sea(one: Described, other: Described) -> bool:
    """Whether one is the sea and the other a line that it begins at."""
    sea, shore = (one, other) if isinstance(one, Sea) else (other, one)
    return isinstance(sea, Sea) and shore.kind == "line" and not {*shore.traced}.isdisjoint(sea.coast)


def _overlap(shapes: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether of each pair of shapes, told by their numbers, one lies on the other, at least with a part of it."""
    dimensions = shapely.get_dimensions(shapes)
    swapped = dimensions[one] > dimensions[other]
    lower, upper = np.where(swapped, other, one), np.where(swapped, one, other)
    found = np.zeros(len(lower), dtype=bool)
    for dimension, measure in ((1, shapely.length), (2, shapely.area)):
        pairs = np.flatnonzero((dimensions[lower] == dimension) & (dimensions[upper] == 2))
        few, many = shapes[lower[pairs]], shapes[upper[pairs]]
        least = measure(few) if dimension == 1 else np.minimum(measure(few), measure(many))
        found[pairs] = measure(shapely.intersection(few, many)) > _BESIDE * least
    pairs = np.flatnonzero((dimensions[lower] == 0) & (dimensions[upper] == 2))
    found[pairs] = shapely.intersects(shapes[lower[pairs]], shapes[upper[pairs]])
    return found
