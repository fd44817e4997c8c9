"""How many captions there are where: counts on a lattice of equal angles, as fine as the extent of a dataset lets it be.

A cell of level k is 180° / 2^k wide and high; four cells of a level make one of the level above. So counts begin fine, and
are added up four by four when there are too many: what comes out is the same in whatever order captions come.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from nutonic.core.globe import east_of
from nutonic.core.model import Json

#: The finest level: cells of about 610 m at the equator, which hold a few patches.
_FINEST = 15

#: No more cells are held while counting, and the lattice that comes out is no longer than so many cells on any side.
_MOST_CELLS, _MOST_SIDE = 4096, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """Captions by cell. Cells without any are left out."""

    level: int
    """Cells are 180° / 2^level wide and high."""
    west: int
    """The column with which the extent begins, from 180° west; it ends before it comes round to it again."""
    cells: tuple[tuple[int, int, int], ...]
    """Column, from `west` eastward, row, from 90° south, and captions; by row and column."""

    @property
    def side(self) -> float:
        """Of a cell, in degrees."""
        return math.ldexp(180.0, -self.level)

    def corner(self, column: int, row: int) -> tuple[float, float]:
        """The south-western corner of a cell: degrees east, beyond 180 where the extent reaches over it; degrees north."""
        return (self.west + column) * self.side - 180.0, row * self.side - 90.0

    def json(self) -> Json:
        """Side of a cell in degrees, and of each cell its south-western corner and its captions."""
        cells = []
        for column, row, count in self.cells:
            lon, lat = self.corner(column, row)
            cells.append([east_of(lon) if lon >= 180.0 else lon, lat, count])
        return {"cell_degrees": self.side, "cells": cells}


@dataclass(slots=True)
class DensityCounts:
    """Counts while they are made; memory does not grow with captions."""

    level: int = _FINEST
    cells: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, lon: float, lat: float, captions: int) -> None:
        """Count captions at a place, in degrees."""
        scale = 2**self.level / 180.0
        column = math.floor((lon + 180.0) * scale) % 2 ** (self.level + 1)
        row = min(math.floor((lat + 90.0) * scale), 2**self.level - 1)
        self.cells[column, row] += captions
        while len(self.cells) > _MOST_CELLS:
            self._coarsen()

    def _coarsen(self) -> None:
        coarser = Counter[tuple[int, int]]()
        for (column, row), count in self.cells.items():
            coarser[column // 2, row // 2] += count
        self.level, self.cells = self.level - 1, coarser

    def whole(self) -> Density:
        """All that was counted, on a lattice that its extent fits on; none of this is to be added to afterwards."""
        while self.level and max(self._extent()[1:]) > _MOST_SIDE:
            self._coarsen()
        west, _, _ = self._extent()
        around = 2 ** (self.level + 1)
        cells = sorted((row, (column - west) % around, count) for (column, row), count in self.cells.items())
        return Density(level=self.level, west=west, cells=tuple((column, row, count) for row, column, count in cells))

    def _extent(self) -> tuple[int, int, int]:
        """The column that the extent begins with, and how many columns and rows it has: all but the widest gap."""
        if not self.cells:
            return 0, 0, 0
        around = 2 ** (self.level + 1)
        columns = sorted({column for column, _ in self.cells})
        before = [columns[-1] - around, *columns[:-1]]
        gap, west = max((column - last, -column) for last, column in zip(before, columns, strict=True))
        rows = [row for _, row in self.cells]
        return -west, around - gap + 1, max(rows) - min(rows) + 1
