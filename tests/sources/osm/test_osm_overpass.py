"""A server of Overpass is asked: it gives what an extract of the same map gives, and its failures are no empty maps."""

import json
import logging
import pickle
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.maps import node, relation, way, write_pbf

from nutonic.errors import ReadFailed
from nutonic.io.http import Policy
from nutonic.io.objects import Store
from nutonic.io.session import Session, SessionThreads, using
from nutonic.recipe.osm import Osm
from nutonic.sources.osm.answers import parsed
from nutonic.sources.osm.index import build_index
from nutonic.sources.osm.opl import opl_of
from nutonic.sources.osm.overpass import Overpass, query_of
from nutonic.sources.osm.source import Extract, Features, features_of
from nutonic.testing.overpass import OverpassServer, Planted, Trouble, ring


def nothing(tags: object) -> bool:
    return False


def planted_map() -> list[Planted]:
    """Some of everything, within some 2 km of 0, 0; and areas around all of it, with a name and without one."""
    ids, d = count(1), 0.001
    things = [each for n in range(5) for each in ring(ids, 100 + n, (n * d, 0, n * d + d / 2, d / 2), building="yes")]
    things += ring(ids, 200, (0, 2 * d, 4 * d, 6 * d))
    things += ring(ids, 201, (d, 3 * d, 2 * d, 4 * d), natural="water")
    things += ring(ids, 202, (-1, -1, 1, 1), landuse="residential")  # a way around it all
    things += ring(ids, 203, (-2, -2, 2, 2))
    things += ring(ids, 204, (-0.015, -0.015, 0.015, 0.015))
    things += [
        relation(300, ("way", 200, "outer"), ("way", 201, "inner"), version=3, type="multipolygon", natural="wood"),
        relation(301, ("way", 203, "outer"), type="multipolygon", leisure="park", name="Round About"),
        relation(302, ("way", 204, "outer"), type="multipolygon", landuse="farmland"),
        relation(303, ("way", 203, "outer"), type="boundary", boundary="administrative", admin_level="8", name="Town"),
        relation(304, ("way", 100, "outer"), type="route", route="bus"),
    ]
    things += [node(900, 0.5 * d, 0.25 * d, natural="tree"), node(901, 3 * d, 3 * d, name="«Ünïcode» %,=@ \n\t\\ 木")]
    things += [node(902 + n, n * d - 2 * d, 1.5 * d) for n in range(8)]
    things += [way(205, range(902, 910), highway="residential", version=6), way(206, (902, 903, 902), highway="path")]
    return things


MAP = planted_map()
BOXES = [
    (0, 0, 0.0005, 0.0005),
    (0.001, 0.003, 0.002, 0.004),
    (0.0012, 0.0032, 0.0018, 0.0038),
    (0.0, 0.0015, 0.0, 0.0015),
]


@pytest.fixture(autouse=True)
def session() -> Iterator[Session]:
    with Session(Policy(pause_s=0.001, attempts=3)) as session, using(session):
        yield session


def asking(server: OverpassServer, **settings) -> Overpass:
    return Overpass(**{"url": server.url, "drops": nothing, "requests_per_minute": 60_000, **settings})


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Extract:
    folder = tmp_path_factory.mktemp("map")
    build_index(write_pbf(folder / "a.osm.pbf", MAP), folder / "index", None, nothing)
    return Extract(index=folder / "index")


@pytest.fixture(scope="module")
def server() -> Iterator[OverpassServer]:
    with OverpassServer(MAP) as server:
        yield server


def test_a_server_gives_what_an_extract_gives(server: OverpassServer, extract: Extract):
    found, wanted = asking(server).over(BOXES), extract.over(BOXES)
    assert found == wanted
    for ours, theirs in zip(found, wanted, strict=True):
        assert [shapely.to_wkt(each.geometry) for each in ours] == [shapely.to_wkt(each.geometry) for each in theirs]
    keys = [[each.key for each in each_box] for each_box in found]
    around = ["relation/301", "relation/302", "way/202"]
    assert keys[0] == ["node/900", *around[:2], "way/100", around[2]]
    assert keys[1] == ["relation/300", *around[:2], "way/201", around[2]]
    assert keys[2] == [*around[:2], "way/201", around[2]]
    by_key = {each.key: each for each in found[1]}
    assert by_key["relation/300"].version == 3
    assert by_key["relation/300"].geometry.area == pytest.approx((4 * 4 - 1) * 1e-6)


@given(st.lists(st.tuples(*[st.integers(-30, 60)] * 2, *[st.integers(0, 20)] * 2), min_size=1, max_size=20))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_boxes_hold_what_an_extract_has_there(server: OverpassServer, extract: Extract, boxes):
    bounds = [(w * 1e-4, s * 1e-4, (w + x) * 1e-4, (s + y) * 1e-4) for w, s, x, y in boxes]
    asked = len(server.queries)
    assert asking(server).over(bounds) == extract.over(bounds)
    assert len(server.queries) - asked == -(-len(bounds) // 16), "sixteen boxes at once"


def test_nothing_is_asked_for_nothing(server: OverpassServer):
    asked = len(server.queries)
    assert asking(server).over([]) == []
    assert len(server.queries) == asked


def test_the_map_as_it_was_on_a_day():
    before = [
        *ring(count(1), 10, (0, 0, 1, 1), building="yes"),
        node(50, 0.5, 0.5, natural="tree"),
        Planted(type="node", id=50, version=2, gone=True, since="2022-03-01"),
        Planted(type="way", id=10, version=2, tags={"building": "house"}, nodes=(1, 2, 3, 4, 1), since="2022-05-01"),
    ]
    with OverpassServer(before) as server:
        states = {
            day: [(each.key, each.version) for each in asking(server, date=day).over([(0, 0, 1, 1)])[0]]
            for day in ("2022-02-28", "2022-03-01", "2022-06-01", None)
        }
    assert states == {
        "2022-02-28": [("node/50", 1), ("way/10", 1)],
        "2022-03-01": [("way/10", 1)],
        "2022-06-01": [("way/10", 2)],
        None: [("way/10", 2)],
    }
    assert asking(server, date="2022-06-01").date == "2022-06-01"


# Once


def test_what_was_answered_is_never_asked_again(server: OverpassServer, tmp_path: Path):
    asked = len(server.queries)
    first = asking(server, answers=Store(tmp_path / "kept")).over(BOXES)
    assert len(server.queries) == asked + 1
    kept = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert len(kept) == 1
    assert b"planter" not in kept[0].read_bytes(), "who drew it is not kept"
    again = pickle.loads(pickle.dumps(asking(server, answers=Store(tmp_path / "kept"))))
    assert again.over(BOXES) == first
    assert len(server.queries) == asked + 1
    again.over([*BOXES[:1]])
    assert len(server.queries) == asked + 2, "another question"
    assert asking(server, answers=Store(tmp_path / "kept"), date="2022-01-01").over(BOXES) == first
    assert len(server.queries) == asked + 3, "another day"


def test_a_kept_answer_that_was_damaged_is_asked_for_again(server: OverpassServer, tmp_path: Path):
    source = asking(server, answers=Store(tmp_path / "kept"))
    first = source.over(BOXES)
    (kept,) = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    whole = kept.read_bytes()
    for damaged in (whole[:-30], whole.replace(b"building", b"buildinh", 1), b""):
        kept.write_bytes(damaged)
        asked = len(server.queries)
        assert source.over(BOXES) == first
        assert len(server.queries) == asked + 1
        assert kept.read_bytes() == whole


def own_sleeps(monkeypatch: pytest.MonkeyPatch, name: str) -> list[float]:
    """The seconds that this thread would sleep, which it does not; other threads wait for what they wait for."""
    slept, here, sleep = [], threading.get_ident(), time.sleep

    def told(seconds: float) -> None:
        if threading.get_ident() == here:
            slept.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr(name, told)
    return slept


# Trouble


@pytest.mark.parametrize("kind", ["429", "504", "truncated", "page"])
def test_what_passes_is_asked_for_again(extract: Extract, session: Session, kind):
    with OverpassServer(MAP, [Trouble(kind=kind, retry_after=0)] * 2) as server:
        assert asking(server).over(BOXES) == extract.over(BOXES)
        assert len(server.queries) == 3
    assert session.take_counts()["requests"] == 3


def test_a_server_is_left_alone_for_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch, extract: Extract):
    slept = own_sleeps(monkeypatch, "nutonic.io.http.time.sleep")
    with OverpassServer(MAP, [Trouble(kind="429", retry_after=7), Trouble(kind="504", retry_after=3)]) as server:
        assert asking(server).over(BOXES) == extract.over(BOXES)
    assert [each for each in slept if each > 1] == [7.0, 3.0]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("429", "429"),
        ("504", "504"),
        ("truncated", "no JSON"),
        ("page", "no JSON"),
        ("400", "status 400"),
        ("302", "status 302"),
    ],
)
def test_what_does_not_pass_is_an_error(tmp_path: Path, kind, told: str):
    with OverpassServer(MAP, [Trouble(kind=kind, retry_after=0)] * 9) as server:
        with pytest.raises(ReadFailed, match=told) as error:
            asking(server, answers=Store(tmp_path)).over(BOXES)
        assert len(server.queries) == (1 if kind in ("400", "302") else 3)
    assert "127.0.0.1" in str(error.value)
    assert "out meta" not in str(error.value)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_server_that_gives_up_is_asked_for_less(extract: Extract, tmp_path: Path):
    with OverpassServer(MAP, [Trouble(kind="remark")] * 2) as server:  # four boxes are too many, and two
        source = asking(server, answers=Store(tmp_path))
        assert source.over(BOXES) == extract.over(BOXES)
        assert [query.count("is_in") for query in server.queries] == [4, 2, 1, 1, 2]


def test_giving_up_on_a_single_box_is_an_error_and_no_empty_map(tmp_path: Path):
    with OverpassServer(MAP, [Trouble(kind="remark")] * 3) as server:
        with pytest.raises(ReadFailed, match=r"gave up on the map of 0\.0000, .*Query timed out"):
            asking(server, answers=Store(tmp_path)).over(BOXES)
        assert [query.count("is_in") for query in server.queries] == [4, 2, 1]
    assert list(tmp_path.rglob("*.json")) == []


def test_nobody_there():
    with OverpassServer(MAP) as server:
        source = asking(server)
    with pytest.raises(ReadFailed, match=r"asking 127\.0\.0\.1 for the map"):
        source.over(BOXES)


def test_what_cannot_be_put_together_is_told(caplog: pytest.LogCaptureFixture):
    open_ring = [node(1, 0, 0), node(2, 1, 0), node(3, 1, 1), way(10, (1, 2, 3))]
    broken = relation(20, ("way", 10, "outer"), type="multipolygon", natural="wood")
    with OverpassServer([*open_ring, broken]) as server, caplog.at_level(logging.WARNING):
        assert asking(server).over([(0, 0, 1, 1)]) == [()]
    assert "1 element from 127.0.0.1 cannot be drawn: relation/20" in caplog.text


def test_a_map_that_osmium_does_not_take_is_an_error():
    with (
        OverpassServer([node(1, 0, 0, natural="tree" * 5000)]) as server,
        pytest.raises(ReadFailed, match="cannot be a map"),
    ):
        asking(server).over([(0, 0, 1, 1)])


# The pace


def test_requests_begin_evenly(monkeypatch: pytest.MonkeyPatch, server: OverpassServer):
    slept = own_sleeps(monkeypatch, "nutonic.sources.osm.overpass.time.sleep")
    monkeypatch.setattr("nutonic.sources.osm.overpass.time.monotonic", lambda: 100.0 + sum(slept))
    source = asking(server, requests_per_minute=30)
    for n in range(3):
        source.over([(n, 0, n, 0)])
    source.shared(4).over([(9, 0, 9, 0)])
    source.shared(4).over([(9, 1, 9, 1)])
    assert slept == [0.0, 2.0, 2.0, 0.0, 8.0]


@pytest.mark.parametrize(("processes", "slots"), [(1, 2), (2, 1), (7, 1)])
def test_processes_share_what_a_server_takes(server: OverpassServer, monkeypatch: pytest.MonkeyPatch, processes, slots):
    each = asking(server, requests_per_minute=30).shared(processes)
    assert each.requests_per_minute * processes == pytest.approx(30)
    inside, peak, lock, answer = [0], [0], threading.Lock(), server.answer

    def slow(query: str):
        with lock:
            inside[0] += 1
            peak[0] = max(peak[0], inside[0])
        time.sleep(0.1)
        with lock:
            inside[0] -= 1
        return answer(query)

    monkeypatch.setattr(server, "answer", slow)
    quick = replace(each, requests_per_minute=6e4)
    with SessionThreads(4) as threads:
        for asked in [threads.submit(quick.over, [(n, 0, n, 0)]) for n in range(6)]:
            asked.result()
    assert peak[0] == slots


# What is asked, and what is answered


def test_a_question_is_the_same_whenever_it_is_asked():
    question = query_of([(0.1, 0.2, 0.3, 0.4)], "2022-06-01")
    assert question.startswith('[out:json][timeout:180][maxsize:536870912][date:"2022-06-01T00:00:00Z"];\n')
    assert "way(0.2,0.1,0.4,0.3)(if:count_tags()>0);" in question
    assert "is_in(0.3,0.2)->.in0;" in question
    assert question == query_of([(0.1, 0.2, 0.3, 0.4)], "2022-06-01")
    assert query_of([(179.9, 0, -179.9, 1)], None).count("is_in") == 2, "a box across 180° is two"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"elements": 3}',
        b'{"elements": [3]}',
        b'{"elements": [{"type": "area", "id": 1, "version": 1}]}',
        b'{"elements": [{"type": "node", "id": 1, "version": 1}]}',
        b'{"elements": [{"type": "node", "id": 1, "version": 1, "lat": 91, "lon": 0}]}',
        b'{"elements": [{"type": "node", "id": "1", "version": 1, "lat": 0, "lon": 0}]}',
        b'{"elements": [{"type": "node", "id": 1, "lat": 0, "lon": 0}]}',
        b'{"elements": [{"type": "node", "id": 1, "version": 1, "lat": 0, "lon": 0, "tags": {"a": 1}}]}',
        b'{"elements": [{"type": "node", "id": 1, "version": 1, "lat": 0, "lon": 0, "tags": {"a": "\\u0000"}}]}',
        b'{"elements": [{"type": "node", "id": 9007199254740992, "version": 1, "lat": 0, "lon": 0}]}',
        b'{"elements": [{"type": "way", "id": 1, "version": 1, "nodes": [1, 2], "geometry": [{"lat": 0, "lon": 0}]}]}',
        b'{"elements": [{"type": "way", "id": 1, "version": 1, "nodes": [1], "geometry": [null]}]}',
        b'{"elements": [{"type": "relation", "id": 1, "version": 1, "members": [{"type": "way", "ref": 1}]}]}',
    ],
)
def test_an_answer_that_is_no_map(body: bytes):
    with pytest.raises(ValueError, match="an answer that is no"):
        parsed(body)


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1, max_size=3))
@settings(max_examples=60)
def test_tags_come_through_as_they_are(tags: dict[str, str]):
    import osmium

    tags = {key.replace("\0", ""): value.replace("\0", "") for key, value in tags.items()}
    tags.pop("", None)
    element = {"type": "node", "id": 1, "version": 2, "lat": 1.5, "lon": -2.5, "tags": tags}
    (kept,) = parsed(json.dumps({"elements": [element]}).encode("utf-8", "surrogatepass")).elements
    processor = osmium.FileProcessor(osmium.io.FileBuffer(opl_of([kept]), "opl"))
    assert [(dict(read.tags), read.version, read.location.lon) for read in processor] == [(tags, 2, -2.5)]


def test_features_that_a_recipe_names(server: OverpassServer):
    osm = Osm(source="overpass", url=server.url, date="2022-06-01", requests_per_minute=600)
    features = features_of(osm, drops=nothing)
    assert isinstance(features, Features)
    assert (features.date, features.needs().packages) == ("2022-06-01", ("osmium",))
    assert features.account is not None
    assert (features.account.service, features.account.most_requests) == ("127.0.0.1", 2)
    assert pickle.loads(pickle.dumps(features)) == features
    assert features.over(BOXES[:1])[0][0].key == "node/900"
