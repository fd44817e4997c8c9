"""Lattices of patches on images' own grids, as columns, and which of them are taken.

Everything here is pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from nutonic.core.globe import around
from nutonic.core.grid import transformer
from nutonic.core.model import Scene

#: Two patches share ground if they overlap by more than this part of one: less is rounding.
_SHARED = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """The patches of one image, row by row."""

    rows: np.ndarray
    """First row of each in its image, int64."""
    cols: np.ndarray
    """First column, int64."""
    quads: np.ndarray
    """Their outlines in degrees, shapely polygons; across 180° longitudes go on beyond it."""
    lon: np.ndarray
    """Of their centres, degrees, float64."""
    lat: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, keep: np.ndarray) -> Lattice:
        """The patches for which `keep`, bool, is true."""
        return Lattice(
            rows=self.rows[keep], cols=self.cols[keep], quads=self.quads[keep], lon=self.lon[keep], lat=self.lat[keep]
        )


def lattice_of(scene: Scene, size: int, stride: int) -> Lattice:
    """All full patches of an image, from its first pixel on; what is left over at its right and lower edge is in none."""
    asset = scene.lead
    height, width = asset.shape
    rows = np.arange(0, height - size + 1, stride, dtype=np.int64)
    cols = np.arange(0, width - size + 1, stride, dtype=np.int64)
    row, col = (grid.ravel() for grid in np.meshgrid(rows, cols, indexing="ij"))
    a, _, c, _, e, f = asset.transform
    to_degrees = transformer(asset.crs, "EPSG:4326")
    x = c + a * (col[:, None] + np.array([0, size, size, 0]))
    y = f + e * (row[:, None] + np.array([0, 0, size, size]))
    lon, lat = (np.asarray(degrees) for degrees in to_degrees.transform(x, y))
    lon = around(lon, float(lon[0, 0])) if lon.size else lon
    centre = to_degrees.transform(c + a * (col + size / 2), f + e * (row + size / 2))
    quads = shapely.polygons(np.stack([lon, lat], -1)) if row.size else np.empty(0, object)
    return Lattice(rows=row, cols=col, quads=quads, lon=np.asarray(centre[0]), lat=np.asarray(centre[1]))


def drawn(scene: Scene, lattice: Lattice, fraction: float, seed: int) -> np.ndarray:
    """Whether each patch is drawn, by the hash of its image and its place in it (bool): the same whatever else is there."""
    if fraction >= 1.0:
        return np.ones(len(lattice), bool)
    keys = (f"{seed}/{scene.id}/{r}/{c}" for r, c in zip(lattice.rows.tolist(), lattice.cols.tolist(), strict=True))
    return np.fromiter((_share_of(key) < fraction for key in keys), bool, len(lattice))


def _share_of(key: str) -> float:
    """A text as a number in [0, 1)."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) / 2.0**64


def taken_once(lattices: Sequence[Lattice]) -> Iterator[np.ndarray]:
    """Of each lattice, in order, which patches lie on ground that no patch kept before lies on (bool).

    Patches of one lattice may overlap, as its stride has it. Images are compared by the boxes around their patches, so that
    each is held against its neighbours alone.
    """
    boxes = [shapely.box(*shapely.total_bounds(lattice.quads)) if len(lattice) else None for lattice in lattices]
    kept: list[np.ndarray] = []
    tree = shapely.STRtree([box if box is not None else shapely.Polygon() for box in boxes])
    for i, (lattice, box) in enumerate(zip(lattices, boxes, strict=True)):
        free = np.ones(len(lattice), bool)
        before = sorted(k for k in (tree.query(box).tolist() if box is not None else ()) if k < i)
        others = [lattices[k].quads[kept[k]] for k in before]
        if len(lattice) and sum(map(len, others)):
            quads = np.concatenate(others)
            mine, theirs = shapely.STRtree(quads).query(lattice.quads, predicate="intersects")
            common = shapely.area(shapely.intersection(lattice.quads[mine], quads[theirs]))
            free[mine[common > _SHARED * shapely.area(lattice.quads[mine])]] = False
        kept.append(free)
        yield free
