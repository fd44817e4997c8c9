"""Servers that lie, and servers that never end."""

from __future__ import annotations

import json
from typing import Any

from hostile.row import BUILD, PLAN, Here, Row, Tree
from hostile.worlds import CANARY, JSON, Answer, answering, api, fault, features, landing, page_of, served
from nutonic.testing import LIES, Fault

CLEAN, RESUMED, EMPTY = Tree.CLEAN, Tree.RESUMED, Tree.EMPTY
EVER = None

#: Seconds that a build may take whose every file fails for ever: each is asked for six times, with pauses of half a minute
#: together, first for all places at once and then for each.
PAUSES = 240


def numbered(here: Here, number: int) -> dict[str, Any]:
    """An item that is new each time."""
    return {**features(here)[0], "id": f"s{number}"}


def fat(here: Here, number: int) -> dict[str, Any]:
    """A page of items with much in them that nobody asked for."""
    return page_of([{**numbered(here, number), "fat": [[1, 2, 3]] * 400_000}], f"search?page={number}")


def redirecting(here: Here, path: str, number: int) -> Answer:
    return 302, {"Location": f"/api?{number}"}, b""


def moving(to: str) -> Any:
    """An API whose search leads elsewhere."""

    def answer(here: Here, path: str, number: int) -> Answer:
        if path == "/api":
            return 200, JSON, json.dumps(landing()).encode()
        return 307, {"Location": to}, b""

    return answering(answer)


def home(content: Any, status: int = 200, **headers: str) -> Any:
    """An API with this landing page."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return answering(lambda *_: (status, headers or JSON, body))


def searching(href: str) -> Any:
    """An API whose landing page sends searches there."""
    link = {"rel": "search", "href": href, "type": "application/geo+json", "method": "GET"}
    return home(landing(links=[link]))


def labelled(kind: str) -> Any:
    """The land cover is behind a server that has this fault for ever."""

    def world(here: Here) -> None:
        served(Fault(kind, path="/land_cover.tif", times=EVER))(here)
        host = here.address.removeprefix("http://")
        here.recipe(labels={"path": f"{here.address}/land_cover.tif", "allow_hosts": [host]})

    return world


def hubless(here: Here) -> None:
    """Places on a Hub where nobody answers."""
    here.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    here.recipe(pois={"path": "hf://datasets/someone/places"})


MIXED = {kind: served(share=0.1, kinds=(kind,), seed=4) for kind in LIES}

LYING = [
    *(
        Row(f"{kind}, a tenth of all answers", world, BUILD, 0, "built 3 places", CLEAN)
        for kind, world in MIXED.items()
    ),
    Row("all lies at once, a tenth", served(share=0.1, kinds=LIES, seed=5), BUILD, 0, "built 3 places", CLEAN),
    Row("half of all answers lie", served(share=0.5, kinds=("elsewhere", "few"), seed=6), BUILD, 0, "3 places", CLEAN),
    *(
        Row(f"{kind}, once each", fault(kind), BUILD, 0, "built 3 places", CLEAN)
        for kind in ("503", "429", "408", "500", "drop", "truncate", "short", "html", "zeros")
    ),
    *(
        Row(f"{kind}, for ever", fault(kind, EVER), BUILD, 1, "stay open", RESUMED, PAUSES)
        for kind in ("503", "elsewhere", "untold", "whole", "few", "surplus", "multipart", "no-gzip", "416", "drop")
    ),
    *(Row(f"{kind}, for ever", fault(kind, EVER), BUILD, 1, "no chip was made", EMPTY) for kind in ("404", "410")),
    Row("401s for a file", fault("403", EVER), BUILD, 1, "the server denies access", RESUMED),
    Row(
        "one band lies, the others do not",
        fault("elsewhere", EVER, "/west/green.tif"),
        BUILD,
        1,
        "green",
        RESUMED,
        PAUSES,
    ),
    Row(
        "an ETag of its own for each answer, Last-Modified too",
        served(Fault("etag", times=EVER), validators=("ETag", "Last-Modified")),
        BUILD,
        0,
        "built 3 places",
        CLEAN,
    ),
    Row("no ETag, no Last-Modified", served(validators=()), BUILD, 0, "built 3 places", CLEAN),
    Row(
        "a redirect to another machine",
        fault("redirect", EVER, to="http://10.0.0.1/a.tif"),
        BUILD,
        1,
        "10.0.0.1",
        RESUMED,
    ),
    Row(
        "a redirect to a file",
        fault("redirect", EVER, to="file:///etc/passwd"),
        BUILD,
        1,
        "not an http or https",
        RESUMED,
    ),
    Row(
        "a redirect to itself",
        fault("redirect", EVER, to="/west/red.tif"),
        BUILD,
        1,
        "redirects more than 5 times",
        RESUMED,
    ),
    Row(
        "a redirect with a password",
        fault("redirect", EVER, to=f"http://me:{CANARY}@127.0.0.1/"),
        BUILD,
        1,
        "user name",
        RESUMED,
    ),
    Row("a redirect to nowhere", fault("redirect", EVER, to=""), BUILD, 1, "redirects more than 5 times", RESUMED),
    # Catalogues
    Row("a landing page of HTML", home(b"<html>Sign in</html>"), PLAN, 2, "is no STAC API"),
    Row("a landing page that is a list", home([]), PLAN, 2, "is no STAC API"),
    Row("a landing page that is empty", home(b""), PLAN, 2, "nutonic:"),
    Row("a landing page of NaN", home(b"NaN"), PLAN, 2, "nutonic:"),
    Row("a landing page cut off", home(b'{"type": "Catalog", "links": ['), PLAN, 2, "nutonic:"),
    Row("a landing page of 100,000 brackets", home(b"[" * 100_000), PLAN, 2, "nutonic:"),
    Row("a landing page in UTF-16", home(json.dumps(landing()).encode("utf-16")), PLAN, 2, "nutonic:"),
    Row("links that are no list", home(landing(links=5)), PLAN, 2, "nutonic:"),
    Row("links that are null", home(landing(links=[None, 5, {"rel": 1}])), PLAN, 2, "nutonic:"),
    Row("conformance that is text", home(landing(conformsTo="all")), PLAN, 2, "nutonic:"),
    Row("a teapot", home(b"", 418), PLAN, 2, "418"),
    Row("denied", home(b"", 401), PLAN, 2, "denies access (401)"),
    Row("gone", home(b"", 410), PLAN, 2, "410"),
    Row("a redirect in a circle", answering(redirecting), PLAN, 2, "redirects more than 5 times"),
    Row("a search elsewhere", searching("http://10.1.2.3/search"), PLAN, 2, "10.1.2.3"),
    Row("a search in a file", searching("file:///etc/passwd"), PLAN, 2, "nutonic:"),
    Row("a search at a cloud's metadata", moving("http://169.254.169.254/latest"), PLAN, 2, "169.254.169.254"),
    Row("a search that is no address", searching("http://["), PLAN, 2, "nutonic:"),
    Row("no list of features", api(lambda *_: {"features": 5}), PLAN, 2, "no list of features"),
    Row("features of null", api(lambda *_: page_of([None, 5, "x", []])), PLAN, 2, "nutonic:"),
    Row("a page that is a number", api(lambda *_: 7), PLAN, 2, "not an object"),
    Row("a page nested 100,000 deep", api(lambda *_: b'{"features":' + b"[" * 100_000), PLAN, 2, "nutonic:"),
    Row(
        "numbers of 5,000 digits",
        api(lambda *_: b'{"features":[' + b"9" * 5_000 + b"]}"),
        PLAN,
        1,
        "no JSON, 6 times",
    ),
    Row("two items of one id", api(lambda h, n: page_of(features(h) * 2)), PLAN, 0, "scenes 1 ", Tree.ANY),
    Row("a page of HTML where items should be", api(lambda *_: b"<html>Sorry</html>"), PLAN, 1, "no JSON, 6 times"),
    *(Row(f"a status of {status}", home(b"", status), PLAN, 2, str(status)) for status in (204, 400, 403, 407, 451)),
    *(Row(f"a status of {status}", home(b"", status), PLAN, 1, str(status)) for status in (501, 503, 522)),
    # Labels and places
    *(
        Row(f"{kind} for the land cover, for ever", labelled(kind), PLAN, code, says)
        for kind, code, says in (
            ("503", 1, "503, 6 times"),
            ("drop", 1, "dropped, 6 times"),
            ("403", 2, "denies access (403)"),
            ("404", 2, "is not there (404)"),
        )
    ),
    Row("a Hub that is not there", hubless, PLAN, 1, "no answer"),
]

ENDING = [
    *(
        Row(f"{kind}, once each", fault(kind, after_s=0.02), BUILD, 0, "built 3 places", CLEAN, 60)
        for kind in ("drip-head", "continue", "trailers", "chunks", "drip", "drip-error", "stall")
    ),
    *(
        Row(f"{kind}, for ever", fault(kind, EVER, after_s=0.02), BUILD, 1, "stay open", RESUMED, PAUSES)
        for kind in ("drip-head", "continue", "trailers", "chunks", "drip", "stall")
    ),
    *(
        Row(f"{kind}, for ever", fault(kind, EVER), BUILD, 1, "stay open", RESUMED, PAUSES)
        for kind in ("headers", "bomb")
    ),
    *(
        Row(f"{kind}, a tenth", served(share=0.1, kinds=(kind,), seed=4), BUILD, 0, "built 3 places", CLEAN, 60)
        for kind in ("headers", "bomb")
    ),
    Row("a Retry-After of a day", fault("429", 1, "/west/red.tif", after_s=1), BUILD, 0, "built 3 places", CLEAN),
    Row(
        "new items for ever",
        api(lambda h, n: page_of([numbered(h, n)], f"search?page={n}")),
        PLAN,
        2,
        "more than 1000 pages",
        seconds=120,
    ),
    Row("empty pages for ever", api(lambda h, n: page_of([], f"search?page={n}")), PLAN, 2, "its pages do not end"),
    Row(
        "the same page for ever",
        api(lambda h, n: page_of(features(h), "search?page=1")),
        PLAN,
        2,
        "nutonic:",
        seconds=120,
    ),
    Row(
        "pages in a circle of three",
        api(lambda h, n: page_of([numbered(h, n % 3)], f"search?page={n % 3}")),
        PLAN,
        2,
        "nutonic:",
        seconds=120,
    ),
    Row("fat items", api(fat), PLAN, 2, "1024 MiB", seconds=90, megabytes=700),
    Row("a page of 100 MB", api(lambda *_: b" " * 100_000_000), PLAN, 2, "answers with more than", megabytes=250),
    Row(
        "a page of 60 MB of empty lists",
        api(lambda *_: b'{"features":[' + b"[]," * 20_000_000 + b"[]]}"),
        PLAN,
        2,
        "nutonic:",
        seconds=120,
        megabytes=400,
    ),
]
