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
        ("splits.by", "'place' or 'block'", "'country'"), {"splits": {"by": "country"}}
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
    # Of imagery
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
    # Of places
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
