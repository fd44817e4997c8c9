"""One way, once, in a process of its own: ``python -m benchmarks.once WAY RECIPE OUT`` prints a line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.peers import READERS
from benchmarks.server import Served
from benchmarks.usage import used

Way = Callable[[Path, Path], int]


def nutonic(recipe: Path, out: Path, workers: int = 0) -> int:
    """The whole of ``nutonic build``: plan, pixels, rows, commits, the finished tree."""
    from nutonic.recipe.yaml import load_recipe
    from nutonic.run.run import build

    summary = build(load_recipe(recipe), out, workers=workers)
    assert summary.complete, f"{summary.failures} places failed"
    return summary.tiles


def two_workers(recipe: Path, out: Path) -> int:
    """The same on two worker processes."""
    return nutonic(recipe, out, 2)


def one_worker(recipe: Path, out: Path) -> int:
    """The same on one worker process."""
    return nutonic(recipe, out, 1)


def the_floor(recipe: Path, out: Path) -> int:
    """See :mod:`benchmarks.floor`."""
    from benchmarks.floor import run

    return run(recipe, out)


def installed_peers() -> list[str]:
    """The peers whose libraries are installed."""
    return [name for name, (_, module) in READERS.items() if _is_installed(module)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is what it is a part of
        return False


WAYS: Mapping[str, Way] = {
    "floor": the_floor,
    "nutonic": nutonic,
    "nutonic, 1 worker": one_worker,
    "nutonic, 2 workers": two_workers,
    **{name: partial(peers.run, name) for name in READERS},
}


def environment() -> dict[str, str]:
    """What processes are started with: one core, and modules that are compiled once.

    A thread of BLAS that waits for the next product burns another core.
    """
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def run(name: str, recipe: Path, out: Path, server: Served | None = None, limit_s: float = 600) -> dict[str, Any]:
    """Run a way in a process of its own.

    Returns
    -------
    dict
        ``tiles``; ``wall_s`` and ``cpu_s``, of the whole process with the start of Python, and of all that it started;
        ``peak_mb`` of the largest process; and what the server counted, if there is one.
    """
    if server is not None:
        server.take()
    command = [sys.executable, "-m", "benchmarks.once", name, str(recipe), str(out)]
    usage = used(command, environment(), limit_s)
    found: dict[str, Any] = json.loads(usage.text.splitlines()[-1])
    found |= {"wall_s": usage.wall_s, "cpu_s": usage.cpu_s, "peak_mb": usage.peak_mb}
    return found if server is None else {**found, **server.take()}


def main() -> None:
    """Run one way in this process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.once", description=__doc__)
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    tiles = WAYS[asked.way](asked.recipe, asked.out)
    print(json.dumps({"way": asked.way, "tiles": tiles}))


if __name__ == "__main__":
    main()
