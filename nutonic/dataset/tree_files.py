"""The files of a tree that was made, opened when they are asked for, and none that lies elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import orjson

from nutonic.core.model import SPLITS, Json
from nutonic.core.units import counted
from nutonic.errors import Corrupt, NotNutonic
from nutonic.io.buckets.address import AnyPath
from nutonic.io.files import real_path
from nutonic.io.objects import Store, unsealed
from nutonic.lazily import lazily
from nutonic.planning.layout import RECIPE, SUMMARY

if TYPE_CHECKING:
    from PIL.Image import Image

    from nutonic.core.classes import ClassTable

T = TypeVar("T")

#: Folders of which rows may name files.
_PICTURES = ("images/", "mapbox_stills/", "overlays/")


class TreeFiles:
    """The files of a finished tree, and what it lacks."""

    def __init__(self, root: AnyPath) -> None:
        self.root, self._store = root, Store(root)
        found = sorted(name for name in self._data_files() if name.endswith(".jsonl"))
        names = [(name, split) for split in SPLITS for name in found if name.split(".")[0].split("-")[0] == split]
        self.files = tuple((f"data/{name}", split) for name, split in names)
        self.lacking = self._lacking()

    def _data_files(self) -> list[str]:
        if isinstance(self.root, Path):
            return [path.name for path in (self.root / "data").glob("*")]
        return [path.removeprefix("data/") for path, _ in self._store.sizes("data") if path.count("/") == 1]

    def _lacking(self) -> str | None:
        """What is not there, in words; None if the build has finished, and all rows are there."""
        try:
            summary = unsealed(self.read(SUMMARY), SUMMARY)
        except Corrupt:
            there = self._store.is_file(SUMMARY)
            return f"{SUMMARY} is damaged: build again" if there else "the build has not finished: run it again"
        if summary.get("still_open"):
            return f"{counted(summary['still_open'], 'place is', 'places are')} not built: build again"
        sizes = {path: self.size(path) for path, _ in self.files}
        wrong = next((path for path, size in summary.get("data", {}).items() if sizes.get(path) != size), None)
        if wrong is None:
            return None
        return f"{wrong} is {'not what was written' if wrong in sizes else 'missing'}: run nutonic verify"

    @lazily
    def table(self) -> ClassTable:
        """What class ids mean: as the recipe in the tree says."""
        from nutonic.recipe.yaml import of_places, parse_recipe_text

        return of_places(parse_recipe_text(self.read(RECIPE).decode())).labels.table

    def open(self, path: str) -> BinaryIO:
        """A file of the tree; :class:`Corrupt` if it is not there, :class:`NotNutonic` if it lies elsewhere."""
        return self._within(path, self._store.open)

    def size(self, path: str) -> int:
        """Bytes of a file; raises as :meth:`open`."""
        return self._within(path, self._store.size)

    def _within(self, path: str, ask: Callable[[str], T]) -> T:
        if isinstance(self.root, Path) and not real_path(self.root / path).is_relative_to(self.root):
            raise NotNutonic(f"{path[:200]} leads out of the folder: put the file itself there")
        try:
            return ask(path)
        except FileNotFoundError:
            raise Corrupt(f"{path[:200]} is missing: run nutonic verify") from None

    def read(self, path: str) -> bytes:
        """The bytes of a file; raises as :meth:`open`."""
        with self.open(path) as file:
            return file.read()

    def picture_bytes(self, path: str) -> bytes:
        """The bytes of a picture that a row names."""
        if not path.startswith(_PICTURES):
            raise NotNutonic(f"{path[:200]} is named by a row, and lies where no pictures are")
        return self.read(path)

    def picture(self, path: str) -> Image:
        """A picture that a row names."""
        from PIL import Image

        picture = Image.open(io.BytesIO(self.picture_bytes(path)), formats=["PNG", "JPEG"])
        picture.load()
        return picture

    @staticmethod
    def json(path: str, data: bytes) -> Json:
        """A JSON object of a file."""
        try:
            return dict(orjson.loads(data))
        except (orjson.JSONDecodeError, TypeError, ValueError):
            raise Corrupt(f"{path} holds what is no JSON object: run nutonic verify --deep") from None
