"""The recipe: everything that determines a dataset, as one frozen, validated value.

Reading one from YAML is :mod:`nutonic.recipe_file`. A recipe never holds a secret.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import yaml
from pydantic import Field, field_validator, model_validator

from nutonic.errors import redact
from nutonic.fields import Fraction01, Hosts, Name, Part, Percent, Positive, Sign
from nutonic.grid import pixels
from nutonic.labelling import Labels
from nutonic.moments import interval
from nutonic.presets import JUMPING
from nutonic.recipe_cube import Cube


class Jitter(Part):
    """Extra places at random offsets around each place; the seed and the place's id fix where."""

    variants: Annotated[int, Field(ge=0, le=999)] = 0
    max_offset_m: Positive = 300.0
    seed: Annotated[int, Field(ge=0)] = 0


class Columns(Part):
    """Names of a places file's columns; where None, a name that is known (``id``; ``lon``, ``longitude``; ``lat``, …)."""

    id: Name | None = None
    lon: Name | None = None
    lat: Name | None = None


class Pois(Part):
    """Where the places come from."""

    path: str
    """CSV, JSONL, GeoJSON or Parquet by its suffix, or ``hf://datasets/OWNER/NAME``."""
    columns: Columns = Columns()
    keep: tuple[Name, ...] = ()
    """Further columns whose values go into the plan and into every sidecar."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Only this many data rows of the file, from its start."""
    min_spacing_m: Annotated[float, Field(ge=0.0)] = 0.0
    jitter: Jitter = Jitter()


class Grid(Part):
    """The square around each place."""

    resolution_m: Positive = 10.0
    extent_m: Positive = 5120.0
    lattice: Literal["ten_metre", "source"] = "ten_metre"
    """``source``: the lattice of the scene's own pixels, where they do not lie on multiples of the resolution."""


class Imagery(Part):
    """Which scenes to use."""

    source: Literal["stac", "earthengine"] = "stac"
    url: str | None = None
    """Of a STAC API; or a local catalogue: a path to items (JSON, NDJSON, GeoParquet) or to a catalog.json. Of Earth
    Engine's REST API; by default the high-volume endpoint."""
    collection: str
    datetime: str
    """``start/end``, dates or times, both included."""
    max_cloud_cover: Percent = 20.0
    assets: Annotated[tuple[str, ...], Field(min_length=3, max_length=3)] = ("red", "green", "blue")
    """Asset names for red, green and blue, in this order."""
    engine: Literal["stackstac", "odc-stac"] = "stackstac"
    """What builds the lazy arrays; the pixels are the same. ``odc-stac`` needs ``pip install 'nutonic[odc]'``."""
    sign: Sign = None
    """How addresses of files are signed where they are read; of the Planetary Computer itself that is known."""
    allow_hosts: Hosts = ()
    """Hosts that files may be read from, besides the catalogue's own and those of known catalogues."""
    project: str | None = None
    """Earth Engine: the Cloud project that asks; by default as the environment says."""

    @field_validator("datetime", mode="before")
    @classmethod
    def _interval(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, dt.date) else value

    @field_validator("datetime")
    @classmethod
    def _is_interval(cls, value: str) -> str:
        interval(value)
        return value

    @field_validator("assets")
    @classmethod
    def _no_asset_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"names an asset twice: {list(value)}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Imagery:
        if self.source == "stac" and self.url is None:
            raise ValueError("needs url where source is stac")
        if self.source == "earthengine" and self.collection in JUMPING:
            raise ValueError(
                f"has the collection {self.collection}, whose numbers jump by 1000 in January 2022: use "
                f"{JUMPING[self.collection]}"
            )
        used = {"sign": self.sign, "allow_hosts": self.allow_hosts, "engine odc-stac": self.engine != "stackstac"}
        strange = [key for key, value in used.items() if value] if self.source == "earthengine" else []
        strange += ["project"] if self.source == "stac" and self.project else []
        if strange:
            raise ValueError(f"has {', '.join(strange)}, which a source {self.source} does not use")
        return self


class Tiles(Part):
    """How a place's square is cut, and when a tile is good enough."""

    size: Annotated[int, Field(ge=16, le=8192)] = 512
    stride: Annotated[int, Field(ge=1)] = 512
    output_size: Annotated[int, Field(ge=16, le=8192)] = 224
    min_valid_fraction: Fraction01 = 0.35


class Stretch(Part):
    """Percentiles of the valid pixels that become black and white, band by band."""

    low: Percent = 2.0
    high: Percent = 98.0
    scope: Literal["tile", "poi"] = "tile"

    @model_validator(mode="after")
    def _ordered(self) -> Stretch:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")
        return self


class Rows(Part):
    """Which rows are written for a tile."""

    caption: bool = True
    grounding: bool = True
    per_class: bool = True
    per_class_grounding: bool = True
    min_class_fraction: Fraction01 = 0.05
    max_classes: Annotated[int, Field(ge=1, le=255)] = 9
    min_region_px: Annotated[int, Field(ge=1)] = 50
    max_regions_per_class: Annotated[int, Field(ge=1)] = 24
    augment: tuple[Literal["flip", "r90", "r180", "r270"], ...] = ()

    @field_validator("augment")
    @classmethod
    def _no_view_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"names a view twice: {list(value)}")
        return value


class Splits(Part):
    """Shares of the splits, and what is kept together in one."""

    train: Fraction01 = 0.8
    validation: Fraction01 = 0.1
    test: Fraction01 = 0.1
    by: Literal["place", "block"] = "place"
    block_km: Positive = 50.0

    @model_validator(mode="after")
    def _sum_to_one(self) -> Splits:
        total = self.train + self.validation + self.test
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"train + validation + test is {total:g}, not 1")
        return self


class Output(Part):
    """How the tree is laid out."""

    files_per_dir: Annotated[int, Field(ge=1)] = 8000
    rows_per_file: Annotated[int, Field(ge=1)] | None = None
    format: Literal["files"] = "files"


class Recipe(Part):
    """A whole recipe. Build one in Python, or read one with :func:`nutonic.load_recipe`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    pois: Pois
    grid: Grid = Grid()
    imagery: Imagery
    labels: Labels
    tiles: Tiles = Tiles()
    stretch: Stretch = Stretch()
    rows: Rows = Rows()
    splits: Splits = Splits()
    output: Output = Output()
    cube: Cube = Cube()

    @model_validator(mode="after")
    def _tiles_fit(self) -> Recipe:
        if self.tiles.size > self.side:
            raise ValueError(
                f"tiles.size ({self.tiles.size} px) is larger than the square of grid.extent_m ({self.side} px)"
            )
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
        """Where Earth Engine is asked and as which project, by whichever part says it; None if no part asks it."""
        parts = [part for part in (self.imagery, self.labels) if part.source == "earthengine"]
        url, project = (next((v for part in parts if (v := getattr(part, key))), None) for key in ("url", "project"))
        return (url, project) if parts else None

    @property
    def side(self) -> int:
        """Pixels along a side of a place's square."""
        return pixels(self.grid.extent_m, self.grid.resolution_m)

    def digest(self) -> str:
        """SHA-256 (hex) over all that determines pixels and rows: not where things lie or how they are read.

        What stands at its default does not count, so a recipe keeps its digest when nutonic learns a new key.
        """
        whole = self.model_dump(mode="json", exclude_defaults=True, exclude={"cube"})
        for part, names in _NOT_IN_DIGEST.items():
            for name in names:
                whole[part].pop(name, None)
        return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)).hexdigest()

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
                whole[part][key] = redact(where) if "://" in where else Path(where).name
        return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


_WHERE_AND_HOW = ("path", "url", "engine", "sign", "allow_hosts", "project")
_NOT_IN_DIGEST = dict.fromkeys(("pois", "imagery", "labels"), _WHERE_AND_HOW)
