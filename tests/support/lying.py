"""Captions with one thing changed, so that they are false: what a reader, or a gate, has to find."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

from support.caption_reader import NUMBERS

Lie = Callable[[str, random.Random], str]


def _swapped(text: str, pairs: Mapping[str, str]) -> str:
    pattern = "|".join(sorted(pairs, key=len, reverse=True))
    return re.sub(rf"\b(?:{pattern})", lambda found: pairs[found[0]], text)


def upside_down(text: str, draw: random.Random) -> str:
    return _swapped(text, {"north": "south", "south": "north"})


def left_is_right(text: str, draw: random.Random) -> str:
    """West for east."""
    return _swapped(text, {"west": "east", "east": "west"})


def _at_random(text: str, pattern: str, change: Callable[[re.Match[str]], str], draw: random.Random) -> str:
    """One of the places that fit a pattern changed; the text as it is where none does."""
    every = list(re.finditer(pattern, text))
    if not every:
        return text
    found = draw.choice(every)
    return text[: found.start()] + change(found) + text[found.end() :]


def miscounted(text: str, draw: random.Random) -> str:
    words = "|".join(NUMBERS[2:])
    return _at_random(text, rf"\b(?:{words})\b", lambda f: NUMBERS[2 + (NUMBERS.index(f[0]) - 1) % 5], draw)


def larger(text: str, draw: random.Random) -> str:
    """Numbers half as large again, or a third of them."""
    times = draw.choice((1.5, 1 / 3))

    def change(found: re.Match[str]) -> str:
        value = float(found[0].replace(",", "")) * times
        return f"{value:.1f}" if "." in found[0] or value < 2 else f"{round(value):,}"

    return _at_random(text, r"\d[\d,]*(?:\.\d+)?", change, draw)


def renamed(*nouns: str) -> Lie:
    """Things that are there, as others that are not."""

    def lie(text: str, draw: random.Random) -> str:
        words = "|".join(sorted(map(re.escape, nouns), key=len, reverse=True))
        return _at_random(text, rf"\b(?:{words})\b", lambda found: draw.choice(("airfield", "beach", "stadium")), draw)

    return lie


def cut_is_whole(text: str, draw: random.Random) -> str:
    pairs = (
        ("It goes on beyond the edge of the", "All of it lies within the"),
        ("It is cut off by the edge of the", "It lies wholly inside the"),
        ("Part of it lies outside the", "All of it lies within the"),
    )
    for cut, whole in pairs:
        if cut in text:
            return text.replace(cut, whole)
        if whole in text:
            return text.replace(whole, cut)
    return text


def bent(text: str, draw: random.Random) -> str:
    pairs = {"straight": "winding", "winding": "straight"}
    return re.sub(r"\b(?:straight|winding)\b", lambda found: pairs[found[0]], text)


def reshaped(text: str, draw: random.Random) -> str:
    pairs = {
        "round": "elongated",
        "square": "round",
        "elongated": "square",
        "rectangular": "round",
        "irregularly shaped": "square",
    }
    return re.sub(rf"\b(?:{'|'.join(pairs)})\b(?= (?!met))", lambda found: pairs[found[0]], text, count=1)


#: All but those that need to know what things there are.
LIES: Mapping[str, Lie] = {
    lie.__name__: lie for lie in (upside_down, left_is_right, miscounted, larger, cut_is_whole, bent, reshaped)
}
