"""Which addresses may be read: schemes, hosts, and no private network unless it is listed."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from nutonic.errors import Refused
from nutonic.io.buckets.address import is_object

_PORTS = {"http": 80, "https": 443}

_NOT_IN_URLS = re.compile(r"[\x00-\x20\\]")

#: What is no object's address, with its scheme; and what is in no key: a query would be one in messages.
_BUCKET = re.compile(r"[a-z0-9]+://[A-Za-z0-9][A-Za-z0-9._-]{0,221}")
_NOT_IN_KEYS = re.compile(r"[\x00-\x1f\x7f\\?#]")

#: What the Internet routes; the rest of IPv6 is somebody's own, or nobody's.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")

#: IPv6 that ends in an IPv4 address: compatible, mapped, NAT64.
_ENDING_IN_IPV4 = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks: of credentials not more than where each process finds its own."""

    unsigned: bool = False
    """Whether objects are asked for without credentials, as those of public buckets are."""
    requester_pays: bool = False
    """Whether who reads an object pays for it, which its store then wants said; S3 alone."""
    bearer: tuple[tuple[str, str], ...] = ()
    """Hosts, as in :class:`Access`, that are shown a token, and the environment variable that holds it."""


#: Who says nothing of it: objects are asked for with the credentials of each process.
ANYBODY = Identity()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a source may read, and how its addresses are signed. Holds no secret; travels with tasks."""

    hosts: tuple[str, ...] = ()
    """``example.org`` (at its scheme's own port), ``*.example.org`` (any name below it) or ``example.org:8443``. Only
    where the port is given may the address be a private one. Of object stores the bucket, ``s3://bucket``."""
    sign: str | None = None
    """``"planetary-computer"``, or None for none."""
    keep_query: tuple[str, ...] = ()
    """Keys of queries in hrefs that may be kept with a plan; an href with any other is not read."""
    identity: Identity = ANYBODY
    """What servers are shown of who asks."""

    def check(self, url: str) -> None:
        """Raise :class:`Refused` unless the URL's scheme and host may be read; asks no name server."""
        if is_object(url):
            self._check_object(url)
            return
        parts = _split(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Refused(
                f"{url[:200]} is not an http or https address, nor one in an object store: nothing else is read"
            )
        if parts.username is not None or parts.password is not None:
            raise Refused(f"{url[:200]} holds a user name or a password: give addresses without them")
        if not _lists(self.hosts, parts):
            raise Refused(f"{url[:200]} is at {_place(parts)}, which is not an allowed host: {_advice(parts)}")
        if _is_private_literal(parts.hostname or "") and not self.may_be_private(url):
            raise Refused(f"{url[:200]} is a private address: list {_with_port(parts)} in allow_hosts if it is meant")

    def _check_object(self, url: str) -> None:
        bucket, key = _bucket(url), url.partition("://")[2].partition("/")[2]
        odd = _NOT_IN_KEYS.search(key) or {"", ".", ".."} & set(key.split("/"))
        if odd or not _BUCKET.fullmatch(bucket):
            raise Refused(f"{url[:200]!r} is no address of an object: write s3://BUCKET/PATH, without a query")
        if bucket not in self.hosts:
            raise Refused(
                f"{url[:200]} is in a bucket that is not allowed: list {bucket} in allow_hosts if you trust it"
            )

    def token_variable(self, url: str) -> str | None:
        """The environment variable that holds the token for a URL's host; None for none."""
        if not self.identity.bearer or is_object(url):
            return None
        parts = _split(url)
        return next((name for host, name in self.identity.bearer if _lists((host,), parts)), None)

    def may_be_private(self, url: str) -> bool:
        """Whether the URL's host is listed with its port, and so may lie in a private network."""
        return _with_port(_split(url)) in self.hosts


def _lists(hosts: tuple[str, ...], parts: SplitResult) -> bool:
    host, at_home = parts.hostname or "", parts.port in (None, _PORTS.get(parts.scheme))
    if _with_port(parts) in hosts:
        return True
    below = any(entry.startswith("*.") and host.endswith(entry[1:]) for entry in hosts)
    return at_home and (host in hosts or below)


#: Local files only.
LOCAL = Access()


class _Identified(Protocol):
    """A part of a recipe or a source, with these three keys."""

    @property
    def unsigned(self) -> bool: ...
    @property
    def requester_pays(self) -> bool: ...
    @property
    def bearer(self) -> Mapping[str, str]: ...


def identity_of(part: _Identified) -> Identity:
    """Who asks, by what a recipe or a source says of it."""
    bearer = tuple(part.bearer.items())
    return Identity(unsigned=part.unsigned, requester_pays=part.requester_pays, bearer=bearer)


def access_for(
    url: str,
    allow: Iterable[str],
    known: Iterable[str],
    sign: str | None,
    keep_query: Iterable[str] = (),
    identity: Identity = ANYBODY,
) -> Access:
    """What may be read beside a catalogue: its own host, known hosts of its files, and those that a recipe lists."""
    own = [_bucket(url)] if is_object(url) else []
    if "://" in url and not own:
        parts = _split(url)
        host = parts.hostname or ""
        at_home = parts.scheme in _PORTS and parts.port in (None, _PORTS[parts.scheme])
        meant = host == "localhost" or _is_private_literal(host)  # written by the user, as an address
        own = [host if at_home and not meant else _with_port(parts)]
    trusted = [*allow, *(host for host, _ in identity.bearer)]  # a host that is shown a token
    listed = (entry if is_object(entry) else entry.lower() for entry in trusted)
    hosts = tuple(dict.fromkeys([*own, *known, *listed]))
    return Access(hosts=hosts, sign=sign, keep_query=tuple(keep_query), identity=identity)


def _bucket(url: str) -> str:
    """The bucket of an object's address, with its scheme."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.lower()}://{rest.partition('/')[0]}"


def is_private(address: str) -> bool:
    """Whether an IP address is anything but a public one: loopback, private, link-local, shared, multicast, reserved.

    An IPv6 address that leads to an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is what that one is.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return not parsed.is_global or parsed.is_multicast
    if inner := _embedded(parsed):
        return any(not each.is_global or each.is_multicast for each in inner)
    return parsed not in _GLOBAL_UNICAST or not parsed.is_global


def _embedded(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses that packets to an IPv6 address end up at; none for most."""
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    if any(address in network for network in _ENDING_IN_IPV4):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine, so that nothing that is sent to it is on any line."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_private_literal(host: str) -> bool:
    host = host.rstrip(".")
    try:
        return is_private(host)
    except ValueError:
        pass
    try:
        return is_private(
            socket.inet_ntoa(socket.inet_aton(host))
        )  # as resolvers read 127.1, 0x7f000001 and 2130706433
    except OSError:
        return is_loopback(host)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Refused(f"{url[:200]} is no address") from None
    if _NOT_IN_URLS.search(url):
        raise Refused(f"{url[:200]!r} is no address: it holds blanks, control characters or backslashes")
    return parts


def _with_port(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def _place(parts: SplitResult) -> str:
    return _with_port(parts) if parts.port else (parts.hostname or "no host")


def _advice(parts: SplitResult) -> str:
    return f"list {_place(parts)} in allow_hosts if you trust it"
