"""Folders that lie in each other, and links that lead on to each other, by the thousand: whatever meets them ends well."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.cli import nutonic
from support.trees import small_planet

import nutonic as nt
from nutonic.dataset.verify import verify
from nutonic.errors import NotNutonic
from nutonic.io.files import below, make_folders, real_path

#: More than Python calls itself, on a path that is short enough for a system.
DEPTH = 1200

pytestmark = pytest.mark.skipif(shutil.which("rm") is None, reason="removes what Python's own means do not reach")


@pytest.fixture
def here(tmp_path) -> Iterator[Path]:
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path], check=True)


@pytest.fixture
def deep(here) -> Path:
    """A folder at the end of many."""
    folder = here / "deep"
    make_folders(folder.joinpath(*["d"] * DEPTH))
    return folder


@pytest.fixture
def linked(here) -> Path:
    """A link that leads by way of many to a file that is there."""
    (here / "end").write_text("[]")
    last = here / "end"
    for k in range(DEPTH):
        (here / f"link{k}").symlink_to(last.name)
        last = here / f"link{k}"
    return last


def recipe(folder: Path, **parts: dict) -> Path:
    path = small_planet(folder, few=(0, 1))
    values = yaml.safe_load(path.read_text())
    for part, content in parts.items():
        values[part] = {**values[part], **content}
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.long
def test_folders_are_made_however_many_there_are(here):
    new = here.joinpath(*["e"] * DEPTH)
    make_folders(new)
    make_folders(new)
    assert new.is_dir()
    (here / "file").touch()
    with pytest.raises(OSError, match="ot a directory"):
        make_folders(here / "file" / "a" / "b")


def test_what_lies_below_a_folder_is_all_found(deep):
    last = deep.joinpath(*["d"] * DEPTH)
    (last / "file").write_text("x")
    found = {path: status.st_size for path, status in below(deep)}
    assert len(found) == DEPTH + 1
    assert found["/".join(["d"] * DEPTH + ["file"])] == 1
    assert {path for path, _ in below(deep, "d/d")} == {path for path in found if path.startswith("d/d/")}


def test_links_are_followed_as_far_as_a_system_follows_them(here, linked):
    (here / "a").symlink_to("b")
    (here / "b").symlink_to("a")
    assert real_path(here / "link3") == real_path(here) / "end"
    assert real_path(here / "a").parent == real_path(here)
    assert real_path(linked).parent.samefile(here)
    with pytest.raises(NotNutonic, match="is not a nutonic tree"):
        nt.open_dataset(here / "a")


@pytest.mark.long
def test_an_output_may_lie_in_many_folders(here):
    path = recipe(here)
    for out in (here.joinpath("x", *["e"] * DEPTH), here / "x" / "y"):
        said = nutonic("plan", path, "--out", out)
        assert (said.code, "Traceback" in said.told) == (0, False), said.told[-500:]
        assert (out / "_nutonic" / "plan.jsonl").is_file()


@pytest.mark.long
@pytest.mark.parametrize("what", ["catalogue", "places", "labels", "scene"])
def test_an_input_behind_many_links_is_told_in_a_line(here, linked, what):
    said = built(here, what, linked)
    assert (said.code, "Traceback" in said.told) == (1 if what == "scene" else 2, False)
    assert "too many levels of symbolic links" in said.told.lower() or "does not exist" in said.told, said.told


@pytest.mark.long
@pytest.mark.parametrize("what", ["catalogue", "places", "labels", "scene"])
def test_an_input_below_many_folders_is_told_in_a_line(here, deep, what):
    said = built(here, what, deep.joinpath(*["d"] * DEPTH, "none.tif"))
    assert (said.code, "Traceback" in said.told) == (1 if what == "scene" else 2, False), said.told[-500:]


def built(here: Path, what: str, path: Path):
    """What a build says whose input is at some path."""
    parts = {"catalogue": ("imagery", "url"), "places": ("pois", "path"), "labels": ("labels", "path")}
    if what != "scene":
        part, key = parts[what]
        return nutonic("build", recipe(here, **{part: {key: str(path)}}), "--out", here / "out", "--workers", "0")
    file = recipe(here)
    items = json.loads((here / "items.json").read_text())
    for item in items["features"]:
        item["assets"]["red"]["href"] = str(path)
    (here / "items.json").write_text(json.dumps(items))
    (here / "out").mkdir()  # in which no input may lie
    return nutonic("build", file, "--out", here / "out", "--workers", "0")


def test_labels_are_looked_for_in_folders_as_deep_as_python_looks(here, deep):
    path = recipe(here, labels={"path": "**/*.tif"})
    said = nutonic("plan", path)
    assert said.code == 2
    assert "folders in folders, too many to look through; see labels.path" in " ".join(said.err.split())


@pytest.mark.long
def test_a_tree_in_which_somebody_has_many_folders_is_judged(here):
    tree = here / "out"
    nt.build(nt.load_recipe(recipe(here)), tree, workers=0)
    make_folders(tree.joinpath("images", *["d"] * DEPTH))
    problems = verify(tree, deep=True).problems
    assert len(problems) == 1
    assert "is an empty folder, which nutonic does not make" in problems[0] or problems[0].endswith("…")
    for command in (["build", here / "recipe.yaml", "--out", tree, "--workers", "0"], ["report", tree]):
        said = nutonic(*command)
        assert (said.code, "Traceback" in said.told) == (0, False), said.told[-500:]


@pytest.mark.long
def test_geotiffs_go_to_no_folder_whose_name_is_no_text(here):
    name = os.fsdecode(b"c\xff")
    said = nutonic(
        "cube", recipe(here), "--out", here / "cube", "--area", "17.95,46.66,17.97,46.68", "--cogs", here / name
    )
    assert said.code == 2
    assert "has bytes in its name that are no text (UTF-8): name another path" in said.err
    assert not (here / "cube").exists()
