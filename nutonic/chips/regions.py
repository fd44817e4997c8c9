"""Masks to land cover: how much of each class there is, and where its patches lie."""

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
    """What a mask shows; every number that rows and sidecars give comes from here."""

    table: ClassTable
    shape: tuple[int, int]
    """Height and width of the mask."""
    counts: Mapping[int, int]
    """Class id to mask pixels, by id, classes that occur only."""
    cells: Mapping[int, tuple[int, ...]]
    """Class id to its pixels in each cell of a 6 × 6 grid over the mask, row-major: halves and thirds of it add up."""
    patches: Mapping[int, int]
    """Class id to its number of regions that are large enough, those beyond the limit of `regions` included."""
    regions: tuple[Region, ...]
    """Largest first, ties by first pixel in row-major order."""

    @property
    def valid(self) -> int:
        """Mask pixels that have a class."""
        return sum(self.counts.values())

    def fraction(self, class_id: int) -> float:
        """Share of the valid pixels, 0 to 1: the one share a class has, wherever it is told."""
        return self.counts[class_id] / self.valid

    def by_size(self) -> list[int]:
        """Class ids, most common first, ties by id."""
        return sorted(self.counts, key=lambda class_id: (-self.counts[class_id], class_id))

    def of(self, class_id: int) -> tuple[Region, ...]:
        """The regions of one class."""
        return tuple(region for region in self.regions if region.class_id == class_id)


def land_cover(mask: np.ndarray, table: ClassTable, rows: Rows, tiles: Tiles) -> LandCover:
    """Counts and regions of a mask (height, width) uint8 of class ids."""
    occurring = np.bincount(mask.ravel(), minlength=256)
    counts = {class_id: int(occurring[class_id]) for class_id in sorted(table.labels) if occurring[class_id]}
    least = min_region_pixels(rows.min_region_px, tiles)
    found = {class_id: _by_size(mask, class_id, table.labels[class_id], least) for class_id in counts}
    kept = [entry for ranked in found.values() for entry in ranked[: rows.max_regions_per_class]]
    return LandCover(
        table=table,
        shape=mask.shape,
        counts=counts,
        cells={class_id: _cells(mask == class_id) for class_id in counts},
        patches={class_id: len(ranked) for class_id, ranked in found.items()},
        regions=tuple(region for _, region in sorted(kept, key=lambda entry: entry[0])),
    )


def min_region_pixels(native: int, tiles: Tiles) -> int:
    """A threshold in native pixels as one in mask pixels: ⌈px · (output_size / size)²⌉."""
    return -(-native * tiles.output_size**2 // tiles.size**2)


Ranked = tuple[tuple[int, int, int], Region]


def _by_size(mask: np.ndarray, class_id: int, label: str, least: int) -> list[Ranked]:
    """The regions of a class with their rank: area (descending), row and column of the first pixel."""
    labelled, count = ndimage.label(mask == class_id, _EIGHT)
    areas = np.bincount(labelled.ravel(), minlength=count + 1)
    boxes = ndimage.find_objects(labelled)
    ranked = []
    for number in (np.flatnonzero(areas[1:] >= least) + 1).tolist():
        rows, cols = boxes[number - 1]
        first = cols.start + int((labelled[rows.start, cols] == number).argmax())
        area = int(areas[number])
        box = (cols.start, rows.start, cols.stop, rows.stop)
        ranked.append(((-area, rows.start, first), Region(label=label, class_id=class_id, bbox=box, area_px=area)))
    return sorted(ranked, key=lambda entry: entry[0])


def _cells(where: np.ndarray) -> tuple[int, ...]:
    edges = [[n * k // 6 for k in range(6)] for n in where.shape]
    sums = np.add.reduceat(np.add.reduceat(where, edges[0], axis=0, dtype=np.int64), edges[1], axis=1)
    return tuple(sums.ravel().tolist())
