"""Benchmarks run tiny, so that they are there when they are needed, and measure the same tiles."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from support.paths import ROOT

from benchmarks import cubes, once, peers, report, sections
from benchmarks.__main__ import command_of
from benchmarks.patterns import PATTERNS, recipe_of
from benchmarks.scenes import LEFT, TOP, World, compression_ratio, write
from benchmarks.sections import SECTIONS
from benchmarks.server import served
from benchmarks.usage import used
from nutonic.core.model import HEAD_BYTES
from nutonic.core.nearest import source_pixels


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    """A small world; its squares lie side by side across blocks."""
    folder = tmp_path_factory.mktemp("realistic") / "world"
    small = World(side=1200, across=1, block=256, labels_block=256)
    write(folder, small)
    return small, folder


def lines(folder: Path, task: str) -> dict[str, object]:
    found = [json.loads(line) for path in (folder / "data").iterdir() for line in path.read_text().splitlines()]
    return {row["id"]: row["messages"][1]["content"][0]["text"] for row in found if task in row["task"]}


def test_the_floor_makes_the_same_pictures_and_boxes_as_a_build(world: tuple[World, Path], tmp_path: Path):
    pytest.importorskip("imagecodecs")
    pytest.importorskip("cc3d")
    recipe = recipe_of(PATTERNS["dense"], *world, tmp_path / "recipe", 2)
    made = {name: once.WAYS[name](recipe, tmp_path / name) for name in ("floor", "nutonic")}
    assert made == {"floor": 8, "nutonic": 8}
    pictures = [{path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.png")} for name in made]
    assert len(pictures[0]) == 8
    assert pictures[0] == pictures[1]
    floor, built = (lines(tmp_path / name, "grounding") for name in made)
    assert len(floor) > 16
    assert floor == built
    for path in (tmp_path / "floor" / "metadata").iterdir():
        bare = json.loads(path.read_text())
        (whole,) = (json.loads(other.read_text()) for other in (tmp_path / "nutonic").rglob(path.name))
        meta = whole["land_cover_label_meta"]
        assert [bare[key] for key in ("classes", "patches", "pieces", "cells")] == [
            meta[key] for key in ("classes", "patches", "pieces", "cells")
        ]
        for key in ("longitude", "latitude", "class_fractions", "pixels_sha256"):
            assert bare[key] == whole[key]
        assert bare["regions"] == [{k: v for k, v in each.items() if k != "fill"} for each in whole["regions"]]


def test_scenes_compress_as_real_ones(world: tuple[World, Path]):
    small, folder = world
    ratios = [compression_ratio(folder / small.item_id(0, 0) / f"{band}.tif") for band in ("red", "green", "blue")]
    assert all(1.35 < ratio < 1.75 for ratio in ratios)


@pytest.mark.long
def test_the_server_counts_what_it_gives(world: tuple[World, Path]):
    small, folder = world
    path = f"{small.item_id(0, 0)}/red.tif"
    with served(folder, latency_ms=30) as server:
        began = time.perf_counter()
        request = urllib.request.Request(f"{server.url}/{path}", headers={"Range": "bytes=100-1099"})
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 206
            assert answer.read() == (folder / path).read_bytes()[100:1100]
        assert time.perf_counter() - began >= 0.03
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.url}/../{folder.name}/none.tif")
        assert server.take() == {"requests": 2, "bytes": 1000, "heads": 0}
        assert server.take()["requests"] == 0


#: Ends at once, and leaves a process that takes half a second of CPU and 60 MB more after that.
LEAVES = """
import subprocess, sys
busy = "kept = b'x' * (60 << 20); import time\\nwhile time.process_time() < 0.5: pass"
subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.DEVNULL)
print("told")
sys.exit({code})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is given the processes of others")
def test_a_process_that_nobody_waits_for_is_counted():
    usage = used([sys.executable, "-c", LEAVES.format(code=0)], once.environment(), 60)
    assert usage.text == "told\n"
    assert usage.cpu_s >= 0.5
    assert usage.peak_mb >= 60


@pytest.mark.long
def test_a_command_that_fails_or_does_not_end_is_told():
    with pytest.raises(subprocess.CalledProcessError) as failed:
        used([sys.executable, "-c", LEAVES.format(code=3)], once.environment(), 60)
    assert failed.value.returncode == 3
    with pytest.raises(subprocess.TimeoutExpired):
        used([sys.executable, "-c", "import time; time.sleep(600)"], once.environment(), 2)


def test_a_target_is_met_or_told_not_to_be(tmp_path: Path):
    def record(way: str, repeat: int, cost: float) -> dict:
        runs = {"peak_mb": 100, "cpu_s": 1.0, "tiles": 4}
        return {
            "section": "chips", "pattern": "dense", "way": way, "repeat": repeat, "cpu_ms_per_tile": cost, "few": runs,
            "many": runs,
        }  # fmt: skip

    records = [record("floor", 0, 10), record("nutonic", 0, 12), record("floor", 1, 8), record("nutonic", 1, 10.4)]
    report.write(tmp_path, {"cpu": "one"}, records)
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| CPU per tile ÷ floor, dense | ≤ 1.35 × | 1.25 (1.20 to 1.30) | met |" in page
    assert "| CPU per tile ÷ floor, sparse | ≤ 1.5 × | not measured |  |" in page
    report.write(tmp_path, {}, [record("floor", 0, 10), record("nutonic", 0, 14)])
    assert "| 1.40 | **not met** |" in (tmp_path / "RESULTS.md").read_text()


def test_a_target_that_is_not_met_says_where_the_time_goes(tmp_path: Path):
    def run(section: str, way: str, wall: float, cpu: float, **more: object) -> dict:
        few, many = (
            {"wall_s": w, "cpu_s": c, "peak_mb": 300, "tiles": 4} for w, c in ((2.0, 2.0), (2 + wall, 2 + cpu))
        )
        return {"section": section, "way": way, "repeat": 0, "few": few, "many": many, **more}

    def staged(way: str, taken: dict) -> dict:
        return {"section": "stages", "pattern": "dense", "way": way, "ms_per_tile": taken}

    dense = {"pattern": "dense", "cpu_ms_per_tile": 20.0}
    records = [
        run("chips", "floor", 1, 1, **{**dense, "cpu_ms_per_tile": 10.0}),
        run("chips", "nutonic", 1, 1, **dense, planned={"cpu_s": 4.0, "peak_mb": 400}),
        run("peers", "rasterio", 1, 1, **{**dense, "cpu_ms_per_tile": 15.0}),
        run("workers", "nutonic, 1 worker", 10, 12),
        run("workers", "nutonic, 2 workers", 8, 12.6),
        run("workers", "floor", 4, 4),
        run("workers", "floor, 2 side by side", 5, 9),
        staged("nutonic", {"labels": 9.0, "PNG": 3.0, "stretch": 1.0, "resize": 0.5, "cube": 2.0}),
        staged("floor", {"labels": 4.0, "PNG": 3.1, "stretch": 1.2, "other": 0.25}),
    ]
    report.write(tmp_path, {}, records)
    page = (tmp_path / "RESULTS.md").read_text()
    assert "A tile takes 20.0 ms, the floor's 10.0; 6.5 ms less would do. By steps, in ms, and the floor's: " in page
    assert "labels 9.0 (4.0), stretch and resize 1.5 (1.2), PNG 3.0 (3.1), " in page
    assert "| all else | 2.00 | 0.25 |" in page
    assert "It asks for a tile in 7.5 ms; nutonic takes 20.0, and the floor 10.0. So no program meets it" in page
    assert "use 1.20 cores" in page
    assert "two cores have 1.67 × as much to give" in page
    assert "take +5 % of CPU, and 21 % of the two cores' time is idle" in page
    assert "Two floors side by side do 1.60 × the work of one" in page
    assert "Two floors side by side ÷ one: 1.60 ×" in page
    assert "| memory of a process ÷ its plan's, the most | ≤ 1.5 × | 0.75 | met |" in page
    assert "| CPU of a build beside its plan's, the furthest | ≤ 2 × | 1.33 | met |" in page


def test_of_latency_it_is_told_what_is_no_waiting(tmp_path: Path):
    def run(latency: int, wall: float, cpu: float) -> dict:
        found = {"section": "network", "pattern": "dense", "latency_ms": latency, "repeat": 0, "way": "nutonic"}
        counts = {"requests": 100, "bytes": 1, "blocks": 96, "block_bytes": 1, "files": 4}
        return {**found, **counts, "wall_s": wall, "cpu_s": cpu}

    report.write(tmp_path, {}, [run(0, 8.0, 8.0), run(20, 10.0, 9.5)])
    page = (tmp_path / "RESULTS.md").read_text()
    assert (
        "its requests would wait 2.0 s. The build takes 2.0 s longer, and +1.5 s of CPU, which is no waiting." in page
    )


@pytest.mark.parametrize(
    ("only", "tiny", "told"),
    [
        (list(SECTIONS), False, "python -m benchmarks --runs 2"),
        (["chips", "peers"], True, "python -m benchmarks --runs 2 --only chips peers --tiny"),
    ],
)
def test_the_command_on_the_page_names_no_folder_of_this_machine(only: list[str], tiny: bool, told: str):
    asked = Namespace(runs=2, only=only, tiny=tiny, folder=Path("elsewhere/scenes"), results=Path("elsewhere/page"))
    assert command_of(asked) == told


def test_a_section_that_fails_is_told_and_what_was_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(_: sections.Bench) -> Iterator[dict]:
        yield {"way": "one", "repeat": 0}
        raise subprocess.CalledProcessError(1, ["python"], stderr="no such thing")

    both = {
        "median": fails,
        "start_up": lambda _: iter([{"command": "--help", "repeat": 1, "cpu_s": 0.2, "wall_s": 1}]),
    }
    monkeypatch.setattr(sections, "SECTIONS", both)
    bench = sections.Bench(tmp_path, tmp_path, {}, {})
    for name, records in sections.run(bench, list(both), tmp_path / "results.jsonl", {}):
        report.write(tmp_path, {}, [record for record in records if record.get("way") is None])
        assert "did not end: no such thing" in (tmp_path / "RESULTS.md").read_text(), name
    assert "| nutonic --help | ≤ 0.3 s of CPU | 0.20 | met |" in (tmp_path / "RESULTS.md").read_text()
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 4


def test_what_places_take_in_number_is_a_slope():
    def cost(repeat: int, kind: str, places: int, cpu_s: float) -> dict:
        return {"section": "scale", "repeat": repeat, "kind": kind, "places": places, "build_cpu_s": cpu_s}

    records = [cost(0, "driver", 500, 2.0), cost(0, "driver", 3000, 3.0)]
    for repeat, last in enumerate((28.0, 38.0)):
        taken = ((500, 3.0), (1500, 8.0), (11500, 8.0 + last + 22))
        records += [cost(repeat, "growth", places, cpu_s) for places, cpu_s in taken]
    records.append({"section": "chips", "pattern": "dense", "way": "nutonic", "repeat": 0, "cpu_ms_per_tile": 10.0})
    found = {target.what: target.values(records) for target in report.TARGETS}
    assert found["driver and scheduler for a place more, of 3,000"] == [pytest.approx(1.0)]  # 0.4 of 40 ms
    growth = found["cost of a place more among 25,500 ÷ among 3,000, pixels free"]
    assert growth == [pytest.approx(1.0), pytest.approx(1.2)]


def scale(*arguments: str) -> dict:
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=200).stdout)


@pytest.mark.sampled(one_in=2, among="a million places")
@pytest.mark.exhaustive
def test_a_place_more_takes_planning_two_hundred_bytes():
    few, many = 30_000, 60_000  # below, the lines that are not written yet grow with places
    taken = [
        count * scale("--traced", "--places", str(count))["planning_peak_bytes_per_place"] for count in (few, many)
    ]
    assert (taken[1] - taken[0]) / (many - few) < 200


@pytest.mark.long
def test_places_that_cost_nothing_are_all_built():
    told = scale("--places", "200", "--workers", "0")
    assert told["built"] == told["places"] == 200


@pytest.mark.exhaustive
def test_all_ways_to_a_median_give_the_same_picture(tmp_path: Path) -> None:
    items = cubes.world(tmp_path / "tile", 300, 5)
    for name in ("nutonic", "nutonic, two processes", "stackstac", "odc-stac"):
        cubes.run(name, items, tmp_path / f"{name}.zarr")
    ours = xr.open_zarr(tmp_path / "nutonic.zarr", mask_and_scale=False)
    assert (ours["red"] > 0).mean() > 0.9
    for name in ("nutonic, two processes", "stackstac", "odc-stac"):
        found = xr.open_zarr(tmp_path / f"{name}.zarr", mask_and_scale=False, consolidated=False)
        for band in cubes.BANDS:
            np.testing.assert_array_equal(np.nan_to_num(np.rint(found[band].values)), ours[band].values, err_msg=name)


@pytest.mark.long
@pytest.mark.parametrize("name", list(peers.READERS))
def test_peers_read_the_same_pixels(name: str, world: tuple[World, Path], tmp_path: Path):
    reader, module = peers.READERS[name]
    pytest.importorskip(module)
    _, places = peers.places_of(recipe_of(PATTERNS["dense"], *world, tmp_path, 1))
    (found,) = reader(places)
    left, top = places[0].bounds[0], places[0].bounds[3]
    for k, band in enumerate(peers.BANDS):
        with rasterio.open(places[0].item["assets"][band]["href"]) as raster:
            col, row = (round(v) for v in peers.pixel_at(raster.transform, left, top))
            np.testing.assert_array_equal(found.rgb[k], raster.read(1)[row : row + 512, col : col + 512])
    with rasterio.open(places[0].labels["assets"]["map"]["href"]) as raster:
        rows, cols = source_pixels(GeoBox((512, 512), places[0].transform, 32633), "EPSG:4326", raster.transform)
        assert (found.label == raster.read(1)[rows, cols]).mean() > 0.98


@pytest.mark.long
def test_each_block_and_each_header_is_fetched_once(world: tuple[World, Path], tmp_path: Path):
    small, folder = world
    with served(folder) as server:
        recipe = recipe_of(PATTERNS["dense"], small, folder, tmp_path / "recipe", 4, url=server.url)
        server.take()
        assert once.WAYS["nutonic"](recipe, tmp_path / "out") == 16
        counts = server.take()
    corners = PATTERNS["dense"].points(small, 4)
    touched = {
        (i, k)
        for row, col in corners.tolist()
        for i in range(row // 256, (row + 511) // 256 + 1)
        for k in range(col // 256, (col + 511) // 256 + 1)
    }
    sizes = []
    for band in ("red", "green", "blue"):
        with rasterio.open(folder / small.item_id(0, 0) / f"{band}.tif") as raster:
            sizes += [int(raster.get_tag_item(f"BLOCK_SIZE_{k}_{i}", "TIFF", bidx=1)) for i, k in touched]
    with rasterio.open(folder / "land_cover.tif") as raster:
        labels, label_bytes = set(), 0
        geobox = GeoBox((1024, 1024), Affine(10, 0, LEFT + 1000, 0, -10, TOP - 1000), 32633)
        rows, cols = source_pixels(geobox, "EPSG:4326", raster.transform)
        for i, k in np.unique(np.stack([rows.ravel() // 256, cols.ravel() // 256], 1), axis=0).tolist():
            labels.add((i, k))
            label_bytes += int(raster.get_tag_item(f"BLOCK_SIZE_{k}_{i}", "TIFF", bidx=1))
    assert counts["heads"] == 4
    # A window of labels is a rectangle around what a place needs, and may touch a block that no pixel is from.
    assert 4 + len(sizes) <= counts["requests"] <= 1.1 * (4 + len(sizes) + len(labels))
    assert counts["bytes"] <= 1.05 * (sum(sizes) + label_bytes) + 4 * HEAD_BYTES
