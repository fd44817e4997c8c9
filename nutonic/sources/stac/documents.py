"""JSON as STAC catalogues have it: with a byte order mark, and with the NaN that Python writes and JSON does not know."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

JSONError = orjson.JSONDecodeError

_MARK = b"\xef\xbb\xbf"

#: Bare words that Python's json, and so pystac, writes for numbers that JSON cannot hold.
_BARE = re.compile(rb"\b(?:NaN|Infinity)\b")

#: What they become: text, as the raster extension writes such nodata values.
_WORDS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def loads(content: bytes | str) -> Any:
    """A JSON document; bare ``NaN`` and ``Infinity`` become the text ``"nan"``, ``"inf"`` or ``"-inf"``.

    Raises
    ------
    JSONError
        If it is no JSON even so, or nested deeper than any catalogue.
    """
    content = (content.encode() if isinstance(content, str) else content).removeprefix(_MARK)
    try:
        return orjson.loads(content)
    except JSONError:
        if not _BARE.search(content):
            raise
        try:
            # Through orjson again, which takes neither text that is no UTF-8 nor numbers of more than 64 bits.
            return orjson.loads(orjson.dumps(json.loads(content, parse_constant=_WORDS.__getitem__)))
        except (TypeError, ValueError, RecursionError):
            pass
        raise
