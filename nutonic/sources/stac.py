"""Imagery from a STAC catalogue: scenes by search, pixels as a lazy cube on each scene's own grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.model import Band, Scene
from nutonic.moments import interval
from nutonic.presets import KNOWN_HOSTS, catalogue_at
from nutonic.sources import signing
from nutonic.sources.access import Access, access_for
from nutonic.sources.catalogue import Item
from nutonic.sources.engines import Engine, opener
from nutonic.sources.footprints import near, shares
from nutonic.sources.items import asset_of, cloud_cover, crs_of, moment, pinned
from nutonic.sources.lazy import dataset
from nutonic.sources.neighbourhoods import Search, neighbourhoods

#: How many scenes are ranked for a place.
RANKED = 3

#: A footprint is rounded, and drawn with straight edges: this much of a square may be missing and it still counts as
#: covered; half a pixel along one side of 5 km.
_COVERED = 1.0 - 1e-4

#: The asset with the provider's own picture, which serves where a scene lacks a band.
_VISUAL = "visual"


@dataclass(frozen=True, slots=True, kw_only=True)
class StacSource:
    """Single-band assets of the items of one collection.

    Pixels are digital numbers of reflectance (1e-4) as uint16, 0 where nothing was observed. The offset that Sentinel-2
    baselines from 04.00 on carry is added once; a valid pixel is never below 1, so that dark water stays valid. Of an
    item that lacks one of the assets but has a `visual`, that picture's bands 1, 2 and 3 are taken as they are.
    """

    url: str
    """Of a STAC API, or the path of a local catalogue."""
    collection: str
    assets: tuple[str, ...] = ("red", "green", "blue")
    """Names of the variables, and of the assets; where a known catalogue calls its assets otherwise, that is known."""
    max_cloud_cover: float = 100.0
    """Percent; items that do not state their cloud cover count as 100."""
    min_valid_fraction: float = 0.35
    """The share of a square that a scene must cover where none covers it all."""
    engine: Engine = "stackstac"
    """What builds the lazy arrays; the pixels are the same. ``"odc-stac"`` needs the extra ``odc``."""
    sign: str | None = None
    """``"planetary-computer"``: sign addresses where they are read. Of the Planetary Computer itself that is known."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts that files may be read from besides the catalogue's own; see :class:`nutonic.sources.access.Access`."""

    def __post_init__(self) -> None:
        opener(self.engine)
        signing.require(self.access.sign)

    @property
    def access(self) -> Access:
        """What may be read, and how it is signed."""
        return access_for(self.url, self.allow_hosts, KNOWN_HOSTS, self.sign or catalogue_at(self.url).sign)

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band per asset: uint16, nodata 0."""
        return tuple(Band(name=name, kind="reflectance", dtype="uint16", nodata=0) for name in self.assets)

    def search(
        self, lon: np.ndarray, lat: np.ndarray, extent_m: float, when: str | None = None
    ) -> list[tuple[Scene, ...]]:
        """Up to three scenes for each square: those that cover it whole, else those that cover the largest share.

        Among equals least cloud first, then newest, then by id: nothing but the place and the catalogue decides.
        """
        search = Search(
            url=self.url,
            collection=self.collection,
            when=when,
            max_cloud_cover=self.max_cloud_cover,
            access=self.access,
        )
        found: list[tuple[Scene, ...]] = [()] * len(lon)
        for group in neighbourhoods(search, lon, lat, extent_m):
            members = group.members
            ranked = self._ranked(group.items, lon[members], lat[members], extent_m, when)
            for i, scenes in zip(members.tolist(), ranked, strict=True):
                found[i] = scenes
        return found

    def _ranked(
        self, items: Iterable[Item], lon: np.ndarray, lat: np.ndarray, extent_m: float, when: str | None
    ) -> list[tuple[Scene, ...]]:
        """The best scenes of each square among these items; equal ones are one tuple, not many."""
        usable = sorted((item for item in items if self._fits(item, when)), key=_merit)
        best = np.full((len(lon), RANKED), _NONE)
        for k, item in enumerate(usable):
            where = near(item.footprint, lon, lat, extent_m)
            if not where.size:
                continue
            crs = crs_of(item, self._keys(item)[0], self.access)
            for some in np.array_split(where, -(-where.size // _AT_ONCE)):
                covered = shares(item.footprint, crs, lon[some], lat[some], extent_m)
                rank = np.where(covered >= max(self.min_valid_fraction, 1e-12), _rank(covered) + k, _NONE)
                best[some] = np.sort(np.column_stack([best[some], rank]), axis=1)[:, :RANKED]
        # Scenes that cover the square in part only count where none covers it whole.
        best[(best >= _PART) & (best[:, :1] < _PART)] = _NONE
        best = np.where(best < _NONE, best % _ITEMS, -1).astype(np.int32)
        unique, which = np.unique(best, axis=0, return_inverse=True)
        scene = lru_cache(maxsize=None)(lambda k: self._scene(usable[k]))
        found = [tuple(scene(k) for k in row[row >= 0].tolist()) for row in unique]
        return [found[i] for i in which.ravel().tolist()]

    def _fits(self, item: Item, when: str | None) -> bool:
        if item.content.get("collection", self.collection) != self.collection:
            return False
        if cloud_cover(item) > self.max_cloud_cover or not self._keys(item):
            return False
        start, end = interval(when) if when else (None, None)
        return start is None or end is None or start <= moment(item) <= end

    def _keys(self, item: Item) -> tuple[str, ...]:
        """Names of the assets to read of an item, one per band; the picture alone where a band is missing; or none."""
        there, known = item.content["assets"], catalogue_at(self.url).assets
        keys = tuple(name if name in there else known.get(name, name) for name in self.assets)
        if all(key in there for key in keys):
            return keys
        visual = known.get(_VISUAL, _VISUAL)
        return (visual,) if visual in there and len(self.assets) == 3 else ()

    def _scene(self, item: Item) -> Scene:
        keys = self._keys(item)
        rendered = len(keys) < len(self.assets)
        each = keys * len(self.assets) if rendered else keys
        return Scene(
            id=item.id,
            collection=self.collection,
            source="stac",
            datetime=moment(item).isoformat().replace("+00:00", "Z"),
            cloud_cover=item.properties.get("eo:cloud_cover"),
            assets=tuple(
                asset_of(item, key, self.access, name=name, band=k if rendered else None)
                for k, (name, key) in enumerate(zip(self.assets, each, strict=True), 1)
            ),
            rendered=rendered,
            item=pinned(item, keys),
        )

    def open(self, grid: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """One variable (y, x) per asset, uint16, lazily: the first scene's own pixels, nodata beyond its edge.

        Raises
        ------
        OffLattice
            If the scene is in another CRS or its pixels do not lie on the grid's lattice: they are read, never resampled.
        """
        assets, lazy = {asset.name: asset for asset in scenes[0].assets}, opener(self.engine)
        side, scene = chunks or 1024, scenes[0].id
        return dataset(grid, {band: lazy(scene, assets[band.name], grid, side, self.access) for band in self.bands})


#: A rank is one number: whether the square is covered in part, by how little, and the item's place by merit.
_ITEMS, _PART, _NONE = 2**32, 2**60, 2**62

#: Squares that are compared with a footprint at a time: each takes several hundred bytes meanwhile.
_AT_ONCE = 10_000


def _merit(item: Item) -> tuple[float, float, str]:
    """What items are sorted by, whatever the place: least cloud, newest, id."""
    return cloud_cover(item), -moment(item).timestamp(), item.id


def _rank(covered: np.ndarray) -> np.ndarray:
    """The part of a rank that depends on the place; shares are compared as far as footprints are exact."""
    missing = 10_000 - np.rint(covered * 10_000).astype(np.int64)
    return np.where(covered >= _COVERED, 0, _PART + missing * _ITEMS)
