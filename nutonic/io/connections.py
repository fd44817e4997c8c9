"""Connections, kept open and used again by all threads of a process."""

from __future__ import annotations

import os
import socket
import urllib.request
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from nutonic.errors import InputError, Refused
from nutonic.io.access import Access, is_private


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


def pool(url: str, access: Access) -> urllib3.PoolManager:
    """Connections to a URL's host; to a private one only where it is listed."""
    proxy = urllib.request.getproxies().get(urlsplit(url).scheme)
    if proxy and not urllib.request.proxy_bypass(urlsplit(url).hostname or ""):
        return _manager(os.getpid(), True, proxy)
    return _manager(os.getpid(), access.may_be_private(url), None)


@cache
def _manager(process: int, private: bool, proxy: str | None) -> urllib3.PoolManager:  # noqa: ARG001  forks have their own
    options: dict[str, Any] = {"maxsize": 16, "num_pools": 64}
    if proxy:
        return urllib3.ProxyManager(proxy, **options)
    manager = urllib3.PoolManager(**options)
    if not private:
        manager.pool_classes_by_scheme = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}
    return manager


def timeout_s() -> float:
    """Seconds without a byte after which an answer is given up; ``NUTONIC_HTTP_TIMEOUT`` sets it."""
    said = os.environ.get("NUTONIC_HTTP_TIMEOUT", "30")
    try:
        return max(0.1, float(said))
    except ValueError:
        raise InputError(f"NUTONIC_HTTP_TIMEOUT is {said!r}, not a number of seconds") from None
