"""Cubes on `dask worker` processes: computed chunk by chunk, one killed on the way, saved by the workers themselves."""

from __future__ import annotations

import pytest
import xarray as xr
from clusters import cluster, until
from distributed import Client, as_completed
from saving_driver import cube_of
from test_saving import SERIES, tree

import nutonic as nt


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return SERIES.write(tmp_path_factory.mktemp("series")).parent


def test_two_workers_compute_and_save_what_one_process_does(folder, tmp_path):
    lazy = cube_of(folder)
    want = lazy.compute(scheduler="synchronous")
    saved = tree(nt.save_cube(lazy, tmp_path / "here.zarr"))
    with cluster(tmp_path / "dask") as found, Client(found.address) as client:
        xr.testing.assert_identical(lazy.compute(), want)
        assert tree(nt.save_cube(lazy, tmp_path / "there.zarr")) == saved
        did = client.run(lambda dask_worker: dask_worker.state.executed_count)
        assert len(did) == 2
        assert min(did.values()) > 20  # both had a part in it
        received = client.run(lambda dask_worker: sum(entry["total"] for entry in dask_worker.transfer_outgoing_log))
        tile = 256 * 256 * 2
        assert sum(received.values()) < 200 * tile  # tiles are made where their parts are read


def test_a_worker_that_is_killed_changes_nothing(folder, tmp_path):
    lazy = cube_of(folder)
    want = lazy.compute(scheduler="synchronous")
    saved = tree(nt.save_cube(lazy, tmp_path / "here.zarr"))
    with cluster(tmp_path / "dask") as found, Client(found.address) as client:
        futures = [client.compute(lazy[name]) for name in ("red", "green", "blue", "scl")]
        next(as_completed(futures))
        found.workers[0].kill()
        for name, future in zip(("red", "green", "blue", "scl"), futures, strict=True):
            xr.testing.assert_identical(future.result(timeout=60), want[name])
        found.start_worker()
        until(lambda: len(client.scheduler_info()["workers"]) == 2, "another worker")
        seen = []

        def watch(done, total):
            if not seen:
                found.workers[1].kill()
            seen.append((done, total))

        assert tree(nt.save_cube(lazy, tmp_path / "there.zarr", watch=watch)) == saved
        assert seen[-1] == (30, 30)
