"""What a system may lack, refuse or close: told in a line, nothing lost, and the next run goes on."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from support import warm
from support.cli import listing
from support.trees import same_as
from support.worlds import written

from nutonic import load_recipe
from nutonic.cli.lacks import lack_of
from nutonic.errors import InputError, ReadFailed
from nutonic.run.run import build
from nutonic.testing import SyntheticSeries


class Case(NamedTuple):
    command: str
    """Its arguments; RECIPE, SERIES and HERE are replaced."""
    limits: dict
    code: int
    words: str


LONG, DEEP = "x" * 300, "/".join(["y" * 100] * 50)
BUILD, CUBE = "build RECIPE --workers 0 --out ", "cube SERIES --out "
PERMISSIONS = {"permissions": True}

#: Told before any work, and nothing below the folder is another.
REFUSED = {
    "handles": Case(BUILD + "HERE/out", {"handles": 2}, 1, "no file handle is left: raise that limit (ulimit -n)"),
    "handles, verify": Case("verify HERE", {"handles": 4}, 1, "no file handle is left"),
    "handles, cube": Case(CUBE + "HERE/w.zarr", {"handles": 8}, 1, "no file handle is left"),
    "memory": Case(BUILD + "HERE/out", {"address_space": 2**30}, 1, "no more than 1.1 GB of memory may be used"),
    "memory, cube": Case(CUBE + "HERE/w.zarr", {"address_space": 2**30}, 1, "raise that limit (ulimit -v)"),
    "memory, plan": Case("plan RECIPE", {"address_space": 2**29}, 1, "raise that limit (ulimit -v)"),
    "umask 0777": Case(BUILD + "HERE/out", {"umask": 0o777, **PERMISSIONS}, 2, "umask 0777 takes from files"),
    "umask 0277": Case(CUBE + "HERE/w.zarr", {"umask": 0o277, **PERMISSIONS}, 2, "umask 0277 takes from files"),
    "read-only": Case(BUILD + "HERE/closed/out", PERMISSIONS, 2, "closed may not be written by this user"),
    "read-only, plan": Case(
        "plan RECIPE --out HERE/closed/out", PERMISSIONS, 2, "closed may not be written by this user"
    ),
    "read-only, cube": Case(CUBE + "HERE/closed/w.zarr", PERMISSIONS, 2, "closed may not be written by this user"),
    "read-only, GeoTIFFs": Case(
        CUBE + "HERE/w.zarr --cogs HERE/closed/cogs", PERMISSIONS, 2, "closed may not be written by this user"
    ),
    "below a file": Case(BUILD + "HERE/file/out", {}, 2, "file is a file"),
    "below a file, deep": Case(BUILD + "HERE/file/a/b/out", {}, 2, "file is a file"),
    "below a file, cube": Case(CUBE + "HERE/file/w.zarr", {}, 2, "file is a file"),
    "below a file, GeoTIFFs": Case(CUBE + "HERE/w.zarr --cogs HERE/file/cogs", {}, 2, "file is a file"),
    "below a file, demo": Case("demo --out HERE/file/demo", {}, 2, "file is a file"),
    "below a file, recipe": Case("init HERE/file/recipe.yaml", {}, 2, "file is a file"),
    "a file, GeoTIFFs": Case(CUBE + "HERE/w.zarr --cogs HERE/file", {}, 2, "file is no folder"),
    "the root": Case(BUILD + "/", {}, 2, "'/' is no name for an output"),
    "the root, cube": Case(CUBE + "/", {}, 2, "'/' is no name for an output"),
    "the root, GeoTIFFs": Case(CUBE + "HERE/w.zarr --cogs /", {}, 2, "'/' is no name for an output"),
    "the root, demo": Case("demo --out /", {}, 2, "'/' is no name for an output"),
    "upwards": Case(CUBE + "HERE/..", {}, 2, "is no name for an output"),
    "nothing": Case(BUILD + "''", {}, 2, "'' is no path"),
    "nothing, cube": Case(CUBE + "''", {}, 2, "'' is no path"),
    "long": Case(BUILD + f"HERE/{LONG}", {}, 2, "is too long: 300 bytes of 255"),
    "long above": Case(BUILD + f"HERE/{LONG}/out", {}, 2, "is too long: 300 bytes of 255"),
    "long, cube": Case(CUBE + f"HERE/{LONG}", {}, 2, "is too long: 300 bytes of 255"),
    "long temporaries, cube": Case(CUBE + f"HERE/{LONG[:240]}", {}, 2, "is too long: 240 bytes of 223"),
    "long, GeoTIFFs": Case(CUBE + f"HERE/w.zarr --cogs HERE/{LONG}", {}, 2, "is too long: 300 bytes of 255"),
    "long, plan": Case(f"plan RECIPE --out HERE/{LONG}", {}, 2, "is too long: 300 bytes of 255"),
    "long, demo": Case(f"demo --out HERE/{LONG}", {}, 2, "is too long: 300 bytes of 255"),
    "long, letters": Case(BUILD + f"HERE/{'ä' * 150}", {}, 2, "is too long: 300 bytes of 255"),
    "long, recipe": Case(f"init HERE/{LONG}", {}, 2, "is too long: 300 bytes of 255"),
    "deep": Case(BUILD + f"HERE/{DEEP}", {}, 2, "bytes of 3936"),
    "deep, cube": Case(CUBE + f"HERE/{DEEP}", {}, 2, "bytes of 3936"),
    "deep, GeoTIFFs": Case(CUBE + f"HERE/w.zarr --cogs HERE/{DEEP}", {}, 2, "bytes of 3936"),
    "deep, verify": Case(f"verify HERE/{DEEP}", {}, 2, "too long"),
    "line break": Case(BUILD + "HERE/a\\nb", {}, 2, r"a\nb' has control characters"),
    "line break, cube": Case(CUBE + "HERE/a\\nb.zarr", {}, 2, r"a\nb.zarr' has control characters"),
    "escape": Case(BUILD + "HERE/a\\x1b[31mb", {}, 2, r"a\x1b[31mb' has control characters"),
    "log of a long path": Case(BUILD + f"HERE/{LONG} --log-json", {}, 2, '"event":"error"'),
    "log of an odd path": Case(BUILD + "HERE/a\\nb --log-json", {}, 2, '"event":"error"'),
}


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Path:
    path = written(SyntheticSeries(), tmp_path_factory.mktemp("series"), imagery={"max_cloud_cover": 90})
    part = {"area": [17.93, 46.66, 17.99, 46.70], "chunk": 512, "mask": "scl", "reduce": "median"}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"cube": part}))
    return path


@pytest.fixture
def run(clean, series, tmp_path):
    """Runs a case; its exit code and what it says, never a traceback."""
    here = tmp_path / "here"
    here.mkdir()

    def run(case: Case) -> tuple[int, str]:
        names = {"RECIPE": str(clean.recipe), "SERIES": str(series), "''": ""}
        words = [names.get(word, word.replace("HERE", str(here))) for word in case.command.split(" ")]
        words = [word.replace("\\n", "\n").replace("\\x1b", "\x1b") for word in words]
        said = warm.run("support.limited", json.dumps(case.limits), *words)
        assert "Traceback" not in said.stdout + said.stderr
        assert "panicked" not in said.stderr
        return said.returncode, said.stdout + said.stderr

    run.here = here
    return run


@pytest.mark.sampled(one_in=10)
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_told_before_any_work(run, name):
    (run.here / "file").write_text("mine")
    (run.here / "closed").mkdir(mode=0o555)
    before, case = listing(run.here), REFUSED[name]
    code, said = run(case)
    assert code == case.code, said
    assert case.words in said
    assert len(said.splitlines()) == 1
    assert listing(run.here) == before


#: Why results do not reach the standard output, and what is told of that; who goes away needs no telling.
LOST = {
    "closed": "cannot write to the standard output: it is closed",
    "full": "cannot write to the standard output: no space left on device",
}

#: The work is done, whoever listens; a build whose results find no room says so.
UNHEARD = {
    f"{stream} {how}": Case(
        BUILD + "HERE/out",
        {"outputs": {stream: how}},
        1 if how in LOST and stream != "stderr" else 0,
        LOST.get(how, "") if stream == "stdout" else "",
    )
    for stream in ("stdout", "stderr", "both")
    for how in ("closed", "full", "unread")
} | {
    "stdout full, JSON": Case(
        BUILD + "HERE/out --json",
        {"outputs": {"stdout": "full"}},
        1,
        "cannot write to the standard output: no space left",
    ),
    "stdout unread, JSON": Case(BUILD + "HERE/out --json", {"outputs": {"stdout": "unread"}}, 1, ""),
    "stderr full, JSON lines": Case(BUILD + "HERE/out --log-json", {"outputs": {"stderr": "full"}}, 0, ""),
    "umask 0077": Case(BUILD + "HERE/out", {"umask": 0o077, **PERMISSIONS}, 0, ""),
}


@pytest.mark.long
@pytest.mark.parametrize("name", UNHEARD)
def test_what_nobody_hears_stops_nothing(run, clean, name):
    code, said = run(UNHEARD[name])
    assert code == UNHEARD[name].code, said
    assert UNHEARD[name].words in said
    same_as(run.here / "out", clean)


#: Commands that print a result in text.
PRINTING = {
    "plan RECIPE": "",
    "preview RECIPE -n 1 --out HERE/page.html": "page.html",
    "cube SERIES --out HERE/w.zarr": "w.zarr/nutonic.json",
    "report TREE --out HERE/page.html": "page.html",
    "verify TREE": "",
    "pack TREE --format parquet --workers 0 --out HERE/packed": "packed/README.md",
    "push TREE --repo me/it --dry-run": "",
    "init quick-test HERE/recipe.yaml": "places.csv",
    "init tags HERE/tags.yaml": "tags.yaml",
    "init wording HERE/words": "words",
    "schema": "",
    "schema --page": "",
    "catalogue FILES --datetime 2024-05-02 --out HERE/items.json": "items.json",
    "--help": "",
    "--version": "",
    "build --help": "",
}


@pytest.mark.sampled(one_in=8)
@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("command", PRINTING)
def test_results_that_find_no_room_are_told_and_the_work_is_done(run, clean, series, command, how):
    red = series.parent / "new" / "red.tif"
    words = command.replace("TREE", str(clean.out)).replace("FILES", str(red))
    code, said = run(Case(words, {"outputs": {"stdout": how}}, 1, ""))
    assert code == 1, said
    assert said.splitlines()[-1] == f"nutonic: {LOST[how]}"
    assert said.count("cannot write") == 1
    assert (run.here / PRINTING[command]).exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
@pytest.mark.parametrize("command", ["--help", "build --help", "schema"])
def test_where_nothing_is_buffered_it_is_told_too(command):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "nutonic", *command.split()]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (1, f"nutonic: {LOST['full']}\n")


def test_whoever_reads_the_first_line_alone_is_told_nothing(run):
    for command in ("plan RECIPE", "init quick-test HERE/recipe.yaml"):
        code, said = run(Case(command, {"outputs": {"stdout": "unread"}}, 0, ""))
        assert (code, said) == (0, "")
    assert (run.here / "places.csv").exists()


@pytest.mark.sampled(one_in=3)
@pytest.mark.parametrize("handles", [16, 17, 18])
def test_with_handles_that_run_out_midway_the_next_run_goes_on(run, clean, handles):
    code, said = run(Case(BUILD + "HERE/out", {"handles": handles}, 1, ""))
    last = said.splitlines()[-1]
    assert code == 0 or last.startswith("nutonic: no file handle is left") or re.search("failed and stays? open", said)
    assert build(load_recipe(clean.recipe), run.here / "out", workers=0).complete
    same_as(run.here / "out", clean)


def test_workers_that_have_no_handles_are_not_started(run):
    code, said = run(Case("build RECIPE --workers 2 --out HERE/out", {"handles": 24}, 1, ""))
    assert code == 1
    assert said.startswith("nutonic: no file handle is left")
    assert len(said.splitlines()) == 1


def _raised(error: BaseException, origin: BaseException | None = None) -> BaseException:
    error.__context__ = origin
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "no memory is left"),
        (OSError(errno.EMFILE, "Too many open files", "x"), "no file handle"),
        (OSError(errno.ENFILE, "Too many open files in system"), "no file handle"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "no memory"),
        (RuntimeError("can't start new thread"), "no thread or process"),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "no thread or process"),
        (ImportError("x.so: failed to map segment from shared object"), "no memory"),
        (_raised(RuntimeError("Nanny failed to start."), OSError(errno.EMFILE, "")), "no file handle"),
        (_raised(InputError("cannot read"), OSError(errno.EMFILE, "")), "no file handle"),
        (BaseExceptionGroup("two", [ValueError(), MemoryError()]), "no memory"),
        (ReadFailed("a.tif: Too many open files"), "no file handle"),
        (InputError("classes: 'Out of memory' is no class"), None),
        (OSError(errno.ENOSPC, "No space left on device"), None),
        (ValueError("a bug"), None),
    ],
)
def test_what_an_error_lacks(error, words):
    line = lack_of(error)
    assert (line is None) is (words is None)
    assert words is None or (line.startswith(words) and line.endswith("run the same command again"))
