"""`croissant.json`, read and validated by Croissant's own library: its records are the rows of the tree."""

from __future__ import annotations

import hashlib
import json
from itertools import islice

import pytest

SPLITS = ("train", "validation", "test")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_croissants_own_library_finds_no_fault_and_reads_the_rows(few, packs):
    mlcroissant = pytest.importorskip("mlcroissant")
    out = packs(few.out, "parquet")
    dataset = mlcroissant.Dataset(str(out / "croissant.json"))
    assert dataset.metadata.ctx.issues.errors == set()
    right = [
        json.loads(line)["id"]
        for split in SPLITS
        for line in (few.out / "data" / f"{split}.jsonl").read_bytes().splitlines()
    ]
    found = list(islice(dataset.records("rows"), 1000))
    assert sorted(row["rows/id"].decode() for row in found) == sorted(right)
    assert {row["rows/split"].decode() for row in found} == set(SPLITS)


def test_it_tells_where_when_and_what_is_there(few, packs):
    out = packs(few.out, "parquet")
    about = json.loads((out / "croissant.json").read_bytes())
    sidecars = [json.loads(path.read_bytes()) for path in few.out.glob("metadata/*/*.json")]
    south, west, north, east = map(float, about["spatialCoverage"]["geo"]["box"].split())
    assert (west, east) == (min(s["longitude"] for s in sidecars), max(s["longitude"] for s in sidecars))
    assert (south, north) == (min(s["latitude"] for s in sidecars), max(s["latitude"] for s in sidecars))
    days = sorted(s["imagery"]["datetime"][:10] for s in sidecars)
    assert about["temporalCoverage"] == f"{days[0]}/{days[-1]}"
    assert about["geocr:coordinateReferenceSystem"] == ", ".join(sorted({s["grid"]["crs"] for s in sidecars}))
    assert about["geocr:spatialResolution"]["value"] == 10
    assert about["conformsTo"][1] == "http://mlcommons.org/croissant/geo/1.0"
    files = [entry for entry in about["distribution"] if entry["@type"] == "cr:FileObject"]
    assert len(files) == len(list((out / "data").glob("*.parquet")))
    for entry in files:
        data = (out / entry["contentUrl"]).read_bytes()
        assert (entry["sha256"], entry["contentSize"]) == (hashlib.sha256(data).hexdigest(), f"{len(data)} B")
