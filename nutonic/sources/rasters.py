"""Raster files through GDAL: headers and windows, by path or URL.

The only module that talks to rasterio. Open handles are kept per process and lent to one thread at a time, so a file's
header is read once per process and thread in flight, not once per window.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window

from nutonic.errors import Gone, ReadFailed, redact
from nutonic.model import Asset

#: Against slow and failing servers.
GDAL_ENV: dict[str, str] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no probing for .aux, .ovr, .msk beside every file
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_RETRY_CODES": "408,429,500,502,503,504",
    "GDAL_HTTP_TIMEOUT": "60",  # GDAL has none by default
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_TIME": "20",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.jp2",
    "GDAL_PAM_ENABLED": "NO",
}

#: The formats that are opened; GDAL knows many more, and some of them, like VRT, can name any other file or URL.
_DRIVERS = ["GTiff", "JP2OpenJPEG"]

_KEPT_OPEN = 64
_MISSING = ("no such file", "does not exist", "http response code: 404", "http response code: 410")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a raster says about itself."""

    crs: str
    """``"EPSG:…"``, or WKT where there is no code."""
    transform: Affine
    shape: tuple[int, int]
    """Height and width in pixels."""
    count: int
    """Number of bands."""
    dtype: str
    nodata: float | None
    block: tuple[int, int]
    """Height and width of the blocks it is stored in."""


def header(href: str) -> Header:
    """Read a raster's header, once per process.

    Raises
    ------
    Gone
        If there is no such file.
    ReadFailed
        If it cannot be opened, or has no CRS.
    """
    return _header(href, _version(href))


@lru_cache(maxsize=1024)
def _header(href: str, version: int) -> Header:  # noqa: ARG001  part of the cache key
    with _lent(href) as raster:
        if raster.crs is None:
            raise ReadFailed(f"{href} has no CRS: write one into the file first")
        code = raster.crs.to_epsg()
        return Header(
            crs=f"EPSG:{code}" if code else raster.crs.to_wkt(),
            transform=raster.transform,
            shape=raster.shape,
            count=raster.count,
            dtype=raster.dtypes[0],
            nodata=raster.nodata,
            block=raster.block_shapes[0],
        )


def read(href: str, window: tuple[slice, slice], band: int = 1) -> np.ndarray:
    """Pixels of one band in a window that lies inside the raster: (rows, columns), in the file's dtype."""
    with _lent(href) as raster:
        try:
            return np.asarray(raster.read(band, window=Window.from_slices(*window)))
        except RasterioError as error:
            raise ReadFailed(
                f"cannot read rows {_span(window[0])}, columns {_span(window[1])} of {href}: {error}"
            ) from None


def header_of(asset: Asset) -> Header:
    """The header of an asset's file; errors name it as its catalogue does, since they end up in datasets."""
    with _named(asset):
        return header(asset.href)


def read_of(asset: Asset, window: tuple[slice, slice]) -> np.ndarray:
    """Pixels of an asset's file, as :func:`read`; errors name it as its catalogue does."""
    with _named(asset):
        return read(asset.href, window)


@contextmanager
def _named(asset: Asset) -> Iterator[None]:
    try:
        yield
    except ReadFailed as error:
        raise type(error)(f"{asset.name}: {str(error).replace(redact(asset.href), asset.written)}") from None


class _Handles:
    """Open datasets by href, newest use last; a borrowed one belongs to its borrower."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: OrderedDict[tuple[str, int], list[rasterio.DatasetReader]] = OrderedDict()

    def take(self, key: tuple[str, int]) -> rasterio.DatasetReader | None:
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    def give_back(self, key: tuple[str, int], raster: rasterio.DatasetReader) -> None:
        with self._lock:
            self._idle.setdefault(key, []).append(raster)
            self._idle.move_to_end(key)
            stale = self._idle.popitem(last=False)[1] if len(self._idle) > _KEPT_OPEN else []
        for old in stale:
            old.close()


_handles = _Handles()


@contextmanager
def _lent(href: str) -> Iterator[rasterio.DatasetReader]:
    """An open dataset for one thread; returned to the shelf unless reading failed."""
    key = (href, _version(href))
    with rasterio.Env(**GDAL_ENV):
        raster = _handles.take(key) or _open(href)
        try:
            yield raster
        except BaseException:
            raster.close()
            raise
    _handles.give_back(key, raster)


def _version(href: str) -> int:
    """Changes when a local file is replaced, so that a kept handle never shows an old file."""
    if "://" in href:
        return 0
    try:
        return Path(href).stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        raise Gone(f"{href} does not exist") from None
    except OSError as error:
        raise ReadFailed(f"cannot look at {href}: {error.strerror}") from None


def _open(href: str) -> rasterio.DatasetReader:
    try:
        return rasterio.DatasetReader(href, driver=_DRIVERS, sharing=False)
    except RasterioError as error:
        gone = any(sign in str(error).lower() for sign in _MISSING)
        raise (Gone if gone else ReadFailed)(f"cannot open {href}: {error}") from None


def _span(part: slice) -> str:
    return f"{part.start} to {part.stop - 1}"
