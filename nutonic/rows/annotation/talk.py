"""Whether an answer is a caption at all: plain English prose of the right length, and nothing about itself."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from nutonic.inert import unseen

Problem = tuple[str, str]

#: Marks that prose may have beside letters, digits and blanks.
_MARKS = frozenset(".,;:!?'\"()-–—‘’“”%/&°²³½¼¾×…")

#: Letters, digits, blanks and those marks, as most texts have no others.
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9 .,;:!?'\"()%/&-]*")

_MARKUP = re.compile(
    r"```|`|^\s*#{1,6}\s|\*\*|__|</?[a-z!][^>]*>|^\s*(?:[-*•+]|\d+[.)])\s+\S|\[[^\]]*\]\(|https?:|www\.|[{}\[\]|\\<>=_~^$@#]|\n\s*\n",
    re.IGNORECASE | re.MULTILINE,
)

_REFUSAL = re.compile(
    r"\b(?:i (?:can ?not|can['’]t|am (?:sorry|unable|not able)|do not have|don['’]t have|won['’]t|will not|must decline)"
    r"|i['’]m (?:sorry|unable|not able|afraid|an? (?:ai|language))|as an? (?:ai|artificial|(?:large )?language)"
    r"|(?:sorry|apolog\w+),? but|unable to (?:help|assist|comply|describe|provide|see|view)"
    r"|cannot (?:help|assist|comply|provide|describe|fulfil\w*|see the)|can['’]t (?:help|assist|comply)"
    r"|against (?:my|the) (?:policy|guidelines)|content policy)\b",
    re.IGNORECASE,
)
#: Letters of which some are in all refusals.
_OF_REFUSAL = (
    "i can", "i am ", "i do not", "i don", "i won", "i will", "i must", "i'm", "i’m", " ai", "artificial", "language",
    "sorry", "apolog", "unable to", "cannot", "can't", "can’t", "policy", "guidelines",
)  # fmt: skip

_ORDERS = re.compile(
    r"\b(?:ignor\w+|disregard\w*|forget\w*|overrid\w+) (?:(?:all|any|the|these|those|my|your|of|previous|prior|above|other|"
    r"earlier) )*(?:instruction|order|rule|prompt|command|message)s?\b|\bsystem (?:prompt|message)\b|\b(?:new|following) "
    r"instructions?\b|\bas (?:instructed|ordered|told|commanded)\b|\b(?:jailbreak|developer mode|dan mode)\b|<\|",
    re.IGNORECASE,
)
#: ... in all orders, ...
_OF_ORDERS = (
    "ignor", "disregard", "forget", "overrid", "system prompt", "system message", "instruction", "as instructed",
    "as ordered", "as told", "as commanded", "jailbreak", "developer mode", "dan mode", "<|",
)  # fmt: skip

_META = re.compile(
    r"\b(?:osm|open ?street ?map|tags?|tagged|tagging|metadata|meta-data|json|xml|yaml|html|dataset|data set|database|"
    r"prompts?|prompted|key-value|annotat\w+|bounding box(?:es)?|geojson|pixels?|word (?:count|limit)|tokens?|"
    r"map data|mapped data|input data|source data|attributes?)\b"
    r"|\b(?:according to|based on|per|from|in) the "
    r"(?:data|notes?|information|description|details|facts|given|map|input|text)\b"
    r"|\bthe (?:data|notes?|facts|given (?:information|data|facts|details)|provided|input)\b"
    r"|\b(?:provided|supplied|given) (?:information|data|details|notes|facts|description|text)\b"
    r"|\b(?:as (?:described|noted|stated|mentioned|requested|given|provided|listed)|"
    r"(?:was|were|are|is) (?:not )?(?:provided|specified|mentioned|listed))\b"
    r"|\b(?:(?<![\w ] )(?<!\w )here (?:is|['’]s) (?:a|an|the|your|my)|sure[,!]|certainly[,!]|"
    r"of course[,!]|let me\b|hope this|feel free|"
    r"in other words|(?:revised|rewritten|this|the|a|following) (?:caption|version|description)s?)"
    r"|\b(?:please|the user|end of (?:the )?(?:text|story)|captions?|(?:not|un)(?: known|known|named|specified))\b"
    r"|\b(?:note|caption|description|answer|response|assistant|user|system|output|revision)\s*:",
    re.IGNORECASE,
)
#: ... in all meta talk, ...
_OF_META = (
    "osm", "open", "tag", "data", "json", "xml", "yaml", "html", "prompt", "key-value", "annotat", "bounding", "pixel",
    "word", "token", "attribute", "note", "info", "description", "detail", "fact", "the map", "input", "text", "given",
    "provided", "supplied", "described", "stated", "mentioned", "requested", "listed", "specified", "here is", "here's",
    "here’s", "sure", "certainly", "of course", "let me", "hope this", "feel free", "caption", "version", "please",
    "user", "end of", "known", "named", "answer", "response", "assistant", "system", "output", "revision", "meta",
    "in other words",
)  # fmt: skip
#: ... and one of these, as they are, in all that is said of oneself.
_OF_MYSELF = re.compile(r"I[\s'’]|[Mm]y")
_MYSELF = re.compile(r"(?<![\w'’])(?:I|I['’](?:m|ve|d|ll))(?=\s)|\b(?:[Mm]y|[Mm]yself)\b")

_COORDINATES = re.compile(
    r"[-+]?\b\d{1,3}\.\d{3,}|\d\s*°|\bdegrees?\b|\b(?:latitude|longitude|lat|lng|easting|northing|utm|wgs ?84|epsg|"
    r"coordinates?)\b|\(\s*-?\d[\d.]*\s*,\s*-?\d[\d.]*\s*\)|\b\d+(?:\.\d+)?\s*[°]?\s*[NSEW]\b",
)
#: One of these is in all coordinates: what numbers of them have and others have not, or letters.
_OF_NUMBERS = re.compile(r"\.\d{3}|°|\(|\d\s*[NSEW]")
_OF_COORDINATES = ("degree", "lat", "longitude", "lng", "easting", "northing", "utm", "wgs", "epsg", "coordinate")
#: What is markup where a text begins, one of these marks or of these letters is in all of it.
_OF_MARKUP = re.compile(r"[`#*_<>\[\]{}|\\=~^$@\n]|\A\s*(?:[-*•+]|\d+[.)])\s")
_OF_ADDRESSES = ("http", "www.")

#: Words that English sentences are held together by, ...
ENGLISH = frozenset(
    """a about above across after against all along also although among an and another any are around as at away be because
    been before behind below beneath beside besides between beyond both but by can close could down each either else even
    every few first for from further has have here how in into is it its just last least less like likely lies little many
    may might more most mostly much near nearby nearly next no not of off on once one only onto or other others out over
    own part past perhaps quite rather same seen several shows so some such than that the their them then there these they
    this those though through throughout to together too toward towards two under until up upon very was well were what
    when where whether which while who whole whose with within without would""".split()  # noqa: SIM905
)
#: ... and those of other languages that share its letters, which are no English words.
_OTHERS = frozenset(
    """der die das und ist ein eine einer eines dem den des im mit von zu auf für sich nicht auch sind wird le la les des du
    une est et dans avec pour sur qui que dont au aux ce cette el los las una y en con por del se al como il lo gli di è che
    nel della per sono um uma o os da do na não em para het een van op met voor och att som på av är""".split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def words(text: str) -> list[str]:
    """The words of a text, as lengths are counted: what stands between blanks and has a letter or a digit."""
    return [word for word in text.split() if word[0].isalnum() or any(letter.isalnum() for letter in word)]


_END = re.compile(r"(?<=[.!?])[\"'’”)]*\s+|\n+")


@lru_cache(maxsize=64)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, which is taken apart more than once; a point between digits ends none."""
    return tuple(each.strip() for each in _END.split(text) if each.strip())


def talk_problem(text: str, before: str | None, prompt: str) -> Problem | None:
    """Why a text is no caption, whatever it says of a picture; the first reason that is found."""
    small = small_letters(text)
    return (
        _empty(text)
        or (_found("refusal", _REFUSAL, text) if may_hold(small, *_OF_REFUSAL) else None)
        or (_found("orders", _ORDERS, text) if may_hold(small, *_OF_ORDERS) else None)
        or _script(text)
        or _repeated(text)
        or _language(text)
        or (_found("markup", _MARKUP, text) if may_be_markup(text, small) else None)
        or (_found("meta talk", _META, text) if may_hold(small, *_OF_META) else None)
        or (_found("meta talk", _MYSELF, text) if _OF_MYSELF.search(text) else None)
        or _echo(text, before, prompt)
        or _marks(text)
        or (_found("coordinates", _COORDINATES, text) if may_be_coordinates(text) else None)
    )


def may_be_markup(text: str, small: str | None) -> bool:
    """Whether there may be markup in a text, of which `small` are :func:`small_letters`."""
    return may_hold(small, *_OF_ADDRESSES) or _OF_MARKUP.search(text) is not None


def may_be_coordinates(text: str) -> bool:
    """Whether there may be coordinates in a text: most numbers in captions are none."""
    return may_hold(text, *_OF_COORDINATES) or _OF_NUMBERS.search(text) is not None


def length_problem(text: str, least: int, most: int) -> Problem | None:
    """Whether a text has too few or too many words."""
    count = len(words(text))
    if count < least:
        return "too short", f"{count} words, at least {least}"
    return ("too long", f"{count} words, at most {most}") if count > most else None


def _empty(text: str) -> Problem | None:
    return None if _WORD.search(text) else ("no text", "it has no words")


def _found(reason: str, pattern: re.Pattern[str], text: str) -> Problem | None:
    found = pattern.search(text)
    return None if found is None else (reason, found[0].strip()[:60] or "a break")


def _script(text: str) -> Problem | None:
    """Letters of other alphabets, and digits."""
    for letter in "" if text.isascii() else text:
        if letter.isascii() or not letter.isalnum():
            continue
        name = unicodedata.name(letter, "no letter")
        if not name.startswith(("LATIN ", "SUPERSCRIPT ", "VULGAR FRACTION")) or "FULLWIDTH" in name:
            return "not English", name.lower()
    return None


def _marks(text: str) -> Problem | None:
    hidden = unseen(text)
    if hidden is not None or "\t" in text:
        return "strange marks", ascii(hidden or "\t")
    if _PLAIN_TEXT.fullmatch(text):
        return None
    strange = (
        letter for letter in text if not (letter.isalnum() or letter in " \n" or letter in _MARKS or _is_accent(letter))
    )
    found = next(strange, None)
    return None if found is None else ("strange marks", unicodedata.name(found, ascii(found)).lower())


def _is_accent(letter: str) -> bool:
    return unicodedata.category(letter) == "Mn"


#: So many words of other languages in a sentence make it one of theirs, if they are more than ours.
_FOREIGN = 3


def _language(text: str) -> Problem | None:
    """Whether the words that hold a text together are English ones."""
    every = _WORD.findall(text.lower()) if text.isascii() else [word.lower() for word in _WORD.findall(text)]
    ours, theirs = sum(map(ENGLISH.__contains__, every)), sum(map(_OTHERS.__contains__, every))
    for sentence in sentences(text) if theirs >= _FOREIGN else ():
        own = [word.lower() for word in _WORD.findall(sentence)]
        strange = sum(word in _OTHERS for word in own)
        if strange >= _FOREIGN and strange > sum(word in ENGLISH for word in own):
            return "not English", sentence[:60]
    if len(every) >= 8 and (ours < 0.18 * len(every) or theirs > 0.5 * ours):
        return "not English", f"{ours} of {len(every)} words hold English sentences together"
    return None


#: So many words in a row that stand there thrice say nothing new.
_REPEATED = 8


def _repeated(text: str) -> Problem | None:
    """A sentence that stands there twice, or a run of words that stands there thrice."""
    plain = [" ".join(_plain(sentence)) for sentence in sentences(text)]
    every = _plain(text)
    twice = next(
        (sentence for sentence, count in Counter(plain).items() if count > 1 and len(sentence.split()) > 2), None
    )
    if twice is not None:
        return "repetition", twice[:60]
    runs = list(_runs(every, _REPEATED))
    some = Counter(runs) if len(set(runs)) < len(runs) else {}
    run = next((run for run, count in some.items() if count > 2), None)
    if run is not None:
        return "repetition", " ".join(run)[:60]
    word, count = Counter(every).most_common(1)[0]
    beyond = (len(every) >= 8 and count > len(every) / 3) or any(a == b == c for a, b, c in _runs(every, 3))
    return ("repetition", word) if beyond else None


_RUN = re.compile(r"\w+")


@lru_cache(maxsize=128)
def _plain(text: str) -> tuple[str, ...]:
    return tuple(_RUN.findall(text.lower()) if text.isascii() else [word.lower() for word in _RUN.findall(text)])


def _runs(every: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    return zip(*(every[k:] for k in range(length)), strict=False)


#: So many words in a row that a prompt has too are an echo of it.
_ECHO = 8


def _echo(text: str, before: str | None, prompt: str) -> Problem | None:
    """Whether a text repeats what was asked, or, as a revision, the caption that was to be said in other words."""
    ours = _plain(text)
    asked = _asked(prompt)
    found = next((run for run in _runs(ours, _ECHO) if run in asked), None)
    if found is not None:
        return "echo", " ".join(found)[:60]
    if before is not None and ours and f" {' '.join(ours)} " in f" {' '.join(_plain(before))} ":
        return "echo", "the caption that was to be said in other words"
    return None


@lru_cache(maxsize=64)
def _asked(prompt: str) -> frozenset[tuple[str, ...]]:
    """The runs of words in a template: there are few of them, and many answers."""
    return frozenset(_runs(_plain(re.sub(r"\{[{%].*?[%}]\}", " \n ", prompt)), _ECHO))


#: What a pattern that ignores case takes for a letter of ASCII.
_ALIKE = frozenset("\u0130\u0131\u017f\u212a")  # I with a dot, i without one, long s, kelvin


def small_letters(text: str) -> str | None:
    """A text in small letters; None if a pattern that ignores case may take others in it for letters of ASCII."""
    return text.lower() if text.isascii() or _ALIKE.isdisjoint(text) else None


def may_hold(small: str | None, *letters: str) -> bool:
    """Whether a text, of which `small` are :func:`small_letters`, may hold what is never without one of some letters.

    Most of what is looked for is in no text, and to look for letters takes a fiftieth of what a pattern does.
    """
    return small is None or any(map(small.__contains__, letters))


_DIGITS = re.compile(r"\d")
_MOST_WORDS, _MOST_TEXTS = 2**15, 2**10


class Signs(dict[str, int]):
    """What words hold of some letters each, as bits, and so what a text may hold that is made of them.

    A clause is held against hundreds of letters, and has some ten words, of which most were in others: to look these up
    takes as long as one pattern.
    """

    def __init__(self) -> None:
        super().__init__()
        self._signs: list[re.Pattern[str]] = []
        self._texts: dict[str, int] = {}  # a clause is asked for by several checks

    def sign(self, *letters: str, words: str | None = None) -> int:
        """A new bit, of texts that may hold one of some letters, or a word in which a pattern is found.

        `words` is looked for in small letters, in what stands between two blanks.
        """
        parts = [*map(_in_word, letters), *([] if words is None else [words])]
        self._signs.append(re.compile("|".join(f"(?:{part})" for part in parts)))
        self.clear()
        self._texts.clear()
        return 1 << (len(self._signs) - 1)

    def of(self, text: str) -> int:
        """The bits of a text; a few that it has not may be among them."""
        known = self._texts.get(text)
        if known is not None:
            return known
        small, found = small_letters(text), 0
        for word in () if small is None else small.split(" "):
            found |= self[word]
        if len(self._texts) >= _MOST_TEXTS:
            self._texts.clear()
        self._texts[text] = found = -1 if small is None else found
        return found

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_WORDS:
            self.clear()
        plain = _DIGITS.sub("0", word)  # of numbers there are many
        found = self.get(plain)
        if found is None:
            found = self[plain] = sum(1 << number for number, sign in enumerate(self._signs) if sign.search(plain))
        self[word] = found
        return found


def _in_word(letters: str) -> str:
    """What a word is never without, if a text holds some letters: of several words the longest."""
    parts = letters.split(" ")
    at = max(range(len(parts)), key=lambda k: (len(parts[k]), 0 < k < len(parts) - 1))
    return ("^" if at else "") + re.escape(parts[at]) + ("$" if at + 1 < len(parts) else "")


_SIGNS = Signs()
sign, signs_of = _SIGNS.sign, _SIGNS.of


def folded(text: str) -> str:
    """A text in which letters are the same that differ by case: where a pattern that ignores case is found, so is this."""
    return text.casefold().replace("ı", "i")


def hidden_names(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Names that are looked for, each with its :func:`folded` letters; what is shorter than three letters is none."""
    plain = [name for name in dict.fromkeys(map(str.strip, names)) if len(name) >= 3]
    letters = folded("\0".join(plain)).split("\0")  # letters are folded each by itself
    return tuple(zip(plain, letters if len(letters) == len(plain) else map(folded, plain), strict=True))


def names_problem(
    text: str, known: Callable[[], frozenset[str]], allowed: Iterable[str], hidden: Iterable[tuple[str, str]]
) -> Problem | None:
    """A name that a caption may not say: one that an element has, or a word with a capital that none should have.

    Parameters
    ----------
    known
        Tells words that are no names, in small letters; those of `ENGLISH` are among them. Asked where there may be a name.
    allowed
        Names that may be said.
    hidden
        Names of elements, which may not: :func:`hidden_names`.
    """
    rest = text
    for name in sorted(allowed, key=lambda name: (-len(name), name)):
        rest = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "it", rest)
    letters = folded(rest)
    for plain, folds in hidden:
        if folds not in letters:
            continue  # most are in no text, and looking for their letters is all that they take
        if known().issuperset(re.findall(r"[^\W\d_]+", plain.lower())):
            continue  # words that anybody may say, and numbers, which are judged as numbers
        if re.search(rf"(?<!\w){re.escape(plain)}(?!\w)", rest, re.IGNORECASE):
            return "name", plain[:60]
    for sentence in sentences(rest):
        found = _capital(sentence, known)
        if found is not None:
            return "name", found[:60]
    return None


def _capital(sentence: str, known: Callable[[], frozenset[str]]) -> str | None:
    """A word in a sentence with a capital that is no known word; or a known one that is part of a name."""
    if sentence.isascii() and sentence[1:] == sentence[1:].lower():
        return None
    tokens = [(found[0], found.start()) for found in re.finditer(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", sentence)]
    for index, (word, at) in enumerate(tokens):
        if len(word) > 2 and word.isupper():
            return word
        if index == 0 or not word[0].isupper():
            continue
        previous, gap = tokens[index - 1][0], sentence[tokens[index - 1][1] + len(tokens[index - 1][0]) : at]
        parts = re.split(r"[-'’]", word.lower())
        plain = all(part in known() or part.removesuffix("s") in known() for part in parts if part)
        shape = len(parts) > 1 and len(parts[0]) == 1  # T-junction
        if not (plain or shape) or (len(word) > 1 and word.isupper()):
            return word
        if previous[0].isupper() and gap == " " and previous.lower() not in ENGLISH:
            return f"{previous} {word}"
    return None
