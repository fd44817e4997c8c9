"""Time: moments in UTC, and intervals between two of them, parsed from text once, at the border."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nutonic.errors import InputError

if TYPE_CHECKING:
    import numpy as np

#: The ends of an interval that is open: before and after everything.
FIRST, LAST = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Interval:
    """The time between two moments in UTC, both included; of one that is open :data:`FIRST` or :data:`LAST` is an end."""

    start: dt.datetime
    end: dt.datetime

    @classmethod
    def parse(cls, text: str) -> Interval:
        """The interval of ``start/end``; a date, month or year stands for all of it, one of them or a time for itself.

        Raises
        ------
        ValueError
            If the text is no such interval, or ends before it starts.
        """
        first, slash, last = text.partition("/")
        if slash and not (first and last):
            raise ValueError(f"{text!r} has only one end: write 2024-04-01/2024-10-31")
        return cls.between(_bounds(first)[0], _bounds(last or first)[1], text)

    @classmethod
    def between(cls, start: dt.datetime, end: dt.datetime, written: Any) -> Interval:
        """The interval of two moments; a ValueError names what was written if it ends before it starts."""
        if start > end:
            raise ValueError(f"{written!r} ends before it starts")
        return cls(start, end)

    @property
    def middle(self) -> dt.datetime:
        """The moment half-way; the end that there is, where the other is open."""
        if self.start == FIRST or self.end == LAST:
            return self.end if self.end != LAST else self.start
        return self.start + (self.end - self.start) / 2

    def contains(self, moment: dt.datetime) -> bool:
        """Whether a moment lies in it."""
        return self.start <= moment <= self.end

    def overlaps(self, other: Interval) -> bool:
        """Whether a moment lies in both; one is enough."""
        return self.start <= other.end and other.start <= self.end

    def isoformat(self) -> str:
        """``start/end`` as STAC and RFC 3339 have it, in UTC with a ``Z``; ``..`` where it is open."""
        return "/".join(".." if end in (FIRST, LAST) else utc_text(end) for end in (self.start, self.end))

    def __str__(self) -> str:
        """As a person writes it: whole days as dates."""
        whole = self.start.time() == dt.time.min and self.end.time() == dt.time.max
        if not whole:
            return self.isoformat()
        first, last = (".." if end in (FIRST, LAST) else end.date().isoformat() for end in (self.start, self.end))
        return first if first == last else f"{first}/{last}"


#: A time as public functions take it: see :func:`as_interval`.
Time: TypeAlias = "Interval | str | int | dt.date | np.datetime64 | tuple[Any, Any] | list[Any] | slice | None"

#: What stands for an end that is open.
_OPEN = ("", "..")


def as_interval(time: Time) -> Interval | None:
    """A time as it may be given to public functions.

    Parameters
    ----------
    time
        An interval; its text ``start/end``, where ``..`` is an open end; a date, month (``2024-06``), year or moment as
        text, ``datetime``, ``date`` or ``numpy.datetime64``; two of these as a tuple, a list or a slice, both included,
        where None is an open end; or None for all time. What has no time zone is in UTC; where it is midnight, it stands
        for its day, as numpy and pandas write one: only text with a time of day is that moment.

    Raises
    ------
    InputError
        If it is none of these, or ends before it starts.
    """
    if time is None or isinstance(time, Interval):
        return time
    try:
        first, last = _ends(time)
        interval = Interval.between(_end(first, 0), _end(last, 1), time)
    except (ValueError, OverflowError) as error:
        raise InputError(str(error)) from None
    return None if (interval.start, interval.end) == (FIRST, LAST) else interval


def _ends(time: Any) -> tuple[Any, Any]:
    """What is written as the start of a time, and what as its end."""
    if isinstance(time, slice) and time.step is None:
        return time.start, time.stop
    if isinstance(time, tuple | list) and len(time) == 2:
        return time[0], time[1]
    if isinstance(time, str) and "/" in time:
        first, _, last = time.partition("/")
        if not (first.strip() and last.strip()):
            raise ValueError(f"{time!r} has only one end: write 2024-04-01/2024-10-31, or .. for an open end")
        return first, last
    return time, time


def _end(value: Any, end: int) -> dt.datetime:
    """The start (0) or the end (1) of what is written."""
    if value is None or (isinstance(value, str) and value.strip() in _OPEN):
        return (FIRST, LAST)[end]
    if isinstance(value, dt.datetime) and value == value:  # NaT of pandas is a datetime too
        moment = dt.datetime.combine(value.date(), value.time(), value.tzinfo)
        return _bounds(value.date().isoformat())[end] if _is_a_day(moment) else _utc(moment)
    of_numpy = getattr(getattr(value, "dtype", None), "kind", "") == "M"
    if (isinstance(value, str | dt.date | int) and not isinstance(value, bool)) or of_numpy:
        text = str(value)
        return _bounds(_MIDNIGHT.sub("", text) if of_numpy else text)[end]
    raise ValueError(
        f"{value!r:.60} is no time: write 2024-04-01/2024-10-31, or give two dates as a tuple, or None for all time"
    )


#: The end of what numpy writes of midnight, in whichever unit.
_MIDNIGHT = re.compile(r"T00(:00(:00(\.0+)?)?)?$")


def _is_a_day(moment: dt.datetime) -> bool:
    """Whether a moment is how a day is written where there are no dates: midnight, in no time zone."""
    return moment.tzinfo is None and moment.time() == dt.time.min


def shifted(moment: dt.datetime, by: dt.timedelta) -> dt.datetime:
    """A moment so much later, within the years that there are."""
    try:
        return moment + by
    except OverflowError:
        return FIRST if by < dt.timedelta(0) else LAST


def parse_moment(text: str) -> dt.datetime:
    """A moment of ISO 8601, in UTC; one without an offset is in UTC already. ValueError where it is none.

    Digits beyond microseconds are cut off; letters may be small, as RFC 3339 allows.
    """
    if not isinstance(text, str):  # as catalogues have it
        raise ValueError(f"{text!r} is no text")
    try:
        return _utc(dt.datetime.fromisoformat(text.strip().upper()))
    except OverflowError:
        raise ValueError(f"{text!r} lies beyond the years that there are") from None


def parse_period(start: str, end: str) -> Interval:
    """The time from one moment to another, both included; a date stands for its whole day.

    Raises
    ------
    ValueError
        If one of them is no moment, or the end lies before the start.
    """
    first, last = parse_moment(start), parse_moment(end)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", end.strip()):
        last = dt.datetime.combine(last, dt.time.max, dt.UTC)
    if first > last:
        raise ValueError(f"its end {end} lies before its start {start}")
    return Interval(first, last)


def utc_text(moment: dt.datetime, timespec: str = "auto") -> str:
    """A moment as STAC writes it, in UTC: ``2024-05-01T10:21:01Z``; digits of seconds as ``datetime.isoformat``."""
    return f"{_utc(moment).replace(tzinfo=None).isoformat(timespec=timespec)}Z"


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


#: A year, a month or a day of ISO 8601.
_DATE = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")


def _bounds(text: str) -> tuple[dt.datetime, dt.datetime]:
    """The first and the last moment of a year, a month, a day or a moment."""
    try:
        date = _DATE.fullmatch(text.strip())
        if date is None:
            return (moment := parse_moment(text.strip())), moment
        year, month, day = (int(part) if part else None for part in date.groups())
        first = dt.date(int(year or 0), month or 1, day or 1)
        last_month = month or 12
        last = dt.date(first.year, last_month, day or calendar.monthrange(first.year, last_month)[1])
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write 2024-04-01/2024-10-31") from None
    return dt.datetime.combine(first, dt.time.min, dt.UTC), dt.datetime.combine(last, dt.time.max, dt.UTC)
