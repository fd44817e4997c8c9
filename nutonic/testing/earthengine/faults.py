"""The faults of the stand-in, and its error messages. Faults always happen to the same requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from http import HTTPStatus

#: Every kind of fault. A number is the status of the answer.
KINDS = {
    *("401", "403", "404", "429", "500", "503"),
    "drop",  # the connection is reset before any byte
    "slow",  # the answer to a request that computes takes `after_s` seconds longer
    "truncate",  # all headers, half of the body, then the connection is closed
    "short",  # half of the body, with headers as if it were whole
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EarthEngineFault:
    """A fault, and the requests that it happens to.

    Requests with the same method, path, query and body are attempts of one request. Chance is a hash of the request and
    of the attempt's number, so it depends on no clock, on no order and on no other request.
    """

    kind: str
    """One of KINDS."""
    on: str = "*"
    """Pattern (fnmatch) of the kinds of requests that it happens to, such as ``pixels``."""
    share: float = 1.0
    """The share of attempts that it happens to, 0 to 1."""
    first: int = 0
    """The first attempt that it may happen to."""
    times: int | None = None
    """How many attempts from the first on it may happen to; None for all."""
    after_s: float = 0.0
    """How many seconds longer a slow answer takes."""
    seed: int = 0
    """Decides which attempts are chosen."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of fault; choose from {', '.join(sorted(KINDS))}")

    def due(self, kind: str, request: bytes, attempt: int) -> bool:
        """Whether it happens to an attempt of a request."""
        if not fnmatchcase(kind, self.on) or attempt < self.first:
            return False
        if self.times is not None and attempt >= self.first + self.times:
            return False
        digest = sha256(b"%d %s %d %b" % (self.seed, self.kind.encode(), attempt, request)).digest()
        return int.from_bytes(digest[:8], "big") < self.share * 2**64


class Faults:
    """Counts attempts, and gives each the first fault that is due."""

    def __init__(self, faults: Iterable[EarthEngineFault]) -> None:
        self.faults = tuple(faults)
        self._attempts: Counter[bytes] = Counter()

    def next(self, kind: str, request: bytes) -> EarthEngineFault | None:
        """The fault of the next attempt of a request; None for no fault."""
        key = sha256(request).digest()
        attempt, self._attempts[key] = self._attempts[key], self._attempts[key] + 1
        return next((fault for fault in self.faults if fault.due(kind, request, attempt)), None)


#: Google's names of HTTP statuses (google.rpc.Code).
NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}

#: The message of a status where there is no more specific one. That of 429 is assumed, the others are Google's.
WORDS = {
    401: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    403: "The caller does not have permission",
    404: "Requested entity was not found.",
    429: "Too Many Requests: Request was rejected because the request rate or concurrency limit was exceeded.",
    500: "An internal error has occurred",
    503: "The service is currently unavailable.",
}

#: The message if a request has no credentials.
NO_CREDENTIALS = WORDS[401].replace(
    "had invalid authentication credentials", "is missing required authentication credential"
)


class Problem(Exception):
    """An error that a request is answered with in place of a result."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code

    def body(self) -> bytes:
        """The error as Google's JSON."""
        status = NAMES.get(self.code, HTTPStatus(self.code).name)
        return json.dumps({"error": {"code": self.code, "message": str(self), "status": status}}).encode()


def of_status(code: int) -> Problem:
    """The problem of a status, with the status's own message."""
    return Problem(WORDS.get(code, HTTPStatus(code).phrase), code)


def unsupported(feature: str) -> Problem:
    """A 501 for something that Earth Engine can do and the stand-in cannot."""
    return Problem(f"the stand-in for Earth Engine has no {feature}", 501)


def forbidden(project: str) -> Problem:
    """A 403 for a project that the caller may not use."""
    return Problem(
        f"Caller does not have required permission to use project {project}. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, "
        f"by visiting https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. "
        "Propagation of the new permission may take a few minutes.",
        403,
    )
