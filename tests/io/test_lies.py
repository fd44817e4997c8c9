"""A server that lies, or keeps one waiting: the right bytes, or an error with a name, and within the deadline."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import urllib3

from nutonic.errors import ReadFailed, Refused
from nutonic.io import ranged
from nutonic.io import raster as rasters
from nutonic.io.access import Access
from nutonic.io.http import Answer, Policy, Request
from nutonic.io.session import Session, current, using
from nutonic.testing import ENDLESS, LIES, Fault, FileServer

#: What the last read of a file is of: not its header, which is fetched before.
WINDOW = np.s_[600:800, 400:600]

#: Silence of 0.1 s is too long, and so is an attempt of 0.2 s.
HASTY = Policy(pause_s=0.001, read_s=0.1)

#: For what is no matter of silence: a machine that stands still for a second is no fault of a server.
PATIENT = Policy(pause_s=0.001, read_s=30.0)

#: Seconds that are soon, for what would else last for ever, on a machine however busy.
SOON_S = 20

#: A document that is fetched as a whole.
DOCUMENT = json.dumps({"items": list(range(2000))}).encode()


@pytest.fixture(scope="module")
def folder(recipe_path) -> Path:
    """A planet's files; nobody writes here."""
    return recipe_path.parent


@pytest.fixture(scope="module")
def right(folder) -> np.ndarray:
    with rasterio.open(folder / "west/red.tif") as raster:
        return raster.read(1, window=WINDOW)


@pytest.fixture(scope="module")
def running(folder) -> Iterator[FileServer]:
    with FileServer(folder, answers={"/page.json": (200, {}, DOCUMENT)}) as server:
        yield server


@pytest.fixture
def server(running) -> FileServer:
    running.script([])
    running.reset()
    return running


Found = tuple[np.ndarray | ReadFailed, dict[str, int]]


def read(server: FileServer, window=WINDOW) -> Found:
    """The pixels or the error, and the faults that were counted, of a read in the session of this place."""
    try:
        found = rasters.read(f"{server.url}/west/red.tif", window, access=Access(hosts=(server.address,)))
    except ReadFailed as error:
        found = error
    return found, faults_of(current())


def faults_of(session: Session) -> dict[str, int]:
    counts = session.take_counts().items()
    return {name.removeprefix("fault: "): count for name, count in counts if name.startswith("fault: ")}


@pytest.fixture
def hasty() -> Iterator[Session]:
    """A session that hardly pauses. No lie that it is told is a long silence, so it need not take one for a fault."""
    with Session(PATIENT) as session, using(session):
        yield session


# Parts of a file that are not what was asked for

#: Each lie, told once to each of five requests, the first of which is for the head of the file: what it is called, and
#: after the head; then what it comes to if it is told for ever, and after how many requests.
TOLD: dict[str, tuple[dict[str, int], str, int]] = {
    "elsewhere": ({"not a raster": 1, "another range": 4}, "not a raster, 6 times", 6),
    "untold": ({"range not told": 5}, "range not told, 6 times", 6),
    "twofold": ({"range not told": 5}, "range not told, 6 times", 6),
    "absurd": ({"range not told": 5}, "range not told, 6 times", 6),
    "resized": ({"changed": 2, "cut short": 1}, "cut short, 6 times", 10),
    "multipart": ({"too long": 5}, "too long, 6 times", 6),
    "whole": ({"range ignored": 5}, "range ignored, 6 times", 6),
    "surplus": ({"too long": 5}, "too long, 6 times", 6),
    "few": ({"cut short": 5}, "cut short, 6 times", 6),
    "416": ({"416": 5}, "416, 6 times", 6),
    "gzip": ({}, "", 5),
    "no-gzip": ({"dropped": 5}, "dropped, 6 times", 6),
    "http10": ({"cut short": 5}, "cut short, 6 times", 6),
    "forged": ({}, "", 5),
}


def test_every_lie_has_its_row():
    assert set(TOLD) == set(LIES)


@pytest.mark.parametrize("kind", TOLD)
def test_a_lie_is_seen_told_and_asked_again(server, hasty, right, kind):
    server.script([Fault(kind, path="/west/*")])
    found, faults = read(server)
    assert np.array_equal(found, right)
    assert server.fault_counts()[kind] >= 5
    assert faults == TOLD[kind][0]


@pytest.mark.parametrize("kind", TOLD)
def test_a_lie_for_ever_is_an_error_and_never_pixels(server, hasty, right, kind):
    server.script([Fault(kind, path="/west/*", times=None)])
    found, _ = read(server)
    _, told, requests = TOLD[kind]
    assert np.array_equal(found, right) if not told else str(found) == f"{server.url}/west/red.tif: {told}"
    assert len(server.requests()) == requests


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"Content-Range": "bytes 0-3/9"}, None),
        ({"Content-Range": "Bytes 0-3/9, bytes 0-3/9"}, None),  # twice, and twice the same
        ({"Content-Range": "bytes 0-3/9, bytes 4-7/9"}, "range not told"),
        ({"Content-Range": "bytes 0-3/*"}, "range not told"),
        ({"Content-Range": "bytes */9"}, "range not told"),
        ({"Content-Range": "items 0-3/9"}, "range not told"),
        ({"Content-Range": "bytes 0-3/-9"}, "range not told"),
        ({"Content-Range": "bytes ٠-٣/٩"}, "range not told"),
        ({"Content-Range": "bytes 0-3/3"}, "range impossible"),
        ({"Content-Range": f"bytes 0-3/{2**62}"}, "range impossible"),
        ({"Content-Range": "bytes 1-4/9"}, "another range"),
        ({"Content-Range": "bytes 0-4/9"}, "another range"),
        ({"Content-Range": "bytes 0-2/9"}, "cut short"),
        ({"Content-Range": "bytes 0-2/3"}, "cut short"),  # the last byte of the file, but four have come
    ],
)
def test_what_a_part_says_of_itself(headers, kind):
    answer = Answer(status=206, headers=urllib3.HTTPHeaderDict(headers), body=b"abcd")
    assert ranged.wrong_range(answer, (0, 4)) == kind


# Files that change


def other_of(path: Path, *, rows: int | None = None) -> None:
    """Replace a raster by one of other pixels, with so many rows; else with the very size and layout."""
    with rasterio.open(path) as raster:
        pixels, profile = raster.read(1), raster.profile
    turned = (pixels ^ 1)[:rows] if rows else pixels ^ 1
    with rasterio.open(
        path.with_suffix(".new"), "w", **{**profile, "height": turned.shape[0], "compress": None}
    ) as out:
        out.write(turned, 1)
    later = path.stat().st_mtime + 5
    path.with_suffix(".new").replace(path)
    os.utime(path, (later, later))


@pytest.fixture
def changing(folder, tmp_path) -> Path:
    """A file of its own that is not compressed, so that another of the same size may take its place."""
    (tmp_path / "west").mkdir()
    shutil.copy(folder / "west/red.tif", tmp_path / "west/red.tif")
    other_of(tmp_path / "west/red.tif")
    return tmp_path / "west/red.tif"


def pixels_of(path: Path, window) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read(1, window=window)


@pytest.mark.parametrize("validators", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified")], ids=str)
def test_a_file_that_is_replaced_is_opened_anew_and_told(changing, tmp_path, hasty, validators):
    with FileServer(tmp_path, validators=validators) as server:
        before, _ = read(server, np.s_[0:64, 0:64])
        assert np.array_equal(before, pixels_of(changing, np.s_[0:64, 0:64]))
        size = changing.stat().st_size
        other_of(changing)
        assert changing.stat().st_size == size
        found, faults = read(server)
        assert faults == {"changed": 1}
        assert np.array_equal(found, pixels_of(changing, WINDOW))
        again, faults = read(server, np.s_[0:64, 0:64])  # what was kept of the old file is not taken
        assert np.array_equal(again, pixels_of(changing, np.s_[0:64, 0:64]))
        assert faults == {}


def test_what_replaces_a_file_with_another_grid_is_not_taken_for_it(changing, tmp_path, hasty):
    with FileServer(tmp_path, validators=()) as server:  # not even then: it has another size
        read(server, np.s_[0:64, 0:64])
        other_of(changing, rows=400)
        found, faults = read(server)
    assert str(found).endswith("red.tif changed while it was read: there is a raster with another grid now")
    assert faults == {"changed": 1}


def test_a_file_that_became_shorter_is_one_that_changed(changing, tmp_path, hasty):
    with FileServer(tmp_path) as server:
        read(server, np.s_[0:64, 0:64])
        other_of(changing, rows=64)
        found, faults = read(server)
        assert 416 in {request.status for request in server.requests()}
    assert "changed while it was read" in str(found)
    assert faults == {"changed": 1}


def test_servers_behind_one_name_may_each_have_an_etag_of_their_own(folder, right, hasty):
    with FileServer(folder, validators=("ETag", "Last-Modified"), faults=[Fault("etag", times=None)]) as server:
        found, faults = read(server)
        assert server.fault_counts()["etag"] == len(server.requests()) == 5
    assert np.array_equal(found, right)
    assert faults == {}


def test_where_only_the_etag_is_told_and_never_the_same_it_ends_and_is_told(folder, hasty):
    with FileServer(folder, faults=[Fault("etag", times=None)]) as server:
        found, faults = read(server)
        assert len(server.requests()) == 6
    assert "changed while it was read" in str(found)
    assert faults == {"changed": 3}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((9, "a", "Mon"), (9, "a", "Mon"), True),
        ((9, None, None), (9, None, None), True),
        ((9, None, None), (8, None, None), False),
        ((9, "a", "Mon"), (8, "a", "Mon"), False),
        ((9, "a", "Mon"), (9, "b", "Mon"), True),  # two servers, each with an ETag of its own
        ((9, "a", "Mon"), (9, "a", "Tue"), True),  # two servers, each with a copy of its own
        ((9, "a", "Mon"), (9, "b", "Tue"), False),
        ((9, "W/a", "Mon"), (9, "W/a", "Tue"), False),  # weak: alike, not the same
        ((9, "W/a", None), (9, "a", None), True),
        ((9, "W/a", "Mon"), (9, "b", "Mon"), True),
        ((9, "a", None), (9, "b", None), False),
        ((9, None, "Mon"), (9, None, "Tue"), False),
        ((9, "a", None), (9, None, None), False),  # nothing proves it
        ((9, None, None), (9, None, "Mon"), False),
        ((9, "a", None), (9, None, "Mon"), False),
        ((9, "a", "Mon"), (9, None, "Mon"), True),
    ],
)
def test_which_versions_are_one(one, other, same):
    one, other = (ranged.Validators(size=size, etag=etag, modified=at) for size, etag, at in (one, other))
    assert one.same(other) == other.same(one) == same


# What does not end

RANGE, PAGE = ("/west/red.tif", {"Range": "bytes=0-32767"}), ("/page.json", {})


def fetched(server: FileServer, what: tuple[str, dict[str, str]], policy: Policy = HASTY) -> tuple[object, float]:
    """The body or the error of one request, and the seconds that it took."""
    began = time.monotonic()
    request = Request(url=f"{server.url}{what[0]}", headers=what[1], most_bytes=2**16)
    with Session(policy) as session:
        try:
            return session.client.fetch(request, Access(hosts=(server.address,))).body, time.monotonic() - began
        except (ReadFailed, Refused) as error:
            return str(error).rpartition(": ")[2], time.monotonic() - began


def body_of(folder: Path, what: tuple[str, dict[str, str]]) -> bytes:
    return (folder / what[0][1:]).read_bytes()[:32768] if what[1] else DOCUMENT


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("what", [RANGE, PAGE], ids=["range", "page"])
def test_who_sends_a_byte_now_and_then_is_left_at_the_deadline(server, folder, kind, what):
    server.script([Fault(kind, after_s=0.03)])
    body, took_s = fetched(server, what)
    assert body == body_of(folder, what)
    assert took_s < SOON_S  # whoever waits for silence waits for ever


@pytest.mark.parametrize("kind", ENDLESS)
def test_who_does_so_for_ever_is_asked_three_times(server, kind):
    server.script([Fault(kind, times=None, after_s=0.03)])
    told, took_s = fetched(server, RANGE, replace(HASTY, attempts=3) if kind == "drip-error" else HASTY)
    assert told == ("503, 3 times" if kind == "drip-error" else "too slow, 3 times")
    assert took_s < SOON_S


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("drip-head", "dropped"),
        ("continue", "endless"),
        ("trailers", "endless"),
        ("headers", "endless"),
        ("bomb", {RANGE[0]: "too long", PAGE[0]: "answers with more than 65536 bytes"}),
    ],
)
@pytest.mark.parametrize("what", [RANGE, PAGE], ids=["range", "page"])
def test_who_sends_without_an_end_is_left_soon(server, kind, told, what):
    server.script([Fault(kind, times=None)])
    patient = Policy(pause_s=0.001, attempts=2)  # of 30 s, which nobody waits for
    found, took_s = fetched(server, what, patient)
    told = told if isinstance(told, str) else told[what[0]]
    assert found == (told if " " in told and told != "too long" else f"{told}, 2 times") or told in found
    assert took_s < SOON_S
    assert sum(request.sent for request in server.requests()) < 2**21


def test_a_long_answer_on_a_slow_line_has_its_time(server, folder):
    server.script([Fault("drip", after_s=0.0005, times=None)])
    slow = Policy(read_s=0.1, attempt_s=0.2, slowest=100, attempts=1)
    body, took_s = fetched(server, ("/west/red.tif", {"Range": "bytes=0-399"}), slow)
    assert body == (folder / "west/red.tif").read_bytes()[:400]
    assert took_s > 0.2


def test_a_turn_that_is_waited_for_takes_nothing_of_the_deadline(server):
    with Session(replace(PATIENT, max_requests=0)) as session:
        threading.Timer(0.5, session.client.limiter.resize, [1]).start()
        access, url = Access(hosts=(server.address,)), f"{server.url}/page.json"
        assert session.client.fetch(Request(url=url), access).status == 200
        assert faults_of(session) == {}


def test_redirects_of_an_attempt_have_one_deadline_together(folder):
    with FileServer(folder, latency_s=0.08, faults=[Fault("redirect", to="/page.json", times=None)]) as slow:
        told, _ = fetched(slow, PAGE, replace(HASTY, attempts=1))
        assert len(slow.requests()) < 5
    assert told in ("too slow, 1 times", "timed out, 1 times")  # of a busy machine also a single answer may be


def test_a_name_with_many_dead_addresses_is_given_up_at_the_deadline(monkeypatch):
    with socket.socket() as full:
        full.bind(("0.0.0.0", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:  # nobody accepts them, so there is no room for another
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in range(1, 200)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
        began = time.monotonic()
        with (
            Session(Policy(pause_s=0.001, read_s=0.2, connect_s=0.1, attempts=1)) as session,
            pytest.raises(ReadFailed, match=r"timed out, 1 times"),
        ):
            session.client.fetch(Request(url=f"http://many.example:{port}/"), Access(hosts=(f"many.example:{port}",)))
        assert time.monotonic() - began < SOON_S
        for each in waiting:
            each.close()


# What goes over a connection


@contextmanager
def saying(*answers: bytes) -> Iterator[tuple[str, list[int]]]:
    """A server that says so over each connection, whatever it is asked; its address, and each request's connection."""
    asked: list[int] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            for answer in answers:
                if self.request.recv(2**16):
                    asked.append(self.client_address[1])
                    self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def said(head: bytes, body: bytes = b"{}") -> bytes:
    return b"HTTP/1.1 " + head.replace(b"|", b"\r\n") + b"\r\n\r\n" + body


LENGTH = b"Content-Length: 2"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(b"200 OK|" + LENGTH), b"{}"),
        (said(b"200 OK|Content-Length: 2, 2"), b"{}"),
        (said(b"200 OK|Content-Length: -2|Connection: close"), b"{}"),
        (said(b"200 OK|Content-Length: 2|Content-Length: 9"), "dropped"),
        (said(b"200 OK|Content-Length: 9"), "cut short"),
        (said(b"103 Early Hints|Link: </a>", b"") + said(b"200 OK|" + LENGTH), b"{}"),
        (said(b"100 Continue", b"") + said(b"200 OK|" + LENGTH), b"{}"),
        (said(b"200 OK|Content-Length: 7|Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n"), b"{}"),
        (said(b"200 OK|Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\nA: b\r\n\r\n"), b"{}"),
        (said(b"200 OK|Transfer-Encoding: chunked", b"zz\r\n{}\r\n"), "dropped"),
        (said(b"200 OK|Transfer-Encoding: chunked", b"-2\r\n{}\r\n"), "dropped"),
        (said(b"200 OK|Transfer-Encoding: chunked", b"2\r\n{}\r\n"), "dropped"),
        (said(b"200 OK|no colon here|" + LENGTH), b"{}"),
        (said(b"200 OK|Content-Range: bytes 0-1/2|" + LENGTH).replace(b"200", b"206"), "cut short"),
        (said(b"200 OK|Content-Encoding: gzip|" + LENGTH), "dropped"),
        (said(b"204 No Content"), "answers with status 204"),
        (said(b"999 What|" + LENGTH), "answers with status 999"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", b"{}"),
        (b"HTTP/9.9 200 OK\r\n\r\n{}", "dropped"),
        (b"{}", "dropped"),
        (b"", "dropped"),
    ],
)
def test_odd_answers_of_whole_things(answer, expected, capfd, caplog):
    with saying(answer) as (address, _), Session(replace(PATIENT, attempts=2)) as session:
        request = Request(url=f"http://{address}/a?sig=SECRET", most_bytes=100)
        try:
            found = session.client.fetch(request, Access(hosts=(address,))).body
        except ReadFailed as error:
            found = str(error)
    assert found == expected if isinstance(expected, bytes) else expected in str(found)
    assert "SECRET" not in caplog.text + str(found)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]  # none on the terminal
    assert capfd.readouterr() == ("", "")


def test_an_answer_that_nobody_asked_for_is_not_the_next_ones(server, folder):
    # The two come in one piece, so that the second lies in the buffer when the first has been read.
    forged = said(b"200 OK|" + LENGTH) + said(b"200 OK|Content-Length: 6", b"forged")
    with saying(forged) as (address, asked), Session(PATIENT) as session:
        request, access = Request(url=f"http://{address}/"), Access(hosts=(address,))
        assert [session.client.fetch(request, access).body for _ in range(3)] == [b"{}"] * 3
    assert len(set(asked)) == 3


def test_a_connection_that_was_kept_and_is_closed_by_the_server_is_no_fault(folder):
    with saying(said(b"200 OK|" + LENGTH)) as (address, asked), Session(PATIENT) as session:
        for _ in range(3):
            assert session.client.fetch(Request(url=f"http://{address}/"), Access(hosts=(address,))).body == b"{}"
            time.sleep(0.02)  # the server closes it meanwhile
        assert faults_of(session) == {}
    assert len(asked) == 3


@pytest.mark.long
def test_honest_answers_go_over_one_connection(folder):
    answer = said(b"200 OK|" + LENGTH)
    with saying(answer, answer, answer) as (address, asked), Session(PATIENT) as session:
        for _ in range(3):
            session.client.fetch(Request(url=f"http://{address}/"), Access(hosts=(address,)))
    assert len(asked) == 3
    assert len(set(asked)) == 1
