"""A real extract, the middle of Helsinki: what an index says of it is what osmium says of it, box by box and in all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import osmium
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from support.maps import helsinki

from nutonic.core.model import Element
from nutonic.sources.osm.index import IndexInfo, build_index
from nutonic.sources.osm.source import Extract

#: The extract's box, and a little around it.
WEST, SOUTH, EAST, NORTH = 24.92, 60.155, 24.96, 60.185


class Plain(osmium.SimpleHandler):
    """What osmium hands out, sorted by the plainest of rules."""

    def __init__(self) -> None:
        super().__init__()
        self.points: dict[int, tuple[int, float, float]] = {}
        self.roads: dict[int, list[tuple[float, float]]] = {}
        self.cut_roads: set[int] = set()
        self.buildings: dict[tuple[str, int], tuple[int, float]] = {}
        self.woods = 0

    def node(self, node: osmium.osm.Node) -> None:
        if {tag.k for tag in node.tags} - {"created_by", "source"}:
            self.points[node.id] = node.version, node.location.lon, node.location.lat

    def way(self, way: osmium.osm.Way) -> None:
        if "highway" not in way.tags or way.nodes[0].ref == way.nodes[-1].ref:
            return
        if all(node.location.valid() for node in way.nodes):
            self.roads[way.id] = [(node.lon, node.lat) for node in way.nodes]
        else:
            self.cut_roads.add(way.id)

    def area(self, area: osmium.osm.Area) -> None:
        if area.tags.get("building", "no") == "no" or "boundary" in area.tags:
            return
        size = 0.0
        for outer in area.outer_rings():
            size += shoelace(outer) - sum(map(shoelace, area.inner_rings(outer)))
        if size:
            kind = "way" if area.id % 2 == 0 else "relation"  # osmium doubles ids, and adds one for relations
            self.buildings[kind, area.id // 2] = area.version, size


def shoelace(ring: osmium.osm.NodeRefList) -> float:
    x, y = np.array([(node.lon - WEST, node.lat - SOUTH) for node in ring]).T
    return abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))) / 2


@pytest.fixture(scope="module")
def plain() -> Plain:
    reading = Plain()
    reading.apply_file(str(helsinki()), locations=True)
    return reading


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[IndexInfo, Extract]:
    target = tmp_path_factory.mktemp("helsinki") / "index"
    return build_index(helsinki(), target, None, lambda tags: False), Extract(index=target)


@pytest.fixture(scope="module")
def everything(built: tuple[IndexInfo, Extract]) -> tuple[Element, ...]:
    return built[1].over([(-180.0, -90.0, 180.0, 90.0)])[0]


@pytest.mark.long
def test_points_are_the_nodes_that_have_tags(plain: Plain, everything: tuple[Element, ...]):
    points = {each.id: (each.version, each.geometry.x, each.geometry.y) for each in everything if each.type == "node"}
    assert points == plain.points
    assert len(points) > 5000


@pytest.mark.long
def test_roads_are_the_ways_with_all_their_nodes(plain: Plain, everything: tuple[Element, ...]):
    roads = {
        each.id: each.geometry.coords[:]
        for each in everything
        if each.type == "way" and "highway" in dict(each.tags) and each.id in plain.roads
    }
    assert roads.keys() == plain.roads.keys()
    for number, places in plain.roads.items():
        assert roads[number] == [place for at, place in enumerate(places) if at == 0 or place != places[at - 1]]
    assert len(roads) > 1000
    assert plain.cut_roads


def test_buildings_are_those_that_osmium_puts_together(plain: Plain, everything: tuple[Element, ...]):
    buildings = {
        (each.type, each.id): (each.version, each.geometry.area)
        for each in everything
        if each.kind == "area" and dict(each.tags).get("building", "no") != "no"
    }
    assert buildings.keys() == plain.buildings.keys()
    for key, (version, size) in plain.buildings.items():
        assert buildings[key] == (version, pytest.approx(size, rel=1e-6)), key
    assert any(kind == "relation" for kind, _ in buildings)
    assert len(buildings) > 300


def test_all_is_counted_and_valid(built: tuple[IndexInfo, Extract], everything: tuple[Element, ...]):
    info, _ = built
    kinds = [each.kind for each in everything]
    assert (info.elements, info.points, info.lines, info.areas) == (
        len(everything),
        kinds.count("point"),
        kinds.count("line"),
        kinds.count("area"),
    )
    assert len({each.key for each in everything}) == len(everything)
    assert all(each.geometry.is_valid for each in everything if each.kind == "area")
    assert all(each.geometry.geom_type in ("Polygon", "MultiPolygon") for each in everything if each.kind == "area")
    assert info.broken > 0, "relations at the border lack ways"
    assert info.cut > 0
    assert len(info.examples) == 10


@pytest.mark.long
@given(
    west=st.floats(WEST, EAST),
    south=st.floats(SOUTH, NORTH),
    width=st.sampled_from([0.0, 1e-7, 0.0005, 0.003, 0.02]),
    height=st.sampled_from([0.0, 1e-7, 0.0005, 0.003, 0.02]),
)
@settings(max_examples=80)
def test_a_box_holds_what_touches_it_and_nothing_else(built, everything, west, south, width, height):
    box = (west, south, west + width, south + height)
    (found,) = built[1].over([box])
    shapes = np.array([each.geometry for each in everything], dtype=object)
    touching = np.flatnonzero(shapely.intersects(shapes, shapely.box(*box)))
    assert found == tuple(everything[at] for at in touching)
    assert all(each.geometry.equals(everything[at].geometry) for each, at in zip(found, touching, strict=True))


def test_boxes_at_corners_of_elements(built: tuple[IndexInfo, Extract], everything: tuple[Element, ...]):
    # a box that ends where an element begins touches it: the tree's numbers are rounded, its answers are not
    for each in everything[::400]:
        west, south, east, north = each.geometry.bounds
        for box in ((west - 0.001, south - 0.001, west, north + 0.001), (east, south, east + 0.001, north)):
            (found,) = built[1].over([box])
            assert (each in found) is bool(shapely.intersects(each.geometry, shapely.box(*box)))


def rows(index: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(index)) as connection:
        return connection.execute("SELECT type, id, version, kind, tags, wkb FROM element ORDER BY type, id").fetchall()


@pytest.mark.long
def test_part_of_it_is_what_touches_that_part(
    built: tuple[IndexInfo, Extract], everything: tuple[Element, ...], tmp_path: Path
):
    within = shapely.MultiPolygon(
        [shapely.box(24.94, 60.165, 24.942, 60.166), shapely.box(24.945, 60.17, 24.946, 60.171)]
    )
    info = build_index(helsinki(), tmp_path / "part", within, lambda tags: False)
    (found,) = Extract(index=tmp_path / "part").over([(-180.0, -90.0, 180.0, 90.0)])
    near = [each.key for each in everything if shapely.box(*each.geometry.bounds).intersects(within)]
    assert [each.key for each in found] == near
    assert info.bytes < built[0].bytes / 2
    kept = [rows(tmp_path / "part"), [row for row in rows(built[1].index) if f"{row[0]}/{row[1]}" in set(near)]]
    assert kept[0] == kept[1], "byte for byte"
    boxes = [part.bounds for part in within.geoms]
    assert Extract(index=tmp_path / "part").over(boxes) == built[1].over(boxes)
