"""Where a class lies in an image, as a text tells it: checked against what the regions leave possible.

A sidecar counts the pixels of a class and boxes its patches, but not where each pixel lies. So what a caption says of a
position does not follow from it. Two things do: which positions the boxes rule out, and that all texts of a tile agree.
The words themselves are made by :mod:`nutonic.rows.captions` again, of pixels that lie where the text puts them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from nutonic.chips.regions import LandCover
from nutonic.core.classes import ClassTable
from nutonic.rows import captions

Cells = tuple[int, ...]

#: Words for a class that no part of the image holds most of.
_NOWHERE = ("spread across the image", "in several parts of the image")


@cache
def cells_by_position() -> dict[str, Cells]:
    """For each thing that can be said of a position, pixels in the 6 × 6 cells of which it is said."""
    found: dict[str, Cells] = {}
    for cells in _patterns():
        cover = LandCover(
            table=_TABLE, shape=(6, 6), counts={1: sum(cells)}, cells={1: cells}, patches={1: 0}, regions=()
        )
        found.setdefault(captions.position(cover, 1), cells)
    return found


_TABLE = ClassTable(name="", labels={1: ""}, unknown=0, colors={})


def _patterns() -> list[Cells]:
    """All in one part of the image, or seven tenths of it; everywhere; and in two corners."""
    patterns = [np.ones((6, 6), int)]
    for _, rows, cols in captions.PLACES:
        inside = np.zeros((6, 6), bool)
        inside[rows, cols] = True
        count, outside = int(inside.sum()), int((~inside).sum())
        patterns += [inside.astype(int), np.where(inside, 7 * outside, 3 * count)]
    corners = np.zeros((6, 6), int)
    corners[0, 0] = corners[5, 5] = 1
    return [tuple(pattern.ravel().tolist()) for pattern in [*patterns, corners]]


@cache
def _told() -> re.Pattern[str]:
    words = sorted(cells_by_position(), key=len, reverse=True)
    return re.compile(rf", ({'|'.join(map(re.escape, words))})(?=[,;.])")


def positions_in(text: str, labels: Sequence[str]) -> list[str]:
    """What a text says of positions, in its order; names of classes are not read."""
    for label in labels:
        text = text.replace(label, "—") if ", " in label else text
    return _told().findall(text)


def patches_in(text: str) -> int | None:
    """How many patches a text tells of, if it does."""
    found = re.search(r", in ([0-9]{1,9}) patches; ", text)
    return int(found[1]) if found else None


def impossible(cover: LandCover, told: Mapping[int, str]) -> int | None:
    """The first class that cannot lie where it is said to, by the boxes of its regions; None if all can."""
    return next((class_id for class_id, words in told.items() if not _possible(cover, class_id, words)), None)


def _possible(cover: LandCover, class_id: int, words: str) -> bool:
    """Whether a part of the image can hold as much of a class as is said, and no part before it must.

    A part holds nine tenths of the class, or is said "mostly" to hold it, with two thirds.
    """
    least, most = _held(cover, class_id)
    total, names = cover.counts[class_id], [name for name, _, _ in captions.PLACES]
    if words in _NOWHERE:
        return not (30 * least >= 20 * total).any()
    mostly = words.startswith("mostly ")
    at = names.index(words.removeprefix("mostly "))
    tenths = 20 if mostly else 27
    if 30 * most[at] < tenths * total or (30 * least[:at] >= tenths * total).any():
        return False
    return not mostly or not (30 * least >= 27 * total).any()


def _held(cover: LandCover, class_id: int) -> tuple[np.ndarray, np.ndarray]:
    """The fewest and the most pixels of a class that each part of the image can hold."""
    regions = cover.regions_of(class_id)
    boxes = np.array([region.bbox for region in regions], np.int64).reshape(-1, 4)
    areas = np.array([region.area_px for region in regions], np.int64)
    parts = _parts(cover.shape)
    low = np.maximum(boxes[:, None, :2], parts[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], parts[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    scattered = cover.counts[class_id] - int(areas.sum())
    least = np.clip(areas[:, None] - (whole[:, None] - common), 0, None).sum(axis=0)
    most = np.minimum(areas[:, None], common).sum(axis=0) + scattered
    return least, most


@cache
def _parts(shape: tuple[int, int]) -> np.ndarray:
    """x1, y1, x2, y2 of each part of the image, in pixels."""
    ys, xs = ([n * k // 6 for k in range(7)] for n in shape)
    boxes = [(xs[cols.start], ys[rows.start], xs[cols.stop], ys[rows.stop]) for _, rows, cols in captions.PLACES]
    return np.array(boxes, np.int64)
