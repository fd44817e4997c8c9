"""Workers and schedulers that are there and do not answer: who, and for how long, is told; and nobody waits for them."""

from __future__ import annotations

import os
import re
import signal
import threading
import time

import pytest
from support.callbacks import Recorder
from support.clusters import cluster, started, until
from support.trees import committed_batches, same_as

from nutonic import load_recipe
from nutonic.run import silence
from nutonic.run.callbacks import BatchFinished, Note
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.run import build
from nutonic.run.silence import TOLD_AFTER_S, Present, Watch

WORKER = Present(last_seen=0.0, threads=1, tasks=("a",))


def seen(**times: float) -> dict[str, Present]:
    """Workers by address, seen when the scheduler's clock said so."""
    return {address: Present(last_seen=at, threads=1, tasks=(address,)) for address, at in times.items()}


def test_a_worker_that_stops_answering_is_told_once_and_when_it_answers_again():
    watch, told = Watch("tcp://s", began=0.0), []
    for second in range(100):
        at = float(second)
        watch.hear(seen(one=at, two=min(at, 10.0) if second < 50 else at), at)
        told += [(second, line) for line in watch.lines(at)]
    assert told == [
        (30, "worker two has not answered for 20 s: what it has to do waits for it; let it go on, or end it"),
        (50, "worker two answers again"),
    ]


def test_the_clock_of_the_scheduler_is_not_this_ones():
    """An hour before, or standing still by a tick: what counts is that it goes on."""
    watch = Watch("tcp://s", began=1000.0)
    for second in range(60):
        watch.hear(seen(one=-3600.0 + second // 5), 1000.0 + second)
        assert watch.lines(1000.0 + second) == []


def test_a_worker_that_was_silent_and_left_is_not_said_to_answer():
    watch = Watch("tcp://s", began=0.0)
    for second in range(25):
        watch.hear(seen(one=0.0), float(second))
    assert len(watch.lines(25.0)) == 1
    watch.hear({}, 26.0)
    assert watch.lines(26.0) == []


@pytest.mark.parametrize("answers", [0, 5])
def test_a_silent_scheduler_is_told_and_not_its_workers(answers):
    watch, told = Watch("tcp://s", began=0.0), []
    for second in range(answers):
        watch.hear(seen(one=float(second)), float(second))
    for second in range(answers, 60):
        told += watch.lines(float(second))
    watch.hear(seen(one=4.0), 60.0)
    told += watch.lines(60.0)
    assert told == [
        "the Dask scheduler at tcp://s has not answered for 20 s: what it has to do waits for it; let it go on, or end it",
        "the Dask scheduler at tcp://s answers again",
    ]


@pytest.mark.parametrize(
    ("keys", "vain"), [({"two"}, True), ({"one"}, False), ({"one", "two"}, False), ({"elsewhere"}, False)]
)
def test_what_waits_for_nobody_but_the_silent(keys, vain):
    watch = Watch("tcp://s", began=0.0)
    for second in range(40):
        watch.hear(seen(one=float(second), two=1.0), float(second))
    assert watch.is_all_that_is_left(keys, 40.0) is vain
    assert not watch.is_all_that_is_left(keys, 21.0 - TOLD_AFTER_S)
    assert watch.is_all_that_is_left(keys, 40.0 + TOLD_AFTER_S)  # the scheduler


@pytest.mark.parametrize(("two", "vain"), [(0.0, True), (40.0, False)])
def test_what_is_queued_waits_for_whoever_answers(two, vain):
    """A scheduler keeps back what its workers cannot begin yet."""
    watch = Watch("tcp://s", began=0.0)
    for second in range(41):
        watch.hear(seen(one=0.0, two=min(two, float(second))), float(second))
    assert watch.is_all_that_is_left({"one", "queued"}, 40.0) is vain
    assert watch.is_all_that_is_left({"one"}, 40.0)
    watch.hear({}, 41.0)  # nobody is there
    assert watch.is_all_that_is_left({"one", "queued"}, 41.0)


class Stopping(Recorder):
    """Stops a process once a first batch is there; lets it go on, or asks to stop, once that was told."""

    def __init__(self, pid: int, *, lets_go_on: bool) -> None:
        super().__init__()
        self._pid, self._lets_go_on, self.told = pid, lets_go_on, threading.Event()

    def on_batch(self, event: BatchFinished, /) -> None:
        if not any(isinstance(each, BatchFinished) for each in self.events):
            os.kill(self._pid, signal.SIGSTOP)
        super().on_batch(event)

    def on_note(self, event: Note, /) -> None:
        super().on_note(event)
        if "has not answered" in event.text:
            self.told.set()
            if self._lets_go_on:
                os.kill(self._pid, signal.SIGCONT)

    def stop_requested(self) -> bool:
        return self.told.is_set() and not self._lets_go_on

    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]


@pytest.mark.long
@pytest.mark.cluster
@pytest.mark.parametrize("lets_go_on", [True, False])
@pytest.mark.parametrize("who", ["worker", "scheduler"])
def test_who_is_stopped_is_told_and_no_place_is_lost(clean, tmp_path, monkeypatch, who, lets_go_on):
    monkeypatch.setattr(silence, "TOLD_AFTER_S", 1.5)
    with cluster(tmp_path / "cluster", workers=1) as dask:
        process = dask.scheduler if who == "scheduler" else dask.workers[0]
        stopping = Stopping(process.pid, lets_go_on=lets_go_on)
        began = time.monotonic()
        summary = build(
            load_recipe(clean.recipe), tmp_path / "out", workers=Cluster(scheduler=dask.address), callbacks=[stopping]
        )
        assert time.monotonic() - began < 120  # dask itself gives a worker up after 300 s
        os.kill(process.pid, signal.SIGCONT)
    assert re.fullmatch(rf"(worker|the Dask {who} at) tcp://[\d.:]+ has not answered for 2 s: .*", stopping.notes()[0])
    if lets_go_on:
        assert summary.complete
    assert build(load_recipe(clean.recipe), tmp_path / "out", workers=0).complete
    same_as(tmp_path / "out", clean)


@pytest.mark.long
@pytest.mark.cluster
@pytest.mark.parametrize("who", ["worker", "scheduler"])
def test_ctrl_c_is_obeyed_while_nobody_answers(clean, tmp_path, who):
    out = tmp_path / "out"
    with cluster(tmp_path / "cluster", workers=1) as dask:
        process = started(tmp_path, "build", clean.recipe, "--out", out, "--scheduler", dask.address)
        until(lambda: committed_batches(out) or process.poll() is not None, "a batch")
        (dask.scheduler if who == "scheduler" else dask.workers[0]).send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        until(lambda: "finishing what is in flight" in process.told() or process.poll() is not None, "an answer", 10)
        process.send_signal(signal.SIGINT)
        assert process.ended(10) == 130, process.told()
    assert "Traceback" not in process.told()
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as(out, clean)


@pytest.mark.long
@pytest.mark.cluster
def test_ctrl_c_while_a_worker_that_is_stopped_is_set_up_says_so(clean, tmp_path):
    """What waits for it cannot be interrupted, so that the process is ended at last: not without a word."""
    out = tmp_path / "out"
    with cluster(tmp_path / "cluster", workers=1) as dask:
        dask.workers[0].send_signal(signal.SIGSTOP)
        process = started(tmp_path, "build", clean.recipe, "--out", out, "--scheduler", dask.address)
        until(lambda: process.poll() is not None or "has not answered for 20 s" in process.told(), "a line")
        process.send_signal(signal.SIGINT)
        assert process.ended(10) == 130, process.told()
    assert process.told().splitlines()[-1] == "nutonic: interrupted: the same command goes on from here"
    assert process.told().count("interrupted") == 1
