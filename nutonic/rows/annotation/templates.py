"""The wordings of template captions: for each thing that can be said several ways to say it.

Slots are words in small letters, ``{thing}``; with a capital, ``{Thing}``, they begin a sentence. ``{this}`` is what the
picture is called when it is first spoken of, ``{short}`` later.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: What pictures are called when they are first spoken of; later by the last word alone, so that a caption has one name for
#: its own. None is a photograph: a picture may be drawn.
PICTURES = ("aerial image", "aerial picture", "aerial view", "overhead image", "overhead picture", "overhead view")
#: The same of pictures from space.
FROM_SPACE = ("satellite image", "satellite picture", "satellite view", "overhead image", "overhead view")

#: What others call pictures too.
ALSO_PICTURES = ("scene", "photograph")

SHAPES = {"square": "square", "rectangular": "rectangular", "elongated": "elongated", "compact": "compact",
          "round": "round", "irregular": "irregularly shaped"}  # fmt: skip

#: What a surface is called, by its tag; others are not spoken of.
SURFACES = {
    name: name.replace("_", " ")
    for name in (
        "asphalt",
        "concrete",
        "gravel",
        "fine_gravel",
        "grass",
        "dirt",
        "sand",
        "paving_stones",
        "cobblestone",
    )
}

#: What there is, and where.
OPENINGS = (
    "{Thing} lies {place} of {this}.",
    "There is {thing} {place} of {this}.",
    "{Place} of {this} there is {thing}.",
    "{Place} of {this} lies {thing}.",
    "{Thing} can be seen {place} of {this}.",
    "What stands out {place} of {this} is {thing}.",
    "Seen from above, {thing} lies {place} of the {short}.",
    "{Thing} is visible {place} of {this}.",
    "{This} shows {thing} {place}.",
)
#: The same with the share of the picture.
WITH_SHARE = (
    "{Share} of {this} is taken up by {thing} {place}.",
    "{Thing} takes up {share} of {this}, {place}.",
    "{This} has {thing} {place}, over {share} of its ground.",
    "{Thing} {place} covers {share} of {this}.",
)
#: The same of what takes up all of it, or nearly so, and is everywhere.
WITH_ALL = (
    "{Share} of {this} is taken up by {thing}.",
    "{Thing} takes up {share} of {this}.",
    "{This} has {thing} over {share} of its ground.",
    "{Thing} covers {share} of {this}.",
)
#: The same with the size.
WITH_AREA = (
    "{Place} of {this} lies {thing} of {area}.",
    "{Thing} of {area} can be seen {place} of {this}.",
    "{Thing}, {area} of it, lies {place} of {this}.",
    "{This} shows {thing} of {area} {place}.",
)
#: A line, from where to where.
RUNS = (
    "{Thing} runs {way} of {this}.",
    "{This} shows {thing} that runs {way}.",
    "{Thing} leads {way} of {this}.",
    "Seen from above, {thing} runs {way} of the {short}.",
    "There is {thing} that leads {way} of {this}.",
    "{Way} of {this} runs {thing}.",
)
#: The same with its length.
WITH_LENGTH = (
    "{Thing} runs for {length} {way} of {this}.",
    "Over {length}, {thing} runs {way} of {this}.",
    "{Way} of {this} runs {thing} of {length}.",
    "{This} shows {thing} that runs {way}, over {length}.",
)
LOOPS = (
    "{Thing} forms a closed loop {place} of {this}.",
    "{Place} of {this}, {thing} forms a closed loop.",
    "There is {thing} {place} of {this}, and it is a closed loop.",
)

EXTENTS = (
    "It covers {share} of the {short}, {area}.",
    "It takes up {share} of the {short}, which is {area} on the ground.",
    "With {area}, it fills {share} of the {short}.",
    "{Share} of the {short} belongs to it, {area} in all.",
    "The {noun} occupies {share} of the ground that is shown, {area}.",
    "Its ground measures {area}, {share} of the {short}.",
)
AREAS = ("On the ground that is {area}.", "It measures {area}.", "Its size within the {short} is {area}.")
SHARES = ("It covers {share} of the {short}.", "It fills {share} of the {short}.", "That is {share} of the {short}.")
LENGTHS = (
    "It is in view for {length}.",
    "Its length in the {short} is {length}.",
    "The {noun} is seen over {length}.",
    "Within the {short} it is {length} long.",
)
#: The same of one that comes in pieces, which nobody can follow.
LENGTHS_OF_PIECES = (
    "Its length in the {short} is {length}.",
    "The {noun} is seen over {length}.",
    "In all, {length} of it are in view.",
)
DIRECTIONS = (
    "It stretches from {direction}.",
    "Its longer axis runs from {direction}.",
    "It extends mainly from {direction}.",
)
COURSES = (
    "Its overall direction is from {direction}.",
    "On the whole it runs from {direction}.",
    "Taken as a whole, it heads from {direction}.",
    "Its general course is from {direction}.",
)
VIA = (
    "On its way it passes through the {cells}.",
    "It takes its way through the {cells}.",
)
SURFACED = ("Its surface is {surface}.", "It is surfaced with {surface}.")
BRIDGED = ("A bridge carries it.", "It is carried by a bridge.")
CUT = (
    "It goes on beyond the edge of the {short}.",
    "It is cut off by the edge of the {short}.",
    "Part of it lies outside the {short}.",
    "The edge of the {short} cuts it off.",
    "The {noun} continues outside the {short}.",
)
WHOLE = (
    "All of it lies within the {short}.",
    "It lies wholly inside the {short}.",
    "No edge of the {short} cuts it off.",
    "The whole {noun} is in view.",
    "It is seen in full.",
)

#: Of a coastline, which is nowhere named with what it bounds.
SHORES = (
    "On one side of it is land, on the other the sea.",
    "It parts the land from the sea.",
    "The sea begins at it.",
)

#: What lies beside an area, and beside a line.
BESIDE = (
    "Next to it {are} {things}.",
    "Beside it {are} {things}.",
    "Right by it {are} {things}.",
    "Close by {are} {things}.",
)
CLOSE = ("Close to it {are} {things}.", "In its immediate vicinity {are} {things}.", "Close by {are} {things}.")
ALSO = (
    "The {short} also shows {things}.",
    "There {are} also {things}.",
    "Also visible {are} {things}.",
    "{Things} can be seen as well.",
    "The {short} shows {things} as well.",
    "{Things} {are} part of the {short} too.",
)

#: More of other things, where there is little to say.
COVERS = ("The {other} covers {share} of the {short}.", "The {other} takes up {share} of the {short}.")
MEASURES = ("The {other} is {length} long within the {short}.", "The {other} is in view for {length}.")
FREE = (
    "Little or nothing of it lies in the {side} third of the {short}.",
    "The {side} third of the {short} holds little or nothing of it.",
)
FRAME = (
    "The whole {short} spans {side} in height and in width.",
    "From edge to edge the {short} measures {side} on the ground.",
    "The ground that is shown spans {side} from side to side.",
)

#: All of them.
EVERY = (
    PICTURES,
    FROM_SPACE,
    ALSO_PICTURES,
    OPENINGS,
    WITH_SHARE,
    WITH_ALL,
    WITH_AREA,
    RUNS,
    WITH_LENGTH,
    LOOPS,
    EXTENTS,
    AREAS,
    SHARES,
    LENGTHS,
    LENGTHS_OF_PIECES,
    DIRECTIONS,
    COURSES,
    VIA,
    SURFACED,
    BRIDGED,
    CUT,
    WHOLE,
    SHORES,
    BESIDE,
    CLOSE,
    ALSO,
    COVERS,
    MEASURES,
    FREE,
    FRAME,
)


@lru_cache(maxsize=1)
def of_templates() -> frozenset[str]:
    """The words of template captions."""
    return frozenset(
        word
        for each in EVERY
        for wording in each
        for word in re.findall(r"[a-z]+", re.sub(r"\{\w+\}", " ", wording.lower()))
    )


#: The parts of a picture that are a third of it.
THIRDS = {
    "northern": ("north-west", "north", "north-east"),
    "southern": ("south-west", "south", "south-east"),
    "western": ("north-west", "west", "south-west"),
    "eastern": ("north-east", "east", "south-east"),
}
