"""How many of some things are said to lie in a part of the picture: three in the north-west, most houses in the east."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.bearings import POINT, eight, in_any
from nutonic.rows.annotation.calling import Found
from nutonic.rows.annotation.numbers import SPELT, may_be_number, spelt_value
from nutonic.rows.annotation.talk import may_hold, small_letters

_LETTERS = ("north", "south", "east", "west")
_OF_COUNTS = ("most ", "majority", "all ", "both ", "none ", "neither ", "no ")
_PART = (
    r"(?:ern)?(?: (?:part|half|side|corner|edge|third|section|area))?(?: of the (?:picture|image|scene|view|frame))?"
)
_PLACES = rf"(?:{POINT}{_PART}(?:,? (?:and |or )?(?:in )?(?:the )?(?={POINT}))?)+"
_COUNTED = re.compile(
    rf"(?<!of the )\b(?P<count>{SPELT}|\d+|most|the majority|all|both|none|neither|no)"
    r"(?P<of> of (?:the|them|these|those|its|which)(?: two| three| four)?)?"
    r"(?P<what>(?: [a-z-]+){0,3}?)"
    r"(?: (?:are|is|lies?|stands?|sits?|found|located|situated|clustered|grouped|placed|seen|visible|can be|being|of them))*"
    r" (?:in|at|on|along|to|within|reach(?:es)?|enters?|touch(?:es)?|covers?) the (?:far |upper |lower )?"
    rf"(?P<where>{_PLACES})(?! of (?:the|it|its)\b)(?![\w-])",
    re.IGNORECASE,
)
_NONE = ("none", "neither", "no")
#: What is counted within a thing.
_WITHIN = re.compile(
    r"(?: \w+)? (?:lanes?|tracks?|storeys?|stories|floors?|levels?|holes?|rows?|spans?)\b", re.IGNORECASE
)


def without_counts(text: str, found: Found, earlier: Sequence[Described]) -> tuple[str, str | None]:
    """A sentence without the numbers that it tells of parts of the picture; and the first of them that is wrong.

    Parameters
    ----------
    found
        Where things are named in it, and which.
    earlier
        What was named before it.
    """
    kept, end = "", 0
    small = small_letters(text)
    if not may_hold(small, *_LETTERS) or not (may_hold(small, *_OF_COUNTS) or may_be_number(text, small)):
        return text, None
    for told in _COUNTED.finditer(text):
        whom = _whom(told, found, earlier)
        count = told["count"].lower()
        if len(whom) < (1 if count == "no" else 2):
            continue
        if count == "one":
            continue  # of which it may be anyone
        if not _holds(count, whom, told["where"]):
            return text, told[0]
        instead = "some" if count not in _NONE else None
        stop = told.end("count") if instead else told.end()
        kept += f"{text[end : told.start()]}{instead or 'they are there'}"
        end = stop
    return kept + text[end:], None


def _whom(told: re.Match[str], found: Found, earlier: Sequence[Described]) -> Sequence[Described]:
    """Of whom a number is told: of what is named behind it, or if nothing is, of what was named last."""
    start, end = told.span("what")
    if _WITHIN.match(told["what"]) is not None:
        return ()
    within = [whom for at, to, whom in found if start <= at and to <= end]
    if within:
        return within[0] if len({each.noun for each in within[0]}) == 1 else ()
    if told["what"].strip():
        return ()
    before = [whom for _, to, whom in found if to <= told.start() and len(whom) > 1]
    whom = before[-1] if before else ()
    if not whom and earlier:
        whom = tuple(each for each in earlier if each.noun == earlier[-1].noun)
    return whom if len({each.noun for each in whom}) == 1 else ()


def _holds(count: str, whom: Sequence[Described], where: str) -> bool:
    points = [eight(each) for each in re.findall(POINT, where, re.IGNORECASE)]
    mostly = sum(any(in_any(point, [each.where]) for point in points) for each in whom)
    reach = sum(any(in_any(point, each.cells) for point in points) for each in whom)
    if count in ("most", "the majority"):
        return 2 * reach > len(whom)
    if count in _NONE:
        return mostly == 0
    if count in ("all", "both"):
        return reach == len(whom)
    number = float(count) if count.isdigit() else spelt_value(count)
    least = 0 if whom[0].kind == "line" else sum(each.where in points for each in whom)
    return least <= number <= reach or (number == len(whom) and 2 * reach > len(whom))
