"""Shares, places, zones and directions: what can be said of where something lies, as values that a view can turn."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Literal

import numpy as np

from nutonic.chips.regions import UNDOES, LandCover, turned_cells
from nutonic.core.model import Region

_FIRST, _MIDDLE, _LAST, _ALL = slice(0, 2), slice(2, 4), slice(4, 6), slice(0, 6)
_LOW, _HIGH, _INNER = slice(0, 3), slice(3, 6), slice(1, 5)

#: Parts of the image as rows and columns of the 6 × 6 grid of cells, the smaller before the larger.
PLACES = {
    "upper left corner": (_FIRST, _FIRST),
    "top": (_FIRST, _MIDDLE),
    "upper right corner": (_FIRST, _LAST),
    "left": (_MIDDLE, _FIRST),
    "centre": (_MIDDLE, _MIDDLE),
    "right": (_MIDDLE, _LAST),
    "lower left corner": (_LAST, _FIRST),
    "bottom": (_LAST, _MIDDLE),
    "lower right corner": (_LAST, _LAST),
    "upper left quarter": (_LOW, _LOW),
    "upper right quarter": (_LOW, _HIGH),
    "lower left quarter": (_HIGH, _LOW),
    "lower right quarter": (_HIGH, _HIGH),
    "top edge": (_FIRST, _ALL),
    "bottom edge": (_LAST, _ALL),
    "left side": (_ALL, _FIRST),
    "right side": (_ALL, _LAST),
    "band across": (_MIDDLE, _ALL),
    "band down": (_ALL, _MIDDLE),
    "inner part": (_INNER, _INNER),
    "upper half": (_LOW, _ALL),
    "lower half": (_HIGH, _ALL),
    "left half": (_ALL, _LOW),
    "right half": (_ALL, _HIGH),
}

#: Where no part of the image holds most of something.
SPREAD, SEVERAL = "spread", "several"

#: The zones of a zonal caption, each a part of the image.
ZONES = ("upper left quarter", "upper right quarter", "lower left quarter", "lower right quarter", "centre")

#: Eight directions, clockwise, each 45° from the last.
DIRECTIONS = ("above", "upper right", "right", "lower right", "below", "lower left", "left", "upper left")

#: How far from its middle a direction is still told, in degrees; 22.5 would be its border.
_CLEAR = 15.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where something lies."""

    place: str
    """One of :data:`PLACES`, or :data:`SPREAD` or :data:`SEVERAL`."""
    mostly: bool = False
    """Whether the place holds two thirds of it, rather than nine tenths."""

    def seen(self, view: str | None) -> Position:
        """The same, as a view shows it."""
        return (
            self
            if view is None or self.place not in PLACES
            else Position(_turned_places(view)[self.place], self.mostly)
        )


def part_of(cells: tuple[int, ...], place: str) -> int:
    """How many pixels a part of the image holds, of counts in 6 × 6 cells."""
    return _held(cells)[place]


def most_of(cells: tuple[int, ...]) -> int:
    """How many pixels that part of the image holds that holds the most, of counts in 6 × 6 cells."""
    return max(_held(cells).values())


@lru_cache(maxsize=256)
def _held(cells: tuple[int, ...]) -> dict[str, int]:
    """How many pixels each part of the image holds."""
    return dict(zip(PLACES, (_parts() @ np.array(cells, np.int64)).tolist(), strict=True))


@cache
def _parts() -> np.ndarray:
    """Which cells each part of the image has, (parts, 36) int64 of 0 and 1."""
    return np.array([_cells_of(place) for place in PLACES], np.int64)


def position(cover: LandCover, class_id: int) -> Position:
    """Where in the image most of a class lies.

    It is the first of :data:`PLACES` that holds nine tenths of the class's pixels, else the first that holds two thirds
    of them. If no place does, the class is spread across the image where at least seven of the image's nine parts hold a
    twentieth of its pixels each, and otherwise in several parts of it. A view says what the picture says, turned.
    """
    cells = cover.cells[class_id]
    if cover.view is None:
        return _position(cells)
    return _position(turned_cells(cells, UNDOES[cover.view])).seen(cover.view)


#: Thirtieths of something that a place holds of which it is said that it lies there, or that it mostly does.
_LEAST = {False: 27, True: 20}


@lru_cache(maxsize=256)  # a class is spoken of in several texts
def _position(cells: tuple[int, ...]) -> Position:
    total, held = sum(cells), _held(cells)
    for mostly in (False, True):
        least = _LEAST[mostly] * total
        for place, count in held.items():
            if 30 * count >= least:
                return Position(place, mostly)
    return Position(SPREAD if is_spread(cells) else SEVERAL)


def holds(count: int, total: int, mostly: bool) -> bool:
    """Whether so many of so many pixels are nine tenths of them, or two thirds if `mostly`."""
    return 30 * count >= _LEAST[mostly] * total


@lru_cache(maxsize=256)
def is_spread(cells: tuple[int, ...]) -> bool:
    """Whether at least seven of the image's nine parts hold a twentieth of the pixels each."""
    ninths = np.array(cells).reshape(3, 2, 3, 2).sum(axis=(1, 3))
    return bool((20 * ninths >= sum(cells)).sum() >= 7)


@cache
def _turned_places(view: str) -> dict[str, str]:
    """For each part of the image the one that it becomes in a view."""
    by_cells = {_cells_of(place): place for place in PLACES}
    return {place: by_cells[turned_cells(_cells_of(place), view)] for place in PLACES}


def _cells_of(place: str) -> tuple[int, ...]:
    inside = np.zeros((6, 6), int)
    inside[PLACES[place]] = 1
    return tuple(inside.ravel().tolist())


# Regions


def quadrant(region: Region, shape: tuple[int, int]) -> str | None:
    """The quarter of the image that holds the whole box of a region, one of :data:`ZONES`; None if none does."""
    (height, width), (x1, y1, x2, y2) = shape, region.bbox
    upper, lower = 2 * y2 <= height, 2 * y1 >= height
    left, right = 2 * x2 <= width, 2 * x1 >= width
    if not (upper or lower) or not (left or right):
        return None
    return f"{'upper' if upper else 'lower'} {'left' if left else 'right'} quarter"


def direction(of: Region, to: Region) -> str | None:
    """In which of :data:`DIRECTIONS` one region lies from another; None where a person could say another one.

    The line between the middles of their boxes is within 15° of the direction, and the boxes do not reach into each
    other along it: for ``upper left`` neither across nor down.
    """
    a, b = of.bbox, to.bbox
    dx, dy = (a[0] + a[2]) - (b[0] + b[2]), (a[1] + a[3]) - (b[1] + b[3])
    if not dx and not dy:
        return None
    bearing = float(np.degrees(np.arctan2(dx, -dy))) % 360
    nearest = round(bearing / 45)
    if abs(bearing - 45 * nearest) > _CLEAR:
        return None
    across, down = a[2] <= b[0] or a[0] >= b[2], a[3] <= b[1] or a[1] >= b[3]
    name = DIRECTIONS[nearest % 8]
    apart = {"above": down, "below": down, "left": across, "right": across}.get(name, across and down)
    return name if apart else None


# Shares


def percent(part: int, whole: int) -> str:
    """A share in whole per cent, halves rounded up.

    Something is never 0%, less than all is never 100%, and less than half is never 50%.
    """
    rounded = (200 * part + whole) // (2 * whole)
    if rounded == 0 and part:
        return "under 1%"
    if rounded == 100 and part < whole:
        return "over 99%"
    return "just under 50%" if rounded == 50 and 2 * part < whole else f"{rounded}%"


#: The upper end of each share in words, in hundredths; the share is below it. What is "about" a part is within 3 hundredths
#: of it, "nearly" or "just under" it up to 6 below, "a good" one of it up to 6 above, less or more than half up to 7.
SHARE_WORDS = (
    (2, "a trace"),
    (8, "a small part"),
    (12, "about a tenth"),
    (17, "about a seventh"),
    (22, "about a fifth"),
    (28, "about a quarter"),
    (Fraction(100, 3), "nearly a third"),
    (37, "a good third"),
    (43, "about two fifths"),
    (47, "less than half"),
    (50, "just under half"),
    (53, "about half"),
    (57, "more than half"),
    (63, "about three fifths"),
    (Fraction(200, 3), "nearly two thirds"),
    (72, "a good two thirds"),
    (78, "about three quarters"),
    (83, "about four fifths"),
    (90, "most"),
    (100, "nearly all"),
)


def in_words(part: int, whole: int) -> str:
    """A share in words, by :data:`SHARE_WORDS`."""
    if part == whole:
        return "all"
    return next(words for below, words in SHARE_WORDS if 100 * part < below * whole)


#: The ends between which a share is told that may be any between them, in hundredths.
SHARE_ENDS = (
    (10, "a tenth"),
    (20, "a fifth"),
    (25, "a quarter"),
    (Fraction(100, 3), "a third"),
    (40, "two fifths"),
    (50, "half"),
    (60, "three fifths"),
    (Fraction(200, 3), "two thirds"),
    (75, "three quarters"),
    (80, "four fifths"),
    (90, "nine tenths"),
)

#: Of a share of which no end is known.
UNKNOWN_SHARE = "an unknown part"


def between_in_words(least: int, most: int, whole: int) -> str:
    """What a share is in words that may be any from one part to another: the nearest of :data:`SHARE_ENDS` around both."""
    low = next((words for end, words in reversed(SHARE_ENDS) if 100 * least >= end * whole), None)
    high = next((words for end, words in SHARE_ENDS if 100 * most <= end * whole), None)
    if low and high:
        return f"between {low} and {high}"
    return f"at least {low}" if low else f"up to {high}" if high else UNKNOWN_SHARE


def share(part: int, whole: int, form: Literal["percent", "words"], unknown: int = 0) -> str:
    """A share, as a recipe's ``rows.shares`` wants it said.

    Where of the whole so much is `unknown` that it could be another one, it is told from the least to the most that it can
    be: ``41 to 46%``, ``between two fifths and half``.
    """
    say = percent if form == "percent" else in_words
    least, most = say(part, whole), say(part + unknown, whole)
    if least == most:
        return most
    if form == "words":
        return between_in_words(part, part + unknown, whole)
    return f"{least.removesuffix('%') if least[0].isdigit() else least} to {most}"
