"""What meets what in captions: what crosses, enters or surrounds another thing shares a part of the picture with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations
from typing import get_args

from nutonic.chips.scene.description import Described, Orientation
from nutonic.rows.annotation.bearings import IN_PART, eight, in_any
from nutonic.rows.annotation.statements.said import Said
from nutonic.rows.annotation.talk import may_hold, sign, small_letters

_ORIENTATIONS = get_args(Orientation)

_MEETS = re.compile(
    r"\b(?:(?:cross|intersect|bisect|travers|span|pierc)(?:es|s|ing)|"
    r"(?:leads?|leading|runs?|running|flows?|flowing|cuts?|"
    r"cutting|passes|passing|goes|empties) (?:directly |straight )?(?:into|through|over|under|underneath|beneath|across)|"
    r"adjoin(?:s|ing)?|abut(?:s|ting)?|touch(?:es|ing)|borders? on|borders|bordering|bordered (?:\w+ )?by|"
    r"flank(?:s|ing|ed by)|"
    r"(?:directly |immediately |right )?(?:beside|next to|adjacent to|alongside)|"
    r"(?:runs?|running|extends?|extending|stretch(?:es|ing)|leads?|leading|lies?|lying|spreads?|winds?|winding) along|"
    r"(?:ends?|ending|terminat(?:es|ing)|begins?|beginning|starts?|starting) (?:at|by|near)|"
    r"(?:on|at|along|by) the (?:shores?|banks?|waterfront|waterside|brink) of|"
    r"surrounds?|surrounding|surrounded by|(?:arranged|grouped|clustered|scattered|set) around|encircl(?:es|ing)|rings)\b",
    re.IGNORECASE,
)
#: Letters of which some are in all of these.
_OF_MEETING = (
    "cross", "intersect", "bisect", "travers", "span", "pierc", " into", " through", " over", " under", " beneath",
    "surround", " around", "encircl", "rings", "adjoin", "abut", "touch", "border", "flank", "beside", "next to",
    "adjacent to", "along", " at", " by", " near", " shore", " bank", " water", " brink",
)  # fmt: skip
_UNDER = re.compile(r"\b(?:under|underneath|beneath|below)$", re.IGNORECASE)
_OVER = re.compile(r"\bover$|\bacross$", re.IGNORECASE)


_IT = re.compile(r" (?:it|this)\b", re.IGNORECASE)
#: What crosses another thing does so where both are.
_CROSSING = re.compile(r"cross|intersect|bisect|span|travers", re.IGNORECASE)
_MEETING_PLACE = re.compile(rf" (?:[a-z]+ ){{0,4}}{IN_PART}", re.IGNORECASE)


def meeting_problem(said: Said) -> str | None:
    """What is said to meet a thing that lies elsewhere, or to pass it on the wrong side of a bridge; None if nothing."""
    small = small_letters(said.clause)
    for found in _MEETS.finditer(said.clause) if may_hold(small, *_OF_MEETING) else ():
        others = said.next(found.end()) or ((said.main,) if _IT.match(said.clause, found.end()) else ())
        ours = [each for each in said.before(found.start()) if each not in others]
        if not ours or not others:
            continue
        may = _may_cross if _CROSSING.match(found[0]) else _meet
        if not any(may(one, other) for one in ours for other in others):
            return found[0]
        where = _MEETING_PLACE.match(said.clause, found.end()) if _CROSSING.match(found[0]) else None
        if where is not None and not any(
            in_any(eight(where["point"]), one.cells) and in_any(eight(where["point"]), other.cells)
            for one in ours
            for other in others
            if _meet(one, other)
        ):
            return f"{found[0]}{where[0]}"
        if _AROUND.match(found[0]) is not None:
            outer, inner = (others, ours) if found[0].lower().endswith("by") else (ours, others)
            if not _is_around(outer, inner):
                return found[0]
        under, over = _UNDER.search(found[0]) is not None, _OVER.search(found[0]) is not None
        below, above = (ours, others) if under else (others, ours)
        if (under or over) and _on_bridge(below) and not _on_bridge(above):
            return found[0]
    for found in _EACH_OTHER.finditer(said.clause) if may_hold(small, *_OF_EACH_OTHER) else ():
        subject = said.precisely(said.clause[: found.start()])
        kinds = {each.noun for each in subject}
        pairs = [(a, b) for a, b in combinations(subject, 2) if len(kinds) == 1 or a.noun != b.noun]
        may = _may_cross if _CROSSING.match(found[0]) else _meet
        if pairs and not any(may(a, b) for a, b in pairs):
            return found[0]
    return None


#: Who surrounds another thing reaches so many of the nine parts, or more than that one does.
_AROUND_PARTS = 3
_OF_EACH_OTHER = (
    "meet", "converge", "join", "touch", "cross", "intersect", "merge", "side by side", "next to ", "back to back",
    "beside ",
)  # fmt: skip
_AROUND = re.compile(r"surround|encircl|rings", re.IGNORECASE)
_EACH_OTHER = re.compile(
    r"\b(?:meet|converge|join|touch|cross|intersect|merge)(?: each other| one another)?(?=[.,;]| (?:in|at|near|on)\b|$)"
    r"|\b(?:side by side|next to each other|back to back|beside each other|next to one another)\b",
    re.IGNORECASE,
)


def _is_around(outer: Iterable[Described], inner: Iterable[Described]) -> bool:
    """Whether things lie on more than one side of what they are said to surround."""
    cells = frozenset(cell for each in outer for cell in each.cells)
    return any(len(cells) >= _AROUND_PARTS or cells > frozenset(each.cells) for each in inner)


_OF_PARALLEL, _OF_ACROSS, _OF_EVERY = ("parallel", "side by side"), ("perpendicular", "right angle"), ("every", "all")
#: The sign of all of these.
OF_MEETINGS = sign(*_OF_MEETING, *_OF_EACH_OTHER, *_OF_PARALLEL, *_OF_ACROSS, *_OF_EVERY)
_PARALLEL = re.compile(r"\bparallel\b|\bside by side\b", re.IGNORECASE)
_ACROSS = re.compile(r"\bperpendicular(?:ly)?\b|\b(?:at|in) (?:a )?right angles?\b", re.IGNORECASE)
#: Of the eight directions two are alike that are so near to each other, and across that are so far apart.
_ALIKE, _APART = 1, 3
#: Who reaches everywhere has so many of the nine parts.
_EVERYWHERE = 8
_EVERY_PART = re.compile(
    r"\b(?:in(?:to)?|over|across|to|reach\w*|touch\w*|fill\w*|cover\w*) (?:every|all)(?: of (?:the|its))? "
    r"(?:single )?(?:parts?|corners?|sections?|quadrants?)\b(?! but there)",
    re.IGNORECASE,
)


def course_problem(said: Said) -> str | None:
    """What is said to run alongside, or at right angles, or to reach everywhere, where no two of them do, or none does."""
    small = small_letters(said.clause)
    for pattern, letters, across in ((_PARALLEL, _OF_PARALLEL, False), (_ACROSS, _OF_ACROSS, True)):
        found = pattern.search(said.clause) if may_hold(small, *letters) else None
        if found is None:
            continue
        ours = said.precisely(said.clause[: found.start()])
        theirs = said.precisely(" ".join(said.clause[found.end() :].split()[:6]))
        pairs = [(a, b) for a in ours for b in theirs if a not in theirs] or list(combinations(said.meant, 2))
        turns = [
            min((a - b) % 8, (b - a) % 8)
            for a, b in ((_way(one), _way(other)) for one, other in pairs)
            if a is not None and b is not None
        ]
        if turns and not any(turn >= _APART if across else turn <= _ALIKE for turn in turns):
            return found[0]
    every = _EVERY_PART.search(said.clause) if may_hold(small, *_OF_EVERY) else None
    if every is not None and _most_parts(said.meant) < _EVERYWHERE:
        return every[0]
    return None


def _most_parts(elements: Iterable[Described]) -> int:
    """How many of the nine parts things of one kind reach together, at most."""
    cells = dict[str, set[str]]()
    for each in elements:
        cells.setdefault(each.noun, set()).update(each.cells)
    return max(map(len, cells.values()), default=9)


def _way(each: Described) -> int | None:
    return None if each.orientation is None else _ORIENTATIONS.index(each.orientation)


def _meet(one: Described, other: Described) -> bool:
    return other.element in one.near or one.element in other.near or not set(one.cells).isdisjoint(other.cells)


def _may_cross(one: Described, other: Described) -> bool:
    """Whether two things may cross: they meet, and are no straight lines that run the same way."""
    parallel = one.course == other.course == "straight" and one.orientation == other.orientation is not None
    return _meet(one, other) and not parallel


def _on_bridge(elements: Iterable[Described]) -> bool:
    return any(("bridge", "yes") in (*each.tags, *each.partly) for each in elements)
