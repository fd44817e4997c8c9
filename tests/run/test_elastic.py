"""Clusters that grow and shrink: adaptive ones, workers with a notice that they end, and workers that are too small."""

from __future__ import annotations

import signal

import dask
import pytest
from distributed import LocalCluster
from support import slow as slow_pictures
from support.callbacks import Recorder
from support.clusters import cluster, started, until
from support.trees import same_as

from nutonic import BatchFinished, BuildStarted, Callback, Note, WorkersChanged, load_recipe
from nutonic.core.units import size
from nutonic.io.objects import Store
from nutonic.planning.cost import WORKER_BYTES
from nutonic.planning.plan_file import read_plan
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.run import build


class Heard(Callback):
    """How many workers there were, whenever that changed."""

    def __init__(self) -> None:
        self.there: list[int] = []
        self.lost: list[int] = []

    def on_workers(self, event: WorkersChanged, /) -> None:
        self.there.append(event.there)
        self.lost.append(event.lost)


@pytest.mark.sampled(one_in=2, among="elastic clusters")
@pytest.mark.cluster
def test_an_adaptive_cluster_comes_from_none_and_goes_to_none_and_comes_again(clean, tmp_path):
    """Whoever asks for workers has them within the time that is waited for; the cluster stays as it was."""
    own = {"n_workers": 0, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": "CRITICAL"}
    with LocalCluster(**own) as local:
        local.adapt(minimum=0, maximum=2, interval="200 ms", wait_count=2)
        for name in ("one", "another"):
            until(lambda: not local.scheduler.workers, "no worker")
            heard, out = Heard(), tmp_path / name
            summary = build(load_recipe(clean.recipe), out, workers=Cluster(scheduler=local), callbacks=[heard])
            assert summary.complete
            assert heard.there[0] == 0
            assert 1 <= max(heard.there) <= 2
            same_as(out, clean)
        assert local.status.name == "running"


@pytest.mark.long
@pytest.mark.cluster
def test_a_worker_that_is_told_to_end_leaves_its_batches_to_others(clean, tmp_path):
    """As the machines do that may be taken away at any time: they send SIGTERM, and are gone after a while."""
    out = tmp_path / "tree"
    with cluster(tmp_path / "cluster", workers=1, **slow_pictures.WORKERS) as dask_cluster:
        process = started(tmp_path, "build", clean.recipe, "--out", out, "--scheduler", dask_cluster.address)
        until(lambda: any(out.glob("images/*/*")), "a picture")
        first, _ = dask_cluster.workers[0], dask_cluster.start_worker()
        first.send_signal(signal.SIGTERM)
        assert process.ended() == 0, process.told()
        until(lambda: first.poll() is not None, "its end")
    same_as(out, clean)


@pytest.mark.sampled(one_in=2, among="elastic clusters")
@pytest.mark.cluster
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_may_take_less_than_a_batch_does_are_told_of(clean, tmp_path, workers):
    never = {f"distributed.worker.memory.{what}": False for what in ("target", "spill", "pause", "terminate")}
    takes = read_plan(Store(clean.out)).header["cost"]["peak_bytes"]
    a_thread = takes - WORKER_BYTES
    assert a_thread > 0
    own = {"n_workers": workers, "threads_per_worker": 2, "dashboard_address": ":0", "processes": False}
    for limit, told in ((WORKER_BYTES + 2 * a_thread - 1, True), (WORKER_BYTES + 2 * a_thread, False)):
        heard, out = Recorder(), tmp_path / str(told)
        with dask.config.set(never), LocalCluster(**own, memory_limit=limit) as local:
            build(load_recipe(clean.recipe), out, workers=Cluster(scheduler=local), limit=1, callbacks=[heard])
        found = [each.text for each in heard.events if isinstance(each, Note) and " may take " in each.text]
        assert len(found) == told
        for text in found:
            whose = "worker " if workers == 1 else "2 of 2 workers, such as "
            assert text.startswith(whose)
            assert text.endswith(
                f" may take {size(limit)}, not {size(WORKER_BYTES + 2 * a_thread)}, as batches take at most in 2 threads: "
                "give more memory or fewer threads, or lower grid.extent_m"
            )


@pytest.mark.cluster
def test_a_worker_that_is_lost_just_before_the_end_is_told_as_lost(clean, tmp_path):
    """The scheduler is asked each second who is there; what happens in the last second is told as well."""
    out, heard = tmp_path / "tree", Heard()
    with cluster(tmp_path / "cluster", workers=2) as dask_cluster:

        class Kills(Callback):
            """Kills a worker after the last batch but for those in flight, and waits for its end."""

            def __init__(self) -> None:
                self.left = 0

            def on_start(self, event: BuildStarted, /) -> None:
                self.left = event.to_do

            def on_batch(self, event: BatchFinished, /) -> None:
                self.left -= event.result.finished
                if self.left == 0:
                    dask_cluster.workers[0].kill()
                    dask_cluster.workers[0].wait()

        build(
            load_recipe(clean.recipe), out, workers=Cluster(scheduler=dask_cluster.address), callbacks=[Kills(), heard]
        )
    assert (heard.there, heard.lost) == ([2, 1], [0, 1])
    same_as(out, clean)
