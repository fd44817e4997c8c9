"""How many times as large one thing is as another, and which are as large as each other, held against a description."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.statements.which import SAME_KIND, narrowed
from nutonic.rows.annotation.talk import may_hold, sign, small_letters

_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "twenty": 20, "a": 1, "an": 1,
}  # fmt: skip
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "tenth": 10}
_TIMES = (
    rf"(?P<twice>twice|double|half)|(?P<times>\d+(?:\.\d+)?|{'|'.join(_WORDS)})(?:-| )(?:times|fold)"
    rf"|(?P<count>{'|'.join(_WORDS)})[ -](?P<part>{'|'.join(_PARTS)})s?|(?P<percent>\d+) ?(?:percent|%)"
)
_SIZE = r"(?:size|area|extent|share|footprint|length|width|breadth|height)"
_LENGTHS = re.compile(r"\b(?:long|longer|shorter|length|width|breadth|height|wide|wider)\b", re.IGNORECASE)
_RATIO = re.compile(
    rf"\b(?P<more>(?:well |a little |slightly |somewhat )?(?:more than|over|above|at least) )?"
    r"(?P<less>(?:less than|under|below|nearly|almost|not quite|close to|just under|barely|hardly|scarcely|only) )?"
    rf"(?:{_TIMES})"
    rf"(?: (?:as|so) (?:large|big|extensive|long|wide|great|much|spacious|broad)(?: (?P<as>as))?(?: {_SIZE} of)?"
    rf"| (?:of )?(?:the|that) (?:[a-z]+ )?{_SIZE} (?:of|that taken up by|covered by|occupied by)"
    rf"| (?:of )?(?:the )?(?:ground|area|space|room) that(?= (?:the )?[\w -]+? (?:do(?:es)?|takes up|covers|occupies)\b)"
    rf"| (?:larger|bigger|longer|wider|greater|more extensive)(?: than)?"
    rf"|(?P<under> (?:smaller|shorter|less extensive)(?: than)?)| that of| (?:of )?(?P<its>its|their) (?:own )?{_SIZE}"
    rf"|(?<=times)(?= (?:that|the|its) ))(?=\W|$)",
    re.IGNORECASE,
)
#: Letters of which some are in whatever tells a number of times, and of which some are in whatever it is told of.
_OF_TIMES = (
    "twice", "double", "times", "fold", "percent", "%",
    "half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "tenth",
)  # fmt: skip
_OF_RATIO = (
    " as ", " so ", " that", "ground", "space", "room", "larger", "bigger", "longer", "wider", "greater", "extensive",
    "smaller", "shorter", "size", "area", "extent", "share", "footprint", "length", "width", "breadth", "height",
)  # fmt: skip
_STOP = re.compile(
    r"[,;:.()]| (?:but|while|whereas|which|who|and (?=only|about|roughly|nearly|half|twice|is|lies)|since|because) ?"
)
_OTHER = re.compile(r"\b(?:other|second|another)\b", re.IGNORECASE)
#: So many words before a thing may say which is meant.
_WHICH = 3
_BREAK = re.compile(r"[,;:.()] |\b(?:and|but|while|whereas) ")
_PICTURE = re.compile(r"\b(?:picture|image|view|scene|frame|photo\w*|patch)\b", re.IGNORECASE)
_WITH = re.compile(
    r"\b(?:compared (?:with|to)|in comparison (?:with|to)|relative to|against) (?P<whom>[^,;]+)", re.IGNORECASE
)
#: So far a ratio is off; one that is told as a bound is on its side of it, by no more than this.
_OFF, _BOUND = 0.2, 1.7

_MANY = re.compile(r"\b(?:other|another|second|both|two|all|any|each|either)\b|s$", re.IGNORECASE)
_EQUAL = re.compile(
    r"\b(?P<same>equal|identical|the same|similar|comparable)(?: in|ly)? "
    r"(?:size|area|extent|length|dimensions|large|big|long)\b"
    r"|\b(?P<too>equally) (?:large|big|long|extensive)\b|\b(?:as|so) (?:large|big|long) as each other\b",
    re.IGNORECASE,
)
_OF_THEM = re.compile(r"\w+(?: \w+)? of (?:(?:about|roughly|nearly|almost) )?$", re.IGNORECASE)
#: The sign of all of these.
OF_RATIOS = sign(*_OF_TIMES, "equal", "identical", "same", "similar", "comparable", "each other")
_ALIKE, _SIMILAR = 1.35, 1.6

Named = Callable[[str], Sequence[Described]]


def without_ratios(sentence: str, named: Named, main: Described, side_m: float) -> tuple[str, str | None]:
    """A sentence without what it says of how many times as large a thing is; and the first of these that is not so.

    Parameters
    ----------
    named
        The elements that a text names.
    main
        What ``it`` is.
    side_m
        Of the picture, in metres.
    """
    subject: str | None = None
    kept, end = "", 0
    small = small_letters(sentence)
    may_tell = may_hold(small, *_OF_TIMES) and may_hold(small, *_OF_RATIO)
    for found in _RATIO.finditer(sentence) if may_tell else ():
        subject = sentence[: found.start()] if subject is None else subject
        after = _STOP.split(sentence[found.end() :])[0]
        by_length = _LENGTHS.search(found[0]) is not None
        ours, theirs = _sides(sentence, found.end(), subject, named, main)
        others = _sizes(theirs, by_length=by_length)
        if _PICTURE.search(after) is not None and not theirs:
            if not by_length:
                continue  # a share of the picture
            others = [side_m]
        if not any(_holds(found, one / other) for one in _sizes(ours, by_length=by_length) for other in others):
            return sentence, found[0].strip()
        kept, end = f"{kept}{sentence[end : found.start()]} like", found.end()
    plain = kept + sentence[end:]
    equal = _EQUAL.search(plain)
    if equal is None:
        return plain, None
    most = _SIMILAR if _is_soft(equal) else _ALIKE
    of_them = _OF_THEM.search(plain[: equal.start()])  # four tanks of equal size
    alike = named(of_them[0]) if of_them is not None else ()
    holds = (len(alike) > 1 and _are_alike(alike, most)) or _are_alike(named(plain) or [main], most)
    return plain, None if holds else equal[0]


def _is_soft(found: re.Match[str]) -> bool:
    return (found["same"] or "").lower() in ("similar", "comparable")


def _sides(
    sentence: str, end: int, subject: str, named: Named, main: Described
) -> tuple[Sequence[Described], Sequence[Described]]:
    """Whom a ratio that ends there is told of, and whom it compares that with."""
    after = _STOP.split(sentence[end:])[0]
    against = _WITH.search(sentence)
    if against is not None and not named(after):
        after, subject = against["whom"], subject.replace(against[0], " ")
    ours = narrowed(named(subject) or [main], subject)
    theirs = narrowed(named(after), after)
    if main in theirs and not _MANY.search(after):
        theirs = [main]
    if not theirs and SAME_KIND.search(after) is not None:
        kinds = {each.noun for each in ours}
        alike = [each for each in named(sentence) if each.noun in kinds]
        theirs = narrowed(alike, after)
        theirs = [each for each in theirs if each not in ours] or theirs
    if not theirs and _PICTURE.search(after) is None:
        ours, theirs = _silent(subject, named, main)
    return ours, theirs


def _silent(subject: str, named: Named, main: Described) -> tuple[Sequence[Described], Sequence[Described]]:
    """Whom a ratio is told of that says not of whom: what was named last, against what was named before it, or is described.

    ``A lake, and a wood half as large``; ``a lake; the other lake, a quarter of its size``.
    """
    words = subject.split()
    first = next((at for at in range(len(words) - 1, -1, -1) if named(" ".join(words[at:]))), None)
    if first is None:
        return [main], ()
    which = _BREAK.split(" ".join(words[max(0, first - _WHICH) : first]) + " ")[-1]
    last = " ".join([which, *words[first:]])
    alike, before = named(last), " ".join(words[:first])
    ours, told = narrowed(alike, last), narrowed(named(before), before)
    if _OTHER.search(last) is not None:
        ours = [each for each in ours if each is not main and each not in told] or ours
    return ours, [each for each in dict.fromkeys([main, *told, *alike]) if each not in ours]


def _sizes(elements: Iterable[Described], *, by_length: bool) -> list[float]:
    every = list(elements)
    found = [(each.length_m if by_length else each.share) for each in every]
    if not any(found):  # of lines it is their length, whatever word is used
        found = [(each.share if by_length else each.length_m) for each in every]
    return [each for each in found if each]


def _wanted(found: re.Match[str]) -> float:
    """The ratio that is told."""
    if found["twice"]:
        return 0.5 if found["twice"].lower() == "half" else 2.0
    if found["times"]:
        times = found["times"].lower()
        return float(_WORDS[times]) if times in _WORDS else float(times)
    if found["percent"]:
        return float(found["percent"]) / 100
    return _WORDS[found["count"].lower()] / _PARTS[found["part"].lower()]


def _holds(found: re.Match[str], ratio: float) -> bool:
    wanted = _wanted(found)
    if found["under"]:
        wanted, ratio = wanted, 1 / ratio
    if not wanted:
        return False
    off = ratio / wanted
    if found["more"]:
        return 0.97 <= off <= _BOUND
    if found["less"] and off < 1:
        return off >= 1 / _BOUND
    return abs(off - 1) <= _OFF


def _are_alike(elements: Sequence[Described], most: float) -> bool:
    """Whether things of two kinds may be as large as each other, or all of one kind are."""
    kinds: dict[str, list[float]] = {}
    for each in elements:
        size = each.share or each.length_m
        if size:
            kinds.setdefault(each.noun, []).append(size)
    sizes = list(kinds.values())
    if len(sizes) == 1:
        return max(sizes[0]) <= most * min(sizes[0])
    return any(
        max(a, b) <= most * min(a, b)
        for k, one in enumerate(sizes)
        for other in sizes[k + 1 :]
        for a in one
        for b in other
    )
