"""A recipe of patches: aerial pictures on their own grid, described by captions made of a map, in shards."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
import yaml
from pydantic import Field, field_validator, model_validator

from nutonic.core.model import Json
from nutonic.recipe import texts
from nutonic.recipe.annotation import WHERE_AND_HOW, Captions
from nutonic.recipe.card import Card
from nutonic.recipe.fields import IDENTITY, Bearer, Fraction01, Identified, Part, Whole, without_unused
from nutonic.recipe.inputs import Columns, Imagery
from nutonic.recipe.osm import Osm
from nutonic.recipe.outputs import Grid, Splits, Stretch
from nutonic.secrets import redact

#: How shards may be called: one number of a fixed width, and perhaps the split.
_SHARD_NAME = re.compile(r"(?:\{split\})?[A-Za-z0-9_-]*%0[1-9]d[A-Za-z0-9_-]*\.tar")

#: West, south, east, north in degrees.
Bounds = tuple[
    Annotated[float, Field(ge=-180.0, le=180.0)],
    Annotated[float, Field(ge=-90.0, le=90.0)],
    Annotated[float, Field(ge=-180.0, le=180.0)],
    Annotated[float, Field(ge=-90.0, le=90.0)],
]


class Around(Identified):
    """Patches around places."""

    path: str
    """Of the places file, as in ``pois.path`` of other recipes."""
    columns: Columns = Columns()
    side_m: Annotated[float, Field(gt=0.0, le=100_000.0)] = 1000.0
    """Side of the square around each place in which patches are taken."""
    unsigned: bool = False
    """As of imagery."""
    requester_pays: bool = False
    """As of imagery."""
    bearer: Bearer = Field(default_factory=dict)
    """As of imagery."""


class Patches(Part):
    """Where patches are taken, on each image's own grid."""

    size: Annotated[int, Field(ge=16, le=8192)] = 448
    """Side in pixels."""
    resolution_m: Annotated[float, Field(ge=0.01, le=10_000.0)] = 0.6
    """Side of the images' pixels; images with others are left out."""
    stride: Annotated[int, Field(ge=1)] | None = None
    """Pixels from patch to patch along an image's rows and columns; by default its side, so that patches touch."""
    area: Bounds | str | None = None
    """Only patches that lie in these bounds, or in the polygons of a GeoJSON file. By default whole images."""
    around: Around | None = None
    """Or only patches around places."""
    fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """The part of all patches that is taken, drawn patch by patch."""
    seed: Annotated[int, Field(ge=0)] = 0
    min_valid_fraction: Fraction01 = 1.0
    """Of its pixels, those that the image observed."""
    stretch: Stretch | None = None
    """How numbers become 8 bits; by default they are 8 bits already."""
    min_elements: Annotated[int, Field(ge=1)] = 1
    """A patch with fewer elements of the map that a picture can show is left out."""

    @model_validator(mode="after")
    def _one_place(self) -> Patches:
        if self.area is not None and self.around is not None:
            raise ValueError("has area and around: name one")
        return self

    @field_validator("area")
    @classmethod
    def _in_order(cls, value: Any) -> Any:
        if isinstance(value, tuple) and value[1] >= value[3]:
            raise ValueError(
                f"has its south ({value[1]:g}) above its north ({value[3]:g}): write west, south, east, north"
            )
        return value

    @property
    def side_m(self) -> float:
        """Side of a patch in metres of its image's CRS."""
        return self.size * self.resolution_m

    @property
    def grid(self) -> Grid:
        """The square of a patch, on its image's own lattice."""
        return Grid(resolution_m=self.resolution_m, extent_m=self.side_m, lattice="source")


class Shards(Part):
    """How patches and captions are written."""

    name: str = "{split}-%06d.tar"
    """Of shards, with one number. Without ``{split}``, as in ``Patches%04d.tar``, each split has a folder of its own."""
    samples: Annotated[int, Field(ge=1, le=1_000_000)] = 5000
    """Patches in a shard."""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Of JPEG."""
    chat: bool = False
    """Whether rows of chat, ``messages``, are written too, into ``data/*.jsonl`` beside pictures of their own."""

    @field_validator("name")
    @classmethod
    def _numbered(cls, value: str) -> str:
        if not _SHARD_NAME.fullmatch(value):
            raise ValueError(
                f"is {value!r:.60}: write a name with one number, such as {{split}}-%06d.tar or Patches%04d.tar"
            )
        return value


class PatchRecipe(Whole):
    """A whole recipe of patches. Build one in Python, or read one with :func:`nutonic.load_recipe`."""

    LONG: ClassVar[frozenset[str]] = frozenset({"osm", "captions"})
    PATHS: ClassVar[tuple[str, ...]] = ("imagery.url", "patches.area", "patches.around.path", "osm.path")

    kind: Literal["patches"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    imagery: Imagery
    patches: Patches = Patches()
    osm: Osm
    captions: Captions = Captions()
    splits: Splits = Splits(by="block", block_km=10.0)
    shards: Shards = Shards()
    card: Card = Card()

    @field_validator("imagery", mode="before")
    @classmethod
    def _cloudless(cls, value: Any) -> Any:
        """Aerial pictures state no clouds: unless a recipe says how many may be there, any may."""
        return {"max_cloud_cover": 100.0, **value} if isinstance(value, dict) else value

    @field_validator("splits")
    @classmethod
    def _without_columns(cls, value: Splits) -> Splits:
        if value.by == "column":
            raise ValueError("are made by: column, which patches have none of: write by: block, place or time")
        return value

    @property
    def inputs(self) -> tuple[str, ...]:
        """Paths and URLs that the recipe reads from."""
        around = self.patches.around
        named = (self.imagery.url, self.patches.area, around and around.path, self.osm.path, self.osm.url)
        return tuple(path for path in named if isinstance(path, str))

    def digest(self) -> str:
        """SHA-256 (hex) over all that determines pixels and captions; locations and ways of reading are left out."""
        whole = self.model_dump(mode="json", exclude_defaults=True, exclude={"card"})
        for key in ("url", "engine", "sign", "allow_hosts", "keep_query", "project", *IDENTITY):
            whole["imagery"].pop(key, None)
        for part, keys in (
            ("osm", ("path", "url", "requests_per_minute", "tags", *IDENTITY)),
            ("captions", ("prompts",)),
        ):
            for key in keys:
                whole.get(part, {}).pop(key, None)
        for where in (whole.get("patches", {}).get("around") or {}, whole.get("patches", {})):
            for key in ("path", "area"):
                if isinstance(where.get(key), str):
                    del where[key]
            for key in IDENTITY:
                where.pop(key, None)
        for annotator in whole.get("captions", {}).get("annotators", ()):
            for key in WHERE_AND_HOW:
                annotator.pop(key, None)
        whole["texts"] = [
            texts.digest_of(self.captions.prompts, "prompts"),
            texts.digest_of(self.osm.tags, "tags"),
        ]
        return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)).hexdigest()

    def text(self) -> str:
        """The recipe as YAML with every default spelled out; of local paths the file name only, no query of a URL."""
        whole = self.model_dump(mode="json")
        for part, key in (("imagery", "url"), ("patches", "area"), ("osm", "path"), ("osm", "url")):
            _name_only(whole[part], key)
        if whole["patches"]["around"] is not None:
            _name_only(whole["patches"]["around"], "path")
        for named in (whole["imagery"], whole["osm"], whole["patches"]["around"] or {}):
            without_unused(named, IDENTITY)
        return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def _name_only(part: Json, key: str) -> None:
    where = part[key]
    if isinstance(where, str):
        part[key] = redact(where) if "://" in where else Path(where).name
