"""A demo's inputs in a folder: made wholly or not at all, known again, and never written over somebody's changes."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from nutonic.core.model import Json
from nutonic.errors import NotNutonic
from nutonic.io.atomic import disk_errors
from nutonic.io.files import make_folders
from nutonic.io.gdal import gdal_disk_errors
from nutonic.io.objects import Store

_STAMP = "prepared.json"

#: How the folders of unfinished runs begin, the first file in them, and the age at which such a run has surely ended.
_TEMPORARY, _MARKER, _ABANDONED_S = ".nutonic-demo-", "unfinished-demo.json", 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a demo needs in its folder."""

    files: tuple[str, ...]
    """Names of all files."""
    modules: Sequence[Path]
    """The code that makes them: with other code they are made anew."""
    write: Callable[[Path], None]
    """Writes them all into a folder."""


def prepare(inputs: Inputs, cache: Path) -> None:
    """Make a demo's inputs in a folder, unless they are there already.

    The folder appears wholly or not at all. In a folder of an older nutonic, the files that it made are replaced. Other
    files stay, and a file that was changed since is not written over.

    Raises
    ------
    NotNutonic
        If `cache` is a file or a link, if it holds something else, or if one of its files was changed.
    """
    if _is_whole(inputs, cache):
        return
    previous = _previous_files(cache)
    parent = _folder_for(inputs, cache)
    with disk_errors(cache), tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=parent) as temporary:
        (Path(temporary) / _MARKER).write_bytes(b"{}\n")
        fresh = Path(temporary) / "fresh"
        fresh.mkdir()
        with gdal_disk_errors(fresh / "more", cache):
            inputs.write(fresh)
        (fresh / _STAMP).write_bytes(as_json(_stamp(inputs, fresh)))
        _install(inputs, fresh, cache, previous)


def as_json(value: Json) -> bytes:
    """JSON for people."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_whole(inputs: Inputs, cache: Path) -> bool:
    """Whether this version of the code made the folder, and no file has changed since."""
    try:
        is_real = not cache.is_symlink() and Store(cache).is_file(_STAMP)
        return is_real and bool(orjson.loads((cache / _STAMP).read_bytes()) == _stamp(inputs, cache))
    except (OSError, orjson.JSONDecodeError):
        return False


def _stamp(inputs: Inputs, folder: Path) -> Json:
    made_by = hashlib.sha256(b"".join(module.read_bytes() for module in sorted(inputs.modules))).hexdigest()
    return {"made_by": made_by, "files": {name: sha256_of(folder / name) for name in inputs.files}}


def _previous_files(cache: Path) -> dict[str, str]:
    """The files that an earlier run made there, with their SHA-256; raises :class:`NotNutonic` for a foreign folder."""
    if not os.path.lexists(cache):
        return {}
    foreign = NotNutonic(f"{cache} was not made by nutonic demo: choose another folder, or remove it")
    if cache.is_symlink() or not cache.is_dir():
        raise foreign
    if not any(cache.iterdir()):
        return {}
    try:
        return dict(orjson.loads(Store(cache).get(_STAMP))["files"])
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise foreign from None


def _folder_for(inputs: Inputs, cache: Path) -> Path:
    """The parent folder of `cache`, created if necessary, without the leftovers of killed runs."""
    parent = cache.absolute().parent
    with disk_errors(parent):
        make_folders(parent)
    for leftover in parent.glob(f"{_TEMPORARY}*"):
        if re.fullmatch(rf"{re.escape(_TEMPORARY)}[a-z0-9_]{{8}}", leftover.name) and not leftover.is_symlink():
            _sweep(inputs, leftover)
    return parent


def _sweep(inputs: Inputs, leftover: Path) -> None:
    """Remove the files of a run that was killed long ago, by their names; a folder that holds anything else stays."""
    store = Store(leftover)
    if not store.is_file(_MARKER) or time.time() - leftover.stat().st_mtime <= _ABANDONED_S:
        return
    for name in (*inputs.files, _STAMP):
        if store.is_file(f"fresh/{name}"):
            store.delete(f"fresh/{name}")
    with suppress(OSError):
        if (leftover / "fresh").exists():
            (leftover / "fresh").rmdir()
        if len(list(leftover.iterdir())) == 1:
            store.delete(_MARKER)
            leftover.rmdir()


def _install(inputs: Inputs, fresh: Path, cache: Path, previous: Mapping[str, str]) -> None:
    if previous:
        _replace_files(inputs, fresh, cache, previous)
        return
    try:
        fresh.rename(cache)
    except OSError:
        if not _is_whole(inputs, cache):  # otherwise another run was faster, and its files are the same
            raise


def _replace_files(inputs: Inputs, fresh: Path, cache: Path, previous: Mapping[str, str]) -> None:
    """Replace the files of an older run, the stamp last; none of them is replaced if one was changed."""
    store = Store(cache)
    for name in inputs.files:
        is_file = store.is_file(name)
        if os.path.lexists(cache / name) and not (
            is_file and sha256_of(cache / name) in (previous.get(name), sha256_of(fresh / name))
        ):
            raise NotNutonic(f"{cache / name} was changed: it is kept; move it away to have a new one")
    for name in (*inputs.files, _STAMP):
        (fresh / name).replace(cache / name)
