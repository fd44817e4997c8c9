"""What is true of a mask: counts, places and regions, as far as anything can be said of them in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import orjson

from nutonic.chips.regions import LandCover, cell_edges
from nutonic.core.model import Region
from nutonic.lazily import lazily
from nutonic.recipe.outputs import Rows
from nutonic.rows.positions import PLACES, SPREAD, Position, holds, is_spread, most_of, part_of, share

Values = Mapping[str, Any]

#: A box of more hundredths of the picture is the picture: nothing is learnt from it.
_LARGEST_BOX = 95


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A mask, as far as anything can be said of it."""

    cover: LandCover
    rows: Rows
    min_area: int
    """Mask pixels of the smallest region that counts as a patch."""
    side_m: float
    """Side of the picture on the ground, in metres."""
    picture: str = "satellite image"
    """What the picture is, in words."""
    still_m: float | None = None
    """Side on the ground of the overhead still in whose middle the picture lies, in metres; None where there is none."""
    prompt_values: Mapping[str, Values] = field(default_factory=dict)
    """What may be told of the picture beside its kind: claims such as ``"prompt.date"``, with their values."""

    @lazily
    def size(self) -> str:
        """The picture's size on the ground: in kilometres with one decimal, or in metres if it is less than one."""
        if self.side_m >= 1000:
            return f"{self.side_m / 1000:.1f} by {self.side_m / 1000:.1f} km"
        return f"{self.side_m:.0f} by {self.side_m:.0f} m"

    @lazily
    def always(self) -> Values:
        """What every sentence may say of the picture."""
        return {"picture": self.picture, "size": self.size}

    @property
    def pixels(self) -> int:
        """Of the whole mask."""
        return self.cover.shape[0] * self.cover.shape[1]

    @lazily
    def whole(self) -> bool:
        """Whether enough is labelled to speak of the whole image."""
        part, whole = fraction(self.rows.whole_image).as_integer_ratio()
        return self.cover.valid * whole >= part * self.pixels

    def count(self, class_id: int) -> int:
        """Pixels of a class, 0 where there is none."""
        return self.cover.counts.get(class_id, 0)

    @property
    def unlabelled(self) -> int:
        """Pixels that have no class, and may be of any."""
        return self.pixels - self.cover.valid

    def share(self, class_id: int) -> str:
        """A class's share of the image, as it is said: so that it holds whatever the unlabelled pixels are."""
        return share(self.count(class_id), self.pixels, self.rows.shares, self.unlabelled)

    def is_half(self, class_id: int) -> bool | None:
        """Whether a class has half of the image or more; None if the unlabelled pixels decide."""
        if 2 * self.count(class_id) >= self.pixels:
            return True
        return None if 2 * (self.count(class_id) + self.unlabelled) >= self.pixels else False

    def is_well_more(self, count: int, other: int) -> bool:
        """Whether a count exceeds another one by a tenth of the image, whatever the unlabelled pixels are."""
        return 10 * (count - other - self.unlabelled) >= self.pixels

    def lies(self, class_id: int, where: Position) -> bool:
        """Whether a class lies where it is said to."""
        cells = self.cover.cells.get(class_id)
        if cells is None:
            return False
        if where.place in PLACES:
            return holds(part_of(cells, where.place), sum(cells), where.mostly)
        nowhere = not holds(most_of(cells), sum(cells), mostly=True)
        return nowhere and is_spread(cells) == (where.place == SPREAD)

    def boxable(self, class_id: int | None = None) -> tuple[Region, ...]:
        """The regions that are worth a box, by the recipe's limits, largest first: of one class, or of all."""
        return self._boxable.get(class_id, ())

    @lazily
    def box_limits(self) -> Values:
        """What decides whether a region is worth a box, and how many are, as prompts write it."""
        rows = self.rows
        limits = {"count": rows.max_boxes, "fill": hundredths(rows.min_box_fill), "side": least_side(self)}
        return {**limits, "most": f"{_LARGEST_BOX}"}

    @lazily
    def _boxable(self) -> Mapping[int | None, tuple[Region, ...]]:
        """The regions worth a box, by class and of all."""
        found: dict[int | None, list[Region]] = {None: [*self._worth_a_box]}
        for region in self._worth_a_box:
            found.setdefault(region.class_id, []).append(region)
        return {class_id: tuple(regions[: self.rows.max_boxes]) for class_id, regions in found.items()}

    @lazily
    def _worth_a_box(self) -> tuple[Region, ...]:
        least, per = fraction(self.rows.min_box_fill).as_integer_ratio()

        def good(region: Region) -> bool:
            x1, y1, x2, y2 = region.bbox
            width, height = x2 - x1, y2 - y1
            if 100 * width * height > _LARGEST_BOX * self.pixels:
                return False
            return min(width, height) >= self.rows.min_box_px and region.area_px * per >= least * width * height

        return tuple(filter(good, self.cover.regions))

    def boxes_text(self, class_id: int | None = None) -> str:
        """The answer that lists the regions of :meth:`boxable`."""
        if class_id not in self._box_texts:  # it is written, and then read back
            boxes = ((region.label, region.bbox) for region in self.boxable(class_id))
            self._box_texts[class_id] = boxes_json(boxes, self.cover.shape)
        return self._box_texts[class_id]

    @lazily
    def _box_texts(self) -> dict[int | None, str]:
        return {}

    def vouches(self, class_id: int | None = None) -> bool:
        """Whether no region that is not listed could be among those of :meth:`boxable`."""
        boxed, cover = self.boxable(class_id), self.cover
        listed = {c: cover.regions_of(c) for c in cover.counts if class_id in (None, c)}
        cut = [regions[-1].area_px for c, regions in listed.items() if len(regions) < cover.large_regions[c]]
        if any(cover.pieces[c] > cover.large_regions[c] for c in listed) and self.min_area - 1 >= self._least_boxable:
            cut.append(self.min_area - 1)
        return not cut or (len(boxed) == self.rows.max_boxes and boxed[-1].area_px >= max(cut))

    @lazily
    def _least_boxable(self) -> int:
        """Pixels of the smallest region that is worth a box."""
        return -(-fraction(self.rows.min_box_fill) * self.rows.min_box_px**2 // 1)

    def is_plain(self, pixels: int) -> bool:
        """Whether so many pixels are enough to be asked for: a hundredth of the image."""
        return 100 * pixels >= self.pixels

    def lone(self, class_id: int) -> Region | None:
        """The region of a class that nobody would take for another.

        It is half as large again as the next, if there is one, and no less than a hundredth of the image.
        """
        first, *others = self.cover.regions_of(class_id) or (None,)
        if first is None or not self.is_plain(first.area_px):
            return None
        rest = others[0].area_px if others else self._largest_unlisted(class_id, first)
        return None if 2 * first.area_px < 3 * rest else first

    def _largest_unlisted(self, class_id: int, listed: Region) -> int:
        """Pixels that a region of a class can have at most that comes after the only one that is listed."""
        if self.cover.large_regions[class_id] > 1:
            return listed.area_px
        return self.min_area - 1 if self.cover.pieces[class_id] > 1 else 0

    def box(self, region: Region) -> tuple[float, ...]:
        """A region's box, as rows write it."""
        return normalised(region.bbox, self.cover.shape)


@lru_cache(maxsize=64)
def fraction(limit: float) -> Fraction:
    """A limit of a recipe, as it is written."""
    return Fraction(str(limit))


@lru_cache(maxsize=512)  # a box stands in several rows, and is read back in each
def normalised(box: tuple[int, ...], shape: tuple[int, int]) -> tuple[float, ...]:
    """A half-open pixel box divided by the chip's size, with 4 decimals."""
    (x1, y1, x2, y2), (height, width) = box, shape
    return round(x1 / width, 4), round(y1 / height, 4), round(x2 / width, 4), round(y2 / height, 4)


def boxes_json(regions: Iterable[tuple[str, Sequence[int]]], shape: tuple[int, int]) -> str:
    """The JSON text of an answer: labels, and half-open pixel boxes divided by the chip's size, with 4 decimals.

    Parameters
    ----------
    regions
        Labels and boxes ``(x1, y1, x2, y2)`` in pixels.
    shape
        Height and width of the chip, in pixels.
    """
    boxes = [{"label": label, "bbox": normalised(tuple(box), shape)} for label, box in regions]
    return orjson.dumps(boxes).decode()


@lru_cache(maxsize=16)
def hundredths(share: float) -> str:
    """A limit of a recipe in per cent, as prompts write it: 0.3 is 30."""
    return f"{float(100 * fraction(share)):g}"


def least_side(truth: Truth) -> str:
    """The least side of a box in per cent of the image, as prompts write it: rounded down, so that no box is below it."""
    tenths = 1000 * truth.rows.min_box_px // truth.cover.shape[1]
    return f"{tenths / 10:g}"


def patch_size(truth: Truth) -> tuple[str, str]:
    """The size that a patch has at least, as a number and its unit: the roundest that no smaller region reaches."""
    return _patch_size(truth.min_area, truth.side_m / truth.cover.shape[1])


@lru_cache(maxsize=16)
def _patch_size(min_area: int, pixel_m: float) -> tuple[str, str]:
    per_px = pixel_m**2
    low, high = (min_area - 1) * per_px, min_area * per_px
    unit, per = ("ha", 10_000.0) if high >= 1000 else ("m²", 1.0)
    for digits in range(-3, 6):
        step = 10.0**-digits
        number = step * int(high / per / step + 1e-9)
        if number * per > low:
            return f"{round(number, max(digits, 0)):g}", unit
    return f"{high / per:g}", unit


def in_zone(truth: Truth, zone: str) -> list[tuple[int, int]]:
    """Class ids with their pixels in a zone, the most common first, in the unit of cells."""
    held = ((c, part_of(cells, zone)) for c, cells in truth.cover.cells.items())
    return sorted(((c, n) for c, n in held if n), key=lambda each: (-each[1], each[0]))


#: The most classes that are told of a zone.
_IN_ZONE = 3


def told_of_zone(held: Sequence[tuple[int, int]]) -> list[int]:
    """Of the classes in a zone those that are told: the first two, and another one with a tenth of what is labelled."""
    total = sum(n for _, n in held)
    return [c for k, (c, n) in enumerate(held) if k < 2 or 10 * n >= total][:_IN_ZONE]


def zone_is_whole(truth: Truth, zone: str) -> bool:
    """Whether enough of a zone is labelled to speak of all of it."""
    return sum(n for _, n in in_zone(truth, zone)) >= fraction(truth.rows.whole_image) * zone_size(truth, zone)


def nearly_fills(truth: Truth, count: int, zone: str) -> bool:
    """Whether so much, in the unit of cells, is nine tenths of a zone, whatever its unlabelled pixels are."""
    return 10 * count >= 9 * zone_size(truth, zone)


def zone_size(truth: Truth, zone: str) -> int:
    """All of a zone, in the unit of cells."""
    scale = 2 if any(side % 2 for side in truth.cover.shape) else 1
    edges = [cell_edges(scale * side) for side in truth.cover.shape]
    high, wide = (at[span.stop] - at[span.start] for at, span in zip(edges, PLACES[zone], strict=True))
    return high * wide
