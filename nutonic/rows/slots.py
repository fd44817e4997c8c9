"""What can stand in a sentence: classes, shares, places and so on, each from a value to words and back.

The two ways belong together: whatever words a kind of slot makes, it reads again, so that every sentence can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from nutonic.core.classes import ClassTable
from nutonic.lazily import lazily
from nutonic.rows.positions import SHARE_ENDS, SHARE_WORDS, UNKNOWN_SHARE, Position

#: Picks one of so many phrasings.
Pick = Callable[[int], int]

#: Whole numbers that are written out.
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]

#: Letters that answers to choose from go by.
LETTERS = "ABCDE"


class Word(str):
    """Words that a verb can follow."""

    plural: bool

    def __new__(cls, text: str, plural: bool = False) -> Word:
        """The words, and whether they are many."""
        word = super().__new__(cls, text)
        word.plural = plural
        return word


@dataclass(frozen=True, kw_only=True, eq=False)  # one is itself alone, so that what is made for it can be kept
class Lexicon:
    """What classes, places, zones and directions are called."""

    table: ClassTable
    phrases: Mapping[str, Mapping[str, Sequence[str]]]
    """``places``, ``zones`` and ``directions``: what each may be called, several ways each."""
    nouns: Mapping[int, str] = field(init=False)
    """Class id to what it is called in a sentence, lower case, no two alike."""
    by_noun: Mapping[str, int] = field(init=False)
    by_phrase: Mapping[str, Mapping[str, str]] = field(init=False)
    any_noun: str = field(init=False)
    """A pattern of all nouns, the longest first."""

    def __post_init__(self) -> None:
        """Look-ups the other way round."""
        nouns = {class_id: self.table.noun(class_id) for class_id in self.table.labels}
        if len(set(nouns.values())) < len(nouns):
            nouns = dict(self.table.labels)
        nouns = {class_id: _unlike_a_list(noun, set(nouns.values())) for class_id, noun in nouns.items()}
        object.__setattr__(self, "nouns", nouns)
        object.__setattr__(self, "by_noun", {noun.lower(): class_id for class_id, noun in nouns.items()})
        flat = {
            kind: {phrase.lower(): name for name, each in names.items() for phrase in each}
            for kind, names in self.phrases.items()
        }
        object.__setattr__(self, "by_phrase", flat)
        object.__setattr__(self, "any_noun", either(nouns.values()))

    def noun(self, class_id: int) -> Word:
        """What a class is called, and whether that is a plural."""
        return self._words[class_id]

    @lazily
    def _words(self) -> Mapping[int, Word]:
        return {class_id: Word(noun, plural=_is_plural(noun)) for class_id, noun in self.nouns.items()}


#: What begins that which only tells more of a thing: of ``bodies of water`` the bodies decide.
_MORE = re.compile(r"\s*\([^)]*\)|,? (?:of|with|without|in|on|under|near|along|by|from|for|to|within|between) .*")
#: Words that are many without an s, and ends of words with an s that are one: grass, campus, oasis.
_MANY, _ONE = re.compile(r"\b(?:algae|cattle|fungi|people)$"), re.compile(r"(?:ss|us|is)$")


def _is_plural(noun: str) -> bool:
    """Whether a verb takes the plural: behind a list, and otherwise as the last word has it of what the name is about.

    In water/lake both are one, and it covers; trees/crops cover. Bodies of water cover, and land with trees and shrubs
    covers.
    """
    bare = _MORE.sub("", noun) or noun
    many = bare.endswith("s") and not _ONE.search(bare)
    return " and " in bare or many or _MANY.search(bare) is not None


def _unlike_a_list(noun: str, nouns: set[str]) -> str:
    """A noun; with strokes, as in ``grass/forest``, if with "and" it could be taken for two classes of the table."""
    parts = re.split(r", | and ", noun)
    return "/".join(parts) if len(parts) > 1 and nouns & set(parts) else noun


def either(words: Any) -> str:
    """A pattern of any of these words, the longest first."""
    return "(?:" + "|".join(map(re.escape, sorted(words, key=lambda word: (-len(word), word)))) + ")"


class Kind:
    """A kind of slot; this one is text that is fixed before it gets here."""

    def __init__(self, pattern: str = "") -> None:
        """Text of a pattern."""
        self._pattern = pattern

    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        """A value in words."""
        return str(value)

    def pattern(self, lexicon: Lexicon) -> str:
        """What its words look like, as a regular expression without groups that capture."""
        return self._pattern

    def value(self, words: str, lexicon: Lexicon) -> Any:
        """The value that words stand for; LookupError or ValueError if they stand for none."""
        return words


class _Noun(Kind):
    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        return lexicon.noun(value)

    def pattern(self, lexicon: Lexicon) -> str:
        return lexicon.any_noun

    def value(self, words: str, lexicon: Lexicon) -> int:
        return lexicon.by_noun[words.lower()]


class _Phrase(Kind):
    """One of a few things that each may be called in several ways."""

    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        phrases = lexicon.phrases[self._pattern][value]
        return phrases[pick(len(phrases))]

    def pattern(self, lexicon: Lexicon) -> str:
        return either(lexicon.by_phrase[self._pattern])

    def value(self, words: str, lexicon: Lexicon) -> str:
        return lexicon.by_phrase[self._pattern][words.lower()]


class _First(_Phrase):
    """The same, always by its first name: of a short answer, which others are to equal."""

    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        return lexicon.phrases[self._pattern][value][0]

    def pattern(self, lexicon: Lexicon) -> str:
        return either(phrases[0] for phrases in lexicon.phrases[self._pattern].values())


class _Where(Kind):
    """A :class:`Position`, with its `mostly`."""

    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        phrase = _PLACE.words(value.place, lexicon, pick)
        return f"mostly {phrase}" if value.mostly else phrase

    def pattern(self, lexicon: Lexicon) -> str:
        return "(?:mostly )?" + _PLACE.pattern(lexicon)

    def value(self, words: str, lexicon: Lexicon) -> Position:
        mostly = words.lower().startswith("mostly ")
        return Position(_PLACE.value(words[7:] if mostly else words, lexicon), mostly)


class _Count(Kind):
    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        return _NUMBERS[value] if 0 < value < len(_NUMBERS) else f"{value:,}"

    def pattern(self, lexicon: Lexicon) -> str:
        return either(_NUMBERS[1:]) + r"|[0-9][0-9,]*"

    def value(self, words: str, lexicon: Lexicon) -> int:
        return _NUMBERS.index(words.lower()) if words.lower() in _NUMBERS else int(words.replace(",", ""))


class _Box(Kind):
    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        return f"[{', '.join(f'{edge:g}' for edge in value)}]"

    def pattern(self, lexicon: Lexicon) -> str:
        return r"\[[0-9., ]{7,60}\]"

    def value(self, words: str, lexicon: Lexicon) -> tuple[float, ...]:
        return tuple(float(edge) for edge in words[1:-1].split(","))


class _Share(Kind):
    """A share in per cent or in words; a capital at the start of a sentence means nothing."""

    def value(self, words: str, lexicon: Lexicon) -> str:
        return words.lower()


class _Options(Kind):
    """Classes to choose from, by letter."""

    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        return "; ".join(f"{letter}) {lexicon.noun(c)}" for letter, c in zip(LETTERS, value, strict=True))

    def pattern(self, lexicon: Lexicon) -> str:
        return "; ".join(rf"{letter}\) {lexicon.any_noun}" for letter in LETTERS)

    def value(self, words: str, lexicon: Lexicon) -> tuple[int, ...]:
        options = "; ".join(rf"{letter}\) ({lexicon.any_noun})" for letter in LETTERS)
        found = re.fullmatch(options, words, re.IGNORECASE)
        return tuple(lexicon.by_noun[noun.lower()] for noun in found.groups()) if found else ()


#: What stands between several things, and before the last of them.
Joint = tuple[str, str]
_PLAIN, _CLEAR, _PARTED = (", ", " and "), (", ", ", and "), ("; ", "; and ")


def _joint_of(nouns: Sequence[str]) -> Joint:
    """What joins classes so that a person sees where one ends: fields and meadows, and trees and scrub."""
    if any("," in noun or ";" in noun for noun in nouns):
        return _PARTED
    return _CLEAR if any(" and " in noun for noun in nouns) else _PLAIN


class _Each(Kind):
    """Several of something, as ``a, b and c``; where a name has an "and" or a comma itself, they are parted more clearly."""

    def __init__(self, item: str, kinds: Mapping[str, Kind], *joints: Joint) -> None:
        super().__init__()
        self._item, self._kinds, self._joints = item, kinds, joints

    def _joint(self, value: Sequence[Mapping[str, Any]], lexicon: Lexicon) -> Joint:
        return self._joints[0] if len(self._joints) == 1 else _joint_of([lexicon.noun(each["c"]) for each in value])

    def words(self, value: Any, lexicon: Lexicon, pick: Pick) -> str:
        items = [
            self._item.format_map({name: kind.words(each[name], lexicon, pick) for name, kind in self._kinds.items()})
            for each in value
        ]
        between, last = self._joint(value, lexicon)
        return items[0] if len(items) == 1 else between.join(items[:-1]) + last + items[-1]

    def _one(self, lexicon: Lexicon, *, named: bool) -> str:
        def group(name: str) -> str:
            return f"(?{f'P<{name}>' if named else ':'}{self._kinds[name].pattern(lexicon)})"

        # At once, since a class may be called "{share}".
        parts = re.split(r"\{(\w+)\}", self._item)
        return "".join(group(part) if k % 2 else re.escape(part) for k, part in enumerate(parts))

    @lru_cache(maxsize=16)  # noqa: B019 - kinds are few, and stay
    def _item_of(self, lexicon: Lexicon) -> re.Pattern[str]:
        return re.compile(self._one(lexicon, named=True), re.IGNORECASE)

    def pattern(self, lexicon: Lexicon) -> str:
        one = self._one(lexicon, named=False)
        between, last = (either({joint[k] for joint in self._joints}) for k in (0, 1))
        return f"{one}(?:(?:{between}{one})*{last}{one})?"

    def value(self, words: str, lexicon: Lexicon) -> tuple[Mapping[str, Any], ...]:
        for joint in self._joints:
            found = self._parted(words, lexicon, joint)
            if found and (len(found) == 1 or self._joint(found, lexicon) == joint):
                return found
        raise ValueError(f"{words!r} is none of several")

    def _parted(self, words: str, lexicon: Lexicon, joint: Joint) -> tuple[Mapping[str, Any], ...]:
        """What is listed with this between it; nothing if it is no such list."""
        one, at, found = self._item_of(lexicon), 0, []
        while (match := one.match(words, at)) is not None:
            found.append({name: kind.value(match[name], lexicon) for name, kind in self._kinds.items()})
            at = match.end()
            at += len(next((each for each in sorted(joint, key=len, reverse=True) if words.startswith(each, at)), ""))
        return tuple(found) if at == len(words) else ()


_PLACE = _Phrase("places")
_NOUN, _WHERE = _Noun(), _Where()
_PERCENT, _END = r"(?:just under |under |over )?[0-9]{1,3}%", either(words for _, words in SHARE_ENDS)
_SHARE = _Share(
    rf"(?:(?:[0-9]{{1,2}}|{_PERCENT}) to )?{_PERCENT}|{either([*(words for _, words in SHARE_WORDS), 'all', UNKNOWN_SHARE])}"
    rf"|between {_END} and {_END}|(?:up to|at least) {_END}"
)

#: Every kind of slot, by its name in claims.
KINDS: Mapping[str, Kind] = {
    "noun": _NOUN,
    "where": _WHERE,
    "share": _SHARE,
    "zone": _Phrase("zones"),
    "quadrant": _First("zones"),
    "direction": _First("directions"),
    "count": _Count(),
    "unit": Kind("ha|m²"),
    "number": Kind(r"[0-9]+(?:\.[0-9]+)?"),
    "size": Kind(r"[0-9.]+ by [0-9.]+ k?m"),
    "date": Kind(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "season": Kind(either(("spring", "summer", "autumn", "winter"))),
    "picture": Kind(either(("satellite image", "aerial photograph"))),
    "box": _Box(),
    "letter": Kind(f"[{LETTERS}]"),
    "options": _Options(),
    "nouns": _Each("{c}", {"c": _NOUN}, _PLAIN, _CLEAR, _PARTED),
    "spots": _Each("{c} {where}", {"c": _NOUN, "where": _WHERE}, _PARTED),
    "placed": _Each("{c} ({share}), {where}", {"c": _NOUN, "share": _SHARE, "where": _WHERE}, _PARTED),
    "shared": _Each("{c} ({share})", {"c": _NOUN, "share": _SHARE}, _PLAIN, _CLEAR, _PARTED),
}
