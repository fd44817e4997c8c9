"""Series and cubes whose every value is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import Transformer

from nutonic.testing import SyntheticSeries

SERIES = SyntheticSeries()

_TRUTHS: dict[tuple[str, bytes, bytes], np.ndarray] = {}

GRID = GeoBox(SERIES.shape, Affine(10, 0, SERIES.origin[0], 0, -10, SERIES.origin[1]), f"EPSG:{SERIES.zone_epsg}")


def seen(scene_id: str, name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What a scene shows at the pixel centres of a cube in the planet's zone: its pixel that holds each centre."""
    scene = SERIES.scene(scene_id)
    u, v = np.meshgrid(x, y)
    if scene.grid.crs != f"EPSG:{SERIES.zone_epsg}":
        u, v = Transformer.from_crs(SERIES.zone_epsg, scene.grid.crs, always_xy=True).transform(u, v)
    if name == "scl":
        return SERIES.classification(u, v, scene_id)
    return SERIES.reflectance(name, np.floor(u / 10) * 10 + 5, np.floor(v / 10) * 10 + 5, scene_id)


def truth(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The right pixels of a variable of the whole cube, (steps, height, width); nobody writes into them."""
    key = (name, x.tobytes(), y.tobytes())
    if key not in _TRUTHS:
        _TRUTHS[key] = _truth(name, x, y)
    return _TRUTHS[key]


def _truth(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    out = []
    for step in SERIES.steps:
        layers = [seen(scene_id, name, x, y) for scene_id in step]
        out.append(layers[0] if len(layers) == 1 else np.where(layers[0] == 0, layers[1], layers[0]))
    found = np.stack(out)
    found.flags.writeable = False
    return found


def zarr_files(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


CRS = "EPSG:32633"


SCL = np.array([0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9, 10, 11], np.uint8)


def made(steps: int, height: int, width: int, chunk: int | None, seed: int = 0, gaps: float = 0.3) -> xr.Dataset:
    """An asymmetric cube with gaps: two bands, a classification, a record of scenes and labels without time."""
    rng = np.random.default_rng([seed, steps, height, width])
    shape = (steps, height, width)
    bands = {}
    for name in ("red", "nir"):
        values = rng.integers(1, 65536, shape).astype(np.uint16)
        values[rng.random(shape) < 0.1] = 65535
        values[rng.random(shape) < gaps] = 0
        values[:, : height // 3, : width // 4] = 0  # never observed
        bands[name] = (
            ("time", "y", "x"),
            values,
            {"_FillValue": 0, "kind": "reflectance", "grid_mapping": "spatial_ref"},
        )
    classes = rng.choice(SCL, shape)
    bands["scl"] = (("time", "y", "x"), classes, {"_FillValue": 0, "kind": "class", "grid_mapping": "spatial_ref"})
    numbers = np.broadcast_to(np.arange(1, steps + 1, dtype=np.uint16)[:, None, None] * 3, shape).copy()
    bands["scene"] = (("time", "y", "x"), numbers, {"_FillValue": 0, "kind": "index", "grid_mapping": "spatial_ref"})
    labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), shape[1:])
    bands["label"] = (("y", "x"), labels, {"_FillValue": 255, "kind": "class", "grid_mapping": "spatial_ref"})
    time = np.datetime64("2024-01-01", "ns") + np.arange(steps) * np.timedelta64(5, "D")
    cloud = rng.permutation(np.linspace(0, 90, steps))
    cloud[steps // 2] = np.nan
    grid = GeoBox(shape[1:], Affine(10, 0, 500_000, 0, -10, 5_200_000), CRS)
    coords = {"time": time, "cloud_cover": ("time", cloud), **xr_coords(grid, dims=("y", "x"))}
    cube = xr.Dataset(bands, coords, {"told": "kept"})
    return cube if chunk is None else cube.chunk({"time": 1, "y": chunk, "x": chunk})
