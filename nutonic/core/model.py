"""The values that flow through nutonic. All are frozen; functions elsewhere turn one into the next.

``Poi`` → ``Scene`` → (cube) → ``Chip`` → ``Region`` → rows; ``Batch`` is the unit of work, retry, resume and commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nutonic.core.showing import ShortRepr, picture

if TYPE_CHECKING:
    import numpy as np
    from shapely.geometry.base import BaseGeometry

Json = dict[str, Any]

Split = Literal["train", "validation", "test"]
Scalar = str | int | float | bool | None
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Poi:
    """A place: a line of the input, or a jittered variant of one."""

    id: str
    """``poi_000012``, or the user's own id; variants end in ``_g001`` and so on."""
    base_id: str
    """Id of the input line it comes from; equal to `id` unless it is a variant."""
    ordinal: int
    """Index of the data row in the input, from 0; bad rows count."""
    variant: int
    """0 for the place itself, from 1 for its jittered variants."""
    lon: float
    """Degrees east, WGS 84, -180 to 180."""
    lat: float
    """Degrees north, WGS 84, -80 to 84."""
    place: tuple[tuple[str, Scalar], ...] = ()
    """Columns of the input that the recipe keeps, and their values, in the recipe's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One variable of a cube; its kind decides how pixels are resampled and reduced."""

    name: str
    kind: Literal["reflectance", "class", "index"]
    dtype: str
    """Numpy name of the dtype, such as ``"uint16"``."""
    nodata: int
    """The value of a pixel that was not observed."""
    masked: tuple[int, ...] = ()
    """Values in the file that also mean nodata, and are read as it."""
    remap: tuple[tuple[int, int], ...] = ()
    """Every value that a file may hold, in ascending order, and what it becomes; if empty, values are as they are."""
    flags: tuple[tuple[int, str, str], ...] = ()
    """Of classes with names: value, label and colour (``"#rrggbb"``) of each, for people who look at a cube."""
    title: str = ""
    """What the variable holds, in words; empty where its name says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One band of a raster of a scene, described well enough to be read without looking at it first."""

    name: str
    href: str
    """Where to read it: a URL or an absolute path."""
    written: str
    """The href as its catalogue wrote it, without query; of an absolute local path only the file name."""
    crs: str
    """``"EPSG:…"``, or WKT where there is no code."""
    transform: tuple[float, float, float, float, float, float]
    """a, b, c, d, e, f of the affine transform from (column, row) corners to the CRS."""
    shape: tuple[int, int]
    """Height and width in pixels."""
    nodata: float | None
    """The file's nodata value as its metadata declares it; None if it declares none."""
    offset: float | None = 0
    """Digital numbers (1e-4) to add to valid pixels once they are scaled: -1000 for Sentinel-2 baselines from 04.00 on,
    -2000 for Landsat's surface reflectance. None where only the file may tell."""
    band: int = 1
    """Which band of the file, from 1."""
    scale: float | None = None
    """Reflectance of a number 1, such as 1e-4, as the item or the recipe declares it; None where only the file may tell."""
    rendered: bool = False
    """Whether it is of a picture that is stretched already, 8 bits a band."""
    named_bands: int = 0
    """So many bands of the file are named as bands of a sensor, whichever of them the file takes for an alpha band."""
    classified: bool = False
    """Whether it holds classes beside the pictures of its scene, such as of clouds: no grid is of its pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One item of a catalogue, resolved by a search: everything that opening it needs."""

    id: str
    collection: str
    source: str
    """What served it: ``"stac"``, ``"raster"``."""
    datetime: str | None
    """ISO 8601, UTC; of a composite when it starts; None for rasters without a date."""
    cloud_cover: float | None
    """Percent, 0 to 100."""
    assets: tuple[Asset, ...]
    rendered: bool = False
    """Whether its pixels are a picture already, 8 bits a band: not to be stretched again."""
    item: Json | None = field(default=None, compare=False, repr=False)
    """The catalogue's item, reduced to what was used; only while planning. Not part of the scene's identity."""

    @property
    def pictured(self) -> tuple[Asset, ...]:
        """The assets that are seen: all but those of classes beside them."""
        return tuple(asset for asset in self.assets if not asset.classified)

    @property
    def lead(self) -> Asset:
        """The asset with the smallest pixels, the first of such: its pixels are those of the scene's grids."""
        return min(self.pictured, key=lambda asset: abs(asset.transform[0]))

    def has(self, name: str) -> bool:
        """Whether it has an asset of this name."""
        return any(asset.name == name for asset in self.assets)

    def asset(self, name: str) -> Asset:
        """The asset of this name; a KeyError names the ones there are."""
        for asset in self.assets:
            if asset.name == name:
                return asset
        raise KeyError(f"scene {self.id} has no asset {name!r}, only {[a.name for a in self.assets]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One moment of a cube: the scenes of one overpass, seen as one picture."""

    time: str | None
    """Of its earliest scene, ISO 8601, UTC; None where the source has no time axis."""
    scenes: tuple[Scene, ...]
    """In mosaic order: a pixel comes from the first that has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What a source has over an area."""

    steps: tuple[Step, ...]
    """In order of time; one step without a time if the source has no time axis."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Scenes that were found and are not used: id, and why."""
    why: str = ""
    """Where there is no step, what there is instead, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A square window of a place's grid, in native pixels, numbered by its position."""

    index: int
    row: int
    col: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """An 8-connected patch of one class on a chip's mask."""

    label: str
    class_id: int
    bbox: tuple[int, int, int, int]
    """x1, y1, x2, y2 in mask pixels, half-open: x2 and y2 are the first column and row outside."""
    area_px: int
    """Mask pixels in the patch itself, not in its box."""

    @property
    def fill(self) -> float:
        """The patch's share of its box, above 0 and at most 1."""
        x1, y1, x2, y2 = self.bbox
        return self.area_px / ((x2 - x1) * (y2 - y1))


@dataclass(frozen=True, slots=True, kw_only=True)
class TileQuality:
    """What of a square its scene saw badly, by the scene's own classification: shares of native pixels, 0 to 1."""

    cloud: float
    shadow: float
    snow: float
    nodata: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Chip(ShortRepr):
    """One picture and its mask, in the size they are written in."""

    rgb: np.ndarray
    """(height, width, 3) uint8; 0 where nothing was observed."""
    mask: np.ndarray
    """(height, width) uint8 class ids, with the table's unknown value where there is no label."""
    limits: tuple[tuple[int, int], ...]
    """Low and high of the stretch, one pair of digital numbers per band."""
    valid_fraction: float
    """Share of the native tile's pixels whose imagery is valid, 0 to 1."""
    quality: TileQuality | None = None
    """Of the native tile; None where its scene has no classification, or none was asked for."""
    augmentation: str | None = None
    """``flip``, ``r90``, ``r180``, ``r270``, or None for the original."""

    def _facts(self) -> Json:
        height, width = self.mask.shape
        classes = ", ".join(map(str, sorted(set(self.mask.ravel().tolist()))))
        view = {} if self.augmentation is None else {"augmentation": self.augmentation}
        return {"size": f"{height} × {width}", "valid": f"{self.valid_fraction:.1%}", "mask": classes, **view}

    def _repr_html_(self) -> str:
        return picture(self.rgb, super(Chip, self)._repr_html_())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A place or a tile that will not be in the dataset, and why. Never retried."""

    poi_id: str
    reason: str
    """A short phrase that rejects are counted by."""
    detail: str
    """What was found, with its values."""
    tile_id: str | None = None
    line: int | None = None
    """Line of the places file, from 1, for rows that did not become a place; of a file without lines its row."""
    unit: Literal["line", "row"] = "line"
    """What `line` counts."""

    @property
    def where(self) -> str:
        """Where in the places file it stands, to be put behind its name: `` (line 3)``; empty if nowhere."""
        return "" if self.line is None else f" ({self.unit} {self.line})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPlace:
    """A place with its split and the scenes chosen for it."""

    poi: Poi
    split: Split
    imagery: tuple[Scene, ...]
    """Up to three scenes, best first; the first is used unless it turns out unusable."""
    labels: tuple[Scene, ...]
    """All the label rasters under the square, in mosaic order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Up to 32 places near each other whose best scene is the same: one unit of work, retry and commit."""

    index: int
    places: tuple[PlannedPlace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A thing of OpenStreetMap, as it is drawn: a point, a line or an area."""

    type: Literal["node", "way", "relation"]
    id: int
    version: int
    kind: Literal["point", "line", "area"]
    """How it is to be understood, by its tags and its shape: a closed way may be a line, a relation an area."""
    tags: tuple[tuple[str, str], ...]
    """All that it has, sorted by key."""
    geometry: BaseGeometry = field(compare=False)
    """Longitudes and latitudes, WGS 84: a Point, a (Multi)LineString, or a valid (Multi)Polygon."""

    @property
    def key(self) -> str:
        """``way/123``."""
        return f"{self.type}/{self.id}"


#: So many first bytes of a remote file come with opening it.
HEAD_BYTES = 32 * 2**10


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePin:
    """What a remote file was when it was read: enough to see later that another one lies there.

    What a server tells is kept as digests, since it may tell anything. Of what a service has by name alone, as Earth Engine
    its images, it is 0 and the digest of when that was changed last.
    """

    size: int
    """Bytes of the whole file."""
    head: str
    """Digest of its first 32 KiB, or of all of it: hex digits."""
    etag: str | None
    """Digest of its ETag, behind ``W/`` if that is weak; None where none is told."""
    modified: str | None
    """Digest of its Last-Modified; None where none is told."""

    def differs(self, other: RemotePin) -> bool:
        """Whether two pins are of two versions of a file, as far as both of them tell.

        Other bytes are another version, and of a file whose bytes are all known nothing else matters. Servers behind one
        name may each have an ETag of their own, and the same time; or each its own time, and an ETag made of the content.
        """
        if (self.size, self.head) != (other.size, other.head):
            return True
        if self.size <= HEAD_BYTES or (self.modified and self.modified == other.modified):
            return False
        times = bool(self.modified and other.modified)
        if self.etag and other.etag:
            weak = self.etag.startswith("W/") or other.etag.startswith("W/")
            return self.etag.removeprefix("W/") != other.etag.removeprefix("W/") or (times and weak)
        return times
