"""kill -9 in the middle of a batch, again and again: the tree that comes out is the one that was never killed."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.clusters import Cluster, Process, cluster, deaths, dying_workers, started, until
from support.trees import Clean, clean_tree, half_done, same_as, tree

from nutonic import load_recipe
from nutonic.run.run import build
from nutonic.testing import SyntheticPlanet

#: Enough pictures in a batch to be in the middle of one for a while.
PARTS = {"rows": {"augment": ["flip", "r90", "r180", "r270"]}, "tiles": {"output_size": 160}}


@pytest.fixture(scope="module")
def clean(planets, tmp_path_factory):
    """The recipe, and its tree as it is when nobody kills anything."""
    return clean_tree(planets(SyntheticPlanet(), **PARTS), tmp_path_factory.mktemp("clean") / "tree")


def send(processes: Iterable[Process | psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(process.pid, number)


def kill_within_a_batch(
    victim: Process | psutil.Process, build: Process, out: Path, clean: Clean, least: int = 1, beside: Iterable = ()
) -> dict[int, int]:
    """Kill -9 when a batch has `least` files that the victim's generation wrote, and no commit.

    All who write are stopped while one looks, so it is true. Gives the batches that were begun, and how many of their
    files had been written; none where the build was over before.
    """
    writers, since = [victim, *beside], victim.began if isinstance(victim, Process) else victim.create_time()
    while build.poll() is None:
        time.sleep(0.001)
        if max(half_done(out, clean.batches, since).values(), default=0) < least:
            continue
        send(writers, signal.SIGSTOP)
        found = half_done(out, clean.batches, since)
        hit = max(found.values(), default=0) >= least and build.poll() is None
        send([victim] if hit else [], signal.SIGKILL)
        send(writers, signal.SIGCONT)
        if hit:
            victim.wait(30)
            return found
    return {}


def resumed(out: Path, clean: Clean) -> None:
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as(out, clean)


@pytest.mark.sampled(one_in=2, among="kills of a driver")
def test_killed_in_the_middle_of_a_batch_several_times(clean, tmp_path):
    out, seen = tmp_path / "tree", []
    for least in (2, 60, 18):
        process = started(tmp_path, "build", clean.recipe, "--out", out, "--workers", 0)
        found = kill_within_a_batch(process, process, out, clean, least)
        assert process.returncode == -signal.SIGKILL, process.told()
        ((batch, count),) = found.items()
        # Not all of the batch was there.
        assert least <= count < len(clean.batches[batch])
        seen.append((batch, count))
        # None of what was written is in data/, and what a reader sees is never half a file.
        assert not (out / "data").exists()
        files = {name: data for name, data in tree(out).items() if "#" not in name}
        assert [name for name, data in files.items() if data != clean.files[name]] == []
    assert len(set(seen)) > 1
    resumed(out, clean)


@pytest.mark.long
def test_killed_before_there_is_a_plan(clean, tmp_path):
    out = tmp_path / "tree"
    process = started(tmp_path, "build", clean.recipe, "--out", out, "--workers", 0)
    while not (out / "_nutonic").exists() and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.ended(30)
    resumed(out, clean)


def kill_driver(clean: Clean, folder: Path, out: Path, workers: int, least: int = 1) -> dict[int, int]:
    """Kill a driver with a cluster of its own while a worker is in a batch; workers end when it is gone."""
    process = started(folder, "build", clean.recipe, "--out", out, "--workers", workers)
    until(lambda: half_done(out, clean.batches, process.began) or process.poll() is not None, "a batch")
    family = process.children()
    found = kill_within_a_batch(process, process, out, clean, least, beside=family)
    gone = psutil.wait_procs(family, timeout=30)[1]
    send(gone, signal.SIGKILL)
    psutil.wait_procs(gone, timeout=10)
    return found


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_the_driver_of_a_cluster_is_killed(clean, tmp_path):
    out = tmp_path / "tree"
    assert kill_driver(clean, tmp_path, out, workers=2)
    assert tree(out).keys() != clean.files.keys()
    resumed(out, clean)


def worker_of(process: Process) -> psutil.Process | None:
    """The worker of a driver with one: of its children the one that computes."""
    found = [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]
    return max(found, key=lambda child: child.create_time(), default=None)


def kill_worker(process: Process, out: Path, clean: Clean, least: int) -> dict[int, int]:
    """Kill the only worker in the middle of a batch; another is started in its place."""
    until(lambda: worker_of(process) or process.poll() is not None, "a worker")
    worker = worker_of(process)
    return kill_within_a_batch(worker, process, out, clean, least) if worker else {}


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_the_worker_of_a_driver_is_killed_and_the_build_goes_on(clean, tmp_path):
    out = tmp_path / "tree"
    process = started(tmp_path, "build", clean.recipe, "--out", out, "--workers", 1)
    assert kill_worker(process, out, clean, least=12)
    assert process.ended() == 0, process.told()
    same_as(out, clean)


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_workers_of_a_driver_die_where_it_hurts_most_and_the_build_goes_on(clean, tmp_path):
    """Just before a commit, and just after it, when the driver has not heard of it."""
    first, second = sorted(clean.batches, key=lambda batch: len(clean.batches[batch]))[-2:]
    where = [
        {"path": f"commits/{batch:06d}", "moment": moment, "times": 1}
        for batch, moment in ((first, "before"), (second, "after"))
    ]
    out = tmp_path / "tree"
    environment = dying_workers(tmp_path, *where)
    process = started(tmp_path, "build", clean.recipe, "--out", out, "--workers", 2, **environment)
    assert process.ended() == 0, process.told()
    found = deaths(tmp_path)
    assert set(found["deaths-0-0"]) == clean.batches[first]
    assert set(found["deaths-1-0"]) == clean.batches[second] | {f"_nutonic/commits/{second:06d}.json"}
    same_as(out, clean)


def kill_scheduler(clean: Clean, dask: Cluster, folder: Path, out: Path, least: int = 1) -> tuple[Process, dict]:
    process = started(folder, "build", clean.recipe, "--out", out, "--scheduler", dask.address)
    dask.scheduler.began = process.began
    return process, kill_within_a_batch(dask.scheduler, process, out, clean, least, beside=dask.workers)


@pytest.mark.exhaustive  # test_workers.py has a kill of the scheduler that is not timed within a batch
@pytest.mark.cluster
def test_the_scheduler_is_killed_and_the_same_command_goes_on_with_another(clean, tmp_path):
    out = tmp_path / "tree"
    with cluster(tmp_path / "first", workers=1) as dask:
        process, found = kill_scheduler(clean, dask, tmp_path, out, least=9)
        assert found
        assert process.ended(60) == 1, process.told()
    said = process.told()
    assert "Traceback" not in said
    assert re.match("nutonic: .* scheduler .* again", said.splitlines()[-1])
    assert tree(out).keys() != clean.files.keys()
    with cluster(tmp_path / "second", workers=1) as dask:
        process = started(tmp_path, "build", clean.recipe, "--out", out, "--scheduler", dask.address)
        assert process.ended() == 0, process.told()
    same_as(out, clean)


@pytest.mark.long
def test_two_drivers_at_once_agree(clean, tmp_path):
    out = tmp_path / "tree"
    processes = [started(tmp_path, "build", clean.recipe, "--out", out, "--workers", 0) for _ in range(2)]
    assert [process.ended() for process in processes] == [0, 0], [process.told() for process in processes]
    same_as(out, clean)


# Soak


def soak_driver(clean: Clean, folder: Path, out: Path, chance: random.Random) -> int:
    process = started(folder, "build", clean.recipe, "--out", out, "--workers", 0)
    return bool(kill_within_a_batch(process, process, out, clean, chance.randint(1, 100)))


def soak_driver_of_a_cluster(clean: Clean, folder: Path, out: Path, chance: random.Random) -> int:
    return bool(kill_driver(clean, folder, out, workers=2, least=chance.randint(1, 60)))


def soak_worker(clean: Clean, folder: Path, out: Path, chance: random.Random) -> int:
    """Twice in one build; more often in one batch, and Dask takes the batch for what kills."""
    process = started(folder, "build", clean.recipe, "--out", out, "--workers", 1)
    kills = sum(bool(kill_worker(process, out, clean, chance.randint(1, 60))) for _ in range(2))
    assert process.ended() == 0, process.told()
    return kills


def soak_scheduler(clean: Clean, folder: Path, out: Path, chance: random.Random) -> int:
    with cluster(folder / f"cluster-{chance.random()}") as dask:
        process, found = kill_scheduler(clean, dask, folder, out, chance.randint(1, 60))
        assert process.ended() == bool(found), process.told()
    return bool(found)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("strike", "kills"), [(soak_driver, 64), (soak_driver_of_a_cluster, 20), (soak_worker, 20), (soak_scheduler, 6)]
)
def test_killed_at_random_moments(clean, tmp_path, strike, kills):
    chance, hit, end = random.Random(kills), 0, time.monotonic() + 540
    for number in itertools.count():
        out = tmp_path / str(number)
        for _ in range(chance.randint(1, 4)):
            hit += (strikes := strike(clean, tmp_path, out, chance))
            if not strikes:
                break
        resumed(out, clean)
        shutil.rmtree(out)
        if hit >= kills:
            return
        assert time.monotonic() < end, f"only {hit} of {kills} kills in nine minutes"
