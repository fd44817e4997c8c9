"""How a request reaches its server: over connections that are kept open, or however a test would have it.

A time-out of a socket is one of silence: who sends a byte now and then is waited for for ever, and Python's HTTP has no
end of its own for what comes before and after a body. So each answer is read within bounds of bytes and time.
"""

from __future__ import annotations

import contextvars
import http.client
import io
import logging
import math
import os
import socket
import ssl
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from nutonic.errors import InputError, Refused
from nutonic.io.access import is_private
from nutonic.io.limits import Deadline
from nutonic.secrets import redact

#: The most bytes before a body (status, headers, and all 100 Continue that come first), and the most after it; the
#: framing of a body may take as many, besides as many as the body itself.
_MOST_AROUND = 256 * 2**10


#: The most seconds of silence that can be asked for, a day.
_LONGEST_S = 86_400


class _Redacted(logging.Filter):
    """Takes queries out of what urllib3 logs of a request, which may be whole addresses with their tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true: the record is changed, not left out."""
        record.msg, record.args = redact(record.getMessage()), ()
        return True


for _name in ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.poolmanager"):
    logging.getLogger(_name).addFilter(_Redacted())


class TooSlow(urllib3.exceptions.HTTPError):
    """The deadline of an attempt came before the end of its answer."""


class Endless(urllib3.exceptions.HTTPError):
    """More came around a body than belongs to any: headers, trailers, chunks of next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where what comes from a server ends, whatever it sends."""

    deadline: Deadline
    most_bytes: int
    """Of a body; as much again, and a little more, may come around it."""


#: The bounds of what this thread asks for: urllib3 makes connections and answers by itself, and cannot be told.
_bounds: contextvars.ContextVar[Bounds] = contextvars.ContextVar("bounds")


class _Wire(io.RawIOBase):
    """What comes over a connection, up to its bounds. A time-out of sockets is one of silence: it begins anew each byte."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, bounds: Bounds) -> None:
        self._sock, self._raw, self._bounds = sock, raw, bounds
        self._silence = sock.gettimeout() or float("inf")
        self._came, self._most, self._ended = 0, _MOST_AROUND, False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """The next bytes; nothing once it has ended."""
        if self._ended:
            return None
        left = self._bounds.deadline.left()
        if left <= 0:
            raise TooSlow("the answer is too slow")
        if left < self._silence:
            self._sock.settimeout(left)
        try:
            count = self._raw.readinto(buffer) or 0
        except TimeoutError:
            if self._bounds.deadline.left() <= 0:
                raise TooSlow("the answer is too slow") from None
            raise
        self._bounds.deadline.came(count)
        self._came += count
        if self._came > self._most:
            raise Endless("the answer does not end")
        return count

    def expect(self, body: int) -> None:
        """Let a body of so many bytes come at most."""
        self._most = self._came + 2 * body + _MOST_AROUND

    def end(self) -> bool:
        """Let nothing more come; whether TLS has unpacked more than was read."""
        self._ended = True
        return isinstance(self._sock, ssl.SSLSocket) and bool(self._sock.pending())

    def spoil(self) -> None:
        """Make the connection one that nobody uses again."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Leave the connection as it was."""
        if not self.closed:
            with suppress(OSError):
                self._sock.settimeout(None if self._silence == float("inf") else self._silence)
            self._raw.close()
        super().close()


class _Reader(io.BufferedReader):
    """Reads an answer. What came after its end could be taken for the answer to the next request."""

    def close(self) -> None:
        """Close, and give up a connection over which there is more."""
        wire = None if self.closed else self.raw
        if isinstance(wire, _Wire) and (wire.end() or self.peek(1)):
            wire.spoil()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer within bounds."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # Nothing has been read yet, so nothing is lost in the buffer that is replaced.
        self._wire = _Wire(sock, self.fp.detach(), _bounds.get())
        self.fp = _Reader(self._wire)

    def begin(self) -> None:
        """Read the head of the answer that is meant: what comes before it, such as 103 Early Hints, is none."""
        super().begin()
        while self.status in (102, 103):
            self.headers = None  # type: ignore[assignment]  # as before it began
            super().begin()
        self._wire.expect(_bounds.get().most_bytes)
        # urllib3 would warn of these on the terminal, with the whole address, and go on as it does without them.
        self.msg.defects.clear()
        self.msg.set_payload("")
        if self.chunked:
            del self.msg["Content-Length"]

    def _read_and_discard_trailer(self) -> None:
        """Read what comes after a body in chunks, up to its end."""
        self._wire.expect(0)
        super()._read_and_discard_trailer()  # type: ignore[misc]  # Python's own, and without a name in public


class _Bounded:
    """A connection that is made and read within bounds."""

    response_class: Any = _Response
    public_only = False

    def _new_conn(self) -> socket.socket:
        """A connection to the first of the host's addresses that answers."""
        connection: Any = self
        try:
            family, kind = urllib3.util.connection.allowed_gai_family(), socket.SOCK_STREAM
            found = socket.getaddrinfo(connection._dns_host.strip("[]"), connection.port, family, kind)
        except socket.gaierror as error:
            raise urllib3.exceptions.NameResolutionError(connection.host, connection, error) from None
        last: OSError | None = None
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            self._refuse_private(str(address[0]))
            try:
                return _connected(connection, family, address)
            except OSError as error:
                last = error
        if isinstance(last, TimeoutError):
            raise urllib3.exceptions.ConnectTimeoutError(connection, f"{connection.host} does not answer")
        raise urllib3.exceptions.NewConnectionError(connection, f"no connection to {connection.host}: {last}")

    def _refuse_private(self, address: str) -> None:
        """Refuse an address that a name leads to: it can be made to lead elsewhere after it was looked at."""
        if self.public_only and is_private(address):
            host, port = getattr(self, "host", "the host"), getattr(self, "port", "")
            raise Refused(
                f"{host} is at the private address {address}: list {host}:{port} in allow_hosts if it is meant"
            )


def _connected(connection: Any, family: int, address: Any) -> socket.socket:
    """A socket to an address, which is used as it is: nothing is looked up again."""
    left = _bounds.get().deadline.left()
    if left <= 0:
        raise TimeoutError
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in connection.socket_options or ():
            sock.setsockopt(*option)
        sock.settimeout(min(connection.timeout or left, left))
        if connection.source_address:
            sock.bind(connection.source_address)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


class _HTTP(_Bounded, HTTPConnection):
    pass


class _HTTPS(_Bounded, HTTPSConnection):
    pass


class _PublicHTTP(_HTTP):
    public_only = True


class _PublicHTTPS(_HTTPS):
    public_only = True


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPS


class _PublicHTTPPool(HTTPConnectionPool):
    ConnectionCls = _PublicHTTP


class _PublicHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One attempt at one address, as it goes out."""

    method: str
    url: str
    """With its signature, if it needs one."""
    headers: Mapping[str, str]
    body: bytes | None
    timeout: urllib3.Timeout
    bounds: Bounds
    private: bool
    """Whether the address may lie in a private network."""


class Transport(Protocol):
    """What carries a message to its server. It judges nothing: no redirect is followed, nothing tried again.

    A client's policy is all above it, so that one that answers out of memory puts the whole of that to the test.
    """

    def send(self, message: Message) -> urllib3.BaseHTTPResponse:
        """The response, its body still to be read; raises urllib3's errors, or :class:`Refused`."""

    def close(self) -> None:
        """Close what lies idle."""


class PooledTransport:
    """Connections that are kept open and used again by all threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._managers: dict[tuple[int, bool, str | None], urllib3.PoolManager] = {}

    def send(self, message: Message) -> urllib3.BaseHTTPResponse:
        """The response of the server, or of a proxy where the environment names one; read it in the same context."""
        _bounds.set(message.bounds)
        options: dict[str, Any] = {"headers": message.headers, "body": message.body, "timeout": message.timeout}
        return self._manager(message).urlopen(
            message.method, message.url, redirect=False, retries=False, preload_content=False, **options
        )

    def close(self) -> None:
        """Close all connections that nobody uses; the others once they come back."""
        with self._lock:
            managers = list(self._managers.values())
            self._managers.clear()
        for manager in managers:
            manager.clear()

    def _manager(self, message: Message) -> urllib3.PoolManager:
        """Connections to a message's host; to a private one only where it may be."""
        parts = urlsplit(message.url)
        proxy = urllib.request.getproxies().get(parts.scheme)
        if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
            proxy = None
        key = (os.getpid(), message.private or proxy is not None, proxy)  # forks have their own
        with self._lock:
            manager = self._managers.get(key)
            if manager is None:
                manager = self._managers[key] = _new_manager(private=key[1], proxy=proxy)
        return manager


def _new_manager(*, private: bool, proxy: str | None) -> urllib3.PoolManager:
    options: dict[str, Any] = {"maxsize": 16, "num_pools": 64}
    manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    pools = (_HTTPPool, _HTTPSPool) if private else (_PublicHTTPPool, _PublicHTTPSPool)
    manager.pool_classes_by_scheme = dict(zip(("http", "https"), pools, strict=True))
    return manager


def timeout_s() -> float:
    """Seconds without a byte after which an answer is given up; ``NUTONIC_HTTP_TIMEOUT`` sets it.

    Raises
    ------
    InputError
        If that is no number of seconds, or one that nobody waits for: every wait has an end.
    """
    written = os.environ.get("NUTONIC_HTTP_TIMEOUT") or "30"
    try:
        seconds = float(written)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_S:
        raise InputError(
            f"NUTONIC_HTTP_TIMEOUT is {written!r:.60}: write seconds, more than 0 and at most {_LONGEST_S}"
        )
    return max(0.1, seconds)
