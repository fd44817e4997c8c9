"""What of a mask lies in a quarter of the picture: questions that name a class ask for one, lest its name answers."""

from __future__ import annotations

from collections.abc import Iterable

from nutonic.rows.positions import ZONES, part_of
from nutonic.rows.truth import Truth, in_zone, zone_is_whole, zone_size

#: Counts in cells of what is not there.
_NONE = (0,) * 36

#: The quarters, of :data:`~nutonic.rows.positions.ZONES`.
QUARTERS = ZONES[:4]


class Quarter(dict[int, int]):
    """Class id to what it holds of a quarter, in the unit of cells."""

    size: int
    """All of it, in the same unit."""

    def well_most(self, classes: Iterable[int]) -> int | None:
        """The class that holds most, by a tenth of the quarter or more, whatever its unlabelled pixels are; None if none."""
        ranked = sorted(classes, key=lambda c: -self.get(c, 0))
        if not ranked:
            return None
        more, less = (self.get(c, 0) for c in (ranked[0], ranked[1] if len(ranked) > 1 else -1))
        unlabelled = self.size - sum(self.values())
        return ranked[0] if 10 * (more - less - unlabelled) >= self.size else None


def quarter(truth: Truth, zone: str) -> Quarter | None:
    """What a quarter holds; None if it is none, or too little of it is labelled."""
    if zone not in QUARTERS or not zone_is_whole(truth, zone):
        return None
    held = Quarter(in_zone(truth, zone))
    held.size = zone_size(truth, zone)
    return held


def keeps_away(truth: Truth, class_id: int, zone: str) -> bool:
    """Whether no pixel of a class is in a quarter, and the box of no patch within 1/28 of the side from it."""
    cover, (height, width) = truth.cover, truth.cover.shape
    patches = cover.regions_of(class_id)
    if part_of(cover.cells.get(class_id, _NONE), zone) or len(patches) < cover.large_regions.get(class_id, 0):
        return False
    boxes = [region.bbox for region in patches]
    down = [(y1, height) if "upper" in zone else (height - y2, height) for _, y1, _, y2 in boxes]
    across = [(x1, width) if "left" in zone else (width - x2, width) for x1, _, x2, _ in boxes]
    return all(max(28 * at - 15 * side for at, side in both) >= 0 for both in zip(down, across, strict=True))
