"""``python -m benchmarks``: everything in one run, into ``benchmarks/RESULTS.md``; see docs/benchmarks.md.

Give it a quiet machine: CPU seconds, too, grow where others use the same caches.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import once, report
from benchmarks.context import context
from benchmarks.scenes import World
from benchmarks.sections import SECTIONS, Bench, run, world_of

#: Places of a small and of a large run, by pattern.
SIZES = {
    "dense": (32, 224),
    "sparse": (8, 40),
    "peers": (4, 24),
    "other": (16, 64),
    "strides of 128 (512 each)": (2, 8),
    "network": (64, 16),
    "stages": (64, 16),
    "median": (4096, 4),
}
TINY = dict.fromkeys(SIZES, (1, 3)) | {"strides of 128 (512 each)": (1, 2), "median": (300, 2)}

WORLDS = {1024: World(), 512: World(side=4096, block=512)}
TINY_WORLDS = {1024: World(side=1800, across=1, block=256, labels_block=256)}


def main() -> None:
    """Measure, write and say where."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each, interleaved")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS), help="sections")
    parser.add_argument(
        "--folder", type=Path, help="where the scenes are kept for another run; a temporary one by default"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).parent, help="folder of what is written")
    parser.add_argument("--tiny", action="store_true", help="see that it works; the figures mean nothing")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(folder, TINY_WORLDS if asked.tiny else WORLDS, TINY if asked.tiny else SIZES, runs=asked.runs)
        bench.peers = once.installed_peers()
        header = context(**world_of(bench), runs=asked.runs, command=" ".join(["python -m benchmarks", *sys.argv[1:]]))
        asked.results.mkdir(parents=True, exist_ok=True)
        records = run(bench, asked.only, header, asked.results / "results.jsonl")
    header["minutes"] = round((time.monotonic() - began) / 60, 1)
    report.write(asked.results, header, records)
    print(asked.results / "RESULTS.md")


main()
