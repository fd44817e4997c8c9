"""Other words for what is there: a caption is judged in the words that its description has.

A car park is a parking lot, a trio is three, a quarter of a kilometre is 250 metres. A word for a thing is put into another
one only where there is such a thing: of what is not there nothing is made.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from nutonic.rows.annotation.numbers import SPELT, spelt_value
from nutonic.rows.annotation.talk import may_hold, small_letters

#: What may stand for a thing, in the singular, and what it then is, the likeliest first.
_THINGS = """
car park, carpark, parking area, parking field, parking site, parking facility, parking yard: parking lot, parking
  garage
car parking, parking: parking lot, parking garage, parking space
hedgerow, line of hedge, line of bushes: hedge
watercourse, water course: waterway, river, stream, canal
water body, waterbody, sheet of water, expanse of water, stretch of water, water feature, water surface: body of
  water, lake, pond, water
artificial lake, basin of water, basin: water basin, reservoir
shoreline, shore line, waterline, seashore, coast, shore: coastline
open sea, ocean, seawater: sea
pavement, footway, roadside path: sidewalk, footpath
walking path, walking route, walking trail, pathway, walkway, promenade, foot path, pedestrian path, pedestrian route,
  trail: footpath, path, sidewalk
bike path, bicycle path, cycleway, cycle track, cycle route, cycle lane, bike lane, bicycle lane, bike track, cycling
  path, bicycle track, bike route: cycle path
tramway, tramline, tram line, tram rail, streetcar track, streetcar line, tram route: tram track
train track, train line, railroad track, railroad line, railway line, rail line, rail track, railroad, line of rail,
  rail: railway track, railway, tram track
set of railway track, set of railway, set of rail: railway track, railway
slip road, slip lane, on-ramp, off-ramp, exit ramp, entry ramp, access ramp, motorway exit: motorway ramp, trunk road
  ramp, main road ramp
freeway, expressway, superhighway, autobahn: motorway
sand trap, sand pit, sandpit, sand hollow: sand bunker, bunker
path for golf carts, track for golf carts, golf buggy path, buggy path, cart track, golf path, cart way, cartway: golf
  cart path
golf links, golfing ground, golf ground, golfing area, golfing terrain, golfing land, links: golf course
stand of trees, patch of trees, group of trees, clump of trees, area of trees, belt of trees, grove, copse, woodlot,
  thicket: wood, forest
tree line, line of trees, row of trees, avenue of trees, treeline, file of trees: tree row
apartment block, block of flats, flat block, apartment house, apartment complex, tenement: apartment building
jetty, wharf, landing stage, mole: pier
soccer field, football field, soccer ground, football ground, soccer pitch, playing field, turf field: football pitch,
  soccer pitch, pitch
playing field, sports field, sports ground, playing ground, athletic field, ball field, playing area: sports pitch,
  football pitch, pitch
play area, play ground, children's playground: playground
school campus, school site, school property, school premises, school compound, school area: school ground
schoolhouse: school building
residential road, residential lane, housing street, side street, suburban street, suburban road: residential street
road bridge, overpass, flyover: bridge
farm track, farm lane, farm road, country lane, rural track, gravel track, gravel lane, unpaved lane, field track,
  unpaved road, gravel road: dirt track, track
arable field, crop field, farm field, arable plot, cultivated field, agricultural field: field, farmland
arable land, cropland, agricultural ground, agricultural land, farm land, cultivated land, tilled land, agricultural
  area, agriculture, farmland: farmland, field
fruit garden, fruit plantation, fruit orchard: orchard
farm yard, farmstead, farm buildings, farm complex: farmyard
grass area, grassed area, grassy area, patch of grass, area of grass, green lawn, turf, grass strip, strip of grass,
  strip of lawn: lawn, grassland, meadow
grassland, grass field, pasture, pastureland: meadow, lawn
woodland area, wooded area, woodland patch, forested area, woodland, timberland, tree cover: forest, wood
scrub, brush, brushland, bushland, scrubby ground, undergrowth: scrubland
strip of sand, stretch of sand, sandy strip, sandy shore, strand: beach
yacht harbour, yacht harbor, boat harbour, boat harbor: marina
dwelling, home, residence, family home: detached house, house
storage building, storehouse, distribution centre, distribution center, storage hall, industrial hall: warehouse
industrial complex, industrial estate, industrial park, industrial zone, industrial site, industrial district,
  industrial quarter, industrial plot, industrial land, industrial ground, industrial premises, industrial facility:
  industrial area
housing area, housing estate, housing development, housing district, housing quarter, residential district,
  residential quarter, residential estate, residential neighbourhood, residential neighborhood, residential zone,
  residential land, residential block, residential development, residential section, residential sector, residential
  plot, residential parcel, residential community, housing, suburb, subdivision, neighbourhood, neighborhood:
  residential area
commercial block, commercial plot, commercial zone, commercial district, commercial quarter, commercial land,
  commercial lot, commercial parcel, commercial property, commercial site, commercial section, commercial ground,
  commercial estate, business area, business district, business quarter: commercial area
retail district, shopping area, shopping district, retail zone: retail area
building site, construction area, construction zone, worksite: construction site
pedestrian zone, pedestrian road, pedestrian lane, pedestrianised street, pedestrianized street, car-free street,
  pedestrian way, pedestrian avenue: pedestrian street
flight of steps, flight of stairs, steps, stairs, staircase: stairway
crosswalk, zebra crossing, foot crossing, crossing: pedestrian crossing
railway siding, track siding: railway siding
station platform, train platform, passenger platform: railway platform
access road, service lane, service way: service road, driveway
arterial road, arterial, thoroughfare, main street, major road, trunk road, through road: main road, secondary road
minor street, small road, smaller road, lesser road, secondary road, side road: minor road, local road
paddling pool, outdoor pool, pool: swimming pool
place of worship: church, mosque, temple, synagogue
cylindrical tank, circular tank, tank: storage tank
parkland, public park, green park, park area: park
public garden, garden area, gardens: garden
"""

#: What else is written in several ways, the one in which it is judged, and letters of which some are in all such.
_WRITTEN = (
    (r"\bper ?cent\b", "percent", ("cent",)),
    (r"\b(?:ca|approx|appr)\. ?|\bc\. ?(?=\d)", "about ", ("ca.", "approx.", "appr.", "c.")),
    (r"\bsq\.? ?(?:m|meters|metres)\b\.?", "square metres", ("sq",)),
    (r"(?<=\d)-(?:metre|meter)\b", " metres", ("-met",)),
    (
        r"\btarmac(?:ked|adam(?:ed)?)?\b|\bbitumen\b|\bblacktop(?:ped)?\b|\basphalted\b",
        "asphalt",
        ("tarmac", "bitumen", "blacktop", "asphalted"),
    ),
    (r"\bturf\b(?! field| pitch)", "grass", ("turf",)),
    (r"\bturf (?=field|pitch)", "grass ", ("turf",)),
    (r"\bcobbled\b|\bcobble-?stoned\b", "cobblestone", ("cobble",)),
    (r"\bgravelled\b|\bgraveled\b|\bgravelly\b", "gravel", ("gravel",)),
    (r"\b(?:a )?trio of\b|\btriplet of\b", "three ", ("trio", "triplet")),
    (r"\b(?:a )?quartet of\b", "four ", ("quartet",)),
    (r"\b(?:a )?quintet of\b", "five ", ("quintet",)),
    (r"\b(?:a )?sextet of\b|\bhalf a dozen(?: of)?\b|\ba half[- ]dozen\b", "six ", ("sextet", "dozen")),
    (r"\b(?:a )?duo of\b|\b(?:a )?couple of\b(?= \w)", "two ", ("duo", "couple")),
    (r"\b(?:a|one) quarter of an? kilomet(?:re|er)\b", "250 metres", ("quarter of a",)),
    (r"\b(?:a|one) third of an? kilomet(?:re|er)\b", "333 metres", ("third of a",)),
    (r"\bhalf an? kilomet(?:re|er)\b", "500 metres", ("half a",)),
    (r"\bthree[- ]quarters of an? kilomet(?:re|er)\b", "750 metres", ("quarters of a",)),
    (r"\bhalf (?:a|of one|of a|of 1) ?(?:percent|%)", "0.5 percent", ("half ",)),
    (r"\b(?:a|one) quarter of an? hectare\b|\bquarter[- ]hectare\b", "0.25 hectares", ("hectare",)),
    (r"\b(?:a|one) third of an? hectare\b", "0.33 hectares", ("hectare",)),
    (r"\bhalf an? hectare\b", "0.5 hectares", ("hectare",)),
    (r"\bthree[- ]quarters of an? hectare\b", "0.75 hectares", ("hectare",)),
    (
        r"\b(?:without|with no|has no|shows no|free of|not) "
        r"(?:any |a |the (?:slightest|least) |single |noticeable |visible )*"
        r"(?:bends?|bending|curves?|curving|curvature|turns?|turning|kinks?|deviations?)\b",
        "straight",
        ("bend", "curv", "turn", "kink", "deviation"),
    ),
    (
        r"\b(?:does|do) not (?:bend|curve|turn|deviate)\b|\bnever (?:bends?|curves?|turns?)\b",
        "is straight",
        (" not ", "never "),
    ),
)
_HALVES = re.compile(
    r"\b(?P<count>one|two|three|four|five|six|seven|eight|nine|ten) and a half(?P<scale> thousand| hundred)?\b",
    re.IGNORECASE,
)
#: A number without a unit where another one has it: 43 percent and about 29; 22 and 25 percent.
_UNIT = r"(?:percent|%|(?:square |kilo)?(?:metres|meters)|hectares)"
_DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
_HEDGE = r"(?:about|around|roughly|approximately|some|nearly|almost|over|under|just over|just under|only)"
_AND = re.compile(
    rf"\b(?P<one>{_DIGITS})(?P<joint> (?:and|or|versus|against|to) (?:{_HEDGE} )?)(?P<other>{_DIGITS}) ?"
    rf"(?P<unit>{_UNIT})(?!\w)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(rf"\bbetween (?P<one>{_DIGITS}) and (?P<other>{_DIGITS}) ?(?P<unit>{_UNIT})(?!\w)", re.IGNORECASE)
_BARE = re.compile(
    rf"(?P<told>(?P<unit>{_UNIT})(?!\w)[^.]*?\b{_HEDGE} )(?P<number>{_DIGITS}|{SPELT})(?=[.,;)](?!\d)|$)", re.IGNORECASE
)
#: What is between two numbers is told as their mean, if they are no further apart.
_RANGE = 1.35
#: Numbers in words that have an "and" in them, which parts no clauses.
_HUNDREDS = re.compile(rf"\b(?=\w+ (?:hundred|thousand)){SPELT}\b", re.IGNORECASE)
_COUNTS = {
    word: count
    for count, word in enumerate("one two three four five six seven eight nine ten".split(), 1)  # noqa: SIM905
}
#: Letters that are in all halves, and of which some are in all hundreds.
_OF_HALVES, _OF_HUNDREDS = "and a half", ("hundred", "thousand")
_LETTERS = re.compile("[a-z]+")
_SCALES = {None: 1, "hundred": 100, "thousand": 1000}
_REWRITTEN = tuple((re.compile(pattern, re.IGNORECASE), plain, letters) for pattern, plain, letters in _WRITTEN)


def _with_half(found: re.Match[str]) -> str:
    """Two and a half as a number in digits."""
    scale = _SCALES[found["scale"].strip().lower() if found["scale"] else None]
    return f"{(_COUNTS[found['count'].lower()] + 0.5) * scale:g}"


def _mean(found: re.Match[str]) -> str:
    """Between two numbers, as about their mean; what is too far apart stays."""
    one, other = (float(found[each].replace(",", "")) for each in ("one", "other"))
    return f"about {(one + other) / 2:g} {found['unit']}" if one <= other <= _RANGE * one else found[0]


def _plural(noun: str) -> str:
    head, joint, rest = noun.partition(" of ")
    if re.search(r"[^aeiou]y$", head):
        head = f"{head[:-1]}ies"
    elif not head.endswith("s"):
        head += "es" if re.search(r"(?:sh|ch|x|z)$", head) else "s"
    return f"{head}{joint}{rest}"


@lru_cache(maxsize=1)
def _known() -> dict[str, tuple[bool, tuple[str, ...]]]:
    """All of them in small letters, the longest first: whether each is a plural, and what it may stand for."""
    known: dict[str, tuple[bool, tuple[str, ...]]] = {}
    for row in re.sub(r"\n +", " ", _THINGS).strip().splitlines():
        written, _, things = row.partition(": ")
        for one in written.split(", "):
            for many, word in enumerate(dict.fromkeys((one, _plural(one)))):
                _, before = known.get(word, (False, ()))
                known[word] = bool(many), tuple(dict.fromkeys((*before, *things.split(", "))))
    return {word: known[word] for word in sorted(known, key=lambda word: (-len(word), word))}


@lru_cache(maxsize=1)
def _by_first() -> dict[str, tuple[tuple[int, str], ...]]:
    """Those that begin with the same letters, each with its rank, by these letters."""
    found: dict[str, list[tuple[int, str]]] = {}
    for rank, word in enumerate(_known()):
        found.setdefault(_LETTERS.findall(word)[0], []).append((rank, word))
    return {first: tuple(ranked) for first, ranked in found.items()}


def _in_text(small: str | None) -> tuple[str, ...]:
    """Those that may be in a text, the longest first: to look for all of them takes as long as all else that is judged."""
    if small is None:
        return tuple(_known())
    by_first = _by_first()
    firsts = by_first.keys() & set(_LETTERS.findall(small))
    return tuple(word for _, word in sorted(each for first in firsts for each in by_first[first] if each[1] in small))


@lru_cache(maxsize=1024)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)


class Synonyms:
    """What may be said for the things of one description."""

    def __init__(self, nouns: Collection[str]) -> None:
        """`nouns`: what there is, in the singular."""
        self._nouns = frozenset(nouns)
        longer = (each for noun in nouns if " " in noun for each in (_plural(noun), noun))
        self._longer = dict.fromkeys(sorted(longer, key=lambda each: (-len(each), each)))
        self._found: dict[str, str | None] = {}

    def plain(self, text: str) -> str:
        """A text in the words that the description has."""
        small = small_letters(text)
        for pattern, written, letters in _REWRITTEN:
            if may_hold(small, *letters):
                text = pattern.sub(written, text)
                small = small_letters(text)
        if may_hold(small, _OF_HALVES):
            text = _HALVES.sub(_with_half, text)
        if may_hold(small, *_OF_HUNDREDS):
            text = _HUNDREDS.sub(lambda found: f"{spelt_value(found[0]):g}", text)
        if re.search(_UNIT, text) is not None:
            text = _BETWEEN.sub(_mean, text)
            text = _AND.sub(r"\g<one> \g<unit>\g<joint>\g<other> \g<unit>", text)
            text = _BARE.sub(r"\g<told>\g<number> \g<unit>", text)
        words = _in_text(small := small_letters(text))
        own = (each for each in self._longer if small is None or each in small)  # which synonyms are parts of
        return _any_of((*own, *words)).sub(self._plain, text) if words else text

    def _plain(self, found: re.Match[str]) -> str:
        word = found[0].lower()
        if word in self._longer:
            return found[0]
        if word not in self._found:
            self._found[word] = self._thing(word)
        thing = self._found[word]
        return found[0] if thing is None else thing[:1].upper() + thing[1:] if found[0][:1].isupper() else thing

    def _thing(self, word: str) -> str | None:
        """What a word stands for; None if it is a thing by itself, or there is nothing that it may stand for."""
        many, things = _known()[word]
        single = next((one for one in self._nouns if word in (one, _plural(one))), None)
        noun = None if single is not None else next((each for each in things if each in self._nouns), None)
        return noun and (_plural(noun) if many else noun)
