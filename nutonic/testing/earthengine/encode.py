"""Pixels as they are asked for and sent: the grid, the limits of a request, and files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS

from nutonic.testing.earthengine.bands import chosen_bands
from nutonic.testing.earthengine.images import Band, EarthEngineImage, Json, Projection
from nutonic.testing.earthengine.problems import Problem, missing
from nutonic.testing.earthengine.rasters import geotiff

#: Documented limits of a request for pixels: bytes before compression, pixels a side, bands.
MAX_BYTES, MAX_SIDE, MAX_BANDS = 48 * 2**20, 32768, 1024

_FIELDS = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")


def grid_of(told: Json, bands: Sequence[Band]) -> tuple[Projection, tuple[int, int]]:
    """The pixels that are asked for, and their height and width; what is not told is as in the first band."""
    projection, shape = bands[0].projection, bands[0].shape
    if "crsCode" in told or "crsWkt" in told:
        projection = Projection(_crs(told.get("crsCode") or told["crsWkt"]), projection.transform)
    if transform := told.get("affineTransform"):
        numbers = (float(transform.get(name, 0.0)) for name in _FIELDS)
        projection = Projection(projection.crs, Affine(*numbers))
    if size := told.get("dimensions"):
        shape = int(size["height"]), int(size["width"])
    if shape is None:
        raise Problem("Grid dimensions must be specified for an image without bounds.")
    if projection.transform.is_degenerate or min(shape) < 1:
        raise Problem(f"Invalid pixel grid: {told}")
    return projection, shape


def _crs(told: str) -> str:
    try:
        return CRS.from_user_input(told).to_string()
    except RuntimeError:  # pyproj's CRSError is one
        raise Problem(f"The CRS of a map projection could not be understood: {told}") from None


def check_limits(bands: Sequence[Band], shape: tuple[int, int]) -> None:
    """Refuse what is too large.

    Assumed: each pixel of each band counts its own bytes and one of the mask, which is how clients of Earth Engine
    reckon. The sentences are Earth Engine's, that about bands is assumed.
    """
    height, width = shape
    if max(shape) > MAX_SIDE:
        raise Problem(f"Pixel grid dimensions ({width}x{height}) must be less than or equal to {MAX_SIDE}.")
    if len(bands) > MAX_BANDS:
        raise Problem(f"Number of bands ({len(bands)}) must be less than or equal to {MAX_BANDS}.")
    total = sum(band.type.dtype.itemsize + 1 for band in bands) * width * height
    if total > MAX_BYTES:
        raise Problem(f"Total request size ({total} bytes) must be less than or equal to {MAX_BYTES} bytes.")


def rendered(image: EarthEngineImage, asked: Mapping[str, Any]) -> tuple[bytes, tuple[str, ...]]:
    """The file that a request asks for, and the names of its bands. What is masked is 0 in it (assumed)."""
    for name in ("visualizationOptions", "region"):
        if asked.get(name):
            raise missing(name)
    bands = list(image.bands)
    if asked.get("bandIds"):
        bands = list(chosen_bands("Image.select", image, asked["bandIds"]))
    if not bands:
        raise Problem("Image has no bands.")
    projection, shape = grid_of(asked.get("grid") or {}, bands)
    check_limits(bands, shape)
    points = projection.centres(*np.meshgrid(np.arange(shape[1]), np.arange(shape[0])))
    values = {band.id: band.at(points).values for band in bands}
    return _file(asked.get("fileFormat", "AUTO_JPEG_PNG"), values, projection), tuple(values)


def _file(kind: str, values: Mapping[str, np.ndarray], projection: Projection) -> bytes:
    if kind == "NPY":
        return _npy(values)
    if kind in ("GEO_TIFF", "CLOUD_OPTIMIZED_GEOTIFF"):
        return geotiff(values, projection.crs, projection.transform)
    raise missing(f"file format {kind}")


def _npy(values: Mapping[str, np.ndarray]) -> bytes:
    """A structured array (height, width) with a field for each band."""
    first = next(iter(values.values()))
    made = np.empty(first.shape, [(name, each.dtype) for name, each in values.items()])
    for name, each in values.items():
        made[name] = each
    buffer = io.BytesIO()
    np.save(buffer, made)
    return buffer.getvalue()
