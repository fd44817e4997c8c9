"""A stand-in for Earth Engine's REST API: the real client and xee talk to it over HTTP on loopback."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from nutonic.testing.earthengine.faults import NO_CREDENTIALS, EarthEngineFault, Faults, Problem, forbidden, of_status
from nutonic.testing.earthengine.images import EarthEngineImage, Json
from nutonic.testing.earthengine.service import COMPUTING, PUBLIC, Answer, ApiRequest, Service, token_answer
from nutonic.testing.server_process import LoopbackServer


@dataclass(frozen=True, slots=True, kw_only=True)
class EarthEngineRequest:
    """A request to the stand-in, and how it was answered."""

    method: str
    path: str
    """Without its query."""
    kind: str
    """``token``, ``discovery``, ``deprecated``, ``algorithms``, ``compute``, ``pixels``, ``asset-pixels``, ``list``,
    ``assets`` or ``other``."""
    status: int
    """Status of the answer; 0 if there was none."""
    bytes: int
    """Length of the answer's body as it was sent."""
    grid: Json | None
    """The requested pixel grid, as in the request."""
    bands: tuple[str, ...]
    """The bands that were sent."""
    fault: str | None
    """Kind of the fault that happened, or None."""


class EarthEngineServer:
    """Serves collections of images on a free port of 127.0.0.1 while its ``with`` block runs, from this process.

    It needs earthengine-api, whose wheel holds the description of the API and the list of its functions.

    Parameters
    ----------
    collections
        Id to images, in the collection's order.
    token
        If given, all requests but those for the description of the API need it as ``Authorization: Bearer``; others are
        answered 401.
    projects
        If given, requests of other projects are answered 403.
    max_concurrent
        How many requests that compute are answered at once; further ones are answered 429.
    latency_s
        Seconds that each request that computes takes at least.
    faults
        The faults; the first one that is due happens.

    Attributes
    ----------
    requests : list of EarthEngineRequest
        In the order of their answers.
    faults_served : Counter of str
        The number of requests that each kind of fault happened to.
    peak : int
        The highest number of requests that compute at one time, with those that were refused.
    peak_answered : int
        The same number without those that were refused.

    Examples
    --------
    >>> with EarthEngineServer({"ESA/WorldCover/v200": [image]}) as server:  # doctest: +SKIP
    ...     ee.Initialize(AnonymousCredentials(), url=server.url, project="any")
    ...     ee.ImageCollection("ESA/WorldCover/v200").size().getInfo()
    ...     server.count("compute")
    1
    1
    """

    def __init__(
        self,
        collections: Mapping[str, Sequence[EarthEngineImage]],
        *,
        token: str | None = None,
        projects: Iterable[str] | None = None,
        max_concurrent: int = 40,
        latency_s: float = 0.0,
        faults: Iterable[EarthEngineFault] = (),
    ) -> None:
        self.token, self.projects = token, None if projects is None else frozenset(projects)
        self.max_concurrent, self.latency_s = max_concurrent, latency_s
        self.service = Service(collections)
        self.requests: list[EarthEngineRequest] = []
        self.faults_served: Counter[str] = Counter()
        self.peak = self.peak_answered = 0
        self._faults = Faults(faults)
        self._present = self._answering = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def token_uri(self) -> str:
        """The address that exchanges a service account's key, or a refresh token, for the token. Every key is accepted."""
        return f"{self.url}/token"

    @property
    def deprecated_url(self) -> str:
        """The address of an empty catalogue of deprecated assets; without it the client fetches its own from elsewhere."""
        return f"{self.url}/earthengine-stac/catalog/catalog_deprecated.json"

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def count(self, kind: str, status: int | None = None) -> int:
        """How many requests of a kind there were; with `status`, how many were answered with that status."""
        with self._lock:
            return sum(request.kind == kind and status in (None, request.status) for request in self.requests)

    def clear(self) -> None:
        """Clear requests, peaks and counts of faults. The faults go on counting attempts."""
        with self._lock:
            self.requests.clear()
            self.faults_served.clear()
            self.peak = self.peak_answered = 0

    def script(self, faults: Iterable[EarthEngineFault]) -> None:
        """Replace the faults; attempts count from now on."""
        with self._lock:
            self._faults = Faults(faults)

    def replace(self, image: EarthEngineImage) -> None:
        """Serve another version of an image, in the place of the one that has its id."""
        with self._lock:
            self.service.catalogue.replace(image)

    def fault_of(self, request: ApiRequest, target: str) -> EarthEngineFault | None:
        """The fault of a request; None for no fault."""
        with self._lock:
            fault = self._faults.next(
                request.kind, b"%s %s\n%b" % (request.method.encode(), target.encode(), request.body)
            )
            if fault is not None:
                self.faults_served[fault.kind] += 1
        return fault

    def answer(self, request: ApiRequest, headers: Message, fault: EarthEngineFault | None) -> Answer:
        """The answer to a request; errors are answers too."""
        try:
            self._check(request, headers)
            if request.kind == "token" and (fault is None or fault.kind in ("401", "403")):
                return token_answer(self.token, refused=fault is not None)
            if fault is not None and fault.kind.isdigit():
                raise of_status(int(fault.kind))
            delay_s = fault.after_s if fault is not None and fault.kind == "slow" else 0.0
            return self._compute(request, delay_s) if request.kind in COMPUTING else self.service.answer(request)
        except Problem as problem:
            return Answer(problem.code, problem.body())
        except Exception as error:
            # A mistake of the stand-in must not look like a passing fault of Earth Engine's.
            sys.excepthook(type(error), error, error.__traceback__)
            return Answer(501, Problem(f"the stand-in for Earth Engine failed: {error!r}", 501).body())

    def _check(self, request: ApiRequest, headers: Message) -> None:
        """Raise :class:`Problem` if the caller may not make this request."""
        if request.kind in PUBLIC:
            return
        authorization = headers.get("Authorization")
        if self.token is not None and authorization != f"Bearer {self.token}":
            raise of_status(401) if authorization else Problem(NO_CREDENTIALS, 401)
        project = request.parts.get("project") or headers.get("X-Goog-User-Project")
        if self.projects is not None and project is not None and project not in self.projects:
            raise forbidden(project)

    def _compute(self, request: ApiRequest, delay_s: float) -> Answer:
        """Answer a request that computes, unless too many are being answered; it counts until its answer is ready."""
        with self._lock:
            self._present += 1
            self.peak = max(self.peak, self._present)
            if self._answering >= self.max_concurrent:
                self._present -= 1
                raise of_status(429)
            self._answering += 1
            self.peak_answered = max(self.peak_answered, self._answering)
        try:
            time.sleep(self.latency_s + delay_s)
            return self.service.answer(request)
        finally:
            with self._lock:
                self._present, self._answering = self._present - 1, self._answering - 1

    def note(self, request: ApiRequest, answer: Answer | None, fault: EarthEngineFault | None) -> None:
        """Log a request before its answer is sent, so that a client that has the answer finds it in the log."""
        grid = None
        with suppress(Problem):
            grid = request.json().get("grid")
        entry = EarthEngineRequest(
            method=request.method, path=request.path, kind=request.kind, status=answer.status if answer else 0,
            bytes=len(answer.body) if answer else 0, grid=grid, bands=answer.bands if answer else (),
            fault=fault.kind if fault else None,
        )  # fmt: skip
        with self._lock:
            self.requests.append(entry)


class _Server(LoopbackServer):
    """Connections, each with a thread that ends with the process."""

    daemon_threads = True
    block_on_close = False  # clients keep connections open

    def __init__(self, stand_in: EarthEngineServer) -> None:
        self.stand_in = stand_in
        super().__init__(_Handler)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise the body waits 40 ms until the client acknowledges the headers
    server: _Server

    def _serve(self) -> None:
        stand_in = self.server.stand_in
        request = ApiRequest.of(self.command, self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        fault = stand_in.fault_of(request, self.path)
        if fault is not None and fault.kind == "drop":
            stand_in.note(request, None, fault)
            self._leave()
            return
        answer = stand_in.answer(request, self.headers, fault)
        length = len(answer.body)
        if fault is not None and fault.kind in ("truncate", "short"):
            answer = replace(answer, body=answer.body[: length // 2])
            length = length if fault.kind == "truncate" else len(answer.body)
        stand_in.note(request, answer, fault)
        self._send(answer, length)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def _send(self, answer: Answer, length: int) -> None:
        """Send an answer whose headers give this length of the body."""
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(length))
        self.close_connection |= length != len(answer.body)
        try:
            self.end_headers()
            self.wfile.write(answer.body)
        except OSError:
            self.close_connection = True

    def _leave(self) -> None:
        """End the connection by a reset, at once."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())  # not by the server, which would shut the connection down properly

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing; the log is for the tests."""
