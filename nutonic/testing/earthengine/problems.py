"""Errors as Earth Engine answers them: a status, a sentence, and the name that Google gives the status."""

from __future__ import annotations

import json
from http import HTTPStatus

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


def missing(what: str) -> Problem:
    """501: Earth Engine can, the stand-in cannot."""
    return Problem(f"the stand-in for Earth Engine has no {what}", 501)


def forbidden(project: str) -> Problem:
    """403 for a project that the caller may not use."""
    return Problem(
        f"Caller does not have required permission to use project {project}. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, "
        f"by visiting https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. "
        "Propagation of the new permission may take a few minutes.",
        403,
    )
