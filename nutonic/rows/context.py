"""A finished chip, with all that its rows and its sidecar tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from odc.geo.geobox import GeoBox

from nutonic.chips.regions import LandCover
from nutonic.core.catalogs import AERIAL
from nutonic.core.model import Chip, PlannedPlace, Quality, Scene, Tile
from nutonic.rows import captions


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
    quality: Quality | None = None
    """Of the whole square; None where the scene has no classification, or tiles are not judged."""
    label_days: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Tile index to the ages of its labels: a number of days, and the share (0 to 1) of its labelled pixels that were
    observed within so many days of the scene. Only for labels that are chosen around a date."""
    still: str | None = None
    """Path in the tree of the place's overhead still; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipContext:
    """A finished chip, with all that its rows and its sidecar say."""

    place_result: PlaceResult
    tile: Tile
    tile_id: str
    image: str
    """Path of the picture in the tree."""
    chip: Chip
    cover: LandCover
    picture: str
    """What the picture is, in words, such as ``"satellite image"``."""
    caption: str
    """What the picture shows, in words: the same text in rows and sidecar."""


def chip_context(
    place_result: PlaceResult, tile: Tile, names: tuple[str, str], chip: Chip, cover: LandCover, side_m: float
) -> ChipContext:
    """Put a finished chip into words.

    Parameters
    ----------
    place_result, tile, chip, cover
        The place, one of its tiles, the tile's chip, and the land cover of the chip's mask.
    names
        The id of the tile, and the path of the picture in the tree.
    side_m
        Side of the tile on the ground, in metres.
    """
    picture = "aerial photograph" if place_result.scene.collection in AERIAL else "satellite image"
    return ChipContext(
        place_result=place_result,
        tile=tile,
        tile_id=names[0],
        image=names[1],
        chip=chip,
        cover=cover,
        picture=picture,
        caption=captions.caption(cover, side_m, picture),
    )
