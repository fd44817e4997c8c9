"""The card: what it says of a tree, against the planet that the tree was built from."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from support.trees import small_planet, tree

import nutonic as nt
from nutonic import __version__, load_recipe
from nutonic.core.catalogs import terms_of
from nutonic.dataset.card_text import resized
from nutonic.recipe.outputs import Tiles


def test_a_card_says_where_everything_comes_from(clean):
    sidecars = [json.loads(path.read_bytes()) for path in (clean.out / "metadata").rglob("*.json")]
    scenes = {sidecar["imagery"]["item_id"] for sidecar in sidecars}
    dates = sorted(sidecar["imagery"]["datetime"][:10] for sidecar in sidecars)
    recipe, places = load_recipe(clean.recipe), clean.recipe.parent / "pois.csv"
    lines = (clean.out / "README.md").read_text(encoding="utf-8").split("## Provenance\n\n")[1].split("\n\n")[0]
    assert lines.splitlines() == [
        f"- Imagery: {len(scenes)} scenes of `{recipe.imagery.collection}`, from {dates[0]} to {dates[-1]}; every "
        "sidecar names its own",
        f"- Land cover: `{recipe.labels.table.name}`, from `land_cover`",
        f"- Places: {len(places.read_text().splitlines()) - 1} rows, SHA-256 "
        f"`{hashlib.sha256(places.read_bytes()).hexdigest()}`",
        f"- Recipe: `{recipe.digest()}`, built with nutonic {__version__}",
    ]


def test_a_split_without_rows_has_no_file(tmp_path):
    recipe = small_planet(tmp_path / "planet", splits={"train": 1.0, "validation": 0.0, "test": 0.0})
    out = tmp_path / "tree"
    nt.build(load_recipe(recipe), out, workers=0)
    assert [path.name for path in (out / "data").iterdir()] == ["train.jsonl"]
    assert nt.verify(out, deep=True).problems == ()
    (out / "data" / "test.jsonl").touch()
    assert nt.verify(out).problems == ("data/test.jsonl belongs to no commit",)
    assert nt.verify(out, fix=True).problems == ()
    assert [path.name for path in (out / "data").iterdir()] == ["train.jsonl"]


def front(out: Path) -> dict:
    return yaml.safe_load((out / "README.md").read_text(encoding="utf-8").split("---\n")[1])


@pytest.mark.parametrize(
    ("size", "output_size", "said"),
    [
        (512, 224, "and averaged to 224 × 224 pixels"),
        (96, 96, "at their own 96 × 96 pixels"),
        (
            100,
            150,
            "and enlarged from 100 × 100 to 150 × 150 pixels, which repeats pixels and shows no more of the ground",
        ),
    ],
)
def test_a_card_says_what_became_of_a_tile_s_pixels(size, output_size, said):
    assert resized(Tiles(size=size, output_size=output_size)) == said


def sections(out: Path) -> dict[str, str]:
    parts = re.split(r"^## (.+)\n+", (out / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows_of(out: Path) -> dict[str, list[dict]]:
    """Rows by split, as the files of data/ have them."""
    return {
        path.stem.partition("-")[0]: [json.loads(line) for line in path.read_bytes().splitlines()]
        for path in (out / "data").iterdir()
    }


def test_front_matter_counts_what_the_hub_counts(clean):
    rows, card = rows_of(clean.out), front(clean.out)
    sizes = {path.stem: path.stat().st_size for path in (clean.out / "data").iterdir()}
    assert card["dataset_info"]["splits"] == [
        {"name": split, "num_bytes": sizes[split], "num_examples": len(rows[split])}
        for split in ("train", "validation", "test")
    ]
    assert card["size_categories"] == ["n<1K"]
    assert card["task_categories"] == ["image-text-to-text", "image-to-text", "object-detection"]
    assert card["tags"] == ["earth-observation", "remote-sensing", "land-cover", "nutonic"]
    assert "entinel" not in (clean.out / "README.md").read_text(encoding="utf-8")


def test_a_card_counts_splits_tasks_classes_and_labels(clean):
    rows, told = rows_of(clean.out), sections(clean.out)
    sidecars = [json.loads(path.read_bytes()) for path in (clean.out / "metadata").rglob("*.json")]
    for task in {row["task"] for split in rows.values() for row in split}:
        counts = [sum(row["task"] == task for row in rows[s]) for s in ("train", "validation", "test")]
        assert f"| {task} | {' | '.join(map(str, [*counts, sum(counts)]))} |" in told["Tasks"]
    pixels: Counter[str] = Counter()
    for sidecar in sidecars:
        pixels.update(sidecar["land_cover_label_meta"]["classes"])
    table = load_recipe(clean.recipe).labels.table
    assert not table.colors  # so that each class has one of those that are given
    for key, count in pixels.items():
        named = f"| {table.labels[int(key)]} | {key} | {table.color(int(key))} |"
        assert f"{named} {count / pixels.total():.2%} |" in told["Land cover"]
    shares = sorted(sidecar["land_cover_label_meta"]["valid_fraction"] for sidecar in sidecars)
    n, mean = len(shares), sum(shares) / len(shares)
    ranks = [max(1, -(-p * n // 100)) - 1 for p in (50, 5)]
    assert (
        f"Of a chip's pixels, {mean:.0%} are labelled on average: at least {shares[ranks[0]]:.0%} in half of the chips, and "
        f"at least {shares[ranks[1]]:.0%} in 95 of 100."
    ) in told["Land cover"]
    assert "| tiles.min_valid_fraction | 0.35 |" in told["Thresholds"]
    assert "no two chips in different splits look alike" in told["Known limits"]


CARD = {
    "licence": "CC-BY-SA-4.0",
    "citation": "@misc{mine, title={Mine <b>}}",
    "attribution": "Someone & Others | <x>",
    "links": ["https://example.org/mine"],
    "text": "Made *by hand*.\n\n<script>alert(1)</script>",
}


def test_what_a_person_says_is_in_the_card_and_may_change_without_a_new_build(tmp_path):
    recipe, out = small_planet(tmp_path / "planet", few=(0, 4)), tmp_path / "tree"
    nt.build(load_recipe(recipe), out, workers=0)
    before = tree(out)
    assert front(out)["license"] == "other"
    digest = load_recipe(recipe).digest()
    recipe.write_text(recipe.read_text() + yaml.safe_dump({"card": CARD}))
    assert load_recipe(recipe).digest() == digest
    again = nt.build(load_recipe(recipe), out, workers=0)
    assert (again.built, again.complete) == (0, True)
    assert {name for name, data in tree(out).items() if data != before[name]} == {"README.md"}
    text, told = (out / "README.md").read_text(encoding="utf-8"), sections(out)
    assert front(out)["license"] == "cc-by-sa-4.0"
    assert told["Licences"].startswith("Licence of the whole: CC-BY-SA-4.0.")
    assert told["Attribution"].strip() == r"Someone & Others \| \<x>"
    assert told["Citation"].strip() == "```\n@misc{mine, title={Mine <b>}}\n```"
    assert told["Links"].startswith("- <https://example.org/mine>\n")
    assert "Made *by hand*.\n\n&lt;script>" in text
    assert nt.verify(out, deep=True).problems == ()
    stamp = (out / "README.md").stat().st_mtime_ns
    nt.build(load_recipe(recipe), out, workers=0)
    assert (out / "README.md").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"links": ["javascript:alert(1)"]}, "no address"),
        ({"links": ["https://example.org/a b"]}, "no address"),
        ({"text": "x --> y"}, "HTML comment"),
        ({"links": ["https://example.org/a?b=c"]}, "a query"),
        ({"text": "see https://example.org/a?sig=c0ffee"}, "a query"),
        ({"licence": ""}, "licence"),
        ({"license": "mit"}, "licence"),
    ],
)
def test_what_cannot_be_said_is_refused(tmp_path, part, said):
    recipe = small_planet(tmp_path / "planet", few=(0,))
    recipe.write_text(recipe.read_text() + yaml.safe_dump({"card": part}))
    with pytest.raises(nt.errors.RecipeError, match=said):
        load_recipe(recipe)


@pytest.mark.parametrize(
    ("collection", "title"),
    [
        ("sentinel-2-l2a", "Copernicus Sentinel-2"),
        ("sentinel-2-c1-l2a", "Copernicus Sentinel-2"),
        ("COPERNICUS/S2_SR_HARMONIZED", "Copernicus Sentinel-2"),
        ("naip", "NAIP, the National Agriculture Imagery Program"),
        ("landsat-c2-l2", "Landsat Collection 2"),
        ("io-lulc-annual-v02", "Impact Observatory's annual land cover"),
        ("esa-worldcover", "ESA WorldCover"),
        ("GOOGLE/DYNAMICWORLD/V1", "Dynamic World"),
        ("osm-landuse", "OpenStreetMap"),
        ("sentinel-1-grd", None),
        ("synthetic-l2a", None),
        ("my-sentinel-2-l2a", None),
    ],
)
def test_terms_are_told_of_what_is_known(collection: str, title: str | None):
    terms = terms_of(collection)
    assert (terms and terms.title) == title


def test_sentinel_2_is_named_with_its_notice_and_its_years_if_it_is_shown(tmp_path):
    recipe = small_planet(tmp_path / "planet", few=(0, 4), imagery={"collection": "sentinel-2-l2a"})
    items = tmp_path / "planet" / "items.json"
    items.write_text(items.read_text().replace("synthetic-l2a", "sentinel-2-l2a"))
    nt.build(load_recipe(recipe), tmp_path / "tree", workers=0)
    told = sections(tmp_path / "tree")
    assert "sentinel-2" in front(tmp_path / "tree")["tags"]
    assert "(Sentinel-2 MSI),\nstretched from percentile" in (tmp_path / "tree/README.md").read_text(encoding="utf-8")
    assert "Contains modified Copernicus Sentinel data 2024”" in told["Licences"]
    assert "- Land cover, `synthetic`: its provider's licence, which nutonic does not know" in told["Licences"]


def test_splits_without_rows_are_named_nowhere(tmp_path):
    splits = {"train": 1.0, "validation": 0.0, "test": 0.0}
    recipe = small_planet(tmp_path / "planet", few=(0, 4), splits=splits)
    nt.build(load_recipe(recipe), tmp_path / "tree", workers=0)
    text = (tmp_path / "tree/README.md").read_text(encoding="utf-8")
    assert "validation" not in text
    assert not re.search(r"\btest\b", text)
