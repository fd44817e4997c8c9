"""Trees in object stores: the bytes of a disk's, whoever is killed, whatever fails, however many build at once."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import obstore
import pytest
from support.cli import nutonic
from support.crashing import Forks, points
from support.trees import clean_tree, names_beside, small_planet, tree

import nutonic as nt
from nutonic.errors import InputError, NotNutonic, StoreError
from nutonic.io.atomic import MARKER, MARKER_BYTES
from nutonic.io.buckets.address import Address, any_path_of
from nutonic.io.buckets.within import CUBE_MARKER, CUBE_MARKER_BYTES
from nutonic.io.objects import Store
from nutonic.planning.ownership import refuse_foreign

pytest_plugins = ["support.buckets"]

_numbers = itertools.count()


@pytest.fixture
def prefix() -> str:
    """Of a tree that is not there yet."""
    return f"trees/{next(_numbers)}"


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The tree on a disk."""
    folder = tmp_path_factory.mktemp("clean")
    return clean_tree(small_planet(folder), folder / "tree")


def same(bucket, prefix, clean) -> None:
    """Object by object the disk's files; of a summary, which tells seconds, that it is there."""
    found = bucket.tree(prefix)
    beside = {name for name in found if name.startswith("_nutonic/")}
    assert beside == names_beside(clean.out)
    assert {name: data for name, data in found.items() if name not in beside} == clean.files
    on_disk = {name: (clean.out / name).read_bytes() for name in beside}
    assert [name for name in beside if found[name] != on_disk[name] and not name.endswith("summary.json")] == []


def test_a_tree_in_a_bucket_has_the_bytes_of_a_disk(bucket, prefix, clean):
    out = bucket.address(prefix)
    said = nutonic("build", clean.recipe, "--out", out, "--workers", "0")
    assert said.code == 0, said.err
    assert f"into {out}" in said.told
    same(bucket, prefix, clean)
    said = nutonic("build", clean.recipe, "--out", out, "--workers", "0")
    assert said.code == 0
    assert "nothing to do" in said.told
    verdict = nt.verify(out, deep=True, rebuild=2)
    assert (verdict.problems, verdict.rebuilt) == ((), 2)
    on_disk, there = nt.open_dataset(clean.out), nt.open_dataset(out)
    assert [dict(row) for row in there] == [dict(row) for row in on_disk]
    np.testing.assert_array_equal(np.asarray(there[0].picture), np.asarray(on_disk[0].picture))


def test_a_report_of_a_tree_in_a_bucket_is_that_of_a_disk(bucket, prefix, clean, tmp_path, monkeypatch):
    there, out = bucket.address(prefix), tmp_path / "report.html"
    files = [path for path in clean.out.rglob("*") if path.is_file()]
    Store(any_path_of(there)).put_all({path.relative_to(clean.out).as_posix(): path.read_bytes() for path in files})
    nt.report(clean.out, out)
    with bucket.before().running() as between:
        bucket.use_by(monkeypatch, between)
        said = nutonic("report", there)
        asked = between.asked()
    assert said.code == 0, said.err
    assert f"wrote {there}/report.html" in said.told
    assert asked["list"] == 1
    assert asked["PUT"] == 1
    bucket.use(monkeypatch)
    assert bucket.tree(prefix)["report.html"] == out.read_bytes()
    assert str(nt.report(there)) == f"{there}/report.html"  # over an earlier one
    assert nt.verify(there).problems == ()
    made = nt.preview(there, 2)
    assert made.chips == 2
    assert str(made.save(bucket.address(f"{prefix}.html"))) == bucket.address(f"{prefix}.html")
    obstore.put(bucket.client, f"{prefix}/report.html", b"a user's")
    for refused, said in ((there, "no report of nutonic's"), (f"{there}/data/mine.html", "lies in the dataset")):
        with pytest.raises(NotNutonic, match=said):
            nt.report(there, None if refused == there else refused)
    assert bucket.tree(prefix)["report.html"] == b"a user's"
    with pytest.raises(NotNutonic, match="is not a nutonic tree"):
        nt.report(f"{there}-2")


@pytest.mark.long
def test_damage_in_a_bucket_is_found_and_made_again(bucket, prefix, clean):
    out = bucket.address(prefix)
    assert nt.build(nt.load_recipe(clean.recipe), out, workers=0).complete
    image, sidecar = (next(name for name in clean.files if name.startswith(part)) for part in ("images/", "metadata/"))
    obstore.put(bucket.client, f"{prefix}/{image}", clean.files[image][:-1] + b"?")
    obstore.delete(bucket.client, f"{prefix}/{sidecar}")
    obstore.put(bucket.client, f"{prefix}/images/s00000/theirs.txt", b"a user's")
    problems = " ".join(nt.verify(out, deep=True).problems)
    assert all(word in problems for word in (image, sidecar, "theirs.txt"))
    assert nt.verify(out, deep=True, fix=True).removed
    assert nt.build(nt.load_recipe(clean.recipe), out, workers=0).complete
    theirs = f"{prefix}/images/s00000/theirs.txt"
    assert bytes(obstore.get(bucket.client, theirs).bytes()) == b"a user's"
    obstore.delete(bucket.client, theirs)
    assert {name: data for name, data in bucket.tree(prefix).items() if not name.startswith("_nutonic/")} == clean.files
    assert nt.verify(out, deep=True).problems == ()


def test_killed_at_every_operation_in_a_bucket(bucket, prefix, clean, tmp_path, sample):
    forks = Forks(tmp_path)
    undisturbed = forks.run(clean.recipe, bucket.address(f"{prefix}-0"))
    assert undisturbed.code == 0, undisturbed.told
    same(bucket, f"{prefix}-0", clean)
    every = [point for point in points(undisturbed.operations) if point.moment in ("before", "after")]
    assert len(every) > 60
    for i, point in enumerate(sample(every, kind=lambda point: point.moment, one_in=80), start=1):
        out = bucket.address(f"{prefix}-{i}")
        ended = forks.run(clean.recipe, out, point)
        assert ended.killed, ended.told
        assert nt.build(nt.load_recipe(clean.recipe), out, workers=0).complete
        same(bucket, f"{prefix}-{i}", clean)


@pytest.mark.exhaustive
def test_two_drivers_at_once_in_a_bucket(bucket, prefix, clean, tmp_path):
    forks, out = Forks(tmp_path), bucket.address(prefix)
    both = [forks.start(clean.recipe, out) for _ in range(2)]
    ended = [each.wait() for each in both]
    assert [each.code for each in ended] == [0, 0], [each.told for each in ended]
    same(bucket, prefix, clean)
    assert nt.verify(out, deep=True).problems == ()


def test_who_begins_while_another_looks_is_no_stranger(bucket, prefix, monkeypatch):
    written = {f"{prefix}/{MARKER}": MARKER_BYTES, f"{prefix}/_nutonic/plan.jsonl": b""}

    def begun() -> None:
        if len(between.requests) == 1:  # the marker was asked for, and was not there
            for path, data in written.items():
                obstore.put(bucket.client, path, data)

    with bucket.before().running() as between:
        between.fault = begun
        bucket.use_by(monkeypatch, between)
        refuse_foreign(any_path_of(bucket.address(prefix)))
        assert len(between.requests) > 2
    assert bucket.tree(prefix).keys() == {MARKER, "_nutonic/plan.jsonl"}


@pytest.mark.long
def test_one_request_in_ten_fails(bucket, prefix, clean, monkeypatch):
    with bucket.before(share=0.1).running() as between:
        bucket.use_by(monkeypatch, between)
        assert nt.build(nt.load_recipe(clean.recipe), bucket.address(prefix), workers=0).complete
        assert nt.verify(bucket.address(prefix), deep=True).problems == ()
    assert between.faults.total() > 5
    same(bucket, prefix, clean)


@pytest.mark.exhaustive
def test_a_server_without_conditions_is_refused(moto, prefix, clean, monkeypatch):
    with moto.before(without_conditions=True).running() as between:
        moto.use_by(monkeypatch, between)
        with pytest.raises(StoreError, match="ignores conditional writes"):
            nt.build(nt.load_recipe(clean.recipe), moto.address(prefix), workers=0)
    assert moto.tree(prefix) == {}


@pytest.mark.exhaustive
@pytest.mark.cluster
def test_workers_write_into_a_bucket_each_with_its_own_credentials(bucket, prefix, clean):
    assert nt.build(nt.load_recipe(clean.recipe), bucket.address(prefix), workers=2).complete
    same(bucket, prefix, clean)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another"}, ("denied", "AWS_ACCESS_KEY_ID")),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ("cannot be reached", "endpoint")),
    ],
)
def test_what_a_store_refuses_is_told_in_a_line(seaweed, prefix, clean, monkeypatch, changed, words):
    seaweed.use(monkeypatch, **changed)
    monkeypatch.setattr("nutonic.io.buckets.bucket._RETRY", {"max_retries": 0})
    monkeypatch.setattr("nutonic.io.buckets.bucket._ATTEMPTS", 1)
    said = nutonic("build", clean.recipe, "--out", seaweed.address(prefix), "--workers", "0")
    (line,) = said.err.splitlines()
    assert said.code == (2 if "denied" in words else 1), line
    assert all(word in line for word in words)
    assert not any(word in line for word in (*seaweed.secrets, "another", "http://"))


def test_a_bucket_of_somebodys_is_refused_and_left_alone(bucket, prefix, clean):
    obstore.put(bucket.client, f"{prefix}/theirs.txt", b"theirs")
    with pytest.raises(NotNutonic, match="not nutonic's"):
        nt.build(nt.load_recipe(clean.recipe), bucket.address(prefix), workers=0)
    assert bucket.tree(prefix) == {"theirs.txt": b"theirs"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({MARKER: MARKER_BYTES}, "lies in the dataset memory://{}/theirs: name an address outside"),
        ({"zarr.json": b"{}"}, "lies in memory://{}/theirs, which is a Zarr store"),
        ({CUBE_MARKER: CUBE_MARKER_BYTES}, "lies in memory://{}/theirs, which is a Zarr store"),
    ],
    ids=["dataset", "Zarr", "a cube of ours"],
)
def test_nothing_is_built_within_what_is_a_whole(files, words, clean, request):
    bucket = request.node.name.translate(str.maketrans("_[] ", "----")).strip("-")
    theirs = Store(any_path_of(f"memory://{bucket}/theirs"))
    for path, content in files.items():
        theirs.put(path, content)
    with pytest.raises(NotNutonic, match=words.format(bucket)):
        nt.build(nt.load_recipe(clean.recipe), f"memory://{bucket}/theirs/a/b", workers=0)
    assert {path for path, _ in theirs.sizes()} == set(files)
    assert nt.build(nt.load_recipe(clean.recipe), f"memory://{bucket}/ours", workers=0).complete


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host/x",
        "http://host/x",
        "s3://",
        "s3://key:secret@bucket/x",
        "s3://b/x?versionId=1",
        "s3://b/a/../c",
        "file:///x",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        any_path_of(text)
    assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://bucket", Address("s3", "bucket", "")),
        ("S3://bucket/a//b/", Address("s3", "bucket", "a/b")),
        ("s3:/bucket/a b/ü", Address("s3", "bucket", "a b/ü")),
        ("az://container/x", Address("az", "container", "x")),
    ],
)
def test_what_an_address_is(text, address):
    assert any_path_of(text) == address


@pytest.mark.parametrize(
    "command",
    [
        ("push", "s3://b/x", "--repo", "a/b"),
        ("build", "recipe.yaml", "--out", "o", "--performance-report", "gs://b/r.html"),
        ("demo", "--out", "az://c/x"),
        ("plan", "https://host/recipe.yaml"),
    ],
    ids=lambda command: " ".join(command),
)
def test_what_lies_on_a_disk_alone_takes_no_address(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = nutonic(*command)
    assert said.code == 2
    assert "is no path on this disk" in said.err
    assert len(said.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["s3://b/x", Path("s3://b/x")])
def test_no_folder_is_called_by_a_scheme(where, clean, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no path on this disk"):
        nt.push(where, "a/b", dry_run=True)
    assert any_path_of(where) == Address("s3", "b", "x")
    assert list(tmp_path.iterdir()) == []


def test_objects_are_written_together_and_read_in_parts(bucket, prefix):
    store = Store(any_path_of(bucket.address(prefix)))
    store.put_all({f"a/{i}": bytes([i]) * i for i in range(40)})
    assert dict(store.sizes("a")) == {f"a/{i}": i for i in range(40)}
    store.put("big", (bytes([i]) * 2**20 for i in range(12)))
    with store.open("big") as file:
        file.seek(2**20 - 1)
        assert file.read(3) == b"\0\1\1"
        assert file.seek(0, 2) == 12 * 2**20
    assert store.create("once", b"first")
    assert not store.create("once", b"second")
    assert store.get("once") == b"first"
    store.delete("once")
    store.delete("once")
    assert not store.has("once")
    with pytest.raises(FileNotFoundError):
        store.get("once")


def test_a_list_that_is_cut_off_is_gone_on_with(bucket, prefix, monkeypatch):
    names = [f"{i:04d}" for i in range(1100)]
    Store(any_path_of(bucket.address(prefix))).put_all(dict.fromkeys(names, b""))
    pages = 1 if bucket.scheme == "az" else 2  # Azure gives 5,000 at once
    faults = ["cut off", None] * (pages - 1) + ["cut off", "cut off", None]
    with bucket.before().running() as between:
        bucket.use_by(monkeypatch, between)
        between.fault = lambda: faults.pop(0)
        assert [path for path, _ in Store(any_path_of(bucket.address(prefix))).sizes()] == names
    assert faults == []


def test_what_is_sent_in_parts_is_sent_again(bucket, prefix, tmp_path, monkeypatch):
    file = tmp_path / "large"
    file.write_bytes(bytes(range(256)) * 2**16)
    with bucket.before().running() as between:
        bucket.use_by(monkeypatch, between)
        store = Store(any_path_of(bucket.address(prefix)))
        puts = {
            "large": lambda path: store.put_file(path, file),
            "few": lambda path: store.put(path, iter([b"f", b"ew"])),
        }
        for path, put in puts.items():
            faults = ["cut off", "dropped", "503 once done"] if path == "large" else ["dropped", "503 once done"]
            between.fault = lambda faults=faults: faults.pop(0) if faults else None
            put(path)
            assert faults == []
    assert bucket.tree(prefix) == {"large": file.read_bytes(), "few": b"few"}


def test_a_store_in_this_process_memory_has_an_address(clean):
    out = "memory://tests/tree"
    assert nt.build(nt.load_recipe(clean.recipe), out, workers=0).complete
    assert nt.verify(out, deep=True).problems == ()
    store = Store(any_path_of(out))
    assert {path: store.get(path) for path, _ in store.sizes() if not path.startswith("_nutonic/")} == tree(clean.out)
