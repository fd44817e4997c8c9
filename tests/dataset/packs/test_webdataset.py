"""Archives of chips, read by the real library: as many samples as chips, their rows and their pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from nutonic.dataset.packs.webdataset import key_of

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def packed(few, packs):
    return packs(few.out, "webdataset")


def test_the_real_library_gives_every_chip_with_its_rows(few, packed):
    wds = pytest.importorskip("webdataset")
    chips = 0
    for split in SPLITS:
        right = [json.loads(line) for line in (few.out / "data" / f"{split}.jsonl").read_bytes().splitlines()]
        index = json.loads((packed / "data" / f"{split}.json").read_bytes())["shardlist"]
        urls = [str(packed / "data" / entry["url"]) for entry in index]
        assert [entry["url"] for entry in index] == [
            f"{split}-{k:05d}-of-{len(index):05d}.tar" for k in range(len(index))
        ]
        samples = list(wds.WebDataset(urls, shardshuffle=False).decode("rgb8"))
        assert len(samples) == sum(entry["nsamples"] for entry in index)
        assert len({sample["__key__"] for sample in samples}) == len(samples)
        chips += len(samples)
        found = [row for sample in samples for row in sample["json"]["rows"]]
        assert [row["id"] for row in found] == [row["id"] for row in right]
        rows = {row["id"]: row for row in right}
        for sample in samples:
            about = sample["json"]
            assert about["split"] == split
            assert np.array_equal(sample["png"], np.asarray(Image.open(few.out / about["path"])))
            (sidecar,) = few.out.glob(f"metadata/*/{sample['__key__']}.json")
            assert about["metadata"] == json.loads(sidecar.read_bytes())
            for row in about["rows"]:
                shown = [part["image"] for m in row["messages"] for part in m["content"] if part["type"] == "image"]
                assert shown == ["png"]
                back = json.loads(json.dumps(row).replace('"image": "png"', f'"image": "{about["path"]}"'))
                assert back == rows[row["id"]]
    assert chips == len(list((few.out / "images").rglob("*.png")))


def test_keys_have_no_dots_and_stay_apart():
    names = ["1.0", "1.5", "1-0", "ort_1_t0000", "ört"]
    keys = [key_of(f"images/s00000/{name}.png") for name in names]
    assert len(set(keys)) == len(names)
    assert all(key.isascii() and "." not in key for key in keys)
    assert keys[3] == "ort_1_t0000"
