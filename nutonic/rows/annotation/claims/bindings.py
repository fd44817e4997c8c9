"""Which thing a place is told of, where a sentence names several: what stands next to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.bearings import allowed_of, as_compass, in_any, is_beyond, points_in, shape_problem
from nutonic.rows.annotation.calling import Names, Roll

_POINT = r"(?:(?:north|south)[- ]?(?:east|west)|north|south|east|west)"
_PICTURE = r"(?:picture|image|view|scene|frame|patch|photo(?:graph)?)"
_SIDE = (
    r"(?:ern(?:most)?|erly)?(?: (?:side|edge|part|half|corner|third|portion|section|margin|border|end|area|rim|"
    r"quadrant|flank))?"
    rf"(?: of (?:the|this) (?:\w+ )?{_PICTURE})?"
)
_THE = r"the (?:far |very |extreme |upper |lower |outer |whole |entire )?"
#: What may stand between a thing and where it is: that it is there.
_FILL = (
    r"(?: of (?:\w+ ){0,2}\w+)?(?:,? (?:that|which|both|all|each|also|just|can be|is|are|lies?|lying|sits?|sitting|stands?|"
    r"standing|located|situated|found|seen|visible|placed|set|grouped|clustered|concentrated|(?:next to|beside|"
    r"borders?|flanks?|adjoins?|touches|alongside) it|occup(?:y|ies)|fills?|mostly|"
    r"mainly|largely|exactly|together|alone|\(?[\d.,]+ ?(?:percent|%)\)?))*"
)
_BEHIND = re.compile(
    rf"^{_FILL},? (?:(?P<toward>towards?)|in|at|on|along|near|inside|within|occup(?:y|ies)|"
    rf"fills?) {_THE}(?P<point>{_POINT}){_SIDE}"
    rf"(?! of\b)(?!-to-| to\b)(?=\W|$)",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    rf"^{_FILL} (?:to (?:its|their)|farther|further) (?P<point>{_POINT})(?:ern)?(?: side)?(?! of\b)(?=\W|$)",
    re.IGNORECASE,
)
_FRONT = re.compile(
    rf"(?:^(?:(?:and|while|whereas|but) )?|(?P<amid>[,;:] (?:and )?|\band,? ))"
    rf"(?:(?:[a-z]+ing|located|situated|set|tucked|nestled|found|seen|placed)(?: \w+ly)?(?: away)? )?"
    rf"(?:in|into|at|on|along|near|toward|towards) {_THE}(?P<point>{_POINT}){_SIDE}(?! of\b)(?!-to-| to\b)"
    rf"(?(amid),|,?) (?=\w)",
    re.IGNORECASE,
)
#: Parts of what reaches so many of the nine are parts of the picture.
_ALL_OVER = 8
_ITS = re.compile(rf" its (?=(?:far |very )?{_POINT}ern [a-z]+|{_POINT} (?:corner|edge|side))", re.IGNORECASE)
_LINKS = re.compile(
    rf"\b(?:link|connect|join|t(?:ie|y)|between|from)(?:s|es|ed|ing)? {_THE}(?P<one>{_POINT}){_SIDE},? (?:with|"
    rf"to|and) (?:into )?"
    rf"{_THE}(?P<other>{_POINT})(?:ern)?",
    re.IGNORECASE,
)
_LOOKS = re.compile(
    r"\b(?:square|rectangular|elongated|compact|round|irregular|straight|curved|winding)(?: \w+)? ?$", re.IGNORECASE
)
#: What comes between such a beginning and the thing that lies there.
_THERE = re.compile(
    r"^(?:(?:there|one|you|lies?|is|are|stands?|sits?|can|be|seen|found|sees?|finds?|we|a|an|the|some|two|three|four|five|six|"
    r"several|many|long|large|small|big|compact|round|square|rectangular|irregular|elongated|narrow|winding|curved|straight|"
    r"single|pair|of|this|another|second|further|slightly) )*$",
    re.IGNORECASE,
)


def binding_problem(sentence: str, roll: Roll, names: Names, main: Described) -> str | None:
    """A place in a sentence where none of those lies that stand next to it; None if there is none."""
    text = as_compass(sentence)
    if len(main.cells) >= _ALL_OVER:
        text = _ITS.sub(" the ", text)
    if not points_in(text):
        return None
    found = list(_named(text, names))
    return _behind(text, found, roll, main) or _in_front(text, found, roll) or _linked(text, found, roll, main)


#: Where things are named in a sentence, and which.
_Found = Sequence[tuple[int, int, frozenset[int]]]


def _behind(text: str, found: _Found, roll: Roll, main: Described) -> str | None:
    """A place that is told right behind a thing: ``a park in the south``, ``a park to its south``."""
    for start, end, groups in found:
        whom, after = roll.of(groups), text[end:]
        looks = _LOOKS.search(text[:start])
        if looks is not None and len(whom) > 1:
            whom = tuple(each for each in whom if shape_problem(looks[0], allowed_of([each])) is None) or whom
        place = _BEHIND.match(after)
        if place is not None and not _lies(whom, place["point"], toward=place["toward"] is not None):
            return place["point"]
        place = _BESIDE.match(after)
        if place is not None:
            others = [each for _, _, more in found if more != groups for each in roll.of(more)] or [main]
            others = [each for each in others if each not in whom]
            if others and not any(is_beyond(a.where, b.where, _plain(place["point"])) for a in whom for b in others):
                return place["point"]
    return None


def _in_front(text: str, found: _Found, roll: Roll) -> str | None:
    """A place that is told before a thing: ``in the south there is a park``."""
    for front in _FRONT.finditer(text) if found else ():
        start, _, groups = next(((s, e, g) for s, e, g in found if s >= front.end()), (0, 0, frozenset[int]()))
        if groups and _THERE.match(text[front.end() : start]) and not _lies(roll.of(groups), front["point"]):
            return front["point"]
    return None


def _linked(text: str, found: _Found, roll: Roll, main: Described) -> str | None:
    """Two places that a line is said to link, and does not."""
    for link in _LINKS.finditer(text):
        named = [groups for _, end, groups in reversed(found) if end <= link.start()]
        every = [
            [each for each in roll.of(groups) if each.ends is not None] for groups in named or [g for _, _, g in found]
        ]
        lines = next(filter(None, every), [main] if main.ends is not None else [])
        if lines and not any(_joins(each, _plain(link["one"]), _plain(link["other"])) for each in lines):
            return link["other"]
    return None


def _joins(line: Described, one: str, other: str) -> bool:
    """Whether a line has one end here and the other there, or all but."""
    first, last = line.ends or ("centre", "centre")
    if first == last:
        return True
    there = [(in_any(one, [a]), in_any(other, [b])) for a, b in ((first, last), (last, first))]
    return any(a and b for a, b in there)


def _named(text: str, names: Names) -> Iterator[tuple[int, int, frozenset[int]]]:
    """Where things are named, none within the name of another."""
    every = [
        (found.start(), found.end(), frozenset(groups))
        for noun, groups in names
        for found in noun.pattern.finditer(text)
    ]
    spans: dict[tuple[int, int], frozenset[int]] = {}
    for start, end, groups in every:
        spans[start, end] = spans.get((start, end), frozenset()) | groups
    for (start, end), groups in sorted(spans.items()):
        if not any((s, e) != (start, end) and s <= start and end <= e for s, e in spans):
            yield start, end, groups


def _plain(point: str) -> str:
    parts = re.findall("north|south|east|west", point.lower())
    return "-".join(parts)


def _lies(elements: Sequence[Described], point: str, *, toward: bool = False) -> bool:
    allowed = allowed_of(elements)
    plain = _plain(point)
    return in_any(plain, allowed.cells) or (toward and plain in allowed.runs)
