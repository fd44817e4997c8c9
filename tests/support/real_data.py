"""Real rasters beside the checkout, and items for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from support.paths import ROOT

DATA = ROOT.parent / "shared" / "data"


RGB = {"red": "B04", "green": "B03", "blue": "B02"}


def item_of(name: str, files: dict[str, Path], when: str) -> dict[str, Any]:
    """A STAC item for files as they are."""
    assets = {}
    for band, path in files.items():
        with rasterio.open(path) as raster:
            said = {"proj:transform": [*raster.transform][:6], "proj:shape": [*raster.shape]}
            assets[band] = {"href": str(path), **said}
            box, crs = raster.bounds, raster.crs
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    corners = [(box.left, box.bottom), (box.right, box.bottom), (box.right, box.top), (box.left, box.top)]
    ring = [list(to_degrees.transform(*corner)) for corner in [*corners, corners[0]]]
    return {
        "type": "Feature",
        "id": name,
        "collection": "real",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": when, "proj:epsg": crs.to_epsg(), "eo:cloud_cover": 10},
        "assets": assets,
    }


def file_pixels(path: Path, geobox: GeoBox, band: int = 1) -> np.ndarray:
    """The file's own pixels under a grid on its lattice and within it."""
    with rasterio.open(path) as raster:
        a = raster.transform
        col, row = round((geobox.affine.c - a.c) / a.a), round((geobox.affine.f - a.f) / a.e)
        assert row >= 0
        assert col >= 0
        found = raster.read(band)[row : row + geobox.shape.y, col : col + geobox.shape.x]
    assert found.shape == tuple(geobox.shape)
    return found


def item_29rkh(folder: Path, **changes: Any) -> dict[str, Any]:
    item = json.loads((DATA / "s2_29rkh/S2A_29RKH_20200219_0_L2A.json").read_text())
    for band, name in RGB.items():
        item["assets"][band] |= {"href": str(DATA / "s2_29rkh" / f"{name}.tif"), **changes}
    return item
