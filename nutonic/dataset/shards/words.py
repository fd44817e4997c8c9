"""Captions, counted in words: which there are, and which of them are nouns by a plain rule."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: A word: letters of any script, also with apostrophes and hyphens within.
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")

#: What ends a phrase beside words of `_STOPS`.
_BREAK = re.compile(r"[^\w\s'’-]+|\d")

#: Words that begin a noun phrase.
_DETERMINERS = (
    "a an the this that these those its their his her our your another each every some any no both several many few one two"
    " three four five six seven eight nine ten"
)

#: Words that are no nouns, and end a phrase: of grammar, and the verbs and adverbs that captions are full of.
_OTHERS = (
    "about above across after against all almost along alongside also although among and apart are around as at away be"
    " because been before behind being below beneath beside besides between beyond but by can could do does down during"
    " either else even for from further has have having he here how i if in inside into is it itself just like less may"
    " might more most mostly much near nearly neither next nor not of off on only onto or other otherwise out outside"
    " over past per perhaps quite rather roughly same she should since so such than then there they through throughout"
    " to too toward towards under until up upon very was we were what when where whether which while who whose will with"
    " within without would yet you appear appears bends bound bounded bordered borders branches breaks comes contain"
    " contains continue continues cover covered covering covers cross crosses crossing curves cut cuts consists defined"
    " describes dominates dominated end ends enter enters extend extended extending extends fills flanked flows follow"
    " following follows forms found gives goes lead leads leading leaves lie lies lying located make makes measures"
    " measuring meet meets occupied occupies occupying passes positioned reach reaches reaching run running runs see seen"
    " seems serves set shown shows showing sits situated spans spanning stand stands starts stretches stretching"
    " belongs surrounded surrounding surrounds take taken takes touches touching turns visible winds approximately clearly"
    " directly gently largely mainly partly primarily slightly"
)

#: Nouns that say where or how large something is, and nothing of what is there.
_PLACES = (
    "north south east west north-west north-east south-west south-east northwest northeast southwest southeast centre"
    " center middle side sides edge edges corner corners part parts half quarter quarters third thirds metre metres meter"
    " meters kilometre kilometres hectare hectares percent share length width size shape way axis vicinity whole"
)

_BEGIN, _STOPS = frozenset(_DETERMINERS.split()), frozenset(f"{_DETERMINERS} {_OTHERS}".split())
_NO_HEADS = frozenset(_PLACES.split())


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, in their order.

    >>> words_of("A tree-lined Street, 230 m long.")
    ['a', 'tree-lined', 'street', 'm', 'long']
    """
    return [found[0].casefold().replace("’", "'") for found in _WORD.finditer(text)]


def length_of(text: str) -> int:
    """Words as captions are measured by: what stands between spaces.

    >>> length_of("A street, 230 m long.")
    5
    """
    return len(text.split())


def nouns_of(text: str) -> Iterator[str]:
    """The heads of noun phrases: a rule and no grammar, which errs on verbs and adjectives that it does not know.

    A head is the last word of a run of words that a determiner begins and a stop word, a number or a mark ends. Words
    that only say where or how large something is are left out.

    >>> list(nouns_of("A long residential street runs north of the parking lot, past two houses in the centre."))
    ['street', 'lot', 'houses']
    """
    for part in _BREAK.split(text):
        run: list[str] | None = None
        for word in [*words_of(part), "the"]:
            if word not in _STOPS:
                if run is not None:
                    run.append(word)
                continue
            if run and run[-1] not in _NO_HEADS:
                yield run[-1]
            run = [] if word in _BEGIN else None
