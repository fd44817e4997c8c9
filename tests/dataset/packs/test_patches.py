"""Packs of patches: their captions as rows, by the loaders that read them, whether or not the tree has rows of its own."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.cli import nutonic
from support.country import country, recipe_in

import nutonic as nt
from nutonic.dataset.packs import patches as packed_patches

FORMS = ("leap", "llama-factory", "qwen")
ROWS, COLS = 2, 3


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The same patches twice: with rows of chat in the tree, and without."""
    folder, made = country(ROWS, COLS), {}
    for chat in (True, False):
        path = recipe_in(folder, {}, name=f"chat-{chat}.yaml")
        text = path.read_text(encoding="utf-8").replace("samples: 10", f"samples: 10\n  chat: {str(chat).lower()}")
        path.write_text(text, encoding="utf-8")
        made[chat] = tmp_path_factory.mktemp("patches") / "tree"
        assert nt.build(nt.load_recipe(path), made[chat], workers=0).complete
    return made


@pytest.fixture(scope="module")
def right(trees):
    """Rows of the tree that has them, and each patch's picture."""
    rows = [json.loads(line) for line in (trees[True] / "data" / "train.jsonl").read_bytes().splitlines()]
    assert len({row["patch_id"] for row in rows}) == ROWS * COLS
    return rows, {path.stem: path.read_bytes() for path in (trees[True] / "images").rglob("*.jpg")}


@pytest.mark.long
@pytest.mark.parametrize("chat", [True, False])
def test_the_hubs_form_has_every_caption_with_its_picture(trees, right, packs, chat, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows, pictures = right
    loaded = datasets.load_dataset(str(packs(trees[chat], "parquet")), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded["id"] == [row["id"] for row in rows]
    for row, meant in zip(loaded, rows, strict=True):
        said = [(m["role"], [(part["type"], part["text"]) for part in m["content"]]) for m in row["messages"]]
        assert said == [(m["role"], [(p["type"], p.get("text")) for p in m["content"]]) for m in meant["messages"]]
        assert (row["patch_id"], row["annotator"]) == (meant["patch_id"], meant["annotator"])
        (picture,) = row["images"]
        own = Image.open(io.BytesIO(pictures[row["patch_id"]]))
        assert np.array_equal(np.asarray(picture.convert("RGB")), np.asarray(own.convert("RGB")))
        assert (row["item_id"], row["datetime"].year) == ("country", 2022)


def test_archives_have_each_patch_once(trees, right, packs):
    wds = pytest.importorskip("webdataset")
    rows, pictures = right
    out = packs(trees[False], "webdataset")
    samples = list(wds.WebDataset([str(path) for path in sorted((out / "data").glob("*.tar"))], shardshuffle=False))
    assert {sample["__key__"] for sample in samples} == set(pictures)
    found = []
    for sample in samples:
        about = json.loads(sample["json"])
        assert sample["jpg"] == pictures[sample["__key__"]]
        assert about["metadata"]["provenance"]["image"]["scene"] == "country"
        assert about["metadata"]["metadata"]["patch_id"] == sample["__key__"]
        found += about["rows"]
    back = json.loads(json.dumps(found).replace('"image": "jpg"', '"image": ""'))
    assert [row["id"] for row in back] == [row["id"] for row in rows]
    assert [row["messages"][1] for row in back] == [row["messages"][1] for row in rows]


@pytest.mark.parametrize("name", FORMS)
def test_trainers_read_each_caption_with_its_picture(trees, right, packs, name):
    rows, pictures = right
    out = packs(trees[False], name)
    found = [json.loads(line) for line in (out / "data" / "train.jsonl").read_bytes().splitlines()]
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    for row, meant in zip(found, rows, strict=True):
        answer = meant["messages"][1]["content"][0]["text"]
        if name == "leap":
            shown, told = [row["messages"][0]["content"][0]["image"]], row["messages"][1]["content"][0]["text"]
        elif name == "qwen":
            shown, told = [row["image"]], row["conversations"][1]["value"]
        else:
            shown, told = row["images"], row["messages"][1]["content"]
        assert told == answer
        assert [(out / path).read_bytes() for path in shown] == [pictures[meant["patch_id"]]]


def test_a_catalogue_and_ground_that_is_shared(trees, packs):
    out = packs(trees[False], "geoparquet")
    table = pq.read_table(out / "chips.parquet")
    assert table.num_rows == ROWS * COLS
    assert not [name for name in table.schema.names if name.startswith("fraction_")]
    found = nt.overlap(trees[True], out / "chips.parquet", by="footprint")
    assert {one.id for one in found.shared} == set(table["id"].to_pylist())
    assert {one.footprints for one in found.shared} == {1}


def test_boxes_are_refused_and_damage_is_told(trees, tmp_path):
    said = nutonic("pack", trees[True], "--format", "coco", "--out", tmp_path / "a", "--workers", 0)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "coco is boxes, and patches have none" in said.err
    assert not (tmp_path / "a").exists()
    import shutil

    tree = Path(shutil.copytree(trees[False], tmp_path / "tree"))
    victim = next((tree / "_nutonic" / "captions").glob("*.json"))
    victim.write_bytes(victim.read_bytes().replace(b'"text":"', b'"text":"No ', 1))
    said = nutonic("pack", tree, "--format", "parquet", "--out", tmp_path / "b", "--workers", 0)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "captions/000000.json is not what was written" in said.err


def test_small_shards_are_gone_on_with(trees, tmp_path, monkeypatch, packs):
    """Killed after a patch, the same call ends with the same bytes."""
    out, real, left = tmp_path / "pack", packed_patches.chat_row, [3]

    def dying(*args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(packed_patches, "chat_row", dying)
        with pytest.raises(KeyboardInterrupt):
            nt.pack(trees[False], out, workers=0)
    assert nt.pack(trees[False], out, workers=0).complete
    whole = packs(trees[False], "parquet")
    names = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    assert all((out / name).read_bytes() == (whole / name).read_bytes() for name in names)
    assert len(names) >= 5


def test_all_of_a_tree_goes_to_the_hub(trees):
    from support.trees import tree as files_of

    from nutonic.run.packs.outgoing import cargo_of

    for out in trees.values():
        cargo = cargo_of(out)
        assert {file.path: file.size for file in cargo.files} == {p: len(data) for p, data in files_of(out).items()}
        assert cargo.files[-1].path == "README.md"
