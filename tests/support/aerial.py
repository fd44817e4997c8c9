"""Aerial images whose every pixel is known before it is read, their STAC items, and recipes of patches of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from nutonic.testing.overpass import Planted
from support.maps import node, way, write_pbf

#: Overpass is never asked where only a plan is made: nobody listens at this port.
NOBODY = {"source": "overpass", "url": "http://127.0.0.1:9/api/interpreter"}


@dataclass(frozen=True, kw_only=True)
class Flown:
    """One image: four bands of 8 bits in one file, as NAIP's are."""

    id: str
    corner: tuple[float, float]
    """Left and top, metres."""
    shape: tuple[int, int]
    epsg: int = 26915
    pixel: float = 0.6
    day: str = "2021-09-01"
    seed: int = 0
    empty_rows: int = 0
    """So many of the first rows were not flown over."""

    @property
    def grid(self) -> GeoBox:
        return GeoBox(
            self.shape,
            Affine(self.pixel, 0, self.corner[0], 0, -self.pixel, self.corner[1]),
            f"EPSG:{self.epsg}",
        )

    def pixels(self, row: np.ndarray, col: np.ndarray) -> np.ndarray:
        """(4, …) uint8: steps and slopes that no flip, turn, shift or swap of bands leaves as they are."""
        fields = (row // 16 * 53 + col // 16 * 31 + 97 * self.seed) % 150
        bands = [20 + (fields + 40 * band) % 150 + (row % 16) * 3 + (col % 16) for band in range(4)]
        return np.where(row < self.empty_rows, 0, np.stack(bands)).astype(np.uint8)

    def write(self, folder: Path, **profile: Any) -> Path:
        """The image as a tiled GeoTIFF."""
        row, col = np.mgrid[: self.shape[0], : self.shape[1]]
        how = {"driver": "GTiff", "dtype": "uint8", "count": 4, "tiled": True, "blockxsize": 128, "blockysize": 128}
        how |= {"compress": "deflate", "crs": f"EPSG:{self.epsg}", "transform": self.grid.affine, **profile}
        path = folder / f"{self.id}.tif"
        with rasterio.open(path, "w", height=self.shape[0], width=self.shape[1], **how) as raster:
            raster.write(self.pixels(row, col))
        return path

    def item(self, href: str | None = None, collection: str = "naip") -> dict[str, Any]:
        """Its STAC item, as the Planetary Computer's are: one asset `image` of four bands."""
        box = self.grid.boundingbox
        to_degrees = Transformer.from_crs(f"EPSG:{self.epsg}", "EPSG:4326", always_xy=True)
        corners = [(box.left, box.bottom), (box.right, box.bottom), (box.right, box.top), (box.left, box.top)]
        ring = [list(to_degrees.transform(*corner)) for corner in [*corners, corners[0]]]
        lon, lat = zip(*ring, strict=True)
        bands = [{"name": name, "common_name": name.lower()} for name in ("Red", "Green", "Blue", "NIR")]
        told = {"proj:epsg": self.epsg, "proj:shape": list(self.shape), "proj:transform": [*self.grid.affine][:6]}
        href = href or f"{self.id}.tif"
        asset = {"href": href, "type": "image/tiff; application=geotiff", "roles": ["data"], "eo:bands": bands}
        return {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": [],
            "id": self.id,
            "collection": collection,
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "bbox": [min(lon), min(lat), max(lon), max(lat)],
            "properties": {"datetime": f"{self.day}T16:00:00Z", "gsd": self.pixel, **told},
            "links": [],
            "assets": {"image": asset},
        }


def catalogue(folder: Path, images: Iterable[Flown]) -> str:
    """The images' items as a local catalogue; files that were not written are empty, which a plan does not look into."""
    images = list(images)
    for image in images:
        (folder / f"{image.id}.tif").touch()
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [each.item() for each in images]}))
    return str(path)


def bands() -> list[dict[str, Any]]:
    """Red, green and blue of the one file."""
    return [{"asset": "image", "band": 1 + k, "name": name} for k, name in enumerate(("red", "green", "blue"))]


def recipe(folder: Path, *, name: str = "recipe.yaml", **parts: Any) -> Path:
    """A recipe of patches over the images of a folder; `parts` take the place of what stands here, or are added to it."""
    content: dict[str, Any] = {
        "kind": "patches",
        "name": "aerial",
        "imagery": {"url": "items.json", "collection": "naip", "datetime": "2018-01-01/2023-12-31", "assets": bands()},
        "patches": {"size": 64},
        "osm": dict(NOBODY),
        "splits": {"by": "place", "train": 1.0, "validation": 0.0, "test": 0.0},
        "captions": {"words": {"area": [5, 120], "line": [5, 120], "revision": [2, 50]}},
        "shards": {"quality": 100},
    }
    for key, value in parts.items():
        whole = isinstance(value, dict) and key not in ("osm", "splits")
        content[key] = {**content.get(key, {}), **value} if whole else value
    path = folder / name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


Feature = tuple[str, Iterable[tuple[float, float]], dict[str, str]]


def planted(epsg: int, *features: Feature) -> list[Planted]:
    """Features that are drawn in metres of a zone: way after way, from 1 on, or node after node.

    Each is a kind (``area``, ``line`` or ``point``), its places, and its tags.
    """
    to_degrees = Transformer.from_crs(f"EPSG:{epsg}", "EPSG:4326", always_xy=True)
    found, nodes = list[Planted](), 1000
    for number, (kind, places, tags) in enumerate(features, 1):
        here = [tuple(round(value, 7) for value in to_degrees.transform(*place)) for place in places]
        if kind == "point":
            found.append(node(number, *here[0], **tags))
            continue
        first = nodes
        found += [node(first + k, *place) for k, place in enumerate(here)]
        nodes += len(here)
        ids = list(range(first, nodes)) + ([first] if kind == "area" else [])
        found.append(way(number, ids, **tags))
    return found


def plant(path: Path, epsg: int, *features: Feature) -> Path:
    """An extract of such features."""
    return write_pbf(path, planted(epsg, *features))


def rectangle(left: float, bottom: float, right: float, top: float) -> list[tuple[float, float]]:
    return [(left, bottom), (right, bottom), (right, top), (left, top)]
