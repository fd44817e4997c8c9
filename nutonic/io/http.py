"""HTTP, for files and catalogues alike: what is allowed, tried again, and counted.

GDAL has an HTTP client of its own, which this one stands in for: that one follows redirects to anywhere, keeps failures
for the life of the process, takes a page of HTML for a file, and does not tell how often it tried.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import urllib3

from nutonic._version import __version__
from nutonic.errors import Gone, ReadFailed, Refused
from nutonic.io.access import Access, is_loopback
from nutonic.io.buckets.address import is_object
from nutonic.io.buckets.inputs import Objects, refusal, token_of
from nutonic.io.connections import Bounds, Endless, Message, PooledTransport, TooSlow, Transport, timeout_s
from nutonic.io.limits import IN_FLIGHT, Deadline, Limiter
from nutonic.io.signing import Signer
from nutonic.secrets import holds_secret

_log = logging.getLogger(__name__)

#: Statuses that may be different the next time.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

#: Of what a server says when it has nothing to give, this much is read, to keep the connection.
_MOST_EXCUSES = 64 * 2**10

#: And so many seconds are waited for it.
_EXCUSES_S = 5.0

#: Those that say that who asks may not read.
_DENIED = frozenset({"401", "403"})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: Faults of servers that take too long, and how many time-outs all attempts that end so may take together.
_LATE, _GIVE_UP = frozenset({"timed out", "too slow"}), 6

#: Headers that say who asks, in small letters.
_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "ocp-apim-subscription-key", "x-goog-api-key"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient a client is, and how much it asks at once. What may be read is each source's own :class:`Access`."""

    max_requests: int = IN_FLIGHT
    """Requests in flight, of all threads together."""
    attempts: int = 6
    """How often a request is made in all. Attempts that are given up since nothing, or too little, came in time may take
    six times `read_s` together; after that there is no other."""
    pause_s: float = 0.5
    """Seconds of pause after the first failure; they double each time. Each pause is this, times a random number of 0.5
    to 1.5, so that workers do not return together."""
    longest_pause_s: float = 60.0
    """The most seconds that a server's Retry-After is obeyed."""
    connect_s: float = 10.0
    """Seconds until a server must have taken a connection."""
    read_s: float | None = None
    """Seconds without a byte after which an answer is given up; None for what ``NUTONIC_HTTP_TIMEOUT`` says, else 30."""
    attempt_s: float | None = None
    """Seconds after which an attempt is given up, whatever still comes: connection, headers, redirects and body
    together, but for `slowest`; None for twice `read_s`."""
    slowest: int = 10_000
    """An attempt may take another second for so many bytes that came over the wire: what is slower is given up. What came
    fast is no credit for later."""
    redirects: int = 5
    """How many redirects of one request are followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask for."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    most_bytes: int = 64 * 2**20
    """A longer answer is refused."""
    timeout_factor: float = 1.0
    """How many times the usual time-out to wait for a byte, and how much longer in all: some answers are computed first."""
    attempts: int | None = None
    """How often it is made in all; as the policy says if None."""
    limiter: Limiter | None = None
    """A limit of its server, which each attempt waits for besides the client's own, and which hears of its faults."""
    any_status: bool = False
    """Whether an answer with a status that would be the same the next time is given back, instead of an error."""
    by_kind: bool = False
    """Whether a failure is counted by its kind, as those of a service are; those of files are counted together."""
    follow: bool = True
    """Whether redirects are followed; one that is not is an answer with its status."""
    out_of_range: bool = False
    """Whether an answer that says that there is no such range (416) is given back; else it is a fault."""
    wrong: Callable[[Answer], str | None] | None = None
    """What is wrong with an answer, in words, or None; a wrong answer is a fault like any other, and asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer with status 200 or 206, or with another one that was asked for."""

    status: int
    headers: Mapping[str, str]
    """By name, of any case."""
    body: bytes


class Counts:
    """Requests, bytes, and faults by kind, since they were last taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        """Add to a count."""
        with self._lock:
            self._counts[name] += count

    def take(self) -> dict[str, int]:
        """The counts, which start again from nothing: so each is told once."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(counts)


class _Fault(Exception):
    """One attempt failed and may be made again, after `pause_s` seconds if the server said so."""

    def __init__(self, kind: str, pause_s: float | None = None) -> None:
        super().__init__(kind)
        self.kind, self.pause_s = kind, pause_s


class Client:
    """Asks for things: with a policy, a limit and counts of its own, over one transport.

    Parameters
    ----------
    policy
        How patient it is, and how much it asks at once.
    transport
        What carries its messages, and stays open when the client is closed; connections of its own if None.
    """

    def __init__(self, policy: Policy | None = None, transport: Transport | None = None) -> None:
        self.policy = policy or Policy()
        self.limiter = Limiter(self.policy.max_requests)
        self.transport: Transport = transport or PooledTransport()
        self._owned, self._closed = transport is None, False
        self._signer, self._objects, self._counts = Signer(self._token), Objects(), Counts()

    def close(self) -> None:
        """Ask for nothing more; close connections, if they are its own, and forget signatures."""
        self._closed = True
        self.limiter.resize(max(1, self.limiter.limit))  # nobody is to wait for ever
        self._signer.clear()
        self._objects.clear()
        if self._owned:
            self.transport.close()

    def take_counts(self) -> dict[str, int]:
        """``requests``, ``bytes`` and ``fault: …`` since this was last called."""
        return self._counts.take()

    def count_local(self, read: int) -> None:
        """Count bytes that were read of local files, beside those that came over HTTP."""
        self._counts.add("local bytes", read)

    def count_fault(self, kind: str) -> None:
        """Count a fault that was met above HTTP."""
        self._counts.add(f"fault: {kind}")

    def fetch(self, request: Request, access: Access) -> Answer:
        """The answer to a request, tried again where that may help.

        Raises
        ------
        Refused
            If the address, or one it redirects to, may not be read, the server denies access or says that what was asked is
            wrong (4xx), or the answer is longer than allowed.
        Gone
            If there is no such thing: 404 or 410.
        ReadFailed
            If the last attempt failed too.
        """
        access.check(request.url)
        attempts, signed_again = request.attempts or self.policy.attempts, False
        patience_s = _GIVE_UP * self._read_s(request)
        for attempt in range(attempts):
            deadline = self._deadline(request)
            try:
                with request.limiter.acquire() if request.limiter else nullcontext():
                    return self._attempt(request, access, deadline)
            except _Fault as fault:
                last = fault
            patience_s -= deadline.spent_s if last.kind in _LATE else 0.0
            self.count_fault(last.kind)
            _log.debug("%s from %s, attempt %d of %d", last.kind, _host(request.url), attempt + 1, attempts)
            if request.limiter:
                request.limiter.fault(last.kind)
            if last.kind in _DENIED:
                if access.sign is None or signed_again:
                    break
                signed_again = True
                self._signer.forget(request.url)
            elif patience_s <= 0:
                break
            elif attempt + 1 < attempts:
                time.sleep(self._pause(attempt, last))
        if last.kind in _DENIED:
            raise Refused(f"{request.url}: {_denial(last.kind, access)}")
        raise ReadFailed(
            f"{request.url}: {last.kind}, {attempt + 1} times", reason=last.kind if request.by_kind else None
        )

    def _pause(self, attempt: int, fault: _Fault) -> float:
        """Seconds to wait after an attempt: as the server says; else at random, so that workers do not return together."""
        if fault.pause_s is not None:
            return min(fault.pause_s, self.policy.longest_pause_s)
        return self.policy.pause_s * 2.0**attempt * (0.5 + random.random())

    def _read_s(self, request: Request) -> float:
        """Seconds of silence that are too long for an answer."""
        return request.timeout_factor * (timeout_s() if self.policy.read_s is None else self.policy.read_s)

    def _deadline(self, request: Request) -> Deadline:
        """Until when an attempt must be over; what is waited for a computation comes on top."""
        usual_s = self._read_s(request) / request.timeout_factor
        longest_s = 2 * usual_s if self.policy.attempt_s is None else self.policy.attempt_s
        return Deadline(longest_s + (request.timeout_factor - 1) * usual_s, self.policy.slowest)

    def _attempt(self, request: Request, access: Access, deadline: Deadline) -> Answer:
        """One attempt, redirects followed as far as they are allowed."""
        url = request.url
        if is_object(url):
            return _checked(self._object(request, access, deadline), request, url)
        for _ in range(1 + self.policy.redirects):
            answer = self._send(request, url, access, deadline)
            if answer.status not in _REDIRECTS or not request.follow:
                return _checked(answer, request, url)
            before, url = url, urljoin(url, answer.headers.get("location", ""))
            access.check(url)
            request = _redirected(request, answer.status, before, url)
        raise Refused(f"{request.url} redirects more than {self.policy.redirects} times")

    def _object(self, request: Request, access: Access, deadline: Deadline) -> Answer:
        """What a store answers of an object; asked once more where it says that the bucket is in another region."""
        answer = self._send(request, request.url, access, deadline)
        if self._objects.is_elsewhere(request.url, answer.status, answer.headers):
            answer = self._send(request, request.url, access, deadline)
        if told := refusal(request.url, answer.status, answer.body):
            self.count_fault(str(answer.status))
            raise Refused(told)
        return answer

    def _message(self, request: Request, url: str, access: Access, deadline: Deadline) -> Message:
        """An attempt as it goes out, with what it shows of who asks."""
        headers = {"User-Agent": f"nutonic/{__version__}", "Accept-Encoding": "identity", **request.headers}
        variable = access.token_variable(url)
        if variable is not None:
            headers["Authorization"] = f"Bearer {token_of(variable)}"
        at = self._objects.located(url, access) if is_object(url) else None
        message = Message(
            method=request.method,
            url=self._signer.sign(url, access.sign) if at is None else at.url,
            headers=headers,
            body=request.body,
            timeout=urllib3.Timeout(connect=self.policy.connect_s, read=self._read_s(request)),
            bounds=Bounds(deadline=deadline, most_bytes=request.most_bytes),
            private=access.may_be_private(url) if at is None else at.is_named,
        )
        if at is None or not at.is_named:  # an endpoint is where this process' own environment has it
            _refuse_in_the_open(message)
        return message

    def _send(self, request: Request, url: str, access: Access, deadline: Deadline) -> Answer:
        message = self._message(request, url, access, deadline)
        try:
            with self.limiter.acquire(), deadline.running():
                if self._closed:
                    raise ReadFailed(f"{request.url}: not asked for, since its session was closed")
                self._counts.add("requests")
                response = self.transport.send(message)
                try:
                    body = _body(response, request, deadline)
                finally:
                    response.close()  # one that was read to its end has given its connection back already
        except urllib3.exceptions.HTTPError as error:
            refused = next((cause for cause in error.args if isinstance(cause, Refused)), None)
            raise refused or _Fault(_kind(error)) from None
        self._counts.add("bytes", len(body))
        return Answer(status=response.status, headers=response.headers, body=body)

    def _token(self, url: str, headers: Mapping[str, str]) -> Answer:
        """What a service of signatures answers, which may be in a private network: the environment names it."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        request = Request(url=url, headers=headers, most_bytes=_MOST_EXCUSES, any_status=True, by_kind=True)
        return self.fetch(request, Access(hosts=(f"{parts.hostname}:{port}",)))


def _redirected(request: Request, status: int, before: str, after: str) -> Request:
    """What is asked for where a redirect leads: who may read there is told by nobody's secrets but its own."""
    if urlsplit(before)[:2] != urlsplit(after)[:2]:
        kept = {name: value for name, value in request.headers.items() if name.lower() not in _SECRET_HEADERS}
        request = replace(request, headers=kept)
    if status == 303:  # "see other": what was posted has been taken
        request = replace(request, method="GET", body=None)
    return request


def _refuse_in_the_open(message: Message) -> None:
    """Refuse to send a secret over a line that anybody may read."""
    parts = urlsplit(message.url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return
    if holds_secret(message.url) or _SECRET_HEADERS & {name.lower() for name in message.headers}:
        raise Refused(
            f"{message.url} is plain http, and would show a signature or a token to all on the way: use https"
        )


def _host(url: str) -> str:
    """All that is logged of an address."""
    return urlsplit(url).hostname or ""


def _denial(kind: str, access: Access) -> str:
    hint = "" if access.sign else "; if its addresses need a signature, set sign; if a token, bearer"
    return f"the server denies access ({kind}){hint}"


def _body(response: urllib3.BaseHTTPResponse, request: Request, deadline: Deadline) -> bytes:
    if response.status not in (200, 206):
        return _excuse(response, deadline)
    if response.status == 200 and "Range" in request.headers:
        raise _Fault("range ignored")  # the whole of a large file, or a page that says sorry
    parts, budget = [], request.most_bytes + 1
    while budget > 0 and (part := response.read1(min(budget, 2**20))):
        parts.append(part)
        budget -= len(part)
        if deadline.left() <= 0:
            raise _Fault("too slow")
    if budget <= 0 and "Range" in request.headers:
        raise _Fault("too long")
    if budget <= 0:
        raise Refused(f"{request.url} answers with more than {request.most_bytes} bytes")
    return b"".join(parts)


def _excuse(response: urllib3.BaseHTTPResponse, deadline: Deadline) -> bytes:
    """What a server says that has nothing to give, as much of it as comes soon: its status says the rest."""
    parts, budget = [], _MOST_EXCUSES
    deadline.at_most(_EXCUSES_S)
    with suppress(urllib3.exceptions.HTTPError):
        while budget > 0 and (part := response.read1(budget)):
            parts.append(part)
            budget -= len(part)
    return b"".join(parts)


def _checked(answer: Answer, request: Request, url: str) -> Answer:
    if answer.status in _TRANSIENT:
        raise _Fault(str(answer.status), retry_after(answer.headers))
    ranged = "Range" in request.headers
    if answer.status == 416 and ranged and not request.out_of_range:
        raise _Fault("416")
    if answer.status == 206 and not ranged:
        raise _Fault("cut short")  # a part of something, and nobody asked for a part
    if request.any_status and answer.status not in (200, 206):
        return answer
    if answer.status in (404, 410):
        raise Gone(f"{url} is not there ({answer.status})")
    if str(answer.status) in _DENIED:
        raise _Fault(str(answer.status))
    if answer.status not in (200, 206, 416 if ranged else 200):
        kind = Refused if 400 <= answer.status < 500 else ReadFailed
        raise kind(f"{url} answers with status {answer.status}")
    wrong = request.wrong(answer) if request.wrong else None
    if wrong:
        raise _Fault(wrong)
    return answer


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until a server wants to be asked again, told as such or as a date by its own clock; None if it does not say.

    `headers` are found by lower-case names.
    """
    told = headers.get("retry-after") or ""
    with suppress(ValueError):
        seconds = float(told)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    until, now = _moment(told), _moment(headers.get("date") or "")
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def _moment(date: str) -> float | None:
    """Seconds since 1970 of a date in a header, which is of Greenwich in each of its three forms; None if it is none."""
    try:
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _kind(error: Exception) -> str:
    """A failed attempt in a word or two."""
    names = {  # the special before the general
        TooSlow: "too slow",
        Endless: "endless",
        urllib3.exceptions.NameResolutionError: "unknown host",
        urllib3.exceptions.NewConnectionError: "no connection",
        urllib3.exceptions.ConnectTimeoutError: "timed out",
        urllib3.exceptions.ReadTimeoutError: "timed out",
        urllib3.exceptions.IncompleteRead: "cut short",
        urllib3.exceptions.SSLError: "TLS failed",
    }
    cause = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error
    return next((name for kind, name in names.items() if isinstance(error, kind) or isinstance(cause, kind)), "dropped")
