"""The words that captions of land cover have in a model's mouth, and what each kind of them claims."""

from __future__ import annotations

import re

#: What classes may be called beside their nouns, by letters that are in these.
CALLED = (
    (r"\bwater", "water|waters|open water|bodies of water|water bodies|body of water|waterbody|waterbodies"),
    (r"\btrees?\b|\bforest", "tree|trees|tree cover|tree-covered land|woodland|woodlands|wooded land|forest|forests|woods"),
    (r"\bgrass|\bherbaceous\b", "grass|grasses|grassland|grasslands|grassy land"),
    (r"\bcrop|\bcultivated|\bfarmland|\bagricult", "crop|crops|cropland|croplands|farmland|fields|cultivated land"),
    (r"\bshrub|\bscrub", "shrub|shrubs|shrubland|shrublands|scrub|scrubland|bushes"),
    (r"\bbuilt|\burban|\bartificial", "built-up|built-up land|built-up area|built-up areas|built area|built areas|built land"
     "|urban land|urban area|urban areas|developed land|buildings"),
    (r"\bbare|\bbarren", "bare land|bare ground|bare soil|bare earth|bare|barren land|barren ground"),
    (r"\bsnow|\bice\b", "snow|ice|snow and ice"),
    (r"\bflooded", "flooded vegetation|flooded land|flooded plants"),
    (r"\bwetland", "wetland|wetlands|marsh|marshland"),
    (r"\bmangrove", "mangrove|mangroves"),
    (r"\bmoss|\blichen", "moss|mosses|lichen|lichens"),
    (r"\bcloud", "cloud|clouds"),
)  # fmt: skip

#: Words that hold a caption together, and claim nothing of which the counts know otherwise.
HOLDING = frozenset(
    """a an the this that for toward towards these those it its itself they their them there here of in on at by to from
    with within into over across among and or but while whereas as well also too both each another other others
    along together total altogether additional additionally further furthermore besides addition moreover meanwhile
    finally next then such so than is are was be being been has have having can could may which where when if one
    what who whose cover covers covered covering fill fills filled filling occupy occupies occupied occupying take
    takes taken taking up make makes made making out form forms formed forming account accounts accounting comprise
    comprises comprising comprised consist consists consisting include includes including included contain contains
    containing contained hold holds held holding show shows showing shown reveal reveals revealing display displays
    displaying present presents presented presenting feature features featuring featured depict depicts depicting
    lie lies lying laid find finds found see sees seen visible view views viewed appear appears appearing spread
    spreads spreading stretch stretches stretching extend extends extending run runs running reach reaches reaching
    sit sits sitting stand stands standing situated located positioned placed set come comes coming concentrated
    clustered grouped gathered confined limited remain remains measuring measure measures span spans spanning belong
    belongs claim claims claiming represent represents representing constitute constitutes constituting contribute
    contributes share shares sharing divided split arranged follow follows following complete completes completing
    add adds adding give gives giving get gets offer offers noted note turn turning look looking looks recognised
    recognise recognises recognisable distributed picture pictures image images scene scenes frame photograph area
    areas ground land landscape surface surfaces terrain region regions square satellite aerial overhead above space
    bird's eye overview extent tract tracts patch block blocks zone expanse expanses piece portion portions part
    parts side sides section sections mosaic patchwork mixture mix blend combination kind kinds type types class
    classes variety varied various different diverse mixed about roughly around approximately nearly almost just
    circa approx quite rather fairly clearly easily overall generally notably respectively proportion percentage
    amount amounts quantity number size sized measured directly down glance brief briefly short put way all-in-all
    compared terms order rank ranks ranked opposite far same own very still yet even though although thus hence only
    places place likewise nearest apart things accompanied practically interrupted sets character strip after else
    shared descending belt band edge edges corner corners interior away border borders heart tucked inner clear list
    ends bulk smaller somewhat alongside blends heterogeneous several quadrant quadrants through divide divides
    common uncommon single
    """.split()  # noqa: SIM905
)

#: Nothing is said not to be there: of what a mask shows a caption tells what there is.
DENIED = re.compile(
    r"no|not|nor|neither|none|without|lacks?|lacking|lacked|absent|absence|devoid|free|missing|nothing|never|hardly|barely|"
    r"scarcely|cannot|cleared|void|empty|\w+n['’]t|few|fewest"
)

#: More than half of it, or the most of it.
HALF = (
    r"dominat\w+|dominant|predominan\w+|predominates?|mostly|mainly|primarily|largely|chiefly|principally|majority|bulk|"
    r"for the most part|most of(?! all)|(?<!the )most(?= (?:is|are)\b|[,.)])"
)
FIRST = (
    r"the most(?=[,.])|"
    r"prevail\w*|above all|most of all|most (?:common|widespread|extensive|abundant|frequent)(?: first)?|rules?|"
    r"largest(?: first| of all)?|greatest|biggest|main|principal|primary|chief|leading|leads?|led|foremost|"
    r"(?:comes?|ranks?|stands?) first|first|from (?:the )?(?:most|largest) to (?:the )?(?:least|smallest)"
)
LAST = r"smallest|least (?:common|widespread|extensive|abundant|frequent)|rarest|least"
SECOND = r"second(?: (?:largest|most (?:common|widespread|extensive)))?|second-largest"
#: All of it; ``only`` of a number or of something small says that it is little.
ALL = (
    r"all|entire|entirely|whole|wholly|alone|exclusively|solely|everything|every|completely|fully|"
    r"uniform|uniformly|purely|pure|totally|only(?! (?:an?|about|around|roughly|some|small|minor|modest|\d))"
)
#: All of it, or nearly: of words that deny other classes without a name.
LITTLE_ELSE = (
    r"little (?:(?:else|other) than|but)|(?:hardly|barely|scarcely) anything (?:but|other than)|nearly nothing but"
)
#: Behind a share: half of it or more.
OR_MORE = re.compile(r"(?: of [a-z ]{1,20})? or more\b", re.IGNORECASE)
#: In which half or quarter, by its edge.
NEAREST = re.compile(r"\b(half|third|quarter|side) nearest (?:to )?the (top|bottom|left|right)\b", re.IGNORECASE)
#: In most parts of the picture.
SPREAD = (
    r"scattered|dispersed|throughout|everywhere|(?:from )?edge to edge|over the whole (?:frame|view|scene)|"
    r"(?:spread across|(?:in|across|over) most parts of) the (?:image|picture|scene|view|frame)"
)
#: The third of the picture between two others, by the side along which it is the middle.
MIDDLE_OF_SIDES = r"(?:centre|middle|central)(?: third)? (?:of the )?(?:height|width)"
#: What is left beside that which was told.
REST = r"rest|remainder|remaining|elsewhere"
SMALL = (
    r"some|traces?|small|minor|modest|tiny|little|slight|narrow|scant|minimal|minority|lesser|smaller|less|secondary"
)
LARGE = r"large|vast|extensive|broad|wide|substantial|considerable|big|significant|sizeable|larger|greater"
#: Comparisons of what stands before with what follows: as more, and as less.
MORE_THAN = r"exceeds?|exceeding|outweighs?|outnumbers?|ahead of|followed by|prevails? over|prevailing over"

_SIDE = (
    r"(?:side|edge|part|half|corner|third|portion|section|margin|border|end|quarter|area|region|quadrant|strip|zone|"
    r"centre)s?"
)
_PARTS = {"half": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "seventh": 1 / 7, "eighth": 0.125, "tenth": 0.1}
_COUNTS = {"two": 2, "three": 3, "four": 4, "nine": 9}
_PART, _COUNT = "|".join(_PARTS), f"an?|one|{'|'.join(_COUNTS)}"
_UNIT = r"(?:k?m²|ha\b|k?m\b|(?:square )?(?:kilo)?met(?:re|er)s?\b|hectares?\b)(?: square)?"
_POINT = r"(?:(?:north|south)[- ]?(?:east|west)|north|south|east|west)"
_MORE, _LESS = (
    "more than|a good|over|above|at least|upwards of|beyond",
    "less than|under|below|nearly|almost|just short of|up to",
)


def part_of(count: str | None, part: str) -> float:
    """A part in words as a share: "two", "thirds"."""
    return _PARTS[part.lower()] * _COUNTS.get((count or "").lower(), 1)


def is_between(found: re.Match[str], least: float, most: float) -> bool:
    """Whether what is at least and at most that is between two parts that are told."""
    low, high = (part_of(found[f"{end}_count"], found[end]) for end in ("low", "high"))
    return low - 0.005 <= least and most <= high + 0.005


#: What a caption is made of; of what begins at the same place the first one counts. Classes are put in before.
TOKENS = (
    ("size", rf"(?:\d[\d,.]*(?: ?k?m)? (?:by|x|×) )?\d[\d,.]* ?{_UNIT}(?!\w)"),
    ("share", rf"between (?:(?P<low_count>{_COUNT})[ -])?(?P<low>{_PART})s? and "
              rf"(?:(?P<high_count>{_COUNT})[ -])?(?P<high>{_PART})s?\b"
              rf"|(?:(?:(?P<over>{_MORE})|(?P<under>{_LESS})) )?(?:(?:about|roughly|around|some|approximately|just|only) )*"
              r"(?:(?:(?P<least>\d+(?:\.\d+)?) ?(?:%|percent|per cent)? ?(?:to|-|–) ?)?"
              r"(?P<digits>\d+(?:\.\d+)?) ?(?:%|percent\b|per cent\b)"
              rf"|(?:(?P<count>{_COUNT})[ -])?(?P<part>{_PART})s?\b(?! way))"),
    ("place", rf"\b(?:{MIDDLE_OF_SIDES})\b"
              rf"|(?:(?:far|very|upper|lower|outer|inner) )?\b{_POINT}(?:ern|ernmost|erly|wards?|most)?(?: [- ]?hand)?"
              rf"(?: (?:central )?{_SIDE})?\b|\b(?:centre|center|middle|central(?: {_SIDE})?|centrally)\b"),
    ("idiom", r"\b(?:all in all|in all|at all|(?:in )?more than one part)\b"),
    ("little", rf"\b(?:{LITTLE_ELSE})\b"),
    ("last", rf"\b(?:{LAST})\b"),
    ("second", rf"\b(?:{SECOND})\b"),
    ("beyond", rf"\b(?:{MORE_THAN}|then)\b"),
    ("half", rf"\b(?:{HALF})\b"),
    ("first", rf"\b(?:{FIRST})\b"),
    ("than", r"\bthan\b"),
    ("more", r"\bmore\b"),
    ("denied", rf"\b(?:{DENIED.pattern})\b"),
    ("spread", rf"\b(?:{SPREAD})\b"),
    ("all", rf"\b(?:{ALL})\b"),
    ("rest", rf"\b(?:{REST})\b"),
    ("small", rf"\b(?:{SMALL})\b"),
    ("large", rf"\b(?:{LARGE})\b"),
    ("pronoun", r"^(?:they|these|it)\b"),
    ("joint", r"\b(?:and|while|with|but|whereas|plus|alongside)\b"),
    ("word", r"[^\W\d_]+(?:['’-][^\W\d_]+)*"),
    ("stop", r"[,;:–—]| - "),
    ("mark", r"[\s().'\"’“”‘-]+"),
    ("other", r"."),
)  # fmt: skip
