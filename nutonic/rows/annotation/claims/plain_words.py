"""The words that captions of patches may have beside those of the things that are there: all that say how something lies.

A model has thousands of words for what no picture shows in which a pixel is 0.6 m: seasons, weather, hours, people, traffic,
owners, purposes, years, sounds. They cannot be listed, but the words can that tell where and how large things are and how
they look from above. Colours are not among them: the map tells none but in tags, whose words may be said, and only who sees
the picture may tell others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from nutonic.rows.annotation.ground_words import HOLDING
from nutonic.rows.annotation.talk import ENGLISH

#: Verbs with regular endings.
_VERBS = """
accentuate accommodate capture accompany add adjoin align allow anchor appear approach arc arrange balance bend blanket blend
border bound bracket branch break bring bypass cap carry carve catch center centre characterise characterize circle
cling cluster combine complement complete compose comprise concentrate connect consist constitute contain continue
contrast contribute correspond cover create cross crown culminate curve define delimit delineate describe
depart depict detach
differ dip display dissect distance distinguish distribute diverge divide dominate draw drift echo edge embrace emerge
encircle enclose encompass encounter end enter establish etch exceed exit expand extend face fan feature fill flank
flow follow fork form frame gather give grace group hem host hug identify immerse include incorporate indicate
interrupt intersect introduce isolate join jut juxtapose keep lace lap lead leap leave lend lie line link locate loom
loop make mark meander measure meet merge mingle mirror narrow neighbor neighbour nestle note notice observe occupy
offer open orient orientate originate outline overlap parallel pass pave perch persist peter place point pool position
proceed protrude provide punctuate puncture radiate reach recede recognise recognize remain represent resemble reside
rest reveal ring rise round run scatter seem segment separate serve settle shape share shift show sit situate skirt
slant slice slope snake soften space span spill sport sprawl spread stagger stand start stem stitch straddle
straighten stray stretch structure suggest support surround sweep swing tail taper terminate thread tie touch trace
trail transition travel traverse trend tuck turn twist undulate vary veer venture view visualise visualize wander
weave wend widen wind work wrap yield zigzag zip
"""
#: Forms of verbs with other ones.
_IRREGULAR = """
aligned arranged become becomes becoming began begin beginning begins begun bound bounded broke broken brought came
can caught come comes coming could curving cut cuts cutting did do does doing done dot dots dotted dotting drawing
drawn draws drew elongated exposed fallen fed feed feeding feeds fell felt found gave get gets given go goes going
gone held help helps hidden hide hides hugged hugging kept know known laid lain lay led left let lets lined lining
look looking looks made may met might must need needs nestled oriented perched put puts ran rung running sandwiched
sat say scattered see seeing seen sees set setting shaped should shown sitting situated slit split splits splitting
spun stood stuck surrounded swept swerve swerves swerving swung taken taking tapering tell tells thrown told took
tucked tucking unfold unfolding unfolds use used uses using want went will winding winds would wound wove woven
wrapped wrapping
"""
#: Nouns of parts, shapes and measures.
_NOUNS = """
accent access addition alignment angle appearance arc arch area arm arrangement array aspect axis backdrop background
balance band bank base bend block body border bottom boundary breadth bulge bulk center centre chain character circle
cluster collection column combination complex component composition concentration configuration confine connection
contour contrast core corner corridor counterpart course coverage crescent cross crossing curvature curve degree
density detail diagonal diameter dimension direction display distance distribution diversity divide division edge
eighth element ellipse end entirety environment expanse extension extent extremity eye fabric facility feature fifth
figure flank focus footprint foreground form formation fraction fragment frame framework fringe gap geometry glance
ground group grouping half hallmark hand heart height hint image impression indentation instance interior intersection
interval junction kind land landmark landscape layout length level limit line link location loop majority manner
margin mark mass middle mix mixture mosaic multitude nature neighbor neighbour network ninth note number object
opening orientation outline oval overview parallel parcel part patch patchwork pattern perimeter periphery perspective
photo photograph picture piece place plan plot pocket point portion position presence proportion proximity quadrant
quarter range rectangle region relation relationship remainder rest ribbon ring route row scale scattering scene
section sector segment selection sense separation sequence series setting seventh shape share side sight silhouette
site situation sixth size slice slope slot space spacing span spot spread square stretch strip structure style subject
surface surrounding surroundings swath swathe sweep tail tenth texture theme thing third tip top topography total
tract transition triangle turn twelfth type unit usage use variation variety vertex vicinity view viewer viewpoint
visibility way wedge whole width zone
"""
#: All other words.
_OTHERS = """
times called named name percent lower upper stands
abrupt abruptly absolutely accessible acre acres across additionally adjacent adjacently adjoining aerial afar
afterwards again agricultural aligned alike almost alone along alongside already altogether amid amidst amongst ample
angled angular anybody anyone anything apart apparent apparently approximate approximately arched around as aside atop
away back basic because before behind below beneath beside besides between beyond big bigger biggest bit blocky bold
bordering both bottom-left bottom-right broad broader broadest broadly built bulky calm calmly cent centermost central
centrally certain chief chiefly circular clear clear-cut clearly close closely closer closest coherent coherently
compact comparable comparably comparatively complete completely complex comprehensive considerable considerably
consistent consistently conspicuous conspicuously constant contiguous continuous continuously contrary conversely
corresponding couple crisp curved curvilinear curvy cut defined definite dense densely detached detailed diagonal
diagonally different differently diffuse direct directly discernible discernibly disconnected discrete dispersed
distant distinct distinctive distinctively distinctly diverse dominant dominantly double down downward downwards dozen
dozens due easier easily east east-west easterly eastern easternmost easy eight eighteen eighths eighty either eleven
elliptical elongated else elsewhere enclosed enough entire entirely equal equally especially essentially even evenly
ever every everyone everything evident evidently exact exactly except expansive expect expected extended extensive
extensively exterior external extreme facing faint fairly familiar far farther farthest feet few fewer fifteen fifths
fifty final finally fine first five flat focal foot foremost former forth forty four fourteen fragmented freestanding
frequent frequently front full fully further furthermore furthest generally gentle gently geometric geometrical
geometrically gradual gradually great greater greatest greatly grow growing grows ha half-moon half-way halfway halves
hard harmonious harmoniously hectare hectares hence here high-angle highly hook-shaped horizontal horizontally however
hundred hundreds identical identifiable immediate immediately immense impressive in in-between indeed individual
individually inner inside instead interconnected interesting intermediate internal intricate inward inwards irregular
irregularly isolated jagged just key kidney-shaped kilometer kilometers kilometre kilometres km l-shaped large largely
larger largest lastly lateral laterally latter leading least left left-hand leftmost lengthways lengthwise less lesser
like likely linear linearly little local long longer longest longitudinal longitudinally loose loosely low lowermost
lowest m main mainly major many maximum mere merely meter meters metre metres mid mid-section middle middlemost might
mile miles million minimal minor minute moderate moderate-sized moderately modest modestly more moreover most mostly
much multi-part multiple mutual naked namely narrow narrower narrowest natural naturally near nearby nearer nearest
nearly neat neatly neighboring neighbouring neither never nevertheless next nicely nine nineteen ninety ninths no none
nor north north-south northeast northeasterly northeastern northerly northern northernmost northmost northwest
northwesterly northwestern not notable notably noteworthy nothing noticeable noticeably now numerous oblique obliquely
oblong observer obvious obviously occasional occasionally of off often once one one's one-off onlooker only onto open
opposing opposite or orderly ordinary organic organically organised organized oriented original other others otherwise
ought ours out outer outlying outside outward outwards over overall overhead overlooking own pair paired pairs
parallel partial partially particular particularly partly peaceful peacefully per percentage percentages perfect
perfectly perhaps peripheral perpendicular perpendicularly plain plainly planar planted plus pointed polygonal
potential predominant predominantly predominately present previous primarily primary principal principally prominent
prominently pronounced proper proportionate proportionately quarters quick quickly quiet quietly quite random randomly
rather reader ready real rear recognisable recognizable rectangular rectilinear regular regularly related relative
relatively remaining remarkable remarkably remote respective respectively ribbon-like right right-angled right-hand
rightmost rough roughly round rounded rounding run s-shaped same scant scattered seamless seamlessly second secondary
seemingly semicircular separate separately serene serenely serpentine seven seventeen sevenths seventy several shared
sharp sharply sheer shore short shorter shortest sideways significant significantly similar similarly simple simply
since single single-file singular sinuous six sixteen sixths sixty sizable sizeable sized slanted slanting slender
slight slightly slim slimmer small small-scale smaller smallest smooth smoothly snugly so soft softly sole solely
solid solitary some something somewhat somewhere south southeast southeasterly southeastern southerly southern
southernmost southwest southwesterly southwestern spacious sparse sparsely spatial spatially sprawling sq square
squarish standalone steadily steady still straight straightforward straightforwardly straightly strict strictly
striking strikingly structured sturdy substantial substantially subtle subtly such surrounding symmetric symmetrical
symmetrically tapered tapering ten tenths than that the then there therefore these they thin thinner third thirds
thirteen thirty this thorough thoroughly those though thousand thousands three three-quarters through throughout thus
tidy tight tightly tilted tiny to together too top top-down top-left top-right topmost toward towards tranquil
transverse transversely trapezoidal triangular tucked twelve twenty twin twisting two two-part two-thirds typical
typically u-shaped unbroken under underlying underneath uneven unevenly uniform uniformly uninterrupted unique
unmistakable unobstructed until up upon upper uppermost upright upward upwards us usual usually varied various varying
vast vertical vertically very via visible visibly visual visually was waterline wavy we wedge-shaped well well-defined
west westerly western westernmost westmost what whatever when where whereas wherever whether which while who whole
wholesale wholly whom whose why wide wide-open widely wider widespread widest with within without yard yards yet you
your yours zero
"""

#: What a picture shows and no map tells: colours, light and the look of surfaces.
_SEEN = """
beige black blackish blue bluish bright brighter brightest brightly brown brownish color colored colors colour coloured
colours cream dark darker darkest darkly dull earthy faded golden gray grayish green greener greenish grey greyish
hue hued hues light lighter lightest mottled muted ochre olive orange pale paler palest red reddish rust rusty shade shaded
shades shading shadow shadowed shadows shadowy silver silvery speckled tan teal textured tint tinted tints tone toned
tones turquoise vivid white whitish yellow yellowish
"""


def _inflected(verb: str) -> Iterable[str]:
    """A verb with its endings, as most verbs have them."""
    stem = verb[:-1] if verb.endswith("e") else verb
    third = f"{verb}es" if re.search(r"(?:s|sh|ch|x|z)$", verb) else f"{verb}s"
    if re.search(r"[^aeiou]y$", verb):
        return verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"
    return verb, third, f"{stem}ed", f"{stem}ing"


def _plural(noun: str) -> str:
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(?:s|sh|ch|x|z)$", noun) else f"{noun}s"


#: All of them, in small letters.
PLAIN = frozenset(
    [
        *ENGLISH,
        *HOLDING,
        *(form for verb in _VERBS.split() for form in _inflected(verb)),
        *_IRREGULAR.split(),
        *(form for noun in _NOUNS.split() for form in (noun, _plural(noun))),
        *_OTHERS.split(),
    ]
)

#: What may be said besides by who sees the picture.
SEEN = frozenset(_SEEN.split())

#: Words of the compass, which are judged by where things lie, and shapes of letters.
_SHAPE = re.compile(r"(?:north|south|east|west)|[a-z]-shaped$")
#: Words whose parts may be said, and they not; and words that may be said but in these places.
_NOT_TOGETHER = frozenset({"one-way", "two-way", "man-made"})
_FALSE = {
    "wind": re.compile(r"\b(?:the|a|an|of|strong|gentle|by) wind\b", re.IGNORECASE),
    "winds": re.compile(r"\b(?:the|strong|gentle|by) winds\b", re.IGNORECASE),
    "closed": re.compile(r"\bclosed\b(?! (?:loop|curve|ring|shape|circ))", re.IGNORECASE),
}
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def word_problem(
    text: str, is_known: Callable[[str], bool], phrases: re.Pattern[str], more: frozenset[str]
) -> str | None:
    """The first word of a text that tells what nobody knows; None if there is none.

    Parameters
    ----------
    is_known
        Of a word in small letters that is not among :data:`PLAIN`, whether it speaks of what is there.
    phrases
        Names of several words, whose words alone say something else: a playing field.
    more
        Other words that may be said.
    """
    for found in _WORD.finditer(text):
        word = found[0].lower().replace("’", "'")
        false = _FALSE.get(word)
        lies = (
            false is not None and not is_known(word) and false.search(text, max(0, found.start() - 12), found.end() + 8)
        )
        if word in _NOT_TOGETHER or lies:
            return found[0]
        if word in PLAIN or word in more or _SHAPE.match(word) or is_known(word):
            continue
        parts = word.removesuffix("'s").split("-")
        if all(part in PLAIN or part in more or is_known(part) for part in parts):
            continue
        if not any(name.start() <= found.start() < name.end() for name in phrases.finditer(text)):
            return found[0]
    return None
