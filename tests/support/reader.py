"""Reads rows as a person would, and says what of them a mask shows to be false. Imports nothing from nutonic.

A text is cut into sentences, and in each the words for classes, shares, sizes, places, zones and boxes are replaced by
tokens. What is left is English: a few words state a fact (``dominated``, ``only``, ``all``), the others state none. Facts
are held against the pixels. A sentence with a word that the reader does not know, or one that denies something in a way
that it does not know, is false.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import combinations

import numpy as np

from support import oracle
from support.oracle import exactly


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What is there to be read about."""

    mask: np.ndarray
    """Class ids; what `names` does not list has no class."""
    labels: Mapping[int, str]
    """What boxes call classes."""
    names: Mapping[int, str]
    """What sentences call classes."""
    side_m: float
    min_area: int
    """Pixels of the smallest region that counts as a patch."""
    kind: str = "satellite image"
    rules: oracle.Rules
    shares: str = "percent"
    facts: Mapping[str, str] = field(default_factory=dict)
    """Date, season and resolution, as far as prompts may tell them."""

    @cached_property
    def counts(self) -> dict[int, int]:
        return {c: int((self.mask == c).sum()) for c in self.names if (self.mask == c).any()}

    @cached_property
    def valid(self) -> int:
        return sum(self.counts.values())

    @property
    def open(self) -> int:
        """Pixels that may be of any class."""
        return self.mask.size - self.valid

    @property
    def whole(self) -> bool:
        return self.valid >= exactly(self.rules.whole_image) * self.mask.size

    @cached_property
    def pieces(self) -> dict[int, list[oracle.Region]]:
        """The connected areas of each class, the largest first."""
        known = np.where(np.isin(self.mask, list(self.names)), self.mask.astype(int), -1)
        found: dict[int, list[oracle.Region]] = {c: [] for c in self.counts}
        for region in oracle.patches(known, -1):
            found[region.class_id].append(region)
        return {c: sorted(regions, key=lambda r: -r.area_px) for c, regions in found.items()}

    @cached_property
    def ranking(self) -> list[int]:
        return sorted(self.counts, key=lambda c: -self.counts[c])

    def descends(self, classes: list[int]) -> bool:
        """Whether classes are all there, none twice, each no more common than the one before it."""
        counts = [self.counts.get(c, 0) for c in classes]
        return all(counts) and len(set(classes)) == len(classes) and counts == sorted(counts, reverse=True)

    def leads(self, classes: list[int]) -> bool:
        """Whether these are the most common classes, in order."""
        best = [self.counts[c] for c in self.ranking]
        return self.descends(classes) and [self.counts[c] for c in classes] == best[: len(classes)]

    def within(self, c: int, part: Callable[[Fraction, Fraction], tuple[int, int]]) -> Fraction:
        """The share of a class in a part of the image."""
        rows, cols = _sixths(self.mask.shape[0]), _sixths(self.mask.shape[1])
        weight = _weights(part, rows, cols)
        return Fraction(int((weight * (self.mask == c)).sum()), 4 * self.counts[c])

    def box(self, region: oracle.Region) -> list[float]:
        return oracle.normalised(region.bbox, self.mask.shape[1], self.mask.shape[0])

    def is_boxed(self, region: oracle.Region) -> bool:
        """Whether a region is large and compact enough for a box."""
        x1, y1, x2, y2 = region.bbox
        wide = min(x2 - x1, y2 - y1) >= self.rules.min_box_px
        return wide and oracle.fill(region) >= exactly(self.rules.min_box_fill)


# Where. A part of the image is rows and columns in sixths, as (first, after last).

_THIRDS = {
    "first": (0, 2),
    "middle": (2, 4),
    "last": (4, 6),
    "low": (0, 3),
    "high": (3, 6),
    "all": (0, 6),
    "in": (1, 5),
}


def _edge(k: int, side: int) -> int:
    """Where the k-th of seven edges lies, in half pixels: rounded towards the nearer end, so that both ends agree."""
    unit = 1 if side % 2 else 2
    full = 2 * side // unit
    return unit * (full * k // 6 if k <= 3 else full - full * (6 - k) // 6)


def _sixths(side: int) -> list[int]:
    return [_edge(k, side) for k in range(7)]


def _weights(part, rows: list[int], cols: list[int]) -> np.ndarray:
    """How many quarters of each pixel lie in a part."""

    def along(edges: list[int], span: tuple[int, int]) -> np.ndarray:
        low, high = edges[span[0]], edges[span[1]]
        return np.array([max(0, min(high, 2 * i + 2) - max(low, 2 * i)) for i in range(edges[6] // 2)])

    (down, across) = part
    return np.outer(along(rows, _THIRDS[down]), along(cols, _THIRDS[across]))


_CORNERS = {"upper left": ("first", "first"), "upper right": ("first", "last"), "lower left": ("last", "first"),
            "lower right": ("last", "last")}  # fmt: skip
_HALF = {"first": "low", "last": "high"}
_QUARTERS = {name: (_HALF[down], _HALF[across]) for name, (down, across) in _CORNERS.items()}
_OTHER = {"upper": "top", "lower": "bottom"}


def _places() -> dict[str, tuple[str, str] | str]:  # noqa: C901 - a table
    found: dict[str, tuple[str, str] | str] = {}
    for name, part in _CORNERS.items():
        other = " ".join(_OTHER.get(word, word) for word in name.split())
        for phrase in (f"in the {name} corner", f"in the {other} corner", f"in the corner at the {name}"):
            found[phrase] = part
        for phrase in (f"in the {name} quarter", f"in the {other} quadrant", f"toward the {name}"):
            found[phrase] = _QUARTERS[name]
    for side, part in {"top": ("first", "middle"), "bottom": ("last", "middle")}.items():
        found |= {f"at the {side}": part, f"near the middle of the {side} edge": part, f"at the {side} centre": part}
    for side, part in {"left": ("middle", "first"), "right": ("middle", "last")}.items():
        found |= {f"on the {side}": part, f"near the middle of the {side} edge": part, f"at the centre {side}": part}
    for phrase in ("in the centre", "in the middle of the scene", "at the heart of the scene"):
        found[phrase] = ("middle", "middle")
    for side, edge, part in (("top", "upper", ("first", "all")), ("bottom", "lower", ("last", "all"))):
        for phrase in (f"in the {edge} third", f"in the {side} third", f"in the third nearest the {side}"):
            found[phrase] = part
    for side, part in (("left", ("all", "first")), ("right", ("all", "last"))):
        for phrase in (f"in the {side} third", f"in the {side}-hand third", f"in the third nearest the {side}"):
            found[phrase] = part
    for phrase in ("at middle height", "in the middle of the height", "in the middle third of the height"):
        found[phrase] = ("middle", "all")
    for phrase in ("at middle width", "in the middle of the width", "in the middle third of the width"):
        found[phrase] = ("all", "middle")
    for phrase in ("around the centre", "in the inner part", "toward the middle"):
        found[phrase] = ("in", "in")
    for name, part in (("upper", ("low", "all")), ("lower", ("high", "all")), ("left", ("all", "low")),
                       ("right", ("all", "high"))):  # fmt: skip
        other, end = {"upper": ("top", "top"), "lower": ("bottom", "bottom")}.get(name, (f"{name}-hand", name))
        for phrase in (f"in the {name} half", f"in the {other} half", f"in the half nearest the {end}"):
            found[phrase] = part
    for phrase in ("over most parts of the image", "in most parts of the scene", "across most parts of the frame"):
        found[phrase] = "spread"
    for phrase in (
        "in more than one part of the frame",
        "in different parts of the image",
        "across more than one part of the scene",
    ):
        found[phrase] = "several"
    return found


PLACES = _places()
ZONES = {
    **{f"{name}{end}": part for name, part in _QUARTERS.items() for end in (" quarter", "")},
    **{f"{' '.join(_OTHER.get(w, w) for w in name.split())} quadrant": part for name, part in _QUARTERS.items()},
    **dict.fromkeys(("centre", "middle", "central part"), ("middle", "middle")),
}
_NAMED_PARTS = tuple({part for part in PLACES.values() if isinstance(part, tuple)})


def lies(picture: Picture, c: int, phrase: str) -> bool:
    """Whether a class lies where a phrase says: nine tenths of it, or with "mostly" two thirds."""
    mostly = phrase.startswith("mostly ")
    part = PLACES[phrase.removeprefix("mostly ")]
    if isinstance(part, tuple):
        return picture.within(c, part) >= (Fraction(2, 3) if mostly else Fraction(9, 10))
    if mostly or any(picture.within(c, each) >= Fraction(2, 3) for each in _NAMED_PARTS):
        return False
    ninths = [picture.within(c, (a, b)) for a in ("first", "middle", "last") for b in ("first", "middle", "last")]
    return (sum(share >= Fraction(1, 20) for share in ninths) >= 7) is (part == "spread")


# How much

_BINS = {
    "a trace": (0, 2), "a small part": (2, 8), "about a tenth": (8, 12), "about a seventh": (12, 17),
    "about a fifth": (17, 22), "about a quarter": (22, 28), "nearly a third": (28, Fraction(100, 3)),
    "a good third": (Fraction(100, 3), 37), "about two fifths": (37, 43), "less than half": (43, 47),
    "just under half": (47, 50), "about half": (50, 53), "more than half": (53, 57), "about three fifths": (57, 63),
    "nearly two thirds": (63, Fraction(200, 3)), "a good two thirds": (Fraction(200, 3), 72),
    "about three quarters": (72, 78), "about four fifths": (78, 83), "most": (83, 90), "nearly all": (90, 100),
}  # fmt: skip
#: What extends over 13% has 13%, not more: that "over" is the verb's.
_PERCENT = (
    r"\b(?:(?:just under \d\d%|under 1%|\d{1,2}) to )?(?:just under |under |(?<!extend )(?<!extends )over )?\d{1,3}%"
)
_ENDS = {
    "a tenth": 10, "a fifth": 20, "a quarter": 25, "a third": Fraction(100, 3), "two fifths": 40, "half": 50,
    "three fifths": 60, "two thirds": Fraction(200, 3), "three quarters": 75, "four fifths": 80, "nine tenths": 90,
}  # fmt: skip
_END = f"(?:{'|'.join(_ENDS)})"
_RANGE = f"(?:between {_END} and {_END}|up to {_END}|at least {_END}|an unknown part)"
_IN_WORDS = rf"(?:{_RANGE}|{'|'.join(sorted(_BINS, key=len, reverse=True))}|all)"


def is_share(words: str, part: int, whole: int) -> bool:
    """Whether words tell a share: in per cent to the nearest, or within a bin."""
    share, words = Fraction(100 * part, whole), words.lower()
    if words in _BINS:
        low, high = _BINS[words]
        return low <= share < high and part > 0
    if words == "all":
        return part == whole
    number = int(re.sub(r"\D", "", words))
    if words.startswith("just under"):
        return number - Fraction(1, 2) <= share < number
    if words.startswith("under"):
        return 0 < share < number
    if words.startswith("over"):
        return number == 99 and number + Fraction(1, 2) <= share < 100  # what would be 100%, and is less
    close = number - Fraction(1, 2) <= share < number + Fraction(1, 2)
    honest = (number != 0 or part == 0) and (number != 100 or part == whole) and not (number == 50 and share < 50)
    return close and honest


def _bin(share: Fraction) -> str | None:
    return next((words for words, (low, high) in _BINS.items() if low <= share < high), None)


def is_share_of_all(words: str, part: int, open_: int, whole: int) -> bool:
    """Whether words tell a share of the image whatever those pixels are that may be of any class."""
    if found := re.fullmatch(_RANGE, words.lower()):
        low, high = Fraction(100 * part, whole), Fraction(100 * (part + open_), whole)
        ends = [_ENDS[end] for end in re.findall(_END, found[0])]
        below = ends[0] if not found[0].startswith("up to") and ends else 0
        above = ends[-1] if not found[0].startswith("at least") and ends else 100
        nearer = any(below < end <= low or high <= end < above for end in _ENDS.values())
        return below <= low and high <= above and not nearer and _bin(low) != _bin(high)
    least, most = words.split(" to ") if " to " in words else (words, words)
    if least.isdigit():
        least = f"{least}%"
    return is_share(least, part, whole) and is_share(most, part + open_, whole)


# Sentences as tokens


@dataclass(frozen=True)
class Sentence:
    """What is left of a sentence when facts are tokens: ``C0 covers S0 of the image, P0.``"""

    text: str
    held: Mapping[str, object]

    def all(self, letter: str) -> list:
        """The values of one kind, as they come."""
        return [self.held[token] for token in re.findall(rf"{letter}\d+", self.text)]


_NUMBER_WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
#: The part of the picture that a prompt asks for.
_OF_ZONE = rf"\bthe (?:{'|'.join(sorted(ZONES, key=len, reverse=True))}) of (?=this )"

#: Before a share in words, which could be other words elsewhere.
_BEFORE = """with at is share, reach reaches covering cover covers for over up to has hold holds holding gathers comprises
    contains beyond: C0: ; and occupies occupy constitute constitutes span spans : view,"""
_SHARE_IN_WORDS = (
    rf"\({_IN_WORDS}\)|(?!all of it hangs|most of all)(?:^|{'|'.join(rf'(?<={word} )' for word in _BEFORE.split())})"
    rf"{_IN_WORDS}(?= of |, | is covered|\.|$)"
)


def sentences(picture: Picture, text: str, *, answers: bool = True) -> Iterator[Sentence]:
    """The sentences of a text, as tokens; those of a prompt are numbered through."""
    held: dict[str, object] = {}

    def put(letter: str, value: object) -> str:
        token = f"{letter}{sum(key[0] == letter for key in held)}"
        held[token] = value
        return token

    ids = {name.lower(): c for c, name in picture.names.items()}
    kinds: list[tuple[str, Callable[[str], str]]] = [
        (r"\[[\d., ]+\]", lambda found: put("B", [float(n) for n in found[1:-1].split(",")])),
        (r"\[x1, y1, x2, y2\]", lambda found: "xyxy"),
        (r"\b0-1\b", lambda found: "unit"),
        (r"\b\d{4}-\d\d-\d\d\b", lambda found: put("D", found)),
        (r"\b\d[\d.]* by \d[\d.]* k?m\b", lambda found: put("Z", found)),
        (r"\b\d[\d.]* (?:ha|m²)", lambda found: put("A", found)),
        (r"\b\d[\d.]* m\b", lambda found: put("R", found[:-2])),
        *([] if answers else [(_OF_ZONE, lambda found: f"the {put('Q', ZONES[found[4:-4].lower()])} of ")]),
        (rf"\b(?:mostly )?(?:{'|'.join(sorted(PLACES, key=len, reverse=True))})\b", lambda f: put("P", f.lower())),
        (rf"\b(?:{'|'.join(sorted(map(re.escape, ids), key=len, reverse=True))})\b", lambda f: put("C", ids[f.lower()])),
        (_PERCENT, lambda found: put("S", found)),
        (r"\b\d+(?:\.\d+)? %", lambda found: put("L", found[:-2])),
        (r"\b[\d,]*\d\b", lambda found: put("N", int(found.replace(",", "")))),
        (rf"\b(?:{'|'.join(_NUMBER_WORDS[1:])})\b(?= (?:patches|boxes|regions|largest|measure)|;|,)",
         lambda found: put("N", 1 + _NUMBER_WORDS.index(found.lower()))),
        (rf"\b(?:at most the|no more than|up to|the limit is) (?:{'|'.join(_NUMBER_WORDS)})\b"
         r"(?! (?:thirds|quarters|fifths|tenths)\b)",  # which is a share
         lambda f: f"{f.rpartition(' ')[0]} {put('N', 1 + _NUMBER_WORDS.index(f.rpartition(' ')[2].lower()))}"),
        (r"\b(?:satellite image|aerial photograph)\b", lambda found: put("I", found.lower())),
    ]  # fmt: skip
    for pattern, token in kinds:
        text = re.sub(pattern, lambda match, token=token: token(match[0]), text, flags=re.IGNORECASE)
    for part in re.split(r"(?<=[.?!]) ", text):
        if picture.shares == "words" and answers:
            part = re.sub(_SHARE_IN_WORDS, lambda m: _in_words(m[0], put), part, flags=re.IGNORECASE)
        yield _numbered_anew(part, held) if answers else Sentence(part, held)


def _numbered_anew(text: str, held: Mapping[str, object]) -> Sentence:
    """A sentence whose tokens of each kind count from 0."""
    ours: dict[str, object] = {}

    def put(match: re.Match[str]) -> str:
        token = f"{match[1]}{sum(key[0] == match[1] for key in ours)}"
        ours[token] = held[match[0]]
        return token

    return Sentence(re.sub(r"\b([A-Z])\d+\b", put, text), ours)


def _in_words(found: str, put: Callable[[str, object], str]) -> str:
    return f"({put('S', found[1:-1])})" if found.startswith("(") else put("S", found)


# Facts in words. Each takes its words out of the sentence; what no fact has taken must be words that state none.

Judge = Callable[[Picture, Sentence, "Row"], bool]


@dataclass(frozen=True)
class Row:
    """What is asked, as far as an answer's truth depends on it."""

    task: str
    classes: tuple[int, ...] = ()
    prompt: str = ""


def _first(sentence: Sentence) -> int:
    return sentence.all("C")[0]


def _asked(sentence: Sentence, row: Row) -> int:
    return (*sentence.all("C"), *row.classes)[0]


def _half(picture: Picture, sentence: Sentence, row: Row) -> bool:
    return picture.whole and 2 * picture.counts.get(_first(sentence), 0) >= picture.mask.size


def _mixed(picture: Picture, sentence: Sentence, row: Row) -> bool:
    first = _first(sentence)
    return picture.whole and picture.leads([first]) and 2 * (picture.counts[first] + picture.open) < picture.mask.size


def _entire(picture: Picture, sentence: Sentence, row: Row) -> bool:
    return picture.counts.get(_first(sentence)) == picture.mask.size


def _ordered(picture: Picture, sentence: Sentence, row: Row) -> bool:
    return picture.whole and (bool(sentence.all("Q")) or picture.descends(sentence.all("C")))


def _zone_alone(picture: Picture, sentence: Sentence, row: Row) -> bool:
    (zone,) = sentence.all("Q")
    held = _in_zone(picture, zone)
    weights = _weights(zone, _sixths(picture.mask.shape[0]), _sixths(picture.mask.shape[1]))
    return 10 * held.get(_first(sentence), 0) >= 9 * int(weights.sum())


def _one_piece(picture: Picture, sentence: Sentence, row: Row) -> bool:
    return picture.whole and len(picture.pieces.get(_asked(sentence, row), ())) == 1


def _patches(picture: Picture, sentence: Sentence, row: Row, number: int | None = None) -> bool:
    """So many patches of a size that nothing between what counts as a patch and what does not could be meant by."""
    regions = picture.pieces.get(_asked(sentence, row), [])
    amount, unit = sentence.all("A")[0].split()
    metres = Fraction(amount) * (10_000 if unit == "ha" else 1)
    pixel = Fraction(picture.side_m) ** 2 / picture.mask.shape[1] ** 2
    least = metres / pixel
    told = number if number is not None else (*sentence.all("N"), 1)[0]
    exact = Fraction(picture.min_area - 1) < least <= picture.min_area + Fraction(1, 10**6)
    return picture.whole and exact and sum(r.area_px >= picture.min_area for r in regions) == told


def _no_patch(picture: Picture, sentence: Sentence, row: Row) -> bool:
    return _patches(picture, sentence, row, 0)


def _true(picture: Picture, sentence: Sentence, row: Row) -> bool:
    return True


#: For captions of all kinds: what words state, and when that is so. The first that fits is taken.
FACTS: tuple[tuple[str, Judge], ...] = (
    (r"entirely C0(?= and|\.|,)|nothing (?:but|except) C0|covers? everything|there (?:is|are) only C0|from edge to edge"
     r"|the whole view.*taken up|C0 throughout\.|completely|^all of this|only C0 can|is all C0|fills? the whole"
     r"|C0 alone\.$|C0 everywhere|^entirely C0|^a uniform|(?:cover|fill)s? the entire image"
     r"|C0 and nothing else|every part of the image|the whole image is|shows C0 throughout"
     r"|nothing in the image is covered by anything but|takes? up all of the image|consists of C0 alone|it is all"
     r"|^all of the image is", _entire),
    (r"dominate[sd]?\b|^predominant in this|^primarily C0|principal part|\bC0 above all|consists chiefly of C0"
     r"|prevails? here|main land cover is C0|the greater part of the land|mainly covered by C0|largely covered by C0"
     r"|the bulk of|sets? the character|^mostly C0|C0 for the most part|^chiefly C0|C0 prevails? over"
     r"|^largely C0|^predominantly C0|up the main part|^mainly C0|I0 of C0 with some", _half),
    (r"^a variety of surfaces|\bforemost\b|^a combination of|of mixed land cover, most of all"
     r"|no class holds half of this|^mixed land over Z0, led by|is varied, and|ranks? first|a patchwork of Z0"
     r"|C0 leads?|a mosaic in which|the largest share|C0 stands? out|^a diverse|no class occupies more than C0"
     r"|several classes share an area|the most common is C0|blends different surfaces, above all"
     r"|first among the classes|heterogeneous|and so the most|^a mixture of(?!.* covers the Q0)|^a patchwork of"
     r"|^a mosaic of|^a blend of|^in order of area"
     r"|the square is shared by|the view is shared by|chiefly divided between|^C0.* in one view|^varied land"
     r"|^mixed land cover, above all|^among several kinds", _mixed),
    (r"almost only C0|almost everything|nearly all covered by|nearly fills? the|occupied almost wholly by"
     r"|little other than|almost entirely|single class, C0, covers almost all|little but C0"
     r"|little else than", _zone_alone),
    (r"^(?:it is|they are) in one piece|single connected area|to one connected area|one continuous area"
     r"|just one connected area of|no part of (?:its|their) area is separate from the rest|area is undivided"
     r"|area is contiguous|whole area is connected|a single, undivided area", _one_piece),
    (r"^one patch of at least A0|^a single patch of A0 or more|^only one patch measures at least A0"
     r"|one patch of no less than A0|^just one of (?:its|their) patches measures A0 or more"
     r"|^apart from fragments below A0, there is one patch|^there is only one patch of A0 or more"
     r"|^just one patch of A0 or more|^the only patch of at least A0"
     r"|^ignoring fragments under A0, a single patch", lambda *a: _patches(*a, 1)),
    (r"N0 patches of at least A0; the largest|^N0 patches measure A0 or more, and the largest"
     r"|N0 patches of no less than A0, the largest|N0 patches of A0 or more, of which the largest"
     r"|^counting patches of A0 and above, there are N0; the largest"
     r"|N0 patches of at least A0, and S0 of the C0 (?:is|are) in the largest"
     r"|N0 patches of A0 or more, with S0 of the C0 in the largest one"
     r"|^one can count N0 patches that measure at least A0; S0 of the C0 belongs? to the largest"
     r"|^of (?:its|their) patches, N0 measure at least A0; the largest"
     r"|^not counting anything smaller, there are N0 patches of at least A0; the largest"
     r"|^in all, N0 patches measure at least A0; the largest", _patches),
    (r"only in patches smaller than A0|^no patch of (?:it|them) reaches A0|of patches below A0|patches are each under A0"
     r"|^none of (?:its|their) patches reaches A0|in patches of less than A0 each|in patches of less than A0"
     r"|^there are only patches of (?:it|them) that are smaller than A0|^each patch of (?:it|them) stays below A0"
     r"|patches all fall short of A0|^all (?:its|their) patches are smaller than A0",
     _no_patch),
    (r"in this order|in order|by area, the|next by area|ranked by area|from most to least|most common first|the order is"
     r"|ranked|descending order|largest first|by extent|leading|followed by|, then C|led by C|^alongside:|, alongside C"
     r"|^additional classes|^lesser parts|^secondary classes|^further classes|^after that|^smaller|^after these"
     r"|^less common|smaller amounts|^lesser amounts|^finally|^smaller shares|^the remainder", _ordered),
)  # fmt: skip


def _words(text: str) -> set[str]:
    return set(text.split())


#: Words that state nothing by themselves.
PLAIN = _words(
    """a about above accompanied account accounts across addition all almost along also among amount amounts an and apart
    appear appears are area as at be been belong belongs beside besides between beyond blend brief by can
    character chiefly class classes come comes common comprises consist consists constitute constitutes
    contain contains cover covered covering covers different divided each exists extend extends fill fills
    find finds first for form forms found from further gathers ground has have here his hold holding holds i
    image in includes into is it its kinds land largest less lie lies like likewise list look
    made mainly make makes measured more most much next occupies occupy occur occurs of off on one only or
    other out over part parts picture piece predominantly present rank ranks reach reaches recognisable
    recognised recognises remainder remains rest scene see seen sees several share shared shares
    share show showing shown shows side single situated size so some span spans square still surfaces take takes
    than that the then there these things this to together total turning up upwards view visible well which while
    whole will with within yes combines divided its it their them they mixed mixture recognises sharing contains
    view visible includes shared covers various various"""
)
_DENIALS = {
    "no",
    "not",
    "none",
    "nothing",
    "never",
    "nowhere",
    "hardly",
    "little",
    "without",
    "cannot",
    "but",
    "except",
}


def _in_zone(picture: Picture, zone: tuple[str, str]) -> dict[int, int]:
    weights = _weights(zone, _sixths(picture.mask.shape[0]), _sixths(picture.mask.shape[1]))
    return {c: int((weights * (picture.mask == c)).sum()) for c in picture.counts}


def _zone_enough(picture: Picture, zone: tuple[str, str]) -> bool:
    weights = _weights(zone, _sixths(picture.mask.shape[0]), _sixths(picture.mask.shape[1]))
    return sum(_in_zone(picture, zone).values()) >= exactly(picture.rules.whole_image) * int(weights.sum())


def _with_zones(sentence: Sentence) -> Sentence:
    """A sentence of a zonal caption, with its zone a token."""
    held = dict(sentence.held)
    phrases = "|".join(sorted(ZONES, key=len, reverse=True))

    def put(match: re.Match[str]) -> str:
        held["Q0"] = ZONES[match[0].lower()]
        return "Q0"

    # A phrase such as "in the upper left quarter" was taken for a place.
    text = re.sub(r"P\d+", lambda m: str(held[m[0]]), sentence.text)
    text = re.sub(rf"\b(?:{phrases})\b", put, text, count=1, flags=re.IGNORECASE)
    return Sentence(text[:1].upper() + text[1:], held)


def told(picture: Picture, sentence: Sentence, row: Row) -> Iterator[str]:
    """What of a sentence of a caption is not so."""
    text = sentence.text
    yield from _form(text)
    yield from _named(picture, sentence)
    lower = _lowered(text)
    found = [(pattern, judge) for pattern, judge in FACTS if re.search(pattern, lower)]
    for _, judge in found:
        if not judge(picture, Sentence(text, sentence.held), row):
            yield f"{judge.__name__.strip('_')} is not so: {text}"
    rest = lower
    for pattern, _ in found:
        rest = re.sub(pattern, " ", rest)
    words = set(re.findall(r"[a-z]+(?:[-'][a-z]+)*", re.sub(r"\b[A-Z]\d+\b", " ", rest)))
    if strange := sorted((words - PLAIN) | (words & _DENIALS)):
        yield f"nobody can tell what {strange} mean: {text}"
    yield from _shares_and_places(picture, sentence, row)


def _lowered(text: str) -> str:
    return re.sub(r"\b(?![A-Z]\d+\b)[A-Za-z]+", lambda m: m[0].lower(), text)


def _form(text: str) -> Iterator[str]:
    if not re.fullmatch(r"[A-Z].*[^ .?][.?]", text) or "  " in text or re.search(r" [.,;:?]", text):
        yield f"it is no sentence: {text}"


def _named(picture: Picture, sentence: Sentence) -> Iterator[str]:
    if any(kind != picture.kind for kind in sentence.all("I")):
        yield "it is another kind of picture"
    side = picture.side_m
    size = f"{side / 1000:.1f} by {side / 1000:.1f} km" if side >= 1000 else f"{side:.0f} by {side:.0f} m"
    if any(told != size for told in sentence.all("Z")):
        yield "it has another size"


_ITEM = r"C\d+(?: \(S\d+\))?(?:,? P\d+)?"
_LIST = rf"{_ITEM}(?:(?:, |; ){_ITEM})*(?: and |, and |; and ){_ITEM}"


def _shares_and_places(picture: Picture, sentence: Sentence, row: Row) -> Iterator[str]:
    """Each class with the share and the place that are told of it; what is told of none is of the class asked for."""
    # The largest patch's share is of the class that is asked for, which may be named: S0 of the C0.
    sentence = Sentence(re.sub(r"(S\d+) of the C\d+", r"\1 of it", sentence.text), sentence.held)
    text = re.sub(r"P(\d+), C(\d+)", r"C\2 P\1", sentence.text)
    classes = sentence.all("C")
    if absent := [c for c in classes if c not in picture.counts]:
        yield f"there is no {picture.names[absent[0]]}"
        return
    listed = re.search(_LIST, text)
    if len(classes) > 2 and (listed is None or len(re.findall(r"C\d+", listed[0])) < len(classes) - 1):
        yield f"its classes are in no list: {text}"
    groups = re.findall(r"(C\d+)(?: \((S\d+)\))?,?(?: (P\d+))?", text) if len(classes) > 1 else []
    if not groups:
        groups = [("C0", s, p) for s, p in _zip(re.findall(r"S\d+", text), re.findall(r"P\d+", text))]
    if len(classes) == 1:
        groups = [(re.search(r"C\d+", text)[0], s, p) for _, s, p in groups]
    if sum(bool(s) for _, s, _ in groups) != len(sentence.all("S")) or sum(bool(p) for *_, p in groups) != len(
        sentence.all("P")
    ):
        yield f"a share or a place is of no class: {text}"
    for token, s, p in groups:
        yield from _one(picture, sentence, row, token, s, p)
    if len(classes) > 1 and not sentence.all("Q") and picture.whole and not picture.descends(classes):
        yield f"its classes are not in order: {text}"


def _zip(shares: list[str], places: list[str]) -> Iterator[tuple[str, str]]:
    for k in range(max(len(shares), len(places))):
        yield (shares[k] if k < len(shares) else ""), (places[k] if k < len(places) else "")


def _one(picture: Picture, sentence: Sentence, row: Row, token: str, s: str, p: str) -> Iterator[str]:
    c = sentence.held.get(token) if token in sentence.text else None
    if c is None:  # "the largest holds S0 of it"
        (c,) = row.classes
        if s and not is_share(str(sentence.held[s]), picture.pieces[c][0].area_px, picture.counts[c]):
            yield f"the largest patch holds another share: {sentence.text}"
        return
    told = str(sentence.held[s]) if s else ""
    if s and not (picture.whole and is_share_of_all(told, picture.counts[c], picture.open, picture.mask.size)):
        yield f"{picture.names[c]} has another share: {sentence.text}"
    if p and not lies(picture, c, str(sentence.held[p])):
        yield f"{picture.names[c]} lies elsewhere: {sentence.text}, {sentence.held[p]}"


#: What says of a zone what can be seen there, and no more.
_SEEN = r"can be seen|\bshows C|^visible|one can see|contains|^among|recognis|includes|in view"


def zonal(picture: Picture, sentence: Sentence, row: Row) -> Iterator[str]:
    """What of a sentence about a zone is not so."""
    sentence = _with_zones(sentence)
    if "Q0" not in sentence.held:
        yield f"it names no zone: {sentence.text}"
        return
    yield from (problem for problem in told(picture, sentence, row))
    zone, classes = sentence.held["Q0"], sentence.all("C")
    held = _in_zone(picture, zone)
    counts = [held.get(c, 0) for c in classes]
    best = sorted(held.values(), reverse=True)[: len(counts)]
    seen = re.search(r"\b(can|name land cover|say what|what land cover|see)\b", _lowered(row.prompt))
    enough = _zone_enough(picture, zone) or (seen and re.search(_SEEN, _lowered(sentence.text)))
    if not enough or counts != best or len(set(classes)) < len(classes) or 0 in counts:
        yield f"the zone's classes are others, or in another order: {sentence.text}"


def captioned(picture: Picture, answer: str, row: Row) -> Iterator[str]:
    """What of a caption is not so."""
    found = list(sentences(picture, answer))
    zoned = r"\b(quarters?|quadrants?|zone by zone|centre of this|corner region)\b"
    is_zonal = row.task == "caption" and re.search(zoned, row.prompt)
    if is_zonal:
        zones = [str(_with_zones(sentence).held.get("Q0")) for sentence in found]
        if len(set(zones)) < len(zones):
            yield "it speaks of a zone twice"
        if len(zones) < 5:
            yield "it leaves out a part that is asked for"
        for sentence in found:
            yield from zonal(picture, sentence, row)
        return
    for sentence in found:
        yield from told(picture, sentence, row)
    classes = [c for sentence in found for c in sentence.all("C")]
    if picture.whole and len(set(classes)) == len(classes) and not picture.leads(classes):
        yield "it leaves out a class that is more common than one that it names"
    if len(set(classes)) < len(classes):
        yield "it names a class twice"
    if len(found) > 1 and re.search(
        r"one sentence|one-line|single sentence|few words|briefl?y?\b|one line|short", row.prompt
    ):
        yield "it is longer than what was asked for"


def of_class(picture: Picture, answer: str, row: Row) -> Iterator[str]:
    """What of an answer about one class is not so."""
    for sentence in sentences(picture, answer):
        if any(c != row.classes[0] for c in sentence.all("C")):
            yield "it speaks of another class"
        yield from told(picture, sentence, row)


# Boxes


def boxed(picture: Picture, answer: str, row: Row, limits: tuple[int, Fraction, Fraction]) -> Iterator[str]:
    """What of a list of boxes is not the answer to its prompt."""
    most, fill, side = limits
    try:
        objects = json.loads(answer)
        told_boxes = [(entry["label"], entry["bbox"]) for entry in objects if set(entry) == {"label", "bbox"}]
    except (ValueError, TypeError, KeyError):
        yield "it is no JSON of boxes"
        return
    every = [r for c, regions in picture.pieces.items() if not row.classes or c in row.classes for r in regions]
    fitting = [r for r in every if _meets(picture, r, fill, side)]
    areas = []
    for label, box in told_boxes:
        same = [r for r in fitting if picture.labels[r.class_id] == label and picture.box(r) == box]
        if not same:
            yield f"there is no such region: {label} {box}"
            return
        areas.append(same[0].area_px)
    if len(told_boxes) != len(objects) or len(told_boxes) > most or not told_boxes:
        yield "it has too many boxes, or none"
    if any(_is_picture(box) for _, box in told_boxes):
        yield "there is nothing to find: one of its boxes is the picture"
    if areas != sorted(areas, reverse=True) or len({str(entry) for entry in told_boxes}) < len(told_boxes):
        yield "its boxes are not from the largest down, or one comes twice"
    partly = re.search(
        r"\b(large regions|large, compact regions|conspicuous|some of the|large land cover regions)\b", row.prompt
    )
    if partly is None and not picture.whole:
        yield "it promises all regions of an image of which too little is known"
    sure = [r.area_px for r in fitting if partly is None or _is_listed(picture, r, surely=True)]
    could = [r.area_px for r in fitting if partly is None or _is_listed(picture, r, surely=False)]
    least = min(areas, default=0) if len(areas) == most else 0
    if Counter(area for area in sure if area > least) - Counter(areas) or Counter(areas) - Counter(could):
        yield f"its boxes are not those asked for: {areas} of {sorted(sure, reverse=True)}"


def _is_picture(box: list[float]) -> bool:
    """Whether a box is more than 95 % of the picture; its edges are rounded."""
    x1, y1, x2, y2 = box
    return (x2 - x1) * (y2 - y1) > 0.9502


def _meets(picture: Picture, region: oracle.Region, fill: Fraction, side: Fraction) -> bool:
    x1, y1, x2, y2 = region.bbox
    least = side * picture.mask.shape[1] / 100
    part = Fraction((x2 - x1) * (y2 - y1), picture.mask.size)
    return min(x2 - x1, y2 - y1) >= least and oracle.fill(region) >= fill / 100 and part <= Fraction(95, 100)


def _is_listed(picture: Picture, region: oracle.Region, *, surely: bool) -> bool:
    """Whether a region is among the largest of its class, which are known where not all can be; of equal ones any may be."""
    areas, most = [r.area_px for r in picture.pieces[region.class_id]], picture.rules.max_regions_per_class
    if region.area_px < picture.min_area:
        return False
    return len(areas) <= most or region.area_px >= (areas[most] + 1 if surely else areas[most - 1])


_LIMITS = {
    "most": r"(?:at most the|no more than|up to|the limit is) N(\d+)\b",
    "side": r"(?:(?:less than|span at least|must be at least)(?= L\d+ of the image (?:wide|in width))|lower than) L(\d+)",
    "fill": r"(?:fill less than|fill at least|fills under) L(\d+) of (?:their|its) box|, at least L(\d+) filled by",
    "largest": r"(?:a box of more than|a box of no more than|and at most|whose box is over) L(\d+) of the image",
}


def _limits(picture: Picture, text: str, held: Mapping[str, object]) -> tuple[int, Fraction, Fraction] | None:
    found = {name: re.search(pattern, _lowered(text)) for name, pattern in _LIMITS.items()}
    if not all(found.values()):
        return None
    at = {name: next(group for group in match.groups() if group) for name, match in found.items()}
    most, side, fill = held[f"N{at['most']}"], Fraction(held[f"L{at['side']}"]), Fraction(held[f"L{at['fill']}"])
    rules = picture.rules
    exact = Fraction(100 * rules.min_box_px, picture.mask.shape[1])
    right = (
        most == rules.max_boxes
        and held[f"L{at['largest']}"] == "95"
        and fill == 100 * exactly(rules.min_box_fill)
        and 0 <= exact - side < Fraction(1, 10)
    )
    return (most, fill, side) if right else None


# Questions


def _yes(answer: str) -> bool | None:
    """What a yes or a no says."""
    return {"Yes": True, "No": False}.get(answer)


def _class_of(picture: Picture, answer: str) -> int | None:
    return next((c for c, name in picture.names.items() if name.lower() == answer.lower()), None)


def _lone(picture: Picture, c: int) -> oracle.Region | None:
    """A region that is much the largest of its class."""
    regions = picture.pieces.get(c, [])
    if not regions or (len(regions) > 1 and 2 * regions[0].area_px < 3 * regions[1].area_px):
        return None
    return regions[0]


_TURNS = {"above": 0, "upper right": 45, "right": 90, "lower right": 135, "below": 180, "lower left": 225, "left": 270,
          "upper left": 315}  # fmt: skip


def _direction_holds(picture: Picture, answer: str, row: Row) -> bool:
    reverse = re.search(
        r"(?:direction from|starting at|^relative to|side of) the largest region of C0", _lowered(row.prompt)
    )
    c, d = row.classes[::-1] if reverse else row.classes
    words = re.fullmatch(r"(Above|Below)|To the (\w+(?: \w+)?) of", answer.removesuffix(" it"))
    a, b = _lone(picture, c), _lone(picture, d)
    name = next(group.lower() for group in words.groups() if group) if words and answer.endswith(" it") else None
    if a is None or b is None or name not in _TURNS:
        return False
    east = (a.bbox[0] + a.bbox[2] - b.bbox[0] - b.bbox[2]) / 2
    south = (a.bbox[1] + a.bbox[3] - b.bbox[1] - b.bbox[3]) / 2
    off = (math.degrees(math.atan2(east, -south)) - _TURNS[name] + 180) % 360 - 180
    beside = a.bbox[2] <= b.bbox[0] or b.bbox[2] <= a.bbox[0]
    upright = a.bbox[3] <= b.bbox[1] or b.bbox[3] <= a.bbox[1]
    apart = {0: upright, 180: upright, 90: beside, 270: beside}.get(_TURNS[name], beside and upright)
    return abs(off) <= 15.000001 and apart


def _touching(picture: Picture, c: int, d: int) -> int:
    mask = picture.mask
    pairs = [(mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])]
    return sum(int((((a == c) & (b == d)) | ((a == d) & (b == c))).sum()) for a, b in pairs)


def _near(picture: Picture, c: int, d: int) -> bool:
    """Whether two classes come so near that a person could take them to touch: within 1/56 of the side."""
    reach = max(1, picture.mask.shape[1] // 56)
    wide = np.zeros(picture.mask.shape, bool)
    for y, x in np.argwhere(picture.mask == c).tolist():
        wide[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = True
    return bool((wide & (picture.mask == d)).any())


def _quarter(picture: Picture, zone: tuple[str, str]) -> tuple[dict[int, int], int, int]:
    """Pixels of each class in a quarter, in fourths; those that may be of any; and all."""
    weights = _weights(zone, _sixths(picture.mask.shape[0]), _sixths(picture.mask.shape[1]))
    held, every = _in_zone(picture, zone), int(weights.sum())
    return held, every - sum(held.values()), every


def _most_of(picture: Picture, zone: tuple[str, str], classes: Iterable[int]) -> int | None:
    """Which of some classes has most of a quarter, by a tenth of it whatever is unknown."""
    held, unknown, every = _quarter(picture, zone)
    if zone not in _QUARTERS.values() or not _zone_enough(picture, zone):
        return None
    first, *others = sorted(classes, key=lambda c: -held.get(c, 0))
    rest = max((held.get(c, 0) for c in others), default=0)
    return first if 10 * (held.get(first, 0) - rest - unknown) >= every else None


def _in_quarter(picture: Picture, zone: tuple[str, str], c: int) -> bool | None:
    """Whether a class is in a quarter: with a twentieth of it, or with no pixel and no patch near it."""
    held, _, every = _quarter(picture, zone)
    if zone not in _QUARTERS.values() or not _zone_enough(picture, zone):
        return None
    if held.get(c, 0):
        return True if 20 * held[c] >= every and _is_clear(picture, c) else None
    near = Fraction(1, 28)
    reach = [
        (Fraction(0), Fraction(1, 2) + near) if part == "low" else (Fraction(1, 2) - near, Fraction(1)) for part in zone
    ]
    for region in picture.pieces.get(c, []):
        x1, y1, x2, y2 = region.bbox
        (top, bottom), (left, right) = (
            [side * at for at in span] for side, span in zip(picture.mask.shape, reach, strict=True)
        )
        if region.area_px >= picture.min_area and x1 < right and left < x2 and y1 < bottom and top < y2:
            return None
    return False


def _elsewhere(right: object, answers: Iterable[object]) -> bool:
    """Whether the same question has another answer of another quarter, so that its words do not tell it."""
    return any(other is not None and other != right for other in answers)


def _of_quarter(picture: Picture, answer: str, classes: tuple[int, ...], zone: tuple[str, str]) -> bool:
    """Whether the answer of a question about a quarter is right, and could have been another one."""
    if len(classes) != 1:
        of = classes or tuple(picture.names)
        right, others = _most_of(picture, zone, of), [_most_of(picture, each, of) for each in _QUARTERS.values()]
        return picture.whole and right is not None and _class_of(picture, answer) == right and _elsewhere(right, others)
    is_in = _in_quarter(picture, zone, classes[0])
    others = [_in_quarter(picture, each, classes[0]) for each in _QUARTERS.values()]
    return picture.whole and is_in is not None and _yes(answer) is is_in and _elsewhere(is_in, others)


def _question(picture: Picture, answer: str, row: Row, zones: list[tuple[str, str]]) -> bool:
    """Whether a short answer is right, and the question one with a clear answer."""
    text, classes, counts = _lowered(row.prompt), row.classes, picture.counts
    if zones:
        return len(zones) == 1 and len(classes) < 3 and _of_quarter(picture, answer, classes, zones[0])
    if len(classes) == 2 and re.search(r"largest regions?", text):
        return picture.whole and _direction_holds(picture, answer, row)
    if len(classes) == 2:
        told_so, answers = _yes(answer), {_meet(picture, *pair) for pair in combinations(counts, 2)}
        return picture.whole and told_so is _meet(picture, *classes) and {True, False} <= answers
    if classes and re.search(r"per cent|percentage|\btens?\b", text):
        number = re.fullmatch(r"(\d+) %", answer)
        shares = [Fraction(100 * (counts.get(classes[0], 0) + more), picture.mask.size) for more in (0, picture.open)]
        return (
            picture.whole
            and number is not None
            and number[1] != "100"
            and all(abs(s - int(number[1])) <= 4 for s in shares)
        )
    if classes and re.search(r"quarter|quadrant", text):
        region, zone = _lone(picture, classes[0]), _QUARTERS.get(answer.lower())
        return picture.whole and region is not None and zone is not None and _box_in(picture, region, zone)
    return False


def _meet(picture: Picture, c: int, d: int) -> bool | None:
    """Whether two classes touch; None where a person could doubt it."""
    if not {c, d} <= picture.counts.keys():
        return None
    edges = _touching(picture, c, d)
    if edges:
        return True if 20 * edges >= picture.mask.shape[1] else None
    return None if _near(picture, c, d) else False


def _box_in(picture: Picture, region: oracle.Region, zone: tuple[str, str]) -> bool:
    (y1, y2), (x1, x2) = ([side * k for k in _THIRDS[z]] for z, side in zip(zone, picture.mask.shape, strict=True))
    a, b, c, d = (6 * edge for edge in region.bbox)
    return x1 <= a and y1 <= b and c <= x2 and d <= y2


def _is_clear(picture: Picture, c: int) -> bool:
    regions = picture.pieces.get(c)
    return not regions or regions[0].area_px >= picture.min_area


def _chosen(picture: Picture, record: Mapping, answer: str, text: str) -> bool:
    options = re.findall(r"([A-E])\) ([^;?.]+)", text)
    ids = [_class_of(picture, name) for _, name in options]
    letters = "".join(letter for letter, _ in options)
    if letters != "ABCDE" or None in ids or len(set(ids)) < 5 or answer not in "ABCDE" or len(answer) != 1:
        return False
    right = ids["ABCDE".index(answer)]
    named = re.findall(_OF_ZONE, text, flags=re.IGNORECASE)
    zones = [ZONES[each[4:-4].lower()] for each in named]
    if len(zones) != 1 or _most_of(picture, zones[0], picture.names) != right:
        return False
    others = [_most_of(picture, each, picture.names) for each in _QUARTERS.values()]
    keys = (record["options"], record["answer_id"]) == ([name for _, name in options], "ABCDE".index(answer))
    return picture.whole and keys and _elsewhere(right, [other for other in others if other in ids])


def _referred(picture: Picture, answer: str, row: Row, boxes: list[list[float]]) -> bool:
    if any(map(_is_picture, boxes)) or (not boxes and _is_picture(json.loads(answer))):
        return False
    if boxes:
        here = [r for regions in picture.pieces.values() for r in regions if picture.box(r) == boxes[0]]
        fitting = [r for r in here if 2 * oracle.fill(r) > 1]
        return len(boxes) == 1 and len(fitting) == 1 and _class_of(picture, answer) == fitting[0].class_id
    region = _lone(picture, row.classes[0])
    asked = _lowered(row.prompt).partition("answer with")[0]
    if re.search(r"\b(only|one|single|sole|lone)\b", asked) and len(picture.pieces[row.classes[0]]) != 1:
        return False
    return picture.whole and region is not None and answer == f"[{', '.join(f'{e:g}' for e in picture.box(region))}]"


# Prompts

_PROMPT_WORDS = _words(
    """a about acquisition adjacent adjoin after all among amount an and answer any anything anywhere are area
    around arrangement as at bbox be being belong between bigger body border both bounding box boxes brief
    briefly by can caption cent central centre check choose class classify come comes common compact compare
    connected conspicuous contact contain contains context coordinates corner cover covered covers date describe
    description detect differ direction distance distributed distribution do does down draw each edge else enlarged estimate
    every explain extensive extent few fill filled fills find first focus following for found four from give
    given go greater greatest ground has have height high holds how identify image images in inside inspect
    into is it its json keep keys kind kinds label land large larger largest latter leading leads least
    leave left less letter lie lies limit line list locate location lone look lower m main many mark me meet
    middle more most much multiple must name narrower nearest neighbours next no normalized not objects
    occur of on one one-line only or out outline over overhead part patches per percentage pick picture piece
    pixel pixels place placed please point position present principal proportion provide quadrant quadrants quarter
    quarters rank recognised region regions relative reply report resolution respect result return right round rounded
    same sampling say season second see seen segment select sentence share short show shows side single source
    single-line skip sole some sorted span square stand starting state steps still sum summarise
    surroundings take taken takes tell ten tens terms than that the their them then there these they this those
    through to touch touches two type under unit up upper use valid view views visible walk was what where
    whereabouts which whose wide wider width with within word words would write xyxy you zone"""
)
_SEASONS = ("spring", "summer", "autumn", "winter")


def _facts_hold(picture: Picture, text: str, held: Mapping[str, object]) -> bool:
    """Whether a date, a season, a pixel's side and what the picture resolves are the picture's."""
    dates = [held[token] for token in re.findall(r"\bD\d+", text)]
    told = re.findall(r"\b(R\d+)|\b(resolution|distance|source|pixels?)\b", text)
    of = [
        (next((w for _, w in reversed(told[:k]) if w), ""), held[token]) for k, (token, _) in enumerate(told) if token
    ]
    seasons = re.findall("|".join(_SEASONS), text.lower())
    return (
        all(date == picture.facts.get("date") for date in dates)
        and all(number == picture.facts.get("metres" if "pixel" in word else "resolved") for word, number in of)
        and all(season == picture.facts.get("season") for season in seasons)
    )


def falsehoods(record: Mapping, picture: Picture) -> list[str]:
    """What is false in a row (as it is written, read from JSON) about a picture; nothing if all of it is true."""
    user, assistant = record["messages"]
    prompt, answer = user["content"][-1]["text"], assistant["content"][-1]["text"]
    parts = list(sentences(picture, prompt, answers=False))
    text, held = " ".join(part.text for part in parts), parts[0].held
    classes = tuple(held[token] for token in re.findall(r"\bC\d+", text))
    row = Row(record["task"], tuple(dict.fromkeys(classes)), text)
    found = [problem for part in parts for problem in (*_form(part.text), *_named(picture, part))]
    words = set(
        re.findall(r"[a-z]+(?:[-'][a-z]+)*", re.sub(r"\b[A-Z]\d+\b", " ", _lowered(re.sub(r"\b[A-E]\) ", " ", text))))
    )
    if strange := sorted(words - _PROMPT_WORDS - set(_SEASONS)):
        found.append(f"nobody can tell what {strange} ask: {prompt}")
    if "I0" not in text and not (record["task"] == "overview" and "overhead" in text):
        found.append("it does not say what kind of picture it is")
    if not _facts_hold(picture, text, held):
        found.append("its date, season or resolution are others")
    named = re.search(r"__class_(?:caption|grounding)_(\d+)$", record["id"])
    if named and row.classes != (int(named[1]),):
        found.append("it asks for another class than its id names")
    if record["task"] != "choice" and record.get("options"):
        found.append("it has options, and is no choice")
    return [*found, *_answered(picture, record, answer, row, held)]


def _answered(picture: Picture, record: Mapping, answer: str, row: Row, held: Mapping[str, object]) -> Iterator[str]:
    task, boxes = row.task, [held[token] for token in re.findall(r"\bB\d+", row.prompt)]
    zones = [held[token] for token in re.findall(r"\bQ\d+", row.prompt)]
    pictures = [part["image"] for part in record["messages"][0]["content"][:-1]]
    stills = [path.startswith("mapbox_stills/") for path in pictures]
    if stills != {"overview": [True], "cross_view": [True, False]}.get(task, [False]):
        yield f"it shows other pictures than it speaks of: {pictures}"
    if task in ("caption", "cross_view", "overview"):
        yield from captioned(picture, answer, row)
    elif task == "class_caption":
        yield from of_class(picture, answer, row)
    elif task in ("grounding", "class_grounding"):
        limits = _limits(picture, row.prompt, held)
        yield from boxed(picture, answer, row, limits) if limits else ["its limits are others"]
    else:
        right = {
            "absence": lambda: _question(picture, answer, row, zones),
            "vqa": lambda: _question(picture, answer, row, zones),
            "choice": lambda: _chosen(picture, record, answer, record["messages"][0]["content"][-1]["text"]),
            "referring": lambda: _referred(picture, answer, row, boxes),
        }[task]
        if not right():
            yield f"its answer is not right: {row.prompt} {answer}"
