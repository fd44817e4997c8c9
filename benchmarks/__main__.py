"""``python -m benchmarks``: everything in one run, into ``benchmarks/RESULTS.md``; see docs/benchmarks.md.

Give it a quiet machine: CPU seconds, too, grow where others use the same caches.
"""

from __future__ import annotations

import argparse
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
    "peers": (4, 20),
    "other": (16, 64),
    "strides of 128 (512 each)": (2, 8),
    "JPEG 2000": (4, 16),
    "network": (64, 16),
    "stages": (64, 16),
    "median": (4096, 4),
}
TINY = dict.fromkeys(SIZES, (1, 3)) | {"strides of 128 (512 each)": (1, 2), "JPEG 2000": (1, 3), "median": (300, 2)}

#: Places whose pixels cost nothing: see `benchmarks.sections.scale`.
COUNTS = {"driver": (500, 3000), "growth": (500, 3000, 25500)}
TINY_COUNTS = {"driver": (20, 40), "growth": (10, 20, 30)}

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
    for folder in filter(None, (asked.folder, asked.results)):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.folder) as temporary:  # on the same disk, wherever that is
        _measured(_bench(Path(temporary), asked), asked)


def command_of(asked: argparse.Namespace) -> str:
    """The command that makes the same figures. Whose folders it was given is nobody else's matter."""
    only = [] if asked.only == list(SECTIONS) else ["--only", *asked.only]
    return " ".join(["python -m benchmarks", f"--runs {asked.runs}", *only, *(["--tiny"] if asked.tiny else [])])


def _bench(outputs: Path, asked: argparse.Namespace) -> Bench:
    worlds, sizes, counts = (TINY_WORLDS, TINY, TINY_COUNTS) if asked.tiny else (WORLDS, SIZES, COUNTS)
    captions = 0.01 if asked.tiny else 0.05
    folder = asked.folder or outputs
    return Bench(
        folder, outputs, worlds, sizes, runs=asked.runs, peers=once.installed_peers(), counts=counts, captions=captions
    )


def _measured(bench: Bench, asked: argparse.Namespace) -> None:
    """Measure section by section; each is on the page once it has ended, so that a run that is ended keeps what it has."""
    print("writing scenes", flush=True)
    began = last = time.monotonic()
    header = context(**world_of(bench), runs=asked.runs, command=command_of(asked))
    seconds = {"scenes": round(time.monotonic() - last)}
    print(f"scenes: {seconds['scenes']} s; next: {asked.only[0]}", flush=True)
    last = time.monotonic()
    for (name, records), after in zip(
        run(bench, asked.only, asked.results / "results.jsonl", header), [*asked.only[1:], "nothing"], strict=True
    ):
        seconds[name], last = round(time.monotonic() - last), time.monotonic()
        told = {"minutes": round((last - began) / 60, 1), "seconds": seconds}
        report.write(asked.results, {**header, **told}, records)
        print(f"{name}: {seconds[name]} s; next: {after}", flush=True)
    print(asked.results / "RESULTS.md")


if __name__ == "__main__":
    main()
