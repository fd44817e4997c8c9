"""Which files of an output folder are nutonic's. Only these are replaced or removed; all others are the user's.

A folder is a tree if it has the marker file, which is created first. Within a tree, nutonic owns:

- the files that the plan leads to, by exact path: every view of every tile position of every place, and its still where
  the recipe wants one. They count whether or not they were built, since a killed build leaves no record of what it wrote;
- the files that a commit names;
- the fixed files of ``_nutonic/``;
- temporaries of these files (obstore's ``NAME#1``).

One limit: a user's file at a path that the plan leads to, and that no commit names, looks like one that a killed build
left there. It is replaced or removed in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from nutonic.core.model import SPLITS, Json
from nutonic.errors import Corrupt, NotNutonic
from nutonic.io.atomic import has_marker, refuse_unusable, refuse_within
from nutonic.io.buckets.address import Address, AnyPath
from nutonic.io.buckets.within import refuse_within_store
from nutonic.io.files import obstacle_at
from nutonic.io.objects import Store, create_marker, unsealed
from nutonic.lazily import lazily
from nutonic.planning.layout import (
    CARD,
    COMMITS,
    MARKER,
    MARKER_BYTES,
    META,
    PARTS,
    PLAN,
    RECIPE,
    STILL_SUFFIXES,
    STILLS,
    SUMMARY,
    Layout,
    commit_name,
    part_name,
)
from nutonic.planning.plan_file import PlanFile
from nutonic.planning.planned import PlannedPlaces
from nutonic.recipe.outputs import Output
from nutonic.sources.annotators import ANSWERS, REQUESTS
from nutonic.sources.osm import MAPS


def owned_by(store: Store, layout: Layout, output: Output, plan: PlanFile) -> Ownership:
    """Which files of a tree its plan makes nutonic's."""
    return PlacesOwnership(store, plan.planned, layout=layout, output=output)


_FIXED = frozenset({MARKER, PLAN, RECIPE, SUMMARY, CARD})
_FOLDERS = frozenset({META, COMMITS, PARTS, "images", "metadata", "overlays", STILLS, "data"})
_TEMPORARY = re.compile(r"(?P<name>.+)#\d+")
_TILE = re.compile(
    r"(?P<folder>images|metadata|overlays)/(?P<shard>s\d+)/(?P<poi>.+)_t(?P<tile>\d{4,})(?:_(?P<view>[a-z]\w*?))?"
    r"(?:__(?P<row>[a-z]+(?:_[a-z]+)*(?:_\d+)?))?\.(?P<suffix>\w+)"
)
_STILL = re.compile(rf"{STILLS}/(?P<shard>s\d+)/(?P<poi>[^/]+)\.(?:{'|'.join(STILL_SUFFIXES)})")
_SHARD = re.compile(rf"(?:images|metadata|overlays|{STILLS})/(?P<name>s\d+)")
#: Files beside a plan: the catalogue's items, the map's elements, and the tokens by which workers prove that they see it.
_BESIDE = re.compile(
    rf"{META}/(?:items-[0-9a-f]{{12}}\.parquet|osm-[0-9a-f]{{12}}\.sqlite|token-[0-9a-f]{{32}}(?:-[A-Za-z0-9-]+)?)"
)

#: What was paid for, or asked of a map's server: it stays, whoever has use for it.
_KEPT = re.compile(
    rf"{ANSWERS}/[0-9a-f]{{2}}/[0-9a-f]{{64}}\.json|{REQUESTS}/[A-Za-z0-9._ -]{{1,64}}\.jsonl|{MAPS}/[0-9a-f]{{64}}\.json"
)
_KEPT_FOLDER = re.compile(rf"{ANSWERS}(?:/[0-9a-f]{{2}})?|{REQUESTS}|{MAPS}")

_LITTER = frozenset({".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".directory"})


def is_marked(out: AnyPath) -> bool:
    """Whether a folder has the marker of a tree. Links are followed; :func:`refuse_obstacles` refuses them."""
    if isinstance(out, Address):
        return _is_marked_there(Store(out))
    return has_marker(out)


def _is_marked_there(store: Store) -> bool:
    try:
        return store.get(MARKER) == MARKER_BYTES
    except FileNotFoundError:
        return False


def mark(store: Store) -> bool:
    """Make a folder a tree, before anything else is written in it; True if it was not one before."""
    if store.has(MARKER) and store.get(MARKER) == MARKER_BYTES:
        return False
    new = create_marker(store, MARKER, MARKER_BYTES)
    if store.get(MARKER) != MARKER_BYTES:
        raise _foreign(store.root or Path())
    return new


def unmark(store: Store) -> None:
    """Remove the marker from a folder whose ``_nutonic/`` holds nothing else."""
    if {path for path, _ in store.sizes(META)} == {MARKER}:
        store.delete(MARKER)


def refuse_foreign(out: AnyPath) -> None:
    """Raise :class:`NotNutonic` where nothing may be built.

    That is a file; a folder that is not empty and has no marker; one that lies in a tree; and a tree in which something
    else, such as a link, is in the place of one of its folders or fixed files. In an object store there are neither files
    nor links in the way, but there are trees and Zarr stores.
    """
    if isinstance(out, Address):
        store = Store(out)
        if not _is_marked_there(store):  # one that is was no part of anything else when it was begun
            refuse_within_store(out)
            # Its marker is the first file of a tree: who sees files asks once more, since another driver may have begun.
            if next(store.sizes(), None) is not None and not _is_marked_there(store):
                raise _foreign(out)
        return
    names = names_in(out)
    if names and not is_marked(out) and not (names == [META] and only_begun(out / MARKER, MARKER_BYTES)):
        raise _foreign(out)
    refuse_obstacles(out)


def names_in(out: Path) -> list[str]:
    """What lies in an output folder, sorted; nothing where there is none yet.

    Raises
    ------
    NotNutonic
        If it is no folder, cannot be looked into, or would lie in a tree.
    """
    try:
        blocked = next((path for path in (out, *out.parents) if path.exists() and not path.is_dir()), None)
        names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    except OSError as error:
        raise NotNutonic(f"{str(out)[:200]} cannot be used: {(error.strerror or 'unreadable').lower()}") from None
    if blocked is not None or (out.is_symlink() and not out.exists()):
        what = f"{blocked} is a file" if blocked is not None else f"{out} is a link to nothing"
        raise NotNutonic(f"{what}: --out must name a folder")
    refuse_within(out)
    return names


def refuse_output(path: Path, *, beside: int = 0) -> None:
    """Raise where nothing may be made, whatever it is: see :func:`~nutonic.io.atomic.refuse_unusable`, and within a tree."""
    refuse_unusable(path, beside=beside)
    refuse_within(path)


def refuse_obstacles(out: AnyPath) -> None:
    """Raise :class:`NotNutonic` if a link, or a thing of another kind, is in the place of a folder or a fixed file."""
    if isinstance(out, Address):
        return
    kinds = [(path, True) for path in sorted(_FOLDERS)] + [(path, False) for path in sorted(_FIXED)]
    for path, folder in kinds:
        if (obstacle := obstacle_at(out, path, folder=folder)) is not None:
            raise NotNutonic(f"{obstacle}; nothing was changed")


def _foreign(out: AnyPath) -> NotNutonic:
    return NotNutonic(
        f"{out} holds files that are not nutonic's (it has no {MARKER} of nutonic's): name a new or an empty folder"
    )


def only_begun(marker: Path, content: bytes) -> bool:
    """Whether a marker's folder holds only temporaries of it, as a driver killed while writing it leaves them."""
    folder = marker.parent
    if folder.is_symlink() or not folder.is_dir():
        return False
    for file in folder.iterdir():
        plain = S_ISREG(file.lstat().st_mode) and file.stat().st_size <= len(content)
        if not plain or not re.fullmatch(rf"{re.escape(marker.name)}#\d+", file.name):
            return False
        if not content.startswith(file.read_bytes()):
            return False
    return True


@dataclass(frozen=True)
class Ownership:
    """Which files of a tree are nutonic's, by its plan and commits; the plan is read once it matters.

    What the plan leads to depends on the kind of the tree: see :class:`PlacesOwnership`.
    """

    store: Store
    planned: PlannedPlaces
    committed: Collection[str] = field(default=frozenset())
    """Files that commits name, also commits of another plan."""

    def with_committed(self, paths: Iterable[str]) -> Ownership:
        """A copy that also owns these files, which commits of nutonic name; such as no commit can name are left out."""
        safe = {path for path in paths if may_be_committed(path) or commit_name(path) is not None}
        return replace(self, committed=frozenset(self.committed) | safe)

    def has(self, path: str) -> bool:
        """Whether a file at this path is nutonic's to replace and to remove."""
        temporary = _TEMPORARY.fullmatch(path)
        name = temporary["name"] if temporary else path
        return name in _FIXED or name in self.committed or self._is_planned(name)

    def has_folder(self, path: str) -> bool:
        """Whether nutonic writes files into the folder at this path."""
        return path in _FOLDERS or _KEPT_FOLDER.fullmatch(path) is not None

    def is_kept(self, path: str) -> bool:
        """Whether a file is of what was paid for, or asked of a map's server: such stays, whoever has use for it."""
        return _KEPT.fullmatch(path) is not None

    def may_be_empty(self, path: str) -> bool:
        """Whether a folder is one that nutonic makes, for this plan or for one before it, whose files may be gone."""
        return self.has_folder(path) or _SHARD.fullmatch(path) is not None

    def remove(self, path: str) -> bool:
        """Remove a file if it is nutonic's; True if it was. Every removal from a tree goes through here."""
        if not self.store.is_file(path) or not self.has(path):
            return False
        self.store.delete(path)
        return True

    def obstacles(self) -> Iterator[tuple[str, str]]:
        """Path of each link, or thing of another kind, in the place of a file or folder of nutonic's, with a line on it."""
        if self.store.disk is None:  # elsewhere there are none
            return
        for path, status in self.store.found():
            is_folder, is_file = S_ISDIR(status.st_mode), S_ISREG(status.st_mode)
            folder = not is_folder and self.has_folder(path)
            if folder or (not is_file and self.has(path)):
                obstacle = obstacle_at(self.store.disk, path, folder=folder)
                yield from [(path, obstacle)] if obstacle else []

    def refuse_obstacles(self) -> None:
        """Raise :class:`NotNutonic` at the first obstacle."""
        for _, obstacle in self.obstacles():
            raise NotNutonic(f"{obstacle}; nothing was changed")

    def _is_planned(self, path: str) -> bool:
        return _BESIDE.fullmatch(path) is not None or self.is_kept(path) or self._is_of_batch(path)

    def _is_of_batch(self, path: str) -> bool:
        """Whether a path is a commit or its rows: those of a batch of the plan, or any commit with nutonic's seal."""
        commit, part = commit_name(path), part_name(path)
        name = commit or part
        if name is None:
            return False
        if self.planned.counts.get(name.batch, 0) > (name.place or 0):
            return True
        return commit is not None and self._is_sealed(path)

    def _is_sealed(self, path: str) -> bool:
        try:
            return self.store.is_file(path) and bool(unsealed(self.store.get(path), path))
        except (Corrupt, FileNotFoundError):
            return False


@dataclass(frozen=True, kw_only=True)
class PlacesOwnership(Ownership):
    """Which files of a tree of places are nutonic's."""

    layout: Layout
    output: Output

    def has_folder(self, path: str) -> bool:
        """Whether nutonic writes files into the folder at this path."""
        shard = _SHARD.fullmatch(path)
        return super().has_folder(path) or (shard is not None and shard["name"] in self._shards)

    def _is_planned(self, path: str) -> bool:
        if path.startswith(("images/", "metadata/", "overlays/")):
            return self._is_of_tile(path)
        if path.startswith(f"{STILLS}/"):
            return self._is_still(path)
        return self._is_rows(path) if path.startswith("data/") else super()._is_planned(path)

    def _is_of_tile(self, path: str) -> bool:
        match = _TILE.fullmatch(path)
        place = match and self.planned.by_id.get(match["poi"])
        if not match or not place or self.layout.shard_at(place.ordinal, place.variant) != match["shard"]:
            return False
        layout = self.layout
        if int(match["tile"]) >= len(layout.tiles) or match["view"] not in (None, *layout.views):
            return False
        right = f"{match['poi']}_t{int(match['tile']):04d}" + (f"_{match['view']}" if match["view"] else "")
        row = f"__{match['row']}" if match["row"] else ""
        if row and not layout.overlays:
            return False
        return path.endswith(f"/{right}{row}.{match['suffix']}") and _is_named_by_kind(match)

    def _is_still(self, path: str) -> bool:
        match = _STILL.fullmatch(path)
        place = match and self.planned.by_id.get(match["poi"])
        if not match or not place or not self.layout.stills:
            return False
        return self.layout.shard_at(place.ordinal, place.variant) == match["shard"]

    def _is_rows(self, path: str) -> bool:
        split = "|".join(SPLITS)
        many = "" if self.output.rows_per_file is None else r"-\d{5,}-of-\d{5,}"
        return bool(re.fullmatch(rf"data/(?:{split}){many}\.jsonl", path))

    @lazily
    def _shards(self) -> frozenset[str]:
        table = self.planned.by_id
        orders = zip(table.ordinals.tolist(), table.variants.tolist(), strict=True)
        return frozenset(self.layout.shard_at(ordinal, variant) for ordinal, variant in orders)


def _is_named_by_kind(match: re.Match[str]) -> bool:
    """Whether a file of a tile is named as those of its folder are: pictures, sidecars, and pictures of rows."""
    suffix = "json" if match["folder"] == "metadata" else "png"
    return match["suffix"] == suffix and (match["row"] is not None) == (match["folder"] == "overlays")


def is_beside(path: str) -> bool:
    """Whether a plan may name a file at this path as one that lies beside it."""
    return _BESIDE.fullmatch(path) is not None


def is_litter(path: str) -> bool:
    """Whether an operating system puts such files into folders that are looked at; nutonic leaves them alone."""
    name = path.rsplit("/", 1)[-1]
    return name in _LITTER or name.startswith("._")


def may_be_committed(path: str) -> bool:
    """Whether a commit, of whatever plan, may name a file at this path: a chip, a sidecar, a still, or its rows."""
    tile = _TILE.fullmatch(path)
    if tile is not None:
        return "/" not in tile["poi"] and _is_named_by_kind(tile)
    return part_name(path) is not None or _STILL.fullmatch(path) is not None


def named_by_commits(store: Store) -> set[str]:
    """Paths of the readable commits, and of the files that they name."""
    paths: set[str] = set()
    for path, _ in list(store.sizes(COMMITS)):
        try:
            content = unsealed(store.get(path), path) if store.is_file(path) else {}
        except (Corrupt, FileNotFoundError):
            continue
        paths |= {path, *files_of(content)} if {"part", "places"} <= content.keys() else set()
    return paths


def files_of(content: Json) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 of every file that a commit names, by path: its places' files, and the part of rows."""
    files = {path: tuple(entry) for place in content["places"] for path, entry in place["files"].items()}
    return {**files, **{path: tuple(entry) for path, entry in content["part"].items()}}
