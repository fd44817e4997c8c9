"""The cell of ground that a place lies in, by a name that datasets share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from nutonic.core.globe import WHOLE
from nutonic.core.grid import transformer, utm_epsg
from nutonic.errors import GridError, InputError, MissingExtra

#: Side of a UTM cell, in metres: a chip of 256 pixels of 10 m has this size.
CELL_M = 2560

#: Side of a cell of Major TOM's grid, and the radius of its globe, in kilometres.
_MAJOR_TOM_KM, _RADIUS_KM = 10.0, 6378.137

#: H3's resolution whose hexagons are nearest in size: 5.2 km² on average.
_H3_RESOLUTION = 7

#: Gives the name of the cell around a longitude and a latitude; None where there is none.
Cell = Callable[[float, float], "str | None"]


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


def cell_numbers(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """The cell of :func:`cell_of` as a number (int64) for each of many places, in degrees; -1 where there is none."""
    zones = np.fromiter((_zone(*at) for at in zip(lon.tolist(), lat.tolist(), strict=True)), np.int64, len(lon))
    codes = np.full(len(lon), -1, np.int64)
    for zone in np.unique(zones[zones > 0]).tolist():
        here = zones == zone
        east, north = transformer("EPSG:4326", f"EPSG:{zone}").transform(lon[here], lat[here])
        column, row = (np.floor(np.asarray(along) / CELL_M).astype(np.int64) for along in (east, north))
        codes[here] = (zone << 32) + ((column + (1 << 15)) << 16) + (row + (1 << 14))
    return codes


def _zone(lon: float, lat: float) -> int:
    try:
        return utm_epsg(lon, lat)
    except GridError:
        return -1


def major_tom_cell(lon: float, lat: float) -> str | None:
    """The cell of Major TOM's grid of 10 km, as its metadata calls it: rows from the equator, columns from Greenwich.

    Rows are of one height; each is divided into as many columns as keep them below 10 km at its lower edge. A place on an
    edge belongs to the cell below or west of it. Beyond 85° Major TOM has no cells.

    >>> major_tom_cell(12.5483537, 52.4820391)
    '584U_85R'
    """
    if not -85.0 <= lat <= 85.0:
        return None
    west, south, east, north = WHOLE
    height = (north - south) / math.ceil(math.pi * _RADIUS_KM / _MAJOR_TOM_KM)
    row = math.ceil(lat / height) - 1
    around = 2 * math.pi * _RADIUS_KM * math.cos(math.radians(row * height))
    columns = math.ceil(around / _MAJOR_TOM_KM)
    column = math.ceil(lon / ((east - west) / columns)) - 1
    if column < -(columns // 2):  # west of the first column: the last one reaches over 180°
        column += columns
    return f"{_counted(row, 'U', 'D')}_{_counted(column, 'R', 'L')}"


def _counted(number: int, up: str, down: str) -> str:
    return f"{number}{up}" if number >= 0 else f"{-number}{down}"


def h3_cell(lon: float, lat: float) -> str | None:
    """The hexagon of H3, resolution 7, around a place.

    Raises
    ------
    MissingExtra
        If ``h3`` is not installed.
    """
    try:
        import h3
    except ImportError:
        raise MissingExtra("cells of H3 need a package: pip install 'nutonic[h3]'") from None
    return str(h3.latlng_to_cell(lat, lon, _H3_RESOLUTION))


#: Ways to name cells.
CELLS: Mapping[str, Cell] = {"utm": cell_of, "major-tom": major_tom_cell, "h3": h3_cell}


#: Distributions that a way needs, besides what is always there.
_PACKAGES: Mapping[str, tuple[str, ...]] = {"h3": ("h3",)}


def packages_of(name: str) -> tuple[str, ...]:
    """Distributions that name cells in this way, besides what is always there."""
    return _PACKAGES.get(name, ())


def cell_namer(name: str) -> Cell:
    """What names cells; raises :class:`InputError` for a way that there is not, MissingExtra if it is not installed."""
    if name not in CELLS:
        raise InputError(f"{name!r:.60} is no way to name cells: there are {', '.join(CELLS)}")
    CELLS[name](0.0, 0.0)
    return CELLS[name]
