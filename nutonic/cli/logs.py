"""Lines for programs: one JSON object each, on stderr."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click
import orjson

_chosen = False


def choose_json(yes: bool) -> None:
    """Whether what is said from now on is said as JSON."""
    global _chosen
    _chosen = yes


def is_json() -> bool:
    """Whether it is."""
    return _chosen


def line(event: str, **fields: Any) -> bytes:
    """An event as a line of JSON, keys sorted."""
    return orjson.dumps({"event": event, **fields}, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def say(event: str, **fields: Any) -> None:
    """Write an event to stderr; where nobody reads any more, nothing is said."""
    write(line(event, **fields).decode())


def write(text: str) -> None:
    """Write to stderr, if somebody reads it."""
    with suppress(OSError, ValueError):
        click.echo(text, err=True, nl=False)
