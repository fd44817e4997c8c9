"""Clusters as they are: workers that hang, batches that never end, schedulers without workers, and what the killed leave."""

from __future__ import annotations

import ast
import inspect
import json
import multiprocessing
import re
import signal
import time
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster
from support.callbacks import Recorder
from support.cli import nutonic
from support.clusters import cluster, deaths, dying_workers, started, until
from support.trees import committed_batches, same_as

from nutonic import load_recipe
from nutonic.errors import InputError, StoreError
from nutonic.run.callbacks import Note
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.run import build
from nutonic.run.silence import Present, Watch


def scripted(folder, clean, **death: object) -> dict[str, str]:
    """Workers of which something happens to the first that writes a picture in the midst of the largest batch."""
    pictures = sorted(name for name in max(clean.batches.values(), key=len) if name.endswith(".png"))
    return dying_workers(folder, {"path": pictures[1], "moment": "before", "times": 1, **death})


@pytest.mark.long
@pytest.mark.cluster
def test_what_a_stopped_worker_has_goes_to_others_and_the_late_twin_harms_nothing(clean, tmp_path, monkeypatch):
    monkeypatch.setattr("nutonic.run.silence.TOLD_AFTER_S", 1.5)
    recorder, out = Recorder(), tmp_path / "out"
    with cluster(tmp_path / "cluster", **scripted(tmp_path, clean, how="SIGSTOP")) as dask:
        workers = Cluster(scheduler=dask.address, patience=2.5)
        summary = build(load_recipe(clean.recipe), out, workers=workers, callbacks=[recorder])
        assert len(deaths(tmp_path)) == 1
        assert (summary.complete, summary.finished, summary.failures) == (True, 9, ())
        same_as(out, clean)
        for worker in dask.workers:  # it wakes up, and finishes what it was at
            worker.send_signal(signal.SIGCONT)
        time.sleep(1.0)
        same_as(out, clean)
    told = [event.text for event in recorder.events if isinstance(event, Note)]
    assert [line for line in told if "for 2 s" in line and "after 2 s others get what it has to do" in line], told
    assert [line for line in told if re.search(r": others get (1 batch|[2-9] batches) of its$", line)], told


@pytest.mark.long
@pytest.mark.cluster
@pytest.mark.parametrize("told_s", [1.5, pytest.param(60.0, marks=pytest.mark.long)])
@pytest.mark.parametrize("most", [None, pytest.param(4, marks=pytest.mark.long)])
def test_a_worker_that_is_stopped_before_all_begins_is_not_waited_for(clean, tmp_path, monkeypatch, most, told_s):
    """Neither to be looked at nor to be set up nor to confirm its share; once it goes on, it is set up as the others are.

    Nor is it given a batch again and again, where patience ends before its silence is told.
    """
    monkeypatch.setattr("nutonic.run.silence.TOLD_AFTER_S", told_s)
    recorder, out = Recorder(), tmp_path / "out"
    with cluster(tmp_path / "cluster") as dask:
        dask.workers[1].send_signal(signal.SIGSTOP)
        workers = Cluster(scheduler=dask.address, patience=4.0, max_requests=most)
        summary = build(load_recipe(clean.recipe), out, workers=workers, callbacks=[recorder])
        assert (summary.complete, summary.finished, summary.failures) == (True, 9, ())
        same_as(out, clean)
        dask.workers[1].send_signal(signal.SIGCONT)
        with Client(dask.address) as client:
            until(lambda: len(client.run(lambda: None)) == 2, "it to go on")
            assert plugins(client) == []
        assert build(load_recipe(clean.recipe), tmp_path / "again", workers=workers).complete
        same_as(tmp_path / "again", clean)
    told = [event.text for event in recorder.events if isinstance(event, Note)]
    assert told_s > 4 or [line for line in told if "after 4 s others get what it has to do" in line], told


@pytest.mark.long
@pytest.mark.cluster
@pytest.mark.parametrize("own", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_a_place_that_never_ends_is_told_and_the_run_ends_without_it(clean, tmp_path, own):
    environment = scripted(tmp_path, clean, how="hang", times=None)
    arguments = ["build", clean.recipe, "--out", tmp_path / "out", "--deadline", 6, "--json"]
    if own:
        process = started(tmp_path, *arguments, "--workers", 1, **environment)
        assert process.ended() == 1, process.told()
    else:
        with cluster(tmp_path / "cluster", **environment) as dask:
            process = started(tmp_path, *arguments, "--scheduler", dask.address)
            assert process.ended() == 1, process.told()
    said = process.told()
    assert "and does not end: its places stay open" in said
    failures = json.loads(said[said.index("{\n") : said.rindex("}") + 1])["failures"]
    assert {failure["reason"] for failure in failures} == {"does not end"}
    assert committed_batches(tmp_path / "out")
    assert build(load_recipe(clean.recipe), tmp_path / "out", workers=0).complete
    same_as(tmp_path / "out", clean)


@pytest.mark.sampled(one_in=2, among="hanging")
@pytest.mark.cluster
def test_where_each_worker_has_a_batch_that_does_not_end_the_run_ends(clean, tmp_path):
    with cluster(tmp_path / "cluster", workers=1, **scripted(tmp_path, clean, how="hang")) as dask:
        said = nutonic(
            "build", clean.recipe, "--out", tmp_path / "out", "--scheduler", dask.address, "--deadline", 1
        )  # fmt: skip
    assert said.code == 1
    assert said.err.splitlines()[-1].endswith("does not end after 1 s: restart them and run the same command again")


@pytest.mark.long
@pytest.mark.cluster
def test_a_scheduler_without_workers_is_told_and_ctrl_c_obeyed_at_once(clean, tmp_path):
    with cluster(tmp_path / "cluster", workers=0) as dask:
        process = started(tmp_path, "build", clean.recipe, "--out", tmp_path / "out", "--scheduler", dask.address)
        until(lambda: "there are no workers yet" in process.told(), "a line", 10)
        until((tmp_path / "out" / "_nutonic" / "recipe.yaml").exists, "a plan")
        time.sleep(1.0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.ended(20) == 130, process.told()
        assert time.monotonic() - began < 10  # 2 s on a machine that has nothing else to do
        assert re.search(r"^nothing was built: \d+ places are still to be done in ", process.told(), re.MULTILINE)
        dask.start_worker()
        dask.wait_for_workers()
        again = started(tmp_path, "build", clean.recipe, "--out", tmp_path / "out", "--scheduler", dask.address)
        assert again.ended() == 0, again.told()
    same_as(tmp_path / "out", clean)


@pytest.mark.long
@pytest.mark.cluster
@pytest.mark.parametrize("how", ["time.sleep(600)", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"])
def test_a_worker_whose_start_does_not_end_is_not_waited_for_without_end(clean, tmp_path, monkeypatch, how):
    """Nor, where it is stopped, as this process ends."""
    (tmp_path / "endless.py").write_text(f"import time\n{how}\n", encoding="utf-8")
    monkeypatch.setattr("nutonic.run.clusters.cluster._STARTED_S", 4.0)
    with (
        dask.config.set({"distributed.worker.preload": [str(tmp_path / "endless.py")]}),
        pytest.raises(StoreError, match=r"cannot start workers: .*or build without workers \(--workers 0\)$"),
    ):
        build(load_recipe(clean.recipe), tmp_path / "out", workers=1)
    until(lambda: not multiprocessing.active_children(), "its process to end")
    assert build(load_recipe(clean.recipe), tmp_path / "out", workers=0).complete
    same_as(tmp_path / "out", clean)


@pytest.mark.sampled(one_in=2, among="hanging")
@pytest.mark.cluster
def test_the_plugin_of_a_killed_driver_does_not_stay(clean, tmp_path):
    with cluster(tmp_path / "cluster", workers=1) as dask, Client(dask.address) as client:
        process = started(tmp_path, "build", clean.recipe, "--out", tmp_path / "out", "--scheduler", dask.address)
        until(lambda: committed_batches(tmp_path / "out") or process.poll() is not None, "a batch")
        process.kill()
        process.wait()
        left = plugins(client)
        until(lambda: not any(name.split(":")[1] in clients(client) for name in left), "the driver to be missed")
        assert build(load_recipe(clean.recipe), tmp_path / "out", workers=Cluster(scheduler=dask.address)).complete
        assert plugins(client) == []
        assert client.run(lambda dask_worker: [n for n in dask_worker.plugins if n.startswith("nutonic:")]) == {
            address: [] for address in client.scheduler_info()["workers"]
        }
    same_as(tmp_path / "out", clean)


def plugins(client: Client) -> list[str]:
    return client.run_on_scheduler(lambda dask_scheduler: [n for n in dask_scheduler.worker_plugins if "nutonic" in n])


def clients(client: Client) -> list[str]:
    return client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.clients))


@pytest.mark.long
@pytest.mark.cluster
def test_a_scheduler_is_found_by_its_file_and_by_a_cluster_object(clean, tmp_path):
    with cluster(tmp_path / "cluster", workers=1):
        file = tmp_path / "cluster" / "scheduler-0.json"
        said = nutonic("build", clean.recipe, "--out", tmp_path / "file", "--scheduler", file)
        assert said.code == 0, said.err
    same_as(tmp_path / "file", clean)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", processes=False) as local:
        assert build(load_recipe(clean.recipe), tmp_path / "object", workers=Cluster(scheduler=local)).complete
        assert len(local.workers) == 1  # it is not ours to stop
    same_as(tmp_path / "object", clean)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "there is no file"), ("{}", "it has no address"), ("no JSON", "it has no address")]
)
def test_a_file_that_is_no_schedulers_is_a_line(clean, tmp_path, content, words):
    if content is not None:
        (tmp_path / "scheduler.json").write_text(content)
    with pytest.raises(InputError, match=words):
        build(load_recipe(clean.recipe), tmp_path / "out", workers=Cluster(scheduler=tmp_path / "scheduler.json"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["patience", "deadline", "wait"])
def test_seconds_that_are_none_are_refused(clean, tmp_path, name):
    with pytest.raises(InputError, match=f"{name} is -1: give a number of seconds above 0"):
        build(load_recipe(clean.recipe), tmp_path / "out", workers=Cluster(workers=1, **{name: -1}))


def test_only_what_holds_every_thread_of_a_worker_keeps_others_from_it():
    """Of two threads one goes on; and once a task ends at last, the worker is as good as any."""

    def seen(**running: float) -> dict[str, Present]:
        return {"one": Present(1.0, 2, ("a", "b", "c"), running)}

    watch = Watch("tcp://s", began=0.0)
    watch.hear(seen(a=9.0, b=3.0), 1.0)
    assert watch.overdue(5.0) == [("one", "a")]
    watch.hung["one"] = {"a"}
    assert (watch.steady(1.0), watch.held(1.0, 60.0)) == (["one"], {})
    watch.hung["one"] |= {"b"}
    assert (watch.steady(1.0), watch.held(1.0, 60.0)) == ([], {"one": ("a", "b", "c")})
    watch.hear(seen(b=4.0), 2.0)
    assert (watch.steady(2.0), watch.hung) == (["one"], {"one": {"b"}})


def test_who_has_lost_its_batches_for_its_silence_is_given_no_other():
    """Though its silence is told only later."""
    watch = Watch("tcp://s", began=0.0, goes_to_others_s=5.0)
    for now in (1.0, 7.0):
        watch.hear({"mute": Present(1.0, 1, ("a",)), "one": Present(now, 1, ())}, now)
    assert (watch.steady(7.0), watch.silent(7.0)) == (["one"], [])
    assert watch.held(7.0, 5.0) == {"mute": ("a",)}


@pytest.mark.exhaustive
@pytest.mark.parametrize("library", ["dask_jobqueue", "dask_kubernetes.operator", "coiled"])
def test_examples_of_clusters_name_what_is_there(library):
    """Names and options alone: there is no such cluster here."""
    found = pytest.importorskip(library, exc_type=ImportError)
    page = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
    blocks = [ast.parse(block) for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if library in block]
    calls = [node for block in blocks for node in ast.walk(block) if isinstance(node, ast.Call)]
    made = [call for call in calls if re.search(r"^(?!nt\.).*Cluster$", ast.unparse(call.func))]
    assert made
    for call in made:
        parts = [getattr(found, ast.unparse(call.func).rpartition(".")[2])]
        takes = {
            name for part in parts for base in part.__mro__ for name in inspect.signature(base.__init__).parameters
        }
        assert {keyword.arg for keyword in call.keywords} <= takes
        assert hasattr(parts[0], "scheduler_address")
        assert hasattr(parts[0], "adapt")
