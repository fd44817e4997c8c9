"""Rows as each trainer reads them, with pictures by their paths: the same words, the same pictures, another shape.

Where a trainer counts marks in the text, there are just as many as pictures, and texts that hold such a mark themselves are
refused: a trainer that miscounts shows a model the wrong picture, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nutonic.core.model import Json
from nutonic.dataset.packs.boxes import AS_BUILT, BoxForm, boxes_in, with_boxes
from nutonic.dataset.packs.shards import Sample
from nutonic.errors import WrongRow

#: Stands in a text where a picture is.
_MARK = "<image>"

#: What ms-swift puts in the place of a label, and of a box.
_REF, _BBOX = "<ref-object>", "<bbox>"

#: A row for a trainer, of a sample and of how boxes are written.
Shape = Callable[[Sample, BoxForm], Json]


def leap_row(sample: Sample, boxes: BoxForm) -> Json:
    """As trees have it: parts with paths below ``image_root``."""
    return with_boxes(sample, boxes)


def axolotl_row(sample: Sample, boxes: BoxForm) -> Json:
    """Parts with ``path``, since ``image`` is an open picture there."""
    row = with_boxes(sample, boxes)
    messages = [
        {
            "role": message["role"],
            "content": [
                {"type": "image", "path": part["image"]} if part["type"] == "image" else part
                for part in message["content"]
            ],
        }
        for message in row["messages"]
    ]
    return {"id": row["id"], "task": row["task"], "messages": messages}


def llama_factory_row(sample: Sample, boxes: BoxForm) -> Json:
    """Text with a mark for each picture, and their paths below ``media_dir``."""
    row = with_boxes(sample, boxes)
    messages = [{"role": message["role"], "content": _marked(message, row["id"])} for message in row["messages"]]
    return {"id": row["id"], "task": row["task"], "messages": messages, "images": _paths(sample)}


def qwen_row(sample: Sample, boxes: BoxForm) -> Json:
    """Turns of ``human`` and ``gpt``. Its scripts look for `image` alone, be it one path or several."""
    row, paths = with_boxes(sample, boxes), _paths(sample)
    names = {"user": "human", "assistant": "gpt"}
    turns = [{"from": names[m["role"]], "value": _marked(m, row["id"], between="\n")} for m in row["messages"]]
    return {"id": row["id"], "image": paths[0] if len(paths) == 1 else paths, "conversations": turns}


def swift_row(sample: Sample, boxes: BoxForm) -> Json:
    """Text with marks; boxes as `objects` in pixels, which ms-swift writes as each model has learnt them.

    With another convention than that of trees, boxes are words of the answer, and there are no objects.
    """
    if boxes.name != AS_BUILT.name:
        return {**llama_factory_row(sample, boxes), "objects": None}
    found = list(boxes_in(sample.row))
    row = with_boxes(sample, SWIFT_BOXES)
    messages = [{"role": m["role"], "content": _marked(m, row["id"])} for m in row["messages"]]
    made: Json = {"id": row["id"], "task": row["task"], "messages": messages, "images": _paths(sample)}
    if not found:
        return {**made, "objects": None}
    size = sample.pictures[0].size
    bbox = [[round(edge * side) for edge, side in zip(box, (*size, *size), strict=True)] for _, box in found]
    refs = [label for label, _ in found if label is not None]
    said = "".join(message["content"] for message in messages)
    if (said.count(_REF), said.count(_BBOX)) != (len(refs), len(bbox)):
        raise WrongRow(f"{row['id']} holds {_REF} or {_BBOX}, which ms-swift takes for the place of a box")
    return {**made, "objects": {"ref": refs, "bbox": bbox, "bbox_type": "real"}}


def _in_place(label: str | None, _: object) -> str:
    return _BBOX if label is None else f'{{"bbox_2d": {_BBOX}, "label": "{_REF}"}}'


def _list_in_place(boxes: list[str]) -> str:
    return f"[{', '.join(boxes)}]"


def _unread(_: str) -> list[tuple[str | None, list[float]]]:
    raise NotImplementedError("boxes stand in `objects`")


#: Places for boxes that ms-swift fills; how they are to be written, it knows of each model.
SWIFT_BOXES = BoxForm(
    name="objects",
    steps=None,
    written=_in_place,
    joined=_list_in_place,  # type: ignore[arg-type]
    read=_unread,
    asked="Answer in JSON: a list of objects with the keys bbox_2d and label.",
    asked_one="Answer with its box.",
)


def _paths(sample: Sample) -> list[str]:
    return [picture.path for picture in sample.pictures]


def _marked(message: Json, name: str, between: str = "") -> str:
    """The text of a message with a mark for each of its pictures."""
    return "".join(_pieces(message, name, between))


def _pieces(message: Json, name: str, between: str) -> Iterator[str]:
    for part in message["content"]:
        if part["type"] == "image":
            yield _MARK + between
        elif _MARK in part["text"]:
            raise WrongRow(f"{name} holds {_MARK} as text, which a trainer would take for a picture")
        else:
            yield part["text"]
