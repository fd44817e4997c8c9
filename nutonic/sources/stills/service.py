"""Asking a server of static maps for the still of a place, with a token that is the environment's and stays there.

The token is taken where a request is made, in the process that makes it, and stands in the query of that request alone. It
is sent to no other address: redirects are not followed. No word of an answer reaches a message, since an answer may tell
what it was asked; and a picture that holds the token is none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import orjson

from nutonic.core.catalogs import MAPBOX, MOST_LATITUDE
from nutonic.errors import BadPixels, Gone, ReadFailed, Refused, SourceError
from nutonic.io.access import Access
from nutonic.io.http import Answer, Request
from nutonic.io.session import current
from nutonic.recipe.context import TOKEN, Mapbox
from nutonic.sources.cost import SourceCost
from nutonic.sources.stills.picture import MOST_BYTES, TooLarge, measured, suffix_of, texts_in

#: Bytes of a still per pixel: typical of Mapbox's JPEGs of satellite imagery.
_BYTES_PER_PIXEL = 0.25

#: What an answer says of the place alone: there is no such still, and there will be none.
_NOT_HERE = frozenset({404, 410, 422})

_DENIED = frozenset({401, 403})

#: What Mapbox says of a token that is not good, and what that means.
_BAD_TOKENS = {
    "TokenMalformed": "is malformed",
    "TokenInvalid": "is not valid",
    "TokenExpired": "has expired",
    "TokenRevoked": "was revoked",
}

_Query = tuple[tuple[str, str], ...]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A picture of a place as it was delivered."""

    suffix: str
    """``png`` or ``jpg``."""
    data: bytes


class _Accepted:
    """The services that have let this session in."""

    def __init__(self) -> None:
        self.services: set[Stills] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stills:
    """A server of static maps, as a recipe names it: a frozen value that travels, and an account. It holds no secret."""

    url: str
    """Template of an address without its query, in which ``{lon}`` and so on stand."""
    query: _Query
    """Template of its query; a value of ``{token}`` is filled in as it is sent."""
    style: str
    zoom: float
    size: int
    """Pixels along a side, as they are asked for."""
    side: int | None
    """Pixels along a side of what is delivered; None where the server is not known."""
    variable: str | None
    """Name of the environment variable that holds the token; None if the server wants none."""
    is_mapbox: bool
    """Whether it is Mapbox's API, at its own address or another, of which more is known than its pictures."""
    attribution: str
    """What must be said wherever a picture is shown; empty where that is not known."""

    # As an account: who we are to a service

    @property
    def service(self) -> str:
        """What it is called: Mapbox, or the host of another server."""
        return MAPBOX.name if self.is_mapbox else urlsplit(self.url).hostname or ""

    @property
    def most_requests(self) -> int | None:
        """As many as anybody: what is too much is told with 429, and asked for later."""
        return None

    def environment(self) -> Mapping[str, str]:
        """Nothing: the token is each process' own."""
        return {}

    def check(self) -> None:
        """Raise :class:`Refused` if this process has no token, and one is needed; asks nobody."""
        self._token()

    def sign_in(self) -> None:
        """Raise unless the server takes the token; asks for no picture, and once a session.

        Raises
        ------
        Refused
            If there is no token, the server does not take it, or has no such style.
        ReadFailed
            If it does not answer.
        """
        token, accepted = self._token(), current().resource(_Accepted).services
        if token and self not in accepted:
            if not (self.is_mapbox and self._tells_of_tokens(token)):
                self._refuse_denied(token)
            accepted.add(self)

    def _tells_of_tokens(self, token: str) -> bool:
        """Refuse a token that Mapbox says is not good, and a style that it has not; False if it tells of no token."""
        origin, query = "://".join(urlsplit(self.url)[:2]), ((MAPBOX.token_key, TOKEN),)
        answer = self._ask(_request(f"{origin}{MAPBOX.tokens}", query, token))
        word = _code(answer.body)
        if word in _BAD_TOKENS or answer.status in _DENIED:
            raise self._denial(_BAD_TOKENS.get(word, "is not accepted"))
        if answer.status != 200:
            return False
        answer = self._ask(_request(f"{origin}{MAPBOX.style.format(style=self.style)}", query, token))
        if answer.status == 404:
            raise Refused(f"{self.service} has no style {self.style}: see context.mapbox.style", reason="no such style")
        return True

    def _refuse_denied(self, token: str) -> None:
        """Ask for the head of a still of nowhere in particular: whether there is one, or an answer, does not matter."""
        head = replace(_request(*self._address(0.0, 0.0), token), method="HEAD", attempts=1)
        with suppress(ReadFailed):
            answer = self._ask(head)
            if answer.status in _DENIED:
                raise self._denial(f"is not accepted ({answer.status})")

    def _denial(self, how: str) -> Refused:
        return Refused(
            f"the token in {self.variable} {how}, says {self.service}: put another one into the environment",
            reason="credentials refused",
        )

    def _token(self) -> str:
        """The token of this process; empty where none is needed."""
        if self.variable is None:
            return ""
        token = os.environ.get(self.variable, "").strip()
        if not token:
            raise Refused(
                f"stills of {self.service} need a token: set {self.variable} in the environment, "
                "or context.mapbox.enabled: false in the recipe",
                reason="no token",
            )
        return token

    # Asking

    def fetch(self, lon: float, lat: float) -> Still:
        """The still of a place, longitude and latitude in degrees.

        Raises
        ------
        Gone
            If there is none of this place, and will be none.
        Refused
            If the token is not there or not accepted, or the server sends elsewhere, or too much.
        ReadFailed, BadPixels
            If what comes is no still, also the last time that it is asked for, or one of another size.
        """
        token = self._token()
        if self.is_mapbox and abs(lat) > MOST_LATITUDE:
            raise Gone(f"{self.service} has no map of latitude {lat:g}: it ends at {MOST_LATITUDE:g}")
        request = _request(*self._address(lon, lat), token)
        answer = self._ask(replace(request, wrong=lambda answer: self._wrong(answer, token)))
        if answer.status in _DENIED:
            current().resource(_Accepted).services.discard(self)  # whoever signs in next asks anew
            raise self._denial(f"is not accepted ({answer.status})")
        if answer.status in _NOT_HERE:
            raise Gone(f"{self.service} has no still of {_number(lon)}, {_number(lat)} (status {answer.status})")
        if answer.status != 200:
            what = "sends elsewhere, where no token goes" if 300 <= answer.status < 400 else "does not give it"
            raise ReadFailed(f"the still: {self.service} {what} (status {answer.status})", reason=str(answer.status))
        return self._sized(answer.body)

    def _sized(self, data: bytes) -> Still:
        problem = self.missized(data)
        if problem is not None:
            raise BadPixels(f"the still of {self.service} {problem}", reason="still of another size")
        return Still(suffix=str(suffix_of(data)), data=data)

    def missized(self, data: bytes) -> str | None:
        """How a PNG or JPEG has another size than was asked for, in words; None if it has not. Nothing is unpacked.

        Those of Mapbox have the very size, any other at most twice as many pixels along a side.
        """
        try:
            width, height = measured(data)
        except TooLarge as error:
            return str(error)
        if self.side is None and max(width, height) > 2 * self.size:
            return f"has {width} × {height} pixels, more than {2 * self.size} a side"
        if self.side is not None and (width, height) != (self.side, self.side):
            return f"has {width} × {height} pixels, not {self.side} × {self.side}"
        return None

    def _wrong(self, answer: Answer, token: str) -> str | None:
        """What is wrong with a picture that was delivered, so that it is asked for again; None if nothing is.

        One of another size is not asked for again: the next would be too. Of such a one nothing is unpacked.
        """
        if answer.status != 200:
            return None
        if not _says_picture(answer.headers) or suffix_of(answer.body) is None:
            return "no PNG or JPEG"
        try:
            texts = texts_in(answer.body) if self.missized(answer.body) is None else ()
        except ValueError:
            return "damaged picture"
        told = (answer.body, *(text.encode("utf-8", "replace") for text in texts))
        return "picture that holds the token" if any(_holds(text, token) for text in told) else None

    def cost(self, places: int) -> SourceCost:
        """Of so many places: a request each."""
        side = self.side or self.size
        return SourceCost(
            requests=places,
            bytes_read=int(places * side**2 * _BYTES_PER_PIXEL),
            held_bytes=MOST_BYTES + (2 * self.size) ** 2 * 4,
        )

    def _address(self, lon: float, lat: float) -> tuple[str, _Query]:
        """Where the still of a place is asked for, and the query, which has no token yet."""
        slots = {"lon": _number(lon), "lat": _number(lat), "zoom": f"{self.zoom:g}", "size": str(self.size)}

        def filled(template: str) -> str:
            for name, value in {**slots, "style": self.style}.items():
                template = template.replace(f"{{{name}}}", value)
            return template

        return filled(self.url), tuple((key, filled(text)) for key, text in self.query)

    def _ask(self, request: Request) -> Answer:
        """An answer, whatever its status; errors are told in words of our own."""
        parts = urlsplit(request.url)
        hosts = (f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}",)  # at this port alone, so never in the open
        try:
            return current().client.fetch(request, Access(hosts=hosts))
        except Refused:
            raise Refused(f"{self.service} sends more than {MOST_BYTES // 2**20} MB", reason="too long") from None
        except SourceError as error:
            why = error.reason or "no answer"
            raise ReadFailed(f"asking {self.service} for a still: {why}", reason=error.reason) from None


def _request(url: str, query: _Query, token: str) -> Request:
    """What to ask for at an address, the token in its query; redirects are not followed."""
    pairs = "&".join(f"{quote(k, safe='')}={quote(v.replace(TOKEN, token), safe=',:/@')}" for k, v in query)
    whole = f"{url}?{pairs}" if pairs else url
    return Request(url=whole, most_bytes=MOST_BYTES, any_status=True, by_kind=True, follow=False)


def stills_of(settings: Mapbox) -> Stills | None:
    """The server that a recipe names; None where none is to be asked."""
    if not settings.enabled:
        return None
    url = settings.url or f"{MAPBOX.origin}{MAPBOX.still}"
    known = urlsplit(url).path.startswith(MAPBOX.still.partition("{lon}")[0])
    return Stills(
        url=url,
        query=((MAPBOX.token_key, TOKEN),) if settings.url is None else tuple(settings.query.items()),
        style=settings.style,
        zoom=round(settings.zoom, 2),
        size=settings.size,
        side=settings.size * (2 if url.endswith("@2x") else 1) if known and "/{size}x{size}" in url else None,
        variable=settings.token_variable if settings.needs_token else None,
        is_mapbox=known,
        attribution=settings.attribution or (MAPBOX.attribution if known else ""),
    )


def _number(degrees: float) -> str:
    """Degrees to a tenth of a metre, written in one way."""
    text = f"{degrees:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _code(body: bytes) -> str:
    """The word for a token in an answer of Mapbox's; nothing where there is none."""
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(value.get("code", "")) if isinstance(value, dict) else ""


def _says_picture(headers: Mapping[str, str]) -> bool:
    """Whether an answer's type is that of a picture, or none at all."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.startswith("image/") or kind in ("", "application/octet-stream", "binary/octet-stream")


def _holds(data: bytes, token: str) -> bool:
    return bool(token) and any(form.encode() in data for form in (token, quote(token, safe=""), quote_plus(token)))
