"""The words that captions of patches may have beside those of the things that are there: all that say how something lies.

A model has thousands of words for what no picture shows in which a pixel is 0.6 m: seasons, weather, hours, people, traffic,
owners, purposes, years, sounds. They cannot be listed, but the words can that tell where and how large things are and how
they look from above. Colours are not among them: the map tells none but in tags, whose words may be said, and only who sees
the picture may tell others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import islice

from nutonic.rows.annotation.ground_words import HOLDING
from nutonic.rows.annotation.prompts import is_name
from nutonic.rows.annotation.talk import ENGLISH
from nutonic.rows.annotation.templates import EVERY
from nutonic.rows.annotation.things import KINDS

#: Verbs with regular endings.
_VERBS = """
abut accentuate accommodate accompany account add adhere adjoin adorn affix align allow alternate amount anchor angle appear
append approach arc arrange ascend assemble attach attain average avoid balance bear bend bifurcate bisect blanket bleed
blend blur border bound bow bracket branch break bring bunch buttress bypass cap capture carpet carry carve catch center
centre characterise characterize chart checker circle cling cloak close cluster coil coincide collect combine compare
complement complete compose comprise concentrate confine conform confront conjoin connect consist constitute contain
continue contrast contribute converge convey cordon correspond counter counterbalance cover create crisscross crop cross
crowd crown culminate cup curl curve dangle decorate define delimit delineate depart depict descend describe designate
detach detect detour deviate dictate differ diminish dip direct discern disperse display dissect distance distinguish
distribute diverge divide dominate dot double drape draw drift drop dwarf dwindle echo edge elbow elongate emanate
embrace emerge emphasise emphasize encircle enclose encompass encounter encroach end enfold enlarge enter envelop
environ equal establish etch evince exceed exclude exhibit exit expand extend face fan feature fence fill flank flare
flatten float flow focus follow fork form frame front funnel fuse gain garnish gather gird give glide grace group halve
hammer hedge hem hold hook host hover hug identify immerse impinge include incorporate indicate infer infill inscribe
inset integrate interlace interlink interlock intermingle interpose interrupt intersect intersperse intervene introduce
intrude invade isolate jog join jut juxtapose keep key kink lace lap lead lean leap leave lend lessen level lie line
link locate lodge loom loop loosen make mantle mark mass meander measure meet merge mesh mingle mirror mold mould narrow
neighbor neighbour nest nestle nip notch note notice number obscure observe occupy offer open organise organize orient
orientate originate ornament outflank outgrow outline outmeasure outnumber outsize overlap overlook overrun overshadow
overspread pack pair parallel part partition pass pattern pave peel pepper perch permeate persist pervade peter picture
pierce pile pinch place plot point pool position predominate press presume prevail proceed project protrude provide
punctuate puncture push quarter radiate rank reach recede recline recognise recognize rectify regard register relate
remain repeat represent resemble reside rest reveal revolve rim ring rise rival roll round rule run saturate scallop
scatter score screen seat seem segment separate serve set settle shadow shape share shift shoot show sit situate sketch
skirt slant slice slip sliver slope smear snake snuggle soften space span spear speckle spill spiral splay splinter
sport sprawl spread sprinkle spur square squeeze squiggle stack stagger stamp stand start stay steer stem stipple stitch
stop straddle straighten stray stretch strew strike string stripe structure stud subdivide succeed suggest sum support
surpass surround suspect swallow sweep swerve swing swoop tack tail tally taper tend terminate tessellate thin thread
throng tie tile tilt top total touch trace track trail transect transform transition transverse travel traverse trend
triangulate trickle trim tuck tuft tumble turn twist underline underscore undulate unfurl unite unroll unwind vary veer
venture vie view visualise visualize wander warp weave wend widen wind work wrap wriggle yield zag zig zigzag zip
disappear vanish
"""
#: Forms of verbs with other ones.
_IRREGULAR = """
aligned arranged become becomes becoming began begin beginning begins begun bent beset bisecting bore borne bound
bounded broke broken brought built came can caught clad clung come comes coming could crept curving cut cuts cutting did
dipped dipping do does doing done dot dots dotted dotting drawing drawn draws drew dropped dropping elongated exposed
fallen fed feed feeding feeds fell fit fits fitted fitting flung found gave get gets given go goes going gone held help
helps hemmed hemming hidden hide hides hugged hugging hung inlaid inset intersperse interwove interwoven jutted jutting
kept knit know known laid lain lay leant leapt led left let lets lined lining look looking looks made may meant met
might must need needs nestled oriented outdone overlaid overlain overran overrun perched pinned put puts ran reset
rimmed rimming rose rung running sandwiched sat say scattered see seeing seen sees set setting shaped should shown
shrunk sitting situated skimmed skimming slid slipped slipping slips slit spanned spanning split splits splitting spread
sprung spun stood stopped stopping strewn struck strung stuck studded studding sunk surrounded swept swerve swerves
swerving swollen swum swung taken taking tapering tell tells thrown told took tops trimmed trimming tucked tucking
underlain understood undertaken unfold unfolding unfolds upheld use used uses using want went will winding winds would
wound wove woven wrapped wrapping
"""
#: Nouns of parts, shapes and measures.
_NOUNS = """
abundance accent access accumulation addition agglomeration aggregate alignment amount angle annex aperture apex
appearance appendage approach arc arcade arch area arm arrangement array arrow article aspect assemblage assembly
assortment attribute axis backdrop background balance band bank bar base batch beginning belt bend bevel bisection
blanket blob block blotch body boomerang border bottom bound boundary bracket branch breadth brim brink buffer bulge
bulk bunch bundle camber canvas carpet cascade casing center centerpiece centre centrepiece chain character checkerboard
chessboard chevron chunk circle circuit circumference clearing clump cluster clutch collection column combination
companion company comparison compartment compass complement complex complexity component composition concentration cone
configuration confine confluence conglomeration connection constellation continuation continuity continuum contour
contrary contrast convergence core corner corridor counterpart counterweight course coverage cranny crescent crook cross
crossing crossroad crowd curl curtain curvature curve cut degree density detail detour deviation diagonal diameter
differential dimension dip direction disc disk dispersal display disposition distance distinction distribution district
diversity divide divider division dogleg dominance dot duo edge eighth elbow element ellipse emphasis enclave enclosure
end ending ensemble entirety envelope environment equivalent estate exception exit expanse expression extension extent
exterior extra extremity eye fabric facility fan fashion feature fifth figure fill finger finish flank flanker fleck
focus footprint foreground fork form formality formation fraction fragment frame framework fringe frontage fusion gap
gathering geometry girdle glance glimpse gradient grid ground group grouping guide half halfway hallmark halo hand
handful heading heart height hem hierarchy hint hollow hook horizon hub image impression inclination inclusion
indentation infill inlet insertion inset instance instep interior intersection interval inventory island isthmus item
jigsaw jog join joint junction juxtaposition kind kink knob knot land landmark landscape lattice layer layout leg length
lens letter level limb limit line lining link list lobe locality location locus look loop loss lot mainstay majority
manner margin mark mass maze meander measurement medium member merger mesh middle midpoint midsection midst mile minimum
minority mirror mix mixture mode moiety morphology mosaic multitude nature neck necklace neighbor neighbour nest network
niche ninth node nook notch note notion nub number object oblong occurrence offset offshoot onset opening order
organisation organization orientation orthogonal outcrop outer outlier outline oval overlap overview pair panel panorama
parallel parallelogram parcel part partition passage patch patchiness patchwork path pattern peninsula percentage
perimeter periphery perspective photo photograph picture piece pinch pivot place plan plane platform plot plurality
pocket point pole polygon portion position predominance presence prism profile projection prominence prong proportion
proximity puzzle quadrant quantity quarter quartet range rank rarity ratio ray reach rear recess rectangle reference
region relation relationship remainder remnant resemblance respect rest reversal rhythm rib ribbon rim ring rise route
row rung sample scale scatter scattering scene scope screen seam section sector segment selection semicircle sense
separation sequence series setback setting seventh shaft shape share shell sibling side sight silhouette singleton site
situation sixth size skein sketch slab slant slice slit sliver slope slot smattering snippet source space spacing span
specimen speck spine spiral splinter splotch spoke spot spread sprinkling spur square stack staple statement stem step
stretch string strip stripe stroke structure stub style subject subset substance succession sum supplement surface
surrounding surroundings swath swathe sweep swirl symmetry tail tandem tangle tapestry tendril tenth terrain territory
texture theme thickness thing third thread tier tightness tile tip tongue top topography total tract trail transition
trapezium trapezoid trend triangle trio trunk tuft turn twelfth type undulation uniformity unit unity usage use variance
variation variety veil verge vertex vicinity view viewer viewpoint visibility volume wall way weave web wedge whole
width wing yoke zone
"""
#: All other words.
_OTHERS = """
abrupt abruptly absolutely accessible accordingly acre acres across additionally adjacent adjacently adjoining aerial
aesthetic afar afterwards again aggregate agricultural akin albeit aligned alike all-encompassing allegedly almost alone
along alongside already although altogether amid amidst amongst amorphous ample analogous angled angular anticlockwise
anybody anyone anything apart apiece apparent apparently appear approx approximate approximately arched arcuate arguably
around arrow-straight as aside assorted assuredly asymmetric asymmetrical atop auxiliary averagely away axial back
backed backward backwards basic because before beforehand behind below beneath beside besides between beyond big bigger
biggest bilateral bit blocky bold bordering both bottom-left bottom-right bowed boxlike boxy broad broader broadest
broadly broadside built bulky bunched bundled called calm calmly capacious carriageway-wide cellular cent centermost
central centrally certain chequered chief chiefly circa circular circularly clean-cut clear clear-cut clearly clockwise
close closely closer closest clustered coarse coarse-grained cobbled coherent coherently collectively collinear colossal
combined common commonest compact compactly comparable comparably comparative comparatively compared comparing
compartmentalised compartmentalized complementary complete completely complex comprehensive concave conceivably
concentric concerning concurrent confined congruent conjoined consecutive consequently considerable considerably
considerate considering consistent consistently conspicuous conspicuously constant contiguous continual continuous
continuously contoured contrary contrasting contrastingly conversely convex convoluted cornered corresponding
counterclockwise couple crisp criss-cross crooked crosswise cuneiform curiously curvaceous curved curvilinear curvy cut
cut-off dead dead-straight decidedly decisive deep-set defined definite definitely delicate demonstrably dense densely
despite detached detailed diagonal diagonally diagonalwise diametrically different differently differing diffuse
diffusely dignified diminutive direct directly discernible discernibly disconnected discrete disjointed disparate
dispersed disproportionate dissimilar distant distended distinct distinctive distinctively distinctly divergent diverse
divided dominant dominantly double down downward downwards dozen dozens dual due dwarfish e.g. easier easily east
east-west eastbound easterly eastern easternmost easy effectively eight eighteen eighths eighty either elegant elegantly
eleven eleventh elliptical elongated else elsewhere eminently encircled enclosed end-to-end enormous enormously enough
ensuing entire entirely equal equally equidistant equivalent erratic especially essentially estimated etc even evenly
eventual eventually ever every everyone everything evident evidently evocation evocative exact exactly except
exceptional exceptionally exclusive exclusively expansive expect expected expressive extended extensive extensively
exterior external extra extraordinarily extreme eye-catching facing faint faintly fairly familiar far farther
farthermost farthest favourably feet few fewer fifteen fifteenth fifteenths fifths fifty filament-like filigree final
finally fine fine-grained fingered firmly first fittingly five fixed flat flattened flush focal foot foremost forked
former forth forty forward forwards four four-sided fourfold foursquare fourteen fractional fragmentary fragmented free
free-form free-standing freestanding frequent frequently front frontal frontward full full-height full-length full-width
fully further furthermore furthest generally generous generously gentle gently geometric geometrical geometrically giant
gigantic given graceful gracefully gracious gradational gradual gradually grandly granular gravelled great greater
greatest greatly grid-like gridded grouped grow growing grows ha hairline half-moon half-way halfway halves handsome
handsomely haphazard haphazardly hard hardly harmonious harmoniously head-on hectare hectares hefty hence here hereby
herein high-angle highly hollow hook-shaped horizontal horizontally however huge hugely humble hundred hundreds i.e.
identical identifiable immeasurably immediate immediately immense imperceptibly imposing imprecise impressive in
in-between incidentally incipient includes including inconspicuous inconspicuously indeed indented individual
individually inlaid inner innermost inordinately inside insignificant instead insular intact integral integrated
interconnected interesting interlinked interlocking intermediate intermittent intermittently intermixed internal
interposed interspersed interwoven intricate intricately intriguing invariably inversely inverted inward inwardly
inwards irregular irregularly isolated jagged joint jointly judging just juxtaposed key kidney-shaped kilometer
kilometers kilometre kilometres km knobbly l-shaped lacy laid-out lanky large largely larger largest lastly lateral
laterally latter leading lean least left left-hand leftmost leftward leftwards lengthways lengthwise lengthy less lesser
lesser-sized lest like likely likewise lineal linear linearly lined list listed listing lists little lobed local lone
long longer longest longitudinal longitudinally looks loose loosely low lower lowermost lowest m main mainly major
manifest manifestly many marginal marginally marked markedly massed massive massively maximal maximum meager meagre
meandering meanwhile measurable measured medium medium-sized mere merely meter meters metre metres mid mid-point
mid-section mid-sized middle middle-sized middlemost midst might mighty mildly mile miles million miniature minimal
minor minute mirrored misaligned mixed moderate moderate-sized moderately modest modestly modular monolithic monotonous
monumental more moreover most mostly much multi-part multi-sided multi-stranded multifaceted multiple multitudinous
mutual naked name named namely narrow narrower narrowest natural natural-looking naturally near nearby nearer nearest
nearly neat neatly neighboring neighbouring neither never nevertheless next nicely nine nineteen ninety ninths no none
nonetheless nor north north-facing north-south northbound northeast northeasterly northeastern northerly northern
northernmost northmost northwest northwesterly northwestern not notable notably noteworthy nothing noticeable noticeably
notwithstanding now numerous oblique obliquely oblong observer obtuse obvious obviously occasional occasionally of off
offset oft often once one one's one-off onlooker only onto open open-ended open-sided opposing opposingly opposite
optically or orderly ordinary organic organically organised organized oriented original orthogonally other others
otherwise ought ours out outer outermost outlined outlying outright outside outsized outstanding outward outwardly
outwards over overall overarching overhead overlapping overlooking overly overriding overwhelming overwhelmingly pair
paired pairs palpable panoramic parallel part-way partial partially particular particularly partitioned partly patchily
patchy paved-over peaceful peacefully peculiar pencil-straight pencil-thin peninsular peppered per per-cent percent
percentage percentages perceptible perceptibly perfect perfectly perhaps peripheral perpendicular perpendicularly
pervasive petite picturesque piecemeal pinched pivotal plain plainly planar planted plausibly pleasing pleasingly plus
pointed pointy polygonal potential practically precise precisely predominant predominantly predominately predominating
present presumably prevailing prevalent previous primarily primary principal principally probable probably prolonged
prominent prominently pronounced proper proportional proportionally proportionate proportionately protracted provided
providing proximal puny purely quadrangular quadratic quadrilateral quarter-circle quarters quick quickly quiet quietly
quite quite-straight radial radially ragged rambling random randomly rangy rare rarely rarer rather reader readily ready
real rear rearmost reasonably reciprocal recognisable recognisably recognizable rectangular rectilinear reduced
regarding regardless regular regularly regularly-shaped related relative relatively remainder remaining remarkable
remarkably reminiscent remote repeated repeatedly repetitive respective respectively restrained restricted reverse
rhythmic rhythmically ribbon-like right right-angled right-hand rightmost rightward rightwards rippling robust room
rough roughly round rounded rounding ruler-like ruler-straight run s-shaped same saw-toothed scalloped scant scanty
scarce scarcely scattered schematic seamless seamlessly second secondary seeming seemingly segmented selfsame
semi-circular semi-detached semi-enclosed semicircular separate separated separately sequential serene serenely serial
serpentine serried set seven seventeen sevenths seventy several several-fold severally shapeless shapely shared sharp
sharply sheer shore short short-ish shorter shortest side-by-side sideways significant significantly similar
similar-sized similarly simple simplest simply simultaneous since single single-file singular sinuous sinuously six
sixteen sixths sixty sizable sizably sizeable sized slanted slanting slender slender-looking slenderest slight slightly
slim slimmer slit-like slivered small small-scale smaller smallest smallish smooth smoothly snaking snugly so soft
soft-edged softly sole solely solid solidly solitary some something somewhat somewhere south south-facing southbound
southeast southeasterly southeastern southerly southern southernmost southwest southwesterly southwestern spaced
spacious sparing sparingly sparse sparsely sparser spatial spatially speckled spindly spiral spiralling splayed
sprawling spread-out sprinkled sq square square-shaped squarish staggered standalone stands stark starkly stay staying
stays steadily steady stepped still stippled straggling straggly straight straight-edged straight-sided straighter
straightest straightforward straightforwardly straightly streaky streamlined stretched strict strictly striking
strikingly string-like strip-like striped strong strongly structured stubby studded stumpy sturdy stylised stylized
subdivided subordinate subsidiary substantial substantially substantive subtle subtly such suggestive summarised
summarized summary summing superficial superior supplementary supporting supposedly surely surprising surprisingly
surrounding sweeping swirling symmetric symmetrical symmetrically tangential tangled tapered tapering taut telling ten
tenfold tenths tenuous terminal than thanks that the then there thereabouts thereby therefore therein thereof these they
thick thicker thickest thin thin-looking thinly thinner thinnest third thirds thirteen thirty this thorough thoroughly
those though thousand thousands thread-like three three-quarters three-sided threefold thrice through throughgoing
throughout thus tidy tight tightly tightly-packed tilted times tiny tip tip-to-tip to together tongue-shaped too top
top-down top-left top-right topmost tort tortuous toward towards tract-like trailing tranquil transitional transverse
transversely trapezoidal tree-edged tree-fringed triangular trifling triple triply trivial truncated tucked tuft-like
twelfth twelve twentieth twentieths twenty twice twice-sized twin twisting two two-fold two-part two-sided two-thirds
twofold typical typically u-shaped ubiquitous ultimately unaligned unambiguous unassuming unbending unbent unbounded
unbroken under underlying underneath undeviating undivided undoubtedly undulating unequal unequally unequivocal
unequivocally uneven unevenly unfragmented uniform uniformly uninterrupted uninterruptedly unique universal unless
unlike unmistakable unmistakably unobstructed unobtrusive unobtrusively unpretentious unremarkable unstructured until
unusual unusually unvarying up upon upper uppermost upright upward upwards us usual usually utterly vague vaguely
variable variably varied varied-looking various varying vast veritable versus vertical vertically very via vice virtual
virtually visible visibly visual visually voluminous vs waisted wandering was waterfront waterline waterside wavy we
web-like wedge-like wedge-shaped weighty well well-defined well-equipped well-marked well-ordered well-proportioned
well-shaped well-spaced west west-facing westbound westerly western westernmost westmost what whatever when where
whereas whereby wherein whereupon wherever whether which while who whole wholeheartedly wholesale wholly whom whose why
wide wide-open widely wider wider-ranging widespread widest wiggly with within without worm-like worth worthy x yard
yards yet you your yours zero zigzagging zoned
"""

#: What a picture shows and no map tells: colours, light and the look of surfaces.
_SEEN = """
beige black blackish blue bluish bright brighter brightest brightly brown brownish color colored colors colour coloured
colours cream dark darker darkest darkly dull earthy faded golden gray grayish green greener greenish grey greyish hue
hued hues light lighter lightest mottled muted ochre olive orange pale paler palest red reddish rust rusty shade shaded
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
#: Those that may be said wherever they stand.
_ALONE = PLAIN.difference(_NOT_TOGETHER, _FALSE)
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
    for number, told in enumerate(_WORD.findall(text)):  # where one stands is asked of few of them
        word = told.lower()
        if word in _ALONE:
            continue
        word = word.replace("’", "'")
        false = _FALSE.get(word)
        if word in _NOT_TOGETHER or (false is not None and not is_known(word) and _is_so(false, text, number)):
            return str(told)
        if word in PLAIN or word in more or _SHAPE.match(word) or is_known(word):
            continue
        parts = word.removesuffix("'s").split("-")
        if all(part in PLAIN or part in more or is_known(part) for part in parts):
            continue
        start, _ = _span(text, number)
        if not any(name.start() <= start < name.end() for name in phrases.finditer(text)):
            return str(told)
    return None


def _is_so(pattern: re.Pattern[str], text: str, number: int) -> bool:
    """Whether the word of this number is found in its place."""
    start, end = _span(text, number)
    return pattern.search(text, max(0, start - 12), end + 8) is not None


def _span(text: str, number: int) -> tuple[int, int]:
    return next(islice(_WORD.finditer(text), number, None)).span()


def singulars(word: str) -> tuple[str, ...]:
    """A word, what it may be the plural of, and its own plural, where a thing is called by that."""
    if not word.endswith("s"):
        return word, f"{word}s"
    more = (f"{word[:-3]}y",) if word.endswith("ies") else (word[:-2],) if word.endswith("es") else ()
    return word, word[:-1], *more


#: Words that may have a capital within a sentence, and are no names.
_CAPITALS = frozenset(
    """north south east west northern southern eastern western northeast northwest southeast southwest central upper lower
    earth english american european victorian gothic h l s t u v x y z""".split()  # noqa: SIM905
)

_MEASURES = frozenset("metre metres kilometre kilometres hectare hectares square percent quarter half".split())  # noqa: SIM905


@lru_cache(maxsize=64)
def names_of_none(nouns: frozenset[str]) -> frozenset[str]:
    """Words that are names nowhere, and those of some nouns."""
    return _of_kinds() | _CAPITALS | ENGLISH | frozenset(word for noun in nouns for word in words_of(noun))


@lru_cache(maxsize=8192)
def words_told(noun: str, tags: tuple[tuple[str, str], ...], *, keys: bool) -> frozenset[str]:
    """The words of a noun, and of the values of tags that are no names; by wish of their keys too."""
    told = [value for key, value in tags if not is_name(key)]
    told += [key for key, _ in tags if not is_name(key)] if keys else []
    return frozenset(word for part in (noun, *told) for word in words_of(part))


@lru_cache(maxsize=4096)
def words_of(part: str) -> tuple[str, ...]:
    """The words of a noun, or of a key or a value of a tag."""
    return tuple(re.findall(r"[a-z]+", part.lower()))


@lru_cache(maxsize=1)
def _of_kinds() -> frozenset[str]:
    """The plain words of the kinds of things, and those that pictures are described with: a shop may be called Scene."""
    parts = [*(kind.words.pattern for kind in KINDS), *(wording for each in EVERY for wording in each)]
    return _MEASURES | {word for part in parts for word in re.findall(r"[a-z]{3,}", part.lower())}
