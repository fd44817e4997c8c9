"""One definition of what a secret is, and all who keep to it: messages, assets, trees, reports."""

from __future__ import annotations

import html
import json
import shutil

import orjson
import pytest
import yaml
from shapely.geometry import box
from support.trees import small_planet

import nutonic as nt
from nutonic.dataset.verify import verify
from nutonic.errors import Refused
from nutonic.io.access import Access
from nutonic.recipe.inputs import Imagery
from nutonic.run.dask_report import without_secrets
from nutonic.secrets import environment_secrets, holds_opaque_value, holds_secret, query_keys, redact, without_queries
from nutonic.sources.item import Item
from nutonic.sources.stac.assets import asset_of, pinned
from nutonic.sources.stac.bands import Located
from nutonic.sources.stac.geoparquet import geoparquet_bytes, raw_rows
from nutonic.testing import FileServer

CANARY = "canary0123456789"
PARAMETERS = (
    *("sig", "signature", "token", "access_token", "key", "api_key", "apikey", "subscription-key"),
    *("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "x-goog-signature", "X-Goog-Credential", "SIG"),
)
SIGNED = [f"https://h.example/a.tif?x=1{mark}{name}={CANARY}" for name in PARAMETERS for mark in ("&", ";")]
USERS = [f"https://{CANARY}@h.example/a.tif", f"https://me:{CANARY}@h.example/a.tif", f"ftp://me:{CANARY}@h/a.tif"]
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n{CANARY}==\n-----END RSA PRIVATE KEY-----"
KEYS = ["AKIA" + CANARY.upper(), PEM, PEM[:60], PEM.replace("\n", "\\n"), PEM.replace("RSA ", "")]
KEYS += [f"{kind}.eyJ1Ijoi{CANARY}.{CANARY}" for kind in ("pk", "sk", "tk")]
NAMES = (
    *("GITHUB_TOKEN", "client_secret", "DB_PASSWORD", "DB_PASSWD", "MY_API_KEY", "MYAPIKEY", "GOOGLE_CREDENTIALS"),
    *("PC_SDK_SUBSCRIPTION_KEY", "PASSPHRASE", "REQUEST_SIGNATURE", "HTTPS_PROXY", "AZURE_STORAGE_SAS"),
)
HARMLESS = [
    *("https://h.example/a.tif?v=2&tokens=3", "https://h.example/a@2x.tif", "me@example.org", "what is the key? = 3"),
    *("s3://bucket/monkey=1/a.tif", '{"url":"https://h.example","mail":"me@h.example"}', "AKIA", "BEGIN PRIVATE KEY"),
]


def item(href: str) -> Item:
    content = {"id": "s", "properties": {"datetime": "2024-05-01T00:00:00Z"}, "assets": {"red": {"href": href}}}
    return Item(content=content, footprint=None, base="https://h.example/items/s")  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", [*SIGNED, *USERS, *KEYS])
def test_a_secret_is_one_to_all(secret: str):
    sentence = f"cannot read {secret}, 403"
    assert holds_secret(sentence)
    assert holds_secret(sentence.encode())
    told = redact(f"cannot read {secret}")
    assert CANARY.lower() not in told.lower()
    assert told.startswith("cannot read ")
    page = f'<p>{html.escape(secret)}</p><script type="application/json">{orjson.dumps([secret]).decode()}</script>'
    assert CANARY.lower() not in without_secrets(page).lower()


@pytest.mark.parametrize("secret", [*SIGNED, *USERS])
def test_an_asset_with_a_secret_in_its_address_is_refused(secret: str):
    with pytest.raises(Refused, match="give URLs without a user, a signature or a token") as error:
        asset_of(item(secret), Located("red"), Access(), name="red")
    assert CANARY not in str(error.value)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_none_stays(text: str):
    assert not holds_secret(text)
    assert redact(text).startswith(text.partition("?")[0])


@pytest.mark.parametrize("name", NAMES)
def test_values_of_the_environment_are_secret_by_their_names(monkeypatch, name: str):
    monkeypatch.setenv(name, CANARY)
    assert CANARY in environment_secrets()
    assert CANARY not in without_secrets(f"<p>{CANARY}</p>")


def test_words_and_other_names_are_no_secrets():
    assert environment_secrets({"A_TOKEN": "short", "HOME": CANARY, "LANG": CANARY}) == []
    assert environment_secrets({"A_KEY": "abcdef", "B_KEY": "abcdefgh"}) == ["abcdefgh", "abcdef"]


def test_a_tree_is_searched_for_all_of_them(built, tmp_path, monkeypatch):
    copy = shutil.copytree(built.out, tmp_path / "copy")
    assert verify(copy, deep=True).whole
    names = {name: f"{CANARY}-{name}" for name in NAMES}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    planted = [*SIGNED, *USERS, *KEYS, *names.values()]
    for k, secret in enumerate(planted):
        (copy / f"note{k:03d}.txt").write_text(f"note: {secret}\n")
    problems = verify(copy, deep=True).problems
    found = {line.partition(" ")[0] for line in problems if "secret" in line or "token" in line}
    assert found == {f"note{k:03d}.txt" for k in range(len(planted))}
    assert CANARY not in "".join(problems)


# By allow list: whatever a key is called

ANY_NAME = (
    *(
        "api_key",
        "apiKey",
        "API-KEY",
        "key",
        "password",
        "auth",
        "AWSAccessKeyId",
        "Policy",
        "Key-Pair-Id",
        "Signature",
    ),
    *(
        "sig",
        "sv",
        "se",
        "sp",
        "X-Amz-Date",
        "x-amz-expires",
        "GoogleAccessId",
        "access_token",
        "hdnts",
        "e",
        "md5",
        "zz",
    ),
)
ADDRESS = "https://h.example/a.tif"
HIDDEN = {
    **{f"{ADDRESS}?{name}={CANARY}": name for name in ANY_NAME},
    **{f"{ADDRESS}?ok=1&{name.upper()}={CANARY}": name.upper() for name in ANY_NAME},
    f"{ADDRESS}#token={CANARY}": "token",
    f"{ADDRESS}#{CANARY}": "(value)",
    f"{ADDRESS}?{CANARY}": "(value)",
    f"{ADDRESS}?{CANARY}=": "(value)",
    f"{ADDRESS}?ok=1#t={CANARY}": "t",
    f"{ADDRESS};jsessionid={CANARY}": "jsessionid",
    f"{ADDRESS};JSESSIONID={CANARY}?ok=1": "JSESSIONID",
    f"{ADDRESS}?%61pi%5Fkey={CANARY}": "api_key",
    f"{ADDRESS}%3Fsig%3D{CANARY}": "(encoded)",
    f"{ADDRESS}%3fsig={CANARY}": "(encoded)",
    f"{ADDRESS}%253Fsig%253D{CANARY}": "(encoded)",
    f"{ADDRESS}%23token%3D{CANARY}": "(encoded)",
    f"https://p.example/https%3A%2F%2Fme%3A{CANARY}%40h.example%2Fa.tif": "(encoded)",
    f"https://me:{CANARY}@h.example/a.tif": "(user)",
    f"HTTPS://{CANARY}@h.example/a.tif": "(user)",
}


@pytest.mark.parametrize("href", HIDDEN)
def test_whatever_an_address_holds_is_refused_by_its_key_and_shown_without_its_value(href: str):
    with pytest.raises(Refused, match="give URLs without a user, a signature or a token") as error:
        asset_of(item(href), Located("red"), Access(hosts=("h.example", "p.example"), keep_query=("ok",)), name="red")
    assert f" with {HIDDEN[href]} in its query" in str(error.value)
    assert CANARY not in str(error.value)
    assert "\n" not in str(error.value)
    assert CANARY not in redact(f"cannot read {href} today")
    assert redact(f"cannot read {href} today").endswith(" today")


@pytest.mark.parametrize("href", HIDDEN)
def test_nothing_of_an_address_is_pinned_wherever_an_item_holds_it(href: str):
    relative = href.replace("https://h.example/", "")
    content = {
        "id": "s", "type": "Feature", "collection": "c", "vendor:urls": [{"deep": href}, f"see {href} and more"],
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        "properties": {"datetime": "2024-05-01T00:00:00Z", "vendor:url": href, "vendor:more": {"a": [href]}},
        "links": [{"rel": "self", "href": href}],
        "assets": {
            "red": {"href": ADDRESS, "alternate": {"s3": {"href": href}, "other": {"href": relative}}, "title": href},
            "thumbnail": {"href": href},
        },
    }  # fmt: skip
    kept = pinned(Item(content=content, footprint=None, base=f"https://h.example/s?token={CANARY}"), ["red"])  # type: ignore[arg-type]
    file = geoparquet_bytes([kept])
    assert CANARY not in orjson.dumps([kept, list(raw_rows(file))], default=str).decode()
    assert kept["assets"]["red"]["href"] == ADDRESS


def test_an_item_without_queries_is_pinned_as_it_is():
    asset = {"href": ADDRESS, "title": "what? 50 % = half; a#1", "alternate": {"s3": {"href": "s3://b/a;b.tif"}}}
    content = {"id": "s", "properties": {"a": ["C:\\x", 1, None, True, 1.5]}, "assets": {"red": asset}}
    kept = pinned(Item(content=content, footprint=None, base="https://h.example/s"), ["red"])  # type: ignore[arg-type]
    assert kept == {**content, "links": []}


def test_keys_that_are_named_harmless_are_read_and_pinned():
    href = f"{ADDRESS}?versionId={CANARY}"
    assert without_queries({"href": href}, ("versionId",)) == {"href": href}
    assert without_queries({"href": f"{href}&b=1"}, ("versionId",)) == {"href": ADDRESS}
    assert query_keys(f"{href}&b=1") == ("versionId", "b")
    assert pinned(item(href), ["red"], ("versionId",))["assets"]["red"]["href"] == href
    assert pinned(item(href), ["red"])["assets"]["red"]["href"] == ADDRESS
    assert holds_opaque_value(href.encode())
    assert not holds_opaque_value(href.encode(), ("versionId",))


@pytest.mark.parametrize("key", ["sig", "X-Amz-Signature", "api_key", "Password", "access_token", "a=b", "", "?x"])
def test_a_key_that_signs_is_never_harmless(key: str):
    with pytest.raises(ValueError, match="keep_query"):
        Imagery(url="items.json", collection="c", datetime="2024", keep_query=(key,))


@pytest.mark.parametrize("name", ["what?.tif", "a?v=1.tif", "a#1.tif", "b#t=1.tif", "a;k=1.tif", "50%3F.tif"])
def test_files_here_may_be_called_anything(tmp_path, name: str):
    (tmp_path / name).write_bytes(b"")
    square = {"proj:epsg": 32633, "proj:shape": [10, 10], "proj:transform": [10, 0, 500000, 0, -10, 5000000]}
    content = {
        "id": "s",
        "properties": {"datetime": "2024-05-01T00:00:00Z"},
        "assets": {"red": {"href": name, **square}},
    }
    local = Item(content=content, footprint=box(14.9, 45.0, 15.1, 45.2), base=str(tmp_path))
    assert asset_of(local, Located("red"), Access(), name="red").href == str(tmp_path / name)


def test_a_signed_href_that_lies_nowhere_is_not_kept_as_a_path(tmp_path):
    content = {"id": "s", "properties": {}, "assets": {"red": {"href": f"a.tif?zz={CANARY}"}}}
    local = Item(content=content, footprint=None, base=str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(Refused, match="with zz in its query") as error:
        asset_of(local, Located("red"), Access(), name="red")
    assert CANARY not in str(error.value)


@pytest.mark.parametrize("href", HIDDEN)
def test_a_value_that_may_be_a_key_is_found_in_any_file(href: str):
    line = f'{{"note": "{href}"}}'.encode()
    if "=" in href and not href.endswith("="):
        assert holds_secret(line) or holds_opaque_value(line) or HIDDEN[href] == "(encoded)"


# A whole build


def test_a_tree_of_an_api_that_signs_holds_nothing_of_it_and_is_whole(clean, tmp_path):
    """All that an API may say of secrets, and ids that a terminal would obey: the pictures are those of plain items."""
    recipe = yaml.safe_load(small_planet(tmp_path / "planet").read_text())
    features = json.loads((tmp_path / "planet" / "items.json").read_text())["features"]
    for feature in features:
        feature["id"] += "\x1b[31m\u202e|<b>"
        feature["properties"]["vendor:url"] = f"https://h.example/q?zz={CANARY}"
        feature["links"] = [{"rel": "thumbnail", "href": f"https://h.example/t.png?key={CANARY}"}]
        for asset in feature["assets"].values():
            asset["href"] += "?versionId=7"
            asset["alternate"] = {"s3": {"href": f"s3://bucket/a.tif?password={CANARY}"}}
    landing = {
        "type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
        "links": [{"rel": "search", "href": "search", "type": "application/geo+json", "method": "GET"}],
    }  # fmt: skip
    page = {"type": "FeatureCollection", "features": features, "links": []}
    answers = {
        path: (200, {"Content-Type": "application/json"}, json.dumps(body).encode())
        for path, body in {"/api": landing, "/search": page}.items()
    }
    with FileServer(tmp_path / "planet", answers=answers) as server:
        address = server.url.removeprefix("http://")
        recipe["imagery"] |= {"url": f"{server.url}/api", "allow_hosts": [address], "keep_query": ["versionId"]}
        path = tmp_path / "planet" / "signed.yaml"
        path.write_text(yaml.safe_dump(recipe))
        out = tmp_path / "out"
        assert nt.build(nt.load_recipe(path), out, workers=0).complete
        assert any("versionId" in request.query_keys for request in server.requests())
    files = {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*") if file.is_file()}
    pictures = {name: content for name, content in files.items() if name.endswith(".png")}
    assert pictures == {name: content for name, content in clean.files.items() if name.endswith(".png")}
    (items,) = (content for name, content in files.items() if name.endswith(".parquet"))
    rows = list(raw_rows(items))
    assert "?versionId=7" in str(rows)
    assert CANARY not in str(rows)
    assert [name for name, content in files.items() if CANARY.encode() in content] == []
    assert verify(out, deep=True).problems == ()
