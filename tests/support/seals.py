"""Sealed JSON of a tree, opened and sealed again."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import deflate
import orjson


def names_in(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def sealed(value: dict) -> bytes:
    """The same as a commit carries: the hash of all before it."""
    body = orjson.dumps({key: content for key, content in value.items() if key != "seal"})
    return orjson.dumps({**orjson.loads(body), "seal": hashlib.sha256(body).hexdigest()}) + b"\n"


def plan_digest(out: Path) -> str:
    return json.loads((out / "_nutonic" / "plan.jsonl").read_bytes().splitlines()[-1])["sha256"]


def files_of(commit: dict) -> dict[str, list]:
    """Path to size and hash of all that a commit names."""
    return {
        path: entry
        for holder in (*commit["places"], {"files": commit["part"]})
        for path, entry in holder["files"].items()
    }


def reseal(out: Path, change=lambda place: None) -> None:
    """Make every commit agree with its files and the plan as they are; `change` may alter what it says of a place."""
    plan = plan_digest(out)
    for path in (out / "_nutonic" / "commits").iterdir():
        commit = json.loads(path.read_bytes())
        for files in (commit["part"], *(place["files"] for place in commit["places"])):
            for name in files:
                content = (out / name).read_bytes()
                files[name] = [len(content), hashlib.sha256(content).hexdigest()]
        for place in commit["places"]:
            change(place)
        path.write_bytes(sealed({**commit, "plan": plan}))


def rewrite_rows(out: Path, name: str, change) -> None:
    """Put other rows into a commit's part, where the commit says they lie; `change` gives them, of a place and its rows."""
    path, part = out / "_nutonic" / "commits" / f"{name}.json", out / "_nutonic" / "parts" / f"{name}.jsonl.gz"
    commit, packed, members = json.loads(path.read_bytes()), part.read_bytes(), []
    for place in commit["places"]:
        told = place["rows"]
        rows = gzip.decompress(packed[told["start"] :][: told["length"]])
        changed = change(place, rows)
        members.append(bytes(deflate.gzip_compress(changed, 6)) if changed else b"")
        told.update(start=sum(map(len, members[:-1])), length=len(members[-1]), size=len(changed))
    part.write_bytes(b"".join(members))
    path.write_bytes(sealed(commit))


def reseal_plan(out: Path, change=lambda line: None) -> None:
    """Alter a plan's lines, its head and its batches, and prove them anew."""
    path = out / "_nutonic" / "plan.jsonl"
    *values, index, _ = map(orjson.loads, path.read_bytes().splitlines())
    for value in values:
        change(value)
    lines = [(value["kind"] == "batch", orjson.dumps(value) + b"\n") for value in values]
    head, batches = b"".join(x for b, x in lines if not b), [x for b, x in lines if b]
    index |= {"head": len(head), "bytes": [len(x) for x in batches]}
    index |= {"sha256": [hashlib.sha256(x).hexdigest()[:16] for x in batches]}
    last = orjson.dumps(index) + b"\n"
    end = {"kind": "end", "index": len(last), "sha256": hashlib.sha256(head + last).hexdigest()}
    path.write_bytes(head + b"".join(batches) + last + orjson.dumps(end) + b"\n")
