"""Cubes in Icechunk repositories: seen whole or not at all, gone on with after a kill, their history kept."""

from __future__ import annotations

import itertools
import pickle
import signal
import sys
from functools import partial

import dask
import numpy as np
import pytest
import xarray as xr
import zarr
from support import warm
from support.callbacks import OnTiles
from support.cli import nutonic
from support.cubes import made
from support.saving_driver import cube_of
from support.worlds import written

import nutonic as nt
from nutonic.errors import CubeChanged, InputError, MissingExtra, NotNutonic, StoreError
from nutonic.io.buckets.address import any_path_of
from nutonic.io.objects import Store
from nutonic.testing import SyntheticSeries

icechunk = pytest.importorskip("icechunk")

pytest_plugins = ["support.buckets"]

_numbers = itertools.count()

#: Of every server.
BUCKET = "bucket"

driver = partial(warm.run, "support.saving_driver")


@pytest.fixture
def name() -> str:
    """Of a repository that is not there yet."""
    return f"repositories/{next(_numbers)}"


@pytest.fixture
def there(seaweed, name, monkeypatch) -> str:
    """Its address in a bucket."""
    seaweed.use(monkeypatch)
    return f"icechunk+s3://{BUCKET}/{name}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(SyntheticSeries(), tmp_path_factory.mktemp("series")).parent


def repository(address: str):
    from nutonic.cube.save import cube_path_of
    from nutonic.cube.stores.transactions import _storage

    return icechunk.Repository.open(_storage(cube_path_of(address)))


@pytest.mark.long
def test_what_is_read_back_is_what_is_on_a_disk(there, seaweed, tmp_path):
    cube = made(2, 70, 60, 33)
    cube = cube.assign(label=cube["label"].load())
    assert str(nt.save_cube(cube, there)) == there
    on_disk = nt.open_zarr(nt.save_cube(cube, tmp_path / "a.zarr")).load()
    xr.testing.assert_identical(nt.open_zarr(there).load(), on_disk)
    xr.testing.assert_identical(xr.open_dataset(there, engine="nutonic", chunks={}).load(), on_disk)
    plain = xr.open_zarr(repository(there).readonly_session("main").store)  # as Icechunk's users open it
    assert plain.odc.geobox == cube.odc.geobox
    assert repository(there).list_branches() == {"main"}
    assert not any(secret.encode() in pickle.dumps(nt.open_zarr(there)) for secret in seaweed.secrets)
    with pytest.raises(NotNutonic, match="is not nutonic's"):
        nt.save_cube(cube, there.removeprefix("icechunk+"), overwrite=True)


@pytest.mark.long
def test_nothing_is_seen_before_it_is_whole_and_what_was_is_kept(there, monkeypatch):
    monkeypatch.setattr("nutonic.cube.save.WINDOW", 8)
    old, cube, seen = made(1, 40, 40, 16)[["red"]], made(2, 40, 40, 16)[["red", "scl"]], []
    nt.save_cube(old, there)
    first = repository(there).lookup_branch("main")

    def watch(done, total):
        seen.append((done, total, nt.open_zarr(there).sizes["time"]))

    nt.save_cube(cube, there, overwrite=True, callbacks=[OnTiles(watch)])
    assert seen == [(done, 36, 1) for done in (0, 8, 16, 24, 32, 36)]
    np.testing.assert_array_equal(nt.open_zarr(there)["red"], cube["red"])
    before = xr.open_zarr(repository(there).readonly_session(snapshot_id=first).store, mask_and_scale=False)
    np.testing.assert_array_equal(before["red"], old["red"])
    nt.save_cube(cube, there, callbacks=[OnTiles(lambda *_: pytest.fail("it is there"))])


def test_stopped_it_goes_on_with_this_cube_and_no_other(there, monkeypatch):
    monkeypatch.setattr("nutonic.cube.save.WINDOW", 8)
    cube, seen = made(2, 40, 40, 16)[["red", "scl"]], []

    def stop(done, total):
        seen.append(done)
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nt.save_cube(cube, there, callbacks=[OnTiles(stop)])
    with pytest.raises(InputError, match="nothing is committed"):
        nt.open_zarr(there)
    with pytest.raises(CubeChanged, match=r"differs in zarr\.json"):
        nt.save_cube(cube.assign_attrs(told="other"), there)
    seen.clear()
    nt.save_cube(cube, there, callbacks=[OnTiles(lambda done, total: seen.append(done))])
    assert seen == [16, 24, 32, 36]
    np.testing.assert_array_equal(nt.open_zarr(there)["scl"], cube["scl"])


def test_what_is_not_nutonics_is_left_alone(there, name):
    cube, store = made(1, 20, 20, 16), Store(any_path_of(f"s3://{BUCKET}/{name}"))
    store.put("theirs.txt", b"theirs")
    with pytest.raises(NotNutonic, match="is no Icechunk repository, and not empty"):
        nt.save_cube(cube, there, overwrite=True)
    store.delete("theirs.txt")
    nt.save_cube(cube, there)
    with pytest.raises(CubeChanged, match=r"differs in zarr\.json"):
        nt.save_cube(cube.assign_attrs(told="other"), there)
    session = repository(there).writable_session("main")
    zarr.open_group(session.store, mode="r+").attrs["told"] = "theirs"
    session.commit("theirs")
    with pytest.raises(NotNutonic, match=r"the last commit to .* is not nutonic's"):
        nt.save_cube(cube, there, overwrite=True)


def test_two_at_once_are_told_apart(there, monkeypatch):
    monkeypatch.setattr("nutonic.cube.save.WINDOW", 8)
    cube, first = made(2, 40, 40, 16)[["red"]], []

    def meanwhile(done, total):
        if done == 8 and not first:
            first.append(done)
            nt.save_cube(cube, there)

    with pytest.raises(StoreError, match=r"another run|Icechunk cannot use"):
        nt.save_cube(cube, there, callbacks=[OnTiles(meanwhile)])
    np.testing.assert_array_equal(nt.open_zarr(there)["red"], cube["red"])
    nt.save_cube(cube, there)


def test_a_missing_package_is_told(there, monkeypatch):
    monkeypatch.setitem(sys.modules, "icechunk", None)
    with pytest.raises(MissingExtra, match=r"nutonic\[icechunk\]"):
        nt.save_cube(made(1, 20, 20, 16), there)


@pytest.mark.exhaustive
def test_killed_it_goes_on(there, name, folder):
    assert driver(folder, there, 12, "after").returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="nothing is committed"):
        nt.open_zarr(there)
    nt.save_cube(cube_of(folder), there)
    np.testing.assert_array_equal(nt.open_zarr(there)["red"], cube_of(folder)["red"])


@pytest.mark.exhaustive
def test_other_processes_use_their_own_credentials(there, folder):
    with dask.config.set(scheduler="processes", num_workers=2):
        nt.save_cube(cube_of(folder), there)
        np.testing.assert_array_equal(nt.open_zarr(there)["scl"].compute(), cube_of(folder)["scl"])


def test_what_a_store_refuses_is_told_in_a_sentence(seaweed, name, monkeypatch):
    seaweed.use(monkeypatch, AWS_SECRET_ACCESS_KEY="not-the-secret")
    with pytest.raises(StoreError, match="is denied") as refused:
        nt.save_cube(made(1, 20, 20, 16), f"icechunk+s3://{BUCKET}/{name}")
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("command", [("build", "recipe.yaml"), ("cube", "recipe.yaml", "--cogs", "icechunk+s3://b/x")])
def test_only_cubes_lie_in_repositories(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = nutonic(*command, "--out", "icechunk+s3://b/x")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
