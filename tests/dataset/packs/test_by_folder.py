"""A pack by its folder, as ``load_dataset`` and the Hub take it: its card names the files, and counts their entries."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from support.country import country, recipe_in

import nutonic as nt
from nutonic.dataset.packs.registry import FORMS

#: Forms by what an entry is; of the last all splits are in one file.
OF_ROWS = ("parquet", "leap", "trl", "ms-swift", "llama-factory", "axolotl", "unsloth", "qwen")
OF_CHIPS = ("webdataset", "imagefolder", "coco", "yolo")
OF_ALL_CHIPS = ("geoparquet", "stac")
OF_BOXES = ("coco", "yolo")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads by the folder and nothing else; no server is asked."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return lambda folder: datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """A tree of six patches, with rows of chat to count."""
    path = recipe_in(country(2, 3), {}, name="by-folder.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace("samples: 10", "samples: 10\n  chat: true"), "utf-8")
    out = tmp_path_factory.mktemp("patches") / "tree"
    assert nt.build(nt.load_recipe(path), out, workers=0).complete
    return out


def counts_of(tree: Path, key: str) -> tuple[Counter, Counter]:
    """Rows of each split, and chips that they are about, as the tree's own files have them."""
    rows, chips = Counter(), Counter()
    for path in (tree / "data").glob("*.jsonl"):
        found = [json.loads(line) for line in path.read_bytes().splitlines()]
        rows[path.stem], chips[path.stem] = len(found), len({row[key] for row in found})
    return rows, chips


def expected(tree: Path, key: str, form: str) -> dict[str, int]:
    rows, chips = counts_of(tree, key)
    if form in OF_ALL_CHIPS:
        return {"chips": chips.total()}
    return dict(rows if form in OF_ROWS else chips)


def front_of(pack: Path) -> dict:
    return yaml.safe_load((pack / "README.md").read_text(encoding="utf-8").split("---\n")[1])


def test_each_form_is_loaded_here():
    assert {*OF_ROWS, *OF_CHIPS, *OF_ALL_CHIPS, "geojson"} == set(FORMS)


@pytest.mark.long
@pytest.mark.parametrize("form", [form for form in FORMS if form != "geojson"])
def test_a_pack_is_loaded_by_its_folder_with_as_many_entries_as_its_card_says(few, packs, load, form):
    right = expected(few.out, "tile_id", form)
    assert right in (
        {"train": 203, "validation": 48, "test": 48},
        {"train": 17, "validation": 4, "test": 4},
        {"chips": 25},
    )
    pack = packs(few.out, form)
    assert {split: len(rows) for split, rows in load(pack).items()} == right
    told = front_of(pack)["dataset_info"]["splits"]
    assert {split["name"]: split["num_examples"] for split in told} == right


@pytest.mark.parametrize("form", [form for form in FORMS if form not in (*OF_BOXES, "geojson")])
def test_a_pack_of_patches_is_too(patches, packs, load, form):
    right = expected(patches, "patch_id", form)
    assert set(right.values()) <= {6, 12}
    assert {split: len(rows) for split, rows in load(packs(patches, form)).items()} == right


def test_trees_are_loaded_by_their_folders(few, patches, load):
    assert {split: len(rows) for split, rows in load(few.out).items()} == dict(counts_of(few.out, "tile_id")[0])
    assert {split: len(rows) for split, rows in load(patches).items()} == dict(counts_of(patches, "patch_id")[1])


def test_rows_of_benchmarks_and_labels_are_no_entries(few, packs, load):
    leap = load(packs(few.out, "leap"))
    for split, rows in leap.items():
        right = [json.loads(line) for line in (few.out / "data" / f"{split}.jsonl").read_bytes().splitlines()]
        assert rows["id"] == [row["id"] for row in right]
    assert (packs(few.out, "leap") / "evals").is_dir()
    assert list(load(packs(few.out, "yolo"))["train"].features) == ["image"]


def test_folders_of_pictures_are_no_classes(few, packs, load, tmp_path):
    """A larger dataset has several; a loader of pictures takes their names for labels unless it is told."""
    for form in OF_BOXES:
        pack = shutil.copytree(packs(few.out, form), tmp_path / form)
        moved = sorted((pack / "images" / "train").rglob("*.png"))[0]
        (pack / "images" / "train" / "s00001").mkdir()
        moved.rename(pack / "images" / "train" / "s00001" / moved.name)
        loaded = load(pack)["train"]
        assert (list(loaded.features), len(loaded)) == (["image"], 17)


def test_geojson_is_loaded_as_its_card_says_and_nothing_else_is_taken_for_it(few, packs, load, tmp_path):
    pack = packs(few.out, "geojson")
    with pytest.raises(FileNotFoundError, match=r"chips\.geojson"):
        load(pack)
    card = (pack / "README.md").read_text(encoding="utf-8")
    assert 'load_dataset("json", data_files={"chips": file}, field="features")' in card
    from datasets import load_dataset

    files = {"chips": str(pack / "chips.geojson")}
    assert len(load_dataset("json", data_files=files, field="features", cache_dir=str(tmp_path / "c"))["chips"]) == 25


@pytest.mark.parametrize("form", ["imagefolder", "geoparquet", "stac", "parquet"])
def test_a_card_counts_chips_where_an_entry_is_a_chip(few, packs, form):
    card = (packs(few.out, form) / "README.md").read_text(encoding="utf-8")
    right = {
        "parquet": "299 rows (203 in train, 48 in validation, 48 in test) as",
    }.get(form, "25 chips (17 in train, 4 in validation, 4 in test) with 299 rows as")
    assert right in card
