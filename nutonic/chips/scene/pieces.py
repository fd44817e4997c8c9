"""What a map has twice, where a picture shows one thing: told from how things that are called the same meet.

A river is an area and its centre line; the end of a street is an area beside the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry

#: A line of which so much lies in areas that are called the same is theirs.
_THEIRS = 0.5
#: About as wide as a line is, in metres: an area at its end that is smaller than all of it is the line's.
_LINE_M = 4.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A shape within a patch, in metres."""

    noun: str
    kind: str
    shape: BaseGeometry


def told_twice(pieces: Sequence[Piece], pixel: float) -> frozenset[int]:
    """The numbers of pieces that are parts of others: lines in an area of their own kind, areas at the end of a line."""
    found = set[int]()
    for lines, areas in _alike(pieces):
        ground = shapely.buffer(shapely.union_all([pieces[k].shape for k in areas]), pixel)
        within = [k for k in lines if _within(pieces[k].shape, ground) >= _THEIRS]
        left = [k for k in lines if k not in within]
        ends = (k for k in areas if any(_is_end(pieces[k].shape, pieces[line].shape, pixel) for line in left))
        found.update(within, ends)
    return frozenset(found)


def _alike(pieces: Sequence[Piece]) -> Iterator[tuple[list[int], list[int]]]:
    """Lines and areas that are called the same, where there are both."""
    by_noun: dict[str, tuple[list[int], list[int]]] = {}
    for k, each in enumerate(pieces):
        if each.kind != "point":
            by_noun.setdefault(each.noun, ([], []))[each.kind == "area"].append(k)
    yield from ((lines, areas) for lines, areas in by_noun.values() if lines and areas)


def _within(line: BaseGeometry, ground: BaseGeometry) -> float:
    return float(shapely.intersection(line, ground).length / line.length)


def _is_end(area: BaseGeometry, line: BaseGeometry, pixel: float) -> bool:
    return bool(area.area <= _LINE_M * line.length and shapely.dwithin(area, line, pixel))
