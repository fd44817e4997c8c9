"""A tree, read back: rows and chips as the files have them, one at a time, and nothing from outside the folder."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.paths import ROOT
from support.trees import small_planet

import nutonic as nt
from nutonic.errors import Corrupt, InputError, NotNutonic

SPLITS = ("train", "validation", "test")


def lines_of(out: Path) -> list[tuple[str, dict]]:
    """Split and content of each row, by the files alone."""
    return [
        (split, json.loads(line))
        for split in SPLITS
        for path in sorted((out / "data").glob(f"{split}*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


@pytest.fixture(scope="module", params=["one file a split", "files of few rows, with views"])
def out(request, clean, tmp_path_factory) -> Path:
    """A tree, copied."""
    folder = tmp_path_factory.mktemp("reading")
    if request.param == "one file a split":
        return Path(shutil.copytree(clean.out, folder / "copy"))
    recipe = small_planet(
        folder / "planet", output={"rows_per_file": 20}, rows={"augment": ["flip"], "min_region_px": 12}
    )
    nt.build(nt.load_recipe(recipe), folder / "tree", workers=0)
    return Path(shutil.copytree(folder / "tree", folder / "copy"))


@pytest.fixture
def copy(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean.out, tmp_path / "copy"))


def test_rows_are_those_of_the_files_in_their_order(out):
    dataset, right = nt.open_dataset(out), lines_of(out)
    assert [(row.split, dict(row)) for row in dataset] == right
    assert len(dataset) == len(right) == sum(len(dataset[split]) for split in SPLITS)
    for at in (0, 1, len(right) // 2, len(right) - 1, -1, -len(right)):
        assert (dataset[at].split, dict(dataset[at])) == right[at]
    with pytest.raises(IndexError):
        dataset[len(right)]
    assert [row.id for row in dataset[5:50:7]] == [row["id"] for _, row in right[5:50:7]]
    assert dataset.complete


def test_splits_and_tasks_are_datasets_again(out):
    dataset, right = nt.open_dataset(out), lines_of(out)
    for split in SPLITS:
        assert [row.id for row in dataset[split]] == [row["id"] for s, row in right if s == split]
    tasks = {row["task"] for _, row in right}
    assert dataset.tasks == {task: sum(row["task"] == task for _, row in right) for task in sorted(tasks)}
    for task in tasks:
        for split in (None, *SPLITS):
            expected = [row["id"] for s, row in right if row["task"] == task and split in (None, s)]
            assert [row.id for row in dataset.of(task=task, split=split)] == expected
            assert len(dataset.of(task=task)[split or slice(None)]) == len(expected)
    with pytest.raises(InputError, match="'poem' is no task: there are caption, class_caption"):
        dataset.of(task="poem")
    with pytest.raises(InputError, match="'trian' is no split: there are train, validation, test"):
        dataset["trian"]


def test_chips_know_their_rows_and_rows_their_chip(out):
    dataset, right = nt.open_dataset(out), lines_of(out)
    ids = list(dict.fromkeys(row["tile_id"] for _, row in right))
    assert [chip.id for chip in dataset.chips] == ids == [path.stem for path in sorted_images(out, ids)]
    for chip in dataset.chips:
        about = [row["id"] for _, row in right if row["tile_id"] == chip.id]
        assert [row.id for row in chip.rows] == about
        assert all(row.chip == chip and row.split == chip.split for row in chip.rows)
        content = (out / chip.path).read_bytes()
        np.testing.assert_array_equal(chip.rgb, np.asarray(Image.open(io.BytesIO(content))))
        np.testing.assert_array_equal(np.asarray(dataset.chips[chip.id].rows[0].picture), chip.rgb)
        sidecar = json.loads(next((out / "metadata").rglob(f"{chip.id}.json")).read_bytes())
        assert (chip.sidecar, chip.regions) == (sidecar, sidecar["regions"])
        assert sidecar["split"] == chip.split
    few = dataset["test"].of(task="caption").chips
    assert [chip.id for chip in few] == [row["tile_id"] for s, row in right if (s, row["task"]) == ("test", "caption")]
    with pytest.raises(InputError, match="is the id of no chip here"):
        few[dataset["train"][0].chip.id]
    with pytest.raises(InputError, match="is the id of no chip here"):
        dataset.chips["poi_999999_t0000"]
    with pytest.raises(InputError, match=r"a tree holds no masks.*regions"):
        _ = few[0].mask


def sorted_images(out: Path, ids: list[str]) -> list[Path]:
    found = {path.stem: path for path in (out / "images").rglob("*.png")}
    return [found[name] for name in ids]


def test_words_are_the_words_of_the_row(out):
    for row, (_, right) in zip(nt.open_dataset(out), lines_of(out), strict=True):
        user, assistant = right["messages"]
        assert (row.prompt, row.answer) == (user["content"][1]["text"], assistant["content"][0]["text"])
        assert row.images == (user["content"][0]["image"],)
        assert (row.task, row["poi_id"]) == (right["task"], right["poi_id"])


def test_what_is_shown_is_short(clean):
    dataset = nt.open_dataset(clean.out)
    counts = {split: sum(s == split for s, _ in lines_of(clean.out)) for split in SPLITS}
    assert repr(dataset) == (
        f"Dataset(rows={sum(counts.values())}, train={counts['train']}, validation={counts['validation']}, "
        f"test={counts['test']})"
    )
    assert repr(dataset["test"]) == f"Dataset(rows={counts['test']}, split=test)"
    assert repr(dataset["train"]["test"]) == repr(dataset[:3]["test"]) == "Dataset(rows=0, split=test)"
    assert repr(dataset[:0]) == "Dataset(rows=0)"
    shown = [dataset, dataset[0], dataset.chips, dataset.chips[0]]
    assert all(len(repr(each)) < 300 and str(clean.out) not in repr(each) + each._repr_html_() for each in shown)


def test_a_tree_that_is_not_complete_says_so(clean, copy, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nt.open_dataset(clean.out)
    rows = (copy / "data" / "test.jsonl").read_bytes()
    (copy / "data" / "test.jsonl").unlink()
    (copy / "data" / "test.jsonl").write_bytes(rows.replace(b"\n", b"\n\n", 1))
    with pytest.warns(UserWarning, match=r"data/test.jsonl is not what was written: run nutonic verify"):
        nt.open_dataset(copy)
    (copy / "data" / "test.jsonl").unlink()
    with pytest.warns(UserWarning, match=r"data/test.jsonl is missing: run nutonic verify"):
        dataset = nt.open_dataset(copy)
    assert (dataset.complete, dataset.splits) == (False, ("train", "validation"))
    assert "lacking=data/test.jsonl is missing" in repr(dataset)
    summary = copy / "_nutonic" / "summary.json"
    told = summary.read_bytes()
    summary.unlink()
    summary.write_bytes(told.replace(b"1", b"2", 1))
    with pytest.warns(UserWarning, match=r"_nutonic/summary.json is damaged: build again"):
        nt.open_dataset(copy)
    summary.unlink()
    with pytest.warns(UserWarning, match="the build has not finished: run it again"):
        nt.open_dataset(copy)
    with pytest.raises(NotNutonic, match="is not a nutonic tree"):
        nt.open_dataset(tmp_path)


def test_nothing_outside_the_folder_is_read(copy, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(secret)
    chip = nt.open_dataset(copy).chips[0]
    path = copy / chip.path
    path.unlink()
    with pytest.raises(Corrupt, match="is missing: run nutonic verify"):
        _ = chip.picture
    path.symlink_to(secret)
    with pytest.raises(NotNutonic, match="leads out of the folder"):
        _ = chip.picture
    rows = copy / "data" / "train.jsonl"
    before = rows.read_bytes()
    for lie in ("../secret.png", str(secret), "images/../../secret.png", "_nutonic/plan.jsonl", "data/train.jsonl"):
        rows.write_bytes(re.sub(rb"images/[^\"]+", lie.encode(), before, count=1))
        with pytest.warns(UserWarning, match="not what was written"):
            dataset = nt.open_dataset(copy)
        with pytest.raises(NotNutonic):
            _ = dataset[0].picture
    rows.unlink()
    (tmp_path / "train.jsonl").write_bytes(before)
    rows.symlink_to(tmp_path / "train.jsonl")
    with pytest.raises(NotNutonic, match=r"data/train.jsonl leads out of the folder"):
        nt.open_dataset(copy)


def test_a_row_that_is_no_json_is_told(copy):
    path = copy / "data" / "train.jsonl"
    path.write_bytes(b"{" + path.read_bytes())
    with pytest.warns(UserWarning, match="not what was written"):
        dataset = nt.open_dataset(copy)
    with pytest.raises(Corrupt, match=r"data/train.jsonl holds what is no JSON object"):
        next(iter(dataset))


@pytest.mark.long
def test_rows_pass_by_one_at_a_time(copy):
    path = copy / "data" / "train.jsonl"
    content = path.read_bytes()
    path.write_bytes(content * (2**25 // len(content)))
    with pytest.warns(UserWarning, match="not what was written"):
        dataset = nt.open_dataset(copy)["train"]
    tracemalloc.start()
    seen = sum(1 for _ in dataset)
    dataset[seen - 1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == len(dataset) == content.count(b"\n") * (2**25 // len(content))
    assert peak < 2**23 + 100 * seen


@pytest.mark.long
def test_reading_needs_no_more_than_numpy_and_pillow(clean):
    script = f"""
import sys, nutonic as nt
dataset = nt.open_dataset({str(clean.out)!r})
dataset[0].picture, dataset.chips[0].sidecar, dataset.of(task="caption")[0].chip.rows
heavy = ("xarray", "pandas", "pyarrow", "rasterio", "scipy", "dask", "shapely", "datasets", "torch")
print([name for name in heavy if name in sys.modules])
"""
    assert subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True).strip() == "[]"
