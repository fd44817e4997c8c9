"""A stand-in for OpenAI-compatible servers of language models: real clients talk to it over HTTP on loopback."""

from __future__ import annotations

import hashlib
import json
import math
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from nutonic.testing.llm.protocol import Json, Wrong, problem_of
from nutonic.testing.llm.replies import SAYINGS, honest, shaped, text_of
from nutonic.testing.server_process import LoopbackServer

#: Kinds of faults: of the way that an answer comes, and (`SAYINGS`) of what it says.
ON_THE_WAY = ("slow", "drip", "429", "500", "503", "400", "401", "drop", "truncated", "cut", "malformed")
KINDS = (*ON_THE_WAY, *SAYINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFault:
    """Something that happens to some requests for a completion."""

    kind: str
    """One of `KINDS`. ``drip`` sends a byte every `after_s`; ``truncated`` is half of the JSON as if it were all,
    ``cut`` half of the bytes that were announced; ``malformed`` is JSON of another shape."""
    at: Collection[int] = ()
    """To the requests of these numbers, from 0, in the order of their arrival, ..."""
    share: float = 0.0
    """... and to this share of all, 0 to 1, by the server's seed, the request, and how often it came: in any order of
    arrival the same."""
    holding: str | None = None
    """... but only to requests that hold this text."""
    after_s: float = 1.0
    """Seconds of ``slow`` and ``drip``."""
    retry_after: str | None = "1"
    """What ``429`` and ``503`` tell; None for nothing."""
    as_date: bool = False
    """Whether they tell it as a date, so many seconds from now, rounded up."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}: there are {', '.join(KINDS)}")

    def headers(self) -> dict[str, str]:
        """When to come back, as it is told."""
        if self.retry_after is None:
            return {}
        if not self.as_date:
            return {"Retry-After": self.retry_after}
        return {"Retry-After": formatdate(math.ceil(time.time() + float(self.retry_after)), usegmt=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A request for a completion, and how it was answered."""

    number: int
    """From 0, in the order of arrival."""
    digest: str
    """SHA-256 (hex) of its body."""
    body: Json | None
    """None where it is no JSON object."""
    authorization: str | None
    arrived_s: float
    """Seconds of a monotonic clock."""
    answered_s: float
    """When the last byte was about to be sent."""
    in_flight: int
    """How many there were when it arrived, itself included."""
    status: int
    """Of its answer; 0 if there was none."""
    fault: str | None
    """Kind of the fault that happened, or None."""

    @property
    def prompt(self) -> str:
        """The text of all its messages."""
        return text_of((self.body or {}).get("messages", []))


class ModelServer:
    """Serves ``/v1/models``, ``/v1/chat/completions`` and, as :meth:`batch`, batches, while its ``with`` block runs.

    Answers are sentences of the facts that a prompt lists, and depend on nothing but the request and its ``seed``.

    Parameters
    ----------
    models
        Names that it knows; others are answered 404.
    key
        If given, requests need it as ``Authorization: Bearer``; others are answered 401.
    faults
        The script; the first fault that is due happens.
    seed
        Decides to which requests faults with a `share` happen.
    latency_s
        Seconds that each completion takes at least.
    list_status
        Status of the answer to who asks which models there are; many servers keep no such list.

    Attributes
    ----------
    requests : list of ModelRequest
        For completions, in the order of their answers.
    peak : int
        The most requests for completions at one time.
    """

    def __init__(
        self,
        models: Sequence[str] = ("planted",),
        *,
        key: str | None = None,
        faults: Iterable[ModelFault] = (),
        seed: int = 0,
        latency_s: float = 0.0,
        list_status: int = 200,
    ) -> None:
        self.models, self.key, self.seed, self.latency_s = tuple(models), key, seed, latency_s
        self.faults, self.list_status = tuple(faults), list_status
        self.requests: list[ModelRequest] = []
        self.peak = 0
        self._inside = self._number = 0
        self._came: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The base URL of its API."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def inside(self) -> int:
        """Requests for completions that are not answered yet, those of clients that are gone among them."""
        return self._inside

    def __enter__(self) -> Self:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, fault: str | None) -> int:
        """How many requests this fault happened to; None for those without one."""
        return sum(request.fault == fault for request in self.requests)

    def reset(self) -> None:
        """Forget all requests, and begin the script again."""
        with self._lock:
            self.requests.clear()
            self._came.clear()
            self.peak = self._number = 0

    def batch(self, requests: bytes) -> bytes:
        """The results file of a batch's requests file, in another order, as the batch API may give it."""
        lines = [json.loads(line) for line in requests.splitlines()]
        results = [self._batch_line(line) for line in reversed(lines)]
        return b"".join(json.dumps(result).encode() + b"\n" for result in results)

    def _batch_line(self, line: Json) -> Json:
        wrong = self.refusal(line["body"])
        body = json.loads(wrong.body()) if wrong else self.completion(line["body"], honest(line["body"]))
        response = {"status_code": wrong.status if wrong else 200, "request_id": "req", "body": body}
        return {
            "id": f"batch_req_{line['custom_id'][:8]}",
            "custom_id": line["custom_id"],
            "response": response,
            "error": None,
        }

    def refusal(self, request: Any) -> Wrong | None:
        """Why a request is refused, whoever asks."""
        wrong = problem_of(request)
        if wrong is None and request["model"] not in self.models:
            return Wrong(404, f"The model `{request['model']}` does not exist.", "model", "model_not_found")
        return wrong

    def completion(self, request: Json, text: str) -> Json:
        """The answer object that says a text."""
        told, most = shaped(text, request), request.get("max_tokens") or request.get("max_completion_tokens")
        words = told.split(" ")
        finish = "length" if most is not None and len(words) > most else "stop"
        told = " ".join(words[:most]) if finish == "length" else told
        prompt_tokens, tokens = len(text_of(request["messages"]).split()), len(told.split())
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        return {
            "id": f"chatcmpl-{digest[:24]}",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [
                {
                    "index": index,
                    "message": {"role": "assistant", "content": told, "refusal": None},
                    "logprobs": None,
                    "finish_reason": finish,
                }
                for index in range(request.get("n") or 1)
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": tokens,
                "total_tokens": prompt_tokens + tokens,
            },
        }

    # Of one request

    def arrived(self, body: bytes) -> tuple[int, int, str, ModelFault | None]:
        """Count a request in: its number, how many there are, its digest, and what happens to it."""
        digest = hashlib.sha256(body).hexdigest()
        with self._lock:
            number, self._number = self._number, self._number + 1
            self._inside += 1
            self.peak = max(self.peak, self._inside)
            came, self._came[digest] = self._came[digest], self._came[digest] + 1
            inside = self._inside
        fits = (fault for fault in self.faults if fault.holding is None or fault.holding.encode() in body)
        due = (fault for fault in fits if number in fault.at or self._drawn(fault, digest, came))
        return number, inside, digest, next(due, None)

    def _drawn(self, fault: ModelFault, digest: str, came: int) -> bool:
        drawn = hashlib.sha256(f"{self.seed} {fault.kind} {digest} {came}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") < fault.share * 2**64

    def left(self, entry: ModelRequest) -> None:
        """Count a request out, and log it."""
        with self._lock:
            self._inside -= 1
            self.requests.append(entry)


class _Server(LoopbackServer):
    daemon_threads = True

    def __init__(self, service: ModelServer) -> None:
        self.service = service
        super().__init__(_Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _entry: Callable[[int], ModelRequest] | None = None

    def do_GET(self) -> None:
        status = self.server.service.list_status if self.path == "/v1/models" else 404
        if status != 200:
            self._send(status, Wrong(status, f"Unknown request URL: GET {self.path}").body())
        elif (wrong := self._stranger()) is not None:
            self._send(wrong.status, wrong.body())
        else:
            known = [
                {"id": name, "object": "model", "created": 0, "owned_by": "nobody"}
                for name in self.server.service.models
            ]
            self._send(200, json.dumps({"object": "list", "data": known}).encode())

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # who asked is gone, and what came is no request
            self.close_connection = True
            return
        if self.path != "/v1/chat/completions":
            self._send(404, Wrong(404, f"Unknown request URL: POST {self.path}").body())
            return
        service, arrived = self.server.service, time.monotonic()
        number, inside, digest, fault = service.arrived(body)
        request: Any = None
        happened: str | None = None

        def entry(status: int) -> ModelRequest:
            return ModelRequest(
                number=number,
                digest=digest,
                body=request if isinstance(request, dict) else None,
                authorization=self.headers.get("Authorization"),
                arrived_s=arrived,
                answered_s=time.monotonic(),
                in_flight=inside,
                status=status,
                fault=happened,
            )

        self._entry = entry
        try:
            with suppress(ValueError):
                request = json.loads(body)
            time.sleep(service.latency_s)
            wrong = self._stranger() or service.refusal(request)
            happened = fault.kind if fault and wrong is None else None
            if wrong is None:
                self._answer(request, fault)
            else:
                self._send(wrong.status, wrong.body())
        except OSError:  # the client left
            self.close_connection = True
        finally:
            self._leave(0)

    def _leave(self, status: int) -> None:
        """Log the request, if it is not yet: before its last byte goes, since who has that may count, or ask again."""
        entry, self._entry = self._entry, None
        if entry is not None:
            self.server.service.left(entry(status))

    def _stranger(self) -> Wrong | None:
        key = self.server.service.key
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return None
        # As the real one does, with the key that was given: clients must not pass that on.
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return Wrong(401, f"Incorrect API key provided: {given}.", code="invalid_api_key")

    def _answer(self, request: Json, fault: ModelFault | None) -> None:
        """Answer as the fault has it."""
        kind = fault.kind if fault else ""
        text = SAYINGS[kind](request) if kind in SAYINGS else honest(request)
        whole = json.dumps(self.server.service.completion(request, text)).encode()
        if fault is None or kind in SAYINGS:
            self._send(200, whole)
        elif kind == "slow":
            time.sleep(fault.after_s)
            self._send(200, whole)
        elif kind == "drop":
            self._drop()
        elif kind in ("drip", "cut", "truncated", "malformed"):
            self._send_wrongly(fault, whole)
        else:
            self._refuse(fault)

    def _refuse(self, fault: ModelFault) -> None:
        kind = fault.kind
        words = {"429": "Rate limit reached", "401": "Incorrect API key provided", "400": "Bad request"}
        code = {"429": "rate_limit_exceeded", "401": "invalid_api_key"}.get(kind)
        headers = fault.headers() if kind in ("429", "503") else {}
        wrong = Wrong(int(kind), words.get(kind, "The server had an error"), code=code, type="server_error")
        self._send(wrong.status, wrong.body(), headers)

    def _send_wrongly(self, fault: ModelFault, whole: bytes) -> None:
        if fault.kind == "truncated":
            self._send(200, whole[: len(whole) // 2])
        elif fault.kind == "malformed":
            self._send(200, b'{"object": "chat.completion", "choices": []}')
        elif fault.kind == "cut":
            self._head(200, len(whole), {})
            self._leave(200)
            self.wfile.write(whole[: len(whole) // 2])
            self.close_connection = True
        else:
            self._head(200, len(whole), {})
            for left, byte in zip(reversed(range(len(whole))), whole, strict=True):
                if not left:
                    self._leave(200)
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(fault.after_s if left else 0)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        self._leave(status)
        self.wfile.write(body)

    def _drop(self) -> None:
        """End the connection by a reset, without an answer."""
        self.close_connection = True
        self._leave(0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing; the log is the service's."""
