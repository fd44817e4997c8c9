"""Sizes, numbers and surfaces in captions that are told without a number, held against a description."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.bearings import IN_PART, POINT, eight, in_any, points_in
from nutonic.rows.annotation.calling import GENERAL, noun_of, whole_noun
from nutonic.rows.annotation.statements.said import Said
from nutonic.rows.annotation.statements.which import SAME_KIND, narrowed
from nutonic.rows.annotation.talk import sign, signs_of

#: What is called so has at least, or at most, such a share of the picture, if it is an area.
_AT_LEAST = {
    0.1: r"vast|huge|enormous|immense|massive|gigantic|colossal|sprawling|expansive",
    0.02: r"large|big|great|extensive|sizeable|sizable|substantial|considerable|significant",
}
_AT_MOST = {0.02: r"tiny|minuscule|minute|miniature", 0.3: r"small|little|minor|minimal|slight|modest"}
_SIZED = tuple(
    (re.compile(rf"(?<!not )(?<!as )\b(?:{words})\b", re.IGNORECASE), least, most)
    for least, most, words in [
        *((share, 1.0, words) for share, words in _AT_LEAST.items()),
        *((0.0, share, words) for share, words in _AT_MOST.items()),
    ]
)
_BY_COMPARISON = re.compile(r"\b(?:by|in) comparison\b|\bcomparatively\b|\brelatively\b", re.IGNORECASE)
#: A line is long, or short, by its part of the side.
_LONG, _SHORT = 0.25, 0.6
_LENGTH = re.compile(
    r"(?<!m )(?<!metres )(?<!meters )(?<!\d )\b(?P<long>long|lengthy)\b(?! (?:sides?|edges?|ax[ei]s))"
    r"|\b(?P<short>(?<!far )(?<!not )(?<!just )(?<!falls )short)\b(?! distance| of)",
    re.IGNORECASE,
)

#: What is told of areas that are much longer than wide, and shapes of those that are not.
_SLIM = re.compile(r"\b(?:long and )?(?:narrow|slender|slim)\b|\blong and thin\b|\bribbon-like\b", re.IGNORECASE)
_AS_WIDE = ("square", "round", "compact", "rectangular")
#: An area that lies along no direction, and has such a share of the picture, is not narrow whatever its shape.
_WIDE = 0.3
_THAN = re.compile(
    r"\b(?P<more>(?:larger|bigger|greater|more extensive)(?: in (?:size|area|extent))? than|"
    r"more (?:ground|space|room|area|land|of (?:the|this) \w+) than|exceeds?|exceeding|outsizes?"
    r"|dwarfs|dwarfing|surpass(?:es|ing)|outstrips|overshadows)\b"
    r"|\b(?P<less>(?:smaller|less extensive)(?: in (?:size|area|extent))? than|"
    r"less (?:ground|space|room|area|land|of (?:the|this) \w+) than|(?:lies?|lying|sits?|located|situated|is|"
    r"are) (?:\w+ly )?(?:within|inside)(?! the (?:picture|image|view|scene|frame)))\b"
    r"|\b(?P<longer>longer than)\b|\b(?P<shorter>shorter than)\b|\b(?P<alike>as (?:large|big|extensive|long) as)\b",
    re.IGNORECASE,
)
_OF_ALL = re.compile(
    r" (?:either|each|any|both|all)(?: of)?(?: the)?(?: two| three| four)?(?: other)?(?= )", re.IGNORECASE
)
_IT = re.compile(r" (?:it|this)\b", re.IGNORECASE)
#: The first, or the last, of those that are called so; and the larger, or smaller, of two.
_OF_KIND = re.compile(
    r"(?<!second )(?<!second-)(?<!third )(?<!third-)\b(?P<most>largest|biggest|longest|most extensive|widest)"
    r"|\b(?P<least>smallest|shortest|tiniest)",
    re.IGNORECASE,
)
_OF_TWO = re.compile(r"\bthe (?:(?P<more>larger|bigger|longer)|(?P<less>smaller|shorter)) (?=\w)", re.IGNORECASE)
_AMONG = re.compile(
    r"^ (?:single )?(?:of|among) (?:the |all |these )*(?:(?:two|three|four|five|six) )?(?:(?:patches|pieces|stretches) of )?"
)
_OF_THE = re.compile(r"(?:one )?of (?:the|these|its) (?:two |three |four |pair of )?", re.IGNORECASE)
#: What is told of one of two behind it.
_IS_RANKED = re.compile(
    r"\b(?:is|are) (?:clearly |by far |much )?the (?:(?P<more>larger|bigger|largest|biggest|longer)|"
    r"(?P<less>smaller|smallest|shorter))(?= of (?:the|these) (?:two|three|four|pair)| one\b|[ .]*$)",
    re.IGNORECASE,
)
_GROWS = re.compile(
    rf" (?:(?:is|are|grows?|growing|grown|planted|lies?) )*(?:{IN_PART}|(?:covers?|fills?) the (?P<covered>{POINT}))",
    re.IGNORECASE,
)
_STRAIGHTER = re.compile(
    r"\b(?:(?P<less>straighter)|more (?:curved|winding|sinuous|curvy|twisting)) than\b", re.IGNORECASE
)
_COURSES = ("straight", "slightly curved", "curved", "winding")
#: What is as large as another differs from it by no more than this.
_ALIKE = 1.5
_NUMBERS = re.compile(r"\b(?P<more>more|fewer)(?: \w+)? (?P<one>[\w ]+?) than (?P<other>[\w ]+)", re.IGNORECASE)
_FIRST = re.compile(
    r"(?<!second )(?<!second-)(?<!third )(?<!third-)\b(?:(?P<large>largest|biggest|most extensive|greatest)"
    r"|(?P<long>longest)|(?P<small>smallest|tiniest|least extensive))\b"
    r"(?: single)?"
    r"(?=[ .]*$| (?:feature|thing|element|object|component|part|area|of all|in (?:the )?"
    r"(?:view|picture|image|scene|frame)))",
    re.IGNORECASE,
)
_DOMINATES = re.compile(r"\bdominated by\b|\bdominat(?:es?|ing)\b", re.IGNORECASE)
_A_SIDE = re.compile(
    r" the (?:\w+ )?(?:(?:north|south|east|west)\w*|upper|lower|left|right|top|bottom|centre|center|middle)\b",
    re.IGNORECASE,
)
#: What dominates has such a share, or a line the length of the side, or it is the largest.
_DOMINANT = 0.2

_SEVERAL = re.compile(
    r"\b(?:several|many|multiple|various|numerous|some|a few|few|a number of|a couple of|both|pairs? of|groups? of|"
    r"clusters? of|rows? of|scattered|countless)\b",
    re.IGNORECASE,
)
_ONLY = re.compile(r"\b(?:just one|only one|only|sole|lone|(?<!any )(?<!est )single|solitary)\b", re.IGNORECASE)
_SECOND = re.compile(r"\b(?:an? (?:second|third|further)|another)(?= )", re.IGNORECASE)
_ANYTHING = re.compile(r"(?:neighbou?r|thing|feature|element|object)\b", re.IGNORECASE)
_NEXT_WORDS = re.compile(r"[,;:.]| (?:in|on|at|to|that|which|is|are|and|of) ")
#: What is said in the plural of one.
_OF_ONE = re.compile(r"(?:woods|waters|grounds|fields|meadows|lawns|gardens|grasslands)$", re.IGNORECASE)

#: Words of surfaces, before a thing or behind it, and what shows that it has one.
_GROUND = {
    r"sandy": r"sand|beach|dune|bunker|desert",
    r"grassy": r"grass|lawn|park|meadow|pitch|green|fairway|garden|golf|field|cemetery|residential|rough",
    r"asphalt(?:ed)?": r"asphalt|paved",
    r"gravel(?:led)?": r"gravel|compacted|unpaved",
    r"concrete": r"concrete",
    r"unpaved|dirt": r"unpaved|dirt|gravel|ground|earth|track|path|sand|grass",
    r"wooden": r"boardwalk|wood(?!$)",
    r"wooded|forested": r"wood|forest|tree|scrub|park|orchard|grove",
}
_SURFACES = tuple(
    (
        re.compile(
            rf"(?P<before>\b(?:{words}) (?=\w))|(?P<covers>\b(?:{words}) covers? (?:the )?)"
            rf"|(?P<behind>\b(?:is|are) (?:\w+ly )?(?:(?:paved|surfaced|covered|made) (?:with|in|of|by) |"
            rf"of )?(?:{words})\b)",
            re.IGNORECASE,
        ),
        re.compile(shown),
    )
    for words, shown in _GROUND.items()
)
_SURFACE = re.compile(r" ?(?:surface|paving|pavement|top|bed)\b", re.IGNORECASE)


def size_problem(said: Said) -> str | None:
    """What a clause says of sizes, ranks, numbers and surfaces that is not so; None if all is."""
    plural = _plural_of_one(said)
    if plural is not None:
        return plural
    signs = signs_of(said.clause)
    for of_check, check in _CHECKS:
        wrong = next(check(said), None) if signs & of_check else None
        if wrong is not None:
            return wrong
    return next(_tagged(said), None)


def _sized(said: Said) -> Iterator[str]:
    plain = _without_names(said)
    for pattern, least, most in _SIZED:
        for found in pattern.finditer(plain.clause):
            if _BY_COMPARISON.search(plain.clause):
                continue
            shares = [each.share for each in plain.next(found.end()) or said.meant if each.share is not None]
            if shares and (max(shares) < least or min(shares) > most):
                yield found[0]


def _without_names(said: Said) -> Said:
    """A clause in which a minor road is a road: what a thing is called tells no size."""
    clause = said.clause
    for noun in said.roll.nouns:
        first, _, rest = noun.partition(" ")
        if rest and _tells_size(first):
            clause = re.sub(rf"\b{re.escape(first)} (?={re.escape(rest[:4])})", "", clause, flags=re.IGNORECASE)
    return said if clause == said.clause else replace(said, clause=clause)


@lru_cache(maxsize=1024)
def _tells_size(word: str) -> bool:
    return any(pattern.fullmatch(word) for pattern, _, _ in _SIZED)


def _lengths(said: Said) -> Iterator[str]:
    for found in _LENGTH.finditer(said.clause):
        lengths = [each.length_m for each in said.next(found.end()) or said.meant if each.length_m is not None]
        too_short = found["long"] and lengths and max(lengths) < _LONG * said.side_m
        if too_short or (found["short"] and lengths and min(lengths) > _SHORT * said.side_m):
            yield found[0]


def _narrow(said: Said) -> Iterator[str]:
    for found in _SLIM.finditer(said.clause):
        whom = said.next(found.end()) or said.before(found.start())
        if whom and all(_is_wide(each) for each in whom):
            yield found[0]


def _is_wide(each: Described) -> bool:
    return each.orientation is None and (each.shape in _AS_WIDE or (each.share or 0.0) >= _WIDE)


def _compared(said: Said) -> Iterator[str]:
    for found in _THAN.finditer(said.clause):
        of_all = _OF_ALL.match(said.clause, found.end())
        before, behind = _both_sides(said, found, found.end() if of_all is None else of_all.end())
        by_length = found["longer"] or found["shorter"] or found[0].lower().startswith("as long")
        one, other = (_sizes(those, by_length=bool(by_length)) for those in (before, behind))
        if found["alike"] and by_length and before and behind and bool(one) != bool(other):
            yield found[0]
        if not one or not other or (said.main in behind and tuple(before) == (said.main,)):
            continue
        if found["alike"]:
            holds = any(max(a, b) <= _ALIKE * min(a, b) for a in one for b in other)
        else:
            other = [max(other) if of_all is not None else min(other), max(other)]
            holds = max(one) > min(other) if found["more"] or found["longer"] else min(one) < max(other)
        if not holds:
            yield found[0]


def _both_sides(said: Said, found: re.Match[str], end: int) -> tuple[tuple[Described, ...], tuple[Described, ...]]:
    """Whom a comparison is told of, and whom it compares that with."""
    before, behind, after = said.before(found.start()), said.next(end, 6), said.clause[found.end() :]
    if not behind and SAME_KIND.search(" ".join(after.split()[:4])):
        if len({each.noun for each in before}) == 1 and said.roll.nouns[before[0].noun] < 2:
            before = (said.main,)
        kinds = {each.noun for each in before}
        behind = tuple(
            narrowed([each for each in said.roll.elements if each.noun in kinds], " ".join(after.split()[:7]))
        )
        ours = narrowed(before, said.clause[: found.start()])
        before = tuple(each for each in ours if each not in behind) or tuple(before)
    if not behind:
        before, behind = _apart(before, after)
    if not behind and _IT.match(after):
        behind = (said.main,)
    return before, behind


def _apart(alike: tuple[Described, ...], after: str) -> tuple[tuple[Described, ...], tuple[Described, ...]]:
    """Of things that are called the same, those that are not the one that is told next by where it lies, and that one."""
    found = re.match(r" (?:the|that) (?:one )?(?:in|to|on|at) (?:the )?([\w-]+)", after)
    there = tuple(each for each in alike if found is not None and found[1].lower() in each.cells)
    return tuple(each for each in alike if each not in there), there


def _sizes(elements: Iterable[Described], *, by_length: bool) -> list[float]:
    found = ((each.length_m if by_length else each.share) for each in elements)
    return [each for each in found if each]


def _numbered(said: Said) -> Iterator[str]:
    for found in _NUMBERS.finditer(said.clause):
        one, other = (said.named(found[part]) for part in ("one", "other"))
        if one and other and not (len(one) > len(other) if found["more"].lower() == "more" else len(one) < len(other)):
            yield found[0]


def _ranked(said: Said) -> Iterator[str]:
    elements = said.roll.elements
    for found in _FIRST.finditer(said.clause):
        by_length = found["long"] is not None
        whom = said.named(said.clause[: found.start()]) or tuple(said.meant)
        every, ours = (_sizes(those, by_length=by_length) for those in (elements, whom))
        least, largest = found["small"] is not None, max(every, default=0.0)
        if (ours and min(ours) > min(every)) if least else max(ours, default=0.0) < largest:
            yield found[0]
    for found in _DOMINATES.finditer(said.clause):
        whom = (
            said.next(found.end(), 8) if found[0].lower().endswith("by") else said.named(said.clause[: found.start()])
        )
        if not found[0].lower().endswith("by") and _A_SIDE.match(said.clause, found.end()):
            continue  # where it lies is judged as a place
        whom = whom or tuple(said.meant)
        shares, largest = _sizes(whom, by_length=False), max(_sizes(elements, by_length=False), default=0.0)
        longest = max(_sizes(whom, by_length=True), default=0.0)
        if sum(shares) < min(_DOMINANT, largest) and max(shares, default=0.0) < largest and longest < said.side_m:
            yield found[0]


def _ranked_of_kind(said: Said) -> Iterator[str]:
    """The longest road is no shorter than any other road; the larger field lies where the larger one lies."""
    for found in _OF_KIND.finditer(said.clause):
        behind = re.sub(
            _AMONG,
            " ",
            said.clause[found.end() :],
        )
        group = said.named(" ".join(_NEXT_WORDS.split(behind)[0].split()[:3]))
        whom = said.named(said.clause[: found.start()]) or ((said.main,) if said.main in group else ())
        by_length = found[0].lower() in ("longest", "shortest") or all(each.kind == "line" for each in group)
        sizes, ours = _sizes(group, by_length=by_length), _sizes(whom, by_length=by_length)
        if sizes and ours and (max(ours) < max(sizes) if found["most"] else min(ours) > min(sizes)):
            yield found[0]
    for found in _OF_TWO.finditer(said.clause):
        of_the = _OF_THE.match(said.clause, found.end())
        group = said.next(found.end() if of_the is None else of_the.end(), 3)
        by_length = found[0].lower().endswith(("longer ", "shorter ")) or all(each.kind == "line" for each in group)
        sized = [(size[0], each) for each in group if (size := _sizes([each], by_length=by_length))]
        points = points_in(said.clause)
        if len(sized) < 2 or len({each.noun for _, each in sized}) > 1 or not points:
            continue
        _, meant = (max if found["more"] else min)(sized, key=lambda one: one[0])
        others = [each for _, each in sized if each is not meant]
        if not any(_is_told_of(point, meant, others) for point in points):
            yield found[0].strip()
    for found in _IS_RANKED.finditer(said.clause):
        every = said.named(said.clause[: found.start()])
        one = narrowed(every, said.clause[: found.start()])
        if len(one) != 1 or len({each.noun for each in every}) > 1:
            continue
        extents = [each.share or each.length_m or 0.0 for each in every]
        if extents[every.index(one[0])] != (max if found["more"] else min)(extents):
            yield found[0]


def _is_told_of(point: str, meant: Described, others: Sequence[Described]) -> bool:
    """Whether a place tells which of several is meant: it lies there, and no other one does so rather than it."""
    if in_any(point, [meant.where]):
        return True
    return in_any(point, meant.cells) and not any(in_any(point, [each.where]) for each in others)


def _tagged(said: Said) -> Iterator[str]:
    """What one of several that are called alike is told to have, and another one of them has: the field with the wheat."""
    pattern = said.roll.any_told
    for at in pattern.finditer(said.clause) if pattern is not None and said.roll.tells(said.clause) else ():
        those = said.roll.told[at[0].lower()]
        if said.next(at.end(), 1) or said.named(at[0]):
            continue  # a wheat field, which is another one; a wood, beside a bridge of wood
        before = said.precisely(said.clause[: at.start()])
        if before:
            whom = narrowed(before, said.clause[: at.start()])
            alike = len({each.noun for each in whom}) == 1 and any(each.noun == whom[0].noun for each in those)
            if alike and not any(each in those for each in whom):
                yield at[0]
            continue
        where = _GROWS.match(said.clause, at.end())
        if where is not None and not any(
            in_any(eight(where["point"] or where["covered"]), each.cells) for each in those
        ):
            yield f"{at[0]}{where[0]}"


def _straighter(said: Said) -> Iterator[str]:
    for found in _STRAIGHTER.finditer(said.clause):
        ours, theirs = said.before(found.start()), said.next(found.end())
        one, other = ([_COURSES.index(e.course) for e in those if e.course in _COURSES] for those in (ours, theirs))
        if one and other and not (min(one) < max(other) if found["less"] else max(one) > min(other)):
            yield found[0]


def _counted(said: Said) -> Iterator[str]:
    for found in _ONLY.finditer(said.clause):
        words = " ".join(re.split(r"[,;:.]", said.clause[found.end() :])[0].split()[:4])
        if _ANYTHING.match(words) and len(said.roll.elements) > 2:
            yield f"{found[0]} {words}"
        for noun, count in said.roll.nouns.items():
            at = whole_noun(noun).search(words) or _by_last_word(noun, words)
            if at is not None and count > 1 and not re.search(r"\b(?:of|part)\b", words[: at.start()]):
                yield f"{found[0]} {at[0]}"
    for found in _SEVERAL.finditer(said.clause):
        words = " ".join(re.split(r"[,;:.]", said.clause[found.end() :])[0].split()[:4])
        for noun, count in said.roll.nouns.items():
            last = noun.rpartition(" ")[2]
            for each in dict.fromkeys((noun, noun if last in GENERAL else last)):
                at = noun_of(each).pattern.search(words)
                if at is None or not _is_plural(at[0], each) or _OF_ONE.search(at[0]):
                    continue
                if count < 2 and len(said.named(at[0])) < 2:
                    yield f"{found[0]} {at[0]}"


def _second(said: Said) -> Iterator[str]:
    for found in _SECOND.finditer(said.clause):
        words = " ".join(re.split(r"[,;:.]", said.clause[found.end() :])[0].split()[:3])
        whom = said.named(words)
        if whom and len(whom) < (3 if "third" in found[0].lower() else 2):
            yield f"{found[0]} {words}"


def _by_last_word(noun: str, words: str) -> re.Match[str] | None:
    last = noun.rpartition(" ")[2]
    return None if last in GENERAL or last == noun else re.match(rf"(?:\w+ )?{re.escape(last)}\b", words, re.IGNORECASE)


def _plural_of_one(said: Said) -> str | None:
    """The plural of a line of which there is one."""
    small = said.clause.lower()
    for noun in said.roll.single_lines:
        if noun[:-1] in small:
            at = whole_noun(noun).search(said.clause)
            if at is not None and _is_plural(at[0], noun) and len(said.named(at[0])) == 1:
                return at[0]
    return None


def _is_plural(found: str, noun: str) -> bool:
    return len(found) > len(noun) or (found.lower().endswith("ies") and not noun.endswith("ies"))


def _surfaced(said: Said) -> Iterator[str]:
    for pattern, shown in _SURFACES:
        for found in pattern.finditer(said.clause):
            own = found["behind"] or _SURFACE.match(said.clause, found.end())
            whom = said.before(found.start()) if own else said.next(found.end())
            if whom and not any(_shows(each, shown) for each in whom):
                yield found[0].strip()


def _shows(each: Described, shown: re.Pattern[str]) -> bool:
    return shown.search(each.noun) is not None or any(shown.search(value) for _, value in each.tags)


#: What is looked for, and letters and words of which some are in all of it.
_SOUGHT: tuple[tuple[Callable[[Said], Iterator[str]], str, str | None], ...] = (
    (_sized, "|".join((*_AT_LEAST.values(), *_AT_MOST.values())), None),
    (_lengths, "long|lengthy|short", None),
    (_narrow, "narrow|slender|slim|thin|ribbon", None),
    (_compared, "than|exceed|outsiz|dwarf|surpass|outstrip|shadow|within|inside", r"\bas\b"),
    (_numbered, "than", None),
    (_ranked, "largest|biggest|extensive|greatest|longest|smallest|tiniest|dominat", None),
    (_ranked_of_kind, "larg|big|long|extensive|widest|small|short|tiniest", None),
    (_straighter, "than", None),
    (_counted, "only|sole|lone|single|solitary|several|many|multiple|various|numerous|some|few|number|couple|both|pair|"
     "group|cluster|row|scatter|countless", r"\bone\b"),
    (_second, "second|third|further|another", None),
    (_surfaced, "sandy|grassy|asphalt|gravel|concrete|unpaved|dirt|wooden|wooded|forested", None),
)  # fmt: skip
#: The same with the sign of each.
_CHECKS = tuple((sign(*letters.split("|"), words=words), check) for check, letters, words in _SOUGHT)
