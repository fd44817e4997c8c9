"""Times as people give them to functions."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from nutonic.core.times import FIRST, LAST, Interval, as_interval, shifted
from nutonic.errors import InputError


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


JUNE = (utc(2024, 6, 1), utc(2024, 6, 30, 23, 59, 59, 999999))
YEAR = (utc(2024, 1, 1), utc(2024, 12, 31, 23, 59, 59, 999999))
MOMENT = (utc(2024, 6, 1, 8), utc(2024, 6, 1, 8))
DAY = (utc(2024, 6, 1), utc(2024, 6, 1, 23, 59, 59, 999999))
#: A day as its libraries write it: of those that have no dates it is midnight.
DAYS = [
    dt.date(2024, 6, 1),
    dt.datetime(2024, 6, 1),
    pd.Timestamp("2024-06-01"),
    pd.Timestamp("2024-06-01 00:00:00"),
    *(np.datetime64("2024-06-01", unit) for unit in ("D", "h", "m", "s", "ms", "us", "ns")),
    pd.date_range("2024-06-01", periods=2)[0],
    pd.date_range("2024-06-01", periods=2).values[0],
]
EAST = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("time", "ends"),
    [
        ("2024", YEAR),
        (2024, YEAR),
        (np.datetime64("2024"), YEAR),
        ("2024/2024", YEAR),
        ("2024-06", JUNE),
        (" 2024-06 ", JUNE),
        (np.datetime64("2024-06"), JUNE),
        (("2024-06", "2024-06"), JUNE),
        (["2024-06-01", dt.date(2024, 6, 30)], JUNE),
        (slice("2024-06", "2024-06"), JUNE),
        (slice(dt.date(2024, 6, 1), np.datetime64("2024-06-30")), JUNE),
        ("2024-02", (utc(2024, 2, 1), utc(2024, 2, 29, 23, 59, 59, 999999))),
        ("2023-02/2023-02-28", (utc(2023, 2, 1), utc(2023, 2, 28, 23, 59, 59, 999999))),
        (dt.date(2024, 6, 1), (utc(2024, 6, 1), utc(2024, 6, 1, 23, 59, 59, 999999))),
        *((day, DAY) for day in DAYS),
        ((pd.Timestamp("2024-06-01"), np.datetime64("2024-06-30", "s")), JUNE),
        ("2024-06-01T00:00", (DAY[0], DAY[0])),
        (pd.Timestamp("2024-06-01T00:00Z"), (DAY[0], DAY[0])),
        (dt.datetime(2024, 6, 1, 8), MOMENT),
        (dt.datetime(2024, 6, 1, 10, tzinfo=EAST), MOMENT),
        (pd.Timestamp("2024-06-01T10:00+02:00"), MOMENT),
        (pd.Timestamp("2024-06-01T08:00"), MOMENT),
        (np.datetime64("2024-06-01T08:00:00.000000000"), MOMENT),
        (np.array(["2024-06-01T08"], "datetime64[ns]")[0], MOMENT),
        ("2024-06-01T10:00:00+02:00", MOMENT),
        ("2024-06-01/..", (utc(2024, 6, 1), LAST)),
        ("../2024-06", (FIRST, JUNE[1])),
        (("2024-06", None), (JUNE[0], LAST)),
        ((None, "2024-06"), (FIRST, JUNE[1])),
        (slice("2024-06", None), (JUNE[0], LAST)),
        (("2024-06", ".."), (JUNE[0], LAST)),
    ],
)
def test_a_time_in_any_form(time, ends):
    interval = as_interval(time)
    assert (interval.start, interval.end) == ends
    assert as_interval(interval) is interval


@pytest.mark.parametrize("time", [None, "../..", (None, None), slice(None)])
def test_all_time(time):
    assert as_interval(time) is None


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2024-13", "'2024-13' is not a date"),
        ("2024-6", "'2024-6' is not a date"),
        ("summer", "'summer' is not a date"),
        ("2024-06-01/", "has only one end: write 2024-04-01/2024-10-31, or .. for an open end"),
        ("/2024", "has only one end"),
        ("2025/2024", "'2025/2024' ends before it starts"),
        (("2025", "2024"), "ends before it starts"),
        (3.5, "3.5 is no time"),
        (True, "True is no time"),
        (("2024",), r"\('2024',\) is no time"),
        (("2024", "2025", "2026"), "is no time: write 2024-04-01/2024-10-31, or give two dates as a tuple"),
        (slice("2024", "2025", 2), "is no time"),
        ({"start": "2024"}, "is no time"),
        (np.datetime64("NaT"), "'NaT' is not a date"),
        (pd.NaT, "'NaT' is not a date"),
        (("2024", pd.NaT), "'NaT' is not a date"),
        (np.float64(2024.0), "is no time"),
        (dt.datetime(1, 1, 1, tzinfo=EAST), "out of range"),
    ],
)
def test_what_is_no_time_is_told(time, told):
    with pytest.raises(InputError, match=told):
        as_interval(time)


def test_an_open_interval_is_told_as_such():
    since, until = as_interval("2024-06-01/.."), as_interval("../2024-06-01")
    assert (str(since), str(until)) == ("2024-06-01/..", "../2024-06-01")
    assert since.isoformat() == "2024-06-01T00:00:00Z/.."
    assert until.isoformat() == "../2024-06-01T23:59:59.999999Z"
    assert (since.middle, until.middle) == (since.start, until.end)  # the end that there is
    assert since.contains(utc(2300, 1, 1))
    assert not since.contains(utc(2024, 5, 31))
    assert shifted(LAST, dt.timedelta(days=9)) == LAST
    assert shifted(FIRST, dt.timedelta(days=-9)) == FIRST
    assert shifted(utc(2024, 1, 1), dt.timedelta(days=1)) == utc(2024, 1, 2)


def test_a_recipe_has_no_open_end():
    """What it finds would depend on the day on which it is looked for."""
    for text in ("2024-04-01/..", "../2024-04-01"):
        with pytest.raises(ValueError, match="is not a date"):
            Interval.parse(text)
