"""Places, directions and shapes in captions, held against what a description allows for the elements of a sentence.

Up is north and left is west. ``In the north`` fits what reaches into any part of the upper row; ``in the north-west`` only
what reaches into that corner. ``From A to B`` and ``eastwards`` are of the way that a thing runs; ``north of`` another thing
is of two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.calling import Roll
from nutonic.rows.annotation.statements.sides import ALL_SIDES, SHAPES, Allowed, any_beyond
from nutonic.rows.annotation.talk import may_hold, sign, signs_of, small_letters

_PICTURE = r"(?:picture|image|view|scene|frame|patch|photo(?:graph)?|square|area shown)"
#: A point of the compass of eight, and a part of the picture that is named by one.
POINT = r"(?:(?:north|south)[- ]?(?:east|west)|north|south|east|west)"
IN_PART = (
    rf"(?:in|at|on|to|along|within|near) the (?:far |very |upper |lower |outer )?(?P<point>{POINT})"
    rf"(?!\w*(?: \w+)? of (?!(?:the|this) (?:\w+ )?{_PICTURE}))(?!-| to\b)"
)
_D8 = (
    r"(?:north|south)[- ]?(?:north|south)?[- ]?(?:east|west)|(?:east|west)[- ]?(?:north|south)[- ]?(?:east|west)|"
    r"north|south|east|west"
)
_SIDE = (
    r"(?:side|edge|part|half|corner|third|portion|section|margin|border|end|quarter|area|rim|boundary|quadrant|centre|"
    r"center|middle)"
)

#: Words of places in a picture that are no words of the compass, and what they mean there.
_SCREEN = (
    (rf"(?:upper|top)[- ](?:left|left[- ]hand)(?=[ -]{_SIDE}|\W|$)", "north-west"),
    (rf"(?:upper|top)[- ]right(?:[- ]hand)?(?=[ -]{_SIDE}|\W|$)", "north-east"),
    (r"(?:lower|bottom)[- ]left", "south-west"),
    (r"(?:lower|bottom)[- ]right", "south-east"),
    (r"(?:upper|top)[- ](?:centre|center|middle)", "north"),
    (r"(?:lower|bottom)[- ](?:centre|center|middle)", "south"),
    (r"(?<=(?:centre|center|middle)[- ])(?:left|right)\b", ""),
    (r"(?<=the )left(?:[- ]hand)?(?! (?:open|over)\b)", "west"),
    (r"(?<=from )left(?= to)|(?<=to )left\b", "west"),
    (
        r"(?<=the )right(?:[- ]hand)?(?! angle)"
        r"|(?<=from )right(?= to)|(?<=to )right(?! (?:angle|of))",
        "east",
    ),
    (r"(?<=the )top(?! of the (?!" + _PICTURE + r"))|(?<=from )top(?= to)|(?<=to )top\b", "north"),
    (r"(?<=the )bottom|(?<=from )bottom(?= to)|(?<=to )bottom\b", "south"),
    (rf"\bupper(?= {_SIDE})|\buppermost", "north"),
    (rf"\blower(?= {_SIDE})|\blowermost", "south"),
    (r"(?<=, )top(?=[ ,.](?!to))", "north"),
    (r"(?<=, )bottom(?=[ ,.](?!to))", "south"),
    (rf"\b(?:left|right)(?=[- ](?:hand[- ])?{_SIDE})", ""),
)
_ON_SCREEN = tuple((re.compile(pattern, re.IGNORECASE), point) for pattern, point in _SCREEN)
_VERY = re.compile(r"\bthe (?:very|far|extreme) (?=left|right|top|bottom|upper|lower)", re.IGNORECASE)
_FRAME_ITS = re.compile(rf"(?P<frame>\b{_PICTURE} (?:at|along|on|in)) its ", re.IGNORECASE)
_CENTRE = re.compile(
    r"\b(?:(?<=the )|(?<=very )|(?<=near )|(?<=around )|(?<=its ))(?:centre|center|middle)"
    rf"(?! (?:line|of (?!the {_PICTURE})))\b"
    rf"|\bcentrally\b|\bcentral (?=(?:part|area|portion|section|position|third)\b)|\bcentred\b|\bcentered\b",
    re.IGNORECASE,
)
_AROUND = re.compile(r"\b(?:around|surrounds?|surrounding|encircl\w+|rings) the (?:very )?$", re.IGNORECASE)
#: Two words for one part: the north central part.
_MIDDLE_OF_SIDE = re.compile(r"\b(north|south|east|west)(?:ern)?[- ](?:centre|center|middle|central)\b", re.IGNORECASE)
#: As the words before are written in between, so that they are not taken for a centre.
_MIDDLE = re.compile(r"\b(north|south|east|west)mid\b")

_COMPASS = re.compile(rf"\b({_D8})(ern|erly|wards?|ernmost|bound)?\b", re.IGNORECASE)
_PAIR = re.compile(
    rf"\b({_D8})(?:ern)?(?: \w+)?(?:[- ]to[- ]|[-–](?=east|west|north|south))(?:the )?({_D8})(?:ern)?\b", re.IGNORECASE
)
#: What a thing is longer than, in the other direction.
_THAN_ACROSS = re.compile(rf"(?<= )than (?:it is )?(?:from )?(?:{_D8})[- ](?:to[- ])?(?:{_D8})\b", re.IGNORECASE)
_SHORTER = re.compile(
    rf"\b(?:shorter|"
    rf"narrower) from (?:{_D8})[- ]to[- ](?:{_D8}) than (?:it is )?(?:from )?(?P<across>(?:{_D8})[- ]to[- ](?:{_D8}))\b",
    re.IGNORECASE,
)
_ONE_WORD = re.compile(r"(?:north|south)[- –](?:east|west)(?:ern)?", re.IGNORECASE)
_OF_ANOTHER = re.compile(
    rf"(?:ern)?(?: {_SIDE})? of (?!(?:(?:the|this|our|an?) (?:\w+ ){{0,2}})?(?:{_PICTURE}|centre|center|middle)\b)(?=\w)",
    re.IGNORECASE,
)
_GOING = re.compile(
    r"\b(?:toward|towards|heading|heads?|runs?|running|leads?|leading|extends?|extending|stretch(?:es|ing)?|continu(?:es|ing)|"
    r"going|goes|turns?|turning|bends?|bending|curv(?:es|ing)|sweeps?|sweeping|due|points?|pointing|aligned|orient(?:ed|ated)|"
    r"bound|straight|arcs?|arcing|faces|facing)"
    r"(?: (?:to|on|off|the|out|away|slightly|gently))* $",
    re.IGNORECASE,
)

#: What lies to its north, or farther north, is told of where it is itself.
_FROM_IT = re.compile(r"\b(?:to (?:its|their)|farther|further|just|immediately) $", re.IGNORECASE)
_ITS_SIDE = re.compile(r"\b(?:its|their) $", re.IGNORECASE)

#: Where what is named next ends.
_NEXT = re.compile(
    r"[,.;]| (?:is|are|was|there|stands?|l(?:ies?|ay)|sits?|runs?|can|one|rises?|extends?|stretch\w*|and|begins?|spreads?)\b"
)

#: Parts of the picture in which a thing is said not to be.
_PARTS = rf"(?:the )?(?:{_D8}|centre)(?:(?:, | and | or | nor )(?:the )?(?:{_D8}|centre))*"
_REST = rf"(?:ern)?(?: {_SIDE}s?)?(?: of (?:the|this) (?:\w+ )?{_PICTURE})?"
_FREE = re.compile(
    rf"\bevery part(?: of (?:the|this) (?:\w+ ){{0,2}}{_PICTURE})? but (?P<free>{_PARTS})"
    rf"|\blittle or nothing of it lies in the (?P<side>{_D8})ern third"
    rf"|\bthe (?P<other>{_D8})ern third of the \w+ holds little or nothing of it"
    rf"|\b(?:not|never|n['’]t|without) (?:quite |fully |ever |even )?(?:reach|extend|enter|touch|cover|stretch|spread|go|"
    rf"run|"
    rf"cross|come|get|occup)\w*(?: (?:into|to|in|as far as|over|up to))? (?P<unreached>{_PARTS}){_REST}"
    rf"|\b(?:reach|extend|enter|touch|cover|spread|occup)\w*(?: into| to)? neither (?P<neither>{_PARTS}){_REST}"
    rf"|\b(?:except|but|save|apart from|aside from|other than|excluding|with the exception of|bar)(?: for)?(?: in| of| to)?"
    rf" (?P<except>{_PARTS}){_REST}(?=[.,;]|$)"
    rf"|\b(?:leav\w+|keep\w*) (?P<left>{_PARTS}){_REST} (?:\w+ly )?"
    rf"(?:free|open|empty|clear|untouched|uncovered|bare|to others?)"
    rf"(?: of it)?|\b(?:absent from|missing (?:from|in)|stays? (?:clear|out) of|avoids?) (?P<absent>{_PARTS}){_REST}",
    re.IGNORECASE,
)
#: Letters of which some are in all of these.
_OF_FREE = ("every part", "little or nothing", "not ", "n't", "n’t", "never", "neither", "without", "except", "but", "save",
    "apart from",
            "aside from", "other than", "excluding", "exception", "bar ", "leav", "keep", "absent", "missing", "clear of",
            "out of", "avoid")  # fmt: skip

#: Each with letters that what it finds is never without.
_TILT = (
    (re.compile(r"\bdiagonal(?:ly)?\b(?! (?:opposite|across))", re.IGNORECASE), "diagonal", "diagonal"),
    (re.compile(r"\bhorizontal(?:ly)?\b", re.IGNORECASE), "horizontal", "flat"),
    (re.compile(r"\bvertical(?:ly)?\b", re.IGNORECASE), "vertical", "upright"),
)
_COURSES = (
    (
        re.compile(r"\bstraight(?:er|ness)?\b(?! (?:down|above|from above|overhead))", re.IGNORECASE),
        ("straight",),
        frozenset({"straight", "slightly curved"}),
    ),
    (
        re.compile(
            r"\b(?:winding|winds|meander\w*|serpentine|snak(?:es|ing|ed)|twist\w*|zig-?zag\w*|tortuous|sinuous\w*|wriggl\w*|"
            r"squiggl\w*|coil(?:s|ed|ing)|many (?:bends|turns|curves))\b",
            re.I,
        ),
        ("wind", "meander", "serpentine", "snak", "twist", "zig", "tortuous", "sinuous", "iggl", "coil", "many "),
        frozenset({"winding"}),
    ),
    (
        re.compile(
            r"\b(?:(?:sharp|tight|abrupt|hairpin|sudden|right-angled?) (?:turns?|bends?|corners?|curves?)|hairpins?|"
            r"(?:turn|bend|curv|swerv|veer)(?:es|s|ing|e)? (?:sharply|abruptly|suddenly)|doubles back)\b",
            re.I,
        ),
        ("sharp", "tight", "abrupt", "hairpin", "sudden", "right-angle", "doubles"),
        frozenset({"curved", "winding", "closed"}),
    ),
    (
        re.compile(
            r"\b(?:curv(?:e|es|ed|ing|y|ature)|bend(?:s|ing)?|bent|bow(?:s|ed)|arc(?:s|ed|ing)|swerv\w+|swoop\w*)\b",
            re.IGNORECASE,
        ),
        ("curv", "bend", "bent", "bow", "arc", "swerv", "swoop"),
        frozenset({"slightly curved", "curved", "winding", "closed"}),
    ),
    (
        re.compile(
            r"\b(?:closed (?:loop|ring|circuit|curve)|(?:path|track|road) (?:ring|loop)|forms a (?:loop|ring)|"
            r"full circle|a loop|loops? back)\b",
            re.IGNORECASE,
        ),
        ("loop", "circle", "closed", "ring"),
        frozenset({"closed"}),
    ),
)
_TOLD = {shape: re.compile(rf"\b{shape}(?:ly)?\b", re.IGNORECASE) for shape in SHAPES}
_NOT_SHAPE = re.compile(
    r"squarely (?:in|at|on|within)|square(?:[ -](?:met|kilomet|feet|foot|of)|s\b)|(?:town|market|city|public|"
    r"main|central) square",
    re.IGNORECASE,
)

#: Letters of the words of the compass, of two of them that are a pair, and of words of the screen.
_POINTS, _OF_PAIR = ("north", "south", "east", "west"), (" to", "-", "–", " than")
_OF_SCREEN = ("left", "right", "top", "bottom", "upper", "lower")

#: Signs of what has a point of the compass, two of them that are a pair, a centre; a point of the compass or of the screen,
#: a place, a shape, an edge, and parts that are left free.
_OF_COMPASS, _PAIRED, _OF_CENTRE = sign(*_POINTS), sign(*_OF_PAIR), sign("cent", "middle")
OF_POINTS = _OF_COMPASS | sign(*_OF_SCREEN)
OF_PLACES = OF_POINTS | _OF_CENTRE
OF_SHAPES = sign(*(each for _, letters, _ in _COURSES for each in letters), *(word for _, word, _ in _TILT), *SHAPES)
OF_EDGES = sign("within", "inside", "ly in ", "ly visible", "in full", "in its entirety", "no edge", "the whole", " off",
                "beyond", "outside")  # fmt: skip
OF_FREE = sign(*_OF_FREE)
#: Of a sentence that is not as it would be with words of the compass alone.
_OFF_COMPASS = sign(*_OF_SCREEN, "cent", "mid", " its ")


@dataclass(frozen=True, slots=True)
class Beside:
    """Whom directions are told of: the elements that are spoken of, in a sentence or a clause of it."""

    roll: Roll
    elements: Sequence[Described]
    main: Described
    """What ``it`` is."""

    def lies(self, point: str, after: str) -> bool:
        """Whether one lies in this direction of the one that is named next; where none is, of the one described."""
        groups = self.roll.called(_NEXT.split(after)[0])
        named = [each for each in self.elements if self.roll.group(each) in groups] or [self.main]
        meant = {each.element for each in named}
        others = [each for each in self.elements if each.element not in meant]
        return any_beyond(others, named, point)


def bearing_problem(sentence: str, allowed: Allowed, beside: Callable[[], Beside]) -> str | None:
    """A place or a direction in a sentence that is not allowed; None if there is none.

    `beside`: asked where a thing is said to lie in a direction of another one.
    """
    text = as_compass(sentence)
    signs = signs_of(text)
    if signs & _OF_COMPASS and signs & _PAIRED:
        text, problem = _pairs(text, allowed)
        if problem is not None:
            return problem
    centre = _CENTRE.search(text) if signs & _OF_CENTRE else None
    around = centre is not None and allowed.cells >= ALL_SIDES and _AROUND.search(text[: centre.start()])
    if centre is not None and "centre" not in allowed.cells and not around:
        return centre[0].strip()
    for found in _COMPASS.finditer(text) if signs & _OF_COMPASS else ():
        if not _fits(text, found, eight(found[1]), allowed, beside):
            return found[0]
    return None


def without_free(sentence: str, whom: Sequence[Described]) -> tuple[str, str | None]:
    """A sentence without the parts of the picture that it says a thing leaves free; and the first that it does not.

    ``In every part but the north and east``, ``does not reach the south``, ``little or nothing of it lies in the western
    third``: of one of those things that it is about.
    """
    if not may_hold(small_letters(sentence), *_OF_FREE):
        return sentence, None
    plain = as_compass(sentence)
    for found in _FREE.finditer(plain):
        free = next(each for each in found.groups() if each is not None).lower()
        for part in re.findall(rf"{_D8}|centre", free):
            if all(_holds(part, each, found) for each in whom):
                return sentence, part
    return (
        _FREE.sub(lambda found: "but there" if found["except"] else " ", plain) if _FREE.search(plain) else sentence
    ), None


def _holds(part: str, each: Described, found: re.Match[str]) -> bool:
    """Whether a thing lies in a part that it is said to leave free: of a third in all of it, else in that very part."""
    whole = found["side"] or found["other"] or re.search(r"ern\b", found[0]) is not None
    return (
        in_any(eight(part) or part, each.cells)
        if whole or found["unreached"] or found["neither"]
        else (eight(part) or part) in each.cells
    )


@lru_cache(maxsize=256)
def as_compass(sentence: str) -> str:
    """A sentence with left and right, top and bottom as words of the compass."""
    if not signs_of(sentence) & _OFF_COMPASS:
        return sentence
    sentence = _FRAME_ITS.sub(r"\g<frame> the ", _VERY.sub("the ", sentence))
    text, small = sentence, small_letters(sentence)
    if may_hold(small, "cent", "middle"):
        text = _MIDDLE_OF_SIDE.sub(lambda found: f"{found[1].lower()}mid", sentence)
    for pattern, point in _ON_SCREEN if may_hold(small, *_OF_SCREEN) else ():
        text = pattern.sub(point or (lambda found: "west" if found[0].lower() == "left" else "east"), text)
    return _MIDDLE.sub(r"\1", text) if "mid" in text else text


@lru_cache(maxsize=256)
def eight(point: str) -> str:
    """``NorthWest`` as north-west; of the compass of sixteen the nearest word of eight that names both sides."""
    parts = re.findall("north|south|east|west", point.lower())
    rows = [part for part in parts if part in ("north", "south")]
    columns = [part for part in parts if part in ("west", "east")]
    return "-".join([*rows[:1], *columns[:1]])


def _pairs(text: str, allowed: Allowed) -> tuple[str, str | None]:
    """A text without its ``A to B``; and the first of these that nothing runs."""
    text = _SHORTER.sub(r"longer from \g<across>", text)
    text = _THAN_ACROSS.sub(" ", text)
    for found in _PAIR.finditer(text):
        pair = (eight(found[1]), eight(found[2]))
        if _ONE_WORD.fullmatch(found[0]):
            continue
        if pair not in allowed.pairs:
            return text, found[0]
    kept = _PAIR.sub(lambda found: found[0] if _ONE_WORD.fullmatch(found[0]) else " ", text)
    return kept, None


#: So many letters before a direction may say what it is of.
_BEFORE = 80


def _fits(text: str, found: re.Match[str], point: str, allowed: Allowed, beside: Callable[[], Beside]) -> bool:
    before, after = text[max(0, found.start() - _BEFORE) : found.start()], text[found.end() : found.end() + 200]
    if _OF_ANOTHER.match(after):
        plain = re.match(r"(?:ern)? of ", after, re.IGNORECASE)
        if plain is not None:
            return beside().lies(point, after)
        rim = re.match(r"(?:ern)? (?:side|edge|border|boundary|margin|end|flank|rim|limit) of ", after, re.IGNORECASE)
        return in_any(point, allowed.cells) or (rim is not None and beside().lies(point, after))
    of_its = _ITS_SIDE.search(before) and re.match(rf"(?:ern)? {_SIDE}", after, re.IGNORECASE)
    if (of_its or _FROM_IT.search(before)) and beside().lies(point, "it"):
        return True
    going: object = (found[2] or "").lower() in ("ward", "wards", "erly", "bound") or _GOING.search(before)
    rest = after if found[2] is None else f"ern{after}"
    if re.match(r"(?:ern(?:most)?)? (?:edge|corner|border|margin)\b", rest, re.IGNORECASE):
        going = False
    return in_any(point, allowed.cells) or bool(going and point in allowed.runs)


def in_any(point: str, cells: Iterable[str]) -> bool:
    """Whether any part of the picture is of a point: a side is three parts, a corner is one."""
    return any(point == cell or ("-" not in point and point in cell.split("-")) for cell in cells)


def points_in(text: str) -> frozenset[str]:
    """The points of the compass, and of the screen, that a text has."""
    plain = as_compass(text)
    if not signs_of(plain) & _OF_COMPASS:
        return frozenset()
    return frozenset(eight(found[1]) for found in _COMPASS.finditer(plain))


def shape_problem(sentence: str, allowed: Allowed) -> str | None:
    """A course or a shape in a sentence that is not allowed; None if there is none."""
    small = small_letters(sentence)
    if not signs_of(sentence) & OF_SHAPES:
        return None
    for pattern, letters, courses in _COURSES:
        found = pattern.search(sentence) if may_hold(small, *letters) else None
        if found is not None and allowed.courses and allowed.courses.isdisjoint(courses):
            return found[0]
    for pattern, word, kind in _TILT:
        found = pattern.search(sentence) if may_hold(small, word) else None
        if found is not None and kind not in allowed.tilts:
            return found[0]
    if not allowed.shapes or not may_hold(small, *SHAPES):
        return None
    plain = _NOT_SHAPE.sub(" ", sentence)
    told = (shape for shape, pattern in _TOLD.items() if pattern.search(plain))
    return next(
        (
            each
            for each in told
            if each not in allowed.called and not any(_is_shape(each, has) for has in allowed.shapes)
        ),
        None,
    )


#: A thing that is cut off by the edge of the picture, and one that is not.
_CUT = re.compile(
    r"\b(?:cuts? (?:it )?off|(?:goes on|going on|continu\w+|extend\w*|reach\w*|stretch\w*|runs?|lies?|lying) (?:\w+ )?"
    r"(?:beyond|outside))\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\b(?:lies (?:wholly|entirely|completely|fully) (?:within|inside)|all of (?:it|the \w+(?: \w+)?) lies (?:within|inside)"
    r"|(?:is|sits|stays|remains|falls) (?:wholly|entirely|completely|fully) (?:within|inside|in) (?:the|this) "
    r"(?:\w+ )?(?:picture|image|photograph|scene|frame|view)|(?:wholly|entirely|completely|fully) visible"
    r"|(?:seen|visible|shown) (?:in full|in its entirety)|no edge\b.* cuts? it off|the whole (?:\w+ ){1,3}is in view)\b",
    re.IGNORECASE,
)

_NOT_CUT = re.compile(r"\b(?:not|never|nor|neither|no|none|without|rather than)\b|n['’]t\b", re.IGNORECASE)


def edge_problem(sentence: str, allowed: Allowed) -> str | None:
    """What is said of the edge of the picture, that it cuts a thing off or does not, where that is so of none of them."""
    if not signs_of(sentence) & OF_EDGES:
        return None
    whole = _WHOLE.search(sentence)
    if whole is not None:
        return None if (_NOT_CUT.search(sentence[: whole.start()]) is None) in allowed.whole else whole[0]
    found = _CUT.search(sentence)
    if found is None:
        return None
    return None if (_NOT_CUT.search(sentence[: found.start()]) is None) in allowed.cut else found[0]


def _is_shape(told: str, shape: str) -> bool:
    also = {"rectangular": ("square",), "circular": ("round",), "oval": ("round",), "compact": ("round", "square"),
            "round": ("compact",)}  # fmt: skip
    return told in shape.lower() or shape in also.get(told, ())
