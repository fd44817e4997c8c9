"""Land cover in words. Every number comes from the counts that sidecars and boxes are made of.

Sentences are built so that a class name fits in the singular and in the plural: "24% of the image is trees", not "trees
cover 24%".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from nutonic.chips.regions import LandCover


def caption(cover: LandCover, side_m: float, picture: str = "satellite image") -> str:
    """What a tile shows, in words: its size, its classes by share and where they lie, and how much of it is labelled.

    Parameters
    ----------
    cover
        The land cover of the tile's mask.
    side_m
        Side of the tile on the ground, in metres.
    picture
        What the picture is, such as ``"aerial photograph"``.

    Returns
    -------
    str
        A few sentences. Only a class that holds at least half of the labelled pixels is said to dominate.
    """
    first, *smaller = cover.by_size()
    opening = f"{'An' if picture[0] in 'aeiou' else 'A'} {picture} of {_size(side_m)}"
    if not smaller:
        return f"{opening}, entirely {cover.table.labels[first]}{_labelled_extent(cover)}."
    largest = f"{cover.table.labels[first]} ({_share(cover, first)}), {position(cover, first)}"
    if 2 * cover.counts[first] >= cover.valid:
        sentences = [f"{opening}, dominated by {largest}."]
    else:
        sentences = [f"{opening} of mixed land cover. Most of all it shows {largest}."]
    return " ".join([*sentences, *_other_classes(cover, smaller), *_unlabelled(cover)])


def _size(side_m: float) -> str:
    """The size of a square: in kilometres with one decimal, or in metres if it is less than a kilometre."""
    if side_m >= 1000:
        return f"{side_m / 1000:.1f} by {side_m / 1000:.1f} km"
    return f"{side_m:.0f} by {side_m:.0f} m"


def _other_classes(cover: LandCover, classes: Sequence[int]) -> list[str]:
    """The next two classes with their positions, the others by their shares alone."""
    with_positions = [f"{cover.table.labels[c]} ({_share(cover, c)}), {position(cover, c)}" for c in classes[:2]]
    shares = [f"{cover.table.labels[c]} ({_share(cover, c)})" for c in classes[2:]]
    sentences = [f"Further classes: {'; '.join(with_positions)}."]
    return [*sentences, f"Smaller parts: {', '.join(shares)}."] if shares else sentences


def _unlabelled(cover: LandCover) -> list[str]:
    total = cover.shape[0] * cover.shape[1]
    if cover.valid == total:
        return []
    return [f"Shares are of the labelled part, {percent(cover.valid, total)} of the image."]


def _labelled_extent(cover: LandCover) -> str:
    total = cover.shape[0] * cover.shape[1]
    return "" if cover.valid == total else f" as far as it is labelled, {percent(cover.valid, total)} of the image"


def class_caption(cover: LandCover, class_id: int) -> str:
    """What a tile shows of one class: its share, its position, how many patches it has, and how large the largest is."""
    extent = "the image" if cover.valid == cover.shape[0] * cover.shape[1] else "the labelled part of the image"
    share, name = _share(cover, class_id), cover.table.labels[class_id]
    text = f"{share[0].upper()}{share[1:]} of {extent} is {name}, {position(cover, class_id)}"
    patches, count = cover.regions_of(class_id), cover.patches[class_id]
    if not patches:
        return f"{text}, in scattered pixels too small to outline."
    if count == 1 and patches[0].area_px == cover.counts[class_id]:
        return f"{text}, in one piece."
    largest = percent(patches[0].area_px, cover.counts[class_id])
    if count == 1:
        return f"{text}; one patch holds {largest} of it."
    return f"{text}, in {count} patches; the largest holds {largest} of it."


def position(cover: LandCover, class_id: int) -> str:
    """Where in the image most of a class lies, such as "along the top".

    It is the first of :data:`PLACES` that holds nine tenths of the class's pixels, else the first that holds two thirds
    of them ("mostly"). If no place does, the class is "spread across the image" where at least seven of the image's nine
    parts hold a twentieth of its pixels each, and otherwise "in several parts of the image".
    """
    return _position(cover.cells[class_id])


@lru_cache(maxsize=256)  # a class is spoken of in several texts
def _position(of_class: tuple[int, ...]) -> str:
    cells = np.array(of_class).reshape(6, 6)
    total = int(cells.sum())
    for word, tenths in (("", 27), ("mostly ", 20)):
        for name, rows, cols in PLACES:
            if 30 * int(cells[rows, cols].sum()) >= tenths * total:
                return f"{word}{name}"
    ninths = cells.reshape(3, 2, 3, 2).sum(axis=(1, 3))
    return "spread across the image" if (20 * ninths >= total).sum() >= 7 else "in several parts of the image"


_FIRST, _MIDDLE, _LAST, _ALL = slice(0, 2), slice(2, 4), slice(4, 6), slice(0, 6)
_LOW, _HIGH, _INNER = slice(0, 3), slice(3, 6), slice(1, 5)

#: Parts of the image as rows and columns of the 6 × 6 grid, the smaller before the larger.
PLACES = (
    ("in the upper left corner", _FIRST, _FIRST),
    ("at the top", _FIRST, _MIDDLE),
    ("in the upper right corner", _FIRST, _LAST),
    ("on the left", _MIDDLE, _FIRST),
    ("in the centre", _MIDDLE, _MIDDLE),
    ("on the right", _MIDDLE, _LAST),
    ("in the lower left corner", _LAST, _FIRST),
    ("at the bottom", _LAST, _MIDDLE),
    ("in the lower right corner", _LAST, _LAST),
    ("in the upper left quarter", _LOW, _LOW),
    ("in the upper right quarter", _LOW, _HIGH),
    ("in the lower left quarter", _HIGH, _LOW),
    ("in the lower right quarter", _HIGH, _HIGH),
    ("along the top", _FIRST, _ALL),
    ("along the bottom", _LAST, _ALL),
    ("along the left side", _ALL, _FIRST),
    ("along the right side", _ALL, _LAST),
    ("in a band across the middle", _MIDDLE, _ALL),
    ("in a band down the middle", _ALL, _MIDDLE),
    ("around the centre", _INNER, _INNER),
    ("in the upper half", _LOW, _ALL),
    ("in the lower half", _HIGH, _ALL),
    ("in the left half", _ALL, _LOW),
    ("in the right half", _ALL, _HIGH),
)


def percent(part: int, whole: int) -> str:
    """A share in whole per cent, halves rounded up.

    Something is never 0%, less than all is never 100%, and less than half is never 50%.
    """
    rounded = (200 * part + whole) // (2 * whole)
    if rounded == 0 and part:
        return "under 1%"
    if rounded == 100 and part < whole:
        return "over 99%"
    return "just under 50%" if rounded == 50 and 2 * part < whole else f"{rounded}%"


def _share(cover: LandCover, class_id: int) -> str:
    return percent(cover.counts[class_id], cover.valid)
