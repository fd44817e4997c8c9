"""A row of the table, and the place where it happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from support.trees import Clean


class Tree(Enum):
    """What the output folder is afterwards."""

    NONE = "there is none"
    CLEAN = "every byte is that of the tree that nobody disturbed, and verify calls it whole"
    RESUMED = "what there is of places is right, and without the hostility the same command makes the clean tree"
    CUBE = "there is a cube with a marker"
    WHOLE = "there is a whole tree of all places"
    ANY = "there may be one"
    EMPTY = "there is a whole tree of no place"
    REPLANNED = "as before, with --replan, since a local file is another than was planned"
    SAME = "no byte is another than before"
    MENDED = "what was the user's is as before, and a build makes the clean tree of it"


@dataclass
class Here:
    """A folder with a small world of its own, a recipe for it, and what is done to them."""

    folder: Path
    clean: Clean
    stack: ExitStack
    """Ends servers and the like."""
    environment: dict[str, str] = field(default_factory=dict)
    heal: list[Callable[[], object]] = field(default_factory=list)
    """What ends the hostility; by default the world is written anew."""
    address: str = ""
    """Where its files are served, if they are."""

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    def values(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / "recipe.yaml").read_text(encoding="utf-8"))

    def recipe(self, **parts: Any) -> None:
        """Other values in the recipe, by part."""
        values = self.values()
        for name, part in parts.items():
            values[name] = {**values.get(name, {}), **part} if isinstance(part, dict) else part
        self.write("recipe.yaml", yaml.safe_dump(values, sort_keys=False))

    def restore(self) -> None:
        """The world as it was at first."""
        for source in self.clean.recipe.parent.iterdir():
            target = self.folder / source.name
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            target.unlink(missing_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)


World = Callable[[Here], object]


class Row(NamedTuple):
    """One case."""

    name: str
    world: World
    """Makes the place hostile."""
    command: str
    code: int
    """The exit code."""
    says: str
    """A part of what is told, on one line."""
    tree: Tree = Tree.NONE
    seconds: float = 90.0
    """The most that it may take, on a machine with several times as much to do as it has cores."""
    megabytes: int = 150
    """The most that it may hold beyond what every command holds."""
    environment: Mapping[str, str] = {}
    """Variables with which a program of its own is started, not forked from one that has imported all."""
    limits: Mapping[str, Any] = {}
    """What a system lacks; see :mod:`support.limited`."""


BUILD, PLAN = "build recipe.yaml --out out --workers 0", "plan recipe.yaml --out out"
VERIFY, FIX = "verify out --deep", "verify out --deep --fix"


def both(*worlds: World) -> World:
    """One after another."""

    def world(here: Here) -> None:
        for each in worlds:
            each(here)

    return world


def plain(here: Here) -> None:
    """Nothing is wrong."""


def finished(here: Here) -> None:
    """The output folder holds the finished tree."""
    shutil.copytree(here.clean.out, here.out)
