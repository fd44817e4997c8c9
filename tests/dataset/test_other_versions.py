"""A tree of an older version, which drew other boxes: verified as what it is, and not taken for damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import nutonic
from support.trees import small_planet

#: A version that frames every class in white; its own name is in all that it writes.
OLDER = """
import sys
import nutonic._version
nutonic._version.__version__ = "0.0.9"
from nutonic.core.classes import ClassTable
ClassTable.color = lambda table, class_id: "#ffffff"
from nutonic.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("older")
    recipe = small_planet(folder / "planet", (4,), rows={"overlays": True})
    out = folder / "tree"
    subprocess.run(
        [sys.executable, "-c", OLDER, "build", recipe, "--out", out, "--workers", "0"], check=True, capture_output=True
    )
    return out


@pytest.mark.long
def test_its_boxes_are_other_ones_and_it_is_whole(older, tmp_path):
    recipe = older.parent / "planet" / "recipe.yaml"
    assert nutonic("build", recipe, "--out", tmp_path / "new", "--workers", 0).code == 0
    drawn = sorted(path.relative_to(older) for path in older.rglob("overlays/*/*.png"))
    assert drawn
    assert all((older / path).read_bytes() != (tmp_path / "new" / path).read_bytes() for path in drawn)
    said = nutonic("verify", older, "--deep")
    assert (said.code, "is whole" in said.out) == (0, True), said
    assert "0.0.9" in said.out  # whose words and pictures cannot be made again


def test_damage_to_its_boxes_is_told(older):
    path = next(older.rglob("overlays/*/*.png"))
    before = path.read_bytes()
    path.write_bytes(before[:-20] + bytes([before[-20] ^ 1]) + before[-19:])
    try:
        said = nutonic("verify", older, "--deep")
    finally:
        path.write_bytes(before)
    assert said.code == 1
    assert path.name in said.out


def test_it_is_not_made_again_nor_gone_on_with(older):
    said = nutonic("verify", older, "--rebuild", 1)
    assert (said.code, "the tree was made by nutonic 0.0.9" in said.out) == (1, True)
    said = nutonic("build", older.parent / "planet" / "recipe.yaml", "--out", older, "--workers", 0)
    assert (said.code, "was begun with nutonic 0.0.9" in said.told) == (2, True)
