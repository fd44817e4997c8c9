"""Land cover in words. Every number is the same count that sidecars and boxes are made of."""

from __future__ import annotations

from collections.abc import Sequence

from nutonic.regions import LandCover

_CELLS = (
    *("the upper left", "the top", "the upper right"),
    *("the left", "the centre", "the right"),
    *("the lower left", "the bottom", "the lower right"),
)
_BANDS = (
    ("the upper third", (0, 1, 2)),
    ("the middle, from left to right", (3, 4, 5)),
    ("the lower third", (6, 7, 8)),
    ("the left third", (0, 3, 6)),
    ("the middle, from top to bottom", (1, 4, 7)),
    ("the right third", (2, 5, 8)),
)


def caption(cover: LandCover, side_m: float) -> str:
    """What a tile shows: its size, its classes by share and where they lie, and how much is unlabelled.

    "Dominated by" is said only of a class that holds half of the labelled pixels or more.
    """
    first, *rest = cover.by_size()
    name, share = cover.table.labels[first], percent(cover.counts[first], cover.valid)
    side = f"{side_m / 1000:.1f}"
    opening = f"A satellite image of {side} by {side} km"
    if not rest:
        sentences = [f"{opening}, entirely {name}{_where_labelled(cover)}."]
    elif 2 * cover.counts[first] >= cover.valid:
        sentences = [f"{opening}, dominated by {name} ({share}), {where(cover, first)}."]
    else:
        sentences = [f"{opening} of mixed land cover, with {name} the largest part ({share}), {where(cover, first)}."]
    return " ".join([*sentences, *_the_rest(cover, rest), *_unlabelled(cover)])


def _the_rest(cover: LandCover, classes: Sequence[int]) -> list[str]:
    """The next two classes with their places, the others by share alone."""
    told = [f"{cover.table.labels[c]} ({_share(cover, c)}), {where(cover, c)}" for c in classes[:2]]
    more = [f"{cover.table.labels[c]} ({_share(cover, c)})" for c in classes[2:]]
    sentences = [f"There is also {_joined(told, '; and ')}."] if told else []
    return [*sentences, f"Smaller parts are {_joined(more)}."] if more else sentences


def _unlabelled(cover: LandCover) -> list[str]:
    missing = cover.shape[0] * cover.shape[1] - cover.valid
    if not missing or len(cover.counts) == 1:
        return []
    return [
        f"Shares are of the labelled part; {percent(missing, cover.shape[0] * cover.shape[1])} of the image has no label."
    ]


def _where_labelled(cover: LandCover) -> str:
    total = cover.shape[0] * cover.shape[1]
    return "" if cover.valid == total else f" as far as it is labelled ({percent(cover.valid, total)} of the image)"


def class_caption(cover: LandCover, class_id: int) -> str:
    """What a tile shows of one class: its share, where it lies, in how many patches, and the largest of them."""
    name = cover.table.labels[class_id]
    text = (
        f"{name[0].upper()}{name[1:]} makes up {_share(cover, class_id)} of the labelled area, {where(cover, class_id)}"
    )
    patches = cover.of(class_id)
    if not patches:
        return f"{text}, in scattered pixels too small to outline."
    largest = percent(patches[0].area_px, cover.valid)
    if len(patches) == 1:
        return f"{text}. Its one sizeable patch makes up {largest}."
    return f"{text}. It forms {len(patches)} sizeable patches; the largest makes up {largest}."


def where(cover: LandCover, class_id: int) -> str:
    """Where most of a class lies in the image: a ninth of it with half, or a third with two thirds, of its pixels."""
    cells = cover.cells[class_id]
    total = sum(cells)
    best = max(range(9), key=lambda k: (cells[k], -k))
    if 2 * cells[best] >= total:
        return f"mostly in {_CELLS[best]}"
    name, held = max(((name, sum(cells[k] for k in band)) for name, band in _BANDS), key=lambda entry: entry[1])
    return f"mostly in {name}" if 3 * held >= 2 * total else "spread across the image"


def percent(part: int, whole: int) -> str:
    """A share in whole per cent, halves up; never 0% of something nor 100% of less than all."""
    rounded = (200 * part + whole) // (2 * whole)
    if rounded == 0 and part:
        return "under 1%"
    if rounded == 100 and part < whole:
        return "over 99%"
    return f"{rounded}%"


def _share(cover: LandCover, class_id: int) -> str:
    return percent(cover.counts[class_id], cover.valid)


def _joined(parts: Sequence[str], last: str = " and ") -> str:
    return last.join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
