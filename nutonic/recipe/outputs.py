"""The parts of a recipe that say what comes out: grid, tiles, quality, rows, splits, files, cube."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from nutonic.core.catalogs import CLASSIFICATIONS, Classification
from nutonic.core.model import Json
from nutonic.recipe.annotation import Polish
from nutonic.recipe.fields import Fraction01, Name, Part, Percent, Positive
from nutonic.recipe.texts import Wording

#: Values of a byte.
Values = tuple[Annotated[int, Field(ge=0, le=255)], ...]

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
    """A chip's side in pixels. Of fewer than ``size`` each is an average by area; for more, pixels are repeated."""
    min_valid_fraction: Fraction01 = 0.95
    """Of its pixels, those that the scene observed; and of a square, those on a scene where none covers it all."""
    min_label_fraction: Fraction01 = 0.35
    """Of its pixels, those that have a class."""


class SceneClasses(Part):
    """An asset of classes of your own, such as one that was made of Landsat's QA band, and what its values mean."""

    asset: Name
    cloud: Values
    shadow: Values = ()
    snow: Values = ()
    nodata: Annotated[Values, Field(min_length=1)] = (0,)
    """What tells of no ground; the first is also what lies beyond the asset's edge, and what its own nodata becomes."""

    @model_validator(mode="after")
    def _each_once(self) -> SceneClasses:
        values = [*self.cloud, *self.shadow, *self.snow, *self.nodata]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"counts {twice} twice: a value means one of cloud, shadow, snow and nodata")
        return self


class Quality(Part):
    """What of a tile may be hidden, by its scene's own classification of its pixels: shares, 0 to 1."""

    max_cloud: Fraction01 = 0.1
    max_shadow: Fraction01 = 0.2
    max_snow: Fraction01 = 1.0
    max_nodata: Fraction01 | None = None
    """By default as much as tiles.min_valid_fraction leaves."""
    classes: str | SceneClasses | None = "scl"
    """``scl``, the scene classification of Sentinel-2 level 2A, of scenes that have it; or an asset and the meaning of its
    values; or None: tiles are not judged, and no classification is read."""

    @field_validator("classes")
    @classmethod
    def _known(cls, value: str | SceneClasses | None) -> str | SceneClasses | None:
        if isinstance(value, str) and value not in CLASSIFICATIONS:
            known = ", ".join(CLASSIFICATIONS)
            raise ValueError(f"is {value!r:.60}: write {known}, null, or {{asset: …, cloud: [values], …}}")
        return value

    @property
    def classification(self) -> Classification | None:
        """What tiles are judged by; None if they are not."""
        if isinstance(self.classes, SceneClasses):
            return Classification(**self.classes.model_dump())
        return CLASSIFICATIONS[self.classes] if self.classes else None


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
    """Which rows are written for a tile, and how they are worded."""

    LONG: ClassVar[frozenset[str]] = frozenset({"wording", "polish"})

    captions: tuple[Literal["brief", "full", "zonal"], ...] = ("full",)
    """``brief``: one line; ``full``: a few sentences; ``zonal``: the four quarters and the centre, one by one."""
    grounding: bool = True
    per_class: bool = True
    per_class_grounding: bool = True
    absence: bool = False
    """Whether a class is in a quarter of the picture: it is in one and out of another, and either is asked for as often."""
    vqa: bool = False
    """Questions with short answers; the card tells how many of them can be guessed."""
    choice: bool = False
    """A question with five answers to choose from; every row then has ``options`` and ``answer_id``."""
    referring: bool = False
    """One region, from a phrase to its box, and from its box to its class."""
    cross_view: bool = False
    """An overhead still and a chip in one row; only where places have stills."""
    whole_image: Fraction01 = 0.9
    """The share of a mask that must be labelled for rows that speak of the whole image."""
    min_class_fraction: Fraction01 = 0.05
    max_classes: Annotated[int, Field(ge=1, le=255)] = 9
    min_region_px: Annotated[int, Field(ge=1)] = 50
    max_regions_per_class: Annotated[int, Field(ge=1)] = 24
    max_boxes: Annotated[int, Field(ge=1, le=100)] = 12
    """The most boxes of an answer."""
    min_box_fill: Fraction01 = 0.3
    """The least share of a box that its region fills."""
    min_box_px: Annotated[int, Field(ge=1)] = 6
    """The least width and height of a box, in pixels of the chip."""
    shares: Literal["percent", "words"] = "percent"
    """In words, "about a quarter" is within 3 hundredths of it; "nearly a third" is up to 6 less, "a good third" more."""
    prompt: tuple[Literal["resolution", "date", "season"], ...] = ()
    """What prompts tell of the picture beside its kind."""
    wording: Wording = "builtin"
    """A folder of templates; read with the recipe, so that the recipe holds their texts, by file name."""
    overlays: bool = False
    """A picture for people of each row that speaks of regions, with boxes, names and a legend."""
    augment: tuple[Literal["flip", "r90", "r180", "r270"], ...] = ()
    polish: Polish | None = None
    """Models that say captions in other words; None to leave them as templates wrote them."""

    @property
    def most_overlays(self) -> int:
        """So many overlays has a chip at most; 0 where there are none."""
        by_class = self.max_classes * (self.per_class + self.per_class_grounding)
        return (len(self.captions) + self.grounding + by_class + 3 * self.referring) * self.overlays

    @field_validator("captions", "augment", "prompt")
    @classmethod
    def _nothing_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"names one twice: {list(value)}")
        return value


class Splits(Part):
    """Shares of the splits, and which places must share one."""

    train: Fraction01 = 0.8
    validation: Fraction01 = 0.1
    test: Fraction01 = 0.1
    by: Literal["place", "block", "time", "column"] = "place"
    """``place``: places whose squares overlap share a split; ``block``: places in a cell of ``block_km``; ``time``: by the
    day of their scene; ``column``: places whose row says the same in a column. By the last two, ground may be in two. A
    group of more than half of all is in the split with the largest share."""
    block_km: Positive = 50.0
    validation_from: dt.date | None = None
    """By time: scenes of this day (UTC) or later are for validation. Shares do not count then."""
    test_from: dt.date | None = None
    """By time: scenes of this day (UTC) or later are for the test."""
    column: Name | None = None
    """By column: one of ``pois.keep``, such as ``country``."""
    values: dict[Literal["validation", "test"], Annotated[tuple[Name, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """By column: what it says of places for validation and for the test, all others are for training. By default each
    value is in the split that its hash and the shares give it."""

    @field_validator("validation_from", "test_from", mode="before")
    @classmethod
    def _a_day(cls, value: Any) -> Any:
        if not isinstance(value, dt.date | str | None) or isinstance(value, dt.datetime):
            raise ValueError(f"is {value!r:.60}: write a day, 2024-07-01")
        return value

    @model_validator(mode="after")
    def _sum_to_one(self) -> Splits:
        total = self.train + self.validation + self.test
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"train + validation + test is {total:g}, not 1")
        return self

    @model_validator(mode="after")
    def _of_one_way(self) -> Splits:
        of = {"time": ("validation_from", "test_from"), "column": ("column", "values")}
        for way, keys in of.items():
            given = [key for key in keys if getattr(self, key)]
            if given and self.by != way:
                raise ValueError(f"has {given[0]}, which is of by: {way}, but is made by: {self.by}")
        if self.by == "time" and not (self.validation_from or self.test_from):
            raise ValueError("is made by: time, and has no day: write test_from: 2024-07-01, or validation_from")
        if self.validation_from and self.test_from and self.validation_from >= self.test_from:
            raise ValueError(
                f"has test_from {self.test_from}, which is not after validation_from {self.validation_from}"
            )
        if self.by == "column" and self.column is None:
            raise ValueError("is made by: column, and has no column: write column: country, one of pois.keep")
        twice = set(self.values.get("validation", ())) & set(self.values.get("test", ()))
        if twice:
            raise ValueError(f"has {min(twice)!r:.60} among values for validation and for the test")
        return self

    @model_serializer(mode="wrap")
    def _without_unused_keys(self, handler: SerializerFunctionWrapHandler) -> Json:
        """Without the keys of other ways, so that texts of recipes stay what they were before there were those."""
        other = ("validation_from", "test_from", "column", "values")
        return {key: value for key, value in handler(self).items() if key not in other or value}

    @property
    def keeps_ground_apart(self) -> bool:
        """Whether no ground is in two splits."""
        return self.by in ("place", "block")


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
    mask: str | SceneClasses | None = None
    """Asset of classes that leaves out clouds and shadows: ``scl``; that of quality.classes, whose values then mean what is
    said there; or an asset and the meaning of its values."""
    reduce: Literal["median", "mean", "clearest"] | None = None
    """One picture of all times; by default each time is kept."""
    warp: bool = True
    """Whether scenes of other UTM zones, or off the grid's lattice, are read by nearest neighbour, or left out."""
    on_damage: Literal["raise", "skip"] = "raise"
    """What becomes of a tile whose file is missing or damaged: the command ends, or its scene is left out, and told."""
