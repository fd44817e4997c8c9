"""A source that invents its pixels: all that a source has to be, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from nutonic.core.model import Asset, Band, Scene, Step, Timeline
from nutonic.errors import ReadFailed
from nutonic.recipe.inputs import Imagery
from nutonic.sources.backend import Windowed, dataset
from nutonic.sources.mosaic import Part, over_time
from nutonic.sources.pixels import imagery_bands
from nutonic.sources.source import Settings, SourceDefaults

#: Where its one scene lies, and when it was made up.
CRS, TRANSFORM, SHAPE = "EPSG:32633", Affine(10, 0, 725_000, 0, -10, 5_173_000), (300, 380)
WHEN = "2024-06-01T10:00:00Z"


def invented(k: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Band `k` at pixel centres x and y, (rows, columns) uint16: from 1 within the scene, 0 beyond it."""
    col, row = np.floor((x - TRANSFORM.c) / 10).astype(int), np.floor((TRANSFORM.f - y) / 10).astype(int)[:, None]
    inside = (col >= 0) & (col < SHAPE[1]) & (row >= 0) & (row < SHAPE[0])
    return np.where(inside, 1 + (row * 37 + col * 11 + row * col % 23 + 501 * k) % 3000, 0).astype(np.uint16)


@dataclass(frozen=True, kw_only=True)
class InventedBand(Windowed):
    """A band of it on a grid."""

    number: int

    def read(self, window: tuple[slice, slice]) -> np.ndarray:
        a, (rows, cols) = self.geobox.affine, window
        x = a.c + a.a * (np.arange(cols.start, cols.stop) + 0.5)
        y = a.f + a.e * (np.arange(rows.start, rows.stop) + 0.5)
        return invented(self.number, x, y).astype(self.band.dtype)


@dataclass(frozen=True, slots=True)
class InventedSource(SourceDefaults):
    """One scene of pixels that nobody took."""

    assets: tuple[str, ...] = ("red", "green", "blue")
    masks: tuple[str, ...] = ()
    error: ReadFailed | None = None
    """What `open` raises, if anything."""

    @classmethod
    def from_recipe(cls, settings: Settings[Imagery]) -> InventedSource:
        return cls(settings.part.assets)

    @property
    def bands(self) -> tuple[Band, ...]:
        # Classes first: nobody may count on where a band stands.
        bands = imagery_bands(self.assets, self.masks)
        return (*bands[len(self.assets) :], *bands[: len(self.assets)])

    def scene(self) -> Scene:
        where: dict[str, Any] = {"crs": CRS, "transform": tuple(TRANSFORM)[:6], "shape": SHAPE, "nodata": 0}
        made = (Asset(name=b.name, href=f"toy://{b.name}", written=f"toy://{b.name}", **where) for b in self.bands)
        how = {"collection": "toys", "source": "toy", "datetime": WHEN, "cloud_cover": 0.0}
        return Scene(id="one", assets=tuple(made), **how)

    def search(
        self, lon: np.ndarray, lat: np.ndarray, extent_m: float, when: str | None = None
    ) -> list[tuple[Scene, ...]]:
        x, y = Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(lon, lat)
        half, (height, width) = extent_m / 2, SHAPE
        inside = (np.abs(x - TRANSFORM.c - 5 * width) + half < 5 * width) & (
            np.abs(y - TRANSFORM.f + 5 * height) + half < 5 * height
        )
        return [(self.scene(),) if each else () for each in inside]

    def timeline(self, geobox: GeoBox, when: str | None = None) -> Timeline:
        return Timeline(steps=(Step(time=WHEN, scenes=(self.scene(),)),))

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        if self.error is not None:
            raise self.error
        names = (*self.assets, *self.masks)
        arrays = {b: InventedBand(geobox=geobox, band=b, number=names.index(b.name)).lazy() for b in self.bands}
        ds = dataset(geobox, arrays)
        return ds if chunks is None else ds.chunk(chunks)

    def cube(
        self, geobox: GeoBox, time: np.ndarray, steps: Sequence[Sequence[Scene]], *, chunks: int = 1024
    ) -> xr.Dataset:
        return over_time(self.bands, geobox, time, steps, chunks, lambda band: partial(self._parts, band), record=False)

    def _parts(self, band: Band, scenes: Sequence[Scene], geobox: GeoBox, chunk: int) -> list[Part]:
        return [Part(self.open(geobox, (), chunks=chunk)[band.name].data) for _ in scenes]

    def with_masks(self, names: Sequence[str], nodata: Sequence[int] = ()) -> InventedSource:
        return replace(self, masks=tuple(names))
