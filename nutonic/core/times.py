"""Time: moments in UTC, and intervals between two of them, parsed from text once, at the border."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from nutonic.errors import InputError


@dataclass(frozen=True, slots=True)
class Interval:
    """The time between two moments in UTC, both included."""

    start: dt.datetime
    end: dt.datetime

    @classmethod
    def parse(cls, text: str) -> Interval:
        """The interval of ``start/end``; a date stands for its whole day, one date or time for itself.

        Raises
        ------
        ValueError
            If the text is no such interval, or ends before it starts.
        """
        first, slash, last = text.partition("/")
        if slash and not (first and last):
            raise ValueError(f"{text!r} has only one end: write 2024-04-01/2024-10-31")
        start, end = _bound(first, dt.time.min), _bound(last or first, dt.time.max)
        if start > end:
            raise ValueError(f"{text!r} ends before it starts")
        return cls(start, end)

    @property
    def middle(self) -> dt.datetime:
        """The moment half-way."""
        return self.start + (self.end - self.start) / 2

    def contains(self, moment: dt.datetime) -> bool:
        """Whether a moment lies in it."""
        return self.start <= moment <= self.end

    def isoformat(self) -> str:
        """``start/end`` as STAC and RFC 3339 have it, in UTC with a ``Z``."""
        return f"{utc_text(self.start)}/{utc_text(self.end)}"

    def __str__(self) -> str:
        """As a person writes it: whole days as dates."""
        whole = self.start.time() == dt.time.min and self.end.time() == dt.time.max
        if not whole:
            return self.isoformat()
        first, last = self.start.date().isoformat(), self.end.date().isoformat()
        return first if first == last else f"{first}/{last}"


def as_interval(time: Interval | str | None) -> Interval | None:
    """A time as it may be given to public functions: an interval, its text, or None for all time.

    Raises
    ------
    InputError
        If the text is no interval, or ends before it starts.
    """
    try:
        return Interval.parse(time) if isinstance(time, str) else time
    except ValueError as error:
        raise InputError(str(error)) from None


def parse_moment(text: str) -> dt.datetime:
    """A moment of ISO 8601, in UTC; one without an offset is in UTC already. ValueError where it is none."""
    try:
        return _utc(dt.datetime.fromisoformat(text))
    except OverflowError:
        raise ValueError(f"{text!r} lies beyond the years that there are") from None


def utc_text(moment: dt.datetime, timespec: str = "auto") -> str:
    """A moment as STAC writes it, in UTC: ``2024-05-01T10:21:01Z``; digits of seconds as ``datetime.isoformat``."""
    return f"{_utc(moment).replace(tzinfo=None).isoformat(timespec=timespec)}Z"


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _bound(text: str, time_of_day: dt.time) -> dt.datetime:
    """One end of an interval; a date at a time of day."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()):
            return dt.datetime.combine(dt.date.fromisoformat(text.strip()), time_of_day, dt.UTC)
        return parse_moment(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write 2024-04-01/2024-10-31") from None
