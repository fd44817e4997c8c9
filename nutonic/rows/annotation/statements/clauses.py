"""Sentences taken apart: into clauses that each have a thing of their own, and what joins one to the one before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

#: Where a clause ends: what is said after it may be of another thing.
_MARK = re.compile(r"[,;:]\s+")

#: What joins two clauses, each of which may have a thing and a place of its own.
_JOINT = re.compile(r" (?=(?:and|while|whereas|but|with|where)\b)", re.IGNORECASE)

_PLACED = r"north|south|east|west|\bcent(?:re|er)\b|middle|left|right|top|bottom|upper|lower"
#: What is told of a thing, so that a clause may end behind it; what a thing has ``with`` it follows no more than a place.
_PLACE = re.compile(_PLACED, re.IGNORECASE)
_TOLD = re.compile(
    rf"{_PLACED}|\d|percent|half|third|quarter|fifth|sixth|eighth|tenth|twentieth|straight|winding|curved|irregular|rectangular|elongated|compact|round|square",
    re.IGNORECASE,
)

#: How a clause begins that says more of what the one before is about.
GOES_ON = re.compile(
    r"(?:\w+ing|(?:one|two|three|four|both|all|each|some|most|none) of (?:them|which|these)|"
    r"which|whose|before|then|from|one|and (?:\w+s|then|on)|is|are|runs?|lies?|stands?|leads?|covers?|extends?|"
    r"bends?|curves?|turns?|winds?|heads?|sweeps?|enters?|leaves?|exits?|meets?|links?|joins?|snakes?|arcs?|"
    r"swings?|stays?|keeps?|stretch(?:es)?|spreads?|sits?|rises?|begins?|starts?|ends?|"
    r"reaches|passes|crosses|follows|continues|takes|fills|occupies) ",
    re.IGNORECASE,
)

#: What is a place or a look alone, and so of what was told before: ``the east and the centre``, ``rectangular``.
TELLS_MORE = re.compile(
    rf"(?:and )?the (?:{_PLACED})|(?:and )?(?:square|rectangular|elongated|compact|round|irregular|"
    r"straight|curved|winding|about|around|roughly|approximately|some|\d)\b",
    re.IGNORECASE,
)

#: Another thing of the kind of the one that is described, and letters of which some are in all such.
OF_ALIKE = (" one", "the other")
ALIKE = re.compile(r"\b(?:the|an?|another|other) (?:\w+ )?ones?\b|\bthe others?\b", re.IGNORECASE)


def clauses(sentence: str, names: Callable[[str], object]) -> Iterator[str]:
    """The clauses of a sentence: between marks, and where a joint parts two things that each have something told of them.

    `names`: what a text names; nothing is false.
    """
    for part in _MARK.split(sentence):
        clause = ""
        for piece in _JOINT.split(part):
            told = _PLACE if piece.startswith("with") else _TOLD
            if clause and told.search(clause) and names(clause) and names(piece):
                yield clause
                clause = piece
            else:
                clause = f"{clause} {piece}" if clause else piece
        yield clause
