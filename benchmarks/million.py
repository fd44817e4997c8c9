"""A million places, step by step, with what each process takes: the figure and the table of docs/clusters.md.

``python -m benchmarks.million --places 1000000 --folder FOLDER``; whatever ends it, the same command goes on. Places have
pixels that cost nothing and one row each. A scheduler and workers are started as a user starts them, so that the memory of
each can be told from the driver's. ``--draw FILE`` puts what was measured into a figure.
With ``--synthesised`` places are not built but committed by the real writer of commits (:mod:`benchmarks.committed`), and
the tree is then finished and verified, each in a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.scale import world

#: One row a place: a short caption.
_ONE_ROW = {"captions": ["brief"], "grounding": False, "per_class": False, "per_class_grounding": False}

#: Seconds between looks at the processes.
_LOOK_S = 1.0

#: Steps of this command, each a process of its own: its stages are those that it tells.
_STEPS = ("build", "verify")

#: The same where nothing is built.
_SYNTHETIC_STEPS = ("plan", "commit", "finish", "verify")


def made(folder: Path, places: int) -> Path:
    """The world and its recipe, made once."""
    recipe = folder / "recipe.yaml"
    if not (folder / "made").exists():
        folder.mkdir(parents=True, exist_ok=True)
        world(folder, places)
        value = yaml.safe_load(recipe.read_text())
        value["rows"] = _ONE_ROW | {"min_region_px": 1}
        recipe.write_text(yaml.safe_dump(value))
        (folder / "made").touch()
    return recipe


# In a child


def tell(**what: Any) -> None:
    """Tell the parent that something begins."""
    print(json.dumps(what), flush=True)


def build(folder: Path, scheduler: str, seconds: float) -> None:
    """Plan, build and finish, or go on with it; after so many seconds what is done is finished."""
    import nutonic as nt

    class Told(nt.Callback):
        done, last = 0, time.monotonic() + seconds

        def stop_requested(self) -> bool:
            return time.monotonic() > self.last

        def on_stage(self, event: nt.StageBegun, /) -> None:
            tell(stage=event.text.split()[0])

        def on_start(self, event: nt.BuildStarted, /) -> None:
            self.done = event.done_before
            tell(stage="running", done=self.done)

        def on_batch(self, event: nt.BatchFinished, /) -> None:
            self.done += event.result.finished

        def on_end(self, event: nt.BuildEnded, /) -> None:
            tell(stage="end", done=self.done)

    nt.build(folder / "recipe.yaml", folder / "tree", workers=nt.Cluster(scheduler=scheduler), callbacks=[Told()])


def plan(folder: Path) -> None:
    """Plan, and build nothing."""
    import nutonic as nt

    class Stopped(nt.Callback):
        def on_stage(self, event: nt.StageBegun, /) -> None:
            tell(stage=event.text.split()[0])

        def stop_requested(self) -> bool:
            return True

    nt.build(folder / "recipe.yaml", folder / "tree", workers=0, callbacks=[Stopped()])
    tell(stage="end")


def commit(folder: Path) -> None:
    """Commit what is planned without building it."""
    from benchmarks.committed import commit_all

    tell(stage="committing")
    tell(stage="end", done=commit_all(folder))


def finish(folder: Path) -> None:
    """Finish what is committed."""
    import nutonic as nt

    class Told(nt.Callback):
        def on_stage(self, event: nt.StageBegun, /) -> None:
            tell(stage={"planning": "opening"}.get(event.text, event.text))

    summary = nt.build(folder / "recipe.yaml", folder / "tree", workers=0, callbacks=[Told()])
    tell(stage="end", done=summary.done_before, finished=summary.finished)


def verify(folder: Path) -> None:
    """Prove the tree whole."""
    import nutonic as nt

    tell(stage="verifying")
    verdict = nt.verify(folder / "tree")
    tell(stage="end", done=verdict.done, problems=list(verdict.problems[:3]))


# In the parent


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A Python process that is ended with the block."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def taken(processes: Mapping[str, psutil.Process]) -> dict[str, dict[str, float]]:
    """Resident megabytes and CPU seconds of each process until now."""
    told = {}
    for role, process in processes.items():
        try:
            times = process.cpu_times()
            told[role] = {"mb": process.memory_info().rss / 1e6, "cpu": times.user + times.system}
        except psutil.Error:
            continue
    return told


def step(folder: Path, name: str, places: int, workers: int, seconds: float) -> None:
    """Run a step in a child, and keep what all processes took, once a second and where a stage begins."""
    with ExitStack() as stack, (folder / "samples.jsonl").open("a") as samples:
        roles: dict[str, psutil.Process] = {}
        arguments = ["benchmarks.million", "--folder", str(folder), "--step", name, "--seconds", str(seconds)]
        if name == "build":
            file = folder / f"scheduler-{os.getpid()}.json"
            told = [f"--scheduler-file={file}"]
            quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            quiet["env"] = os.environ | {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
            began = stack.enter_context(
                started("dask", "scheduler", "--port=0", "--dashboard-address=:0", *told, **quiet)
            )
            roles["scheduler"] = psutil.Process(began.pid)
            options = ["--nthreads=1", "--no-nanny", "--preload=benchmarks.free", f"--local-directory={folder}"]
            for number in range(workers):
                worker = stack.enter_context(started("dask", "worker", *told, *options, **quiet))
                roles[f"worker {number + 1}"] = psutil.Process(worker.pid)
            while not file.exists():
                time.sleep(0.1)
            arguments += ["--scheduler", json.loads(file.read_text())["address"]]
        child = stack.enter_context(started(*arguments, stdout=subprocess.PIPE))
        roles["driver"] = psutil.Process(child.pid)
        os.set_blocking(child.stdout.fileno(), False)  # type: ignore[union-attr]
        began_at, stage, over = time.time(), "starting", False
        while not over:
            over = child.poll() is not None
            line = child.stdout.readline()  # type: ignore[union-attr]
            mark = json.loads(line) if line else {}
            stage = mark.get("stage", stage)
            record = {"places": places, "step": name, "run": round(began_at), "s": time.time() - began_at}
            samples.write(json.dumps({**record, "stage": stage, **mark, "taken": taken(roles)}) + "\n")
            samples.flush()
            if not line:
                time.sleep(_LOOK_S)
        if child.returncode:
            raise SystemExit(f"{name} ended with {child.returncode}: run the same command again")
    (folder / f"{name}.done").touch()


#: Stages in the order of a run, and what of it is whose.
_STAGES, _ROLES = ("planning", "opening", "running", "finishing", "verifying"), ("driver", "scheduler", "worker 1")


def records_of(folder: Path) -> list[dict[str, Any]]:
    """What was kept of all runs, in the order in which it was."""
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def table(folder: Path) -> list[dict[str, Any]]:
    """What each stage of each run took: CPU seconds of all processes together, and the megabytes of each role.

    With places where it is known how many there were: of a run that was killed it is not.
    """
    rows = []
    records = [record for record in records_of(folder) if record["taken"] or "done" in record]
    for (run, stage), group in itertools.groupby(records, key=lambda record: (record["run"], record["stage"])):
        some = [record for record in group if record["taken"]]
        if stage not in _STAGES or not some:
            continue
        first, last = some[0]["taken"], some[-1]["taken"]
        cpu = sum(value["cpu"] - first.get(role, value)["cpu"] for role, value in last.items())
        most = {role: max(each["taken"].get(role, {"mb": 0})["mb"] for each in some) for role in last}
        told = {"run": run, "stage": stage, "cpu_s": round(cpu, 1), "wall_s": round(some[-1]["s"] - some[0]["s"])}
        mb = {role: [round(first.get(role, {"mb": 0})["mb"]), round(value)] for role, value in most.items()}
        rows.append(told | {"mb_first_and_most": mb})
    return rows


def draw(folder: Path, path: Path) -> None:
    """Memory of driver, scheduler and a worker over time, one run behind the other."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "nutonic"
    from matplotlib import pyplot as plt

    records, figure = [record for record in records_of(folder) if record["taken"]], plt.figure(figsize=(8, 3.2))
    axes, offset, begins = figure.add_subplot(), 0.0, list[float]()
    series: dict[str, list[tuple[float, float]]] = {role: [] for role in _ROLES}
    for _, group in itertools.groupby(records, key=lambda record: record["run"]):
        some = list(group)
        begins.append(offset / 60)
        for role, points in series.items():
            seen = [((offset + each["s"]) / 60, each["taken"][role]["mb"]) for each in some if role in each["taken"]]
            points += [*seen[:: max(1, len(seen) // 300)], (float("nan"), float("nan"))]
        for name in ("finishing", "verifying"):
            at = next(((offset + each["s"]) / 60 for each in some if each["stage"] == name), None)
            if at is not None:
                axes.annotate(name, (at, 20), rotation=90, ha="right", fontsize=7, color="0.4")
        offset += some[-1]["s"]
    for role, points in series.items():
        if all(mb != mb for _, mb in points):  # it was not there
            continue
        axes.plot(*zip(*points, strict=True), label=role.removesuffix(" 1"), linewidth=1)
    for begin in begins[1:]:
        axes.axvline(begin, color="0.8", linewidth=0.8)
    axes.set(xlabel="minutes; grey: another process begins", ylabel="MB", ylim=(0, None))
    axes.legend(frameon=False, loc="upper center", ncols=3, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def main() -> None:
    """Read the command line, and do what is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--places", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--step", choices=sorted({*_STEPS, *_SYNTHETIC_STEPS}), help=argparse.SUPPRESS)
    parser.add_argument("--scheduler", help=argparse.SUPPRESS)
    parser.add_argument("--draw", type=Path, metavar="FILE", help="only draw what was measured")
    parser.add_argument("--seconds", type=float, default=1e9, help="finish what is done after so many")
    parser.add_argument("--again", nargs="*", default=(), help="steps to do again")
    parser.add_argument("--synthesised", action="store_true", help="commit places instead of building them")
    asked = parser.parse_args()
    if asked.step == "build":
        build(asked.folder, asked.scheduler, asked.seconds)
        return
    alone = {"plan": plan, "commit": commit, "finish": finish, "verify": verify}
    if asked.step in alone:
        alone[asked.step](asked.folder)
        return
    if asked.draw is not None:
        draw(asked.folder, asked.draw)
        return
    made(asked.folder, asked.places)
    for name in _SYNTHETIC_STEPS if asked.synthesised else _STEPS:
        if name in asked.again or not (asked.folder / f"{name}.done").exists():
            step(asked.folder, name, asked.places, asked.workers, asked.seconds)
    for row in table(asked.folder):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
