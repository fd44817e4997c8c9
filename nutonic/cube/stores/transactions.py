"""Saves cubes into Icechunk repositories: readers see the old cube until, in one step, they see the new one.

What is saved is committed to a branch of its own, some tiles at a time, so that a killed run goes on there. At the end the
branch ``main`` is set to it, if nobody else has moved that meanwhile. Old cubes stay in the history.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nutonic.core.model import Json
from nutonic.core.units import counted
from nutonic.cube.stores.saving import Frame, changed
from nutonic.cube.zarr import (
    chunk_path,
    lazy_variables,
    write_chunk_into,
    write_metadata,
)
from nutonic.errors import InputError, MissingExtra, NotNutonic, StoreError
from nutonic.io.buckets.address import Address
from nutonic.io.buckets.within import CUBE_MARKER, CUBE_MARKER_BYTES, refuse_within_store
from nutonic.io.objects import Store, create_marker, sha256

if TYPE_CHECKING:
    from icechunk import ForkSession, Repository, Storage

#: How the scheme of a repository's address begins, such as ``icechunk+s3://bucket/cube``.
PREFIX = "icechunk+"

#: The branch that readers see, and the one on which a cube is made.
_MAIN, _UNFINISHED = "main", "nutonic-unfinished"

#: What saves the tiles that are not there: by which are, what each task does, and what becomes of what the tasks gave.
Save = Callable[[Callable[[str], bool], Callable[[], dict[str, tuple[Any, ...]]], Callable[[np.ndarray], None]], None]


def is_repository(address: Address) -> bool:
    """Whether an address is that of a repository, and not of a plain cube."""
    return address.scheme.startswith(PREFIX)


def objects_of(address: Address) -> Address:
    """Where a repository's objects lie."""
    return Address(address.scheme.removeprefix(PREFIX), address.bucket, address.path)


def put_in_fork(
    pixels: np.ndarray, address: Address, name: str, fork: ForkSession, start: tuple[int, ...]
) -> np.ndarray:
    """Write one tile, and return the session that knows of it, (1,) objects."""
    with _in_one_line(address):
        write_chunk_into(fork.store, name, pixels, start)
    receipt = np.empty(1, dtype=object)
    receipt[0] = fork
    return receipt


def save_in_repository(cube: xr.Dataset, address: Address, save: Save, *, overwrite: bool) -> None:
    """Make a repository's branch ``main`` a cube.

    Parameters
    ----------
    cube
        It, ready to be written.
    address
        The repository's; it is made where there is none.
    save
        Saves the tiles.
    overwrite
        Whether another cube of nutonic's may be followed by this one.

    Raises
    ------
    MissingExtra
        If icechunk is not installed.
    NotNutonic
        If something is there that is not nutonic's, or the last commit is not.
    CubeChanged
        If another cube is there, finished or not.
    StoreError
        If the store refuses, or another run saves there too.
    """
    refuse_foreign_repository(address)
    frame = Frame.of(cube)
    with _in_one_line(address):
        repository = _opened(address)
        base = repository.lookup_branch(_MAIN)
        mark: Json = {"nutonic": "cube", "format": 1, "base": base, "files": _hashes(frame)}
        if not overwrite and _is_saved(repository, address, mark):
            if _UNFINISHED in repository.list_branches():
                repository.delete_branch(_UNFINISHED)
            return
        _begin(repository, cube, address, mark, anew=overwrite)
        _save_tiles(repository, cube, address, mark, save)
        repository.reset_branch(_MAIN, repository.lookup_branch(_UNFINISHED), from_snapshot_id=base)
        repository.delete_branch(_UNFINISHED)


def is_saved_in_repository(address: Address) -> bool:
    """Whether a repository is there, and a cube in it."""
    with _in_one_line(address):
        storage = _storage(address)
        icechunk = _icechunk()
        return icechunk.Repository.exists(storage) and not _is_new(icechunk.Repository.open(storage))


def refuse_foreign_repository(address: Address) -> None:
    """Raise :class:`NotNutonic` if something is there that is no repository, or one whose last commit is not nutonic's."""
    icechunk, store = _icechunk(), Store(objects_of(address))
    there = next(store.sizes(), None)  # which also tells in words what the store refuses
    refuse_within_store(objects_of(address))
    with _in_one_line(address):
        exists = icechunk.Repository.exists(_storage(address))
        if not exists and there is not None:
            raise NotNutonic(f"{store.root} is no Icechunk repository, and not empty: choose another address")
        repository = icechunk.Repository.open(_storage(address)) if exists else None
        if repository is not None and not _is_new(repository) and _mark_of(repository, _MAIN).get("nutonic") != "cube":
            raise NotNutonic(f"the last commit to {address} is not nutonic's: choose another address")


def reading_store(address: Address) -> Any:
    """What zarr reads a repository's cube from; each process with its own credentials.

    Raises
    ------
    InputError
        If there is none.
    """
    icechunk = _icechunk()
    next(Store(objects_of(address)).sizes(), None)
    with _in_one_line(address):
        if not icechunk.Repository.exists(_storage(address)):
            raise InputError(f"{address} is no saved cube: there is no Icechunk repository")
        repository = icechunk.Repository.open(_storage(address))
        if _is_new(repository):
            raise InputError(f"{address} is no saved cube: nothing is committed to it")
        return repository.readonly_session(branch=_MAIN).store


def _icechunk() -> ModuleType:
    try:
        import icechunk
    except ImportError:
        raise MissingExtra("an address of icechunk+… needs a package: pip install 'nutonic[icechunk]'") from None
    return icechunk


def _storage(address: Address) -> Storage:
    """Where the objects lie, by the credentials of whichever process uses it."""
    icechunk, prefix = _icechunk(), address.path or None
    match objects_of(address).scheme:
        case "s3":
            endpoints = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
            endpoint = next((value for name in endpoints if (value := os.environ.get(name))), None)
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            return icechunk.s3_storage(  # type: ignore[no-any-return]
                bucket=address.bucket,
                prefix=prefix,
                region=region or ("us-east-1" if endpoint else None),
                endpoint_url=endpoint,
                allow_http=endpoint is not None and endpoint.startswith("http://"),
                force_path_style=endpoint is not None,
                from_env=True,
            )
        case "gs":
            return icechunk.gcs_storage(bucket=address.bucket, prefix=prefix, from_env=True)  # type: ignore[no-any-return]
        case "az":
            account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
            if not account:
                raise InputError(f"{address} needs an account: set AZURE_STORAGE_ACCOUNT_NAME")
            return icechunk.azure_storage(  # type: ignore[no-any-return]
                account=account, container=address.bucket, prefix=address.path, from_env=True
            )
        case _:
            raise InputError(
                f"{address} is gone when this process ends: an Icechunk repository lies in an object store"
            )


def _opened(address: Address) -> Repository:
    """The repository, made if it is not there; with nutonic's marker, which proves that the store heeds conditions."""
    repository: Repository = _icechunk().Repository.open_or_create(_storage(address))
    create_marker(Store(objects_of(address)), CUBE_MARKER, CUBE_MARKER_BYTES)
    return repository


def _mark_of(repository: Repository, branch: str) -> Json:
    """What nutonic told of the last commit to a branch."""
    return dict(repository.lookup_snapshot(repository.lookup_branch(branch)).metadata)


def _is_new(repository: Repository) -> bool:
    return repository.lookup_snapshot(repository.lookup_branch(_MAIN)).parent_id is None


def _hashes(frame: Frame) -> dict[str, str]:
    return {path: sha256(data) for path, data in sorted(frame.files.items())}


def _is_saved(repository: Repository, address: Address, mark: Json) -> bool:
    """Whether the cube is what readers see; raises :class:`CubeChanged` if they see another one."""
    if _is_new(repository):
        return False
    _refuse_other(address, _mark_of(repository, _MAIN), mark)
    return True


def _refuse_other(address: Address, found: Json, mark: Json) -> None:
    wanted, there = mark["files"], found.get("files", {})
    differing = sorted(path for path in wanted | there if wanted.get(path) != there.get(path))
    if differing:
        raise changed(address, differing[0])


def _begin(repository: Repository, cube: xr.Dataset, address: Address, mark: Json, *, anew: bool) -> None:
    """Commit all but the tiles to a branch of its own, unless a killed run has done so."""
    if _UNFINISHED in repository.list_branches():
        found = _mark_of(repository, _UNFINISHED)
        if anew or found.get("base") != mark["base"]:  # what was begun on another cube is of no use
            repository.delete_branch(_UNFINISHED)
        else:
            _refuse_other(address, found, mark)
            return
    repository.create_branch(_UNFINISHED, mark["base"])
    session = repository.writable_session(_UNFINISHED)
    write_metadata(cube, session.store)
    session.commit("begin a cube", mark)


def _save_tiles(repository: Repository, cube: xr.Dataset, address: Address, mark: Json, save: Save) -> None:
    session = repository.readonly_session(branch=_UNFINISHED)
    there = {chunk_path((name, index)) for name in lazy_variables(cube) for index in _chunks_in(session, name)}
    sessions: list[Any] = []

    def writes() -> dict[str, tuple[Any, ...]]:
        sessions[:] = [repository.writable_session(_UNFINISHED)]
        fork = sessions[0].fork()
        return {name: (put_in_fork, address, name, fork) for name in lazy_variables(cube)}

    def landed(receipts: np.ndarray) -> None:
        with _in_one_line(address):
            sessions[0].merge(*{id(fork): fork for fork in receipts}.values())  # threads share one
            sessions[0].commit(counted(len(receipts), "tile"), mark)

    save(there.__contains__, writes, landed)


def _chunks_in(session: Any, name: str) -> list[tuple[int, ...]]:
    """The tiles of a variable that are there. In a thread of its own: a notebook's has a loop that runs already."""

    async def gathered() -> list[tuple[int, ...]]:
        return [index async for index in session.chunk_coordinates(f"/{name}")]

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, gathered()).result()


@contextmanager
def _in_one_line(address: Address) -> Iterator[None]:
    """What Icechunk says in twenty lines, in one; without an address of the store."""
    icechunk = _icechunk()
    try:
        yield
    except icechunk.ConflictError:
        raise StoreError(f"another run saves {address} too: wait for it, and run the same command again") from None
    except icechunk.IcechunkError as error:
        text = str(error)
        code = re.search(r'code: "(\w+)"', text)
        first = re.sub(r"\S+://\S+", "…", text.strip().partition("\n")[0].removeprefix("x ").strip())
        reason = f"the store answered {code[1]}" if code else first
        raise StoreError(f"Icechunk cannot use {address}: {reason}") from None
