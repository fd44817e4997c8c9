"""A synthetic planet for tests: scenes, land cover and places whose right pixels are known before anything is read.

Every pixel is a function of the seed and of absolute ground coordinates, computed in numpy alone, so the right pixels of
any window are known. Nothing is symmetric: a flip, a transposition or a shift by one pixel changes pixels and boxes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import rasterio
import yaml
from affine import Affine
from numpy.typing import ArrayLike
from pyproj import Transformer

BANDS = ("red", "green", "blue")
COLLECTION = "synthetic-l2a"

#: Rows of a band that are made at once.
_STRIP = 64

#: The places' centres as shares of the planet, from its west and north edge, and the scene that is the right one there.
_PLACES: tuple[tuple[float, float, str | None], ...] = (
    (0.17, 0.24, "west"), (0.36, 0.31, "west"), (0.20, 0.30, "west"),  # the third overlaps the first: one split group
    (0.31, 0.57, "west"), (0.71, 0.21, "east-raw"), (0.89, 0.33, "east-raw"), (0.86, 0.50, "east-raw"),
    (0.55, 0.42, "full"), (0.12, 0.05, "full"),  # between west and east; over the planet's edge, so covered in part
    (0.88, 0.10, "east-raw"), (0.79, 0.92, "east-raw"),  # mostly unlabelled; where the labels end
    (0.66, 0.75, "east-raw"),  # its first tile is flat in blue
    (0.42, 0.90, "west"),  # with nodata inside the footprint
    (1.20, 0.50, None),  # out of reach
)  # fmt: skip


class SyntheticGrid(NamedTuple):
    """Where a raster's pixels lie; `shape` is height and width."""

    crs: str
    transform: Affine
    shape: tuple[int, int]

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """``x`` (width,) and ``y`` (height,) of the pixel centres."""
        a, (height, width) = self.transform, self.shape
        return a.c + a.a * (np.arange(width) + 0.5), a.f + a.e * (np.arange(height) + 0.5)

    def pixels(self, x: ArrayLike, y: ArrayLike, lattice: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Column and row (int64) of the pixels that contain points.

        With `lattice` they are counted from the origin of the CRS, eastwards and southwards.
        """
        a = self.transform
        first = (round(a.c / a.a), round(a.f / a.e)) if lattice else (0, 0)
        col, row = np.floor((np.asarray(x) - a.c) / a.a), np.floor((np.asarray(y) - a.f) / a.e)
        return col.astype(np.int64) + first[0], row.astype(np.int64) + first[1]


@dataclass(frozen=True, slots=True)
class SyntheticScene:
    """One scene of the planet: where it lies, and what its item says about it."""

    id: str
    grid: SyntheticGrid
    texture: int
    """Scenes with the same number show the same pixels."""
    cloud_cover: float
    day: str
    baseline: str
    applied: bool | None
    """Whether, by its item, the offset of baselines since 04.00 is applied; unless True, its files hold 1000 too much."""
    west_wedge: int = 0
    """How many columns lack data at the south end of the western edge; the footprint excludes them."""
    south_wedge: int = 0
    """How many rows lack data at the east end of the southern edge; the footprint includes them."""

    def footprint(self) -> np.ndarray:
        """What the item claims to cover: a closed, counter-clockwise ring (33, 2) in metres."""
        (height, width), west = self.grid.shape, self.west_wedge
        corners = np.array([(0, 0), (west, height), (width, height), (width, 0), (0, 0)])
        col, row = (np.interp(np.arange(33) / 8, np.arange(5), corners[:, k]) for k in (0, 1))
        return np.stack([self.grid.transform.c + 10 * col, self.grid.transform.f - 10 * row], -1)

    def observed(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """True where the scene has data, at points in its CRS."""
        height, width = self.grid.shape
        col, row = (index + 0.5 for index in self.grid.pixels(x, y))
        dark = (col * height < row * self.west_wedge) | ((height - row) * width < col * self.south_wedge)
        return np.asarray((col > 0) & (col < width) & (row > 0) & (row < height) & ~dark)


@dataclass(frozen=True)
class SyntheticPlanet:
    """A small piece of ground, covered by several scenes and one land-cover raster."""

    seed: int = 0
    _: KW_ONLY
    zone_epsg: int = 32633
    origin: tuple[int, int] = (722_340, 5_176_780)
    """North-west corner in metres, multiples of 10. Through the default runs 18° E, where the next zone begins."""
    shape: tuple[int, int] = (1000, 1200)
    """Height and width in pixels of 10 m; the scenes of `places` hold for this one."""
    block: int = 256
    """Side of the files' blocks, a multiple of 16."""
    labels_in: Literal["degrees", "zone", "shifted"] = "degrees"
    """Land cover in EPSG:4326, with pixels of 1/12000 degree; in the zone, on its lattice; or 3.7 m and 2.9 m off it."""
    neighbour: bool = False
    """Whether one more scene, clearer than those in the east, lies in the next UTM zone."""
    classes: Mapping[int, str] = field(
        default_factory=lambda: dict(enumerate(("tree cover", "grassland", "cropland", "built-up", "bare", "water"), 1))
    )
    """Class id to label, three or more."""
    unknown: int = 0
    """The label raster's nodata value, no class."""

    @cached_property
    def scenes(self) -> tuple[SyntheticScene, ...]:
        """All scenes, in the order of the catalogue, in which no property is sorted."""
        h, w = self.shape
        full, west = self.part(0, 0, h, w), self.part(h // 11, 0, h, w * 29 // 50)
        east, next_zone = self.part(0, w * 13 // 25, h, w), self.part(h * 3 // 8, w * 2 // 3, h * 4 // 5, w, east=True)
        scenes = (
            SyntheticScene("cloudy", full, 4, 62.0, "2024-08-19", "04.00", None),
            SyntheticScene("full", full, 1, 11.5, "2024-06-02", "03.01", None, west_wedge=w // 9),
            SyntheticScene("east-applied", east, 3, 4.0, "2024-05-11", "05.10", True),
            SyntheticScene("west", west, 2, 0.5, "2024-05-30", "05.10", True, south_wedge=h // 5),
            SyntheticScene("east-raw", east, 3, 4.0, "2024-07-10", "05.10", False),
            SyntheticScene("neighbour", next_zone, 5, 2.5, "2024-09-01", "05.10", True),
        )
        return scenes[: 6 if self.neighbour else 5]

    def part(self, top: int, left: int, bottom: int, right: int, *, east: bool = False) -> SyntheticGrid:
        """The grid of some rows and columns of the planet, in its own zone or, from the same corner, in the next."""
        zone = self.zone_epsg % 100 % 60 + 1 if east else self.zone_epsg % 100
        crs, corner = f"EPSG:{self.zone_epsg // 100 * 100 + zone}", np.add(self.origin, (10 * left, -10 * top))
        x, y = (_project(corner, self.zone_epsg, crs) / 10).round() * 10
        return SyntheticGrid(crs, Affine(10, 0, float(x), 0, -10, float(y)), (bottom - top, right - left))

    def scene(self, scene_id: str) -> SyntheticScene:
        """The scene of this id."""
        return next(scene for scene in self.scenes if scene.id == scene_id)

    @cached_property
    def label_grid(self) -> SyntheticGrid:
        """The land cover's grid; its last rows end before the scenes do."""
        degrees, shift = self.labels_in == "degrees", (3.7, 2.9) if self.labels_in == "shifted" else (0.0, 0.0)
        crs, step, per_unit = ("EPSG:4326", 1 / 12000, 12000) if degrees else (f"EPSG:{self.zone_epsg}", 10.0, 0.1)
        u, v = (_project(self.scene("cloudy").footprint(), self.zone_epsg, crs) * per_unit).T
        west, north = int(u.min()) - 8, int(v.max()) + 8
        shape = (int((north - v.min()) * 0.92), int(u.max()) + 8 - west)
        return SyntheticGrid(crs, Affine(step, 0, west * step + shift[0], 0, -step, north * step + shift[1]), shape)

    @cached_property
    def places(self) -> tuple[tuple[float, float, str | None], ...]:
        """Lines of the places file: longitude, latitude, and the scene that is right for a square of 1400 m there."""
        share, scenes = np.array([place[:2] for place in _PLACES]), [place[2] for place in _PLACES]
        scenes[6] = "neighbour" if self.neighbour else scenes[6]
        moved = np.random.default_rng([self.seed, 1]).uniform(-30, 30, share.shape)
        xy = self.origin + share * (self.shape[1] * 10, -self.shape[0] * 10) + moved
        lonlat = _project(xy, self.zone_epsg, "EPSG:4326").round(7).tolist()
        return tuple((lon, lat, scene) for (lon, lat), scene in zip(lonlat, scenes, strict=True))

    def reflectance(self, band: str, x: ArrayLike, y: ArrayLike, scene_id: str) -> np.ndarray:
        """The right pixels (uint16, 0 for nodata, without the offset) of a scene at points in its CRS, which broadcast."""
        scene = self.scene(scene_id)
        col, row = scene.grid.pixels(x, y, lattice=True)
        cell, mark, noise = _ground(self._key(scene.texture, BANDS.index(band)), col, row)
        value = 700 + cell % 2400 + (3 * col + 5 * row) % 512 + 900 * mark + noise % 64
        value = np.where((cell % 7 == 0) & (mark == 0), 1 + noise % 3, value)  # dark water
        col, row = col - self.origin[0] // 10, row + self.origin[1] // 10
        is_flat = (col >= 700) & (col < 800) & (row >= 660) & (row < 752) & (band == "blue")
        return np.where(scene.observed(x, y), np.where(is_flat, 1234, value), 0).astype(np.uint16)

    def rgb(self, x: np.ndarray, y: np.ndarray, scene_id: str) -> np.ndarray:
        """Right pixels of a window, (3, height, width) uint16, for the columns' ``x`` and the rows' ``y``."""
        return np.stack([self.reflectance(band, x[None, :], y[:, None], scene_id) for band in BANDS])

    def stored(self, band: str, x: ArrayLike, y: ArrayLike, scene_id: str) -> np.ndarray:
        """The pixels in the file: where the offset is not applied, 1000 more, and 602 to 1001 for the darkest ones."""
        scene, right = self.scene(scene_id), self.reflectance(band, x, y, scene_id)
        if scene.applied or scene.baseline < "04.00":
            return right
        dark = 1001 - mixed(self._key(scene.texture, 7), *scene.grid.pixels(x, y, lattice=True)) % 400
        return np.where(right > 1, right + np.uint16(1000), np.where(right == 1, dark, 0)).astype(np.uint16)

    def land_cover(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Class ids (uint8) at points in the land cover's own CRS, longitude or easting first; they broadcast."""
        (col, row), (height, width) = self.label_grid.pixels(x, y), self.label_grid.shape
        is_labelled = (col >= 0) & (col < width) & (row >= 0) & (row < height)
        # There are no labels in the north-east corner.
        is_labelled &= 50 * (width - col) * height + 65 * row * width > 19 * height * width
        cell, mark, noise = _ground(self._key(0), *self.label_grid.pixels(x, y, lattice=True))
        ids = np.array([*self.classes, self.unknown])
        ground = ids[np.where(noise % 89 == 0, noise // 89, cell) % ids.size]
        return np.where(is_labelled, np.choose(mark, (ground, ids[1], ids[0], ids[-2])), self.unknown).astype(np.uint8)

    def labels_at(self, x: np.ndarray, y: np.ndarray, crs: str | int) -> np.ndarray:
        """Class ids of a window, (height, width) uint8: those of the label pixels that contain its pixels' centres.

        pyproj transforms every centre.
        """
        return self.land_cover(*np.moveaxis(_project(np.stack(np.meshgrid(x, y), -1), crs, self.label_grid.crs), -1, 0))

    def _key(self, *names: int) -> int:
        return int(np.random.default_rng([self.seed, 2, *names]).integers(2**62))

    def write(self, folder: str | Path, only: Iterable[str] | None = None, **recipe: Mapping[str, Any]) -> Path:
        """Write the planet into a folder, the same bytes every time, and return the recipe's path.

        Parameters
        ----------
        folder
            Gets ``recipe.yaml``, ``pois.csv``, ``items.json``, ``land_cover.tif`` and ``SCENE/BAND.tif``.
        only
            Ids of the scenes to write; all by default.
        **recipe
            Values to replace, by part of the recipe: ``tiles={"size": 32}``.
        """
        folder, scenes = Path(folder), [scene for scene in self.scenes if only is None or scene.id in set(only)]
        for scene, band in ((scene, band) for scene in scenes for band in BANDS):
            path, pixels = folder / scene.id / f"{band}.tif", partial(self.stored, band, scene_id=scene.id)
            write_band(path, scene.grid, pixels, nodata=0, block=self.block)
        write_band(folder / "land_cover.tif", self.label_grid, self.land_cover, nodata=self.unknown, block=self.block)
        catalogue = {"type": "FeatureCollection", "features": [_item(scene) for scene in scenes]}
        (folder / "items.json").write_text(json.dumps(catalogue, indent=1), encoding="utf-8")
        lines = "".join(f"{lon!r},{lat!r}\n" for lon, lat, _ in self.places)
        (folder / "pois.csv").write_text(f"lon,lat\n{lines}", encoding="utf-8")
        (folder / "recipe.yaml").write_text(yaml.safe_dump(self.recipe(**recipe), sort_keys=False), encoding="utf-8")
        return folder / "recipe.yaml"

    def recipe(self, **parts: Mapping[str, Any]) -> dict[str, Any]:
        """A recipe for the written files, with places of 140 px and four tiles each; `parts` replace values in it."""
        table = {"name": "synthetic", "classes": dict(self.classes), "unknown": self.unknown}
        values: dict[str, Any] = {
            "name": "synthetic-planet",
            "pois": {"path": "pois.csv"},
            "grid": {"extent_m": 1400},
            "imagery": {"url": "items.json", "collection": COLLECTION, "datetime": "2024-05-01/2024-09-30"},
            "labels": {"source": "raster", "path": "land_cover.tif", "dataset": table},
            "tiles": {"size": 64, "stride": 66, "output_size": 40, "min_valid_fraction": 0.35},
            "rows": {"min_region_px": 12},
            "splits": {"train": 0.6, "validation": 0.2, "test": 0.2},
        }
        return values | {name: {**values.get(name, {}), **part} for name, part in parts.items()}


def _project(points: np.ndarray, source: str | int, target: str | int) -> np.ndarray:
    """Points (..., 2) from one CRS to another, x or longitude first."""
    return np.stack(Transformer.from_crs(source, target, always_xy=True).transform(points[..., 0], points[..., 1]), -1)


def mixed(key: int, col: np.ndarray, row: np.ndarray) -> np.ndarray:
    """A number from 0 to 2⁶³ for each pixel, like noise (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        z = np.asarray(col * 0x1E3779B97F4A7C15 + row * 0x5134_2543_DE82_EF95).astype(np.uint64) + np.uint64(key)
        for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
            z = (z ^ (z >> np.uint64(30))) * np.uint64(factor)
        return np.asarray((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)


def _ground(key: int, col: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ground at pixels of the lattice: the number of the sheared cell, a mark (0 to 3), and noise.

    Mark 2 is two rectangles that touch only at a corner, and one pixel farther away, on a ground of mark 1. Mark 3 is two
    rivers, one pixel wide; the pixels of the first are connected only at their corners.
    """
    cell = mixed(key + 1, (col + row // 3) // 37, (row + col // 5) // 23)
    c, r = col % 83, row % 71
    first, second = (c >= 2) & (c < 16) & (r >= 3) & (r < 12), (c >= 16) & (c < 23) & (r >= 12) & (r < 19)
    river = ((col - row) % 211 == 17) | ((col - 2 * row // 5) % 263 == 40)
    mark = np.select([river, first | second | ((c == 4) & (r == 22)), (c < 31) & (r < 26)], [3, 2, 1], 0)
    return cell, mark, mixed(key, col, row)


def write_band(path: Path, grid: SyntheticGrid, pixels: Callable[..., np.ndarray], *, nodata: int, block: int) -> None:
    """Write a band as a tiled, deflated GeoTIFF; `pixels` gives its pixels at the coordinates of their centres."""
    (x, y), (height, width) = grid.centres(), grid.shape
    # By rows that fit into the processor's cache: in one piece it takes half as long again.
    strips = [pixels(x=x[None, :], y=y[at : at + _STRIP, None]) for at in range(0, height, _STRIP)]
    band = np.concatenate(strips)
    georeference = {"crs": grid.crs, "transform": grid.transform, "height": height, "width": width, "nodata": nodata}
    layout = {"tiled": True, "blockxsize": block, "blockysize": block, "compress": "deflate", "zlevel": 1}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype=band.dtype, **georeference, **layout) as raster:
        raster.write(band, 1)


def _item(scene: SyntheticScene) -> dict[str, Any]:
    """The STAC item of a scene; hrefs are relative to the catalogue."""
    ring = _project(scene.footprint(), scene.grid.crs, "EPSG:4326").round(9)
    head = {"type": "Feature", "stac_version": "1.0.0", "id": scene.id, "collection": COLLECTION, "links": []}
    offset_flag = {} if scene.applied is None else {"earthsearch:boa_offset_applied": scene.applied}
    properties = {"datetime": f"{scene.day}T09:50:31Z", "eo:cloud_cover": scene.cloud_cover, **offset_flag}
    asset = {
        "type": "image/tiff; application=geotiff",
        "roles": ["data", "reflectance"],
        "proj:transform": [*scene.grid.transform[:6]],
        "proj:shape": [*scene.grid.shape],
        "raster:bands": [
            {"nodata": 0, "data_type": "uint16", **({"scale": 0.0001, "offset": -0.1} if offset_flag else {})}
        ],
    }
    return head | {
        "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
        "bbox": [*ring.min(0).tolist(), *ring.max(0).tolist()],
        "properties": properties | {"proj:epsg": int(scene.grid.crs[5:]), "s2:processing_baseline": scene.baseline},
        "assets": {band: {"href": f"{scene.id}/{band}.tif", **asset} for band in BANDS},
    }
