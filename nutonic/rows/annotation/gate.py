"""The gate: what of a model's answers is let through. Pure, and of one opinion on one text.

An answer is first judged as talk (:mod:`.talk`): whether it is English prose of the right length, about nothing but a
picture. Then what it says is held, sentence by sentence, against the description: names, numbers, places and
things. Of each clause those elements are meant whose nouns are in it; where none is, those of its sentence, or
the one that is described.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from nutonic.chips.scene.description import Described, SceneDescription, Task
from nutonic.lazily import lazily
from nutonic.recipe.annotation import Captions
from nutonic.rows.annotation.bearings import (
    OF_EDGES,
    OF_FREE,
    OF_PLACES,
    OF_POINTS,
    OF_SHAPES,
    Beside,
    as_compass,
    bearing_problem,
    edge_problem,
    shape_problem,
    without_free,
)
from nutonic.rows.annotation.calling import Found, Names, Roll, Tags, noun_in, speaks_of_one
from nutonic.rows.annotation.numbers import OF_NUMBERS, Known, known_of, number_problem
from nutonic.rows.annotation.prompts import is_name
from nutonic.rows.annotation.statements.bindings import binding_problem, side_problem
from nutonic.rows.annotation.statements.clauses import ALIKE, GOES_ON, OF_ALIKE, TELLS_MORE, clauses
from nutonic.rows.annotation.statements.counts import without_counts
from nutonic.rows.annotation.statements.denials import denial_problem, may_deny, nothing_problem
from nutonic.rows.annotation.statements.meetings import OF_MEETINGS, course_problem, meeting_problem
from nutonic.rows.annotation.statements.plain_words import (
    SEEN,
    names_of_none,
    singulars,
    word_problem,
    words_of,
    words_told,
)
from nutonic.rows.annotation.statements.ratios import OF_RATIOS, without_ratios
from nutonic.rows.annotation.statements.relations import OF_RELATIONS, without_relations
from nutonic.rows.annotation.statements.said import Said
from nutonic.rows.annotation.statements.sides import Allowed, allowed_of
from nutonic.rows.annotation.statements.sizes import size_problem
from nutonic.rows.annotation.statements.synonyms import Synonyms
from nutonic.rows.annotation.statements.which import narrowed, phrase, tells_which, with_nouns
from nutonic.rows.annotation.talk import (
    Problem,
    hidden_names,
    length_problem,
    names_problem,
    sentences,
    sign,
    signs_of,
    talk_problem,
)
from nutonic.rows.annotation.templates import of_templates
from nutonic.rows.annotation.things import Evidence, every_kind, evidence_of, is_of_kind, thing_problem

#: Why answers are not let through, as they are counted.
REASONS = (
    "no text", "refusal", "orders", "not English", "markup", "meta talk", "echo", "strange marks", "repetition",
    "coordinates", "name", "too short", "too long", "number", "place", "shape", "thing", "size", "denied", "word",
    "cut off", "no JSON", "refused",
)  # fmt: skip

#: A text of more letters is not looked at.
LONGEST = 20_000


class Gate:
    """Judges what is said of one patch; made once for all its captions, for what can be told of a patch is told once."""

    def __init__(
        self,
        description: SceneDescription,
        captions: Captions,
        *,
        nouns: Collection[str] = (),
        hidden: Collection[str] = (),
        claims: bool = True,
    ) -> None:
        """What is known, and what is asked for.

        Parameters
        ----------
        description
            What is known of the patch.
        captions
            How long captions are, and whether they may say names.
        nouns
            All that the policy of tags can call a thing.
        hidden
            Names of elements, which may be said only where names may.
        claims
            Whether sizes without a number, denials and words are judged; of chips, whose counts say more, others do so.
        """
        self._claims = claims
        self._description, self._captions, self._nouns = description, captions, frozenset(nouns)
        self._names = _names(description.elements) if captions.names else []
        self._hidden = () if captions.names else hidden_names(hidden)
        self._views: dict[str, _View] = {}

    def problem_of(
        self, text: str, task: Task, *, before: str | None = None, prompt: str = "", seen: bool = False
    ) -> Problem | None:
        """Why an answer is not let through: the reason, one of `REASONS`, and what was found; None if it is.

        Parameters
        ----------
        text
            The answer, without blanks around it.
        task
            What was asked for.
        before
            Of a revision: the caption that it was made of.
        prompt
            The words of the prompt that are no facts.
        seen
            Whether who answers saw the picture, so that colours and light may be told, which no map holds.
        """
        view = self._view(task.element)
        if len(text) > LONGEST:
            return "too long", f"{len(text):,} letters"
        talk = talk_problem(text, before, prompt)
        if talk is not None:
            return talk
        problem = names_problem(text, lambda: self._known, self._names, self._hidden)
        least, most = _lengths(task, self._captions)
        problem = problem or length_problem(text, least, most)
        if problem is not None:
            return problem
        for name in sorted(self._names, key=lambda name: (-len(name), name)):
            text = text.replace(name, "it")
        text = self._synonyms.plain(text)
        thing = thing_problem(text, self._evidence)
        if thing is not None:
            return "thing", thing
        problem = view.problem_of(text, seen=seen)
        judged = problem is None and self._claims
        more = of_templates() | SEEN if seen else of_templates()
        word = word_problem(text, self._is_known, every_kind(), more) if judged else None
        return problem if word is None else ("word", word)

    def _is_known(self, word: str) -> bool:
        """Whether a word is of what is there, or of a kind of things, of which it is known by now that there are some."""
        return not self._own.isdisjoint(singulars(word)) or is_of_kind(word)

    def _view(self, element: str) -> _View:
        if element not in self._views:
            main = self._description.of(element)
            self._views[element] = _View(main, self._roll, self._description.side_m, claims=self._claims)
        return self._views[element]

    @lazily
    def _roll(self) -> Roll:
        return Roll(self._description.elements)

    @lazily
    def _synonyms(self) -> Synonyms:
        return Synonyms(self._roll.words)

    @lazily
    def _distinct(self) -> tuple[tuple[str, Tags], ...]:
        """The noun and the tags of each that is not called the same and has the same: of hundreds there are some dozens."""
        elements = self._roll.elements
        each = (
            (noun, tags, {elements[index].partly for index in those})
            for (noun, tags), those in self._roll.alike.items()
        )
        return tuple((noun, tags + partly) for noun, tags, parts in each for partly in parts)

    @lazily
    def _evidence(self) -> Evidence:
        return evidence_of(self._distinct, self._nouns)

    @lazily
    def _own(self) -> frozenset[str]:
        """Words of what things are called, of their tags and their courses."""
        courses = {each.course for each in self._description.elements if each.course is not None}
        keys = (words_told(*each, keys=True) for each in self._distinct)
        return frozenset().union(*keys, *map(words_of, courses))

    @lazily
    def _known(self) -> frozenset[str]:
        """Words that are no names, in small letters."""
        return names_of_none(self._nouns).union(*(words_told(*each, keys=False) for each in self._distinct))


def problem_of(
    text: str,
    task: Task,
    description: SceneDescription,
    captions: Captions,
    *,
    nouns: Collection[str] = (),
    hidden: Collection[str] = (),
    before: str | None = None,
    prompt: str = "",
    seen: bool = False,
) -> Problem | None:
    """What :class:`Gate` has against one text."""
    return Gate(description, captions, nouns=nouns, hidden=hidden).problem_of(
        text, task, before=before, prompt=prompt, seen=seen
    )


def _lengths(task: Task, captions: Captions) -> tuple[int, int]:
    words = captions.words
    return words.revision if task.number == 3 else words.area if task.number == 1 else words.line


#: What stands for the thing that is described.
_PRONOUN = re.compile(r"\b(?:it|its|itself|this|these|they|their|them)\b", re.IGNORECASE)
_OF_PRONOUNS = sign(words=_PRONOUN.pattern)


#: Of more of a kind it is not asked whether one of them is as is told.
_SEVERAL = 12
_ANOTHER = re.compile(r"^(?:and |while )?(?:another|an? (?:second|further|third)) (?:\w+ )?\w+", re.IGNORECASE)

#: What is told of each of several things.
_EACH = re.compile(r"\b(?:both|all|each|every)(?: of)?(?: the| these| those)? (?P<whom>[^.;]+)", re.IGNORECASE)

_OF_EACH = sign(words=r"\b(?:both|all|each|every)\b")

#: What stands for things that were told of just now.
_PLURAL = re.compile(r"\b(?:they|their|them|these|each)\b", re.IGNORECASE)
_OF_PLURALS = sign(words=_PLURAL.pattern)

#: What tells that there is more than one of a kind.
_OTHERS = re.compile(r"\b(?:another|others?|further|more|second)\b", re.IGNORECASE)


#: The sign of what goes on with a thing of the same kind; those of all that a clause is held against.
_OF_OTHERS = sign(*OF_ALIKE)
_OF_CLAUSES = OF_NUMBERS | OF_PLACES | OF_SHAPES | OF_EDGES


@dataclass(frozen=True, eq=False)
class _Meant:
    """Elements that a text speaks of, and what may be said of them."""

    elements: tuple[Described, ...]
    main: Described
    roll: Roll
    side_m: float

    @lazily
    def groups(self) -> frozenset[int]:
        """Numbers of their groups on the roll."""
        return frozenset(map(self.roll.group, self.elements))

    @lazily
    def has_main(self) -> bool:
        """Whether the one that is described is among them."""
        return any(each is self.main for each in self.elements)

    @lazily
    def allowed(self) -> Allowed:
        return allowed_of(self.elements)

    @lazily
    def known(self) -> Known:
        return known_of(self.elements, self.roll, self.side_m, self.main)


class _View:
    """A patch, as captions of one of its elements speak of it."""

    def __init__(self, main: Described, roll: Roll, side_m: float, *, claims: bool) -> None:
        self._claims = claims
        self._main, self._roll, self._side_m = main, roll, side_m
        alike = (each for each in roll.elements if each.element == main.element)
        self._main_groups = frozenset(map(roll.group, alike))
        self._meant: dict[tuple[bool, frozenset[int]], _Meant] = {}

    def problem_of(self, text: str, *, seen: bool = False) -> Problem | None:
        """What a text says that the description does not. `seen`: of :meth:`Gate.problem_of`."""
        names, denies = self._roll.within(text), self._claims and may_deny(text)
        text = with_nouns(text, self._roll.nouns.items())
        earlier: Callable[[], Found] = tuple
        for index, each in enumerate(sentences(text)):
            spoken_of = self._meant_by(each, names, first=index == 0, whole=True) or self._of(True, frozenset())
            sentence, earlier, problem = self._without_relations(each, names, spoken_of, earlier, seen=seen)
            problem = problem or self._clauses_problem(sentence, names, spoken_of, first=index == 0)
            if problem is not None:
                return problem
            denied = denies and denial_problem(sentence, partial(self._named, names), self._main)
            if denied:
                return "denied", denied
        nothing = None if not self._claims else nothing_problem(text, lambda: self._untold(text))
        return None if nothing is None else ("denied", nothing)

    def _without_relations(
        self, sentence: str, names: Names, spoken_of: _Meant, before: Callable[[], Found], *, seen: bool
    ) -> tuple[str, Callable[[], Found], Problem | None]:
        """A sentence without what it says of where things lie and how large they are, of each other; and what is not so.

        With it comes what tells where things are named in it; `before` is that of the sentence before.
        """
        wrong = None
        if signs_of(sentence) & OF_FREE:
            sentence, wrong = without_free(sentence, spoken_of.elements)
        if wrong is not None:
            return sentence, tuple, ("place", wrong)
        if signs_of(sentence) & OF_RATIOS:
            sentence, wrong = without_ratios(sentence, partial(self._named, names), self._main, self._side_m)
        if wrong is not None:
            return sentence, tuple, ("size", wrong)
        whole = as_compass(sentence)
        if not signs_of(whole) & (OF_RELATIONS | OF_POINTS):
            return whole, partial(self._roll.found, whole, names), None
        named = found = self._roll.found(whole, names)
        earlier = [each for _, _, whom in before() for each in whom]
        sentence, wrong = without_relations(whole, found, self._main, earlier, seen=seen)
        if wrong is not None:
            return sentence, tuple, ("place", wrong)
        whole, found = sentence, found if sentence == whole else self._roll.found(sentence, names)
        sentence, wrong = without_counts(whole, found, earlier)
        if wrong is not None:
            return sentence, tuple, ("number", wrong)
        found = found if sentence == whole else self._roll.found(sentence, names)
        bound = binding_problem(sentence, found, self._main)
        bound = bound or (side_problem(sentence, found, self._main) if self._claims else None)
        return sentence, lambda: named, None if bound is None else ("place", bound)

    def _clauses_problem(self, sentence: str, names: Names, spoken_of: _Meant, *, first: bool) -> Problem | None:
        """What the clauses of a sentence say that the description does not, each of what it is about."""
        before: _Meant | None = None
        head: _Meant | None = None
        for clause in clauses(sentence, partial(self._roll.called, among=names)):
            own = self._meant_by(clause, names, first=first) or self._told_of(clause)
            goes_on = before is not None and (GOES_ON.match(clause) or TELLS_MORE.match(clause))
            meant = own or (self._both(before, head) if before and head and goes_on else spoken_of)
            head = head or own
            if (
                own is not None
                and before is not None
                and signs_of(clause) & _OF_PLURALS
                and _PLURAL.search(clause)
                and not self._roll.called(clause, names)
            ):
                meant = self._both(before, own)
            meant, last = self._narrowed(meant, clause, names), before
            if own is not None and before is not None and GOES_ON.match(clause):
                meant = self._both(before, meant)
            before = meant
            problem = self._clause_problem(clause, meant, spoken_of) or self._claim_problem(clause, meant, last, names)
            if problem is not None:
                return problem
        return None

    def _narrowed(self, meant: _Meant, clause: str, names: Names) -> _Meant:
        """Of two fields the one in the west, where a clause speaks of the western field; or the one with the wheat."""
        if len(meant.elements) < 2 or ALIKE.search(clause) or not tells_which(clause, self._roll.told):
            return meant
        alike, there = set[str](), set[str]()
        for start, end, whom in self._roll.found(clause, names):
            which = phrase(clause, start, end)
            if len(whom) > 1 and tells_which(which, self._roll.told):
                named = {each.element for each in whom}
                those = [each for each in meant.elements if each.element in named]
                if len({each.noun for each in those}) == 1:
                    alike.update(each.element for each in those)
                    there.update(each.element for each in narrowed(those, which))
        if alike == there:
            return meant
        kept = tuple(each for each in meant.elements if each.element in there or each.element not in alike)
        return _Meant(kept, self._main, self._roll, self._side_m)

    def _named(self, names: Names, text: str) -> Sequence[Described]:
        """What a text names."""
        return self._roll.mentioned(text, names)

    def _untold(self, text: str) -> str | None:
        """What a text does not name."""
        groups = self._roll.called(text)
        left = (each for each in self._roll.elements if self._roll.group(each) not in groups)
        return next((each.noun for each in left if each.element != self._main.element), None)

    def _both(self, one: _Meant, other: _Meant) -> _Meant:
        """The elements of two clauses, of which the second goes on with the first."""
        return self._of(one.has_main or other.has_main, one.groups | other.groups)

    def _meant_by(self, text: str, names: Names, *, first: bool, whole: bool = False) -> _Meant | None:
        """The elements that a text speaks of; the one that is described also by a pronoun, and first. None if it is of none.

        In a `first` sentence a thing in the singular is the one that is described, whatever else is called so.
        """
        groups, signs = self._roll.called(text, names), signs_of(text)
        spoken_of = not self._main_groups.isdisjoint(groups)
        if first and spoken_of and not _OTHERS.search(text):
            noun = noun_in(self._main.noun, text)
            if speaks_of_one(noun, text) and self._may_be_main(noun, text):
                groups = self._roll.called(noun.sub(" ", text), names)
        is_one = signs & _OF_OTHERS != 0 and ALIKE.search(text) is not None
        is_it = signs & _OF_PRONOUNS != 0 and _PRONOUN.search(text) is not None
        if is_one:
            groups |= self._main_groups
        if spoken_of and not is_it and _ANOTHER.search(text) and self._roll.nouns[self._main.noun] > 1:
            spoken_of = False
        has_main = spoken_of or is_one or (first and whole) or is_it
        return self._of(has_main, groups) if has_main or groups else None

    def _may_be_main(self, noun: re.Pattern[str], text: str) -> bool:
        """Whether what a text has of this noun may be what is described: not so the wheat field, if that is of maize."""
        found = noun.search(text)
        which = "" if found is None else phrase(text, *found.span())
        if self._roll.nouns[self._main.noun] < 2 or not tells_which(which, self._roll.told):
            return True
        alike = [each for each in self._roll.elements if each.noun == self._main.noun]
        return any(each is self._main for each in narrowed(alike, which))

    def _told_of(self, clause: str) -> _Meant | None:
        """The elements that a clause speaks of by a tag alone: wheat grows in the field of wheat."""
        pattern = self._roll.any_told
        words = pattern.findall(clause) if pattern is not None and self._roll.tells(clause) else ()
        elements = dict.fromkeys(each for word in words for each in self._roll.told[word.lower()])
        return _Meant(tuple(elements), self._main, self._roll, self._side_m) if elements else None

    def _of(self, has_main: bool, groups: frozenset[int]) -> _Meant:
        key = has_main, groups
        if key not in self._meant:
            others = (each for each in self._roll.of(groups) if each.element != self._main.element)
            elements = (self._main, *others) if has_main else tuple(others)
            self._meant[key] = _Meant(elements, self._main, self._roll, self._side_m)
        return self._meant[key]

    def _clause_problem(self, clause: str, meant: _Meant, around: _Meant) -> Problem | None:
        signs = signs_of(clause)
        if not signs & _OF_CLAUSES:
            return None
        alone = self._alone(clause, meant, around)
        if alone is not None:
            return alone

        def beside() -> Beside:
            there = {each.element for each in meant.elements}
            more = (each for each in (*around.elements, self._main) if each.element not in there)
            return Beside(self._roll, (*meant.elements, *more), self._main)

        number = number_problem(clause, lambda: meant.known) if signs & OF_NUMBERS else None
        if number is not None:
            return "number", number
        place = bearing_problem(clause, meant.allowed, beside) if signs & OF_PLACES else None
        if place is not None:
            return "place", place
        shape = shape_problem(clause, meant.allowed) or edge_problem(clause, meant.allowed)
        shape = shape or (self._each(clause) if signs & OF_SHAPES and signs & _OF_EACH else None)
        return None if shape is None else ("shape", shape)

    def _alone(self, clause: str, meant: _Meant, around: _Meant) -> Problem | None:
        """What is told of one of several that are called alike, and of none of them all together."""
        if len(meant.elements) < 2 or len({each.noun for each in meant.elements}) > 1:
            return None
        noun = meant.elements[0].noun
        if not speaks_of_one(noun_in(noun, clause), clause) or ALIKE.search(clause) or len(meant.elements) > _SEVERAL:
            return None
        ones = [_Meant((each,), self._main, self._roll, self._side_m) for each in meant.elements]
        wrong = [self._clause_problem(clause, one, around) for one in ones]
        return None if None in wrong else wrong[0]

    def _each(self, clause: str) -> str | None:
        """A shape or a course that is told of both, or all, of some things, and that one of them has not."""
        for found in _EACH.finditer(clause):
            words = re.split(r"[,;:.]| (?:is|are|has|have|lies?|runs?|with) ", found["whom"])[0]
            for each in self._roll.mentioned(words):
                wrong = shape_problem(clause, allowed_of([each]))
                if wrong is not None:
                    return wrong
        return None

    def _claim_problem(self, clause: str, meant: _Meant, last: _Meant | None, names: Names) -> Problem | None:
        """What is said of sizes without a number, of the ground, and of what meets what."""
        if not self._claims:
            return None
        spoken_of = () if last is None else last.elements
        said = Said(clause, meant.elements, self._roll, names, self._main, self._side_m, spoken_of)
        size = size_problem(said)
        if size is not None:
            return "size", size
        meeting = (meeting_problem(said) or course_problem(said)) if signs_of(clause) & OF_MEETINGS else None
        return None if meeting is None else ("place", meeting)


def _names(elements: Iterable[Described]) -> list[str]:
    """Names that elements are shown with."""
    return [value.strip() for each in elements for key, value in each.tags if is_name(key) and value.strip()]
