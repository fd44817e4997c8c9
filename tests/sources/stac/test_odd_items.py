"""Odd items of a catalogue: one never ends a search; it is left out, and told. JSON as the world writes it is read."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.worlds import written

import nutonic as nt
from nutonic.core.grid import lonlat_bounds
from nutonic.errors import FileMissing, GridError, InputError, NoScene
from nutonic.io.access import Access, access_for
from nutonic.planning.recipe_kinds import plan
from nutonic.sources.item import item_of
from nutonic.sources.stac.assets import asset_of, crs_of
from nutonic.sources.stac.bands import Located
from nutonic.sources.stac.documents import JSONError, loads
from nutonic.sources.stac.files import read_items
from nutonic.testing import COLLECTION, FileServer, SyntheticPlanet

RING = [[15.0, 45.0], [15.1, 45.0], [15.1, 45.1], [15.0, 45.1], [15.0, 45.0]]
PLACE = np.array([15.05]), np.array([45.05])
FAR = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}


def item(name: Any, **parts: Any) -> dict[str, Any]:
    assets = {
        band: {"href": f"{name}.tif", "proj:transform": [10, 0, 499_980, 0, -10, 5_000_000], "proj:shape": [1098, 1098]}
        for band in ("red", "green", "blue")
    }
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": COLLECTION, "links": [],
        "geometry": {"type": "Polygon", "coordinates": [RING]}, "bbox": [15.0, 45.0, 15.1, 45.1],
        "properties": {"datetime": "2024-06-01T00:00:00Z", "eo:cloud_cover": 1, "proj:epsg": 32633}, "assets": assets,
    } | parts  # fmt: skip


ODD: dict[str, tuple[Any, str]] = {
    "null": (None, "None, not an object"),
    "a number": (5, "5, not an object"),
    "a list": ([], "not an object"),
    "empty": ({}, "no id"),
    "no id": (item(None), "no id"),
    "an empty id": (item(""), "no id"),
    "an id that is true": (item(True), "no id"),
    "an id that is a list": (item(["a"]), "no id"),
    "null geometry": (item("odd", geometry=None), "no geometry"),
    "geometry that is text": (item("odd", geometry="POINT (1 2)"), "no geometry"),
    "an empty polygon": (item("odd", geometry={"type": "Polygon", "coordinates": []}), "geometry is empty"),
    "a ring of two": (item("odd", geometry={"type": "Polygon", "coordinates": [RING[:2]]}), "odd"),
    "coordinates that are text": (item("odd", geometry={"type": "Polygon", "coordinates": [[["a", 1]] * 4]}), "odd"),
    "no such geometry": (item("odd", geometry={"type": "Circle", "coordinates": [1, 2]}), "odd"),
    "null properties": (item("odd", properties=None), "no datetime"),
    "properties that are a list": (item("odd", properties=[]), "no datetime"),
    "no datetime": (item("odd", properties={"datetime": None}), "no datetime"),
    "null assets": (item("odd", assets=None), "no assets"),
    "assets in a list": (item("odd", assets=[]), "no assets"),
}


def catalogue(folder: Path, *items: Any) -> str:
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return str(folder / "items.json")


def found(url: str, **options: Any) -> list[str]:
    ((*scenes,),) = nt.StacSource(url=url, collection=COLLECTION, **options).search(*PLACE, 640.0)
    return [scene.id for scene in scenes]


@pytest.mark.parametrize("case", ODD)
def test_an_odd_item_is_left_out_and_told(tmp_path, case, caplog):
    odd, why = ODD[case]
    with caplog.at_level(logging.WARNING, "nutonic"):
        assert found(catalogue(tmp_path, odd, item("good"), odd)) == ["good"]
    (record,) = caplog.records
    assert why in record.getMessage()
    assert "1 item is left out" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("case", ODD)
def test_where_all_items_are_odd_the_error_says_why(tmp_path, case):
    odd, why = ODD[case]
    with pytest.raises(InputError, match=f"items.json is no STAC item: .*{why}|{why}.* is no STAC item"):
        found(catalogue(tmp_path, odd, odd))


@pytest.mark.parametrize("case", [case for case, (odd, _) in ODD.items() if isinstance(odd, dict)])
def test_an_odd_item_among_given_ones_is_left_out_and_told(case, caplog):
    odd, why = ODD[case]
    source = nt.StacSource(items=[odd, item("good"), odd], collection=COLLECTION)
    with caplog.at_level(logging.WARNING, "nutonic"):
        ((*scenes,),) = source.search(*PLACE, 640.0)
    assert [scene.id for scene in scenes] == ["good"]
    assert why in caplog.records[-1].getMessage()
    with pytest.raises(InputError, match=f"is no STAC item: .*{why}|{why}.* is no STAC item"):
        nt.StacSource(items=[odd], collection=COLLECTION).search(*PLACE, 640.0)


@pytest.mark.parametrize("kind", ["Point", "LineString"])
def test_a_geometry_without_ground_is_told(tmp_path, kind):
    lon, lat = (float(axis[0]) for axis in PLACE)
    at = [lon, lat] if kind == "Point" else [[lon, lat], [lon + 0.1, lat]]
    odd = item("odd", geometry={"type": kind, "coordinates": at})
    source = nt.StacSource(url=catalogue(tmp_path, odd, item("far", geometry=FAR)), collection=COLLECTION)
    for look in (lambda: nt.open_scene((lon, lat), [source]), lambda: nt.search(nt.grid_around(lon, lat), [source])):
        with pytest.raises(NoScene, match=f"1 is of no use .*item odd has a {kind} for its geometry") as error:
            look()
        assert str(error.value).count("item odd has a") == 1


def test_where_there_is_no_scene_odd_items_are_told_too(tmp_path):
    recipe = written(SyntheticPlanet(), tmp_path / "planet")
    path = tmp_path / "planet/items.json"
    catalogue(path.parent, ODD["null geometry"][0], item("far", geometry=FAR))
    source = nt.StacSource(url=str(path), collection=COLLECTION)
    place = (16.0, 52.0)
    ways = (
        lambda: plan(nt.load_recipe(recipe)),
        lambda: nt.open_scene(place, [source]),
        lambda: nt.search(nt.grid_around(*place), [source]),
    )
    for look in ways:
        with pytest.raises(
            NoScene, match=r"1 item cannot be used: item 'odd' of .* is no STAC item: it has no geometry"
        ):
            look()


def api(folder: Path, answers: dict[str, bytes]) -> FileServer:
    """A STAC API whose search answers with what is given, whatever is asked."""
    landing = {
        "type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
        "links": [{"rel": "search", "href": "search", "type": "application/geo+json", "method": "GET"}],
    }  # fmt: skip
    pages = {"/api": json.dumps(landing).encode(), **answers}
    return FileServer(
        folder, answers={path: (200, {"Content-Type": "application/json"}, body) for path, body in pages.items()}
    )


def page(*items: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": items, "links": []}).encode()


@pytest.mark.parametrize("case", ["null", "no id", "null geometry", "no datetime", "assets in a list"])
def test_an_api_gives_odd_items_too(tmp_path, case, session):
    odd, _ = ODD[case]
    good = item("good")
    with api(tmp_path, {"/search": page(odd, good)}) as server:
        for asset in good["assets"].values():
            asset["href"] = f"{server.url}/good.tif"
        with api(tmp_path, {"/search": page(odd, good)}) as again:
            assert found(f"{again.url}/api", allow_hosts=(server.url.removeprefix("http://"),)) == ["good"]
    with api(tmp_path, {"/search": page(odd)}) as server, pytest.raises(InputError, match="is no STAC item"):
        found(f"{server.url}/api")


def test_ids_may_be_numbers_and_links_missing(tmp_path):
    numbered = item(7)
    del numbered["links"]
    assert found(catalogue(tmp_path, numbered, item("b", links=None))) == ["7", "b"]


def test_a_plan_and_a_cube_tell_of_items_that_are_left_out(tmp_path):
    recipe = written(SyntheticPlanet(), tmp_path / "planet")
    whole = plan(nt.load_recipe(recipe))
    path = tmp_path / "planet/items.json"
    content = json.loads(path.read_text())
    content["features"][1:1] = [ODD["null geometry"][0], ODD["no id"][0]]
    path.write_text(json.dumps(content))
    some = plan(nt.load_recipe(recipe))
    assert (some.scenes(), len(some.places)) == (whole.scenes(), len(whole.places))
    assert whole.unusable == ()
    assert [name for name, _ in some.unusable] == ["None", "odd"]
    assert some.header()["warnings"][0].startswith("2 items are left out of the search; the first: item None of ")
    assert plan(nt.load_recipe(recipe)).unusable == some.unusable  # told anew, and not twice
    area = lonlat_bounds(nt.grid_around(whole.places[0].lon, whole.places[0].lat, extent_m=640))
    cube = nt.search(area, [nt.StacSource(url=str(path), collection=COLLECTION)])
    assert {"None", "odd"} <= set(cube.left_out["id"])


# Odd assets of items that are items


ASSETS: dict[str, tuple[dict[str, Any], str]] = {
    "bands that are numbers": ({"raster:bands": [5]}, r"has the bands \[5\]"),
    "bands that are text": ({"raster:bands": "uint16"}, "has the bands 'uint16'"),
    "bands in an object": ({"bands": {"name": "red"}}, r"has the bands \{'name': 'red'\}"),
    "an offset that is text": ({"raster:bands": [{"offset": "much"}]}, "offset or scale 'much', which is no number"),
    "a scale that is a list": ({"raster:bands": [{"offset": 1, "scale": [1]}]}, r"offset or scale \[1\]"),
    "an offset of NaN": ({"raster:bands": [{"offset": "nan"}]}, "offset or scale 'nan'"),
    "no href": ({"href": None}, "has no href"),
    "an href that is a number": ({"href": 5}, "has no href"),
    "a size that no raster has": ({"proj:shape": [0, 5]}, "claims 0 × 5 pixels"),
    "a size beyond numbers": ({"proj:shape": [1e300, 1]}, "claims 1000.* × 1 pixels"),
}


@pytest.mark.parametrize("case", ASSETS)
def test_an_odd_asset_is_told_with_its_item(case):
    said, told = ASSETS[case]
    content = item("x")
    content["assets"]["red"] |= said
    with pytest.raises(InputError, match=f"asset 'red' of item x .*{told}"):
        asset_of(item_of(content, "/", "here"), Located("red"), Access(), name="red")


@pytest.mark.parametrize("asset", [None, 5, "red.tif", ["red.tif"]])
def test_an_asset_that_is_no_object_is_told(asset):
    odd = item_of(item("x", assets={"red": asset}), "/", "here")
    for ask in (lambda: asset_of(odd, Located("red"), Access(), name="red"), lambda: crs_of(odd, "red", Access())):
        with pytest.raises(InputError, match=r"asset 'red' of item x is .*not an object"):
            ask()


@pytest.mark.parametrize(
    "said",
    [
        {"bands": {}}, {"raster:bands": None}, {"raster:bands": [{}]}, {"alternate": 5}, {"alternate": {"x": 5}},
        {"roles": 5}, {"nodata": [1]}, {"raster:bands": [{"nodata": {"a": 1}}]}, {"roles": None}, {"title": 5},
    ],
)  # fmt: skip
def test_what_is_odd_and_does_not_matter_does_not_matter(said):
    content = item("x")
    content["assets"]["red"] |= said
    found = asset_of(item_of(content, "/", "here"), Located("red"), Access(), name="red")
    assert (found.href, found.crs, found.shape, found.nodata, found.offset) == (
        "/x.tif", "EPSG:32633", (1098, 1098), None, None,
    )  # fmt: skip


def test_a_file_that_is_asked_and_not_there_is_missing():
    content = item("x")
    for key in ("proj:shape", "proj:transform"):
        del content["assets"]["red"][key]
    asked = item_of(content, "/nowhere", "here")
    with pytest.raises(FileMissing, match=r"asset 'red' of item x.*: x\.tif does not exist"):
        asset_of(asked, Located("red"), Access(), name="red")
    assert crs_of(asked, "red", Access()) == "EPSG:32633"  # squares can be measured in what it says


def test_squares_are_metres():
    with pytest.raises(GridError, match="no square of metres can be drawn in EPSG:4326"):
        nt.grid_around(15.0, 45.0, crs="EPSG:4326")
    with pytest.raises(GridError, match="EPSG:2264"):  # feet
        nt.grid_around(-80.0, 35.0, crs="EPSG:2264")


# JSON


NAN = b'{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN and Infinity", "d": 1.5}'
READ = {"a": "nan", "b": ["inf", "-inf"], "c": "NaN and Infinity", "d": 1.5}


def test_bare_nan_is_read_as_the_raster_extension_writes_it():
    assert loads(NAN) == READ
    assert loads(b"\xef\xbb\xbf" + NAN) == READ
    assert loads("\ufeff" + NAN.decode()) == READ


@pytest.mark.parametrize(
    "content",
    [
        b"", b"NaN,", b"{", b'{"a": nan}', b'{"a": NaN, }', b'{"a": NaN, "b": "\\ud800"}', b'{"a": NaN, "b": "\xff"}',
        b"[NaN, " + b"[" * 100_000 + b"]" * 100_001, b'{"a": NaN, "b": 1' + b"0" * 5000 + b"}", b'{"a": +NaN}',
    ],
)  # fmt: skip
def test_what_is_no_json_even_so_is_none(content):
    with pytest.raises(JSONError):
        loads(content)


FORMS = {
    "an ItemCollection": lambda items: json.dumps({"type": "FeatureCollection", "features": items}).encode(),
    "a list": lambda items: json.dumps(items).encode(),
    "lines": lambda items: b"\n".join(json.dumps(each).encode() for each in items),
    "with a mark": lambda items: (
        b"\xef\xbb\xbf" + json.dumps({"type": "FeatureCollection", "features": items}).encode()
    ),
    "lines with a mark": lambda items: b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(each).encode() for each in items),
}


def with_nan(name: str) -> dict[str, Any]:
    content = item(name)
    content["properties"] |= {"eo:snow": math.inf, "view:off_nadir": -math.inf}
    content["assets"]["red"]["raster:bands"] = [{"nodata": math.nan, "data_type": "uint16"}]
    return content


@pytest.mark.parametrize("form", FORMS)
def test_nan_in_a_catalogue_on_disk(tmp_path, form):
    path = tmp_path / "items.json"
    path.write_bytes(FORMS[form]([with_nan("a"), with_nan("b")]))
    assert [each.id for each in read_items(str(path))] == ["a", "b"]
    assert found(str(path)) == ["a", "b"]
    ((scene, _),) = nt.StacSource(url=str(path), collection=COLLECTION).search(*PLACE, 640.0)
    assert math.isnan(scene.assets[0].nodata)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_nan_in_the_answers_of_an_api(tmp_path, mark, session):
    from nutonic.sources.stac.api import Query, search_api

    with api(tmp_path, {"/search": mark + page(with_nan("a"), with_nan("b"))}) as server:
        query = Query(collection=COLLECTION, box=(14.0, 44.0, 16.0, 46.0), time=None, max_cloud_cover=None)
        url = f"{server.url}/api"
        items = search_api(url, query, access_for(url, [], [], None))
        assert [each.id for each in items] == ["a", "b"]
        assert items[0].content["assets"]["red"]["raster:bands"][0]["nodata"] == "nan"


def test_pixels_of_an_item_with_nan(tmp_path):
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=1, dtype="uint16", height=1098, width=1098, crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 499_980, 0, -10, 5_000_000),
    ) as out:  # fmt: skip
        out.write(np.full((1, 1098, 1098), 1234, np.uint16))
    cube = nt.open_scene((15.05, 45.1), [nt.StacSource(url=catalogue(tmp_path, with_nan("a")), collection=COLLECTION)],
                         grid_settings=nt.recipe.outputs.Grid(extent_m=640))  # fmt: skip
    assert (cube["red"].values == 1234).all()
