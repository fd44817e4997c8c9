"""Files, links, pipes and folders of a user's, put in and beside what nutonic writes; and whether all are as they were."""

from __future__ import annotations

import os
import random
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

#: Names that resemble nutonic's, and are not.
NAMES = (
    "notes.txt", ".hidden", "a b [v3].txt", "poi_000099_t0000.png", "poi_000000_t0999.png", "POI_000000_T0000.PNG",
    "poi_000000_t0000.png~", "poi_000000_t0000_mine.json", "xpoi_000000_t0000.png", "cat.png#1", "train.jsonl.bak",
    "train-00000-of-00001.jsonl", "plan.jsonl.old", "tree.json.bak", "000000.json.orig", "mine.jsonl", "999999.jsonl",
    "999999.json.txt", "README.md", "ümlaut", "cube.partial", "0.partial", f"x.{'a' * 32}.partial", "zarr.json.bak",
    "token-mine", "items-mine.parquet", ".lock",
)  # fmt: skip
KINDS = ("file", "file", "file", "link", "link to a folder", "dangling link", "pipe", "hard link", "folder")


def strew(chance: random.Random, folders: Sequence[Path], outside: Path, count: int) -> list[Path]:
    """Put things into folders, which are made; all of them, and what the links lead to."""
    outside.mkdir(parents=True, exist_ok=True)
    theirs = [outside / "photo.png", outside / "album" / "cat.png"]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(chance.randbytes(50))
    for _ in range(count):
        folder = chance.choice(folders)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / chance.choice(NAMES)
        if not os.path.lexists(path) and (path.name != "README.md" or folder.name not in ("out", "dataset")):
            _put(chance, path, outside)
            theirs += [path, *(path / "inside" for _ in [0] if path.is_dir() and not path.is_symlink())]
    return theirs


def _put(chance: random.Random, path: Path, outside: Path) -> None:
    kind = chance.choice(KINDS)
    if kind == "file":
        path.write_bytes(chance.randbytes(chance.randrange(200)))
        path.chmod(chance.choice([0o644, 0o400, 0o755, 0o4711]))
    elif kind == "folder":
        path.mkdir(mode=0o750)
        (path / "inside").write_bytes(chance.randbytes(9))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "hard link":
        path.hardlink_to(outside / "photo.png")
    else:
        path.symlink_to(
            {"link": outside / "photo.png", "link to a folder": outside / "album"}.get(kind, outside / "no")
        )


def listen(path: Path) -> socket.socket:
    """A socket at a path; its name must be short."""
    found = socket.socket(socket.AF_UNIX)
    found.bind(str(path))
    return found


def state(paths: Sequence[Path]) -> dict[str, tuple]:
    """What is at each path: kind and mode, when it was written, and bytes or target."""
    found: dict[str, tuple] = {}
    for path in paths:
        if not os.path.lexists(path):
            found[str(path)] = ("gone",)
            continue
        status, content = path.lstat(), b""
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = path.readlink()
        times = () if stat.S_ISDIR(status.st_mode) else (status.st_mtime_ns,)
        found[str(path)] = (status.st_mode, status.st_ino, *times, content)
    return found


def everything(folder: Path) -> list[Path]:
    """All that lies below a folder, links as themselves."""
    return sorted(Path(where) / name for where, folders, files in os.walk(folder) for name in (*folders, *files))
