"""Places that were left out, tried again when a person says so, and never by themselves."""

from __future__ import annotations

import shutil

import pytest
from support.cli import listing, nutonic
from support.remote import served
from support.trees import tree

from nutonic.dataset.verify import verify
from nutonic.run.run import build


@pytest.fixture
def world(clean, tmp_path):
    """The small planet's files, to be spoilt."""
    return shutil.copytree(clean.recipe.parent, tmp_path / "world")


@pytest.mark.long
def test_what_a_server_has_again_is_built_where_a_person_asks_for_it(world, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    with served(world) as (_, recipe):
        build(recipe, whole, workers=0)
        content = (world / "west" / "red.tif").read_bytes()
        (world / "west" / "red.tif").unlink()
        (world / "full" / "red.tif").rename(world / "full" / "away.tif")
        first, before = build(recipe, out, workers=0), tree(out)
        lost = first.rejects["asset gone"]
        assert first.complete
        assert 0 < lost < first.wanted  # the east is there, and of one batch some are built
        (world / "west" / "red.tif").write_bytes(content)
        (world / "full" / "away.tif").rename(world / "full" / "red.tif")
        assert build(recipe, out, workers=0).finished == 0  # not by itself
        # A place with chips, a tile of which was left out, is no place that was left out.
        again = build(recipe, out, workers=0, retry_rejects="asset gone")
        assert (again.finished, again.still_open) == (lost, 0)
        found, right = tree(out), tree(whole)
        new = {name for name in found.keys() - before.keys() if name.startswith(("images/", "metadata/"))}
        assert new
        assert {name: found[name] for name in new} == {name: right[name] for name in new}
        stay = [name for name in before if name.startswith(("images/", "metadata/"))]
        assert {name: found[name] for name in stay} == {name: before[name] for name in stay}
        verdict = verify(out, deep=True)
        assert (verdict.whole, verdict.problems) == (True, ())


@pytest.mark.long
def test_of_all_reasons_places_that_were_left_out_as_a_whole_are_tried_and_left_out_again(world, tmp_path):
    out = tmp_path / "out"
    with served(world) as (_, recipe):
        for scene in ("west", "full"):
            (world / scene / "red.tif").unlink()
        first = build(recipe, out, workers=0)
        before = tree(out)
        again = build(recipe, out, workers=0, retry_rejects=True)
        assert again.finished == again.rejects["asset gone"] == first.rejects["asset gone"]
        assert tree(out) == before


def test_a_reason_that_nothing_was_left_out_for_is_a_mistake_and_changes_nothing(clean, tmp_path):
    out = shutil.copytree(clean.out, tmp_path / "out")
    before = listing(out)
    command = ("build", clean.recipe, "--out", out, "--workers", 0, "--retry-rejects")
    for reason, words in (
        ("asset gon", "no place was left out for 'asset gon'; reasons are: "),
        ("no scene", "--replan"),
    ):
        said = nutonic(*command, reason)
        assert (said.code, said.out) == (2, "")
        assert words in said.err
        assert listing(out) == before
    assert nutonic(*command).code == 0  # nothing was left out as a whole
    assert listing(out) == before
