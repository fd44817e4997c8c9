"""Scenes and land cover that look, and compress, like real ones: what the benchmarks read.

A deflated file of smooth gradients decodes several times faster than a real one, and one of noise slower, so the texture
is calibrated. A 10 m Sentinel-2 surface reflectance crop (B02 to B04, Mol, 2019) deflates with predictor 2 to 1 : 1.48 to
1 : 1.56 of its bytes, neighbours differ by 50 to 70 digital numbers; a 100 m one to 1 : 1.44 to 1 : 1.57. The bands here
come to about 1 : 1.5. (The demo's scene comes to 1 : 4.6, since its numbers are multiples of 16, left by a lossy JPEG 2000.)
Land cover of ESA WorldCover has 8 to 199 pieces in 256 × 256 pixels, the middle half about 50, and a mixed landscape of
TerraMesh 150; here the middle is about 150, and in the fragmented one about 600.
"""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from pyproj import Transformer
from scipy import ndimage

BANDS = ("red", "green", "blue")
CRS, LEFT, TOP = "EPSG:32633", 399_960, 5_200_020

#: Land cover as ESA WorldCover's: degrees, and its classes in the order of the texture's brightness.
STEP = 1 / 12_000
CLASSES = (80, 10, 30, 40, 20, 50, 60)

#: Side of the texture that is mirrored to fill a scene, in pixels.
_TEXTURE = 2048

#: Standard deviation of the noise of single pixels, by which the compression ratio is set.
_GRAIN = 40.0

_UNIT = np.array([(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)])


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Where scenes lie, and how they are stored."""

    side: int = 8192
    """Pixels along a side of a scene."""
    across: int = 2
    """Scenes along a side of the world; they touch and do not overlap."""
    block: int = 1024
    """Side of the blocks of imagery."""
    labels_block: int = 1024

    def origin(self, column: int, row: int) -> tuple[int, int]:
        """The north-west corner of a scene, in metres."""
        return LEFT + 10 * self.side * column, TOP - 10 * self.side * row

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north of all scenes in degrees, with a margin."""
        wide = 10 * self.side * self.across
        to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
        west, south, east, north = to_degrees.transform_bounds(LEFT, TOP - wide, LEFT + wide, TOP)
        return west - 0.02, south - 0.02, east + 0.02, north + 0.02

    def item_id(self, column: int, row: int) -> str:
        """Of a scene."""
        return f"s2-{self.block}-{column}{row}"


def octaves(side: int, random: np.random.Generator, rough: float = 0.55) -> np.ndarray:
    """Texture of every size from a few pixels to the whole, (side, side) float32 of mean 0 and standard deviation 1."""
    out, weight, cells = np.zeros((side, side), np.float32), 1.0, 4
    while cells <= side // 2:
        grid = random.standard_normal((cells + 3, cells + 3)).astype(np.float32)
        grown = ndimage.zoom(grid, (side / cells), order=1)[:side, :side]
        out += np.float32(weight) * grown
        weight, cells = weight * rough, cells * 2
    return np.asarray((out - out.mean()) / out.std(), np.float32)


def mirrored(texture: np.ndarray, side: int) -> np.ndarray:
    """A texture repeated, every other time mirrored, to fill a square."""
    period = 2 * len(texture)
    at = np.arange(side) % period
    at = np.minimum(at, period - 1 - at)
    return texture[np.ix_(at, at)]


def bands(side: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Red, green and blue of one ground, (side, side) uint16 digital numbers of reflectance."""
    random, size = np.random.default_rng(seed), min(side, _TEXTURE)
    ground, fields = octaves(size, random, 0.62), octaves(size, random, 0.4)
    patches = ndimage.median_filter(np.digitize(fields, np.linspace(-2, 2, 12)), 5) * 90.0
    found = {}
    for name, mean, spread in zip(BANDS, (1180, 1010, 760), (330, 250, 210), strict=True):
        grain = random.standard_normal((size, size)) * _GRAIN * spread / 260
        pixels = mean + spread * ground + patches * spread / 330 + grain
        found[name] = mirrored(np.clip(np.rint(pixels), 1, 12_000).astype(np.uint16), side)
    return found


def land_cover(shape: tuple[int, int], seed: int = 0, *, fragmented: bool = False) -> np.ndarray:
    """Class ids, (height, width) uint8, in patches of every size."""
    size = min(max(shape), _TEXTURE)
    random = np.random.default_rng([seed, 7])
    field = octaves(size, random, 0.80 if fragmented else 0.66)
    classes = np.array(CLASSES, np.uint8)[np.digitize(field, (-1.6, -0.5, 0.2, 0.9, 1.4, 2.0))]
    whole = mirrored(classes, max(shape))
    return np.ascontiguousarray(whole[: shape[0], : shape[1]])


def write(folder: Path, world: World) -> Path:
    """Write scenes, land cover and a catalogue; returns the catalogue's path."""
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / world.item_id(0, 0)
    first.mkdir()
    for name, pixels in bands(world.side).items():
        write_cog(first / f"{name}.tif", pixels, Affine(10, 0, LEFT, 0, -10, TOP), CRS, world.block)
    places = [(column, row) for row in range(world.across) for column in range(world.across)]
    for column, row in places[1:]:
        _moved(first, folder / world.item_id(column, row), world.origin(column, row))
    write_labels(folder / "land_cover.tif", world)
    return _catalogue(folder, [_item(world, column, row) for column, row in places])


def write_masks(folder: Path, world: World) -> None:
    """Write a scene classification of 20 m beside each scene's bands, with clouds and their shadows, and say so."""
    items = [_item(world, column, row) for row in range(world.across) for column in range(world.across)]
    side = world.side // 2
    clouds = octaves(min(side, _TEXTURE), np.random.default_rng(11), 0.5)
    classes = np.array((4, 5, 3, 9), np.uint8)[np.digitize(clouds, (0.5, 2.2, 2.5))]  # plants, bare, shadow, cloud
    for item in items:
        _, _, left, _, _, top = item["assets"]["red"]["proj:transform"]
        affine = Affine(20, 0, left, 0, -20, top)
        write_cog(folder / item["id"] / "scl.tif", mirrored(classes, side), affine, CRS, min(512, world.block))
        facts = {"proj:transform": list(affine)[:6], "proj:shape": [side] * 2, "type": "image/tiff"}
        item["assets"]["scl"] = {"href": f"{item['id']}/scl.tif", "roles": ["data"], **facts}
    _catalogue(folder, items)


def write_jpeg2000(folder: Path, source: Path, world: World) -> None:
    """Write the north-west corner of a world's first scene as ESA packs Sentinel-2: lossless JPEG 2000 in tiles of 1024."""
    item = _item(world, 0, 0)
    (folder / item["id"]).mkdir(parents=True)
    for name, asset in item["assets"].items():
        asset.update(href=f"{item['id']}/{name}.jp2", type="image/jp2")
        with rasterio.open(source / item["id"] / f"{name}.tif") as raster:
            pixels = raster.read(1, window=((0, world.side), (0, world.side)))
        profile = {
            "driver": "JP2OpenJPEG",
            "height": world.side,
            "width": world.side,
            "count": 1,
            "dtype": pixels.dtype,
        }
        tiles = {"blockxsize": world.block, "blockysize": world.block, "quality": 100, "reversible": "YES"}
        place = {"crs": CRS, "transform": Affine(*asset["proj:transform"])}
        with rasterio.open(folder / asset["href"], "w", **profile, **tiles, **place) as out:
            out.write(pixels, 1)
    _catalogue(folder, [item])


def _catalogue(folder: Path, items: list[dict[str, Any]]) -> Path:
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def write_cog(path: Path, pixels: np.ndarray, transform: Affine, crs: str, block: int) -> None:
    """Write pixels as the catalogues' COGs are: deflate, predictor 2 for numbers, overviews in the file."""
    plain = path.with_suffix(".raw.tif")
    profile: dict[str, Any] = {"driver": "GTiff", "height": pixels.shape[0], "width": pixels.shape[1], "count": 1}
    with rasterio.open(plain, "w", **profile, dtype=pixels.dtype, crs=crs, transform=transform, nodata=0) as out:
        out.write(pixels, 1)
    numbers = pixels.dtype == np.uint16
    rasterio.shutil.copy(
        plain, path, driver="COG", compress="DEFLATE", predictor="YES" if numbers else "NO", blocksize=block,
        overview_resampling="average" if numbers else "mode", num_threads="ALL_CPUS",
    )  # fmt: skip
    plain.unlink()


def write_labels(path: Path, world: World, *, fragmented: bool = False) -> None:
    """Write land cover in degrees over all scenes."""
    west, south, east, north = world.bounds
    west, north = np.floor(west / STEP) * STEP, np.ceil(north / STEP) * STEP
    shape = int(np.ceil((north - south) / STEP)), int(np.ceil((east - west) / STEP))
    transform = Affine(STEP, 0, west, 0, -STEP, north)
    write_cog(path, land_cover(shape, fragmented=fragmented), transform, "EPSG:4326", world.labels_block)


def _moved(source: Path, folder: Path, origin: tuple[int, int]) -> None:
    """The same files elsewhere on Earth: only the numbers of the tie point in their headers are others."""
    folder.mkdir()
    before, after = (struct.pack("<2d", *where) for where in ((LEFT, TOP), origin))
    for path in sorted(source.glob("*.tif")):
        copy = folder / path.name
        shutil.copyfile(path, copy)
        with copy.open("r+b") as file:
            head = file.read(2**16)
            assert head.count(before) == 1, "the tie point is not where it should be"
            file.seek(head.index(before))
            file.write(after)


def _item(world: World, column: int, row: int) -> dict[str, Any]:
    left, top = world.origin(column, row)
    to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    wide = 10 * world.side
    ring = np.stack(to_degrees.transform(left + wide * _UNIT[:, 0], top - wide * _UNIT[:, 1]), -1)
    facts = {"proj:transform": [10, 0, left, 0, -10, top], "proj:shape": [world.side] * 2, "type": "image/tiff"}
    name = world.item_id(column, row)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "realistic",
        "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
        "bbox": [*ring.min(0).tolist(), *ring.max(0).tolist()],
        "links": [],
        "properties": {"datetime": "2024-06-01T10:00:00Z", "eo:cloud_cover": 1, "proj:epsg": int(CRS[5:])},
        "assets": {band: {"href": f"{name}/{band}.tif", "roles": ["data"], **facts} for band in BANDS},
    }


def compression_ratio(path: Path) -> float:
    """Bytes of a band's pixels by the bytes of its blocks in the file, overviews left out."""
    with rasterio.open(path) as raster:
        sizes = [
            int(raster.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", bidx=1))
            for y in range(-(-raster.height // raster.block_shapes[0][0]))
            for x in range(-(-raster.width // raster.block_shapes[0][1]))
        ]
        return raster.height * raster.width * np.dtype(raster.dtypes[0]).itemsize / sum(sizes)
