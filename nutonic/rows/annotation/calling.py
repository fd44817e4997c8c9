"""What elements are called by: the words of a text that speak of them, and of how many.

A description may have hundreds of elements that go by a few names, and a caption has dozens of clauses. So what can be
told of a description before anything is said is worked out once, in a :class:`Roll`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from nutonic.chips.scene.description import Described


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun, in the singular or the plural, as it is looked for in texts."""

    pattern: re.Pattern[str]
    letters: str | None
    """What :func:`small_letters` of any text hold that the pattern is found in; None if that cannot be said."""

    def search(self, text: str, small: str | None) -> re.Match[str] | None:
        """Where it is in a text, of which `small` are :func:`small_letters`: most nouns are in none."""
        if small is not None and self.letters is not None and self.letters not in small:
            return None
        return self.pattern.search(text)


#: What a pattern that ignores case takes for a letter of ASCII.
_ALIKE = frozenset("İıſK")


def small_letters(text: str) -> str | None:
    """A text in small letters; None if a pattern that ignores case may take others in it for letters of ASCII."""
    return text.lower() if text.isascii() or _ALIKE.isdisjoint(text) else None


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
    return _noun(rf"{re.escape(plain)}{ending}", plain)


def _noun(pattern: str, letters: str) -> Noun:
    return Noun(re.compile(rf"\b{pattern}\b", re.IGNORECASE), letters.lower() if letters.isascii() else None)


def whole_noun(noun: str) -> re.Pattern[str]:
    """A noun in the singular or the plural, as words of their own."""
    return noun_of(noun).pattern


class Roll:
    """Elements by what they may be called; made once for all that is said of them."""

    def __init__(self, elements: Iterable[Described]) -> None:
        self.elements = tuple(elements)
        groups: dict[tuple[str, ...], list[int]] = {}
        for index, each in enumerate(self.elements):
            groups.setdefault(_names_of(each), []).append(index)
        self._groups = tuple(groups.values())
        self._nouns = tuple(tuple(map(noun_of, names)) for names in groups)
        self._number = {
            id(self.elements[index]): number for number, found in enumerate(self._groups) for index in found
        }
        self._found: dict[tuple[int, ...], tuple[Described, ...]] = {}

    @cached_property
    def nouns(self) -> Counter[str]:
        """How many elements have each noun."""
        return Counter(each.noun for each in self.elements)

    def called(self, text: str) -> tuple[int, ...]:
        """Numbers of the groups, of elements that go by the same names, one of which is in a text."""
        small = small_letters(text)
        looked: dict[int, bool] = {}  # several groups have the same nouns

        def has(noun: Noun) -> bool:
            key = id(noun)
            if key not in looked:
                looked[key] = noun.search(text, small) is not None
            return looked[key]

        return tuple(number for number, nouns in enumerate(self._nouns) if any(map(has, nouns)))

    def group(self, element: Described) -> int:
        """The number of an element's group."""
        return self._number[id(element)]

    def of(self, groups: tuple[int, ...]) -> tuple[Described, ...]:
        """The elements of some groups, in their order."""
        if groups not in self._found:
            members = sorted(index for group in groups for index in self._groups[group])
            self._found[groups] = tuple(self.elements[index] for index in members)
        return self._found[groups]

    def mentioned(self, text: str) -> tuple[Described, ...]:
        """The elements that a text speaks of: those that are called by a word in it."""
        return self.of(self.called(text))


def called(word: str, elements: Sequence[Described]) -> list[Described]:
    """The elements that count as what a word says, in singular or plural: a church is a building, a forest is no tree."""
    return [each for each in elements if _is_called(word, _counts_as(each.noun, _keys(each.tags)))]


@lru_cache(maxsize=4096)
def _is_called(word: str, nouns: tuple[str, ...]) -> bool:
    return any(whole_noun(noun).fullmatch(word) for noun in nouns)


@lru_cache(maxsize=4096)
def _counts_as(noun: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    last = noun.rpartition(" ")[2]
    return (noun, *(() if last in _GENERAL else (last,)), *(word for key in keys for word in _BY_KEY[key]))


def _names_of(element: Described) -> tuple[str, ...]:
    return _names(element.noun, _keys(element.tags))


def _keys(tags: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(key for key, value in tags if key in _BY_KEY and value != "no")


#: Words that say too little to call a thing by.
_GENERAL = frozenset({"area", "ground", "site", "place", "line", "part", "zone", "land", "lot", "feature", "centre"})

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
}
#: ... and by the keys of its tags.
_BY_KEY = {
    "building": ("building", "structure"),
    "highway": ("road",),
    "waterway": ("waterway",),
    "railway": ("railway",),
}


@lru_cache(maxsize=4096)
def _names(noun: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    """What a thing may be called: a residential street is a street, a body of water is water, a church is a building."""
    last = noun.split()[-1]
    short = [] if last in _GENERAL else [last, *_ALSO.get(last, ())]
    return tuple(dict.fromkeys([noun, *short, *(word for key in keys for word in _BY_KEY[key])]))
