"""Trees of a planet so small that a build is some thirty operations, and what must be true of those that were killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import yaml

from nutonic import load_recipe
from nutonic.dataset.verify import verify
from nutonic.errors import StoreError
from nutonic.run.run import build
from nutonic.testing import SyntheticPlanet
from support.crashing import Forks, Operation
from support.seals import files_of
from support.worlds import written


def tree(out: Path) -> dict[str, bytes]:
    """Every file outside _nutonic."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if not name.startswith("_nutonic/")}


def commits(out: Path) -> list[dict]:
    return [json.loads(path.read_bytes()) for path in sorted((out / "_nutonic" / "commits").iterdir())]


#: Of the planet's places: three batches, two of them of several places, one rejected tile, one place without a scene.
FEW = (0, 1, 4, 5, 7, 8, 9, 10, 11, 13)

#: One tile a place.
SMALL = {"grid": {"extent_m": 700}}


def small_planet(folder: Path, few: tuple[int, ...] = FEW, **parts: dict) -> Path:
    """Write a planet with few places; its recipe."""
    recipe = written(SyntheticPlanet(3), folder, only=("full", "east-raw", "west"), **SMALL, **parts)
    header, *lines = (folder / "pois.csv").read_text(encoding="utf-8").splitlines()
    (folder / "pois.csv").write_text("\n".join([header, *(lines[i] for i in few), ""]), encoding="utf-8")
    return recipe


class Clean(NamedTuple):
    """What a build gives that nobody disturbs."""

    recipe: Path
    out: Path
    files: dict[str, bytes]
    """Every file outside _nutonic, and its bytes."""
    beside: set[str]
    """Names of the files within it."""
    operations: tuple[Operation, ...]
    """What was asked of the store, in order, if that is known."""
    batches: dict[int, set[str]]
    """The files of each batch, its commit aside."""

    def batch_of(self, path: str) -> int | None:
        """The batch that a file or a commit belongs to."""
        for batch, files in self.batches.items():
            if path in files or path.startswith(f"_nutonic/commits/{batch:06d}"):
                return batch
        return None


def clean_tree(recipe: Path, out: Path, forks: Forks | None = None) -> Clean:
    """Build undisturbed; only in a fork is it known what was asked of the store."""
    operations: tuple[Operation, ...] = ()
    if forks is None:
        assert build(load_recipe(recipe), out, workers=0).complete
    else:
        ended = forks.run(recipe, out)
        assert ended.code == 0, ended.told
        operations = ended.operations
    assert verify(out, deep=True).problems == ()
    return Clean(recipe, out, tree(out), names_beside(out), operations, files_of_batches(out))


def files_of_batches(out: Path) -> dict[int, set[str]]:
    """Files that the commits of a tree name, by batch."""
    found: dict[int, set[str]] = {}
    for path in (out / "_nutonic" / "commits").iterdir():
        found.setdefault(int(path.stem[:6]), set()).update(files_of(json.loads(path.read_bytes())))
    return found


def names_beside(out: Path) -> set[str]:
    """Names of the files within _nutonic."""
    return {path.relative_to(out).as_posix() for path in (out / "_nutonic").rglob("*") if path.is_file()}


def committed_batches(out: Path) -> set[int]:
    return {int(path.stem[:6]) for path in (out / "_nutonic" / "commits").glob("*.json")}


def half_done(out: Path, batches: dict[int, set[str]], since: float = 0.0) -> dict[int, int]:
    """Batches without a commit of any kind of which there are files, written after a time; and how many of them."""
    begun = committed_batches(out)
    there = {batch: sum(written_at(out / name) > since for name in files) for batch, files in batches.items()}
    return {batch: count for batch, count in there.items() if count and batch not in begun}


def written_at(path: Path) -> float:
    """When a file was written, seconds; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def same_as(out: Path, clean: Clean) -> None:
    """Byte for byte the tree that was never killed: no orphan, no duplicate, no gap."""
    found = tree(out)
    differ = sorted(name for name in found.keys() | clean.files.keys() if found.get(name) != clean.files.get(name))
    assert differ == [], differ
    assert [path for path in out.rglob("*") if "#" in path.name] == []
    problems = verify(out, deep=True).problems
    assert problems == (), problems


def called_whole(out: Path, *, deep: bool = True) -> bool:
    """What verify says; a tree that it cannot read is not whole."""
    try:
        return verify(out, deep=deep).whole
    except StoreError:
        return False


def with_catalogue(recipe: Path, without: str) -> Path:
    """The same recipe on a catalogue that lacks a scene; only what a search finds is another."""
    folder, values = recipe.parent, yaml.safe_load(recipe.read_text(encoding="utf-8"))
    catalogue = json.loads((folder / "items.json").read_text(encoding="utf-8"))
    catalogue["features"] = [item for item in catalogue["features"] if item["id"] != without]
    (folder / "items-later.json").write_text(json.dumps(catalogue), encoding="utf-8")
    values["imagery"]["url"] = "items-later.json"
    path = folder / "recipe-later.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path
