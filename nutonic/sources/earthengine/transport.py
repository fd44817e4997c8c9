"""What the clients of Earth Engine ask, asked by our own HTTP: the same limits, the same patience, and the same counts.

All attempts are made here; the clients above are told of an answer or of an error of ours, and try nothing again.
"""

from __future__ import annotations

import io
import math
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson

from nutonic._version import __version__
from nutonic.errors import ReadFailed, Refused, SourceError
from nutonic.io.access import Access, access_for
from nutonic.io.http import Answer, Request
from nutonic.io.limits import AdaptiveLimiter
from nutonic.io.session import current

#: The most bytes of an answer: the 48 MiB that Earth Engine gives at most, and room for a header.
_MOST_BYTES = 49 * 2**20

#: How often a request is made: quotas are per minute too, and the pauses come to half of one.
_ATTEMPTS = 7

#: Requests that a project may have in flight (developers.google.com/earth-engine/guides/usage, for most accounts).
MOST_REQUESTS = 40

#: Pixels are computed before their first byte is sent.
_TIMEOUT_FACTOR = 5.0

#: Headers that are ours to set, whatever the clients above would send; Google compresses only for who names gzip in both.
_OURS = {"Accept-Encoding": "gzip", "User-Agent": f"nutonic/{__version__} (gzip)"}

#: What :func:`numpy.save` writes begins with this.
_NPY = b"\x93NUMPY"
_TIFF = (b"II*\0", b"MM\0*")

#: Earth Engine's words for what went wrong, where its status says no more than 400.
_REASONS = {
    "not found": "no such asset",
    "did not match any bands": "no such band",
    "must be less than or equal to": "too large",
    "memory limit": "too large",
    "timed out": "timed out",
}

#: Faults of a last attempt, in the words to count them by.
_FAULTS = {"429": "over quota", "timed out": "timed out", "too slow": "timed out"}

_CREDENTIALS = "credentials refused"
_SIGN_IN = "sign in again, or ask for a new key; then run the same command again"
_PROJECT = (
    "set labels.project or imagery.project to a Cloud project that is registered for Earth Engine and that you may use"
)


class Transport:
    """What ``ee.Initialize`` takes as `http_transport`: it signs requests, makes them, and says what went wrong."""

    def __init__(self, url: str, credentials: Any) -> None:
        self._access: Access = access_for(url, (), (), None)
        self._credentials = credentials
        self._lock = threading.Lock()
        self._limiter = AdaptiveLimiter(MOST_REQUESTS)
        self.denied = False
        """Whether the credentials have been refused, so that others are to be looked for."""

    def __repr__(self) -> str:
        return "Transport()"  # what it signs with is nobody's to read

    def close(self) -> None:
        """Nothing to close: connections are the account's."""

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> tuple[Any, bytes]:
        """A whole answer with status 200, as httplib2 gives it.

        Raises
        ------
        Refused
            If the credentials or the project are.
        ReadFailed
            If the request is one that Earth Engine does not answer, or the last attempt failed too; its `reason` tells
            which.
        """
        import httplib2

        data = body.encode() if isinstance(body, str) else body
        allowed = {name: value for name, value in (headers or {}).items() if name.title() not in _OURS}
        try:
            answer = self._answer(uri, method, data, allowed | _OURS)
        except Refused as error:
            self.denied |= error.reason == _CREDENTIALS
            raise
        return httplib2.Response({"status": str(answer.status)}), answer.body

    def _answer(self, uri: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        for renew in (False, True):
            request = Request(
                url=uri,
                method=method,
                headers=self._signed(uri, method, headers, renew=renew),
                body=body,
                most_bytes=_MOST_BYTES,
                timeout_factor=_TIMEOUT_FACTOR,
                attempts=_ATTEMPTS,
                limiter=self._limiter,
                any_status=True,
                by_kind=True,
                wrong=_no_pixels if ":computePixels" in uri or ":getPixels" in uri else _no_json,
            )
            answer = self._fetched(request)
            if answer.status in (200, 206):
                return answer
            if answer.status != 401:
                break
            current().client.count_fault("401")
        raise _error(answer)

    def _fetched(self, request: Request) -> Answer:
        try:
            return current().client.fetch(request, self._access)
        except ReadFailed as error:
            kind = error.reason or ""
            reason = _FAULTS.get(kind, "server failed" if kind.isdigit() else "connection lost")
            raise ReadFailed(f"Earth Engine does not answer: {error}", reason=reason) from None

    def _signed(self, uri: str, method: str, headers: Mapping[str, str], *, renew: bool) -> dict[str, str]:
        """The headers with a token, which is fetched where there is none that is good, or if it is to be renewed."""
        from google.auth.exceptions import GoogleAuthError, InvalidOperation

        signed = dict(headers)
        try:
            with self._lock:
                if renew:
                    self._credentials.refresh(_token)
                self._credentials.before_request(_token, method, uri, signed)
        except ReadFailed as error:
            raise ReadFailed(f"no token for Earth Engine: {error}", reason="no token") from None
        except InvalidOperation:  # anonymous ones cannot be renewed
            raise _denied("it wants credentials, and an address on this machine is given none") from None
        except GoogleAuthError as error:
            raise _denied(
                f"Google gives no token for them ({str(error.args[0])[:120] if error.args else ''})"
            ) from None
        return signed


@dataclass(frozen=True, slots=True)
class _Answer:
    """What Google's credentials want to see of an answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def _token(
    url: str, method: str = "GET", body: str | bytes | None = None, headers: Mapping[str, str] | None = None, **_: Any
) -> _Answer:
    """Ask for a token, as Google's credentials do: where their own file says, which may be in a private network."""
    data = body.encode() if isinstance(body, str) else body
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    request = Request(url=url, method=method, headers=dict(headers or {}), body=data, any_status=True, by_kind=True)
    answer = current().client.fetch(request, Access(hosts=(f"{parts.hostname}:{port}",)))
    return _Answer(answer.status, answer.headers, answer.body)


def _no_pixels(answer: Answer) -> str | None:
    """What is wrong with an answer that should be pixels; of numpy's form also whether it is whole."""
    if not answer.body.startswith(_NPY):
        return None if answer.body.startswith(_TIFF) else "no pixels"
    file = io.BytesIO(answer.body)
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    except ValueError:
        return "no pixels"
    return None if len(answer.body) == file.tell() + math.prod(shape) * dtype.itemsize else "cut short"


def _no_json(answer: Answer) -> str | None:
    try:
        orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return "no JSON"
    return None


def _error(answer: Answer) -> SourceError:
    """The error for an answer that a retry would not change; its message says what to do."""
    message = _message(answer)
    if answer.status == 401:
        return _denied(message)
    if answer.status == 403 and "may not exist" in message:  # who may not see an asset is not told whether it is there
        return ReadFailed(f"Earth Engine cannot do it (403): {message}", reason="no such asset")
    if answer.status == 403:
        return Refused(f"Earth Engine denies access: {message}\n{_PROJECT}", reason="no permission")
    reason = next((word for part, word in _REASONS.items() if part in message), None)
    reason = reason or ("no such asset" if answer.status == 404 else "bad request")
    return ReadFailed(f"Earth Engine cannot do it ({answer.status}): {message}", reason=reason)


def _denied(why: str) -> Refused:
    return Refused(f"Earth Engine does not take the credentials: {why}\n{_SIGN_IN}", reason=_CREDENTIALS)


def _message(answer: Answer) -> str:
    """The message in Google's JSON of an error, in one line of at most 300 characters."""
    try:
        message = str(orjson.loads(answer.body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = "it does not say why"
    return textwrap.shorten(message, 300, placeholder=" …")
