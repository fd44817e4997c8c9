"""The stand-in for Overpass answers questions that it was not made for, by the map that was planted."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count
from urllib.parse import urlencode, urlsplit

import pytest

from nutonic.testing.overpass import OverpassServer, Planted, Trouble, ring

IDS = count(1)
MAP = (
    *ring(IDS, 10, (0, 0, 2, 2), building="yes", name="Hall"),
    *ring(IDS, 11, (5, 5, 9, 9)),
    Planted(type="node", id=50, at=(1, 1), tags={"natural": "tree"}),
    Planted(type="node", id=50, version=2, at=(1, 1), tags={"natural": "stump"}, since="2022-05-05"),
    Planted(
        type="relation", id=20, members=(("way", 11, "outer"),), tags={"type": "multipolygon", "landuse": "forest"}
    ),
    Planted(type="relation", id=21, members=(("way", 11, "outer"),), tags={"type": "multipolygon", "name": "Wood"}),
)


@pytest.fixture
def server() -> Iterator[OverpassServer]:
    with OverpassServer(MAP) as server:
        yield server


def ask(server: OverpassServer, query: str) -> tuple[int, bytes, str | None]:
    parts = urlsplit(server.url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    connection.request("POST", parts.path, urlencode({"data": query}))
    response = connection.getresponse()
    told = response.status, response.read(), response.getheader("Retry-After")
    connection.close()
    return told


def found(server: OverpassServer, query: str) -> list[str]:
    status, body, _ = ask(server, query)
    assert status == 200, body
    return [f"{each['type']}/{each['id']}" for each in json.loads(body)["elements"]]


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("way(0.5,0.5,3,3);out meta;", ["way/10"]),  # a corner of its ring is inside
        ("way(0.5,0.5,1,1);out meta;", []),  # its ring goes around
        ("way(1,-1,1.5,3);out meta;", ["way/10"]),  # a segment crosses, no node is inside
        ("node(0,0,2,2)(if:count_tags()>0);out meta;", ["node/50"]),
        ('nwr["name"];out meta;', ["relation/21", "way/10"]),
        ('rel[!"name"];out meta;', ["relation/20"]),
        ('way["building"="no"];out meta;', []),
        ("rel(8,8,10,10);out meta;", ["relation/20", "relation/21"]),  # by its members
        ("rel(20,20,21,21);out meta;", []),
        ('rel["landuse"]->.r;way(r.r);out meta;', ["way/11"]),
        ("is_in(1,1)->.a;wr(pivot.a);out meta;", ["way/10"]),
        ("is_in(7,7)->.a;wr(pivot.a);out meta;", ["relation/21", "way/11"]),  # without a name it is no area there
        ("(way(0,0,3,3);rel;)->.x;rel.x;out meta;way.x;out meta;", ["relation/20", "relation/21", "way/10"]),
    ],
)
def test_questions(server: OverpassServer, query: str, keys: list[str]):
    assert found(server, f"[out:json][timeout:5];{query}") == keys


def test_answers_are_whole(server: OverpassServer):
    _, body, _ = ask(server, '[out:json];way["building"];out meta geom;')
    (told,) = json.loads(body)["elements"]
    assert told["nodes"] == [1, 2, 3, 4, 1]
    assert [(each["lon"], each["lat"]) for each in told["geometry"]] == [(0, 0), (2, 0), (2, 2), (0, 2), (0, 0)]
    assert (told["version"], told["tags"]["name"], told["user"]) == (1, "Hall", "planter")


def test_a_day(server: OverpassServer):
    def tree(day: str) -> list[str]:
        _, body, _ = ask(server, f'[out:json]{day};node(50,50,51,51);node["natural"];out meta;')
        return [each["tags"]["natural"] for each in json.loads(body)["elements"]]

    assert tree('[date:"2022-05-04T00:00:00Z"]') == ["tree"]
    assert tree('[date:"2022-05-05T00:00:00Z"]') == tree("") == ["stump"]
    assert tree('[date:"2001-01-01T00:00:00Z"]') == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "[out:xml];way;out meta;",
        "way;out meta;",
        "[out:json];bridge;out meta;",
        "[out:json];way(1,2,3);out meta;",
        "[out:json];way;out center;",
        "[out:json];(way;",
        "[out:json];way(area.x);out meta;",
    ],
)
def test_what_it_does_not_understand_it_refuses(server: OverpassServer, query: str):
    status, body, _ = ask(server, query)
    assert status == 400
    assert b"Error" in body


def test_troubles_come_one_after_the_other():
    troubles = [
        Trouble(kind="429", retry_after=9),
        Trouble(kind="504"),
        Trouble(kind="remark"),
        Trouble(kind="truncated"),
    ]
    with OverpassServer(MAP, troubles) as server:
        answers = [ask(server, "[out:json];way;out meta;") for _ in range(5)]
    assert [status for status, _, _ in answers] == [429, 504, 200, 200, 200]
    assert [after for _, _, after in answers] == ["9", None, None, None, None]
    gave_up, whole = json.loads(answers[2][1]), json.loads(answers[4][1])
    assert gave_up["elements"] == []
    assert gave_up["remark"].startswith("runtime error")
    assert "remark" not in whole
    assert answers[3][1] == answers[4][1][: len(answers[4][1]) // 2]
    assert server.queries == ["[out:json];way;out meta;"] * 5
