"""``python -m benchmarks``: the floor and a whole build in turn, on a synthetic planet; medians and spread."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.workloads import floor, measure, whole_build
from nutonic.recipe.yaml import load_recipe
from nutonic.testing import SyntheticPlanet


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each, interleaved, after one that is not counted")
    runs = parser.parse_args().runs
    seen: dict[str, list[float]] = {"floor": [], "build": []}
    with tempfile.TemporaryDirectory() as folder:
        recipe = load_recipe(SyntheticPlanet().write(Path(folder) / "planet"))
        for i in range(runs + 1):
            for name, work in (("floor", floor), ("build", whole_build)):
                got = measure(lambda w=work, n=name, k=i: w(recipe, Path(folder) / f"{n}{k}"))
                if i:
                    seen[name].append(got.cpu_ms_per_tile)
    for name, values in seen.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{name:6} {statistics.median(values):6.1f} ms of CPU per tile ({spread}, {runs} runs)")
    ratios = [build / bare for build, bare in zip(seen["build"], seen["floor"], strict=True)]
    print(f"build / floor {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


main()
