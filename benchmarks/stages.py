"""Where the CPU of a build or of the floor goes: ``python -m benchmarks.stages WAY RECIPE OUT``; milliseconds a tile.

The functions that begin a stage are wrapped, and each thread's CPU counts for the innermost stage that it is in. The stages
cost a few per cent themselves; the first build, which imports, is not counted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

#: Module, class if it is a method, and name of what begins each stage. What is imported by name elsewhere is named there.
_Begin = Mapping[str, Sequence[tuple[str, str | None, str]]]
_OF_FLOOR: _Begin = {
    "headers": [("benchmarks.floor", "Raster", "of")],
    "decode": [("benchmarks.floor", "Raster", "_block")],
    "labels": [("benchmarks.floor", None, "_nearest"), ("benchmarks.floor", None, "_sampled")],
    "stretch": [("benchmarks.floor", None, "_picture")],  # and resize
    "PNG": [("benchmarks.floor", None, "_png")],
    "regions": [("benchmarks.floor", None, "_regions"), ("benchmarks.floor", None, "_cells")],
    "rows": [("benchmarks.floor", None, "_written")],  # sidecars, hashes and writes
}
_OF_BUILD: _Begin = {
    "read": [("nutonic.io.raster", None, "_read"), ("nutonic.io.raster", None, "header")],
    "decode": [("nutonic.io.tiff.blocks", "Blocks", "_unpacked"), ("nutonic.io.tiff.blocks", "Block", "rows")],
    "labels": [("nutonic.sources.backend", "NearestMosaic", "read")],
    "values": [("nutonic.sources.pixels", None, "decoded")],
    "stretch": [("nutonic.chips.chip", None, "stretch_tile")],
    "resize": [("nutonic.chips.chip", None, "downsample")],
    "PNG": [("nutonic.run.batch", None, "encode")],
    "regions": [("nutonic.run.batch", None, "land_cover")],
    "rows": [("nutonic.run.batch", None, "_rows")],
    "sidecars": [("nutonic.run.batch", None, "sidecar_of"), ("nutonic.run.batch", None, "dumps")],
    "hashes": [("nutonic.run.batch", None, "sha256"), ("nutonic.run.batch", None, "difference_hash")],
    "writes": [("nutonic.io.objects", "Store", "put"), ("nutonic.io.objects", "Store", "create")],
    "cube": [("nutonic.run.read", None, "_opened")],
    "commit": [("nutonic.run.batch", None, "commit")],
    "plan": [("nutonic.planning.prepare", None, "prepare")],
    "finish": [("nutonic.run.run", None, "finalize")],
}


class Stages:
    """CPU seconds of all threads, by stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._lock, self._local = threading.Lock(), threading.local()

    def wrap(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose CPU is its stage's, but for what inner stages take."""

        @wraps(function)
        def staged(*args: Any, **kwargs: Any) -> Any:
            inner, self._local.inner = getattr(self._local, "inner", 0.0), 0.0
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.thread_time() - began
                with self._lock:
                    self.seconds[stage] += spent - self._local.inner
                self._local.inner = inner + spent

        return staged

    def install(self, begin: _Begin) -> None:
        """Wrap the functions that begin stages."""
        for stage, functions in begin.items():
            for module, owner, name in functions:
                home: Any = importlib.import_module(module)
                home = home if owner is None else getattr(home, owner)
                setattr(home, name, self.wrap(stage, getattr(home, name)))


def profile(way: str, recipe: Path, out: Path) -> dict[str, float]:
    """Milliseconds of CPU per tile, by stage; ``other`` is all else, such as threads and what calls the stages."""
    from benchmarks.once import WAYS

    WAYS[way](recipe, out / "first")
    stages = Stages()
    stages.install(_OF_FLOOR if way == "floor" else _OF_BUILD)
    began = time.process_time()
    tiles = WAYS[way](recipe, out / "second")
    spent = time.process_time() - began
    stages.seconds["other"] = spent - sum(stages.seconds.values())
    return {name: round(1000 * seconds / tiles, 3) for name, seconds in stages.seconds.most_common()}


def main() -> None:
    """Print the stages of a way with a recipe."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("way", choices=("floor", "nutonic"))
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    print(json.dumps(profile(asked.way, asked.recipe, asked.out)))


if __name__ == "__main__":
    main()
