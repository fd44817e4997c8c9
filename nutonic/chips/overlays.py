"""Pictures of boxes on chips, for people: twice the chip's size, with names at the boxes and a legend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nutonic.core.classes import ClassTable, ink_on
from nutonic.core.model import Region

#: Lines of classes of one colour, one after the other: pixels drawn, pixels left out.
_DASHES = ((1, 0), (9, 5), (3, 4), (14, 4))

_SCALE, _LINE, _FONT, _PAD, _ENTRY = 2, 2, 12, 3, 18

_Style = tuple[str, tuple[int, int]]


def overlay(rgb: np.ndarray, regions: Sequence[Region], table: ClassTable) -> np.ndarray:
    """A chip at twice its size with boxes drawn on it.

    Parameters
    ----------
    rgb
        (height, width, 3) uint8.
    regions
        What is boxed, in pixels of the chip; the first is drawn last, so that it lies on top.
    table
        Decides the colour and the line of each class, whatever else is drawn.

    Returns
    -------
    numpy.ndarray
        (2 · height + legend, 2 · width, 3) uint8; no legend without regions.
    """
    height, width = rgb.shape[:2]
    classes = [class_id for class_id in table.labels if any(region.class_id == class_id for region in regions)]
    looks = styles(table)
    legend = _legend({table.labels[class_id]: looks[class_id] for class_id in classes}, _SCALE * width)
    picture = Image.new("RGB", (_SCALE * width, _SCALE * height + legend.height), "black")
    picture.paste(Image.fromarray(rgb).resize((_SCALE * width, _SCALE * height), Image.Resampling.NEAREST))
    picture.paste(legend, (0, _SCALE * height))
    draw, taken = ImageDraw.Draw(picture), list[tuple[float, float, float, float]]()
    for region in reversed(regions):
        _box(draw, region, *looks[region.class_id])
    for region in regions:
        _name(draw, region, looks[region.class_id][0], (_SCALE * width, _SCALE * height), taken)
    return np.asarray(picture)


def styles(table: ClassTable) -> dict[int, _Style]:
    """The colour of each class and its dashes, by which it is told from those before it that have the same colour."""
    seen, found = Counter[str](), dict[int, _Style]()
    for class_id in table.labels:
        colour = table.color(class_id)
        found[class_id] = colour, _DASHES[seen[colour.upper()] % len(_DASHES)]
        seen[colour.upper()] += 1
    return found


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_FONT)


def _box(draw: ImageDraw.ImageDraw, region: Region, colour: str, dashes: tuple[int, int]) -> None:
    """A box just inside the region's, with a dark line beside it, or a light one, so that it is seen on anything."""
    x1, y1, x2, y2 = (_SCALE * edge for edge in region.bbox)
    draw.rectangle((x1, y1, x2 - 1, y2 - 1), outline=ink_on(colour), width=_LINE + 1)
    drawn, left_out = dashes
    for start in range(0, max(x2 - x1, y2 - y1), drawn + left_out if left_out else 10**6):
        stop = start + drawn if left_out else 10**6
        for y, x in ((y1, None), (y2 - _LINE, None), (None, x1), (None, x2 - _LINE)):
            if y is not None and x1 + start < x2:
                draw.rectangle((x1 + start, y, min(x1 + stop, x2) - 1, y + _LINE - 1), fill=colour)
            if x is not None and y1 + start < y2:
                draw.rectangle((x, y1 + start, x + _LINE - 1, min(y1 + stop, y2) - 1), fill=colour)


def _name(
    draw: ImageDraw.ImageDraw,
    region: Region,
    colour: str,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """The name of a class at its box: in the first corner where it covers no other name, or nowhere."""
    x1, y1, x2, y2 = (_SCALE * edge for edge in region.bbox)
    wide, high = draw.textlength(region.label, font=_font()) + 2 * _PAD, _FONT + _PAD
    for y, x in product((y1, y2 - high, y1 - high, y2), (x1, x2 - wide)):
        left = min(max(x, 0), size[0] - wide)
        spot = (left, min(max(y, 0), size[1] - high), left + wide, min(max(y, 0), size[1] - high) + high)
        if not any(spot[0] < t[2] and t[0] < spot[2] and spot[1] < t[3] and t[1] < spot[3] for t in taken):
            taken.append(spot)
            draw.rectangle(spot, fill=colour)
            draw.text((spot[0] + _PAD, spot[1]), region.label, fill=ink_on(colour), font=_font())
            return


def _legend(classes: Mapping[str, _Style], width: int) -> Image.Image:
    """Colour, line and name of each class, as many beside each other as fit."""
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    at, row, places = 0.0, 0, list[tuple[float, int]]()
    for label in classes:
        wide = measure.textlength(label, font=_font()) + _ENTRY + 4 * _PAD
        if at and at + wide > width:
            at, row = 0.0, row + 1
        places.append((at, row))
        at += wide
    legend = Image.new("RGB", (width, (row + 1) * _ENTRY if classes else 0), "black")
    draw = ImageDraw.Draw(legend)
    for (label, (colour, (drawn, left_out))), (x, line) in zip(classes.items(), places, strict=True):
        y = line * _ENTRY + _ENTRY // 2
        for start in range(0, _ENTRY, drawn + left_out if left_out else _ENTRY):
            stop = min(start + drawn, _ENTRY) if left_out else _ENTRY
            draw.rectangle((x + _PAD + start, y - 1, x + _PAD + stop - 1, y + _LINE), fill=colour)
        draw.text((x + _ENTRY + 2 * _PAD, line * _ENTRY + 1), label, fill="white", font=_font())
    return legend
