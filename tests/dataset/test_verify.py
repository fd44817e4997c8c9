"""A tree is whole, or verify says what is not: every file, every kind of change. And what a store promises."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from PIL import Image
from support.seals import names_in, reseal, reseal_plan, rewrite_rows, sealed
from support.trees import tree

from nutonic.cli.main import cli, main
from nutonic.core.model import SPLITS
from nutonic.dataset.commits import committed
from nutonic.dataset.finalize import finalize
from nutonic.dataset.verify import verify
from nutonic.errors import NotNutonic
from nutonic.io.objects import Store
from nutonic.planning.plan_file import read_plan
from nutonic.planning.spec import resolve
from nutonic.run.run import build


@pytest.fixture(scope="module")
def built(few):
    """What is odd about a file is as odd in a tree of few."""
    return few


@pytest.fixture
def copy(built, tmp_path):
    return shutil.copytree(built.out, tmp_path / "copy")


@pytest.fixture(scope="module")
def shared(built, tmp_path_factory):
    """A copy for tests that put back what they change."""
    return shutil.copytree(built.out, tmp_path_factory.mktemp("shared") / "tree")


def missed(out: Path, path: Path, content: bytes | None, *, deep: bool = True) -> str | None:
    """What is wrong with verify where a file holds something else (None: is not there); the file is put back."""
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    try:
        verdict = verify(out, deep=deep)
        return None if verdict.problems else "called whole"
    except NotNutonic:
        return None
    except Exception as error:
        return f"raised {type(error).__name__}"
    finally:
        path.write_bytes(before)


# Whole


def test_a_built_tree_is_whole(built):
    for deep in (False, True):
        verdict = verify(built.out, deep=deep)
        assert (verdict.problems, verdict.whole, verdict.deep) == ((), True, deep)
        assert (verdict.done, verdict.planned, verdict.limit) == (7, 7, None)
        assert (verdict.tiles, verdict.rows) == (built.summary.tiles, built.summary.rows)


def test_a_copy_is_whole_wherever_it_lies(built, tmp_path):
    copy = shutil.copytree(built.out, tmp_path / "else where" / "ümlaut")
    assert verify(copy, deep=True).problems == ()
    copy.rename(tmp_path / "moved")
    assert verify(tmp_path / "moved", deep=True).problems == ()


def test_a_report_is_no_extra_file(copy):
    (copy / "report.html").write_text("<html>", encoding="utf-8")
    assert verify(copy, deep=True).problems == ()


def test_a_limited_tree_is_whole_and_says_how_much_there_is(built, tmp_path):
    build(built.recipe, tmp_path / "tree", workers=0, limit=4)
    verdict = verify(tmp_path / "tree", deep=True)
    assert (verdict.problems, verdict.done, verdict.planned, verdict.limit) == ((), 4, 7, 4)
    done = CliRunner().invoke(cli, ["verify", str(tmp_path / "tree")])
    assert done.exit_code == 0
    assert re.search(r"\b4 of 7\b", done.output)


def test_what_is_no_tree_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotNutonic, match="not a nutonic tree"):
            verify(path)


def test_the_command_says_what_is_wrong_without_a_traceback(copy, capsys):
    sidecar = next((copy / "metadata").rglob("*.json"))
    sidecar.write_bytes(b"\xff" + sidecar.read_bytes()[1:])
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(copy), "--deep"])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert sidecar.name in " ".join((said.out + said.err).split())


# One byte


def flips(path: str, content: bytes) -> list[tuple[int, int]]:
    """Positions and bits to flip: first, last, some anywhere; in text also within blanks, numbers, boxes and words."""
    chance = random.Random(path)
    at = [(0, 1), (len(content) - 1, 0x80), (chance.randrange(len(content)), 1 << chance.randrange(8))]
    if path.endswith((".json", ".jsonl", ".yaml", ".md")):
        for pattern in (
            rb" ",
            rb"\d",
            rb'bbox[\\":]*\[[0-9., ]*',
            rb"caption\W+[A-Z][a-z ]+",
            rb"\n",
            rb'"',
            rb"[a-z]{4}",
        ):
            found = [match.end() - 1 for match in re.finditer(pattern, content)]
            at += [(chance.choice(found), 1), (chance.choice(found), 0x80)] if found else []
    return [(position, bit) for position, bit in at if position < len(content)]


KINDS = (
    "images/", "metadata/", "data/", "README.md", "_nutonic/commits/", "_nutonic/parts/", "_nutonic/plan.jsonl",
    "_nutonic/recipe.yaml", "_nutonic/summary.json", "_nutonic/tree.json",
)  # fmt: skip


def test_every_file_is_of_a_kind(built):
    assert [name for name in names_in(built.out) if not name.startswith(KINDS)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_any_byte_that_differs_is_seen(shared, kind, sample):
    names = [name for name in names_in(shared) if name.startswith(kind)]
    assert names
    found = {}
    for name in sample(names):
        content = (shared / name).read_bytes()
        # Of the many pictures and sidecars, each has one byte changed; every tenth has all.
        places = flips(name, content)
        few = len(names) > 20 and names.index(name) % 10
        few = few or (not sample.every and len(names) > 2)
        for position, bit in random.Random(name).sample(places, 1) if few else places:
            other = content[:position] + bytes([content[position] ^ bit]) + content[position + 1 :]
            found[f"{name} byte {position} bit {bit}"] = missed(shared, shared / name, other)
    assert len(found) >= len(sample(names))
    assert {name: what for name, what in found.items() if what} == {}
    assert verify(shared, deep=True).problems == ()


# Files that are missing, changed in size, or too many


def folder_of(name: str) -> str:
    return name.rsplit("/", 1)[0]


@pytest.mark.long
@pytest.mark.parametrize("deep", [False, True])
def test_a_missing_file_is_seen(shared, deep, sample):
    names = sample(names_in(shared)[:: 3 if deep else 1], kind=folder_of)
    found = {name: missed(shared, shared / name, None, deep=deep) for name in names}
    assert {name: what for name, what in found.items() if what} == {}


def test_a_quick_look_sees_every_size(shared, sample):
    found = {}
    for name in sample(names_in(shared), kind=folder_of):
        content = (shared / name).read_bytes()
        found[f"{name} longer"] = missed(shared, shared / name, content + b"\n", deep=False)
        found[f"{name} shorter"] = missed(shared, shared / name, content[:-1], deep=False)
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.sampled(one_in=2)
@pytest.mark.parametrize(
    "name",
    [
        "notes.txt", "images/s00000/poi_000000_t0099.png", "images/poi.png", "metadata/s00000/x.json",
        "data/extra.jsonl",
        "data/train.jsonl#1", "_nutonic/extra.json", "_nutonic/commits/extra.json", "_nutonic/commits/000000.json#1",
        "_nutonic/parts/000099.jsonl.gz", "_nutonic/parts/000001.jsonl", ".hidden", "report.html/inside",
        "_nutonic/report.html",
    ],
)  # fmt: skip
def test_an_extra_file_is_seen(copy, name):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(b"{}")
    problems = verify(copy).problems
    assert len(problems) == 1
    assert name in problems[0]


def test_two_sidecars_swapped_are_seen(copy):
    one, other = sorted((copy / "metadata").rglob("*.json"))[3:5]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    problems = " ".join(verify(copy, deep=True).problems)
    assert one.name in problems
    assert other.name in problems


def test_a_commit_that_is_gone_or_renamed_is_seen(copy):
    commit = copy / "_nutonic" / "commits" / "000002.json"
    content = commit.read_bytes()
    commit.unlink()
    assert any("not built" in problem for problem in verify(copy).problems)
    (copy / "_nutonic" / "commits" / "000009.json").write_bytes(content)
    assert any("000009" in problem for problem in verify(copy).problems)


# Trees whose hashes fit: only what the files say gives them away


def refinish(out: Path) -> None:
    """data/ and the card made again from the commits; the summary seals the card."""
    store, summary = Store(out), out / "_nutonic" / "summary.json"
    plan = read_plan(store)
    finalized = finalize(store, resolve(recipe_of(plan.recipe)), plan, committed(store), complete=True)
    summary.write_bytes(sealed({**json.loads(summary.read_bytes()), **asdict(finalized)}))


def recipe_of(text: str):
    from nutonic.recipe.yaml import parse_recipe_text

    return parse_recipe_text(text)


def problems_of(out: Path) -> str:
    return "\n".join(verify(out, deep=True).problems)


def test_sealing_by_hand_is_what_nutonic_does(copy, built):
    before = {name: (copy / name).read_bytes() for name in names_in(copy)}
    reseal(copy)
    reseal_plan(copy)
    refinish(copy)
    assert {name: (copy / name).read_bytes() for name in names_in(copy)} == before


def test_sidecars_swapped_under_fitting_hashes(copy):
    one, other = sorted((copy / "metadata").rglob("*.json"))[3:5]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    reseal(copy)
    assert "does not show the pixels of its sidecar" in problems_of(copy)


@pytest.mark.parametrize(
    ("what", "expected"),
    [("caption", "its caption is not its sidecar's"), ("regions", "its boxes are not its sidecar's regions")],
)
def test_a_sidecar_that_says_something_else_than_its_rows(copy, what, expected):
    path = sorted((copy / "metadata").rglob("*.json"))[5]
    sidecar = json.loads(path.read_bytes())
    if what == "caption":
        sidecar["caption"] = sidecar["caption"].replace("satellite image", "Satellite image")
    else:
        sidecar["regions"][0]["bbox"][2] -= 1
    path.write_bytes(orjson.dumps(sidecar) + b"\n")
    reseal(copy)
    assert expected in problems_of(copy)


def test_a_picture_of_one_colour(copy):
    path = sorted((copy / "images").rglob("*.png"))[5]
    Image.fromarray(np.full((40, 40, 3), 7, np.uint8)).save(path)
    side = copy / "metadata" / path.relative_to(copy / "images").with_suffix(".json")
    sidecar = json.loads(side.read_bytes())
    sidecar["pixels_sha256"] = hashlib.sha256(bytes([7]) * 4800).hexdigest()
    side.write_bytes(orjson.dumps(sidecar) + b"\n")
    reseal(copy)
    assert "one colour" in problems_of(copy)


def test_a_picture_that_is_not_as_large_as_the_recipe_says(copy):
    path = sorted((copy / "images").rglob("*.png"))[5]
    with Image.open(path) as picture:
        half = picture.crop((0, 0, 40, 20))
    half.save(path)
    reseal(copy)
    assert f"{path.name} is (20, 40, 3)" in problems_of(copy)


def test_a_row_that_is_there_twice(copy):
    """The last row of a place once more, everywhere consistently."""
    twice: list[str] = []

    def one_more(place: dict, rows: bytes) -> bytes:
        if not rows or twice:
            return rows
        last = rows.splitlines(keepends=True)[-1]
        row = json.loads(last)
        twice.append(row["id"])
        place["rows"]["tasks"][row["task"]] += 1
        return rows + last

    rewrite_rows(copy, "000001", one_more)
    reseal(copy)
    refinish(copy)
    assert problems_of(copy) == f"row {twice[0]} is there twice"


def test_ground_in_two_splits(copy):
    """The first and the third place overlap; a tree that has them in two splits throughout is told by its ground."""
    split = {s["split"] for s in map(json.loads, (p.read_bytes() for p in (copy / "metadata").rglob("poi_000002_*")))}
    other = "test" if split != {"test"} else "train"

    def move(place: dict) -> None:
        if place.get("poi_id", place.get("id")) == "poi_000002":
            place["split"] = other

    def move_planned(batch: dict) -> None:
        batch["split"] = [
            SPLITS.index(other) if o == 2 else split for o, split in zip(batch["ordinal"], batch["split"], strict=True)
        ]

    for path in (copy / "metadata").rglob("poi_000002_*"):
        path.write_bytes(orjson.dumps({**json.loads(path.read_bytes()), "split": other}) + b"\n")
    reseal_plan(copy, lambda line: move_planned(line) if line["kind"] == "batch" else None)
    reseal(copy, move)
    refinish(copy)
    assert verify(copy).problems == ()
    problems = verify(copy, deep=True).problems
    assert problems
    assert all("share ground" in problem and "poi_000002" in problem for problem in problems)


# Secrets


TOKEN = "pk.eyJ1Ijoibm9ib2R5In0.abc"
SIGNED = ["https://example.com/a.tif?sig=4f3e&se=2", "https://example.com/a?X-Amz-Signature=aa"]
BY_ANY_NAME = [
    "https://example.com/a.tif?se=2",
    "https://example.com/a.tif?ok=1#t=5",
    "https://example.com/a;jsessionid=ab/b",
]
SECRETS = [TOKEN, *SIGNED, *BY_ANY_NAME, "AKIAABCDEFGHIJKLMNOP"]


def test_nothing_of_a_tree_is_taken_for_a_secret(built, monkeypatch):
    monkeypatch.setenv("MAPBOX_ACCESS_TOKEN", TOKEN)
    assert verify(built.out, deep=True).problems == ()


@pytest.mark.sampled(one_in=4)
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("where", ["sidecar", "part", "commit", "plan", "summary"])
def test_a_planted_secret_is_seen_wherever_it_is(copy, monkeypatch, secret, where):
    monkeypatch.setenv("MAPBOX_ACCESS_TOKEN", TOKEN)
    if where == "sidecar":
        path = sorted((copy / "metadata").rglob("*.json"))[7]
        sidecar = json.loads(path.read_bytes())
        sidecar["imagery"]["assets"]["red"] = secret
        path.write_bytes(orjson.dumps(sidecar) + b"\n")
        reseal(copy)
    elif where == "part":
        rewrite_rows(copy, "000001", lambda place, rows: rows.replace(b"satellite image", secret.encode(), 1))
        reseal(copy)
        refinish(copy)
    elif where == "commit":
        reseal(copy, lambda place: [reject.update(detail=secret) for reject in place["rejects"]])
        refinish(copy)
    elif where == "plan":
        reseal_plan(copy, lambda line: line["assets"][0].update(href=secret) if line["kind"] == "scene" else None)
        reseal(copy)
    else:
        path = copy / "_nutonic" / "summary.json"
        path.write_bytes(sealed({**json.loads(path.read_bytes()), "note": secret}))
    problems = problems_of(copy)
    assert "secret" in problems or "token" in problems
    assert secret not in problems
    assert verify(copy).problems == ()


# What a store promises


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return Store(tmp_path / "new" / "store" if request.param == "disk" else None)


def test_what_is_put_is_got(store):
    content = bytes(range(256)) * 50
    store.put("a/b/c.bin", content)
    store.put("a/d.txt", b"")
    assert store.get("a/b/c.bin") == content
    assert store.get("a/d.txt") == b""
    assert store.get_range("a/b/c.bin", 250, 10) == content[250:260]
    assert store.get_range("a/b/c.bin", 5, 0) == b""
    assert (store.has("a/d.txt"), store.has("a/e.txt"), store.has("a")) == (True, False, False)
    assert dict(store.sizes()) == {"a/b/c.bin": 12800, "a/d.txt": 0}
    assert dict(store.sizes("a/b")) == {"a/b/c.bin": 12800}
    assert dict(store.sizes("none")) == {}
    store.put("a/d.txt", b"again")
    assert store.get("a/d.txt") == b"again"
    store.delete("a/d.txt")
    store.delete("a/d.txt")
    assert dict(store.sizes()) == {"a/b/c.bin": 12800}
    with pytest.raises(FileNotFoundError):
        store.get("a/d.txt")


def test_a_file_is_created_once(store):
    won = []
    barrier = threading.Barrier(8)

    def create(i: int) -> None:
        barrier.wait()
        won.extend([i] if store.create("commits/1.json", b"%d" % i * 1000) else [])

    threads = [threading.Thread(target=create, args=(i,)) for i in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(won) == 1
    assert store.get("commits/1.json") == b"%d" % won[0] * 1000
    assert not store.create("commits/1.json", b"other")


def test_a_reader_sees_old_or_new_and_nothing_between(store):
    old, new, seen, done = b"o" * 3_000_000, b"n" * 2_000_000, set(), threading.Event()
    store.put("x", old)

    def read() -> None:
        while not done.is_set():
            seen.add(store.get("x"))

    reader = threading.Thread(target=read)
    reader.start()
    until = time.monotonic() + 20
    for i in range(10_000):
        store.put("x", new)
        time.sleep(0)  # lets the reader in
        store.put("x", iter([old[:1_000_000], old[1_000_000:]]))
        if (i > 20 and len(seen) > 1) or time.monotonic() > until:
            break
    done.set()
    reader.join()
    assert seen <= {old, new}
    assert len(seen) == 2


def test_pieces_become_one_file(store):
    store.put("rows.jsonl", (b"%d\n" % i * 100_000 for i in range(30)))
    assert store.get("rows.jsonl") == b"".join(b"%d\n" % i * 100_000 for i in range(30))
    store.put("empty.jsonl", iter(()))
    assert store.get("empty.jsonl") == b""


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
def test_pieces_that_break_off_publish_nothing(store, error):
    store.put("rows.jsonl", b"what was there")

    def pieces(count: int):
        # Beyond what is held in memory before the first bytes are sent on.
        for _ in range(count):
            yield b"x" * 6_000_000
        raise error("in the middle")

    for count in (0, 1, 4):
        for name in ("rows.jsonl", "new.jsonl"):
            with pytest.raises(BaseException, match="in the middle"):
                store.put(name, pieces(count))
    assert not store.has("new.jsonl")
    assert store.get("rows.jsonl") == b"what was there"


def test_a_disk_that_cannot_be_written_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a").write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError, match="cannot write a/b"):
        Store(tmp_path / "store").put("a/b", b"x")


def test_a_link_out_of_the_tree_is_not_nutonics(copy, tmp_path):
    (tmp_path / "secret.txt").write_bytes(b"outside")
    (copy / "images" / "link.png").symlink_to(tmp_path / "secret.txt")
    assert any("link.png" in problem for problem in verify(copy).problems)


def test_trees_hold_no_path_of_this_machine(built):
    assert [name for name, data in tree(built.out).items() if str(built.recipe_path.parent).encode() in data] == []
