"""Splits by time and by column: what they keep apart, what they do not, and that a proof derives them again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.cli import nutonic
from support.seals import reseal_plan
from support.trees import small_planet

import nutonic as nt
from nutonic.core.model import SPLITS
from nutonic.dataset.verify import verify
from nutonic.planning.ground.squares import squares_of
from nutonic.planning.places.columns import Places
from nutonic.planning.splits import group_by_column, sharing_ground, split_of, split_of_value
from nutonic.recipe.differences import differences
from nutonic.recipe.outputs import Grid, Splits

#: The planet's scenes are of 30 May, 2 June and 10 July.
TIMES = {"by": "time", "validation_from": "2024-06-01", "test_from": "2024-07-01"}
KENYA = {"by": "column", "column": "country", "values": {"test": ["KE"], "validation": ["true"]}}


def with_countries(recipe: Path, countries: list[str]) -> Path:
    path = recipe.parent / "pois.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    rows = [f"{line},{country}" for line, country in zip(lines, countries, strict=True)]
    path.write_text("\n".join([f"{header},country", *rows, ""]), encoding="utf-8")
    return recipe


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A tree with splits by time, and its recipe."""
    folder = tmp_path_factory.mktemp("timed")
    recipe = small_planet(folder / "planet", splits=TIMES)
    assert nt.build(nt.load_recipe(recipe), folder / "tree", workers=0).complete
    return folder / "tree", recipe


@pytest.fixture(scope="module")
def by_country(tmp_path_factory):
    """A tree with splits by country; the first two places overlap, across the border. One has no country."""
    folder = tmp_path_factory.mktemp("countries")
    parts = {"splits": KENYA, "pois": {"keep": ["country"]}}
    recipe = small_planet(folder / "planet", few=(0, 1, 4, 5, 7), **parts)
    (folder / "planet" / "pois.csv").write_text(
        "lon,lat,country\n17.9635723,46.6782425,KE\n17.9640,46.6783,UG\n18.0192379,46.6858949,true\n"
        "18.0467006,46.6741816,UG\n17.9925312,46.6675054,\n",
        encoding="utf-8",
    )
    assert nt.build(nt.load_recipe(recipe), folder / "tree", workers=0).complete
    return folder / "tree", recipe


def sidecars(out: Path) -> list[dict]:
    return [json.loads(path.read_bytes()) for path in sorted(out.glob("metadata/*/*.json"))]


def test_by_time_every_chip_is_of_a_day_of_its_split(timed):
    out, recipe = timed
    seen = set()
    for one in sidecars(out):
        day = one["imagery"]["datetime"][:10]
        assert one["split"] == ("test" if day >= "2024-07-01" else "validation" if day >= "2024-06-01" else "train")
        seen.add(one["split"])
    assert seen == set(SPLITS)
    # Nor may a place be built from its next scene, where that is of another split.
    plan = nt.plan(nt.load_recipe(recipe))
    for i in range(len(plan.places)):
        days = [scene.datetime[:10] for scene in plan.imagery[i]]
        assert len({(day >= "2024-06-01") + (day >= "2024-07-01") for day in days}) == 1
    assert verify(out, deep=True).problems == ()


def test_what_splits_by_time_share_is_counted_and_told(timed):
    out, recipe = timed
    plan = nt.plan(nt.load_recipe(recipe))
    assert plan.shared_ground is not None
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "validation has scenes from 2024-06-01 on and test has scenes from 2024-07-01 on" in card
    assert "The same ground may be in two splits" in card
    assert "no ground is in two" not in card


def test_by_column_each_value_is_in_one_split(by_country):
    out, _ = by_country
    right = {"KE": "test", "true": "validation", "UG": "train"}
    found = {(one["place"]["country"], one["split"]) for one in sidecars(out)}
    assert found == set(right.items())
    assert verify(out, deep=True).problems == ()
    said = nutonic("plan", by_country[1], "--json")
    told = json.loads(said.out)
    assert told["shared_ground"] == 2
    shared = (
        "2 places share ground, directly or through others, with places of another split: splits by column do not keep "
    )
    assert shared + "ground apart" in told["warnings"]
    assert verify(out).notes == (shared + "ground apart",)
    assert f"note {shared}ground apart" in nutonic("verify", out).out
    (left,) = [one for one in told["rejected"] if one["reason"] == "no split"]
    assert left["detail"] == "its row has no country, by which splits are made"
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "2 of 4 places share ground with places of another split" in card


def forged(out: Path, copy: Path) -> tuple[str, ...]:
    """What is found where one place of the plan is in another split."""
    import shutil

    shutil.copytree(out, copy)
    moved = []

    def change(line: dict) -> None:
        if line["kind"] == "batch" and not moved:
            line["split"][0] = (line["split"][0] + 1) % 3
            moved.append(line["ordinal"][0])

    reseal_plan(copy, change)
    assert moved
    return verify(copy, deep=True).problems


def test_a_place_in_another_split_is_found(timed, by_country, tmp_path):
    assert any("by its scene's day it is in" in text for text in forged(timed[0], tmp_path / "timed"))
    assert any("places with its country are in" in text for text in forged(by_country[0], tmp_path / "country"))


def test_values_have_splits_by_hash_unless_they_are_told():
    countries = [f"c{k}" for k in range(40)]
    places = Places(
        ordinal=np.arange(80), variant=np.zeros(80, np.int16), lon=np.linspace(0, 60, 80), lat=np.zeros(80),
        keep=("n", "country"), keep_values=tuple((k, countries[k % 40]) for k in range(80)),
    )  # fmt: skip
    groups, keys, rejects = group_by_column(places, "country")
    assert (keys, rejects) == (countries, [])
    assert groups.tolist() == [*range(40), *range(40)]
    shares = Splits(train=0.5, validation=0.25, test=0.25, by="column", column="country")
    assert [split_of_value(key, shares) for key in keys] == [split_of(key, shares) for key in keys]
    assert {split_of_value(key, shares) for key in keys} == set(SPLITS)
    numbers, keys, _ = group_by_column(places, "n")
    assert (len(set(numbers.tolist())), keys[7]) == (80, "7")


def test_ground_that_is_shared_is_that_of_groups_with_two_splits():
    lon = np.array([10.0, 10.001, 10.002, 11.0, 11.001, 12.0])
    places = Places(ordinal=np.arange(6), variant=np.zeros(6, np.int16), lon=lon, lat=np.full(6, 50.0))
    by_day = Splits(by="time", test_from="2024-01-01")

    def squares():
        return squares_of(places, Grid(extent_m=500))

    assert sharing_ground(places, np.array([0, 0, 2, 1, 1, 2], np.int8), by_day, squares) == 3
    assert sharing_ground(places, np.zeros(6, np.int8), by_day, squares) == 0
    assert sharing_ground(places, np.array([0, 0, 2, 1, 1, 2], np.int8), Splits(), squares) is None


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"by": "time"}, "has no day: write test_from: 2024-07-01"),
        ({"test_from": "2024-07-01"}, "has test_from, which is of by: time, but is made by: place"),
        ({**TIMES, "test_from": "2024-06-01"}, "is not after validation_from 2024-06-01"),
        ({"by": "time", "test_from": 20240701}, "is 20240701: write a day, 2024-07-01"),
        ({"by": "column"}, "has no column: write column: country, one of pois.keep"),
        (
            {"by": "column", "column": "country"},
            "splits by the column 'country', which is not kept: add it to pois.keep",
        ),
        (
            {**KENYA, "values": {"test": ["KE"], "validation": ["KE"]}},
            "has 'KE' among values for validation and for the test",
        ),
        ({**KENYA, "values": {"test": [False]}}, "valid string"),
    ],
)
def test_a_mistake_is_told_in_few_lines(planet, planets, splits: dict, said: str):
    found = nutonic("plan", planets(planet, splits=splits))
    assert found.code == 2
    assert said in found.err
    assert "Traceback" not in found.err


def test_recipes_of_other_ways_keep_their_text_and_digest(planet, planets):
    plain = nt.load_recipe(planets(planet))
    text = yaml.safe_load(plain.text())
    assert set(text["splits"]) == {"train", "validation", "test", "by", "block_km"}
    timed = nt.load_recipe(planets(planet, splits=TIMES))
    assert timed.digest() != plain.digest()
    assert nt.Recipe.model_validate(yaml.safe_load(timed.text())).splits == timed.splits
    told = differences(plain.text(), timed.text())
    assert "splits.by is time, it was place" in told
    assert "splits.test_from is 2024-07-01, it was not there" in told


def test_a_block_that_is_too_large_is_told_with_what_smaller_ones_cost(tmp_path):
    told = 0
    for block_km in (500, 20, 18, 15, 11, 6):
        recipe = small_planet(tmp_path / str(block_km), splits={"by": "block", "block_km": block_km})
        plan = nt.plan(nt.load_recipe(recipe))
        across = sum(reject.reason == "crosses a block" for reject in plan.rejects)
        notes = [line for line in plan.warnings() if line.startswith("the largest ")]
        assert bool(notes) == (plan.largest_group > 0.5 and len(plan.places) > 1)
        for note in notes:
            told += bool(across)
            assert note.startswith("the largest block holds ")
            assert "use smaller ones, splits.block_km; " in note
            assert "overlapping" not in note
            many = "place lies across a border and is" if across == 1 else "places lie across a border and are"
            assert note.endswith(f"{across} {many} left out, and more would be")
    assert told


# By place


def test_a_plan_tells_that_one_group_holds_most_places_and_where_it_is(tmp_path):
    """Of shares of which the group's key leads into the test, it is in train all the same; so says a build."""
    recipe = small_planet(tmp_path / "planet", few=(0, 1), splits={"train": 0.6, "validation": 0.0, "test": 0.4})
    places = tmp_path / "planet" / "pois.csv"
    lines = "".join(f"{17.9635723 + k / 10_000:.7f},46.6782425,b{k}\n" for k in range(3))
    for first in "abcdefgh":  # some of these keys are of the test
        places.write_text(f"lon,lat,id\n{lines}17.9635,46.6782,{first}\n", encoding="utf-8")
        plan = nt.plan(nt.load_recipe(recipe))
        assert plan.shares() == {"train": 1.0, "validation": 0.0, "test": 0.0}
        whole = (
            "the largest group of overlapping squares holds 100% of all places, is all in train, and bends the split: "
        )
        assert any(warning.startswith(whole) for warning in plan.warnings()), plan.warnings()
