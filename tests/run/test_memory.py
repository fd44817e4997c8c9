"""What a build takes of memory, and what its plan says of it. Long: by hand."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

import nutonic as nt
from benchmarks import once
from benchmarks.patterns import PATTERNS, recipe_of
from benchmarks.scenes import World, write

pytestmark = [pytest.mark.exhaustive, pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_process_takes_about_400_mb_and_hardly_more_for_more_places(tmp_path: Path, workers):
    """Squares of 512 pixels in batches of 4 and of 14; a row of blocks in three bands, and more of labels, are kept."""
    world, peaks = World(across=1), []
    write(tmp_path / "files", world)
    for count in (32, 224):
        recipe = recipe_of(PATTERNS["dense"], world, tmp_path / "files", tmp_path / f"recipe-{count}", count)
        found = once.run(f"nutonic{', 1 worker' * workers}", recipe, tmp_path / f"{count}")
        peaks.append(found["peak_mb"])
        predicted = nt.plan(recipe).cost.peak_bytes / 2**20
        assert predicted / 1.5 <= peaks[-1] <= predicted * 1.5
    assert peaks[1] <= 400, peaks
    assert peaks[1] <= 1.1 * peaks[0], peaks


class Frozen(nt.Callback):
    """Counts what Python's collector leaves alone while batches are built."""

    def __init__(self) -> None:
        self.counts = set[bool]()

    def on_batch(self, event) -> None:
        self.counts.add(gc.get_freeze_count() > 0)


def test_what_was_there_before_is_not_looked_through_for_garbage_and_all_is_as_it_was_after(few, tmp_path: Path):
    seen = Frozen()
    assert nt.build(few.recipe, tmp_path / "tree", workers=0, limit=2, callbacks=[seen]).places
    assert seen.counts == {True}
    assert gc.get_freeze_count() == 0
