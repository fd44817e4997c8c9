"""The land cover of a mask: how much of each class there is, and where its patches lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """Class id to its pixels in each cell of a 6 × 6 grid over the mask, row-major; halves and thirds are sums of cells."""
    patches: Mapping[int, int]
    """Class id to how many regions of it are large enough, with those that `regions` leaves out."""
    regions: tuple[Region, ...]
    """Largest first, ties by the first pixel in row-major order; at most so many of each class as the recipe's rows say."""

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
    by_class = {class_id: _ranked_regions(mask, class_id, table.labels[class_id], min_area) for class_id in counts}
    largest = [entry for class_regions in by_class.values() for entry in class_regions[: rows.max_regions_per_class]]
    return LandCover(
        table=table,
        shape=mask.shape,
        counts=counts,
        cells={class_id: _cells(mask == class_id) for class_id in counts},
        patches={class_id: len(class_regions) for class_id, class_regions in by_class.items()},
        regions=tuple(region for _, region in sorted(largest, key=lambda entry: entry[0])),
    )


def min_region_pixels(native: int, tiles: Tiles) -> int:
    """A threshold in native pixels, as one in mask pixels: ⌈px · (output_size / size)²⌉."""
    return -(-native * tiles.output_size**2 // tiles.size**2)


RankedRegion = tuple[tuple[int, int, int], Region]


def _ranked_regions(mask: np.ndarray, class_id: int, label: str, min_area: int) -> list[RankedRegion]:
    """The regions of a class, each with its rank: area (descending), then row and column of its first pixel."""
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
    return sorted(ranked, key=lambda entry: entry[0])


def _cells(class_mask: np.ndarray) -> tuple[int, ...]:
    edges = [[n * k // 6 for k in range(6)] for n in class_mask.shape]
    sums = np.add.reduceat(np.add.reduceat(class_mask, edges[0], axis=0, dtype=np.int64), edges[1], axis=1)
    return tuple(sums.ravel().tolist())
