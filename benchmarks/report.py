"""Records of a run as a page, with a figure: each target with what was measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks import unmet
from benchmarks.records import Record, Values, costs, grouped, steps
from benchmarks.unmet import Why


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
    why: str = ""
    """Of one that this run does not measure: why, and where it is measured."""
    goes: Why | None = None
    """Of one that is not met: where the time goes, from the records; an empty text where they do not tell."""

    def met(self, values: Values) -> bool:
        """Whether the median is within the limit."""
        median = statistics.median(values)
        return median >= self.limit if self.least else median <= self.limit


def write(folder: Path, header: Record, records: Sequence[Record]) -> None:
    """Write RESULTS.md."""
    wrong = [f"* **{r['section']}** did not end: {r['wrong']}" for r in records if "wrong" in r]
    records = [r for r in records if "wrong" not in r]
    figure = _figure(folder / "results.png", records)
    parts = [
        "# Results",
        _context(header),
        "\n".join(wrong),
        _targets(records),
        _unmet(records),
        figure,
        *_tables(records),
    ]
    (folder / "RESULTS.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _figure(path: Path, records: Sequence[Record]) -> str:
    """Draw the CPU per tile of all ways; the line that shows it; nothing without matplotlib."""
    costs = grouped([r for r in records if r["section"] in ("chips", "peers")], "pattern", "way")
    ways = list(dict.fromkeys(way for _, way in costs))
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return ""
    if not costs:
        return ""
    figure = Figure(figsize=(8, 0.5 * len(ways) + 1.5), layout="constrained")
    axes = figure.add_subplot()
    for k, (pattern, colour) in enumerate((("dense", "#2c7fb8"), ("sparse", "#7fcdbb"))):
        found = {way: [r["cpu_ms_per_tile"] for r in costs.get((pattern, way), ())] for way in ways}
        middles = [statistics.median(values) if values else 0.0 for values in found.values()]
        axes.barh([i + 0.4 * k for i in range(len(ways))], middles, 0.38, label=pattern, color=colour)
        for i, (middle, values) in enumerate(zip(middles, found.values(), strict=True)):
            if values:
                axes.plot([min(values), max(values)], [i + 0.4 * k] * 2, color="black", linewidth=1)
                axes.text(max(values), i + 0.4 * k, f" {middle:.1f}", va="center", fontsize=8)
    axes.set_yticks([i + 0.2 for i in range(len(ways))], ways)
    axes.invert_yaxis()
    axes.set_xlabel("ms of CPU per tile, start-up cancelled; the line is from the least to the most")
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    return f"![CPU per tile of all ways]({path.name})"


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
            rows.append((target.what, limit, "not measured", target.why))
        else:
            rows.append((target.what, limit, spread(values), "met" if target.met(values) else "**not met**"))
    return "## Targets\n\nMedians of repeats, with the least and the most.\n\n" + _table(
        ("target", "limit", "measured", ""), rows
    )


def _unmet(records: Sequence[Record]) -> str:
    """Of each target that is not met, where the time goes and what is the next limit."""
    told = []
    for target in TARGETS:
        values = target.values(records)
        if values and not target.met(values):
            why = target.goes(records) if target.goes is not None else ""
            told.append(f"* **{target.what}** is {spread(values)}. {why or 'Its runs are in the table below.'}")
    return "## Where a target is not met\n\n" + "\n".join(told) if told else ""


def _tables(records: Sequence[Record]) -> Iterable[str]:
    of = {
        name: [r for r in records if r["section"] == name]
        for name in ("chips", "peers", "patterns", "network", "workers", "start_up", "stages", "median")
    }
    found = [*of["chips"], *of["peers"], *of["patterns"]]
    if found:
        groups = grouped(found, "pattern", "way")
        rows = [
            (*key, spread([r["cpu_ms_per_tile"] for r in group]), f"{max(r['many']['peak_mb'] for r in group)}")
            for key, group in groups.items()
        ]
        yield "## CPU per tile\n\n" + _table(("pattern", "way", "ms of CPU per tile", "peak MB"), rows)
    if of["stages"]:
        yield "## Where a build's CPU goes\n\nMilliseconds a tile, in one run of each.\n\n" + _stages(of["stages"])
    if of["network"]:
        rows = [
            (
                *key,
                spread([r["wall_s"] for r in group]),
                spread([r["requests"] for r in group], 0),
                spread([r["bytes"] / 1e6 for r in group], 1),
            )
            for key, group in grouped(of["network"], "pattern", "latency_ms").items()
        ]
        yield "## Over a network\n\n" + _table(("pattern", "ms a request", "wall s", "requests", "MB"), rows)
    if of["workers"]:
        rows = [
            (
                *key,
                spread([r["many"]["wall_s"] - r["few"]["wall_s"] for r in group]),
                spread([r["many"]["cpu_s"] - r["few"]["cpu_s"] for r in group]),
                spread([r["many"]["peak_mb"] for r in group], 0),
            )
            for key, group in grouped(of["workers"], "way").items()
        ]
        head = ("way", "wall s, start-up cancelled", "CPU s", "MB of the largest process")
        gain = unmet.gain_of_floors(records)
        floors = (
            f"\n\nTwo floors side by side ÷ one: {gain:.2f} × the work in the same time." if gain is not None else ""
        )
        yield "## Workers\n\n" + _table(head, rows) + floors
    if of["median"]:
        rows = [
            (*key, *(spread([r[name] for r in group]) for name in ("wall_s", "cpu_s", "peak_gb")))
            for key, group in grouped(of["median"], "way").items()
        ]
        yield "## A median over time\n\n" + _table(("way", "wall s", "CPU s", "peak GB"), rows)
    if of["start_up"]:
        rows = [
            (*key, spread([r["cpu_s"] for r in group]), spread([r["wall_s"] for r in group]))
            for key, group in grouped(of["start_up"], "command").items()
        ]
        yield "## Start-up\n\n" + _table(("nutonic …", "s of CPU", "s of wall"), rows)

    yield from _other_tables(records)


def _stages(records: Sequence[Record]) -> str:
    """Tables of what steps take, beside the floor, and of all stages of a build."""
    head = [f"{r['pattern']}, {r['way']}" for r in records]
    of_steps = [steps(r["ms_per_tile"]) for r in records]
    rows = [(name, *(f"{of[name]:.2f}" for of in of_steps)) for name in of_steps[0]]
    builds = [r for r in records if r["way"] == "nutonic"]
    names = dict.fromkeys(name for r in builds for name in r["ms_per_tile"])
    staged = [(name, *(f"{r['ms_per_tile'].get(name, 0):.2f}" for r in builds)) for name in names]
    return _table(("step", *head), rows) + "\n\n" + _table(("stage", *(r["pattern"] for r in builds)), staged)


def _other_tables(records: Sequence[Record]) -> Iterable[str]:
    planned = [r for r in records if r.get("planned")]
    if planned:
        rows = [
            (
                *key,
                f"{group[0]['planned']['cpu_s']:.1f}",
                spread([r["many"]["cpu_s"] for r in group], 1),
                f"{group[0]['planned']['peak_mb']}",
                spread([r["many"]["peak_mb"] for r in group], 0),
            )
            for key, group in grouped(planned, "pattern").items()
        ]
        head = ("pattern", "s of CPU, planned", "taken", "MB of the process, planned", "taken")
        yield "## Plans beside builds\n\nWith what starting takes.\n\n" + _table(head, rows)
    scale = [r for r in records if r["section"] == "scale"]
    if scale:
        told = ("planning_s", "build_cpu_s", "building_s")
        rows = [
            (f"{workers} workers", places, *(spread([r[name] for r in group]) for name in told))
            for (workers, places), group in grouped(scale, "workers", "places").items()
        ]
        head = (
            "places whose pixels cost nothing",
            "places",
            "planning s",
            "s of CPU of the building process",
            "wall s",
        )
        yield "## Places in number\n\n" + _table(head, rows)
    rows = []
    for record in (r for r in records if r["section"] == "captions"):
        if rates := record["patches_per_s"]:
            rows.append(("templates", f"{spread(rates, 0)} patches a second of a core"))
        for name, of in record["of_ideal"].items():
            rows += [(f"{way}, {name}", f"{spread(values)} × the ideal wall") for way, values in of.items()]
        for name, of in record.get("cpu_ms", {}).items():
            ways = [way for way in of if way != "requests"]
            rows += [
                (f"{way}, {name}", f"{spread(of[way])} ms of CPU an answer, of {of['requests'][0]}") for way in ways
            ]
    if rows:
        yield "## Captions of patches\n\n" + _table(("annotator", ""), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines)


# What is to be shown


def _ratio(pattern: str, over: str, under: str) -> Callable[[Sequence[Record]], Values]:
    def values(records: Sequence[Record]) -> Values:
        above, below = costs(records, pattern, over), costs(records, pattern, under)
        return [above[k] / below[k] for k in sorted(above.keys() & below.keys()) if below[k]]

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


def _of_network(count: str, wanted: Callable[[Record], float]) -> Callable[[Sequence[Record]], Values]:
    """What was fetched by what had to be, of dense places without latency."""
    return lambda records: [
        r[count] / wanted(r)
        for r in records
        if r["section"] == "network" and (r["pattern"], r["latency_ms"]) == ("dense", 0)
    ]


def _peak(records: Sequence[Record]) -> Values:
    return [r["many"]["peak_mb"] for r in records if r["section"] == "workers" and r["way"] == "nutonic, 1 worker"]


def _growth(records: Sequence[Record]) -> Values:
    return [
        r["many"]["peak_mb"] / r["few"]["peak_mb"]
        for r in records
        if r["section"] == "workers" and r["way"] == "nutonic, 1 worker"
    ]


def _scaled(records: Sequence[Record], kind: str) -> list[list[tuple[int, float]]]:
    """Places and the CPU that their build took, of each repeat, fewest places first."""
    found = [r for r in records if r["section"] == "scale" and r["kind"] == kind]
    repeats = sorted({r["repeat"] for r in found})
    return [[(r["places"], r["build_cpu_s"]) for r in found if r["repeat"] == repeat] for repeat in repeats]


def _driver_share(records: Sequence[Record]) -> Values:
    """CPU of driver and scheduler for a place more, in per cent of what a place of the dense pattern takes."""
    dense = list(costs(records, "dense", "nutonic").values())
    if not dense:
        return []
    place_ms = 4 * statistics.median(dense)
    return [
        100 * 1000 * (more - less) / (many - few) / place_ms for (few, less), (many, more) in _scaled(records, "driver")
    ]


def _growth_of_cost(records: Sequence[Record]) -> Values:
    """CPU of a place more among many, by that among a tenth of them."""
    added = [
        [(more - less) / (many - few) for (few, less), (many, more) in pairwise(found)]
        for found in _scaled(records, "growth")
    ]
    return [late / early for early, late in added]


def _beside_plan(name: str, *, either_way: bool) -> Callable[[Sequence[Record]], Values]:
    """What builds took by what their plans said, the furthest of all patterns."""

    def values(records: Sequence[Record]) -> Values:
        found = [r["many"][name] / r["planned"][name] for r in records if r.get("planned")]
        return [max(max(ratio, 1 / ratio) if either_way else ratio for ratio in found)] if found else []

    return values


def _of_ideal(latency_ms: int) -> Callable[[Sequence[Record]], Values]:
    def values(records: Sequence[Record]) -> Values:
        found = (r["of_ideal"] for r in records if r["section"] == "captions")
        name = f"64 in flight, 2 workers, {latency_ms} ms"
        return [ratio for of in found for ratio in of.get(name, {}).get("nutonic", ())]

    return values


def _median(records: Sequence[Record]) -> Values:
    walls = {(r["repeat"], r["way"]): r["wall_s"] for r in records if r["section"] == "median"}
    repeats = sorted({k for k, _ in walls})
    return [walls[k, "nutonic"] / min(walls[k, "stackstac"], walls[k, "odc-stac"]) for k in repeats]


def _against(way: str, limit: float) -> tuple[Target, Target]:
    """CPU of a peer by nutonic's, in both patterns."""
    dense, sparse = (
        Target(
            what=f"CPU per tile of {way} ÷ nutonic, {pattern}",
            limit=limit,
            values=_ratio(pattern, way, "nutonic"),
            least=True,
            goes=unmet.above_peer(pattern, way, limit),
        )
        for pattern in ("dense", "sparse")
    )
    return dense, sparse


TARGETS: Sequence[Target] = (
    Target(
        what="CPU per tile ÷ floor, dense", limit=1.35, values=_ratio("dense", "nutonic", "floor"),
        goes=unmet.above_floor("dense", 1.35),
    ),
    Target(
        what="CPU per tile ÷ floor, sparse", limit=1.5, values=_ratio("sparse", "nutonic", "floor"),
        goes=unmet.above_floor("sparse", 1.5),
    ),
    *_against("stackstac", 3.5),
    *_against("odc-stac", 3),
    *_against("rasterio", 2),
    *_against("async-geotiff", 1.5),
    Target(what="wall of 1 worker ÷ 2 workers", limit=1.85, values=_two_workers, least=True, goes=unmet.two_workers),
    Target(
        what="wall at 20 ms a request ÷ 0 ms, dense", limit=1.15, values=_slower("dense", 20),
        goes=unmet.of_latency("dense", 20),
    ),
    Target(
        what="wall at 100 ms a request ÷ 0 ms, dense", limit=1.6, values=_slower("dense", 100),
        goes=unmet.of_latency("dense", 100),
    ),
    Target(
        what="requests ÷ (blocks + headers), dense", limit=1.1,
        values=_of_network("requests", lambda r: r["blocks"] + r["files"])
    ),
    Target(what="bytes ÷ compressed blocks, dense", limit=1.05, values=_of_network("bytes", lambda r: r["block_bytes"])),
    Target(what="memory of the largest process, 1 worker", limit=400, unit="MB", values=_peak, goes=unmet.of_memory),
    Target(what="the same, 7 times the places ÷ once", limit=1.05, values=_growth, goes=unmet.of_memory),
    Target(what="memory of a process ÷ its plan's, the most", limit=1.5, values=_beside_plan("peak_mb", either_way=False)),
    Target(what="CPU of a build beside its plan's, the furthest", limit=2, values=_beside_plan("cpu_s", either_way=True)),
    Target(
        what="driver and scheduler for a place more, of 3,000", limit=2, unit="% of a dense place's CPU",
        values=_driver_share, why="needs the sections chips and scale",
    ),
    Target(what="cost of a place more among 25,500 ÷ among 3,000, pixels free", limit=1.05, values=_growth_of_cost),
    Target(what="median composite, nutonic ÷ the faster of stackstac and odc-stac", limit=1, values=_median),
    Target(
        what="median composite, nutonic ÷ lazycogs and numpy", limit=1, values=lambda _: [],
        why="lazycogs needs Python 3.12, and downloads an extension of DuckDB",
    ),
    Target(
        what="captions by a model of 50 ms, 64 in flight, wall ÷ ideal", limit=1.2, values=_of_ideal(50),
        goes=unmet.of_captions,
    ),
    Target(what="captions by a model of 1 s, 64 in flight, wall ÷ ideal", limit=1.2, values=_of_ideal(1000)),
    Target(what="nutonic --help", limit=0.3, unit="s of CPU", values=_started("--help")),
    Target(what="build with nothing to do", limit=1.0, unit="s of CPU", values=_started("build with nothing to do")),
    Target(what="plan of 4 places", limit=1.5, unit="s of CPU", values=_started("plan of 4 places")),
)  # fmt: skip
