"""What people get wrong most often, beside what test_cli.py has: told by key, value and what to do, and never silent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from support.cli import listing, nutonic


class Mistake(NamedTuple):
    said: tuple[str, ...]
    """Key, value and what to do."""
    parts: Mapping[str, Any] = {}
    """Of the recipe, in place of what is right."""
    places: str | None = None
    """Text of the places file."""
    code: int = 2


def imagery(*said: str, code: int = 2, **values: Any) -> Mistake:
    return Mistake(said, {"imagery": values}, code=code)


def labels(*said: str, **values: Any) -> Mistake:
    return Mistake(said, {"labels": values})


def table(**classes: Any) -> dict[str, Any]:
    return {"dataset": {"name": "x", "unknown": 0, **classes}}


def places(text: str, *said: str, **columns: str) -> Mistake:
    return Mistake(said, {"pois": {"columns": columns}} if columns else {}, text)


MISTAKES = {
    # Of the recipe
    "a list without brackets": Mistake(
        ("rows.captions", "'full'", "a list in brackets"), {"rows": {"captions": "full"}}
    ),
    "a word that is none": Mistake(
        ("rows.captions.0", "'brief', 'full' or 'zonal'", "'short'"), {"rows": {"captions": ["short"]}}
    ),
    "a part as a word": Mistake(("pois", "'pois.csv'", "keys with values"), {"pois": "pois.csv"}),
    "a name with blanks": Mistake(("name", "'my data set'", "without blanks"), {"name": "my data set"}),
    "shares of more than one": Mistake(
        ("splits: train + validation + test is 1.3, not 1",), {"splits": {"train": 0.9, "validation": 0.2}}
    ),
    "a split by what is not there": Mistake(
        ("splits.by", "'place', 'block'", "'country'"), {"splits": {"by": "country"}}
    ),
    "percent for a share": Mistake(
        ("tiles.min_valid_fraction", "less than or equal to 1", "95"), {"tiles": {"min_valid_fraction": 95}}
    ),
    "percent of cloud in a tile": Mistake(
        ("quality.max_cloud", "less than or equal to 1", "10"), {"quality": {"max_cloud": 10}}
    ),
    "a stretch upside down": Mistake(
        ("stretch", "low (98) must be below high (2)"), {"stretch": {"low": 98, "high": 2}}
    ),
    "no stride": Mistake(("tiles.stride", "greater than or equal to 1", "0"), {"tiles": {"stride": 0}}),
    "a square of half a pixel": Mistake(("grid.extent_m", "5.0 m", "10.0 m pixels"), {"grid": {"extent_m": 5}}),
    "no places at all": Mistake(("pois.limit", "greater than or equal to 1", "0"), {"pois": {"limit": 0}}),
    "a format that is none": Mistake(("output.format", "'files'", "'parquet'"), {"output": {"format": "parquet"}}),
    "a view that is none": Mistake(("rows.augment.0", "'r90'", "'rotate'"), {"rows": {"augment": ["rotate"]}}),
    "a token in the recipe": Mistake(
        ("context.mapbox.token is not a key",), {"context": {"mapbox": {"enabled": True, "token": "pk.1"}}}
    ),
    "a key of a part outside of it": Mistake(
        ("max_cloud_cover is not a key of a recipe", "did you mean imagery.max_cloud_cover?"), {"max_cloud_cover": 10}
    ),
    "shares in percent": Mistake(
        ("splits.train", "not 80: write 0.8 for 80 %"), {"splits": {"train": 80, "validation": 10, "test": 10}}
    ),
    "kilometres for metres": Mistake(
        ("5.12 m is not a whole number of 10.0 m pixels", "grid.extent_m"), {"grid": {"extent_m": 5.12}}
    ),
    "a number with its unit": Mistake(("grid.resolution_m", "'10m'"), {"grid": {"resolution_m": "10m"}}),
    "a size of nothing": Mistake(("tiles.size", "greater than or equal to 16", "0"), {"tiles": {"size": 0}}),
    "fewer than no places": Mistake(("pois.limit", "greater than or equal to 1", "-5"), {"pois": {"limit": -5}}),
    # Of imagery
    "dates the wrong way round": imagery("imagery.datetime", "ends before it starts", datetime="2024-10-31/2024-04-01"),
    "dates with a word between": imagery(
        "imagery.datetime", "write 2024-04-01/2024-10-31", datetime="2024-04-01 to 2024-10-31"
    ),
    "two assets for three": imagery(
        "imagery.assets: name three, to be red, green and blue", "['red', 'green']", assets=["red", "green"]
    ),
    "another collection": imagery(
        "5 are of another collection (synthetic-l2a)", "imagery.collection", collection="sentinel-2"
    ),
    "a date as in letters": imagery(
        "imagery.datetime", "'summer 2024'", "write 2024-04-01/2024-10-31", datetime="summer 2024"
    ),
    "a date day first": imagery("imagery.datetime", "'01'", "write 2024-04-01", datetime="01/05/2024-30/09/2024"),
    "a source that is none": imagery("imagery.source", "'sentinel'", "earthengine, stac", source="sentinel"),
    "an engine that is none": imagery("imagery.engine", "'odc-stac'", "'odc'", engine="odc"),
    "a signature that is none": imagery("imagery.sign", "'planetary-computer'", "'pc'", sign="pc"),
    "an address without https": imagery(
        "earth-search.aws.element84.com/v1", "imagery.url", "https://", url="earth-search.aws.element84.com/v1"
    ),
    "nobody at an address": imagery(
        "http://127.0.0.1:9/stac",
        "no connection",
        "run the same command again",
        url="http://127.0.0.1:9/stac",
        allow_hosts=["127.0.0.1:9"],
        code=1,
    ),
    "clouds as a share": imagery(
        "imagery.max_cloud_cover", "0.002 % cloud", "5 are too cloudy (0.5 % or more)", max_cloud_cover=0.002
    ),
    "assets by other names": imagery(
        "imagery.assets", "without B4, B3, B2 (there is red, green, blue)", assets=["B4", "B3", "B2"]
    ),
    "another year": imagery("imagery.datetime", "5 are of another time (2024-05-11 to 2024-08-19)", datetime="2019"),
    # Of labels
    "a class table that is none": labels("labels.dataset", "'dynamicworld'", "dynamic-world", dataset="dynamicworld"),
    "a source of labels that is none": labels("labels.source", "'worldcover'", "raster, stac", source="worldcover"),
    "no path of labels": labels("labels", "needs path where source is raster", path=None),
    "a class above 255": labels(
        "labels.dataset.classes.300", "less than or equal to 255", "300", **table(classes={300: "a"})
    ),
    "a label twice": labels("labels.dataset.classes", "a label of its own", **table(classes={1: "a", 2: "a"})),
    "classes the wrong way round": labels(
        "labels.dataset.classes: its keys are values of pixels", "'water'", **table(classes={"water": 1})
    ),
    "classes as a list": labels(
        "labels.dataset.classes", "keys with values", "['water', 'trees']", **table(classes=["water", "trees"])
    ),
    "a class that is none as well": labels(
        "labels.dataset: uses 0 both as a class and as unknown", **table(classes={0: "water"})
    ),
    "a colour by its name": labels(
        "labels.dataset.colors.1: write #rrggbb", "'blue'", **table(classes={1: "water"}, colors={1: "blue"})
    ),
    "labels that are not there": labels("nowhere.tif does not exist", "labels.path", path="nowhere.tif"),
    # Of places
    "a folder for a file": Mistake(("places file", "is a directory", "pois.path"), {"pois": {"path": "."}}),
    "a path of Windows": Mistake(
        ("no such file", "a path of Windows", "pois.path"), {"pois": {"path": "C:\\Users\\me\\pois.csv"}}
    ),
    "an empty file": places("", "mine.csv is empty", "id,lon,lat", "pois.path"),
    "a first line alone": places("lon,lat\n", "no usable place in 0 rows"),
    "longitude and latitude swapped": places(
        "lon,lat\n46.686,18.019\n46.674,18.046\n", "are longitude and latitude swapped?"
    ),
    "metres for degrees": places("lon,lat\n425000,5170000\n", "longitude 425000.0", "metres of another CRS"),
    "no longitude": places("id,lat\na,46\n", "no column lon or longitude", "names id, lat"),
    "columns that are not there": places(
        "lon,lat\n1,2\n", "no column x (pois.columns.lon)", "names lon, lat", lon="x", lat="y"
    ),
    "nowhere near": places(
        "lon,lat\n2.35,48.85\n", "no item is near", "between longitude 17.90 and 18.07, latitude 46.61 and 46.71"
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MISTAKES)
def test_it_is_told_by_key_and_value_and_nothing_is_made(planet, recipe_path, tmp_path, name):
    mistake, folder = MISTAKES[name], recipe_path.parent
    whole = planet.recipe()
    for part, key in (("pois", "path"), ("imagery", "url"), ("labels", "path")):
        whole[part][key] = str(folder / whole[part][key])
    if mistake.places is not None:
        (tmp_path / "mine.csv").write_text(mistake.places)
        whole["pois"]["path"] = "mine.csv"
    for part, values in mistake.parts.items():
        whole[part] = {**whole.get(part, {}), **values} if isinstance(values, dict) else values
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    before = listing(tmp_path)
    said = nutonic("plan", path, "--out", tmp_path / "out")
    assert [words for words in mistake.said if words not in " ".join(said.err.split())] == []
    assert (said.code, said.out, len(said.err.splitlines()) <= 5) == (mistake.code, "", True)
    assert said.err.startswith("nutonic: ")
    assert "Traceback" not in said.err
    assert listing(tmp_path) == before


def test_a_tab_is_told_as_a_tab(tmp_path):
    path = Path(tmp_path / "recipe.yaml")
    path.write_text("name: x\npois:\n\tpath: pois.csv\n")
    said = nutonic("plan", path)
    assert (said.code, "line 3" in said.err, "is it a tab? Indent with blanks" in said.err) == (2, True, True)


#: Commands with what is wrong in them: the exit code, and what is said. Each is run where there is a recipe, of whatever.
COMMANDS = {
    "build recipe.yaml --out out --scheduler localhost": (2, ("'localhost'", "tcp://HOST:PORT")),
    "build recipe.yaml --out out --scheduler http://127.0.0.1:8787": (2, ("http://127.0.0.1:8787", "tcp://HOST:8786")),
    "build recipe.yaml --out out --scheduler tcp://127.0.0.1:9": (1, ("tcp://127.0.0.1:9", "leave --scheduler out")),
    "build recipe.yaml": (2, ("Missing option '--out'",)),
    "build recipe.yaml --out out --limit 0": (2, ("--limit", "0 is not in the range")),
    "build recipe.yaml --out recipe.yaml": (2, ("recipe.yaml is a file", "--out must name a folder")),
    "build mine.yaml --out out": (2, ("cannot read the recipe mine.yaml", "nutonic init")),
    "plan .": (2, ("it is a directory", "nutonic init")),
    "preview recipe.yaml -n 0": (2, ("'-n'", "0 is not in the range")),
    "verify nowhere": (2, ("nowhere is not a nutonic tree",)),
    "report recipe.yaml": (2, ("recipe.yaml is not a nutonic tree",)),
    "catalogue recipe.yaml --datetime 2024-01-01": (2, ("not recognized", "name GeoTIFFs")),
    "catalogue recipe.yaml": (2, ("Missing option '--datetime'",)),
    "cube recipe.yaml --out out": (2, ("cube.area is missing", "--area")),
    "cube recipe.yaml --out out --area 18.05,46.6,18,46.7": (2, ("are west (18.05) and east (18) swapped?",)),
    "cube recipe.yaml --out out --area 18,46.7,18.05,46.6": (2, ("are south and north swapped?",)),
}


def beside(recipe_path: Path, folder: Path, **labels: Any) -> Path:
    """The recipe in another folder, its inputs where they were."""
    whole = yaml.safe_load(recipe_path.read_text())
    for part, key in (("pois", "path"), ("imagery", "url"), ("labels", "path")):
        whole[part][key] = str(recipe_path.parent / whole[part][key])
    whole["labels"] |= labels
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_cannot_be_says_what_is_wrong_with_it(recipe_path, tmp_path, monkeypatch, command):
    code, said = COMMANDS[command]
    beside(recipe_path, tmp_path)
    monkeypatch.chdir(tmp_path)
    before = listing(tmp_path)
    done = nutonic(*command.split())
    assert (done.code, [words for words in said if words not in " ".join(done.err.split())]) == (code, []), done.err
    assert (done.out, "Traceback" in done.err, listing(tmp_path)) == ("", False, before)


def test_a_preview_without_a_chip_says_why_where_it_is_asked_for(recipe_path, tmp_path):
    path = beside(recipe_path, tmp_path, dataset={"name": "x", "unknown": 0, "classes": {99: "water"}})
    said = nutonic("preview", path, "-n", "2", "--out", tmp_path / "page.html")
    assert said.code == 1
    assert "unusable labels" in said.out
    assert "labels.remap translates others" in said.out
