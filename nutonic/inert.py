"""Text of others, made harmless to look at: what moves a cursor, turns writing around or is not seen is written as a code.

Ids, labels, names, addresses and what servers say are others' text. Whoever shows it (the terminal, the log, the card, a
message, a report) shows it through here; text that is plain comes back as it is. In Markdown it is shown letter by letter,
as neither markup, HTML nor link.
"""

from __future__ import annotations

import re

#: Control characters, halves of characters, marks of direction, and what has no width, but for the two joiners that
#: words of some scripts are written with. A fixed list: what Python takes for printable changes with its version.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


#: What Markdown takes for more than itself in a line or in a cell of a table; not what words and numbers are written with.
_MARKUP = re.compile(
    r"[`\[\]|~$@]|\\(?=[!-/:-@\[-`{-~])|<(?=[a-z/!?])|\*(?=\S)|(?<=\S)\*|&(?=#|\w+;)"  # markup, HTML and its entities
    r"|(?<![^\W_])_|_(?![^\W_])"  # but not snake_case
    r"|:(?=//)|(?<=www)\.",  # what becomes a link by itself
    re.ASCII | re.IGNORECASE,
)


def unseen(text: str) -> str | None:
    """The first character of a text that is not to be shown as it is, line ends and tabs aside; None if there is none."""
    return next((found[0] for found in _UNSEEN.finditer(text) if found[0] not in "\n\t"), None)


def inert(text: str, *, keep: str = "") -> str:
    r"""A text on one line, what is not to be shown as it is written as codes; `keep` holds what is left alone all the same.

    >>> print(inert("red\x1b[2J\nalert"))
    red\x1b[2J\nalert
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else _code(found[0]), text)


def inert_lines(text: str) -> str:
    """The same of a text of several lines, which it remains."""
    return inert(text, keep="\n\t")


def inert_json(text: str) -> str:
    r"""A JSON document with such characters written as ``\u…``, so that it says the same, and can be looked at."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] in "\n\t\r" else _json_code(found[0]), text)


def markdown_text(value: object) -> str:
    r"""A value among the words of a line, or in a cell of a table.

    >>> print(markdown_text("snow & ice / built-up"), markdown_text("a | <b>"))
    snow & ice / built-up a \| \<b>
    """
    return _MARKUP.sub(lambda found: "\\" + found[0], inert(str(value)))


def markdown_code(value: object) -> str:
    """A value as code: between more backticks than it holds in a row."""
    text = inert(str(value))
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    padded = f" {text} " if text.startswith("`") or text.endswith("`") else text
    return f"{fence}{padded}{fence}"


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json_code(character: str) -> str:
    pairs = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pairs[k : k + 2].hex()}" for k in range(0, len(pairs), 2))
