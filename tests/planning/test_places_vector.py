"""Places of Parquet in any CRS, and of other vector files through GDAL: known points in, the same points out."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer

from nutonic.errors import MissingExtra, PoiError
from nutonic.planning.places.read import PoiFile, file_sha256, read_pois
from nutonic.recipe.inputs import Pois

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

POINTS = [(10.5, 48.25), (-3.25, 51.5)]


def told(file: PoiFile) -> list[tuple[float, float]]:
    assert (file.rejects, file.rows) == ([], len(POINTS))
    return [(poi.lon, poi.lat) for poi in file.places]


def read(path: Path, **wanted) -> PoiFile:
    return read_pois(Pois(path=str(path), **wanted))


def points_in(crs: object) -> list[shapely.Point]:
    to = Transformer.from_crs("OGC:CRS84", CRS(crs), always_xy=True)
    return [shapely.Point(*to.transform(*point)) for point in POINTS]


def near(points: list[tuple[float, float]]) -> object:
    return pytest.approx(np.array(points), abs=1e-7)


def refused(path: Path, **wanted) -> str:
    with pytest.raises(PoiError) as caught:
        read(path, **wanted)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


# Parquet


def parquet(path: Path, columns: dict, geo: object = ...) -> Path:
    table = pa.table(columns)
    if geo is not ...:
        about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geo}}
        table = table.replace_schema_metadata({"geo": json.dumps(about)})
    pq.write_table(table, path, row_group_size=1)
    return path


CRSS = [
    "OGC:CRS84",
    "EPSG:4326",
    "EPSG:4979",
    "EPSG:4258",
    "EPSG:32632",
    "EPSG:3857",
    "EPSG:3035",
    "ESRI:54009",
    "EPSG:5514",
]


@pytest.mark.parametrize("crs", CRSS)
def test_geoparquet_says_its_crs(tmp_path, crs):
    geo = {"encoding": "WKB", "geometry_types": ["Point"], "crs": CRS(crs).to_json_dict()}
    path = parquet(tmp_path / "p.parquet", {"geometry": [point.wkb for point in points_in(crs)]}, geo)
    assert np.array(told(read(path))) == near(POINTS)


def test_geoparquet_without_a_crs_is_in_degrees_and_an_unknown_one_is_told(tmp_path):
    wkb = {"geometry": [shapely.Point(*point).wkb for point in POINTS]}
    assert told(read(parquet(tmp_path / "p.parquet", wkb, {"encoding": "WKB"}))) == POINTS
    assert told(read(parquet(tmp_path / "p.parquet", wkb))) == POINTS
    unknown = parquet(tmp_path / "p.parquet", wkb, {"encoding": "WKB", "crs": None})
    assert refused(unknown) == " says that the CRS of its geometry is unknown: write it with one, such as EPSG:4326"
    odd = parquet(tmp_path / "p.parquet", wkb, ["WKB"])
    assert refused(odd) == " describes its geometry in a way that is no GeoParquet: give it lon and lat columns"


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3857", "OGC:CRS84"])
def test_arrows_extension_says_its_crs(tmp_path, crs):
    about = {b"ARROW:extension:name": b"geoarrow.wkb", b"ARROW:extension:metadata": json.dumps({"crs": crs}).encode()}
    field = pa.field("where", pa.binary(), metadata=about)
    pq.write_table(
        pa.table([[point.wkb for point in points_in(crs)]], schema=pa.schema([field])), tmp_path / "p.parquet"
    )
    assert np.array(told(read(tmp_path / "p.parquet"))) == near(POINTS)


LON, LAT = map(list, zip(*POINTS, strict=True))
WKT = [f"POINT ({lon} {lat})" for lon, lat in POINTS]


@pytest.mark.parametrize(
    "columns",
    [
        {"lng": LON, "lat": LAT},
        {"decimalLongitude": pa.array(LON, pa.float32()), "decimalLatitude": list(map(str, LAT))},
        {"lon": pa.array(LON, pa.float16()), "lat": pa.array(LAT).dictionary_encode()},
        {"geometry": WKT},
        {"location": [{"lat": lat, "lng": lon} for lon, lat in POINTS]},
        {"longitude": pa.array(LON, pa.float32()), "lat": LAT, "lon": LON, "latitude": [None, 51.5]},
        {"geometry": [shapely.Point(1, 2).wkb] * 2, "lon": LON, "lat": LAT},
    ],
)
def test_columns_of_parquet(tmp_path, columns):
    assert told(read(parquet(tmp_path / "p.parquet", columns))) == POINTS


def test_columns_that_contradict_each_other_are_told_with_their_row(tmp_path):
    path = parquet(tmp_path / "p.parquet", {"lon": LON, "lat": LAT, "longitude": [10.5, -3.3]})
    assert refused(path) == (
        " has several columns of longitudes (lon, longitude): say which, as in pois.columns.lon: lon; in row 2 they are "
        "-3.25 and -3.3"
    )
    assert told(read(path, columns={"lon": "lon"})) == POINTS
    assert read(path, limit=1).rows == 1


def test_a_small_parquet_of_many_rows_is_refused(tmp_path):
    path = tmp_path / "p.parquet"
    column = pa.array(np.zeros(2_000_000))
    pq.write_table(pa.table({"lon": column, "lat": column}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    assert "says it has 2,000,000 rows in" in refused(path)


# What is no file


def test_pipes_devices_and_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / "p.csv")
    (tmp_path / "p.geojson").mkdir()
    for path in (tmp_path / "p.csv", Path("/dev/zero"), Path("/dev/null")):
        assert refused(path) == f"the places file {path} is a pipe or a device, not a file; see pois.path"
    for name, why in {"p.geojson": "is a directory", "none.csv": "no such file or directory"}.items():
        assert refused(tmp_path / name) == f"cannot read the places file {tmp_path / name}: {why}; see pois.path"


# Other vector files


@pytest.fixture
def write(tmp_path):
    raw = pytest.importorskip("pyogrio.raw")

    def to_file(name: str, shapes: list, crs: str | None = "EPSG:4326", **more) -> Path:
        fields = more.pop("fields", {"name": np.array(["Ä", "b"][: len(shapes)], object)})
        wkb = np.array([shape.wkb for shape in shapes], object)
        kind = more.pop("geometry_type", "Point")
        raw.write(
            str(tmp_path / name),
            wkb,
            list(fields.values()),
            np.array(list(fields)),
            crs=crs,
            geometry_type=kind,
            **more,
        )
        return tmp_path / name

    return to_file


GEO = [shapely.Point(*point) for point in POINTS]


@pytest.mark.parametrize("name", ["p.gpkg", "p.shp", "p.fgb", "p.kml", "P.GPKG"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32632", "EPSG:3857"])
def test_a_vector_file_is_read_in_its_crs(write, tmp_path, name, crs):
    more: dict = {"layer_options": {"SPATIAL_INDEX": "NO"}} if name == "p.fgb" else {}  # an index has its own order
    if name == "p.kml":
        crs, more = "EPSG:4326", {"driver": "KML"}  # which knows no other
    path = write(name, points_in(crs), crs, **more)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    key = "Name" if name == "p.kml" else "name"
    file = read(path, keep=[key])
    assert np.array(told(file)) == near(POINTS)
    assert [dict(poi.place)[key] for poi in file.places] == ["Ä", "b"]
    assert read(path, limit=1).rows == 1
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before  # a user's own files are never touched


@pytest.mark.parametrize("name", ["p.zip", "p.shp.zip", "ä {b}.zip"])
def test_a_zipped_shapefile_is_read(write, tmp_path, name):
    shape = write("s.shp", points_in("EPSG:3857"), "EPSG:3857")
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
            archive.write(shape.with_suffix(suffix), f"folder/ü {{x}}{suffix}")
    assert np.array(told(read(tmp_path / name))) == near(POINTS)


def test_a_shapefile_is_known_by_all_its_files(write):
    path = write("p.shp", GEO)
    before = file_sha256(str(path))
    assert before == read(path).sha256
    path.with_suffix(".prj").write_text(CRS("EPSG:4258").to_wkt("WKT1_ESRI"))
    assert file_sha256(str(path)) != before
    path.with_suffix(".prj").unlink()
    assert refused(path) == " does not say which CRS its points are in: write it with one, such as EPSG:4326"
    path.with_suffix(".shx").unlink()
    assert refused(path) == " lies there without its .shx: a shapefile is several files (.shp, .shx, .dbf, .prj)"


def placemark(name: str, lon: float, lat: float) -> str:
    return f"<Placemark><name>{name}</name><Point><coordinates>{lon},{lat},0</coordinates></Point></Placemark>"


FOLDERS = [
    "{}{}",
    "<Folder><name>f</name>{}{}</Folder>",
    "<Folder><name>f</name>{}</Folder><Folder><name>g</name>{}</Folder>",
    "<Folder><name>My Places</name>{}<Folder><name>g</name>{}</Folder></Folder>",
]


@pytest.mark.parametrize("suffix", [".kml", ".kmz"])
@pytest.mark.parametrize("folders", FOLDERS)
def test_google_earths_folders_are_one_set_of_places(tmp_path, folders, suffix):
    pytest.importorskip("pyogrio")
    marks = (placemark(name, *point) for name, point in zip("ab", POINTS, strict=True))
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{}</Document></kml>'
    path = tmp_path / f"My Places{suffix}"
    content = text.format(folders.format(*marks)).encode()
    if suffix == ".kmz":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("doc.kml", content)
        content = packed.getvalue()
    path.write_bytes(content)
    file = read(path, columns={"id": "Name"})
    assert told(file) == POINTS
    assert [poi.id for poi in file.places] == ["a", "b"]
    assert [poi.id for poi in read(path, columns={"id": "Name"}, limit=1).places] == ["a"]


def test_ids_and_other_columns_of_a_vector_file(write):
    fields = {"id": np.array(["n/1", "n-2"], object), "lon": np.array([1.0, 2.0]), "longitude": np.array([1.0, 9.0])}
    path = write("p.gpkg", GEO, fields=fields)
    assert told(read(path)) == POINTS  # the points say where they are, whatever else is written beside them
    assert [poi.id for poi in read(path).places] == ["n-1", "n-2"]
    assert [poi.id for poi in read(path, columns={"id": False}).places] == ["poi_000000", "poi_000001"]
    assert refused(path, columns={"lon": "lon"}).startswith(" is a vector file, whose points say where they are: leave")


def test_what_is_no_point_is_a_reject(write):
    shapes = [GEO[0], shapely.MultiPoint([POINTS[1]]), shapely.MultiPoint(POINTS), shapely.LineString(POINTS)]
    path = write("p.gpkg", shapes, geometry_type="Unknown", fields={"n": np.arange(4)})
    file = read(path)
    assert [(poi.lon, poi.lat) for poi in file.places] == POINTS
    assert [(reject.line, reject.detail) for reject in file.rejects] == [
        (3, "the geometry is a MultiPoint, not a Point"), (4, "the geometry is a LineString, not a Point"),
    ]  # fmt: skip


def test_what_gdal_cannot_use_is_told_in_one_line(write, tmp_path):
    write("two.gpkg", GEO, layer="a")
    two = write("two.gpkg", GEO, layer="b", append=True)
    assert refused(two).startswith(
        " has 2 layers of geometries (a, b): write the one with the places to a file of its own"
    )
    with pytest.warns(UserWarning, match="crs"):
        none = write("none.gpkg", GEO, None)
    assert refused(none) == " does not say which CRS its points are in: write it with one, such as EPSG:4326"
    for name, content, said in [
        ("x.gpkg", b"x", " is no .gpkg file: is it another format, or cut off?"),
        ("x.shp", b"lon,lat\n1,2\n", " is no .shp file: is it another format, or cut off?"),
        ("x.kml", b"<html>", " is no .kml file: is it another format, or cut off?"),
        ("y.kml", b"<kml", " cannot be read: "),
        ("x.zip", b"PK\x03\x04", " holds nothing that can be read: File is not a zip file"),
    ]:
        (tmp_path / name).write_bytes(content)
        assert refused(tmp_path / name).startswith(said)
    with zipfile.ZipFile(tmp_path / "csv.zip", "w") as archive:
        archive.writestr("p.csv", "lon,lat\n1,2\n")
    assert refused(tmp_path / "csv.zip") == " holds 0 shapefiles: a zip of places holds one"


def test_a_missing_package_is_told_with_its_extra(tmp_path, monkeypatch):
    import sys

    for name in ("pyogrio", "pyogrio.errors", "pyogrio.raw"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "p.fgb").write_bytes(b"fgb\x03fgb\0")
    with pytest.raises(MissingExtra, match=r"pip install 'nutonic\[vector\]'"):
        read(tmp_path / "p.fgb")


@pytest.mark.parametrize(
    ("name", "beside"),
    [(f"p.{name}", f"p.{end}") for name, end in (
        ("shp", "dbf"), ("shp", "prj"), ("shp", "cpg"), ("shp", "qix"), ("shp", "SBN"), ("shp", "shx"),
        ("gpkg", "gpkg-journal"), ("gpkg", "gpkg-wal"),
    )],
)  # fmt: skip
def test_a_pipe_that_gdal_would_open_beside_a_file_is_refused(write, name, beside):
    """GDAL opens each for reading, and waits for somebody to write."""
    path = write(name, [shapely.Point(8, 47)])
    other = path.with_name(beside)
    other.unlink(missing_ok=True)
    os.mkfifo(other)
    assert f" beside {name} is a pipe or a device, not a file; see pois.path" in refused(path)
    if not beside.endswith(("shx", "dbf", "prj")):  # those it needs
        other.unlink()
        other.symlink_to("nowhere")
        assert read(path).rows == 1
