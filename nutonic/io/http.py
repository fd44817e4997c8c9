"""HTTP, for files and catalogues alike: what is allowed, tried again, and counted.

GDAL has an HTTP client of its own, which this one stands in for: that one follows redirects to anywhere, keeps failures
for the life of the process, takes a page of HTML for a file, and does not tell how often it tried.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3

from nutonic._version import __version__
from nutonic.errors import Gone, ReadFailed, Refused
from nutonic.io import signing
from nutonic.io.access import Access
from nutonic.io.connections import pool, timeout_s
from nutonic.io.limits import limiter

_log = logging.getLogger(__name__)

#: How often a request is made in all, and the pause after the first failure in seconds; it doubles each time.
ATTEMPTS, PAUSE_S = 6, 0.5

#: The longest that a server's Retry-After is obeyed, in seconds.
_LONGEST_PAUSE_S = 60.0

#: Seconds until a server must have taken a connection.
_CONNECT_S = 10.0

#: Bytes a second below which an answer is given up.
_SLOWEST = 100_000

#: Statuses that may be different the next time.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

#: Of what a server says when it has nothing to give, this much is read, to keep the connection.
_MOST_EXCUSES = 64 * 2**10

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask for."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    most_bytes: int = 64 * 2**20
    """A longer answer is refused."""
    patience: float = 1.0
    """How many times the usual time-out to wait for the first byte: some answers are computed first."""
    attempts: int = ATTEMPTS
    """How often it is made in all."""
    turn: Callable[[], AbstractContextManager[None]] = nullcontext
    """What each attempt is made in, and waits for."""
    met: Callable[[str], None] | None = None
    """Told of each fault, in a word, after the attempt's turn."""
    any_status: bool = False
    """Whether an answer with a status that would be the same the next time is given back, instead of an error."""
    wrong: Callable[[Answer], str | None] | None = None
    """What is wrong with an answer, in words, or None; a wrong answer is a fault like any other, and asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer with status 200 or 206, or with another one that was asked for."""

    status: int
    headers: Mapping[str, str]
    """By name, of any case."""
    body: bytes


class _Counts:
    """Of this process since last taken: requests, bytes, faults by kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._counts[name] += count

    def take(self) -> dict[str, int]:
        """The counts, which start again from nothing: so each is told once."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(counts)


_counts = _Counts()


def take_counts() -> dict[str, int]:
    """``requests``, ``bytes`` and ``fault: …`` of this process since this was last called."""
    return _counts.take()


def fault(kind: str) -> None:
    """Count a fault that was met."""
    _counts.add(f"fault: {kind}")


class _Fault(Exception):
    """One attempt failed and may be made again, after `pause_s` seconds if the server said so."""

    def __init__(self, kind: str, pause_s: float | None = None) -> None:
        super().__init__(kind)
        self.kind, self.pause_s = kind, pause_s


def fetch(request: Request, access: Access) -> Answer:
    """The answer to a request, tried again where that may help.

    Raises
    ------
    Refused
        If the address, or one it redirects to, may not be read, or the answer is longer than allowed.
    Gone
        If there is no such thing: 404 or 410.
    ReadFailed
        If the last attempt failed too, or the server denies access.
    """
    access.check(request.url)
    signed_again = False
    for attempt in range(request.attempts):
        try:
            with request.turn():
                return _attempt(request, access)
        except _Fault as met:
            fault(met.kind)
            _log.debug("%s from %s, attempt %d of %d", met.kind, _host(request.url), attempt + 1, request.attempts)
            if request.met:
                request.met(met.kind)
            last = met
        if last.kind == "403":
            if access.sign is None or signed_again:
                break
            signed_again = True
            signing.forget(request.url, access.sign)
        elif attempt + 1 < request.attempts:
            time.sleep(_pause(attempt) if last.pause_s is None else min(last.pause_s, _LONGEST_PAUSE_S))
    raise ReadFailed(f"{request.url}: {_advice(last.kind, access, attempt + 1)}", reason=_reason(last.kind, request))


def _host(url: str) -> str:
    """All that is logged of an address."""
    return urlsplit(url).hostname or ""


def _pause(attempt: int) -> float:
    """Seconds to wait after an attempt, somewhat at random, so that many workers do not come back together."""
    return PAUSE_S * 2.0**attempt * (0.5 + random.random())


def _reason(kind: str, request: Request) -> str | None:
    """What to count a failure by; files and catalogues are counted together."""
    return kind if request.any_status else None


def _advice(kind: str, access: Access, attempts: int) -> str:
    if kind in ("401", "403"):
        hint = "" if access.sign else "; if its addresses need a signature, set sign"
        return f"the server denies access ({kind}){hint}"
    return f"{kind}, {attempts} times"


def _attempt(request: Request, access: Access) -> Answer:
    """One attempt, redirects followed as far as they are allowed."""
    url = request.url
    for _ in range(1 + _MOST_REDIRECTS):
        answer = _send(request, signing.sign(url, access.sign), access)
        if answer.status not in _REDIRECTS:
            return _checked(answer, request, url)
        url = urljoin(url, answer.headers.get("location", ""))
        access.check(url)
        if answer.status == 303:  # "see other": what was posted has been taken
            request = replace(request, method="GET", body=None)
    raise Refused(f"{request.url} redirects more than {_MOST_REDIRECTS} times")


def _send(request: Request, url: str, access: Access) -> Answer:
    headers = {"User-Agent": f"nutonic/{__version__}", "Accept-Encoding": "identity", **request.headers}
    timeout = urllib3.Timeout(connect=_CONNECT_S, read=request.patience * timeout_s())
    options: dict[str, Any] = {"headers": headers, "body": request.body, "timeout": timeout}
    try:
        with limiter:
            _counts.add("requests")
            response = pool(url, access).urlopen(
                request.method, url, redirect=False, retries=False, preload_content=False, **options
            )
            try:
                body = _body(response, request)
            finally:
                response.close()  # one that was read to its end has given its connection back already
    except urllib3.exceptions.HTTPError as error:
        refused = next((cause for cause in error.args if isinstance(cause, Refused)), None)
        raise refused or _Fault(_kind(error)) from None
    _counts.add("bytes", len(body))
    return Answer(status=response.status, headers=response.headers, body=body)


def _body(response: urllib3.BaseHTTPResponse, request: Request) -> bytes:
    if response.status not in (200, 206):
        return response.read(_MOST_EXCUSES)
    if response.status == 200 and "Range" in request.headers:
        raise _Fault("range ignored")  # the whole of a large file, or a page that says sorry
    parts, left = [], request.most_bytes + 1
    # Each byte may take as long as the time-out; all together may not take for ever.
    deadline = time.monotonic() + 5 * request.patience * timeout_s() + request.most_bytes / _SLOWEST
    while left > 0 and (part := response.read1(min(left, 2**20))):
        parts.append(part)
        left -= len(part)
        if time.monotonic() > deadline:
            raise _Fault("too slow")
    if left <= 0:
        raise Refused(f"{request.url} answers with more than {request.most_bytes} bytes")
    return b"".join(parts)


def _checked(answer: Answer, request: Request, url: str) -> Answer:
    if answer.status in _TRANSIENT:
        raise _Fault(str(answer.status), _retry_after(answer.headers))
    if request.any_status and answer.status not in (200, 206):
        return answer
    if answer.status in (404, 410):
        raise Gone(f"{url} is not there ({answer.status})")
    if answer.status in (401, 403):
        raise _Fault(str(answer.status))
    if answer.status not in (200, 206):
        raise ReadFailed(f"{url} answers with status {answer.status}")
    wrong = request.wrong(answer) if request.wrong else None
    if wrong:
        raise _Fault(wrong)
    return answer


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _kind(error: Exception) -> str:
    """A failed attempt in a word or two."""
    names = {  # the special before the general
        urllib3.exceptions.NameResolutionError: "unknown host",
        urllib3.exceptions.NewConnectionError: "no connection",
        urllib3.exceptions.ConnectTimeoutError: "timed out",
        urllib3.exceptions.ReadTimeoutError: "timed out",
        urllib3.exceptions.IncompleteRead: "cut short",
        urllib3.exceptions.SSLError: "TLS failed",
    }
    cause = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error
    return next((name for kind, name in names.items() if isinstance(error, kind) or isinstance(cause, kind)), "dropped")
