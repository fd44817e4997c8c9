"""Ids that become file names: a user's own where it is safe, or else a safe one made from it."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from nutonic.planning.layout import default_id

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LONGEST = 64
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
_ENDING = re.compile(r"_([gt][0-9]+)$", re.IGNORECASE)
_RESERVED_ENDING = re.compile(r"_(g\d{3,}|t\d{4,})$", re.IGNORECASE)
#: Names that no file may have on Windows, whatever follows a dot.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))]
)
_CYRILLIC = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъыьэюяёђєѕіїјљњћўџґ",
        [
            "a",
            "b",
            "v",
            "g",
            "d",
            "e",
            "zh",
            "z",
            "i",
            "y",
            "k",
            "l",
            "m",
            "n",
            "o",
            "p",
            "r",
            "s",
            "t",
            "u",
            "f",
            "kh",
            "ts",
            "ch",
            "sh",
            "shch",
            "",
            "y",
            "",
            "e",
            "yu",
            "ya",
            "yo",
            "dj",
            "ye",
            "dz",
            "i",
            "yi",
            "j",
            "lj",
            "nj",
            "c",
            "u",
            "dz",
            "g",
        ],
        strict=True,
    )
)
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρςστυφχψω",
        [
            "a",
            "b",
            "g",
            "d",
            "e",
            "z",
            "i",
            "th",
            "i",
            "k",
            "l",
            "m",
            "n",
            "x",
            "o",
            "p",
            "r",
            "s",
            "s",
            "t",
            "y",
            "f",
            "ch",
            "ps",
            "o",
        ],
        strict=True,
    )
)
_LATIN = dict(zip("ßæœøđðþłıħŋŧ", ["ss", "ae", "oe", "o", "d", "d", "th", "l", "i", "h", "ng", "t"], strict=True))
_LETTERS = {**_CYRILLIC, **_GREEK, **_LATIN}
_TRANSLITERATION = str.maketrans(
    {**_LETTERS, **{key.upper(): text.capitalize() for key, text in _LETTERS.items() if len(key.upper()) == 1}}
)


def text_of_id(value: object) -> str:
    """The text of an id; empty if there is none, which tables write as NaN."""
    if isinstance(value, str):
        return value.strip()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else _as_json(value)


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        return repr(value)


def is_safe(text: str) -> bool:
    """Whether an id can be part of a file's name everywhere, and cannot be taken for one that is made from another."""
    return bool(_SAFE.fullmatch(text)) and text.lower() not in _DEVICES and not _RESERVED_ENDING.search(text)


def safe_id(text: str) -> str:
    """A safe id made from any text: letters transliterated, the rest dashes; its hash where nothing else is left.

    Examples
    --------
    >>> safe_id("Weißer See")
    'Weisser-See'
    >>> safe_id("node/123")
    'node-123'
    """
    if is_safe(text):
        return text
    plain = unicodedata.normalize("NFKD", text.translate(_TRANSLITERATION)).translate(_TRANSLITERATION)
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    made = _ENDING.sub(r"-\1", re.sub("--+", "-", _OTHER.sub("-", letters)).strip("-_"))
    if not made:
        return f"id-{_hash(text)}"
    if len(made) > _LONGEST:
        return _hashed(made, text)
    return f"id-{made}" if made.lower() in _DEVICES else made


def safe_ids(own: Sequence[str | None], ordinals: Sequence[int]) -> tuple[str, ...]:
    """The id of each place, all different even where case is ignored.

    Parameters
    ----------
    own
        Ids of the user's, all different; None for the places that are numbered.
    ordinals
        Data rows of the places.

    Returns
    -------
    tuple of str
        Of ids that are safe as they are, the first keeps its own. Where others meet each other or such a one, a short
        hash of the original is put behind.
    """
    taken: set[str] = set()
    made: dict[int, str] = {}
    ids: list[str] = []
    for at, (name, ordinal) in enumerate(zip(own, ordinals, strict=True)):
        text = default_id(ordinal) if name is None else name
        folded = text.lower() if text.isascii() else ""
        if folded in taken or not (name is None or is_safe(text)):
            made[at] = safe_id(text)
        else:
            taken.add(text if folded == text else folded)
        ids.append(text)
    meet = Counter(name.lower() for name in made.values())
    for at, name in made.items():
        folded = name.lower()
        clash = folded in taken or meet[folded] > 1
        ids[at] = _free(name, ids[at], taken) if clash else name
        taken.add(ids[at].lower())
    return tuple(ids)


def _free(name: str, text: str, taken: set[str]) -> str:
    for digits in range(6, 60, 6):
        found = _hashed(name, text, digits)
        if found.lower() not in taken:
            return found
    raise AssertionError("two equal ids")  # they are rejected before


def _hashed(name: str, text: str, digits: int = 6) -> str:
    return f"{name[: _LONGEST - 1 - digits].rstrip('-_')}-{_hash(text, digits)}"


def _hash(text: str, digits: int = 6) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
