"""Boxes as models were taught to write them: one codec for all conventions, and the prompts that ask for them.

A tree's rows have fractions of the picture, ``[{"label": …, "bbox": [x1, y1, x2, y2]}]``, half-open from the upper left. A
model that learnt another convention, and is trained on this one, mixes the two. So a pack writes both in the model's own
way: the boxes, in answers and in questions, and the words that ask for them.

Each box is kept within the picture, and at least one step wide and high: what two corners of a coarse grid would make a line
is a step wider.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from nutonic.core.model import Json
from nutonic.dataset.packs.shards import Sample
from nutonic.errors import InputError, WrongRow

#: Corners as fractions of width and height: x1, y1, x2, y2.
Box = Sequence[float]

#: Width and height of a picture, in pixels.
Size = tuple[int, int]

#: A box with its label; None where there is one box alone.
Labelled = tuple[str | None, Box]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxForm:
    """A convention."""

    name: str
    steps: Callable[[Size], tuple[int, int]] | None
    """The number that the right and the lower edge have; None for fractions."""
    written: Callable[[str | None, Sequence[float]], str]
    """A box, with its label or without."""
    joined: Callable[[Sequence[str]], str]
    """Several, as one answer."""
    read: Callable[[str], list[tuple[str | None, list[float]]]]
    """Labels and numbers of an answer, x first."""
    asked: str
    """What a prompt says of the answer; ``{one}`` of it speaks of a single box."""
    asked_one: str
    floors: bool = False
    """Whether a number is that of the bin that a corner lies in, instead of the nearest."""
    last: int | None = None
    """The largest number, where it is not that of the right edge."""

    def numbers(self, box: Box, size: Size) -> list[float]:
        """The numbers of a box: x1, y1, x2, y2, x2 > x1 and y2 > y1."""
        if self.steps is None:
            return list(box)
        across, down = self.steps(size)
        x1, x2 = self._edges(box[0], box[2], across)
        y1, y2 = self._edges(box[1], box[3], down)
        return [x1, y1, x2, y2]

    def _edges(self, low: float, high: float, steps: int) -> tuple[int, int]:
        most = steps if self.last is None else self.last
        first, second = (min(most, max(0, self._step(edge * steps))) for edge in (low, high))
        if second <= first:
            first, second = (first, first + 1) if first < most else (most - 1, most)
        return first, second

    def _step(self, place: float) -> int:
        # Fractions have four decimals: what they miss of a bin's edge is no bin's.
        return math.floor(place + 1e-9) if self.floors else math.floor(place + 0.5)

    def fractions(self, numbers: Sequence[float], size: Size) -> list[float]:
        """A box as fractions of the picture; of bins, their middles."""
        if self.steps is None:
            return list(numbers)
        across, down = self.steps(size)
        half = 0.5 if self.floors else 0.0
        return [(number + half) / steps for number, steps in zip(numbers, (across, down, across, down), strict=True)]

    def encode(self, boxes: Iterable[Labelled], size: Size) -> str:
        """An answer of some boxes."""
        return self.joined([self.written(label, self.numbers(box, size)) for label, box in boxes])

    def decode(self, text: str, size: Size) -> list[Labelled]:
        """The boxes of an answer, as fractions of the picture."""
        return [(label, self.fractions(numbers, size)) for label, numbers in self.read(text)]


def _json_box(key: str, label: str | None, numbers: Sequence[float]) -> str:
    return orjson.dumps(list(numbers) if label is None else _keyed(key, label, numbers)).decode()


def _keyed(key: str, label: str, numbers: Sequence[float]) -> Json:
    if key == "bbox":
        return {"label": label, key: list(numbers)}
    return {key: list(numbers), "label": label}  # in the order of Qwen's own examples


def _json_list(boxes: Sequence[str]) -> str:
    return f"[{','.join(boxes)}]"


def _read_json(key: str, text: str) -> list[tuple[str | None, list[float]]]:
    value: Any = orjson.loads(text)
    if value and not isinstance(value[0], dict):
        return [(None, [float(number) for number in value])]
    return [(str(box["label"]), [float(number) for number in box[key]]) for box in value]


_NUMBERS = r"\[\[(\d+), (\d+), (\d+), (\d+)\]\]"


def _internvl(label: str | None, numbers: Sequence[float]) -> str:
    box = f"<box>[[{', '.join(map(str, numbers))}]]</box>"
    return box if label is None else f"<ref>{label}</ref>{box}"


def _read_internvl(text: str) -> list[tuple[str | None, list[float]]]:
    found = re.findall(rf"(?:<ref>(.*?)</ref>)?<box>{_NUMBERS}</box>", text)
    return [(label or None, [float(number) for number in numbers]) for label, *numbers in found]


def _geochat(label: str | None, numbers: Sequence[float]) -> str:
    box = "{" + "".join(f"<{number}>" for number in numbers) + "|<0>}"
    return box if label is None else f"<p>{label}</p> {box}"


def _read_geochat(text: str) -> list[tuple[str | None, list[float]]]:
    found = re.findall(r"(?:<p>(.*?)</p> )?\{<(\d+)><(\d+)><(\d+)><(\d+)>\|<\d+>\}", text)
    return [(label or None, [float(number) for number in numbers]) for label, *numbers in found]


def _paligemma(label: str | None, numbers: Sequence[float]) -> str:
    x1, y1, x2, y2 = numbers
    box = "".join(f"<loc{int(number):04d}>" for number in (y1, x1, y2, x2))
    return box if label is None else f"{box} {label}"


def _read_paligemma(text: str) -> list[tuple[str | None, list[float]]]:
    found = re.findall(r"<loc(\d{4})><loc(\d{4})><loc(\d{4})><loc(\d{4})>(?: ([^;]+))?", text)
    return [(label.strip() or None, [float(n) for n in (x1, y1, x2, y2)]) for y1, x1, y2, x2, label in found]


def _florence(label: str | None, numbers: Sequence[float]) -> str:
    return (label or "") + "".join(f"<loc_{number}>" for number in numbers)


def _read_florence(text: str) -> list[tuple[str | None, list[float]]]:
    found = re.findall(r"([^<>]*)<loc_(\d+)><loc_(\d+)><loc_(\d+)><loc_(\d+)>", text)
    return [(label or None, [float(number) for number in numbers]) for label, *numbers in found]


#: Pixels that Qwen2.5-VL's processor makes of a picture: sides are multiples of 28, the whole between these limits.
QWEN_FACTOR, QWEN_LEAST, QWEN_MOST = 28, 56 * 56, 14 * 14 * 4 * 1280


def resized(size: Size) -> Size:
    """Width and height of a picture as Qwen2.5-VL sees it: that of its processor with the limits it comes with.

    >>> resized((224, 224)), resized((512, 300))
    ((224, 224), (504, 308))
    """
    width, height = size
    across, down = (max(QWEN_FACTOR, round(side / QWEN_FACTOR) * QWEN_FACTOR) for side in size)
    if across * down > QWEN_MOST:
        by = math.sqrt(width * height / QWEN_MOST)
        across, down = (max(QWEN_FACTOR, math.floor(s / by / QWEN_FACTOR) * QWEN_FACTOR) for s in size)
    elif across * down < QWEN_LEAST:
        by = math.sqrt(QWEN_LEAST / (width * height))
        across, down = (math.ceil(s * by / QWEN_FACTOR) * QWEN_FACTOR for s in size)
    return across, down


def _bins(count: int) -> Callable[[Size], tuple[int, int]]:
    return partial(_same, count)


def _same(count: int, _: Size) -> tuple[int, int]:
    return count, count


def _json_form(name: str, key: str, steps: Callable[[Size], tuple[int, int]] | None, where: str) -> BoxForm:
    return BoxForm(
        name=name,
        steps=steps,
        written=partial(_json_box, key),
        joined=_json_list,
        read=partial(_read_json, key),
        asked=f"Answer in JSON: a list of objects with the keys {key} and label, where {key} is [x1, y1, x2, y2] {where}.",
        asked_one=f"Answer with its box as [x1, y1, x2, y2] {where}.",
    )


AS_BUILT = _json_form("unit", "bbox", None, "normalized to 0-1")

_ABSOLUTE = "in pixels of the image"
_FORMS = (
    AS_BUILT,
    _json_form("qwen3", "bbox_2d", _bins(1000), "in coordinates from 0 to 1000"),
    _json_form("qwen2.5", "bbox_2d", resized, _ABSOLUTE),
    _json_form("glm", "bbox_2d", _bins(999), "in coordinates from 0 to 999"),
    BoxForm(
        name="internvl",
        steps=_bins(1000),
        written=_internvl,
        joined="\n".join,
        read=_read_internvl,
        asked="Answer with <ref>label</ref><box>[[x1, y1, x2, y2]]</box> for each, in coordinates from 0 to 1000.",
        asked_one="Answer with its box as <box>[[x1, y1, x2, y2]]</box>, in coordinates from 0 to 1000.",
    ),
    BoxForm(
        name="paligemma",
        steps=_bins(1023),
        written=_paligemma,
        joined=" ; ".join,
        read=_read_paligemma,
        asked="Answer with four location tokens and the label for each: top, left, bottom, right; separated by ' ; '.",
        asked_one="Answer with four location tokens: top, left, bottom, right.",
    ),
    BoxForm(
        name="florence2",
        steps=_bins(1000),
        floors=True,
        last=999,
        written=_florence,
        joined="".join,
        read=_read_florence,
        asked="Answer with the label and four location tokens for each: left, top, right, bottom.",
        asked_one="Answer with four location tokens: left, top, right, bottom.",
    ),
    BoxForm(
        name="geochat",
        steps=_bins(100),
        written=_geochat,
        joined=" ".join,
        read=_read_geochat,
        asked="Answer with <p>label</p> {<x1><y1><x2><y2>|<angle>} for each, in coordinates from 0 to 100.",
        asked_one="Answer with its box as {<x1><y1><x2><y2>|<angle>}, in coordinates from 0 to 100.",
    ),
)

#: Every convention, by its name.
BOX_FORMS = {form.name: form for form in _FORMS}


def box_form(name: str) -> BoxForm:
    """A convention by its name.

    Raises
    ------
    InputError
        If there is none of that name; its text lists them.
    """
    try:
        return BOX_FORMS[name]
    except KeyError:
        raise InputError(f"{name!r:.60} is no way to write boxes: there are {', '.join(BOX_FORMS)}") from None


#: What prompts say of an answer with boxes: from its verb to the sentence that says in which numbers.
_ASKED = re.compile(
    r"(?:Provide result as|Answer with|Return JSON|Return|Give the result as|Reply in)\b[^?]*?\b0-1\b[^.]*\."
)
#: Words that are left where a person's own template asks in other ones.
_LEFT = re.compile(r"\b0-1\b|\bbbox\b|\bx1, y1\b|\bJSON\b")
#: A single box, in a question or an answer.
_BOX = re.compile(r"\[(\d(?:\.\d+)?), (\d(?:\.\d+)?), (\d(?:\.\d+)?), (\d(?:\.\d+)?)\]")


def with_boxes(sample: Sample, form: BoxForm) -> Json:
    """A row with its boxes, and the words that ask for them, in another convention; the row itself for that of trees.

    Raises
    ------
    WrongRow
        If its prompt asks for boxes in words that are not known, or its boxes are of several pictures.
    """
    row = sample.row
    if form is AS_BUILT or form.name == AS_BUILT.name:
        return row
    texts = [part["text"] for message in row["messages"] for part in message["content"] if part["type"] == "text"]
    if not any(_speaks_of_boxes(text) for text in texts):
        return row
    if len(sample.pictures) != 1:
        raise WrongRow(
            f"{row['id']}: its boxes are of one of {len(sample.pictures)} pictures: they cannot be written anew"
        )
    size, many = sample.pictures[0].size, any(listed_boxes(text) is not None for text in texts)
    messages = [
        {
            **message,
            "content": [_anew(part, message["role"], form, size, row["id"], many) for part in message["content"]],
        }
        for message in row["messages"]
    ]
    return {**row, "messages": messages}


def _speaks_of_boxes(text: str) -> bool:
    return bool(_LEFT.search(text) or _BOX.search(text) or listed_boxes(text) is not None)


def _anew(part: Json, role: str, form: BoxForm, size: Size, name: str, many: bool) -> Json:
    if part["type"] != "text":
        return part
    boxes = listed_boxes(part["text"]) if role == "assistant" else None
    if boxes is not None:
        return {**part, "text": form.encode(boxes, size)}
    asked = form.asked if many else form.asked_one
    text = _ASKED.sub(asked.replace("\\", "\\\\"), part["text"]) if role == "user" else part["text"]
    left = text.replace(asked, "") if role == "user" else ""
    if _LEFT.search(left):
        raise WrongRow(
            f"{name} asks for boxes in words of your own ({_LEFT.search(left)[0]!r}), which cannot be put into those of "  # type: ignore[index]
            f"{form.name}: pack with --boxes {AS_BUILT.name}, or build with nutonic's own templates for boxes"
        )
    return {**part, "text": _BOX.sub(lambda found: form.written(None, form.numbers(_of(found), size)), text)}


def _of(found: re.Match[str]) -> list[float]:
    return [float(number) for number in found.groups()]


def boxes_in(row: Json) -> Iterator[Labelled]:
    """Every box of a row, in the order in which its texts name them; those that stand alone have no label."""
    for message in row["messages"]:
        for part in message["content"]:
            listed = listed_boxes(part["text"]) if part["type"] == "text" and message["role"] == "assistant" else None
            if listed is not None:
                yield from listed
            elif part["type"] == "text":
                yield from ((None, _of(found)) for found in _BOX.finditer(part["text"]))


def listed_boxes(text: str) -> list[tuple[str, list[float]]] | None:
    """Labels and boxes of an answer as trees have it; None of any other text."""
    if not text.startswith('[{"label"'):
        return None
    return [(str(box["label"]), list(box["bbox"])) for box in orjson.loads(text)]
