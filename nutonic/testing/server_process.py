"""The process behind a FileServer: it answers requests, applies faults, and logs every request.

It needs only the standard library, so that it starts at once.
"""

from __future__ import annotations

import json
import mimetypes
import os
import pickle
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

from nutonic.testing.answers import Answer, Tokens, denial, span_of, text_answer
from nutonic.testing.distort import distort
from nutonic.testing.faults import TRANSIENT, Choice, Fault
from nutonic.testing.lies import Raw


class LoopbackServer(ThreadingHTTPServer):
    """Serves on a free port of 127.0.0.1, and tolerates clients that disconnect."""

    request_queue_size = 128  # with the default of 5, a client with many threads loses connections

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, but not clients that disconnect."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


#: The path for the parent's orders. They are not logged, and no fault happens to them.
CONTROL = "/_control/"

#: The path that issues tokens, as at the Planetary Computer; ACCOUNT/CONTAINER follows.
TOKENS = "/api/sas/v1/token/"

_PART_BYTES = 1 << 16


@dataclass(frozen=True, eq=False)
class Settings:
    """What a file server serves, and how."""

    folder: str | Path
    """Its files are served below ``/``."""
    _: KW_ONLY
    latency_s: float = 0.0
    """Seconds that each request waits for its answer."""
    faults: Sequence[Fault] = ()
    """The script; the first fault that is due happens."""
    share: float = 0.0
    """The share of all other requests that fail, 0 to 1. The same request never fails three times in a row."""
    seed: int = 0
    """Decides which requests these are."""
    kinds: Sequence[str] = TRANSIENT
    """The kinds that happen to them, such as ``nutonic.testing.LIES``."""
    validators: Sequence[str] = ("ETag",)
    """Which of ETag and Last-Modified are told of a file."""
    ranges: bool = True
    """Whether a Range is answered with its bytes; otherwise the whole file is sent."""
    signed: bool = False
    """Whether files at ACCOUNT/CONTAINER/… need a token, and tokens are issued."""
    token_lifetime_s: float = 3600.0
    """Seconds for which a token is valid."""
    answers: Mapping[str, tuple[int, Mapping[str, str], bytes]] = field(default_factory=dict, repr=False)
    """Exact path to the status, headers and body of its answer, whatever file lies there."""


class Server(LoopbackServer):
    """Serves a folder on a free port of 127.0.0.1, and logs its requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.folder = settings, Path(settings.folder)
        self.lock = threading.Lock()
        self.choice = Choice(settings.faults, settings.share, settings.seed, settings.kinds)
        self.tokens = Tokens(settings.seed, settings.token_lifetime_s)
        self.log: list[dict[str, Any]] = []
        self._etags: dict[tuple[Path, int, int], str] = {}
        super().__init__(Handler)

    def control(self, order: str, body: bytes) -> Answer:
        """Follow an order of the parent; the answer is the log."""
        with self.lock:
            log = json.dumps(self.log).encode()
            if order == "reset":
                self.log.clear()
                self.choice.begin(self.choice.script)
            elif order == "script":
                self.choice.begin(Fault(**fault) for fault in json.loads(body))
            elif order == "revoke":
                self.tokens.revoke()
        return Answer(200, log, {"Content-Type": "application/json"})

    def answer(self, method: str, path: str, query: str, range_header: str) -> Answer:
        """The answer to a request without a fault."""
        if path in self.settings.answers:
            status, headers, body = self.settings.answers[path]
            return Answer(status, body, headers)
        if method not in ("GET", "HEAD", "POST"):
            return text_answer(405, {"Allow": "GET, HEAD, POST"})
        parts = [part for part in path.split("/") if part]
        if ".." in parts:
            return text_answer(404)
        if self.settings.signed and path.startswith(TOKENS) and len(parts) == 6:
            with self.lock:
                return self.tokens.give("/".join(parts[4:]))
        with self.lock:
            # Files outside of containers, such as a catalogue, are public.
            if self.settings.signed and len(parts) > 2 and not self.tokens.allow("/" + "/".join(parts), query):
                return denial()
        try:
            return self._file(self.folder.joinpath(*parts), method, range_header)
        except (OSError, ValueError):  # no such file, or no such name
            return text_answer(404)

    def _file(self, path: Path, method: str, range_header: str) -> Answer:
        """All of a file, or its range."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            headers = {
                "Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
                "Accept-Ranges": "bytes" if self.settings.ranges else "none",
                **self._validators(path),
            }
            if method == "HEAD":
                return Answer(200, b"", {**headers, "Content-Length": str(size)})
            span = span_of(range_header, size) if self.settings.ranges and method == "GET" else None
            if span is None:
                return Answer(200, file.read(), headers)
            if span[1] < span[0]:
                return text_answer(416, {"Content-Range": f"bytes */{size}"})
            file.seek(span[0])
            content_range = {"Content-Range": f"bytes {span[0]}-{span[1]}/{size}"}
            return Answer(206, file.read(span[1] - span[0] + 1), {**headers, **content_range}, span)

    def _validators(self, path: Path) -> dict[str, str]:
        """The headers by which a file's version is known."""
        told = {"ETag": self._etag(path), "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True)}
        return {name: told[name] for name in self.settings.validators}

    def _etag(self, path: Path) -> str:
        """The ETag of a file's content, which is read once."""
        stat = path.stat()
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._etags:
            self._etags[key] = f'"{sha256(path.read_bytes()).hexdigest()[:32]}"'
        return self._etags[key]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise the body waits 40 ms until the client acknowledges the headers
    server: Server

    def _serve(self) -> None:
        received = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name, _, query = self.path.partition("?")
        path, range_header = unquote(name), self.headers.get("Range", "")
        if path.startswith(CONTROL):
            self._send(self.server.control(path.removeprefix(CONTROL), received), {})
            return
        with self.server.lock:
            fault = self.server.choice.next(path, range_header)
        time.sleep(self.server.settings.latency_s)
        answer = self.server.answer(self.command, path, query, range_header)
        kind, sent_answer = distort(answer, fault) if fault else (None, answer)
        keys = [key for key, _ in parse_qsl(query, keep_blank_values=True)]
        request = {"method": self.command, "path": path, "query_keys": keys, "span": answer.span}
        entry = self._note(sent_answer, request | {"fault": kind})
        if isinstance(sent_answer, Raw):
            self._send_raw(sent_answer, entry)
        elif sent_answer:
            self._send(sent_answer, entry)
        else:
            self._leave(fault.after_s if fault and kind == "stall" else None)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve

    def _note(self, answer: Answer | Raw | None, entry: dict[str, Any]) -> dict[str, Any]:
        """Log a request before its answer is sent, so that a client that has the answer finds it in the log."""
        entry |= {"status": answer.status if answer else 0, "sent": len(self._body(answer)) if answer else 0}
        with self.server.lock:
            self.server.log.append(entry)
        return entry

    def _body(self, answer: Answer | Raw) -> bytes:
        return b"" if self.command == "HEAD" else answer.body

    def _send(self, answer: Answer, entry: dict[str, Any]) -> None:
        """Send an answer; if the client disconnects, log how much of the body was sent."""
        self.send_response(answer.status)
        if {"content-length", "transfer-encoding"}.isdisjoint(name.lower() for name in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.close_connection |= answer.close
        body, sent = memoryview(self._body(answer)), 0
        try:
            self.end_headers()
            while sent < len(body):
                self.wfile.write(body[sent : sent + _PART_BYTES])
                sent = min(sent + _PART_BYTES, len(body))
        except OSError:
            entry["sent"], self.close_connection = sent, True

    def _send_raw(self, answer: Raw, entry: dict[str, Any]) -> None:
        """Send an answer as it is, for as long as the client listens."""
        self.close_connection |= answer.close
        try:
            for piece in answer.pieces():
                self.wfile.write(piece)
                if answer.pause_s:
                    self.wfile.flush()
                    time.sleep(answer.pause_s)
        except OSError:
            entry["sent"], self.close_connection = 0, True

    def _leave(self, after_s: float | None) -> None:
        """End the connection without an answer: after some seconds, or at once by a reset."""
        self.close_connection = True
        if after_s is not None:
            time.sleep(after_s)
            return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())  # not by the server, which would shut the connection down properly

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing; the log is for the parent."""


def main() -> None:
    """Read the settings from stdin, write the port to stdout, and serve until stdin ends."""
    server = Server(pickle.load(sys.stdin.buffer))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.buffer.read()
