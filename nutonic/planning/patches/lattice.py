"""Lattices of patches on images' own grids, as columns, and which of them are taken.

Everything here is pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from nutonic.chips.scene.frame import Frame
from nutonic.core.globe import TURNS, around, outline_of, turned
from nutonic.core.grid import is_metric, lonlat_bounds, transformer, unlike_a_map
from nutonic.core.model import Scene
from nutonic.errors import GridError
from nutonic.recipe.patches import Patches
from nutonic.sources.grids import ROUNDING

#: Two patches share ground if they overlap by more than this part of one: less is rounding.
_SHARED = 1e-6

#: Lattices that are held at a time, to be compared with others: an image has a few hundred patches, and few neighbours.
_HELD = 256

#: Degrees by which boxes around images are drawn larger: an edge may bend by less between the points it is drawn by.
_BEND = 1e-5


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
    return patches_at(scene, size, row, col)


def patches_at(scene: Scene, size: int, rows: np.ndarray, cols: np.ndarray) -> Lattice:
    """The patches of an image that begin at these rows and columns (int64)."""
    asset = scene.lead
    a, _, c, _, e, f = asset.transform
    to_degrees = transformer(asset.crs, "EPSG:4326")
    x = c + a * (cols[:, None] + np.array([0, size, size, 0]))
    y = f + e * (rows[:, None] + np.array([0, 0, size, size]))
    lon, lat = (np.asarray(degrees) for degrees in to_degrees.transform(x, y))
    lon = around(lon, float(lon[0, 0])) if lon.size else lon
    centre = to_degrees.transform(c + a * (cols + size / 2), f + e * (rows + size / 2))
    quads = shapely.polygons(np.stack([lon, lat], -1)) if rows.size else np.empty(0, object)
    return Lattice(rows=rows, cols=cols, quads=quads, lon=np.asarray(centre[0]), lat=np.asarray(centre[1]))


def newest_first(scenes: Iterable[Scene]) -> list[Scene]:
    """Images in the order in which ground is taken: the newest first, of one time by id."""
    by_id = sorted(scenes, key=lambda scene: (scene.id, repr(scene.lead.transform)))
    return sorted(by_id, key=lambda scene: scene.datetime or "", reverse=True)


class Unlike(NamedTuple):
    """Why no patch is cut out of an image."""

    kind: str
    """What images have in common that are told of together."""
    words: str
    """What is wrong with this one, to be said after its name."""


def unlike(scene: Scene, patches: Patches) -> Unlike | None:
    """Why an image has no patches as they are asked for, by what is known before a pixel is read; None if it may have some.

    Its patches are squares of metres with north up, of the size that is asked for. How far metres of its map are off
    those on the ground differs from end to end, so that each corner is looked at.
    """
    asset, size = scene.lead, patches.size
    (a, b, c, d, e, f), (height, width) = asset.transform, asset.shape
    if not is_metric(asset.crs):
        return Unlike("units", f"is in {asset.crs:.60}, not in metres: take it to its UTM zone")
    if problem := unlike_a_map(Affine(a, b, c, d, e, f)):
        return Unlike("map", problem)
    if any(abs(abs(side) - patches.resolution_m) > ROUNDING * patches.resolution_m for side in (a, e)):
        side = f"pixels of {abs(a):g} m"
        return Unlike(side, f"has {side}, not of {patches.resolution_m:g} m: see patches.resolution_m")
    if min(height, width) < size:
        return Unlike("size", f"has {height} × {width} pixels, fewer than a patch's {size}: see patches.size")
    try:
        for row, col in {(row, col) for row in (0, height - size) for col in (0, width - size)}:
            Frame(GeoBox((size, size), Affine(a, b, c + col * a, d, e, f + row * e), asset.crs))
    except GridError as error:
        return Unlike("frame", str(error).removeprefix("the patch "))
    return None


def untouched(shapes: np.ndarray, lattices: Iterable[Lattice]) -> np.ndarray:
    """Whether no patch shares ground with each of some shapes, polygons in degrees (bool)."""
    tree, bare = shapely.STRtree(shapes), np.ones(len(shapes), bool)
    for lattice in lattices:
        for quads in turned(lattice.quads):
            bare[tree.query(quads, predicate="intersects")[1]] = False
    return bare


def drawn(scene: Scene, lattice: Lattice, fraction: float, seed: int) -> np.ndarray:
    """Whether each patch is drawn, by the hash of its image and its place in it (bool): the same whatever else is there."""
    if fraction >= 1.0:
        return np.ones(len(lattice), bool)
    keys = (f"{seed}/{scene.id}/{r}/{c}" for r, c in zip(lattice.rows.tolist(), lattice.cols.tolist(), strict=True))
    return np.fromiter((_share_of(key) < fraction for key in keys), bool, len(lattice))


def _share_of(key: str) -> float:
    """A text as a number in [0, 1)."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) / 2.0**64


def inside(lattice: Lattice, within: shapely.Geometry | None) -> Lattice:
    """The patches of a lattice that lie in an area, in degrees on any turn of the globe; all of them if there is none."""
    if within is None or not len(lattice):
        return lattice
    shapely.prepare(within)
    return lattice.take(np.any([shapely.covers(within, quads) for quads in turned(lattice.quads)], axis=0))


def taken_once(
    scenes: Sequence[Scene], lattice: Callable[[Scene], Lattice]
) -> Iterator[tuple[Scene, Lattice, np.ndarray]]:
    """Of each image, in order, its lattice, and which of its patches share no ground with patches of images before (bool).

    Patches of one lattice may overlap, as its stride has it. An image is held against its neighbours alone, and few
    lattices are held at a time: `lattice` may be asked for one again. Of each patch that it gave, a byte is kept.
    """
    made = lru_cache(maxsize=_HELD)(lambda k: lattice(scenes[k]))
    boxes = [_box_around(scene) for scene in scenes]
    tree, kept = shapely.STRtree(boxes), list[np.ndarray]()
    for i, (scene, box) in enumerate(zip(scenes, boxes, strict=True)):
        mine, free = made(i), np.ones(len(made(i)), bool)
        for turn, moved in zip(TURNS, turned(box), strict=True):
            for k in sorted(k for k in tree.query(moved, predicate="intersects").tolist() if k < i):
                (others,) = turned(made(k).quads[kept[k]], (-turn,))
                free &= ~_on_same_ground(mine.quads, others)
        kept.append(free)
        yield scene, mine, free


def _on_same_ground(quads: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether each of some patches shares ground with any of others (bool)."""
    shares = np.zeros(len(quads), bool)
    if len(quads) and len(others):
        mine, theirs = shapely.STRtree(others).query(quads, predicate="intersects")
        common = shapely.area(shapely.intersection(quads[mine], others[theirs]))
        shares[mine[common > _SHARED * shapely.area(quads[mine])]] = True
    return shares


def _box_around(scene: Scene) -> shapely.Geometry:
    """A box in degrees that holds an image; one that crosses 180° goes on beyond it."""
    asset = scene.lead
    whole = outline_of(lonlat_bounds(GeoBox(asset.shape, Affine(*asset.transform), asset.crs)))
    west, south, east, north = whole.bounds
    return shapely.box(west - _BEND, south - _BEND, east + _BEND, north + _BEND)
