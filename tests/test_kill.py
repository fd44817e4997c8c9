"""kill -9 in the middle of a batch, again and again: the tree that comes out is the one that was never killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from test_build import tree

from nutonic import load_recipe
from nutonic.run import build
from nutonic.testing import SyntheticPlanet
from nutonic.verification import verify

#: Enough pictures in a batch to be in the middle of one for a while.
PARTS = {"rows": {"augment": ["flip", "r90", "r180", "r270"]}, "tiles": {"output_size": 160}}


class Clean(NamedTuple):
    recipe: Path
    files: dict[str, bytes]
    batches: dict[int, list[str]]
    """Pictures of each batch."""


@pytest.fixture(scope="module")
def clean(planets, tmp_path_factory):
    """The recipe, and its tree as it is when nobody kills anything."""
    recipe, out = planets(SyntheticPlanet(), **PARTS), tmp_path_factory.mktemp("clean") / "tree"
    assert build(load_recipe(recipe), out, workers=0).complete
    batches = {}
    for path in (out / "_nutonic" / "commits").iterdir():
        batches[int(path.stem)] = [name for name in json.loads(path.read_bytes())["files"] if name.endswith(".png")]
    return Clean(recipe, tree(out), batches)


def start(*args: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "nutonic", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def half_done(out: Path, clean: Clean) -> dict[int, int]:
    """Batches that have pictures but no commit of any kind, and how many of their pictures are there."""
    begun = {path.stem[:6] for path in (out / "_nutonic" / "commits").glob("*.json")}
    there = {
        b: sum((out / name).exists() for name in names) for b, names in clean.batches.items() if f"{b:06d}" not in begun
    }
    return {batch: count for batch, count in there.items() if count}


def kill_within_a_batch(process: subprocess.Popen, out: Path, clean: Clean, least: int) -> dict[int, int]:
    """Kill -9 when a batch has `least` pictures and no commit; it is stopped while one looks, so it is true."""
    while process.poll() is None:
        time.sleep(0.001)
        if max(half_done(out, clean).values(), default=0) >= least:
            os.kill(process.pid, signal.SIGSTOP)
            found = half_done(out, clean)
            if max(found.values(), default=0) >= least:
                os.kill(process.pid, signal.SIGKILL)
                assert process.wait(30) == -signal.SIGKILL
                return found
            os.kill(process.pid, signal.SIGCONT)
    pytest.fail(f"the build ended before it could be killed: {process.stdout.read().decode()}")


def same_as_clean(out: Path, clean: Clean) -> None:
    found = tree(out)
    assert found.keys() == clean.files.keys()
    assert [name for name in found if found[name] != clean.files[name]] == []
    assert list(out.rglob("*#*")) == []
    assert verify(out, deep=True).problems == ()


def test_killed_in_the_middle_of_a_batch_several_times(clean, tmp_path):
    out, seen = tmp_path / "tree", []
    for least in (1, 30, 9):
        process = start("build", clean.recipe, "--out", out, "--workers", 0)
        found = kill_within_a_batch(process, out, clean, least)
        # Not all of the batch was written, and none of what was is in data/.
        (batch,) = (b for b, count in found.items() if least <= count < len(clean.batches[b]))
        seen.append((batch, found[batch]))
        assert not (out / "data").exists()
        files = {name: data for name, data in tree(out).items() if "#" not in name}
        # What a reader sees is never half a file.
        assert [name for name, data in files.items() if data != clean.files[name]] == []
    assert len(set(seen)) > 1
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as_clean(out, clean)


def test_killed_before_there_is_a_plan(clean, tmp_path):
    out = tmp_path / "tree"
    process = start("build", clean.recipe, "--out", out, "--workers", 0)
    while not (out / "_nutonic").exists() and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.communicate(timeout=30)
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as_clean(out, clean)


def test_the_driver_of_a_cluster_is_killed(clean, tmp_path):
    out = tmp_path / "tree"
    process = start("build", clean.recipe, "--out", out, "--workers", 2)
    while not half_done(out, clean) and process.poll() is None:
        time.sleep(0.002)
    assert process.poll() is None
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    # Workers end when their scheduler is gone; those that do not, are ended here.
    for worker in psutil.wait_procs(workers, timeout=30)[1]:
        worker.kill()
    psutil.wait_procs(workers, timeout=10)
    assert tree(out).keys() != clean.files.keys()
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as_clean(out, clean)


def test_two_drivers_at_once_agree(clean, tmp_path):
    out = tmp_path / "tree"
    processes = [start("build", clean.recipe, "--out", out, "--workers", 0) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    same_as_clean(out, clean)
