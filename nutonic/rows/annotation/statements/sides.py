"""On which side of a thing another one lies, as far as the nine parts of a picture tell; and what lies between two.

What two parts do not tell, since both things lie in the same ones, is None: nobody knows it by the description alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from nutonic.chips.scene.description import Described

_ROWS = {"north": -1, "south": 1}
_COLUMNS = {"west": -1, "east": 1}
#: The parts that two things lie in tell of a side if their middles are so far apart, in parts.
_APART = 0.25
#: A thing lies on a side of a line if its middle is so far from it, in parts.
_BESIDE = 0.2

Point = tuple[float, float]

#: Parts of which a thing has all that lies all round.
ALL_SIDES = frozenset({"north", "south", "west", "east"})


def is_all_round(each: Described) -> bool:
    """Whether a thing lies on all sides of the picture, as a lake around an island: it lies in none of the thirds."""
    return each.kind == "area" and ALL_SIDES.issubset(each.cells)


def main_part(each: Described) -> tuple[int, int]:
    """Row and column of where a thing mostly is: of what lies all round the middle of the picture."""
    return (0, 0) if is_all_round(each) else part(each.where)


@lru_cache(maxsize=256)
def part(cell: str) -> tuple[int, int]:
    """Row and column of a part of the picture, or what a point of the compass says of them: -1, 0 or 1 each."""
    words = cell.split("-")
    return sum(_ROWS.get(word, 0) for word in words), sum(_COLUMNS.get(word, 0) for word in words)


@lru_cache(maxsize=4096)
def _middle(cells: tuple[str, ...]) -> Point:
    rows, columns = zip(*map(part, cells), strict=True)
    return sum(rows) / len(cells), sum(columns) / len(cells)


def middle(each: Described) -> Point:
    """The middle of what a thing reaches into, and of where it mostly is, as row and column."""
    (row, column), (main_row, main_column) = _middle(each.cells), main_part(each)
    return (row + main_row) / 2, (column + main_column) / 2


def _step(one: float, other: float, mean: float) -> int:
    """-1, 0 or 1: which of two comes first, by where they mostly are, and if that is the same, by what they reach into."""
    by = one - other or (mean if abs(mean) >= _APART else 0)
    return (by > 0) - (by < 0)


def beyond(one: Described, other: Described, point: str) -> bool | None:
    """Whether a thing lies in a direction of another one; None if that cannot be told."""
    (row, column), (other_row, other_column) = main_part(one), main_part(other)
    (mean_row, mean_column), (other_mean_row, other_mean_column) = _middle(one.cells), _middle(other.cells)
    steps = (
        _step(row, other_row, mean_row - other_mean_row),
        _step(column, other_column, mean_column - other_mean_column),
    )
    told = [step * sign for step, sign in zip(steps, part(point), strict=True) if sign]
    if any(each < 0 for each in told):
        return False
    return True if any(told) else None


def any_beyond(ones: Iterable[Described], others: Iterable[Described], point: str) -> bool:
    """Whether one of some things lies in a direction of one of others."""
    those = tuple(others)
    return any(beyond(one, other, point) for one in ones for other in those if one is not other)


def _course(each: Described) -> Point | None:
    """How a thing runs, as rows and columns; None if it has no ends and is not longer than wide."""
    if each.ends is not None and each.ends[0] != each.ends[1]:
        one, other = map(part, each.ends)
        return float(other[0] - one[0]), float(other[1] - one[1])
    if each.orientation is None:
        return None
    first, _, second = each.orientation.partition(" to ")
    (row, column), (to_row, to_column) = _heading(first), _heading(second)
    return to_row - row, to_column - column


def _heading(point: str) -> Point:
    """A point of the compass of sixteen."""
    words = point.split("-")
    row, column = (sum(table.get(word, 0) for word in words) for table in (_ROWS, _COLUMNS))
    return row / len(words), column / len(words)


def side_of(line: Described, each: Described) -> int:
    """On which side of a line a thing lies: -1 or 1; 0 if on both, or if that cannot be told."""
    course = _course(line)
    if course is None or each is line:
        return 0
    (row, column), (at_row, at_column) = _middle(line.cells), middle(each)
    off = (course[0] * (at_column - column) - course[1] * (at_row - row)) / (abs(course[0]) + abs(course[1]))
    return 0 if abs(off) < _BESIDE else 1 if off > 0 else -1


def is_between(each: Described, one: Described, other: Described) -> bool:
    """Whether a thing may lie between two others: these are not both on one side of it, nor both where it is."""
    if _course(each) is not None and each.kind == "line":
        sides = {side_of(each, one), side_of(each, other)}
        return sides not in ({1}, {-1}, {0})
    (row, column), (row_1, column_1), (row_2, column_2) = middle(each), middle(one), middle(other)
    return (row_1 - row) * (row_2 - row) + (column_1 - column) * (column_2 - column) <= _APART
