"""The answers of a file server, what faults do to them, and the tokens that it issues. Nothing is sent here."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import parse_qsl, quote

from nutonic.testing.faults import Fault


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request. Unless the headers have a Content-Length, it is the body's length."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    span: tuple[int, int] | None = None
    """First and last byte of the requested range, within the file."""
    close: bool = False
    """Whether the connection ends after the answer."""


def text_answer(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with the name of its status as text."""
    return Answer(status, HTTPStatus(status).phrase.encode(), {"Content-Type": "text/plain", **(headers or {})})


def denial() -> Answer:
    """A 403 in the words of Azure's blob storage."""
    words = "<Code>AuthenticationFailed</Code><Message>Signature not valid in the specified time frame</Message>"
    body = f'<?xml version="1.0" encoding="utf-8"?><Error>{words}</Error>'
    return Answer(403, body.encode(), {"Content-Type": "application/xml"})


def span_of(range_header: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte that a Range header requests of a file of `size` bytes.

    The last is before the first if the file has none of these bytes. None means that the whole file is to be sent.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", range_header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = (int(number) if number else None for number in match.groups())
    if first is None:
        return max(0, size - (last or 0)), size - 1
    if last is not None and last < first:
        return None
    return first, size - 1 if last is None else min(last, size - 1)


def distort(answer: Answer, fault: Fault) -> tuple[str | None, Answer | None]:
    """Apply a fault to an answer.

    Returns
    -------
    tuple
        The kind of fault that was possible, or None; and the answer that is sent, or None if nothing is sent.
    """
    kind, half = fault.kind, len(answer.body) // 2
    if kind == "short" and not (answer.status == 206 and half and answer.span):
        kind = "truncate"
    if kind == "truncate" and not answer.body:
        kind = "drop"
    if kind == "zeros":
        return (kind, replace(answer, body=bytes(len(answer.body)))) if answer.body else (None, answer)
    if kind in ("drop", "stall"):
        return kind, None
    if kind == "truncate":
        headers = {"Content-Length": str(len(answer.body))}
        return kind, replace(answer, body=answer.body[:half], headers={**answer.headers, **headers}, close=True)
    if kind == "short" and answer.span:
        first, size = answer.span[0], answer.headers["Content-Range"].partition("/")[2]
        headers = {"Content-Range": f"bytes {first}-{first + half - 1}/{size}"}
        return kind, replace(answer, body=answer.body[:half], headers={**answer.headers, **headers})
    return kind, replace(_instead(fault), span=answer.span)


def _instead(fault: Fault) -> Answer:
    """The answer that a fault sends in place of the right one."""
    if fault.kind == "html":
        return Answer(200, b"<!doctype html><html><body>Please sign in.</body></html>", {"Content-Type": "text/html"})
    if fault.kind == "redirect":
        return text_answer(302, {"Location": fault.to})
    if fault.kind == "403":
        return denial()
    return text_answer(int(fault.kind), {"Retry-After": f"{fault.after_s:.0f}"} if fault.kind == "429" else None)


class Tokens:
    """Issues tokens, each for one container and a limited time, and checks them."""

    def __init__(self, seed: int, lifetime_s: float) -> None:
        self.seed, self.lifetime_s, self.issued = seed, lifetime_s, 0
        self._valid: dict[str, tuple[str, float]] = {}

    def give(self, container: str) -> Answer:
        """Issue a token for ACCOUNT/CONTAINER, in the Planetary Computer's words."""
        self.issued += 1
        # Like a real signature, it holds characters that must be quoted in a query.
        sig = b64encode(sha256(f"{self.seed}\n{container}\n{self.issued}".encode()).digest()).decode()
        start = time.time()
        st, se = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" for at in (start, start + self.lifetime_s))
        self._valid[sig] = f"/{container}/", start + self.lifetime_s
        token = f"st={quote(st)}&se={quote(se)}&sp=rl&sv=2025-07-05&sr=c&sig={quote(sig, safe='')}"
        return Answer(
            200, json.dumps({"msft:expiry": se, "token": token}).encode(), {"Content-Type": "application/json"}
        )

    def allow(self, path: str, query: str) -> bool:
        """Whether the query holds a token that is valid for the path."""
        container, until = self._valid.get(dict(parse_qsl(query)).get("sig", ""), ("", 0.0))
        return bool(container) and path.startswith(container) and time.time() < until

    def revoke(self) -> None:
        """Make all tokens invalid."""
        self._valid.clear()
