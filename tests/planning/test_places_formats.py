"""Places in every format say the same; columns by recipe, what is kept, and datasets on the Hub read by column."""

from __future__ import annotations

import gzip
import io
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import strategies as st
from support.hub import SIGNATURE, serve
from support.sampling import examples

from nutonic.dataset.report.tree import LeftOut
from nutonic.errors import MissingExtra, PoiError, Unreachable
from nutonic.planning.places import hub as hub_places
from nutonic.planning.places import text as pois_text
from nutonic.planning.places.columns import with_variants, without_duplicates
from nutonic.planning.places.read import PoiFile, file_sha256, read_pois
from nutonic.recipe.inputs import Jitter, Pois
from nutonic.recipe.yaml import parse_recipe_text
from nutonic.run.results import examples_of

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
shapely = pytest.importorskip("shapely")

HUB_NAME = "hf://datasets/someone/places"


@pytest.fixture
def read(tmp_path):
    def write_and_read(name: str, content: str | bytes | pa.Table, **wanted) -> PoiFile:
        path = tmp_path / name
        if isinstance(content, pa.Table):
            pq.write_table(content, path, row_group_size=3)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_pois(Pois(path=str(path), **wanted))

    return write_and_read


def told(file: PoiFile) -> tuple:
    """All that must not depend on the format."""
    places = [(poi.id, poi.base_id, poi.ordinal, poi.lon, poi.lat, poi.place) for poi in file.places]
    return places, [(reject.reason, reject.poi_id) for reject in file.rejects], file.rows


def collection(*features, **more) -> str:
    return json.dumps({"type": "FeatureCollection", "features": list(features), **more})


def feature(lon, lat, *, properties=None, **more) -> dict:
    geometry = {"type": "Point", "coordinates": [lon, lat]}
    return {"type": "Feature", "geometry": geometry, "properties": properties, **more}


# One set of places, every format


def as_csv(rows) -> bytes:
    cell = lambda value: "" if value is None else repr(value) if isinstance(value, float) else value  # noqa: E731
    return "".join(["id,lon,lat\n", *(",".join(map(cell, row)) + "\n" for row in rows)]).encode()


def as_jsonl(rows) -> bytes:
    return "".join(json.dumps(dict(zip(("id", "lon", "lat"), row, strict=True))) + "\n" for row in rows).encode()


def as_geojson(rows) -> bytes:
    return collection(*(feature(lon, lat, id=name) for name, lon, lat in rows)).encode()


def table(rows, text=False) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    number = (lambda v: None if v is None else repr(v)) if text else (lambda v: v)
    kind = pa.string() if text else pa.float64()
    points = {name: pa.array([number(v) for v in columns[i]], kind) for i, name in ((1, "lon"), (2, "lat"))}
    return pa.table({"id": pa.array(columns[0], pa.string()), **points})


def as_parquet(content: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(content, out, row_group_size=4)
    return out.getvalue()


NUMBERS = st.one_of(st.floats(-200, 200), st.sampled_from([0.0, 17.5, 46.25, 85.0]), st.just(math.nan), st.none())
IDS = st.sampled_from([None, None, "a", "A", "b", "poi_000001", "POI_000002", "bad id", "x_g001", "7", "c.d"])


@examples(20, 60, rows=st.lists(st.tuples(IDS, NUMBERS, NUMBERS), max_size=12), limit=st.none() | st.integers(1, 12))
def test_the_same_places_in_every_format_are_the_same(read, rows, limit):
    plain = read("p.csv", as_csv(rows), limit=limit)
    files = {
        "p.csv.gz": gzip.compress(as_csv(rows)),
        "p.tsv": as_csv(rows).replace(b",", b"\t"),
        "p.jsonl": as_jsonl(rows),
        "p.ndjson.gz": gzip.compress(as_jsonl(rows)),
        "p.geojson": as_geojson(rows),
        "p.parquet": as_parquet(table(rows)),
        "p.pq": as_parquet(table(rows, text=True)),
    }
    assert {name: told(read(name, content, limit=limit)) for name, content in files.items()} == dict.fromkeys(
        files, told(plain)
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"Longitude ": 17.5, "LAT": "46.25", "id": 12, "x": [1]}\n\n{"id": "b", "lat": -7.5, "lon": -3}\n'),
        ("p.jsonl", '\ufeff{"lon": 17.5, "lat": 46.25, "id": "12"}\r\n{"lon": " -3 ", "lat": "-7.5", "id": "b"}'),
        ("p.geojson", collection(feature(17.5, 46.25, id=12), feature(-3, -7.5, properties={"ID": "b"}))),
        ("p.json", "\ufeff" + collection(feature(17.5, 46.25, properties={"id": 12}), feature(-3, -7.5, id="b"))),
        ("p.parquet", pa.table({"id": [12, None], "lon": [17.5, -3], "lat": [46.25, -7.5]})),
        ("p.parquet", pa.table({"LONGITUDE": ["17.5", "-3"], "latitude": pa.array([46.25, -7.5], pa.float32())})),
        ("p.geoparquet", pa.table({"geometry": [shapely.Point(17.5, 46.25).wkb, shapely.Point(-3, -7.5).wkb]})),
    ],
)  # fmt: skip
def test_places_are_read_as_people_write_them(read, name, content):
    file = read(name, content)
    assert [(poi.ordinal, poi.lon, poi.lat) for poi in file.places] == [(0, 17.5, 46.25), (1, -3.0, -7.5)]
    assert (file.rejects, file.rows, file.origin) == ([], 2, None)
    if file.places.ids is not None:
        assert file.places.ids[0] == "12"


@pytest.mark.parametrize(
    ("name", "content", "rejects"),
    [
        (
            "p.jsonl",
            '{"lon": 1, "lat": 1}\n{"lon": 2, "la\n\n[1, 2]\n{"lon": true, "lat": 4}\n{"lat": 5}\n'
            '{"lon": 6, "lat": null}\n{"lon": [1], "lat": 7}\n\udcff\n',
            [
                (2, "poi_000001", "bad row", """'{"lon": 2, "la' is no JSON object"""),
                (4, "poi_000002", "bad row", "'[1, 2]' is no JSON object"),
                (5, "poi_000003", "bad coordinates", "lon True, lat 4 are not two numbers"),
                (6, "poi_000004", "bad coordinates", "lon '', lat 5 are not two numbers"),
                (7, "poi_000005", "bad coordinates", "lon 6, lat '' are not two numbers"),
                (8, "poi_000006", "bad coordinates", "lon [1], lat 7 are not two numbers"),
                (9, "poi_000007", "bad row", "'\ufffd' is not UTF-8 text (byte 0 of the line, where Windows-1252 has 'ÿ'): "
                 "save the file as UTF-8"),
            ],
        ),
        (
            "p.geojson",
            collection(
                feature(1, 1),
                {"type": "Feature", "id": "b", "geometry": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}},
                {"type": "Feature", "geometry": None, "properties": {}},
                {"type": "Feature", "geometry": {"type": "Point", "coordinates": []}},
                feature("5", 95),
                "no feature",
            ),
            [
                (2, "b", "no point", "the geometry is a LineString, not a Point"),
                (3, "poi_000002", "no point", "the feature has no geometry"),
                (4, "poi_000003", "no point", "the point has the coordinates [], not two numbers"),
                (5, "poi_000004", "bad coordinates", "longitude 5.0, latitude 95.0 is not on Earth: expected -180 to 180 "
                 "and -90 to 90; are longitude and latitude swapped?"),
                (6, "poi_000005", "bad row", "'no feature' is no GeoJSON Feature"),
            ],
        ),
        (
            "p.parquet",
            pa.table({"lon": ["1", "1_7", None, "4"], "lat": pa.array([1, 2, 3, None], pa.int64())}),
            [
                (2, "poi_000001", "bad coordinates", "lon '1_7', lat 2 are not two numbers"),
                (3, "poi_000002", "bad coordinates", "lon '', lat 3 are not two numbers"),
                (4, "poi_000003", "bad coordinates", "lon '4', lat '' are not two numbers"),
            ],
        ),
        (
            "p.parquet",
            pa.table({"geometry": [shapely.Point(1, 1).wkb, shapely.LineString([(1, 2), (3, 4)]).wkb, None, b"x",
                                   shapely.Point().wkb]}),
            [
                (2, "poi_000001", "no point", "the geometry is a LineString, not a Point"),
                (3, "poi_000002", "no point", "the row has no geometry"),
                (4, "poi_000003", "no point", "the row has no geometry"),
                (5, "poi_000004", "no point", "the row has no geometry"),
            ],
        ),
    ],
)  # fmt: skip
def test_a_bad_row_is_a_reject_with_its_line_or_its_row(read, name, content, rejects):
    file = read(name, content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
    assert [poi.ordinal for poi in file.places] == [0]
    assert [(r.line, r.poi_id, r.reason, r.detail) for r in file.rejects] == rejects
    assert file.rows == 1 + len(rejects)


def test_a_duplicate_id_names_the_row_where_there_are_no_lines(read):
    file = read("p.parquet", pa.table({"id": ["a", None, "b", "a"], "lon": [1, 2, 3, 4], "lat": [1, 2, 3, 4]}))
    assert [poi.id for poi in file.places] == ["a", "poi_000001", "b"]
    assert [(r.line, r.detail) for r in file.rejects] == [(4, "id 'a' is on row 1 already")]


TWICE = [{"id": "dup", "lon": 17.5, "lat": 46.25}, {"id": "dup", "lon": 17.6, "lat": 46.25}]
FEATURES = [
    {
        "type": "Feature",
        "id": each["id"],
        "properties": {},
        "geometry": {"type": "Point", "coordinates": [each["lon"], 46]},
    }
    for each in TWICE
]
UNITS = {
    "p.csv": ("id,lon,lat\ndup,17.5,46.25\ndup,17.6,46.25\n", "line", 3, 2),
    "p.jsonl": ("".join(json.dumps(each) + "\n" for each in TWICE), "line", 2, 1),
    "p.json": (json.dumps(TWICE), "row", 2, 1),
    "p.geojson": (json.dumps({"type": "FeatureCollection", "features": FEATURES}), "row", 2, 1),
    "p.geojsonl": ("".join(json.dumps(each) + "\n" for each in FEATURES), "line", 2, 1),
    "p.parquet": (pa.table({"id": ["dup", "dup"], "lon": [17.5, 17.6], "lat": [46.25, 46.25]}), "row", 2, 1),
    "p.gpkg": (TWICE, "row", 2, 1),
}


@pytest.mark.parametrize("name", UNITS)
def test_a_file_is_counted_in_one_unit_by_whoever_tells_of_it(read, name, tmp_path):
    """In the reject's own words, on the screen and in the report: lines of a text, rows of what has no lines."""
    content, unit, at, first = UNITS[name]
    if name == "p.gpkg":
        geopandas = pytest.importorskip("geopandas")
        points = geopandas.points_from_xy([each["lon"] for each in TWICE], [each["lat"] for each in TWICE])
        frame = geopandas.GeoDataFrame({"id": ["dup", "dup"]}, geometry=points, crs="EPSG:4326")
        frame.to_file(tmp_path / "made.gpkg", driver="GPKG")
        content = (tmp_path / "made.gpkg").read_bytes()
    file = read(name, content.encode() if isinstance(content, str) else content)
    (reject,) = file.rejects
    detail = f"id 'dup' is on {unit} {first} already"
    assert (reject.line, reject.unit, reject.detail) == (at, unit, detail)
    line = f"poi_000001 ({unit} {at}): {detail}"
    assert examples_of([reject]) == {"duplicate id": line}
    left_out = LeftOut()
    left_out.add(reject, by_plan=True)
    (table,) = left_out.section().blocks
    assert table.rows[0][2].text == line


# Columns by recipe


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", "lon,lat,x,Y ,name\n0,0,17.5,46.25,a\n"),
        ("p.jsonl", '{"lon": 0, "lat": 0, "x": 17.5, "Y ": 46.25, "name": "a"}\n'),
        ("p.parquet", pa.table({"lon": [0], "lat": [0], "x": [17.5], "Y ": [46.25], "name": ["a"]})),
    ],
)
def test_a_recipe_names_the_columns(read, name, content):
    file = read(name, content, columns={"lon": "x", "lat": "Y", "id": "name"})
    assert [(poi.id, poi.lon, poi.lat) for poi in file.places] == [("a", 17.5, 46.25)]


SAID = [
    ({"columns": {"lon": "Lom"}}, "has no column Lom (pois.columns.lon); ARE lon, lat, city: did you mean lon?"),
    ({"columns": {"lat": "north"}}, "has no column north (pois.columns.lat); ARE lon, lat, city"),
    ({"columns": {"id": "City"}}, "has no column City (pois.columns.id); ARE lon, lat, city: did you mean city?"),
    ({"keep": ["city", "citi"]}, "has no column citi (pois.keep); ARE lon, lat, city: did you mean city?"),
]


@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize(("wanted", "message"), SAID)
@pytest.mark.parametrize(
    ("name", "content", "are"),
    [
        ("p.csv", "lon,lat,city\n1,2,x\n", "its first line names"),
        ("p.jsonl", '{"lon": 1, "lat": 2}\n{"city": "x"}\n', "its objects have"),
        ("p.parquet", pa.table({"lon": [1], "lat": [2], "city": ["x"]}), "its columns are"),
    ],
)
def test_a_column_that_is_missing_is_told_with_those_there_are(
    read, tmp_path, name, content, are, wanted, message, limit
):
    with pytest.raises(PoiError) as caught:
        read(name, content, limit=limit, **wanted)
    assert str(caught.value) == f"{tmp_path / name} {message.replace('ARE', are)}"


def test_an_id_is_no_column_that_must_be_there(read):
    assert len(read("p.jsonl", '{"lon": 1, "lat": 2}\n').places) == 1
    assert told(read("p.jsonl", "")) == told(read("p.geojson", collection())) == ([], [], 0)


NESTED = pa.table(
    {"lon": [1.0], "lat": [2.0], "image": [{"bytes": b"x"}], "raw": [b"x"], "day": pa.array([1], pa.date32())}
)
GEO = {
    "primary_column": "where",
    "columns": {"where": {"encoding": "WKB", "crs": {"id": {"authority": "EPSG", "code": 1}}}},
}


@pytest.mark.parametrize(
    ("name", "content", "wanted", "message"),
    [
        ("p.xlsx", "x", {}, "does not say what it is: .csv"),
        ("p.parquet", "PAR1 not really PAR1", {}, "is no Parquet file that can be read"),
        ("p.parquet", "", {}, "is no Parquet file that can be read"),
        ("p.parquet", NESTED, {"columns": {"lon": "image"}}, "column image holds struct<bytes: binary>: pois.columns.lon"),
        ("p.parquet", NESTED, {"keep": ["image"]}, "the column image holds struct<bytes: binary>: only text, numbers"),
        ("p.parquet", NESTED, {"keep": ["raw"]}, "the column raw holds binary: only text, numbers"),
        ("p.parquet", NESTED, {"keep": ["day"]}, "the column day holds date32"),
        ("p.jsonl", '{"lon": 1, "lat": 2, "a": {}}', {"keep": ["a"]}, "line 1: a is an object; only text, numbers, true"),
        ("p.jsonl", '\n{"lon": 1, "lat": 2, "a": [1]}', {"keep": ["a"]}, "line 2: a is a list; only text"),
        ("p.jsonl", '{"lon": 1, "lat": 2, "a": "\\ud800"}', {"keep": ["a"]}, "line 1: a holds half a character"),
        ("p.csv", "lon,lat,a\n1,2," + "x" * 3000, {"keep": ["a"]}, "line 2: a has 3000 characters, at most 2000 can"),
        ("p.geojson", "{", {}, "is not JSON (line 1)"),
        ("p.geojson", "[" * 100_000, {}, "is no GeoJSON"),
        ("p.geojson", b'{"a": "\xff"}', {}, "is not UTF-8 text (byte 7)"),
        ("p.json", '{"lon": 1, "lat": 2}', {}, "is no FeatureCollection: places are Features of Points, or an array of"),
        ("p.json", '{"type": "Point", "coordinates": [1, 2]}', {}, "is a bare Point: places are Features of Points"),
        ("p.json", '{"type": "GeometryCollection", "geometries": []}', {}, "is a bare GeometryCollection: places are"),
        ("p.json", '[{"lon": 1, "name": 2}]', {}, "has no column lat or latitude; its objects have lon, name"),
        ("p.geojson", collection(feature(1, 2), crs="EPSG:1"), {}, "the CRS 'EPSG:1' is not known: reproject it, for inst"),
        ("p.geojson", collection(feature(1, 2)), {"columns": {"lon": "x"}}, "leave pois.columns.lon out"),
        ("p.csv.gz", "lon,lat\n1,2\n", {}, "is no whole gzip file"),
        ("p.jsonl.gz", gzip.compress(b'{"lon": 1, "lat": 2}\n' * 99, mtime=0)[:-9], {}, "is no whole gzip file"),
        ("p.geoparquet", pa.table({"where": [shapely.Point(1, 2).wkb]}).replace_schema_metadata({"geo": json.dumps(GEO)}),
         {}, "the CRS 'EPSG:1' is not known: reproject it, for instance with ogr2ogr"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_line(read, tmp_path, name, content, wanted, message):
    with pytest.raises(PoiError) as caught:
        read(name, content, **wanted)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["EPSG:4326", "urn:ogc:def:crs:EPSG::4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "OGC:CRS84"]
)
def test_longitude_and_latitude_by_any_name_are_no_other_crs(read, name):
    crs = {"type": "name", "properties": {"name": name}}
    assert len(read("p.geojson", collection(feature(1, 2), crs=crs)).places) == 1


def test_other_addresses_are_refused(tmp_path):
    with pytest.raises(PoiError, match=r"pois.path is ftp://h/p.csv: name a local file, hf://.* s3://"):
        read_pois(Pois(path="ftp://h/p.csv"))
    with pytest.raises(PoiError, match=r"https://h/p.csv: give addresses without a user, a query") as caught:
        read_pois(Pois(path="https://h/p.csv?sig=SECRET"))
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["p.csv.gz", "p.jsonl.gz"])
def test_a_little_gzip_cannot_fill_the_memory(read, monkeypatch, name):
    monkeypatch.setattr(pois_text, "MAX_LINE", 1 << 10)
    with pytest.raises(PoiError, match="line 1 is longer than"):
        read(name, gzip.compress(b" " * 5000))
    monkeypatch.setattr(pois_text, "MAX_UNPACKED", 1 << 12)
    with pytest.raises(PoiError, match="holds more than"):
        read(name, gzip.compress(b"lon,lat\n" + b"\n" * 5000))


def test_a_bad_byte_is_found_far_into_a_file(read):
    with pytest.raises(PoiError, match=r"is not UTF-8 text \(byte 200008\)"):
        read("p.csv", b"lon,lat\n" + b"1,2\n" * 50_000 + b"\xff")


# What is kept

KEPT = {"name": ["a", "b"], "people": [3, None], "share": [0.5, math.nan], "open": [True, False]}


def kept_files() -> dict:
    columns = {"lon": [1.0, 2.0], "lat": [1.0, 2.0], **KEPT}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    features = [feature(row["lon"], row["lat"], properties=row) for row in rows]
    return {
        "p.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "p.geojson": collection(*features),
        "p.parquet": pa.table(columns),
        "p.geoparquet": pa.table({"geometry": [shapely.Point(1, 1).wkb, shapely.Point(2, 2).wkb], **KEPT}),
    }


@pytest.mark.parametrize("name", kept_files())
def test_columns_are_kept_if_the_recipe_says_so(read, name):
    assert [poi.place for poi in read(name, kept_files()[name]).places] == [(), ()]
    file = read(name, kept_files()[name], keep=["open", "people", "share", "name", "open"])
    assert [dict(poi.place) for poi in file.places] == [
        {"open": True, "people": 3, "share": 0.5, "name": "a"}, {"open": False, "people": None, "share": None, "name": "b"},
    ]  # fmt: skip
    assert [type(value) for value in dict(file.places[0].place).values()] == [bool, int, float, str]


def test_a_csv_keeps_text_and_an_empty_cell_is_null(read):
    file = read("p.csv", "a,lon,lat,b\n 7 ,1,1,\nx,2,2\n", keep=["a", "b"])
    assert [poi.place for poi in file.places] == [(("a", "7"), ("b", None)), (("a", "x"), ("b", None))]


def test_what_is_kept_follows_its_place(read):
    file = read("p.csv", "lon,lat,a\n1,1,one\nx,1,none\n1,1,again\n2,2,two\n", keep=["a"])
    places, _ = without_duplicates(file.places)
    found, _ = with_variants(places, Jitter(variants=1))
    assert [(poi.id, dict(poi.place)["a"]) for poi in found] == [
        ("poi_000000", "one"), ("poi_000000_g001", "one"), ("poi_000003", "two"), ("poi_000003_g001", "two"),
    ]  # fmt: skip


RECIPE = """
name: x
pois: {path: pois.csv%s}
imagery: {url: items.json, collection: c, datetime: 2024-04-01/2024-10-31}
labels: {source: raster, path: l.tif}
"""


def test_columns_and_what_is_kept_are_another_recipe_and_their_defaults_are_not():
    digests = [
        parse_recipe_text(RECIPE % more).digest()
        for more in ("", ", keep: []", ", columns: {id: null}", ", keep: [a]", ", columns: {lon: x}")
    ]
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 3


def test_kept_values_are_in_the_plan_and_in_every_sidecar_and_nothing_is_without(planets, tmp_path):
    from nutonic import build, load_recipe, verify
    from nutonic.io.objects import Store
    from nutonic.planning.plan_file import read_plan
    from nutonic.testing import SyntheticPlanet

    recipe = load_recipe(planets(SyntheticPlanet()))
    path = tmp_path / "places.jsonl"
    lines = Path(recipe.pois.path).read_text().splitlines()
    names = [name.strip() for name in lines[0].split(",")]
    rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:]]
    path.write_text("".join(json.dumps({**row, "country": "Ö", "n": i}) + "\n" for i, row in enumerate(rows)))
    kept = recipe.model_copy(update={"pois": Pois(path=str(path), keep=("country", "n"), limit=3)})
    plain = recipe.model_copy(update={"pois": Pois(path=str(path), limit=3)})
    for name, wanted in (("kept", kept), ("plain", plain)):
        build(wanted, tmp_path / name, workers=0)
        assert verify(tmp_path / name, deep=True)
    sidecars = [orjson.loads(p.read_bytes()) for p in sorted((tmp_path / "kept" / "metadata").rglob("*.json"))]
    assert sidecars
    for sidecar in sidecars:
        ordinal = int(sidecar["base_poi_id"][4:]) if sidecar["base_poi_id"].startswith("poi_") else None
        assert sidecar["place"]["country"] == "Ö"
        assert ordinal is None or sidecar["place"]["n"] == ordinal
    plan = read_plan(Store(tmp_path / "kept"))
    assert {name for batch in plan.batches() for place in batch.places for name, _ in place.poi.place} == {
        "country",
        "n",
    }
    assert all("place" not in orjson.loads(p.read_bytes()) for p in (tmp_path / "plain" / "metadata").rglob("*.json"))
    assert b'"place":' not in (tmp_path / "plain" / "_nutonic" / "plan.jsonl").read_bytes()


# Many


@pytest.mark.long
def test_many_places_without_ids_of_their_own_take_little_memory(tmp_path):
    import tracemalloc

    count = 100_000
    rng = np.random.default_rng(1)
    path = tmp_path / "many.parquet"
    pq.write_table(pa.table({"lon": rng.uniform(-180, 180, count), "lat": rng.uniform(-79, 83, count)}), path)
    read_pois(Pois(path=str(path), limit=1))
    tracemalloc.start()
    file = read_pois(Pois(path=str(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(file.places) == count
    assert peak / count < 140  # 32 while they are collected, 26 as columns, and a batch on its way


# A dataset on the Hub


@pytest.fixture
def hub(monkeypatch):
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serve() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, found.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", found.url)  # read once, when the library is imported
        yield found


SEED_ROWS = 240


def seed_like() -> tuple[dict[str, bytes], list[tuple[str, str, str]]]:
    """Two files of a street-view dataset: large pictures, coordinates as text, and others in the address."""
    rng = np.random.default_rng(11)
    rows: list[tuple[str, str, str]] = []
    for i in range(SEED_ROWS):
        if i % 6 == 5:
            rows.append(rows[int(rng.integers(i))])
        else:
            rows.append((f"{rng.uniform(-179, 179):.7f}", f"{rng.uniform(-60, 70):.7f}", ("DE", "ÑA", "JP")[i % 3]))
    rows[17] = ("", "12.5", "DE")
    files = {}
    for part, chunk in enumerate((rows[:150], rows[150:])):
        image = pa.array([{"bytes": rng.bytes(30_000), "path": None} for _ in chunk])
        content = pa.table({
            "image": image, "country_iso_alpha2": [row[2] for row in chunk], "latitude": [row[1] for row in chunk],
            "longitude": [row[0] for row in chunk], "address": ["Überallstraße 5, 9.99, 8.88, 日本"] * len(chunk),
        })  # fmt: skip
        out = io.BytesIO()
        pq.write_table(content, out, row_group_size=50)
        files[f"data/train-{part:05d}-of-00002.parquet"] = out.getvalue()
    return {"README.md": b"# a card", **files}, rows


def test_a_dataset_on_the_hub_is_read_without_its_pictures(hub):
    files, rows = seed_like()
    sha = hub.put("someone/places", files)
    wanted = Pois(path=HUB_NAME, keep=("country_iso_alpha2",))
    file = read_pois(wanted)
    size = sum(map(len, files.values()))
    assert size > 7_000_000
    assert hub.sent < size / 20
    assert file.rows == SEED_ROWS
    assert [(r.line, r.poi_id, r.reason) for r in file.rejects] == [(18, "poi_000017", "bad coordinates")]
    good = [i for i in range(SEED_ROWS) if i != 17]
    assert file.places.ordinal.tolist() == good
    assert [(p.lon, p.lat, p.place) for p in file.places] == [
        (float(rows[i][0]), float(rows[i][1]), (("country_iso_alpha2", rows[i][2]),)) for i in good
    ]
    unique, again = without_duplicates(file.places)
    assert len(unique) == len({rows[i][:2] for i in good})
    assert 30 <= len(again) <= 40
    assert told(read_pois(wanted)) == told(file)
    assert file.origin == f"{HUB_NAME}@{sha}"


def test_a_dataset_is_known_by_its_commit_in_one_request_or_none(hub):
    files, _ = seed_like()
    first = hub.put("someone/places", files)
    file = read_pois(Pois(path=HUB_NAME, limit=1))
    hub.forget()
    assert file_sha256(HUB_NAME) == file.sha256 == file_sha256(f"{HUB_NAME}@main")
    assert (len(hub.asked), hub.sent) == (2, 0)
    hub.forget()
    assert file_sha256(f"{HUB_NAME}@{first}") == file.sha256
    assert hub.asked == []
    hub.put("someone/places", {**files, "data/more.parquet": files["data/train-00001-of-00002.parquet"]})
    assert file_sha256(HUB_NAME) != file.sha256
    assert read_pois(Pois(path=f"{HUB_NAME}@{first}")).rows == SEED_ROWS
    assert read_pois(Pois(path=HUB_NAME)).rows == SEED_ROWS + 90
    assert file_sha256(f"{HUB_NAME}/data") != file_sha256(HUB_NAME)


def test_a_limit_fetches_no_more_than_it_needs(hub):
    hub.put("someone/places", seed_like()[0])
    read_pois(Pois(path=HUB_NAME))
    whole, _ = hub.sent, hub.forget()
    assert read_pois(Pois(path=HUB_NAME, limit=20)).rows == 20
    assert hub.sent < whole
    assert not any("00001-of" in path for _, path in hub.asked)


def test_a_folder_or_a_file_of_a_dataset(hub):
    one, two = (as_parquet(pa.table({"lon": [lon], "lat": [1.0]})) for lon in (1.0, 2.0))
    hub.put("someone/places", {"b/x.parquet": two, "a/y.parquet": one, "c/z.csv": b"lon,lat\n3,3\n"})
    for path, expected in {"": [1, 2], "/b": [2], "/a/y.parquet": [1], "@main/a": [1]}.items():
        assert read_pois(Pois(path=HUB_NAME + path)).places.lon.tolist() == expected


def test_the_token_is_the_environments_and_is_nowhere_else(hub, monkeypatch, caplog, tmp_path):
    token = "hf_" + "s" * 34
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    hub.put("someone/places", seed_like()[0], token=token)
    for wrong in (None, "hf_wrong"):
        if wrong:
            monkeypatch.setenv("HF_TOKEN", wrong)
        with pytest.raises(PoiError) as caught:
            read_pois(Pois(path=HUB_NAME))
        assert str(caught.value) == f"{HUB_NAME}: no such dataset, or a private one: check the name, or set HF_TOKEN"
    monkeypatch.setenv("HF_TOKEN", token)
    with caplog.at_level("DEBUG"):
        file = read_pois(Pois(path=HUB_NAME))
    assert file.rows == SEED_ROWS
    assert f"Bearer {token}" in hub.tokens
    assert hub.store_tokens == {None}  # it stays with the Hub, whose store is elsewhere
    assert token not in caplog.text + str(file.origin)
    hub.repos["someone/places"].gated = True
    with pytest.raises(PoiError, match="is gated: accept its terms on its page, and set HF_TOKEN"):
        read_pois(Pois(path=HUB_NAME))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("hf://datasets/someone/else", ": no such dataset, or a private one: check the name, or set HF_TOKEN"),
        (f"{HUB_NAME}@v9", ": the dataset has no such revision: check what follows the @"),
        (f"{HUB_NAME}/none", "/none has no .parquet file: name a dataset, folder or file that has"),
        (f"{HUB_NAME}/README.md", "/README.md has no .parquet file"),
        (f"{HUB_NAME}@{'0' * 40}", ": no such dataset, revision or file"),
        ("hf://someone/places", " is no dataset: write hf://datasets/OWNER/NAME, with @REVISION and /PATH"),
        ("hf://datasets/places", " is no dataset: write"),
        (f"{HUB_NAME}/../../x/y", " is no dataset: write"),
        (f"{HUB_NAME}/bad.parquet", "/bad.parquet is no Parquet file that can be read"),
        (f"{HUB_NAME}/other.parquet", "/other.parquet has no column lon or longitude; its columns are a"),
    ],
)
def test_what_the_hub_does_not_have_is_told_in_one_line(hub, path, message):
    other = as_parquet(pa.table({"a": [1]}))
    hub.put("someone/places", {"README.md": b"x", "bad.parquet": b"PAR1" + b"x" * 99 + b"PAR1", "other.parquet": other})
    with pytest.raises(PoiError) as caught:
        read_pois(Pois(path=path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_that_is_not_there_or_fails_is_told_in_one_line(hub, monkeypatch):
    hub.put("someone/places", seed_like()[0])
    hub.broken = 410
    with pytest.raises(
        PoiError, match=r"cannot read hf://datasets/someone/places@.* from 127.0.0.1: status 410"
    ) as caught:
        read_pois(Pois(path=HUB_NAME))
    assert SIGNATURE not in str(caught.value)
    hub.broken = 501
    with pytest.raises(Unreachable, match="status 501: try again later"):
        read_pois(Pois(path=HUB_NAME))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for ask in (file_sha256, lambda path: read_pois(Pois(path=path))):
        with pytest.raises(Unreachable, match=r"cannot read .* from 127.0.0.1: no answer \(\w+\): check the network"):
            ask(HUB_NAME)


@pytest.mark.parametrize(
    "where", ["/api/datasets/someone/places/revision", "/api/datasets/someone/places/tree", "/blob"]
)
def test_a_hub_that_sends_a_byte_now_and_then_keeps_nobody_waiting(hub, monkeypatch, where):
    hub.put("someone/places", seed_like()[0])
    hub.slow = where
    monkeypatch.setattr(hub_places, "_LONGEST_S", 0.4)
    monkeypatch.setattr(hub_places, "_SLOWEST", 10**9)
    began = time.monotonic()
    with pytest.raises(
        Unreachable, match=r"cannot read .* from 127.0.0.1: no answer \(TimeoutError\): check the network"
    ):
        read_pois(Pois(path=HUB_NAME))
    assert time.monotonic() - began < 5


def test_the_token_does_not_go_over_plain_http_to_another_machine(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    monkeypatch.setenv("HF_TOKEN", "hf_c4n4ry")
    with pytest.raises(PoiError, match=r"HF_ENDPOINT is http://hub.example, plain http, .* use https") as caught:
        read_pois(Pois(path=HUB_NAME))
    assert "c4n4ry" not in str(caught.value)


def test_a_build_asks_the_hub_no_more_than_whether_it_changed(hub, planets, tmp_path):
    from nutonic import build, load_recipe
    from nutonic.errors import RecipeChanged
    from nutonic.testing import SyntheticPlanet

    recipe = load_recipe(planets(SyntheticPlanet()))
    points = read_pois(recipe.pois).places
    content = as_parquet(pa.table({"longitude": points.lon.astype(str), "latitude": points.lat.astype(str)}))
    sha = hub.put("someone/places", {"data/train.parquet": content})
    by_name = recipe.model_copy(update={"pois": Pois(path=HUB_NAME, limit=2)})
    by_commit = recipe.model_copy(update={"pois": Pois(path=f"{HUB_NAME}@{sha}", limit=2)})
    build(by_name, tmp_path / "out", workers=0)
    for again, requests in ((by_name, 1), (by_commit, 0)):
        hub.forget()
        build(again, tmp_path / "out", workers=0)
        assert (len(hub.asked), hub.sent) == (requests, 0)
    hub.put("someone/places", {"data/train.parquet": content, "README.md": b"new"})
    with pytest.raises(RecipeChanged, match="is not the places file"):
        build(by_name, tmp_path / "out", workers=0)
    build(by_commit, tmp_path / "out", workers=0)


def test_a_missing_package_is_told_with_its_extra(monkeypatch):
    for name in ("huggingface_hub", "huggingface_hub.errors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'nutonic\[hub\]'"):
        read_pois(Pois(path=HUB_NAME))
