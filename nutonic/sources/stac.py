"""Imagery from a STAC catalogue: scenes by search, pixels as a lazy stackstac cube on each scene's own grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.grid import corners, transformer
from nutonic.model import Band, Scene
from nutonic.recipe import interval
from nutonic.sources.catalogue import Item, read_items
from nutonic.sources.items import asset_of, cloud_cover, crs_of, moment
from nutonic.sources.lazy import dataset
from nutonic.sources.reflectance import stacked

#: How many scenes are ranked for a place.
RANKED = 3

#: A footprint is rounded, and drawn with straight edges: this much of a square may be missing and it still counts as
#: covered; half a pixel along one side of 5 km.
_COVERED = 1.0 - 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class StacSource:
    """Single-band assets of the items of one collection.

    Pixels are digital numbers of reflectance (1e-4) as uint16, 0 where nothing was observed. The offset that Sentinel-2
    baselines from 04.00 on carry is added once; a valid pixel is never below 1, so that dark water stays valid.
    """

    url: str
    """Path of a local catalogue."""
    collection: str
    assets: tuple[str, ...] = ("red", "green", "blue")
    max_cloud_cover: float = 100.0
    """Percent; items that do not state their cloud cover count as 100."""
    min_valid_fraction: float = 0.35
    """The share of a square that a scene must cover where none covers it all."""

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
        items = [item for item in read_items(self.url) if self._fits(item, when)]
        ranked: list[list[tuple[tuple[Any, ...], int]]] = [[] for _ in range(len(lon))]
        for k, item in enumerate(items):
            for i, share in _shares(item, self.assets[0], lon, lat, extent_m):
                if share >= self.min_valid_fraction and share > 0:
                    ranked[i].append((_rank(item, share), k))
        scene = lru_cache(maxsize=None)(lambda k: self._scene(items[k]))
        return [tuple(scene(k) for _, k in _best(candidates)) for candidates in ranked]

    def _fits(self, item: Item, when: str | None) -> bool:
        if (
            item.content.get("collection", self.collection) != self.collection
            or cloud_cover(item) > self.max_cloud_cover
        ):
            return False
        if not all(name in item.content["assets"] for name in self.assets):
            return False
        start, end = interval(when) if when else (None, None)
        return start is None or end is None or start <= moment(item) <= end

    def _scene(self, item: Item) -> Scene:
        return Scene(
            id=item.id,
            collection=self.collection,
            source="stac",
            datetime=moment(item).isoformat().replace("+00:00", "Z"),
            cloud_cover=item.properties.get("eo:cloud_cover"),
            assets=tuple(asset_of(item, name) for name in self.assets),
        )

    def open(self, grid: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """One variable (y, x) per asset, uint16, lazily: the first scene's own pixels, nodata beyond its edge.

        Raises
        ------
        OffLattice
            If the scene is in another CRS or its pixels do not lie on the grid's lattice: they are read, never resampled.
        """
        assets = {asset.name: asset for asset in scenes[0].assets}
        return dataset(
            grid, {band: stacked(scenes[0].id, assets[band.name], grid, chunks or 1024) for band in self.bands}
        )


def _rank(item: Item, share: float) -> tuple[Any, ...]:
    """What scenes are sorted by; shares are compared as far as footprints are exact."""
    whole = share >= _COVERED
    return not whole, 0.0 if whole else -round(share, 4), cloud_cover(item), -moment(item).timestamp(), item.id


def _best(candidates: list[tuple[tuple[Any, ...], int]]) -> list[tuple[tuple[Any, ...], int]]:
    """The first three; scenes that cover the square in part only count where none covers it whole."""
    best = sorted(candidates)[:RANKED]
    return [entry for entry in best if entry[0][0] == best[0][0][0]]


def _shares(item: Item, name: str, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> list[tuple[int, float]]:
    """Share of each square that an item's footprint covers, for the squares it can touch."""
    near = _near(item.footprint, lon, lat, extent_m)
    if not near.size:
        return []
    crs = crs_of(item, name)
    to_scene = transformer("EPSG:4326", crs)
    footprint = shapely.make_valid(shapely.transform(item.footprint, lambda p: np.stack(to_scene.transform(*p.T), -1)))
    x, y = to_scene.transform(lon[near], lat[near])
    left, top = corners(np.asarray(x), np.asarray(y), extent_m, 10.0)
    squares = shapely.box(left, top - extent_m, left + extent_m, top)
    shares = shapely.area(shapely.intersection(squares, footprint)) / extent_m**2
    return list(zip(near.tolist(), shares.tolist(), strict=True))


def _near(footprint: shapely.Geometry, lon: np.ndarray, lat: np.ndarray, extent_m: float) -> np.ndarray:
    """Positions of the squares whose centres lie near a footprint, counting round the antimeridian."""
    reach = extent_m / 110_000.0
    reach_lon = reach / math.cos(math.radians(min(float(np.abs(lat).max(initial=0.0)) + reach, 89.0)))
    near = np.zeros(len(lon), bool)
    for part in shapely.get_parts(footprint):
        west, south, east, north = part.bounds
        within = (lon - west + reach_lon) % 360.0 <= east - west + 2 * reach_lon
        near |= within & (lat >= south - reach) & (lat <= north + reach)
    return np.flatnonzero(near)
