"""Denials in captions: what is there is not said to be missing, and nothing is the only one of several."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.talk import may_hold, small_letters

#: What denies that which is named next, ...
_BEFORE = re.compile(
    r"\b(?:no(?! (?:longer|more than|less than|fewer than|further than|other than|edge|simple|single|doubt))"
    r"|none of (?=.*\b(?:visible|seen|present|there|in view|shown|discernible)\b)"
    r"|without"
    r"|lacks?|lacking|lacked|devoid of|(?:free|empty|bare|clear) (?:of|from)|(?:absence|lack) of|nor|never"
    r"|neither(?=.* nor )"
    r"|not (?:contain|include|have|show|hold|feature|reveal|display|cross)\w*"
    r"|(?:not|n['’]t) (?:any|a|an|one|by|crossed by|bordered by))\b",
    re.IGNORECASE,
)
#: ... and that which was named before.
_BEHIND = re.compile(
    r"\b(?:is|are|was|were|be|being|remains?|seems?) (?:\w+ly |quite |entirely )?(?:absent|missing|lacking|gone|nowhere)\b"
    r"|(?:\bnot|\bnever|n['’]t)(?: \w+ly)?(?: to)?(?: be)? (?:visible|seen|present|there|found|shown|apparent|"
    r"discernible|evident|made out|part of|included|in view|in sight)\b|\bcannot be (?:seen|found|made out)\b",
    re.IGNORECASE,
)
#: What denies no more than that all of a thing is there, which is so of one that the edge cuts.
_NOT_WHOLLY = re.compile(r"t (?:fully|wholly|entirely|completely)\b", re.IGNORECASE)
_NOTHING = re.compile(
    r"\b(?:nothing (?:else|but|more|besides|other|is|can|lies|stands)|no other (?:things?|features?|elements?|objects?|"
    r"structures?)"
    r"|(?:is|are|that['’]s) all (?:that )?there (?:is|are)|nothing more|not anything|(?:otherwise|completely|"
    r"entirely|totally) empty|empty (?:land|ground|scene|picture|image|view))\b",
    re.IGNORECASE,
)
#: In small letters, one of these is in all denials; and letters that are in all that says that there is nothing.
_DENIES = re.compile(
    r"\b(?:no|not|nor|none|never|neither)\b|n['’]t\b|cannot|without|lack|devoid|(?:free|empty|bare|clear) |absen|missing|"
    r"gone|nowhere"
)
_OF_NOTHING = ("nothing", "no other", "not anything", "empty", "all there", "all that")
#: Where that which is denied ends.
_STOP = re.compile(
    r"[,;:.]| (?:but|than|except|apart|besides|is|are|was|were|can|that|which|who|where|when|while|on either)\b",
    re.IGNORECASE,
)
#: Words of it that count: what comes later is where it is not.
_NAMED = 6
#: Which of several is meant is told before what is denied of it.
_SOFT = re.compile(
    r"^ (?:sharp|clear|simple|obvious|single|visible|distinct|particular|abrupt|real|great|direct)\b", re.I
)


def may_deny(text: str) -> bool:
    """Whether one of the sentences of a text may deny something: of few captions one does."""
    small = small_letters(text)
    return small is None or _DENIES.search(small) is not None


#: What it is denied that a thing does with another one; and what is left out of a denial.
_DOES = re.compile(
    r"\b(?:(?:cuts?|runs?|pass(?:es)?|leads?|goes|stands?|lies?|is|are|found|seen|visible) (?:\w+ )?"
    r"(?:through|across|over|into|in|on|inside|within|upon|along)|cross(?:es)?|intersects?|touch(?:es)?|meets?|reach(?:es)?|"
    r"enters?|interrupts?|traverses?|spans?|divides?|splits?|on|inside|within|across|over) (?P<whom>[^,;:.]+)",
    re.IGNORECASE,
)
_BESIDE = re.compile(r"\b(?:along|touch|meet|reach)", re.IGNORECASE)
_ONE = re.compile(r"(?:the |an? )?(?:[\w-]+ )?one\b", re.IGNORECASE)
_BUT = re.compile(
    r"\b(?:apart from|aside from|except(?:ing| for)?|besides|other than|save(?: for)?|with the exception of|but(?: for)?) "
    r"(?P<whom>[^,;:.]+)",
    re.IGNORECASE,
)


def denial_problem(sentence: str, named: Callable[[str], Sequence[Described]], main: Described) -> str | None:
    """What a sentence denies though it is there; None if there is nothing.

    `named`: the things that a text names.
    """
    for found in _BEFORE.finditer(sentence):
        after = _STOP.split(sentence[found.end() :])[0]
        words = " ".join(after.split()[:_NAMED])
        whom = named(words)
        if whom and not _SOFT.match(after) and not _is_so(sentence, found.end(), whom, named, main):
            return f"{found[0]} {words}"
    for found in _BEHIND.finditer(sentence):
        whom = named(re.split(r"[,;:]", sentence[: found.start()])[-1])
        if whom and not (_NOT_WHOLLY.search(found[0]) and any(each.cut for each in whom)):
            return found[0]
    return None


def _is_so(
    sentence: str, at: int, whom: Sequence[Described], named: Callable[[str], Sequence[Described]], main: Described
) -> bool:
    """Whether a denial is of more than that things are there, and true: none crosses the wood, none but one."""
    rest = re.split(r"[,;:.]", sentence[at:])[0]
    but = _BUT.search(sentence)
    if but is not None and (_ONE.match(but["whom"]) or not set(whom).isdisjoint(named(but["whom"]))):
        return True
    does = _DOES.search(rest)
    if does is None:
        return False
    others = named(does["whom"]) or ([main] if re.match(r"(?:it|this)\b", does["whom"]) else [])
    whom, beside = named(rest[: does.start()]), _BESIDE.search(does[0]) is not None
    pairs = [(one, other) for one in whom for other in others if one is not other]
    return bool(pairs) and not any(_may_share(one, other, beside=beside) for one, other in pairs)


def _may_share(one: Described, other: Described, *, beside: bool) -> bool:
    """Whether two things may share some ground, or lie `beside` each other, if that is what is told."""
    near = one.element in other.near or other.element in one.near
    if near and "area" in (one.kind, other.kind):
        return beside
    return not set(one.cells).isdisjoint(other.cells)


def nothing_problem(text: str, untold: Callable[[], str | None]) -> str | None:
    """Whether a caption says that there is nothing else, though it is silent of a thing that is there; None if not.

    `untold`: what the whole caption does not name, if anything.
    """
    found = _NOTHING.search(text) if may_hold(small_letters(text), *_OF_NOTHING) else None
    if found is None:
        return None
    left = untold()
    return None if left is None else f"{found[0]}, where there is a {left}"
