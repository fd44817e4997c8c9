"""Which items serve: by times that overlap, whatever their ids; and where none does, what left them out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine

import nutonic as nt
from nutonic.core.classes import ClassTable
from nutonic.core.grid import grid_around
from nutonic.errors import NoScene
from nutonic.recipe.outputs import Grid
from nutonic.sources.factory import sources_of
from nutonic.sources.stac.labels import StacLabels

PLACE = 15.05, 45.05
RING = [[15.0, 45.0], [15.1, 45.0], [15.1, 45.1], [15.0, 45.1], [15.0, 45.0]]
FAR = {"type": "Polygon", "coordinates": [[[x + 3, y + 2] for x, y in RING]]}
BANDS = ("red", "green", "blue")


def item(
    name: str, *, assets: tuple[str, ...] = BANDS, epsg: int = 32633, size: float = 10.0, **parts: Any
) -> dict[str, Any]:
    """An item over the place, whose files nobody opens."""
    grid = {"proj:transform": [size, 0, 499_980, 0, -size, 5_000_000], "proj:shape": [2000, 2000]}
    if epsg == 4326:
        grid = {"proj:transform": [1e-4, 0, 15.0, 0, -1e-4, 45.1], "proj:shape": [1000, 1000]}
    properties = {
        "datetime": "2024-06-15T10:00:00Z",
        "eo:cloud_cover": 1.0,
        "proj:epsg": epsg,
        **parts.pop("properties", {}),
    }
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "c", "links": [],
        "geometry": {"type": "Polygon", "coordinates": [RING]}, "properties": properties,
        "assets": {band: {"href": f"{name}-{band}.tif", **grid} for band in assets}, **parts,
    }  # fmt: skip


def period(start: Any, end: Any, when: Any = None) -> dict[str, Any]:
    return {"datetime": when, "start_datetime": start, "end_datetime": end}


def write(folder: Path, *items: dict[str, Any]) -> str:
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return str(path)


SEASON = "2024-04-01/2024-10-31"

#: What an item says of its time, a time that is asked for, whether it is found, and the time of its scene.
TIMES: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "a year round a season": (period("2024-01-01T00:00:00Z", "2024-12-31T23:59:59Z"), SEASON, "2024-01-01T00:00:00Z"),
    "a month within": (period("2024-06-01T00:00:00Z", "2024-06-30T00:00:00Z"), SEASON, "2024-06-01T00:00:00Z"),
    "ends within": (period("2023-06-01T00:00:00Z", "2024-04-01T00:00:00Z"), SEASON, "2023-06-01T00:00:00Z"),
    "ends a second before": (period("2023-06-01T00:00:00Z", "2024-03-31T23:59:59Z"), SEASON, None),
    "starts with the end": (period("2024-10-31T23:59:59Z", "2025-01-01T00:00:00Z"), SEASON, "2024-10-31T23:59:59Z"),
    "starts after": (period("2024-11-01T00:00:00Z", "2025-01-01T00:00:00Z"), SEASON, None),
    "a moment, told twice": (period("2024-06-15T10:00:00Z", "2024-06-15T10:00:00Z"), SEASON, "2024-06-15T10:00:00Z"),
    "a nominal date beside its period": (
        period("2024-01-01T00:00:00Z", "2024-12-31T00:00:00Z", "2024-01-01T00:00:00Z"), SEASON, "2024-01-01T00:00:00Z",
    ),
    "a datetime within, a period outside": (
        period("2022-01-01T00:00:00Z", "2022-12-31T00:00:00Z", "2024-06-15T10:00:00Z"), SEASON, None,
    ),
    "only a start": (period("2024-06-01T00:00:00Z", None), SEASON, "2024-06-01T00:00:00Z"),
    "only a start, before": (period("2024-01-01T00:00:00Z", None), SEASON, None),
    "only an end": (period(None, "2024-06-01T00:00:00Z"), SEASON, "2024-06-01T00:00:00Z"),
    "an end before its start, and a datetime": (
        period("2024-12-31T00:00:00Z", "2024-01-01T00:00:00Z", "2024-06-15T10:00:00Z"), SEASON, "2024-06-15T10:00:00Z",
    ),
    "an end before its start": (period("2024-12-31T00:00:00Z", "2024-01-01T00:00:00Z"), SEASON, None),
    "dates": (period("2023-01-01", "2024-04-01"), "2024-04-01T12:00:00Z/2024-05-01", "2023-01-01T00:00:00Z"),
    "a date": ({"datetime": "2024-06-15"}, "2024-06-15T12:00:00Z/2024-06-16", "2024-06-15T00:00:00Z"),
    "nanoseconds": ({"datetime": "2024-06-15T10:00:00.123456789Z"}, SEASON, "2024-06-15T10:00:00.123456Z"),
    "half a second": ({"datetime": "2024-10-31T23:59:59.5Z"}, SEASON, "2024-10-31T23:59:59.500000Z"),
    "an offset that is before": ({"datetime": "2024-04-01T01:00:00+02:00"}, SEASON, None),
    "an offset that is within": ({"datetime": "2024-03-31T23:00:00-02:00"}, SEASON, "2024-04-01T01:00:00Z"),
    "small letters": ({"datetime": "2024-06-15t10:00:00z"}, SEASON, "2024-06-15T10:00:00Z"),
    "no offset": ({"datetime": "2024-06-15T10:00:00"}, SEASON, "2024-06-15T10:00:00Z"),
}  # fmt: skip


@pytest.mark.parametrize("case", TIMES)
def test_an_item_is_found_by_a_time_that_overlaps(tmp_path, case):
    properties, asked, when = TIMES[case]
    elsewhere = item("b", geometry=FAR)
    source = nt.StacSource(url=write(tmp_path, item("a", properties=properties), elsewhere), collection="c")
    (scenes,) = source.search(np.array([PLACE[0]]), np.array([PLACE[1]]), 1280, asked)
    assert [scene.datetime for scene in scenes] == ([] if when is None else [when])
    line = source.timeline(grid_around(*PLACE, extent_m=1280), asked)
    assert [step.time for step in line.steps] == ([] if when is None else [when])


def test_items_are_told_apart_by_collection_id_and_time(tmp_path):
    years = [item("tile", properties={"datetime": f"{year}-06-01T00:00:00Z"}) for year in (2022, 2023, 2024)]
    source = nt.StacSource(url=write(tmp_path, *years, item("tile", collection="another")), collection="c")
    (scenes,) = source.search(np.array([PLACE[0]]), np.array([PLACE[1]]), 1280)
    assert [scene.datetime for scene in scenes] == [f"{year}-06-01T00:00:00Z" for year in (2024, 2023, 2022)]
    line = source.timeline(grid_around(*PLACE, extent_m=1280))
    assert [step.time for step in line.steps] == [f"{year}-06-01T00:00:00Z" for year in (2022, 2023, 2024)]
    assert line.left_out == ()


# Labels

TABLE = ClassTable(name="mine", labels={1: "a", 2: "b"}, unknown=0, colors={})


def maps(folder: Path, *times: dict[str, Any]) -> str:
    """Items that share an id, with a raster of one class each: 1 of the first, 2 of the second, and so on."""
    items = []
    for number, time in enumerate(times, 1):
        with rasterio.open(
            folder / f"{number}.tif", "w", driver="GTiff", height=1000, width=1000, count=1, dtype="uint8",
            crs="EPSG:4326", transform=Affine(1e-4, 0, 15.0, 0, -1e-4, 45.1),
        ) as out:  # fmt: skip
            out.write(np.full((1000, 1000), number, np.uint8), 1)
        each = item("N45E015_Map", properties=time)
        items.append({**each, "assets": {"map": {"href": f"{number}.tif"}}})
    return write(folder, *items)


@pytest.mark.parametrize(
    ("year", "when", "value"),
    [(2020, None, 1), (2021, None, 2), (None, None, 2), (None, "2020-04-01/2020-10-01", 1), (2019, None, None)],
)
def test_label_items_of_two_years_may_share_an_id(tmp_path, year, when, value):
    url = maps(tmp_path, {"datetime": "2020-01-01T00:00:00Z"}, {"datetime": "2021-01-01T00:00:00Z"})
    source = StacLabels(url=url, collection="c", asset="map", classes=TABLE, year=year)
    grid = grid_around(*PLACE, extent_m=1280)
    (scenes,) = source.search(np.array([PLACE[0]]), np.array([PLACE[1]]), 1280, when)
    steps = source.timeline(grid, when).steps
    assert len(scenes) == len(steps) == (0 if value is None else 1)
    if value is not None:
        assert np.unique(source.open(grid, scenes)["label"]).tolist() == [value]
        assert steps[0].scenes == scenes


@pytest.mark.parametrize(("year", "count"), [(2016, 0), (2017, 1), (2018, 1), (2019, 1), (2020, 0)])
def test_a_map_of_several_years_is_of_each_that_it_holds(tmp_path, year, count):
    url = maps(tmp_path, period("2017-01-01T00:00:00Z", "2020-01-01T00:00:00Z"))
    source = StacLabels(url=url, collection="c", asset="map", classes=TABLE, year=year)
    (scenes,) = source.search(np.array([PLACE[0]]), np.array([PLACE[1]]), 1280)
    assert len(scenes) == count


def test_labels_that_are_not_there_say_why(tmp_path):
    url = maps(tmp_path, {"datetime": "2020-01-01T00:00:00Z"}, {"datetime": "2021-01-01T00:00:00Z"})
    grid = grid_around(*PLACE, extent_m=1280)
    for change, why in (
        ({"year": 2019}, "of 2 items near the area, 2 are of another year (2020, 2021)"),
        ({"asset": "data"}, "of 2 items near the area, 2 are without data (there is map)"),
        ({"collection": "lc"}, "of 2 items near the area, 2 are of another collection (c)"),
    ):
        options = {"collection": "c", "asset": "map", **change}
        with pytest.raises(NoScene) as error:
            nt.search(grid, [StacLabels(url=url, classes=TABLE, **options)])
        assert str(error.value).endswith(why)


# Why there is no scene

HALF = [[15.0, 45.0], [15.046, 45.0], [15.046, 45.1], [15.0, 45.1], [15.0, 45.0]]

#: Items of a catalogue, and why a place has no scene.
WHY: dict[str, tuple[list[dict[str, Any]], str]] = {
    "another collection": (
        [item("a", collection="d"), item("b", collection="d"), item("e", collection="f")],
        "of 3 items near the square, 3 are of another collection (d, f)",
    ),
    "another time": (
        [item("a", properties={"datetime": "2023-05-01T00:00:00Z"}),
         item("b", properties=period("2022-01-01", "2022-12-31"))],
        "of 2 items near the square, 2 are of another time (2022-01-01 to 2023-05-01)",
    ),
    "other assets": (
        [item("a", assets=("B04", "B03", "B02", "SCL"))],
        "of 1 item near the square, 1 is without red, green, blue (there is B04, B03, B02, SCL)",
    ),
    "clouds": (
        [item("a", properties={"eo:cloud_cover": 35.5}), item("b", properties={"eo:cloud_cover": 80})],
        "of 2 items near the square, 2 are too cloudy (35.5 % or more)",
    ),
    "clouds that are not told": (
        [item("a", properties={"eo:cloud_cover": None}), item("b", properties={"eo:cloud_cover": "n/a"})],
        "of 2 items near the square, 2 are too cloudy because the cloud cover is not stated: that counts as 100 %, see "
        "max_cloud_cover",
    ),
    "some clouds that are not told": (
        [item("a", properties={"eo:cloud_cover": None}), item("b", properties={"eo:cloud_cover": 21})],
        "of 2 items near the square, 2 are too cloudy (21 % or more), 1 of which do not say it: that counts as 100 %, see "
        "max_cloud_cover",
    ),
    "degrees": (
        [item("a", epsg=4326)],
        "of 1 item near the square, 1 is in a CRS in degrees (EPSG:4326): pixels in metres are needed, warp them to UTM",
    ),
    "an edge": (
        [item("a", geometry={"type": "Polygon", "coordinates": [HALF]})],
        "of 1 item near the square, 1 is on too little of the square (25 % at most: see min_valid_fraction)",
    ),
    "no time": (
        [item("a", properties={"datetime": "soon"}), item("b", geometry=FAR)],
        "of 1 item near the square, 1 is of no use (item a has the datetime 'soon', which is no ISO 8601 time)",
    ),
    "all of these": (
        [item("a", collection="d"), item("b", properties={"datetime": "2023-05-01T00:00:00Z"}),
         item("e", properties={"eo:cloud_cover": 99}), item("f", geometry=FAR)],
        "of 3 items near the square, 1 is of another collection (d), 1 is of another time (2023-05-01), 1 is too cloudy "
        "(99 % or more)",
    ),
    "elsewhere": (
        [item("a", geometry=FAR), item("b", geometry=FAR)],
        "no item is near, the catalogue's 2 items lie between longitude 18.00 and 18.10, latitude 47.00 and 47.10",
    ),
    "swapped": (
        [item("a", geometry={"type": "Polygon", "coordinates": [[[y, x] for x, y in RING]]})],
        "no item is near, the catalogue's only item lies between longitude 45.00 and 45.10, latitude 15.00 and 15.10; are "
        "longitude and latitude swapped? The other way round it would lie there",
    ),
    "nothing": ([], "the catalogue has no items"),
}  # fmt: skip


@pytest.mark.parametrize("case", WHY)
def test_a_place_without_a_scene_says_why(tmp_path, case):
    items, why = WHY[case]
    source = nt.StacSource(url=write(tmp_path, *items), collection="c", max_cloud_cover=20)
    two = source.search(np.array([PLACE[0], -100.0]), np.array([PLACE[1], 20.0]), 1280, "2024-01-01/2024-12-31")
    assert two == [(), ()]
    assert two.why[0] == why
    with pytest.raises(NoScene) as error:
        nt.open_scene(PLACE, [source], time="2024-01-01/2024-12-31", grid_settings=Grid(extent_m=1280))
    assert str(error.value).endswith(f"in 2024-01-01/2024-12-31: {why}")


@pytest.mark.parametrize("case", [case for case in WHY if case not in ("degrees", "an edge")])
def test_a_cube_without_a_scene_says_why(tmp_path, case):
    items, why = WHY[case]
    source = nt.StacSource(url=write(tmp_path, *items), collection="c", max_cloud_cover=20)
    with pytest.raises(NoScene) as error:
        nt.search(grid_around(*PLACE, extent_m=1280), [source], time="2024-01-01/2024-12-31")
    assert str(error.value).endswith(f"; {why.replace('the square', 'the area')}")


def recipe(folder: Path, url: str, places: list[tuple[float, float]], **imagery: Any) -> Any:
    (folder / "pois.csv").write_text("lon,lat\n" + "".join(f"{lon},{lat}\n" for lon, lat in places))
    with rasterio.open(
        folder / "lc.tif", "w", driver="GTiff", height=10, width=10, count=1, dtype="uint8", crs="EPSG:4326",
        transform=Affine(1, 0, 10, 0, -1, 50),
    ) as out:  # fmt: skip
        out.write(np.full((10, 10), 10, np.uint8), 1)
    content = {
        "name": "t", "pois": {"path": "pois.csv"}, "grid": {"extent_m": 1280},
        "imagery": {"url": url, "collection": "c", "datetime": "2024-01-01/2024-12-31", **imagery},
        "labels": {"source": "raster", "path": "lc.tif", "dataset": "esa-worldcover"},
        "tiles": {"size": 128, "stride": 128, "output_size": 64},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return nt.load_recipe(folder / "recipe.yaml")


def test_a_plan_without_scenes_says_what_is_near_all_of_its_places(tmp_path):
    west = item("west", collection="d")
    east = item("east", geometry=FAR, properties={"eo:cloud_cover": None})
    asked = recipe(tmp_path, write(tmp_path, west, east), [PLACE, (18.05, 47.05), (45.05, 15.05)])
    with pytest.raises(NoScene) as error:
        nt.plan(asked)
    assert str(error.value).splitlines() == [
        "none of 3 places can be built (3 no scene); the first: no item of c with red, green, blue covers enough of the "
        "square in 2024-01-01/2024-12-31 with at most 20 % cloud: of 1 item near the square, 1 is of another collection (d)",
        "of 2 items near any of the places, 1 is of another collection (d), 1 is too cloudy because the cloud cover is not "
        "stated: that counts as 100 %, see max_cloud_cover",
        "what decides: imagery.collection, imagery.datetime, imagery.max_cloud_cover and imagery.assets",
    ]


def test_a_plan_of_places_at_the_edge_names_what_decides_there(tmp_path):
    edge = item("a", geometry={"type": "Polygon", "coordinates": [HALF]})
    with pytest.raises(NoScene) as error:
        nt.plan(recipe(tmp_path, write(tmp_path, edge), [PLACE]))
    *_, last = str(error.value).splitlines()
    assert last.startswith("what decides: tiles.min_valid_fraction, ")


def test_each_reject_of_a_plan_says_why_and_odd_items_are_told(tmp_path):
    good = item("good")
    lost = item("lost", properties={"eo:cloud_cover": 0})
    lost["assets"]["red"].pop("href")
    for name in ("red", "green", "blue"):
        (tmp_path / f"good-{name}.tif").touch()  # a plan looks whether any is there
    asked = recipe(tmp_path, write(tmp_path, good, lost), [PLACE, (45.05, 15.05)])
    planned = nt.plan(asked)
    assert [scene.id for scene in planned.imagery[0]] == ["good"]
    assert [reject.detail.partition("% cloud: ")[2] for reject in planned.rejects] == [
        "no item is near, the catalogue's 2 items lie between longitude 15.00 and 15.10, latitude 45.00 and 45.10; are "
        "longitude and latitude swapped? The other way round it would lie there"
    ]
    assert any("asset 'red' of item lost has no href" in warning for warning in planned.warnings())


# Servers leave items out themselves


class Api(BaseHTTPRequestHandler):
    """Item search by collection, box and time."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        west, south, east, north = asked["bbox"]
        start, _, end = asked.get("datetime", "0/9").partition("/")
        some = [
            each for each in self.server.items
            if each["collection"] in asked["collections"] and start <= each["properties"]["datetime"] <= end
            and any(west <= x <= east and south <= y <= north for x, y in _spread(each["geometry"]["coordinates"][0]))
        ]  # fmt: skip
        self.say({"type": "FeatureCollection", "features": some, "links": []})

    def do_GET(self) -> None:
        conforms = [f"https://api.stacspec.org/v1.0.0/{part}" for part in ("core", "item-search")]
        links = [{"rel": "search", "href": f"{self.server.url}/search", "method": "POST"}]
        self.say({"type": "Catalog", "stac_version": "1.0.0", "id": "api", "conformsTo": conforms, "links": links})

    def say(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _spread(ring: list[list[float]]) -> Iterator[tuple[float, float]]:
    """Points all over a box."""
    (west, south), (east, north) = ring[0], ring[2]
    for k in np.linspace(0, 1, 21):
        for m in np.linspace(0, 1, 21):
            yield west + k * (east - west), south + m * (north - south)


@contextmanager
def serving(*items: dict[str, Any]) -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.url, server.items, server.asked = f"http://127.0.0.1:{server.server_port}", items, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


#: Items of a server, what it is asked in vain, and what is told of it.
OF_A_SERVER: dict[str, tuple[list[dict[str, Any]], int, str]] = {
    "another time": (
        [item("a", properties={"datetime": f"20{k}-05-01T00:00:00Z"}) for k in (21, 22)], 2,
        "of 2 items that the server has near the first place at any time and with any clouds, 2 are of another time "
        "(2021-05-01 to 2022-05-01)",
    ),
    "clouds": (
        [item("a", properties={"eo:cloud_cover": 60})], 2,
        "of 1 item that the server has near the first place at any time and with any clouds, 1 is too cloudy (60 % or more)",
    ),
    "swapped": (
        [item("a", geometry={"type": "Polygon", "coordinates": [[[y, x] for x, y in RING]][0:1]})], 3,
        "are longitude and latitude swapped? The server has items of c at longitude 45.0500, latitude 15.0500, and none at "
        "longitude 15.0500, latitude 45.0500",
    ),
    "nothing": ([], 3, "the server has no item of c near the first place at any time"),
}  # fmt: skip


@pytest.mark.parametrize("case", OF_A_SERVER)
def test_a_server_that_gives_nothing_is_asked_once_more_without_limits(tmp_path, session, case):
    items, searches, why = OF_A_SERVER[case]
    with serving(*items) as server:
        asked = recipe(tmp_path, server.url, [PLACE])
        with pytest.raises(NoScene) as error:
            nt.plan(asked)
        assert str(error.value).splitlines()[1] == why
        assert len(str(error.value).splitlines()) == 3
        assert len(server.asked) == searches
        with pytest.raises(NoScene) as error:
            nt.search(grid_around(*PLACE, extent_m=1280), [sources_of(asked).imagery], time="2024-01-01/2024-12-31")
        assert why.rpartition(", ")[2] in str(error.value)


def test_a_server_is_not_asked_again_where_any_place_has_a_scene(tmp_path, session):
    with serving(item("a")) as server:
        planned = nt.plan(recipe(tmp_path, server.url, [PLACE, (-100.0, 20.0)]))
        assert len(server.asked) == 2  # a search for each neighbourhood
    assert [reject.detail.partition("% cloud: ")[2] for reject in planned.rejects] == [
        "the server gives no item near the square"
    ]
