"""Watching a build, and stopping it: progress, JSON lines, dashboard, performance report, Ctrl-C once and twice."""

from __future__ import annotations

import contextlib
import heapq
import io
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import orjson
import psutil
import pytest
from rich.console import Console
from support import slow as slow_pictures
from support.callbacks import OnBatch, Recorder
from support.cli import nutonic
from support.clusters import Process, cluster, started, until
from support.trees import clean_tree, committed_batches, same_as, small_planet

from nutonic import load_recipe
from nutonic.cli import progress as showing
from nutonic.cli.interrupts import Interrupts
from nutonic.errors import InputError, MissingExtra
from nutonic.run import dask_report as performance
from nutonic.run.callbacks import (
    BatchFinished,
    BuildEnded,
    BuildStarted,
    Callback,
    CallbackGroup,
    StageBegun,
    WorkersChanged,
)
from nutonic.run.clusters import cluster as connection
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.results import BatchDone
from nutonic.run.run import build
from nutonic.run.silence import Present, Watch

#: So many pictures that a batch takes most of a second, where a picture takes a while.
SLOW = {"rows": {"augment": ["flip", "r90", "r180", "r270"]}}


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    return clean_tree(small_planet(folder / "planet", **SLOW), folder / "tree")


# Ctrl-C


slowly = partial(started, module="support.slow", **slow_pictures.WORKERS)


def begun(out: Path, process: Process) -> bool:
    """Whether there are pictures; fails if the build is over already."""
    assert process.poll() is None, process.told()
    return any(out.glob("images/*/*"))


@pytest.mark.long
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.cluster)])
def test_ctrl_c_lets_what_is_in_flight_be_finished(slow, tmp_path, workers):
    out = tmp_path / "out"
    process = slowly(tmp_path, "build", slow.recipe, "--out", out, "--workers", workers, "--json")
    until(lambda: begun(out, process), "a picture")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    code, told = process.ended(60), process.told()
    assert "Traceback" not in told
    assert "nutonic: finishing what is in flight (Ctrl-C again stops at once)\n" in told
    done = committed_batches(out)
    assert done
    # Every file there belongs to a commit, and the rows of the commits are in data.
    files = {path.relative_to(out).as_posix() for path in out.glob("images/*/*")}
    assert files == {n for b, names in slow.batches.items() if b in done for n in names if n.startswith("images/")}
    summary = json.loads(told[told.index("{\n") : told.rindex("}\n") + 1])
    assert json.loads((out / "_nutonic/summary.json").read_bytes())["finished"] == summary["finished"] > 0
    if done != set(slow.batches):
        assert (code, told.splitlines()[-1]) == (130, "nutonic: interrupted: the same command goes on from here")
    else:  # with as many workers as there are batches there may be nothing left
        assert (code, workers) == (0, 2)
    assert build(load_recipe(slow.recipe), out, workers=0).complete
    same_as(out, slow)


@pytest.mark.long
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=[pytest.mark.cluster, pytest.mark.exhaustive])])
def test_ctrl_c_twice_stops_at_once(slow, tmp_path, workers):
    out = tmp_path / "out"
    process = slowly(tmp_path, "build", slow.recipe, "--out", out, "--workers", workers)
    until(lambda: begun(out, process), "a picture")
    family = process.children()
    assert len(family) >= workers
    os.killpg(process.pid, signal.SIGINT)
    until(lambda: "finishing" in process.told(), "the message")
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    assert process.ended(30) == 130, process.told()
    assert time.monotonic() - began < 6
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert "Traceback" not in process.told()
    assert committed_batches(out) < set(slow.batches)
    assert build(load_recipe(slow.recipe), out, workers=0).complete
    same_as(out, slow)


@pytest.mark.long
@pytest.mark.cluster
def test_ctrl_c_while_workers_start_is_not_lost(clean, tmp_path):
    process = started(tmp_path, "build", clean.recipe, "--out", tmp_path / "out", "--workers", 1)
    until(process.children, "a process of the cluster")
    os.killpg(process.pid, signal.SIGINT)
    assert process.ended(60) == 130, process.told()
    assert process.told().splitlines()[-1] == "nutonic: interrupted: the same command goes on from here"
    assert "Traceback" not in process.told()
    assert committed_batches(tmp_path / "out") == set()
    assert build(load_recipe(clean.recipe), tmp_path / "out", workers=0).complete
    same_as(tmp_path / "out", clean)


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_ctrl_c_on_a_cluster_begins_nothing_more_and_leaves_the_cluster_alone(slow, tmp_path):
    out = tmp_path / "out"
    with cluster(tmp_path / "cluster", workers=1, **slow_pictures.WORKERS) as dask:
        process = started(tmp_path, "build", slow.recipe, "--out", out, "--scheduler", dask.address)
        until(lambda: begun(out, process), "a picture")
        process.send_signal(signal.SIGTERM)
        assert process.ended(60) == 130, process.told()
        # Three were in flight, one of them had begun.
        assert len(committed_batches(out)) in (1, 2)
        assert list(out.rglob("token*")) == []
        assert build(load_recipe(slow.recipe), out, workers=Cluster(scheduler=dask.address)).complete
    same_as(out, slow)


def test_ctrl_c_when_all_is_done_already_is_no_interruption(clean, tmp_path, monkeypatch):
    def interrupted_at_the_last(event: BatchFinished) -> None:
        if event.result.index == max(clean.batches):
            os.kill(os.getpid(), signal.SIGINT)

    @contextlib.contextmanager
    def progress():
        yield OnBatch(interrupted_at_the_last)

    monkeypatch.setattr(showing, "progress", progress)
    before = signal.getsignal(signal.SIGINT)
    assert nutonic("build", clean.recipe, "--out", tmp_path / "out", "--workers", 0).code == 0
    assert signal.getsignal(signal.SIGINT) is before
    same_as(tmp_path / "out", clean)


def test_before_anything_is_in_flight_the_first_ctrl_c_stops(clean, tmp_path, monkeypatch):
    def planning(*_, **__):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    # The deadline that it sets must not end this process.
    monkeypatch.setattr(Interrupts, "_kill_after_deadline", lambda self: None)
    monkeypatch.setattr("nutonic.planning.prepare.prepare", planning)
    said = nutonic("build", clean.recipe, "--out", tmp_path / "out", "--workers", 0)
    assert (said.code, said.err) == (130, "nutonic: interrupted: the same command goes on from here\n")
    assert not (tmp_path / "out").exists()


# JSON lines


def events(err: str) -> list[dict]:
    found = [json.loads(line) for line in err.splitlines()]
    assert [list(event) for event in found] == [sorted(event) for event in found]
    return found


def test_logs_as_json_are_one_object_a_line(clean, tmp_path):
    args = ("build", clean.recipe, "--out", tmp_path / "out", "--log-json")
    said = nutonic(*args, "--workers", 0)
    assert (said.code, said.out) == (0, "")
    start, *batches, done = events(said.err)
    assert (start["event"], start["out"]) == ("start", str(tmp_path / "out"))
    assert {event["event"] for event in batches} == {"batch"}
    assert sorted(event["index"] for event in batches) == sorted(clean.batches)
    assert batches[-1]["done"] == batches[-1]["to_do"] == done["finished"] == done["wanted"] == 9
    assert sum(event["chips"] for event in batches) == done["tiles"]
    assert (done["event"], done["complete"], done["failures"]) == ("done", True, 0)
    said = nutonic(*args, "--workers", 0, "--json")
    assert orjson.loads(said.out)["finished"] == 0
    assert [event["event"] for event in events(said.err)] == ["start", "done"]


def test_lines_of_json_tell_when_and_how_grave_and_a_file_is_kept_for_prometheus(clean, tmp_path):
    out, metrics = tmp_path / "out", tmp_path / "nutonic.prom"
    said = nutonic("build", clean.recipe, "--out", out, "--workers", 0, "--log-json", "--metrics", metrics)
    found = events(said.err)
    now = datetime.now(UTC)
    assert all(0 <= (now - datetime.fromisoformat(event["time"])).total_seconds() < 300 for event in found)
    assert {event["level"] for event in found} == {"INFO"}
    batches, done = [event for event in found if event["event"] == "batch"], found[-1]
    assert {(event["workers"], event["bytes_read"]) for event in batches} == {(None, 0)}
    assert batches[0]["bytes_read_local"] > 0  # pixels of the next may be read while this one is cut
    lines = metrics.read_text().splitlines()
    told = dict(line.removeprefix("nutonic_").split() for line in lines if not line.startswith("#"))
    names = ("chips", "rows", "written_bytes", "places_done", "places_failed")
    wanted = (done["tiles"], done["rows"], done["bytes_written"], done["finished"], 0)
    assert tuple(int(told[f"{name}_total"]) for name in names) == wanted
    assert int(told["read_local_bytes_total"]) == sum(event["bytes_read_local"] for event in batches)
    assert (told["places_to_do"], told["complete"], told["workers"]) == ("9", "1", "0")
    assert all(
        re.fullmatch(r"# (HELP nutonic_\w+ .+\.|TYPE nutonic_\w+ (gauge|counter))", each)
        for each in lines
        if each[0] == "#"
    )
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    again = nutonic("build", clean.recipe, "--out", out, "--workers", 0, "--log-json", "--wrkers")
    assert events(again.err)[-1]["level"] == "ERROR"


def test_errors_as_json_are_one_object_too(clean, tmp_path):
    for args, word in (
        (("--out", tmp_path / "out", "--wrkers", 1), "--wrkers"),
        (("--workers", 0), "--out"),
        (("--out", clean.recipe, "--workers", 0), "is a file"),
    ):
        said = nutonic("build", "--log-json", clean.recipe, *args)
        *_, error = events(said.err)
        assert (said.code, error["event"]) == (2, "error")
        assert word in error["message"]
    assert "{" not in nutonic("build", clean.recipe, "--workers", 0).err  # chosen anew each time


@pytest.mark.sampled(one_in=3, among="a cluster's own pages")
@pytest.mark.cluster
def test_a_whole_cluster_adds_no_line_that_is_not_json(clean, tmp_path):
    process = started(
        tmp_path, "build", clean.recipe, "--out", tmp_path / "out", "--workers", 1, "--log-json", "--dashboard"
    )
    assert process.ended() == 0
    found = events(process.told())
    assert [event["event"] for event in found] == ["start", "note", *["batch"] * len(clean.batches), "done"]
    assert found[1]["message"].startswith("dashboard: http://127.0.0.1:")


# Callbacks


@pytest.mark.sampled(one_in=4, among="callbacks")
@pytest.mark.parametrize("workers", [0, 1])
def test_events_come_in_their_order_with_what_happened(clean, tmp_path, workers):
    recorder, out = Recorder(), tmp_path / "out"
    summary = build(load_recipe(clean.recipe), out, workers=workers, callbacks=[recorder])
    start, *batches, end = recorder.events
    assert start == BuildStarted(wanted=9, done_before=0)
    assert end == BuildEnded(summary=summary)
    assert {event.to_do for event in batches} == {9}
    assert sorted(event.result.index for event in batches) == sorted(clean.batches)
    assert sum(event.result.finished for event in batches) == 9
    assert json.loads((out / "_nutonic/summary.json").read_bytes())["finished"] == 9
    again = Recorder()
    build(load_recipe(clean.recipe), out, workers=workers, callbacks=[again])
    assert [type(event) for event in again.events] == [BuildStarted, BuildEnded]
    assert again.events[0] == BuildStarted(wanted=9, done_before=9)


def test_a_group_passes_every_event_on():
    """One that it did not know would be heard by nobody."""
    events = [name for name in vars(Callback) if name.startswith("on_")]
    heard: list[tuple[str, object]] = []
    one = type(
        "One", (Callback,), {name: lambda self, event, name=name: heard.append((name, event)) for name in events}
    )
    group = CallbackGroup([one(), one()])
    for name in events:
        getattr(group, name)(name)
    assert heard == [(name, name) for name in events for _ in range(2)]
    assert len(events) >= 7


@pytest.mark.sampled(one_in=4, among="callbacks")
@pytest.mark.parametrize("workers", [0, 1])
def test_one_of_several_callbacks_stops_a_build_and_all_hear_of_its_end(slow, tmp_path, workers):
    out, stopping, other = tmp_path / "out", Recorder(most=2), Recorder()  # the start, and a batch
    summary = build(load_recipe(slow.recipe), out, workers=workers, callbacks=[other, stopping])
    assert other.events == stopping.events
    assert isinstance(other.events[-1], BuildEnded)
    assert 0 < summary.still_open == summary.wanted - summary.finished
    done = {event.result.index for event in other.events if isinstance(event, BatchFinished)}
    assert done == committed_batches(out)
    assert build(load_recipe(slow.recipe), out, workers=0).complete
    same_as(out, slow)


def test_a_callback_that_raises_ends_the_build_and_the_same_call_goes_on(clean, tmp_path):
    class Full(Callback):
        def on_batch(self, event: BatchFinished, /) -> None:
            raise ZeroDivisionError("mine")

    recorder = Recorder()
    with pytest.raises(ZeroDivisionError, match="mine"):
        build(load_recipe(clean.recipe), tmp_path / "out", workers=0, callbacks=[Full(), recorder])
    assert [type(event) for event in recorder.events] == [BuildStarted]
    assert build(load_recipe(clean.recipe), tmp_path / "out", workers=0).done_before > 0
    same_as(tmp_path / "out", clean)


@pytest.mark.parametrize("workers", ["tcp://127.0.0.1:8786", -1, 1.5])
def test_workers_that_are_no_number_are_refused_with_what_to_give(clean, tmp_path, workers):
    with pytest.raises(InputError, match=r"give a number from 0, or nutonic\.Cluster\(scheduler="):
        build(load_recipe(clean.recipe), tmp_path / "out", workers=workers)
    assert list(tmp_path.iterdir()) == []


def test_the_library_logs_to_those_who_listen_and_to_nobody_else(clean, tmp_path, caplog, capfd):
    build(load_recipe(clean.recipe), tmp_path / "out", workers=0)
    assert capfd.readouterr() == ("", "")
    with caplog.at_level(logging.DEBUG, "nutonic"):
        summary = build(load_recipe(clean.recipe), tmp_path / "other", workers=0)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name[:7] == "nutonic"]
    assert ("INFO", "9 of 9 places to do") in lines
    assert ("INFO", f"planned 9 places in {len(clean.batches)} batches, 1 rejected") in lines
    assert [text for level, text in lines if level == "DEBUG" and text.startswith("batch 0: ")]
    assert lines[-1][1].startswith(f"built {summary.built} places, {summary.tiles} chips, ")
    assert lines[-1][1].endswith("; 0 left")
    same_as(tmp_path / "other", clean)


# Dashboard and report


@pytest.mark.long
@pytest.mark.cluster
def test_without_bokeh_there_is_no_dashboard_and_a_line_says_so(clean, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "has_bokeh", lambda: False)
    monkeypatch.setattr(performance, "has_bokeh", lambda: False)
    said = nutonic("build", clean.recipe, "--out", tmp_path / "out", "--workers", 1, "--dashboard")
    assert said.code == 0
    assert "no dashboard: it needs bokeh: pip install 'nutonic[dashboard]'\n" in said.err
    with pytest.raises(MissingExtra, match=r"nutonic\[dashboard\]"):
        build(load_recipe(clean.recipe), tmp_path / "other", workers=Cluster(performance_report=tmp_path / "r.html"))
    assert not (tmp_path / "other").exists()


@pytest.mark.sampled(one_in=3, among="a cluster's own pages")
@pytest.mark.cluster
def test_a_performance_report_holds_no_secret(clean, tmp_path, monkeypatch):
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "canary-of-the-environment")
    page, raw = tmp_path / "report.html", []
    whole = performance.without_secrets

    def planted(text: str) -> str:
        """A report as it would be, had secrets come to the scheduler's ears."""
        assert "nutonic-0000" in text
        assert "CANARY = " not in text  # the source of this program
        where = text.index('"Bokeh Application"', data_of(text).start())
        leak = '"canary-of-the-environment https://h/a.tif?sig=canary-of-a-query &lt;b&gt; \\"x\\"'
        raw.append(text[:where] + leak + text[where + len('"Bokeh Application') :])
        return whole(raw[0])

    CANARY = "canary-of-the-source"
    monkeypatch.setattr(performance, "without_secrets", planted)
    out = tmp_path / "out"
    said = nutonic("build", clean.recipe, "--out", out, "--workers", 1, "--performance-report", page)
    assert said.code == 0, said.err
    text = page.read_text(encoding="utf-8")
    assert raw[0].count("canary") >= 2
    assert "canary" not in text
    assert CANARY not in text
    assert '"*** https://h/a.tif &lt;b&gt; \\"x\\"' in text
    # All else is as it was: what is embedded is still JSON, and the programs are bokeh's.
    assert "nutonic-0000" in data_of(text)[3]
    programs = [re.findall(r"<script>(.*?)</script>", page, re.DOTALL) for page in (text, raw[0])]
    assert programs[0] == programs[1]
    assert len(programs[0][0]) > 500_000
    # Nothing is fetched by whoever opens it: it is read where there is no network too.
    shell = re.sub(r"<script[^>]*>.*?</script>", "<script>", text, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)\s*=|@import|url\(", shell) == []
    same_as(out, clean)


def data_of(page: str) -> re.Match[str]:
    """What a report draws."""
    return next(match for match in performance._EMBEDDED.finditer(page) if match["data"])


def test_a_report_that_cannot_be_written_is_told_before_any_work(clean, tmp_path):
    for path in (tmp_path / "no" / "r.html", tmp_path):
        said = nutonic("build", clean.recipe, "--out", tmp_path / "out", "--performance-report", path)
        assert (said.code, len(said.err.splitlines())) == (2, 1)
        assert str(path) in said.err
    assert list(tmp_path.iterdir()) == []


# Progress


def lines_of(batches: int, seconds: float) -> list[str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), showing.progress() as progress:
        for i in range(batches):
            done = BatchDone(index=i, finished=2, places=2, tiles=8, rows=9)
            progress.on_batch(BatchFinished(result=done, to_do=2 * batches))
            time.sleep(seconds)
    return err.getvalue().splitlines()


def test_lines_of_progress_are_a_second_apart_and_the_last_is_there(monkeypatch):
    assert lines_of(1000, 0) == [
        "batch 1: 2 places, 8 chips, 9 rows; 2 of 2000 done",
        "batches 2 to 1,000: 1,998 places, 7,992 chips, 8,991 rows; 2000 of 2000 done",
    ]
    monkeypatch.setattr(showing, "_LINES_APART_S", 0.01)
    assert len(lines_of(3, 0.02)) == 3
    assert lines_of(0, 0) == []


def test_a_bar_fits_into_eighty_columns_and_tells_times_only_once_they_can_be_known(monkeypatch):
    """Two rows: what is done, how far, and who works; counts, and times that are called what they are."""
    clock = [1000.0]
    monkeypatch.setattr(showing.time, "monotonic", lambda: clock[0])
    bar = showing.BarProgress()

    def shown() -> list[str]:
        console = Console(width=80, file=io.StringIO())
        console.print(bar)
        return [line.rstrip() for line in console.file.getvalue().splitlines()]

    bar.on_stage(StageBegun(text="starting 2 workers"))
    clock[0] += 65
    assert shown() == ["starting 2 workers", "  0:01:05 elapsed"]
    bar.on_start(BuildStarted(wanted=120_000, done_before=20_000))
    bar.on_workers(WorkersChanged(there=2, lost=0))
    for i in range(7):
        clock[0] += 10
        done = BatchDone(index=i, finished=1000, places=990, tiles=20_000, rows=300_000, rejects={"too cloudy": 10})
        bar.on_batch(BatchFinished(result=done, to_do=100_000))
        assert (" left;" in shown()[1]) is (
            i > 4
        )  # the first batches of two workers do not tell a rate, nor do three more
    first, second = shown()
    assert first.endswith("7,000 of 100,000 places, 2 workers")
    assert second == "  0:02:15 elapsed, about 16 min left; 2000 chips/s, 140,000 chips, 2,100,000 ro…"
    assert max(map(len, (first, second))) <= 80
    # 93,000 places are left, at 100 a second.
    assert bar.times() == "0:02:15 elapsed, about 16 min left"
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        bar.on_workers(WorkersChanged(there=1, lost=1))
        bar.on_workers(WorkersChanged(there=0, lost=1))
    assert err.getvalue() == "worker lost, 1 left\nworker lost, none left: waiting for workers\n"
    assert shown()[0].endswith("7,000 of 100,000 places, waiting for workers")
    assert bar.times() == "0:02:15 elapsed"


class Simulated(NamedTuple):
    """Workers by when they come, how long a batch takes in each, and what comes before their first one."""

    joins: tuple[float, ...]
    batch_s: Callable[[float, random.Random], float]
    """By the time and a chance."""
    start_s: float = 0.0
    batches: int = 400


SIMULATED = {
    "one after the other": Simulated((0.0,), lambda _, chance: chance.uniform(2, 4)),
    "all at once": Simulated((0.0,) * 16, lambda _t, _c: 20.0),
    "a slow start": Simulated((0.0,) * 4, lambda _, chance: chance.uniform(4, 8), start_s=120.0),
    "workers that come one by one": Simulated(
        tuple(40.0 * i for i in range(8)), lambda _, chance: chance.uniform(6, 10)
    ),
    "batches of very different length": Simulated((0.0,) * 8, lambda _, chance: chance.lognormvariate(2, 0.5)),
    "what becomes slower": Simulated((0.0,) * 4, lambda at, chance: chance.uniform(4, 6) * (1 if at < 300 else 3)),
}


@pytest.mark.parametrize("name", SIMULATED)
def test_the_time_that_is_left_is_near_what_it_turns_out_to_be(name, monkeypatch):
    """What is told is within 40 % of what comes; not before workers come or batches change, nor for two minutes after."""
    case, chance, clock = SIMULATED[name], random.Random(7), [0.0]
    monkeypatch.setattr(showing.time, "monotonic", lambda: clock[0])
    with contextlib.redirect_stderr(io.StringIO()):
        board = showing.Board()
        board.on_start(BuildStarted(wanted=case.batches, done_before=0))
        coming = [(at, i, False) for i, at in enumerate(case.joins)]
        there, begun, told = 0, 0, dict[float, float | None]()
        heapq.heapify(coming)
        while coming:
            clock[0], worker, is_done = heapq.heappop(coming)
            if is_done:
                board.on_batch(BatchFinished(result=BatchDone(index=0, finished=1), to_do=case.batches))
                told[clock[0]] = board.left_s()
            else:
                there += 1
                board.on_workers(WorkersChanged(there=there, lost=0, joined=1))
            if begun < case.batches:
                begun += 1
                start_s = 0 if is_done else case.start_s
                heapq.heappush(coming, (clock[0] + start_s + case.batch_s(clock[0], chance), worker, True))
    end = clock[0]
    last = max([at for at in case.joins if at] + [300.0 for _ in [0] if "slower" in name], default=-150.0)
    steady = [(end - at, left) for at, left in told.items() if at >= last + 150]
    known = [(true, left) for true, left in steady if left is not None and true > 60]
    assert len(known) > 15
    off = [left / true for true, left in known]
    assert min(off) > 0.6
    assert max(off) < 1.6
    assert next(iter(told.values())) is None


def test_a_watch_tells_of_workers_that_came_and_were_lost():
    """One that is started anew under another address is one lost and one more."""
    here = [Present(0.0, 1, ()) for _ in range(4)]
    watch, told = Watch("tcp://s:1", 0.0), []
    for names in ("", "ab", "ab", "bc", "", "d"):
        watch.hear(dict(zip(names, here, strict=False)), 1.0)
        told.append(watch.change())
    assert [each and (each.there, each.lost) for each in told] == [None, (2, 0), None, (2, 1), (0, 2), (1, 0)]


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("setting", [{"TERM": "dumb"}, {"FORCE_COLOR": "1"}, {"JPY_PARENT_PID": "1"}])
def test_where_nothing_can_be_drawn_over_there_are_lines(clean, tmp_path, setting):
    process = started(tmp_path, "build", clean.recipe, "--out", tmp_path / "out", "--workers", 0, **setting)
    assert process.ended() == 0
    told = process.told()
    assert "batch 1: " in told
    assert "9 of 9 done" in told
    assert "\r" not in told
    assert "\x1b[?25l" not in told


@pytest.mark.long
def test_a_build_goes_on_where_nobody_reads_any_more(clean, tmp_path):
    command = [sys.executable, "-m", "nutonic", "build", clean.recipe, "--out", tmp_path / "out", "--workers", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stderr.close()
        process.stdout.close()
        assert process.wait(60) == 0
    same_as(tmp_path / "out", clean)
