"""Places: files as people write them, ids that become file names, duplicates, spacing and jitter."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pyproj import Geod

from nutonic.errors import PoiError
from nutonic.planning.places.columns import Places, with_spacing, with_variants, without_duplicates
from nutonic.planning.places.ids import is_safe, safe_id, safe_ids
from nutonic.planning.places.read import PoiFile, file_sha256, read_pois
from nutonic.recipe.inputs import Jitter, Pois

GEOD = Geod(ellps="WGS84")


@pytest.fixture
def read(tmp_path):
    def write_and_read(content: str | bytes, limit: int | None = None) -> PoiFile:
        path = tmp_path / "pois.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_pois(Pois(path=str(path), limit=limit))

    return write_and_read


def told(file: PoiFile) -> list[tuple]:
    """Id, ordinal and coordinates of every place."""
    return [(poi.id, poi.ordinal, poi.lon, poi.lat) for poi in file.places]


def places(lonlat, ids=None) -> Places:
    lon, lat = np.array(lonlat, float).reshape(-1, 2).T
    n = len(lon)
    return Places(ordinal=np.arange(n), variant=np.zeros(n, np.int16), lon=lon, lat=lat, ids=ids)


# Files

TWO = [("poi_000000", 0, 17.5, 46.25), ("poi_000001", 1, -3.0, -7.5)]


@pytest.mark.parametrize(
    "content",
    [
        "lon,lat\n17.5,46.25\n-3,-7.5\n",
        "lon,lat\n17.5,46.25\n-3,-7.5",  # no newline at the end
        "\ufefflon,lat\n17.5,46.25\n-3,-7.5\n",
        "lon,lat\r\n17.5,46.25\r\n-3,-7.5\r\n",
        "lon;lat\n17.5;46.25\n-3;-7.5\n",
        "lon\tlat\r\n17.5\t46.25\r\n-3\t-7.5\r\n",
        " Lon , LAT \n 17.5 , 46.25 \n -3 , -7.5 \n",
        "Longitude,Latitude\n17.5,46.25\n-3,-7.5\n",
        "lat,lon\n46.25,17.5\n-7.5,-3\n",
        '"lon","lat"\n"17.5","46.25"\n"-3","-7.5"\n',
        "lon,lat\n1.75e1,46.250\n-3.0,-7.5\n",
        "name,lon,country,lat,note\na,17.5,HU,46.25,x\nb,-3,,-7.5\n",  # more columns, and a row that ends early
        "id,lon,lat\n,17.5,46.25\n ,-3,-7.5\n",  # a column of ids without any
        "lon,lat\n\n17.5,46.25\n\n\n-3,-7.5\n\n",  # blank lines are no rows
        'note,lon,lat\n"a, b; c",17.5,46.25\n"say ""hi""",-3,-7.5\n',
    ],
)
def test_a_places_file_is_read_as_people_write_it(read, content):
    file = read(content)
    assert told(file) == TWO
    assert (file.rejects, file.rows) == ([], 2)
    assert file.places.ids is None


def test_the_file_is_known_by_its_bytes(read, tmp_path):
    content = "\ufefflon,lat\r\n17.5,46.25\r\n".encode()
    assert read(content).sha256 == hashlib.sha256(content).hexdigest() == file_sha256(str(tmp_path / "pois.csv"))


def test_a_reject_names_its_line_also_after_newlines_in_quotes(read):
    # Lines 3, 5 and 6 end inside a cell, line 9 is blank: the bad rows start in lines 5, 10 and 11.
    file = read('note,lon,lat\na,1,1\n"two\nlines",2,2\n"three\nlines\nin all",x,2\nb,3,3\n\n"c",,4\n,nan,5\n')
    assert [poi.ordinal for poi in file.places] == [0, 1, 3]
    assert [(reject.poi_id, reject.line) for reject in file.rejects] == [
        ("poi_000002", 5), ("poi_000004", 10), ("poi_000005", 11),
    ]  # fmt: skip
    assert file.rows == 6


OFF_EARTH = " is not on Earth: expected -180 to 180 and -90 to 90"


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("x,46", "bad coordinates", "lon 'x', lat '46' are not two numbers"),
        (",46", "bad coordinates", "lon '', lat '46' are not two numbers"),
        ("17", "bad coordinates", "lon '17', lat '' are not two numbers"),
        ("17 N,46 E", "bad coordinates",
         "lon '17 N', lat '46 E' are not two numbers; are longitude and latitude swapped?"),
        ("17 30,46 N", "bad coordinates", "lon '17 30', lat '46 N' are not two numbers"),
        ("-17 W,46", "bad coordinates", "lon '-17 W', lat '46' are not two numbers"),
        ("17,5,46,2", "bad row",
         "has 4 cells, but 2 columns are named: is a comma in a cell without quotes?"),
        ("1_7,46", "bad coordinates", "lon '1_7', lat '46' are not two numbers"),  # 17 to Python
        ("nan,46", "bad coordinates", "longitude nan, latitude 46.0" + OFF_EARTH),
        ("17,inf", "bad coordinates", "longitude 17.0, latitude inf" + OFF_EARTH),
        ("-inf,46", "bad coordinates", "longitude -inf, latitude 46.0" + OFF_EARTH),
        ("180.01,46", "bad coordinates", "longitude 180.01, latitude 46.0" + OFF_EARTH),
        ("46,117", "bad coordinates", "longitude 46.0, latitude 117.0" + OFF_EARTH
         + "; are longitude and latitude swapped?"),
        ("330000,5820000", "bad coordinates", "longitude 330000.0, latitude 5820000.0" + OFF_EARTH
         + "; are they metres of another CRS, such as UTM?"),
        ("1e400,1", "bad coordinates", "longitude inf, latitude 1.0" + OFF_EARTH),
        ("17,90", "outside UTM", "latitude 90.0 lies outside UTM (-80 to 84)"),
        ("17,84.01", "outside UTM", "latitude 84.01 lies outside UTM (-80 to 84)"),
        ("17,-80.01", "outside UTM", "latitude -80.01 lies outside UTM (-80 to 84)"),
    ],
)  # fmt: skip
def test_a_bad_row_is_a_reject_and_keeps_its_ordinal(read, row, reason, detail):
    file = read(f"lon,lat\n1,2\n{row}\n3,4\n")
    assert told(file) == [("poi_000000", 0, 1.0, 2.0), ("poi_000002", 2, 3.0, 4.0)]
    (reject,) = file.rejects
    assert (reject.poi_id, reject.reason, reject.detail, reject.line) == ("poi_000001", reason, detail, 3)
    assert file.rows == 3


def test_the_edges_of_the_world_are_on_it(read):
    file = read("lon,lat\n180,84\n-180,-80\n0,0\n")
    assert (len(file.places), file.rejects) == (3, [])


#: What is told where no column has a known name.
KNOWN = (
    ": say which in pois.columns, {lon: …, lat: …}, or {point: …}; known are lon and lat, longitude and latitude, x and y "
    "and the like"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: its first line names columns, such as id,lon,lat; see pois.path"),
        (b"a,b\n1,2\n", "has no column lon or longitude; its first line names a, b" + KNOWN),
        (b"lon,b\n1,2\n", "has no column lat or latitude; its first line names lon, b" + KNOWN),
        (b"17.5,46.25\n", "has no column lon or longitude; its first line names 17.5, 46.25: the first line must name the "
         "columns"),
        (b"city,start_lat,start_lng\n", "has no column lon or longitude; its first line names city, start_lat, start_lng: "
         "write pois.columns.lon: start_lng"),
        (b"lon,longitud\n", "has no column lat or latitude; its first line names lon, longitud" + KNOWN),
        (b"lng,long,lat\n1,2,3\n", "has several columns of longitudes (lng, long): say which, as in "
         "pois.columns.lon: lng; in line 2 they are 1 and 2"),
        (b"a,geometry,wkt\n", "has several columns of points (geometry, wkt): say which, as in "
         "pois.columns.point: geometry"),
        ("lon,lat,ort\n1,2,Köln\n".encode("latin-1"), "is not UTF-8 text (byte 17) in line 2, where Windows-1252 "
         "has 'ö': save it as UTF-8, or convert it, for instance with iconv -f WINDOWS-1252 -t UTF-8"),
        ("lo".encode("utf-16"), "has no column lon or longitude; its first line names lo" + KNOWN),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_by_name(read, tmp_path, content, message):
    with pytest.raises(PoiError) as caught:
        read(content)
    assert str(caught.value) == f"{tmp_path / 'pois.csv'} {message}"


def test_a_quote_that_is_never_closed_is_told_as_such(read):
    # csv gives up on cells above 128 kB: what follows an open quote in any large file.
    with pytest.raises(PoiError, match=r"pois\.csv"):
        read('lon,lat\n1,2\n"3,4\n' + "5,6\n" * 40_000)


def test_the_limit_counts_data_rows_from_the_start(read):
    content = "lon,lat\n1,1\nx,2\n\n3,3\n4,4\n"
    assert [poi.ordinal for poi in read(content, 3).places] == [0, 2]
    assert (read(content, 3).rows, len(read(content, 3).rejects)) == (3, 1)
    assert [poi.ordinal for poi in read(content, 1).places] == [0]
    assert told(read(content, 99)) == told(read(content))
    assert read(content, 1).sha256 == read(content).sha256


# Ids


def test_an_id_of_ones_own_is_kept_and_others_follow_from_the_data_row(read):
    file = read("ID,lon,lat\nVienna,1,1\n,2,2\nbad id,3,3\n,4,4\nCON,5,5\na-b_c,6,6\n")
    assert [(poi.id, poi.base_id, poi.ordinal, poi.place) for poi in file.places] == [
        ("Vienna", "Vienna", 0, ()), ("poi_000001", "poi_000001", 1, ()), ("bad-id", "bad-id", 2, original("bad id")),
        ("poi_000003", "poi_000003", 3, ()), ("id-CON", "id-CON", 4, original("CON")), ("a-b_c", "a-b_c", 5, ()),
    ]  # fmt: skip
    assert file.rejects == []


def original(text: str) -> tuple:
    return (("original_id", text),)


def hashed(name: str, text: str) -> str:
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def test_no_place_is_lost_for_its_id_but_an_exact_duplicate(read):
    own = ["abc", "ABC", "abd", "aBc", "abc", "a.b", "a b", "a-b", "poi_000009", ""]
    file = read("id,lon,lat\n" + "".join(f"{name},{i},1\n" for i, name in enumerate(own)))
    assert [(poi.id, dict(poi.place).get("original_id")) for poi in file.places] == [
        ("abc", None), (hashed("ABC", "ABC"), "ABC"), ("abd", None), (hashed("aBc", "aBc"), "aBc"),
        (hashed("a-b", "a.b"), "a.b"), (hashed("a-b", "a b"), "a b"), ("a-b", None), ("poi_000009", None),
        (hashed("poi_000009", "poi_000009"), None),
    ]  # fmt: skip
    assert [(r.reason, r.detail, r.line) for r in file.rejects] == [
        ("duplicate id", "id 'abc' is on line 2 already", 6)
    ]


TEXTS = st.text(st.sampled_from("aA9._-/ äЖ東\t\"'\0\ud800"), min_size=1, max_size=12)
WORDS = st.sampled_from(["CON", "con", "nul", "COM1", "x_g001", "x_t0001", "..", "poi_000002", "x" * 65, "x" * 64])


@given(st.lists(st.none() | TEXTS | WORDS, max_size=20, unique=True) | st.lists(WORDS, max_size=10, unique=True))
@example(["a.b", "a-b", "a b", "a-b-" + hashlib.sha256(b"a.b").hexdigest()[:6]])
@example(["x" * 65, "x" * 66, "X" * 65])
def test_ids_are_safe_and_different_whatever_comes(own):
    ids = safe_ids(own, range(len(own)))
    assert len({name.casefold() for name in ids}) == len(own)
    for name, text in zip(ids, own, strict=True):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name)
        assert not re.search(r"_(g[0-9]{3,}|t[0-9]{4,})$", name, re.IGNORECASE)
        assert name.lower() not in ("con", "nul", "com1")
        assert text is None or not is_safe(text) or name.lower().startswith(text.lower()[:50])
    safe = [text for text in own if text is not None and is_safe(text)]
    assert [name for name, text in zip(safe_ids(safe, range(len(safe))), safe, strict=True) if name == text] == [
        text for i, text in enumerate(safe) if text.lower() not in [other.lower() for other in safe[:i]]
    ]


@pytest.mark.parametrize("text", ["a", "9", "A_b-c_d", "x" * 64, "x_g01", "x_t001", "g001", "x_g001a", "poi_000012"])
def test_an_id_that_is_safe_stays(text):
    assert is_safe(text)
    assert safe_id(text) == text


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("x" * 65, "x" * 57 + "-" + hashlib.sha256(b"x" * 65).hexdigest()[:6]),
        ("..", "id-" + hashlib.sha256(b"..").hexdigest()[:6]),
        (".hidden", "hidden"),
        ("_x", "x"),
        ("a/b\\c", "a-b-c"),
        ("../../etc", "etc"),
        ("a b", "a-b"),
        ("a\0b", "a-b"),
        ("node/123", "node-123"),
        ("1.5", "1-5"),
        ("v1.2.3", "v1-2-3"),
        ("CON", "id-CON"),
        ("lpt9", "id-lpt9"),
        ("x_g001", "x-g001"),
        ("x_T9999", "x-T9999"),
        ("poi_000012_t0003", "poi_000012-t0003"),
        ('Weißer See, "Ost"', "Weisser-See-Ost"),
        ("Łódź, Ærø", "Lodz-Aero"),
        ("В Радевеге", "V-Radevege"),
        ("Αθήνα", "Athina"),
        ("e\u0301", "e"),
        ("東京", "id-" + hashlib.sha256("東京".encode()).hexdigest()[:6]),
    ],
)
def test_any_other_id_becomes_a_safe_one(text, made):
    assert not is_safe(text)
    assert safe_id(text) == made
    assert is_safe(made)


# Duplicates


def test_of_two_places_at_one_point_the_later_is_rejected():
    kept, rejects = without_duplicates(places([(1, 2), (2, 1), (1, 2), (3, 3), (1, 2), (2, 1)]))
    assert [poi.ordinal for poi in kept] == [0, 1, 3]
    assert [(r.poi_id, r.reason, r.detail) for r in rejects] == [
        ("poi_000002", "duplicate coordinates", "longitude 1.0, latitude 2.0 is where poi_000000 lies"),
        ("poi_000004", "duplicate coordinates", "longitude 1.0, latitude 2.0 is where poi_000000 lies"),
        ("poi_000005", "duplicate coordinates", "longitude 2.0, latitude 1.0 is where poi_000001 lies"),
    ]


COARSE = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=40)


@given(COARSE)
@example([])
@example([(0, 0), (-0.0, 0)])
def test_duplicates_against_a_set(lonlat):
    kept, rejects = without_duplicates(places(lonlat))
    first = [i for i, point in enumerate(lonlat) if point not in lonlat[:i]]
    assert kept.ordinal.tolist() == first
    assert [int(r.poi_id[4:]) for r in rejects] == sorted(set(range(len(lonlat))) - set(first))


# Spacing


def greedy(lonlat, spacing):
    """Positions kept, by geodesics between every pair; None where a distance is too near the limit to tell."""
    kept: list[int] = []
    for i, (lon, lat) in enumerate(lonlat):
        distances = [GEOD.inv(lon, lat, *lonlat[j])[2] for j in kept]
        if any(abs(distance - spacing) < 1e-5 * spacing for distance in distances):
            return None
        if all(distance >= spacing for distance in distances):
            kept.append(i)
    return kept


METRES = st.floats(-4000, 4000)


@given(
    centre=st.tuples(
        st.sampled_from([-180.0, -74.0, 0.0, 17.9, 180.0]), st.sampled_from([-79.0, -33.0, 0.0, 46.7, 83.0])
    ),
    offsets=st.lists(st.tuples(METRES, METRES), max_size=25),
    spacing=st.floats(1, 3000),
)
def test_spacing_keeps_the_earlier_place_as_geodesics_say(centre, offsets, spacing):
    points = [GEOD.fwd(*centre, np.degrees(np.arctan2(x, y)), np.hypot(x, y))[:2] for x, y in offsets]
    expected = greedy(points, spacing)
    assume(expected is not None)
    kept, rejects = with_spacing(places(points), spacing)
    assert kept.ordinal.tolist() == expected
    assert [int(r.poi_id[4:]) for r in rejects] == sorted(set(range(len(points))) - set(expected))
    assert {r.reason for r in rejects} <= {"too close"}


def test_spacing_is_greedy_in_input_order():
    # In a row with 60 m between neighbours: each is too close to the one before, but only to one that was kept.
    row = [GEOD.fwd(17, 46, 90, 60 * k)[:2] for k in range(5)]
    kept, rejects = with_spacing(places(row), 100)
    assert kept.ordinal.tolist() == [0, 2, 4]
    assert [r.detail for r in rejects] == ["closer than 100 m to poi_000000", "closer than 100 m to poi_000002"]
    assert with_spacing(places(row[::-1]), 130)[0].ordinal.tolist() == [0, 3]
    assert len(with_spacing(places(row), 0)[0]) == 5


@pytest.mark.parametrize(("distance", "kept"), [(99.999, 1), (100.001, 2)])
@pytest.mark.parametrize("azimuth", [0, 33, 90, 200])
def test_spacing_is_right_to_a_millimetre(distance, kept, azimuth):
    pair = [(179.9999, 46.0), GEOD.fwd(179.9999, 46, azimuth, distance)[:2]]
    assert len(with_spacing(places(pair), 100)[0]) == kept


# Jitter

SPOTS = [(17.9, 46.7), (-180.0, 10.0), (179.999, -70.0), (0.0, 0.0), (-74.0, 83.5)]


def variants(lonlat, ids=None, **jitter):
    found, rejects = with_variants(places(lonlat, ids), Jitter(**jitter))
    return {poi.id: (poi.lon, poi.lat) for poi in found}, rejects


def test_variants_follow_their_place_and_are_numbered():
    found, rejects = with_variants(places(SPOTS[:2], ("a", "b")), Jitter(variants=2))
    assert [(p.id, p.base_id, p.ordinal, p.variant) for p in found] == [
        ("a", "a", 0, 0), ("a_g001", "a", 0, 1), ("a_g002", "a", 0, 2),
        ("b", "b", 1, 0), ("b_g001", "b", 1, 1), ("b_g002", "b", 1, 2),
    ]  # fmt: skip
    assert rejects == []
    assert [poi.id for poi in with_variants(places(SPOTS[:1]), Jitter(variants=1))[0]] == [
        "poi_000000",
        "poi_000000_g001",
    ]


def test_without_variants_nothing_moves():
    found, rejects = with_variants(places(SPOTS), Jitter(seed=5))
    assert (found.lon.tolist(), found.lat.tolist(), rejects) == ([p[0] for p in SPOTS], [p[1] for p in SPOTS], [])
    moved, _ = variants(SPOTS, variants=3)
    assert [moved[f"poi_{i:06d}"] for i in range(len(SPOTS))] == SPOTS


def test_a_variant_depends_on_its_id_the_seed_and_its_place_alone():
    alone, _ = variants(SPOTS[:1], ("a",), variants=2)
    among, _ = variants([SPOTS[3], SPOTS[4], SPOTS[0]], ("x", "y", "a"), variants=5)
    assert {name: among[name] for name in alone} == alone
    named, _ = variants(SPOTS[:1], ("b",), variants=2)
    seeded, _ = variants(SPOTS[:1], ("a",), variants=2, seed=1)
    wider, _ = variants(SPOTS[:1], ("a",), variants=2, max_offset_m=600)
    assert len({alone["a_g001"], alone["a_g002"], named["b_g001"], seeded["a_g001"], wider["a_g001"]}) == 5
    azimuth = [GEOD.inv(*SPOTS[0], *found["a_g001"])[0] for found in (alone, wider)]
    assert azimuth[0] == pytest.approx(azimuth[1], abs=1e-4)  # the same draw, twice as far


def test_variants_fill_the_disc_evenly_and_do_not_leave_it():
    spots, count, reach = SPOTS[:4], 400, 750.0
    found, rejects = variants(spots, variants=count, max_offset_m=reach, seed=7)
    assert (len(found), rejects) == (len(spots) * (count + 1), [])
    ends = [(spots[int(name[4:10])], end) for name, end in found.items() if "_g" in name]
    polar = np.array([GEOD.inv(*spot, *end) for spot, end in ends])
    assert polar[:, 2].max() <= reach + 1e-6
    assert all(-180 <= lon <= 180 for _, (lon, _) in ends)
    # In a disc evenly filled the square of the radius and the azimuth are uniform: Kolmogorov-Smirnov at 1 in 1000.
    for share in ((polar[:, 2] / reach) ** 2, polar[:, 0] / 360 % 1):
        steps = np.arange(len(share)) / len(share)
        assert np.abs(np.sort(share) - steps).max() < 1.95 / np.sqrt(len(share))


def test_a_variant_that_leaves_utm_is_a_reject():
    found, rejects = variants([(10.0, 84.0)], variants=40)
    assert 0 < len(rejects) < 40
    assert len(found) + len(rejects) == 41
    assert "poi_000000" in found
    assert {r.reason for r in rejects} == {"outside UTM"}
    assert all("_g" in r.poi_id and "lies outside UTM (-80 to 84)" in r.detail for r in rejects)
    assert all(lat <= 84 for _, lat in found.values())
