"""The land cover of a mask: how much of each class there is, and where its patches lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from nutonic.core.classes import ClassTable
from nutonic.core.model import Region
from nutonic.recipe.outputs import Rows, Tiles


@dataclass(frozen=True, kw_only=True)
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

    @cached_property
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
        return self._by_class.get(class_id, ())

    @cached_property
    def _by_class(self) -> Mapping[int, tuple[Region, ...]]:
        found: dict[int, list[Region]] = {}
        for region in self.regions:
            found.setdefault(region.class_id, []).append(region)
        return {class_id: tuple(regions) for class_id, regions in found.items()}

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
    every = _every_region(mask)
    large = every.ranked(np.flatnonzero(every.areas >= min_region_pixels(rows.min_region_px, tiles)))
    patches, pieces = (np.bincount(of, minlength=256).tolist() for of in (every.classes[large], every.classes))
    return LandCover(
        table=table,
        shape=mask.shape,
        counts=counts,
        cells=_cells(mask, counts),
        patches={class_id: patches[class_id] for class_id in counts},
        pieces={class_id: pieces[class_id] for class_id in counts},
        regions=tuple(every.listed(large, table, rows.max_regions_per_class)),
        borders=_borders(mask, counts) if rows.vqa else {},
    )


def min_region_pixels(native: int, tiles: Tiles) -> int:
    """A threshold in native pixels, as one in mask pixels: ⌈px · (output_size / size)²⌉."""
    return -(-native * tiles.output_size**2 // tiles.size**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regions:
    """All regions of a mask, of every value: arrays with an entry for each, in the order of their first pixels."""

    classes: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray
    """(regions, 4): x1, y1, x2, y2, half-open."""

    def ranked(self, of: np.ndarray) -> np.ndarray:
        """Some of them, largest first; those of one size stay in their order."""
        return np.asarray(of[np.argsort(-self.areas[of], kind="stable")])

    def listed(self, ranked: np.ndarray, table: ClassTable, most: int) -> Iterator[Region]:
        """Those of classes that a table lists, so many of each at most."""
        left = dict.fromkeys(table.labels, most)
        facts = (each[ranked].tolist() for each in (self.classes, self.areas, self.boxes))
        for class_id, area, box in zip(*facts, strict=True):
            if left.get(class_id, 0):
                left[class_id] -= 1
                yield Region(label=table.labels[class_id], class_id=class_id, bbox=tuple(box), area_px=area)


def _every_region(mask: np.ndarray) -> _Regions:
    """The regions of a mask, 8-connected, of all values at once.

    Each row is a sequence of runs of one value. Runs that touch, also by their corners, and have one value are of one
    region: a graph of a few thousand runs in place of a picture that is looked through once for each class.
    """
    width = mask.shape[1]
    begins = np.ones(mask.shape, bool)
    np.not_equal(mask[:, 1:], mask[:, :-1], out=begins[:, 1:])
    first = np.flatnonzero(begins)
    row, left = np.divmod(first, width)
    right = left + np.diff(first, append=mask.size)
    value = mask.ravel()[first]
    region = _connected(begins, (row, left, right), value)
    order = np.argsort(region, kind="stable")
    starts = np.flatnonzero(np.diff(region[order], prepend=-1))
    leading = order[starts]  # of each region the run that holds its first pixel
    highs = [np.maximum.reduceat(edge[order], starts) for edge in (right, row)]
    boxes = np.stack([np.minimum.reduceat(left[order], starts), row[leading], highs[0], highs[1] + 1], axis=1)
    in_order = np.argsort(leading)
    areas = np.add.reduceat((right - left)[order], starts)
    return _Regions(classes=value[leading][in_order], areas=areas[in_order], boxes=boxes[in_order])


def _connected(begins: np.ndarray, runs: tuple[np.ndarray, np.ndarray, np.ndarray], value: np.ndarray) -> np.ndarray:
    """The number of each run's region, (runs,).

    Parameters
    ----------
    begins
        (height, width) bool: where a run begins.
    runs
        Row, first column and the column after the last of each.
    value
        Of each.
    """
    width, (row, left, right) = begins.shape[1], runs
    number = np.cumsum(begins.ravel()) - 1
    upper = np.flatnonzero(row < len(begins) - 1)
    below = (row[upper] + 1) * width
    low = number[below + np.maximum(left[upper] - 1, 0)]
    count = number[below + np.minimum(right[upper], width - 1)] + 1 - low
    above = np.repeat(upper, count)
    under = np.arange(len(above)) + np.repeat(low - np.cumsum(count) + count, count)
    joined = value[above] == value[under]
    above, under = above[joined], under[joined].astype(np.int32)
    ends = np.searchsorted(above, np.arange(len(row) + 1)).astype(np.int32)
    from scipy import sparse
    from scipy.sparse import csgraph

    graph = sparse.csr_array((np.ones(len(under)), under, ends), shape=(len(row),) * 2)
    return np.asarray(csgraph.connected_components(graph, directed=False)[1])


def cell_edges(n: int) -> tuple[int, ...]:
    """Where the 7 edges of 6 cells lie along an even number of pixels: the same from both ends, so that views agree."""
    first = [n * k // 6 for k in range(4)]
    return (*first, *(n - edge for edge in first[2::-1]))


def _cells(mask: np.ndarray, classes: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """The pixels of each class in each cell; see :class:`LandCover`."""
    if any(n % 2 for n in mask.shape):
        mask = mask.repeat(2, axis=0).repeat(2, axis=1)
    down, across = (np.repeat(np.arange(6), np.diff(cell_edges(n))) for n in mask.shape)
    codes = mask.astype(np.intp)
    codes *= 36
    codes += (6 * down)[:, None] + across
    counts = np.bincount(codes.ravel(), minlength=256 * 36).reshape(256, 36)
    return {class_id: tuple(counts[class_id].tolist()) for class_id in classes}


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
    padded = np.pad(held, 1)
    shifts = [(row, col) for row in range(3) for col in range(3)]
    near = [padded[row : row + held.shape[0], col : col + held.shape[1]] for row, col in shifts]
    return held, np.logical_or.reduce(near)
