"""The words of template captions: nouns with articles and numbers, parts of a picture, shares and sizes, lists."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from nutonic.chips.scene.description import Cell, Orientation
from nutonic.chips.scene.frame import CELLS

T = TypeVar("T")

#: The compass of sixteen, clockwise from north.
_WINDS = (
    "north", "north-north-east", "north-east", "east-north-east", "east", "east-south-east", "south-east",
    "south-south-east", "south", "south-south-west", "south-west", "west-south-west", "west", "west-north-west",
    "north-west", "north-north-west",
)  # fmt: skip
#: East and north of the centre, in parts of a picture.
_POSITIONS = {cell: (k % 3 - 1, 1 - k // 3) for k, cell in enumerate(CELLS)}
#: Cosines of the angle between a direction and that of two parts: above, it is told by the parts; below, they are across.
_TOLD, _SENSE = math.cos(math.radians(15)), math.cos(math.radians(75))
#: So many parts are listed; of more those are told that a thing leaves free, unless these are as many as that.
_LISTED, _FREE = 5, 3
#: What a thing leaves free that lies in two thirds of a picture.
OPPOSITE: Mapping[str, tuple[Cell, Cell, Cell]] = {
    "northern": ("south-west", "south", "south-east"),
    "southern": ("north-west", "north", "north-east"),
    "western": ("north-east", "east", "south-east"),
    "eastern": ("north-west", "west", "south-west"),
}

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
#: From here on there are many; in between several.
_MANY = 11

#: What has no plural and no article, by its last letters.
_MASS = re.compile(r"\b(?:\w*(?:land|wood)|grass|scrub|heath|sand|mud|shingle|scree|water|sea|switchgear|tundra)$")
_COUNTED = re.compile(r"\b(?:wetland|headland|island|wood)$")
_SINGULAR_S = re.compile(r"(?:ss|us|is|works|fish pass)$")

#: Lines that are things by themselves, which nobody sees a stretch of.
_BY_ITSELF = re.compile(
    r"\b(?:crossing|crossover|platform|stairway|bridge|pier|groyne|weir|dam|gate|stand|driveway|ramp|aisle|"
    r"roundabout|circle|waterfall|quay|breakwater|grandstand|crane|strip|lane|tree row|slope)$"
)

#: What is spoken with a vowel first, but for "unit" and "used" and "one".
_AN = re.compile(r"(?!uni|use|one|eu)[aeiou]", re.IGNORECASE)

#: What ends with the part of a picture that it lies in.
_PLACED = re.compile(rf" in the (?:{'|'.join(CELLS)})\b")

#: From this share on a thing has all of a picture: of shares of a millionth, so that a pixel that is missing counts.
ALL = 0.99999
#: Shares that have words of their own, from one to another.
_SHARES = (
    (0.235, 0.265, "about a quarter"),
    (0.32, 0.347, "about a third"),
    (0.48, 0.52, "about half"),
    (0.653, 0.68, "about two thirds"),
    (0.735, 0.765, "about three quarters"),
    (0.97, ALL, "nearly all"),
    (ALL, 1.01, "all"),
)


class Pick:
    """Picks by a key, again and again: the same key picks the same."""

    def __init__(self, key: str) -> None:
        """Nothing is picked yet."""
        self._key, self._count, self._taken = key, 0, set[str]()

    def number(self, below: int) -> int:
        """A number from 0, below another."""
        self._count += 1
        digest = hashlib.sha256(f"{self._key} {self._count}".encode()).digest()
        return int.from_bytes(digest[:8]) % below

    def one(self, of: Sequence[T]) -> T:
        """One of several."""
        return of[self.number(len(of))]

    def fresh(self, of: Sequence[str]) -> str:
        """One of several that was not picked yet, as long as there is one; then they begin anew."""
        left = [each for each in of if each not in self._taken]
        if not left:
            self._taken.difference_update(of)
        found = self.one(left or of)
        self._taken.add(found)
        return found


def cap(text: str) -> str:
    """With a capital."""
    return text[:1].upper() + text[1:]


def a(words: str) -> str:
    """With the article."""
    return f"{'an' if _AN.match(words) else 'a'} {words}"


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def thing(noun: str, kind: str) -> str:
    """A noun that can be counted: what has no singular becomes an area or a stretch of it."""
    last = noun.rpartition(" ")[2]
    mass = _MASS.search(noun) is not None and _COUNTED.search(noun) is None and " of " not in noun
    if mass or (last.endswith("s") and not _SINGULAR_S.search(noun)):
        return f"{ {'area': 'area', 'line': 'stretch', 'point': 'spot'}[kind] } of {noun}"
    return noun


def plural(noun: str) -> str:
    """Of a noun that can be counted: of ``body of water``, ``road under construction`` of its first part."""
    head, joint, rest = re.fullmatch(r"(.*?)(?:( of | under | in )(.*))?", noun).groups(default="")  # type: ignore[union-attr]
    if re.search(r"[^aeiou]y$", head):
        head = f"{head[:-1]}ies"
    else:
        head += "es" if re.search(r"(?:s|sh|ch|x|z)$", head) else "s"
    return head + joint + rest


def counted(count: int, noun: str, kind: str, *, other: bool) -> str:
    """So many of a thing, besides the one that a caption is about if `other`.

    A map cuts a road into pieces where anything about it changes, so that pieces of one kind are stretches, uncounted; what
    has an end of its own, as a crossing, is not cut but uncounted too.
    """
    if kind == "line" and (count > 1 or other) and _BY_ITSELF.search(noun) is not None:
        return f"another {noun}" if count == 1 else f"{'other ' if other else ''}{plural(noun)}"
    if kind == "line" and (count > 1 or other):
        base = re.sub(r"^stretch of ", "", thing(noun, kind))
        stretch = "stretch" if count == 1 else "stretches"
        further = "further " if other else ""
        return f"{'a ' if count == 1 else ''}{further}{stretch} of {base}"
    unit = thing(noun, kind)
    if count == 1:
        return f"another {unit}" if other else a(unit)
    number = _NUMBERS[count] if count < len(_NUMBERS) else "several" if count < _MANY else "many"
    return f"{number} {'other ' if other else ''}{plural(unit)}"


def gathered(items: Sequence[str]) -> list[str]:
    """Things of which stretches are together, and last: ``a bridge``, ``stretches of footpath and hedge``.

    What has a place of its own comes first: behind the others it would be read as the place of them all.
    """
    found: dict[str, list[str]] = {"further stretches of ": [], "stretches of ": []}
    placed, others = [], []
    for item in items:
        start = next((each for each in found if item.startswith(each)), None)
        if _PLACED.search(item):
            placed.append(item)
        elif start is None:
            others.append(item)
        else:
            found[start].append(item.removeprefix(start))
    return [*placed, *others, *(start + listed(those) for start, those in found.items() if those)]


def place(cells: Sequence[Cell]) -> str:
    """Where a thing lies, by the parts that it reaches into; ``of`` the picture is to follow, or nothing."""
    if len(cells) == len(CELLS):
        return "in every part"
    if len(cells) <= _LISTED:
        return f"in the {listed(cells)}"
    free = [cell for cell in CELLS if cell not in cells]
    side = next((side for side, third in OPPOSITE.items() if set(third) == set(free)), None)
    if side is not None:
        return f"in the {side} two thirds"
    return f"in the {listed(cells)}" if len(free) == _FREE else f"in every part but the {listed(free)}"


def along(direction: Orientation, start: Cell, end: Cell) -> str | None:
    """A direction in the sense from one part to another; None where these tell it already, or do not tell its sense."""
    (x, y), (to_x, to_y) = _POSITIONS[start], _POSITIONS[end]
    heading = math.atan2(to_x - x, to_y - y)  # clockwise from north
    first, _, second = direction.partition(" to ")
    off = [math.cos(heading - _WINDS.index(wind) * math.pi / 8) for wind in (first, second)]
    if max(off) > _TOLD or max(off) < _SENSE:
        return None
    return direction if off[1] > off[0] else f"{second} to {first}"


def share(value: float) -> str:
    """A share in words, to one per cent."""
    for low, high, words in _SHARES:
        if low <= value < high:
            return words
    percent = value * 100
    if percent < 1:
        return "less than 1 percent"
    return f"about {round(percent)} percent"


def _two_digits(value: float) -> int:
    digits = len(str(int(value)))
    unit: int = 10 ** max(digits - 2, 0)
    return round(value / unit) * unit


def area(square_metres: float) -> str:
    """An area to two digits, in hectares from one on."""
    rounded = _two_digits(square_metres)
    if rounded < 10_000:
        return f"about {rounded:,} {_unit('square metre', rounded)}" if rounded > 0 else "less than 1 square metre"
    return f"about {_number(square_metres / 10_000)} {_unit('hectare', square_metres / 10_000)}"


def length(metres: float) -> str:
    """A length to two digits, in kilometres from one on."""
    rounded = _two_digits(metres)
    if rounded < 1000:
        return f"about {rounded:,} {_unit('metre', rounded)}" if rounded > 0 else "less than 1 metre"
    return f"about {_number(metres / 1000)} {_unit('kilometre', metres / 1000)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{_two_digits(value):,}"


def _unit(name: str, value: float) -> str:
    return name if _number(value) == "1" else f"{name}s"
