"""Where Earth Engine is asked: Google's own addresses, or one on this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from nutonic.errors import InputError

#: The endpoint for many automatic requests (developers.google.com/earth-engine/guides/processing_environments).
HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"

#: Where credentials may be sent.
_GOOGLE = ".googleapis.com"


def address_of(url: str | None) -> str:
    """The address to ask, without a slash at its end.

    Raises
    ------
    InputError
        If it is neither Google's nor on this machine: credentials would be sent there.
    """
    if url is None:
        return HIGH_VOLUME
    parts = urlsplit(url)
    google = parts.scheme == "https" and (parts.hostname or "").endswith(_GOOGLE) and parts.port in (None, 443)
    if not (google or is_loopback(url)) or parts.username is not None or parts.query or parts.path.strip("/"):
        raise InputError(
            f"labels.url {url} is no address of Earth Engine: it gets your credentials, so it must be "
            f"https://….googleapis.com (by default {HIGH_VOLUME}), or http:// and an address of this machine"
        )
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine by its words alone: no name server is asked."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
