"""Words for shapes: of areas what they look like, of lines how they run. Each word has its threshold, stated here."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from nutonic.chips.scene.description import Orientation

Course = Literal["straight", "slightly curved", "curved", "winding", "closed"]

_ORIENTATIONS: tuple[Orientation, ...] = get_args(Orientation)
_SECTOR = math.pi / 8
#: A direction is said if it is so much nearer to its own than to the next: 1.25° of the 11.25° at either end are left.
_UNAMBIGUOUS = 10.0 / 11.25

#: Of an area over that of the smallest rectangle around it: from here on it is one. Any triangle has 0.5, a disc 0.785.
_RECTANGULAR = 0.9
#: Sides of that rectangle, the longer over the shorter: up to here a rectangle is a square, and a disc round, ...
_SQUARE = 1.15
#: ... from here on a shape has a direction, and from here on it is elongated.
_LONGER, _ELONGATED = 1.5, 3.0
#: 4π area / perimeter² (E. P. Cox, 1927; D. D. Polsby and R. D. Popper, 1991): a disc has 1, an octagon 0.948, a
#: hexagon 0.907. An ellipse that is longer than wide by a third still has 0.96, and is not round.
_ROUND, _COMPACT, _RAGGED = 0.93, 0.6, 0.35
#: Area over that of the convex hull.
_HOLLOW = 0.7
#: The largest piece has at least so much of an area, or the whole has no one shape.
_MAIN = 0.9

#: Length over the distance of the ends. An arc that rises by 1.9 % of its chord has 1.001: five metres in a patch of
#: 269 m; one that rises by 8.7 % has 1.02. An S of two quarters of a circle has 1.11, of two halves 1.57.
_STRAIGHT, _SLIGHT, _WINDING = 1.001, 1.02, 1.25
#: A winding line turns by so much to the left, and to the right; a bow turns to one side alone.
_TURNS = math.radians(45)
#: A line's pieces have one direction if their sum, end to end, is this part of their lengths.
_ONE_WAY = 0.8


def _word(angle: float) -> Orientation | None:
    """The direction of an angle from east, counter-clockwise; None near the border of two."""
    sectors = (math.pi / 2 - angle) / _SECTOR  # clockwise from north
    nearest = round(sectors)
    return _ORIENTATIONS[nearest % 8] if abs(sectors - nearest) <= _UNAMBIGUOUS / 2 else None


def _sides(shape: BaseGeometry) -> tuple[float, float, float]:
    """Of the smallest rectangle around a shape: the longer side, the shorter, and the angle of the longer."""
    box = shapely.minimum_rotated_rectangle(shape)
    if box.geom_type != "Polygon":
        return 0.0, 0.0, 0.0
    steps = np.diff(shapely.get_coordinates(box)[:3], axis=0)
    lengths = np.hypot(*steps.T)
    long = int(np.argmax(lengths))
    return float(lengths[long]), float(lengths[1 - long]), math.atan2(steps[long][1], steps[long][0])


def _main_axis(shape: BaseGeometry) -> float:
    """The angle of the axis about which an area's second moment is least."""
    origin = shapely.get_coordinates(shape.centroid)[0]
    xx = yy = xy = 0.0
    for polygon in shapely.get_parts(shapely.orient_polygons(shape)):  # holes run the other way, and count as less
        for ring in (polygon.exterior, *polygon.interiors):
            x, y = (shapely.get_coordinates(ring) - origin).T
            cross = x[:-1] * y[1:] - x[1:] * y[:-1]
            xx += float((cross * (x[:-1] ** 2 + x[:-1] * x[1:] + x[1:] ** 2)).sum()) / 12
            yy += float((cross * (y[:-1] ** 2 + y[:-1] * y[1:] + y[1:] ** 2)).sum()) / 12
            xy += float((cross * (x[:-1] * (2 * y[:-1] + y[1:]) + x[1:] * (2 * y[1:] + y[:-1]))).sum()) / 24
    return 0.5 * math.atan2(2 * xy, xx - yy)


def area_words(shape: BaseGeometry, *, cut: bool) -> tuple[str | None, Orientation | None]:
    """An area's shape and its direction, each None where no word fits.

    Of an area that goes on beyond the patch only what is seen of it speaks: it may be elongated or irregular, but is not
    said to be square for being cut.
    """
    parts = shapely.get_parts(shape)
    main = max(parts, key=shapely.area)
    if main.area < _MAIN * shape.area:
        return None, None
    long, short, angle = _sides(main)
    if short <= 0.0:
        return None, None
    elongation, axis = long / short, _main_axis(main)
    orientation = _word(angle) if elongation >= _LONGER and _word(angle) == _word(axis) else None
    return _shape(main, elongation, main.area / (long * short), cut=cut), orientation


def _shape(shape: BaseGeometry, elongation: float, filled: float, *, cut: bool) -> str | None:
    compactness = 4 * math.pi * shape.area / shape.length**2
    if elongation >= _ELONGATED:
        return "elongated"
    if compactness < _RAGGED or shape.area < _HOLLOW * shape.convex_hull.area:
        return "irregular"
    if cut:
        return None
    if filled >= _RECTANGULAR:
        return "square" if elongation < _SQUARE else "rectangular"
    if compactness >= _ROUND and elongation < _SQUARE:
        return "round"
    return "compact" if compactness >= _COMPACT else None


def line_words(shape: BaseGeometry, pixel: float) -> tuple[Course | None, float | None, Orientation | None]:
    """A line's course, its sinuosity (at least 1) and its direction, each None where none fits.

    Each of its pieces counts by itself, with the distance of its own ends; a piece whose ends are less than a pixel apart
    is closed, and none of these three is told of it unless all are.
    """
    parts = shapely.get_parts(shape)
    points = [shapely.get_coordinates(part) for part in parts]
    steps = np.array([xy[-1] - xy[0] for xy in points])
    distances, lengths = np.hypot(*steps.T), shapely.length(parts)
    is_open = distances >= pixel
    if not is_open.any():
        return "closed", None, None
    steps, distances, lengths = steps[is_open], distances[is_open], lengths[is_open]
    sinuosity = max(float(lengths.sum() / distances.sum()), 1.0)
    folded = complex((distances * np.exp(2j * np.arctan2(steps[:, 1], steps[:, 0]))).sum())
    together = abs(folded) / float(lengths.sum())
    orientation = _word(math.atan2(folded.imag, folded.real) / 2) if together >= _ONE_WAY else None
    if not is_open.all() or (abs(folded) < 0.99 * float(distances.sum()) and sinuosity < _SLIGHT):
        return None, sinuosity, orientation  # pieces that run in different ways are no straight line
    turning = max(_turning(part, pixel) for part, each in zip(parts, is_open, strict=True) if each)
    return _course(sinuosity, turning), sinuosity, orientation


def _course(sinuosity: float, turning: float) -> Course:
    if sinuosity < _STRAIGHT:
        return "straight"
    if sinuosity < _SLIGHT:
        return "slightly curved"
    return "winding" if sinuosity >= _WINDING and turning >= _TURNS else "curved"


def _turning(line: BaseGeometry, pixel: float) -> float:
    """By how much a line turns to the left and to the right, whichever is less; noise below a pixel aside."""
    steps = np.diff(shapely.get_coordinates(shapely.simplify(line, pixel)), axis=0)
    headings = np.arctan2(steps[:, 1], steps[:, 0])
    turns = np.angle(np.exp(1j * np.diff(headings)))
    return float(min(turns[turns > 0].sum(), -turns[turns < 0].sum())) if turns.size else 0.0
