"""Forms with one entry a chip: by the real library where there is one, else as their documentation has them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from PIL import Image

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def packed(few, packs):
    return {name: packs(few.out, name) for name in ("imagefolder", "coco", "yolo")}


@pytest.fixture(scope="module")
def sidecars(few):
    """By the path of the chip."""
    found = [json.loads(path.read_bytes()) for path in few.out.glob("metadata/*/*.json")]
    return {
        next(few.out.glob(f"images/*/{one['tile_id']}.png")).relative_to(few.out / "images").as_posix(): one
        for one in found
    }


def drawn(boxes: list[tuple[float, float, float, float]], side: int) -> np.ndarray:
    mask = np.zeros((side, side), np.int64)
    for k, (x1, y1, x2, y2) in enumerate(boxes, 1):
        mask[round(y1) : round(y2), round(x1) : round(x2)] += k
    return mask


@pytest.mark.long
def test_the_real_library_finds_chips_with_their_metadata(few, packed, sidecars, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(packed["imagefolder"]), cache_dir=str(tmp_path / "cache")
    )
    assert sum(map(len, loaded.values())) == len(sidecars)
    for split, rows in loaded.items():
        right = [json.loads(line) for line in (few.out / "data" / f"{split}.jsonl").read_bytes().splitlines()]
        assert [one["id"] for row in rows for one in row["rows"]] == [row["id"] for row in right]
        answers = [row["messages"][1]["content"][0]["text"] for row in right]
        assert [one["answer"] for row in rows for one in row["rows"]] == answers
        for row in rows:
            tile = row["rows"][0]["id"].split("__")[0]
            (path,) = (path for path in sidecars if path.endswith(f"/{tile}.png"))
            assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(few.out / "images" / path)))
            assert (row["text"], row["lon"]) == (sidecars[path]["caption"], sidecars[path]["longitude"])


@pytest.mark.parametrize("name", ["coco", "yolo"])
def test_boxes_for_detectors_are_drawn_where_the_regions_are(few, packed, sidecars, name: str):
    seen = 0
    names = yaml.safe_load((packed["yolo"] / "data.yaml").read_text())["names"]
    for split in SPLITS:
        folder = packed[name] / "images" / split
        paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
        annotations = json.loads((packed["coco"] / "annotations" / f"{split}.json").read_bytes())
        labels = {entry["id"]: entry["name"] for entry in annotations["categories"]}
        assert sorted(image["file_name"] for image in annotations["images"]) == paths
        for path in paths:
            regions, side = sidecars[path]["regions"], Image.open(folder / path).size[0]
            assert sidecars[path]["split"] == split
            if name == "coco":
                (image,) = (image for image in annotations["images"] if image["file_name"] == path)
                mine = [box for box in annotations["annotations"] if box["image_id"] == image["id"]]
                found = [(labels[box["category_id"]], box["bbox"]) for box in mine]
                boxes = [(label, (x, y, x + w, y + h)) for label, (x, y, w, h) in found]
                assert [box["area"] for box in mine] == [region["area_px"] for region in regions]
            else:
                lines = (packed[name] / "labels" / split / path).with_suffix(".txt").read_text().splitlines()
                numbers = [(names[int(line.split()[0])], [float(v) * side for v in line.split()[1:]]) for line in lines]
                boxes = [(label, (x - w / 2, y - h / 2, x + w / 2, y + h / 2)) for label, (x, y, w, h) in numbers]
            assert [label for label, _ in boxes] == [region["label"] for region in regions]
            right = drawn([tuple(region["bbox"]) for region in regions], side)
            assert np.array_equal(drawn([box for _, box in boxes], side), right)
            seen += len(boxes)
    assert seen > 20
    ids = [box["id"] for box in annotations["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
