"""What a source of pixels is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from nutonic.core.model import Band, Scene, Timeline
from nutonic.core.times import Interval


@runtime_checkable
class Source(Protocol):
    """Pixels that can be searched for, and opened on any grid.

    Laws, proved by one contract test over all sources:

    - coordinates of what `open` returns equal the grid's pixel centres, bit for bit;
    - ``open(grid, scenes).isel(window) ≡ open(grid[window], scenes)``, coordinates and pixels, bit for bit;
    - dims are ``(y, x)``, one variable per band in the band's dtype, chunked as asked;
    - nothing is read before ``compute``, and constructors do no I/O at all;
    - a source pickles, and so does what `search` returns.
    """

    @property
    def bands(self) -> tuple[Band, ...]:
        """The variables that `open` returns, in order."""
        ...

    def search(
        self, lon: np.ndarray, lat: np.ndarray, extent_m: float, time: Interval | None
    ) -> list[tuple[Scene, ...]]:
        """The scenes for a square of `extent_m` around each place, best first; metadata only, one search for all.

        An empty tuple means that nothing serves the place.
        """
        ...

    def timeline(self, grid: GeoBox, time: Interval | None) -> Timeline:
        """Everything over a grid in this time: steps in order, or one without a time; metadata only."""
        ...

    def open(self, grid: GeoBox, scenes: Sequence[Scene], *, chunks: int | None = 1024) -> xr.Dataset:
        """A lazy dataset on exactly this grid, in square chunks of this side.

        With ``chunks=None`` variables are lazily indexed where the source can: slice them first, then chunk them, and
        no more is read than the slice.
        """
        ...


@runtime_checkable
class TimedSource(Source, Protocol):
    """A source with a time axis. The laws hold for its cubes as for what it opens."""

    def cube(
        self, grid: GeoBox, time: np.ndarray, steps: Sequence[Sequence[Scene]], *, chunk: int = 1024
    ) -> xr.Dataset:
        """A lazy dataset with dims ``(time, y, x)`` on exactly this grid, one step a chunk; no scenes mean nodata."""
        ...
