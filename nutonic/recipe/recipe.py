"""The recipe: everything that determines a dataset, as one frozen, validated value.

Reading one from YAML is :mod:`nutonic.recipe.yaml`. A recipe never holds a secret.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import orjson
import yaml
from pydantic import Field, model_validator

from nutonic.core.classes import DAYS
from nutonic.core.model import Json
from nutonic.core.tiling import pixels
from nutonic.recipe import texts
from nutonic.recipe.annotation import WHERE_AND_HOW
from nutonic.recipe.card import Card
from nutonic.recipe.context import Context
from nutonic.recipe.fields import IDENTITY, Whole, without_unused
from nutonic.recipe.inputs import Imagery, Labels, Pois
from nutonic.recipe.outputs import Cube, Grid, Output, Quality, Rows, Splits, Stretch, Tiles
from nutonic.secrets import redact

#: Of a place's square: its side in pixels, and positions of tiles in it.
MOST_SIDE_PX, MOST_TILES = 100_000, 1_000_000


#: Classes that a question of ``rows.choice`` gives to choose from.
CHOICES = 5


class Recipe(Whole):
    """A whole recipe. Build one in Python, or read one with :func:`nutonic.load_recipe`."""

    LONG: ClassVar[frozenset[str]] = frozenset({"rows"})
    PATHS: ClassVar[tuple[str, ...]] = ("pois.path", "labels.path", "labels.url", "imagery.url", "cube.area")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    pois: Pois
    grid: Grid = Grid()
    imagery: Imagery
    labels: Labels
    tiles: Tiles = Tiles()
    quality: Quality = Quality()
    stretch: Stretch = Stretch()
    rows: Rows = Rows()
    context: Context = Context()
    splits: Splits = Splits()
    output: Output = Output()
    card: Card = Card()
    cube: Cube = Cube()

    @model_validator(mode="after")
    def _tiles_fit(self) -> Recipe:
        try:
            pixels(self.grid.extent_m, self.grid.resolution_m)
        except ValueError as error:
            raise ValueError(f"{error}: see grid.extent_m and grid.resolution_m") from None
        if self.tiles.size > self.side:
            raise ValueError(
                f"tiles.size ({self.tiles.size} px) is larger than the square of grid.extent_m ({self.side} px)"
            )
        along = (self.side - self.tiles.size) // self.tiles.stride + 1
        if self.side > MOST_SIDE_PX or along**2 > MOST_TILES:
            raise ValueError(
                f"a square of {self.side:,} pixels a side with {along**2:,} tiles is more than {MOST_SIDE_PX:,} or "
                f"{MOST_TILES:,}: see grid.extent_m, grid.resolution_m and tiles.stride"
            )
        return self

    @model_validator(mode="after")
    def _classes_are_no_picture(self) -> Recipe:
        judged_by = self.quality.classification
        if judged_by is not None and judged_by.asset in (*self.imagery.bands, self.labels.table.band.name, DAYS.name):
            raise ValueError(
                f"shows {judged_by.asset} and judges tiles by it: in imagery.assets give it a name of its own, "
                f"{{asset: {judged_by.asset}, name: shown}}, or set quality.classes to null"
            )
        return self

    @model_validator(mode="after")
    def _splits_by_what_is_kept(self) -> Recipe:
        if self.splits.column is not None and self.splits.column not in self.pois.keep:
            raise ValueError(f"splits by the column {self.splits.column!r:.60}, which is not kept: add it to pois.keep")
        return self

    @model_validator(mode="after")
    def _one_earth_engine(self) -> Recipe:
        for key in ("project", "url"):
            values = {getattr(part, key) for part in (self.imagery, self.labels) if part.source == "earthengine"}
            if len(values - {None}) > 1:
                raise ValueError(f"has two of Earth Engine's {key}: imagery.{key} and labels.{key} must be the same")
        return self

    @property
    def earthengine(self) -> tuple[str | None, str | None] | None:
        """Earth Engine's URL and Cloud project, from whichever part gives them; None if no part uses it."""
        parts = [part for part in (self.imagery, self.labels) if part.source == "earthengine"]
        url, project = (next((v for part in parts if (v := getattr(part, key))), None) for key in ("url", "project"))
        return (url, project) if parts else None

    @property
    def full_imagery(self) -> Imagery:
        """`imagery`, completed with the Earth Engine URL and project that `labels` gives."""
        return self.imagery.model_copy(update=self._of_service(self.imagery))

    @property
    def full_labels(self) -> Labels:
        """`labels`, completed with the Earth Engine URL and project that `imagery` gives."""
        return self.labels.model_copy(update=self._of_service(self.labels))

    def _of_service(self, part: Imagery | Labels) -> dict[str, str | None]:
        url, project = self.earthengine or (None, None)
        return {"url": url, "project": project} if part.source == "earthengine" else {}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Paths and URLs that the recipe reads from."""
        labels = self.labels.path if isinstance(self.labels.path, tuple) else (self.labels.path,)
        named = (self.pois.path, self.imagery.url, *labels, self.labels.url, self.cube.area)
        return tuple(path for path in named if isinstance(path, str))

    @property
    def side(self) -> int:
        """Pixels along a side of a place's square."""
        return pixels(self.grid.extent_m, self.grid.resolution_m)

    @property
    def in_vain(self) -> tuple[str, ...]:
        """What is asked for and can never be, each in a line with its keys."""
        few = len(self.labels.table.labels)
        if self.rows.choice and few < CHOICES:
            return (
                f"rows.choice asks to choose from {CHOICES} classes, and labels.dataset has {few}: no such row is made",
            )
        return ()

    def digest(self) -> str:
        """SHA-256 (hex) over all that determines pixels and rows; locations and ways of reading are left out.

        Keys at their default do not count, so a recipe keeps its digest when nutonic learns a new key.
        """
        whole = self.model_dump(mode="json", exclude_defaults=True, exclude={"card", "cube"})
        for part, names in _NOT_IN_DIGEST.items():
            for name in names:
                whole[part].pop(name, None)
        whole |= self._context_in_digest(whole.pop("context", {}))
        whole["wording"] = texts.digest_of(self.rows.wording)
        whole.get("rows", {}).pop("wording", None)
        if self.rows.polish is not None:
            whole["rows"]["polish"] |= {"prompts": texts.digest_of(self.rows.polish.prompts, "prompts")}
            for annotator in whole["rows"]["polish"]["annotators"]:
                for name in WHERE_AND_HOW:
                    annotator.pop(name, None)
        return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)).hexdigest()

    def _context_in_digest(self, given: Json) -> Json:
        """What of `context` makes a tree another one: nothing where it is off, and no host."""
        mapbox = self.context.mapbox
        if not mapbox.enabled:
            return {}
        where = {"url": urlsplit(mapbox.url).path} if mapbox.url is not None else {}
        return {"context": {"mapbox": {k: v for k, v in given["mapbox"].items() if k != "token_variable"} | where}}

    def text(self) -> str:
        """The recipe as YAML with every default spelled out; of local paths the file name only, no query of a URL."""
        whole = self.model_dump(mode="json")
        for part, key in (
            ("pois", "path"),
            ("imagery", "url"),
            ("labels", "path"),
            ("labels", "url"),
            ("cube", "area"),
        ):
            where = whole[part][key]
            if isinstance(where, str):
                whole[part][key] = _named(where)
            elif key == "path" and where is not None:
                whole[part][key] = list(map(_named, where))
        for part in ("imagery", "labels", "pois"):
            without_unused(whole[part], ("keep_query", *IDENTITY))
        if whole["cube"]["on_damage"] == "raise":  # texts of trees that are there have no such key
            del whole["cube"]["on_damage"]
        if self.card == Card():
            del whole["card"]
        if self.rows.polish is None:
            del whole["rows"]["polish"]
        return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def _named(where: str) -> str:
    """A URL without its query, of a path the last name alone."""
    return redact(where) if "://" in where else Path(where).name


_WHERE_AND_HOW = ("path", "url", "engine", "sign", "allow_hosts", "keep_query", "project", *IDENTITY)
_NOT_IN_DIGEST = dict.fromkeys(("pois", "imagery", "labels"), _WHERE_AND_HOW)
