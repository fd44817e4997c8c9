"""Every tile of every place is accounted for: chips, and what was left out, places apart from tiles."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import yaml
from pyproj import Transformer
from support.cli import nutonic
from support.skies import CLOUDY, classify
from support.worlds import written

import nutonic as nt
from nutonic.io.objects import sealed
from nutonic.testing import SyntheticPlanet

PLANET = SyntheticPlanet(3, shape=(320, 420))
TO_DEGREES = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
#: Middles of squares of 1,400 m and four tiles, in metres from the north-west: two side by side, and one far off.
ONE, OTHER, FAR = (1203.0, -1396.0), (2903.0, -1396.0), (90_000.0, -1396.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The scene over all is cloudy over the one place's north-western tile, and over the whole of the other."""
    folder = tmp_path_factory.mktemp("sky")
    written(PLANET, folder, only=("full",))
    x0, y0 = PLANET.origin

    def sky(x, y):
        corner = (x < x0 + ONE[0] - 150) & (y > y0 + ONE[1] + 150)
        return np.where(corner | (x > x0 + 2100), CLOUDY, 4).astype(np.uint8)

    classify(folder, PLANET.scene("full"), sky, pixel=10.0)
    lines = [TO_DEGREES.transform(x0 + x, y0 + y) for x, y in (ONE, OTHER, FAR)]
    text = "".join(f"{lon!r},{lat!r}\n" for lon, lat in lines)
    (folder / "pois.csv").write_text(f"lon,lat\n{text}", encoding="utf-8")
    parts = {"imagery": {**PLANET.recipe()["imagery"], "max_cloud_cover": 100}}
    recipe = PLANET.recipe(**parts)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def told(folder, tmp_path_factory):
    """What the command prints, and what it gives with --json."""
    out = tmp_path_factory.mktemp("accounts")
    text = nutonic("build", folder / "recipe.yaml", "--out", out / "tree", "--workers", "0")
    as_json = nutonic("build", folder / "recipe.yaml", "--out", out / "again", "--workers", "0", "--json")
    return out / "tree", text.out + text.err, json.loads(as_json.out)


def test_the_summary_tells_places_from_tiles(told):
    _, _, summary = told
    assert (summary["places"], summary["finished"], summary["built"], summary["tiles"]) == (2, 2, 1, 3)
    assert summary["left_out"] == {
        "by_plan": {"no scene": 1},
        "places": {"too cloudy": 1},
        "tiles": {"too cloudy": 1},
        "stills": {},
    }
    assert (summary["tiles_done"], summary["tiles_left_out"]) == (8, 5)
    assert summary["tiles_done"] == summary["tiles"] + summary["tiles_left_out"]
    assert summary["rejects"] == {"too cloudy": 2, "no scene": 1}


def test_what_is_printed_accounts_for_all_tiles(told):
    _, text, _ = told
    assert "left out: 5 of 8 tiles of the places done now" in text
    assert "2  too cloudy: 1 whole place, 1 tile" in text
    assert "1  no scene: 1 place by the plan" in text


def test_the_card_and_the_report_do_too(told, tmp_path):
    out, _, _ = told
    account = "Each place has 4 tiles. Of 8 tiles of places that are done, 3 are chips and 5 are left out."
    card = (out / "README.md").read_text(encoding="utf-8").split("## Left out")[1].split("\n## ")[0]
    assert "| no scene | 1 place by the plan |" in card
    assert "| too cloudy | 1 whole place, 1 tile |" in card
    assert account in card
    page = nt.report(out, tmp_path / "report.html")
    told = page.read_text(encoding="utf-8")
    assert account in told
    assert "1 whole place, 1 tile" in told
    assert nt.verify(out, deep=True).problems == ()


def test_views_are_no_tiles_of_their_own(folder, tmp_path):
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    recipe["rows"] = {**recipe.get("rows", {}), "augment": ["flip", "r90"]}
    turned = shutil.copytree(folder, tmp_path / "world")
    (turned / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    summary = nt.build(nt.load_recipe(turned / "recipe.yaml"), tmp_path / "tree", workers=0)
    assert (summary.tiles, summary.tiles_done, summary.tiles_left_out) == (9, 8, 5)
    assert "Of 8 tiles of places that are done, 3 are chips and 5 are left out." in (
        tmp_path / "tree" / "README.md"
    ).read_text(encoding="utf-8")


def test_a_second_run_of_nothing_has_no_account(folder, told):
    out, _, _ = told
    again = nt.build(nt.load_recipe(folder / "recipe.yaml"), out, workers=0)
    assert (again.finished, again.tiles_done, again.tiles_left_out) == (0, 0, 0)
    assert (again.places_done, again.places_with_chips, again.chips) == (2, 1, 3)


def test_a_second_run_says_how_many_are_built_and_how_many_left_out(folder, told):
    out, _, _ = told
    said = nutonic("build", folder / "recipe.yaml", "--out", out, "--workers", "0")
    assert (said.code, said.out.splitlines()) == (
        0,
        [
            f"nothing to do: 1 of 2 places is built in {out}, 1 is left out; 1 more was left out by the plan",
        ],
    )


def test_with_a_limit_too(folder, tmp_path):
    build = ("build", folder / "recipe.yaml", "--out", tmp_path / "tree", "--workers", "0")
    assert nutonic(*build, "--limit", 1).code == 0
    assert nutonic(*build, "--limit", 1).out == f"nothing to do: the place is built in {tmp_path / 'tree'}\n"
    said = nutonic(*build)
    assert "1 place was done before" in said.out
    assert nutonic(*build, "--limit", 1).out == (
        f"nothing to do: the place is done that --limit asks for, in {tmp_path / 'tree'}\n"
    )


def test_a_summary_that_counts_other_chips_is_found(told, tmp_path):
    out = shutil.copytree(told[0], tmp_path / "tree")
    path = out / "_nutonic" / "summary.json"
    summary = {key: value for key, value in json.loads(path.read_bytes()).items() if key != "seal"}
    for name in ("chips", "places_with_chips"):
        path.write_bytes(sealed({**summary, name: summary[name] + 1}))
        problems = nt.verify(out, deep=True).problems
        assert [each for each in problems if "counts other chips than commits do" in each], name


def test_the_bar_counts_places_and_tiles_apart():
    from nutonic.cli.progress import Board
    from nutonic.run.callbacks import BatchFinished, BuildStarted
    from nutonic.run.results import BatchDone

    bar = Board()
    bar.on_start(BuildStarted(wanted=10, done_before=0))
    left_out = {"places": {"too cloudy": 2}, "tiles": {"too cloudy": 6, "in shadow": 1}, "stills": {"no still": 1}}
    done = BatchDone(index=0, finished=9, places=7, tiles=21, rows=90, rejects={"too cloudy": 8}, left_out=left_out)
    bar.on_batch(BatchFinished(result=done, to_do=10))
    assert "21 chips, 90 rows, 2 places left out, 7 tiles left out" in bar.counts()
