"""A contact sheet: chips of a finished tree with named boxes, and their captions below.

Each function draws one thing: :func:`with_boxes` a chip, :func:`contact_sheet` all of them. What is drawn comes from the
tree's sidecars alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from PIL import Image, ImageDraw, ImageFont

from nutonic.core.classes import ClassTable, ink_on
from nutonic.core.model import Json
from nutonic.errors import NutonicError

#: Layout in pixels: the side of a chip, space between, the height of the legend, and how many chips lie side by side.
_CHIP, _GAP, _LEGEND, _ACROSS = 448, 16, 44, 4

#: Sizes of letters: captions, names at boxes, legend; and the distance of a caption's lines.
_CAPTION, _NAME, _KEY, _LINE = 15, 14, 16, 20

#: Of a chip's regions the largest are boxed, so many in all and of one class, if they fill this share of their box and
#: neither side is smaller than this share of the chip's, nor the box larger: one around a winding or a tiny region shows
#: nothing, and neither does one around the picture.
_BOXES, _PER_CLASS, _FILL, _SIDE, _MOST = 6, 2, 0.3, 0.08, 0.95

_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A chip of a finished tree."""

    rgb: Image.Image
    sidecar: Json


def read_samples(tree: Path) -> list[Sample]:
    """All chips of a tree with their sidecars, in the order of their paths."""
    samples = []
    for path in sorted(tree.glob("images/*/*.png")):
        sidecar = tree / "metadata" / path.parent.name / f"{path.stem}.json"
        with Image.open(path, formats=["PNG"]) as picture:
            samples.append(Sample(rgb=picture.convert("RGB"), sidecar=orjson.loads(sidecar.read_bytes())))
    if not samples:
        raise NutonicError(f"{tree} holds no chips")
    return samples


def contact_sheet(samples: Sequence[Sample], table: ClassTable) -> Image.Image:
    """A picture of chips, with named boxes of their largest regions in the classes' colours, and whole captions below."""
    captions = [lines_of(_caption_of(sample), _CHIP, font(_CAPTION)) for sample in samples]
    rows = [captions[start : start + _ACROSS] for start in range(0, len(captions), _ACROSS)]
    heights = [_CHIP + 10 + _LINE * max(map(len, row)) + _GAP for row in rows]
    sheet = Image.new("RGB", (_ACROSS * (_CHIP + _GAP) + _GAP, _LEGEND + sum(heights) + _GAP), "white")
    _draw_legend(sheet, table)
    for k, (sample, lines) in enumerate(zip(samples, captions, strict=True)):
        left, top = _GAP + k % _ACROSS * (_CHIP + _GAP), _LEGEND + sum(heights[: k // _ACROSS])
        sheet.paste(with_boxes(sample, table, _CHIP), (left, top))
        for number, line in enumerate(lines):
            at = (left, top + _CHIP + 8 + number * _LINE)
            ImageDraw.Draw(sheet).text(at, line, fill="black", font=font(_CAPTION))
    return sheet


def with_boxes(sample: Sample, table: ClassTable, side: int) -> Image.Image:
    """A chip at `side` pixels with the boxes of its largest regions, each with its class's name and in its colour."""
    width, height = sample.rgb.size
    picture = sample.rgb.resize((side, side), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    boxed = [(_scaled(r["bbox"], side / width, side / height), r) for r in boxed_regions(sample)]
    for box, region in boxed:
        _draw_box(draw, box, table.color(region["class_id"]))
    taken: list[_Box] = []
    for box, region in sorted(boxed, key=lambda one: _area(one[0])):  # a small box has the least choice of places
        color = table.color(region["class_id"])
        taken.append(_draw_name(draw, box, region["label"], color, (side, taken)))
    return picture


def boxed_regions(sample: Sample) -> list[Json]:
    """The regions of a sidecar that are worth a box, the largest first."""
    least = _SIDE * min(sample.rgb.size)
    chosen: list[Json] = []
    per_class: Counter[int] = Counter()
    for region in sorted(sample.sidecar["regions"], key=lambda region: -region["area_px"]):
        x1, y1, x2, y2 = region["bbox"]
        is_compact = region["area_px"] >= _FILL * (x2 - x1) * (y2 - y1) and min(x2 - x1, y2 - y1) >= least
        is_part = (x2 - x1) * (y2 - y1) <= _MOST * sample.rgb.width * sample.rgb.height
        if is_compact and is_part and per_class[region["class_id"]] < _PER_CLASS:
            per_class[region["class_id"]] += 1
            chosen.append(region)
    return chosen[:_BOXES]


def _scaled(bbox: Sequence[int], across: float, down: float) -> _Box:
    x1, y1, x2, y2 = bbox
    return x1 * across, y1 * down, x2 * across - 1, y2 * down - 1


def _area(box: _Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _draw_box(draw: ImageDraw.ImageDraw, box: _Box, color: str) -> None:
    """A line of three pixels in the class's colour between two black ones, which stands out on any ground."""
    for inset, line in enumerate(("black", color, color, color, "black")):
        x1, y1, x2, y2 = box
        draw.rectangle((x1 + inset, y1 + inset, x2 - inset, y2 - inset), outline=line)


def _draw_name(draw: ImageDraw.ImageDraw, box: _Box, name: str, color: str, room: tuple[int, Iterable[_Box]]) -> _Box:
    """Write a name at a box where it hides no other name, and return the place it takes."""
    side, taken = room
    letters = font(_NAME)
    width, height = draw.textlength(name, font=letters) + 8, _NAME + 6
    plate = min(_plates(box, width, height, side), key=lambda plate: sum(_overlap(plate, other) for other in taken))
    draw.rectangle(plate, fill=color, outline="black")
    draw.text((plate[0] + 4, plate[1] + 1), name, fill=ink_on(color), font=letters)
    return plate


def _plates(box: _Box, width: float, height: float, side: int) -> list[_Box]:
    """Places for a name along a box's top and bottom, inside it, then just outside, all within the chip."""
    x1, y1, x2, y2 = box
    tops = (y1 + 4, y2 - height - 4, y1 - height, y2)
    corners = [(left, top) for top in tops for left in (x1 + 4, x2 - width - 4, (x1 + x2 - width) / 2)]
    inside = [(min(max(left, 0), side - 1 - width), min(max(top, 0), side - 1 - height)) for left, top in corners]
    return [(left, top, left + width, top + height) for left, top in inside]


def _overlap(one: _Box, other: _Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _draw_legend(sheet: Image.Image, table: ClassTable) -> None:
    draw, letters, left = ImageDraw.Draw(sheet), font(_KEY), _GAP
    for class_id, label in table.labels.items():
        draw.rectangle((left, 14, left + 16, 30), fill=table.color(class_id), outline="black")
        draw.text((left + 24, 12), label, fill="black", font=letters)
        left += 52 + int(draw.textlength(label, font=letters))


def _caption_of(sample: Sample) -> str:
    return f"{sample.sidecar['tile_id']} ({sample.sidecar['split']}): {sample.sidecar['caption']}"


def lines_of(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """A text in lines that are no wider than so many pixels, unless a single word is."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Letters of a size in pixels."""
    return ImageFont.load_default(size=size)
