"""A commit's name: the same to those who build, read and verify."""

from __future__ import annotations

import shutil

import pytest

from nutonic.dataset.commits import committed, entries_of, read_commits
from nutonic.dataset.verify import verify
from nutonic.io.objects import Store, sealed
from nutonic.planning.layout import COMMITS, CommitName, commit_name

NAMES = {
    "000012": CommitName("000012", 12, None),
    "000012-003": CommitName("000012-003", 12, 3),
    "1234567": CommitName("1234567", 1234567, None),
    "1234567-999": CommitName("1234567-999", 1234567, 999),
}
OTHERS = (
    "12",
    "00012",
    "0000012",
    "000012-03",
    "000012-0003",
    "000012-",
    "-003",
    "000012-003-004",
    "00001a",
    "٠٠٠٠١٢",
    "x/000012",
)


@pytest.mark.parametrize("text", NAMES)
def test_a_name_tells_its_batch_and_place(text):
    assert commit_name(f"{COMMITS}/{text}.json") == NAMES[text]
    assert NAMES[text].whole == text.partition("-")[0]


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize("path", [f"{COMMITS}/{text}.json" for text in OTHERS] + ["000012.json", f"{COMMITS}/000012"])
def test_what_is_no_commit_is_none_to_anybody(path, built, tmp_path):
    assert commit_name(path) is None
    store = Store(shutil.copytree(built.out, tmp_path / "tree"))
    before = committed(store), verify(store.root).problems
    file = store.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(sealed({"commit": "000012"}))
    assert committed(store) == before[0]
    assert [line for line in verify(store.root).problems if "holds commit" in line] == []


def test_a_places_commit_does_not_count_beside_its_whole_batchs():
    store = Store(None)
    for text in ("000001", "000001-002", "000002-001"):
        store.put(f"{COMMITS}/{text}.json", sealed({"commit": text, "part": {}, "places": [{"poi_id": text}]}))
    done = committed(store)
    assert (done.whole, done.single) == ({1}, {(1, 2), (2, 1)})
    commits = list(read_commits(store, done))
    assert [name.text for name, _ in commits] == ["000001", "000002-001"]
    assert [entry["poi_id"] for commit in commits for entry in entries_of(*commit)] == ["000001", "000002-001"]
