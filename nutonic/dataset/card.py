"""The dataset card: what is in the tree, where it comes from, and how to load it. A function of commits and rows.

But for one part: what a person writes between the two marks is kept as it is whenever the card is written anew. The last
line seals the rest, so that a card which was changed elsewhere is known as the person's, and is never written over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nutonic.dataset.card_front import front_matter
from nutonic.dataset.card_text import CardFacts, opening, sections
from nutonic.dataset.index import Totals
from nutonic.io.objects import Store, sha256
from nutonic.planning.layout import CARD
from nutonic.planning.plan_file import PlanFile

if TYPE_CHECKING:
    from nutonic.dataset.parts.guesses import Guesses
    from nutonic.planning.spec import BuildSpec

#: What a person writes after the one and before the other is theirs.
NOTE_BEGINS = b"<!-- Yours: what you write below this line is kept. -->\n"
NOTE_ENDS = b"<!-- Yours: what you write above this line is kept. -->\n"

#: What is told of a card that is not written over.
KEPT = f"{CARD} was changed outside its two marks: it is kept as it is; move it away to have a new one"


def text(spec: BuildSpec, plan: PlanFile, done: Totals, guessed: Guesses) -> str:
    """The card as Markdown with YAML front matter, sealed, with nothing of a person's in it yet."""
    facts = CardFacts.of(spec, plan, done, guessed)
    return sealed(front_matter(facts), opening(facts), sections(facts))


def sealed(front: str, opening: str, sections: Iterable[str]) -> str:
    """A card of these parts: the marks for a person's own words stand below its opening, and its seal at its end."""
    note = (NOTE_BEGINS + NOTE_ENDS).decode()
    body = "\n".join([front, opening, note, *sections])
    return body + _seal(body.encode()).decode()


def _seal(body: bytes) -> bytes:
    return f"\n<!-- Sealed by nutonic: {sha256(body)} -->\n".encode()


def parted(card: bytes) -> tuple[bytes, bytes]:
    """A card without what a person wrote between its marks, and just that; all is the former where there are none."""
    start, end = card.find(NOTE_BEGINS), card.rfind(NOTE_ENDS)
    start += len(NOTE_BEGINS)
    if start < len(NOTE_BEGINS) or end < start:
        return card, b""
    return card[:start] + card[end:], card[start:end]


def is_theirs(store: Store) -> bool:
    """Whether the card that is there is not, outside its marks, what nutonic wrote; an empty file is nobody's."""
    card = store.get(CARD) if store.has(CARD) else b""
    rest, _ = parted(card)
    length = len(_seal(b""))
    return bool(card) and _seal(rest[:-length]) != rest[-length:]


def digest_of(store: Store) -> str:
    """SHA-256 (hex) of the card that is there, without what a person wrote between its marks."""
    return sha256(parted(store.get(CARD))[0])


def put(store: Store, new: bytes) -> None:
    """Write a card, unless the one that is there is a person's, or the same; what is between its marks stays."""
    if is_theirs(store):
        return
    old = store.get(CARD) if store.has(CARD) else b""
    begins = new.index(NOTE_BEGINS) + len(NOTE_BEGINS)
    card = new[:begins] + parted(old)[1] + new[begins:]
    if card != old:
        store.put(CARD, card)
