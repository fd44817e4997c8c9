"""Raster files through GDAL: headers and windows, by path or URL."""

from __future__ import annotations

import contextvars
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError

from nutonic.core.grid import crs_of, is_map
from nutonic.core.model import Asset, RemotePin
from nutonic.errors import BadPixels, Damaged, GridError, ReadFailed, Refused
from nutonic.io.access import LOCAL, Access
from nutonic.io.cache import SingleFlightCache
from nutonic.io.files import bytes_read_here
from nutonic.io.gdal import ATTEMPTS, NOWHERE, OpenRaster, require_gdal, version
from nutonic.io.ranged import Changed
from nutonic.io.session import Session, current
from nutonic.secrets import redact

#: Headers that a session keeps.
_KEPT_HEADERS = 1024


class Seen:
    """The remote files that are looked at within :func:`seeing`: what each was, by its address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.opened: dict[str, RemotePin] = {}
        """As it was opened last."""
        self.read: dict[str, RemotePin] = {}
        """As its pixels were read first."""
        self.mixed: set[str] = set()
        """Those of which pixels of two versions were read."""

    def note(self, href: str, pin: RemotePin, *, read: bool) -> None:
        """Remember a file."""
        with self._lock:
            self.opened[href] = pin
            if read and self.read.setdefault(href, pin).differs(pin):
                self.mixed.add(href)


_seen: contextvars.ContextVar[Seen | None] = contextvars.ContextVar("seen", default=None)


@contextmanager
def seeing() -> Iterator[Seen]:
    """Notes which remote files are looked at within the block, by this thread and those that carry its context."""
    seen = Seen()
    before = _seen.get()
    _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.set(before)


def _note(opened: OpenRaster, href: str, *, read: bool = False) -> None:
    seen = _seen.get()
    if seen is not None and opened.file is not None:
        seen.note(href, opened.file.pin, read=read)


def pin_of(href: str, access: Access) -> RemotePin:
    """What a remote file is: told by its first bytes, which a session keeps; raises what :func:`header` does."""
    return current().ranges.open(href, access).pin


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
    scales: tuple[float, ...] = ()
    """Of each band what its numbers are to be multiplied with, as the file says; 1 where it says nothing."""
    offsets: tuple[float, ...] = ()
    """Of each band what is to be added then; 0 where it says nothing."""
    masked: bool = False
    """Whether it has a mask besides its bands, inside or in a file ``.msk`` beside it."""
    alpha: int = 0
    """Number of the band that says where there is data, from 1; 0 where no band does."""
    names: tuple[str, ...] = ()
    """What each band is called, or else which colour it shows, ``red``; empty where the file tells neither."""


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
            _note(opened, href)
            return opened.run(lambda: _header_in(opened.raster, href))

    return session.resource(_Headers).get((href, access, version(href)), read_header)


class _Headers(SingleFlightCache[tuple[str, Access, int], Header]):
    """The headers that a session keeps, by address and version of the file."""

    def __init__(self) -> None:
        super().__init__(_KEPT_HEADERS, lambda _: 1)


def _header_in(raster: rasterio.DatasetReader, href: str) -> Header:
    problem = _unplaced(raster)
    if problem:
        require_gdal()
        raise GridError(f"{href} {problem}")
    crs = _crs_in(raster)
    if not is_map(crs):
        require_gdal()
        raise GridError(f"{href} is in {' '.join(crs.split()):.60}, in which no map is drawn: warp it to a CRS of maps")
    return Header(
        crs=crs,
        transform=raster.transform,
        shape=raster.shape,
        count=raster.count,
        dtype=raster.dtypes[0],
        nodata=raster.nodata,
        block=raster.block_shapes[0],
        scales=raster.scales,
        offsets=raster.offsets,
        masked=_has_mask(raster),
        alpha=_alpha_band(raster),
        names=tuple(map(_name_of_band, raster.descriptions, raster.colorinterp)),
    )


def _name_of_band(description: str | None, colour: ColorInterp) -> str:
    if description:
        return description.strip()[:100]
    return colour.name if colour in (ColorInterp.red, ColorInterp.green, ColorInterp.blue) else ""


def _crs_in(raster: rasterio.DatasetReader) -> str:
    """The CRS of a raster, by a code where there is one that is known here: GDAL may come with a newer PROJ."""
    code = raster.crs.to_epsg()
    if code:
        with suppress(GridError):
            crs_of(f"EPSG:{code}")
            return f"EPSG:{code}"
    require_gdal()  # without its database there may be no code
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


def _has_mask(raster: rasterio.DatasetReader) -> bool:
    """Whether a mask, or a rule over all bands, says where there is data; neither an alpha band nor a nodata value."""
    flags = raster.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def _alpha_band(raster: rasterio.DatasetReader) -> int:
    """Number of the alpha band, 0 if there is none. GDAL's mask flags tell of none where a nodata value is declared."""
    try:
        return 1 + raster.colorinterp.index(ColorInterp.alpha) if raster.count > 1 else 0
    except ValueError:
        return 0


def read(href: str, window: tuple[slice, slice], *, band: int = 1, access: Access = LOCAL) -> np.ndarray:
    """Pixels of one band in a window that lies inside the raster: (rows, columns), in the file's dtype."""
    return _read(href, window, access, lambda opened: opened.read(band, window))


def _read(
    href: str, window: tuple[slice, slice], access: Access, pixels: Callable[[OpenRaster], np.ndarray]
) -> np.ndarray:
    """Something of a window. What was fetched over the network and cannot be decoded is fetched again."""
    where = f"rows {_span(window[0])}, columns {_span(window[1])} of {href}"
    session = current()
    for attempt in range(ATTEMPTS):
        with session.rasters.borrow(href, access) as opened:
            _note(opened, href)
            try:
                with nullcontext() if opened.file is not None else _counted(session):
                    found = pixels(opened)
                _note(opened, href, read=True)
                return found
            except (RasterioError, Changed) as error:
                if opened.file is None or attempt + 1 == ATTEMPTS:
                    kind = ReadFailed if isinstance(error, Changed) else Damaged
                    raise kind(f"cannot read {where}: {_reason(error)}") from None
                opened.drop()
    raise AssertionError  # the last attempt returns or raises


def _reason(error: BaseException) -> str:
    """What GDAL says was wrong: rasterio's own words only point to it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


@contextmanager
def _counted(session: Session) -> Iterator[None]:
    """Count what this thread reads of local files in the block; JPEG 2000 is read by other processes, and not counted."""
    before = bytes_read_here()
    yield
    session.client.count_local(bytes_read_here() - before)


def header_of(asset: Asset, access: Access = LOCAL) -> Header:
    """The header of an asset's file; errors name it as its catalogue does, since they end up in datasets."""
    with _named(asset):
        return header(asset.href, access)


def read_of(asset: Asset, window: tuple[slice, slice], access: Access = LOCAL) -> np.ndarray:
    """Pixels of an asset's file, as :func:`read`; errors name it as its catalogue does."""
    with _named(asset):
        return read(asset.href, window, band=asset.band, access=access)


def observed_of(asset: Asset, header: Header, window: tuple[slice, slice], access: Access = LOCAL) -> np.ndarray | None:
    """Where an asset's file has data, as :func:`mask_of`; None, and nothing is read, where it has no mask."""
    return mask_of(asset, header, window, access) if is_masked(asset, header) else None


def is_masked(asset: Asset, header: Header) -> bool:
    """Whether a file says by a mask or by an alpha band where an asset has data."""
    return header.masked or _alpha_of(asset, header) > 0


def mask_of(asset: Asset, header: Header, window: tuple[slice, slice], access: Access = LOCAL) -> np.ndarray:
    """Where an asset's file has data by its mask and its alpha band: (rows, columns) bool; everywhere without either.

    What is nodata by its value is not told here.
    """
    alpha = _alpha_of(asset, header)
    seen = np.ones(tuple(part.stop - part.start for part in window), bool)
    with _named(asset):
        if header.masked:
            seen &= _read(asset.href, window, access, lambda opened: opened.read_mask(asset.band, window)) != 0
        if alpha:
            seen &= read(asset.href, window, band=alpha, access=access) != 0
    return seen


def _alpha_of(asset: Asset, header: Header) -> int:
    """The band that tells of an asset where there is data, from 1; 0 if none does, or if it is a sensor's own."""
    return 0 if header.alpha == asset.band or header.alpha <= asset.named_bands else header.alpha


@contextmanager
def _named(asset: Asset) -> Iterator[None]:
    try:
        yield
    except (ReadFailed, Refused, GridError, BadPixels) as error:
        text = str(error).replace(redact(asset.href), asset.written)
        raise type(error)(f"{asset.name}: {text}", band=asset.name) from None


def _span(part: slice) -> str:
    return f"{part.start} to {part.stop - 1}"
