"""Preloaded by Dask workers: they kill themselves where a script says, again and again or so many times.

The script is a JSON file named by NUTONIC_TEST_DEATHS: a list of {"path", "moment", "times"}. A worker dies at a put or
create of a path that contains `path`, before or after it, as long as fewer than `times` workers did (null: always). Each
leaves a note beside the script: what it had put since its last commit. With {"how": "SIGSTOP"} it is stopped instead, and
with {"how": "hang"} it never comes back from there, but answers.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from pathlib import Path


def dask_setup(worker) -> None:
    from nutonic.io.objects import Store

    script = Path(os.environ["NUTONIC_TEST_DEATHS"])
    deaths = list(enumerate(json.loads(script.read_text(encoding="utf-8"))))
    put: list[str] = []

    def due(path: str, moment: str) -> None:
        for i, death in deaths:
            if death["path"] in path and death["moment"] == moment and _first(script, i, death["times"], put):
                _end(death.get("how", "SIGKILL"))

    def wrapped(method):
        def call(store, path, *data):
            due(path, "before")
            result = method(store, path, *data)
            put.append(path)
            due(path, "after")
            if "/commits/" in path:
                put.clear()
            return result

        return call

    Store.put, Store.create, Store.put_at = wrapped(Store.put), wrapped(Store.create), wrapped(Store.put_at)


def _end(how: str) -> None:
    if how == "hang":
        threading.Event().wait()
    os.kill(os.getpid(), signal.Signals[how])


def _first(script: Path, number: int, times: int | None, put: list[str]) -> bool:
    """Leave a note, unless there are as many as there should be; it is there whole or not at all."""
    draft = script.with_name(f"{script.stem}-{os.getpid()}.draft")
    draft.write_text(json.dumps(put), encoding="utf-8")
    for i in itertools.count() if times is None else range(times):
        try:
            os.link(draft, script.with_name(f"{script.stem}-{number}-{i}.note"))
        except FileExistsError:
            continue
        return True
    return False


def notes(script: Path) -> dict[str, list[str]]:
    """Names of the notes that the dead left, and what each had put and not committed."""
    found = sorted(script.parent.glob(f"{script.stem}-*.note"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in found}
