"""How many answers a build over HTTP waits for, one after another, before its first blocks are there: counted, not timed."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import nutonic as nt
from benchmarks.patterns import PATTERNS, recipe_of
from benchmarks.scenes import BANDS, World, write

#: A file, and whether its header is asked for or some of its blocks.
Asked = tuple[str, str]

#: What is to be asked for at once: each is answered when all of them are asked for.
TOGETHER: tuple[frozenset[Asked], ...] = (
    frozenset((band, "header") for band in BANDS),
    frozenset((name, "blocks") for name in (*BANDS, "land_cover")),
)

#: Seconds after which one is answered though others do not come: only somebody who asks for one after another waits for it.
_PATIENCE_S = 10


@dataclass
class Log:
    """Requests in the order in which they come and are answered."""

    lock: threading.Condition = field(default_factory=threading.Condition)
    begun: list[Asked] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    """Of each request: how many, itself included, came one after the answer to another."""
    alone: list[Asked] = field(default_factory=list)
    """Those that were answered since the others of their kind did not come."""

    def begin(self, asked: Asked) -> int:
        """Note a request; gives its number."""
        with self.lock:
            answered = (depth for depth, ended in zip(self.depths, self.ended, strict=True) if ended)
            self.depths.append(1 + max(answered, default=0))
            self.begun.append(asked)
            self.ended.append(False)
            self.lock.notify_all()
            return len(self.begun) - 1

    def meet(self, number: int) -> None:
        """Wait until all have come that are to be asked for together with a request."""
        asked = self.begun[number]
        others = next((each for each in TOGETHER if asked in each), frozenset())
        with self.lock:
            if asked not in self.alone and not self.lock.wait_for(lambda: others <= {*self.begun}, _PATIENCE_S):
                self.alone.append(asked)

    def end(self, number: int) -> None:
        """Note that one is answered from now on."""
        with self.lock:
            self.ended[number] = True

    def depth(self, asked: Asked) -> int:
        """Of the first request of its kind."""
        return self.depths[self.begun.index(asked)]


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, Log]]:
    """A server of a folder's files by ranges, as a bucket is; its address, and what it was asked for."""
    log = Log()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = folder / self.path.partition("?")[0].lstrip("/")
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
            assert span is not None, "all is read by ranges"
            first, last = int(span[1]), int(span[2])
            number = log.begin((path.stem, "blocks" if first else "header"))
            log.meet(number)
            content = path.read_bytes()
            part = content[first : last + 1]
            log.end(number)
            self.send_response(206)
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", log
        finally:
            server.shutdown()


@pytest.mark.long
def test_first_blocks_wait_for_two_answers_one_after_another_whatever_the_number_of_bands(tmp_path: Path, session):
    """The labels' header, with which a plan is made; those of all bands at once; then blocks of all bands at once."""
    world = World(side=700, across=1, block=256, labels_block=256)
    write(tmp_path / "files", world)
    with served(tmp_path / "files") as (url, log):
        recipe = recipe_of(PATTERNS["dense"], world, tmp_path / "files", tmp_path / "recipe", 1, url=url)
        assert nt.build(recipe, tmp_path / "tree", workers=0).tiles == 4
    assert log.alone == []
    assert log.depth(("land_cover", "header")) == 1
    assert log.depth(("land_cover", "blocks")) <= 3
    assert {band: log.depth((band, "header")) for band in BANDS} == dict.fromkeys(BANDS, 2)
    assert {band: log.depth((band, "blocks")) for band in BANDS} == dict.fromkeys(BANDS, 3)
    assert sum(part == "header" for _, part in log.begun) == 1 + len(BANDS)
