"""Lines for programs: one JSON object per line, on stderr."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click
import orjson

_json = False


def set_json(json: bool) -> None:
    """Set whether events are written as JSON from now on."""
    global _json
    _json = json


def is_json() -> bool:
    """Whether events are written as JSON."""
    return _json


def line(event: str, **fields: Any) -> bytes:
    """An event as a line of JSON, keys sorted."""
    return orjson.dumps({"event": event, **fields}, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def emit(event: str, **fields: Any) -> None:
    """Write an event to stderr, if somebody reads it."""
    write(line(event, **fields).decode())


def write(text: str) -> None:
    """Write to stderr, if somebody reads it."""
    with suppress(OSError, ValueError):
        click.echo(text, err=True, nl=False)
