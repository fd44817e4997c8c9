"""Raster files through GDAL: headers and windows, by path or URL."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioError

from nutonic.core.grid import crs_of, is_map
from nutonic.core.model import Asset
from nutonic.errors import GridError, ReadFailed
from nutonic.io.access import LOCAL, Access
from nutonic.io.cache import SingleFlightCache
from nutonic.io.gdal import ATTEMPTS, NOWHERE, version
from nutonic.io.session import current
from nutonic.secrets import redact

#: Headers that a session keeps.
_KEPT_HEADERS = 1024


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
    """Read a raster's header, once per session.

    Raises
    ------
    Gone
        If there is no such file.
    Refused
        If the address may not be read.
    GridError
        If it does not say where its pixels lie, by a CRS and a geotransform, or is too large to be a sensible raster.
    ReadFailed
        If it cannot be opened.
    """
    session = current()

    def read_header() -> Header:
        with session.rasters.borrow(href, access) as opened:
            return opened.run(lambda: _header_in(opened.raster, href))

    return session.resource(_Headers).get((href, access, version(href)), read_header)


class _Headers(SingleFlightCache[tuple[str, Access, int], Header]):
    """The headers that a session keeps, by address and version of the file."""

    def __init__(self) -> None:
        super().__init__(_KEPT_HEADERS, lambda _: 1)


def _header_in(raster: rasterio.DatasetReader, href: str) -> Header:
    problem = _unplaced(raster)
    if problem:
        raise GridError(f"{href} {problem}")
    crs = _crs_in(raster)
    if not is_map(crs):
        raise GridError(f"{href} is in {' '.join(crs.split()):.60}, in which no map is drawn: warp it to a CRS of maps")
    return Header(
        crs=crs,
        transform=raster.transform,
        shape=raster.shape,
        count=raster.count,
        dtype=raster.dtypes[0],
        nodata=raster.nodata,
        block=raster.block_shapes[0],
    )


def _crs_in(raster: rasterio.DatasetReader) -> str:
    """The CRS of a raster, by a code where there is one that is known here: GDAL may come with a newer PROJ."""
    code = raster.crs.to_epsg()
    if code:
        with suppress(GridError):
            crs_of(f"EPSG:{code}")
            return f"EPSG:{code}"
    return str(raster.crs.to_wkt())


def _unplaced(raster: rasterio.DatasetReader) -> str | None:
    """What a raster lacks to say where its pixels lie, in words; None if it lacks nothing."""
    a, b, _, d, e, _ = raster.transform[:6]
    if raster.transform == Affine.identity() or not all(map(math.isfinite, raster.transform)):
        points = "ground control points" if raster.gcps[0] else "RPCs" if raster.rpcs else None
        return f"has {points} in place of a geotransform: warp it to a north-up grid first" if points else NOWHERE
    if not raster.crs:
        return "has no CRS: write one into the file first"
    if b or d:
        return f"is rotated (b = {b:g}, d = {d:g}): warp it to a north-up grid first"
    return None if a and e else NOWHERE


def read(href: str, window: tuple[slice, slice], *, band: int = 1, access: Access = LOCAL) -> np.ndarray:
    """Pixels of one band in a window that lies inside the raster: (rows, columns), in the file's dtype.

    What was fetched over the network and cannot be decoded is fetched again.
    """
    where = f"rows {_span(window[0])}, columns {_span(window[1])} of {href}"
    session = current()
    for attempt in range(ATTEMPTS):
        with session.rasters.borrow(href, access) as opened:
            try:
                return opened.read(band, window)
            except RasterioError as error:
                if opened.file is None or attempt + 1 == ATTEMPTS:
                    raise ReadFailed(f"cannot read {where}: {error}") from None
                opened.drop()
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
        text = str(error).replace(redact(asset.href), asset.written)
        raise type(error)(f"{asset.name}: {text}", band=asset.name) from None


def _span(part: slice) -> str:
    return f"{part.start} to {part.stop - 1}"
