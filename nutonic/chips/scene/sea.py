"""The sea of a patch. A map has no area for it: coastlines alone, with land on their left and water on their right.

A patch is cut along its coastlines, and each piece is land or sea by the side of those that bound it. Where they do not
tell, nothing is sea: a coastline that ends within the patch, two that contradict each other, or none at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from nutonic.core.model import Element

#: What the sea is on no map: so it is told from all else, and a policy of tags says what it is called, if anything.
SEA = ("natural", "sea")

_COAST = ("natural", "coastline")
#: Areas with a coast around them that are land: of others the map keeps no direction.
_ISLANDS = frozenset({"island", "islet"})

#: Metres. Places are rounded to it, so that lines that meet in one place do so in every CRS, ...
_GRID = 0.001
#: ... and pieces of lines that are cut are found again within it.
_SAME = 1e-5


def is_coast(element: Element) -> bool:
    """Whether an element is a coastline, or an area that one bounds."""
    return _COAST in element.tags


def coast_of(element: Element) -> BaseGeometry | None:
    """The lines of a coast in its degrees, land on their left; None where that is not known.

    Of an area a map keeps no direction: an island has its land inside.
    """
    if element.kind != "area":
        return element.geometry
    if dict(element.tags).get("place") not in _ISLANDS:
        return None
    islands = shapely.get_parts(shapely.orient_polygons(element.geometry))  # their outlines are counter-clockwise
    outlines = map(shapely.get_coordinates, shapely.get_exterior_ring(islands))
    return shapely.multilinestrings(list(map(shapely.linestrings, outlines)))


def sea_within(coast: Iterable[BaseGeometry], box: BaseGeometry) -> BaseGeometry | None:
    """The part of a box that is sea.

    Parameters
    ----------
    coast
        (Multi)LineStrings in metres, land on their left, x to the east and y to the north: all that touch the box, as far
        as a little beyond it.
    box
        A polygon.

    Returns
    -------
    shapely.Geometry or None
        A (Multi)Polygon within the box; None where there is no sea, or its coast does not tell where it is.
    """
    lines = _rounded(coast)
    reached = [line for line in lines if shapely.intersection(line, box).length > _GRID]
    if not reached or _is_loose(lines, box):
        return None
    network = shapely.union_all([box.boundary, *reached])
    pieces = shapely.get_parts(shapely.polygonize([network]))
    inside = pieces[shapely.contains(box, shapely.point_on_surface(pieces))]
    sides = _sides(inside, reached)
    if not all(len(each) == 1 for each in sides):
        return None
    sea = [piece for piece, side in zip(inside, sides, strict=True) if side == {False}]
    return shapely.union_all(sea) if sea else None


def _rounded(coast: Iterable[BaseGeometry]) -> list[BaseGeometry]:
    """Lines, with places that are the same being so to the last digit."""
    lines = []
    for part in (part for each in coast for part in shapely.get_parts(each)):
        places = np.round(shapely.get_coordinates(part) / _GRID) * _GRID
        moves = np.ones(len(places), dtype=bool)
        moves[1:] = (places[1:] != places[:-1]).any(axis=1)
        if moves.sum() > 1:
            lines.append(shapely.linestrings(places[moves]))
    return lines


def _is_loose(lines: Sequence[BaseGeometry], box: BaseGeometry) -> bool:
    """Whether a line ends within a box where no other goes on, or begins where none leads to."""
    balance: dict[tuple[float, float], int] = {}
    for line in lines:
        for end, step in ((0, 1), (-1, -1)):
            place = shapely.get_coordinates(shapely.get_point(line, end))[0]
            key = float(place[0]), float(place[1])
            balance[key] = balance.get(key, 0) + step
    loose = shapely.points(np.array([place for place, sum_ in balance.items() if sum_]).reshape(-1, 2))
    return bool((shapely.contains(box, loose) & (shapely.distance(box.boundary, loose) > _GRID)).any())


def _sides(pieces: np.ndarray, lines: Sequence[BaseGeometry]) -> list[set[bool]]:
    """For each piece on which side of the lines that bound it it lies: True is left, where land is."""
    coast, steps = _segments(lines)
    tree = shapely.STRtree(coast)
    found = []
    for piece in shapely.orient_polygons(pieces):  # so that a piece lies to the left of all its rings, holes too
        edges, directions = _segments(shapely.get_rings(piece))
        middles = shapely.line_interpolate_point(edges, 0.5, normalized=True)
        edge, segment = tree.query(middles, predicate="dwithin", distance=_SAME)
        found.append(set(((directions[edge] * steps[segment]).sum(axis=1) > 0).tolist()))
    return found


def _segments(lines: Iterable[BaseGeometry]) -> tuple[np.ndarray, np.ndarray]:
    """Lines as single segments, and the way that each goes: (n,) of geometries, (n, 2) float64."""
    ends = np.concatenate([np.stack([xy[:-1], xy[1:]], 1) for xy in map(shapely.get_coordinates, lines)])
    return shapely.linestrings(ends), ends[:, 1] - ends[:, 0]
