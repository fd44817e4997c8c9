"""Short representations of values: a line for a prompt, a small table for a notebook. No secrets, no folders."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import PurePath
from typing import Any

from nutonic.inert import inert

#: Most characters that are shown of one fact.
LONGEST = 60


def short_address(where: str) -> str:
    """A URL without query or user, a path as its file's name alone."""
    scheme, separator, rest = where.partition("://")
    if not separator:
        return PurePath(where.replace("\\", "/")).name
    host, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def line(name: str, facts: Mapping[str, Any]) -> str:
    """``Name(fact=…, …)``, each fact cut to `LONGEST` characters."""
    return f"{name}({', '.join(f'{key}={_short(value)}' for key, value in facts.items())})"


def table(name: str, facts: Mapping[str, Any]) -> str:
    """An HTML table of two columns, escaped."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(key)}</th><td style='text-align:left'>{escape(_short(value))}</td></tr>"
        for key, value in facts.items()
    )
    return f"<table><caption>{escape(name)}</caption>{rows}</table>"


def picture(rgb: Any, beside: str) -> str:
    """HTML of an array, (height, width, 3) uint8, above other HTML."""
    from base64 import b64encode
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    url = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    return f"<img src='{url}' alt='the picture' style='width:232px;image-rendering:pixelated'>{beside}"


def _short(value: Any) -> str:
    text = inert(value if isinstance(value, str) else repr(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class ShortRepr:
    """A value whose ``repr`` is a line of its facts, and in a notebook a table of them."""

    __slots__ = ()

    def _facts(self) -> Mapping[str, Any]:
        """What to show, in order: few, and short."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return line(type(self).__name__, self._facts())

    def _repr_html_(self) -> str:
        return table(type(self).__name__, self._facts())
