"""The part of a recipe that says where the land cover comes from, and what its values mean."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nutonic.classes import TABLES, ClassTable
from nutonic.fields import Hosts, Part, Sign
from nutonic.presets import COLLECTED, PRODUCTS, Rule


class Classes(Part):
    """A class table of your own."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    classes: Annotated[dict[Annotated[int, Field(ge=0, le=255)], str], Field(min_length=1)]
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


class Labels(Part):
    """Where the land cover comes from, and what its values mean."""

    source: Literal["earthengine", "raster", "stac"]
    path: str | None = None
    """Of a raster: a GeoTIFF or COG in any CRS."""
    dataset: str | Classes = "dynamic-world"
    """A known class table (esa-worldcover, io-lulc, dynamic-world) or one of your own."""
    url: str | None = None
    """Of the STAC API, or path of the local catalogue, that has it; known for esa-worldcover and io-lulc. Of Earth
    Engine's REST API; by default the high-volume endpoint."""
    collection: str | None = None
    """Known for esa-worldcover, in Earth Engine also for dynamic-world, in STAC also for io-lulc."""
    asset: str | None = None
    year: Annotated[int, Field(ge=1900, le=2200)] | None = None
    """Of the land cover; by default the nearest to the imagery's time. In Earth Engine of a mosaic's images."""
    band: str | None = None
    """Earth Engine: the band that holds the classes."""
    rule: Rule | None = None
    """Earth Engine: the most frequent class around the scene's date, the image nearest to it, or the last image of all.
    By default mode for dynamic-world, otherwise mosaic."""
    windows_days: tuple[Annotated[int, Field(ge=1, le=254)], ...] | None = None
    """Earth Engine: half-widths of the windows around the scene's date; by default 7, 14, 30, 60 and 120 days."""
    project: str | None = None
    """Earth Engine: the Cloud project that asks; by default as the environment says."""
    sign: Sign = None
    allow_hosts: Hosts = ()

    @field_validator("dataset")
    @classmethod
    def _known(cls, value: str | Classes) -> str | Classes:
        if isinstance(value, str) and value not in TABLES:
            raise ValueError(f"is {value!r}, not one of {', '.join(sorted(TABLES))} or a class table")
        return value

    @field_validator("windows_days")
    @classmethod
    def _ascending(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and (not value or list(value) != sorted(set(value))):
            raise ValueError(f"is {list(value)}: write days that ascend, such as [7, 14, 30]")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Labels:
        known, needed = _NEEDED[self.source]
        needed = () if self.table.name in known else needed
        unused = sorted({key for keys in _USED.values() for key in keys} - set(_USED[self.source]))
        missing = [key for key in needed if getattr(self, key) is None]
        if missing:
            raise ValueError(f"needs {', '.join(missing)} where source is {self.source}")
        strange = [key for key in unused if getattr(self, key)]
        if strange:
            raise ValueError(f"has {', '.join(strange)}, which a source {self.source} does not use")
        if self.source == "earthengine" and self.is_dated:
            if self.year:
                raise ValueError("has year, which is for the rule mosaic: the others look around the scene's date")
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
            return TABLES[own]
        return ClassTable(name=own.name, labels=dict(own.classes), unknown=own.unknown, colors=dict(own.colors))


#: By source, the keys that it uses, of those that not all do.
_USED = {
    "raster": ("path",),
    "stac": ("url", "collection", "asset", "year", "sign", "allow_hosts"),
    "earthengine": ("url", "collection", "band", "rule", "windows_days", "year", "project"),
}

#: By source, the tables that it knows the rest of, and the keys that it needs for others.
_NEEDED: dict[str, tuple[Container[str], tuple[str, ...]]] = {
    "raster": ((), ("path",)),
    "stac": (PRODUCTS, ("url", "collection", "asset")),
    "earthengine": (COLLECTED, ("collection", "band")),
}
