"""What is measured, a section each: functions that give records, one for every run. Their order is that of the report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import Transformer

from benchmarks import once
from benchmarks.patterns import PATTERNS, SQUARE, Pattern, recipe_of
from benchmarks.records import Record
from benchmarks.scenes import (
    BANDS,
    CRS,
    STEP,
    World,
    compression_ratio,
    write,
    write_jpeg2000,
    write_labels,
    write_masks,
)
from benchmarks.server import served
from benchmarks.usage import used

_ROOT = Path(__file__).parents[1]

#: Seconds after which what does not end is given up.
_LIMIT_S = 900


#: What other files have in place of a world's own.
_REPLACED = {"fragmented": ("land_cover.tif",), "masks": ("items.json",), "JPEG 2000": ("items.json", "s2-*")}

#: Pixels along the side of the scene of JPEG 2000, which takes long to write.
_JPEG_2000 = 3072


@dataclass(slots=True)
class Bench:
    """Where it happens, and how large it is."""

    folder: Path
    """Of the scenes, which another run may read too."""
    outputs: Path
    """What this run writes besides; empty at first, so that each build begins anew."""
    worlds: Mapping[int, World]
    """By the side of the blocks of imagery."""
    sizes: Mapping[str, tuple[int, int]]
    """Places of a small and of a large run, by pattern; start-up is cancelled by their difference."""
    runs: int = 3
    peers: Sequence[str] = ()
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Places whose pixels cost nothing: of what the driver takes, and of whether a place costs more where there are many."""
    captions: float = 0.05
    """The share of the demo's patches that is captioned."""
    _numbers: Iterator[int] = field(default_factory=count)

    def files(self, block: int = 1024, which: str = "") -> Path:
        """The folder of a world's files, written when it is first needed; `which` as of a pattern."""
        path = self.folder / f"world-{block}-{which}".rstrip("-").replace(" ", "-")
        if (path / "items.json").is_file():
            return path
        shutil.rmtree(path, ignore_errors=True)
        if which == "":
            write(path, self.worlds[block])
            return path
        shutil.copytree(
            self.files(block), path, copy_function=os.link, ignore=shutil.ignore_patterns(*_REPLACED[which])
        )
        if which == "fragmented":
            write_labels(path / "land_cover.tif", self.worlds[block], fragmented=True)
        elif which == "masks":
            write_masks(path, self.worlds[block])
        else:
            write_jpeg2000(path, self.files(block), self.world(block, which))
        return path

    def world(self, block: int, which: str) -> World:
        """Where the scenes of these files lie."""
        world = self.worlds[block]
        return replace(world, side=min(world.side, _JPEG_2000), across=1) if which == "JPEG 2000" else world

    def recipe(self, pattern: Pattern, places: int, url: str | None = None) -> Path:
        """The recipe of so many places."""
        files, world = self.files(pattern.block, pattern.files), self.world(pattern.block, pattern.files)
        folder = self.outputs / f"recipe-{next(self._numbers)}"
        return recipe_of(pattern, world, files, folder, places, url=url)

    def once(self, way: str, recipe: Path, server: Any = None) -> Record:
        """One run, whose output stays to the end.

        Ext4 looks at what was deleted in the last minutes before it makes a file: up to 0.8 ms of CPU each, not 0.02.
        """
        return once.run(way, recipe, self.outputs / f"out-{next(self._numbers)}", server)

    def scaled(self, places: int, workers: int) -> Record:
        """So many places whose pixels cost nothing; their tree stays too."""
        folder = self.outputs / f"scale-{next(self._numbers)}"
        options = {"places": places, "workers": workers, "folder": folder}
        told = (word for name, value in options.items() for word in (f"--{name}", str(value)))
        return _told([sys.executable, "-m", "benchmarks.scale", *told])


def world_of(bench: Bench) -> Record:
    """What the header tells of the files."""
    files = bench.files()
    first = files / bench.worlds[1024].item_id(0, 0)
    ratios = {band: round(compression_ratio(first / f"{band}.tif"), 3) for band in BANDS}
    return {"blocks": bench.worlds[1024].block, "compression": ratios}


def chips(bench: Bench) -> Iterator[Record]:
    """CPU per tile of the floor and of nutonic, dense and sparse: runs of two sizes, in turn.

    Five times at least, unless each way is to be run once: of two runs the ratio has been a fifth off that of five.
    """
    runs = max(5, bench.runs) if bench.runs > 1 else 1
    for name in ("dense", "sparse"):
        recipes = [bench.recipe(PATTERNS[name], places) for places in bench.sizes[name]]
        yield from _per_tile(bench, name, ("floor", "nutonic"), recipes, runs=runs)


def peers(bench: Bench) -> Iterator[Record]:
    """CPU per tile of others, of as few places as show it: each place costs them the same, whatever lies beside it.

    Twice dense and once sparse: a run of theirs is mostly start-up, and the ratios are far from their limits.
    """
    for name, runs in (("dense", 2), ("sparse", 1)):
        recipes = [bench.recipe(PATTERNS[name], places) for places in bench.sizes["peers"]]
        yield from _per_tile(bench, name, bench.peers, recipes, runs=min(runs, bench.runs))


def patterns(bench: Bench) -> Iterator[Record]:
    """The same of the floor and nutonic alone, for other ways that places lie and other rows; once each."""
    for pattern in list(PATTERNS.values())[2:]:
        if pattern.block in bench.worlds:
            few, many = bench.sizes.get(pattern.name, bench.sizes["other"])
            recipes = [bench.recipe(pattern, places) for places in (few, many)]
            yield from _per_tile(bench, pattern.name, pattern.ways, recipes, runs=1)


def _per_tile(
    bench: Bench, name: str, ways: Sequence[str], recipes: Sequence[Path], runs: int | None = None
) -> Iterator[Record]:
    planned = {"nutonic": _planned(recipes[-1])}
    for repeat in range(runs or bench.runs):
        for way in ways:
            few, many = (bench.once(way, recipe) for recipe in recipes)
            tiles = many["tiles"] - few["tiles"]
            cost = 1000 * (many["cpu_s"] - few["cpu_s"]) / tiles
            found = {"pattern": name, "way": way, "repeat": repeat, "cpu_ms_per_tile": cost, "few": few, "many": many}
            yield found | ({"planned": planned[way]} if way in planned else {})


def _planned(recipe: Path) -> Record:
    """What a plan says of a build in one process, with what starting it takes."""
    import nutonic as nt
    from nutonic.planning.cost import START_S, pace

    cost = nt.plan(recipe).cost
    return {"cpu_s": (START_S + cost.cpu_seconds) * pace(), "peak_mb": cost.peak_bytes // 2**20}


def network(bench: Bench) -> Iterator[Record]:
    """Wall, requests and bytes where each request takes 0, 20 and 100 ms.

    Dense thrice at least: what is looked for there is a few per cent, by which one run differs from the next anyway.
    """
    for pattern, runs in (("dense", max(3, bench.runs)), ("sparse", min(2, bench.runs))):
        places = bench.sizes["network"][pattern == "sparse"]
        blocks = _blocks(bench, PATTERNS[pattern].points(bench.worlds[1024], places))
        for repeat in range(runs):
            for latency in (0, 20, 100):
                files = bench.files()
                with served(files, latency) as server:
                    recipe = bench.recipe(PATTERNS[pattern], places, server.url)
                    found = bench.once("nutonic", recipe, server)
                yield {"pattern": pattern, "latency_ms": latency, "repeat": repeat, "places": places, **blocks, **found}


def _blocks(bench: Bench, corners: np.ndarray) -> Record:
    """The blocks of imagery and of labels that squares need, and their bytes in the files."""
    world, files = bench.worlds[1024], bench.files()
    touched = set[tuple[str, int, int]]()
    for row, col in corners.tolist():
        name = world.item_id(col // world.side, row // world.side)
        spans = [
            range(v % world.side // world.block, (v % world.side + SQUARE - 1) // world.block + 1) for v in (row, col)
        ]
        touched |= {(f"{name}/{band}.tif", i, k) for band in BANDS for i in spans[0] for k in spans[1]}
    with rasterio.open(files / "land_cover.tif") as raster:
        x, y = world.origin(0, 0)
        to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
        for row, col in corners.tolist():
            steps = np.linspace(0, 10 * SQUARE, 33)
            lon, lat = to_degrees.transform(*np.meshgrid(x + 10 * col + steps, y - 10 * row - steps))
            cols, rows = (np.asarray(lon) - raster.transform.c) / STEP, (raster.transform.f - np.asarray(lat)) / STEP
            at = np.stack([rows.ravel(), cols.ravel()], 1).astype(int) // world.labels_block
            touched |= {("land_cover.tif", i, k) for i, k in np.unique(at, axis=0).tolist()}
    return {
        "blocks": len(touched),
        "block_bytes": sum(_sizes(files, touched)),
        "files": len({name for name, *_ in touched}),
    }


def _sizes(files: Path, blocks: set[tuple[str, int, int]]) -> Iterator[int]:
    for name in sorted({name for name, *_ in blocks}):
        with rasterio.open(files / name) as raster:
            for _, row, col in sorted(block for block in blocks if block[0] == name):
                yield int(raster.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1))


def stages(bench: Bench) -> Iterator[Record]:
    """Where the CPU of a build goes, and that of the floor."""
    for name in ("dense", "sparse"):
        recipe = bench.recipe(PATTERNS[name], bench.sizes["stages"][name == "sparse"])
        for way in ("nutonic", "floor"):
            out = bench.outputs / f"stages-{name}-{way}"
            command = [sys.executable, "-m", "benchmarks.stages", way, str(recipe), str(out)]
            yield {"pattern": name, "way": way, "ms_per_tile": _told(command)}


def median(bench: Bench) -> Iterator[Record]:
    """A median over time, of a smaller tile than the README's: see :mod:`benchmarks.cubes`."""
    from benchmarks import cubes

    side, dates = bench.sizes["median"]
    items = cubes.world(bench.folder / "median", side, dates)
    for repeat in range(min(2, bench.runs)):
        for way in ("nutonic", "stackstac", "odc-stac"):
            out = bench.outputs / f"median-{repeat}-{way}.zarr"
            found = cubes.measured(way, items, out, _LIMIT_S)
            shutil.rmtree(out)
            yield {"way": way, "repeat": repeat, **found}
    shutil.rmtree(items.parent)


def workers(bench: Bench) -> Iterator[Record]:
    """Wall of one and of two worker processes; and of one floor and of two side by side, which is what the machine gives."""
    recipes = [bench.recipe(PATTERNS["dense"], places) for places in bench.sizes["dense"]]
    for repeat in range(min(2, bench.runs)):
        for way in ("nutonic, 1 worker", "nutonic, 2 workers"):
            few, many = (bench.once(way, recipe) for recipe in recipes)
            yield {"way": way, "repeat": repeat, "few": few, "many": many}
        for way, processes in (("floor", 1), ("floor, 2 side by side", 2)):
            few, many = (_side_by_side(bench, recipe, processes) for recipe in recipes)
            yield {"way": way, "repeat": repeat, "few": few, "many": many}


def _side_by_side(bench: Bench, recipe: Path, processes: int) -> Record:
    """So many floors at the same time: the wall of the slowest, and the CPU of all."""
    with ThreadPoolExecutor(processes) as threads:
        runs = list(threads.map(lambda _: bench.once("floor", recipe), range(processes)))
    most = {name: max(run[name] for run in runs) for name in ("wall_s", "peak_mb")}
    return {**most, **{name: sum(run[name] for run in runs) for name in ("cpu_s", "tiles")}}


def start_up(bench: Bench) -> Iterator[Record]:
    """CPU of the commands that do next to nothing."""
    recipe = bench.recipe(PATTERNS["dense"], 4)
    out = bench.outputs / "idle"
    once.run("nutonic", recipe, out)
    python = [sys.executable, "-m", "nutonic"]
    commands = {
        "--help": [*python, "--help"],
        "build with nothing to do": [*python, "build", str(recipe), "--out", str(out), "--workers", "0"],
        "plan of 4 places": [*python, "plan", str(recipe)],
    }
    for repeat in range(bench.runs + 1):
        for name, command in commands.items():
            usage = used(command, once.environment(), _LIMIT_S)
            if repeat:  # the first fills the disk's cache
                yield {"command": name, "repeat": repeat, "cpu_s": usage.cpu_s, "wall_s": usage.wall_s}


def scale(bench: Bench) -> Iterator[Record]:
    """What a place takes besides its pixels, which cost nothing here: of the driver, and as places grow in number."""
    for repeat in range(bench.runs):
        for workers, kind in ((2, "driver"), (0, "growth")):
            for places in bench.counts[kind]:
                yield {"kind": kind, "repeat": repeat, **bench.scaled(places, workers)}


def captions(bench: Bench) -> Iterator[Record]:
    """Captions of patches by templates, and by a stand-in for a model: see :mod:`benchmarks.captions`."""
    command = [sys.executable, "-m", "benchmarks.captions", "--json", "--fraction", str(bench.captions)]
    command += ["--runs", str(min(2, bench.runs)), "--in-flight", "64"]
    yield _told([*command, "--workers", "0", "2", "--latency-ms", "50"])
    yield _told([*command, "--workers", "2", "--latency-ms", "1000", "--patches", "0"])


def _told(command: Sequence[str]) -> Record:
    """The last line of a process of its own, which is JSON."""
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=_ROOT, timeout=_LIMIT_S, env=once.environment()
    )
    told: Record = json.loads(found.stdout.splitlines()[-1])
    return told


SECTIONS: Mapping[str, Callable[[Bench], Iterator[Record]]] = {
    "chips": chips,
    "network": network,
    "workers": workers,
    "start_up": start_up,
    "scale": scale,
    "stages": stages,
    "median": median,
    "peers": peers,
    "captions": captions,
    "patterns": patterns,
}


def run(bench: Bench, names: Sequence[str], results: Path, header: Record) -> Iterator[tuple[str, list[Record]]]:
    """Run sections; after each its name, and all records so far, which are in a file of JSON lines as soon as there is one.

    What goes wrong in one is told as its record, and the others are run.
    """
    records: list[Record] = []
    with results.open("w", encoding="utf-8") as out:
        out.write(json.dumps({"section": "context", **header}) + "\n")
        for name in names:
            for record in _until_wrong(SECTIONS[name](bench)):
                records.append({"section": name, **record})
                out.write(json.dumps(records[-1]) + "\n")
                out.flush()
            yield name, records


def _until_wrong(found: Iterator[Record]) -> Iterator[Record]:
    try:
        yield from found
    except (subprocess.SubprocessError, OSError, ValueError, ImportError) as error:
        told = getattr(error, "stderr", None) or str(error)
        yield {"wrong": " ".join(str(told).split())[-300:]}
