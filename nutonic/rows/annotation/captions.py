"""Captions by templates: what a description of a patch says of an element, and of what is around it, in sentences.

A sentence says what the description holds, and nothing else; no name, limit or coordinate is in it. A caption begins with
what is certain to be said (what it is, where, how large), goes on with how it looks and what is beside it, and ends with
what else is there, until it has as many words as its patch was dealt. Where there is too little to say, it remains
shorter than it should be, and the gate rejects it: nothing is said for the sake of length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nutonic.chips.scene.description import Described, SceneDescription, Task
from nutonic.inert import inert
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation.phrases import Pick, a, area, cap, counted, length, listed, place, share, thing

_PICTURES = ("aerial image", "aerial photograph", "aerial picture", "aerial view", "overhead image", "view from above")
_SHORT = ("image", "picture", "photograph", "scene")

_SHAPES = {"square": "square", "rectangular": "rectangular", "elongated": "elongated", "compact": "compact",
           "round": "round", "irregular": "irregularly shaped"}  # fmt: skip

#: What a surface is called, by its tag; others are not spoken of.
_SURFACES = {
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

_OPENINGS = (
    "{Thing} lies {place}.",
    "There is {thing} {place}.",
    "{Place} there is {thing}.",
    "{Place} lies {thing}.",
    "{Thing} can be seen {place}.",
    "What stands out {place} is {thing}.",
    "Seen from above, {thing} lies {place}.",
    "{Thing} is visible {place}.",
)
_RUNS = (
    "{Thing} runs {way} of {this}.",
    "{This} shows {thing} that runs {way}.",
    "{Thing} leads {way} of {this}.",
    "Seen from above, {thing} runs {way} of {this}.",
    "There is {thing} that leads {way} of {this}.",
    "{Way} of {this} runs {thing}.",
)
_LOOPS = (
    "{Thing} forms a closed loop {place}.",
    "{Place}, {thing} forms a closed loop.",
    "There is {thing} {place}, and it is a closed loop.",
)
_EXTENTS = (
    "It covers {share} of the {short}, {area}.",
    "It takes up {share} of the {short}, which is {area} on the ground.",
    "With {area}, it fills {share} of the {short}.",
    "{Share} of the {short} belongs to it, {area} in all.",
    "The {noun} occupies {share} of the ground that is shown, {area}.",
    "{Area} of ground are part of it, {share} of the {short}.",
)
_LENGTHS = (
    "{Length} of it are in view.",
    "It can be followed for {length}.",
    "Its length in the {short} is {length}.",
    "The {noun} is seen over {length}.",
    "For {length} it can be traced through the {short}.",
)
_DIRECTIONS = (
    "It stretches from {direction}.",
    "Its longer axis runs from {direction}.",
    "It extends mainly from {direction}.",
    "It is drawn out from {direction}.",
)
_COURSES = (
    "Its overall direction is from {direction}.",
    "On the whole it runs from {direction}.",
    "Taken as a whole, it heads from {direction}.",
    "Its general course is from {direction}.",
)
_VIA = (
    "On its way it passes through the {cells}.",
    "In between it reaches the {cells}.",
    "It takes its way through the {cells}.",
)
_SURFACED = ("Its surface is {surface}.", "It is surfaced with {surface}.")
_BRIDGED = ("A bridge carries it.", "It is carried by a bridge.")
_CUT = (
    "It goes on beyond the edge of the {short}.",
    "It is cut off by the edge of the {short}.",
    "Part of it lies outside the {short}.",
    "The edge of the {short} cuts it off.",
    "The {noun} continues outside the {short}.",
)
_WHOLE = (
    "All of it lies within the {short}.",
    "It lies wholly inside the {short}.",
    "No edge of the {short} cuts it off.",
    "The whole {noun} is in view.",
    "It is seen in full.",
)
_BESIDE = (
    "Next to it {are} {things}.",
    "Beside it {are} {things}.",
    "Right by it {are} {things}.",
    "Close by {are} {things}.",
)
_CLOSE = ("Close to it {are} {things}.", "In its immediate vicinity {are} {things}.", "Close by {are} {things}.")
_ALSO = (
    "The {short} also shows {things}.",
    "There {are} also {things}.",
    "Also visible {are} {things}.",
    "{Things} can be seen as well.",
    "In the {short} {are} {things} as well.",
)
_FREE = (
    "Hardly any of it reaches the {side} third of the {short}.",
    "The {side} third of the {short} holds hardly any of it.",
    "It leaves the {side} third of the {short} all but free.",
)
_FRAME = (
    "The whole {short} spans {side} from west to east, and as much from north to south.",
    "From edge to edge the {short} measures {side}, both from north to south and from west to east.",
    "The ground that is shown is a square with sides of {side}.",
)
_THIRDS = {
    "northern": ("north-west", "north", "north-east"),
    "southern": ("south-west", "south", "south-east"),
    "western": ("north-west", "west", "south-west"),
    "eastern": ("north-east", "east", "south-east"),
}
#: Kinds of things that a sentence names.
_MOST_KINDS = 3
#: Of the room between the least and the most words, so much is dealt to patches.
_DEALT = 0.6
_TRIES = 8


def template_caption(
    description: SceneDescription, task: Task, before: str | None, captions: Captions, seed: int
) -> str:
    """A caption in the words of templates.

    Parameters
    ----------
    description
        The patch.
    task
        Which element it is about, and whether it is a first caption or one in other words.
    before
        The caption that is to be said in other words; None for a first one.
    captions
        Lengths by task, and whether names may be said.
    seed
        Another one makes another choice of words.

    Returns
    -------
    str
        One paragraph. It has at most as many words as the task allows unless its first sentence alone has more; it has
        fewer than the least where there is too little to say.
    """
    subject = description.of(task.element)
    lengths = captions.words
    least, most = lengths.revision if task.number == 3 else lengths.area if subject.kind == "area" else lengths.line
    text = ""
    for attempt in range(_TRIES):
        key = f"{description.patch_id} {task.number} {task.element} {task.index} {seed} {attempt}"
        text = _Caption(description, subject, captions.names, Pick(key)).text(least, most)
        if text != before:
            break
    return text


class _Caption:
    """The sentences that can be said of an element, in the words that a pick chose."""

    def __init__(self, description: SceneDescription, subject: Described, names: bool, pick: Pick) -> None:
        self._description, self._subject, self._names, self._pick = description, subject, names, pick
        self._noun = thing(subject.noun, subject.kind)
        others = {each.element: each for each in description.elements if each is not subject}
        self._beside = [others.pop(key) for key in subject.near if key in others]
        self._others = list(others.values())

    def text(self, least: int, most: int) -> str:
        """So many words, as far as there is so much to say."""
        wanted = least + self._pick.number(int((most - least) * _DEALT) + 1)
        said = [self._opening()]
        for sentences, enough in (((*self._facts(), *self._around()), wanted), (self._more(), least)):
            for sentence in sentences:
                if _words(said) < enough and _words([*said, sentence]) <= most:
                    said.append(sentence)
        return " ".join(said)

    def _say(self, wordings: Sequence[str], **slots: str) -> str:
        slots = {"short": self._pick.one(_SHORT), "noun": self._noun, **slots}
        capitals = {cap(name): cap(words) for name, words in slots.items()}
        return self._pick.one(wordings).format(**slots, **capitals)

    def _opening(self) -> str:
        subject = self._subject
        word = _SHAPES.get(subject.shape or "") if subject.kind == "area" else subject.course
        noun = a(f"{word} {self._noun}" if word is not None and word != "closed" else self._noun)
        this = f"this {self._pick.one(_PICTURES)}"
        where = place(subject.cells, this)
        if subject.course == "closed":
            return self._say(_LOOPS, thing=noun, place=where)
        if subject.ends is None or subject.ends[0] == subject.ends[1]:
            return self._say(_OPENINGS, thing=noun, place=where)
        ends = subject.ends if self._pick.number(2) else subject.ends[::-1]
        return self._say(_RUNS, thing=noun, this=this, way=f"from the {ends[0]} to the {ends[1]}")

    def _facts(self) -> Iterator[str]:
        """What is told of the element itself."""
        subject = self._subject
        if subject.kind == "area" and subject.share is not None and subject.area_m2 is not None:
            yield self._say(_EXTENTS, share=share(subject.share), area=area(subject.area_m2))
        if subject.kind == "line" and subject.length_m is not None:
            yield self._say(_LENGTHS, length=length(subject.length_m))
        if subject.orientation is not None:
            wordings = _DIRECTIONS if subject.kind == "area" else _COURSES
            yield self._say(wordings, direction=subject.orientation)
        via = [cell for cell in subject.cells if cell not in (subject.ends or subject.cells)]
        if subject.ends is not None and subject.ends[0] != subject.ends[1] and via:
            yield self._say(_VIA, cells=listed(via))
        yield self._say(_CUT if subject.cut else _WHOLE)
        yield from self._tagged(dict(subject.tags))

    def _tagged(self, tags: Mapping[str, str]) -> Iterator[str]:
        if self._names and "name" in tags:
            yield f"Its name is {inert(tags['name']):.60}."
        if tags.get("surface") in _SURFACES:
            yield self._say(_SURFACED, surface=_SURFACES[tags["surface"]])
        if tags.get("bridge") == "yes" and self._subject.kind == "line":
            yield self._say(_BRIDGED)

    def _around(self) -> Iterator[str]:
        """What is beside the element, and what else there is, the largest first."""
        if self._beside:
            wordings = _CLOSE if self._subject.kind == "line" else _BESIDE
            yield self._things(wordings, self._groups(self._beside))
        groups = self._groups(self._others)
        for k in range(0, len(groups), _MOST_KINDS):
            yield self._things(_ALSO, groups[k : k + _MOST_KINDS], placed=True)

    def _groups(self, elements: Iterable[Described]) -> list[list[Described]]:
        """Elements that are called the same and are of one kind, in the order of the first of each."""
        found: dict[tuple[str, str], list[Described]] = {}
        for each in elements:
            found.setdefault((each.noun, each.kind), []).append(each)
        return list(found.values())

    def _things(self, wordings: Sequence[str], groups: Sequence[list[Described]], *, placed: bool = False) -> str:
        things = listed([self._group(group, placed=placed) for group in groups])
        many = len(groups) > 1 or len(groups[0]) > 1
        return self._say(wordings, things=things, are="are" if many else "is")

    def _group(self, group: list[Described], *, placed: bool) -> str:
        first = group[0]
        other = any(
            each.noun == first.noun and each.kind == first.kind for each in (self._subject, *self._told(placed))
        )
        words = counted(len(group), first.noun, first.kind, other=other)
        cells = {cell for each in group for cell in each.cells}
        return f"{words} in the {first.cells[0]}" if placed and len(cells) == 1 else words

    def _told(self, placed: bool) -> Sequence[Described]:
        return self._beside if placed else ()

    def _more(self) -> Iterator[str]:
        """What can be said besides, where there is little."""
        free = [side for side, cells in _THIRDS.items() if not set(cells) & set(self._subject.cells)]
        if free:
            yield self._say(_FREE, side=self._pick.one(free))
        yield self._say(_FRAME, side=length(self._description.side_m))


def _words(sentences: Iterable[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)
