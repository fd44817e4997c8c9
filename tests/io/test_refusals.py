"""What is refused: addresses, redirects, files and documents that would lead astray; and that nothing was fetched."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.worlds import written

import nutonic as nt
from nutonic.errors import GridError, InputError, ReadFailed, Refused
from nutonic.io import raster as rasters
from nutonic.io.access import Access, access_for, is_private
from nutonic.io.http import Request
from nutonic.run.run import build
from nutonic.sources.item import item_of
from nutonic.sources.stac.assets import asset_of
from nutonic.sources.stac.bands import Located
from nutonic.testing import COLLECTION, Fault, FileServer, SyntheticPlanet

pytestmark = pytest.mark.usefixtures("session")


@pytest.fixture
def victim(tmp_path) -> Iterator[FileServer]:
    """A server that nobody may ask for anything."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "secret.tif").write_bytes(b"II*\0 secret")
    with FileServer(folder) as server:
        yield server
        assert server.requests() == []


# Addresses


@pytest.mark.parametrize(
    ("url", "hosts", "said"),
    [
        ("https://example.org/a.tif", ("example.org",), None),
        ("http://example.org:80/a.tif", ("example.org",), None),
        ("https://EXAMPLE.org/a.tif", ("example.org",), None),
        ("https://a.b.example.org/x.tif", ("*.example.org",), None),
        ("http://127.0.0.1:8000/a.tif", ("127.0.0.1:8000",), None),
        ("http://[::1]:8000/a.tif", ("[::1]:8000",), None),
        ("https://example.org:8443/a.tif", ("example.org",), "which is not an allowed host"),
        ("https://example.org.evil.com/a.tif", ("example.org", "*.example.org"), "which is not an allowed host"),
        ("https://evilexample.org/a.tif", ("*.example.org",), "which is not an allowed host"),
        ("https://example.org@evil.com/a.tif", ("example.org",), "holds a user name or a password"),
        ("https://evil.com\\@example.org/a.tif", ("example.org",), "no address"),
        ("https://example.org\n.evil.com/", ("example.org",), "no address"),
        ("http://127.0.0.1/a.tif", ("127.0.0.1",), "is a private address"),
        ("http://localhost/a.tif", ("localhost",), "is a private address"),
        ("http://169.254.169.254/latest/meta-data", ("169.254.169.254",), "is a private address"),
        ("http://[::ffff:10.0.0.1]/a.tif", ("::ffff:10.0.0.1", "::ffff:a00:1"), "is a private address"),
        ("http://127.0.0.1:8001/a.tif", ("127.0.0.1:8000",), "which is not an allowed host"),
        ("ftp://example.org/a.tif", ("example.org",), "is not an http or https address"),
        ("s3://bucket/a.tif", ("bucket",), "is in a bucket that is not allowed"),
        ("file:///etc/passwd", ("",), "is not an http or https address"),
        ("gopher://example.org:70/", ("example.org:70",), "is not an http or https address"),
        ("https:///a.tif", ("",), "is not an http or https address"),
    ],
)
def test_which_addresses_may_be_read(url, hosts, said):
    access = Access(hosts=hosts)
    if said is None:
        access.check(url)
    else:
        with pytest.raises(Refused, match=said):
            access.check(url)


def test_a_refusal_says_what_to_list():
    with pytest.raises(Refused, match=r"^https://a\.org:99/x\.tif is at a\.org:99, .* list a\.org:99 in allow_hosts"):
        Access(hosts=("example.org",)).check("https://a.org:99/x.tif?sig=SECRET")


def test_what_a_catalogue_allows():
    assert access_for("https://api.org/v1", [], ["files.org"], None).hosts == ("api.org", "files.org")
    assert access_for("http://127.0.0.1:9000/v1", ["B.org"], [], None).hosts == ("127.0.0.1:9000", "b.org")
    assert access_for("/local/items.json", [], [], None).hosts == ()


PRIVATE = [
    *("127.0.0.1", "127.8.9.10", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "0.0.0.0", "0.1.2.3"),
    *("100.64.0.1", "100.127.255.254", "192.0.2.1", "198.18.0.1", "240.0.0.1", "255.255.255.255"),
    *("224.0.0.1", "239.1.2.3"),  # multicast
    *("::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fc00::1", "fd12:3456::1", "fec0::1", "feff::1", "ff02::1"),
    *("2001:db8::1", "100::1", "4000::1", "e000::1"),  # for documents, to be discarded, nobody's
    *("::127.0.0.1", "::10.0.0.1", "::a9fe:a9fe"),  # compatible
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0.0.0.0", "::ffff:e000:1"),  # mapped
    *(
        "64:ff9b::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::808:808",
    ),  # NAT64; somebody's own
    *("2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::", "2002:a9fe:a9fe::"),  # 6to4
    *("2001:0:808:808::f5ff:fffe", "2001:0:a00:1::f7f7:f7f7"),  # Teredo: client 10.0.0.1; server 10.0.0.1
]

PUBLIC = ["8.8.8.8", "2606:4700:4700::1111", "2a00:1450::1", "::8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808",
          "2002:808:808::1"]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address):
    assert is_private(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address):
    assert not is_private(address)


@pytest.mark.parametrize(
    "host",
    ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "localhost.", "a.localhost", "0", "[64:ff9b::7f00:1]",
     "[2002:7f00:1::]", "[::127.0.0.1]", "[fec0::1]"],
)  # fmt: skip
def test_other_ways_to_write_a_private_address(host):
    access = Access(hosts=(host.strip("[]"), host))
    with pytest.raises(Refused, match=r"is a private address: list .* in allow_hosts if it is meant"):
        access.check(f"http://{host}/a.tif")
    Access(hosts=(f"{host}:80",)).check(f"http://{host}/a.tif")


def test_a_name_that_points_into_a_private_network_gets_no_request(victim, session, monkeypatch):
    # The name is allowed, and its server was public when it was looked at; now it is not.
    port = int(victim.address.rsplit(":", 1)[1])
    genuine = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **k: genuine("127.0.0.1", port, *rest[1:], **k))
    with pytest.raises(
        Refused, match=r"rebound\.example is at the private address 127\.0\.0\.1: list rebound\.example:80"
    ):
        session.client.fetch(Request(url="http://rebound.example/secret.tif"), Access(hosts=("rebound.example",)))


@pytest.mark.parametrize("address", ["::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fec0::1"])
def test_nothing_is_sent_to_where_a_name_leads_in_private(session, monkeypatch, address):
    # Nothing, not even a request for a connection: these lead nowhere here, which would be another error.
    answer = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 80, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(Refused, match=f"rebound.example is at the private address {address}"):
        session.client.fetch(Request(url="http://rebound.example/"), Access(hosts=("rebound.example",)))


@pytest.mark.parametrize(
    "target", ["{victim}/secret.tif", "file:///etc/passwd", "http://169.254.169.254/latest", "//{address}/secret.tif"]
)
def test_redirects_are_followed_only_where_they_may(victim, tmp_path, target):
    to = target.format(victim=victim.url, address=victim.address)
    with FileServer(tmp_path, faults=[Fault("redirect", times=None, to=to)]) as server:
        with pytest.raises(Refused):
            rasters.header(f"{server.url}/a.tif", Access(hosts=(server.address,)))
        assert len(server.requests()) == 1


def test_redirects_within_what_is_allowed_are_followed_and_not_for_ever(tmp_path, session):
    written(SyntheticPlanet(), tmp_path, only=["west"])
    with FileServer(tmp_path, faults=[Fault("redirect", path="/a.tif", times=None, to="/west/red.tif")]) as server:
        access = Access(hosts=(server.address,))
        assert rasters.header(f"{server.url}/a.tif", access).count == 1
        server.script([Fault("redirect", path="/*", times=None, to="/b.tif")])
        with pytest.raises(Refused, match=r"a\.tif redirects more than 5 times"):
            session.client.fetch(Request(url=f"{server.url}/a.tif"), access)


# Items


def item(href: str, **asset: Any) -> dict[str, Any]:
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": "hostile", "collection": COLLECTION, "links": [],
        "geometry": {"type": "Polygon", "coordinates": [[[10, 40], [20, 40], [20, 50], [10, 50], [10, 40]]]},
        "bbox": [10, 40, 20, 50],
        "properties": {"datetime": "2024-06-01T00:00:00Z", "eo:cloud_cover": 0, "proj:epsg": 32633},
        "assets": {band: {"href": href, **asset} for band in ("red", "green", "blue")},
    }  # fmt: skip


@contextmanager
def api(tmp_path: Path, *items: dict[str, Any]) -> Iterator[FileServer]:
    """The least of a STAC API: a landing page, and one page of items whatever is asked."""
    landing = {
        "type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
        "links": [{"rel": "search", "href": "search", "type": "application/geo+json", "method": "GET"}],
    }  # fmt: skip
    page = {"type": "FeatureCollection", "features": list(items), "links": []}
    headers = {"Content-Type": "application/geo+json"}
    pages = {
        "/api": (200, headers, json.dumps(landing).encode()),
        "/api/": (200, headers, json.dumps(landing).encode()),
        "/search": (200, headers, json.dumps(page).encode()),
        "/api/search": (200, headers, json.dumps(page).encode()),
    }
    with FileServer(tmp_path, answers=pages) as server:
        yield server


HOSTILE = [
    ("{victim}/secret.tif", "which is not an allowed host: list 127"),
    ("file:///etc/passwd", "name local files by their path"),
    ("/vsicurl/{victim}/secret.tif", "name local files by their path"),
    ("/vsizip/vsicurl/{victim}/secret.tif", "name local files by their path"),
    ("s3://bucket/secret.tif", "is in a bucket that is not allowed"),
    ("http://169.254.169.254/latest/a.tif", "not an allowed host"),
    ("http://user:pass@{address}/secret.tif", "without a user, a signature or a token"),
    ("http://{address}/secret.tif?sig=abc", "without a user, a signature or a token"),
]


@pytest.mark.parametrize(("href", "said"), HOSTILE)
@pytest.mark.parametrize("remote", [False, True], ids=["file", "api"])
def test_hrefs_of_hostile_items(victim, tmp_path, href, said, remote):
    hostile = item(href.format(victim=victim.url, address=victim.address))
    place = np.array([15.0]), np.array([45.0])
    if remote:
        with api(tmp_path, hostile) as server, pytest.raises(Refused, match=said):
            nt.StacSource(url=f"{server.url}/api", collection=COLLECTION).search(*place, 5120.0)
    else:
        (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [hostile]}))
        with pytest.raises(Refused, match=said):
            nt.StacSource(url=str(tmp_path / "items.json"), collection=COLLECTION).search(*place, 5120.0)


@pytest.mark.parametrize("href", ["/etc/passwd", "../../../etc/passwd", "C:\\secret.tif"])
def test_a_path_of_a_remote_item_is_an_address_of_its_server(tmp_path, href):
    with api(tmp_path, item(href)) as server:
        source = nt.StacSource(url=f"{server.url}/api", collection=COLLECTION)
        with pytest.raises((InputError, Refused, nt.errors.Gone, ReadFailed)):
            source.search(np.array([15.0]), np.array([45.0]), 5120.0)
        assert all(request.path.startswith("/") and ".." not in request.path for request in server.requests())


@pytest.mark.parametrize("shape", [[2**31, 2**31], [10980, 2**40], [0, 5], [-3, 10]])
def test_absurd_sizes_that_an_item_declares(shape):
    content = item("https://sentinel-cogs.s3.us-west-2.amazonaws.com/a.tif",
                   **{"proj:transform": [10, 0, 0, 0, -10, 0], "proj:shape": shape})  # fmt: skip
    access = access_for("/items.json", [], ["sentinel-cogs.s3.us-west-2.amazonaws.com"], None)
    with pytest.raises(InputError, match=r"asset 'red' of item hostile claims .* pixels: no such raster is read"):
        asset_of(item_of(content, "/", "x"), Located("red"), access, name="red")


# Files


def patched(path: Path, **tags: int) -> Path:
    """A tiny tiled TIFF whose header claims other sizes."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=64,
        width=64,
        count=1,
        dtype="uint16",
        tiled=True,
        blockxsize=64,
        blockysize=64,
        crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ) as out:
        out.write(np.ones((64, 64), np.uint16), 1)  # fmt: skip
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    codes = {"width": 256, "height": 257, "block_width": 322, "block_height": 323}
    for i in range(count):
        at = start + 2 + 12 * i
        tag = struct.unpack_from("<H", data, at)[0]
        for name, value in tags.items():
            if codes[name] == tag:
                struct.pack_into("<HII", data, at + 2, 4, 1, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("remote", [False, True], ids=["file", "url"])
@pytest.mark.parametrize(
    "tags",
    [
        {"width": 2**30, "block_width": 2**20},
        {"width": 65536, "height": 65536, "block_width": 65536, "block_height": 65536},
    ],
)
def test_absurd_sizes_of_real_files(tmp_path, tags, remote):
    path = patched(tmp_path / "bomb.tif", **tags)
    with FileServer(tmp_path) as server:
        href = f"{server.url}/bomb.tif" if remote else str(path)
        with pytest.raises((GridError, ReadFailed), match=r"bomb\.tif"):
            rasters.header(href, Access(hosts=(server.address,)))
        assert sum(request.sent for request in server.requests()) < 100_000


VRT = """<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>/vsicurl/{victim}/secret.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.mark.parametrize("remote", [False, True], ids=["file", "url"])
def test_a_vrt_is_no_raster_whatever_it_is_called(victim, tmp_path, remote):
    (tmp_path / "a.tif").write_text(VRT.format(victim=victim.url))
    with FileServer(tmp_path) as server:
        href = f"{server.url}/a.tif" if remote else str(tmp_path / "a.tif")
        with pytest.raises(ReadFailed, match=r"a\.tif"):
            rasters.header(href, Access(hosts=(server.address,)))


def test_beside_a_raster_nothing_is_looked_for(victim, tmp_path):
    # Masks, metadata and overviews beside a file could name other files.
    written(SyntheticPlanet(), tmp_path, only=["west"])
    (tmp_path / "west/red.tif.aux.xml").write_text("<PAMDataset/>")
    (tmp_path / "west/red.tif.ovr").write_text(VRT.format(victim=victim.url))
    with FileServer(tmp_path) as server:
        rasters.read(f"{server.url}/west/red.tif", np.s_[0:9, 0:9], access=Access(hosts=(server.address,)))
        assert {request.path for request in server.requests()} == {"/west/red.tif"}


# Documents


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"type": "FeatureCollection", "features": [' + '{"a":' * 5000 + "1" + "}" * 5000 + "]}",
    ],
    ids=["arrays", "objects"],
)
def test_deep_json(tmp_path, text):
    (tmp_path / "items.json").write_text(text)
    with pytest.raises(InputError, match=r"items\.json"):
        nt.StacSource(url=str(tmp_path / "items.json"), collection="c").search(np.array([1.0]), np.array([1.0]), 640.0)


def test_ids_that_climb_name_no_file(tmp_path):
    planet = SyntheticPlanet()
    recipe = written(planet, tmp_path / "planet")
    path = tmp_path / "planet/items.json"
    catalogue = json.loads(path.read_text())
    for i, feature in enumerate(catalogue["features"]):
        feature["id"] = f"../../../climbed-{i}/../{feature['id']}\0\n"
    path.write_text(json.dumps(catalogue))
    before = {p for p in tmp_path.rglob("*") if "out" not in p.parts}
    summary = build(nt.load_recipe(recipe), tmp_path / "out/tree", workers=0)
    assert summary.complete
    assert summary.tiles > 20
    assert {p for p in tmp_path.rglob("*") if "out" not in p.parts} == before
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"tree"}
    assert not [p for p in (tmp_path / "out").rglob("*") if "climbed" in p.name]
    assert nt.verify(tmp_path / "out/tree", deep=True).whole
