"""Raster files through GDAL: headers and windows, by path or URL.

The only module that talks to rasterio. Open handles are kept per process and lent to one thread at a time, so a file's
header is read once per process and thread in flight, not once per window. GDAL reads local files itself; what lies
behind a URL is fetched by :mod:`nutonic.sources.remote` and handed to it.
"""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window

from nutonic.errors import Gone, GridError, ReadFailed, redact
from nutonic.model import Asset
from nutonic.sources import http
from nutonic.sources.access import Access
from nutonic.sources.remote import RemoteFile

GDAL_ENV: dict[str, str] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no probing for .aux, .ovr, .msk beside every file
    "GDAL_PAM_ENABLED": "NO",
}

#: The formats that are opened; GDAL knows many more, and some of them, like VRT, can name any other file or URL.
_DRIVERS = ["GTiff", "JP2OpenJPEG"]

#: Reads of what was fetched but cannot be decoded, in all.
_ATTEMPTS = 3

#: Pixels along a side, and bytes of a decoded block: more is a mistake, or meant to fill the memory. The Earth at 10 m
#: is 4 million pixels wide; a JPEG 2000 tile of a whole Sentinel-2 band takes 241 MB.
MOST_SIDE, _MOST_BLOCK_BYTES = 2**23, 256 * 2**20

#: What GDAL knows a remote file by; each is opened in a space of its own.
_NAME = "remote"

_KEPT_OPEN = 64
_MISSING = ("no such file", "does not exist")

#: Local files only.
LOCAL = Access()


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


def header(href: str, access: Access = LOCAL) -> Header:
    """Read a raster's header, once per process.

    Raises
    ------
    Gone
        If there is no such file.
    Refused
        If the address may not be read.
    GridError
        If it is too large to be a sensible raster.
    ReadFailed
        If it cannot be opened, or has no CRS.
    """
    return _header(href, access, _version(href))


@lru_cache(maxsize=1024)
def _header(href: str, access: Access, version: int) -> Header:  # noqa: ARG001  part of the cache key
    with _lent(href, access) as lent:
        raster = lent.raster
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


def read(href: str, window: tuple[slice, slice], *, band: int = 1, access: Access = LOCAL) -> np.ndarray:
    """Pixels of one band in a window that lies inside the raster: (rows, columns), in the file's dtype.

    What was fetched over the network and cannot be decoded is fetched again.
    """
    where = f"rows {_span(window[0])}, columns {_span(window[1])} of {href}"
    for attempt in range(_ATTEMPTS):
        with _lent(href, access) as lent:
            try:
                return lent.read(band, window)
            except RasterioError as error:
                if lent.file is None or attempt + 1 == _ATTEMPTS:
                    raise ReadFailed(f"cannot read {where}: {error}") from None
                lent.drop()
    raise AssertionError  # the last attempt returns or raises


def header_of(asset: Asset, access: Access = LOCAL) -> Header:
    """The header of an asset's file; errors name it as its catalogue does, since they end up in datasets."""
    with _named(asset):
        return header(asset.href, access)


def read_of(asset: Asset, window: tuple[slice, slice], access: Access = LOCAL) -> np.ndarray:
    """Pixels of an asset's file, as :func:`read`; errors name it as its catalogue does."""
    with _named(asset):
        return read(asset.href, window, band=asset.band, access=access)


@contextmanager
def _named(asset: Asset) -> Iterator[None]:
    try:
        yield
    except (ReadFailed, GridError) as error:
        raise type(error)(f"{asset.name}: {str(error).replace(redact(asset.href), asset.written)}") from None


@dataclass(slots=True)
class _Lent:
    """An open dataset, and the remote file behind it, if it is one."""

    raster: rasterio.DatasetReader
    file: RemoteFile | None = None
    broken: bool = False

    def read(self, band: int, window: tuple[slice, slice]) -> np.ndarray:
        """A window's pixels; what the file knows of a failure goes before what GDAL does."""
        if self.file is None:
            return np.asarray(self.raster.read(band, window=Window.from_slices(*window)))
        self.file.begin()
        try:
            pixels = np.asarray(self.raster.read(band, window=Window.from_slices(*window)))
        except RasterioError:
            self._raise_what_it_was()
            raise
        self._raise_what_it_was()  # some drivers make do with half a block
        return pixels

    def drop(self) -> None:
        """Have what was fetched fetched again: it cannot be decoded."""
        self.broken = True
        if self.file is not None and self.file.damaged():
            http.fault("damaged")

    def close(self) -> None:
        self.raster.close()
        if self.file is not None:
            self.file.close()

    def _raise_what_it_was(self) -> None:
        if self.file is not None and self.file.error is not None:
            raise self.file.error


_Key = tuple[str, Access, int]


class _Handles:
    """Open datasets by address, newest use last; a borrowed one belongs to its borrower."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: OrderedDict[_Key, list[_Lent]] = OrderedDict()

    def take(self, key: _Key) -> _Lent | None:
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    def give_back(self, key: _Key, lent: _Lent) -> None:
        with self._lock:
            self._idle.setdefault(key, []).append(lent)
            self._idle.move_to_end(key)
            stale = self._idle.popitem(last=False)[1] if len(self._idle) > _KEPT_OPEN else []
        for old in stale:
            old.close()

    def close(self) -> None:
        with self._lock:
            idle = [lent for lents in self._idle.values() for lent in lents]
            self._idle.clear()
        for lent in idle:
            lent.close()


_handles = _Handles()
atexit.register(_handles.close)  # while there still is a Python for GDAL to call back into


@contextmanager
def _lent(href: str, access: Access) -> Iterator[_Lent]:
    """An open dataset for one thread; returned to the shelf unless reading failed."""
    key = (href, access, _version(href))
    with rasterio.Env(**GDAL_ENV):
        lent = _handles.take(key) or _open(href, access)
        try:
            yield lent
        except BaseException:
            lent.close()
            raise
    if lent.broken:
        lent.close()
    else:
        _handles.give_back(key, lent)


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


def _open(href: str, access: Access) -> _Lent:
    for attempt in range(_ATTEMPTS):
        lent = _open_remote(href, access, last=attempt + 1 == _ATTEMPTS) if "://" in href else _open_local(href)
        if lent is not None:
            _refuse_absurd(href, lent)
            return lent
    raise AssertionError  # the last attempt returns or raises


def _open_local(href: str) -> _Lent:
    try:
        return _Lent(rasterio.DatasetReader(href, driver=_DRIVERS, sharing=False))
    except RasterioError as error:
        gone = any(sign in str(error).lower() for sign in _MISSING)
        raise (Gone if gone else ReadFailed)(f"cannot open {href}: {error}") from None


def _open_remote(href: str, access: Access, *, last: bool) -> _Lent | None:
    """An open dataset; None where what was fetched is no raster and may be another time."""
    file = RemoteFile(href, access)
    try:
        return _Lent(rasterio.open(_NAME, driver=file.driver, sharing=False, opener=partial(_only, file)), file)
    except RasterioError as error:
        if file.error is not None:
            raise file.error from None
        if last:
            raise ReadFailed(f"cannot open {href}: {error}") from None
        if file.damaged():
            http.fault("damaged")
        return None


def _only(file: RemoteFile, name: str, mode: str = "rb") -> RemoteFile:  # noqa: ARG001  rasterio names it
    """The one file that GDAL may open: it looks for masks and metadata beside it too."""
    if name != _NAME:
        raise FileNotFoundError(name)
    file.seek(0)
    return file


def _refuse_absurd(href: str, lent: _Lent) -> None:
    """Refuse sizes that no sensible raster has, before anything is read into them."""
    raster = lent.raster
    (height, width), item = raster.block_shapes[0], np.dtype(raster.dtypes[0]).itemsize
    block = height * width * item * (raster.count if raster.interleaving is rasterio.enums.Interleaving.pixel else 1)
    if max(raster.shape) > MOST_SIDE or block > _MOST_BLOCK_BYTES:
        lent.close()
        raise GridError(
            f"{href} claims {raster.height} × {raster.width} pixels in blocks of {height} × {width}: too large to be read"
        )


def _span(part: slice) -> str:
    return f"{part.start} to {part.stop - 1}"
