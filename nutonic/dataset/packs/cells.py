"""The cell of ground that a place lies in, by a name that all datasets share."""

from __future__ import annotations

import math

from nutonic.core.grid import transformer, utm_epsg
from nutonic.errors import GridError

#: Side of a cell, in metres: that of Major TOM's patches and of EuroSAT's neighbours is of this order.
CELL_M = 2560


def cell_of(lon: float, lat: float) -> str | None:
    """The UTM cell of 2,560 m around a place: its zone, and how many cells it lies east and north of the zone's origin.

    Parameters
    ----------
    lon, lat
        In degrees, EPSG:4326.

    Returns
    -------
    str or None
        Such as ``33N_129_2272``; None beyond 80° S and 84° N, where UTM ends.

    >>> cell_of(12.5483537, 52.4820391)
    '33N_130_2272'
    """
    try:
        epsg = utm_epsg(lon, lat)
    except GridError:
        return None
    east, north = transformer("EPSG:4326", f"EPSG:{epsg}").transform(lon, lat)
    side = "N" if epsg < 32700 else "S"
    return f"{epsg % 100:02d}{side}_{math.floor(east / CELL_M)}_{math.floor(north / CELL_M)}"
