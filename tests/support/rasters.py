"""Small rasters and STAC items on disk, as users have them, and what plain rasterio reads there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

CRS, CORNER = "EPSG:32633", (600_000, 5_800_000)


def tif(path: Path, pixels: np.ndarray, size: float = 10, corner: tuple[float, float] = CORNER, **profile: Any) -> Path:
    """Pixels (rows, columns) or (bands, rows, columns) as a tiled GeoTIFF."""
    bands = pixels if pixels.ndim == 3 else pixels[None]
    transform = Affine(size, 0, corner[0], 0, -size, corner[1])
    how = {"driver": "GTiff", "crs": CRS, "transform": transform, "tiled": True, "blockxsize": 64, "blockysize": 64}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        count=bands.shape[0],
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=bands.dtype,
        **{**how, **profile},
    ) as out:
        out.write(bands)
    return path


def outline(path: Path) -> dict[str, Any]:
    """A raster's edge in degrees, as GeoJSON."""
    with rasterio.open(path) as raster:
        side = np.linspace(0, 1, 9)
        edge = [(s, 0) for s in side] + [(1, s) for s in side] + [(1 - s, 1) for s in side] + [(0, 1 - s) for s in side]
        xs, ys = zip(*(raster.transform @ (c * raster.width, r * raster.height) for c, r in edge), strict=True)
        points = np.column_stack(Transformer.from_crs(raster.crs, "EPSG:4326", always_xy=True).transform(xs, ys))
    points[-1] = points[0]
    return {"type": "Polygon", "coordinates": [points.tolist()]}


def middle(path: Path) -> tuple[float, float]:
    """Longitude and latitude of a raster's centre."""
    with rasterio.open(path) as raster:
        x, y = raster.transform @ (raster.width / 2, raster.height / 2)
        lon, lat = Transformer.from_crs(raster.crs, "EPSG:4326", always_xy=True).transform(x, y)
    return float(lon), float(lat)


def item(
    where: Path, assets: dict[str, Any], *, name: str = "scene", collection: str = "c", **properties: Any
) -> dict[str, Any]:
    """A STAC item over a raster."""
    known = {"datetime": "2024-06-15T10:00:00Z", "eo:cloud_cover": 1.0}
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "geometry": outline(where),
        "properties": {**known, **properties}, "links": [], "assets": assets,
    }  # fmt: skip


def catalogue(folder: Path, *items: dict[str, Any]) -> str:
    """Items as a local catalogue."""
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return str(folder / "items.json")


def recipe(folder: Path, place: tuple[float, float], labels: dict[str, Any], **imagery: Any) -> Path:
    """A recipe of one place, four tiles of 64 pixels."""
    (folder / "pois.csv").write_text(f"id,lon,lat\na,{place[0]},{place[1]}\n")
    known = {"url": "items.json", "collection": "c", "datetime": "2024"}
    content = {
        "name": "t", "pois": {"path": "pois.csv"}, "grid": {"extent_m": 1280}, "imagery": {**known, **imagery},
        "labels": {"source": "raster", "dataset": "esa-worldcover", **labels},
        "tiles": {"size": 64, "stride": 64, "output_size": 32},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return folder / "recipe.yaml"


def nearest(path: Path, geobox: GeoBox, band: int = 1) -> np.ndarray:
    """The pixel of a file that holds each centre of a grid, by pyproj and rasterio alone; 0 beyond its edge."""
    a = geobox.affine
    x = a.c + a.a * (np.arange(geobox.shape.x) + 0.5)
    y = a.f + a.e * (np.arange(geobox.shape.y) + 0.5)
    with rasterio.open(path) as raster:
        there = Transformer.from_crs(str(geobox.crs), raster.crs, always_xy=True)
        u, v = there.transform(*np.meshgrid(x, y))
        t = raster.transform
        cols, rows = np.floor((u - t.c) / t.a).astype(int), np.floor((v - t.f) / t.e).astype(int)
        inside = (rows >= 0) & (rows < raster.height) & (cols >= 0) & (cols < raster.width)
        pixels = raster.read(band)
    out = np.zeros(inside.shape, pixels.dtype)
    out[inside] = pixels[rows[inside], cols[inside]]
    return out
