"""Forms with one entry a chip: a folder of images with their metadata, and boxes for detectors.

Regions are those of the sidecars, all of them, in pixels of the chip; what a row shows beside its chip has no place here, so
a dataset with such rows is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import orjson
import yaml

from nutonic.core.model import Json, Split
from nutonic.dataset.catalogue.entries import fractions
from nutonic.dataset.packs.forms import Loading, Put, Shards, config_of, refuse_unknown
from nutonic.dataset.packs.layout import ROWS
from nutonic.dataset.packs.shards import Picture, Sample, Shard
from nutonic.dataset.packs.tree import TreeFacts
from nutonic.errors import InputError


@dataclass(frozen=True, slots=True)
class _Chip:
    """A chip with its rows."""

    picture: Picture
    sidecar: Json
    rows: list[Json]

    @property
    def place(self) -> str:
        """Folder and name, ``s00000/poi_000012_t0003.png``."""
        return self.picture.path.removeprefix("images/")


def _chips(samples: Iterable[Sample], name: str) -> Iterator[_Chip]:
    for path, group in groupby(samples, key=lambda sample: sample.chip):
        found = list(group)
        for sample in found:
            refuse_unknown(sample.row)
            if [picture.path for picture in sample.pictures] != [path]:
                raise InputError(
                    f"{sample.row['id']} shows another picture than its chip, for which {name} has no place: use parquet"
                )
        yield _Chip(found[0].pictures[0], found[0].sidecar, [sample.row for sample in found])


def _boxes(chip: _Chip) -> Iterator[tuple[Json, tuple[int, int, int, int]]]:
    """Each region with its box: x, y, width and height in pixels."""
    for region in chip.sidecar["regions"]:
        x1, y1, x2, y2 = region["bbox"]
        yield region, (x1, y1, x2 - x1, y2 - y1)


def _classes(facts: TreeFacts) -> dict[int, str]:
    assert facts.table is not None, "patches have no boxes, and are refused"
    return {number: label for number, label in sorted(facts.table.labels.items()) if number != facts.table.unknown}


def _line(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """``train/s00000/….png`` with ``train/metadata.jsonl``."""

    name: str = "imagefolder"

    def options(self) -> Json:
        """None."""
        return {}

    def needs(self) -> tuple[str, ...]:
        """Nothing else."""
        return ()

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """Pictures, and a line for each."""
        lines = []
        for chip in _chips(samples, self.name):
            put(f"{shard.split}/{chip.place}", chip.picture.data)
            lines.append(_line(self._entry(chip, facts)))
        put(f"{ROWS}/{shard.number:05d}-metadata.jsonl", b"".join(lines))
        return {"chips": len(lines)}

    @staticmethod
    def _entry(chip: _Chip, facts: TreeFacts) -> Json:
        sidecar, regions = chip.sidecar, list(_boxes(chip))
        objects = {"bbox": [list(box) for _, box in regions], "category": [r["label"] for r, _ in regions]}
        return {
            "file_name": chip.place,
            "text": sidecar["caption"],
            "lon": sidecar["longitude"],
            "lat": sidecar["latitude"],
            "datetime": sidecar["imagery"]["datetime"],
            **fractions(sidecar, facts.table),
            **({} if facts.patches else {"objects": objects}),
            "rows": [
                {
                    "id": row["id"],
                    "task": row["task"],
                    "question": row["messages"][0]["content"][-1]["text"],
                    "answer": row["messages"][-1]["content"][0]["text"],
                }
                for row in chip.rows
            ],
        }

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """The metadata of each split."""
        for split in shards.splits:
            put(f"{split}/metadata.jsonl", shards.joined("-metadata.jsonl", split))

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """By `datasets`, which finds the metadata."""
        layout = "- `train/` and so on: chips, and `metadata.jsonl`: caption, shares, boxes (x, y, width, height), rows"
        return Loading(
            configs=config_of(shards, "{split}/**"), layout=layout, code=_BY_FOLDER, of_chips=True, viewer=True
        )


_BY_FOLDER = """```python
from datasets import load_dataset

dataset = load_dataset("/path/to/this/folder")  # or "OWNER/NAME" on the Hub
```
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Boxes for detectors: COCO's annotations, or YOLO's labels beside the images."""

    name: str

    def options(self) -> Json:
        """None."""
        return {}

    def needs(self) -> tuple[str, ...]:
        """Nothing else."""
        return ()

    def write(self, shard: Shard, samples: Iterable[Sample], facts: TreeFacts, put: Put) -> Json:
        """Pictures, and their boxes."""
        numbers = {class_id: k for k, class_id in enumerate(_classes(facts))}
        lines, chips, boxes = [], 0, 0
        for chip in _chips(samples, self.name):
            put(f"images/{shard.split}/{chip.place}", chip.picture.data)
            found = list(_boxes(chip))
            chips, boxes = chips + 1, boxes + len(found)
            if self.name == "yolo":
                text = "".join(f"{numbers[r['class_id']]} {_relative(box, chip.picture.size)}\n" for r, box in found)
                put(f"labels/{shard.split}/{chip.place.removesuffix('.png')}.txt", text.encode())
            else:
                lines.append(_line(_image_of(chip, found)))
        if self.name == "coco":
            put(f"{ROWS}/{shard.number:05d}-images.jsonl", b"".join(lines))
        return {"chips": chips, "boxes": boxes}

    def finish(self, shards: Shards, facts: TreeFacts, put: Put) -> None:
        """Annotations by split, or the file that YOLO is given."""
        if self.name == "yolo":
            names = dict(enumerate(_classes(facts).values()))
            folders = {("val" if split == "validation" else split): f"images/{split}" for split in shards.splits}
            put("data.yaml", yaml.safe_dump({"path": ".", **folders, "names": names}, sort_keys=False).encode())
            return
        for split in shards.splits:
            put(f"annotations/{split}.json", _coco(shards, facts, split))

    def loading(self, shards: Shards, facts: TreeFacts) -> Loading:
        """By a detector; `datasets` is given the chips alone, without their folders for classes."""
        if self.name == "yolo":
            layout = "- `images/train/`, `labels/train/`: chips, and a line a box: class, middle, width, height, 0 to 1"
            code = "```sh\nyolo detect train data=data.yaml   # in this folder\n```\n"
        else:
            layout = (
                "- `images/train/`, `annotations/train.json`: chips, and their boxes (x, y, width, height in pixels)"
            )
            code = '```python\nfrom pycocotools.coco import COCO\n\nfound = COCO("annotations/train.json")\n```\n'
        code += "\n`load_dataset` of `datasets` gives the chips without their boxes.\n"
        chips = config_of(shards, "images/{split}/**", drop_labels=True)
        return Loading(configs=chips, layout=layout, code=code, of_chips=True)


def _relative(box: tuple[int, int, int, int], size: tuple[int, int]) -> str:
    x, y, width, height = box
    across, down = size
    middle = ((x + width / 2) / across, (y + height / 2) / down, width / across, height / down)
    return " ".join(f"{value:.6f}" for value in middle)


def _image_of(chip: _Chip, found: list[tuple[Json, tuple[int, int, int, int]]]) -> Json:
    width, height = chip.picture.size
    boxes = [{"category_id": r["class_id"], "bbox": list(box), "area": r["area_px"], "iscrowd": 0} for r, box in found]
    return {"image": {"file_name": chip.place, "width": width, "height": height}, "boxes": boxes}


def _coco(shards: Shards, facts: TreeFacts, split: Split) -> Iterator[bytes]:
    """A file of annotations, a chip at a time: images first, for which the rows are read twice."""
    categories = [{"id": number, "name": label} for number, label in _classes(facts).items()]
    yield b'{"info":' + orjson.dumps({"description": f"{facts.name} {split}"}) + b',"categories":'
    yield orjson.dumps(categories) + b',"images":['
    for number, entry in enumerate(_lines(shards, split), 1):
        yield (b"" if number == 1 else b",\n") + orjson.dumps({"id": number, **entry["image"]})
    yield b'],"annotations":['
    count = 0
    for number, entry in enumerate(_lines(shards, split), 1):
        for box in entry["boxes"]:
            count += 1
            yield (b"" if count == 1 else b",\n") + orjson.dumps({"id": count, "image_id": number, **box})
    yield b"]}\n"


def _lines(shards: Shards, split: Split) -> Iterator[Json]:
    rest = b""
    for piece in shards.joined("-images.jsonl", split):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (orjson.loads(line) for line in lines)
