"""Files of labels as scenes: every header is read once, and a place gets only those that may reach it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError

from nutonic.core.footprints import ground_of
from nutonic.core.globe import TURNS, around, east_of, reach
from nutonic.core.grid import transformer
from nutonic.core.model import Asset, Scene
from nutonic.errors import FileMissing, Gone, GridError, InputError, ReadFailed
from nutonic.io import raster as rasters
from nutonic.io.access import Access
from nutonic.io.cache import SingleFlightCache
from nutonic.io.gdal import version
from nutonic.io.session import SessionThreads, current
from nutonic.sources.rasters.paths import SUFFIXES, Piece
from nutonic.sources.rasters.vrt import Placement

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

#: Headers that are read at a time: it is mostly waiting.
_READERS = 8

#: Points along a side of a square, and of a cube's grid, by which files are found that may reach it.
_ALONG_SQUARE, _ALONG_GRID = 3, 33

#: Places that are looked up at a time.
_AT_ONCE = 20_000

#: How far from where its VRT puts it a file may lie, in pixels.
_MOVED = 1e-3


@dataclass(frozen=True)
class Index:
    """Files as scenes, in the order in which they are looked at."""

    scenes: tuple[Scene, ...]

    @property
    def _assets(self) -> tuple[Asset, ...]:
        return tuple(scene.assets[0] for scene in self.scenes)

    def under_squares(self, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> list[tuple[Scene, ...]]:
        """The files that may reach each square; equal answers are one tuple."""
        steps = np.linspace(-1.0, 1.0, _ALONG_SQUARE)
        dx, dy = (step.ravel() for step in np.meshgrid(steps, steps))
        known: dict[tuple[int, ...], tuple[Scene, ...]] = {}
        found: list[tuple[Scene, ...]] = []
        for start in range(0, len(lon), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            high, wide = reach(0.55 * extent_m, lat[part])
            x = lon[part, None] + np.reshape(wide, (-1, 1)) * dx
            y = np.clip(lat[part, None] + high * dy, -90.0, 90.0)
            for numbers in _touching(self._assets, x, y):
                key = tuple(numbers)
                found.append(known.setdefault(key, tuple(self.scenes[k] for k in key)))
        return found

    def footprints(self) -> tuple[shapely.Geometry, ...]:
        """The ground of each file, in degrees, as :func:`.ground_of` draws it."""
        from odc.geo.geobox import GeoBox

        return tuple(ground_of(GeoBox(each.shape, Affine(*each.transform), each.crs)) for each in self._assets)

    def told_where(self) -> str:
        """Where the files lie, in words: what holds all of them, to a hundredth of a degree."""
        west, south, east, north = shapely.total_bounds(list(self.footprints()))
        which = f"{self._assets[0].written} lies" if len(self.scenes) == 1 else f"the {len(self.scenes)} files lie"
        return f"{which} within longitude {west:.2f} to {east:.2f}, latitude {south:.2f} to {north:.2f}"

    def under_grid(self, geobox: GeoBox) -> tuple[Scene, ...]:
        """The files that may reach a grid."""
        return tuple(self.scenes[k] for k in reaching(self._assets, geobox))


def reaching(assets: tuple[Asset, ...], geobox: GeoBox) -> list[int]:
    """Positions of the rasters that may reach a grid."""
    down, across = (np.linspace(0.0, side, _ALONG_GRID) for side in geobox.shape)
    cols, rows = (side.ravel() for side in np.meshgrid(across, down))
    x, y = geobox.affine.c + geobox.affine.a * cols, geobox.affine.f + geobox.affine.e * rows
    lon, lat = (np.asarray(v) for v in transformer(str(geobox.crs), "EPSG:4326").transform(x, y))
    return _touching(assets, around(lon, float(lon[0]))[None], lat[None], margin=1 / (_ALONG_GRID - 1))[0]


@lru_cache(maxsize=16)
def _trees(assets: tuple[Asset, ...]) -> list[tuple[str, np.ndarray, shapely.STRtree]]:
    """The rasters of each CRS: which they are, and a tree of their outlines."""
    by_crs: dict[str, list[int]] = defaultdict(list)
    for k, asset in enumerate(assets):
        by_crs[asset.crs].append(k)
    return [(crs, np.array(ks), shapely.STRtree([_outline(assets[k]) for k in ks])) for crs, ks in by_crs.items()]


def _outline(asset: Asset) -> shapely.Geometry:
    a, _, c, _, e, f = asset.transform
    return shapely.box(c, f + e * asset.shape[0], c + a * asset.shape[1], f)


def _touching(assets: tuple[Asset, ...], lon: np.ndarray, lat: np.ndarray, margin: float = 0.05) -> list[list[int]]:
    """Positions of the rasters that may reach areas of (areas, points): rather too many than too few."""
    found: list[set[int]] = [set() for _ in lon]
    for crs, numbers, tree in _trees(assets):
        for boxes in _boxes(lon, lat, crs, margin):
            where, which = tree.query(boxes, predicate="intersects")
            for i, k in zip(where.tolist(), numbers[which].tolist(), strict=True):
                found[i].add(k)
    return [sorted(each) for each in found]


def _boxes(lon: np.ndarray, lat: np.ndarray, crs: str, margin: float) -> list[np.ndarray]:
    """What holds areas in a CRS; of degrees on every turn of the globe. Areas that it cannot show have an empty one."""
    x, y = (np.asarray(v) for v in transformer("EPSG:4326", crs).transform(lon, lat))
    geographic = CRS.from_user_input(crs).is_geographic
    x = x[:, :1] + east_of(x - x[:, :1]) if geographic else x
    shown = np.isfinite(x) & np.isfinite(y)
    west, south = (np.where(shown, v, np.inf).min(axis=1) for v in (x, y))
    east, north = (np.where(shown, v, -np.inf).max(axis=1) for v in (x, y))
    wide, high = margin * (east - west), margin * (north - south)
    turns = TURNS if geographic else (0.0,)
    empty = ~shown.any(axis=1)
    boxes = [shapely.box(west - wide + turn, south - high, east + wide + turn, north + high) for turn in turns]
    return [np.where(empty, shapely.Point(), each) for each in boxes]


class _Indexes(SingleFlightCache[tuple[object, ...], Index]):
    """The indices that a session keeps."""

    def __init__(self) -> None:
        super().__init__(8, lambda _: 1)


def index_of(pieces: Sequence[Piece], table: str, access: Access) -> Index:
    """Files as scenes; reads each header once, and once more only if the file has changed.

    Raises
    ------
    InputError, GridError
        If one cannot be labels, or a local one cannot be opened; the message names it.
    ReadFailed
        If one behind an address cannot be opened.
    """

    def read() -> Index:
        with SessionThreads(_READERS) as threads:
            scenes = list(threads.map(lambda piece: scene_of(piece, table, access), pieces))
        shared = Counter(scene.id for scene in scenes)
        return Index(tuple(s if shared[s.id] == 1 else replace(s, id=s.assets[0].written) for s in scenes))

    versions = tuple(_version(piece) for piece in pieces)
    return current().resource(_Indexes).get((tuple(pieces), versions, table, access), read)


def _version(piece: Piece) -> int:
    try:
        return version(piece.href)
    except ReadFailed:
        raise InputError(f"{piece.href} does not exist{_by(piece.placement)}; see labels.path") from None


def _by(placement: Placement | None) -> str:
    return f", which {placement.vrt} names" if placement is not None else ""


def scene_of(piece: Piece, table: str, access: Access) -> Scene:
    """A file as a scene with one asset; reads its header."""
    header = _header(piece, access)
    if header.count - bool(header.alpha) != 1 and piece.placement is None:
        raise InputError(f"{piece.href} has {header.count} bands; labels need one band of class ids")
    if header.dtype.startswith("complex"):
        raise InputError(f"{piece.href} holds complex numbers ({header.dtype}); labels need one band of class ids")
    if header.transform.b or header.transform.d:
        raise GridError(f"{piece.href} is rotated: warp it to a north-up grid first")
    if piece.placement is not None:
        _refuse_moved(piece, piece.placement, header)
    asset = Asset(
        name="label",
        href=piece.href,
        written=piece.name,
        crs=header.crs,
        transform=(*header.transform[:3], *header.transform[3:6]),
        shape=header.shape,
        nodata=header.nodata if piece.placement is None else piece.placement.nodata,
        band=(2 if header.alpha == 1 else 1) if piece.placement is None else piece.placement.band,
    )
    name = piece.name[: -len(suffix)] if (suffix := Path(piece.name).suffix) else piece.name
    return Scene(id=name, collection=table, source="raster", datetime=None, cloud_cover=None, assets=(asset,))


def _header(piece: Piece, access: Access) -> rasters.Header:
    try:
        return rasters.header(piece.href, access)
    except ReadFailed as error:
        suffix = Path(piece.href).suffix.lower()
        if piece.is_remote or isinstance(error, Gone | FileMissing):
            raise
        if suffix in SUFFIXES or "cannot open" not in str(error):
            raise InputError(str(error)) from None
        raise InputError(
            f"{piece.href} is no GeoTIFF, JPEG 2000 or .img file: make a GeoTIFF of it, as gdal_translate does"
        ) from None


def _refuse_moved(piece: Piece, placement: Placement, header: rasters.Header) -> None:
    """Raise :class:`InputError` unless a VRT shows a file where it is."""
    a, c, e, f = placement.transform
    own, (height, width) = header.transform, header.shape
    far = max(
        *(abs(c + a * col - own.c - own.a * col) / abs(own.a) for col in (0, width)),
        *(abs(f + e * row - own.f - own.e * row) / abs(own.e) for row in (0, height)),
    )
    if header.shape != placement.shape or far > _MOVED:
        raise InputError(
            f"{placement.vrt} cuts, moves or scales {piece.name}: list the files themselves in labels.path"
        )
    if header.count < placement.band:
        raise InputError(f"{placement.vrt} takes band {placement.band} of {piece.name}, which has {header.count}")
    if placement.crs is not None and not _same(placement.crs, header.crs):
        raise InputError(f"{placement.vrt} has another CRS than {piece.name}, which is in {header.crs:.60}")


def _same(one: str, other: str) -> bool:
    """Whether a CRS that a VRT tells is a file's; one for which PROJ would open a file of its choice is none."""
    if "init=" in one.lower():
        return False
    try:
        return bool(CRS.from_user_input(one).equals(CRS.from_user_input(other), ignore_axis_order=True))
    except CRSError:
        return False
