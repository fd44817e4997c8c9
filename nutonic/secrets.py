"""What a secret is, told in one place: what messages leave out, assets may not carry, trees and reports may not hold.

Three signs: what stands in a URL besides its address, what has the shape of a key, and what the environment holds under
a name that speaks of secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^\s/'\"]*@)?(?P<rest>[^\s?#'\"<>]*)[?#]?[^\s'\"<>]*")

#: The query of an address whose scheme and host stand elsewhere, as in "Max retries exceeded with url: /a.tif?sig=…".
_QUERY = re.compile(r"(?<=[^\s?])\?[^\s?=&'\"<>]+=[^\s'\"<>]*")

#: Keys that are known by their shape, of AWS and in PEM: of these all that may belong to the block, whole or cut short.
_KEY = r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY[A-Za-z0-9+/=\s\\-]*"

#: A user before the host, and parameters that sign a URL or name who asks; ``;`` is how HTML ends an ampersand.
_SIGNED = (
    r"://[^\s/'\"<>]*@"
    r"|[?&;](?:sig|signature|token|access_token|key|api_?key|subscription-key|x-amz-[a-z-]+|x-goog-[a-z-]+)="
)

_SHAPES = re.compile(_KEY, re.IGNORECASE | re.ASCII)
_ANY = re.compile(f"{_SIGNED}|{_KEY}".encode(), re.IGNORECASE)

#: Variables of the environment whose values are shown nowhere; shorter values than this are no secrets, but words.
_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|SIGNATURE|PROXY|_SAS", re.IGNORECASE)
_SHORTEST = 6


def redact(text: str) -> str:
    """Remove user names, passwords, queries and fragments from every URL in `text`, and keys that stand anywhere.

    >>> redact("cannot read https://me:pw@host/a.tif?sig=SECRET today")
    'cannot read https://host/a.tif today'
    """
    bare = _QUERY.sub("", _URL.sub(lambda found: found["scheme"] + found["rest"], text))
    return _SHAPES.sub("***", bare)


def holds_secret(content: str | bytes) -> bool:
    """Whether there is a signed URL, one with a user in it, or a key in `content`."""
    return bool(_ANY.search(content.encode("utf-8", "replace") if isinstance(content, str) else content))


def environment_secrets(environment: Mapping[str, str] | None = None) -> list[str]:
    """Values of the environment (by default this process's) that are secret by their names, the longest first."""
    variables = os.environ if environment is None else environment
    values = {value for name, value in variables.items() if _NAME.search(name) and len(value) >= _SHORTEST}
    return sorted(values, key=lambda value: (-len(value), value))
