"""``cube.nutonic``: what a cube knows of itself beyond its pixels."""

from __future__ import annotations

import numpy as np
import orjson
import pandas as pd
import rioxarray  # noqa: F401
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.cube.search import LEFT_OUT, SCENES, _described, _table


@xr.register_dataset_accessor("nutonic")  # type: ignore[no-untyped-call]
class CubeAccessor:
    """What a cube knows of itself: ``cube.nutonic``."""

    def __init__(self, cube: xr.Dataset) -> None:
        self._cube = cube

    @property
    def grid(self) -> GeoBox:
        """Where its pixels lie."""
        grid: GeoBox = self._cube.odc.geobox
        return grid

    @property
    def scenes(self) -> pd.DataFrame:
        """One row per scene of the steps that the cube still has, and of sources without a time axis.

        Columns: ``number`` (what the variable ``scene`` holds; none without a time axis), ``step``, ``id``,
        ``collection``, ``datetime``, ``cloud_cover`` (percent), ``crs``, ``warped`` (read by nearest neighbour),
        ``assets`` (name to href without query).
        """
        table = _table(orjson.loads(self._cube.attrs.get(SCENES, "[]")))
        if "time" not in self._cube.coords:
            return table
        times = np.atleast_1d(self._cube["time"].values)
        return table[table["step"].isna() | table["step"].isin(times)].reset_index(drop=True)

    @property
    def left_out(self) -> pd.DataFrame:
        """Scenes that were found and are not used, and why."""
        return pd.DataFrame(orjson.loads(self._cube.attrs.get(LEFT_OUT, "[]")), columns=["id", "why"])

    def __repr__(self) -> str:
        return "\n".join(_described(self.grid, self.scenes, self.left_out))
