"""Groups of places by brute force: every square drawn in every zone, every pair compared."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import shapely
from pyproj import Transformer


@lru_cache(maxsize=512)
def transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def zone_of(lon: float) -> int:
    return int((lon + 180) // 6) % 60 + 1


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


def brute_groups(lon, lat, extent_m: float, ordinals=None) -> list[int]:
    """The promised grouping, pair by pair: squares of 1.12 times the side (tiny ones larger) in their standard zones.

    Within a zone they are compared as squares, across zones as polygons of degrees.
    """
    side, count = max(1.12 * extent_m, 1.1 * extent_m + 20), len(lon)
    ordinals = range(count) if ordinals is None else ordinals
    zones = [zone_of(value) for value in lon]
    points = [transformer("EPSG:4326", f"EPSG:{32600 + z}").transform(lon[i], lat[i]) for i, z in enumerate(zones)]

    def polygon(i: int) -> shapely.Polygon:
        (x, y), turns = points[i], ((-1, 1), (1, 1), (1, -1), (-1, -1))
        corners = [(x + a * side / 2, y + b * side / 2) for a, b in turns]
        ring = [transformer(f"EPSG:{32600 + zones[i]}", "EPSG:4326").transform(*corner) for corner in corners]
        return shapely.Polygon([((u - lon[0] + 180) % 360 - 180, v) for u, v in ring])

    def overlap(i: int, j: int) -> bool:
        if ordinals[i] == ordinals[j]:
            return True
        if zones[i] == zones[j]:
            return all(abs(a - b) < side for a, b in zip(points[i], points[j], strict=True))
        return bool(polygon(i).intersects(polygon(j)))

    return union_find(count, ((i, j) for i, j in combinations(range(count), 2) if overlap(i, j)))
