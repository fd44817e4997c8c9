"""Workers that were started elsewhere: what they are given, what they must prove, and how much they ask at once."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import pytest
from support.callbacks import OnBatch
from support.cli import listing, nutonic
from support.clusters import Cluster as Processes
from support.clusters import cluster, started, until
from support.jobs import ask, asking, jobs, pause, sizes_seen, where
from support.paths import ROOT
from support.trees import committed_batches, same_as, small_planet, tree

from nutonic import load_recipe
from nutonic.errors import InputError, StoreError, Unreachable
from nutonic.run import worker as workers
from nutonic.run.callbacks import BatchFinished, Callback
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.executor import run_jobs, workers_for
from nutonic.run.jobs import Job
from nutonic.run.preflight import WorkerPool, shares_of
from nutonic.run.results import BatchDone
from nutonic.run.run import build
from nutonic.sources.factory import sources_of
from nutonic.testing import remote_catalogue, server_process

BLIND = ROOT / "tests" / "support" / "blind.py"


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """Two workers that nobody harms."""
    with cluster(tmp_path_factory.mktemp("cluster"), PYTHONPATH=ROOT / "tests") as found:
        yield found


@contextmanager
def joined_by_blind(dask: Processes, **blindness: object) -> Iterator[str]:
    """One more worker, that does not see all; its address."""
    before = dask.environment
    dask.environment = before | blindness | {"DASK_DISTRIBUTED__WORKER__PRELOAD": str(BLIND)}
    worker = dask.start_worker()
    dask.environment = before
    try:
        until(lambda: "Registered to" in worker.told(), "a worker")
        (line,) = (line for line in worker.told().splitlines() if "Start worker at" in line)
        yield line.split()[-1]
    finally:
        worker.terminate()
        worker.wait(30)
        dask.workers.remove(worker)


def address_of(dask: Processes) -> Cluster:
    return Cluster(scheduler=dask.address)


# What they are given


@pytest.mark.long
@pytest.mark.cluster
def test_variables_are_passed_on_to_all_and_taken_back(clean, dask, tmp_path, monkeypatch):
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "a-canary-of-a-key")
    monkeypatch.setenv("NUTONIC_HTTP_TIMEOUT", "17")
    monkeypatch.setenv("SOME_OTHER_SECRET", "stays")
    names = ("PC_SDK_SUBSCRIPTION_KEY", "NUTONIC_HTTP_TIMEOUT", "SOME_OTHER_SECRET")

    def held(ready: WorkerPool) -> list[tuple]:
        return sorted(set(zip(*(ready.client.run(os.getenv, name).values() for name in names), strict=True)))

    recipe = load_recipe(clean.recipe)
    signed = recipe.model_copy(update={"imagery": recipe.imagery.model_copy(update={"sign": "planetary-computer"})})
    with workers_for(sources_of(recipe), tmp_path / "out", address_of(dask), Callback()) as ready:
        assert held(ready) == [(None, "17", None)]  # a key goes to who needs it
    with workers_for(sources_of(signed), tmp_path / "out", address_of(dask), Callback()) as ready:
        assert held(ready) == [("a-canary-of-a-key", "17", None)]
        for name in names:  # whoever is started now does not inherit them
            monkeypatch.delenv(name)
        with joined_by_blind(dask):
            assert held(ready) == [("a-canary-of-a-key", "17", None)]
            assert len(ready.client.run(os.getpid)) == 3
        assert b"canary" not in pickle.dumps(ready.submitted(print))
        assert "canary" not in repr(ready)
        client, name = ready.client, ready.name
        assert name in client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
    with workers_for(sources_of(signed), tmp_path / "out", Cluster(workers=1), Callback()) as local:
        assert local.plugin_options["environment"] == {}  # they inherit it
    from distributed import Client

    with Client(dask.address) as client:
        assert set(client.run(os.getenv, names[0]).values()) == {None}
        left = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
        assert [name for name in left if name.startswith("nutonic")] == []
    assert not (tmp_path / "out").exists()
    assert "canary" not in repr(workers.BuildPlugin("n", checks=workers.WorkerChecks(), environment={"A": "a-canary"}))
    assert "canary" not in "".join(process.told() for process in dask.processes)


# What they must prove


@pytest.mark.sampled(one_in=2, among="workers that are not fit")
@pytest.mark.cluster
def test_other_versions_are_told_before_any_work(clean, dask, tmp_path, monkeypatch):
    here = workers.versions()
    monkeypatch.setattr(workers, "versions", lambda *_: here | {"pillow": "1.0"})
    said = nutonic("build", clean.recipe, "--out", tmp_path / "a" / "out", "--scheduler", dask.address)
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert line.startswith("nutonic: worker tcp://127.0.0.1:")
    assert f"pillow {here['pillow']} where the driver has 1.0: install the same requirements.lock on all" in line
    assert listing(tmp_path) == {}


def test_what_decides_about_bytes_is_among_the_versions():
    found = workers.versions(["numpy", "no-such-package"])
    assert found["no-such-package"] == "missing"
    assert {"Python", "nutonic", "numpy", "GDAL", "PROJ", "GEOS"} < set(found)
    assert all(version[0].isdigit() for name, version in found.items() if name != "no-such-package")


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "where", "words"),
    [
        ("UNSEEN", "out", ["does not see the output folder", "no such file", "build into a folder that all share"]),
        ("UNWRITABLE", "out", ["cannot write into", "permission denied"]),
        ("UNSEEN", "land_cover.tif", ["does not see", "no such file", "put it where all see it"]),
        ("UNSEEN", "west", ["does not see", "west", "put it where all see it"]),
    ],
)
@pytest.mark.cluster
def test_an_output_or_input_that_a_worker_cannot_see_is_one_line(clean, dask, tmp_path, kind, where, words):
    out = tmp_path / "new" / "out"
    path = tmp_path if where == "out" else clean.recipe.with_name(where)
    with joined_by_blind(dask, **{f"NUTONIC_TEST_{kind}": path}) as blind:
        said = nutonic("build", clean.recipe, "--out", out, "--scheduler", dask.address)
    assert said.code == 2, said.err
    (line,) = said.err.splitlines()
    assert line.startswith(f"nutonic: worker {blind} ")
    assert [word for word in [*words, str(out if where == "out" else path)] if word not in line] == []
    assert listing(tmp_path) == {}


def test_another_file_of_the_same_name_is_no_proof(tmp_path):
    token = tmp_path / "_nutonic" / "token"
    token.parent.mkdir()
    token.write_bytes(b"theirs")
    out = {"output": tmp_path, "token": "_nutonic/token"}
    assert "sees another" in workers.WorkerChecks(**out, content=b"ours").objection("w")
    assert workers.WorkerChecks(**out, content=b"theirs", inputs={str(token): 6}).objection("w") is None
    assert "6 bytes, the driver's has 7" in workers.WorkerChecks(inputs={str(token): 7}).objection("w")
    assert [path.name for path in token.parent.iterdir()] == ["token"]


@pytest.mark.sampled(one_in=2, among="workers that are not fit")
@pytest.mark.cluster
def test_a_tree_that_is_there_stays_when_a_worker_is_refused(clean, dask, tmp_path):
    out = tmp_path / "out"
    assert build(load_recipe(clean.recipe), out, workers=0, limit=2).complete
    before = listing(out)
    with joined_by_blind(dask, NUTONIC_TEST_UNSEEN=clean.recipe.with_name("land_cover.tif")):
        assert nutonic("build", clean.recipe, "--out", out, "--scheduler", dask.address).code == 2
    assert listing(out) == before
    said = nutonic("build", clean.recipe, "--out", out, "--scheduler", dask.address, "--replan")
    assert said.code == 0, said.err
    same_as(out, clean)
    assert list(out.rglob("token*")) == []


@pytest.mark.sampled(one_in=2, among="workers that are not fit")
@pytest.mark.cluster
def test_a_worker_that_joins_later_and_is_not_fit_does_nothing_but_say_so(clean, dask, tmp_path):
    out, recipe = tmp_path / "out", load_recipe(clean.recipe)
    with workers_for(sources_of(recipe), out, address_of(dask), Callback()) as ready:
        assert len(list(run_jobs(ready, partial(pause, seconds=0), Callback(), jobs(4)))) == 4
        with (
            joined_by_blind(dask, NUTONIC_TEST_UNSEEN=out),
            pytest.raises(StoreError, match=r"^worker tcp://\S+ does not see the output folder"),
        ):
            list(run_jobs(ready, partial(pause, seconds=0.1), Callback(), jobs(30)))


@pytest.mark.long
def test_a_scheduler_that_is_not_there_is_one_line(clean, tmp_path, monkeypatch):
    import distributed

    monkeypatch.setattr(distributed, "Client", partial(quick_client, distributed.Client))
    said = nutonic("build", clean.recipe, "--out", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9")
    assert (said.code, len(said.err.splitlines())) == (1, 1)
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in said.err
    assert listing(tmp_path) == {}


def quick_client(kind, address, timeout, **options):
    return kind(address, timeout="1s", **options)


# Coming and going


@pytest.mark.long
@pytest.mark.cluster
def test_jobs_are_one_small_task_each_and_bring_back_little(clean, dask, tmp_path):
    sizes, recipe = [], load_recipe(clean.recipe)
    before = keys_seen(dask)
    with workers_for(sources_of(recipe), tmp_path / "out", address_of(dask), Callback()) as ready:
        client = ready.client
        summaries = []

        def watch(event: BatchFinished) -> None:
            summaries.append(event.result)

        assert build(recipe, tmp_path / "out", workers=address_of(dask), callbacks=[OnBatch(watch)]).complete
        sizes = client.run_on_scheduler(sizes_seen)
    keys = keys_seen(dask) - before
    parts = {key for key in keys if key.startswith("nutonic-part-")}  # of the tree, which is finished
    assert len(keys - parts) == len(summaries) == len(clean.batches)
    assert len(parts) == 1 + len(list((tmp_path / "out" / "data").iterdir()))  # all commits, and each file of rows
    assert all(key.startswith("nutonic-") for key in keys)
    assert max(len(pickle.dumps(done)) for done in summaries) < 4000
    assert max(sizes) < 4000
    same_as(tmp_path / "out", clean)


def keys_seen(dask: Processes) -> set[str]:
    from distributed import Client

    with Client(dask.address) as client:
        return set(client.run_on_scheduler(lambda dask_scheduler: {str(t[0]) for t in dask_scheduler.transition_log}))


@pytest.mark.long
@pytest.mark.cluster
def test_workers_leave_early_and_others_join_late(clean, tmp_path):
    from distributed import Client

    out, calls = tmp_path / "out", []
    with cluster(tmp_path / "cluster", workers=1) as dask:

        def watch(event: BatchFinished) -> None:
            calls.append(event.result.index)
            if len(calls) == 1:
                dask.start_worker()
                until(lambda: "Registered to" in dask.workers[1].told(), "a worker")
                client.retire_workers([first])  # as an adaptive cluster does

        with Client(dask.address) as client:
            (first,) = client.scheduler_info()["workers"]
            assert build(load_recipe(clean.recipe), out, workers=address_of(dask), callbacks=[OnBatch(watch)]).complete
            assert first not in client.scheduler_info()["workers"]
    same_as(out, clean)


@pytest.mark.cluster
def test_without_any_worker_a_build_gives_up_in_a_line(clean, tmp_path):
    with cluster(tmp_path / "cluster", workers=0) as dask:
        said = nutonic("build", clean.recipe, "--out", tmp_path / "out", "--scheduler", dask.address, "--wait", 1)
    assert said.code == 1
    assert said.err.splitlines() == [
        "there are no workers yet: waiting for some",
        f"nutonic: no worker at {dask.address} for 1 s: start some and run the same command again",
    ]
    assert build(load_recipe(clean.recipe), tmp_path / "out", workers=0).complete
    same_as(tmp_path / "out", clean)


@pytest.mark.long
@pytest.mark.cluster
def test_the_scheduler_is_killed(clean, tmp_path):
    out = tmp_path / "out"
    with cluster(tmp_path / "cluster", workers=1) as dask:
        process = started(tmp_path, "build", clean.recipe, "--out", out, "--scheduler", dask.address)
        until(lambda: committed_batches(out) or process.poll() is not None, "a batch")
        dask.scheduler.kill()
        code = process.ended(60)
    told = [line for line in process.told().splitlines() if not line.startswith("batch ")]
    assert code == 1, told
    assert told == [f"nutonic: the Dask scheduler at {dask.address} is gone: start it and run the same command again"]
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as(out, clean)
    assert list(out.rglob("token*")) == []


@pytest.mark.sampled(one_in=2, among="losses")
@pytest.mark.cluster
def test_losses_are_told_at_the_library_too(clean, tmp_path, monkeypatch):
    with cluster(tmp_path / "cluster", workers=1) as dask:

        def watch(event: BatchFinished) -> None:
            dask.scheduler.kill()
            dask.scheduler.wait(10)

        with pytest.raises(Unreachable, match="is gone: start it"):
            build(load_recipe(clean.recipe), tmp_path / "out", workers=address_of(dask), callbacks=[OnBatch(watch)])
    assert logging.getLogger("distributed").level != logging.CRITICAL


# How much they ask at once


class Counting(server_process.Handler):
    """Counts the requests that wait for their answers."""

    def _serve(self) -> None:
        self._change(1)
        super()._serve()

    do_GET = do_HEAD = do_POST = _serve

    def _send(self, answer, entry) -> None:
        self._change(-1)  # before the client has it, and asks for more
        super()._send(answer, entry)

    def _change(self, by: int) -> None:
        with self.server.lock:
            self.server.now += by
            self.server.most = max(self.server.most, self.server.now)


LATENCY_S = 0.03


class CountingServer(server_process.Server):
    now = most = 0

    def finish_request(self, request, client_address) -> None:
        Counting(request, client_address, self)


@pytest.fixture
def counting(tmp_path, session):
    """A server that knows how many asked at once, and a recipe for it."""
    small_planet(tmp_path / "planet")
    server = CountingServer(server_process.Settings(tmp_path / "planet", latency_s=LATENCY_S))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    catalogue = remote_catalogue(tmp_path / "planet", f"http://127.0.0.1:{server.server_port}")
    yield server, catalogue.with_name("recipe-http.yaml")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("most", "least"), [(None, 5), (2, 2)])
def test_one_process_has_so_many_requests_in_flight(counting, tmp_path, most, least):
    server, recipe = counting
    assert build(load_recipe(recipe), tmp_path / "out", workers=Cluster(workers=0, max_requests=most)).complete
    assert least <= server.most <= (most or 8)


@pytest.mark.sampled(one_in=3, among="requests of a cluster")
@pytest.mark.parametrize("most", [4, 1])
@pytest.mark.cluster
def test_a_whole_cluster_has_so_many_requests_in_flight(counting, dask, tmp_path, most):
    server, recipe = counting
    said = nutonic("build", recipe, "--out", tmp_path / "out", "--scheduler", dask.address, "--max-requests", most)
    assert said.code == 0, said.err
    assert most - 1 <= server.most <= most
    assert build(load_recipe(recipe), tmp_path / "other", workers=0).complete
    assert tree(tmp_path / "out") == tree(tmp_path / "other")


def by(results: list[BatchDone]) -> set[str]:
    return {worker for done in results for worker in done.rejects}


@pytest.mark.sampled(one_in=3, among="requests of a cluster")
@pytest.mark.parametrize("most", [4, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_workers_that_come_and_go_share_the_requests_that_there_are(counting, tmp_path, most):
    server, recipe = counting
    url, results = f"http://127.0.0.1:{server.server_port}/items.json", []
    with cluster(tmp_path / "cluster", workers=1, PYTHONPATH=ROOT / "tests") as dask:
        where = Cluster(scheduler=dask.address, max_requests=most)
        with workers_for(sources_of(load_recipe(recipe)), tmp_path / "out", where, Callback()) as ready:
            for done in run_jobs(ready, partial(asking, url=url), Callback(), jobs(30)):
                results.append(done)
                if len(results) == 1:
                    assert server.most == most  # one worker has them all
                    for _ in range(2):
                        dask.start_worker()
                    dask.wait_for_workers()
                    until(lambda: len(ready.client.nthreads()) == 3, "two more workers")
                    ready.share_requests()
                if len(results) == 12:
                    (first,) = by(results[:1])
                    ready.client.retire_workers([first])
            assert sum(ready.shares.values()) <= most
            assert first not in ready.shares
    assert sorted(done.index for done in results) == list(range(30))
    assert server.most == most
    assert sum(done.network["requests"] for done in results) == 30 * 16
    assert len(by(results)) == {4: 3, 1: 2}[most]


@pytest.mark.long
def test_where_there_are_fewer_requests_than_workers_the_others_hand_their_jobs_back(counting, dask, tmp_path):
    server, recipe = counting
    url = f"http://127.0.0.1:{server.server_port}/items.json"
    where = Cluster(scheduler=dask.address, max_requests=1)
    with workers_for(sources_of(load_recipe(recipe)), tmp_path / "out", where, Callback()) as ready:
        assert sorted(ready.shares.values()) == [0, 1]
        results = list(run_jobs(ready, partial(asking, url=url, count=4), Callback(), jobs(12)))
        assert by(results) == {worker for worker, share in ready.shares.items() if share}
    assert sorted(done.index for done in results) == list(range(12))
    assert server.most == 1


def test_who_reads_on_workers_that_build_is_neither_held_up_nor_counted(counting, dask, tmp_path):
    from distributed import Client

    server, recipe = counting
    url = f"http://127.0.0.1:{server.server_port}/items.json"
    where = Cluster(scheduler=dask.address, max_requests=1)
    with (
        workers_for(sources_of(load_recipe(recipe)), tmp_path / "out", where, Callback()) as ready,
        Client(dask.address) as notebook,
    ):
        for worker in ready.shares:
            notebook.submit(ask, url, 3, workers=[worker], pure=False).result(timeout=20)
        assert server.most > 1
        results = list(run_jobs(ready, partial(asking, url=url, count=4), Callback(), jobs(3)))
    assert [done.network["requests"] for done in results] == [4, 4, 4]


@pytest.mark.long
def test_a_build_hears_of_its_jobs_while_another_client_is_the_current_one(clean, dask, tmp_path):
    from distributed import Client

    def finished() -> int:
        return sum(len(list(run_jobs(ready, partial(pause, seconds=0.01), Callback(), jobs(3)))) for _ in range(12))

    where = Cluster(scheduler=dask.address)
    with (
        workers_for(sources_of(load_recipe(clean.recipe)), tmp_path / "out", where, Callback()) as ready,
        Client(dask.address),  # such as a notebook's
        ThreadPoolExecutor(1) as driver,
    ):
        build = driver.submit(finished)
        try:
            # Each news that is lost is heard some 5 s later, when something else wakes that loop.
            assert build.result(timeout=20) == 36
        finally:
            ready.client.close()  # so that what waits in vain ends


@pytest.mark.parametrize(
    ("most", "threads", "before", "shares"),
    [
        (9, {"a": 1, "b": 1}, {}, {"a": 5, "b": 4}),
        (9, {"a": 1, "b": 1}, {"b": 8}, {"a": 4, "b": 5}),
        (2, {"a": 1, "b": 1, "c": 1}, {"c": 1}, {"a": 1, "b": 0, "c": 1}),
        (40, {"a": 1, "b": 2}, {}, {"a": 8, "b": 16}),
        (1, {}, {"a": 1}, {}),
    ],
)
def test_shares_come_to_no_more_than_there_is(most, threads, before, shares):
    assert shares_of(most, threads, before) == shares


def test_nobody_gets_more_before_the_others_have_less(counting, dask, tmp_path):
    server, recipe = counting
    url = f"http://127.0.0.1:{server.server_port}/items.json"
    where = Cluster(scheduler=dask.address, max_requests=4)
    with workers_for(sources_of(load_recipe(recipe)), tmp_path / "out", where, Callback()) as ready:
        one, other = sorted(ready.shares)
        ready.shares = {one: 4}  # as if the other were new
        ready.client.run(workers.limit, ready.name, {one: 4, other: 0})
        server.settings = replace(server.settings, latency_s=1.5)
        task = ready.submitted(partial(asking, url=url, count=4))
        busy = ready.client.submit(task, workers.packed(jobs(1)[0]), workers=[one])
        until(lambda: server.now == 4, "four requests in flight")
        ready.share_requests()
        assert ready.shares == {one: 2, other: 0}
        busy.result(timeout=30)
        ready.share_requests()
        assert ready.shares == {one: 2, other: 2}


def test_nothing_is_asked_of_workers_where_there_is_nothing_to_do(clean, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    monkeypatch.setattr("nutonic.run.executor.workers_for", None)
    assert build(load_recipe(clean.recipe), out, workers=2).finished == 0


_WITHOUT_POSIX = """
import sys
sys.path[:0] = [sys.argv[1]]
import support.absent
import nutonic as nt
print(nt.build(nt.load_recipe(sys.argv[2]), sys.argv[3], workers=1).finished)
"""


@pytest.mark.sampled(one_in=2, among="without POSIX")
@pytest.mark.cluster
def test_workers_are_started_without_posix(clean, tmp_path):
    command = [sys.executable, "-c", _WITHOUT_POSIX, ROOT / "tests", clean.recipe, tmp_path / "out"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "9\n", done.stderr
    same_as(tmp_path / "out", clean)


def test_a_report_without_a_cluster_is_refused(clean, tmp_path):
    with pytest.raises(InputError, match="--workers 0 has none"):
        build(
            load_recipe(clean.recipe),
            tmp_path / "out",
            workers=Cluster(workers=0, performance_report=tmp_path / "r.html"),
        )
    assert listing(tmp_path) == {}


@dataclass(frozen=True)
class Neighbours:
    """Jobs in an order in which neighbours have something in common."""

    count: int
    backwards = False

    def between(self, first: int, end: int) -> Iterator[Job]:
        return iter(jobs(end)[first:])


@pytest.mark.cluster
def test_neighbours_go_to_one_worker(clean, dask, tmp_path):
    """Otherwise each would read and unpack the blocks that they share."""
    with workers_for(sources_of(load_recipe(clean.recipe)), tmp_path / "out", address_of(dask), Callback()) as ready:
        done = {each.index: [*each.rejects] for each in run_jobs(ready, where, Callback(), Neighbours(40))}
    assert sorted(done) == list(range(40))
    changes = sum(done[k] != done[k + 1] for k in range(39))
    assert changes <= 12  # one of them, and what is taken at the end from who is slower; dealt out one by one, about 20
