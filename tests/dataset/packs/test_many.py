"""Twenty thousand chips packed: memory stays flat, and a pack that is killed ends with the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.worlds import written

import nutonic as nt
from nutonic.testing import SyntheticPlanet

pytestmark = pytest.mark.exhaustive

#: Packs, and tells processor seconds and, after each shard, the most memory that was held, in megabytes.
PACK = """
import json, resource, sys, time
import nutonic as nt

class Watch(nt.Callback):
    def __init__(self):
        self.peaks = []
    def on_batch(self, event):
        self.peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

watch, began = Watch(), time.process_time()
packed = nt.pack(sys.argv[1], sys.argv[2], format=sys.argv[3], shard_mb=5, workers=0, callbacks=[watch])
print(json.dumps({"complete": packed.complete, "shards": packed.shards, "before": packed.done_before,
                  "rows": sum(packed.rows.values()), "cpu": time.process_time() - began, "peaks": watch.peaks}))
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A tree of more than 20,000 chips of 40 pixels, five views of each tile, two rows a chip."""
    folder, draw = tmp_path_factory.mktemp("many"), random.Random(1)
    recipe = written(
        SyntheticPlanet(3), folder / "planet", only=("full", "east-raw", "west"), grid={"extent_m": 400},
        tiles={"size": 40, "stride": 40, "output_size": 40},
        rows={"per_class": False, "per_class_grounding": False, "augment": ["flip", "r90", "r180", "r270"]},
    )  # fmt: skip
    points = [f"{draw.uniform(17.93, 18.05):.6f},{draw.uniform(46.63, 46.70):.6f}" for _ in range(4400)]
    (folder / "planet" / "pois.csv").write_text("\n".join(["lon,lat", *points, ""]), encoding="utf-8")
    summary = nt.build(nt.load_recipe(recipe), folder / "tree", workers=0)
    assert summary.tiles > 20_000
    return folder / "tree"


def packing(tree: Path, out: Path, form: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PACK, str(tree), str(out), form], stdout=subprocess.PIPE)


def told(process: subprocess.Popen) -> dict:
    out, _ = process.communicate(timeout=900)
    assert process.returncode == 0
    return json.loads(out)


def bytes_of(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize("form", ["parquet", "webdataset"])
def test_memory_is_flat_and_a_killed_pack_ends_with_the_same_bytes(many, tmp_path, form: str):
    whole = told(packing(many, tmp_path / "whole", form))
    assert whole["complete"]
    assert whole["shards"] >= 10
    chips = len(list((many / "metadata").rglob("*.json")))
    print(f"{form}: {chips / whole['cpu']:.0f} chips a second of one core, {whole['peaks'][-1]:.0f} MB at most")
    early, last = whole["peaks"][2], whole["peaks"][-1]
    assert last < 1.15 * early + 20
    killed = packing(many, tmp_path / "pack", form)
    while len(list((tmp_path / "pack" / "_nutonic" / "shards").glob("*.json"))) < 4 and killed.poll() is None:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    again = told(packing(many, tmp_path / "pack", form))
    assert 4 <= again["before"] < again["shards"]
    assert again["complete"]
    assert bytes_of(tmp_path / "pack") == bytes_of(tmp_path / "whole")
