"""What a map has twice, where a picture shows one thing: told from how things that are called the same meet.

A river is an area and its centre line; the end of a street is an area beside the way. And which things go on as another
one with which they could not be joined: a street at a fork, a river where its area ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

#: A line of which so much lies in areas that are called the same is theirs.
_THEIRS = 0.5
#: About as wide as a line is, in metres: an area at its end that is smaller than all of it is the line's.
_LINE_M = 4.0
#: Digits of degrees that a map has: places that are the same to these are one.
_DIGITS = 7
#: What goes on for fewer pixels than these, or adjoins for fewer, only touches.
_GOES_ON = 3.0


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


def followed(pieces: Sequence[Piece], gone: Collection[int], pixel: float) -> frozenset[int]:
    """The numbers of pieces that go on as another one: lines and areas that meet, and areas that adjoin, called the same.

    `gone`: the numbers of those that are told twice.
    """
    found = set[int]()
    for lines, areas in _alike(pieces):
        for area in areas:
            shape = pieces[area].shape
            near = [k for k in (*lines, *areas) if k != area and shapely.dwithin(shape, pieces[k].shape, pixel)]
            if any(_goes_on(pieces[k], shape, pixel) for k in near):
                found.add(area)
            if area not in gone:
                found.update(k for k in near if pieces[k].kind == "line")
    return frozenset(found)


def _goes_on(piece: Piece, area: BaseGeometry, pixel: float) -> bool:
    """Whether a piece leads on from an area: a line out of it, another area along its border."""
    around = shapely.buffer(area, pixel)
    if piece.kind == "line":
        return bool(shapely.difference(piece.shape, around).length >= _GOES_ON * pixel)
    return bool(shapely.intersection(piece.shape.boundary, around).length >= _GOES_ON * pixel)


def led_on(nouns: Sequence[str], lines: Sequence[BaseGeometry]) -> frozenset[int]:
    """The numbers of lines, in degrees, that end where another one ends that is called the same."""
    ends, which = shapely.get_coordinates(shapely.boundary(np.array(lines, dtype=object)), return_index=True)
    at: dict[tuple[str, float, float], set[int]] = {}
    for (x, y), k in zip(np.round(ends, _DIGITS).tolist(), which.tolist(), strict=True):
        at.setdefault((nouns[k], x, y), set()).add(k)
    return frozenset(k for those in at.values() if len(those) > 1 for k in those)
