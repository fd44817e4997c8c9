"""What xarray learns of nutonic: ``cube.nutonic`` and ``engine="nutonic"``.

Whoever imports nutonic and xarray has the accessor (:mod:`nutonic.cube.registration`); xarray itself imports this module, by
the entry point in pyproject.toml, when it looks for an engine. So it imports little.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendEntrypoint

if TYPE_CHECKING:
    import pandas as pd
    from odc.geo.geobox import GeoBox


@xr.register_dataset_accessor("nutonic")  # type: ignore[no-untyped-call]
class CubeAccessor:
    """What a cube knows of itself: ``cube.nutonic``."""

    def __init__(self, cube: xr.Dataset) -> None:
        self._cube = cube

    @property
    def geobox(self) -> GeoBox | None:
        """Where its pixels lie; None of a dataset without y and x."""
        import odc.geo.xr  # noqa: F401  registers cube.odc

        geobox: GeoBox | None = self._cube.odc.geobox
        return geobox

    @property
    def scenes(self) -> pd.DataFrame:
        """One row per scene of the steps that the cube still has, and of sources without a time axis.

        Columns: ``number`` (what the variable ``scene`` holds; none without a time axis), ``step``, ``id``,
        ``collection``, ``datetime``, ``cloud_cover`` (percent), ``crs``, ``warped`` (read by nearest neighbour),
        ``assets`` (name to href without query).
        """
        from nutonic.cube.search import SCENES, _table

        table = _table(self._told(SCENES))
        if "time" not in self._cube.coords:
            return table
        times = np.atleast_1d(self._cube["time"].values)
        return table[table["step"].isna() | table["step"].isin(times)].reset_index(drop=True)

    @property
    def left_out(self) -> pd.DataFrame:
        """Scenes that were found and are not used, and why."""
        import pandas as pd

        from nutonic.cube.search import LEFT_OUT

        return pd.DataFrame(self._told(LEFT_OUT), columns=["id", "why"])

    def _told(self, name: str) -> list[Any]:
        import orjson

        rows: list[Any] = orjson.loads(self._cube.attrs.get(name, "[]"))
        return rows

    def __repr__(self) -> str:
        from nutonic.cube.search import _described

        if self.geobox is None:
            return "no pixels on a grid"
        return "\n".join(_described(self.geobox, self.scenes, self.left_out))


class NutonicBackend(BackendEntrypoint):
    """Saved cubes for xarray, as they were saved: ``xr.open_dataset(path, engine="nutonic", chunks={})``."""

    description = "Cubes that nutonic saved: whole numbers with their nodata, and cube.nutonic"
    open_dataset_parameters = ("filename_or_obj", "drop_variables")

    def open_dataset(self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None) -> xr.Dataset:
        """A cube lazily, not decoded to floats; xarray chunks it."""
        return xr.open_dataset(
            filename_or_obj, engine="zarr", chunks=None, mask_and_scale=False, drop_variables=drop_variables
        )

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Never: Zarr without an engine is opened as xarray does."""
        return False


def open_zarr(path: str | Path, *, chunks: Any = "auto") -> xr.Dataset:
    """Open a saved cube lazily, as it was saved: whole numbers that say their nodata in ``attrs``.

    ``xarray.open_zarr`` opens the same file with NaN for nodata; whatever takes a cube takes either.

    Parameters
    ----------
    path
        Of :func:`nutonic.save_cube`.
    chunks
        As of ``xarray.open_dataset``; by default the file's own tiles, None for none.

    Raises
    ------
    InputError
        If there is no Zarr group.
    """
    from nutonic.errors import InputError

    if not (Path(path) / "zarr.json").is_file():
        raise InputError(f"{path} is no saved cube: there is no zarr.json in it")
    return xr.open_dataset(path, engine=NutonicBackend, chunks={} if chunks == "auto" else chunks)
