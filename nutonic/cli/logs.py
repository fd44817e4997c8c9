"""Lines for programs: one JSON object per line, on stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from nutonic.cli.lacks import silence
from nutonic.inert import inert_json, inert_lines

_json = False

#: Events that are graver than others.
_LEVELS = {"error": "ERROR", "interrupted": "WARNING", "stopping": "WARNING", "workers": "WARNING"}


def set_json_if_asked(args: Sequence[str], commands: Mapping[str, click.Command]) -> None:
    """Set whether events are written as JSON from now on: of a command that has no such option they are not."""
    global _json
    command = next((commands[arg] for arg in args if arg in commands), None)
    known = () if command is None else (option for each in command.params for option in each.opts)
    _json = "--log-json" in args and "--log-json" in known


def is_json() -> bool:
    """Whether events are written as JSON."""
    return _json


def line(event: str, **fields: Any) -> bytes:
    """An event as a line of JSON, keys sorted: with the time, in UTC, and how grave it is, as loggers call that."""
    head = {"event": event, "level": _LEVELS.get(event, "INFO"), "time": _now()}
    return document(head | fields, orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).encode()


def _now() -> str:
    """The wall clock's time, as ISO 8601 and RFC 3339 write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document(value: Any, option: int) -> str:
    """A value as JSON that may be looked at: what a terminal obeys, or nobody sees, is written as codes.

    Halves of characters, as in names of files in another encoding, are no text for orjson; Python's own codes stand for
    them.
    """
    try:
        return inert_json(orjson.dumps(value, option=option).decode())
    except TypeError:
        indent, end = (2 if option & orjson.OPT_INDENT_2 else None), "\n" if option & orjson.OPT_APPEND_NEWLINE else ""
        return json.dumps(value, sort_keys=bool(option & orjson.OPT_SORT_KEYS), indent=indent) + end


def emit(event: str, **fields: Any) -> None:
    """Write an event to stderr, if somebody reads it."""
    _write(line(event, **fields).decode())


def write(text: str) -> None:
    """Write lines to stderr, if somebody reads it, without what a terminal would obey."""
    _write(inert_lines(text))


def _write(text: str) -> None:
    try:
        click.echo(text, err=True, nl=False)
    except (OSError, ValueError):
        silence(2)
