"""The parts of a recipe that say what comes in: places, imagery, labels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping, Sequence
from os import PathLike
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from nutonic.core.catalogs import COLLECTED, PRODUCTS, Rule, refuse_jumping, refuse_windows, refuse_year
from nutonic.core.classes import ClassTable, refuse_unknown_classes, table_of
from nutonic.core.times import Interval
from nutonic.recipe.fields import IDENTITY, Bearer, Hosts, Identified, Keys, Name, Part, Percent, Sign
from nutonic.recipe.source_kinds import known_kind, refuse_missing


class Classes(Part):
    """A class table of your own."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    classes: Annotated[dict[Annotated[int, Field(ge=0, le=255)], str], Field(min_length=1)]
    """By id, what each class is called; it becomes lower case."""
    unknown: Annotated[int, Field(ge=0, le=255)]
    colors: dict[int, Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]] = Field(default_factory=dict)

    @field_validator("classes")
    @classmethod
    def _labels(cls, value: dict[int, str]) -> dict[int, str]:
        labels = {key: " ".join(label.lower().split()) for key, label in value.items()}
        if len(set(labels.values())) != len(labels) or not all(labels.values()):
            raise ValueError("needs a label of its own for every class")
        return labels

    @model_validator(mode="after")
    def _unknown_is_no_class(self) -> Classes:
        if self.unknown in self.classes:
            raise ValueError(f"uses {self.unknown} both as a class and as unknown")
        return self


class AssetBand(Part):
    """A band of a file with several, or an asset under another name."""

    asset: Name
    """Name of the asset."""
    band: Annotated[int, Field(ge=1, le=65535)] = 1
    """Which band of its file, from 1."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] | None = None
    """What to call it: the variable of a cube, the key in sidecars. By default the asset's name and the band's number,
    ``image_1``."""

    @property
    def called(self) -> str:
        """The name it goes by."""
        return self.name or f"{self.asset}_{self.band}"


#: An asset by its name or by what its band is commonly called; or a band of it, ``{asset: image, band: 1}``.
AnyAsset = Annotated[
    Annotated[str, Tag("a name")] | Annotated[AssetBand, Tag("a band")],
    Discriminator(lambda value: "a band" if isinstance(value, AssetBand | Mapping) else "a name"),
]


def refuse_twice(assets: Sequence[str | AssetBand]) -> None:
    """Raise a ValueError if two assets go by one name."""
    names = list(map(called, assets))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is None:
        return
    if twice in assets:
        of_one_file = f"; the bands of one file are [{{asset: {twice}, band: 1}}, {{asset: {twice}, band: 2}}, …]"
        raise ValueError(f"names an asset twice: {names}" + (of_one_file if len(set(names)) == 1 else ""))
    raise ValueError(f"calls two bands {twice}: give one of them a name of its own")


def called(asset: str | AssetBand) -> str:
    """The name that an asset or a band goes by."""
    return asset if isinstance(asset, str) else asset.called


class Labels(Identified):
    """Where the land cover comes from, and what its values mean."""

    source: str
    """Of :data:`nutonic.recipe.source_kinds.SOURCES`: raster, stac or earthengine."""
    path: str | tuple[str, ...] | None = None
    """Of a raster in any CRS: a GeoTIFF or COG, JPEG 2000 or Erdas Imagine (.img) file, a folder or a glob of such, a VRT
    that only lays files side by side, or an http(s) address; or a list of these, the first with a class wins."""
    dataset: str | Classes = "dynamic-world"
    """A known class table (esa-worldcover, io-lulc, dynamic-world) or one of your own."""
    url: str | None = None
    """Of the STAC API, or path of the local catalogue, that has it; known for esa-worldcover and io-lulc. Of Earth
    Engine's REST API; by default the high-volume endpoint."""
    collection: str | None = None
    """Known for esa-worldcover, in Earth Engine also for dynamic-world, in STAC also for io-lulc."""
    asset: str | None = None
    remap: dict[int, Annotated[int, Field(ge=0, le=255)]] = Field(default_factory=dict)
    """Codes of the files that are no ids of the class table, above 255 too, and the class that each is, or the table's
    unknown value: ``{311: 10, 523: 0}``. Several may be one class; the table's own ids stay what they are."""
    year: Annotated[int, Field(ge=1900, le=2200)] | None = None
    """Of the land cover; by default the nearest to the imagery's time. In Earth Engine of a mosaic's images."""
    band: str | None = None
    """Earth Engine: the band that holds the classes."""
    rule: Rule | None = None
    """Earth Engine: the most frequent class around the scene's date, the image nearest to it, or the last image of all.
    By default mode for dynamic-world, otherwise mosaic."""
    windows_days: tuple[int, ...] | None = None
    """Earth Engine: half-widths of the windows around the scene's date; by default 7, 14, 30, 60 and 120 days."""
    project: str | None = None
    """Earth Engine: the Cloud project that asks; by default as the environment says."""
    sign: Sign = None
    allow_hosts: Hosts = ()
    keep_query: Keys = ()
    """As of imagery."""
    unsigned: bool = False
    """As of imagery."""
    requester_pays: bool = False
    """As of imagery."""
    bearer: Bearer = Field(default_factory=dict)
    """As of imagery."""

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        return known_kind("labels", value)

    @field_validator("path", mode="before")
    @classmethod
    def _paths(cls, value: Any) -> Any:
        paths = value if isinstance(value, list | tuple) else [value]
        if not paths or not all(isinstance(path, str | PathLike) and str(path) for path in paths if value is not None):
            raise ValueError(f"is {value!r:.60}: write a path, or a list of paths")
        texts = tuple(None if path is None else str(path) for path in paths)
        return texts[0] if len(texts) == 1 else texts

    @field_validator("dataset")
    @classmethod
    def _known(cls, value: str | Classes) -> str | Classes:
        if isinstance(value, str):
            table_of(value)
        return value

    @field_validator("windows_days")
    @classmethod
    def _ascending(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None:
            refuse_windows(value)
        return value

    @model_validator(mode="after")
    def _complete(self) -> Labels:
        if self.table.name not in _KNOWN.get(self.source, ()):
            refuse_missing("labels", self.source, self)
        every = {key for keys in _USED.values() for key in keys}
        unused = sorted(every - set(_USED.get(self.source, every)))
        strange = [key for key in unused if getattr(self, key)]
        if strange:
            raise ValueError(f"has {', '.join(strange)}, which a source {self.source} does not use")
        refuse_unknown_classes(self.remap, self.table)
        if self.source == "earthengine" and self.is_dated:
            refuse_year(self.year, self.the_rule)
        elif self.windows_days:
            raise ValueError("has windows_days, which the rule mosaic does not use")
        return self

    @property
    def the_rule(self) -> Rule:
        """How a pixel's class is chosen: as the recipe says, or else as is known of the table."""
        known = COLLECTED.get(self.table.name)
        return self.rule or (known.rule if known else "mosaic")

    @property
    def is_dated(self) -> bool:
        """Whether pixels depend on the scene's date, as they do by two of Earth Engine's rules."""
        return self.source == "earthengine" and self.the_rule != "mosaic"

    @property
    def table(self) -> ClassTable:
        """The class table that `dataset` names or holds."""
        own = self.dataset
        if isinstance(own, str):
            return table_of(own)
        return ClassTable(name=own.name, labels=dict(own.classes), unknown=own.unknown, colors=dict(own.colors))


#: By source, the keys that it uses, of those that not all do; a source without a line may use any.
_USED = {
    "raster": ("path", "remap", "sign", "allow_hosts", "keep_query", *IDENTITY),
    "stac": ("url", "collection", "asset", "remap", "year", "sign", "allow_hosts", "keep_query", *IDENTITY),
    "earthengine": ("url", "collection", "band", "rule", "windows_days", "year", "project"),
}

#: By source, the tables that it knows the rest of: for these no key is needed.
_KNOWN: dict[str, Container[str]] = {"stac": PRODUCTS, "earthengine": COLLECTED}


#: Keys of imagery that say what the numbers in files mean; Earth Engine's are digital numbers already.
_UNITS = ("scale", "offset", "nodata")


class Jitter(Part):
    """Extra places at random offsets around each place; the seed and the place's id fix where."""

    variants: Annotated[int, Field(ge=0, le=999)] = 0
    max_offset_m: Annotated[float, Field(gt=0.0, le=100_000.0)] = 300.0
    seed: Annotated[int, Field(ge=0)] = 0


class Columns(Part):
    """Names of a places file's columns; where None, a name that is known (``id``; ``lon``, ``longitude``; ``lat``, …)."""

    id: Name | Literal[False] | None = None
    """False: places are numbered, though there is a column ``id``."""
    lon: Name | None = None
    lat: Name | None = None
    point: Name | None = None
    """One column with both: WKT, GeoJSON, or text such as ``52.5, 12.5``, latitude first."""

    @model_validator(mode="after")
    def _one_or_two(self) -> Columns:
        if self.point is not None and (self.lon is not None or self.lat is not None):
            raise ValueError("has point, which holds both, and lon or lat: name one column, or two")
        return self


class Pois(Identified):
    """Where the places come from."""

    path: str
    """CSV, JSONL, GeoJSON, Parquet or another vector file by its suffix, at an address (https://, s3://, gs://, az://)
    too; or ``hf://datasets/OWNER/NAME``."""
    columns: Columns = Columns()
    keep: tuple[Name, ...] = ()
    """Further columns whose values go into the plan and into every sidecar."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Only this many data rows of the file, from its start."""
    min_spacing_m: Annotated[float, Field(ge=0.0)] = 0.0
    jitter: Jitter = Jitter()
    unsigned: bool = False
    """As of imagery."""
    requester_pays: bool = False
    """As of imagery."""
    bearer: Bearer = Field(default_factory=dict)
    """As of imagery."""


class Imagery(Identified):
    """Which scenes to use."""

    source: str = "stac"
    """Of :data:`nutonic.recipe.source_kinds.SOURCES`: stac or earthengine."""
    url: str | None = None
    """Of a STAC API; or a local catalogue: a path to items (JSON, NDJSON, GeoParquet) or to a catalog.json. Of Earth
    Engine's REST API; by default the high-volume endpoint."""
    collection: str
    datetime: str
    """``start/end``, dates or times, both included; or a year or a month, ``2024-06``."""
    max_cloud_cover: Percent = 20.0
    assets: Annotated[tuple[AnyAsset, ...], Field(min_length=3, max_length=3)] = ("red", "green", "blue")
    """What to show as red, green and blue, in this order: names of assets, or what their bands are commonly called; or
    bands of a file, ``{asset: image, band: 1}``, with a ``name`` of your own if you like."""
    engine: Literal["stackstac", "odc-stac"] = "stackstac"
    """What builds the lazy arrays; the pixels are the same. ``odc-stac`` needs ``pip install 'nutonic[odc]'``."""
    sign: Sign = None
    """How addresses of files are signed where they are read; of the Planetary Computer itself that is known."""
    allow_hosts: Hosts = ()
    """Hosts that files may be read from, and buckets (``s3://bucket``), besides the catalogue's own and those of known
    catalogues."""
    keep_query: Keys = ()
    """Keys of queries in addresses of files that anybody may know, such as ``versionId``; an address with any other is not
    read, since it would be kept with the plan."""
    unsigned: bool = False
    """Read objects of stores without credentials, as those of public buckets."""
    requester_pays: bool = False
    """Pay for reading objects, as S3's buckets want it of which the reader pays."""
    bearer: Bearer = Field(default_factory=dict)
    """Hosts that want a token, and the environment variable that holds it: ``{data.example.org: EARTHDATA_TOKEN}``."""
    project: str | None = None
    """Earth Engine: the Cloud project that asks; by default as the environment says."""
    scale: Annotated[float, Field(gt=0.0)] | None = None
    """Reflectance of a number 1 in the files: 0.0001, or 1 where they hold reflectance; by default as the items or the
    files declare. What comes out are digital numbers of 1e-4."""
    offset: float | None = None
    """Reflectance of a number 0 in the files, such as -0.2 for Landsat; by default as declared, or none."""
    nodata: float | None = None
    """The number that means nodata in the files, where the items do not tell it, such as -9999."""

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        return known_kind("imagery", value)

    @field_validator("datetime", mode="before")
    @classmethod
    def _interval(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)  # a year, as YAML reads it
        return value.isoformat() if isinstance(value, dt.date) else value

    @field_validator("datetime")
    @classmethod
    def _is_interval(cls, value: str) -> str:
        Interval.parse(value)
        return value

    @property
    def time(self) -> Interval:
        """What `datetime` says."""
        return Interval.parse(self.datetime)

    @field_validator("assets")
    @classmethod
    def _no_asset_twice(cls, value: tuple[str | AssetBand, ...]) -> tuple[str | AssetBand, ...]:
        refuse_twice(value)
        return value

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the three variables."""
        return tuple(map(called, self.assets))

    @model_validator(mode="after")
    def _complete(self) -> Imagery:
        refuse_missing("imagery", self.source, self)
        if self.source == "earthengine":
            refuse_jumping(self.collection)
        used = [key for key in ("sign", "allow_hosts", "keep_query", *IDENTITY) if getattr(self, key)]
        used += ["engine odc-stac"] if self.engine != "stackstac" else []
        strange = used if self.source == "earthengine" else []
        strange += [key for key in _UNITS if self.source == "earthengine" and getattr(self, key) is not None]
        strange += ["project"] if self.source == "stac" and self.project else []
        strange += ["a band of a file in assets"] if self.source == "earthengine" and self.bands != self.assets else []
        if strange:
            raise ValueError(f"has {', '.join(strange)}, which a source {self.source} does not use")
        return self
