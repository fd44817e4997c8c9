"""Cubes on `dask worker` processes: computed chunk by chunk, one killed on the way, saved by the workers themselves."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest
import xarray as xr
from distributed import Client, as_completed
from support.callbacks import OnTiles
from support.clusters import cluster, until
from support.cubes import GRID, SERIES, zarr_files
from support.saving_driver import cube_of
from support.worlds import written

import nutonic as nt
from nutonic.io.tiff import blocks
from nutonic.testing import COLLECTION, FileServer, remote_catalogue


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(SERIES, tmp_path_factory.mktemp("series")).parent


def source_of(folder, catalogue: str = "items.json", **settings) -> nt.StacSource:
    return nt.StacSource(url=str(folder / catalogue), collection=COLLECTION, **settings)


@pytest.mark.sampled(one_in=3, among="two workers")
@pytest.mark.cluster
def test_two_workers_compute_and_save_what_one_process_does(folder, tmp_path):
    lazy = cube_of(folder)
    want = lazy.compute(scheduler="synchronous")
    saved = zarr_files(nt.save_cube(lazy, tmp_path / "here.zarr"))
    with cluster(tmp_path / "dask") as found, Client(found.address) as client:
        xr.testing.assert_identical(lazy.compute(), want)
        assert zarr_files(nt.save_cube(lazy, tmp_path / "there.zarr")) == saved
        did = client.run(lambda dask_worker: dask_worker.state.executed_count)
        assert len(did) == 2
        assert min(did.values()) > 20  # both had a part in it
        received = client.run(lambda dask_worker: sum(entry["total"] for entry in dask_worker.transfer_outgoing_log))
        tile = 256 * 256 * 2
        assert sum(received.values()) < 200 * tile  # tiles are made where their parts are read


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_a_worker_that_is_killed_changes_nothing(folder, tmp_path):
    lazy = cube_of(folder)
    want = lazy.compute(scheduler="synchronous")
    saved = zarr_files(nt.save_cube(lazy, tmp_path / "here.zarr"))
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

        assert zarr_files(nt.save_cube(lazy, tmp_path / "there.zarr", callbacks=[OnTiles(watch)])) == saved
        assert seen[-1] == (30, 30)


@pytest.mark.long
@pytest.mark.parametrize("tiles", [4, pytest.param(16, marks=pytest.mark.exhaustive)])
@pytest.mark.cluster
def test_a_worker_holds_what_was_stated_however_large_the_area(folder, tmp_path, tiles):
    lazy = nt.open_cube(GRID[:256, :1024] if tiles == 4 else GRID[:1000, :1024], [source_of(folder)], chunks=256)
    stated = nt.reduce.estimate(lazy, "median")
    assert stated.tiles == tiles

    def keep_no_blocks() -> None:  # those are stated apart, up to a size that does not depend on the area
        blocks.KEPT_BYTES = 0

    with cluster(tmp_path / "dask", workers=1) as found, Client(found.address) as client:
        client.run(keep_no_blocks)
        nt.reduce.median(lazy.isel(y=slice(0, 256), x=slice(0, 256))).compute()  # libraries and headers
        client.run(tracemalloc.start)
        before = client.run(lambda: tracemalloc.get_traced_memory()[0])
        nt.save_cube(nt.reduce.median(lazy), tmp_path / "cube.zarr")
        (peak,) = client.run(lambda: tracemalloc.get_traced_memory()[1]).values()
    assert peak - min(before.values()) <= 1.5 * stated.worker_bytes()


@pytest.mark.long
@pytest.mark.cluster
def test_workers_fetch_each_header_and_block_once(folder, tmp_path):
    with FileServer(folder) as server, cluster(tmp_path / "dask") as found, Client(found.address) as client:
        remote_catalogue(folder, server.url)
        imagery = source_of(folder, "items-http.json", allow_hosts=(server.url.removeprefix("http://"),))
        lazy = nt.open_cube(GRID, [imagery], chunks=256)
        want = nt.open_cube(GRID, [source_of(folder)], chunks=256).compute(scheduler="threads")
        xr.testing.assert_equal(lazy.compute().drop_vars("cloud_cover"), want.drop_vars("cloud_cover"))
        asked = Counter((request.path, request.span) for request in server.requests() if request.span)
        assert len(client.scheduler_info()["workers"]) == 2
    headers = Counter(path for (path, span), count in asked.items() for _ in range(count) if span[0] == 0)
    scenes = {scene.id for scene in SERIES.scenes} - {"old"}
    assert {path.split("/")[-2] for path in headers} == scenes
    assert max(headers.values()) <= 2  # once for each worker that reads the file
    assert max(asked.values()) <= 2  # and so each block
