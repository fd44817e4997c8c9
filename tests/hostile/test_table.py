"""Each row of the table, run as a user runs it: what it exits with, says, takes, leaves, and does not leave."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest
from support import warm
from support.trees import Clean, clean_tree, tree

from hostile.row import BUILD, Here, Row, Tree
from hostile.table import CANARY, KINDS, TABLE, small
from nutonic.dataset.verify import verify

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="pipes, links and limits are those of other systems"),
    pytest.mark.timeout(200),
]

#: What no terminal may be sent: controls but for line breaks, marks of direction, what is not seen.
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")

#: Lines of progress, which are as many as the work.
PROGRESS = re.compile(r"batch(?:es)? \d+(?: to \d+)?: |\d+ of \d+ tiles$")

#: Most lines of an error, and of a summary that tells of places; megabytes of a program that is not forked warm.
LINES, SUMMARY, COLD_MB = 5, 12, 320

#: Secrets that the environment holds; none of them is ever seen.
SECRETS = {
    "MAPBOX_ACCESS_TOKEN": f"pk.{CANARY}",
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "AWS_ACCESS_KEY_ID": f"AKIA{CANARY}",
    "HF_TOKEN": f"hf_{CANARY}",
    "EARTHENGINE_TOKEN": CANARY,
    "PC_SDK_SUBSCRIPTION_KEY": CANARY,
}


class Ended(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float


@pytest.fixture(scope="session")
def valley(tmp_path_factory) -> Clean:
    """A world of three places in one scene, and the tree that is made of it."""
    folder = tmp_path_factory.mktemp("valley")
    return clean_tree(small(folder / "world"), folder / "tree")


@pytest.fixture
def here(valley, tmp_path):
    _held()  # with it, the server of warm programs is there
    with ExitStack() as stack:
        yield Here(Path(shutil.copytree(valley.recipe.parent, tmp_path / "here")), valley, stack)
    shutil.rmtree(tmp_path, ignore_errors=True)


def ran(here: Here, row: Row) -> Ended:
    """The command of a row, in its folder; ended by its time."""
    environment = {**os.environ, **SECRETS, **here.environment, **row.environment}
    command = row.command.replace("SERVER", here.address.removeprefix("http://"))
    arguments = [word.replace("%20", " ") for word in command.split(" ") if word]
    outputs = [here.folder.parent / name for name in ("stdout", "stderr")]
    began = time.monotonic()
    if row.environment:
        code, peak = _cold(arguments, here.folder, environment, outputs, row.seconds)
    else:
        program = ["support.limited", json.dumps(dict(row.limits))] if row.limits else ["nutonic"]
        process = warm.Process(
            outputs[0], *program, *arguments, errors=outputs[1], environment=environment, folder=here.folder
        )
        code, peak = _waited(process, row.seconds), process.peak_bytes - _held()
    out, err = (path.read_text(encoding="utf-8", errors="replace") for path in outputs)
    return Ended(code, out, err, time.monotonic() - began, peak / 1e6)


def _waited(process: warm.Process, seconds: float) -> int:
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _end_group(process.pid, 0)
        process.wait(10)
        raise AssertionError(f"still running after {seconds:g} s") from None
    assert not _end_group(process.pid), "it has left processes behind"
    return code


def _end_group(pid: int, patience_s: float = 5.0) -> bool:
    """End what is still there of a group of processes after a while; whether there was any."""
    end = time.monotonic() + patience_s
    try:
        while time.monotonic() < end:
            os.killpg(pid, 0)
            time.sleep(0.02)
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


#: Starts a program, writes its peak in kilobytes into a file, and ends as it does. A process begins with the peak of the one
#: that started it, and a run of all tests is large; this one is small.
_SMALL = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
code = os.waitstatus_to_exitcode(status)
os._exit(code) if code >= 0 else os.kill(os.getpid(), -code)
"""


def _cold(arguments: list[str], folder: Path, environment: dict, outputs: list[Path], seconds: float):
    """A program of its own, without anything imported before."""
    peak = outputs[0].with_suffix(".peak")
    with outputs[0].open("wb") as out, outputs[1].open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SMALL, peak, Path(sys.executable).with_name("nutonic"), *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    end = time.monotonic() + seconds
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        if time.monotonic() > end:
            _end_group(process.pid, 0)
            process.wait(10)
            raise AssertionError(f"still running after {seconds:g} s")
        time.sleep(0.01)
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    assert not _end_group(process.pid), "it has left processes behind"
    return process.returncode, int(peak.read_text()) * 1024 - COLD_MB * 1e6


@cache
def _held() -> int:
    """Bytes that every command holds that is forked from the warm server."""
    process = warm.Process(Path(os.devnull), "nutonic", "--version")
    process.wait(60)
    return process.peak_bytes


def belongings(folder: Path, but: Path) -> dict[str, object]:
    """What lies in a folder, apart from one in it: kinds, modes, targets and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path == but or but in path.parents:
            continue
        state = path.lstat()
        content: object = None
        if stat.S_ISLNK(state.st_mode):
            content = str(path.readlink())
        elif stat.S_ISREG(state.st_mode) and state.st_size < 2**21 and state.st_mode & 0o400:
            content = sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISREG(state.st_mode):
            content = (state.st_size, state.st_mtime_ns)
        found[os.fspath(path.relative_to(folder))] = (stat.filemode(state.st_mode), content)
    return found


def made(here: Here) -> dict[str, bytes]:
    """The tree as it is where files lie beside the recipe; hrefs of a server tell its port."""
    where, files = f"{here.address}/".encode(), tree(here.out)
    return {name: content.replace(where, b"") for name, content in files.items()} if here.address else files


def of_places(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.startswith(("images/", "metadata/"))}


def wrong_tree(here: Here, row: Row, before: dict[str, object]) -> str | None:
    """What is not as it must be of the output folder."""
    if row.tree is Tree.NONE:
        return "there is an output" if os.path.lexists(here.out) else None
    if row.tree is Tree.SAME:
        return None if belongings(here.out, here.out / "\n") == before else "the tree is another"
    if row.tree is Tree.ANY:
        return None
    if not here.out.exists():
        return "there is no output"
    if row.tree is Tree.CUBE:
        return None if (here.out / "nutonic.json").is_file() else "there is no cube"
    if row.tree in (Tree.WHOLE, Tree.EMPTY):
        verdict = verify(here.out, deep=True)
        tiles = 3 if row.tree is Tree.WHOLE else 0
        return None if verdict.whole and verdict.tiles == tiles else f"{verdict.tiles} tiles, {verdict.problems}"
    return (differ(here) or None) if row.tree is Tree.CLEAN else goes_on(here, row)


def goes_on(here: Here, row: Row) -> str | None:
    """What is wrong with what there is, or comes to be once nothing is hostile any more."""
    command = BUILD
    if row.tree is not Tree.MENDED:
        command = f"{row.command} --replan" if row.tree is Tree.REPLANNED else row.command
        odd = of_places(made(here)).items() - here.clean.files.items()
        if odd:
            return f"wrong files: {sorted(name for name, _ in odd)}"
        for heal in here.heal or [here.restore]:
            heal()
    again = ran(here, row._replace(command=command, seconds=120, limits={}, environment={}))
    return f"the next run ends with {again.code}: {again.err}" if again.code else differ(here) or None


def differ(here: Here) -> str:
    found, clean = made(here), here.clean.files
    names = sorted(name for name in found.keys() | clean.keys() if found.get(name) != clean.get(name))
    problems = verify(here.out, deep=True).problems
    return f"other files: {names}, {problems}" if names or problems else ""


def wrong(here: Here, row: Row, ended: Ended) -> list[str]:
    """All that is not as the row says, apart from the tree."""
    told = [line for line in ended.err.splitlines() if not PROGRESS.match(line)]
    text = ended.out + ended.err
    most = 1000 if "verify" in row.command else SUMMARY
    files = [path for path in here.out.rglob("*") if path.is_file() and not path.is_symlink()]
    checks = {
        f"exits with {ended.code}": ended.code != row.code,
        f"does not say {row.says!r}": row.says not in " ".join(text.split()),
        f"says {len(told)} lines": ended.code
        and len(told) > (LINES if re.search("^nutonic: ", ended.err, re.MULTILINE) else most),
        "shows a traceback": "Traceback" in text or "panicked" in text,
        "is not inert": ACTS.search(text) is not None,
        f"takes {ended.megabytes:.0f} MB": ended.megabytes > row.megabytes,
        f"takes {ended.seconds:.1f} s": ended.seconds > row.seconds,
        "tells a secret": CANARY in text,
        "writes a secret": any(CANARY.encode() in path.read_bytes() for path in files),
    }
    return [what for what, is_so in checks.items() if is_so]


#: Rows that may take longer than this many seconds, by their pauses, are for the exhaustive tier alone.
LONG_S = 100


def _marked(name: str):
    long = TABLE[name].seconds > LONG_S
    return pytest.param(name, id=name, marks=pytest.mark.exhaustive if long else pytest.mark.sampled(one_in=300))


@pytest.mark.parametrize("name", [_marked(name) for name in TABLE])
def test_row(here, name):
    row = TABLE[name]
    row.world(here)
    before, mine = belongings(here.out, here.out / "\n"), belongings(here.folder, here.out)
    ended = ran(here, row)
    problems = wrong(here, row, ended)
    now = belongings(here.folder, here.out)
    if now != mine:
        problems.append(f"the user's files are others: {sorted(str(entry) for entry in now.items() ^ mine.items())}")
    if (odd := wrong_tree(here, row, before)) is not None:
        problems.append(odd)
    assert not problems, f"{name}: {'; '.join(problems)}\n{row.command}: {ended.out[-500:]}{ended.err[-2000:]}"


def test_the_table_is_long_and_of_all_kinds():
    assert len(TABLE) == sum(map(len, KINDS.values())) >= 200
    assert len(KINDS) == 13
    assert {kind: len(rows) for kind, rows in KINDS.items() if len(rows) < 8} == {}
