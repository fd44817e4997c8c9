"""Groups of places by exact geometry: every square drawn with points along its edges, every pair compared on the ground."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import shapely
from pyproj import Transformer


@lru_cache(maxsize=512)
def transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def zone_of(lon: float) -> int:
    return int((lon + 180) // 6) % 60 + 1


def standard(lon: float, lat: float) -> str:
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone_of(lon)}"


def union_find(count: int, pairs) -> list[int]:
    """The smallest member of each one's component."""
    root = list(range(count))

    def find(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    for i, j in pairs:
        a, b = sorted((find(i), find(j)))
        root[b] = a
    return [find(i) for i in range(count)]


_CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)], float)

#: Points along each edge, so that a line that is straight in one projection stays where it is in another.
_STEPS = 24

#: Metres that squares are made narrower by on all sides: those that meet after the first overlap by less than a
#: millimetre or two, if at all, those that do after the second by more than four centimetres.
_TOUCH, _DEEP = 0.001, 0.02


def ground(lon, lat, crs, extent_m: float, target: str, *, pixel: float = 10, origin=(0.0, 0.0)) -> np.ndarray:
    """The squares of places as a build cuts them on a lattice, as polygons of another CRS; `crs` is of each."""
    crs, polygons = np.array(crs), np.empty(len(lon), object)
    ring = np.concatenate([np.linspace(a, b, _STEPS, endpoint=False) for a, b in pairwise(_CORNERS)])
    for name in np.unique(crs):
        here = np.flatnonzero(crs == name)
        x, y = transformer("EPSG:4326", str(name)).transform(np.asarray(lon)[here], np.asarray(lat)[here])
        left = origin[0] + pixel * np.floor((np.asarray(x) - extent_m / 2 - origin[0]) / pixel + 0.5)
        top = origin[1] + pixel * np.floor((np.asarray(y) + extent_m / 2 - origin[1]) / pixel + 0.5)
        edge_x, edge_y = left[:, None] + ring[:, 0] * extent_m, top[:, None] - ring[:, 1] * extent_m
        drawn = transformer(str(name), "EPSG:4326").transform(edge_x, edge_y)
        polygons[here] = shapely.polygons(np.stack(transformer("EPSG:4326", target).transform(*drawn), -1))
    return polygons


def shared_ground(owner, polygons: np.ndarray, narrower: float) -> set[tuple[int, int]]:
    """Pairs of places of which squares share ground, made narrower by so many metres on each side."""
    inner, owner = shapely.buffer(polygons, -narrower, join_style="mitre"), np.asarray(owner)
    a, b = shapely.STRtree(inner).query(inner, predicate="intersects")
    apart = owner[a] < owner[b]
    return set(zip(owner[a[apart]].tolist(), owner[b[apart]].tolist(), strict=True))


def brute_groups(lon, lat, extent_m: float, ordinals=None, zones=None, **lattice) -> list[int]:
    """The promised grouping, by the squares of each place in each of its `zones` (its standard one by default).

    Fails where the overlap of two squares by a centimetre or so decides.
    """
    count = len(lon)
    zones = [[standard(*where)] for where in zip(lon, lat, strict=True)] if zones is None else zones
    owner = [i for i in range(count) for _ in zones[i]]
    target = f"+proj=laea +lon_0={lon[0]} +lat_0={lat[0]} +ellps=WGS84"
    names = [name for some in zones for name in some]
    polygons = ground(np.asarray(lon)[owner], np.asarray(lat)[owner], names, extent_m, target, **lattice)
    rows = range(count) if ordinals is None else list(ordinals)
    first = {row: i for i, row in reversed(list(enumerate(rows)))}
    same = [(first[row], i) for i, row in enumerate(rows)]
    found = [union_find(count, [*same, *shared_ground(owner, polygons, by)]) for by in (_TOUCH, _DEEP)]
    assert found[0] == found[1], "a centimetre decides"
    return found[0]
