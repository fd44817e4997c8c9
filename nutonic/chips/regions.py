"""The land cover of a mask: how much of each class there is, and where its regions lie."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations

import numpy as np

from nutonic.core.classes import ClassTable
from nutonic.core.model import Region
from nutonic.lazily import lazily
from nutonic.recipe.outputs import Rows, Tiles


@dataclass(frozen=True, kw_only=True)
class LandCover:
    """What a mask shows: every number of it that rows and sidecars tell."""

    table: ClassTable
    shape: tuple[int, int]
    """Height and width of the mask."""
    counts: Mapping[int, int]
    """Class id to its number of mask pixels, in the order of ids; only classes that occur."""
    cells: Mapping[int, tuple[int, ...]]
    """Class id to its pixels in each cell of a 6 × 6 grid over the mask, row-major; halves and thirds are sums of cells. Of
    a mask with an odd side they are quarters of pixels, since its middle row and column belong to both halves."""
    large_regions: Mapping[int, int]
    """Class id to how many regions of it are large enough, with those that `regions` leaves out: what captions count, as
    patches, and sidecars too."""
    pieces: Mapping[int, int]
    """Class id to how many regions of it there are, down to single pixels."""
    regions: tuple[Region, ...]
    """Largest first, ties by the first pixel in row-major order; at most so many of each class as the recipe's rows say."""
    borders: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Two class ids, the smaller first, to the pixel edges at which they touch; 0 if they keep well apart. A pair that does
    neither is not listed, nor is any where it was not asked for."""
    view: str | None = None
    """How the mask was turned (``flip``, ``r90``, ``r180``, ``r270``) after all of this was counted; None if it was not."""

    @lazily
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

    @lazily
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
    runs = _runs(mask, cell_edges(mask.shape[1])[1:-1])
    occurring = np.bincount(runs.value, weights=runs.length, minlength=256)
    counts = {class_id: int(occurring[class_id]) for class_id in sorted(table.labels) if occurring[class_id]}
    every = _every_region(mask, runs)
    large = every.ranked(np.flatnonzero(every.areas >= min_region_pixels(rows.min_region_px, tiles)))
    large_regions, pieces = (np.bincount(of, minlength=256).tolist() for of in (every.classes[large], every.classes))
    return LandCover(
        table=table,
        shape=mask.shape,
        counts=counts,
        cells=_cells(mask, runs, counts),
        large_regions={class_id: large_regions[class_id] for class_id in counts},
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """A mask as runs of one value along its rows, row-major: a few thousand in place of all its pixels.

    A run ends at the edges of cells, too, or of other parts that the mask is counted by.
    """

    first: np.ndarray
    """Where each begins, as a position in the mask's pixels."""
    row: np.ndarray
    left: np.ndarray
    """Its first column."""
    length: np.ndarray
    value: np.ndarray


def _runs(mask: np.ndarray, cuts: Sequence[int]) -> _Runs:
    """The runs of a mask; each of the columns `cuts` begins one."""
    begins = np.ones(mask.shape, bool)
    np.not_equal(mask[:, 1:], mask[:, :-1], out=begins[:, 1:])
    begins[:, [cut for cut in cuts if cut < mask.shape[1]]] = True  # of a narrow mask, cells are empty
    first = np.flatnonzero(begins)
    row, left = np.divmod(first, mask.shape[1])
    length = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=length[:-1])
    length[-1:] = mask.size - first[-1:]
    return _Runs(first=first, row=row, left=left, length=length, value=mask.ravel()[first])


def _every_region(mask: np.ndarray, runs: _Runs) -> _Regions:
    """The regions of a mask, 8-connected, of all values at once: pixels that touch, also by their corners."""
    import cc3d

    # To cc3d 0 is no value; here it may be a class. Of 8 bits it takes half the time that it takes of 16.
    bits = np.dtype("u1" if runs.value.max(initial=0) < 255 else "u2")
    numbered = cc3d.connected_components(np.add(mask, 1, dtype=bits), connectivity=8)
    region = numbered.ravel()[runs.first]  # from 1, without a gap
    order = np.argsort(region, kind="stable")
    counts = np.bincount(region)[1:]
    ends = np.cumsum(counts)
    starts = ends - counts
    leading = order[starts]  # of each region the run that holds its first pixel
    left, right = (edge[order] for edge in (runs.left, runs.left + runs.length))
    sides = np.minimum.reduceat(left, starts), np.maximum.reduceat(right, starts)
    boxes = np.stack([sides[0], runs.row[leading], sides[1], runs.row[order[ends - 1]] + 1], axis=1)
    in_order = np.argsort(leading)
    areas = np.add.reduceat(runs.length[order], starts)
    return _Regions(classes=runs.value[leading][in_order], areas=areas[in_order], boxes=boxes[in_order])


def cell_edges(n: int) -> tuple[int, ...]:
    """Where the 7 edges of 6 cells lie along an even number of pixels: the same from both ends, so that views agree."""
    first = [n * k // 6 for k in range(4)]
    return (*first, *(n - edge for edge in first[2::-1]))


def _cells(mask: np.ndarray, runs: _Runs, classes: Collection[int]) -> dict[int, tuple[int, ...]]:
    """The pixels of each class in each cell; see :class:`LandCover`."""
    if any(n % 2 for n in mask.shape):
        mask = mask.repeat(2, axis=0).repeat(2, axis=1)
        runs = _runs(mask, cell_edges(mask.shape[1])[1:-1])
    down, across = map(_cell_of, mask.shape)
    codes = 36 * runs.value.astype(np.intp) + 6 * down[runs.row] + across[runs.left]
    ends = 36 * (1 + max(classes, default=0))
    counts = np.bincount(codes, weights=runs.length, minlength=ends)[:ends].astype(np.int64).reshape(-1, 36)
    return {class_id: tuple(counts[class_id].tolist()) for class_id in classes}


@lru_cache(maxsize=64)
def _cell_of(n: int) -> np.ndarray:
    """Which of 6 cells each of an even number of pixels lies in."""
    return np.repeat(np.arange(6), np.diff(cell_edges(n)))


#: Two classes are well apart if a square of this share of the side fits between them.
_APART = 28


def _borders(mask: np.ndarray, counts: Mapping[int, int]) -> dict[tuple[int, int], int]:
    """The pixel edges at which two classes touch; 0 for two that keep well apart, nothing for two that come near."""
    codes = []
    for one, other in ((mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])):
        at = np.flatnonzero(one != other)  # few are edges
        codes.append(256 * one.ravel()[at].astype(np.intp) + other.ravel()[at])
    edges = np.bincount(np.concatenate(codes), minlength=65536).reshape(256, 256)
    touching = {(a, b): int(edges[a, b] + edges[b, a]) for a, b in combinations(sorted(counts), 2)}
    if all(touching.values()):
        return touching
    held, near = _around(mask, sorted(counts))
    return {(a, b): n for (a, b), n in touching.items() if n or not (held[a] & near[b]).any()}


def _around(mask: np.ndarray, classes: Sequence[int]) -> tuple[Mapping[int, np.ndarray], Mapping[int, np.ndarray]]:
    """By class: which blocks of a mask hold it, and which of them or of their neighbours do."""
    edges = [sorted({n * k // _APART for k in range(_APART)}) for n in mask.shape]
    down, across = (
        np.repeat(np.arange(len(at)), np.diff(at, append=n)) for at, n in zip(edges, mask.shape, strict=True)
    )
    runs = _runs(mask, edges[1][1:])
    number = np.full(256, len(classes))  # what is of none of them is the last, and left out
    number[[*classes]] = range(len(classes))
    padded = np.zeros((len(classes) + 1, len(edges[0]) + 2, len(edges[1]) + 2), bool)
    padded[number[runs.value], down[runs.row] + 1, across[runs.left] + 1] = True
    wide = padded[:, :, :-2] | padded[:, :, 1:-1] | padded[:, :, 2:]
    near = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
    return dict(zip(classes, padded[:, 1:-1, 1:-1], strict=False)), dict(zip(classes, near, strict=False))
