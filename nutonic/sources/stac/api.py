"""Items of a STAC API, by pystac-client's search and our own HTTP.

Servers differ in what they can do and in what they say that they can do: what is found here is all that may fit, in no
order; whoever asks filters and sorts it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import quote

from pystac_client import Client, ItemSearch
from pystac_client.conformance import ConformanceClasses

from nutonic.core.model import Json
from nutonic.core.times import Interval
from nutonic.errors import Gone, InputError, SourceError, Unreachable
from nutonic.io.access import Access
from nutonic.io.cache import SingleFlightCache
from nutonic.io.session import current
from nutonic.sources.item import Item, Sieve
from nutonic.sources.stac.api_io import MOST_IDLE, NARROWER, NO_JSON, ApiIo, NotAnswered, links_of

#: How many items are asked for at a time.
PAGE = 100

#: The most items that one search may give.
MOST_ITEMS = 50_000

#: Landing pages that a session keeps.
_KEPT_SERVERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which items to search for."""

    collection: str
    box: tuple[float, float, float, float]
    """West, south, east and north in degrees, west <= east."""
    time: Interval | None
    """Both ends included; None for all time."""
    max_cloud_cover: float | None
    """Percent; the answer may hold cloudier items all the same."""


def search_api(url: str, query: Query, access: Access, sieve: Sieve | None = None) -> list[Item]:
    """Each item that may answer a query, once, in the order in which the server gives them.

    What is no item is left out by the sieve of the search that this is a part of, or else by one of its own.

    Raises
    ------
    InputError
        If the address is no STAC API with item search, it has no such collection, what it answers is no page of items,
        or its pages do not end.
    Unreachable
        If the server does not answer, however often it is asked.
    Refused
        If the API, or a page that it names, is at an address that may not be read, or too long, or access is denied.
    """
    server, part = _server(url, access), sieve or Sieve(url)
    items = _answers(server, query, part)
    if sieve is None:
        part.close()
    return items


def _answers(server: _Server, query: Query, sieve: Sieve) -> list[Item]:
    narrow = {} if query.collection in server.misled else _cloud_limit(server.client, server.method, query)
    if narrow and (items := _narrowed(server, query, narrow, sieve)):
        return items
    items = list(_items(server, query, {}, sieve))
    if narrow and any(_is_clear(item, query) for item in items):
        server.misled.add(query.collection)
    if not items:
        _check_collection(server, query.collection)
    return items


def glimpse(url: str, query: Query, access: Access) -> list[Item]:
    """The first page of a query's answer; nothing where the server fails. For words to a user, not for a plan."""
    try:
        return list(_items(_server(url, access), query, {}, Sieve(url), most_pages=1))
    except (SourceError, InputError):
        return []


def _narrowed(server: _Server, query: Query, narrow: Json, sieve: Sieve) -> list[Item]:
    """The items of a search with a cloud limit; none if the server cannot answer it."""
    try:
        return list(_items(server, query, narrow, sieve))
    except (Unreachable, NotAnswered):
        return []


def _is_clear(item: Item, query: Query) -> bool:
    cover = item.properties.get("eo:cloud_cover")
    return isinstance(cover, int | float) and query.max_cloud_cover is not None and cover <= query.max_cloud_cover


def _items(server: _Server, query: Query, narrow: Json, sieve: Sieve, most_pages: int | None = None) -> Iterator[Item]:
    """Items page by page, each once."""
    search = ItemSearch(
        url=server.search,
        method=server.method,
        stac_io=server.io,
        client=server.client,
        limit=PAGE,
        collections=[query.collection],
        bbox=query.box,
        datetime=None if query.time is None else query.time.isoformat(),
        **narrow,
    )
    keys: set[tuple[str, str, str]] = set()
    idle = 0
    for page in islice(_pages(search, server, query), most_pages):
        before = len(keys)
        for item in sieve.items((content, _home(content, server.search)) for content in page["features"]):
            if item.key not in keys:
                keys.add(item.key)
                yield item
        idle = idle + 1 if len(keys) == before else 0
        if idle > MOST_IDLE:
            raise InputError(f"{server.url} gives the same items page after page: its pages do not end")
        if len(keys) > MOST_ITEMS:
            raise InputError(
                f"{server.url} gives more than {MOST_ITEMS} items of {query.collection} for one search: {NARROWER}"
            )


def _pages(search: ItemSearch, server: _Server, query: Query) -> Iterator[Json]:
    try:
        yield from search.pages_as_dicts()
    except Gone as error:
        _check_collection(server, query.collection)
        raise InputError(f"{server.url} has no search at {server.search} ({error.reason})") from None


def _home(content: Any, search: str) -> str:
    """What an item's hrefs are relative to: where it says it is, if that is an address, else where it was found."""
    links = links_of(content, search) if isinstance(content, dict) else []
    own = next((link["href"] for link in links if link["rel"] == "self"), search)
    return own if own.lower().startswith(("http://", "https://")) else search


# Cloud cover


def _cloud_limit(client: Client, method: str, query: Query) -> Json:
    """What makes the server leave out cloudy items, if it says that it can and there are any to leave out."""
    most = query.max_cloud_cover
    if most is None or most >= 100:  # items that do not say count as 100, and no limit finds them
        return {}
    if client.conforms_to(ConformanceClasses.QUERY):
        return {"query": {"eo:cloud_cover": {"lte": most}}}
    if client.conforms_to(ConformanceClasses.FILTER) and method == "POST":
        return {"filter_lang": "cql2-json", "filter": {"op": "<=", "args": [{"property": "eo:cloud_cover"}, most]}}
    if client.conforms_to(ConformanceClasses.FILTER):
        return {"filter_lang": "cql2-text", "filter": f'"eo:cloud_cover" <= {most!r}'}
    return {}


# The server


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Server:
    """What a landing page says."""

    url: str
    client: Client
    io: ApiIo
    search: str
    method: str
    collections: str
    misled: set[str] = field(default_factory=set)
    """Collections for which a cloud limit in the search hid items within the limit."""
    known: set[str] = field(default_factory=set)
    """Collections that the server has."""


class _Servers(SingleFlightCache[tuple[str, Access], _Server]):
    """The servers that a session knows."""

    def __init__(self) -> None:
        super().__init__(_KEPT_SERVERS, lambda _: 1)


def _server(url: str, access: Access) -> _Server:
    """The server at an address; the session caches it."""
    return current().resource(_Servers).get((url, access), partial(_read_server, url, access))


def _read_server(url: str, access: Access) -> _Server:
    io = ApiIo(access)
    try:
        landing = io.read_json(url)
    except Gone as error:
        raise InputError(f"{url} is no STAC API: nothing is there ({error.reason})") from None
    except Unreachable as error:
        if error.reason != NO_JSON:
            raise
        # The page of a website: its address was given for that of an API. Of one that is known as an API, it may pass.
        raise InputError(f"{url} is no STAC API: it answers with {error.reason}; is the address right?") from None
    if "stac_version" not in landing or landing.get("type", "Catalog") != "Catalog":
        raise InputError(f"{url} is no STAC API: it {_what(landing)}")
    content = landing.get("conformsTo")
    conformance = [uri for uri in content if isinstance(uri, str)] if isinstance(content, list) else []
    if not any(uri.endswith("/item-search") for uri in conformance):
        raise InputError(f"{url} is a STAC catalogue without search: give the address of a STAC API")
    links, base = landing["links"], url.split("?")[0].rstrip("/")
    posts = [link["href"] for link in links if link["rel"] == "search" and link["method"] == "POST"]
    searches = [*posts, *(link["href"] for link in links if link["rel"] == "search"), f"{base}/search"]
    collections = [*(link["href"] for link in links if link["rel"] == "data"), f"{base}/collections"]
    method = "POST" if posts else "GET"
    return _Server(
        url=url, client=_client(url, conformance), io=io, search=searches[0], method=method, collections=collections[0]
    )


def _client(url: str, conformance: list[str]) -> Client:
    """A client for a server with these conformance classes; it needs nothing else of the landing page."""
    head = {"type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "", "links": []}
    return Client.from_dict({**head, "conformsTo": conformance}, href=url)


def _what(landing: Json) -> str:
    """What a JSON object is instead of a landing page, in words."""
    kind = landing.get("type")
    return f"is a {kind[:40]}" if isinstance(kind, str) and kind != "Catalog" else "answers with JSON that is not STAC"


def _check_collection(server: _Server, name: str) -> None:
    """Raise InputError if the server answers that it has no such collection; other failures are ignored."""
    if name in server.known:
        return
    try:
        server.io.read_json(f"{server.collections.rstrip('/')}/{quote(name, safe='')}")
        server.known.add(name)
    except Gone:
        names = _collections(server)
        if names and name not in names:
            guesses = difflib.get_close_matches(name, names, 3)
            advice = f"did you mean {' or '.join(guesses)}?" if guesses else f"it has {', '.join(names[:5])}"
            raise InputError(f"{server.url} has no collection {name!r}; {advice}") from None
    except (SourceError, InputError):
        pass


def _collections(server: _Server) -> list[str]:
    """Names of the collections on the first page of the server's list; none if it cannot be read."""
    try:
        collections = server.io.read_json(server.collections).get("collections")
    except (SourceError, InputError):
        return []
    entries = collections if isinstance(collections, list) else []
    return [str(each["id"])[:100] for each in entries if isinstance(each, dict) and "id" in each]
