"""The answers of a file server, and the tokens that it issues. Nothing is sent here."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import parse_qsl, quote


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
