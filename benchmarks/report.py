"""Records of a run as a page, with a figure: each target with what was measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Values = list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be shown, and how it is found in the records."""

    what: str
    limit: float
    values: Callable[[Sequence[Record]], Values]
    """One for each repeat; none where it was not measured."""
    unit: str = "×"
    least: bool = False
    """Whether the limit is the least, and not the most."""

    def met(self, values: Values) -> bool:
        """Whether the median is within the limit."""
        median = statistics.median(values)
        return median >= self.limit if self.least else median <= self.limit


def write(folder: Path, header: Record, records: Sequence[Record]) -> None:
    """Write RESULTS.md."""
    parts = ["# Results", _context(header), _targets(records), *_tables(records)]
    (folder / "RESULTS.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def spread(values: Values, digits: int = 2) -> str:
    """Median, and the least and the most in brackets."""
    low, middle, high = (f"{v:.{digits}f}" for v in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})" if len(values) > 1 else middle


def _context(header: Record) -> str:
    rows = [(name, json.dumps(value) if isinstance(value, dict) else value) for name, value in header.items()]
    return "Made by `python -m benchmarks`; [docs/benchmarks.md](../docs/benchmarks.md) tells how.\n\n" + _table(
        ("context", ""), rows
    )


def _targets(records: Sequence[Record]) -> str:
    rows = []
    for target in TARGETS:
        values = target.values(records)
        sign = "≥" if target.least else "≤"
        limit = f"{sign} {target.limit:g} {target.unit}"
        if not values:
            rows.append((target.what, limit, "not measured here", ""))
        else:
            rows.append((target.what, limit, spread(values), "met" if target.met(values) else "**not met**"))
    return "## Targets\n\nMedians of repeats, with the least and the most.\n\n" + _table(
        ("target", "limit", "measured", ""), rows
    )


def _tables(records: Sequence[Record]) -> Iterable[str]:
    of = {name: [r for r in records if r["section"] == name] for name in ("chips", "patterns", "network", "start_up")}
    found = [*of["chips"], *of["patterns"]]
    if found:
        groups = _grouped(found, "pattern", "way")
        rows = [
            (*key, spread([r["cpu_ms_per_tile"] for r in group]), f"{max(r['many']['peak_mb'] for r in group)}")
            for key, group in groups.items()
        ]
        yield "## CPU per tile\n\n" + _table(("pattern", "way", "ms of CPU per tile", "peak MB"), rows)
    if of["network"]:
        rows = [
            (
                *key,
                spread([r["wall_s"] for r in group]),
                spread([r["requests"] for r in group], 0),
                spread([r["bytes"] / 1e6 for r in group], 1),
            )
            for key, group in _grouped(of["network"], "pattern", "latency_ms").items()
        ]
        yield "## Over a network\n\n" + _table(("pattern", "ms a request", "wall s", "requests", "MB"), rows)
    if of["start_up"]:
        rows = [
            (*key, spread([r["cpu_s"] for r in group]), spread([r["wall_s"] for r in group]))
            for key, group in _grouped(of["start_up"], "command").items()
        ]
        yield "## Start-up\n\n" + _table(("nutonic …", "s of CPU", "s of wall"), rows)


def _grouped(records: Sequence[Record], *names: str) -> dict[tuple[str, ...], list[Record]]:
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(str(record[name]) for name in names), []).append(record)
    return groups


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines)


# What is to be shown


def _costs(records: Sequence[Record], pattern: str, way: str) -> dict[int, float]:
    return {
        r["repeat"]: r["cpu_ms_per_tile"]
        for r in records
        if r["section"] in ("chips", "patterns") and (r["pattern"], r["way"]) == (pattern, way)
    }


def _ratio(pattern: str, over: str, under: str) -> Callable[[Sequence[Record]], Values]:
    def values(records: Sequence[Record]) -> Values:
        above, below = _costs(records, pattern, over), _costs(records, pattern, under)
        return [above[k] / below[k] for k in sorted(above.keys() & below.keys())]

    return values


def _slower(pattern: str, latency: int) -> Callable[[Sequence[Record]], Values]:
    def values(records: Sequence[Record]) -> Values:
        walls = {
            (r["repeat"], r["latency_ms"]): r["wall_s"]
            for r in records
            if r["section"] == "network" and r["pattern"] == pattern
        }
        return [walls[k, latency] / walls[k, 0] for k, ms in walls if ms == latency and (k, 0) in walls]

    return values


def _two_workers(records: Sequence[Record]) -> Values:
    walls = {
        (r["repeat"], r["way"]): r["many"]["wall_s"] - r["few"]["wall_s"] for r in records if r["section"] == "workers"
    }
    repeats = sorted({k for k, _ in walls})
    return [walls[k, "nutonic, 1 worker"] / walls[k, "nutonic, 2 workers"] for k in repeats]


def _started(command: str) -> Callable[[Sequence[Record]], Values]:
    return lambda records: [r["cpu_s"] for r in records if r["section"] == "start_up" and r["command"] == command]


TARGETS: Sequence[Target] = (
    Target(what="CPU per tile ÷ floor, dense", limit=1.35, values=_ratio("dense", "nutonic", "floor")),
    Target(what="CPU per tile ÷ floor, sparse", limit=1.5, values=_ratio("sparse", "nutonic", "floor")),
    Target(what="wall of 1 worker ÷ 2 workers", limit=1.85, values=_two_workers, least=True),
    Target(what="wall at 20 ms a request ÷ 0 ms, dense", limit=1.15, values=_slower("dense", 20)),
    Target(what="wall at 100 ms a request ÷ 0 ms, dense", limit=1.6, values=_slower("dense", 100)),
    Target(what="nutonic --help", limit=0.3, unit="s of CPU", values=_started("--help")),
    Target(what="build with nothing to do", limit=1.0, unit="s of CPU", values=_started("build with nothing to do")),
    Target(what="plan of 4 places", limit=1.5, unit="s of CPU", values=_started("plan of 4 places")),
)
