"""Saves cubes tile by tile, with whichever scheduler is in use. A killed run is resumed by the next one."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from nutonic.core.callbacks import TileCallback, TilesSaved
from nutonic.core.units import counted_of
from nutonic.cube.stores.netcdf import is_netcdf, refuse_other_format, save_netcdf
from nutonic.cube.stores.saving import GROUP, Frame, refuse_foreign_store, save_into, writes_of
from nutonic.cube.stores.transactions import (
    PREFIX,
    is_repository,
    is_saved_in_repository,
    refuse_foreign_repository,
    save_in_repository,
)
from nutonic.cube.zarr import (
    CUBE_LOCK,
    CUBE_PARTIAL,
    CUBE_REPLACED,
    Chunk,
    chunk_path,
    chunks_of,
    foreign_content,
    is_marked,
    lazy_variables,
    prepare_zarr,
    remove_begun,
    remove_cube,
    remove_temporaries,
    write_chunk,
    write_frame,
)
from nutonic.errors import CubeChanged, InputError, NotNutonic, StoreError, once_begun
from nutonic.io.atomic import BESIDE, disk_errors, new_folder, refuse_unusable, refuse_within
from nutonic.io.buckets.address import Address, AnyPath, any_path_of
from nutonic.io.buckets.within import CUBE_MARKER
from nutonic.io.files import exclusive, make_folders, real_path
from nutonic.io.objects import Store

_log = logging.getLogger(__name__)

#: Tiles that are given to the scheduler at a time: a graph of some tens of thousands of tasks, built in seconds.
WINDOW = 2048

#: By variable what a task does with a tile: the function, and what it takes between the pixels and where they begin.
Writes = Mapping[str, tuple[Any, ...]]

#: Whether a tile is saved already, by its path; and what becomes of what the tasks of some tiles gave.
IsThere = Callable[[str], bool]
Landed = Callable[[np.ndarray], None]


def save_cube(
    cube: xr.Dataset,
    path: str | AnyPath,
    *,
    overwrite: bool = False,
    callbacks: Sequence[TileCallback] = (),
) -> AnyPath:
    """Write a cube as Zarr (format 3), whose tiles their own tasks write; or as netCDF 4, where its name ends in ``.nc``.

    The scheduler that is in use computes the cube: a distributed client if there is one, otherwise threads. An unfinished
    cube is called ``NAME.nutonic-partial``; the finished one appears at `path` in one step. After a kill, the same call
    computes only the tiles that are missing, and ends with the same bytes. A folder is replaced or removed only if it has
    nutonic's marker (``nutonic.json``) and holds nothing but a cube.

    In an object store nothing can be renamed: objects of the same bytes lie where they belong from the first, ``zarr.json``
    comes last, so that nobody opens an unfinished cube, and one that is replaced is removed first. netCDF is begun anew.

    Parameters
    ----------
    cube
        What :func:`nutonic.open_cube` or a reduction gave. Its chunks are the tiles; tiles of more than 512 pixels a side
        become shards of smaller chunks.
    path
        Where to put the cube: on a disk that all workers see, or an address in an object store such as
        ``s3://bucket/cube.zarr``, which each process uses with its own credentials; or, as ``icechunk+s3://bucket/cube``,
        an Icechunk repository, whose branch ``main`` becomes the cube in one step. If it is a link, the cube goes to the
        link's target.
    overwrite
        Whether to replace another cube of nutonic's, or an unfinished one.
    callbacks
        Observers, such as a :class:`nutonic.Callback`: ``on_tiles`` is called as tiles are saved, not of a complete cube.

    Returns
    -------
    pathlib.Path or Address
        The cube. ``xarray.open_zarr`` opens a path, with CRS, transform and nodata where rioxarray and odc-geo look for
        them; :func:`nutonic.open_zarr` an address too.

    Raises
    ------
    InputError
        If the chunks along a dimension have several sizes, or `path` can be no name of a cube, as that of a GeoTIFF.
    NotNutonic
        If `path` leads through a file, or into a dataset or a Zarr store; or if it, or a name beside it that is used
        meanwhile, exists and is not nutonic's, or holds foreign files. It is not touched.
    CubeChanged
        If another cube is there.
    StoreError
        If another process on this machine is writing the cube, or if it cannot be written.
    """
    path = cube_path_of(path)
    refuse_other_format(path)
    if isinstance(path, Address):
        _save_in_store(prepare_zarr(cube), path, callbacks, overwrite=overwrite)
        return path
    if is_netcdf(path):
        save_netcdf(cube, path, callbacks, overwrite=overwrite)
    else:
        _save_on_disk(prepare_zarr(cube), path, callbacks, overwrite=overwrite)
    return path.absolute()


def _save_on_disk(cube: xr.Dataset, path: Path, callbacks: Sequence[TileCallback], *, overwrite: bool) -> None:
    refuse_unusable(path, beside=BESIDE)
    final = real_path(path) if path.is_symlink() else path.absolute()
    partial, *_ = _side_paths(final)
    _refuse_foreign(final)
    with tempfile.TemporaryDirectory(prefix="nutonic-") as scratch:
        frame = Path(scratch) / "frame"
        write_frame(cube, frame)
        if overwrite or not _is_complete(frame, final):
            with _exclusive_writer(final):
                if overwrite or not _is_complete(frame, final):  # another process may have written it meanwhile
                    _refuse_foreign_content(final)
                    _place_frame(frame, partial, anew=overwrite)
                    writes = {name: (write_chunk, str(partial), name) for name in lazy_variables(cube)}
                    _save_missing(cube, lambda chunk: (partial / chunk).is_file(), lambda: writes, callbacks)
                    _finish(partial, final)


def _save_in_store(cube: xr.Dataset, address: Address, callbacks: Sequence[TileCallback], *, overwrite: bool) -> None:
    def save(is_there: IsThere, writes: Callable[[], Writes], landed: Landed = _nothing) -> None:
        _save_missing(cube, is_there, writes, callbacks, landed)

    def write(frame: Frame, there: set[str]) -> None:
        save(there.__contains__, lambda: writes_of(frame, address, cube))

    if is_repository(address):
        save_in_repository(cube, address, save, overwrite=overwrite)
    else:
        save_into(cube, address, write, overwrite=overwrite)


def cube_path_of(where: str | AnyPath) -> AnyPath:
    """The path or address that a user names of a cube; with ``icechunk+`` before its scheme that of a repository.

    Raises
    ------
    InputError
        If it is neither.
    """
    text = str(where)
    if isinstance(where, Address) or not text.lower().startswith(PREFIX):
        return any_path_of(where)
    inner = any_path_of(text[len(PREFIX) :])
    if not isinstance(inner, Address):
        raise InputError(f"{PREFIX} goes before an address: write {PREFIX}s3://BUCKET/PATH")
    return Address(f"{PREFIX}{inner.scheme}", inner.bucket, inner.path)


def refuse_foreign_cube(address: Address) -> None:
    """Raise :class:`NotNutonic` if what is at an address is not nutonic's, before any work."""
    (refuse_foreign_repository if is_repository(address) else refuse_foreign_store)(address)


def is_saved(path: AnyPath) -> bool:
    """Whether a cube, or something else, is there."""
    if isinstance(path, Path):
        return path.exists()
    return is_saved_in_repository(path) if is_repository(path) else Store(path).has(GROUP)


def _nothing(receipts: np.ndarray) -> None:
    """What is put is there."""


def _is_complete(frame: Path, final: Path) -> bool:
    """Whether the finished cube exists already; raises :class:`CubeChanged` if another cube is there."""
    if final.exists():
        _refuse_other(frame, final)
    return final.exists()


def _place_frame(frame: Path, partial: Path, *, anew: bool) -> None:
    """Put the frame in its place in one step, unless a killed run has done so."""
    with disk_errors(partial):
        for begun in _begun(partial):
            remove_begun(begun)
        if partial.exists() and (anew or not any(partial.iterdir())):
            remove_cube(partial)
        if not partial.exists():
            with new_folder(partial, prefix=f".{partial.name}-") as new:
                shutil.copyfile(frame / CUBE_MARKER, new / CUBE_MARKER)
                shutil.copytree(frame, new, dirs_exist_ok=True)
    _refuse_other(frame, partial)


def _begun(partial: Path) -> list[Path]:
    """Folders beside an unfinished cube that killed runs began it in; the lock is held, so none is in use."""
    name = re.compile(re.escape(f".{partial.name}-") + r"[a-z0-9_]{8}")
    entries = [entry for entry in partial.parent.iterdir() if name.fullmatch(entry.name)]
    return [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]


def _refuse_foreign(final: Path) -> None:
    """Raise :class:`NotNutonic` if something other than a cube of nutonic's lies at a cube's path, or around it."""
    refuse_within(final)
    if os.path.lexists(final) and not is_marked(final):
        raise NotNutonic(f"{final} exists and is no Zarr cube of nutonic's: choose another path")


def _refuse_foreign_lock(lock: Path) -> None:
    """Raise :class:`NotNutonic` if something other than nutonic's lock, an empty file, lies at the lock's path."""
    if os.path.lexists(lock) and (lock.is_symlink() or not lock.is_file() or lock.stat().st_size):
        raise NotNutonic(f"{lock} is not nutonic's: move it away, or choose another path")


def _refuse_foreign_content(final: Path) -> None:
    """Raise :class:`NotNutonic` if a folder that is about to be written or removed holds foreign files.

    The lock is held, so no other process changes these folders now.
    """
    _refuse_foreign(final)
    partial, old, _ = _side_paths(final)
    for folder in (partial, old, final):
        empty = folder != final and folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())
        if empty or not os.path.lexists(folder):
            continue
        if not is_marked(folder):
            raise NotNutonic(f"{folder} exists and is not nutonic's: move it away, or choose another path")
        foreign = next(foreign_content(folder), None)
        if foreign is not None:
            raise NotNutonic(f"{folder} holds {foreign}, which is not nutonic's: move it out, or choose another path")


def _side_paths(final: Path) -> tuple[Path, Path, Path]:
    """The paths beside a cube: of the unfinished one, of the one that is being replaced, and of their lock."""
    return (
        final.with_name(f"{final.name}{CUBE_PARTIAL}"),
        final.with_name(f".{final.name}{CUBE_REPLACED}"),
        final.with_name(f".{final.name}{CUBE_LOCK}"),
    )


def _refuse_other(frame: Path, existing: Path) -> None:
    """Raise :class:`CubeChanged` if a saved cube differs in a coordinate, an attribute or its layout.

    All files of the frame are compared, that is, all that are not tiles.
    """
    for expected in sorted(entry for entry in frame.rglob("*") if entry.is_file()):
        name = expected.relative_to(frame)
        file = existing / name
        if not file.is_file() or file.read_bytes() != expected.read_bytes():
            raise CubeChanged(
                f"{existing} is another cube, it differs in {name}, as one of another area, grid, time or recipe does: "
                "choose another path, or overwrite it (overwrite=True, --overwrite)"
            )


@contextmanager
def _exclusive_writer(final: Path) -> Iterator[None]:
    """Keep other processes on this machine from writing the same cube; the lock ends with the process."""
    *_, lock = _side_paths(final)
    _refuse_foreign_lock(lock)
    with ExitStack() as stack:
        with disk_errors(final):
            make_folders(final.parent)
            try:
                stack.enter_context(exclusive(lock))
            except BlockingIOError:
                raise StoreError(f"another process writes {final}: wait for it") from None
        yield


def _save_missing(
    cube: xr.Dataset,
    is_there: IsThere,
    writes: Callable[[], Writes],
    callbacks: Sequence[TileCallback],
    landed: Landed = _nothing,
) -> None:
    chunks = list(chunks_of(cube))
    remaining = [chunk for chunk in chunks if not is_there(chunk_path(chunk))]
    saved = len(chunks) - len(remaining)
    _report(callbacks, saved, len(chunks))
    for start in range(0, len(remaining), WINDOW):
        window = remaining[start : start + WINDOW]
        with once_begun():
            landed(_receipts(cube, window, writes()).compute())
        saved += len(window)
        _report(callbacks, saved, len(chunks))


def _report(callbacks: Sequence[TileCallback], saved: int, total: int) -> None:
    _log.debug("%s saved", counted_of(saved, total, "tile"))
    for callback in callbacks:
        callback.on_tiles(TilesSaved(done=saved, total=total))


def _receipts(cube: xr.Dataset, window: Sequence[Chunk], writes: Writes) -> da.Array:
    """One receipt per tile, from the task that writes the tile on the worker that computed it."""
    arrays = {name: variable.data for name, variable in lazy_variables(cube).items()}
    starts = {name: [np.cumsum([0, *sizes]).tolist() for sizes in array.chunks] for name, array in arrays.items()}
    token = f"written-{tokenize([array.name for array in arrays.values()], window, list(writes.values()))}"
    tasks: dict[Any, Any] = {}
    for k, (name, index) in enumerate(window):
        start = tuple(at[i] for at, i in zip(starts[name], index, strict=True))
        write, *options = writes[name]
        tasks[(token, k)] = (write, (arrays[name].name, *index), *options, start)
    graph = HighLevelGraph.from_collections(token, tasks, list(arrays.values()))
    return da.Array(graph, token, ((1,) * len(window),), dtype=np.int64)


def _finish(partial: Path, final: Path) -> None:
    """Remove the temporaries of killed writers, and let the cube appear."""
    remove_temporaries(partial)
    _, old, _ = _side_paths(final)
    if old.exists():  # a run was killed before it removed the old cube
        remove_cube(old)
    if final.exists():
        final.rename(old)
    partial.rename(final)
    if old.exists():
        with suppress(OSError):
            remove_cube(old)
