"""A finished chip, with all that its rows and its sidecar tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nutonic.chips.regions import LandCover, min_region_pixels
from nutonic.core.catalogs import AERIAL
from nutonic.core.model import Chip, PlannedPlace, Scene, Tile, TileQuality
from nutonic.lazily import lazily
from nutonic.recipe.outputs import Rows, Tiles
from nutonic.rows.captions import caption
from nutonic.rows.truth import Truth, Values
from nutonic.rows.wording import Said, Wording

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceResult:
    """A place that became chips: the scene that served it, and its GeoBox."""

    place: PlannedPlace
    scene: Scene
    substituted: str | None
    """Why this is not the best-ranked scene, or None."""
    bands: tuple[str, ...]
    """Names of the bands that became red, green and blue."""
    geobox: GeoBox
    """The whole square's, in the scene's CRS."""
    quality: TileQuality | None = None
    """Of the whole square; None where the scene has no classification, or tiles are not judged."""
    label_days: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Tile index to the ages of its labels: a number of days, and the share (0 to 1) of its labelled pixels that were
    observed within so many days of the scene. Only for labels that are chosen around a date."""
    still: str | None = None
    """Path in the tree of the place's overhead still; None where it has none."""


@dataclass(frozen=True, kw_only=True)
class ChipContext:
    """A finished chip, with all that its rows and its sidecar say."""

    place_result: PlaceResult
    tile: Tile
    tile_id: str
    image: str
    """Path of the picture in the tree."""
    chip: Chip
    truth: Truth
    """What the mask shows."""
    wording: Wording

    @property
    def still(self) -> str | None:
        """Path of the place's still, beside which the chip can be shown; None of a view, which is turned."""
        return self.place_result.still if self.chip.augmentation is None else None

    @property
    def is_in_middle_of_still(self) -> bool:
        """Whether the chip shows the whole place, and the still half as much again on each side."""
        wide = self.truth.still_m
        shows_all = tuple(self.place_result.geobox.shape) == (self.tile.size, self.tile.size)
        return shows_all and wide is not None and wide >= 2 * self.truth.side_m

    @property
    def cover(self) -> LandCover:
        """The land cover of the mask."""
        return self.truth.cover

    @lazily
    def caption(self) -> tuple[Said, ...]:
        """What the full caption claims; its words are the same in rows and sidecar."""
        return caption(self.truth)

    @lazily
    def caption_text(self) -> str:
        """The full caption."""
        return self.text(self.caption, "caption answer")

    def text(self, sentences: Sequence[Said], what: str) -> str:
        """Claims in words; `what` says of which row they are, and which part of it."""
        return self.wording.text(sentences, f"{self.tile_id}__{what}", self.truth.always)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordRules:
    """What decides, beside the mask, what is said of a chip."""

    rows: Rows
    tiles: Tiles
    resolution_m: float
    """Of a native pixel."""
    wording: Wording
    still: tuple[float, int] | None = None
    """Zoom and size in pixels of overhead stills; None where places have none."""

    def truth(self, cover: LandCover, scene: Scene, lat: float) -> Truth:
        """What can be said of a mask of a scene, at a latitude in degrees."""
        side_m = self.tiles.size * self.resolution_m
        values: dict[str, tuple[str, dict[str, str | None]]] = {
            "resolution": self._resolution(scene),
            "date": ("prompt.date", {"date": (scene.datetime or "")[:10]}),
            "season": ("prompt.season", {"season": season(scene.datetime, lat)}),
        }
        wanted = [values[name] for name in self.rows.prompt]
        return Truth(
            cover=cover,
            rows=self.rows,
            min_area=min_region_pixels(self.rows.min_region_px, self.tiles),
            side_m=side_m,
            picture="aerial photograph" if scene.collection in AERIAL else "satellite image",
            still_m=None if self.still is None else still_side_m(*self.still, lat),
            prompt_values={claim: known for claim, values in wanted if (known := _known(values))},
        )

    def _resolution(self, scene: Scene) -> tuple[str, dict[str, str | None]]:
        """What may be told of a picture's pixels: smaller ones than the scene's show no more of the ground."""
        pixel_m = self.tiles.size * self.resolution_m / self.tiles.output_size
        metres, native = (f"{side:.3g}" for side in (pixel_m, max(self.resolution_m, abs(scene.lead.transform[0]))))
        if float(metres) < float(native):
            return "prompt.enlarged", {"metres": metres, "native": native}
        return "prompt.resolution", {"metres": metres}


def _known(values: Mapping[str, Any]) -> Values:
    """Values, if they are known."""
    return values if all(values.values()) else {}


#: Metres along the equator of a pixel at zoom 0: the circumference by 512, as static maps count (Mapbox' documentation of
#: its zoom levels). Servers that count tiles of 256 pixels show twice as much.
_METRES_PER_PIXEL = 40_075_016.686 / 512


def still_side_m(zoom: float, size: int, lat: float) -> float:
    """The least that a side of an overhead still shows on the ground, in metres, at a latitude in degrees."""
    return size * _METRES_PER_PIXEL * math.cos(math.radians(lat)) / 2**zoom


#: Between the tropics there is neither summer nor winter; latitude in degrees.
_TROPIC = 23.44


def season(datetime: str | None, lat: float) -> str | None:
    """The meteorological season of a moment (ISO 8601), by whole months; None in the tropics, or without a moment."""
    if datetime is None or abs(lat) <= _TROPIC:
        return None
    quarter = int(datetime[5:7]) % 12 // 3 + (0 if lat > 0 else 2)
    return ("winter", "spring", "summer", "autumn")[quarter % 4]
