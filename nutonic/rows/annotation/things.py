"""Things in captions, held against those of a description: what no element is called, and no tag says, is not there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_

from nutonic.rows.annotation.calling import Noun, Tags, noun_of, whole_noun
from nutonic.rows.annotation.talk import Signs, folded, small_letters


@dataclass(frozen=True, slots=True)
class Kind:
    """Words for things of a kind, and what shows that there is one."""

    words: re.Pattern[str]
    letters: tuple[str, ...]
    """What the words begin with: one of these is in every text that has one of them."""
    evidence: re.Pattern[str]
    """Is looked for in nouns, and in tags as ``key=value``."""


def _kind(words: str, evidence: str) -> Kind:
    return Kind(
        re.compile(rf"\b(?:{words})\b", re.IGNORECASE),
        _beginnings(words),
        re.compile(evidence, re.IGNORECASE),
    )


def _beginnings(words: str) -> tuple[str, ...]:
    """The letters that each of some words begins with, whatever follows them."""
    letters, depth, begins = list[str](), 0, True
    for found in re.finditer(r"[a-z]+(?P<maybe>[?*])?|.", words):
        if begins:
            assert found[0][0].isalpha(), f"{words} has one that begins with no letter"
            letters.append(found[0][:-2] if found["maybe"] else found[0])
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        begins = found[0] == "|" and not depth
    return tuple(dict.fromkeys(letters))


_ROADS = (
    r"^highway=|\b(?:road|street|highway|motorway|lane|drive|driveway|avenue|alley|track|roundabout|aisle|"
    r"carriageway)\b"
)
_TREES = (
    r"natural=(?:wood|tree|scrub|shrub)|landuse=(?:forest|orchard|plant_nursery)|"
    r"leisure=(?:park|garden|nature_reserve|golf_course)|tree|wood|forest|orchard|grove|shrub|scrub"
)
_GREEN = (
    rf"{_TREES}|landuse=(?:grass|meadow|village_green|greenfield|farmland|recreation_ground|cemetery)|natural=(?:grassland|heath|"
    r"wetland|fell)|surface=grass|grass|meadow|lawn|park|garden|field|pitch|green|fairway|rough|heath|wetland|vineyard|crop|farm"
)
_WATER = (
    r"coastline|water|lake|pond|reservoir|basin|river|stream|creek|canal|pool|sea|ocean|bay|lagoon|wetland|harbou?r|marina|"
    r"dock|ditch"
)

#: Kinds of things. What can be told from others of its kind only by a close look is one kind with them.
KINDS = (
    _kind(
        r"water|waters|waterbod(?:y|ies)|shores?|shorelines?|waterfront|waterside|lakeside|banks",
        _WATER,
    ),
    _kind(
        r"lakes?|ponds?|reservoirs?|lagoons?",
        r"natural=water$|water=(?:lake|pond|reservoir|basin|lagoon)|lake|pond|reservoir|basin|"
        r"body of water",
    ),
    _kind(
        r"rivers?|streams?|creeks?|brooks?|canals?|waterways?|riverbanks?",
        r"waterway|water=(?:river|stream|canal)|river|stream|creek|canal|ditch|drain",
    ),
    _kind(
        r"sea|seas|oceans?|coast\w*|beach\w*|surf|bays?|tidal|islands?|peninsulas?|pier|piers|jett(?:y|"
        r"ies)",
        r"coastline|beach|bay|sea\b|ocean|shore|island|pier|jetty",
    ),
    _kind(
        r"harbou?rs?|marinas?|docks?|ports?",
        r"harbou?r|marina|dock|port\b|ferry|boat|ship|pier|slipway",
    ),
    _kind(
        r"swimming pools?|pools?",
        r"swimming_pool|pool",
    ),
    _kind(
        r"wetlands?|marsh\w*|swamps?|bogs?|mudflats?",
        r"wetland|marsh|swamp|bog|mud",
    ),
    _kind(
        r"forests?|forested|woods|wooded|woodlands?|groves?|thickets?",
        r"natural=wood|landuse=forest|wood|forest|grove|tree|scrub",
    ),
    _kind(
        r"trees?|tree-lined|canop(?:y|ies)|hedge(?:s|rows?)?|bush(?:es)?|shrubs?|shrubbery|scrub\w*",
        rf"{_TREES}|hedge|bush|residential$",
    ),
    _kind(
        r"grass\w*|meadows?|lawns?|pastures?|greenery|vegetation|vegetated|green spaces?",
        _GREEN,
    ),
    _kind(
        r"green",
        _GREEN,
    ),
    _kind(
        r"farms?|farmland|farmhouses?|fields?(?! of view)|crops?|cropland|agricultur\w+|plantations?"
        r"ploughed|plowed|harvest\w*",
        r"farm|landuse=(?:meadow|orchard|vineyard|plant_nursery|greenhouse)|field|crop|pitch|meadow|grass",
    ),
    _kind(
        r"orchards?|vineyards?|fruit(?= trees?\b)",
        r"orchard|vineyard",
    ),
    _kind(
        r"greenhouses?|glasshouses?",
        r"greenhouse|glasshouse",
    ),
    _kind(
        r"railway (?:tracks?|lines?)|railways?|railroads?|rail (?:tracks?|lines?)|rails?|tramways?|trams?|sidings?",
        r"railway|rail|tram|train|subway",
    ),
    _kind(
        r"runways?|taxiways?|airports?|airstrips?|airfields?|"
        r"aprons?|helipads?|hangars?",
        r"aeroway|runway|taxiway|airport|airfield|apron|helipad|hangar",
    ),
    _kind(
        r"church(?:es)?|chapels?|cathedrals?|mosques?|temples?|synagogues?|steeples?|spires?",
        r"church|chapel|cathedral|mosque|temple|synagogue|place_of_worship|religious",
    ),
    _kind(
        r"schools?|schoolyards?|kindergartens?|universit(?:y|ies)|colleges?|campus(?:es)?",
        r"school|kindergarten|university|college|campus",
    ),
    _kind(
        r"hospitals?|clinics?",
        r"hospital|clinic",
    ),
    _kind(
        r"cemeter(?:y|ies)|graveyards?|graves?|tombstones?",
        r"cemetery|grave",
    ),
    _kind(
        r"playing fields?|sports? (?:fields?|grounds?|pitch\w*)|pitch(?:es)?|baseball\w*|football\w*|soccer\w*|tennis\w*|"
        r"basketball\w*|ball ?(?:fields?|parks?)|athletics?",
        r"pitch|sport|stadium|(?:ball|rugby|hockey|lacrosse|playing) field|court|running track|leisure=track|athletic|arena|"
        r"grandstand|bleachers|school",
    ),
    _kind(
        r"stadiums?|arenas?|grandstands?|bleachers?|gyms?",
        r"stadium|arena|grandstand|bleachers|gym|sports (?:hall|centre)|leisure=track|athletic|school",
    ),
    _kind(
        r"golf|fairways?|bunkers?",
        r"golf|fairway|bunker",
    ),
    _kind(
        r"playgrounds?",
        r"playground",
    ),
    _kind(
        r"parks?|parkland",
        r"leisure=park|park\b|nature_reserve|garden|recreation_ground|common",
    ),
    _kind(
        r"gardens?|allotments?",
        r"garden|allotment|park",
    ),
    _kind(
        r"roads?|roadways?|pavements?|streets?|avenues?|boulevards?|carriageways?|crossroads?|intersections?|"
        r"junctions?|lanes?|thoroughfares?",
        _ROADS,
    ),
    _kind(
        r"motorways?|freeways?|highways?|expressways?|interchanges?|overpass(?:es)?|flyovers?",
        r"highway=(?:motorway|trunk|primary|secondary)|motorway|freeway|highway\b(?!=)|expressway|trunk|"
        r"bridge",
    ),
    _kind(
        r"driveways?",
        r"driveway|service",
    ),
    _kind(
        r"roundabouts?|traffic circles?",
        r"roundabout|circular|traffic circle",
    ),
    _kind(
        r"bridges?|viaducts?",
        r"bridge|viaduct",
    ),
    _kind(
        r"tunnels?|underpass(?:es)?",
        r"tunnel|underpass",
    ),
    _kind(
        r"paths?(?! of)|pathways?|footpaths?|trails?|walkways?|sidewalks?|bridleways?|"
        r"cycleways?|bike (?:paths?|lanes?)|cycle (?:paths?|lanes?)|stairs|steps",
        r"footway|path|cycleway|bridleway|track|pedestrian|sidewalk|steps|trail|walk|crossing",
    ),
    _kind(
        r"car ?parks?|parking\w*|parked|garages?",
        r"parking|garage|car ?park",
    ),
    _kind(
        r"cars?|vehicles?|trucks?|lorr(?:y|ies)|buses|traffic(?! circle)|people|persons?|pedestrians?(?! (?:path|street|"
        r"walkway|route|way|crossing|zone|bridge|trail))|crowds?|animals?|cattle|cows?|sheep|horses?|birds?|"
        r"boats?|ships?|yachts?|trains?|locomotives?|aircraft|airplanes?|aeroplanes?|planes",
        r"(?!)",
    ),
    _kind(
        r"buildings?|structures?|roofs?|rooftops?|built-up|built up|towers?|skyscrapers?|blocks of flats|"
        r"facades?",
        r"building|house|church|school|garage|shed|barn|roof|tower|hangar|greenhouse|hut|hall|warehouse|"
        r"apartment|tank|silo|terminal",
    ),
    _kind(
        r"apartments?|flats|tenements?|condominiums?|high-?rises?",
        r"apartment|flats",
    ),
    _kind(
        r"houses?|homes|home(?! to)|dwellings?|cottages?|bungalows?|villas?|housing|residen(?:ces?|"
        r"tial)|neighbou?rhoods?|suburb\w*",
        r"house|residential|detached|apartments|bungalow|terrace|cabin|dwelling|living_street|"
        r"static_caravan",
    ),
    _kind(
        r"shops?|stores?|malls?|supermarkets?|retail|commercial|offices?|businesses|restaurants?|hotels?|"
        r"markets?",
        r"shop|store|mall|supermarket|retail|commercial|office|restaurant|fast_food|hotel|market",
    ),
    _kind(
        r"factor(?:y|ies)|industr\w+|warehouses?|plants?(?= complex)|refiner(?:y|ies)|depots?|"
        r"works\b(?= (?:site|yard))",
        r"industr|factory|warehouse|works|plant|depot|refinery",
    ),
    _kind(
        r"solar (?:panels?|farms?|arrays?|plants?)|photovoltaic (?:panels?|farms?|arrays?|plants?)|solar\w*",
        r"solar|photovoltaic",
    ),
    _kind(
        r"wind turbines?|turbines?|windmills?",
        r"wind|turbine",
    ),
    _kind(
        r"power (?:lines?|towers?|poles?|stations?)|transmission (?:lines?|towers?|poles?|stations?)|"
        r"electric\w* (?:lines?|towers?|poles?|stations?)|pylons?|substations?",
        r"power|pylon|substation",
    ),
    _kind(
        r"quarr(?:y|ies)|mines?|gravel pits?|pits?|landfills?|dumps?|construction(?: sites?)?",
        r"quarry|mine|pit|landfill|construction|brownfield",
    ),
    _kind(
        r"tanks?|silos?|storage tanks?",
        r"tank|silo",
    ),
    _kind(
        r"fences?|fenced|walls?|walled|railings?|barriers?",
        r"barrier|fence|wall|hedge",
    ),
    _kind(
        r"dams?|weirs?|locks",
        r"dam|weir|lock",
    ),
    _kind(
        r"sand|sandy|dunes?|deserts?",
        r"sand|beach|dune|desert|bunker",
    ),
    _kind(
        r"mountains?|mountainous|hills?|hillsides?|hilly|cliffs?|rock(?:s|y)?|ridges?|valleys?|slopes?|"
        r"glaciers?|snow\w*",
        r"cliff|rock|peak|ridge|valley|scree|glacier|hill|stone|snow",
    ),
    _kind(
        r"castles?|ruins?|monuments?|memorials?|fountains?|statues?|museums?|lighthouses?",
        r"castle|ruin|monument|memorial|fountain|statue|museum|lighthouse|historic",
    ),
    _kind(
        r"fuel stations?|gas stations?|petrol stations?|fire stations?|police\w*|prisons?|librar(?:y|ies)",
        r"fuel|fire_station|police|prison|library|fire station|gas station",
    ),
)  # fmt: skip

#: Words of tags that are no things of their own: a tag of a surface supports no surface of another thing.
_SURFACES = _kind(
    r"asphalt|concrete|gravel|unpaved|dirt|cobble\w*|paved",
    r"surface=|^highway=(?:track|path)|concrete|gravel|dirt|parking|aeroway",
)

#: All that are looked for.
_EVERY = (*KINDS, _SURFACES)
_OF_KINDS = Signs()
_BITS = tuple(_OF_KINDS.sign(*kind.letters) for kind in _EVERY)


#: Words of nouns that are no evidence themselves: a lake is a body of water.
_JOINTS = frozenset({"body", "of"})


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known to be there, and what of it decides about the things of a text; worked out once for a description."""

    called: tuple[Noun, ...]
    """What elements are called, the longest first."""
    words: frozenset[str]
    """Of nouns and of the values of tags."""
    kinds: int
    """Signs of the kinds of which there is something."""
    nouns: Nouns
    """What else there might be."""

    def tells(self, noun: str) -> bool:
        """Whether there is evidence of what a noun says, by all of its words."""
        return all(word in self.words or word in _JOINTS for word in noun.lower().split())


def evidence_of(elements: Iterable[tuple[str, Tags]], nouns: Collection[str]) -> Evidence:
    """What elements are evidence of, by their nouns and tags. `nouns`: all that a policy of tags can call a thing."""
    every = tuple(elements)
    shown = [_shown(*each) for each in every]
    return Evidence(
        called=_called(frozenset(noun for noun, _ in every)),
        words=frozenset[str]().union(*(words for words, _ in shown)),
        kinds=reduce(or_, (kinds for _, kinds in shown), 0),
        nouns=_nouns_of(frozenset(nouns)),
    )


@lru_cache(maxsize=4096)
def _shown(noun: str, tags: Tags) -> tuple[frozenset[str], int]:
    """Of what is called so and has these tags, all words, and the signs of the kinds of which it is evidence."""
    parts = [noun, *(f"{key}={value}" for key, value in tags)]
    return frozenset(word for part in parts for word in _words_of(part)), reduce(or_, map(_supported, parts))


@lru_cache(maxsize=1024)
def _called(nouns: frozenset[str]) -> tuple[Noun, ...]:
    """What things are called, the longest first."""
    return tuple(map(noun_of, sorted((each for each in nouns if "=" not in each), key=lambda noun: (-len(noun), noun))))


def thing_problem(text: str, evidence: Evidence) -> str | None:
    """A thing of a text of which there is no evidence; None if there is none."""
    small = small_letters(text)
    for called in evidence.called:  # so that water is not found in a water tower that is there
        if small is None or called.letters is None or called.letters in small:
            text = called.pattern.sub("it", text)
    met = _OF_KINDS.of(text) & ~evidence.kinds
    for bit, kind in zip(_BITS, _EVERY, strict=True) if met else ():
        if met & bit:
            words = (each[0] for each in kind.words.finditer(text))
            strange = next((word for word in words if word.lower() not in evidence.words), None)
            if strange is not None:
                return strange
    letters = folded(text)
    for noun, part in evidence.nouns.within(text):
        found = whole_noun(noun).search(text) if part in letters and not evidence.tells(noun) else None
        if found is not None:
            return found[0]
    return None


@lru_cache(maxsize=4096)
def _words_of(part: str) -> tuple[str, ...]:
    """The words of a noun, or of the value of a tag."""
    return tuple(re.findall(r"[a-z]+", part.lower().rpartition("=")[2]))


@lru_cache(maxsize=4096)
def _supported(part: str) -> int:
    """The signs of the kinds of which a noun or a tag is evidence: there are few of those, and many captions."""
    return sum(bit for bit, kind in zip(_BITS, _EVERY, strict=True) if kind.evidence.search(part))


@dataclass(frozen=True, slots=True)
class Nouns:
    """What a policy of tags can call a thing, without the words of kinds."""

    order: tuple[tuple[str, str], ...]
    """The longest first, each with letters that are in it and in its plural."""
    by_first: Mapping[str, Sequence[int]]
    """Where they are among all, by what the first word may be of a text's that has one of them."""

    def within(self, text: str) -> Iterable[tuple[str, str]]:
        """Those that may be in a text, the longest first: of hundreds it has a few."""
        if not text.isascii():
            return self.order
        firsts = self.by_first.keys() & _RUN.findall(text.lower())
        return [self.order[index] for index in sorted({index for first in firsts for index in self.by_first[first]})]


_RUN = re.compile(r"\w+")


@lru_cache(maxsize=64)
def _nouns_of(nouns: frozenset[str]) -> Nouns:
    order = [noun for noun in sorted(nouns, key=lambda noun: (-len(noun), noun)) if not _is_kind(noun)]
    by_first: dict[str, list[int]] = {}
    for index, noun in enumerate(order):
        first = (_RUN.findall(folded(noun)) or [""])[0]
        for each in (first, f"{first}s", f"{first}es", f"{first[:-1]}ies"):
            by_first.setdefault(each, []).append(index)
    return Nouns(tuple((noun, _stem(noun)) for noun in order), by_first)


def _stem(noun: str) -> str:
    *head, last = folded(noun).split()
    if "of" in head:
        return " ".join([*head[1:], last])
    return " ".join([*head, last[:-1] if last.endswith("y") else last])


@lru_cache(maxsize=2**14)
def is_of_kind(word: str) -> bool:
    """Whether a word is one of those that are looked for, or a part of one."""
    return every_kind().fullmatch(word) is not None


@lru_cache(maxsize=1)
def every_kind() -> re.Pattern[str]:
    """Finds the words of all kinds."""
    return re.compile("|".join(f"(?:{kind.words.pattern})" for kind in _EVERY), re.IGNORECASE)


@lru_cache(maxsize=4096)
def _is_kind(noun: str) -> bool:
    """Whether a noun is a word of one of the kinds, which has been looked for."""
    return any(kind.words.fullmatch(noun) for kind in KINDS)
