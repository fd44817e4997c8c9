"""What a map says of a patch, in words and numbers that were checked against its geometry. No raw coordinate is in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Literal

from nutonic.core.model import Json

#: The nine parts of a picture. Up is north, left is west.
Cell = Literal["north-west", "north", "north-east", "west", "centre", "east", "south-west", "south", "south-east"]

#: The eight directions in which a thing can stretch: ``east-west`` and ``west-east`` are one, so there are half as many
#: words as points of the compass of sixteen.
Orientation = Literal[
    "north to south",
    "north-north-east to south-south-west",
    "north-east to south-west",
    "east-north-east to west-south-west",
    "east to west",
    "west-north-west to east-south-east",
    "north-west to south-east",
    "north-north-west to south-south-east",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An element of the map within a patch."""

    element: str
    """``way/123``; of the sea ``sea/1``; of a thing that the map has in several pieces the first of them."""
    version: int
    """Of the element; 0 of the sea."""
    kind: Literal["point", "line", "area"]
    tags: tuple[tuple[str, str], ...]
    """Those that a picture shows or implies, and names only where the recipe asks for them; sorted by key."""
    noun: str
    """What it is called, without an article: ``residential street``."""
    where: Cell
    """The part of the patch that holds a point inside the shape."""
    cells: tuple[Cell, ...]
    """All parts that it reaches into, in reading order."""
    ends: tuple[Cell, Cell] | None = None
    """Of a line: the parts that hold its two ends."""
    share: float | None = None
    """Of an area: its part of the patch, 0 to 1."""
    area_m2: float | None = None
    """Of an area: square metres within the patch, in the patch's own CRS."""
    length_m: float | None = None
    """Of a line: metres within the patch, in the patch's own CRS."""
    shape: str | None = None
    """Of an area: ``square``, ``rectangular``, ``elongated``, ``compact``, ``irregular`` …"""
    course: Literal["straight", "slightly curved", "curved", "winding", "closed"] | None = None
    """Of a line, by `sinuosity`."""
    sinuosity: float | None = None
    """Of a line: its length over the distance of its ends, at least 1; None of a closed one."""
    orientation: Orientation | None = None
    """Of a line, or of an area that is longer than wide."""
    cut: bool = False
    """Whether it goes on beyond the patch's edge."""
    goes_on: bool = False
    """Whether, though no edge cuts it, another one that is called the same begins where it ends."""
    near: tuple[str, ...] = ()
    """Other elements of the patch that touch it or lie beside it, such as ``way/124``; the nearest first."""
    parts: tuple[tuple[str, int], ...] = ()
    """Of a thing that the map has in several pieces: all of them, and their versions, by type and id. None of others."""
    partly: tuple[tuple[str, str], ...] = ()
    """Tags that a picture shows of some of these and not of others, and that no name is; sorted. `tags` hold for all."""

    @property
    def traced(self) -> tuple[tuple[str, int], ...]:
        """The elements of the map that it is told by, and their versions."""
        return self.parts or ((self.element, self.version),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sea(Described):
    """The sea within a patch: an area that no element of the map is, but that its coastlines bound."""

    coast: tuple[tuple[str, int], ...]
    """The elements that it is told by, and their versions: ``(("way/123", 4),)``, by type and id."""

    @property
    def traced(self) -> tuple[tuple[str, int], ...]:
        """The coastlines."""
        return self.coast


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDescription:
    """A patch, described."""

    patch_id: str
    side_m: float
    """Side of the patch, in metres of its CRS."""
    elements: tuple[Described, ...]
    """Areas by share, then lines by length, then points; the larger first."""

    def json(self) -> Json:
        """As it is kept; :meth:`from_json` takes it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Json) -> SceneDescription:
        """The description that `json` gave, which is used up by it."""
        elements = tuple(_described(each) for each in value["elements"])
        return cls(patch_id=value["patch_id"], side_m=value["side_m"], elements=elements)

    def of(self, element: str) -> Described:
        """The element of this key."""
        return next(each for each in self.elements if each.element == element)


#: What puts the value of each field of a `Described` where it belongs.
_FIELDS = tuple((each.name, getattr(Described, each.name).__set__) for each in fields(Described))
_SET_COAST = Sea.__dict__["coast"].__set__


def _described(value: Json) -> Described:
    """An element of those of which a patch may have hundreds: its values are the dictionary's, changed where they are.

    They are put into its slots as they are: what a frozen dataclass does instead takes twice as long.
    """
    value["cells"], value["near"] = tuple(value["cells"]), tuple(value["near"])
    value["tags"] = tuple(map(tuple, value["tags"]))
    if value["ends"] is not None:
        value["ends"] = tuple(value["ends"])
    value.setdefault("goes_on", False)  # which descriptions of an older nutonic do not tell, ...
    for name in ("parts", "partly"):  # ... nor these
        value[name] = tuple(map(tuple, value.get(name, ())))
    is_sea = "coast" in value  # which nothing else has, so that descriptions without a sea are as they were
    each = object.__new__(Sea if is_sea else Described)
    for name, put in _FIELDS:
        put(each, value[name])
    if is_sea:
        _SET_COAST(each, tuple(map(tuple, value["coast"])))
    return each


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a caption is to say."""

    number: Literal[1, 2, 3]
    """1: an area, 2: a line, 3: an earlier caption in other words."""
    element: str
    """The element that is described: ``way/123``."""
    index: int = 0
    """Of task 3: which revision, from 0."""
