"""Extracts that are planted, and what an index of each must say: every element is known before it is read."""

import mmap
import os
import pickle
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import count, product
from pathlib import Path

import numpy as np
import osmium
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry
from support.maps import DAY, node, relation, way, write_pbf

from nutonic.core.model import Element
from nutonic.errors import InputError, StoreError
from nutonic.recipe.osm import Osm
from nutonic.sources.osm import extract
from nutonic.sources.osm.index import IndexInfo, _drop_repeated, begin, build_index, info_of
from nutonic.sources.osm.shapes import shapes_of
from nutonic.sources.osm.source import Extract, Features, features_of
from nutonic.testing.overpass import Planted, ring

EVERYWHERE = (-180.0, -90.0, 180.0, 90.0)

#: A square of nodes 1 to 4, and its ring.
SQUARE = (node(1, 0, 0), node(2, 1, 0), node(3, 1, 1), node(4, 0, 1))
RING = (1, 2, 3, 4, 1)


def nothing(tags: object) -> bool:
    return False


@pytest.fixture
def indexed(tmp_path: Path) -> Callable[..., tuple[IndexInfo, dict[str, Element]]]:
    """What an index of planted elements holds, by key, and what it tells of itself."""

    def index(*planted: Planted, within: BaseGeometry | None = None, drops=nothing):
        pbf, target = write_pbf(tmp_path / "planted.osm.pbf", planted), tmp_path / "index"
        info = build_index(pbf, target, within, drops)
        if within is None:  # the part of an extract that lies anywhere is all of it, counts and bytes included
            build_index(pbf, tmp_path / "part", shapely.box(*EVERYWHERE), drops)
            assert (tmp_path / "part").read_bytes() == target.read_bytes()
        (found,) = Extract(index=target).over([EVERYWHERE])
        assert list(found) == sorted(found, key=lambda each: (each.type, each.id))
        (tmp_path / "planted.osm.pbf").unlink()
        return info, {each.key: each for each in found}

    return index


def polygon(*box: float, hole: tuple[float, ...] | None = None) -> BaseGeometry:
    whole = shapely.box(*box)
    return whole if hole is None else whole.difference(shapely.box(*hole))


# What is an element, and of which kind


def test_closed_and_open_ways(indexed):
    info, found = indexed(
        *SQUARE,
        way(10, RING, version=7, building="yes"),
        way(11, RING, building="yes", area="no"),
        way(12, RING, highway="residential"),
        way(13, RING, highway="pedestrian", area="yes"),
        way(14, RING[:4], landuse="forest"),
        way(15, RING, barrier="fence"),
        way(16, RING, natural="coastline"),
    )
    kinds = {key: (each.kind, each.geometry.geom_type) for key, each in found.items()}
    area, line = ("area", "Polygon"), ("line", "LineString")
    assert kinds == {
        "way/10": area,
        "way/11": line,
        "way/12": line,
        "way/13": area,
        "way/14": line,
        "way/15": line,
        "way/16": line,
    }
    assert found["way/10"].geometry.equals(polygon(0, 0, 1, 1))
    assert found["way/10"].version == 7
    assert found["way/10"].tags == (("building", "yes"),)
    assert found["way/14"].geometry.coords[:] == [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert (info.elements, info.areas, info.lines, info.points) == (7, 2, 5, 0)
    assert (info.date, info.broken, info.incomplete, info.repeated) == (DAY, 0, 0, 0)


def test_nodes_with_tags_of_their_own(indexed):
    info, found = indexed(
        node(1, 5, 5, natural="tree", **{"leaf_type": "broadleaved"}),
        node(2, 5, 6),
        node(3, 5, 7, source="survey"),
        node(4, 5, 8, created_by="JOSM", source="Bing"),
        node(5, 5, 9, man_made="windmill", source="survey"),
    )
    assert set(found) == {"node/1", "node/5"}
    assert found["node/1"].geometry.equals(shapely.Point(5, 5))
    assert found["node/1"].kind == "point"
    assert found["node/1"].tags == (("leaf_type", "broadleaved"), ("natural", "tree"))
    assert info.points == 2


def test_what_the_policy_drops_is_none(indexed):
    _, found = indexed(
        *SQUARE,
        way(10, RING, building="yes", tunnel="yes"),
        way(11, RING, building="yes"),
        drops=lambda tags: tags.get("tunnel") == "yes",
    )
    assert set(found) == {"way/11"}


def test_nodes_of_one_place_close_a_ring_and_repeat_no_corner(indexed):
    info, found = indexed(
        *SQUARE, node(5, 0, 0), way(10, (1, 2, 3, 4, 5), building="yes"), way(11, (1, 1, 2, 2, 3), highway="path")
    )
    assert found["way/10"].kind == "area"
    assert found["way/10"].geometry.equals(polygon(0, 0, 1, 1))
    assert found["way/11"].geometry.coords[:] == [(0, 0), (1, 0), (1, 1)]
    assert info.incomplete == 0


# Relations


def test_a_multipolygon_with_a_hole_that_is_something_itself(indexed):
    ids = count(1)
    info, found = indexed(
        *ring(ids, 10, (0, 0, 3, 3)),
        *ring(ids, 11, (1, 1, 2, 2), natural="water"),
        relation(20, ("way", 10, "outer"), ("way", 11, "inner"), version=4, type="multipolygon", natural="wood"),
    )
    assert set(found) == {"way/11", "relation/20"}
    assert found["relation/20"].geometry.equals(polygon(0, 0, 3, 3, hole=(1, 1, 2, 2)))
    assert found["relation/20"].version == 4
    assert found["relation/20"].tags == (("natural", "wood"),)
    assert found["way/11"].geometry.equals(polygon(1, 1, 2, 2))
    assert info.repeated == 0


def test_the_same_ground_comes_once(indexed):
    ids = count(1)
    info, found = indexed(
        *ring(ids, 10, (0, 0, 3, 3), natural="wood", source="survey"),  # says what its relation says
        *ring(ids, 11, (1, 1, 2, 2)),
        relation(20, ("way", 10, "outer"), ("way", 11, "inner"), type="multipolygon", natural="wood"),
        *ring(ids, 12, (5, 5, 6, 6), natural="wood", leaf_type="broadleaved"),  # says more
        relation(21, ("way", 12, "outer"), type="multipolygon", natural="wood"),
        *ring(ids, 13, (7, 7, 8, 8), barrier="fence"),  # a line around it
        relation(22, ("way", 13, "outer"), type="multipolygon", barrier="fence", landuse="farmyard"),
        *ring(ids, 14, (9, 9, 10, 10), natural="wood"),  # of a relation that cannot be drawn
        relation(23, ("way", 14, "outer"), ("way", 999, "outer"), type="multipolygon", natural="wood"),
    )
    assert set(found) == {"relation/20", "way/12", "relation/21", "way/13", "relation/22", "way/14"}
    assert (info.repeated, info.broken) == (1, 1)


def test_a_hole_that_is_filled_with_the_same_is_other_ground(indexed):
    ids = count(1)
    info, found = indexed(
        *ring(ids, 10, (0, 0, 3, 3)),
        *ring(ids, 11, (1, 1, 2, 2), natural="wood"),
        relation(20, ("way", 10, ""), ("way", 11, "inner"), type="multipolygon", natural="wood"),
    )
    assert set(found) == {"relation/20", "way/11"}
    assert info.repeated == 0
    assert not found["way/11"].geometry.relate_pattern(found["relation/20"].geometry, "2********"), "no ground in both"


def test_boundaries_and_routes_are_no_ground(indexed):
    ids = count(1)
    _, found = indexed(
        *ring(ids, 10, (0, 0, 3, 3)),
        relation(20, ("way", 10, "outer"), type="boundary", boundary="administrative", admin_level="8"),
        relation(21, ("way", 10, "outer"), type="multipolygon", admin_level="8", landuse="residential"),
        relation(22, ("way", 10, ""), type="route", route="hiking"),
        relation(23, ("way", 10, "outer"), type="multipolygon", created_by="JOSM"),
        node(99, 9, 9, natural="tree"),
    )
    assert set(found) == {"node/99"}


def test_ways_that_are_rings_only_together(indexed):
    _, found = indexed(
        *SQUARE,
        way(10, (1, 2, 3)),
        way(11, (3, 4, 1), barrier="hedge"),
        relation(20, ("way", 10, "outer"), ("way", 11, "outer"), type="multipolygon", landuse="meadow"),
    )
    assert set(found) == {"relation/20", "way/11"}
    assert found["relation/20"].geometry.equals(polygon(0, 0, 1, 1))
    assert found["way/11"].kind == "line"


# What cannot be drawn is told


def test_what_cannot_be_drawn_is_counted_and_named(indexed):
    info, found = indexed(
        *SQUARE,
        way(10, (1, 3, 2, 4, 1), building="yes"),  # crosses itself
        way(11, (1, 2, 3)),
        relation(20, ("way", 11, "outer"), type="multipolygon", natural="wood"),  # not closed
        relation(21, ("way", 98, "outer"), type="multipolygon", natural="wood"),  # not there
        way(12, (1, 99), highway="residential"),  # a node is not there
        way(13, (1, 1), highway="residential"),  # no length
        node(5, 7, 7, natural="tree"),
    )
    assert set(found) == {"node/5"}
    assert (info.broken, info.incomplete) == (3, 2)
    assert info.examples == ("relation/20", "relation/21", "way/10", "way/12", "way/13")


def test_an_element_that_is_there_twice_is_no_extract(tmp_path: Path):
    twice = (way(10, RING, version=2, building="house"), way(10, RING, version=3, building="detached"))
    write_pbf(tmp_path / "a.osm.pbf", [*SQUARE, *twice])
    refused(tmp_path, "twice")


def test_a_line_that_leaves_the_extract_is_drawn_as_far_as_it_is_known(indexed):
    info, found = indexed(
        *SQUARE,
        way(10, (1, 2, 98, 3, 99, 4, 1), highway="residential"),
        way(11, (99, 1, 2), highway="residential"),
        way(12, (1, 2, 3, 99, 1), building="yes"),  # who knows what it encloses
        way(13, (1, 99, 2), highway="residential"),  # two points, and nothing between them
    )
    assert found["way/10"].geometry.equals(shapely.from_wkt("MULTILINESTRING ((0 0, 1 0), (0 1, 0 0))"))
    assert found["way/11"].geometry.equals(shapely.from_wkt("LINESTRING (0 0, 1 0)"))
    assert (set(found), info.cut, info.incomplete) == ({"way/10", "way/11"}, 2, 2)
    assert info.examples == ("way/12", "way/13")


# Places


def test_what_crosses_the_180th_meridian_is_cut_there(indexed):
    _, found = indexed(
        node(1, 179.5, 0),
        node(2, -179.5, 0),
        node(3, -179.5, 1),
        node(4, 179.5, 1),
        way(10, (1, 2), highway="residential"),
        way(11, RING, landuse="forest"),
    )
    line, area = found["way/10"].geometry, found["way/11"].geometry
    assert shapely.equals(line, shapely.from_wkt("MULTILINESTRING ((179.5 0, 180 0), (-180 0, -179.5 0))"))
    assert area.is_valid
    assert area.equals(polygon(179.5, 0, 180, 1).union(polygon(-180, 0, -179.5, 1)))


def test_areas_that_are_not_valid_are_made_so():
    bow, line = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]), shapely.LineString([(0, 0), (2, 2), (2, 0), (0, 2)])
    flat = shapely.Polygon([(0, 0), (1, 1), (2, 2), (0, 0)])
    wkb = [None, *(shapely.to_wkb(each, hex=True) for each in (bow, line, flat))]
    nothing_, made, kept, gone = shapes_of(wkb, np.array([True, True, False, True]))
    assert nothing_ is None
    assert gone is None, "of a line nothing is left"
    assert made.is_valid
    assert made.equals(shapely.from_wkt("MULTIPOLYGON (((0 0, 1 1, 0 2, 0 0)), ((1 1, 2 2, 2 0, 1 1)))"))
    assert kept.equals(line), "a line may cross itself"


def test_a_box_across_the_180th_meridian(tmp_path: Path):
    pbf = write_pbf(
        tmp_path / "a.osm.pbf",
        [node(1, 179.9, 0, natural="tree"), node(2, -179.9, 0, natural="tree"), node(3, 0, 0, natural="tree")],
    )
    build_index(pbf, tmp_path / "index", None, nothing)
    (found,) = Extract(index=tmp_path / "index").over([(179.8, -1.0, -179.8, 1.0)])
    assert [each.key for each in found] == ["node/1", "node/2"]


def test_only_what_lies_within(indexed):
    ids = count(1)
    planted = [each for n in range(5) for each in ring(ids, 10 + n, (n, 0, n + 0.5, 0.5), building="yes")]
    planted += ring(ids, 30, (-50, -50, 50, 50))
    wood = relation(20, ("way", 30, "outer"), type="multipolygon", natural="wood")
    far = relation(21, ("way", 14, "outer"), type="multipolygon", landuse="retail")
    info, found = indexed(*planted, wood, far, within=shapely.box(0.9, 0, 2.1, 1))
    assert set(found) == {"way/11", "way/12", "relation/20"}, "the wood lies around all of it"
    assert (info.elements, info.broken) == (3, 0)


def test_what_cannot_be_drawn_counts_where_it_lies(indexed):
    def broken(first: int, west: float) -> list[Planted]:
        return [
            *(node(first + at, west + at, 0) for at in range(3)),
            way(first, (first, first + 1)),
            relation(first, ("way", first, "outer"), type="multipolygon", natural="wood"),
            way(first + 1, (first + 2, 999), highway="residential"),
        ]

    nowhere = relation(99, ("way", 98, "outer"), type="multipolygon", natural="wood")
    info, found = indexed(*broken(10, 0), *broken(20, 50), nowhere, within=shapely.box(0, 0, 5, 1))
    assert (found, info.broken, info.incomplete) == ({}, 2, 1)
    assert info.examples == ("relation/10", "relation/99", "way/11")


def test_a_ring_of_parts_on_either_side_of_the_180th_meridian_is_near_both(indexed):
    nodes = (node(1, 179, 0), node(2, -179, 0), node(3, -179, 1), node(4, 179, 1))
    ways = way(10, (1, 2)), way(11, (2, 3)), way(12, (3, 4)), way(13, (4, 1))
    wood = relation(20, *(("way", each.id, "outer") for each in ways), type="multipolygon", natural="wood")
    for west in (179.5, -179.9):
        _, found = indexed(*nodes, *ways, wood, within=shapely.box(west, 0.2, west + 0.2, 0.4))
        assert set(found) == {"relation/20"}
    _, found = indexed(*nodes, *ways, wood, within=shapely.box(10, 5, 11, 6))
    assert not found


def test_a_part_is_taken_only_of_what_is_in_order(tmp_path: Path):
    lines = ["n1 v1 x0 y0", "n2 v1 x1 y0", "w3 v1 Thighway=path Nn1,n2", "w2 v1 Thighway=path Nn1,n2"]
    pbf = tmp_path / "a.osm.pbf"
    with osmium.SimpleWriter(str(pbf)) as writer:
        for each in osmium.FileProcessor(osmium.io.FileBuffer("\n".join(lines).encode(), "opl")):
            writer.add(each)
    with pytest.raises(InputError, match="w2 is there twice, or not in order"):
        build_index(pbf, tmp_path / "index", shapely.box(*EVERYWHERE), nothing)


def test_pages_of_a_file_leave_memory_and_stay_in_the_file(tmp_path: Path):
    if not Path("/proc/self/maps").exists():
        pytest.skip("only Linux tells what is mapped")

    def held() -> int:
        """Kilobytes of shared files in memory."""
        return int(Path("/proc/self/status").read_text().partition("RssFile:")[2].split()[0])

    file = tmp_path / "a file"
    file.write_bytes(bytes(64 * 2**20))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        mapped[:] = b"x" * len(mapped)
        before = held()
        extract._let_go(file)
        assert before - held() > 60_000
        assert mapped[:: 2**20] == b"x" * 64


def test_an_area_of_which_nothing_lies_within_is_an_index_of_nothing(indexed):
    info, found = indexed(*SQUARE, way(10, RING, building="yes"), within=shapely.box(20, 20, 21, 21))
    assert (info.elements, found) == (0, {})


# The file


def test_the_same_extract_gives_the_same_bytes(tmp_path: Path):
    ids = count(1)
    pbf = write_pbf(
        tmp_path / "a.osm.pbf", [each for n in range(50) for each in ring(ids, n, (n, 0, n + 1, 1), building="yes")]
    )
    infos = [build_index(pbf, tmp_path / name, None, nothing) for name in ("one", "two")]
    assert infos[0] == infos[1] == info_of(tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert infos[0].bytes == (tmp_path / "one").stat().st_size
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.osm.pbf", "one", "two"], "nothing is left behind"


def test_places_of_nodes_in_a_file_make_the_same_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ids = count(1)
    planted = [*ring(ids, 10, (0, 0, 3, 3)), *ring(ids, 11, (1, 1, 2, 2), natural="water")]
    planted.append(relation(20, ("way", 10, "outer"), ("way", 11, "inner"), type="multipolygon", natural="wood"))
    pbf = write_pbf(tmp_path / "a.osm.pbf", planted)
    build_index(pbf, tmp_path / "one", None, nothing)
    monkeypatch.setattr(extract, "_LARGE", 0)
    monkeypatch.setattr(extract, "_SPARED", 1)
    for folder, within in product(("plain", "with, comma"), (None, shapely.box(*EVERYWHERE))):
        (tmp_path / folder).mkdir(exist_ok=True)
        build_index(pbf, tmp_path / folder / "two", within, nothing)
        assert (tmp_path / folder / "two").read_bytes() == (tmp_path / "one").read_bytes()
        assert [each.name for each in (tmp_path / folder).iterdir()] == ["two"]


def asked(source: Features) -> list[str]:
    (found,) = source.over([(0.0, 0.0, 0.5, 0.5)])
    return [each.key for each in found]


def test_an_index_is_read_by_many_processes_and_pickles(tmp_path: Path):
    pbf = write_pbf(tmp_path / "a.osm.pbf", [*SQUARE, way(10, RING, building="yes")])
    target = tmp_path / "an index? 100% #1"
    build_index(pbf, target, None, nothing)
    target.chmod(0o444)
    before = target.read_bytes()
    source = features_of(Osm(source="pbf", path="a.osm.pbf"), drops=nothing, index=target)
    assert pickle.loads(pickle.dumps(source)) == source
    assert isinstance(source, Features)
    assert (source.date, source.account, source.needs().files) == (DAY, None, (str(target),))
    assert "OpenStreetMap" in source.attribution
    with ProcessPoolExecutor(2) as pool:
        assert list(pool.map(asked, [source] * 4)) == [["way/10"]] * 4
    assert target.read_bytes() == before


def test_a_date_that_is_none(tmp_path: Path):
    for number, told in enumerate((None, "")):
        pbf = write_pbf(tmp_path / f"{number}.osm.pbf", [node(1, 0, 0, natural="tree")], date=told)
        assert build_index(pbf, tmp_path / f"{number}", None, nothing).date is None


# What is no extract


@pytest.mark.parametrize("data", [b"", b"\0" * 5000, b"some words"], ids=len)
def test_another_file_is_refused_in_a_line(tmp_path: Path, data: bytes):
    (tmp_path / "a.osm.pbf").write_bytes(data)
    refused(tmp_path, "no whole extract")


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("osm", "OpenStreetMap's XML"),
        ("osm.gz", "compressed by gzip"),
        ("osm.bz2", "compressed by bzip2"),
        ("opl", "osmium's text"),
    ],
)
def test_another_form_of_the_map_is_told_with_what_makes_pbf_of_it(tmp_path: Path, ending: str, kind: str):
    pbf = write_pbf(tmp_path / "whole.osm.pbf", [*SQUARE, way(10, RING, building="yes")])
    with osmium.SimpleWriter(str(tmp_path / f"a.{ending}")) as writer:
        for thing in osmium.FileProcessor(str(pbf)):
            writer.add(thing)
    (tmp_path / f"a.{ending}").rename(tmp_path / "a.osm.pbf")
    pbf.unlink()
    refused(tmp_path, f"{kind}.*`osmium cat -F {re.escape(ending)} a.osm.pbf -o map.osm.pbf`.*osm.path")


def test_o5m_is_told_as_other_forms_are(tmp_path: Path):
    (tmp_path / "a.osm.pbf").write_bytes(b"\xff\xe0\x04o5m2\xff\x10\x06")
    refused(tmp_path, "in the form o5m.*-F o5m a.osm.pbf")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\n<!DOCTYPE html><html><osm></html>", "a page of the web"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<html>", "a page of the web"),
        (b'{"type": "FeatureCollection"}', "JSON"),
        (b"PK\x03\x04" * 400, "a ZIP archive"),
        (b"SQLite format 3\0", "an SQLite file, such as a GeoPackage"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
    ],
    ids=["HTML", "XHTML", "JSON", "ZIP", "GeoPackage", "Git LFS"],
)
def test_what_is_no_map_is_told_as_what_it_is(tmp_path: Path, data: bytes, kind: str):
    (tmp_path / "a.osm.pbf").write_bytes(data)
    refused(tmp_path, f"is {kind}.*, no extract of OpenStreetMap")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, share: float):
    ids = count(1)
    rings = [each for n in range(60) for each in ring(ids, n, (n, 0, n + 0.5, 0.5), building="yes")]
    whole = write_pbf(tmp_path / "a.osm.pbf", rings).read_bytes()
    (tmp_path / "a.osm.pbf").write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path, "no whole extract")


def test_a_damaged_file_is_refused(tmp_path: Path):
    whole = bytearray(write_pbf(tmp_path / "a.osm.pbf", [*SQUARE, way(10, RING, building="yes")]).read_bytes())
    whole[-20:-10] = bytes(10)
    (tmp_path / "a.osm.pbf").write_bytes(whole)
    refused(tmp_path, "no whole extract")


@given(at=st.integers(0, 10**6), byte=st.integers(0, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_byte_is_damaged_an_error_is_of_ours(tmp_path: Path, at: int, byte: int):
    path = tmp_path / "a.osm.pbf"
    path.unlink(missing_ok=True)
    whole = bytearray(
        write_pbf(path, [*SQUARE, way(10, RING, building="yes"), node(9, 5, 5, natural="tree")]).read_bytes()
    )
    whole[at % len(whole)] = byte
    path.write_bytes(whole)
    with suppress(InputError):
        build_index(path, tmp_path / "index", None, nothing)


def test_text_that_is_none_is_refused(tmp_path: Path):
    whole = write_pbf(tmp_path / "a.osm.pbf", [node(1, 0, 0, natural="tree")], compressed=False).read_bytes()
    assert b"tree" in whole
    (tmp_path / "a.osm.pbf").write_bytes(whole.replace(b"tree", b"t\xff\xfee"))
    refused(tmp_path, "no whole extract")


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "a.osm.pbf")
    refused(tmp_path, "no regular file")
    (tmp_path / "a.osm.pbf").unlink()
    (tmp_path / "a.osm.pbf").symlink_to("/dev/zero")
    refused(tmp_path, "no regular file")
    (tmp_path / "a.osm.pbf").unlink()
    refused(tmp_path, "no such file")
    (tmp_path / "a.osm.pbf").mkdir()
    refused(tmp_path, "directory")


def test_a_file_of_all_versions_is_refused(tmp_path: Path):
    write_pbf(tmp_path / "a.osm.pbf", [node(1, 0, 0, natural="tree")], history=True)
    refused(tmp_path, "every version of everything")


def test_an_extract_of_nothing_is_refused(tmp_path: Path):
    write_pbf(tmp_path / "a.osm.pbf", [node(1, 0, 0)])
    refused(tmp_path, "holds nothing that is drawn")


def refused(folder: Path, why: str) -> None:
    with pytest.raises(InputError, match=why) as error:
        build_index(folder / "a.osm.pbf", folder / "index", None, nothing)
    assert "\n" not in str(error.value)
    assert str(folder / "a.osm.pbf") in str(error.value)
    assert [each.name for each in folder.iterdir() if each.name != "a.osm.pbf"] == [], "nothing is left behind"


def test_an_index_that_is_none(tmp_path: Path):
    target = tmp_path / "index"
    with pytest.raises(InputError, match="is not there"):
        asked(Extract(index=target))
    target.write_bytes(b"no database" * 500)
    with pytest.raises(InputError, match="is no index, or is damaged"):
        asked(Extract(index=target))
    target.unlink()
    with sqlite3.connect(target) as other:
        other.execute("CREATE TABLE about (key TEXT, value BLOB)")
    with pytest.raises(InputError, match="no index of this nutonic"):
        asked(Extract(index=target))


def test_a_damaged_index_is_told(tmp_path: Path):
    ids = count(1)
    rings = [each for n in range(300) for each in ring(ids, n, (n / 2, 0, n / 2 + 0.4, 0.5), building="yes")]
    build_index(write_pbf(tmp_path / "a.osm.pbf", rings), tmp_path / "index", None, nothing)
    whole = (tmp_path / "index").read_bytes()
    (tmp_path / "index").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged: remove it"):
        Extract(index=tmp_path / "index").over([EVERYWHERE])


_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from nutonic.sources.osm import extract
from nutonic.sources.osm.index import build_index
extract._LARGE = int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    build_index(Path(sys.argv[1]), Path(sys.argv[2]), None, lambda tags: False)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("large", "told"),
    [(10**9, "if the disk is full"), (0, "nodes is larger than a file may be")],
)
def test_where_no_more_fits(tmp_path: Path, large: int, told: str):
    ids = count(1)
    rings = [each for n in range(1000) for each in ring(ids, n, (n / 10, 0, n / 10 + 0.05, 0.5), building="yes")]
    pbf = write_pbf(tmp_path / "a.osm.pbf", rings)
    command = [sys.executable, "-c", _ON_A_FULL_DISK, str(pbf), str(tmp_path / "index"), str(large)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("StoreError ")
    assert told in printed
    assert [each.name for each in tmp_path.iterdir()] == ["a.osm.pbf"]


def test_where_no_index_can_be_written(tmp_path: Path):
    pbf = write_pbf(tmp_path / "a.osm.pbf", [node(1, 0, 0, natural="tree")])
    with pytest.raises(StoreError, match="cannot write"):
        build_index(pbf, tmp_path / "nowhere" / "index", None, nothing)


def test_rings_are_looked_up_and_not_compared_with_each_other():
    """Steps of SQLite's own machine, which take no clock: four times the rings take four times as many."""

    def steps(most: int) -> int:
        scratch, told = sqlite3.connect(":memory:", isolation_level=None), [0]
        begin(scratch)
        areas = [(number, 1, "area", b"{}", b"x") for number in range(most)]
        for kind in ("way", "relation"):
            scratch.executemany(f"INSERT INTO part VALUES ('{kind}', ?, ?, ?, ?, ?)", areas)
        scratch.executemany("INSERT INTO ring VALUES (?, ?)", ((number, number) for number in range(most)))
        scratch.set_progress_handler(lambda: told.__setitem__(0, told[0] + 1), 100)
        assert _drop_repeated(scratch) == most
        scratch.close()
        return told[0]

    assert 3 < steps(2000) / steps(500) < 6


AHEAD = "OSMIUM_MAX_OSMDATA_QUEUE_SIZE"


@pytest.mark.parametrize("theirs", [None, "7"])
def test_osmium_reads_little_ahead_unless_a_user_says_how_much(tmp_path, monkeypatch, theirs):
    monkeypatch.delenv(AHEAD, raising=False)
    if theirs is not None:
        monkeypatch.setenv(AHEAD, theirs)
    seen = set[str | None]()

    def drops(tags: object) -> bool:
        seen.add(os.environ.get(AHEAD))
        return False

    pbf = write_pbf(tmp_path / "planted.osm.pbf", (*SQUARE, way(10, RING, building="yes")))
    build_index(pbf, tmp_path / "index", None, drops)
    build_index(pbf, tmp_path / "part", shapely.box(*EVERYWHERE), drops)
    assert seen == {theirs or "3"}
    assert os.environ.get(AHEAD) == theirs
