"""Reads captions of patches as a person would, and says what of them planted things show to be false.

Imports nothing from nutonic. In each sentence the words for things, shares, sizes, places and directions are taken out, one
after the other. What is left is English: some words state a fact (``cut``, ``whole``, ``beside``), others state none, and a
sentence with any other word is not understood. Facts are held against the plants: their shapes in metres of the patch, x to
the east and y to the north.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

PARTS = ("north-west", "north", "north-east", "west", "centre", "east", "south-west", "south", "south-east")
WINDS = ("north", "north-north-east", "north-east", "east-north-east", "east", "east-south-east", "south-east",
         "south-south-east", "south", "south-south-west", "south-west", "west-south-west", "west", "west-north-west",
         "north-west", "north-north-west")  # fmt: skip
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
SHARES = {"about a quarter": 0.25, "about a third": 1 / 3, "about half": 0.5, "about two thirds": 2 / 3,
          "about three quarters": 0.75, "nearly all": 0.985, "all": 1.0}  # fmt: skip
#: What is no further apart is beside each other; what lies on another thing with more than a tenth of it is not.
BESIDE_M, ON = 15.0, 0.1


@dataclass(frozen=True, kw_only=True)
class Plant:
    """Something that is there."""

    key: str
    noun: str
    plural: str
    shape: BaseGeometry
    surface: str | None = None
    bridge: bool = False
    building: bool = False
    """Whether its tags make it a building, whatever its noun: a church, a house, a warehouse."""


@dataclass(frozen=True)
class Scene:
    """A square of ground with plants."""

    side: float
    plants: Sequence[Plant]
    pixel: float = 0.6
    most_beside: int = 12
    """Where so many things are beside another one, nobody counts them."""

    @cached_property
    def square(self) -> BaseGeometry:
        return shapely.box(0, 0, self.side, self.side)

    @cached_property
    def seen(self) -> dict[str, Seen]:
        """What can be seen, by key."""
        found = (Seen(plant, self) for plant in self.plants)
        least = 0, self.pixel, self.pixel**2
        return {each.plant.key: each for each in found if each.size >= least[each.dimension] and not each.is_sliver}

    def called(self, noun: str) -> list[Seen]:
        return [each for each in self.seen.values() if self.is_called(each, noun)]

    def is_called(self, each: Seen, noun: str) -> bool:
        """Whether a noun stands for a thing: where there are plain buildings, all kinds of buildings count as such."""
        if noun == "building" and any(other.plant.noun == noun for other in self.seen.values()):
            return each.plant.building or each.plant.noun == noun
        return each.plant.noun == noun

    def part(self, name: str) -> BaseGeometry:
        row, column = divmod(PARTS.index(name), 3)
        third = self.side / 3
        return shapely.box(column * third, (2 - row) * third, (column + 1) * third, (3 - row) * third)


@dataclass(frozen=True)
class Seen:
    """What is seen of a plant."""

    plant: Plant
    scene: Scene

    @cached_property
    def dimension(self) -> int:
        return int(shapely.get_dimensions(self.plant.shape))

    @cached_property
    def shape(self) -> BaseGeometry:
        if self.dimension == 1:
            clipped = shapely.clip_by_rect(self.plant.shape, 0, 0, self.scene.side, self.scene.side)
            return shapely.line_merge(clipped) if clipped.geom_type == "MultiLineString" else clipped
        return shapely.intersection(self.plant.shape, self.scene.square)

    @cached_property
    def size(self) -> float:
        """Square metres or metres; 1 of a point that is seen."""
        if self.dimension == 0:
            return -1.0 if self.shape.is_empty else 1.0
        return float(self.shape.area if self.dimension == 2 else self.shape.length)

    @cached_property
    def beyond(self) -> float:
        """How much of it is outside."""
        whole = self.plant.shape
        return float((whole.area if self.dimension == 2 else whole.length) - self.size)

    @cached_property
    def is_sliver(self) -> bool:
        """Whether the edge leaves less than three pixels of it, in length or in width."""
        least = 3 * self.scene.pixel
        if self.dimension == 0 or self.beyond <= (0.5, 0.3)[self.dimension - 1]:
            return False
        if self.dimension == 1:
            return self.size < least
        return bool(self.shape.disjoint(shapely.box(least, least, self.scene.side - least, self.scene.side - least)))

    def within(self, parts: Iterable[str]) -> tuple[float, float]:
        """How much of it lies in some parts together, and of the parts: of itself, and of what one part can hold."""
        inside = self.shape.intersection(shapely.union_all([self.scene.part(part) for part in parts]))
        third = self.scene.side / 3
        if self.dimension == 0:
            return float(not inside.is_empty), 0.0
        size, most = (inside.area, third**2) if self.dimension == 2 else (inside.length, third)
        return size / self.size, size / most

    @cached_property
    def pieces(self) -> list[np.ndarray]:
        return [shapely.get_coordinates(part) for part in shapely.get_parts(self.shape)]

    def chord(self) -> np.ndarray | None:
        """From one end to the other, if it is one piece."""
        return self.pieces[0][-1] - self.pieces[0][0] if len(self.pieces) == 1 else None

    def fills_a_hole_of(self, other: Seen, slack: float) -> bool:
        """Whether it takes more than half of what another area leaves free within it, and hardly lies elsewhere."""
        rings = [ring for part in shapely.get_parts(other.plant.shape) for ring in getattr(part, "interiors", ())]
        holes = [shapely.Polygon(ring).intersection(self.scene.square) for ring in rings]
        shared = [(self.shape.intersection(hole).area, hole.area) for hole in holes]
        return any(area > (0.5 + slack / 2) * of and area > (0.9 + slack / 2) * self.shape.area for area, of in shared)

    def is_beside(self, other: Seen, slack: float) -> bool:
        """Whether another thing is beside it; a positive slack takes what is nearly so as well."""
        if shapely.distance(self.shape, other.shape) > BESIDE_M + slack:
            return False
        low, high = sorted((self, other), key=lambda each: (each.dimension, each.size))
        if high.dimension < 2:
            return True
        if low.dimension == 2 and (low.fills_a_hole_of(high, slack) or high.fills_a_hole_of(low, slack)):
            return False
        shared = low.shape.intersection(high.shape)
        if low.dimension == 0:
            return bool(shared.is_empty)
        return bool((shared.area if low.dimension == 2 else shared.length) <= (ON + slack / 10) * low.size)


def _angle(points: np.ndarray) -> tuple[float, float]:
    """The main axis of points, from north clockwise in degrees, and how much longer than wide they spread."""
    values, vectors = np.linalg.eigh(np.cov(points.T))
    x, y = vectors[:, 1]
    return math.degrees(math.atan2(x, y)) % 180, math.sqrt(values[1] / max(values[0], 1e-9))


def _points_in(shape: BaseGeometry) -> np.ndarray:
    """Points all over an area."""
    west, south, east, north = shape.bounds
    grid = np.stack(np.meshgrid(np.linspace(west, east, 160), np.linspace(south, north, 160)), -1).reshape(-1, 2)
    return grid[shapely.contains_xy(shape, grid[:, 0], grid[:, 1])]


# Measures in words

_NUMBER = r"(\d[\d,]*(?:\.\d+)?)"
_SHARE = re.compile(
    rf"{'|'.join(SHARES).removesuffix('|all')}|\ball(?= of (?!it lies))|about {_NUMBER} percent|less than 1 percent",
    re.I,
)
_AREA = re.compile(rf"about {_NUMBER} (square metres?|hectares?)|less than 1 square metre", re.I)
_LENGTH = re.compile(rf"about {_NUMBER} (metres?|kilometres?)", re.I)
_UNITS = {"square metre": 1.0, "hectare": 1e4, "metre": 1.0, "kilometre": 1e3}
_PART = rf"(?:{'|'.join(sorted(PARTS, key=len, reverse=True))})"
_PARTS_LISTED = rf"{_PART}(?:, {_PART})*(?: and {_PART})?"
_WIND = rf"(?:{'|'.join(sorted(WINDS, key=len, reverse=True))})"
_ENDS = re.compile(rf"from the ({_PART}) to the ({_PART})\b", re.I)
_WAY = re.compile(rf"from ({_WIND}) to ({_WIND})\b", re.I)
_FREE = re.compile(rf"in every part but the ({_PARTS_LISTED})", re.I)
_TWO_THIRDS = re.compile(r"in the (north|south|west|east)ern two thirds", re.I)
_EVERY = re.compile(r"in every part", re.I)
_PLACE = re.compile(rf"in the ({_PARTS_LISTED})\b", re.I)
_VIA = re.compile(rf"(?:passes through|reaches|takes its way through) the ({_PARTS_LISTED})\b", re.I)
_THIRD = re.compile(
    r"little or nothing of it lies in the (\w+)ern third|the (\w+)ern third of the \w+ holds little or nothing of it",
    re.I,
)


def _two_thirds(side: str) -> list[str]:
    """The six parts of a picture that are not on the other side."""
    other = {"north": "south", "south": "north", "west": "east", "east": "west"}[side]
    return [part for part in PARTS if other not in part]


def share_is(words: str, truth: float) -> bool:
    plain = words.lower()
    if plain == "less than 1 percent":
        return truth < 0.0105
    if truth > 0.999995 if plain == "nearly all" else plain == "all" and truth < 0.99998:
        return False
    if plain in SHARES:
        return abs(truth - SHARES[plain]) <= 0.021
    return abs(truth - float(_SHARE.fullmatch(plain)[1].replace(",", "")) / 100) <= 0.006


def size_is(words: str, truth: float, pattern: re.Pattern[str]) -> bool:
    found = pattern.fullmatch(words)
    if found[1] is None:
        return truth < 1.01
    value = float(found[1].replace(",", "")) * _UNITS[found[2].lower().removesuffix("s")]
    return abs(value - truth) <= max(0.055 * truth, 0.51)


def _listed(text: str) -> list[str]:
    return re.findall(_PART, text, re.I)


#: Words that state nothing by themselves.
_PLAIN = frozenset(
    """a aerial above all also an and are as be belongs by can carried carries close covers directions edge extends fills for
    followed from general goes ground has heads image in is it its leads lies long main mainly measures measured much near
    neighbours next occupies of off on out overall over overhead part photograph picture right runs scene seen shown shows
    size stands stretches surfaced surface taken takes that the there this through to too traced up view visible way well
    what which whole with within immediate vicinity axis longer drawn course direction between beside length""".split()  # noqa: SIM905
)
_CUT = re.compile(
    r"goes on beyond the edge of|is cut off by the edge of|part of it lies outside|the edge of the \w+ cuts it off"
    r"|continues outside",
    re.I,
)
_FOLLOWED = re.compile(r"can be (?:followed|traced)", re.I)
_WHOLE = re.compile(
    r"all of it lies within|lies wholly inside|no edge of the \w+ cuts it off|the whole [\w -]+ is in view"
    r"|is seen in full",
    re.I,
)
_NEAR = re.compile(r"^(?:next to it|beside it|right by it|close by|close to it|in its immediate vicinity)\b", re.I)
_ALSO = re.compile(r"\b(?:also|as well|too)\b", re.I)
_FRAME = re.compile(
    r"^(?:the whole \w+ spans (?P<a>.+) in height and in width|from edge to edge the \w+ measures (?P<b>.+) on the ground"
    r"|the ground that is shown spans (?P<c>.+) from side to side)\.$",
    re.I,
)
_SHAPES = ("square", "rectangular", "elongated", "compact", "round", "irregularly shaped")
_COURSES = ("slightly curved", "straight", "curved", "winding")


@dataclass
class Reading:
    """What was read so far."""

    scene: Scene
    subject: Seen
    nouns: dict[str, str]
    """Singular and plural, to singular."""
    told: set[str] = field(default_factory=set)
    """Nouns of things that were counted beside the subject."""
    uncounted: set[str] = field(default_factory=set)
    ends: tuple[str, str] | None = None


def falsehoods(text: str, scene: Scene, key: str, vocabulary: Iterable[tuple[str, str]]) -> list[str]:
    """What of a caption about a plant is false, or not understood; nothing if all of it is true.

    `vocabulary`: all nouns there are for things, with their plurals, of those that are not there too.
    """
    nouns = {word: singular for singular, plural in vocabulary for word in (singular, plural)}
    reading = Reading(scene, scene.seen[key], nouns)
    sentences = re.split(r"(?<=\.)\s+(?=[A-Z])", text)
    wrong: list[str] = []
    for index, sentence in enumerate(sentences):
        try:
            wrong += [f"{problem}: {sentence}" for problem in _sentence(sentence, reading, first=index == 0)]
        except (TypeError, ValueError, KeyError, IndexError) as error:
            wrong.append(f"not understood ({error}): {sentence}")
    return wrong


def _sentence(sentence: str, reading: Reading, *, first: bool) -> Iterator[str]:
    frame = _FRAME.match(sentence)
    if frame is not None:
        if not size_is(frame["a"] or frame["b"] or frame["c"], reading.scene.side, _LENGTH):
            yield "side of the picture"
        return
    if _NEAR.match(sentence):
        yield from _beside(_NEAR.sub("", sentence), reading)
    elif _ALSO.search(sentence):
        yield from _others(sentence, reading)
    else:
        yield from _of_one(sentence, reading, first=first)


def _take(pattern: re.Pattern[str], text: str) -> tuple[list[re.Match[str]], str]:
    return list(pattern.finditer(text)), pattern.sub(" ", text)


def _of_one(sentence: str, reading: Reading, *, first: bool) -> Iterator[str]:
    """What a sentence says of one thing: the subject, or another that the sentence begins with."""
    about, text, adjective = reading.subject, sentence.rstrip("."), None
    named, text, adjective = _named(text, reading)
    if first and named is None:
        yield "no thing is named"
    if named is not None and named != about.plant.noun:
        alike = reading.scene.called(named)
        if first or len(alike) != 1:
            yield f"{len(alike)} things are called {named}"
            return
        about = alike[0]
    if adjective is not None and not _is_adjective(adjective, about):
        yield adjective
    text, wrong = _facts(text, about, reading)
    yield from wrong
    left = [word for word in re.findall(r"[a-z][a-z-]*", text.lower()) if word not in _PLAIN]
    if left or re.search(r"\d", text):
        yield f"not understood: {left}"


def _named(text: str, reading: Reading) -> tuple[str | None, str, str | None]:
    """The thing that is named, a text without it, and its adjective."""
    words = "|".join(re.escape(word) for word in sorted(reading.nouns, key=len, reverse=True))
    found = re.search(rf"\b(?:(?:an?|the) (?:whole )?)({'|'.join((*_SHAPES, *_COURSES))})? ?({words})\b", text, re.I)
    if found is None:
        return None, text, None
    plain = found[2].lower()
    keep = "whole" if " whole " in found[0].lower() or found[0].lower().startswith("the whole") else ""
    return reading.nouns[plain], f"{text[: found.start()]} {keep} {text[found.end() :]}", found[1] and found[1].lower()


def _facts(text: str, about: Seen, reading: Reading) -> tuple[str, list[str]]:
    """A text without what it states of a thing, and what of that is false."""
    wrong: list[str] = []

    def check(pattern: re.Pattern[str], is_true, what: str) -> None:
        nonlocal text
        found, text = _take(pattern, text)
        wrong.extend(f"{what} {each[0]!r}" for each in found if not is_true(each))

    area = about.scene.side**2
    check(_SHARE, lambda f: about.dimension == 2 and share_is(f[0], about.size / area), "share")
    check(_AREA, lambda f: about.dimension == 2 and size_is(f[0], about.size, _AREA), "size")
    check(_LENGTH, lambda f: about.dimension == 1 and size_is(f[0], about.size, _LENGTH), "length")
    check(_ENDS, lambda f: _has_ends(f[1].lower(), f[2].lower(), about, reading), "ends")
    check(_WAY, lambda f: _runs(f[1].lower(), f[2].lower(), about, reading), "direction")
    check(_THIRD, lambda f: about.within(_third(f[1] or f[2]))[0] <= 0.16, "third")
    check(
        _FREE, lambda f: all(_is_free(part, about) for part in _listed(f[1])) and _is_all_but(f[1], about), "free parts"
    )
    check(_TWO_THIRDS, lambda f: _is_place(_two_thirds(f[1].lower()), about), "two thirds")
    check(_EVERY, lambda f: all(_is_held(part, about) for part in PARTS), "every part")
    check(_VIA, lambda f: all(_is_held(part, about) for part in _listed(f[1])), "on its way")
    check(_PLACE, lambda f: _is_place(_listed(f[1]), about), "place")
    least = 0.3 if about.dimension == 2 else 0.5
    check(_FOLLOWED, lambda f: len(about.pieces) == 1, "in one piece")
    check(_CUT, lambda f: about.beyond > least, "cut")
    check(_WHOLE, lambda f: about.beyond < least + 0.2, "whole")
    loop = re.compile("forms a closed loop|it is a closed loop")
    check(loop, lambda f: np.hypot(*about.chord()) < about.scene.pixel + 0.1, "loop")
    check(re.compile(r"(?:a|by a) bridge", re.I), lambda f: about.plant.bridge, "bridge")
    surface = re.compile(r"(?:surface is|surfaced with) ([a-z ]+)")
    check(surface, lambda f: about.plant.surface == f[1].replace(" ", "_"), "surface")
    return text, wrong


def _third(side: str) -> list[str]:
    return [part for part in PARTS if side.lower() in part.split("-")]


def _is_held(part: str, about: Seen) -> bool:
    """Whether a part of the picture holds some of it, to speak of."""
    of_it, of_part = about.within([part])
    least = 0.045 if about.dimension == 2 else 0.09
    return of_it >= least or of_part >= 2 * least


def _is_free(part: str, about: Seen) -> bool:
    of_it, of_part = about.within([part])
    most = 0.055 if about.dimension == 2 else 0.11
    return of_it < most and of_part < 2 * most


def _is_all_but(free: str, about: Seen) -> bool:
    return all(_is_held(part, about) for part in PARTS if part not in _listed(free))


def _is_place(parts: list[str], about: Seen) -> bool:
    """Whether a thing lies in these parts: in each of them, and hardly in any other."""
    return all(_is_held(part, about) for part in parts) and all(
        _is_free(part, about) for part in PARTS if part not in parts
    )


def _has_ends(first: str, last: str, about: Seen, reading: Reading) -> bool:
    reading.ends = (first, last)
    return _start(first, last, about) is not None


def _start(first: str, last: str, about: Seen) -> np.ndarray | None:
    """From the end in one part to the end in another; None if it has none there."""
    if about.dimension != 1 or len(about.pieces) != 1:
        return None
    ends = (about.pieces[0][0], about.pieces[0][-1])
    for one, other in (ends, ends[::-1]):
        near = [
            shapely.distance(shapely.Point(at), about.scene.part(part)) for at, part in ((one, first), (other, last))
        ]
        if max(near) < 0.5:
            return np.asarray(other - one)
    return None


def _runs(first: str, second: str, about: Seen, reading: Reading) -> bool:
    """Whether it stretches from one wind to the other; of a line whose ends were told, in the same sense."""
    told = WINDS.index(first) * 22.5
    if (told - WINDS.index(second) * 22.5) % 360 != 180:
        return False
    if about.dimension == 2:
        largest = max(shapely.get_parts(about.shape), key=lambda part: part.area)
        angle, longer = _angle(_points_in(largest))
        return longer >= 1.2 and _apart(angle, told) <= 13
    if reading.ends is not None:
        x, y = _start(*reading.ends, about)
        return abs((math.degrees(math.atan2(-x, -y)) - told + 180) % 360 - 180) <= 12
    steps = [piece[-1] - piece[0] for piece in about.pieces]
    return all(_apart(math.degrees(math.atan2(x, y)), told) <= 45 for x, y in steps if np.hypot(x, y) > 30)


def _apart(one: float, other: float) -> float:
    """Between two axes."""
    return abs((one - other + 90) % 180 - 90)


def _is_adjective(word: str, about: Seen) -> bool:
    return _has_course(word, about) if word in _COURSES else about.dimension == 2 and _has_shape(word, about)


def _has_course(word: str, about: Seen) -> bool:
    if about.dimension != 1:
        return False
    bows = []
    for piece in about.pieces:
        chord = shapely.LineString([piece[0], piece[-1]])
        if chord.length >= about.scene.pixel:
            bows.append(max(shapely.distance(shapely.points(piece), chord)) / chord.length)
    rise = max(bows)
    if word == "straight":
        return rise <= 0.024
    if word == "slightly curved":
        return 0.004 <= rise <= 0.12
    if word == "curved":
        return rise >= 0.03
    return rise >= 0.1 and _turns_both_ways(about)


def _turns_both_ways(about: Seen) -> bool:
    for piece in about.pieces:
        steps = np.diff(shapely.get_coordinates(shapely.LineString(piece).simplify(about.scene.pixel)), axis=0)
        turns = [math.degrees(math.atan2(a[0] * b[1] - a[1] * b[0], a @ b)) for a, b in itertools.pairwise(steps)]
        if min(sum(t for t in turns if t > 0), -sum(t for t in turns if t < 0)) >= 44:
            return True
    return False


def _has_shape(word: str, about: Seen) -> bool:
    """By common sense: how long it is for its width, how much of its box and of its hull it fills, how round it is."""
    largest = max(shapely.get_parts(about.shape), key=lambda part: part.area)
    xy = shapely.get_coordinates(shapely.minimum_rotated_rectangle(largest))
    a, b = sorted((float(np.hypot(*(xy[1] - xy[0]))), float(np.hypot(*(xy[2] - xy[1])))))
    fills, hull = largest.area / (a * b), largest.area / largest.convex_hull.area
    roundness = 4 * math.pi * largest.area / largest.length**2
    return {
        "square": b / a <= 1.16 and fills >= 0.89,
        "rectangular": fills >= 0.89 and b / a <= 3.05,
        "elongated": b / a >= 2.95,
        "round": roundness >= 0.92 and b / a <= 1.16,
        "compact": roundness >= 0.58,
        "irregularly shaped": hull <= 0.71 or roundness <= 0.36,
    }[word]


# Lists of things

_COUNT = "|".join((*NUMBERS[2:], "several", "many"))


def _items(text: str, reading: Reading) -> Iterator[tuple[str, str | None, bool, str | None]]:
    """Each thing of a list: its noun, how many, whether others of the kind are meant, and in which part."""
    words = "|".join(re.escape(word) for word in sorted(reading.nouns, key=len, reverse=True))
    item = re.compile(
        rf"(?:(?P<one>an?|another)|(?P<count>{_COUNT}))?(?: ?\b(?P<other>other|further))? ?"
        rf"(?P<stretch>(?:stretch|stretches) of )?\b(?P<noun>{words})\b(?: in the (?P<part>{_PART})\b)?",
        re.I,
    )
    rest, before = text, (False, None)
    for found in item.finditer(text):
        other = found["other"] is not None or (found["one"] or "").lower() == "another"
        stretch = (found["stretch"] or "").lower().strip()
        count = found["count"].lower() if found["count"] else "one" if found["one"] else None
        if stretch == "stretches of":
            count = "stretches"
        elif before[1] == "stretches" and not any((other, stretch, count)):
            other, count = before  # further stretches of driveway and railway track: both are further ones
        before = other, count
        yield reading.nouns[found["noun"].lower()], count, other, found["part"] and found["part"].lower()
        rest = rest.replace(found[0], " ", 1)
    left = [word for word in re.findall(r"[a-z][a-z-]*", rest.lower()) if word not in _PLAIN]
    if left or re.search(r"\d", rest):
        raise ValueError(f"{left}")


def _is_count(count: str | None, least: int, most: int) -> bool:
    """Whether so many, or any number from the least to the most, may be told so; None is a plural without a number."""
    low, high = {"several": (7, 10), "many": (11, 10**6), None: (2, 10**6), "stretches": (2, 10**6)}.get(
        count, (NUMBERS.index(count),) * 2 if count in NUMBERS else (1, 0)
    )
    return low <= most and least <= high


def _told_twice(noun: str, reading: Reading) -> Iterator[str]:
    """A church that is told by itself and among the buildings: that makes one too many."""
    kinds = {each.plant.noun for each in reading.scene.called("building")} - {"building"}
    if (noun in kinds and "building" in reading.told) or (noun == "building" and kinds & reading.told):
        yield f"{noun} told twice"


def _beside(text: str, reading: Reading) -> Iterator[str]:
    others = [each for each in reading.scene.seen.values() if each is not reading.subject]
    sure, maybe = ([each for each in others if reading.subject.is_beside(each, slack)] for slack in (-0.02, 0.02))
    endless = len(maybe) >= reading.scene.most_beside
    items = list(_items(text.rstrip("."), reading))
    if not items:
        yield "nothing is named"
    for noun, count, other, part in items:
        least, most = (sum(reading.scene.is_called(each, noun) for each in those) for those in (sure, maybe))
        if part is not None or not (most if endless and count == "one" else _is_count(count, least, most)):
            yield f"{least} to {most} are called {noun}, not {count}"
        if other != reading.scene.is_called(reading.subject, noun):
            yield f"other {noun}"
        yield from _told_twice(noun, reading)
        reading.told.add(noun)
        if endless:
            reading.uncounted.add(noun)


def _others(sentence: str, reading: Reading) -> Iterator[str]:
    text = sentence.rstrip(".")
    items = list(_items(text, reading))
    if not items:
        yield "nothing is named"
    for (noun, _, _, part), (_, _, _, later) in itertools.pairwise(items):
        # a lake and a road in the east: both are read as being there
        if (
            part is None
            and later is not None
            and not any(_is_place([later], each) for each in reading.scene.called(noun))
        ):
            yield f"{noun} in the {later}"
    for noun, count, other, part in items:
        those = [each for each in reading.scene.called(noun) if each is not reading.subject]
        least = most = len(those)
        if noun in reading.told:
            beside = [sum(reading.subject.is_beside(each, slack) for each in those) for slack in (0.02, -0.02)]
            least, most = least - beside[0], most - beside[1]
        if noun in reading.uncounted or not _is_count(count, least, most):
            yield f"{least} to {most} are called {noun}, not {count}"
        if other != (reading.scene.is_called(reading.subject, noun) or noun in reading.told):
            yield f"other {noun}"
        yield from _told_twice(noun, reading)
        if part is not None and not any(_is_place([part], each) for each in those):
            yield f"{noun} in the {part}"
        reading.told.add(noun)
        reading.uncounted.add(noun)  # it is not told again
