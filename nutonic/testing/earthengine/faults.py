"""What the stand-in does wrong on purpose, and to which requests; the same ones every time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from http import HTTPStatus

#: Statuses, and what else can happen to an answer.
KINDS = {
    *("401", "403", "404", "429", "500", "503"),
    "drop",  # the connection is reset before any byte
    "slow",  # what is computed takes `after_s` seconds longer
    "truncate",  # all headers, half of the body, then the connection is closed
    "short",  # half of the body, with headers that call it whole
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EarthEngineFault:
    """What happens to some requests.

    Requests with the same method, path, query and body are one request and its attempts: chance is a hash of it and the
    attempt's number, so it depends on no clock, no order, and on nothing that other requests do.
    """

    kind: str
    """One of KINDS."""
    on: str = "*"
    """Pattern (fnmatch) of the kinds of requests that it happens to, such as ``pixels``."""
    share: float = 1.0
    """How many attempts it happens to, from 0 to 1."""
    first: int = 0
    """The first attempt that it may happen to."""
    times: int | None = None
    """How many attempts from the first on it may happen to; None: all."""
    after_s: float = 0.0
    """How much longer a slow answer takes, in seconds."""
    seed: int = 0
    """Which attempts are chosen."""

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
    """The faults, of which the first that is due happens; it counts attempts."""

    def __init__(self, faults: Iterable[EarthEngineFault]) -> None:
        self.faults = tuple(faults)
        self._attempts: Counter[bytes] = Counter()

    def next(self, kind: str, request: bytes) -> EarthEngineFault | None:
        """What happens to the next attempt of a request, if anything."""
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

#: What is said with a status if there is nothing else to say. The one of 429 is assumed, the others are Google's.
WORDS = {
    401: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    403: "The caller does not have permission",
    404: "Requested entity was not found.",
    429: "Too Many Requests: Request was rejected because the request rate or concurrency limit was exceeded.",
    500: "An internal error has occurred",
    503: "The service is currently unavailable.",
}


#: What is said if no credentials came.
NO_CREDENTIALS = WORDS[401].replace(
    "had invalid authentication credentials", "is missing required authentication credential"
)


class Problem(Exception):
    """What a request is answered with in place of a result."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code

    def body(self) -> bytes:
        """Google's JSON of an error."""
        status = NAMES.get(self.code, HTTPStatus(self.code).name)
        return json.dumps({"error": {"code": self.code, "message": str(self), "status": status}}).encode()


def of_status(code: int) -> Problem:
    """A problem with nothing to say but its status."""
    return Problem(WORDS.get(code, HTTPStatus(code).phrase), code)


def unsupported(feature: str) -> Problem:
    """501: Earth Engine can, the stand-in cannot."""
    return Problem(f"the stand-in for Earth Engine has no {feature}", 501)


def forbidden(project: str) -> Problem:
    """403 for a project that the caller may not use."""
    return Problem(
        f"Caller does not have required permission to use project {project}. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, "
        f"by visiting https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. "
        "Propagation of the new permission may take a few minutes.",
        403,
    )
