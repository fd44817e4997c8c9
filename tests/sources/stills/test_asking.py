"""Asking a server of static maps for a still: what is taken for one, what is tried again, and where the token goes."""

from __future__ import annotations

import io
import logging
import os
import pickle
import struct
import zlib

import pytest
from PIL import Image
from support.static_maps import CANARY, message, picture, static_maps, with_text

from nutonic.core.catalogs import MAPBOX
from nutonic.errors import BadPixels, Gone, NutonicError, ReadFailed, Refused
from nutonic.io.session import current
from nutonic.recipe.context import Mapbox
from nutonic.sources.stills.service import stills_of

PLACE = (18.25, 46.5)
PATH = "/styles/v1/mapbox/satellite-v9/static/18.25,46.5,12,0/16x16@2x"


@pytest.fixture(autouse=True)
def _token(monkeypatch, session):
    monkeypatch.setenv("MAPBOX_ACCESS_TOKEN", CANARY)


@pytest.fixture
def maps():
    with static_maps() as running:
        yield running


def asking(maps, **settings):
    return stills_of(Mapbox(**{"enabled": True, "size": 16, "url": maps.template, **settings}))


def told(error: BaseException) -> str:
    """All that an error says, and all that it was raised from."""
    texts = [str(error), repr(error), repr(error.args), repr(pickle.loads(pickle.dumps(error)))]
    more = [told(each) for each in (error.__cause__,) if each is not None]
    return "\n".join(texts + more)


def test_mapbox_is_asked_at_its_own_address_as_it_documents():
    stills = stills_of(Mapbox(enabled=True))
    assert stills.url == "https://api.mapbox.com/styles/v1/{style}/static/{lon},{lat},{zoom},0/{size}x{size}@2x"
    assert stills.query == (("access_token", "{token}"),)
    assert (stills.side, stills.variable, stills.service) == (2560, "MAPBOX_ACCESS_TOKEN", "Mapbox")
    assert stills_of(Mapbox()) is None


@pytest.mark.parametrize(
    ("style", "suffix", "kind"), [("satellite-v9", "jpg", "JPEG"), ("satellite-streets-v12", "png", "PNG")]
)
def test_a_still_is_kept_byte_for_byte_as_it_was_delivered(maps, style, suffix, kind):
    still = asking(maps, style=f"mapbox/{style}").fetch(*PLACE)
    path = PATH.replace("satellite-v9", style)
    assert [(each.path, each.authorized) for each in maps.asked] == [(path, True)]
    assert still.data == picture(path, (32, 32), kind)
    assert still.suffix == suffix


@pytest.mark.parametrize(
    ("lon", "lat", "where"),
    [
        (-179.9999999, 12.5, "-180,12.5"),
        (-1e-9, 1e-7, "0,0"),
        (18.123456789, -46.1, "18.123457,-46.1"),
        (100.0, -80.0, "100,-80"),
    ],
)
def test_degrees_are_written_in_one_way(maps, lon, lat, where):
    asking(maps, zoom=14.257).fetch(lon, lat)
    assert maps.stills == [f"/styles/v1/mapbox/satellite-v9/static/{where},14.26,0/16x16@2x"]


def test_beyond_the_map_nobody_is_asked(maps):
    with pytest.raises(Gone, match=r"Mapbox has no map of latitude 85\.06: it ends at 85\.0511"):
        asking(maps).fetch(0.0, 85.06)
    assert maps.asked == []


# What goes wrong for a while, and for good


def once(*saids):
    """A trouble that happens to the first requests."""
    left = list(saids)
    return lambda said, target: left.pop(0) if left else None


def test_what_may_pass_is_asked_for_again_by_retry_after_too(maps):
    limit = message(429, "Too Many Requests", **{"Retry-After": "0", "X-Rate-Limit-Limit": "1250"})
    maps.trouble = once(limit, message(503, "Service Unavailable"), message(500, "Internal Server Error"))
    assert asking(maps).fetch(*PLACE).data == picture(PATH, (32, 32))
    assert len(maps.stills) == 4
    counts = current().take_counts()
    assert {kind: counts[f"fault: {kind}"] for kind in ("429", "503", "500")} == {"429": 1, "503": 1, "500": 1}


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (401, Refused, "credentials refused"),
        (403, Refused, "credentials refused"),
        (404, Gone, None),
        (410, Gone, None),
        (422, Gone, None),
        (400, ReadFailed, "400"),
        (402, ReadFailed, "402"),
        (302, ReadFailed, "302"),
    ],
)
def test_what_stays_is_asked_for_once_and_told(maps, status, error, reason):
    maps.trouble = lambda said, target: message(status, f"no: {target}", Location=f"{maps.url}{target}", X=target)
    with pytest.raises(error) as raised:
        asking(maps).fetch(*PLACE)
    assert type(raised.value) is error
    assert raised.value.reason == reason
    assert str(status) in str(raised.value)
    assert len(maps.asked) == 1
    assert CANARY not in told(raised.value)


def test_a_redirect_is_never_followed_and_the_token_goes_nowhere(maps):
    with static_maps() as other:
        maps.trouble = lambda said, target: message(307, "elsewhere", Location=f"{other.url}{target}")
        with pytest.raises(ReadFailed, match="sends elsewhere, where no token goes"):
            asking(maps).fetch(*PLACE)
        assert other.asked == []


# What is no still


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and is not: a bomb's beginning."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def gif() -> bytes:
    Image.new("RGB", (32, 32)).save(out := io.BytesIO(), "GIF")
    return out.getvalue()


RIGHT = picture(PATH, (32, 32))
NO_STILLS = {
    "a page": (b"<html>Sorry</html>", "image/jpeg", "no PNG or JPEG"),
    "an empty one": (b"", "image/jpeg", "no PNG or JPEG"),
    "a GIF": (gif(), "image/gif", "no PNG or JPEG"),
    "a picture that says it is a page": (RIGHT, "text/html; charset=utf-8", "no PNG or JPEG"),
    "half a JPEG": (RIGHT[: len(RIGHT) // 2], "image/jpeg", "damaged picture"),
    "half a PNG": (picture(PATH, (32, 32), "PNG")[:-30], "image/png", "damaged picture"),
    "the first bytes alone": (RIGHT[:3], "image/jpeg", "damaged picture"),
    "one that tells the token": (
        with_text(RIGHT, f"?access_token={CANARY}", packed=False),
        "image/png",
        "holds the token",
    ),
    "one that packs the token": (with_text(RIGHT, CANARY * 9, packed=True), "image/png", "holds the token"),
    "one that comments on the token": (
        picture(PATH, (32, 32), comment=CANARY.encode()),
        "image/jpeg",
        "holds the token",
    ),
}


@pytest.mark.parametrize("name", NO_STILLS)
def test_what_is_no_whole_picture_is_asked_for_again_and_then_told(maps, name):
    body, kind, words = NO_STILLS[name]
    maps.trouble = lambda said, target: said._replace(body=body, headers={"Content-Type": kind})
    with pytest.raises(ReadFailed) as raised:
        asking(maps).fetch(*PLACE)
    assert words in str(raised.value)
    assert CANARY not in told(raised.value)
    assert len(maps.stills) == 6
    good = once(said := maps.trouble(message(200, ""), ""))
    maps.trouble = lambda right, target: good(right, target) and said
    assert asking(maps).fetch(*PLACE).data == RIGHT


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (picture(PATH, (16, 16)), "16 × 16"),
        (picture(PATH, (32, 31)), "32 × 31"),
        (png_of(9_000, 9_000), "9000 × 9000"),
        (png_of(60_000, 60_000), "too many"),
    ],
    ids=["smaller", "not square", "larger", "a bomb"],
)
def test_another_size_is_refused_at_once_and_nothing_of_a_bomb_is_unpacked(maps, body, size):
    maps.trouble = lambda said, target: said._replace(body=body)
    with pytest.raises(BadPixels, match=f"still of Mapbox has {size} pixels(, not 32 × 32| for any still)"):
        asking(maps).fetch(*PLACE)
    assert len(maps.stills) == 1


def test_more_bytes_than_any_still_has_are_not_read(maps, monkeypatch):
    monkeypatch.setattr("nutonic.sources.stills.service.MOST_BYTES", 500)
    with pytest.raises(Refused, match="Mapbox sends more than"):
        asking(maps).fetch(*PLACE)


# The token


def test_without_a_token_nobody_is_asked(maps, monkeypatch):
    for value in (None, "", "  "):
        if value is None:
            monkeypatch.delenv("MAPBOX_ACCESS_TOKEN")
        else:
            monkeypatch.setenv("MAPBOX_ACCESS_TOKEN", value)
        for ask in (asking(maps).check, asking(maps).sign_in, lambda: asking(maps).fetch(*PLACE)):
            with pytest.raises(Refused, match="need a token: set MAPBOX_ACCESS_TOKEN in the environment") as raised:
                ask()
            assert raised.value.reason == "no token"
    assert maps.asked == []


@pytest.mark.parametrize("tells", [True, False])
def test_a_token_is_judged_before_any_picture_is_asked_for(maps, monkeypatch, tells):
    maps.tells_of_tokens = tells
    asking(maps).sign_in()
    asking(maps).sign_in()
    assert maps.stills == []
    assert len(maps.asked) == 2
    monkeypatch.setenv("MAPBOX_ACCESS_TOKEN", "pk.of-somebody-else")
    with pytest.raises(Refused, match=r"the token in MAPBOX_ACCESS_TOKEN is not (valid|accepted)") as raised:
        asking(maps, zoom=3).sign_in()
    assert "pk." not in told(raised.value)
    assert maps.stills == []


def test_a_style_that_is_not_there_is_told_before_any_picture_is_asked_for(maps):
    with pytest.raises(Refused, match=r"Mapbox has no style mapbox/satelite-v9: see context\.mapbox\.style"):
        asking(maps, style="mapbox/satelite-v9").sign_in()
    assert maps.stills == []


def test_another_server_is_asked_by_its_template_with_a_token_of_its_own_or_none(maps, monkeypatch):
    monkeypatch.setenv("MAPS_KEY", CANARY)
    monkeypatch.delenv("MAPBOX_ACCESS_TOKEN")
    url = maps.url + "/map?access_token={token}&center={lat},{lon}&zoom={zoom}&size={size}x{size}&kind=sat"
    seen, body = [], picture("x", (48, 20), "PNG")

    def answer(method, target):
        seen.append((method, target))
        return message(200, "")._replace(body=body, headers={})

    maps.answer = answer
    stills = asking(maps, url=url, token_variable="MAPS_KEY", size=30, zoom=5)
    assert stills.service == "127.0.0.1"
    stills.sign_in()
    assert stills.fetch(*PLACE).data == body
    query = f"/map?access_token={CANARY}&center={{}}&zoom=5&size=30x30&kind=sat"
    assert seen == [("HEAD", query.format("0,0")), ("GET", query.format("46.5,18.25"))]
    maps.answer = lambda method, target: message(501 if method == "HEAD" else 500, "no")
    asking(maps, url=url, token_variable="MAPS_KEY", zoom=6).sign_in()
    maps.answer = answer
    open_to_all = asking(maps, url=maps.url + "/{lon}/{lat}.png", token_variable="NO_SUCH_KEY", size=30)
    open_to_all.check()
    open_to_all.sign_in()
    assert open_to_all.fetch(*PLACE).suffix == "png"
    assert seen[2:] == [("GET", "/18.25/46.5.png")]


def test_the_token_is_in_no_value_no_log_and_no_error(maps, caplog, session):
    caplog.set_level(logging.DEBUG)
    stills = asking(maps)
    stills.sign_in()
    stills.fetch(*PLACE)
    loud = lambda said, target: message(503, target, Location=target, Link=f"<{maps.url}{target}>", **{CANARY[:9]: "x"})  # noqa: E731
    for trouble in (loud, lambda said, target: said._replace(body=target.encode())):
        maps.trouble = trouble
        with pytest.raises(NutonicError) as raised:
            stills.fetch(*PLACE)
        assert CANARY not in told(raised.value)
    assert CANARY.encode() not in pickle.dumps(stills)
    assert CANARY not in repr(stills)
    # urllib3 tells of its requests at this level, whole addresses.
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert CANARY not in caplog.text
    assert "access_token" not in caplog.text


@pytest.mark.live
@pytest.mark.skipif("MAPBOX_ACCESS_TOKEN" not in os.environ, reason="needs MAPBOX_ACCESS_TOKEN")
def test_mapbox_itself(monkeypatch):
    """One picture of 128 × 128: it costs a request."""
    monkeypatch.undo()
    stills = stills_of(Mapbox(enabled=True, size=64))
    stills.sign_in()
    still = stills.fetch(19.04, 47.5)
    with Image.open(io.BytesIO(still.data)) as opened:
        assert (opened.size, opened.format) == ((128, 128), "JPEG")
    with pytest.raises(Refused, match="no style"):
        stills_of(Mapbox(enabled=True, style="mapbox/no-such-style-at-all")).sign_in()
    monkeypatch.setenv("MAPBOX_ACCESS_TOKEN", "pk.not.one")
    with pytest.raises(Refused, match=r"MAPBOX_ACCESS_TOKEN is (malformed|not valid|not accepted)"):
        stills_of(Mapbox(enabled=True, size=32)).sign_in()
    assert MAPBOX.origin == "https://api.mapbox.com"
