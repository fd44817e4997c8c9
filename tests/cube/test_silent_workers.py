"""``nutonic cube`` on a cluster of which a worker is stopped: it is not waited for until Dask gives it up."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from support.clusters import cluster, started, until
from support.cubes import SERIES, zarr_files
from support.worlds import written

import nutonic as nt
from nutonic.cube.compose import compose


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = written(SERIES, tmp_path_factory.mktemp("series"), imagery={"max_cloud_cover": 90})
    path.write_text(f"{path.read_text()}\ncube: {{area: [17.90, 46.64, 17.99, 46.70], chunk: 256}}\n")
    return path


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory) -> dict[str, bytes]:
    return zarr_files(nt.save_cube(compose(nt.load_recipe(recipe)).cube, tmp_path_factory.mktemp("here") / "cube.zarr"))


@pytest.mark.long
@pytest.mark.cluster
@pytest.mark.parametrize("moment", ["before", "meanwhile"])
@pytest.mark.parametrize("goes_on", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_a_worker_that_is_stopped_is_told_and_others_get_its_tiles(recipe, whole, tmp_path, moment, goes_on):
    out = tmp_path / "cube.zarr"
    with cluster(tmp_path / "dask") as dask:
        stopped = dask.workers[0]
        if moment == "before":
            stopped.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        process = started(tmp_path, "cube", recipe, "--out", out, "--scheduler", dask.address, "--patience", 2)
        partial = tmp_path / "cube.zarr.nutonic-partial"
        if moment == "meanwhile":
            until(lambda: len(list(partial.rglob("c/**/*"))) > 2 or process.poll() is not None, "tiles")
            stopped.send_signal(signal.SIGSTOP)
        if goes_on:
            until(lambda: "others get what it has to do" in process.told() or process.poll() is not None, "a line")
            stopped.send_signal(signal.SIGCONT)
        assert process.ended(100) == 0, process.told()
        assert time.monotonic() - began < 100  # dask itself gives a worker up after 300 s
        told = process.told()
        stopped.send_signal(signal.SIGCONT)
    assert f"wrote {out}" in told
    assert told.count("has not answered for 2 s: others get what it has to do") == 1
    assert "Traceback" not in told
    assert zarr_files(out) == whole
