"""Where squares lie: around each place on the pixels of every scene that it may be built from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nutonic.core.grid import corners, standard_zone, transformer
from nutonic.core.model import Scene
from nutonic.planning.places.columns import Places
from nutonic.planning.scenes import SceneTable
from nutonic.recipe.outputs import Grid
from nutonic.sources.grids import ROUNDING

#: Northings of a southern zone are those of its northern half and this: the two halves are one map.
_SOUTH = 10_000_000.0


class _Lattice(NamedTuple):
    """The pixels that squares are snapped to."""

    crs: str
    pixel: float
    """Side in metres; 0 where squares are not snapped."""
    origin: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Squares:
    """Squares in columns, one or more a place; all columns have the same length."""

    side: float
    """In metres of their CRS."""
    names: tuple[str, ...]
    """The CRSs; of UTM zones the northern half, with northings below 0 in the southern one."""
    count: int
    """How many places there are."""
    place: np.ndarray
    """Position of each one's place, int64."""
    crs: np.ndarray
    """Position of each one's CRS among `names`, int64."""
    x: np.ndarray
    """Of their centres, metres, float64."""
    y: np.ndarray
    lon: np.ndarray
    """Of their places, degrees: within a pixel of their centres."""
    lat: np.ndarray


def squares_of(places: Places, grid: Grid, imagery: SceneTable | None = None) -> Squares:
    """The squares around places that a build may cut, snapped as it snaps them.

    Parameters
    ----------
    places
        The places.
    grid
        The recipe's: the squares' size, and what they are snapped to.
    imagery
        The scenes of each place; it has a square for each CRS and lattice of these. Without them, and where a place has
        none, it is the square in the place's standard UTM zone.
    """
    return _squares(places, grid.extent_m, imagery, lambda scene: _lattice(scene, grid), grid.resolution_m)


def patch_squares(places: Places, side_m: float, imagery: SceneTable) -> Squares:
    """Patches as squares: their centres are those of whole pixels of their image already, so that they lie where they do."""
    return _squares(places, side_m, imagery, lambda scene: _Lattice(scene.lead.crs, 0.0, (0.0, 0.0)), 0.0)


def _lattice(scene: Scene, grid: Grid) -> _Lattice:
    a, _, c, _, _, f = scene.lead.transform
    pixel = grid.resolution_m
    if grid.lattice == "ten_metre":
        return _Lattice(scene.lead.crs, pixel, (0.0, 0.0))
    return _Lattice(scene.lead.crs, a if abs(a - pixel) <= ROUNDING * pixel else pixel, (c, f))


def _squares(
    places: Places, side: float, table: SceneTable | None, lattice_of: Callable[[Scene], _Lattice], pixel: float
) -> Squares:
    """The squares around places; those that no scene gives have pixels of this side, in their standard zones."""
    numbers = dict[_Lattice, int]()
    pairs, bare = list[tuple[np.ndarray, np.ndarray]](), np.arange(len(places))
    if table is not None:
        of_value = [{numbers.setdefault(lattice_of(scene), len(numbers)) for scene in some} for some in table.values]
        pairs.append(_pairs(table.numbers, [sorted(some) for some in of_value]))
        bare = np.flatnonzero(table.empty())
    zones = standard_zone(places.lon[bare], places.lat[bare])
    for zone in np.unique(zones).tolist():
        number = numbers.setdefault(_Lattice(f"EPSG:{zone}", pixel, (0.0, 0.0)), len(numbers))
        here = bare[zones == zone]
        pairs.append((here, np.full(len(here), number)))
    place, lattice = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return _drawn(places, side, list(numbers), place, lattice)


def _pairs(numbers: np.ndarray, of_value: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Each place beside each lattice of its value, as two columns."""
    many = np.array([len(some) for some in of_value], np.int64)
    flat = np.array([lattice for some in of_value for lattice in some], np.int64)
    each, first = many[numbers], (np.cumsum(many) - many)[numbers]
    place = np.repeat(np.arange(len(numbers)), each)
    nth = np.arange(len(place)) - np.repeat(np.cumsum(each) - each, each)
    return place, flat[np.repeat(first, each) + nth]


def _drawn(
    places: Places, side: float, lattices: Sequence[_Lattice], place: np.ndarray, lattice: np.ndarray
) -> Squares:
    """The square of each place on each of its lattices; none where a lattice's map cannot show the place."""
    order = np.argsort(lattice, kind="stable")
    place, lattice = place[order], lattice[order]
    lon, lat = places.lon[place], places.lat[place]
    x, y, crs, names = np.empty(len(place)), np.empty(len(place)), np.empty(len(place), np.int64), dict[str, int]()
    ends = np.searchsorted(lattice, np.arange(len(lattices) + 1)).tolist()
    for (name, pixel, origin), first, end in zip(lattices, ends[:-1], ends[1:], strict=True):
        here, (name, south) = slice(first, end), _northern(name)
        crs[here] = names.setdefault(name, len(names))
        x[here], y[here] = transformer("EPSG:4326", name).transform(lon[here], lat[here])
        if pixel:
            extent = round(side / pixel) * pixel
            left, top = corners(x[here], y[here] + south, extent, pixel, origin)
            x[here], y[here] = left + extent / 2, top - extent / 2 - south
    seen = np.isfinite(x) & np.isfinite(y)
    columns = (column[seen] for column in (place, crs, x, y, lon, lat))
    return Squares(side, tuple(names), len(places), *columns)


def _northern(crs: str) -> tuple[str, float]:
    """A UTM zone's northern half, and what its own northings are more than those; any other CRS as it is."""
    number = crs.removeprefix("EPSG:")
    southern = number.isdigit() and 32701 <= int(number) <= 32760
    return (f"EPSG:{int(number) - 100}", _SOUTH) if southern else (crs, 0.0)
