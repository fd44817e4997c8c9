"""What pystac-client asks, asked by our own HTTP: same limits, same patience, and answers that are what they should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import orjson
from pystac.link import Link
from pystac_client.stac_api_io import StacApiIO

from nutonic.core.model import Json
from nutonic.errors import Gone, InputError, ReadFailed, Refused, SourceError, Unreachable
from nutonic.io.access import Access
from nutonic.io.http import Answer, Request
from nutonic.io.session import current
from nutonic.sources.stac.documents import JSONError, loads

#: The most bytes that one answer may have.
MOST_BYTES = 64 * 2**20

#: The most values that one answer may have: 100 items have some hundred thousand.
MOST_VALUES = 6_000_000

#: The most pages that one search may have, empty ones too: some servers give fewer items at a time than they are asked for.
MOST_PAGES = 1000

#: The most memory that the pages of one search may take, in bytes; each value takes 64 at least.
MOST_MEMORY = 2**30
_VALUE = 64

#: What to do about a search that finds too much.
NARROWER = "ask for a shorter time, a smaller area or less cloud"

#: How many pages in a row may hold nothing new before the server is taken to run in a circle.
MOST_IDLE = 3


#: What an answer is that is not what was asked for, in the words of faults: asked for again, since some servers send an
#: error page with status 200 now and then.
NO_JSON = "no JSON"


class NotAnswered(InputError):
    """The server says that it will not answer this request, and would say so the next time."""


class ApiIo(StacApiIO):
    """Lets pystac-client ask by our own HTTP, and makes sure of what it takes for granted about answers."""

    def __init__(self, access: Access) -> None:
        super().__init__(max_retries=None)
        self.access = access

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The text at an address; headers that a link asks for are not sent.

        Raises
        ------
        Gone
            If nothing is there.
        Refused
            If the address may not be read, or the server denies access.
        NotAnswered
            If it answers with another status that would be the same the next time.
        Unreachable
            If it does not answer, or not with JSON, however often it is asked; `reason` has the last fault.
        """
        plain = {"Accept": "application/geo+json, application/json", "Accept-Encoding": "gzip"}
        if method == "POST":
            body = json.dumps(parameters or {}).encode()
            plain |= {"Content-Type": "application/json"}
            request = Request(url=href, method="POST", headers=plain, body=body, **_ANSWERS)
        else:
            joint = "&" if urlsplit(href).query else "?"
            url = f"{href}{joint}{urlencode(parameters)}" if parameters else href
            request = Request(url=url, headers=plain, **_ANSWERS)
        try:
            answer = current().client.fetch(request, self.access)
        except ReadFailed as error:
            raise Unreachable(str(error), reason=error.reason) from None
        if answer.status != 200:
            raise _no_answer(href, answer.status)
        return answer.body.decode()

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        """The text at an address or behind a link; never a local file."""
        if isinstance(source, Link):
            return super().read_text(source, *args, **kwargs)
        return self.request(str(source), *args, **kwargs)

    def read_json(self, source: Any, *args: Any, **kwargs: Any) -> Json:
        """The object at an address or behind a link, with links that can be followed."""
        return self._read(source, *args, **kwargs)[0]

    def _read(self, source: Any, *args: Any, **kwargs: Any) -> tuple[Json, int]:
        """The object, and the bytes of memory that it takes."""
        url = str(source.target) if isinstance(source, Link) else str(source)
        text = self.read_text(source, *args, **kwargs)
        content = loads(text)
        if not isinstance(content, dict):
            raise InputError(f"{url} is no STAC API: it answers with a JSON {type(content).__name__}, not an object")
        return {**content, "links": links_of(content, url)}, max(len(text), _VALUE * _values(text.encode()))

    def get_pages(self, url: str, method: str | None = None, parameters: Json | None = None) -> Iterator[Json]:
        """All pages with items; empty pages between them are skipped."""
        (page, memory), idle = self._read(url, method=method, parameters=parameters), 0
        for number in count(1):
            features = page.get("features")
            if not isinstance(features, list):
                raise InputError(f"{url} answers with what is no page of items: it has no list of features")
            if features:
                yield page
            idle = 0 if features else idle + 1
            following = next((link for link in page["links"] if link["rel"] == "next"), None)
            if following is None:
                return
            if idle > MOST_IDLE:
                raise InputError(f"{url} gives one empty page after another: its pages do not end")
            if number == MOST_PAGES:
                raise InputError(f"{url} gives more than {MOST_PAGES} pages for one search: {NARROWER}")
            page, more = self._read(Link.from_dict(following), parameters=parameters or {})
            memory += more
            if memory > MOST_MEMORY:
                raise InputError(f"{url} gives items of more than {MOST_MEMORY >> 20} MiB for one search: {NARROWER}")


def links_of(content: Json, url: str) -> list[Json]:
    """Valid links of a document, with absolute addresses and without their headers."""
    links = content.get("links")
    usable = []
    for link in links if isinstance(links, list) else []:
        if not (isinstance(link, dict) and isinstance(link.get("rel"), str) and isinstance(link.get("href"), str)):
            continue
        method, body = str(link.get("method") or "GET").upper(), link.get("body") or {}
        if method in ("GET", "POST") and isinstance(body, dict):
            fields = {key: link[key] for key in ("rel", "type", "merge") if key in link}
            usable.append({**fields, "href": _joined(url, link["href"]), "method": method, "body": body})
    return usable


def _values(body: bytes) -> int:
    """About how many values a JSON document has, before anything is made of it."""
    return sum(body.count(mark) for mark in (b",", b"[", b"{"))


def _refuse_crowded(body: bytes) -> None:
    """Refuse JSON of so many values that they would fill the memory, many times what the document itself takes."""
    if _values(body) > MOST_VALUES:
        raise InputError(f"a STAC API answers with JSON of more than {MOST_VALUES} values: {NARROWER}")


def _joined(url: str, href: str) -> str:
    try:
        return urljoin(url, href)
    except ValueError:  # refused if it is followed
        return f"invalid:{quote(href[:100])}"


def _wrong(answer: Answer) -> str | None:
    """What is wrong with an answer that is not JSON, else None; some servers send an error page with status 200."""
    _refuse_crowded(answer.body)
    try:
        content = loads(answer.body)
    except JSONError as error:
        if "limit" in str(error):
            raise InputError("a STAC API answers with JSON that is nested too deep to be one") from None
        return NO_JSON
    try:
        orjson.dumps(content)
    except orjson.JSONEncodeError:
        raise InputError("a STAC API answers with JSON that is nested too deep to be one") from None
    return None


#: How answers are asked for: with whatever status that would be the same the next time.
_ANSWERS: dict[str, Any] = {"most_bytes": MOST_BYTES, "wrong": _wrong, "any_status": True, "by_kind": True}


def _no_answer(url: str, status: int) -> SourceError | InputError:
    """The error for a status: only what a server says of itself (5xx) may be different the next time."""
    if status in (404, 410):
        return Gone(f"{url} is not there ({status})", reason=str(status))
    if status in (401, 403):
        return Refused(f"{url}: the server denies access ({status}), and nutonic has no credentials for it")
    if status >= 500:
        return Unreachable(f"{url} answers with status {status}", reason=str(status))
    return NotAnswered(f"{url} answers with status {status}, as no STAC API does: is the address right?")
