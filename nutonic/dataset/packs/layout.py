"""Where everything lies in a pack, and which folders one may be made in.

A folder is a pack if it has the marker, which is created first. What is packed, and how, is sealed beside it, so that a
folder never holds two packs; each shard that is there whole has a record. Files that nutonic does not name stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nutonic.core.model import Json
from nutonic.errors import Corrupt, NotNutonic
from nutonic.io.buckets.address import Address, AnyPath
from nutonic.io.buckets.within import refuse_within_store
from nutonic.io.files import obstacle_at
from nutonic.io.objects import Store, create_marker, sealed, unsealed
from nutonic.planning.layout import META
from nutonic.planning.ownership import names_in, only_begun

#: What makes a folder a pack, and nothing else does: this file with just these bytes.
PACK_MARKER = f"{META}/pack.json"
PACK_MARKER_BYTES = b'{"nutonic":"pack","format":1}\n'

#: What is packed, in which form and how: written once, and never changed.
PACKING = f"{META}/packing.json"

#: A record for each shard that is there whole.
SHARDS = f"{META}/shards"

#: Rows of shards, until they are put together.
ROWS = f"{META}/rows"

#: Written last: the pack is whole.
PACKED = f"{META}/packed.json"


#: Whether a file is there, by its path, with so many bytes.
IsThere = Callable[[str, int], bool]


def is_pack(out: AnyPath) -> bool:
    """Whether a folder, or what is at an address, has the marker of a pack."""
    if isinstance(out, Address):
        return _has_marker(Store(out))
    try:
        with (out / PACK_MARKER).open("rb") as file:
            return file.read(len(PACK_MARKER_BYTES) + 1) == PACK_MARKER_BYTES
    except OSError:
        return False


def _has_marker(store: Store) -> bool:
    try:
        return store.get(PACK_MARKER) == PACK_MARKER_BYTES
    except FileNotFoundError:
        return False


def refuse_foreign_folder(out: AnyPath) -> None:
    """Raise :class:`NotNutonic` where no pack may be made: in a file, or in a folder with files of somebody else.

    A tree is somebody else's too: a pack goes into a folder of its own, or to an address of its own.
    """
    if isinstance(out, Address):
        first = next((path for path, _ in Store(out).sizes()), None)
        if first is not None and not is_pack(out):
            raise NotNutonic(f"{out} holds files that are of no pack ({first[:60]}): name an address of its own")
        refuse_within_store(out)
        return
    names = names_in(out)
    if names and not is_pack(out) and not (names == [META] and only_begun(out / PACK_MARKER, PACK_MARKER_BYTES)):
        raise NotNutonic(f"{out} holds files that are of no pack ({names[0][:60]}): name a new or an empty folder")
    for folder in (META, SHARDS, ROWS):
        if (obstacle := obstacle_at(out, folder, folder=True)) is not None:
            raise NotNutonic(f"{obstacle}; nothing was changed")


def begin(store: Store, packing: Json) -> None:
    """Make a folder a pack of just this, or find that it is one.

    Raises
    ------
    NotNutonic
        If the folder holds another pack: its text says in what it differs.
    """
    if not store.has(PACK_MARKER):
        create_marker(store, PACK_MARKER, PACK_MARKER_BYTES)
    if store.get(PACK_MARKER) != PACK_MARKER_BYTES:
        raise NotNutonic(f"{store.root} holds files that are of no pack: name a new or an empty folder")
    if not store.has(PACKING):
        store.create(PACKING, sealed(packing))
    begun = unsealed(store.get(PACKING), PACKING)
    wrong = next((key for key in {**packing, **begun} if packing.get(key) != begun.get(key)), None)
    if wrong is not None:
        raise NotNutonic(
            f"{store.root} holds another pack: {_differs(wrong, begun, packing)}: name a new or an empty folder"
        )


def _differs(key: str, begun: Json, wanted: Json) -> str:
    if key in ("recipe_digest", "commits", "plan"):
        return "its tree was another, or has been built further since"
    return f"{key} {_shown(begun.get(key))}, not {_shown(wanted.get(key))}"


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if not isinstance(value, str) else f"{value:.60}"


def shard_record(number: int) -> str:
    """Path of the record of a shard."""
    return f"{SHARDS}/{number:05d}.json"


def is_there_in(store: Store) -> IsThere:
    """What tells whether files are there; an object store is listed for it, now and once."""
    if store.address is None:
        return partial(_is_there, store)
    sizes = dict(store.sizes())
    return lambda path, size: sizes.get(path) == size


def read_record(store: Store, number: int, is_there: IsThere, *, finished: bool = False) -> Json | None:
    """The record of a shard that is there whole, its files with the sizes it tells; None of any other.

    Of a finished pack, rows that were put together with others are no files of their own any more.
    """
    path = shard_record(number)
    try:
        record = unsealed(store.get(path), path)
    except (FileNotFoundError, Corrupt):
        return None
    files = {name: size for name, (size, _) in record["files"].items() if not (finished and name.startswith(ROWS))}
    return record if all(is_there(name, size) for name, size in files.items()) else None


def is_finished(store: Store, shards: int, is_there: IsThere) -> bool:
    """Whether a pack is whole: all that was made of its shards is there with its size, and so are they."""
    try:
        made = unsealed(store.get(PACKED), PACKED)["files"]
    except (FileNotFoundError, Corrupt):
        return False
    whole = all(read_record(store, number, is_there, finished=True) is not None for number in range(shards))
    return whole and all(is_there(path, size) for path, (size, _) in made.items())


def _is_there(store: Store, path: str, size: int) -> bool:
    try:
        return store.is_file(path) and store.size(path) == size
    except OSError:
        return False
