"""The demo's real scene on six invented dates: brighter or darker, with invented clouds and their classification."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from scipy.ndimage import gaussian_filter

from nutonic.cli.demo.data import prepare
from nutonic.errors import NotNutonic
from nutonic.io.files import obstacle_at
from nutonic.io.objects import Store

#: Days, and the factor of the ground's brightness on each.
DATES = {
    "2017-02-16": 1.0,
    "2017-03-08": 1.04,
    "2017-03-28": 1.1,
    "2017-04-17": 1.16,
    "2017-05-07": 1.12,
    "2017-05-27": 1.07,
}

#: A cloud's reflectance in the middle (digital number), and Sentinel-2's scene classes of cloud, shadow and bare ground.
_CLOUD, _CLOUDY, _SHADOW, _GROUND = 6500, 9, 3, 5

#: How far a shadow lies from its cloud, down and across, and how soft the clouds are, in pixels.
_THROWN, _SOFT = (24, 36), 28.0


def prepare_series(folder: Path) -> Path:
    """Write six dates of the demo's scene beside its recipe, and return the path of their catalogue.

    The ground is the real scene's, brighter or darker. The clouds are invented and cover about a third of each date.
    """
    inputs = prepare(folder).parent
    (item,) = json.loads((inputs / "items.json").read_text("utf-8"))["features"]
    items = [_date(inputs, item, day, light, k) for k, (day, light) in enumerate(DATES.items())]
    content = json.dumps({"type": "FeatureCollection", "features": items}, indent=1)
    Store(inputs).put("series.json", content.encode())
    return inputs / "series.json"


def _date(inputs: Path, item: dict[str, Any], day: str, light: float, number: int) -> dict[str, Any]:
    dated = copy.deepcopy(item)
    dated["id"] = f"{item['id']}-{number}"
    dated["properties"] |= {"datetime": f"{day}T10:21:01Z", "platform": "sentinel-2a"}
    shape = tuple(item["properties"]["proj:shape"])
    cover = _cover(shape, number)
    dated["properties"]["eo:cloud_cover"] = round(100 * float((cover > 0.5).mean()), 1)
    shadow = np.roll(cover, _THROWN, axis=(0, 1))
    folder = inputs / dated["id"]
    for name in ("red", "green", "blue", "scl"):
        if (obstacle := obstacle_at(inputs, f"{folder.name}/{name}.tif")) is not None:
            raise NotNutonic(obstacle)
    folder.mkdir(exist_ok=True)
    for name in ("red", "green", "blue"):
        asset = dated["assets"][name]
        asset["href"] = _write(inputs / asset["href"], folder / f"{name}.tif", light, cover, shadow)
    classes = np.select([cover > 0.0, shadow > 0.0], [_CLOUDY, _SHADOW], _GROUND).astype(np.uint8)
    dated["assets"]["scl"] = _classified(classes, inputs / item["assets"]["red"]["href"], folder / "scl.tif")
    return dated


def _cover(shape: tuple[int, ...], number: int) -> np.ndarray:
    """The cloud's share of each pixel, 0 to 1: the upper third of smooth noise."""
    noise = gaussian_filter(np.random.default_rng([17, number]).standard_normal(shape), _SOFT, mode="wrap")
    return np.asarray(np.clip((noise / noise.std() - 0.55) * 2.0, 0.0, 1.0))


def _write(source: Path, path: Path, light: float, cover: np.ndarray, shadow: np.ndarray) -> str:
    with rasterio.open(source) as raster:
        profile, ground = raster.profile, raster.read(1)
    lit_ground = ground * light * (1 - 0.55 * shadow)
    pixels = np.where(ground == 0, 0, np.clip(lit_ground * (1 - cover) + _CLOUD * cover, 1, 65535)).astype(np.uint16)
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels, 1)
    return f"{path.parent.name}/{path.name}"


def _classified(classes: np.ndarray, template: Path, path: Path) -> dict[str, Any]:
    """Write a classification on pixels of 20 m, and return its asset."""
    with rasterio.open(template) as raster:
        transform = raster.transform @ raster.transform.scale(2)
        profile = {**raster.profile, "dtype": "uint8", "nodata": 0, "transform": transform, "driver": "GTiff"}
    coarse = classes[::2, ::2]
    profile |= {"height": coarse.shape[0], "width": coarse.shape[1]}
    profile.pop("predictor", None)
    with rasterio.open(path, "w", **profile) as target:
        target.write(coarse, 1)
    georeference = {"proj:transform": list(transform)[:6], "proj:shape": list(coarse.shape)}
    return {"href": f"{path.parent.name}/{path.name}", "type": "image/tiff", "roles": ["data"], **georeference}
