"""Pictures of boxes on chips, for people: twice the chip's size, with names at the boxes and a legend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nutonic.chips.lettering import ABOVE, BELOW, STROKE, spelt, written
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
    names = {class_id: written(table.labels[class_id], class_id) for class_id in classes}
    legend = _legend({names[class_id]: looks[class_id] for class_id in classes}, _SCALE * width)
    picture = Image.new("RGB", (_SCALE * width, _SCALE * height + legend.height), "black")
    picture.paste(Image.fromarray(rgb).resize((_SCALE * width, _SCALE * height), Image.Resampling.NEAREST))
    picture.paste(legend, (0, _SCALE * height))
    draw, taken = ImageDraw.Draw(picture), list[tuple[float, float, float, float]]()
    for region in reversed(regions):
        _box(draw, region, *looks[region.class_id])
    for region in regions:
        box = tuple(_SCALE * edge for edge in region.bbox)
        _name(draw, (names[region.class_id], looks[region.class_id][0]), box, (_SCALE * width, _SCALE * height), taken)
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


def _plain(name: str) -> str:
    """A name without its marks."""
    return "".join(letter for letter, _ in spelt(name) or ())


def _length(name: str) -> float:
    """How wide a name is, in pixels."""
    return _font().getlength(_plain(name))


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], name: str, ink: str, ground: str) -> None:
    """A name at its upper left corner, with the marks of its letters; `ground` is the colour that it lies on."""
    plain, letters = _plain(name), spelt(name) or ()
    draw.text(at, plain, fill=ink, font=_font())
    for number, (letter, marks) in enumerate(letters):
        if marks:
            left = round(at[0] + _font().getlength(plain[:number]))
            _mark(draw, (left, round(at[1])), letter, marks, (ink, ground))


def _mark(draw: ImageDraw.ImageDraw, at: tuple[int, int], letter: str, marks: str, colours: tuple[str, str]) -> None:
    """The marks of a letter whose box begins there; one above an i or a j takes the place of its dot."""
    ink, ground = colours
    first, top, last, bottom = (round(edge) for edge in _font().getbbox(letter))
    if letter in "ij" and any(mark in ABOVE for mark in marks):
        draw.rectangle((at[0] + first, at[1] + top, at[0] + last - 1, at[1] + top + 1), fill=ground)
        top += 2
    upper, lower = top - 1, bottom + 1
    for mark in marks:
        if mark == STROKE:
            draw.line((at[0] + first, at[1] + bottom - 1, at[0] + last - 1, at[1] + top), fill=ink)
            continue
        rows = ABOVE.get(mark) or BELOW[mark]
        row = max(upper - len(rows), 0) if mark in ABOVE else lower
        column = (first + last - len(rows[0])) // 2
        for y, line in enumerate(rows):
            draw.point([(at[0] + column + x, at[1] + row + y) for x, c in enumerate(line) if c == "#"], fill=ink)
        upper, lower = (row, lower) if mark in ABOVE else (upper, lower + len(rows))


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
    named: tuple[str, str],
    box: Sequence[int],
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """The name of a class, on its colour, at its box: in the first corner where it covers no other name, or nowhere."""
    (name, colour), (x1, y1, x2, y2) = named, box
    wide, high = _length(name) + 2 * _PAD, _FONT + _PAD
    for y, x in product((y1, y2 - high, y1 - high, y2), (x1, x2 - wide)):
        left = min(max(x, 0), size[0] - wide)
        spot = (left, min(max(y, 0), size[1] - high), left + wide, min(max(y, 0), size[1] - high) + high)
        if not any(spot[0] < t[2] and t[0] < spot[2] and spot[1] < t[3] and t[1] < spot[3] for t in taken):
            taken.append(spot)
            draw.rectangle(spot, fill=colour)
            _write(draw, (spot[0] + _PAD, spot[1]), name, ink_on(colour), colour)
            return


def _legend(classes: Mapping[str, _Style], width: int) -> Image.Image:
    """Colour, line and name of each class, as many beside each other as fit."""
    at, row, places = 0.0, 0, list[tuple[float, int]]()
    for label in classes:
        wide = _length(label) + _ENTRY + 4 * _PAD
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
        _write(draw, (x + _ENTRY + 2 * _PAD, line * _ENTRY + 1), label, "white", "black")
    return legend
