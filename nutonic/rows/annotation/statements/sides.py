"""On which side of a thing another one lies, what lies between two, and what may be said of where some lie and run.

It is told as far as the nine parts of a picture do. What two parts do not tell, since both things lie in the same ones, is
None: nobody knows it by the description alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from nutonic.chips.scene.description import Described
from nutonic.lazily import lazily

_ROWS = {"north": -1, "south": 1}
_COLUMNS = {"west": -1, "east": 1}
#: The parts that two things lie in tell of a side if their middles are so far apart, in parts.
_APART = 0.25
#: A thing lies on a side of a line if its middle is so far from it, in parts.
_BESIDE = 0.2

#: Words of shapes.
SHAPES = ("rectangular", "elongated", "irregular", "triangular", "circular", "oval", "l-shaped", "compact", "square",
           "round")  # fmt: skip

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


@dataclass(frozen=True, eq=False)
class Allowed:
    """What may be said of where some things are, how they run, and of what shape they are: of any of them.

    Of hundreds of elements many lie, run and are called alike; and of most a caption says but a part of this.
    """

    elements: tuple[Described, ...]

    @lazily
    def cells(self) -> frozenset[str]:
        """The parts that they reach into."""
        places = {(each.where, each.cells, each.ends) for each in self.elements}
        return frozenset(cell for where, cells, ends in places for cell in (where, *cells, *(ends or ())))

    @lazily
    def _courses(self) -> set[tuple[str | None, tuple[str, str] | None]]:
        return {(each.orientation, each.ends) for each in self.elements}

    @lazily
    def runs(self) -> frozenset[str]:
        """Words of the compass of eight in which they stretch, both ends of each."""
        return frozenset().union(*(_ways(*course)[0] for course in self._courses))

    @lazily
    def pairs(self) -> frozenset[tuple[str, str]]:
        """From and to, both ways round."""
        return frozenset().union(*(_ways(*course)[1] for course in self._courses))

    @lazily
    def courses(self) -> frozenset[str]:
        """Of lines."""
        return frozenset(each.course for each in self.elements if each.course is not None)

    @lazily
    def tilts(self) -> frozenset[str]:
        """How they run over the picture."""
        return frozenset(tilt for course in self._courses if (tilt := _tilt(*course)) is not None)

    @lazily
    def shapes(self) -> frozenset[str]:
        """Of areas."""
        return frozenset(shape for each in self.elements if each.shape is not None for shape in _shapes_of(each))

    @lazily
    def called(self) -> frozenset[str]:
        """Words of shapes that are in what they are called, or in a tag."""
        return frozenset().union(*(_shapes_told(*each) for each in {(each.noun, each.tags) for each in self.elements}))

    @lazily
    def cut(self) -> frozenset[bool]:
        """Whether they go on beyond the edge of the picture: of some it may be so, and of others not."""
        return frozenset(each.cut for each in self.elements)

    @lazily
    def whole(self) -> frozenset[bool]:
        """Whether they are seen in full: not so where another one that is called the same goes on."""
        return frozenset(not each.cut and not each.goes_on for each in self.elements)


def allowed_of(elements: Iterable[Described]) -> Allowed:
    """What may be said of any of some elements."""
    return Allowed(tuple(elements))


def _shapes_of(area: Described) -> tuple[str, ...]:
    """The shape of an area; what is longer than wide is elongated too."""
    return (area.shape or "",) if area.orientation is None else (area.shape or "", "elongated")


@lru_cache(maxsize=4096)
def _shapes_told(noun: str, tags: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """The words of shapes that are in what a thing is called, or in the values of its tags."""
    return frozenset().union(_shapes_in(noun), *(_shapes_in(value) for _, value in tags))


@lru_cache(maxsize=4096)
def _shapes_in(word: str) -> frozenset[str]:
    """The words of shapes that are in what a thing is called, or in a tag's value: most have none, and come again."""
    return frozenset(shape for shape in SHAPES if shape in word)


@lru_cache(maxsize=4096)
def _ways(orientation: str | None, ends: tuple[str, str] | None) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """The directions in which an element runs, and from where to where."""
    runs, pairs = set[str](), set[tuple[str, str]]()
    ways = [(a, b) for a, _, b in [orientation.partition(" to ")]] if orientation else []
    for a, b in [*ways, *([ends] if ends else [])]:
        for x in _points(a):
            for y in _points(b):
                pairs |= {(x, y), (y, x)}
        runs |= _points(a) | _points(b)
    return frozenset(runs), frozenset(pairs)


def _points(point: str) -> set[str]:
    """A point of the compass of sixteen, as those words of eight that it may be called; the centre is none."""
    parts = point.split("-")
    if len(parts) == 3:  # north-north-west: between north and north-west
        return {parts[0], f"{parts[1]}-{parts[2]}"}
    return {point, *parts} if len(parts) == 2 else {point}


@lru_cache(maxsize=4096)
def _tilt(orientation: str | None, ends: tuple[str, str] | None) -> str | None:
    """How a thing runs over the picture."""
    if orientation is not None:
        first = orientation.partition(" to ")[0]
        kinds = {"north": "upright", "east": "flat", "west": "flat", "south": "upright"}
        return kinds.get(first, "diagonal")
    if ends is not None:
        return "diagonal" if all("-" in end for end in ends) and ends[0] != ends[1] else None
    return None
