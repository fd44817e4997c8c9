"""Which of several things that are called alike is meant: the larger lake, the western one, the field of wheat, the other.

All who ask what a text is told of ask here, so that a lake is the same one to whoever judges its place, size or surface.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.bearings import IN_PART, POINT, in_any, points_in
from nutonic.rows.annotation.calling import noun_of
from nutonic.rows.annotation.prompts import is_name
from nutonic.rows.annotation.talk import may_hold, small_letters

#: Another thing of the kind of one that was named.
SAME_KIND = re.compile(
    r"\b(?:ones?|others?|counterparts?|neighbou?rs?|siblings?|twins?|second|smaller|larger|latter)\b", re.IGNORECASE
)
_RANKS = r"larger|bigger|largest|biggest|longer|longest", r"smaller|smallest|lesser|tiniest|shorter|shortest"
_MORE, _LESS = (re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for words in _RANKS)
#: What names no thing of its own, but one of those that were named: the smaller one, the western one, the other.
_ONE = re.compile(
    rf"(?P<the>\b(?:the|its) (?:(?:very|far|much|slightly|other) )?(?:{'|'.join(_RANKS)}|other|"
    r"[a-z-]*(?:north|south|east|west)ern(?:most)?) )ones?\b"
    r"|(?P<other>\b(?:the|its) other)s?"
    r"(?= (?:is|are|lies?|sits?|stands?|runs?|occup|covers?|takes?|fills?|in|to|at|has|grows?)\b|[,.;])",
    re.IGNORECASE,
)
#: Letters of which some are where it is told which is meant.
_OF_WHICH = ("larg", "bigge", "longe", "small", "lesser", "tiniest", "short", "north", "south", "east", "west", "left",
             "right", "top", "bottom", "upper", "lower")  # fmt: skip
#: A point of the compass that is told of something else: east of the building.
_OF_OTHERS = re.compile(rf".*\b{POINT}(?:ern)?(?: \w+)? of\b", re.IGNORECASE)
#: So many words before a thing, and behind it, may say which is meant.
_WORDS = 3
_BREAK = re.compile(
    r"[,;:.()]| (?:is|are|was|lies?|stands?|and|while|than|as|in|on|at|to|from|by|near|beside|with) ", re.IGNORECASE
)
_WITH = re.compile(
    r"^ (?:of|with|planted with|growing|under|that grows|grown with|used for) [a-z]+"
    rf"|^ {IN_PART}",
    re.IGNORECASE,
)


def narrowed(elements: Sequence[Described], text: str) -> Sequence[Described]:
    """Of several things those that a text's words of place, size or tags fit; all where none says which.

    ``The western lake``, ``the larger of the two lakes``, ``the field of wheat``.
    """
    if len(elements) < 2:
        return elements
    points = points_in(text)
    kept = [each for each in elements if any(in_any(point, each.cells) for point in points)] if points else []
    kept = _with_tags(kept or list(elements), text)
    return _ranked(kept, text)


def tells_which(text: str, told: Collection[str]) -> bool:
    """Whether a text may say which of several is meant. `told`: words of tags that some have, and others have not."""
    small = small_letters(text)
    return may_hold(small, *_OF_WHICH) or any(small is None or word in small for word in told)


def _ranked(elements: Sequence[Described], text: str) -> Sequence[Described]:
    more, less = _MORE.search(text), _LESS.search(text)
    found = more or less
    if found is None or (more and less) or len(elements) < 2 or len({each.noun for each in elements}) > 1:
        return elements
    sized = [(size, each) for each in elements if (size := each.share or each.length_m)]
    if not sized:
        return elements
    return [(max if more else min)(sized, key=lambda one: one[0])[1]]


def _with_tags(elements: list[Described], text: str) -> list[Described]:
    """Those that have a tag of which a word of a text tells, and others of them have not."""
    for word in re.findall(r"[a-z]{3,}", text.lower()) if len({each.noun for each in elements}) == 1 else ():
        those = [each for each in elements if word in _values(each)]
        if those and len(those) < len(elements):
            elements = those
    return elements


def _values(each: Described) -> frozenset[str]:
    """The words of a thing's tags that its noun has not."""
    return frozenset(
        word for key, value in each.tags if not is_name(key) for word in re.findall("[a-z]{3,}", value.lower())
    ).difference(each.noun.lower().split())


def phrase(text: str, start: int, end: int) -> str:
    """The words around a noun that may say which is meant."""
    before = _OF_OTHERS.sub(" ", _BREAK.split(f" {text[:start]} ")[-1]).split()[-_WORDS:]
    behind = _WITH.match(text[end:])
    return " ".join([*before, text[start:end], behind[0].strip() if behind else ""])


def with_nouns(text: str, count: Iterable[tuple[str, int]]) -> str:
    """A text in which the smaller one is the smaller lake, if there are lakes, and it was of them that it spoke last.

    `count`: how many there are of each noun.
    """
    if not may_hold(small_letters(text), " one", "other") or _ONE.search(text) is None:
        return text
    several = [noun for noun, number in count if number > 1]
    spans = sorted(
        (found.start(), found.end(), noun) for noun in several for found in noun_of(noun).pattern.finditer(text)
    )

    def named(found: re.Match[str]) -> str:
        before = [noun for start, _, noun in spans if start < found.start()]
        if not before:
            return found[0]
        return f"{found['the'] or found['other'] + ' '}{before[-1]}"

    return _ONE.sub(named, text)
