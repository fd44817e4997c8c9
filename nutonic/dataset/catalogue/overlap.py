"""Which chips of a dataset lie on ground that another catalogue holds: a benchmark's test set, or what was trained on.

Both are read in blocks, so that neither has to fit into memory: every block of chips meets every block of the other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely

from nutonic.core.model import Json
from nutonic.core.showing import ShortRepr
from nutonic.dataset.catalogue.cells import cell_numbers
from nutonic.dataset.catalogue.entries import footprint_of
from nutonic.dataset.catalogue.geoparquet import Outlines, outlines_in
from nutonic.errors import InputError
from nutonic.io.buckets.address import Address, any_path_of

#: Chips that are held at once, and rows of the other catalogue: some 50 MB each.
_BLOCK = 50_000

#: Of a chip's ground, as much as two neighbours may share by rounding.
_TOUCHING = 1e-6

By = Literal["footprint", "cell", "either"]

#: Where a pack has its catalogue.
_CHIPS = "chips.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A chip on ground that the other catalogue holds."""

    id: str
    split: str
    share: float
    """The largest share of the chip's ground that one footprint of the other catalogue covers, 0 to 1; 0 of a point."""
    footprints: int
    """Footprints of the other catalogue that lie on the chip's ground."""
    in_cell: int
    """Footprints of the other catalogue whose middle lies in the chip's cell, of 2,560 m in its UTM zone."""
    other: str
    """One of them: the one that covers most, or the first in the cell."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Overlap(ShortRepr):
    """What of a dataset lies on ground that another catalogue holds."""

    chips: int
    """Chips of the dataset."""
    others: int
    """Footprints of the other catalogue."""
    without: int
    """Rows of the other catalogue that have no geometry, and were left out."""
    by: By
    shared: tuple[Shared, ...]
    """In the order of the dataset."""

    def _facts(self) -> Json:
        return {"chips": self.chips, "others": self.others, "by": self.by, "shared": len(self.shared)}

    @property
    def by_split(self) -> dict[str, int]:
        """Chips on shared ground, by split."""
        splits = [one.split for one in self.shared]
        return {split: splits.count(split) for split in dict.fromkeys(splits)}

    def json(self) -> Json:
        """As one JSON object."""
        counts = {"chips": self.chips, "others": self.others, "without": self.without, "by": self.by}
        return {**counts, "by_split": self.by_split, "shared": [asdict(one) for one in self.shared]}


def overlap(dataset: str | Path | Address, other: str | Path, *, by: By = "either") -> Overlap:
    """The chips of a dataset that lie on ground that another catalogue holds.

    Parameters
    ----------
    dataset
        A tree that :func:`nutonic.build` made, or its address in an object store; or a catalogue of chips: a GeoParquet
        file, or a pack that has one.
    other
        A GeoParquet file in degrees, whoever wrote it: a catalogue of chips, or a benchmark's footprints or points.
    by
        What counts: ``footprint``, ground in common; ``cell``, a footprint of the other catalogue whose middle lies in the
        same UTM cell of 2,560 m as the chip's; ``either`` of them.

    Returns
    -------
    Overlap
        The chips, with how much of each is shared. Neighbours that only touch share nothing.

    Raises
    ------
    InputError
        If a file is no GeoParquet, has no geometry, or is in another CRS than degrees.
    NotNutonic, Corrupt
        As of :func:`nutonic.open_dataset`.
    """
    if by not in ("footprint", "cell", "either"):
        raise InputError(f"by is {by!r:.60}: write footprint, cell or either")
    chips, shared, others, without = 0, list[Shared](), 0, 0
    for block in _blocks(_chips_of(any_path_of(dataset))):
        chips += len(block)
        found, others, without = _met(block, outlines_in(Path(other), _BLOCK))
        shared += (one for one in found.shared(block) if _counts(one, by))
    if not chips:
        raise InputError(f"{dataset} has no chips to compare")
    return Overlap(chips=chips, others=others, without=without, by=by, shared=tuple(shared))


def _counts(one: Shared, by: By) -> bool:
    return (by != "cell" and one.footprints > 0) or (by != "footprint" and one.in_cell > 0)


@dataclass(frozen=True, slots=True)
class _Chip:
    """What is held of a chip."""

    id: str
    split: str
    lon: float
    lat: float
    outline: Any


def _chips_of(path: Path | Address) -> Iterator[_Chip]:
    """The chips of a tree or of a catalogue, in order."""
    if isinstance(path, Path):
        file = path / _CHIPS if (path / _CHIPS).is_file() else path
        if file.is_file():
            yield from _in_catalogue(file)
            return
    from nutonic.dataset.packs.patches import outlines_of_patches
    from nutonic.dataset.reading import open_dataset

    patches = outlines_of_patches(path)
    if patches is not None:
        yield from (_Chip(*one) for one in patches)
        return
    for chip, _ in open_dataset(path).chips.counted():
        sidecar = chip.sidecar
        yield _Chip(chip.id, chip.split, sidecar["longitude"], sidecar["latitude"], footprint_of(sidecar))


def _in_catalogue(file: Path) -> Iterator[_Chip]:
    for rows in outlines_in(file, _BLOCK):
        lon, lat = rows.middles
        for k, outline in enumerate(rows.outlines):
            yield _Chip(rows.ids[k], rows.splits[k], float(lon[k]), float(lat[k]), outline)


def _blocks(chips: Iterable[_Chip]) -> Iterator[list[_Chip]]:
    rest = iter(chips)
    while block := list(islice(rest, _BLOCK)):
        yield block


class _Found:
    """What was found for the chips of a block."""

    def __init__(self, count: int) -> None:
        self.share = np.zeros(count)
        self.footprints, self.in_cell = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.best, self.first = [""] * count, [""] * count

    def add_footprints(self, mine: np.ndarray, shares: np.ndarray, ids: list[str]) -> None:
        """Pairs of a chip and of a footprint on its ground."""
        np.add.at(self.footprints, mine, 1)
        for k, share, name in zip(mine.tolist(), shares.tolist(), ids, strict=True):
            if not self.best[k] or share > self.share[k]:
                self.share[k], self.best[k] = share, name

    def add_cells(self, mine: np.ndarray, counts: np.ndarray, ids: list[str]) -> None:
        """Chips with how many footprints have their middle in the cell, and one of those."""
        self.in_cell[mine] += counts
        for k, name in zip(mine.tolist(), ids, strict=True):
            self.first[k] = self.first[k] or name

    def shared(self, block: list[_Chip]) -> Iterator[Shared]:
        """The chips for which there is anything."""
        for k in np.flatnonzero((self.footprints > 0) | (self.in_cell > 0)).tolist():
            yield Shared(
                id=block[k].id,
                split=block[k].split,
                share=round(min(1.0, float(self.share[k])), 6),
                footprints=int(self.footprints[k]),
                in_cell=int(self.in_cell[k]),
                other=self.best[k] or self.first[k],
            )


def _met(block: list[_Chip], others: Iterable[Outlines]) -> tuple[_Found, int, int]:
    """What a block of chips has in common with a catalogue; how many footprints that has, and rows without one."""
    outlines = np.array([chip.outline for chip in block], object)
    areas, tree = shapely.area(outlines), shapely.STRtree(outlines)
    cells = cell_numbers(np.array([chip.lon for chip in block]), np.array([chip.lat for chip in block]))
    found, count, without = _Found(len(block)), 0, 0
    for rows in others:
        count, without = count + len(rows.ids), without + rows.without
        theirs, mine = tree.query(rows.outlines, predicate="intersects")
        both = shapely.area(shapely.intersection(outlines[mine], rows.outlines[theirs]))
        flat = shapely.area(rows.outlines[theirs]) == 0
        inside = ~shapely.touches(outlines[mine], rows.outlines[theirs])
        on = np.where(flat, inside, both > _TOUCHING * areas[mine])
        shares = both[on] / np.maximum(areas[mine][on], 1e-300)
        found.add_footprints(mine[on], shares, [rows.ids[k] for k in theirs[on].tolist()])
        _meet_in_cells(found, cells, rows)
    return found, count, without


def _meet_in_cells(found: _Found, cells: np.ndarray, rows: Outlines) -> None:
    unique, first, counts = np.unique(cell_numbers(*rows.middles), return_index=True, return_counts=True)
    if not len(unique):
        return
    at = np.minimum(np.searchsorted(unique, cells), len(unique) - 1)
    mine = np.flatnonzero((unique[at] == cells) & (cells >= 0))
    found.add_cells(mine, counts[at[mine]], [rows.ids[k] for k in first[at[mine]].tolist()])
