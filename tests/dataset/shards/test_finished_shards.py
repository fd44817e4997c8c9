"""The finished tree of patches as users read it: by the document's loader and the card's own words, with both namings."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
import webdataset
import yaml
from support.patch_forging import planted_tree
from support.shards import samples

import nutonic as nt
from nutonic.dataset.shards.chat import PROMPTS

pytestmark = pytest.mark.skipif(importlib.util.find_spec("osmium") is None, reason="maps are read with osmium")


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> dict[str, Path]:
    """The same patches under both names that shards can have; one tree has figures."""
    folder = tmp_path_factory.mktemp("named")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        path, out = planted_tree(folder)
        content = yaml.safe_load(path.read_text())
        content["shards"] = {"samples": 4, "quality": 90, "name": "Patches%04d.tar"}
        (folder / "patches.yaml").write_text(yaml.safe_dump(content))
        assert nt.build(nt.load_recipe(folder / "patches.yaml"), folder / "patches", workers=0).complete
    return {"split": out, "patches": folder / "patches"}


def pick(sample):
    """As the document's README has it: a picture, and one of its captions at random."""
    annotation = random.choice(sample["json"]["annotations"])
    return sample["jpg"], annotation["text"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["split", "patches"])
def test_the_documents_loader_reads_every_sample_of_every_split(trees, name):
    tree = trees[name]
    pattern = {"split": "data/{}-*.tar", "patches": "data/{}/Patches*.tar"}[name]
    held = dict[str, str]()
    for split in ("train", "validation"):
        paths = sorted(tree.glob(pattern.format(split)))
        numbers = [int(re.search(r"(\d+)\.tar", path.name)[1]) for path in paths]
        assert numbers == list(range(len(paths)))  # no gaps
        assert len(paths) > 1
        urls = [str(path) for path in paths]
        loaded = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
        assert all(list(sample) == ["__key__", "__url__", "__local_path__", "jpg", "json"] or
                   {"jpg", "json"} <= sample.keys() for sample in loaded)  # fmt: skip
        for sample in loaded:
            picture, text = pick(sample)
            assert picture.size == (64, 64)
            assert len(text.split()) >= 2
            assert "." not in sample["__key__"]
            assert sample["json"]["provenance"]["image"]["split"] == split
            assert sample["__key__"] not in held
            held[sample["__key__"]] = split
    assert sorted(held) == sorted(samples(tree))
    assert not list(tree.glob(pattern.format("test")))


def test_the_name_of_shards_changes_nothing_else(trees):
    one, other = samples(trees["split"]), samples(trees["patches"])
    assert one.keys() == other.keys()
    for key, (picture, content) in one.items():
        assert other[key][0] == picture
        mine, theirs = dict(content), dict(other[key][1])
        assert mine.pop("provenance")["image"] == theirs.pop("provenance")["image"]
        assert mine == theirs


def test_rows_of_chat_are_the_captions_of_the_shards(trees):
    tree = trees["split"]
    for split in ("train", "validation"):
        said = Counter[tuple[str, str]]()
        for key, (picture, content) in samples(tree, split).items():
            said.update((key, each["text"]) for each in content["annotations"])
            assert next((tree / "images").rglob(f"{key}.jpg")).read_bytes() == picture
        rows = [json.loads(line) for line in (tree / "data" / f"{split}.jsonl").read_bytes().splitlines()]
        assert Counter((row["patch_id"], row["messages"][1]["content"][0]["text"]) for row in rows) == said
        assert len({row["id"] for row in rows}) == len(rows)
        for row in rows:
            image, question = row["messages"][0]["content"]
            assert (tree / image["image"]).is_file()
            asked = {prompt.format(picture="aerial photograph") for each in PROMPTS.values() for prompt in each}
            assert question["text"] in asked
    pictures = {path.stem for path in (tree / "images").rglob("*.jpg")}
    assert pictures == set(samples(tree))
    assert not (trees["patches"] / "images").exists()


def test_statistics_are_those_of_the_shards(trees):
    for tree in trees.values():
        told = json.loads((tree / "statistics.json").read_bytes())
        found = samples(tree)
        tasks = Counter(each["task"] for _, content in found.values() for each in content["annotations"])
        splits = Counter(content["provenance"]["image"]["split"] for _, content in found.values())
        whole = json.dumps(told)
        assert f'"captions": {sum(tasks.values())}' in whole
        for task, number in tasks.items():
            words = told["words_per_caption"][str(task)]["histogram"]
            assert sum(count for _, count in words) == number
            lengths = Counter(
                len(each["text"].split())
                for _, content in found.values()
                for each in content["annotations"]
                if each["task"] == task
            )
            assert dict(words) == lengths
        card = (tree / "README.md").read_text()
        for split, number in splits.items():
            assert re.search(rf"^\| {split} \| {number} \|", card, re.MULTILINE)


def snippets(tree: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (tree / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("name", ["split", "patches"])
def test_every_snippet_of_the_card_runs(trees, name, tmp_path, capsys, monkeypatch):
    tree = shutil.copytree(trees[name], tmp_path / "tree")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    codes = snippets(tree)
    assert len(codes) == 2
    for code in codes:
        if "load_dataset" in code:
            pytest.importorskip("datasets")
            cache = f'load_dataset("webdataset", cache_dir={str(tmp_path / "cache")!r},'
            code = code.replace('load_dataset("webdataset",', cache)
        assert "/path/to/this/folder" in code
        exec(compile(code.replace("/path/to/this/folder", str(tree)), "card", "exec"), {"__name__": "card"})
        assert "(64, 64)" in capsys.readouterr().out


def test_the_card_says_what_it_is_and_whose(trees):
    for tree in trees.values():
        card = (tree / "README.md").read_text()
        assert "aerial photographs" in card
        assert "satellite" not in card.lower()
        assert "OpenStreetMap contributors" in card
        assert "Open Database License" in card
        assert "opendatacommons.org/licenses/odbl" in card
        assert "public domain" in card
        front = yaml.safe_load(card.split("---")[1])
        assert front["configs"][0]["data_files"]
        for each in front["configs"][0]["data_files"]:
            assert list(tree.glob(each["path"]))


@pytest.mark.exhaustive
def test_a_drawn_picture_is_no_satellite_image(tmp_path, monkeypatch):
    """Of a collection that nobody knows, at 0.6 m, neither card nor questions say from where it was taken."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    (tmp_path / "one").mkdir()
    path, _ = planted_tree(tmp_path / "one")
    content = yaml.safe_load(path.read_text())
    content["imagery"]["collection"] = "drawn-from-osm"
    items = json.loads((tmp_path / "one" / "items.json").read_text())
    for item in items["features"]:
        item["collection"] = "drawn-from-osm"
    (tmp_path / "one" / "items.json").write_text(json.dumps(items))
    (tmp_path / "one" / "drawn.yaml").write_text(yaml.safe_dump(content))
    out = tmp_path / "one" / "drawn"
    assert nt.build(nt.load_recipe(tmp_path / "one" / "drawn.yaml"), out, workers=0).complete
    told = (out / "README.md").read_text() + "".join(path.read_text() for path in (out / "data").glob("*.jsonl"))
    assert "satellite" not in told.lower()
    rows = [json.loads(line) for path in (out / "data").glob("*.jsonl") for line in path.read_text().splitlines()]
    questions = [row["messages"][0]["content"][1]["text"] for row in rows]
    assert questions
    assert all("overhead image" in question for question in questions)
