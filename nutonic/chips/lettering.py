"""Names in the letters that overlays have: those of ASCII, from Pillow's own font, with marks above and below them.

Fonts of the machine are never asked: a tree has the same bytes everywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

#: Letters that no mark makes of others.
_SPELT = {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i", "–": "-", "’": "'"}
_STROKED = {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ħ": "h"}

#: What strikes a letter through: no code point decomposes into it.
STROKE = "\N{COMBINING LONG SOLIDUS OVERLAY}"

#: Rows of pixels of each mark above a letter.
ABOVE: Mapping[str, tuple[str, ...]] = {
    "\N{COMBINING DIAERESIS}": ("#..#",),
    "\N{COMBINING ACUTE ACCENT}": (".##", "##."),
    "\N{COMBINING GRAVE ACCENT}": ("##.", ".##"),
    "\N{COMBINING CIRCUMFLEX ACCENT}": (".##.", "#..#"),
    "\N{COMBINING CARON}": ("#..#", ".##."),
    "\N{COMBINING BREVE}": ("#..#", ".##."),
    "\N{COMBINING TILDE}": (".#.#", "#.#."),
    "\N{COMBINING MACRON}": ("####",),
    "\N{COMBINING RING ABOVE}": (".#.", "#.#", ".#."),
    "\N{COMBINING DOUBLE ACUTE ACCENT}": (".#.#", "#.#."),
    "\N{COMBINING DOT ABOVE}": ("##",),
    "\N{COMBINING HOOK ABOVE}": ("##", ".#"),
}

#: The same below a letter.
BELOW: Mapping[str, tuple[str, ...]] = {
    "\N{COMBINING CEDILLA}": (".#", "#."),
    "\N{COMBINING OGONEK}": ("#.", ".#"),
    "\N{COMBINING COMMA BELOW}": (".#", "#."),
    "\N{COMBINING DOT BELOW}": ("#",),
}


def spelt(text: str) -> list[tuple[str, str]] | None:
    """Each letter of ASCII with its marks; None if there is a letter that is none of these."""
    letters: list[tuple[str, str]] = []
    for letter in unicodedata.normalize("NFC", text):
        plain = _SPELT.get(letter) or (_STROKED[letter] + STROKE if letter in _STROKED else letter)
        for each in unicodedata.normalize("NFD", plain):
            if letters and (each in ABOVE or each in BELOW or each == STROKE):
                letters[-1] = letters[-1][0], letters[-1][1] + each
            elif " " <= each <= "~":
                letters.append((each, ""))
            else:
                return None
    return letters


def written(name: str, class_id: int) -> str:
    """A class's name if it can be written, or what tells it by its id."""
    return name if spelt(name) is not None else f"class {class_id}"
