"""Numbers in captions, written in digits or in words, held against those of a description."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from nutonic.chips.scene.description import Described
from nutonic.lazily import lazily
from nutonic.rows.annotation.calling import Roll, called, whole_noun
from nutonic.rows.annotation.talk import may_hold, sign, signs_of

_ONES = {
    word: value
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
        eighteen nineteen""".split()  # noqa: SIM905 - shorter so
    )
}
_TENS = dict(
    zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True)  # noqa: SIM905
)
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6}
_ENDLESS = 10**12
_SMALL = "|".join([*_ONES, *_TENS])
#: A number in words.
SPELT = rf"(?:{_SMALL}|(?<=a )(?:hundred|thousand|million))(?:[- ](?:and[- ])?(?:{_SMALL}|{'|'.join(_SCALES)}))*"

#: What may follow a number, and by what it is multiplied to be metres, square metres, or a part of one.
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(
        ("square metres", "square meters", "square metre", "square meter", "sq m", "m²", "m2", "sqm"), ("area", 1.0)
    ),
    **dict.fromkeys(("square kilometres", "square kilometers", "km²", "km2"), ("area", 1e6)),
    **dict.fromkeys(("hectares", "hectare", "ha"), ("area", 1e4)),
    **dict.fromkeys(("acres", "acre"), ("area", 4046.856)),
    **dict.fromkeys(("square feet", "square foot", "sq ft", "ft²"), ("area", 0.09290304)),
    **dict.fromkeys(("kilometres", "kilometers", "kilometre", "kilometer", "km"), ("length", 1000.0)),
    **dict.fromkeys(("metres", "meters", "metre", "meter", "m"), ("length", 1.0)),
    **dict.fromkeys(("feet", "foot", "ft"), ("length", 0.3048)),
    **dict.fromkeys(("yards", "yard"), ("length", 0.9144)),
    **dict.fromkeys(("miles", "mile"), ("length", 1609.344)),
    **dict.fromkeys(("percent", "per cent", "%"), ("share", 0.01)),
}
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=lambda unit: (-len(unit), unit)))
_NUMBER = re.compile(
    rf"(?<![\w.,])(?P<digits>\d+(?:,\d{{3}})*(?:\.\d+)?)(?P<tail>[a-zA-Z²%]*)|\b(?P<spelt>{SPELT})\b", re.IGNORECASE
)
#: In every number there is a digit, or some of these letters.
_DIGIT = re.compile(r"\d")
_OF_SPELT = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eigh", "nine", "ten", "eleven", "twel", "thir",
    "fif", "twen", "fort", "hundred", "thousand", "million",
)  # fmt: skip
_AFTER = re.compile(rf"[\s-]*(?:of the )?(?P<unit>{_UNIT})(?![\w²])", re.IGNORECASE)

#: Parts in words; a direction before one makes it a place: the northern half.
_PART = re.compile(
    r"\b(?P<count>one|two|three|four|five|six|seven|eight|nine|a|an|nearly a|about a)?[ -]?"
    r"(?P<part>half|halves|third|thirds|quarters?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|elevenths?|twelfths?|"
    r"fifteenths?|twentieths?)\b"
    r"(?! ?(?:-?way|circle|moon|hour))",
    re.IGNORECASE,
)
_PARTS = {
    "half": 0.5, "halves": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "sixth": 1 / 6, "seventh": 1 / 7,
    "eighth": 0.125, "ninth": 1 / 9, "tenth": 0.1, "eleventh": 1 / 11, "twelfth": 1 / 12, "fifteenth": 1 / 15,
    "twentieth": 0.05,
}  # fmt: skip
#: Letters that are in every part.
_OF_PART = ("half", "halves", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
            "twelfth", "fifteenth", "twentieth")  # fmt: skip
#: So far a part in words may be off, at most; of a small one it is a quarter.
_PART_OFF = 0.06
_PLACE = re.compile(
    r"(?:(?:north|south|east|west)\w*|upper|lower|left|right|top|bottom|other|same|each|either|both|far|outer|inner|and|first|"
    r"second|(?<!about )the)(?:-hand)?[ -]$",
    re.IGNORECASE,
)
_DIRECTION = re.compile(
    r"\b(?:(?:north|south|east|west)\w*|upper|lower|left|right|top|bottom)(?:-hand)? $", re.IGNORECASE
)
_MANY = re.compile(
    r"\b(?:dozens?|hundreds|thousands|scores|numerous|countless|pairs?|twin|single|sole|lone|double|triple)\b", re.I
)
#: Letters that are in all of these.
_OF_MANY = (
    "dozen", "hundred", "thousand", "score", "numerous", "countless", "pair", "twin", "single", "sole", "lone", "double",
    "triple",
)  # fmt: skip
#: Signs of a number in digits or in words, of parts, of the larger part or all, of so many; and of any of these.
_NUMBERED, _PARTED, _MANIFOLD = (
    sign(words=rf"\d|\b(?:{_SMALL}|{'|'.join(_SCALES)})\b"),
    sign(*_OF_PART),
    sign(*_OF_MANY),
)
_WHOLLY = sign("most", "majority", "bulk", "larger part", "greater part", "all of", "entire", "whole")
OF_NUMBERS = _NUMBERED | _PARTED | _MANIFOLD | _WHOLLY
_LEAST = {"dozen": 10, "dozens": 20, "hundreds": 200, "thousands": 2000, "scores": 40, "numerous": 5, "countless": 20}
_EXACT = {"pair": 2, "pairs": 2, "twin": 2, "double": 2, "triple": 3}

#: What tells of the picture's own size.
_OF_PICTURE = re.compile(
    r"\b(?:sides?|edge to edge|across|wide|high|in (?:width|height)|spans?"
    r"|(?:picture|image|view|scene|frame|photo\w*|patch|ground|area|square) (?:that is shown )?"
    r"(?:is|covers|measures|shows|takes in))\b",
    re.I,
)

_IN_TWO = re.compile(r"\b(?:divid|split|cut|part)\w* .*\b(?:in|into) two$", re.IGNORECASE)
_OF_PARTS = re.compile(rf"[ -](?:{'|'.join(_PARTS)})s?\b", re.IGNORECASE)

#: What has two of itself, or one: numbers before these are no counts of things.
_IDIOM = re.compile(
    r"[ -](?:(?:of )?(?:its|the|them|these|those)\b|sides?|ends?|halves|parts?|edges?|corners?|pieces?|directions?|way|"
    r"another|other|more|can|side)",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class Known:
    """The numbers that a sentence may tell of some elements: most tell one kind of them."""

    elements: tuple[Described, ...]
    things: Roll
    """All that there are, to be counted."""
    side: float
    """Of the picture, in metres."""
    _main: Described | None

    @lazily
    def share(self) -> tuple[float, ...]:
        """Of areas, parts of the picture."""
        return tuple(each.share for each in self.elements if each.share is not None)

    @lazily
    def length(self) -> tuple[float, ...]:
        """Of lines, in metres."""
        return tuple(each.length_m for each in self.elements if each.length_m is not None)

    @lazily
    def area(self) -> tuple[float, ...]:
        """Of areas, in square metres."""
        return tuple(each.area_m2 for each in self.elements if each.area_m2 is not None)

    @lazily
    def tags(self) -> Mapping[str, frozenset[float]]:
        """Numbers of tags, by key."""
        found: dict[str, set[float]] = {}
        for key, value in (tag for each in self.elements for tag in each.tags):
            found.setdefault(key, set()).update(_numbers_in(value))
        return {key: frozenset(numbers) for key, numbers in found.items() if numbers}

    @property
    def main(self) -> str:
        """The element that is spoken of; of others of its kind there is one less."""
        return self._main.element if self._main is not None else ""

    @lazily
    def near(self) -> frozenset[str]:
        """Elements beside the one that is described."""
        return frozenset(self._main.near) if self._main is not None else frozenset()

    @lazily
    def counts(self) -> frozenset[float]:
        """How many there are of a kind, where no word says of which."""
        nouns = self.things.nouns
        less = (float(nouns[each.noun] - 1) for each in self.elements[:1] if each is self._main)
        return frozenset((*less, *(float(nouns[noun]) for noun in {each.noun for each in self.elements})))

    @property
    def most(self) -> float:
        """Of any kind of thing, how many there are."""
        return max(self.counts, default=0)


def known_of(elements: Iterable[Described], things: Roll, side_m: float, main: Described | None = None) -> Known:
    """What may be told of some elements: their measures, their tags' numbers, how many there are of their kind.

    Parameters
    ----------
    things
        All that there are.
    side_m
        Side of the picture, in metres.
    main
        The one that is described, by default the first.
    """
    found = tuple(elements)
    return Known(found, things, side_m, main or next(iter(found), None))


@lru_cache(maxsize=4096)
def _numbers_in(value: str) -> tuple[float, ...]:
    """The numbers in a tag's value."""
    return tuple(map(float, re.findall(r"(?<![\w.])\d{1,4}(?:\.\d+)?(?!\w)", value)))


def number_problem(sentence: str, known: Callable[[], Known]) -> str | None:
    """A number of a sentence that is not among those that are known; None if there is none.

    `known`: asked if there is a number at all.
    """
    signs = signs_of(sentence)
    for found in _NUMBER.finditer(sentence) if signs & _NUMBERED else ():
        told = found[0] if found["spelt"] else f"{found['digits']}{found['tail']}"
        if not _is_known(sentence, found, known()):
            return told
    return (
        (_part_problem(sentence, known) if signs & _PARTED else None)
        or (_whole_problem(sentence, known) if signs & _WHOLLY else None)
        or (_many_problem(sentence, known) if signs & _MANIFOLD else None)
    )


def may_be_number(text: str, small: str | None) -> bool:
    """Whether there may be a number in a text, of which `small` are :func:`.talk.small_letters`."""
    return may_hold(small, *_OF_SPELT) or _DIGIT.search(text) is not None


def _is_known(sentence: str, found: re.Match[str], known: Known) -> bool:
    value = spelt_value(found["spelt"]) if found["spelt"] else float(found["digits"].replace(",", ""))
    at = found.start("tail") if found["digits"] else found.end()
    after = _AFTER.match(sentence, at)
    if after is not None:
        kind, factor = _UNITS[_plain_unit(after["unit"])]
        step = _step(found["digits"] or found["spelt"], value)
        truths: tuple[float, ...] = getattr(known, kind)
        if _OF_PICTURE.search(sentence):
            truths += {"length": (known.side,), "area": (known.side**2,)}.get(kind, ())
        if _TOGETHER.search(sentence) and kind in ("share", "length", "area"):
            truths += (sum(truths),)
        before = sentence[max(0, found.start() - _HEDGED) : found.start()]
        return any(
            _rounds(value, truth / factor, step, kind) or _is_bound(before, value, truth / factor) for truth in truths
        )
    if found["digits"] and found["tail"]:
        return False
    if found["spelt"] and (value == 1 or (value == 2 and _IDIOM.match(sentence, found.end()))):
        return True
    if value == 2 and _IN_TWO.search(sentence[: found.end()]):
        return True
    if found["spelt"] and _OF_PARTS.match(sentence, found.end()):
        return True  # a part: see below
    return _counts(value, sentence[found.end() :], known) or _are_told(value, sentence, found, known)


#: So many words after a number may name what is counted.
_NAMED = 5

#: What is counted within a thing, and told by its tags alone.
_WITHIN = re.compile(
    r"(?:[ -]\w+)?[ -](lane|track|storey|story|stories|floor|level|hole|row|arch|span|arm)(?:s|es|ed)?\b", re.I
)
#: Things of any kind.
_GENERAL = re.compile(r" (?:\w+ )?(line|feature|element|thing|object|area|shape|component)s?\b", re.IGNORECASE)
_KEYS = {"storey": "levels", "story": "levels", "stories": "levels", "floor": "levels", "level": "levels"}


def _counts(value: float, after: str, known: Known) -> bool:
    """Whether there are so many of what the next words name."""
    within = _WITHIN.match(after)
    if within is not None:
        key = _KEYS.get(within[1].lower(), within[1].lower())
        told = any(value in numbers for name, numbers in known.tags.items() if key in name)
        if told or key != "track":
            return told
    general = _GENERAL.match(after)
    if general is not None:
        kinds = Counter[str](each.kind for each in known.things.elements)
        kind = general[1].lower()  # lines are no areas: that there are two of these makes no two residential areas
        if value in ((kinds[kind],) if kind in ("line", "area") else (*kinds.values(), kinds.total())):
            return True
    return value in _numbers_of(after, known) or any(value in numbers for numbers in known.tags.values())


def _are_told(value: float, sentence: str, found: re.Match[str], known: Known) -> bool:
    """Whether no more things of any kind are counted than there are kinds: these are the two dominant areas."""
    general = _GENERAL.match(sentence, found.end()) if sentence[: found.start()].endswith(" the ") else None
    return general is not None and value <= len(known.things.nouns)


def _numbers_of(after: str, known: Known) -> frozenset[float]:
    """How many there are of what the next words name, in all, besides the one described, beside it, and further ones."""
    words = " ".join(re.split(r"[,.;:]", after)[0].split()[:_NAMED])
    named = list(known.things.mentioned(words))
    if not named:
        return known.counts
    nouns = dict.fromkeys(each.noun for each in named)
    where = {noun: at for noun in nouns if (at := whole_noun(noun).search(words)) is not None}
    if where:
        first = min(where, key=lambda noun: (where[noun].start(), -len(noun), noun))
        alike, named = [each for each in named if each.noun == first], called(where[first][0], named)
    else:
        alike = [each for each in named if each.noun == named[0].noun]
    counts: set[float] = set()
    for found in (alike, named):
        besides = len(found) - sum(each.element == known.main for each in found)
        near = sum(each.element in known.near for each in found)
        counts |= {len(found), besides, near, besides - near}
    return frozenset(counts - {0})


def _plain_unit(unit: str) -> str:
    return " ".join(unit.lower().split())


def _step(written: str, value: float) -> float:
    """By how much the last digit that counts of a number changes it."""
    if not written[0].isdigit() or "." not in written:
        step = 1.0
        while value and value % (step * 10) == 0:
            step *= 10
        return step
    return float(10 ** -len(written.partition(".")[2]))


def _rounds(value: float, truth: float, step: float, kind: str) -> bool:
    """Whether a number is another one, rounded: to two digits that count, or to within a part in sixteen."""
    if kind == "share" and abs(value - truth) <= 1.0:
        return True
    near = abs(value - truth) <= step / 2 + 1e-9 and step <= max(abs(truth), 1.0) / 4
    return near or abs(value - truth) <= abs(truth) / 16


#: What is told of several things at once.
_TOGETHER = re.compile(
    r"\b(?:together|combined|in total|between them|in all|altogether|jointly|add up|account for|make up|cover|occupy|fill|"
    r"take up|comprise|constitute|either|shared? (?:by|between|among))\b"
    r"|(?:^|\b(?:that|and|while|so|but|as|where),? )(?!the|an?|its|this|another|one)[a-z]+ "
    r"(?:makes? up|covers?|takes? up|fills?|occupies|accounts? for)\b",
    re.IGNORECASE,
)
#: So many letters before a number may say that it is a bound.
_HEDGED = 24
_MORE = re.compile(r"\b(?:over|more than|above|at least|upwards of|exceeding|in excess of)(?: the)? $", re.IGNORECASE)
_LESS = re.compile(
    r"\b(?:under|less than|below|at most|up to|(?P<near>nearly|almost|not quite|close to|just short of))(?: the)? $",
    re.IGNORECASE,
)
#: So much more, or less, what is told by a bound has at most; and what is nearly so much.
_BOUND, _NEARLY = 1.25, 1.08
#: The same of a part in words: the next one above more than half is two thirds.
_PART_BOUND = 1.3


def _is_bound(before: str, value: float, truth: float, bound: float = _BOUND) -> bool:
    """Whether a number is told as what another one is just over, or just under."""
    if _MORE.search(before) is not None:
        return value <= truth <= value * bound
    less = _LESS.search(before)
    return less is not None and value / (_NEARLY if less["near"] else bound) <= truth <= value


def spelt_value(text: str) -> float:
    """A number in words."""
    total = current = 0
    for word in re.split(r"[- ]+", text.lower()):
        if word in _SCALES:
            current = max(1, current) * _SCALES[word]
            total, current = (total + current, 0) if _SCALES[word] >= 1000 else (total, min(current, _ENDLESS))
        elif word != "and":
            current += _ONES.get(word, _TENS.get(word, 0))
    return float(total + current)


def _part_problem(sentence: str, known: Callable[[], Known]) -> str | None:
    """A part in words (a third) that is no element's share; where one is a place (the northern half) it says no share."""
    for found in _PART.finditer(sentence):
        if found["count"] is None and _PLACE.search(sentence[: found.start("part")]):
            continue
        before = sentence[: found.start()]
        if found["count"] is not None and (_DIRECTION.search(before) or before.endswith(" into ")):
            continue  # the northern two thirds; divided into three thirds
        single = found["part"].lower()
        single = single if single in _PARTS else single.removesuffix("s")
        value = _PARTS[single] * _ONES.get((found["count"] or "one").lower(), 1)
        start = found.start("part") if found["count"] is None else found.start("count")  # not at a blank before it
        off, before = min(_PART_OFF, value / 4), sentence[max(0, start - _HEDGED) : start]
        shares = known().share
        if _TOGETHER.search(sentence):
            shares += (sum(shares),)
        if not any(abs(value - share) <= off or _is_bound(before, value, share, _PART_BOUND) for share in shares):
            return found[0].strip()
    return None


#: The larger part of a picture, or all of it, in words; and from which share on they are true.
_WHOLE = (
    (
        re.compile(
            r"\b(?:most|majority|bulk|larger part|greater part) of (?:the|this) (?:picture|image|view|scene|frame|ground)",
            re.I,
        ),
        0.45,
    ),
    (
        re.compile(
            r"\b(?:covers?|fills?|occup(?:y|ies)|takes? up) (?:nearly |almost )?(?:all of|the entire|the whole)\b", re.I
        ),
        0.88,
    ),
)


def _whole_problem(sentence: str, known: Callable[[], Known]) -> str | None:
    for pattern, least in _WHOLE:
        found = pattern.search(sentence)
        if found is None:
            continue
        shares = known().share
        if _TOGETHER.search(sentence):
            shares += (min(sum(shares), 1.0),)
        if max(shares, default=0.0) < least:
            return found[0]
    return None


def _many_problem(sentence: str, known: Callable[[], Known]) -> str | None:
    for found in _MANY.finditer(sentence):
        word = found[0].lower()
        if word in _EXACT and float(_EXACT[word]) not in known().counts:
            return found[0]
        if known().most < _LEAST.get(word, 0):
            return found[0]
    return None
