"""What a plan says that a build takes, held against builds that were measured."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import yaml
from support.cli import listing, nutonic

import nutonic as nt
from benchmarks.patterns import PATTERNS, recipe_of
from benchmarks.scenes import World
from nutonic import load_recipe
from nutonic.chips.scene.picture import jpeg
from nutonic.cli.console import show_plan
from nutonic.core.model import Asset, Scene
from nutonic.planning.cost import Cost, batch_size, estimate, pace
from nutonic.planning.patches.cost import jpeg_bytes, seconds_of_map
from nutonic.planning.spec import resolve

#: Pattern of the benchmarks, places, CPU seconds of a build in one process that had built before, and MB that it wrote.
MEASURED = [
    ("dense", 64, 5.4, 33),
    ("sparse", 16, 2.8, 8.5),
    ("all rows", 32, 4.1, 17),
    ("overlays", 16, 3.8, 116),
    ("strides of 128 (512 each)", 4, 1.6, 11),
]


def cost_of(folder: Path, name: str, places: int, suffix: str = "tif", where: str = "/scene") -> Cost:
    """What a plan of a pattern says; nothing is read."""
    world = World()
    spec = resolve(load_recipe(recipe_of(PATTERNS[name], world, folder, folder / "recipe", places)))
    band = Asset(
        name="red",
        href=f"{where}/red.{suffix}",
        written="red",
        crs="EPSG:32633",
        transform=(10, 0, 399_960, 0, -10, 5_200_020),
        shape=(8192, 8192),
        nodata=0,
    )
    bands = tuple(replace(band, name=name, href=f"{where}/{name}.{suffix}") for name in ("red", "green", "blue"))
    scene = Scene(id="a", collection="c", source="stac", datetime=None, cloud_cover=0, assets=bands)
    starts = np.append(np.arange(0, places, batch_size(spec.side, places)), places)
    return estimate(spec, scene, PATTERNS[name].points(world, places).astype(np.int32), starts)


@pytest.mark.parametrize(("name", "places", "seconds", "mb"), MEASURED)
def test_a_plan_says_what_measured_builds_took(tmp_path: Path, name, places, seconds, mb):
    cost = cost_of(tmp_path, name, places)
    assert seconds / 1.9 <= cost.cpu_seconds <= seconds * 1.9
    assert mb / 2 <= cost.bytes_written / 1e6 <= mb * 2


#: Sides of tiles and of their chips, and rows: chips as they are, averaged, and enlarged.
TREES = [
    *(
        (size, output, {})
        for size, output in [(32, 32), (32, 224), (64, 32), (64, 64), (64, 128), (64, 192), (64, 512)]
    ),
    *((size, output, {}) for size, output in [(128, 64), (128, 128), (128, 224), (256, 128), (256, 224), (256, 512)]),
    (64, 128, {"augment": ["flip", "r90", "r180", "r270"]}),
    (128, 224, {"augment": ["flip", "r90", "r180", "r270"], "overlays": True}),
    (128, 224, {"grounding": False, "per_class": False, "per_class_grounding": False}),
    (
        128,
        128,
        {"captions": ["brief", "full", "zonal"], "absence": True, "vqa": True, "choice": True, "referring": True},
    ),
]


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize(("size", "output", "rows"), TREES, ids=lambda value: str(value))
def test_a_tree_of_a_real_scene_is_as_large_as_its_plan_says(demo_inputs, tmp_path: Path, size, output, rows):
    values = yaml.safe_load((demo_inputs / "recipe.yaml").read_text(encoding="utf-8"))
    values["tiles"] = {"size": size, "stride": size, "output_size": output, "min_label_fraction": 0}
    values |= {
        "grid": {"extent_m": 10 * size},
        "rows": rows,
        "pois": {"path": "pois.csv"},
    }
    for name in demo_inputs.iterdir():
        (tmp_path / name.name).symlink_to(name)
    recipe = tmp_path / "own.yaml"
    recipe.write_text(yaml.safe_dump(values), encoding="utf-8")
    made, planned = nt.build(recipe, tmp_path / "tree", workers=0), nt.plan(recipe)
    written = sum(file.stat().st_size for file in (tmp_path / "tree").rglob("*") if file.is_file())
    expected = planned.cost.bytes_written * made.tiles / (planned.tiles * (1 + len(rows.get("augment", ()))))
    assert expected / 1.5 <= written <= expected * 1.5


@pytest.mark.parametrize("times", [2, 3, 4, 5, 7])
def test_jpegs_of_repeated_pixels_shrink_as_their_plan_says(demo_inputs, times):
    """Of pictures of a real scene, against those whose pixels are its own."""
    bands = [rasterio.open(demo_inputs / f"{name}.tif").read(1) for name in ("B04", "B03", "B02")]
    whole = np.stack(
        [np.interp(band, np.percentile(band[band > 0], [2, 98]), [0, 255]).astype(np.uint8) for band in bands], -1
    )
    side, taken = 64, {1: 0, times: 0}
    for row, col in [(100, 300), (100, 700), (300, 500), (400, 900), (500, 600), (600, 800)]:
        tile = whole[row : row + side, col : col + side]
        for each in taken:
            taken[each] += len(jpeg(np.repeat(np.repeat(tile, each, 0), each, 1), 95))
    expected = jpeg_bytes(side * times, times) / jpeg_bytes(side, 1)
    assert expected / 1.5 <= taken[times] / taken[1] <= expected * 1.5


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of so many bytes; gives its folder."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def hold(size: int) -> Path:
        options = ["-t", "tmpfs", "-o", f"size={size}", "nutonic-test", str(folder)]
        done = subprocess.run(["mount", *options], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr}")
        return folder

    yield hold
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_plan_is_kept_where_there_is_no_room_for_a_dataset_and_a_build_is_refused_there(few, small_disk):
    """A plan is small; and a build of a plan that is kept is as much too large as one that plans."""
    folder = small_disk(64 * 2**10)
    out = folder / "out"
    said = nutonic("plan", few.recipe_path, "--out", out)
    assert said.code == 0, said.told
    (note,) = [line for line in said.err.splitlines() if "may not fit" in line]
    assert re.search(r"the dataset takes about [\d.]+ [kM]B, .* has [\d.]+ kB free", note), note
    before = listing(folder)
    said = nutonic("build", few.recipe_path, "--out", out, "--workers", "0")
    assert (said.code, listing(folder)) == (2, before)
    assert "it would not fit: build elsewhere with --out" in said.err
    said = nutonic("build", few.recipe_path, "--out", folder / "other", "--workers", "0")
    assert (said.code, listing(folder)) == (2, before)


def test_a_build_that_may_not_fit_is_begun_and_says_so(few, small_disk):
    takes = nt.plan(few.recipe_path).cost.bytes_written
    folder = small_disk(round(takes * 1.3))
    said = nutonic("build", few.recipe_path, "--out", folder / "out", "--workers", "0")
    assert "it may not fit" in said.err
    assert said.code != 2, said.told
    assert "batch 1" in said.err
    assert "may not fit" not in nutonic("plan", few.recipe_path).told


def test_twice_the_places_take_twice_as_long_and_jpeg_2000_longer(tmp_path: Path):
    few, many, slow = (
        cost_of(tmp_path / str(k), "sparse", *given) for k, given in enumerate([(8,), (16,), (16, "jp2")])
    )
    assert many.cpu_seconds == pytest.approx(2 * few.cpu_seconds, rel=0.25)
    assert slow.cpu_seconds > 4 * many.cpu_seconds


def test_ranges_that_are_kept_of_remote_files_count_for_a_worker(tmp_path: Path):
    here, there = (cost_of(tmp_path / str(k), "dense", 64, "tif", w) for k, w in enumerate(["/a", "https://a.org"]))
    assert there.peak_bytes - here.peak_bytes == 64 * 2**20


def test_an_element_of_a_map_costs_more_the_more_patches_show_it():
    apart = np.array([shapely.box(k, 0, k + 1, 1) for k in range(4)])
    assert seconds_of_map(100, apart) == pytest.approx(seconds_of_map(100, apart[:1]))
    assert seconds_of_map(100, np.repeat(apart[:1], 40)) > 5 * seconds_of_map(100, apart)
    assert seconds_of_map(200, apart) == pytest.approx(2 * seconds_of_map(100, apart))


def test_what_a_plan_shows_is_of_this_machine_and_what_it_keeps_of_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert 0.2 <= pace() <= 5
    assert pace() == pace()  # measured once
    told = {"cpu_seconds": 100.0, "requests": 0, "bytes_read": 0, "bytes_written": 0, "peak_bytes": 0}
    header = {
        "of": "places",
        "places": 1,
        "rows": 1,
        "scenes": 1,
        "tiles": 1,
        "margin_px": (0, 0),
        "judging": "-",
        "batches": 1,
    }
    show_plan({**header, "shares": {}, "warnings": [], "rejects": {}, "cost": told}, [])
    line = next(each for each in capsys.readouterr().out.splitlines() if each.startswith("time"))
    shown = re.search(r"roughly (?:about )?(\d+) (s|min)", line)
    assert shown is not None, line
    assert int(shown[1]) * (60 if shown[2] == "min" else 1) == pytest.approx(100 * pace(), rel=0.35, abs=1)
