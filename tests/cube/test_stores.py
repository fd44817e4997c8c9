"""Cubes in object stores: the bytes of a disk's, whoever is killed, whatever fails; and what is refused."""

from __future__ import annotations

import itertools
import pickle
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import dask
import numpy as np
import obstore
import pytest
import rasterio
import xarray as xr
import yaml
from distributed import Client
from support import warm
from support.callbacks import OnTiles
from support.cli import nutonic
from support.clusters import cluster
from support.cubes import made, zarr_files
from support.saving_driver import cube_of
from support.worlds import written

import nutonic as nt
from nutonic.errors import CubeChanged, InputError, NotNutonic, StoreError
from nutonic.io.buckets.address import any_path_of
from nutonic.io.buckets.bucket import opened
from nutonic.io.objects import Store
from nutonic.run.clusters.everyone import Everyone
from nutonic.run.clusters.proof import ProvedWorkers
from nutonic.testing import SyntheticSeries

pytest_plugins = ["support.buckets"]

_numbers = itertools.count()

driver = partial(warm.run, "support.saving_driver")


@pytest.fixture
def name() -> str:
    """Of a cube that is not there yet."""
    return f"cubes/{next(_numbers)}.zarr"


@pytest.fixture
def there(name) -> str:
    """Its address in this process' memory."""
    return f"memory://{name}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return written(SyntheticSeries(), tmp_path_factory.mktemp("series")).parent


@pytest.fixture(scope="module")
def on_disk(folder, tmp_path_factory) -> Path:
    """A cube on a disk."""
    return nt.save_cube(cube_of(folder), tmp_path_factory.mktemp("whole") / "cube.zarr")


@pytest.fixture(scope="module")
def whole(on_disk) -> dict[str, bytes]:
    """Its bytes."""
    return zarr_files(on_disk)


def objects(address: str) -> dict[str, bytes]:
    store = Store(any_path_of(address))
    return {path: store.get(path) for path, _ in store.sizes()}


# The bytes of a disk


@pytest.mark.long
@pytest.mark.parametrize(("steps", "height", "width", "chunk"), [(1, 70, 90, 33), (1, 1100, 700, 1024)])
def test_every_object_is_the_file_of_a_disk(there, tmp_path, steps, height, width, chunk):
    cube = made(steps, height, width, chunk)
    cube = cube.assign(label=cube["label"].load())  # a variable that is no tile
    on_disk = nt.save_cube(cube, tmp_path / "a.zarr")
    assert str(nt.save_cube(cube, there)) == there
    assert objects(there) == zarr_files(on_disk)
    found = nt.open_zarr(there)
    xr.testing.assert_identical(found.load(), nt.open_zarr(on_disk).load())
    assert found["red"].attrs["_FillValue"] == 0
    assert xr.open_dataset(there, engine="nutonic", chunks={}).odc.geobox == cube.odc.geobox


def test_a_cube_in_a_bucket_has_the_bytes_of_a_disk(bucket, name, folder, on_disk, whole):
    address = bucket.address(name)
    with bucket.before().running() as between, pytest.MonkeyPatch.context() as patch:
        bucket.use_by(patch, between)
        nt.save_cube(cube_of(folder), address)
        asked = between.asked()
        objects_but_tiles = len(whole) - 30
        assert asked["list"] == 2
        assert asked["PUT"] <= 30 + objects_but_tiles + 2  # one a tile, and what says which cube it will be
        assert asked.total() <= 30 + objects_but_tiles + 20
        between.requests.clear()
        nt.save_cube(cube_of(folder), address)  # it is there: nothing is written
        assert {verb for verb, _ in between.requests} == {"GET", "HEAD"}
    opened.cache_clear()
    assert bucket.tree(name) == whole
    lazy = nt.open_zarr(address)
    assert not any(secret.encode() in pickle.dumps(lazy) for secret in bucket.secrets)
    np.testing.assert_array_equal(lazy["red"], nt.open_zarr(on_disk)["red"])


@pytest.mark.exhaustive
def test_other_processes_read_by_their_own_credentials(bucket, name, folder):
    nt.save_cube(cube_of(folder), bucket.address(name))
    with dask.config.set(scheduler="processes", num_workers=2):
        found = nt.open_zarr(bucket.address(name))["scl"].compute()
    np.testing.assert_array_equal(found, cube_of(folder)["scl"])


def test_nothing_is_seen_before_it_is_whole(there, folder):
    seen = []

    def watch(done, total):
        held = objects(there)
        seen.append((done, total, "zarr.json" in held, "nutonic-unfinished.json" in held))
        with pytest.raises(InputError, match="is no saved cube"):
            nt.open_zarr(there)

    nt.save_cube(cube_of(folder), there, callbacks=[OnTiles(watch)])
    assert seen == [(0, 30, False, True), (30, 30, False, True)]
    assert "nutonic-unfinished.json" not in objects(there)


# Resumed


@pytest.mark.long
@pytest.mark.parametrize(
    ("at", "moment"),
    [
        (7, "after"),
        *(pytest.param(*kill, marks=pytest.mark.exhaustive) for kill in ((0, "before"), (16, "before"), (29, "after"))),
    ],
)
def test_killed_at_a_write_it_goes_on_and_ends_with_equal_bytes(bucket, name, folder, whole, at, moment):
    address = bucket.address(name)
    assert driver(folder, address, at, moment).returncode == -signal.SIGKILL
    held = bucket.tree(name)
    assert "zarr.json" not in held
    tiles = sum(path.partition("/")[0] in ("red", "green", "blue", "scl") and "/c/" in path for path in held)
    assert tiles >= at - 1  # the other of its two threads may have been writing one
    resumed = driver(folder, address, -1, "never")
    assert resumed.returncode == 0, resumed.stderr
    assert int(resumed.stdout) == 30 - tiles  # what was there is not computed again
    assert bucket.tree(name) == whole


class Killed(BaseException):
    """A process that is killed, as far as its store sees."""


class Dying:
    """Lets so many operations of stores through, and none after."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = self._all = 10**6
        for verb in ("put", "put_all", "create", "delete", "delete_all"):
            patch.setattr(Store, verb, self._counted(getattr(Store, verb)))

    def _counted(self, true):
        def ask(store, *args):
            self.left -= 1
            if self.left < 0:
                raise Killed
            return true(store, *args)

        return ask

    def run(self, save, operations: int | None = None) -> int:
        """How many operations there were, or could be."""
        first = self.left = self._all if operations is None else operations
        with dask.config.set(scheduler="synchronous"), suppress(Killed):
            save()
        done, self.left = first - self.left, self._all
        return done


@pytest.mark.long
@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_any_operation_it_goes_on(there, tmp_path, monkeypatch, sample, overwrite):
    old, cube = made(1, 30, 40, 16)[["red", "scl"]], made(2, 20, 20, 16)[["red", "nir"]]
    want, dying = zarr_files(nt.save_cube(cube, tmp_path / "a.zarr")), Dying(monkeypatch)

    def begun(address):
        if overwrite:
            nt.save_cube(old, address)
        return partial(nt.save_cube, cube, address, overwrite=overwrite)

    count = dying.run(begun(f"{there}-0"))
    assert objects(f"{there}-0") == want
    assert count > 10
    for at in sample(list(range(count)), kind=lambda at: at % 2, one_in=8):
        address = f"{there}-{at + 1}"
        save = begun(address)
        dying.run(save, at)
        if "zarr.json" in objects(address):  # whoever opens it finds one whole cube
            found = nt.open_zarr(address).load()
            np.testing.assert_array_equal(found["red"], (cube if found.sizes["y"] == 20 else old)["red"])
        dying.run(save)
        assert objects(address) == want, at


@pytest.mark.long
def test_one_request_in_ten_fails(bucket, name, folder, on_disk, whole, monkeypatch):
    address = bucket.address(name)
    with bucket.before(share=0.1).running() as between:
        bucket.use_by(monkeypatch, between)
        nt.save_cube(cube_of(folder), address)
        np.testing.assert_array_equal(nt.open_zarr(address)["red"], nt.open_zarr(on_disk)["red"])
    assert between.faults.total() > 5
    assert bucket.tree(name) == whole


# Refused


def test_another_cube_is_not_mixed_in(there):
    cube = made(2, 40, 30, 16)
    nt.save_cube(cube, there)
    before = objects(there)
    for other, said in [(cube.assign_attrs(told="other"), "zarr.json"), (cube.isel(y=slice(0, 32)), ".")]:
        with pytest.raises(CubeChanged, match=rf"is another cube, it differs in .*{said}.*overwrite=True"):
            nt.save_cube(other, there)
    assert objects(there) == before
    nt.save_cube(nt.reduce.median(cube), there, overwrite=True)
    assert "time" not in nt.open_zarr(there).coords
    assert not any(path.startswith("time/") for path in objects(there))


def test_an_unfinished_cube_is_continued_by_no_other(there):
    cube = made(1, 40, 30, 16)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nt.save_cube(cube, there, callbacks=[OnTiles(stop)])
    with pytest.raises(CubeChanged, match=r"differs in zarr\.json"):
        nt.save_cube(cube.assign_attrs(told="other"), there)
    with pytest.raises(InputError, match="is no saved cube"):
        nt.open_zarr(there)
    nt.save_cube(cube.assign_attrs(told="other"), there, overwrite=True)
    assert nt.open_zarr(there).attrs["told"] == "other"


@pytest.mark.long
def test_what_is_no_cube_is_never_touched(there):
    cube, store = made(1, 20, 20, 16), Store(any_path_of(there))
    store.put("mine.txt", b"mine")
    with pytest.raises(NotNutonic, match="exists and is no Zarr cube"):
        nt.save_cube(cube, there, overwrite=True)
    assert objects(there) == {"mine.txt": b"mine"}
    store.delete("mine.txt")
    nt.save_cube(cube, there)
    for path in ("red/c/0/9/9", "green/zarr.json", "mine.txt"):
        store.put(path, b"mine")
        with pytest.raises(NotNutonic, match=f"holds {path}, which is not"):
            nt.save_cube(cube, there, overwrite=True)
        assert store.get(path) == b"mine"
        store.delete(path)
    with pytest.raises(NotNutonic, match="is a Zarr store"):
        nt.save_cube(cube, f"{there}/inner.zarr")
    with pytest.raises(NotNutonic, match="is a Zarr store"):
        nt.save_cogs(cube, f"{there}/cogs")


def test_a_dataset_in_a_store_takes_no_cube(there):
    Store(any_path_of(there)).put("_nutonic/tree.json", b'{"nutonic":"tree","format":1}\n')
    for path, said in ((f"{there}/a/b.zarr", "lies in the dataset"), (there, "exists and is no Zarr cube")):
        with pytest.raises(NotNutonic, match=said):
            nt.save_cube(made(1, 20, 20, 16), path)


def test_tiles_that_went_elsewhere_are_missed(there, monkeypatch):
    monkeypatch.setattr("nutonic.cube.stores.saving.put_chunk", lambda pixels, *_: np.array([pixels.nbytes]))
    with pytest.raises(StoreError, match="a worker writes elsewhere"):
        nt.save_cube(made(1, 20, 20, 16), there)
    assert "zarr.json" not in objects(there)


@pytest.mark.exhaustive
def test_a_server_without_conditions_is_refused(moto, name, monkeypatch):
    with moto.before(without_conditions=True).running() as between:
        moto.use_by(monkeypatch, between)
        with pytest.raises(StoreError, match="ignores conditional writes"):
            nt.save_cube(made(1, 20, 20, 16), moto.address(name))
    assert moto.tree(name) == {}


@pytest.mark.parametrize(
    ("changed", "bucket_name", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "not-the-secret"}, "bucket", ("denied", "AWS_ACCESS_KEY_ID")),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "bucket", ("cannot be reached", "endpoint")),
        ({}, "no-such-bucket", ("there is no bucket no-such-bucket",)),
    ],
)
def test_what_a_store_refuses_is_told_in_a_sentence(seaweed, name, monkeypatch, changed, bucket_name, words):
    seaweed.use(monkeypatch, **changed)
    monkeypatch.setattr("nutonic.io.buckets.bucket._RETRY", {"max_retries": 0})
    monkeypatch.setattr("nutonic.io.buckets.bucket._ATTEMPTS", 1)
    address = f"s3://{bucket_name}/{name}"
    for ask in (partial(nt.save_cube, made(1, 20, 20, 16)), partial(nt.save_cogs, made(1, 20, 20, 16))):
        with pytest.raises(StoreError) as refused:
            ask(address)
        (line,) = str(refused.value).splitlines()
        assert all(word in line for word in words), line
        assert not any(word in line for word in (*seaweed.secrets, "not-the-secret", "http://"))


@pytest.mark.exhaustive
@pytest.mark.cluster
def test_a_worker_without_credentials_says_so_before_the_first_tile(
    seaweed, name, folder, whole, tmp_path, monkeypatch
):
    seaweed.use(monkeypatch)
    address = seaweed.address(name)
    with cluster(tmp_path / "dask") as found, Client(found.address) as client:
        nt.save_cube(cube_of(folder), address, callbacks=[ProvedWorkers(Everyone(client), any_path_of(address))])
        assert seaweed.tree(name) == whole
    seaweed.use(monkeypatch, AWS_SECRET_ACCESS_KEY="not-the-secret")
    with cluster(tmp_path / "other") as found:
        seaweed.use(monkeypatch)
        with Client(found.address) as client:
            proof = ProvedWorkers(Everyone(client), any_path_of(f"{address}-2"))
            with pytest.raises(InputError, match=r"worker tcp.* is denied"):
                nt.save_cube(cube_of(folder), f"{address}-2", callbacks=[proof])
    assert not any("/c/0/0" in path for path in seaweed.tree(f"{name}-2"))


# GeoTIFFs


@pytest.mark.long
def test_geotiffs_in_a_bucket_are_those_of_a_disk(bucket, name, tmp_path):
    cube = made(2, 600, 700, 512)[["red", "label"]]
    on_disk = nt.save_cogs(cube, tmp_path)
    files = nt.save_cogs(cube, bucket.address(name))
    assert [str(file) for file in files] == [f"{bucket.address(name)}/{path.name}" for path in on_disk]
    assert bucket.tree(name) == {path.name: path.read_bytes() for path in on_disk}
    obstore.put(bucket.client, f"{name}/label.tif", b"a user's")
    for other in (cube, cube[["label"]]):
        with pytest.raises(NotNutonic, match=r"label\.tif was not written by nutonic"):
            nt.save_cogs(other, bucket.address(name))
    assert bytes(obstore.get(bucket.client, f"{name}/label.tif").bytes()) == b"a user's"
    obstore.delete(bucket.client, f"{name}/label.tif")
    nt.save_cogs(cube * 0, bucket.address(name))  # over its own
    held = bucket.tree(name)
    with rasterio.MemoryFile(held["label.tif"]) as memory, memory.open() as raster:
        assert not raster.read(1).any()


def test_a_large_geotiff_is_sent_in_parts(bucket, name, monkeypatch):
    monkeypatch.setattr("nutonic.cube.cog._AT_ONCE", 2**16)
    cube = made(1, 300, 300, 256, gaps=0.0)[["red"]]
    (file,) = nt.save_cogs(cube, bucket.address(name))
    nt.save_cogs(cube, bucket.address(name))
    (data,) = bucket.tree(name).values()
    assert len(data) > 2**17
    with rasterio.MemoryFile(data) as memory, memory.open() as raster:
        np.testing.assert_array_equal(raster.read(1), cube["red"][0])
    assert file.name in bucket.tree(name)


# The command


@pytest.mark.long
def test_the_command_saves_into_a_bucket(bucket, name, tmp_path):
    recipe = written(SyntheticSeries(), tmp_path, imagery={"max_cloud_cover": 90})
    part = {"area": [17.93, 46.66, 17.95, 46.68], "chunk": 128, "mask": "scl", "reduce": "median"}
    recipe.write_text(yaml.safe_dump(yaml.safe_load(recipe.read_text()) | {"cube": part}))
    out, cogs = bucket.address(name), bucket.address(f"{name}-cogs")
    said = nutonic("cube", recipe, "--out", out, "--cogs", cogs)
    assert said.code == 0, said.err
    assert f"wrote {out}" in said.told
    assert f'nutonic.open_zarr("{out}")' in said.told
    held = bucket.tree(name)
    assert nutonic("cube", recipe, "--out", out).told.count("is there already, nothing to do") == 1
    assert bucket.tree(name) == held
    assert len(bucket.tree(f"{name}-cogs")) >= 1
    said = nutonic("cube", recipe, "--out", out, "--cogs", f"{out}/cogs", "--overwrite")
    assert said.code == 2
    assert "lies in the cube" in said.err
