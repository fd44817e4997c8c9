"""One thing is told as one, wherever things are counted: on the screen, in the card, on the page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from support.cli import nutonic

from nutonic.core.units import IS, counted, counted_of

#: What is counted, and what several do.
_THINGS = (
    "places|patches|tiles|rows|columns|chips|scenes|images|pictures|files|batches|shards|regions|captions|requests|workers|"
    "threads|items|elements|answers|steps|tasks|footprints|stills|words"
)
_SEVERAL = "are|were|have|lie|stay|wait"

#: One that is told as several: "1 places", "1 image–text rows", "1 place are", "1 of 3 places are".
ONE_AS_SEVERAL = re.compile(
    rf"(?<![\d.,:])1 (?:(?:\S+ )?(?:{_THINGS})|(?:of [\d,]+ )?[a-z]+ (?:{_SEVERAL}))\b(?<!1 of)(?!/)"
)


def told_of_one_as_of_several(text: str) -> list[str]:
    """What of a text is wrong; "1 of 3 places" is not, until its verb is."""
    return [found[0] for found in ONE_AS_SEVERAL.finditer(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("built 1 places, 1 tile", ["1 places"]),
        ("1 of 3 places are not built", ["1 of 3 places are"]),
        ("1 satellite chips of 1 place", ["1 satellite chips"]),
        ("1 image–text rows, 1 place are", ["1 image–text rows", "1 place are"]),
        ("1 place is built, 21 places, 1.1 tiles/s, 1 of 3 places is left, 1 has none", []),
    ],
)
def test_the_eye_of_this_law_sees(text, found):
    assert told_of_one_as_of_several(text) == found


def test_numbers_of_things():
    assert [counted(n, "place") for n in (0, 1, 2, 1200)] == ["0 places", "1 place", "2 places", "1,200 places"]
    assert [counted(n, "batch is", "batches are") for n in (1, 3)] == ["1 batch is", "3 batches are"]
    parts = [counted_of(n, of, "place", verb=IS) for n, of in ((0, 1), (1, 1), (1, 3), (2, 3), (1, 4000))]
    assert parts == [
        "0 of 1 place are",
        "1 of 1 place is",
        "1 of 3 places is",
        "2 of 3 places are",
        "1 of 4,000 places is",
    ]
    assert counted_of(1, 1, "batch", "batches") == "1 of 1 batch"


@pytest.fixture
def lone(planet, recipe_path, tmp_path) -> Path:
    """A recipe of one place with one tile and one row."""
    folder = tmp_path / "lone"
    shutil.copytree(recipe_path.parent, folder)
    lon, lat, _ = planet.places[4]
    (folder / "pois.csv").write_text(f"lon,lat\n{lon!r},{lat!r}\n")
    content = planet.recipe(
        grid={"extent_m": 660}, rows={"grounding": False, "per_class": False, "per_class_grounding": False}
    )
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "recipe.yaml"


def test_a_dataset_of_one_place_is_told_of_as_one(lone):
    out, packed, page = lone.parent / "out", lone.parent / "packed", lone.parent / "page.html"
    said = [
        nutonic("plan", lone),
        nutonic("preview", lone, "--out", lone.parent / "preview.html"),
        nutonic("build", lone, "--out", out, "--workers", 0),
        nutonic("build", lone, "--out", out, "--workers", 0),
        nutonic("verify", out, "--deep"),
        nutonic("verify", out, "--rebuild", 1),
        nutonic("report", out, "--out", page),
        nutonic("pack", out, "--format", "parquet", "--out", packed),
    ]
    assert [each.code for each in said] == [0] * len(said), [each.told for each in said if each.code]
    texts = [each.told for each in said]
    assert "1 place, 1 chip, 1 row" in texts[2]
    assert "1 of 1 place, 1 chip, 1 row" in texts[4]
    for path in (out / "README.md", packed / "README.md", page, lone.parent / "preview.html"):
        texts.append(re.sub(r"(?s)<(style|script)\b.*?</\1>", "", path.read_text(encoding="utf-8")))
    assert "1 satellite chip of 1 place with 1 image–text row" in texts[-4]
    assert [found for text in texts for found in told_of_one_as_of_several(text)] == []


def test_a_dataset_that_lacks_one_place_says_so(few, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(few.out, copy)
    commit = min((copy / "_nutonic" / "commits").iterdir(), key=lambda path: path.stat().st_size)  # of one place alone
    commit.unlink()
    said = [nutonic("verify", copy), nutonic("report", copy, "--out", tmp_path / "page.html")]
    assert "1 of 7 places is not built" in said[0].told
    text = said[0].told + said[1].told + (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "1 of 7 places is not done" in text
    assert told_of_one_as_of_several(re.sub(r"(?s)<(style|script)\b.*?</\1>", "", text)) == []


def test_a_chip_and_its_views_are_chips_and_what_is_left_out_are_tiles(few, tmp_path):
    """Progress, metrics, lines of JSON, the summary and the plan have one word for each."""
    values = yaml.safe_load(few.recipe_path.read_text(encoding="utf-8"))
    values["rows"] = {**values.get("rows", {}), "augment": ["flip", "r90"]}
    recipe = few.recipe_path.with_name("views.yaml")
    recipe.write_text(yaml.safe_dump(values), encoding="utf-8")
    out, metrics = tmp_path / "out", tmp_path / "nutonic.prom"
    planned = nutonic("plan", recipe)
    assert planned.code == 0, planned.told
    tiles = few.summary.tiles_done
    (line,) = [line for line in planned.out.splitlines() if line.startswith("tiles ")]
    assert f"{tiles}, and {3 * tiles} chips with their views" in line
    built = nutonic("build", recipe, "--out", out, "--workers", "0", "--log-json", "--metrics", metrics)
    chips = len(list((out / "images").rglob("*.png")))
    left_out = few.summary.tiles_left_out
    assert chips == 3 * (tiles - left_out)
    told = nutonic("verify", out).out
    assert f"{chips} chips" in told
    assert "tiles" not in told
    events = [json.loads(line) for line in built.err.splitlines()]
    assert sum(event["chips"] for event in events if event["event"] == "batch") == chips
    assert re.search(rf"^nutonic_chips_total {chips}$", metrics.read_text(), re.MULTILINE)
    assert "nutonic_tiles_total" not in metrics.read_text()
    again = nutonic("build", recipe, "--out", tmp_path / "again", "--workers", "0")
    assert re.search(rf"{chips} chips, .* chips/s", again.out)
    assert "tiles/s" not in again.told
