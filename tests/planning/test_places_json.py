"""Places as JSON of every form: each row is a file's text, and the places or the message of it."""

from __future__ import annotations

import gzip
import json

import pytest
from pyproj import Transformer
from support.places import read_as, told

from nutonic.errors import PoiError
from nutonic.planning.places import geojson, text
from nutonic.planning.places.read import PoiFile


@pytest.fixture
def read(tmp_path):
    def write_and_read(name: str, content: str | bytes, **wanted) -> PoiFile:
        return read_as(tmp_path / name, content, **wanted)

    return write_and_read


def point(lon: object, lat: object, kind: str = "Point") -> dict:
    return {"type": kind, "coordinates": [lon, lat] if kind == "Point" else [[lon, lat]]}


def feature(geometry: dict | None, own_id: object = None, **properties) -> dict:
    made = {"type": "Feature", "geometry": geometry, "properties": properties}
    return made if own_id is None else {**made, "id": own_id}


def collection(*features: dict, **more) -> dict:
    return {"type": "FeatureCollection", "features": list(features), **more}


A, B = feature(point(13.4, 52.5), "a"), feature(point(-3.25, -7.5), "b")
TWO = [("a", 13.4, 52.5), ("b", -3.25, -7.5)]
LINES = f"{json.dumps(A)}\n{json.dumps(B)}\n"
SEQUENCE = "".join(f"\x1e{json.dumps(each, indent=1)}\n" for each in (A, B))
OBJECTS = [{"id": "a", "lon": 13.4, "lat": 52.5}, {"id": "b", "longitude": "-3.25", "latitude": "-7.5"}]
NESTED = [
    {"id": "a", "location": {"lat": 52.5, "lng": 13.4}},
    {"id": "b", "geometry": point(-3.25, -7.5)},
]

FORMS = [
    ("p.geojson", json.dumps(collection(A, B))),
    ("p.geojson", json.dumps(collection(A, B), indent=2)),
    ("p.json", json.dumps(collection(A, B))),
    ("p.geojson", LINES),  # a Feature a line, whatever the suffix
    ("p.geojson", SEQUENCE),
    ("p.geojson", json.dumps([A, B])),
    ("p.geojson", json.dumps(collection(A)) + json.dumps(collection(B))),
    ("p.geojsonl", LINES),
    ("p.ndjson", LINES),
    ("p.geojsons", SEQUENCE),
    ("p.geojsonseq", SEQUENCE.replace("\n", "\r\n")),
    ("p.jsonl", SEQUENCE),
    ("p.json", json.dumps(OBJECTS)),
    ("p.json", json.dumps(NESTED)),
    ("p.jsonl", "".join(json.dumps(each) + "\n" for each in OBJECTS)),
    ("p.jsonl", "".join(json.dumps(each) + "\n\n" for each in NESTED)),
    ("p.geojson", json.dumps(collection(feature(point(13.4, 52.5, "MultiPoint"), "a"), B))),
    ("p.geojson", json.dumps([feature({"type": "GeometryCollection", "geometries": [point(13.4, 52.5)]}, "a"), B])),
    ("p.geojson", json.dumps(collection(feature({"type": "Point", "coordinates": [13.4, 52.5, 34.0]}, id="a"), B))),
    # Coordinates among the properties say nothing: they may be of another kind, or contradict each other.
    ("p.geojson", json.dumps(collection(feature(point(13.4, 52.5), "a", lon=9, longitude=8, lat=7, latitude=6), B))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), FORMS)
def test_json_of_any_form_is_read(read, name, content):
    file = read(name, content)
    assert told(file) == TWO
    assert (file.rejects, file.rows, file.warnings) == ([], 2, ())
    assert told(read(f"{name}.gz", gzip.compress(content.encode()))) == TWO


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(("name", "content"), [FORMS[0], FORMS[3], FORMS[7], FORMS[14]])
def test_json_is_read_in_any_unicode(read, name, content, encoding):
    assert told(read(name, content.encode(encoding))) == TWO


OVERPASS = {
    "version": 0.6,
    "elements": [
        {"type": "node", "id": 5, "lat": 52.5, "lon": 13.4, "tags": {"name": "A", "id": "x"}},
        {"type": "way", "id": 5, "center": {"lat": -7.5, "lon": -3.25}, "nodes": [1, 2]},
        {"type": "relation", "id": 5, "members": []},
    ],
}


def test_what_overpass_answers(read):
    file = read("p.json", json.dumps(OVERPASS), keep=["name"])
    assert told(file) == [("node-5", 13.4, 52.5), ("way-5", -3.25, -7.5)]
    assert [dict(poi.place) for poi in file.places] == [
        {"name": "A", "original_id": "node/5"}, {"name": None, "original_id": "way/5"},
    ]  # fmt: skip
    assert [(reject.line, reject.detail) for reject in file.rejects] == [
        (3, "the relation has no centre: ask Overpass for it by: out center;")
    ]
    assert told(read("p.json", json.dumps(OVERPASS), columns={"id": False}))[0][0] == "poi_000000"


def test_what_overpass_turbo_exports(read):
    features = [
        feature(point(13.4, 52.5), f"{kind}/123", **{"@id": f"{kind}/123", "name": "x"}) for kind in ("node", "way")
    ]
    assert [name for name, _, _ in told(read("export.geojson", json.dumps(collection(*features))))] == [
        "node-123",
        "way-123",
    ]


@pytest.mark.parametrize(
    ("own_id", "made"), [(0, "0"), ("0", "0"), (1.5, "1-5"), ("Weißer See", "Weisser-See"), ("", None)]
)
def test_ids_of_features_go_before_their_properties(read, own_id, made):
    content = json.dumps(feature(point(1, 2), own_id, id="other"))
    assert told(read("p.geojson", content))[0][0] == (made or "poi_000000")
    assert told(read("p.geojson", content, columns={"id": "id"}))[0][0] == "other"


CRSS = [
    "urn:ogc:def:crs:EPSG::32633",
    "EPSG:3857",
    "urn:ogc:def:crs:EPSG::25832",
    "http://www.opengis.net/def/crs/EPSG/0/2154",
]


@pytest.mark.parametrize("crs", CRSS)
def test_a_collection_of_another_crs_is_transformed(read, crs):
    code = f"EPSG:{crs.replace('/', ':').rsplit(':', 1)[1]}"
    x, y = Transformer.from_crs("OGC:CRS84", code, always_xy=True).transform(10.5, 48.25)
    content = collection(feature(point(x, y)), crs={"type": "name", "properties": {"name": crs}})
    ((_, lon, lat),) = told(read("p.geojson", json.dumps(content)))
    assert (lon, lat) == pytest.approx((10.5, 48.25), abs=1e-8)


REJECTED = [
    (feature(None, lon=1, lat=2), "the feature has no geometry"),
    (feature({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}), "the geometry is a MultiPoint of 2 points, not a "
     "Point"),
    (feature({"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [1, 2]]]}), "the geometry is a Polygon, not a Point"),
    (feature({"type": "Point", "coordinates": []}), "the point has the coordinates [], not two numbers"),
    (feature(point(None, 2)), "lon '', lat 2 are not two numbers"),
    (feature(point(float("nan"), 2)), "longitude nan, latitude 2.0 is not on Earth: expected -180 to 180 and -90 to 90"),
    ({"coordinates": [1, 2]}, "[1, 2] does not say which is first: write POINT (lon lat)"),
    (point(1, 2), "a bare Point is no GeoJSON Feature"),
    ([1, 2], "[1, 2] is no GeoJSON Feature"),
    (None, "None is no GeoJSON Feature"),
]  # fmt: skip


def test_a_member_without_a_point_is_a_reject_and_the_others_stay(read):
    file = read("p.json", json.dumps([A, *(member for member, _ in REJECTED), B]))
    assert told(file) == TWO
    assert [(reject.line, reject.detail) for reject in file.rejects] == [
        (at, detail) for at, (_, detail) in enumerate(REJECTED, 2)
    ]


LINE = json.dumps(OBJECTS[0])
BAD_LINES = [
    ("[" + LINE + ",", "is no JSON object: is the file one array? Then name it .json"),
    (LINE + ",", "is no JSON object: is the file one array? Then name it .json"),
    ('{"type": "FeatureCollection", "features":[', "is no JSON object: is the file one array? Then name it .json"),
    ('{"type": "FeatureCollection", "features": []}', "a FeatureCollection in one line: name the file .geojson"),
    ("[1, 2]", "'[1, 2]' is no JSON object"),
    (
        b'{"name": "K\xf6ln"}',
        "is not UTF-8 text (byte 11 of the line, where Windows-1252 has 'ö'): save the file as UTF-8",
    ),
]


@pytest.mark.parametrize(("line", "detail"), BAD_LINES)
def test_a_line_that_is_no_object_is_a_reject_that_says_why(read, line, detail):
    content = line.encode() if isinstance(line, str) else line
    file = read("p.jsonl", f"{LINE}\n".encode() + content + b"\n")
    assert told(file) == TWO[:1]
    ((at, said),) = [(reject.line, reject.detail) for reject in file.rejects]
    assert at == 2
    assert said.endswith(detail)


CUT = json.dumps(collection(A, B), indent=1)[:-4]
LATIN = b'[{"lon": 1, "lat": 2,\n"name": "K\xf6ln"}]'
MESSAGES = [
    ("p.geojson", "", "is not JSON (line 1): Expecting value: is it cut off?"),
    ("p.geojson", CUT, f"is not JSON (line {1 + CUT.count(chr(10))}): Expecting ',' delimiter: is it cut off?"),
    ("p.geojson", LINES + "x", "is not JSON (line 3): Expecting value: is it cut off?"),
    ("p.geojson", '{"type": "Topology"}', "is no FeatureCollection: places are Features of Points, or an array of objects "
     "with lon and lat"),
    ("p.json", '{"lon": [1], "lat": [2]}', "is no FeatureCollection: places are Features of Points, or an array of objects "
     "with lon and lat"),
    ("p.json", '[{"lon": 1, "lat": 2, "latitude": 2}, {"lon": 1, "lat": 2, "latitude": 3}]', "has several columns of "
     "latitudes (lat, latitude): say which, as in pois.columns.lat: lat; in row 2 they are 2 and 3"),
    ("p.json", LATIN, f"is not UTF-8 text (byte {LATIN.index(246)}) in line 2, where Windows-1252 has 'ö': save it as "
     "UTF-8, or convert it, for instance with iconv -f WINDOWS-1252 -t UTF-8"),
    ("p.jsonl", b"\xff\xfe{\0}\0\n", "is not UTF-16 text (byte 6) in line 1: save it as UTF-8"),
    ("p.json", gzip.compress(b"{}", mtime=0), "is a gzip file: end its name in .gz"),
    ("p.json.gz", b"{}", "is no whole gzip file: is it cut off?"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), MESSAGES)
def test_what_is_no_places_file_is_told_in_one_line(read, tmp_path, name, content, message):
    with pytest.raises(PoiError) as caught:
        read(name, content)
    assert str(caught.value) == f"{tmp_path / name} {message}"


# Bounds


@pytest.mark.parametrize("name", ["p.csv.gz", "p.jsonl.gz", "p.geojson.gz"])
def test_a_small_gzip_of_much_is_refused(read, monkeypatch, name):
    monkeypatch.setattr(text, "HARMLESS", 1 << 16)
    content = gzip.compress(b"\n" * (1 << 17))
    assert 200 * len(content) < 1 << 16
    with pytest.raises(PoiError, match="unpacks to more than 200 times its size: is it a places file"):
        read(name, content)


def test_a_document_that_is_too_large_is_refused(read, monkeypatch):
    monkeypatch.setattr(geojson, "MAX_DOCUMENT", 1 << 20)
    with pytest.raises(
        PoiError, match="is larger than 1 MiB, and GeoJSON is read whole: convert it to JSONL or Parquet"
    ):
        read("p.geojson", b" " * ((1 << 20) + 1))
