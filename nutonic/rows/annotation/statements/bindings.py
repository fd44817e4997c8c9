"""Which thing a place is told of, where a sentence names several: what stands next to it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.bearings import POINT, eight, in_any, points_in, shape_problem
from nutonic.rows.annotation.calling import Found
from nutonic.rows.annotation.statements.sides import allowed_of, any_beyond, is_all_round, part

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
    rf"fills?) {_THE}(?P<point>{POINT}){_SIDE}"
    rf"(?! of\b)(?!-to-| to\b)(?=\W|$)",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    rf"^{_FILL} (?:to (?:its|their)|farther|further) (?P<point>{POINT})(?:ern)?(?: side)?(?! of\b)(?=\W|$)",
    re.IGNORECASE,
)
_FRONT = re.compile(
    rf"(?:^(?:(?:and|while|whereas|but) )?|(?P<amid>[,;:] (?:and )?|\band,? ))"
    rf"(?:(?:[a-z]+ing|located|situated|set|tucked|nestled|found|seen|placed)(?: \w+ly)?(?: away)? )?"
    rf"(?:in|into|at|on|along|near|toward|towards) {_THE}(?P<point>{POINT}){_SIDE}(?! of\b)(?!-to-| to\b)"
    rf"(?(amid),|,?) (?=\w)",
    re.IGNORECASE,
)
#: Parts of what reaches so many of the nine are parts of the picture.
_ALL_OVER = 8
_ITS = re.compile(rf" its (?=(?:far |very )?{POINT}ern [a-z]+|{POINT} (?:corner|edge|side))", re.IGNORECASE)
_LINKS = re.compile(
    rf"\b(?:link|connect|join|t(?:ie|y)|between|from)(?:s|es|ed|ing)? {_THE}(?P<one>{POINT}){_SIDE},? (?:with|"
    rf"to|and) (?:into )?"
    rf"{_THE}(?P<other>{POINT})(?:ern)?",
    re.IGNORECASE,
)
_LOOKS = re.compile(
    r"\b(?:square|rectangular|elongated|compact|round|irregular|straight|curved|winding)(?: \w+)? ?$", re.IGNORECASE
)
#: Where it lies, whatever it is.
_IT_LIES = re.compile(
    rf"\b(?:it|which|that) (?:lies|sits|stands|is|can be)(?: located| situated| found| seen| visible| placed| set)?"
    rf"(?: \w+ly)? (?:in|at|on|along|within) {_THE}(?P<point>{POINT}){_SIDE}(?! of\b)(?!-to-| to\b)(?=\W|$)",
    re.IGNORECASE,
)
#: What is told of all the ground there, and not of where a thing lies.
_FILLS = re.compile(r"\b(?:occup|fill)", re.IGNORECASE)
#: What comes between such a beginning and the thing that lies there.
_THERE = re.compile(
    r"^(?:(?:there|one|you|lies?|is|are|stands?|sits?|can|be|seen|found|sees?|finds?|we|a|an|the|some|two|three|four|five|six|"
    r"several|many|long|large|small|big|compact|round|square|rectangular|irregular|elongated|narrow|winding|curved|straight|"
    r"single|pair|of|this|another|second|further|slightly) )*$",
    re.IGNORECASE,
)


def binding_problem(sentence: str, found: Found, main: Described) -> str | None:
    """A place in a sentence where none of those lies that stand next to it; None if there is none.

    `found`: where things are named in it, and which.
    """
    text = sentence if len(main.cells) < _ALL_OVER else _ITS.sub(" the ", sentence)
    if not points_in(text):
        return None
    return _behind(text, found, main) or _in_front(text, found) or _linked(text, found, main)


def side_problem(text: str, found: Found, main: Described) -> str | None:
    """A side on which something is told to lie that lies on all of them; all that is told up to the next thing counts.

    `found`: where things are named in it, and which.
    """
    if not points_in(text):
        return None
    told: list[tuple[int, re.Match[str]]] = []
    for _, end, whom in found:
        place = _BEHIND.match(text[end:]) if _are_all_round(whom) else None
        told += [] if place is None or _FILLS.search(place[0]) else [(end, place)]
    told += [(each.start(), each) for each in _IT_LIES.finditer(text)] if is_all_round(main) else []
    for front in _FRONT.finditer(text) if any(_are_all_round(whom) for _, _, whom in found) else ():
        start, end, whom = next((each for each in found if each[0] >= front.end()), (0, 0, ()))
        if _are_all_round(whom) and _THERE.match(text[front.end() : start]):
            told.append((front.start(), front))
    for at, place in told:
        first = place.end() if place.re is _FRONT else at
        names = [start for start, _, _ in found if start >= first][place.re is _FRONT :]
        if _is_one_side(text[at : min(names, default=len(text))]):
            return place["point"]
    return None


def _are_all_round(whom: Sequence[Described]) -> bool:
    return bool(whom) and all(map(is_all_round, whom))


def _is_one_side(text: str) -> bool:
    """Whether all places of a text are on one side of the picture."""
    rows, columns = zip(*map(part, points_in(text) or ("centre",)), strict=True)
    return any(len(set(each)) == 1 and each[0] != 0 for each in (rows, columns))


def _behind(text: str, found: Found, main: Described) -> str | None:
    """A place that is told right behind a thing: ``a park in the south``, ``a park to its south``."""
    for start, end, whom in found:
        after = text[end:]
        looks = _LOOKS.search(text[:start])
        if looks is not None and len(whom) > 1:
            whom = tuple(each for each in whom if shape_problem(looks[0], allowed_of([each])) is None) or whom
        place = _BEHIND.match(after)
        if place is not None and not _lies(whom, place["point"], toward=place["toward"] is not None):
            return place["point"]
        place = _BESIDE.match(after)
        if place is not None:
            others = [each for _, _, more in found if more is not whom for each in more] or [main]
            others = [each for each in others if each not in whom]
            if others and not any_beyond(whom, others, eight(place["point"])):
                return place["point"]
    return None


def _in_front(text: str, found: Found) -> str | None:
    """A place that is told before a thing: ``in the south there is a park``."""
    for front in _FRONT.finditer(text) if found else ():
        start, whom = next(((s, those) for s, _, those in found if s >= front.end()), (0, ()))
        if whom and _THERE.match(text[front.end() : start]) and not _lies(whom, front["point"]):
            return front["point"]
    return None


def _linked(text: str, found: Found, main: Described) -> str | None:
    """Two places that a line is said to link, and does not."""
    for link in _LINKS.finditer(text):
        named = [whom for _, end, whom in reversed(found) if end <= link.start()]
        every = [[each for each in those if each.ends is not None] for those in named or [whom for _, _, whom in found]]
        lines = [each for those in every[:2] for each in those] or ([main] if main.ends is not None else [])
        if lines and not any(_joins(each, eight(link["one"]), eight(link["other"])) for each in lines):
            return link["other"]
    return None


def _joins(line: Described, one: str, other: str) -> bool:
    """Whether a line has one end here and the other there, or all but."""
    first, last = line.ends or ("centre", "centre")
    if first == last:
        return True
    there = [(in_any(one, [a]), in_any(other, [b])) for a, b in ((first, last), (last, first))]
    return any(a and b for a, b in there)


def _lies(elements: Sequence[Described], point: str, *, toward: bool = False) -> bool:
    allowed = allowed_of(elements)
    plain = eight(point)
    return in_any(plain, allowed.cells) or (toward and plain in allowed.runs)
