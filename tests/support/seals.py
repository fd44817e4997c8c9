"""Sealed JSON of a tree, opened and sealed again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import orjson


def names_in(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def sealed(value: dict) -> bytes:
    """The same as a commit carries: the hash of all before it."""
    body = orjson.dumps({key: content for key, content in value.items() if key != "seal"})
    return orjson.dumps({**orjson.loads(body), "seal": hashlib.sha256(body).hexdigest()}) + b"\n"


def reseal(out: Path, change=lambda place: None) -> None:
    """Make every commit agree with its files and the plan as they are; `change` may alter what it says of a place."""
    plan = json.loads((out / "_nutonic" / "plan.jsonl").read_bytes().splitlines()[-1])["sha256"]
    for path in (out / "_nutonic" / "commits").iterdir():
        commit = json.loads(path.read_bytes())
        for name in commit["files"]:
            content = (out / name).read_bytes()
            commit["files"][name] = [len(content), hashlib.sha256(content).hexdigest()]
        for place in commit["places"]:
            change(place)
        path.write_bytes(sealed({**commit, "plan": plan}))
