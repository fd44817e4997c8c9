"""Land cover from one raster file, in any CRS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.core.classes import ClassTable, table_of
from nutonic.core.model import Asset, Band, Json, Scene, Step, Timeline
from nutonic.core.showing import Shown, place
from nutonic.core.times import Time
from nutonic.errors import GridError, InputError
from nutonic.io import raster as rasters
from nutonic.recipe.inputs import Labels
from nutonic.sources.backend import NearestMosaic, dataset
from nutonic.sources.source import Needs, Settings, SourceDefaults, local_files


@dataclass(frozen=True, slots=True, repr=False)
class RasterSource(Shown, SourceDefaults):
    """A GeoTIFF or COG of class ids, read by window-independent nearest neighbour.

    Parameters
    ----------
    path
        Path of the raster.
    classes
        What its values mean: a class table, or the name of one (``"esa-worldcover"``, ``"dynamic-world"``).
    """

    path: str
    classes: ClassTable | str = "esa-worldcover"

    def _facts(self) -> Json:
        return {"path": place(self.path), "classes": self.table.name}

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", table_of(self.classes))

    @classmethod
    def from_recipe(cls, settings: Settings[Labels]) -> RasterSource:
        """The raster that a recipe's labels are of."""
        labels = settings.part
        return cls(str(labels.path), labels.table)

    @property
    def table(self) -> ClassTable:
        """What the values mean."""
        assert isinstance(self.classes, ClassTable)
        return self.classes

    @property
    def bands(self) -> tuple[Band, ...]:
        """One band, ``label``: class ids as uint8, the table's unknown value where there is none."""
        return (self.table.band,)

    def describe(self) -> Scene:
        """The raster as a scene with one asset; reads its header."""
        path = Path(self.path).absolute()
        if not path.exists():
            raise InputError(f"{path} does not exist; see labels.path")
        header = rasters.header(str(path))
        if header.count != 1:
            raise InputError(f"{self.path} has {header.count} bands; labels need one band of class ids")
        if header.transform.b or header.transform.d:
            raise GridError(f"{self.path} is rotated: warp it to a north-up grid first")
        asset = Asset(
            name="label",
            href=str(path),
            written=path.name,
            crs=header.crs,
            transform=(*header.transform[:3], *header.transform[3:6]),
            shape=header.shape,
            nodata=header.nodata,
        )
        return Scene(
            id=path.stem, collection=self.table.name, source="raster", datetime=None, cloud_cover=None, assets=(asset,)
        )

    def search(self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Time = None) -> list[tuple[Scene, ...]]:
        """The raster itself, for every place; a place beyond it is told by its pixels."""
        scene = self.describe()
        return [(scene,)] * len(lon)

    def timeline(self, geobox: GeoBox, time: Time = None) -> Timeline:
        """The raster itself, as one step without a time."""
        return Timeline(steps=(Step(time=None, scenes=(self.describe(),)),))

    def open(self, geobox: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """The variable ``label`` (y, x), uint8, lazily, on exactly this grid; a slice of it reads only that slice."""
        (band,) = self.bands
        assets = tuple(scene.asset("label") for scene in scenes)
        ds = dataset(geobox, {band: NearestMosaic(geobox=geobox, assets=assets, band=band).lazy()})
        return ds if chunks is None else ds.chunk(chunks)

    def needs(self, scenes: Sequence[Scene] = ()) -> Needs:
        """The raster itself, where scenes say that it is read."""
        return Needs(files=local_files(scenes, self.table.name))
