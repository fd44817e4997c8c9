"""Times in words: ``2024-04-01/2024-10-31`` and what a catalogue writes."""

from __future__ import annotations

import datetime as dt
import re


def interval(text: str) -> tuple[dt.datetime, dt.datetime]:
    """Start and end (both included, UTC) of ``start/end``; a date stands for its whole day, one date for that day."""
    first, slash, last = text.partition("/")
    if slash and not (first and last):
        raise ValueError(f"{text!r} has only one end: write 2024-04-01/2024-10-31")
    start, end = _moment(first, dt.time.min), _moment(last or first, dt.time.max)
    if start > end:
        raise ValueError(f"{text!r} ends before it starts")
    return start, end


def _moment(text: str, time_of_day: dt.time) -> dt.datetime:
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()):
            return dt.datetime.combine(dt.date.fromisoformat(text.strip()), time_of_day, dt.UTC)
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write 2024-04-01/2024-10-31") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
