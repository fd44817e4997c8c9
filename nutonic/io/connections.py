"""How a request reaches its server: over connections that are kept open, or however a test would have it."""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from nutonic.errors import InputError, Refused
from nutonic.io.access import is_private


class _PublicOnly:
    """A connection that is closed before anything is sent if its peer turns out to be in a private network.

    Checked on the peer itself: a name can be made to point elsewhere between a look-up and a connection.
    """

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        peer = sock.getpeername()[0]
        if is_private(peer):
            sock.close()
            host = getattr(self, "host", "the host")
            raise Refused(
                f"{host} is at the private address {peer}: list {host}:{getattr(self, 'port', '')} in allow_hosts "
                "if it is meant"
            )
        return sock


class _PublicHTTP(_PublicOnly, HTTPConnection):
    pass


class _PublicHTTPS(_PublicOnly, HTTPSConnection):
    pass


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
        """The response of the server, or of a proxy where the environment names one."""
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
    if proxy:
        return urllib3.ProxyManager(proxy, **options)
    manager = urllib3.PoolManager(**options)
    if not private:
        manager.pool_classes_by_scheme = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}
    return manager


def timeout_s() -> float:
    """Seconds without a byte after which an answer is given up; ``NUTONIC_HTTP_TIMEOUT`` sets it."""
    written = os.environ.get("NUTONIC_HTTP_TIMEOUT", "30")
    try:
        return max(0.1, float(written))
    except ValueError:
        raise InputError(f"NUTONIC_HTTP_TIMEOUT is {written!r}, not a number of seconds") from None
