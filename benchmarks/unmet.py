"""Of a target that is not met: where the time goes, and what keeps it from being met next, from what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from benchmarks.records import Record, costs, grouped, steps

Why = Callable[[Sequence[Record]], str]

#: Of the machine for which the targets are.
_CORES = 2


def above_floor(pattern: str, limit: float) -> Why:
    """Of the CPU of a tile beside the floor's."""

    def why(records: Sequence[Record]) -> str:
        ours, floor = _middle(records, pattern, "nutonic"), _middle(records, pattern, "floor")
        if ours is None or floor is None:
            return ""
        more = ours - limit * floor
        told = f"A tile takes {ours:.1f} ms, the floor's {floor:.1f}; {more:.1f} ms less would do."
        return f"{told} {_by_steps(records, pattern)}"

    return why


def above_peer(pattern: str, peer: str, limit: float) -> Why:
    """Of the CPU of a peer's tile beside nutonic's."""

    def why(records: Sequence[Record]) -> str:
        ours, floor, theirs = (_middle(records, pattern, way) for way in ("nutonic", "floor", peer))
        if ours is None or floor is None or theirs is None:
            return ""
        needed = theirs / limit
        told = f"It asks for a tile in {needed:.1f} ms; nutonic takes {ours:.1f}, and the floor {floor:.1f}."
        if needed < floor:
            return f"{told} So no program meets it whose steps are the floor's: the floor is {theirs / floor:.2f} × as fast."
        return f"{told} {_by_steps(records, pattern)}"

    return why


def two_workers(records: Sequence[Record]) -> str:
    """Of two workers beside one."""
    found = {way: _slope(records, way) for way in ("nutonic, 1 worker", "nutonic, 2 workers")}
    gain = gain_of_floors(records)
    if any(each is None for each in found.values()):
        return ""
    (wall, cpu), (wall_of_two, cpu_of_two) = (each for each in found.values() if each is not None)
    machine = f" Two floors side by side do {gain:.2f} × the work of one on this machine." if gain is not None else ""
    return (
        f"One worker and its driver use {cpu / wall:.2f} cores, since reading goes on beside cutting: two cores have "
        f"{2 * wall / cpu:.2f} × as much to give. With two workers all processes take {100 * (cpu_of_two / cpu - 1):+.0f} % "
        f"of CPU, and {100 - 50 * cpu_of_two / wall_of_two:.0f} % of the two cores' time is idle.{machine}"
    )


def gain_of_floors(records: Sequence[Record]) -> float | None:
    """What two floors side by side do by what one does in the same time; None where that was not measured."""
    one, two = _slope(records, "floor"), _slope(records, "floor, 2 side by side")
    return None if one is None or two is None else 2 * one[0] / two[0]


def of_latency(pattern: str, latency: int) -> Why:
    """Of the wall clock where each request takes a while."""

    def why(records: Sequence[Record]) -> str:
        runs = grouped([r for r in records if r["section"] == "network" and r["pattern"] == pattern], "latency_ms")
        slow, fast = runs.get((str(latency),)), runs.get(("0",))
        if not slow or not fast:
            return ""
        more, cpu = (
            statistics.median(r[name] for r in slow) - statistics.median(r[name] for r in fast)
            for name in ("wall_s", "cpu_s")
        )
        in_turn = statistics.median(r["requests"] for r in slow) * latency / 1000
        return (
            f"One after another its requests would wait {in_turn:.1f} s. The build takes {more:.1f} s longer, and "
            f"{cpu:+.1f} s of CPU, which is no waiting."
        )

    return why


def of_memory(records: Sequence[Record]) -> str:
    """Of what a process takes."""
    runs = [r for r in records if r["section"] == "workers" and r["way"] == "nutonic, 1 worker"]
    if not runs:
        return ""
    few, many = (statistics.median(r[size]["peak_mb"] for r in runs) for size in ("few", "many"))
    planned = [r["planned"]["peak_mb"] for r in records if r.get("planned") and r["pattern"] == "dense"]
    said = f" A plan says {statistics.median(planned):.0f} MB." if planned else ""
    return f"It takes {few:.0f} MB with few places, and {many:.0f} MB with many.{said}"


def of_captions(records: Sequence[Record]) -> str:
    """Of captions by models."""
    name = "64 in flight, 2 workers, 50 ms"
    found = [r.get("cpu_ms", {}).get(name, {}) for r in records if r["section"] == "captions"]
    spent = [[v for each in found for v in each.get(way, ())] for way in ("nutonic", "bare client", "stand-in")]
    if not all(spent):
        return ""
    ours, bare, server = map(statistics.median, spent)
    allowed, latency_s = _CORES * 1.2 * 50 / 64, 64 * (ours + server) / _CORES / 1.2 / 1000
    least_s = math.ceil(100 * latency_s) / 100
    return (
        f"It asks for an answer in {allowed:.2f} ms of two cores, of which the stand-in takes {server:.2f}, and a bare "
        f"client, which words no request and checks no answer, {bare:.2f}: {max(0.0, allowed - server - bare):.2f} are "
        f"left. nutonic takes {ours:.1f}. By that, models that take {least_s:.2f} s or more for an answer are within it."
    )


def _by_steps(records: Sequence[Record], pattern: str) -> str:
    """What the steps of a tile take of a build, and of the floor."""
    found = {r["way"]: steps(r["ms_per_tile"]) for r in records if r["section"] == "stages" and r["pattern"] == pattern}
    if not {"nutonic", "floor"} <= set(found):
        return "Where its time goes was not measured: run the section stages too."
    told = (f"{step} {ms:.1f} ({found['floor'][step]:.1f})" for step, ms in found["nutonic"].items())
    return f"By steps, in ms, and the floor's: {', '.join(told)}."


def _middle(records: Sequence[Record], pattern: str, way: str) -> float | None:
    found = costs(records, pattern, way)
    return statistics.median(found.values()) if found else None


def _slope(records: Sequence[Record], way: str) -> tuple[float, float] | None:
    """Wall and CPU seconds of a large run without those of a small one."""
    runs = [r for r in records if r["section"] == "workers" and r["way"] == way]
    if not runs or any("cpu_s" not in r["many"] for r in runs):
        return None
    wall, cpu = (statistics.median(r["many"][name] - r["few"][name] for r in runs) for name in ("wall_s", "cpu_s"))
    return (wall, cpu) if wall > 0 and cpu > 0 else None
