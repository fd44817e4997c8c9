"""Scenes that lie off the multiples of the resolution: a recipe's ``grid.lattice: source`` is that of its cube too."""

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
from shapely import box
from support.cli import nutonic
from support.cubes import truth
from support.worlds import written

import nutonic as nt
from nutonic.core.globe import boxes_of
from nutonic.core.model import Asset, Scene
from nutonic.cube.compose import compose
from nutonic.errors import GridError, OffLattice
from nutonic.sources.grids import common_lattice
from nutonic.sources.neighbourhoods import around, searched_once
from nutonic.testing import SyntheticSeries

AREA = [17.94, 46.67, 17.97, 46.69]

#: By how much all scenes lie east and south of their pixels on the planet.
EAST, SOUTH = 3.5, 2.25


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The series, each of its scenes moved off the ten-metre lattice."""
    folder = written(SyntheticSeries(), tmp_path_factory.mktemp("series")).parent
    items = json.loads((folder / "items.json").read_text())
    for item in items["features"]:
        for asset in item["assets"].values():
            with rasterio.open(folder / asset["href"], "r+") as raster:
                a, b, c, d, e, f = [*raster.transform][:6]
                moved = [a, b, c + EAST, d, e, f - SOUTH]
                raster.transform = Affine(*moved)
            asset["proj:transform"] = moved
    (folder / "items.json").write_text(json.dumps(items))
    return folder


def recipe_in(folder: Path, lattice: str, **cube: Any) -> nt.Recipe:
    content = yaml.safe_load((folder / "recipe.yaml").read_text())
    content["imagery"]["max_cloud_cover"] = 90
    content["grid"] |= {"lattice": lattice}
    content["cube"] = {"area": AREA, "chunk": 128, **cube}
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(content))
    return nt.load_recipe(path)


@pytest.mark.parametrize("warp", [True, False])
def test_a_cube_on_the_scenes_own_lattice_has_their_own_pixels(folder, warp):
    composed = compose(recipe_in(folder, "source", warp=warp))
    cube = composed.cube.compute()
    scenes = cube.nutonic.scenes
    assert not scenes["warped"][scenes["step"].notna()].any()
    assert set((cube.x.values - EAST) % 10) == {5.0}
    assert set((cube.y.values + SOUTH) % 10) == {5.0}
    right = truth("red", cube.x.values - EAST, cube.y.values + SOUTH)
    right = right[right.reshape(len(right), -1).any(1)]
    assert len(right) == 5
    np.testing.assert_array_equal(cube["red"], right)
    assert box(*AREA).difference(composed.plan.geobox.extent.to_crs("EPSG:4326").geom).area < 1e-9


def test_off_the_lattice_is_told_as_that(folder, tmp_path):
    recipe = recipe_in(folder, "ten_metre")
    assert "7 of EPSG:32633, off the grid's lattice, by nearest neighbour" in str(compose(recipe).plan)
    recipe_in(folder, "ten_metre", warp=False)
    done = nutonic("cube", folder / "own.yaml", "--out", tmp_path / "cube.zarr")
    assert done.code == 2
    assert done.err.endswith("8 left out: lies 3.5 m east-west and 2.25 m north-south off the grid's lattice\n")


class Api(ThreadingHTTPServer):
    """A STAC API of some items, which counts what it is asked; it gives those whose boxes meet the one that is asked for."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.url, self.items = f"http://127.0.0.1:{self.server_address[1]}", items
        self.boxes: list[tuple[float, ...]] = []

    def found(self, west: float, south: float, east: float, north: float) -> list[dict[str, Any]]:
        self.boxes.append((west, south, east, north))
        area = box(west, south, east, north)
        return [item for item in self.items if box(*item["bbox"]).intersects(area)]


class _Answers(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        links = [{"rel": "search", "href": f"{self.server.url}/search", "method": "POST"}]
        parts = [f"https://api.stacspec.org/v1.0.0/{part}" for part in ("core", "item-search")]
        head = {"type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "An API"}
        self.say({**head, "conformsTo": parts, "links": links})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.say({"type": "FeatureCollection", "features": self.server.found(*asked["bbox"]), "links": []})

    def say(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def api_of(folder: Path) -> Iterator[Api]:
    items = json.loads((folder / "items.json").read_text())["features"]
    for item in items:
        for asset in item["assets"].values():
            asset["href"] = f"https://files.example.org/{asset['href']}"
    with Api(items) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("lattice", ["source", "ten_metre"])
def test_a_server_is_searched_once(folder, tmp_path, lattice):
    """Whichever lattice; and what is found is what is found in files."""
    right = compose(recipe_in(folder, lattice)).plan
    with api_of(folder) as server:
        content = yaml.safe_load((folder / "own.yaml").read_text())
        content["imagery"] |= {"url": server.url, "allow_hosts": ["files.example.org"]}
        content["labels"]["path"] = str(folder / content["labels"]["path"])
        content["pois"]["path"] = str(folder / content["pois"]["path"])
        (tmp_path / "api.yaml").write_text(yaml.safe_dump(content))
        plan = compose(nt.load_recipe(tmp_path / "api.yaml")).plan
        assert len(server.boxes) == 1
    assert plan.geobox == right.geobox
    assert plan.scenes["id"].tolist() == right.scenes["id"].tolist()
    assert plan.left_out.equals(right.left_out)


@pytest.mark.parametrize(
    ("bounds", "inner", "times"),
    [
        ((10.0, 45.0, 11.0, 46.0), (9.95, 44.95, 11.05, 46.05), 1),
        ((10.0, 45.0, 11.0, 46.0), (9.0, 45.0, 11.0, 46.0), 2),
        ((179.5, 10.0, -179.5, 11.0), (179.5, 10.0, -179.5, 11.0), 1),
        ((179.5, 10.0, -179.5, 11.0), (179.6, 10.0, -179.5, 11.0), 2),
        ((-179.99, 10.0, -179.5, 11.0), (-179.98, 10.0, -179.5, 11.0), 1),
    ],
)
def test_an_area_within_another_is_not_searched_again(bounds, inner, times):
    asked: list[Any] = []

    def find(boxes: list[Any]) -> list[Any]:
        asked.append(boxes)
        return boxes

    with searched_once():
        first, second = around("x", bounds, find), around("x", inner, find)
        assert len(asked) == times
        assert (first is second) == (times == 1)
        around("y", bounds, find)
        assert len(asked) == times + 1
    assert around("x", bounds, find) == boxes_of(bounds)  # outside of the block as ever


def scene(name: str, side: float, left: float, top: float, crs: str = "EPSG:32632", turned: float = 0.0) -> Scene:
    asset = Asset(
        name="red", href="", written="", crs=crs, nodata=None, shape=(100, 100),
        transform=(side, turned, left, turned, -side, top),
    )  # fmt: skip
    return Scene(
        id=name, collection="own", source="stac", datetime="2024-05-01T00:00:00Z", cloud_cover=None, assets=(asset,)
    )


def lattice(*scenes: Scene, resolution: float = 3.0) -> tuple[str, float, float, float]:
    pixel = common_lattice(scenes, resolution, "EPSG:32632")
    return str(pixel.crs), pixel.affine.a, pixel.affine.c, pixel.affine.f


def test_the_lattice_is_that_of_most_scenes_and_of_the_areas_zone():
    one, same, other = scene("a", 3, 0.5, 0.5), scene("b", 3, 300.5, 99.5 - 3 * 11), scene("c", 3, 1.5, 1.5)
    assert lattice(other, one, same) == ("EPSG:32632", 3.0, 0.5, 0.5)
    assert lattice(other, one) == ("EPSG:32632", 3.0, 1.5, 1.5)
    beside = [scene(f"z{n}", 3, 0.25, 0.25, "EPSG:32633") for n in range(3)]
    assert lattice(*beside, other) == ("EPSG:32632", 3.0, 1.5, 1.5)
    assert lattice(*beside) == ("EPSG:32633", 3.0, 0.25, 0.25)
    national = [scene("n", 3, 0.25, 0.25, "EPSG:25832"), scene("m", 3, 1.25, 0.25, "EPSG:25832")]
    assert lattice(*national) == ("EPSG:25832", 3.0, 0.25, 0.25)


def test_pixels_may_differ_by_rounding_and_be_a_whole_number_of_the_grids():
    assert lattice(scene("a", 3.0000001, 0.5, 0.5))[1] == 3.0000001
    assert lattice(scene("a", 6, 0.5, 0.5)) == ("EPSG:32632", 3.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (
            scene("a", 5, 0, 0),
            OffLattice,
            r"scene a has pixels of 5 m, which 3 m do not make up: set grid.resolution_m",
        ),
        (scene("a", 2, 0, 0), OffLattice, r"scene a has pixels of 2 m, which 3 m do not make up"),
        (scene("a", 3, 0, 0, turned=0.1), OffLattice, r"scene a is rotated"),
        (scene("a", 3e-5, 12, 52, "EPSG:4326"), GridError, r"scene a is in EPSG:4326, which is not in metres"),
    ],
)
def test_scenes_that_no_grid_fits_are_told(wrong, error, said):
    with pytest.raises(error, match=said):
        lattice(wrong)
    assert lattice(wrong, scene("b", 3, 0.5, 0.5)) == ("EPSG:32632", 3.0, 0.5, 0.5)


def test_an_area_is_drawn_on_any_lattice():
    grid = nt.area_grid(AREA, resolution=3, origin=(300000.5, 5_000_001.25))
    assert ((grid.affine.c - 0.5) % 3, (grid.affine.f - 5_000_001.25) % 3) == (0.0, 0.0)
    plain = nt.area_grid(AREA, resolution=3)
    assert abs(grid.affine.c - plain.affine.c) < 3
    assert abs(grid.shape.x - plain.shape.x) <= 1
    assert nt.area_grid((17.95, 46.68), resolution=3, extent_m=300, origin=(0.5, 0.5)).affine.c % 3 == 0.5
