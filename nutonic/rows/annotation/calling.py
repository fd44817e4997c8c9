"""What elements are called by: the words of a text that speak of them, and of how many.

A description may have hundreds of elements that go by a few names, and a caption has dozens of clauses. So what can be
told of a description before anything is said is worked out once, in a :class:`Roll`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nutonic.chips.scene.description import Described
from nutonic.lazily import lazily
from nutonic.rows.annotation.talk import small_letters
from nutonic.rows.annotation.templates import of_templates


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun, in the singular or the plural, as it is looked for in texts."""

    pattern: re.Pattern[str]
    letters: str | None
    """What :func:`small_letters` of any text hold that the pattern is found in; None if that cannot be said."""


@lru_cache(maxsize=4096)
def noun_of(noun: str) -> Noun:
    """A noun, or its plural: ``bodies of water``."""
    *head, last = noun.split()
    stem = last[:-1] if last.endswith("y") and last[-2:-1] not in tuple("aeiou") else last
    ending = "(?:y|ies)" if stem != last else "(?:e?s)?"
    if "of" in head:
        first = head[0]
        plural = f"{first[:-1]}ies" if first.endswith("y") else f"{first}s"
        rest = " ".join([*head[1:], last])
        return _noun(rf"(?:{re.escape(first)}|{re.escape(plural)}) {re.escape(rest)}", rest)
    plain = " ".join([*head, stem])
    of_measures = r"(?! (?:kilo)?(?:met|feet|foot))" if last == "square" else ""  # square metres are of no town square
    return _noun(rf"{re.escape(plain)}{ending}", plain, of_measures)


def _noun(pattern: str, letters: str, beyond: str = "") -> Noun:
    return Noun(re.compile(rf"\b{pattern}\b{beyond}", re.IGNORECASE), letters.lower() if letters.isascii() else None)


def whole_noun(noun: str) -> re.Pattern[str]:
    """A noun in the singular or the plural, as words of their own."""
    return noun_of(noun).pattern


#: Names, each with the numbers of the groups that have it.
Names = Sequence[tuple[Noun, Sequence[int]]]
#: Where things are named in a text, from where to where, and which.
Found = Sequence[tuple[int, int, tuple[Described, ...]]]
Tags = tuple[tuple[str, str], ...]


class Roll:
    """Elements by what they may be called; made once for all that is said of them."""

    def __init__(self, elements: Iterable[Described]) -> None:
        self.elements = tuple(elements)
        self.alike: dict[tuple[str, Tags], list[int]] = {}
        """Where those are, among the elements, that have one noun and the same tags: of hundreds there are some dozens."""
        for index, element in enumerate(self.elements):
            self.alike.setdefault((element.noun, element.tags), []).append(index)
        numbers: dict[tuple[str, ...], int] = {}
        self._number = {each: numbers.setdefault(_names(*each), len(numbers)) for each in self.alike}
        self._members: list[list[int]] = [[] for _ in numbers]
        for each, indices in self.alike.items():
            self._members[self._number[each]] += indices
        nouns: dict[str, list[int]] = {}
        for names, number in numbers.items():
            for noun in names:
                nouns.setdefault(noun, []).append(number)
        self._nouns: Names = [(noun_of(noun), groups) for noun, groups in nouns.items()]
        self.words = frozenset(nouns)
        """All that any of them may be called, in the singular."""
        self._found: dict[frozenset[int], tuple[Described, ...]] = {}
        self._called: dict[str, frozenset[int]] = {}  # of clauses, each of which is asked for by several checks

    @lazily
    def nouns(self) -> Counter[str]:
        """How many elements have each noun."""
        found = Counter[str]()
        for (noun, _), indices in self.alike.items():
            found[noun] += len(indices)
        return found

    @lazily
    def single_lines(self) -> tuple[str, ...]:
        """What lines are called of which there is one."""
        single = [indices[0] for (noun, _), indices in self.alike.items() if self.nouns[noun] == 1]
        return tuple(self.elements[index].noun for index in single if self.elements[index].kind == "line")

    @lazily
    def told(self) -> dict[str, tuple[Described, ...]]:
        """Words of tags that tell what is on a thing or what it is made of, and who has them."""
        found: dict[str, list[int]] = {}
        for each, indices in self.alike.items():
            for word in _told(*each):
                found.setdefault(word, []).extend(indices)
        return {word: tuple(self.elements[index] for index in sorted(those)) for word, those in found.items()}

    @lazily
    def any_told(self) -> re.Pattern[str] | None:
        """Finds the words of :attr:`told`; None if there are none."""
        return re.compile(rf"\b(?:{'|'.join(self.told)})\b", re.IGNORECASE) if self.told else None

    def tells(self, text: str) -> bool:
        """Whether one of the words of :attr:`told` is in a text."""
        small = small_letters(text)
        return small is None or not self.told.keys().isdisjoint(_RUN.findall(small))

    def within(self, text: str) -> Names:
        """Those names that may be in a text, to be looked for in its clauses: of hundreds it has a few."""
        small = small_letters(text)
        return [each for each in self._nouns if small is None or each[0].letters is None or each[0].letters in small]

    def called(self, text: str, among: Names | None = None) -> frozenset[int]:
        """Numbers of the groups, of elements that go by the same names, one of which is in a text.

        `among`: the names of the text that it is a part of (:meth:`within`).
        """
        if text in self._called:
            return self._called[text]
        small, spans = small_letters(text), list[tuple[int, int, Sequence[int]]]()
        for noun, groups in self._nouns if among is None else among:
            if small is None or noun.letters is None or noun.letters in small:
                spans += ((found.start(), found.end(), groups) for found in noun.pattern.finditer(text))
        if len(spans) > 1:  # a service road is no other road, though these are roads too
            edges = {(start, end) for start, end, _ in spans}
            spans = [each for each in spans if not _is_within(each[0], each[1], edges)]
        found = self._called[text] = frozenset(number for _, _, groups in spans for number in groups)
        return found

    def found(self, text: str, among: Names) -> Found:
        """Where things are named in a text, none within the name of another, and which."""
        small, spans = small_letters(text), dict[tuple[int, int], frozenset[int]]()
        for noun, groups in among:
            if small is None or noun.letters is None or noun.letters in small:
                for each in noun.pattern.finditer(text):
                    spans[each.span()] = spans.get(each.span(), frozenset()).union(groups)
        edges = set(spans)
        return [
            (start, end, self.of(groups))
            for (start, end), groups in sorted(spans.items())
            if not _is_within(start, end, edges)
        ]

    def group(self, element: Described) -> int:
        """The number of an element's group."""
        return self._number[element.noun, element.tags]

    def of(self, groups: frozenset[int]) -> tuple[Described, ...]:
        """The elements of some groups, in their order."""
        if groups not in self._found:
            indices = sorted(index for number in groups for index in self._members[number])
            self._found[groups] = tuple(self.elements[index] for index in indices)
        return self._found[groups]

    def mentioned(self, text: str, among: Names | None = None) -> tuple[Described, ...]:
        """The elements that a text speaks of: those that are called by a word in it; `among` as of :meth:`called`."""
        return self.of(self.called(text, among))


def noun_in(noun: str, text: str) -> re.Pattern[str]:
    """What a thing is called in a text: by its noun, or by the last word of it."""
    whole, last = whole_noun(noun), noun.rpartition(" ")[2]
    return whole if last in GENERAL or whole.search(text) else whole_noun(last)


#: What makes a plural of a thing that has none.
_PIECES = re.compile(
    r"\b(?:patches|pieces|areas|stretches|strips|parcels|plots|sections|expanses|bodies) of $", re.IGNORECASE
)


#: What has no article, and fills a part of the picture, is all of its kind: so that heath makes up a fifth.
_MASS = re.compile(r"(?:^|\b(?:that|and|while|of|so|but|as|where),? )(?:\w+ly )?$", re.IGNORECASE)
_OF_MASS = re.compile(
    r" (?:makes? up|covers?|takes? up|fills?|occup(?:y|ies)|accounts? for|dominates?)\b", re.IGNORECASE
)


def speaks_of_one(noun: re.Pattern[str], text: str) -> bool:
    """Whether a text speaks of one thing by its noun, once."""
    found = list(noun.finditer(text))
    if not _singular([each[0] for each in found]):
        return False
    before = text[: found[0].start()]
    return _PIECES.search(before) is None and (
        _MASS.search(before) is None or _OF_MASS.match(text, found[0].end()) is None
    )


def _singular(found: list[str]) -> bool:
    """Whether a noun was found once, and in the singular."""
    return len(found) == 1 and (not found[0].endswith("s") or found[0].endswith("ss"))


def _is_within(start: int, end: int, edges: set[tuple[int, int]]) -> bool:
    """Whether a name is a part of a longer one."""
    return any(first <= start and end <= last and (first, last) != (start, end) for first, last in edges)


def called(word: str, elements: Sequence[Described]) -> list[Described]:
    """The elements that count as what a word says, in singular or plural: a church is a building, a forest is no tree."""
    return [each for each in elements if _is_called(word, _counts_as(each.noun, _keys(each.tags)))]


@lru_cache(maxsize=4096)
def _is_called(word: str, nouns: tuple[str, ...]) -> bool:
    return any(whole_noun(noun).fullmatch(word) for noun in nouns)


@lru_cache(maxsize=4096)
def _counts_as(noun: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    last = noun.rpartition(" ")[2]
    return (noun, *(() if last in GENERAL else (last,)), *(word for key in keys for word in _BY_KEY[key]))


def _keys(tags: Tags) -> tuple[str, ...]:
    return tuple(key for key, value in tags if key in _BY_KEY and value != "no")


#: Tags that tell what a thing is made of, or what is on it.
_TOLD = frozenset({"surface", "crop", "sport", "leaf_type", "trees", "produce", "material"})


@lru_cache(maxsize=4096)
def _told(noun: str, tags: Tags) -> tuple[str, ...]:
    """Words of such tags that the noun has not; a path whose surface is ground is not meant by what lies on the ground."""
    words = (word for key, value in tags if key in _TOLD for word in re.findall("[a-z]{3,}", value))
    return tuple(word for word in words if word not in noun and word not in GENERAL and word not in of_templates())


#: Words, as patterns part them.
_RUN = re.compile(r"\w+")


#: Words that say too little to call a thing by.
GENERAL = frozenset(
    {
        "area",
        "ground",
        "site",
        "place",
        "line",
        "part",
        "zone",
        "land",
        "lot",
        "feature",
        "centre",
        "surface",
        "loop",
        "stand",
    }
)

#: Other words for a thing, by the last word of its noun, ...
_ALSO = {
    "water": ("lake", "pond", "water"),
    "pitch": ("field",),
    "street": ("road",),
    "forest": ("forested", "wooded", "woods", "woodland", "tree"),
    "wood": ("forest", "forested", "wooded", "woods", "woodland", "tree"),
    "footpath": ("path", "walkway"),
    "railway": ("rail", "track"),
    "farmland": ("field",),
    "river": ("water", "stream"),
    "stream": ("water", "creek"),
    "track": ("lane",),
    "row": ("tree",),
    **dict.fromkeys(("pond", "lake", "basin", "reservoir", "canal", "sea", "bay", "lagoon"), ("water",)),
    "coastline": ("coast", "shore", "water"),
}
#: ... for an area, ...
_AREAS = ("site", "zone", "complex", "land", "district", "neighbourhood", "neighborhood")
#: ... and by the keys of its tags.
_BY_KEY = {
    "building": ("building", "structure"),
    "highway": ("road",),
    "waterway": ("waterway",),
    "railway": ("railway", "rail"),
}


@lru_cache(maxsize=4096)
def _names(noun: str, tags: Tags) -> tuple[str, ...]:
    """What a thing may be called: a residential street is a street, a body of water is water, a church is a building."""
    keys = _keys(tags)
    last = noun.split()[-1]
    short = [] if last in GENERAL else [last, *_ALSO.get(last, ())]
    if last in ("building", "ground") and " " in noun:
        short.append(noun.rpartition(" ")[0])
    if noun == "residential area":
        short += ["housing", "homes"]
    if last == "area":
        short += [f"{noun.removesuffix('area')}{other}" for other in _AREAS]
    return tuple(dict.fromkeys([noun, *short, *(word for key in keys for word in _BY_KEY[key])]))
