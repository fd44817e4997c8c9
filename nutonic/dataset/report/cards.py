"""Chips and rows as the page shows them: with their picture, their boxes and their words, none of which can act."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import orjson

from nutonic.core.classes import PALETTE, ClassTable
from nutonic.core.model import Json
from nutonic.dataset.commits import CommittedPlace, unpacked
from nutonic.dataset.report.drawing import Pictures
from nutonic.inert import inert, inert_lines
from nutonic.io.objects import Store
from nutonic.rows.slots import Lexicon, either

#: Letters of a text that are shown.
_LONGEST = 1500

#: Places whose rows are kept, so that none is unpacked twice in a row.
_KEPT = 512


class RowsOf:
    """The rows of places, from the parts of their commits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, list[Json]] = {}

    def of(self, entry: CommittedPlace) -> list[Json]:
        """The rows of a place, in order; :class:`Corrupt` if they are not what was written."""
        name = entry["poi_id"]
        if name not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[name] = self._read(entry)
        return self._kept[name]

    def all_of(self, entries: Iterable[CommittedPlace]) -> Iterator[Json]:
        """The rows of many places, which are not kept."""
        for rows in self._store.together(self._read, entries):
            yield from rows

    def _read(self, entry: CommittedPlace) -> list[Json]:
        rows = entry["rows"]
        member = self._store.get_range(entry.name.part, rows["start"], rows["length"])
        lines = unpacked(member, entry.name.part, rows["size"]).splitlines() if rows["length"] else []
        return [orjson.loads(line) for line in lines]


def colour_of(class_id: int, table: ClassTable) -> str:
    """The colour of a class; of one that the table does not list, white."""
    return table.color(class_id) if class_id in table.labels else PALETTE[-1]


def sidecar(store: Store, image: str) -> Json | None:
    """What is known of a chip; None where its file cannot be read."""
    try:
        value = orjson.loads(store.get(sidecar_path(image)))
    except (OSError, orjson.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None


def sidecar_path(image: str) -> str:
    """Where the sidecar of a chip lies."""
    return f"metadata/{image.removeprefix('images/').rpartition('.')[0]}.json"


def sidecars(store: Store, images: Sequence[str]) -> dict[str, Json | None]:
    """What is known of chips, by the paths of their sidecars; None of those that cannot be read."""
    return dict(zip(map(sidecar_path, images), store.together(partial(sidecar, store), images), strict=True))


def gallery(
    store: Store,
    chips: Sequence[tuple[CommittedPlace, str]],
    rows: RowsOf,
    pictures: Pictures,
    table: ClassTable,
) -> list[Json]:
    """Cards of as many chips as fit, in the order of the dataset; what cannot be read is told to `pictures`."""
    fit = [(entry, image) for entry, image in chips if _pictured(store, image, pictures)]
    fit.sort(key=lambda chip: (chip[0].order, chip[1]))
    about = store.together(partial(sidecar, store), (image for _, image in fit))
    found = [(entry, image, known) for (entry, image), known in zip(fit, about, strict=True)]
    pictures.unreadable.update(sidecar_path(image) for _, image, known in found if known is None)
    return [
        {**card(image, known, rows.of(entry), table), "rejects": sorted({inert(r["reason"]) for r in entry["rejects"]})}
        for entry, image, known in found
        if known is not None
    ]


def _pictured(store: Store, image: str, pictures: Pictures) -> bool:
    return pictures.take(image, lambda: store.get(image))


def card(image: str, known: Json, rows: Iterable[Json], table: ClassTable) -> Json:
    """A chip as the page shows it; boxes are shares of its width and height.

    Parameters
    ----------
    image
        Path of its picture.
    known
        Its sidecar.
    rows
        Those of its place, or about it alone.
    table
        What class ids mean.
    """
    about = [row for row in rows if image in images_of(row)]
    fractions = {int(key): float(share) for key, share in known["class_fractions"].items()}
    shares = sorted(
        ((key, share) for key, share in fractions.items() if share > 0), key=lambda each: (-each[1], each[0])
    )
    scene = known["imagery"]
    return {
        "id": inert(_stem(image)),
        "picture": image,
        "split": known["split"],
        "caption": inert_lines(str(known.get("caption") or ""))[:_LONGEST],
        "labels": [inert(table.labels.get(key, str(key))) for key, _ in shares],
        "shares": [
            [inert(table.labels.get(key, str(key))), round(share, 4), colour_of(key, table)] for key, share in shares
        ],
        "boxes": _taught(about, table) or _boxes(known, table),
        "facts": _facts(known, scene),
        "rejects": [],
        "tasks": sorted({row["task"] for row in about}),
        "rows": [row_of(row) for row in about],
    }


def _facts(known: Json, scene: Json) -> list[list[str]]:
    quality = known.get("quality") or {}
    return [
        ["scene", inert(str(scene["item_id"]))],
        ["date", inert(str(scene["datetime"] or "not told"))[:10]],
        ["longitude, latitude", f"{known['longitude']:.4f}, {known['latitude']:.4f}"],
        ["imagery", f"{known['valid_fraction']:.1%} valid"],
        ["labels", f"{known['land_cover_label_meta']['valid_fraction']:.1%} of the mask"],
        *([["cloud, shadow", f"{quality['cloud']:.1%}, {quality['shadow']:.1%}"]] if quality else []),
    ]


def _taught(about: Iterable[Json], table: ClassTable) -> list[list[Any]]:
    """The boxes that its row of grounding teaches: fewer, and clearer, than all of its regions."""
    answer = next((_said(row, "assistant") for row in about if row["task"] == "grounding"), "")
    return coloured(boxes_in(answer), table)


def coloured(boxes: Iterable[Sequence[Any]], table: ClassTable) -> list[list[Any]]:
    """Boxes with the colours of their labels."""
    colours = {inert(label): colour_of(class_id, table) for class_id, label in table.labels.items()}
    return [[*box, colours.get(box[4], PALETTE[-1])] for box in boxes]


def _boxes(known: Json, table: ClassTable) -> list[list[Any]]:
    height, width = known["land_cover_label_meta"]["shape"]
    found = []
    for region in known["regions"]:
        x1, y1, x2, y2 = region["bbox"]
        edges = [round(x1 / width, 4), round(y1 / height, 4), round(x2 / width, 4), round(y2 / height, 4)]
        found.append([*edges, inert(region["label"]), colour_of(region["class_id"], table)])
    return found


def judged(store: Store, drawn: Sequence[tuple[CommittedPlace, int]], rows: RowsOf, pictures: Pictures) -> list[Json]:
    """Rows to be judged, in the order in which they were drawn."""
    found = []
    for entry, position in drawn:
        row = rows.of(entry)[position]
        shown = [image for image in images_of(row) if _pictured(store, image, pictures)]
        found.append({**row_of(row), "split": entry["split"], "pictures": shown})
    return found


def row_of(row: Json) -> Json:
    """A row as the page shows it."""
    answer = _said(row, "assistant")
    return {
        "id": inert(str(row["id"])),
        "task": inert(str(row["task"])),
        "prompt": inert_lines(_said(row, "user"))[:_LONGEST],
        "answer": inert_lines(answer)[:_LONGEST],
        "boxes": boxes_in(answer),
    }


def _said(row: Json, role: str) -> str:
    messages = (message for message in row["messages"] if message["role"] == role)
    return "\n".join(part["text"] for message in messages for part in message["content"] if part["type"] == "text")


def images_of(row: Json) -> list[str]:
    """Paths of the pictures that a row shows."""
    parts = (part for message in row["messages"] for part in message["content"])
    return [part["image"] for part in parts if part["type"] == "image"]


def boxes_in(answer: str) -> list[list[Any]]:
    """The boxes of an answer that is a list of them, or one; shares of width and height, with their labels."""
    if not answer.startswith("["):
        return []
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return []
    if value and all(isinstance(edge, int | float) for edge in value):
        value = [{"label": "", "bbox": value}]
    boxes = (each for each in value if isinstance(each, dict) and len(each.get("bbox", ())) == 4)
    return [[*each["bbox"], inert(str(each.get("label", "")))] for each in boxes]


def wordings(rows: Iterable[Json], table: ClassTable) -> dict[str, Counter[str]]:
    """The prompts of each task without what differs from chip to chip, and how often each is used."""
    names = {*table.labels.values(), *table.nouns.values(), *Lexicon(table=table, phrases={}).nouns.values()}
    differs = re.compile(rf"(?<!\w){either(map(inert, names))}(?!\w)" if names else r"(?!)", re.IGNORECASE)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        prompt = re.sub(r"\d+(?:\.\d+)?", "#", differs.sub("…", _said(row, "user")))
        found[str(row["task"])][prompt] += 1
    return found


def _stem(path: str) -> str:
    return PurePosixPath(path).stem
