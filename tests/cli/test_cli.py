"""The command line as a user meets it: exit codes, messages, and what is on the disk afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pytest
import rasterio
import yaml
from support.cli import Said, listing, nutonic
from support.paths import ROOT

from nutonic.dataset.packs.registry import FORMS
from nutonic.recipe.recipe import Recipe
from nutonic.recipe.starts import recipe_text
from nutonic.recipe.yaml import load_recipe, parse_recipe_text


def shell(*args: object, code: str | None = None) -> subprocess.CompletedProcess[str]:
    """The same as a program of its own; or a snippet of Python."""
    command = ["-m", "nutonic"] if code is None else ["-c", code]
    return subprocess.run(
        [sys.executable, *command, *map(str, args)], capture_output=True, text=True, timeout=120, check=False
    )


def tree(out: Path) -> dict[str, bytes | None]:
    """What must be the same however a tree came about."""
    return {name: data for name, data in listing(out).items() if not name.startswith("_nutonic")}


class World(NamedTuple):
    """A folder of somebody's own with the planet's files, to be spoilt."""

    folder: Path
    content: dict

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self, **parts) -> None:
        """The recipe with values replaced, by part."""
        whole = self.content | {
            k: {**self.content.get(k, {}), **v} if isinstance(v, dict) else v for k, v in parts.items()
        }
        self.recipe.write_text(yaml.safe_dump(whole, sort_keys=False))

    def places(self, *rows: str, header: str = "lon,lat") -> None:
        (self.folder / "pois.csv").write_text("\n".join([header, *rows, ""]))

    def build(self, *args: object) -> Said:
        return nutonic("build", self.recipe, "--out", self.out, "--workers", 0, *args)


def linked(source: str, target: str) -> None:
    """Rasters are only ever replaced, never written into; all else is a file of its own."""
    (os.link if source.endswith(".tif") else shutil.copy2)(source, target)


@pytest.fixture
def world(planet, recipe_path, tmp_path):
    found = World(tmp_path / "world", planet.recipe())
    shutil.copytree(recipe_path.parent, found.folder, copy_function=linked)
    found.write()
    return found


@pytest.fixture
def good(planet):
    """Two lines of the places file that have chips, and lie on one scene."""
    return [f"{lon!r},{lat!r}" for lon, lat, _ in planet.places[4:6]]


def append(text: str) -> Callable[[World], object]:
    return lambda world: world.recipe.write_text(world.recipe.read_text() + text)


def replace(name: str, content: str | bytes | None) -> Callable[[World], object]:
    """A file with other content, or gone."""

    def act(world: World) -> None:
        path = world.folder / name
        path.unlink()
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return act


def rewrite(**parts) -> Callable[[World], object]:
    return lambda world: world.write(**parts)


def drop(part: str, name: str | None = None) -> Callable[[World], object]:
    def act(world: World) -> None:
        content = yaml.safe_load(world.recipe.read_text())
        del (content[part] if name else content)[name or part]
        world.recipe.write_text(yaml.safe_dump(content))

    return act


def three_bands(world: World) -> None:
    path = world.folder / "land_cover.tif"
    with rasterio.open(path) as raster:
        profile = {**raster.profile, "count": 3, "width": 64, "height": 64}
    path.unlink()
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.ones((3, 64, 64), np.uint8))


def folder_for_recipe(world: World) -> None:
    world.recipe.unlink()
    world.recipe.mkdir()


# What a user may get wrong: how, and what the message must hold: the value, and what to do or what is expected.
MISTAKES = {
    "recipe missing": (replace("recipe.yaml", None), ["recipe.yaml", "no such file", "nutonic init"]),
    "recipe a folder": (folder_for_recipe, ["cannot read the recipe", "recipe.yaml", "is a directory"]),
    "recipe not YAML": (replace("recipe.yaml", "name: [x\n"), ["recipe.yaml is not YAML", "line 2"]),
    "recipe not text": (replace("recipe.yaml", b"\xff\xfe"), ["cannot read the recipe", "-8 text"]),
    "recipe empty": (replace("recipe.yaml", ""), ["recipe.yaml holds", "not a recipe", "nutonic init"]),
    "recipe a list": (replace("recipe.yaml", "- a\n- b\n"), ["holds list, not a recipe", "nutonic init"]),
    "unknown key": (append("stetch: {low: 2}\n"), ["stetch is not a key of a recipe", "did you mean stretch?"]),
    "unknown key in a part": (rewrite(tiles={"sise": 64}), ["tiles.sise is not a key", "did you mean size?"]),
    "wrong type": (rewrite(tiles={"size": "big"}), ["tiles.size", "valid integer", "'big'"]),
    "part of the wrong type": (rewrite(tiles=[1, 2]), ["tiles", "[1, 2]"]),
    "negative size": (rewrite(tiles={"size": -64}), ["tiles.size", "greater than or equal to 16", "-64"]),
    "tile larger than square": (rewrite(tiles={"size": 150}), ["tiles.size (150 px)", "grid.extent_m (140 px)"]),
    "key twice": (append("name: again\n"), ["'name' is written twice"]),
    "required part missing": (drop("imagery"), ["imagery is missing"]),
    "required key missing": (drop("imagery", "datetime"), ["imagery.datetime is missing"]),
    "dates reversed": (
        rewrite(imagery={"datetime": "2024-09-30/2024-05-01"}),
        ["imagery.datetime", "'2024-09-30/2024-05-01' ends before it starts"],
    ),
    "no folder for so many files": (
        rewrite(output={"files_per_dir": 3}),
        ["output.files_per_dir allows 3", "raise it"],
    ),
    "places missing": (replace("pois.csv", None), ["places file", "pois.csv", "no such file", "pois.path"]),
    "places without coordinates": (replace("pois.csv", "a,b\n1,2\n"), ["no column lon or longitude", "names a, b"]),
    "places empty": (replace("pois.csv", ""), ["is empty: its first line names columns", "pois.path"]),
    "places without a row": (replace("pois.csv", "lon,lat\n"), ["pois.csv has no usable place in 0 rows"]),
    "no usable place": (
        replace("pois.csv", "lon,lat\nnan,1\n1,85\n"),
        ["no usable place in 2 rows", "1 bad coordinates", "1 outside UTM"],
    ),
    "places not UTF-8": (
        replace("pois.csv", b"lon,lat,n\n1,2,K\xf6ln\n"),
        ["not UTF-8 text (byte 15)", "save it as UTF-8"],
    ),
    "places with an open quote": (replace("pois.csv", 'lon,lat\n"1,2\n' + "3,4\n" * 40_000), ["pois.csv"]),
    "catalogue missing": (replace("items.json", None), ["catalogue", "items.json", "no such file", "imagery.url"]),
    "catalogue not JSON": (replace("items.json", "<html>"), ["items.json is neither JSON nor NDJSON"]),
    "catalogue of something else": (replace("items.json", '{"type": "Topology"}'), ["'Topology'", "FeatureCollection"]),
    "catalogue without features": (
        replace("items.json", '{"type": "FeatureCollection", "features": null}'),
        ["items.json", "features"],
    ),
    "item without assets": (
        replace("items.json", '{"type": "Feature", "id": "lost", "geometry": null, "properties": {}}'),
        ["item 'lost'", "items.json", "is no STAC item"],
    ),
    "labels missing": (replace("land_cover.tif", None), ["land_cover.tif does not exist", "labels.path"]),
    "labels not a raster": (replace("land_cover.tif", "hello"), ["cannot open", "land_cover.tif"]),
    "labels with three bands": (three_bands, ["land_cover.tif has 3 bands", "one band of class ids"]),
    "no scene in these dates": (
        rewrite(imagery={"datetime": "2023-05-01/2023-09-30"}),
        ["none of 14 places can be built", "14 no scene", "2023-05-01/2023-09-30"],
    ),
    "no scene of this collection": (rewrite(imagery={"collection": "landsat"}), ["none of 14 places", "landsat"]),
    "no scene with these assets": (rewrite(imagery={"assets": ["red", "green", "nir"]}), ["none of 14 places", "nir"]),
    "out is a file": (lambda world: world.out.write_text("mine"), ["out is a file", "--out must name a folder"]),
    "out is somebody's": (
        lambda world: [world.out.mkdir(), (world.out / "thesis.txt").write_text("mine")],
        ["out holds files that are not nutonic's", "name a new or an empty folder"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_in_a_few_lines_and_nothing_is_written(world, case):
    spoil, words = MISTAKES[case]
    spoil(world)
    before = listing(world.folder)
    said = world.build()
    assert [word for word in words if word not in said.err] == []
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("nutonic: ")
    assert len(said.err.splitlines()) <= 5
    assert "Traceback" not in said.err
    assert listing(world.folder) == before
    assert nutonic("plan", world.recipe, "--out", world.out) == said
    assert listing(world.folder) == before


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["build", "recipe.yaml"], "--out"),
        (["build", "--out", "out"], "RECIPE"),
        (["build", "recipe.yaml", "--out", "out", "--workers", "-1"], "-1"),
        (["build", "recipe.yaml", "--out", "out", "--limit", "0"], "0"),
        (["build", "recipe.yaml", "--out", "out", "--wrkers", "1"], "--wrkers"),
        (["bild", "recipe.yaml"], "bild"),
        (["verify"], "DIR"),
        (["plan", "recipe.yaml", "recipe.yaml"], "recipe.yaml"),
        (["init", "somebody-elses", "new.yaml"], "somebody-elses"),
    ],
)
def test_wrong_arguments_are_told_in_a_few_lines(world, monkeypatch, args, word):
    monkeypatch.chdir(world.folder)
    before = listing(world.folder)
    said = nutonic(*args)
    assert (said.code, said.out) == (2, "")
    assert word in said.err
    assert len(said.err.splitlines()) <= 5
    assert "Traceback" not in said.err
    assert listing(world.folder) == before


def test_a_mistake_as_a_program(world):
    world.write(tiles={"size": -64})
    done = shell("build", world.recipe, "--out", world.out)
    assert (done.returncode, done.stdout, world.out.exists()) == (2, "", False)
    assert done.stderr == f"nutonic: {world.recipe}: tiles.size: Input should be greater than or equal to 16, not -64\n"


def test_a_file_where_outs_folder_should_be_is_a_mistake(world):
    (world.folder / "file").write_text("mine")
    before = listing(world.folder)
    said = nutonic("build", world.recipe, "--out", world.folder / "file" / "out", "--workers", 0)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert "file" in said.err
    assert listing(world.folder) == before


def test_an_empty_folder_may_be_built_into(world, good):
    world.out.mkdir()
    world.places(*good)
    assert world.build("--limit", 1).code == 0


# Places


def test_bad_lines_among_good_ones_are_listed_and_the_rest_is_built(world, good):
    world.places(
        good[0], "nan,46", "17,inf", "", "200,10", "10,-91", "17,90", "17,-89.9", "x,y", "17", good[1], good[0]
    )
    said = world.build("--json")
    assert said.code == 0
    summary = orjson.loads(said.out)
    assert (summary["built"], summary["complete"], summary["failures"]) == (2, True, [])
    assert {k: summary["rejects"][k] for k in ("bad coordinates", "outside UTM", "duplicate coordinates")} == {
        "bad coordinates": 6, "outside UTM": 2, "duplicate coordinates": 1,
    }  # fmt: skip
    assert re.search(
        r"6  bad coordinates: 6 places by the plan\n +such as poi_000001 \(line 3\): longitude nan", said.err
    )
    planned = nutonic("plan", world.recipe, "--json")
    rejected = orjson.loads(planned.out)["rejected"]
    assert [(r["poi_id"], r["reason"], r["line"]) for r in rejected] == [
        ("poi_000001", "bad coordinates", 3),
        ("poi_000002", "bad coordinates", 4),
        ("poi_000003", "bad coordinates", 6),  # line 5 is blank
        ("poi_000004", "bad coordinates", 7),
        ("poi_000005", "outside UTM", 8),
        ("poi_000006", "outside UTM", 9),
        ("poi_000007", "bad coordinates", 10),
        ("poi_000008", "bad coordinates", 11),
        ("poi_000010", "duplicate coordinates", rejected[-1]["line"]),
    ]
    assert "poi_000001 (line 3): longitude nan, latitude 46.0 is not on Earth" in nutonic("plan", world.recipe).out
    lines = [line for path in (world.out / "data").iterdir() for line in path.read_text().splitlines()]
    assert {json.loads(line)["poi_id"] for line in lines} == {"poi_000000", "poi_000009"}
    assert nutonic("verify", world.out, "--deep").code == 0


def test_ids_cannot_climb_out_of_the_tree(world, good):
    """Each becomes a safe name, and is kept in its sidecar as it was; the places themselves are equal, and one is kept."""
    bad = ["../x", "/etc", "a/b", "..", ".", "..\\x", ".hidden", "a_t0001", "x" * 65]
    world.places(f"CON,{good[0]}", *(f"{name},{good[1]}" for name in bad), f"con,{good[1]}", header="id,lon,lat")
    before = listing(world.folder.parent)
    said = world.build("--json")
    assert said.code == 0
    summary = orjson.loads(said.out)
    assert (summary["built"], summary["rejects"]["duplicate coordinates"]) == (2, len(bad))
    after = listing(world.folder.parent)
    new = set(after) - set(before)
    assert {name.split("/")[:2] == ["world", "out"] for name in new} == {True}
    assert {name: after[name] for name in before} == before
    assert not Path("/etc_t0000.png").exists()
    chips = sorted(path.name for path in world.out.glob("images/*/*"))
    assert {re.sub(r"_t000\d\.png", "", name) for name in chips} == {"id-CON-a3dbc4", "x-d6b96a"}
    sidecar = orjson.loads(next(world.out.glob("metadata/*/x-d6b96a_*.json")).read_bytes())
    assert sidecar["place"]["original_id"] == "../x"
    assert nutonic("verify", world.out, "--deep").code == 0


# Trees that are there


@pytest.fixture
def copied(world, built):
    """The finished tree at world.out, with what it was made from beside it."""
    shutil.copytree(built.out, world.out)
    return world


def test_a_build_that_makes_no_chip_is_no_success_and_says_why(world):
    world.write(labels={"dataset": {"name": "other", "unknown": 0, "classes": {250: "x"}}})
    said = world.build("--json")
    assert said.code == 1
    summary = json.loads(said.out)
    assert (summary["complete"], summary["succeeded"], summary["chips"], summary["tiles"]) == (True, False, 0, 0)
    assert f"no chip was made of {summary['wanted']} places" in said.err
    assert "such as poi_000004: the labels hold [1, 2, 3, 4, 5]" in said.err
    assert "labels.remap" in said.err
    told = summary["examples"]["unusable labels"]
    assert told.startswith("poi_000004: the labels hold [1, 2, 3, 4, 5]")
    assert orjson.loads((world.out / "_nutonic/summary.json").read_bytes())["examples"] == summary["examples"]
    again = world.build()
    assert (again.code, "none has a chip" in again.out) == (1, True)
    assert told in again.out


def test_built_again_what_is_gone_of_data_is_told(copied):
    before = listing(copied.out)
    next((copied.out / "data").rglob("*.jsonl")).unlink()
    said = copied.build("--json")
    assert said.code == 0
    assert f"all 13 places are built in {copied.out}: data/ and what tells of it were put together now" in said.err
    assert "nothing to do" not in said.err
    assert orjson.loads(said.out)["remade"] is True
    summary = "_nutonic/summary.json"  # it counts what this build did
    assert {**listing(copied.out), summary: None} == {**before, summary: None}


def test_built_again_a_finished_tree_is_not_touched(copied):
    before = listing(copied.out)
    stamps = {path: path.stat().st_mtime_ns for path in copied.out.rglob("*")}
    said = copied.build("--json")
    assert said.code == 0
    assert f"nothing to do: all 13 places are built in {copied.out}" in said.err
    summary = orjson.loads(said.out)
    assert (summary["built"], summary["done_before"], summary["bytes_written"]) == (0, 13, 0)
    assert listing(copied.out) == before
    assert {path: path.stat().st_mtime_ns for path in copied.out.rglob("*")} == stamps


@pytest.mark.parametrize("replan", [[], ["--replan"]])
def test_another_recipe_on_a_tree_is_refused(copied, replan):
    copied.write(rows={"min_region_px": 13})
    before = listing(copied.out)
    said = copied.build(*replan)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert f"{copied.out} was built from another recipe" in said.err
    assert "rows.min_region_px is 13, it was 12" in said.err
    assert "build into another folder, or restore the recipe" in said.err
    assert listing(copied.out) == before
    assert nutonic("plan", copied.recipe, "--out", copied.out) == nutonic("build", copied.recipe, "--out", copied.out)
    assert listing(copied.out) == before


def test_a_changed_places_file_on_a_tree_is_refused(copied):
    places = copied.folder / "pois.csv"
    places.write_text(places.read_text() + "18.0,46.6\n")
    before = listing(copied.out)
    said = copied.build()
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert f"{places} is not the places file {copied.out} was built from" in said.err
    assert "put back what was there, build into another folder, or take what is there now with --replan" in said.err
    assert listing(copied.out) == before


def test_a_changed_places_file_is_taken_with_replan_and_all_is_built_anew(copied):
    """A place is gone, one is moved and one is new: nothing is left of what was there."""
    places = copied.folder / "pois.csv"
    header, *lines = places.read_text().splitlines()
    places.write_text("\n".join([header, lines[1], *reversed(lines[2:]), ""]))
    said = copied.build("--replan")
    assert said.code == 0, said.told
    other = copied.folder / "fresh"
    fresh = nutonic("build", copied.recipe, "--out", other, "--workers", "0")
    assert fresh.code == 0, fresh.told
    tree, other = ({k: v for k, v in listing(out).items() if "summary" not in k} for out in (copied.out, other))
    assert tree == other
    said = nutonic("verify", copied.out, "--deep")
    assert said.code == 0, said.told


def test_lines_of_json_are_asked_of_commands_that_have_them_and_others_say_so_in_words(copied):
    said = nutonic("verify", copied.out, "--log-json")
    assert said.code == 2
    assert "No such option" in said.err
    assert not said.err.startswith("{")
    said = nutonic("build", copied.recipe, "--log-json")  # without --out
    assert json.loads(said.err)["event"] == "error"


def test_the_help_of_pack_names_all_forms():
    told = "".join(nutonic("pack", "--help").out.split())
    assert [
        form for form in FORMS if f"{form}," not in told and f"{form}or" not in told and f"{form}:" not in told
    ] == []


@pytest.mark.parametrize("name", ["pois.csv", "items.json", "land_cover.tif"])
def test_a_mistake_on_a_finished_tree_leaves_it_alone(copied, name):
    (copied.folder / name).unlink()
    before = listing(copied.out)
    said = copied.build()
    assert said.code == (2 if name == "pois.csv" else 0)  # a finished tree needs neither catalogue nor labels
    assert len(said.told.splitlines()) == 1
    assert listing(copied.out) == before


# Incomplete and interrupted


@pytest.mark.long
def test_what_cannot_be_read_stays_open_and_the_same_command_goes_on(world, built):
    raster = world.folder / "west" / "red.tif"
    whole = raster.read_bytes()
    replace("west/red.tif", whole[: len(whole) // 4])(world)
    said = world.build("--json")
    assert said.code == 1
    summary = orjson.loads(said.out)
    assert summary["complete"] is False
    assert summary["built"] > 0  # one broken file does not stop the others
    assert {failure["asset"] for failure in summary["failures"]} == {"west/red"}
    assert f"{len(summary['failures'])} places failed and stay open: run the same command again" in said.err
    unfinished = nutonic("verify", world.out)
    assert unfinished.code == 1
    assert f"{len(summary['failures'])} of 13 places are not built" in unfinished.out
    replace("west/red.tif", whole)(world)
    again = world.build("--json")
    assert again.code == 0
    assert orjson.loads(again.out)["built"] == len(summary["failures"])
    assert tree(world.out) == tree(built.out)
    assert nutonic("verify", world.out, "--deep").code == 0


@pytest.mark.long
def test_ctrl_c_stops_a_build_that_goes_on_later(world):
    world.write(tiles={"stride": 22})  # 16 tiles a place: some seconds are left when the first batch is done
    command = [sys.executable, "-m", "nutonic", "build", str(world.recipe), "--out", str(world.out), "--workers", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "batch 1" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.startswith("built ")  # what there is by now
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1] == "nutonic: interrupted: the same command goes on from here"
    assert nutonic("verify", world.out).code == 1
    again = world.build("--json")
    assert again.code == 0
    summary = orjson.loads(again.out)
    assert summary["done_before"] > 0  # what was committed before the interruption is not done again
    assert summary["built"] > 0
    assert summary["done_before"] + summary["built"] == 13
    assert nutonic("verify", world.out, "--deep").code == 0


def test_a_limit_builds_the_first_places_and_is_whole(world, built):
    said = world.build("--limit", 2)
    assert said.code == 0
    verdict = nutonic("verify", world.out)
    assert verdict.code == 0
    assert "2 of 13 places" in verdict.out
    assert {p.name[:10] for p in world.out.glob("images/*/*")} <= {"poi_000000", "poi_000001"}
    assert world.build().code == 0
    assert tree(world.out) == tree(built.out)


# verify


@pytest.mark.parametrize("deep", [[], ["--deep"]])
def test_a_whole_tree_and_a_copy_of_it_are_whole(built, copied, deep):
    for out in (built.out, copied.out):
        said = nutonic("verify", out, *deep)
        assert (said.code, said.err) == (0, "")
        assert "is whole: 13 of 13 places" in said.out


def test_brackets_in_a_folders_name_are_no_markup(built, tmp_path):
    out = tmp_path / "run [v2] [/]"
    shutil.copytree(built.out, out)
    (out / "extra [v3].txt").write_text("mine")
    said = nutonic("verify", out)
    assert said.code == 1
    assert f"{out} is not whole" in said.out
    assert "extra [v3].txt belongs to no commit" in said.out


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("deep", [[], ["--deep"]])
@pytest.mark.parametrize(
    "pattern", ["images/*/*.png", "metadata/*/*.json", "data/train.jsonl", "README.md", "_nutonic/commits/*"]
)
def test_a_tree_without_one_of_its_files_is_not_whole(copied, pattern, deep):
    path = sorted(copied.out.glob(pattern))[0]
    path.unlink()
    said = nutonic("verify", copied.out, *deep)
    assert said.code == 1
    assert f"{copied.out} is not whole" in said.out
    assert "Traceback" not in said.told


def test_what_is_no_tree_is_not_verified(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "somebodys" / "_nutonic").mkdir(parents=True)
    before = listing(tmp_path)
    for name in ("missing", "empty", "file", "somebodys"):
        said = nutonic("verify", tmp_path / name)
        assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
        assert name in said.err
    assert listing(tmp_path) == before


# JSON


@pytest.mark.long
def test_stdout_holds_one_json_object_and_nothing_else(built, tmp_path):
    planned = nutonic("plan", built.recipe_path, "--json")
    verdict = nutonic("verify", built.out, "--json")
    # As a program, so that what libraries in C print would be seen as well.
    done = shell("build", built.recipe_path, "--out", tmp_path / "out", "--workers", 0, "--limit", 1, "--json")
    assert (planned.code, verdict.code, done.returncode) == (0, 0, 0)
    plan, found, summary = (json.loads(text) for text in (planned.out, verdict.out, done.stdout))
    assert (plan["rows"], plan["places"], plan["tiles"], plan["rejects"]) == (14, 13, 52, {"no scene": 1})
    assert [(r["poi_id"], r["reason"]) for r in plan["rejected"]] == [("poi_000013", "no scene")]
    assert (summary["wanted"], summary["built"], summary["limit"], summary["complete"]) == (1, 1, 1, True)
    assert (found["done"], found["planned"], found["problems"]) == (13, 13, [])
    assert (found["tiles"], found["rows"]) == (built.summary.tiles, built.summary.rows)


def test_results_are_on_stdout_and_what_goes_on_meanwhile_is_not(built, tmp_path):
    planned, verdict = nutonic("plan", built.recipe_path), nutonic("verify", built.out)
    made = nutonic("build", built.recipe_path, "--out", tmp_path / "out", "--workers", 0, "--limit", 1)
    assert (planned.err, verdict.err) == ("", "")
    assert planned.out.startswith("places    13 of 14 rows")
    assert verdict.out.startswith(f"{built.out} is whole: ")
    assert re.fullmatch(r"batch 1: 1 place, .*; 1 of 1 done\n", made.err)
    assert made.out.startswith("built 1 place, ")
    assert f"nutonic verify {tmp_path / 'out'} --deep" in made.out  # what to do next


def test_a_broken_tree_is_told_as_json_too(copied):
    (copied.out / "extra.txt").write_text("mine")
    said = nutonic("verify", copied.out, "--json")
    assert said.code == 1
    (problem,) = json.loads(said.out)["problems"]
    assert problem.startswith("extra.txt belongs to no commit")


# Without a cluster

BUILD = """
import sys
{before}
from nutonic.cli.main import main
try:
    main(["build", {recipe!r}, "--out", {out!r}, "--workers", "0", "--limit", "1"])
except SystemExit as exit_:
    print("ended with", exit_.code)
print(sorted(name for name in sys.modules if name.startswith("nutonic.run.run") or name == "distributed"))
"""


@pytest.mark.long
def test_workers_0_builds_where_distributed_cannot_be_imported(built, tmp_path):
    before = 'sys.modules["distributed"] = None'
    done = shell(code=BUILD.format(before=before, recipe=str(built.recipe_path), out=str(tmp_path / "out")))
    assert "ended with 0" in done.stdout.splitlines(), done.stderr
    assert nutonic("verify", tmp_path / "out").code == 0


# init


def test_init_writes_a_recipe_to_start_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = nutonic("init")
    assert (said.code, said.err) == (0, "")
    assert "recipe.yaml" in said.out
    assert Path("recipe.yaml").read_bytes() == (ROOT / "recipes/nutonic.yaml").read_bytes()
    assert load_recipe("recipe.yaml").pois.path == str(tmp_path / "pois.csv")
    other = tmp_path / "other.yaml"
    assert shell("init", "nutonic", other).returncode == 0
    assert other.read_bytes() == Path("recipe.yaml").read_bytes()


def test_init_does_not_overwrite(tmp_path):
    (tmp_path / "mine.yaml").write_text("mine")
    for path in (tmp_path / "mine.yaml", tmp_path):
        said = nutonic("init", "nutonic", path)
        assert (said.code, said.out) == (2, "")
        assert f"{path} exists: name another file" in said.err
    assert listing(tmp_path) == {"mine.yaml": b"mine"}


def test_init_into_a_folder_that_is_not_there_is_a_mistake(tmp_path):
    said = nutonic("init", "nutonic", tmp_path / "missing" / "recipe.yaml")
    assert (said.code, said.out) == (2, "")
    assert "missing" in said.err
    assert len(said.err.splitlines()) == 1


def keys(value, path="") -> set[str]:
    if isinstance(value, dict):
        return {key for name, part in value.items() for key in keys(part, f"{path}.{name}".strip("."))}
    return {path}


def test_the_defaults_in_the_template_are_the_recipes():
    text = recipe_text("nutonic")
    # All that is commented out, save the class table of one's own, which shows another value for the same key.
    live = re.sub(r"^( *)# ( *)(\w+:(?! \{name).*)$", r"\1\2\3", text, flags=re.MULTILINE)
    shown = yaml.safe_load(live)
    written = Recipe.model_validate(yaml.safe_load(text))
    assert parse_recipe_text(live) == written
    assert keys(written.model_dump()) - keys(shown) <= {"splits.block_km"}
    assert keys(yaml.safe_load(text)) == {
        "name", "pois.path", "imagery.url", "imagery.collection", "imagery.datetime", "labels.source", "labels.path",
    }  # fmt: skip


# Help


def test_a_shell_completes_commands():
    done = subprocess.run(
        [sys.executable, "-m", "nutonic"],
        env={**os.environ, "_NUTONIC_COMPLETE": "bash_complete", "COMP_WORDS": "nutonic bu", "COMP_CWORD": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "plain,build\n")


def test_help_begins_with_what_a_person_needs_first():
    said = nutonic("--help")
    names = re.findall(r"^  ([a-z]+)  ", said.out, re.MULTILINE)
    assert names[:5] == ["init", "demo", "preview", "plan", "build"]
    assert said.out.count("...") == 1  # of the usage alone: no command's line is cut off
    assert max(map(len, said.out.splitlines())) <= 80


def test_help_and_version_are_no_mistakes():
    said = shell("--version")
    assert (said.returncode, said.stderr) == (0, "")
    assert re.fullmatch(r"nutonic, version \d+\.\d+\.\d+\S*\n", said.stdout)
    for command in ("plan", "build", "verify", "init", "demo"):
        said = nutonic(command, "--help")
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"Usage: nutonic {command}")
