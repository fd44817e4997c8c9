"""What meets what in captions: what crosses, enters or surrounds another thing shares a part of the picture with it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.claims.said import Said

_MEETS = re.compile(
    r"\b(?:(?:cross|intersect|bisect|travers|span|pierc)(?:es|s|ing)|"
    r"(?:leads?|leading|runs?|running|flows?|flowing|cuts?|"
    r"cutting|passes|passing|goes|empties) (?:directly |straight )?(?:into|through|over|under|underneath|beneath|across)|"
    r"surrounds?|surrounding|surrounded by|(?:arranged|grouped|clustered|scattered|set) around|encircl(?:es|ing)|rings)\b",
    re.IGNORECASE,
)
_UNDER = re.compile(r"\b(?:under|underneath|beneath|below)$", re.IGNORECASE)
_OVER = re.compile(r"\bover$|\bacross$", re.IGNORECASE)


def meeting_problem(said: Said) -> str | None:
    """What is said to meet a thing that lies elsewhere, or to pass it on the wrong side of a bridge; None if nothing."""
    for found in _MEETS.finditer(said.clause):
        others = said.next(found.end())
        ours = [each for each in said.before(found.start()) if each not in others]
        if not ours or not others:
            continue
        if not any(_meet(one, other) for one in ours for other in others):
            return found[0]
        under, over = _UNDER.search(found[0]) is not None, _OVER.search(found[0]) is not None
        below, above = (ours, others) if under else (others, ours)
        if (under or over) and _on_bridge(below) and not _on_bridge(above):
            return found[0]
    return None


def _meet(one: Described, other: Described) -> bool:
    return other.element in one.near or one.element in other.near or not set(one.cells).isdisjoint(other.cells)


def _on_bridge(elements: Iterable[Described]) -> bool:
    return any(("bridge", "yes") in each.tags for each in elements)
