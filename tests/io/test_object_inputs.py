"""Objects as inputs: what is asked of their stores, what is shown of who asks, and what is said where they do not answer."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import yaml
from support.rasters import tif

import nutonic as nt
from nutonic.errors import Gone, InputError, ReadFailed, RecipeError, Refused
from nutonic.io import raster as rasters
from nutonic.io.access import ANYBODY, Access, Identity, access_for
from nutonic.io.buckets import fetched as fetching
from nutonic.io.buckets.address import any_path_of, joined, path_of
from nutonic.io.buckets.fetched import copy_of
from nutonic.io.buckets.inputs import Credentials, Located, Objects
from nutonic.io.http import Policy
from nutonic.io.session import Session, using
from nutonic.recipe.yaml import parse_recipe
from nutonic.testing import SyntheticPlanet

KEY, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "a-canary-of-a-secret", "a-canary-of-a-token"

HREF = "s3://scenes/a/red.tif"


class Asked(NamedTuple):
    """A request as the store saw it."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


class Store:
    """Stands in for a store: it answers with one raster, or as `judge` says: a status, headers and a code."""

    def __init__(self, content: bytes, judge: Callable[[Asked], tuple[int, dict[str, str], str] | None]) -> None:
        self.content, self.judge, self.asked = content, judge, list[Asked]()
        self.tags = itertools.repeat("one")

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        asked = Asked(
            parts.path, parse_qs(parts.query), {name.lower(): value for name, value in handler.headers.items()}
        )
        self.asked.append(asked)
        verdict = self.judge(asked)
        if verdict is not None:
            status, headers, code = verdict
            body = f"<Error><Code>{code}</Code><Message>of {SECRET}</Message></Error>".encode()
        else:
            first, last = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
            body, status = self.content[first : last + 1], 206
            span = f"bytes {first}-{first + len(body) - 1}/{len(self.content)}"
            headers = {"Content-Range": span, "ETag": f'"{next(self.tags)}"'}
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def store(content: bytes, judge=lambda _: None, monkeypatch=None):
    """A store that runs, and that this process finds by its environment."""
    found = Store(content, judge)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found.answer(self)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.address = f"127.0.0.1:{server.server_address[1]}"
    if monkeypatch is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{found.address}")
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture(scope="module")
def raster(tmp_path_factory) -> Path:
    pixels = (
        np.random.default_rng(3).integers(1, 10_000, (600, 600)).astype(np.uint16)
    )  # more than a first request takes
    return tif(tmp_path_factory.mktemp("raster") / "red.tif", pixels)


def read(access: Access, href: str = HREF) -> np.ndarray:
    with Session() as session, using(session):
        return rasters.read(href, np.s_[0:9, 0:9], access=access)


def allowed(**identity) -> Access:
    return Access(hosts=("s3://scenes",), identity=Identity(**identity))


def test_a_block_of_an_object_is_that_of_the_file_and_the_request_is_signed(raster, monkeypatch):
    with store(raster.read_bytes(), monkeypatch=monkeypatch) as there:
        np.testing.assert_array_equal(read(allowed()), rasters.read(str(raster), np.s_[0:9, 0:9]))
    assert {asked.path for asked in there.asked} == {"/scenes/a/red.tif"}
    assert {asked.query["X-Amz-Credential"][0].partition("/")[0] for asked in there.asked} == {KEY}
    assert all("x-amz-request-payer" not in asked.query for asked in there.asked)


def test_what_a_public_bucket_has_is_asked_for_by_nobody(raster, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with store(
        raster.read_bytes(), lambda asked: (403, {}, "AccessDenied") if asked.query else None, monkeypatch
    ) as there:
        read(allowed(unsigned=True), "s3://scenes/a b/ü+%20.tif")
    assert {asked.path for asked in there.asked} == {"/scenes/a%20b/%C3%BC%2B%2520.tif"}


def test_the_environment_may_say_so_too(raster, monkeypatch):
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    with store(raster.read_bytes(), lambda asked: (403, {}, "AccessDenied") if asked.query else None, monkeypatch):
        read(allowed())


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("s3://scenes/a b.tif", "https://scenes.s3.amazonaws.com/a%20b.tif"),
        ("s3://my.scenes/a.tif", "https://s3.us-west-2.amazonaws.com/my.scenes/a.tif"),
        ("gs://scenes/a/b.tif", "https://storage.googleapis.com/scenes/a/b.tif"),
        ("az://scenes/a.tif", "https://someone.blob.core.windows.net/scenes/a.tif"),
    ],
)
def test_where_each_store_has_what_is_public(monkeypatch, href, url):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "someone")
    assert Objects().located(href, Access(identity=Identity(unsigned=True))) == Located(url, is_named=False)


def test_an_account_of_azure_signs_for_an_object_alone(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "someone")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    objects, access = Objects(), Access(hosts=("az://scenes",))
    signed = objects.located("az://scenes/a.tif", access)
    assert signed.url.startswith("https://someone.blob.core.windows.net/scenes/a.tif?")
    assert parse_qs(urlsplit(signed.url).query)["sp"] == ["r"]
    assert (
        objects.located("az://scenes/a.tif", access) == signed
    )  # a signature may take a request, so it is kept a while


def test_nothing_that_signs_is_logged(raster, monkeypatch, caplog):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    with store(raster.read_bytes(), monkeypatch=monkeypatch) as there:
        read(allowed())
    assert {asked.query["X-Amz-Security-Token"][0] for asked in there.asked} == {TOKEN}
    assert "GET /scenes/a/red.tif" in caplog.text
    assert not any(word in caplog.text for word in (KEY, SECRET, TOKEN, "Signature"))


def test_where_readers_pay_the_store_is_told_so(raster, monkeypatch):
    def judge(asked: Asked):
        return None if asked.query.get("x-amz-request-payer") == ["requester"] else (403, {}, "AccessDenied")

    with store(raster.read_bytes(), judge, monkeypatch):
        read(allowed(requester_pays=True))
        with pytest.raises(Refused, match="set requester_pays: true"):
            read(allowed())


def test_a_bucket_in_another_region_is_asked_there_from_then_on(raster, monkeypatch):
    def judge(asked: Asked):
        right = "/eu-central-1/" in asked.query["X-Amz-Credential"][0]
        return None if right else (400, {"x-amz-bucket-region": "eu-central-1"}, "AuthorizationHeaderMalformed")

    with store(raster.read_bytes(), judge, monkeypatch) as there, Session() as session, using(session):
        for row in (0, 500):
            rasters.read(HREF, np.s_[row : row + 9, 0:9], access=allowed())
        assert session.take_counts()["requests"] == len(there.asked)
    wrong = [asked for asked in there.asked if "/us-east-1/" in asked.query["X-Amz-Credential"][0]]
    assert len(wrong) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (
            403,
            "AccessDenied",
            Refused,
            r"s3://scenes/a/red.tif: access is denied \(403, AccessDenied\); .*AWS_ACCESS_KEY_ID",
        ),
        (400, "ExpiredToken", Refused, r"access is denied \(400, ExpiredToken\)"),
        (404, "NoSuchKey", Gone, r"s3://scenes/a/red.tif is not there \(404\)"),
        (404, "NoSuchBucket", Refused, "there is no bucket scenes"),
        (301, "PermanentRedirect", Refused, "the bucket scenes lies in another region: set AWS_REGION"),
        (400, "InvalidRequest", Refused, "s3://scenes/a/red.tif answers with status 400"),
    ],
)
def test_what_a_store_refuses_is_told_in_a_line_after_one_request(raster, monkeypatch, status, code, kind, says):
    answer = store(raster.read_bytes(), lambda _: (status, {}, code), monkeypatch)
    with answer as there, pytest.raises(kind, match=says) as caught:
        read(allowed())
    assert type(caught.value) is kind
    assert len(there.asked) == 1
    assert [word for word in (KEY, SECRET, "Signature", "127.0.0.1", "\n") if word in str(caught.value)] == []


def test_what_may_pass_is_tried_again_and_counted(raster, monkeypatch):
    left = iter([(503, {"Retry-After": "0"}, "SlowDown"), (500, {"Retry-After": "0"}, "InternalError")])
    with store(raster.read_bytes(), lambda _: next(left, None), monkeypatch), Session() as session, using(session):
        rasters.read(HREF, np.s_[0:9, 0:9], access=allowed())
        counts = session.take_counts()
    assert (counts["fault: 503"], counts["fault: 500"]) == (1, 1)


@pytest.mark.parametrize(
    "href",
    [
        "s3://others/a.tif",
        "gs://scenes/a.tif",
        "s3://scenes.evil/a.tif",
        "s3://scenes@x/a",
        "s3:///a.tif",
        "s3://scenes",
    ],
)
def test_a_bucket_that_nobody_named_is_not_asked(href):
    with pytest.raises(Refused):
        allowed().check(href)


@pytest.mark.parametrize("key", ["a?versionId=1", "a#b", "a/../b", "a//b", "a\\b", "a\nb", ""])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(Refused, match="no address of an object"):
        allowed().check(f"s3://scenes/{key}")


def test_of_requester_pays_only_s3_is_known():
    access = Access(hosts=("gs://scenes",), identity=Identity(requester_pays=True))
    with pytest.raises(InputError, match="known of s3:// alone"):
        Credentials(access).check()


def test_missing_credentials_are_told_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(
        Refused, match=r"^s3://scenes: there are no credentials: .* AWS_ACCESS_KEY_ID .*; a public bucket"
    ):
        Credentials(allowed()).check()
    Credentials(allowed(unsigned=True)).check()


# Tokens


def test_a_token_is_shown_to_the_host_it_is_for_and_to_no_other(raster, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    moved = {"Location": ""}
    with store(raster.read_bytes()) as data, store(b"", lambda _: (303, moved, "")) as front:
        moved["Location"] = f"http://localhost:{data.address.rpartition(':')[2]}/signed.tif?X-Amz-Signature=abc"
        other = f"localhost:{data.address.rpartition(':')[2]}"
        access = access_for("", [other], [], None, (), Identity(bearer=((front.address, "EARTHDATA_TOKEN"),)))
        read(access, f"http://{front.address}/protected/red.tif")
    assert {asked.headers["authorization"] for asked in front.asked} == {f"Bearer {TOKEN}"}
    assert data.asked
    assert all("authorization" not in asked.headers for asked in data.asked)


def test_a_token_goes_over_no_line_that_others_may_read(monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    access = access_for("", [], [], None, (), Identity(bearer=(("data.example.org", "EARTHDATA_TOKEN"),)))
    with pytest.raises(Refused, match="plain http") as caught:
        read(access, "http://data.example.org/red.tif")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", "two words", "line\nbreak"])
def test_a_token_that_is_none_is_told_by_the_name_of_its_variable(monkeypatch, value):
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("EARTHDATA_TOKEN", value)
    access = Access(identity=Identity(bearer=(("data.example.org", "EARTHDATA_TOKEN"),)))
    with pytest.raises(Refused, match="EARTHDATA_TOKEN") as caught:
        Credentials(access).check()
    assert "two" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"bearer": {"data.example.org": "a token itself"}}, "name of an environment variable"),
        ({"bearer": {"s3://bucket": "TOKEN"}}, "credentials for buckets come from the environment"),
        ({"unsigned": True, "requester_pays": True}, "leave out unsigned"),
        ({"allow_hosts": ["s3://bucket/path"]}, "no host: write"),
        ({"url": "s3:bucket/items.json"}, "write s3://bucket/items.json"),
        ({"url": "https:/example.org/v1"}, "write https://example.org/v1"),
    ],
)
def test_a_recipe_says_who_asks_and_never_a_secret(part, says):
    recipe = SyntheticPlanet(3).recipe()
    with pytest.raises(RecipeError, match=says) as caught:
        parse_recipe({**recipe, "imagery": {**recipe["imagery"], **part}})
    assert "\n" not in str(caught.value)


def test_who_asks_is_no_part_of_what_a_dataset_is():
    plain = SyntheticPlanet(3).recipe()
    asking = {**plain, "labels": {**plain["labels"], "unsigned": True, "bearer": {"data.example.org": "TOKEN"}}}
    without, with_it = (parse_recipe(content) for content in (plain, asking))
    assert with_it.digest() == without.digest()
    assert "unsigned" not in without.text()
    assert yaml.safe_load(with_it.text())["labels"]["bearer"] == {"data.example.org": "TOKEN"}


# Addresses


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "memory", "http", "https", "hf", "file", "S3"])
def test_an_address_without_its_slashes_is_no_folder_at_any_door(scheme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f"{scheme}:bucket/x"
    doors = [
        lambda: any_path_of(text),
        lambda: path_of(text),
        lambda: nt.RasterSource(text).index(),
        lambda: nt.StacSource(url=text, collection="c"),
    ]
    for door in doors:
        with pytest.raises(
            InputError, match=rf"{scheme}:bucket/x is no address: write {scheme.lower()}://bucket/x"
        ) as caught:
            door()
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert any_path_of(f"./{text}") == Path(text)


@pytest.mark.parametrize("text", ["c:/folder", "notes:1/a", "s3/bucket", "gsutil:x", "azure:x"])
def test_what_only_looks_like_an_address_is_a_folder(text):
    assert str(path_of(text)) == text


def test_hrefs_of_a_catalogue_in_a_bucket_are_relative_to_it():
    assert joined("s3://b/c/items.json", "red.tif") == "s3://b/c/red.tif"
    assert joined("s3://b/c/items.json", "../red.tif") == "s3://b/red.tif"
    assert joined("s3://b/c/items.json", "https://h/red.tif") == "https://h/red.tif"
    assert joined("https://h/c/items.json", "s3://b/red.tif") == "s3://b/red.tif"


# Whole files


def test_a_large_file_is_fetched_in_parts_and_once_in_a_session(monkeypatch):
    monkeypatch.setattr(fetching, "_PIECE", 1000)
    content = np.random.default_rng(1).bytes(4500)
    with store(content, monkeypatch=monkeypatch) as there, Session() as session, using(session):
        paths = [copy_of("s3://scenes/a/places.csv", ANYBODY, 10_000) for _ in range(2)]
        assert [path.read_bytes() for path in paths] == [content] * 2
        assert paths[0].name.endswith("places.csv")
    assert sorted(asked.headers["range"] for asked in there.asked) == [
        "bytes=0-999",
        "bytes=1000-1999",
        "bytes=2000-2999",
        "bytes=3000-3999",
        "bytes=4000-4499",
    ]
    assert not paths[0].exists()  # the session's end removes it


def test_a_file_that_is_too_large_is_not_fetched(monkeypatch):
    told = pytest.raises(InputError, match="has 4,500 bytes, more than 4,000: divide it")
    with store(bytes(4500), monkeypatch=monkeypatch), Session() as session, using(session), told:
        copy_of("s3://scenes/a/places.csv", ANYBODY, 4000)


def test_a_file_that_is_another_one_midway_is_not_put_together(monkeypatch):
    monkeypatch.setattr(fetching, "_PIECE", 1000)
    with store(bytes(4500), monkeypatch=monkeypatch) as there, Session() as session, using(session):
        there.tags = iter(["one", "two", "two", "two", "two"])
        with pytest.raises(ReadFailed, match=r"s3://scenes/a/places\.csv changed while it was read"):
            copy_of("s3://scenes/a/places.csv", ANYBODY, 10_000)


def test_an_empty_file_is_one_whose_server_says_so(monkeypatch):
    empty = store(b"", lambda _: (416, {"Content-Range": "bytes */0"}, "InvalidRange"), monkeypatch)
    with empty, Session() as session, using(session):
        assert copy_of("s3://scenes/a/places.csv", ANYBODY, 10_000).read_bytes() == b""


@pytest.mark.parametrize("name", ["..", "a%2Fb", "x" * 300 + ".csv", "ü b.csv"])
def test_no_name_leads_a_copy_elsewhere(monkeypatch, name):
    url = f"s3://scenes/{name}" if name != ".." else "https://127.0.0.1:1/.."
    with store(b"lon,lat", monkeypatch=monkeypatch), Session(Policy(attempts=1)) as session, using(session):
        if name == "..":
            with pytest.raises(ReadFailed):
                copy_of(url, ANYBODY, 100)
        else:
            assert copy_of(url, ANYBODY, 100).read_bytes() == b"lon,lat"
