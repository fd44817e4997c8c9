"""The parts of a recipe that say what comes out: grid, tiles, rows, splits, files, cube."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nutonic.recipe.fields import Fraction01, Part, Percent, Positive

#: Side of a square, in metres: a UTM zone has no place for larger ones.
MOST_EXTENT_M = 200_000.0


class Grid(Part):
    """The square around each place."""

    resolution_m: Annotated[float, Field(ge=0.01, le=10_000.0)] = 10.0
    extent_m: Annotated[float, Field(gt=0.0, le=MOST_EXTENT_M)] = 5120.0
    lattice: Literal["ten_metre", "source"] = "ten_metre"
    """``source``: the lattice of the scene's own pixels, where they do not lie on multiples of the resolution."""


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
    """Shares of the splits, and which places must share one."""

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


class Cube(Part):
    """An area over time; it does not affect the dataset."""

    area: tuple[float, float, float, float] | str | None = None
    """West, south, east, north in degrees, or the path of a GeoJSON file."""
    chunk: Annotated[int, Field(ge=16, le=8192)] = 1024
    """Side of tiles in pixels; a multiple of the files' blocks reads each block just once."""
    mask: str | None = None
    """Asset with a scene classification, such as ``scl``, that masks clouds and shadows."""
    reduce: Literal["median", "mean", "clearest"] | None = None
    """One picture of all times; by default each time is kept."""
    warp: bool = True
    """Whether scenes of other UTM zones are read by nearest neighbour, or left out."""
