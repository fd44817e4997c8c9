"""Scene classifications for the scenes of a planet, made by hand: any size of pixel, alignment and CRS."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer

from nutonic.testing import SyntheticScene
from support import oracle

#: Classes (uint8) at points x, y in a scene's own CRS, which have one shape.
Sky = Callable[[np.ndarray, np.ndarray], np.ndarray]

CLEAR, CLOUDY = 4, 9


@dataclass(frozen=True)
class Classes:
    """The classification of a scene as it was written."""

    crs: str
    transform: Affine
    array: np.ndarray

    def at(self, x: np.ndarray, y: np.ndarray, crs: str, beyond: int = 0) -> np.ndarray:
        """The classes of pixels by their centres, (len(y), len(x)): pyproj transforms each."""
        return oracle.exact_labels(x, y, crs, self.crs, self.transform, self.array, beyond)


def clear(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.full(x.shape, CLEAR, np.uint8)


def overcast(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.full(x.shape, CLOUDY, np.uint8)


def patch(west: float, south: float, east: float, north: float, value: int = CLOUDY) -> Sky:
    """A rectangle of a class under a clear sky."""
    return lambda x, y: np.where((x > west) & (x < east) & (y > south) & (y < north), value, CLEAR).astype(np.uint8)


def classify(
    folder: Path,
    scene: SyntheticScene,
    sky: Sky,
    *,
    pixel: float = 20.0,
    shift: tuple[float, float] = (0.0, 0.0),
    crs: str | None = None,
    name: str = "scl",
    nodata: int | None = 0,
) -> Classes:
    """Write a scene's classification, on multiples of its pixels or shifted by metres, and tell of it in the catalogue."""
    crs, (height, width), corner = crs or scene.grid.crs, scene.grid.shape, scene.grid.transform
    xs, ys = corner.c + np.array([0, 10.0 * width]), corner.f - np.array([0, 10.0 * height])
    u, v = Transformer.from_crs(scene.grid.crs, crs, always_xy=True).transform(
        *(a.ravel() for a in np.meshgrid(xs, ys))
    )
    left, top = np.floor(u.min() / pixel) * pixel + shift[0], np.ceil(v.max() / pixel) * pixel + shift[1]
    shape = (int(np.ceil((top - v.min()) / pixel)), int(np.ceil((u.max() - left) / pixel)))
    transform = Affine(pixel, 0, float(left), 0, -pixel, float(top))
    centres = np.meshgrid(left + pixel * (np.arange(shape[1]) + 0.5), top - pixel * (np.arange(shape[0]) + 0.5))
    array = sky(*Transformer.from_crs(crs, scene.grid.crs, always_xy=True).transform(*centres))
    path = folder / scene.id / f"{name}.tif"
    how = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "blockxsize": 64, "blockysize": 64}
    georeference = {"crs": crs, "transform": transform, "height": shape[0], "width": shape[1], "nodata": nodata}
    with rasterio.open(path, "w", **how, **georeference) as raster:  # not packed, so that no header holds a block
        raster.write(array, 1)
    told = {"href": f"{scene.id}/{name}.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}
    where = {"proj:transform": [*transform[:6]], "proj:shape": [*shape], "proj:epsg": int(crs[5:])}
    change(folder, scene.id, lambda item: item["assets"].update({name: {**told, **where}}))
    return Classes(crs, transform, array)


def change(folder: Path, scene: str, how: Callable[[dict], object]) -> None:
    """Change a scene's item in the catalogue."""
    path = folder / "items.json"
    catalogue = json.loads(path.read_text(encoding="utf-8"))
    how(next(item for item in catalogue["features"] if item["id"] == scene))
    path.write_text(json.dumps(catalogue), encoding="utf-8")
