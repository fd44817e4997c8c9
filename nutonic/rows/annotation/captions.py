"""Captions by templates: what a description of a patch says of an element, and of what is around it, in sentences.

A sentence says what the description holds, and nothing else; no limit or coordinate is in it, and a name only where names
may be said. A caption begins with what is certain to be said (what it is, where, how large), goes on with how it looks and
what is beside it, and ends with what else is there, until it has as many words as its patch was dealt. Where there is too
little to say, it remains shorter than it should be, and the gate rejects it: nothing is said for the sake of length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from nutonic.chips.scene.describe import MOST_NEAR
from nutonic.chips.scene.description import Cell, Described, SceneDescription, Sea, Task
from nutonic.chips.scene.frame import CELLS
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation import templates as words
from nutonic.rows.annotation.calling import called
from nutonic.rows.annotation.phrases import (
    Pick,
    a,
    along,
    area,
    cap,
    counted,
    gathered,
    length,
    listed,
    place,
    plural,
    share,
    thing,
)
from nutonic.rows.annotation.talk import talk_problem

#: Kinds of things that a sentence names, and how many others more is told of where there is little to say.
_MOST_KINDS, _MOST_DETAILS = 3, 3
#: Others of which more is told have so much of the patch, or of its side.
_DETAILED = 0.01, 0.1
#: What takes so much of the picture, and more than what is described, is told before what is beside that.
_LARGE = 0.15
#: Of the room between the least and the most words, so much is dealt to patches.
_DEALT = 0.6
_TRIES = 8
#: Nouns of which other ones are kinds, so that both in one caption would be two names for one thing; ...
_GENERAL = ("building", "platform", "path", "wall", "house")
#: ... and the one that stands for what is called otherwise, too: a church is a building.
_BUILDING = "building"
_LONGEST_NAME = 60
#: The width of a line and the size of a point, such as a road and a tree, roughly.
_LINE_M, _POINT_M2 = 4.0, 30.0


def template_caption(
    description: SceneDescription,
    task: Task,
    before: str | None,
    captions: Captions,
    seed: int,
    *,
    from_space: bool = False,
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
    from_space
        Whether the picture is a satellite's, and no aerial one.

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
        text = _Caption(description, subject, captions.names, Pick(key), from_space).text(
            least, most, is_first=task.number != 3
        )
        if before is None or not _repeats(text.lower(), before.lower()):
            break
    return text


class _Caption:
    """The sentences that can be said of an element, in the words that a pick chose."""

    def __init__(
        self, description: SceneDescription, subject: Described, names: bool, pick: Pick, from_space: bool
    ) -> None:
        self._description, self._subject, self._names, self._pick = description, subject, names, pick
        self._noun = thing(subject.noun, subject.kind)
        self._this = f"this {pick.one(words.FROM_SPACE if from_space else words.PICTURES)}"
        self._short = self._this.rpartition(" ")[2]
        others = {each.element: each for each in description.elements if each is not subject}
        self._beside = [others[key] for key in subject.near if key in others]
        self._others = list(others.values())
        nouns = {each.noun for each in description.elements}
        self._general = [noun for noun in _GENERAL if noun in nouns]
        plain = any(self._by_noun(each.noun) == _BUILDING for each in self._others) and _BUILDING in self._general
        self._buildings = {each.element for each in called(_BUILDING, description.elements)} if plain else set[str]()
        self._told = {self._called(subject)}
        self._lined = {each.noun for each in description.elements if each.kind == "line"}
        self._has_sea = any(isinstance(each, Sea) for each in description.elements)

    def text(self, least: int, most: int, *, is_first: bool) -> str:
        """So many words, as far as there is so much to say; a first caption tells what takes more of the picture, too."""
        wanted = least + self._pick.number(int((most - least) * _DEALT) + 1)
        opening, *facts = self._of_itself()
        said = [opening]
        _add(said, facts, wanted, most)
        larger = self._larger() if is_first else []
        if larger and _add(said, [self._things(words.ALSO, larger, placed=True)], most, most):
            self._forget(larger)
        if _add(said, self._neighbours(), wanted, most):
            self._forget_neighbours()
        _add(said, self._also(), wanted, most)
        _add(said, self._more(), least, most)
        return " ".join(said)

    def _larger(self) -> list[list[Described]]:
        """What takes much of the picture, and more than the element: a caption that passes it over tells of another one.

        The sea is told of however large the element is; where nobody knows how far it reaches, the line that it begins at.
        """
        least = max(_LARGE, self._subject.share or 0.0)
        groups = [
            group
            for group in self._groups(self._others)
            if sum(each.share or 0.0 for each in group) > (_LARGE if isinstance(group[0], Sea) else least)
            or (_is_shore(group[0]) and not self._has_sea)
        ]
        return sorted(groups, key=lambda group: -sum(map(_weight, group)))[:_MOST_KINDS]

    def _forget(self, groups: Sequence[list[Described]]) -> None:
        """Of what was told, all that is called the same in the picture, nothing is told again."""
        told = {group[0].noun for group in groups}
        self._others = [each for each in self._others if self._called(each) not in told]
        self._beside = [each for each in self._beside if self._called(each) not in told]

    def _by_noun(self, noun: str) -> str:
        return next((each for each in self._general if noun.endswith(f" {each}")), noun)

    def _called(self, element: Described) -> str:
        """What a thing is called here: where there are plain buildings, apartment buildings and churches are some of them.

        It has no second name, so that none is told twice, among the buildings and as a church.
        """
        return _BUILDING if element.element in self._buildings else self._by_noun(element.noun)

    def _groups(self, elements: Sequence[Described]) -> list[list[Described]]:
        """Elements that are called the same, by that noun, in the order of the first of each."""
        found: dict[str, list[Described]] = {}
        for each in elements:
            noun = self._called(each)
            found.setdefault(noun, []).append(replace(each, noun=noun) if noun != each.noun else each)
        return list(found.values())

    def _say(self, wordings: Sequence[str], **slots: str) -> str:
        slots = {"short": self._short, "this": self._this, "noun": self._noun, **slots}
        return self._pick.fresh(wordings).format_map(_Slots(slots))

    def _of_itself(self) -> Iterator[str]:
        """What is told of the element: what it is and where, and then how large it is and how it looks."""
        subject = self._subject
        first, *more = self._area() if subject.kind == "area" else self._line()
        yield first
        if _is_shore(subject):
            yield self._say(words.SHORES)
        yield from more
        if not subject.goes_on:
            yield self._say(words.CUT if subject.cut else words.WHOLE)
        tags = dict(subject.tags)
        if self._names and "name" in tags:
            yield from _called(tags["name"])
        if tags.get("surface") in words.SURFACES:
            yield self._say(words.SURFACED, surface=words.SURFACES[tags["surface"]])
        if tags.get("bridge") == "yes" and subject.kind == "line":
            yield self._say(words.BRIDGED)

    def _area(self) -> Iterator[str]:
        subject = self._subject
        noun = a(" ".join(filter(None, (words.SHAPES.get(subject.shape or ""), self._noun))))
        slots = {
            "thing": noun,
            "place": place(subject.cells),
            "share": share(subject.share or 0.0),
            "area": area(subject.area_m2 or 0.0),
        }
        form = self._pick.one(("plain", "plain", "share", "area"))
        if form == "plain":
            yield self._say(words.OPENINGS, **slots)
            yield self._say(words.EXTENTS, **slots)
        elif form == "share":
            is_all = len(subject.cells) == len(CELLS) and slots["share"].endswith("all")
            yield self._say(words.WITH_ALL if is_all else words.WITH_SHARE, **slots)
            yield self._say(words.AREAS, **slots)
        else:
            yield self._say(words.WITH_AREA, **slots)
            yield self._say(words.SHARES, **slots)
        if subject.orientation is not None:
            yield self._say(words.DIRECTIONS, direction=subject.orientation)

    def _line(self) -> Iterator[str]:
        subject = self._subject
        course = "" if subject.course in (None, "closed") else subject.course
        slots = {"thing": a(f"{course} {self._noun}".strip()), "length": length(subject.length_m or 0.0)}
        ends = self._ends()
        if ends is None:
            wordings = words.LOOPS if subject.course == "closed" else words.OPENINGS
            yield self._say(wordings, place=place(subject.cells), **slots)
            yield self._say(words.LENGTHS_OF_PIECES if _is_in_pieces(subject) else words.LENGTHS, **slots)
        else:
            measured = self._pick.number(3) == 0
            way = f"from the {ends[0]} to the {ends[1]}"
            yield self._say(words.WITH_LENGTH if measured else words.RUNS, way=way, **slots)
            if not measured:
                yield self._say(words.LENGTHS, **slots)
        yield from self._course(ends)

    def _ends(self) -> tuple[Cell, Cell] | None:
        """Where a line begins and ends, if it gets anywhere; either way round."""
        ends = self._subject.ends
        if ends is None or ends[0] == ends[1]:
            return None
        return ends if self._pick.number(2) else ends[::-1]

    def _course(self, ends: tuple[Cell, Cell] | None) -> Iterator[str]:
        """Its direction, in the sense in which its ends were told and only if they do not tell it; what is between them."""
        subject = self._subject
        if subject.orientation is not None:
            direction = subject.orientation if ends is None else along(subject.orientation, *ends)
            if direction is not None:
                yield self._say(words.COURSES, direction=direction)
        via = [cell for cell in subject.cells if ends is not None and cell not in ends]
        if via:
            yield self._say(words.VIA, cells=listed(via))

    def _neighbours(self) -> Iterator[str]:
        """What is beside the element. Of a list that may go on nothing is counted."""
        if self._beside:
            wordings = words.CLOSE if self._subject.kind == "line" else words.BESIDE
            yield self._things(wordings, self._groups(self._beside)[: _MOST_KINDS + 1], among=self._endless())

    def _endless(self) -> bool:
        return len(self._subject.near) >= MOST_NEAR

    def _forget_neighbours(self) -> None:
        """What was told of neighbours is not told again; others that are called the same are further ones.

        Of what is not counted there are no further ones: stretches of a street are any number of them.
        """
        groups = self._groups(self._beside)[: _MOST_KINDS + 1]
        named = {group[0].noun for group in groups}
        uncounted = {
            group[0].noun for group in groups if self._endless() or (len(group) > 1 and group[0].noun in self._lined)
        }
        told = {each.element for each in self._beside if self._called(each) in named}
        self._others = [
            each for each in self._others if each.element not in told and self._called(each) not in uncounted
        ]
        self._told |= named

    def _also(self) -> Iterator[str]:
        """What else there is, what is seen most of first."""
        groups = sorted(self._groups(self._others), key=lambda group: -sum(map(_weight, group)))
        for k in range(0, len(groups), _MOST_KINDS):
            yield self._things(words.ALSO, groups[k : k + _MOST_KINDS], placed=True)

    def _things(
        self, wordings: Sequence[str], groups: Sequence[list[Described]], *, placed: bool = False, among: bool = False
    ) -> str:
        things = listed(gathered([self._group(group, placed=placed, among=among) for group in groups]))
        many = len(groups) > 1 or len(groups[0]) > 1
        return self._say(wordings, things=things, are="are" if many else "is")

    def _group(self, group: list[Described], *, placed: bool, among: bool) -> str:
        first, other = group[0], group[0].noun in self._told
        kind = "line" if first.noun in self._lined else first.kind  # a river is no other one where its area begins
        if among and len(group) > 1 and kind != "line":
            return f"{'other ' if other else ''}{plural(thing(first.noun, kind))}"
        told = counted(len(group), first.noun, kind, other=other)
        cells = {cell for each in group for cell in each.cells}
        told = f"{told} in the {first.cells[0]}" if placed and len(cells) == 1 else told
        beyond = len(group) == 1 and _is_shore(first) and not other and not self._has_sea
        return f"{told} with the sea beyond it" if beyond else told

    def _more(self) -> Iterator[str]:
        """What can be said besides, where there is little: of others that no second is called like, and of the picture."""
        nouns = Counter(each.noun for each in self._description.elements)
        single = [
            each
            for each in self._description.elements
            if nouns[each.noun] == 1 and self._called(each) == each.noun and each.noun not in self._general
        ]
        least_share, least_length = _DETAILED
        for each in [each for each in single if each is not self._subject][:_MOST_DETAILS]:
            other = thing(each.noun, each.kind)
            if (each.share or 0.0) >= least_share:
                yield self._say(words.COVERS, other=other, share=share(each.share or 0.0))
            elif (each.length_m or 0.0) >= least_length * self._description.side_m:
                wordings = words.MEASURES[:1] if _is_in_pieces(each) else words.MEASURES
                yield self._say(wordings, other=other, length=length(each.length_m or 0.0))
        free = [side for side, cells in words.THIRDS.items() if not set(cells) & set(self._subject.cells)]
        if free:
            yield self._say(words.FREE, side=self._pick.one(free))
        yield self._say(words.FRAME, side=length(self._description.side_m))


def _repeats(text: str, before: str) -> bool:
    """Whether a text has a sentence that another one has, or that ends one of its own; both in small letters."""
    return any(sentence in before for sentence in text.removesuffix(".").split(". "))


def _is_shore(element: Described) -> bool:
    """Whether a thing is a line between land and sea, which a map names and not the sea."""
    return element.kind == "line" and ("natural", "coastline") in element.tags


def _is_in_pieces(line: Described) -> bool:
    """Whether a line leaves the picture and comes back: it has two ends, unless it is closed, or more than two."""
    return line.kind == "line" and line.ends is None and line.course != "closed"


class _Slots(dict[str, str]):
    """Slots of a wording; one that begins with a capital is the same with one."""

    def __missing__(self, name: str) -> str:
        return cap(self[name[:1].lower() + name[1:]])


def _weight(element: Described) -> float:
    """About how much of a picture a thing takes, in square metres."""
    if element.area_m2 is not None:
        return element.area_m2
    return _LINE_M * element.length_m if element.length_m is not None else _POINT_M2


def _add(said: list[str], sentences: Iterable[str], enough: int, most: int) -> bool:
    """Say what fits until there are enough words; whether anything was said.

    Once there are, no further sentence is made: of a town there are hundreds of things to tell.
    """
    before, count = len(said), _count(said)
    left = iter(sentences)
    while count < enough and (sentence := next(left, None)) is not None:
        more = len(sentence.split())
        if count + more <= most:
            said.append(sentence)
            count += more
    return len(said) > before


def _count(sentences: Iterable[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def _called(name: str) -> Iterator[str]:
    """What a thing is called, unless the gate would not let it through: then it is no name."""
    sentence = f"Its name is {name.strip()}."
    if len(name) <= _LONGEST_NAME and talk_problem(sentence, None, "") is None:
        yield sentence
