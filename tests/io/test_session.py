"""Sessions: what they own, who reads in which, and how a client behaves that answers out of memory."""

from __future__ import annotations

import contextvars
import os
import pickle
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
import psutil
import pytest
import rasterio
import urllib3
from affine import Affine
from odc.geo.geobox import GeoBox
from support.transport import MockTransport

import nutonic as nt
from nutonic.errors import Gone, ReadFailed, Refused
from nutonic.io import raster as rasters
from nutonic.io.access import Access
from nutonic.io.cache import SingleFlightCache
from nutonic.io.http import Policy, Request
from nutonic.io.limits import AdaptiveLimiter, Limiter
from nutonic.io.session import Session, SessionThreads, current, limited, using
from nutonic.testing import COLLECTION, FileServer, SyntheticPlanet

HOME = Access(hosts=("files.example",))
URL = "https://files.example/a.json"
OK = (200, {}, b"{}")
QUICK = Policy(pause_s=0.001)


def asked(reply, request: Request | None = None, policy: Policy = QUICK, access: Access = HOME):
    """The answer or the error, what was sent, and the counts."""
    transport = MockTransport(reply)
    with Session(policy, transport=transport) as session:
        try:
            found = session.client.fetch(request or Request(url=URL), access)
        except (ReadFailed, Refused) as error:
            found = error
        return found, transport.messages, session.take_counts()


# The client


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ((503, {}, b""), "503"),
        ((425, {}, b""), "425"),
        ((408, {}, b""), "408"),
        ((206, {}, b"{}"), "cut short"),  # a part, and nobody asked for one
        ((429, {"Retry-After": "0.001"}, b""), "429"),
        (urllib3.exceptions.ReadTimeoutError(None, URL, "slow"), "timed out"),
        (urllib3.exceptions.ProtocolError("gone", ConnectionResetError()), "dropped"),
        (urllib3.exceptions.SSLError("no"), "TLS failed"),
    ],
)
def test_what_may_pass_is_tried_again_and_counted(fault, kind):
    answer, sent, counts = asked([fault, fault, OK])
    assert (answer.status, answer.body, len(sent)) == (200, b"{}", 3)
    assert (counts["requests"], counts[f"fault: {kind}"]) == (3, 2)
    error, sent, counts = asked(fault)
    assert str(error) == f"{URL}: {kind}, 6 times"
    assert (len(sent), counts[f"fault: {kind}"]) == (6, 6)
    _, sent, _ = asked(fault, policy=Policy(attempts=2, pause_s=0.0))
    assert len(sent) == 2


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        ((404, {}, b""), Gone, "is not there (404)"),
        ((418, {}, b""), Refused, "answers with status 418"),
        ((403, {}, b""), Refused, "the server denies access (403); if its addresses need a signature, set sign"),
        ((200, {}, b"x" * 101), Refused, "answers with more than 100 bytes"),
        ((302, {"Location": "http://10.0.0.1/"}, b""), Refused, "which is not an allowed host"),
        ((302, {"Location": "/b"}, b""), Refused, "redirects more than 5 times"),
    ],
)
def test_what_cannot_pass_is_not_tried_again(reply, error, words):
    found, sent, _ = asked(reply, Request(url=URL, most_bytes=100))
    assert type(found) is error
    assert words in str(found)
    assert len(sent) == (6 if "redirects more" in words else 1)


@pytest.mark.parametrize("any_status", [False, True])
def test_failures_are_counted_by_their_kind_where_the_request_says_so(any_status):
    for by_kind, reason in ((False, None), (True, "503")):
        error, _, _ = asked((503, {}, b""), Request(url=URL, any_status=any_status, by_kind=by_kind))
        assert (error.reason, str(error)) == (reason, f"{URL}: 503, 6 times")


def test_what_is_sent_is_as_the_policy_and_the_request_say():
    request = Request(url=URL, method="POST", body=b"1", headers={"Accept": "x"}, timeout_factor=3.0)
    _, (message,), _ = asked(OK, request, Policy(read_s=2.0, connect_s=5.0))
    assert (message.method, message.url, message.body, message.private) == ("POST", URL, b"1", False)
    assert (message.timeout.connect_timeout, message.timeout.read_timeout) == (5.0, 6.0)
    assert message.headers["Accept"] == "x"
    assert message.headers["User-Agent"].startswith("nutonic/")


def test_a_range_that_is_ignored_is_not_read():
    error, _, counts = asked((200, {}, b"x" * 1000), Request(url=URL, headers={"Range": "bytes=0-9"}))
    assert "range ignored, 6 times" in str(error)
    assert counts == {"requests": 6, "fault: range ignored": 6}


def test_an_address_that_may_not_be_read_is_not_asked():
    error, sent, counts = asked(OK, Request(url="https://elsewhere.example/"))
    assert isinstance(error, Refused)
    assert (sent, counts) == ([], {})


@pytest.mark.parametrize(
    ("url", "headers", "refused"),
    [
        ("http://files.example/a?sig=abc", {}, True),
        ("http://files.example/a?X-Amz-Signature=abc", {}, True),
        ("http://files.example/a?token=abc", {}, True),
        ("http://files.example/a", {"Authorization": "Bearer abc"}, True),
        ("http://files.example/a", {"authorization": "Bearer abc"}, True),
        ("http://files.example/a", {"Ocp-Apim-Subscription-Key": "abc"}, True),
        ("http://files.example/a?page=2", {}, False),
        ("http://files.example/a", {"Accept": "x"}, False),
        ("https://files.example/a?sig=abc", {"Authorization": "Bearer abc"}, False),
        ("http://127.0.0.1:8000/a?sig=abc", {"Authorization": "Bearer abc"}, False),
        ("http://localhost:8000/a?sig=abc", {}, False),
        ("http://10.0.0.1:8000/a?sig=abc", {}, True),  # its own network has others in it
    ],
)
def test_no_secret_goes_over_plain_http_to_another_machine(url, headers, refused):
    access = Access(hosts=("files.example", "127.0.0.1:8000", "localhost:8000", "10.0.0.1:8000"))
    found, sent, _ = asked(OK, Request(url=url, headers=headers), access=access)
    assert len(sent) == (0 if refused else 1)
    if refused:
        assert str(found).endswith("is plain http, and would show a signature or a token to all on the way: use https")
        assert "abc" not in str(found)


def test_a_redirect_shows_no_secret_to_another_host_or_on_an_open_line():
    access = Access(hosts=("files.example", "other.example"))
    request = Request(url=URL, headers={"Authorization": "Bearer abc", "Accept": "x"})
    _, sent, _ = asked([(302, {"Location": "/b"}, b""), OK], request, access=access)
    assert [message.headers.get("Authorization") for message in sent] == ["Bearer abc"] * 2
    _, sent, _ = asked([(302, {"Location": "https://other.example/b"}, b""), OK], request, access=access)
    assert [message.headers.get("Authorization") for message in sent] == ["Bearer abc", None]
    assert sent[1].headers["Accept"] == "x"
    found, sent, _ = asked([(302, {"Location": "http://files.example/b"}, b""), OK], request, access=access)
    assert [message.headers.get("Authorization") for message in sent] == ["Bearer abc", None]
    found, sent, _ = asked([(302, {"Location": "http://other.example/b?sig=abc"}, b""), OK], request, access=access)
    assert isinstance(found, Refused)
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("url", "sas", "said"),
    [
        (
            "http://acc.blob.core.windows.net/box/a.tif",
            "https://tokens.example/v1",
            "is plain http, and would show its",
        ),
        (
            "https://acc.blob.core.windows.net/box/a.tif",
            "http://tokens.example/v1",
            "no signature for acc/box: http://tok",
        ),
    ],
)
def test_no_signature_is_asked_for_or_sent_on_an_open_line(monkeypatch, url, sas, said):
    from planetary_computer.settings import Settings

    monkeypatch.setattr(Settings.get(), "sas_url", sas)
    monkeypatch.setattr(Settings.get(), "subscription_key", "c4n4ry")
    access = Access(hosts=("acc.blob.core.windows.net",), sign="planetary-computer")
    found, sent, _ = asked(OK, Request(url=url), access=access)
    assert isinstance(found, Refused)
    assert said in str(found)
    assert "c4n4ry" not in str(found)
    assert sent == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((401, {}, b""), "no signature for acc/box: tokens.example answers with status 401"),
        ((503, {}, b""), "no signature for acc/box: https://tokens.example/v1/acc/box: 503, 6 times"),
        ((200, {}, b"<html>"), "no signature for acc/box: the answer is no token (JSONDecodeError)"),
        ((200, {}, b"[1]"), "no signature for acc/box: the answer is no token (TypeError)"),
        ((200, {}, b'{"token": 1}'), "no signature for acc/box: the answer is no token (ValidationError)"),
        (urllib3.exceptions.ReadTimeoutError(None, URL, "slow"), "timed out, 6 times"),
    ],
)
def test_without_a_signature_it_is_said_why(monkeypatch, reply, said):
    from planetary_computer.settings import Settings

    monkeypatch.setattr(Settings.get(), "sas_url", "https://tokens.example/v1")
    access = Access(hosts=("acc.blob.core.windows.net",), sign="planetary-computer")
    found, sent, _ = asked(reply, Request(url="https://acc.blob.core.windows.net/box/a.tif"), access=access)
    assert type(found) is ReadFailed
    assert said in str(found)
    assert {message.url for message in sent} == {"https://tokens.example/v1/acc/box"}


# Limits


def most_inside(limiter: Limiter, threads: int, seconds: float = 0.01) -> int:
    """How many of so many threads were inside at once."""
    inside, most, lock = [], [], threading.Lock()

    def enter(_: int) -> None:
        with limiter.acquire():
            with lock:
                inside.append(1)
                most.append(len(inside))
            time.sleep(seconds)
            with lock:
                inside.pop()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(enter, range(threads * 2)))
    return max(most)


def test_a_limit_holds_and_may_change():
    limiter = Limiter(3)
    assert most_inside(limiter, 12) == 3
    limiter.resize(5)
    assert most_inside(limiter, 12) == 5
    assert (limiter.limit, limiter.inside) == (5, 0)


def test_nobody_enters_at_limit_zero_until_it_is_raised():
    limiter, entered = Limiter(0), threading.Event()

    def enter() -> None:
        with limiter.acquire():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.05)
    limiter.resize(1)
    assert entered.wait(10)
    thread.join()


def test_an_adaptive_limit_falls_with_refusals_and_rises_with_answers():
    limiter = AdaptiveLimiter(4)
    for _ in range(3):
        limiter.fault("429")
    limiter.fault("503")
    assert limiter.limit == 1
    assert most_inside(limiter, 4, 0.0) == 1
    assert limiter.limit == 1  # 8 answers
    assert most_inside(limiter, 12, 0.0) == 1 or limiter.limit == 2
    for _ in range(200):
        with limiter.acquire():
            pass
    assert limiter.limit == 4


def test_one_session_waits_for_no_other():
    busy, go = threading.Event(), threading.Event()

    def stall(_):
        busy.set()
        go.wait(20)
        return OK

    builds = Session(Policy(max_requests=1), transport=MockTransport(stall))
    thread = threading.Thread(target=builds.client.fetch, args=(Request(url=URL), HOME))
    thread.start()
    assert busy.wait(10)
    began = time.monotonic()
    with Session(transport=MockTransport(OK)) as reads:
        assert reads.client.fetch(Request(url=URL), HOME).status == 200
        assert reads.take_counts()["requests"] == 1
    assert time.monotonic() - began < 5
    go.set()
    thread.join()


# Whose is what


def test_a_session_is_for_its_block_and_for_its_threads():
    outside = current()
    with limited(3) as session:
        assert current() is session is not outside
        assert session.client.limiter.limit == 3
        assert session.client.transport is outside.client.transport
        with SessionThreads(2) as threads:
            assert set(threads.map(lambda _: current(), range(8))) == {session}
        with ThreadPoolExecutor(2) as others:
            assert set(others.map(lambda _: current(), range(8))) == {outside}
        loaded = dask.threaded.get({"a": (lambda: current(),)}, ["a"], pool=SessionThreads(1))
        assert list(loaded) == [session]
    assert current() is outside
    assert not session.is_open
    assert outside.is_open


def test_a_session_that_is_closed_is_not_the_current_one():
    with Session() as session, using(session):
        session.close()
        assert current() is not session
    before = contextvars.Context().run(current)
    before.close()
    assert contextvars.Context().run(current) is not before  # the process has a new one


def test_a_client_that_is_closed_asks_for_nothing_more():
    transport = MockTransport(OK)
    with Session(Policy(max_requests=0), transport=transport) as session:
        thread = threading.Thread(target=session.close)
        thread.start()
        with pytest.raises(ReadFailed, match="session was closed"):
            session.client.fetch(Request(url=URL), HOME)
        thread.join()
    assert transport.messages == []


def test_a_fork_has_a_session_of_its_own():
    with Session() as session, using(session):
        child = os.fork()
        if not child:
            os._exit(0 if current() is not session and current() is current() else 1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planet")
    SyntheticPlanet().write(folder, only=["west"])
    return folder


def open_files(folder) -> list[str]:
    return [file.path for file in psutil.Process().open_files() if file.path.startswith(str(folder))]


def test_closing_frees_files_and_connections(folder):
    with FileServer(folder) as server:
        with Session(QUICK) as session, using(session):
            rasters.read(str(folder / "west/red.tif"), np.s_[0:9, 0:9])
            rasters.read(f"{server.url}/west/red.tif", np.s_[0:9, 0:9], access=Access(hosts=(server.address,)))
            assert open_files(folder)
            assert ports_open(server.address)
        assert open_files(folder) == []
        assert ports_open(server.address) == []


def ports_open(address: str) -> list[int]:
    port = int(address.rpartition(":")[2])
    found = psutil.Process().net_connections("tcp")
    return [each.fd for each in found if each.raddr and each.raddr.port == port and each.status == "ESTABLISHED"]


def test_what_is_borrowed_when_a_session_closes_is_closed_when_it_comes_back(folder):
    with Session() as session, session.rasters.borrow(str(folder / "west/red.tif"), HOME) as raster:
        session.close()
        assert raster.read(1, np.s_[0:9, 0:9]).shape == (9, 9)
    assert open_files(folder) == []


def test_each_session_reads_for_itself_and_clearing_one_forgets(folder):
    with FileServer(folder) as server:
        access = Access(hosts=(server.address,))
        for requests in (1, 2):
            with Session(QUICK) as session, using(session):
                for _ in range(3):
                    rasters.header(f"{server.url}/west/red.tif", access)
                assert len(server.requests()) == requests
        with Session(QUICK) as session, using(session):
            rasters.header(f"{server.url}/west/red.tif", access)
            session.clear()
            rasters.header(f"{server.url}/west/red.tif", access)
            assert session.take_counts()["requests"] == 2
            assert session.take_counts() == {}


def test_modules_keep_things_as_long_as_a_session():
    class Kept(SingleFlightCache[str, int]):
        def __init__(self) -> None:
            super().__init__(2, lambda _: 1)

    with Session() as one, Session() as other:
        assert one.resource(Kept) is one.resource(Kept) is not other.resource(Kept)
        kept = one.resource(Kept)
        one.clear()
        assert one.resource(Kept) is not kept


def test_a_full_cache_looks_at_few_of_its_keys_to_make_room():
    looks = 0

    class Key(int):
        def __hash__(self) -> int:
            nonlocal looks
            looks += 1
            return int(self)

    kept, most = SingleFlightCache[Key, int](100, lambda _: 1), 100
    for k in range(most):
        kept.get(Key(k), lambda: 0)
    looks = 0
    for k in range(most, 2 * most):
        kept.get(Key(k), lambda: 0)
    assert looks < 12 * most  # and not the square of it
    made = list[int]()
    for k in range(2 * most - 1, -1, -1):
        kept.get(Key(k), lambda k=k: made.append(k) or 0)
    assert made == [*range(most - 1, -1, -1)]  # the least recently used made room


def test_a_transport_that_was_given_stays_open_and_ones_own_does_not():
    transport = MockTransport(OK)
    with Session(transport=transport) as session:
        session.limited(2).close()
    assert not transport.closed


def test_what_travels_holds_no_session(folder):
    planet = SyntheticPlanet()
    source = nt.StacSource(url=str(folder / "items.json"), collection=COLLECTION)
    with Session() as session, using(session):
        lon, lat = next((lon, lat) for lon, lat, _ in planet.places if source.search(*at(lon, lat))[0])
        (scenes,) = source.search(*at(lon, lat))
        asset = scenes[0].assets[0]
        grid = GeoBox(asset.shape, Affine(*asset.transform), asset.crs)[300:364, 300:364]
        cube = source.open(grid, scenes, chunks=32)
        whole = cube.compute()
    assert whole.red.values.any()
    assert pickle.loads(pickle.dumps(cube)).compute().identical(whole)


def at(lon: float, lat: float) -> tuple[np.ndarray, np.ndarray, float]:
    return np.array([lon]), np.array([lat]), 640.0


# What was read


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a thread reads")
@pytest.mark.parametrize("profile", [{}, {"compress": "lzma"}])
def test_what_is_read_of_local_files_is_counted(profile, tmp_path):
    """The blocks that a window touches, however they are unpacked, and little more; in the session that reads them."""
    path, pixels = tmp_path / "a.tif", np.random.default_rng(0).integers(0, 2**16, (1024, 1024), np.uint16)
    shape = {"height": 1024, "width": 1024, "count": 1, "dtype": "uint16", "crs": "EPSG:32631"}
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256, "transform": Affine(10, 0, 0, 0, -10, 0)}
    with rasterio.open(path, "w", driver="GTiff", **shape, **tiled, **profile) as out:
        out.write(pixels, 1)
    block = path.stat().st_size / 16
    with Session() as session, using(session):
        found = rasters.read(str(path), (slice(256, 512), slice(0, 512)))
        assert (found == pixels[256:512, :512]).all()
        counts = session.take_counts()
        assert 2 * block * 0.95 < counts["local bytes"] < 2 * block + 100_000
        assert counts.get("bytes", 0) == 0
        assert session.take_counts() == {}
