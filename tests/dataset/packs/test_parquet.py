"""Parquet with pictures inside: loaded by the real library in one line, row for row and pixel for pixel the tree's."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import nutonic as nt
from nutonic.dataset.packs import parquet

SPLITS = ("train", "validation", "test")


def rows_of(out: Path, split: str) -> list[dict]:
    return [json.loads(line) for line in (out / "data" / f"{split}.jsonl").read_bytes().splitlines()]


def shown(row: dict) -> list[str]:
    return [part["image"] for message in row["messages"] for part in message["content"] if part["type"] == "image"]


def texts(messages: list[dict]) -> list[tuple[str, list[tuple[str, str | None]]]]:
    return [(m["role"], [(part["type"], part.get("text")) for part in m["content"]]) for m in messages]


@pytest.fixture(scope="module")
def packed(clean, tmp_path_factory):
    """The small planet's tree as Parquet, in small shards."""
    out = tmp_path_factory.mktemp("packed") / "pack"
    told = nt.pack(clean.out, out, workers=0)
    assert told.complete
    return out


def test_the_real_library_loads_rows_and_pixels_of_the_tree_in_one_line(clean, packed, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = datasets.load_dataset(str(packed), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {split for split in SPLITS if (clean.out / "data" / f"{split}.jsonl").exists()}
    for split, rows in loaded.items():
        ours = rows_of(clean.out, split)
        assert len(rows) == len(ours) > 0
        for row, right in zip(rows, ours, strict=True):
            assert (row["id"], row["task"], row["split"]) == (right["id"], right["task"], split)
            assert texts(row["messages"]) == texts(right["messages"])
            # A bare part: no key of a picture's path, by which templates would print it or trainers would not open it.
            assert all(set(part) == {"type", "text"} for m in row["messages"] for part in m["content"])
            assert len(row["images"]) == len(shown(right)) > 0
            for picture, path in zip(row["images"], shown(right), strict=True):
                assert np.array_equal(np.asarray(picture), np.asarray(Image.open(clean.out / path)))


def test_columns_to_choose_by_are_those_of_the_sidecars(clean, packed):
    table = pa.concat_tables(pq.read_table(path) for path in sorted((packed / "data").glob("*.parquet")))
    names = {name for name in table.schema.names if name.startswith("fraction_")}
    for row in table.drop_columns(["images", "messages"]).to_pylist():
        (path,) = clean.out.glob(f"metadata/*/{row['tile_id']}.json")
        sidecar = json.loads(path.read_bytes())
        assert (row["lon"], row["lat"]) == (sidecar["longitude"], sidecar["latitude"])
        assert row["datetime"].strftime("%Y-%m-%dT%H:%M") == sidecar["imagery"]["datetime"][:16]
        found = sorted(row[name] for name in names if row[name])
        assert found == sorted(sidecar["class_fractions"].values())
        for region in sidecar["regions"]:
            assert row["fraction_" + "_".join(region["label"].replace("-", " ").replace("/", " ").split())] > 0


def test_the_files_are_as_the_hub_likes_them(packed):
    for path in (packed / "data").glob("*.parquet"):
        file = pq.ParquetFile(path)
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        assert all(group.num_rows <= 100 for group in groups)
        assert all(group.column(0).has_offset_index for group in groups)
        about = json.loads(file.schema_arrow.metadata[b"huggingface"])
        assert about["info"]["features"]["images"] == [{"_type": "Image"}]
        assert set(about["info"]["features"]) == set(file.schema_arrow.names)


def test_a_picture_is_written_once_in_a_row_group(packed, clean):
    for path in (packed / "data").glob("*.parquet"):
        rows = pq.read_table(path, columns=["images"]).to_pylist()
        every = sum(len(image["bytes"]) for row in rows for image in row["images"])
        different = sum({image["path"]: len(image["bytes"]) for row in rows for image in row["images"]}.values())
        column = sum(
            pq.ParquetFile(path).metadata.row_group(i).column(5).total_compressed_size
            for i in range(pq.ParquetFile(path).metadata.num_row_groups)
        )
        assert every > 3 * different
        assert column < different + 64 * len(rows) + 500


def test_row_groups_end_before_their_pictures_are_too_many(monkeypatch):
    """By size too: of pictures of which two and a bit fit, no group holds a third."""
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 70_000)
    schema = pa.schema(
        [("id", pa.string()), ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])))]
    )
    rows = ({"id": str(k), "images": [{"bytes": bytes([k]) * 30_000, "path": f"{k // 2}"}]} for k in range(8))
    pieces = b"".join(parquet.file_of(rows, schema))
    metadata = pq.read_metadata(pa.BufferReader(pieces))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4, 4]


def test_boxes_of_another_convention_are_drawn_where_they_were(clean, tmp_path):
    assert nt.pack(clean.out, tmp_path / "pack", boxes="qwen3", workers=0).complete
    seen = 0
    for split in SPLITS:
        right = {row["id"]: row for row in rows_of(clean.out, split)}
        for path in (tmp_path / "pack" / "data").glob(f"{split}-*.parquet"):
            for row in pq.read_table(path, columns=["id", "task", "messages"]).to_pylist():
                (meant,) = [part["text"] for part in right[row["id"]]["messages"][1]["content"]]
                (user, assistant) = row["messages"]
                (said,) = [part["text"] for part in assistant["content"]]
                if row["task"] not in ("grounding", "class_grounding"):
                    assert said == meant
                    continue
                seen += 1
                boxes = [(box["label"], [round(1000 * v) for v in box["bbox"]]) for box in json.loads(meant)]
                assert [(box["label"], box["bbox_2d"]) for box in json.loads(said)] == boxes
                assert "0 to 1000" in user["content"][-1]["text"]
                assert "0-1" not in user["content"][-1]["text"]
    assert seen > 5


def test_the_card_tells_licence_provenance_and_how_to_load(clean, packed):
    card, tree = (
        (packed / "README.md").read_text(encoding="utf-8"),
        (clean.out / "README.md").read_text(encoding="utf-8"),
    )
    for title in ("## Provenance", "## Licences", "## Splits", "## Known limits"):
        assert card.count(title) == 1
        assert (
            card.split(title)[1].split("\n## ")[0].split("\n<!--")[0]
            == tree.split(title)[1].split("\n## ")[0].split("\n<!--")[0]
        )
    assert "data/train-*.parquet" in card
    assert "## Layout" not in card
    assert "with_images" not in card


@pytest.mark.exhaustive
def test_datasets_3_6_loads_it_too(clean, packed, tmp_path):
    """The last version before lists of its own; installed by the package index, into a folder of its own."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "datasets==3.6.0", "pillow"], capture_output=True, check=False
    )
    if installed.returncode:
        pytest.skip("no package index has datasets 3.6.0")
    code = (
        "import sys, json, datasets; d = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[2]); "
        "print(json.dumps({s: [[r['id'], [i.size for i in r['images']], sorted(r['messages'][0]['content'][0])] "
        "for r in rows] for s, rows in d.items()}))"
    )
    told = subprocess.run([python, "-c", code, str(packed), str(tmp_path / "cache")], capture_output=True, check=True)
    for split, rows in json.loads(told.stdout.splitlines()[-1]).items():
        right = rows_of(clean.out, split)
        assert [name for name, _, _ in rows] == [row["id"] for row in right]
        assert all(len(sizes) == len(shown(row)) for (_, sizes, _), row in zip(rows, right, strict=True))
        assert all(keys == ["text", "type"] for _, _, keys in rows)
    assert sys.version_info >= (3, 11)
