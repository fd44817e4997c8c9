"""Searching STAC APIs: real servers give what the local catalogue holds, and bad ones do no harm."""

import contextlib
import gzip
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from support.transport import RecordingTransport

from nutonic.core.times import as_interval
from nutonic.errors import InputError, Refused, SourceError, Unreachable
from nutonic.io.access import Access, access_for
from nutonic.io.http import Policy
from nutonic.io.session import Session, current, using
from nutonic.sources.stac import api, api_io
from nutonic.sources.stac.api import Query, search_api
from nutonic.sources.stac.files import read_items
from nutonic.testing import ENDLESS, Fault, FileServer

pytest_plugins = ["support.stac_servers"]

#: The planet's items under a name of their own: the servers are shared with modules that have other planets.
COLLECTION = "planet-l2a"

WORLD = (-180.0, -90.0, 180.0, 90.0)
MONTH = "2024-05-01/2024-05-31"
FAR = [
    [[[170, 60], [180, 60], [180, 70], [170, 70], [170, 60]]],
    [[[-180, 60], [-170, 60], [-170, 70], [-180, 70], [-180, 60]]],
]


def ask(**parts) -> Query:
    query = {"collection": COLLECTION, "box": WORLD, "time": None, "max_cloud_cover": None} | parts
    return Query(**query | {"time": as_interval(query["time"])})


def search(url, **parts):
    return search_api(url, ask(**parts), access_for(url, [], [], None))


def known(url, **parts):
    """A server as this session knows it from now on, whatever its landing page says."""
    access = access_for(url, [], [], None)
    found = replace(api._read_server(url, access), **parts)
    return current().resource(api._Servers).get((url, access), lambda: found)


def ids(items):
    return sorted(item.id for item in items)


def item(name, *, moment="2024-05-15T00:00:00Z", collection=COLLECTION, cloud=None, **parts):
    ring = [[10, 45], [11, 45], [11, 46], [10, 46], [10, 45]]
    properties = {"datetime": moment} | ({} if cloud is None else {"eo:cloud_cover": cloud})
    head = {"type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "links": []}
    place = {"geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": [10, 45, 11, 46]}
    assets = {"red": {"href": f"https://files.example/{name}.tif", "roles": ["data"]}}
    return head | place | {"properties": properties, "assets": assets} | parts


# Real servers


def span(name, start, end, **parts):
    return item(name, properties={"datetime": None, "start_datetime": start, "end_datetime": end}, **parts)


EDGES = [
    item("before", moment="2024-04-30T23:59:59Z"),
    item("first", moment="2024-05-01T00:00:00Z"),
    item("last", moment="2024-05-31T23:59:59Z"),
    item("after", moment="2024-06-01T00:00:00Z"),
]
ODD = [
    item("multi", geometry={"type": "MultiPolygon", "coordinates": FAR}, bbox=[170, 60, -170, 70]),
    item("globe", geometry={"type": "MultiPolygon", "coordinates": FAR}, bbox=[-180, 60, 180, 70]),
    span("year", "2024-01-01T00:00:00Z", "2024-12-31T00:00:00Z"),
]


def of_collection(items, name):
    return [{**item, "collection": name} for item in items]


@pytest.fixture(scope="session")
def local(recipe_path):
    """The planet's items as a server gets them: with hrefs in full."""
    catalogue = json.loads((recipe_path.parent / "items.json").read_text(encoding="utf-8"))
    items = of_collection(catalogue["features"], COLLECTION)
    for asset in (asset for item in items for asset in item["assets"].values()):
        asset["href"] = f"https://files.example/{asset['href']}"
    return items


@pytest.fixture(scope="session")
def servers(request, local):
    """Starts a server by its name; both hold the same."""
    everything = [*local, *of_collection(EDGES, "edges"), *of_collection(ODD, "odd")]

    def pgstac():
        server = request.getfixturevalue("pgstac")
        for collection in (COLLECTION, "edges", "odd"):
            server.load(collection, [item for item in everything if item["collection"] == collection])
        return server.url

    def rustac():
        return request.getfixturevalue("rustac")(everything)

    start = {"pgstac": cache(pgstac), "rustac": cache(rustac)}
    return lambda name: start[name]()


@pytest.fixture(params=["pgstac", "rustac"])
def server(request, servers):
    return servers(request.param)


@pytest.fixture
def asked():
    """All messages that are sent."""
    recorded = RecordingTransport()
    with Session(transport=recorded) as session, using(session):
        yield recorded.messages


def said(content):
    """What a server must not change; pgstac leaves out what is null."""
    kept = {key: content[key] for key in ("type", "id", "collection", "geometry", "bbox", "assets")}
    return kept | {"properties": {key: value for key, value in content["properties"].items() if value is not None}}


@pytest.mark.long
def test_a_server_gives_what_the_catalogue_holds(server, local, recipe_path):
    found = search(server)
    assert {item.id: said(item.content) for item in found} == {content["id"]: said(content) for content in local}
    assert ids(found) == ids(read_items(str(recipe_path.parent / "items.json")))
    assert all(item.is_remote for item in found)


@pytest.mark.long
def test_pages_are_followed(server, local, asked, monkeypatch):
    search(server, collection="edges")
    monkeypatch.setattr(api, "PAGE", 2)
    asked.clear()
    assert ids(search(server)) == sorted(content["id"] for content in local)
    assert len(asked) >= 3


def test_both_ends_of_an_interval_are_in_it(server):
    assert ids(search(server, collection="edges", time=MONTH)) == ["first", "last"]
    assert ids(search(server, collection="edges", time="2024-04-30/2024-06-01")) == ["after", "before", "first", "last"]
    to_the_second = "2024-05-01T02:00:00+02:00/2024-05-31T23:59:59Z"
    assert ids(search(server, collection="edges", time=to_the_second)) == ["first", "last"]


def test_footprints_of_several_parts_and_round_the_globe(server):
    found = {item.id: item for item in search(server, collection="odd")}
    assert {name: said(item.content) for name, item in found.items()} == {
        content["id"]: said(content) for content in of_collection(ODD, "odd")
    }
    assert found["year"].moment == "2024-01-01T00:00:00Z"
    assert {"multi", "globe"} <= set(ids(search(server, collection="odd", box=(171.0, 61.0, 172.0, 62.0))))
    between = search(server, collection="odd", box=(0.0, 61.0, 1.0, 62.0), time=MONTH)
    assert set(ids(between)) <= {"multi", "globe"}  # by their boxes


def test_no_clear_item_is_lost_with_a_limit(server, local):
    clear = {content["id"] for content in local if content["properties"]["eo:cloud_cover"] <= 20}
    assert clear <= set(ids(search(server, max_cloud_cover=20.0)))
    assert len(clear) < len(local)


def test_a_server_that_can_leaves_out_cloudy_items(servers, local):
    assert ids(search(servers("pgstac"), max_cloud_cover=20.0)) == sorted(
        content["id"] for content in local if content["properties"]["eo:cloud_cover"] <= 20
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("extension", ["QUERY", "FILTER"])
def test_every_way_to_ask_a_server_that_can(servers, local, monkeypatch, asked, method, extension):
    url = servers("pgstac")
    found = known(url, method=method)
    found.client.remove_conforms_to("FILTER" if extension == "QUERY" else "QUERY")
    monkeypatch.setattr(api, "PAGE", 1)
    asked.clear()
    time, clear = "2024-05-11/2024-07-10", {"east-applied", "full", "west", "east-raw"}
    assert set(ids(search(url, time=time, max_cloud_cover=20.0, box=(17.9, 46.6, 18.1, 46.8)))) == clear
    assert {request.method for request in asked} == {method}
    assert len(asked) >= len(clear)


def test_paging_by_get(servers, local, session, monkeypatch):
    server = servers("pgstac")  # rustac fails on any GET that names collections
    known(server, method="GET")
    monkeypatch.setattr(api, "PAGE", 2)
    assert ids(search(server)) == sorted(content["id"] for content in local)


def test_a_collection_that_is_not_there(server):
    with pytest.raises(InputError, match=r"no collection 'planet-l1a'; did you mean planet-l2a\?"):
        search(server, collection="planet-l1a")


def test_nothing_found_is_no_error(server, asked):
    assert search(server, box=(100.0, -50.0, 101.0, -49.0)) == []
    asked.clear()
    assert search(server, box=(100.0, -50.0, 101.0, -49.0)) == []
    assert len(asked) == 1


# Servers of our own, which do wrong


Answer = tuple[int, dict[str, str], bytes]


class Rogue(ThreadingHTTPServer):
    """A server that does what a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[tuple[str, str, dict]] = []
        self.pages: Callable[[dict], object] = lambda parameters: page()
        self.answers: dict[str, list[Answer]] = {}
        self.landing = landing(self.url)

    def answer(self, method, path, parameters) -> Answer:
        self.asked.append((method, path, parameters))
        if self.answers.get(path):
            answers = self.answers[path]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        if path in ("", "/"):
            return said_as(self.landing)
        if path == "/search":
            answer = self.pages(parameters)
            return answer if isinstance(answer, tuple) else said_as(answer)
        return 404, {}, b"nothing"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = urlsplit(self.path)
        self.reply(parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(urlsplit(self.path).path, body)

    def reply(self, path, parameters):
        status, headers, body = self.server.answer(self.command, path, parameters)
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def said_as(document) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


def landing(url, *extensions, methods=("GET", "POST")):
    conforms = [f"https://api.stacspec.org/v1.0.0/{part}" for part in ("core", "item-search", *extensions)]
    links = [{"rel": "search", "href": f"{url}/search", "method": method} for method in methods]
    links += [{"rel": "data", "href": f"{url}/collections"}]
    head = {"type": "Catalog", "stac_version": "1.0.0", "id": "rogue", "description": "Does wrong"}
    return {**head, "conformsTo": conforms, "links": links}


def page(*items, **following):
    links = [{"rel": "next", "method": "GET", **following}] if following else []
    return {"type": "FeatureCollection", "features": list(items), "links": links}


@pytest.fixture
def rogue(session):
    with Rogue() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def searches(server):
    return [parameters for _, path, parameters in server.asked if path == "/search"]


def test_the_landing_page_is_read_once(rogue):
    rogue.pages = lambda parameters: page(item("a"))
    assert [ids(search(rogue.url)) for _ in range(3)] == [["a"]] * 3
    assert [path for _, path, _ in rogue.asked].count("/") == 1


@pytest.mark.parametrize(("methods", "method"), [(("GET", "POST"), "POST"), (("GET",), "GET"), (("POST",), "POST")])
def test_it_is_asked_as_the_landing_page_offers(rogue, methods, method):
    rogue.landing = landing(rogue.url, "item-search#filter", methods=methods)
    rogue.pages = lambda parameters: page(item("a"))
    search(rogue.url, box=(1.0, 2.0, 3.0, 4.0), time=MONTH, max_cloud_cover=20.0)
    ((found, _, parameters),) = [request for request in rogue.asked if request[1] == "/search"]
    interval = "2024-05-01T00:00:00Z/2024-05-31T23:59:59.999999Z"
    assert (found, parameters["datetime"]) == (method, interval)
    assert (parameters["bbox"], parameters["collections"]) == (
        ([1, 2, 3, 4], [COLLECTION]) if method == "POST" else ("1.0,2.0,3.0,4.0", COLLECTION)
    )
    assert parameters["filter-lang"] == ("cql2-json" if method == "POST" else "cql2-text")
    assert "sortby" not in parameters


def test_links_may_be_relative_and_merge(rogue):
    def pages(parameters):
        if parameters.get("token") == "2":
            assert parameters["collections"] == [COLLECTION]
            return page(item("b"), href="?token=3&collections=x")
        return page(item("c")) if parameters.get("token") == "3" else page(item("a"), **second)

    second = {"href": "/search", "method": "post", "merge": True, "body": {"token": "2"}, "headers": {"Host": "other"}}
    rogue.landing["links"][1]["href"] = "/search"
    rogue.pages = pages
    assert ids(search(rogue.url)) == ["a", "b", "c"]
    assert [method for method, path, _ in rogue.asked if path == "/search"] == ["POST", "POST", "GET"]


def test_an_item_that_comes_twice_is_one(rogue):
    rogue.pages = lambda p: (
        page(item("a"), item("b")) if p.get("token") else page(item("a"), href=f"{rogue.url}/search?token=1")
    )
    assert ids(search(rogue.url)) == ["a", "b"]


def test_an_empty_page_is_not_the_end(rogue):
    rogue.pages = lambda p: page(item("a")) if p.get("token") else page(href=f"{rogue.url}/search?token=1")
    assert ids(search(rogue.url)) == ["a"]


@pytest.mark.parametrize("items", [[], [item("same")]], ids=["empty", "the same"])
def test_pages_that_run_in_a_circle_end(rogue, items):
    rogue.pages = lambda parameters: page(*items, href=f"{rogue.url}/search?token=1")
    with pytest.raises(InputError, match="do not end"):
        search(rogue.url)
    assert len(searches(rogue)) < 10


def test_pages_that_always_hold_more_end(rogue, monkeypatch):
    monkeypatch.setattr(api, "MOST_ITEMS", 30)

    def pages(parameters):
        number = int(parameters.get("token", 0))
        return page(*(item(f"{number}-{k}") for k in range(10)), href=f"{rogue.url}/search?token={number + 1}")

    rogue.pages = pages
    with pytest.raises(InputError, match="more than 30 items"):
        search(rogue.url)
    assert len(searches(rogue)) == 4


@pytest.mark.parametrize("empty", [0, 3], ids=["one item a page", "three empty pages before each item"])
def test_pages_that_never_end_are_told_with_their_number(rogue, monkeypatch, empty):
    monkeypatch.setattr(api_io, "MOST_PAGES", 20)

    def pages(parameters):
        number = int(parameters.get("token", 0))
        items = () if number % (1 + empty) else (item(f"new-{number}"),)
        return page(*items, href=f"{rogue.url}/search?token={number + 1}")

    rogue.pages = pages
    with pytest.raises(InputError, match="gives more than 20 pages for one search: ask for a shorter time, a smaller"):
        search(rogue.url)
    assert len(searches(rogue)) == 20


def test_as_many_pages_as_there_may_be_are_read(rogue, monkeypatch):
    monkeypatch.setattr(api_io, "MOST_PAGES", 5)

    def pages(parameters):
        number = int(parameters.get("token", 0))
        return page(item(f"{number}"), **({} if number == 4 else {"href": f"{rogue.url}/search?token={number + 1}"}))

    rogue.pages = pages
    assert ids(search(rogue.url)) == ["0", "1", "2", "3", "4"]


@pytest.mark.long
@pytest.mark.parametrize("fat", ["x" * 300_000, [[]] * 30_000], ids=["text", "values"])
def test_items_that_would_fill_the_memory_are_told(rogue, monkeypatch, fat):
    monkeypatch.setattr(api_io, "MOST_MEMORY", 8 * 2**20)

    def pages(parameters):
        number = int(parameters.get("token", 0))
        return page(item(f"{number}", extra=fat), href=f"{rogue.url}/search?token={number + 1}")

    rogue.pages = pages
    with pytest.raises(InputError, match="gives items of more than 8 MiB for one search: ask for"):
        search(rogue.url)
    assert len(searches(rogue)) < 40


@pytest.mark.parametrize("where", ["/", "/search"])
def test_an_answer_of_too_many_values_is_refused_before_it_is_read(rogue, monkeypatch, where):
    monkeypatch.setattr(api_io, "MOST_VALUES", 10_000)
    rogue.answers[where] = [(200, {}, b'{"features": [' + b"{}," * 10_000 + b"{}]}")]
    with pytest.raises(InputError, match="JSON of more than 10000 values: ask for"):
        search(rogue.url)


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_server_whose_answers_do_not_end_is_unreachable(tmp_path, kind):
    head = {"Content-Type": "application/json"}
    answers = {"/": (200, head, json.dumps(landing("")).encode())}
    with FileServer(tmp_path, answers=answers, faults=[Fault(kind, times=None, after_s=0.03)]) as server:
        began = time.monotonic()
        with (
            Session(Policy(pause_s=0.001, read_s=0.1, attempts=2)) as hasty,
            using(hasty),
            pytest.raises(Unreachable, match=r"(too slow|timed out|503), 2 times$") as error,
        ):
            search(f"{server.url}/?page=1")
        assert time.monotonic() - began < 20  # whoever waits for silence waits for ever
        assert "\n" not in str(error.value)
        assert len(server.requests()) == 2


def test_a_page_at_another_host_is_not_asked_for(rogue):
    with Rogue() as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        rogue.pages = lambda parameters: page(item("a"), href=f"{other.url}/search?token=SECRET")
        with pytest.raises(Refused, match="not an allowed host") as error:
            search(rogue.url)
        other.shutdown()
        thread.join()
    assert other.asked == []
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("href", ["file:///etc/passwd", "//[", "ftp://127.0.0.1/a", "http://u:p@127.0.0.1/"])
def test_a_page_that_is_no_address_of_ours_is_refused(rogue, href):
    rogue.pages = lambda parameters: page(item("a"), href=href)
    with pytest.raises(SourceError):
        search(rogue.url)


def test_only_get_and_post_are_sent(rogue):
    rogue.pages = lambda parameters: page(item("a"), href=f"{rogue.url}/search?token=1", method="DELETE")
    assert ids(search(rogue.url)) == ["a"]


HTML = (200, {"Content-Type": "text/html"}, b"<html>sorry</html>")


@pytest.mark.parametrize(
    "first",
    [
        [HTML, HTML],
        [(503, {}, b""), (429, {"Retry-After": "0"}, b"")],
        [(200, {}, b'{"type": "Fea')],
        [(500, {}, b"x")],
    ],
    ids=["html", "503 and 429", "cut short", "500"],
)
def test_what_passes_is_asked_again(rogue, first):
    current().take_counts()
    rogue.answers["/search"] = [*first, said_as(page(item("a")))]
    assert ids(search(rogue.url)) == ["a"]
    counts = current().take_counts()
    assert sum(count for name, count in counts.items() if name.startswith("fault: ")) == len(first)


def test_a_server_that_never_answers_is_unreachable(rogue):
    rogue.answers["/search"] = [(503, {}, b"")]
    with pytest.raises(Unreachable, match="503, 6 times") as error:
        search(rogue.url)
    assert "\n" not in str(error.value)
    rogue.answers["/search"] = [HTML]
    with pytest.raises(Unreachable, match="no JSON, 6 times"):
        search(rogue.url)


def test_the_page_of_a_website_is_no_api(rogue):
    rogue.answers["/"] = [HTML]
    with pytest.raises(InputError, match="is no STAC API: it answers with no JSON"):
        search(f"{rogue.url}/?token=SECRET")
    assert len(rogue.asked) == 6  # it may have been a page that says sorry


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, InputError, "answers with status 400, as no STAC API does"),
        (204, InputError, "answers with status 204, as no STAC API does"),
        (401, Refused, "denies access (401)"),
        (403, Refused, "denies access (403)"),
        (410, InputError, "(410)"),
        (501, Unreachable, "answers with status 501"),
        (522, Unreachable, "answers with status 522"),
    ],
)
@pytest.mark.parametrize("where", ["/", "/search"])
def test_a_status_that_will_not_pass_is_a_mistake_and_one_of_the_server_is_not(rogue, where, status, kind, words):
    rogue.answers[where] = [(status, {}, b"")]
    with pytest.raises(kind, match=re.escape(words)) as error:
        search(f"{rogue.url}/?token=SECRET")
    assert isinstance(error.value, Unreachable) is (kind is Unreachable)
    assert "SECRET" not in str(error.value)


def test_nobody_there(session):
    with Rogue() as server:
        url = server.url
    with pytest.raises(Unreachable, match="6 times"):
        search(url)


@pytest.mark.parametrize("depth", [300, 900, 5_000_000])
@pytest.mark.parametrize("where", ["/", "/search"])
def test_nested_json_is_refused(rogue, where, depth):
    nested = b'{"type": "FeatureCollection", "features": %s}' % (b"[" * depth + b"]" * depth)
    rogue.answers[where] = [(200, {}, nested)]
    with pytest.raises(InputError, match="nested too deep"):
        search(rogue.url)


@pytest.mark.long
def test_a_page_that_is_too_long_is_refused(rogue, monkeypatch):
    rogue.answers["/search"] = [(200, {}, b" " * 100_000_000)]
    with pytest.raises(Refused, match="more than 67108864 bytes"):
        search(rogue.url)
    squeezed = gzip.compress(b" " * 100_000_000)
    rogue.answers["/search"] = [(200, {"Content-Encoding": "gzip"}, squeezed)]
    with pytest.raises(Refused, match="more than 67108864 bytes"):
        search(rogue.url)


def test_compressed_answers_are_read(rogue):
    body = gzip.compress(json.dumps(page(item("a"))).encode())
    rogue.answers["/search"] = [(200, {"Content-Encoding": "gzip"}, body)]
    assert ids(search(rogue.url)) == ["a"]


NO_PAGES = [
    {"type": "Feature"}, {"features": {"a": 1}}, {"code": "BadRequest"}, [1], "text", {"features": None}
]  # fmt: skip


@pytest.mark.parametrize("answer", NO_PAGES, ids=repr)
def test_what_is_no_item_collection_is_refused(rogue, answer):
    rogue.answers["/search"] = [said_as(answer)]
    with pytest.raises(InputError, match=r"no list of features|not an object"):
        search(rogue.url)


BROKEN = [None, 1, {}, item("a", geometry=None), item("a", assets=None), item("a", properties={}), item("")]


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_item_is_named(rogue, content):
    rogue.pages = lambda parameters: page(content)
    with pytest.raises(InputError, match="is no STAC item"):
        search(rogue.url)


@pytest.mark.parametrize("links", [None, 5, [None, 1, {}, {"rel": "next"}, {"rel": 1, "href": "x"}]], ids=repr)
def test_odd_links_lead_nowhere(rogue, links):
    rogue.pages = lambda parameters: {"features": [item("a", links=links)], "links": links}
    rogue.landing["links"] += links if isinstance(links, list) else []
    assert ids(search(rogue.url)) == ["a"]


@pytest.mark.parametrize("own", ["/etc/passwd", "file:///etc/passwd", "../x", "https://other.example/a.json"])
def test_an_item_from_afar_is_never_a_local_one(rogue, own):
    rogue.pages = lambda parameters: page(item("a", links=[{"rel": "self", "href": own}]))
    (found,) = search(rogue.url)
    assert found.base.startswith(("http://", "https://"))
    assert found.base.startswith("https://other.example/") == own.startswith("https:")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"conformsTo": []}, "catalogue without search"),
        ({"conformsTo": "x"}, r"no STAC API|without search"),
        ({"conformsTo": [1]}, "catalogue without search"),
        ({"conformsTo": None}, r"no STAC API|without search"),
        ({"type": "Collection"}, "it is a Collection"),
        ({"type": "FeatureCollection"}, "it is a FeatureCollection"),
        ({"type": 7}, "not STAC"),
    ],
    ids=str,
)
def test_what_is_no_api_says_what_it_is(rogue, change, problem):
    rogue.landing |= change
    with pytest.raises(InputError, match=problem):
        search(rogue.url)


def test_json_that_is_not_stac(rogue):
    rogue.landing = {"message": "welcome"}
    with pytest.raises(InputError, match="not STAC"):
        search(rogue.url)


@pytest.mark.parametrize("depth", [10, 100, 240])
def test_a_landing_page_as_deep_as_it_may_be(rogue, depth):
    rogue.answers["/"] = [said_as(rogue.landing | {"extra": json.loads("[" * depth + "]" * depth)})]
    rogue.pages = lambda parameters: page(item("a"))
    with contextlib.suppress(InputError):
        assert ids(search(rogue.url)) == ["a"]


def test_nothing_at_the_address(rogue):
    with pytest.raises(InputError, match=r"nothing is there \(404\)"):
        search(f"{rogue.url}/v1")


def test_search_without_a_link_is_beside_the_landing_page(rogue):
    rogue.landing["links"] = []
    rogue.pages = lambda parameters: page(item("a"))
    assert ids(search(rogue.url)) == ["a"]


def test_a_missing_collection_is_an_error_only_where_the_server_tells(rogue):
    assert search(rogue.url) == []  # no collections served
    rogue.answers["/collections"] = [said_as({"collections": [{"id": "landsat"}, {"id": "sentinel-1"}]})]
    with pytest.raises(InputError, match=r"no collection 'planet-l2a'; it has landsat, sentinel-1$"):
        search(rogue.url)
    rogue.answers[f"/collections/{COLLECTION}"] = [said_as({"type": "Collection", "id": COLLECTION})]
    assert search(rogue.url) == []


def test_a_search_that_is_not_found_names_the_collection_or_itself(rogue):
    rogue.answers["/search"] = [(404, {}, b"")]
    with pytest.raises(InputError, match="no search at"):
        search(rogue.url)
    rogue.answers["/collections"] = [said_as({"collections": [{"id": "planet-l3a"}]})]
    with pytest.raises(InputError, match="did you mean planet-l3a"):
        search(rogue.url)


@pytest.mark.parametrize("extension", ["item-search#query", "item-search#filter"])
def test_a_limit_that_hides_clear_items_is_not_believed(rogue, extension):
    rogue.landing = landing(rogue.url, extension)
    rogue.pages = lambda p: page() if {"query", "filter"} & set(p) else page(item("a", cloud=10), item("b", cloud=90))
    assert ids(search(rogue.url, max_cloud_cover=20.0)) == ["a", "b"]
    assert len(searches(rogue)) == 2
    assert ids(search(rogue.url, max_cloud_cover=20.0)) == ["a", "b"]
    assert len(searches(rogue)) == 3


def test_a_limit_that_finds_nothing_where_all_is_cloudy_is_believed(rogue):
    rogue.landing = landing(rogue.url, "item-search#query")
    rogue.pages = lambda parameters: page() if "query" in parameters else page(item("b", cloud=90), item("c"))
    for _ in range(2):
        assert ids(search(rogue.url, max_cloud_cover=20.0)) == ["b", "c"]
    assert ["query" in parameters for parameters in searches(rogue)] == [True, False] * 2


@pytest.mark.parametrize("most", [None, 100.0])
def test_without_a_limit_none_is_sent(rogue, most):
    rogue.landing = landing(rogue.url, "item-search#query", "item-search#filter")
    rogue.pages = lambda parameters: page(item("a"))
    search(rogue.url, max_cloud_cover=most)
    assert {"query", "filter"} & set(searches(rogue)[0]) == set()


def test_a_limit_that_the_server_chokes_on_is_left_out(rogue):
    rogue.landing = landing(rogue.url, "item-search#query")
    rogue.pages = lambda parameters: (400, {}, b"") if "query" in parameters else page(item("a", cloud=1))
    assert ids(search(rogue.url, max_cloud_cover=20.0)) == ["a"]


def test_a_server_that_is_not_allowed_is_not_asked(rogue):
    with pytest.raises(Refused, match="allow_hosts"):
        search_api(rogue.url, ask(), Access(hosts=("example.org",)))
    assert rogue.asked == []


def test_files_are_never_read(tmp_path):
    (tmp_path / "catalog.json").write_text(json.dumps(landing("x")), encoding="utf-8")
    with pytest.raises(Refused):
        api_io.ApiIo(Access()).read_json(str(tmp_path / "catalog.json"))
