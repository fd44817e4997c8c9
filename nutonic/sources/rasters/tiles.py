"""Many files of labels, seen through one grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nutonic.sources.backend import NearestMosaic, Window
from nutonic.sources.rasters.index import reaching


@dataclass(frozen=True, kw_only=True)
class Tiles(NearestMosaic):
    """Many rasters seen through a grid: of each window only those are looked at that may reach it."""

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (rows, columns) in the band's dtype."""
        near = tuple(self.assets[k] for k in reaching(self.assets, self.geobox[window]))
        return NearestMosaic(geobox=self.geobox, assets=near, band=self.band, access=self.access).read(window)
