"""Builds whose land cover comes from Earth Engine: the same chips and rows as from the rasters behind it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.crs import CRS
from support.callbacks import OnBatch
from support.cli import nutonic
from support.clusters import cluster
from support.earthengine import NOBODY, key_of, sign_out, write
from support.paths import ROOT
from support.remote import served
from support.trees import small_planet, tree

import nutonic as nt
from nutonic import load_recipe
from nutonic.core.model import Batch
from nutonic.cube.open import open_scene
from nutonic.dataset.verify import verify
from nutonic.io.objects import Store
from nutonic.planning.plan_file import read_plan
from nutonic.planning.recipe_kinds import plan
from nutonic.planning.spec import resolve
from nutonic.recipe.recipe import Recipe
from nutonic.run.run import build
from nutonic.sources.earthengine.labels import EarthEngineLabels
from nutonic.sources.factory import sources_of
from nutonic.sources.raster import RasterSource
from nutonic.testing import SyntheticPlanet
from nutonic.testing.earthengine import EarthEngineFault, EarthEngineServer, image_of_raster

pytestmark = pytest.mark.timeout(240)
COVER = "projects/standin-project/assets/cover"
DW = "GOOGLE/DYNAMICWORLD/V1"
PLANET = SyntheticPlanet(3)


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path, session):
    sign_out(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small planet, and the tree that is built from its rasters."""
    folder = tmp_path_factory.mktemp("small")
    path = small_planet(folder / "planet")
    assert build(load_recipe(path), folder / "tree", workers=0).complete
    return path, tree(folder / "tree")


@pytest.fixture
def cover(small):
    """The planet's land cover, as a collection of one image without a date of any scene."""
    return {COVER: [image_of_raster(small[0].parent / "land_cover.tif", f"{COVER}/all", start="2024-07-01")]}


def asked(path: Path, url: str | None, name: str = "recipe-ee.yaml", **labels) -> Path:
    """The recipe, with labels from Earth Engine."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    told = {"source": "earthengine", "url": url, "collection": COVER, "band": "label", "project": "standin-project"}
    values["labels"] = {**told, "dataset": values["labels"]["dataset"], **labels}
    (path.parent / name).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path.parent / name


def comparable(files: dict[str, bytes]) -> dict[str, object]:
    """Pictures and rows as they are; sidecars without what tells where the labels came from; the card aside."""
    found: dict[str, object] = {}
    for name, data in files.items():
        if name.startswith("metadata/"):
            sidecar = json.loads(data)
            del sidecar["recipe_digest"], sidecar["land_cover_label_meta"]["window"]
            del sidecar["land_cover_label_meta"]["images"]
            found[name] = sidecar
        elif name != "README.md":
            found[name] = data
    return found


def sidecars(out: Path) -> list[dict]:
    return [json.loads(path.read_bytes()) for path in sorted((out / "metadata").rglob("*.json"))]


# The same dataset


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("rule", ["mosaic", "nearest", "mode"])
def test_chips_and_rows_are_those_of_the_raster_behind_it(small, cover, tmp_path, rule):
    with EarthEngineServer(cover, projects=("standin-project",)) as server:
        summary = build(load_recipe(asked(small[0], server.url, rule=rule)), tmp_path / "tree", workers=0)
        assert summary.complete
        assert comparable(tree(tmp_path / "tree")) == comparable(small[1])
        done = read_plan(Store(tmp_path / "tree"))
        places = [place for batch in done.batches() for place in batch.places]
        opens = {(place.imagery[0].datetime, place.imagery[0].assets[0].crs) for place in places}
        # One search for all; then an open for each scene's date and zone, and for the places one request each.
        assert server.count("pixels") == len(places)
        assert server.count("compute") == 1 + (len(opens) if rule != "mosaic" else len({crs for _, crs in opens}))
        assert summary.requests == len(server.requests)
    assert verify(tmp_path / "tree", deep=True).problems == ()


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_on_worker_processes_it_is_the_same_tree(small, cover, tmp_path):
    with EarthEngineServer(cover) as server:
        recipe = load_recipe(asked(small[0], server.url, rule="mode"))
        assert build(recipe, tmp_path / "here", workers=0).complete
        server.clear()
        summary = build(recipe, tmp_path / "local", workers=2)
        assert tree(tmp_path / "local") == tree(tmp_path / "here")
        assert summary.requests == len(server.requests)
        assert server.count("algorithms") <= 2  # the driver has signed in before
        with cluster(tmp_path / "dask", PYTHONPATH=ROOT, **NOBODY) as dask:
            assert build(recipe, tmp_path / "elsewhere", workers=nt.Cluster(scheduler=dask.address)).complete
            assert tree(tmp_path / "elsewhere") == tree(tmp_path / "here")
            told = "".join(process.told() for process in dask.processes)
        assert "Traceback" not in told


# The window is around the scene that is used


def shifted(pixels: np.ndarray, by: int) -> np.ndarray:
    """Other classes in the place of each: the table's, turned by so many."""
    return np.where(pixels == PLANET.unknown, pixels, (pixels - 1 + by) % 6 + 1).astype("u1")


@pytest.fixture(scope="module")
def by_date(small, tmp_path_factory):
    """An image of the day of each scene, with classes of its own."""
    folder = tmp_path_factory.mktemp("dates")
    with rasterio.open(small[0].parent / "land_cover.tif") as raster:
        pixels, where = raster.read(1), {"crs": raster.crs, "transform": raster.transform}
    days = sorted({scene.day for scene in PLANET.scenes})
    made = [
        write(folder / f"{day}.tif", shifted(pixels, k), nodata=PLANET.unknown, **where) for k, day in enumerate(days)
    ]
    return dict(zip(days, made, strict=True))


def right_classes(sidecar: dict, path: Path) -> dict[str, int]:
    """What a raster holds under a chip: of the pixels whose centres the mask takes, by pyproj on every one."""
    a, _, c, _, e, f = sidecar["grid"]["transform"]
    window, side = sidecar["window"], sidecar["land_cover_label_meta"]["shape"][0]
    taken = ((np.arange(side) + 0.5) * window["height"] / side).astype(int)
    x, y = c + a * (window["col"] + taken + 0.5), f + e * (window["row"] + taken + 0.5)
    with rasterio.open(path) as raster:
        from pyproj import Transformer

        to = Transformer.from_crs(sidecar["grid"]["crs"], CRS(raster.crs).to_string(), always_xy=True)
        cols, rows = ~raster.transform @ np.stack(to.transform(*np.meshgrid(x, y)))
        pixels, rows, cols = raster.read(1), np.floor(rows).astype(int), np.floor(cols).astype(int)
    inside = (rows >= 0) & (rows < pixels.shape[0]) & (cols >= 0) & (cols < pixels.shape[1])
    values = np.where(inside, pixels[np.where(inside, rows, 0), np.where(inside, cols, 0)], PLANET.unknown)
    return {str(k): int((values == k).sum()) for k in range(1, 7) if (values == k).any()}


@pytest.mark.long
def test_labels_are_those_around_the_scene_even_where_another_takes_its_place(small, by_date, tmp_path):
    images = {COVER: [image_of_raster(path, f"{COVER}/{day}", start=day) for day, path in by_date.items()]}
    folder, out = Path(shutil.copytree(small[0].parent, tmp_path / "world")), tmp_path / "tree"
    with EarthEngineServer(images) as server, served(folder):
        path = asked(folder / "recipe-http.yaml", server.url, rule="mode", windows_days=[2, 5])
        nutonic("plan", path, "--out", out)
        (folder / "west" / "red.tif").unlink()  # the server has it no longer
        assert build(load_recipe(path), out, workers=0).complete
    told = sidecars(out)
    assert {each["imagery"]["item_id"] for each in told} == {"full", "east-raw"}
    assert any(each["imagery"]["substituted"] for each in told)
    for each in told:
        window = each["land_cover_label_meta"]["window"]
        assert window == {"rule": "mode", "centre": each["imagery"]["datetime"], "days": {"2": 1.0}}
        day = each["imagery"]["datetime"][:10]
        assert each["land_cover_label_meta"]["classes"] == right_classes(each, by_date[day])


def test_a_cube_has_the_labels_around_its_picture(small, by_date):
    recipe = load_recipe(small[0])
    images = {COVER: [image_of_raster(path, f"{COVER}/{day}", start=day) for day, path in by_date.items()]}
    lon, lat, _ = PLANET.places[0]
    with EarthEngineServer(images) as server:
        table = recipe.labels.table
        how = {"rule": "mode", "windows_days": (2,), "project": "standin-project", "url": server.url}
        asking = EarthEngineLabels(collection=COVER, band="label", classes=table, **how)
        sources = [sources_of(recipe).imagery, asking]
        cube = open_scene((lon, lat), sources, time="2024-05-01/2024-09-30", grid_settings=recipe.grid, chunks=32)
        found = cube.compute()
        assert server.count("pixels") == len(cube.chunks["x"]) * len(cube.chunks["y"]) == 9
    (scene, *_) = sources_of(recipe).imagery.search(np.array([lon]), np.array([lat]), 700, "2024-05-01/2024-09-30")[0]
    behind = RasterSource(str(by_date[scene.datetime[:10]]), table)
    right = behind.open(cube.odc.geobox, behind.search(np.array([lon]), np.array([lat]), 700)[0], chunks=None)
    np.testing.assert_array_equal(found.label, right.label)
    assert set(found) == {"red", "green", "blue", "label", "days"}


# Clouds and water


def test_a_cloud_over_water_is_unknown_and_not_water_and_water_is_not_lost(small, tmp_path):
    recipe = load_recipe(small[0])
    place = plan(recipe).places[0]
    x, y = map(float, _metres(place.lon, place.lat))
    sea = np.zeros((200, 200), "u1")
    left, top = round(x / 10) * 10 - 1000, round(y / 10) * 10 + 1000
    sea[100:, 110:] = 255  # clouds south-east of the place; all else is water, class 0
    sea[70:80, 20:180] = 1  # a strip of trees in the north
    where = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, left, 0, -10, top)}
    image = image_of_raster(write(tmp_path / "sea.tif", sea, nodata=255, **where), f"{DW}/a", start="2024-06-20")
    (tmp_path / "one.csv").write_text(f"lon,lat\n{place.lon},{place.lat}\n")
    with EarthEngineServer({DW: [image]}) as server:
        path = asked(small[0], server.url, collection=None, band=None, dataset="dynamic-world", windows_days=[120])
        values = yaml.safe_load(path.read_text())
        values["pois"]["path"] = str(tmp_path / "one.csv")
        values["tiles"] = {"size": 70, "stride": 70, "output_size": 70}
        path.write_text(yaml.safe_dump(values))
        assert build(load_recipe(path), tmp_path / "tree", workers=0).complete
    (told,) = sidecars(tmp_path / "tree")
    window = told["window"]
    _, _, c, _, _, f = told["grid"]["transform"]
    row, col = round((top - f) / 10) + window["row"], round((c - left) / 10) + window["col"]
    under = sea[row : row + 70, col : col + 70]
    water, trees, cloud = (int((under == each).sum()) for each in (0, 1, 255))
    assert min(water, trees, cloud) > 100
    assert told["land_cover_label_meta"]["classes"] == {"0": water, "1": trees}
    assert told["land_cover_label_meta"]["valid_fraction"] == 1 - cloud / 4900
    assert told["land_cover_label_meta"]["window"]["days"] == {"120": 1.0}
    assert told["class_fractions"] == {"0": water / (water + trees), "1": trees / (water + trees)}
    for region in told["regions"]:
        x1, y1, x2, y2 = region["bbox"]
        assert (under[y1:y2, x1:x2] == region["class_id"]).sum() == region["area_px"]
    assert {region["label"] for region in told["regions"]} == {"water", "trees"}
    assert "water" in told["caption"]
    text = b"".join(data for name, data in tree(tmp_path / "tree").items() if name.startswith("data/")).decode()
    assert "255" not in text
    assert "unknown" not in text


def _metres(lon: float, lat: float) -> tuple[float, float]:
    from pyproj import Transformer

    return Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(lon, lat)


def test_places_without_labels_are_rejects_with_a_reason(small, tmp_path):
    far = write(tmp_path / "far.tif", np.ones((9, 9), "u1"), nodata=0)
    with EarthEngineServer({COVER: [image_of_raster(far, f"{COVER}/far", start="2024-07-01")]}) as server:
        summary = build(load_recipe(asked(small[0], server.url, rule="nearest")), tmp_path / "tree", workers=0)
    assert summary.complete
    assert summary.tiles == 0
    assert summary.rejects["too few labels"] > 0


# Faults


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=[pytest.mark.cluster, pytest.mark.exhaustive])])
def test_with_a_tenth_of_all_requests_refused_it_is_the_same_tree_and_all_is_told(small, cover, tmp_path, workers):
    faults = [EarthEngineFault(kind=kind, share=0.05, seed=seed) for kind, seed in (("429", 1), ("503", 2))]
    faults.append(EarthEngineFault(kind="503", on="pixels", times=1, share=0.5))
    with EarthEngineServer(cover, faults=faults) as server:
        recipe = load_recipe(asked(small[0], server.url, rule="mode"))
        summary = build(recipe, tmp_path / "tree", workers=workers)
        assert summary.complete
        assert summary.faults == dict(server.faults_served)
        assert sum(summary.faults.values()) > 3
        assert summary.requests == len(server.requests)
    assert comparable(tree(tmp_path / "tree")) == comparable(small[1])


@pytest.mark.sampled(one_in=2, among="Earth Engine on workers")
@pytest.mark.parametrize("most", [pytest.param(4, marks=pytest.mark.exhaustive), None])
@pytest.mark.cluster
def test_a_server_that_allows_four_is_met_with_four_or_in_peace(small, cover, tmp_path, most):
    with EarthEngineServer(cover, max_concurrent=4, latency_s=0.02) as server:
        recipe = load_recipe(asked(small[0], server.url, rule="mode"))
        summary = build(recipe, tmp_path / "tree", workers=nt.Cluster(workers=2, max_requests=most))
        assert summary.complete
        if most is not None:
            assert server.peak <= 4
            assert summary.faults == {}
        assert summary.faults.get("429", 0) == server.count("pixels", 429) + server.count("compute", 429) < 30
    assert comparable(tree(tmp_path / "tree")) == comparable(small[1])


def test_where_earth_engine_is_asked_there_are_forty_requests_at_most(small):
    files, asking = load_recipe(small[0]), load_recipe(asked(small[0], "http://127.0.0.1:9"))
    assert [sources_of(files).most_requests(most) for most in (None, 4, 90)] == [None, 4, 90]
    assert [sources_of(asking).most_requests(most) for most in (None, 4, 90)] == [40, 4, 40]


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [("503", "server failed"), ("429", "over quota"), ("403", "no permission"), ("404", "no such asset")],
)
def test_what_fails_half_way_is_told_apart_and_done_the_next_time(small, cover, tmp_path, kind, reason):
    with EarthEngineServer(cover, faults=[EarthEngineFault(kind=kind, on="pixels")]) as server:
        recipe = load_recipe(asked(small[0], server.url, rule="mode"))
        first = build(recipe, tmp_path / "tree", workers=0)
        assert not first.complete
        assert {failure.reason for failure in first.failures} == {reason}
        assert all("standin" in failure.error or "permission" in failure.error or "found" in failure.error or
                   "Earth Engine" in failure.error for failure in first.failures)  # fmt: skip
        server.script([])
        assert build(recipe, tmp_path / "tree", workers=0).complete
    assert comparable(tree(tmp_path / "tree")) == comparable(small[1])


@pytest.mark.long
def test_credentials_that_are_revoked_half_way_leave_the_rest_open(small, cover, tmp_path, monkeypatch):
    out = tmp_path / "tree"
    with EarthEngineServer(cover, token="canary-of-a-token-1") as server:
        monkeypatch.setenv("EE_SERVICE_ACCOUNT_KEY", key_of(tmp_path, server.token_uri).read_text())
        recipe_path = asked(small[0], server.url, rule="mode")

        def revoke(*_: object) -> None:
            server.token = "canary-of-a-token-2"
            server.script([EarthEngineFault(kind="401", on="token")])

        first = build(load_recipe(recipe_path), out, workers=0, callbacks=[OnBatch(revoke)])
        assert 0 < first.finished < first.wanted
        assert {failure.reason for failure in first.failures} == {"credentials refused"}
        before = tree(out)
        said = nutonic("build", recipe_path, "--out", out, "--workers", 0)
        assert said.code == 2
        assert said.err.count("\n") <= 4
        assert "does not take the credentials" in said.err
        assert tree(out) == before
        server.script([])
        again = nutonic("build", recipe_path, "--out", out, "--workers", 0)
        assert again.code == 0, again.err
    assert comparable(tree(out)) == comparable(small[1])
    secrets = (b"canary", b"PRIVATE KEY")
    everything = [path for path in out.rglob("*") if path.is_file()]
    assert [path.name for path in everything if any(secret in path.read_bytes() for secret in secrets)] == []
    assert "canary" not in said.err + said.out + again.err + again.out


# What a user is told


WRONG = [
    ({"band": "lable"}, 2, "labels.band is 'lable'"),
    ({"collection": "projects/standin-project/assets/none"}, 2, "not found"),
    ({"collection": "projects/standin-project/assets/empty"}, 2, "has no image between"),
    ({"project": "other"}, 2, "does not have required permission to use project other"),
    ({"project": None}, 2, "Earth Engine needs a Cloud project"),
    ({"url": None}, 2, "no credentials for Earth Engine on this machine"),
    ({"url": "https://example.org"}, 2, "is no address of Earth Engine"),
]


@pytest.mark.long
@pytest.mark.parametrize(("labels", "code", "words"), WRONG, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("command", ["plan", "build"])
def test_a_mistake_is_a_few_lines_and_nothing_is_written(small, cover, tmp_path, command, labels, code, words):
    out = tmp_path / "tree"
    images = {**cover, "projects/standin-project/assets/empty": []}
    with EarthEngineServer(images, projects=("standin-project",)) as server:
        recipe = asked(small[0], server.url, rule="mode")
        recipe = asked(small[0], **{"url": server.url, "rule": "mode"} | labels)
        said = nutonic(command, recipe, *(("--out", out) if command == "build" else ()), *_here(command))
    assert said.code == code, said.err
    assert words in said.err
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) <= 7
    assert not out.exists()


def _here(command: str) -> tuple[object, ...]:
    return ("--workers", 0) if command == "build" else ()


def test_nobody_there_is_to_be_tried_again(small, tmp_path):
    said = nutonic("build", asked(small[0], "http://127.0.0.1:9"), "--out", tmp_path / "tree", "--workers", 0)
    assert said.code == 1
    assert "Earth Engine does not answer" in said.err
    assert not (tmp_path / "tree").exists()


def test_a_plan_tells_of_a_request_for_each_place(small, cover):
    with EarthEngineServer(cover) as server:
        found = plan(load_recipe(asked(small[0], server.url)))
        files = plan(load_recipe(small[0]))
        assert (server.count("compute"), server.count("pixels")) == (1, 0)
    assert found.cost.requests == files.cost.requests + len(found.places) == len(found.places)
    assert found.cost.peak_bytes > files.cost.peak_bytes
    assert found.cost.bytes_read > files.cost.bytes_read


@pytest.mark.cluster
def test_a_worker_elsewhere_without_credentials_says_so_before_any_work(small, cover, tmp_path, monkeypatch):
    out = tmp_path / "tree"
    with EarthEngineServer(cover) as server:
        nutonic("plan", asked(small[0], server.url), "--out", out)
        before = tree(out)
    monkeypatch.setenv("EE_SERVICE_ACCOUNT_KEY", key_of(tmp_path, "https://oauth2.googleapis.com/token").read_text())
    monkeypatch.setenv("EE_PROJECT", "standin-project")
    environment = {"EE_SERVICE_ACCOUNT_KEY": "", "EE_PROJECT": "", "HOME": tmp_path}
    with cluster(tmp_path / "dask", 1, PYTHONPATH=ROOT, **NOBODY, **environment) as dask:
        recipe = asked(small[0], None, project=None)  # where to ask is not what decides about pixels
        said = nutonic("build", recipe, "--out", out, "--scheduler", dask.address)
        logs = "".join(process.told() for process in dask.processes)
    assert said.code == 2, said.err
    assert "worker tcp://127.0.0.1:" in said.err
    assert "cannot ask Earth Engine: no credentials for Earth Engine on this machine" in said.err
    assert "Traceback" not in said.err
    assert tree(out) == before
    assert "canary" not in said.err + logs


def test_what_travels_to_workers_holds_nothing_secret(small, cover, tmp_path, monkeypatch):
    with EarthEngineServer(cover, token="canary-of-a-token") as server:
        monkeypatch.setenv("EE_SERVICE_ACCOUNT_KEY", key_of(tmp_path, server.token_uri).read_text())
        recipe = load_recipe(asked(small[0], server.url))
        batches: list[Batch] = list(plan(recipe).batches())
        spec = resolve(recipe)
        for account in spec.sources.accounts:
            account.check()
        data = pickle.dumps((spec, batches, spec.sources.accounts))
    assert b"canary" not in data
    assert b"PRIVATE" not in data
    assert isinstance(recipe, Recipe)
    assert "canary" in os.environ["EE_SERVICE_ACCOUNT_KEY"]
    assert "canary" not in recipe.text()


# The demo


@pytest.mark.long
def test_the_demo_asks_a_stand_in_and_makes_the_same_chips(demo_inputs, tmp_path):
    shutil.copytree(demo_inputs, tmp_path / "demo" / "cache")
    said = [
        nutonic("demo", "--out", tmp_path / "demo", "--workers", 0, "--labels", labels)
        for labels in ("raster", "earthengine", "earthengine")
    ]
    assert [each.code for each in said] == [0, 0, 0], said[1].err
    assert comparable(tree(tmp_path / "demo" / "dataset-earthengine")) == comparable(
        tree(tmp_path / "demo" / "dataset")
    )
    assert (tmp_path / "demo" / "contact_sheet-earthengine.png").is_file()
