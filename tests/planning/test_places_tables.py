"""Tables of places as programs and people export them: each row is a file's text, and the places or the message of it."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools

import pytest
from hypothesis import strategies as st
from support.places import read_as, told
from support.sampling import examples

from nutonic.errors import PoiError
from nutonic.planning.places.read import PoiFile
from nutonic.recipe.inputs import Pois


@pytest.fixture
def read(tmp_path):
    def write_and_read(content: str | bytes, name: str = "p.csv", **wanted) -> PoiFile:
        return read_as(tmp_path / name, content, **wanted)

    return write_and_read


def numbered(*points: tuple[float, float]) -> list[tuple[str, float, float]]:
    return [(f"poi_{at:06d}", *point) for at, point in enumerate(points)]


BERLIN = (13.4, 52.5)
ONE, TWO = numbered(BERLIN), numbered(BERLIN, (-3.25, -7.5))

# How a table is written

WRITTEN = [
    "lon,lat\n13.4,52.5\n-3.25,-7.5\n",
    "lon;lat\n13.4;52.5\n-3.25;-7.5\n",
    "lon\tlat\n13.4\t52.5\n-3.25\t-7.5\n",
    "lon|lat\n13.4|52.5\n-3.25|-7.5\n",
    "lon;lat\n13,4;52,5\n-3,25;-7,5\n",  # decimal commas
    "lon\tlat\n13,4\t52,5\n-3,25\t-7,5\n",
    "lon|lat\n13,4|52,5\n-3,25|-7,5\n",
    'lon,lat\n"13,4","52,5"\n"-3,25","-7,5"\n',
    "note, with commas; and more;lon;lat\na, b, c;;13,4;52,5\nd;e;-3,25;-7,5\n",
    "name;lon;lat\na, b, c, d;13.4;52.5\n;-3.25;-7.5\n",
    "a|b|c|d,lon,lat\n1,13.4,52.5\n2,-3.25,-7.5\n",  # more bars than commas
    "sep=;\nlon;lat\n13,4;52,5\n-3,25;-7,5\n",  # Excel
    "SEP=,\r\nlon,lat\r\n13.4,52.5\r\n-3.25,-7.5\r\n",
    '"sep=,"\nlon,lat\n13.4,52.5\n-3.25,-7.5\n',
    "sep=\t\nlon\tlat\n13.4\t52.5\n-3.25\t-7.5\n",
    "sep=^\nlon^lat\n13.4^52.5\n-3.25^-7.5\n",
    "\ufeffsep=;\nlon;lat\n13.4;52.5\n-3.25;-7.5\n",
    "# by a program\n\n#\nlon,lat\n13.4,52.5\n-3.25,-7.5\n",
    "# lon: degrees, lat: degrees\nlon;lat\n13.4;52.5\n-3.25;-7.5\n",
    "#lon,lat\n13.4,52.5\n-3.25,-7.5\n",  # the header is a comment, as numpy.savetxt has it
    "# made today\n# lon\tlat\n13.4\t52.5\n-3.25\t-7.5\n",
    "sep=;\n\n# c\nlon;lat\n13.4;52.5\n-3.25;-7.5\n",
    "\r\n,,\r\nlon,lat,\r\n13.4,52.5,\r\n-3.25,-7.5,\r\n",
    "lon, lat, name\n13.4, 52.5, \"a, b\"\n-3.25, -7.5, \"c\"\n",  # quotes after spaces
    "lon\r\n".replace("\r\n", ",lat\r13.4,52.5\r-3.25,-7.5\r"),  # CR alone
    "lon,lat\r\n13.4,52.5\r\n-3.25,-7.5",
    "lon,lat\n13.4,52.5\r\n-3.25,-7.5\n",  # both
    'name,lon,lat\n"a\r\nb",13.4,52.5\n"c ""d""",-3.25,-7.5\n',
    '"lon","lat"\n"13.4","52.5"\n"-3.25","-7.5"\n',
    '"",lon,lat\n"1",13.4,52.5\n"2",-3.25,-7.5\n',  # R
    "Unnamed: 0,lon,lat\n0,13.4,52.5\n1,-3.25,-7.5\n",  # pandas
    'name\tlon\tlat\n5" pipe\t13.4\t52.5\n"a\t-3.25\t-7.5\n',  # a quote is a letter
    'lon\tlat\tname\n13.4\t52.5\t"open\n-3.25\t-7.5\ta"\n',
    'name\tlon\tlat\n"a ""b"""\t13.4\t52.5\n"c\td"\t-3.25\t-7.5\n',  # and here it is none
    '"n"\t"lon"\t"lat"\n"5\\" pipe"\t13.4\t52.5\n"b"\t-3.25\t-7.5\n',
    'name|lon|lat\n5" pipe|13.4|52.5\n"a|-3.25|-7.5\n',
    'name,lon,lat\n5" pipe,13.4,52.5\n6" pipe,-3.25,-7.5\n',
    f'lon,lat,a\n13.4,52.5,{"x" * 200_000}\n-3.25,-7.5,"{"y" * 140_000}"\n',
    '"lon,lat"\n"13.4,52.5"\n"-3.25,-7.5"\n',  # a table in its own quotes
    "lon lat\n13.4 52.5\n-3.25 -7.5\n",
]  # fmt: skip


@pytest.mark.parametrize("content", WRITTEN)
def test_a_table_is_read_as_it_is_written(read, content):
    file = read(content)
    assert told(file) == TWO
    assert (file.rejects, file.rows, file.warnings) == ([], 2, ())


ENCODINGS = {
    "utf-8-sig": b"", "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-32-le": codecs.BOM_UTF32_LE,
}  # fmt: skip


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "text", [WRITTEN[0], WRITTEN[11], "name\tlon\tlat\r\nKöln Ā\t13.4\t52.5\r\n東京\t-3.25\t-7.5\r\n"]
)
def test_a_table_is_read_in_any_unicode(read, text, encoding, mark):
    if encoding == "utf-32-le" and not mark:
        pytest.skip("nothing writes it without a mark")
    content = (ENCODINGS[encoding] if mark else b"") + text.encode(encoding if mark else encoding.removesuffix("-sig"))
    assert told(read(content)) == TWO
    assert told(read(gzip.compress(content), "p.csv.gz")) == TWO


def test_cells_are_kept_as_they_are(read):
    text = 'name\tlon\tlat\n5" pipe\t1\t2\nKöln "am" Rhein\t3\t4\n'
    for content in (text.encode(), text.encode("utf-16")):
        file = read(content, "p.tsv", keep=["name"])
        assert [dict(poi.place)["name"] for poi in file.places] == ['5" pipe', 'Köln "am" Rhein']


WORDS = st.lists(st.sampled_from([*"aZ ,;\t|\"'\n#=äЖ東\u2028", "\r\n"]), max_size=8).map("".join)
DEGREES = st.tuples(st.floats(-180, 180), st.floats(-80, 84))


@examples(
    25,
    80,
    rows=st.lists(st.tuples(WORDS, DEGREES, WORDS), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ends=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    comma=st.booleans(),
)
def test_what_pythons_writer_writes_is_read_back_exactly(read, rows, delimiter, quoting, ends, encoding, comma):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ends)
    writer.writerow(["note", "Longitude [deg]", "Latitude [deg]", "more"])
    number = (lambda value: repr(value).replace(".", ",")) if comma and "e" not in repr(rows) else float
    for note, (lon, lat), more in rows:
        writer.writerow([note, number(lon), number(lat), more])
    file = read(out.getvalue().encode(encoding), keep=["note", "more"])
    assert told(file) == numbered(*(point for _, point, _ in rows))
    assert file.rejects == []
    assert [tuple(dict(poi.place).values()) for poi in file.places] == [
        (note.strip() or None, more.strip() or None) for note, _, more in rows
    ]


# What a column holds, by its name

NAMED = [
    "lon,lat", "Lon , LAT", "lng,lat", "long,lat", "LNG,LAT", "x,y", "X,Y", "longitude,latitude", "LONGITUDE,Latitude",
    "decimalLongitude,decimalLatitude", "decimal_longitude,decimal_latitude", "Longitude Decimal,Latitude Decimal",
    "lon_deg,lat_deg", "longitude_deg,latitude_deg", "gps_lon,gps_lat", "GPS Longitude,GPS Latitude", "gpsLon,gpsLat",
    "GPSLongitude,GPSLatitude", "geo_lng,geo_lat", "location.lng,location.lat", "location_long,location_lat",
    "Longitude (°),Latitude (°)", "Longitude [degrees],Latitude [degrees]", "lon {deg},lat {deg}", "Lon°,Lat°",
    "longitude (decimal degrees),latitude (decimal degrees)", "LON_DD,LAT_DD", "LONGDD,LATDD", "lon_wgs84,lat_wgs84",
    "X_WGS84,Y_WGS84", "POINT_X,POINT_Y", "x_coord,y_coord", "coord_x,coord_y", "centroid_lon,centroid_lat", "@lon,@lat",
    "Längengrad,Breitengrad", "longitud,latitud", "longitudine,latitudine", "longitude EPSG 4326,latitude EPSG:4326",
]  # fmt: skip


@pytest.mark.parametrize("names", NAMED)
def test_columns_of_coordinates_are_known_by_their_usual_names(read, names):
    lon, lat = names.split(",")
    assert told(read(f"{lon},{lat}\n13.4,52.5\n")) == ONE
    assert told(read(f"name;{lat};{lon}\na;52,5;13,4\n")) == ONE


GBIF = (
    "gbifID\tdecimalLatitude\tdecimalLongitude\tcoordinateUncertaintyInMeters\tverbatimLatitude\tverbatimLongitude\tlocality\n"
    '77\t52.5\t13.4\t10\t\t\tnear "the" oak\n78\t\t\t\t\t\tlost "\n'
)
TAKEN = [
    ("x,y,lat,lng\n100,200,52.5,13.4\n", {}),  # x and y last of all
    ("x,y,geometry\n9,9,POINT (13.4 52.5)\n", {}),
    ("location,lat,lon\nBerlin,52.5,13.4\n", {}),
    ("location,x,y\nBerlin,13.4,52.5\n", {}),
    ('position,x\n"52.5, 13.4",1\n', {}),
    ("latitude (dms),longitude (dms)\n52°30'N,13°24'E\n", {}),
    ("lat,lon,latitude,longitude\n52.5,13.4,52.500001,13.40000049\n", {}),  # one is rounded
    ("latitude,longitude,lat,lon\n52.500001,13.40000049,52.5,13.4\n", {}),
    ("longitude,lat,lon\n,52.5,13.4\n", {}),  # says nothing
    ("longitude,lat,lon\n13,52.5,13.4\n", {"columns": {"lon": "lon"}}),
    ("lat_deg,lat,lon_deg,lon\n9,52.5,9,13.4\n", {}),
    ("a,b\n13.4,52.5\n", {"columns": {"lon": "a", "lat": "b"}}),
    ("lon,lat,b,a\n1,2,13.4,52.5\n", {"columns": {"lon": "b", "lat": "a"}}),
    ("id,lon,lat\nx,13.4,52.5\n", {"columns": {"id": False}}),
    ("Latitude,N/S,Longitude,E/W\n52.5,N,13.4,E\n", {}),
    ("lat,lon,lat_deg,lat_min,lon_deg,lon_min\n52.5,13.4,52,30,13,24\n", {}),  # both ways
    ("lat,lon,lat_min,lat_max\n52.5,13.4,52,53\n", {}),
    ("Lat (°N/°S),Lon (E+, W-)\n52.5,13.4\n", {}),
    ("Lat (ºN),Lon (ºE)\n52.5,13.4\n", {}),
    ("latitude [degrees_north],longitude [degrees_east]\n52.5,13.4\n", {}),
    ('system:index,a,.geo\n0,1,"{""type"":""Point"",""coordinates"":[13.4,52.5]}"\n', {}),  # Earth Engine
]


@pytest.mark.parametrize(("content", "wanted"), TAKEN)
def test_of_several_columns_the_plainest_is_taken(read, content, wanted):
    assert told(read(content, **wanted)) == ONE


def test_what_gbif_exports(read):
    file = read(GBIF, "occurrence.txt", columns={"id": "gbifID"}, keep=["locality"])
    assert [(poi.id, poi.lon, poi.lat, poi.place) for poi in file.places] == [
        ("77", 13.4, 52.5, (("locality", 'near "the" oak'),))
    ]
    assert [(r.poi_id, r.line, r.detail) for r in file.rejects] == [("78", 3, "lon '', lat '' are not two numbers")]


# One column with both

WKB = "0101000020E6100000CDCCCCCCCCCC2A400000000000404A40"
POINTS = [
    ("wkt", "POINT (13.4 52.5)"), ("WKT", '"POINT Z (13.4 52.5 7)"'), ("geom", "point(13.4 52.5)"),
    ("the_geom", "SRID=4326;POINT(13.4 52.5)"), ("geometry", "MULTIPOINT ((13.4 52.5))"),
    ("geometry", '"<http://www.opengis.net/def/crs/OGC/1.3/CRS84> POINT(13.4 52.5)"'),
    ("geom", WKB), ("geom", WKB.lower()), ("wkb_geometry", "\\x" + WKB),
    ("geojson", '"{""type"": ""Point"", ""coordinates"": [13.4, 52.5]}"'),
    ("geometry", "\"{'type': 'Point', 'coordinates': [13.4, 52.5]}\""),  # a dict of Python's, through pandas
    ("location", "\"{'lat': 52.5, 'lng': 13.4}\""), ("geometry", '"c(13.4, 52.5)"'),  # R's sf
    ("coordinates", '"52.5, 13.4"'), ("coordinates", '"52.5,13.4"'), ("latlon", "52.5 13.4"), ("lat_lng", "52.5;13.4"),
    ("GeoLocation", '"(52.5, 13.4)"'), ("lonlat", '"13.4, 52.5"'), ("lon_lat", "13.4 52.5"), ("gps", '"52,5; 13,4"'),
    ("coords", '"52°30\'N, 13°24\'E"'), ("coords", '"13°24\'0""E 52°30\'0""N"'), ("coords", "N 52° 30.000 E 013° 24.000"),
    ("coords", '"52.5°N, 13.4°E"'), ("coords", "52.5N13.4E"), ("coords", '"geo:52.5,13.4"'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cell"), POINTS)
def test_one_column_may_hold_both_coordinates(read, name, cell):
    assert told(read(f"a,{name}\n1,{cell}\n")) == ONE
    if "lon" not in name:
        assert told(read(f"a,where\n1,{cell}\n", columns={"point": "where"})) == ONE


def test_a_point_of_another_crs_is_transformed(read):
    from pyproj import Transformer

    x, y = Transformer.from_crs("OGC:CRS84", "EPSG:32633", always_xy=True).transform(*BERLIN)
    (place,) = told(read(f"wkt\nSRID=32633;POINT({x!r} {y!r})\n"))
    assert place[1:] == pytest.approx(BERLIN, abs=1e-9)


NO_POINTS = [
    ("LINESTRING (1 2, 3 4)", "the geometry is a LINESTRING, not one point"),
    ("POINT EMPTY", "the geometry is empty"),
    ("MULTIPOINT ((1 2), (3 4))", "the geometry is a MULTIPOINT, not one point"),
    ("[1, 2]", "[1, 2] does not say which is first: write POINT (lon lat)"),
    ("Berlin", "'Berlin' is neither WKT, GeoJSON nor latitude and longitude"),
    ("", "there is no point in ''"),
    ("SRID=1;POINT(1 2)", "the CRS 'EPSG:1' is not known"),
    ("{'a': 1}", "{'a': 1} is no GeoJSON geometry"),
    ("{'a': open('x')}", "\"{'a': open('x')}\" is no GeoJSON"),
]


def test_a_cell_without_a_point_is_a_reject(read):
    out = io.StringIO()
    csv.writer(out).writerows([("a", "wkt"), *((str(at), cell) for at, (cell, _) in enumerate(NO_POINTS))])
    file = read(out.getvalue())
    assert [(reject.line, reject.detail) for reject in file.rejects] == [
        (at, detail) for at, (_, detail) in enumerate(NO_POINTS, 2)
    ]
    assert (len(file.places), file.rows) == (0, len(NO_POINTS))


# Angles

ANGLES = [
    ("13.4E", "52.5N"), ("13.4 e", "52.5 n"), ("E13.4", "N 52.5"), ("13.4°", "52.5°"), ("13.4° E", "52.5º N"),
    ("13°24'E", "52°30'N"), ("13° 24′ 0″ E", "52° 30′ 0″ N"), ("13 24 0 E", "52 30 0 N"), ("13:24:00", "52:30:00"),
    ("13 deg 24' 0.00\" E", "52 deg 30' 0.00\" N"), ("13d24m0E", "52d30mN"), ("+13.4", "52.50000"), ("1.34e1", "525E-1"),
    ("13°24,0'E", "52°30,0'N"), ("\xa013.4", " 52.5 "),
]  # fmt: skip


@pytest.mark.parametrize(("lon", "lat"), ANGLES)
def test_angles_are_read_as_people_write_them(read, lon, lat):
    content = f"lon\tlat\n{lon}\t{lat}\n"
    assert told(read(content, "p.tsv")) == ONE
    south_west = [text.replace("E", "W").replace("N", "S") for text in (lon, lat)]
    if set("NE") & {*lon, *lat} and "525" not in lat:
        assert told(read("lon\tlat\n{}\t{}\n".format(*south_west), "p.tsv")) == numbered((-13.4, -52.5))


@pytest.mark.parametrize(
    ("lon", "lat"),
    [("13.4N", "52.5"), ("-13.4W", "52"), ("13°60'E", "52"), ("13", "52°30'61\""), ("0x1", "1"), ("1,234.5", "1")],
)
def test_what_is_no_angle_is_a_reject(read, lon, lat):
    file = read(f"lon\tlat\n{lon}\t{lat}\n")
    assert [reject.reason for reject in file.rejects] == ["bad coordinates"]
    assert len(file.places) == 0


# What is told

MESSAGES = [
    ("lng,lon_deg,lat\n1,2,3\n", "has several columns of longitudes (lng, lon_deg): say which, as in pois.columns.lon: lng; "
     "in line 2 they are 1 and 2"),
    ("latitude,longitude,lat,lon\n1,2,1,2\n1,2,1,2.5\n", "has several columns of longitudes (lon, longitude): say which, as "
     "in pois.columns.lon: lon; in line 3 they are 2.5 and 2"),
    ("lat,lon,latitude\n1,2,1.1\n", "has several columns of latitudes (lat, latitude): say which, as in pois.columns.lat: "
     "lat; in line 2 they are 1 and 1.1"),
    ("Latitude,N/S,Longitude,E/W\n5,N,3,E\n5,N,3,W\n", "has the hemisphere in a column of its own (E/W: in line 3 W of 3): "
     "write degrees that are negative in the south and in the west"),
    ("GPSLatitude,GPSLatitudeRef,GPSLongitude\n5,South,3\n", "has the hemisphere in a column of its own (GPSLatitudeRef: in "
     "line 2 South of 5): write degrees that are negative in the south and in the west"),
    ("reclat,reclong\n1,2\n", "has no column lon or longitude; its first line names reclat, reclong: write "
     "pois.columns.lon: reclong"),
    ("x_coordinate_m,northing\n1,2\n", "has no column lon or longitude; its first line names x_coordinate_m, northing"),
    ("X (m),Y (m)\n1,2\n", "has no column lon or longitude; its first line names X (m), Y (m)"),
    ("Lat (°N),Lon (°W)\n1,2\n", "has no column lon or longitude; its first line names Lat (°N), Lon (°W)"),
    ("Latitude S,lon\n1,2\n", "has no column lat or latitude; its first line names Latitude S, lon"),
    ("lat (rad),lon [rad]\n1,2\n", "has no column lon or longitude; its first line names lat (rad), lon [rad]"),
    ("lat_deg,lat_min,lon_deg,lon_min\n52,0,13,0\n52,30,13,0\n", "has minutes in a column of their own (lat_min: in line 3 "
     "30 beside 52): write degrees with decimals, or as one text such as 52°30'N"),
    ("latitude_dms,lon\n52°30'N,1\n", "has no column lat or latitude; its first line names latitude_dms, lon: write "
     "pois.columns.lat: latitude_dms"),
    ("id;Länge (°);Breite (°)\na;1;2\n", "has no column lon or longitude; its first line names id, Länge (°), Breite (°): "
     "say which in pois.columns, {lon: …, lat: …}, or {point: …}; known are lon and lat, longitude and latitude, x and y "
     "and the like"),
    ("# c\nname\n1\n", "has no column lon or longitude; its line 2 names name: say which in pois.columns, {lon: …, lat: …}, "
     "or {point: …}; known are lon and lat, longitude and latitude, x and y and the like"),
    (b"lon;lat;ort\n1;2;Bonn\n3;4;K\xf6ln\n", "is not UTF-8 text (byte 26) in line 3, where Windows-1252 has 'ö': save it "
     "as UTF-8, or convert it, for instance with iconv -f WINDOWS-1252 -t UTF-8"),
    (b"lon,lat\r1,2\r3,4\x81\r", "is not UTF-8 text (byte 15) in line 3: save it as UTF-8, or convert it, for instance with "
     "iconv -f WINDOWS-1252 -t UTF-8"),
    ("lon,lat\n1,2\n".encode("utf-16-le")[:-1], "is not UTF-16-LE text (byte 22) in line 2: save it as UTF-8"),
    (gzip.compress(b"lon,lat\n1,2\n", mtime=0), "is a gzip file: end its name in .gz"),
    (b"PK\x03\x04\x14\0", "is a zip file or an Excel workbook: save it as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook: save it as CSV"),
    (b"PAR1\x15", "is a Parquet file: end its name in .parquet"),
    ('name,lon,lat\na,1,2\n"b,3,4\nc,5,6\n', ', line 3: a quote is opened and never closed, 1 line would be lost: close '
     'it, or write "" for a quote that is a letter'),
    ('name,lon,lat\n"a,1,2\nb,3,4\n"c,5,6\n', ', line 2: a quote is still open in line 3, which is a row itself: close it, '
     'or write "" for a quote that is a letter'),
    ('"n"\t"lon"\t"lat"\n"a"\t"1"\t"2"\n"b\t"3"\t"4"\n', ", line 3: '\t' expected after '\"': is a quote left open there?"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), MESSAGES)
def test_what_cannot_be_right_is_told_in_one_line(read, tmp_path, content, message):
    with pytest.raises(PoiError) as caught:
        read(content)
    said = str(caught.value)
    assert (
        said == f"{tmp_path / 'p.csv'}{message}"
        if message.startswith(",")
        else said == f"{tmp_path / 'p.csv'} {message}"
    )


# Nothing is lost


def broken_tables(delimiter: str, quoting: int) -> list[str]:
    """A table with a quote too many, or one too few, at any place; and with two too many."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerows([("name", "lon", "lat", "z"), *((f"n{i}", 10 + i, 20 + i, f"z{i}") for i in range(4))])
    text = out.getvalue()
    at = range(text.index("\n") + 1, len(text))
    more = [text[:i] + '"' + text[i:] for i in at]
    less = [text[:i] + text[i + 1 :] for i in at if text[i] == '"']
    pairs = itertools.islice(itertools.combinations(at, 2), 0, None, 31)
    return [*more, *less, *(text[:i] + '"' + text[i:k] + '"' + text[k:] for i, k in pairs)]


def read_or_refuse(read, text: str) -> PoiFile | None:
    """What is read, or None where a quote is told to be astray."""
    try:
        return read(text)
    except PoiError as error:
        if "quote" not in str(error):
            raise
        return None


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_rows_read_are_as_many_as_lines_wherever_a_quote_is_astray(read, delimiter, quoting):
    refused = 0
    for text in broken_tables(delimiter, quoting):
        file = read_or_refuse(read, text)
        if file is None:
            refused += 1
            continue
        assert (file.rows, len(file.places) + len(file.rejects)) == (4, 4), text
        for poi in file.places:
            assert poi.lon == poi.lat - 10 == 10 + poi.ordinal, text
    assert refused > 10 or delimiter in "\t|"


def test_a_long_text_of_several_lines_is_one_row(read):
    note = '"first, with commas, of it\n\nsecond, 1, 2, 3, 4\nand ""third"" line"'
    file = read(f"note,lon,lat\n{note},1,2\n{note},x,2\nb,3,4\n")
    assert told(file) == [("poi_000000", 1.0, 2.0), ("poi_000002", 3.0, 4.0)]
    assert [(reject.line, reject.poi_id) for reject in file.rejects] == [(6, "poi_000001")]


# Swapped


def test_a_few_swapped_rows_are_told_aloud(read):
    file = read("lon,lat\n13.4,52.5\n52.5,113.4\n7,95.5\n22.5,88.4\n200,300\nx,1\n52N,13E\n")
    assert file.warnings == (
        "4 of 7 rows are no places, but would be with longitude and latitude exchanged (the first: line 3): are others "
        "swapped, too?",
    )
    assert [reject.line for reject in file.rejects] == [3, 4, 5, 6, 7, 8]
    assert read("lon,lat\n13.4,52.5\n200,300\n,\n").warnings == ()


def test_a_plan_warns_of_swapped_rows(planets, tmp_path):
    from pathlib import Path

    from nutonic import load_recipe
    from nutonic.planning.recipe_kinds import plan
    from nutonic.testing import SyntheticPlanet

    recipe = load_recipe(planets(SyntheticPlanet()))
    lines = Path(recipe.pois.path).read_text().splitlines()
    path = tmp_path / "swapped.csv"
    path.write_text("lon,lat\n" + "\n".join(",".join(line.split(",")[-2:]) for line in lines[1:3]) + "\n52.5,113.4\n")
    names = [name.strip() for name in lines[0].split(",")]
    assert names[-2:] == ["lon", "lat"]
    planned = plan(recipe.model_copy(update={"pois": Pois(path=str(path))}))
    said = "1 of 3 rows is no place, but would be with longitude and latitude exchanged (the first: line 4): are others"
    assert [text for text in planned.warnings() if text.startswith(said)]
    assert planned.header()["warnings"] == planned.warnings()


def test_splits_without_a_place_are_told_as_empty_each(planets, tmp_path):
    from pathlib import Path

    from nutonic import load_recipe
    from nutonic.planning.recipe_kinds import plan
    from nutonic.testing import SyntheticPlanet

    recipe = load_recipe(planets(SyntheticPlanet()))
    path = tmp_path / "one.csv"
    path.write_text("\n".join(Path(recipe.pois.path).read_text(encoding="utf-8").splitlines()[:2]) + "\n")
    planned = plan(recipe.model_copy(update={"pois": Pois(path=str(path))}))
    empty = [name for name, share in planned.shares().items() if not share]
    assert len(empty) == 2
    assert f"no place falls into {empty[0]} or {empty[1]}" in planned.warnings()
