"""Open datasets: kept in a pool, and lent to one thread at a time.

GDAL reads local files itself; what lies behind a URL is fetched by :mod:`nutonic.io.ranged` and handed to it. JPEG 2000
is decoded elsewhere, by :mod:`nutonic.io.decoder`.
"""

from __future__ import annotations

import contextvars
import os
import re
import struct
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.env import get_gdal_config
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from nutonic.core.grid import MOST_SIDE, proj_hint, require_files
from nutonic.errors import BrokenInstall, Damaged, FileMissing, GridError, NutonicError, ReadFailed
from nutonic.inert import inert
from nutonic.io.access import Access
from nutonic.io.atomic import disk_error, refusal_at
from nutonic.io.decoder import SIGNATURES, DecodedRaster
from nutonic.io.files import open_regular
from nutonic.io.ranged import Changed, RangeCache, RemoteFile
from nutonic.io.tiff.blocks import Blocks, Kept, PlainBlocks, Undecodable, new_cache, pass_by

GDAL_ENV: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no probing for .aux, .ovr, .msk beside every file
    "GDAL_PAM_ENABLED": "NO",
    # Decoded blocks that are kept for those who read next to them: bytes a process. GDAL's default, a twentieth of all
    # memory, would fill up with blocks that nobody reads again.
    "GDAL_CACHEMAX": 128 * 2**20,
    "GDAL_NUM_THREADS": "1",  # the JPEG 2000 driver would open remote files again in threads that do not know them
    # GDAL's own defaults, said again: what a user's environment may have for another purpose moves pixels, or fills in for
    # damaged ones.
    "GDAL_GEOREF_SOURCES": "PAM,INTERNAL,TABFILE,WORLDFILE,XML",
    "GTIFF_POINT_GEO_IGNORE": "NO",
    "GTIFF_HONOUR_NEGATIVE_SCALEY": "NO",
    "GTIFF_LINEAR_UNITS": "DEFAULT",
    "GTIFF_IGNORE_READ_ERRORS": "NO",
    "CONVERT_YCBCR_TO_RGB": "YES",
    "GDAL_JP2K_ALT_OFFSETVECTOR_ORDER": "NO",
    "GDAL_IGNORE_AXIS_ORIENTATION": "NO",
}

#: The formats that are opened; GDAL knows many more, and some of them, like VRT, can name any other file or URL.
_DRIVERS = ["GTiff", "JP2OpenJPEG"]

#: Variables by which drivers are lost.
_DRIVER_VARIABLES = ("GDAL_SKIP", "GDAL_DRIVER_PATH")

#: What a local file is opened as besides, by its suffix: Erdas Imagine.
_BY_SUFFIX = {".img": ["HFA"]}

#: Reads of what was fetched but cannot be decoded, in all.
ATTEMPTS = 3

#: What an Erdas Imagine file begins with, the type of an entry with a CRS as text, how a CRS names files, and what is looked
#: at: entries, and bytes of each.
_HFA, _MIF = b"EHFA_HEADER_", b"Emif_MIFObject"
_GRID_FILES = re.compile(rb'(?:(?:nad|geoid)grids=|PROJ4_GRIDS"\s*,\s*")([^\s"\0]*)')
_MOST_ENTRIES, _MOST_CRS = 4096, 2**20

#: Bytes of a decoded block: more is a mistake, or meant to fill the memory. A JPEG 2000 tile of a whole Sentinel-2 band
#: takes 241 MB.
_MOST_BLOCK_BYTES = 256 * 2**20

#: What rasterio calls a dtype that numpy does not have, and what its pixels are read as.
_NUMPY_NAMES = {"complex_int16": "complex64", "complex_int32": "complex128"}

#: What GDAL knows a remote file by; each is opened in a space of its own.
_NAME = "remote"

#: What is wrong with a raster that no transform places, in words.
NOWHERE = "has no geotransform, which would say where its pixels lie: write one into the file first"

# Such a raster is refused, in words of our own; by Python's file of the frame this is about no warning but ours.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning, module=r"nutonic\.io\.gdal")

_KEPT_OPEN, _KEPT_LAYOUTS = 64, 4096
_MISSING = ("no such file", "does not exist")


T = TypeVar("T")


def gdal_settings() -> rasterio.Env:
    """A block within which GDAL does as is set here."""
    return rasterio.Env(**GDAL_ENV)


@dataclass(slots=True)
class OpenRaster:
    """An open dataset, and the remote file behind it, if it is one.

    rasterio keeps Python files that GDAL reads alive in context variables, which end with the thread that opened them;
    so each dataset has a context of its own, in which all that touches it runs, whatever the thread.
    """

    raster: rasterio.DatasetReader | DecodedRaster
    file: RemoteFile | None = None
    context: contextvars.Context = field(default_factory=contextvars.Context)
    broken: bool = False
    plain: PlainBlocks | None = None
    """What reads its blocks without GDAL; None where GDAL must."""

    def run(self, action: Callable[[], T]) -> T:
        """Do something with the dataset, by GDAL."""
        with gdal_settings():
            return self.context.run(action)

    def read(self, band: int, window: tuple[slice, slice]) -> np.ndarray:
        """A window's pixels of a band."""
        if self.plain is not None:
            if self.file is not None:
                self.file.begin()
            with suppress(Undecodable):  # GDAL is asked for little here: to set it up for each window takes as long
                return self.context.run(partial(self.plain.read, band, window))
        return self._fetched(lambda: self.raster.read(band, window=Window.from_slices(*window)))

    def read_mask(self, band: int, window: tuple[slice, slice]) -> np.ndarray:
        """A window of the mask that goes with a band: uint8, 0 where there is no data."""
        return self._fetched(lambda: self.raster.read_masks(band, window=Window.from_slices(*window)))

    def _fetched(self, action: Callable[[], np.ndarray]) -> np.ndarray:
        """What reading gives; what the file knows of a failure goes before what GDAL does."""
        if self.file is None:
            with gdal_settings():
                return np.asarray(action())
        self.file.begin()
        try:
            pixels = np.asarray(self.run(action))
        except RasterioError:
            if self.file.error is None:
                raise
        if self.file.error is not None:  # some drivers make do with half a block
            raise self.file.error
        return pixels

    @property
    def stale(self) -> bool:
        """Whether the file behind a URL is another by now."""
        return self.file is not None and self.file.stale

    def drop(self) -> None:
        """Have what was fetched fetched again: it cannot be decoded, or goes with nothing that comes now."""
        self.broken = True
        if self.file is not None:
            self.file.damaged()

    def close(self) -> None:
        """Close the dataset."""
        self.run(self.raster.close)


_Key = tuple[str, Access, int]


class RasterPool:
    """Open datasets by address, newest use last; a borrowed one belongs to its borrower.

    Parameters
    ----------
    ranges
        Where what lies behind a URL comes from.
    """

    def __init__(self, ranges: RangeCache) -> None:
        self._ranges, self._lock, self._closed = ranges, threading.Lock(), False
        self._idle: OrderedDict[_Key, list[OpenRaster]] = OrderedDict()
        self._layouts: OrderedDict[_Key, tuple[object, ...]] = OrderedDict()
        self._damaged: OrderedDict[_Key, GridError] = OrderedDict()
        self._blocks = new_cache()

    @contextmanager
    def borrow(self, href: str, access: Access) -> Iterator[OpenRaster]:
        """An open dataset for one thread; returned to the pool unless reading failed."""
        key = (href, access, version(href))
        raster = self._take(key) or self._opened(key)
        try:
            yield raster
        except BaseException:
            raster.close()
            raise
        if raster.broken:
            raster.close()
        else:
            self._give_back(key, raster)

    def pass_by(self, pixels: Mapping[str, tuple[int, int]]) -> None:
        """Say that of files nothing is asked for any more that lies above a pixel's row of blocks, or left of it in that.

        `pixels` are rows and columns by address. Blocks there are the first to make room; they stay while there is room.
        """
        pass_by(self._blocks, lambda file: pixels.get(file[0][0]) if isinstance(file, tuple) else None)

    def clear(self) -> None:
        """Close all that lie idle."""
        with self._lock:
            idle = [raster for rasters in self._idle.values() for raster in rasters]
            self._idle.clear()
            self._layouts.clear()
            self._damaged.clear()
        self._blocks.clear()
        for raster in idle:
            raster.close()

    def close(self) -> None:
        """Close all that lie idle, and those that are borrowed as soon as they are given back."""
        with self._lock:
            self._closed = True
        self.clear()

    def _opened(self, key: _Key) -> OpenRaster:
        """One that is opened now.

        What replaced a file is taken for it only where its pixels lie as those did: who asks for a window has looked at
        the header before.
        """
        if (known := self._damaged.get(key)) is not None:  # to find that out takes seconds
            raise known
        try:
            with gdal_settings():
                opened = _open(key[0], key[1], self._ranges)
        except GridError as error:
            with self._lock:
                self._damaged[key] = error
                if len(self._damaged) > _KEPT_LAYOUTS:
                    self._damaged.popitem(last=False)
            raise
        opened.plain = opened.run(partial(_plain, opened, key, self._blocks))
        if opened.file is None:
            return opened
        raster = opened.raster
        layout = (raster.shape, raster.transform, raster.crs, raster.dtypes, repr(raster.nodatavals))
        with self._lock:
            same = self._layouts.setdefault(key, layout) == layout
            self._layouts.move_to_end(key)
            if len(self._layouts) > _KEPT_LAYOUTS:
                self._layouts.popitem(last=False)
        if not same:
            opened.close()
            raise ReadFailed(f"{key[0]} changed while it was read: there is a raster with another grid now")
        return opened

    def _take(self, key: _Key) -> OpenRaster | None:
        """One that lies idle, of a file that is still what it was."""
        with self._lock:
            idle = self._idle.get(key, [])
            stale = [raster for raster in idle if raster.stale]
            idle[:] = [raster for raster in idle if not raster.stale]
            found = idle.pop() if idle else None
        for old in stale:
            old.close()
        return found

    def _give_back(self, key: _Key, raster: OpenRaster) -> None:
        """Keep one for the next; of too many addresses the longest unused is closed."""
        stale: list[OpenRaster] = []
        with self._lock:
            if self._closed:
                stale = [raster]
            else:
                self._idle.setdefault(key, []).append(raster)
                self._idle.move_to_end(key)
                if len(self._idle) > _KEPT_OPEN:
                    stale = self._idle.popitem(last=False)[1]
        for old in stale:
            old.close()


def version(href: str) -> int:
    """Changes when a local file is replaced, so that a kept handle never shows an old file."""
    if "://" in href:
        return 0
    try:
        return os.stat(href).st_mtime_ns  # noqa: PTH116  for each window: a path as an object took longer
    except (FileNotFoundError, NotADirectoryError):
        raise FileMissing(f"{href} does not exist") from None
    except OSError as error:
        raise ReadFailed(f"cannot look at {href}: {error.strerror}") from None


def _plain(opened: OpenRaster, key: _Key, kept: Kept) -> PlainBlocks | None:
    """What reads the blocks of an opened dataset without GDAL; None if GDAL must."""
    if isinstance(opened.raster, DecodedRaster):
        return None
    fetch = opened.file.part if opened.file is not None else partial(_local_part, key[0], key[2])
    blocks = Blocks.of(opened.raster, fetch(0, 4), gdal_settings) if tells_predictors() else None
    file = (key, None if opened.file is None else opened.file.version)
    return None if blocks is None else PlainBlocks(blocks, fetch, kept, file)


def _local_part(path: str, expected: int, start: int, end: int) -> bytes:
    """A part of a local file; :class:`Undecodable` if it is not what was opened, or ends before."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_mtime_ns != expected:
            raise Undecodable
        file.seek(start)
        content = file.read(end - start)
    if len(content) != end - start:
        raise Undecodable
    return content


@cache
def tells_predictors() -> bool:
    """Whether this GDAL tells of a file whether neighbours' differences are stored, which it did not always."""
    with rasterio.MemoryFile() as memory:
        profile = {"driver": "GTiff", "height": 16, "width": 16, "count": 1, "dtype": "uint16"}
        with memory.open(**profile, compress="deflate", predictor=2, transform=Affine(2, 0, 0, 0, -2, 0)):
            pass
        with memory.open() as raster:
            return bool(raster.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") == "2")


def _open(href: str, access: Access, ranges: RangeCache) -> OpenRaster:
    try:
        for attempt in range(ATTEMPTS):
            last = attempt + 1 == ATTEMPTS
            opened = _open_remote(href, ranges.open(href, access), last=last) if "://" in href else _open_local(href)
            if opened is not None:
                _refuse_absurd(href, opened)
                return opened
    except ReadFailed:
        require_gdal()
        raise
    raise AssertionError  # the last attempt returns or raises


@cache
def require_gdal() -> None:
    """Raise :class:`BrokenInstall` if GDAL lacks a driver, or its PROJ its database: then no file is to blame for anything.

    Called before a file is blamed; what works in spite of that need not be refused.
    """
    with gdal_settings() as env:
        missing = [name for name in _DRIVERS if name not in env.drivers()]
        if missing:
            odd = [name for name in _DRIVER_VARIABLES if os.environ.get(name) or get_gdal_config(name)]
            told = f"unset {' and '.join(odd)}, in the environment or in GDAL's own configuration file (gdalrc)"
            hint = told if odd else "install rasterio anew"
            raise BrokenInstall(f"GDAL cannot read {' and '.join(missing)} here: {hint}")
        try:
            CRS.from_epsg(4326)
        except CRSError as error:
            require_files()
            reason = str(error).partition("\n")[0][:200]
            raise BrokenInstall(
                f"GDAL's PROJ does not know EPSG:4326, so its database cannot be used: {reason}; {proj_hint()}"
            ) from None


def _open_local(href: str) -> OpenRaster:
    try:
        with open_regular(href) as file:
            start = file.read(len(SIGNATURES[0]))
        if start.startswith(SIGNATURES):
            return OpenRaster(DecodedRaster(href, None, GDAL_ENV, version(href)))
        if start.startswith(_HFA):
            _refuse_grid_files(href)
        drivers = [*_DRIVERS, *_BY_SUFFIX.get(Path(href).suffix.lower(), ())]
        with _beside(href):
            return OpenRaster(rasterio.DatasetReader(href, driver=drivers, sharing=False))
    except NotGeoreferencedWarning:  # where warnings are errors
        raise GridError(f"{href} {NOWHERE}") from None
    except RasterioError as error:
        gone = any(sign in str(error).lower() for sign in _MISSING)
        raise (FileMissing if gone else Damaged)(f"cannot open {href}: {error}") from None
    except NutonicError:
        raise
    except FileNotFoundError:
        raise FileMissing(f"{href} does not exist") from None
    except OSError as error:
        raise ReadFailed(f"cannot open {href}: {(error.strerror or 'unreadable').lower()}") from None


def _refuse_grid_files(href: str) -> None:
    """Raise :class:`GridError` if the CRS of an Erdas Imagine file names a grid of shifts by its path.

    PROJ would open that path while GDAL opens the raster, whatever lies there: of a pipe it would never come back. Names
    without a folder are looked up among PROJ's own files.
    """
    with open_regular(href) as file:
        for content in _hfa_entries(file):
            named = next((name for name in _GRID_FILES.findall(content) if set(name) & set(b"/\\~")), None)
            if named is not None:
                raise GridError(
                    f"{href} has a CRS with a grid file ({inert(named.decode('utf-8', 'replace'))[:80]}), which is not "
                    "opened: write a CRS with a code into the file, as gdal_edit -a_srs does"
                )


def _hfa_entries(file: BinaryIO) -> Iterator[bytes]:
    """What each entry of an Erdas Imagine file's tree holds, as far as it is no longer than any CRS; pixels lie elsewhere.

    All numbers are little-endian. Byte 16 of the file tells where its header lies, byte 8 of that the first entry. An entry
    tells in 6 numbers of 4 bytes where the next, the one before, its parent, its first child and its content are, and how
    many bytes that has; then in 64 bytes its name, and in 32 its type. https://gdal.org/drivers/raster/hfa.html names the
    description of the format.
    """

    def numbers(at: int, count: int) -> tuple[int, ...]:
        file.seek(at)
        content = file.read(4 * count)
        return struct.unpack(f"<{count}I", content) if len(content) == 4 * count else (0,) * count

    (header,) = numbers(16, 1)
    (root,) = numbers(header + 8, 1)
    left, seen = [root], set[int]()
    while left:
        if (at := left.pop()) == 0 or at in seen:
            continue
        seen.add(at)
        after, _, _, child, start, size = numbers(at, 6)
        left += [after, child]
        file.seek(at + 24 + 64)
        if len(seen) > _MOST_ENTRIES or (size > _MOST_CRS and file.read(32).startswith(_MIF)):
            raise GridError(f"{file.name} has more entries, or longer ones, than any sensible .img")
        file.seek(start)
        yield file.read(min(size, _MOST_CRS))


def _beside(href: str) -> AbstractContextManager[object]:
    """Have GDAL look for a mask in a file of its own, where there is one: ``scene.tif.msk``."""
    return rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE") if Path(f"{href}.msk").is_file() else nullcontext()


def _open_remote(href: str, file: RemoteFile, *, last: bool) -> OpenRaster | None:
    """An open dataset; None where what was fetched is no raster and may be another time."""
    context = contextvars.Context()
    try:
        if file.driver == "JP2OpenJPEG":
            return OpenRaster(DecodedRaster(href, file, GDAL_ENV, file.version), file, context)
        opened = partial(rasterio.open, _NAME, driver=file.driver, sharing=False, opener=partial(_only, file))
        return OpenRaster(context.run(opened), file, context)
    except NotGeoreferencedWarning:  # where warnings are errors
        raise GridError(f"{href} {NOWHERE}") from None
    except RasterioError as error:
        if isinstance(file.error, Changed) and not last:
            return None
        if file.error is not None:
            raise (ReadFailed(str(file.error)) if isinstance(file.error, Changed) else file.error) from None
        if last:
            raise Damaged(f"cannot open {href}: {error}") from None
        file.damaged()
        return None


def _only(file: RemoteFile, name: str, mode: str = "rb") -> RemoteFile:  # noqa: ARG001  rasterio names it
    """The one file that GDAL may open: it looks for masks and metadata beside it too."""
    if name != _NAME:
        raise FileNotFoundError(name)
    return file.again()


def _refuse_absurd(href: str, opened: OpenRaster) -> None:
    """Refuse sizes that no sensible raster has, before anything is read into them."""
    raster = opened.raster
    (height, width), item = (
        raster.block_shapes[0],
        np.dtype(_NUMPY_NAMES.get(raster.dtypes[0], raster.dtypes[0])).itemsize,
    )
    block = height * width * item * (raster.count if raster.interleaving is rasterio.enums.Interleaving.pixel else 1)
    if max(raster.shape) > MOST_SIDE or block > _MOST_BLOCK_BYTES:
        opened.close()
        raise GridError(
            f"{href} claims {raster.height} × {raster.width} pixels in blocks of {height} × {width}: too large to be read"
        )


@contextmanager
def gdal_disk_errors(file: Path, path: Path) -> Iterator[None]:
    """What GDAL cannot write, on the way to `path`, as :class:`nutonic.errors.StoreError`.

    It tells no reason, so the system is asked whether `file`, a temporary beside what was written or that itself, can grow.
    """
    try:
        yield
    except NutonicError:
        raise
    except Exception as error:
        refusal = refusal_at(file)
        if refusal is None and not isinstance(error, OSError | RasterioError):
            raise
        raise disk_error(refusal or error, path, path.parent) from None
