"""What a secret is, told in one place: what messages leave out, assets may not carry, trees and reports may not hold.

Addresses are judged by an allow list: beside scheme, host and path nothing of one is shown, written or read, whatever it
is called, unless the recipe names its key as harmless. Text of other kinds is searched for signs: what stands in a URL
under a name that speaks of secrets, or looks like a key; what has the shape of a key; and what the environment holds under
a name that speaks of secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^\s/'\"]*@)?(?P<rest>[^\s?#'\"<>]*)[?#]?[^\s'\"<>]*")

#: Where, in a path, what is no path begins: parameters as in ``;jsessionid=…``; a query, fragment or user of an address
#: that stands encoded in it.
_NO_PATH = re.compile(
    r";[^\s/;=]*=|%(?:25)*(?:3f|23)[^\s/]*?(?:=|%(?:25)*3d)|%(?:25)*2f[^\s/%]+%(?:25)*3a[^\s/]*%(?:25)*40", re.I
)

#: The query of an address whose scheme and host stand elsewhere, as in "Max retries exceeded with url: /a.tif?sig=…".
_QUERY = re.compile(r"(?<=[^\s?#])[?#][^\s?#=&'\"<>]+=[^\s'\"<>]*")

#: Keys that are known by their shape, of AWS and in PEM: of these all that may belong to the block, whole or cut short.
_KEY = r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY[A-Za-z0-9+/=\s\\-]*"

#: Mapbox's tokens are known by their shape too; what they all hold is looked for first, which takes no time.
_TOKEN, _IN_TOKENS = r"\b[pst]k\.eyJ[\w-]{6,}\.[\w-]+", b"k.eyJ"

#: Last words of the keys of a query that sign a URL or say who asks.
_WORDS = (
    "sig|signature|token|key|api_?key|auth|authorization|pass|passwd|password|pwd|secret|credentials?|policy|sas|hmac|jwt"
    "|bearer|session|j?session_?id|phpsessid|(?:AWS|OSS)?Access_?Key_?Id|GoogleAccessId|ticket"
)

#: A user before the host, and parameters that sign a URL or name who asks; ``;`` is how HTML ends an ampersand.
_SIGNED = (
    r"://[^\s/'\"<>]*@"
    rf"|[?&;#](?:(?:[a-z0-9]+[_.-])*(?:{_WORDS})|x-(?:amz|goog|oss|ms|cos)-[a-z-]+)="
)

_SHAPES = re.compile(f"{_KEY}|{_TOKEN}", re.IGNORECASE | re.ASCII)
_TOKENS = re.compile(_TOKEN.encode())
_ANY = re.compile(f"{_SIGNED}|{_KEY}".encode(), re.IGNORECASE)

#: An address with anything encoded in it, and one whose query has a value that may be a key, whatever it is called.
_ENCODED = re.compile(rb"://[^\s'\"<>]*%[^\s'\"<>]*")
_OPAQUE = re.compile(
    rb"://[^\s'\"<>\\]*?[?&;#](?P<key>[^\s'\"<>\\?&;#=]{1,64})=(?=[^\s&'\"<>\\]{0,60}[0-9])(?=[^\s&'\"<>\\]{0,60}[A-Za-z])"
    rb"[^\s&'\"<>\\]{12,}"
)

#: An address that may hold more than scheme, host and path.
_MORE = re.compile(rb"://[^\s'\"<>\\?#;%@]*[?#;%@][^\s'\"<>\\]*")

#: What a key of a query is called where it is told; any other may be a value itself.
_NAMED = re.compile(r"[A-Za-z]{1,24}[0-9]{0,2}(?:[_.-][A-Za-z0-9]{1,16}){0,5}")

#: Variables of the environment whose values are shown nowhere; shorter values than this are no secrets, but words.
_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|SIGNATURE|PROXY|_SAS", re.IGNORECASE)
_SHORTEST = 6


def redact(text: str) -> str:
    """Remove user names, passwords, queries and fragments from every URL in `text`, and keys that stand anywhere.

    >>> redact("cannot read https://me:pw@host/a.tif?sig=SECRET today")
    'cannot read https://host/a.tif today'
    """
    bare = _QUERY.sub("", _URL.sub(lambda found: found["scheme"] + _path(found["rest"]), text))
    return _SHAPES.sub("***", bare)


def _path(rest: str) -> str:
    """Host and path of an address, up to what is neither."""
    found = _NO_PATH.search(rest)
    return rest[: found.start()] if found else rest


def query_keys(url: str) -> tuple[str, ...]:
    """The keys of all that an address holds beside scheme, host and path, each once; never a value.

    What stands there without a key is told by what it is: ``(user)``, ``(encoded)``, ``(value)``; the latter is told of keys
    too that may be values themselves.
    """
    host = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    path, *rest = re.split(r"[?#]", url, maxsplit=1)
    parts = [part for part in path.split(";")[1:] if "=" in part]
    keys = ["(user)"] if "@" in host else []
    keys += ["(encoded)"] if not parts and _NO_PATH.search(path) else []
    parts += [part for part in re.split(r"[&;?#]", rest[0]) if part] if rest else []
    return tuple(dict.fromkeys((*keys, *map(_key_of, parts))))


def _key_of(part: str) -> str:
    key, mark, _ = part.partition("=")
    return unquote(key) if mark and _NAMED.fullmatch(unquote(key)) else "(value)"


def unnamed_keys(url: str, harmless: Collection[str]) -> tuple[str, ...]:
    """Those of :func:`query_keys` that nobody named as harmless."""
    return tuple(key for key in query_keys(url) if key not in harmless)


def without_queries(value: Any, harmless: Collection[str] = ()) -> Any:
    """A JSON value in which no text holds more of an address than may be kept: all of one that has only harmless keys."""
    if isinstance(value, str):
        return value if _is_clean(value, harmless) else redact(value)
    if isinstance(value, list | tuple):
        return [without_queries(each, harmless) for each in value]
    if isinstance(value, dict):
        cleaned = {redact(str(key)): without_queries(each, harmless) for key, each in value.items()}
        href = cleaned.get("href")
        if isinstance(href, str) and unnamed_keys(href, harmless):  # relative ones too, and queries without a key
            cleaned["href"] = _path(re.split(r"[?#]", href, maxsplit=1)[0])
        return cleaned
    return value


def _is_clean(text: str, harmless: Collection[str]) -> bool:
    """Whether a text is one address that holds nothing but harmless keys."""
    return "://" in text and " " not in text and not unnamed_keys(text, harmless)


def holds_query(value: Any, harmless: Collection[str] = ()) -> bool:
    """Whether any text of a JSON value holds an address with more than scheme, host, path and harmless keys."""
    if isinstance(value, str):
        return "://" in value and without_queries(value, harmless) != value
    if isinstance(value, dict):
        return any(holds_query(each, harmless) for entry in value.items() for each in entry)
    return isinstance(value, list | tuple) and any(holds_query(each, harmless) for each in value)


def holds_secret(content: str | bytes) -> bool:
    """Whether there is a URL that is signed or has a user in it, encoded ones included, or a key in `content`."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if _ANY.search(data) or (_IN_TOKENS in data and _TOKENS.search(data)):
        return True
    encoded = (unquote_to_bytes(unquote_to_bytes(found[0])) for found in _ENCODED.finditer(data))
    return any(_ANY.search(url) for url in encoded)


def holds_opaque_value(content: bytes, harmless: Collection[str] = ()) -> bool:
    """Whether the query of some URL has a value that may be a key (letters and digits, 12 or more), under any name."""
    keys = (unquote(found["key"].decode("utf-8", "replace")) for found in _OPAQUE.finditer(content))
    return any(key not in harmless for key in keys)


def holds_address_with_query(content: bytes, harmless: Collection[str] = ()) -> bool:
    """Whether some URL in a file holds anything beside scheme, host, path and harmless keys."""
    urls = (found[0].decode("utf-8", "replace") for found in _MORE.finditer(content))
    return any(unnamed_keys(f"https{url}", harmless) for url in urls)


def speaks_of_secrets(key: str) -> bool:
    """Whether a key of a query is known to sign an address or to say who asks."""
    return holds_secret(f"?{key}=")


def is_secret_name(name: str) -> bool:
    """Whether a variable of the environment is known by its name to hold a secret, which is then shown nowhere."""
    return _NAME.search(name) is not None


def environment_secrets(environment: Mapping[str, str] | None = None) -> list[str]:
    """Values of the environment (by default this process's) that are secret by their names, the longest first."""
    variables = os.environ if environment is None else environment
    values = {value for name, value in variables.items() if is_secret_name(name) and len(value) >= _SHORTEST}
    return sorted(values, key=lambda value: (-len(value), value))
