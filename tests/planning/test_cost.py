"""What a plan says that a build takes, held against builds that were measured."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from benchmarks.patterns import PATTERNS, recipe_of
from benchmarks.scenes import World
from nutonic import load_recipe
from nutonic.cli.console import show_plan
from nutonic.core.model import Asset, Scene
from nutonic.planning.cost import Cost, batch_size, estimate, pace
from nutonic.planning.patches.cost import seconds_of_map
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
