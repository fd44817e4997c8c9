"""Trainers' forms, read as each trainer documents that it reads: every row, every picture, and the boxes where they were."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from support.cli import nutonic

import nutonic as nt
from nutonic.dataset.packs.registry import FORMS
from nutonic.dataset.packs.trainers.evals import benchmarks_of

SPLITS = ("train", "validation", "test")
FILES = ("leap", "ms-swift", "llama-factory", "axolotl", "qwen")


@pytest.fixture(scope="module")
def asking(planets, planet, tmp_path_factory):
    """A tree with all kinds of rows, boxes in questions and choices among them."""
    path = planets(
        planet, rows={"referring": True, "choice": True, "vqa": True, "absence": True}, pois={"path": "asking.csv"}
    )
    header, *lines = (path.parent / "pois.csv").read_text(encoding="utf-8").splitlines()
    (path.parent / "asking.csv").write_text(
        "\n".join([header, *(lines[i] for i in (0, 1, 2, 4, 7, 9)), ""]), encoding="utf-8"
    )
    out = tmp_path_factory.mktemp("asking") / "tree"
    assert nt.build(nt.load_recipe(path), out, workers=0).complete
    return out


@pytest.fixture(scope="module")
def packed(asking, tmp_path_factory):
    """One folder a form."""
    folder = tmp_path_factory.mktemp("packs")
    for name in (*FILES, "trl", "unsloth"):
        assert nt.pack(asking, folder / name, format=name, workers=0).complete
    return folder


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def said(row: dict) -> tuple[list[str], str, str]:
    """Pictures, question and answer of a row of a tree."""
    user, assistant = row["messages"]
    shown = [part["image"] for part in user["content"] if part["type"] == "image"]
    return shown, user["content"][-1]["text"], assistant["content"][0]["text"]


def parts_read(row: dict, key: str) -> tuple[list[str], str, str]:
    user, assistant = row["messages"]
    assert [part["type"] for part in user["content"]] == [*["image"] * (len(user["content"]) - 1), "text"]
    return [part[key] for part in user["content"][:-1]], user["content"][-1]["text"], assistant["content"][0]["text"]


def marks_read(text: str, images: list[str]) -> str:
    assert text.count("<image>") == len(images) > 0
    return text.replace("<image>", "").strip()


def read(name: str, row: dict) -> tuple[list[str], str, str]:
    """A row as its trainer's documentation says that it is read."""
    if name == "leap":
        return parts_read(row, "image")
    if name == "axolotl":
        assert not any("image" in part for message in row["messages"] for part in message["content"])
        return parts_read(row, "path")
    if name == "qwen":
        images = [row["image"]] if isinstance(row["image"], str) else row["image"]
        human, gpt = row["conversations"]
        assert (human["from"], gpt["from"]) == ("human", "gpt")
        return images, marks_read(human["value"], images), gpt["value"]
    user, assistant = row["messages"]
    assert (user["role"], assistant["role"]) == ("user", "assistant")
    return row["images"], marks_read(user["content"], row["images"]), assistant["content"]


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_every_row_and_every_picture_is_there(asking, packed, name: str):
    seen = 0
    for split in SPLITS:
        right, rows = lines_of(asking / "data" / f"{split}.jsonl"), lines_of(packed / name / "data" / f"{split}.jsonl")
        assert [row["id"] for row in rows] == [row["id"] for row in right]
        for row, meant in zip(rows, right, strict=True):
            images, question, answer = read(name, row)
            shown, asked, told = said(meant)
            assert images == shown
            if not any(word in asked for word in ("bbox", "0-1", "[0")):
                assert (question, answer) == (asked, told)
                seen += 1
            for path in images:
                assert (packed / name / path).read_bytes() == (asking / path).read_bytes()
    assert seen > 50
    kept = {path.relative_to(packed / name).as_posix() for path in (packed / name / "images").rglob("*.png")}
    assert kept == {path.relative_to(asking).as_posix() for path in (asking / "images").rglob("*.png")}
    assert not (packed / name / "_nutonic" / "rows").exists() or not list(
        (packed / name / "_nutonic" / "rows").iterdir()
    )


def boxes_of(text: str) -> list[tuple[str | None, list[float]]]:
    """Of a tree's answer."""
    value = json.loads(text)
    return [(b["label"], b["bbox"]) for b in value] if isinstance(value[0], dict) else [(None, value)]


def drawn(boxes: list[tuple[str | None, list[float]]], side: int) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    for k, (_, (x1, y1, x2, y2)) in enumerate(boxes):
        mask[round(y1 * side) : round(y2 * side), round(x1 * side) : round(x2 * side)] += k + 1
    return mask


@pytest.mark.parametrize("name", FILES)
def test_boxes_are_drawn_where_they_were(asking, packed, name: str):
    """As the model is taught them: ms-swift puts `objects` in pixels into its places, Qwen divides by a thousand."""
    seen, lone = 0, 0
    for split in SPLITS:
        rows = {row["id"]: row for row in lines_of(packed / name / "data" / f"{split}.jsonl")}
        for meant in lines_of(asking / "data" / f"{split}.jsonl"):
            (path,), asked, told = said(meant)
            if meant["task"] not in ("grounding", "class_grounding", "referring") or not told.startswith("["):
                continue
            row, side = rows[meant["id"]], Image.open(asking / path).size[0]
            _, question, answer = read(name, row)
            if name == "ms-swift":
                assert (answer.count("<bbox>"), answer.count("<ref-object>")) == (
                    len(row["objects"]["bbox"]),
                    len(row["objects"]["ref"]),
                )
                assert row["objects"]["bbox_type"] == "real"
                found = [[v / side for v in box] for box in row["objects"]["bbox"]]
                boxes = list(zip(row["objects"]["ref"] or [None], found, strict=True))
                assert "0-1" not in question
            elif name == "qwen":
                value = json.loads(answer)
                several = isinstance(value[0], dict)
                boxes = [(b["label"], b["bbox_2d"]) for b in value] if several else [(None, value)]
                boxes = [(label, [v / 1000 for v in box]) for label, box in boxes]
                assert "0 to 1000" in question
            else:
                boxes = boxes_of(answer)
                assert question == asked
            right = boxes_of(told)
            assert [label for label, _ in boxes] == [label for label, _ in right]
            assert (
                max(abs(a - b) for (_, x), (_, y) in zip(boxes, right, strict=True) for a, b in zip(x, y, strict=True))
                <= 0.00051
            )
            assert np.array_equal(drawn(boxes, side), drawn(right, side))
            seen, lone = seen + 1, lone + (not told.startswith("[{"))
    assert seen > 10
    assert lone > 1


def test_a_box_in_a_question_goes_along(asking, packed):
    rows = {row["id"]: row for split in SPLITS for row in lines_of(packed / "ms-swift" / "data" / f"{split}.jsonl")}
    asked = [row for name, row in rows.items() if name.endswith("referring_class")]
    assert asked
    for row in asked:
        assert row["messages"][0]["content"].count("<bbox>") == len(row["objects"]["bbox"]) == 1
        assert row["objects"]["ref"] == []


def test_each_trainers_file_names_our_splits_and_makes_none_of_its_own(asking, packed):
    there = [split for split in SPLITS if (asking / "data" / f"{split}.jsonl").exists()]
    assert "validation" in there
    leap = yaml.safe_load((packed / "leap" / "leap.yaml").read_text())
    assert leap["dataset"]["test_size"] is None
    assert leap["dataset"]["image_root"] == "."
    for key in ("train_path", "val_path"):
        assert (packed / "leap" / leap["dataset"][key]).is_file()
    info = json.loads((packed / "llama-factory" / "dataset_info.json").read_bytes())
    job = yaml.safe_load((packed / "llama-factory" / "llama_factory.yaml").read_text())
    assert {job["dataset"], job["eval_dataset"]} < set(info)
    assert len(info) == len(there)
    assert all((packed / "llama-factory" / entry["file_name"]).is_file() for entry in info.values())
    assert "val_size" not in job
    axolotl = yaml.safe_load((packed / "axolotl" / "axolotl.yaml").read_text())
    assert (axolotl["sample_packing"], axolotl["skip_prepare_dataset"]) == (False, True)
    for part in (*axolotl["datasets"], *axolotl["test_datasets"]):
        assert (packed / "axolotl" / part["path"]).is_file()
        assert (part["type"], part["field_messages"]) == ("chat_template", "messages")
    swift = (packed / "ms-swift" / "swift.sh").read_text()
    assert "ROOT_IMAGE_DIR=." in swift
    assert "--split_dataset_ratio 0" in swift
    sets = runpy.run_path(str(packed / "qwen" / "qwen_data.py"))["SETS"]
    for one in sets.values():
        (first, *_) = lines_of(Path(one["annotation_path"]))
        assert (Path(one["data_path"]) / first["image"]).is_file()
    trl = yaml.safe_load((packed / "trl" / "trl.yaml").read_text())
    assert (trl["max_length"], trl["packing"], trl["dataset_test_split"]) == (None, False, "validation")
    compile((packed / "unsloth" / "train.py").read_text(), "train.py", "exec")


def test_benchmarks_are_of_rows_that_nobody_trains_on(asking, packed):
    """By metrics that score the right answers as right: what a benchmark holds is scored by leap-finetune's own rules."""
    leap = yaml.safe_load((packed / "leap" / "leap.yaml").read_text())
    metrics = {entry["name"]: entry["metric"] for entry in leap["evals"]["benchmarks"]}
    trained = {row["id"] for row in lines_of(packed / "leap" / "data" / "train.jsonl")}
    kinds = set()
    for entry in leap["evals"]["benchmarks"]:
        rows = lines_of(packed / "leap" / entry["path"])
        assert rows
        kinds.add(entry["metric"])
        for row in rows:
            assert row["id"] not in trained
            answer = row["messages"][-1]["content"][0]["text"]
            if entry["metric"] == "logprob_zero_shot":
                assert [message["role"] for message in row["messages"]] == ["user"]
                assert row["options"] == ["A", "B", "C", "D", "E"]
                assert 0 <= row["answer_id"] < 5
            elif entry["metric"] == "mcq_gen":
                assert answer in "ABCDE"
            elif entry["metric"] == "grounding_iou_f1":
                assert all(
                    box["bbox"][0] < box["bbox"][2] <= 1 and box["bbox"][1] < box["bbox"][3] <= 1
                    for box in json.loads(answer)
                )
            elif entry["metric"] == "grounding_iou":
                assert len(json.loads(answer)) == 4
            else:
                assert len(answer) < 80
    assert kinds >= {"short_answer", "grounding_iou_f1"}
    assert set(metrics) == {name for name in metrics if name.startswith("validation_")}
    tested = {row["id"] for path in (packed / "leap" / "evals").glob("test_*") for row in lines_of(path)}
    assert tested <= {row["id"] for row in lines_of(asking / "data" / "test.jsonl")}


def test_a_choice_is_asked_twice_with_its_letters():
    row = {
        "id": "c", "task": "choice", "options": ["a", "b", "c"], "answer_id": 1,
        "messages": [{"role": "user", "content": []}, {"role": "assistant", "content": [{"type": "text", "text": "B"}]}],
    }  # fmt: skip
    made = benchmarks_of(row)
    assert made["choice"]["messages"] == row["messages"]
    assert made["choice_logprob"] == {
        "id": "c",
        "messages": row["messages"][:1],
        "options": ["A", "B", "C"],
        "answer_id": 1,
    }
    assert benchmarks_of({**row, "answer_id": 2}) == {}
    assert benchmarks_of({**row, "task": "caption"}) == {}


def test_leap_has_one_way_to_write_boxes(asking, tmp_path):
    said = nutonic("pack", asking, "--format", "leap", "--boxes", "qwen3", "--out", tmp_path / "pack", "--workers", 0)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "leap has one way to write boxes" in said.err


def test_the_forms_are_those_of_the_page():
    from support.paths import ROOT

    page = (ROOT / "docs" / "packs.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in FORMS)
