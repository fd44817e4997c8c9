"""Where nothing can be written or read until somebody changes something: exit code 2, before any work, in one line.

The same command would say the same for ever, so none says to run it again.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest
from support.cli import listing, nutonic

from nutonic.cli.ending import report_error
from nutonic.errors import Corrupt, StoreError, StoreRefused, Unreachable, once_begun
from nutonic.planning.layout import PLAN

pytest_plugins = ["support.buckets"]

#: Commands that write, by what they are asked to: each where the file system is read-only.
WRITING = {
    "build": "build RECIPE --workers 0 --out CLOSED/out",
    "build, metrics": "build RECIPE --workers 0 --out OPEN/out --metrics CLOSED/build.prom",
    "build, metrics nowhere": "build RECIPE --workers 0 --out OPEN/out --metrics OPEN/no/such/build.prom",
    "build, Dask's report": "build RECIPE --workers 1 --out OPEN/out --performance-report CLOSED/dask.html",
    "plan": "plan RECIPE --out CLOSED/out",
    "preview": "preview RECIPE --out CLOSED/preview.html",
    "cube": "cube RECIPE --out CLOSED/cube.zarr",
    "cube, GeoTIFFs": "cube RECIPE --out OPEN/cube.zarr --cogs CLOSED/cogs",
    "report": "report TREE --out CLOSED/report.html",
    "pack": "pack TREE --format parquet --out CLOSED/pack",
    "demo": "demo --out CLOSED/demo",
    "demo rsteller": "demo rsteller --out CLOSED/demo",
    "init": "init CLOSED/recipe.yaml",
    "init wording": "init wording CLOSED/wording",
    "catalogue": "catalogue RASTER --datetime 2024-06-01 --out CLOSED/items.json",
}

#: Commands that read a tree, whose plan is damaged.
READING = (
    "build RECIPE --workers 0 --out TREE",
    "report TREE",
    "preview TREE",
    "pack TREE --format parquet --out OPEN/p",
)


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A file system on which nobody may write, not even root."""
    folder = tmp_path_factory.mktemp("closed")
    for options in ("size=1m", "remount,ro"):
        command = ["mount", "-t", "tmpfs", "-o", options, "nutonic-test", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a read-only file system cannot be mounted here: {done.stderr}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def asked(command: str, **places: object) -> list[str]:
    for name, place in places.items():
        command = command.replace(name, str(place))
    return command.split()


def is_refused(said, *words: str) -> None:
    assert said.code == 2, said.told
    (line,) = said.err.splitlines()[-1:]
    assert line.startswith("nutonic: "), said.err
    assert "same command" not in said.err
    assert "Traceback" not in said.err
    assert all(word in said.err for word in words), said.err


@pytest.mark.parametrize("command", WRITING.values(), ids=WRITING)
def test_a_place_where_nobody_may_write_is_refused_before_any_work(command, closed, few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raster = next(few.recipe_path.parent.rglob("red*.tif"))
    said = nutonic(*asked(command, RECIPE=few.recipe_path, TREE=few.out, CLOSED=closed, OPEN=tmp_path, RASTER=raster))
    is_refused(said, "cannot write", "no such file" if "OPEN/no" in command else "read-only file system")
    assert listing(tmp_path) == {}, "nothing was written"


@pytest.mark.parametrize("command", READING)
def test_a_damaged_plan_is_a_mistake_that_nothing_mends_but_another_command(command, few, tmp_path):
    tree = shutil.copytree(few.out, tmp_path / "tree")
    (tree / PLAN).write_bytes((tree / PLAN).read_bytes()[:300])
    before = listing(tree)
    is_refused(nutonic(*asked(command, RECIPE=few.recipe_path, TREE=tree, OPEN=tmp_path)), "build again with --replan")
    assert listing(tree) == before


@pytest.mark.parametrize(
    ("changed", "address", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "s3://bucket/refused", "is denied"),
        ({}, "s3://no-such-bucket/refused", "there is no bucket no-such-bucket: make it, or name another one"),
    ],
    ids=["credentials", "no bucket"],
)
@pytest.mark.parametrize(
    "command", ["build RECIPE --workers 0 --out AT", "plan RECIPE --out AT", "cube RECIPE --out AT"]
)
def test_a_bucket_that_refuses_is_a_mistake(command, changed, address, words, seaweed, few, monkeypatch):
    seaweed.use(monkeypatch, **changed)
    is_refused(nutonic(*asked(command, RECIPE=few.recipe_path, AT=address)), words)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (StoreError("the store answered 503"), 1, "the store answered 503; run the same command again"),
        (StoreRefused("cannot write x: permission denied"), 2, "cannot write x: permission denied"),
        (Corrupt("x is damaged"), 2, "x is damaged; run nutonic verify with --fix, and build again"),
        (Unreachable("no answer"), 1, "no answer; run the same command again"),
        (Unreachable("no answer: the same command goes on later"), 1, "no answer: the same command goes on later"),
    ],
)
def test_what_is_told_at_the_end_is_said_once(error, code, told, capsys):
    assert report_error(error) == code
    assert capsys.readouterr().err == f"nutonic: {told}\n"


def test_what_is_refused_in_the_midst_of_work_goes_on_by_the_same_command(capsys):
    with pytest.raises(StoreRefused) as refused, once_begun():
        raise StoreRefused("cannot write x: permission denied")
    assert report_error(refused.value) == 1
    assert capsys.readouterr().err == "nutonic: cannot write x: permission denied; run the same command again\n"
