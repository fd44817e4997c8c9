"""Which files of a pack or a tree go to the Hub: only those that nutonic's own records name, with their hashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nutonic.core.model import Json
from nutonic.dataset.commits import committed, read_commits
from nutonic.dataset.packs.layout import PACKED, PACKING, ROWS, SHARDS, is_pack
from nutonic.dataset.packs.tree import ended_summary
from nutonic.dataset.shards.finish import committed_patches, state_of
from nutonic.errors import Corrupt, InputError, NotNutonic
from nutonic.io.objects import Store, unsealed
from nutonic.planning.layout import CARD
from nutonic.planning.ownership import files_of, is_marked, refuse_obstacles
from nutonic.planning.plan_file import read_plan
from nutonic.recipe.patches import PatchRecipe
from nutonic.recipe.yaml import parse_recipe_text

#: Files of a commit at most, by the Hub's advice; and bytes, so that one that is interrupted has not much to send again.
BATCH_FILES, BATCH_BYTES = 90, 2 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A file that is to be on the Hub."""

    path: str
    """In the folder, and in the repository."""
    size: int
    """In bytes."""
    sha256: str | None
    """Hex; None of a file that a person may have changed, such as the card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """All that goes to the Hub of a folder."""

    root: Path
    files: tuple[Outgoing, ...]
    """In the order in which they are sent: the card last, so that it never names what is not there."""

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(file.size for file in self.files)


def cargo_of(folder: Path) -> Cargo:
    """What goes to the Hub of a finished pack or tree.

    ``_nutonic/`` stays here: plan and recipe say where their inputs lie on this machine.

    Raises
    ------
    NotNutonic
        If the folder is neither, or a folder of it is a link.
    InputError
        If it is not finished.
    Corrupt
        If a file is missing, or not of the size that was written.
    """
    store = Store(folder)
    if is_pack(folder):
        named = _of_pack(store)
    elif is_marked(folder):
        refuse_obstacles(folder)
        named = _of_tree(store)
    else:
        raise NotNutonic(f"{folder} is neither a pack nor a dataset of nutonic's")
    files = [_there(folder, path, size, digest) for path, (size, digest) in sorted(named.items())]
    card = folder / CARD
    if not store.is_file(CARD):
        problem = "is no file" if card.is_symlink() or card.exists() else "is missing"
        raise Corrupt(f"{card} {problem}: a dataset without its card tells neither licence nor provenance")
    last = Outgoing(path=CARD, size=card.stat().st_size, sha256=None)
    return Cargo(root=folder, files=(*files, last))


def _of_pack(store: Store) -> dict[str, tuple[int, str | None]]:
    try:
        packed = unsealed(store.get(PACKED), PACKED)
        unsealed(store.get(PACKING), PACKING)
    except FileNotFoundError:
        raise InputError(f"{store.root} is not finished: run nutonic pack again, then push it") from None
    except Corrupt as error:
        raise Corrupt(f"{error}: pack anew into a new folder, then push that") from None
    named = dict(_entries(packed["files"]))
    for path, _ in store.sizes(SHARDS):
        named |= {p: entry for p, entry in _entries(unsealed(store.get(path), path)["files"]) if not p.startswith(ROWS)}
    return named


def _of_tree(store: Store) -> dict[str, tuple[int, str | None]]:
    done = committed(store)
    patches = _patches_of(store)
    summary = ended_summary(store, done.digest() if patches is None else state_of(store, done), "push it")
    named: dict[str, tuple[int, str | None]] = {}
    for _, content in read_commits(store, done):
        named |= {path: entry for path, entry in files_of(content).items() if not path.startswith("_nutonic/")}
    if patches is not None and patches.shards.chat:
        named |= {path: (store.size(path), None) for path in committed_patches(store, done).pictures()}
    data = summary.get("data") or {}
    return named | {path: (_size(entry), _digest(entry)) for path, entry in data.items()}


def _patches_of(store: Store) -> PatchRecipe | None:
    """The recipe of a tree of patches; None of any other tree."""
    recipe = parse_recipe_text(read_plan(store).recipe)
    return recipe if isinstance(recipe, PatchRecipe) else None


def _entries(files: Json) -> Iterator[tuple[str, tuple[int, str | None]]]:
    yield from ((path, (int(size), str(digest))) for path, (size, digest) in files.items())


def _size(entry: int | list[object]) -> int:
    return entry if isinstance(entry, int) else int(str(entry[0]))


def _digest(entry: int | list[object]) -> str | None:
    return None if isinstance(entry, int) else str(entry[1])


def _there(folder: Path, path: str, size: int, digest: str | None) -> Outgoing:
    file = folder / path
    there = file.is_symlink() or file.exists()
    if file.is_symlink() or not file.is_file() or file.stat().st_size != size:
        problem = "is not what was written" if there else "is missing"
        raise Corrupt(f"{path} {problem}: nothing was sent; run nutonic verify, or pack again")
    return Outgoing(path=path, size=size, sha256=digest)


def batches(files: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """Files in groups of a commit each."""
    batch, held, rest = list[Outgoing](), 0, iter(files)
    for file in rest:
        if batch and (len(batch) == BATCH_FILES or held + file.size > BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(file)
        held += file.size
    if batch:
        yield batch


def count_up_to(folder: Path, most: int) -> int:
    """Number of files below a folder, no more than `most`."""
    return sum(1 for _ in islice((path for path in folder.rglob("*") if path.is_file()), most))
