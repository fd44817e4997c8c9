"""The land cover of a mask: how much of each class there is, and where its patches lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from scipy import ndimage

from nutonic.core.classes import ClassTable
from nutonic.core.model import Region
from nutonic.recipe.outputs import Rows, Tiles

_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class LandCover:
    """What a mask shows. Every number in rows and sidecars comes from here."""

    table: ClassTable
    shape: tuple[int, int]
    """Height and width of the mask."""
    counts: Mapping[int, int]
    """Class id to its number of mask pixels, in the order of ids; only classes that occur."""
    cells: Mapping[int, tuple[int, ...]]
    """Class id to its pixels in each cell of a 6 × 6 grid over the mask, row-major; halves and thirds are sums of cells. Of
    a mask with an odd side they are quarters of pixels, since its middle row and column belong to both halves."""
    patches: Mapping[int, int]
    """Class id to how many regions of it are large enough, with those that `regions` leaves out."""
    pieces: Mapping[int, int]
    """Class id to how many regions of it there are, down to single pixels."""
    regions: tuple[Region, ...]
    """Largest first, ties by the first pixel in row-major order; at most so many of each class as the recipe's rows say."""
    borders: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Two class ids, the smaller first, to the pixel edges at which they touch; 0 if they keep well apart. A pair that does
    neither is not listed, nor is any where it was not asked for."""
    view: str | None = None
    """How the mask was turned (``flip``, ``r90``, ``r180``, ``r270``) after all of this was counted; None if it was not."""

    @property
    def valid(self) -> int:
        """Mask pixels that have a class."""
        return sum(self.counts.values())

    def fraction(self, class_id: int) -> float:
        """A class's share of the valid pixels, 0 to 1; rows, sidecars and captions all give this one."""
        return self.counts[class_id] / self.valid

    def by_size(self) -> list[int]:
        """Class ids, the most common first, ties by id."""
        return sorted(self.counts, key=lambda class_id: (-self.counts[class_id], class_id))

    def regions_of(self, class_id: int) -> tuple[Region, ...]:
        """The regions of one class."""
        return tuple(region for region in self.regions if region.class_id == class_id)

    def seen(self, view: str) -> LandCover:
        """The same land cover mirrored left to right (``flip``) or turned counter-clockwise: moved, not counted again.

        Regions keep their order.
        """
        height, _ = self.shape
        return replace(
            self,
            cells={class_id: turned_cells(cells, view) for class_id, cells in self.cells.items()},
            regions=tuple(replace(region, bbox=turned_box(region.bbox, view, height)) for region in self.regions),
            view=view,
        )


#: Each view, and the one that undoes it.
UNDOES = {"flip": "flip", "r90": "r270", "r180": "r180", "r270": "r90"}


def turned(array: np.ndarray, view: str) -> np.ndarray:
    """An array whose first two axes are rows and columns, as a view shows it."""
    return np.ascontiguousarray(np.fliplr(array) if view == "flip" else np.rot90(array, k=int(view[1:]) // 90))


def turned_cells(cells: tuple[int, ...], view: str) -> tuple[int, ...]:
    """The 36 counts of a 6 × 6 grid, as a view shows them."""
    return tuple(turned(np.array(cells).reshape(6, 6), view).ravel().tolist())


def turned_box(box: tuple[int, int, int, int], view: str, side: int) -> tuple[int, int, int, int]:
    """A box (x1, y1, x2, y2) on a square picture of `side` pixels, as a view shows it."""
    x1, y1, x2, y2 = box
    if view == "flip":
        return side - x2, y1, side - x1, y2
    for _ in range(int(view[1:]) // 90):
        x1, y1, x2, y2 = y1, side - x2, y2, side - x1
    return x1, y1, x2, y2


def land_cover(mask: np.ndarray, table: ClassTable, rows: Rows, tiles: Tiles) -> LandCover:
    """Count and outline the classes of a mask.

    Parameters
    ----------
    mask
        (height, width) uint8 class ids; values that the table does not list have no class.
    table
        What the ids mean.
    rows, tiles
        How large a region is at least, and how many of each class are listed.
    """
    occurring = np.bincount(mask.ravel(), minlength=256)
    counts = {class_id: int(occurring[class_id]) for class_id in sorted(table.labels) if occurring[class_id]}
    min_area = min_region_pixels(rows.min_region_px, tiles)
    by_class, pieces = dict[int, list[RankedRegion]](), dict[int, int]()
    for class_id in counts:
        by_class[class_id], pieces[class_id] = _ranked_regions(mask, class_id, table.labels[class_id], min_area)
    largest = [entry for class_regions in by_class.values() for entry in class_regions[: rows.max_regions_per_class]]
    return LandCover(
        table=table,
        shape=mask.shape,
        counts=counts,
        cells={class_id: _cells(mask == class_id) for class_id in counts},
        patches={class_id: len(class_regions) for class_id, class_regions in by_class.items()},
        pieces=pieces,
        regions=tuple(region for _, region in sorted(largest, key=lambda entry: entry[0])),
        borders=_borders(mask, counts) if rows.vqa else {},
    )


def min_region_pixels(native: int, tiles: Tiles) -> int:
    """A threshold in native pixels, as one in mask pixels: ⌈px · (output_size / size)²⌉."""
    return -(-native * tiles.output_size**2 // tiles.size**2)


RankedRegion = tuple[tuple[int, int, int], Region]


def _ranked_regions(mask: np.ndarray, class_id: int, label: str, min_area: int) -> tuple[list[RankedRegion], int]:
    """The regions of a class that are large enough, and the number of all.

    Each comes with its rank: area (descending), then row and column of its first pixel.
    """
    labelled, count = ndimage.label(mask == class_id, _EIGHT)
    areas = np.bincount(labelled.ravel(), minlength=count + 1)
    boxes = ndimage.find_objects(labelled)
    ranked = []
    for number in (np.flatnonzero(areas[1:] >= min_area) + 1).tolist():
        rows, cols = boxes[number - 1]
        first = cols.start + int((labelled[rows.start, cols] == number).argmax())
        area = int(areas[number])
        box = (cols.start, rows.start, cols.stop, rows.stop)
        ranked.append(((-area, rows.start, first), Region(label=label, class_id=class_id, bbox=box, area_px=area)))
    return sorted(ranked, key=lambda entry: entry[0]), int(count)


def cell_edges(n: int) -> tuple[int, ...]:
    """Where the 7 edges of 6 cells lie along an even number of pixels: the same from both ends, so that views agree."""
    first = [n * k // 6 for k in range(4)]
    return (*first, *(n - edge for edge in first[2::-1]))


def _cells(class_mask: np.ndarray) -> tuple[int, ...]:
    if any(n % 2 for n in class_mask.shape):
        class_mask = class_mask.repeat(2, axis=0).repeat(2, axis=1)
    edges = [cell_edges(n)[:6] for n in class_mask.shape]
    sums = np.add.reduceat(np.add.reduceat(class_mask, edges[0], axis=0, dtype=np.int64), edges[1], axis=1)
    return tuple(sums.ravel().tolist())


#: Two classes are well apart if a square of this share of the side fits between them.
_APART = 28


def _borders(mask: np.ndarray, counts: Mapping[int, int]) -> dict[tuple[int, int], int]:
    """The pixel edges at which two classes touch; 0 for two that keep well apart, nothing for two that come near."""
    sides = [(mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])]
    codes = np.concatenate([(np.minimum(a, b).astype(np.int64) * 256 + np.maximum(a, b)).ravel() for a, b in sides])
    edges = np.bincount(codes, minlength=65536)
    near = {class_id: _around(mask == class_id) for class_id in counts}
    touching = {(a, b): int(edges[256 * a + b]) for a, b in combinations(sorted(counts), 2)}
    return {(a, b): n for (a, b), n in touching.items() if n or not (near[a][0] & near[b][1]).any()}


def _around(class_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which blocks of a mask hold a class, and which of them or of their neighbours do."""
    edges = [sorted({n * k // _APART for k in range(_APART)}) for n in class_mask.shape]
    held = np.logical_or.reduceat(np.logical_or.reduceat(class_mask, edges[0], axis=0), edges[1], axis=1)
    return held, ndimage.binary_dilation(held, _EIGHT)
