"""What can be told of a tree whose plan is damaged: commits hold their own hashes, and those of the files that they name."""

from __future__ import annotations

from collections.abc import Iterator

from nutonic.dataset.commits import committed, read_commit
from nutonic.dataset.proof.findings import ODD, Finding, unlike
from nutonic.errors import Corrupt, StoreError
from nutonic.io.objects import Store, sha256
from nutonic.planning.layout import SUMMARY
from nutonic.planning.ownership import files_of, may_be_committed


def planless_findings(store: Store, *, deep: bool) -> Iterator[Finding]:
    """A finding for each commit that is not what was written, and for each file that is not as its commit says.

    Whether all places are there, and which file is too many, the plan alone says. Nothing is repaired by these findings.
    """
    done = committed(store)
    for name in filter(done.takes_effect, done.all_names()):
        try:
            if not store.is_file(name.path):
                yield Finding(f"{name.path} cannot be read: what lies there is no file")
                continue
            files = files_of(read_commit(store, name))
            for path, (size, digest) in files.items():
                problem = _problem(store, path, size, digest, deep=deep)
                if problem is not None:
                    yield Finding(f"{path[:200]} {problem}")
        except (Corrupt, FileNotFoundError) as error:
            yield Finding(str(error))
        except ODD as error:
            yield Finding(f"{name.path} holds what no commit does ({type(error).__name__})")
    if not store.is_file(SUMMARY):
        yield Finding(f"{SUMMARY} is missing: the build has not finished, run it again")


def _problem(store: Store, path: str, size: int, digest: str, *, deep: bool) -> str | None:
    """What is wrong with a file that a commit names; None if nothing is."""
    if not may_be_committed(path):
        return "is named by a commit, where nutonic writes nothing of a place"
    listed = store.listed_size(path)
    if listed != size:
        return unlike(listed, size)
    if not store.is_file(path):
        return "cannot be read: what lies there is no file"
    try:
        differs = deep and sha256(store.get(path)) != digest
    except StoreError as error:
        return f"cannot be read: {error}"
    return "is not what was written: its SHA-256 differs" if differs else None
