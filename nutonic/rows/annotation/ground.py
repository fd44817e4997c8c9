"""Captions of land cover in a model's words, judged by what a sidecar counts: no class, share, place or rank is another one.

What a chip shows is a handful of classes, so that more can be asked of its captions than of those of a map. Their words are
few: those of classes, of shares, places and ranks, and those that hold these together; whoever uses another one tells what
no mask shows, or talks of something else. Each share and each place is held against the class that it is told of, each rank
against the counts; and nothing is said not to be there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nutonic.chips.scene.description import SceneDescription, Task
from nutonic.lazily import lazily
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation import ground_words as words
from nutonic.rows.annotation.bearings import as_compass
from nutonic.rows.annotation.gate import LONGEST, Gate
from nutonic.rows.annotation.talk import Problem, length_problem, sentences, talk_problem

#: From this share on a class has half of something, nearly all, and all of it.
_HALF, _NEARLY, _ALL = 0.5, 0.9, 0.9995
#: A share in digits may be so far off, or a sixteenth of itself; a part in words so far.
_OFF, _ROUGHLY = 0.00501, 0.06
#: What is more than a part in words, or less, is so by no more than this.
_BEYOND = 0.25
#: What is large, or small, of the whole.
_LARGE, _SMALL = 0.1, 0.3
#: Into so many cells classes are counted.
_CELLS = 36

#: How much keeps apart what stands on either side of a mark, and of a word.
_APART = {";": 3, ":": 1, ",": 1}


@dataclass(frozen=True, slots=True)
class Ground:
    """What a mask shows."""

    nouns: Mapping[int, str]
    """What classes are called, by id; of those that are not there too."""
    shares: Mapping[int, float]
    """Of the picture, of those that are there."""
    cells: Mapping[int, np.ndarray]
    """Pixels of each in a grid of 6 × 6, north up."""
    unlabelled: float = 0.0
    """Share of the picture that has no class, and may be of any."""
    whole: bool = True
    """Whether so much is labelled that ranks may be told, and what is left."""

    @property
    def ranked(self) -> list[int]:
        """Those that are there, the largest first."""
        return sorted(self.shares, key=lambda c: (-self.shares[c], c))


class GroundGate:
    """Judges what is said of one chip in other words; made once for a caption."""

    def __init__(self, description: SceneDescription, ground: Ground, captions: Captions) -> None:
        """`description` is the same ground as of a patch, in which a gate finds sizes and counts that nobody knows."""
        self._ground, self._captions = ground, captions
        self._gate = Gate(description, captions, nouns=frozenset(ground.nouns.values()), claims=False)

    def problem_of(
        self, text: str, task: Task, *, before: str | None = None, prompt: str = "", seen: bool = False
    ) -> Problem | None:
        """As :meth:`.gate.Gate.problem_of`; two reasons more are a ``word`` that tells more, and a ``claim``.

        Whoever polishes, nobody is shown a picture, so that `seen` changes nothing.
        """
        if len(text) > LONGEST:
            return "too long", f"{len(text):,} letters"
        problem = talk_problem(text, before, prompt) or length_problem(text, *self._captions.words.revision)
        if problem is not None:
            return problem
        problem = self._gate.problem_of(plain_words(text, self._ground), task)
        if problem is not None and problem[0] not in _OF_LENGTH:
            return problem
        return ground_problem(text, self._ground)


#: Of plain words there may be fewer than there were.
_OF_LENGTH = ("too short", "too long")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    found: re.Match[str]
    classes: frozenset[int] = frozenset()


def ground_problem(text: str, ground: Ground) -> Problem | None:
    """What a caption of a chip says that its mask does not show; None if there is nothing.

    Parameters
    ----------
    text
        A caption that is talk of no other kind (:func:`.talk.talk_problem`).
    ground
        What the mask shows.
    """
    told, before = list[int](), tuple[int, ...]()
    for each in sentences(text):
        sentence = _Sentence(each, ground, before, tuple(told))
        problem = next(sentence.problems(), None)
        if problem is not None:
            return problem
        groups = sentence.groups
        told += [c for _, _, classes in groups for c in classes]
        before = groups[0][2] if groups else before
    return None


def plain_words(text: str, ground: Ground) -> str:
    """A caption in which classes go by their nouns, and without the shares that are right, for :class:`.gate.Gate`."""
    parts = []
    for each in sentences(text):
        sentence = _Sentence(each, ground, (), ())
        parts.append("".join(map(sentence.plain, sentence.tokens)))
    return " ".join(parts)


class _Sentence:
    """A sentence, taken apart: its classes, and what is told of them."""

    def __init__(self, text: str, ground: Ground, before: Sequence[int], told: Sequence[int]) -> None:
        """`before`: what a pronoun means; `told`: the classes of earlier sentences."""
        self._ground, self._told = ground, told
        pattern, self._ids = _pattern(tuple(sorted(ground.nouns.items())))
        text = as_compass(words.NEAREST.sub(r"\g<2> \g<1>", text))
        self.tokens = [self._token(found, before) for found in pattern.finditer(text)]

    def _token(self, found: re.Match[str], before: Sequence[int]) -> _Token:
        kind, text = str(found.lastgroup), found[0].lower()
        if kind == "pronoun":
            return _Token("class" if before else "word", text, found, frozenset(before))
        if kind != "class":
            return _Token(kind, text, found)
        return _Token(kind, text, found, self._ids[text])

    def plain(self, token: _Token) -> str:
        """As :func:`plain_words` has it."""
        if token.kind == "class" and token.text not in ("they", "these", "it"):
            there = [c for c in token.classes if c in self._ground.shares]
            return self._ground.nouns[min(there or token.classes)]
        if token.kind == "share" and self.share_holds(self.tokens.index(token)):
            return "part"
        return "centre" if token.text.endswith(_SIDES) else token.found[0]  # a third there is no share

    @lazily
    def groups(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """Classes that are told together (trees, grass and crops): the first token, the last, and the classes."""
        groups: list[tuple[int, int, tuple[int, ...]]] = []
        for at, token in enumerate(self.tokens):
            if token.kind != "class":
                continue
            there = [c for c in token.classes if c in self._ground.shares][:1]
            if groups and all(self._joins(each) for each in self.tokens[groups[-1][1] + 1 : at]):
                first, _, classes = groups.pop()
                groups.append((first, at, (*classes, *there)))
            else:
                groups.append((at, at, tuple(there)))
        return groups

    def _joins(self, token: _Token) -> bool:
        return token.kind in ("mark", "small", "large") or token.text in (
            "and", "or", ",", "the", "a", "some", "as", "well", "plus", "area", "areas", "of", "patches", "lastly",
        )  # fmt: skip

    def problems(self) -> Iterator[Problem]:
        """All that is wrong."""
        for at, token in enumerate(self.tokens):
            if token.kind == "size" and not self._is_of_picture(at):
                yield "number", token.text
            if token.kind == "class" and not any(c in self._ground.shares for c in token.classes):
                yield "thing", token.text
            if token.kind == "denied":
                yield "claim", token.text
            if token.kind == "other" or (token.kind == "word" and token.text not in words.HOLDING):
                yield "word", token.text
        for at, token in enumerate(self.tokens):
            check = _CHECKS.get(token.kind)
            if check is not None and not (check(self, at) and (self._ground.whole or token.kind not in _OF_ALL)):
                yield ("place" if token.kind == "place" else "number" if token.kind == "share" else "claim"), token.text

    def _is_of_picture(self, at: int) -> bool:
        """Whether a size is the picture's: no class stands between them, or something has a share of it."""
        if [each.text for each in self.tokens[:at] if each.kind != "mark"][-1:] in (["of"], ["over"], ["these"]):
            return True
        marks = [each.kind == "class" for each in self.tokens if each.kind == "class" or each.text in _PICTURE]
        before = sum(each.kind == "class" or each.text in _PICTURE for each in self.tokens[:at])
        beside = [marks[k] for k in (before - 1, before) if 0 <= k < len(marks)]
        return not marks or not all(beside)

    # What is told of which

    def _between(self, one: int, other: int) -> int:
        """How much keeps two tokens apart."""
        between = self.tokens[min(one, other) + 1 : max(one, other)]
        is_with = other > one and self.tokens[other].kind in ("share", "place")  # trees with 25 percent
        return sum(
            _APART.get(each.text, 1)
            if each.kind == "stop"
            else each.kind in ("joint", "beyond") and not (is_with and each.text == "with")
            for each in between
        )

    def _left(self, at: int) -> tuple[int, int, tuple[int, ...]] | None:
        return next((group for group in reversed(self.groups) if group[1] < at), None)

    def _right(self, at: int) -> tuple[int, int, tuple[int, ...]] | None:
        return next((group for group in self.groups if group[0] > at), None)

    def _bound(self, at: int, *, ahead: bool = False) -> list[tuple[int, ...]]:
        """The classes that a token may be told of: before it or behind it, whatever less keeps apart, or both.

        `ahead`: then those behind it, as after an adjective.
        """
        left, right = self._left(at), self._right(at)
        if left is None or right is None:
            return [group[2] for group in (left, right) if group is not None]
        before, behind = self._between(left[1], at), self._between(at, right[0])
        if before == behind:
            return [right[2]] if ahead else [left[2], right[2]]
        return [left[2] if before < behind else right[2]]

    def _of_each(self, at: int, is_so: Callable[[int], bool], *, ahead: bool = False) -> bool:
        """Whether something is so of every class that a token is told of, and there is one."""
        bound = [c for classes in self._bound(at, ahead=ahead) for c in classes]
        return bool(bound) and all(map(is_so, bound))

    # What may be told

    def share_holds(self, at: int) -> bool:
        """Whether a share is that of the class; of several classes together, or of each."""
        if "together" in (each.text for each in self.tokens) or "combined" in (each.text for each in self.tokens):
            return any(self._is_share(at, sum(self._ground.shares[c] for c in classes)) for classes in self._bound(at))
        return self._of_each(at, lambda c: self._is_share(at, self._ground.shares[c]))

    def _is_share(self, at: int, least: float) -> bool:
        """Whether a share may be told of what has at least that: from the least to the most that it can be, or of both."""
        token, most = self.tokens[at], least + self._ground.unlabelled
        if token.found["least"]:
            off = max(_OFF, least / 16)
            return abs(float(token.found["least"]) / 100 - least) <= off and self._is_about(token, most)
        if token.found["low"]:
            return words.is_between(token.found, least, most)
        is_least, is_most = self._is_end(at, 1), self._is_end(at, -1)
        return (is_most or self._is_about(token, least)) and (is_least or self._is_about(token, most))

    def _is_end(self, at: int, step: int) -> bool:
        """Whether another share follows, or goes before, with a "to" between: a fifth to a quarter."""
        rest = self.tokens[at + 1 :] if step > 0 else self.tokens[:at][::-1]
        near = [each for each in rest[:4] if each.kind != "mark"][:2]
        return [each.text for each in near[:1]] == ["to"] and [each.kind for each in near[1:]] == ["share"]

    def _is_about(self, token: _Token, share: float) -> bool:
        found = token.found
        if found["digits"]:
            value = float(found["digits"]) / 100
            off = max(_OFF, share / 16)
        else:
            value, off = words.part_of(found["count"], found["part"]), _ROUGHLY
        if words.OR_MORE.match(found.string, found.end()):
            return share >= value - 0.005
        if found["over"]:
            return value - 0.005 <= share <= value + _BEYOND
        if found["under"]:
            return value - _BEYOND <= share <= value + 0.005
        return abs(share - value) <= off

    def place_holds(self, at: int) -> bool:
        """Whether a class lies there; a direction from another thing is judged with all that is on a map."""
        if self._is_relation(at):
            return True
        regions = _regions(self.tokens[at].text)
        regions = (
            regions[1:] if regions[0] is _INNER else regions
        )  # things lie in the centre, ranks are of what is around it
        return self._of_each(at, lambda c: any(self._has(c, region) for region in regions))

    def _is_relation(self, at: int) -> bool:
        following = [each for each in self.tokens[at + 1 : at + 8] if each.kind != "mark"][:3]
        texts = [each.text for each in following]
        return bool(texts) and texts[0] == "of" and any(each.kind == "class" for each in following[1:])

    def _has(self, c: int, region: np.ndarray) -> bool:
        """Whether enough of a class lies in a part: a twentieth of the part, or a fifth of the class."""
        cells = self._ground.cells[c]
        inside = float(cells[region].sum())
        return inside >= 0.05 * float(self._all_of(region).sum()) or inside >= 0.2 * float(cells.sum())

    def _all_of(self, region: np.ndarray) -> np.ndarray:
        every = [cells[region].sum() for cells in self._ground.cells.values()]
        return np.array(every)

    def _region(self, at: int) -> tuple[tuple[np.ndarray, ...], bool] | None:
        """The part that a rank is told of, with whether it stands behind the class: (trees lie) mostly in the north."""
        places = [k for k, each in enumerate(self.tokens) if each.kind == "place" and not self._is_relation(k)]
        apart, _, place = min(
            ((self._between(k, at) - self._listed(k, at), abs(k - at), k) for k in places), default=(2, 0, at)
        )
        if apart >= 2:
            return None
        left = self._left(at)
        return _regions(self.tokens[place].text), left is not None and left[1] < at < place

    def _listed(self, one: int, other: int) -> int:
        """How much of what keeps two tokens apart is a list's own: upper left: trees, grass and crops, largest first."""
        within = sum(self._between(first, last) for first, last, _ in self.groups if one < first and last < other)
        return within + any(each.text == ":" for each in self.tokens[one:other])

    def half_holds(self, at: int) -> bool:
        """Whether a class has half of the picture, or of a part of it; or has half of itself there."""
        found, token = self._region(at), self.tokens[at]
        is_share = token.text == "most" and token.found.string[token.found.end() :][:1] in (",", ".", ")")
        if found is None or is_share:  # crops (most), in the north
            return self._leads(at, self._ground.shares, _HALF)
        regions, is_behind = found
        adverb = re.fullmatch(r"mostly|mainly|primarily|largely|chiefly|principally|predominantly|for the most part",
                              self.tokens[at].text)  # fmt: skip
        if adverb is not None and is_behind:
            there = self._left(at)
            assert there is not None
            return all(any(2 * self._ground.cells[c][r].sum() > self._ground.cells[c].sum() for r in regions)
                       for c in there[2])  # fmt: skip
        return any(self._leads(at, self._shares_in(region), _HALF) for region in regions) or (
            "share" in {each.kind for each in self.tokens} and self._leads(at, self._ground.shares, _HALF)
        )

    def _shares_in(self, region: np.ndarray) -> dict[int, float]:
        total = float(self._all_of(region).sum()) or 1.0
        return {c: float(cells[region].sum()) / total for c, cells in self._ground.cells.items()}

    def _leads(self, at: int, shares: Mapping[int, float], least: float = 0.0, *, last: bool = False) -> bool:
        """Whether the classes that a rank is told of come first, or last; together they have the least share."""
        bound, others = self._bound(at), self._earlier(at)
        left = sorted((c for c in shares if c not in others), key=lambda c: (shares[c], -c), reverse=not last)
        return bool(bound) and all(
            set(classes) == set(left[: len(set(classes))])
            and (bool(others) or sum(shares.get(c, 0.0) for c in classes) >= least)
            for classes in bound
        )

    def _earlier(self, at: int) -> tuple[int, ...]:
        """Of a rank among what is left: the classes that were told before; none of one among all."""
        rest = next((k for k, each in enumerate(self.tokens[:at]) if each.kind == "rest"), None)
        if rest is None:
            return ()
        return (*self._told, *(c for _, last, classes in self.groups if last < rest for c in classes))

    def first_holds(self, at: int) -> bool:
        """Whether a class has the most of the picture, or of a part of it."""
        found = self._region(at)
        if self._leads(at, self._ground.shares):
            return True
        return found is not None and any(self._leads(at, self._shares_in(region)) for region in found[0])

    def last_holds(self, at: int) -> bool:
        """Whether a class has the least."""
        return self._leads(at, self._ground.shares, last=True)

    def second_holds(self, at: int) -> bool:
        """Whether a class comes second."""
        return self._of_each(at, lambda c: self._ground.ranked[1:2] == [c])

    def beyond_holds(self, at: int) -> bool:
        """Whether what stands before has more than what follows."""
        left, right = self._left(at), self._right(at)
        if right is None or (left is None and not self._told):
            return self.tokens[at].text == "then"
        if self.tokens[at].text == "then" and left is not None and self._region(at) is not None:
            return True
        before = left[2] if left is not None else tuple(self._told)
        return self._is_more(before, right[2])

    def than_holds(self, at: int) -> bool:
        """Whether what stands before ``than`` has more, or less, than what follows."""
        left, right = self._left(at), self._right(at)
        if left is None or right is None:
            return False
        compared = [each for each in self.tokens[:at] if each.kind in ("more", "large", "small")]
        if not compared:
            return False
        is_less = compared[-1].kind == "small"
        return self._is_more(right[2], left[2]) if is_less else self._is_more(left[2], right[2])

    def _is_more(self, one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        shares = self._ground.shares
        return min(shares[c] for c in one) > max(shares[c] for c in other) if one and other else False

    def all_holds(self, at: int) -> bool:
        """Whether nothing else is there, in the picture or in a part of it."""
        if not self.groups:
            return True
        nearly = any(each.text in _HEDGES or each.kind == "little" for each in self.tokens)
        found, least = self._region(at), _NEARLY if nearly else _ALL
        shares = [self._ground.shares] if found is None else [self._shares_in(region) for region in found[0]]
        return any(self._of_each(at, lambda c, s=each: s.get(c, 0.0) >= least) for each in shares)  # type: ignore[misc]

    def spread_holds(self, at: int) -> bool:
        """Whether a class lies in most of the cells."""
        return self._of_each(at, lambda c: 3 * int((self._ground.cells[c] > 0).sum()) >= 2 * _CELLS)

    def rest_holds(self, at: int) -> bool:
        """Whether the classes that are told are all there are; or others, and which of them come first or are there."""
        if {each.text for each in self.tokens} & {"includes", "include", "including", "has", "holds", "contains"}:
            return True
        if any(each.kind in ("first", "half", "share", "place") for each in self.tokens):
            return any(each.kind in ("first", "half") for each in self.tokens)
        named = {*self._told, *(c for _, _, classes in self.groups for c in classes)}
        return sum(self._ground.shares[c] for c in named) >= 0.97

    def small_holds(self, at: int) -> bool:
        """Whether what is called small is."""
        return self._is_compared(at) or self._of_each(at, lambda c: self._ground.shares[c] <= _SMALL, ahead=True)

    def large_holds(self, at: int) -> bool:
        """Whether what is called large is."""
        return self._is_compared(at) or self._of_each(at, lambda c: self._ground.shares[c] >= _LARGE, ahead=True)

    def _is_compared(self, at: int) -> bool:
        return any(each.kind == "than" for each in self.tokens[at:])


#: What is told of the whole picture.
_OF_ALL = frozenset({"first", "last", "second", "all", "little", "rest"})
#: What makes all of it nearly all.
_HEDGES = frozenset({"nearly", "almost", "practically"})
#: What has a size in metres.
_PICTURE = frozenset("picture image scene view frame photograph square ground land area landscape surface".split())  # noqa: SIM905

_CHECKS: Mapping[str, Callable[[_Sentence, int], bool]] = {
    "share": _Sentence.share_holds,
    "place": _Sentence.place_holds,
    "half": _Sentence.half_holds,
    "first": _Sentence.first_holds,
    "last": _Sentence.last_holds,
    "second": _Sentence.second_holds,
    "beyond": _Sentence.beyond_holds,
    "than": _Sentence.than_holds,
    "spread": _Sentence.spread_holds,
    "all": _Sentence.all_holds,
    "little": _Sentence.all_holds,
    "rest": _Sentence.rest_holds,
    "small": _Sentence.small_holds,
    "large": _Sentence.large_holds,
}


@lru_cache(maxsize=16)
def _pattern(nouns: tuple[tuple[int, str], ...]) -> tuple[re.Pattern[str], dict[str, frozenset[int]]]:
    """What takes a sentence apart, where classes are called so; and whom each name means."""
    ids: dict[str, frozenset[int]] = {}
    for c, noun in nouns:
        called = [noun.lower()]
        for letters, others in words.CALLED:
            called += others.split("|") if re.search(letters, noun, re.IGNORECASE) else []
        for name in called:
            ids[name] = ids.get(name, frozenset()) | {c}
    names = "|".join(re.escape(name) for name in sorted(ids, key=lambda name: (-len(name), name)))
    every = (("class", rf"(?<![\w-])(?:{names})(?![\w-])"), *words.TOKENS)
    return re.compile("|".join(rf"(?P<{kind}>{pattern})" for kind, pattern in every), re.IGNORECASE), ids


def _middle(first: int, end: int) -> np.ndarray:
    region = np.zeros((6, 6), bool)
    region[first:end, first:end] = True
    return region


_INNER, _CENTRE = _middle(1, 5), _middle(2, 4)
#: How places end that are the middle of a side; and the middle of the height.
_SIDES = ("height", "width")
_BAND = np.repeat(np.arange(6)[:, None] // 2 == 1, 6, axis=1)


@lru_cache(maxsize=64)
def _regions(place: str) -> tuple[np.ndarray, ...]:
    """The cells that a place may mean: a half of the picture or a third, a quarter or a corner, the middle."""
    if place.endswith(_SIDES):
        return (_BAND if place.endswith("height") else _BAND.T,)
    if not re.search("north|south|east|west", place):
        return _INNER, _CENTRE
    found = []
    for size in (3, 2):
        region = np.zeros((6, 6), bool)
        rows = slice(0, size) if "north" in place else slice(6 - size, 6) if "south" in place else slice(0, 6)
        columns = slice(0, size) if "west" in place else slice(6 - size, 6) if "east" in place else slice(0, 6)
        region[rows, columns] = True
        found.append(region)
    return tuple(found)
