"""What is measured, a section each: functions that give records, one for every run. Their order is that of the report."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import once
from benchmarks.patterns import PATTERNS, Pattern, recipe_of
from benchmarks.scenes import BANDS, World, compression_ratio, write
from benchmarks.server import served

Record = dict[str, Any]
_ROOT = Path(__file__).parents[1]


@dataclass(slots=True)
class Bench:
    """Where it happens, and how large it is."""

    folder: Path
    worlds: Mapping[int, World]
    """By the side of the blocks of imagery."""
    sizes: Mapping[str, tuple[int, int]]
    """Places of a small and of a large run, by pattern; start-up is cancelled by their difference."""
    runs: int = 3
    peers: Sequence[str] = ()
    _numbers: Iterator[int] = field(default_factory=count)

    def files(self, block: int = 1024, *, fragmented: bool = False) -> Path:
        """The folder of a world's files, written when it is first needed."""
        path = self.folder / f"world-{block}{'-fragmented' if fragmented else ''}"
        if not (path / "items.json").is_file():
            shutil.rmtree(path, ignore_errors=True)
            write(path, self.worlds[block], fragmented=fragmented)
        return path

    def recipe(self, pattern: Pattern, places: int, url: str | None = None) -> Path:
        """The recipe of so many places."""
        files = self.files(pattern.block, fragmented=pattern.fragmented)
        folder = self.folder / f"recipe-{next(self._numbers)}"
        return recipe_of(pattern, self.worlds[pattern.block], files, folder, places, url=url)

    def once(self, way: str, recipe: Path, server: Any = None) -> Record:
        """One run, whose output is removed."""
        out = self.folder / f"out-{next(self._numbers)}"
        try:
            return once.run(way, recipe, out, server)
        finally:
            shutil.rmtree(out, ignore_errors=True)


def world_of(bench: Bench) -> Record:
    """What the header tells of the files."""
    files = bench.files()
    first = files / bench.worlds[1024].item_id(0, 0)
    ratios = {band: round(compression_ratio(first / f"{band}.tif"), 3) for band in BANDS}
    return {"blocks": bench.worlds[1024].block, "compression": ratios}


def chips(bench: Bench) -> Iterator[Record]:
    """CPU per tile of all ways, dense and sparse: runs of two sizes, in turn."""
    for name in ("dense", "sparse"):
        ways = ("floor", "nutonic", *bench.peers)
        recipes = [bench.recipe(PATTERNS[name], places) for places in bench.sizes[name]]
        yield from _per_tile(bench, name, ways, recipes)


def patterns(bench: Bench) -> Iterator[Record]:
    """The same of the floor and nutonic alone, for other ways that places lie and other rows; once each."""
    for pattern in list(PATTERNS.values())[2:]:
        if pattern.block in bench.worlds:
            few, many = bench.sizes.get(pattern.name, bench.sizes["other"])
            recipes = [bench.recipe(pattern, places) for places in (few, many)]
            ways = ("nutonic",) if pattern.parts.get("rows") else ("floor", "nutonic")
            yield from _per_tile(bench, pattern.name, ways, recipes, runs=1)


def _per_tile(
    bench: Bench, name: str, ways: Sequence[str], recipes: Sequence[Path], runs: int | None = None
) -> Iterator[Record]:
    for repeat in range(runs or bench.runs):
        for way in ways:
            few, many = (bench.once(way, recipe) for recipe in recipes)
            tiles = many["tiles"] - few["tiles"]
            cost = 1000 * (many["cpu_s"] - few["cpu_s"]) / tiles
            yield {"pattern": name, "way": way, "repeat": repeat, "cpu_ms_per_tile": cost, "few": few, "many": many}


def network(bench: Bench) -> Iterator[Record]:
    """Wall, requests and bytes where each request takes 0, 20 and 100 ms."""
    for pattern in ("dense", "sparse"):
        places = bench.sizes["network"]
        for repeat in range(bench.runs):
            for latency in (0, 20, 100):
                files = bench.files()
                with served(files, latency) as server:
                    recipe = bench.recipe(PATTERNS[pattern], places[pattern == "sparse"], server.url)
                    found = bench.once("nutonic", recipe, server)
                yield {"pattern": pattern, "latency_ms": latency, "repeat": repeat, **found}


def workers(bench: Bench) -> Iterator[Record]:
    """Wall of one and of two worker processes."""
    recipes = [bench.recipe(PATTERNS["dense"], places) for places in bench.sizes["dense"]]
    for repeat in range(bench.runs):
        for way in ("nutonic, 1 worker", "nutonic, 2 workers"):
            few, many = (bench.once(way, recipe) for recipe in recipes)
            yield {"way": way, "repeat": repeat, "few": few, "many": many}


def start_up(bench: Bench) -> Iterator[Record]:
    """CPU of the commands that do next to nothing."""
    recipe = bench.recipe(PATTERNS["dense"], 4)
    out = bench.folder / "idle"
    once.run("nutonic", recipe, out)
    python = [sys.executable, "-m", "nutonic"]
    commands = {
        "--help": [*python, "--help"],
        "build with nothing to do": [*python, "build", str(recipe), "--out", str(out), "--workers", "0"],
        "plan of 4 places": [*python, "plan", str(recipe)],
    }
    for repeat in range(bench.runs + 1):
        for name, command in commands.items():
            before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, cwd=_ROOT)
            after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - wall
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if repeat:  # the first fills the disk's cache
                yield {"command": name, "repeat": repeat, "cpu_s": round(cpu, 3), "wall_s": round(wall, 3)}
    shutil.rmtree(out)


SECTIONS: Mapping[str, Callable[[Bench], Iterator[Record]]] = {
    "chips": chips,
    "patterns": patterns,
    "network": network,
    "workers": workers,
    "start_up": start_up,
}


def run(bench: Bench, names: Sequence[str], header: Record, results: Path) -> list[Record]:
    """Run sections, and append each record to a file of JSON lines as soon as there is one."""
    records = []
    with results.open("w", encoding="utf-8") as out:
        out.write(json.dumps({"section": "context", **header}) + "\n")
        for name in names:
            for record in SECTIONS[name](bench):
                records.append({"section": name, **record})
                out.write(json.dumps(records[-1]) + "\n")
                out.flush()
    return records
