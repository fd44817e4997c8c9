"""Retry-After: how long a server wants not to be asked, as seconds or as a date, over HTTP; pauses are noted, not made."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from nutonic.errors import ReadFailed
from nutonic.io.access import Access
from nutonic.io.http import Policy, Request, retry_after
from nutonic.io.session import Session
from nutonic.testing import FileServer

#: What a client pauses of itself, and the longest that it does as a server says, in seconds.
OWN, LONGEST = 1000.0, 50_000.0

DAY, YEAR = 86_400, 31_536_000


def pause(folder, told: str | None) -> float:
    """How long a client waits before it asks again where a server is busy and says so."""
    headers, pauses = {} if told is None else {"Retry-After": told}, list[float]()
    with (
        FileServer(folder, answers={"/a": (429, headers, b"busy")}) as server,
        Session(Policy(attempts=2, pause_s=OWN, longest_pause_s=LONGEST)) as session,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(time, "sleep", pauses.append)
        with pytest.raises(ReadFailed, match="429, 2 times"):
            session.client.fetch(Request(url=f"{server.url}/a"), Access(hosts=(server.address,)))
        (made,) = pauses
        patch.undo()
        assert [request.status for request in server.requests()] == [429, 429]
    return made


@pytest.mark.parametrize(("told", "right"), [("37", 37.0), ("0", 0.0), ("0.25", 0.25), ("-5", 0.0), ("1e300", LONGEST)])
def test_seconds(tmp_path, told, right):
    assert pause(tmp_path, told) == right


@pytest.mark.parametrize("told", [None, "", "soon", "nan", "inf", "Mon, 99 Foo 2026 25:61:61 GMT", "4 s", "1,5"])
def test_nonsense_is_nothing_told(tmp_path, told):
    assert OWN / 2 <= pause(tmp_path, told) <= OWN * 1.5


def test_a_date(tmp_path):
    """By the server's clock, which is this one: a date of a few hours is not mistaken for the client's own pause."""
    assert 19_000 < pause(tmp_path, formatdate(time.time() + 20_000, usegmt=True)) <= 20_000


def test_a_date_that_is_past(tmp_path):
    assert pause(tmp_path, formatdate(time.time() - DAY, usegmt=True)) == 0.0


def test_a_date_that_is_far_away_is_waited_for_no_longer_than_is_allowed(tmp_path):
    assert pause(tmp_path, formatdate(time.time() + 200 * YEAR, usegmt=True)) == LONGEST


@pytest.mark.parametrize(
    "until", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_dates_of_all_forms_are_of_greenwich_and_by_the_clock_of_the_server(until, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert retry_after({"retry-after": until, "date": "Sun, 06 Nov 1994 08:47:00 GMT"}) == 157.0
        assert retry_after({"retry-after": until, "date": "Sun, 06 Nov 1994 08:50:00 GMT"}) == 0.0
        assert retry_after({"retry-after": until, "date": "now"}) == 0.0  # by this machine's clock, long past
    finally:
        monkeypatch.undo()
        time.tzset()
