"""Saves cubes into object stores, where nothing is renamed and nothing is locked.

A cube's objects lie where they belong from the first. What makes them a cube, the group's ``zarr.json``, is created last, by
a condition: before, no reader sees anything. Meanwhile ``nutonic-unfinished.json`` says which cube it will be, so that the
next run goes on with this one and with no other.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import orjson
import xarray as xr

from nutonic.core.model import Json
from nutonic.cube.zarr import (
    arrays_of,
    chunk_path,
    chunks_of,
    damaged_metadata,
    encoded_chunk,
    is_in_array,
    lazy_variables,
    write_frame,
)
from nutonic.errors import CubeChanged, NotNutonic, StoreError
from nutonic.io.buckets.address import Address
from nutonic.io.buckets.within import CUBE_MARKER, CUBE_MARKER_BYTES, refuse_within_store
from nutonic.io.objects import Store, create_marker, sha256

#: The group's metadata, by which readers find a cube; and what says which cube it will be while that is missing.
GROUP, UNFINISHED = "zarr.json", "nutonic-unfinished.json"

_OWN = frozenset({GROUP, UNFINISHED, CUBE_MARKER})

#: By what workers prove that they can write: beside that object, one of each.
_PROOF = re.compile(re.escape(UNFINISHED) + r"-[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Frame:
    """All of a cube but its tiles."""

    files: Mapping[str, bytes]
    """By path, the group's metadata and the marker included."""

    @property
    def group(self) -> bytes:
        """The group's metadata."""
        return self.files[GROUP]

    @property
    def unfinished(self) -> bytes:
        """What says that the cube is to be this one: its metadata, and the hashes of what is no tile."""
        hashes = {path: sha256(data) for path, data in sorted(self.files.items())}
        return orjson.dumps({"nutonic": "unfinished cube", "format": 1, "files": hashes, "group": _parsed(self.group)})

    @classmethod
    def of(cls, cube: xr.Dataset) -> Frame:
        """The frame of a cube that is ready to be written."""
        with tempfile.TemporaryDirectory(prefix="nutonic-") as scratch:
            folder = Path(scratch) / "frame"
            write_frame(cube, folder)
            files = (entry for entry in folder.rglob("*") if entry.is_file())
            return cls({file.relative_to(folder).as_posix(): file.read_bytes() for file in files})


def put_chunk(pixels: np.ndarray, address: Address, name: str, metadata: bytes, start: tuple[int, ...]) -> np.ndarray:
    """Write one tile as one object, in one request, and return its bytes before compression, (1,) int64."""
    path, data = encoded_chunk(pixels, metadata, start)
    Store(address).put(f"{name}/{path}", data)
    return np.array([pixels.nbytes])


def save_into(cube: xr.Dataset, address: Address, write: Callable[[Frame, set[str]], None], *, overwrite: bool) -> None:
    """Make a place in an object store a cube.

    Parameters
    ----------
    cube
        It, ready to be written.
    address
        Where.
    write
        Writes the tiles that are not there, by the frame and the paths of what is there.
    overwrite
        Whether to replace another cube of nutonic's.

    Raises
    ------
    NotNutonic
        If something is there that is not nutonic's, or if it lies in a dataset or a Zarr store. It is not touched.
    CubeChanged
        If another cube is there, finished or not.
    StoreError
        If the store refuses, or the tiles are not there after they were written.
    """
    store, frame = Store(address), Frame.of(cube)
    there = {path for path, _ in store.sizes()}
    refuse_unmarked(store, there)
    refuse_within_store(address)
    if GROUP in there and not overwrite:
        _refuse_other(store, frame)
        store.delete_all({UNFINISHED} & there)
        return
    _refuse_foreign(store, there)
    if overwrite and there:
        _remove(store, there)
        there = set()
    _begin(store, frame)
    write(frame, there)
    _finish(store, frame, map(chunk_path, chunks_of(cube)))


def refuse_foreign_store(address: Address) -> None:
    """Raise :class:`NotNutonic` if something is at an address that is no cube of nutonic's, before any work."""
    store = Store(address)
    refuse_unmarked(store, {path for path, _ in islice(store.sizes(), 1)})
    refuse_within_store(address)


def refuse_unmarked(store: Store, there: set[str]) -> None:
    """Raise :class:`NotNutonic` if something is there, by its paths or some of them, and nutonic's marker is not."""
    with suppress(FileNotFoundError):
        if not there or store.get(CUBE_MARKER) == CUBE_MARKER_BYTES:
            return
    raise NotNutonic(f"{store.root} exists and is no Zarr cube of nutonic's: choose another address")


def _refuse_other(store: Store, frame: Frame) -> None:
    """Raise :class:`CubeChanged` if a finished cube differs in anything but its tiles."""
    for path, data in sorted(frame.files.items()):
        if _found(store, path) != data:
            raise changed(store.root, path)


def _refuse_foreign(store: Store, there: set[str]) -> None:
    """Raise :class:`NotNutonic` if there is what no metadata there makes the cube's."""
    arrays = _arrays(store, there)
    unknown = sorted(path for path in there - _OWN if not _PROOF.fullmatch(path))
    foreign = next((path for path in unknown if not is_in_array(path, arrays)), None)
    if foreign is not None:
        raise NotNutonic(
            f"{store.root} holds {foreign}, which is not nutonic's: move it out, or choose another address"
        )


def _arrays(store: Store, there: set[str]) -> dict[str, tuple[int, ...]]:
    """The arrays of what is there, finished or not, each with its numbers of chunks."""
    arrays: dict[str, tuple[int, ...]] = {}
    for path in sorted({GROUP, UNFINISHED} & there):
        try:
            told = _parsed(store.get(path))
            arrays |= arrays_of(told if path == GROUP else told["group"])
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise damaged_metadata(f"{store.root}/{path}") from None
    return arrays


def _remove(store: Store, there: set[str]) -> None:
    """Remove a cube, so that one that is killed meanwhile can go on, and no reader ever sees half of one."""
    if GROUP in there:
        if UNFINISHED not in there:
            store.put(UNFINISHED, Frame({GROUP: store.get(GROUP)}).unfinished)
        store.delete(GROUP)
    store.delete_all(sorted(there - _OWN))
    store.delete(UNFINISHED)


def _begin(store: Store, frame: Frame) -> None:
    """Put all of the frame but the group's metadata in its place, or find that it is there."""
    create_marker(store, CUBE_MARKER, CUBE_MARKER_BYTES)
    if not store.create(UNFINISHED, frame.unfinished):
        _refuse_unlike(store, frame, store.get(UNFINISHED))
    store.put_all({path: data for path, data in frame.files.items() if path not in _OWN})


def _refuse_unlike(store: Store, frame: Frame, found: bytes) -> None:
    """Raise :class:`CubeChanged` if the unfinished cube that is there is another one."""
    if found == frame.unfinished:
        return
    try:
        hashes = dict(_parsed(found)["files"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise damaged_metadata(f"{store.root}/{UNFINISHED}") from None
    wanted = {path: sha256(data) for path, data in frame.files.items()}
    differing = sorted(path for path in wanted | hashes if wanted.get(path) != hashes.get(path))
    raise changed(store.root, next(iter(differing), UNFINISHED))


def _finish(store: Store, frame: Frame, chunks: Iterable[str]) -> None:
    """Let the cube appear, once all that belongs to it is there, and nobody has replaced it meanwhile."""
    there = {path for path, _ in store.sizes()}
    missing = sorted({*chunks, *frame.files} - there - {GROUP})
    if missing:
        raise StoreError(
            f"{missing[0]} was written and is not in {store.address}: a worker writes elsewhere, or another run removed it; "
            "give all workers the same endpoint and account, and run the same command again"
        )
    unfinished = _found(store, UNFINISHED)
    if unfinished is None and _found(store, GROUP) == frame.group:  # another run has finished it
        return
    if unfinished != frame.unfinished:
        raise StoreError(f"another run replaces {store.address} meanwhile: choose another address")
    if not store.create(GROUP, frame.group) and store.get(GROUP) != frame.group:
        raise changed(store.root, GROUP)
    store.delete_all(sorted(path for path in there if _PROOF.fullmatch(path)))  # of workers that were killed
    store.delete(UNFINISHED)


def changed(place: object, path: str) -> CubeChanged:
    """What to say of another cube that is at a place, by a path in which it differs."""
    return CubeChanged(
        f"{place} is another cube, it differs in {path}, as one of another area, grid, time or recipe does: choose another "
        "address, or overwrite it (overwrite=True, --overwrite)"
    )


def _found(store: Store, path: str) -> bytes | None:
    try:
        return store.get(path)
    except FileNotFoundError:
        return None


def _parsed(data: bytes) -> Json:
    value: Json = orjson.loads(data)
    return value


def writes_of(frame: Frame, address: Address, cube: xr.Dataset) -> dict[str, tuple[object, ...]]:
    """For each lazy variable what a task does with a tile: the function, and what it takes after the pixels."""
    return {name: (put_chunk, address, name, frame.files[f"{name}/{GROUP}"]) for name in lazy_variables(cube)}
