"""The file server: each fault as a client meets it, and counts that say what was asked."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection, HTTPException, IncompleteRead, RemoteDisconnected
from threading import Thread
from typing import NamedTuple

import numpy as np
import psutil
import pytest
import rasterio
import yaml
from support.worlds import written

from nutonic.testing import Fault, FileServer, Request, SyntheticPlanet, remote_catalogue
from nutonic.testing.answers import Answer, span_of
from nutonic.testing.distort import distort
from nutonic.testing.faults import KINDS, MOST_IN_A_ROW, TRANSIENT, Choice

pytestmark = pytest.mark.timeout(60)

CONTENT = random.Random(3).randbytes(100_000)
PAIR = {"Range": "bytes=10-29"}


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def ask(server, path="/a.bin", headers=None, method="GET", body=None, timeout=5):
    with closing(HTTPConnection(server.address, timeout=timeout)) as connection:
        return exchange(connection, path, headers, method, body)


def exchange(connection, path="/a.bin", headers=None, method="GET", body=None):
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "a.bin").write_bytes(CONTENT)
    (folder / "b.json").write_bytes(b'{"b": 1}')
    (folder / "empty.tif").write_bytes(b"")
    (folder / "account" / "tiles" / "deep").mkdir(parents=True)
    (folder / "account" / "tiles" / "deep" / "c d.tif").write_bytes(CONTENT[:1000])
    (folder.parent / "secret.txt").write_bytes(b"not served")
    return folder


@pytest.fixture(scope="module")
def running(folder):
    with FileServer(folder) as server:
        yield server


@pytest.fixture
def server(running):
    running.script([])
    running.reset()
    return running


# Files


def test_a_whole_file(server):
    status, headers, body = ask(server, "/a.bin?x=1")
    assert (status, body) == (200, CONTENT)
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-length"] == "100000"
    assert server.requests() == [
        Request(method="GET", path="/a.bin", query_keys=("x",), span=None, status=200, fault=None, sent=100_000)
    ]


@pytest.mark.parametrize(
    ("asked", "span"),
    [("10-29", (10, 29)), ("99990-", (99_990, 99_999)), ("-7", (99_993, 99_999)), ("99000-200000", (99_000, 99_999)),
     ("-200000", (0, 99_999)), ("0-0", (0, 0))],
)  # fmt: skip
def test_ranges(server, asked, span):
    status, headers, body = ask(server, headers={"Range": f"bytes={asked}"})
    assert (status, body) == (206, CONTENT[span[0] : span[1] + 1])
    assert headers["content-range"] == f"bytes {span[0]}-{span[1]}/100000"
    (request,) = server.requests()
    assert (request.span, request.status, request.sent) == (span, 206, len(body))


@pytest.mark.parametrize("asked", ["100000-", "100000-100001", "-0"])
def test_ranges_beyond_the_end(server, asked):
    status, headers, _ = ask(server, headers={"Range": f"bytes={asked}"})
    assert (status, headers["content-range"]) == (416, "bytes */100000")
    assert ask(server, "/empty.tif", headers={"Range": f"bytes={asked}"}).status == 416


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=9-2", "bytes=-", "bytes=a-b", "rows=1-2"])
def test_other_ranges_get_everything(server, asked):
    assert ask(server, headers={"Range": asked})[::2] == (200, CONTENT)


def test_a_span_within_nothing_is_empty():
    assert span_of("bytes=-5", 0) == (0, -1)


def test_a_server_without_ranges(folder):
    with FileServer(folder, ranges=False) as server:
        status, headers, body = ask(server, headers=PAIR)
    assert (status, headers["accept-ranges"], body) == (200, "none", CONTENT)


def test_methods(server):
    status, headers, body = ask(server, method="HEAD", headers=PAIR)
    assert (status, headers["content-length"], body) == (200, "100000", b"")
    status, headers, body = ask(server, "/b.json", method="POST", body=b'{"limit": 3}')
    assert (status, headers["content-type"], body) == (200, "application/json", b'{"b": 1}')
    assert {ask(server, method=method).status for method in ("PUT", "DELETE", "PATCH", "OPTIONS")} == {405}
    assert [request.sent for request in server.requests()[:2]] == [0, 8]


def test_one_connection_serves_many_requests(server):
    with closing(HTTPConnection(server.address, timeout=5)) as connection:
        took_s, ports = [], set()
        for method in ("GET", "POST", "HEAD", "PUT") * 10:
            start = time.perf_counter()
            exchange(connection, method=method, body=b"123" if method == "POST" else None)
            took_s.append(time.perf_counter() - start)
            ports.add(connection.sock.getsockname()[1])
        assert len(ports) == 1
        assert statistics.median(took_s) < 0.03  # 40 ms if a body had to wait for an acknowledgement
    assert len(server.requests()) == 40


def test_the_etag_is_of_the_content(server, folder):
    first = ask(server, method="HEAD").headers["etag"]
    assert ask(server, headers=PAIR).headers["etag"] == first
    (folder / "copy.bin").write_bytes(CONTENT)
    assert ask(server, "/copy.bin").headers["etag"] == first
    (folder / "copy.bin").write_bytes(CONTENT[::-1])
    assert ask(server, "/copy.bin")[2] == CONTENT[::-1]
    assert ask(server, "/copy.bin").headers["etag"] != first


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/account",
        "/missing.tif",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/x/..%2f../secret.txt",
        "/%00",
        "/" + "n" * 999,
    ],
)
def test_what_is_not_there(server, path):
    assert ask(server, path).status == 404
    assert server.requests()[0].status == 404


def test_scripted_answers(folder):
    large, page = b"[" + b" " * 20_000_000 + b"]", {"Content-Type": "application/json", "ETag": "x"}
    answers = {"/x.json": (200, page, large), "/lie": (200, {"content-length": "7"}, b"short")}
    with FileServer(folder, answers=answers) as server:
        status, headers, body = ask(server, "/x.json?page=2")
        assert (status, headers["content-type"], headers["etag"]) == (200, "application/json", "x")
        assert body == large
        with pytest.raises((TimeoutError, IncompleteRead)):
            ask(server, "/lie", timeout=0.2)
        assert [request.sent for request in server.requests()] == [len(large), 5]


def test_latency(folder):
    with FileServer(folder, latency_s=0.5) as server:
        start = time.perf_counter()
        threads = [Thread(target=ask, args=(server, "/b.json")) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.5 <= time.perf_counter() - start < 3.5  # 4 s one after another
        assert len(server.requests()) == 8


def test_a_client_that_leaves_has_not_had_it_all(folder):
    with FileServer(folder, answers={"/big": (200, {}, bytes(50_000_000))}) as server:
        with closing(HTTPConnection(server.address, timeout=5)) as connection:
            connection.request("GET", "/big")
            assert connection.getresponse().read(1000) == bytes(1000)
        deadline = time.monotonic() + 4
        while (sent := server.requests()[0].sent) == 50_000_000 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert 0 < sent < 50_000_000


# Faults


@pytest.mark.parametrize("kind", ["404", "408", "410", "500", "503"])
def test_statuses(server, kind):
    server.script([Fault(kind)])
    assert ask(server).status == int(kind)
    assert ask(server)[::2] == (200, CONTENT)
    assert server.fault_counts() == {kind: 1}


def test_too_many_requests(server):
    server.script([Fault("429", after_s=3, times=None)])
    status, headers, _ = ask(server, headers=PAIR)
    assert (status, headers["retry-after"]) == (429, "3")
    (request,) = server.requests()
    assert (request.status, request.span, request.fault) == (429, (10, 29), "429")


def test_forbidden_in_the_words_of_blob_storage(server):
    server.script([Fault("403")])
    status, headers, body = ask(server)
    assert (status, headers["content-type"]) == (403, "application/xml")
    assert b"<Code>AuthenticationFailed</Code>" in body


def test_drop(server):
    server.script([Fault("drop")])
    with pytest.raises(ConnectionResetError) as caught:
        ask(server)
    assert not isinstance(caught.value, RemoteDisconnected)  # that would be a goodbye
    (request,) = server.requests()
    assert (request.status, request.fault, request.sent) == (0, "drop", 0)
    assert ask(server).status == 200


@pytest.mark.parametrize("headers", [{}, PAIR])
def test_truncate(server, headers):
    server.script([Fault("truncate")])
    with pytest.raises(IncompleteRead) as caught:
        ask(server, headers=headers)
    half = 10 if headers else 50_000
    assert len(caught.value.partial) == caught.value.expected == half
    assert server.requests()[0].sent == half


def test_short(server):
    server.script([Fault("short")])
    status, headers, body = ask(server, headers=PAIR)
    assert (status, headers["content-range"], headers["content-length"]) == (206, "bytes 10-19/100000", "10")
    assert body == CONTENT[10:20]
    (request,) = server.requests()
    assert (request.span, request.sent) == ((10, 29), 10)


def test_stall(server):
    server.script([Fault("stall", after_s=0.3)])
    start = time.perf_counter()
    with pytest.raises(RemoteDisconnected):
        ask(server)
    assert 0.3 <= time.perf_counter() - start < 5
    server.script([Fault("stall", after_s=30)])
    with pytest.raises(TimeoutError):
        ask(server, timeout=0.1)
    assert ask(server).status == 200  # others are served meanwhile
    assert server.fault_counts() == {"stall": 2}


def test_html(server):
    server.script([Fault("html")])
    status, headers, body = ask(server, headers=PAIR)
    assert (status, headers["content-type"]) == (200, "text/html")
    assert body.startswith(b"<!doctype html>")


def test_zeros(server):
    server.script([Fault("zeros")])
    status, headers, body = ask(server, headers=PAIR)
    assert (status, headers["content-range"], body) == (206, "bytes 10-29/100000", bytes(20))


def test_redirect(server):
    server.script([Fault("redirect", to="http://127.0.0.1:9/elsewhere")])
    status, headers, _ = ask(server)
    assert (status, headers["location"]) == (302, "http://127.0.0.1:9/elsewhere")


def test_every_kind_leaves_a_mark():
    answer = Answer(206, CONTENT[10:30], {"Content-Range": "bytes 10-29/100000"}, (10, 29))
    for kind in KINDS:
        said, spoilt = distort(answer, Fault(kind))
        assert said == kind
        assert spoilt != answer


@pytest.mark.parametrize(
    ("kind", "method", "headers", "met"),
    [("short", "GET", {}, "truncate"), ("short", "GET", {"Range": "bytes=5-5"}, "truncate"), ("short", "HEAD", {}, "drop"),
     ("truncate", "HEAD", {}, "drop"), ("zeros", "HEAD", {}, None)],
)  # fmt: skip
def test_what_is_not_possible_is_the_next_thing(server, kind, method, headers, met):
    server.script([Fault(kind)])
    try:
        status = ask(server, method=method, headers=headers).status
    except (HTTPException, ConnectionResetError):
        status = 0
    assert (server.requests()[0].fault, status) == (met, 0 if met else 200)


def test_a_fault_of_no_kind_is_refused():
    with pytest.raises(ValueError, match="'504' is no kind of fault; choose from 403, 404"):
        Fault("504")


def test_numbers_are_counted_for_each_path_and_range(server):
    server.script([Fault("503", "*.bin", first=1, times=2), Fault("404", "/b.json", times=None)])
    spans = [{"Range": "bytes=0-9"}, {"Range": "bytes=10-19"}]
    assert [ask(server, headers=spans[0]).status for _ in range(4)] == [206, 503, 503, 206]
    assert [ask(server, headers=spans[1]).status for _ in range(4)] == [206, 503, 503, 206]
    assert [ask(server, "/b.json").status for _ in range(4)] == [404] * 4
    assert server.fault_counts() == {"503": 4, "404": 4}
    server.reset()
    assert server.requests() == []
    assert [ask(server, headers=spans[0]).status for _ in range(2)] == [206, 503]
    server.script([Fault("500", times=1)])
    assert [ask(server, headers=spans[0]).status for _ in range(2)] == [500, 206]


def test_the_first_fault_that_is_due_happens(server):
    server.script([Fault("503", times=1), Fault("410", times=3), Fault("500", times=None)])
    assert [ask(server).status for _ in range(5)] == [503, 410, 410, 500, 500]


def outcomes(server):
    """What became of 60 requests for each of three things."""
    found = []
    for path, headers in (("/a.bin", {}), ("/a.bin", PAIR), ("/b.json", {"Range": "bytes=0-3"})):
        for _ in range(60):
            try:
                found.append(ask(server, path, headers).status)
            except (HTTPException, ConnectionResetError) as error:
                found.append(type(error).__name__)
    return found


@pytest.mark.long
def test_a_share_fails_the_same_way_on_another_server(folder):
    with FileServer(folder, share=0.4, seed=7) as one, FileServer(folder, share=0.4, seed=7) as two:
        first = outcomes(one)
        assert first == outcomes(two)
        assert one.requests() == two.requests()
        assert one.fault_counts().keys() == set(TRANSIENT)
        one.reset()
        assert outcomes(one) == first
    with FileServer(folder, share=0.4, seed=8) as other:
        assert outcomes(other) != first


def test_the_order_of_other_requests_does_not_matter():
    keys = [(path, span) for path in ("/a", "/b") for span in ("", "bytes=0-9", "bytes=5-9")] * 30
    found = []
    for order in (keys, keys[::-1], random.Random(1).sample(keys, len(keys))):
        choice, met = Choice((), 0.3, 1), {key: [] for key in keys}
        for key in order:
            met[key].append(choice.next(*key))
        found.append(met)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("share", [0, 0.1, 1])
def test_a_share_is_as_large_as_asked_and_never_three_in_a_row(share):
    choice = Choice((), share, 7)
    met = [[choice.next(f"/{path}", "bytes=0-1") is not None for _ in range(30)] for path in range(300)]
    count = sum(map(sum, met))
    assert count / 9000 == pytest.approx({0: 0, 0.1: 0.1, 1: 2 / 3}[share], abs=0.01)
    assert not any(all(row[at : at + MOST_IN_A_ROW + 1]) for row in met for at in range(28))


# Tokens

FILE = "/account/tiles/deep/c%20d.tif"


def token(server, container="account/tiles"):
    status, _, body = ask(server, f"/api/sas/v1/token/{container}")
    assert status == 200
    return json.loads(body)


@pytest.fixture(scope="module")
def signing(folder):
    with FileServer(folder, signed=True) as server:
        yield server


def test_files_need_a_token_for_their_container(signing):
    assert ask(signing, "/b.json").status == 200  # in no container
    assert ask(signing, FILE).status == 403
    assert ask(signing, "/account/tiles/missing.tif").status == 403
    assert ask(signing, f"{FILE}?sig=guess").status == 403
    assert ask(signing, f"{FILE}?{token(signing, 'account/other')['token']}").status == 403
    assert ask(signing, f"/{FILE}").status == 403
    signing.reset()
    given = token(signing)
    assert set(given) == {"msft:expiry", "token"}
    assert ask(signing, f"{FILE}?{given['token']}")[::2] == (200, CONTENT[:1000])
    assert ask(signing, f"{FILE}?{given['token']}", headers=PAIR).body == CONTENT[10:30]
    assert Counter(request.path for request in signing.requests()) == {
        "/api/sas/v1/token/account/tiles": 1, "/account/tiles/deep/c d.tif": 2
    }  # fmt: skip
    assert set(signing.requests()[1].query_keys) == {"st", "se", "sp", "sv", "sr", "sig"}
    assert given["token"].rpartition("sig=")[2] not in repr(signing.requests())


def test_revoked_and_expired_tokens(signing, folder):
    old = token(signing)["token"]
    signing.revoke()
    assert ask(signing, f"{FILE}?{old}").status == 403
    assert ask(signing, f"{FILE}?{token(signing)['token']}").status == 200
    with FileServer(folder, signed=True, token_lifetime_s=0.3) as server:
        short = token(server)["token"]
        assert ask(server, f"{FILE}?{short}").status == 200
        time.sleep(0.35)
        assert ask(server, f"{FILE}?{short}").status == 403


def test_tokens_can_fail_too(folder):
    with FileServer(folder, signed=True, faults=[Fault("503", "/api/sas/*")]) as server:
        assert ask(server, "/api/sas/v1/token/account/tiles").status == 503
        assert token(server)["token"]
    with FileServer(folder) as server:
        assert ask(server, "/api/sas/v1/token/account/tiles").status == 404


def test_the_planetary_computers_client_gets_tokens(signing, monkeypatch):
    sas = pytest.importorskip("planetary_computer.sas", reason="planetary-computer is not installed")
    monkeypatch.setenv("PC_SDK_SAS_URL", f"{signing.url}/api/sas/v1/token")
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "")  # else it looks for a file at home
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(sas, "TOKEN_CACHE", {})
    sas.Settings.get.cache_clear()
    try:
        given = sas.get_token("account", "tiles", retry_total=0)
        assert 3500 < given.ttl() <= 3600
        href = given.sign(FILE).href
        assert ask(signing, href).status == 200
        signing.revoke()
        assert ask(signing, href).status == 403
        sas.TOKEN_CACHE.clear()
        assert ask(signing, sas.get_token("account", "tiles", retry_total=0).sign(FILE).href).status == 200
    finally:
        sas.Settings.get.cache_clear()


# The process


def gone(pid):
    """Whether a process has ended, within two seconds."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:  # nobody has asked how it ended
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def children():
    return {child.pid for child in psutil.Process().children()}


def test_it_ends_with_its_block_even_while_it_stalls(folder):
    before = children()
    with FileServer(folder, faults=[Fault("stall", after_s=60)]) as server:
        (pid,) = children() - before
        with pytest.raises(TimeoutError):
            ask(server, timeout=0.1)
    assert not psutil.pid_exists(pid)
    with pytest.raises(ConnectionRefusedError):
        ask(server)


PARENT = """
import sys, time, psutil
from nutonic.testing import FileServer
with FileServer(sys.argv[1]) as server:
    print(psutil.Process().children()[0].pid, flush=True)
    time.sleep(60)
"""


def test_it_ends_with_its_parent(folder):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(pid)


def test_it_starts_without_numpy():
    script = "import sys, nutonic.testing.server; print(sorted({'numpy', 'rasterio', 'yaml'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", script]) == b"[]\n"


def test_it_says_so_if_it_cannot_start(capfd):
    before = children()
    with pytest.raises(ChildProcessError, match="did not start"), FileServer(5):
        pass
    assert "TypeError" in capfd.readouterr().err
    assert children() == before


# A planet from afar


def test_a_planets_catalogue_from_afar(tmp_path):
    folder = tmp_path / "account" / "planet"
    planet = SyntheticPlanet(shape=(300, 400))
    written(planet, folder, only=["full"])
    with FileServer(tmp_path) as server:
        path = remote_catalogue(folder, server.url, "account/planet")
        assert path == folder / "items-http.json"
        assets = json.loads(path.read_text())["features"][0]["assets"]
        for band, asset in assets.items():
            assert asset["href"] == f"{server.url}/account/planet/full/{band}.tif"
            assert (
                ask(server, asset["href"].removeprefix(server.url)).body == (folder / f"full/{band}.tif").read_bytes()
            )
        recipe = yaml.safe_load((folder / "recipe-http.yaml").read_text())
        assert recipe["imagery"]["url"] == "items-http.json"
        assert recipe["imagery"]["allow_hosts"] == [server.address]
        assert recipe["labels"] == yaml.safe_load((folder / "recipe.yaml").read_text())["labels"]
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), rasterio.open(assets["red"]["href"]) as raster:
            found = raster.read(1, window=((20, 90), (300, 400)))
        x, y = planet.scene("full").grid.centres()
        assert np.array_equal(found, planet.rgb(x[300:400], y[20:90], "full")[0])
        assert {request.status for request in server.requests()} == {200, 206}
    remote_catalogue(folder, "http://127.0.0.1:1/")
    assert json.loads(path.read_text())["features"][0]["assets"]["red"]["href"] == "http://127.0.0.1:1/full/red.tif"
