"""Copies on this machine's disk of objects that are read as files, such as a database."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from nutonic.io.atomic import disk_errors
from nutonic.io.buckets.address import Address
from nutonic.io.files import make_folders
from nutonic.io.objects import Store


@contextmanager
def made_as_file(store: Store, path: str) -> Iterator[Path]:
    """A path at which to make a file of the tree: its own on a disk, else one of this machine that is sent at the end."""
    if store.disk is not None:
        make_folders((store.disk / path).parent)
        yield store.disk / path
        return
    with tempfile.TemporaryDirectory(prefix="nutonic-") as folder:
        file = Path(folder) / Path(path).name
        yield file
        store.put_file(path, file)


def read_as_file(store: Store, path: str, sha256: str) -> Path:
    """A file of the tree as one on this machine's disk; copied once in a process, which removes the copy when it ends.

    Parameters
    ----------
    store, path
        The tree, and the path in it.
    sha256
        What it is; another of the same path is another copy.
    """
    if store.disk is not None:
        return store.disk / path
    assert store.address is not None, "what is in memory is made there"
    return Path(_copied(store.address, path, sha256)[1])


@lru_cache(maxsize=4)
def _copied(address: Address, path: str, sha256: str) -> tuple[tempfile.TemporaryDirectory[str], str]:
    """The folder, which is removed with this value, and the copy in it."""
    folder, store = tempfile.TemporaryDirectory(prefix="nutonic-"), Store(address)
    size = next(size for found, size in store.sizes(path.rpartition("/")[0]) if found == path)
    file = Path(folder.name) / f"{sha256[:12]}-{Path(path).name}"
    with disk_errors(file), file.open("wb") as copy:
        copy.writelines(store.pieces(path, size))
    return folder, str(file)
