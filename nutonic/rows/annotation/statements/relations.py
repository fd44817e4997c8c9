"""What captions say of where one thing lies seen from another: west of it, between two, inside, at its northern end.

A sentence is given back without what was judged, so that nobody takes its points for places in the picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.bearings import IN_PART, POINT, eight, in_any
from nutonic.rows.annotation.calling import Found
from nutonic.rows.annotation.numbers import SPELT, spelt_value
from nutonic.rows.annotation.statements.sides import beyond, is_between, part, side_of
from nutonic.rows.annotation.statements.which import narrowed, phrase
from nutonic.rows.annotation.talk import sign, signs_of

_PICTURE = r"(?:picture|image|view|scene|frame|patch|photo\w*|centre|center|middle|square|area shown)"
_EDGE = r"(?:side|edge|bank|flank|border|boundary|margin|shore|rim|limit|end|face|hand side)"
_PRONOUN = r"(?:it|them|this|that|these|those|which|both|the two)"
_STOP = re.compile(
    r"[,;:.()]| (?:and|but|while|whereas|with|from|is|are|lies?|stands?|sits?|runs?|extends?|stretch\w*|spreads?|"
    r"(?:in|on|at|to) the|near|beside|along|there|can|rises?|begins?|covers?|(?:on|to) its|on their|where|within|inside)\b ?"
)
#: ``West of the lake``, ``on the lake's western side``, ``along its northern edge``.
_BEYOND = re.compile(
    r"(?P<lead>\b(?:to|on|off|at|along|towards?|just|immediately|directly|due|close|farther|further|lying|away|well|"
    rf"slightly|all|forms?|forming|marks?|marking|bounds?|bounding|follows?|following|skirts?|lines?|lining|hugs?|hugging|"
    rf"adjacent to|parallel to)? ?(?:the )?)"
    rf"\b(?P<point>{POINT})(?:(?:ern|erly)?,? (?P<edge>{_EDGE}))? of "
    rf"(?P<whom>(?!(?:(?:the|this|an?) (?:\w+ )?)?{_PICTURE}\b)\w[^,;:.]*)",
    re.IGNORECASE,
)
_ITS = re.compile(
    r"\b(?P<lead>to|on|off|at|along|towards?|farther|further|from)(?: the)? (?:its|their)(?: (?:far|very|immediate))? "
    rf"(?P<point>{POINT})(?:(?:ern|erly)? (?P<edge>{_EDGE}))?(?![\w-])(?! (?:corner|half|part|third))",
    re.IGNORECASE,
)
_OWNED = re.compile(
    rf"(?:['’]s|(?<=s)['’]) (?:far |very |own )?(?P<point>{POINT})(?:ern|erly)? (?P<edge>{_EDGE}|corner|half|part|third)\b",
    re.IGNORECASE,
)
#: ``Bounded to the east by a road``.
_BOUNDED = re.compile(
    r"\b(?:bound(?:ed)?|border(?:ed)?|flanked|framed|edged|limited|lined|enclosed|adjoined|fringed|delimited|skirted|hemmed)"
    rf"(?: \w+ly)?(?P<where>,? (?:to|on|in|at|along) (?:the|its|their) (?P<point>{POINT})(?:ern|erly)?(?: {_EDGE})?) by "
    r"(?P<whom>[^,;:.]+)",
    re.IGNORECASE,
)
#: ``A road borders it to the east``.
_BOUNDS = re.compile(
    r"\b(?:bound|border|flank|limit|enclos|adjoin|fring|delimit|skirt|hem|abut)(?:s|es|e|ing) "
    rf"(?P<whom>[^,;:.]+?) (?P<where>(?:to the (?P<point>{POINT})|(?:on|along) the (?P<side>{POINT})(?:ern|erly)? {_EDGE}))"
    r"(?! of)(?![\w-])",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"\b(?:separat|divid|part|split)(?:es|e|ing|s|ting)? (?:off )?(?P<one>[^,;:.]+?) (?:from|and) (?P<other>[^,;:.]+)",
    re.IGNORECASE,
)
_PARTED = re.compile(
    r"(?P<both>[^,;:.]+?) (?:is|are|lie|stand)?(?: \w+ly)? ?(?:separated|divided|parted|split) by (?P<line>[^,;:.]+)",
    re.IGNORECASE,
)
_PARTED_FROM = re.compile(
    r"(?P<one>[^,;:.]+?) (?:\w+ly )?(?:separated|divided|parted|split|cut off) from (?P<other>[^,;:.]+?) by "
    r"(?P<line>[^,;:.]+)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\bbetween (?P<one>[^,;:.]+?) and (?P<other>[^,;:.]+)", re.IGNORECASE)
_EITHER_SIDE = re.compile(
    r"\b(?P<how>(?:on|along|at|to|from) (?:either|both|each|opposite|the same|one|the other) sides? of) (?P<line>[^,;:.]+)",
    re.IGNORECASE,
)
_INSIDE = re.compile(
    r"\b(?:within|inside|in the (?:very )?(?:middle|centre|center|heart|midst) of|(?:surrounded|enclosed) by|amid|amidst|"
    r"among|(?:lies?|lying|stands?|standing|sits?|sitting|is|are|found|located|situated|set|nestled) in) "
    rf"(?P<whom>(?:it|the|an?|its) (?!(?:\w+ )?(?:{_PICTURE}|{POINT}\w*)\b)[^,;:.]+)",
    re.IGNORECASE,
)
_WHERE = re.compile(rf" {IN_PART}", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:no|not|never|neither|nor|none|without|n't)\b[^,;:.]*$", re.IGNORECASE)
_FRONT = re.compile(
    r"(?:^|[,;:] |\b(?:and|while|whereas|but),? )(?:\w+ly |just |farther |further |and )*$", re.IGNORECASE
)
_ALL = re.compile(r"\b(?:all|both|each|every|entirely|exclusively|wholly)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Speech:
    """A sentence, and whom its words may mean."""

    text: str
    found: Found
    """Where things are named, and which."""
    main: Described
    earlier: Sequence[Described]
    """What the sentence before named."""
    seen: bool

    def within(self, start: int, end: int) -> list[list[Described]]:
        """What is named between two positions, each as one or several of a kind."""
        return [
            list(narrowed(whom, phrase(self.text, at, to))) for at, to, whom in self.found if start <= at and to <= end
        ]

    def whom(self, start: int, text: str) -> list[Described]:
        """The first that is named in a text that begins there; of a pronoun all that it may stand for."""
        if re.match(rf"{_PRONOUN}\b", text, re.IGNORECASE) and not re.match(
            r"(?:this|that|these|those|both) (?!is|are|lies?)\w", text
        ):
            return self.spoken_of(start)
        end = start + len(_STOP.split(text)[0])
        named = self.within(start, end)
        return named[0] if named else []

    def spoken_of(self, at: int) -> list[Described]:
        """Whom a pronoun may stand for."""
        named = [each for whom in self.within(0, at) for each in whom]
        return list(dict.fromkeys([*named, self.main, *self.earlier]))

    def subject(self, at: int, end: int) -> list[Described]:
        """Whom is told something there: what is named before it in its clause, or behind it where it comes first."""
        if _FRONT.search(self.text[:at]):
            behind = self.within(end, len(self.text))
            if behind:
                return behind[0]
        start = max(
            (found.end() for found in re.finditer(r"[;:,] |\b(?:and|while|whereas|but|with) ", self.text[:at])),
            default=0,
        )
        named = self.within(start, at) or self.within(0, at)
        return [each for whom in named for each in whom] or [self.main]

    def number_of(self, ours: Sequence[Described]) -> int:
        """How many of them are spoken of: as many as there are, if it is of both or all, or else the number before them."""
        for start, end, whom in self.found:
            if ours and ours[0] in whom:
                before = phrase(self.text, start, end).lower()
                if _ALL.search(before) or _ALL.search(self.text[end : end + 12]):
                    return len(ours)
                number = re.match(SPELT, re.sub(r"^the ", "", before))
                return int(spelt_value(number[0])) if number is not None else 1
        return 1


def without_relations(
    text: str, found: Found, main: Described, earlier: Sequence[Described], *, seen: bool = False
) -> tuple[str, str | None]:
    """A sentence without what it says of where things lie to each other; and the first of it that is not so.

    Parameters
    ----------
    found
        Where things are named in it, and which.
    main
        What is described.
    earlier
        What the sentence before named.
    seen
        Whether who speaks saw the picture, and so may know what the parts of the picture do not tell.
    """
    speech = Speech(text, found, main, earlier, seen)
    spans: list[tuple[int, int, str]] = []
    signs = signs_of(text)
    for of_check, check in _CHECKS:
        for each in check(speech) if signs & of_check else ():
            if each.wrong:
                return text, each.found[0].strip()[:60]
            if each.instead is not None:
                spans.append(each.instead)
    end = len(text)
    for start, stop, instead in sorted(spans, reverse=True):
        if stop <= end:
            text, end = f"{text[:start].rstrip()} {instead}{text[stop:]}".lstrip(), start
    return text, None


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is said of where things lie to each other."""

    found: re.Match[str]
    instead: tuple[int, int, str] | None
    """What stands in its place, from where to where, so that nobody else judges it."""
    wrong: bool


def _beyond(speech: Speech) -> Iterator[_Judged]:
    for found in _BEYOND.finditer(speech.text):
        theirs = speech.whom(found.start("whom"), found["whom"])
        if not theirs:
            continue
        end = found.start("whom")
        after = end + len(_STOP.split(found["whom"])[0])
        ours = speech.subject(found.start(), after)
        if speech.main in ours and re.match(_PRONOUN, found["whom"], re.IGNORECASE):
            yield _Judged(found, (found.start(), end, "by "), False)  # such as the water of a coast
            continue
        ours = [each for each in ours if each not in theirs or len(theirs) > 2]
        if not ours:
            continue
        denied = _DENIED.search(speech.text[: found.start()]) is not None
        holds = _lies(ours, theirs, found["point"], least=speech.number_of(ours), seen=speech.seen)
        if not holds and found["edge"]:
            holds = _reaches(ours, theirs, found["point"])
        yield _Judged(found, (found.start(), end, "by "), holds is denied)


def _its(speech: Speech) -> Iterator[_Judged]:
    for found in _ITS.finditer(speech.text):
        ours = speech.subject(found.start(), found.end())
        theirs = [each for each in speech.spoken_of(found.start()) if each not in ours]
        if ours == [speech.main] or not theirs:
            continue
        holds = _lies(ours, theirs, found["point"], seen=speech.seen) or (
            found["edge"] and _reaches(ours, theirs, found["point"])
        )
        yield _Judged(found, (*found.span(), "there"), not holds)


def _owned(speech: Speech) -> Iterator[_Judged]:
    for found in _OWNED.finditer(speech.text):
        theirs = next((whom for start, end, whom in speech.found if end == found.start()), ())
        ours = [each for each in speech.subject(found.start(), found.end()) if each not in theirs]
        ours = ours or ([speech.main] if speech.main not in theirs else [])
        if theirs and ours:
            holds = _lies(ours, theirs, found["point"], seen=speech.seen) or _reaches(ours, theirs, found["point"])
            yield _Judged(found, (*found.span(), " "), not holds)


def _bounded(speech: Speech) -> Iterator[_Judged]:
    for found in _BOUNDED.finditer(speech.text):
        theirs, ours = speech.subject(found.start(), found.end()), speech.whom(found.start("whom"), found["whom"])
        if ours and theirs:
            holds = _lies(
                ours, [each for each in theirs if each not in ours] or [speech.main], found["point"], seen=speech.seen
            )
            yield _Judged(found, (found.start("where"), found.end("where"), " "), not holds)


def _bounds(speech: Speech) -> Iterator[_Judged]:
    for found in _BOUNDS.finditer(speech.text):
        ours, theirs = speech.subject(found.start(), found.end()), speech.whom(found.start("whom"), found["whom"])
        theirs = [each for each in theirs if each not in ours]
        if ours and theirs:
            holds = _lies(ours, theirs, found["point"] or found["side"], seen=speech.seen)
            yield _Judged(found, (found.start("where"), found.end("where"), ""), not holds)


def _lies(ours: Sequence[Described], theirs: Sequence[Described], point: str, *, seen: bool, least: int = 1) -> bool:
    """Whether one of some things lies in a direction of another one, and so many of them may."""
    plain = eight(point)
    told = [[beyond(one, other, plain) for other in theirs if other is not one] for one in ours]
    may = sum(any(each is not False for each in those) for those in told)
    return may >= min(least, len(ours)) and any(True in those or (seen and None in those) for those in told)


def _reaches(ours: Sequence[Described], theirs: Sequence[Described], point: str) -> bool:
    """Whether things lie in those parts of another one that are at its northern end."""
    plain = eight(point)
    return any(
        not set(one.cells).isdisjoint(cell for cell in other.cells if in_any(plain, [cell]))
        and beyond(one, other, plain) is not False
        for one in ours
        for other in theirs
        if one is not other
    )


def _parts(speech: Speech) -> Iterator[_Judged]:
    for found in _PARTS.finditer(speech.text):
        ones = [each for whom in speech.within(*found.span("one")) for each in whom]
        others = [each for whom in speech.within(*found.span("other")) for each in whom]
        lines = speech.within(0, found.start())[-1:] or [[speech.main]]
        if ones and others:
            wrong = not _parted(lines[0], ones, others) or _misplaced(speech, found, lines[0])
            yield _Judged(found, (found.start(), found.start("one"), " has "), wrong)


def _parted_by(speech: Speech) -> Iterator[_Judged]:
    for found in _PARTED_FROM.finditer(speech.text):
        ones, others, lines = (speech.within(*found.span(side)) for side in ("one", "other", "line"))
        if ones and others and lines:
            yield _Judged(found, None, not _parted(lines[0], ones[-1], others[0]))
    for found in _PARTED.finditer(speech.text):
        both, lines = speech.within(*found.span("both")), speech.within(*found.span("line"))
        if len(both) == 1 and len(both[0]) == 2:
            both = [[both[0][0]], [both[0][1]]]
        if len(both) > 1 and lines:
            yield _Judged(found, None, not _parted(lines[0], both[-2], both[-1]))


def _misplaced(speech: Speech, found: re.Match[str], lines: Sequence[Described]) -> bool:
    """Whether what is parted is told to lie on the other side than it does: the garden in the west from the pitch."""
    for side in ("one", "other"):
        where = _WHERE.search(found[side])
        whom = speech.within(*found.span(side))
        if (
            where is not None
            and whom
            and not any(beyond(each, line, eight(where["point"])) is not False for each in whom[0] for line in lines)
        ):
            return True
    return False


def _parted(lines: Sequence[Described], ones: Sequence[Described], others: Sequence[Described]) -> bool:
    """Whether one of some things lies between most of two others."""
    for line in lines:
        pairs = [(a, b) for a in ones for b in others if a is not b and a is not line and b is not line]
        if pairs and 2 * sum(is_between(line, a, b) for a, b in pairs) >= len(pairs):
            return True
    return False


def _between(speech: Speech) -> Iterator[_Judged]:
    for found in _BETWEEN.finditer(speech.text):
        ones, others = (speech.within(*found.span(side)) for side in ("one", "other"))
        ours = speech.subject(found.start(), found.end())
        if ones and others and ours:
            yield _Judged(found, None, not _parted(ours, ones[-1], others[0]))


def _sides(speech: Speech) -> Iterator[_Judged]:
    for found in _EITHER_SIDE.finditer(speech.text):
        lines = speech.whom(found.start("line"), found["line"])
        ours = [each for whom in speech.within(0, found.start()) for each in whom if each not in lines]
        if "same side" in found[0].lower():
            more = [each for whom in speech.within(found.start("line"), len(speech.text)) for each in whom]
            ours = [each for each in dict.fromkeys([*ours, *more]) if each not in lines]
        sides = [{side_of(line, each) for each in ours} - {0} for line in lines]
        if len(ours) < 2 or not sides:
            continue
        if "same" in found["how"].lower():
            yield _Judged(found, None, all(len(each) > 1 for each in sides))
        elif not re.search(r"\b(?:one|other)\b", found["how"], re.IGNORECASE):
            yield _Judged(found, None, all(len(each) == 1 for each in sides))


def _inside(speech: Speech) -> Iterator[_Judged]:
    for found in _INSIDE.finditer(speech.text):
        outer = speech.whom(found.start("whom"), found["whom"])
        outer = [each for each in outer if each.kind == "area"] if not found[0].lower().startswith("am") else outer
        ours = [each for each in speech.subject(found.start(), found.end()) if each not in outer]
        if outer and ours and _DENIED.search(speech.text[: found.start()]) is None:
            around = found[0].lower().startswith(("am", "surr", "encl"))
            yield _Judged(
                found,
                None,
                not any(
                    _is_in(one, other) or (around and len(outer) > 1 and _is_by(one, other))
                    for one in ours
                    for other in outer
                ),
            )


def _is_by(one: Described, other: Described) -> bool:
    """Whether a thing lies in a part of the picture that another one lies in too, or next to such a one."""
    return any(
        max(abs(a - b) for a, b in zip(part(cell), part(its), strict=True)) < 2
        for cell in one.cells
        for its in other.cells
    )


def _is_in(one: Described, other: Described) -> bool:
    """Whether a thing may lie in another one: it lies where that one does, and not beside it."""
    apart = one.kind != "line" and (one.element in other.near or other.element in one.near)
    smaller = one.share is None or other.share is None or one.share <= other.share
    return not apart and smaller and not set(one.cells).isdisjoint(other.cells)


#: What is looked for, and letters of which some are in all of it.
_LETTERS: tuple[tuple[tuple[str, ...], Callable[[Speech], Iterator[_Judged]]], ...] = (
    (("north of", "south of", "east of", "west of", "side of", "edge of", "bank of", "flank of", "border of", "boundary of",
      "margin of", "shore of", "rim of", "limit of", "end of", "face of"), _beyond),
    (("its ", "their "), _its),
    (("'s", "’s", "s' ", "s’ "), _owned),
    (("bound", "border", "flank", "fram", "edg", "limit", "lined", "enclosed", "adjoin", "fring", "delim", "skirt",
      "hemmed"), _bounded),
    (("bound", "border", "flank", "limit", "enclos", "adjoin", "fring", "skirt", "hem", "abut"), _bounds),
    (("separat", "divid", "part", "split"), _parts),
    (("separated", "divided", "parted", "split", "cut off"), _parted_by),
    (("between ",), _between),
    (("side of ", "sides of "), _sides),
    (("within", "inside", "in the ", " in it", " in a", "in its", "surrounded", "enclosed", "amid", "among"), _inside),
)  # fmt: skip

#: The same with the sign of each, and the sign of all of it.
_CHECKS = tuple((sign(*letters), check) for letters, check in _LETTERS)
OF_RELATIONS = reduce(or_, (of_check for of_check, _ in _CHECKS))
