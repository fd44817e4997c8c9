"""The files of a tree that was made, opened when they are asked for, and none that lies elsewhere."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from nutonic.core.model import SPLITS, Json
from nutonic.errors import Corrupt, NotNutonic
from nutonic.io.objects import unsealed
from nutonic.planning.layout import RECIPE, SUMMARY

if TYPE_CHECKING:
    from PIL.Image import Image

    from nutonic.core.classes import ClassTable

#: Folders of which rows may name files.
_PICTURES = ("images/", "mapbox_stills/", "overlays/")


class TreeFiles:
    """The files of a finished tree, and what it lacks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        found = sorted(path.name for path in (root / "data").glob("*.jsonl"))
        names = [(name, split) for split in SPLITS for name in found if name.split(".")[0].split("-")[0] == split]
        self.files = tuple((f"data/{name}", split) for name, split in names)
        self.lacking = self._lacking()

    def _lacking(self) -> str | None:
        """What is not there, in words; None if the build has finished, and all rows are there."""
        try:
            summary = unsealed(self.file(SUMMARY).read_bytes(), SUMMARY)
        except Corrupt:
            return "the build has not finished: run it again"
        if summary.get("still_open"):
            return f"{summary['still_open']} places are not built: build again"
        sizes = {path: self.file(path).stat().st_size for path, _ in self.files}
        wrong = next((path for path, size in summary.get("data", {}).items() if sizes.get(path) != size), None)
        return None if wrong is None else f"{wrong} is missing or not what was written: run nutonic verify"

    @cached_property
    def table(self) -> ClassTable:
        """What class ids mean: as the recipe in the tree says."""
        from nutonic.recipe.yaml import of_places, parse_recipe_text

        return of_places(parse_recipe_text(self.file(RECIPE).read_text(encoding="utf-8"))).labels.table

    def file(self, path: str) -> Path:
        """A file of the tree; :class:`Corrupt` if it is not there, :class:`NotNutonic` if it lies elsewhere."""
        file = self.root / path
        if not file.resolve().is_relative_to(self.root):
            raise NotNutonic(f"{path[:200]} leads out of the folder: put the file itself there")
        if not file.is_file():
            raise Corrupt(f"{path[:200]} is missing: run nutonic verify")
        return file

    def picture_file(self, path: str) -> Path:
        """The file of a picture that a row names."""
        if not path.startswith(_PICTURES):
            raise NotNutonic(f"{path[:200]} is named by a row, and lies where no pictures are")
        return self.file(path)

    def picture(self, path: str) -> Image:
        """A picture that a row names."""
        from PIL import Image

        picture = Image.open(self.picture_file(path), formats=["PNG", "JPEG"])
        picture.load()
        return picture

    @staticmethod
    def json(path: str, data: bytes) -> Json:
        """A JSON object of a file."""
        try:
            return dict(orjson.loads(data))
        except (orjson.JSONDecodeError, TypeError, ValueError):
            raise Corrupt(f"{path} holds what is no JSON object: run nutonic verify --deep") from None
