"""Builds that kill themselves at a chosen operation of their store; each is a fork that costs a tenth of a second."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from support.warm import Process

#: When a process may die: before an operation, with half of a temporary on the disk, and after it. Of a create there is
#: one moment more: the file is there, and its temporary still is too.
MOMENTS = {
    "put": ("before", "torn", "after"),
    "create": ("before", "torn", "linked", "after"),
    "delete": ("before", "after"),
}

#: No build of a test takes so long, on whatever machine.
PATIENCE_S = 240


class Operation(NamedTuple):
    """What a build asked of its store, and the how manieth thing it asked for, from 0."""

    number: int
    verb: str
    path: str


class Point(NamedTuple):
    """When to die."""

    at: int
    moment: str


def points(operations: Iterable[Operation]) -> list[Point]:
    """Every moment of every operation."""
    return [Point(operation.number, moment) for operation in operations for moment in MOMENTS[operation.verb]]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a build ended."""

    code: int
    """Exit code; -9 where it was killed."""
    operations: tuple[Operation, ...]
    """All it asked for; where it was killed, at the last of these."""
    told: str
    """What it printed: the traceback, if there was one."""

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Running:
    """A build that was started."""

    def __init__(self, process: Process) -> None:
        self._process, self.pid = process, process.pid

    def wait(self) -> Ended:
        """Wait for its end."""
        code, told = self._process.ended(2 * PATIENCE_S), self._process.told()
        lines = self._process.log.with_suffix(".log").read_text(encoding="utf-8").splitlines()
        return Ended(code, tuple(Operation(i, *line.split(" ", 1)) for i, line in enumerate(lines)), told)


class Forks:
    """Starts builds in processes of their own."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where logs go."""
        self._folder, self._numbers = folder, itertools.count()

    def start(self, recipe: Path, out: Path, point: Point | None = None, **options: object) -> Running:
        """Start a build with options of `nutonic.build`; it dies at `point`."""
        log = self._folder / f"{next(self._numbers)}.log"
        question = {"recipe": str(recipe), "out": str(out), "point": point, "log": str(log), "options": options}
        return Running(Process(log.with_suffix(".said"), "support.crashing", json.dumps(question)))

    def run(self, recipe: Path, out: Path, point: Point | None = None, **options: object) -> Ended:
        """Start a build and wait for its end."""
        return self.start(recipe, out, point, **options).wait()

    def each(
        self, recipe: Path, folder: Path, chosen: Iterable[Point], start: Path | None = None, **options: object
    ) -> Iterator[tuple[Point, Path, Ended]]:
        """Point, tree and end of a build for every point, each in a copy of the tree `start`; two run ahead."""
        ahead: list[tuple[Point, Path, Running]] = []
        for i, point in enumerate(chosen):
            out = folder / f"{i}-{point.at}-{point.moment}"
            if start is not None:
                shutil.copytree(start, out)
            ahead.append((point, out, self.start(recipe, out, point, **options)))
            if len(ahead) > 2:
                yield self._ended(*ahead.pop(0))
        yield from (self._ended(*entry) for entry in ahead)

    def _ended(self, point: Point, out: Path, running: Running) -> tuple[Point, Path, Ended]:
        return point, out, running.wait()


# In the fork


def _build(recipe: str, out: str, point: list | None, log: str, options: dict) -> None:
    """Build and leave, one way or another."""
    signal.alarm(PATIENCE_S)
    code = 3
    try:
        from nutonic import load_recipe
        from nutonic.run.run import build

        _Watched(Path(log), Point(*point) if point else None).install()
        code = 0 if build(load_recipe(recipe), out, **{"workers": 0, **options}).complete else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Watched:
    """Notes what is asked of a store, and dies at a point."""

    def __init__(self, log: Path, point: Point | None) -> None:
        self._log = log.open("w", encoding="utf-8", buffering=1)
        self._point, self._number, self._within = point, itertools.count(), threading.local()

    def install(self) -> None:
        from nutonic.io.objects import Store

        for verb in MOMENTS:
            setattr(Store, verb, self._wrapped(verb, getattr(Store, verb)))

    def _wrapped(self, verb, method):
        def call(store, path, *data):
            if getattr(self._within, "call", False):  # one method may use another
                return method(store, path, *data)
            number = next(self._number)
            self._log.write(f"{verb} {path}\n")
            self._within.call = True
            try:
                return self._call(verb, method, store, path, data, number)
            finally:
                self._within.call = False

        return call

    def _call(self, verb, method, store, path, data, number):
        moment = self._point.moment if self._point is not None and self._point.at == number else None
        if moment in ("before", "torn"):
            if moment == "torn" and verb != "delete":
                self._leave(store, path, data[0], 0.5)
            self._die()
        result = method(store, path, *data)
        if moment is not None:
            if moment == "linked":
                self._leave(store, path, data[0], 1)
            self._die()
        return result

    def _leave(self, store, path, data, share) -> None:
        """What obstore's writers leave behind when they are killed."""
        content = data if isinstance(data, bytes) else b"".join(data)
        temporary = store.root / f"{path}#1"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content[: int(len(content) * share)])

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _build(**json.loads(sys.argv[1]))
