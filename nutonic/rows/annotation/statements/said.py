"""A clause of a caption, with what it may be about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nutonic.chips.scene.description import Described
from nutonic.rows.annotation.calling import Names, Roll, whole_noun
from nutonic.rows.annotation.statements.which import narrowed

#: Where the words end that name what comes next.
_NEXT = re.compile(
    r"[,;:.]| (?:and|with|of|in|on|to|from|that|which|where|near|beside|along|than|at|by) ", re.IGNORECASE
)

#: What may stand before a word of sizes or of meeting in a clause that goes on with what the one before is about.
_GOES_ON = re.compile(
    r"(?:\W|and|but|also|lies?|lying|is|are|just|about|roughly|directly|immediately|right|close|far|much)*", re.I
)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said in a clause, and of whom it may be said."""

    clause: str
    meant: Sequence[Described]
    """The elements that it is about."""
    roll: Roll
    """All that there are."""
    names: Names
    """Those of their names that may be in the caption."""
    main: Described
    """What ``it`` is."""
    side_m: float
    last: Sequence[Described] = ()
    """The elements that the clause before is about."""

    def named(self, text: str) -> tuple[Described, ...]:
        """The elements that a text names."""
        return self.roll.mentioned(text, self.names)

    def next(self, after: int, words: int = 4) -> tuple[Described, ...]:
        """The elements that the words behind a position name: no more than so many, and no further than a joint."""
        every = _NEXT.split(self.clause[after:])[0].split()
        told, whole = " ".join(every[:words]), " ".join(every[: words + 2])
        if len(whole) > len(told):  # no name is cut: "it is a water tower" does not end at the water
            ends = (end for start, end, _ in self.roll.found(whole, self.names) if start < len(told) < end)
            told = whole[: max(ends, default=len(told))]
        return tuple(narrowed(self.precisely(told), told))

    def before(self, at: int) -> tuple[Described, ...]:
        """The elements that are named before a position; where none is, what is described."""
        told = self.clause[:at]
        named = tuple(narrowed(self.precisely(told), told))
        return named or (tuple(self.last) if _GOES_ON.fullmatch(told) else ()) or (self.main,)

    def precisely(self, text: str) -> tuple[Described, ...]:
        """The same as :meth:`named`, but where a school building is named, no church, which is a building too."""
        named = self.named(text)
        nouns = {each.noun for each in named if " " in each.noun}
        found = [noun for noun in sorted(nouns, key=lambda noun: (-len(noun), noun)) if whole_noun(noun).search(text)]
        if not found:
            return named
        for noun in found:
            text = whole_noun(noun).sub("it", text)
        left = set(self.named(text))
        return tuple(each for each in named if each.noun in found or each in left)
