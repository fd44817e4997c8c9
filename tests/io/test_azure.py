"""What Azure does not do that other stores do, by a server of two verbs; all else is tested with Azurite."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nutonic.io.buckets.address import any_path_of
from nutonic.io.buckets.bucket import opened
from nutonic.io.objects import Store

CONTENT = bytes(range(100))


class _Blob(BaseHTTPRequestHandler):
    """One blob. As of Azure's, its last bytes are had only by who knows how many there are."""

    def do_HEAD(self) -> None:
        self._answer(200, CONTENT)

    def do_GET(self) -> None:
        span = self.headers.get("x-ms-range") or self.headers.get("Range") or ""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", span)
        self.server.spans.append(span)
        if found is None:
            self._answer(400, b"")
            return
        first, last = int(found[1]), min(int(found[2]), len(CONTENT) - 1)
        self._answer(206, CONTENT[first : last + 1], f"bytes {first}-{last}/{len(CONTENT)}")

    def _answer(self, status: int, body: bytes, span: str = "") -> None:
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(body)),
            "Last-Modified": "Mon, 30 Nov 2026 10:00:00 GMT",
            "ETag": '"1"',
            **({"Content-Range": span} if span else {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is told."""


@pytest.fixture
def server(monkeypatch) -> Iterator[ThreadingHTTPServer]:
    """It, at which this process finds Azure."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blob) as server:
        server.spans, server.daemon_threads = [], True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for name, value in {
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}/account",
            "AZURE_STORAGE_ACCOUNT_NAME": "account",
            "AZURE_SKIP_SIGNATURE": "true",
        }.items():
            monkeypatch.setenv(name, value)
        opened.cache_clear()
        yield server
        server.shutdown()
        thread.join()
    opened.cache_clear()


@pytest.mark.parametrize(("length", "span"), [(10, "bytes=90-99"), (100, "bytes=0-99"), (1000, "bytes=0-99")])
def test_the_last_bytes_are_those_of_a_size(server, length, span):
    assert Store(any_path_of("az://container")).tail("blob", length) == CONTENT[-length:]
    assert server.spans == [span]
