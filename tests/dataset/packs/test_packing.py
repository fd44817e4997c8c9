"""Packing: same bytes however it was stopped; nothing of anybody else's is touched; damage is told, not packed."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest
from support.cli import nutonic
from support.trees import tree as files_of

import nutonic as nt
from nutonic.dataset.packs.layout import PACK_MARKER_BYTES
from nutonic.dataset.packs.registry import FORMS, form_of
from nutonic.dataset.packs.shards import shards_of
from nutonic.dataset.packs.tree import tree_to_pack
from nutonic.errors import Corrupt, InputError, NotNutonic
from nutonic.io.buckets.address import any_path_of
from nutonic.io.objects import Store
from nutonic.run.packs.pack import PackJob, write_shard

pytest_plugins = ["support.buckets"]


def bytes_of(folder: Path) -> dict[str, str]:
    """Hash of each file of a pack, its records too."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def whole(clean, tmp_path_factory):
    """A pack that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "pack"
    assert nt.pack(clean.out, out, workers=0).complete
    return out


class Died(BaseException):
    """What ends a process that is killed."""


def dying(monkeypatch, after: int) -> None:
    """Let the store die at a write."""
    left = [after]

    def wrapped(name):
        real = getattr(Store, name)

        def write(self, *args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise Died
            return real(self, *args, **kwargs)

        return write

    for name in ("put", "create", "delete"):
        monkeypatch.setattr(Store, name, wrapped(name))


@pytest.mark.long
def test_killed_at_any_write_and_gone_on_with_it_has_the_same_bytes(clean, whole, tmp_path, monkeypatch):
    before, deaths = files_of(clean.out), 0
    while True:
        out = tmp_path / f"pack-{deaths}"
        with monkeypatch.context() as patched:
            dying(patched, deaths)
            try:
                nt.pack(clean.out, out, workers=0)
                break
            except Died:
                deaths += 1
        assert nt.pack(clean.out, out, workers=0).complete
        assert bytes_of(out) == bytes_of(whole)
    assert deaths >= 8  # marker, what is packed, three shards with a record each, card, seal
    assert bytes_of(out) == bytes_of(whole)
    assert files_of(clean.out) == before


def test_a_second_run_does_nothing(clean, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    told = nt.pack(clean.out, whole, workers=0)
    assert (told.complete, told.done_before) == (True, told.shards)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_a_shard_that_is_cut_short_is_written_again(clean, whole, tmp_path):
    out = tmp_path / "pack"
    nt.pack(clean.out, out, workers=0)
    (path,) = (out / "data").glob("train-*")
    path.write_bytes(path.read_bytes()[:100])
    assert nt.pack(clean.out, out, workers=0).complete
    assert bytes_of(out) == bytes_of(whole)


def test_small_shards_hold_the_same_rows(few):
    source = tree_to_pack(few.out)
    shards = shards_of(source, 60_000)
    assert [shard.number for shard in shards] == list(range(len(shards)))
    for split in source.splits:
        own = [shard for shard in shards if shard.split == split]
        assert [(shard.index, shard.of) for shard in own] == [(k, len(own)) for k in range(len(own))]
        assert sum(shard.rows for shard in own) == len((few.out / "data" / f"{split}.jsonl").read_bytes().splitlines())
    assert max(shard.of for shard in shards) > 1
    tables = [shard.spans.table for shard in shards]
    assert all(len(table) == 1 or (table["size"] + table["pictures"]).sum() <= 60_000 for table in tables)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_names_what_writes_its_shards_and_nothing_else(name, clean, tmp_path, monkeypatch):
    """So workers are asked for that: where it is not there, whoever needs it fails, and nobody else."""
    source = tree_to_pack(clean.out)
    shard, form = shards_of(source, 10**9)[0], form_of(name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    write = partial(
        write_shard, PackJob(shard=shard), tree=source.store, store=Store(tmp_path / "pack"), facts=source.facts
    )
    assert form.needs() == (("pyarrow",) if name in ("parquet", "trl", "unsloth") else ())
    if "pyarrow" in form.needs():
        with pytest.raises(ImportError, match="pyarrow"):
            write(form=form)
    else:
        assert write(form=form).finished == len(shard.spans) > 0


def test_a_form_that_names_cells_of_h3_needs_h3():
    assert replace(form_of("parquet"), cells="h3").needs() == ("pyarrow", "h3")
    assert replace(form_of("stac"), cells="h3").needs() == ("h3",)


def test_what_is_somebody_elses_is_refused_and_left_alone(clean, whole, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    for out, told in (
        (mine, "holds files that are of no pack"),
        (mine / "notes.txt", "is a file"),
        (clean.out.parent / "planet", "holds files that are of no pack"),
    ):
        with pytest.raises(NotNutonic, match=told):
            nt.pack(clean.out, out, workers=0)
    with pytest.raises(NotNutonic, match="holds another pack: boxes unit, not qwen3"):
        nt.pack(clean.out, whole, boxes="qwen3", workers=0)
    for out in (clean.out, clean.out / "pack", clean.out.parent):
        with pytest.raises(InputError, match="lie in each other"):
            nt.pack(clean.out, out, workers=0)
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]
    with pytest.raises(NotNutonic, match="is not a nutonic tree"):
        nt.pack(whole, tmp_path / "again", workers=0)
    assert not (tmp_path / "again").exists()


def test_a_build_does_not_go_into_a_pack(clean, whole):
    with pytest.raises(NotNutonic, match="not nutonic's"):
        nt.build(nt.load_recipe(clean.recipe), whole, workers=0)


def test_what_a_killed_pack_began_is_known_by_its_bytes_not_by_its_name(clean, tmp_path):
    begun = tmp_path / "pack" / "_nutonic" / "pack.json#1"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"a user's")
    with pytest.raises(NotNutonic, match="of no pack"):
        nt.pack(clean.out, tmp_path / "pack", workers=0)
    assert bytes_of(tmp_path / "pack").keys() == {"_nutonic/pack.json#1"}
    begun.write_bytes(PACK_MARKER_BYTES[:9])
    assert nt.pack(clean.out, tmp_path / "pack", workers=0).complete


def test_a_file_of_a_users_in_a_pack_stays(clean, tmp_path):
    out = tmp_path / "pack"
    nt.pack(clean.out, out, workers=0)
    (out / "notes.txt").write_text("mine")
    (out / "README.md").write_text("my own card")
    (out / "_nutonic" / "packed.json").unlink()
    assert nt.pack(clean.out, out, workers=0).complete
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "README.md").read_text() == "my own card"


@pytest.mark.parametrize("damage", ["picture", "missing", "sidecar"])
def test_a_damaged_tree_is_told_and_not_packed(clean, tmp_path, damage):
    tree = Path(shutil.copytree(clean.out, tmp_path / "tree"))
    (path,) = sorted(tree.glob("metadata/*/*.json" if damage == "sidecar" else "images/*/*.png"))[:1]
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(Corrupt, match=r"is missing: run nutonic verify|is not what was written"):
        nt.pack(tree, tmp_path / "pack", workers=0)
    assert not (tmp_path / "pack" / "_nutonic" / "packed.json").exists()


def test_a_tree_whose_build_has_not_ended_is_refused(clean, tmp_path):
    tree = Path(shutil.copytree(clean.out, tmp_path / "tree"))
    (tree / "_nutonic" / "summary.json").unlink()
    with pytest.raises(InputError, match="has not ended: run nutonic build again"):
        nt.pack(tree, tmp_path / "pack", workers=0)
    assert not (tmp_path / "pack").exists()


def test_by_the_command_line(clean, whole, tmp_path):
    out = tmp_path / "pack"
    said = nutonic("pack", clean.out, "--format", "parquet", "--out", out, "--workers", 0, "--json")
    assert said.code == 0, said.err
    told = orjson.loads(said.out)
    assert told["complete"]
    assert sum(told["rows"].values()) == sum(
        len(path.read_bytes().splitlines()) for path in (clean.out / "data").glob("*.jsonl")
    )
    assert bytes_of(out) == bytes_of(whole)
    for words, told in (
        (("--format", "tfrecord"), "'tfrecord' is no form of a pack: there are parquet"),
        (("--format", "parquet", "--boxes", "yolo"), "'yolo' is no way to write boxes"),
    ):
        said = nutonic("pack", clean.out, "--out", tmp_path / "other", "--workers", 0, *words)
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert told in said.err
        assert not (tmp_path / "other").exists()


def there(address: str) -> dict[str, str]:
    """Hash of each object of a pack in a store."""
    store = Store(any_path_of(address))
    return {path: hashlib.sha256(store.get(path)).hexdigest() for path, _ in store.sizes()}


def test_a_pack_in_an_object_store_has_the_same_bytes(clean, whole, monkeypatch, sample):
    deaths = 0
    for deaths in itertools.count():
        out = f"memory://packs-{sample.every}/{deaths}"
        with monkeypatch.context() as patched:
            dying(patched, deaths)
            try:
                nt.pack(clean.out, out, workers=0)
                break
            except Died:
                pass
        if deaths % 3 == 0 or sample.every:
            assert nt.pack(clean.out, out, workers=0).complete
            assert there(out) == bytes_of(whole)
    assert deaths >= 8
    assert there(out) == bytes_of(whole)
    told = nt.pack(clean.out, out, workers=0)
    assert (told.complete, told.done_before) == (True, told.shards)
    with pytest.raises(NotNutonic, match="holds another pack: boxes unit, not qwen3"):
        nt.pack(clean.out, out, boxes="qwen3", workers=0)


def test_what_is_somebody_elses_in_a_store_is_left_alone(clean):
    store = Store(any_path_of("memory://packs/mine"))
    store.put("notes.txt", b"mine")
    with pytest.raises(NotNutonic, match=r"files that are of no pack \(notes\.txt\)"):
        nt.pack(clean.out, "memory://packs/mine", workers=0)
    assert list(store.sizes()) == [("notes.txt", 4)]
    Store(any_path_of("memory://packs/tree")).put("_nutonic/tree.json", b'{"nutonic":"tree","format":1}\n')
    with pytest.raises(NotNutonic, match="files that are of no pack"):
        nt.pack(clean.out, "memory://packs/tree", workers=0)
    with pytest.raises(NotNutonic, match="lies in the dataset memory://packs/tree"):
        nt.pack(clean.out, "memory://packs/tree/pack", workers=0)
    with pytest.raises(InputError, match="lie in each other"):
        nt.pack("memory://packs/tree", "memory://packs/tree/pack", workers=0)


@pytest.mark.exhaustive
def test_a_tree_in_an_object_store_gives_the_same_pack(clean, whole, tmp_path, monkeypatch, moto):
    moto.use(monkeypatch)
    for path in clean.out.rglob("*"):
        if path.is_file():
            moto.client.put(f"tree/{path.relative_to(clean.out).as_posix()}", path.read_bytes())
    before = moto.tree("tree")
    assert nt.pack("s3://bucket/tree", tmp_path / "pack", workers=0).complete
    assert moto.tree("tree") == before
    assert bytes_of(tmp_path / "pack") == bytes_of(whole)
    with moto.before(share=0.1).running() as between:
        moto.use(monkeypatch, AWS_ENDPOINT_URL=between.endpoint)
        assert nt.pack("s3://bucket/tree", "s3://bucket/pack", workers=2).complete
    assert {path: hashlib.sha256(data).hexdigest() for path, data in moto.tree("pack").items()} == bytes_of(whole)


@pytest.mark.exhaustive
@pytest.mark.cluster
def test_workers_write_the_same_bytes(clean, whole, tmp_path):
    assert nt.pack(clean.out, tmp_path / "pack", workers=2).complete
    assert bytes_of(tmp_path / "pack") == bytes_of(whole)
    assert json.loads((tmp_path / "pack" / "_nutonic" / "packed.json").read_bytes())["format"] == "parquet"
