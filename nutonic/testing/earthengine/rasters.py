"""Images whose pixels are known: from a raster, or from a function of coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import DTypeLike
from rasterio.io import MemoryFile
from rasterio.windows import Window

from nutonic.testing.earthengine.images import Band, EarthEngineImage, Pixels, PixelType, Points, Projection

#: From coordinates ``x`` and ``y`` in the image's own CRS to values and mask (True where valid), all of one shape.
PixelFunction = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def milliseconds(time: str) -> int:
    """Milliseconds since 1970 of an ISO date or time, which is in UTC if it has no offset."""
    moment = datetime.fromisoformat(time)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def image_of_raster(
    path: str | Path,
    id: str,
    *,
    bands: Sequence[str] = ("label",),
    start: str | None = None,
    end: str | None = None,
    properties: Mapping[str, Any] | None = None,
) -> EarthEngineImage:
    """An image of a raster's first bands, read when they are requested; its nodata value is masked.

    Parameters
    ----------
    path
        Anything that rasterio opens.
    id
        Full id of the asset, such as ``ESA/WorldCover/v200/2021``.
    bands
        Names of the raster's first bands, in order.
    start, end
        ISO dates or times for ``system:time_start`` and ``system:time_end``.
    properties
        Other properties.
    """
    with rasterio.open(path) as raster:
        projection, shape = Projection(raster.crs.to_string(), raster.transform), (raster.height, raster.width)
        dtypes = raster.dtypes[: len(bands)]
    raster_bands = tuple(
        _band(name, PixelType.of(dtype), projection, shape, _of_file(path, index))
        for index, (name, dtype) in enumerate(zip(bands, dtypes, strict=True), 1)
    )
    return _image(raster_bands, id, (start, end), properties)


def image_of_function(
    id: str,
    *,
    bands: Mapping[str, tuple[DTypeLike, PixelFunction]],
    crs: str,
    transform: Affine,
    shape: tuple[int, int],
    start: str | None = None,
    end: str | None = None,
    properties: Mapping[str, Any] | None = None,
) -> EarthEngineImage:
    """An image whose pixels are functions of the coordinates of their centres.

    Parameters
    ----------
    id
        Full id of the asset.
    bands
        Name to dtype and function. The function takes ``x`` and ``y`` (n,) of pixel centres in the image's CRS, and
        returns values and mask (True where valid), each (n,).
    crs, transform, shape
        The image's own grid; `shape` is height and width.
    start, end, properties
        As in :func:`image_of_raster`.
    """
    projection = Projection(crs, transform)
    function_bands = tuple(
        _band(name, PixelType.of(dtype), projection, shape, _of_function(function, projection, np.dtype(dtype)))
        for name, (dtype, function) in bands.items()
    )
    return _image(function_bands, id, (start, end), properties)


#: From columns and rows within the image to values and mask of these pixels.
_Pixels = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _of_file(path: str | Path, index: int) -> _Pixels:
    """Read pixels from the window of a file that contains them."""

    def pixels(col: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        left, top = int(col.min()), int(row.min())
        window = Window(left, top, int(col.max()) - left + 1, int(row.max()) - top + 1)
        with rasterio.open(path) as raster:
            values, mask = raster.read(index, window=window), raster.read_masks(index, window=window)
        return values[row - top, col - left], mask[row - top, col - left] > 0

    return pixels


def _of_function(function: PixelFunction, projection: Projection, dtype: np.dtype[Any]) -> _Pixels:
    """Compute pixels by a function of their centres."""

    def pixels(col: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centres = projection.centres(col, row)
        values, valid = function(centres.x, centres.y)
        return np.asarray(values).astype(dtype), np.asarray(valid, bool)

    return pixels


def _band(name: str, kind: PixelType, projection: Projection, shape: tuple[int, int], pixels: _Pixels) -> Band:
    """A band of a raster, by nearest neighbour."""

    def within(points: Points) -> np.ndarray:
        col, row = projection.pixels(points)
        return np.asarray((col >= 0) & (row >= 0) & (col < shape[1]) & (row < shape[0]))

    def read(points: Points) -> Pixels:
        col, row = projection.pixels(points)
        inside = within(points)
        values, valid = np.zeros(inside.shape, kind.dtype), np.zeros(inside.shape, bool)
        if inside.any():
            values[inside], valid[inside] = pixels(col[inside], row[inside])
        return Pixels(values, valid)

    return Band(name, kind, read, projection, shape, within)


def _image(
    bands: tuple[Band, ...], id: str, span: tuple[str | None, str | None], properties: Mapping[str, Any] | None
) -> EarthEngineImage:
    """An asset, with the properties that each of Earth Engine's has."""
    names = ("system:time_start", "system:time_end")
    times = {name: milliseconds(time) for name, time in zip(names, span, strict=True) if time is not None}
    system = {"system:index": id.rpartition("/")[2], "system:footprint": _footprint(bands[0])}
    return EarthEngineImage(bands, {**system, **times, **(properties or {})}, id)


def _footprint(band: Band) -> shapely.Geometry:
    """The outline of a band's pixels in longitude and latitude, with points between the corners."""
    assert band.shape is not None
    height, width = band.shape
    u = np.interp(np.arange(65) / 16, np.arange(5), [0, 0, width, width, 0]) - 0.5
    v = np.interp(np.arange(65) / 16, np.arange(5), [0, height, height, 0, 0]) - 0.5
    ring = band.projection.centres(u, v).to("EPSG:4326")
    return shapely.Polygon(np.stack([ring.x, ring.y], -1))


def geotiff(bands: Mapping[str, np.ndarray], crs: str, transform: Affine) -> bytes:
    """A GeoTIFF of arrays (height, width). As in Earth Engine's, all bands have one dtype, which holds each of them."""
    arrays = list(bands.values())
    dtype, (height, width) = np.result_type(*arrays), arrays[0].shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=width, height=height, count=len(arrays), dtype=dtype, crs=crs, transform=transform
        ) as out:
            for index, (name, values) in enumerate(bands.items(), 1):
                out.write(values.astype(dtype), index)
                out.set_band_description(index, name)
        return bytes(memory.read())
